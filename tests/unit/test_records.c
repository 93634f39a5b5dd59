/*
 * The record layer of our own: against OpenSSL as the peer, and against a
 * forger who has the peer's keys.
 */
#include "proxy/tls_records.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>
#include <openssl/err.h>

#include "tests/unit/duel.h"
#include "tests/unit/unit.h"

#define FULL       16384
#define SEALED_MAX (FULL + 256)
#define BULK       100003
#define TICKET_MAX (4 + 4 + 1 + 255 + 2 + 65535 + 2 + 65534)

enum {
	CCS = 20,
	ALERT = 21,
	HANDSHAKE = 22,
	DATA = 23,
};

static const uint16_t *const each = duel_suites;

/*
 * OpenSSL as the peer
 */

static void
peer_writes(struct duel *d, const uint8_t *bytes, size_t len, size_t part)
{
	size_t at, n, done;

	for (at = 0; at < len; at += n) {
		n = len - at < part ? len - at : part;
		assert(SSL_write_ex(d->peer, bytes + at, n, &done) == 1);
	}
}

static void
bulk_passes_both_ways_in_any_slices(void)
{
	static const size_t slices[] = { 1, 3, SIZE_MAX };
	static const size_t parts[] = { BULK, 777, FULL + 1 };
	uint8_t *bytes = unit_pattern(BULK), *got = malloc(BULK);
	struct duel d;
	size_t i, len;
	unsigned n;

	for (n = 0; n < 3 * 2 * 3; n++) {
		i = n % 3;
		duel_open(&d, each[n / 6], n / 3 % 2 == 0, 0);
		d.slice = slices[i];
		peer_writes(&d, bytes, BULK, parts[i]);
		CU_ASSERT_EQUAL(duel_pump(&d), RECORDS_MORE);
		CU_ASSERT_EQUAL_FATAL(d.plain_len, BULK);
		CU_ASSERT_EQUAL(memcmp(d.plain, bytes, BULK), 0);
		CU_ASSERT_TRUE(records_rest(d.records));
		for (len = 0; len < BULK; len += parts[i])
			duel_seal(&d, bytes + len,
			    BULK - len < parts[i] ? BULK - len : parts[i]);
		CU_ASSERT_EQUAL(duel_peer_read(&d, got, BULK, &len), 0);
		CU_ASSERT_EQUAL(memcmp(got, bytes, BULK), 0);
		duel_close(&d);
	}
	free(bytes);
	free(got);
}

/* The same key, the same number, the same plaintext: the same record. */
static void
records_are_those_of_openssl(void)
{
	static const size_t lens[] = { 1, 15, 16, 17, 511, FULL - 1, FULL,
		FULL + 1, BULK };
	uint8_t *bytes = unit_pattern(BULK);
	struct duel d;
	size_t i, done;
	char *theirs;
	unsigned n;
	long len;

	for (n = 0; n < 6; n++) {
		duel_open(&d, each[n / 2], n % 2 == 0, 0);
		for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			duel_seal(&d, bytes, lens[i]);
			CU_ASSERT_EQUAL(
			    SSL_write_ex(d.ours, bytes, lens[i], &done), 1);
		}
		len = BIO_get_mem_data(SSL_get_wbio(d.ours), &theirs);
		CU_ASSERT_EQUAL_FATAL((size_t)len, d.out_len);
		CU_ASSERT_EQUAL(memcmp(theirs, d.out, d.out_len), 0);
		duel_close(&d);
	}
	free(bytes);
}

static void
close_notify_is_told_both_ways(void)
{
	struct records_io io;
	struct duel d;
	uint8_t got[16];
	size_t len;
	unsigned n;

	for (n = 0; n < 6; n++) {
		duel_open(&d, each[n / 2], n % 2 == 0, 0);
		peer_writes(&d, (const uint8_t *)"bye", 3, 3);
		(void)SSL_shutdown(d.peer);
		CU_ASSERT_EQUAL(duel_pump(&d), RECORDS_ENDED);
		CU_ASSERT(d.plain_len == 3 && memcmp(d.plain, "bye", 3) == 0);
		CU_ASSERT_EQUAL(d.out_len, 0);
		/* nothing after it is read, not even what is no record */
		CU_ASSERT_EQUAL(duel_give(&d, (const uint8_t *)"HTTP/1.1", 8),
		    RECORDS_ENDED);
		duel_seal(&d, "more", 4);
		io = (struct records_io){ .out = d.out + d.out_len,
			.out_cap = RECORDS_ANSWER_MAX };
		CU_ASSERT_TRUE(records_close(d.records, &io));
		CU_ASSERT(io.out_len > 0);
		d.out_len += io.out_len;
		CU_ASSERT_TRUE(records_close(d.records, &io));
		CU_ASSERT_EQUAL(io.out_len, RECORDS_OVERHEAD + 2);
		CU_ASSERT_EQUAL(duel_peer_read(&d, got, sizeof(got), &len),
		    SSL_ERROR_ZERO_RETURN);
		CU_ASSERT(len == 4 && memcmp(got, "more", 4) == 0);
		duel_close(&d);
	}
}

