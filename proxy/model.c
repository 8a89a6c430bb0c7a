#include "proxy/model.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "proxy/deny.h"

/* More would be a mistake, or overflow when it is multiplied. */
#define TOKENS_MAX UINT32_MAX
#define CHOICES_MAX 1024u

static const char *const shape_names[MODEL_SHAPES] = { "none", "openai",
	"anthropic", "gemini" };

const struct model_host model_hosts_known[3] = {
	{ "api.openai.com", 443, MODEL_OPENAI, "openai" },
	{ "api.anthropic.com", 443, MODEL_ANTHROPIC, "anthropic" },
	{ "generativelanguage.googleapis.com", 443, MODEL_GEMINI, "gemini" },
};

const char *
model_shape_name(enum model_shape s)
{
	return s < MODEL_SHAPES ? shape_names[s] : "none";
}

enum model_shape
model_shape_by_name(const char *name)
{
	for (enum model_shape s = MODEL_NONE + 1; s < MODEL_SHAPES; s++)
		if (str_eq(name, shape_names[s]))
			return s;
	return MODEL_NONE;
}

static int
split_host(const char *s, struct model_host *h)
{
	char text[P_HOST_MAX + 16];
	const char *rest;
	char *host = text, *end;
	uint64_t port = 443;

	if (strlcpy(text, s, sizeof(text)) >= sizeof(text))
		return -1;
	if (text[0] == '[') {
		host = text + 1;
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return -1;
		*end++ = '\0';
		rest = end;
	} else {
		end = strchr(text, ':');
		if (end != NULL)
			*end = '\0';
		rest = end == NULL ? "" : s + (end - text);
	}
	if (*rest == ':' && str_to_u64(rest + 1, 1, UINT16_MAX, &port) < 0)
		return -1;
	h->port = (uint16_t)port;
	return policy_host_normalise(host, h->host, sizeof(h->host));
}

/* Cut the next word off *at; NULL if there is none. */
static char *
next_word(char **at)
{
	char *word = *at + strspn(*at, " "), *end = word + strcspn(word, " ");

	if (*word == '\0')
		return NULL;
	*at = *end == '\0' ? end : end + 1;
	*end = '\0';
	return word;
}

int
model_host_parse(const char *text, struct model_host *h, struct error *err)
{
	cleanup_free char *copy = xstrdup(text);
	char *at = copy, *host = next_word(&at), *shape = next_word(&at);
	const char *provider = shape;

	memset(h, 0, sizeof(*h));
	if (host == NULL || split_host(host, h) < 0)
		return error_set(err, 0,
		    "a model host is like api.example.com or "
		    "api.example.com:8443");
	if (shape != NULL && strchr(shape, ':') != NULL) {
		provider = strchr(shape, ':') + 1;
		shape[provider - shape - 1] = '\0';
	}
	h->shape = shape == NULL ? MODEL_NONE : model_shape_by_name(shape);
	if (h->shape == MODEL_NONE)
		return error_set(
		    err, 0, "the shape is openai, anthropic or gemini");
	if (!str_is_name(provider, P_NAME_MAX - 1) || next_word(&at) != NULL)
		return error_set(err, 0,
		    "the provider is one word of letters, digits, \"-\", "
		    "\"_\" and \".\"");
	strlcpy(h->provider, provider, sizeof(h->provider));
	return 0;
}

bool
model_is_call(const char *method)
{
	static const char *const harmless[] = { "GET", "HEAD", "OPTIONS",
		"DELETE" };

	for (size_t i = 0; i < nitems(harmless); i++)
		if (str_eq(method, harmless[i]))
			return false;
	return true;
}

/* ---- requests ----------------------------------------------------------- */

/* What a member of a request says. */
enum what {
	W_MODEL,
	W_LIMIT,   /* of output; the largest counts */
	W_CHOICES, /* how often it is answered; multiplies */
	W_OTHERS,  /* models to fall back on, as gateways have it */
	W_COUNT
};

struct member {
	enum model_shape shape;
	const char *path;
	enum what what;
};

