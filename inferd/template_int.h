/*
 * Shared by the template's files; nobody else includes it.
 */
#ifndef BRIG_INFERD_TEMPLATE_INT_H
#define BRIG_INFERD_TEMPLATE_INT_H

#include "inferd/json_tree.h"
#include "inferd/template.h"

/* Append to the prompt: the template's own words, or text of another. */
void prompt_say(struct prompt *p, const char *words);
void prompt_put(
    struct prompt *p, enum prompt_origin origin, const char *text, size_t n);
void prompt_text(
    struct prompt *p, enum prompt_origin origin, struct chat_text t);
void prompt_buf(
    struct prompt *p, enum prompt_origin origin, const struct buf *b);

/* Without white space at its ends; without newlines. */
struct chat_text text_trim(struct chat_text t);
struct chat_text text_trim_newlines(struct chat_text t);
bool text_is(struct chat_text t, const char *s);
bool text_same(struct chat_text a, struct chat_text b);

/* The thoughts and the words of an assistant, also where a client has left
 * them in one text. */
void split_thinking(const struct chat_message *m, struct chat_text *thinking,
    struct chat_text *words);
/* Messages behind this one belong to the turn that is going on. */
size_t last_query(const struct chat *c);

/* As json.dumps() writes it; text that is not JSON becomes a string. */
void dump_json(struct chat_text t, struct buf *out);
/* {"type": "function", "function": {...}} */
void dump_tool(const struct chat_tool *tool, struct buf *out);
void dump_string(struct chat_text t, struct buf *out);

int render_chatml(enum chat_family family, const struct chat *c,
    struct prompt *p, struct error *err);
int render_harmony(const struct chat *c, struct prompt *p, struct error *err);
int render_mistral(const struct chat *c, struct prompt *p, struct error *err);
int render_mixtral(const struct chat *c, struct prompt *p, struct error *err);
int render_glm(enum chat_family family, const struct chat *c, struct prompt *p,
    struct error *err);
int render_llama3(const struct chat *c, struct prompt *p, struct error *err);
int render_deepseek2(const struct chat *c, struct prompt *p, struct error *err);
int render_deepseek31(
    const struct chat *c, struct prompt *p, struct error *err);
int render_plain(const struct chat *c, struct prompt *p, struct error *err);

#endif
