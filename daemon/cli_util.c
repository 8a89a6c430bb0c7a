#include "daemon/cli_util.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/proto.h"
#include "base/str.h"

#define LONGS_MAX 24u

enum {
	OPT_HELP = 1000,
	OPT_JSON
};

int
cli_fail(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("brig: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CLI_FAILED;
}

int
cli_usage(const char *cmd, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "brig: %s: ", cmd);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see 'brig %s --help'\n", cmd);
	return CLI_USAGE;
}

/* ---- options ------------------------------------------------------------ */

void
cli_opts_init(struct cli_opts *o, const struct cli *cli, const char *cmd,
    const char *usage, const char *shorts, const struct option *longs)
{
	o->cmd = cmd;
	o->usage = usage;
	o->shorts = shorts;
	o->longs = longs;
	o->json = cli->json;
	o->permute = false;
	optind = 0; /* glibc: start over, forget the command before */
	opterr = 0;
}

int
cli_getopt(struct cli_opts *o, int argc, char **argv)
{
	struct option longs[LONGS_MAX + 3] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "json", no_argument, NULL, OPT_JSON },
	};
	char shorts[64];
	int c;

	for (size_t i = 0;
	     o->longs != NULL && o->longs[i].name != NULL && i < LONGS_MAX; i++)
		longs[i + 2] = o->longs[i];
	snprintf(
	    shorts, sizeof(shorts), "%s:h%s", o->permute ? "" : "+", o->shorts);
	for (;;) {
		cleanup_free char *word = NULL;
		int at = optind > 0 ? optind : 1;

		c = getopt_long(argc, argv, shorts, longs, NULL);
		switch (c) {
		case 'h':
		case OPT_HELP:
			fputs(o->usage, stdout);
			exit(CLI_OK);
		case OPT_JSON:
			o->json = true;
			continue;
		case ':':
		case '?':
			if (at < argc)
				word = str_escape(argv[at], strlen(argv[at]));
			cli_usage(o->cmd,
			    c == ':' ? "%s needs a value" : "unknown option %s",
			    word == NULL ? "" : word);
			return '?';
		default:
			return c;
		}
	}
}

int
cli_no_operand(const struct cli_opts *o, int argc, char **argv)
{
	cleanup_free char *safe = NULL;

	if (optind == argc)
		return 0;
	safe = str_escape(argv[optind], strlen(argv[optind]));
	cli_usage(o->cmd, "unexpected argument %s", safe);
	return -1;
}

const char *
cli_one_operand(
    const struct cli_opts *o, int argc, char **argv, const char *what)
{
	if (argc - optind == 1)
		return argv[optind];
	cli_usage(o->cmd, argc == optind ? "%s is missing" : "more than one %s",
	    what);
	return NULL;
}

/* ---- the daemon --------------------------------------------------------- */

struct client *
cli_open(const struct cli *cli)
{
	struct error err = { 0 };
	struct client *c = client_open(cli->socket, &err);

	if (c == NULL)
		cli_fail("%s", err.msg);
	return c;
}

json_t *
cli_call(struct client *c, const char *op, json_t *args)
{
	struct error err = { 0 };
	json_t *r = client_call(c, op, args, &err);

	if (r == NULL)
		cli_fail("%s", err.msg);
	return r;
}

json_t *
cli_ask(const struct cli *cli, const char *op, json_t *args)
{
	cleanup_client struct client *c = cli_open(cli);

	if (c == NULL) {
		json_decref(args);
		return NULL;
	}
	return cli_call(c, op, args);
}

/* letter, perhaps a hyphen, a number. */
static bool
id_complete(const char *s, char letter, char out[24])
{
	uint64_t n;

	if ((*s | 0x20) == (letter | 0x20)) {
		s++;
		if (*s == '-')
			s++;
	}
	if (str_to_u64(s, 1, UINT32_MAX, &n) < 0)
		return false;
	snprintf(out, 24, "%c-%" PRIu64, letter, n);
	return true;
}

bool
cli_job_id(const char *s, char out[24])
{
	return id_complete(s, 'j', out);
}

bool
cli_ask_id(const char *s, char out[24])
{
	return id_complete(s, 'A', out);
}

/* ---- values ------------------------------------------------------------- */

const char *
cli_str(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s == NULL ? "" : s;
}

