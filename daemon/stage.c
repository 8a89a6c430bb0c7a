/* The stage process: its messages and its few lives. */
#include "daemon/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/peer.h"
#include "base/str.h"
#include "sandbox/self.h"
#include "sandbox/sys.h"

#define LOCK_NAP_MS 50
#define FLUSH_MS 5000
#define SHA256_SIZE 32u

struct run {
	struct ev *ev;
	struct peers *peers;
	int fds[STAGE_FD_MAX];
	uint32_t job, serial;
	uint8_t op;
	uint32_t flags;
	struct stage s;
	struct stage_journal j;
	bool prepared;
};

static EVP_MD *preinit_sha256;

void
stage_preinit(void)
{
	/* Looks for its configuration and its provider now, or never. */
	preinit_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (preinit_sha256 == NULL)
		fatalx("cannot initialise SHA-256");
}

static void attr_printf(5, 6) done(
    struct run *r, bool ok, uint32_t changes, size_t left, const char *fmt, ...)
{
	struct chan *parent = peers_parent(r->peers);
	char text[P_TEXT_MAX];
	struct buf b;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* End of output before the answer: who reads it sees all of it. */
	fd_close(&r->s.out);
	buf_init(&b, 0);
	buf_put_u8(&b, ok);
	buf_put_u32(&b, changes);
	buf_put_u32(&b, (uint32_t)left);
	buf_put_str(&b, text);
	chan_send(parent, M_STAGE_DONE, r->job, r->serial, &b, -1);
	buf_free(&b);
	chan_flush(parent, FLUSH_MS);
	ev_stop(r->ev);
}

/* ---- before privileges go ---------------------------------------------- */

static int
read_record(struct run *r, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	cleanup_fd int fd = -1;

	fd = openat(
	    r->fds[STAGE_FD_DIR], "record", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fd_read_all(fd, &b, STAGE_RECORD_MAX) < 0)
		return error_set(err, errno, "read the record");
	if (stage_record_get(buf_head(&b), buf_len(&b), &r->s.rec) < 0)
		return error_set(err, 0, "the record is damaged");
	return stage_record_clock(&r->s.now, err);
}

/* The directory that the job had, wherever the client found it. */
static int
check_workspace(struct run *r, struct error *err)
{
	const struct stage_record *rec = &r->s.rec;
	struct statx sx;

	if (r->fds[STAGE_FD_WORKSPACE] < 0)
		return error_set(
		    err, ENOENT, "the workspace %.150s", rec->workspace);
	if (statx(r->fds[STAGE_FD_WORKSPACE], "", AT_EMPTY_PATH,
		STATX_BASIC_STATS | STATX_BTIME, &sx) < 0)
		return error_set(err, errno, "the workspace");
	/* Device numbers may change over a boot. */
	if (!S_ISDIR(sx.stx_mode) || sx.stx_ino != rec->ino ||
	    (str_eq(rec->boot_id, r->s.now.boot_id) &&
		makedev(sx.stx_dev_major, sx.stx_dev_minor) != rec->dev) ||
	    (rec->born_s != 0 && ((sx.stx_mask & STATX_BTIME) == 0 ||
				     sx.stx_btime.tv_sec != rec->born_s ||
				     sx.stx_btime.tv_nsec != rec->born_ns)))
		return error_set(err, 0,
		    "%.150s is not the directory that the job worked in",
		    rec->workspace);
	r->s.workspace = steal_fd(&r->fds[STAGE_FD_WORKSPACE]);
	return 0;
}

static int
open_layers(struct run *r, struct error *err)
{
	cleanup_fd int mnt = -1;

	r->s.journal = openat(r->fds[STAGE_FD_DIR], "journal",
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r->s.journal < 0)
		return error_set(err, errno, "open the journal");
	/* An image need not be looked into to be thrown away. */
	if (r->op == STAGE_OP_DISCARD && r->s.rec.image)
		return 0;
	mnt = stagedir_open(r->fds[STAGE_FD_DIR], &r->s.rec, err);
	if (mnt < 0)
		return -1;
	r->s.tree = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->s.tree < 0)
		return error_set(err, errno, "open the staged tree");
	r->s.upper = openat(r->s.tree, "upper",
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r->s.upper < 0 && errno != ENOENT)
		return error_set(err, errno, "open the staged tree");
	return 0;
}

