/*
 * hash.h - where in a table something goes, not for others to foresee
 *
 * Keyed with a seed drawn when the table was made, so that those who choose
 * what is hashed cannot choose to meet in one bucket.  It is no cryptographic
 * hash: a table's answers must never depend on it.
 */
#ifndef PROXY_HASH_H
#define PROXY_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_seed(void);
uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t n);

/* How many buckets for `n` entries: a power of two, within reason. */
size_t hash_buckets(size_t n);

#endif /* PROXY_HASH_H */
