/*
 * The keys with which a user leaves a job that has a terminal: recognised in
 * what is typed, whatever the pieces it comes in.  A pure part of `brig run`
 * and `brig attach`.
 */
#ifndef BRIG_DETACH_KEYS_H
#define BRIG_DETACH_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define DETACH_KEYS_MAX 16u
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"

struct detach_keys {
	uint8_t key[DETACH_KEYS_MAX];
	size_t n;    /* 0: none */
	size_t seen; /* of them, typed and held back */
};

/*
 * "ctrl-p,ctrl-q": keys with commas between, each one character or "ctrl-"
 * and one of a-z @ [ \ ] ^ _.  "" is none.  0, or -1 with err.
 */
int detach_keys_parse(
    struct detach_keys *k, const char *text, struct error *err);
/*
 * n bytes were typed: append what is for the job to out.  True once the keys
 * are complete; the rest of p is dropped then.
 */
bool detach_keys_feed(
    struct detach_keys *k, const void *p, size_t n, struct buf *out);

#endif
