/*
 * brig secret: what the vault holds.  A value goes from the terminal or a pipe
 * into a sealed memfd and on to keyd; it is never printed and never comes back.
 */
#include "daemon/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/proto.h"
#include "base/str.h"
#include "daemon/cli_prompt.h"
#include "daemon/cli_util.h"

static const char usage[] =
    "usage: brig secret add NAME --host HOST[:PORT] [--surface SURFACE]...\n"
    "                       [--env VAR] [--user USER]\n"
    "       brig secret rotate NAME\n"
    "       brig secret revoke NAME\n"
    "       brig secret rm NAME\n"
    "       brig secret list [--json]\n"
    "The value is read from standard input or asked for, never an argument.\n"
    "      --host HOST[:PORT]  the only place it is sent to; port 443\n"
    "      --surface SURFACE   header:NAME (default header:Authorization) or\n"
    "                          basic[:USER]; repeatable\n"
    "      --env VAR           variable that holds the stub in a job\n"
    "      --user USER         user name of Basic authentication\n";

/* HOST, HOST:PORT, [V6]:PORT; 0 or -1. */
static int
parse_host(const char *s, char host[P_HOST_MAX + 1], uint64_t *port)
{
	const char *colon = NULL, *end = s + strlen(s);

	*port = 443;
	if (*s == '[') {
		end = strchr(++s, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return -1;
		if (end[1] == ':')
			colon = end + 1;
	} else if ((colon = strchr(s, ':')) != NULL) {
		if (strchr(colon + 1, ':') != NULL)
			return -1; /* IPv6 without brackets */
		end = colon;
	}
	if (end == s || (size_t)(end - s) > P_HOST_MAX)
		return -1;
	memcpy(host, s, (size_t)(end - s));
	host[end - s] = '\0';
	if (colon != NULL && str_to_u64(colon + 1, 1, 65535, port) < 0)
		return -1;
	/* keyd normalises and judges it; this is for the typing errors. */
	return str_is_hostname(host) || strchr(host, ':') != NULL ? 0 : -1;
}

struct add {
	char host[P_HOST_MAX + 1];
	uint64_t port;
	json_t *surfaces;
	const char *user, *env;
	bool has_header;
};

/* header:NAME, basic or basic:USER. */
static int
add_surface(struct add *a, const char *s)
{
	if (str_starts(s, "header:") && str_is_name(s + 7, P_NAME_MAX)) {
		if (a->has_header)
			return cli_usage("secret", "only one header can carry "
						   "a secret");
		a->has_header = true;
		json_array_append_new(a->surfaces, json_string(s));
		return 0;
	}
	if (str_eq(s, "basic") || (str_starts(s, "basic:") && s[6] != '\0')) {
		if (s[5] == ':')
			a->user = s + 6;
		json_array_append_new(a->surfaces, json_string("basic"));
		return 0;
	}
	return cli_usage("secret", "a surface is header:NAME or basic[:USER]");
}

static int
add_options(struct add *a, struct cli_opts *o, int argc, char **argv)
{
	int c, rv;

	while ((c = cli_getopt(o, argc, argv)) != -1) {
		switch (c) {
		case 'H':
			if (parse_host(optarg, a->host, &a->port) < 0)
				return cli_usage("secret",
				    "--host is like "
				    "api.example.com or api.example.com:8443");
			break;
		case 'S':
			if ((rv = add_surface(a, optarg)) != 0)
				return rv;
			break;
		case 'E':
			if (!str_is_name(optarg, P_NAME_MAX) ||
			    strpbrk(optarg, ".-") != NULL)
				return cli_usage("secret", "--env is the name "
							   "of a variable");
			a->env = optarg;
			break;
		case 'U':
			a->user = optarg;
			break;
		default:
			return CLI_USAGE;
		}
	}
	if (a->host[0] == '\0')
		return cli_usage("secret", "--host is missing: say where the "
					   "value may be sent");
	if (a->user != NULL && !str_is_utf8(a->user, strlen(a->user)))
		return cli_usage("secret", "USER is not UTF-8");
	if (json_array_size(a->surfaces) == 0)
		json_array_append_new(
		    a->surfaces, json_string("header:Authorization"));
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

/* Read the value, send op with it, print the fingerprint. */
static int
send_value(const struct cli *cli, const char *op, const char *name,
    json_t *args, bool json)
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
	if ((fd = cli_read_secret(STDIN_FILENO, prompt, &err)) < 0) {
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
		{ "surface", required_argument, NULL, 'S' },
		{ "env", required_argument, NULL, 'E' },
		{ "user", required_argument, NULL, 'U' },
		{ NULL, 0, NULL, 0 },
	};
	struct add a = { .surfaces = json_array() };
	struct cli_opts o;
	json_t *args;
	int rv;

	cli_opts_init(&o, cli, "secret", usage, "", longs);
	rv = add_options(&a, &o, argc, argv);
	if (rv == 0 && cli_no_operand(&o, argc, argv) < 0)
		rv = CLI_USAGE;
	if (rv != 0) {
		json_decref(a.surfaces);
		return rv;
	}
	args = json_pack("{s:s,s:s,s:I,s:o}", "name", name, "host", a.host,
	    "port", (json_int_t)a.port, "surfaces", a.surfaces);
	if (a.user != NULL)
		json_object_set_new(args, "user", json_string(a.user));
	if (a.env != NULL)
		json_object_set_new(args, "env", json_string(a.env));
	return send_value(cli, "secret.add", name, args, o.json);
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
	table_init(&t, 7, "NAME", "HOST", "SURFACES", "ENV", "FINGERPRINT",
	    "CHANGED", "STATE");
	json_array_foreach(json_object_get(r, "secrets"), i, s)
	{
		cleanup_free char *host = xasprintf(
		    "%s:%" PRId64, cli_str(s, "host"), cli_int(s, "port"));
		cleanup_free char *surfaces =
		    cli_words(json_object_get(s, "surfaces"));

		table_row(&t, cli_str(s, "name"), host, surfaces,
		    cli_str(s, "env"), cli_str(s, "fingerprint"),
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
		return send_value(cli, op, name, args, json);
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
