/*
 * What becomes of bytes once a handshake is done, and of handshakes that are
 * none.
 */
#include "proxy/tls.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>
#include <openssl/err.h>

#include "tests/unit/tls_world.h"
#include "tests/unit/unit.h"

#define BULK             (10 * 1024 * 1024)
#define UPDATES_BEARABLE 1000
#define UPDATES_TOO_MANY 5000
#define CHUNK            (256 * 1024)

/*
 * What is no TLS, and what was damaged
 */

static void
garbage_is_called_what_it_is(void)
{
	static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
	static const struct neg_tls knowing = { .not_tls = "knock elsewhere" };
	static const char startup[] = "\0\0\0\x21\0\3\0\0user\0someone\0\0";
	struct endpoint *e = world_full();
	struct wire w;

	wire_open(&w, e, LEG_SERVER, NULL, world_peer(true, world.good[0]));
	wire_inject(&w, http, sizeof(http) - 1);
	wire_shake(&w);
	expect_failure(&w, REASON_HANDSHAKE, "something that is not TLS",
	    "port");
	wire_close(&w);

	/* A protocol may know better. */
	wire_open(&w, e, LEG_SERVER, &knowing, world_peer(true, world.good[0]));
	wire_inject(&w, http, sizeof(http) - 1);
	wire_shake(&w);
	expect_failure(&w, REASON_HANDSHAKE, "something that is not TLS",
	    "knock elsewhere");
	wire_close(&w);

	world_client_leg(e, world.good[0], CLIENT_VERIFY_NONE, NULL);
	wire_open(&w, e, LEG_CLIENT, NULL, world_peer(false, NULL));
	wire_inject(&w, startup, sizeof(startup));
	wire_shake(&w);
	expect_failure(&w, REASON_CLIENT_TLS, "something that is not TLS",
	    NULL);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
half_a_handshake_waits(void)
{
	struct endpoint *e = world_full();
	struct wire w;
	uint8_t byte;

	wire_open(&w, e, LEG_SERVER, NULL, world_peer(true, world.good[0]));
	wire_shake(&w);
	wire_close(&w);

	wire_open(&w, e, LEG_SERVER, NULL, world_peer(true, world.good[0]));
	byte = 22;
	wire_inject(&w, &byte, 1);
	w.peer_result = 1; /* it says nothing more */
	wire_shake(&w);
	CU_ASSERT_EQUAL(w.result, TLS_MORE);
	CU_ASSERT_EQUAL(w.in_len, 0);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
close_notify_within_a_handshake_fails(void)
{
	static const uint8_t alert[] = { 21, 3, 3, 0, 2, 1, 0 };
	struct endpoint *e = world_full();
	struct wire w;

	wire_open(&w, e, LEG_SERVER, NULL, world_peer(true, world.good[0]));
	wire_inject(&w, alert, sizeof(alert));
	wire_shake(&w);
	expect_failure(&w, REASON_HANDSHAKE, "the server", NULL);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
damaged_record_ends_the_relay(void)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct endpoint *e = world_full();
	uint8_t record[256], got[64];
	size_t len, i;
	struct wire w;
	int n;

	for (i = 0; i < 2; i++) {
		wire_open_good_version(&w, e, versions[i]);
		(void)wire_read(&w, got, sizeof(got), &len);
		wire_peer_write(&w, "good", 4);
		wire_peer_write(&w, "evil", 4);
		n = BIO_read(w.from_peer, record, sizeof(record));
		CU_ASSERT_FATAL(n > 10);
		record[n - 1] ^= 1;
		wire_inject(&w, record, (size_t)n);
		CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len),
		    TLS_FAILED);
		/* what came before it has arrived, and it has not */
		CU_ASSERT(len == 4 && memcmp(got, "good", 4) == 0);
		expect_failure(&w, REASON_TLS_ERROR, "damaged or forged", NULL);
		wire_close(&w);
	}
	world_endpoint_free(e);
}

/* Plaintext after the handshake, as an injector would add it. */
static void
plaintext_within_the_stream_is_refused(void)
{
	struct endpoint *e = world_full();
	struct wire w;
	uint8_t got[64];
	size_t len;

	wire_open_good(&w, e);
	wire_inject(&w, "\x17\x03\x03\0\x05hello", 10);
	CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len), TLS_FAILED);
	CU_ASSERT_EQUAL(len, 0);
	expect_failure(&w, REASON_TLS_ERROR, "the server", NULL);
	wire_close(&w);
	world_endpoint_free(e);
}

