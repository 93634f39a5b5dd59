#include "proxy/ticket_keys.h"

#include <sys/random.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* So much a thread's clock may be behind another's. */
#define CLOCK_SLACK ((time_t)60)

struct ticket_keys {
	atomic_ulong generation; /* of what follows; changed under the lock */
	pthread_mutex_t lock;
	struct ticket_key_ring ring;
};

/* As many as this come at once, or none. */
static bool
fill(struct ticket_key *key)
{
	struct ticket_key fresh;
	bool ok = getrandom(&fresh, sizeof(fresh), 0) == sizeof(fresh);

	if (ok)
		*key = fresh;
	explicit_bzero(&fresh, sizeof(fresh));
	return ok;
}

struct ticket_keys *
ticket_keys_new(void)
{
	struct ticket_keys *k;

	if ((k = calloc(1, sizeof(*k))) == NULL)
		return NULL;
	atomic_init(&k->generation, 0);
	if (pthread_mutex_init(&k->lock, NULL) == 0)
		return k;
	free(k);
	return NULL;
}

void
ticket_keys_free(struct ticket_keys *k)
{
	if (k == NULL)
		return;
	(void)pthread_mutex_destroy(&k->lock);
	explicit_bzero(k, sizeof(*k));
	free(k);
}

/* In order, and neither for longer than it should: the clock may have been set
 * back, too. */
static bool
is_current(const struct ticket_key_ring *r, time_t now)
{
	return r->generation != 0 && now < r->due &&
	    now >= r->due - TICKET_KEY_SECONDS - CLOCK_SLACK;
}

/* Under the lock.  A key that has not been asked for in its second hour is of
 * no use to anybody; what it sealed last is good for an hour then. */
static bool
rotate(struct ticket_keys *k, time_t now)
{
	struct ticket_key_ring *r = &k->ring;
	struct ticket_key fresh;
	bool kept = r->generation != 0 && now >= r->due &&
	    now < r->due + TICKET_KEY_SECONDS;

	if (!fill(&fresh))
		return false;
	explicit_bzero(&r->before, sizeof(r->before));
	r->over = 0;
	if (kept) {
		r->before = r->now;
		r->over = r->due + TICKET_KEY_SECONDS;
	}
	r->now = fresh;
	r->due = now + TICKET_KEY_SECONDS;
	/* Never one that was there before, also where the last was wiped. */
	r->generation = atomic_load(&k->generation) + 1;
	explicit_bzero(&fresh, sizeof(fresh));
	atomic_store(&k->generation, r->generation);
	return true;
}

/* What opens no more is not kept; nor is what seals no more, if nobody has
 * asked for another in all the time that it opens. */
static void
ring_tidy(struct ticket_key_ring *r, time_t now)
{
	if (r->over != 0 && now >= r->over) {
		explicit_bzero(&r->before, sizeof(r->before));
		r->over = 0;
	}
	if (!is_current(r, now) &&
	    (now < r->due || now >= r->due + TICKET_KEY_SECONDS))
		explicit_bzero(r, sizeof(*r));
}

static bool
copy_locked(struct ticket_keys *k, struct ticket_key_ring *ring, time_t now)
{
	bool ok;

	(void)pthread_mutex_lock(&k->lock);
	ok = is_current(&k->ring, now) || rotate(k, now);
	if (ok)
		*ring = k->ring;
	else
		explicit_bzero(ring, sizeof(*ring));
	(void)pthread_mutex_unlock(&k->lock);
	return ok;
}

bool
ticket_keys_copy(struct ticket_keys *k, struct ticket_key_ring *ring,
    time_t now)
{
	if (ring->generation == 0 ||
	    ring->generation != atomic_load(&k->generation) ||
	    !is_current(ring, now)) {
		if (!copy_locked(k, ring, now))
			return false;
	}
	ring_tidy(ring, now);
	return true;
}

void
ticket_keys_tidy(struct ticket_keys *k, struct ticket_key_ring *ring,
    time_t now)
{
	(void)pthread_mutex_lock(&k->lock);
	ring_tidy(&k->ring, now);
	(void)pthread_mutex_unlock(&k->lock);
	ring_tidy(ring, now);
}
