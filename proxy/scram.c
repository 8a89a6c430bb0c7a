#include "proxy/scram.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/str.h"

#define B64_MAX 512u

/* ---- base64 and attributes ---------------------------------------------- */

static void
put_b64(struct buf *b, const void *p, size_t n)
{
	uint8_t *to = buf_reserve(b, (n + 2) / 3 * 4 + 1);

	if (to != NULL)
		buf_commit(b, (size_t)EVP_EncodeBlock(to, p, (int)n));
}

/* Canonical base64 of n characters; bytes written, or -1. */
static int
get_b64(const char *s, size_t n, uint8_t *out, size_t size)
{
	uint8_t tmp[B64_MAX / 4 * 3];
	cleanup_buf struct buf again = { 0 };
	int k, pad = 0;

	if (n == 0 || n % 4 != 0 || n > B64_MAX)
		return -1;
	k = EVP_DecodeBlock(tmp, (const uint8_t *)s, (int)n);
	if (k < 0)
		return -1;
	if (s[n - 1] == '=')
		pad = s[n - 2] == '=' ? 2 : 1;
	k -= pad;
	if ((size_t)k > size)
		return -1;
	/* EVP_DecodeBlock() skips blanks and takes other spellings. */
	put_b64(&again, tmp, (size_t)k);
	if (buf_len(&again) != n || memcmp(buf_head(&again), s, n) != 0)
		return -1;
	memcpy(out, tmp, (size_t)k);
	OPENSSL_cleanse(tmp, sizeof(tmp));
	return k;
}

/* "x=VALUE" up to a comma or the end, in this place.  NULL if it is not so. */
static const char *
attribute(struct cur *c, char name, size_t *n)
{
	const char *s = (const char *)c->p, *comma;

	if (c->left < 2 || s[0] != name || s[1] != '=')
		return NULL;
	s += 2;
	comma = memchr(s, ',', c->left - 2);
	*n = comma == NULL ? c->left - 2 : (size_t)(comma - s);
	cur_bytes(c, *n + 2 + (comma == NULL ? 0 : 1));
	return s;
}

/* RFC 5802 section 7: printable ASCII without a comma. */
static bool
is_nonce(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] >= 0x7f || s[i] == ',')
			return false;
	return n > 0;
}

static int
make_nonce(char out[SCRAM_NONCE + 1], struct error *err)
{
	uint8_t raw[SCRAM_NONCE / 4 * 3];

	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return error_set(err, 0, "no randomness");
	EVP_EncodeBlock((uint8_t *)out, raw, sizeof(raw));
	return 0;
}

/* ---- keys --------------------------------------------------------------- */

struct keys {
	uint8_t client[SCRAM_KEY], stored[SCRAM_KEY], server[SCRAM_KEY];
};

static void
hmac(const uint8_t key[SCRAM_KEY], const void *p, size_t n,
    uint8_t out[SCRAM_KEY])
{
	unsigned int len;

	HMAC(EVP_sha256(), key, SCRAM_KEY, p, n, out, &len);
}

static int
derive(const void *password, size_t n, const uint8_t *salt, size_t nsalt,
    uint32_t iterations, struct keys *k, struct error *err)
{
	uint8_t salted[SCRAM_KEY];

	if (PKCS5_PBKDF2_HMAC(password, (int)n, salt, (int)nsalt,
		(int)iterations, EVP_sha256(), SCRAM_KEY, salted) != 1)
		return error_set(err, 0, "a key could not be derived");
	hmac(salted, "Client Key", 10, k->client);
	hmac(salted, "Server Key", 10, k->server);
	SHA256(k->client, SCRAM_KEY, k->stored);
	OPENSSL_cleanse(salted, sizeof(salted));
	return 0;
}

/* ---- client ------------------------------------------------------------- */

static void
put_gs2(const struct scram_client *c, struct buf *b)
{
	buf_printf(
	    b, "%s", c->nbinding > 0 ? "p=tls-server-end-point,," : "n,,");
}

static void
put_bare(const struct scram_client *c, struct buf *b)
{
	buf_printf(b, "n=%s,r=%s", c->user == NULL ? "" : c->user, c->nonce);
}

