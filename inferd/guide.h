/*
 * What is put into a model's mouth: the markup that begins a call, goes on
 * behind its name and ends it, and that which ends thoughts, by family.  Pure.
 */
#ifndef BRIG_INFERD_GUIDE_H
#define BRIG_INFERD_GUIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "inferd/template.h"
#include "inferd/toolcall.h"

struct guide_call {
	const char *open;  /* the name follows */
	char name_end;     /* stands behind the name; '\0': args does */
	const char *args;  /* between that and the arguments */
	const char *close; /* behind the arguments */
	const char *more;  /* the same, where another call may follow */
};

/*
 * NULL: the family has no calls.  as_json: the arguments are to be JSON, where
 * the family's own way is tags.
 */
const struct guide_call *guide_call(enum chat_family family, bool as_json);
/*
 * Harmony names the tool in a header: how the call begins behind what there is
 * of it.  behind: something has been said before.  NULL: not here.
 */
const struct guide_call *guide_header(struct chat_text header, bool behind);

/* Ends thoughts.  again: the first time was not enough. */
const char *guide_think_end(enum chat_family family, bool again);
/* Behind a whole call: what its markup lacks.  text: what was sampled. */
const char *guide_rest(enum chat_family family, struct chat_text text);

#endif
