/*
 * What the packets and descriptors of Oracle Net promise, and what no
 * transcript can show: that no beginning of one leads astray, how long what is
 * written can become, and which value a descriptor is taken to have.
 */
#include "protocols/negotiator.h"
#include "protocols/tns.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define HEAD        74u
#define AT_SDU      14u
#define AT_LENGTH   24u
#define AT_OFFSET   26u
#define AT_NATIVE   32u

static struct rd
text(const char *s)
{
	return (struct rd){ .at = (const uint8_t *)s, .left = strlen(s) };
}

/* A cursor over memory of its own, to the byte; the caller frees `at`. */
static struct rd
exact(const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n + (n == 0));

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, n);
	return (struct rd){ .at = copy, .left = n };
}

/* A packet with a head of 74 bytes, each of which is its position. */
static size_t
make_connect(uint8_t *packet, size_t inside, size_t announced)
{
	const size_t len = HEAD + inside;
	size_t i;

	for (i = 0; i < len; i++)
		packet[i] = (uint8_t)i;
	packet[0] = (uint8_t)(len >> 8);
	packet[1] = (uint8_t)len;
	packet[4] = TNS_CONNECT;
	packet[AT_LENGTH] = (uint8_t)(announced >> 8);
	packet[AT_LENGTH + 1] = (uint8_t)announced;
	packet[AT_OFFSET] = 0;
	packet[AT_OFFSET + 1] = HEAD;
	return len;
}

/*
 * CONNECT.
 */

static void
hello_is_a_connect(void)
{
	const struct rd hello = neg_oracle.hello;
	struct tns_packet p;
	struct tns_connect c;
	size_t missing;

	CU_ASSERT_EQUAL_FATAL(tns_look(hello, &p), TNS_WHOLE);
	CU_ASSERT_EQUAL(p.type, TNS_CONNECT);
	CU_ASSERT_EQUAL(p.all.left, hello.left);
	CU_ASSERT_TRUE_FATAL(tns_read_connect(p.all, &c, &missing));
	CU_ASSERT_EQUAL(missing, 0);
	CU_ASSERT_TRUE(rd_equals_string(
	    tns_value(c.data, "CONNECT_DATA", "COMMAND"), "ping"));
	CU_ASSERT_FALSE(tns_offers_native(c.head));
}

/* What was asked for by name, as the server reads it. */
static struct rd
said(const uint8_t *hello, size_t len, struct tns_connect *c, size_t *behind)
{
	struct rd r = { .at = hello, .left = len };
	struct tns_packet p;

	CU_ASSERT_EQUAL_FATAL(tns_look(r, &p), TNS_WHOLE);
	CU_ASSERT_TRUE_FATAL(tns_read_connect(p.all, c, behind));
	rd_skip(&r, p.all.left);
	if (c->in_packet)
		return c->data;
	CU_ASSERT_EQUAL_FATAL(tns_look(r, &p), TNS_WHOLE);
	CU_ASSERT_EQUAL(p.type, TNS_DATA);
	return tns_data(p.all);
}

static void
service_is_asked_for_as_a_client_does(void)
{
	static uint8_t room[NEG_HELLO_MAX];
	struct wr w = { .base = room, .cap = sizeof(room) };
	const struct neg_ask ask = { .service = "shop.example.com",
		.host = "db.example.com",
		.port = 2484,
		.tls = true,
		.machine = "worker",
		.user = "a(b c" };
	struct tns_connect c;
	size_t behind;
	struct rd data;

	CU_ASSERT_PTR_NULL_FATAL(neg_oracle.ask(&ask, &w));
	data = said(room, w.len, &c, &behind);
	CU_ASSERT_TRUE(c.in_packet);
	CU_ASSERT_TRUE(rd_equals_string(data,
	    "(DESCRIPTION=(ADDRESS=(PROTOCOL=tcps)(HOST=db.example.com)"
	    "(PORT=2484))(CONNECT_DATA=(SERVICE_NAME=shop.example.com)"
	    "(CID=(PROGRAM=dbtls)(HOST=worker)(USER=a?b?c))))"));
	CU_ASSERT_FALSE(tns_offers_native(c.head));
}

