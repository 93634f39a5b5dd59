/* dns.c - the two messages of DNS that finding addresses takes (RFC 1035) */
#include "proxy/dns.h"

#include <string.h>

#define LABEL_MAX    63
#define POINTER_MASK 0xc0 /* section 4.1.4: a name goes on elsewhere */
#define POINTERS_MAX 32   /* that one name may follow */
#define CHAIN_MAX    16   /* CNAMEs that one answer may follow */
#define CLASS_IN     1
#define TYPE_CNAME   5
#define IPV4_LEN     4
#define IPV6_LEN     16
#define TTL_LONGEST  0x7fffffffu /* RFC 2181, section 8: more means 0 */

/* Section 4.1.1: the flags. */
#define FLAG_RESPONSE  0x8000u
#define MASK_OPCODE    0x7800u
#define FLAG_TRUNCATED 0x0200u
#define FLAG_RECURSE   0x0100u
#define MASK_RCODE     0x000fu
#define RCODE_OK       0u
#define RCODE_NXDOMAIN 3u

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool
name_add_label(struct dns_name *name, const char *label, size_t len)
{
	size_t i;

	/* Room for its length, itself, and the empty label at the end. */
	if (len == 0 || len > LABEL_MAX ||
	    name->len + 1 + len + 1 > DNS_NAME_MAX)
		return false;
	name->labels[name->len++] = (uint8_t)len;
	for (i = 0; i < len; i++)
		name->labels[name->len++] = lower((uint8_t)label[i]);
	return true;
}

/* Without the empty label at the end; a final dot is no label. */
static bool
name_add_host(struct dns_name *name, const char *host)
{
	size_t len;

	do {
		len = strcspn(host, ".");
		if (!name_add_label(name, host, len))
			return false;
		host += len;
		if (*host == '.')
			host++;
	} while (*host != '\0');
	return true;
}

bool
dns_name_set(struct dns_name *name, const char *host, const char *suffix)
{
	name->len = 0;
	if (!name_add_host(name, host) ||
	    (suffix != NULL && !name_add_host(name, suffix)))
		return false;
	name->labels[name->len++] = 0;
	return true;
}

void
dns_question_write(struct wr *w, uint16_t id, const struct dns_name *name,
    enum dns_type type)
{
	wr_be16(w, id);
	wr_be16(w, FLAG_RECURSE);
	wr_be16(w, 1); /* questions */
	wr_be16(w, 0); /* answers */
	wr_be16(w, 0); /* authorities */
	wr_be16(w, 0); /* additional records */
	wr_bytes(w, name->labels, name->len);
	wr_be16(w, (uint16_t)type);
	wr_be16(w, CLASS_IN);
}

/* Jumps back to where a compressed name goes on: only ever further back, so
 * there is no way round in a circle. */
static bool
follow_pointer(struct rd *at, struct rd message, uint8_t high, size_t *before)
{
	size_t to = (size_t)(high & ~POINTER_MASK) << 8 | rd_u8(at);

	if (at->cut || to >= *before)
		return false;
	*before = to;
	*at = message;
	rd_skip(at, to);
	return !at->cut;
}

/* What follows in a name after a label's length was read; lower-cased. */
static bool
take_label(struct dns_name *name, struct rd *at, uint8_t len)
{
	uint8_t i;

	if (len > LABEL_MAX || name->len + 1u + len + 1u > DNS_NAME_MAX)
		return false;
	name->labels[name->len++] = len;
	for (i = 0; i < len; i++)
		name->labels[name->len++] = lower(rd_u8(at));
	return !at->cut;
}

/* Reads a name at `r`, and moves `r` behind it.  The cursor is cut if there is
 * none. */
static void
name_read(struct dns_name *name, struct rd *r, struct rd message)
{
	size_t before = (size_t)(r->at - message.at);
	struct rd at = *r;
	unsigned pointers = 0;
	uint8_t len;

	name->len = 0;
	while ((len = rd_u8(&at)) != 0) {
		if ((len & POINTER_MASK) != POINTER_MASK) {
			if (!take_label(name, &at, len))
				goto cut;
			continue;
		}
		if (pointers == 0) {
			*r = at; /* the name ends behind its first pointer */
			rd_skip(r, 1);
		}
		if (++pointers > POINTERS_MAX ||
		    !follow_pointer(&at, message, len, &before))
			goto cut;
	}
	if (at.cut)
		goto cut;
	name->labels[name->len++] = 0;
	if (pointers == 0)
		*r = at;
	return;
cut:
	r->cut = true;
}

static bool
name_equals(const struct dns_name *a, const struct dns_name *b)
{
	return a->len == b->len && memcmp(a->labels, b->labels, a->len) == 0;
}

struct record {
	struct dns_name owner;
	uint16_t type;
	uint16_t class;
	uint32_t ttl;
	struct rd data;
};

