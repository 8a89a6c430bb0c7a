/*
 * Shared by the files that compile schemas; nobody else includes it.
 *
 * A rule of the grammar stands for a conjunction: schemas that must all hold.
 * Most have one; $ref, allOf and what stands beside them add to it, and each
 * alternative of anyOf makes one of its own.
 */
#ifndef BRIG_INFERD_SCHEMA_INT_H
#define BRIG_INFERD_SCHEMA_INT_H

#include "inferd/grammar_int.h"
#include "inferd/json_tree.h"

#define SCHEMA_BYTES (1u << 20)
#define SCHEMA_NODES (1u << 14)  /* values in its text */
#define SCHEMA_PARTS 64u         /* schemas of one conjunction */
#define SCHEMA_ALTERNATIVES 128u /* of one place */
#define SCHEMA_OPTIONAL 96u      /* members in a row that may be missing */
#define SCHEMA_INNER 3u /* values tried by schemas with values to be tried */
#define SCHEMA_WORK (1u << 25)
#define SCHEMA_NONE UINT32_MAX
#define SCHEMA_ONLY_STRINGS (UINT32_MAX - 1) /* stands for such a schema */

enum schema_type {
	SCHEMA_NULL = 1,
	SCHEMA_BOOLEAN = 2,
	SCHEMA_INTEGER = 4,
	SCHEMA_FRACTION = 8, /* a number that is no integer */
	SCHEMA_STRING = 16,
	SCHEMA_ARRAY = 32,
	SCHEMA_OBJECT = 64,
	SCHEMA_ANY = 127,
};

/* A number as it is written, without an exponent. */
struct decimal {
	bool set, neg;
	bool huge; /* more digits than GRAMMAR_DIGITS before the point */
	uint32_t nint, nfrac;
	uint8_t digit[2 * GRAMMAR_DIGITS]; /* nint + nfrac, values */
};

struct range {
	struct decimal lo, hi;
	bool lo_open, hi_open; /* not the bound itself */
	uint32_t frac;         /* digits behind the point at most */
};

/* What a conjunction without alternatives asks for. */
struct shape {
	uint32_t part[SCHEMA_PARTS]; /* schema objects */
	uint32_t npart;
	uint32_t types;
	uint32_t given; /* types that have keywords of their own */
	struct {
		uint32_t node;
		bool list;      /* enum, not const */
	} values[SCHEMA_PARTS]; /* it must be in all of them */
	uint32_t nvalues;
	uint32_t min_len, max_len;
	uint32_t pattern, format; /* SCHEMA_NONE: there is none */
	struct range range;
	uint32_t min_items, max_items;
	uint32_t min_props, max_props;
	bool closed; /* unevaluatedProperties: false */
};

struct schema_rule {
	uint32_t *node;
	uint32_t n;
	uint32_t rule;
};

struct schema {
	struct json_tree t;
	struct gbuild b;
	struct schema_rule *rule;
	uint32_t nrule, rule_cap;
	uint64_t work;
	uint32_t leaves; /* of the rule that is being made */
	uint32_t inner;  /* it is within schema_fits(), so often */
	bool failed;     /* err was set */
	struct error *err;
};

enum schema_key {
	KEY_OTHER, /* says nothing about what is valid */
	KEY_ADDITIONAL_ITEMS,
	KEY_ADDITIONAL_PROPERTIES,
	KEY_ALL_OF,
	KEY_ANY_OF,
	KEY_CONST,
	KEY_ENUM,
	KEY_EXCLUSIVE_MAXIMUM,
	KEY_EXCLUSIVE_MINIMUM,
	KEY_FORMAT,
	KEY_ITEMS,
	KEY_MAX_ITEMS,
	KEY_MAX_LENGTH,
	KEY_MAX_PROPERTIES,
	KEY_MAXIMUM,
	KEY_MIN_ITEMS,
	KEY_MIN_LENGTH,
	KEY_MIN_PROPERTIES,
	KEY_MINIMUM,
	KEY_MULTIPLE_OF,
	KEY_NOT,
	KEY_NULLABLE,
	KEY_ONE_OF,
	KEY_PATTERN,
	KEY_PATTERN_PROPERTIES,
	KEY_PREFIX_ITEMS,
	KEY_PROPERTIES,
	KEY_PROPERTY_NAMES,
	KEY_REF,
	KEY_REQUIRED,
	KEY_TYPE,
	KEY_UNEVALUATED_PROPERTIES,
	KEY_UNIQUE_ITEMS,
	KEY_UNSUPPORTED, /* whatever it says */
};

/* schema_key.c */
enum schema_key schema_key(const struct schema *s, uint32_t member);
/* The last member of an object with this keyword, SCHEMA_NONE if none. */
uint32_t schema_get(struct schema *s, uint32_t object, enum schema_key key);
/* Is it true, {} or the like / false? */
bool schema_is_true(const struct schema *s, uint32_t node);
bool schema_is_false(const struct schema *s, uint32_t node);
/* Sets the error, unless one is set: what is wrong with a node.  0. */
uint32_t schema_bad(struct schema *s, uint32_t node, const char *why);
/* Counts steps; false: enough is enough. */
bool schema_spend(struct schema *s, uint64_t n);
/* The node that a $ref names. */
uint32_t schema_ref(struct schema *s, uint32_t node);

/* schema_shape.c: fills sh, of which the parts are there. */
void schema_shape(struct schema *s, struct shape *sh);

/* schema.c: the rule of schemas that must all hold. */
uint32_t schema_rule(struct schema *s, const uint32_t *node, uint32_t n);
/* Would this value be valid, were it not for enum and const? */
bool schema_fits(struct schema *s, const struct shape *sh,
    const uint32_t *value, uint32_t n, bool *fits);

/* These return a node that leads to the end of a rule; 0: nothing is valid. */
uint32_t schema_values(struct schema *s, const struct shape *sh);
uint32_t schema_object(struct schema *s, const struct shape *sh);
uint32_t schema_array(struct schema *s, const struct shape *sh);
uint32_t schema_string(struct schema *s, const struct shape *sh);

/* schema_number.c */
/* 0, or -1: too many digits behind the point. */
int decimal_read(struct decimal *d, const char *p, size_t n);
int decimal_cmp(const struct decimal *a, const struct decimal *b);
uint32_t schema_number(struct gbuild *b, const struct range *r, bool integer);

/* Sorted words, each of which leads to the end of a rule. */
struct word {
	const uint8_t *p;
	size_t n;
};
uint32_t schema_words(struct schema *s, struct word *w, uint32_t n);

#endif
