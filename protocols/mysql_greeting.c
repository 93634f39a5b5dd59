#include "protocols/mysql_greeting.h"

#define VERSION_10 10u
#define VERSION_9  9u /* of MySQL 3.21 */

/* What an X plugin says to everyone: a notice, and that it is there. */
#define X_NOTICE 0x0bu

#define THREAD_LEN   4u
#define NONCE_1_LEN  8u
#define NONCE_2_LEN  (MYSQL_NONCE_LEN - NONCE_1_LEN)
#define CHARSET_LEN  1u
#define STATUS_LEN   2u
#define RESERVED_LEN 10u

/* Without these it is older than 4.1, and so would be what it said next. */
#define NEEDED (MYSQL_PROTOCOL_41 | MYSQL_SECURE_CONNECTION)

static enum mysql_greeting_kind
read_version_10(struct rd r, const uint8_t *start, struct mysql_greeting *g)
{
	struct wr nonce = { .base = g->nonce, .cap = sizeof(g->nonce) };
	struct rd part;

	(void)rd_cstring(&r); /* the server's version */
	rd_skip(&r, THREAD_LEN);
	part = rd_take(&r, NONCE_1_LEN);
	wr_bytes(&nonce, part.at, part.left);
	rd_skip(&r, 1);
	g->low_at = (size_t)(r.at - start);
	g->caps = rd_le16(&r);
	if (r.cut)
		return MYSQL_GREETING_FOREIGN;
	if ((g->caps & NEEDED) != NEEDED)
		return MYSQL_GREETING_OLD;
	rd_skip(&r, CHARSET_LEN + STATUS_LEN);
	g->high_at = (size_t)(r.at - start);
	g->caps |= (uint32_t)rd_le16(&r) << 16;
	rd_skip(&r, 1 + RESERVED_LEN);
	part = rd_take(&r, NONCE_2_LEN);
	wr_bytes(&nonce, part.at, part.left);
	return r.cut ? MYSQL_GREETING_FOREIGN : MYSQL_GREETING_GOOD;
}

enum mysql_greeting_kind
mysql_greeting_read(struct rd payload, struct mysql_greeting *g)
{
	struct rd r = payload;

	*g = (struct mysql_greeting){ .caps = 0 };
	switch (rd_u8(&r)) {
	case VERSION_10:
		return read_version_10(r, payload.at, g);
	case VERSION_9:
		return MYSQL_GREETING_OLD;
	case X_NOTICE:
		return MYSQL_GREETING_X;
	}
	return MYSQL_GREETING_FOREIGN;
}

/* Everything up to where a half stands, and the half in its place. */
static void
write_until(struct wr *w, struct rd *r, size_t n, uint16_t half)
{
	struct rd before = rd_take(r, n);

	wr_bytes(w, before.at, before.left);
	rd_skip(r, sizeof(half));
	wr_le16(w, half);
}

void
mysql_greeting_write(struct wr *w, struct rd payload,
    const struct mysql_greeting *g, uint32_t caps)
{
	struct rd r = payload;

	write_until(w, &r, g->low_at, (uint16_t)caps);
	write_until(w, &r, g->high_at - g->low_at - sizeof(uint16_t),
	    (uint16_t)(caps >> 16));
	wr_bytes(w, r.at, r.left);
}
