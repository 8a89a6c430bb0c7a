/*
 * What a program in a jail can see and reach, one fact a line, in an order
 * and wording that does not change from run to run.  Compared with
 * whatcanisee.expected, so that whoever widens the jail sees what it opens.
 * Facts that depend on the kernel begin with "[kernel] ", those that depend on
 * the host's packages and memory with "[host] ": see whatcanisee.sh.
 *
 *   whatcanisee [-l] [HOST]
 *
 * HOST is a file with the namespaces of the host ("mnt:[4026531841]" ...), to
 * tell which differ.  -l only looks: for a run with root's powers, it asks
 * access(2) where a jailed run tries, and leaves out what could change or
 * disturb a host.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <mntent.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/compat.h"

#define KEEP 65536 /* lines of a section that is sorted */
#define LINE 512
#define WALK_FDS 32

extern char **environ;

static bool look_only;
static char *kept[KEEP];
static size_t nkept;

/* A line of a section whose order is the kernel's business. */
static void keep(const char *fmt, ...) attr_printf(1, 2);

static void
keep(const char *fmt, ...)
{
	char line[LINE];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (nkept == KEEP || (kept[nkept] = strdup(line)) == NULL) {
		(void)printf("too much to see\n");
		exit(1);
	}
	nkept++;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
flush(void)
{
	size_t i;

	qsort(kept, nkept, sizeof(kept[0]), by_text);
	for (i = 0; i < nkept; i++) {
		(void)printf("%s\n", kept[i]);
		free(kept[i]);
	}
	nkept = 0;
}

static const char *
result(long r)
{
	return r >= 0 ? "ok" : strerrorname_np(errno);
}

/* The lines of a file that begin with one of the words. */
static void
lines_of(const char *title, const char *path, const char *const *words)
{
	FILE *f = fopen(path, "re");
	char line[LINE];
	size_t i;

	if (f == NULL) {
		(void)printf("%s: %s\n", title, strerrorname_np(errno));
		return;
	}
	while (fgets(line, sizeof(line), f) != NULL) {
		char *c;

		line[strcspn(line, "\n")] = '\0';
		for (c = line; *c != '\0'; c++)
			if (*c == '\t')
				*c = ' ';
		for (i = 0; words[i] != NULL; i++)
			if (strncmp(line, words[i], strlen(words[i])) == 0)
				(void)printf("%s: %s\n", title, line);
	}
	(void)fclose(f);
}

static void
see_identity(void)
{
	static const char *const status[] = { "Uid:", "Gid:", "Groups:",
		"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:",
		"NoNewPrivs:", "Seccomp:", "Seccomp_filters:", "Umask:",
		"TracerPid:", "THP_enabled:", NULL };
	static const char *const maps[] = { " ", NULL };
	struct utsname u;

	lines_of("process", "/proc/self/status", status);
	lines_of("uid map", "/proc/self/uid_map", maps);
	lines_of("gid map", "/proc/self/gid_map", maps);
	(void)printf("dumpable: %d\n", prctl(PR_GET_DUMPABLE));
	(void)printf("securebits: %#x\n", (unsigned)prctl(PR_GET_SECUREBITS));
	(void)printf("parent death signal: %s\n",
	    prctl(PR_SET_PDEATHSIG, 0) == 0 ? "can be changed" : "fixed");
	(void)uname(&u);
	(void)printf("host name: %s.%s\n", u.nodename, u.domainname);
	(void)printf("pid %d, parent %d, session %d, group %d\n", getpid(),
	    getppid(), getsid(0), getpgrp());
	/* brigd may be made to yield to others, and its jobs with it. */
	(void)printf("[host] nice %d\n", getpriority(PRIO_PROCESS, 0));
	(void)printf("nice below 0: %s, scheduler %d, personality %#x\n",
	    getpriority(PRIO_PROCESS, 0) < 0 ? "yes" : "no",
	    sched_getscheduler(0), (unsigned)personality(0xffffffff));
}

/* Which namespaces are others than those named in the file. */
static void
see_namespaces(const char *host)
{
	static const char *const names[] = { "cgroup", "ipc", "mnt", "net",
		"pid", "pid_for_children", "time", "time_for_children", "user",
		"uts" };
	char known[4096] = "", path[64], link[128];
	FILE *f = host != NULL ? fopen(host, "re") : NULL;
	size_t i, n = 0;
	ssize_t len;

	if (f != NULL) {
		n = fread(known, 1, sizeof(known) - 1, f);
		(void)fclose(f);
	}
	known[n] = '\0';
	for (i = 0; i < nitems(names); i++) {
		(void)snprintf(
		    path, sizeof(path), "/proc/self/ns/%s", names[i]);
		len = readlink(path, link, sizeof(link) - 1);
		if (len < 0) {
			(void)printf("namespace %s: %s\n", names[i],
			    strerrorname_np(errno));
			continue;
		}
		link[len] = '\0';
		(void)printf("namespace %s: %s\n", names[i],
		    n == 0                        ? "nothing to compare with"
		    : strstr(known, link) != NULL ? "the host's"
						  : "own");
	}
}

static void
see_mounts(void)
{
	/* The source names the host's device, ids and sizes depend on it. */
	static const char *const keep_options[] = { "ro", "rw", "nosuid",
		"nodev", "noexec", "hidepid=", "subset=", "size=", "nr_inodes=",
		"mode=", "ptmxmode=", "newinstance", NULL };
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;

	if (f == NULL) {
		(void)printf("mounts: %s\n", strerrorname_np(errno));
		return;
	}
	while ((m = getmntent(f)) != NULL) {
		char options[256] = "";
		char *o, *save = NULL;
		size_t i;

		for (o = strtok_r(m->mnt_opts, ",", &save); o != NULL;
		     o = strtok_r(NULL, ",", &save))
			for (i = 0; keep_options[i] != NULL; i++) {
				size_t n = strlen(keep_options[i]);

				if (strncmp(o, keep_options[i], n) != 0 ||
				    (o[n] != '\0' &&
					keep_options[i][n - 1] != '='))
					continue;
				(void)strlcat(options, " ", sizeof(options));
				(void)strlcat(options, o, sizeof(options));
			}
		/* What is bound from the host has the host's file system. */
		keep("%smount %s: %s%s",
		    strncmp(m->mnt_dir, "/etc/", 5) == 0    ? "[host] "
		    : strncmp(m->mnt_dir, "/proc/", 6) == 0 ? "[kernel] "
							    : "",
		    m->mnt_dir,
		    strcmp(m->mnt_type, "tmpfs") == 0 ||
			    strcmp(m->mnt_type, "proc") == 0 ||
			    strcmp(m->mnt_type, "devpts") == 0 ||
			    strcmp(m->mnt_type, "mqueue") == 0 ||
			    strcmp(m->mnt_type, "sysfs") == 0 ||
			    strncmp(m->mnt_type, "cgroup", 6) == 0
			? m->mnt_type
			: "disk",
		    options);
	}
	(void)endmntent(f);
	flush();
}

/* 0 if path can be written, else an errno. */
static int
try_write(const char *path, bool directory)
{
	char probe[PATH_MAX];
	int fd, error = 0;

	if (look_only)
		return access(path, W_OK) == 0 ? 0 : errno;
	(void)snprintf(probe, sizeof(probe), "%s/.probe", path);
	if (directory)
		fd = open(probe, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	else
		fd = open(path,
		    O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		error = errno;
	else
		(void)close(fd);
	if (fd >= 0 && directory)
		(void)unlink(probe);
	return error;
}

static int
see_path(const char *path, const struct stat *st, int kind,
    struct FTW *at attr_unused)
{
	bool file = S_ISREG(st->st_mode),
	     device = !file && (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode));
	struct statvfs fs;
	int error;

	if (kind == FTW_DNR)
		keep("[host] directory that cannot be read: %s", path);
	else if (S_ISDIR(st->st_mode) && try_write(path, true) == 0)
		keep("writable directory: %s", path);
	if (file && (st->st_mode & (S_ISUID | S_ISGID)) != 0 &&
	    statvfs(path, &fs) == 0 && !(fs.f_flag & ST_NOSUID))
		keep("setuid program that works: %s", path);
	/* Root can write too many to name. */
	if (file && !look_only && try_write(path, false) == 0)
		keep("writable file: %s", path);
	if (device) {
		error = try_write(path, false);
		keep("device to write: %s: %s", path,
		    error == 0 ? "ok" : strerrorname_np(error));
	}
	if (S_ISSOCK(st->st_mode) || S_ISFIFO(st->st_mode))
		keep("%s: %s", S_ISSOCK(st->st_mode) ? "socket" : "fifo", path);
	return 0;
}

static void
see_tree(void)
{
	struct dirent *e;
	DIR *d = opendir("/");
	char path[PATH_MAX];
	struct stat st;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		(void)snprintf(path, sizeof(path), "/%s", e->d_name);
		if (lstat(path, &st) < 0)
			continue;
		keep("%sin /: %s%s", S_ISLNK(st.st_mode) ? "[host] " : "",
		    e->d_name, S_ISLNK(st.st_mode) ? " (link)" : "");
	}
	if (d != NULL)
		(void)closedir(d);
	flush();
	/* /proc is another section: its processes come and go. */
	static const char *const tops[] = { "/dev", "/etc", "/home", "/media",
		"/mnt", "/opt", "/root", "/run", "/srv", "/sys", "/tmp", "/usr",
		"/var", "/boot", "/workspace" };
	for (size_t i = 0; i < nitems(tops); i++)
		if (lstat(tops[i], &st) == 0 && S_ISDIR(st.st_mode))
			(void)nftw(tops[i], see_path, WALK_FDS, FTW_PHYS);
	flush();
	d = opendir("/dev");
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			keep("in /dev: %s", e->d_name);
	if (d != NULL)
		(void)closedir(d);
	flush();
	d = opendir("/etc");
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			keep("[host] in /etc: %s", e->d_name);
	if (d != NULL)
		(void)closedir(d);
	flush();
}

static void
see_descriptors(void)
{
	char path[64], link[PATH_MAX];
	ssize_t n;
	int fd, max = (int)sysconf(_SC_OPEN_MAX);

	for (fd = 0; fd < max && fd < 65536; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, link, sizeof(link) - 1);
		link[n < 0 ? 0 : n] = '\0';
		/* A file of the host by any name is worth a line. */
		(void)printf("descriptor %d: %s\n", fd,
		    strncmp(link, "pipe:", 5) == 0     ? "pipe"
		    : strncmp(link, "socket:", 7) == 0 ? "socket"
						       : link);
	}
}