static void
what_is_asked_for_may_be_a_sid_or_long(void)
{
	static uint8_t room[NEG_HELLO_MAX];
	static char longest[256 + 1];
	struct wr w = { .base = room, .cap = sizeof(room) };
	struct neg_ask ask = { .sid = "ORCL", .machine = "m", .user = "u" };
	struct tns_connect c;
	size_t behind;
	struct rd data;

	CU_ASSERT_PTR_NULL_FATAL(neg_oracle.ask(&ask, &w));
	CU_ASSERT_TRUE(rd_equals_string(said(room, w.len, &c, &behind),
	    "(DESCRIPTION=(CONNECT_DATA=(SID=ORCL)"
	    "(CID=(PROGRAM=dbtls)(HOST=m)(USER=u))))"));
	memset(longest, 'x', sizeof(longest) - 1);
	ask.service = longest + 1;
	w.len = 0;
	CU_ASSERT_PTR_NULL_FATAL(neg_oracle.ask(&ask, &w));
	data = said(room, w.len, &c, &behind);
	CU_ASSERT_FALSE(c.in_packet);
	CU_ASSERT_EQUAL(behind, data.left);
	CU_ASSERT_EQUAL(tns_value(data, "CONNECT_DATA", "SERVICE_NAME").left,
	    255);
	ask.service = longest;
	w.len = 0;
	CU_ASSERT_PTR_NOT_NULL(neg_oracle.ask(&ask, &w));
	CU_ASSERT_EQUAL(w.len, 0);
}

static void
no_service_has_such_a_name(void)
{
	static const char *const names[] = { "", "a b", "a(b", "a)b", "a=b",
		"a\nb", "a\x7f", "a\"b", "a'b", "a\\b", "a,b", "a\xc3\xa9",
		"\x01" };
	static uint8_t room[NEG_HELLO_MAX];
	size_t i;

	for (i = 0; i < COUNT_OF(names); i++) {
		struct wr w = { .base = room, .cap = sizeof(room) };
		const struct neg_ask service = { .service = names[i],
			.machine = "m",
			.user = "u" };
		const struct neg_ask sid = { .sid = names[i],
			.machine = "m",
			.user = "u" };

		CU_ASSERT_PTR_NOT_NULL(neg_oracle.ask(&service, &w));
		CU_ASSERT_PTR_NOT_NULL(neg_oracle.ask(&sid, &w));
		CU_ASSERT_EQUAL(w.len, 0);
	}
}

static void
no_beginning_of_a_connect_is_one(void)
{
	uint8_t packet[HEAD + 20], room[2 * sizeof(packet)];
	size_t len = make_connect(packet, 20, 20), n, missing;

	for (n = 0; n < len; n++) {
		struct rd r = exact(packet, n);
		struct tns_connect c;
		struct tns_packet p;
		struct wr w = { .base = room, .cap = sizeof(room) };

		CU_ASSERT_EQUAL(tns_look(r, &p), TNS_PART);
		CU_ASSERT_EQUAL(p.head_seen, n >= TNS_HEAD);
		CU_ASSERT_FALSE(
		    tns_read_connect(r, &c, &missing) && missing == 0);
		CU_ASSERT_FALSE(n < HEAD && tns_read_connect(r, &c, &missing));
		CU_ASSERT_EQUAL(tns_write_accept(&w, r), n >= 24);
		(void)tns_offers_native(r);
		free((void *)(uintptr_t)r.at);
	}
}

