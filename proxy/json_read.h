/*
 * Reads JSON (RFC 8259) in a stream given in chunks of any size, with constant
 * memory: each string, number, true, false and null is told with its place.
 * Pure.  What a lenient reader might take for JSON and is not is an error.
 */
#ifndef BRIG_PROXY_JSON_READ_H
#define BRIG_PROXY_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 64u
#define JSON_PATH_MAX 255u  /* bytes; what lies deeper has no path */
#define JSON_TEXT_MAX 1023u /* bytes of a value; the rest is cut off */

enum json_kind {
	JSON_STRING,
	JSON_NUMBER,
	JSON_WORD, /* true, false, null */
};

struct json_value {
	enum json_kind kind;
	/*
	 * ".choices[].text": member names decoded, "[]" for any element, ""
	 * for a value on its own.  NULL below a name that is empty, too long
	 * or holds NUL, '.' or '['.
	 */
	const char *path;
	const char *text; /* decoded, NUL behind it; may hold NUL */
	size_t n;
	bool cut;          /* longer than JSON_TEXT_MAX */
	uint64_t from, to; /* of a string: where its bytes between the quotes
			    * stand in the stream; else of the token */
};

/* Borrowed until it returns.  Not called again once it returns false, which
 * makes json_read() fail. */
typedef bool json_read_fn(const struct json_value *v, void *arg);

struct json_level {
	bool object;
	bool unnamed;    /* or below a name without a path */
	size_t path_len; /* of the container itself */
};

struct json_read {
	json_read_fn *fn;
	void *arg;
	int state;
	bool failed;
	uint64_t at; /* bytes read */
	struct json_level level[JSON_DEPTH_MAX];
	size_t depth;
	char path[JSON_PATH_MAX + 1];
	size_t path_len;
	bool unnamed;
	bool key; /* the string being read is a name */
	char text[JSON_TEXT_MAX + 1];
	size_t n;
	bool cut;
	uint64_t from;
	unsigned int hex, hex_left; /* of \uXXXX */
	unsigned int high;          /* surrogate that wants its second half */
};

void json_read_init(struct json_read *r, json_read_fn *fn, void *arg);
/* 0, or -1: what has come is not the beginning of a JSON text. */
int json_read(struct json_read *r, const void *p, size_t n);
/* 0 if exactly one whole value has been read, else -1. */
int json_read_end(struct json_read *r);

#endif
