/*
 * Archives, unpacked once.  Private to sandbox/image.c.
 */
#ifndef BRIG_SANDBOX_IMAGE_UNPACK_H
#define BRIG_SANDBOX_IMAGE_UNPACK_H

#include "sandbox/image.h"

#define IMAGE_HASH_SIZE 65 /* hex SHA-256 */
#define IMAGE_KEY "at-"    /* what keys begin with */
#define IMAGE_KEY_SIZE 128

/* STATE/roots, root's alone; made if it is missing.  Descriptor or -1. */
int image_roots(int state, struct error *err);

/* 1 and the hash of the archive with that key; 0 if it is not known. */
int image_known(int roots, const char *key, char hex[IMAGE_HASH_SIZE]);
void image_remember(int roots, const char *key, const char *hex);

/*
 * The folder of what the archive holds, unpacked now if need be; it is not
 * removed as long as the descriptor is open.  Of those that nobody has open
 * only the few used last are kept.  Descriptor, or -1.
 */
int image_unpacked(const struct image_conf *c, int roots, const char *hex,
    int file, struct error *err);

#endif
