#include "inferd/model_load.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/str.h"
#include "inferd/model_child.h"
#include "inferd/model_scan.h"

#define MANIFEST_MAX (1u << 20)
#define SHA256_HEX 64u
#define HASH_STEP ((size_t)16 << 20)
/* F32 tensors up to this size (norms, biases) are always looked through. */
#define SCAN_ALWAYS (1u << 20)
#define SAMPLE ((size_t)4096)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* since Linux 6.1 */
#endif

struct model_file {
	char *path;
	int fd;
	uint64_t size;
	void *map;
	char sha256[SHA256_HEX + 1];
};

struct model {
	struct model_table *table;
	uint32_t nfiles;
	struct model_file files[MODEL_FILES_MAX];
	uint64_t bytes;
	uint64_t hashed;
	bool sealed, locked;
	char id[SHA256_HEX + 1];
};

void
model_close(struct model *m)
{
	if (m == NULL)
		return;
	for (uint32_t i = 0; i < m->nfiles; i++) {
		struct model_file *f = &m->files[i];

		if (f->map != NULL)
			munmap(f->map, (size_t)f->size);
		fd_close(&f->fd);
		free(f->path);
	}
	model_table_free(m->table);
	free(m);
}

void
model_cleanup(struct model **m)
{
	model_close(*m);
	*m = NULL;
}

const struct model_table *
model_table(const struct model *m)
{
	return m->table;
}

const struct tensor *
model_tensor(const struct model *m, const char *name)
{
	return model_table_find(m->table, name);
}

uint64_t
model_bytes(const struct model *m)
{
	return m->bytes;
}

struct model_map
model_map(const struct model *m, uint32_t i)
{
	const struct model_file *f = &m->files[i];

	return (struct model_map){ f->fd, f->map, f->size };
}

const char *
model_sha256(const struct model *m, uint32_t i)
{
	return i < m->nfiles ? m->files[i].sha256 : "";
}

const char *
model_id(const struct model *m)
{
	return m->id;
}

bool
model_is_sealed(const struct model *m)
{
	return m->sealed;
}

bool
model_is_locked(const struct model *m)
{
	return m->locked;
}

static const char *
base_name(const char *path)
{
	const char *s = strrchr(path, '/');

	return s == NULL ? path : s + 1;
}

/* NAME-00001-of-0000N.gguf: N and where the number is; 1: no such name. */
static int
split_of(const char *path, uint32_t *n, size_t *at, struct error *err)
{
	static const char like[] = "-00001-of-00001.gguf";
	size_t len = strlen(path), tail = sizeof(like) - 1;
	uint64_t no, count;
	char digits[6];

	if (len < tail)
		return 1;
	*at = len - tail;
	for (size_t i = 0; i < tail; i++) {
		char c = path[*at + i];

		if (like[i] == '0' || like[i] == '1') {
			if (c < '0' || c > '9')
				return 1;
		} else if (c != like[i])
			return 1;
	}
	memcpy(digits, &path[*at + 1], 5);
	digits[5] = '\0';
	if (str_to_u64(digits, 0, 99999, &no) < 0)
		return 1;
	memcpy(digits, &path[*at + 10], 5);
	if (str_to_u64(digits, 1, MODEL_FILES_MAX, &count) < 0)
		return error_set(err, 0, "a model of %s files, at most %u",
		    digits, MODEL_FILES_MAX);
	if (no != 1)
		return error_set(err, 0,
		    "this is a later file of a split model: give the one "
		    "ending in -00001-of-%05llu.gguf",
		    (unsigned long long)count);
	*n = (uint32_t)count;
	return 0;
}

static int
open_file(struct model_file *f, struct error *err)
{
	struct stat st;

	f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (f->fd < 0)
		return error_set(err, errno, "open");
	if (fstat(f->fd, &st) != 0)
		return error_set(err, errno, "fstat");
	if (!S_ISREG(st.st_mode))
		return error_set(err, 0, "this is no regular file");
	if (st.st_size < 1 || (uint64_t)st.st_size > MODEL_BYTES_MAX)
		return error_set(
		    err, 0, "%lld bytes are no model", (long long)st.st_size);
	f->size = (uint64_t)st.st_size;
	return 0;
}