/* What is left when one record has been read is seen, down to a byte of the
 * next: it would be lost with the session. */
static void
rest_is_between_records(void)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct endpoint *e = world_full();
	uint8_t record[256], got[64];
	struct wire w;
	size_t len, i;
	int n, k;

	for (i = 0; i < 2; i++) {
		wire_open(&w, e, LEG_SERVER, NULL,
		    world_peer(true, world.good[0]));
		CU_ASSERT_FALSE(tls_rests(w.tls));
		wire_close(&w);
		wire_open_good_version(&w, e, versions[i]);
		(void)wire_read(&w, got, sizeof(got), &len);
		CU_ASSERT_TRUE(tls_rests(w.tls));
		wire_peer_write(&w, "good", 4);
		CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len),
		    TLS_MORE);
		CU_ASSERT_EQUAL(len, 4);
		CU_ASSERT_TRUE(tls_rests(w.tls));
		wire_peer_write(&w, "more", 4);
		n = BIO_read(w.from_peer, record, sizeof(record));
		CU_ASSERT_FATAL(n > 10);
		for (k = 0; k < n - 1; k++) {
			wire_inject(&w, record + k, 1);
			(void)wire_read(&w, got, sizeof(got), &len);
			CU_ASSERT_FALSE(tls_rests(w.tls));
		}
		/* Read in part. */
		wire_inject(&w, record + n - 1, 1);
		CU_ASSERT_EQUAL(wire_read(&w, got, 1, &len), TLS_DONE);
		CU_ASSERT_FALSE(tls_rests(w.tls));
		(void)wire_read(&w, got, sizeof(got), &len);
		CU_ASSERT_EQUAL(len, 3);
		CU_ASSERT_TRUE(tls_rests(w.tls));
		wire_close(&w);
	}
	world_endpoint_free(e);
}

/*
 * Bytes
 */

static void
bulk_to_peer(struct wire *w, const uint8_t *bytes, size_t total, size_t chunk)
{
	uint8_t *got = malloc(total);
	size_t at, n, len, have = 0;

	assert(got != NULL);
	for (at = 0; at < total; at += n) {
		n = total - at < chunk ? total - at : chunk;
		CU_ASSERT_EQUAL_FATAL(wire_write(w, bytes + at, n), TLS_DONE);
		(void)wire_peer_read(w, got + have, total - have, &len);
		have += len;
	}
	CU_ASSERT_EQUAL(have, total);
	CU_ASSERT_EQUAL(memcmp(got, bytes, have), 0);
	free(got);
}

static void
bulk_from_peer(struct wire *w, const uint8_t *bytes, size_t total, size_t chunk)
{
	uint8_t *got = malloc(total + 1);
	size_t at, n, len, have = 0;

	assert(got != NULL);
	for (at = 0; at < total; at += n) {
		n = total - at < chunk ? total - at : chunk;
		wire_peer_write(w, bytes + at, n);
		CU_ASSERT_EQUAL_FATAL(
		    wire_read(w, got + have, total + 1 - have, &len), TLS_MORE);
		have += len;
	}
	CU_ASSERT_EQUAL(have, total);
	CU_ASSERT_EQUAL(memcmp(got, bytes, have), 0);
	free(got);
}

static void
bulk_both_ways_in_any_slices(void)
{
	static const struct {
		size_t total, chunk, slice;
	} cases[] = {
		{ BULK, CHUNK, SIZE_MAX },
		{ BULK, CHUNK, 100003 },
		{ BULK / 10, 8192, 1000 },
		{ BULK / 20, 500, 7 },
		{ BULK / 50, 16385, 1 },
	};
	struct endpoint *e = world_full();
	uint8_t *bytes = unit_pattern(BULK);
	struct wire w;
	size_t i;
	int version;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION;
		     version++) {
			wire_open_good_version(&w, e, version);
			w.slice = cases[i].slice;
			bulk_to_peer(&w, bytes, cases[i].total, cases[i].chunk);
			bulk_from_peer(&w, bytes, cases[i].total,
			    cases[i].chunk);
			wire_close(&w);
		}
	free(bytes);
	world_endpoint_free(e);
}

