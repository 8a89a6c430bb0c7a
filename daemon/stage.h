/*
 * The stage process: compares what a job staged with the workspace, shows it
 * (brig diff) and lands it (brig apply).  One short-lived process per command,
 * started by the parent; it runs with the submitter's uid and gid and without
 * a capability, so that the kernel asks for everything it writes whether the
 * submitter may.  It holds the upper layer, the workspace, the journal and the
 * client's pipe.  This header is shared by stage*.c.
 *
 * Nothing here trusts the upper layer (a job wrote it) nor the workspace to
 * stay as it is (its owner works in it): directories are opened one component
 * at a time from their parent's descriptor, never through a link.
 */
#ifndef BRIG_STAGE_H
#define BRIG_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "daemon/stage_wire.h"
#include "sandbox/stagedir.h"

#define STAGE_CHANGES_MAX 1000000u /* entries of one staged tree */
#define STAGE_TEXT_MAX (8u << 20)  /* a larger file is shown as binary */
#define STAGE_XATTRS_MAX (64u << 10)
#define STAGE_NONE UINT32_MAX
#define STAGE_LOCK_MS 10000

/* A path list, sorted: the selection, or what has been applied. */
struct stage_paths {
	char **v;
	size_t n, cap;
};

struct stage_change {
	char *path;      /* below the workspace, no leading slash */
	uint32_t parent; /* index of the change that is its directory */
	enum stage_kind kind;
	struct stat now;  /* staged; st_mode 0: none (deleted) */
	struct stat base; /* workspace; st_mode 0: none */
	bool selected;    /* the caller wants it */
	bool covered;     /* goes or comes with its directory */
	bool needed;      /* a directory that something selected lies in */
	bool content;     /* contents differ, not only the mode */
	bool plain;       /* staged without extended attributes */
	uint64_t origin;  /* hash of what it was copied up from, 0: none */
	uint64_t handle;  /* the same of base */
	uint32_t from;    /* renamed: index of the deleted one */
	uint8_t similar;  /* per cent */
	char *refuse;     /* why it cannot be applied; NULL: it can */
};

struct stage {
	struct stage_record rec;
	struct stage_record now;       /* boot_id, read before confinement */
	int upper, workspace, journal; /* directories */
	int tree;                      /* with upper and work in it */
	int out;                       /* the client's pipe, -1: none */
	bool out_dead;
	bool force_protected;
	bool clock_ok; /* times of files can be compared with the record's */

	struct stage_paths wanted; /* empty: everything */
	struct stage_paths applied;
	struct stage_change *v;
	size_t n, cap;
	uint64_t done, total;
};

/* ---- stage_scan.c ------------------------------------------------------ */

/* Fill s->v, parents before what is in them.  0 or -1. */
int stage_scan(struct stage *s, struct error *err);
void stage_scan_free(struct stage *s);
/* A change time says that something happened after the job had started. */
bool stage_is_later(const struct stage *s, const struct timespec *ctime);
/* Whole tree below dir/name unchanged since the job started?  0, or -1 with
 * what is not in err.  The top's own change time counts only if top is set. */
int stage_verify_tree(const struct stage *s, int dir, const char *name,
    bool top, struct error *err);
void stage_refuse(struct stage_change *c, const char *fmt, ...)
    attr_printf(2, 3);

/* ---- stage_check.c ----------------------------------------------------- */

/* Compare the record's clock with now. */
void stage_check_clock(struct stage *s);
/* What of a staged file must not land: sets refuse.  fd may be -1. */
void stage_check_entry(struct stage_change *c, int fd, int base_fd);
/* Which file of the workspace an entry was copied up from, as the overlay
 * noted; and the same of a file there.  0: none, or it cannot be told. */
uint64_t stage_origin(int upper_fd);
uint64_t stage_handle(int lower_dir, const char *name);
bool stage_is_opaque(int upper_fd);

/* ---- stage_protect.c --------------------------------------------------- */

/* Paths below which programs of the host act on what they find. */
bool stage_is_protected(const char *path);
/* After the walk: refuse those, unless they are wanted by their names. */
void stage_check_protected(struct stage *s);

/* ---- stage_paths.c ----------------------------------------------------- */

void stage_paths_add(struct stage_paths *p, const char *path);
void stage_paths_sort(struct stage_paths *p);
bool stage_paths_has(const struct stage_paths *p, const char *path);
void stage_paths_free(struct stage_paths *p);
enum stage_match {
	MATCH_NONE,
	MATCH_INSIDE, /* something wanted lies below it */
	MATCH_ALL,    /* it is wanted, with all below */
};
enum stage_match stage_paths_match(
    const struct stage_paths *p, const char *path);
