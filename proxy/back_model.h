/*
 * Calls of models in back: an exchange with a declared host whose method is
 * not harmless waits until its whole body is here, is judged by rules of class
 * model after those of class http, and what it used is recorded.
 *
 * Audit codes:
 *	MD101 model.decide	allowed, stream; the request's HT101 follows
 *	MD102 model.decide	a person is asked
 *	MD201 model.usage	what the provider counted
 *	MD401 model.decide	denied, barrier
 */
#ifndef BRIG_PROXY_BACK_MODEL_H
#define BRIG_PROXY_BACK_MODEL_H

#include "proxy/back.h"
#include "proxy/model.h"

/* A request that does not come to its end: refused. */
#define BACK_GATHER_MS 300000u

struct xmodel {
	struct back *back;
	size_t counted; /* of back->held */
	struct model_host host;
	struct model_call call; /* once the body has been read */
	struct decision dec;
	bool asking;                 /* the open question is about the model */
	bool judged;                 /* allowed to call */
	struct model_reader *reader; /* of the response */
};

/* A line of configuration, which brigd has checked. */
void back_model_host(struct back *b, const char *text);

/*
 * Is this a call?  Then x gets its xmodel, and refusals have the provider's
 * shape.  False when it has been refused: what is not HTTP cannot be judged.
 */
bool xmodel_admit(struct exchange *x);
/* Class http has allowed it: true if the rest is done here. */
bool xmodel_judge(struct exchange *x);
/* n bytes of the body came while it is waited for; false: it is refused. */
bool xmodel_body(struct exchange *x, size_t n);
void xmodel_gathered(struct exchange *x); /* and its end */
void xmodel_answered(struct exchange *x); /* a person has allowed it */
/* What a person is asked, beside what every request shows. */
void xmodel_line(struct buf *b, const struct exchange *x);

void xmodel_rsp_head(struct exchange *x, const struct rsp_head *h);
void xmodel_rsp_data(struct exchange *x, const void *p, size_t n);
/* The exchange is over: record what it used. */
void xmodel_done(struct exchange *x);
void xmodel_free(struct xmodel *m); /* NULL is fine */

#endif
