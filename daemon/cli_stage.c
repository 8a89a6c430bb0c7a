#include "daemon/cli_stage.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "daemon/stage_wire.h"

#define BOLD "\033[1m"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define CYAN "\033[36m"
#define PLAIN "\033[m"

static void
end_progress(struct stage_view *v)
{
	if (v->shown)
		fputs("\r\033[K", stderr);
	v->shown = false;
}

/* ---- text -------------------------------------------------------------- */

/*
 * A line without its newline.  Only what a terminal acts on is changed: a
 * backslash and a tab of a source file stay what they are.
 */
static void
put_text(struct stage_view *v, const char *s, size_t n)
{
	size_t from = 0;

	if (!v->safe) {
		fwrite(s, 1, n, v->to);
		return;
	}
	for (size_t i = 0; i <= n; i++) {
		cleanup_free char *safe = NULL;

		if (i < n && s[i] != '\\' && s[i] != '\t')
			continue;
		safe = str_escape(s + from, i - from);
		fputs(safe, v->to);
		if (i < n)
			fputc(s[i], v->to);
		from = i + 1;
	}
}

static void
put_line(struct stage_view *v, const char *colour, const char *s, size_t n)
{
	if (v->colour && colour != NULL)
		fputs(colour, v->to);
	put_text(v, s, n);
	if (v->colour && colour != NULL)
		fputs(PLAIN, v->to);
	fputc('\n', v->to);
}

static const char *
hunk_colour(char c)
{
	switch (c) {
	case '+':
		return GREEN;
	case '-':
		return RED;
	case '@':
		return CYAN;
	default:
		return NULL;
	}
}

static void
put_lines(struct stage_view *v, const char *p, size_t n, bool head)
{
	while (n > 0) {
		const char *nl = memchr(p, '\n', n);
		size_t len = nl == NULL ? n : (size_t)(nl - p);

		put_line(v, head ? BOLD : hunk_colour(p[0]), p, len);
		if (nl == NULL)
			break;
		p += len + 1;
		n -= len + 1;
	}
}

/* ---- entries ----------------------------------------------------------- */

static json_t *
text_json(const char *s)
{
	json_t *j = json_string(s);
	cleanup_free char *shown = NULL;

	if (j != NULL)
		return j;
	shown = str_escape(s, strlen(s));
	return json_string(shown);
}

static json_t *
mode_json(uint32_t mode)
{
	char text[16];

	if (mode == 0)
		return json_null();
	(void)snprintf(text, sizeof(text), "%06o", mode);
	return json_string(text);
}

static void
entry_json(struct stage_view *v, const struct stage_entry *e)
{
	json_t *o = json_pack("{s:s, s:o, s:o, s:o, s:I, s:b, s:I, s:I}",
	    "change", stage_kind_name(e->kind), "path", text_json(e->path),
	    "mode", mode_json(e->mode), "old_mode", mode_json(e->old_mode),
	    "size", (json_int_t)e->size, "binary", (int)e->binary, "added",
	    (json_int_t)e->added, "deleted", (json_int_t)e->deleted);

	if (e->kind == STAGE_RENAME) {
		json_object_set_new(o, "from", text_json(e->from));
		json_object_set_new(o, "similar", json_integer(e->similar));
	}
	if (e->refused)
		json_object_set_new(o, "refused", text_json(e->why));
	json_array_append_new(v->list, o);
}

static const char *
type_text(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "link";
	case S_IFREG:
		return "";
	default:
		return "special";
	}
}

static void
entry_stat(struct stage_view *v, const struct stage_entry *e)
{
	cleanup_free char *path = str_escape(e->path, strlen(e->path));
	cleanup_free char *from = str_escape(e->from, strlen(e->from));

	fprintf(v->to, " %-8s ", stage_kind_name(e->kind));
	if (e->kind == STAGE_RENAME)
		fprintf(v->to, "%s => %s (%u%%)", from, path, e->similar);
	else
		fprintf(v->to, "%s", path);
	if (*type_text(e->mode != 0 ? e->mode : e->old_mode) != '\0')
		fprintf(v->to, " | %s",
		    type_text(e->mode != 0 ? e->mode : e->old_mode));
	else if (e->binary)
		fprintf(v->to, " | binary, %" PRIu64 " bytes", e->size);
	else
		fprintf(v->to, " | %s+%u%s %s-%u%s", v->colour ? GREEN : "",
		    e->added, v->colour ? PLAIN : "", v->colour ? RED : "",
		    e->deleted, v->colour ? PLAIN : "");
	if (e->mode != 0 && e->old_mode != 0 &&
	    (e->mode & 07777) != (e->old_mode & 07777))
		fprintf(v->to, ", mode %04o => %04o", e->old_mode & 07777,
		    e->mode & 07777);
	if (e->mode != 0 && e->old_mode != 0 &&
	    (e->mode & S_IFMT) != (e->old_mode & S_IFMT))
		fprintf(v->to, ", was a %s",
		    *type_text(e->old_mode) == '\0' ? "file"
						    : type_text(e->old_mode));
	fputc('\n', v->to);
}