static void
record_read(struct record *record, struct rd *r, struct rd message)
{
	name_read(&record->owner, r, message);
	record->type = rd_be16(r);
	record->class = rd_be16(r);
	record->ttl = rd_be32(r);
	if (record->ttl > TTL_LONGEST)
		record->ttl = 0;
	record->data = rd_take(r, rd_be16(r));
}

/* The answers of a message, to be gone through several times. */
struct records {
	struct rd message;
	struct rd first;
	uint16_t n;
};

enum alias {
	ALIAS_NONE,
	ALIAS_FOLLOWED,
	ALIAS_BROKEN
};

/* Is there a CNAME of `name`?  Then it becomes the name.  One that cannot be
 * read is no reason to believe the addresses beside it. */
static enum alias
follow_cname(const struct records *records, struct dns_name *name,
    uint32_t *ttl)
{
	struct rd r = records->first, data;
	struct record record;
	struct dns_name target;
	unsigned i;

	for (i = 0; i < records->n; i++) {
		record_read(&record, &r, records->message);
		if (r.cut)
			return ALIAS_BROKEN;
		if (record.type != TYPE_CNAME || record.class != CLASS_IN ||
		    !name_equals(&record.owner, name))
			continue;
		data = record.data;
		name_read(&target, &data, records->message);
		if (data.cut)
			return ALIAS_BROKEN;
		*name = target;
		if (record.ttl < *ttl)
			*ttl = record.ttl;
		return ALIAS_FOLLOWED;
	}
	return ALIAS_NONE;
}

static void
answer_add(struct dns_answer *a, const struct record *record)
{
	size_t len = a->type == DNS_A ? IPV4_LEN : IPV6_LEN;

	if (record->data.left != len || a->n == DNS_ADDRESSES_MAX)
		return;
	memcpy(a->addresses[a->n++], record->data.at, len);
	if (record->ttl < a->ttl)
		a->ttl = record->ttl;
}

/* False if the records are cut. */
static bool
collect_addresses(struct dns_answer *a, const struct records *records,
    const struct dns_name *name)
{
	struct rd r = records->first;
	struct record record;
	unsigned i;

	for (i = 0; i < records->n; i++) {
		record_read(&record, &r, records->message);
		if (r.cut)
			return false;
		if (record.type == a->type && record.class == CLASS_IN &&
		    name_equals(&record.owner, name))
			answer_add(a, &record);
	}
	return true;
}

static enum dns_status
read_records(struct dns_answer *a, const struct records *records,
    const struct dns_name *asked)
{
	struct dns_name name = *asked;
	enum alias alias = ALIAS_FOLLOWED;
	unsigned chain;

	a->ttl = TTL_LONGEST;
	for (chain = 0; chain < CHAIN_MAX && alias == ALIAS_FOLLOWED; chain++)
		alias = follow_cname(records, &name, &a->ttl);
	if (alias == ALIAS_BROKEN || !collect_addresses(a, records, &name))
		return DNS_BROKEN;
	return a->n > 0 ? DNS_FOUND : DNS_NO_DATA;
}

static enum dns_status
judge(struct dns_answer *a, uint16_t flags, const struct records *records,
    const struct dns_name *name)
{
	enum dns_status status;

	if ((flags & FLAG_TRUNCATED) != 0)
		return DNS_TRUNCATED;
	if ((flags & MASK_RCODE) == RCODE_NXDOMAIN)
		return DNS_NO_NAME;
	if ((flags & MASK_RCODE) != RCODE_OK)
		return DNS_FAILED;
	status = read_records(a, records, name);
	if (status != DNS_FOUND)
		a->n = 0;
	return status;
}

void
dns_answer_read(struct dns_answer *a, struct rd message, uint16_t id,
    const struct dns_name *name, enum dns_type type)
{
	struct records records = { .message = message };
	struct rd r = message;
	struct dns_name asked;
	uint16_t got, flags, questions, asked_type, asked_class;

	memset(a, 0, sizeof(*a));
	a->type = type;
	got = rd_be16(&r);
	flags = rd_be16(&r);
	questions = rd_be16(&r);
	records.n = rd_be16(&r);
	rd_skip(&r, 2 * sizeof(uint16_t)); /* what else there is: not for us */
	name_read(&asked, &r, message);
	asked_type = rd_be16(&r);
	asked_class = rd_be16(&r);
	records.first = r;
	a->status = DNS_NOT_OURS;
	if (r.cut || got != id || (flags & FLAG_RESPONSE) == 0 ||
	    (flags & MASK_OPCODE) != 0 || questions != 1 ||
	    !name_equals(&asked, name) || asked_type != type ||
	    asked_class != CLASS_IN)
		return;
	a->status = judge(a, flags, &records, name);
}
