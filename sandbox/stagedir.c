#include "sandbox/stagedir.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/ext4file.h"
#include "sandbox/sys.h"
#include "sandbox/workspace.h"

#define IMAGE "image"
#define RECORD_MAGIC 0x53475242u /* "BRGS" */
#define RECORD_VERSION 1u
#define NSEC 1000000000u
#define TICK_NS 500000

/* ---- the record -------------------------------------------------------- */

void
stage_record_put(struct buf *b, const struct stage_record *r)
{
	buf_put_u32(b, RECORD_MAGIC);
	buf_put_u32(b, RECORD_VERSION);
	buf_put_u32(b, r->uid);
	buf_put_u32(b, r->gid);
	buf_put_u64(b, r->dev);
	buf_put_u64(b, r->ino);
	buf_put_u64(b, (uint64_t)r->born_s);
	buf_put_u32(b, r->born_ns);
	buf_put_u64(b, (uint64_t)r->start_s);
	buf_put_u32(b, r->start_ns);
	buf_put_u64(b, r->boot_ns);
	buf_put_str(b, r->boot_id);
	buf_put_u8(b, r->image);
	buf_put_str(b, r->workspace);
}

int
stage_record_get(const void *p, size_t n, struct stage_record *r)
{
	struct cur c;

	memset(r, 0, sizeof(*r));
	cur_init(&c, p, n);
	if (cur_u32(&c) != RECORD_MAGIC || cur_u32(&c) != RECORD_VERSION)
		return -1;
	r->uid = cur_u32(&c);
	r->gid = cur_u32(&c);
	r->dev = cur_u64(&c);
	r->ino = cur_u64(&c);
	r->born_s = (int64_t)cur_u64(&c);
	r->born_ns = cur_u32(&c);
	r->start_s = (int64_t)cur_u64(&c);
	r->start_ns = cur_u32(&c);
	r->boot_ns = cur_u64(&c);
	cur_str_into(&c, r->boot_id, sizeof(r->boot_id));
	r->image = cur_bool(&c);
	cur_str_into(&c, r->workspace, sizeof(r->workspace));
	return cur_end(&c) < 0 || r->start_ns >= NSEC || r->born_ns >= NSEC ||
		       r->workspace[0] != '/'
		   ? -1
		   : 0;
}

int
stage_record_clock(struct stage_record *r, struct error *err)
{
	struct timespec now, boot;

	if (r->boot_id[0] == '\0')
		fd_boot_id(r->boot_id);
	if (r->boot_id[0] == '\0')
		return error_set(err, errno, "staged: boot_id");
	if (clock_gettime(CLOCK_REALTIME, &now) < 0 ||
	    clock_gettime(CLOCK_BOOTTIME, &boot) < 0)
		return error_set(err, errno, "staged: clock");
	r->start_s = now.tv_sec;
	r->start_ns = (uint32_t)now.tv_nsec;
	r->boot_ns = (uint64_t)boot.tv_sec * NSEC + (uint64_t)boot.tv_nsec;
	return 0;
}

/* File systems stamp with the time of the last tick: wait for the next. */
static void
wait_tick(const struct stage_record *r)
{
	const struct timespec nap = { .tv_nsec = TICK_NS };
	struct timespec t;

	while (
	    clock_gettime(CLOCK_REALTIME_COARSE, &t) == 0 &&
	    (t.tv_sec < r->start_s ||
		(t.tv_sec == r->start_s && (uint32_t)t.tv_nsec <= r->start_ns)))
		(void)nanosleep(&nap, NULL);
}

static int
fill_record(struct stage_record *r, const struct jail_config *c, int dir,
    struct error *err)
{
	struct statx sx;

	r->uid = c->owner_uid;
	r->gid = c->owner_gid;
	r->image = c->stage_size != 0 || c->stage_inodes != 0;
	if (strlcpy(r->workspace, c->workspace, sizeof(r->workspace)) >=
	    sizeof(r->workspace))
		return error_set(err, ENAMETOOLONG, "staged: workspace");
	if (statx(dir, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME,
		&sx) < 0)
		return error_set(err, errno, "staged: workspace");
	r->dev = makedev(sx.stx_dev_major, sx.stx_dev_minor);
	r->ino = sx.stx_ino;
	if (sx.stx_mask & STATX_BTIME) {
		r->born_s = sx.stx_btime.tv_sec;
		r->born_ns = sx.stx_btime.tv_nsec;
	}
	return stage_record_clock(r, err);
}

static int
write_record(int staged, const struct stage_record *r, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	cleanup_fd int fd = -1;

	buf_init(&b, STAGE_RECORD_MAX);
	stage_record_put(&b, r);
	fd = openat(
	    staged, "record", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, buf_head(&b), buf_len(&b)) < 0)
		return error_set(err, errno, "staged: record");
	return 0;
}

/* ---- directories ------------------------------------------------------- */

/* A directory of the submitter's; its descriptor or -1. */
static int
own_dir(int dir, const char *name, const struct jail_config *c, mode_t mode,
    struct error *err)
{
	cleanup_fd int fd = -1;

	if (mkdirat(dir, name, 0700) < 0)
		return error_set(err, errno, "staged: mkdir %s", name);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, c->owner_uid, c->owner_gid) < 0 ||
	    fchmod(fd, mode) < 0)
		return error_set(err, errno, "staged: %s", name);
	return steal_fd(&fd);
}