/* Connect a stream or send a datagram; "ok" is what a jail answers for every
 * address, since all of them are captured. */
static const char *
reach(int family, int type, const char *address, uint16_t port)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	const struct sockaddr *a =
	    family == AF_INET ? (void *)&a4 : (void *)&a6;
	socklen_t len = family == AF_INET ? sizeof(a4) : sizeof(a6);
	struct pollfd p = { .events = POLLOUT };
	socklen_t size = sizeof(int);
	int error = 0;

	(void)inet_pton(family, address,
	    family == AF_INET ? (void *)&a4.sin_addr : (void *)&a6.sin6_addr);
	p.fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p.fd < 0)
		return strerrorname_np(errno);
	if (connect(p.fd, a, len) < 0 && errno != EINPROGRESS)
		error = errno;
	else if (poll(&p, 1, 2000) == 0)
		error = ETIMEDOUT;
	else
		(void)getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error == 0 && type == SOCK_DGRAM && write(p.fd, "?", 1) < 0)
		error = errno;
	(void)close(p.fd);
	return error == 0 ? "ok" : strerrorname_np(error);
}

static void
see_families(void)
{
	/* Family, type, protocol. */
	static const struct {
		const char *name;
		int family, type, protocol;
	} all[] = {
		{ "inet stream", AF_INET, SOCK_STREAM, 0 },
		{ "inet datagram", AF_INET, SOCK_DGRAM, 0 },
		{ "inet raw", AF_INET, SOCK_RAW, IPPROTO_RAW },
		{ "inet icmp", AF_INET, SOCK_DGRAM, IPPROTO_ICMP },
		{ "inet sctp", AF_INET, SOCK_STREAM, IPPROTO_SCTP },
		{ "inet mptcp", AF_INET, SOCK_STREAM, 262 },
		{ "inet6 stream", AF_INET6, SOCK_STREAM, 0 },
		{ "inet6 raw", AF_INET6, SOCK_RAW, IPPROTO_RAW },
		{ "unix stream", AF_UNIX, SOCK_STREAM, 0 },
		{ "netlink route", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE },
		{ "netlink audit", AF_NETLINK, SOCK_RAW, NETLINK_AUDIT },
		{ "netlink netfilter", AF_NETLINK, SOCK_RAW,
		    NETLINK_NETFILTER },
		{ "netlink uevent", AF_NETLINK, SOCK_RAW,
		    NETLINK_KOBJECT_UEVENT },
		{ "packet", AF_PACKET, SOCK_RAW, 0 },
		{ "vsock", AF_VSOCK, SOCK_STREAM, 0 },
		{ "alg", AF_ALG, SOCK_SEQPACKET, 0 },
		{ "key", AF_KEY, SOCK_RAW, 2 },
		{ "bluetooth", AF_BLUETOOTH, SOCK_RAW, 1 },
		{ "can", AF_CAN, SOCK_RAW, 1 },
		{ "xdp", AF_XDP, SOCK_RAW, 0 },
		{ "tipc", AF_TIPC, SOCK_SEQPACKET, 0 },
		{ "rds", AF_RDS, SOCK_SEQPACKET, 0 },
		{ "smc", AF_SMC, SOCK_STREAM, 0 },
		{ "kcm", AF_KCM, SOCK_DGRAM, 0 },
		{ "qipcrtr", AF_QIPCRTR, SOCK_DGRAM, 0 },
	};
	size_t i;
	int fd;

	for (i = 0; i < nitems(all); i++) {
		fd = socket(
		    all[i].family, all[i].type | SOCK_CLOEXEC, all[i].protocol);
		(void)printf("socket %s: %s\n", all[i].name, result(fd));
		if (fd >= 0)
			(void)close(fd);
	}
}

