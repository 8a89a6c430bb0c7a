/*
 * How much memory a second threads can read here: what a decoder cannot beat.
 *	bandwidth [-m MiB] [-r rounds] [-t threads] [FILE]
 * Each thread reads a part of its own, from one place or from eight at once,
 * whichever is faster; of anonymous memory in large pages, or of a file that is
 * mapped (then it has been read once before).  Prints GB/s: the median of the
 * rounds, and the best.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define STREAMS 8
#define THREADS_MAX 256
#define ROUNDS_MAX 1000

typedef uint64_t line __attribute__((vector_size(64)));

struct reader {
	pthread_t id;
	const uint8_t *from;
	size_t bytes;
	uint64_t sum;
};

static pthread_barrier_t begin, end;
static unsigned rounds = 7;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static uint64_t
read_all(const uint8_t *p, size_t bytes, unsigned streams)
{
	line a[STREAMS] = { 0 };
	const size_t step = streams == 1 ? sizeof(line) : bytes / STREAMS;
	const size_t turn =
	    streams == 1 ? STREAMS * sizeof(line) : sizeof(line);
	uint64_t sum = 0;

	for (size_t n = bytes / (STREAMS * sizeof(line)); n > 0; n--) {
		for (size_t i = 0; i < STREAMS; i++) {
			a[i] ^= *(const line *)(const void *)(p + i * step);
			if (streams != 1)
				__builtin_prefetch(p + i * step + 1024);
		}
		p += turn;
	}
	for (size_t i = 1; i < STREAMS; i++)
		a[0] ^= a[i];
	for (size_t i = 0; i < 8; i++)
		sum ^= a[0][i];
	return sum;
}

static void *
reader_main(void *arg)
{
	struct reader *r = arg;

	/* once to have it there */
	r->sum ^= read_all(r->from, r->bytes, 1);
	for (unsigned i = 0; i < 2 * rounds; i++) {
		pthread_barrier_wait(&begin);
		r->sum ^= read_all(r->from, r->bytes, i % 2 == 0 ? 1 : STREAMS);
		pthread_barrier_wait(&end);
	}
	return NULL;
}

static int
ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static uint8_t *
memory(const char *path, size_t size)
{
	int fd = -1;
	uint8_t *p;

	if (path != NULL && (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return MAP_FAILED;
	p = mmap(NULL, size, fd < 0 ? PROT_READ | PROT_WRITE : PROT_READ,
	    fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || fd >= 0)
		return p;
	madvise(p, size, MADV_HUGEPAGE);
	memset(p, 1, size);
	return p;
}

static void
measure(struct reader *readers, unsigned threads, double total)
{
	double rate[ROUNDS_MAX];

	for (unsigned i = 0; i < rounds; i++) {
		rate[i] = 0;
		for (int way = 0; way < 2; way++) {
			double t;

			pthread_barrier_wait(&begin);
			t = now();
			pthread_barrier_wait(&end);
			t = total / (now() - t) / 1e9;
			if (t > rate[i])
				rate[i] = t;
		}
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(readers[i].id, NULL);
	qsort(rate, rounds, sizeof(*rate), ascending);
	printf("{\"name\":\"bandwidth\",\"threads\":%u,\"gb_per_second\":%.2f,"
	       "\"best\":%.2f}\n",
	    threads, rate[rounds / 2], rate[rounds - 1]);
}

int
main(int argc, char **argv)
{
	static struct reader readers[THREADS_MAX];
	size_t size = 1024, part;
	unsigned threads = 1;
	uint8_t *p;
	int c;

	while ((c = getopt(argc, argv, "m:r:t:")) != -1) {
		const unsigned long v =
		    c == '?' ? 0 : strtoul(optarg, NULL, 10);

		if (c == 'm' && v >= 1 && v <= 65536)
			size = v;
		else if (c == 'r' && v >= 1 && v <= ROUNDS_MAX)
			rounds = (unsigned)v;
		else if (c == 't' && v >= 1 && v <= THREADS_MAX)
			threads = (unsigned)v;
		else
			return 2;
	}
	size <<= 20;
	p = memory(argv[optind], size);
	if (p == MAP_FAILED) {
		fprintf(stderr, "bandwidth: %s: %s\n",
		    argv[optind] == NULL ? "memory" : argv[optind],
		    strerror(errno));
		return 1;
	}
	part = size / threads & ~(size_t)4095;
	pthread_barrier_init(&begin, NULL, threads + 1);
	pthread_barrier_init(&end, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++) {
		readers[i].from = p + i * part;
		readers[i].bytes = part;
		if (pthread_create(
			&readers[i].id, NULL, reader_main, &readers[i]) != 0)
			return 1;
	}
	measure(readers, threads, (double)part * threads);
	return 0;
}
