/*
 * brig secret: what the vault holds.  A value goes from the terminal or a pipe
 * into a sealed memfd and on to keyd; it is never printed and never comes back.
 */
#include "daemon/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/proto.h"
#include "base/str.h"
#include "daemon/cli_prompt.h"
#include "daemon/cli_util.h"
#include "daemon/cred_json.h"

static const char usage[] =
    "usage: brig secret add NAME --host HOST[:PORT]... [--kind KIND]\n"
    "                       [--surface SURFACE]... [--user USER] [--env VAR]\n"
    "                       [--inject[=SCHEME]] [--capture PATH:MEMBER,...]\n"
    "                       [--region R] [--service S] [--hmac KEY=VALUE,...]\n"
    "       brig secret rotate NAME\n"
    "       brig secret revoke NAME\n"
    "       brig secret rm NAME\n"
    "       brig secret list [--json]\n"
    "The value is read from standard input or asked for, never an argument.\n"
    "      --host HOST[:PORT]  where it may be sent to, nowhere else; port 443;"
    "\n"
    "                          repeatable\n"
    "      --kind KIND         token (default), sigv4, hmac, mtls, ssh,\n"
    "                          postgres or proxy\n"
    "      --surface SURFACE   of a token: header:NAME (default\n"
    "                          header:Authorization), basic[:USER],\n"
    "                          query:NAME, path, body:json, body:form,\n"
    "                          body:text or ws:text; repeatable\n"
    "      --user USER         of Basic authentication; access key id; role\n"
    "      --env VAR           variable that holds the stub in a job\n"
    "      --inject[=SCHEME]   send it though the agent sends nothing\n"
    "      --capture PATH:.MEMBER[,.MEMBER]...\n"
    "                          tokens in the JSON answers of that path are\n"
    "                          kept, and the agent gets stubs\n"
    "      --region R, --service S\n"
    "                          sigv4: sign for these alone\n"
    "      --hmac KEY=VALUE,...  header, alg, encoding, prefix, timestamp and\n"
    "                          signed, of the signature\n";

struct add {
	struct cred_spec spec;
	bool has_scheme;
};

static int
copy(char *dst, size_t size, const char *what, struct error *err)
{
	return strlcpy(dst, optarg, size) < size
		   ? 0
		   : error_set(err, 0, "the %s is too long", what);
}

/* One option; 0, or -1 and err. */
static int
add_option(struct add *a, int c, struct error *err)
{
	struct cred_spec *s = &a->spec;

	switch (c) {
	case 'H':
		return cred_host_parse(s, optarg, err);
	case 'K':
		if (cred_kind_parse(optarg, &s->kind) < 0)
			return error_set(err, 0, "no such kind of secret");
		return 0;
	case 'S':
		return cred_surface_parse(s, optarg, err);
	case 'E':
		return copy(s->env, sizeof(s->env), "variable", err);
	case 'U':
		return copy(s->user, sizeof(s->user), "user", err);
	case 'I':
		s->inject = true;
		a->has_scheme = optarg != NULL;
		return optarg == NULL
			   ? 0
			   : copy(s->scheme, sizeof(s->scheme), "scheme", err);
	case 'C':
		return cred_capture_parse(s, optarg, err);
	case 'R':
		return copy(s->region, sizeof(s->region), "region", err);
	case 'V':
		return copy(s->service, sizeof(s->service), "service", err);
	case 'M':
		return cred_hmac_parse(s, optarg, err);
	default:
		return error_set(err, 0, "no such option");
	}
}

static int
add_options(struct add *a, struct cli_opts *o, int argc, char **argv)
{
	struct error err;
	int c;

	while ((c = cli_getopt(o, argc, argv)) != -1) {
		if (c == '?')
			return CLI_USAGE;
		if (add_option(a, c, &err) < 0)
			return cli_usage("secret", "%s", err.msg);
	}
	if (a->spec.nhosts == 0)
		return cli_usage("secret", "--host is missing: say where the "
					   "value may be sent");
	cred_spec_defaults(&a->spec, a->has_scheme);
	if (cred_spec_check(&a->spec, &err) < 0)
		return cli_usage("secret", "%s", err.msg);
	return 0;
}

/* What the vault has to add to a success: jobs to start again, say. */
static void
print_note(const char *name, json_t *result)
{
	cleanup_free char *note = cli_text(result, "note");

	if (*note != '\0')
		cli_fail("secret %s: %s", name, note);
}

/*
 * Read the value, with line breaks if it may have some, send op with it, print
 * the fingerprint.
 */