/* Whatever one byte of it says. */
static void
no_byte_of_a_connect_leads_astray(void)
{
	uint8_t packet[HEAD + 20];
	static uint8_t room[TNS_CONNECT_MAX];
	const size_t len = make_connect(packet, 20, 20);
	size_t i, missing;

	for (i = 0; i < 256 * len; i++) {
		const uint8_t was = packet[i / 256];
		struct wr w = { .base = room, .cap = sizeof(room) };
		struct tns_connect c;
		struct rd r;

		packet[i / 256] = (uint8_t)i;
		r = exact(packet, len);
		if (tns_read_connect(r, &c, &missing) && missing == 0) {
			tns_write_connect(&w, &c, 0);
			CU_ASSERT_EQUAL(w.len, len);
		}
		CU_ASSERT_FALSE(w.full);
		free((void *)(uintptr_t)r.at);
		packet[i / 256] = was;
	}
}

/* All of its bits are set but those that would be cleared. */
static void
only_urgent_bytes_are_struck_out(void)
{
	uint8_t packet[HEAD + 4], room[HEAD + 4];
	struct wr w = { .base = room, .cap = sizeof(room) };
	size_t len = make_connect(packet, 4, 4), missing, i;
	struct tns_connect c;

	memset(packet + 12, 0xff, 2);
	memset(packet + 70, 0xff, 4);
	CU_ASSERT_TRUE_FATAL(tns_read_connect(
	    (struct rd){ .at = packet, .left = len }, &c, &missing));
	tns_write_connect(&w, &c, TNS_WAS_REDIRECTED);
	CU_ASSERT_EQUAL_FATAL(w.len, len);
	for (i = 0; i < len; i++) {
		uint8_t expected = packet[i];

		if (i == 5)
			expected |= TNS_WAS_REDIRECTED;
		if (i == 12)
			expected = 0xf9;
		if (i == 73)
			expected = 0xfe;
		CU_ASSERT_EQUAL(room[i], expected);
	}
}

static size_t
length_with_unit(uint16_t sdu)
{
	static uint8_t data[TNS_CONNECT_DATA_MAX], room[TNS_CONNECT_MAX];
	uint8_t head[TNS_CONNECT_HEAD_MAX] = { [AT_SDU] = (uint8_t)(sdu >> 8),
		(uint8_t)sdu };
	const struct tns_connect c = {
		.head = { .at = head, .left = sizeof(head) },
		.data = { .at = data, .left = sizeof(data) },
	};
	struct wr w = { .base = room, .cap = sizeof(room) };

	tns_write_connect(&w, &c, 0);
	CU_ASSERT_FALSE(w.full);
	return w.len;
}

static void
the_longest_connect_fits_twice(void)
{
	static const uint16_t units[] = { 0, 10, 511, 512, 513, 8191, 8192,
		8193, 65535 };
	size_t i;

	for (i = 0; i < COUNT_OF(units); i++)
		CU_ASSERT_TRUE(
		    2 * length_with_unit(units[i]) <= NEG_OUT_CAP(&neg_oracle));
	CU_ASSERT_TRUE(neg_oracle.window >= TNS_PACKET_MAX);
}

static void
native_encryption_is_told_by_its_flags(void)
{
	uint8_t head[HEAD] = { 0 };
	unsigned flags;

	for (flags = 0; flags <= UINT8_MAX; flags++) {
		const bool offered = (flags & 0x11) != 0 && (flags & 0x0c) == 0;

		head[AT_NATIVE] = (uint8_t)flags;
		CU_ASSERT_EQUAL(tns_offers_native((struct rd){ .at = head,
				    .left = sizeof(head) }),
		    offered);
	}
}

/*
 * REFUSE.
 */

static void
what_is_refused_with_can_be_read(void)
{
	static const uint32_t numbers[] = { 0, 1, 9, 10, 12541, 29024,
		4294967295u };
	uint8_t room[256];
	size_t i;

	for (i = 0; i < COUNT_OF(numbers); i++) {
		struct wr w = { .base = room, .cap = sizeof(room) };
		struct tns_packet p;
		uint32_t number = 77;

		tns_write_refuse(&w, numbers[i]);
		CU_ASSERT_FALSE(w.full);
		CU_ASSERT_EQUAL(tns_look(wr_written(&w), &p), TNS_WHOLE);
		CU_ASSERT_EQUAL(p.type, TNS_REFUSE);
		CU_ASSERT_TRUE(tns_read_refuse(p.all, &number));
		CU_ASSERT_EQUAL(number, numbers[i]);
	}
}

