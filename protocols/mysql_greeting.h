/*
 * mysql_greeting.h - the packet that a MySQL server begins with
 *
 *	0a version\0 thread[4] nonce[8] 00 capabilities[2] charset[1] status[2]
 *	capabilities[2] length[1] reserved[10] nonce[12] 00 plugin\0
 *
 * Where MariaDB leaves the lowest capability out, the last four reserved bytes
 * are capabilities of its own.  They are passed on as they are, like all that
 * is not a bit about TLS.
 */
#ifndef PROTOCOLS_MYSQL_GREETING_H
#define PROTOCOLS_MYSQL_GREETING_H

#include "protocols/mysql_packet.h"

#define MYSQL_NONCE_LEN 20u

enum mysql_greeting_kind {
	MYSQL_GREETING_FOREIGN = 0, /* no MySQL server says such a thing */
	MYSQL_GREETING_X,           /* one does, but on its other port */
	MYSQL_GREETING_OLD,         /* older than 4.1 */
	MYSQL_GREETING_GOOD,
};

struct mysql_greeting {
	uint32_t caps;
	uint8_t nonce[MYSQL_NONCE_LEN];

	/* Where each half of the capabilities stands in the payload. */
	size_t low_at, high_at;
};

enum mysql_greeting_kind mysql_greeting_read(struct rd payload,
    struct mysql_greeting *g);

/* The same with other capabilities, which says the same at the same length. */
void mysql_greeting_write(struct wr *w, struct rd payload,
    const struct mysql_greeting *g, uint32_t caps);

#endif /* PROTOCOLS_MYSQL_GREETING_H */
