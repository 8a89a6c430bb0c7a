#include "inferd/model_child.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/str.h"
#include "inferd/filter.h"
#include "inferd/gguf.h"
#include "inferd/model_parse.h"
#include "inferd/model_shape.h"

/* Descriptors in the child: 0-2 are /dev/null. */
#define CHILD_PIPE 3
#define CHILD_FILES 4

/* First byte of what it says. */
#define SAYS_TABLE 'T'
#define SAYS_ERROR 'E'

#define PIPE_SIZE (1 << 20)
#define READ_STEP (256u << 10)

/* Allow that call; else go on. */
#define CALL(name) FILTER_IS(SYS_##name, 1), FILTER_ALLOW

/*
 * Reading and writing what is open, memory that is not executable, the end.
 * The numbers of x32 are none of these.
 */
static const struct sock_filter filter[] = {
	FILTER_LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 1, 0),
	FILTER_KILL,
	FILTER_LOAD(nr),
	CALL(read),
	CALL(pread64),
	CALL(write),
	CALL(madvise), /* malloc(3), where it is told to use large pages */
	CALL(munmap),
	CALL(mremap),
	CALL(brk),
	CALL(sysinfo), /* qsort(3): how much memory there is */
	CALL(exit),
	CALL(exit_group),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0),
	FILTER_KILL,
	FILTER_LOAD(args[2]),
	FILTER_HAS(PROT_EXEC, 1),
	FILTER_KILL,
	FILTER_ALLOW,
};

static int
limit(int what, uint64_t most)
{
	struct rlimit r = { most, most };

	return setrlimit(what, &r);
}

/* Nothing is opened, executed or left behind from here on. */
static int
confine(void)
{
	struct sock_fprog prog = { nitems(filter), NULL };
	struct sock_filter copy[nitems(filter)];

	memcpy(copy, filter, sizeof(filter));
	prog.filter = copy;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    limit(RLIMIT_CORE, 0) != 0 || limit(RLIMIT_FSIZE, 0) != 0 ||
	    limit(RLIMIT_CPU, MODEL_CHILD_CPU) != 0)
		return -1;
#ifdef BRIG_SANITIZE
	/* Their runtime maps terabytes and asks the kernel for more. */
	(void)prog;
	return 0;
#else
	if (limit(RLIMIT_DATA, MODEL_CHILD_MEMORY) != 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0);
#endif
}

/*
 * The pipe and the files at their places, nothing else open.  First out of the
 * way, so that no place is taken by one that is still needed.
 */
static int
place_fds(int null, int out, const int *fds, uint32_t nfiles)
{
	int high = CHILD_FILES + (int)MODEL_FILES_MAX;
	int moved[MODEL_FILES_MAX + 2];

	for (uint32_t i = 0; i < nfiles + 2; i++) {
		int fd = i == 0 ? null : i == 1 ? out : fds[i - 2];

		moved[i] = fcntl(fd, F_DUPFD_CLOEXEC, high);
		if (moved[i] < 0)
			return -1;
	}
	for (int i = 0; i < 3; i++) {
#ifdef BRIG_SANITIZE
		if (i == 2)
			break; /* what a sanitizer says shall be seen */
#endif
		if (dup2(moved[0], i) < 0)
			return -1;
	}
	for (uint32_t i = 0; i < nfiles + 1; i++)
		if (dup2(moved[i + 1], CHILD_PIPE + (int)i) < 0)
			return -1;
	fd_close_from(CHILD_FILES + (int)nfiles);
	return 0;
}

static void
say_error(const char *text)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, SAYS_ERROR);
	buf_put(&b, text, strlen(text));
	(void)fd_write_all(CHILD_PIPE, buf_head(&b), buf_len(&b));
	_exit(0);
}

static void
child(model_parse_fn *parse, const uint64_t *sizes, uint32_t nfiles,
    bool vocab_only)
{
	struct model_bytes files[MODEL_FILES_MAX];
	struct model_table *t;
	struct error err;
	struct buf b;

	for (uint32_t i = 0; i < nfiles; i++) {
		void *p;

		files[i].size = sizes[i];
		files[i].n =
		    sizes[i] < GGUF_HEAD_MAX ? (size_t)sizes[i] : GGUF_HEAD_MAX;
		p = mmap(NULL, files[i].n, PROT_READ, MAP_PRIVATE,
		    CHILD_FILES + (int)i, 0);
		if (p == MAP_FAILED)
			say_error("it cannot be mapped");
		files[i].p = p;
	}
	if ((t = parse(files, nfiles, vocab_only, &err)) == NULL)
		say_error(err.msg);
	buf_init(&b, MODEL_TABLE_MAX + 1);
	buf_put_u8(&b, SAYS_TABLE);
	model_table_encode(t, &b);
	if (buf_failed(&b))
		say_error("its table is too large");
	_exit(fd_write_all(CHILD_PIPE, buf_head(&b), buf_len(&b)) == 0 ? 0 : 1);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* All that comes from fd before the deadline; 1: it is late, -1: errno. */
static int
collect(int fd, struct buf *b, int64_t deadline)
{
	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int64_t left = deadline - now_ms();
		uint8_t *p;
		ssize_t n;

		if (left <= 0)
			return 1;
		if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
			return -1;
		if (pfd.revents == 0)
			continue;
		if ((p = buf_reserve(b, READ_STEP)) == NULL) {
			errno = EFBIG;
			return -1;
		}
		n = read(fd, p, READ_STEP);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -1;
		if (n == 0)
			return 0;
		if (n > 0)
			buf_commit(b, (size_t)n);
	}
}

