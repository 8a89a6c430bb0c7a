/*
 * The vocabulary of a GGUF file for tests: read plainly, from files that the
 * test trusts.
 */
#ifndef BRIG_TESTS_VOCAB_FILE_H
#define BRIG_TESTS_VOCAB_FILE_H

#include "inferd/model_table.h"

struct vocab_file {
	struct vocab_table v;
	uint8_t *data;
	size_t n;
};

/* -1: there is no such file. */
int vocab_file_open(struct vocab_file *f, const char *path);
void vocab_file_close(struct vocab_file *f);
/* A whole file, NULL if there is none; the caller frees it. */
char *vocab_file_bytes(const char *path, size_t *n);

#endif
