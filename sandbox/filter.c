#include "sandbox/filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/compat.h"
#include "sandbox/filter_data.h"
#include "sandbox/sys.h"

static int
install(const struct sock_filter *insn, size_t n, struct error *err)
{
	struct sock_fprog prog = { .len = (unsigned short)n };

	/* sock_fprog wants a pointer to non-const that it only reads. */
	memcpy(&prog.filter, &insn, sizeof(prog.filter));
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) != 0)
		return error_set(err, errno, "filter: seccomp");
	return 0;
}

int
filter_install_init(struct error *err)
{
	return install(filter_init, nitems(filter_init), err);
}

int
filter_install_job(bool memfd_exec, struct error *err)
{
	/* vm.memfd_noexec says the same where the kernel has it. */
	static const struct sock_filter no_memfd_exec[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MFD_EXEC, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	if (!memfd_exec &&
	    install(no_memfd_exec, nitems(no_memfd_exec), err) < 0)
		return -1;
	/* deny last: of equal actions, the newest filter's errno is used. */
	if (install(filter_allow, nitems(filter_allow), err) < 0)
		return -1;
	return install(filter_deny, nitems(filter_deny), err);
}
