/*
 * The PROXY protocol as HAProxy's doc/proxy-protocol.txt has it.  Numbers and
 * capitals are that text's.
 */
#include "proxy/proxy_protocol.h"

#include <netinet/in.h>

#include <assert.h>
#include <string.h>

#define V1_PREFIX   "PROXY "
#define V1_LINE_MAX 107 /* with its CRLF; section 2.1 */
#define V1_SPACES   5   /* of a whole line with addresses */
#define V1_FIELD    2   /* no field is shorter than one byte and its end */
#define V1_PORT_MAX 65535u
#define V1_PORT_LEN 5

static const uint8_t v2_signature[] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
	0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };
#define V2_SIGNATURE sizeof(v2_signature)
#define V2_HEAD      16 /* signature, command, family, length */

#define V2_VERSION   0x2u /* in the upper half of a byte */
#define V2_COMMAND   0xfu /* the lower half */
#define V2_LOCAL     0x0u
#define V2_PROXY     0x1u
#define V2_UNSPEC    0x00u
#define V2_TCP4      0x11u
#define V2_TCP6      0x21u
#define V2_STREAM    0x31u /* of unix sockets */
#define V2_UNIX_PATH 108
#define IPV4_LEN     4
#define IPV6_LEN     16

#define PP2_TYPE_ALPN           0x01u
#define PP2_TYPE_AUTHORITY      0x02u
#define PP2_TYPE_CRC32C         0x03u
#define PP2_TYPE_UNIQUE_ID      0x05u
#define PP2_TYPE_SSL            0x20u
#define PP2_SUBTYPE_SSL_VERSION 0x21u
#define CRC_LEN                 4
#define UNIQUE_ID_MAX           128
#define SSL_HEAD                5 /* client, verify */

#define TLV_HEAD         3
#define VERSION_TEXT_MAX 32
#define ALPN_MAX         255
#define CRC32C_REVERSED  0x82f63b78u

_Static_assert(PROXY_HEADER_MIN < V2_HEAD &&
	PROXY_HEADER_MIN <= sizeof("PROXY UNKNOWN\r\n") - 1,
    "no header is shorter");
_Static_assert(PROXY_HEADER_OUT_MAX >= V2_HEAD +
	    2 * (IPV6_LEN + sizeof(uint16_t)) + 4 * TLV_HEAD + SSL_HEAD +
	    VERSION_TEXT_MAX + ALPN_MAX + HOST_MAX,
    "what is written fits");

static struct proxy_answer
bad(const char *why)
{
	return (struct proxy_answer){ .result = PROXY_BAD, .why = why };
}

static struct proxy_answer
more(size_t n)
{
	return (struct proxy_answer){ .result = PROXY_MORE, .more = n };
}

static struct proxy_answer
whole(void)
{
	return (struct proxy_answer){ .result = PROXY_WHOLE };
}

uint32_t
proxy_crc32c(uint32_t crc, const uint8_t *bytes, size_t n)
{
	unsigned bit;
	size_t i;

	crc = ~crc;
	for (i = 0; i < n; i++) {
		crc ^= bytes[i];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32C_REVERSED : 0);
	}
	return ~crc;
}

static void
set_v4(struct address *a, struct rd ip, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(port) };

	memcpy(&in.sin_addr, ip.at, IPV4_LEN);
	*a = (struct address){ .len = sizeof(in) };
	memcpy(&a->sa, &in, sizeof(in));
}

static void
set_v6(struct address *a, struct rd ip, uint16_t port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port) };

	memcpy(&in6.sin6_addr, ip.at, IPV6_LEN);
	*a = (struct address){ .len = sizeof(in6) };
	memcpy(&a->sa, &in6, sizeof(in6));
}

/*
 * Version 1
 */

/* Up to the next space, which is consumed, or to the end. */
static struct rd
v1_field(struct rd *line)
{
	const uint8_t *space =
	    line->left == 0 ? NULL : memchr(line->at, ' ', line->left);
	struct rd field;

	if (space == NULL)
		return rd_take(line, line->left);
	field = rd_take(line, (size_t)(space - line->at));
	rd_skip(line, 1);
	return field;
}

/* In decimal, without zeros in front. */
static bool
v1_port(struct rd field, uint16_t *port)
{
	uint32_t n = 0;
	size_t i;

	if (field.left == 0 || field.left > V1_PORT_LEN ||
	    (field.at[0] == '0' && field.left > 1))
		return false;
	for (i = 0; i < field.left; i++) {
		if (field.at[i] < '0' || field.at[i] > '9')
			return false;
		n = n * 10 + (uint32_t)(field.at[i] - '0');
	}
	*port = (uint16_t)n;
	return n <= V1_PORT_MAX;
}

