#include "inferd/prompt.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "inferd/prompt_size.h"
#include "inferd/volatile.h"

static int
too_long(uint32_t n, const struct prompt_maker *m, struct error *err)
{
	*m->exceeds = n;
	return error_set(err, E2BIG, "the prompt");
}

static int
of_chat(const struct prompt_maker *m, const struct api_request *r,
    uint32_t space, const char *date, struct tok_ids *ids, bool *thinking,
    struct error *err)
{
	struct chat chat = r->chat;
	uint32_t n = 0;
	cleanup_prompt struct prompt p = { 0 };
	cleanup_volatile struct volatile_copy calm = { 0 };
	cleanup_replay_copy struct replay_copy turns = { 0 };

	chat.date = date;
	if (r->thinking_max == 0)
		chat.no_thinking = true;
	if (!m->keep_volatile)
		(void)volatile_chat(&chat, &calm);
	if (m->replay != NULL)
		replay_chat(m->replay, space, &chat, &turns);
	if (template_render(m->family, &chat, &p, err) < 0)
		return -1;
	if (thinking != NULL)
		*thinking = p.thinking;
	if (m->most > 0)
		n = prompt_exceeds_chat(m->tok, &p, m->most);
	if (n > 0)
		return too_long(n, m, err);
	if (prompt_encode_chat(&p, &chat, m->tok, ids) < 0)
		return error_set(err, EMSGSIZE, "the prompt");
	if (m->said != NULL) {
		*m->said = p;
		memset(&p, 0, sizeof(p));
	}
	return 0;
}

/* All of it is the client's. */
static void
keep_text(struct prompt *p, struct chat_text t)
{
	buf_put(&p->text, t.p, t.n);
	p->segment = xcalloc(1, sizeof(*p->segment));
	p->segment[0] =
	    (struct prompt_segment){ .origin = PROMPT_USER, .n = t.n };
	p->nsegments = p->cap = 1;
}

int
prompt_make(const struct prompt_maker *m, const struct api_request *r,
    uint32_t space, const char *date, struct tok_ids *ids, bool *thinking,
    struct error *err)
{
	uint32_t n = 0;

	if (r->kind != API_COMPLETIONS) {
		if (of_chat(m, r, space, date, ids, thinking, err) < 0)
			return -1;
	} else {
		if (m->most > 0)
			n = prompt_exceeds(m->tok, r->prompt, m->most);
		if (n > 0)
			return too_long(n, m, err);
		if (m->vocab->add_bos && m->vocab->bos >= 0)
			tok_ids_push(ids, m->vocab->bos);
		if (tok_encode(m->tok, r->prompt.p, r->prompt.n, false, ids) <
		    0)
			return error_set(err, EMSGSIZE, "the prompt");
		if (m->said != NULL)
			keep_text(m->said, r->prompt);
	}
	if (ids->n > UINT32_MAX)
		return error_set(err, EMSGSIZE, "the prompt");
	/* Even a model that is asked nothing begins somewhere. */
	if (ids->n == 0)
		tok_ids_push(ids, m->vocab->bos >= 0 ? m->vocab->bos : 0);
	return 0;
}
