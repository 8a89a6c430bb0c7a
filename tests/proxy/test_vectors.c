/*
 * What another strict HTTP/1.1 parser, llhttp, says of the inputs of its own
 * tests, beside what http_parse() says of them (tests/proxy/vectors/, format
 * at the head of each file).  brig may be the stricter one, with a written
 * reason; where it takes what the other refuses, the reason must say why that
 * is harmless.  Each input is fed whole and in pieces of 1, 2, 3 and 7 bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/http1.h"

#define MESSAGES_MAX 4u
#define HOST_FIELD "Host: h.example\r\n"

/* What a parser made of an input: messages, then how it ended. */
enum verdict {
	V_NONE,
	V_DONE,   /* all bytes belong to whole messages */
	V_OPEN,   /* more bytes are needed; an end here is an error */
	V_REFUSE, /* an error */
	V_CLOSE,  /* connection over; what follows is not read */
	V_PAUSE,  /* llhttp: no longer HTTP after this message */
};

struct message {
	bool whole;
	struct buf body;
};

struct outcome {
	enum verdict verdict;
	size_t n;
	struct message m[MESSAGES_MAX];
};

struct vector {
	char name[80];
	char method[16];  /* of the request that a response answers */
	struct buf in;    /* as in llhttp's tests */
	struct buf hosts; /* the same with a Host in every head */
	bool host;        /* there are such places */
	struct outcome peer;
	struct buf want; /* the "brig" lines */
	char why[48];    /* "" no difference */
};

static struct {
	unsigned int both, neither, stricter, harmless, upgrade, nohost;
} tally;

static void
outcome_free(struct outcome *o)
{
	for (size_t i = 0; i < MESSAGES_MAX; i++)
		buf_free(&o->m[i].body);
	memset(o, 0, sizeof(*o));
}

static void
vector_reset(struct vector *v)
{
	buf_free(&v->in);
	buf_free(&v->hosts);
	buf_free(&v->want);
	outcome_free(&v->peer);
	memset(v, 0, sizeof(*v));
}

static void
escape(struct buf *out, const struct buf *in)
{
	const uint8_t *p = buf_head(in);

	for (size_t i = 0; i < buf_len(in); i++)
		if (p[i] == '\r')
			buf_printf(out, "\\r");
		else if (p[i] == '\n')
			buf_printf(out, "\\n");
		else if (p[i] == '\\')
			buf_printf(out, "\\\\");
		else if (p[i] < 0x20 || p[i] >= 0x7f)
			buf_printf(out, "\\x%02x", p[i]);
		else
			buf_put(out, p + i, 1);
}

static unsigned int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	assert_non_null(at);
	return (unsigned int)(at - digits);
}

static void
unescape(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		uint8_t c = (uint8_t)*s;

		if (c == '\\')
			switch (*++s) {
			case 'r':
				c = '\r';
				break;
			case 'n':
				c = '\n';
				break;
			case 't':
				c = '\t';
				break;
			case '\\':
				break;
			case 'x':
				c = (uint8_t)(hex_digit(s[1]) << 4 |
					      hex_digit(s[2]));
				s += 2;
				break;
			default:
				fail_msg("escape \\%c", *s);
			}
		buf_put_u8(out, c);
	}
}

static void
put_message(struct buf *log, const char *head, const struct http_parser *p,
    const struct message *m)
{
	buf_printf(log,
	    "%s %s trailers=%zu body=", m->whole ? "message" : "part", head,
	    p->trailers.n);
	escape(log, &m->body);
	buf_printf(log, "\n");
}

static char *
head_text(const struct http_parser *p)
{
	if (p->response)
		return xasprintf("%u 1.%u fields=%zu keep=%d", p->status,
		    p->minor, p->fields.n, p->keep_alive);
	return xasprintf("%s %s 1.%u fields=%zu keep=%d", p->method,
	    p->raw_target, p->minor, p->fields.n, p->keep_alive);
}

/* One parser, its input so far, and what it has made of it. */
struct run {
	struct http_parser p;
	struct buf b, *log;
	struct outcome *o;
	const char *method;
	char *head; /* of the open message, NULL: none */
};

static void
message_end(struct run *r, bool whole)
{
	struct message *m = &r->o->m[r->o->n++];

	assert_non_null(r->head);
	m->whole = whole;
	put_message(r->log, r->head, &r->p, m);
	free(r->head);
	r->head = NULL;
}

/* V_NONE: wants more bytes. */
static enum verdict
advance(struct run *r)
{
	const uint8_t *data;
	size_t n;
	bool over;

	for (;;)
		switch (http_parse(&r->p, &r->b, &data, &n)) {
		case HTTP_MORE:
			return V_NONE;
		case HTTP_BAD:
			if (r->head != NULL)
				message_end(r, false);
			return V_REFUSE;
		case HTTP_HEAD:
			assert_true(r->o->n < MESSAGES_MAX);
			r->head = head_text(&r->p);
			break;
		case HTTP_DATA:
			buf_put(&r->o->m[r->o->n].body, data, n);
			http_parser_took(&r->p, &r->b, n);
			break;
		case HTTP_DONE:
			message_end(r, true);
			over = !r->p.keep_alive;
			if (over)
				return V_CLOSE;
			http_parser_reset(&r->p);
			http_parser_for(&r->p, r->method);
			break;
		}
}