static int
open_files(struct model *m, const char *path, struct error *err)
{
	uint32_t n = 1;
	size_t at = 0;
	int split = split_of(path, &n, &at, err);

	if (split < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		struct model_file *f = &m->files[m->nfiles++];

		f->fd = -1;
		f->path = split == 1 ? xstrdup(path)
				     : xasprintf("%.*s-%05u-of-%05u.gguf",
					   (int)at, path, i + 1, n);
		if (open_file(f, err) < 0)
			return n == 1 ? -1
				      : error_prefix(
					    err, "%s", base_name(f->path));
		m->bytes += f->size;
	}
	return 0;
}

static int
map_file(struct model_file *f, struct error *err)
{
	void *p = mmap(NULL, (size_t)f->size, PROT_READ, MAP_SHARED, f->fd, 0);

	if (p == MAP_FAILED)
		return error_set(
		    err, errno, "map %llu bytes", (unsigned long long)f->size);
	f->map = p;
	return 0;
}

static void
hex(const uint8_t *p, char out[SHA256_HEX + 1])
{
	for (size_t i = 0; i < SHA256_HEX / 2; i++)
		snprintf(&out[2 * i], 3, "%02x", p[i]);
}

static int
hash_file(struct model *m, struct model_file *f, const struct model_opts *o,
    struct error *err)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	const uint8_t *p = f->map;
	bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; ok && i < f->size; i += HASH_STEP) {
		size_t k =
		    f->size - i < HASH_STEP ? (size_t)f->size - i : HASH_STEP;

		ok = EVP_DigestUpdate(md, &p[i], k) == 1;
		m->hashed += k;
		if (o->progress != NULL)
			o->progress(m->hashed, m->bytes, o->arg);
	}
	ok = ok && EVP_DigestFinal_ex(md, digest, &n) == 1;
	EVP_MD_CTX_free(md);
	if (!ok || n != SHA256_HEX / 2)
		return error_set(err, 0, "SHA-256 failed");
	hex(digest, f->sha256);
	return 0;
}

/*
 * The file's bytes in sealed memory in its place.  A file that shrinks while
 * it is copied makes the copy fail; one that changes has another hash.
 */
static int
seal_file(struct model *m, struct model_file *f, const struct model_opts *o,
    struct error *err)
{
	cleanup_fd int copy = -1;

	if (map_file(f, err) < 0)
		return -1;
	copy = fd_memfd("model", f->map, (size_t)f->size);
	munmap(f->map, (size_t)f->size);
	f->map = NULL;
	if (copy < 0)
		return error_set(err, errno, "copy %llu bytes into memory",
		    (unsigned long long)f->size);
	fd_close(&f->fd);
	f->fd = steal_fd(&copy);
	if (!fd_is_sealed(f->fd))
		return error_set(err, 0, "the copy is not sealed");
	if (map_file(f, err) < 0)
		return -1;
	/* Large pages and pages that stay, as far as the host lets us. */
	(void)madvise(f->map, (size_t)f->size, MADV_COLLAPSE);
	if (mlock(f->map, (size_t)f->size) != 0)
		m->locked = false;
	return hash_file(m, f, o, err);
}

/* One line of sha256sum(1): 64 digits, space, space or *, name. */
static bool
line_names(const char *line, const char *name, char sha256[SHA256_HEX + 1])
{
	size_t n = strlen(line);

	if (n <= SHA256_HEX + 2 ||
	    strspn(line, "0123456789abcdefABCDEF") != SHA256_HEX ||
	    line[SHA256_HEX] != ' ' ||
	    (line[SHA256_HEX + 1] != ' ' && line[SHA256_HEX + 1] != '*') ||
	    !str_eq(base_name(line + SHA256_HEX + 2), name))
		return false;
	memcpy(sha256, line, SHA256_HEX);
	sha256[SHA256_HEX] = '\0';
	str_lower(sha256);
	return true;
}

static int
check_file(const struct model_file *f, char *text, struct error *err)
{
	const char *name = base_name(f->path);
	char *line, want[SHA256_HEX + 1];

	while ((line = strsep(&text, "\n")) != NULL) {
		if (!line_names(line, name, want))
			continue;
		if (!str_eq(want, f->sha256))
			return error_set(err, 0,
			    "%s has SHA-256 %s, not the manifest's %s", name,
			    f->sha256, want);
		return 0;
	}
	return error_set(err, 0, "the manifest does not name %s", name);
}

