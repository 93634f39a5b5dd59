/* The header by which a proxy says for whom it connects. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "proxy/proxy_protocol.h"
#include "tests/unit/unit.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HEAD     16

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* Of version 2, by command, family and length; bytes follow. */
#define V2(command, family, length) SIGNATURE command family length
#define IP4                \
	"\xc0\x00\x02\x01" \
	"\xc6\x33\x64\x02\x04\xd2\x15\x38"
#define IP6                                          \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x04\xd2\x15\x38"
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

struct text {
	const uint8_t *bytes;
	size_t len;
	const char *says; /* "SOURCE DESTINATION", or what is wrong */
};

static struct proxy_answer
read_bytes(const uint8_t *bytes, size_t len, struct proxy_header *h)
{
	struct rd r = { .at = bytes, .left = len };

	return proxy_header_read(r, h);
}

static const char *
in_words(const struct proxy_header *h, char *text, size_t size)
{
	char from[ADDRESS_TEXT_MAX], to[ADDRESS_TEXT_MAX];

	if (h->source.len == 0)
		(void)snprintf(text, size, "%s",
		    h->local ? "local" : "unknown");
	else
		(void)snprintf(text, size, "%s %s",
		    address_format(&h->source, from, sizeof(from)),
		    address_format(&h->destination, to, sizeof(to)));
	return text;
}

/* As a session reads it: never more than is asked for. */
static struct proxy_answer
read_sliced(const struct text *t, size_t slice, struct proxy_header *h,
    size_t *taken)
{
	struct proxy_answer a = read_bytes(t->bytes, 0, h);
	size_t n = 0, step;

	while (a.result == PROXY_MORE && n < t->len) {
		step = a.more < slice ? a.more : slice;
		n += step < t->len - n ? step : t->len - n;
		a = read_bytes(t->bytes, n, h);
	}
	*taken = n;
	return a;
}

static const struct text good[] = {
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1234 5432\r\nMORE"),
	    "192.0.2.1:1234 198.51.100.2:5432" },
	{ BYTES("PROXY TCP4 1.1.1.1 2.2.2.2 0 0\r\n"), "1.1.1.1:0 2.2.2.2:0" },
	{ BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n\r"),
	    "255.255.255.255:65535 255.255.255.255:65535" },
	{ BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 1234 5432\r\n"),
	    "[2001:db8::1]:1234 [2001:db8::2]:5432" },
	{ BYTES("PROXY TCP6 :: ::1 1 2\r\nx"), "[::]:1 [::1]:2" },
	{ BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 "
	    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
	{ BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"),
	    "[::ffff:192.0.2.1]:1 [::1]:2" },
	{ BYTES("PROXY UNKNOWN\r\n"), "unknown" },
	{ BYTES("PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n"), "unknown" },
	{ BYTES("PROXY UNKNOWN whatever 1 2 3 4 5 6\r it says\r\nx"),
	    "unknown" },
	/* The longest of all: 107 bytes. */
	{ BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	    "unknown" },
	{ BYTES(V2("\x21", "\x11", "\0\x0c") IP4 "MORE"),
	    "192.0.2.1:1234 198.51.100.2:5432" },
	{ BYTES(V2("\x21", "\x21", "\0\x24") IP6),
	    "[2001:db8::1]:1234 [2001:db8::2]:5432" },
	{ BYTES(V2("\x21", "\x00", "\0\0") "x"), "unknown" },
	{ BYTES(V2("\x21", "\x00", "\0\x04") "\x04\0\x01z"), "unknown" },
	{ BYTES(V2("\x20", "\x00", "\0\0") "x"), "local" },
	/* Of a health check nothing else counts. */
	{ BYTES(V2("\x20", "\x11", "\0\x0c") IP4), "local" },
	{ BYTES(V2("\x20", "\xff", "\0\x05") "\x03\0\xff!!"), "local" },
	/* TLVs: one that nobody knows, no value at all, NOOP. */
	{ BYTES(
	      V2("\x21", "\x11", "\0\x17") IP4 "\xea\0\x02vp\xe0\0\0\x04\0\0"),
	    "192.0.2.1:1234 198.51.100.2:5432" },
	/* CRC32c, before and behind others. */
	{ BYTES(V2("\x21", "\x11", "\0\x13") IP4 "\x03\0\x04\x7b\xb8\x74\x64"),
	    "192.0.2.1:1234 198.51.100.2:5432" },
};