static void
see_network(void)
{
	static const struct {
		int family, type;
		const char *address;
		uint16_t port;
	} all[] = {
		{ AF_INET, SOCK_STREAM, "93.184.216.34", 443 },
		{ AF_INET, SOCK_STREAM, "169.254.169.254", 80 },
		{ AF_INET, SOCK_STREAM, "10.0.0.1", 22 },
		{ AF_INET, SOCK_STREAM, "127.0.0.1", 22 },
		{ AF_INET, SOCK_STREAM, "127.0.0.1", 3128 },
		{ AF_INET, SOCK_DGRAM, "8.8.8.8", 53 },
		{ AF_INET, SOCK_DGRAM, "8.8.8.8", 443 },
		{ AF_INET, SOCK_DGRAM, "255.255.255.255", 67 },
		{ AF_INET6, SOCK_STREAM, "2606:2800::1", 443 },
		{ AF_INET6, SOCK_STREAM, "::1", 22 },
		{ AF_INET6, SOCK_STREAM, "fe80::1", 22 },
		{ AF_INET6, SOCK_DGRAM, "2001:4860:4860::8888", 53 },
	};
	struct if_nameindex *ifs = if_nameindex();
	size_t i;

	see_families();
	for (i = 0; !look_only && i < nitems(all); i++)
		(void)printf("%s %s port %u: %s\n",
		    all[i].type == SOCK_STREAM ? "tcp" : "udp", all[i].address,
		    all[i].port,
		    reach(all[i].family, all[i].type, all[i].address,
			all[i].port));
	/* if_nameindex(3) uses netlink. */
	(void)printf(
	    "interfaces by netlink: %s\n", result(ifs == NULL ? -1 : 0));
	for (i = 0; ifs != NULL && ifs[i].if_name != NULL; i++)
		keep("interface %s", ifs[i].if_name);
	flush();
	DIR *d = opendir("/proc/self/net/dev_snmp6");
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			keep("interface by /proc: %s", e->d_name);
	if (d != NULL)
		(void)closedir(d);
	flush();
}

