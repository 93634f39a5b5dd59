#include "protocols/tds_reply.h"

#include "protocols/tds_login.h"
#include "protocols/tds_packet.h"

enum token {
	TOKEN_RETURNSTATUS = 0x79,
	TOKEN_ERROR = 0xaa,
	TOKEN_INFO = 0xab,
	TOKEN_LOGINACK = 0xad,
	TOKEN_FEATUREEXTACK = 0xae,
	TOKEN_ENVCHANGE = 0xe3,
	TOKEN_SESSIONSTATE = 0xe4,
	TOKEN_SSPI = 0xed,
	TOKEN_FEDAUTHINFO = 0xee,
	TOKEN_DONE = 0xfd,
	TOKEN_DONEPROC = 0xfe,
	TOKEN_DONEINPROC = 0xff,
};

/* Of an ENVCHANGE. */
enum change {
	CHANGE_ROUTING = 20,
	CHANGE_ENHANCED_ROUTING = 21,
};

#define FEATURE_END 0xffu

/* Behind a DONE: status, command, and a count of rows. */
#define DONE_MORE       0x0001u
#define DONE_ERROR      0x0002u
#define DONE_LEN        12u
#define DONE_LEN_BEFORE 8u /* 7.2 */

/* What a walk knows. */
struct walk {
	struct rd r;
	uint32_t version;
	struct tds_reply *reply;
};

/* Each is an identifier, and data with its length. */
static void
skip_features(struct rd *r)
{
	while (rd_u8(r) != FEATURE_END && !r->cut)
		rd_skip(r, rd_le32(r));
}

static void
read_change(struct rd body, struct tds_reply *reply)
{
	switch (rd_u8(&body)) {
	case CHANGE_ROUTING:
	case CHANGE_ENHANCED_ROUTING:
		reply->routed = true;
		break;
	}
}

/* The version that both will speak, which what follows is written in. */
static void
read_ack(struct walk *w, struct rd body)
{
	w->reply->accepted = true;
	rd_skip(&body, sizeof(uint8_t)); /* interface */
	w->version = rd_be32(&body);
	if (body.cut)
		w->r.cut = true;
}

/* A server that is older than its client rejects it before the client could
 * learn that; then nothing follows that would be mistaken. */
static void
read_done(struct walk *w)
{
	struct rd status = w->r;

	w->reply->done = (rd_le16(&status) & DONE_MORE) == 0;
	if (tds_is_before_72(w->version) ||
	    (!w->reply->accepted && w->r.left == DONE_LEN_BEFORE))
		rd_skip(&w->r, DONE_LEN_BEFORE);
	else
		rd_skip(&w->r, DONE_LEN);
}

static void
read_token(struct walk *w)
{
	const uint8_t token = rd_u8(&w->r);
	struct rd *r = &w->r;

	w->reply->done = false;
	switch (token) {
	case TOKEN_DONE:
	case TOKEN_DONEPROC:
	case TOKEN_DONEINPROC:
		read_done(w);
		return;
	case TOKEN_RETURNSTATUS:
		rd_skip(r, sizeof(uint32_t));
		return;
	case TOKEN_FEATUREEXTACK:
		skip_features(r);
		return;
	case TOKEN_SESSIONSTATE:
	case TOKEN_FEDAUTHINFO:
		rd_skip(r, rd_le32(r));
		return;
	case TOKEN_ERROR:
		w->reply->rejected = true;
		rd_skip(r, rd_le16(r));
		return;
	case TOKEN_INFO:
	case TOKEN_SSPI:
		rd_skip(r, rd_le16(r));
		return;
	case TOKEN_LOGINACK:
		read_ack(w, rd_take(r, rd_le16(r)));
		return;
	case TOKEN_ENVCHANGE:
		read_change(rd_take(r, rd_le16(r)), w->reply);
		return;
	}
	r->cut = true;
}

bool
tds_reply_read(struct rd tokens, uint32_t version, struct tds_reply *reply)
{
	struct walk w = { .r = tokens, .version = version, .reply = reply };

	*reply = (struct tds_reply){ .accepted = false };
	while (w.r.left > 0 && !w.r.cut)
		read_token(&w);
	reply->version = w.version;
	return !w.r.cut;
}

/*
 * An error.
 */

/* Drivers try again after the first two. */
enum number {
	NUMBER_UNAVAILABLE = 40613, /* "not currently available" */
	NUMBER_LIMIT = 10928,       /* "the limit ... has been reached" */
	NUMBER_REJECTED = 18456,    /* "login failed" */
};

/* Severities: of a lack of resources, and of a login that fails. */
#define CLASS_RESOURCES 17u
#define CLASS_REJECTED  14u
#define STATE           1u

#define ERROR_MAX 2048u
#define PREFIX    "dbtls: "
#define NAME      "dbtls" /* of the server that says it */

static uint32_t
number_of(enum reason reason)
{
	switch (reason_class(reason)) {
	case REASON_CLASS_TEMPORARY:
		return NUMBER_UNAVAILABLE;
	case REASON_CLASS_LIMIT:
		return NUMBER_LIMIT;
	case REASON_CLASS_PERMANENT:
		break;
	}
	return NUMBER_REJECTED;
}

static uint16_t
write_letters(struct wr *w, const char *text)
{
	uint16_t n;

	for (n = 0; text[n] != '\0' && n < NEG_TEXT_MAX; n++)
		wr_le16(w, (uint8_t)text[n] < 0x80 ? (uint8_t)text[n] : '?');
	return n;
}

/* There is but one text: the remedy is its second half. */
static void
write_text(struct wr *w, const struct neg_error *why)
{
	const size_t at = w->len;
	struct wr length = { .base = w->base + at, .cap = sizeof(uint16_t) };
	size_t n;

	wr_le16(w, 0); /* in letters, known below */
	n = write_letters(w, PREFIX);
	n += write_letters(w, why->text);
	if (why->hint != NULL) {
		n += write_letters(w, "; ");
		n += write_letters(w, why->hint);
	}
	wr_le16(&length, (uint16_t)n);
}

static void
write_error_body(struct wr *w, bool before_72, const struct neg_error *why)
{
	const uint32_t number = number_of(why->reason);

	wr_le32(w, number);
	wr_u8(w, STATE);
	wr_u8(w, number == NUMBER_REJECTED ? CLASS_REJECTED : CLASS_RESOURCES);
	write_text(w, why);
	wr_u8(w, sizeof(NAME) - 1);
	write_letters(w, NAME);
	wr_u8(w, 0); /* of no procedure */
	if (before_72)
		wr_le16(w, 0); /* in no line */
	else
		wr_le32(w, 0);
}

static void
write_done(struct wr *w, bool before_72)
{
	wr_u8(w, TOKEN_DONE);
	wr_le16(w, DONE_ERROR);
	wr_le16(w, 0); /* no command */
	wr_le32(w, 0); /* no rows */
	if (!before_72)
		wr_le32(w, 0);
}

void
tds_write_error(struct wr *out, uint32_t version, const struct neg_error *why)
{
	const bool before_72 = tds_is_before_72(version);
	uint8_t tokens[ERROR_MAX], error[ERROR_MAX];
	struct wr t = { .base = tokens, .cap = sizeof(tokens) };
	struct wr e = { .base = error, .cap = sizeof(error) };

	write_error_body(&e, before_72, why);
	wr_u8(&t, TOKEN_ERROR);
	wr_le16(&t, (uint16_t)e.len);
	wr_bytes(&t, e.base, e.len);
	write_done(&t, before_72);
	tds_write_message(out, TDS_REPLY, wr_written(&t));
}
