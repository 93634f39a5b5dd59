/*
 * mysql_change.c - COM_CHANGE_USER, a log-in within the relay
 *
 * Where the legs are not alike a client that wants to be another user may have
 * to send a password, which cannot go over as it is.  So its packets' heads are
 * watched for that command.
 */
#include "protocols/mysql.h"

static uint64_t
unit_length(struct rd head)
{
	return MYSQL_HEAD_LEN + (uint64_t)rd_le24(&head);
}

/* Ids come round within a file that is being loaded, whose packets may hold
 * anything; only its last one is empty.  What else a client says is a command's
 * first packet, or of fewer than there are ids. */
static bool
goes_on(struct rd before)
{
	uint32_t len = rd_le24(&before);
	uint8_t id = rd_u8(&before);

	return !before.cut && id == UINT8_MAX && len > 0;
}

/* The first packet of a command, and its first byte.  One that is longer than
 * any log-in is no change of user. */
static enum unit_act
unit_judge(struct rd before, struct rd peek)
{
	uint32_t len = rd_le24(&peek);
	uint8_t id = rd_u8(&peek);
	uint8_t command = rd_u8(&peek);

	if (peek.cut || id != 0 || command != MYSQL_COM_CHANGE_USER ||
	    len > MYSQL_PAYLOAD_MAX || goes_on(before))
		return UNIT_PASS;
	return UNIT_WAKE;
}

static const struct neg_units watch = {
	.head = MYSQL_HEAD_LEN,
	.peek = MYSQL_HEAD_LEN + 1,
	.length = unit_length,
	.judge = unit_judge,
};

/* Where both legs are alike a change of user needs nothing of us; and where
 * packets are compressed, we do not see it. */
struct verdict
mysql_relay(struct negotiator *n)
{
	struct mysql *my = n->state;
	bool compressed = (my->caps & my->server_caps & MYSQL_COMPRESSION) != 0;

	if (mysql_legs_differ(n) && !compressed)
		n->units[LEG_CLIENT] = &watch;
	my->at = MYSQL_AT_RELAYED;
	return neg_relay();
}

struct verdict
mysql_step_relayed(struct negotiator *n)
{
	struct mysql *my = n->state;
	size_t i;

	/* A command begins at 0. */
	for (i = 0; i < LEG_COUNT; i++)
		my->last[i] = UINT8_MAX;
	my->at = MYSQL_AT_WOKEN;
	return neg_next();
}

/* What only looks like it is part of a file that is being loaded, of so many
 * packets that their ids came round. */
struct verdict
mysql_step_woken(struct negotiator *n)
{
	struct mysql *my = n->state;
	struct mysql_packet p;
	struct mysql_login l;

	switch (mysql_packet_look(n->in[LEG_CLIENT], &p)) {
	case MYSQL_ARRIVAL_PART:
		return neg_read(FROM_CLIENT);
	case MYSQL_ARRIVAL_TOO_LONG:
		return mysql_too_long(n, LEG_CLIENT);
	case MYSQL_ARRIVAL_WHOLE:
		break;
	}
	if (!mysql_change_user_read(p.payload, my->caps, &l)) {
		neg_forward(n, LEG_CLIENT, mysql_packet_len(&p));
		return mysql_relay(n);
	}
	if (n->in[LEG_SERVER].left > 0)
		return mysql_protocol_error(n, LEG_SERVER,
		    "server spoke before it had heard of the change of user");
	my->changing = true;
	my->held = true;
	my->held_shift = mysql_id_heard(my, LEG_CLIENT, p.id);
	return mysql_auth_begin(n);
}

/* A client that wants to be another user awaits the answer: one that goes on
 * does something else.  A server's answer has the next id; whatever else it may
 * be saying is not to be taken for one. */
struct verdict
mysql_step_changed(struct negotiator *n)
{
	struct mysql *my = n->state;
	struct mysql_packet p;

	if (n->in[LEG_CLIENT].left > 0)
		return mysql_relay(n);
	switch (mysql_packet_look(n->in[LEG_SERVER], &p)) {
	case MYSQL_ARRIVAL_PART:
		return neg_read(FROM_CLIENT | FROM_SERVER);
	case MYSQL_ARRIVAL_TOO_LONG:
		return mysql_too_long(n, LEG_SERVER);
	case MYSQL_ARRIVAL_WHOLE:
		break;
	}
	if (p.id != (uint8_t)(my->last[LEG_SERVER] + 1))
		return mysql_protocol_error(n, LEG_SERVER,
		    "server's answer is not to the change of user");
	my->at = MYSQL_AT_AUTH;
	return neg_next();
}
