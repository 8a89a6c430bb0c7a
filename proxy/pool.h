/*
 * Synthetic addresses of one job: each name that is asked for gets one index,
 * and with it one IPv4 address of 198.18.0.0/15 (RFC 2544, never routed) and
 * one IPv6 address of a private prefix.  front keeps the pool, so that the
 * name is known for every connection that follows, TLS or not.
 *
 * The index is a hash of the name (the next free one on collision) and is
 * never given to another name, so that a restarted front nearly always finds
 * the same one for a name that an agent still has in a cache.
 */
#ifndef BRIG_PROXY_POOL_H
#define BRIG_PROXY_POOL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Names per job; beyond it no new name gets an address. */
#define POOL_NAMES_MAX 8192u

struct addr_pool;

struct addr_pool *addr_pool_new(void);
void addr_pool_free(struct addr_pool *p);
/* Index (> 0) of a lower-case host name; 0 when the pool is full. */
uint32_t addr_pool_add(struct addr_pool *p, const char *name);
size_t addr_pool_count(const struct addr_pool *p);

/* The addresses of an index, in network order. */
void addr_pool_v4(uint32_t index, uint8_t addr[4]);
void addr_pool_v6(uint32_t index, uint8_t addr[16]);

/*
 * Is addr (IPv4 as a mapped address) of the synthetic ranges?  If so *index is
 * what it stands for; 0 for one that never stands for a name.
 */
bool addr_pool_index(const struct in6_addr *addr, uint32_t *index);
/* Borrowed name of an index, NULL if it was never given out. */
const char *addr_pool_name(const struct addr_pool *p, uint32_t index);

#endif
