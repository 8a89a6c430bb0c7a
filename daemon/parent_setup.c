#include "daemon/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/parent_cgroup.h"
#include "daemon/policyfiles.h"
#include "daemon/truststore.h"
#include "policy/policy.h"

#define VAULT_KEY_SIZE 32u
#define BACKLOG 64

/*
 * A directory of ours with exactly this owner and mode.  The last component
 * is never followed: some of these stand in directories that one of our
 * unprivileged users can write to.
 */
static int
make_dir(const char *path, uid_t uid, gid_t gid, mode_t mode, struct error *err)
{
	cleanup_fd int fd = -1;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "mkdir %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "open directory %s", path);
	if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0)
		return error_set(err, errno, "set owner and mode of %s", path);
	return steal_fd(&fd);
}

/* The directory is this daemon's alone, as long as it lives. */
static int
lock_dir(int fd, const char *path, struct error *err)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return error_set(err, errno, "another brigd uses %s", path);
	return error_set(err, errno, "lock %s", path);
}

static int
make_dirs(struct parent *pa, struct error *err)
{
	const struct conf *c = &pa->conf;
	const struct conf_user *ctl = &c->user[ROLE_CONTROL];
	const struct conf_user *aud = &c->user[ROLE_AUDIT];
	cleanup_free char *jobs = xasprintf("%s/jobs", c->state_dir);
	int fd;

	pa->control_dir = xasprintf("%s/control", c->state_dir);
	pa->empty_dir = xasprintf("%s/empty", c->run_dir);
	if ((pa->state_fd = make_dir(c->state_dir, 0, 0, 0711, err)) < 0 ||
	    lock_dir(pa->state_fd, c->state_dir, err) < 0)
		return -1;
	if ((fd = make_dir(c->run_dir, 0, 0, 0755, err)) < 0)
		return -1;
	close(fd);
	if ((fd = make_dir(pa->control_dir, ctl->uid, ctl->gid, 0700, err)) < 0)
		return -1;
	close(fd);
	/* Nobody but root may write to the root of the other processes. */
	if ((fd = make_dir(pa->empty_dir, 0, 0, 0755, err)) < 0)
		return -1;
	close(fd);
	if ((pa->jobs_fd = make_dir(jobs, 0, 0, 0700, err)) < 0)
		return -1;
	pa->log_dir_fd = make_dir(c->log_dir, aud->uid, aud->gid, 0750, err);
	if (pa->log_dir_fd < 0)
		return -1;
	return lock_dir(pa->log_dir_fd, c->log_dir, err);
}

/* A regular file with one name and this owner: what we meant to open. */
static int
create_key(const char *path, struct error *err)
{
	uint8_t key[VAULT_KEY_SIZE];
	cleanup_fd int fd = -1;
	int rc = 0;

	fd = open(
	    path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, errno, "create %s", path);
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key) ||
	    fd_write_all(fd, key, sizeof(key)) < 0 || fsync(fd) < 0) {
		rc = error_set(err, errno, "write %s", path);
		unlink(path);
	} else {
		log_info("created %s: back it up, the vault is lost without it",
		    path);
	}
	explicit_bzero(key, sizeof(key));
	return rc;
}

/* Opened only: its bytes are read by keyd, never here. */
static int
open_key(struct parent *pa, struct error *err)
{
	const char *cred = getenv("CREDENTIALS_DIRECTORY");
	cleanup_free char *path = NULL;
	cleanup_fd int fd = -1;
	struct stat st, vault;

	if (cred != NULL && cred[0] == '/') {
		path = xasprintf("%s/brig-vault-key", cred);
		fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno != ENOENT)
			return error_set(err, errno, "open %s", path);
	}
	if (fd < 0) {
		free(path);
		path = conf_vault_key(&pa->conf);
		fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		/*
		 * A new key beside a vault with contents would only hide that
		 * the right one is missing.
		 */
		if (fd < 0 && errno == ENOENT) {
			if (fstat(pa->vault_fd, &vault) == 0 &&
			    vault.st_size > 0)
				return error_set(err, ENOENT,
				    "the vault has contents but its key %s",
				    path);
			if (create_key(path, err) < 0)
				return -1;
			fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		}
		if (fd < 0)
			return error_set(err, errno, "open %s", path);
	}
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat %s", path);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0 || st.st_uid != 0 ||
	    st.st_size != VAULT_KEY_SIZE)
		return error_set(err, 0,
		    "%s: must be a file of %u bytes that only root can read",
		    path, VAULT_KEY_SIZE);
	pa->key_fd = steal_fd(&fd);
	return 0;
}

static int
open_listener(struct parent *pa, struct error *err)
{
	const struct conf *c = &pa->conf;

	pa->listen_fd = listen_unix(c->socket, 0,
	    c->has_admin_gid ? c->admin_gid : 0, c->socket_mode, BACKLOG, err);
	if (pa->listen_fd >= 0)
		return 0;
	if (err->code == EADDRINUSE)
		return error_set(
		    err, EADDRINUSE, "another brigd serves %s", c->socket);
	return -1;
}

