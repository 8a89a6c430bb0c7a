#include "daemon/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"

#define LIST_ITEMS_MAX 4096u
#define LIST_BYTES_MAX (1024u * 1024)

/* Job numbers that a crash of the machine may have taken off the disk: as many
 * as are given away between two store_sync(). */
#define UNSYNCED_MAX 500u

struct store {
	sqlite3 *db;
	uint32_t unsynced; /* changes that are not on disk yet */
	bool lost;         /* some did not get there */
};

/* One step per version: migrations[v] brings version v to v + 1. */
static const char *const migrations[STORE_VERSION] = {
	"CREATE TABLE job ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, uid INTEGER NOT NULL,"
	" gid INTEGER NOT NULL, profile TEXT NOT NULL, argv BLOB NOT NULL,"
	" workspace TEXT NOT NULL, state INTEGER NOT NULL,"
	" created INTEGER NOT NULL, started INTEGER NOT NULL,"
	" ended INTEGER NOT NULL, exit_kind INTEGER, exit_code INTEGER,"
	" detail TEXT NOT NULL, host_uid INTEGER NOT NULL,"
	" pid INTEGER NOT NULL, enforced INTEGER NOT NULL);"
	"CREATE INDEX job_state ON job(state);"
	"CREATE TABLE ask ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL,"
	" class INTEGER NOT NULL, state INTEGER NOT NULL,"
	" rule TEXT NOT NULL, name TEXT NOT NULL, because TEXT NOT NULL,"
	" digest TEXT NOT NULL, lines BLOB NOT NULL,"
	" created INTEGER NOT NULL, expires INTEGER NOT NULL,"
	" answered INTEGER NOT NULL, by TEXT NOT NULL,"
	" message TEXT NOT NULL);"
	"CREATE INDEX ask_state ON ask(state);",
};

#define JOB_COLUMNS                                                            \
	"id, uid, gid, profile, argv, workspace, state, created, started,"     \
	" ended, exit_kind, exit_code, detail, host_uid, pid, enforced"
#define ASK_COLUMNS                                                            \
	"id, job, class, state, rule, name, because, digest, lines, created,"  \
	" expires, answered, by, message"

static const char *const ask_states[ASK_STATE_MAX] = {
	[ASK_PENDING] = "pending",
	[ASK_ALLOWED] = "allowed",
	[ASK_DENIED] = "denied",
	[ASK_TIMEOUT] = "timeout",
	[ASK_CANCELLED] = "cancelled",
};

const char *
ask_state_name(enum ask_state s)
{
	return (unsigned int)s < ASK_STATE_MAX ? ask_states[s] : "denied";
}

static int
db_error(struct store *s, struct error *err, const char *what)
{
	return error_set(err, 0, "%s: %s", what, sqlite3_errmsg(s->db));
}

static int
db_exec(struct store *s, const char *sql, struct error *err)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(s, err, "job store");
	return 0;
}

static void
stmt_cleanup(sqlite3_stmt **st)
{
	sqlite3_finalize(*st);
}
#define cleanup_stmt attr_cleanup(stmt_cleanup)

static sqlite3_stmt *
db_prepare(struct store *s, const char *sql, struct error *err)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		db_error(s, err, "job store");
	return st;
}

/* First column of the first row of a query as text, compared. */
static bool
db_says(struct store *s, const char *sql, const char *want)
{
	cleanup_stmt sqlite3_stmt *st = db_prepare(s, sql, NULL);

	return st != NULL && sqlite3_step(st) == SQLITE_ROW &&
	       str_eq((const char *)sqlite3_column_text(st, 0), want);
}

static int64_t
db_number(struct store *s, const char *sql)
{
	cleanup_stmt sqlite3_stmt *st = db_prepare(s, sql, NULL);

	if (st == NULL || sqlite3_step(st) != SQLITE_ROW)
		return -1;
	return sqlite3_column_int64(st, 0);
}

static int
migrate(struct store *s, struct error *err)
{
	int64_t v = db_number(s, "PRAGMA user_version");

	if (v < 0)
		return db_error(s, err, "job store");
	if (v > STORE_VERSION)
		return error_set(err, 0,
		    "job store has version %lld, this brigd knows %d",
		    (long long)v, STORE_VERSION);
	for (; v < STORE_VERSION; v++) {
		cleanup_free char *sql = xasprintf(
		    "BEGIN IMMEDIATE; %s PRAGMA user_version = %lld; COMMIT;",
		    migrations[v], (long long)v + 1);

		if (db_exec(s, sql, err) < 0) {
			db_exec(s, "ROLLBACK", NULL);
			return -1;
		}
	}
	return 0;
}

