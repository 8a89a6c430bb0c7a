/*
 * brig-jailtest: run a command in a jail, without shim, proxy or policy.  The
 * capture sockets exist and nobody reads them, unless -c says so.  Used by
 * the tests and as the benchmark jail_start.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "sandbox/jail.h"

#define HOST_UID 64321
#define RULES 64

static const char usage[] =
    "usage: brig-jailtest [-w dir] [-o uid:gid] [-r rule] [-e K=V]\n"
    "    [-x noexec-workspace|noexec-tmp|memfd-exec|deny-read|deny-write]\n"
    "    [-n repeat] [-t] [-c] command ...\n"
    "-r: +r:PATTERN +w:PATTERN -r:PATTERN -w:PATTERN; -t: times on stderr\n";

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
	else if (str_eq(s, "deny-read"))
		c->read_default = false;
	else if (str_eq(s, "deny-write"))
		c->write_default = false;
	else
		return -1;
	return 0;
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

static int
run(const struct jail_config *c, bool times)
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
	struct jail_config c = { .host_uid = HOST_UID,
		.host_gid = HOST_UID,
		.workspace_fd = -1,
		.ca_fd = -1,
		.rules = rules,
		.read_default = true,
		.write_default = true,
		.workspace_exec = true,
		.tmp_exec = true,
		.stdio = { 0, 1, 2 } };
	size_t nenv = 0;
	bool times = false;
	uint64_t n = 1;
	struct stat st;
	int ch, status = 0;

	log_init("jailtest", LOG_LEVEL_INFO);
	while ((ch = getopt(argc, argv, "+w:r:e:x:n:t")) != -1) {
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
	while (n-- > 0)
		status = run(&c, times);
	return status;
}
