#include "protocols/mongodb_hello.h"

#include <string.h>

/* OP_MSG: what it begins with, and the kind of its section that is a whole
 * document.  A flag of the lower half that is not known forbids to go on. */
#define MSG_CHECKSUM     0x00000001u
#define MSG_MORE_TO_COME 0x00000002u
#define MSG_REQUIRED     0x0000ffffu
#define MSG_BODY         0u
#define CHECKSUM_LEN     4u

/* OP_REPLY: flags, cursor and where it stands, then how many documents. */
#define REPLY_BEFORE_COUNT 16u
#define REPLY_AWAITS       8u /* AwaitCapable: every server since 1.6 */

/* https://bsonspec.org/spec.html, version 1.1 */
#define BSON_DOUBLE     0x01u
#define BSON_STRING     0x02u
#define BSON_DOCUMENT   0x03u
#define BSON_ARRAY      0x04u
#define BSON_BINARY     0x05u
#define BSON_UNDEFINED  0x06u
#define BSON_OBJECT_ID  0x07u
#define BSON_BOOLEAN    0x08u
#define BSON_DATE       0x09u
#define BSON_NULL       0x0au
#define BSON_REGEX      0x0bu
#define BSON_DB_POINTER 0x0cu
#define BSON_CODE       0x0du
#define BSON_SYMBOL     0x0eu
#define BSON_SCOPED     0x0fu /* code, with a scope */
#define BSON_INT32      0x10u
#define BSON_TIMESTAMP  0x11u
#define BSON_INT64      0x12u
#define BSON_DECIMAL    0x13u
#define BSON_MIN_KEY    0xffu
#define BSON_MAX_KEY    0x7fu

#define DOCUMENT_EMPTY 5u /* its length, and the NUL at its end */
#define OBJECT_ID_LEN  12u
#define DECIMAL_LEN    16u

#define DEFAULT_PORT 27017u
#define PORT_MAX     65535u
#define DECIMAL_BASE 10u
#define DIGITS_MAX   10 /* of 32 bits */

bool
mongodb_read_head(struct rd *r, struct mongodb_head *h)
{
	h->length = rd_le32(r);
	h->request = rd_le32(r);
	h->answers = rd_le32(r);
	h->opcode = rd_le32(r);
	return !r->cut;
}

/*
 * BSON, read.
 */

struct element {
	uint8_t type;
	struct rd name;
	struct rd value;
	struct rd whole;
};

static void
skip_string(struct rd *r)
{
	rd_skip(r, rd_le32(r));
}

/* What has its own length counted in it. */
static void
skip_counted(struct rd *r)
{
	struct rd ahead = *r;
	const uint32_t len = rd_le32(&ahead);

	rd_skip(r, len);
	if (len < DOCUMENT_EMPTY)
		r->cut = true;
}

static void
skip_binary(struct rd *r)
{
	const uint32_t len = rd_le32(r);

	(void)rd_u8(r); /* of which kind it is */
	rd_skip(r, len);
}

static void
skip_value(struct rd *r, uint8_t type)
{
	switch (type) {
	case BSON_UNDEFINED:
	case BSON_NULL:
	case BSON_MIN_KEY:
	case BSON_MAX_KEY:
		break;
	case BSON_BOOLEAN:
		rd_skip(r, 1);
		break;
	case BSON_INT32:
		rd_skip(r, sizeof(uint32_t));
		break;
	case BSON_DOUBLE:
	case BSON_DATE:
	case BSON_TIMESTAMP:
	case BSON_INT64:
		rd_skip(r, sizeof(uint64_t));
		break;
	case BSON_OBJECT_ID:
		rd_skip(r, OBJECT_ID_LEN);
		break;
	case BSON_DECIMAL:
		rd_skip(r, DECIMAL_LEN);
		break;
	case BSON_STRING:
	case BSON_CODE:
	case BSON_SYMBOL:
		skip_string(r);
		break;
	case BSON_DB_POINTER:
		skip_string(r);
		rd_skip(r, OBJECT_ID_LEN);
		break;
	case BSON_DOCUMENT:
	case BSON_ARRAY:
	case BSON_SCOPED:
		skip_counted(r);
		break;
	case BSON_BINARY:
		skip_binary(r);
		break;
	case BSON_REGEX:
		(void)rd_cstring(r);
		(void)rd_cstring(r);
		break;
	default: /* of a length that we do not know */
		r->cut = true;
		break;
	}
}

