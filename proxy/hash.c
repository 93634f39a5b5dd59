/* hash.c - where in a table something goes */
#include "proxy/hash.h"

#include <string.h>

#include <event2/util.h>

#define BUCKETS_MIN 64
#define BUCKETS_MAX 65536

/* The odd constant of splitmix64: it spreads each bit over the upper half. */
#define MULTIPLIER 0x9e3779b97f4a7c15u

uint64_t
hash_seed(void)
{
	uint64_t seed;

	evutil_secure_rng_get_bytes(&seed, sizeof(seed));
	return seed;
}

static uint64_t
mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * MULTIPLIER;
	return h ^ h >> 32;
}

uint64_t
hash_bytes(uint64_t seed, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	uint64_t h, word;
	size_t part;

	h = mix(seed, n);
	for (; n > 0; at += part, n -= part) {
		part = n < sizeof(word) ? n : sizeof(word);
		word = 0;
		memcpy(&word, at, part);
		h = mix(h, word);
	}
	return mix(h, seed);
}

size_t
hash_buckets(size_t n)
{
	size_t buckets = BUCKETS_MIN;

	while (buckets < n && buckets < BUCKETS_MAX)
		buckets *= 2;
	return buckets;
}
