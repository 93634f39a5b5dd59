#include "protocols/tds_prelogin.h"

#include <string.h>

enum token {
	TOKEN_VERSION = 0,
	TOKEN_ENCRYPTION = 1,
	TOKEN_TERMINATOR = 0xff,
};
#define VERSION_LEN    6u
#define ENCRYPTION_LEN 1u

struct option {
	uint8_t token;
	uint16_t at; /* from the body's start */
	uint16_t len;
};
#define OPTION_LEN (sizeof(uint8_t) + 2 * sizeof(uint16_t))
_Static_assert(TDS_PRELOGIN_ADDED == OPTION_LEN + ENCRYPTION_LEN,
    "an option is a line of the table, and its data");

/* False behind the last; `r` is cut if there is no end. */
static bool
next_option(struct rd *r, struct option *o)
{
	o->token = rd_u8(r);
	if (r->cut || o->token == TOKEN_TERMINATOR)
		return false;
	o->at = rd_be16(r);
	o->len = rd_be16(r);
	return !r->cut;
}

static struct rd
body_of(struct rd packet)
{
	rd_skip(&packet, TDS_HEAD);
	return packet;
}

/* Up to and with its terminator; 0 if it has none. */
static size_t
table_len(struct rd body)
{
	struct rd r = body;
	struct option o;

	while (next_option(&r, &o))
		;
	return r.cut ? 0 : body.left - r.left;
}

/* The version comes first, and there is no second word on TLS. */
static bool
is_allowed(const struct option *o, bool first, const struct tds_prelogin *p)
{
	if (first)
		return o->token == TOKEN_VERSION && o->len == VERSION_LEN;
	if (o->token == TOKEN_ENCRYPTION)
		return o->len == ENCRYPTION_LEN && !p->has_encryption;
	return true;
}

/* What has no length may point anywhere. */
static bool
is_inside(const struct option *o, size_t table, size_t body)
{
	return o->len == 0 ||
	    (o->at >= table && (size_t)o->at + o->len <= body);
}

static uint8_t
byte_at(struct rd r, size_t at)
{
	rd_skip(&r, at);
	return rd_u8(&r);
}

/* The byte that may be overwritten is part of nothing else. */
static bool
is_shared(struct rd body, size_t at)
{
	struct option o;

	while (next_option(&body, &o)) {
		if (o.token != TOKEN_ENCRYPTION && at >= o.at &&
		    at < (size_t)o.at + o.len)
			return true;
	}
	return false;
}

static bool
read_options(struct rd body, struct tds_prelogin *p)
{
	const size_t table = table_len(body);
	struct rd r = body;
	struct option o;
	bool first = true;

	while (next_option(&r, &o)) {
		if (!is_allowed(&o, first, p) ||
		    !is_inside(&o, table, body.left))
			return false;
		first = false;
		if (o.token != TOKEN_ENCRYPTION)
			continue;
		p->has_encryption = true;
		p->encryption = byte_at(body, o.at);
		p->encryption_at = TDS_HEAD + o.at;
	}
	return table > 0 && !first &&
	    (!p->has_encryption ||
		!is_shared(body, p->encryption_at - TDS_HEAD));
}

/* One packet, and all of it; the bits of its status that mean something later
 * mean nothing here. */
static bool
is_single(struct rd packet, struct tds_packet *whole)
{
	struct rd r = packet;

	rd_skip(&r, sizeof(uint8_t)); /* type */
	return rd_u8(&r) == TDS_EOM &&
	    tds_look_at_packet(packet, whole) == TDS_WHOLE &&
	    whole->len == packet.left;
}

bool
tds_prelogin_read(struct rd packet, struct tds_prelogin *p)
{
	struct tds_packet whole;

	*p = (struct tds_prelogin){ .encryption = TDS_ENCRYPT_NOT_SUP };
	if (!is_single(packet, &whole) || !read_options(whole.payload, p))
		return false;
	return whole.len + (p->has_encryption ? 0 : TDS_PRELOGIN_ADDED) <=
	    TDS_PACKET_FIRST;
}

/*
 * A copy.
 */

static void
write_in_place(struct wr *out, struct rd packet, size_t at, uint8_t encryption)
{
	struct rd before = rd_take(&packet, at);

	wr_bytes(out, before.at, before.left);
	wr_u8(out, encryption);
	rd_skip(&packet, ENCRYPTION_LEN);
	wr_bytes(out, packet.at, packet.left);
}

