/*
 * wallets.h - wallets for tests, as they should be and as they should not
 *
 * They are put together piece by piece, by code of their own, so that what
 * reads them is not tested by itself alone.  A piece lives until
 * pieces_free().
 */
#ifndef TESTS_UNIT_WALLETS_H
#define TESTS_UNIT_WALLETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

struct piece {
	const uint8_t *at;
	size_t len;
};

void pieces_free(void);
struct piece piece(const void *bytes, size_t len);
/* The pieces one after the other. */
struct piece join(size_t n, const struct piece *parts);
#define JOIN(...)                                                            \
	join(sizeof((struct piece[]){ __VA_ARGS__ }) / sizeof(struct piece), \
	    (struct piece[]){ __VA_ARGS__ })
struct piece der(uint8_t tag, struct piece inside);
#define SEQUENCE(...) der(0x30, JOIN(__VA_ARGS__))
struct piece der_number(long n);
struct piece der_oid(const char *dotted);

/* A password as bytes: that of a wallet is no text. */
struct secret {
	const uint8_t *at;
	size_t len;
};

struct piece bag_cert(X509 *cert);
struct piece bag_key(EVP_PKEY *key);
struct piece bag_shrouded(EVP_PKEY *key, int nid, int rounds,
    struct secret password);
struct piece bag_other(void); /* a secret, as orapki keeps log-ins in */
struct piece bag_of_bags(struct piece bags);

/* Parts of an authenticated safe; `nid` NID_aes_256_cbc is PBES2.  `bags` are
 * joined. */
struct piece safe_plain(struct piece bags);
struct piece safe_sealed(struct piece bags, int nid, int rounds,
    struct secret password);
/* The file: ewallet.p12, or what is behind the header of cwallet.sso. */
struct piece pfx(struct piece safes, int rounds, struct secret password);

/* A header of this kind ('6', '8') and the password that it leads to. */
struct head {
	char kind;
	bool des;
	bool top_is_128; /* of the two ways in which 0x7f is folded */
	const char *host;
	const char *user;
	uint8_t hidden[16]; /* what it is made of */
	uint8_t password[16];
};
struct piece head_make(struct head *h);
struct secret head_secret(const struct head *h);

/* CN=name, signed by `issuer` or by itself; to be freed. */
EVP_PKEY *key_new(void);
X509 *cert_new(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *by);

#endif /* TESTS_UNIT_WALLETS_H */
