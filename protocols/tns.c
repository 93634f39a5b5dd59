#include "protocols/tns.h"

#include <string.h>

/* Positions in the packets, from the start of each. */
#define AT_FLAGS             5u
#define CONNECT_AT_OPTIONS   12u
#define CONNECT_AT_SDU       14u
#define CONNECT_AT_LENGTH    24u
#define CONNECT_AT_NATIVE    32u /* and a second time behind it */
#define CONNECT_HEAD_MIN     34u
#define CONNECT_AT_FLAGS_2   70u
#define ACCEPT_AT_OPTIONS    10u
#define ACCEPT_MIN           24u
#define ACCEPT_AT_FLAGS_2    41u
#define ACCEPT_MIN_FLAGS_2   45u
#define REFUSE_AT_TEXT       12u
#define DATA_HEAD            10u /* flags of its own behind the head */
#define VERSION_FLAGS_2      318u
#define CONNECT_IN_PACKET    230u /* longer data goes behind it */
#define DATA_PACKET_MIN      512u
#define DATA_PACKET_MAX      8192u
#define REFUSED_BY_SOFTWARE  34u /* NSPRFURS, as listeners fill it in */
#define REFUSED_BY_NO_SYSTEM 0u

/* Options: can send, can receive an attention by urgent bytes; flags 2: try
 * out whether they arrive. */
#define OPTIONS_URGENT 0x0600u
#define FLAGS_2_URGENT 0x00000001u

/* Native network encryption is wanted, or required; and not switched off. */
#define NATIVE_OFFERED 0x11u
#define NATIVE_OFF     0x0cu

_Static_assert(TNS_CONNECT_MAX >= TNS_CONNECT_HEAD_MAX + TNS_CONNECT_DATA_MAX +
	    DATA_HEAD *
		(TNS_CONNECT_DATA_MAX / (DATA_PACKET_MIN - DATA_HEAD) + 1),
    "the longest CONNECT fits");

/*
 * Packets.
 */

enum tns_arrival
tns_look(struct rd r, struct tns_packet *p)
{
	struct rd ahead = r;
	const size_t len = rd_be16(&ahead);

	*p = (struct tns_packet){ .head_seen = false };
	rd_skip(&ahead, sizeof(uint16_t)); /* checksum */
	p->type = rd_u8(&ahead);
	p->flags = rd_u8(&ahead);
	rd_skip(&ahead, sizeof(uint16_t));
	if (ahead.cut)
		return TNS_PART;
	p->head_seen = true;
	if (len < TNS_HEAD)
		return TNS_BAD;
	p->all = rd_take(&r, len);
	return r.cut ? TNS_PART : TNS_WHOLE;
}

struct rd
tns_data(struct rd packet)
{
	if (packet.left < DATA_HEAD)
		return (struct rd){ .left = 0 };
	rd_skip(&packet, DATA_HEAD);
	return packet;
}

static void
copy(struct wr *out, struct rd *r, size_t n)
{
	struct rd part = rd_take(r, n);

	wr_bytes(out, part.at, part.left);
}

static void
copy_rest(struct wr *out, struct rd *r)
{
	copy(out, r, r->left);
}

static uint16_t
word_at(struct rd r, size_t at)
{
	rd_skip(&r, at);
	return rd_be16(&r);
}

static uint8_t
byte_at(struct rd r, size_t at)
{
	rd_skip(&r, at);
	return rd_u8(&r);
}

static uint16_t
version_of(struct rd packet)
{
	return word_at(packet, TNS_HEAD);
}

static void
write_head(struct wr *out, size_t len, enum tns_type type)
{
	wr_be16(out, (uint16_t)len);
	wr_be16(out, 0); /* checksum: nobody has one */
	wr_u8(out, (uint8_t)type);
	wr_u8(out, 0); /* flags */
	wr_be16(out, 0);
}

/*
 * CONNECT.
 */

