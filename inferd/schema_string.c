#include "inferd/schema_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/pattern.h"

#define YEAR "[0-9]{4}"
#define LEAP                                                                   \
	"([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])"  \
	"00)"
#define DATE                                                                   \
	"(" YEAR "-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-"    \
	"(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|" LEAP "-02-29)"
#define HOURS "([01][0-9]|2[0-3]):[0-5][0-9]"
#define TIME HOURS ":[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]" HOURS ")"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define HEX "[0-9a-fA-F]"
#define ATOM "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}"
#define LABEL "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"

/*
 * Of JSON Schema's formats those that are enforced; by RFC 3339 (without leap
 * seconds), 4122, 2673, and of addresses (RFC 5321) the usual ones.  Others
 * are what the standard takes all for: remarks.
 */
static const struct {
	const char *name, *pattern;
} formats[] = {
	{ "date", "^" DATE "$" },
	{ "date-time", "^" DATE "T" TIME "$" },
	{ "email", "^" ATOM "(\\." ATOM ")*@" LABEL "(\\." LABEL ")+$" },
	{ "ipv4", "^" BYTE "(\\." BYTE "){3}$" },
	{ "time", "^" TIME "$" },
	{ "uuid", "^" HEX "{8}(-" HEX "{4}){3}-" HEX "{12}$" },
};

/* The states of a pattern are the nodes before a character. */
static uint32_t
pattern_nodes(struct schema *s, const struct pattern *p)
{
	struct gbuild *b = &s->b;
	cleanup_free uint32_t *node = NULL;
	cleanup_free struct gchars *c = NULL;
	const struct pattern_state *st;
	uint32_t i, k;

	node = xcalloc((size_t)p->nstate + 1, sizeof(*node));
	c = xcalloc(PATTERN_CLASSES, sizeof(*c));
	for (i = 0; i < p->nstate; i++)
		node[i] = gbuild_node(b, GNODE_EDGES, 0, 0);
	for (i = 0; i < p->nstate && !b->over; i++) {
		st = &p->state[i];
		for (k = 0; k < st->n; k++) {
			c[k].lo = p->edge[st->first + k].lo;
			c[k].hi = p->edge[st->first + k].hi;
			c[k].to = node[p->edge[st->first + k].to];
		}
		schema_spend(s, 16 + st->n);
		gbuild_chars(b, node[i], c, st->n, st->done ? b->end : 0);
	}
	return gbuild_range(b, '"', '"', node[0]);
}

static uint32_t
pattern(struct schema *s, const struct shape *sh, uint32_t at, const char *text,
    size_t n)
{
	struct error err = { 0 };
	struct pattern p;
	uint32_t node = 0;

	if (pattern_compile(&p, text, n, sh->min_len, sh->max_len, &err) < 0)
		schema_bad(s, at, err.msg);
	schema_spend(s, p.work);
	if (!s->failed)
		node = pattern_nodes(s, &p);
	pattern_free(&p);
	return node;
}

uint32_t
schema_string(struct schema *s, const struct shape *sh)
{
	cleanup_buf struct buf text = { 0 };
	struct gbuild *b = &s->b;
	uint32_t node;
	size_t i;

	if (sh->pattern != SCHEMA_NONE) {
		json_tree_str(&s->t, sh->pattern, &text);
		return pattern(s, sh, sh->pattern,
		    (const char *)buf_head(&text), buf_len(&text));
	}
	for (i = 0; sh->format != SCHEMA_NONE &&
		    i < sizeof(formats) / sizeof(formats[0]);
	     i++)
		if (json_tree_is(&s->t, sh->format, formats[i].name))
			return pattern(s, sh, sh->format, formats[i].pattern,
			    strlen(formats[i].pattern));
	if (sh->min_len == 0 && sh->max_len == GRAMMAR_MANY)
		return gbuild_call(b, b->string, b->end);
	node = gbuild_range(b, '"', '"', b->end);
	node = gbuild_repeat(b, b->g->chr, sh->min_len, sh->max_len, node);
	return gbuild_range(b, '"', '"', node);
}
