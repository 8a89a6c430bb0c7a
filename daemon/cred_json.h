/*
 * A credential's description as members of a JSON object, the way brig and
 * control exchange it (brig-control(7), secret.add and secret.list).
 */
#ifndef BRIG_CRED_JSON_H
#define BRIG_CRED_JSON_H

#include <jansson.h>

#include "base/error.h"
#include "proxy/credspec.h"

/* Add the members of s, and none for what it has not. */
void cred_json_put(json_t *o, const struct cred_spec *s);

/*
 * Read and check them; what is missing gets its default.  -1 and err, for
 * people.
 */
int cred_json_get(const json_t *o, struct cred_spec *s, struct error *err);

#endif
