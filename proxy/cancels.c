/* cancels.c - which session is at which address */
#include "proxy/cancels.h"

#include <sys/queue.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/hash.h"

struct entry {
	TAILQ_ENTRY(entry) age;
	LIST_ENTRY(entry) chain;
	const struct endpoint *endpoint;
	struct address address;
	size_t server;
	size_t len;
	uint8_t key[];
};
TAILQ_HEAD(entry_list, entry);
LIST_HEAD(entry_chain, entry);

struct cancels {
	pthread_mutex_t lock;
	uint64_t seed;
	size_t n;
	size_t max;
	struct entry_list oldest_first;
	size_t nbuckets; /* a power of two */
	struct entry_chain *buckets;
};

struct cancels *
cancels_new(size_t max)
{
	struct cancels *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	if (pthread_mutex_init(&c->lock, NULL) != 0) {
		free(c);
		return NULL;
	}
	TAILQ_INIT(&c->oldest_first);
	c->seed = hash_seed();
	c->max = max;
	c->nbuckets = hash_buckets(max);
	c->buckets = calloc(c->nbuckets, sizeof(*c->buckets));
	if (c->buckets == NULL) {
		cancels_free(c);
		return NULL;
	}
	return c;
}

static struct entry_chain *
chain_of(struct cancels *c, const uint8_t *key, size_t len)
{
	return &c->buckets[hash_bytes(c->seed, key, len) & (c->nbuckets - 1)];
}

/*
 * A key is all that it takes to cancel somebody's query, so how long a wrong
 * one is looked at must not tell how much of it was right.
 */
static bool
same_bytes(const uint8_t *a, const uint8_t *b, size_t n)
{
	volatile uint8_t differing = 0;
	size_t i;

	for (i = 0; i < n; i++)
		differing = (uint8_t)(differing | (a[i] ^ b[i]));
	return differing == 0;
}

/* By name, because a later generation of the configuration has the same
 * endpoint in another place. */
static bool
same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	return a == b || strcmp(a->name, b->name) == 0;
}

static bool
same_address(const struct address *a, const struct address *b)
{
	return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
}

static struct entry *
entry_find(struct cancels *c, const struct endpoint *e, const uint8_t *key,
    size_t len)
{
	struct entry *entry;

	LIST_FOREACH(entry, chain_of(c, key, len), chain) {
		if (entry->len == len && same_bytes(entry->key, key, len) &&
		    same_endpoint(entry->endpoint, e))
			return entry;
	}
	return NULL;
}

static void
entry_free(struct cancels *c, struct entry *entry)
{
	TAILQ_REMOVE(&c->oldest_first, entry, age);
	LIST_REMOVE(entry, chain);
	c->n--;
	explicit_bzero(entry->key, entry->len);
	free(entry);
}

void
cancels_free(struct cancels *c)
{
	struct entry *entry;

	if (c == NULL)
		return;
	while ((entry = TAILQ_FIRST(&c->oldest_first)) != NULL)
		entry_free(c, entry);
	pthread_mutex_destroy(&c->lock);
	free(c->buckets);
	free(c);
}

static struct entry *
entry_new(const struct endpoint *e, const struct neg_key *key,
    const struct address *address, size_t server)
{
	struct entry *entry;

	if ((entry = malloc(sizeof(*entry) + key->len)) == NULL)
		return NULL;
	entry->endpoint = e;
	entry->address = *address;
	entry->server = server;
	entry->len = key->len;
	memcpy(entry->key, key->bytes, key->len);
	return entry;
}

void
cancels_add(struct cancels *c, const struct endpoint *e,
    const struct neg_key *key, const struct address *address, size_t server)
{
	struct entry *entry, *old;

	if (key->len == 0 || c->max == 0)
		return;
	/* Without memory a cancel goes to every address: not worth an end. */
	if ((entry = entry_new(e, key, address, server)) == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	if ((old = entry_find(c, e, key->bytes, key->len)) == NULL &&
	    c->n >= c->max)
		old = TAILQ_FIRST(&c->oldest_first);
	if (old != NULL)
		entry_free(c, old);
	TAILQ_INSERT_TAIL(&c->oldest_first, entry, age);
	LIST_INSERT_HEAD(chain_of(c, entry->key, entry->len), entry, chain);
	c->n++;
	pthread_mutex_unlock(&c->lock);
}

void
cancels_remove(struct cancels *c, const struct endpoint *e,
    const struct neg_key *key, const struct address *address)
{
	struct entry *entry;

	if (key->len == 0)
		return;
	pthread_mutex_lock(&c->lock);
	entry = entry_find(c, e, key->bytes, key->len);
	if (entry != NULL && same_address(&entry->address, address))
		entry_free(c, entry);
	pthread_mutex_unlock(&c->lock);
}

bool
cancels_find(struct cancels *c, const struct endpoint *e, struct rd key,
    struct address *address, size_t *server)
{
	struct entry *entry;
	bool found;

	pthread_mutex_lock(&c->lock);
	entry = entry_find(c, e, key.at, key.left);
	if ((found = entry != NULL)) {
		*address = entry->address;
		*server = entry->server;
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}
