/* Shared by swap.c, swap_apply.c, swap_target.c and swap_split.c alone. */
#ifndef BRIG_PROXY_SWAP_INT_H
#define BRIG_PROXY_SWAP_INT_H

#include "proxy/swap.h"

/* swap_basic.c: decoded Basic credentials, NUL-terminated parts. */
struct basic {
	char *text; /* owns; wiped */
	size_t len;
	char *user;
	char *pass;
};

/* False if the value is no Basic credentials that every reader reads alike. */
bool basic_parse(const char *value, struct basic *a);
void basic_free(struct basic *a);
/* "Basic ..."; the caller wipes and frees. */
char *basic_write(const char *user, const char *pass);

/* The field that a slot is in or becomes; NULL: it is in the target. */
const char *slot_field(const struct bindings *bs, const struct swap_slot *s);

/* swap_target.c: where in the target a stub stands rightly; at most max. */
size_t target_slots(const char *target, const char *host, uint16_t port,
    const struct bindings *bs, struct swap_slot *slot, size_t max);
/* Does the slot's place read as the stub? */
bool target_holds(
    const char *target, const struct swap_slot *s, const char *stub);
/* The parameter or segment, with the value in the place of the slot. */
char *target_swap(
    const char *target, const struct swap_slot *s, const void *value, size_t n);
/* Remove parameters of that name whose value is not in a slot.  How many. */
unsigned int target_strip(
    char *target, const char *name, const struct swap_plan *p);

/* swap_split.c: a stub cut into parts of the head, in whatever order. */
const struct binding *split_find(const struct req_head *h,
    const struct bindings *bs, const struct swap_plan *p);

#endif
