/*
 * brig audit tail, verify: the audit log, through the daemon or from a file.
 */
#include "daemon/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "daemon/audit_verify.h"
#include "daemon/cli_util.h"

#define READ_SIZE (256u * 1024)
#define FOLLOW_MS 250
/* A record that is being written right now looks torn for so long. */
#define SETTLE_MS 50
#define SETTLE_TRIES 20
#define CANNOT_READ 3

static const char usage[] =
    "usage: brig audit tail [-f] [-n N] [--file PATH] [--json]\n"
    "       brig audit verify [--file PATH] [--expect-head HASH] [--json]\n"
    "tail prints the last records of the audit log.\n"
    "  -f, --follow      go on as records come\n"
    "  -n, --lines N     this many (10)\n"
    "verify checks every record of it: 0 sound, 1 tampered with, 2 "
    "incomplete,\n"
    "3 it could not be read.\n"
    "      --expect-head HASH  a record with this hash must be in it\n"
    "      --file PATH   a file instead of the log of brigd\n";

struct opts {
	struct cli_opts o;
	const char *file, *head;
	uint64_t lines;
	bool follow;
};

static int
parse(struct opts *op, const struct cli *cli, int argc, char **argv)
{
	enum {
		OPT_FILE = 1,
		OPT_HEAD
	};
	static const struct option longs[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ "lines", required_argument, NULL, 'n' },
		{ "file", required_argument, NULL, OPT_FILE },
		{ "expect-head", required_argument, NULL, OPT_HEAD },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	op->lines = 10;
	cli_opts_init(&op->o, cli, "audit", usage, "fn:", longs);
	op->o.permute = true;
	while ((c = cli_getopt(&op->o, argc, argv)) != -1) {
		switch (c) {
		case 'f':
			op->follow = true;
			break;
		case 'n':
			if (str_to_u64(optarg, 0, 1000000, &op->lines) < 0)
				return cli_usage("audit", "N is a number up "
							  "to 1000000");
			break;
		case OPT_FILE:
			op->file = optarg;
			break;
		case OPT_HEAD:
			op->head = optarg;
			break;
		default:
			return CLI_USAGE;
		}
	}
	return cli_no_operand(&op->o, argc, argv) < 0 ? CLI_USAGE : 0;
}

/* The log, read-only, or -1 after a message. */
static int
log_open(const struct cli *cli, const char *file)
{
	cleanup_client struct client *c = NULL;
	json_t *r;
	int fd;

	if (file != NULL) {
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			cli_fail(
			    "audit: cannot open %s: %s", file, strerror(errno));
		return fd;
	}
	if ((c = cli_open(cli)) == NULL ||
	    (r = cli_call(c, "audit.open", NULL)) == NULL)
		return -1;
	json_decref(r);
	if ((fd = client_take_fd(c)) < 0)
		cli_fail("audit: brigd sent no log");
	return fd;
}

static void
sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* ---- verify -------------------------------------------------------------- */

static void
print_verdict(const struct audit_verdict *v, bool json)
{
	static const char *const names[] = { "tampered", "incomplete", "ok" };
	char head[AUDIT_HASH_TEXT + 1];

	audit_hash_text(v->head, head);
	if (json) {
		json_t *j = json_pack("{s:s,s:I,s:I,s:I,s:I,s:s,s:b}", "result",
		    names[v->result], "records", (json_int_t)v->records,
		    "bytes", (json_int_t)v->bytes, "last_seq",
		    (json_int_t)v->last_seq, "torn", (json_int_t)v->torn,
		    "head", head, "closed", v->closed);

		if (v->result != AUDIT_OK)
			json_object_set_new(j, "why", json_string(v->why));
		if (v->result == AUDIT_TAMPERED) {
			json_object_set_new(j, "bad_record",
			    json_integer((json_int_t)v->bad_record));
			json_object_set_new(j, "bad_offset",
			    json_integer((json_int_t)v->bad_offset));
		}
		cli_print_json(j);
		return;
	}
	printf("%s: %" PRIu64 " records, %" PRIu64 " bytes, head %s\n",
	    names[v->result], v->records, v->bytes, head);
	if (v->result == AUDIT_TAMPERED)
		printf("first bad record %" PRIu64 " at byte %" PRIu64 ": %s\n",
		    v->bad_record, v->bad_offset, v->why);
	else if (v->result == AUDIT_INCOMPLETE)
		printf("%s\n", v->why);
}

