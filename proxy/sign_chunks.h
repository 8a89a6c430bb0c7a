/*
 * The body of an upload whose chunks are signed one by one (AWS Signature
 * Version 4, "aws-chunked"): every chunk-signature made anew, as a stream,
 * with equal length.  Pure; back owns one per such request.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 *
 * A chunk's signature comes before its data, so that a chunk is held back
 * until it is whole.
 */
#ifndef BRIG_PROXY_SIGN_CHUNKS_H
#define BRIG_PROXY_SIGN_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "proxy/sign_sigv4.h"

/* Larger ones are refused; SDKs send 64 KiB to 1 MiB. */
#define SIGN_CHUNK_MAX (2u * 1024 * 1024)
#define SIGN_CHUNK_LINE_MAX 512u
#define SIGN_TRAILER_MAX 8192u

struct sign_chunks;

/* seed: the signature of the head. */
struct sign_chunks *sign_chunks_new(const struct sigv4 *s,
    const uint8_t key[SIGV4_KEY_SIZE], const char seed[SIGN_HEX_SIZE]);
void sign_chunks_free(struct sign_chunks *c); /* wipes; NULL is fine */
/* 0, or -1 and err when the body is not chunks as the head says. */
int sign_chunks_feed(struct sign_chunks *c, const void *p, size_t n,
    struct buf *out, struct error *err);
/* Bytes held back at the moment. */
size_t sign_chunks_held(const struct sign_chunks *c);
/* The body ended. */
int sign_chunks_end(struct sign_chunks *c, struct buf *out, struct error *err);

#endif