bool
tns_read_connect(struct rd packet, struct tns_connect *c, size_t *missing)
{
	struct rd r = packet;
	size_t len, offset;

	rd_skip(&r, CONNECT_AT_LENGTH);
	len = rd_be16(&r);
	offset = rd_be16(&r);
	if (r.cut || offset < CONNECT_HEAD_MIN || offset > TNS_CONNECT_HEAD_MAX)
		return false;
	r = packet;
	c->head = rd_take(&r, offset);
	c->data = r;
	c->in_packet = r.left > 0 || len == 0;
	*missing = c->in_packet ? 0 : len;
	return !r.cut && r.left + *missing == len;
}

bool
tns_offers_native(struct rd head)
{
	const uint8_t flags = byte_at(head, CONNECT_AT_NATIVE);

	return (flags & NATIVE_OFFERED) != 0 && (flags & NATIVE_OFF) == 0;
}

bool
tns_fits_connect(size_t len)
{
	return len <= CONNECT_IN_PACKET;
}

/* As long as the client wishes for, where everybody takes that. */
static size_t
packet_max(struct rd head)
{
	const size_t sdu = word_at(head, CONNECT_AT_SDU);

	if (sdu < DATA_PACKET_MIN)
		return DATA_PACKET_MIN;
	return sdu < DATA_PACKET_MAX ? sdu : DATA_PACKET_MAX;
}

static void
write_data(struct wr *out, struct rd data, size_t max)
{
	const size_t room = max - DATA_HEAD;

	while (data.left > 0) {
		struct rd part =
		    rd_take(&data, data.left < room ? data.left : room);

		write_head(out, DATA_HEAD + part.left, TNS_DATA);
		wr_be16(out, 0); /* flags */
		wr_bytes(out, part.at, part.left);
	}
}

static void
write_connect_head(struct wr *out, struct rd head, size_t packet, size_t data,
    uint8_t flags)
{
	struct rd r = head;

	wr_be16(out, (uint16_t)packet);
	rd_skip(&r, sizeof(uint16_t));
	copy(out, &r, AT_FLAGS - sizeof(uint16_t));
	wr_u8(out, rd_u8(&r) | flags);
	copy(out, &r, CONNECT_AT_OPTIONS - AT_FLAGS - sizeof(uint8_t));
	wr_be16(out, (uint16_t)(rd_be16(&r) & ~OPTIONS_URGENT));
	copy(out, &r,
	    CONNECT_AT_LENGTH - CONNECT_AT_OPTIONS - sizeof(uint16_t));
	wr_be16(out, (uint16_t)data);
	rd_skip(&r, sizeof(uint16_t));
	if (head.left >= CONNECT_AT_FLAGS_2 + sizeof(uint32_t)) {
		copy(out, &r,
		    CONNECT_AT_FLAGS_2 - CONNECT_AT_LENGTH - sizeof(uint16_t));
		wr_be32(out, rd_be32(&r) & ~FLAGS_2_URGENT);
	}
	copy_rest(out, &r);
}

void
tns_write_connect(struct wr *out, const struct tns_connect *c, uint8_t flags)
{
	const size_t inside = c->in_packet ? c->data.left : 0;

	write_connect_head(out, c->head, c->head.left + inside, c->data.left,
	    flags);
	if (c->in_packet)
		wr_bytes(out, c->data.at, c->data.left);
	else
		write_data(out, c->data, packet_max(c->head));
}

/*
 * What a server answers.
 */

bool
tns_write_accept(struct wr *out, struct rd packet)
{
	struct rd r = packet;

	if (packet.left < ACCEPT_MIN)
		return false;
	copy(out, &r, ACCEPT_AT_OPTIONS);
	wr_be16(out, (uint16_t)(rd_be16(&r) & ~OPTIONS_URGENT));
	if (version_of(packet) >= VERSION_FLAGS_2 &&
	    packet.left >= ACCEPT_MIN_FLAGS_2) {
		copy(out, &r,
		    ACCEPT_AT_FLAGS_2 - ACCEPT_AT_OPTIONS - sizeof(uint16_t));
		wr_be32(out, rd_be32(&r) & ~FLAGS_2_URGENT);
	}
	copy_rest(out, &r);
	return true;
}

