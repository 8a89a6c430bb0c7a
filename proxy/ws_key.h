/*
 * The handshake of WebSocket over HTTP/1.1 (RFC 6455 section 4): what shows
 * that the answer is one to the question.
 */
#ifndef BRIG_PROXY_WS_KEY_H
#define BRIG_PROXY_WS_KEY_H

#include <stdbool.h>

#define WS_KEY_LEN 24u     /* base64 of 16 bytes */
#define WS_ACCEPT_SIZE 29u /* base64 of a SHA-1, and a NUL */

/* Is s what Sec-WebSocket-Key may be? */
bool ws_is_key(const char *s);
/* Sec-WebSocket-Accept of that key. */
void ws_accept(const char *key, char accept[WS_ACCEPT_SIZE]);

#endif
