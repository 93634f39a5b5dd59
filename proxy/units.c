#include "proxy/units.h"

#include <assert.h>
#include <string.h>

void
units_init(struct units *u, const struct neg_units *ops)
{
	*u = (struct units){ .ops = ops };
	queue_init(&u->held, NEG_UNIT_MAX);
}

void
units_fini(struct units *u)
{
	queue_fini(&u->held);
}

void
units_deafen(struct units *u)
{
	u->deaf = true;
	if (u->ops != NULL && u->ops->rewrite == NULL && u->ops->whole_max == 0)
		u->ops = NULL;
}

enum unit_begin {
	UNIT_BEGIN_PASS = 0,
	UNIT_BEGIN_MORE, /* too little of it has come to judge or to take it */
	UNIT_BEGIN_TAKE,
	UNIT_BEGIN_WAKE,
	UNIT_BEGIN_BROKEN,
};

/* The first n bytes; cut if they are not there. */
static struct rd
first_bytes(struct rd bytes, size_t n)
{
	return rd_take(&bytes, n);
}

static struct rd
units_before(const struct units *u)
{
	return (struct rd){ .at = u->before, .left = u->nbefore };
}

/* What becomes of a unit that is judged so.  Where units are taken none wakes;
 * and one that is too long to be taken is a fault of ours, and no reason to
 * stop the stream. */
static enum unit_begin
unit_obey(const struct units *u, enum unit_act act, uint64_t length,
    size_t come)
{
	bool takes = u->ops->rewrite != NULL;

	switch (act) {
	case UNIT_WAKE:
		return u->deaf || takes ? UNIT_BEGIN_PASS : UNIT_BEGIN_WAKE;
	case UNIT_TAKE:
		if (!takes || length > NEG_UNIT_MAX)
			return UNIT_BEGIN_PASS;
		return length > come ? UNIT_BEGIN_MORE : UNIT_BEGIN_TAKE;
	case UNIT_PASS:
		break;
	}
	return UNIT_BEGIN_PASS;
}

/* Judges the unit that `bytes` begins with; one that goes on is counted. */
static enum unit_begin
unit_begin(struct units *u, struct rd bytes)
{
	enum unit_begin begin;
	enum unit_act act = UNIT_PASS;
	const struct neg_units *ops = u->ops;
	struct rd head = first_bytes(bytes, ops->head), peek;
	uint64_t length;

	if (head.cut)
		return UNIT_BEGIN_MORE;
	length = ops->length(head);
	if (length < ops->head ||
	    (ops->whole_max > 0 && length > ops->whole_max))
		return UNIT_BEGIN_BROKEN;
	if (ops->whole_max > 0 && length > bytes.left)
		return UNIT_BEGIN_MORE;
	peek =
	    first_bytes(bytes, length < ops->peek ? (size_t)length : ops->peek);
	if (peek.cut)
		return UNIT_BEGIN_MORE;
	if (ops->judge != NULL)
		act = ops->judge(units_before(u), peek);
	begin = unit_obey(u, act, length, bytes.left);
	if (begin != UNIT_BEGIN_PASS && begin != UNIT_BEGIN_TAKE)
		return begin;
	memcpy(u->before, head.at, head.left);
	u->nbefore = head.left;
	if (begin == UNIT_BEGIN_TAKE)
		u->taken = (size_t)length;
	else
		u->left = length;
	return begin;
}

/* Past what is there of the unit that is passing. */
static void
units_advance(struct units *u, struct rd *bytes)
{
	size_t n = u->left < bytes->left ? (size_t)u->left : bytes->left;

	rd_skip(bytes, n);
	u->left -= n;
}

enum units_result
units_follow(struct units *u, struct rd bytes, size_t *pass)
{
	enum unit_begin begin = UNIT_BEGIN_PASS;
	size_t all = bytes.left;

	assert(u->held.len == 0);
	u->begun = 0;
	units_advance(u, &bytes);
	while (bytes.left > 0 &&
	    (begin = unit_begin(u, bytes)) == UNIT_BEGIN_PASS) {
		u->begun++;
		units_advance(u, &bytes);
	}
	*pass = all - bytes.left;
	switch (begin) {
	case UNIT_BEGIN_TAKE:
		return UNITS_TAKE;
	case UNIT_BEGIN_WAKE:
		return UNITS_WAKE;
	case UNIT_BEGIN_BROKEN:
		return UNITS_BROKEN;
	case UNIT_BEGIN_MORE:
		if (!queue_append(&u->held, bytes.at, bytes.left))
			return UNITS_MEMORY;
		break;
	case UNIT_BEGIN_PASS:
		break;
	}
	return UNITS_PASS;
}
