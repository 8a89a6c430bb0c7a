#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "inferd/kvdisk_int.h"

#define FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

void
kvdisk_hex(const uint8_t *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

int
kvdisk_unhex(const char *text, uint8_t *out, size_t n)
{
	if (strlen(text) != 2 * n)
		return -1;
	for (size_t i = 0; i < 2 * n; i++) {
		const char c = text[i];
		uint8_t v;

		if (c >= '0' && c <= '9')
			v = (uint8_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = (uint8_t)(c - 'a' + 10);
		else
			return -1;
		out[i / 2] = (uint8_t)(i % 2 == 0 ? v << 4 : out[i / 2] | v);
	}
	return 0;
}

struct kvdisk_space *
kvindex_space(struct kvdisk *d, const char *dir, bool foreign)
{
	struct kvdisk_space *s;

	for (uint32_t i = 0; i < d->nspaces; i++)
		if (strcmp(d->space[i]->dir, dir) == 0)
			return d->space[i];
	if (d->nspaces == KVDISK_DIRS_MAX)
		return NULL;
	s = xcalloc(1, sizeof(*s));
	s->d = d;
	s->foreign = foreign;
	snprintf(s->dir, sizeof(s->dir), "%s", dir);
	d->space = xreallocarray(d->space, d->nspaces + 1, sizeof(*d->space));
	d->space[d->nspaces++] = s;
	return s;
}

int
kvindex_open(const struct kvdisk_space *s)
{
	return openat(s->d->fd, s->dir, FOLDER);
}

/* Where it is, or belongs. */
static uint32_t
place(const struct kvdisk_space *s, const uint8_t name[FILE_NAME_SIZE])
{
	uint32_t low = 0, high = s->nfiles;

	while (low < high) {
		const uint32_t mid = low + (high - low) / 2;

		if (memcmp(s->files[mid].name, name, FILE_NAME_SIZE) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct kvfile *
kvindex_find(const struct kvdisk_space *s, const uint8_t name[FILE_NAME_SIZE])
{
	const uint32_t i = place(s, name);

	return i < s->nfiles &&
		       memcmp(s->files[i].name, name, FILE_NAME_SIZE) == 0
		   ? &s->files[i]
		   : NULL;
}

static void
append(struct kvdisk_space *s, const struct kvfile *f)
{
	if (s->nfiles == s->cap) {
		s->cap = s->cap * 2 + 64;
		s->files = xreallocarray(s->files, s->cap, sizeof(*s->files));
	}
	s->files[s->nfiles++] = *f;
	s->bytes += f->bytes;
	s->d->bytes += f->bytes;
	s->d->nfiles++;
}

void
kvindex_add(struct kvdisk_space *s, const uint8_t name[FILE_NAME_SIZE],
    uint64_t bytes, uint64_t used)
{
	const uint32_t i = place(s, name);
	struct kvfile f = { .bytes = bytes, .used = used };

	memcpy(f.name, name, FILE_NAME_SIZE);
	append(s, &f);
	memmove(&s->files[i + 1], &s->files[i],
	    (s->nfiles - 1 - i) * sizeof(*s->files));
	s->files[i] = f;
}

static void
forget(struct kvdisk_space *s, struct kvfile *f)
{
	const size_t i = (size_t)(f - s->files);

	s->bytes -= f->bytes;
	s->d->bytes -= f->bytes;
	s->d->nfiles--;
	memmove(f, f + 1, (s->nfiles - 1 - i) * sizeof(*f));
	s->nfiles--;
}

void
kvindex_remove(struct kvdisk_space *s, struct kvfile *f)
{
	cleanup_fd int dir = kvindex_open(s);
	char text[FILE_TEXT];

	kvdisk_hex(f->name, FILE_NAME_SIZE, text);
	if (dir < 0 || (unlinkat(dir, text, 0) < 0 && errno != ENOENT))
		log_warn("cache: remove %s/%s", s->dir, text);
	forget(s, f);
}

static struct kvfile *
oldest(const struct kvdisk_space *s)
{
	struct kvfile *f = s->files;

	for (uint32_t i = 1; i < s->nfiles; i++)
		if (s->files[i].used < f->used)
			f = &s->files[i];
	return f;
}

/* Whose files go: of another model's, else of all the one that has the most. */
static struct kvdisk_space *
victim(const struct kvdisk *d, const struct kvdisk_space *mine)
{
	struct kvdisk_space *v = NULL;

	for (uint32_t i = 0; i < d->nspaces; i++) {
		struct kvdisk_space *s = d->space[i];

		if (s->nfiles == 0)
			continue;
		if (v == NULL || (s->foreign && !v->foreign) ||
		    (s->foreign == v->foreign &&
			(s->bytes > v->bytes ||
			    (s->bytes == v->bytes && s == mine))))
			v = s;
	}
	return v;
}

bool
kvindex_make_room(struct kvdisk *d, struct kvdisk_space *s, uint64_t bytes)
{
	struct kvdisk_space *v;

	while (d->bytes + bytes > d->room || d->nfiles >= KVDISK_FILES_MAX) {
		v = victim(d, s);
		if (v == NULL)
			return false;
		kvindex_remove(v, oldest(v));
	}
	return true;
}

static int
by_name(const void *a, const void *b)
{
	return memcmp(((const struct kvfile *)a)->name,
	    ((const struct kvfile *)b)->name, FILE_NAME_SIZE);
}

/* Nanoseconds; before 1970 and after 2500 no file was used. */
static uint64_t
time_of(const struct stat *st)
{
	const int64_t s = st->st_mtim.tv_sec;

	if (s < 0 || s > INT64_C(16725225600))
		return 0;
	return (uint64_t)s * 1000000000 + (uint64_t)st->st_mtim.tv_nsec;
}

static bool
is_size(const struct kvdisk_space *s, uint64_t n)
{
	const struct kvdisk *d = s->d;

	if (s->foreign)
		return n <= KVDISK_FILE_MAX;
	return n == kvdisk_file_bytes(d, d->page_bytes) ||
	       (d->state_bytes > 0 &&
		   n == kvdisk_file_bytes(d, d->state_bytes));
}

static void
read_entry(struct kvdisk_space *s, int fd, const char *name)
{
	struct kvfile f = { 0 };
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    strcmp(name, "salt") == 0)
		return;
	if (s->d->nfiles < KVDISK_FILES_MAX &&
	    kvdisk_unhex(name, f.name, FILE_NAME_SIZE) == 0 &&
	    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && is_size(s, (uint64_t)st.st_size)) {
		f.bytes = (uint64_t)st.st_size;
		f.used = time_of(&st);
		append(s, &f);
		if (f.used > s->d->clock)
			s->d->clock = f.used;
	} else
		unlinkat(fd, name, 0);
}

static void
read_folder(struct kvdisk *d, const char *name)
{
	uint8_t tag[MODEL_TAG_SIZE];
	struct kvdisk_space *s;
	struct dirent *e;
	DIR *dir;
	cleanup_fd int fd = openat(d->fd, name, FOLDER);

	if (fd < 0 ||
	    kvdisk_unhex(name + 2 * AGENT_TAG_SIZE + 1, tag, sizeof(tag)) < 0)
		return;
	s = kvindex_space(d, name, memcmp(tag, d->model, sizeof(tag)) != 0);
	dir = s == NULL ? NULL : fdopendir(fd);
	if (dir == NULL) {
		log_warnx("cache: %s is not used", name);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		read_entry(s, fd, e->d_name);
	if (s->nfiles > 0)
		qsort(s->files, s->nfiles, sizeof(*s->files), by_name);
	else {
		unlinkat(fd, "salt", 0);
		unlinkat(d->fd, name, AT_REMOVEDIR);
	}
	steal_fd(&fd);
	closedir(dir);
}

/* "AAAA-MMMM" */
static bool
is_folder(const char *name)
{
	if (strlen(name) != DIR_TEXT - 1)
		return false;
	for (size_t i = 0; i < DIR_TEXT - 1; i++)
		if (strchr("0123456789abcdef", name[i]) == NULL &&
		    (i != 2 * AGENT_TAG_SIZE || name[i] != '-'))
			return false;
	return name[2 * AGENT_TAG_SIZE] == '-';
}

int
kvindex_read(struct kvdisk *d, struct error *err)
{
	cleanup_fd int fd = openat(d->fd, ".", FOLDER);
	struct dirent *e;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir == NULL)
		return error_set(err, errno, "read the cache directory");
	steal_fd(&fd);
	while ((e = readdir(dir)) != NULL)
		if (is_folder(e->d_name))
			read_folder(d, e->d_name);
	closedir(dir);
	return 0;
}

static void
space_free(struct kvdisk_space *s)
{
	kvseal_free(s->seal);
	free(s->agent);
	free(s->files);
	free(s);
}

void
kvindex_drop(struct kvdisk_space *s)
{
	struct kvdisk *d = s->d;
	uint32_t i = 0;

	while (d->space[i] != s)
		i++;
	d->space[i] = d->space[--d->nspaces];
	space_free(s);
}

void
kvindex_free(struct kvdisk *d)
{
	for (uint32_t i = 0; i < d->nspaces; i++)
		space_free(d->space[i]);
	free(d->space);
}
