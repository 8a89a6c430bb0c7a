#include "inferd/toolcall.h"
#include "inferd/toolcall_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/deepseek_marks.h"
#include "inferd/unicode.h"

#define HEADER_MAX 512u

enum mark {
	MARK_NONE,
	MARK_CALL,
	MARK_CALL_END,
	MARK_THINK,
	MARK_THINK_END,
	MARK_FUNCTION,
	MARK_FUNCTION_END,
	MARK_PARAM,
	MARK_PARAM_END,
	MARK_KEY,
	MARK_KEY_END,
	MARK_VALUE,
	MARK_MISTRAL,
	MARK_MISTRAL_ARGS,
	MARK_LIST_CALL,
	MARK_LIST_CALL_END,
	MARK_LIST_END,
	MARK_PYTHON,
	MARK_CHANNEL,
	MARK_START,
	MARK_MESSAGE,
	MARK_OVER,
};

#define IN(mode) (1u << (mode))
#define WORDS (IN(MODE_TEXT) | IN(MODE_THINK))

/* In whose answers. */
enum whose {
	MOST,
	GLMS,
	HARMONYS,
	DEEPSEEKS,
};

/* The marks and where each is one. */
static const struct {
	const char *text;
	enum mark mark;
	enum whose whose;
	unsigned int modes;
} marks[] = {
	{ "<tool_call>", MARK_CALL, MOST, WORDS | IN(MODE_TAGS) },
	{ "</tool_call>", MARK_CALL_END, MOST,
	    WORDS | IN(MODE_OPEN) | IN(MODE_JSON) | IN(MODE_TAGS) |
		IN(MODE_PARAM) | IN(MODE_NAME) | IN(MODE_KEY) },
	{ "<think>", MARK_THINK, MOST, WORDS },
	{ "</think>", MARK_THINK_END, MOST, WORDS },
	{ "<function=", MARK_FUNCTION, MOST,
	    WORDS | IN(MODE_OPEN) | IN(MODE_TAGS) },
	{ "</function>", MARK_FUNCTION_END, MOST,
	    IN(MODE_TEXT) | IN(MODE_TAGS) | IN(MODE_PARAM) },
	{ "<parameter=", MARK_PARAM, MOST, IN(MODE_TAGS) | IN(MODE_PARAM) },
	{ "</parameter>", MARK_PARAM_END, MOST,
	    IN(MODE_TEXT) | IN(MODE_TAGS) | IN(MODE_PARAM) },
	{ "<arg_key>", MARK_KEY, GLMS,
	    IN(MODE_NAME) | IN(MODE_TAGS) | IN(MODE_PARAM) },
	{ "</arg_key>", MARK_KEY_END, GLMS, IN(MODE_KEY) },
	{ "<arg_value>", MARK_VALUE, GLMS, IN(MODE_TAGS) | IN(MODE_KEY) },
	{ "</arg_value>", MARK_PARAM_END, GLMS, IN(MODE_PARAM) },
	{ "[TOOL_CALLS]", MARK_MISTRAL, MOST, WORDS | IN(MODE_MISTRAL) },
	{ "[ARGS]", MARK_MISTRAL_ARGS, MOST, IN(MODE_MISTRAL) },
	{ DEEPSEEK_CALLS, MARK_MISTRAL, DEEPSEEKS, WORDS | IN(MODE_MISTRAL) },
	{ DEEPSEEK_CALL, MARK_LIST_CALL, DEEPSEEKS, IN(MODE_MISTRAL) },
	{ DEEPSEEK_ARGS, MARK_MISTRAL_ARGS, DEEPSEEKS, IN(MODE_MISTRAL) },
	{ DEEPSEEK_CALL_END, MARK_LIST_CALL_END, DEEPSEEKS,
	    IN(MODE_MISTRAL) | IN(MODE_ARGS) | IN(MODE_JSON) },
	{ DEEPSEEK_CALLS_END, MARK_LIST_END, DEEPSEEKS,
	    IN(MODE_MISTRAL) | IN(MODE_ARGS) | IN(MODE_JSON) },
	{ "<|python_tag|>", MARK_PYTHON, MOST, IN(MODE_TEXT) },
	{ "<|channel|>", MARK_CHANNEL, HARMONYS, WORDS },
	{ "<|start|>", MARK_START, HARMONYS, WORDS | IN(MODE_ARGS) },
	{ "<|message|>", MARK_MESSAGE, HARMONYS, IN(MODE_HEADER) },
	{ "<|end|>", MARK_OVER, HARMONYS, WORDS | IN(MODE_ARGS) },
	{ "<|return|>", MARK_OVER, HARMONYS, WORDS | IN(MODE_ARGS) },
	{ "<|call|>", MARK_OVER, HARMONYS, WORDS | IN(MODE_ARGS) },
};

