/*
 * An HTTP/2 client for tests of front, by nghttp2, and frames by hand for what
 * nghttp2 would not send.  Everything blocks, with a time-out.
 */
#ifndef BRIG_TESTS_H2CLIENT_H
#define BRIG_TESTS_H2CLIENT_H

#include "tests/proxy/fronttest.h"

#include <nghttp2/nghttp2.h>

#define H2C_STREAMS 300

struct h2c_rsp {
	int status, interim;
	char head[4096]; /* "name: value\n"... */
	char trailers[1024];
	struct buf body;
	bool closed;
	uint32_t error; /* of RST_STREAM */
};

struct h2c {
	int fd;
	nghttp2_session *s;
	size_t piece; /* at most so many bytes in a write; 0: all */
	bool no_windows;
	bool eof;
	bool greeted; /* front's SETTINGS came */
	bool goaway;
	uint32_t goaway_error;
	int32_t goaway_last;             /* stream that was taken */
	struct h2c_rsp rsp[H2C_STREAMS]; /* by (id - 1) / 2 */
};

/* Connect and say hello.  no_windows: nothing received is ever granted. */
void h2c_open(struct h2c *c, struct ft *t, bool no_windows);
void h2c_close(struct h2c *c);
/* "name: value" each, NULL ends.  Without a body, or with one that stays open
 * for h2c_data(). */
int32_t h2c_request(struct h2c *c, bool body, const char *const *fields);
int32_t h2c_get(struct h2c *c, const char *path);
/* DATA; end ends the stream. */
void h2c_data(struct h2c *c, int32_t id, const void *p, size_t n, bool end);
/* Write what waits. */
void h2c_flush(struct h2c *c);
struct h2c_rsp *h2c_rsp(struct h2c *c, int32_t id);
/* Read until the stream is closed, or fail. */
struct h2c_rsp *h2c_wait(struct h2c *c, int32_t id);
/* Read until front's SETTINGS are here. */
void h2c_ready(struct h2c *c);
/* Read until so much of the body is here. */
void h2c_wait_body(struct h2c *c, int32_t id, size_t n);
/* Read until the connection ends. */
void h2c_wait_end(struct h2c *c);
/* Read what comes within ms. */
void h2c_poll(struct h2c *c, int ms);

/* A frame by hand. */
void h2c_frame(struct buf *b, unsigned int type, unsigned int flags,
    uint32_t stream, const void *p, size_t n);
/* HPACK, literals only. */
void h2c_literal(struct buf *b, const char *name, const char *value);

#endif
