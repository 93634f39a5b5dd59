/* DNS messages: what is read from them, and what is not. */
#include "proxy/dns.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define ID        0x1234
#define MUTATIONS 200000

/* A message being composed: offsets of names are known while writing. */
struct message {
	uint8_t bytes[4096];
	struct wr w;
	uint16_t answers;
};

static void
put_name(struct wr *w, const char *name)
{
	size_t len;

	for (; *name != '\0'; name += len + (name[len] == '.')) {
		len = strcspn(name, ".");
		wr_u8(w, (uint8_t)len);
		wr_bytes(w, name, len);
	}
	wr_u8(w, 0);
}

static void
begin(struct message *m, const char *name, uint16_t type)
{
	m->w = (struct wr){ .base = m->bytes, .cap = sizeof(m->bytes) };
	m->answers = 0;
	wr_be16(&m->w, ID);
	wr_be16(&m->w, 0x8180);
	wr_be16(&m->w, 1);
	wr_be16(&m->w, 0);
	wr_be32(&m->w, 0);
	put_name(&m->w, name);
	wr_be16(&m->w, type);
	wr_be16(&m->w, 1);
}

/* `owner` NULL: a pointer to the question's name. */
static void
put_record(struct message *m, const char *owner, uint16_t type, uint32_t ttl,
    const void *data, size_t len)
{
	if (owner == NULL)
		wr_be16(&m->w, 0xc00c);
	else
		put_name(&m->w, owner);
	wr_be16(&m->w, type);
	wr_be16(&m->w, 1);
	wr_be32(&m->w, ttl);
	wr_be16(&m->w, (uint16_t)len);
	wr_bytes(&m->w, data, len);
	m->answers++;
	m->bytes[7] = (uint8_t)m->answers;
}

static void
put_alias(struct message *m, const char *owner, uint32_t ttl, const char *to)
{
	uint8_t bytes[256];
	struct wr w = { .base = bytes, .cap = sizeof(bytes) };

	put_name(&w, to);
	put_record(m, owner, 5, ttl, bytes, w.len);
}

static void
put_a(struct message *m, const char *owner, uint32_t ttl, const char *four)
{
	put_record(m, owner, DNS_A, ttl, four, 4);
}

static enum dns_status
read_bytes(struct dns_answer *a, const uint8_t *bytes, size_t len,
    const char *name, enum dns_type type)
{
	struct dns_name n;

	if (!dns_name_set(&n, name, NULL))
		abort();
	dns_answer_read(a, (struct rd){ .at = bytes, .left = len }, ID, &n,
	    type);
	return a->status;
}

static enum dns_status
read_message(struct dns_answer *a, const struct message *m, const char *name)
{
	return read_bytes(a, m->bytes, m->w.len, name, DNS_A);
}

static void
question_is_as_the_rfc_has_it(void)
{
	static const uint8_t expected[] = "\x12\x34\x01\x00\x00\x01\x00\x00"
					  "\x00\x00\x00\x00\x02"
					  "db\x04"
					  "test\x00\x00\x1c\x00\x01";
	uint8_t bytes[DNS_QUESTION_MAX];
	struct wr w = { .base = bytes, .cap = sizeof(bytes) };
	struct dns_name name;

	CU_ASSERT_TRUE_FATAL(dns_name_set(&name, "DB", "Test."));
	dns_question_write(&w, ID, &name, DNS_AAAA);
	CU_ASSERT_EQUAL(w.len, sizeof(expected) - 1);
	CU_ASSERT_EQUAL(memcmp(bytes, expected, w.len), 0);
}

