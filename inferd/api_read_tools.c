/*
 * Tools and the choice among them, in each protocol's shape.
 */
#include "inferd/api_int.h"

#include <string.h>

#include "base/str.h"
#include "inferd/template_int.h"

static const char custom_schema[] =
    "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},"
    "\"required\":[\"input\"],\"additionalProperties\":false}";

struct chat_text
tool_name(struct reader *r, struct chat_text space, struct chat_text name)
{
	size_t gap;
	char *p;

	if (space.n == 0)
		return name;
	/* mcp__files and mcp__files__ are both usual. */
	gap = space.p[space.n - 1] == '_' ? 0 : 2;
	p = api_take(r, space.n + gap + name.n + 1);
	memcpy(p, space.p, space.n);
	memset(p + space.n, '_', gap);
	if (name.n > 0)
		memcpy(p + space.n + gap, name.p, name.n);
	return (struct chat_text){ p, space.n + gap + name.n };
}

static struct chat_text
keep(struct reader *r, struct buf *b)
{
	size_t n = buf_len(b);
	char *p = api_take(r, n + 1);

	if (n > 0)
		memcpy(p, buf_head(b), n);
	return (struct chat_text){ p, n };
}

struct chat_text
tool_custom_args(struct reader *r, struct chat_text input)
{
	cleanup_buf struct buf b = { 0 };

	buf_printf(&b, "{\"input\": ");
	json_quote(&b, input.p, input.n);
	buf_put_u8(&b, '}');
	return keep(r, &b);
}

static int
check_name(struct reader *r, struct chat_text name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.:/";
	size_t i;

	if (name.n == 0 || name.n > API_NAME_MAX)
		return api_bad(r, "name",
		    "the name of a tool has between 1 and %u bytes",
		    API_NAME_MAX);
	/* It stands in the prompt without quotes. */
	for (i = 0; i < name.n; i++)
		if (memchr(letters, name.p[i], sizeof(letters) - 1) == NULL)
			return api_bad(r, "name",
			    "the name of a tool is made of letters, digits, "
			    "'-', '_', '.', ':' and '/'");
	return 0;
}

static int
add_tool(struct reader *r, struct chat_tool tool, struct api_tool origin)
{
	cleanup_free char *shown = NULL;
	size_t i;

	tool.name = tool_name(r, origin.space, origin.name);
	if (check_name(r, tool.name) < 0)
		return -1;
	for (i = 0; i < r->ntools; i++)
		if (text_same(r->tool[i].name, tool.name)) {
			shown = str_escape(tool.name.p, tool.name.n);
			return api_bad(
			    r, "name", "there are two tools '%s'", shown);
		}
	if (r->ntools == API_TOOLS_MAX)
		return api_bad(
		    r, "", "there are more than %u tools", API_TOOLS_MAX);
	if (r->ntools == r->tools_cap) {
		r->tools_cap = r->tools_cap == 0 ? 32 : r->tools_cap * 2;
		r->tool =
		    xreallocarray(r->tool, r->tools_cap, sizeof(*r->tool));
		r->origin =
		    xreallocarray(r->origin, r->tools_cap, sizeof(*r->origin));
	}
	r->tool[r->ntools] = tool;
	r->origin[r->ntools++] = origin;
	return 0;
}

/* A function: name, description, its schema by this name, strict. */
static int
read_function(
    struct reader *r, uint32_t node, const char *schema, struct chat_text space)
{
	struct chat_tool tool = { 0 };
	struct api_tool origin = { .space = space };
	uint32_t parameters;

	if (api_get_text(r, node, "name", &origin.name) < 0 ||
	    api_get_text(r, node, "description", &tool.description) < 0 ||
	    api_get_bool(r, node, "strict", &origin.strict) < 0 ||
	    api_get_node(r, node, schema, JSON_OBJECT, &parameters) < 0)
		return -1;
	if (parameters != 0)
		tool.schema = api_raw(r, parameters);
	return add_tool(r, tool, origin);
}

/* A tool that takes any text, or text of a grammar, which the model is told
 * with the description. */
static int
read_custom(struct reader *r, uint32_t node, struct chat_text space)
{
	struct chat_tool tool = { .schema = { custom_schema,
				      sizeof(custom_schema) - 1 } };
	/* Without its one member there would be nothing to call it with. */
	struct api_tool origin = {
		.space = space, .custom = true, .strict = true
	};
	struct chat_text definition = { NULL, 0 };
	cleanup_buf struct buf b = { 0 };
	uint32_t format, grammar;

	if (api_get_text(r, node, "name", &origin.name) < 0 ||
	    api_get_text(r, node, "description", &tool.description) < 0 ||
	    api_get_node(r, node, "format", JSON_OBJECT, &format) < 0)
		return -1;
	if (format != 0) {
		if (api_get_node(r, format, "grammar", JSON_OBJECT, &grammar) <
			0 ||
		    api_get_text(r, grammar != 0 ? grammar : format,
			"definition", &definition) < 0)
			return -1;
	}
	if (definition.n > 0) {
		buf_put(&b, tool.description.p, tool.description.n);
		buf_printf(&b, "\nThe input must match this grammar:\n");
		buf_put(&b, definition.p, definition.n);
		tool.description = keep(r, &b);
	}
	return add_tool(r, tool, origin);
}