static const struct member members[] = {
	{ MODEL_OPENAI, ".model", W_MODEL },
	{ MODEL_OPENAI, ".max_tokens", W_LIMIT },
	{ MODEL_OPENAI, ".max_completion_tokens", W_LIMIT },
	{ MODEL_OPENAI, ".max_output_tokens", W_LIMIT },
	{ MODEL_OPENAI, ".n", W_CHOICES },
	{ MODEL_OPENAI, ".best_of", W_CHOICES },
	{ MODEL_OPENAI, ".models", W_OTHERS },
	{ MODEL_OPENAI, ".fallbacks", W_OTHERS },
	{ MODEL_ANTHROPIC, ".model", W_MODEL },
	{ MODEL_ANTHROPIC, ".max_tokens", W_LIMIT },
	/* Protocol buffers take both spellings. */
	{ MODEL_GEMINI, ".generationConfig.maxOutputTokens", W_LIMIT },
	{ MODEL_GEMINI, ".generationConfig.max_output_tokens", W_LIMIT },
	{ MODEL_GEMINI, ".generation_config.maxOutputTokens", W_LIMIT },
	{ MODEL_GEMINI, ".generation_config.max_output_tokens", W_LIMIT },
	{ MODEL_GEMINI, ".generationConfig.candidateCount", W_CHOICES },
	{ MODEL_GEMINI, ".generationConfig.candidate_count", W_CHOICES },
	{ MODEL_GEMINI, ".generation_config.candidateCount", W_CHOICES },
	{ MODEL_GEMINI, ".generation_config.candidate_count", W_CHOICES },
};

struct reading {
	enum model_shape shape;
	struct model_call *call;
	uint32_t seen; /* bits, by index in members */
	uint64_t limit, choices;
	const char *why;
};

static bool
take_number(struct reading *r, enum what what, const struct json_value *v)
{
	uint64_t n;

	/* null is "not set" to all of them. */
	if (v->kind == JSON_WORD && str_eq(v->text, "null"))
		return true;
	if (v->kind != JSON_NUMBER ||
	    str_to_u64(v->text, 0, TOKENS_MAX, &n) < 0 ||
	    (what == W_CHOICES && n > CHOICES_MAX)) {
		r->why = "a limit of the output is not a number of tokens";
		return false;
	}
	if (what == W_LIMIT && n > r->limit)
		r->limit = n;
	if (what == W_CHOICES && n > r->choices)
		r->choices = n;
	return true;
}

/* As readers in Go see it, to whom the sign of Kelvin is
 * a k and the long s an s. */
static void
fold(const char *path, char out[JSON_PATH_MAX + 1])
{
	while (*path != '\0') {
		if (str_starts(path, "\xe2\x84\xaa")) {
			*out++ = 'k';
			path += 3;
		} else if (str_starts(path, "\xc5\xbf")) {
			*out++ = 's';
			path += 2;
		} else {
			*out++ = *path++;
		}
	}
	*out = '\0';
}

/* Is it the member, or for what has parts, one of them? */
static bool
is_member(const struct member *m, const char *path)
{
	size_t n = strlen(m->path);

	if (m->what != W_OTHERS)
		return strcasecmp(m->path, path) == 0;
	return strncasecmp(m->path, path, n) == 0 &&
	       strchr(".[", path[n]) != NULL;
}

static bool
take_member(const struct json_value *v, void *arg)
{
	struct reading *r = arg;
	char path[JSON_PATH_MAX + 1];
	size_t i;

	if (v->path == NULL)
		return true;
	fold(v->path, path);
	for (i = 0; i < nitems(members); i++)
		if (members[i].shape == r->shape &&
		    is_member(&members[i], path))
			break;
	if (i == nitems(members))
		return true;
	if (members[i].what == W_OTHERS) {
		r->why = "the request names more than one model";
		return false;
	}
	/* Servers differ in which of two counts, and in whether case does. */
	if ((r->seen & 1u << i) != 0 || !str_eq(members[i].path, v->path)) {
		r->why = "a member that names the model or limits the output "
			 "stands there twice or in another case";
		return false;
	}
	r->seen |= 1u << i;
	if (members[i].what != W_MODEL)
		return take_number(r, members[i].what, v);
	if (v->kind != JSON_STRING || v->cut || v->n > MODEL_NAME_MAX ||
	    memchr(v->text, '\0', v->n) != NULL) {
		r->why = "the name of the model is not a string, or too long";
		return false;
	}
	strlcpy(r->call->model, v->text, sizeof(r->call->model));
	return true;
}

/* Some name the deployment in the path, and then the body's name is idle. */
static bool
agrees_with_path(const char *path, const struct model_call *c)
{
	static const char *const before[] = { "/deployments/", "/engines/" };
	size_t len = strlen(c->model);

	for (size_t i = 0; i < nitems(before); i++) {
		const char *at = path;

		/* Case is nothing to Azure, save in the name. */
		while ((at = strcasestr(at, before[i])) != NULL) {
			at += strlen(before[i]);
			if (strcspn(at, "/") != len ||
			    memcmp(at, c->model, len) != 0)
				return false;
			at--;
		}
	}
	return true;
}

