/*
 * fuzz_proxy_protocol.c - the header of a proxy in front, of any bytes
 *
 * Promised: no bytes break it; a header that is read as few bytes at a time as
 * it asks for is the same as one that has come whole, and not one byte behind
 * it was asked for; what is cut is never whole; and the addresses of one that
 * was read, written again, are read the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct proxy_answer
read_bytes(const uint8_t *data, size_t n, struct proxy_header *h)
{
	struct rd bytes = { .at = data, .left = n };

	return proxy_header_read(bytes, h);
}

/* Only what is asked for. */
static size_t
read_slowly(const uint8_t *data, size_t size, struct proxy_answer *a,
    struct proxy_header *h)
{
	size_t n = 0;

	*a = read_bytes(data, 0, h);
	while (a->result == PROXY_MORE && n < size) {
		if (a->more == 0)
			abort();
		n += a->more < size - n ? a->more : size - n;
		*a = read_bytes(data, n, h);
	}
	return n;
}

static bool
same(const struct address *a, const struct address *b)
{
	return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
}

static void
write_again(const struct proxy_header *h)
{
	struct proxy_facts facts = { .source = &h->source,
		.destination = &h->destination };
	uint8_t bytes[PROXY_HEADER_OUT_MAX];
	struct wr w = { .base = bytes, .cap = sizeof(bytes) };
	struct proxy_header again;

	proxy_header_write(&w, &facts);
	if (w.full || read_bytes(bytes, w.len, &again).result != PROXY_WHOLE ||
	    again.len != w.len || !same(&again.source, &h->source) ||
	    !same(&again.destination, &h->destination))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header once, slow;
	struct proxy_answer a = read_bytes(data, size, &once), b;
	size_t taken;

	taken = read_slowly(data, size, &b, &slow);
	if (a.result == PROXY_BAD && a.why == NULL)
		abort();
	if (a.result != b.result)
		abort();
	if (a.result != PROXY_WHOLE)
		return 0;
	if (once.len != slow.len || taken != once.len || once.len > size ||
	    once.len > PROXY_HEADER_MAX)
		abort();
	if (read_bytes(data, once.len - 1, &slow).result != PROXY_MORE)
		abort();
	write_again(&once);
	return 0;
}
