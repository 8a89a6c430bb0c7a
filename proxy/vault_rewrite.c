/* Writing the vault anew, with nothing but what counts. */
#include "proxy/vault_int.h"

/* Below, half of the file is not worth another. */
#define STALE_MIN 16384u

void
vault_on_change(struct vault *v, void (*fn)(void *arg), void *arg)
{
	v->changed = fn;
	v->arg = arg;
}

typedef int record_fn(struct buf *b, void *arg, struct error *err);

static int
each_ca(const struct vault *v, record_fn *fn, void *arg, struct error *err)
{
	struct buf b;
	int ret = 0;

	for (enum vault_ca w = VAULT_CA; ret == 0 && w < VAULT_CAS; w++) {
		const struct ca_pair *ca = &v->ca[w];

		if (ca->key == NULL)
			continue;
		vault_record(&b, w == VAULT_CA ? REC_CA : REC_CA_NEXT);
		buf_put_blob(&b, secret_bytes(ca->key), secret_len(ca->key));
		buf_put_blob(&b, ca->cert, ca->n);
		ret = fn(&b, arg, err);
		vault_record_free(&b);
	}
	if (ret == 0 && v->stub_key != NULL) {
		vault_record(&b, REC_STUB_KEY);
		buf_put_blob(
		    &b, secret_bytes(v->stub_key), secret_len(v->stub_key));
		ret = fn(&b, arg, err);
		vault_record_free(&b);
	}
	return ret;
}

/* The fewest records that make this vault. */
static int
each_record(const struct vault *v, record_fn *fn, void *arg, struct error *err)
{
	struct buf b;
	int ret = each_ca(v, fn, arg, err);

	for (size_t i = 0; ret == 0 && i < v->n; i++) {
		vault_record(&b, v->c[i].parent == 0 ? REC_PUT : REC_CAPTURED);
		vault_put_credential(&b, &v->c[i]);
		ret = fn(&b, arg, err);
		vault_record_free(&b);
	}
	if (ret == 0) {
		vault_record(&b, REC_NEXT_ID);
		buf_put_u32(&b, v->next_id);
		ret = fn(&b, arg, err);
		vault_record_free(&b);
	}
	return ret;
}

static int
add_size(struct buf *b, void *arg, struct error *err)
{
	uint64_t *size = arg;

	(void)err;
	*size += buf_len(b) + VAULT_RECORD_OVERHEAD;
	return 0;
}

bool
vault_is_stale(const struct vault *v)
{
	uint64_t live = VAULT_HEADER_SIZE, size;
	struct error err;

	if (v->log == NULL || v->next != NULL)
		return false;
	if (v->stale || vault_log_is_old(v->log))
		return true;
	size = vault_log_size(v->log);
	if (size < STALE_MIN)
		return false;
	(void)each_record(v, add_size, &live, &err);
	return live < size / 2;
}

static int
add_record(struct buf *b, void *arg, struct error *err)
{
	return vault_log_append(arg, buf_head(b), buf_len(b), err);
}

static int
no_record(const uint8_t *p, size_t n, void *arg, struct error *err)
{
	(void)p;
	(void)n;
	(void)arg;
	return error_set(err, 0, "the new file of the vault is not empty");
}

int
vault_rewrite(
    struct vault *v, int fd, const struct secret *master, struct error *err)
{
	struct vault_log *l = vault_log_open(fd, master, no_record, NULL, err);

	if (l == NULL)
		return -1;
	vault_log_lazy(l);
	if (each_record(v, add_record, l, err) < 0 ||
	    vault_log_sync(l, err) < 0) {
		vault_log_free(l);
		return -1;
	}
	vault_log_free(v->next);
	v->next = l;
	v->next_failed = false;
	v->stale = false;
	return 0;
}

void
vault_switched(struct vault *v, bool renamed)
{
	if (v->next == NULL)
		return;
	if (renamed) {
		vault_log_free(v->log);
		v->log = v->next;
	} else {
		vault_log_free(v->next);
		v->stale = true;
	}
	v->next = NULL;
	v->next_failed = false;
}
