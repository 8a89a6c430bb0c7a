#include "daemon/stage_wire.h"

#include <string.h>

static const char *const kinds[STAGE_KIND_MAX] = {
	[STAGE_ADD] = "added",
	[STAGE_MODIFY] = "modified",
	[STAGE_DELETE] = "deleted",
	[STAGE_TYPE] = "type",
	[STAGE_MODE] = "mode",
	[STAGE_RENAME] = "renamed",
};

const char *
stage_kind_name(enum stage_kind k)
{
	return (unsigned int)k < STAGE_KIND_MAX && kinds[k] != NULL ? kinds[k]
								    : "?";
}

bool
stage_path_ok(const char *path)
{
	size_t n = 0, depth = 0;

	if (path[0] == '\0' || strlen(path) > STAGE_PATH_MAX)
		return false;
	for (const char *p = path;; p++) {
		if (*p != '/' && *p != '\0') {
			n++;
			continue;
		}
		if (n == 0 || n > 255 || ++depth > STAGE_DEPTH_MAX ||
		    (n == 1 && p[-1] == '.') ||
		    (n == 2 && p[-1] == '.' && p[-2] == '.'))
			return false;
		if (*p == '\0')
			return true;
		n = 0;
	}
}

void
stage_entry_put(struct buf *b, const struct stage_entry *e)
{
	buf_put_u8(b, (uint8_t)e->kind);
	buf_put_str(b, e->path);
	buf_put_str(b, e->from);
	buf_put_u32(b, e->mode);
	buf_put_u32(b, e->old_mode);
	buf_put_u64(b, e->size);
	buf_put_u32(b, e->added);
	buf_put_u32(b, e->deleted);
	buf_put_u8(b, e->similar);
	buf_put_u8(b, e->binary);
	buf_put_u8(b, e->refused);
	buf_put_str(b, e->why);
}

int
stage_entry_get(const void *p, size_t n, struct stage_entry *e)
{
	struct cur c;
	uint8_t kind;

	memset(e, 0, sizeof(*e));
	cur_init(&c, p, n);
	kind = cur_u8(&c);
	cur_str_into(&c, e->path, sizeof(e->path));
	cur_str_into(&c, e->from, sizeof(e->from));
	e->mode = cur_u32(&c);
	e->old_mode = cur_u32(&c);
	e->size = cur_u64(&c);
	e->added = cur_u32(&c);
	e->deleted = cur_u32(&c);
	e->similar = cur_u8(&c);
	e->binary = cur_bool(&c);
	e->refused = cur_bool(&c);
	cur_str_into(&c, e->why, sizeof(e->why));
	if (cur_end(&c) < 0 || kind == 0 || kind >= STAGE_KIND_MAX ||
	    e->similar > 100 || e->path[0] == '\0')
		return -1;
	e->kind = (enum stage_kind)kind;
	return 0;
}