/* The last line of the table, which moves all data, and the last of these. */
static void
write_with_option(struct wr *out, struct rd packet, uint8_t encryption)
{
	const struct rd body = body_of(packet);
	struct rd r = body;
	struct option o;

	wr_u8(out, rd_u8(&packet)); /* type */
	wr_u8(out, rd_u8(&packet)); /* status */
	wr_be16(out, (uint16_t)(rd_be16(&packet) + TDS_PRELOGIN_ADDED));
	wr_be32(out, rd_be32(&packet)); /* SPID, packet id, window */
	while (next_option(&r, &o)) {
		wr_u8(out, o.token);
		wr_be16(out, (uint16_t)(o.at + OPTION_LEN));
		wr_be16(out, o.len);
	}
	wr_u8(out, TOKEN_ENCRYPTION);
	wr_be16(out, (uint16_t)(body.left + OPTION_LEN));
	wr_be16(out, ENCRYPTION_LEN);
	wr_u8(out, TOKEN_TERMINATOR);
	wr_bytes(out, r.at, r.left);
	wr_u8(out, encryption);
}

void
tds_prelogin_write(struct wr *out, struct rd packet, uint8_t encryption)
{
	struct tds_prelogin p;

	if (!tds_prelogin_read(packet, &p))
		return;
	if (p.has_encryption)
		write_in_place(out, packet, p.encryption_at, encryption);
	else if (encryption != TDS_ENCRYPT_NOT_SUP)
		write_with_option(out, packet, encryption);
	else
		wr_bytes(out, packet.at, packet.left);
}

/*
 * A second look, for those who let it go in clear: written on its own, so that
 * a mistake above is not made twice.
 */

static bool
same_bytes(struct rd a, struct rd b)
{
	return a.left == b.left &&
	    (a.left == 0 || memcmp(a.at, b.at, a.left) == 0);
}

static bool
same_but_at(struct rd a, struct rd b, size_t at)
{
	struct rd a_front = rd_take(&a, at), b_front = rd_take(&b, at);

	rd_skip(&a, ENCRYPTION_LEN);
	rd_skip(&b, ENCRYPTION_LEN);
	return !a.cut && !b.cut && same_bytes(a_front, b_front) &&
	    same_bytes(a, b);
}

/* But for the length, which counts what was added. */
static bool
same_head(struct rd copy, struct rd packet)
{
	const size_t at = 2 * sizeof(uint8_t), len = sizeof(uint16_t);
	struct rd is = rd_take(&copy, at), was = rd_take(&packet, at);

	if (!same_bytes(is, was))
		return false;
	rd_skip(&copy, len);
	rd_skip(&packet, len);
	is = rd_take(&copy, TDS_HEAD - at - len);
	was = rd_take(&packet, TDS_HEAD - at - len);
	return same_bytes(is, was);
}

static bool
same_table(struct rd *copy, struct rd *body)
{
	struct option was, is;

	while (next_option(body, &was)) {
		if (!next_option(copy, &is) || is.token != was.token ||
		    is.len != was.len ||
		    is.at != (uint16_t)(was.at + OPTION_LEN))
			return false;
	}
	return next_option(copy, &is) && is.token == TOKEN_ENCRYPTION &&
	    is.len == ENCRYPTION_LEN && !next_option(copy, &is);
}

static bool
same_with_option(struct rd copy, struct rd packet)
{
	struct rd is = body_of(copy), was = body_of(packet), data;

	if (!same_head(copy, packet) || !same_table(&is, &was) ||
	    is.left != was.left + ENCRYPTION_LEN)
		return false;
	data = rd_take(&is, was.left);
	return same_bytes(data, was);
}

bool
tds_prelogin_is_copy(struct rd copy, struct rd packet, uint8_t encryption)
{
	struct tds_prelogin is, was;

	if (!tds_prelogin_read(copy, &is) || !tds_prelogin_read(packet, &was) ||
	    is.encryption != encryption)
		return false;
	if (was.has_encryption)
		return is.has_encryption &&
		    is.encryption_at == was.encryption_at &&
		    same_but_at(copy, packet, was.encryption_at);
	if (is.has_encryption)
		return same_with_option(copy, packet);
	return same_bytes(copy, packet);
}