/* However much is missing, it is never an end. */
static void
truncation_is_no_end(void)
{
	uint8_t record[64];
	struct duel d;
	size_t cut, n;

	for (cut = 1; cut < 24; cut++) {
		duel_open(&d, each[0], true, 0);
		n = forge(&d.forger, ALERT, "\1\0", 2, 0, record);
		CU_ASSERT_EQUAL(duel_give(&d, record, n - cut), RECORDS_MORE);
		CU_ASSERT_EQUAL(records_rest(d.records), cut == n);
		/* what the head says, once it has come */
		CU_ASSERT_EQUAL(records_lacks(d.records),
		    cut == n                     ? 0
			: n - cut < RECORDS_HEAD ? RECORDS_HEAD - (n - cut)
						 : cut);
		CU_ASSERT_EQUAL(duel_give(&d, record + n - cut, cut),
		    RECORDS_ENDED);
		duel_close(&d);
	}
}

/*
 * KeyUpdate
 */

static void
expect_exchange(struct duel *d)
{
	uint8_t got[8];
	size_t len;

	d->plain_len = 0;
	peer_writes(d, (const uint8_t *)"question", 8, 8);
	CU_ASSERT_EQUAL(duel_pump(d), RECORDS_MORE);
	CU_ASSERT(d->plain_len == 8 && memcmp(d->plain, "question", 8) == 0);
	duel_seal(d, "answered", 8);
	CU_ASSERT_EQUAL(duel_peer_read(d, got, 8, &len), 0);
	CU_ASSERT(len == 8 && memcmp(got, "answered", 8) == 0);
}

static void
keys_of_the_peer_are_followed(void)
{
	static const int kinds[] = { SSL_KEY_UPDATE_NOT_REQUESTED,
		SSL_KEY_UPDATE_REQUESTED };
	struct duel d;
	unsigned n, i;

	for (n = 0; n < 12; n++) {
		duel_open(&d, each[n / 4], n / 2 % 2 == 0, 0);
		for (i = 0; i < 5; i++) {
			CU_ASSERT_EQUAL(SSL_key_update(d.peer, kinds[n % 2]),
			    1);
			expect_exchange(&d);
			/* it asked, and has been answered */
			CU_ASSERT_EQUAL(SSL_get_key_update_type(d.peer),
			    SSL_KEY_UPDATE_NONE);
		}
		duel_close(&d);
	}
}

static size_t
forge_updates(struct duel *d, uint8_t *bytes, unsigned updates, uint8_t request)
{
	uint8_t message[] = { 24, 0, 0, 1, request };
	size_t n = 0;

	while (updates-- > 0) {
		n += forge(&d->forger, HANDSHAKE, message, sizeof(message), 0,
		    bytes + n);
		forger_update(&d->forger);
	}
	return n;
}

/* Many are asked for in one read; and one answer is enough. */
static void
requests_in_one_read_have_one_answer(void)
{
	uint8_t bytes[2048];
	struct duel d;
	unsigned n;
	size_t len;

	for (n = 0; n < 6; n++) {
		duel_open(&d, each[n / 2], n % 2 == 0, 0);
		len = forge_updates(&d, bytes, 20, 1);
		len += forge(&d.forger, DATA, "x", 1, 0, bytes + len);
		CU_ASSERT_EQUAL(duel_give(&d, bytes, len), RECORDS_MORE);
		CU_ASSERT_EQUAL(d.plain_len, 1);
		CU_ASSERT_EQUAL(d.out_len, RECORDS_OVERHEAD + 5);
		/* The peer has our next key by that, and is told by it. */
		duel_seal(&d, "y", 1);
		CU_ASSERT_EQUAL(duel_peer_read(&d, bytes, 1, &len), 0);
		duel_close(&d);
	}
}

static void
requests_after_our_end_are_not_answered(void)
{
	uint8_t bytes[256], end[RECORDS_ANSWER_MAX];
	struct records_io io = { .out = end, .out_cap = sizeof(end) };
	struct duel d;
	size_t len;

	duel_open(&d, each[0], true, 0);
	CU_ASSERT_TRUE(records_close(d.records, &io));
	len = forge_updates(&d, bytes, 1, 1);
	len += forge(&d.forger, DATA, "x", 1, 0, bytes + len);
	CU_ASSERT_EQUAL(duel_give(&d, bytes, len), RECORDS_MORE);
	CU_ASSERT(d.plain_len == 1 && d.out_len == 0);
	duel_close(&d);
}

static void
updates_for_no_data_are_bounded(void)
{
	uint8_t *bytes = malloc(1100 * 27);
	struct duel d;
	size_t n;

	duel_open(&d, each[0], true, 0);
	n = forge_updates(&d, bytes, 1024, 0);
	n += forge(&d.forger, DATA, "x", 1, 0, bytes + n);
	CU_ASSERT_EQUAL(duel_give(&d, bytes, n), RECORDS_MORE);
	CU_ASSERT_EQUAL(d.plain_len, 1);
	n = forge_updates(&d, bytes, 1025, 0);
	CU_ASSERT_EQUAL(duel_give(&d, bytes, n), RECORDS_FAILED);
	free(bytes);
	duel_close(&d);
}

static void
count_updates(int sent, int version, int type, const void *bytes, size_t len,
    SSL *ssl, void *arg)
{
	unsigned *n = arg;

	(void)version;
	(void)ssl;
	if (sent == 0 && type == SSL3_RT_HANDSHAKE && len == 5 &&
	    *(const uint8_t *)bytes == SSL3_MT_KEY_UPDATE)
		n[((const uint8_t *)bytes)[4]]++;
}

#define REKEY 100