static bool
v1_address(struct rd field, sa_family_t family, uint16_t port,
    struct address *a)
{
	char text[INET6_ADDRSTRLEN];

	if (field.left == 0 || field.left >= sizeof(text) ||
	    memchr(field.at, '\0', field.left) != NULL)
		return false;
	memcpy(text, field.at, field.left);
	text[field.left] = '\0';
	return address_parse_ip(text, port, a) && a->sa.ss_family == family;
}

/* "SOURCE DESTINATION PORT PORT", and no more. */
static struct proxy_answer
v1_addresses(struct rd line, sa_family_t family, struct proxy_header *h)
{
	struct rd source = v1_field(&line), destination = v1_field(&line);
	struct rd from = v1_field(&line);
	uint16_t source_port, port;

	if (!v1_port(from, &source_port) || !v1_port(line, &port))
		return bad("its PROXY header has a port that is none");
	if (!v1_address(source, family, source_port, &h->source) ||
	    !v1_address(destination, family, port, &h->destination))
		return bad("its PROXY header has an address that is none of "
			   "the family it names");
	return whole();
}

/* Without its CRLF. */
static struct proxy_answer
v1_line(struct rd line, struct proxy_header *h)
{
	struct rd family;

	rd_skip(&line, strlen(V1_PREFIX));
	family = v1_field(&line);
	if (rd_equals_string(family, "TCP4"))
		return v1_addresses(line, AF_INET, h);
	if (rd_equals_string(family, "TCP6"))
		return v1_addresses(line, AF_INET6, h);
	/* What may stand behind that word is to be ignored. */
	if (rd_equals_string(family, "UNKNOWN"))
		return whole();
	return bad("its PROXY header names neither TCP4 nor TCP6 nor UNKNOWN");
}

/* Of a line that does not end yet. */
static size_t
v1_more(struct rd bytes)
{
	static const char unknown[] = V1_PREFIX "UNKNOWN";
	bool cr = bytes.at[bytes.left - 1] == '\r';
	size_t i, spaces = 0, rest;

	for (i = 0; i < bytes.left; i++)
		spaces += bytes.at[i] == ' ';
	if (cr || spaces >= V1_SPACES ||
	    (bytes.left >= sizeof(unknown) - 1 &&
		memcmp(bytes.at, unknown, sizeof(unknown) - 1) == 0))
		return cr ? 1 : 2;
	/* One byte of each field to come, the space before it, and CRLF. */
	rest = V1_FIELD * (V1_SPACES - spaces) + 2;
	return bytes.left + rest <= V1_LINE_MAX ? rest : 1;
}

static struct proxy_answer
v1_read(struct rd bytes, struct proxy_header *h)
{
	size_t len = bytes.left < V1_LINE_MAX ? bytes.left : V1_LINE_MAX;
	const uint8_t *lf = memchr(bytes.at, '\n', len);

	if (lf == NULL && bytes.left >= V1_LINE_MAX)
		return bad("its PROXY header has no end");
	if (lf == NULL)
		return more(v1_more(bytes));
	len = (size_t)(lf - bytes.at) + 1;
	if (bytes.at[len - 2] != '\r')
		return bad("its PROXY header does not end as a line does");
	h->version = 1;
	h->len = len;
	bytes.left = len - 2;
	return v1_line(bytes, h);
}

/*
 * Version 2
 */

static struct proxy_answer
v2_ssl(struct rd value, struct proxy_header *h)
{
	uint32_t verify;
	unsigned type;
	struct rd part;

	h->tls = true;
	h->client = rd_u8(&value);
	verify = rd_be32(&value);
	h->verified = (h->client & PROXY_CLIENT_CERT_SESS) != 0 && verify == 0;
	while (value.left > 0 && !value.cut) {
		type = rd_u8(&value);
		part = rd_take(&value, rd_be16(&value));
		if (type == PP2_SUBTYPE_SSL_VERSION && !value.cut)
			h->tls_version = part;
	}
	return value.cut ? bad("its PROXY header is cut in what it says of TLS")
			 : whole();
}

/*
 * The sum is of all of the header with zeros in its own place.  There is one:
 * thousands of them fit into a header, all of them right, and whoever sent that
 * would have a thread at work for half a second.
 */
