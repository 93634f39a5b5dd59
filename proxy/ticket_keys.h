/*
 * ticket_keys.h - what the session tickets of an endpoint's clients are sealed
 * under
 *
 * The threads of an endpoint share these, so that a client may come back to
 * any of them, and nobody else has them: they are made at random when the
 * endpoint is, never written anywhere, and gone with it.  One key seals for
 * TICKET_KEY_SECONDS, opens for as long again, and is wiped: by whoever uses
 * them next, or, where nobody does, when they are next looked through.
 *
 * A thread works with a copy.  For each ticket it compares two numbers, and
 * only where they differ, or a key is due to be changed, it takes the lock.
 */
#ifndef PROXY_TICKET_KEYS_H
#define PROXY_TICKET_KEYS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define TICKET_KEY_SECONDS ((time_t)3600)

#define TICKET_NAME_LEN 16
struct ticket_key {
	uint8_t name[TICKET_NAME_LEN]; /* in clear in each ticket */
	uint8_t cipher[32];
	uint8_t mac[32];
};

/* A thread's copy; all zero at first. */
struct ticket_key_ring {
	unsigned long generation; /* 0: there is nothing in it */
	time_t due;               /* when `now` seals no more */
	time_t over;              /* when `before` opens no more */
	struct ticket_key now;
	struct ticket_key before;
};

struct ticket_keys;

/* NULL if memory is short, or the kernel has no random bytes. */
struct ticket_keys *ticket_keys_new(void);
void ticket_keys_free(struct ticket_keys *k); /* accepts NULL; wipes */

/* Brings the copy up to date, as of `now`.  False if there is no key to be had;
 * the copy is then empty. */
bool ticket_keys_copy(struct ticket_keys *k, struct ticket_key_ring *ring,
    time_t now) __attribute__((warn_unused_result));

/* Wipes what is of no use any more as of `now`, here and in the copy. */
void ticket_keys_tidy(struct ticket_keys *k, struct ticket_key_ring *ring,
    time_t now);

#endif /* PROXY_TICKET_KEYS_H */