bool
tns_read_redirect(struct rd packet, struct tns_redirect *r)
{
	rd_skip(&packet, TNS_HEAD);
	r->len = rd_be16(&packet);
	r->begin = packet;
	return !packet.cut && packet.left <= r->len;
}

static void
write_decimal(struct wr *out, uint32_t v)
{
	uint32_t unit = 1;

	while (v / 10 >= unit)
		unit *= 10;
	for (; unit > 0; unit /= 10)
		wr_u8(out, (uint8_t)('0' + v / unit % 10));
}

void
tns_write_refuse(struct wr *out, uint32_t number)
{
	uint8_t bytes[128];
	struct wr text = { .base = bytes, .cap = sizeof(bytes) };

	wr_string(&text, "(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR=");
	write_decimal(&text, number);
	wr_string(&text, ")(ERROR_STACK=(ERROR=(CODE=");
	write_decimal(&text, number);
	wr_string(&text, ")(EMFI=4))))");
	write_head(out, REFUSE_AT_TEXT + text.len, TNS_REFUSE);
	wr_u8(out, REFUSED_BY_SOFTWARE);
	wr_u8(out, REFUSED_BY_NO_SYSTEM);
	wr_be16(out, (uint16_t)text.len);
	wr_bytes(out, text.base, text.len);
}

/* All of it, as a number that fits. */
static bool
read_decimal(struct rd r, uint32_t max, uint32_t *v)
{
	uint64_t sum = 0;

	if (r.left == 0)
		return false;
	while (r.left > 0) {
		const uint8_t c = rd_u8(&r);

		if (c < '0' || c > '9')
			return false;
		sum = sum * 10 + (uint64_t)(c - '0');
		if (sum > max)
			return false;
	}
	*v = (uint32_t)sum;
	return true;
}

bool
tns_read_refuse(struct rd packet, uint32_t *number)
{
	rd_skip(&packet, REFUSE_AT_TEXT);
	return read_decimal(tns_value(packet, "DESCRIPTION", "ERR"), UINT32_MAX,
	    number);
}

/*
 * Descriptors.  They are read from front to back in one pass: whatever the
 * nesting, there is nothing to run out of.
 */

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool
is_word(struct rd r, const char *word)
{
	if (r.left != strlen(word))
		return false;
	for (; r.left > 0; word++) {
		if (lower(rd_u8(&r)) != lower((uint8_t)*word))
			return false;
	}
	return true;
}

static bool
is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct rd
trimmed(struct rd r)
{
	struct rd ahead = r;
	size_t n = 0, len = 0;

	while (is_space(rd_u8(&ahead)))
		r = ahead;
	for (ahead = r; ahead.left > 0;) {
		n++;
		if (!is_space(rd_u8(&ahead)))
			len = n;
	}
	return rd_take(&r, len);
}

static uint8_t
peek(struct rd r)
{
	return rd_u8(&r);
}

/* What comes before the next of these characters, which stays; all of the rest
 * if there is none. */
static struct rd
take_until(struct rd *r, const char *any_of)
{
	struct rd ahead = *r;
	size_t n = 0;

	while (ahead.left > 0 &&
	    memchr(any_of, rd_u8(&ahead), strlen(any_of)) == NULL)
		n++;
	return rd_take(r, n);
}

/* From behind a quotation mark to behind the next; without them. */
static struct rd
take_quoted(struct rd *r)
{
	struct rd quoted = take_until(r, "\"");

	rd_skip(r, r->left > 0 ? 1 : 0);
	return quoted;
}

/* From behind the equals sign; false if the value is more of these. */
static bool
take_leaf(struct rd *r, struct rd *value)
{
	struct rd ahead = *r;

	*value = trimmed(take_until(&ahead, "()\""));
	if (value->left == 0 && peek(ahead) == '"') {
		rd_skip(&ahead, 1);
		*value = take_quoted(&ahead);
	}
	if (peek(ahead) == '(')
		return false;
	*r = ahead;
	return true;
}

/* Where a walk through a descriptor is. */
struct walk {
	struct rd r;
	size_t depth;  /* in how many parentheses */
	size_t inside; /* at which of them the parent was; 0: not yet */
};

