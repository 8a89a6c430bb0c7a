/*
 * The vault file: what was written is read back, and whatever happens to its
 * bytes, it is either cut at its torn end or refused.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/proxy/vault_world.h"

#define RECORDS_MAX 16

/* A vault after that many steps, as bytes. */
static void
make_steps(struct buf *out, unsigned int n)
{
	int fd;
	struct error err;
	struct vault *v = open_bytes(NULL, 0, &fd, &err);

	assert_non_null(v);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(do_step(v, i), 0);
	vault_free(v);
	buf_init(out, 0);
	assert_int_equal(fd_pread_all(fd, out, 1 << 20), 0);
	close(fd);
}

/* With every kind of record. */
static void
make_file(struct buf *out)
{
	make_steps(out, STEPS);
}

/* Offsets of the records; returns how many, at[n] is the end. */
static size_t
records(const struct buf *f, size_t at[RECORDS_MAX])
{
	size_t n = 0, p = VAULT_HEADER_SIZE;

	while (p < f->len) {
		uint32_t len;

		memcpy(&len, f->data + p, 4);
		at[n++] = p;
		p += VAULT_RECORD_OVERHEAD + len;
	}
	at[n] = p;
	assert_int_equal(p, f->len);
	return n;
}

static void
what_was_written_is_read_back(void **state)
{
	struct buf f;
	struct error err;
	struct vault *v;
	const struct credential *c;
	size_t n;

	(void)state;
	make_file(&f);
	v = open_bytes(f.data, f.len, NULL, &err);
	assert_non_null(v);
	assert_int_equal(secret_len(vault_ca_key(v, VAULT_CA)), 32);
	assert_memory_equal(vault_ca_cert(v, VAULT_CA, &n), "certificate", 11);
	assert_int_equal(n, 11);
	assert_non_null(vault_stub_key(v));
	assert_int_equal(vault_count(v), 2);
	c = vault_by_name(v, "one");
	assert_non_null(c);
	assert_true(c->revoked);
	assert_int_equal(c->changed, 2000);
	assert_int_equal(c->created, 1000);
	assert_string_equal(c->spec.hosts[0].host, "one.example");
	assert_memory_equal(secret_bytes(c->value), "ghp_aaaaaaaaaaaaaaaa", 20);
	assert_null(vault_by_name(v, "two"));
	c = vault_by_name(v, "three");
	assert_non_null(c);
	assert_false(c->revoked);
	/* The id of a removed credential is not used again. */
	assert_int_equal(c->id, 3);
	assert_int_equal(vault_next_id(v), 4);
	vault_free(v);
	buf_free(&f);
}

static void
values_do_not_show_in_the_file(void **state)
{
	struct buf f;

	(void)state;
	make_file(&f);
	assert_null(memmem(f.data, f.len, "aaaaaaaa", 8));
	assert_null(memmem(f.data, f.len, "one.example", 11));
	assert_null(memmem(f.data, f.len, "stub-key", 8));
	buf_free(&f);
}

/* One anchor may be torn; what it says is then not taken. */
static void
check_flipped(const struct buf *f, size_t i)
{
	struct error err;
	struct vault *v = open_bytes(f->data, f->len, NULL, &err);
	bool anchor = i >= VAULT_OLD_HEADER_SIZE && i < VAULT_HEADER_SIZE;

	if (v != NULL && !anchor)
		fail_msg("byte %zu", i);
	if (v != NULL)
		assert_int_equal(vault_count(v), 2);
	vault_free(v);
}

static void
every_flipped_byte_is_refused(void **state)
{
	struct buf f;

	(void)state;
	make_file(&f);
	for (size_t i = 0; i < f.len; i++) {
		f.data[i] ^= 0x01;
		check_flipped(&f, i);
		f.data[i] ^= 0x81;
		check_flipped(&f, i);
		f.data[i] ^= 0x80;
	}
	/* Both anchors. */
	f.data[VAULT_OLD_HEADER_SIZE] ^= 1;
	f.data[VAULT_HEADER_SIZE - 1] ^= 1;
	check_flipped(&f, 0);
	buf_free(&f);
}

