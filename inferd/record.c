#include "inferd/record.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "inferd/json_tree.h"

#define HEX (2 * RECORD_HASH)
#define READ_AT_ONCE 65536u

struct record {
	int fd;
	bool text, failed;
	uint8_t prev[RECORD_HASH];
};

struct record_turn {
	struct buf segments, calls; /* JSON */
	struct buf args;
	bool calling; /* a call has begun */
};

static const char *const finishes[] = {
	[GEN_GOING] = "going",
	[GEN_STOP] = "stop",
	[GEN_STOP_TEXT] = "stop-text",
	[GEN_LENGTH] = "length",
	[GEN_CALLS] = "calls",
	[GEN_BUDGET] = "budget",
	[GEN_LOOP] = "loop",
	[GEN_CANCELLED] = "cancelled",
	[GEN_DEADLINE] = "deadline",
};

static const char *const origins[] = {
	[PROMPT_TEMPLATE] = "template",
	[PROMPT_SAMPLED] = "sampled",
	[PROMPT_SYSTEM] = "system",
	[PROMPT_USER] = "user",
	[PROMPT_ASSISTANT] = "assistant",
	[PROMPT_TOOL] = "tool",
};

static void
sha256(const void *p, size_t n, uint8_t out[RECORD_HASH])
{
	unsigned int len;

	if (EVP_Digest(p, n, out, &len, EVP_sha256(), NULL) != 1)
		fatalx("cannot hash");
}

static void
put_hex(struct buf *b, const uint8_t hash[RECORD_HASH])
{
	size_t i;

	for (i = 0; i < RECORD_HASH; i++)
		buf_printf(b, "%02x", hash[i]);
}

/* "sha256":"HEX" */
static void
put_sha256(struct buf *b, const void *p, size_t n)
{
	uint8_t hash[RECORD_HASH];

	sha256(n == 0 ? "" : p, n, hash);
	buf_printf(b, "\"sha256\":\"");
	put_hex(b, hash);
	buf_printf(b, "\"");
}

/* As little-endian numbers of 4 bytes. */
static void
put_ids_sha256(struct buf *b, const int32_t *ids, size_t n)
{
	cleanup_buf struct buf bytes = { 0 };
	size_t i;

	for (i = 0; i < n; i++)
		buf_put_u32(&bytes, (uint32_t)ids[i]);
	put_sha256(b, buf_head(&bytes), buf_len(&bytes));
}

struct record_turn *
record_turn_new(void)
{
	return xcalloc(1, sizeof(struct record_turn));
}

void
record_turn_free(struct record_turn *t)
{
	if (t == NULL)
		return;
	buf_free(&t->segments);
	buf_free(&t->calls);
	buf_free(&t->args);
	free(t);
}

void
record_turn_prompt(struct record_turn *t, const struct prompt *p)
{
	size_t i;

	for (i = 0; i < p->nsegments; i++) {
		const struct prompt_segment *s = &p->segment[i];

		buf_printf(&t->segments, "%s{\"origin\":\"%s\",\"n\":%zu,",
		    i == 0 ? "" : ",", origins[s->origin], s->n);
		put_sha256(&t->segments, buf_head(&p->text) + s->from, s->n);
		buf_printf(&t->segments, "}");
	}
}

void
record_turn_event(struct record_turn *t, const struct gen_event *e)
{
	if (e->type == GEN_CALL_BEGIN) {
		buf_printf(&t->calls,
		    "%s{\"id\":", buf_len(&t->calls) == 0 ? "" : ",");
		json_quote(&t->calls, e->call_id, strlen(e->call_id));
		buf_printf(&t->calls, ",\"name\":");
		json_quote(&t->calls, e->p, e->n);
		buf_clear(&t->args);
		t->calling = true;
	} else if (e->type == GEN_CALL_ARGS) {
		buf_put(&t->args, e->p, e->n);
	} else if (t->calling &&
		   (e->type == GEN_CALL_END || e->type == GEN_END)) {
		buf_printf(&t->calls, ",\"args\":{");
		put_sha256(&t->calls, buf_head(&t->args), buf_len(&t->args));
		buf_printf(&t->calls, "}%s}",
		    e->type == GEN_END ? ",\"cut\":true" : "");
		t->calling = false;
	}
}