/*
 * The mark of an open data base: which life of the machine has it.  Never 0,
 * which stands for one that was closed in order.
 */
static int32_t
boot_mark(const char *boot)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *boot != '\0'; boot++)
		h = (h ^ (uint8_t)*boot) * 16777619u;
	return (int32_t)((h & INT32_MAX) | 1);
}

static int
set_mark(struct store *s, int32_t mark, struct error *err)
{
	cleanup_free char *sql =
	    xasprintf("PRAGMA application_id = %d", (int)mark);

	return db_exec(s, sql, err);
}

/*
 * Rows that the machine took along when it went down are in the audit log all
 * the same: their numbers must not come again.
 */
static int
skip_lost(struct store *s, struct error *err)
{
	cleanup_free char *sql = xasprintf(
	    "BEGIN IMMEDIATE;"
	    "INSERT INTO sqlite_sequence (name, seq) SELECT 'job', 0"
	    " WHERE NOT EXISTS"
	    " (SELECT 1 FROM sqlite_sequence WHERE name = 'job');"
	    "UPDATE sqlite_sequence SET seq = seq + %u WHERE name = 'job';"
	    "COMMIT",
	    UNSYNCED_MAX);

	return db_exec(s, sql, err);
}

static int
mark_open(struct store *s, const char *boot, struct error *err)
{
	int64_t was = db_number(s, "PRAGMA application_id");
	int32_t mark = boot_mark(boot);

	if (was != 0 && (was != mark || boot[0] == '\0') &&
	    skip_lost(s, err) < 0)
		return -1;
	if (set_mark(s, mark, err) < 0)
		return -1;
	s->unsynced = 1;
	return store_sync(s, err);
}

struct store *
store_open(const char *path, const char *boot, struct error *err)
{
	struct store *s = xcalloc(1, sizeof(*s));
	bool damaged = false;

	if (sqlite3_open_v2(path, &s->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
		    SQLITE_OPEN_NOFOLLOW,
		NULL) != SQLITE_OK) {
		db_error(s, err, path);
		sqlite3_close(s->db);
		free(s);
		return NULL;
	}
	/* Exclusive: one process, and no shared-memory file beside it.  What
	 * FULL would do at each commit is store_sync()'s. */
	if (db_exec(s, "PRAGMA locking_mode = EXCLUSIVE", err) < 0 ||
	    db_exec(s, "PRAGMA temp_store = MEMORY", err) < 0 ||
	    db_exec(s, "PRAGMA trusted_schema = OFF", err) < 0 ||
	    db_exec(s, "PRAGMA journal_mode = WAL", err) < 0 ||
	    db_exec(s, "PRAGMA synchronous = NORMAL", err) < 0)
		goto fail;
	damaged = !db_says(s, "PRAGMA integrity_check(1)", "ok");
	if (!damaged && migrate(s, err) == 0 && mark_open(s, boot, err) == 0)
		return s;
fail:
	if (damaged || sqlite3_errcode(s->db) == SQLITE_NOTADB ||
	    sqlite3_errcode(s->db) == SQLITE_CORRUPT)
		error_set(err, 0,
		    "the job store %s is damaged: restore it or move it away",
		    path);
	sqlite3_close(s->db);
	free(s);
	return NULL;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	/* All of the log goes into the data base when that is closed. */
	if (!s->lost)
		(void)set_mark(s, 0, NULL);
	sqlite3_close(s->db);
	free(s);
}

