#include "proxy/vault_log.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "proxy/prf.h"

#define SALT_SIZE 16u
#define CHECK_SIZE 16u
#define NONCE_SIZE 12u
#define MAC_SIZE 16u
#define TAG_SIZE 16u
#define HEAD_SIZE (4u + NONCE_SIZE + MAC_SIZE)

#define ANCHOR_SIZE (8u + MAC_SIZE)

static const char old_magic[8] = { 'b', 'r', 'i', 'g', 'v', 'l', 't', '1' };
static const char magic[8] = { 'b', 'r', 'i', 'g', 'v', 'l', 't', '2' };

struct vault_log {
	int fd;
	struct secret *seal_key, *mac_key;
	uint64_t seq;           /* of the next record */
	uint8_t prev[TAG_SIZE]; /* tag of the last one, zeros before */
	off_t end;
	bool broken; /* a failed write could not be undone */
	bool old;    /* no anchors */
	bool lazy;   /* not every record is synced */
};

/* Authenticated with every record, besides its bytes. */
struct aad {
	char format[8];
	uint64_t seq;
	uint32_t len;
	uint8_t prev[TAG_SIZE];
} __attribute__((packed));

static struct iovec
part(const void *p, size_t n)
{
	return (struct iovec){ (void *)(uintptr_t)p, n };
}

static struct secret *
derive(const struct secret *master, const char *what, const uint8_t *salt)
{
	struct iovec parts[] = { part(what, strlen(what) + 1),
		part(salt, SALT_SIZE) };
	struct secret *key = secret_alloc(PRF_SIZE);

	if (key != NULL)
		prf(master, parts, nitems(parts), secret_data(key));
	return key;
}

static int
make_keys(struct vault_log *l, const struct secret *master, const uint8_t *salt,
    struct error *err)
{
	l->seal_key = derive(master, "brig vault 1 seal", salt);
	l->mac_key = derive(master, "brig vault 1 head", salt);
	if (l->seal_key == NULL || l->mac_key == NULL)
		return error_set(err, errno, "memory for the vault's keys");
	return 0;
}

static void
make_aad(const struct vault_log *l, uint32_t len, struct aad *a)
{
	memcpy(a->format, l->old ? old_magic : magic, sizeof(a->format));
	a->seq = htole64(l->seq);
	a->len = htole32(len);
	memcpy(a->prev, l->prev, TAG_SIZE);
}

static void
head_mac(const struct vault_log *l, uint32_t len, const uint8_t *nonce,
    uint8_t out[MAC_SIZE])
{
	uint8_t full[PRF_SIZE];
	struct aad a = { 0 };
	struct iovec parts[] = { part(&a, sizeof(a)), part(nonce, NONCE_SIZE) };

	make_aad(l, len, &a);
	prf(l->mac_key, parts, nitems(parts), full);
	memcpy(out, full, MAC_SIZE);
}

static void
key_check(const struct vault_log *l, uint8_t out[CHECK_SIZE])
{
	uint8_t full[PRF_SIZE];
	struct iovec parts[] = { part("check", 5) };

	prf(l->mac_key, parts, nitems(parts), full);
	memcpy(out, full, CHECK_SIZE);
}