static void
headers_are_understood(void)
{
	struct proxy_answer a;
	struct proxy_header h;
	char words[2 * ADDRESS_TEXT_MAX];
	size_t i;

	for (i = 0; i < COUNT(good); i++) {
		a = read_bytes(good[i].bytes, good[i].len, &h);
		CU_ASSERT_EQUAL(a.result, PROXY_WHOLE);
		(void)in_words(&h, words, sizeof(words));
		CU_ASSERT_STRING_EQUAL(words, good[i].says);
		if (strcmp(words, good[i].says) != 0)
			(void)fprintf(stderr, "%zu: %s %s\n", i, words,
			    a.why != NULL ? a.why : "");
	}
}

/* However few come at a time, nothing behind the header is asked for. */
static void
slices_change_nothing(void)
{
	struct proxy_header once, h;
	struct proxy_answer a;
	size_t i, slice, taken;

	for (i = 0; i < COUNT(good); i++) {
		(void)read_bytes(good[i].bytes, good[i].len, &once);
		for (slice = 1; slice <= good[i].len; slice++) {
			a = read_sliced(&good[i], slice, &h, &taken);
			CU_ASSERT_EQUAL(a.result, PROXY_WHOLE);
			CU_ASSERT_EQUAL(taken, once.len);
			CU_ASSERT_EQUAL(h.len, once.len);
			CU_ASSERT_EQUAL(h.source.len, once.source.len);
		}
	}
}

/* One that is cut anywhere is not yet one, and says so. */
static void
cut_headers_are_waited_for(void)
{
	struct proxy_header once, h;
	struct proxy_answer a;
	size_t i, n;

	for (i = 0; i < COUNT(good); i++) {
		(void)read_bytes(good[i].bytes, good[i].len, &once);
		for (n = 0; n < once.len; n++) {
			a = read_bytes(good[i].bytes, n, &h);
			CU_ASSERT_EQUAL(a.result, PROXY_MORE);
			CU_ASSERT(a.more > 0 && a.more <= once.len - n);
		}
	}
}

