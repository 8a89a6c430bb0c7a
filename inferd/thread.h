/* How the engine starts its threads. */
#ifndef BRIG_INFERD_THREAD_H
#define BRIG_INFERD_THREAD_H

#include <pthread.h>

/*
 * As pthread_create(3) with default attributes; returns its error.  Signals are
 * for the thread that has the event loop: this one blocks all but the one that
 * confines it (confine.h).
 */
int thread_start(pthread_t *id, void *(*fn)(void *), void *arg);

#endif
