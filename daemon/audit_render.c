#include "daemon/audit_render.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* Bytes of untrusted text per string, the second time a quarter, and so on
 * until the record fits; the last stage always does. */
#define TEXT_FIRST (AUDIT_STR_MAX + 64u) /* the builder's "[cut N]" fits */
#define TEXT_LEAST 4u

/* A key is one of these, a dot, and a name: audit_ev_field() sees to it. */
#define SECTION_LEN 3u
static const char *const sections[] = { "who", "obj", "pol", "dec", "ask" };

/* What a record holds beside its fields. */
#define PLAIN_SIZE 512u

struct event {
	struct audit_head head;
	struct audit_field f[AUDIT_FIELDS_MAX];
	uint32_t nth[AUDIT_FIELDS_MAX]; /* of fields with that key, from 1 */
};

static int
event_decode(struct event *e, const void *p, size_t n)
{
	struct cur c;

	cur_init(&c, p, n);
	/* Both check the alphabets of code, type and keys. */
	if (audit_ev_decode(&c, &e->head) < 0)
		return -1;
	for (uint32_t i = 0; i < e->head.fields; i++) {
		if (audit_ev_field(&c, &e->f[i]) < 0)
			return -1;
		/* Two readers of a doubled key could see two values. */
		e->nth[i] = 1;
		for (uint32_t j = 0; j < i; j++) {
			if (str_eq(e->f[i].key, e->f[j].key))
				e->nth[i]++;
		}
	}
	return cur_end(&c);
}

/* Does it stand in JSON as it is?  Nearly all does. */
static bool
is_plain(const uint8_t *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e || s[i] == '"' || s[i] == '\\')
			return false;
	return true;
}

/* Text as a JSON string, at most max bytes of it; true if it was cut. */
static bool
put_text(struct buf *b, const uint8_t *s, size_t n, size_t max)
{
	bool cut = n > max;
	cleanup_free char *safe = NULL;

	if (cut) {
		n = max;
		/* Do not leave half a character that was whole. */
		while (n > 0 && max - n < 4 && (s[n] & 0xc0) == 0x80)
			n--;
	}
	buf_put_u8(b, '"');
	if (!cut && is_plain(s, n)) {
		buf_put(b, s, n);
		buf_put_u8(b, '"');
		return false;
	}
	safe = str_escape(n == 0 ? "" : (const char *)s, n);
	for (const char *p = safe; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			buf_put_u8(b, '\\');
		buf_put_u8(b, (uint8_t)*p);
	}
	if (cut)
		buf_printf(b, "...");
	buf_put_u8(b, '"');
	return cut;
}

static bool
put_list(struct buf *b, const struct audit_field *f, size_t max)
{
	struct cur c = f->list;
	/* The same budget for a list as a whole, then, as for one text. */
	uint32_t keep = f->count, most = max < AUDIT_STR_MAX / 8
					     ? (uint32_t)max / 4
					     : AUDIT_LIST_MAX;
	bool cut = false;

	if (keep > most) {
		keep = most;
		cut = true;
	}
	buf_put_u8(b, '[');
	for (uint32_t i = 0; i < keep; i++) {
		size_t n;
		const uint8_t *s = cur_blob(&c, c.left, &n);

		if (i > 0)
			buf_put_u8(b, ',');
		if (s == NULL)
			n = 0;
		if (put_text(b, s, n, max))
			cut = true;
	}
	if (keep < f->count)
		buf_printf(b, "%s\"... %" PRIu32 " more\"", keep > 0 ? "," : "",
		    f->count - keep);
	buf_put_u8(b, ']');
	return cut;
}

/* One section, if the event has anything in it; true if a text was cut. */
static bool
put_section(
    struct buf *b, const struct event *e, const char *section, size_t max)
{
	bool open = false, cut = false;

