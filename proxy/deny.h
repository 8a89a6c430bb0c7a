/*
 * How back says no: the JSON body of M_RSP_DENY, for an agent to read and act
 * on.  Text comes from policies and peers; no secret is ever near it.
 */
#ifndef BRIG_PROXY_DENY_H
#define BRIG_PROXY_DENY_H

#include "base/buf.h"

#define DENY_STEPS_MAX 3

struct denial {
	unsigned int status; /* HTTP */
	const char *error;   /* stable word: "policy_denied" ... */
	const char *rule;    /* "coding.policy:31", NULL if none */
	const char *reason;  /* a sentence */
	const char *ask_id;  /* "A-17", NULL if none */
	const char *next_steps[DENY_STEPS_MAX]; /* NULL ends */
};

/* {"error","rule","reason","ask_id","next_steps"} and a newline. */
void deny_body(struct buf *b, const struct denial *d);

#endif