static int read_responses_tool(
    struct reader *r, uint32_t node, struct chat_text space);

static int
read_namespace(struct reader *r, uint32_t node)
{
	struct chat_text space = { NULL, 0 };
	uint32_t tools, i;
	size_t k = 0, at;

	if (api_get_text(r, node, "name", &space) < 0 ||
	    api_get_node(r, node, "tools", JSON_ARRAY, &tools) < 0)
		return -1;
	if (space.n == 0 || space.n > API_NAME_MAX)
		return api_bad(r, "name",
		    "the name of a namespace has between 1 and %u bytes",
		    API_NAME_MAX);
	if (tools == 0)
		return 0;
	for (i = json_tree_first(&r->t, tools); i != 0; i = r->t.node[i].next) {
		at = api_enter_at(r, "tools", k++);
		if (read_responses_tool(r, i, space) < 0)
			return -1;
		api_leave(r, at);
	}
	return 0;
}

static int
read_responses_tool(struct reader *r, uint32_t node, struct chat_text space)
{
	if (r->t.node[node].type != JSON_OBJECT)
		return api_bad(r, "", "a tool must be an object");
	if (api_type_is(r, node, "function"))
		return read_function(r, node, "parameters", space);
	if (api_type_is(r, node, "custom"))
		return read_custom(r, node, space);
	if (api_type_is(r, node, "namespace") && space.n == 0)
		return read_namespace(r, node);
	r->left_out++;
	return 0;
}

static int
read_chat_tool(struct reader *r, uint32_t node)
{
	static const struct chat_text none = { NULL, 0 };
	bool custom = api_type_is(r, node, "custom");
	const char *name = custom ? "custom" : "function";
	uint32_t inner;
	size_t at;
	int rc;

	if (r->t.node[node].type != JSON_OBJECT)
		return api_bad(r, "", "a tool must be an object");
	if (!custom && !api_type_is(r, node, "function")) {
		r->left_out++;
		return 0;
	}
	if (api_get_node(r, node, name, JSON_OBJECT, &inner) < 0)
		return -1;
	if (inner == 0)
		return api_bad(r, name, "there is no %s", name);
	at = api_enter(r, name);
	rc = custom ? read_custom(r, inner, none)
		    : read_function(r, inner, "parameters", none);
	api_leave(r, at);
	return rc;
}

static int
read_messages_tool(struct reader *r, uint32_t node)
{
	static const struct chat_text none = { NULL, 0 };

	if (r->t.node[node].type != JSON_OBJECT)
		return api_bad(r, "", "a tool must be an object");
	/* A type is of tools that Anthropic has made. */
	if (api_field(r, node, "input_schema") == 0 &&
	    api_field(r, node, "type") != 0 &&
	    !api_type_is(r, node, "custom")) {
		r->left_out++;
		return 0;
	}
	return read_function(r, node, "input_schema", none);
}

int
api_read_tools(struct reader *r)
{
	static const struct chat_text none = { NULL, 0 };
	uint32_t tools, i;
	size_t k = 0, at;
	int rc = 0;

	if (api_get_node(r, 0, "tools", JSON_ARRAY, &tools) < 0)
		return -1;
	if (tools == 0)
		return 0;
	for (i = json_tree_first(&r->t, tools); i != 0; i = r->t.node[i].next) {
		at = api_enter_at(r, "tools", k++);
		switch (r->out->kind) {
		case API_CHAT:
			rc = read_chat_tool(r, i);
			break;
		case API_RESPONSES:
			rc = read_responses_tool(r, i, none);
			break;
		case API_MESSAGES:
		case API_COUNT_TOKENS:
			rc = read_messages_tool(r, i);
			break;
		case API_COMPLETIONS:
		case API_OTHER:
			break;
		}
		if (rc < 0)
			return -1;
		api_leave(r, at);
	}
	return 0;
}

/* -- The choice -- */

static int
no_such_tool(struct reader *r, struct chat_text name)
{
	cleanup_free char *shown =
	    str_escape(name.p, name.n < 64 ? name.n : 64);

	return api_bad(r, "tool_choice", "there is no tool '%s'%s", shown,
	    r->left_out > 0 ? " that this model can be offered" : "");
}

static int
find_tool(struct reader *r, struct chat_text space, struct chat_text name,
    size_t *out)
{
	size_t i;

	for (i = 0; i < r->ntools; i++)
		if (text_same(r->origin[i].name, name) &&
		    (space.n == 0 || text_same(r->origin[i].space, space))) {
			*out = i;
			return 0;
		}
	return no_such_tool(r, name);
}

