/*
 * The other method that a request asks for: servers of some kinds take a
 * parameter "_method" of a POST, or one of the query, in the place of the
 * method.  Pure; back owns one per body that is looked into.
 *
 * Names count as the most lenient of these servers reads them: in any case,
 * percent-encoded, and with a dot, a hyphen or a blank for an underscore.
 */
#ifndef BRIG_PROXY_OVERRIDE_H
#define BRIG_PROXY_OVERRIDE_H

#include <stddef.h>
#include <stdint.h>

#define OVERRIDE_METHOD_MAX 32u /* bytes; what is longer is no method */
#define OVERRIDE_LINE_MAX 4096u /* of the head of a part */

/*
 * The next one in the query of a target: in capitals, the caller frees; *at
 * begins at 0.  NULL: no more.
 */
char *override_query(const char *target, size_t *at);
/* In capitals; the caller frees. */
char *override_upper(const char *s, size_t n);

enum override_says {
	OVERRIDE_GO,      /* nothing so far */
	OVERRIDE_HOLD,    /* one begins: what came is not to be sent on yet */
	OVERRIDE_METHOD,  /* one came: override_method() */
	OVERRIDE_UNCLEAR, /* several, or none that can be read */
};

struct override;

/* NULL: bodies of that type (NULL: none) hold none. */
struct override *override_new(const char *content_type);
void override_free(struct override *o); /* NULL is fine */
/* The next piece, of any size. */
enum override_says override_feed(struct override *o, const void *p, size_t n);
/* The body ended. */
enum override_says override_end(struct override *o);
/* In capitals; the last one's. */
const char *override_method(const struct override *o);

#endif
