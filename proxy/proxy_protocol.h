/*
 * proxy_protocol.h - the header by which a proxy says for whom it connects
 *
 * Versions 1 (a line of text) and 2 (binary, with TLVs) of HAProxy's PROXY
 * protocol, read; and version 2, written.  Pure: bytes in, an answer out.
 *
 * Whoever reads asks for no more than the header's own bytes: as long as it is
 * not whole, the answer is how many more there are at least.  So not a byte
 * that stands behind it leaves the socket before its address has been judged.
 */
#ifndef PROXY_PROXY_PROTOCOL_H
#define PROXY_PROXY_PROTOCOL_H

#include "conf/address.h"
#include "protocols/bytes.h"

/* The longest that is taken.  The protocol has room for four times that, and
 * for no more than 107 in version 1; a client's certificate fits. */
#define PROXY_HEADER_MAX 16384
/* What can be no whole header of either version. */
#define PROXY_HEADER_MIN 15

/* PP2_CLIENT_*: bits of `client` below. */
#define PROXY_CLIENT_TLS       0x01u
#define PROXY_CLIENT_CERT_CONN 0x02u /* shown on this connection */
#define PROXY_CLIENT_CERT_SESS 0x04u /* shown in this TLS session */

/* What a header says; the cursors are into the bytes that were read. */
struct proxy_header {
	size_t len;       /* of all of it */
	unsigned version; /* 1 or 2 */
	/* Both have len 0 where it names nobody that TCP could reach: LOCAL,
	 * UNKNOWN, UNSPEC, a unix socket. */
	struct address source;
	struct address destination;
	bool local;  /* the proxy's own connection: a health check */
	bool summed; /* it has a checksum, which is right */
	/* Each has at == NULL if it is not there. */
	struct rd alpn;
	struct rd authority; /* the SNI, as a rule */
	struct rd unique_id;
	bool tls;        /* there is something on the client's TLS: */
	unsigned client; /* PROXY_CLIENT_* */
	bool verified;   /* a certificate was shown, and found good */
	struct rd tls_version;
};

enum proxy_result {
	PROXY_WHOLE = 0,
	PROXY_MORE, /* it goes on */
	PROXY_BAD,  /* `why` is a sentence */
};

/* Of all that has come so far.  PROXY_MORE: `more` is how many bytes the header
 * has yet, at least, and never 0. */
struct proxy_answer {
	enum proxy_result result;
	size_t more;
	const char *why;
};
struct proxy_answer proxy_header_read(struct rd bytes, struct proxy_header *h);

/* What a server is told. */
struct proxy_facts {
	/* NULL, or a unix socket's: then it is a header of our own (LOCAL). */
	const struct address *source;
	const struct address *destination; /* NULL: not known */
	const char *tls_version;           /* NULL: no TLS */
	bool verified;
	bool resumed;          /* it was shown on an earlier connection */
	const char *alpn;      /* "" or NULL: none */
	const char *authority; /* the same; only a host name is passed on */
};

#define PROXY_HEADER_OUT_MAX 1024
/* Version 2; `w` has PROXY_HEADER_OUT_MAX of room. */
void proxy_header_write(struct wr *w, const struct proxy_facts *f);

/* CRC-32C (RFC 3720, appendix B.4), from 0 or from what came before. */
uint32_t proxy_crc32c(uint32_t crc, const uint8_t *bytes, size_t n);

#endif /* PROXY_PROXY_PROTOCOL_H */