struct toolcall *
toolcall_new(enum chat_family family, bool thinking,
    const struct chat_tool *tools, size_t ntools, toolcall_fn *fn, void *arg)
{
	struct toolcall *t = xcalloc(1, sizeof(*t));

	t->family = family;
	t->tools = tools;
	t->ntools = ntools;
	t->fn = fn;
	t->arg = arg;
	t->mode = thinking ? MODE_THINK : MODE_TEXT;
	t->skip_space = true;
	if (family == CHAT_HARMONY)
		t->mode = MODE_HEADER;
	return t;
}

void
toolcall_free(struct toolcall *t)
{
	if (t == NULL)
		return;
	buf_free(&t->in);
	buf_free(&t->space);
	buf_free(&t->told);
	buf_free(&t->fname);
	buf_free(&t->pname);
	buf_free(&t->pvalue);
	call_json_free(&t->json);
	free(t);
}

unsigned int
toolcall_count(const struct toolcall *t)
{
	return t->calls;
}

void
toolcall_no_calls(struct toolcall *t)
{
	t->no_calls = t->no_bare = true;
}

void
toolcall_no_bare(struct toolcall *t)
{
	t->no_bare = true;
}

static void
flush(struct toolcall *t)
{
	if (buf_len(&t->told) > 0)
		t->fn(t->telling, (const char *)buf_head(&t->told),
		    buf_len(&t->told), t->arg);
	buf_clear(&t->told);
}