static const struct text wrong[] = {
	/* None at all. */
	{ BYTES("\0\0\0\x08\x04\xd2\x16\x2f"), "did not begin" },
	{ BYTES("x"), "did not begin" },
	{ BYTES("PROXx"), "did not begin" },
	{ BYTES("proxy TCP4 "), "did not begin" },
	{ BYTES(" PROXY TCP4 "), "did not begin" },
	{ BYTES("\r\n\r\n\0\r\nQUIX"), "did not begin" },
	{ BYTES("\r\n\r\n\0\r\nQUIT\r"), "did not begin" },
	{ BYTES("\x16\x03\x01"), "did not begin" },
	/* Version 1. */
	{ BYTES("PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n"), "neither" },
	{ BYTES("PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n"), "neither" },
	{ BYTES("PROXY UNKNOWNS\r\n"), "neither" },
	{ BYTES("PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n"), "neither" },
	{ BYTES("PROXY TCP4\r\n....."), "port" },
	{ BYTES("PROXY TCP4 192.0.2.1\r\n"), "port" },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n"), "port" },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n"), "port" },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n"), "port" },
	{ BYTES("PROXY TCP4 192.0.2.1  198.51.100.2 1 2\r\n"), "port" },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n"), "port" },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 00\r\n"), "port" },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n"), "port" },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 4294967297\r\n"), "port" },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n"), "port" },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 2a\r\n"), "port" },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\0\r\n"), "port" },
	{ BYTES("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"), "family" },
	{ BYTES("PROXY TCP4 192.0.2.1 2001:db8::2 1 2\r\n"), "family" },
	{ BYTES("PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n"), "family" },
	{ BYTES("PROXY TCP6 fe80::1%1 ::1 1 2\r\n"), "family" },
	{ BYTES("PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n"), "family" },
	{ BYTES("PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n"), "family" },
	{ BYTES("PROXY TCP4 192.0.2 198.51.100.2 1 2\r\n"), "family" },
	{ BYTES("PROXY TCP4 192.0.2.1\0 198.51.100.2 1 2\r\n"), "family" },
	{ BYTES("PROXY TCP4 localhost 198.51.100.2 1 2\r\n"), "family" },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n.."), "as a line" },
	{ BYTES("PROXY UNKNOWN\n."), "as a line" },
	{ BYTES("PROXY UNKNOWN 2ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	    "no end" },
	/* Version 2. */
	{ BYTES(V2("\x11", "\x11", "\0\x0c") IP4), "nobody knows" },
	{ BYTES(V2("\x31", "\x11", "\0\x0c") IP4), "nobody knows" },
	{ BYTES(V2("\x22", "\x11", "\0\x0c") IP4), "nobody knows" },
	{ BYTES(V2("\x2f", "\x11", "\0\x0c") IP4), "nobody knows" },
	{ BYTES(V2("\x21", "\x12", "\0\x0c") IP4), "no TCP" },
	{ BYTES(V2("\x21", "\x10", "\0\x0c") IP4), "no TCP" },
	{ BYTES(V2("\x21", "\x22", "\0\x24") IP6), "no TCP" },
	{ BYTES(V2("\x21", "\x01", "\0\0")), "no TCP" },
	{ BYTES(V2("\x21", "\x41", "\0\x0c") IP4), "no TCP" },
	{ BYTES(V2("\x21", "\x32", "\0\x0c") IP4), "no TCP" },
	{ BYTES(V2("\x21", "\x11", "\0\0")), "too short" },
	{ BYTES(V2("\x21", "\x11", "\0\x0b") IP4), "too short" },
	{ BYTES(V2("\x21", "\x21", "\0\x0c") IP4), "too short" },
	{ BYTES(V2("\x21", "\x21", "\0\x23") IP6), "too short" },
	{ BYTES(V2("\x21", "\x31", "\0\x0c") IP4), "too short" },
	{ BYTES(V2("\x21", "\x11", "\xff\xff")), "too long" },
	{ BYTES(V2("\x20", "\x00", "\xff\xff")), "too long" },
	{ BYTES(V2("\x21", "\x11", "\0\x0d") IP4 "\x04"), "in a TLV" },
	{ BYTES(V2("\x21", "\x11", "\0\x0f") IP4 "\x04\0\x01"), "in a TLV" },
	{ BYTES(V2("\x21", "\x11", "\0\x10") IP4 "\x04\xff\xffz"), "in a TLV" },
	{ BYTES(V2("\x21", "\x11", "\0\x12") IP4 "\x03\0\x03"
						 "abc"),
	    "wrong length" },
	{ BYTES(V2("\x21", "\x11", "\0\x13") IP4 "\x03\0\x04\x7b\xb8\x74\x65"),
	    "wrong checksum" },
	{ BYTES(V2("\x21", "\x00", "\0\x07") "\x03\0\x04"
					     "abcd"),
	    "wrong checksum" },
	/* Each of the two is right. */
	{ BYTES(V2("\x21", "\x11",
	      "\0\x1a") "\xc0\0\x02\x01\x01\x01\x01\x01\0\x01\x15\x38"
			"\x03\0\x04\xeb\x9e\xbe\xe3"
			"\x03\0\x04\xe4\x78\xfa\xfc"),
	    "two checksums" },
	{ BYTES(V2("\x21", "\x11", "\0\x13") IP4 "\x20\0\x04\x01\0\0\0"),
	    "of TLS" },
	{ BYTES(V2("\x21", "\x11", "\0\x15") IP4 "\x20\0\x06\x01\0\0\0\0!"),
	    "of TLS" },
	{ BYTES(V2("\x21", "\x11", "\0\x17") IP4
	      "\x20\0\x08\x01\0\0\0\0\x21\0\x01"),
	    "of TLS" },
};

static void
malformed_headers_are_refused(void)
{
	struct proxy_answer a;
	struct proxy_header h;
	size_t i, slice, taken;

	for (i = 0; i < COUNT(wrong); i++) {
		a = read_bytes(wrong[i].bytes, wrong[i].len, &h);
		CU_ASSERT_EQUAL(a.result, PROXY_BAD);
		CU_ASSERT(
		    a.why != NULL && strstr(a.why, wrong[i].says) != NULL);
		if (a.why == NULL || strstr(a.why, wrong[i].says) == NULL)
			(void)fprintf(stderr, "%zu: %s, not %s\n", i,
			    a.why != NULL ? a.why : "taken", wrong[i].says);
		CU_ASSERT_EQUAL(h.len, 0);
		CU_ASSERT_EQUAL(h.source.len, 0);
		for (slice = 1; slice < wrong[i].len; slice++) {
			a = read_sliced(&wrong[i], slice, &h, &taken);
			CU_ASSERT_EQUAL(a.result, PROXY_BAD);
		}
	}
}

/* A line of 107 bytes is one, and one of 108 is not. */
static void
lines_have_their_bound(void)
{
	char line[128];
	struct proxy_answer a;
	struct proxy_header h;
	size_t len;

	for (len = 15; len <= 120; len++) {
		memset(line, ' ', sizeof(line));
		memcpy(line, "PROXY UNKNOWN", 13);
		memcpy(line + len - 2, "\r\n", 2);
		a = read_bytes((const uint8_t *)line, len, &h);
		CU_ASSERT_EQUAL(a.result, len <= 107 ? PROXY_WHOLE : PROXY_BAD);
		CU_ASSERT_EQUAL(h.len, len <= 107 ? len : 0);
	}
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	a = read_bytes((const uint8_t *)line, 106, &h);
	CU_ASSERT_EQUAL(a.result, PROXY_MORE);
	a = read_bytes((const uint8_t *)line, 107, &h);
	CU_ASSERT_EQUAL(a.result, PROXY_BAD);
}

static void
put_length(uint8_t *header, size_t body)
{
	header[HEAD - 2] = (uint8_t)(body >> 8);
	header[HEAD - 1] = (uint8_t)body;
}

/* Every length that version 2 can state, with one TLV to fill it. */
static void
every_length_is_kept(void)
{
	static uint8_t header[HEAD + UINT16_MAX];
	struct proxy_answer a;
	struct proxy_header h;
	size_t body, tlv;

	memcpy(header, V2("\x21", "\x11", "") IP4, HEAD - 2);
	memcpy(header + HEAD, IP4, 12);
	for (body = 0; body <= UINT16_MAX; body++) {
		put_length(header, body);
		tlv = body - 15;
		header[HEAD + 12] = 0x04;
		header[HEAD + 13] = (uint8_t)(tlv >> 8);
		header[HEAD + 14] = (uint8_t)tlv;
		a = read_bytes(header, HEAD + body, &h);
		if (HEAD + body > PROXY_HEADER_MAX || (body < 15 && body != 12))
			CU_ASSERT_EQUAL(a.result, PROXY_BAD)
		else
			CU_ASSERT_EQUAL(a.result, PROXY_WHOLE);
		if (a.result != PROXY_WHOLE)
			continue;
		CU_ASSERT_EQUAL(h.len, HEAD + body);
		a = read_bytes(header, HEAD + body - 1, &h);
		CU_ASSERT(a.result == PROXY_MORE && a.more == 1);
	}
}

static bool
is_text(struct rd r, const char *text)
{
	return r.at != NULL && rd_equals_string(r, text);
}

static void
tlvs_are_found(void)
{
	static const char bytes[] = V2("\x21", "\x11", "\0\x33") IP4
	    "\x01\0\x02h2"
	    "\x02\0\x07"
	    "db.test"
	    "\x05\0\x03uid"
	    "\x20\0\x0f\x07\0\0\0\0\x21\0\x07TLSv1.3";
	struct proxy_answer a;
	struct proxy_header h;

	a = read_bytes(BYTES(bytes), &h);
	CU_ASSERT_EQUAL(a.result, PROXY_WHOLE);
	CU_ASSERT(is_text(h.alpn, "h2"));
	CU_ASSERT(is_text(h.authority, "db.test"));
	CU_ASSERT(is_text(h.unique_id, "uid"));
	CU_ASSERT(h.tls && h.verified && h.client == 7);
	CU_ASSERT(is_text(h.tls_version, "TLSv1.3"));
	a = read_bytes(good[0].bytes, good[0].len, &h);
	CU_ASSERT_EQUAL(a.result, PROXY_WHOLE);
	CU_ASSERT(!h.tls && h.alpn.at == NULL && h.authority.at == NULL);
}

/* Shown, and refused by the proxy in front; or never shown, as `verify` is
 * zero then with some. */
static void
verified_needs_a_certificate(void)
{
	static const struct {
		const char *bytes;
		bool verified;
	} rows[] = {
		{ "\x20\0\x05\x07\0\0\0\0", true },
		{ "\x20\0\x05\x05\0\0\0\0", true },
		{ "\x20\0\x05\x07\0\0\0\x01", false },
		{ "\x20\0\x05\x01\0\0\0\0", false },
		{ "\x20\0\x05\0\0\0\0\0", false },
	};
	uint8_t header[] = V2("\x21", "\x11", "\0\x14") IP4 "........";
	struct proxy_answer a;
	struct proxy_header h;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		memcpy(header + HEAD + 12, rows[i].bytes, 8);
		a = read_bytes(header, HEAD + 20, &h);
		CU_ASSERT_EQUAL(a.result, PROXY_WHOLE);
		CU_ASSERT_EQUAL(h.verified, rows[i].verified);
	}
}

