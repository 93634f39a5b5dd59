#include "protocols/mysqlx_message.h"

#include <string.h>

/* Protobuf: a field begins with its number and how it is encoded. */
#define WIRE_VARINT    0u
#define WIRE_FIXED64   1u
#define WIRE_LEN       2u
#define WIRE_FIXED32   5u
#define WIRE_BITS      3u
#define WIRE_MASK      ((1u << WIRE_BITS) - 1)
#define KEY(n, wire)   ((uint32_t)(n) << WIRE_BITS | (wire))
#define KEY_LEN        1u /* of a number below 16 */
#define VARINT_BITS    7u
#define VARINT_MORE    0x80u
#define VARINT_LEN_MAX 10u

/* CapabilitiesSet.capabilities, Capabilities.capabilities */
#define FIELD_CAPABILITIES 1u
/* Capability */
#define FIELD_NAME  1u
#define FIELD_VALUE 2u
/* Error */
#define FIELD_SEVERITY  1u
#define FIELD_CODE      2u
#define FIELD_SQL_STATE 4u
#define FIELD_MSG       3u

/* Error.Severity */
#define SEVERITY_ERROR 0u
#define SEVERITY_FATAL 1u

#define TLS "tls"

/* An Any of type SCALAR, of a Scalar of type V_BOOL, which is ... */
#define ANY_BOOL 0x08, 0x01, 0x12, 0x04, 0x08, 0x07, 0x40
static const uint8_t any_true[] = { ANY_BOOL, 0x01 };

/* The capability of that name, as an element of Capabilities. */
#define TLS_BOOL 0x0a, 0x0f, 0x0a, 0x03, 't', 'l', 's', 0x12, 0x08, ANY_BOOL
static const uint8_t tls_active[] = { TLS_BOOL, 0x01 };
static const uint8_t tls_inactive[] = { TLS_BOOL, 0x00 };

/* Of Any of type SCALAR, of a Scalar of type V_STRING; the capability is an Any
 * of type ARRAY of these. */
#define ANY_STRING(len) \
	0x08, 0x01, 0x12, (len) + 6, 0x08, 0x08, 0x4a, (len) + 2, 0x0a, (len)
static const uint8_t mechanisms[] = { 0x0a, 0x4d, 0x0a, 0x19, 'a', 'u', 't',
	'h', 'e', 'n', 't', 'i', 'c', 'a', 't', 'i', 'o', 'n', '.', 'm', 'e',
	'c', 'h', 'a', 'n', 'i', 's', 'm', 's', 0x12, 0x30, 0x08, 0x03, 0x22,
	0x2c, 0x0a, 0x11, ANY_STRING(7), 'M', 'Y', 'S', 'Q', 'L', '4', '1',
	0x0a, 0x17, ANY_STRING(13), 'S', 'H', 'A', '2', '5', '6', '_', 'M', 'E',
	'M', 'O', 'R', 'Y' };

static const uint8_t set_tls[] = { 0x14, 0x00, 0x00, 0x00,
	MYSQLX_CAPABILITIES_SET, 0x0a, sizeof(tls_active), TLS_BOOL, 0x01 };
static const uint8_t server_hello[] = { 0x05, 0x00, 0x00, 0x00, MYSQLX_NOTICE,
	0x08, 0x05, 0x1a, 0x00 };

const struct mysqlx_list mysqlx_mechanisms = {
	.bytes = { .at = mechanisms, .left = sizeof(mechanisms) },
	.rest_len = sizeof(mechanisms),
};
const struct rd mysqlx_set_tls = { .at = set_tls, .left = sizeof(set_tls) };
const struct rd mysqlx_server_hello = {
	.at = server_hello,
	.left = sizeof(server_hello),
};

enum mysqlx_arrival
mysqlx_look(struct rd r, struct mysqlx_frame *f)
{
	const uint32_t len = rd_le32(&r);

	f->type = rd_u8(&r);
	if (r.cut)
		return MYSQLX_PART;
	if (len < MYSQLX_TYPE_LEN || len > MYSQLX_LENGTH_MAX)
		return MYSQLX_BAD;
	f->body = rd_take(&r, len - MYSQLX_TYPE_LEN);
	f->len = MYSQLX_LENGTH_LEN + len;
	return r.cut ? MYSQLX_HEAD : MYSQLX_WHOLE;
}

/*
 * Protobuf.
 */

static uint64_t
rd_varint(struct rd *r)
{
	uint64_t v = 0;
	uint8_t byte;
	unsigned i;

	for (i = 0; i < VARINT_LEN_MAX; i++) {
		byte = rd_u8(r);
		v |= (uint64_t)(byte & ~VARINT_MORE) << (i * VARINT_BITS);
		if ((byte & VARINT_MORE) == 0)
			return v;
	}
	r->cut = true;
	return 0;
}

static void
wr_varint(struct wr *w, uint64_t v)
{
	for (; v >= VARINT_MORE; v >>= VARINT_BITS)
		wr_u8(w, (uint8_t)(v | VARINT_MORE));
	wr_u8(w, (uint8_t)v);
}

static size_t
varint_len(uint64_t v)
{
	size_t len = 1;

	for (; v >= VARINT_MORE; v >>= VARINT_BITS)
		len++;
	return len;
}

struct field {
	uint64_t key;
	struct rd body;  /* of WIRE_LEN; of the others empty */
	struct rd whole; /* with its key */
};

