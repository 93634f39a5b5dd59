/*
 * mongodb_hello.h - MongoDB's messages, and what hello says of a replica set
 *
 * A message is a head, the length of the whole first, and what its opcode says.
 * The bodies here are single BSON documents.  Of a document only the top level
 * is looked at, and a list of names in it: nothing is recursed into.
 */
#ifndef PROTOCOLS_MONGODB_HELLO_H
#define PROTOCOLS_MONGODB_HELLO_H

#include "protocols/negotiator.h"

#define MONGODB_HEAD 16 /* length, request, the request it answers, opcode */

enum mongodb_opcode {
	MONGODB_REPLY = 1,
	MONGODB_QUERY = 2004,
	MONGODB_COMPRESSED = 2012,
	MONGODB_MSG = 2013,
};

struct mongodb_head {
	uint32_t length; /* of the whole message */
	uint32_t request;
	uint32_t answers;
	uint32_t opcode;
};

/* False if it is not there whole. */
bool mongodb_read_head(struct rd *r, struct mongodb_head *h);

/*
 * A reply to hello, with the members' listen addresses in the place of their
 * own.  What is no member's is left out, as is a checksum; all else is copied
 * byte for byte.  False, whatever has been written, if `message` is no hello
 * of a replica set, or is not well formed.
 */
bool mongodb_hello_rewrite(struct rd message, const struct neg_members *members,
    size_t own, struct wr *out);

#define MONGODB_PARTS_MAX 4 /* of an error's text */

struct mongodb_error {
	uint32_t code;
	const char *code_name;
	const char *parts[MONGODB_PARTS_MAX + 1]; /* NULL after the last */
};

/* A failure, as the answer to that request. */
void mongodb_write_error(struct wr *out, const struct mongodb_head *request,
    const struct mongodb_error *e);

#endif /* PROTOCOLS_MONGODB_HELLO_H */