static void
put_str(struct buf *b, const char *key, const char *s)
{
	buf_printf(b, ",\"%s\":", key);
	if (s == NULL)
		buf_printf(b, "null");
	else
		json_quote(b, s, strlen(s));
}

static void
put_text(struct buf *b, const char *key, struct chat_text t)
{
	buf_printf(b, ",\"%s\":", key);
	json_quote(b, t.n == 0 ? "" : t.p, t.n);
}

/* Nine digits are the number again; what is none never changed a draw. */
static void
put_real(struct buf *b, const char *key, float v)
{
	buf_printf(b, ",\"%s\":%.9g", key, isfinite(v) ? (double)v : 0.0);
}

static void
put_ids(struct buf *b, const char *key, const int32_t *ids, size_t n)
{
	size_t i;

	buf_printf(b, ",\"%s\":[", key);
	for (i = 0; i < n; i++)
		buf_printf(b, i == 0 ? "%d" : ",%d", ids[i]);
	buf_printf(b, "]");
}

static void
put_prompt(
    struct buf *b, const struct record_entry *e, const struct record_turn *t)
{
	buf_printf(b, ",\"prompt\":{\"n\":%zu,\"cached\":%u,", e->n,
	    e->end->usage.cached);
	put_ids_sha256(b, e->ids, e->n);
	buf_printf(b, ",\"segments\":[");
	if (t != NULL)
		buf_put(b, buf_head(&t->segments), buf_len(&t->segments));
	buf_printf(b, "]}");
}

static void
put_params(struct buf *b, const struct gen_params *p)
{
	buf_printf(b,
	    ",\"params\":{\"family\":\"%s\",\"seed\":\"%llu\",\"top_k\":%u,"
	    "\"max_tokens\":%u,\"thinking_max\":%u,\"loop_max\":%u",
	    template_name(p->family), (unsigned long long)p->sample.seed,
	    p->sample.top_k, p->max_tokens, p->thinking_max, p->loop_max);
	put_real(b, "temperature", p->sample.temperature);
	put_real(b, "top_p", p->sample.top_p);
	put_real(b, "min_p", p->sample.min_p);
	buf_printf(b, ",\"tools\":%zu,\"schema\":%s}", p->ntools,
	    p->grammar != NULL ? "true" : "false");
}

/* What it takes to do it again, beside the numbers. */
static void
put_all(struct buf *b, const struct record_entry *e)
{
	const struct gen_params *p = e->params;
	size_t i;

	buf_printf(b,
	    ",\"all\":{\"chat\":%s,\"thinking\":%s,\"one_call\":%s,"
	    "\"tool_choice\":%d",
	    p->chat ? "true" : "false", p->thinking ? "true" : "false",
	    p->one_call ? "true" : "false", (int)p->tool_choice);
	put_text(b, "tool_name", p->tool_name);
	if (p->grammar != NULL)
		put_text(b, "schema", e->schema);
	buf_printf(b, ",\"stop\":[");
	for (i = 0; i < p->nstop; i++) {
		buf_printf(b, i == 0 ? "" : ",");
		json_quote(
		    b, p->stop[i].n == 0 ? "" : p->stop[i].p, p->stop[i].n);
	}
	buf_printf(b, "],\"held\":%s,\"tools\":[",
	    p->tool_grammar != NULL ? "true" : "false");
	for (i = 0; i < p->ntools; i++) {
		buf_printf(b, "%s{\"strict\":%s", i == 0 ? "" : ",",
		    p->tool_grammar != NULL && p->tool_grammar[i] != NULL
			? "true"
			: "false");
		put_text(b, "name", p->tools[i].name);
		put_text(b, "schema", p->tools[i].schema);
		buf_printf(b, "}");
	}
	buf_printf(b, "]");
	put_ids(b, "prompt", e->ids, e->n);
	put_ids(b, "sampled", e->end->tokens, e->end->ntokens);
	buf_printf(b, "}");
}