/* The input has ended: is that the end of a message? */
static enum verdict
at_eof(struct run *r)
{
	bool between = r->head == NULL && buf_len(&r->b) == 0 &&
		       r->p.method == NULL && r->p.status == 0;

	if (between)
		return V_DONE;
	if (http_parse_eof(&r->p) == HTTP_DONE) {
		message_end(r, true);
		return V_DONE;
	}
	if (r->head != NULL)
		message_end(r, false);
	return V_OPEN;
}

/* Feed in by step bytes (0: at once); log tells all, o what matters. */
static void
run_vector(bool response, const char *method, const struct buf *in, size_t step,
    struct buf *log, struct outcome *o)
{
	struct run r = { .log = log, .o = o, .method = method };
	size_t n = buf_len(in), fed = 0, left;
	enum verdict v = V_NONE;

	http_parser_init(&r.p, response);
	http_parser_for(&r.p, method);
	while (v == V_NONE && fed < n) {
		size_t take = step == 0 || step > n - fed ? n - fed : step;

		buf_put(&r.b, buf_head(in) + fed, take);
		fed += take;
		v = advance(&r);
	}
	if (v == V_NONE)
		v = at_eof(&r);
	left = n - fed + buf_len(&r.b);
	if (v == V_CLOSE && left == 0)
		v = V_DONE;
	if (v == V_REFUSE)
		buf_printf(log, "refuse %u\n", r.p.bad_status);
	else if (v == V_CLOSE)
		buf_printf(log, "close %zu\n", left);
	else
		buf_printf(log, "%s\n", v == V_DONE ? "done" : "open");
	o->verdict = v;
	http_parser_free(&r.p);
	buf_free(&r.b);
}

static bool
same_body(const struct buf *a, const struct buf *b)
{
	return buf_len(a) == buf_len(b) &&
	       (buf_len(a) == 0 ||
		   memcmp(buf_head(a), buf_head(b), buf_len(a)) == 0);
}

static bool
same_messages(const struct outcome *a, const struct outcome *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->m[i].whole != b->m[i].whole ||
		    !same_body(&a->m[i].body, &b->m[i].body))
			return false;
	return true;
}

/* Did brig take as HTTP anything that llhttp did not, or read it otherwise? */
static bool
is_laxer(const struct outcome *brig, const struct outcome *peer)
{
	if (brig->n > peer->n)
		return true;
	for (size_t i = 0; i < brig->n; i++) {
		const struct buf *a = &brig->m[i].body, *b = &peer->m[i].body;

		if (brig->m[i].whole && (!peer->m[i].whole || !same_body(a, b)))
			return true;
		if (buf_len(a) > buf_len(b) ||
		    (buf_len(a) > 0 &&
			memcmp(buf_head(a), buf_head(b), buf_len(a)) != 0))
			return true;
	}
	/* Inside a message that the other has given up. */
	if (brig->verdict == V_OPEN && peer->verdict == V_REFUSE &&
	    brig->n > 0 && !brig->m[brig->n - 1].whole)
		return true;
	return brig->verdict == V_DONE &&
	       (peer->verdict == V_REFUSE || peer->verdict == V_OPEN);
}

/* The same messages and, of the rest, the same: taken or not. */
static bool
agrees(const struct outcome *brig, const struct outcome *peer)
{
	if (peer->verdict == V_REFUSE)
		return brig->verdict != V_DONE;
	if (!same_messages(brig, peer))
		return false;
	if (peer->verdict == V_PAUSE)
		return brig->verdict == V_DONE;
	return brig->verdict == peer->verdict;
}

