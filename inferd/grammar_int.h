/*
 * Shared by the files of grammars; nobody else includes it.
 *
 * A grammar is a graph of nodes over bytes in which a node may call a rule: a
 * push-down automaton.  It is followed in all ways at once; what is left is
 * always such that it can be completed within GRAMMAR_DEPTH calls, so nobody
 * is led into a dead end.
 */
#ifndef BRIG_INFERD_GRAMMAR_INT_H
#define BRIG_INFERD_GRAMMAR_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inferd/grammar.h"

#define GRAMMAR_NODES (1u << 16)
#define GRAMMAR_EDGES (1u << 17)
#define GRAMMAR_RULES 8192u
/* Calls within calls.  A level of JSON takes one or two, so that
 * JSON_TREE_DEPTH is never passed. */
#define GRAMMAR_DEPTH 63u
/* Of one state; ways beyond them are not followed, which makes a grammar
 * narrower, never wider. */
#define GRAMMAR_CONFS 192u
#define GRAMMAR_FRAMES 1024u
#define GRAMMAR_QUEUE 1024u
#define GRAMMAR_NEVER 0xffffu
#define GRAMMAR_MANY UINT32_MAX

enum gnode_op {
	GNODE_FAIL,
	GNODE_END,    /* of the rule */
	GNODE_EDGES,  /* a: the first, b: how many; by bytes, disjoint */
	GNODE_SPLIT,  /* a or b */
	GNODE_CALL,   /* a: rule, b: behind it */
	GNODE_REPEAT, /* a: node to the end of a rule, b: behind it */
};

struct gnode {
	uint8_t op;
	uint16_t need; /* calls within calls to get to the end of the rule */
	uint32_t a, b;
	uint32_t min, max; /* GNODE_REPEAT; GRAMMAR_MANY: no end */
};

struct gedge {
	uint8_t lo, hi;
	uint32_t to;
};

struct grammar {
	struct gnode *node; /* 0: fails */
	uint32_t nnode;
	struct gedge *edge;
	uint32_t nedge;
	uint32_t *rule; /* their first nodes */
	uint32_t nrule;
	uint32_t root;               /* node */
	uint32_t space_lo, space_hi; /* nodes of white space */
	uint32_t body;               /* node within a free string */
	uint32_t chr;                /* node before one character of a string */
};

struct gconf {
	uint32_t pc;
	uint32_t stack; /* frame; 0: the outermost rule */
};

/* Called from node pc; the ways of one state share what they have in common. */
struct gframe {
	uint32_t pc;
	uint32_t count; /* GNODE_REPEAT: done so far */
	uint16_t parent, child, sibling;
	uint16_t depth;
};

struct grammar_state {
	const struct grammar *g;
	struct gconf *conf;
	struct gframe *frame; /* [0]: the outermost */
	uint32_t nconf, nframe;
};

/* Where a state is taken further. */
struct gwork {
	const struct grammar *g;
	uint32_t nframe, nqueue, ntodo, nout;
	uint64_t cost; /* steps taken */
	struct gconf *out;
	struct gframe frame[GRAMMAR_FRAMES];
	struct gconf queue[GRAMMAR_QUEUE]; /* seen in this step */
	uint16_t todo[GRAMMAR_QUEUE];      /* of them, to be looked at */
};

void gwork_init(struct gwork *w, const struct grammar *g);
void gwork_load(struct gwork *w, const struct grammar_state *s);
/* Where byte c leads from in: out has room for GRAMMAR_CONFS. */
uint32_t gwork_step(struct gwork *w, const struct gconf *in, uint32_t n,
    uint8_t c, struct gconf *out);
/* Where one edge leads. */
uint32_t gnode_next(
    const struct grammar *g, const struct gnode *node, uint8_t c);
/* Forget the frames from n on, which are the youngest. */
void gwork_cut(struct gwork *w, uint32_t n);

/* A grammar as it is made, from its end to its beginning. */
struct gbuild {
	struct grammar *g;
	uint32_t node_cap, edge_cap, rule_cap;
	bool over; /* a limit was reached; what was made is of no use */
	uint32_t end;
	/* Rules that all grammars have. */
	uint32_t space;
	uint32_t string, chr;
	uint32_t any, any_object, any_array;
};

/* What JSON is made of is in it already. */
void gbuild_init(struct gbuild *b);
/* The grammar, or NULL: over a limit, or nothing can match it. */
struct grammar *gbuild_finish(struct gbuild *b, uint32_t root, bool *nothing);
void gbuild_free(struct gbuild *b);

/* These return a node. */
uint32_t gbuild_node(
    struct gbuild *b, enum gnode_op op, uint32_t x, uint32_t y);
uint32_t gbuild_split(struct gbuild *b, uint32_t x, uint32_t y);
/* Gives a node of GNODE_EDGES its edges; those to 0 are left out. */
void gbuild_edges(
    struct gbuild *b, uint32_t node, const struct gedge *e, uint32_t n);
uint32_t gbuild_range(struct gbuild *b, uint8_t lo, uint8_t hi, uint32_t next);
uint32_t gbuild_text(struct gbuild *b, const void *p, size_t n, uint32_t next);
uint32_t gbuild_call(struct gbuild *b, uint32_t rule, uint32_t next);
uint32_t gbuild_repeat(
    struct gbuild *b, uint32_t sub, uint32_t min, uint32_t max, uint32_t next);
/* White space as people and programs put it, or none. */
uint32_t gbuild_space(struct gbuild *b, uint32_t next);
/* The colon of a member and, perhaps, a space. */
uint32_t gbuild_colon(struct gbuild *b, uint32_t next);
/* One to max digits. */
uint32_t gbuild_digits(struct gbuild *b, uint32_t max, uint32_t next);

/* A number of any value: so many digits before and behind the point, and of
 * the exponent. */
#define GRAMMAR_DIGITS 40u
#define GRAMMAR_EXPONENT 3u
uint32_t gbuild_number(struct gbuild *b, uint32_t next);

/* A new rule, which must be set. */
uint32_t gbuild_rule(struct gbuild *b);
void gbuild_rule_set(struct gbuild *b, uint32_t rule, uint32_t node);

/* Characters lo to hi lead to a node. */
struct gchars {
	uint32_t lo, hi;
	uint32_t to;
};
/*
 * Makes node, of GNODE_EDGES, the place before a character of a string: of the
 * ranges, sorted and disjoint, each as itself or, where it must be, escaped;
 * or the closing quote, which leads to quote (0: not here).
 */
void gbuild_chars(struct gbuild *b, uint32_t node, const struct gchars *c,
    uint32_t n, uint32_t quote);

#endif
