/*
 * What engine `mongodb` makes of answers to hello, where no transcript is long
 * enough: each cut, each byte changed, each size of what it writes to.
 */
#include "protocols/mongodb_hello.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#define ROOM        1024
#define BYTE_VALUES 256u

#define HEAD_MSG 0xdd, 0x07, 0, 0

/* What stands before the document of an OP_MSG, an OP_REPLY, and an OP_MSG that
 * ends with a checksum. */
static const uint8_t in_msg[] = { 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, HEAD_MSG,
	0, 0, 0, 0, 0 };
static const uint8_t in_reply[] = { 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0,
	0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0 };

/* ismaster, setName, maxWireVersion, hosts, primary, me, and some of all
 * lengths besides. */
static const char hello[] = "\x08"
			    "ismaster\0\1"
			    "\2setName\0\4\0\0\0rs0\0"
			    "\x10maxWireVersion\0\x15\0\0\0"
			    "\4hosts\0\x1b\0\0\0"
			    "\2"
			    "0\0\4\0\0\0db1\0"
			    "\2"
			    "1\0\4\0\0\0db2\0\0"
			    "\2primary\0\4\0\0\0db2\0"
			    "\2me\0\4\0\0\0db1\0"
			    "\5payload\0\3\0\0\0\0abc"
			    "\3tags\0\5\0\0\0\0"
			    "\xbregex\0x\0i\0"
			    "\xcpointer\0\2\0\0\0x\0twelve bytes"
			    "\7electionId\0twelve bytes"
			    "\x13limit\0sixteen bytes it"
			    "\x11ts\0"
			    "eight by"
			    "\xanone\0"
			    "\1ok\0\0\0\0\0\0\0\xf0\x3f";

static const struct neg_member list[] = {
	{ .host = "db1", .port = 27017, .listen = "127.0.0.1:1" },
	{ .host = "db2", .port = 27017, .listen = "127.0.0.1:23456" },
};
static const struct neg_members members = { .list = list, .n = 2 };

/* A message of that document; its end is where its memory ends. */
static struct rd
message_new(const uint8_t *head, size_t head_len, const char *elements,
    size_t len)
{
	const size_t all = head_len + sizeof(uint32_t) + len + 1;
	struct wr w = { .base = malloc(all), .cap = all };

	CU_ASSERT_PTR_NOT_NULL_FATAL(w.base);
	wr_bytes(&w, head, head_len);
	wr_le32(&w, (uint32_t)(sizeof(uint32_t) + len + 1));
	wr_bytes(&w, elements, len);
	wr_u8(&w, '\0');
	wr_patch_le32(&w, 0, (uint32_t)all);
	CU_ASSERT_FALSE_FATAL(w.full);
	return wr_written(&w);
}

static struct rd
hello_new(const uint8_t *head, size_t head_len)
{
	return message_new(head, head_len, hello, sizeof(hello) - 1);
}

static void
message_free(struct rd message)
{
	free((void *)(uintptr_t)message.at);
}

static bool
rewrite(struct rd message, uint8_t *room, size_t cap, size_t *len)
{
	struct wr out = { .base = room, .cap = cap };
	const bool done = mongodb_hello_rewrite(message, &members, 0, &out);

	CU_ASSERT_TRUE(out.len <= cap);
	*len = out.len;
	return done;
}

