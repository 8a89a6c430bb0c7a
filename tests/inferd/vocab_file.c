#include "tests/inferd/vocab_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

char *
vocab_file_bytes(const char *path, size_t *n)
{
	FILE *fp = fopen(path, "re");
	char *p;
	long len;

	if (fp == NULL)
		return NULL;
	if (fseek(fp, 0, SEEK_END) < 0 || (len = ftell(fp)) < 0)
		abort();
	rewind(fp);
	p = xmalloc((size_t)len + 1);
	*n = fread(p, 1, (size_t)len, fp);
	p[*n] = '\0';
	fclose(fp);
	return p;
}

/* GGUF's sizes of plain values by type; 8 is a string, 9 an array. */
static const uint8_t sizes[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

static const char *
string(struct cur *c, size_t *n)
{
	*n = (size_t)cur_u64(c);
	return (const char *)cur_bytes(c, *n);
}

static const struct vocab_table *order_of;

static int
by_text(const void *a, const void *b)
{
	const struct vocab_token *x = &order_of->tokens[*(const uint32_t *)a];
	const struct vocab_token *y = &order_of->tokens[*(const uint32_t *)b];
	size_t n = x->len < y->len ? x->len : y->len;
	int c = memcmp(x->p, y->p, n);

	return c != 0 ? c : (x->len > y->len) - (x->len < y->len);
}

/* The id of n bytes; the entry behind the last of v is scratch. */
static uint32_t
find(
    const struct vocab_table *v, const uint32_t *order, const char *p, size_t n)
{
	const uint32_t *id;

	v->tokens[v->n].p = p;
	v->tokens[v->n].len = (uint32_t)n;
	id = bsearch(&v->n, order, v->n, sizeof(*order), by_text);
	if (id == NULL)
		abort();
	return *id;
}

static void
read_merges(struct vocab_table *v, struct cur *c, uint64_t count)
{
	uint32_t *order = xcalloc(v->n, sizeof(*order)), i;
	const char *p, *space;
	char *whole;
	size_t n;

	for (i = 0; i < v->n; i++)
		order[i] = i;
	order_of = v;
	qsort(order, v->n, sizeof(*order), by_text);
	v->merges = xcalloc(count, sizeof(*v->merges));
	v->nmerges = (uint32_t)count;
	for (i = 0; i < count; i++) {
		p = string(c, &n);
		space = memchr(p + 1, ' ', n - 1);
		if (space == NULL)
			abort();
		v->merges[i].left = find(v, order, p, (size_t)(space - p));
		v->merges[i].right =
		    find(v, order, space + 1, n - (size_t)(space - p) - 1);
		whole = xmemdup(p, n);
		memmove(whole + (space - p), space + 1,
		    n - (size_t)(space - p) - 1);
		v->merges[i].result = find(v, order, whole, n - 1);
		free(whole);
	}
	free(order);
}

static void
read_array(struct vocab_table *v, struct cur *c, const char *key)
{
	uint32_t type = cur_u32(c);
	uint64_t count = cur_u64(c), i;
	size_t n;

	if (str_eq(key, "tokenizer.ggml.tokens")) {
		v->n = (uint32_t)count;
		v->tokens = xcalloc(count + 1, sizeof(*v->tokens));
		for (i = 0; i < count; i++) {
			v->tokens[i].p = string(c, &n);
			v->tokens[i].len = (uint32_t)n;
			v->tokens[i].type = TOKEN_NORMAL;
		}
	} else if (str_eq(key, "tokenizer.ggml.token_type")) {
		for (i = 0; i < count; i++)
			v->tokens[i].type = (uint8_t)cur_u32(c);
	} else if (str_eq(key, "tokenizer.ggml.scores")) {
		for (i = 0; i < count; i++)
			memcpy(&v->tokens[i].score, cur_bytes(c, 4), 4);
	} else if (str_eq(key, "tokenizer.ggml.merges")) {
		read_merges(v, c, count);
	} else if (type == 8) {
		for (i = 0; i < count; i++)
			string(c, &n);
	} else {
		cur_bytes(c, count * sizes[type]);
	}
}

static void
read_value(struct vocab_table *v, struct cur *c, const char *key)
{
	uint32_t type = cur_u32(c);
	const char *p;
	size_t n;

	if (type == 9) {
		read_array(v, c, key);
	} else if (type == 8) {
		p = string(c, &n);
		if (str_eq(key, "tokenizer.ggml.model"))
			memcpy(v->model, p, n);
		else if (str_eq(key, "tokenizer.ggml.pre"))
			memcpy(v->pre, p, n);
	} else {
		p = (const char *)cur_bytes(c, sizes[type]);
		if (str_eq(key, "tokenizer.ggml.unknown_token_id"))
			memcpy(&v->unk, p, 4);
		else if (str_eq(key, "tokenizer.ggml.add_space_prefix"))
			v->add_space_prefix = *p != 0;
	}
}

int
vocab_file_open(struct vocab_file *f, const char *path)
{
	struct cur c;
	uint64_t count;

	memset(f, 0, sizeof(*f));
	f->data = (uint8_t *)vocab_file_bytes(path, &f->n);
	if (f->data == NULL)
		return -1;
	cur_init(&c, f->data, f->n);
	cur_bytes(&c, 16);
	f->v.unk = MODEL_NO_TOKEN;
	for (count = cur_u64(&c); count > 0; count--) {
		size_t n;
		const char *key = string(&c, &n);
		cleanup_free char *name = xstrndup(key, n);

		if (str_eq(name, "tokenizer.ggml.model"))
			f->v.add_space_prefix = true;
		read_value(&f->v, &c, name);
	}
	if (c.failed)
		abort();
	return 0;
}

void
vocab_file_close(struct vocab_file *f)
{
	free(f->v.tokens);
	free(f->v.merges);
	free(f->data);
}
