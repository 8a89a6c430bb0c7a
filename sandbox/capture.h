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
 * A network namespace with nothing but a loopback device on which every
 * address is local, and its capture.  It knows no job, so it can be made ahead
 * of the jail that will live in it.  The sockets, all non-blocking and CLOEXEC:
 *   CAPTURE_TCP  listener, [::]:JAIL_PROXY_PORT, dual-stack.  getsockname(2)
 *                on an accepted socket is what the job connected to.
 *   CAPTURE_UDP  [::]:53, dual-stack, so that an answer to a captured query
 *                leaves from port 53; control messages IPV6_PKTINFO /
 *                IP_PKTINFO and IPV6_ORIGDSTADDR / IP_ORIGDSTADDR carry the
 *                original destination and its port.  Answer with a PKTINFO
 *                control message that names that address as the source.
 *   CAPTURE_DNS  127.0.0.53:53
 * On a kernel without IPv6 they are IPv4 sockets.
 */
struct capture {
	int ns; /* the namespace, for setns(2) */
	int sock[CAPTURE_MAX];
	int link; /* capture lasts as long as it is open */
};

void capture_init(struct capture *cp); /* all -1 */
/*
 * Make it.  The caller must have one thread, which is in a namespace of its
 * own for a moment; needs CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_BPF in the
 * initial user namespace.  0, or -1 with nothing made.
 */
int capture_make(struct capture *cp, struct error *err);
void capture_close(struct capture *cp);

/*
 * A listening socket at P_AGENT_PATH for every uid, in the file system that
 * becomes the jail's /tmp.  0 with *fd, or -1.
 */
int agent_socket(int tmp, int *fd, struct error *err);

/* True if this kernel takes the program; for doctor.  -1 fills err. */
int capture_probe(struct error *err);

#endif
