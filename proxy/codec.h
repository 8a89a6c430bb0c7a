/*
 * Content codings of HTTP (RFC 9110 section 8.4), decoded and encoded in a
 * stream given in pieces of any size: gzip (RFC 1952), deflate (RFC 1950, and
 * the bare RFC 1951 that many servers send), br (RFC 7932), zstd (RFC 8878).
 * Pure; back uses it to look into responses.  Nothing is allocated before it
 * is needed.
 *
 * A decoder refuses what expands beyond CODEC_RATIO_MAX, wants a larger window
 * than it may have, or goes on after its end.  All decoders and encoders of a
 * process share one struct codec_memory.
 */
#ifndef BRIG_PROXY_CODEC_H
#define BRIG_PROXY_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define CODEC_CHAIN_MAX 2u /* codings one over the other; then refused */
/* Windows and tables of all open responses; then refused. */
#define CODEC_MEMORY_MAX (64u * 1024 * 1024)
#define CODEC_WINDOW_LOG_MAX 23 /* zstd: 8 MiB, RFC 9659 */
/* One response may expand this much, beyond CODEC_RATIO_FREE bytes. */
#define CODEC_RATIO_MAX 250u
#define CODEC_RATIO_FREE (32u * 1024 * 1024)

enum coding {
	CODING_IDENTITY,
	CODING_GZIP,
	CODING_DEFLATE,
	CODING_BR,
	CODING_ZSTD,
	CODING_MAX
};

struct codings {
	enum coding c[CODEC_CHAIN_MAX]; /* in the order they were applied */
	size_t n;                       /* 0: plain */
};

struct codec_memory {
	size_t used;
};

/* Name as written in a field. */
const char *coding_name(enum coding c);
/*
 * Append the codings of one Content-Encoding field value; identity counts for
 * nothing.  -1 when one is unknown or they are too many.
 */
int codings_add(struct codings *cs, const char *value);
/*
 * What is left of an Accept-Encoding field value (RFC 9110 section 12.5.3)
 * when only codings of this file are kept, appended to out without a NUL;
 * returns the codings offered, bits 1 << enum coding.
 */
uint32_t codings_offered(const char *value, struct buf *out);

struct decoder;

/* cs->n > 0.  m outlives the decoder. */
struct decoder *decoder_new(const struct codings *cs, struct codec_memory *m);
/* Bare deflate data that goes on for ever (RFC 7692). */
struct decoder *decoder_new_bare(struct codec_memory *m);
void decoder_free(struct decoder *d); /* NULL is fine */
/*
 * Decode from p[0..n): *used bytes were taken, at most max appended to out.
 * When max were, more may follow without further input.  0, or -1 with err
 * when the stream is broken or over a limit.
 */
int decoder_step(struct decoder *d, const uint8_t *p, size_t n, size_t *used,
    struct buf *out, size_t max, struct error *err);
/*
 * The input has ended and decoder_step() appends nothing any more: -1 unless
 * the stream is complete.  No input at all is complete.
 */
int decoder_end(const struct decoder *d, struct error *err);

struct encoder;

/* NULL when too much memory is in use: send it plain then. */
struct encoder *encoder_new(enum coding c, struct codec_memory *m);
void encoder_free(struct encoder *e); /* NULL is fine */
/*
 * Append the encoding of n bytes so that the reader can decode all of them at
 * once.  -1 when memory is short.
 */
int encoder_step(struct encoder *e, const uint8_t *p, size_t n, struct buf *out,
    struct error *err);
/* Append what ends the stream. */
int encoder_end(struct encoder *e, struct buf *out, struct error *err);

#endif