/* The file of n steps and the first bytes of a record that was being added. */
static void
torn_record(unsigned int n, const struct buf *record)
{
	struct buf f;
	struct error err;

	make_steps(&f, n);
	for (size_t cut = 0; cut < record->len; cut++) {
		struct stat st;
		struct vault *v;
		int fd = file_of(f.data, f.len);

		/* Any bytes: what was cut off is not looked at. */
		assert_int_equal(
		    pwrite(fd, record->data, cut, (off_t)f.len), cut);
		v = vault_open(dup(fd), master, &err);
		if (v == NULL) {
			/* Not the bytes that would have been written. */
			assert_true(cut >= 32);
			close(fd);
			continue;
		}
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, f.len);
		/* And it goes on from there. */
		put(v, "after", "after.example", "ghp_dddddddddddddddd");
		vault_free(v);
		v = vault_open(fd, master, &err);
		assert_non_null(v);
		assert_non_null(vault_by_name(v, "after"));
		vault_free(v);
	}
	buf_free(&f);
}

static void
a_torn_record_is_cut_off(void **state)
{
	struct buf f;
	size_t at[RECORDS_MAX], n;
	struct buf last;

	(void)state;
	make_file(&f);
	n = records(&f, at);
	for (unsigned int i = 0; i + 1 < n; i++) {
		buf_init(&last, 0);
		buf_put(&last, f.data + at[i], at[i + 1] - at[i]);
		torn_record(i, &last);
		buf_free(&last);
	}
	buf_free(&f);
}

/* As a crash before the anchor was written leaves it. */
static void
every_cut_loses_the_torn_record_and_no_other(void **state)
{
	struct buf f;
	struct error err;
	size_t at[RECORDS_MAX];

	(void)state;
	make_file(&f);
	records(&f, at);
	memset(f.data + VAULT_OLD_HEADER_SIZE, 0,
	    VAULT_HEADER_SIZE - VAULT_OLD_HEADER_SIZE);
	for (size_t i = 0; i < f.len; i++) {
		int fd;
		struct stat st;
		struct vault *v = open_bytes(f.data, i, &fd, &err);
		size_t want = VAULT_HEADER_SIZE;

		if (v == NULL)
			fail_msg("cut at %zu: %s", i, err.msg);
		for (size_t k = 0; at[k] <= i; k++)
			want = at[k];
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, want);
		/* And it goes on from there. */
		put(v, "after", "after.example", "ghp_dddddddddddddddd");
		vault_free(v);
		v = vault_open(fd, master, &err);
		assert_non_null(v);
		assert_non_null(vault_by_name(v, "after"));
		vault_free(v);
	}
	buf_free(&f);
}

static void
a_lost_end_is_seen(void **state)
{
	struct buf f;
	struct error err;
	size_t at[RECORDS_MAX], n;

	(void)state;
	make_file(&f);
	n = records(&f, at);
	for (size_t i = 0; i < n; i++) {
		assert_null(open_bytes(f.data, at[i], NULL, &err));
		assert_non_null(strstr(err.msg, "lost its end"));
		assert_null(open_bytes(f.data, at[i] + 7, NULL, &err));
		assert_non_null(strstr(err.msg, "lost its end"));
	}
	buf_free(&f);
}

static void
a_tail_of_zeros_is_a_torn_record(void **state)
{
	struct buf f;
	struct error err;
	struct vault *v;
	size_t n;

	(void)state;
	make_file(&f);
	n = f.len;
	memset(buf_reserve(&f, 300), 0, 300);
	buf_commit(&f, 300);
	v = open_bytes(f.data, f.len, NULL, &err);
	assert_non_null(v);
	assert_int_equal(vault_count(v), 2);
	vault_free(v);
	/* Zeros with something behind are damage. */
	f.data[n + 299] = 1;
	assert_null(open_bytes(f.data, f.len, NULL, &err));
	buf_free(&f);
}