/* A unix socket's addresses are long, and of no use. */
static void
unix_sockets_name_nobody(void)
{
	uint8_t header[HEAD + 216 + 4];
	struct proxy_answer a;
	struct proxy_header h;

	memset(header, 'x', sizeof(header));
	memcpy(header, V2("\x21", "\x31", ""), HEAD - 2);
	put_length(header, 216);
	a = read_bytes(header, sizeof(header), &h);
	CU_ASSERT_EQUAL(a.result, PROXY_WHOLE);
	CU_ASSERT(h.len == HEAD + 216 && h.source.len == 0 && !h.local);
	put_length(header, 215);
	a = read_bytes(header, sizeof(header), &h);
	CU_ASSERT_EQUAL(a.result, PROXY_BAD);
	memcpy(header + HEAD + 216, "\x04\0\x01z", 4);
	put_length(header, 220);
	a = read_bytes(header, sizeof(header), &h);
	CU_ASSERT_EQUAL(a.result, PROXY_WHOLE);
}

/* RFC 3720, appendix B.4. */
static void
checksum_is_castagnoli(void)
{
	static const uint8_t zeros[32];
	uint8_t ones[32], up[32];
	size_t i;

	for (i = 0; i < sizeof(up); i++) {
		ones[i] = 0xff;
		up[i] = (uint8_t)i;
	}
	CU_ASSERT_EQUAL(proxy_crc32c(0, zeros, sizeof(zeros)), 0x8a9136aa);
	CU_ASSERT_EQUAL(proxy_crc32c(0, ones, sizeof(ones)), 0x62a8ab43);
	CU_ASSERT_EQUAL(proxy_crc32c(0, up, sizeof(up)), 0x46dd794e);
	CU_ASSERT_EQUAL(proxy_crc32c(proxy_crc32c(0, up, 7), up + 7, 25),
	    0x46dd794e);
}

