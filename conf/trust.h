/*
 * trust.h - what a peer's certificate must satisfy, and the verdict in words
 *
 * One function judges: trust_judge().  The TLS handshake calls it from within
 * OpenSSL's verify callback, `dbtls verify` and `dbtls test` call it too, so
 * there is one opinion about a certificate in the whole program.
 */
#ifndef CONF_TRUST_H
#define CONF_TRUST_H

#include <time.h>

#include <openssl/x509.h>

#include "conf/endpoint.h"
#include "conf/err.h"
#include "conf/verdict.h"
#include "conf/wallet_access.h"

/* Trust anchors and CRLs: parsed once per distinct list of files and
 * configuration, counted and shared by endpoints and threads. */
struct anchors {
	STACK_OF(X509) *certs;    /* anchors, and what completes a chain */
	STACK_OF(X509_CRL) *crls; /* empty: revocation is not checked */
	_Atomic unsigned references;
};

struct anchors *anchors_new(void);
struct anchors *anchors_retain(struct anchors *a);
void anchors_release(struct anchors *a);
/* A path, or "system" for the machine's own anchors.  Wallets are opened, the
 * second function has what they may need. */
int anchors_add_file(struct anchors *a, const char *path, struct err *err);
int anchors_add_wallet(struct anchors *a, const char *path,
    const struct wallet_access *access, struct err *err);
int anchors_add_crl(struct anchors *a, const char *path, struct err *err);

/* A store of these anchors.  A store has a lock inside, so each thread has one
 * of its own; the certificates in it are shared. */
X509_STORE *anchors_store(const struct anchors *a, struct err *err);

enum x509_profile {
	X509_PROFILE_DEFAULT = 0,
	X509_PROFILE_WEBPKI
};

struct trust {
	struct anchors *anchors; /* NULL: the mode is require */
	enum ssl_mode mode;      /* require, verify-ca or verify-full */
	enum x509_profile profile;
	bool allow_cn;
	bool crl_expired_warns; /* else an expired CRL refuses */
	bool client;            /* judges clients' certificates, not servers' */
	int seclevel;
};

void trust_free(struct trust *t); /* releases its anchors */

/*
 * Judges a chain as it was sent: leaf first in `sent`, which includes it.
 * `store` is one of t->anchors, NULL if there are none.  `at` 0 means now.
 * Never fails to fill `v`; returns v->accepted.  Thread-safe.
 */
bool trust_judge(const struct trust *t, X509_STORE *store, STACK_OF(X509) *sent,
    const struct target *target, time_t at, struct cert_verdict *v);

/* trust_until.c: the first moment after `now` at which one of these begins or
 * ends to be valid; 0: there is none.  What has ended already, and was let
 * pass, does not count again. */
time_t trust_until(const STACK_OF(X509) *chain, const STACK_OF(X509_CRL) *crls,
    time_t now);

/* names.c: does the certificate bear one of these names?  As RFC 9525 and
 * libpq have it; see CONTRACT.md "Names".  `matched` is the name in the
 * certificate, escaped; on failure it lists those it does carry. */
bool trust_name_matches(X509 *leaf, const struct target *target, bool allow_cn,
    char *matched, size_t size);

/* The same, and by what it matched. */
struct name_rules {
	bool allow_cn;
	bool strict; /* no "*.com": two labels or more behind a wildcard */
};
enum name_source {
	NAME_FROM_NOTHING = 0,
	NAME_FROM_SAN,
	NAME_FROM_CN,
	NAME_FROM_CN_ADDRESS, /* an IP address in the CN */
	NAME_FROM_DN,
};
enum name_source trust_name_find(X509 *leaf, const struct target *target,
    const struct name_rules *rules, char *matched, size_t size);

/* Can a server_dn be read: "CN=x,OU=y" as RFC 4514 writes it? */
bool trust_dn_valid(const char *server_dn);

/* verdict.c: what one of OpenSSL's X509_V_ codes is called here. */
struct x509_words {
	int error;
	enum reason reason;
	const char *sentence; /* goes on from "server certificate" */
	const char *hint;     /* "": none */
};
const struct x509_words *x509_words(int error);

#endif /* CONF_TRUST_H */
