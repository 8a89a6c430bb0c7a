/*
 * The certificates of authorities that upstream servers are verified with:
 * brigd.conf's ca-roots and extra-ca, read and looked at by the parent.  Back
 * gets all of them, a jail those of ca-roots beside our own CA.
 */
#ifndef BRIG_DAEMON_PARENT_ROOTS_H
#define BRIG_DAEMON_PARENT_ROOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "daemon/conf.h"
#include "daemon/truststore.h"

/* In one file: what a jail's Java can be given, and our own beside them. */
#define ROOTS_FILE_CERTS_MAX (TRUSTSTORE_CERTS_MAX - 10)

struct parent_roots {
	int fd;      /* sealed memfd, PEM that back trusts; or -1 */
	size_t jail; /* so many bytes of it, the first, are ca-roots */
	int host_fd; /* sealed memfd, more for single hosts; -1: none */
};

/*
 * Read the files that conf names into r, which is overwritten.  -1 with err,
 * which names the file and which of its certificates is wrong, and r empty.
 */
int roots_read(
    const struct conf *conf, struct parent_roots *r, struct error *err);
void roots_free(struct parent_roots *r);
bool roots_same(const struct parent_roots *a, const struct parent_roots *b);
/* The text of ca-roots once more; 0, or -1 with err. */
int roots_jail_text(
    const struct parent_roots *r, struct buf *out, struct error *err);

/*
 * Is every certificate of the n bytes of PEM one, and is there any?  path is
 * for err alone.  0 or -1.  Pure.
 */
int roots_check(const char *path, const void *pem, size_t n, struct error *err);

#endif
