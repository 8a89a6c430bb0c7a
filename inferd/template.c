#include "inferd/template.h"
#include "inferd/template_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/deepseek_marks.h"

static const char *const family_names[CHAT_FAMILIES] = {
	[CHAT_CHATML] = "chatml",
	[CHAT_QWEN3] = "qwen3",
	[CHAT_QWEN35] = "qwen35",
	[CHAT_QWEN_CODER] = "qwen3-coder",
	[CHAT_HARMONY] = "harmony",
	[CHAT_MISTRAL] = "mistral",
	[CHAT_MIXTRAL] = "mixtral",
	[CHAT_LLAMA3] = "llama3",
	[CHAT_GLM45] = "glm45",
	[CHAT_GLM47] = "glm47",
	[CHAT_DEEPSEEK2] = "deepseek2",
	[CHAT_DEEPSEEK31] = "deepseek31",
	[CHAT_PLAIN] = "plain",
};

/* Published templates, with and without a newline at the end. */
static const struct {
	const char *sha256;
	enum chat_family family;
} known[] = {
	/* Qwen3 */
	{ "87a2728cb8dc9fe424d624542f6060ec05a1d285ebbec578bb078900e33396b5",
	    CHAT_QWEN3 },
	{ "c945a4a87850dd79827191150be98539a7a5e7da0689f3550d880f8dcc95b856",
	    CHAT_QWEN3 },
	/* Qwen3-Coder */
	{ "eae48a3307931acb10a6fce475a36b711709672ea79ee1a9bc52f083d8b0a2af",
	    CHAT_QWEN_CODER },
	{ "d287fb2edf144207f868ae1b282755dc19db2a3f1c5b3a3d57e9e5abffa98392",
	    CHAT_QWEN_CODER },
	/* Qwen3.5 */
	{ "a4aee8afcf2e0711942cf848899be66016f8d14a889ff9ede07bca099c28f715",
	    CHAT_QWEN35 },
	{ "d2cb9a5730cdd5f44bce3ada2dc1b0e00c6c59788b6d1c4d8d49c40a274dffb0",
	    CHAT_QWEN35 },
	/* Qwen2.5 */
	{ "55b2f4a26ac9ee719330a61a0c39d9e538b0e9322212f048326318cff4f8674a",
	    CHAT_CHATML },
	{ "cd8e9439f0570856fd70470bf8889ebd8b5d1107207f67a5efb46e342330527f",
	    CHAT_CHATML },
	/* ChatML */
	{ "fcf7a096fe99a48fd9ad2b250bf9237e96e8f48bffec1c7ea4d3f225176cd40e",
	    CHAT_CHATML },
	/* Mistral Nemo */
	{ "e7deee034838db2bfc7487788a3013d8a307ab69f72f3c54a85f06fd76007d4e",
	    CHAT_MISTRAL },
	{ "e4676cb56dffea7782fd3e2b577cfaf1e123537e6ef49b3ec7caa6c095c62272",
	    CHAT_MISTRAL },
	/* Mixtral 8x7B */
	{ "26a59556925c987317ce5291811ba3b7f32ec4c647c400c6cc7e3a9993007ba7",
	    CHAT_MIXTRAL },
	{ "796853172235ab3aaa4810013ddfe2eab481bda3306dad4f700c00d436eed596",
	    CHAT_MIXTRAL },
	/* Llama 3.1, 3.3 */
	{ "93c0e9aa3629bbd77e68dbc0f5621f6e6b23aa8d74b932595cdb8d64684526d7",
	    CHAT_LLAMA3 },
	{ "e10ca381b1ccc5cf9db52e371f3b6651576caee0a630b452e2816b2d404d4b65",
	    CHAT_LLAMA3 },
	/* GLM-4.5 */
	{ "c5b4f04ea931bbf75997887958997737ca053fc040d6090907b16447440c22e1",
	    CHAT_GLM45 },
	{ "e246f0caf04b8c04fd6d74ed404ced477522a08e89e3b9ead2e56816c3558c69",
	    CHAT_GLM45 },
	/* GLM-4.6, in two forms */
	{ "44f815868bf02fa458dd2f741a338046f4bf45f398eb6d067766726b9d96cce3",
	    CHAT_GLM45 },
	{ "46ca6d642d0c6e53e62e858750fbdf6cc200f0c6f6f8e0e0f1021daa80903e00",
	    CHAT_GLM45 },
	{ "b1e56a48a6c16b1ccc8c3c8f2e2a28d6627efb93f15fbfe13eb1bbd175a4756b",
	    CHAT_GLM45 },
	{ "46786fd637de2728b41928ac3b6983e2d8a04706e51778de031fa933eb6f566f",
	    CHAT_GLM45 },
	/* GLM-4.7 and 4.7-Flash */
	{ "d63ad536c3c81880043e22ec7fd08db42b4d8fb7c89c7138bc562bfa25281375",
	    CHAT_GLM47 },
	{ "f0309250278561554b1d29ddb1a5c8380edbe4657ccb57180b6550b3bc4e569e",
	    CHAT_GLM47 },
	/* DeepSeek V2 */
	{ "8aeba567270fa9a8d5372caf4b04affea947c4421d96adc01e3ff94021b0ae8e",
	    CHAT_DEEPSEEK2 },
	{ "57d9e6472d2633ffd003ffd19b691d1f56e45d81a101edf656ad6e6cdbdf0992",
	    CHAT_DEEPSEEK2 },
	/* DeepSeek V3.1, in two forms */
	{ "45690185067ea25c073bff2d3e425a45ee2564d2bbf6cdf7d885e139d460b8e0",
	    CHAT_DEEPSEEK31 },
	{ "9bb428ab3b8a81649369c03052fab97934e413193eeed841a5db749801b4af51",
	    CHAT_DEEPSEEK31 },
	{ "7fe7159748925dc7d9e2aaeb11e4bd3121c311d8d0e3a0d6377fb8550e64c560",
	    CHAT_DEEPSEEK31 },
	{ "2636f461743f269d8019f4cf4d60e27edffa10890733e8aad430df00f042bcc0",
	    CHAT_DEEPSEEK31 },
	/* generated ones */
	{ "d49f4fefa2bc8e957861580f20943dfc59604f789a425e49a18fcd4ed0a117c8",
	    CHAT_CHATML },
	{ "32de3abb3879aacac8251f59dc2cb4b50dc29cea401cf20154b4bb318deef7a3",
	    CHAT_CHATML },
};

