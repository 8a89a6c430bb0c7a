#include "sandbox/capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "sandbox/jail.h"
#include "sandbox/netns.h"

#define BACKLOG 512
#define AGENT_BACKLOG 16
#define BPF_TRIES 5

#ifndef IPV6_RECVORIGDSTADDR
#define IPV6_RECVORIGDSTADDR 74
#endif
#ifndef IP_RECVORIGDSTADDR
#define IP_RECVORIGDSTADDR 20
#endif

/* Instructions by name; offsets of jumps count from the next one. */
#define INSN(c, d, s, o, i)                                                    \
	((struct bpf_insn){ .code = (c),                                       \
	    .dst_reg = (d),                                                    \
	    .src_reg = (s),                                                    \
	    .off = (o),                                                        \
	    .imm = (i) })
#define MOV_REG(dst, src) INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define MOV_IMM(dst, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, i)
#define ADD_IMM(dst, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, i)
#define AND_IMM(dst, i) INSN(BPF_ALU64 | BPF_AND | BPF_K, dst, 0, 0, i)
#define LOAD_CTX(dst, field)                                                   \
	INSN(BPF_LDX | BPF_W | BPF_MEM, dst, BPF_REG_6,                        \
	    offsetof(struct bpf_sk_lookup, field), 0)
#define STORE_W(dst, src, off) INSN(BPF_STX | BPF_W | BPF_MEM, dst, src, off, 0)
#define LOAD_MAP(dst, fd)                                                      \
	INSN(BPF_LD | BPF_DW | BPF_IMM, dst, BPF_PSEUDO_MAP_FD, 0, fd),        \
	    INSN(0, 0, 0, 0, 0)
#define JUMP(off) INSN(BPF_JMP | BPF_JA, 0, 0, off, 0)
#define JEQ_IMM(dst, i, off) INSN(BPF_JMP | BPF_JEQ | BPF_K, dst, 0, off, i)
#define JNE_IMM(dst, i, off) INSN(BPF_JMP | BPF_JNE | BPF_K, dst, 0, off, i)
#define CALL(fn) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, fn)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

enum {
	SLOT_TCP,
	SLOT_UDP,
	SLOTS
};

static int
sys_bpf(int cmd, union bpf_attr *a)
{
	int r, tries = 0;

	/* The verifier gives up when a signal comes. */
	do
		r = (int)syscall(SYS_bpf, cmd, a, sizeof(*a));
	while (r < 0 && errno == EAGAIN && ++tries < BPF_TRIES);
	return r;
}

static int
make_map(struct error *err)
{
	union bpf_attr a;
	int fd;

	memset(&a, 0, sizeof(a));
	a.map_type = BPF_MAP_TYPE_SOCKMAP;
	a.key_size = sizeof(uint32_t);
	a.value_size = sizeof(uint64_t);
	a.max_entries = SLOTS;
	fd = sys_bpf(BPF_MAP_CREATE, &a);
	if (fd < 0)
		return error_set(err, errno, "capture: socket map");
	return fd;
}

static int
map_put(int map, uint32_t slot, int sock, struct error *err)
{
	uint64_t value = (uint64_t)sock;
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.map_fd = (uint32_t)map;
	a.key = (uintptr_t)&slot;
	a.value = (uintptr_t)&value;
	if (sys_bpf(BPF_MAP_UPDATE_ELEM, &a) < 0)
		return error_set(err, errno, "capture: put socket in map");
	return 0;
}

/*
 * Listener lookup asks this program before it looks at the namespace's own
 * sockets, so the loopback addresses must pass: a development server on
 * localhost has to work.  Anything else goes to us even if the job has bound
 * that very address.  No socket in the map: drop, not pass.
 */
