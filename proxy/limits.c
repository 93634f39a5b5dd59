/* limits.c - who may come in, and how many at once */
#include "proxy/limits.h"

#include <sys/queue.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/hash.h"
#include "proxy/rate.h"

#define NSEC_PER_SEC UINT64_C(1000000000)

/* Who counts as one: an address, at one endpoint.  Hashed as bytes, so there
 * is no padding in it. */
struct client_key {
	uint64_t endpoint;
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
};
_Static_assert(sizeof(struct client_key) == 24, "no padding may be hashed");

/* Lives as long as that client has sessions, so there are never more of these
 * than sessions. */
struct client {
	LIST_ENTRY(client) chain;
	struct client_key key;
	unsigned sessions;
};
LIST_HEAD(client_chain, client);

struct limits {
	unsigned max; /* 0: none */
	atomic_uint sessions;
	size_t nendpoints;
	atomic_uint *endpoints; /* sessions of each, by its index */
	struct rate *rates;     /* the same, of new ones */

	pthread_mutex_t lock; /* of what follows */
	uint64_t seed;
	size_t nclients;
	size_t nbuckets; /* a power of two */
	struct client_chain *buckets;
};

struct limits *
limits_new(const struct config *c, unsigned max_sessions)
{
	struct limits *l;
	size_t i;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	if (pthread_mutex_init(&l->lock, NULL) != 0) {
		free(l);
		return NULL;
	}
	l->max = max_sessions;
	l->seed = hash_seed();
	l->nendpoints = c->nendpoints;
	l->nbuckets = hash_buckets(max_sessions);
	l->buckets = calloc(l->nbuckets, sizeof(*l->buckets));
	l->endpoints = malloc((c->nendpoints + 1) * sizeof(*l->endpoints));
	l->rates = malloc((c->nendpoints + 1) * sizeof(*l->rates));
	if (l->buckets == NULL || l->endpoints == NULL || l->rates == NULL) {
		limits_free(l);
		return NULL;
	}
	atomic_init(&l->sessions, 0);
	for (i = 0; i < c->nendpoints; i++) {
		atomic_init(&l->endpoints[i], 0);
		rate_init(&l->rates[i]);
	}
	return l;
}

static void
client_free(struct limits *l, struct client *client)
{
	LIST_REMOVE(client, chain);
	l->nclients--;
	free(client);
}

void
limits_free(struct limits *l)
{
	struct client *client;
	size_t i;

	if (l == NULL)
		return;
	for (i = 0; l->buckets != NULL && i < l->nbuckets; i++) {
		while ((client = LIST_FIRST(&l->buckets[i])) != NULL)
			client_free(l, client);
	}
	pthread_mutex_destroy(&l->lock);
	free(l->buckets);
	free(l->endpoints);
	free(l->rates);
	free(l);
}

/* Never counts past `max`, not even for a moment: one that is refused takes
 * no place that another could have had. */
static bool
count_up(atomic_uint *count, unsigned max)
{
	unsigned n = atomic_load(count);

	do {
		if (max != 0 && n >= max)
			return false;
	} while (!atomic_compare_exchange_weak(count, &n, n + 1));
	return true;
}

/* False if there is no address to tell clients apart by: a unix socket. */
static bool
client_key_set(struct client_key *key, const struct endpoint *e,
    const struct address *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	key->endpoint = e->index;
	if (a->sa.ss_family == AF_INET) {
		memcpy(&v4, &a->sa, sizeof(v4));
		memcpy(key->address, mapped, sizeof(mapped));
		memcpy(key->address + sizeof(mapped), &v4.sin_addr,
		    sizeof(v4.sin_addr));
		return true;
	}
	if (a->sa.ss_family == AF_INET6) {
		memcpy(&v6, &a->sa, sizeof(v6));
		memcpy(key->address, &v6.sin6_addr, sizeof(key->address));
		return true;
	}
	return false;
}

static struct client_chain *
chain_of(struct limits *l, const struct client_key *key)
{
	uint64_t h = hash_bytes(l->seed, key, sizeof(*key));

	return &l->buckets[h & (l->nbuckets - 1)];
}

static struct client *
client_find(struct limits *l, const struct client_key *key)
{
	struct client *client;

	LIST_FOREACH(client, chain_of(l, key), chain) {
		if (memcmp(&client->key, key, sizeof(*key)) == 0)
			return client;
	}
	return NULL;
}

static struct client *
client_new(struct limits *l, const struct client_key *key)
{
	struct client *client;

	if ((client = calloc(1, sizeof(*client))) == NULL)
		return NULL;
	client->key = *key;
	LIST_INSERT_HEAD(chain_of(l, key), client, chain);
	l->nclients++;
	return client;
}