const char *
template_name(enum chat_family family)
{
	return family > CHAT_NONE && family < CHAT_FAMILIES
		   ? family_names[family]
		   : "none";
}

enum chat_family
template_find(const char *name)
{
	int i;

	for (i = CHAT_NONE + 1; i < CHAT_FAMILIES; i++)
		if (str_eq(name, family_names[i]))
			return (enum chat_family)i;
	return CHAT_NONE;
}

enum chat_family
template_choose(enum arch arch, const char *template_sha256, struct error *err)
{
	cleanup_buf struct buf names = { 0 };
	size_t i;

	/* Its channels are in the model, whatever a file's template does. */
	if (arch == ARCH_GPT_OSS)
		return CHAT_HARMONY;
	if (*template_sha256 == '\0')
		return CHAT_PLAIN;
	for (i = 0; i < nitems(known); i++)
		if (str_eq(template_sha256, known[i].sha256))
			return known[i].family;
	for (i = CHAT_NONE + 1; i < CHAT_FAMILIES; i++)
		buf_printf(&names, " %s", family_names[i]);
	buf_put_u8(&names, 0);
	error_set(err, 0,
	    "chat template %.16s is not known: choose one with --template, "
	    "of%s",
	    template_sha256, (const char *)buf_head(&names));
	return CHAT_NONE;
}

const char *
template_stop(enum chat_family family, unsigned int i)
{
	static const char *const stops[CHAT_FAMILIES][3] = {
		[CHAT_CHATML] = { "<|im_end|>", "<|endoftext|>" },
		[CHAT_QWEN3] = { "<|im_end|>", "<|endoftext|>" },
		[CHAT_QWEN35] = { "<|im_end|>", "<|endoftext|>" },
		[CHAT_QWEN_CODER] = { "<|im_end|>", "<|endoftext|>" },
		[CHAT_HARMONY] = { "<|return|>", "<|call|>" },
		[CHAT_MISTRAL] = { "</s>" },
		[CHAT_MIXTRAL] = { "</s>" },
		[CHAT_LLAMA3] = { "<|eot_id|>", "<|eom_id|>",
		    "<|end_of_text|>" },
		[CHAT_GLM45] = { "<|user|>", "<|observation|>",
		    "<|endoftext|>" },
		[CHAT_GLM47] = { "<|user|>", "<|observation|>",
		    "<|endoftext|>" },
		[CHAT_DEEPSEEK2] = { DEEPSEEK_END },
		[CHAT_DEEPSEEK31] = { DEEPSEEK_END },
		[CHAT_PLAIN] = { "\nUser:" },
	};

	return family < CHAT_FAMILIES && i < 3 ? stops[family][i] : NULL;
}

