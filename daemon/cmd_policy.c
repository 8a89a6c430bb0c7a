/*
 * brig policy check, test, explain: work on files, need no daemon, and decide
 * with the functions that enforce.
 */
#include "daemon/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/str.h"
#include "daemon/policyfiles.h"
#include "policy/policy.h"

#define EXIT_ALLOW 0
#define EXIT_ASK 10
#define EXIT_DENY 20

static const char usage_text[] =
    "usage: brig policy check [--json] [--any-owner] [--strict] [PATH...]\n"
    "       brig policy test [--json] [PATH...]\n"
    "       brig policy explain [--json] [-f PATH] [-p PROFILE] REQUEST\n"
    "REQUEST: exec -- ARGV... | http METHOD URL | read PATH | write PATH |\n"
    "         net ADDRESS:PORT | net NAME:PORT |\n"
    "         model PROVIDER/MODEL [MAX-OUTPUT]\n"
    "PATH: policy files or folders; default " POLICYFILES_DEFAULT "\n"
    "explain exits with 0 for allow, 10 for ask, 20 for deny.\n";

enum {
	OPT_ANY_OWNER = 256,
	OPT_STRICT,
	OPT_HELP
};

struct opts {
	bool json;
	bool any_owner;
	bool strict; /* warnings are errors */
	size_t warnings;
	const char *profile;
	const char **path;
	size_t npath;
};

static int
usage(void)
{
	fputs(usage_text, stderr);
	return EX_USAGE;
}

