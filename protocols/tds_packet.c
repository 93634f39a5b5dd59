#include "protocols/tds_packet.h"

#define STATUS_NORMAL 0x00u

/* MC-SMP 2.2.1: 0x53, flags, SID, length with these 16 bytes, two counters;
 * what is data has a packet of TDS behind it. */
#define SMP_ID     0x53u
#define SMP_HEAD   16u
#define SMP_MAX    (SMP_HEAD + TDS_PACKET_MAX)
#define ALERT_HEAD 5u /* a record's: type, version, length */
_Static_assert(SMP_MAX <= NEG_UNIT_MAX, "a unit must fit where it waits");

bool
tds_packet_is_one(uint8_t type)
{
	return type > 0 && type <= TDS_PRELOGIN;
}

enum tds_arrival
tds_look_at_packet(struct rd r, struct tds_packet *p)
{
	p->type = rd_u8(&r);
	p->last = (rd_u8(&r) & TDS_EOM) != 0;
	p->len = rd_be16(&r);
	rd_skip(&r, TDS_HEAD - (2 * sizeof(uint8_t) + sizeof(uint16_t)));
	if (r.cut)
		return TDS_PART;
	if (p->len < TDS_HEAD)
		return TDS_BAD;
	p->payload = rd_take(&r, p->len - TDS_HEAD);
	return r.cut ? TDS_PART : TDS_WHOLE;
}

enum tds_arrival
tds_look_at_message(struct rd r, uint8_t type, size_t *len, struct wr *body)
{
	struct tds_packet p = { .last = false };
	enum tds_arrival a = TDS_WHOLE;

	*len = 0;
	while (!p.last && (a = tds_look_at_packet(r, &p)) == TDS_WHOLE) {
		wr_bytes(body, p.payload.at, p.payload.left);
		if (p.type != type || body->full)
			return TDS_BAD;
		rd_skip(&r, p.len);
		*len += p.len;
	}
	return a;
}

static void
write_packet(struct wr *out, uint8_t type, uint8_t id, size_t max,
    struct rd *body)
{
	bool last = body->left <= max - TDS_HEAD;
	struct rd payload = rd_take(body, last ? body->left : max - TDS_HEAD);

	wr_u8(out, type);
	wr_u8(out, last ? TDS_EOM : STATUS_NORMAL);
	wr_be16(out, (uint16_t)(TDS_HEAD + payload.left));
	wr_be16(out, 0); /* SPID */
	wr_u8(out, id);
	wr_u8(out, 0); /* window */
	wr_bytes(out, payload.at, payload.left);
}

void
tds_write_packets(struct wr *out, uint8_t type, size_t max, struct rd body)
{
	uint8_t id = 1;

	do
		write_packet(out, type, id++, max, &body);
	while (body.left > 0);
}

void
tds_write_message(struct wr *out, uint8_t type, struct rd body)
{
	tds_write_packets(out, type, TDS_PACKET_FIRST, body);
}

/*
 * TLS in packets.
 */

/* Servers before 7.2 answer in packets of the other type. */
static size_t
wrap_length(struct rd head)
{
	uint8_t type = rd_u8(&head);

	if (type != TDS_PRELOGIN && type != TDS_REPLY)
		return 0;
	rd_skip(&head, sizeof(uint8_t)); /* status */
	return rd_be16(&head);
}

static void
wrap(struct rd flight, struct wr *out)
{
	tds_write_message(out, TDS_PRELOGIN, flight);
}

const struct neg_wrap tds_wrap = {
	.head = TDS_HEAD,
	.length = wrap_length,
	.wrap = wrap,
};

/*
 * Units.
 */

static uint64_t
smp_length(struct rd head)
{
	uint32_t len;

	rd_skip(&head, 2 * sizeof(uint8_t) + sizeof(uint16_t));
	len = rd_le32(&head);
	return len < SMP_HEAD ? 0 : len;
}

static uint64_t
alert_length(struct rd head)
{
	rd_skip(&head, sizeof(uint8_t) + sizeof(uint16_t));
	return ALERT_HEAD + (uint64_t)rd_be16(&head);
}

static uint64_t
unit_length(struct rd head)
{
	struct rd r = head;
	uint8_t type = rd_u8(&r);

	if (type == SMP_ID)
		return smp_length(head);
	if (!tds_packet_is_one(type))
		return 0;
	rd_skip(&r, sizeof(uint8_t)); /* status */
	return rd_be16(&r);
}

const struct neg_units tds_units = {
	.head = TDS_HEAD,
	.peek = TDS_HEAD,
	.whole_max = SMP_MAX,
	.length = unit_length,
};

static uint64_t
unit_length_after_tls(struct rd head)
{
	struct rd r = head;

	return rd_u8(&r) == NEG_RECORD_ALERT ? alert_length(head)
					     : unit_length(head);
}

static enum unit_act
unit_judge_after_tls(struct rd before, struct rd peek)
{
	(void)peek;
	return before.left == 0 ? UNIT_WAKE : UNIT_PASS;
}

const struct neg_units tds_units_after_tls = {
	.head = TDS_HEAD,
	.peek = TDS_HEAD,
	.whole_max = SMP_MAX,
	.length = unit_length_after_tls,
	.judge = unit_judge_after_tls,
};