/* AES-256-GCM of n bytes; opening checks the tag, sealing writes it. */
static bool
gcm(const struct vault_log *l, bool seal, const uint8_t *nonce, uint32_t n,
    const uint8_t *in, uint8_t *out, uint8_t *tag)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	struct aad a;
	uint8_t none;
	int k;
	bool ok;

	make_aad(l, n, &a);
	ok = ctx != NULL &&
	     EVP_CipherInit_ex2(ctx, EVP_aes_256_gcm(),
		 secret_bytes(l->seal_key), nonce, seal, NULL) == 1 &&
	     EVP_CipherUpdate(
		 ctx, NULL, &k, (const uint8_t *)&a, (int)sizeof(a)) == 1 &&
	     EVP_CipherUpdate(ctx, out, &k, in, (int)n) == 1 && k == (int)n &&
	     (seal || EVP_CIPHER_CTX_ctrl(
			  ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1) &&
	     EVP_CipherFinal_ex(ctx, &none, &k) == 1 && k == 0 &&
	     (!seal || EVP_CIPHER_CTX_ctrl(
			   ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag) == 1);
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static void
anchor_mac(const struct vault_log *l, uint64_t le_seq, uint8_t out[MAC_SIZE])
{
	uint8_t full[PRF_SIZE];
	struct iovec parts[] = { part("anchor", 6),
		part(&le_seq, sizeof(le_seq)) };

	prf(l->mac_key, parts, nitems(parts), full);
	memcpy(out, full, MAC_SIZE);
}

/*
 * Count the records.  It need not reach the disk at once: an anchor that counts
 * too few says nothing false, and it is never ahead of what it counts.
 */
static void
put_anchor(const struct vault_log *l)
{
	uint8_t a[ANCHOR_SIZE];
	uint64_t seq = htole64(l->seq);
	off_t at = VAULT_OLD_HEADER_SIZE + (off_t)(l->seq % 2) * ANCHOR_SIZE;

	if (l->old || l->lazy)
		return;
	memcpy(a, &seq, sizeof(seq));
	anchor_mac(l, seq, a + sizeof(seq));
	if (pwrite(l->fd, a, sizeof(a), at) != (ssize_t)sizeof(a))
		log_warn("vault: write an anchor");
}

static int
write_at(
    int fd, const void *p, size_t n, off_t at, bool sync, struct error *err)
{
	const uint8_t *bytes = p;
	size_t done = 0;

	while (done < n) {
		ssize_t k =
		    pwrite(fd, bytes + done, n - done, at + (off_t)done);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return error_set(
			    err, k < 0 ? errno : EIO, "write the vault");
		done += (size_t)k;
	}
	if (sync && fdatasync(fd) < 0)
		return error_set(err, errno, "sync the vault");
	return 0;
}

static int
cut_to(struct vault_log *l, off_t size, struct error *err)
{
	if (ftruncate(l->fd, size) < 0 || fdatasync(l->fd) < 0)
		return error_set(
		    err, errno, "cut the vault to %lld bytes", (long long)size);
	return 0;
}

static int
start_file(struct vault_log *l, const struct secret *master, struct error *err)
{
	uint8_t head[VAULT_HEADER_SIZE] = { 0 };

	memcpy(head, magic, sizeof(magic));
	if (RAND_bytes(head + sizeof(magic), SALT_SIZE) != 1)
		return error_set(err, 0, "no randomness for the vault");
	if (make_keys(l, master, head + sizeof(magic), err) < 0)
		return -1;
	key_check(l, head + sizeof(magic) + SALT_SIZE);
	if (cut_to(l, 0, err) < 0 ||
	    write_at(l->fd, head, sizeof(head), 0, true, err) < 0)
		return -1;
	l->end = VAULT_HEADER_SIZE;
	return 0;
}

/* Everything from p on is zero: space that a crash left behind. */
static bool
all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != 0)
			return false;
	}
	return true;
}

enum load {
	LOAD_BAD, /* err says what */
	LOAD_RECORD,
	LOAD_TORN,
};

