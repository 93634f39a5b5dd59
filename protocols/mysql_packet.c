#include "protocols/mysql_packet.h"

#include <string.h>

/* What a number of more than a byte begins with.  0xfb is SQL's NULL, 0xff the
 * mark of an error: neither counts anything. */
#define LENENC_2 0xfcu
#define LENENC_3 0xfdu
#define LENENC_8 0xfeu

#define SQLSTATE_LEN 5u

enum mysql_arrival
mysql_packet_look(struct rd r, struct mysql_packet *p)
{
	uint32_t len = rd_le24(&r);

	p->id = rd_u8(&r);
	if (r.cut)
		return MYSQL_ARRIVAL_PART;
	if (len > MYSQL_PAYLOAD_MAX)
		return MYSQL_ARRIVAL_TOO_LONG;
	p->payload = rd_take(&r, len);
	return r.cut ? MYSQL_ARRIVAL_PART : MYSQL_ARRIVAL_WHOLE;
}

size_t
mysql_packet_len(const struct mysql_packet *p)
{
	return MYSQL_HEAD_LEN + p->payload.left;
}

void
mysql_write_head(struct wr *w, size_t len, uint8_t id)
{
	wr_le24(w, (uint32_t)len);
	wr_u8(w, id);
}

static uint64_t
read_le64(struct rd *r)
{
	uint64_t low = rd_le32(r);

	return low | (uint64_t)rd_le32(r) << 32;
}

uint64_t
mysql_read_lenenc(struct rd *r)
{
	uint8_t first = rd_u8(r);

	if (first <= MYSQL_LENENC_ONE_MAX)
		return first;
	if (first == LENENC_2)
		return rd_le16(r);
	if (first == LENENC_3)
		return rd_le24(r);
	if (first == LENENC_8)
		return read_le64(r);
	r->cut = true;
	return 0;
}

/* Nothing that we write is as long as four bytes could say. */
void
mysql_write_lenenc(struct wr *w, size_t v)
{
	if (v <= MYSQL_LENENC_ONE_MAX) {
		wr_u8(w, (uint8_t)v);
	} else if (v <= UINT16_MAX) {
		wr_u8(w, LENENC_2);
		wr_le16(w, (uint16_t)v);
	} else {
		wr_u8(w, LENENC_3);
		wr_le24(w, (uint32_t)v);
	}
}

size_t
mysql_lenenc_len(size_t v)
{
	if (v <= MYSQL_LENENC_ONE_MAX)
		return 1;
	return v <= UINT16_MAX ? 3 : 4;
}

struct rd
mysql_read_counted(struct rd *r)
{
	uint64_t len = mysql_read_lenenc(r);

	if (len > r->left)
		r->cut = true;
	return rd_take(r, r->cut ? 0 : (size_t)len);
}

static size_t
at_most(size_t len, size_t max)
{
	return len < max ? len : max;
}

/* How the text begins is chosen with care: where there is no sqlstate, PyMySQL
 * takes its first six characters for one. */
static const char lead[] = "dbtls: ";
static const char between[] = "; ";

void
mysql_write_error(struct wr *w, uint8_t id, const struct mysql_error *e)
{
	size_t state = e->sqlstate != NULL ? 1 + SQLSTATE_LEN : 0;
	size_t room = MYSQL_ERROR_TEXT_MAX - strlen(lead);
	size_t text = at_most(strlen(e->text), room), hint = 0;

	room -= text;
	if (e->hint != NULL && room > strlen(between))
		hint = at_most(strlen(e->hint), room - strlen(between));
	mysql_write_head(w,
	    1 + sizeof(e->number) + state + strlen(lead) + text +
		(hint > 0 ? strlen(between) + hint : 0),
	    id);
	wr_u8(w, MYSQL_ERR);
	wr_le16(w, e->number);
	if (e->sqlstate != NULL) {
		wr_u8(w, '#');
		wr_bytes(w, e->sqlstate, SQLSTATE_LEN);
	}
	wr_string(w, lead);
	wr_bytes(w, e->text, text);
	if (hint > 0) {
		wr_string(w, between);
		wr_bytes(w, e->hint, hint);
	}
}