int64_t
cli_int(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

char *
cli_text(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	if (!json_is_string(v))
		return xstrdup("");
	return str_escape(json_string_value(v), json_string_length(v));
}

char *
cli_words(json_t *array)
{
	struct buf b;
	json_t *v;
	size_t i;

	buf_init(&b, 0);
	json_array_foreach(array, i, v)
	{
		const char *w = json_is_string(v) ? json_string_value(v) : "?";
		bool quote = *w == '\0' || strpbrk(w, " \"'") != NULL;

		buf_printf(
		    &b, quote ? "%s\"%s\"" : "%s%s", i > 0 ? " " : "", w);
	}
	buf_put_u8(&b, 0);
	return (char *)b.data;
}

const char *
cli_age(int64_t when)
{
	static const struct {
		int64_t secs;
		char letter;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	static char out[40];
	int64_t d = (int64_t)time(NULL) - when;
	bool past = d >= 0;

	if (when == 0)
		return "-";
	if (!past)
		d = -d;
	for (size_t i = 0; i < nitems(units); i++) {
		/* 90 seconds are more telling than one minute. */
		if (d < 2 * units[i].secs && units[i].secs > 1)
			continue;
		snprintf(out, sizeof(out),
		    past ? "%" PRId64 "%c ago" : "in %" PRId64 "%c",
		    d / units[i].secs, units[i].letter);
		break;
	}
	return out;
}

int
cli_print_json(json_t *v)
{
	int rv = json_dumpf(v, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);

	fputc('\n', stdout);
	json_decref(v);
	return rv < 0 || fflush(stdout) != 0 ? cli_fail("cannot write output")
					     : CLI_OK;
}

#define OOM_KILLED "oom-killed" /* how the detail of such an end begins */

int
cli_exit_status(const char *kind, int64_t code, const char *detail)
{
	cleanup_free char *safe = str_escape(detail, strlen(detail));

	if (str_eq(kind, "code") && code >= 0 && code <= 255) {
		/* It met a limit on the way. */
		if (*safe != '\0')
			cli_fail("note: %s", safe);
		return (int)code;
	}
	if (str_eq(kind, "signal") && code >= 1 && code <= 127) {
		if (str_starts(safe, OOM_KILLED))
			cli_fail("killed: out of memory%s",
			    safe + strlen(OOM_KILLED));
		else if (*safe != '\0')
			cli_fail("%s", safe);
		return 128 + (int)code;
	}
	cli_fail("%s", *safe != '\0' ? safe : "the job did not end by itself");
	return code == 126 || code == 127 ? (int)code : CLI_BRIG;
}

int
cli_job_status(json_t *job)
{
	json_t *e = json_object_get(job, "exit");
	cleanup_free char *id = cli_text(job, "id");

	if (!json_is_object(e)) {
		cli_fail("job %s: state %s; see 'brig show %s'", id,
		    cli_str(job, "state"), id);
		return CLI_BRIG;
	}
	return cli_exit_status(
	    cli_str(e, "kind"), cli_int(e, "code"), cli_str(e, "detail"));
}

/* ---- tables ------------------------------------------------------------- */

static void
add_cells(struct table *t, va_list ap)
{
	t->cells = xreallocarray(
	    t->cells, (t->rows + 1) * t->columns, sizeof(*t->cells));
	for (size_t i = 0; i < t->columns; i++) {
		const char *s = va_arg(ap, const char *);

		t->cells[t->rows * t->columns + i] =
		    *s == '\0' ? xstrdup("-") : str_escape(s, strlen(s));
	}
	t->rows++;
}

void
table_init(struct table *t, size_t columns, ...)
{
	va_list ap;

	memset(t, 0, sizeof(*t));
	t->columns = columns < TABLE_COLUMNS ? columns : TABLE_COLUMNS;
	va_start(ap, columns);
	add_cells(t, ap);
	va_end(ap);
}

void
table_row(struct table *t, ...)
{
	va_list ap;

	va_start(ap, t);
	add_cells(t, ap);
	va_end(ap);
}

/* Columns on a terminal: one for each character, near enough. */
static size_t
width(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void
table_print(struct table *t)
{
	size_t w[TABLE_COLUMNS] = { 0 };

	for (size_t i = 0; i < t->rows * t->columns; i++) {
		size_t n = width(t->cells[i]);

		if (n > w[i % t->columns])
			w[i % t->columns] = n;
	}
	for (size_t i = 0; i < t->rows * t->columns; i++) {
		size_t col = i % t->columns;
		bool last = col == t->columns - 1;

		fputs(t->cells[i], stdout);
		if (last)
			fputc('\n', stdout);
		else
			printf(
			    "%*s", (int)(w[col] - width(t->cells[i]) + 2), "");
	}
	table_free(t);
}

void
table_free(struct table *t)
{
	for (size_t i = 0; i < t->rows * t->columns; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->rows = 0;
}
