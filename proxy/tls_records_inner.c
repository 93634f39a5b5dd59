#include "proxy/tls_records_private.h"

#include <assert.h>
#include <string.h>

#include "protocols/bytes.h"

/* RFC 8446, B.3 and 6 */
enum {
	MESSAGE_NEW_SESSION_TICKET = 4,
	MESSAGE_KEY_UPDATE = 24,
};
enum {
	UPDATE_NOT_REQUESTED = 0,
	UPDATE_REQUESTED = 1,
};
enum {
	LEVEL_WARNING = 1,
	LEVEL_FATAL = 2,
};

#define MESSAGE_HEAD    4 /* type, and a length of 24 bits */
#define KEY_UPDATE_BODY 1

/* As many alerts in a row that mean nothing, as OpenSSL. */
#define WARNINGS_MAX 4
/* So many new keys for no data are only to keep us at work. */
#define UPDATES_MAX 1024

/*
 * Alerts: RFC 8446, 6
 */

static enum records_result
records_alert(struct records *r, const uint8_t *bytes, size_t len)
{
	struct rd rd = { .at = bytes, .left = len };
	uint8_t level = rd_u8(&rd), what = rd_u8(&rd);

	if (rd.cut || rd.left > 0)
		return records_fail(r, ALERT_DECODE_ERROR,
		    "sent an alert of an impossible length");
	if (level != LEVEL_WARNING && level != LEVEL_FATAL)
		return records_fail(r, ALERT_ILLEGAL_PARAMETER,
		    "sent an alert of an unknown level");
	if ((level == LEVEL_WARNING || what == ALERT_USER_CANCELED) &&
	    ++r->warned > WARNINGS_MAX)
		return records_fail(r, ALERT_UNEXPECTED_MESSAGE,
		    "sent too many alerts that mean nothing");
	if (what == ALERT_USER_CANCELED)
		return RECORDS_MORE;
	if (what == ALERT_CLOSE_NOTIFY) {
		r->ended = true;
		return RECORDS_ENDED;
	}
	/* Whatever their level says: all others are fatal in TLS 1.3. */
	r->failure.alert_received = what;
	return records_fail(r, ALERT_NONE, "ended TLS with an alert");
}

/*
 * Messages: RFC 8446, 4.6
 */

/* Is each of them whole?  What they say is for OpenSSL, or nobody. */
static bool
extensions_are_whole(struct rd list)
{
	while (list.left > 0 && !list.cut) {
		(void)rd_be16(&list);
		(void)rd_take(&list, rd_be16(&list));
	}
	return !list.cut;
}

static bool
ticket_is_whole(struct rd body)
{
	struct rd ticket, extensions;

	rd_skip(&body, 2 * sizeof(uint32_t)); /* its lifetime, and an addend */
	(void)rd_take(&body, rd_u8(&body));   /* nonce */
	ticket = rd_take(&body, rd_be16(&body));
	extensions = rd_take(&body, rd_be16(&body));
	return !body.cut && body.left == 0 && ticket.left > 0 &&
	    extensions_are_whole(extensions);
}

/* It stays where it is until the next call. */
static enum records_result
records_new_ticket(struct records *r, struct rd body)
{
	if (!ticket_is_whole(body))
		return records_fail(r, ALERT_DECODE_ERROR,
		    "sent a session ticket that is none");
	r->ticket = MESSAGE_HEAD + body.left;
	return RECORDS_TICKET;
}

static enum records_result
records_key_update(struct records *r, struct rd body)
{
	uint8_t request = rd_u8(&body);

	if (request != UPDATE_NOT_REQUESTED && request != UPDATE_REQUESTED)
		return records_fail(r, ALERT_ILLEGAL_PARAMETER,
		    "sent a KeyUpdate that asks for something unknown");
	/* RFC 8446, 5.1: no message spans a change of keys. */
	if (r->message.len > MESSAGE_HEAD + KEY_UPDATE_BODY)
		return records_fail(r, ALERT_UNEXPECTED_MESSAGE,
		    "sent something behind a KeyUpdate, in its record");
	if (++r->updated > UPDATES_MAX && !r->kernel)
		return records_fail(r, ALERT_UNEXPECTED_MESSAGE,
		    "sent too many KeyUpdates for no data");
	if (!records_update(r, false))
		return records_fail_internal(r);
	r->asked = false;
	if (request == UPDATE_REQUESTED)
		r->answer_due = true;
	queue_consume(&r->message, MESSAGE_HEAD + KEY_UPDATE_BODY);
	return RECORDS_MORE;
}