int
store_sync(struct store *s, struct error *err)
{
	sqlite3_file *wal = NULL;

	if (s->lost)
		return error_set(err, EIO,
		    "job store: an earlier change did not get to disk: look "
		    "at the disk, then start brigd again");
	if (s->unsynced == 0)
		return 0;
	if (sqlite3_file_control(
		s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK)
		return db_error(s, err, "job store");
	/* Without methods: a data base in memory. */
	if (wal != NULL && wal->pMethods != NULL &&
	    wal->pMethods->xSync(
		wal, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) != SQLITE_OK) {
		s->lost = true;
		return error_set(err, EIO, "job store: sync");
	}
	s->unsynced = 0;
	return 0;
}

bool
store_unsynced(const struct store *s)
{
	return s->unsynced > 0;
}

/* ---- rows -------------------------------------------------------------- */

static void
bind_text(sqlite3_stmt *st, int at, const char *s)
{
	sqlite3_bind_text(st, at, s == NULL ? "" : s, -1, SQLITE_TRANSIENT);
}

static void
bind_list(sqlite3_stmt *st, int at, char *const *v)
{
	struct buf b;
	uint32_t n = 0;

	buf_init(&b, 0);
	while (v != NULL && v[n] != NULL)
		n++;
	buf_put_u32(&b, n);
	for (uint32_t i = 0; i < n; i++)
		buf_put_str(&b, v[i]);
	sqlite3_bind_blob(
	    st, at, buf_head(&b), (int)buf_len(&b), SQLITE_TRANSIENT);
	buf_free(&b);
}

static char *
get_text(sqlite3_stmt *st, int at)
{
	const char *s = (const char *)sqlite3_column_text(st, at);

	return xstrdup(s == NULL ? "" : s);
}

/* A damaged list reads as the part before the damage. */
static char **
get_list(sqlite3_stmt *st, int at)
{
	const void *p = sqlite3_column_blob(st, at);
	struct cur c;
	uint32_t n;
	char **v;

	cur_init(&c, p == NULL ? "" : p, (size_t)sqlite3_column_bytes(st, at));
	n = cur_count(&c, LIST_ITEMS_MAX, sizeof(uint32_t));
	v = xcalloc((size_t)n + 1, sizeof(*v));
	for (uint32_t i = 0; i < n; i++)
		if ((v[i] = cur_str(&c, LIST_BYTES_MAX)) == NULL)
			break;
	return v;
}

static void
free_list(char **v)
{
	for (size_t i = 0; v != NULL && v[i] != NULL; i++)
		free(v[i]);
	free(v);
}

static void
job_row(sqlite3_stmt *st, struct store_job *j)
{
	int state = sqlite3_column_int(st, 6);

	memset(j, 0, sizeof(*j));
	j->id = (uint32_t)sqlite3_column_int64(st, 0);
	j->uid = (uid_t)sqlite3_column_int64(st, 1);
	j->gid = (gid_t)sqlite3_column_int64(st, 2);
	j->profile = get_text(st, 3);
	j->argv = get_list(st, 4);
	j->workspace = get_text(st, 5);
	j->state = state >= 0 && state < JOB_STATE_MAX ? (enum job_state)state
						       : JOB_LOST;
	j->created = sqlite3_column_int64(st, 7);
	j->started = sqlite3_column_int64(st, 8);
	j->ended = sqlite3_column_int64(st, 9);
	j->has_exit = sqlite3_column_type(st, 10) != SQLITE_NULL;
	j->exit_kind = (enum exit_kind)sqlite3_column_int(st, 10);
	j->exit_code = (uint32_t)sqlite3_column_int64(st, 11);
	j->detail = get_text(st, 12);
	j->host_uid = (uid_t)sqlite3_column_int64(st, 13);
	j->pid = (pid_t)sqlite3_column_int64(st, 14);
	j->enforced = sqlite3_column_int(st, 15) != 0;
}

static void
ask_row(sqlite3_stmt *st, struct store_ask *a)
{
	int state = sqlite3_column_int(st, 3);

	memset(a, 0, sizeof(*a));
	a->id = (uint32_t)sqlite3_column_int64(st, 0);
	a->job = (uint32_t)sqlite3_column_int64(st, 1);
	a->class = (uint8_t)sqlite3_column_int(st, 2);
	a->state = state >= 0 && state < ASK_STATE_MAX ? (enum ask_state)state
						       : ASK_DENIED;
	a->rule = get_text(st, 4);
	a->name = get_text(st, 5);
	a->because = get_text(st, 6);
	a->digest = get_text(st, 7);
	a->lines = get_list(st, 8);
	a->created = sqlite3_column_int64(st, 9);
	a->expires = sqlite3_column_int64(st, 10);
	a->answered = sqlite3_column_int64(st, 11);
	a->by = get_text(st, 12);
	a->message = get_text(st, 13);
}

void
store_job_free(struct store_job *j)
{
	free(j->profile);
	free_list(j->argv);
	free(j->workspace);
	free(j->detail);
	free(j->limits);
	memset(j, 0, sizeof(*j));
}

void
store_ask_free(struct store_ask *a)
{
	free(a->rule);
	free(a->name);
	free(a->because);
	free(a->digest);
	free_list(a->lines);
	free(a->by);
	free(a->message);
	memset(a, 0, sizeof(*a));
}

static int
step_done(struct store *s, sqlite3_stmt *st, struct error *err)
{
	if (sqlite3_step(st) != SQLITE_DONE)
		return db_error(s, err, "job store");
	s->unsynced++;
	return 0;
}

static int
changed_one(struct store *s, sqlite3_stmt *st, struct error *err)
{
	if (step_done(s, st, err) < 0)
		return -1;
	if (sqlite3_changes(s->db) != 1)
		return error_set(err, 0, "job store: no such row");
	return 0;
}

int
store_job_add(struct store *s, struct store_job *j, struct error *err)
{
	cleanup_stmt sqlite3_stmt *st = db_prepare(s,
	    "INSERT INTO job (uid, gid, profile, argv, workspace, state,"
	    " created, started, ended, detail, host_uid, pid, enforced)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, '', 0, 0, 0)",
	    err);
	sqlite3_int64 id;

	if (st == NULL || ((s->lost || s->unsynced >= UNSYNCED_MAX - 1) &&
			      store_sync(s, err) < 0))
		return -1;
	sqlite3_bind_int64(st, 1, j->uid);
	sqlite3_bind_int64(st, 2, j->gid);
	bind_text(st, 3, j->profile);
	bind_list(st, 4, j->argv);
	bind_text(st, 5, j->workspace);
	sqlite3_bind_int(st, 6, (int)j->state);
	sqlite3_bind_int64(st, 7, j->created);
	if (step_done(s, st, err) < 0)
		return -1;
	id = sqlite3_last_insert_rowid(s->db);
	if (id <= 0 || id > UINT32_MAX)
		return error_set(err, 0, "job numbers are used up");
	j->id = (uint32_t)id;
	return 0;
}

int
store_job_update(struct store *s, const struct store_job *j, struct error *err)
{
	cleanup_stmt sqlite3_stmt *st = db_prepare(s,
	    "UPDATE job SET state = ?, started = ?, ended = ?, exit_kind = ?,"
	    " exit_code = ?, detail = ?, host_uid = ?, pid = ?, enforced = ?"
	    " WHERE id = ?",
	    err);

	if (st == NULL)
		return -1;
	sqlite3_bind_int(st, 1, (int)j->state);
	sqlite3_bind_int64(st, 2, j->started);
	sqlite3_bind_int64(st, 3, j->ended);
	/* Left unbound, a parameter is NULL. */
	if (j->has_exit) {
		sqlite3_bind_int(st, 4, (int)j->exit_kind);
		sqlite3_bind_int64(st, 5, j->exit_code);
	}
	bind_text(st, 6, j->detail);
	sqlite3_bind_int64(st, 7, j->host_uid);
	sqlite3_bind_int64(st, 8, j->pid);
	sqlite3_bind_int(st, 9, j->enforced);
	sqlite3_bind_int64(st, 10, j->id);
	return changed_one(s, st, err);
}

int
store_job_get(
    struct store *s, uint32_t id, struct store_job *j, struct error *err)
{
	cleanup_stmt sqlite3_stmt *st =
	    db_prepare(s, "SELECT " JOB_COLUMNS " FROM job WHERE id = ?", err);
	int rc;

	if (st == NULL)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	rc = sqlite3_step(st);
	if (rc == SQLITE_DONE)
		return 0;
	if (rc != SQLITE_ROW)
		return db_error(s, err, "job store");
	job_row(st, j);
	return 1;
}

int
store_job_list(struct store *s, const struct store_filter *f,
    void (*fn)(const struct store_job *j, void *arg), void *arg,
    struct error *err)
{
	cleanup_stmt sqlite3_stmt *st = db_prepare(s,
	    "SELECT " JOB_COLUMNS " FROM job"
	    " WHERE (?1 = 0 OR state < ?2 OR (?6 AND state = ?7))"
	    " AND (?3 = 0 OR uid = ?4) ORDER BY id DESC LIMIT ?5",
	    err);
	int rc;

	if (st == NULL)
		return -1;
	sqlite3_bind_int(st, 1, f->open_only);
	sqlite3_bind_int(st, 2, JOB_DONE);
	sqlite3_bind_int(st, 3, f->one_uid);
	sqlite3_bind_int64(st, 4, f->uid);
	sqlite3_bind_int64(st, 5, STORE_LIST_MAX);
	sqlite3_bind_int(st, 6, f->or_review);
	sqlite3_bind_int(st, 7, JOB_REVIEW);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct store_job j;

		job_row(st, &j);
		fn(&j, arg);
		store_job_free(&j);
	}
	return rc == SQLITE_DONE ? 0 : db_error(s, err, "job store");
}