/* Behind an opening parenthesis.  True: this was it. */
static bool
walk_enter(struct walk *w, const char *parent, const char *name,
    struct rd *value)
{
	struct rd word = trimmed(take_until(&w->r, "=()\""));

	w->depth++;
	if (peek(w->r) != '=')
		return false;
	rd_skip(&w->r, 1);
	if (w->inside == 0) {
		if (is_word(word, parent))
			w->inside = w->depth;
		return false;
	}
	return w->depth == w->inside + 1 && is_word(word, name) &&
	    take_leaf(&w->r, value);
}

struct rd
tns_value(struct rd descriptor, const char *parent, const char *name)
{
	struct walk w = { .r = descriptor };
	struct rd value = { .left = 0 };

	while (w.r.left > 0) {
		switch (rd_u8(&w.r)) {
		case '"':
			(void)take_quoted(&w.r);
			break;
		case '(':
			if (walk_enter(&w, parent, name, &value))
				return value;
			break;
		case ')':
			if (w.depth == 0 || w.depth == w.inside)
				return (struct rd){ .left = 0 };
			w.depth--;
			break;
		}
	}
	return (struct rd){ .left = 0 };
}

/*
 * Addresses.
 */

#define HOST_MAX 253u

/* Names, and addresses of both kinds. */
static bool
is_host_character(uint8_t c)
{
	return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') ||
	    c == '.' || c == '-' || c == '_' || c == ':';
}

static bool
is_host(struct rd r)
{
	if (r.left == 0 || r.left > HOST_MAX)
		return false;
	while (r.left > 0) {
		if (!is_host_character(rd_u8(&r)))
			return false;
	}
	return true;
}

/* Where none is said, drivers take TCP. */
static enum tns_transport
read_transport(struct rd protocol)
{
	if (is_word(protocol, "tcps"))
		return TNS_OVER_TCPS;
	return protocol.left == 0 || is_word(protocol, "tcp") ? TNS_OVER_TCP
							      : TNS_OVER_OTHER;
}

bool
tns_read_address(struct rd descriptor, struct tns_address *a)
{
	uint32_t port = 0;

	a->host = tns_value(descriptor, "ADDRESS", "HOST");
	a->transport =
	    read_transport(tns_value(descriptor, "ADDRESS", "PROTOCOL"));
	if (!is_host(a->host) ||
	    !read_decimal(tns_value(descriptor, "ADDRESS", "PORT"), UINT16_MAX,
		&port) ||
	    port == 0)
		return false;
	a->port = (uint16_t)port;
	return true;
}

/*
 * SNI: "S4.sales.V3.319", "S4.sales.T1.d.V3.319".
 */

static bool
is_service_character(uint8_t c)
{
	return (is_host_character(c) && c != ':') || c == '$' || c == '#';
}

static bool
is_service(struct rd r)
{
	if (r.left == 0 || r.left > TNS_SNI_MAX)
		return false;
	while (r.left > 0) {
		if (!is_service_character(rd_u8(&r)))
			return false;
	}
	return true;
}

/* Dedicated, shared or pooled: the letter is enough. */
static void
write_server_type(struct wr *out, struct rd server)
{
	const uint8_t type = lower(rd_u8(&server));

	if (type != 'd' && type != 's' && type != 'p')
		return;
	wr_string(out, ".T1.");
	wr_u8(out, type);
}

bool
tns_write_sni(struct wr *out, struct rd connect_head, struct rd data)
{
	struct rd service = tns_value(data, "CONNECT_DATA", "SERVICE_NAME");
	const size_t start = out->len;

	if (!is_service(service))
		return false;
	wr_u8(out, 'S');
	write_decimal(out, (uint32_t)service.left);
	wr_u8(out, '.');
	wr_bytes(out, service.at, service.left);
	write_server_type(out, tns_value(data, "CONNECT_DATA", "SERVER"));
	wr_string(out, ".V3.");
	write_decimal(out, version_of(connect_head));
	if (out->len - start > TNS_SNI_MAX)
		return false;
	wr_u8(out, '\0');
	return !out->full;
}