/* All of fd through the verifier; 0 or -1. */
static int
feed(struct audit_verify *av, int fd, bool live)
{
	cleanup_free char *chunk = xmalloc(READ_SIZE);
	int tries = 0;
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(fd, chunk, READ_SIZE, at);

		if (n < 0)
			return -1;
		if (n == 0 && live && av->len > 0 && !av->bad &&
		    tries++ < SETTLE_TRIES) {
			sleep_ms(SETTLE_MS);
			continue;
		}
		if (n == 0)
			return 0;
		audit_verify_bytes(av, chunk, (size_t)n);
		at += n;
	}
}

static int
verify(const struct cli *cli, const struct opts *op)
{
	cleanup_free struct audit_verify *av = xcalloc(1, sizeof(*av));
	uint8_t head[AUDIT_HASH_SIZE];
	struct audit_verdict v;
	cleanup_fd int fd = -1;

	audit_verify_init(av);
	if (op->head != NULL) {
		if (audit_hash_parse(op->head, strlen(op->head), head) < 0)
			return cli_usage("audit", "HASH is sha256: and 64 "
						  "hexadecimal digits");
		audit_verify_expect(av, head);
	}
	if ((fd = log_open(cli, op->file)) < 0)
		return CANNOT_READ;
	if (feed(av, fd, op->file == NULL) < 0) {
		cli_fail("audit: cannot read the log: %s", strerror(errno));
		return CANNOT_READ;
	}
	v = *audit_verify_end(av);
	/* A log that has been used begins with audit.open. */
	if (v.result == AUDIT_OK && v.records == 0) {
		v.result = AUDIT_INCOMPLETE;
		strlcpy(v.why, "the log is empty", sizeof(v.why));
	}
	print_verdict(&v, op->o.json);
	switch (v.result) {
	case AUDIT_OK:
		return 0;
	case AUDIT_INCOMPLETE:
		return 2;
	case AUDIT_TAMPERED:
		break;
	}
	return 1;
}

/* ---- tail ---------------------------------------------------------------- */

/* One section as name=value words. */
static void
put_section(struct buf *b, json_t *section)
{
	const char *key;
	json_t *v;

	json_object_foreach(section, key, v)
	{
		cleanup_free char *text = NULL;

		if (json_is_string(v))
			text = xstrdup(json_string_value(v));
		else if (json_is_array(v))
			text = cli_words(v);
		else
			text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
		buf_printf(b,
		    strchr(text == NULL ? "" : text, ' ') == NULL ? " %s=%s"
								  : " %s='%s'",
		    key, text == NULL ? "?" : text);
	}
}

/*
 * A record as a line for people.  Its text was escaped when it was written;
 * a forged one may hold anything, so it is escaped here again.
 */
