#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "inferd/record.h"
#include "inferd/request.h"
#include "inferd/server_int.h"
#include "inferd/sockets.h"

#define JSON_TYPE "application/json"

enum route {
	ROUTE_NONE,
	ROUTE_ROOT,
	ROUTE_HEALTH,
	ROUTE_METRICS,
	ROUTE_MODELS,
	ROUTE_MODEL, /* one */
	ROUTE_API,   /* what is sampled, or counted */
};

struct place {
	enum route route;
	enum api_kind kind; /* whose clients ask here */
	const char *rest;   /* behind the prefix, of ROUTE_MODEL */
	size_t nrest;
};

static const struct {
	const char *path;
	enum route route;
	enum api_kind kind;
} paths[] = {
	{ "/", ROUTE_ROOT, API_OTHER },
	{ "/health", ROUTE_HEALTH, API_OTHER },
	{ "/metrics", ROUTE_METRICS, API_OTHER },
	{ "/v1/models", ROUTE_MODELS, API_OTHER },
	{ "/v1/chat/completions", ROUTE_API, API_CHAT },
	{ "/v1/completions", ROUTE_API, API_COMPLETIONS },
	{ "/v1/responses", ROUTE_API, API_RESPONSES },
	{ "/v1/messages", ROUTE_API, API_MESSAGES },
	{ "/v1/messages/count_tokens", ROUTE_API, API_COUNT_TOKENS },
};

static const char models_prefix[] = "/v1/models/";
static const char messages_prefix[] = "/v1/messages";

/* The query is nothing that changes an answer here ("?beta=true"). */
static struct place
find(const struct conn_request *r)
{
	struct place p = { .kind = API_OTHER };
	size_t n = strcspn(r->target, "?"), models = sizeof(models_prefix) - 1;

	for (size_t i = 0; i < nitems(paths); i++)
		if (strlen(paths[i].path) == n &&
		    memcmp(paths[i].path, r->target, n) == 0)
			return (struct place){ .route = paths[i].route,
				.kind = paths[i].kind };
	if (str_starts(r->target, models_prefix) && n > models) {
		p.route = ROUTE_MODEL;
		p.rest = r->target + models;
		p.nrest = n - models;
	}
	if (str_starts(r->target, messages_prefix) ||
	    fields_get(r->fields, "anthropic-version", NULL) != NULL)
		p.kind = API_MESSAGES;
	return p;
}

static const char *
allowed(enum route route)
{
	return route == ROUTE_API ? "POST" : "GET, HEAD";
}

