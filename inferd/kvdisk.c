#include "inferd/kvdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/ev.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "inferd/kvdisk_int.h"

#define FORMAT "brig kv 1"
#define KEY_SIZE 32u
#define KEY_MIN 16u
#define KEY_MAX 4096u
#define CREDENTIAL "inferd-cache-key"
#define STEP (1u << 18) /* bytes sealed and written at once */
#define NEW_FILE (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)
#define OLD_FILE (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

static void
chance(void *p, size_t n)
{
	if (getrandom(p, n, 0) != (ssize_t)n)
		fatal("getrandom");
}

static int
make_key(int dir, struct error *err)
{
	uint8_t key[KEY_SIZE];
	cleanup_fd int fd = -1;
	int ok;

	chance(key, sizeof(key));
	unlinkat(dir, "key.new", 0);
	fd = openat(dir, "key.new", NEW_FILE, 0600);
	ok = fd >= 0 && fd_write_all(fd, key, sizeof(key)) == 0 &&
	     fsync(fd) == 0 && renameat(dir, "key.new", dir, "key") == 0 &&
	     fsync(dir) == 0;
	explicit_bzero(key, sizeof(key));
	return ok ? 0 : error_set(err, errno, "make the cache's key");
}

static int
open_key(int dir, const char *file, struct error *err)
{
	const char *given = getenv("CREDENTIALS_DIRECTORY");
	cleanup_free char *credential =
	    given == NULL ? NULL : xasprintf("%s/" CREDENTIAL, given);
	struct stat st;
	int fd = -1;

	if (file != NULL) {
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			error_set(err, errno, "the cache's key %s", file);
		return fd;
	}
	if (credential != NULL)
		fd = open(credential, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	fd = openat(dir, "key", OLD_FILE);
	if (fd < 0 && errno == ENOENT) {
		if (make_key(dir, err) < 0)
			return -1;
		fd = openat(dir, "key", OLD_FILE);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		error_set(err, errno, "the cache's key");
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		 (st.st_mode & 077) != 0)
		error_set(err, 0,
		    "the cache's key must be a file that is readable for its "
		    "owner, uid %u, alone: chmod 600",
		    (unsigned)geteuid());
	else
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
open_directory(const char *path, struct error *err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "make the directory");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "open the directory");
	if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		return error_set(err, 0,
		    "must be of uid %u and writable for nobody else: chown, "
		    "chmod 700",
		    (unsigned)geteuid());
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, errno == EWOULDBLOCK ? 0 : errno,
		    "is used by another process");
	return steal_fd(&fd);
}

static struct kvseal_master *
open_master(int dir, const struct kvdisk_opts *o, struct error *err)
{
	const uint32_t order = 1;
	cleanup_free char *binding = xasprintf(FORMAT
	    "\n%s\n%s\n%s\n%u\n%zu\n%zu\n%s",
	    PACKAGE_VERSION, o->model, o->type, o->page_tokens, o->page_bytes,
	    o->state_bytes, *(const uint8_t *)&order == 1 ? "little" : "big");
	cleanup_fd int fd = open_key(dir, o->key_file, err);
	cleanup_buf struct buf key = { 0 };

	buf_init_wipe(&key, 0);
	if (fd < 0)
		return NULL;
	if (fd_read_all(fd, &key, KEY_MAX) < 0 || buf_len(&key) < KEY_MIN) {
		error_set(err, 0, "the cache's key must have %u to %u bytes",
		    KEY_MIN, KEY_MAX);
		return NULL;
	}
	return kvseal_master_new(buf_head(&key), buf_len(&key), binding, err);
}

static size_t
ids_bytes(const struct kvdisk *d)
{
	return d->page_tokens * sizeof(int32_t);
}

uint64_t
kvdisk_file_bytes(const struct kvdisk *d, size_t n)
{
	return KVSEAL_NONCE_SIZE + ids_bytes(d) + n + KVSEAL_TAG_SIZE;
}

struct kvdisk *
kvdisk_open(const struct kvdisk_opts *o, struct error *err)
{
	struct kvdisk *d = xcalloc(1, sizeof(*d));

	d->page_tokens = o->page_tokens;
	d->page_bytes = o->page_bytes;
	d->state_bytes = o->state_bytes;
	d->budget = d->room = o->budget;
	d->fd = open_directory(o->dir, err);
	if (d->fd >= 0)
		d->master = open_master(d->fd, o, err);
	if (d->master != NULL) {
		kvseal_binding_tag(d->master, d->model, sizeof(d->model));
		if (kvindex_read(d, err) == 0) {
			kvindex_make_room(d, NULL, 0);
			return d;
		}
	}
	error_prefix(err, "%s", o->dir);
	kvdisk_close(d);
	return NULL;
}

