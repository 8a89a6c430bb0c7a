#include "proxy/front.h"

#include <string.h>
#include <strings.h>

#include "proxy/ws_key.h"

/* Does every token of the list fit what may be ignored, or is it this one? */
static enum ws_ask
list_asks(const char *list)
{
	enum ws_ask what = WS_NO;

	while (*list != '\0') {
		size_t n;

		list += strspn(list, " \t,");
		n = strcspn(list, " \t,");
		if (n == strlen(WIRE_WEBSOCKET) &&
		    strncasecmp(list, WIRE_WEBSOCKET, n) == 0)
			what = WS_YES;
		else if (n > 0 &&
			 !(n == 3 && strncasecmp(list, "h2c", 3) == 0) &&
			 strncasecmp(list, "TLS/", 4) != 0)
			return WS_OTHER;
		list += n;
	}
	return what;
}

enum ws_ask
ws_asked(const struct fields *fs)
{
	enum ws_ask what = WS_NO;

	for (size_t i = 0; i < fs->n; i++) {
		if (strcasecmp(fs->f[i].name, "Upgrade") != 0)
			continue;
		switch (list_asks(fs->f[i].value)) {
		case WS_NO:
			break;
		case WS_YES:
			what = WS_YES;
			break;
		case WS_OTHER:
			return WS_OTHER;
		}
	}
	return what;
}

static const struct refusal bad = { 400, "bad_request",
	"malformed WebSocket handshake",
	"Send it as RFC 6455 section 4.2.1 defines it." };

const struct refusal *
ws_version(const struct fields *fs)
{
	static const struct refusal other = { 426, "bad_request",
		"only version 13 of WebSocket is known",
		"Ask for Sec-WebSocket-Version: 13." };
	size_t n;
	const char *version = fields_get(fs, "Sec-WebSocket-Version", &n);

	if (n == 1 && strcmp(version, "13") == 0)
		return NULL;
	return n == 1 ? &other : &bad;
}

const struct refusal *
ws_handshake(const struct http_parser *p, const char **key)
{
	size_t n;
	bool upgrade = false;

	for (size_t i = 0; i < p->fields.n; i++)
		if (strcasecmp(p->fields.f[i].name, "Connection") == 0 &&
		    wire_list_has(p->fields.f[i].value, "Upgrade"))
			upgrade = true;
	*key = fields_get(&p->fields, "Sec-WebSocket-Key", &n);
	if (!upgrade || n != 1 || !ws_is_key(*key) || p->minor < 1 ||
	    p->kind != BODY_NONE || strcmp(p->method, "GET") != 0)
		return &bad;
	return ws_version(&p->fields);
}

void
ws_accepted(struct rsp_head *h, const char *accept)
{
	fields_set(&h->fields, "Upgrade", "websocket");
	fields_set(&h->fields, "Connection", "Upgrade");
	fields_set(&h->fields, "Sec-WebSocket-Accept", accept);
}
