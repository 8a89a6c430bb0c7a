/*
 * The parts of a URL that an AWS signature covers, written the one way that
 * both sides agree on.  Pure; private to sign_*.c.
 */
#ifndef BRIG_PROXY_SIGN_URL_H
#define BRIG_PROXY_SIGN_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define SIGN_PARAMS_MAX 256u /* in a query */

/* A parameter: name and value decoded and encoded again, canonically. */
struct param {
	char *name, *value;
	const char *raw; /* as sent, in the target */
	size_t len;
};

struct params {
	struct param p[SIGN_PARAMS_MAX];
	size_t n;
};

/* The query of a target, which must outlive ps; 0, or -1 when it is too long.
 * ps is empty then. */
int params_read(const char *target, struct params *ps, struct error *err);
void params_free(struct params *ps);
/* The one of that name, without regard to case; NULL if none or several. */
const struct param *params_get(const struct params *ps, const char *name);
void params_sort(struct params *ps);

/* Append c, percent-encoded unless it is unreserved (RFC 3986). */
void url_put(struct buf *b, uint8_t c);
/*
 * Decode n bytes and append them encoded canonically.  keep: a character that
 * stays as it is, or 0.  In a query a plus sign is a space.
 */
void url_put_recoded(
    struct buf *b, const char *s, size_t n, char keep, bool query);
/* Percent-decoded; NUL bytes end it.  The caller frees. */
char *url_decoded(const char *s);
/*
 * Append a path without "." and ".." (RFC 3986 section 5.2.4) and empty
 * segments, then encoded, again if it has been.
 */
void url_put_normal_path(struct buf *b, const char *path, size_t n);

#endif