/* Unix sockets: well-known ones of hosts, and every abstract name listed. */
static void
see_unix(void)
{
	static const char *const all[] = { "/run/brig/brigd.sock",
		"/run/docker.sock", "/var/run/docker.sock",
		"/run/containerd/containerd.sock",
		"/run/dbus/system_bus_socket", "/run/systemd/private",
		"/run/systemd/journal/stdout", "/run/systemd/notify",
		"/dev/log", "/tmp/.X11-unix/X0", "@/tmp/.X11-unix/X0",
		"@whatcanisee" };
	FILE *f = fopen("/proc/self/net/unix", "re");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char line[LINE], *name;
	size_t i, n;
	int fd;

	for (i = 0; i < nitems(all); i++) {
		n = strlcpy(a.sun_path, all[i], sizeof(a.sun_path));
		if (all[i][0] == '@')
			a.sun_path[0] = '\0';
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		(void)printf("unix %s: %s\n", all[i],
		    result(connect(fd, (struct sockaddr *)&a,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				    n))));
		(void)close(fd);
	}
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		name = strrchr(line, ' ');
		if (name != NULL && (name[1] == '@' || name[1] == '/'))
			keep("unix listed: %s", name + 1);
	}
	if (f != NULL)
		(void)fclose(f);
	flush();
}