/* How it ended, if not well. */
static int
how_ended(int status, struct error *err)
{
	if (WIFSIGNALED(status)) {
		int sig = WTERMSIG(status);

		if (sig == SIGXCPU || sig == SIGKILL)
			return error_set(err, 0,
			    "its parser was killed: it needed more than its "
			    "%u s, or memory was short",
			    MODEL_CHILD_CPU);
		return error_set(err, 0,
		    "its parser died of signal %d (%s): the file is damaged "
		    "or hostile",
		    sig, strsignal(sig));
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(err, 0,
		    "its parser ended with status %d: the file needs more "
		    "memory than %llu MiB, or is hostile",
		    WEXITSTATUS(status), MODEL_CHILD_MEMORY >> 20);
	return 0;
}

static void
reap(pid_t pid, bool kill_it, int *status)
{
	if (kill_it)
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
}

static struct model_table *
judge(const struct buf *b, const uint64_t *sizes, uint32_t nfiles,
    bool vocab_only, struct error *err)
{
	cleanup_model_table struct model_table *t = NULL;
	struct cur c;
	size_t n;

	cur_init(&c, buf_head(b), buf_len(b));
	switch (cur_u8(&c)) {
	case SAYS_TABLE:
		n = c.left;
		t = model_table_decode(cur_bytes(&c, n), n, err);
		if (t == NULL || model_table_fits(t, sizes, nfiles, err) < 0 ||
		    model_shape_check(t, err) < 0)
			return NULL;
		if ((t->hp.arch == ARCH_NONE) != vocab_only) {
			error_set(err, 0, "its parser left out the model");
			return NULL;
		}
		return steal_ptr(&t);
	case SAYS_ERROR: {
		cleanup_free char *text = NULL;

		n = c.left < sizeof(err->msg) ? c.left : sizeof(err->msg);
		text = str_escape((const char *)cur_bytes(&c, n), n);
		error_set(err, 0, "%s", text);
		return NULL;
	}
	default:
		error_set(err, 0, "its parser said nothing");
		return NULL;
	}
}

struct model_table *
model_child_run(model_parse_fn *parse, const int *fds, const uint64_t *sizes,
    uint32_t nfiles, bool vocab_only, unsigned wall, struct error *err)
{
	cleanup_fd int in = -1, out = -1, null = -1;
	cleanup_buf struct buf b = { 0 };
	int p[2], status = 0, rc;
	pid_t pid;

	if (nfiles < 1 || nfiles > MODEL_FILES_MAX) {
		error_set(
		    err, 0, "%u files, at most %u", nfiles, MODEL_FILES_MAX);
		return NULL;
	}
	if (pipe2(p, O_CLOEXEC) != 0) {
		error_set(err, errno, "pipe");
		return NULL;
	}
	in = p[0];
	out = p[1];
	/* Fewer turns for a large vocabulary; any size will do. */
	(void)fcntl(out, F_SETPIPE_SZ, PIPE_SIZE);
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0) {
		error_set(err, errno, "open /dev/null");
		return NULL;
	}
	if ((pid = fork()) < 0) {
		error_set(err, errno, "fork");
		return NULL;
	}
	if (pid == 0) {
		if (place_fds(null, out, fds, nfiles) < 0 || confine() < 0)
			_exit(2);
		child(parse, sizes, nfiles, vocab_only);
		_exit(2);
	}
	fd_close(&out);
	buf_init(&b, MODEL_TABLE_MAX + 2 * READ_STEP);
	rc = collect(in, &b, now_ms() + (int64_t)wall * 1000);
	if (rc < 0)
		error_set(err, errno, "what its parser says");
	reap(pid, rc != 0, &status);
	if (rc == 1)
		error_set(err, 0, "its parser needed more than %u s", wall);
	if (rc != 0 || how_ended(status, err) < 0)
		return NULL;
	return judge(&b, sizes, nfiles, vocab_only, err);
}

struct model_table *
model_child_parse(const int *fds, const uint64_t *sizes, uint32_t nfiles,
    bool vocab_only, struct error *err)
{
	return model_child_run(
	    model_parse, fds, sizes, nfiles, vocab_only, MODEL_CHILD_WALL, err);
}
