/*
 * Capture of everything a jail sends: an sk_lookup program in the jail's
 * network namespace hands every TCP connection and UDP datagram that is not
 * for 127.0.0.0/8 or ::1 to two sockets of ours, whatever its address and
 * port.  The program and its link belong to the shim.
 */
#ifndef BRIG_SANDBOX_CAPTURE_H
#define BRIG_SANDBOX_CAPTURE_H

#include "base/error.h"
#include "base/proto.h"

/*
 * The three sockets, in the calling process's network namespace, which needs
 * CAP_NET_BIND_SERVICE there.  All non-blocking, CLOEXEC:
 *   CAPTURE_TCP  listener, [::]:JAIL_PROXY_PORT, dual-stack.  getsockname(2)
 *                on an accepted socket is what the job connected to.
 *   CAPTURE_UDP  [::]:53, dual-stack, so that an answer to a captured query
 *                leaves from port 53; control messages IPV6_PKTINFO /
 *                IP_PKTINFO and IPV6_ORIGDSTADDR / IP_ORIGDSTADDR carry the
 *                original destination and its port.  Answer with a PKTINFO
 *                control message that names that address as the source.
 *   CAPTURE_DNS  127.0.0.53:53
 * On a kernel without IPv6 they are IPv4 sockets.  0 or -1.
 */
int capture_sockets(int fd[CAPTURE_MAX], struct error *err);

/*
 * Load the program and attach it to the network namespace netns_fd; needs
 * CAP_BPF (or CAP_SYS_ADMIN) and CAP_NET_ADMIN in the initial user namespace.
 * Returns the link: capture lasts as long as it is open.  -1 on failure.
 */
int capture_attach(int netns_fd, const int fd[CAPTURE_MAX], struct error *err);

/* True if this kernel takes the program; for doctor.  -1 fills err. */
int capture_probe(struct error *err);

#endif
