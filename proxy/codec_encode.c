#include "proxy/codec.h"

#include <brotli/encode.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/str.h"
#include "proxy/codec_int.h"

/*
 * The reader is a process on this machine: the least work, not the least
 * bytes, and windows that 200 responses at once can have.
 */
#define GZIP_LEVEL 1
#define BR_QUALITY 1
#define BR_WINDOW_LOG 18
#define ZSTD_LEVEL 1
#define ZSTD_WINDOW_LOG 17
#define PIECE 16384u

struct encoder {
	enum coding coding;
	struct codec_memory *memory;
	size_t charged;
	z_stream *z;
	BrotliEncoderState *br;
	ZSTD_CCtx *zs;
};

static voidpf
z_alloc(voidpf memory, uInt items, uInt size)
{
	return codec_alloc(memory, (size_t)items * size);
}

static bool
open_z(struct encoder *e)
{
	int window = MAX_WBITS + (e->coding == CODING_GZIP ? 16 : 0);

	e->z = xcalloc(1, sizeof(*e->z));
	e->z->zalloc = z_alloc;
	e->z->zfree = codec_free;
	e->z->opaque = e->memory;
	if (deflateInit2(e->z, GZIP_LEVEL, Z_DEFLATED, window, 8,
		Z_DEFAULT_STRATEGY) == Z_OK)
		return true;
	free(e->z);
	e->z = NULL;
	return false;
}

static bool
open_br(struct encoder *e)
{
	e->br = BrotliEncoderCreateInstance(codec_alloc, codec_free, e->memory);
	return e->br != NULL &&
	       BrotliEncoderSetParameter(
		   e->br, BROTLI_PARAM_QUALITY, BR_QUALITY) &&
	       BrotliEncoderSetParameter(
		   e->br, BROTLI_PARAM_LGWIN, BR_WINDOW_LOG);
}

static bool
open_zstd(struct encoder *e)
{
	e->zs = ZSTD_createCCtx();
	return e->zs != NULL &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(
		   e->zs, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(
		   e->zs, ZSTD_c_windowLog, ZSTD_WINDOW_LOG));
}

struct encoder *
encoder_new(enum coding c, struct codec_memory *m)
{
	struct encoder *e;
	bool ok = false;

	/* Half is for those that must decode. */
	if (m->used > CODEC_MEMORY_MAX / 2)
		return NULL;
	e = xcalloc(1, sizeof(*e));
	e->coding = c;
	e->memory = m;
	switch (c) {
	case CODING_GZIP:
	case CODING_DEFLATE:
		ok = open_z(e);
		break;
	case CODING_BR:
		ok = open_br(e);
		break;
	case CODING_ZSTD:
		ok = open_zstd(e);
		break;
	case CODING_IDENTITY:
	case CODING_MAX:
		break;
	}
	if (ok)
		return e;
	encoder_free(e);
	return NULL;
}

void
encoder_free(struct encoder *e)
{
	if (e == NULL)
		return;
	if (e->z != NULL) {
		deflateEnd(e->z);
		free(e->z);
	}
	if (e->br != NULL)
		BrotliEncoderDestroyInstance(e->br);
	ZSTD_freeCCtx(e->zs);
	e->memory->used -= e->charged;
	free(e);
}

static int
z_run(struct encoder *e, const uint8_t *p, size_t n, int flush, struct buf *out)
{
	z_stream *z = e->z;

	/* zlib does not write there. */
	z->next_in = (Bytef *)(uintptr_t)p;
	z->avail_in = (uInt)n;
	do {
		z->next_out = buf_reserve(out, PIECE);
		z->avail_out = PIECE;
		if (deflate(z, flush) == Z_STREAM_ERROR)
			return -1;
		buf_commit(out, PIECE - z->avail_out);
	} while (z->avail_out == 0);
	return 0;
}

static int
br_run(
    struct encoder *e, const uint8_t *p, size_t n, bool last, struct buf *out)
{
	BrotliEncoderOperation op =
	    last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_FLUSH;

	do {
		uint8_t *dst = buf_reserve(out, PIECE);
		size_t room = PIECE;

		if (!BrotliEncoderCompressStream(
			e->br, op, &n, &p, &room, &dst, NULL))
			return -1;
		buf_commit(out, PIECE - room);
	} while (n > 0 || BrotliEncoderHasMoreOutput(e->br));
	return 0;
}

static int
zstd_run(
    struct encoder *e, const uint8_t *p, size_t n, bool last, struct buf *out)
{
	ZSTD_EndDirective op = last ? ZSTD_e_end : ZSTD_e_flush;
	ZSTD_inBuffer in = { .src = p, .size = n };
	size_t left;

	do {
		ZSTD_outBuffer o = { .dst = buf_reserve(out, PIECE),
			.size = PIECE };

		left = ZSTD_compressStream2(e->zs, &o, &in, op);
		if (ZSTD_isError(left))
			return -1;
		buf_commit(out, o.pos);
	} while (left != 0);
	left = ZSTD_sizeof_CCtx(e->zs);
	e->memory->used += left - e->charged;
	e->charged = left;
	return 0;
}

static int
run(struct encoder *e, const uint8_t *p, size_t n, bool last, struct buf *out,
    struct error *err)
{
	static const uint8_t none[1];
	int rc = -1;

	if (n == 0)
		p = none;
	switch (e->coding) {
	case CODING_GZIP:
	case CODING_DEFLATE:
		rc = z_run(e, p, n, last ? Z_FINISH : Z_SYNC_FLUSH, out);
		break;
	case CODING_BR:
		rc = br_run(e, p, n, last, out);
		break;
	case CODING_ZSTD:
		rc = zstd_run(e, p, n, last, out);
		break;
	case CODING_IDENTITY:
	case CODING_MAX:
		break;
	}
	if (rc < 0)
		return error_set(err, 0,
		    "too much memory is in use for compressed responses");
	return 0;
}

int
encoder_step(struct encoder *e, const uint8_t *p, size_t n, struct buf *out,
    struct error *err)
{
	return n == 0 ? 0 : run(e, p, n, false, out, err);
}

int
encoder_end(struct encoder *e, struct buf *out, struct error *err)
{
	return run(e, NULL, 0, true, out, err);
}
