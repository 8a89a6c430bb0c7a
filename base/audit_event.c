#include "base/audit_event.h"

#include <stdio.h>
#include <string.h>

#define USUAL_SIZE 512u /* fits nearly every event */

/* Header fields, then the count that is patched as fields are added. */
void
audit_ev_init(struct audit_ev *e, const char *code, const char *type,
    unsigned int severity, bool barrier)
{
	e->barrier = barrier;
	buf_init(&e->body, 0);
	(void)buf_reserve(&e->body, USUAL_SIZE);
	buf_put_str(&e->body, code);
	buf_put_str(&e->body, type);
	buf_put_u8(&e->body, (uint8_t)severity);
	buf_put_u8(&e->body, barrier);
	e->count_at = e->body.len;
	e->count = 0;
	buf_put_u32(&e->body, 0);
}

static bool
add_field(struct audit_ev *e, enum audit_kind kind, const char *key)
{
	if (e->count >= AUDIT_FIELDS_MAX)
		return false;
	buf_patch_u32(&e->body, e->count_at, ++e->count);
	buf_put_u8(&e->body, (uint8_t)kind);
	buf_put_str(&e->body, key);
	return true;
}

static void
put_cut(struct buf *b, const void *p, size_t n)
{
	char mark[48];
	int k;

	if (n <= AUDIT_STR_MAX) {
		buf_put_blob(b, p, n);
		return;
	}
	k = snprintf(mark, sizeof(mark), "[cut %zu]", n - AUDIT_STR_MAX);
	buf_put_u32(b, AUDIT_STR_MAX + (uint32_t)k);
	buf_put(b, p, AUDIT_STR_MAX);
	buf_put(b, mark, (size_t)k);
}

void
audit_ev_bytes(struct audit_ev *e, const char *key, const void *p, size_t n)
{
	if (add_field(e, AUDIT_STR, key))
		put_cut(&e->body, p, n);
}

void
audit_ev_str(struct audit_ev *e, const char *key, const char *value)
{
	audit_ev_bytes(e, key, value, value == NULL ? 0 : strlen(value));
}

void
audit_ev_u64(struct audit_ev *e, const char *key, uint64_t value)
{
	if (add_field(e, AUDIT_U64, key))
		buf_put_u64(&e->body, value);
}

void
audit_ev_bool(struct audit_ev *e, const char *key, bool value)
{
	if (add_field(e, AUDIT_BOOL, key))
		buf_put_u8(&e->body, value);
}

/*
 * The whole list stays within 8 KiB, so that a 2 MB argv cannot make an event
 * that no message or record holds; what is left out is counted in the last
 * item.
 */
#define LIST_BYTES_MAX 8192u

void
audit_ev_list(
    struct audit_ev *e, const char *key, const char *const *items, size_t n)
{
	size_t shown, bytes = 0;
	char mark[48];

	if (!add_field(e, AUDIT_LIST, key))
		return;
	for (shown = 0; shown < n && shown < AUDIT_LIST_MAX - 1; shown++) {
		size_t k = strlen(items[shown]);

		k = k < AUDIT_STR_MAX ? k : AUDIT_STR_MAX + 32;
		if (bytes + k > LIST_BYTES_MAX)
			break;
		bytes += k;
	}
	buf_put_u32(&e->body, (uint32_t)(shown < n ? shown + 1 : n));
	for (size_t i = 0; i < shown; i++)
		put_cut(&e->body, items[i], strlen(items[i]));
	if (shown < n) {
		snprintf(mark, sizeof(mark), "[cut %zu items]", n - shown);
		buf_put_str(&e->body, mark);
	}
}

void
audit_ev_free(struct audit_ev *e)
{
	buf_free(&e->body);
}

/* [a-z]+ "." [a-z_]+ with a known section, so that rendering is fixed. */
static bool
key_ok(const char *key)
{
	static const char *const sections[] = { "who.", "obj.", "pol.", "dec.",
		"ask." };
	bool known = false;

	for (size_t i = 0; i < nitems(sections); i++)
		known |= strncmp(key, sections[i], 4) == 0;
	if (!known || key[4] == '\0')
		return false;
	for (const char *p = key + 4; *p != '\0'; p++)
		if ((*p < 'a' || *p > 'z') && *p != '_')
			return false;
	return true;
}

static bool
word_ok(const char *s, bool digits)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if ((*s < 'a' || *s > 'z') && *s != '.' && *s != '_' &&
		    (!digits || *s < '0' || *s > '9') &&
		    (!digits || *s < 'A' || *s > 'Z'))
			return false;
	return true;
}

int
audit_ev_decode(struct cur *c, struct audit_head *h)
{
	memset(h, 0, sizeof(*h));
	cur_str_into(c, h->code, sizeof(h->code));
	cur_str_into(c, h->type, sizeof(h->type));
	h->severity = cur_u8(c);
	h->barrier = cur_bool(c);
	h->fields = cur_count(c, AUDIT_FIELDS_MAX, 6);
	if (c->failed || !word_ok(h->code, true) || !word_ok(h->type, false) ||
	    h->severity < 1 || h->severity > 5)
		return -1;
	return 0;
}

int
audit_ev_field(struct cur *c, struct audit_field *f)
{
	uint8_t kind = cur_u8(c);
	size_t n;

	memset(f, 0, sizeof(*f));
	cur_str_into(c, f->key, sizeof(f->key));
	if (c->failed || !key_ok(f->key) || kind > AUDIT_LIST)
		return -1;
	f->kind = (enum audit_kind)kind;
	switch (f->kind) {
	case AUDIT_STR:
		f->s = cur_blob(c, AUDIT_STR_MAX + 32, &f->len);
		break;
	case AUDIT_U64:
		f->u = cur_u64(c);
		break;
	case AUDIT_BOOL:
		f->u = cur_bool(c);
		break;
	case AUDIT_LIST:
		f->count = cur_count(c, AUDIT_LIST_MAX, 4);
		f->list = *c;
		for (uint32_t i = 0; i < f->count; i++)
			(void)cur_blob(c, AUDIT_STR_MAX + 32, &n);
		f->list.left -= c->left;
		break;
	}
	return c->failed ? -1 : 0;
}