/* With a buffer that is smaller than a record, and any other. */
static void
small_buffers_lose_nothing(void)
{
	struct endpoint *e = world_full();
	uint8_t *bytes = unit_pattern(50000), *got = malloc(60000);
	size_t caps[] = { 1, 100, 16384, 20000, 60000 };
	size_t i, n, have, cap;
	enum tls_result result;
	struct wire w;

	assert(got != NULL);
	for (i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		wire_open_good(&w, e);
		wire_peer_write(&w, bytes, 50000);
		have = 0;
		do {
			cap = caps[i] < 60000 - have ? caps[i] : 60000 - have;
			result = wire_read(&w, got + have, cap, &n);
			have += n;
			CU_ASSERT_EQUAL(n == cap, result == TLS_DONE);
		} while (result == TLS_DONE);
		CU_ASSERT_EQUAL(result, TLS_MORE);
		CU_ASSERT_EQUAL(have, 50000);
		CU_ASSERT_EQUAL(memcmp(got, bytes, 50000), 0);
		wire_close(&w);
	}
	free(got);
	free(bytes);
	world_endpoint_free(e);
}

static void
records_are_full(void)
{
	struct endpoint *e = world_full();
	uint8_t *bytes = unit_pattern(CHUNK + 5), header[5];
	uint8_t *rest = malloc(TLS_RECORD_MAX + TLS_RECORD_OVERHEAD);
	size_t n = 0, len = 0;
	struct wire w;

	assert(rest != NULL);
	wire_open_good(&w, e);
	while (BIO_read(w.to_peer, header, 1) > 0)
		continue;
	CU_ASSERT_EQUAL(wire_write(&w, bytes, CHUNK + 5), TLS_DONE);
	CU_ASSERT(BIO_pending(w.to_peer) <= (int)TLS_SEALED_MAX(CHUNK + 5));
	while (BIO_read(w.to_peer, header, 5) == 5) {
		len = (size_t)header[3] << 8 | header[4];
		CU_ASSERT(len <= TLS_RECORD_MAX + TLS_RECORD_OVERHEAD);
		CU_ASSERT_EQUAL_FATAL(BIO_read(w.to_peer, rest, (int)len),
		    (int)len);
		if (++n <= CHUNK / TLS_RECORD_MAX)
			CU_ASSERT(len > TLS_RECORD_MAX);
	}
	CU_ASSERT_EQUAL(n, CHUNK / TLS_RECORD_MAX + 1);
	CU_ASSERT(len < 100);
	free(rest);
	free(bytes);
	wire_close(&w);
	world_endpoint_free(e);
}

/*
 * The end
 */

static void
close_notify_ends_one_direction(void)
{
	struct endpoint *e = world_full();
	uint8_t got[64];
	struct wire w;
	size_t len;
	int version;

	for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		wire_open_good_version(&w, e, version);
		wire_peer_write(&w, "bye", 3);
		CU_ASSERT_EQUAL(SSL_shutdown(w.peer), 0);
		CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len),
		    TLS_ENDED);
		CU_ASSERT(len == 3 && memcmp(got, "bye", 3) == 0);
		CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len),
		    TLS_ENDED);

		/* ours goes on until we end it, once */
		CU_ASSERT_EQUAL(wire_write(&w, "more", 4), TLS_DONE);
		wire_shutdown(&w);
		wire_shutdown(&w);
		CU_ASSERT_EQUAL(wire_peer_read(&w, got, sizeof(got), &len),
		    SSL_ERROR_ZERO_RETURN);
		CU_ASSERT(len == 4 && memcmp(got, "more", 4) == 0);
		CU_ASSERT_EQUAL(BIO_pending(w.to_peer), 0);
		wire_close(&w);
	}
	world_endpoint_free(e);
}

static void
reading_goes_on_after_our_end(void)
{
	struct endpoint *e = world_full();
	uint8_t got[64];
	struct wire w;
	size_t len;

	wire_open_good(&w, e);
	wire_shutdown(&w);
	CU_ASSERT_EQUAL(wire_peer_read(&w, got, sizeof(got), &len),
	    SSL_ERROR_ZERO_RETURN);
	wire_peer_write(&w, "late", 4);
	CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len), TLS_MORE);
	CU_ASSERT(len == 4 && memcmp(got, "late", 4) == 0);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
truncation_never_looks_like_an_end(void)
{
	struct endpoint *e = world_full();
	uint8_t record[256], got[64];
	struct wire w;
	size_t len;
	int n, cut;

	for (cut = 0; cut < 20; cut++) {
		wire_open_good(&w, e);
		(void)wire_read(&w, got, sizeof(got), &len);
		wire_peer_write(&w, "data", 4);
		(void)SSL_shutdown(w.peer);
		n = BIO_read(w.from_peer, record, sizeof(record));
		CU_ASSERT_FATAL(n > cut + 1);
		wire_inject(&w, record, (size_t)(n - cut - 1));
		CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len),
		    TLS_MORE);
		wire_close(&w);
	}
	world_endpoint_free(e);
}