/* False if it cannot be read. */
static bool
next_element(struct rd *elements, struct element *e)
{
	struct rd start = *elements, value;

	e->type = rd_u8(elements);
	e->name = rd_cstring(elements);
	value = *elements;
	skip_value(elements, e->type);
	if (elements->cut)
		return false;
	e->value = rd_take(&value, value.left - elements->left);
	e->whole = rd_take(&start, start.left - elements->left);
	return true;
}

/* The elements of what must be a document and nothing besides; cut if it is
 * not. */
static struct rd
open_document(struct rd bytes)
{
	const size_t all = bytes.left;
	struct rd elements;

	if (all < DOCUMENT_EMPTY || rd_le32(&bytes) != all)
		return (struct rd){ .cut = true };
	elements = rd_take(&bytes, all - DOCUMENT_EMPTY);
	if (rd_u8(&bytes) != '\0')
		elements.cut = true;
	return elements;
}

/* A string's text; empty if the element is none. */
static struct rd
text_of(const struct element *e)
{
	struct rd r = e->value, text;
	const uint32_t len = rd_le32(&r);

	if (e->type != BSON_STRING || len == 0)
		return (struct rd){ .left = 0 };
	text = rd_take(&r, len - 1);
	return rd_u8(&r) == '\0' ? text : (struct rd){ .left = 0 };
}

static bool
is_named(const struct element *e, const char *name)
{
	return rd_equals_string(e->name, name);
}

/*
 * BSON, written.
 */

static void
begin_element(struct wr *out, uint8_t type, const char *name)
{
	wr_u8(out, type);
	wr_string(out, name);
	wr_u8(out, '\0');
}

static size_t
begin_document(struct wr *out)
{
	const size_t at = out->len;

	wr_le32(out, 0);
	return at;
}

static void
end_document(struct wr *out, size_t at)
{
	wr_u8(out, '\0');
	wr_patch_le32(out, at, (uint32_t)(out->len - at));
}

static void
write_text(struct wr *out, const char *const *parts)
{
	const size_t at = out->len;

	wr_le32(out, 0);
	for (; *parts != NULL; parts++)
		wr_string(out, *parts);
	wr_u8(out, '\0');
	wr_patch_le32(out, at, (uint32_t)(out->len - at - sizeof(uint32_t)));
}

/* A key of an array: they count from zero, in decimal. */
static void
write_index(struct wr *out, uint32_t n)
{
	uint8_t digits[DIGITS_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (uint8_t)('0' + n % DECIMAL_BASE);
		n /= DECIMAL_BASE;
	} while (n > 0);
	wr_bytes(out, digits + at, sizeof(digits) - at);
	wr_u8(out, '\0');
}

/*
 * Where members are.
 */

struct address {
	struct rd host; /* empty: it is none */
	uint32_t port;
};

struct rewriting {
	const struct neg_members *members;
	size_t own;
	struct address me; /* what the server calls itself */
	struct wr *out;
};

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool
same_host(struct rd a, struct rd b)
{
	if (a.left == 0 || a.left != b.left)
		return false;
	while (a.left > 0) {
		if (lower(rd_u8(&a)) != lower(rd_u8(&b)))
			return false;
	}
	return true;
}

static bool
same_address(const struct address *a, const struct address *b)
{
	return a->port == b->port && same_host(a->host, b->host);
}

static struct rd
as_read(const char *s)
{
	return (struct rd){ .at = (const uint8_t *)s, .left = strlen(s) };
}

/* 0, which is no port, if it cannot be read. */
static uint32_t
read_port(struct rd digits)
{
	uint32_t port = 0;

	while (digits.left > 0) {
		const uint8_t c = rd_u8(&digits);

		if (c < '0' || c > '9')
			return 0;
		port = port * DECIMAL_BASE + (c - (uint32_t)'0');
		if (port > PORT_MAX)
			return 0;
	}
	return port;
}

