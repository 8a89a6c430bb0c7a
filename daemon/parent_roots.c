#include "daemon/parent_roots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "proxy/dial.h"

int
roots_check(const char *path, const void *pem, size_t n, struct error *err)
{
	struct pem_certs w = { .at = pem, .left = n };
	cleanup_buf struct buf der = { 0 };
	int more;

	while ((more = pem_certs_next(&w, &der, err)) > 0) {
		const unsigned char *p = buf_head(&der);
		X509 *cert = d2i_X509(NULL, &p, (long)buf_len(&der));
		bool whole = p == buf_head(&der) + buf_len(&der);

		X509_free(cert);
		ERR_clear_error();
		if (cert == NULL || !whole) {
			more = error_set(err, 0,
			    "certificate %u is base64 of something else",
			    w.number);
			break;
		}
	}
	if (more == 0 && w.number == 0)
		more = error_set(err, 0, "holds no certificate in PEM");
	if (more == 0 && w.number > ROOTS_FILE_CERTS_MAX)
		more = error_set(err, 0, "holds %u certificates, more than %u",
		    w.number, ROOTS_FILE_CERTS_MAX);
	return more == 0 ? 0 : error_prefix(err, "CA certificates %s", path);
}

/* The file at path, looked at, after what b holds. */
static int
read_file(const char *path, struct buf *b, struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t before = buf_len(b);

	if (fd < 0 || fd_read_all(fd, b, DIAL_ROOTS_MAX) < 0)
		return error_set(err, errno, "read CA certificates %s", path);
	if (roots_check(path, buf_head(b) + before, buf_len(b) - before, err) <
	    0)
		return -1;
	buf_put_u8(b, '\n');
	return 0;
}

/* Sealed, as back takes it; -1 with err. */
static int
seal(const char *name, const struct buf *b, struct error *err)
{
	int fd;

	if (buf_len(b) > DIAL_ROOTS_MAX)
		return error_set(err, 0,
		    "the certificates of %s are larger than %u MiB together",
		    name, DIAL_ROOTS_MAX >> 20);
	fd = fd_memfd("brig-roots", buf_head(b), buf_len(b));
	return fd < 0 ? error_set(err, errno, "memfd") : fd;
}

static int
read_all(const struct conf *conf, struct parent_roots *r, struct error *err)
{
	cleanup_buf struct buf b = { 0 };

	if (read_file(conf->ca_roots, &b, err) < 0)
		return -1;
	r->jail = buf_len(&b);
	for (size_t i = 0; i < conf->extra_ca.n; i++)
		if (read_file(conf->extra_ca.v[i], &b, err) < 0)
			return -1;
	r->fd = seal("ca-roots and extra-ca", &b, err);
	return r->fd < 0 ? -1 : 0;
}

/* What back trusts beside that, each for one host. */
static int
read_hosts(const struct conf_list *l, struct parent_roots *r, struct error *err)
{
	cleanup_buf struct buf b = { 0 };

	if (l->n == 0)
		return 0;
	buf_put_u32(&b, (uint32_t)l->n);
	for (size_t i = 0; i < l->n; i++) {
		cleanup_buf struct buf pem = { 0 };
		const char *space = strchr(l->v[i], ' ');
		cleanup_free char *host =
		    xstrndup(l->v[i], (size_t)(space - l->v[i]));

		if (read_file(space + 1, &pem, err) < 0)
			return -1;
		buf_put_str(&b, host);
		buf_put_blob(&b, buf_head(&pem), buf_len(&pem));
	}
	r->host_fd = seal("extra-ca for single hosts", &b, err);
	return r->host_fd < 0 ? -1 : 0;
}

int
roots_read(const struct conf *conf, struct parent_roots *r, struct error *err)
{
	*r = (struct parent_roots){ .fd = -1, .host_fd = -1 };
	if (read_all(conf, r, err) == 0 &&
	    read_hosts(&conf->host_ca, r, err) == 0)
		return 0;
	roots_free(r);
	return -1;
}

void
roots_free(struct parent_roots *r)
{
	fd_close(&r->fd);
	fd_close(&r->host_fd);
}

/* Of two descriptors, of which both may be -1; false when in doubt. */
static bool
same_text(int a, int b)
{
	cleanup_buf struct buf ta = { 0 }, tb = { 0 };

	if (a < 0 || b < 0)
		return a == b;
	return fd_pread_all(a, &ta, DIAL_ROOTS_MAX) == 0 &&
	       fd_pread_all(b, &tb, DIAL_ROOTS_MAX) == 0 &&
	       buf_len(&ta) == buf_len(&tb) &&
	       memcmp(buf_head(&ta), buf_head(&tb), buf_len(&ta)) == 0;
}

bool
roots_same(const struct parent_roots *a, const struct parent_roots *b)
{
	return a->jail == b->jail && same_text(a->fd, b->fd) &&
	       same_text(a->host_fd, b->host_fd);
}

int
roots_jail_text(
    const struct parent_roots *r, struct buf *out, struct error *err)
{
	cleanup_buf struct buf b = { 0 };

	if (fd_pread_all(r->fd, &b, DIAL_ROOTS_MAX) < 0)
		return error_set(err, errno, "read CA certificates");
	buf_put(out, buf_head(&b), r->jail);
	return 0;
}