/*
 * Keys
 */

static void
key_update_by_the_peer(void)
{
	struct endpoint *e = world_full();
	struct wire w;
	int i;

	wire_open_good_version(&w, e, TLS1_3_VERSION);
	for (i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(
		    SSL_key_update(w.peer, SSL_KEY_UPDATE_REQUESTED), 1);
		expect_exchange(&w);
		expect_exchange(&w);
		/* it asked, and has been answered */
		CU_ASSERT_EQUAL(SSL_get_key_update_type(w.peer),
		    SSL_KEY_UPDATE_NONE);
	}
	wire_close(&w);
	world_endpoint_free(e);
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

static void
key_is_changed_in_time(void)
{
	struct endpoint *e = world_full();
	unsigned updates[2] = { 0, 0 };
	uint8_t got[64];
	struct wire w;
	size_t len;
	int i;

	e->rekey_records = 10;
	wire_open_good_version(&w, e, TLS1_3_VERSION);
	SSL_set_msg_callback(w.peer, count_updates);
	SSL_set_msg_callback_arg(w.peer, updates);
	for (i = 0; i < 100; i++) {
		CU_ASSERT_EQUAL(wire_write(&w, "x", 1), TLS_DONE);
		(void)wire_peer_read(&w, got, sizeof(got), &len);
		CU_ASSERT_EQUAL(len, 1);
	}
	/* Our own count their own record as one. */
	CU_ASSERT_EQUAL(updates[0], world_direct() ? 11 : 10);
	CU_ASSERT_EQUAL(updates[1], 0);
	expect_exchange(&w);
	wire_close(&w);
	world_endpoint_free(e);
}

/* OpenSSL never changes its key by itself: where it has sealed enough with one,
 * it is asked to. */
static void
peer_is_asked_for_its_next_key(void)
{
	struct endpoint *e = world_full();
	unsigned updates[2] = { 0, 0 };
	uint8_t got[64];
	struct wire w;
	size_t len;
	int i;

	e->rekey_records = 10;
	wire_open_good_version(&w, e, TLS1_3_VERSION);
	SSL_set_msg_callback(w.peer, count_updates);
	SSL_set_msg_callback_arg(w.peer, updates);
	for (i = 0; i < 100; i++) {
		wire_peer_write(&w, "x", 1);
		CU_ASSERT_EQUAL_FATAL(wire_read(&w, got, sizeof(got), &len),
		    TLS_MORE);
		CU_ASSERT_EQUAL(len, 1);
		(void)wire_peer_read(&w, got, sizeof(got), &len);
	}
	CU_ASSERT(updates[1] >= 8 && updates[1] <= 10);
	CU_ASSERT_EQUAL(updates[0], 0);
	expect_exchange(&w);
	wire_close(&w);
	world_endpoint_free(e);
}

/* It does not read for long: it is asked once, and told nothing of our own keys
 * while they can wait; RECORDS_GRACE. */
static void
peer_that_owes_its_key_is_not_asked_again(void)
{
	struct endpoint *e = world_full();
	unsigned updates[2] = { 0, 0 };
	uint8_t got[256];
	struct wire w;
	size_t len;
	int i;

	e->rekey_records = 100;
	wire_open_good_version(&w, e, TLS1_3_VERSION);
	SSL_set_msg_callback(w.peer, count_updates);
	SSL_set_msg_callback_arg(w.peer, updates);
	for (i = 0; i < 220; i++) {
		wire_peer_write(&w, "x", 1);
		CU_ASSERT_EQUAL_FATAL(wire_read(&w, got, sizeof(got), &len),
		    TLS_MORE);
		if (i >= 110)
			CU_ASSERT_EQUAL(wire_write(&w, "y", 1), TLS_DONE);
	}
	(void)wire_peer_read(&w, got, sizeof(got), &len);
	CU_ASSERT_EQUAL(len, 110);
	CU_ASSERT_EQUAL(updates[1], 1);
	CU_ASSERT_EQUAL(updates[0], 0);
	/* It answers with what it writes next. */
	expect_exchange(&w);
	wire_close(&w);
	world_endpoint_free(e);
}

/* Answers that io->out has no room for wait, in order. */
static void
answers_wait_for_room(void)
{
	struct endpoint *e = world_full();
	uint8_t got[64];
	struct wire w;
	size_t len;
	int i, n = 0;

	wire_open_good_version(&w, e, TLS1_3_VERSION);
	for (i = 0; i < 50; i++) {
		(void)SSL_key_update(w.peer, SSL_KEY_UPDATE_REQUESTED);
		wire_peer_write(&w, "x", 1);
	}
	w.room = 10;
	CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len), TLS_MORE);
	CU_ASSERT_EQUAL(len, 50);
	while (BIO_pending(w.to_peer) % 10 == 0 && n++ < 1000)
		CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len),
		    TLS_MORE);
	/* Our own records answer once, for all of a read. */
	CU_ASSERT(n > (world_direct() ? 1 : 50) && n < 1000);
	w.room = 4096;
	expect_exchange(&w);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
