/*
 * The dns process: names to addresses for back.  getaddrinfo(3) blocks, so
 * threads call it; the loop's thread owns everything else.  Names that the
 * configuration maps ("resolve") never reach the resolver.
 *
 * A name server may take half a minute to say nothing, and jobs may choose
 * names of such a one, any number of jobs together.  So jobs take turns, and
 * for a job that has nothing at work there is always a thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/peer.h"
#include "base/str.h"
#include "proxy/roles.h"

/* Threads that are always there, and those that jobs with nothing at work may
 * have made. */
#define WORKERS 16u
#define WORKERS_MAX (WORKERS + P_JOBS_MAX)
/* Half of the first are for jobs that have few at work. */
#define WORKERS_KEPT 8u
#define JOB_FEW 2u
#define QUEUE_MAX 512u      /* names waiting or being looked up... */
#define JOB_QUEUE_KEPT 8u   /* ...beyond which a job may have so many */
#define JOB_QUEUE_MAX 64u   /* of one job */
#define ADDRESSES_MAX 16u   /* of one name; more are dropped */
#define OVERRIDES_MAX 1024u /* names with a fixed answer */
#define CONFIG_MAX 4096u
#define WORKER_STACK (256u * 1024)

struct address {
	uint8_t family; /* 4 or 6 */
	uint8_t bytes[16];
};

struct answer {
	struct address a[ADDRESSES_MAX];
	uint32_t n;
	char error[128]; /* "" if all is well */
};

struct override {
	char name[P_HOST_MAX + 1];
	struct answer answer;
};

/* One name on its way.  Written by one thread at a time. */
struct lookup {
	char name[P_HOST_MAX + 1];
	struct job *job;
	uint32_t serial;
	struct answer answer;
	struct lookup *next;
};

struct queue {
	struct lookup *head, **tail;
};

/* One that has a name on its way. */
struct job {
	struct job *next;
	uint32_t id;
	unsigned int n; /* names on their way; the loop's thread alone */
	/* Under the lock. */
	unsigned int at_work;
	struct queue todo;
	struct job *turn; /* of those with something in todo: the next */
};

struct dns {
	struct ev *ev;
	struct peers *peers;
	struct override *overrides;
	size_t noverrides;
	struct job *jobs;
	unsigned int busy; /* lookups in a queue or with a worker */
	int done_fd;       /* eventfd: results wait */
	struct ev_io *done_io;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct job *turns, **last; /* who is next */
	struct queue done;
	unsigned int workers, at_work;
};

static void
queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static void
queue_push(struct queue *q, struct lookup *l)
{
	l->next = NULL;
	*q->tail = l;
	q->tail = &l->next;
}

static struct lookup *
queue_pop(struct queue *q)
{
	struct lookup *l = q->head;

	if (l != NULL) {
		q->head = l->next;
		if (q->head == NULL)
			q->tail = &q->head;
	}
	return l;
}

/* ---- looking up --------------------------------------------------------- */

static void
add_address(struct answer *a, uint8_t family, const void *bytes)
{
	size_t n = family == 4 ? 4 : 16;

	for (uint32_t i = 0; i < a->n; i++) {
		if (a->a[i].family == family &&
		    memcmp(a->a[i].bytes, bytes, n) == 0)
			return;
	}
	if (a->n == ADDRESSES_MAX)
		return;
	a->a[a->n].family = family;
	memcpy(a->a[a->n].bytes, bytes, n);
	a->n++;
}

static void
look_up(const char *name, struct answer *a)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	int e = getaddrinfo(name, NULL, &hints, &list);
	char text[96];

	if (e != 0) {
		strlcpy(a->error,
		    e == EAI_SYSTEM ? strerror_r(errno, text, sizeof(text))
				    : gai_strerror(e),
		    sizeof(a->error));
		return;
	}
	for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		if (ai->ai_family == AF_INET) {
			struct sockaddr_in sin;

			memcpy(&sin, ai->ai_addr, sizeof(sin));
			add_address(a, 4, &sin.sin_addr);
		} else if (ai->ai_family == AF_INET6) {
			struct sockaddr_in6 sin6;

			memcpy(&sin6, ai->ai_addr, sizeof(sin6));
			add_address(a, 6, &sin6.sin6_addr);
		}
	}
	freeaddrinfo(list);
	if (a->n == 0)
		strlcpy(a->error, "the name has no address", sizeof(a->error));
}

static void
turns_add(struct dns *d, struct job *j)
{
	j->turn = NULL;
	*d->last = j;
	d->last = &j->turn;
}

static bool
may_work(const struct dns *d, const struct job *j)
{
	return j->at_work == 0 || d->at_work < WORKERS - WORKERS_KEPT ||
	       (j->at_work < JOB_FEW && d->at_work < WORKERS);
}