/* Google names the model in the path: .../models/NAME:method.  Nothing, or
 * the same, has been read before. */
static int
model_of_path(const char *path, struct model_call *c)
{
	static const char *const before[] = { "/models/", "/tunedModels/" };
	const char *at = NULL;
	size_t n;

	for (size_t i = 0; i < nitems(before) && at == NULL; i++) {
		at = strstr(path, before[i]);
		if (at != NULL)
			at += strlen(before[i]);
	}
	if (at == NULL)
		return -1;
	n = strcspn(at, ":/");
	if (n == 0 || n > MODEL_NAME_MAX || at[n] != ':' ||
	    memchr(at, '%', n) != NULL)
		return -1;
	if (c->model[0] != '\0')
		return strlen(c->model) == n && memcmp(c->model, at, n) == 0
			   ? 0
			   : -1;
	memcpy(c->model, at, n);
	c->model[n] = '\0';
	return 0;
}

/* By every reading of the path that some server has. */
static int
read_path(enum model_shape s, const char *target, struct model_call *c,
    struct error *err)
{
	char path[P_URL_MAX + 1];

	for (unsigned int how = 0; how < READINGS; how++) {
		if (policy_path_reading(target, how, path, sizeof(path)) < 0)
			return error_set(
			    err, 0, "the path can be read in two ways");
		if (s == MODEL_GEMINI && model_of_path(path, c) < 0)
			return error_set(err, 0, "the path names no model");
		if (c->model[0] == '\0')
			return error_set(err, 0, "the request names no model");
		if (s == MODEL_OPENAI && !agrees_with_path(path, c))
			return error_set(err, 0,
			    "the path and the body name different models");
		if (how == 0 && policy_path_is_plain(path))
			break;
	}
	return 0;
}

/* Calls that give no text: what they may take is nothing. */
static bool
has_no_output(const char *target)
{
	static const char *const ends[] = { "/embeddings", "/count_tokens",
		":countTokens", ":embedContent", ":batchEmbedContents" };
	size_t n = strcspn(target, "?"), len;

	for (size_t i = 0; i < nitems(ends); i++) {
		len = strlen(ends[i]);
		if (n >= len && memcmp(target + n - len, ends[i], len) == 0)
			return true;
	}
	return false;
}

int
model_call_read(enum model_shape s, const char *target, const void *body,
    size_t n, struct model_call *c, struct error *err)
{
	struct reading r = { .shape = s, .call = c, .choices = 1 };
	struct json_read j;

	memset(c, 0, sizeof(*c));
	json_read_init(&j, take_member, &r);
	if (json_read(&j, body, n) < 0 || json_read_end(&j) < 0)
		return error_set(err, 0, "%s",
		    r.why != NULL ? r.why : "the request's body is not JSON");
	if (read_path(s, target, c, err) < 0)
		return -1;
	c->max_output = r.limit * (r.choices == 0 ? 1 : r.choices);
	if (has_no_output(target))
		c->max_output = 1;
	return 0;
}

/* ---- refusals ----------------------------------------------------------- */

void
model_error(struct buf *b, enum model_shape s, unsigned int status,
    const char *reason, const void *ours, size_t n)
{
	switch (s) {
	case MODEL_OPENAI:
		buf_printf(b, "{\"error\":{\"message\":");
		json_put_str(b, reason);
		buf_printf(b,
		    ",\"type\":\"invalid_request_error\",\"param\":null,"
		    "\"code\":\"policy_denied\"}");
		break;
	case MODEL_ANTHROPIC:
		buf_printf(b,
		    "{\"type\":\"error\",\"error\":{\"type\":\"%s\","
		    "\"message\":",
		    status == 403 ? "permission_error"
				  : "invalid_request_error");
		json_put_str(b, reason);
		buf_printf(b, "}");
		break;
	case MODEL_GEMINI:
		buf_printf(b, "{\"error\":{\"code\":%u,\"message\":", status);
		json_put_str(b, reason);
		buf_printf(b, ",\"status\":\"%s\"}",
		    status == 403 ? "PERMISSION_DENIED" : "INVALID_ARGUMENT");
		break;
	case MODEL_NONE:
	case MODEL_SHAPES:
		buf_put(b, ours, n);
		return;
	}
	/* Ours ends with a newline; JSON does not mind. */
	buf_printf(b, ",\"brig\":");
	buf_put(b, ours, n);
	buf_printf(b, "}\n");
}
