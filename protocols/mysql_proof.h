/*
 * mysql_proof.h - the proof by which MariaDB vouches for its certificate
 *
 * From MariaDB 11.4 on the OK that ends a log-in carries 64 hexadecimal
 * digits: SHA-256 of what the server keeps of the password, the scramble and
 * the SHA-256 of the certificate that the server has.  A client that knows
 * the password, and no CA, is convinced by them.  Where TLS ends here they
 * speak of the wrong certificate, unless we know the hash as well: then they
 * can be written anew, for ours.  That is what the setting certificate_proof
 * is for, a file of such hashes:
 *
 *	# a comment; blank lines, too, are allowed
 *	app     *72B37E3F4D899EDC98A9363172669E192CE424D5
 *	ed      24FjORYwAV6wiJLDpFI0doShISjOdPNUg1WR7eRAgqA
 *	"a b"   P0:+CUy7mXdG480MuooBcb2OLAQ:OfeM3MUYpTOQwbD5wjbmGhjeQ...
 *
 * A user and a hash in each line, with blanks or tabs between, around and
 * after them.  A user that has a blank in it, is empty or begins with # is
 * put in double quotes; in quotes nothing is special, and a quote cannot be.
 * Names are compared byte by byte.  A user may have several lines, as it may
 * have several accounts.  The hash is the authentication_string of
 * mysql.global_priv, of mysql_native_password, ed25519 or parsec; no other
 * method has one that serves.
 *
 * What was not proven to us is never certified: see mysql_proof_rewrite().
 */
#ifndef PROTOCOLS_MYSQL_PROOF_H
#define PROTOCOLS_MYSQL_PROOF_H

#include "protocols/negotiator.h"

#define MYSQL_PROOF_DIGITS   64
#define MYSQL_PROOF_SCRAMBLE 20

/* Is this such a file?  NULL if so, or what is wrong in line *line. */
const char *mysql_proof_check(struct rd content, unsigned *line);

struct mysql_proof_of {
	struct rd file;
	struct rd user;
	struct rd plugin;        /* as named on the wire: "client_ed25519" */
	const uint8_t *scramble; /* MYSQL_PROOF_SCRAMBLE bytes */
	/* SHA-256 of the certificates, NEG_DIGEST_LEN bytes each. */
	const uint8_t *server_leaf; /* NULL: no TLS on the server's leg */
	const uint8_t *our_leaf;
};

/*
 * Writes the digits anew, for our certificate; false, and they are as they
 * were, if that cannot be done.  By which of the user's hashes: the one that
 * the server's own digits prove, with its certificate or, if its leg has no
 * TLS, with none (64 zeros, which is what a server says that has none).  A
 * server that has one and was not asked for TLS speaks of a certificate that
 * we have not seen: only then the first hash is taken that fits the plugin.
 */
bool mysql_proof_rewrite(const struct neg_services *s,
    const struct mysql_proof_of *of, uint8_t digits[MYSQL_PROOF_DIGITS])
    __attribute__((warn_unused_result));

#endif /* PROTOCOLS_MYSQL_PROOF_H */