static void
records_cannot_be_dropped_moved_or_repeated(void **state)
{
	struct buf f, g;
	struct error err;
	size_t at[RECORDS_MAX], n;

	(void)state;
	make_file(&f);
	n = records(&f, at);
	buf_init(&g, 0);
	for (size_t drop = 0; drop + 1 < n; drop++) {
		buf_clear(&g);
		buf_put(&g, f.data, at[drop]);
		buf_put(&g, f.data + at[drop + 1], f.len - at[drop + 1]);
		assert_null(open_bytes(g.data, g.len, NULL, &err));
	}
	for (size_t i = 0; i + 1 < n; i++) {
		/* Swapped with the next one. */
		buf_clear(&g);
		buf_put(&g, f.data, at[i]);
		buf_put(&g, f.data + at[i + 1], at[i + 2] - at[i + 1]);
		buf_put(&g, f.data + at[i], at[i + 1] - at[i]);
		buf_put(&g, f.data + at[i + 2], f.len - at[i + 2]);
		assert_int_equal(g.len, f.len);
		assert_null(open_bytes(g.data, g.len, NULL, &err));
	}
	for (size_t i = 0; i < n; i++) {
		/* Repeated at the end. */
		buf_clear(&g);
		buf_put(&g, f.data, f.len);
		buf_put(&g, f.data + at[i], at[i + 1] - at[i]);
		assert_null(open_bytes(g.data, g.len, NULL, &err));
	}
	buf_free(&g);
	buf_free(&f);
}

static void
records_of_another_vault_are_refused(void **state)
{
	struct buf f, g;
	struct error err;
	size_t at[RECORDS_MAX];

	(void)state;
	make_file(&f);
	make_file(&g);
	records(&f, at);
	/* Same key, same contents, another salt. */
	memcpy(f.data + at[0], g.data + at[0], at[1] - at[0]);
	assert_null(open_bytes(f.data, f.len, NULL, &err));
	buf_free(&f);
	buf_free(&g);
}

static void
wrong_key_is_told_apart_from_damage(void **state)
{
	cleanup_secret struct secret *bad =
	    secret_new("X123456789abcdef0123456789abcdef", 32);
	cleanup_secret struct secret *shrt = secret_new("0123456789", 10);
	struct buf f;
	struct error err;

	(void)state;
	make_file(&f);
	assert_null(vault_open(file_of(f.data, f.len), bad, &err));
	assert_non_null(strstr(err.msg, "master key"));
	assert_null(vault_open(file_of(f.data, f.len), shrt, &err));
	f.data[f.len - 1] ^= 1;
	assert_null(open_bytes(f.data, f.len, NULL, &err));
	assert_non_null(strstr(err.msg, "damaged"));
	assert_null(open_bytes(
	    "#!/bin/sh\necho this is not a vault at all....", 45, NULL, &err));
	assert_string_equal(err.msg, "this file is not a vault");
	buf_free(&f);
}

static void
rotation_keeps_id_and_survives_reopening(void **state)
{
	int fd;
	struct error err;
	struct vault *v = open_bytes(NULL, 0, &fd, &err);
	struct credential c;
	const struct credential *old;

	(void)state;
	put(v, "one", "one.example", "ghp_aaaaaaaaaaaaaaaa");
	put(v, "two", "two.example", "ghp_bbbbbbbbbbbbbbbb");
	old = vault_by_name(v, "one");
	c = *old;
	c.shape = xstrdup(old->shape);
	c.value = secret_new("ghp_eeeeeeeeeeeeeeee", 20);
	assert_int_equal(vault_put(v, &c, &err), 0);
	assert_int_equal(vault_count(v), 2);
	vault_free(v);
	v = vault_open(fd, master, &err);
	assert_int_equal(vault_count(v), 2);
	assert_int_equal(vault_at(v, 0)->id, 1);
	assert_memory_equal(
	    secret_bytes(vault_at(v, 0)->value), "ghp_eeeeeeeeeeeeeeee", 20);
	vault_free(v);
}

