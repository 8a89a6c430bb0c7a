/*
 * Entry points of the processes that live in this folder.  Each is called
 * after the process has been confined (uid, root, capabilities, seccomp) with
 * the channel to the parent on PARENT_FD, and returns when the parent says
 * stop.  *_preinit runs before confinement: whatever a library must open.
 */
#ifndef BRIG_PROXY_ROLES_H
#define BRIG_PROXY_ROLES_H

void front_preinit(void);
void front_main(void);
void back_preinit(void);
void back_main(void);
void keyd_preinit(void);
void keyd_main(void);
void dns_preinit(void);
void dns_main(void);

#endif