/* No key seals more than it may, the KeyUpdate itself counted. */
static void
our_key_is_changed_in_time(void)
{
	unsigned updates[2], n, i;
	struct duel d;
	uint8_t got;
	size_t len;

	for (n = 0; n < 6; n++) {
		updates[0] = updates[1] = 0;
		duel_open_with(&d, each[n / 2], n % 2 == 0, REKEY);
		SSL_set_msg_callback(d.peer, count_updates);
		SSL_set_msg_callback_arg(d.peer, updates);
		for (i = 0; i < 10 * REKEY; i++) {
			duel_seal(&d, "x", 1);
			CU_ASSERT_EQUAL(duel_peer_read(&d, &got, 1, &len), 0);
			CU_ASSERT_EQUAL(updates[0], i / (REKEY - 1));
		}
		CU_ASSERT_EQUAL(updates[1], 0);
		duel_close(&d);
	}
}

/* OpenSSL does not change its keys by itself: it is asked to. */
static void
peer_is_asked_for_its_next_key(void)
{
	unsigned updates[2], n, i;
	struct duel d;
	uint8_t got[16];
	size_t len;

	for (n = 0; n < 6; n++) {
		updates[0] = updates[1] = 0;
		duel_open_with(&d, each[n / 2], n % 2 == 0, REKEY);
		SSL_set_msg_callback(d.peer, count_updates);
		SSL_set_msg_callback_arg(d.peer, updates);
		for (i = 0; i < 10 * REKEY; i++) {
			peer_writes(&d, (const uint8_t *)"x", 1, 1);
			CU_ASSERT_EQUAL_FATAL(duel_pump(&d), RECORDS_MORE);
			(void)duel_peer_read(&d, got, sizeof(got), &len);
		}
		CU_ASSERT_EQUAL(d.plain_len, 10 * REKEY);
		CU_ASSERT(updates[1] >= 9 && updates[1] <= 10);
		CU_ASSERT_EQUAL(updates[0], 0);
		expect_exchange(&d);
		duel_close(&d);
	}
}

/* It does not read for long: one question waits for it, and nothing of our own
 * keys while they can wait. */
static void
peer_that_owes_its_key_is_not_asked_again(void)
{
	static const unsigned sealed[] = { 2 * REKEY, 6 * REKEY };
	unsigned updates[2], n, i;
	struct duel d;
	uint8_t *got = malloc(6 * REKEY);
	size_t len;

	for (n = 0; n < 2; n++) {
		updates[0] = updates[1] = 0;
		duel_open_with(&d, each[0], true, REKEY);
		SSL_set_msg_callback(d.peer, count_updates);
		SSL_set_msg_callback_arg(d.peer, updates);
		for (i = 0; i < sealed[n]; i++) {
			peer_writes(&d, (const uint8_t *)"x", 1, 1);
			CU_ASSERT_EQUAL_FATAL(duel_pump(&d), RECORDS_MORE);
			if (i >= REKEY - REKEY / 4)
				duel_seal(&d, "y", 1);
		}
		(void)duel_peer_read(&d, got, 6 * REKEY, &len);
		CU_ASSERT_EQUAL(len, sealed[n] - (REKEY - REKEY / 4));
		CU_ASSERT_EQUAL(updates[1], 1);
		/* 100 after the question's own key, and 500 */
		CU_ASSERT_EQUAL(updates[0], n == 0 ? 0 : 3);
		expect_exchange(&d);
		duel_close(&d);
	}
	free(got);
}

/*
 * Memory that is short
 */

/* OpenSSL's allocations until one fails; 0: none does. */
static unsigned memory_left;

static bool
memory_is_short(void)
{
	return memory_left > 0 && --memory_left == 0;
}

static void *
take_memory(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return memory_is_short() ? NULL : malloc(n);
}

static void *
change_memory(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return memory_is_short() ? NULL : realloc(p, n);
}

