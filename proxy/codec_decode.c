#include "proxy/codec.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/str.h"
#include "proxy/codec_int.h"

#define BETWEEN 16384u /* bytes from one coding to the next at a time */

enum stage_state {
	STAGE_FRESH, /* no byte came */
	STAGE_OPEN,  /* in the middle */
	STAGE_DONE,  /* at an end; gzip and zstd may begin anew */
};

/* One coding. */
struct stage {
	enum coding coding;
	enum stage_state state;
	bool bare; /* deflate without a wrapper or an end */
	struct codec_memory *memory;
	uint64_t in, out;
	bool more;      /* the room was too small last time */
	size_t charged; /* zstd: cannot be told how to allocate */
	z_stream *z;
	BrotliDecoderState *br;
	ZSTD_DStream *zs;
};

struct decoder {
	struct stage stage[CODEC_CHAIN_MAX]; /* outermost first */
	size_t n;
	struct buf between;
};

struct decoder *
decoder_new(const struct codings *cs, struct codec_memory *m)
{
	struct decoder *d = xcalloc(1, sizeof(*d));

	d->n = cs->n;
	for (size_t i = 0; i < cs->n; i++) {
		d->stage[i].coding = cs->c[cs->n - 1 - i];
		d->stage[i].memory = m;
	}
	buf_init(&d->between, 0);
	return d;
}

struct decoder *
decoder_new_bare(struct codec_memory *m)
{
	static const struct codings deflate = { { CODING_DEFLATE }, 1 };
	struct decoder *d = decoder_new(&deflate, m);

	d->stage[0].bare = true;
	return d;
}

static void
stage_free(struct stage *t)
{
	if (t->z != NULL) {
		inflateEnd(t->z);
		free(t->z);
	}
	if (t->br != NULL)
		BrotliDecoderDestroyInstance(t->br);
	if (t->zs != NULL)
		ZSTD_freeDStream(t->zs);
	t->memory->used -= t->charged;
}

void
decoder_free(struct decoder *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n; i++)
		stage_free(&d->stage[i]);
	if (d->between.data != NULL)
		explicit_bzero(d->between.data, d->between.cap);
	buf_free(&d->between);
	free(d);
}

static voidpf
z_alloc(voidpf memory, uInt items, uInt size)
{
	return codec_alloc(memory, (size_t)items * size);
}

static int
no_memory(struct error *err)
{
	return error_set(
	    err, 0, "too much memory is in use for compressed responses");
}

static int
broken(const struct stage *t, struct error *err, const char *why)
{
	return error_set(err, 0, "the %s data is not valid: %s",
	    coding_name(t->coding), why);
}

/*
 * "deflate" is zlib's format, but bare deflate data is sent under that name,
 * too.  The first byte tells: as bare data it would be a stored block with
 * padding that no encoder writes.
 */
static int
z_window(const struct stage *t, uint8_t first)
{
	if (t->bare)
		return -MAX_WBITS;
	if (t->coding == CODING_GZIP)
		return MAX_WBITS + 16;
	return (first & 15) == 8 && first >> 4 <= 7 ? MAX_WBITS : -MAX_WBITS;
}

static int
z_open(struct stage *t, uint8_t first, struct error *err)
{
	t->z = xcalloc(1, sizeof(*t->z));
	t->z->zalloc = z_alloc;
	t->z->zfree = codec_free;
	t->z->opaque = t->memory;
	if (inflateInit2(t->z, z_window(t, first)) == Z_OK)
		return 0;
	free(t->z);
	t->z = NULL;
	return no_memory(err);
}

static int
z_step(struct stage *t, const uint8_t *p, size_t n, size_t *used, uint8_t *out,
    size_t max, size_t *made, struct error *err)
{
	z_stream *z;
	int rc;

	if (t->z == NULL && z_open(t, p[0], err) < 0)
		return -1;
	z = t->z;
	if (t->state == STAGE_DONE) {
		if (n == 0)
			return 0;
		/* RFC 1952 section 2.2: members follow each other. */
		if (t->coding != CODING_GZIP && !t->bare)
			return broken(t, err, "it goes on after its end");
		if (inflateReset(z) != Z_OK)
			return no_memory(err);
		t->state = STAGE_OPEN;
	}
	/* zlib does not write there. */
	z->next_in = (Bytef *)(uintptr_t)p;
	z->avail_in = (uInt)n;
	z->next_out = out;
	z->avail_out = (uInt)max;
	rc = inflate(z, Z_SYNC_FLUSH);
	*used = n - z->avail_in;
	*made = max - z->avail_out;
	switch (rc) {
	case Z_STREAM_END:
		t->state = STAGE_DONE;
		return 0;
	case Z_OK:
	case Z_BUF_ERROR: /* no progress: wants input or room */
		t->state = STAGE_OPEN;
		return 0;
	case Z_MEM_ERROR:
		return no_memory(err);
	case Z_NEED_DICT:
		return broken(t, err, "it needs a dictionary");
	default:
		return broken(t, err, z->msg == NULL ? "unreadable" : z->msg);
	}
}

