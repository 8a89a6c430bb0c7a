/*
 * What a job can send to its SSH agent, down to the signatures and keys in it,
 * and what an administrator can give as a key.  A message that is read comes
 * out of the writer as it went in.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/ssh_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_sign(const struct ssh_str *body)
{
	struct ssh_sign s;
	struct ssh_auth a;

	if (ssh_sign_parse(body, &s) < 0 || ssh_auth_parse(&s.data, &a) < 0)
		return;
	if (a.session.n == 0 || a.key.n > s.data.n)
		abort();
	(void)ssh_verify(&s.key, &a.key, &s.data);
}

static void
try_frame(const struct ssh_frame *f)
{
	cleanup_buf struct buf b = { 0 };
	struct ssh_frame again;
	struct ssh_bind bind;

	ssh_put_frame(&b, f->type, f->body.p, f->body.n);
	if (ssh_frame_parse(buf_head(&b), buf_len(&b), &again) != SSH_FRAME ||
	    again.type != f->type || !ssh_same(&again.body, &f->body) ||
	    again.used != f->used)
		abort();
	if (f->type == SSH_AGENTC_SIGN_REQUEST)
		try_sign(&f->body);
	if (f->type == SSH_AGENTC_EXTENSION &&
	    ssh_bind_parse(&f->body, &bind) == 0)
		(void)ssh_verify(
		    &bind.host_key, &bind.signature, &bind.session);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssh_str key = { data, size < 64 ? size : 64 };
	struct ssh_frame f;
	struct error err;
	size_t at = 0;

	while (ssh_frame_parse(data + at, size - at, &f) == SSH_FRAME) {
		if (f.used > size - at)
			abort();
		try_frame(&f);
		at += f.used;
	}
	/* Anything else is looked through by OpenSSL's PEM reader, slowly. */
	if (size >= 18 && memcmp(data, "-----BEGIN OPENSSH", 18) == 0)
		ssh_key_free(ssh_key_load(data, size, &err));
	(void)ssh_known(data, size, "a.example", 22, &key);
	return 0;
}