int
scram_client_first(struct scram_client *c, const void *password,
    size_t npassword, const void *binding, size_t n, struct buf *out,
    struct error *err)
{
	memset(c, 0, sizeof(*c));
	c->password = password;
	c->npassword = npassword;
	if (n > sizeof(c->binding))
		return error_set(err, 0, "channel binding data is too long");
	if (n > 0)
		memcpy(c->binding, binding, n);
	c->nbinding = n;
	if (make_nonce(c->nonce, err) < 0)
		return -1;
	put_gs2(c, out);
	put_bare(c, out);
	return 0;
}

struct challenge {
	const char *nonce;
	size_t nnonce;
	uint8_t salt[SCRAM_SALT_MAX];
	int nsalt;
	uint64_t iterations;
};

static int
get_challenge(
    const struct scram_client *c, struct cur *in, struct challenge *ch)
{
	const char *salt, *count;
	char digits[16];
	size_t nsalt, ncount, ours = strlen(c->nonce);

	ch->nonce = attribute(in, 'r', &ch->nnonce);
	if (ch->nonce == NULL || ch->nnonce <= ours ||
	    memcmp(ch->nonce, c->nonce, ours) != 0 ||
	    !is_nonce(ch->nonce, ch->nnonce))
		return -1;
	salt = attribute(in, 's', &nsalt);
	if (salt == NULL)
		return -1;
	ch->nsalt = get_b64(salt, nsalt, ch->salt, sizeof(ch->salt));
	count = attribute(in, 'i', &ncount);
	if (ch->nsalt <= 0 || count == NULL || ncount >= sizeof(digits))
		return -1;
	memcpy(digits, count, ncount);
	digits[ncount] = '\0';
	return str_to_u64(digits, 1, SCRAM_ITERATIONS_MAX, &ch->iterations);
}

int
scram_client_final(struct scram_client *c, const void *p, size_t n,
    struct buf *out, struct error *err)
{
	cleanup_buf struct buf auth = { 0 }, bind = { 0 }, final = { 0 };
	uint8_t proof[SCRAM_KEY];
	struct challenge ch = { 0 };
	struct keys k;
	struct cur in;

	cur_init(&in, p, n);
	if (n > SCRAM_MESSAGE_MAX || get_challenge(c, &in, &ch) < 0)
		return error_set(err, 0,
		    "the server's SCRAM challenge is malformed or asks for "
		    "more than %u iterations",
		    SCRAM_ITERATIONS_MAX);
	if (derive(c->password, c->npassword, ch.salt, (size_t)ch.nsalt,
		(uint32_t)ch.iterations, &k, err) < 0)
		return -1;
	put_gs2(c, &bind);
	buf_put(&bind, c->binding, c->nbinding);
	buf_printf(&final, "c=");
	put_b64(&final, buf_head(&bind), buf_len(&bind));
	buf_printf(&final, ",r=%.*s", (int)ch.nnonce, ch.nonce);
	put_bare(c, &auth);
	buf_put_u8(&auth, ',');
	buf_put(&auth, p, n);
	buf_put_u8(&auth, ',');
	buf_put(&auth, buf_head(&final), buf_len(&final));
	hmac(k.stored, buf_head(&auth), buf_len(&auth), proof);
	for (size_t i = 0; i < sizeof(proof); i++)
		proof[i] ^= k.client[i];
	hmac(k.server, buf_head(&auth), buf_len(&auth), c->server);
	OPENSSL_cleanse(&k, sizeof(k));
	c->final = true;
	buf_put(out, buf_head(&final), buf_len(&final));
	buf_printf(out, ",p=");
	put_b64(out, proof, sizeof(proof));
	return 0;
}

int
scram_client_check(
    struct scram_client *c, const void *p, size_t n, struct error *err)
{
	uint8_t sig[SCRAM_KEY];
	const char *v;
	struct cur in;
	size_t len;

	cur_init(&in, p, n);
	v = attribute(&in, 'v', &len);
	if (!c->final || v == NULL ||
	    get_b64(v, len, sig, sizeof(sig)) != (int)sizeof(sig) ||
	    CRYPTO_memcmp(sig, c->server, sizeof(sig)) != 0)
		return error_set(err, 0,
		    "the server has not shown that it knows the password");
	return 0;
}

void
scram_client_wipe(struct scram_client *c)
{
	OPENSSL_cleanse(c, sizeof(*c));
}

/* ---- server ------------------------------------------------------------- */