static void
give_memory(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/* False: no allocation failed.  Whatever we say then is sealed as the peer
 * expects it: with a key of which no number was used before. */
static bool
update_fails_at(unsigned allocation, uint16_t suite)
{
	uint8_t bytes[64], got;
	struct duel d;
	bool failed;
	size_t len;

	duel_open(&d, suite, true, 0);
	duel_seal(&d, "x", 1);
	CU_ASSERT_EQUAL(duel_peer_read(&d, &got, 1, &len), 0);
	len = forge_updates(&d, bytes, 1, 1);
	memory_left = allocation;
	(void)duel_give(&d, bytes, len);
	failed = memory_left == 0;
	memory_left = 0;
	CU_ASSERT_EQUAL(d.result, failed ? RECORDS_FAILED : RECORDS_MORE);
	ERR_clear_error();
	if (duel_peer_read(&d, &got, 1, &len) == SSL_ERROR_SSL)
		CU_ASSERT_EQUAL(ERR_GET_REASON(ERR_peek_error()),
		    SSL_R_TLSV1_ALERT_INTERNAL_ERROR);
	ERR_clear_error();
	duel_close(&d);
	return failed;
}

static void
no_number_is_used_twice_where_memory_is_short(void)
{
	unsigned n, i;

	for (i = 0; i < 3; i++) {
		n = 1;
		while (update_fails_at(n, each[i]))
			n++;
		CU_ASSERT(n > 4);
	}
}

/*
 * Tickets
 */

static void
tickets_are_seen_one_by_one(void)
{
	static const size_t slices[] = { 1, 100, SIZE_MAX };
	struct duel d;
	size_t i;

	for (i = 0; i < 3; i++) {
		duel_open(&d, each[i], true, 4);
		d.slice = slices[i];
		CU_ASSERT_EQUAL(duel_pump(&d), RECORDS_MORE);
		CU_ASSERT_EQUAL(d.tickets, 4);
		CU_ASSERT_EQUAL(d.plain_len, 0);
		CU_ASSERT_TRUE(records_rest(d.records));
		d.slice = SIZE_MAX;
		expect_exchange(&d);
		duel_close(&d);
	}
}

/* A ticket of so many bytes; `body` needs room for TICKET_MAX + 4. */
static size_t
make_ticket(uint8_t *message, size_t nonce, size_t ticket, size_t extensions)
{
	size_t n = 4, len;

	memset(message, 0, TICKET_MAX + 4);
	n += 8;
	message[n++] = (uint8_t)nonce;
	n += nonce;
	message[n++] = (uint8_t)(ticket >> 8);
	message[n++] = (uint8_t)ticket;
	n += ticket;
	message[n++] = (uint8_t)(extensions >> 8);
	message[n++] = (uint8_t)extensions;
	if (extensions >= 4) {
		message[n + 2] = (uint8_t)((extensions - 4) >> 8);
		message[n + 3] = (uint8_t)(extensions - 4);
	}
	n += extensions;
	len = n - 4;
	message[0] = 4;
	message[1] = (uint8_t)(len >> 16);
	message[2] = (uint8_t)(len >> 8);
	message[3] = (uint8_t)len;
	return n;
}

/* In records of so many bytes. */
static enum records_result
forge_message(struct duel *d, const uint8_t *message, size_t len, size_t part)
{
	size_t n;

	for (; len > 0; message += n, len -= n) {
		n = len < part ? len : part;
		if (duel_forge(d, HANDSHAKE, message, n, 0) != RECORDS_MORE)
			break;
	}
	return d->result;
}

static void
messages_are_split_and_joined(void)
{
	uint8_t *message = malloc(3 * (TICKET_MAX + 4));
	struct duel d;
	size_t len, n;

	duel_open(&d, each[0], true, 0);
	len = make_ticket(message, 8, 50, 4);
	CU_ASSERT_EQUAL(forge_message(&d, message, len, 1), RECORDS_MORE);
	CU_ASSERT_EQUAL(d.tickets, 1);
	/* Two, and a half. */
	n = make_ticket(message + len, 0, 1, 0);
	n += len + make_ticket(message + len + n, 0, 7, 0);
	CU_ASSERT_EQUAL(duel_forge(&d, HANDSHAKE, message, n - 3, 0),
	    RECORDS_MORE);
	CU_ASSERT_EQUAL(d.tickets, 3);
	CU_ASSERT_FALSE(records_rest(d.records));
	CU_ASSERT_EQUAL(duel_forge(&d, HANDSHAKE, message + n - 3, 3, 0),
	    RECORDS_MORE);
	CU_ASSERT_EQUAL(d.tickets, 4);
	CU_ASSERT_TRUE(records_rest(d.records));
	/* The longest there can be. */
	len = make_ticket(message, 255, 65535, 65534);
	CU_ASSERT_EQUAL(len, TICKET_MAX + 4);
	CU_ASSERT_EQUAL(forge_message(&d, message, len, FULL), RECORDS_MORE);
	CU_ASSERT_EQUAL(d.tickets, 5);
	/* Behind a ticket, in its record: and then it is at the end. */
	len = make_ticket(message, 0, 1, 0);
	memcpy(message + len, "\x18\0\0\1\0", 5);
	CU_ASSERT_EQUAL(duel_forge(&d, HANDSHAKE, message, len + 5, 0),
	    RECORDS_MORE);
	forger_update(&d.forger);
	CU_ASSERT_EQUAL(duel_forge(&d, DATA, "x", 1, 0), RECORDS_MORE);
	CU_ASSERT_EQUAL(d.plain_len, 1);
	free(message);
	duel_close(&d);
}

/*
 * What is refused
 */

struct refusal {
	uint8_t type;
	const char *content;
	size_t len;
	size_t padding;
	int alert;
	const char *text;
};
#define S(literal) literal, sizeof(literal) - 1

static const struct refusal refusals[] = {
	/* padding */
	{ 0, "", 0, 0, 20, "too short" },
	{ 0, "", 0, 1, 10, "padding alone" },
	{ 0, "", 0, FULL + 1, 10, "padding alone" },
	{ DATA, "x", 1, FULL, 22, "too long" },
	{ 0, "", 0, FULL + 2, 22, "too long" },
	{ 0, "", 0, SEALED_MAX - 16, 22, "too long" },
	{ 0, "", 0, SEALED_MAX - 15, 22, "too long" },
	/* types */
	{ CCS, S("\1"), 0, 10, "unknown type" },
	{ 24, S("\1"), 0, 10, "unknown type" },
	{ 255, S("\1"), 0, 10, "unknown type" },
	{ 1, "", 0, 0, 10, "unknown type" },
	/* alerts */
	{ ALERT, "", 0, 0, 50, "length" },
	{ ALERT, S("\1"), 0, 50, "length" },
	{ ALERT, S("\1\0\0"), 0, 50, "length" },
	{ ALERT, S("\1\0\1\0"), 0, 50, "length" },
	{ ALERT, S("\0\0"), 0, 47, "level" },
	{ ALERT, S("\3\0"), 0, 47, "level" },
	/* messages */
	{ HANDSHAKE, "", 0, 0, 10, "nothing in it" },
	{ HANDSHAKE, "", 0, 100, 10, "nothing in it" },
	{ HANDSHAKE, S("\0\0\0\0"), 0, 10, "out of place" },
	{ HANDSHAKE, S("\1\0\0\4abcd"), 0, 10, "out of place" },
	{ HANDSHAKE, S("\2\0\1\0"), 0, 10, "out of place" },
	{ HANDSHAKE, S("\5\0\0\0"), 0, 10, "out of place" },
	{ HANDSHAKE, S("\x0b\0\0\0"), 0, 10, "out of place" },
	{ HANDSHAKE, S("\x0d\0\0\3\0\0\0"), 0, 10, "out of place" },
	{ HANDSHAKE, S("\x14\0\0\0"), 0, 10, "out of place" },
	{ HANDSHAKE, S("\xfe\0\0\0"), 0, 10, "out of place" },
	/* KeyUpdate */
	{ HANDSHAKE, S("\x18\0\0\0"), 0, 50, "length" },
	{ HANDSHAKE, S("\x18\0\0\2\0\0"), 0, 50, "length" },
	{ HANDSHAKE, S("\x18\0\0\5\0"), 0, 50, "length" },
	{ HANDSHAKE, S("\x18\xff\xff\xff"), 0, 50, "length" },
	{ HANDSHAKE, S("\x18\0\0\1\2"), 0, 47, "unknown" },
	{ HANDSHAKE, S("\x18\0\0\1\xff"), 0, 47, "unknown" },
	{ HANDSHAKE, S("\x18\0\0\1\0\x18"), 0, 10, "behind" },
	{ HANDSHAKE, S("\x18\0\0\1\1\x18\0\0\1\1"), 0, 10, "behind" },
	/* tickets: cut, or with more than belongs to them */
	{ HANDSHAKE, S("\4\0\0\0"), 0, 50, "ticket" },
	{ HANDSHAKE, S("\4\0\0\x0d\0\0\0\0\0\0\0\0\0\0\0\0\0"), 0, 50,
	    "ticket" },
	{ HANDSHAKE, S("\4\0\0\x0e\0\0\0\0\0\0\0\0\0\0\1x\0\1"), 0, 50,
	    "ticket" },
	{ HANDSHAKE, S("\4\0\0\x0f\0\0\0\0\0\0\0\0\0\0\1x\0\0y"), 0, 50,
	    "ticket" },
	{ HANDSHAKE, S("\4\0\0\x10\0\0\0\0\0\0\0\0\xff\0\1x\0\0yz"), 0, 50,
	    "ticket" },
	{ HANDSHAKE, S("\4\0\0\x12\0\0\0\0\0\0\0\0\0\0\1x\0\4\0*\0\1"), 0, 50,
	    "ticket" },
	{ HANDSHAKE, S("\4\2\1\x0a"), 0, 50, "too long" },
};

/* It says so, to us and to the peer, and that is final. */
static void
expect_refused(struct duel *d, int alert, const char *text)
{
	struct records_failure f = records_failure(d->records);
	size_t had = d->plain_len, len;
	uint8_t got;
	bool fits = f.text != NULL && strstr(f.text, text) != NULL;

	CU_ASSERT_EQUAL_FATAL(d->result, RECORDS_FAILED);
	CU_ASSERT_EQUAL(f.alert_sent, alert);
	CU_ASSERT_EQUAL(f.alert_received, -1);
	CU_ASSERT_TRUE(fits);
	if (!fits || f.alert_sent != alert)
		fprintf(stderr, "got %d %s, not %d %s\n", f.alert_sent, f.text,
		    alert, text);
	CU_ASSERT_EQUAL(duel_peer_read(d, &got, 1, &len), SSL_ERROR_SSL);
	CU_ASSERT_EQUAL(ERR_GET_REASON(ERR_peek_error()),
	    SSL_AD_REASON_OFFSET + alert);
	CU_ASSERT_EQUAL(duel_forge(d, DATA, "late", 4, 0), RECORDS_FAILED);
	CU_ASSERT(d->plain_len == had && d->out_len == 0);
	CU_ASSERT_FALSE(records_rest(d->records));
}

static void
what_is_wrong_is_refused(void)
{
	const struct refusal *row;
	struct duel d;
	size_t i;

	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		row = &refusals[i];
		duel_open(&d, each[i % 3], true, 0);
		d.slice = i % 2 == 0 ? SIZE_MAX : 3;
		CU_ASSERT_EQUAL(duel_forge(&d, DATA, "before", 6, 0),
		    RECORDS_MORE);
		(void)duel_forge(&d, row->type, row->content, row->len,
		    row->padding);
		CU_ASSERT_EQUAL(d.plain_len, 6);
		expect_refused(&d, row->alert, row->text);
		duel_close(&d);
	}
}

