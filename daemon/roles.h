/*
 * Entry points of the daemon's own child processes.  Each *_main is called
 * after the process has been confined (uid, root, capabilities, seccomp) with
 * the channel to the parent on PARENT_FD, and returns when the parent says
 * stop.  *_preinit runs before confinement: whatever must be opened or read.
 */
#ifndef BRIG_DAEMON_ROLES_H
#define BRIG_DAEMON_ROLES_H

void audit_preinit(void);
void audit_main(void);

#endif