/* No bit of a header with a checksum may change. */
static void
checksum_guards_every_bit(void)
{
	const struct text *t = &good[COUNT(good) - 1];
	uint8_t header[64];
	struct proxy_answer a;
	struct proxy_header h;
	size_t bit;

	for (bit = 0; bit < t->len * 8; bit++) {
		memcpy(header, t->bytes, t->len);
		header[bit / 8] ^= (uint8_t)(1u << bit % 8);
		a = read_bytes(header, t->len, &h);
		/* LOCAL has its contents discarded, and a longer one waits; of
		 * another type it is no checksum. */
		if (bit / 8 == 12 || bit / 8 == HEAD + 12)
			continue;
		CU_ASSERT_NOT_EQUAL(a.result, PROXY_WHOLE);
	}
}

static struct proxy_answer
write_and_read(const struct proxy_facts *f, uint8_t *bytes, size_t *len,
    struct proxy_header *h)
{
	struct wr w = { .base = bytes, .cap = PROXY_HEADER_OUT_MAX };

	proxy_header_write(&w, f);
	CU_ASSERT_FALSE(w.full);
	*len = w.len;
	return read_bytes(bytes, w.len, h);
}

static void
what_is_written_is_read(void)
{
	static const char *const rows[][3] = {
		{ "192.0.2.1:1234", "198.51.100.2:5432",
		    "192.0.2.1:1234 198.51.100.2:5432" },
		{ "[2001:db8::1]:1", "[::1]:65535",
		    "[2001:db8::1]:1 [::1]:65535" },
		{ "192.0.2.1:1234", "[::1]:5432", "192.0.2.1:1234 0.0.0.0:0" },
		{ "192.0.2.1:1234", "unix:/x", "192.0.2.1:1234 0.0.0.0:0" },
		{ "unix:/run/x", "192.0.2.1:1", "local" },
	};
	struct address from, to;
	struct proxy_facts f = { .source = &from,
		.destination = &to,
		.tls_version = "TLSv1.3",
		.verified = true,
		.alpn = "postgresql",
		.authority = "db.test" };
	uint8_t bytes[PROXY_HEADER_OUT_MAX];
	char words[2 * ADDRESS_TEXT_MAX];
	struct proxy_header h;
	struct err err;
	size_t i, len;

	for (i = 0; i < COUNT(rows); i++) {
		CU_ASSERT_EQUAL(address_parse(rows[i][0], &from, &err), 0);
		CU_ASSERT_EQUAL(address_parse(rows[i][1], &to, &err), 0);
		CU_ASSERT_EQUAL(write_and_read(&f, bytes, &len, &h).result,
		    PROXY_WHOLE);
		CU_ASSERT(h.len == len && h.version == 2);
		CU_ASSERT_STRING_EQUAL(in_words(&h, words, sizeof(words)),
		    rows[i][2]);
		CU_ASSERT_EQUAL(h.tls, h.source.len > 0);
		if (!h.tls)
			continue;
		CU_ASSERT(h.verified && h.client == 7);
		CU_ASSERT(is_text(h.tls_version, "TLSv1.3"));
		CU_ASSERT(is_text(h.alpn, "postgresql"));
		CU_ASSERT(is_text(h.authority, "db.test"));
	}
}

