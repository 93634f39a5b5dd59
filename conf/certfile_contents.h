/*
 * certfile_contents.h - all that is in a file: certificates, CRLs and a key
 *
 * Of PEM, DER, and wallets of every kind.
 *
 *	struct contents c;
 *
 *	if (contents_read(&c, path, &access, &err) == -1)
 *		...
 *	contents_fini(&c);
 */
#ifndef CONF_CERTFILE_CONTENTS_H
#define CONF_CERTFILE_CONTENTS_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "conf/err.h"
#include "conf/wallet.h"
#include "conf/wallet_access.h"

enum contents_kind {
	CONTENTS_PEM = 0,
	CONTENTS_DER,
	CONTENTS_WALLET, /* what `wallet_kind` says */
};

struct contents {
	char *path; /* of the wallet, where a folder was named */
	enum contents_kind kind;
	enum wallet_kind wallet_kind;
	const char *seal; /* as in struct wallet */
	char ciphers[WALLET_CIPHERS_MAX];
	STACK_OF(X509) *certs; /* duplicates left out */
	STACK_OF(X509_CRL) *crls;
	EVP_PKEY *key;   /* NULL: it holds none, or */
	bool sealed_key; /* one that needs a password */
	unsigned passed_over;
};

/* A file with a private key that others may read is refused.  `access` may be
 * NULL.  0, or -1 with `err` and nothing to be freed. */
int contents_read(struct contents *c, const char *path,
    const struct wallet_access *access, struct err *err)
    __attribute__((warn_unused_result));
void contents_fini(struct contents *c);

/* Which of the certificates belongs to the key; -1: none. */
int contents_leaf(const struct contents *c);

#endif /* CONF_CERTFILE_CONTENTS_H */