static void
names_are_as_long_as_names_may_be(void)
{
	char host[512];
	struct dns_name name;
	uint8_t bytes[DNS_QUESTION_MAX];
	struct wr w = { .base = bytes, .cap = sizeof(bytes) };
	size_t i;

	memset(host, 'a', sizeof(host));
	for (i = 63; i < sizeof(host); i += 64)
		host[i] = '.';
	host[253] = '\0'; /* 254 with the dot, 255 on the wire */
	CU_ASSERT_TRUE_FATAL(dns_name_set(&name, host, NULL));
	dns_question_write(&w, ID, &name, DNS_A);
	CU_ASSERT_FALSE(w.full);
	CU_ASSERT_EQUAL(w.len, DNS_QUESTION_MAX);
	host[253] = 'a';
	host[254] = '\0';
	CU_ASSERT_FALSE(dns_name_set(&name, host, NULL));
	host[253] = '\0';
	CU_ASSERT_FALSE(dns_name_set(&name, host, "b"));
	CU_ASSERT_FALSE(dns_name_set(&name, "", NULL));
	CU_ASSERT_FALSE(dns_name_set(&name, ".", NULL));
	CU_ASSERT_FALSE(dns_name_set(&name, "a..b", NULL));
	CU_ASSERT_FALSE(dns_name_set(&name, ".a", NULL));
	memset(host, 'a', 64);
	host[64] = '\0';
	CU_ASSERT_FALSE(dns_name_set(&name, host, NULL));
}

static void
aliases_are_followed_in_any_order(void)
{
	struct dns_answer a;
	struct message m;

	begin(&m, "a.test", DNS_A);
	put_a(&m, "c.test", 300, "\x01\x02\x03\x04");
	put_alias(&m, "b.test", 7, "C.test");
	put_alias(&m, NULL, 9, "b.TEST");
	put_a(&m, "c.test", 200, "\x01\x02\x03\x05");
	CU_ASSERT_EQUAL(read_message(&a, &m, "A.test"), DNS_FOUND);
	CU_ASSERT_EQUAL(a.n, 2);
	CU_ASSERT_EQUAL(a.ttl, 7);
	CU_ASSERT_EQUAL(memcmp(a.addresses[1], "\x01\x02\x03\x05", 4), 0);
}

static void
addresses_of_other_names_do_not_count(void)
{
	struct dns_answer a;
	struct message m;

	begin(&m, "a.test", DNS_A);
	put_a(&m, "evil.test", 300, "\x01\x02\x03\x04");
	put_alias(&m, "evil.test", 9, "a.test");
	put_record(&m, NULL, DNS_AAAA, 9, "0123456789abcdef", 16);
	put_record(&m, NULL, DNS_A, 9, "01234", 5);
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_NO_DATA);
	CU_ASSERT_EQUAL(a.n, 0);
}

static void
circles_come_to_an_end(void)
{
	struct dns_answer a;
	struct message m;

	begin(&m, "a.test", DNS_A);
	put_alias(&m, "a.test", 9, "b.test");
	put_alias(&m, "b.test", 9, "a.test");
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_NO_DATA);
	/* An owner that points at itself, and one that points ahead. */
	begin(&m, "a.test", DNS_A);
	put_a(&m, NULL, 9, "\x01\x02\x03\x04");
	m.bytes[25] = 24;
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_BROKEN);
	m.bytes[25] = 30;
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_BROKEN);
	m.bytes[25] = 12;
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_FOUND);
}

/* Each part is short enough; what the pointers put together is not, and an
 * alias that is none is no reason to take the address beside it. */
static void
names_are_never_longer_than_names_may_be(void)
{
	uint8_t label[1 + 63 + 2];
	struct dns_answer a;
	struct message m;
	size_t at;
	int i;

	begin(&m, "a.test", DNS_A);
	label[0] = 63;
	memset(label + 1, 'a', 63);
	for (i = 0, at = 12; i < 6; i++) {
		label[64] = (uint8_t)(0xc0 | at >> 8);
		label[65] = (uint8_t)at;
		put_record(&m, NULL, 99, 9, label, sizeof(label));
		at = m.w.len - sizeof(label);
	}
	put_record(&m, NULL, 5, 9, label, sizeof(label));
	put_a(&m, NULL, 9, "\x01\x02\x03\x04");
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_BROKEN);
	CU_ASSERT_EQUAL(a.n, 0);
}