int64_t
store_job_count(struct store *s)
{
	return db_number(s, "SELECT count(*) FROM job");
}

int
store_ask_add(struct store *s, struct store_ask *a, struct error *err)
{
	cleanup_stmt sqlite3_stmt *st = db_prepare(s,
	    "INSERT INTO ask (job, class, state, rule, name, because, digest,"
	    " lines, created, expires, answered, by, message)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', '')",
	    err);
	sqlite3_int64 id;

	if (st == NULL)
		return -1;
	sqlite3_bind_int64(st, 1, a->job);
	sqlite3_bind_int(st, 2, a->class);
	sqlite3_bind_int(st, 3, (int)a->state);
	bind_text(st, 4, a->rule);
	bind_text(st, 5, a->name);
	bind_text(st, 6, a->because);
	bind_text(st, 7, a->digest);
	bind_list(st, 8, a->lines);
	sqlite3_bind_int64(st, 9, a->created);
	sqlite3_bind_int64(st, 10, a->expires);
	if (step_done(s, st, err) < 0)
		return -1;
	id = sqlite3_last_insert_rowid(s->db);
	if (id <= 0 || id > UINT32_MAX)
		return error_set(err, 0, "ask numbers are used up");
	a->id = (uint32_t)id;
	return store_sync(s, err);
}

