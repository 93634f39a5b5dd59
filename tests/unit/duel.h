/*
 * duel.h - a record layer of ours against OpenSSL, after a real handshake
 *
 * Two SSL objects shake hands in memory.  One of them is then replaced by a
 * struct records with its secrets, and can still be asked what it makes of the
 * same bytes; the other is the peer.  A forger has the peer's secrets, and
 * seals whatever a test wants: with code that shares nothing with ours.
 */
#ifndef TESTS_UNIT_DUEL_H
#define TESTS_UNIT_DUEL_H

#include <openssl/ssl.h>

#include "proxy/tls_records.h"

#define DUEL_MAX     (2 * 1024 * 1024)
#define DUEL_SUITES  3
#define RECORD_TYPED 23 /* what a sealed record says it is */

extern const uint16_t duel_suites[DUEL_SUITES];

struct forger {
	uint16_t suite;
	uint8_t secret[RECORDS_SECRET_MAX];
	uint8_t iv[12];
	uint64_t sequence;
	EVP_CIPHER_CTX *cipher;
};
/* Seals `len` bytes, their type and so many zeroes; returns how long the record
 * became.  `type` 0: there is none, only the zeroes. */
size_t forge(struct forger *f, uint8_t type, const void *content, size_t len,
    size_t padding, uint8_t *out);
/* The next key, as after a KeyUpdate. */
void forger_update(struct forger *f);

struct duel {
	struct records_kit *kit;
	struct records *records;
	bool client; /* what we are */
	SSL *ours;   /* that it stands in for */
	BIO *to_ours;
	SSL *peer;
	BIO *to_peer;
	BIO *from_peer;
	struct forger forger;
	uint64_t rekey;
	size_t slice;   /* how much of the input one call is given */
	uint8_t *plain; /* all that was opened */
	size_t plain_len;
	uint8_t *out; /* all that was sealed, and the peer has not been given */
	size_t out_len;
	enum records_result result;
	unsigned tickets; /* that were seen */
	unsigned calls;
};

/* Once, before the first: a certificate and what else takes time. */
void duel_set_up(void);
void duel_tear_down(void);

/* With so many tickets of the server's, which have not been read yet. */
void duel_open(struct duel *d, uint16_t suite, bool client, int tickets);
void duel_close(struct duel *d);
/* With a limit of so many records for a key. */
void duel_open_with(struct duel *d, uint16_t suite, bool client,
    uint64_t rekey);

/* To records_open(), by slices, until it is used up or ended. */
enum records_result duel_give(struct duel *d, const uint8_t *bytes, size_t len);
/* One forged record. */
enum records_result duel_forge(struct duel *d, uint8_t type,
    const void *content, size_t len, size_t padding);
/* All that the peer has written. */
enum records_result duel_pump(struct duel *d);
void duel_seal(struct duel *d, const void *plain, size_t len);
/* What is in `out` goes to the peer, and what that makes of it is read: returns
 * SSL_get_error(), and 0 if all of `cap` came. */
int duel_peer_read(struct duel *d, uint8_t *plain, size_t cap, size_t *len);

#endif /* TESTS_UNIT_DUEL_H */
