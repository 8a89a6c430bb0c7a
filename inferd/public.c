#include "inferd/public.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "inferd/json_tree.h"
#include "inferd/kv.h"

#define DATE_MAX 16u

/* One beginning: its system messages and tools, or a text. */
struct entry {
	struct api_request api;
	struct chat_message *messages; /* one more: what comes behind */
	size_t nsystem;
	char *text; /* with room for what comes behind */
	size_t n;
	struct tok_ids ids; /* as of the date */
};

struct public_set {
	struct prompt_maker m;
	struct entry *entry[PUBLIC_MAX];
	size_t n;
	char date[DATE_MAX];
};

/* Texts that begin as differently as texts do. */
static const char *const behind[] = { "a", "7", "\n", "  x", "-" };

#define BEHIND_MAX 4u

struct public_set *
public_new(const struct prompt_maker *m)
{
	struct public_set *s = xcalloc(1, sizeof(*s));

	s->m = *m;
	return s;
}

static void
entry_free(struct entry *e)
{
	api_request_free(&e->api);
	free(e->messages);
	free(e->text);
	tok_ids_free(&e->ids);
	free(e);
}

void
public_free(struct public_set *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++)
		entry_free(s->entry[i]);
	free(s);
}

/* The prompt with one of the texts behind it. */
static int
make(const struct public_set *s, struct entry *e, const char *date,
    const char *text, struct tok_ids *ids, struct error *err)
{
	const size_t n = strlen(text);

	if (e->text != NULL) {
		memcpy(e->text + e->n, text, n);
		e->api.prompt = (struct chat_text){ e->text, e->n + n };
	} else {
		e->messages[e->nsystem] =
		    (struct chat_message){ .role = CHAT_USER,
			    .text = { text, n } };
		e->api.chat.messages = e->messages;
		e->api.chat.nmessages = e->nsystem + 1;
	}
	return prompt_make(&s->m, &e->api, 0, date, ids, NULL, err);
}

/* What all of them begin with. */
static int
compute(const struct public_set *s, struct entry *e, const char *date,
    struct error *err)
{
	size_t common = SIZE_MAX;

	for (size_t i = 0; i < nitems(behind); i++) {
		cleanup_tok_ids struct tok_ids ids = { 0 };
		size_t k = 0;

		if (make(s, e, date, behind[i], &ids, err) < 0)
			return -1;
		if (i == 0) {
			e->ids.n = 0;
			for (size_t j = 0; j < ids.n; j++)
				tok_ids_push(&e->ids, ids.id[j]);
		}
		while (k < ids.n && k < e->ids.n && k < common &&
		       ids.id[k] == e->ids.id[k])
			k++;
		common = k;
	}
	e->ids.n = common;
	return 0;
}

static enum api_kind
kind_of(const struct json_tree *t)
{
	if (json_tree_get(t, 0, "input") != 0)
		return API_RESPONSES;
	if (json_tree_get(t, 0, "prompt") != 0)
		return API_COMPLETIONS;
	return json_tree_get(t, 0, "system") != 0 ? API_MESSAGES : API_CHAT;
}

static void
take_text(struct entry *e, const char *p, size_t n)
{
	e->api.kind = API_COMPLETIONS;
	e->text = xmalloc(n + BEHIND_MAX);
	memcpy(e->text, p, n);
	e->n = n;
}

static int
read_request(struct entry *e, const char *text, size_t n, struct error *err)
{
	cleanup_json_tree struct json_tree t = { 0 };
	struct api_error why = { 0 };
	const struct chat *chat = &e->api.chat;

	if (json_tree_read(&t, text, n, err) < 0)
		return -1;
	if (api_read(kind_of(&t), text, n, &e->api, &why) < 0)
		return error_set(err, 0, "not a request: %s", why.message);
	if (e->api.kind == API_COMPLETIONS) {
		take_text(e, e->api.prompt.p, e->api.prompt.n);
		return 0;
	}
	while (e->nsystem < chat->nmessages &&
	       chat->messages[e->nsystem].role == CHAT_SYSTEM)
		e->nsystem++;
	if (e->nsystem == 0 && chat->ntools == 0)
		return error_set(err, 0,
		    "it has neither tools nor a system message in front");
	e->messages = xcalloc(e->nsystem + 1, sizeof(*e->messages));
	if (e->nsystem > 0)
		memcpy(e->messages, chat->messages,
		    e->nsystem * sizeof(*e->messages));
	return 0;
}

int
public_add_text(
    struct public_set *s, const char *text, size_t n, struct error *err)
{
	struct entry *e;
	size_t skip = 0;
	int rc = 0;

	if (s->n == PUBLIC_MAX)
		return error_set(err, 0, "more than %u beginnings", PUBLIC_MAX);
	e = xcalloc(1, sizeof(*e));
	while (skip < n && strchr(" \t\r\n", text[skip]) != NULL)
		skip++;
	if (skip < n && text[skip] == '{')
		rc = read_request(e, text, n, err);
	else
		take_text(e, text, n);
	if (rc == 0)
		rc = compute(s, e, "2000-01-01", err);
	if (rc < 0) {
		entry_free(e);
		return -1;
	}
	s->entry[s->n++] = e;
	s->date[0] = '\0';
	return 0;
}

int
public_add(struct public_set *s, const char *file, struct error *err)
{
	cleanup_fd int fd = open(file, O_RDONLY | O_CLOEXEC);
	cleanup_buf struct buf b = { 0 };

	if (fd < 0 || fd_read_all(fd, &b, API_BODY_MAX) < 0)
		return error_set(err, errno, "read %s", file);
	if (public_add_text(s, (const char *)buf_head(&b), buf_len(&b), err) <
	    0)
		return error_prefix(err, "%s", file);
	return 0;
}

static void
refresh(struct public_set *s, const char *date)
{
	struct error err = { 0 };

	if (strncmp(s->date, date, sizeof(s->date) - 1) == 0)
		return;
	for (size_t i = 0; i < s->n; i++)
		if (compute(s, s->entry[i], date, &err) < 0) {
			log_warnx("public prefix %zu: %s", i + 1, err.msg);
			s->entry[i]->ids.n = 0;
		}
	strlcpy(s->date, date, sizeof(s->date));
}

uint32_t
public_match(
    struct public_set *s, const char *date, const int32_t *ids, uint32_t n)
{
	size_t best = 0;

	if (s == NULL || s->n == 0)
		return 0;
	refresh(s, date);
	for (size_t i = 0; i < s->n; i++) {
		const struct tok_ids *e = &s->entry[i]->ids;
		size_t k = 0;

		while (k < n && k < e->n && ids[k] == e->id[k])
			k++;
		if (k < e->n)
			k -= k % KV_PAGE;
		if (k > best)
			best = k;
	}
	return (uint32_t)best;
}