static void
see_processes(void)
{
	static const char *const files[] = { "cmdline", "environ", "mem",
		"maps", "root", "cwd", "exe", "fd", "status" };
	struct dirent *e;
	DIR *d = opendir("/proc");
	int n = 0, pid;
	size_t i;
	char path[64];

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9') {
			pid = (int)strtol(e->d_name, NULL, 10);
			n++;
			if (pid != getpid() && n < 64)
				keep("visible process: %d", pid);
		}
	if (d != NULL)
		(void)closedir(d);
	flush();
	(void)printf("visible processes: %d\n", n);
	for (i = 0; i < nitems(files); i++) {
		(void)snprintf(path, sizeof(path), "/proc/1/%s", files[i]);
		(void)printf("pid 1 %s: %s\n", files[i],
		    result(open(path, O_RDONLY | O_CLOEXEC)));
	}
}

/* Entries of /proc and /sys that tell about, or change, the host. */
static void
see_proc(void)
{
	static const char *const reads[] = { "/proc/kcore", "/proc/kmsg",
		"/proc/kallsyms", "/proc/keys", "/proc/key-users",
		"/proc/sched_debug", "/proc/timer_list", "/proc/slabinfo",
		"/proc/iomem", "/proc/vmallocinfo", "/proc/config.gz",
		"/proc/cmdline", "/proc/modules", "/proc/mounts",
		"/proc/partitions", "/proc/diskstats", "/proc/swaps",
		"/proc/interrupts", "/proc/stat", "/proc/loadavg",
		"/proc/meminfo", "/proc/cpuinfo", "/proc/version",
		"/proc/bus/pci", "/proc/fs", "/proc/scsi", "/proc/acpi",
		"/proc/driver", "/proc/irq", "/proc/asound", "/proc/self/stack",
		"/proc/self/pagemap", "/proc/self/auxv",
		"/proc/self/attr/current", "/sys", "/sys/kernel/debug",
		"/sys/fs/cgroup", "/dev/kmsg", "/dev/mem", "/dev/kvm",
		"/dev/fuse", "/dev/net/tun", "/dev/loop-control",
		"/dev/vhost-vsock", "/etc/shadow", "/etc/sudoers" };
	static const char *const writes[] = { "/proc/sysrq-trigger",
		"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
		"/proc/sys/kernel/hostname", "/proc/sys/vm/memfd_noexec",
		"/proc/sys/vm/drop_caches", "/proc/sys/fs/binfmt_misc/register",
		"/proc/sys/net/ipv4/ip_forward",
		"/proc/sys/user/max_user_namespaces", "/proc/self/uid_map",
		"/proc/self/oom_score_adj", "/proc/self/comm", "/proc/self/mem",
		"/proc/self/timens_offsets", "/proc/self/attr/current",
		"/proc/self/loginuid" };
	struct dirent *e;
	DIR *d;
	size_t i;
	char c;

	for (i = 0; i < nitems(reads); i++) {
		int fd = open(reads[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC);

		if (fd >= 0 && !look_only && read(fd, &c, 1) < 0 &&
		    errno != EISDIR) {
			(void)printf("[kernel] read %s: opened, then %s\n",
			    reads[i], strerrorname_np(errno));
		} else {
			(void)printf(
			    "[kernel] read %s: %s\n", reads[i], result(fd));
		}
		if (fd >= 0)
			(void)close(fd);
	}
	for (i = 0; !look_only && i < nitems(writes); i++)
		(void)printf("[kernel] open for writing %s: %s\n", writes[i],
		    result(open(writes[i], O_WRONLY | O_CLOEXEC)));
	d = opendir("/proc");
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] > '9')
			keep("[kernel] in /proc: %s", e->d_name);
	if (d != NULL)
		(void)closedir(d);
	flush();
}