static void
clients_send_no_tickets(void)
{
	uint8_t *message = malloc(TICKET_MAX + 4);
	struct duel d;
	size_t n;

	duel_open(&d, each[0], false, 0);
	n = make_ticket(message, 0, 1, 0);
	(void)duel_forge(&d, HANDSHAKE, message, n, 0);
	expect_refused(&d, 10, "out of place");
	free(message);
	duel_close(&d);
}

static void
padding_is_taken_off(void)
{
	uint8_t *bytes = unit_pattern(FULL);
	struct duel d;
	unsigned n;

	bytes[FULL - 1] = 0; /* which is no padding */
	for (n = 0; n < 3; n++) {
		duel_open(&d, each[n], true, 0);
		CU_ASSERT_EQUAL(duel_forge(&d, DATA, bytes, FULL, 0),
		    RECORDS_MORE);
		CU_ASSERT_EQUAL(duel_forge(&d, DATA, "x", 1, FULL - 1),
		    RECORDS_MORE);
		CU_ASSERT_EQUAL(duel_forge(&d, DATA, "\0", 1, 5), RECORDS_MORE);
		CU_ASSERT_EQUAL(duel_forge(&d, DATA, "", 0, FULL),
		    RECORDS_MORE);
		CU_ASSERT_EQUAL_FATAL(d.plain_len, FULL + 2);
		CU_ASSERT_EQUAL(memcmp(d.plain, bytes, FULL), 0);
		CU_ASSERT_EQUAL(memcmp(d.plain + FULL, "x\0", 2), 0);
		CU_ASSERT_EQUAL(duel_forge(&d, ALERT, "\1\0", 2, 1000),
		    RECORDS_ENDED);
		duel_close(&d);
	}
	free(bytes);
}

