/*
 * Exchanges of proxy/upstream.h over socket pairs: the test is their user, and
 * the origin is a session of nghttp2's server, or bytes that the test says.
 * Dials are played (dial_start() of here wins over the library's).
 */
#ifndef BRIG_TESTS_UPSTREAM_WORLD_H
#define BRIG_TESTS_UPSTREAM_WORLD_H

#include <nghttp2/nghttp2.h>

#include "base/ev.h"
#include "proxy/upstream.h"

struct use { /* an exchange as its user sees it */
	struct uw *w;
	struct upstream *u;
	struct req_head head;
	unsigned int ready, heads, dones, fails, redials;
	enum upstream_fail how;
	unsigned int status;
	enum body_kind kind;
	uint64_t length;
	struct fields fields, trailers;
	struct buf body;
	char why[256];
	bool refused, stale;
	size_t take; /* bytes that data() takes yet */
	struct buf to_send;
	bool end; /* once that is sent */
	bool ended;
	struct fields req_trailers;
	bool hold;         /* not released by done */
	bool drop_in_head; /* released in head() */
	bool drop_in_data; /* released in data() */
	bool drop_in_ready;
	size_t most_queued;
};

/* A stream as the origin sees it. */
struct seen {
	struct seen *next;
	int32_t id;
	struct origin *o;
	char *path, *method, *authority;
	struct buf fields; /* "name: value" a line, trailers after "--" */
	struct buf body;   /* as far as it is kept */
	size_t bytes;
	bool ended, closed;
	uint32_t code;    /* of its end */
	uint8_t flags;    /* of "authorization": never indexed? */
	bool secret_path; /* the same, of :path */
	struct buf out;   /* response body to send */
	size_t more;      /* zeros after it */
	bool hold;        /* the body goes on */
	bool quits;       /* with a reset in place of the end */
	bool trailers;    /* send some after it */
};

struct origin { /* a connection */
	struct uw *w;
	struct origin *next;
	int fd;
	struct ev_io *io;
	nghttp2_session *h2; /* NULL: bytes */
	struct buf in, out;
	struct seen *seen;
	size_t queued_most; /* of a response, beyond what is taken */
	bool eof;
	bool deaf; /* reads nothing */
	bool goaway;
	uint64_t sent_data;
};

struct uw {
	struct ev *ev;
	struct upstream_pool *pool;
	bool h2;          /* what the next dial finds */
	bool slow_dial;   /* the dial ends with uw_dialled() */
	bool no_dial;     /* it fails */
	size_t chunk;     /* bytes at a time of the origin; 0: all */
	uint32_t streams; /* MAX_CONCURRENT_STREAMS of the next origin */
	uint32_t window;  /* INITIAL_WINDOW_SIZE of it, 0: usual */
	unsigned int dials;
	bool offered_h2;
	struct dial *waiting;
	struct origin *origins; /* newest first */
};

void uw_start(struct uw *w, bool h2);
void uw_end(struct uw *w);
void uw_run(struct uw *w, unsigned int rounds);
void uw_dialled(struct uw *w);

/* A request to good.example; then reused or dialled. */
void use_init(struct use *s, struct uw *w, const char *method,
    const char *target, enum body_kind kind, uint64_t length);
void use_start(struct use *s);
void use_send(struct use *s, const void *p, size_t n);
void use_end(struct use *s);
void use_free(struct use *s);
/* Run until it is over; false when it is not. */
bool use_finish(struct use *s);

struct seen *origin_seen(struct uw *w, const char *path);
bool seen_has(const struct seen *s, const char *line);
/* Bytes from the newest origin, which is no session of HTTP/2. */
void origin_say(struct uw *w, const void *p, size_t n);
void origin_close(struct origin *o);
void origin_pump(struct origin *o);

#endif
