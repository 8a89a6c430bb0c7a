/*
 * Everything that a PostgreSQL client or server can send during a login: first
 * packets, messages, SCRAM.  A login that is read reads the same again from
 * what is made of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/pgwire.h"
#include "proxy/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_login(const uint8_t *p, size_t n)
{
	struct pg_login l, again;
	cleanup_buf struct buf b = { 0 };
	size_t used;

	if (pg_login_parse(p, n, &l) < 0)
		return;
	if (pg_start_parse(buf_head(&l.packet), buf_len(&l.packet), &used) !=
		PG_START_LOGIN ||
	    pg_login_parse(buf_head(&l.packet), buf_len(&l.packet), &again) <
		0 ||
	    again.newer || strcmp(l.user, again.user) != 0 ||
	    l.user[0] == '\0' || buf_len(&l.packet) > n)
		abort();
	pg_put_negotiate(&b, &l);
	pg_login_free(&again);
	pg_login_free(&l);
}

static void
try_scram(const uint8_t *p, size_t n)
{
	struct scram_client c = {
		.password = "x", .npassword = 1, .nonce = "abc"
	};
	struct scram_server s = { 0 };
	cleanup_buf struct buf out = { 0 };
	struct error err;

	/* Not so many rounds that nothing else is tried. */
	if (memmem(p, n, ",i=1", 4) != NULL && n < 64)
		(void)scram_client_final(&c, p, n, &out, &err);
	(void)scram_client_check(&c, p, n, &err);
	if (scram_server_first(&s, "x", 1, p, n, &out, &err) == 0 &&
	    scram_server_final(&s, p, n, &out, &err) == 0)
		abort();
	scram_server_wipe(&s);
}

static void
try_message(const struct pg_message *m)
{
	const uint8_t *data;
	enum pg_auth a;
	size_t n;

	if (pg_auth_parse(m, &a, &data, &n) == 0) {
		(void)pg_sasl_has(data, n, "SCRAM-SHA-256");
		try_scram(data, n);
	}
	if (pg_sasl_first_parse(m, "SCRAM-SHA-256", &data, &n) == 0)
		try_scram(data, n);
	if (m->type == 'p')
		try_scram(m->body, m->n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pg_message m;
	size_t used = 0;

	switch (pg_start_parse(data, size, &used)) {
	case PG_START_LOGIN:
		try_login(data, used);
		/* FALLTHROUGH */
	case PG_START_SSL:
	case PG_START_GSS:
	case PG_START_CANCEL:
		if (used > size)
			abort();
		break;
	case PG_START_BAD:
	case PG_START_MORE:
		used = 0;
		break;
	}
	while (pg_message_parse(data + used, size - used, &m) == PG_MESSAGE) {
		if (m.used > size - used || m.n > m.used)
			abort();
		try_message(&m);
		used += m.used;
	}
	return 0;
}