static int
check_manifest(const struct model *m, const char *path, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	buf_init(&b, MANIFEST_MAX + 1);
	if (fd < 0 || fd_read_all(fd, &b, MANIFEST_MAX) < 0)
		return error_set(err, errno, "manifest %s", path);
	for (uint32_t i = 0; i < m->nfiles; i++) {
		cleanup_free char *text =
		    xstrndup((const char *)buf_head(&b), buf_len(&b));

		if (check_file(&m->files[i], text, err) < 0)
			return -1;
	}
	return 0;
}

static int
read_files(struct model *m, const struct model_opts *o, struct error *err)
{
	if (!o->seal) {
		if (o->manifest != NULL)
			return error_set(err, 0,
			    "a manifest is of use only for sealed models");
		return 0;
	}
	m->sealed = m->locked = true;
	for (uint32_t i = 0; i < m->nfiles; i++)
		if (seal_file(m, &m->files[i], o, err) < 0)
			return -1;
	return o->manifest == NULL ? 0 : check_manifest(m, o->manifest, err);
}

static int
parse(struct model *m, bool vocab_only, struct error *err)
{
	uint64_t sizes[MODEL_FILES_MAX];
	int fds[MODEL_FILES_MAX];

	for (uint32_t i = 0; i < m->nfiles; i++) {
		fds[i] = m->files[i].fd;
		sizes[i] = m->files[i].size;
	}
	m->table = model_child_parse(fds, sizes, m->nfiles, vocab_only, err);
	return m->table == NULL ? -1 : 0;
}

static int
place_tensors(struct model *m, const struct model_opts *o, struct error *err)
{
	for (uint32_t i = 0; i < m->nfiles; i++)
		if (m->files[i].map == NULL && map_file(&m->files[i], err) < 0)
			return -1;
	for (size_t i = 0; i < m->table->ntensors; i++) {
		struct tensor *t = &m->table->tensors[i];
		const uint8_t *map = m->files[t->file].map;

		t->data = &map[t->offset];
		if ((o->scan || m->sealed ||
			(t->type == TT_F32 && t->bytes <= SCAN_ALWAYS)) &&
		    model_scan(t, err) < 0)
			return -1;
	}
	return 0;
}

/* Of files that have not been hashed: bytes from the middle of each tensor,
 * which other weights of the same shape do not have. */
static bool
hash_samples(EVP_MD_CTX *md, const struct model_table *t)
{
	for (size_t i = 0; i < t->ntensors; i++) {
		const struct tensor *ti = &t->tensors[i];
		const size_t n = ti->bytes < SAMPLE ? ti->bytes : SAMPLE;
		const uint8_t *p = ti->data;

		if (p != NULL &&
		    EVP_DigestUpdate(md, p + (ti->bytes - n) / 2, n) != 1)
			return false;
	}
	return true;
}

static int
make_id(struct model *m, struct error *err)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	cleanup_buf struct buf b = { 0 };
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	bool ok;

	buf_init(&b, 0);
	model_table_encode(m->table, &b);
	for (uint32_t i = 0; i < m->nfiles; i++) {
		buf_put_u64(&b, m->files[i].size);
		buf_put_str(&b, m->files[i].sha256);
	}
	ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
	     EVP_DigestUpdate(md, buf_head(&b), buf_len(&b)) == 1 &&
	     (m->sealed || hash_samples(md, m->table)) &&
	     EVP_DigestFinal_ex(md, digest, &n) == 1;
	EVP_MD_CTX_free(md);
	if (!ok || n != SHA256_HEX / 2)
		return error_set(err, 0, "SHA-256 failed");
	hex(digest, m->id);
	return 0;
}

struct model *
model_open(const char *path, const struct model_opts *opts, struct error *err)
{
	static const struct model_opts plain;
	const struct model_opts *o = opts == NULL ? &plain : opts;
	cleanup_model struct model *m = xcalloc(1, sizeof(*m));

	if (open_files(m, path, err) < 0 || read_files(m, o, err) < 0 ||
	    parse(m, o->vocab_only, err) < 0 ||
	    (!o->vocab_only && place_tensors(m, o, err) < 0) ||
	    make_id(m, err) < 0) {
		error_prefix(err, "model %s", base_name(path));
		return NULL;
	}
	return steal_ptr(&m);
}
