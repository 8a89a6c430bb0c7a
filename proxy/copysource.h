/*
 * Fields by which a request has the server read something else than it names,
 * to store it where the request says: copies and moves within object stores
 * (Amazon S3 CopyObject and RenameObject, and what Google, Azure, Alibaba,
 * Tencent, Huawei and OpenStack Swift made of it).  Pure.
 */
#ifndef BRIG_PROXY_COPYSOURCE_H
#define BRIG_PROXY_COPYSOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/proto.h"

enum copysource {
	COPYSOURCE_NONE, /* another field */
	COPYSOURCE_COPY, /* what it names is read */
	COPYSOURCE_MOVE  /* ... and is gone afterwards */
};

/* What the field of that name does; in any case, with "_" for "-" as well. */
enum copysource copysource_of(const char *field);

/* What is read: as for policy_http(). */
struct copysource_url {
	char scheme[8];
	char host[256];
	uint16_t port;
	char target[P_URL_MAX + 1];
};

/*
 * The URL that the value of such a field means in a request to *here.  Where
 * that host begins with a bucket, as those of the services above may, the other
 * bucket is a part of the host as well; else of the path.  NULL, or why it
 * cannot be told.
 */
const char *copysource_read(const char *field, const char *value,
    const struct copysource_url *here, struct copysource_url *out);

#endif