static void
empty_records_are_bounded(void)
{
	struct duel d;
	int i;

	duel_open(&d, each[0], true, 0);
	for (i = 0; i < 32; i++)
		CU_ASSERT_EQUAL(duel_forge(&d, DATA, "", 0, 0), RECORDS_MORE);
	CU_ASSERT_EQUAL(duel_forge(&d, DATA, "x", 1, 0), RECORDS_MORE);
	for (i = 0; i < 32; i++)
		CU_ASSERT_EQUAL(duel_forge(&d, DATA, "", 0, (size_t)i),
		    RECORDS_MORE);
	(void)duel_forge(&d, DATA, "", 0, 0);
	expect_refused(&d, 10, "too many");
	duel_close(&d);
}

static void
every_alert_but_two_is_the_end(void)
{
	uint8_t alert[2];
	struct duel d;
	int what, level;

	for (what = 0; what < 256; what++) {
		level = what % 2 + 1;
		alert[0] = (uint8_t)level;
		alert[1] = (uint8_t)what;
		duel_open(&d, each[what % 3], what / 3 % 2 == 0, 0);
		(void)duel_forge(&d, ALERT, alert, 2, 0);
		if (what == SSL3_AD_CLOSE_NOTIFY) {
			CU_ASSERT_EQUAL(d.result, RECORDS_ENDED);
		} else if (what == TLS1_AD_USER_CANCELLED) {
			CU_ASSERT_EQUAL(d.result, RECORDS_MORE);
		} else {
			CU_ASSERT_EQUAL(d.result, RECORDS_FAILED);
			CU_ASSERT_EQUAL(
			    records_failure(d.records).alert_received, what);
			CU_ASSERT_EQUAL(records_failure(d.records).alert_sent,
			    -1);
		}
		CU_ASSERT_EQUAL(d.out_len, 0);
		duel_close(&d);
	}
}

static void
user_canceled_is_bounded(void)
{
	struct duel d;
	int i, round;

	duel_open(&d, each[0], true, 0);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 4; i++)
			CU_ASSERT_EQUAL(duel_forge(&d, ALERT, "\1\x5a", 2, 0),
			    RECORDS_MORE);
		if (round == 0)
			CU_ASSERT_EQUAL(duel_forge(&d, DATA, "x", 1, 0),
			    RECORDS_MORE);
	}
	(void)duel_forge(&d, ALERT, "\2\x5a", 2, 0);
	expect_refused(&d, 10, "too many");
	duel_close(&d);
}

static void
nothing_stands_within_a_message(void)
{
	static const struct {
		uint8_t type;
		const char *content;
		size_t len;
	} between[] = { { DATA, "x", 1 }, { DATA, "", 0 }, { ALERT, "\1\0", 2 },
		{ ALERT, "\1\x5a", 2 }, { ALERT, "\2\x28", 2 } };
	struct duel d;
	size_t i;

	for (i = 0; i < sizeof(between) / sizeof(between[0]); i++) {
		duel_open(&d, each[0], true, 0);
		CU_ASSERT_EQUAL(duel_forge(&d, HANDSHAKE, "\x18\0\0", 3, 0),
		    RECORDS_MORE);
		(void)duel_forge(&d, between[i].type, between[i].content,
		    between[i].len, 0);
		CU_ASSERT_EQUAL(d.plain_len, 0);
		expect_refused(&d, 10, "in the midst of a TLS message");
		duel_close(&d);
	}
}