int
parent_make_bundle(struct parent *pa, struct error *err)
{
	cleanup_buf struct buf b = { 0 }, store = { 0 };
	int fd, trust;

	/*
	 * The extra roots are left out: whatever back trusts reaches the
	 * jail under our own CA.
	 */
	if (roots_jail_text(&pa->roots, &b, err) < 0)
		return -1;
	buf_put(&b, buf_head(&pa->ca_pem), buf_len(&pa->ca_pem));
	if (truststore_put(&store, buf_head(&b), buf_len(&b), err) < 0)
		return -1;
	fd = fd_memfd("brig-ca-bundle", buf_head(&b), buf_len(&b));
	trust = fd_memfd("brig-trust", buf_head(&store), buf_len(&store));
	if (fd < 0 || trust < 0) {
		(void)error_set(err, errno, "memfd");
		fd_close(&fd);
		fd_close(&trust);
		return -1;
	}
	fd_close(&pa->bundle_fd);
	fd_close(&pa->trust_fd);
	pa->bundle_fd = fd;
	pa->trust_fd = trust;
	return 0;
}

int
parent_load_policy(struct parent *pa, struct buf *text)
{
	const struct conf *c = &pa->conf;
	cleanup_buf struct buf bundle = { 0 };
	struct policy_diags ds = { 0 };
	struct error err = { 0 };
	struct policy *p;
	int fd;

	if (policyfiles_load((const char *const *)c->policy.v, c->policy.n,
		true, &bundle, &err) < 0) {
		buf_printf(text, "%s\n", err.msg);
		return -1;
	}
	p = policy_bundle_load(buf_head(&bundle), buf_len(&bundle), &ds);
	if (p == NULL) {
		policy_diags_print(&ds, text);
		policy_diags_free(&ds);
		return -1;
	}
	fd = fd_memfd("brig-policy", buf_head(&bundle), buf_len(&bundle));
	if (fd < 0) {
		buf_printf(text, "memfd: %s\n", strerror(errno));
		policy_free(p);
		return -1;
	}
	policy_free(pa->policy);
	pa->policy = p;
	fd_close(&pa->policy_fd);
	pa->policy_fd = fd;
	pa->generation++;
	return 0;
}

int
parent_open_audit(struct parent *pa, bool write, struct error *err)
{
	const struct conf_user *u = &pa->conf.user[ROLE_AUDIT];
	int flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	cleanup_fd int fd = -1;
	struct stat st;

	flags |= write ? O_RDWR | O_APPEND | O_CREAT : O_RDONLY;
	fd = openat(pa->log_dir_fd, "audit.jsonl", flags, 0640);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "open the audit log");
	/* Just created: not yet the audit process's own. */
	if (write && st.st_uid == 0 && st.st_size == 0 &&
	    fchown(fd, u->uid, u->gid) < 0)
		return error_set(err, errno, "chown the audit log");
	if (parent_check_file(fd, "audit.jsonl", u->uid, err) < 0)
		return -1;
	return steal_fd(&fd);
}

int
parent_open_log(struct parent *pa, uint32_t job, const char *file, bool create,
    struct error *err)
{
	cleanup_fd int dir = -1, fd = -1;
	char name[16];

	snprintf(name, sizeof(name), "%u", job);
	if (create && mkdirat(pa->jobs_fd, name, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "mkdir jobs/%s", name);
	dir = openat(
	    pa->jobs_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return error_set(err, errno, "open jobs/%s", name);
	fd = openat(dir, file,
	    (create ? O_WRONLY | O_APPEND | O_CREAT : O_RDONLY) | O_NOFOLLOW |
		O_CLOEXEC,
	    0600);
	if (fd < 0)
		return error_set(err, errno, "open jobs/%s/%s", name, file);
	if (parent_check_file(fd, file, 0, err) < 0)
		return -1;
	return steal_fd(&fd);
}

int
parent_open_job_dir(struct parent *pa, uint32_t job)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", job);
	return openat(
	    pa->jobs_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int
parent_open_state(struct parent *pa)
{
	return openat(pa->state_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int
parent_setup(struct parent *pa, struct error *err)
{
	buf_init(&pa->ca_pem, 0);
	umask(077);
	pa->shim_fd = open(pa->conf.shim, O_PATH | O_CLOEXEC);
	if (pa->shim_fd < 0 || access(pa->conf.shim, X_OK) < 0)
		return error_set(err, errno, "shim %s", pa->conf.shim);
	/* What can only be wrong comes before what is made. */
	if (roots_read(&pa->conf, &pa->roots, err) < 0 ||
	    make_dirs(pa, err) < 0 || vault_file_open(pa, err) < 0)
		return -1;
	if (pcg_open(pa, err) == 0 && open_listener(pa, err) == 0 &&
	    open_key(pa, err) == 0)
		return 0;
	if (pa->listen_fd >= 0)
		(void)unlink(pa->conf.socket);
	pcg_close(pa);
	return -1;
}
