#include "inferd/serve.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/str.h"
#include "inferd/confine.h"
#include "inferd/record.h"
#include "inferd/server.h"
#include "inferd/sockets.h"

#define NAME_MAX_TEXT 128 /* a place to listen at */
/* For answers that were cut off to be read by their clients. */
#define STOP_MS 2000u
#define FILES_MIN (SERVER_CONNS_MAX + 256u)

struct service {
	const struct serve_opts *o;
	struct ev *ev;
	struct backend backend;
	struct agents *agents;
	struct replay *replay;
	struct record *record;
	struct public_set *publics;
	struct server *server;
	char *name;
	int notify;
	struct ev_timer *watchdog, *stop;
	bool stopping, over;
};

bool
serve_has_sockets(void)
{
	return getenv("LISTEN_FDS") != NULL;
}

/* The file's name without what says that it is a model. */
static char *
name_of(const char *path)
{
	const char *base = strrchr(path, '/');
	size_t n, k;

	base = base == NULL ? path : base + 1;
	n = strlen(base);
	if (str_ends(base, ".gguf"))
		n -= strlen(".gguf");
	/* NAME-00001-of-00003 */
	k = strlen("-00001-of-00001");
	if (n > k && memcmp(base + n - k, "-00001-of-", k - 5) == 0)
		n -= k;
	return xstrndup(base, n);
}

static void
more_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= FILES_MIN)
		return;
	r.rlim_cur = r.rlim_max < FILES_MIN ? r.rlim_max : FILES_MIN;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

static void
add_listener(struct service *s, int fd)
{
	char where[NAME_MAX_TEXT];

	sockets_name(fd, where, sizeof(where));
	log_info("%s at %s", s->name, where);
	server_listen(s->server, fd);
}

/* All of them are there before one is accepted on, and before the process may
 * make no more. */
static int
listen_everywhere(struct service *s, struct error *err)
{
	const struct serve_opts *o = s->o;
	int fds[SOCKETS_MAX], fd, n = sockets_inherited(fds, err);

	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++)
		add_listener(s, fds[i]);
	if (o->socket != NULL) {
		fd = listen_unix(o->socket, (uid_t)-1, o->socket_group,
		    o->socket_mode, SERVER_BACKLOG, err);
		if (fd < 0)
			return -1;
		add_listener(s, fd);
	}
	if (o->tcp != NULL) {
		fd = sockets_tcp(o->tcp, SERVER_BACKLOG, err);
		if (fd < 0)
			return -1;
		add_listener(s, fd);
	}
	if (n == 0 && o->socket == NULL && o->tcp == NULL)
		return error_set(err, 0, "no socket to listen on");
	return 0;
}

/* ---- what happens while it runs ----------------------------------------- */

static void
on_watchdog(void *arg)
{
	struct service *s = arg;

	notify_on(s->notify, "WATCHDOG=1");
	ev_timer_set(s->watchdog, notify_watchdog_ms());
}

static void
on_stop_over(void *arg)
{
	struct service *s = arg;

	s->over = true;
}

static void
on_signal(int signo, void *arg)
{
	struct service *s = arg;

	(void)signo;
	/* The second one is from somebody in a hurry. */
	if (s->stopping)
		s->over = true;
	s->stopping = true;
	if (s->over)
		return;
	log_info("stopping");
	notify_on(s->notify, "STOPPING=1");
	ev_timer_set(s->stop, STOP_MS);
}

static int
read_publics(struct service *s, const struct server_opts *so, struct error *err)
{
	const struct prompt_maker m = { .tok = so->tok,
		.vocab = so->vocab,
		.family = so->family,
		.keep_volatile = so->keep_volatile };

	s->publics = public_new(&m);
	for (size_t i = 0; i < s->o->npublics; i++)
		if (public_add(s->publics, s->o->publics[i], err) < 0)
			return -1;
	return 0;
}