void
kvdisk_close(struct kvdisk *d)
{
	if (d == NULL)
		return;
	kvindex_free(d);
	kvseal_master_free(d->master);
	fd_close(&d->fd);
	free(d);
}

static bool
read_salt(struct kvdisk_space *s)
{
	uint8_t salt[KVSEAL_SALT_SIZE + 1];
	cleanup_fd int dir = kvindex_open(s);
	cleanup_fd int fd = dir < 0 ? -1 : openat(dir, "salt", OLD_FILE);

	if (fd < 0 || read(fd, salt, sizeof(salt)) != KVSEAL_SALT_SIZE)
		return false;
	memcpy(s->salt, salt, KVSEAL_SALT_SIZE);
	return true;
}

static void
clear(struct kvdisk_space *s)
{
	cleanup_fd int dir = -1;

	while (s->nfiles > 0)
		kvindex_remove(s, &s->files[s->nfiles - 1]);
	dir = kvindex_open(s);
	if (dir >= 0) {
		unlinkat(dir, "salt", 0);
		unlinkat(s->d->fd, s->dir, AT_REMOVEDIR);
	}
	s->salted = false;
}

/* Keys by the salt that is there, or a new one. */
static bool
make_keys(struct kvdisk_space *s)
{
	s->salted = read_salt(s);
	if (!s->salted) {
		clear(s);
		chance(s->salt, sizeof(s->salt));
	}
	kvseal_free(s->seal);
	s->seal = kvseal_new(s->d->master, s->agent, s->salt);
	return s->seal != NULL;
}

/* "a", or "p" for the public one, which is no agent of any name. */
static char *
agent_text(const char *agent)
{
	return agent == NULL ? xstrdup("p") : xasprintf("a%s", agent);
}

struct kvdisk_space *
kvdisk_space(struct kvdisk *d, const char *agent)
{
	cleanup_free char *name = agent_text(agent);
	uint8_t tag[AGENT_TAG_SIZE];
	char dir[DIR_TEXT];
	struct kvdisk_space *s;

	kvseal_tag(d->master, "agent", name, tag, sizeof(tag));
	kvdisk_hex(tag, sizeof(tag), dir);
	dir[sizeof(tag) * 2] = '-';
	kvdisk_hex(d->model, sizeof(d->model), dir + sizeof(tag) * 2 + 1);
	s = kvindex_space(d, dir, false);
	if (s == NULL)
		return NULL;
	if (s->agent == NULL)
		s->agent = steal_ptr(&name);
	return s->seal != NULL || make_keys(s) ? s : NULL;
}

void
kvdisk_leave(struct kvdisk_space *s)
{
	kvseal_free(s->seal);
	s->seal = NULL;
	if (s->nfiles > 0)
		return;
	clear(s);
	kvindex_drop(s);
}

bool
kvdisk_is_empty(const struct kvdisk_space *s)
{
	return s->nfiles == 0;
}

void
kvdisk_name(const struct kvdisk_space *s, const uint8_t *before,
    const int32_t *ids, uint8_t name[KVSEAL_NAME_SIZE])
{
	kvseal_name(s->seal, before, ids, s->d->page_tokens, name);
}

bool
kvdisk_has(const struct kvdisk_space *s, const uint8_t name[KVSEAL_NAME_SIZE])
{
	return kvindex_find(s, name) != NULL;
}

static bool
read_whole(int fd, void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		const ssize_t k = read(fd, (uint8_t *)p + done, n - done);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		done += (size_t)k;
	}
	return true;
}

/* Open n bytes in place, as they come. */
static bool
read_sealed(int fd, struct kvseal_stream *st, void *out, size_t n)
{
	uint8_t *p = out;

	for (size_t done = 0; done < n;) {
		const size_t k = n - done < STEP ? n - done : STEP;

		if (!read_whole(fd, p + done, k) ||
		    !kvseal_feed(st, p + done, p + done, k))
			return false;
		done += k;
	}
	return true;
}

