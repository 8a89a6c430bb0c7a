/*
 * Fields that known agents write into their system prompt and change with
 * every request, though they say nothing to a model: with them no prompt would
 * begin like the one before, and everything would be computed again.  Pure.
 *
 * Known are, in a line of a system message that begins with
 * "x-anthropic-billing-header:" (Claude Code, which puts it in front):
 *
 *	cch=HEX			a hash of the request
 *	cc_version=N.N.N.HEX	the last part, another one
 *
 * The digits of HEX become zeros; nothing else is touched, and the length
 * stays.  Dates, and what a repository looks like, change too, but a model is
 * meant to read them.
 */
#ifndef BRIG_INFERD_VOLATILE_H
#define BRIG_INFERD_VOLATILE_H

#include <stddef.h>

#include "inferd/template.h"

/* In place; returns how many bytes are others now. */
size_t volatile_calm(char *p, size_t n);

/* What volatile_chat() has made. */
struct volatile_copy {
	struct chat_message *messages;
	char *text;
};

/*
 * The same for the system messages of a conversation, in a copy: chat's
 * messages are those in v from here on, if anything had to change.  Returns
 * how many bytes.
 */
size_t volatile_chat(struct chat *chat, struct volatile_copy *v);
void volatile_free(struct volatile_copy *v); /* safe on a zeroed one */
#define cleanup_volatile attr_cleanup(volatile_free)

#endif