static int
open_record(struct service *s, struct server_opts *so, struct error *err)
{
	const struct serve_opts *o = s->o;

	for (size_t i = 0; i < o->nagent_steer; i++) {
		const char *class = strrchr(o->agent_steer[i], '=');

		if (class == NULL ||
		    steers_find(s->backend.steers, class + 1) == NULL)
			return error_set(err, 0,
			    "--agent-steer: %s does not name a class of "
			    "--steer",
			    o->agent_steer[i]);
	}
	so->agent_steer = o->agent_steer;
	so->nagent_steer = o->nagent_steer;
	so->model_id = model_id(s->backend.model);
	so->kv = tensor_type_info(o->backend.engine.kv_type)->name;
	if (o->record == NULL)
		return 0;
	so->record = s->record = record_open(o->record, o->record_text, err);
	return s->record == NULL ? -1 : 0;
}

static void
on_gone(uint32_t space, void *arg)
{
	struct service *s = arg;

	replay_forget(s->replay, space);
	engine_gone(s->backend.engine, space);
}

static int
prepare(struct service *s, struct error *err)
{
	const struct serve_opts *o = s->o;
	struct server_opts so = { .loop_max = o->loop_max,
		.keep_volatile = o->keep_volatile,
		.has_supervisor = o->has_supervisor,
		.supervisor = o->supervisor };

	if (backend_open(&s->backend, &o->backend, s->ev, err) < 0)
		return -1;
	s->agents = agents_new(&o->budget);
	so.engine = s->backend.engine;
	so.agents = s->agents;
	so.tok = s->backend.tok;
	so.vocab = &model_table(s->backend.model)->vocab;
	so.family = s->backend.family;
	so.model = s->name;
	so.replay = s->replay = replay_new(REPLAY_BYTES, REPLAY_TURNS);
	agents_on_gone(s->agents, on_gone, s);
	if (read_publics(s, &so, err) < 0 || open_record(s, &so, err) < 0)
		return -1;
	so.publics = s->publics;
	/* Until here they end it at once: a model may take minutes to load.
	 * Threads that there are have blocked them. */
	ev_signal(s->ev, SIGTERM, on_signal, s);
	ev_signal(s->ev, SIGINT, on_signal, s);
	s->server = server_new(s->ev, &so);
	if (listen_everywhere(s, err) < 0)
		return -1;
	s->notify = notify_open();
	if (o->no_confine)
		log_warnx("not confined, as told by --no-confine");
	else if (confine(o->backend.engine.cache_dir, err) < 0)
		return -1;
	return 0;
}

static void
run(struct service *s)
{
	notify_on(s->notify, "READY=1");
	if (notify_watchdog_ms() > 0)
		on_watchdog(s);
	while (!s->stopping)
		ev_once(s->ev, -1);
	server_stop(s->server);
	while (!s->over && !server_idle(s->server))
		ev_once(s->ev, -1);
}

int
serve(const struct serve_opts *o)
{
	struct service s = { .o = o, .notify = -1 };
	struct error err = { 0 };
	int rc;

	log_init("inferd", LOG_LEVEL_INFO);
	more_files();
	s.name = o->name != NULL ? xstrdup(o->name) : name_of(o->backend.model);
	s.ev = ev_new();
	s.watchdog = ev_timer_new(s.ev, on_watchdog, &s);
	s.stop = ev_timer_new(s.ev, on_stop_over, &s);
	/* A file that may not grow is an error, as a full disk is. */
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		fatal("signal SIGXFSZ");
	rc = prepare(&s, &err);
	if (rc == 0)
		run(&s);
	else
		fprintf(stderr, "inferd: %s\n", err.msg);
	if (s.server != NULL)
		server_close(s.server);
	backend_close(&s.backend);
	server_free(s.server);
	replay_free(s.replay);
	record_close(s.record);
	public_free(s.publics);
	agents_free(s.agents);
	ev_timer_free(s.watchdog);
	ev_timer_free(s.stop);
	/* What was closed is freed at the end of a round. */
	ev_once(s.ev, 0);
	ev_free(s.ev);
	fd_close(&s.notify);
	free(s.name);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