void
prompt_free(struct prompt *p)
{
	buf_free(&p->text);
	free(p->segment);
	memset(p, 0, sizeof(*p));
}

void
prompt_put(
    struct prompt *p, enum prompt_origin origin, const char *text, size_t n)
{
	struct prompt_segment *s;

	if (n == 0)
		return;
	s = p->nsegments == 0 ? NULL : &p->segment[p->nsegments - 1];
	if (s == NULL || s->origin != origin) {
		if (p->nsegments == p->cap) {
			p->cap = p->cap == 0 ? 16 : p->cap * 2;
			p->segment = xreallocarray(
			    p->segment, p->cap, sizeof(*p->segment));
		}
		s = &p->segment[p->nsegments++];
		*s = (struct prompt_segment){ origin, buf_len(&p->text), 0 };
	}
	s->n += n;
	buf_put(&p->text, text, n);
}

void
prompt_say(struct prompt *p, const char *words)
{
	prompt_put(p, PROMPT_TEMPLATE, words, strlen(words));
}

void
prompt_text(struct prompt *p, enum prompt_origin origin, struct chat_text t)
{
	prompt_put(p, origin, t.p, t.n);
}

void
prompt_buf(struct prompt *p, enum prompt_origin origin, const struct buf *b)
{
	prompt_put(p, origin, (const char *)buf_head(b), buf_len(b));
}

/* Spans of the segments from i on, up to n. */
static int
encode_segments(const struct prompt *p, size_t i, size_t n, const struct tok *t,
    struct tok_ids *out)
{
	cleanup_free struct tok_span *spans =
	    xcalloc(n - i + 1, sizeof(*spans));
	const char *text = (const char *)buf_head(&p->text);
	size_t k;

	for (k = i; k < n; k++) {
		const struct prompt_segment *s = &p->segment[k];

		spans[k - i] = (struct tok_span){ text + s->from, s->n,
			s->origin == PROMPT_TEMPLATE ||
			    s->origin == PROMPT_SAMPLED };
	}
	return tok_encode_spans(t, spans, n - i, out);
}

int
prompt_encode(const struct prompt *p, const struct tok *t, struct tok_ids *out)
{
	return encode_segments(p, 0, p->nsegments, t, out);
}

/* The message from *from on that the segment is; *from: behind it. */
static const struct chat_message *
message_of(const struct prompt *p, const struct prompt_segment *s,
    const struct chat *chat, size_t *from)
{
	const char *text = (const char *)buf_head(&p->text) + s->from;
	size_t i;

	for (i = *from; i < chat->nmessages; i++) {
		const struct chat_message *m = &chat->messages[i];

		if (m->sampled.n == s->n &&
		    memcmp(m->sampled.p, text, s->n) == 0) {
			*from = i + 1;
			return m;
		}
	}
	return NULL;
}

int
prompt_encode_chat(const struct prompt *p, const struct chat *chat,
    const struct tok *t, struct tok_ids *out)
{
	size_t i, k, begin = 0, from = 0;

	for (i = 0; i < p->nsegments; i++) {
		const struct chat_message *m;

		if (p->segment[i].origin != PROMPT_SAMPLED)
			continue;
		m = message_of(p, &p->segment[i], chat, &from);
		if (m == NULL || m->nids == 0)
			continue;
		if (encode_segments(p, begin, i, t, out) < 0)
			return -1;
		for (k = 0; k < m->nids; k++)
			tok_ids_push(out, m->ids[k]);
		begin = i + 1;
	}
	return encode_segments(p, begin, p->nsegments, t, out);
}

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct chat_text
text_trim(struct chat_text t)
{
	while (t.n > 0 && is_space(t.p[0])) {
		t.p++;
		t.n--;
	}
	while (t.n > 0 && is_space(t.p[t.n - 1]))
		t.n--;
	return t;
}

