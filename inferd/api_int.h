/*
 * Parts of api.h among themselves: a request being read, an answer being
 * written.
 */
#ifndef BRIG_INFERD_API_INT_H
#define BRIG_INFERD_API_INT_H

#include "inferd/api.h"
#include "inferd/json_tree.h"

#define API_PLACES_MAX 8u /* one in another */
#define API_NO_INDEX SIZE_MAX

/* Pieces that become one text; borrowed if there is only one. */
struct join {
	struct chat_text one;
	struct buf all;
	size_t n;
};

struct reader {
	struct json_tree t;
	struct api_request *out;
	struct api_error *err;
	struct {
		const char *name; /* static */
		size_t i;         /* or API_NO_INDEX */
	} at[API_PLACES_MAX];     /* where it reads: "messages[3]" */
	size_t nat;

	/* What is put into out at the end. */
	struct chat_message *message;
	size_t nmessages, messages_cap;
	struct chat_tool *tool;
	struct api_tool *origin;
	size_t ntools, tools_cap;
	size_t left_out; /* tools that cannot be offered */

	/* The message that is being put together. */
	bool open;
	enum chat_role role;
	struct join text, thinking;
	bool gap; /* its text goes on in another of the client's messages */
	struct chat_call *call;
	size_t ncalls, calls_cap;
	size_t all_calls; /* in messages before it */
	void *called;     /* tree of them by id: tsearch(3) */
	struct chat_text call_id;
};

/* -- api_field.c: fields.  0 is "not there" for nodes. -- */

/* err: status 400; field is below where the reader is.  Returns -1. */
int api_bad(struct reader *r, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "name" or "name[i]", name static; returns what api_leave() wants. */
size_t api_enter(struct reader *r, const char *name);
size_t api_enter_at(struct reader *r, const char *name, size_t i);
void api_leave(struct reader *r, size_t at);
void *api_take(struct reader *r, size_t n); /* memory of the request */
uint32_t api_field(const struct reader *r, uint32_t object, const char *name);
bool api_type_is(const struct reader *r, uint32_t object, const char *name);
struct chat_text api_text(struct reader *r, uint32_t node);
/* As JSON stands in the body. */
struct chat_text api_raw(const struct reader *r, uint32_t node);
/* A piece of the value, to be shown in a message; malloc'ed. */
char *api_show(struct reader *r, uint32_t node);
/* 1: read, 0: not there and out untouched, -1: something else. */
int api_get_text(
    struct reader *r, uint32_t object, const char *name, struct chat_text *out);
int api_get_bool(
    struct reader *r, uint32_t object, const char *name, bool *out);
int api_get_number(struct reader *r, uint32_t object, const char *name,
    double min, double max, double *out);
/* A member of that type; *out 0 if it is not there. */
int api_get_node(struct reader *r, uint32_t object, const char *name,
    enum json_type type, uint32_t *out);
/* A schema that an answer is to match. */
int api_get_schema(struct reader *r, uint32_t object, const char *name);

void join_add(struct join *j, struct chat_text t, const char *between);
struct chat_text join_end(struct reader *r, struct join *j);

/* -- api_read_history.c: messages -- */

/* Ends the message before it; one of the same role may go on (system at the
 * beginning; an assistant if `goes_on`). */
int history_begin(struct reader *r, enum chat_role role, bool goes_on);
void history_text(struct reader *r, struct chat_text t);
void history_thinking(struct reader *r, struct chat_text t);
/* The text of a member, if it is there. */
int history_field(struct reader *r, uint32_t object, const char *name);
int history_call(struct reader *r, const struct chat_call *call);
/* The result of a call that must be there. */
int history_result(struct reader *r, struct chat_text id, const char *field);
int history_end(struct reader *r);
void history_free(struct reader *r);
/*
 * Text of a part of a message, by its type.  1: out is set; 0: another type,
 * for the caller to know; -1: what no model here can see.
 */
int history_part(struct reader *r, uint32_t part, struct chat_text *out);
/* A type of part that is not known. */
int history_part_bad(struct reader *r, uint32_t part);
/* Content, all text: a string or parts; field: what it is called. */
int history_content(struct reader *r, uint32_t node, const char *field);
/* Who says a message; it is an object. */
int history_role(struct reader *r, uint32_t message, enum chat_role *role);

/* -- api_read_tools.c -- */
int api_read_tools(struct reader *r);
int api_read_tool_choice(struct reader *r);
/* The name that the model knows a tool by. */
struct chat_text tool_name(
    struct reader *r, struct chat_text space, struct chat_text name);
/* The arguments of a call of a custom tool. */
struct chat_text tool_custom_args(struct reader *r, struct chat_text input);

/* -- one file each -- */
int api_read_params(struct reader *r);
int api_read_chat(struct reader *r);
int api_read_messages(struct reader *r);
int api_read_responses(struct reader *r);

/* -- writing -- */

enum part {
	PART_NONE,
	PART_TEXT,
	PART_THINKING,
	PART_CALL,
};

struct api_reply {
	const struct api_request *r;
	char *id, *model;
	int64_t created;
	bool begun;
	enum part part;        /* that goes on */
	uint32_t index;        /* of that part */
	uint32_t parts, calls; /* begun so far */
	uint32_t sequence;     /* of events, where they are counted */
	/* The call that goes on. */
	struct buf call_id, name, args;
	const struct api_tool *tool; /* NULL: none that was offered */
	/* All so far, where it is needed at the end. */
	struct buf text, thinking, items;
};

/* Text as a string of JSON; bytes that are not UTF-8 become U+FFFD. */
void api_quote(struct buf *out, const char *p, size_t n);
void api_quote_buf(struct buf *out, const struct buf *b);
/* One event: its beginning, up to the data, and its end. */
void sse_begin(struct buf *out, const char *event); /* NULL: no name */
void sse_end(struct buf *out);
void sse_progress(struct buf *out, const struct gen_event *e);
/* The text that a custom tool is called with, out of args. */
void custom_input(const struct api_reply *a, struct buf *out);
bool reply_custom(const struct api_reply *a);
/* The name of the call as its client knows it, quoted. */
void reply_name(const struct api_reply *a, struct buf *out);

void chat_event(
    struct api_reply *a, const struct gen_event *e, struct buf *out);
void completions_event(
    struct api_reply *a, const struct gen_event *e, struct buf *out);
void messages_event(
    struct api_reply *a, const struct gen_event *e, struct buf *out);
void responses_event(
    struct api_reply *a, const struct gen_event *e, struct buf *out);
void responses_fail(
    struct api_reply *a, const struct api_error *err, struct buf *out);

#endif
