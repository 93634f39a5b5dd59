/*
 * tds_login.h - LOGIN7, the message that a client logs in with
 *
 * MS-TDS 2.2.6.4: numbers, then pairs of offset and length, then what these
 * point to, little-endian and in UCS-2.  It holds the password, scrambled in a
 * way that protects nothing: whoever keeps it wipes it.
 */
#ifndef PROTOCOLS_TDS_LOGIN_H
#define PROTOCOLS_TDS_LOGIN_H

#include "protocols/negotiator.h"

#define TDS_LOGIN_MAX (128u * 1024 - 1) /* the specification's bound */
/* By how much tds_login_rename() may lengthen it, and the longest name. */
#define TDS_SERVER_NAME_MAX 255u
#define TDS_LOGIN_GROWS     (2 * TDS_SERVER_NAME_MAX)

/* The version that the client asks for; 0 if it is too short to have one. */
uint32_t tds_login_version(struct rd login);

/* Of a LOGIN7 or a LOGINACK, which write some of them in different ways:
 * before 7.2 counts of rows and line numbers were shorter. */
bool tds_is_before_72(uint32_t version);

/* Who it says it is; whether all of it is well formed is the server's to
 * judge. */
void tds_login_names(struct rd login, struct neg_names *names);

/* Writes another server's name into it, in place.  False, and nothing is
 * changed, if it is not well formed, or there is no room. */
bool tds_login_rename(struct wr *login, const char *server)
    __attribute__((warn_unused_result));

#endif /* PROTOCOLS_TDS_LOGIN_H */
