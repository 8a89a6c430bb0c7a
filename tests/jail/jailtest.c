/*
 * brig-jailtest: run a command in a jail, without shim, proxy or policy.  The
 * capture sockets exist and nobody reads them, unless -c says so.  Used by
 * the tests and as the benchmark jail_start.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "sandbox/ahead.h"
#include "sandbox/filter.h"
#include "sandbox/home.h"
#include "sandbox/image.h"
#include "sandbox/jail.h"

#define HOST_UID 64321
#define RULES 64

#ifndef IPV6_ORIGDSTADDR
#define IPV6_ORIGDSTADDR 74
#endif
#ifndef IP_ORIGDSTADDR
#define IP_ORIGDSTADDR 20
#endif

static const char usage[] =
    "usage: brig-jailtest [-AcLTt] [-w dir] [-r rule] [-e K=V] [-n repeat]\n"
    "    [-x noexec-workspace|noexec-tmp|memfd-exec|deny-read|deny-write|\n"
    "        strict|nested|protect|tmp-size=N|tmp-inodes=N] [-R tree] [-I "
    "root] [-H home -S state] [-g folder of a cgroup]\n"
    "    command ...\n"
    "       brig-jailtest --bpf >file: a job's filter, for --seccomp of bwrap\n"
    "-A: what can be made ahead is (also with BRIG_JAIL_AHEAD set)\n"
    "-L: so, and the jail starts for each byte of standard input; answers 1 "
    "on\n"
    "    standard output when the command has ended, and 2 when all is ready\n"
    "-c: print what was captured; -T: a terminal; -t: times on stderr\n"
    "-r: +r:PATTERN +w:PATTERN -r:PATTERN -w:PATTERN\n";

static double
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int
add_rule(struct jail_rule *r, const char *s)
{
	if ((s[0] != '+' && s[0] != '-') || (s[1] != 'r' && s[1] != 'w') ||
	    s[2] != ':')
		return -1;
	r->allow = s[0] == '+';
	r->write = s[1] == 'w';
	r->pattern = s + 3;
	return 0;
}

static int
add_option(struct jail_config *c, const char *s)
{
	if (str_eq(s, "noexec-workspace"))
		c->workspace_exec = false;
	else if (str_eq(s, "noexec-tmp"))
		c->tmp_exec = false;
	else if (str_eq(s, "memfd-exec"))
		c->memfd_exec = true;
	else if (str_eq(s, "protect"))
		c->protect = true;
	else if (str_eq(s, "deny-read"))
		c->read_default = false;
	else if (str_eq(s, "deny-write"))
		c->write_default = false;
	else if (str_eq(s, "strict"))
		c->filter = FILTER_STRICT;
	else if (str_eq(s, "nested"))
		c->filter = FILTER_NESTED;
	else if (str_starts(s, "staged=")) {
		c->staged = true;
		c->stage_fd = open(
		    strchr(s, '=') + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return c->stage_fd < 0 ? -1 : 0;
	} else if (str_eq(s, "stage-by-path"))
		c->stage_by_path = true;
	else if (str_starts(s, "stage-inodes=")) {
		uint64_t v = 0;
		int r = str_to_u64(strchr(s, '=') + 1, 1, UINT32_MAX, &v);

		c->stage_inodes = (uint32_t)v;
		return r;
	} else if (str_starts(s, "tmp-inodes=")) {
		uint64_t v = 0;
		int r = str_to_u64(strchr(s, '=') + 1, 1, UINT32_MAX, &v);

		c->tmp_inodes = (uint32_t)v;
		return r;
	} else if (str_starts(s, "tmp-size="))
		return str_to_u64(
		    strchr(s, '=') + 1, 1, UINT64_MAX, &c->tmp_size);
	else if (str_starts(s, "stage-size="))
		return str_to_u64(
		    strchr(s, '=') + 1, 1, UINT64_MAX, &c->stage_size);
	else
		return -1;
	return 0;
}

/* A group for the job: the folder of one on v2, or of some on v1. */
static int
add_group(struct jail_cgroup *g, int v1[JAIL_CGROUP_MAX], const char *path)
{
	cleanup_fd int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (dir < 0 || fstatfs(dir, &fs) < 0 || g->nv1 == JAIL_CGROUP_MAX)
		return -1;
	if ((unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC)
		return (g->v2 = steal_fd(&dir)) < 0 ? -1 : 0;
	v1[g->nv1] = openat(dir, "tasks", O_WRONLY | O_CLOEXEC);
	return v1[g->nv1++] < 0 ? -1 : 0;
}

static void
print_address(const char *what, const struct sockaddr_in6 *a)
{
	char text[INET6_ADDRSTRLEN];

	(void)inet_ntop(AF_INET6, &a->sin6_addr, text, sizeof(text));
	(void)printf(
	    "capture %s %s port %u\n", what, text, ntohs(a->sin6_port));
}

/* The original destination of one datagram (IPV6_ORIGDSTADDR or its IPv4
 * twin, as a mapped address). */
static void
print_datagram(int fd)
{
	struct sockaddr_in6 dst = { .sin6_family = AF_INET6 };
	struct sockaddr_in in4;
	char data[64], control[256];
	struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *cm;

	if (recvmsg(fd, &mh, MSG_DONTWAIT) < 0)
		return;
	for (cm = CMSG_FIRSTHDR(&mh); cm != NULL; cm = CMSG_NXTHDR(&mh, cm)) {
		if (cm->cmsg_level == IPPROTO_IPV6 &&
		    cm->cmsg_type == IPV6_ORIGDSTADDR)
			memcpy(&dst, CMSG_DATA(cm), sizeof(dst));
		if (cm->cmsg_level == IPPROTO_IP &&
		    cm->cmsg_type == IP_ORIGDSTADDR) {
			memcpy(&in4, CMSG_DATA(cm), sizeof(in4));
			dst.sin6_port = in4.sin_port;
			dst.sin6_addr.s6_addr[10] = 0xff;
			dst.sin6_addr.s6_addr[11] = 0xff;
			memcpy(&dst.sin6_addr.s6_addr[12], &in4.sin_addr, 4);
		}
	}
	print_address("udp", &dst);
}

/* What waits on the capture sockets, after the job has ended. */
static void
print_capture(const struct jail *j)
{
	struct sockaddr_in6 a;
	socklen_t len = sizeof(a);
	char data[64];
	int fd;

	while ((fd = accept4(
		    j->capture[CAPTURE_TCP], NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		len = sizeof(a);
		if (getsockname(fd, (struct sockaddr *)&a, &len) == 0)
			print_address("tcp", &a);
		fd_close(&fd);
	}
	print_datagram(j->capture[CAPTURE_UDP]);
	if (recv(j->capture[CAPTURE_DNS], data, sizeof(data), MSG_DONTWAIT) >=
	    0)
		(void)printf("capture dns 127.0.0.53\n");
}

/* What the job wrote to its terminal. */
static void
print_terminal(int fd)
{
	char data[4096];
	ssize_t n;

	(void)fd_nonblock(fd);
	while ((n = read(fd, data, sizeof(data))) > 0)
		(void)fwrite(data, 1, (size_t)n, stdout);
}

/*
 * A job's stacked filters as one program that gives the same answers: where
 * one would allow, it goes on with the next.
 */
static void
write_bpf(void)
{
	struct sock_fprog prog[FILTER_JOB_MAX];
	struct sock_filter out[BPF_MAXINSNS];
	size_t n = filter_job(FILTER_DEFAULT, false, prog), len = 0;

	for (size_t i = 0; i < n; i++) {
		size_t end = len + prog[i].len;

		if (end > nitems(out))
			fatalx("the filters are too long for one program");
		memcpy(out + len, prog[i].filter,
		    prog[i].len * sizeof(*prog[i].filter));
		for (; len < end; len++)
			if (i + 1 < n && out[len].code == (BPF_RET | BPF_K) &&
			    out[len].k == SECCOMP_RET_ALLOW)
				out[len] = (struct sock_filter)BPF_STMT(
				    BPF_JMP | BPF_JA,
				    (uint32_t)(end - len - 1));
	}
	if (fd_write_all(STDOUT_FILENO, out, len * sizeof(*out)) < 0)
		fatal("write");
}

static int
wait_exit(struct jail *j)
{
	struct pollfd p = { .fd = j->ctl_fd, .events = POLLIN };
	struct jail_event ev;

	for (;;) {
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			fatal("poll");
		if (jail_event(j, &ev) == 0)
			continue;
		if (ev.kind == JAIL_EXEC_FAILED)
			log_warnx("%s", ev.error.msg);
		if (ev.kind == JAIL_EXIT)
			return ev.exit == EXIT_SIGNAL ? 128 + ev.code : ev.code;
		if (ev.kind == JAIL_GONE)
			return 125;
	}
}

/* For brig-spawn: what waits for a job in brigd does so here. */
static int
serve(struct jail_config *c)
{
	struct jail_ahead ahead;
	struct error err = { 0 };
	struct jail j;
	char byte;
	int status = 0;

	for (;;) {
		if (ahead_make(&ahead, c->ca_fd, c->trust_fd, &err) < 0)
			fatalx("%s", err.msg);
		if (write(STDOUT_FILENO, "2", 1) != 1 ||
		    read(STDIN_FILENO, &byte, 1) != 1)
			return status;
		c->ahead = &ahead;
		c->stdio[0] = c->stdio[1] = -1;
		if (jail_build(c, &j, &err) < 0 || jail_go(&j, &err) < 0)
			fatalx("%s", err.msg);
		status = wait_exit(&j);
		if (status != 0 || write(STDOUT_FILENO, "1", 1) != 1)
			return status;
		jail_destroy(&j);
	}
}

static int
run(const struct jail_config *c, bool times, bool capture)
{
	double t0 = now_ms(), t1, t2;
	struct error err = { 0 };
	struct jail j;
	int status;

	if (jail_build(c, &j, &err) < 0) {
		log_warnx("%s", err.msg);
		return 125;
	}
	t1 = now_ms();
	if (jail_go(&j, &err) < 0)
		log_warnx("%s", err.msg);
	status = wait_exit(&j);
	t2 = now_ms();
	if (capture)
		print_capture(&j);
	if (c->tty)
		print_terminal(j.pty_fd);
	jail_destroy(&j);
	if (times)
		(void)fprintf(stderr, "build %.2f run %.2f teardown %.2f ms\n",
		    t1 - t0, t2 - t1, now_ms() - t2);
	return status;
}

int
main(int argc, char **argv)
{
	struct jail_rule rules[RULES];
	char *env[RULES + 1] = { NULL };
	const char *trees[RULES], *home = NULL;
	int hold = -1;
	struct image_conf image = { .state = -1,
		.unpack = getenv("BRIG_UNPACK"),
		.uid = HOST_UID,
		.gid = HOST_UID };
	struct error err = { 0 };
	struct jail_config c = { .host_uid = HOST_UID,
		.host_gid = HOST_UID,
		.workspace_fd = -1,
		.ca_fd = -1,
		.trust_fd = -1,
		.image_fd = -1,
		.home_fd = -1,
		.rules = rules,
		.trees = trees,
		.read_default = true,
		.write_default = true,
		.workspace_exec = true,
		.tmp_exec = true,
		.stdio = { 0, 1, 2 } };
	int v1[JAIL_CGROUP_MAX];
	struct jail_cgroup group = { .v2 = -1, .v1 = v1 };
	size_t nenv = 0;
	bool times = false, capture = false, server = false;
	bool use_ahead = getenv("BRIG_JAIL_AHEAD") != NULL;
	struct jail_ahead ahead;
	uint64_t n = 1;
	struct stat st;
	int ch, status = 0;

	log_init("jailtest", LOG_LEVEL_INFO);
	if (argc == 2 && str_eq(argv[1], "--bpf")) {
		write_bpf();
		return 0;
	}
	while ((ch = getopt(argc, argv, "+AcLTtg:w:r:e:x:n:R:I:H:S:")) != -1) {
		switch (ch) {
		case 'w':
			c.workspace = optarg;
			break;
		case 'r':
			if (c.nrules == RULES ||
			    add_rule(&rules[c.nrules++], optarg) < 0)
				fatalx("bad rule %s", optarg);
			break;
		case 'e':
			if (nenv == RULES)
				fatalx("too many -e");
			env[nenv++] = optarg;
			break;
		case 'x':
			if (add_option(&c, optarg) < 0)
				fatalx("bad option %s", optarg);
			break;
		case 'n':
			if (str_to_u64(optarg, 1, 100000, &n) < 0)
				fatal("-n %s", optarg);
			break;
		case 'I':
			image.path = optarg;
			break;
		case 'H':
			home = optarg;
			break;
		case 'S':
			image.state =
			    open(optarg, O_PATH | O_DIRECTORY | O_CLOEXEC);
			if (image.state < 0)
				fatal("%s", optarg);
			break;
		case 'R':
			if (c.ntrees == RULES)
				fatalx("too many -R");
			trees[c.ntrees++] = optarg;
			break;
		case 'A':
			use_ahead = true;
			break;
		case 'L':
			server = true;
			break;
		case 'g':
			if (add_group(&group, v1, optarg) < 0)
				fatal("-g %s", optarg);
			c.cgroup = &group;
			break;
		case 'c':
			capture = true;
			break;
		case 'T':
			c.tty = true;
			c.rows = 24;
			c.cols = 80;
			break;
		case 't':
			times = true;
			break;
		default:
			(void)fputs(usage, stderr);
			return 2;
		}
	}
	if (optind == argc) {
		(void)fputs(usage, stderr);
		return 2;
	}
	c.argv = argv + optind;
	c.env = env;
	if (c.workspace != NULL) {
		c.workspace_fd =
		    open(c.workspace, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (c.workspace_fd < 0 || fstat(c.workspace_fd, &st) < 0)
			fatal("%s", c.workspace);
		c.owner_uid = st.st_uid;
		c.owner_gid = st.st_gid;
	}
	if (home != NULL) {
		c.home_fd = home_open(image.state, c.owner_uid, c.owner_gid,
		    home, c.tmp_size, c.tmp_inodes, &err);
		if (c.home_fd < 0)
			log_warnx("%s", err.msg);
	}
	if (image.path != NULL && (home == NULL || c.home_fd >= 0)) {
		c.image_fd = image_open(&image, &hold, &err);
		if (c.image_fd < 0)
			log_warnx("%s", err.msg);
	}
	if (err.msg[0] != '\0')
		return 125;
	if (server)
		return serve(&c);
	while (n-- > 0) {
		if (use_ahead &&
		    ahead_make(&ahead, c.ca_fd, c.trust_fd, &err) < 0)
			fatalx("%s", err.msg);
		c.ahead = use_ahead ? &ahead : NULL;
		status = run(&c, times, capture);
	}
	return status;
}
