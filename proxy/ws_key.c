#include "proxy/ws_key.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/log.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool
ws_is_key(const char *s)
{
	return strlen(s) == WS_KEY_LEN && strspn(s, alphabet) == 22 &&
	       strcmp(s + 22, "==") == 0;
}

void
ws_accept(const char *key, char accept[WS_ACCEPT_SIZE])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char text[WS_KEY_LEN + sizeof(guid) - 1];
	unsigned char hash[SHA_DIGEST_LENGTH];

	memcpy(text, key, WS_KEY_LEN);
	memcpy(text + WS_KEY_LEN, guid, sizeof(guid) - 1);
	if (EVP_Digest(text, sizeof(text), hash, NULL, EVP_sha1(), NULL) != 1)
		fatalx("cannot make a SHA-1");
	EVP_EncodeBlock((unsigned char *)accept, hash, sizeof(hash));
}