static void
see_environment(void)
{
	for (char **e = environ; *e != NULL; e++)
		keep("variable %.*s", (int)strcspn(*e, "="), *e);
	flush();
}

static void
see_limits(void)
{
	static const char *const all[] = { "Max ", NULL };

	lines_of("[host] limit", "/proc/self/limits", all);
}

static void
see_keyrings(void)
{
	static const struct {
		const char *name;
		int id;
	} all[] = { { "thread", -1 }, { "process", -2 }, { "session", -3 },
		{ "user", -4 }, { "user session", -5 } };
	size_t i;

	for (i = 0; i < nitems(all); i++) /* KEYCTL_GET_KEYRING_ID */
		(void)printf("keyring %s: %s\n", all[i].name,
		    result(syscall(SYS_keyctl, 0, all[i].id, 0)));
	(void)printf("add_key: %s\n",
	    result(syscall(SYS_add_key, "user", "x", "x", 1, -2)));
}

static void
see_clocks(void)
{
	struct timespec boot, now;

	(void)clock_gettime(CLOCK_BOOTTIME, &boot);
	(void)printf("up for: %s\n", boot.tv_sec < 60 ? "a moment" : "longer");
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (!look_only)
		(void)printf("set the clock: %s\n",
		    result(clock_settime(CLOCK_REALTIME, &now)));
}

/* Calls that would change what the other sections say. */
static void
see_powers(void)
{
	int fd = (int)syscall(SYS_memfd_create, "x", 0);

	(void)printf(
	    "new user namespace: %s\n", result(unshare(CLONE_NEWUSER)));
	(void)printf("new mount namespace: %s\n", result(unshare(CLONE_NEWNS)));
	(void)printf("setuid(0): %s\n", result(setuid(0)));
	(void)printf("chroot: %s\n", result(chroot("/tmp")));
	(void)printf("memfd: %s\n", result(fd));
	(void)printf("[kernel] memfd executable: %s\n",
	    result(fd < 0 ? -1 : faccessat(fd, "", X_OK, AT_EMPTY_PATH)));
	(void)printf("bpf: %s\n", result(syscall(SYS_bpf, 0, NULL, 0)));
	(void)printf("perf_event_open: %s\n",
	    result(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0)));
	(void)printf(
	    "io_uring: %s\n", result(syscall(SYS_io_uring_setup, 1, NULL)));
	(void)printf("userfaultfd: %s\n", result(syscall(SYS_userfaultfd, 0)));
	(void)printf("syslog: %s\n", result(syscall(SYS_syslog, 3, NULL, 0)));
	(void)printf("nice -1: %s\n", result(setpriority(PRIO_PROCESS, 0,
					  getpriority(PRIO_PROCESS, 0) - 1)));
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "-l") == 0) {
		look_only = true;
		argc--;
		argv++;
	}
	see_identity();
	see_namespaces(argc > 1 ? argv[1] : NULL);
	see_descriptors();
	see_environment();
	see_limits();
	see_mounts();
	see_processes();
	see_tree();
	see_proc();
	see_network();
	see_unix();
	see_keyrings();
	see_clocks();
	if (!look_only)
		see_powers();
	return 0;
}
