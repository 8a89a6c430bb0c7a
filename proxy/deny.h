/*
 * How the proxy says no: one JSON object of one shape from front and back, for
 * an agent to read and act on.  Text comes from policies and peers; no secret
 * is ever near it.
 */
#ifndef BRIG_PROXY_DENY_H
#define BRIG_PROXY_DENY_H

#include "base/buf.h"

#define DENY_STEPS_MAX 3

struct denial {
	unsigned int status; /* HTTP */
	const char *error;   /* stable word: "policy_denied" ... */
	const char *rule;    /* "coding.policy:31"; NULL or "": built in */
	const char *reason;  /* a sentence */
	const char *ask_id;  /* "A-17", NULL if none */
	const char *next_steps[DENY_STEPS_MAX]; /* NULL ends */
};

/*
 * {"error","rule","reason","ask_id","next_steps"} and a newline.  Without a
 * rule of the policy, "rule" is "built-in: " and the error's word.
 */
void deny_body(struct buf *b, const struct denial *d);

/*
 * Append s as a JSON string with its quotes (RFC 8259 section 7).  Bytes that
 * are not UTF-8 are shown as str_escape() shows them.
 */
void json_put_str(struct buf *b, const char *s);

#endif
