/*
 * Sources to policy, and the bundle in which sources travel.
 */
#include "policy/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define SOURCES_MAX 1024u
#define SOURCE_NAME_MAX 63u
#define SOURCE_MIN_BYTES 9u /* of one source in a bundle */

#define FNV_START 0xcbf29ce484222325ull
#define FNV_PRIME 0x100000001b3ull

static uint64_t
fnv(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ b[i]) * FNV_PRIME;
	return h;
}

static void
set_fingerprint(struct policy *p, const struct policy_source *srcs, size_t n)
{
	uint64_t h = FNV_START, len;
	uint8_t root;
	size_t i;

	for (i = 0; i < n; i++) {
		len = srcs[i].len;
		root = srcs[i].root;
		h = fnv(h, srcs[i].name, strlen(srcs[i].name) + 1);
		h = fnv(h, &root, sizeof(root));
		h = fnv(h, &len, sizeof(len));
		h = fnv(h, srcs[i].bytes, srcs[i].len);
	}
	(void)snprintf(p->fingerprint, sizeof(p->fingerprint), "%016llx",
	    (unsigned long long)h);
}

static bool
is_source_name(const char *s)
{
	size_t n = strlen(s), i;

	if (n == 0 || n > SOURCE_NAME_MAX)
		return false;
	for (i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f)
			return false;
	return true;
}

/* Take the sources over; sizes and names are checked before any parsing. */
static int
take_sources(struct load *ld, const struct policy_source *srcs, size_t n)
{
	struct pool *pl = &ld->p->pool;
	struct source *s;
	struct pos start;
	size_t i, k, total = 0;

	if (n > SOURCES_MAX) {
		diag_at(ld, NULL, "more than %u files", SOURCES_MAX);
		return -1;
	}
	ld->src = pool_alloc(pl, (n + 1) * sizeof(*ld->src));
	ld->nsrc = n;
	for (i = 0; i < n; i++) {
		s = &ld->src[i];
		s->name = pool_strdup(pl, srcs[i].name);
		s->root = srcs[i].root;
		s->raw = s->text = pool_alloc(pl, 1);
		start = (struct pos){ s, 0, 1, 1 };
		if (!is_source_name(s->name)) {
			s->name = "?";
			diag_at(ld, &start,
			    "the name of the file is empty, "
			    "longer than %u bytes or not plain ASCII",
			    SOURCE_NAME_MAX);
			continue;
		}
		for (k = 0; k < i; k++)
			if (strcmp(ld->src[k].name, s->name) == 0)
				diag_at(
				    ld, &start, "two files have the same name");
		if (srcs[i].len > POLICY_FILE_MAX ||
		    (total += srcs[i].len) > POLICY_BUNDLE_MAX) {
			diag_at(ld, &start,
			    "the file is longer than %u bytes "
			    "or all together than %u",
			    POLICY_FILE_MAX, POLICY_BUNDLE_MAX);
			continue;
		}
		s->len = srcs[i].len;
		s->raw = pool_strndup(pl, srcs[i].bytes, s->len);
		s->text = pool_strndup(pl, srcs[i].bytes, s->len);
	}
	return ld->ds->n > 0 ? -1 : 0;
}

struct policy *
policy_load(const struct policy_source *srcs, size_t n, struct policy_diags *ds)
{
	struct policy *p = xcalloc(1, sizeof(*p));
	struct load ld = { .p = p, .ds = ds };
	size_t i;

	memset(ds, 0, sizeof(*ds));
	p->base = pool_alloc(&p->pool, sizeof(*p->base));
	profile_base_init(p->base);
	if (take_sources(&ld, srcs, n) == 0) {
		set_fingerprint(p, srcs, n);
		for (i = 0; i < n; i++)
			if (ld.src[i].root && !ld.src[i].parsed)
				parse_source(&ld, &ld.src[i], p->base, 0);
		profiles_finish(&ld);
		if (ds->n == 0)
			run_tests(&ld);
	}
	if (ds->n > 0) {
		policy_free(p);
		return NULL;
	}
	return p;
}

void
policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	pool_free(&p->pool);
	free(p);
}

const char *
policy_fingerprint(const struct policy *p)
{
	return p->fingerprint;
}

int
policy_bundle_write(struct buf *b, const struct policy_source *srcs, size_t n)
{
	size_t i;

	if (n > SOURCES_MAX)
		return -1;
	buf_put_u32(b, (uint32_t)n);
	for (i = 0; i < n; i++) {
		buf_put_str(b, srcs[i].name);
		buf_put_u8(b, srcs[i].root ? 1 : 0);
		buf_put_blob(b, srcs[i].bytes, srcs[i].len);
	}
	return buf_failed(b) || buf_len(b) > POLICY_BUNDLE_MAX ? -1 : 0;
}

struct policy *
policy_bundle_load(const void *bytes, size_t n, struct policy_diags *ds)
{
	struct policy_source *srcs;
	struct policy *p = NULL;
	struct load ld = { .ds = ds };
	char **names;
	struct cur c;
	uint32_t count, i;

	memset(ds, 0, sizeof(*ds));
	cur_init(&c, bytes, n);
	count = cur_count(&c, SOURCES_MAX, SOURCE_MIN_BYTES);
	srcs = xcalloc(count + 1u, sizeof(*srcs));
	names = xcalloc(count + 1u, sizeof(*names));
	for (i = 0; i < count; i++) {
		names[i] = cur_str(&c, SOURCE_NAME_MAX);
		srcs[i].name = names[i];
		srcs[i].root = cur_bool(&c);
		srcs[i].bytes = cur_blob(&c, POLICY_FILE_MAX, &srcs[i].len);
	}
	if (n > POLICY_BUNDLE_MAX || cur_end(&c) < 0)
		diag_at(&ld, NULL, "the policy bundle is malformed");
	else
		p = policy_load(srcs, count, ds);
	for (i = 0; i < count; i++)
		free(names[i]);
	free(names);
	free(srcs);
	return p;
}
