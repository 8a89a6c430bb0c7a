/*
 * A grammar of bytes, compiled from a JSON schema, and where a text stands in
 * it.  A grammar is not changed once made; a state is small and copied to try
 * something out.  Pure, bounded; whatever was taken can be completed.
 *
 * What is allowed is valid by the schema, but not all that is valid is
 * allowed: members come in the order of the schema, white space is that of
 * json.dumps() with any indent, strings are written with the escapes that must
 * be (free ones with any), numbers have at most 40 digits before and behind
 * the point, oneOf is anyOf, and an object with "properties" has other members
 * only where "additionalProperties" says so.  In inferd(8).
 */
#ifndef BRIG_INFERD_GRAMMAR_H
#define BRIG_INFERD_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "inferd/tok.h"

struct grammar;
struct grammar_state;

/*
 * What a schema (n bytes of JSON) asks for.  n 0: any JSON object.  NULL with
 * err, naming the keyword and its path: not valid, not supported or too large.
 */
struct grammar *schema_compile(const char *json, size_t n, struct error *err);
/* The same for one of many that may take so much work together as one may:
 * *spent is 0 before the first of them. */
struct grammar *schema_compile_next(
    const char *json, size_t n, uint64_t *spent, struct error *err);
size_t grammar_bytes(const struct grammar *g); /* of memory, about */
void grammar_free(struct grammar *g);          /* NULL is fine */

/* At the beginning.  g stays while it is used. */
struct grammar_state *grammar_start(const struct grammar *g);
struct grammar_state *grammar_copy(const struct grammar_state *s);
void grammar_state_free(struct grammar_state *s); /* NULL is fine */

/* Take n bytes: false, and s is where it was, if they do not fit. */
bool grammar_take(struct grammar_state *s, const char *p, size_t n);
/* What was taken is whole. */
bool grammar_done(const struct grammar_state *s);
/* It is whole and nothing may follow but white space. */
bool grammar_full(const struct grammar_state *s);

/* The pieces of a vocabulary, ordered for grammar_mask(). */
struct mask;
struct mask *mask_new(const struct tok *t);
void mask_free(struct mask *m); /* NULL is fine */
/*
 * Which tokens may come next: bit i of byte i / 8 for token i, control tokens
 * never.  bits: (vocab + 7) / 8 bytes.  Returns how many: at least one unless
 * grammar_full(), if each byte has a token.
 */
uint32_t grammar_mask(
    const struct mask *m, const struct grammar_state *s, uint8_t *bits);

#endif
