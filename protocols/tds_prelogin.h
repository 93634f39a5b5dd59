/*
 * tds_prelogin.h - the one message that comes before everything else
 *
 * MS-TDS 2.2.6.5.  Either side lists options: a table of token, offset and
 * length, and behind it what the offsets point to.  All but one pass as they
 * are, whatever they are: a log-in may depend on any of them.  That one is a
 * byte which says what the peer makes of TLS, and is ours to overwrite in
 * place.
 *
 * It goes in clear, so its shape is looked at closely: one packet, its
 * options inside it, and nothing else.
 */
#ifndef PROTOCOLS_TDS_PRELOGIN_H
#define PROTOCOLS_TDS_PRELOGIN_H

#include "protocols/tds_packet.h"

enum tds_encryption {
	TDS_ENCRYPT_OFF = 0, /* for the log-in only */
	TDS_ENCRYPT_ON,
	TDS_ENCRYPT_NOT_SUP,
	TDS_ENCRYPT_REQ,
};
#define TDS_ENCRYPTIONS (TDS_ENCRYPT_REQ + 1)

/* Besides one of those: with the client's certificate, on loopback. */
#define TDS_ENCRYPT_CLIENT_CERT 0x80u

/* An option for a message that has none is added: so much more. */
#define TDS_PRELOGIN_ADDED 6u

struct tds_prelogin {
	bool has_encryption;
	uint8_t encryption; /* TDS_ENCRYPT_NOT_SUP if it has none */
	size_t encryption_at;
};

/* `packet` is all of the message; false if it is not well formed. */
bool tds_prelogin_read(struct rd packet, struct tds_prelogin *p)
    __attribute__((warn_unused_result));

/* The same but for what it says of TLS; `packet` is well formed. */
void tds_prelogin_write(struct wr *out, struct rd packet, uint8_t encryption);

/* Is it? */
bool tds_prelogin_is_copy(struct rd copy, struct rd packet, uint8_t encryption);

#endif /* PROTOCOLS_TDS_PRELOGIN_H */
