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

/* sock_fprog wants a pointer to non-const that it only reads. */
static void
program(struct sock_fprog *prog, const struct sock_filter *insn, size_t n)
{
	prog->len = (unsigned short)n;
	memcpy(&prog->filter, &insn, sizeof(prog->filter));
}

static int
install(const struct sock_fprog *prog, struct error *err)
{
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, prog) != 0)
		return error_set(err, errno, "filter: seccomp");
	return 0;
}

int
filter_install_init(struct error *err)
{
	struct sock_fprog prog;

	program(&prog, filter_init, nitems(filter_init));
	return install(&prog, err);
}

static const struct {
	const char *name;
	const struct sock_filter *allow, *deny;
	size_t nallow, ndeny;
} levels[] = {
#define LEVEL(id, n)                                                           \
	[id] = { #n, filter_allow_##n, filter_deny_##n,                        \
		nitems(filter_allow_##n), nitems(filter_deny_##n) }
	LEVEL(FILTER_DEFAULT, default),
	LEVEL(FILTER_STRICT, strict),
	LEVEL(FILTER_NESTED, nested),
#undef LEVEL
};

const char *
filter_name(enum filter_level level)
{
	return levels[level].name;
}

size_t
filter_job(enum filter_level level, bool memfd_exec, struct sock_fprog *prog)
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

	size_t n = 0;

	if (!memfd_exec)
		program(&prog[n++], no_memfd_exec, nitems(no_memfd_exec));
	/* deny last: of equal actions, the newest filter's errno is used. */
	program(&prog[n++], levels[level].allow, levels[level].nallow);
	program(&prog[n++], levels[level].deny, levels[level].ndeny);
	return n;
}

int
filter_install_job(enum filter_level level, bool memfd_exec, struct error *err)
{
	struct sock_fprog prog[FILTER_JOB_MAX];
	size_t n = filter_job(level, memfd_exec, prog);

	for (size_t i = 0; i < n; i++)
		if (install(&prog[i], err) < 0)
			return -1;
	return 0;
}
