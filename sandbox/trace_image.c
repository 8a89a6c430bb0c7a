#include "sandbox/trace_image.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#define AUXV_MAX 128u

struct stack {
	const uint8_t *p;
	size_t n;
	uint64_t base;
};

/* The string at an address of the process, or NULL. */
static const char *
string_at(const struct stack *s, uint64_t addr, size_t *len)
{
	const uint8_t *start, *end;

	if (addr < s->base || addr - s->base >= s->n)
		return NULL;
	start = &s->p[addr - s->base];
	end = memchr(start, 0, s->n - (size_t)(addr - s->base));
	if (end == NULL)
		return NULL;
	*len = (size_t)(end - start) + 1;
	return (const char *)start;
}

/*
 * Pointers up to a NULL one, at most max.  Their number is bounded by the
 * bytes there are, since each takes eight.
 */
static const char **
pointers(const struct stack *s, struct cur *c, size_t *count, size_t *bytes)
{
	size_t cap = 16, n = 0, len = 0;
	const char **v = xcalloc(cap + 1, sizeof(*v));

	*bytes = 0;
	for (;;) {
		uint64_t addr = cur_u64(c);

		if (c->failed)
			break;
		if (addr == 0) {
			v[n] = NULL;
			*count = n;
			return v;
		}
		if (n == cap) {
			cap *= 2;
			v = xreallocarray(v, cap + 1, sizeof(*v));
		}
		v[n] = string_at(s, addr, &len);
		if (v[n++] == NULL)
			break;
		*bytes += len;
	}
	free(v);
	return NULL;
}

const char *
trace_image_parse(
    struct trace_image *im, const uint8_t *p, size_t n, uint64_t base)
{
	struct stack s = { p, n, base };
	struct cur c;
	uint64_t argc;
	size_t bytes = 0;

	memset(im, 0, sizeof(*im));
	im->execfn = "";
	cur_init(&c, p, n);
	argc = cur_u64(&c);
	im->argv = pointers(&s, &c, &im->argc, &im->argv_bytes);
	if (im->argv == NULL || im->argc != argc) {
		trace_image_free(im);
		return "its arguments cannot be read";
	}
	im->envp = pointers(&s, &c, &im->envc, &bytes);
	if (im->envp == NULL) {
		trace_image_free(im);
		return "its environment cannot be read";
	}
	for (unsigned int i = 0; i < AUXV_MAX; i++) {
		uint64_t type = cur_u64(&c), value = cur_u64(&c);
		const char *fn;

		if (c.failed || type == AT_NULL)
			break;
		if (type != AT_EXECFN)
			continue;
		fn = string_at(&s, value, &bytes);
		if (fn != NULL)
			im->execfn = fn;
	}
	return NULL;
}

void
trace_image_free(struct trace_image *im)
{
	free(im->argv);
	free(im->envp);
	im->argv = NULL;
	im->envp = NULL;
}