static void
what_has_no_number_has_none(void)
{
	static const char *const texts[] = { "", "123456789012",
		"............(DESCRIPTION=(ERR=))",
		"............(DESCRIPTION=(ERR=4294967296))",
		"............(DESCRIPTION=(ERR=-1))",
		"............(DESCRIPTION=(ERR=0x10))",
		"............(DESCRIPTION=(TMP=))(ERR=12541)" };
	size_t i;
	uint32_t number = 77;

	for (i = 0; i < COUNT_OF(texts); i++)
		CU_ASSERT_FALSE(tns_read_refuse(text(texts[i]), &number));
	CU_ASSERT_EQUAL(number, 77);
}

/* NULL: what is told of a number that nobody knows. */
static void
expect_told(uint32_t number, bool refused, const char *means,
    const char *remedy)
{
	uint8_t packet[128], room[256];
	struct wr w = { .base = packet, .cap = sizeof(packet) };
	struct neg_told told = { .words = { .base = room,
				     .cap = sizeof(room) - 1 } };

	tns_write_refuse(&w, number);
	neg_oracle.words->answer(wr_written(&w), &told);
	CU_ASSERT_FALSE(told.words.full);
	room[told.words.len] = '\0';
	CU_ASSERT_EQUAL(told.refused, refused);
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)room, means));
	CU_ASSERT_EQUAL(told.remedy != NULL, remedy != NULL);
	if (told.remedy != NULL && remedy != NULL)
		CU_ASSERT_PTR_NOT_NULL(strstr(told.remedy, remedy));
}

static void
numbers_are_told_in_words(void)
{
	expect_told(0, false, "of no service", NULL);
	expect_told(12514, true,
	    "TNS-12514: the listener knows no such service",
	    "lsnrctl services");
	expect_told(12505, true, "SID", "lsnrctl services");
	expect_told(12660, true, "native network encryption", "REQUESTED");
	expect_told(604, true, "TNS-00604: see Oracle's list", NULL);
	/* Those that we refuse with. */
	expect_told(12170, true, "too long", "dbtls");
	expect_told(12520, true, "no handler", "processes");
	expect_told(12541, true, "no listener", "dbtls");
	expect_told(28860, true, "TLS has failed", "dbtls");
	expect_told(29024, true, "certificate", "identity");
}

/*
 * Descriptors.
 */

static void
values_are_found(void)
{
	static const struct {
		const char *descriptor, *value; /* of A, directly in P */
	} rows[] = {
		{ "(P=(A=b))", "b" },
		{ "(p=(a=b))", "b" },
		{ " ( P = ( A = b c ) ) ", "b c" },
		{ "(P=\r\n\t(A=b))", "b" },
		{ "(X=(P=(A=b)))", "b" },
		{ "(X=(A=1))(P=(A=b))", "b" },
		{ "(A=1)(P=(A=b))", "b" },
		{ "(P=(B=1)(A=b)(A=c))", "b" },
		{ "(P=(B=(A=1))(A=b))", "b" },
		{ "(P=(A=(A=1))(A=b))", "b" },
		{ "(P=(P=(A=1))(A=b))", "b" },
		{ "(P=(A=\"b)c(\"))", "b)c(" },
		{ "(P=(B=\")(A=1)\")(A=b))", "b" },
		{ "(P=(A=b", "b" },
		{ "(P=(A=b=c))", "b=c" },
		{ "(P=(AA=1)(A=b))", "b" },
		/* and are not */
		{ "(P=(A=))", "" },
		{ "(P=(A=\"\"))", "" },
		{ "(P=(A))", "" },
		{ "(P=1)(A=b)", "" },
		{ "(P=(B=1))(X=(A=b))", "" },
		{ "(P=(B=1))(P=(A=b))", "" },
		{ "(P=(B=(A=b)))", "" },
		{ "(PP=(A=b))", "" },
		{ "P=(A=b)", "" },
		{ ")(P=(A=b))", "" },
		{ "(P=(A=\"b", "b" },
		{ "(P=\"(A=b)\")", "" },
		{ "", "" },
		{ "(", "" },
		{ "(P", "" },
		{ "(P=", "" },
		{ "(P=(", "" },
		{ "(P=(A", "" },
		{ "(P=(A=", "" },
	};
	size_t i;

	for (i = 0; i < COUNT_OF(rows); i++) {
		struct rd r = exact((const uint8_t *)rows[i].descriptor,
		    strlen(rows[i].descriptor));
		struct rd value = tns_value(r, "P", "A");

		if (!rd_equals_string(value, rows[i].value)) {
			printf("%s: \"%.*s\"\n", rows[i].descriptor,
			    (int)value.left, (const char *)value.at);
			CU_FAIL("another value");
		}
		free((void *)(uintptr_t)r.at);
	}
}