flood_of_requests_is_bounded(void)
{
	struct endpoint *e = world_full();
	uint8_t *got = malloc(CHUNK);
	enum tls_result result = TLS_MORE;
	struct wire w;
	size_t len;
	int i;

	assert(got != NULL);
	wire_open_good_version(&w, e, TLS1_3_VERSION);
	w.room = 1;
	for (i = 0; i < 100000 && result == TLS_MORE; i++) {
		(void)SSL_key_update(w.peer, SSL_KEY_UPDATE_REQUESTED);
		wire_peer_write(&w, "x", 1);
		if (i % 1000 == 0)
			result = wire_read(&w, got, CHUNK, &len);
	}
	if (world_direct()) {
		CU_ASSERT_EQUAL(result, TLS_MORE); /* one answer a read */
	} else {
		CU_ASSERT_EQUAL(result, TLS_FAILED);
		expect_failure(&w, REASON_TLS_ERROR, "the server", NULL);
	}
	free(got);
	wire_close(&w);
	world_endpoint_free(e);
}

/* Whoever sends them, and whoever is asked for some of ours. */
static void
update_keys(struct wire *w, int how, size_t n)
{
	while (n-- > 0) {
		CU_ASSERT_EQUAL(SSL_key_update(w->peer, how), 1);
		CU_ASSERT_EQUAL(SSL_do_handshake(w->peer), 1);
	}
}

/* Many of them, with data in between; then more than anybody has use for. */
static void
expect_patience_with(struct wire *w, int how)
{
	uint8_t got[64];
	size_t len, i;

	wire_shake(w);
	CU_ASSERT_EQUAL_FATAL(w->result, TLS_DONE);
	tls_settle(w->tls, false);
	for (i = 0; i < 10; i++) {
		update_keys(w, how, UPDATES_BEARABLE);
		wire_peer_write(w, "x", 1);
		CU_ASSERT_EQUAL(wire_read(w, got, sizeof(got), &len), TLS_MORE);
		CU_ASSERT_EQUAL(len, 1);
	}
	update_keys(w, how, UPDATES_TOO_MANY);
	(void)wire_read(w, got, sizeof(got), &len);
	expect_failure(w, REASON_TLS_ERROR, "too many KeyUpdates", NULL);
}

static void
key_updates_without_end_are_not_gone_through(void)
{
	static const int hows[] = { SSL_KEY_UPDATE_NOT_REQUESTED,
		SSL_KEY_UPDATE_REQUESTED };
	struct endpoint *e = world_full();
	struct wire w;
	size_t i;

	world_client_leg(e, world.good[0], CLIENT_VERIFY_NONE, NULL);
	for (i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
		wire_open(&w, e, LEG_SERVER, NULL,
		    world_peer(true, world.good[0]));
		expect_patience_with(&w, hows[i]);
		wire_close(&w);
		wire_open(&w, e, LEG_CLIENT, NULL, world_peer(false, NULL));
		expect_patience_with(&w, hows[i]);
		wire_close(&w);
	}
	world_endpoint_free(e);
}

/* Those of our own are nothing that the peer has done, however long it is that
 * it says nothing. */
static void
our_own_key_updates_are_without_end(void)
{
	struct endpoint *e = world_full();
	uint8_t got[64];
	struct wire w;
	size_t len, i;

	e->rekey_records = 2;
	wire_open_good_version(&w, e, TLS1_3_VERSION);
	for (i = 0; i < e->rekey_records * UPDATES_TOO_MANY; i++) {
		CU_ASSERT_EQUAL_FATAL(wire_write(&w, "x", 1), TLS_DONE);
		(void)wire_peer_read(&w, got, sizeof(got), &len);
	}
	expect_exchange(&w);
	wire_close(&w);
	world_endpoint_free(e);
}

