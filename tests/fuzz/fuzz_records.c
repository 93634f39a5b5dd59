/*
 * fuzz_records.c - one stream of records, read by ours and by OpenSSL
 *
 * Both have the same secrets.  The input is a list of things to forge, each
 * sealed with the peer's key; what comes of it must be the same:
 *
 *	kind, 1 byte:  bits 0-1 of the suite, bit 2 who we are, 3-4 the slices
 *	then, until the end:
 *	what, 1 byte: see enum what
 *	its length, 1 byte; that many bytes; how many zeroes follow, 1 byte
 *
 * Promised: no bytes break it; both open the same plaintext; where one ends in
 * order, fails or waits, so does the other; whoever has failed stays so; what
 * we answer, OpenSSL as the peer can read.  Where the two are known to judge
 * differently, only the plaintext is compared.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "protocols/bytes.h"
#include "tests/unit/duel.h"

#define FULL   16384
#define SLICES 4
#define STEPS  64   /* in one input, so that it stays quick */
#define MANY   0x80 /* of `what`: each zero counts for more, */
#define ZEROES 66   /* so that records come to be too long */

/* RFC 8446, B.1 and B.3 */
enum {
	TYPE_ALERT = 21,
	TYPE_HANDSHAKE = 22,
	TYPE_DATA = 23,
	MESSAGE_TICKET = 4,
	MESSAGE_KEY_UPDATE = 24,
};

enum what {
	WHAT_DATA = 0,
	WHAT_ALERT,
	WHAT_HANDSHAKE,
	WHAT_TYPED,  /* its first byte is the type; 0: zeroes alone */
	WHAT_CLEAR,  /* not sealed at all */
	WHAT_UPDATE, /* KeyUpdate; it asks for one if the zeroes are odd */
	WHAT_DAMAGED,
	WHAT_LONG, /* as long as there may be, and a little more */
	WHATS,
};

/* How it stands with one of the two. */
enum end {
	END_NONE = 0,
	END_ORDERLY,
	END_FAILED,
};