static void
line_hash(const uint8_t prev[RECORD_HASH], const void *p, size_t n,
    uint8_t out[RECORD_HASH])
{
	cleanup_buf struct buf b = { 0 };

	buf_put_u8(&b, 0);
	buf_put(&b, prev, RECORD_HASH);
	buf_put(&b, p, n);
	buf_put_u8(&b, '}');
	sha256(buf_head(&b), buf_len(&b), out);
}

void
record_line(const struct record_entry *e, const struct record_turn *t,
    bool text, uint8_t prev[RECORD_HASH], struct buf *out)
{
	const struct gen_usage *u = &e->end->usage;
	cleanup_buf struct buf b = { 0 };
	uint8_t hash[RECORD_HASH];

	buf_printf(&b, "{\"time_ms\":%llu", (unsigned long long)e->time_ms);
	put_str(&b, "id", e->id);
	put_str(&b, "agent", e->agent);
	put_str(&b, "model", e->model);
	put_str(&b, "kv", e->kv);
	put_str(&b, "steer", e->steer);
	put_prompt(&b, e, t);
	put_params(&b, e->params);
	buf_printf(&b,
	    ",\"finish\":\"%s\",\"sampled\":{\"n\":%u,"
	    "\"thinking\":%u,\"drafted\":%u,\"accepted\":%u,",
	    finishes[e->end->finish], u->sampled, u->thinking, u->drafted,
	    u->accepted);
	put_ids_sha256(&b, e->end->tokens, e->end->ntokens);
	buf_printf(&b, "},\"calls\":[");
	if (t != NULL)
		buf_put(&b, buf_head(&t->calls), buf_len(&t->calls));
	buf_printf(&b, "]");
	if (text)
		put_all(&b, e);
	buf_printf(&b, ",\"prev\":\"sha256:");
	put_hex(&b, prev);
	buf_printf(&b, "\"");
	line_hash(prev, buf_head(&b), buf_len(&b), hash);
	memcpy(prev, hash, RECORD_HASH);
	buf_printf(&b, ",\"hash\":\"sha256:");
	put_hex(&b, hash);
	buf_printf(&b, "\"}\n");
	buf_put(out, buf_head(&b), buf_len(&b));
}

bool
record_check(const char *line, size_t n, uint8_t prev[RECORD_HASH])
{
	cleanup_buf struct buf want = { 0 };
	uint8_t hash[RECORD_HASH];
	size_t body, before;

	buf_printf(&want, ",\"prev\":\"sha256:");
	put_hex(&want, prev);
	buf_printf(&want, "\"");
	before = buf_len(&want);
	body = before + strlen(",\"hash\":\"sha256:\"}") + HEX;
	if (n < body || memcmp(line + n - body, buf_head(&want), before) != 0)
		return false;
	line_hash(prev, line, n - body + before, hash);
	buf_printf(&want, ",\"hash\":\"sha256:");
	put_hex(&want, hash);
	buf_printf(&want, "\"}");
	if (memcmp(line + n - body, buf_head(&want), body) != 0)
		return false;
	memcpy(prev, hash, RECORD_HASH);
	return true;
}

void
record_reader_free(struct record_reader *r)
{
	buf_free(&r->in);
}

/* 0: the file ends here; -1 with errno. */
static ssize_t
read_more(struct record_reader *r)
{
	uint8_t *p = buf_reserve(&r->in, READ_AT_ONCE);
	ssize_t n;

	if (p == NULL) {
		errno = EFBIG;
		return -1;
	}
	do
		n = read(r->fd, p, READ_AT_ONCE);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		buf_commit(&r->in, (size_t)n);
	return n;
}

