#include "base/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"

struct secret {
	size_t len; /* of the value */
	size_t mapped;
	uint8_t *p;
};

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

		secret_free(s);
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
