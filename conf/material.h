/*
 * material.h - the certificates, keys and CRLs of one configuration
 *
 * Each distinct list of files is read once, however many endpoints name it;
 * what is wrong with it is kept too, so that every endpoint that names it can
 * be told.  Shows no OpenSSL.
 */
#ifndef CONF_MATERIAL_H
#define CONF_MATERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/err.h"
#include "conf/wallet_access.h"

struct anchors;
struct keypair;
struct material;
struct rsakey;

enum material_kind {
	MATERIAL_CA = 0,
	MATERIAL_CRL,
};

/* Something about one of the files. */
struct material_note {
	bool warning; /* else an error */
	enum material_kind kind;
	size_t index; /* of the file in its list */
	struct err why;
};

struct material_set {
	struct anchors *anchors; /* the caller retains them; NULL: no memory */
	struct material_note *notes;
	size_t nnotes;
	bool warned; /* the caller's, to say a warning once */
};

struct material *material_new(void);
void material_free(struct material *m); /* accepts NULL */

/* Paths as they are to be opened, or "system"; `access` for the wallets among
 * them.  NULL if memory is short. */
struct material_set *material_find(struct material *m, const char *const *ca,
    size_t nca, const char *const *crl, size_t ncrl,
    const struct wallet_access *access);

/* As keypair_load(); the caller releases it.  *warning is a sentence if the
 * certificate has expired, or is not valid yet; else it is empty. */
struct keypair *material_keypair(struct material *m, const char *cert,
    const char *key, const struct wallet_access *access, struct err *warning,
    struct err *err);

/* As rsakey_load(); the caller releases it. */
struct rsakey *material_rsakey(struct material *m, const char *path,
    struct err *err);
/* Is it the key of a certificate that was loaded? */
bool material_certified(const struct material *m, const struct rsakey *k);

/* Files that are kept as they are: secrets, which others may not read, and a
 * public key as rsakey_read_public() has it.  To be freed, the first wiped;
 * NULL with `err`, which names the file. */
uint8_t *material_secret(const char *path, size_t *len, struct err *err);
uint8_t *material_rsa_public(const char *path, size_t *len, struct err *err);

/* SHA-256 in hexadecimal. */
#define MATERIAL_DIGEST_MAX 65
int material_digest(const void *bytes, size_t len,
    char hex[MATERIAL_DIGEST_MAX]) __attribute__((warn_unused_result));

#endif /* CONF_MATERIAL_H */