static void
no_nesting_is_too_deep(void)
{
	static uint8_t deep[TNS_CONNECT_DATA_MAX];
	struct rd r = { .at = deep, .left = sizeof(deep) };
	static const char *const fills[] = { "(", "(P=", ")", "\"", "=",
		"(=", "()" };
	size_t i, k;

	for (i = 0; i < COUNT_OF(fills); i++) {
		for (k = 0; k < sizeof(deep); k++)
			deep[k] = (uint8_t)fills[i][k % strlen(fills[i])];
		CU_ASSERT_EQUAL(tns_value(r, "P", "A").left, 0);
	}
}

static void
addresses_are_read(void)
{
	static const struct {
		const char *descriptor, *host;
		uint16_t port; /* 0: none */
		enum tns_transport transport;
	} rows[] = {
		{ "(ADDRESS=(PROTOCOL=tcps)(HOST=db)(PORT=2484))", "db", 2484,
		    TNS_OVER_TCPS },
		{ "(ADDRESS=(PROTOCOL=TCP)(HOST=10.0.0.1)(PORT=1))", "10.0.0.1",
		    1, TNS_OVER_TCP },
		{ "(ADDRESS=(HOST=::1)(PORT=65535))", "::1", 65535,
		    TNS_OVER_TCP },
		{ "(ADDRESS=(PROTOCOL=sdp)(HOST=db_1-x.y)(PORT=0001521))",
		    "db_1-x.y", 1521, TNS_OVER_OTHER },
		{ "(DESCRIPTION=(ADDRESS_LIST=(ADDRESS=(HOST=a)(PORT=1))"
		  "(ADDRESS=(HOST=b)(PORT=2))))",
		    "a", 1, TNS_OVER_TCP },
		{ "(ADDRESS=(HOST=a))(ADDRESS=(HOST=b)(PORT=2))", "", 0, 0 },
		{ "(ADDRESS=(HOST=a)(PORT=))", "", 0, 0 },
		{ "(ADDRESS=(HOST=a)(PORT=+1))", "", 0, 0 },
		{ "(ADDRESS=(HOST=a)(PORT=1x))", "", 0, 0 },
		{ "(ADDRESS=(HOST=a)(PORT=4294967297))", "", 0, 0 },
		{ "(ADDRESS=(HOST=a)(PORT=18446744073709551617))", "", 0, 0 },
		{ "(ADDRESS=(HOST=)(PORT=1))", "", 0, 0 },
		{ "(ADDRESS=(HOST=a b)(PORT=1))", "", 0, 0 },
		{ "(ADDRESS=(HOST=a/b)(PORT=1))", "", 0, 0 },
		{ "(ADDRESS=(HOST=\"a(\")(PORT=1))", "", 0, 0 },
		{ "(ADDRESS=(HOST=d\xc3\xa9)(PORT=1))", "", 0, 0 },
		{ "(HOST=a)(PORT=1)", "", 0, 0 },
	};
	size_t i;

	for (i = 0; i < COUNT_OF(rows); i++) {
		struct tns_address a = { .port = 0 };
		const bool is = tns_read_address(text(rows[i].descriptor), &a);

		CU_ASSERT_EQUAL(is, rows[i].port != 0);
		if (!is)
			continue;
		CU_ASSERT_TRUE(rd_equals_string(a.host, rows[i].host));
		CU_ASSERT_EQUAL(a.port, rows[i].port);
		CU_ASSERT_EQUAL(a.transport, rows[i].transport);
	}
}

