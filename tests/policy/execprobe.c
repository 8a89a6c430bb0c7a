/*
 * execprobe: ways of executing a program that argv rules are dodged with, for
 * the corpus in tests/policy/bypass.  Static, so that it runs from a
 * workspace.  Exit status 1: the way is closed; 3: this kernel has none.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"

#define RACES 60
#define I386_EXECVE 11
#define X32_BIT 0x40000000L
#define X32_EXECVE 520

static int
closed(const char *what)
{
	fprintf(stderr, "execprobe: %s: %s\n", what, strerror(errno));
	return errno == ENOSYS ? 3 : 1;
}

/* memfd PROGRAM ARG...: its bytes, executed without a file. */
static int
try_memfd(char **argv)
{
	char buf[65536];
	ssize_t n;
	int in = open(argv[0], O_RDONLY | O_CLOEXEC);
	int fd = memfd_create("probe", MFD_CLOEXEC);

	if (in < 0 || fd < 0)
		return closed("memfd_create");
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(fd, buf, (size_t)n) != n)
			return closed("write");
	fexecve(fd, argv, environ);
	return closed("fexecve");
}

/* deleted PROGRAM ARG...: a copy that has lost its name. */
static int
try_deleted(char **argv)
{
	char buf[65536];
	ssize_t n;
	int in = open(argv[0], O_RDONLY | O_CLOEXEC), out, fd;

	out = open("deleted-copy", O_WRONLY | O_CREAT | O_TRUNC, 0700);
	if (in < 0 || out < 0)
		return closed("deleted-copy");
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			return closed("write");
	close(out);
	fd = open("deleted-copy", O_RDONLY | O_CLOEXEC);
	unlink("deleted-copy");
	if (fd < 0)
		return closed("open");
	fexecve(fd, argv, environ);
	return closed("fexecve");
}

/* ---- an argument that changes while it is being executed ---------------- */

static char word[16] = "status";
static volatile bool stop;

static void
set_word(const char *to)
{
	for (int i = 0; i < 6; i++)
		((volatile char *)word)[i] = to[i];
	for (volatile int i = 0; i < 500; i++)
		;
}

static void *
flip(void *arg)
{
	while (!stop) {
		set_word("push\0\0");
		set_word("status");
	}
	return NULL;
}

/* race [git ...]: `git status` by the look of it, `git push` when it runs. */
static int
try_race(char **argv)
{
	char git[] = "git", *const av[] = { git, word, NULL };
	pthread_t th;
	int st;

	for (int i = 0; i < RACES; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return closed("fork");
		if (pid == 0) {
			pthread_create(&th, NULL, flip, NULL);
			usleep(100u + (unsigned int)i * 7u);
			execv("/usr/bin/git", av);
			_exit(127);
		}
		waitpid(pid, &st, 0);
	}
	return 0;
}

/* vfork: the parent is stopped, but a thread of it is not. */
static int
try_vfork(char **argv)
{
	char git[] = "git", *const av[] = { git, word, NULL };
	pthread_t th;
	int st;

	pthread_create(&th, NULL, flip, NULL);
	for (int i = 0; i < RACES; i++) {
		pid_t pid = vfork();

		if (pid == 0) {
			execv("/usr/bin/git", av);
			_exit(127);
		}
		if (pid < 0)
			return closed("vfork");
		waitpid(pid, &st, 0);
	}
	stop = true;
	pthread_join(th, NULL);
	return 0;
}

/* ---- system calls of other tables --------------------------------------- */

static int
try_int80(char **argv)
{
#if defined(__x86_64__)
	long rc;
	uint32_t *ptrs = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	char *s;

	if (ptrs == MAP_FAILED)
		return closed("mmap");
	/* Everything below 4 GiB: path, then the list of arguments. */
	s = (char *)(ptrs + 64);
	for (int i = 0; argv[i] != NULL; i++) {
		ptrs[i] = (uint32_t)(uintptr_t)s;
		memcpy(s, argv[i], strlen(argv[i]) + 1);
		s += strlen(argv[i]) + 1;
	}
	__asm__ volatile(
	    "int $0x80"
	    : "=a"(rc)
	    : "a"((long)I386_EXECVE), "b"((long)ptrs[0]), "c"(ptrs), "d"(0L)
	    : "memory", "r8", "r9", "r10", "r11");
	errno = (int)-rc;
#else
	errno = ENOSYS;
#endif
	return closed("int 0x80 execve");
}

static int
try_x32(char **argv)
{
#if defined(__x86_64__)
	syscall(X32_BIT | X32_EXECVE, argv[0], argv, environ);
#else
	errno = ENOSYS;
#endif
	return closed("x32 execve");
}

/* ---- writing into a process that has been let through ------------------- */

