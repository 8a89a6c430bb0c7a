/*
 * main() for a fuzz harness without a fuzzer: feeds every file named, and
 * every file below every folder named, twice each, so that state left over
 * from one input shows in the next.  Prints TAP.
 *
 * An input that somebody has written, not found, is to go on saying what it
 * says: of one that plays peers (tests/fuzz/play.h) every message must be
 * understood but for as many as tests/fuzz/faults has for it, of which each
 * line is "FOLDER/NAME NUMBER".
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/str.h"

#define INPUT_MAX (4u * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Only where there are peers to be played. */
extern unsigned int play_faults __attribute__((weak));

static unsigned int files;

static struct buf faults; /* NUL behind it */

/* How many messages of an input are wrong; -1: a fuzzer has named it. */
static long
wanted_faults(const char *path)
{
	const char *name = strrchr(path, '/'), *at;
	cleanup_free char *key = NULL;

	while (name > path && name[-1] != '/')
		name--;
	name = name == NULL ? path : name;
	if (strspn(strrchr(name, '/') + 1, "0123456789abcdef") == 40)
		return -1;
	key = xasprintf("\n%s ", name);
	at = strstr((const char *)buf_head(&faults), key);
	return at == NULL ? 0 : strtol(at + strlen(key), NULL, 10);
}

static int
check_faults(const char *path)
{
	long want = wanted_faults(path);

	if (want < 0 || play_faults == (unsigned long)want)
		return 0;
	fprintf(stderr,
	    "%s: %u messages are not understood, and were to be %ld\n", path,
	    play_faults, want);
	return -1;
}

static int
read_faults(const char *dir)
{
	cleanup_free char *path = xasprintf("%s/tests/fuzz/faults", dir);
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	buf_put_u8(&faults, '\n');
	if (fd < 0 || fd_read_all(fd, &faults, INPUT_MAX) < 0) {
		perror(path);
		return -1;
	}
	buf_put_u8(&faults, 0);
	return 0;
}

static int
feed_file(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_buf struct buf b = { 0 };

	if (fd < 0 || fd_read_all(fd, &b, INPUT_MAX) < 0) {
		perror(path);
		return -1;
	}
	for (int i = 0; i < 2; i++) {
		/* A copy of exactly that size, for the sanitizers. */
		cleanup_free uint8_t *p = xmemdup(buf_head(&b), buf_len(&b));

		if (&play_faults != NULL)
			play_faults = 0;
		LLVMFuzzerTestOneInput(p, buf_len(&b));
		/* Files given by hand are not in the list. */
		if (&play_faults != NULL && buf_len(&faults) > 0 &&
		    check_faults(path) < 0)
			return -1;
	}
	files++;
	return 0;
}

static int
feed(const char *path)
{
	struct dirent **list;
	struct stat st;
	int n, rc = 0;

	if (stat(path, &st) < 0) {
		perror(path);
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return feed_file(path);
	if ((n = scandir(path, &list, NULL, alphasort)) < 0) {
		perror(path);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		cleanup_free char *sub =
		    xasprintf("%s/%s", path, list[i]->d_name);

		if (list[i]->d_name[0] != '.' && feed(sub) < 0)
			rc = -1;
		free(list[i]);
	}
	free(list);
	return rc;
}

int
main(int argc, char **argv)
{
	const char *src = getenv("BRIG_SRCDIR");
	const char *name = strrchr(argv[0], '/');
	int rc = 0;

	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	if (argc < 2) {
		cleanup_free char *dir = NULL;

		name = name == NULL ? argv[0] : name + 1;
		if (str_starts(name, "fuzz_"))
			name += strlen("fuzz_");
		dir = xasprintf(
		    "%s/tests/fuzz/corpus/%s", src == NULL ? "." : src, name);
		rc = read_faults(src == NULL ? "." : src);
		rc = feed(dir) < 0 ? -1 : rc;
	}
	for (int i = 1; i < argc; i++)
		if (feed(argv[i]) < 0)
			rc = -1;
	if (files == 0)
		rc = -1;
	printf("1..1\n%s 1 - %u inputs, twice each\n",
	    rc == 0 ? "ok" : "not ok", files);
	return rc == 0 ? 0 : 1;
}
