/*
 * JSON as models write it, made valid as it arrives: what comes out so far can
 * always be completed, and json_mend_end() completes it.  Pure, any chunking.
 *
 * Mended: raw control characters, escapes that are none, quotes within
 * strings, single quotes, Python's words, names without quotes, commas too
 * many or too few, brackets that do not match or do not close, bytes that are
 * not UTF-8.
 */
#ifndef BRIG_INFERD_JSON_MEND_H
#define BRIG_INFERD_JSON_MEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define JSON_MEND_DEPTH 60u /* what is deeper is left out */
#define JSON_MEND_WORD 63u
#define JSON_MEND_SPACE 32u

enum json_mend_state {
	MEND_VALUE, /* a value must come */
	MEND_NEXT,  /* in a list: a member, or its end */
	MEND_COLON,
	MEND_STRING,
	MEND_QUOTE, /* the end of a string, or a quote within it */
	MEND_ESCAPE,
	MEND_HEX,
	MEND_WORD,
	MEND_DONE
};

struct json_mend {
	struct buf *out; /* the caller's */
	enum json_mend_state state;
	char stack[JSON_MEND_DEPTH];
	unsigned int depth;
	bool comma; /* before what comes next */
	bool key;   /* the string or word is a name */
	char quote;
	char space[JSON_MEND_SPACE];
	unsigned int nspace;
	char word[JSON_MEND_WORD + 1];
	unsigned int nword;
	unsigned int high; /* surrogate that wants its second half */
	char held[4];      /* the beginning of a character */
	size_t nheld;
};

void json_mend_init(struct json_mend *m, struct buf *out);
void json_mend_push(struct json_mend *m, const char *p, size_t n);
void json_mend_end(struct json_mend *m);

/* Is a string going on?  Marks of the end within it are its text. */
static inline bool
json_mend_in_string(const struct json_mend *m)
{
	return m->state == MEND_STRING || m->state == MEND_ESCAPE ||
	       m->state == MEND_HEX;
}

static inline bool
json_mend_done(const struct json_mend *m)
{
	return m->state == MEND_DONE;
}

#endif