static int
victim(const char *mode, char *secret, const char *with)
{
	struct iovec local = { (void *)(uintptr_t)with, strlen(with) + 1 };
	struct iovec remote = { secret, strlen(with) + 1 };
	char path[64];
	bool done = false;
	pid_t pid = fork();
	int fd, st;

	if (pid < 0)
		return closed("fork");
	if (pid == 0) {
		raise(SIGSTOP);
		execl("/bin/sh", "sh", "-c", secret, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &st, WUNTRACED);
	if (str_eq(mode, "ptrace")) {
		done = ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0;
		if (done) {
			long w;

			waitpid(pid, &st, 0);
			for (size_t i = 0; i <= strlen(with); i += sizeof(w)) {
				memcpy(&w, with + i, sizeof(w));
				done &= ptrace(PTRACE_POKEDATA, pid, secret + i,
					    w) == 0;
			}
			ptrace(PTRACE_DETACH, pid, NULL, NULL);
		}
	} else if (str_eq(mode, "vmwrite")) {
		done = process_vm_writev(pid, &local, 1, &remote, 1, 0) > 0;
	} else {
		snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
		fd = open(path, O_RDWR | O_CLOEXEC);
		done = fd >= 0 && pwrite(fd, with, strlen(with) + 1,
				      (off_t)(uintptr_t)secret) > 0;
	}
	if (!done)
		closed(mode);
	kill(pid, SIGCONT);
	waitpid(pid, &st, 0);
	return done ? 0 : 1;
}

/* poke ptrace|vmwrite|mem COMMAND: change what a sibling is about to run. */
static int
try_poke(char **argv)
{
	static char command[128] = "true";
	static char with[128];

	if (argv[1] == NULL)
		return 2;
	strlcpy(with, argv[1], sizeof(with));
	return victim(argv[0], command, with);
}

/* untraced COMMAND: a child that no tracer is told of. */
static int
try_untraced(char **argv)
{
	long pid =
	    syscall(SYS_clone, (long)CLONE_UNTRACED | SIGCHLD, 0L, 0L, 0L, 0L);
	int st;

	if (pid < 0)
		return closed("clone(CLONE_UNTRACED)");
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid((pid_t)pid, &st, 0);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 1;
}

/* folder DIR COMMAND: in DIR, till its parent goes somewhere else for both. */
static int
try_folder(char **argv)
{
	long pid = syscall(SYS_clone, (long)CLONE_FS | SIGCHLD, 0L, 0L, 0L, 0L);
	int st;

	if (pid < 0)
		return closed("clone(CLONE_FS)");
	if (pid == 0) {
		if (chdir(argv[0]) == 0)
			execvp(argv[1], argv + 1);
		_exit(127);
	}
	usleep(500000);
	if (chdir("..") != 0)
		return closed("chdir");
	waitpid((pid_t)pid, &st, 0);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 1;
}

/* daemon COMMAND: twice forked, a session of its own, outlives its parent. */
static int
try_daemon(char **argv)
{
	if (fork() != 0)
		return 0;
	setsid();
	if (fork() != 0)
		_exit(0);
	usleep(200000);
	execvp(argv[0], argv);
	return closed("exec");
}

/* thread COMMAND: executed by a thread that is not the leader. */
static void *
thread_exec(void *arg)
{
	char **argv = arg;

	execvp(argv[0], argv);
	return NULL;
}

static int
try_thread(char **argv)
{
	pthread_t th;

	pthread_create(&th, NULL, thread_exec, argv);
	pthread_join(th, NULL);
	return closed("exec");
}

/* long BYTES PROGRAM ARG...: with one more argument of so many bytes, made of
 * pieces that the kernel takes. */
static int
try_long(char **argv)
{
	size_t left = strtoul(argv[0], NULL, 10), n = 0, k;
	char **av = xcalloc(left / 1000 + 64, sizeof(*av));

	while (argv[n + 1] != NULL && n < 32) {
		av[n] = argv[n + 1];
		n++;
	}
	for (; left > 0; left -= k) {
		k = left < 100000 ? left : 100000;
		av[n] = xcalloc(k + 1, 1);
		memset(av[n++], 'x', k);
	}
	execvp(av[0], av);
	return closed("exec");
}

static const struct {
	const char *name;
	int (*fn)(char **argv);
} tries[] = {
	{ "memfd", try_memfd },
	{ "deleted", try_deleted },
	{ "race", try_race },
	{ "vfork", try_vfork },
	{ "int80", try_int80 },
	{ "x32", try_x32 },
	{ "poke", try_poke },
	{ "untraced", try_untraced },
	{ "folder", try_folder },
	{ "daemon", try_daemon },
	{ "thread", try_thread },
	{ "long", try_long },
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < nitems(tries); i++)
		if (str_eq(tries[i].name, argv[1]))
			return tries[i].fn(argv + 2);
	fprintf(stderr, "usage: execprobe WAY [ARG...]\n");
	return 2;
}
