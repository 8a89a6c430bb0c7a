/*
 * Words for seccomp filters of the engine's processes, written by hand: they
 * are short, and libseccomp is for sandbox/ alone.  Where a filter ends, what
 * it has not named is killed.
 */
#ifndef BRIG_INFERD_FILTER_H
#define BRIG_INFERD_FILTER_H

#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#else
#error "the system calls of this machine are not known"
#endif

/* Of an argument the low half: both machines are little-endian. */
#define FILTER_LOAD(field)                                                     \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define FILTER_ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define FILTER_KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define FILTER_ERRNO(e)                                                        \
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((e)&SECCOMP_RET_DATA))
/* Skip that many unless what was loaded is k. */
#define FILTER_IS(k, skip)                                                     \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(k), 0, skip)
/* Skip that many unless a bit of k is set in it. */
#define FILTER_HAS(k, skip)                                                    \
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)(k), 0, skip)

#endif
