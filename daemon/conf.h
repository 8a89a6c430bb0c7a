/*
 * brigd.conf(5): one directive a line.  Read by the parent and by
 * `brigd -n`; the other processes get what they need of it by message.
 */
#ifndef BRIG_CONF_H
#define BRIG_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/proto.h"

#define CONF_DEFAULT BRIG_SYSCONFDIR "/brig/brigd.conf"
#define CONF_FILE_MAX (256u * 1024)
#define CONF_LINE_MAX 4096u
#define CONF_WORDS_MAX 8u
#define CONF_LIST_MAX 128u /* of each repeatable directive */
#define CONF_ERRORS_MAX 50u

#define CONF_JOB_UID_BASE 1879100000u
#define CONF_JOB_UID_COUNT 1000u
#define CONF_JOB_UID_MIN 1000u /* never a system account */
#define CONF_JOB_UIDS_MAX 65536u
#define CONF_JOBS_MAX 256u    /* or as many as there are job uids */
#define CONF_CGROUP_MAX 512u  /* bytes of cgroup-parent */
#define CONF_ASK_TIMEOUT 300u /* seconds */
#define CONF_ASK_TIMEOUT_MAX 86400u

struct conf_list {
	char **v;
	size_t n;
};

/* Who a role runs as: as written, and once conf_resolve() has looked. */
struct conf_user {
	char *name; /* account name, or NULL: by number */
	uid_t uid;
	gid_t gid;
	bool has_gid;
};

/* What to do about limits of jobs that need cgroups. */
enum conf_cgroups {
	CONF_CGROUPS_AUTO,     /* use what there is; refuse a job whose limit
				* cannot be held */
	CONF_CGROUPS_REQUIRED, /* do not start without every controller */
	CONF_CGROUPS_OPTIONAL, /* run it with limits per process instead */
	CONF_CGROUPS_OFF,      /* do not touch cgroups; like optional */
};

struct conf {
	char *socket;
	mode_t socket_mode;
	char *state_dir;
	char *log_dir;
	char *run_dir;
	struct conf_list policy; /* files and directories */
	uid_t job_uid_base;
	uint32_t job_uid_count;
	char *job_subuid; /* take both from this name's line in subuid(5), or
			   * NULL */
	enum conf_cgroups cgroups;
	char *cgroup_parent; /* as in /proc/PID/cgroup; NULL: brigd's own */
	struct conf_user user[ROLE_MAX];
	char *admin_group; /* name or number as written */
	gid_t admin_gid;
	bool has_admin_gid; /* false: only root administers */
	char *ca_roots;
	struct conf_list extra_ca;
	struct conf_list model_hosts; /* as model_host_parse() reads them */
	struct conf_list host_ca;     /* "HOST PATH" */
	char *upstream_proxy;         /* host name or address; NULL: none */
	uint16_t upstream_port;       /* of it */
	char *upstream_secret;        /* name of its credential, or NULL */
	struct conf_list no_proxy;    /* HOST, *.HOST or address */
	struct conf_list resolve;     /* "NAME ADDR[,ADDR]" */
	char *inferd;                 /* socket of the local engine */
	char *shim;
	char *default_profile;
	char *vault_key; /* NULL: state_dir/vault.key */
	enum log_level log_level;
	uint32_t ask_timeout;   /* seconds */
	uint32_t max_jobs;      /* 0 until conf_resolve(): not set */
	bool max_jobs_default;  /* not in the file: less will do */
	uint32_t max_user_jobs; /* 0: three quarters of max_jobs */
};

/* All defaults, as if the file were empty. */
void conf_init(struct conf *c);
void conf_free(struct conf *c);

/*
 * Parse n bytes of a file called name.  0, or -1 with every mistake found
 * (at most CONF_ERRORS_MAX) appended to diag as "file:line:col: text\n".
 * Pure: no file is read and no account looked up.
 */
int conf_parse(struct conf *c, const char *name, const void *bytes, size_t n,
    struct buf *diag);

/*
 * Read and parse a file.  When this process is root the file must belong to
 * root and not be writable by others.  A missing file is an error unless
 * optional is set.
 */
int conf_load(
    struct conf *c, const char *path, bool optional, struct buf *diag);

/*
 * Look up accounts, the group and the job uids, and check that the ids keep
 * the roles, accounts and jobs apart.  0, or -1 with err.
 */
int conf_resolve(struct conf *c, struct error *err);

/* ---- conf_uids.c ------------------------------------------------------- */

/*
 * One line of subuid(5), "NAME:BASE:COUNT": 1 and the range, 0 if it is none.
 * Pure; name gets at most size bytes.
 */
int conf_subuid_line(
    const char *line, char *name, size_t size, uint32_t *base, uint32_t *count);
/*
 * Settle the range of job uids: from /etc/subuid if it says so, large enough
 * for max-jobs, and overlapping no account, group or range of somebody else's.
 * 0, or -1 with err.
 */
int conf_resolve_uids(struct conf *c, struct error *err);

/* state_dir/vault.key unless configured; caller frees. */
char *conf_vault_key(const struct conf *c);

#endif
