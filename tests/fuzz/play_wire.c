/*
 * What front and back say to each other, and back to keyd and dns, as those
 * read it: bytes of an agent or of a network must never make a message that
 * its reader calls a fault of the process.
 */
#include <stdlib.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/wire.h"
#include "tests/fuzz/play.h"

static void
text(struct cur *c, size_t max)
{
	free(cur_str(c, max));
}

/* As keyd_request_get(). */
static void
request(struct cur *c)
{
	(void)cur_u32(c);
	text(c, 64);
	text(c, 16);
	text(c, P_HOST_MAX);
	(void)cur_u16(c);
	text(c, P_URL_MAX);
	(void)cur_bool(c);
}

static void
head(uint16_t type, struct cur *c)
{
	struct req_head req;
	struct rsp_head rsp;
	struct fields trailers;
	int rc;

	if (type == M_REQ_HEAD) {
		rc = req_head_get(c, &req);
		req_head_free(&req);
	} else if (type == M_RSP_HEAD) {
		rc = rsp_head_get(c, &rsp);
		rsp_head_free(&rsp);
	} else {
		rc = trailers_get(c, &trailers);
		fields_free(&trailers);
	}
	if (rc < 0)
		abort();
}

void
play_wire_hears(uint16_t type, struct cur *c)
{
	uint16_t status;
	size_t n;

	switch (type) {
	case M_REQ_HEAD:
	case M_RSP_HEAD:
	case M_REQ_END:
	case M_RSP_END:
		head(type, c);
		return;
	case M_REQ_BODY:
	case M_RSP_BODY:
		if (c->left == 0 || c->left > WIRE_BODY_CHUNK)
			abort();
		return;
	case M_REQ_ABORT:
	case M_RSP_ABORT:
		text(c, P_TEXT_MAX);
		break;
	case M_RSP_DENY:
		status = cur_u16(c);
		if (status < 400 || status > 599)
			abort();
		(void)cur_bool(c);
		(void)cur_blob(c, MSG_BODY_MAX, &n);
		break;
	case M_FRONT_EVENT:
		if (cur_u8(c) >= FRONT_EVENT_MAX)
			abort();
		text(c, P_HOST_MAX);
		(void)cur_u16(c);
		text(c, P_TEXT_MAX);
		break;
	case M_RELEASE:
		request(c);
		break;
	case M_SIGN_KEY:
		request(c);
		text(c, 15);
		text(c, 39);
		text(c, 39);
		break;
	case M_RESOLVE:
		text(c, P_HOST_MAX);
		break;
	default:
		return;
	}
	if (cur_end(c) < 0)
		abort();
}
