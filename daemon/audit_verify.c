#include "daemon/audit_verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sha2.h>

#include "base/compat.h"
#include "base/str.h"

#define HASH_PREFIX "sha256:"
#define HASH_PREFIX_LEN (sizeof(HASH_PREFIX) - 1)
#define PREV_MEMBER ",\"prev\":\""
#define HASH_MEMBER ",\"hash\":\""
#define RECORD_START "{\"v\":1,\"seq\":"
#define TYPE_CLOSE ",\"type\":\"audit.close\","

/* Lengths of `,"prev":"sha256:..."` and `,"hash":"sha256:..."`. */
#define PREV_LEN (sizeof(PREV_MEMBER) - 1 + AUDIT_HASH_TEXT + 1)
#define HASH_LEN (sizeof(HASH_MEMBER) - 1 + AUDIT_HASH_TEXT + 1)

static void
hash_md(const uint8_t prev[AUDIT_HASH_SIZE], const void *text, size_t n,
    uint8_t out[AUDIT_HASH_SIZE])
{
	static const uint8_t leaf = AUDIT_HASH_LEAF;
	SHA2_CTX ctx;

	SHA256Init(&ctx);
	SHA256Update(&ctx, &leaf, 1);
	SHA256Update(&ctx, prev, AUDIT_HASH_SIZE);
	SHA256Update(&ctx, text, n);
	SHA256Update(&ctx, (const uint8_t *)"}", 1);
	SHA256Final(out, &ctx);
}

static audit_hash_fn *hash_by = hash_md;

void
audit_hash_with(audit_hash_fn *fn)
{
	hash_by = fn;
}

void
audit_hash(const uint8_t prev[AUDIT_HASH_SIZE], const void *text, size_t n,
    uint8_t out[AUDIT_HASH_SIZE])
{
	hash_by(prev, text, n, out);
}

void
audit_hash_text(const uint8_t hash[AUDIT_HASH_SIZE], char *out)
{
	static const char hex[] = "0123456789abcdef";

	memcpy(out, HASH_PREFIX, HASH_PREFIX_LEN);
	out += HASH_PREFIX_LEN;
	for (size_t i = 0; i < AUDIT_HASH_SIZE; i++) {
		out[2 * i] = hex[hash[i] >> 4];
		out[2 * i + 1] = hex[hash[i] & 15];
	}
	out[2 * AUDIT_HASH_SIZE] = '\0';
}

/* Lower case only: one hash has one spelling. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int
audit_hash_parse(const char *s, size_t n, uint8_t hash[AUDIT_HASH_SIZE])
{
	if (n != AUDIT_HASH_TEXT ||
	    memcmp(s, HASH_PREFIX, HASH_PREFIX_LEN) != 0)
		return -1;
	s += HASH_PREFIX_LEN;
	for (size_t i = 0; i < AUDIT_HASH_SIZE; i++) {
		int hi = hex_value(s[2 * i]), lo = hex_value(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -1;
		hash[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

void
audit_verify_init(struct audit_verify *av)
{
	memset(&av->v, 0, sizeof(av->v));
	av->bad = av->headless = av->expecting = av->seen_expected = false;
	av->len = 0;
}

void
audit_verify_expect(
    struct audit_verify *av, const uint8_t hash[AUDIT_HASH_SIZE])
{
	av->expecting = true;
	memcpy(av->expected, hash, AUDIT_HASH_SIZE);
}

static void
tampered(struct audit_verify *av, const char *why)
{
	if (av->bad)
		return;
	av->bad = true;
	av->v.result = AUDIT_TAMPERED;
	av->v.bad_record = av->v.records + 1;
	av->v.bad_offset = av->v.bytes;
	strlcpy(av->v.why, why, sizeof(av->v.why));
}

/* `,"name":"sha256:HEX"` at p (n bytes); 0 or -1. */
static int
hash_member(const char *p, size_t n, const char *name, size_t name_len,
    uint8_t hash[AUDIT_HASH_SIZE])
{
	if (n != name_len + AUDIT_HASH_TEXT + 1 ||
	    memcmp(p, name, name_len) != 0 || p[n - 1] != '"')
		return -1;
	return audit_hash_parse(p + name_len, AUDIT_HASH_TEXT, hash);
}

/* The number after RECORD_START, followed by a comma; -1 if there is none. */
static int
record_seq(const char *line, size_t n, uint64_t *seq)
{
	size_t i = sizeof(RECORD_START) - 1, start = i;
	char num[24];

	if (n < i || memcmp(line, RECORD_START, i) != 0)
		return -1;
	while (i < n && line[i] >= '0' && line[i] <= '9' &&
	       i - start < sizeof(num) - 1)
		i++;
	if (i == n || line[i] != ',' || line[start] == '0')
		return -1;
	memcpy(num, line + start, i - start);
	num[i - start] = '\0';
	return str_to_u64(num, 1, UINT64_MAX - 1, seq);
}

