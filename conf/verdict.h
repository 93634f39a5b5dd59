/*
 * verdict.h - what was found about a certificate, in words and numbers
 *
 * Plain data, so that those who do not see OpenSSL can log it.  All text is
 * printable ASCII: what a certificate carries is escaped and cut before it
 * comes here.
 */
#ifndef CONF_VERDICT_H
#define CONF_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "protocols/reason.h"

/* What was checked, and held. */
enum verified {
	VERIFIED_NONE = 0,
	VERIFIED_PIN,  /* ssl mode require, with a pin */
	VERIFIED_CA,   /* the chain */
	VERIFIED_FULL, /* the chain and the name */
};
const char *verified_name(enum verified v); /* none, pin, ca, full */

#define VERDICT_TEXT_MAX 400

struct cert_verdict {
	bool accepted;
	enum reason reason; /* why not; REASON_NONE if accepted */
	int x509_error; /* OpenSSL's X509_V_ code, for the alert and `test` */
	int depth;      /* of the certificate at fault; 0 is the leaf */
	char text
	    [VERDICT_TEXT_MAX]; /* "certificate is for a.test, not b.test" */
	char hint
	    [VERDICT_TEXT_MAX]; /* the remedy; "" if there is none to give */

	enum verified verified;
	char name
	    [256]; /* the name in the certificate that matched; "" if none */
	uint8_t leaf[32]; /* SHA-256 of the leaf's DER */
	uint8_t
	    anchor[32]; /* of the trust anchor; zero if no chain was built */
	bool
	    legacy; /* accepted, but with something `check` would warn about: */
	char warning[VERDICT_TEXT_MAX]; /* for example a v1 certificate */
	/* When it might be another, with the same certificates and CRLs: in
	 * seconds of the clock; 0: time has no part in it. */
	int64_t until;
};

#endif /* CONF_VERDICT_H */
