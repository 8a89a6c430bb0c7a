#include "inferd/tokenize.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "inferd/tok.h"

/* Bytes that are not printable ASCII are escaped as in C. */
static void
print_piece(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const unsigned char c = (unsigned char)p[i];

		if (c == '\n')
			fputs("\\n", stdout);
		else if (c == '\\')
			fputs("\\\\", stdout);
		else if (c >= ' ' && c < 0x7f)
			putchar(c);
		else
			printf("\\x%02x", c);
	}
}

static void
print_ids(const struct tok *t, const struct tok_ids *ids, bool json)
{
	if (json)
		putchar('[');
	for (size_t i = 0; i < ids->n; i++) {
		size_t n;
		const char *piece = tok_piece(t, ids->id[i], &n);

		if (json) {
			printf("%s%d", i > 0 ? "," : "", ids->id[i]);
			continue;
		}
		printf("%7d  ", ids->id[i]);
		print_piece(piece, n);
		putchar('\n');
	}
	if (json)
		puts("]");
}

int
tokenize_print(const char *path, const struct model_opts *opts, bool json)
{
	struct error err = { 0 };
	struct model_opts vocab = *opts;
	cleanup_model struct model *m = NULL;
	cleanup_buf struct buf b = { 0 };
	cleanup_tok_ids struct tok_ids ids = { 0 };
	struct tok *t = NULL;

	vocab.vocab_only = true;
	m = model_open(path, &vocab, &err);
	if (m != NULL)
		t = tok_new(&model_table(m)->vocab, &err);
	if (t == NULL) {
		fprintf(stderr, "inferd: %s\n", err.msg);
		return EXIT_FAILURE;
	}
	if (fd_read_all(STDIN_FILENO, &b, TOK_TEXT_MAX) < 0 ||
	    tok_encode(
		t, (const char *)buf_head(&b), buf_len(&b), false, &ids) < 0) {
		perror("inferd: standard input");
		tok_free(t);
		return EXIT_FAILURE;
	}
	print_ids(t, &ids, json);
	tok_free(t);
	return EXIT_SUCCESS;
}
