/*
 * The vault's reader on any file, and its records on any plaintext: neither
 * overruns, and what they accept is sound.  The first byte chooses.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/stub.h"
#include "proxy/vault.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct vault *v)
{
	struct error err;

	for (size_t i = 0; i < vault_count(v); i++) {
		const struct credential *c = vault_at(v, i);

		if (credential_check(c, &err) < 0 ||
		    (cred_has_stub(c->spec.kind) &&
			stub_shape_check(c->shape) < 0) ||
		    c->value == NULL || vault_by_id(v, c->id) != c ||
		    c->id >= vault_next_id(v))
			abort();
	}
}

static void
file(const uint8_t *data, size_t size)
{
	struct secret *master =
	    secret_new("0123456789abcdef0123456789abcdef", 32);
	int fd = memfd_create("vault", MFD_CLOEXEC);
	struct vault *v;
	struct error err;

	if (master == NULL || fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	v = vault_open(fd, master, &err);
	if (v != NULL)
		check(v);
	vault_free(v);
	secret_free(master);
}

/* u8 length + record, again and again, on one vault. */
static void
apply(const uint8_t *data, size_t size)
{
	struct vault *v = vault_new();
	struct error err;

	while (size > 0) {
		size_t n = data[0];

		data++;
		size--;
		n = n < size ? n : size;
		if (vault_apply(data, n, v, &err) == 0)
			check(v);
		data += n;
		size -= n;
	}
	vault_free(v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		file(data + 1, size - 1);
	else
		apply(data + 1, size - 1);
	return 0;
}