int
scram_server_first(struct scram_server *s, const void *password,
    size_t npassword, const void *p, size_t n, struct buf *out,
    struct error *err)
{
	char ours[SCRAM_NONCE + 1];
	const char *user, *nonce, *bare;
	size_t nuser, nnonce;
	struct cur in;

	memset(s, 0, sizeof(*s));
	s->password = password;
	s->npassword = npassword;
	cur_init(&in, p, n);
	if (n > SCRAM_MESSAGE_MAX / 2 || n < 3 ||
	    (memcmp(p, "n,,", 3) != 0 && memcmp(p, "y,,", 3) != 0))
		return error_set(err, 0,
		    "SCRAM without channel binding and authorization "
		    "identity is expected");
	memcpy(s->gs2, cur_bytes(&in, 3), 3);
	bare = (const char *)in.p;
	user = attribute(&in, 'n', &nuser);
	nonce = user == NULL ? NULL : attribute(&in, 'r', &nnonce);
	if (nonce == NULL || !is_nonce(nonce, nnonce) || in.left > 0)
		return error_set(err, 0, "a malformed first SCRAM message");
	if (make_nonce(ours, err) < 0)
		return -1;
	if (RAND_bytes(s->salt, sizeof(s->salt)) != 1)
		return error_set(err, 0, "no randomness");
	memcpy(s->nonce, nonce, nnonce);
	memcpy(s->nonce + nnonce, ours, sizeof(ours));
	buf_put(&s->auth, bare, n - 3);
	buf_put_u8(&s->auth, ',');
	n = buf_len(&s->auth);
	buf_printf(&s->auth, "r=%s,s=", s->nonce);
	put_b64(&s->auth, s->salt, sizeof(s->salt));
	buf_printf(&s->auth, ",i=%u", SCRAM_ITERATIONS);
	buf_put(out, buf_head(&s->auth) + n, buf_len(&s->auth) - n);
	return 0;
}

/* The stub is no secret of the agent's, but the answer is the same for all. */
static int
check_proof(const struct scram_server *s, const struct keys *k,
    const uint8_t proof[SCRAM_KEY])
{
	uint8_t key[SCRAM_KEY], sig[SCRAM_KEY], stored[SCRAM_KEY];

	hmac(k->stored, buf_head(&s->auth), buf_len(&s->auth), sig);
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = proof[i] ^ sig[i];
	SHA256(key, sizeof(key), stored);
	return CRYPTO_memcmp(stored, k->stored, sizeof(stored)) == 0 ? 0 : -1;
}

int
scram_server_final(struct scram_server *s, const void *p, size_t n,
    struct buf *out, struct error *err)
{
	const char *c, *r, *proof64;
	size_t nc, nr, nproof, without;
	uint8_t gs2[8], proof[SCRAM_KEY], sig[SCRAM_KEY];
	struct keys k;
	struct cur in;
	int rc;

	cur_init(&in, p, n);
	c = n > SCRAM_MESSAGE_MAX ? NULL : attribute(&in, 'c', &nc);
	r = c == NULL ? NULL : attribute(&in, 'r', &nr);
	/* What the proof is over ends before ",p=". */
	without = n - in.left - 1;
	proof64 = r == NULL ? NULL : attribute(&in, 'p', &nproof);
	if (proof64 == NULL || in.left > 0 ||
	    get_b64(c, nc, gs2, sizeof(gs2)) != 3 ||
	    memcmp(gs2, s->gs2, 3) != 0 || nr != strlen(s->nonce) ||
	    memcmp(r, s->nonce, nr) != 0 ||
	    get_b64(proof64, nproof, proof, sizeof(proof)) !=
		(int)sizeof(proof))
		return error_set(err, 0, "a malformed final SCRAM message");
	buf_put_u8(&s->auth, ',');
	buf_put(&s->auth, p, without);
	if (derive(s->password, s->npassword, s->salt, sizeof(s->salt),
		SCRAM_ITERATIONS, &k, err) < 0)
		return -1;
	rc = check_proof(s, &k, proof);
	hmac(k.server, buf_head(&s->auth), buf_len(&s->auth), sig);
	OPENSSL_cleanse(&k, sizeof(k));
	if (rc < 0)
		return error_set(err, 0, "the password is wrong");
	buf_printf(out, "v=");
	put_b64(out, sig, sizeof(sig));
	return 0;
}

void
scram_server_wipe(struct scram_server *s)
{
	buf_free(&s->auth);
	OPENSSL_cleanse(s, sizeof(*s));
}