/* As they would stand on the wire without TLS's keys. */
static void
what_is_not_sealed_is_refused(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		int alert;
		const char *text;
	} rows[] = {
		{ S("\x14\3\3\0\1\1"), 10, "in clear" },
		{ S("\x15\3\3\0\2\1\0"), 10, "in clear" },
		{ S("\x15\3\3\0\2\2\x28"), 10, "in clear" },
		{ S("\x16\3\3\0\5\x18\0\0\1\0"), 10, "in clear" },
		{ S("\x18\3\3\0\3\1\0\0"), 10, "no TLS record" },
		{ S("HTTP/1.1 200 OK\r\n"), 10, "no TLS record" },
		{ S("\0\0\0\0\0"), 10, "no TLS record" },
		{ S("\x17\3\1\0\x20"), 10, "no TLS record" },
		{ S("\x17\3\4\0\x20"), 10, "no TLS record" },
		{ S("\x17\2\0\0\x20"), 10, "no TLS record" },
		{ S("\x17\3\3\0\0"), 20, "too short" },
		{ S("\x17\3\3\0\x10"), 20, "too short" },
		{ S("\x17\3\3\x41\1"), 22, "too long" },
		{ S("\x17\3\3\xff\xff"), 22, "too long" },
		{ S("\x17\3\3\0\x11"
		    "12345678901234567"),
		    20, "damaged or forged" },
	};
	struct duel d;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		duel_open(&d, each[i % 3], i % 2 == 0, 0);
		d.slice = i % 2 == 0 ? SIZE_MAX : 1;
		(void)duel_give(&d, (const uint8_t *)rows[i].bytes,
		    rows[i].len);
		expect_refused(&d, rows[i].alert, rows[i].text);
		duel_close(&d);
	}
}

/* Wherever it is: head, content, tag. */
static void
one_bit_is_noticed(void)
{
	uint8_t record[64], changed[64];
	struct duel d;
	size_t n, bit;

	for (bit = 0; bit < 8 * 26; bit++) {
		duel_open(&d, each[bit % 3], true, 0);
		n = forge(&d.forger, DATA, "good", 4, 0, record);
		CU_ASSERT_EQUAL(n, 26);
		memcpy(changed, record, n);
		changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		(void)duel_give(&d, changed, n);
		/* a longer record may be waited for */
		CU_ASSERT_NOT_EQUAL(d.result, RECORDS_ENDED);
		CU_ASSERT(
		    d.result == RECORDS_FAILED || bit / 8 == 3 || bit / 8 == 4);
		CU_ASSERT_EQUAL(d.plain_len, 0);
		duel_close(&d);
	}
}

static void
order_is_kept(void)
{
	uint8_t one[64], two[64];
	struct duel d;
	size_t n;

	/* the second first; the first twice; one of another key */
	duel_open(&d, each[0], true, 0);
	(void)forge(&d.forger, DATA, "1", 1, 0, one);
	n = forge(&d.forger, DATA, "2", 1, 0, two);
	(void)duel_give(&d, two, n);
	expect_refused(&d, 20, "damaged or forged");
	duel_close(&d);

	duel_open(&d, each[1], true, 0);
	n = forge(&d.forger, DATA, "1", 1, 0, one);
	CU_ASSERT_EQUAL(duel_give(&d, one, n), RECORDS_MORE);
	(void)duel_give(&d, one, n);
	CU_ASSERT_EQUAL(d.plain_len, 1);
	expect_refused(&d, 20, "damaged or forged");
	duel_close(&d);

	duel_open(&d, each[2], true, 0);
	forger_update(&d.forger);
	n = forge(&d.forger, DATA, "1", 1, 0, one);
	(void)duel_give(&d, one, n);
	expect_refused(&d, 20, "damaged or forged");
	duel_close(&d);
}

/* What was not authentic is left nowhere. */
static void
what_was_forged_is_wiped(void)
{
	static const char secret[] = "select it from secrets";
	uint8_t record[128];
	struct duel d;
	size_t n, i;

	duel_open(&d, each[0], true, 0);
	n = forge(&d.forger, DATA, secret, sizeof(secret), 0, record);
	record[n - 1] ^= 1;
	memset(d.plain, 0xa5, sizeof(record));
	(void)duel_give(&d, record, n);
	CU_ASSERT_EQUAL(d.result, RECORDS_FAILED);
	for (i = 0; i < sizeof(secret); i++)
		CU_ASSERT(d.plain[i] == 0 || d.plain[i] == 0xa5);
	duel_close(&d);
}

/* With less room than a record may take, it waits, and nothing is lost. */
static void
records_wait_for_room(void)
{
	uint8_t *sealed = malloc(2 * SEALED_MAX), *bytes = unit_pattern(FULL);
	uint8_t plain[FULL + 1], answer[RECORDS_ANSWER_MAX];
	struct records_io io = { .plain = plain,
		.out = answer,
		.out_cap = sizeof(answer) };
	struct duel d;
	size_t n, cut;

	for (cut = 0; cut < 3000; cut += 1000) {
		duel_open(&d, each[0], true, 0);
		n = forge(&d.forger, DATA, bytes, FULL, 0, sealed);
		io.in = sealed;
		io.in_len = cut;
		io.plain_cap = FULL;
		CU_ASSERT_EQUAL(records_open(d.records, &io), RECORDS_MORE);
		io.in_len = n - cut;
		CU_ASSERT_EQUAL(records_open(d.records, &io), RECORDS_FULL);
		CU_ASSERT_EQUAL(io.plain_len, 0);
		CU_ASSERT_EQUAL(records_open(d.records, &io), RECORDS_FULL);
		io.plain_cap = FULL + 1;
		CU_ASSERT_EQUAL(records_open(d.records, &io), RECORDS_MORE);
		CU_ASSERT_EQUAL(io.plain_len, FULL);
		CU_ASSERT_EQUAL(memcmp(plain, bytes, FULL), 0);
		io.plain_len = 0;
		duel_close(&d);
	}
	free(sealed);
	free(bytes);
}

/*
 * Kernel TLS
 */