static void
largest_value_fits_and_a_full_disk_changes_nothing(void **state)
{
	int fd;
	struct error err;
	struct vault *v = open_bytes(NULL, 0, &fd, &err);
	char *big = xmalloc(VAULT_VALUE_MAX + 1);
	struct credential c = { 0 };
	struct stat st;
	off_t before;

	(void)state;
	memset(big, 'q', VAULT_VALUE_MAX);
	big[VAULT_VALUE_MAX] = '\0';
	put(v, "big", "big.example", big);
	assert_int_equal(fstat(fd, &st), 0);
	before = st.st_size;
	/* No write can succeed any more. */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	c = *vault_by_name(v, "big");
	c.id = vault_next_id(v);
	strlcpy(c.name, "more", sizeof(c.name));
	c.shape = xstrdup(c.shape);
	c.value = secret_new(big, VAULT_VALUE_MAX);
	assert_int_equal(vault_put(v, &c, &err), -1);
	assert_null(vault_by_name(v, "more"));
	credential_clear(&c);
	/* A revocation counts even if it cannot be stored. */
	assert_int_equal(vault_revoke(v, 1, 1, &err), -1);
	assert_true(vault_by_name(v, "big")->revoked);
	vault_free(v);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, before);
	v = vault_open(fd, master, &err);
	assert_non_null(v);
	assert_int_equal(vault_count(v), 1);
	vault_free(v);
	free(big);
}

/* As releases before several hosts wrote it. */
static void
put_old(struct buf *b, const char *header, uint8_t surfaces)
{
	buf_init(b, 0);
	buf_put_u8(b, 3);
	buf_put_u32(b, 4);
	buf_put_str(b, "old");
	buf_put_str(b, "old.example");
	buf_put_u16(b, 8443);
	buf_put_u8(b, surfaces);
	buf_put_str(b, header);
	buf_put_str(b, "user");
	buf_put_str(b, "OLD_TOKEN");
	buf_put_u8(b, 1);
	buf_put_u64(b, 1000);
	buf_put_u64(b, 2000);
	buf_put_str(b, "ghp_\2\2\2\2\2\2\2\2");
	buf_put_blob(b, "ghp_aaaaaaaa", 12);
}

static void
old_records_load(void **state)
{
	struct vault *v = vault_new();
	const struct credential *c;
	struct error err;
	struct buf b;

	(void)state;
	put_old(&b, "X-Key", SURFACE_HEADER | SURFACE_BASIC);
	if (vault_apply(b.data, b.len, v, &err) < 0)
		fail_msg("%s", err.msg);
	c = vault_by_name(v, "old");
	assert_non_null(c);
	assert_int_equal(c->id, 4);
	assert_int_equal(c->spec.kind, CRED_TOKEN);
	assert_int_equal(c->spec.nhosts, 1);
	assert_true(cred_spec_for(&c->spec, "old.example", 8443));
	assert_false(cred_spec_for(&c->spec, "old.example", 443));
	assert_int_equal(c->spec.surfaces, SURFACE_HEADER | SURFACE_BASIC);
	assert_string_equal(c->spec.header, "X-Key");
	assert_string_equal(c->spec.user, "user");
	assert_string_equal(c->spec.env, "OLD_TOKEN");
	assert_true(c->revoked);
	assert_int_equal(secret_len(c->value), 12);
	buf_free(&b);
	vault_free(v);
	/* A header that no surface used meant nothing. */
	v = vault_new();
	put_old(&b, "X-Key", SURFACE_BASIC);
	assert_int_equal(vault_apply(b.data, b.len, v, &err), 0);
	assert_string_equal(vault_by_name(v, "old")->spec.header, "");
	buf_free(&b);
	vault_free(v);
	v = vault_new();
	put_old(&b, "Host", SURFACE_HEADER);
	assert_int_equal(vault_apply(b.data, b.len, v, &err), -1);
	buf_free(&b);
	vault_free(v);
}

static void
a_kind_without_a_stub_is_kept(void **state)
{
	struct error err;
	int fd;
	struct vault *v = open_bytes(NULL, 0, &fd, &err);
	static const char pem[] =
	    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
	struct credential c = { .name = "client", .created = 1 };

	(void)state;
	c.id = vault_next_id(v);
	c.spec.kind = CRED_MTLS;
	c.spec.nhosts = 2;
	strlcpy(c.spec.hosts[0].host, "a.example", P_HOST_MAX);
	strlcpy(c.spec.hosts[1].host, "b.example", P_HOST_MAX);
	c.spec.hosts[0].port = c.spec.hosts[1].port = 443;
	c.value = secret_new(pem, strlen(pem));
	c.shape = xstrdup("");
	if (vault_put(v, &c, &err) < 0)
		fail_msg("%s", err.msg);
	vault_free(v);
	v = vault_open(fd, master, &err);
	assert_non_null(v);
	assert_int_equal(vault_count(v), 1);
	assert_int_equal(vault_at(v, 0)->spec.kind, CRED_MTLS);
	assert_true(cred_spec_for(&vault_at(v, 0)->spec, "b.example", 443));
	assert_memory_equal(
	    secret_bytes(vault_at(v, 0)->value), pem, strlen(pem));
	vault_free(v);
}

