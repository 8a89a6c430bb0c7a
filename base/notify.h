/*
 * What a service tells systemd, as sd_notify(3) describes: one datagram to
 * $NOTIFY_SOCKET.  Without that, or when it fails, nothing changes.
 */
#ifndef BRIG_NOTIFY_H
#define BRIG_NOTIFY_H

#include <stdint.h>

/* "READY=1", "WATCHDOG=1", "STATUS=...", lines; a failure is logged. */
void notify_send(const char *text);

/*
 * The same in two steps, for who may make no socket later on: the connected
 * socket, or -1; and one datagram on it (nothing if it is -1).
 */
int notify_open(void);
void notify_on(int fd, const char *text);

/* How often WATCHDOG=1 is to be sent, in ms; 0: never. */
uint64_t notify_watchdog_ms(void);

#endif