static struct proxy_answer
v2_checksum(struct rd header, struct rd value, struct proxy_header *h)
{
	static const uint8_t zeros[CRC_LEN];
	size_t before;
	uint32_t crc, said;
	struct rd sum = value;

	if (h->summed)
		return bad("its PROXY header has two checksums");
	h->summed = true;
	if (value.left != CRC_LEN)
		return bad("its PROXY header has a checksum of a wrong length");
	before = (size_t)(value.at - header.at);
	said = rd_be32(&sum);
	crc = proxy_crc32c(0, header.at, before);
	crc = proxy_crc32c(crc, zeros, CRC_LEN);
	crc = proxy_crc32c(crc, value.at + CRC_LEN,
	    header.left - before - CRC_LEN);
	return crc == said ? whole()
			   : bad("its PROXY header has a wrong checksum");
}

static struct proxy_answer
v2_tlv(struct rd header, unsigned type, struct rd value, struct proxy_header *h)
{
	switch (type) {
	case PP2_TYPE_ALPN:
		h->alpn = value;
		return whole();
	case PP2_TYPE_AUTHORITY:
		h->authority = value;
		return whole();
	case PP2_TYPE_CRC32C:
		return v2_checksum(header, value, h);
	case PP2_TYPE_UNIQUE_ID:
		h->unique_id = value;
		return value.left <= UNIQUE_ID_MAX
		    ? whole()
		    : bad("its PROXY header has a unique ID that is too long");
	case PP2_TYPE_SSL:
		return v2_ssl(value, h);
	}
	return whole(); /* of no concern here */
}

static struct proxy_answer
v2_tlvs(struct rd header, struct rd rest, struct proxy_header *h)
{
	struct proxy_answer answer;
	unsigned type;
	struct rd value;

	while (rest.left > 0) {
		type = rd_u8(&rest);
		value = rd_take(&rest, rd_be16(&rest));
		if (rest.cut)
			return bad("its PROXY header is cut in a TLV");
		answer = v2_tlv(header, type, value, h);
		if (answer.result != PROXY_WHOLE)
			return answer;
	}
	return whole();
}

static struct proxy_answer
v2_addresses(struct rd header, struct rd rest, size_t len,
    struct proxy_header *h)
{
	struct rd source = rd_take(&rest, len);
	struct rd destination = rd_take(&rest, len);
	uint16_t from = rd_be16(&rest), to = rd_be16(&rest);

	if (rest.cut)
		return bad("its PROXY header is too short for its addresses");
	if (len == IPV4_LEN) {
		set_v4(&h->source, source, from);
		set_v4(&h->destination, destination, to);
	} else {
		set_v6(&h->source, source, from);
		set_v6(&h->destination, destination, to);
	}
	return v2_tlvs(header, rest, h);
}

static struct proxy_answer
v2_body(struct rd header, struct rd rest, unsigned family,
    struct proxy_header *h)
{
	switch (family) {
	case V2_UNSPEC:
		return v2_tlvs(header, rest, h);
	case V2_TCP4:
		return v2_addresses(header, rest, IPV4_LEN, h);
	case V2_TCP6:
		return v2_addresses(header, rest, IPV6_LEN, h);
	case V2_STREAM:
		rd_skip(&rest, (size_t)2 * V2_UNIX_PATH);
		if (rest.cut)
			return bad("its PROXY header is too short for its "
				   "addresses");
		return v2_tlvs(header, rest, h);
	}
	return bad("its PROXY header is for what is no TCP connection");
}

static struct proxy_answer
v2_read(struct rd bytes, struct proxy_header *h)
{
	struct rd rest = bytes;
	unsigned command, family;
	size_t len;

	if (bytes.left < V2_HEAD)
		return more(V2_HEAD - bytes.left);
	rd_skip(&rest, V2_SIGNATURE);
	command = rd_u8(&rest);
	family = rd_u8(&rest);
	len = V2_HEAD + (size_t)rd_be16(&rest);
	if (command >> 4 != V2_VERSION || (command & V2_COMMAND) > V2_PROXY)
		return bad("its PROXY header has a version or a command that "
			   "nobody knows");
	if (len > PROXY_HEADER_MAX)
		return bad("its PROXY header is too long");
	if (bytes.left < len)
		return more(len - bytes.left);
	h->version = 2;
	h->len = len;
	bytes.left = len;
	rest.left = len - V2_HEAD;
	/* What else stands in one of the proxy's own is to be discarded. */
	h->local = (command & V2_COMMAND) == V2_LOCAL;
	return h->local ? whole() : v2_body(bytes, rest, family, h);
}

/* As far as it has come. */
static bool
begins_with(struct rd bytes, const void *prefix, size_t len)
{
	size_t n = bytes.left < len ? bytes.left : len;

	return n == 0 || memcmp(bytes.at, prefix, n) == 0;
}