int
store_ask_update(struct store *s, const struct store_ask *a, struct error *err)
{
	cleanup_stmt sqlite3_stmt *st = db_prepare(s,
	    "UPDATE ask SET state = ?, answered = ?, by = ?, message = ?"
	    " WHERE id = ?",
	    err);

	if (st == NULL)
		return -1;
	sqlite3_bind_int(st, 1, (int)a->state);
	sqlite3_bind_int64(st, 2, a->answered);
	bind_text(st, 3, a->by);
	bind_text(st, 4, a->message);
	sqlite3_bind_int64(st, 5, a->id);
	return changed_one(s, st, err) < 0 ? -1 : store_sync(s, err);
}

int
store_ask_get(
    struct store *s, uint32_t id, struct store_ask *a, struct error *err)
{
	cleanup_stmt sqlite3_stmt *st =
	    db_prepare(s, "SELECT " ASK_COLUMNS " FROM ask WHERE id = ?", err);
	int rc;

	if (st == NULL)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	rc = sqlite3_step(st);
	if (rc == SQLITE_DONE)
		return 0;
	if (rc != SQLITE_ROW)
		return db_error(s, err, "job store");
	ask_row(st, a);
	return 1;
}

int
store_ask_list(struct store *s, const struct store_filter *f,
    void (*fn)(const struct store_ask *a, void *arg), void *arg,
    struct error *err)
{
	cleanup_stmt sqlite3_stmt *st = db_prepare(s,
	    "SELECT " ASK_COLUMNS " FROM ask"
	    " WHERE (?1 = 0 OR state = ?2) AND (?3 = 0 OR"
	    " job IN (SELECT id FROM job WHERE uid = ?4))"
	    " ORDER BY id DESC LIMIT ?5",
	    err);
	int rc;

	if (st == NULL)
		return -1;
	sqlite3_bind_int(st, 1, f->open_only);
	sqlite3_bind_int(st, 2, ASK_PENDING);
	sqlite3_bind_int(st, 3, f->one_uid);
	sqlite3_bind_int64(st, 4, f->uid);
	sqlite3_bind_int64(st, 5, STORE_LIST_MAX);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct store_ask a;

		ask_row(st, &a);
		fn(&a, arg);
		store_ask_free(&a);
	}
	return rc == SQLITE_DONE ? 0 : db_error(s, err, "job store");
}
