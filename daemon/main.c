/*
 * brigd: parent and, re-executed with -x, every singleton and per-job role
 * but the shim.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/proto.h"
#include "base/str.h"
#include "daemon/conf.h"
#include "daemon/control.h"
#include "daemon/parent.h"
#include "daemon/parent_cgroup.h"
#include "daemon/policyfiles.h"
#include "daemon/roles.h"
#include "daemon/stage.h"
#include "policy/policy.h"
#include "proxy/roles.h"
#include "sandbox/self.h"

static const struct role_entry {
	enum role role;
	void (*preinit)(void);
	void (*run)(void);
} roles[] = {
	{ ROLE_CONTROL, control_preinit, control_main },
	{ ROLE_KEYD, keyd_preinit, keyd_main },
	{ ROLE_AUDIT, audit_preinit, audit_main },
	{ ROLE_DNS, dns_preinit, dns_main },
	{ ROLE_FRONT, front_preinit, front_main },
	{ ROLE_BACK, back_preinit, back_main },
	{ ROLE_STAGE, stage_preinit, stage_main },
};

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr, "usage: brigd [-dnv] [-f file]\n");
	exit(2);
}

/* Child mode: nothing from outside is read before self_confine(). */
static int
run_role(const char *name, const char *uid, const char *gid, const char *root,
    bool debug)
{
	struct self_conf self = { .role = role_by_name(name), .root = root };
	char title[32];
	uint64_t u, g;

	/* A stage process mounts first and gives root up by itself. */
	const uint64_t min = self.role == ROLE_STAGE ? 0 : 1;

	if (uid == NULL || gid == NULL ||
	    str_to_u64(uid, min, UINT32_MAX - 1, &u) < 0 ||
	    str_to_u64(gid, min, UINT32_MAX - 1, &g) < 0)
		usage();
	self.uid = (uid_t)u;
	self.gid = (gid_t)g;
	snprintf(title, sizeof(title), "brigd-%s", name);
	(void)prctl(PR_SET_NAME, title);
	snprintf(title, sizeof(title), "brigd[%s]", name);
	log_init(title, debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	for (size_t i = 0; i < nitems(roles); i++) {
		if (roles[i].role != self.role)
			continue;
		roles[i].preinit();
		self_confine(&self);
		roles[i].run();
		return 0;
	}
	usage();
}

/* -n: configuration and policy as the daemon would read them. */
static int
check(const struct conf *conf)
{
	struct policy_diags ds = { 0 };
	struct error err = { 0 };
	struct conf probed = *conf;
	struct parent_roots roots;
	struct buf bundle, text;
	struct rlimit former;
	struct policy *p;

	buf_init(&bundle, 0);
	if (policyfiles_load((const char *const *)conf->policy.v,
		conf->policy.n, geteuid() == 0, &bundle, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	p = policy_bundle_load(buf_head(&bundle), buf_len(&bundle), &ds);
	buf_free(&bundle);
	if (p == NULL) {
		buf_init(&text, 0);
		policy_diags_print(&ds, &text);
		fwrite(buf_head(&text), 1, buf_len(&text), stderr);
		buf_free(&text);
		policy_diags_free(&ds);
		return 1;
	}
	policy_free(p);
	if (roots_read(conf, &roots, &err) < 0 ||
	    parent_files(&probed, &former, &err) < 0 ||
	    pcg_probe(conf, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	roots_free(&roots);
	printf("configuration and policy are valid\n");
	return 0;
}

int
main(int argc, char **argv)
{
	const char *path = NULL, *role = NULL, *uid = NULL, *gid = NULL;
	const char *root = NULL;
	bool debug = false, only_check = false;
	struct error err = { 0 };
	struct buf diag;
	struct conf conf;
	int ch, rc;

	while ((ch = getopt(argc, argv, "df:nvx:U:G:R:")) != -1) {
		switch (ch) {
		case 'd':
			debug = true;
			break;
		case 'f':
			path = optarg;
			break;
		case 'n':
			only_check = true;
			break;
		case 'v':
			printf("brigd %s\n", PACKAGE_VERSION);
			return 0;
		case 'x':
			role = optarg;
			break;
		case 'U':
			uid = optarg;
			break;
		case 'G':
			gid = optarg;
			break;
		case 'R':
			root = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	if (role != NULL)
		return run_role(role, uid, gid, root, debug);

	log_init("brigd", LOG_LEVEL_INFO);
	conf_init(&conf);
	buf_init(&diag, 0);
	if (conf_load(&conf, path == NULL ? CONF_DEFAULT : path, path == NULL,
		&diag) < 0) {
		fwrite(buf_head(&diag), 1, buf_len(&diag), stderr);
		return 1;
	}
	buf_free(&diag);
	log_set_level(debug ? LOG_LEVEL_DEBUG : conf.log_level);
	if (conf_resolve(&conf, &err) < 0) {
		fprintf(stderr, "brigd: %s\n", err.msg);
		return 1;
	}
	if (only_check) {
		rc = check(&conf);
	} else if (geteuid() != 0) {
		fprintf(stderr, "brigd: must be started by root\n");
		rc = 1;
	} else {
		rc = parent_main(&conf, path, debug);
	}
	conf_free(&conf);
	return rc;
}
