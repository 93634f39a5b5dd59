/*
 * postgres_binding.h - what SCRAM channel binding means to who stands between
 *
 * A client that logs in with SCRAM signs what it believes to be the server's
 * certificate, and whether it believes that the server could check that.  We
 * cannot alter what it signs.  So the server's list of mechanisms is all that
 * can be changed, and to some answers there is only one end.
 *
 * Everything here is pure: cursors in, bytes out.
 */
#ifndef PROTOCOLS_POSTGRES_BINDING_H
#define PROTOCOLS_POSTGRES_BINDING_H

#include "protocols/bytes.h"

/* A list of mechanisms, as in AuthenticationSASL: names, and an empty one. */
struct binding_offer {
	bool plus;   /* there is one that binds: its name ends in -PLUS */
	bool others; /* there is one that does not */
};

/* False if the list has no end. */
bool binding_read_offer(struct rd list, struct binding_offer *offer);
void binding_write_without_plus(struct wr *out, struct rd list);

/* What the first message of a SCRAM client says of it, RFC 5802 section 6. */
enum binding_flag {
	BINDING_NOT_SCRAM = 0, /* or nothing that could be read as such */
	BINDING_NONE,          /* 'n': the client does not bind */
	BINDING_REGRETTED,     /* 'y': it would, had the server offered it */
	BINDING_USED,          /* 'p': it does */
};

/* `body` is that of a SASLInitialResponse. */
enum binding_flag binding_read_flag(struct rd body);

#endif /* PROTOCOLS_POSTGRES_BINDING_H */
