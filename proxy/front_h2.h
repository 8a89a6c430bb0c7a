/*
 * HTTP/2 of the agent's side (RFC 9113), inside of front: front_h2.c is the
 * session of a connection, front_h2_stream.c its streams.  Frames, HPACK and
 * the rules of RFC 9113 sections 5, 6 and 8 are nghttp2's.
 *
 * Windows follow back's credit, in both directions: an agent may send on a
 * stream what back takes of that exchange, and back may send what lies here
 * unsent up to WIRE_RSP_WINDOW.
 */
#ifndef BRIG_PROXY_FRONT_H2_H
#define BRIG_PROXY_FRONT_H2_H

#include <nghttp2/nghttp2.h>

#include "proxy/front.h"

/* Streams at a time, advertised; more are refused, then the connection. */
#define FRONT_H2_STREAMS_MAX 128u
/* Of one connection, over all streams. */
#define FRONT_H2_WINDOW (1024u * 1024)
/* Names, values and 32 each of a head or trailers, advertised: else 431. */
#define FRONT_H2_HEAD_MAX HTTP_HEAD_MAX
/* CONTINUATION frames of a head: more end the connection. */
#define FRONT_H2_CONTINUATIONS_MAX 16u
/* Entries of a SETTINGS frame: more end the connection. */
#define FRONT_H2_SETTINGS_MAX 32u
/*
 * Frames that carry neither a request nor a body: this many at once, then one
 * each so many ms, and some for each frame that was of use.  More end the
 * connection with ENHANCE_YOUR_CALM.
 */
#define FRONT_H2_CHORE_BURST 1000u
#define FRONT_H2_CHORE_MS 10u
#define FRONT_H2_CHORES_PER_REQUEST 8u
#define FRONT_H2_CHORES_PER_DATA 4u
/*
 * Requests given up before their answer, by either side: the same.  Each has
 * had back do work.
 */
#define FRONT_H2_RESET_BURST 500u
#define FRONT_H2_RESET_MS 20u
/* Bytes that wait to be written: no more DATA frames, no more input. */
#define FRONT_H2_OUT_HIGH 65536u
#define FRONT_H2_OUT_MAX (4u * FRONT_H2_OUT_HIGH)

struct h2_stream {
	struct exchange ex; /* first: an exchange is cast to its stream */
	struct h2_stream *next, *prev;
	int32_t id;
	/* Head of the request, then its trailers. */
	char *method, *scheme, *authority, *path, *protocol;
	struct fields fields;
	struct buf cookie; /* crumbs, joined (RFC 9113 section 8.2.3) */
	size_t head_bytes;
	bool head_done;
	bool too_large;
	bool grpc;   /* a call, that is refused in gRPC's own way */
	size_t owed; /* received, not given back to the stream's window */
	/* Response. */
	struct rsp_head late; /* one without a body waits for its end */
	struct buf out;
	struct fields trailers;
	size_t unwanted; /* of the request, since the response was sent */
	bool answered;   /* all of it has been sent */
	bool ended;      /* all of it is in out and trailers */
	bool started;    /* the head was submitted */
	bool waits;      /* nghttp2 has been told to wait for data */
	uint64_t moved;  /* ms: when something of it came or went */
};

struct h2 {
	nghttp2_session *s;
	struct h2_stream *streams;
	struct rate chores, resets;
	struct ev_timer *stall; /* the first stream that stands still */
	bool stall_set;
	uint64_t sent;    /* ms: when a DATA frame went */
	bool greeted;     /* the agent's SETTINGS came */
	const char *calm; /* a limit was hit: which */
};

/* front_h2_stream.c; these are called by callbacks of nghttp2. */
struct h2_stream *h2_stream_new(struct conn *c, int32_t id);
void h2_stream_free(struct conn *c, struct h2_stream *st);
/* A field of the head or the trailers. */
void h2_stream_field(struct h2_stream *st, const char *name, size_t nlen,
    const char *value, size_t vlen);
/* All fields are here, and end says if that is all of the request. */
void h2_stream_head(struct h2_stream *st, bool end);
void h2_stream_trailers(struct h2_stream *st);
void h2_stream_data(struct h2_stream *st, const uint8_t *p, size_t n);
void h2_stream_end(struct h2_stream *st);
/* The agent owes something of it, and has for too long. */
void h2_stream_stalled(struct h2_stream *st);

/* What back says; see struct front_proto. */
void h2_on_continue(struct exchange *ex);
void h2_on_head(struct exchange *ex, struct rsp_head *h);
void h2_on_body(struct exchange *ex, const uint8_t *p, size_t n);
void h2_on_end(struct exchange *ex, const struct fields *trailers);
void h2_on_deny(struct exchange *ex, unsigned int status, const char *json,
    size_t n, bool close);
void h2_on_fail(struct exchange *ex, const struct refusal *r);
void h2_on_credit(struct exchange *ex, size_t n);

#endif