static enum reason
client_enter(struct limits *l, const struct endpoint *e,
    const struct address *address)
{
	enum reason reason = REASON_NONE;
	struct client *client;
	struct client_key key;

	if (e->max_sessions_per_client == 0 ||
	    !client_key_set(&key, e, address))
		return REASON_NONE;
	pthread_mutex_lock(&l->lock);
	if ((client = client_find(l, &key)) == NULL)
		client = client_new(l, &key);
	if (client == NULL)
		reason = REASON_OVERLOAD;
	else if (client->sessions >= e->max_sessions_per_client)
		reason = REASON_LIMIT;
	else
		client->sessions++;
	pthread_mutex_unlock(&l->lock);
	return reason;
}

static void
client_leave(struct limits *l, const struct endpoint *e,
    const struct address *address)
{
	struct client *client;
	struct client_key key;

	if (e->max_sessions_per_client == 0 ||
	    !client_key_set(&key, e, address))
		return;
	pthread_mutex_lock(&l->lock);
	client = client_find(l, &key);
	if (client != NULL && --client->sessions == 0)
		client_free(l, client);
	pthread_mutex_unlock(&l->lock);
}

/* A client on a unix socket has passed its file's permissions instead. */
bool
limits_allow(const struct endpoint *e, const struct address *client)
{
	if (client->sa.ss_family == AF_UNIX)
		return true;
	if (cidr_list_has(&e->deny, client))
		return false;
	return e->allow.n == 0 || cidr_list_has(&e->allow, client);
}

/* A place among all sessions, and among those of the endpoint. */
static enum reason
place_take(struct limits *l, const struct endpoint *e, const char **why)
{
	*why = "max_sessions of all endpoints together is reached";
	if (!count_up(&l->sessions, l->max))
		return REASON_OVERLOAD;
	*why = "max_sessions of the endpoint is reached";
	if (count_up(&l->endpoints[e->index], e->max_sessions))
		return REASON_NONE;
	atomic_fetch_sub(&l->sessions, 1);
	return REASON_LIMIT;
}

static void
place_leave(struct limits *l, const struct endpoint *e)
{
	atomic_fetch_sub(&l->endpoints[e->index], 1);
	atomic_fetch_sub(&l->sessions, 1);
}

/* Asked last: whoever is refused for another reason is no new session. */
static bool
is_due(struct limits *l, const struct endpoint *e)
{
	struct timespec now = { 0 };

	if (e->max_session_rate == 0)
		return true;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return rate_take(&l->rates[e->index], e->max_session_rate,
	    (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec);
}

static bool
is_announced(const struct endpoint *e)
{
	return e->proxy_accept.n > 0;
}

/* The file of a unix socket says who may open it. */
static bool
may_announce(const struct endpoint *e, const struct address *peer)
{
	return peer->sa.ss_family == AF_UNIX ||
	    cidr_list_has(&e->proxy_accept, peer);
}

/* The client, which has its place. */
static enum reason
count_client(struct limits *l, const struct endpoint *e,
    const struct address *client, const char **why)
{
	enum reason reason = client_enter(l, e, client);

	*why = "max_sessions_per_client is reached";
	if (reason != REASON_NONE || is_due(l, e))
		return reason;
	client_leave(l, e, client);
	*why = "max_session_rate is reached";
	return REASON_LIMIT;
}

enum reason
limits_enter(struct limits *l, const struct endpoint *e,
    const struct address *peer, const char **why)
{
	bool announced = is_announced(e);
	enum reason reason;

	if (!(announced ? may_announce(e, peer) : limits_allow(e, peer)))
		return REASON_NOT_ALLOWED;
	if ((reason = place_take(l, e, why)) != REASON_NONE || announced)
		return reason;
	if ((reason = count_client(l, e, peer, why)) != REASON_NONE)
		place_leave(l, e);
	return reason;
}

enum reason
limits_announced(struct limits *l, const struct endpoint *e,
    const struct address *client, const char **why)
{
	return limits_allow(e, client) ? count_client(l, e, client, why)
				       : REASON_NOT_ALLOWED;
}

void
limits_leave(struct limits *l, const struct endpoint *e,
    const struct address *client)
{
	if (client != NULL)
		client_leave(l, e, client);
	place_leave(l, e);
}

void
limits_turn_back(struct limits *l, const struct endpoint *e,
    const struct address *peer)
{
	limits_leave(l, e, is_announced(e) ? NULL : peer);
}

size_t
limits_clients(struct limits *l)
{
	size_t n;

	pthread_mutex_lock(&l->lock);
	n = l->nclients;
	pthread_mutex_unlock(&l->lock);
	return n;
}