/* The next whose turn it is, and then that of another job. */
static struct lookup *
take(struct dns *d)
{
	struct lookup *l;
	struct job *j;

	for (struct job **jp = &d->turns; (j = *jp) != NULL; jp = &j->turn) {
		if (!may_work(d, j))
			continue;
		*jp = j->turn;
		if (j->turn == NULL)
			d->last = jp;
		l = queue_pop(&j->todo);
		if (j->todo.head != NULL)
			turns_add(d, j);
		j->at_work++;
		d->at_work++;
		return l;
	}
	return NULL;
}

static void *
worker(void *arg)
{
	struct dns *d = arg;
	uint64_t one = 1;
	struct lookup *l;

	pthread_mutex_lock(&d->lock);
	for (;;) {
		l = take(d);
		if (l == NULL && d->workers > WORKERS)
			break;
		if (l == NULL) {
			pthread_cond_wait(&d->wake, &d->lock);
			continue;
		}
		pthread_mutex_unlock(&d->lock);
		look_up(l->name, &l->answer);
		pthread_mutex_lock(&d->lock);
		l->job->at_work--;
		d->at_work--;
		queue_push(&d->done, l);
		/* Fails only when the counter is full: the loop wakes then. */
		if (write(d->done_fd, &one, sizeof(one)) < 0)
			continue;
	}
	d->workers--;
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* With the lock.  -1 and errno when there cannot be one more. */
static int
start_worker(struct dns *d)
{
	pthread_attr_t attr;
	pthread_t t;

	if (pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setstacksize(&attr, WORKER_STACK) != 0 ||
	    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0)
		fatalx("attributes of a thread");
	errno = pthread_create(&t, &attr, worker, d);
	pthread_attr_destroy(&attr);
	if (errno != 0)
		return -1;
	d->workers++;
	return 0;
}

static void
start_workers(struct dns *d)
{
	pthread_mutex_lock(&d->lock);
	while (d->workers < WORKERS)
		if (start_worker(d) < 0)
			fatal("start a thread");
	pthread_mutex_unlock(&d->lock);
}

/* A thread for each job that has something to do and nothing at work. */
static void
start_more(struct dns *d)
{
	unsigned int need = d->at_work;

	for (const struct job *j = d->turns; j != NULL; j = j->turn)
		need += j->at_work == 0;
	while (d->workers < need && d->workers < WORKERS_MAX)
		if (start_worker(d) < 0) {
			log_warn("start a thread");
			break;
		}
}

/* ---- answering ---------------------------------------------------------- */

static void
send_answer(
    struct chan *c, uint32_t job, uint32_t serial, const struct answer *a)
{
	bool ok = a->error[0] == '\0';
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, ok);
	buf_put_str(&b, a->error);
	buf_put_u32(&b, ok ? a->n : 0);
	for (uint32_t i = 0; ok && i < a->n; i++) {
		buf_put_u8(&b, a->a[i].family);
		buf_put(&b, a->a[i].bytes, a->a[i].family == 4 ? 4 : 16);
	}
	chan_send(c, M_RESOLVED, job, serial, &b, -1);
	buf_free(&b);
}

static struct job *
job_get(struct dns *d, uint32_t id)
{
	struct job *j;

	for (j = d->jobs; j != NULL && j->id != id;)
		j = j->next;
	if (j == NULL) {
		j = xcalloc(1, sizeof(*j));
		j->id = id;
		queue_init(&j->todo);
		j->next = d->jobs;
		d->jobs = j;
	}
	j->n++;
	return j;
}

static void
job_drop(struct dns *d, struct job *j)
{
	struct job **jp;

	if (--j->n > 0)
		return;
	for (jp = &d->jobs; *jp != j;)
		jp = &(*jp)->next;
	*jp = j->next;
	free(j);
}

static void
on_done(int fd, unsigned int events, void *arg)
{
	struct dns *d = arg;
	struct queue done;
	struct lookup *l;
	uint64_t n;

	(void)events;
	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		fatal("read eventfd");
	pthread_mutex_lock(&d->lock);
	done = d->done;
	if (done.head == NULL)
		done.tail = &done.head;
	queue_init(&d->done);
	pthread_mutex_unlock(&d->lock);
	while ((l = queue_pop(&done)) != NULL) {
		/* Its back may be gone, or be another one by now: a serial
		 * that it does not know is ignored there. */
		struct peer *p = peers_find(d->peers, ROLE_BACK, l->job->id);

		if (p != NULL)
			send_answer(p->chan, p->job, l->serial, &l->answer);
		d->busy--;
		job_drop(d, l->job);
		free(l);
	}
}

static const struct answer *
fixed_answer(const struct dns *d, const char *name)
{
	for (size_t i = 0; i < d->noverrides; i++) {
		if (str_eq(d->overrides[i].name, name))
			return &d->overrides[i].answer;
	}
	return NULL;
}

static void
send_error(struct peer *p, uint32_t serial, const char *text)
{
	struct answer a = { .n = 0 };

	strlcpy(a.error, text, sizeof(a.error));
	send_answer(p->chan, p->job, serial, &a);
}

