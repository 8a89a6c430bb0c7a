/*
 * What of a staged tree must not land, and what the overlay noted about it
 * (Documentation/filesystems/overlayfs.rst; the xattrs are user.overlay.*
 * since the layers are mounted with userxattr).
 */
#include "daemon/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"

#define X_ORIGIN "user.overlay.origin"
#define X_OPAQUE "user.overlay.opaque"
#define X_OVERLAY "user.overlay."
#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

/* struct ovl_fb: version, magic, length, flags, type, uuid, handle */
#define ORIGIN_MAGIC 0xfb
#define ORIGIN_HEADER 21u
#define ORIGIN_MAX 256u

#define NSEC INT64_C(1000000000)
#define SKEW_NS (2 * NSEC) /* of the two clocks, by slewing */

void
stage_refuse(struct stage_change *c, const char *fmt, ...)
{
	char text[STAGE_WHY_MAX];
	va_list ap;

	/* The first reason is the one to go by. */
	if (c->refuse != NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->refuse = xstrdup(text);
}

void
stage_check_clock(struct stage *s)
{
	struct stage_record now = s->now;
	int64_t real, boot;

	s->clock_ok = false;
	if (stage_record_clock(&now, NULL) < 0)
		return;
	real = (now.start_s - s->rec.start_s) * NSEC +
	       ((int64_t)now.start_ns - (int64_t)s->rec.start_ns);
	if (real < 0)
		return;
	s->clock_ok = true;
	/* Another boot: nothing to compare with but that time went on. */
	if (!str_eq(now.boot_id, s->rec.boot_id))
		return;
	boot = (int64_t)(now.boot_ns - s->rec.boot_ns);
	s->clock_ok = real >= boot - SKEW_NS - boot / 1000;
}

bool
stage_is_later(const struct stage *s, const struct timespec *t)
{
	return t->tv_sec > s->rec.start_s ||
	       (t->tv_sec == s->rec.start_s &&
		   (uint32_t)t->tv_nsec > s->rec.start_ns);
}

/* ---- notes of the overlay ---------------------------------------------- */

bool
stage_is_opaque(int fd)
{
	char v[4];

	return fgetxattr(fd, X_OPAQUE, v, sizeof(v)) == 1 && v[0] == 'y';
}

/* FNV-1a of a file handle: to find it again, not to trust it. */
static uint64_t
handle_hash(uint8_t type, const uint8_t *p, size_t n)
{
	uint64_t h =
	    (UINT64_C(0xcbf29ce484222325) ^ type) * UINT64_C(0x100000001b3);

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h == 0 ? 1 : h;
}

uint64_t
stage_origin(int fd)
{
	uint8_t v[ORIGIN_MAX];
	ssize_t n = fgetxattr(fd, X_ORIGIN, v, sizeof(v));

	if (n <= (ssize_t)ORIGIN_HEADER || v[1] != ORIGIN_MAGIC || v[2] != n)
		return 0;
	return handle_hash(v[4], v + ORIGIN_HEADER, (size_t)n - ORIGIN_HEADER);
}

uint64_t
stage_handle(int dir, const char *name)
{
	union {
		struct file_handle h;
		uint8_t space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u;
	size_t n;
	int mount;

	memset(&u, 0, sizeof(u));
	u.h.handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(dir, name, &u.h, &mount, 0) < 0)
		return 0;
	/* The overlay keeps whole words. */
	n = (u.h.handle_bytes + 3u) & ~3u;
	return handle_hash((uint8_t)u.h.handle_type, u.h.f_handle, n);
}

/* ---- what must not land ------------------------------------------------ */

/* Access lists only where the workspace has the very same. */
static bool
same_acl(const char *name, const void *v, size_t n, int base_fd)
{
	cleanup_free char *have = xmalloc(n + 1);

	return base_fd >= 0 &&
	       fgetxattr(base_fd, name, have, n + 1) == (ssize_t)n &&
	       memcmp(have, v, n) == 0;
}

static void
check_xattr(struct stage_change *c, int fd, int base_fd, const char *name)
{
	cleanup_free char *v = NULL;
	cleanup_free char *shown = NULL;
	ssize_t n;

	if (str_starts(name, "user.") || str_starts(name, "security.selinux") ||
	    str_starts(name, "security.SMACK64"))
		return;
	n = fgetxattr(fd, name, NULL, 0);
	v = xmalloc(n > 0 ? (size_t)n : 1);
	if (n > 0)
		n = fgetxattr(fd, name, v, (size_t)n);
	if (n > 0 && (str_eq(name, ACL_ACCESS) || str_eq(name, ACL_DEFAULT)) &&
	    same_acl(name, v, (size_t)n, base_fd))
		return;
	shown = str_escape(name, strlen(name));
	stage_refuse(c, "has the extended attribute %.100s", shown);
}

static void
check_xattrs(struct stage_change *c, int fd, int base_fd)
{
	cleanup_free char *list = NULL;
	ssize_t n = flistxattr(fd, NULL, 0);

	if (n == 0 || (n < 0 && errno == ENOTSUP)) {
		c->plain = true;
		return;
	}
	if (n < 0 || n > (ssize_t)STAGE_XATTRS_MAX) {
		stage_refuse(c, "has too many extended attributes");
		return;
	}
	list = xmalloc((size_t)n + 1);
	n = flistxattr(fd, list, (size_t)n);
	if (n < 0) {
		stage_refuse(c, "its extended attributes cannot be read");
		return;
	}
	list[n] = '\0';
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(list + i) + 1)
		check_xattr(c, fd, base_fd, list + i);
}

void
stage_check_entry(struct stage_change *c, int fd, int base_fd)
{
	const mode_t m = c->now.st_mode;

	if (S_ISFIFO(m))
		stage_refuse(c, "is a fifo");
	else if (S_ISSOCK(m))
		stage_refuse(c, "is a socket");
	else if (S_ISCHR(m) || S_ISBLK(m))
		stage_refuse(c, "is a device");
	else if (S_ISREG(m) && (m & (S_ISUID | S_ISGID)) != 0)
		stage_refuse(c, "is %s", m & S_ISUID ? "setuid" : "setgid");
	else if (S_ISDIR(m) && (m & S_ISUID) != 0)
		stage_refuse(c, "is a setuid directory");
	else if (S_ISREG(m) && fd < 0)
		stage_refuse(c, "cannot be read with mode %04o",
		    (unsigned int)(m & 07777));
	if (fd >= 0)
		check_xattrs(c, fd, base_fd);
}