/* What was rewritten can be rewritten. */
static void
is_well_formed(const uint8_t *bytes, size_t len)
{
	uint8_t room[ROOM];
	uint8_t *exact = malloc(len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
	memcpy(exact, bytes, len);
	CU_ASSERT_TRUE(rewrite((struct rd){ .at = exact, .left = len }, room,
	    sizeof(room), &len));
	free(exact);
}

static void
both_kinds_are_rewritten(void)
{
	uint8_t room[ROOM];
	const struct rd msg = hello_new(in_msg, sizeof(in_msg));
	const struct rd reply = hello_new(in_reply, sizeof(in_reply));
	size_t len;

	/* four names, each longer by what its address is */
	CU_ASSERT_TRUE(rewrite(msg, room, sizeof(room), &len));
	CU_ASSERT_EQUAL(len, msg.left + 2 * (11 - 3) + 2 * (15 - 3));
	is_well_formed(room, len);
	CU_ASSERT_TRUE(rewrite(reply, room, sizeof(room), &len));
	CU_ASSERT_EQUAL(len, reply.left + 2 * (11 - 3) + 2 * (15 - 3));
	is_well_formed(room, len);
	message_free(msg);
	message_free(reply);
}

/* Where the address that is dialled is not what the set knows it by. */
static void
a_server_is_known_by_its_name_too(void)
{
	static const struct neg_member dialled[] = {
		{ "10.0.0.1", "db1", 27017, "127.0.0.1:1" },
		{ "10.0.0.2", "DB2", 27017, "127.0.0.1:23456" },
	};
	static const struct neg_members named = { dialled, 2 };
	uint8_t room[ROOM], wanted[ROOM];
	struct wr out = { .base = room, .cap = sizeof(room) };
	const struct rd msg = hello_new(in_msg, sizeof(in_msg));
	size_t len;

	CU_ASSERT_TRUE(rewrite(msg, wanted, sizeof(wanted), &len));
	CU_ASSERT_TRUE(mongodb_hello_rewrite(msg, &named, 0, &out));
	CU_ASSERT_EQUAL_FATAL(out.len, len);
	CU_ASSERT_EQUAL(memcmp(room, wanted, len), 0);
	message_free(msg);
}

static void
its_length_is_its_own(void)
{
	const struct rd msg = hello_new(in_msg, sizeof(in_msg));
	struct wr w = { .base = (uint8_t *)(uintptr_t)msg.at,
		.len = msg.left,
		.cap = msg.left };
	uint8_t room[ROOM];
	size_t len;

	wr_patch_le32(&w, 0, (uint32_t)msg.left + 1);
	CU_ASSERT_FALSE(rewrite(msg, room, sizeof(room), &len));
	wr_patch_le32(&w, 0, (uint32_t)msg.left);
	CU_ASSERT_TRUE(rewrite(msg, room, sizeof(room), &len));
	message_free(msg);
}

/* Also where the message, or it and its document, claim to end there. */
static void
cut_at(struct rd whole, size_t at, size_t document)
{
	uint8_t room[ROOM], *exact = malloc(at);
	struct wr w = { .base = exact, .cap = at };
	const struct rd message = { .at = exact, .left = at };
	size_t len;

	CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
	wr_bytes(&w, whole.at, at);
	CU_ASSERT_FALSE(rewrite(message, room, sizeof(room), &len));
	if (at >= sizeof(uint32_t))
		wr_patch_le32(&w, 0, (uint32_t)at);
	CU_ASSERT_FALSE(rewrite(message, room, sizeof(room), &len));
	if (at >= document + sizeof(uint32_t))
		wr_patch_le32(&w, document, (uint32_t)(at - document));
	if (rewrite(message, room, sizeof(room), &len))
		is_well_formed(room, len);
	free(exact);
}

static void
a_cut_is_seen_everywhere(void)
{
	const struct rd msg = hello_new(in_msg, sizeof(in_msg));
	const struct rd reply = hello_new(in_reply, sizeof(in_reply));
	size_t at;

	for (at = 1; at < msg.left; at++)
		cut_at(msg, at, sizeof(in_msg));
	for (at = 1; at < reply.left; at++)
		cut_at(reply, at, sizeof(in_reply));
	message_free(msg);
	message_free(reply);
}

static void
no_byte_breaks_it(void)
{
	const struct rd msg = hello_new(in_msg, sizeof(in_msg));
	uint8_t *bytes = (uint8_t *)(uintptr_t)msg.at, room[ROOM];
	size_t at, len;
	unsigned value;

	for (at = 0; at < msg.left; at++) {
		const uint8_t was = bytes[at];

		for (value = 0; value < BYTE_VALUES; value++) {
			bytes[at] = (uint8_t)value;
			if (rewrite(msg, room, sizeof(room), &len))
				is_well_formed(room, len);
		}
		bytes[at] = was;
	}
	message_free(msg);
}

static void
it_fits_or_is_not_done(void)
{
	const struct rd msg = hello_new(in_msg, sizeof(in_msg));
	uint8_t room[ROOM];
	size_t needed, len, cap;

	CU_ASSERT_TRUE(rewrite(msg, room, sizeof(room), &needed));
	for (cap = 0; cap < needed; cap++)
		CU_ASSERT_FALSE(rewrite(msg, room, cap, &len));
	CU_ASSERT_TRUE(rewrite(msg, room, cap, &len));
	message_free(msg);
}

/* Many short names of its own become many long ones. */
static void
growth_has_an_end(void)
{
	static char elements[NEG_UNIT_MAX];
	static uint8_t room[NEG_REWRITE_MAX];
	struct wr w = { .base = (uint8_t *)elements, .cap = 60000 };
	const size_t before = sizeof(hello) - 1;
	struct rd message;
	size_t at, len;

	wr_bytes(&w, hello, before);
	wr_bytes(&w, "\2me\0\2\0\0\0x", 10);
	wr_bytes(&w, "\4hosts\0", 7);
	at = w.len;
	wr_le32(&w, 0);
	while (w.len < 59000)
		wr_bytes(&w, "\2\0\2\0\0\0x", 8);
	wr_u8(&w, '\0');
	wr_patch_le32(&w, at, (uint32_t)(w.len - at));
	message = message_new(in_msg, sizeof(in_msg), elements, w.len);
	CU_ASSERT_FALSE(rewrite(message, room, sizeof(room), &len));
	CU_ASSERT_TRUE(len <= sizeof(room));
	message_free(message);
}

/* What `dbtls test` says is understood by who reads messages. */
static void
our_hello_is_a_message(void)
{
	struct rd r = neg_mongodb.hello;
	struct mongodb_head h;
	const size_t all = r.left;

	CU_ASSERT_TRUE(mongodb_read_head(&r, &h));
	CU_ASSERT_EQUAL(h.length, all);
	CU_ASSERT_EQUAL(h.opcode, MONGODB_MSG);
	CU_ASSERT_EQUAL(rd_le32(&r), 0);
	CU_ASSERT_EQUAL(rd_u8(&r), 0);
	CU_ASSERT_EQUAL(rd_le32(&r), all - sizeof(in_msg));
	CU_ASSERT_TRUE(
	    rd_equals(rd_take(&r, 14), "\x10ismaster\0\1\0\0\0", 14));
	CU_ASSERT_TRUE(rd_equals(rd_take(&r, 15), "\2$db\0\6\0\0\0admin", 15));
	CU_ASSERT_EQUAL(rd_u8(&r), '\0');
	CU_ASSERT_EQUAL(r.left, 0);
}

static void
only_a_set_is_paired(void)
{
	const struct neg_option *hosts = neg_mongodb.options;
	int options = 0;

	CU_ASSERT_EQUAL_FATAL(neg_mongodb.options_size, sizeof(options));
	CU_ASSERT_STRING_EQUAL(hosts->choices[0], "pass");
	CU_ASSERT_STRING_EQUAL(hosts->choices[1], "rewrite");
	CU_ASSERT_FALSE(neg_mongodb.pairs(&options));
	options = 1;
	CU_ASSERT_TRUE(neg_mongodb.pairs(&options));
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		{ "both_kinds_are_rewritten", both_kinds_are_rewritten },
		{ "a_server_is_known_by_its_name_too",
		    a_server_is_known_by_its_name_too },
		{ "its_length_is_its_own", its_length_is_its_own },
		{ "a_cut_is_seen_everywhere", a_cut_is_seen_everywhere },
		{ "no_byte_breaks_it", no_byte_breaks_it },
		{ "it_fits_or_is_not_done", it_fits_or_is_not_done },
		{ "growth_has_an_end", growth_has_an_end },
		{ "our_hello_is_a_message", our_hello_is_a_message },
		{ "only_a_set_is_paired", only_a_set_is_paired },
		CU_TEST_INFO_NULL,
	};

	static CU_SuiteInfo suites[] = {
		{ "mongodb", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