struct chat_text
text_trim_newlines(struct chat_text t)
{
	while (t.n > 0 && t.p[0] == '\n') {
		t.p++;
		t.n--;
	}
	while (t.n > 0 && t.p[t.n - 1] == '\n')
		t.n--;
	return t;
}

bool
text_is(struct chat_text t, const char *s)
{
	return strlen(s) == t.n && (t.n == 0 || memcmp(t.p, s, t.n) == 0);
}

bool
text_same(struct chat_text a, struct chat_text b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static size_t
find_first(struct chat_text t, const char *what)
{
	const char *at = t.n == 0 ? NULL : memmem(t.p, t.n, what, strlen(what));

	return at == NULL ? t.n : (size_t)(at - t.p);
}

/* What is behind the last of these words, or all. */
static struct chat_text
behind_last(struct chat_text t, const char *what)
{
	size_t at, n = strlen(what);

	while ((at = find_first(t, what)) < t.n) {
		t.p += at + n;
		t.n -= at + n;
	}
	return t;
}

void
split_thinking(const struct chat_message *m, struct chat_text *thinking,
    struct chat_text *words)
{
	size_t at = find_first(m->text, "</think>");

	*thinking = m->thinking;
	*words = m->text;
	if (m->thinking.n > 0 || at == m->text.n)
		return;
	*thinking = text_trim_newlines(
	    behind_last((struct chat_text){ m->text.p, at }, "<think>"));
	*words = behind_last(m->text, "</think>");
	while (words->n > 0 && words->p[0] == '\n') {
		words->p++;
		words->n--;
	}
}

size_t
last_query(const struct chat *c)
{
	static const char open[] = "<tool_response>";
	static const char close[] = "</tool_response>";
	size_t i;

	for (i = c->nmessages; i-- > 0;) {
		struct chat_text t = c->messages[i].text;

		if (c->messages[i].role != CHAT_USER)
			continue;
		if (t.n >= strlen(open) + strlen(close) &&
		    memcmp(t.p, open, strlen(open)) == 0 &&
		    memcmp(t.p + t.n - strlen(close), close, strlen(close)) ==
			0)
			continue;
		return i;
	}
	return c->nmessages == 0 ? 0 : c->nmessages - 1;
}

void
dump_string(struct chat_text t, struct buf *out)
{
	json_quote(out, t.p, t.n);
}

void
dump_json(struct chat_text t, struct buf *out)
{
	cleanup_json_tree struct json_tree tree = { 0 };

	if (json_tree_read(&tree, t.p, t.n, NULL) == 0)
		json_tree_dump(&tree, 0, out);
	else
		dump_string(t, out);
}

void
dump_tool(const struct chat_tool *tool, struct buf *out)
{
	buf_printf(out, "{\"type\": \"function\", \"function\": {\"name\": ");
	dump_string(tool->name, out);
	if (tool->description.n > 0) {
		buf_printf(out, ", \"description\": ");
		dump_string(tool->description, out);
	}
	if (tool->schema.n > 0) {
		buf_printf(out, ", \"parameters\": ");
		dump_json(tool->schema, out);
	}
	buf_printf(out, "}}");
}

int
template_render(enum chat_family family, const struct chat *chat,
    struct prompt *p, struct error *err)
{
	memset(p, 0, sizeof(*p));
	switch (family) {
	case CHAT_CHATML:
	case CHAT_QWEN3:
	case CHAT_QWEN35:
	case CHAT_QWEN_CODER:
		return render_chatml(family, chat, p, err);
	case CHAT_HARMONY:
		return render_harmony(chat, p, err);
	case CHAT_MISTRAL:
		return render_mistral(chat, p, err);
	case CHAT_MIXTRAL:
		return render_mixtral(chat, p, err);
	case CHAT_LLAMA3:
		return render_llama3(chat, p, err);
	case CHAT_GLM45:
	case CHAT_GLM47:
		return render_glm(family, chat, p, err);
	case CHAT_DEEPSEEK2:
		return render_deepseek2(chat, p, err);
	case CHAT_DEEPSEEK31:
		return render_deepseek31(chat, p, err);
	case CHAT_PLAIN:
		return render_plain(chat, p, err);
	case CHAT_NONE:
	case CHAT_FAMILIES:
		break;
	}
	return error_set(err, 0, "no chat template was chosen");
}