/* A forger with that key is the kernel. */
static void
kernel_has_the_same_keys(void)
{
	struct records_kernel_key key;
	struct records_orders orders;
	uint8_t record[64];
	struct duel d;
	size_t n;
	unsigned i;

	for (i = 0; i < 3; i++) {
		duel_open(&d, each[i], true, 0);
		CU_ASSERT_EQUAL(duel_forge(&d, DATA, "x", 1, 0), RECORDS_MORE);
		CU_ASSERT_TRUE(records_kernel_key(d.records, false, &key));
		CU_ASSERT_EQUAL(key.suite, each[i]);
		CU_ASSERT_EQUAL(key.sequence, 1);
		CU_ASSERT_EQUAL(memcmp(key.iv, d.forger.iv, 12), 0);
		records_kernel(d.records);
		CU_ASSERT_EQUAL(records_control(d.records, HANDSHAKE,
				    (const uint8_t *)"\x18\0\0\1\1", 5,
				    &orders),
		    RECORDS_MORE);
		CU_ASSERT(orders.new_receive_key && orders.new_send_key);
		CU_ASSERT_EQUAL(orders.type, HANDSHAKE);
		CU_ASSERT(orders.len == 5 &&
		    memcmp(orders.bytes, "\x18\0\0\1\0", 5) == 0);
		forger_update(&d.forger);
		CU_ASSERT_TRUE(records_kernel_key(d.records, false, &key));
		CU_ASSERT_EQUAL(key.sequence, 0);
		CU_ASSERT_EQUAL(memcmp(key.iv, d.forger.iv, 12), 0);

		/* Ours, as the peer expects it. */
		CU_ASSERT_TRUE(records_kernel_key(d.records, true, &key));
		memcpy(d.forger.iv, key.iv, sizeof(key.iv));
		CU_ASSERT_EQUAL(EVP_EncryptInit_ex(d.forger.cipher, NULL, NULL,
				    key.key, NULL),
		    1);
		d.forger.sequence = 0;
		n = forge(&d.forger, DATA, "y", 1, 0, record);
		SSL_free(d.ours);
		d.ours = NULL;
		CU_ASSERT(n > 0);
		CU_ASSERT_EQUAL(records_control(d.records, ALERT,
				    (const uint8_t *)"\1\0", 2, &orders),
		    RECORDS_ENDED);
		CU_ASSERT_EQUAL(orders.type, 0);
		duel_close(&d);
	}
}

static void
kernel_is_told_of_new_keys_in_time(void)
{
	struct records_orders orders;
	struct duel d;

	duel_open_with(&d, each[0], true, REKEY);
	records_kernel(d.records);
	CU_ASSERT_EQUAL(records_kernel_sealed(d.records, REKEY - 2, &orders),
	    RECORDS_MORE);
	CU_ASSERT(orders.type == 0 && !orders.new_send_key);
	CU_ASSERT_EQUAL(records_kernel_sealed(d.records, 1, &orders),
	    RECORDS_MORE);
	CU_ASSERT(orders.type == HANDSHAKE && orders.new_send_key);
	CU_ASSERT_EQUAL(records_kernel_sealed(d.records, 1, &orders),
	    RECORDS_MORE);
	CU_ASSERT(orders.type == 0 && !orders.new_send_key);
	CU_ASSERT_EQUAL(
	    records_control(d.records, CCS, (const uint8_t *)"\1", 1, &orders),
	    RECORDS_FAILED);
	CU_ASSERT_EQUAL(orders.type, ALERT);
	CU_ASSERT(orders.len == 2 && memcmp(orders.bytes, "\2\x0a", 2) == 0);
	duel_close(&d);
}

#define TEST(name)          \
	{                   \
#name, name \
	}

static CU_TestInfo tests[] = {
	TEST(bulk_passes_both_ways_in_any_slices),
	TEST(records_are_those_of_openssl),
	TEST(close_notify_is_told_both_ways),
	TEST(truncation_is_no_end),
	TEST(keys_of_the_peer_are_followed),
	TEST(requests_in_one_read_have_one_answer),
	TEST(requests_after_our_end_are_not_answered),
	TEST(updates_for_no_data_are_bounded),
	TEST(our_key_is_changed_in_time),
	TEST(peer_is_asked_for_its_next_key),
	TEST(peer_that_owes_its_key_is_not_asked_again),
	TEST(no_number_is_used_twice_where_memory_is_short),
	TEST(tickets_are_seen_one_by_one),
	TEST(messages_are_split_and_joined),
	TEST(what_is_wrong_is_refused),
	TEST(clients_send_no_tickets),
	TEST(padding_is_taken_off),
	TEST(empty_records_are_bounded),
	TEST(every_alert_but_two_is_the_end),
	TEST(user_canceled_is_bounded),
	TEST(nothing_stands_within_a_message),
	TEST(what_is_not_sealed_is_refused),
	TEST(one_bit_is_noticed),
	TEST(order_is_kept),
	TEST(what_was_forged_is_wiped),
	TEST(records_wait_for_room),
	TEST(kernel_has_the_same_keys),
	TEST(kernel_is_told_of_new_keys_in_time),
	CU_TEST_INFO_NULL,
};

static int
set_up(void)
{
	duel_set_up();
	return 0;
}

static int
tear_down(void)
{
	duel_tear_down();
	return 0;
}

int
main(void)
{
	CU_SuiteInfo suites[] = {
		{ "records", set_up, tear_down, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	if (CRYPTO_set_mem_functions(take_memory, change_memory, give_memory) !=
	    1)
		return 1;
	return unit_run(suites);
}