static void
what_the_header_says_counts_first(void)
{
	struct dns_answer a;
	struct message m;

	begin(&m, "a.test", DNS_A);
	put_a(&m, NULL, 9, "\x01\x02\x03\x04");
	m.bytes[3] = 0x83;
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_NO_NAME);
	m.bytes[3] = 0x82;
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_FAILED);
	m.bytes[3] = 0x85;
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_FAILED);
	m.bytes[3] = 0x80;
	m.bytes[2] = 0x83;
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_TRUNCATED);
	m.bytes[2] = 0x01;
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_NOT_OURS);
	m.bytes[2] = 0xa1;
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_NOT_OURS);
	m.bytes[2] = 0x81;
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_FOUND);
	CU_ASSERT_EQUAL(read_message(&a, &m, "b.test"), DNS_NOT_OURS);
	CU_ASSERT_EQUAL(read_bytes(&a, m.bytes, m.w.len, "a.test", DNS_AAAA),
	    DNS_NOT_OURS);
	m.bytes[0] ^= 1;
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_NOT_OURS);
}

static void
more_addresses_than_we_keep_are_left(void)
{
	struct dns_answer a;
	struct message m;
	unsigned i;

	begin(&m, "a.test", DNS_A);
	for (i = 0; i < DNS_ADDRESSES_MAX + 10; i++)
		put_a(&m, NULL, 9, "\x01\x02\x03\x04");
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_FOUND);
	CU_ASSERT_EQUAL(a.n, DNS_ADDRESSES_MAX);
}

/* On the heap to the byte, so that the sanitizer sees one byte too far. */
static void
cut_message_is_never_an_answer(void)
{
	struct dns_answer a;
	struct message m;
	uint8_t *copy;
	size_t len;

	begin(&m, "a.test", DNS_A);
	put_alias(&m, NULL, 9, "b.test");
	put_a(&m, "b.test", 9, "\x01\x02\x03\x04");
	for (len = 0; len < m.w.len; len++) {
		if ((copy = malloc(len + 1)) == NULL)
			abort();
		memcpy(copy + 1, m.bytes, len);
		(void)read_bytes(&a, copy + 1, len, "a.test", DNS_A);
		CU_ASSERT_NOT_EQUAL(a.status, DNS_FOUND);
		free(copy);
	}
	CU_ASSERT_EQUAL(read_message(&a, &m, "a.test"), DNS_FOUND);
}

static void
no_mutation_does_harm(void)
{
	struct dns_answer a;
	struct message m, mutant;
	unsigned long i;
	uint64_t random = 1;
	unsigned changes, found = 0;

	begin(&m, "a.test", DNS_A);
	put_alias(&m, NULL, 9, "b.test");
	put_a(&m, "b.test", 9, "\x01\x02\x03\x04");
	put_record(&m, NULL, DNS_AAAA, 9, "0123456789abcdef", 16);
	for (i = 0; i < MUTATIONS; i++) {
		mutant = m;
		for (changes = 0; changes <= i % 4; changes++) {
			random = random * 6364136223846793005u + 1;
			mutant.bytes[(random >> 33) % m.w.len] =
			    (uint8_t)(random >> 56);
		}
		mutant.w.len -= (random >> 20) % 3;
		(void)read_message(&a, &mutant, "a.test");
		found += a.status == DNS_FOUND;
		if (a.n > DNS_ADDRESSES_MAX ||
		    (a.n > 0) != (a.status == DNS_FOUND))
			CU_FAIL("an answer without an address, or two");
	}
	CU_ASSERT_TRUE(found > 0);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		{ "question_is_as_the_rfc_has_it",
		    question_is_as_the_rfc_has_it },
		{ "names_are_as_long_as_names_may_be",
		    names_are_as_long_as_names_may_be },
		{ "aliases_are_followed_in_any_order",
		    aliases_are_followed_in_any_order },
		{ "addresses_of_other_names_do_not_count",
		    addresses_of_other_names_do_not_count },
		{ "circles_come_to_an_end", circles_come_to_an_end },
		{ "names_are_never_longer_than_names_may_be",
		    names_are_never_longer_than_names_may_be },
		{ "what_the_header_says_counts_first",
		    what_the_header_says_counts_first },
		{ "more_addresses_than_we_keep_are_left",
		    more_addresses_than_we_keep_are_left },
		{ "cut_message_is_never_an_answer",
		    cut_message_is_never_an_answer },
		{ "no_mutation_does_harm", no_mutation_does_harm },
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "dns", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