static bool
load(int fd, struct kvdisk_space *s, const uint8_t *name, const int32_t *ids,
    void *data, size_t size)
{
	const struct kvdisk *d = s->d;
	const size_t n = ids_bytes(d);
	cleanup_free int32_t *sealed = xmalloc(n);
	uint8_t nonce[KVSEAL_NONCE_SIZE], tag[KVSEAL_TAG_SIZE];
	struct kvseal_stream *st;
	struct stat file;

	if (fstat(fd, &file) < 0 || !S_ISREG(file.st_mode) ||
	    (uint64_t)file.st_size != kvdisk_file_bytes(d, size) ||
	    !read_whole(fd, nonce, sizeof(nonce)))
		return false;
	st = kvseal_begin(s->seal, false, name, nonce);
	if (st == NULL)
		return false;
	if (!read_sealed(fd, st, sealed, n) ||
	    !read_sealed(fd, st, data, size) ||
	    !read_whole(fd, tag, sizeof(tag))) {
		kvseal_drop(st);
		return false;
	}
	return kvseal_open_end(st, tag) && memcmp(sealed, ids, n) == 0;
}

/* Used now: behind all others, after a restart, too, however coarse the times
 * are that the file system gives by itself. */
static uint64_t
stamp(struct kvdisk *d, int fd)
{
	struct timespec t[2];
	uint64_t now;

	clock_gettime(CLOCK_REALTIME, &t[0]);
	now = (uint64_t)t[0].tv_sec * 1000000000 + (uint64_t)t[0].tv_nsec;
	d->clock = now > d->clock ? now : d->clock + 1;
	t[0].tv_sec = (time_t)(d->clock / 1000000000);
	t[0].tv_nsec = (long)(d->clock % 1000000000);
	t[1] = t[0];
	(void)futimens(fd, t);
	return d->clock;
}

/* Of ours, not of the disk: it says nothing of what is there. */
static bool
is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM ||
	       error == ENOBUFS;
}

static int
load_named(struct kvdisk_space *s, const uint8_t name[KVSEAL_NAME_SIZE],
    const int32_t *ids, void *data, size_t size)
{
	struct kvfile *f = kvindex_find(s, name);
	char text[FILE_TEXT];
	cleanup_fd int dir = -1, fd = -1;

	if (f == NULL)
		return -1;
	kvdisk_hex(name, FILE_NAME_SIZE, text);
	dir = kvindex_open(s);
	if (dir >= 0)
		fd = openat(dir, text, OLD_FILE);
	if (fd < 0 && is_shortage(errno))
		return -1;
	if (fd < 0 || !load(fd, s, name, ids, data, size)) {
		log_warnx("cache: %s/%s is not what was written: removed",
		    s->dir, text);
		kvindex_remove(s, f);
		return -1;
	}
	f->used = stamp(s->d, fd);
	return 0;
}

int
kvdisk_load(struct kvdisk_space *s, const uint8_t name[KVSEAL_NAME_SIZE],
    const int32_t *ids, void *page)
{
	return load_named(s, name, ids, page, s->d->page_bytes);
}

/*
 * A state has the name that a page of no tokens (ids that there are not) would
 * have behind its page.
 */
static int32_t *
state_name(const struct kvdisk_space *s, const uint8_t page[KVSEAL_NAME_SIZE],
    uint8_t name[KVSEAL_NAME_SIZE])
{
	int32_t *none = xmalloc(ids_bytes(s->d));

	memset(none, 0xff, ids_bytes(s->d));
	kvdisk_name(s, page, none, name);
	return none;
}

bool
kvdisk_has_state(
    const struct kvdisk_space *s, const uint8_t page[KVSEAL_NAME_SIZE])
{
	uint8_t name[KVSEAL_NAME_SIZE];

	free(state_name(s, page, name));
	return kvdisk_has(s, name);
}

int
kvdisk_load_state(
    struct kvdisk_space *s, const uint8_t page[KVSEAL_NAME_SIZE], void *state)
{
	uint8_t name[KVSEAL_NAME_SIZE];
	cleanup_free int32_t *none = state_name(s, page, name);

	return load_named(s, name, none, state, s->d->state_bytes);
}

static bool
write_sealed(
    int fd, struct kvseal_stream *st, const void *p, size_t n, uint8_t *space)
{
	for (size_t done = 0; done < n;) {
		const size_t k = n - done < STEP ? n - done : STEP;

		if (!kvseal_feed(st, (const uint8_t *)p + done, space, k) ||
		    fd_write_all(fd, space, k) < 0)
			return false;
		done += k;
	}
	return true;
}

static bool
save(int fd, const struct kvdisk_space *s, const uint8_t *name,
    const int32_t *ids, const void *data, size_t size)
{
	const struct kvdisk *d = s->d;
	cleanup_free uint8_t *space = xmalloc(STEP);
	uint8_t nonce[KVSEAL_NONCE_SIZE], tag[KVSEAL_TAG_SIZE];
	struct kvseal_stream *st;

	chance(nonce, sizeof(nonce));
	st = kvseal_begin(s->seal, true, name, nonce);
	if (st == NULL)
		return false;
	if (fd_write_all(fd, nonce, sizeof(nonce)) < 0 ||
	    !write_sealed(fd, st, ids, ids_bytes(d), space) ||
	    !write_sealed(fd, st, data, size, space)) {
		kvseal_drop(st);
		return false;
	}
	return kvseal_end(st, tag) && fd_write_all(fd, tag, sizeof(tag)) == 0;
}