void
toolcall_say(
    struct toolcall *t, enum toolcall_event event, const char *p, size_t n)
{
	if (event != t->telling)
		flush(t);
	t->telling = event;
	if (event == TOOLCALL_BEGIN) {
		buf_clear(&t->space);
		t->skip_space = true;
		t->calls++;
	}
	if (event == TOOLCALL_END)
		t->after_call = true;
	if (event == TOOLCALL_BEGIN || event == TOOLCALL_END)
		t->fn(event, p, n, t->arg);
	else
		buf_put(&t->told, p, n);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

void
toolcall_words(struct toolcall *t, const char *p, size_t n)
{
	enum toolcall_event event =
	    t->mode == MODE_THINK ? TOOLCALL_THINKING : TOOLCALL_TEXT;
	size_t from = 0, end;

	/* A bracket too many is no word either. */
	while (t->skip_space && from < n &&
	       (is_space(p[from]) ||
		   (t->after_call && (p[from] == '}' || p[from] == ']'))))
		from++;
	if (from == n)
		return;
	t->skip_space = t->after_call = false;
	for (end = n; end > from && is_space(p[end - 1]); end--)
		;
	if (end > from) {
		if (event == TOOLCALL_TEXT)
			t->said = true;
		if (buf_len(&t->space) > 0)
			toolcall_say(t, event,
			    (const char *)buf_head(&t->space),
			    buf_len(&t->space));
		buf_clear(&t->space);
		toolcall_say(t, event, p + from, end - from);
	}
	buf_put(&t->space, p + end, n - end);
}

/* From words to thoughts, or back: the space between is neither's. */
static void
turn_to(struct toolcall *t, enum toolcall_mode mode)
{
	buf_clear(&t->space);
	t->skip_space = true;
	t->mode = mode;
}

/* The end of a call that was JSON, or of what looked like one. */
static void
json_over(struct toolcall *t)
{
	cleanup_buf struct buf raw = { 0 };
	bool bare = t->bare;

	t->mode = t->in_list ? MODE_MISTRAL : MODE_TEXT;
	if (call_json_end(t)) {
		t->bare = false;
		return;
	}
	t->mode = MODE_TEXT;
	t->bare = false;
	t->said = true;
	t->skip_space = false;
	raw = t->json.raw;
	memset(&t->json.raw, 0, sizeof(t->json.raw));
	if (!bare && !t->in_list)
		toolcall_words(t, "<tool_call>", 11);
	t->in_list = false;
	if (buf_len(&raw) > 0)
		toolcall_words(t, (const char *)buf_head(&raw), buf_len(&raw));
}

/* The end of a name; false: it looked like one and is text. */
static bool
name_over(struct toolcall *t)
{
	if (call_name_end(t))
		return true;
	t->mode = MODE_TEXT;
	toolcall_words(t, "<tool_call>", 11);
	if (buf_len(&t->fname) > 0)
		toolcall_words(
		    t, (const char *)buf_head(&t->fname), buf_len(&t->fname));
	return false;
}

/* Whatever is going on ends here, without its mark. */
static void
cut(struct toolcall *t)
{
	switch (t->mode) {
	case MODE_JSON:
		json_over(t);
		break;
	case MODE_ARGS:
		call_args_end(t);
		break;
	case MODE_PARAM:
		call_param_end(t);
		call_tags_end(t);
		break;
	case MODE_NAME:
		if (name_over(t))
			call_tags_end(t);
		break;
	case MODE_TAGS:
	case MODE_KEY:
		call_tags_end(t);
		break;
	case MODE_TEXT:
	case MODE_THINK:
	case MODE_OPEN:
	case MODE_HEADER:
	case MODE_MISTRAL:
		break;
	}
	t->mode = MODE_TEXT;
}

static bool
starts(const struct buf *b, const char *s)
{
	return buf_len(b) >= strlen(s) &&
	       memcmp(buf_head(b), s, strlen(s)) == 0;
}

/* "assistant to=functions.NAME<|channel|>commentary json" and the like. */
static void
header_over(struct toolcall *t)
{
	cleanup_free char *h = NULL;
	const char *to, *name;
	size_t n;

	buf_put_u8(&t->fname, 0);
	h = xstrdup((const char *)buf_head(&t->fname));
	buf_clear(&t->fname);
	to = strstr(h, "to=");
	if (to != NULL && !t->no_calls) {
		name = to + 3;
		if (str_starts(name, "functions."))
			name += 10;
		n = strcspn(name, " <\n\t");
		if (n > TOOLCALL_NAME_MAX)
			n = TOOLCALL_NAME_MAX;
		if (n > 0) {
			toolcall_say(t, TOOLCALL_BEGIN, name, n);
			call_args_begin(t);
			return;
		}
	}
	turn_to(t,
	    strstr(h, "<|channel|>analysis") != NULL ? MODE_THINK : MODE_TEXT);
}

/* The name of a tag, up to '>'.  0: it is not there yet; -1: it is none. */
static int
tag_name(const struct toolcall *t, size_t at, size_t *n, bool final)
{
	const char *p = (const char *)buf_head(&t->in) + at;
	size_t left = buf_len(&t->in) - at, i;

	for (i = 0; i < left && i <= TOOLCALL_NAME_MAX; i++) {
		if (p[i] == '<' || p[i] == '\n')
			return -1;
		if (p[i] == '>') {
			*n = i;
			return i > 0 ? 1 : -1;
		}
	}
	return left > TOOLCALL_NAME_MAX || final ? -1 : 0;
}

static void
tag(struct toolcall *t, enum mark mark, const char *name, size_t n)
{
	if (mark == MARK_FUNCTION) {
		if (t->mode == MODE_TAGS)
			call_tags_end(t);
		call_tags_begin(t, name, n);
		return;
	}
	if (t->mode == MODE_PARAM)
		call_param_end(t);
	call_param_begin(t, name, n);
}

/* Of the parameter that was named before. */
static void
value_begins(struct toolcall *t)
{
	cleanup_buf struct buf name = t->pname;

	memset(&t->pname, 0, sizeof(t->pname));
	if (buf_len(&name) > 0)
		call_param_begin(
		    t, (const char *)buf_head(&name), buf_len(&name));
}

static void
on_mark(struct toolcall *t, enum mark mark)
{
	switch (mark) {
	case MARK_CALL:
		if (t->mode == MODE_TAGS)
			cut(t);
		t->mode = MODE_OPEN;
		break;
	case MARK_CALL_END:
		if (t->mode != MODE_THINK)
			cut(t);
		t->skip_space = true;
		break;
	case MARK_THINK:
		turn_to(t, MODE_THINK);
		break;
	case MARK_THINK_END:
		turn_to(t, MODE_TEXT);
		break;
	case MARK_FUNCTION_END:
		cut(t);
		t->skip_space = true;
		break;
	case MARK_PARAM_END:
		if (t->mode == MODE_PARAM)
			call_param_end(t);
		buf_clear(&t->pname);
		break;
	case MARK_KEY:
		if (t->mode == MODE_PARAM)
			call_param_end(t);
		if (t->mode == MODE_NAME && !name_over(t))
			break;
		buf_clear(&t->pname);
		t->mode = MODE_KEY;
		break;
	case MARK_KEY_END:
		t->mode = MODE_TAGS;
		break;
	case MARK_VALUE:
		t->mode = MODE_TAGS;
		value_begins(t);
		break;
	case MARK_MISTRAL:
		turn_to(t, MODE_MISTRAL);
		t->in_list = false;
		buf_clear(&t->fname);
		break;
	case MARK_LIST_CALL:
		buf_clear(&t->fname);
		break;
	case MARK_LIST_CALL_END:
		/* It needs no arguments. */
		if (t->mode == MODE_MISTRAL && buf_len(&t->fname) > 0) {
			toolcall_say(t, TOOLCALL_BEGIN,
			    (const char *)buf_head(&t->fname),
			    buf_len(&t->fname));
			call_args_begin(t);
		}
		cut(t);
		buf_clear(&t->fname);
		t->mode = MODE_MISTRAL;
		break;
	case MARK_LIST_END:
		cut(t);
		buf_clear(&t->fname);
		turn_to(t, MODE_TEXT);
		break;
	case MARK_MISTRAL_ARGS:
	case MARK_PYTHON:
		break;
	case MARK_CHANNEL:
	case MARK_START:
	case MARK_OVER:
		cut(t);
		turn_to(t, MODE_HEADER);
		buf_clear(&t->fname);
		if (mark == MARK_CHANNEL)
			buf_put(&t->fname, "<|channel|>", 11);
		break;
	case MARK_MESSAGE:
		header_over(t);
		break;
	case MARK_FUNCTION:
	case MARK_PARAM:
	case MARK_NONE:
		break;
	}
}

static bool
is_call(enum mark mark)
{
	return mark == MARK_CALL || mark == MARK_CALL_END ||
	       mark == MARK_FUNCTION || mark == MARK_MISTRAL ||
	       mark == MARK_PYTHON;
}

/*
 * The mark that the input begins with; *n its bytes, 0 if more must come to
 * tell.
 */
static enum mark
mark_here(const struct toolcall *t, size_t *n, bool final)
{
	size_t left = buf_len(&t->in), i, len;
	enum whose other = is_glm(t)                      ? GLMS
			   : t->family == CHAT_DEEPSEEK31 ? DEEPSEEKS
							  : MOST;

	*n = 1;
	for (i = 0; i < nitems(marks); i++) {
		if ((marks[i].modes & IN(t->mode)) == 0 ||
		    (t->family == CHAT_HARMONY ? marks[i].whose != HARMONYS
					       : marks[i].whose != MOST &&
						     marks[i].whose != other) ||
		    (t->no_calls && is_call(marks[i].mark)) ||
		    (t->no_bare && marks[i].mark == MARK_FUNCTION &&
			(WORDS & IN(t->mode)) != 0))
			continue;
		len = strlen(marks[i].text);
		if (memcmp(buf_head(&t->in), marks[i].text,
			left < len ? left : len) != 0)
			continue;
		if (left >= len) {
			*n = len;
			return marks[i].mark;
		}
		if (!final)
			*n = 0;
	}
	return MARK_NONE;
}

/* Is a mark that stands in a value the value's text? */
static bool
is_content(const struct toolcall *t, enum mark mark)
{
	const struct buf *v = &t->pvalue;

	/* An end too many is dropped, but only behind a call. */
	if (t->mode == MODE_TEXT &&
	    (mark == MARK_FUNCTION_END || mark == MARK_PARAM_END))
		return !t->after_call;
	if (t->special)
		return false;
	if (t->mode == MODE_JSON || t->mode == MODE_ARGS)
		return json_mend_in_string(&t->json.mend);
	if (t->mode == MODE_PARAM && is_glm(t))
		return mark == MARK_CALL_END || mark == MARK_KEY;
	if (t->mode == MODE_PARAM &&
	    (mark == MARK_PARAM || mark == MARK_FUNCTION_END))
		return buf_len(v) == 0 || buf_head(v)[buf_len(v) - 1] != '\n';
	return false;
}

/* The newline behind a name is no part of it. */
static void
name_byte(struct toolcall *t, char c)
{
	if (c == '\n' || !call_name_push(t, c))
		(void)name_over(t);
}

/* Bytes behind <tool_call>: what kind of call is it? */
static void
open_call(struct toolcall *t, const char *p, size_t n)
{
	if (n == 1 && is_space(*p))
		return;
	if (*p == '{') {
		t->bare = false;
		call_json_begin(t);
		call_json_push(t, p, n);
		return;
	}
	if (is_glm(t)) {
		buf_clear(&t->fname);
		t->mode = MODE_NAME;
		name_byte(t, *p);
		return;
	}
	t->mode = MODE_TEXT;
	toolcall_words(t, "<tool_call>", 11);
	toolcall_words(t, p, n);
}

static void
json_bytes(struct toolcall *t, const char *p, size_t n)
{
	if (t->mode == MODE_ARGS) {
		call_args_push(t, p, n);
		if (t->family != CHAT_HARMONY &&
		    json_mend_done(&t->json.mend)) {
			call_args_end(t);
			t->mode = MODE_MISTRAL;
		}
		return;
	}
	call_json_push(t, p, n);
	if (json_mend_done(&t->json.mend) ||
	    (!t->json.begun && buf_len(&t->json.raw) > TOOLCALL_HOLD_MAX))
		json_over(t);
}

/* A list of calls, or NAME[ARGS]{...}. */
static void
mistral(struct toolcall *t, const char *p, size_t n)
{
	const char *name = (const char *)buf_head(&t->fname);

	if (*p == '{' && buf_len(&t->fname) > 0) {
		toolcall_say(t, TOOLCALL_BEGIN, name, buf_len(&t->fname));
		buf_clear(&t->fname);
		call_args_begin(t);
		json_bytes(t, p, n);
	} else if (*p == '{') {
		t->in_list = true;
		t->bare = false;
		call_json_begin(t);
		json_bytes(t, p, n);
	} else if (*p == ']') {
		t->in_list = false;
		turn_to(t, MODE_TEXT);
	} else if (*p != '[' && *p != ',' && !is_space(*p)) {
		buf_put(&t->fname, p, n);
		if (buf_len(&t->fname) <= TOOLCALL_NAME_MAX)
			return;
		t->mode = MODE_TEXT;
		toolcall_words(
		    t, (const char *)buf_head(&t->fname), buf_len(&t->fname));
		buf_clear(&t->fname);
	}
}

/* Bytes that are no mark.  Where one byte decides they come one by one. */
static void
on_bytes(struct toolcall *t, const char *p, size_t n)
{
	switch (t->mode) {
	case MODE_TEXT:
		/* An answer that begins as an object may be a call. */
		if (!t->said && !t->no_bare && t->ntools > 0 && *p == '{' &&
		    t->family != CHAT_HARMONY) {
			t->bare = true;
			call_json_begin(t);
			json_bytes(t, p, n);
			break;
		}
		toolcall_words(t, p, n);
		break;
	case MODE_THINK:
		toolcall_words(t, p, n);
		break;
	case MODE_OPEN:
		open_call(t, p, n);
		break;
	case MODE_JSON:
	case MODE_ARGS:
		json_bytes(t, p, n);
		break;
	case MODE_TAGS:
		break;
	case MODE_PARAM:
		call_param_push(t, p, n);
		break;
	case MODE_NAME:
		name_byte(t, *p);
		break;
	case MODE_KEY:
		call_key_push(t, p, n);
		break;
	case MODE_HEADER:
		buf_put(&t->fname, p, n);
		if (buf_len(&t->fname) < HEADER_MAX)
			break;
		turn_to(t, MODE_TEXT);
		toolcall_words(
		    t, (const char *)buf_head(&t->fname), buf_len(&t->fname));
		buf_clear(&t->fname);
		break;
	case MODE_MISTRAL:
		mistral(t, p, n);
		break;
	}
}

/* How many bytes at the head can be taken together as no mark. */
static size_t
plain_run(const struct toolcall *t)
{
	const char *p = (const char *)buf_head(&t->in);
	size_t left = buf_len(&t->in), n = 1;

	if (t->mode == MODE_OPEN || t->mode == MODE_MISTRAL ||
	    t->mode == MODE_HEADER || t->mode == MODE_NAME ||
	    (!t->said && t->mode == MODE_TEXT))
		return 1;
	if ((t->mode == MODE_JSON || t->mode == MODE_ARGS) &&
	    first_of(&t->in) == '}')
		return 1;
	while (n < left && p[n] != '<' && p[n] != '[' && p[n] != '}')
		n++;
	return n;
}

static void
run(struct toolcall *t, bool final)
{
	cleanup_buf struct buf piece = { 0 };
	enum mark mark;
	size_t n, name;
	int rc;

	while (buf_len(&t->in) > 0) {
		mark = mark_here(t, &n, final);
		if (n == 0)
			return;
		if (mark != MARK_NONE && is_content(t, mark))
			mark = MARK_NONE;
		if (mark == MARK_FUNCTION || mark == MARK_PARAM) {
			rc = tag_name(t, n, &name, final);
			if (rc == 0)
				return;
			if (rc > 0) {
				buf_clear(&piece);
				buf_put(&piece, buf_head(&t->in) + n, name);
				buf_consume(&t->in, n + name + 1);
				tag(t, mark, (const char *)buf_head(&piece),
				    name);
				continue;
			}
			mark = MARK_NONE;
		}
		if (mark != MARK_NONE) {
			buf_consume(&t->in, n);
			on_mark(t, mark);
			continue;
		}
		n = plain_run(t);
		buf_clear(&piece);
		buf_put(&piece, buf_head(&t->in), n);
		buf_consume(&t->in, n);
		/* A token of its own is markup or nothing. */
		if (!t->special || t->mode == MODE_HEADER)
			on_bytes(t, (const char *)buf_head(&piece), n);
	}
	buf_clear(&t->in);
}

/* Only UTF-8 goes further: what is not is U+FFFD. */
static void
take(struct toolcall *t, const char *p, size_t n)
{
	cleanup_buf struct buf b = { 0 };
	size_t tail;

	buf_put(&b, t->held, t->nheld);
	buf_put(&b, p, n);
	p = (const char *)buf_head(&b);
	n = buf_len(&b);
	tail = n == 0 ? 0 : unicode_tail(p, n);
	unicode_clean(p, n - tail, &t->in);
	if (tail > 0)
		memcpy(t->held, p + n - tail, tail);
	t->nheld = tail;
}

void
toolcall_push(struct toolcall *t, const char *p, size_t n, bool special)
{
	/* A token of its own completes nothing that is held. */
	if (special)
		run(t, true);
	take(t, p, n);
	t->special = special;
	run(t, false);
	t->special = false;
	flush(t);
}

/* No more comes: what may have been the beginning of a mark is none. */
static void
run_out(struct toolcall *t)
{
	if (t->nheld > 0)
		buf_put(&t->in, "\xef\xbf\xbd", 3);
	t->nheld = 0;
	run(t, true);
	if (t->mode == MODE_HEADER && buf_len(&t->fname) > 0 &&
	    !starts(&t->fname, "<|channel|>") &&
	    !starts(&t->fname, "assistant")) {
		turn_to(t, MODE_TEXT);
		toolcall_words(
		    t, (const char *)buf_head(&t->fname), buf_len(&t->fname));
	}
}

void
toolcall_end(struct toolcall *t)
{
	bool opened;

	run_out(t);
	opened = t->mode == MODE_OPEN;
	if (t->mode == MODE_MISTRAL && buf_len(&t->fname) > 0) {
		t->mode = MODE_TEXT;
		toolcall_words(
		    t, (const char *)buf_head(&t->fname), buf_len(&t->fname));
	}
	cut(t);
	if (opened)
		toolcall_words(t, "<tool_call>", 11);
	flush(t);
}

void
toolcall_stop(struct toolcall *t)
{
	const struct call_json *j = &t->json;

	run_out(t);
	/* Without a tag it is the answer until it is known to be a call. */
	if (t->mode == MODE_JSON && t->bare && !j->begun) {
		t->mode = MODE_TEXT;
		t->skip_space = false;
		toolcall_words(
		    t, (const char *)buf_head(&j->raw), buf_len(&j->raw));
	}
	flush(t);
}
