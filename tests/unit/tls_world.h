/*
 * tls_world.h - certificates and a peer for the tests of TLS, all in memory
 *
 * A wire joins a struct tls with a plain OpenSSL connection, the peer.  What
 * the peer says reaches the struct tls in slices, so that a test can be run
 * with records cut anywhere.
 */
#ifndef TESTS_UNIT_TLS_WORLD_H
#define TESTS_UNIT_TLS_WORLD_H

#include <CUnit/Basic.h>
#include <openssl/ssl.h>

#include "conf/certfile.h"
#include "conf/endpoint.h"
#include "conf/trust.h"
#include "proxy/tls.h"

#define DAY (24 * 60 * 60)

/* Are endpoints to take records over (tls.records = "direct")?  What the
 * environment says (DBTLS_TEST_RECORDS); both are run. */
bool world_direct(void);

/* What world_issue() puts into a certificate; zeroes mean what is usual. */
struct wish {
	const char *key; /* "EC", "ED25519", "RSA", "RSA-PSS", "RSA-1024" */
	const char *cn;
	const char *san; /* as OpenSSL's configuration has it: "DNS:a.test" */
	long from;       /* seconds from now; 0: yesterday */
	long to;         /* 0: in 30 days */
	bool ca;
	const struct keypair *issuer; /* NULL: itself */
	const char *digest;           /* NULL: SHA-256 */
};
struct keypair *world_issue(const struct wish *wish);

/* Anchors of one certificate. */
struct anchors *world_anchors(const struct keypair *k);

/* An endpoint with everything at its default but what is given: mode, anchors
 * (NULL: none) and the name that its only server must bear. */
struct endpoint *world_endpoint(enum ssl_mode mode, const struct keypair *ca,
    const char *name);
/* The other side: a certificate for clients, and whom they must come from. */
void world_client_leg(struct endpoint *e, const struct keypair *own,
    enum client_verify verify, const struct keypair *ca);
void world_endpoint_free(struct endpoint *e);

/* A peer's context at level 0 with everything allowed, so that only we are
 * the ones to refuse. */
SSL_CTX *world_peer(bool server, const struct keypair *own);
void world_peer_versions(SSL_CTX *ctx, int min, int max);

struct wire {
	struct tls_stores *stores;
	struct tls_context *context;
	struct tls *tls;
	SSL *peer;
	BIO *to_peer;
	BIO *from_peer;
	size_t slice; /* how much reaches `tls` at once */
	size_t room;  /* of io->out */
	uint8_t *in;  /* what has, and was not read */
	size_t in_len;
	uint8_t *out;
	enum tls_result result; /* of the last call */
	int peer_result;        /* of the peer's handshake; 1: done */
	char peer_error[256];   /* why it failed */
};

/* Takes `peer`. */
void wire_open(struct wire *w, const struct endpoint *e, enum leg_id leg,
    const struct neg_tls *how, SSL_CTX *peer);
void wire_close(struct wire *w);
/* Another connection of the same contexts, in the place of this one.  A peer
 * that is a client resumes `session`, unless it is NULL. */
void wire_again(struct wire *w, const struct neg_tls *how,
    const struct server *server, SSL_SESSION *session);
/* Until both are through, or one has failed, or nothing moves any more. */
void wire_shake(struct wire *w);
/* All that the peer has sent and fits; *len is how much.  The result is the
 * last of tls_read(). */
enum tls_result wire_read(struct wire *w, uint8_t *plain, size_t cap,
    size_t *len);
enum tls_result wire_write(struct wire *w, const void *plain, size_t len);
void wire_shutdown(struct wire *w);
/* All that we have sent; SSL_get_error() of the last SSL_read(). */
int wire_peer_read(struct wire *w, uint8_t *plain, size_t cap, size_t *len);
void wire_peer_write(struct wire *w, const void *plain, size_t len);
/* Bytes of the peer's that never were TLS. */
void wire_inject(struct wire *w, const void *bytes, size_t len);

/*
 * What the tests share: made once, and then nobody changes it.
 */
#define WORLD_NAME "db.test"
#define WORLD_SAN  "DNS:db.test"
#define WORLD_KEYS 4
extern const char *const world_keys[WORLD_KEYS];
extern struct world {
	struct keypair *ca, *other_ca;
	struct keypair *good[WORLD_KEYS]; /* by world_keys */
	struct keypair *wrong_name, *expired, *stranger, *weak;
	struct keypair *client, *strange_client;
} world;
int world_set_up(void);
int world_tear_down(void);

/* In verify-full, with the first CA. */
struct endpoint *world_full(void);
/* A server leg that is through and settled, with nothing special about it. */
void wire_open_good(struct wire *w, const struct endpoint *e);
void wire_open_good_version(struct wire *w, const struct endpoint *e,
    int version);
/* That the last call failed: why, with these words in its text and, unless
 * NULL, these in its hint. */
void expect_failure(const struct wire *w, enum reason reason, const char *text,
    const char *hint);
/* That a question and an answer pass. */
void expect_exchange(struct wire *w);

/* All of a test program's main(). */
int world_main(const char *name, CU_TestInfo *tests);
#define TEST(name)          \
	{                   \
#name, name \
	}

#endif /* TESTS_UNIT_TLS_WORLD_H */