/* A certificate of a session is one that was shown, but not here. */
static void
resumed_client_has_shown_no_certificate_here(void)
{
	struct address from;
	struct proxy_facts f = { .source = &from,
		.tls_version = "TLSv1.3",
		.verified = true,
		.resumed = true };
	uint8_t bytes[PROXY_HEADER_OUT_MAX];
	struct proxy_header h;
	struct err err;
	size_t len;

	CU_ASSERT_EQUAL(address_parse("192.0.2.1:1234", &from, &err), 0);
	(void)write_and_read(&f, bytes, &len, &h);
	CU_ASSERT(h.verified &&
	    h.client == (PROXY_CLIENT_TLS | PROXY_CLIENT_CERT_SESS));
	f.verified = false;
	(void)write_and_read(&f, bytes, &len, &h);
	CU_ASSERT(!h.verified && h.client == PROXY_CLIENT_TLS);
}

/* Byte for byte what HAProxy's document has. */
static void
written_header_is_the_documents(void)
{
	struct address from, to;
	struct proxy_facts f = { .source = &from, .destination = &to };
	uint8_t bytes[PROXY_HEADER_OUT_MAX];
	struct proxy_header h;
	struct err err;
	size_t len;

	CU_ASSERT_EQUAL(address_parse("192.0.2.1:1234", &from, &err), 0);
	CU_ASSERT_EQUAL(address_parse("198.51.100.2:5432", &to, &err), 0);
	(void)write_and_read(&f, bytes, &len, &h);
	CU_ASSERT(len == HEAD + 12 &&
	    memcmp(bytes, V2("\x21", "\x11", "\0\x0c") IP4, len) == 0);
	f = (struct proxy_facts){ .source = NULL };
	(void)write_and_read(&f, bytes, &len, &h);
	CU_ASSERT(
	    len == HEAD && memcmp(bytes, V2("\x20", "\0", "\0\0"), len) == 0);
}