static void
entry_name(struct stage_view *v, const struct stage_entry *e)
{
	if (v->nul) {
		fputs(e->path, v->to);
		fputc('\0', v->to);
		return;
	}
	/* One line a name, whatever the name. */
	cleanup_free char *path = str_escape(e->path, strlen(e->path));
	fprintf(v->to, "%s\n", path);
}

static int
entry(struct stage_view *v, const void *p, size_t n)
{
	struct stage_entry e;

	if (stage_entry_get(p, n, &e) < 0)
		return -1;
	v->entries++;
	v->refused += e.refused;
	v->added += e.added;
	v->deleted += e.deleted;
	switch (v->show) {
	case SHOW_STAT:
		entry_stat(v, &e);
		break;
	case SHOW_NAMES:
		entry_name(v, &e);
		break;
	case SHOW_JSON:
		entry_json(v, &e);
		return 0;
	case SHOW_PATCH:
	case SHOW_QUIET:
		break;
	}
	if (e.refused) {
		cleanup_free char *path = str_escape(e.path, strlen(e.path));
		cleanup_free char *why = str_escape(e.why, strlen(e.why));

		fflush(v->to);
		fprintf(stderr, "brig: %s: cannot be applied: %s\n", path, why);
	}
	return 0;
}

static int
progress(struct stage_view *v, const void *p, size_t n)
{
	struct cur c;
	cleanup_free char *what = NULL;
	uint64_t done, total;

	cur_init(&c, p, n);
	what = cur_str(&c, 64);
	done = cur_u64(&c);
	total = cur_u64(&c);
	if (cur_end(&c) < 0)
		return -1;
	if (!v->progress)
		return 0;
	cleanup_free char *safe = str_escape(what, strlen(what));
	if (total > 0)
		fprintf(stderr, "\r%s %" PRIu64 " of %" PRIu64 "\033[K", safe,
		    done, total);
	else
		fprintf(stderr, "\r%s %" PRIu64 "\033[K", safe, done);
	v->shown = true;
	return 0;
}

static int
say(struct stage_view *v, const void *p, size_t n)
{
	cleanup_free char *text = NULL, *safe = NULL;
	struct cur c;

	cur_init(&c, p, n);
	text = cur_str(&c, STAGE_PATH_MAX * 4 + STAGE_WHY_MAX);
	if (cur_end(&c) < 0)
		return -1;
	end_progress(v);
	/* Names in it are escaped already; this is for what is not. */
	safe = str_is_utf8(text, strlen(text)) && strchr(text, '\033') == NULL
		   ? xstrdup(text)
		   : str_escape(text, strlen(text));
	for (char *s = safe; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
	fprintf(stderr, "brig: %s\n", safe);
	return 0;
}

static int
frame(struct stage_view *v, uint8_t type, const void *p, size_t n)
{
	if (type != FRAME_PROGRESS)
		end_progress(v);
	switch ((enum stage_frame)type) {
	case FRAME_ENTRY:
		return entry(v, p, n);
	case FRAME_HEAD:
	case FRAME_HUNKS:
		if (v->show == SHOW_PATCH)
			put_lines(v, p, n, type == FRAME_HEAD);
		return 0;
	case FRAME_PROGRESS:
		return progress(v, p, n);
	case FRAME_SAY:
		return say(v, p, n);
	case FRAME_MAX:
		break;
	}
	return -1;
}

int
stage_view_put(struct stage_view *v, const void *p, size_t n)
{
	buf_put(&v->in, p, n);
	while (buf_len(&v->in) >= STAGE_FRAME_HEADER) {
		struct cur c;
		uint8_t type;
		uint32_t len;

		cur_init(&c, buf_head(&v->in), buf_len(&v->in));
		type = cur_u8(&c);
		len = cur_u32(&c);
		if (type == 0 || type >= FRAME_MAX || len > STAGE_FRAME_MAX)
			return -1;
		if (c.left < len)
			return 0;
		if (frame(v, type, c.p, len) < 0)
			return -1;
		buf_consume(&v->in, STAGE_FRAME_HEADER + len);
	}
	return 0;
}

int
stage_view_end(struct stage_view *v)
{
	end_progress(v);
	return buf_len(&v->in) == 0 ? 0 : -1;
}