/* The next field; false if it cannot be read. */
static bool
next_field(struct rd *message, struct field *f)
{
	struct rd start = *message;

	f->key = rd_varint(message);
	f->body = (struct rd){ .left = 0 };
	switch (f->key & WIRE_MASK) {
	case WIRE_VARINT:
		(void)rd_varint(message);
		break;
	case WIRE_FIXED64:
		rd_skip(message, sizeof(uint64_t));
		break;
	case WIRE_LEN:
		f->body = rd_take(message, rd_varint(message));
		break;
	case WIRE_FIXED32:
		rd_skip(message, sizeof(uint32_t));
		break;
	default: /* groups, which nest, and which nobody uses */
		message->cut = true;
		break;
	}
	f->whole = rd_take(&start, start.left - message->left);
	return !message->cut;
}

/*
 * Capabilities.
 */

struct capability {
	struct rd name;
	struct rd value;
};

/* Of a field that is there twice the later counts, as everywhere in protobuf.
 * False if it cannot be read. */
static bool
read_capability(struct rd body, struct capability *c)
{
	struct field f;

	while (body.left > 0) {
		if (!next_field(&body, &f))
			return false;
		if (f.key == KEY(FIELD_NAME, WIRE_LEN))
			c->name = f.body;
		else if (f.key == KEY(FIELD_VALUE, WIRE_LEN))
			c->value = f.body;
	}
	return true;
}

/* The next element of a list, which may also be none that we know: then it has
 * no name.  False if it cannot be read. */
static bool
next_capability(struct rd *list, struct field *f, struct capability *c)
{
	*c = (struct capability){ .name = { .left = 0 } };
	return next_field(list, f) &&
	    (f->key != KEY(FIELD_CAPABILITIES, WIRE_LEN) ||
		read_capability(f->body, c));
}

bool
mysqlx_read_capabilities(struct rd body, struct mysqlx_list *list)
{
	struct capability c;
	struct field f;

	*list = (struct mysqlx_list){ .bytes = body, .tls_true = true };
	while (body.left > 0) {
		if (!next_capability(&body, &f, &c))
			return false;
		if (!rd_equals_string(c.name, TLS)) {
			list->rest_len += f.whole.left;
			continue;
		}
		list->tls = true;
		if (!rd_equals(c.value, any_true, sizeof(any_true)))
			list->tls_true = false;
	}
	return true;
}

/* It has this one field and no other.  Were there two, a server would join
 * them; so what we take for the list must be all there is. */
bool
mysqlx_read_set(struct rd body, struct mysqlx_list *list)
{
	struct field f;

	return next_field(&body, &f) && body.left == 0 &&
	    f.key == KEY(FIELD_CAPABILITIES, WIRE_LEN) &&
	    mysqlx_read_capabilities(f.body, list);
}

static void
write_head(struct wr *out, uint8_t type, size_t body_len)
{
	wr_le32(out, (uint32_t)(MYSQLX_TYPE_LEN + body_len));
	wr_u8(out, type);
}

static void
write_elements(struct wr *out, struct rd list)
{
	struct capability c;
	struct field f;

	while (list.left > 0 && next_capability(&list, &f, &c)) {
		if (!rd_equals_string(c.name, TLS))
			wr_bytes(out, f.whole.at, f.whole.left);
	}
}

static struct rd
tls_element(enum mysqlx_tls tls)
{
	switch (tls) {
	case MYSQLX_TLS_INACTIVE:
		return (struct rd){ tls_inactive, sizeof(tls_inactive), false };
	case MYSQLX_TLS_ACTIVE:
		return (struct rd){ tls_active, sizeof(tls_active), false };
	case MYSQLX_TLS_NONE:
		break;
	}
	return (struct rd){ .left = 0 };
}

/* As a server does it, tls comes first: some clients look no further. */
void
mysqlx_write_capabilities(struct wr *out, const struct mysqlx_list *list,
    enum mysqlx_tls tls)
{
	const struct rd first = tls_element(tls);

	write_head(out, MYSQLX_CAPABILITIES, first.left + list->rest_len);
	wr_bytes(out, first.at, first.left);
	write_elements(out, list->bytes);
}

void
mysqlx_write_rest(struct wr *out, const struct mysqlx_list *list)
{
	write_head(out, MYSQLX_CAPABILITIES_SET,
	    KEY_LEN + varint_len(list->rest_len) + list->rest_len);
	wr_varint(out, KEY(FIELD_CAPABILITIES, WIRE_LEN));
	wr_varint(out, list->rest_len);
	write_elements(out, list->bytes);
}

void
mysqlx_write_ok(struct wr *out)
{
	write_head(out, MYSQLX_OK, 0);
}

/*
 * Errors.
 */

static size_t
text_len(const char *const *parts)
{
	size_t len = 0;

	for (; *parts != NULL; parts++)
		len += strlen(*parts);
	return len;
}

static void
write_text(struct wr *out, unsigned number, const char *const *parts)
{
	wr_varint(out, KEY(number, WIRE_LEN));
	wr_varint(out, text_len(parts));
	for (; *parts != NULL; parts++)
		wr_string(out, *parts);
}

static size_t
text_field_len(const char *const *parts)
{
	const size_t len = text_len(parts);

	return KEY_LEN + varint_len(len) + len;
}

void
mysqlx_write_error(struct wr *out, const struct mysqlx_error *e)
{
	const char *const state[] = { e->sql_state, NULL };
	const uint64_t severity = e->fatal ? SEVERITY_FATAL : SEVERITY_ERROR;

	write_head(out, MYSQLX_ERROR,
	    KEY_LEN + varint_len(severity) + KEY_LEN + varint_len(e->code) +
		text_field_len(e->parts) + text_field_len(state));
	wr_varint(out, KEY(FIELD_SEVERITY, WIRE_VARINT));
	wr_varint(out, severity);
	wr_varint(out, KEY(FIELD_CODE, WIRE_VARINT));
	wr_varint(out, e->code);
	write_text(out, FIELD_MSG, e->parts);
	write_text(out, FIELD_SQL_STATE, state);
}