/* The upper directory shows as the workspace's own root. */
static int
make_layers(int tree, const struct jail_config *c, int dir, struct error *err)
{
	cleanup_fd int upper = -1, work = -1;
	struct stat st;

	if (fstat(dir, &st) < 0)
		return error_set(err, errno, "staged: workspace");
	upper = own_dir(tree, "upper", c, st.st_mode & 01777, err);
	if (upper < 0)
		return -1;
	work = own_dir(tree, "work", c, 0700, err);
	return work < 0 ? -1 : 0;
}

static int
map_ids(int mnt, const struct jail_config *c, struct error *err)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_IDMAP |
					    MOUNT_ATTR_NOSUID |
					    MOUNT_ATTR_NODEV };
	cleanup_fd int ns = workspace_id_ns(c, err);

	if (ns < 0)
		return -1;
	a.userns_fd = (uint64_t)ns;
	if (mount_setattr(mnt, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0)
		return error_set(err, errno,
		    "staged: the file system of the daemon's state-dir cannot "
		    "be mounted with mapped ids");
	return 0;
}

static int
clone_dir(int dir, struct error *err)
{
	int fd = open_tree(
	    dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	return fd < 0 ? error_set(err, errno, "staged: open_tree") : fd;
}

static int
image_mount(int file, struct error *err)
{
	int mnt;

	if (ext4file_lock(file, EXT4FILE_WAIT_MS) < 0)
		return error_set(err, errno, "staged: the image is in use");
	mnt = ext4file_mount(file, err);
	return mnt < 0 ? error_prefix(err, "staged") : mnt;
}

static int
image_make(int staged, const struct jail_config *c, struct error *err)
{
	cleanup_fd int file = -1;

	file =
	    openat(staged, IMAGE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0)
		return error_set(err, errno, "staged: image");
	if (ext4file_make(file, c->stage_size, c->stage_inodes, err) < 0)
		return error_prefix(err, "staged");
	return image_mount(file, err);
}

static int
make_tree(int staged, const struct jail_config *c, int dir, bool image,
    struct error *err)
{
	cleanup_fd int tree = -1, mnt = -1;

	if (image) {
		mnt = image_make(staged, c, err);
		if (mnt < 0 || fchownat(mnt, "", c->owner_uid, c->owner_gid,
				   AT_EMPTY_PATH) < 0)
			return -1;
		tree = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (tree < 0)
			return error_set(err, errno, "staged: image");
		/* Of no use to us, and one more thing to explain. */
		(void)unlinkat(tree, "lost+found", AT_REMOVEDIR);
	} else {
		tree = own_dir(staged, "tree", c, 0700, err);
		if (tree < 0 || (mnt = clone_dir(tree, err)) < 0)
			return -1;
	}
	if (make_layers(tree, c, dir, err) < 0 || map_ids(mnt, c, err) < 0)
		return -1;
	return steal_fd(&mnt);
}

int
stagedir_make(const struct jail_config *c, int dir, struct error *err)
{
	struct stage_record r = { 0 };
	cleanup_fd int staged = -1, journal = -1;
	int mnt = -1;

	/* One that is there holds somebody's work. */
	if (mkdirat(c->stage_fd, STAGE_DIR, 0700) < 0)
		return error_set(err, errno, "staged: mkdir");
	staged = openat(c->stage_fd, STAGE_DIR,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (staged < 0)
		(void)error_set(err, errno, "staged: open");
	if (staged >= 0 && fill_record(&r, c, dir, err) == 0 &&
	    (journal = own_dir(staged, "journal", c, 0700, err)) >= 0)
		mnt = make_tree(staged, c, dir, r.image, err);
	/* Last: what has a record is whole. */
	if (mnt >= 0 && write_record(staged, &r, err) < 0)
		fd_close(&mnt);
	if (mnt < 0) {
		stagedir_drop(c->stage_fd);
		return -1;
	}
	wait_tick(&r);
	return mnt;
}

/* Only what stagedir_make() and the kernel made, nothing of a job. */
void
stagedir_drop(int job_dir)
{
	static const struct {
		const char *path;
		int flag;
	} all[] = {
		{ STAGE_DIR "/record", 0 },
		{ STAGE_DIR "/" IMAGE, 0 },
		{ STAGE_DIR "/tree/work/work/incompat/volatile/dirty", 0 },
		{ STAGE_DIR "/tree/work/work/incompat/volatile", AT_REMOVEDIR },
		{ STAGE_DIR "/tree/work/work/incompat", AT_REMOVEDIR },
		{ STAGE_DIR "/tree/work/work", AT_REMOVEDIR },
		{ STAGE_DIR "/tree/work", AT_REMOVEDIR },
		{ STAGE_DIR "/tree/upper", AT_REMOVEDIR },
		{ STAGE_DIR "/tree", AT_REMOVEDIR },
		{ STAGE_DIR "/journal", AT_REMOVEDIR },
		{ STAGE_DIR, AT_REMOVEDIR },
	};

	for (size_t i = 0; i < nitems(all); i++)
		(void)unlinkat(job_dir, all[i].path, all[i].flag);
}

int
stagedir_open(int staged, const struct stage_record *r, struct error *err)
{
	int fd;

	if (r->image) {
		cleanup_fd int file =
		    openat(staged, IMAGE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

		if (file < 0)
			return error_set(err, errno, "staged: open image");
		return image_mount(file, err);
	}
	fd = openat(
	    staged, "tree", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? error_set(err, errno, "staged: tree") : fd;
}