/* By its head alone: what cannot be right is not waited for. */
static enum records_result
records_message_head(struct records *r, uint8_t type, size_t len)
{
	if (type == MESSAGE_NEW_SESSION_TICKET && r->client) {
		if (len <= RECORDS_TICKET_MAX)
			return RECORDS_MORE;
		return records_fail(r, ALERT_DECODE_ERROR,
		    "sent a session ticket that is too long");
	}
	if (type == MESSAGE_KEY_UPDATE) {
		if (len == KEY_UPDATE_BODY)
			return RECORDS_MORE;
		return records_fail(r, ALERT_DECODE_ERROR,
		    "sent a KeyUpdate of an impossible length");
	}
	return records_fail(r, ALERT_UNEXPECTED_MESSAGE,
	    "sent a TLS message that is out of place");
}

/* Those that have come whole, one after the other. */
static enum records_result
records_messages(struct records *r)
{
	struct rd rd;
	enum records_result result = RECORDS_MORE;
	uint8_t type;
	size_t len;

	while (r->message.len >= MESSAGE_HEAD && result == RECORDS_MORE) {
		rd = (struct rd){ .at = queue_data(&r->message),
			.left = r->message.len };
		type = rd_u8(&rd);
		len = (size_t)rd_u8(&rd) << 16;
		len |= rd_be16(&rd);
		result = records_message_head(r, type, len);
		if (result != RECORDS_MORE || rd.left < len)
			return result;
		rd = rd_take(&rd, len);
		result = type == MESSAGE_KEY_UPDATE ? records_key_update(r, rd)
						    : records_new_ticket(r, rd);
	}
	return result;
}

static enum records_result
records_handshake(struct records *r, const uint8_t *bytes, size_t len)
{
	if (len == 0) /* RFC 8446, 5.1 */
		return records_fail(r, ALERT_UNEXPECTED_MESSAGE,
		    "sent a record of handshake with nothing in it");
	if (!queue_append(&r->message, bytes, len))
		return records_fail_internal(r);
	return records_messages(r);
}

enum records_result
records_inner(struct records *r, uint8_t type, const uint8_t *bytes, size_t len)
{
	/* RFC 8446, 5.1: no other record stands between two of a message. */
	if (type != RECORD_HANDSHAKE && r->message.len > 0)
		return records_fail(r, ALERT_UNEXPECTED_MESSAGE,
		    "sent a record in the midst of a TLS message");
	switch (type) {
	case RECORD_ALERT:
		return records_alert(r, bytes, len);
	case RECORD_HANDSHAKE:
		r->warned = 0;
		return records_handshake(r, bytes, len);
	}
	return records_fail(r, ALERT_UNEXPECTED_MESSAGE,
	    "sent a TLS record of an unknown type");
}

const uint8_t *
records_ticket(const struct records *r, size_t *len)
{
	*len = r->ticket;
	return queue_data(&r->message);
}

enum records_result
records_go_on(struct records *r)
{
	size_t done = r->ticket;

	if (r->ended)
		return RECORDS_ENDED;
	if (done == 0)
		return RECORDS_MORE;
	r->ticket = 0;
	queue_consume(&r->message, done);
	return records_messages(r);
}

/*
 * What we say
 */

void
records_update_message(struct records *r, uint8_t message[KEY_UPDATE_LEN])
{
	message[0] = MESSAGE_KEY_UPDATE;
	message[1] = message[2] = 0;
	message[3] = KEY_UPDATE_BODY;
	message[4] = r->ask_due ? UPDATE_REQUESTED : UPDATE_NOT_REQUESTED;
	r->asked = r->asked || r->ask_due;
	r->answer_due = r->ask_due = false;
}

void
records_alert_bytes(uint8_t what, uint8_t alert[ALERT_LEN])
{
	alert[0] = what == ALERT_CLOSE_NOTIFY ? LEVEL_WARNING : LEVEL_FATAL;
	alert[1] = what;
}
