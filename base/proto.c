#include "base/proto.h"

#include <string.h>

#include "base/compat.h"

static const char *const role_names[ROLE_MAX] = {
	[ROLE_NONE] = "none",
	[ROLE_PARENT] = "parent",
	[ROLE_CONTROL] = "control",
	[ROLE_KEYD] = "keyd",
	[ROLE_AUDIT] = "audit",
	[ROLE_DNS] = "dns",
	[ROLE_SHIM] = "shim",
	[ROLE_FRONT] = "front",
	[ROLE_BACK] = "back",
	[ROLE_STAGE] = "stage",
};

static const char *const state_names[JOB_STATE_MAX] = {
	[JOB_QUEUED] = "queued",
	[JOB_STARTING] = "starting",
	[JOB_RUNNING] = "running",
	[JOB_DONE] = "done",
	[JOB_FAILED] = "failed",
	[JOB_KILLED] = "killed",
	[JOB_LOST] = "lost",
	[JOB_REVIEW] = "review",
	[JOB_APPLIED] = "applied",
	[JOB_DISCARDED] = "discarded",
};

const char *
role_name(enum role role)
{
	return (unsigned int)role < ROLE_MAX ? role_names[role] : "none";
}

enum role
role_by_name(const char *name)
{
	for (unsigned int i = 1; i < ROLE_MAX; i++)
		if (strcmp(name, role_names[i]) == 0)
			return (enum role)i;
	return ROLE_NONE;
}

const char *
job_state_name(enum job_state s)
{
	return (unsigned int)s < JOB_STATE_MAX ? state_names[s] : "lost";
}