static int
load_program(int map, struct error *err)
{
	const struct bpf_insn prog[] = {
		MOV_REG(BPF_REG_6, BPF_REG_1), /* 0 */
		LOAD_CTX(BPF_REG_2, family),
		JNE_IMM(BPF_REG_2, AF_INET, 4), /* 2: to 7 */
		LOAD_CTX(BPF_REG_2, local_ip4),
		AND_IMM(BPF_REG_2, (int32_t)htonl(0xff000000)),
		JEQ_IMM(BPF_REG_2, (int32_t)htonl(0x7f000000), 30), /* pass */
		JUMP(8),                           /* 6: to 15 */
		LOAD_CTX(BPF_REG_2, local_ip6[0]), /* 7 */
		JNE_IMM(BPF_REG_2, 0, 6),
		LOAD_CTX(BPF_REG_2, local_ip6[1]),
		JNE_IMM(BPF_REG_2, 0, 4),
		LOAD_CTX(BPF_REG_2, local_ip6[2]),
		JNE_IMM(BPF_REG_2, 0, 2),
		LOAD_CTX(BPF_REG_2, local_ip6[3]),
		JEQ_IMM(BPF_REG_2, (int32_t)htonl(1), 21), /* 14: pass */
		LOAD_CTX(BPF_REG_2, protocol),             /* 15 */
		MOV_IMM(BPF_REG_3, SLOT_TCP),
		JNE_IMM(BPF_REG_2, IPPROTO_UDP, 1),
		MOV_IMM(BPF_REG_3, SLOT_UDP),
		STORE_W(BPF_REG_10, BPF_REG_3, -4), /* 19 */
		LOAD_MAP(BPF_REG_1, map),           /* 20, 21 */
		MOV_REG(BPF_REG_2, BPF_REG_10),
		ADD_IMM(BPF_REG_2, -4),
		CALL(BPF_FUNC_map_lookup_elem),
		JEQ_IMM(BPF_REG_0, 0, 8), /* 25: drop */
		MOV_REG(BPF_REG_7, BPF_REG_0),
		MOV_REG(BPF_REG_1, BPF_REG_6),
		MOV_REG(BPF_REG_2, BPF_REG_7),
		MOV_IMM(BPF_REG_3, 0),
		CALL(BPF_FUNC_sk_assign), /* 30 */
		MOV_REG(BPF_REG_1, BPF_REG_7),
		CALL(BPF_FUNC_sk_release),
		JUMP(2),                     /* 33: pass */
		MOV_IMM(BPF_REG_0, SK_DROP), /* 34 */
		EXIT(),
		MOV_IMM(BPF_REG_0, SK_PASS), /* 36 */
		EXIT(),
	};
	union bpf_attr a;
	int fd;

	memset(&a, 0, sizeof(a));
	a.prog_type = BPF_PROG_TYPE_SK_LOOKUP;
	a.expected_attach_type = BPF_SK_LOOKUP;
	a.insns = (uintptr_t)prog;
	a.insn_cnt = nitems(prog);
	a.license = (uintptr_t) "GPL";
	fd = sys_bpf(BPF_PROG_LOAD, &a);
	if (fd < 0)
		return error_set(err, errno, "capture: load program");
	return fd;
}

static int
attach(int netns_fd, const int fd[CAPTURE_MAX], struct error *err)
{
	cleanup_fd int map = -1;
	cleanup_fd int prog = -1;
	union bpf_attr a;
	int link;

	map = make_map(err);
	if (map < 0 || map_put(map, SLOT_TCP, fd[CAPTURE_TCP], err) < 0 ||
	    map_put(map, SLOT_UDP, fd[CAPTURE_UDP], err) < 0)
		return -1;
	prog = load_program(map, err);
	if (prog < 0)
		return -1;
	memset(&a, 0, sizeof(a));
	a.link_create.prog_fd = (uint32_t)prog;
	a.link_create.target_fd = (uint32_t)netns_fd;
	a.link_create.attach_type = BPF_SK_LOOKUP;
	link = sys_bpf(BPF_LINK_CREATE, &a);
	if (link < 0)
		return error_set(err, errno, "capture: attach program");
	return link;
}

int
capture_probe(struct error *err)
{
	cleanup_fd int map = -1;
	cleanup_fd int prog = -1;

	map = make_map(err);
	if (map < 0)
		return -1;
	prog = load_program(map, err);
	return prog < 0 ? -1 : 0;
}

static int
set_on(int fd, int level, int option)
{
	const int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on));
}

static int
bind_any(int fd, int family, uint16_t port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port) };
	struct sockaddr_in in4 = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	const int off = 0;

	if (family == AF_INET)
		return bind(fd, (const struct sockaddr *)&in4, sizeof(in4));
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
		return -1;
	return bind(fd, (const struct sockaddr *)&in6, sizeof(in6));
}