static bool
is_pipe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 &&
	       (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static int
set_up(struct run *r, struct error *err)
{
	struct stage *s = &r->s;
	int dirs[4];

	if (read_record(r, err) < 0)
		return -1;
	/* What is thrown away needs no workspace. */
	if (check_workspace(r, err) < 0 && r->op != STAGE_OP_DISCARD)
		return -1;
	if (open_layers(r, err) < 0)
		return -1;
	if (r->fds[STAGE_FD_OUT] >= 0 && !is_pipe(r->fds[STAGE_FD_OUT]))
		return error_set(err, 0, "the output is not a pipe");
	s->out = steal_fd(&r->fds[STAGE_FD_OUT]);
	fd_close(&r->fds[STAGE_FD_DIR]);
	fd_close(&r->fds[STAGE_FD_WORKSPACE]);
	s->force_protected = (r->flags & STAGE_F_FORCE_PROTECTED) != 0;
	(void)umask(022);
	dirs[0] = s->tree;
	dirs[1] = s->workspace;
	dirs[2] = s->journal;
	self_confine_stage(s->rec.uid, s->rec.gid, dirs, 3);
	if (s->workspace >= 0) {
		/* As the submitter, and to be synced and locked. */
		int fd = stage_open_dir(s->workspace, ".");

		if (fd < 0)
			return error_set(err, errno, "open the workspace");
		fd_close(&s->workspace);
		s->workspace = fd;
	}
	return 0;
}

/* ---- after ------------------------------------------------------------- */

/* One apply at a time in one workspace, whatever the job. */
static int
lock_workspace(struct stage *s, int *lock, struct error *err)
{
	const struct timespec nap = { .tv_nsec = LOCK_NAP_MS * 1000000L };

	*lock = stage_open_dir(s->workspace, ".");
	if (*lock < 0)
		return error_set(err, errno, "open the workspace");
	for (int ms = 0; ms < STAGE_LOCK_MS; ms += LOCK_NAP_MS) {
		if (flock(*lock, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			break;
		(void)nanosleep(&nap, NULL);
	}
	return error_set(err, 0, "another apply works in this workspace");
}

static int
look(struct stage *s, struct error *err)
{
	stage_scan_free(s);
	stage_paths_free(&s->applied);
	if (journal_applied(s->journal, &s->applied, err) < 0)
		return -1;
	return s->upper < 0 ? 0 : stage_scan(s, err);
}

/* Nothing is left to decide: the layers go.  In one step first, so that half
 * a tree is never taken for what the job staged. */
static void
forget(struct stage *s)
{
	if (s->tree < 0)
		return;
	if (!s->rec.image) {
		(void)stage_remove_tree(s->tree, "gone");
		(void)renameat(s->tree, "upper", s->tree, "gone");
		(void)stage_remove_tree(s->tree, "gone");
		(void)stage_remove_tree(s->tree, "work");
	}
}

static void
forget_journal(struct stage *s)
{
	static const char *const names[] = { "applied", "new", JOURNAL_PLAN,
		JOURNAL_COMMIT, JOURNAL_ABORT };

	for (size_t i = 0; i < nitems(names); i++)
		(void)unlinkat(s->journal, names[i], 0);
}

static void
digest(const struct run *r, char hex[SHA256_SIZE * 2 + 1], uint64_t *bytes,
    uint32_t *n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char out[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	const struct stage *s = &r->s;
	cleanup_buf struct buf b = { 0 };

	if (ctx == NULL || EVP_DigestInit_ex(ctx, preinit_sha256, NULL) != 1)
		fatalx("SHA-256");
	*bytes = 0;
	*n = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct stage_change *c = &s->v[i];

		if (!c->selected && !c->needed)
			continue;
		(*n)++;
		*bytes +=
		    (uint64_t)(S_ISREG(c->now.st_mode) ? c->now.st_size : 0);
		buf_clear(&b);
		buf_printf(&b, "%s %06o %lld ", stage_kind_name(c->kind),
		    (unsigned int)c->now.st_mode, (long long)c->now.st_size);
		buf_put(&b, c->path, strlen(c->path) + 1);
		if (EVP_DigestUpdate(ctx, buf_head(&b), buf_len(&b)) != 1)
			fatalx("SHA-256");
	}
	if (EVP_DigestFinal_ex(ctx, out, &len) != 1 || len != SHA256_SIZE)
		fatalx("SHA-256");
	EVP_MD_CTX_free(ctx);
	for (size_t i = 0; i < SHA256_SIZE; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", out[i]);
}

/* Held until this process ends. */
static int lock_fd = -1;

static void
do_diff(struct run *r)
{
	struct stage *s = &r->s;
	struct error err = { 0 };

	/* Only after a crash: looking takes no lock. */
	if ((journal_pending(s->journal) &&
		(lock_workspace(s, &lock_fd, &err) < 0 ||
		    stage_recover(s, &err) < 0)) ||
	    look(s, &err) < 0) {
		done(r, false, 0, 1, "%s", err.msg);
		return;
	}
	stage_find_renames(s);
	stage_report(s, (r->flags & STAGE_F_PATCH) != 0);
	done(r, !s->out_dead, (uint32_t)s->n, s->n, "%s",
	    s->out_dead ? "the output was not read" : "");
}

/* The end of a job: on disk, and is there anything? */
static void
do_scan(struct run *r)
{
	struct stage *s = &r->s;
	struct error err = { 0 };

	if (s->upper >= 0)
		(void)syncfs(s->upper);
	if (look(s, &err) < 0) {
		done(r, false, 0, 1, "%s", err.msg);
		return;
	}
	if (s->n == 0) {
		forget(s);
		forget_journal(s);
	}
	done(r, true, (uint32_t)s->n, s->n, "%s", "");
}

/* Each path that was asked for has to be there: a slip of the pen is told. */
static int
check_wanted(const struct stage *s, struct error *err)
{
	for (size_t i = 0; i < s->wanted.n; i++) {
		const char *w = s->wanted.v[i];
		const struct stage_paths one = { .v = &s->wanted.v[i], .n = 1 };
		cleanup_free char *shown = NULL;
		size_t k = 0;

		while (k < s->n &&
		       stage_paths_match(&one, s->v[k].path) != MATCH_ALL)
			k++;
		if (k < s->n)
			continue;
		shown = str_escape(w, strlen(w));
		return error_set(
		    err, 0, "%.150s: nothing is staged there", shown);
	}
	return 0;
}

static void
do_apply(struct run *r)
{
	struct chan *parent = peers_parent(r->peers);
	char hex[SHA256_SIZE * 2 + 1];
	struct stage *s = &r->s;
	struct error err = { 0 };
	uint64_t bytes;
	struct buf b;
	uint32_t n;

	if (lock_workspace(s, &lock_fd, &err) < 0 ||
	    stage_recover(s, &err) < 0 || look(s, &err) < 0 ||
	    check_wanted(s, &err) < 0) {
		done(r, false, 0, 1, "%s", err.msg);
		return;
	}
	digest(r, hex, &bytes, &n);
	if (r->flags & STAGE_F_DRY_RUN) {
		stage_report(s, false);
		done(r, true, n, s->n, "%s", "");
		return;
	}
	if (stage_prepare(s, &r->j, &err) < 0) {
		done(r, false, 0, 1, "%s", err.msg);
		return;
	}
	r->prepared = true;
	buf_init(&b, 0);
	buf_put_u32(&b, n);
	buf_put_u64(&b, bytes);
	buf_put_str(&b, hex);
	chan_send(parent, M_STAGE_PLAN, r->job, r->serial, &b, -1);
	buf_free(&b);
}

static void
do_commit(struct run *r, bool ok, const char *why)
{
	struct stage *s = &r->s;
	struct error err = { 0 };
	uint32_t n = (uint32_t)r->j.landed.n;
	bool partial;

	r->prepared = false;
	if (!ok) {
		stage_rollback(s, &r->j);
		done(r, false, 0, 1, "%s", why);
		return;
	}
	if (stage_commit(s, &r->j, &err) < 0) {
		done(r, false, 0, 1, "nothing was applied: %s", err.msg);
		return;
	}
	/* What is left counts in the whole tree; all or nothing has landed. */
	partial = s->wanted.n > 0;
	stage_scan_free(s);
	stage_paths_free(&s->wanted);
	if (partial && look(s, &err) < 0) {
		/* Cannot tell: it stays. */
		done(r, true, n, 1, "applied; what is left is not known: %s",
		    err.msg);
		return;
	}
	if (s->n == 0) {
		forget(s);
		forget_journal(s);
	}
	done(r, true, n, s->n, "%s", "");
}

static void
do_discard(struct run *r)
{
	struct stage *s = &r->s;
	struct error err = { 0 };

	/* Half an apply is not what anybody asked for. */
	if (s->workspace >= 0 && (lock_workspace(s, &lock_fd, &err) < 0 ||
				     stage_recover(s, &err) < 0)) {
		done(r, false, 0, 1, "%s", err.msg);
		return;
	}
	forget(s);
	forget_journal(s);
	done(r, true, 0, 0, "%s", "");
}

/* ---- messages ---------------------------------------------------------- */

static struct run *
run_of(void *ctx)
{
	struct peer *p = ctx;

	return p->owner;
}

static int
on_config(struct chan *c, struct msg *m, void *ctx)
{
	uint32_t n = cur_count(&m->body, 1024, 8);

	(void)c;
	(void)ctx;
	for (uint32_t i = 0; i < n; i++) {
		cleanup_free char *key = cur_str(&m->body, P_NAME_MAX);
		cleanup_free char *value = cur_str(&m->body, P_TEXT_MAX);

		if (str_eq(key, "log-level") && value != NULL)
			log_set_level_name(value);
	}
	return cur_end(&m->body);
}

static int
on_fd(struct chan *c, struct msg *m, void *ctx)
{
	struct run *r = run_of(ctx);
	uint8_t which = cur_u8(&m->body);

	(void)c;
	if (cur_end(&m->body) < 0 || which >= STAGE_FD_MAX ||
	    r->fds[which] >= 0)
		return -1;
	r->fds[which] = steal_fd(&m->fd);
	return 0;
}

static int
on_start(struct chan *c, struct msg *m, void *ctx)
{
	struct run *r = run_of(ctx);
	struct error err = { 0 };
	uint32_t n;

	(void)c;
	r->job = m->job;
	r->serial = m->serial;
	r->op = cur_u8(&m->body);
	r->flags = cur_u32(&m->body);
	n = cur_count(&m->body, STAGE_PATHS_MAX, 4);
	for (uint32_t i = 0; i < n; i++) {
		cleanup_free char *path = cur_str(&m->body, STAGE_PATH_MAX);

		if (path == NULL || !stage_path_ok(path))
			return -1;
		stage_paths_add(&r->s.wanted, path);
	}
	if (cur_end(&m->body) < 0 || r->op == 0 || r->op >= STAGE_OP_MAX ||
	    r->fds[STAGE_FD_DIR] < 0)
		return -1;
	if (set_up(r, &err) < 0) {
		done(r, false, 0, 1, "%s", err.msg);
		return 0;
	}
	switch ((enum stage_op_code)r->op) {
	case STAGE_OP_SCAN:
		do_scan(r);
		break;
	case STAGE_OP_DIFF:
		do_diff(r);
		break;
	case STAGE_OP_APPLY:
		do_apply(r);
		break;
	case STAGE_OP_DISCARD:
		do_discard(r);
		break;
	case STAGE_OP_MAX:
		break;
	}
	return 0;
}

static int
on_go(struct chan *c, struct msg *m, void *ctx)
{
	struct run *r = run_of(ctx);
	bool ok = cur_bool(&m->body);
	cleanup_free char *why = cur_str(&m->body, P_TEXT_MAX);

	(void)c;
	if (cur_end(&m->body) < 0 || !r->prepared)
		return -1;
	do_commit(r, ok, why);
	return 0;
}

static const struct msg_rule from_parent[] = {
	{ M_CONFIG, MSG_ALLOWED, on_config },
	{ M_STAGE_FD, MSG_ALLOWED | MSG_FD, on_fd },
	{ M_STAGE_START, MSG_ALLOWED | MSG_ONCE, on_start },
	{ M_STAGE_GO, MSG_ALLOWED | MSG_ONCE, on_go },
};

void
stage_main(void)
{
	struct run r = { .s = { .upper = -1,
			     .workspace = -1,
			     .journal = -1,
			     .tree = -1,
			     .out = -1 } };

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		fatal("signal");
	for (size_t i = 0; i < STAGE_FD_MAX; i++)
		r.fds[i] = -1;
	r.ev = ev_new();
	r.peers = peers_new(
	    r.ev, PARENT_FD, from_parent, nitems(from_parent), NULL, 0, &r);
	peers_ready(r.peers);
	ev_run(r.ev);
	/* Told to stop between plan and go: as if it had not been asked. */
	if (r.prepared)
		stage_rollback(&r.s, &r.j);
}
