/*
 * brig-calls TABLE COLUMN: compare syscalls.tab with the filter that this
 * process is under.  Run in a jail; with the column "none" outside of one, as
 * the control: nothing may be refused there.
 *
 * No call is really made.  A child adds a filter of its own that asks a
 * listener (SECCOMP_RET_USER_NOTIF) about the one call; of several filters the
 * more restrictive answer counts, and every refusal is more restrictive than
 * asking.  So the listener hears of the call exactly if the jail permits it,
 * and answers it with an errno that means that.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compat.h"
#include "base/str.h"
#include "sandbox/calltab.h"

#define MAGIC 0x6272696770726f62ULL /* the sixth argument of what we try */
#define ALLOWED 200 /* an errno that no kernel gives, and exit status */
#define BROKEN 201
#define SIGNALLED 256 /* + the signal */
#define WALK_MAX 1024
#define MIXES 64 /* of argument values, per call that has rules */
#define VALUES_MAX 256

static atomic_int listener = -1;

static void *
answer(void *arg)
{
	struct seccomp_notif req;
	struct seccomp_notif_resp resp;
	bool told = false;
	int fd;

	while ((fd = atomic_load(&listener)) < 0)
		(void)usleep(10);
	for (;;) {
		memset(&req, 0, sizeof(req));
		memset(&resp, 0, sizeof(resp));
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req) < 0)
			continue;
		resp.id = req.id;
		/* What libc does to end the child is let through; the mark
		 * may still be in its register. */
		if (req.data.args[5] == MAGIC && !told)
			resp.error = -ALLOWED;
		else
			resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		told = true;
		(void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
	}
	return arg;
}

static void attempt(long nr, const uint64_t a[CALL_ARGS_MAX])
    __attribute__((noreturn));

static void
attempt(long nr, const uint64_t a[CALL_ARGS_MAX])
{
	struct sock_filter insn[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { nitems(insn), insn };
	pthread_t t;
	long fd, r;

	(void)alarm(20);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    pthread_create(&t, NULL, answer, NULL) != 0)
		_exit(BROKEN);
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	if (fd < 0)
		_exit(BROKEN);
	atomic_store(&listener, (int)fd);
	r = syscall(nr, a[0], a[1], a[2], a[3], a[4], MAGIC);
	_exit(r < 0 && errno <= ALLOWED ? errno : BROKEN);
}

/* ALLOWED, an errno, BROKEN, or SIGNALLED and the signal. */
static int
observe(long nr, const uint64_t a[CALL_ARGS_MAX])
{
	pid_t pid;
	int st;

	(void)fflush(stdout);
	if ((pid = fork()) == 0)
		attempt(nr, a);
	if (pid < 0 || waitpid(pid, &st, 0) != pid)
		return BROKEN;
	return WIFSIGNALED(st) ? SIGNALLED + WTERMSIG(st) : WEXITSTATUS(st);
}

static const char *
say(int answer, char buf[32])
{
	const char *name = answer == CALL_ALLOW || answer == ALLOWED
			       ? "allow"
			       : strerrorname_np(answer);

	if (answer >= SIGNALLED)
		(void)snprintf(buf, 32, "signal %d", answer - SIGNALLED);
	else
		(void)snprintf(buf, 32, "%s", name != NULL ? name : "broken");
	return buf;
}

struct walk {
	bool control; /* outside a jail */
	enum call_column col;
	unsigned int bad, calls, mixes;
};

static void
compare(struct walk *w, const char *name, long nr, int want,
    const uint64_t a[CALL_ARGS_MAX])
{
	int got = observe(nr, a);
	char x[32], y[32];

	if (w->control)
		want = CALL_ALLOW;
	if (got == ALLOWED)
		got = CALL_ALLOW;
	/* The kernel lets its own trampolines past every filter (6.14), and
	 * turns whoever else calls them away. */
	if (strstr(name, "probe") != NULL &&
	    (got == SIGNALLED + SIGILL || got == ENXIO))
		got = CALL_ALLOW;
	if (got == want)
		return;
	w->bad++;
	(void)printf("%ld %s(%#llx, %#llx, %#llx, %#llx): wanted %s, got %s\n",
	    nr, name, (unsigned long long)a[0], (unsigned long long)a[1],
	    (unsigned long long)a[2], (unsigned long long)a[3], say(want, x),
	    say(got, y));
}