/*
 * Directory of a path below root, opened component by component beneath it
 * without links or mounts; *name is the last component, borrowed.
 */
int stage_open_parent(
    int root, const char *path, const char **name, struct error *err);
int stage_open_dir(int parent, const char *name);
/* Remove a tree of any depth below dir; 0 or -1 with errno. */
int stage_remove_tree(int dir, const char *name);

/* ---- stage_rename.c, stage_patch.c ------------------------------------- */

void stage_find_renames(struct stage *s);
/* Frames for the client: entries, and with patch also their text. */
void stage_report(struct stage *s, bool patch);
/* The text of a regular file or link on one side, "" for none.  0, or -1: too
 * large or not readable. */
int stage_read_side(const struct stage *s, const struct stage_change *c,
    bool base, struct buf *b);

/* ---- stage_out.c ------------------------------------------------------- */

void stage_put(struct stage *s, enum stage_frame type, const struct buf *b);
void stage_progress(struct stage *s, const char *what);
void stage_say(struct stage *s, const char *fmt, ...) attr_printf(2, 3);

/* ---- stage_journal.c --------------------------------------------------- */

enum stage_op_kind {
	OP_NEW = 1, /* tmp becomes name, which is not there */
	OP_SWAP,    /* tmp and name change places; the old one goes */
	OP_AWAY,    /* name becomes tmp, which goes */
	OP_CHMOD,   /* directory name gets a mode */
};

struct stage_op {
	enum stage_op_kind kind;
	char *path; /* below the workspace */
	char *tmp;  /* in the same directory */
	uint64_t new_ino, old_ino;
	uint32_t mode, old_mode;
	uint32_t change; /* index; not in the journal */
	bool done, keep; /* not in the journal; keep: what lies under tmp
			  * could not be put back and is somebody's */
};

struct stage_journal {
	struct stage_op *ops;
	size_t nops, cap;
	struct stage_paths landed; /* changes that the ops bring */
};

#define JOURNAL_PLAN "plan"     /* temporary names that may exist */
#define JOURNAL_COMMIT "commit" /* go forward from here on */
#define JOURNAL_ABORT "abort"   /* go back */
#define JOURNAL_MAX (256u << 20)

void journal_put(struct buf *b, const struct stage_journal *j);
/* Checks everything; 0 or -1. */
int journal_get(const void *p, size_t n, struct stage_journal *j);
void journal_free(struct stage_journal *j);
/* Write, sync and name it in one step; 0 or -1. */
int journal_write(int dir, const char *name, const struct stage_journal *j,
    struct error *err);
/* 1 read, 0 there is none, -1. */
int journal_read(
    int dir, const char *name, struct stage_journal *j, struct error *err);
/* Sorted list of what has been applied; 0 or -1. */
int journal_applied(int dir, struct stage_paths *p, struct error *err);
int journal_add_applied(
    int dir, const struct stage_paths *p, struct error *err);
/* A record of an apply that did not end. */
bool journal_pending(int dir);
/* Names removed and the directory synced. */
void journal_clear(int dir, bool but_plan);

/* ---- stage_ops.c: single steps on the workspace ------------------------ */

/* 0, or -1 with err: the step was not taken. */
int stage_op_do(struct stage *s, struct stage_op *op, struct error *err);
int stage_op_undo(struct stage *s, struct stage_op *op, struct error *err);
/* The end of all steps: displaced contents and temporary names away, then the
 * journal; its plan stays if a name cannot be removed now. */
void stage_clean(struct stage *s, const struct stage_journal *j);
/* What a crash left: forward after the commit record, else back. */
int stage_recover(struct stage *s, struct error *err);

/* ---- stage_apply.c ----------------------------------------------------- */

/*
 * Prepare everything that is selected: 0 and a journal whose temporary files
 * are all written, or -1 with nothing left and *err or frames that say why.
 */
int stage_prepare(struct stage *s, struct stage_journal *j, struct error *err);
/* Commit; 0, or -1 with everything as before. */
int stage_commit(struct stage *s, struct stage_journal *j, struct error *err);
void stage_rollback(struct stage *s, struct stage_journal *j);

/* ---- stage_lines.c: pure ----------------------------------------------- */

/* Unified hunks of b against a, three lines of context, appended to out;
 * counts of added and deleted lines. */
void lines_diff(const void *a, size_t na, const void *b, size_t nb,
    struct buf *out, uint32_t *added, uint32_t *deleted);
/* Share of equal lines, per cent of the larger. */
unsigned int lines_similar(const void *a, size_t na, const void *b, size_t nb);
bool lines_binary(const void *p, size_t n);

/* Entry of the role. */
void stage_preinit(void);
void stage_main(void);

#endif
