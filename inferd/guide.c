#include "inferd/guide.h"

#include <string.h>

#include "inferd/deepseek_marks.h"

#define TAGS "\n</tool_call>"
#define CHANNEL "<|channel|>commentary json<|message|>"

static const struct guide_call as_json = { "<tool_call>\n{\"name\": \"", '"',
	", \"arguments\": ", "}" TAGS, "}" TAGS };
static const struct guide_call as_tags = { "<tool_call>\n<function=", '>', "\n",
	"</function>" TAGS, "</function>" TAGS };
static const struct guide_call mistral = { "[TOOL_CALLS][{\"name\": \"", '"',
	", \"arguments\": ", "}]", "}" };
static const struct guide_call llama3 = { "{\"name\": \"", '"',
	", \"parameters\": ", "}", "}" };
/* Of GLM-4.7 the name ends with the next tag, which is not known yet. */
static const struct guide_call glm = { "<tool_call>", '\n', "", "</tool_call>",
	"</tool_call>" };
/* What ends the name is a token of its own. */
static const struct guide_call deepseek = { DEEPSEEK_CALLS DEEPSEEK_CALL, '\0',
	DEEPSEEK_ARGS, DEEPSEEK_CALL_END DEEPSEEK_CALLS_END,
	DEEPSEEK_CALL_END };
static const struct guide_call harmony[] = {
	{ " to=functions.", ' ', CHANNEL, "<|call|>", "<|call|>" },
	{ "commentary to=functions.", ' ', "json<|message|>", "<|call|>",
	    "<|call|>" },
	{ "<|start|>assistant to=functions.", ' ', CHANNEL, "<|call|>",
	    "<|call|>" },
	{ "assistant to=functions.", ' ', CHANNEL, "<|call|>", "<|call|>" },
	/* Out of a message that is no call. */
	{ "<|end|><|start|>assistant to=functions.", ' ', CHANNEL, "<|call|>",
	    "<|call|>" },
};

const struct guide_call *
guide_call(enum chat_family family, bool json)
{
	switch (family) {
	case CHAT_CHATML:
	case CHAT_QWEN3:
		return &as_json;
	case CHAT_QWEN35:
	case CHAT_QWEN_CODER:
		return json ? &as_json : &as_tags;
	case CHAT_GLM45:
	case CHAT_GLM47:
		return json ? &as_json : &glm;
	case CHAT_DEEPSEEK31:
		return &deepseek;
	case CHAT_HARMONY:
		return &harmony[4];
	case CHAT_MISTRAL:
		return &mistral;
	case CHAT_LLAMA3:
		return &llama3;
	case CHAT_NONE:
	case CHAT_MIXTRAL:
	case CHAT_DEEPSEEK2:
	case CHAT_PLAIN:
	case CHAT_FAMILIES:
		break;
	}
	return NULL;
}

static bool
ends(struct chat_text t, const char *s)
{
	size_t n = strlen(s);

	return t.n >= n && memcmp(t.p + t.n - n, s, n) == 0;
}

const struct guide_call *
guide_header(struct chat_text header, bool behind)
{
	if (header.n == 0)
		return behind ? &harmony[2] : &harmony[0];
	if (ends(header, "<|channel|>"))
		return &harmony[1];
	if (ends(header, "<|start|>"))
		return &harmony[3];
	return ends(header, "assistant") ? &harmony[0] : NULL;
}

const char *
guide_think_end(enum chat_family family, bool again)
{
	if (family == CHAT_GLM45)
		return "</think>\n";
	if (family == CHAT_GLM47 || family == CHAT_DEEPSEEK31)
		return "</think>";
	if (family != CHAT_HARMONY)
		return "\n</think>\n\n";
	return again ? "<|end|><|start|>assistant<|channel|>final<|message|>"
		     : "<|end|><|start|>assistant";
}

const char *
guide_rest(enum chat_family family, struct chat_text text)
{
	static const char tags[] = TAGS, list[] = "]",
			  calls[] = DEEPSEEK_CALL_END DEEPSEEK_CALLS_END;
	const char *rest = "";
	size_t n, k;

	switch (family) {
	case CHAT_CHATML:
	case CHAT_QWEN3:
	case CHAT_QWEN35:
	case CHAT_QWEN_CODER:
	case CHAT_GLM45:
	case CHAT_GLM47:
		rest = tags;
		break;
	case CHAT_MISTRAL:
		rest = list;
		break;
	case CHAT_DEEPSEEK31:
		rest = calls;
		break;
	case CHAT_NONE:
	case CHAT_HARMONY:
	case CHAT_MIXTRAL:
	case CHAT_DEEPSEEK2:
	case CHAT_LLAMA3:
	case CHAT_PLAIN:
	case CHAT_FAMILIES:
		return "";
	}
	/* The longest beginning of it that is there already. */
	n = strlen(rest);
	for (k = n; k > 0; k--)
		if (text.n >= k && memcmp(text.p + text.n - k, rest, k) == 0)
			return rest + k;
	/* Or without its newline. */
	if (*rest != '\n')
		return rest;
	for (k = n - 1; k > 0; k--)
		if (text.n >= k &&
		    memcmp(text.p + text.n - k, rest + 1, k) == 0)
			return rest + 1 + k;
	return rest;
}
