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
#define CONF_JOBS_MAX 64u
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

struct conf {
	char *socket;
	mode_t socket_mode;
	char *state_dir;
	char *log_dir;
	char *run_dir;
	struct conf_list policy; /* files and directories */
	uid_t job_uid_base;
	uint32_t job_uid_count;
	struct conf_user user[ROLE_MAX];
	char *admin_group; /* name or number as written */
	gid_t admin_gid;
	bool has_admin_gid; /* false: only root administers */
	char *ca_roots;
	struct conf_list extra_ca;
	struct conf_list resolve; /* "NAME ADDR[,ADDR]" */
	char *shim;
	char *default_profile;
	char *vault_key; /* NULL: state_dir/vault.key */
	enum log_level log_level;
	uint32_t ask_timeout; /* seconds */
	uint32_t max_jobs;
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
 * Look up accounts and the group, and check that the ids keep the roles
 * apart.  0, or -1 with err.
 */
int conf_resolve(struct conf *c, struct error *err);

/* state_dir/vault.key unless configured; caller frees. */
char *conf_vault_key(const struct conf *c);

#endif