/* All up to the last one of c; or all there is, and then *rest is empty. */
static struct rd
split_last(struct rd text, char c, struct rd *rest)
{
	size_t at = text.left;

	while (at > 0 && text.at[at - 1] != (uint8_t)c)
		at--;
	*rest = (struct rd){ .left = 0 };
	if (at == 0)
		return text;
	*rest = text;
	rd_skip(rest, at);
	return rd_take(&text, at - 1);
}

/* "db1:27018", "db1", "[::1]:27018", "[::1]" */
static struct address
read_address(struct rd text)
{
	struct address a = { .port = DEFAULT_PORT };
	struct rd port = { .left = 0 };
	const bool ends_in_host =
	    text.left > 0 && text.at[text.left - 1] == ']';

	a.host = ends_in_host ? text : split_last(text, ':', &port);
	if (a.host.left < text.left)
		a.port = read_port(port);
	if (a.host.left > 1 && a.host.at[0] == '[' &&
	    a.host.at[a.host.left - 1] == ']') {
		rd_skip(&a.host, 1);
		a.host.left--;
	}
	if (a.port == 0)
		a.host = (struct rd){ .left = 0 };
	return a;
}

/* By the host that is dialled, or by what it is called. */
static bool
is_member(const struct neg_member *m, const struct address *a)
{
	const struct address host = { as_read(m->host), m->port };
	struct address called = host;

	if (m->called != NULL)
		called.host = as_read(m->called);
	return same_address(a, &host) || same_address(a, &called);
}

/* Whose listen address takes the place of this one; NULL: nobody's. */
static const char *
listen_for(const struct rewriting *rw, struct rd text)
{
	const struct address a = read_address(text);
	size_t i;

	if (same_address(&a, &rw->me))
		return rw->members->list[rw->own].listen;
	for (i = 0; i < rw->members->n; i++) {
		if (is_member(&rw->members->list[i], &a))
			return rw->members->list[i].listen;
	}
	return NULL;
}

/*
 * The reply to hello.
 */

/* Is this one that a member of a replica set gives?  Also finds its `me`. */
static bool
is_hello(struct rd elements, struct rewriting *rw)
{
	bool role = false, wire = false, set = false;
	struct element e;

	while (elements.left > 0) {
		if (!next_element(&elements, &e))
			return false;
		role |= is_named(&e, "isWritablePrimary") ||
		    is_named(&e, "ismaster");
		wire |= is_named(&e, "maxWireVersion");
		set |= is_named(&e, "setName");
		if (is_named(&e, "me"))
			rw->me = read_address(text_of(&e));
	}
	return role && wire && set && !elements.cut;
}

static void
write_name(struct wr *out, const struct element *e)
{
	wr_u8(out, e->type);
	wr_bytes(out, e->name.at, e->name.left);
	wr_u8(out, '\0');
}

static bool
rewrite_list(const struct rewriting *rw, const struct element *e)
{
	struct rd elements = open_document(e->value);
	struct element host;
	uint32_t n = 0;
	size_t at;

	write_name(rw->out, e);
	at = begin_document(rw->out);
	while (elements.left > 0) {
		const char *text[] = { NULL, NULL };

		if (!next_element(&elements, &host))
			return false;
		if ((text[0] = listen_for(rw, text_of(&host))) == NULL)
			continue;
		wr_u8(rw->out, BSON_STRING);
		write_index(rw->out, n++);
		write_text(rw->out, text);
	}
	end_document(rw->out, at);
	return !elements.cut;
}

/* Without an address there is nothing to say. */
static void
rewrite_text(const struct rewriting *rw, const struct element *e,
    const char *address)
{
	const char *const text[] = { address, NULL };

	if (address == NULL)
		return;
	write_name(rw->out, e);
	write_text(rw->out, text);
}

static bool
rewrite_element(const struct rewriting *rw, const struct element *e)
{
	if (e->type == BSON_ARRAY &&
	    (is_named(e, "hosts") || is_named(e, "passives") ||
		is_named(e, "arbiters")))
		return rewrite_list(rw, e);
	if (e->type == BSON_STRING && is_named(e, "primary"))
		rewrite_text(rw, e, listen_for(rw, text_of(e)));
	else if (e->type == BSON_STRING && is_named(e, "me"))
		rewrite_text(rw, e, rw->members->list[rw->own].listen);
	else
		wr_bytes(rw->out, e->whole.at, e->whole.left);
	return true;
}

