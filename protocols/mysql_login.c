#include "protocols/mysql_login.h"

#include <string.h>

#define FILLER_LEN 19u
#define MORE_LEN   4u
_Static_assert(4 + 4 + 1 + FILLER_LEN + MORE_LEN == MYSQL_LOGIN_HEAD_LEN,
    "a head must be what it is made of");

#define CHARSET_2_LEN 2u /* of COM_CHANGE_USER */

static const uint8_t filler[FILLER_LEN];

void
mysql_head_read(struct rd *r, struct mysql_head *h)
{
	*h = (struct mysql_head){ .caps = rd_le32(r) };
	h->max_packet = rd_le32(r);
	h->charset = rd_u8(r);
	rd_skip(r, FILLER_LEN);
	h->more = rd_le32(r);
}

void
mysql_ssl_request_write(struct wr *w, uint8_t id, const struct mysql_head *h)
{
	mysql_write_head(w, MYSQL_LOGIN_HEAD_LEN, id);
	wr_le32(w, h->caps);
	wr_le32(w, h->max_packet);
	wr_u8(w, h->charset);
	wr_bytes(w, filler, sizeof(filler));
	wr_le32(w, h->more);
}

bool
mysql_ssl_request_is(struct rd packet, bool mariadb)
{
	uint32_t len = rd_le24(&packet);
	uint8_t id = rd_u8(&packet);
	uint32_t caps = rd_le32(&packet), more;
	struct rd zero;

	(void)rd_le32(&packet); /* the longest packet */
	(void)rd_u8(&packet);   /* the charset */
	zero = rd_take(&packet, FILLER_LEN);
	more = rd_le32(&packet);
	return !packet.cut && packet.left == 0 && len == MYSQL_LOGIN_HEAD_LEN &&
	    id == 1 && (caps & MYSQL_SSL) != 0 &&
	    rd_equals(zero, filler, sizeof(filler)) && (mariadb || more == 0);
}

/* What comes last may be missing: a server does not insist on it. */
static struct rd
optional(struct rd field)
{
	return field.cut ? (struct rd){ .at = NULL } : field;
}

static struct rd
read_answer(struct rd *r, enum mysql_answer_form form)
{
	switch (form) {
	case MYSQL_ANSWER_NUL:
		return rd_cstring(r);
	case MYSQL_ANSWER_BYTE:
		return rd_take(r, rd_u8(r));
	case MYSQL_ANSWER_LENENC:
		return mysql_read_counted(r);
	}
	return (struct rd){ .cut = true };
}

/* `r` is at the user's name, `start` the start of the payload. */
static bool
read_to_answer(struct rd *r, const uint8_t *start, struct mysql_login *l)
{
	l->user = rd_cstring(r);
	l->answer_at = (size_t)(r->at - start);
	l->answer = read_answer(r, l->form);
	l->rest_at = (size_t)(r->at - start);
	l->rest = *r;
	return !r->cut;
}

static void
read_plugin_and_attributes(struct rd *r, uint32_t caps, struct mysql_login *l)
{
	/* A server takes what is left for the name if no NUL ends it. */
	const struct rd all = *r;

	if (r->cut)
		return;
	if (caps & MYSQL_PLUGIN_AUTH) {
		l->plugin = rd_cstring(r);
		if (l->plugin.cut)
			l->plugin = all;
	}
	if (caps & MYSQL_CONNECT_ATTRS)
		l->attributes = optional(mysql_read_counted(r));
}

/* A length of one byte and one that says how long it is look alike, up to here:
 * beyond it depends on whom the client asked which it is. */
static bool
is_ambiguous(struct rd login, uint32_t caps, uint32_t server_caps)
{
	bool differs = ((caps ^ server_caps) & MYSQL_LENENC_AUTH) != 0;

	(void)rd_cstring(&login);
	return differs && rd_u8(&login) > MYSQL_LENENC_ONE_MAX;
}

bool
mysql_login_read(struct rd payload, uint32_t caps, uint32_t server_caps,
    struct mysql_login *l)
{
	struct rd r = payload;

	*l = (struct mysql_login){ .form = MYSQL_ANSWER_NUL };
	if (caps & MYSQL_LENENC_AUTH)
		l->form = MYSQL_ANSWER_LENENC;
	else if (caps & MYSQL_SECURE_CONNECTION)
		l->form = MYSQL_ANSWER_BYTE;
	rd_skip(&r, MYSQL_LOGIN_HEAD_LEN);
	if (l->form != MYSQL_ANSWER_NUL && is_ambiguous(r, caps, server_caps))
		return false;
	if (!read_to_answer(&r, payload.at, l))
		return false;
	if (caps & MYSQL_CONNECT_WITH_DB)
		l->database = optional(rd_cstring(&r));
	read_plugin_and_attributes(&r, caps, l);
	return true;
}

bool
mysql_change_user_read(struct rd payload, uint32_t caps, struct mysql_login *l)
{
	struct rd r = payload;

	*l = (struct mysql_login){ .change_user = true };
	l->form = caps & MYSQL_SECURE_CONNECTION ? MYSQL_ANSWER_BYTE
						 : MYSQL_ANSWER_NUL;
	if (rd_u8(&r) != MYSQL_COM_CHANGE_USER)
		return false;
	if (!read_to_answer(&r, payload.at, l))
		return false;
	l->database = optional(rd_cstring(&r));
	rd_skip(&r, CHARSET_2_LEN);
	read_plugin_and_attributes(&r, caps, l);
	return true;
}

struct rd
mysql_attribute(struct rd attributes, const char *name)
{
	while (attributes.left > 0 && !attributes.cut) {
		struct rd key = mysql_read_counted(&attributes);
		struct rd value = mysql_read_counted(&attributes);

		if (!attributes.cut && rd_equals_string(key, name))
			return value;
	}
	return (struct rd){ .at = NULL };
}

size_t
mysql_answer_len(const struct mysql_login *l, struct rd answer)
{
	struct rd nul = answer;

	switch (l->form) {
	case MYSQL_ANSWER_NUL:
		(void)rd_cstring(&nul);
		return nul.cut ? answer.left + 1 : 0;
	case MYSQL_ANSWER_BYTE:
		return answer.left <= UINT8_MAX ? 1 + answer.left : 0;
	case MYSQL_ANSWER_LENENC:
		return mysql_lenenc_len(answer.left) + answer.left;
	}
	return 0;
}

void
mysql_answer_write(struct wr *w, const struct mysql_login *l, struct rd answer)
{
	switch (l->form) {
	case MYSQL_ANSWER_NUL:
		break;
	case MYSQL_ANSWER_BYTE:
		wr_u8(w, (uint8_t)answer.left);
		break;
	case MYSQL_ANSWER_LENENC:
		mysql_write_lenenc(w, answer.left);
		break;
	}
	wr_bytes(w, answer.at, answer.left);
	if (l->form == MYSQL_ANSWER_NUL)
		wr_u8(w, '\0');
}
