#include "inferd/vocab_same.h"

#include <inttypes.h>
#include <string.h>

#include "base/str.h"

int
vocab_same(const struct vocab_table *v, const struct vocab_table *other,
    struct error *err)
{
	if (strcmp(v->model, other->model) != 0)
		return error_set(err, 0,
		    "its vocabulary is of the kind %s, the model's %s",
		    other->model, v->model);
	if (v->n != other->n)
		return error_set(err, 0,
		    "its vocabulary has %" PRIu32 " tokens, the model's "
		    "%" PRIu32,
		    other->n, v->n);
	for (uint32_t i = 0; i < v->n; i++) {
		const struct vocab_token *a = &v->tokens[i],
					 *b = &other->tokens[i];

		if (a->len != b->len || memcmp(a->p, b->p, a->len) != 0) {
			cleanup_free char *ours = str_escape(a->p, a->len);
			cleanup_free char *its = str_escape(b->p, b->len);

			return error_set(err, 0,
			    "its token %" PRIu32 " is \"%.64s\", the model's "
			    "\"%.64s\"",
			    i, its, ours);
		}
		if (a->type != b->type)
			return error_set(err, 0,
			    "its token %" PRIu32 " is of type %u, the model's "
			    "of type %u",
			    i, b->type, a->type);
	}
	return 0;
}
