#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"

/* A request takes a secret or two for as long as it lasts, and a fresh page
 * for each costs five system calls. */
#define SPARE_MAX 16u

static void *spare[SPARE_MAX];
static size_t nspare;

struct secret {
	size_t len; /* of the value */
	size_t mapped;
	uint8_t *p;
};

/* They are not there in a child. */
static void
forget_spare(void)
{
	nspare = 0;
}

static bool
keep_spare(void *p)
{
	static bool registered;

	if (nspare == SPARE_MAX)
		return false;
	if (!registered && pthread_atfork(NULL, NULL, forget_spare) != 0)
		return false;
	registered = true;
	spare[nspare++] = p;
	return true;
}

struct secret *
secret_alloc(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct secret *s;
	void *p;

	if (n == 0 || n > SECRET_MAX) {
		errno = EINVAL;
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	s->len = n;
	s->mapped = (n + page - 1) / page * page;
	if (s->mapped == page && nspare > 0) {
		s->p = spare[--nspare];
		return s;
	}
	p = mmap(NULL, s->mapped, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		str_cleanup_free(&s);
		return NULL;
	}
	s->p = p;
	/*
	 * Locking can fail under a small RLIMIT_MEMLOCK; a value that could
	 * be swapped out is not one we hold.
	 */
	if (mlock(p, s->mapped) < 0 ||
	    madvise(p, s->mapped, MADV_DONTDUMP) < 0 ||
	    madvise(p, s->mapped, MADV_DONTFORK) < 0) {
		int saved = errno;

		munmap(p, s->mapped);
		str_cleanup_free(&s);
		errno = saved;
		return NULL;
	}
	return s;
}

struct secret *
secret_new(const void *p, size_t n)
{
	struct secret *s = secret_alloc(n);

	if (s != NULL)
		memcpy(s->p, p, n);
	return s;
}

void
secret_free(struct secret *s)
{
	if (s == NULL)
		return;
	explicit_bzero(s->p, s->mapped);
	if (s->mapped != (size_t)sysconf(_SC_PAGESIZE) || !keep_spare(s->p))
		munmap(s->p, s->mapped);
	str_cleanup_free(&s);
}

void
secret_cleanup(struct secret **s)
{
	secret_free(*s);
	*s = NULL;
}

uint8_t *
secret_data(struct secret *s)
{
	return s->p;
}

const uint8_t *
secret_bytes(const struct secret *s)
{
	return s->p;
}

size_t
secret_len(const struct secret *s)
{
	return s->len;
}

bool
secret_equal(const struct secret *a, const struct secret *b)
{
	unsigned int diff = 0;

	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		diff |= (unsigned int)(a->p[i] ^ b->p[i]);
	return diff == 0;
}
