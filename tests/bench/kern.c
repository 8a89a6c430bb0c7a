/*
 * How fast the kernels of inferd are on this machine, by type and instruction
 * set: weights read by products with one activation row (GB/s), and operations
 * of products with many (GOPS), beside what a plain loop reads.  One JSON
 * object a line.
 *
 * kern [-m MiB | -k KiB of weights] [-r rounds] [-t threads] [-i isa] [TYPE...]
 *
 * isa is a number of enum kern_isa.  Figures of one run can be compared.  One
 * thread is measured by its processor time, since the machine may be busy;
 * several are by the clock.
 */
#include "inferd/kern.h"
#include "inferd/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/compat.h"
#include "tests/inferd/random_blocks.h"

#define ROW 2048u
#define COLUMNS 64u
#define PIECE 32u

struct work {
	enum tensor_type t;
	const uint8_t *w;
	size_t rows, nt;
	const uint8_t *xq;
	size_t bytes;
	float *y;
	uint64_t *sums;
};

static struct pool *pool;
static int rounds = 5;

static double
now(void)
{
	struct timespec t;

	clock_gettime(
	    pool_threads(pool) == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC,
	    &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void
read_piece(size_t piece, unsigned thread, void *arg)
{
	struct work *k = arg;
	const uint64_t *p = (const void *)(k->w + piece * 65536);
	uint64_t s[8] = { 0 };

	for (size_t i = 0; i < 65536 / 8; i += 8)
		for (size_t j = 0; j < 8; j++)
			s[j] += p[i + j];
	for (size_t j = 1; j < 8; j++)
		s[0] += s[j];
	k->sums[thread * 8] += s[0];
}

static void
product_piece(size_t piece, unsigned thread, void *arg)
{
	struct work *k = arg;
	size_t r = piece * PIECE;
	size_t end = r + PIECE < k->rows ? r + PIECE : k->rows;

	if (k->nt == 1)
		kern_matvec(k->t, k->w, ROW, r, end, k->xq, k->y);
	else
		kern_matmul(k->t, k->w, ROW, r, end, k->xq, k->bytes, k->nt,
		    k->y, k->rows, NULL);
}

/* Seconds of the best of some rounds. */
static double
best(size_t pieces, void (*fn)(size_t, unsigned, void *), struct work *k)
{
	double least = 1e30;

	for (int i = 0; i < rounds; i++) {
		double t = now();

		pool_run(pool, pieces, fn, k);
		t = now() - t;
		if (t < least)
			least = t;
	}
	return least;
}

static void
measure(enum tensor_type t, uint8_t *buf, size_t size)
{
	size_t row = tensor_row_bytes(t, ROW), rows = size / row;
	struct work k = { .t = t, .w = buf, .rows = rows, .nt = 1 };
	float *x = calloc(ROW, sizeof(*x));
	uint8_t *xq;
	double mv, mm, plain;

	/* a few rows of blocks, again and again */
	for (size_t r = 0; r < rows; r++)
		if (r < 37)
			random_row(t, r + 1, buf + r * row, ROW);
		else
			memcpy(buf + r * row, buf + (r - 37) * row, row);
	/* no scales of 2^-100: the processor is slow with subnormal ones */
	for (size_t b = 0; t == TT_MXFP4 && b < rows * row; b += 17)
		buf[b] |= 0x60;
	k.bytes = act_bytes(t, ROW);
	xq = aligned_alloc(64, k.bytes * COLUMNS);
	k.y = malloc(rows * COLUMNS * sizeof(float));
	k.sums = calloc(8 * POOL_THREADS_MAX, sizeof(*k.sums));
	if (x == NULL || xq == NULL || k.y == NULL || k.sums == NULL)
		exit(1);
	memset(k.y, 0, rows * COLUMNS * sizeof(float));
	for (size_t c = 0; c < COLUMNS; c++) {
		for (size_t i = 0; i < ROW; i++)
			x[i] = (float)((i * 7 + c) % 101) - 50;
		act_quantise(t, x, ROW, xq + c * k.bytes);
	}
	k.xq = xq;
	plain = best(size / 65536, read_piece, &k);
	mv = best((rows + PIECE - 1) / PIECE, product_piece, &k);
	/* what the caches hold: this is not about memory */
	k.nt = COLUMNS;
	k.rows = rows < 2048 ? rows : 2048;
	mm = best((k.rows + PIECE - 1) / PIECE, product_piece, &k);
	printf("{\"isa\":\"%s\",\"type\":\"%s\",\"threads\":%u,"
	       "\"read_gbs\":%.1f,\"matvec_gbs\":%.1f,\"share\":%.2f,"
	       "\"matmul_gops\":%.0f}\n",
	    kern_isa_name(kern_used()), tensor_type_name(t), pool_threads(pool),
	    (double)size / plain / 1e9, (double)(rows * row) / mv / 1e9,
	    (double)(rows * row) / mv * plain / (double)size,
	    2.0 * ROW * (double)k.rows * COLUMNS / mm / 1e9);
	fflush(stdout);
	free(x);
	free(xq);
	free(k.y);
	free(k.sums);
}

static void
measure_types(char **names, int count, uint8_t *buf, size_t size)
{
	static const enum tensor_type all[] = { TT_Q4_K, TT_Q6_K, TT_Q8_0,
		TT_F32, TT_F16, TT_BF16, TT_MXFP4, TT_Q5_K, TT_Q4_0, TT_IQ4_NL,
		TT_IQ4_XS, TT_Q3_K, TT_Q2_K, TT_IQ2_XXS };

	for (size_t i = 0; i < nitems(all) && count == 0; i++)
		measure(all[i], buf, size);
	for (int i = 0; i < count; i++) {
		int t = tensor_type_find(names[i]);

		if (t < 0)
			fprintf(stderr, "kern: no type %s\n", names[i]);
		else
			measure((enum tensor_type)t, buf, size);
	}
}

int
main(int argc, char **argv)
{
	size_t size = 256 << 10;
	int c, threads = 1, only = -1;
	uint8_t *buf;

	while ((c = getopt(argc, argv, "k:m:r:t:i:")) != -1) {
		if (c == 'm')
			size = (size_t)atol(optarg) << 10;
		else if (c == 'k')
			size = (size_t)atol(optarg);
		else if (c == 'r')
			rounds = atoi(optarg);
		else if (c == 't')
			threads = atoi(optarg);
		else if (c == 'i')
			only = atoi(optarg);
		else
			return 2;
	}
	size = (size < 64 ? 64 : size) << 10;
	buf = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED)
		return 1;
	pool = pool_new((unsigned)threads);
	for (int isa = KERN_ISAS - 1; isa > KERN_SCALAR; isa--) {
		if (!kern_has((enum kern_isa)isa) || (only >= 0 && only != isa))
			continue;
		kern_use((enum kern_isa)isa);
		measure_types(argv + optind, argc - optind, buf, size);
	}
	pool_free(pool);
	return 0;
}
