/*
 * Requests from what a person types, and the words of the language.
 */
#include "policy/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* A word that no rule uses has no identity to speak of: its usual place. */
#define USUAL_DIR "/usr/bin/"

const char *
effect_name(enum effect e)
{
	switch (e) {
	case EFFECT_DENY:
	case EFFECT_ASK:
	case EFFECT_ALLOW:
		return effect_words[e];
	}
	return "deny";
}

const char *
policy_class_name(enum policy_class c)
{
	switch (c) {
	case POLICY_EXEC:
	case POLICY_READ:
	case POLICY_WRITE:
	case POLICY_HTTP:
	case POLICY_NET:
	case POLICY_MODEL:
		return class_words[c];
	case POLICY_CLASSES:
		break;
	}
	return "none";
}

/* Append the programs of pr that may be the file at path. */
static size_t
words_of(const struct profile *pr, const char *path, const char **words)
{
	const char *const *p;
	size_t i, n = 0;

	for (i = 0; i < pr->nprogram; i++)
		for (p = pr->program[i]->path; *p != NULL; p++)
			if (strcmp(*p, path) == 0) {
				words[n++] = pr->program[i]->word;
				break;
			}
	return n;
}

void
policy_explain_exec(const struct policy *p, const struct profile *pr,
    const char *const *argv, size_t argc, struct decision *d)
{
	struct exec_request rq;
	const struct program *pg;
	char path[POLICY_PATH_MAX + 1] = "";
	cleanup_free const char **words = NULL;

	memset(&rq, 0, sizeof(rq));
	rq.argv = argv;
	rq.argc = argc;
	words = xcalloc(pr->nprogram + 1, sizeof(*words));
	if (argc == 0) {
		rq.path = "";
	} else if (strchr(argv[0], '/') != NULL) {
		if (jail_path(argv[0], path, sizeof(path)) < 0)
			rq.path = argv[0];
		else
			rq.path = path;
		rq.nwords = words_of(pr, rq.path, words);
	} else {
		pg = policy_program(p, argv[0]);
		(void)snprintf(path, sizeof(path), USUAL_DIR "%s", argv[0]);
		rq.path = pg != NULL ? pg->path[0] : path;
		rq.nwords = words_of(pr, rq.path, words);
		/* Its own word first: it heads what is shown. */
		if (rq.nwords == 0)
			words[rq.nwords++] = argv[0];
	}
	rq.words = words;
	rq.in_workspace = path_below(rq.path, JAIL_WORKSPACE) ||
			  path_below(rq.path, JAIL_SCRATCH);
	policy_exec(p, pr, &rq, d);
}

void
policy_explain_http(const struct policy *p, const struct profile *pr,
    const char *method, const char *url, struct decision *d)
{
	char scheme[8], host[256], target[HTTP_PATH_MAX];
	struct http_request rq = { method, scheme, host, 0, target };
	struct error err = { 0 };

	if (policy_url_split(url, scheme, host, &rq.port, target,
		sizeof(target), &err) < 0) {
		memset(d, 0, sizeof(*d));
		decision_show(d, method, (const char *const[]){ url }, 1);
		decision_failsafe(d, "url", err.msg);
		return;
	}
	policy_http(p, pr, &rq, d);
}

void
policy_explain_net(const struct policy *p, const struct profile *pr,
    const char *addr, struct decision *d)
{
	struct net_request rq;
	char host[256];

	if (net_request_parse(addr, &rq) == 0) {
		policy_net(p, pr, &rq, d);
	} else if (net_name_split(addr, host, sizeof(host), &rq.port) == 0) {
		policy_raw(p, pr, host, rq.port, d);
	} else {
		memset(d, 0, sizeof(*d));
		decision_show(d, addr, NULL, 0);
		decision_failsafe(d, "address",
		    "expected ADDRESS:PORT, [ADDRESS]:PORT or NAME:PORT");
	}
}