/*
 * Renegotiation
 */

static void
renegotiation_is_refused_to_servers(void)
{
	struct endpoint *e = world_full();
	uint8_t got[64];
	struct wire w;
	size_t len;

	wire_open_good_version(&w, e, TLS1_2_VERSION);
	CU_ASSERT_EQUAL(SSL_renegotiate(w.peer), 1);
	(void)SSL_do_handshake(w.peer);
	(void)wire_read(&w, got, sizeof(got), &len);
	CU_ASSERT_NOT_EQUAL(w.result, TLS_FAILED);
	CU_ASSERT_EQUAL(wire_peer_read(&w, got, sizeof(got), &len),
	    SSL_ERROR_SSL);
	CU_ASSERT_STRING_EQUAL(ERR_reason_error_string(ERR_peek_error()),
	    "no renegotiation");
	wire_close(&w);
	world_endpoint_free(e);
}

static void
renegotiation_is_refused_to_clients(void)
{
	struct endpoint *e = world_full();
	SSL_CTX *peer = world_peer(false, NULL);
	uint8_t got[64];
	struct wire w;
	size_t len;

	e->ops = &neg_redshift; /* its server may, its client may not */
	world_peer_versions(peer, TLS1_2_VERSION, TLS1_2_VERSION);
	world_client_leg(e, world.good[0], CLIENT_VERIFY_NONE, NULL);
	wire_open(&w, e, LEG_CLIENT, NULL, peer);
	wire_shake(&w);
	CU_ASSERT_EQUAL(w.result, TLS_DONE);
	CU_ASSERT_EQUAL(SSL_renegotiate(w.peer), 1);
	(void)SSL_do_handshake(w.peer);
	(void)wire_read(&w, got, sizeof(got), &len);
	CU_ASSERT_NOT_EQUAL(w.result, TLS_FAILED);
	CU_ASSERT_EQUAL(wire_peer_read(&w, got, sizeof(got), &len),
	    SSL_ERROR_SSL);
	CU_ASSERT_STRING_EQUAL(ERR_reason_error_string(ERR_peek_error()),
	    "no renegotiation");
	wire_close(&w);
	world_endpoint_free(e);
}

/* Each side reads until neither has anything to say. */
static void
talk(struct wire *w, uint8_t *ours, size_t *ours_len, uint8_t *theirs,
    size_t *theirs_len, size_t cap)
{
	size_t n;
	int i;

	*ours_len = *theirs_len = 0;
	for (i = 0; i < 10 && w->result != TLS_FAILED; i++) {
		(void)wire_read(w, ours + *ours_len, cap - *ours_len, &n);
		*ours_len += n;
		(void)wire_peer_read(w, theirs + *theirs_len, cap - *theirs_len,
		    &n);
		*theirs_len += n;
	}
}