	for (uint32_t i = 0; i < e->head.fields; i++) {
		const struct audit_field *f = &e->f[i];
		const char *name = f->key + SECTION_LEN + 1;

		if (memcmp(f->key, section, SECTION_LEN) != 0)
			continue;
		buf_put_text(b, open ? "," : ",\"");
		if (!open) {
			buf_put_text(b, section);
			buf_put_text(b, "\":{");
		}
		open = true;
		/* No key has digits of its own. */
		if (e->nth[i] > 1)
			buf_printf(b, "\"%s_%" PRIu32 "\":", name, e->nth[i]);
		else {
			buf_put_u8(b, '"');
			buf_put_text(b, name);
			buf_put_text(b, "\":");
		}
		switch (f->kind) {
		case AUDIT_STR:
			if (put_text(b, f->s, f->len, max))
				cut = true;
			break;
		case AUDIT_U64:
			buf_put_dec(b, f->u, 0);
			break;
		case AUDIT_BOOL:
			buf_put_text(b, f->u != 0 ? "true" : "false");
			break;
		case AUDIT_LIST:
			if (put_list(b, f, max))
				cut = true;
			break;
		}
	}
	if (open)
		buf_put_u8(b, '}');
	return cut;
}

static void
put_start(struct buf *b, const struct audit_meta *m, const struct audit_head *h)
{
	static time_t second = -1; /* what day is the text of */
	static char day[32];
	struct tm tm;

	if (m->ts.tv_sec != second) {
		gmtime_r(&m->ts.tv_sec, &tm);
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
		second = m->ts.tv_sec;
	}
	buf_put_text(b, "{\"v\":1,\"seq\":");
	buf_put_dec(b, m->seq, 0);
	buf_put_text(b, ",\"ts\":\"");
	buf_put_text(b, day);
	buf_put_text(b, ".");
	buf_put_dec(b, (uint64_t)m->ts.tv_nsec, 9);
	buf_put_text(b, "Z\",\"boot\":");
	put_text(b, (const uint8_t *)m->boot, strlen(m->boot), 64);
	buf_put_text(b, ",\"mono\":");
	buf_put_dec(b, (uint64_t)m->mono.tv_sec, 0);
	buf_put_text(b, ".");
	buf_put_dec(b, (uint64_t)m->mono.tv_nsec, 9);
	buf_put_text(b, ",\"code\":\"");
	buf_put_text(b, h->code);
	buf_put_text(b, "\",\"type\":\"");
	buf_put_text(b, h->type);
	buf_put_text(b, "\",\"sev\":");
	buf_put_dec(b, h->severity, 0);
	buf_put_text(b, ",\"from\":\"");
	buf_put_text(b, role_name(m->from));
	buf_put_text(b, "\",\"job\":");
	if (m->job == 0) {
		buf_put_text(b, "null");
	} else {
		buf_put_text(b, "\"j-");
		buf_put_dec(b, m->job, 0);
		buf_put_text(b, "\"");
	}
}

/* The line up to and with its prev member. */
static void
put_record(struct buf *b, const struct audit_meta *m, const struct event *e,
    const char *prev, size_t max)
{
	bool cut = false;

	put_start(b, m, &e->head);
	for (size_t i = 0; i < nitems(sections); i++) {
		if (put_section(b, e, sections[i], max))
			cut = true;
	}
	if (cut)
		buf_printf(b, ",\"cut\":true");
	buf_put_text(b, ",\"prev\":\"");
	buf_put_text(b, prev);
	buf_put_u8(b, '"');
}

int
audit_render(const struct audit_meta *m, const void *event, size_t n,
    const uint8_t prev[AUDIT_HASH_SIZE], struct buf *out,
    uint8_t hash[AUDIT_HASH_SIZE])
{
	char prev_text[AUDIT_HASH_TEXT + 1], hash_text[AUDIT_HASH_TEXT + 1];
	const size_t tail = strlen(",\"hash\":\"\"}") + AUDIT_HASH_TEXT;
	size_t before = buf_len(out), len;
	/* event_decode() fills what is used of it. */
	struct event e attr_uninit;

	if (event_decode(&e, event, n) < 0)
		return -1;
	(void)buf_reserve(out, 2 * n + PLAIN_SIZE);
	audit_hash_text(prev, prev_text);
	for (size_t max = TEXT_FIRST;; max /= 4) {
		put_record(out, m, &e, prev_text, max);
		len = buf_len(out) - before;
		if (len + tail <= AUDIT_RECORD_MAX)
			break;
		buf_cut(out, before);
		if (max <= TEXT_LEAST)
			return -1;
	}
	if (!buf_failed(out)) {
		audit_hash(prev, buf_head(out) + before, len, hash);
		audit_hash_text(hash, hash_text);
		buf_put_text(out, ",\"hash\":\"");
		buf_put_text(out, hash_text);
		buf_put_text(out, "\"}\n");
	}
	if (!buf_failed(out))
		return 0;
	buf_cut(out, before);
	return -1;
}
