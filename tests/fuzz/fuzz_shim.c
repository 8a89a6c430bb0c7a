/*
 * The shim on any messages of parent, control and audit, with two programs
 * stopped at their exec (step 0x20: another one).  No jail is built and no
 * process traced: both are played.  main() is private, so it is compiled in.
 */
int shim_main(void);
#define main shim_main
#include "daemon/shim.c"
#undef main

#include "tests/fuzz/play.h"

#define EXEC 0x20
#define STOPPED_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char policy_text[] = "profile default {\n\tdefault exec ask;\n}\n"
				  "profile closed {\n\tdefault exec deny;\n}\n"
				  "profile open {\n\tdefault exec allow;\n}\n";

/* Programs that wait for a verdict; the judge must not invent one. */
static pid_t stopped[STOPPED_MAX];

int
trace_resume(
    struct trace *t, pid_t pid, enum trace_verdict v, const char *message)
{
	(void)t;
	if (v != TRACE_ALLOW && (v != TRACE_DENY || message[0] == '\0'))
		abort();
	for (size_t i = 0; i < STOPPED_MAX; i++) {
		if (stopped[i] != pid)
			continue;
		stopped[i] = 0;
		return 0;
	}
	abort();
}

struct trace *
trace_new(struct ev *ev, int proc_fd, const struct trace_ops *ops, void *arg)
{
	(void)ev;
	(void)proc_fd;
	(void)ops;
	(void)arg;
	return NULL;
}

void
trace_listen(struct trace *t, int fd)
{
	(void)t;
	(void)fd;
}

int
trace_seize(struct trace *t, pid_t pid, struct error *err)
{
	(void)t;
	(void)pid;
	return error_set(err, EPERM, "no jail here");
}

int
jail_build(const struct jail_config *c, struct jail *j, struct error *err)
{
	(void)c;
	(void)j;
	return error_set(err, EPERM, "no jail here");
}

void
jail_init(struct jail *j)
{
	memset(j, 0, sizeof(*j));
}

void
jail_destroy(struct jail *j)
{
	(void)j;
}

int
jail_event(struct jail *j, struct jail_event *e)
{
	(void)j;
	(void)e;
	return 0;
}

int
jail_go(struct jail *j, struct error *err)
{
	(void)j;
	return error_set(err, EPERM, "no jail here");
}

void
jail_init_reaped(struct jail *j)
{
	j->init_reaped = true;
}

int
jail_signal(struct jail *j, int signo)
{
	(void)j;
	(void)signo;
	return 0;
}

static void
exec_step(struct shim *s, const struct play_step *st)
{
	static const char *const profiles[] = { "default", "closed", "open" };
	cleanup_free char *word = xcalloc(st->n + 1, 1);
	const char *argv[] = { "x", word, NULL };
	const char *envp[] = { NULL };
	struct trace_exec x = { .path = "/bin/x",
		.cwd = "/",
		.argv = argv,
		.argc = 2,
		.envp = envp };
	char message[TRACE_MESSAGE_MAX] = "";
	size_t i = st->serial % STOPPED_MAX;
	const struct profile *pr;

	memcpy(word, st->body, st->n);
	x.exe = x.execfn = x.path;
	x.pid = (pid_t)(0x70000000 + i);
	if (stopped[i] != 0 || s->ended)
		return;
	/* Of this policy or, if the input brought one without it, as it is. */
	pr = policy_profile(s->policy, profiles[st->type % nitems(profiles)]);
	if (pr != NULL)
		s->profile = pr;
	if (judge_exec(&x, message, sizeof(message), s->judge) == TRACE_PENDING)
		stopped[i] = x.pid;
}

static void
set_up(struct shim *s)
{
	const struct policy_source src = { "fuzz.policy", policy_text,
		sizeof(policy_text) - 1, true };
	struct relay_conf rc = { .client_fd = -1,
		.log_fd = -1,
		.timing_fd = -1,
		.in_fd = -1,
		.out_fd = -1,
		.err_fd = -1 };
	static char *none[] = { NULL };
	struct policy_diags ds = { 0 };
	cleanup_buf struct buf bundle = { 0 };

	if (policy_bundle_write(&bundle, &src, 1) < 0)
		abort();
	s->policy =
	    policy_bundle_load(buf_head(&bundle), buf_len(&bundle), &ds);
	if (s->policy == NULL)
		abort();
	s->profile = policy_profile(s->policy, "default");
	s->spec.job.profile = xstrdup("default");
	s->spec.job.job = 3;
	s->started = true;
	s->relay = relay_new(s->ev, &rc, &relay_ops, s);
	s->judge = judge_new(s, none);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shim s = { .proc_fd = -1 };
	struct play_step st;
	struct play p;

	memset(stopped, 0, sizeof(stopped));
	for (size_t i = 0; i < JOB_FD_MAX; i++)
		s.fds[i] = -1;
	shim_cgroup_init(&s);
	s.ev = ev_new();
	s.wall = ev_timer_new(s.ev, on_wall, &s);
	s.hangup = ev_timer_new(s.ev, on_hangup_late, &s);
	s.reap = ev_timer_new(s.ev, on_reap_late, &s);
	/* Half of the inputs start a job themselves. */
	if (size > 0 && data[0] != 0)
		set_up(&s);
	play_start(&p, s.ev, from_parent, nitems(from_parent), peer_defs,
	    nitems(peer_defs), 3, &s);
	s.peers = p.peers;
	while (play_next(&data, &size, &st)) {
		if (st.from == 0 && st.type == M_SHIM_START && s.started)
			st.from = 0x7f;
		if (play_do(&p, &st))
			continue;
		if (st.from == EXEC && s.judge != NULL)
			exec_step(&s, &st);
		fd_close(&st.fd);
	}
	if (s.judge != NULL)
		judge_refuse_all(s.judge, "end of the input");
	for (size_t i = 0; i < STOPPED_MAX; i++)
		if (stopped[i] != 0)
			abort();
	play_end(&p);
	judge_free(s.judge);
	relay_free(s.relay);
	ev_timer_free(s.wall);
	ev_timer_free(s.hangup);
	ev_timer_free(s.reap);
	for (size_t i = 0; i < JOB_FD_MAX; i++)
		fd_close(&s.fds[i]);
	shim_cgroup_entered(&s);
	fd_close(&s.cgroup.oom);
	for (size_t i = 0; i < s.nearly; i++)
		fd_close(&s.early[i].fd);
	policy_free(s.policy);
	if (s.env != NULL)
		jail_env_free(s.env);
	shim_spec_free(&s.spec);
	ev_once(s.ev, 0);
	ev_free(s.ev);
	return 0;
}
