/*
 * tls_records.h - the record layer of TLS 1.3, once its handshake is done
 *
 * OpenSSL does the handshake and the verification; then, where an endpoint
 * asks for it (tls.records = "direct"), both directions are taken over from it
 * by their traffic secrets and sequence numbers.  What is gained: records are
 * opened and sealed straight from one shared buffer into another, and no SSL
 * object is kept.  The same secrets are what kernel TLS is armed with.
 *
 * RFC 8446, 5 (records), 4.6 (messages after the handshake), 6 (alerts), 7.2
 * and 7.3 (keys).  Whatever is not in there ends the connection: an
 * unexpected message, a bad length, a tag that does not fit.  The first failure
 * is final.  No I/O and no clock; struct tls is the only user.
 *
 * Stricter than OpenSSL is what RFC 8446 is stricter in: content and padding
 * of more than 2^14 + 1 bytes (5.4), and what a NewSessionTicket is made of.
 */
#ifndef PROXY_TLS_RECORDS_H
#define PROXY_TLS_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDS_SECRET_MAX 48 /* SHA-384 */
#define RECORDS_HEAD       5
#define RECORDS_IV         12
/* RFC 8446, 5.2: a sealed record beyond its head. */
#define RECORDS_SEALED_MAX (16384 + 256)
/* A peer that was asked for its next key is told nothing more of keys until it
 * has answered: OpenSSL that owes a KeyUpdate sends it before it reads a second
 * one, and if it has half sent its data it fails ("bad length").  Our own key
 * may seal a third more for that, and is still good by RFC 8446, 5.5. */
#define RECORDS_GRACE 4 /* a fourth of what has been sealed by then */

/* As TLS numbers them. */
enum records_suite {
	RECORDS_AES_128_GCM_SHA256 = 0x1301,
	RECORDS_AES_256_GCM_SHA384 = 0x1302,
	RECORDS_CHACHA20_POLY1305_SHA256 = 0x1303,
};

/* One direction as it stands: the next record has number `sequence`. */
struct records_key {
	uint8_t secret[RECORDS_SECRET_MAX]; /* application_traffic_secret_N */
	uint64_t sequence;
};

struct records_setup {
	uint16_t suite; /* see records_knows() */
	bool client;    /* we are TLS's client: only we may get tickets */
	struct records_key receive;
	struct records_key send;
	/* No key of ours seals more records than this; and who has sealed as
	 * many for us with one is asked to take the next. */
	uint64_t rekey;
};

/* What OpenSSL would look up again for each connection; one per thread. */
struct records_kit;
struct records_kit *records_kit_new(void); /* NULL: memory is short */
/* After every use; accepts NULL. */
void records_kit_free(struct records_kit *k);

struct records;

bool records_knows(uint16_t suite);
/* How long the secrets of a suite are. */
size_t records_secret_len(uint16_t suite);

/* NULL if memory is short, or OpenSSL lacks what is needed.  The caller wipes
 * `setup`; `kit` must live as long. */
struct records *records_new(const struct records_kit *kit,
    const struct records_setup *setup);
void records_free(struct records *r); /* accepts NULL; wipes */

enum records_result {
	RECORDS_MORE = 0, /* all of the input is used; more is needed */
	RECORDS_FULL,     /* the next record may not fit in the output */
	RECORDS_ENDED,    /* close_notify: nothing after it is read */
	RECORDS_TICKET,   /* records_ticket() has one */
	RECORDS_FAILED,   /* records_failure(); an alert has been written */
};

/* Where one call reads and writes; all of them are moved along. */
struct records_io {
	const uint8_t *in;
	size_t in_len;
	uint8_t *plain; /* written at plain + plain_len */
	size_t plain_len;
	size_t plain_cap;
	uint8_t *out; /* sealed: answers, alerts, what records_seal() does */
	size_t out_len;
	size_t out_cap;
};

/* Opens whole records of io->in into io->plain, where RECORDS_SEALED_MAX of
 * room is enough for any; half a one is kept inside.  The answer to KeyUpdates
 * (one for all of a call) and an alert go to io->out, which needs room for
 * RECORDS_ANSWER_MAX. */
#define RECORDS_ANSWER_MAX 64
enum records_result records_open(struct records *r, struct records_io *io);
/* The NewSessionTicket message, with its head, until the next call. */
const uint8_t *records_ticket(const struct records *r, size_t *len);
/* Between records, and between messages. */
bool records_rest(const struct records *r);
/* Bytes that the record which was begun still lacks, as far as is known; 0
 * between records. */
size_t records_lacks(const struct records *r);

/* Seals all of it, in full records; each costs RECORDS_OVERHEAD, and if it
 * comes with a KeyUpdate, RECORDS_ANSWER_MAX besides.  False: OpenSSL failed,
 * or there was no room. */
#define RECORDS_OVERHEAD (RECORDS_HEAD + 1 + 16)
bool records_seal(struct records *r, struct records_io *io,
    const uint8_t *plain, size_t len) __attribute__((warn_unused_result));
/* A handshake message whole, as a peer of OpenSSL's would send it: what is told
 * to an SSL object that is kept for its tickets. */
bool records_seal_message(struct records *r, struct records_io *io,
    const uint8_t *message, size_t len) __attribute__((warn_unused_result));
/* close_notify, once: nothing is sealed after it. */
bool records_close(struct records *r, struct records_io *io)
    __attribute__((warn_unused_result));

/* Why RECORDS_FAILED. */
struct records_failure {
	/* What follows "the server" or "the client", a literal; NULL where
	 * memory was short or OpenSSL failed. */
	const char *text;
	int alert_received; /* the peer's, which then was the reason; or -1 */
	int alert_sent;     /* or -1 */
};
struct records_failure records_failure(const struct records *r);

/*
 * Kernel TLS: the kernel seals and opens with these and counts on from
 * `sequence`; from records_kernel() on no record comes here but by
 * records_control(), which is given what was no application data, opened.
 */
struct records_kernel_key {
	uint16_t suite;
	uint8_t key[32];
	size_t key_len;
	uint8_t iv[RECORDS_IV];
	uint64_t sequence;
};
bool records_kernel_key(const struct records *r, bool sending,
    struct records_kernel_key *out) __attribute__((warn_unused_result));
/* Only at rest. */
void records_kernel(struct records *r);

/* What the kernel is to be told after that, in this order.  After
 * RECORDS_TICKET there may be more of that record: records_control() is to be
 * called once more, with `len` 0. */
struct records_orders {
	bool new_receive_key; /* records_kernel_key(r, false) */
	uint8_t type;         /* of a record to be sent; 0: none */
	uint8_t bytes[8];
	size_t len;
	bool new_send_key; /* records_kernel_key(r, true), after that record */
};
enum records_result records_control(struct records *r, uint8_t type,
    const uint8_t *bytes, size_t len, struct records_orders *orders);
/* So many records were sealed by the kernel: it may be time for a new key. */
enum records_result records_kernel_sealed(struct records *r, uint64_t records,
    struct records_orders *orders);

#endif /* PROXY_TLS_RECORDS_H */