enum record_next
record_read(struct record_reader *r, const char **line, size_t *n)
{
	const uint8_t *end = NULL;
	size_t seen = 0;
	ssize_t more = 1;

	buf_consume(&r->in, r->taken);
	r->taken = 0;
	for (;;) {
		if (buf_len(&r->in) > seen)
			end = memchr(buf_head(&r->in) + seen, '\n',
			    buf_len(&r->in) - seen);
		if (end != NULL)
			break;
		seen = buf_len(&r->in);
		if (seen > RECORD_LINE_MAX)
			return RECORD_CHANGED;
		more = read_more(r);
		if (more < 0)
			return RECORD_FAILED;
		if (more == 0)
			return seen == 0 ? RECORD_OVER : RECORD_TORN;
	}
	*line = (const char *)buf_head(&r->in);
	*n = (size_t)(end - buf_head(&r->in));
	if (!record_check(*line, *n, r->prev))
		return RECORD_CHANGED;
	r->taken = *n + 1;
	r->behind += r->taken;
	r->line++;
	return RECORD_LINE;
}

/* Follows the chain of what is there. */
static int
follow(struct record *r, const char *path, struct error *err)
{
	cleanup_record_reader struct record_reader rd = { .fd = r->fd };
	const char *line;
	size_t n;

	for (;;)
		switch (record_read(&rd, &line, &n)) {
		case RECORD_LINE:
			break;
		case RECORD_OVER:
			memcpy(r->prev, rd.prev, sizeof(r->prev));
			return 0;
		case RECORD_TORN:
			/* Its completion was refused: it may go. */
			return error_set(err, 0,
			    "record %s: line %zu was not written whole, as on "
			    "a full disk; cut it off: truncate -s %llu",
			    path, rd.line + 1, (unsigned long long)rd.behind);
		case RECORD_CHANGED:
			return error_set(err, 0,
			    "record %s: line %zu is not what was written "
			    "there; move the file away",
			    path, rd.line + 1);
		case RECORD_FAILED:
			return error_set(err, errno, "read record %s", path);
		}
}

struct record *
record_open(const char *path, bool text, struct error *err)
{
	struct record *r = xcalloc(1, sizeof(*r));
	struct stat st;

	r->text = text;
	r->fd = open(path,
	    O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY,
	    0600);
	if (r->fd < 0 || fstat(r->fd, &st) < 0) {
		error_set(err, errno, "open record %s", path);
	} else if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0) {
		error_set(err, 0,
		    "record %s: has to be a file that nobody else can read",
		    path);
	} else if (flock(r->fd, LOCK_EX | LOCK_NB) < 0) {
		error_set(err, errno == EWOULDBLOCK ? 0 : errno,
		    "record %s: another process writes it", path);
	} else if (follow(r, path, err) == 0) {
		return r;
	}
	record_close(r);
	return NULL;
}

void
record_close(struct record *r)
{
	if (r == NULL)
		return;
	if (r->fd >= 0)
		close(r->fd);
	free(r);
}

int
record_add(struct record *r, const struct record_entry *e,
    const struct record_turn *t, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	uint8_t prev[RECORD_HASH];

	/* Behind a part of a line no other can stand. */
	if (r->failed)
		return error_set(err, 0, "a record before it failed");
	memcpy(prev, r->prev, sizeof(prev));
	record_line(e, t, r->text, prev, &b);
	if (fd_write_all(r->fd, buf_head(&b), buf_len(&b)) < 0 ||
	    fdatasync(r->fd) < 0) {
		r->failed = true;
		return error_set(err, errno, "write record");
	}
	memcpy(r->prev, prev, sizeof(prev));
	return 0;
}

bool
record_has_failed(const struct record *r)
{
	return r->failed;
}
