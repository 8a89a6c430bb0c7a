#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/doctor_part.h"
#include "sandbox/workspace.h"

#define DEPTH_MAX 64 /* of a path whose parent is looked for */

/* Any id that is not the job's: who owns the files on disk. */
#define OWNER 1000

/* The directory, or the nearest one above it that is there already: its file
 * system is the one it will be made on. */
static int
open_nearest(const char *dir, char *found, size_t size)
{
	int fd, i;
	char *slash;

	(void)strlcpy(found, dir, size);
	for (i = 0; i < DEPTH_MAX; i++) {
		fd = open(found, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 || errno != ENOENT)
			return fd;
		slash = strrchr(found, '/');
		if (slash == NULL)
			return -1;
		slash[slash == found] = '\0';
	}
	return -1;
}

static void
check_idmap(const struct doctor *d, const char *id, const char *dir, bool must)
{
	static const char what[] = "files stay the submitter's";
	struct jail_config c = { .host_uid = 65533,
		.host_gid = 65533,
		.owner_uid = OWNER,
		.owner_gid = OWNER,
		.workspace = dir };
	struct error err = { 0 };
	char found[4096];
	cleanup_fd int fd = -1;
	cleanup_fd int mnt = -1;

	if (must)
		fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	else
		fd = open_nearest(dir, found, sizeof(found));
	if (fd < 0) {
		doctor_say(d, id, what, "idmapped mount",
		    must ? DOCTOR_FATAL : DOCTOR_MISSING, "%s: %s", dir,
		    strerror(errno));
		return;
	}
	if (geteuid() != 0) {
		doctor_say(d, id, what, "idmapped mount", DOCTOR_UNTRIED,
		    "needs root");
		return;
	}
	mnt = workspace_mount(fd, &c, 0, &err);
	if (mnt >= 0)
		doctor_say(d, id, what, "idmapped mount", DOCTOR_IN_FORCE,
		    "on %s", dir);
	else
		doctor_say(d, id, what, "idmapped mount",
		    must ? DOCTOR_FATAL : DOCTOR_MISSING,
		    "%s: %s cannot be a workspace", err.msg, dir);
}

static bool
line_has_word(const char *path, const char *word)
{
	FILE *f = fopen(path, "re");
	char line[512];
	bool found = false;

	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL)
		found = strstr(line, word) != NULL;
	(void)fclose(f);
	return found;
}

/*
 * Whether the kernel has a file system or driver, or a module for it: asking
 * by using it would load the module.
 */
static bool
kernel_has(const char *fs, const char *device)
{
	cleanup_free char *listed = xasprintf("\t%s\n", fs);
	cleanup_free char *module = xasprintf("/%s.ko", fs);
	struct utsname u;

	if (line_has_word("/proc/filesystems", listed))
		return true;
	if (device != NULL && access(device, F_OK) == 0)
		return true;
	(void)uname(&u);
	cleanup_free char *dep =
	    xasprintf("/lib/modules/%s/modules.dep", u.release);
	cleanup_free char *builtin =
	    xasprintf("/lib/modules/%s/modules.builtin", u.release);
	return line_has_word(dep, module) || line_has_word(builtin, module);
}

/* NULL if uppers of overlays can live there, else why not. */
static const char *
no_upper(long type)
{
	switch (type) {
	case OVERLAYFS_SUPER_MAGIC:
		return "is an overlay itself";
	case NFS_SUPER_MAGIC:
	case 0x65735546: /* FUSE */
	case SMB_SUPER_MAGIC:
	case 0xff534d42: /* CIFS */
	case MSDOS_SUPER_MAGIC:
	case V9FS_MAGIC:
		return "has no trusted attributes or no whiteouts";
	default:
		return NULL;
	}
}

static void
check_overlay(const struct doctor *d)
{
	static const char what[] = "staged workspace, diff and apply";
	const char *why;
	char found[4096];
	struct statfs fs;
	cleanup_fd int fd = -1;

	if (!kernel_has("overlay", NULL)) {
		doctor_say(d, "overlay", what, "overlayfs", DOCTOR_MISSING,
		    "not in this kernel: jobs of profiles with `sandbox "
		    "workspace staged` are refused");
		return;
	}
	if (d->state_dir == NULL)
		return;
	fd = open_nearest(d->state_dir, found, sizeof(found));
	if (fd < 0 || fstatfs(fd, &fs) < 0) {
		doctor_say(d, "overlay", what, "overlayfs", DOCTOR_MISSING,
		    "state-dir %s: %s", d->state_dir, strerror(errno));
		return;
	}
	why = no_upper((long)fs.f_type);
	if (why != NULL)
		doctor_say(d, "overlay", what, "overlayfs", DOCTOR_MISSING,
		    "state-dir %s %s: move it to ext4, xfs or btrfs",
		    d->state_dir, why);
	else
		doctor_say(d, "overlay", what, "overlayfs", DOCTOR_IN_FORCE,
		    "layers below state-dir %s, %.1f GiB free", d->state_dir,
		    (double)fs.f_bavail * (double)fs.f_frsize / (1 << 30));
}

static void
check_images(const struct doctor *d)
{
	static const char what[] = "root from a squashfs image";
	bool loop = kernel_has("loop", "/dev/loop-control");
	bool squashfs = kernel_has("squashfs", NULL);

	if (loop && squashfs)
		doctor_say(d, "images", what, "loop, squashfs", DOCTOR_IN_FORCE,
		    "for `sandbox root IMAGE`");
	else
		doctor_say(d, "images", what, "loop, squashfs", DOCTOR_MISSING,
		    "%s%s%s not in this kernel: `sandbox root` takes folders "
		    "and archives only",
		    loop ? "" : "loop", loop || squashfs ? "" : " and ",
		    squashfs ? "" : "squashfs");
}

/* What ext4file.c needs. */
static void
check_sizes(const struct doctor *d)
{
	static const char what[] = "limit disk on disk, kept homes";
	const bool loop = kernel_has("loop", "/dev/loop-control");
	const bool ext4 = kernel_has("ext4", NULL);
	const bool mkfs = access("/usr/sbin/mkfs.ext4", X_OK) == 0 ||
			  access("/sbin/mkfs.ext4", X_OK) == 0;

	if (loop && ext4 && mkfs)
		doctor_say(d, "sizes", what, "loop, ext4", DOCTOR_IN_FORCE,
		    "each in a file system of its own below state-dir");
	else
		doctor_say(d, "sizes", what, "loop, ext4", DOCTOR_MISSING,
		    "%s: jobs that need it are refused; memory file systems "
		    "are limited all the same",
		    !mkfs   ? "mkfs.ext4 is not installed (e2fsprogs)"
		    : !loop ? "no loop devices in this kernel"
			    : "no ext4 in this kernel");
}

void
doctor_files(const struct doctor *d)
{
	if (d->state_dir != NULL)
		check_idmap(d, "idmap-state", d->state_dir, false);
	if (d->workspace != NULL)
		check_idmap(d, "idmap-workspace", d->workspace, true);
	check_overlay(d);
	check_images(d);
	check_sizes(d);
}