struct proxy_answer
proxy_header_read(struct rd bytes, struct proxy_header *h)
{
	struct proxy_answer answer;
	bool first = begins_with(bytes, V1_PREFIX, strlen(V1_PREFIX));

	*h = (struct proxy_header){ .len = 0 };
	if (!first && !begins_with(bytes, v2_signature, V2_SIGNATURE))
		return bad("it did not begin with a PROXY header");
	if (bytes.left < PROXY_HEADER_MIN)
		return more(PROXY_HEADER_MIN - bytes.left);
	answer = first ? v1_read(bytes, h) : v2_read(bytes, h);
	if (answer.result != PROXY_WHOLE)
		*h = (struct proxy_header){ .len = 0 };
	return answer;
}

/*
 * Writing
 */

static void
write_tlv(struct wr *w, unsigned type, const char *text, size_t len)
{
	wr_u8(w, (uint8_t)type);
	wr_be16(w, (uint16_t)len);
	wr_bytes(w, text, len);
}

/* As bytes, each family's own length; 0: of none that TCP has. */
static size_t
ip_bytes(const struct address *a, uint8_t ip[IPV6_LEN])
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (a == NULL || a->len == 0)
		return 0;
	if (a->sa.ss_family == AF_INET) {
		memcpy(&in, &a->sa, sizeof(in));
		memcpy(ip, &in.sin_addr, IPV4_LEN);
		return IPV4_LEN;
	}
	if (a->sa.ss_family == AF_INET6) {
		memcpy(&in6, &a->sa, sizeof(in6));
		memcpy(ip, &in6.sin6_addr, IPV6_LEN);
		return IPV6_LEN;
	}
	return 0;
}

/* Both are of the source's family; a destination that is not is unspecified. */
static size_t
write_addresses(struct wr *w, const struct proxy_facts *f)
{
	uint8_t source[IPV6_LEN] = { 0 }, destination[IPV6_LEN] = { 0 };
	size_t len = ip_bytes(f->source, source);
	bool both = ip_bytes(f->destination, destination) == len;

	if (len == 0)
		return 0;
	if (!both)
		memset(destination, 0, sizeof(destination));
	wr_bytes(w, source, len);
	wr_bytes(w, destination, len);
	wr_be16(w, address_port(f->source));
	wr_be16(w, both ? address_port(f->destination) : 0);
	return len;
}

static void
write_tls(struct wr *w, const struct proxy_facts *f)
{
	size_t len = strnlen(f->tls_version, VERSION_TEXT_MAX);
	unsigned client = PROXY_CLIENT_TLS;

	if (f->verified)
		client |= PROXY_CLIENT_CERT_SESS;
	if (f->verified && !f->resumed)
		client |= PROXY_CLIENT_CERT_CONN;
	wr_u8(w, PP2_TYPE_SSL);
	wr_be16(w, (uint16_t)(SSL_HEAD + TLV_HEAD + len));
	wr_u8(w, (uint8_t)client);
	wr_be32(w, f->verified ? 0 : 1);
	write_tlv(w, PP2_SUBTYPE_SSL_VERSION, f->tls_version, len);
}

static void
write_tlvs(struct wr *w, const struct proxy_facts *f)
{
	const char *alpn = f->alpn != NULL ? f->alpn : "";
	const char *name = f->authority != NULL ? f->authority : "";

	if (alpn[0] != '\0' && strlen(alpn) <= ALPN_MAX)
		write_tlv(w, PP2_TYPE_ALPN, alpn, strlen(alpn));
	if (host_is_name(name))
		write_tlv(w, PP2_TYPE_AUTHORITY, name, strlen(name));
	if (f->tls_version != NULL)
		write_tls(w, f);
}

void
proxy_header_write(struct wr *w, const struct proxy_facts *f)
{
	uint8_t body[PROXY_HEADER_OUT_MAX];
	struct wr b = { .base = body, .cap = sizeof(body) - V2_HEAD };
	size_t ip = write_addresses(&b, f);
	unsigned family = V2_UNSPEC;

	if (ip > 0) {
		family = ip == IPV4_LEN ? V2_TCP4 : V2_TCP6;
		write_tlvs(&b, f);
	}
	assert(!b.full);
	wr_bytes(w, v2_signature, V2_SIGNATURE);
	wr_u8(w, (uint8_t)(V2_VERSION << 4 | (ip > 0 ? V2_PROXY : V2_LOCAL)));
	wr_u8(w, (uint8_t)family);
	wr_be16(w, (uint16_t)b.len);
	wr_bytes(w, body, b.len);
}
