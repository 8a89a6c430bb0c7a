#include "inferd/engine_post.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

struct post {
	pthread_mutex_t lock;
	struct gen *gens, **gens_end;
	struct mail *mail, **mail_end;
	struct engine_stats stats;
	uint32_t *gone; /* spaces */
	size_t ngone, cap;
	bool quit;
	int to_engine, to_main; /* eventfds */
};

static int
event_fd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		fatal("eventfd");
	return fd;
}

struct post *
post_new(void)
{
	struct post *p = xcalloc(1, sizeof(*p));

	pthread_mutex_init(&p->lock, NULL);
	p->gens_end = &p->gens;
	p->mail_end = &p->mail;
	p->to_engine = event_fd();
	p->to_main = event_fd();
	return p;
}

void
post_free(struct post *p)
{
	struct mail *m;

	if (p == NULL)
		return;
	while ((m = p->mail) != NULL) {
		p->mail = m->next;
		free(m);
	}
	free(p->gone);
	pthread_mutex_destroy(&p->lock);
	close(p->to_engine);
	close(p->to_main);
	free(p);
}

static void
ring(int fd)
{
	const uint64_t one = 1;

	/* fails only when it has been rung without an answer 2^64 times */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

static void
hush(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return; /* it had not been rung */
}

void
post_gen(struct post *p, struct gen *g)
{
	g->posted = NULL;
	pthread_mutex_lock(&p->lock);
	*p->gens_end = g;
	p->gens_end = &g->posted;
	pthread_mutex_unlock(&p->lock);
	ring(p->to_engine);
}

void
post_stop(struct post *p, struct gen *g, enum gen_finish why)
{
	int going = GEN_GOING;

	if (atomic_compare_exchange_strong(&g->stop, &going, (int)why))
		ring(p->to_engine);
}

void
post_gone(struct post *p, uint32_t space)
{
	pthread_mutex_lock(&p->lock);
	if (p->ngone == p->cap) {
		p->cap = p->cap == 0 ? 16 : p->cap * 2;
		p->gone = xreallocarray(p->gone, p->cap, sizeof(*p->gone));
	}
	p->gone[p->ngone++] = space;
	pthread_mutex_unlock(&p->lock);
	ring(p->to_engine);
}

uint32_t
post_take_gone(struct post *p)
{
	uint32_t space = 0;

	pthread_mutex_lock(&p->lock);
	if (p->ngone > 0)
		space = p->gone[--p->ngone];
	pthread_mutex_unlock(&p->lock);
	return space;
}

void
post_quit(struct post *p)
{
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_mutex_unlock(&p->lock);
	ring(p->to_engine);
}

int
post_fd(const struct post *p)
{
	return p->to_main;
}

struct mail *
post_mail(struct post *p)
{
	struct mail *m;

	hush(p->to_main);
	pthread_mutex_lock(&p->lock);
	m = p->mail;
	p->mail = NULL;
	p->mail_end = &p->mail;
	pthread_mutex_unlock(&p->lock);
	return m;
}

void
post_stats(struct post *p, struct engine_stats *out)
{
	pthread_mutex_lock(&p->lock);
	*out = p->stats;
	pthread_mutex_unlock(&p->lock);
}

struct gen *
post_take(struct post *p, int timeout_ms, bool *quit)
{
	struct pollfd fd = { .fd = p->to_engine, .events = POLLIN };
	struct gen *g;

	if (timeout_ms != 0)
		poll(&fd, 1, timeout_ms);
	hush(p->to_engine);
	pthread_mutex_lock(&p->lock);
	g = p->gens;
	p->gens = NULL;
	p->gens_end = &p->gens;
	*quit = p->quit;
	pthread_mutex_unlock(&p->lock);
	return g;
}

static void
put(struct post *p, struct mail *m)
{
	bool first;

	m->next = NULL;
	pthread_mutex_lock(&p->lock);
	first = p->mail == NULL;
	*p->mail_end = m;
	p->mail_end = &m->next;
	pthread_mutex_unlock(&p->lock);
	if (first)
		ring(p->to_main);
}

/* n bytes and a NUL to *at, which is moved on; NULL stays NULL. */
static const char *
copy(char **at, const char *p, size_t n)
{
	char *to = *at;

	if (p == NULL)
		return NULL;
	memcpy(to, p, n);
	to[n] = '\0';
	*at += n + 1;
	return to;
}

static size_t
length(const char *s)
{
	return s == NULL ? 0 : strlen(s);
}

void
post_event(struct post *p, struct gen *g, const struct gen_event *e)
{
	const size_t nid = length(e->call_id), nstop = length(e->stop);
	const size_t ntokens = e->ntokens * sizeof(*e->tokens);
	struct mail *m = xmalloc(sizeof(*m) + ntokens + e->n + nid + nstop + 3);
	int32_t *tokens = (int32_t *)(m + 1);
	char *bytes = (char *)tokens + ntokens;

	*m = (struct mail){ .gen = g, .e = *e };
	if (ntokens > 0)
		m->e.tokens = memcpy(tokens, e->tokens, ntokens);
	m->e.p = copy(&bytes, e->p, e->n);
	m->e.call_id = copy(&bytes, e->call_id, nid);
	m->e.stop = copy(&bytes, e->stop, nstop);
	put(p, m);
}

void
post_charge(struct post *p, struct gen *g, uint64_t tokens, uint64_t cpu_us)
{
	struct mail *m = xcalloc(1, sizeof(*m));

	m->gen = g;
	m->charge = true;
	m->tokens = tokens;
	m->cpu_us = cpu_us;
	put(p, m);
}

void
post_stats_set(struct post *p, const struct engine_stats *s)
{
	pthread_mutex_lock(&p->lock);
	p->stats = *s;
	pthread_mutex_unlock(&p->lock);
}
