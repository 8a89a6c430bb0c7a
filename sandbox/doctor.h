/*
 * What this kernel and configuration can do for a jail; `brig doctor` prints
 * it.  Runs in the CLI or the parent, changes nothing.
 */
#ifndef BRIG_SANDBOX_DOCTOR_H
#define BRIG_SANDBOX_DOCTOR_H

/*
 * Try each feature and call report(arg, feature, state, detail): state is
 * "ok", "missing" (jobs cannot run) or "degraded" (a layer less); detail says
 * what was found and what its absence costs.  Needs root for most of them,
 * and says so otherwise.
 */
void doctor_run(void (*report)(void *arg, const char *feature,
		    const char *state, const char *detail),
    void *arg);

/* The same for one directory: whether it can be a workspace. */
void doctor_workspace(const char *dir,
    void (*report)(
	void *arg, const char *feature, const char *state, const char *detail),
    void *arg);

#endif
