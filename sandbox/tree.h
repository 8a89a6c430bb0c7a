/*
 * The file tree of a jail.  tree_shared() and tree_own() run in the caller of
 * jail_build() while pid 1 makes its namespaces; the rest in pid 1, as root of
 * the initial user namespace, in a mount namespace of its own.  What needs no
 * job may have been done ahead of it (sandbox/ahead.h).
 */
#ifndef BRIG_SANDBOX_TREE_H
#define BRIG_SANDBOX_TREE_H

#include "base/error.h"
#include "sandbox/jail.h"

/* Below "/": what is mounted over things to hide, root's. */
#define TREE_HIDE ".brig"
#define TREE_EMPTY_FILE TREE_HIDE "/file"
#define TREE_EMPTY_DIR TREE_HIDE "/dir"

enum tree_part {
	TREE_USR, /* the host's /usr, or the image */
	TREE_ETC,
	TREE_DEV,
	TREE_OWN, /* from here on they belong to one job */
	TREE_PTS = TREE_OWN,
	TREE_SHM,
	TREE_TMP,
	TREE_HOME,
	TREE_WORKSPACE,
	TREE_PARTS
};

/*
 * Detached mounts of the parts before TREE_OWN, and of those from it on, into
 * fd, whose elements must be -1 before, except fd[TREE_WORKSPACE]: where that
 * is -1, the workspace is an empty directory of the job's own.  0, or -1 with
 * some of them made.
 */
int tree_shared(
    const struct jail_config *c, int fd[TREE_PARTS], struct error *err);
int tree_own(
    const struct jail_config *c, int fd[TREE_PARTS], struct error *err);

/* A new root with its directories, attached over the old tree.  Its
 * descriptor, or -1. */
int tree_root(const struct jail_config *c, struct error *err);

/* Put the parts that are not -1 in place; with TREE_USR, and while the host's
 * tree is there, what comes from that, too.  0 or -1. */
int tree_attach(int root, const int fd[TREE_PARTS], const struct jail_config *c,
    struct error *err);

/* A fresh /proc, of the caller's pid namespace; the files of /etc that name
 * the jail.  0 or -1. */
int tree_finish(int root, const struct jail_config *c, struct error *err);

/* Nothing of our own in it can be written to any more.  0 or -1. */
int tree_seal(int root, struct error *err);

/* Make root "/" and forget the host's tree.  0 or -1. */
int tree_enter(int root, struct error *err);

/* After tree_enter(): a terminal of the jail's devpts.  0 or -1. */
int tree_terminal(
    const struct jail_config *c, int *master, int *slave, struct error *err);

/* ---- pieces of it ------------------------------------------------------ */

/*
 * tree_etc.c: a detached /etc whose copied files come from the root src; and,
 * where it is attached, its folders.  Descriptor or -1; 0 or -1.
 */
int tree_etc(const struct jail_config *c, int src, struct error *err);
int tree_etc_dirs(int src, int etc, struct error *err);
/* The files in it with the jail's name. */
int tree_etc_names(int etc, const char *host, struct error *err);
/* Changes whenever the host's files that tree_etc() copies do. */
int tree_etc_stamp(uint64_t *stamp, struct error *err);

/* tree_software.c: /bin, /lib ... as the host has them, links or folders. */
int tree_links(int root, struct error *err);
/*
 * Every folder of the image mnt that holds software.  Descriptor of the
 * image's root, good until tree_image_done(), or -1.
 */
int tree_image(int root, int mnt, struct error *err);
int tree_image_done(int root, struct error *err);
/* A name in "/" that comes from an image. */
bool tree_is_software(const char *name);
/* The folders of the host that c->trees names.  0 or -1. */
int tree_more(int root, const struct jail_config *c, struct error *err);

#endif