/* An object that names a tool: itself, or by a member. */
static int
read_named(struct reader *r, uint32_t node, size_t *out)
{
	static const char *const inner[] = { "function", "custom" };
	struct chat_text name = { NULL, 0 }, space = { NULL, 0 };
	uint32_t in = 0;
	size_t i;

	for (i = 0; i < nitems(inner) && in == 0; i++)
		if (api_get_node(r, node, inner[i], JSON_OBJECT, &in) < 0)
			return -1;
	if (in == 0)
		in = node;
	if (api_get_text(r, in, "name", &name) < 0 ||
	    api_get_text(r, in, "namespace", &space) < 0)
		return -1;
	if (name.n == 0 && api_get_text(r, in, "type", &name) < 0)
		return -1;
	return find_tool(r, space, name, out);
}

static int
read_word(struct reader *r, uint32_t node)
{
	cleanup_free char *shown = NULL;
	struct api_request *q = r->out;

	if (json_tree_is(&r->t, node, "none")) {
		q->tool_choice = TOOLS_NONE;
	} else if (json_tree_is(&r->t, node, "auto")) {
		q->tool_choice = TOOLS_AUTO;
	} else if (json_tree_is(&r->t, node, "required") ||
		   json_tree_is(&r->t, node, "any")) {
		q->tool_choice = TOOLS_REQUIRED;
	} else {
		shown = api_show(r, node);
		return api_bad(
		    r, "tool_choice", "tool_choice '%s' is not known", shown);
	}
	return 0;
}

/* Of the tools only these. */
static int
read_allowed(struct reader *r, uint32_t node)
{
	uint32_t inner, mode, tools, i;
	bool kept[API_TOOLS_MAX] = { false };
	size_t k = 0, n = 0;

	if (api_get_node(r, node, "allowed_tools", JSON_OBJECT, &inner) < 0)
		return -1;
	if (inner == 0)
		inner = node;
	if (api_get_node(r, inner, "mode", JSON_STR, &mode) < 0 ||
	    api_get_node(r, inner, "tools", JSON_ARRAY, &tools) < 0)
		return -1;
	if (mode != 0 && read_word(r, mode) < 0)
		return -1;
	if (tools == 0)
		return api_bad(r, "tools", "there are no tools");
	if (json_tree_count(&r->t, tools) > API_TOOLS_MAX)
		return api_bad(r, "tools", "there are more than %u of them",
		    API_TOOLS_MAX);
	for (i = json_tree_first(&r->t, tools); i != 0; i = r->t.node[i].next) {
		if (r->t.node[i].type != JSON_OBJECT)
			return api_bad(r, "tools", "a tool must be an object");
		if (!api_type_is(r, i, "function") &&
		    !api_type_is(r, i, "custom"))
			continue;
		if (read_named(r, i, &k) < 0)
			return -1;
		kept[k] = true;
	}
	for (k = 0; k < r->ntools; k++)
		if (kept[k]) {
			r->tool[n] = r->tool[k];
			r->origin[n++] = r->origin[k];
		}
	r->ntools = n;
	return 0;
}

static int
read_choice(struct reader *r, uint32_t node)
{
	struct api_request *q = r->out;
	bool serial = false;
	uint32_t type;
	size_t k;

	if (r->t.node[node].type == JSON_STR)
		return read_word(r, node);
	if (r->t.node[node].type != JSON_OBJECT)
		return api_bad(r, "tool_choice",
		    "tool_choice must be a string or an object");
	if (api_get_bool(r, node, "disable_parallel_tool_use", &serial) < 0 ||
	    api_get_node(r, node, "type", JSON_STR, &type) < 0)
		return -1;
	q->one_call |= serial;
	if (type == 0)
		return api_bad(r, "tool_choice", "tool_choice has no type");
	if (json_tree_is(&r->t, type, "allowed_tools"))
		return read_allowed(r, node);
	if (json_tree_is(&r->t, type, "auto") ||
	    json_tree_is(&r->t, type, "any") ||
	    json_tree_is(&r->t, type, "none"))
		return read_word(r, type);
	if (read_named(r, node, &k) < 0)
		return -1;
	q->tool_choice = TOOLS_NAMED;
	q->tool_name = r->tool[k].name;
	return 0;
}

int
api_read_tool_choice(struct reader *r)
{
	struct api_request *q = r->out;
	uint32_t node = api_field(r, 0, "tool_choice");
	bool parallel = true;

	if (api_get_bool(r, 0, "parallel_tool_calls", &parallel) < 0)
		return -1;
	q->one_call = !parallel;
	if (node != 0 && read_choice(r, node) < 0)
		return -1;
	if (r->ntools > 0)
		return 0;
	if (q->tool_choice == TOOLS_REQUIRED)
		return api_bad(r, "tool_choice",
		    "a call is demanded, and there is no tool%s",
		    r->left_out > 0 ? " that this model can be offered" : "");
	q->tool_choice = TOOLS_NONE;
	return 0;
}