static int
br_step(struct stage *t, const uint8_t *p, size_t n, size_t *used, uint8_t *out,
    size_t max, size_t *made, struct error *err)
{
	size_t in = n, room = max;
	BrotliDecoderErrorCode code;

	if (t->br == NULL) {
		t->br = BrotliDecoderCreateInstance(
		    codec_alloc, codec_free, t->memory);
		if (t->br == NULL)
			return no_memory(err);
	}
	if (t->state == STAGE_DONE)
		return n == 0 ? 0 : broken(t, err, "it goes on after its end");
	t->state = STAGE_OPEN;
	switch (
	    BrotliDecoderDecompressStream(t->br, &in, &p, &room, &out, NULL)) {
	case BROTLI_DECODER_RESULT_ERROR:
		code = BrotliDecoderGetErrorCode(t->br);
		if (code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
		    code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES)
			return no_memory(err);
		return broken(t, err, BrotliDecoderErrorString(code));
	case BROTLI_DECODER_RESULT_SUCCESS:
		t->state = STAGE_DONE;
		break;
	case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
	case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
		break;
	}
	*used = n - in;
	*made = max - room;
	return 0;
}

/* After the fact, but one frame's window is at most 1 << window log. */
static int
charge(struct stage *t, struct error *err)
{
	size_t now = ZSTD_sizeof_DStream(t->zs);

	t->memory->used += now - t->charged;
	t->charged = now;
	return t->memory->used > CODEC_MEMORY_MAX ? no_memory(err) : 0;
}

static int
zstd_step(struct stage *t, const uint8_t *p, size_t n, size_t *used,
    uint8_t *out, size_t max, size_t *made, struct error *err)
{
	ZSTD_inBuffer in = { .src = p, .size = n };
	ZSTD_outBuffer o = { .dst = out, .size = max };
	size_t rc;

	if (t->zs == NULL) {
		t->zs = ZSTD_createDStream();
		if (t->zs == NULL ||
		    ZSTD_isError(ZSTD_DCtx_setParameter(
			t->zs, ZSTD_d_windowLogMax, CODEC_WINDOW_LOG_MAX)))
			return no_memory(err);
	}
	/* At the end of a frame: the next call would begin another. */
	if (t->state == STAGE_DONE && n == 0)
		return 0;
	rc = ZSTD_decompressStream(t->zs, &o, &in);
	*used = in.pos;
	*made = o.pos;
	if (ZSTD_isError(rc))
		return broken(t, err, ZSTD_getErrorName(rc));
	t->state = rc == 0 ? STAGE_DONE : STAGE_OPEN;
	return charge(t, err);
}

static int
stage_step(struct stage *t, const uint8_t *p, size_t n, size_t *used,
    struct buf *out, size_t max, struct error *err)
{
	static const uint8_t none[1];
	uint8_t *dst;
	size_t made = 0;
	int rc = 0;

	*used = 0;
	/* Without input only what did not fit last time can come. */
	if (n == 0 && !t->more)
		return 0;
	if (n == 0)
		p = none;
	dst = buf_reserve(out, max);
	switch (t->coding) {
	case CODING_GZIP:
	case CODING_DEFLATE:
		rc = z_step(t, p, n, used, dst, max, &made, err);
		break;
	case CODING_BR:
		rc = br_step(t, p, n, used, dst, max, &made, err);
		break;
	case CODING_ZSTD:
		rc = zstd_step(t, p, n, used, dst, max, &made, err);
		break;
	case CODING_IDENTITY:
	case CODING_MAX:
		return error_set(err, 0, "no coding");
	}
	if (rc < 0)
		return -1;
	buf_commit(out, made);
	t->more = made == max;
	t->in += *used;
	t->out += made;
	if (t->out > CODEC_RATIO_FREE && t->out / CODEC_RATIO_MAX > t->in)
		return error_set(err, 0,
		    "it expands to more than %u times its size",
		    CODEC_RATIO_MAX);
	return 0;
}

/* The last stage reads what the first left between them. */
static int
last_step(struct decoder *d, struct buf *out, size_t max, struct error *err)
{
	struct buf *b = &d->between;
	size_t used;

	if (stage_step(&d->stage[1], buf_head(b), buf_len(b), &used, out, max,
		err) < 0)
		return -1;
	buf_consume(b, used);
	return 0;
}

int
decoder_step(struct decoder *d, const uint8_t *p, size_t n, size_t *used,
    struct buf *out, size_t max, struct error *err)
{
	size_t start = buf_len(out);

	*used = 0;
	for (;;) {
		size_t room = max - (buf_len(out) - start);
		size_t took, was = buf_len(out), got;

		if (room == 0)
			return 0;
		if (d->n > 1) {
			if (last_step(d, out, room, err) < 0)
				return -1;
			if (buf_len(out) > was)
				continue;
		}
		got = buf_len(&d->between);
		if (stage_step(&d->stage[0], p + *used, n - *used, &took,
			d->n > 1 ? &d->between : out, d->n > 1 ? BETWEEN : room,
			err) < 0)
			return -1;
		*used += took;
		if (took == 0 && buf_len(out) == was &&
		    buf_len(&d->between) == got)
			return 0;
	}
}

int
decoder_end(const struct decoder *d, struct error *err)
{
	if (d->stage[0].state == STAGE_FRESH)
		return 0;
	for (size_t i = 0; i < d->n; i++)
		if (d->stage[i].state != STAGE_DONE)
			return error_set(err, 0, "the %s data is cut short",
			    coding_name(d->stage[i].coding));
	return 0;
}
