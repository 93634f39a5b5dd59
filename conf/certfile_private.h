/*
 * certfile_private.h - what the files of certfile share
 */
#ifndef CONF_CERTFILE_PRIVATE_H
#define CONF_CERTFILE_PRIVATE_H

#include "conf/certfile.h"
#include "conf/certfile_contents.h"
#include "conf/filebytes.h"

#define CERTFILE_MIB 16 /* the largest that is read */
#define PASSWORD_MAX 1024

/* A password for OpenSSL, which would otherwise ask on the terminal. */
struct password {
	char text[PASSWORD_MAX + 1];
	size_t len;
	bool given; /* there is a password file */
	bool asked; /* the key is encrypted */
};

/* The first line of a file, without its end; to be wiped. */
int password_read(struct password *p, const char *path, struct err *err)
    __attribute__((warn_unused_result));

/* Takes the certificate over, unless it is there already.  -1 if memory is
 * short. */
int certs_append(STACK_OF(X509) *to, X509 *cert)
    __attribute__((warn_unused_result));

bool certfile_is_der(const struct filebytes *f);

/* As the functions of certfile.h that take a path. */
int certfile_parse_certs(const struct filebytes *f, STACK_OF(X509) *to,
    struct err *err) __attribute__((warn_unused_result));
/* Whatever there is: all of both, or neither; keys are passed over. */
int certfile_parse_all(const struct filebytes *f, STACK_OF(X509) *certs,
    STACK_OF(X509_CRL) *crls, struct err *err)
    __attribute__((warn_unused_result));
/* NULL and `err` for all but the first; callers may not mind. */
enum key_found {
	KEY_READ = 0,
	KEY_NONE,
	KEY_SEALED, /* and no password is given */
	KEY_UNREADABLE,
};
EVP_PKEY *certfile_parse_key(const struct filebytes *f,
    const char *password_file, enum key_found *what, struct err *err);

/* As contents_read(), of a file that was read already. */
int contents_parse(struct contents *c, const struct filebytes *f,
    const struct wallet_access *access, struct err *err)
    __attribute__((warn_unused_result));
/* They move to the end of `to`; without `own`, all but those that belong to its
 * key: there are two where one was renewed. */
int contents_move_certs(struct contents *c, bool own, STACK_OF(X509) *to)
    __attribute__((warn_unused_result));

#endif /* CONF_CERTFILE_PRIVATE_H */
