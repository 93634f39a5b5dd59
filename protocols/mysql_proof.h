/*
 * mysql_proof.h - MariaDB's proof that a certificate is the server's
 *
 * From 11.4 on the OK that ends a log-in carries 64 hexadecimal digits:
 *
 *	SHA-256(H || scramble || SHA-256(the server's certificate))
 *
 * where H is what the server stores in place of the password.  Whoever knows
 * the password can tell by it that nobody stands between.  We do, and show a
 * certificate of our own: a client that relies on this proof refuses us, unless
 * H of its user is configured and the digits are made anew for our certificate.
 *
 * What must never happen is that we vouch for a server that has not proven
 * itself: where the server's leg has TLS, its own digits must hold for the
 * certificate that it showed to us.
 *
 * The setting certificate_proof names a file of such hashes:
 *
 *	# a comment
 *	app     *72B37E3F4D899EDC98A9363172669E192CE424D5
 *	ed      24FjORYwAV6wiJLDpFI0doShISjOdPNUg1WR7eRAgqA
 *	"a b"   P0:+CUy7mXdG480MuooBcb2OLAQ:OfeM3MUYpTOQwbD5wjbmGhjeQ...
 *
 * A user and a hash in each line, with blanks or tabs between, before and
 * after them; blank lines; lines end as on Unix or on Windows.  A user that
 * has a blank in it, is empty, or begins with # or a double quote is put in
 * double quotes; between quotes nothing is special, and there cannot be one.
 * Users are compared byte by byte, and may have several lines, as they may
 * have several accounts.  A hash is the authentication_string of
 * mysql.global_priv: `*` and 40 hexadecimal digits (mysql_native_password), 43
 * of base64 (ed25519), or `P`, rounds, salt and 43 of base64 (parsec).  Other
 * methods have none that would serve.
 *
 * Everything here is pure: bytes in, bytes out.
 */
#ifndef PROTOCOLS_MYSQL_PROOF_H
#define PROTOCOLS_MYSQL_PROOF_H

#include "protocols/negotiator.h"

#define MYSQL_PROOF_DIGITS       64
#define MYSQL_PROOF_SCRAMBLE_LEN 20

/* For neg_option.check: NULL if all is well, or what is wrong in line *line. */
const char *mysql_proof_check(struct rd content, unsigned *line);

/* One log-in, and what is known of it. */
struct mysql_proof_of {
	struct rd file; /* as mysql_proof_check() has approved of it */
	struct rd user;
	struct rd plugin;           /* as on the wire: "client_ed25519" */
	const uint8_t *scramble;    /* MYSQL_PROOF_SCRAMBLE_LEN bytes */
	const uint8_t *server_leaf; /* NEG_DIGEST_LEN bytes; NULL: the
	                             * server's leg has no TLS */
	const uint8_t *our_leaf;    /* NEG_DIGEST_LEN bytes */
};

/*
 * Makes the digits anew for our certificate.  True: they were rewritten.  False
 * leaves them as they were: the user is not in the file, or what the server
 * sent does not prove that it is who it should be.
 *
 * By which of the user's hashes: the one that the server's digits prove, with
 * its certificate or, if its leg has no TLS, with none (64 zeros, which is what
 * a server says that has none).  A server that has one and was not asked for
 * TLS speaks of a certificate that we have not seen: then, and only then, it is
 * the first hash that fits the plugin.
 */
bool mysql_proof_rewrite(const struct neg_services *s,
    const struct mysql_proof_of *of, uint8_t digits[MYSQL_PROOF_DIGITS]);

#endif /* PROTOCOLS_MYSQL_PROOF_H */