static bool
may(enum route route, const char *method)
{
	if (route == ROUTE_API)
		return strcmp(method, "POST") == 0;
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* ---- answers ------------------------------------------------------------ */

void
reply_json(struct caller *k, unsigned status, const struct buf *body)
{
	struct fields fs = { 0 };

	fields_set(&fs, "Content-Type", JSON_TYPE);
	conn_reply(k->conn, status, &fs, buf_head(body), buf_len(body));
	fields_free(&fs);
}

void
reply_error(struct caller *k, enum api_kind kind, const struct api_error *e)
{
	cleanup_buf struct buf b = { 0 };

	buf_init(&b, 0);
	api_error_body(kind, e, &b);
	reply_json(k, (unsigned)e->status, &b);
}

void
route_error(const struct conn_request *r, unsigned status, const char *why,
    struct buf *out)
{
	enum api_kind kind = r == NULL ? API_OTHER : find(r).kind;
	struct api_error e;

	api_fail(&e, (int)status, NULL, "", "%s", why);
	api_error_body(kind, &e, out);
}

static void
reply_methods(struct caller *k, const struct place *p)
{
	struct fields fs = { 0 };
	struct api_error e;
	cleanup_buf struct buf b = { 0 };

	buf_init(&b, 0);
	api_fail(
	    &e, 405, NULL, "", "this path knows %s alone", allowed(p->route));
	api_error_body(p->kind, &e, &b);
	fields_set(&fs, "Content-Type", JSON_TYPE);
	fields_set(&fs, "Allow", allowed(p->route));
	conn_reply(k->conn, 405, &fs, buf_head(&b), buf_len(&b));
	fields_free(&fs);
}

static void
reply_metrics(struct caller *k)
{
	struct server *s = k->s;
	struct engine_stats e = { 0 };
	struct fields fs = { 0 };
	cleanup_buf struct buf b = { 0 };

	buf_init(&b, 0);
	/* What others do is nobody's business but the overseer's. */
	if (k->overseer)
		engine_stats(s->o.engine, &e);
	s->metrics.has_record = s->o.record != NULL;
	s->metrics.record_failed =
	    s->o.record != NULL && record_has_failed(s->o.record);
	metrics_put(&s->metrics, k->overseer ? NULL : k->client, &e, &b);
	fields_set(&fs, "Content-Type", METRICS_TYPE);
	conn_reply(k->conn, 200, &fs, buf_head(&b), buf_len(&b));
	fields_free(&fs);
}

static void
reply_text(struct caller *k, unsigned status, const char *json)
{
	cleanup_buf struct buf b = { 0 };

	buf_init(&b, 0);
	buf_put(&b, json, strlen(json));
	reply_json(k, status, &b);
}

static void
reply_health(struct caller *k)
{
	const struct record *record = k->s->o.record;

	if (record != NULL && record_has_failed(record))
		reply_text(k, 503,
		    "{\"status\":\"error\","
		    "\"reason\":\"the record cannot be written\"}\n");
	else
		reply_text(k, 200, "{\"status\":\"ok\"}\n");
}

/* ---- requests ----------------------------------------------------------- */

/*
 * TCP is for programs of this machine.  A browser on it speaks for whoever
 * wrote the page, which names itself by Origin, or by the Host that its DNS
 * points here.
 */
static bool
is_foreign(const struct conn_request *r)
{
	const char *host = fields_get(r->fields, "Host", NULL);
	const char *origin = fields_get(r->fields, "Origin", NULL);

	if (host != NULL && !sockets_is_local(host))
		return true;
	if (origin == NULL)
		return false;
	origin = strstr(origin, "://");
	return origin == NULL || !sockets_is_local(origin + 3);
}

unsigned
route_check(struct caller *k, const struct conn_request *r, const char **why)
{
	if (k->tcp && is_foreign(r)) {
		*why = "Host or Origin is not this machine";
		return 403;
	}
	if (k->over) {
		*why = "this agent has too many connections";
		return 503;
	}
	return 0;
}

void
route(struct caller *k, const struct conn_request *r)
{
	const struct server_opts *o = &k->s->o;
	struct place p = find(r);
	struct api_error e;
	cleanup_buf struct buf b = { 0 };

	buf_init(&b, 0);
	if (p.route != ROUTE_NONE && !may(p.route, r->method)) {
		reply_methods(k, &p);
		return;
	}
	switch (p.route) {
	case ROUTE_NONE:
		api_fail(&e, 404, NULL, "", "there is no such path");
		reply_error(k, p.kind, &e);
		break;
	case ROUTE_ROOT:
		reply_text(k, 200, "{\"status\":\"ok\"}\n");
		break;
	case ROUTE_HEALTH:
		reply_health(k);
		break;
	case ROUTE_METRICS:
		reply_metrics(k);
		break;
	case ROUTE_MODELS:
		api_models_body(o->model, engine_context(o->engine, k->agent),
		    k->s->started, &b);
		reply_json(k, 200, &b);
		break;
	case ROUTE_MODEL:
		if (strlen(o->model) != p.nrest ||
		    memcmp(o->model, p.rest, p.nrest) != 0) {
			api_fail(&e, 404, NULL, "model",
			    "the only model here is %s", o->model);
			reply_error(k, p.kind, &e);
			break;
		}
		api_model_body(o->model, engine_context(o->engine, k->agent),
		    k->s->started, &b);
		reply_json(k, 200, &b);
		break;
	case ROUTE_API:
		request_begin(k, p.kind, r);
		break;
	}
}