static uint64_t
next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return *seed >> 33;
}

/* Values at and beside those that the rules name, with and without high bits
 * and bits outside the mask. */
static size_t
values(const struct call *c, unsigned int arg, uint64_t v[VALUES_MAX])
{
	size_t i, n = 0;
	unsigned int j;

	v[n++] = 0;
	v[n++] = UINT64_MAX;
	for (i = 0; i < c->nrules; i++)
		for (j = 0; j < c->rules[i].ncmp; j++) {
			const struct call_cmp *k = &c->rules[i].cmp[j];

			if (k->arg != arg || n + 4 > VALUES_MAX)
				continue;
			v[n++] = k->value;
			v[n++] = k->value + 1ULL;
			v[n++] = k->value | 0xdeadbeef00000000ULL;
			v[n++] = k->value | (~k->mask & 0x80801u);
		}
	return n;
}

static void
compare_rules(struct walk *w, const struct call *c)
{
	static uint64_t pool[CALL_ARGS_MAX][VALUES_MAX];
	uint64_t a[CALL_ARGS_MAX], seed = (uint64_t)c->nr[1] + 7;
	size_t n[CALL_ARGS_MAX], i;
	unsigned int j;

	for (j = 0; j < CALL_ARGS_MAX; j++)
		n[j] = values(c, j, pool[j]);
	/* Each rule on its own, then anything with anything. */
	for (i = 0; i < c->nrules + MIXES; i++) {
		for (j = 0; j < CALL_ARGS_MAX; j++)
			a[j] = i < c->nrules ? 0 : pool[j][next(&seed) % n[j]];
		for (j = 0; i < c->nrules && j < c->rules[i].ncmp; j++) {
			const struct call_cmp *k = &c->rules[i].cmp[j];

			a[k->arg] = k->value + (k->op == CALL_EQ ? 0 : 1ULL);
		}
		w->mixes++;
		compare(w, c->name, call_nr(c), call_answer(c, w->col, a), a);
	}
}

int
main(int argc, char **argv)
{
	static const char *const columns[] = { "default", "strict", "nested" };
	static const uint64_t none[CALL_ARGS_MAX];
	static const long far[] = { 4095, 65535, 0x3fffffff };
	const struct call *at[WALK_MAX] = { NULL };
	struct walk w = { .control = true };
	struct error err = { 0 };
	struct calltab t;
	size_t i;

	if (argc != 3 || calltab_read(&t, argv[1], &err) < 0) {
		(void)fprintf(stderr, "usage: brig-calls table column%s%s\n",
		    argc == 3 ? ": " : "", argc == 3 ? err.msg : "");
		return 2;
	}
	for (i = 0; i < nitems(columns); i++)
		if (str_eq(argv[2], columns[i])) {
			w.col = (enum call_column)i;
			w.control = false;
		}
	for (i = 0; i < t.ncalls; i++)
		if (call_nr(&t.calls[i]) >= 0 &&
		    call_nr(&t.calls[i]) < WALK_MAX)
			at[call_nr(&t.calls[i])] = &t.calls[i];
	for (i = 0; i < WALK_MAX; i++) {
		w.calls++;
		compare(&w, at[i] != NULL ? at[i]->name : "unknown", (long)i,
		    at[i] != NULL ? call_answer(at[i], w.col, none) : ENOSYS,
		    none);
		if (at[i] != NULL && at[i]->nrules > 0)
			compare_rules(&w, at[i]);
	}
	for (i = 0; i < nitems(far); i++, w.calls++)
		compare(&w, "unknown", far[i], ENOSYS, none);
#if defined(__x86_64__)
	/* The bit of x32, with known and unknown numbers. */
	static const long x32[] = { 0x40000000, 0x40000001, 0x40000027,
		0x400001ff, 0x40000200, 0x7fffffff };

	for (i = 0; i < nitems(x32); i++, w.calls++)
		compare(&w, "x32", x32[i], SIGNALLED + SIGSYS, none);
#endif
	(void)printf("%u calls, %u argument lists, %u differ\n", w.calls,
	    w.mixes, w.bad);
	calltab_free(&t);
	return w.bad == 0 ? 0 : 1;
}