struct match {
	struct duel duel;
	uint8_t *theirs; /* what OpenSSL has opened */
	size_t theirs_len;
	enum end theirs_end;
	enum end ours_end;
	bool loose;  /* from here on they may be of two minds */
	bool halved; /* a message may have begun */
	bool asked;  /* OpenSSL may owe a KeyUpdate */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
set_up(void)
{
	static bool done;

	if (!done)
		duel_set_up();
	done = true;
}

/* What OpenSSL makes of it. */
static void
give_openssl(struct match *m, const uint8_t *bytes, size_t len)
{
	size_t n;
	int error;

	if (m->theirs_end != END_NONE || len == 0)
		return;
	if (BIO_write(m->duel.to_ours, bytes, (int)len) != (int)len)
		abort();
	ERR_clear_error();
	while (SSL_read_ex(m->duel.ours, m->theirs + m->theirs_len,
		   DUEL_MAX - m->theirs_len, &n) == 1)
		m->theirs_len += n;
	error = SSL_get_error(m->duel.ours, 0);
	if (error == SSL_ERROR_ZERO_RETURN)
		m->theirs_end = END_ORDERLY;
	else if (error != SSL_ERROR_WANT_READ)
		m->theirs_end = END_FAILED;
}

static void
give_ours(struct match *m, const uint8_t *bytes, size_t len)
{
	struct records_failure f;

	switch (duel_give(&m->duel, bytes, len)) {
	case RECORDS_MORE:
		if (m->ours_end != END_NONE)
			abort();
		return;
	case RECORDS_ENDED:
		if (m->ours_end == END_FAILED)
			abort();
		m->ours_end = END_ORDERLY;
		return;
	case RECORDS_FAILED:
		f = records_failure(m->duel.records);
		if (m->ours_end == END_ORDERLY || f.text == NULL)
			abort();
		m->ours_end = END_FAILED;
		return;
	case RECORDS_FULL:
	case RECORDS_TICKET:
		break;
	}
	abort();
}

static void
give(struct match *m, const uint8_t *bytes, size_t len)
{
	size_t had = m->duel.plain_len;
	bool was = m->ours_end != END_NONE;

	give_ours(m, bytes, len);
	if (was && m->duel.plain_len != had)
		abort();
	give_openssl(m, bytes, len);
}

/* Until one of them has had enough, they are alike. */
static void
compare(struct match *m)
{
	const struct duel *d = &m->duel;
	size_t n = d->plain_len < m->theirs_len ? d->plain_len : m->theirs_len;

	if (memcmp(d->plain, m->theirs, n) != 0)
		abort();
	/* By its head alone ours knows a record that cannot be. */
	if (m->ours_end == END_FAILED && m->theirs_end == END_NONE &&
	    strcmp(SSL_rstate_string(d->ours), "RB") == 0)
		m->loose = true;
	if (m->loose)
		return;
	if (d->plain_len != m->theirs_len || m->ours_end != m->theirs_end)
		abort();
}

/* Any of an unknown level; and of close_notify as a fatal one SSL_get_error()
 * says that it is no end in order, if there was a warning before it. */
static bool
alert_may_differ(struct rd alert)
{
	uint8_t level = rd_u8(&alert), what = rd_u8(&alert);

	return (level != 1 && level != 2) || (level == 2 && what == 0);
}

/* What the two judge differently: content and padding of more than 2^14 + 1,
 * the level of an alert, and what a ticket is made of.  OpenSSL, while it owes
 * a KeyUpdate, sends that instead of judging what message has come. */
static bool
may_differ(const struct match *m, uint8_t type, struct rd body, size_t zeroes)
{
	if (body.left + zeroes > FULL)
		return true;
	if (type == TYPE_ALERT)
		return alert_may_differ(body);
	if (type != TYPE_HANDSHAKE)
		return false;
	return m->asked || (m->duel.client && m->halved) ||
	    (m->duel.client &&
		memchr(body.at, MESSAGE_TICKET, body.left) != NULL);
}

static size_t
forge_typed(struct match *m, uint8_t type, struct rd body, size_t zeroes,
    uint8_t *out)
{
	m->loose = m->loose || may_differ(m, type, body, zeroes);
	if (type == TYPE_HANDSHAKE) {
		m->halved = true;
		m->asked = m->asked ||
		    memchr(body.at, MESSAGE_KEY_UPDATE, body.left) != NULL;
	}
	return forge(&m->duel.forger, type, body.at, body.left, zeroes, out);
}

static size_t
forge_update(struct match *m, uint8_t request, uint8_t *out)
{
	const uint8_t update[] = { MESSAGE_KEY_UPDATE, 0, 0, 1, request };
	size_t n = forge(&m->duel.forger, TYPE_HANDSHAKE, update,
	    sizeof(update), 0, out);

	forger_update(&m->duel.forger);
	m->asked = m->asked || request == 1;
	return n;
}

static size_t
forge_one(struct match *m, enum what what, struct rd body, size_t zeroes,
    uint8_t *out)
{
	static const uint8_t full[FULL];
	const struct rd none = { .at = full };
	uint8_t type;
	size_t n;

	switch (what) {
	case WHAT_ALERT:
		return forge_typed(m, TYPE_ALERT, body, zeroes, out);
	case WHAT_HANDSHAKE:
		return forge_typed(m, TYPE_HANDSHAKE, body, zeroes, out);
	case WHAT_TYPED:
		type = rd_u8(&body);
		return forge_typed(m, type, type == 0 ? none : body, zeroes,
		    out);
	case WHAT_CLEAR:
		memcpy(out, body.at, body.left);
		return body.left;
	case WHAT_UPDATE:
		return forge_update(m, zeroes & 1, out);
	case WHAT_DAMAGED:
		n = forge_typed(m, TYPE_DATA, body, 0, out);
		out[zeroes % n] ^= 1;
		return n;
	case WHAT_LONG:
		body = (struct rd){ .at = full, .left = FULL - body.left % 3 };
		return forge_typed(m, TYPE_DATA, body, zeroes % 4, out);
	case WHAT_DATA:
	case WHATS:
		break;
	}
	return forge_typed(m, TYPE_DATA, body, zeroes, out);
}

/* False: that was all. */
static bool
step(struct match *m, struct rd *input)
{
	static uint8_t out[2 * FULL];
	uint8_t what = rd_u8(input);
	struct rd body = rd_take(input, rd_u8(input));
	size_t zeroes = rd_u8(input);

	if (input->cut)
		return false;
	if (what & MANY)
		zeroes *= ZEROES;
	give(m, out,
	    forge_one(m, (enum what)((what & ~MANY) % WHATS), body, zeroes,
		out));
	compare(m);
	return true;
}

/* Whatever we have said is understood. */
static void
read_as_peer(struct match *m)
{
	uint8_t got[64];
	size_t len;
	int error;

	if (m->ours_end == END_NONE)
		duel_seal(&m->duel, "after all", 9);
	error = duel_peer_read(&m->duel, got, sizeof(got), &len);
	if (m->ours_end == END_NONE &&
	    (len != 9 || memcmp(got, "after all", 9) != 0))
		abort();
	/* It fails by an alert of ours, and by nothing else. */
	if (error == SSL_ERROR_SSL &&
	    (m->ours_end != END_FAILED ||
		ERR_GET_REASON(ERR_peek_error()) < SSL_AD_REASON_OFFSET))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t slices[SLICES] = { SIZE_MAX, 1, 3, 1000 };
	struct rd input = { .at = data, .left = size };
	struct match m = { .theirs_len = 0 };
	uint8_t kind = rd_u8(&input);
	unsigned steps = 0;

	if (input.cut)
		return 0;
	set_up();
	duel_open(&m.duel, duel_suites[kind % 4 % DUEL_SUITES], (kind & 4) != 0,
	    0);
	m.duel.slice = slices[kind >> 3 & 3];
	m.theirs = malloc(DUEL_MAX);
	assert(m.theirs != NULL);
	while (steps++ < STEPS && step(&m, &input))
		continue;
	read_as_peer(&m);
	free(m.theirs);
	duel_close(&m.duel);
	return 0;
}
