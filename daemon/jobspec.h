/*
 * What a job is, as it travels control -> parent -> shim in a sealed memfd
 * (bodies of messages are limited to 64 KiB, an argv is not).
 */
#ifndef BRIG_JOBSPEC_H
#define BRIG_JOBSPEC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/proto.h"

#define JOB_ARGV_MAX 4096u /* elements */
#define JOB_ARGV_BYTES_MAX (1024u * 1024)
#define JOB_ENV_MAX 256u

struct job_spec { /* made by control */
	uint32_t job;
	uid_t uid; /* submitter, from SO_PEERCRED */
	gid_t gid;
	char *profile;
	char **argv;     /* NULL-terminated */
	char **env;      /* "K=V", NULL-terminated, may be empty */
	char *workspace; /* absolute path, or "" for none: an
			  * empty scratch directory */
	bool tty;        /* give the job a pty */
	uint16_t rows, cols;
	char *term; /* TERM of the submitter, or "" */
};

struct shim_spec { /* made by parent */
	struct job_spec job;
	uid_t host_uid; /* this job's own uid and gid */
	char *hostname; /* inside the jail */
	/* Environment of stubs: "GITHUB_TOKEN=ghp_...". */
	char **stub_env;
};

/* Encode to / decode from the bytes of the memfd; decoding checks
 * everything.  0 or -1. */
int job_spec_put(struct buf *b, const struct job_spec *s);
int job_spec_get(struct cur *c, struct job_spec *s);
void job_spec_free(struct job_spec *s);
int shim_spec_put(struct buf *b, const struct shim_spec *s);
int shim_spec_get(struct cur *c, struct shim_spec *s);
void shim_spec_free(struct shim_spec *s);

#endif