/* The record at the head of n bytes; *used is what it takes. */
static enum load
load_record(struct vault_log *l, const uint8_t *p, size_t n, size_t *used,
    vault_log_fn *fn, void *arg, struct error *err)
{
	cleanup_secret struct secret *plain = NULL;
	uint8_t mac[MAC_SIZE], tag[TAG_SIZE];
	const uint8_t *nonce = p + 4, *sealed = p + HEAD_SIZE;
	unsigned long long seq = l->seq;
	uint32_t len;

	if (n < HEAD_SIZE ||
	    (n <= VAULT_RECORD_MAX + VAULT_RECORD_OVERHEAD && all_zero(p, n)))
		return LOAD_TORN;
	memcpy(&len, p, sizeof(len));
	len = le32toh(len);
	head_mac(l, len, nonce, mac);
	if (CRYPTO_memcmp(mac, p + 4 + NONCE_SIZE, MAC_SIZE) != 0 || len == 0 ||
	    len > VAULT_RECORD_MAX) {
		error_set(err, 0,
		    "the vault is damaged: head of record %llu at byte %lld",
		    seq, (long long)l->end);
		return LOAD_BAD;
	}
	if (n - HEAD_SIZE < (size_t)len + TAG_SIZE)
		return LOAD_TORN;
	plain = secret_alloc(len);
	if (plain == NULL) {
		error_set(err, errno, "memory for the vault");
		return LOAD_BAD;
	}
	memcpy(tag, sealed + len, TAG_SIZE);
	if (!gcm(l, false, nonce, len, sealed, secret_data(plain), tag)) {
		error_set(err, 0,
		    "the vault is damaged: body of record %llu at byte %lld",
		    seq, (long long)l->end);
		return LOAD_BAD;
	}
	if (fn(secret_bytes(plain), len, arg, err) < 0) {
		error_prefix(err, "record %llu of the vault", seq);
		return LOAD_BAD;
	}
	*used = HEAD_SIZE + (size_t)len + TAG_SIZE;
	memcpy(l->prev, tag, TAG_SIZE);
	l->seq++;
	return LOAD_RECORD;
}

static int
load_records(struct vault_log *l, const uint8_t *p, size_t n, vault_log_fn *fn,
    void *arg, struct error *err)
{
	size_t at = l->old ? VAULT_OLD_HEADER_SIZE : VAULT_HEADER_SIZE;
	size_t used = 0;

	l->end = (off_t)at;
	while (at < n) {
		switch (load_record(l, p + at, n - at, &used, fn, arg, err)) {
		case LOAD_BAD:
			return -1;
		case LOAD_RECORD:
			at += used;
			l->end = (off_t)at;
			continue;
		case LOAD_TORN:
			return 0;
		}
	}
	return 0;
}

/* How many records there were at least, as the anchors say. */
static int
read_anchors(const struct vault_log *l, const uint8_t *p, uint64_t *count,
    struct error *err)
{
	unsigned int bad = 0;

	*count = 0;
	for (unsigned int i = 0; i < 2; i++, p += ANCHOR_SIZE) {
		uint8_t mac[MAC_SIZE];
		uint64_t seq;

		if (all_zero(p, ANCHOR_SIZE))
			continue;
		memcpy(&seq, p, sizeof(seq));
		anchor_mac(l, seq, mac);
		seq = le64toh(seq);
		/* One of them may have been cut off while it was written. */
		if (CRYPTO_memcmp(mac, p + sizeof(seq), MAC_SIZE) != 0)
			bad++;
		else if (seq > *count)
			*count = seq;
	}
	return bad < 2 ? 0
		       : error_set(err, 0, "the vault is damaged: its anchors");
}

static int
check_end(struct vault_log *l, const uint8_t *p, size_t n, struct error *err)
{
	uint64_t count = 0;

	if (!l->old &&
	    read_anchors(l, p + VAULT_OLD_HEADER_SIZE, &count, err) < 0)
		return -1;
	if (count > l->seq)
		return error_set(err, 0,
		    "the vault has lost its end: %llu records are missing; "
		    "put back a copy of it",
		    (unsigned long long)(count - l->seq));
	if ((size_t)l->end == n)
		return 0;
	log_warnx(
	    "vault: dropping %zu bytes of a record that was never completed",
	    n - (size_t)l->end);
	return cut_to(l, l->end, err);
}

