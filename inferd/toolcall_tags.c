/*
 * Calls that a model writes as tags: <function=NAME><parameter=KEY>VALUE, or
 * <tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE.  The value is text;
 * the tool's schema says what it stands for.
 */
#include "inferd/toolcall_int.h"

#include <string.h>

/* The type that the schema gives a parameter, "" if none. */
static void
type_of(const struct toolcall *t, struct buf *out)
{
	cleanup_json_tree struct json_tree tree = { 0 };
	cleanup_buf struct buf key = { 0 };
	uint32_t node;
	size_t i;

	for (i = 0; i < t->ntools; i++)
		if (t->tools[i].name.n == buf_len(&t->fname) &&
		    memcmp(t->tools[i].name.p, buf_head(&t->fname),
			buf_len(&t->fname)) == 0)
			break;
	if (i == t->ntools || json_tree_read(&tree, t->tools[i].schema.p,
				  t->tools[i].schema.n, NULL) < 0)
		return;
	buf_put(&key, buf_head(&t->pname), buf_len(&t->pname));
	buf_put_u8(&key, 0);
	node = json_tree_get(&tree, 0, "properties");
	if (node != 0)
		node = json_tree_get(&tree, node, (const char *)buf_head(&key));
	if (node != 0)
		node = json_tree_get(&tree, node, "type");
	if (node != 0 && tree.node[node].type == JSON_STR)
		json_tree_str(&tree, node, out);
}

static bool
is(const struct buf *b, const char *s)
{
	return buf_len(b) == strlen(s) &&
	       (buf_len(b) == 0 || memcmp(buf_head(b), s, buf_len(b)) == 0);
}

static void
args(struct toolcall *t, const struct buf *b)
{
	if (buf_len(b) > 0)
		toolcall_say(
		    t, TOOLCALL_ARGS, (const char *)buf_head(b), buf_len(b));
}

void
call_tags_begin(struct toolcall *t, const char *name, size_t n)
{
	buf_clear(&t->fname);
	buf_put(&t->fname, name, n);
	t->first_param = true;
	t->mode = MODE_TAGS;
	toolcall_say(t, TOOLCALL_BEGIN, name, n);
	toolcall_say(t, TOOLCALL_ARGS, "{", 1);
}

void
call_param_begin(struct toolcall *t, const char *name, size_t n)
{
	cleanup_buf struct buf b = { 0 }, type = { 0 };

	buf_clear(&t->pname);
	buf_clear(&t->pvalue);
	buf_put(&t->pname, name, n);
	if (!t->first_param)
		buf_put(&b, ", ", 2);
	t->first_param = false;
	json_quote(&b, name, n);
	buf_put(&b, ": ", 2);
	type_of(t, &type);
	t->is_text = is(&type, "string");
	t->started = false;
	if (t->is_text)
		buf_put_u8(&b, '"');
	args(t, &b);
	t->mode = MODE_PARAM;
}

/* The newline behind the tag is its own; the last waits for its tag. */
void
call_param_push(struct toolcall *t, const char *p, size_t n)
{
	cleanup_buf struct buf b = { 0 };
	size_t keep;

	if (!t->started && n > 0) {
		t->started = true;
		if (*p == '\n' && !is_glm(t)) {
			p++;
			n--;
		}
	}
	buf_put(&t->pvalue, p, n);
	if (!t->is_text || buf_len(&t->pvalue) == 0)
		return;
	keep =
	    !is_glm(t) && buf_head(&t->pvalue)[buf_len(&t->pvalue) - 1] == '\n';
	json_quote(
	    &b, (const char *)buf_head(&t->pvalue), buf_len(&t->pvalue) - keep);
	/* More of the string may come: without the quotes. */
	buf_consume(&b, 1);
	b.len--;
	args(t, &b);
	buf_consume(&t->pvalue, buf_len(&t->pvalue) - keep);
}

void
call_param_end(struct toolcall *t)
{
	cleanup_json_tree struct json_tree tree = { 0 };
	cleanup_buf struct buf b = { 0 }, type = { 0 };
	const char *p = (const char *)buf_head(&t->pvalue);
	size_t n = buf_len(&t->pvalue);
	struct json_mend m;

	t->mode = MODE_TAGS;
	if (t->is_text) {
		toolcall_say(t, TOOLCALL_ARGS, "\"", 1);
		return;
	}
	if (n > 0 && p[n - 1] == '\n' && !is_glm(t))
		n--;
	type_of(t, &type);
	json_mend_init(&m, &b);
	if (n > 0 && json_tree_read(&tree, p, n, NULL) == 0) {
		json_tree_dump(&tree, 0, &b);
	} else if (is(&type, "") && !(n > 0 && (*p == '{' || *p == '['))) {
		json_quote(&b, p, n);
	} else {
		json_mend_push(&m, p, n);
		json_mend_end(&m);
	}
	args(t, &b);
}

void
call_tags_end(struct toolcall *t)
{
	toolcall_say(t, TOOLCALL_ARGS, "}", 1);
	toolcall_say(t, TOOLCALL_END, NULL, 0);
}

bool
call_name_push(struct toolcall *t, char c)
{
	buf_put_u8(&t->fname, (uint8_t)c);
	return c > ' ' && c != '<' && c != '>' && c != 0x7f &&
	       buf_len(&t->fname) <= TOOLCALL_NAME_MAX;
}

bool
call_name_end(struct toolcall *t)
{
	cleanup_buf struct buf name = t->fname;
	const char *p = (const char *)buf_head(&name);
	size_t n = buf_len(&name);
	bool good = n > 0 && n <= TOOLCALL_NAME_MAX;

	for (size_t i = 0; i < n; i++)
		good = good && p[i] > ' ' && p[i] != '<' && p[i] != '>';
	if (!good) {
		/* It is the caller's to say as text. */
		memset(&name, 0, sizeof(name));
		return false;
	}
	memset(&t->fname, 0, sizeof(t->fname));
	call_tags_begin(t, p, n);
	return true;
}

/* Of a name that has no end nobody hears more. */
void
call_key_push(struct toolcall *t, const char *p, size_t n)
{
	if (buf_len(&t->pname) + n <= TOOLCALL_HOLD_MAX)
		buf_put(&t->pname, p, n);
}
