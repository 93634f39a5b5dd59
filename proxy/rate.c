#include "proxy/rate.h"

#define NSEC_PER_SEC UINT64_C(1000000000)

void
rate_init(struct rate *r)
{
	atomic_init(&r->due, 0);
}

/* One is let through as long as those before it, had they come evenly, would
 * not reach further into the future than a second. */
bool
rate_take(struct rate *r, unsigned per_second, uint64_t now)
{
	uint_fast64_t due = atomic_load(&r->due), next;
	uint64_t each;

	if (per_second == 0)
		return true;
	each = NSEC_PER_SEC / per_second;
	do {
		next = (due > now ? due : now) + each;
		if (next > now + NSEC_PER_SEC)
			return false;
	} while (!atomic_compare_exchange_weak(&r->due, &due, next));
	return true;
}