/* Is there no room for what the job asks? */
static bool
is_full(const struct dns *d, const struct job *j)
{
	return j->n > JOB_QUEUE_MAX ||
	       (d->busy >= QUEUE_MAX && j->n > JOB_QUEUE_KEPT);
}

static int
on_resolve(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct dns *d = p->owner;
	const struct answer *fixed;
	char name[P_HOST_MAX + 1];
	struct lookup *l;
	struct job *j;

	(void)c;
	cur_str_into(&m->body, name, sizeof(name));
	if (cur_end(&m->body) < 0)
		return -1;
	str_lower(name);
	if (!str_is_hostname(name)) {
		send_error(p, m->serial, "not a host name");
		return 0;
	}
	fixed = fixed_answer(d, name);
	if (fixed != NULL) {
		send_answer(p->chan, p->job, m->serial, fixed);
		return 0;
	}
	j = job_get(d, p->job);
	if (is_full(d, j)) {
		send_error(p, m->serial, "too many names are being looked up");
		job_drop(d, j);
		return 0;
	}
	l = xcalloc(1, sizeof(*l));
	strlcpy(l->name, name, sizeof(l->name));
	l->job = j;
	l->serial = m->serial;
	d->busy++;
	pthread_mutex_lock(&d->lock);
	if (j->todo.head == NULL)
		turns_add(d, j);
	queue_push(&j->todo, l);
	start_more(d);
	pthread_cond_signal(&d->wake);
	pthread_mutex_unlock(&d->lock);
	return 0;
}

/* ---- configuration ------------------------------------------------------ */

static int
add_literal(struct answer *a, const char *text)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1)
		add_address(a, 4, bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		add_address(a, 6, bytes);
	else
		return -1;
	return 0;
}

/* "NAME ADDR[,ADDR...]"; 0, or -1 for anything else. */
static int
override_parse(char *value, struct override *o)
{
	char *addrs = strchr(value, ' '), *next;

	if (addrs == NULL)
		return -1;
	*addrs++ = '\0';
	str_lower(value);
	if (!str_is_hostname(value) ||
	    strlcpy(o->name, value, sizeof(o->name)) >= sizeof(o->name))
		return -1;
	for (; addrs != NULL; addrs = next) {
		next = strchr(addrs, ',');
		if (next != NULL)
			*next++ = '\0';
		if (add_literal(&o->answer, addrs) < 0)
			return -1;
	}
	return 0;
}

static int
override_add(struct dns *d, char *value)
{
	struct override o = { .name = "" };

	if (d->noverrides == OVERRIDES_MAX || override_parse(value, &o) < 0)
		return -1;
	d->overrides = xreallocarray(
	    d->overrides, d->noverrides + 1, sizeof(*d->overrides));
	d->overrides[d->noverrides++] = o;
	return 0;
}

static int
on_config(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct dns *d = p->owner;
	uint32_t n = cur_count(&m->body, CONFIG_MAX, 8);

	(void)c;
	/* A new configuration replaces the old one whole. */
	d->noverrides = 0;
	for (uint32_t i = 0; i < n; i++) {
		cleanup_free char *key = cur_str(&m->body, P_TEXT_MAX);
		cleanup_free char *value = cur_str(&m->body, P_TEXT_MAX);

		if (key == NULL || value == NULL)
			return -1;
		if (str_eq(key, "resolve") && override_add(d, value) < 0)
			return -1;
		if (str_eq(key, "log-level"))
			log_set_level_name(value);
	}
	return cur_end(&m->body);
}

/* ---- the process -------------------------------------------------------- */

static const struct msg_rule from_parent[] = {
	{ M_CONFIG, MSG_ALLOWED, on_config },
};

static const struct msg_rule from_back[] = {
	{ M_RESOLVE, MSG_ALLOWED, on_resolve },
};

static const struct peer_def peers[] = {
	{ ROLE_BACK, from_back, nitems(from_back), NULL, NULL },
};

void
dns_preinit(void)
{
	struct addrinfo *list = NULL;

	/*
	 * Makes libc read its name service configuration and load the modules
	 * it names, which the filter would not let it map later.  The result
	 * does not matter.
	 */
	if (getaddrinfo("localhost", NULL, NULL, &list) == 0)
		freeaddrinfo(list);
}

void
dns_main(void)
{
	struct dns d = { .done_fd = -1 };

	d.last = &d.turns;
	queue_init(&d.done);
	pthread_mutex_init(&d.lock, NULL);
	pthread_cond_init(&d.wake, NULL);
	d.ev = ev_new();
	d.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d.done_fd < 0)
		fatal("eventfd");
	d.done_io = ev_io_new(d.ev, d.done_fd, EV_READ, on_done, &d);
	d.peers = peers_new(d.ev, PARENT_FD, from_parent, nitems(from_parent),
	    peers, nitems(peers), &d);
	start_workers(&d);
	peers_ready(d.peers);
	ev_run(d.ev);
	/*
	 * A worker may be inside getaddrinfo for half a minute: the process
	 * ends under it instead of waiting.
	 */
	_exit(0);
}
