/*
 * inferd as a service: from options to a server that runs until it is told to
 * end.
 */
#ifndef BRIG_INFERD_SERVE_H
#define BRIG_INFERD_SERVE_H

#include <stdbool.h>
#include <sys/types.h>

#include "inferd/agent.h"
#include "inferd/backend.h"
#include "inferd/public.h"

struct serve_opts {
	struct backend_opts backend;
	const char *socket; /* path of the Unix one; NULL: none */
	mode_t socket_mode;
	gid_t socket_group; /* (gid_t)-1: ours */
	const char *tcp;    /* NULL: none */
	const char *name;   /* of the model; NULL: its file's */
	struct agent_budget budget;
	uint32_t loop_max;
	const char *agent_steer[STEER_CLASSES_MAX]; /* NAME=CLASS */
	size_t nagent_steer;
	const char *record; /* file of records; NULL: none */
	bool record_text;
	bool has_supervisor;
	uid_t supervisor;
	bool keep_volatile;
	const char *publics[PUBLIC_MAX]; /* files */
	size_t npublics;
	bool no_confine;
};

/* Was this process given sockets to listen on? */
bool serve_has_sockets(void);
/* Returns the exit status. */
int serve(const struct serve_opts *o);

#endif