/*
 * SNI.
 */

#define SERVICE(name, more) \
	"(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=" name ")" more "))"

static void
services_are_named(void)
{
	static const struct {
		const char *descriptor, *sni; /* NULL: none */
	} rows[] = {
		{ SERVICE("svc1", ""), "S4.svc1.V3.319" },
		{ SERVICE("a.b-c_d$#", "(SERVER=shared)"),
		    "S9.a.b-c_d$#.T1.s.V3.319" },
		{ SERVICE("S", "(SERVER=POOLED)"), "S1.S.T1.p.V3.319" },
		{ SERVICE("S", "(SERVER=whatever)"), "S1.S.V3.319" },
		{ SERVICE("0123456789", ""), "S10.0123456789.V3.319" },
		{ SERVICE("", ""), NULL },
		{ SERVICE("a b", ""), NULL },
		{ SERVICE("a:b", ""), NULL },
		{ SERVICE("a\xff", ""), NULL },
		{ "(CONNECT_DATA=(SID=x))", NULL },
	};
	uint8_t head[HEAD] = { [8] = 0x01, 0x3f };
	size_t i;

	for (i = 0; i < COUNT_OF(rows); i++) {
		uint8_t room[TNS_SNI_MAX + 1];
		struct wr w = { .base = room, .cap = sizeof(room) };
		bool is = tns_write_sni(&w,
		    (struct rd){ .at = head, .left = sizeof(head) },
		    text(rows[i].descriptor));

		CU_ASSERT_EQUAL(is, rows[i].sni != NULL);
		if (is && rows[i].sni != NULL)
			CU_ASSERT_STRING_EQUAL((char *)room, rows[i].sni);
	}
}

/* S245.<245 letters>.V3.0 is as long as a name may be. */
static void
no_sni_is_too_long(void)
{
	static char descriptor[1024], name[512];
	uint8_t head[HEAD] = { 0 };
	size_t len;

	for (len = 1; len < sizeof(name); len++) {
		uint8_t room[TNS_SNI_MAX + 1];
		struct wr w = { .base = room, .cap = sizeof(room) };
		bool is;

		name[len - 1] = 'x';
		snprintf(descriptor, sizeof(descriptor),
		    "(CONNECT_DATA=(SERVICE_NAME=%s))", name);
		is = tns_write_sni(&w,
		    (struct rd){ .at = head, .left = sizeof(head) },
		    text(descriptor));
		CU_ASSERT_EQUAL(is, len <= 245);
		CU_ASSERT_FALSE(is && room[w.len - 1] != '\0');
	}
}

#define TEST(name)          \
	{                   \
#name, name \
	}

int
main(void)
{
	static CU_TestInfo tests[] = {
		TEST(hello_is_a_connect),
		TEST(no_beginning_of_a_connect_is_one),
		TEST(no_byte_of_a_connect_leads_astray),
		TEST(only_urgent_bytes_are_struck_out),
		TEST(the_longest_connect_fits_twice),
		TEST(native_encryption_is_told_by_its_flags),
		TEST(what_is_refused_with_can_be_read),
		TEST(what_has_no_number_has_none),
		TEST(values_are_found),
		TEST(no_nesting_is_too_deep),
		TEST(addresses_are_read),
		TEST(services_are_named),
		TEST(no_sni_is_too_long),
		{ "service_is_asked_for_as_a_client_does",
		    service_is_asked_for_as_a_client_does },
		{ "what_is_asked_for_may_be_a_sid_or_long",
		    what_is_asked_for_may_be_a_sid_or_long },
		{ "no_service_has_such_a_name", no_service_has_such_a_name },
		{ "numbers_are_told_in_words", numbers_are_told_in_words },
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "tns", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
