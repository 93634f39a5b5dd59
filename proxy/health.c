/* health.c - which servers of an endpoint are down */
#include "proxy/health.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "proxy/log.h"

#define NSEC_PER_SEC 1000000000.0
#define UP           INT64_MIN

struct server_health {
	const struct endpoint *endpoint;
	atomic_size_t current; /* where sessions go, plus one; 0: nowhere yet */
	/* Of each server: UP, or until when it is passed over, in ns. */
	_Atomic(int64_t) down_until[];
};

struct server_health *
server_health_new(const struct endpoint *e)
{
	struct server_health *h;
	size_t i;

	h = malloc(sizeof(*h) + e->nservers * sizeof(h->down_until[0]));
	if (h == NULL)
		return NULL;
	h->endpoint = e;
	atomic_init(&h->current, 0);
	for (i = 0; i < e->nservers; i++)
		atomic_init(&h->down_until[i], UP);
	return h;
}

void
server_health_free(struct server_health *h)
{
	free(h);
}

static int64_t
until(const struct server_health *h, double now)
{
	return (int64_t)((now + h->endpoint->retry_after) * NSEC_PER_SEC);
}

bool
server_health_may_try(struct server_health *h, size_t server, double now)
{
	int64_t down;

	if (h == NULL)
		return true;
	down = atomic_load(&h->down_until[server]);
	if (down == UP)
		return true;
	if (down > (int64_t)(now * NSEC_PER_SEC))
		return false;
	/* Of all who see that its time is over, one gets through. */
	return atomic_compare_exchange_strong(&h->down_until[server], &down,
	    until(h, now));
}

void
server_health_failed(struct server_health *h, size_t server, double now,
    const char *why)
{
	if (h == NULL ||
	    atomic_exchange(&h->down_until[server], until(h, now)) != UP)
		return;
	log_event(LEVEL_WARN, "server.down", h->endpoint, "%s", why);
}

/* With servers in random order, or one for each listen address, sessions go
 * elsewhere all the time. */
static void
note_current(struct server_health *h, size_t server)
{
	const struct endpoint *e = h->endpoint;
	size_t before;

	if (e->server_order != SERVER_ORDER_FIRST || e->nservers < 2 ||
	    endpoint_pairs(e))
		return;
	before = atomic_exchange(&h->current, server + 1);
	if (before == 0 || before == server + 1)
		return;
	log_event(LEVEL_NOTICE, "server.changed", e,
	    "sessions go to %s now, and no longer to %s",
	    e->servers[server].text, e->servers[before - 1].text);
}

void
server_health_reached(struct server_health *h, size_t server)
{
	if (h == NULL)
		return;
	if (atomic_load(&h->down_until[server]) != UP &&
	    atomic_exchange(&h->down_until[server], UP) != UP)
		log_event(LEVEL_NOTICE, "server.up", h->endpoint,
		    "%s can be reached again",
		    h->endpoint->servers[server].text);
	note_current(h, server);
}