static void
print_record(const char *line, size_t n, bool json)
{
	static const char *const sections[] = { "who", "obj", "pol", "dec",
		"ask" };
	json_t *r = json_loadb(line, n, 0, NULL);
	cleanup_free char *safe = NULL;
	struct buf b;

	if (json && json_is_object(r)) {
		safe = json_dumps(r, JSON_COMPACT | JSON_ENSURE_ASCII);
		puts(safe == NULL ? "" : safe);
		json_decref(r);
		return;
	}
	if (!json_is_object(r)) {
		safe = str_escape(line, n);
		printf("? %s\n", safe);
		json_decref(r);
		return;
	}
	buf_init(&b, 0);
	buf_printf(&b, "%" PRId64 " %.19sZ %s %s %s", cli_int(r, "seq"),
	    cli_str(r, "ts"), cli_str(r, "from"),
	    *cli_str(r, "job") == '\0' ? "-" : cli_str(r, "job"),
	    cli_str(r, "type"));
	if (cli_int(r, "sev") >= 3)
		buf_printf(&b, " sev=%" PRId64, cli_int(r, "sev"));
	for (size_t i = 0; i < nitems(sections); i++)
		put_section(&b, json_object_get(r, sections[i]));
	safe = str_escape((const char *)buf_head(&b), buf_len(&b));
	/* The record's own escapes need not be escaped once more. */
	for (char *p = safe, *q = safe;; p++, q++) {
		if (p[0] == '\\' && p[1] == '\\')
			p++;
		*q = *p;
		if (*p == '\0')
			break;
	}
	puts(safe);
	buf_free(&b);
	json_decref(r);
}

/* Offset at which the last lines lines begin; -1 if the log cannot be read. */
static off_t
tail_offset(int fd, uint64_t lines)
{
	cleanup_free char *chunk = xmalloc(READ_SIZE);
	off_t end = lseek(fd, 0, SEEK_END), at = end;
	uint64_t seen = 0;

	if (lines == 0 || end < 0)
		return end;
	while (at > 0) {
		size_t want = at < (off_t)READ_SIZE ? (size_t)at : READ_SIZE;
		ssize_t n = pread(fd, chunk, want, at - (off_t)want);

		if (n != (ssize_t)want)
			return -1;
		at -= n;
		for (size_t i = want; i-- > 0;) {
			/* The newline that ends the log begins no line. */
			if (chunk[i] == '\n' && at + (off_t)i + 1 < end &&
			    ++seen == lines)
				return at + (off_t)i + 1;
		}
	}
	return 0;
}

static int
tail(const struct cli *cli, const struct opts *op)
{
	cleanup_free char *chunk = xmalloc(READ_SIZE);
	cleanup_fd int fd = log_open(cli, op->file);
	cleanup_buf struct buf b = { 0 };
	const uint8_t *nl;
	off_t at;

	buf_init(&b, 0);
	if (fd < 0)
		return CLI_FAILED;
	at = tail_offset(fd, op->lines);
	for (;;) {
		ssize_t n = at < 0 ? -1 : pread(fd, chunk, READ_SIZE, at);

		if (n < 0)
			return cli_fail(
			    "audit: cannot read the log: %s", strerror(errno));
		at += n;
		buf_put(&b, chunk, (size_t)n);
		while (buf_len(&b) > 0 &&
		       (nl = memchr(buf_head(&b), '\n', buf_len(&b))) != NULL) {
			size_t len = (size_t)(nl - buf_head(&b));

			print_record(
			    (const char *)buf_head(&b), len, op->o.json);
			buf_consume(&b, len + 1);
		}
		if (n > 0)
			continue;
		if (fflush(stdout) != 0)
			return cli_fail("cannot write output");
		if (!op->follow)
			return CLI_OK;
		sleep_ms(FOLLOW_MS);
	}
}

int
cmd_audit(const struct cli *cli, int argc, char **argv)
{
	struct opts op = { 0 };
	const char *word = argc > 1 ? argv[1] : "";
	int rv;

	if (str_eq(word, "--help") || str_eq(word, "-h")) {
		fputs(usage, stdout);
		return CLI_OK;
	}
	if (!str_eq(word, "tail") && !str_eq(word, "verify"))
		return cli_usage("audit", "say tail or verify");
	if ((rv = parse(&op, cli, argc - 1, argv + 1)) != 0)
		return rv;
	return str_eq(word, "tail") ? tail(cli, &op) : verify(cli, &op);
}
