/* ca.show and ca.rotate: the interception CA, as keyd has it. */
#include "daemon/control.h"

#include "base/str.h"

#define PEM_MAX 16384u

static int
on_shown(struct control *ct, struct msg *m, void *arg)
{
	struct request *rq = arg;
	cleanup_free char *pem = NULL, *why = NULL;
	bool ok;

	(void)ct;
	if (m == NULL) {
		request_fail(rq, REQ_UNAVAILABLE,
		    "the key process is down, try again in a moment");
		return 0;
	}
	ok = cur_bool(&m->body);
	pem = cur_str(&m->body, PEM_MAX);
	why = cur_str(&m->body, P_TEXT_MAX);
	if (cur_end(&m->body) < 0) {
		request_fail(rq, REQ_FAILED, "answer is not readable");
		return -1;
	}
	if (ok)
		request_ok(rq, json_pack("{s:o}", "pem", json_text(pem)), -1);
	else
		request_fail(rq, REQ_FAILED, "%s", why);
	return 0;
}

void
op_ca_show(struct request *rq)
{
	ask_keyd(rq, M_CA_SHOW, NULL, -1, on_shown);
}

void
op_ca_rotate(struct request *rq)
{
	ask_keyd(rq, M_CA_ROTATE, NULL, -1, on_shown);
}
