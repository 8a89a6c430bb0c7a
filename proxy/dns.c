/*
 * The dns process: names to addresses for back.  getaddrinfo(3) blocks, so a
 * few threads call it; the loop's thread owns everything else.  Names that the
 * configuration maps ("resolve") never reach the resolver.
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

#define WORKERS 16u
/* A name server may take half a minute to say nothing, and a job may have one
 * of its own: half of the workers are for jobs that have few at work. */
#define WORKERS_KEPT 8u
#define JOB_FEW 2u
#define QUEUE_MAX 512u      /* names waiting or being looked up */
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
	uint32_t job, serial;
	struct answer answer;
	struct lookup *next;
};

struct queue {
	struct lookup *head, **tail;
};

struct dns {
	struct ev *ev;
	struct peers *peers;
	struct override *overrides;
	size_t noverrides;
	unsigned int busy; /* lookups in either queue or with a worker */
	int done_fd;       /* eventfd: results wait */
	struct ev_io *done_io;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct queue todo, done;
	uint32_t at_work[WORKERS]; /* jobs that are looked up for; 0: none */
	pthread_t threads[WORKERS];
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

/* How many workers look up for the job; *all: for any. */
static unsigned int
at_work(const struct dns *d, uint32_t job, unsigned int *all)
{
	unsigned int n = 0;

	*all = 0;
	for (size_t i = 0; i < WORKERS; i++) {
		*all += d->at_work[i] != 0;
		n += d->at_work[i] == job;
	}
	return n;
}

/* The first whose turn it is; *at is its place in at_work. */
static struct lookup *
take(struct dns *d, size_t *at)
{
	struct queue *q = &d->todo;
	unsigned int all;

	for (struct lookup **lp = &q->head; *lp != NULL; lp = &(*lp)->next) {
		struct lookup *l = *lp;

		if (at_work(d, l->job, &all) >= JOB_FEW &&
		    all >= WORKERS - WORKERS_KEPT)
			continue;
		*lp = l->next;
		if (l->next == NULL)
			q->tail = lp;
		for (*at = 0; d->at_work[*at] != 0;)
			++*at;
		d->at_work[*at] = l->job;
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
	size_t at;

	pthread_mutex_lock(&d->lock);
	for (;;) {
		l = take(d, &at);
		if (l == NULL) {
			pthread_cond_wait(&d->wake, &d->lock);
			continue;
		}
		pthread_mutex_unlock(&d->lock);
		look_up(l->name, &l->answer);
		pthread_mutex_lock(&d->lock);
		d->at_work[at] = 0;
		queue_push(&d->done, l);
		/* Fails only when the counter is full: the loop wakes then. */
		if (write(d->done_fd, &one, sizeof(one)) < 0)
			continue;
	}
	return NULL;
}

static void
start_workers(struct dns *d)
{
	pthread_attr_t attr;

	if (pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setstacksize(&attr, WORKER_STACK) != 0)
		fatalx("attributes of a thread");
	for (size_t i = 0; i < WORKERS; i++) {
		errno = pthread_create(&d->threads[i], &attr, worker, d);
		if (errno != 0)
			fatal("start a thread");
	}
	pthread_attr_destroy(&attr);
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
		struct peer *p = peers_find(d->peers, ROLE_BACK, l->job);

		if (p != NULL)
			send_answer(p->chan, l->job, l->serial, &l->answer);
		d->busy--;
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

static unsigned int
count(const struct queue *q, uint32_t job)
{
	unsigned int n = 0;

	for (const struct lookup *l = q->head; l != NULL; l = l->next)
		n += l->job == job;
	return n;
}

/* Is there no room for one more of the job? */
static bool
is_full(struct dns *d, uint32_t job)
{
	unsigned int n, all;

	pthread_mutex_lock(&d->lock);
	n = at_work(d, job, &all) + count(&d->todo, job) + count(&d->done, job);
	pthread_mutex_unlock(&d->lock);
	return d->busy >= QUEUE_MAX || n >= JOB_QUEUE_MAX;
}

static int
on_resolve(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct dns *d = p->owner;
	const struct answer *fixed;
	char name[P_HOST_MAX + 1];
	struct lookup *l;

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
	if (is_full(d, p->job)) {
		send_error(p, m->serial, "too many names are being looked up");
		return 0;
	}
	l = xcalloc(1, sizeof(*l));
	strlcpy(l->name, name, sizeof(l->name));
	l->job = p->job;
	l->serial = m->serial;
	d->busy++;
	pthread_mutex_lock(&d->lock);
	queue_push(&d->todo, l);
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

	queue_init(&d.todo);
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
