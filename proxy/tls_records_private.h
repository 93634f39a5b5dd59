/*
 * tls_records_private.h - what tls_records*.c share, and nobody else sees
 *
 * tls_records.c opens and seals, tls_records_keys.c makes keys of secrets,
 * tls_records_inner.c is what is in a record that is no application data,
 * tls_records_kernel.c what is left to be done where the kernel does the rest.
 */
#ifndef PROXY_TLS_RECORDS_PRIVATE_H
#define PROXY_TLS_RECORDS_PRIVATE_H

#include <openssl/evp.h>

#include "proxy/queue.h"
#include "proxy/tls_records.h"

/* As TLS numbers them: RFC 8446, B.1 to B.3. */
enum {
	RECORD_CHANGE_CIPHER_SPEC = 20,
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_APPLICATION_DATA = 23,
};
enum {
	ALERT_CLOSE_NOTIFY = 0,
	ALERT_UNEXPECTED_MESSAGE = 10,
	ALERT_BAD_RECORD_MAC = 20,
	ALERT_RECORD_OVERFLOW = 22,
	ALERT_ILLEGAL_PARAMETER = 47,
	ALERT_DECODE_ERROR = 50,
	ALERT_INTERNAL_ERROR = 80,
	ALERT_USER_CANCELED = 90,
};
#define ALERT_NONE (-1)

#define RECORDS_PLAIN_MAX 16384
/* What a NewSessionTicket can come to, without its head: RFC 8446, 4.6.1. */
#define RECORDS_TICKET_MAX (4 + 4 + 1 + 255 + 2 + 65535 + 2 + 65534)
#define RECORDS_TAG        16
#define KEY_UPDATE_LEN     5
#define ALERT_LEN          2

struct records_suite_facts;

struct records_kit {
	EVP_CIPHER *cipher[3]; /* in the order of the suites */
	EVP_MD *hash[3];
};

struct records_direction {
	uint8_t secret[RECORDS_SECRET_MAX];
	uint8_t iv[RECORDS_IV];
	uint64_t sequence;      /* of the next record */
	uint64_t records;       /* with this key */
	EVP_CIPHER_CTX *cipher; /* NULL: the kernel has it */
};

struct records {
	const struct records_kit *kit;
	const struct records_suite_facts *suite;
	bool client;
	bool kernel;
	bool ended;       /* by the peer */
	bool closed;      /* by us */
	bool answer_due;  /* to a KeyUpdate, or one of our own */
	bool ask_due;     /* ... which asks the peer for another */
	bool asked;       /* it owes us its next key */
	unsigned empty;   /* records in a row */
	unsigned warned;  /* ... by alerts */
	unsigned updated; /* KeyUpdates, with no application data between */
	uint64_t rekey;
	struct records_direction receive;
	struct records_direction send;
	struct queue partial; /* the record that has begun */
	struct queue message; /* the handshake messages that have not ended */
	size_t ticket;        /* the first so many of them are a ticket */
	bool failed;
	struct records_failure failure;
};

/* The first failure counts; `alert` is what the peer is told. */
enum records_result records_fail(struct records *r, int alert,
    const char *text);
/* By our own fault. */
enum records_result records_fail_internal(struct records *r);

/* tls_records_keys.c */
const struct records_suite_facts *records_suite_find(uint16_t suite);
/* From the secret that `d` has; false: memory is short, or OpenSSL failed. */
bool records_arm(const struct records *r, struct records_direction *d,
    bool sending) __attribute__((warn_unused_result));
void records_disarm(struct records_direction *d);
/* The next secret in the place of the present one; RFC 8446, 7.2. */
bool records_update(struct records *r, bool sending)
    __attribute__((warn_unused_result));

/*
 * tls_records_inner.c.  A record that was opened, without its padding.
 * Application data is not for it.  RECORDS_MORE: go on.
 */
enum records_result records_inner(struct records *r, uint8_t type,
    const uint8_t *bytes, size_t len);
/* First in each call: forgets the last one's ticket, and goes on behind it. */
enum records_result records_go_on(struct records *r);
/* A KeyUpdate of ours, which answers, and asks if that is due. */
void records_update_message(struct records *r, uint8_t message[KEY_UPDATE_LEN]);
void records_alert_bytes(uint8_t what, uint8_t alert[ALERT_LEN]);

#endif /* PROXY_TLS_RECORDS_PRIVATE_H */
