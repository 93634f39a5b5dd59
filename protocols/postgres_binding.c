#include "protocols/postgres_binding.h"

#include <string.h>

#define SCRAM "SCRAM-" /* how its mechanisms' names begin ... */
#define PLUS  "-PLUS"  /* ... and end, if they bind */

/* The next of a list, which an empty one ends. */
static bool
next_mechanism(struct rd *list, struct rd *mechanism)
{
	*mechanism = rd_cstring(list);
	return mechanism->left > 0;
}

static bool
is_plus(struct rd mechanism)
{
	if (mechanism.left < strlen(PLUS))
		return false;
	rd_skip(&mechanism, mechanism.left - strlen(PLUS));
	return rd_equals_string(mechanism, PLUS);
}

bool
binding_read_offer(struct rd list, struct binding_offer *offer)
{
	struct rd mechanism;

	*offer = (struct binding_offer){ .plus = false };
	while (next_mechanism(&list, &mechanism)) {
		if (is_plus(mechanism))
			offer->plus = true;
		else
			offer->others = true;
	}
	return !list.cut;
}

void
binding_write_without_plus(struct wr *out, struct rd list)
{
	struct rd mechanism;

	while (next_mechanism(&list, &mechanism)) {
		if (is_plus(mechanism))
			continue;
		wr_bytes(out, mechanism.at, mechanism.left);
		wr_u8(out, '\0');
	}
	wr_u8(out, '\0');
}

enum binding_flag
binding_read_flag(struct rd body)
{
	struct rd mechanism = rd_cstring(&body);

	if (!rd_equals_string(rd_take(&mechanism, strlen(SCRAM)), SCRAM))
		return BINDING_NOT_SCRAM;
	(void)rd_be32(&body); /* how long the rest is */
	switch (rd_u8(&body)) {
	case 'n':
		return BINDING_NONE;
	case 'y':
		return BINDING_REGRETTED;
	case 'p':
		return BINDING_USED;
	}
	return BINDING_NOT_SCRAM;
}
