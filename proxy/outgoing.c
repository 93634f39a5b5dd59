/* outgoing.c - connections of our own that nobody has answered yet */
#include "proxy/outgoing.h"

#include <sys/queue.h>

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/hash.h"

/* An address and its port, without padding. */
struct place {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;
};
_Static_assert(sizeof(struct place) ==
	sizeof(((struct place *)0)->ip) + sizeof(uint16_t),
    "no padding may be hashed");

struct outgoing_entry {
	LIST_ENTRY(outgoing_entry) chain;
	struct outgoing *of;
	struct place from;
	struct place to;
	bool borrowed;
};
LIST_HEAD(outgoing_chain, outgoing_entry);

struct outgoing {
	pthread_mutex_t lock; /* of all that follows */
	uint64_t seed;
	size_t nbuckets; /* a power of two */
	struct outgoing_chain *buckets;
};

struct outgoing *
outgoing_new(size_t expected)
{
	struct outgoing *o;

	if ((o = calloc(1, sizeof(*o))) == NULL)
		return NULL;
	o->seed = hash_seed();
	o->nbuckets = hash_buckets(expected);
	o->buckets = calloc(o->nbuckets, sizeof(*o->buckets));
	if (o->buckets == NULL || pthread_mutex_init(&o->lock, NULL) != 0) {
		free(o->buckets);
		free(o);
		return NULL;
	}
	return o;
}

void
outgoing_free(struct outgoing *o)
{
	if (o == NULL)
		return;
	(void)pthread_mutex_destroy(&o->lock);
	free(o->buckets);
	free(o);
}

/* False for a unix socket. */
static bool
place_set(struct place *p, const struct address *a)
{
	struct cidr one;

	if (!cidr_of_address(a, &one))
		return false;
	memcpy(p->ip, one.bytes, sizeof(p->ip));
	p->port = address_port(a);
	return true;
}

static bool
same_place(const struct place *a, const struct place *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static struct outgoing_chain *
chain_of(struct outgoing *o, const struct place *from)
{
	uint64_t h = hash_bytes(o->seed, from, sizeof(*from));

	return &o->buckets[h & (o->nbuckets - 1)];
}

void
outgoing_begin(struct outgoing *o)
{
	(void)pthread_mutex_lock(&o->lock);
}

struct outgoing_entry *
outgoing_end(struct outgoing *o, const struct address *from,
    const struct address *to, bool borrowed)
{
	struct outgoing_entry *e = NULL;

	if (from != NULL && (e = calloc(1, sizeof(*e))) != NULL) {
		e->of = o;
		e->borrowed = borrowed;
		if (place_set(&e->from, from) && place_set(&e->to, to)) {
			LIST_INSERT_HEAD(chain_of(o, &e->from), e, chain);
		} else {
			free(e);
			e = NULL;
		}
	}
	(void)pthread_mutex_unlock(&o->lock);
	return e;
}

void
outgoing_remove(struct outgoing_entry *e)
{
	struct outgoing *o;

	if (e == NULL)
		return;
	o = e->of;
	(void)pthread_mutex_lock(&o->lock);
	LIST_REMOVE(e, chain);
	(void)pthread_mutex_unlock(&o->lock);
	free(e);
}

bool
outgoing_has(struct outgoing *o, const struct address *client,
    const struct address *to)
{
	struct outgoing_entry *e;
	struct place from, where;
	bool found = false;

	if (!place_set(&from, client) || !place_set(&where, to))
		return false;
	(void)pthread_mutex_lock(&o->lock);
	LIST_FOREACH(e, chain_of(o, &from), chain) {
		if (same_place(&e->from, &from) &&
		    (!e->borrowed || same_place(&e->to, &where))) {
			found = true;
			break;
		}
	}
	(void)pthread_mutex_unlock(&o->lock);
	return found;
}
