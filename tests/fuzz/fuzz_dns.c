/*
 * fuzz_dns.c - an answer from a nameserver, of any bytes
 *
 *	type, 1 byte: even for A, odd for AAAA
 *	the message: the answer to question 0x1234 about db.test
 *
 * Promised: no bytes break it; an answer has addresses if and only if it is
 * one, and no more of them than there is room for; an answer that is cut
 * anywhere never has more than the whole.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/dns.h"

#define ID 0x1234

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_answer(struct dns_answer *a, struct rd message, enum dns_type type)
{
	struct dns_name name;

	if (!dns_name_set(&name, "db.test", NULL))
		abort();
	memset(a, 0xa5, sizeof(*a));
	dns_answer_read(a, message, ID, &name, type);
	if ((a->n > 0) != (a->status == DNS_FOUND) ||
	    a->n > DNS_ADDRESSES_MAX || a->type != type || a->ttl > INT32_MAX)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd message = { .at = data, .left = size };
	struct dns_answer whole, part;
	enum dns_type type = rd_u8(&message) % 2 == 0 ? DNS_A : DNS_AAAA;

	if (message.cut)
		return 0;
	read_answer(&whole, message, type);
	message.left /= 2;
	read_answer(&part, message, type);
	if (part.n > whole.n)
		abort();
	return 0;
}
