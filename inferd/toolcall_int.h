/*
 * Shared by the files of the parser; nobody else includes it.
 */
#ifndef BRIG_INFERD_TOOLCALL_INT_H
#define BRIG_INFERD_TOOLCALL_INT_H

#include "inferd/json_tree.h"
#include "inferd/toolcall.h"

enum toolcall_mode {
	MODE_TEXT,
	MODE_THINK,
	MODE_OPEN,    /* behind <tool_call>: JSON or tags */
	MODE_JSON,    /* {"name": ..., "arguments": {...}} */
	MODE_ARGS,    /* arguments alone, their call has begun */
	MODE_TAGS,    /* between the tags of a call */
	MODE_PARAM,   /* the value of a parameter */
	MODE_NAME,    /* GLM: the name of a call, up to a newline or tag */
	MODE_KEY,     /* GLM: the name of a parameter */
	MODE_HEADER,  /* Harmony: before <|message|> */
	MODE_MISTRAL, /* behind [TOOL_CALLS] */
};

/* A call that is written as JSON. */
struct call_json {
	struct json_mend mend;
	struct buf out; /* valid JSON that is still to be looked at */
	struct buf raw; /* what came, until it is sure to be a call */
	bool string, escape, key, begun, streaming;
	bool quoted; /* the arguments are a string that holds JSON */
	unsigned int depth;
	struct buf name, member, value, args;
};

struct toolcall {
	enum chat_family family;
	const struct chat_tool *tools;
	size_t ntools;
	toolcall_fn *fn;
	void *arg;
	enum toolcall_mode mode;
	struct buf in;    /* not yet used: may begin a mark */
	struct buf space; /* white space that may stand before a call */
	bool skip_space;  /* it would begin the text */
	bool bare;        /* the call has no tag before it */
	bool in_list;     /* of calls: Mistral's */
	bool no_bare;     /* a call has a tag before it */
	bool no_calls;    /* what looks like one is text */
	bool special;     /* the bytes are a token of their own */
	char held[4];     /* the beginning of a character */
	size_t nheld;
	enum toolcall_event telling;
	struct buf told; /* what is told at the end of this push */
	bool after_call; /* and nothing but space since */
	bool said;       /* some text has come */
	unsigned int calls;
	struct call_json json;
	/* A call that is written as tags. */
	struct buf fname, pname, pvalue;
	bool first_param, is_text, started;
};

/* The first byte, '\0' if there is none. */
static inline char
first_of(const struct buf *b)
{
	const uint8_t *p = buf_head(b);

	return p == NULL || buf_len(b) == 0 ? '\0' : (char)p[0];
}

void toolcall_say(
    struct toolcall *t, enum toolcall_event event, const char *p, size_t n);
/* Text or thoughts; white space waits for what follows. */
void toolcall_words(struct toolcall *t, const char *p, size_t n);

/* toolcall_json.c */
void call_json_begin(struct toolcall *t);
void call_json_push(struct toolcall *t, const char *p, size_t n);
/* True: it was a call; else what came is text. */
bool call_json_end(struct toolcall *t);
/* Arguments alone, of a call that has been told. */
void call_args_begin(struct toolcall *t);
void call_args_push(struct toolcall *t, const char *p, size_t n);
void call_args_end(struct toolcall *t);
void call_json_free(struct call_json *j);

/* Names stand behind tags there, and values between them as they are. */
static inline bool
is_glm(const struct toolcall *t)
{
	return t->family == CHAT_GLM45 || t->family == CHAT_GLM47;
}

/* toolcall_tags.c */
void call_tags_begin(struct toolcall *t, const char *name, size_t n);
void call_param_begin(struct toolcall *t, const char *name, size_t n);
void call_param_push(struct toolcall *t, const char *p, size_t n);
void call_param_end(struct toolcall *t);
void call_tags_end(struct toolcall *t);
/* GLM.  A byte of a call's name; false: it is none. */
bool call_name_push(struct toolcall *t, char c);
/* The call begins, if it has a name. */
bool call_name_end(struct toolcall *t);
void call_key_push(struct toolcall *t, const char *p, size_t n);

#endif