static void
print_json(json_t *v)
{
	json_dumpf(v, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(v);
}

/* A string of whatever bytes: what is not UTF-8 is shown escaped. */
static json_t *
json_text(const char *s)
{
	cleanup_free char *e = NULL;

	if (str_is_utf8(s, strlen(s)))
		return json_string(s);
	e = str_escape(s, strlen(s));
	return json_string(e);
}

static void
report(const struct opts *o, const struct policy_diags *ds)
{
	cleanup_buf struct buf b = { 0 };
	json_t *list;
	size_t i;

	if (!o->json) {
		policy_diags_print(ds, &b);
		(void)fwrite(buf_head(&b), 1, buf_len(&b), stderr);
		return;
	}
	list = json_array();
	for (i = 0; i < ds->n; i++)
		json_array_append_new(
		    list, json_pack("{s:o,s:i,s:i,s:o,s:o}", "file",
			      json_text(ds->d[i].file), "line",
			      (int)ds->d[i].line, "col", (int)ds->d[i].col,
			      "text", json_text(ds->d[i].text), "source",
			      json_text(ds->d[i].source)));
	print_json(json_pack("{s:b,s:o}", "ok", 0, "errors", list));
}

static struct policy *
load(const struct opts *o, bool check_owner)
{
	static const char *const usual[] = { POLICYFILES_DEFAULT };
	cleanup_buf struct buf bundle = { 0 };
	struct policy_diags ds = { 0 };
	struct error err = { 0 };
	struct policy *p;
	json_t *why;

	if (policyfiles_load(o->npath > 0 ? o->path : usual,
		o->npath > 0 ? o->npath : 1, check_owner, &bundle, &err) < 0) {
		if (o->json) {
			why = json_pack("{s:o}", "text", json_text(err.msg));
			print_json(
			    json_pack("{s:b,s:[o]}", "ok", 0, "errors", why));
		} else {
			fprintf(stderr, "brig: %s\n", err.msg);
		}
		return NULL;
	}
	p = policy_bundle_load(buf_head(&bundle), buf_len(&bundle), &ds);
	if (p == NULL)
		report(o, &ds);
	policy_diags_free(&ds);
	return p;
}

/* ---- check and test --------------------------------------------------------
 */

static void
print_rule(const char *rule, enum effect e, enum policy_class c,
    const char *text, const char *enforced_by, void *arg)
{
	cleanup_free char *safe = str_escape(text, strlen(text));

	printf("  %-24s %-10s %s\n", rule, enforced_by, safe);
}

static void
add_rule(const char *rule, enum effect e, enum policy_class c, const char *text,
    const char *enforced_by, void *arg)
{
	json_array_append_new(
	    arg, json_pack("{s:s,s:s,s:s,s:o,s:s}", "rule", rule, "effect",
		     effect_name(e), "class", policy_class_name(c), "text",
		     json_text(text), "enforced_by", enforced_by));
}

static void
print_warning(const char *where, const char *text, void *arg)
{
	cleanup_free char *safe = str_escape(text, strlen(text));
	struct opts *o = arg;

	fprintf(stderr, "%s: %s: %s\n", where, o->strict ? "error" : "warning",
	    safe);
	o->warnings++;
}

static void
add_warning(const char *where, const char *text, void *arg)
{
	json_array_append_new(arg,
	    json_pack("{s:s,s:o}", "rule", where, "text", json_text(text)));
}

static void
check_json(struct opts *o, const struct policy *p)
{
	json_t *warnings = json_array();
	json_t *profiles = json_array(), *rules, *defaults;
	const struct profile *pr;
	size_t i;
	int c;

	for (i = 0; i < policy_profiles(p); i++) {
		pr = policy_profile_at(p, i);
		rules = json_array();
		profile_rules(pr, add_rule, rules);
		defaults = json_object();
		for (c = 0; c < POLICY_CLASSES; c++)
			json_object_set_new(defaults,
			    policy_class_name((enum policy_class)c),
			    json_string(effect_name(
				profile_default(pr, (enum policy_class)c))));
		json_array_append_new(profiles,
		    json_pack("{s:s,s:o,s:o}", "name", profile_name(pr),
			"defaults", defaults, "rules", rules));
	}
	policy_lint(p, add_warning, warnings);
	o->warnings = json_array_size(warnings);
	print_json(json_pack("{s:b,s:s,s:o,s:o}", "ok",
	    !o->strict || o->warnings == 0, "fingerprint",
	    policy_fingerprint(p), "profiles", profiles, "warnings", warnings));
}

static int
check(struct opts *o)
{
	struct policy *p = load(o, !o->any_owner);
	const struct profile *pr;
	size_t i;
	int c;

	if (p == NULL)
		return 1;
	if (o->json) {
		check_json(o, p);
		policy_free(p);
		return o->strict && o->warnings > 0;
	}
	for (i = 0; i < policy_profiles(p); i++) {
		pr = policy_profile_at(p, i);
		printf("profile %s; by default", profile_name(pr));
		for (c = 0; c < POLICY_CLASSES; c++)
			printf("%s %s %s", c > 0 ? "," : "",
			    policy_class_name((enum policy_class)c),
			    effect_name(
				profile_default(pr, (enum policy_class)c)));
		putchar('\n');
		profile_rules(pr, print_rule, NULL);
	}
	printf("%zu profile%s, all tests pass; fingerprint %s\n",
	    policy_profiles(p), policy_profiles(p) == 1 ? "" : "s",
	    policy_fingerprint(p));
	fflush(stdout);
	policy_lint(p, print_warning, o);
	policy_free(p);
	return o->strict && o->warnings > 0;
}

static int
test(const struct opts *o)
{
	struct policy *p = load(o, false);

	if (p == NULL)
		return 1;
	if (o->json)
		print_json(json_pack("{s:b}", "ok", 1));
	else
		printf("all tests pass\n");
	policy_free(p);
	return 0;
}

/* ---- explain ----------------------------------------------------------------
 */

/* The one asked for; else "default", else the only one. */
static const struct profile *
choose(const struct opts *o, const struct policy *p)
{
	const struct profile *pr;
	size_t i;

	pr = policy_profile(p, o->profile != NULL ? o->profile : "default");
	if (pr == NULL && o->profile == NULL && policy_profiles(p) == 1)
		pr = policy_profile_at(p, 0);
	if (pr != NULL)
		return pr;
	fprintf(stderr, "brig: policy explain: %s; there are:",
	    o->profile != NULL ? "no such profile" : "choose one with -p");
	for (i = 0; i < policy_profiles(p); i++)
		fprintf(stderr, " %s", profile_name(policy_profile_at(p, i)));
	fputc('\n', stderr);
	return NULL;
}

/* -1 when the words are no request. */
static int
decide_words(const struct policy *p, const struct profile *pr, int argc,
    char **argv, struct decision *d)
{
	const char *cls = argv[0];

	if (strcmp(cls, "exec") == 0) {
		argc--;
		argv++;
		if (argc > 0 && strcmp(argv[0], "--") == 0) {
			argc--;
			argv++;
		}
		if (argc == 0)
			return -1;
		policy_explain_exec(
		    p, pr, (const char *const *)argv, (size_t)argc, d);
	} else if (strcmp(cls, "http") == 0 && argc == 3) {
		policy_explain_http(p, pr, argv[1], argv[2], d);
	} else if (strcmp(cls, "read") == 0 && argc == 2) {
		policy_path(p, pr, POLICY_READ, argv[1], d);
	} else if (strcmp(cls, "write") == 0 && argc == 2) {
		policy_path(p, pr, POLICY_WRITE, argv[1], d);
	} else if (strcmp(cls, "net") == 0 && argc == 2) {
		policy_explain_net(p, pr, argv[1], d);
	} else if (strcmp(cls, "model") == 0 && (argc == 2 || argc == 3)) {
		uint64_t n = 0;

		if (argc == 3 && str_to_u64(argv[2], 1, UINT32_MAX, &n) < 0)
			return -1;
		policy_explain_model(p, pr, argv[1], n, d);
	} else {
		return -1;
	}
	return 0;
}

/* A denial that nobody is there to enforce must not look like one. */
static void
print_decision(const struct opts *o, const struct profile *pr, bool exec,
    const struct decision *d)
{
	const bool advice = exec && !profile_settings(pr)->trace;
	static const char *const by[] = { "built-in", "rule", "default" };
	cleanup_free char *why = str_escape(d->because, strlen(d->because));

	if (o->json) {
		print_json(json_pack("{s:s,s:s,s:s,s:o,s:s,s:o,s:o,s:b}",
		    "effect", effect_name(d->effect), "by", by[d->by],
		    "profile", profile_name(pr), "rule", json_text(d->rule),
		    "name", d->name, "because", json_text(d->because),
		    "request", json_text(d->normal), "advisory", advice));
		return;
	}
	printf("%s\n  request  %s\n  profile  %s\n  rule     %s%s%s%s\n"
	       "  because  %s\n",
	    effect_name(d->effect), d->normal, profile_name(pr), d->rule,
	    d->name[0] != '\0' ? " (" : "", d->name,
	    d->name[0] != '\0' ? ")" : "", why);
	if (advice)
		printf("  advisory nobody enforces it: sandbox trace off\n");
}

static int
explain(const struct opts *o, int argc, char **argv)
{
	const struct profile *pr;
	struct policy *p;
	struct decision d;
	int status = 1;

	p = load(o, false);
	pr = p == NULL ? NULL : choose(o, p);
	if (pr != NULL) {
		if (decide_words(p, pr, argc, argv, &d) < 0) {
			status = usage();
		} else {
			print_decision(o, pr, strcmp(argv[0], "exec") == 0, &d);
			switch (d.effect) {
			case EFFECT_DENY:
				status = EXIT_DENY;
				break;
			case EFFECT_ASK:
				status = EXIT_ASK;
				break;
			case EFFECT_ALLOW:
				status = EXIT_ALLOW;
				break;
			}
		}
	}
	policy_free(p);
	return status;
}

/* Options of one word; the operands begin at optind.  -1: usage printed,
 * or asked for. */
static int
options(struct opts *o, int argc, char **argv, bool is_explain, int *status)
{
	static const struct option longs[] = {
		{ "any-owner", no_argument, NULL, OPT_ANY_OWNER },
		{ "help", no_argument, NULL, OPT_HELP },
		{ "strict", no_argument, NULL, OPT_STRICT },
		{ "json", no_argument, NULL, 'j' },
		{ "file", required_argument, NULL, 'f' },
		{ "profile", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	int ch;

	optind = 0;
	while ((ch = getopt_long(argc, argv, is_explain ? "+f:p:" : "+", longs,
		    NULL)) != -1) {
		if (ch == 'j') {
			o->json = true;
		} else if (ch == OPT_ANY_OWNER && !is_explain) {
			o->any_owner = true;
		} else if (ch == OPT_STRICT && !is_explain) {
			o->strict = true;
		} else if (ch == 'f' && is_explain) {
			o->path[o->npath++] = optarg;
		} else if (ch == 'p' && is_explain) {
			o->profile = optarg;
		} else if (ch == OPT_HELP) {
			fputs(usage_text, stdout);
			*status = 0;
			return -1;
		} else {
			*status = usage();
			return -1;
		}
	}
	return 0;
}

int
cmd_policy(const struct cli *cli, int argc, char **argv)
{
	struct opts o = { .json = cli->json };
	cleanup_free const char **path = NULL;
	const char *word = argc > 1 ? argv[1] : "";
	bool is_explain = strcmp(word, "explain") == 0;
	int status = 1;

	if (strcmp(word, "--help") == 0) {
		fputs(usage_text, stdout);
		return 0;
	}
	o.path = path = xcalloc((size_t)argc + 1, sizeof(*path));
	if (!is_explain && strcmp(word, "check") != 0 &&
	    strcmp(word, "test") != 0)
		return usage();
	argc--;
	argv++;
	if (options(&o, argc, argv, is_explain, &status) < 0)
		return status;
	argc -= optind;
	argv += optind;
	if (is_explain)
		return argc > 0 ? explain(&o, argc, argv) : usage();
	while (argc-- > 0)
		o.path[o.npath++] = *argv++;
	return strcmp(word, "check") == 0 ? check(&o) : test(&o);
}