static bool
starts(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static void
judge(const struct vector *v, const struct outcome *brig)
{
	bool upgrade = strcmp(v->why, "upgrade") == 0;
	bool lax = is_laxer(brig, &v->peer);

	if (lax && !upgrade && !starts(v->why, "harmless:"))
		fail_msg("%s: taken, and llhttp refuses it", v->name);
	if (!lax && starts(v->why, "harmless:"))
		fail_msg("%s: \"%s\" excuses nothing", v->name, v->why);
	if (upgrade && v->peer.verdict != V_PAUSE)
		fail_msg("%s: nothing is upgraded", v->name);
	if (!lax && agrees(brig, &v->peer) != (v->why[0] == '\0'))
		fail_msg("%s: why is \"%s\", and the verdicts are %s", v->name,
		    v->why, v->why[0] == '\0' ? "different" : "the same");
	if (lax)
		upgrade ? tally.upgrade++ : tally.harmless++;
	else if (upgrade)
		tally.upgrade++;
	else if (v->why[0] != '\0')
		tally.stricter++;
	else if (v->peer.verdict == V_REFUSE)
		tally.neither++;
	else
		tally.both++;
}

static void
check_vector(bool response, const struct vector *v)
{
	static const size_t steps[] = { 0, 1, 2, 3, 7 };
	const struct buf *in = v->host ? &v->hosts : &v->in;

	for (size_t i = 0; i < nitems(steps); i++) {
		struct outcome o = { 0 };
		struct buf log = { 0 };

		run_vector(response, v->method, in, steps[i], &log, &o);
		if (!same_body(&log, &v->want))
			fail_msg("%s by %zu bytes: want\n%.*sgot\n%.*s",
			    v->name, steps[i], (int)buf_len(&v->want),
			    (const char *)buf_head(&v->want),
			    (int)buf_len(&log), (const char *)buf_head(&log));
		if (i == 0)
			judge(v, &o);
		outcome_free(&o);
		buf_free(&log);
		if (!v->host)
			continue;
		/* As llhttp has it: without a Host there is no message. */
		run_vector(response, v->method, &v->in, steps[i], &log, &o);
		if (o.n > 0 || o.verdict == V_DONE)
			fail_msg("%s: taken without a Host", v->name);
		if (i == 0 && v->peer.verdict != V_REFUSE)
			tally.nohost++;
		outcome_free(&o);
		buf_free(&log);
	}
}

static void
read_peer(struct vector *v, const char *s)
{
	static const struct {
		const char *word;
		enum verdict verdict;
	} words[] = { { "accept", V_DONE }, { "open", V_OPEN },
		{ "refuse", V_REFUSE }, { "pause", V_PAUSE } };
	bool whole = starts(s, "message body=");

	if (whole || starts(s, "part body=")) {
		assert_true(v->peer.n < MESSAGES_MAX);
		v->peer.m[v->peer.n].whole = whole;
		unescape(&v->peer.m[v->peer.n++].body, strchr(s, '=') + 1);
		return;
	}
	for (size_t i = 0; i < nitems(words); i++)
		if (strcmp(s, words[i].word) == 0)
			v->peer.verdict = words[i].verdict;
	if (v->peer.verdict == V_NONE)
		fail_msg("%s: llhttp %s", v->name, s);
}

/* One line of a vector; false when it names none of its parts. */
static bool
read_line(struct vector *v, const char *s)
{
	if (starts(s, "for ")) {
		strlcpy(v->method, s + 4, sizeof(v->method));
	} else if (starts(s, "in ")) {
		unescape(&v->in, s + 3);
		unescape(&v->hosts, s + 3);
	} else if (strcmp(s, "host") == 0) {
		v->host = true;
		buf_printf(&v->hosts, HOST_FIELD);
	} else if (starts(s, "llhttp ")) {
		read_peer(v, s + 7);
	} else if (starts(s, "brig ")) {
		buf_printf(&v->want, "%s\n", s + 5);
	} else if (starts(s, "why ")) {
		strlcpy(v->why, s + 4, sizeof(v->why));
	} else {
		return false;
	}
	return true;
}

/* Call fn for each vector of a file; the number of them. */
static unsigned int
each_vector(const char *name, bool response,
    void (*fn)(bool response, const struct vector *v))
{
	const char *src = getenv("BRIG_SRCDIR");
	char *path = xasprintf(
	    "%s/tests/proxy/vectors/%s", src == NULL ? "." : src, name);
	FILE *f = fopen(path, "rbe");
	struct vector v = { 0 };
	unsigned int count = 0;
	char *s = NULL;
	size_t size = 0;
	ssize_t n;

	assert_non_null(f);
	while ((n = getline(&s, &size, f)) > 0) {
		if (s[n - 1] == '\n')
			s[n - 1] = '\0';
		if (s[0] == '\0' || s[0] == '#')
			continue;
		if (starts(s, "vector ")) {
			if (count++ > 0)
				fn(response, &v);
			vector_reset(&v);
			strlcpy(v.name, s + 7, sizeof(v.name));
			strlcpy(v.method, "GET", sizeof(v.method));
		} else if (!read_line(&v, s)) {
			fail_msg("%s: \"%s\" after %s", name, s, v.name);
		}
	}
	if (count > 0)
		fn(response, &v);
	vector_reset(&v);
	fclose(f);
	free(s);
	free(path);
	return count;
}

static void
print_tally(const char *what, unsigned int count)
{
	print_message("%s: %u vectors: %u taken by both, %u by neither, "
		      "%u by llhttp only, %u harmless, %u upgrades; "
		      "%u more for want of a Host\n",
	    what, count, tally.both, tally.neither, tally.stricter,
	    tally.harmless, tally.upgrade, tally.nohost);
	memset(&tally, 0, sizeof(tally));
}

static void
requests_are_read_no_laxer_than_llhttp(void **state)
{
	unsigned int n = each_vector("request.txt", false, check_vector);

	print_tally("requests", n);
	assert_in_range(n, 100, 1000);
}

static void
responses_are_read_no_laxer_than_llhttp(void **state)
{
	unsigned int n = each_vector("response.txt", true, check_vector);

	print_tally("responses", n);
	assert_in_range(n, 50, 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_read_no_laxer_than_llhttp),
		cmocka_unit_test(responses_are_read_no_laxer_than_llhttp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