/* What is wrong with a whole line, or NULL; fills seq and hash. */
static const char *
record_check(const struct audit_verify *av, const char *line, size_t n,
    uint64_t *seq, uint8_t hash[AUDIT_HASH_SIZE])
{
	uint8_t prev[AUDIT_HASH_SIZE], sum[AUDIT_HASH_SIZE];
	size_t text;

	if (n > AUDIT_RECORD_MAX)
		return "the line is longer than a record can be";
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)line[i] < 0x20)
			return "control character in the line";
	}
	if (record_seq(line, n, seq) < 0)
		return "the line does not begin like a record";
	if (n < PREV_LEN + HASH_LEN + 1 || line[n - 1] != '}')
		return "the line does not end like a record";
	text = n - 1 - HASH_LEN;
	if (hash_member(line + text, HASH_LEN, HASH_MEMBER,
		sizeof(HASH_MEMBER) - 1, hash) < 0 ||
	    hash_member(line + text - PREV_LEN, PREV_LEN, PREV_MEMBER,
		sizeof(PREV_MEMBER) - 1, prev) < 0)
		return "the line does not end like a record";
	audit_hash(prev, line, text, sum);
	if (memcmp(sum, hash, sizeof(sum)) != 0)
		return "the record does not match its hash";
	if (av->v.records == 0 && *seq != 1)
		return NULL; /* a start is missing, the rest may be sound */
	if (*seq != av->v.last_seq + 1)
		return "records before it were removed, repeated or reordered";
	/* head is all zero while there is no record. */
	if (memcmp(prev, av->v.head, sizeof(prev)) != 0)
		return "it does not continue the record before it";
	return NULL;
}

static void
line_end(struct audit_verify *av)
{
	uint8_t hash[AUDIT_HASH_SIZE];
	const char *why;
	uint64_t seq;

	why = record_check(av, av->line, av->len, &seq, hash);
	if (why != NULL) {
		tampered(av, why);
		return;
	}
	if (av->v.records == 0) {
		av->v.first_seq = seq;
		av->headless = seq != 1;
	}
	memcpy(av->v.head, hash, sizeof(hash));
	if (av->expecting && memcmp(hash, av->expected, sizeof(hash)) == 0)
		av->seen_expected = true;
	av->v.closed = memmem(av->line, av->len, TYPE_CLOSE,
			   sizeof(TYPE_CLOSE) - 1) != NULL;
	av->v.last_seq = seq;
	av->v.records++;
	av->v.bytes += av->len + 1;
	av->len = 0;
}

void
audit_verify_bytes(struct audit_verify *av, const void *p, size_t n)
{
	const char *s = p;

	while (n > 0 && !av->bad) {
		const char *nl = memchr(s, '\n', n);
		size_t take = nl == NULL ? n : (size_t)(nl - s);

		/* One byte over the limit is kept, to know it is over. */
		if (take > sizeof(av->line) - av->len) {
			tampered(av, "the line is longer than a record can be");
			return;
		}
		memcpy(av->line + av->len, s, take);
		av->len += take;
		s += take;
		n -= take;
		if (nl != NULL) {
			s++;
			n--;
			line_end(av);
		}
	}
}

/*
 * Whether the bytes after the last newline can be what a crash left of the
 * next record: a beginning of it, then perhaps zero bytes where a block was
 * allocated and not written.  Anything else was put there by somebody.
 */
static bool
is_torn_record(const struct audit_verify *av)
{
	uint8_t hash[AUDIT_HASH_SIZE];
	size_t n = av->len, fixed;
	char start[64];
	uint64_t seq;
	int w;

	while (n > 0 && av->line[n - 1] == '\0')
		n--;
	/* A whole record is only ever followed by its newline. */
	if (n > 0 && n == av->len &&
	    record_check(av, av->line, n - 1, &seq, hash) == NULL)
		return false;
	if (av->v.records == 0 && n > 0) {
		fixed = sizeof(RECORD_START) - 1;
		return memcmp(av->line, RECORD_START, n < fixed ? n : fixed) ==
		       0;
	}
	w = snprintf(start, sizeof(start), RECORD_START "%" PRIu64 ",\"",
	    av->v.last_seq + 1);
	fixed = (size_t)w;
	if (memcmp(av->line, start, n < fixed ? n : fixed) != 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)av->line[i] < 0x20)
			return false;
	}
	return true;
}

const struct audit_verdict *
audit_verify_end(struct audit_verify *av)
{
	struct audit_verdict *v = &av->v;

	if (av->len > 0 && !av->bad && !is_torn_record(av))
		tampered(av, "bytes after the last record are not the "
			     "beginning of another");
	if (av->bad)
		return v;
	v->torn = av->len;
	v->result = AUDIT_INCOMPLETE;
	if (av->headless)
		snprintf(v->why, sizeof(v->why),
		    "records 1 to %" PRIu64 " are missing", v->first_seq - 1);
	else if (v->torn > 0)
		snprintf(v->why, sizeof(v->why),
		    "the last line is torn after %" PRIu64 " bytes", v->torn);
	else if (av->expecting && !av->seen_expected)
		strlcpy(v->why,
		    "the expected record is not in the log: its "
		    "end was cut off, or it was written anew",
		    sizeof(v->why));
	else
		v->result = AUDIT_OK;
	return v;
}
