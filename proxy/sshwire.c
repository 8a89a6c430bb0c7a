#include "proxy/sshwire.h"

#include <string.h>

#include "base/str.h"

#define MSG_USERAUTH_REQUEST 50

int
ssh_get(struct cur *c, struct ssh_str *s)
{
	uint32_t n = cur_be32(c);

	s->p = NULL;
	s->n = 0;
	if (c->failed || n > c->left) {
		c->failed = true;
		return -1;
	}
	s->n = n;
	s->p = n == 0 ? (const uint8_t *)"" : cur_bytes(c, n);
	return 0;
}

void
ssh_put(struct buf *b, const void *p, size_t n)
{
	buf_put_be32(b, (uint32_t)n);
	buf_put(b, p, n);
}

bool
ssh_is(const struct ssh_str *s, const char *text)
{
	return s->n == strlen(text) && memcmp(s->p, text, s->n) == 0;
}

bool
ssh_same(const struct ssh_str *a, const struct ssh_str *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

enum ssh_got
ssh_frame_parse(const uint8_t *p, size_t n, struct ssh_frame *f)
{
	struct cur c;
	uint32_t len;

	cur_init(&c, p, n);
	len = cur_be32(&c);
	if (c.failed)
		return SSH_MORE;
	if (len == 0 || len > SSH_FRAME_MAX)
		return SSH_BAD;
	if (c.left < len)
		return SSH_MORE;
	f->type = cur_u8(&c);
	f->body.n = len - 1;
	f->body.p = c.p;
	f->used = len + 4;
	return SSH_FRAME;
}

void
ssh_put_frame(struct buf *b, uint8_t type, const void *body, size_t n)
{
	buf_put_be32(b, (uint32_t)n + 1);
	buf_put_u8(b, type);
	buf_put(b, body, n);
}

int
ssh_bind_parse(const struct ssh_str *body, struct ssh_bind *b)
{
	struct ssh_str name;
	struct cur c;
	uint8_t flag;

	cur_init(&c, body->p, body->n);
	if (ssh_get(&c, &name) < 0 ||
	    !ssh_is(&name, "session-bind@openssh.com") ||
	    ssh_get(&c, &b->host_key) < 0 || ssh_get(&c, &b->session) < 0 ||
	    ssh_get(&c, &b->signature) < 0)
		return -1;
	flag = cur_u8(&c);
	b->forwarding = flag != 0;
	return cur_end(&c) < 0 || flag > 1 || b->session.n == 0 ? -1 : 0;
}

int
ssh_sign_parse(const struct ssh_str *body, struct ssh_sign *s)
{
	struct cur c;

	cur_init(&c, body->p, body->n);
	if (ssh_get(&c, &s->key) < 0 || ssh_get(&c, &s->data) < 0)
		return -1;
	s->flags = cur_be32(&c);
	return cur_end(&c);
}

int
ssh_auth_parse(const struct ssh_str *data, struct ssh_auth *a)
{
	struct ssh_str service, method;
	bool bound;
	struct cur c;

	memset(a, 0, sizeof(*a));
	cur_init(&c, data->p, data->n);
	if (ssh_get(&c, &a->session) < 0 || a->session.n == 0 ||
	    cur_u8(&c) != MSG_USERAUTH_REQUEST || ssh_get(&c, &a->user) < 0 ||
	    ssh_get(&c, &service) < 0 || !ssh_is(&service, "ssh-connection") ||
	    ssh_get(&c, &method) < 0)
		return -1;
	bound = ssh_is(&method, "publickey-hostbound-v00@openssh.com");
	if ((!bound && !ssh_is(&method, "publickey")) || cur_u8(&c) != 1 ||
	    ssh_get(&c, &a->algorithm) < 0 || ssh_get(&c, &a->key) < 0 ||
	    (bound && (ssh_get(&c, &a->host_key) < 0 || a->host_key.n == 0)))
		return -1;
	return cur_end(&c);
}
