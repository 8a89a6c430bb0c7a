/*
 * A whole JSON text (RFC 8259) as a tree of spans, for schemas and arguments
 * of tools.  Pure; bounded by JSON_TREE_NODES and JSON_TREE_DEPTH.
 */
#ifndef BRIG_INFERD_JSON_TREE_H
#define BRIG_INFERD_JSON_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define JSON_TREE_NODES (1u << 20)
#define JSON_TREE_DEPTH 64u

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUM,
	JSON_STR,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json_node {
	enum json_type type;
	uint32_t from, n;   /* its text; of a string without the quotes */
	uint32_t key, nkey; /* of a member: its name, as it is escaped */
	uint32_t child;     /* the first, 0: none */
	uint32_t next;      /* sibling, 0: none */
};

struct json_tree {
	const char *text; /* the caller's */
	struct json_node *node;
	uint32_t n, cap;
};

/* Reads n bytes that must stay while t is used.  0, or -1 with err. */
int json_tree_read(
    struct json_tree *t, const char *text, size_t n, struct error *err);
void json_tree_free(struct json_tree *t); /* safe on a zeroed one */
#define cleanup_json_tree attr_cleanup(json_tree_free)

/* Nodes are named by index; 0 is the root and, of others, "none". */
uint32_t json_tree_get(
    const struct json_tree *t, uint32_t object, const char *name);
/* The children of a node: for (i = first; i != 0; i = t->node[i].next). */
uint32_t json_tree_first(const struct json_tree *t, uint32_t node);
uint32_t json_tree_count(const struct json_tree *t, uint32_t node);
/* Is it a string with this value? */
bool json_tree_is(const struct json_tree *t, uint32_t node, const char *s);
/* Appends the decoded bytes of a string or of a member's name. */
void json_tree_str(const struct json_tree *t, uint32_t node, struct buf *out);
void json_tree_key(const struct json_tree *t, uint32_t node, struct buf *out);
/* Appends n bytes of UTF-8 as a string, as Python's json.dumps() writes it. */
void json_quote(struct buf *out, const char *p, size_t n);
/* Appends the node as Python's json.dumps() writes it: ", " and ": ". */
void json_tree_dump(const struct json_tree *t, uint32_t node, struct buf *out);

/* Do two texts mean the same?  Members in any order, numbers and strings by
 * value; texts that are not JSON if they are the same bytes. */
bool json_same(const char *p, size_t n, const char *q, size_t m);

#endif
