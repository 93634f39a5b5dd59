/*
 * wallet.h - Oracle wallets, and PKCS#12 in general
 *
 * A wallet is certificates, and perhaps a key, in a PKCS#12 that either asks
 * for a password (ewallet.p12) or brings its own, hidden in a header before it
 * (cwallet.sso, "auto-login"); that of an auto_login_local wallet opens only
 * for the host and the user that it was made on and by.  Nobody has published
 * the header's layout; it was read off wallets that Oracle's tool made:
 *
 *	 0	A1 F8 4E
 *	 3	'6' or '7' auto-login, '8' auto_login_local
 *	 4	u32 version of the header: 6 since Oracle 11g
 *	 8	u32 how many bytes stand between offset 12 and the PKCS#12
 *	12	06: key and block of AES-128, or 35: the same of DES in
 *		hexadecimal; the block, deciphered, is the password, or what
 *		it is made of
 *
 * (ssoDecrypt by tejado, go-ora's wallet.go.)  An uploaded file gets here, so
 * all work is bounded: how large, how many bags, how many rounds.
 */
#ifndef CONF_WALLET_H
#define CONF_WALLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "conf/err.h"

enum wallet_kind {
	WALLET_P12 = 0,   /* a password opens it */
	WALLET_SSO,       /* it opens itself */
	WALLET_SSO_LOCAL, /* ... for one user of one host */
};

/* What may be needed to open one; each may be NULL. */
struct wallet_words {
	const char *password; /* NUL-ended; wiped by whoever has it */
	size_t password_len;
	const char *password_file; /* for the error alone */
	const char *host;          /* auto_login_local; NULL: this one */
	const char *user;          /* NULL: whom we run as */
};

#define WALLET_CIPHERS_MAX 128

struct wallet {
	enum wallet_kind kind;
	const char *seal; /* of the header: "AES-128", "DES"; else "" */
	/* Of the PKCS#12's parts, as OpenSSL has them. */
	char ciphers[WALLET_CIPHERS_MAX];
	STACK_OF(X509) *certs; /* in the order of the file */
	EVP_PKEY *key;         /* NULL: it holds none */
	unsigned passed_over;  /* bags that are neither: secrets, requests */
};

/* Is it one?  Looks at the first bytes only. */
bool wallet_recognise(const uint8_t *bytes, size_t len);

/* Does it ask for a password, or bring its own? */
bool wallet_wants_password(const uint8_t *bytes, size_t len);

/* `path` is for the error alone.  The certificate that belongs to the key is
 * not told apart here; where there are two keys it is an error.  0, or -1 with
 * `err` and nothing to be freed. */
int wallet_read(struct wallet *w, const char *path, const uint8_t *bytes,
    size_t len, const struct wallet_words *words, struct err *err)
    __attribute__((warn_unused_result));
void wallet_fini(struct wallet *w);

/*
 * wallet_sso.c: the header.
 */

#define WALLET_PASSWORD_LEN 16

struct wallet_head {
	enum wallet_kind kind;
	const char *seal;
	uint8_t password[WALLET_PASSWORD_LEN]; /* to be wiped */
	/* Of an auto_login_local: two public readers of these files fold one
	 * value differently, and the check sum tells which is right. */
	uint8_t other_password[WALLET_PASSWORD_LEN];
	size_t length; /* where the PKCS#12 begins */
};

/* False for what does not begin like one. */
bool wallet_head_recognise(const uint8_t *bytes, size_t len);
int wallet_head_read(struct wallet_head *h, const char *path,
    const uint8_t *bytes, size_t len, const struct wallet_words *words,
    struct err *err) __attribute__((warn_unused_result));
/* A new auto-login header of kind AES, with a new password in `h`. */
#define WALLET_HEAD_LEN 45
int wallet_head_make(struct wallet_head *h, uint8_t head[WALLET_HEAD_LEN],
    struct err *err) __attribute__((warn_unused_result));

/*
 * wallet_bounds.c: what a file may ask for before it is refused; for keys in
 * PEM and DER too.
 */

#define WALLET_ROUNDS_MAX 4000000L /* of key derivation, in all */

/* One more than WALLET_ROUNDS_MAX for what is more, or cannot be told. */
long wallet_rounds_of_integer(const ASN1_INTEGER *n);
long wallet_rounds(const X509_ALGOR *a);

/* Is it a key that TLS has a use for, of a size that is bearable to read? */
bool wallet_key_fits(const PKCS8_PRIV_KEY_INFO *info);

/*
 * wallet_write.c: a new one.
 */

/* An auto-login wallet of certificates and, if `key` is not NULL, a key whose
 * certificate is among them; as Oracle's tool would write it.  To be freed with
 * OPENSSL_clear_free(); NULL with `err`. */
uint8_t *wallet_make(STACK_OF(X509) *certs, EVP_PKEY *key, size_t *len,
    struct err *err);

#endif /* CONF_WALLET_H */