static bool
rewrite_document(struct rewriting *rw, struct rd bytes)
{
	struct rd elements = open_document(bytes);
	struct element e;
	size_t at;

	if (!is_hello(elements, rw))
		return false;
	at = begin_document(rw->out);
	while (elements.left > 0) {
		if (!next_element(&elements, &e) || !rewrite_element(rw, &e))
			return false;
	}
	end_document(rw->out, at);
	return true;
}

/* A checksum is of what it was: nobody has to send one. */
static bool
copy_msg_head(struct rd *r, struct wr *out)
{
	const uint32_t flags = rd_le32(r);

	if ((flags & MSG_REQUIRED & ~(MSG_CHECKSUM | MSG_MORE_TO_COME)) != 0)
		return false;
	if ((flags & MSG_CHECKSUM) != 0) {
		if (r->left < CHECKSUM_LEN)
			return false;
		r->left -= CHECKSUM_LEN;
	}
	wr_le32(out, flags & ~MSG_CHECKSUM);
	wr_u8(out, MSG_BODY);
	return rd_u8(r) == MSG_BODY;
}

static bool
copy_reply_head(struct rd *r, struct wr *out)
{
	const struct rd before = rd_take(r, REPLY_BEFORE_COUNT);
	const uint32_t count = rd_le32(r);

	wr_bytes(out, before.at, before.left);
	wr_le32(out, count);
	return count == 1;
}

static void
write_head(struct wr *out, const struct mongodb_head *h)
{
	wr_le32(out, h->length);
	wr_le32(out, h->request);
	wr_le32(out, h->answers);
	wr_le32(out, h->opcode);
}

static bool
copy_body_head(uint32_t opcode, struct rd *r, struct wr *out)
{
	if (opcode == MONGODB_MSG)
		return copy_msg_head(r, out);
	return opcode == MONGODB_REPLY && copy_reply_head(r, out);
}

bool
mongodb_hello_rewrite(struct rd message, const struct neg_members *members,
    size_t own, struct wr *out)
{
	struct rewriting rw = { .members = members, .own = own, .out = out };
	const size_t at = out->len;
	struct mongodb_head h;
	struct rd r = message;

	if (!mongodb_read_head(&r, &h) || h.length != message.left)
		return false;
	write_head(out, &h);
	if (!copy_body_head(h.opcode, &r, out) || r.cut ||
	    !rewrite_document(&rw, r))
		return false;
	wr_patch_le32(out, at, (uint32_t)(out->len - at));
	return !out->full;
}

/*
 * Errors.
 */

/* The double 1.0 would be a success, and 0.0 is all zero. */
static void
write_failure(struct wr *out, const struct mongodb_error *e)
{
	static const uint8_t zero[sizeof(double)];
	const char *const name[] = { e->code_name, NULL };
	const size_t at = begin_document(out);

	begin_element(out, BSON_DOUBLE, "ok");
	wr_bytes(out, zero, sizeof(zero));
	begin_element(out, BSON_STRING, "errmsg");
	write_text(out, e->parts);
	begin_element(out, BSON_INT32, "code");
	wr_le32(out, e->code);
	begin_element(out, BSON_STRING, "codeName");
	write_text(out, name);
	end_document(out, at);
}

static void
write_reply_head(struct wr *out)
{
	static const uint8_t no_cursor[REPLY_BEFORE_COUNT - sizeof(uint32_t)];

	wr_le32(out, REPLY_AWAITS);
	wr_bytes(out, no_cursor, sizeof(no_cursor));
	wr_le32(out, 1);
}

void
mongodb_write_error(struct wr *out, const struct mongodb_head *request,
    const struct mongodb_error *e)
{
	const bool queried = request->opcode == MONGODB_QUERY;
	const struct mongodb_head h = {
		.answers = request->request,
		.opcode = queried ? MONGODB_REPLY : MONGODB_MSG,
	};
	const size_t at = out->len;

	write_head(out, &h);
	if (queried) {
		write_reply_head(out);
	} else {
		wr_le32(out, 0);
		wr_u8(out, MSG_BODY);
	}
	write_failure(out, e);
	wr_patch_le32(out, at, (uint32_t)(out->len - at));
}