static int
socket_tcp(int family, struct error *err)
{
	cleanup_fd int fd = -1;

	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || set_on(fd, SOL_SOCKET, SO_REUSEADDR) < 0 ||
	    bind_any(fd, family, JAIL_PROXY_PORT) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return error_set(err, errno, "capture: TCP listener");
	return steal_fd(&fd);
}

static int
socket_udp(int family, struct error *err)
{
	cleanup_fd int fd = -1;

	fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || set_on(fd, SOL_SOCKET, SO_REUSEADDR) < 0 ||
	    set_on(fd, IPPROTO_IP, IP_PKTINFO) < 0 ||
	    set_on(fd, IPPROTO_IP, IP_RECVORIGDSTADDR) < 0)
		return error_set(err, errno, "capture: UDP socket");
	if (family == AF_INET6 &&
	    (set_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) < 0 ||
		set_on(fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR) < 0))
		return error_set(err, errno, "capture: UDP socket");
	if (bind_any(fd, family, 53) < 0)
		return error_set(err, errno, "capture: bind UDP port 53");
	return steal_fd(&fd);
}

static int
socket_dns(struct error *err)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(53),
		.sin_addr.s_addr = htonl(0x7f000035) };
	cleanup_fd int fd = -1;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Both it and [::]:53 say SO_REUSEADDR; the exact address wins. */
	if (fd < 0 || set_on(fd, SOL_SOCKET, SO_REUSEADDR) < 0 ||
	    bind(fd, (const struct sockaddr *)&sin, sizeof(sin)) < 0)
		return error_set(err, errno, "capture: DNS socket");
	return steal_fd(&fd);
}

/* In the calling process's namespace. */
static int
sockets(int fd[CAPTURE_MAX], struct error *err)
{
	cleanup_fd int tcp = -1;
	cleanup_fd int udp = -1;
	cleanup_fd int dns = -1;
	int family = AF_INET6;

	dns = socket_dns(err);
	if (dns < 0)
		return -1;
	tcp = socket_tcp(family, NULL);
	if (tcp < 0) {
		if (errno == EAFNOSUPPORT)
			family = AF_INET;
		tcp = socket_tcp(family, err);
	}
	if (tcp < 0)
		return -1;
	udp = socket_udp(family, err);
	if (udp < 0)
		return -1;
	fd[CAPTURE_TCP] = steal_fd(&tcp);
	fd[CAPTURE_UDP] = steal_fd(&udp);
	fd[CAPTURE_DNS] = steal_fd(&dns);
	return 0;
}

int
agent_socket(int tmp, int *fd, struct error *err)
{
	const char *name = strrchr(P_AGENT_PATH, '/') + 1;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	cleanup_fd int s =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* bind(2) takes a path; /tmp is attached to nothing yet. */
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path),
	    "/proc/self/fd/%d/%s", tmp, name);
	if (s < 0 || bind(s, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    fchmodat(tmp, name, 0666, 0) < 0 || listen(s, AGENT_BACKLOG) < 0)
		return error_set(err, errno, "agent socket");
	*fd = steal_fd(&s);
	return 0;
}

void
capture_init(struct capture *cp)
{
	cp->ns = cp->link = -1;
	for (size_t i = 0; i < CAPTURE_MAX; i++)
		cp->sock[i] = -1;
}

void
capture_close(struct capture *cp)
{
	fd_close(&cp->ns);
	fd_close(&cp->link);
	for (size_t i = 0; i < CAPTURE_MAX; i++)
		fd_close(&cp->sock[i]);
}

/* In a new namespace, which the caller leaves again. */
static int
fill(struct capture *cp, struct error *err)
{
	cp->ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (cp->ns < 0)
		return error_set(err, errno, "netns: open");
	if (netns_setup(err) < 0 || sockets(cp->sock, err) < 0)
		return -1;
	cp->link = attach(cp->ns, cp->sock, err);
	return cp->link < 0 ? -1 : 0;
}

int
capture_make(struct capture *cp, struct error *err)
{
	cleanup_fd int home = -1;
	int r;

	capture_init(cp);
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return error_set(err, errno, "netns: open");
	if (unshare(CLONE_NEWNET) < 0)
		return error_set(err, errno, "netns: unshare");
	r = fill(cp, err);
	/* Going on in there would be worse than not going on. */
	if (setns(home, CLONE_NEWNET) < 0)
		fatal("netns: return");
	if (r < 0)
		capture_close(cp);
	return r;
}