/* What a client may choose leaves only as a host name; too long is left out. */
static void
only_host_names_are_passed_on(void)
{
	static const char *const names[] = { "", "a b", "a\r\nb", "-a", "192.1",
		"\xc3\xa4.test" };
	char longest[300];
	struct address from;
	struct proxy_facts f = { .source = &from };
	uint8_t bytes[PROXY_HEADER_OUT_MAX];
	struct proxy_header h;
	struct err err;
	size_t i, len;

	CU_ASSERT_EQUAL(address_parse("192.0.2.1:1234", &from, &err), 0);
	for (i = 0; i < COUNT(names); i++) {
		f.authority = names[i];
		(void)write_and_read(&f, bytes, &len, &h);
		CU_ASSERT(len == HEAD + 12 && h.authority.at == NULL);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	f.authority = f.alpn = longest;
	(void)write_and_read(&f, bytes, &len, &h);
	CU_ASSERT(len == HEAD + 12);
	f.tls_version = longest;
	(void)write_and_read(&f, bytes, &len, &h);
	CU_ASSERT(h.tls && !h.verified && h.client == 1);
	CU_ASSERT_EQUAL(h.tls_version.left, 32);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		{ "headers_are_understood", headers_are_understood },
		{ "slices_change_nothing", slices_change_nothing },
		{ "cut_headers_are_waited_for", cut_headers_are_waited_for },
		{ "malformed_headers_are_refused",
		    malformed_headers_are_refused },
		{ "lines_have_their_bound", lines_have_their_bound },
		{ "every_length_is_kept", every_length_is_kept },
		{ "tlvs_are_found", tlvs_are_found },
		{ "verified_needs_a_certificate",
		    verified_needs_a_certificate },
		{ "unix_sockets_name_nobody", unix_sockets_name_nobody },
		{ "checksum_is_castagnoli", checksum_is_castagnoli },
		{ "checksum_guards_every_bit", checksum_guards_every_bit },
		{ "what_is_written_is_read", what_is_written_is_read },
		{ "resumed_client_has_shown_no_certificate_here",
		    resumed_client_has_shown_no_certificate_here },
		{ "written_header_is_the_documents",
		    written_header_is_the_documents },
		{ "only_host_names_are_passed_on",
		    only_host_names_are_passed_on },
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "proxy_protocol", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