static int
send_value(const struct cli *cli, const char *op, const char *name,
    json_t *args, bool lines, bool json)
{
	cleanup_free char *prompt =
	    xasprintf("Value of %s (not shown): ", name);
	cleanup_client struct client *c = NULL;
	cleanup_fd int fd = -1;
	struct error err = { 0 };
	json_t *r = NULL;

	/* Before the value is asked for: it may be in vain. */
	if ((c = cli_open(cli)) == NULL) {
		json_decref(args);
		return CLI_FAILED;
	}
	if ((fd = cli_read_secret(STDIN_FILENO, prompt, lines, &err)) < 0) {
		json_decref(args);
		return cli_fail("secret %s: %s", name, err.msg);
	}
	json_object_set_new(args, "fds", json_pack("[s]", "value"));
	if (client_send(c, op, args, &fd, 1, &err) < 0 ||
	    (r = client_recv(c, &err)) == NULL)
		return cli_fail("%s", err.msg);
	if (json)
		return cli_print_json(r);

	cleanup_free char *print = cli_text(r, "fingerprint");
	printf("%s %s\n", name, print);
	print_note(name, r);
	json_decref(r);
	return CLI_OK;
}

static int
cmd_add(const struct cli *cli, const char *name, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "host", required_argument, NULL, 'H' },
		{ "kind", required_argument, NULL, 'K' },
		{ "surface", required_argument, NULL, 'S' },
		{ "env", required_argument, NULL, 'E' },
		{ "user", required_argument, NULL, 'U' },
		{ "inject", optional_argument, NULL, 'I' },
		{ "capture", required_argument, NULL, 'C' },
		{ "region", required_argument, NULL, 'R' },
		{ "service", required_argument, NULL, 'V' },
		{ "hmac", required_argument, NULL, 'M' },
		{ NULL, 0, NULL, 0 },
	};
	struct add a = { 0 };
	struct cli_opts o;
	json_t *args;
	int rv;

	cli_opts_init(&o, cli, "secret", usage, "", longs);
	rv = add_options(&a, &o, argc, argv);
	if (rv == 0 && cli_no_operand(&o, argc, argv) < 0)
		rv = CLI_USAGE;
	if (rv != 0)
		return rv;
	args = json_pack("{s:s}", "name", name);
	cred_json_put(args, &a.spec);
	return send_value(
	    cli, "secret.add", name, args, !cred_has_stub(a.spec.kind), o.json);
}

static int
cmd_list(const struct cli *cli, bool json)
{
	json_t *r = cli_ask(cli, "secret.list", NULL), *s;
	struct table t;
	size_t i;

	if (r == NULL)
		return CLI_FAILED;
	if (json)
		return cli_print_json(r);
	table_init(&t, 8, "NAME", "KIND", "HOST", "SURFACES", "ENV",
	    "FINGERPRINT", "CHANGED", "STATE");
	json_array_foreach(json_object_get(r, "secrets"), i, s)
	{
		cleanup_free char *host =
		    cli_words(json_object_get(s, "hosts"));
		cleanup_free char *surfaces =
		    cli_words(json_object_get(s, "surfaces"));

		table_row(&t, cli_str(s, "name"), cli_str(s, "kind"), host,
		    surfaces, cli_str(s, "env"), cli_str(s, "fingerprint"),
		    cli_age(cli_int(s, "changed")),
		    json_is_true(json_object_get(s, "revoked")) ? "revoked"
								: "active");
	}
	table_print(&t);
	json_decref(r);
	return CLI_OK;
}

/* rotate, revoke, rm: a name and nothing else. */
static int
cmd_named(const struct cli *cli, const char *word, const char *name, bool json)
{
	cleanup_free char *op = xasprintf("secret.%s", word);
	json_t *args = json_pack("{s:s}", "name", name), *r;

	if (str_eq(word, "rotate"))
		return send_value(cli, op, name, args, true, json);
	if ((r = cli_ask(cli, op, args)) == NULL)
		return CLI_FAILED;
	print_note(name, r);
	json_decref(r);
	return CLI_OK;
}

int
cmd_secret(const struct cli *cli, int argc, char **argv)
{
	static const char *const words[] = { "add", "rotate", "revoke", "rm",
		"list" };
	const char *word = NULL, *name = NULL;
	struct cli_opts o;

	cli_opts_init(&o, cli, "secret", usage, "", NULL);
	if (cli_getopt(&o, argc, argv) != -1)
		return CLI_USAGE;
	for (size_t i = 0; i < nitems(words); i++) {
		if (optind < argc && str_eq(argv[optind], words[i]))
			word = words[i];
	}
	if (word == NULL)
		return cli_usage("secret", "say add, rotate, revoke, rm or "
					   "list");
	argc -= optind;
	argv += optind;
	cli_opts_init(&o, cli, "secret", usage, "", NULL);
	if (str_eq(word, "list")) {
		if (cli_getopt(&o, argc, argv) != -1 ||
		    cli_no_operand(&o, argc, argv) < 0)
			return CLI_USAGE;
		return cmd_list(cli, o.json || cli->json);
	}
	if (argc > 1 && str_eq(argv[1], "--help")) {
		fputs(usage, stdout);
		return CLI_OK;
	}
	name = argc > 1 ? argv[1] : "";
	if (!str_is_name(name, P_NAME_MAX))
		return cli_usage("secret", "NAME is letters, digits, dots, "
					   "hyphens and underscores");
	if (str_eq(word, "add"))
		return cmd_add(cli, name, argc - 1, argv + 1);
	if (argc > 2)
		return cli_usage(
		    "secret", "unexpected argument after %s", name);
	return cmd_named(cli, word, name, cli->json);
}