static int
load_file(struct vault_log *l, const struct secret *master, vault_log_fn *fn,
    void *arg, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	uint8_t check[CHECK_SIZE];
	const uint8_t *p;
	size_t n, m;

	buf_init(&b, 0);
	if (fd_pread_all(l->fd, &b,
		VAULT_FILE_MAX + VAULT_RECORD_MAX + VAULT_RECORD_OVERHEAD) < 0)
		return error_set(err, errno, "read the vault");
	p = buf_head(&b);
	n = buf_len(&b);
	if (n == 0)
		return start_file(l, master, err);
	m = n < sizeof(magic) ? n : sizeof(magic);
	/* The very first write was cut off; nothing was ever stored. */
	if (n <= VAULT_HEADER_SIZE && all_zero(p, n))
		return start_file(l, master, err);
	l->old = n >= sizeof(magic) && memcmp(p, old_magic, m) == 0;
	if (!l->old && memcmp(p, magic, m) != 0)
		return error_set(err, 0, "this file is not a vault");
	if (n < (l->old ? VAULT_OLD_HEADER_SIZE : VAULT_HEADER_SIZE)) {
		l->old = false;
		return start_file(l, master, err);
	}
	if (make_keys(l, master, p + sizeof(magic), err) < 0)
		return -1;
	key_check(l, check);
	if (CRYPTO_memcmp(check, p + sizeof(magic) + SALT_SIZE, CHECK_SIZE) !=
	    0)
		return error_set(err, 0,
		    "the master key does not open this vault, or the vault's "
		    "head is damaged");
	if (load_records(l, p, n, fn, arg, err) < 0)
		return -1;
	return check_end(l, p, n, err);
}

struct vault_log *
vault_log_open(int fd, const struct secret *master, vault_log_fn *fn, void *arg,
    struct error *err)
{
	struct vault_log *l = xcalloc(1, sizeof(*l));

	l->fd = fd;
	/* No fstat(): libc makes it newfstatat(), which the filter refuses. */
	if (lseek(fd, 0, SEEK_END) < 0) {
		error_set(err, 0, "the vault cannot be a pipe or a socket");
		vault_log_free(l);
		return NULL;
	}
	if (secret_len(master) != VAULT_KEY_SIZE) {
		error_set(err, 0, "the master key is not %u bytes long",
		    VAULT_KEY_SIZE);
		vault_log_free(l);
		return NULL;
	}
	if (load_file(l, master, fn, arg, err) < 0) {
		vault_log_free(l);
		return NULL;
	}
	return l;
}

void
vault_log_free(struct vault_log *l)
{
	if (l == NULL)
		return;
	fd_close(&l->fd);
	secret_free(l->seal_key);
	secret_free(l->mac_key);
	free(l);
}

int
vault_log_append(
    struct vault_log *l, const void *p, size_t n, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	uint8_t *rec;
	size_t total = HEAD_SIZE + n + TAG_SIZE;
	uint32_t len = htole32((uint32_t)n);
	struct error undo;

	if (l->broken)
		return error_set(
		    err, 0, "an earlier write to the vault failed half-way");
	if (n == 0 || n > VAULT_RECORD_MAX)
		return error_set(err, 0, "record of %zu bytes", n);
	if ((uint64_t)l->end + total > VAULT_FILE_MAX)
		return error_set(err, 0, "the vault is full");
	buf_init(&b, 0);
	rec = buf_reserve(&b, total);
	buf_commit(&b, total);
	memcpy(rec, &len, sizeof(len));
	if (RAND_bytes(rec + 4, NONCE_SIZE) != 1)
		return error_set(err, 0, "no randomness for the vault");
	head_mac(l, (uint32_t)n, rec + 4, rec + 4 + NONCE_SIZE);
	if (!gcm(l, true, rec + 4, (uint32_t)n, p, rec + HEAD_SIZE,
		rec + HEAD_SIZE + n))
		return error_set(err, 0, "sealing a record failed");
	if (write_at(l->fd, rec, total, l->end, !l->lazy, err) < 0) {
		l->broken = cut_to(l, l->end, &undo) < 0;
		return -1;
	}
	memcpy(l->prev, rec + HEAD_SIZE + n, TAG_SIZE);
	l->end += (off_t)total;
	l->seq++;
	put_anchor(l);
	return 0;
}

void
vault_log_lazy(struct vault_log *l)
{
	l->lazy = true;
}

int
vault_log_sync(struct vault_log *l, struct error *err)
{
	if (fdatasync(l->fd) < 0)
		return error_set(err, errno, "sync the vault");
	l->lazy = false;
	put_anchor(l);
	return 0;
}

uint64_t
vault_log_size(const struct vault_log *l)
{
	return (uint64_t)l->end;
}

bool
vault_log_is_old(const struct vault_log *l)
{
	return l->old;
}