/* The folder, with its salt. */
static int
open_folder(struct kvdisk_space *s)
{
	cleanup_fd int dir = -1, fd = -1;

	if (mkdirat(s->d->fd, s->dir, 0700) == 0)
		s->salted = false;
	else if (errno != EEXIST)
		return -1;
	dir = kvindex_open(s);
	if (dir < 0 || s->salted)
		return steal_fd(&dir);
	unlinkat(dir, "salt", 0);
	fd = openat(dir, "salt", NEW_FILE, 0600);
	if (fd < 0 || fd_write_all(fd, s->salt, sizeof(s->salt)) < 0)
		return -1;
	s->salted = true;
	return steal_fd(&dir);
}

/*
 * A full disk has room for what is there: from now on one page comes for
 * another.  If it is something else, none comes, and none goes for it.  After a
 * while it is tried again.
 */
static int
failed(struct kvdisk *d)
{
	const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;

	if (d->retry_ms == 0)
		log_warn("cache: a page cannot be written; for now %s (%llu "
			 "bytes)",
		    full ? "no more is kept than there is"
			 : "what there is stays as it is",
		    (unsigned long long)d->bytes);
	d->broken = !full;
	d->room = d->bytes;
	d->retry_ms = ev_now_ms() + KVDISK_RETRY_MS;
	return -1;
}

/* May a page be written now? */
static bool
works(struct kvdisk *d)
{
	if (d->retry_ms != 0 && ev_now_ms() >= d->retry_ms) {
		d->broken = false;
		d->room = d->budget;
	}
	return !d->broken;
}

/* Pages find room beyond what there was: all is well again. */
static void
recovered(struct kvdisk *d)
{
	if (d->retry_ms == 0 || d->room != d->budget)
		return;
	log_info("cache: pages can be written again");
	d->retry_ms = 0;
}

static int
save_named(struct kvdisk_space *s, const uint8_t name[KVSEAL_NAME_SIZE],
    const int32_t *ids, const void *data, size_t size)
{
	struct kvdisk *d = s->d;
	char text[FILE_TEXT];
	uint64_t used;
	cleanup_fd int dir = -1, fd = -1;

	if (kvindex_find(s, name) != NULL)
		return 0;
	if (!works(d))
		return -1;
	kvdisk_hex(name, FILE_NAME_SIZE, text);
	dir = open_folder(s);
	if (dir < 0)
		return failed(d);
	unlinkat(dir, "new", 0);
	fd = openat(dir, "new", NEW_FILE, 0600);
	if (fd < 0)
		return failed(d);
	/* Nothing goes for a page that does not even have a file. */
	if (!kvindex_make_room(d, s, kvdisk_file_bytes(d, size))) {
		unlinkat(dir, "new", 0);
		return -1;
	}
	if (!save(fd, s, name, ids, data, size) ||
	    renameat(dir, "new", dir, text) < 0) {
		failed(d);
		unlinkat(dir, "new", 0);
		return -1;
	}
	used = stamp(d, fd);
	kvindex_add(s, name, kvdisk_file_bytes(d, size), used);
	recovered(d);
	return 0;
}

int
kvdisk_save(struct kvdisk_space *s, const uint8_t name[KVSEAL_NAME_SIZE],
    const int32_t *ids, const void *page)
{
	return save_named(s, name, ids, page, s->d->page_bytes);
}

int
kvdisk_save_state(struct kvdisk_space *s, const uint8_t page[KVSEAL_NAME_SIZE],
    const void *state)
{
	uint8_t name[KVSEAL_NAME_SIZE];
	cleanup_free int32_t *none = state_name(s, page, name);

	return save_named(s, name, none, state, s->d->state_bytes);
}

int
kvdisk_forget(struct kvdisk_space *s)
{
	struct kvdisk *d = s->d;

	for (uint32_t i = 0; i < d->nspaces; i++)
		if (strncmp(d->space[i]->dir, s->dir, 2 * AGENT_TAG_SIZE) == 0)
			clear(d->space[i]);
	return make_keys(s) ? 0 : -1;
}

uint64_t
kvdisk_bytes(const struct kvdisk *d)
{
	return d->bytes;
}