static void
captured_tokens_go_with_parent_and_job(void **state)
{
	struct error err;
	int fd;
	struct vault *v = open_bytes(NULL, 0, &fd, &err);
	const struct credential *c;
	char nonce[STUB_NONCE_SIZE];

	(void)state;
	put(v, "one", "one.example", "ghp_aaaaaaaaaaaaaaaa");
	put(v, "two", "two.example", "ghp_bbbbbbbbbbbbbbbb");
	put_captured(v, 1, 7, "tok_aaaaaaaaaaaaaaaa");
	put_captured(v, 1, 8, "tok_bbbbbbbbbbbbbbbb");
	put_captured(v, 2, 7, "tok_cccccccccccccccc");
	put_captured(v, 2, 9, "tok_dddddddddddddddd");
	vault_free(v);
	v = vault_open(dup(fd), master, &err);
	assert_non_null(v);
	assert_int_equal(vault_count(v), 6);
	assert_int_equal(vault_secrets(v), 2);
	c = vault_by_id(v, 3);
	assert_int_equal(c->parent, 1);
	assert_int_equal(c->job, 7);
	memset(nonce, 'n', sizeof(nonce));
	assert_memory_equal(c->nonce, nonce, sizeof(nonce));
	assert_true(cred_spec_for(&c->spec, "one.example", 443));
	assert_memory_equal(secret_bytes(c->value), "tok_aaaaaaaaaaaaaaaa", 20);
	/* Names of captured ones are not names of secrets. */
	assert_null(vault_by_name(v, "one.access_token"));
	assert_int_equal(vault_forget_job(v, 7, &err), 0);
	assert_int_equal(vault_count(v), 4);
	assert_int_equal(vault_revoke(v, 1, 5, &err), 0);
	assert_int_equal(vault_count(v), 3);
	assert_int_equal(vault_remove(v, 2, &err), 0);
	assert_int_equal(vault_count(v), 1);
	/* And the file says the same. */
	vault_free(v);
	v = vault_open(fd, master, &err);
	assert_non_null(v);
	assert_int_equal(vault_count(v), 1);
	assert_int_equal(vault_next_id(v), 7);
	vault_free(v);
}

static void
a_captured_token_needs_a_live_parent(void **state)
{
	struct vault *v = vault_new();
	struct credential c = { .id = 3, .job = 1, .name = "x" };
	struct error err;

	(void)state;
	put(v, "one", "one.example", "ghp_aaaaaaaaaaaaaaaa");
	put_captured(v, 1, 7, "tok_aaaaaaaaaaaaaaaa");
	c.spec = vault_by_id(v, 2)->spec;
	c.value = secret_new("tok_eeeeeeee", 12);
	c.shape = stub_shape(c.value, &err);
	c.parent = 9;
	assert_int_equal(vault_put(v, &c, &err), -1);
	c.parent = 2;
	assert_int_equal(vault_put(v, &c, &err), -1);
	c.parent = 1;
	c.job = 0;
	assert_int_equal(vault_put(v, &c, &err), -1);
	c.job = 7;
	assert_int_equal(vault_revoke(v, 1, 1, &err), 0);
	assert_int_equal(vault_put(v, &c, &err), -1);
	credential_clear(&c);
	vault_free(v);
}

