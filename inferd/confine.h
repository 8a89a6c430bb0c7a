/*
 * The engine's process gives up what it does not need to answer: called once,
 * by the main thread, after the model, the sockets, the threads and the cache
 * directory are there, before the first connection is accepted.
 *
 * Afterwards no thread has a capability or gets one, none opens a file outside
 * the cache directory, and none makes a socket, a connection, a thread or a
 * process; a system call that is not on the list kills the process.  What is
 * left is to accept, read and write, wait, compute, and the cache.
 */
#ifndef BRIG_INFERD_CONFINE_H
#define BRIG_INFERD_CONFINE_H

#include <signal.h>

#include "base/error.h"

/*
 * The other threads confine themselves when they get this signal: capabilities
 * and Landlock belong to single threads.  None may block it.
 */
#define CONFINE_SIGNAL (SIGRTMAX - 1)

/*
 * cache_dir: the directory whose files may be read, written, made, renamed and
 * removed; NULL: no file at all.  -1 with err when the kernel refuses a part,
 * or a thread does not answer: the process must end then, since parts of it
 * are confined already.
 */
int confine(const char *cache_dir, struct error *err);

#endif