static void
redshift_may_renegotiate(void)
{
	struct endpoint *e = world_full();
	uint8_t *bytes = unit_pattern(CHUNK), *got = malloc(2 * CHUNK),
		ours[64];
	size_t len, ours_len;
	struct wire w;

	assert(got != NULL);
	e->ops = &neg_redshift;
	wire_open_good_version(&w, e, TLS1_2_VERSION);
	(void)SSL_set_options(w.peer,
	    SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
	CU_ASSERT_EQUAL(SSL_renegotiate(w.peer), 1);
	(void)SSL_do_handshake(w.peer);
	(void)wire_read(&w, ours, sizeof(ours), &ours_len);
	/* while it goes on, what is written waits inside; so does the end */
	CU_ASSERT_FALSE(tls_holds(w.tls));
	CU_ASSERT_EQUAL(wire_write(&w, bytes, CHUNK), TLS_DONE);
	CU_ASSERT_EQUAL(wire_write(&w, bytes, 10), TLS_DONE);
	wire_shutdown(&w);
	talk(&w, ours, &ours_len, got, &len, 2 * CHUNK);
	CU_ASSERT_EQUAL(len, CHUNK + 10);
	CU_ASSERT_EQUAL(memcmp(got, bytes, CHUNK), 0);
	CU_ASSERT_EQUAL(memcmp(got + CHUNK, bytes, 10), 0);
	CU_ASSERT_EQUAL(SSL_get_shutdown(w.peer), SSL_RECEIVED_SHUTDOWN);
	CU_ASSERT_FALSE(tls_holds(w.tls));
	CU_ASSERT_EQUAL(SSL_renegotiate_pending(w.peer), 0);
	free(got);
	free(bytes);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
renegotiation_with_another_leaf_fails(void)
{
	/* of the same CA, with the same name: still not the same */
	struct keypair *other =
	    world_issue(&(struct wish){ .san = WORLD_SAN, .issuer = world.ca });
	struct endpoint *e = world_full();
	uint8_t got[64], ours[64];
	size_t len, ours_len;
	struct wire w;

	e->ops = &neg_redshift;
	wire_open_good_version(&w, e, TLS1_2_VERSION);
	(void)SSL_set_options(w.peer,
	    SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
	CU_ASSERT_EQUAL(
	    SSL_use_cert_and_key(w.peer, other->leaf, other->key, NULL, 1), 1);
	CU_ASSERT_EQUAL(SSL_renegotiate(w.peer), 1);
	(void)SSL_do_handshake(w.peer);
	talk(&w, ours, &ours_len, got, &len, sizeof(got));
	expect_failure(&w, REASON_TLS_ERROR, "another certificate", NULL);
	keypair_release(other);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
end_waits_for_a_renegotiation(void)
{
	struct endpoint *e = world_full();
	uint8_t got[64], ours[64];
	size_t len, ours_len;
	struct wire w;

	e->ops = &neg_redshift;
	wire_open_good_version(&w, e, TLS1_2_VERSION);
	CU_ASSERT_EQUAL(SSL_renegotiate(w.peer), 1);
	(void)SSL_do_handshake(w.peer);
	(void)wire_read(&w, ours, sizeof(ours), &ours_len);
	wire_shutdown(&w);
	CU_ASSERT(tls_holds(w.tls));
	talk(&w, ours, &ours_len, got, &len, sizeof(got));
	CU_ASSERT_FALSE(tls_holds(w.tls));
	CU_ASSERT_EQUAL(SSL_get_shutdown(w.peer), SSL_RECEIVED_SHUTDOWN);
	wire_close(&w);
	world_endpoint_free(e);
}

/* A certificate that was good when the session began need not be later. */
static void
renegotiation_judges_again(void)
{
	struct endpoint *e = world_full();
	uint8_t got[64], ours[64];
	size_t len, ours_len;
	struct wire w;

	e->ops = &neg_redshift;
	wire_open_good_version(&w, e, TLS1_2_VERSION);
	(void)SSL_set_options(w.peer,
	    SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
	memcpy(e->servers->target.names[0], "no", 2);
	CU_ASSERT_EQUAL(SSL_renegotiate(w.peer), 1);
	(void)SSL_do_handshake(w.peer);
	talk(&w, ours, &ours_len, got, &len, sizeof(got));
	expect_failure(&w, REASON_TLS_ERROR, "db.test, not no.test", NULL);
	wire_close(&w);
	world_endpoint_free(e);
}

/* Once data has come, what a server says of our certificate is no matter of
 * whether the session may begin. */
static void
late_alerts_are_not_about_the_identity(void)
{
	struct endpoint *e = world_full();
	uint8_t got[64], ours[64];
	size_t len, ours_len;
	struct wire w;

	e->ops = &neg_redshift;
	e->identity = world.strange_client;
	wire_open_good_version(&w, e, TLS1_2_VERSION);
	expect_exchange(&w);
	(void)SSL_set_options(w.peer,
	    SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
	SSL_set_verify(w.peer,
	    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	CU_ASSERT_EQUAL(SSL_renegotiate(w.peer), 1);
	(void)SSL_do_handshake(w.peer);
	talk(&w, ours, &ours_len, got, &len, sizeof(got));
	expect_failure(&w, REASON_TLS_ERROR, "alert: unknown CA", NULL);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
too_much_during_a_renegotiation_fails(void)
{
	struct endpoint *e = world_full();
	uint8_t *bytes = unit_pattern(CHUNK), got[64];
	struct wire w;
	size_t len;

	e->ops = &neg_redshift;
	wire_open_good_version(&w, e, TLS1_2_VERSION);
	(void)SSL_renegotiate(w.peer);
	(void)SSL_do_handshake(w.peer);
	(void)wire_read(&w, got, sizeof(got), &len);
	CU_ASSERT_EQUAL(wire_write(&w, bytes, CHUNK), TLS_DONE);
	CU_ASSERT_EQUAL(wire_write(&w, bytes, CHUNK), TLS_FAILED);
	expect_failure(&w, REASON_TLS_ERROR, "too long to renegotiate", NULL);
	free(bytes);
	wire_close(&w);
	world_endpoint_free(e);
}

/* What OpenSSL gives back of its memory is looked at first. */
#define SECRET "a word that nobody else knows"
static bool secret_was_left;

static bool memory_is_short;

static void *
take_memory(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return memory_is_short ? NULL : malloc(n);
}

static void
give_memory(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (p != NULL &&
	    memmem(p, malloc_usable_size(p), SECRET, strlen(SECRET)) != NULL)
		secret_was_left = true;
	free(p);
}

static void *
change_memory(void *p, size_t n, const char *file, int line)
{
	void *q = take_memory(n, file, line);

	if (p != NULL && q != NULL) {
		memcpy(q, p,
		    malloc_usable_size(p) < n ? malloc_usable_size(p) : n);
		give_memory(p, file, line);
	}
	return q;
}

static bool
is_left_by_reading(struct wire *w)
{
	uint8_t got[sizeof(SECRET)];
	size_t len;

	secret_was_left = false;
	wire_peer_write(w, SECRET, sizeof(SECRET));
	(void)wire_read(w, got, sizeof(got), &len);
	CU_ASSERT_EQUAL(len, sizeof(SECRET));
	CU_ASSERT_STRING_EQUAL(got, SECRET);
	return secret_was_left;
}

static void
nothing_of_what_was_read_is_left(void)
{
	struct endpoint *e = world_full();
	struct wire w;

	wire_open_good(&w, e);
	CU_ASSERT_FALSE(is_left_by_reading(&w));
	/* Otherwise this has seen nothing at all; our own keep no copy. */
	tls_cleanse(w.tls, false);
	CU_ASSERT_EQUAL(is_left_by_reading(&w), !world_direct());
	tls_cleanse(w.tls, true);
	CU_ASSERT_FALSE(is_left_by_reading(&w));
	wire_close(&w);
	world_endpoint_free(e);
}

/* What OpenSSL failed at once it says never again: it must not look as if it
 * only waited.  Our own records need no memory for an end. */
static void
end_that_fails_is_a_failure(void)
{
	struct endpoint *e = world_full();
	uint8_t got[16];
	struct wire w;
	size_t len;

	wire_open_good(&w, e);
	expect_exchange(&w);
	memory_is_short = true;
	wire_shutdown(&w);
	memory_is_short = false;
	CU_ASSERT_FALSE(tls_holds(w.tls));
	wire_peer_write(&w, "more", 4);
	CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len),
	    world_direct() ? TLS_MORE : TLS_FAILED);
	/* Not an alert of the peer's: its number is none. */
	if (!world_direct())
		CU_ASSERT_PTR_NULL(strstr(tls_error(w.tls).text, "alert"));
	wire_close(&w);
	world_endpoint_free(e);
}

static CU_TestInfo tests[] = {
	TEST(garbage_is_called_what_it_is),
	TEST(half_a_handshake_waits),
	TEST(close_notify_within_a_handshake_fails),
	TEST(damaged_record_ends_the_relay),
	TEST(plaintext_within_the_stream_is_refused),
	TEST(rest_is_between_records),
	TEST(bulk_both_ways_in_any_slices),
	TEST(small_buffers_lose_nothing),
	TEST(records_are_full),
	TEST(close_notify_ends_one_direction),
	TEST(reading_goes_on_after_our_end),
	TEST(truncation_never_looks_like_an_end),
	TEST(key_update_by_the_peer),
	TEST(key_is_changed_in_time),
	TEST(peer_is_asked_for_its_next_key),
	TEST(peer_that_owes_its_key_is_not_asked_again),
	TEST(answers_wait_for_room),
	TEST(flood_of_requests_is_bounded),
	TEST(key_updates_without_end_are_not_gone_through),
	TEST(our_own_key_updates_are_without_end),
	TEST(renegotiation_is_refused_to_servers),
	TEST(renegotiation_is_refused_to_clients),
	TEST(redshift_may_renegotiate),
	TEST(renegotiation_with_another_leaf_fails),
	TEST(end_waits_for_a_renegotiation),
	TEST(renegotiation_judges_again),
	TEST(late_alerts_are_not_about_the_identity),
	TEST(too_much_during_a_renegotiation_fails),
	TEST(nothing_of_what_was_read_is_left),
	TEST(end_that_fails_is_a_failure),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	if (CRYPTO_set_mem_functions(take_memory, change_memory, give_memory) !=
	    1)
		return 1;
	return world_main("tls_stream", tests);
}