static void
rotation_puts_the_next_ca_in_place(void **state)
{
	struct vault *v = vault_new();
	struct secret *k[3];
	struct error err;
	size_t n;

	(void)state;
	for (int i = 0; i < 3; i++) {
		char text[32];

		snprintf(text, sizeof(text), "key number %d of the CAs", i);
		k[i] = secret_new(text, strlen(text));
		assert_non_null(k[i]);
	}
	assert_null(vault_ca_key(v, VAULT_CA_NEXT));
	assert_int_equal(vault_set_ca(v, VAULT_CA, k[0], "c0", 2, &err), 0);
	assert_int_equal(
	    vault_set_ca(v, VAULT_CA_NEXT, k[1], "cert1", 5, &err), 0);
	assert_int_equal(vault_rotate_ca(v, k[2], "certi2", 6, &err), 0);
	assert_memory_equal(vault_ca_cert(v, VAULT_CA, &n), "cert1", 5);
	assert_int_equal(n, 5);
	assert_memory_equal(
	    secret_bytes(vault_ca_key(v, VAULT_CA)), "key number 1", 12);
	assert_memory_equal(vault_ca_cert(v, VAULT_CA_NEXT, &n), "certi2", 6);
	assert_memory_equal(
	    secret_bytes(vault_ca_key(v, VAULT_CA_NEXT)), "key number 2", 12);
	for (int i = 0; i < 3; i++)
		secret_free(k[i]);
	vault_free(v);
}

static void
a_ca_that_cannot_be_stored_is_not_in_use(void **state)
{
	int fd;
	struct error err;
	struct vault *v = open_bytes(NULL, 0, &fd, &err);
	cleanup_secret struct secret *k = secret_new("key of the CA", 13);
	cleanup_secret struct secret *other = secret_new("another one's", 13);
	size_t n;

	(void)state;
	assert_int_equal(vault_set_ca(v, VAULT_CA, k, "c0", 2, &err), 0);
	/* Once each, and nothing to rotate to yet: not even tried to write. */
	assert_int_equal(vault_set_ca(v, VAULT_CA, other, "c9", 2, &err), -1);
	assert_int_equal(vault_rotate_ca(v, other, "c9", 2, &err), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(
	    vault_set_ca(v, VAULT_CA_NEXT, other, "c9", 2, &err), -1);
	assert_null(vault_ca_key(v, VAULT_CA_NEXT));
	vault_free(v);
	v = open_bytes(NULL, 0, &fd, &err);
	assert_int_equal(vault_set_ca(v, VAULT_CA, k, "c0", 2, &err), 0);
	assert_int_equal(vault_set_ca(v, VAULT_CA_NEXT, k, "c1", 2, &err), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(vault_rotate_ca(v, other, "c9", 2, &err), -1);
	assert_memory_equal(vault_ca_cert(v, VAULT_CA, &n), "c0", 2);
	assert_memory_equal(vault_ca_cert(v, VAULT_CA_NEXT, &n), "c1", 2);
	assert_memory_equal(
	    secret_bytes(vault_ca_key(v, VAULT_CA_NEXT)), "key of the CA", 13);
	vault_free(v);
	v = vault_open(fd, master, &err);
	assert_non_null(v);
	assert_memory_equal(vault_ca_cert(v, VAULT_CA, &n), "c0", 2);
	assert_memory_equal(vault_ca_cert(v, VAULT_CA_NEXT, &n), "c1", 2);
	vault_free(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_back),
		cmocka_unit_test(values_do_not_show_in_the_file),
		cmocka_unit_test(every_flipped_byte_is_refused),
		cmocka_unit_test(every_cut_loses_the_torn_record_and_no_other),
		cmocka_unit_test(a_torn_record_is_cut_off),
		cmocka_unit_test(a_lost_end_is_seen),
		cmocka_unit_test(a_tail_of_zeros_is_a_torn_record),
		cmocka_unit_test(records_cannot_be_dropped_moved_or_repeated),
		cmocka_unit_test(records_of_another_vault_are_refused),
		cmocka_unit_test(wrong_key_is_told_apart_from_damage),
		cmocka_unit_test(rotation_keeps_id_and_survives_reopening),
		cmocka_unit_test(
		    largest_value_fits_and_a_full_disk_changes_nothing),
		cmocka_unit_test(old_records_load),
		cmocka_unit_test(a_kind_without_a_stub_is_kept),
		cmocka_unit_test(captured_tokens_go_with_parent_and_job),
		cmocka_unit_test(a_captured_token_needs_a_live_parent),
		cmocka_unit_test(rotation_puts_the_next_ca_in_place),
		cmocka_unit_test(a_ca_that_cannot_be_stored_is_not_in_use),
	};

	return cmocka_run_group_tests_name("vault", tests, setup, teardown);
}
