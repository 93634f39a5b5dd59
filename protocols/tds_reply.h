/*
 * tds_reply.h - what a server says to a log-in, and what we say in its place
 *
 * A reply is a row of tokens (MS-TDS 2.2.7), each with a length of its own
 * kind.  They are walked, not altered: to see that the server does not send
 * its client to another server, past the proxy.  It may be several messages:
 * drivers read on until a DONE says that there is no more.
 */
#ifndef PROTOCOLS_TDS_REPLY_H
#define PROTOCOLS_TDS_REPLY_H

#include "protocols/negotiator.h"

struct tds_reply {
	bool accepted;    /* LOGINACK */
	bool rejected;    /* an error */
	bool routed;      /* elsewhere */
	bool done;        /* a DONE with no more to come is its end */
	uint32_t version; /* that both will speak, as far as it is known */
};

/* `version` is that of the LOGIN7.  False if there is a token whose end cannot
 * be told: whatever stood behind it would pass unseen. */
bool tds_reply_read(struct rd tokens, uint32_t version, struct tds_reply *reply)
    __attribute__((warn_unused_result));

/* A message of an error and no more; texts are ASCII. */
void tds_write_error(struct wr *out, uint32_t version,
    const struct neg_error *why);

#endif /* PROTOCOLS_TDS_REPLY_H */
