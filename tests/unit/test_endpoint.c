/* Addresses, networks, host names and the words for modes. */
#include <stdio.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "conf/endpoint.h"
#include "tests/unit/unit.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

static struct address
parsed(const char *text)
{
	struct address a = { .len = 0 };
	struct err err;

	CU_ASSERT_EQUAL(address_parse(text, &a, &err), 0);
	return a;
}

static void
addresses_are_written_as_they_are_read(void)
{
	static const char *const texts[] = { "127.0.0.1:5432", "0.0.0.0:0",
		"255.255.255.255:65535", "[::1]:5432", "[::]:1",
		"[2001:db8::1]:5432", "unix:/run/x" };
	char text[ADDRESS_TEXT_MAX];
	size_t i;

	for (i = 0; i < COUNT_OF(texts); i++) {
		struct address a = parsed(texts[i]);

		CU_ASSERT_STRING_EQUAL(address_format(&a, text, sizeof(text)),
		    texts[i]);
	}
}

static void
loose_addresses_are_refused(void)
{
	static const char *const texts[] = { "", ":", "127.0.0.1",
		"127.0.0.1:", "127.1:1", "0x7f.0.0.1:1", "127.0.0.01:1",
		"2130706433:1", "127.0.0.1:+1", "127.0.0.1: 1", "127.0.0.1:1 ",
		"127.0.0.1:00001000", "127.0.0.1:65536", "::1", "::1:1", "[::1",
		"[::1]", "[::1]1", "[]:1", "[1.2.3.4]:1", "[::1%lo]:1", "a:1",
		"unix:", "unix:x" };
	struct address a;
	struct err err;
	size_t i;

	for (i = 0; i < COUNT_OF(texts); i++) {
		if (address_parse(texts[i], &a, &err) != -1)
			(void)fprintf(stderr, "\ntaken: \"%s\"\n", texts[i]);
		CU_ASSERT_EQUAL(address_parse(texts[i], &a, &err), -1);
		CU_ASSERT_NOT_EQUAL(err.text[0], '\0');
	}
}

static void
unix_path_fits_or_is_refused(void)
{
	char text[ADDRESS_TEXT_MAX], path[ADDRESS_TEXT_MAX];
	struct address a;
	struct err err;
	const int most = 107; /* of sun_path's 108, one is the NUL */

	(void)snprintf(path, sizeof(path), "unix:/%0*d", most - 1, 0);
	a = parsed(path);
	CU_ASSERT_STRING_EQUAL(address_format(&a, text, sizeof(text)), path);
	(void)snprintf(path, sizeof(path), "unix:/%0*d", most, 0);
	CU_ASSERT_EQUAL(address_parse(path, &a, &err), -1);
}

static void
loopback_is_this_machine_only(void)
{
	static const struct {
		const char *text;
		bool loopback;
	} rows[] = {
		{ "127.0.0.1:1", true },
		{ "127.255.0.9:1", true },
		{ "[::1]:1", true },
		{ "[::ffff:127.0.0.1]:1", true },
		{ "unix:/x", true },
		{ "0.0.0.0:1", false },
		{ "128.0.0.1:1", false },
		{ "10.0.0.1:1", false },
		{ "[::]:1", false },
		{ "[::2]:1", false },
		{ "[::ffff:10.0.0.1]:1", false },
	};
	size_t i;

	for (i = 0; i < COUNT_OF(rows); i++) {
		struct address a = parsed(rows[i].text);

		CU_ASSERT_EQUAL(address_is_loopback(&a), rows[i].loopback);
	}
}

static void
listeners_in_each_others_way_overlap(void)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} rows[] = {
		{ "127.0.0.1:1", "127.0.0.1:1", true },
		{ "127.0.0.1:1", "127.0.0.1:2", false },
		{ "127.0.0.1:1", "127.0.0.2:1", false },
		{ "127.0.0.1:1", "0.0.0.0:1", true },
		{ "127.0.0.1:1", "[::]:1", false },
		{ "[::1]:1", "[::]:1", true },
		{ "127.0.0.1:0", "127.0.0.1:0", false },
		{ "unix:/a", "unix:/a", true },
		{ "unix:/a", "unix:/ab", false },
		{ "unix:/a", "127.0.0.1:1", false },
	};
	size_t i;

	for (i = 0; i < COUNT_OF(rows); i++) {
		struct address a = parsed(rows[i].a), b = parsed(rows[i].b);

		CU_ASSERT_EQUAL(address_overlaps(&a, &b), rows[i].overlap);
		CU_ASSERT_EQUAL(address_overlaps(&b, &a), rows[i].overlap);
	}
}

static void
networks_have_their_members(void)
{
	static const struct {
		const char *net, *address;
		bool has;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.0.1:1", true },
		{ "10.0.0.0/8", "11.0.0.0:1", false },
		{ "10.0.0.0/8", "[::ffff:10.0.0.1]:1", true },
		{ "10.0.0.7", "10.0.0.7:1", true },
		{ "10.0.0.7", "10.0.0.6:1", false },
		{ "10.0.0.4/31", "10.0.0.5:1", true },
		{ "10.0.0.4/31", "10.0.0.6:1", false },
		{ "0.0.0.0/0", "203.0.113.1:1", true },
		{ "0.0.0.0/0", "[2001:db8::1]:1", false },
		{ "::/0", "203.0.113.1:1", true },
		{ "::/0", "[2001:db8::1]:1", true },
		{ "::/1", "203.0.113.1:1", false },
		{ "::/64", "203.0.113.1:1", false },
		{ "::/64", "[::1]:1", true },
		{ "2001:db8::/33", "[2001:db8:7fff::1]:1", true },
		{ "2001:db8::/33", "[2001:db8:8000::1]:1", false },
		{ "::1/128", "[::1]:1", true },
		{ "0.0.0.0/0", "unix:/x", false },
	};
	size_t i;

	for (i = 0; i < COUNT_OF(rows); i++) {
		struct address a = parsed(rows[i].address);
		struct cidr net;
		struct cidr_list list = { .list = &net, .n = 1 };

		CU_ASSERT_TRUE_FATAL(cidr_parse(rows[i].net, &net));
		CU_ASSERT_EQUAL(cidr_list_has(&list, &a), rows[i].has);
	}
}

static void
loose_networks_are_refused(void)
{
	static const char *const texts[] = { "", "/", "10.0.0.0/33",
		"10.0.0.0/-1", "10.0.0.0/ 8", "10.0.0.0/8x", "10/8",
		"10.0.0/24", "::/129", "a/8", "10.0.0.0:1", "fe80::1%lo/64" };
	struct cidr net;
	size_t i;

	for (i = 0; i < COUNT_OF(texts); i++)
		CU_ASSERT_FALSE(cidr_parse(texts[i], &net));
}

static void
networks_are_written_as_they_are_read(void)
{
	static const char *const texts[] = { "10.0.0.0/8", "0.0.0.0/0",
		"10.0.0.7/32", "2001:db8::/32", "::/0" };
	char text[CIDR_TEXT_MAX];
	struct cidr net;
	size_t i;

	for (i = 0; i < COUNT_OF(texts); i++) {
		CU_ASSERT_TRUE(cidr_parse(texts[i], &net));
		CU_ASSERT_TRUE(cidr_is_exact(&net));
		CU_ASSERT_STRING_EQUAL(cidr_format(&net, text, sizeof(text)),
		    texts[i]);
	}
	CU_ASSERT_TRUE(cidr_parse("10.1.0.0/8", &net));
	CU_ASSERT_FALSE(cidr_is_exact(&net));
	CU_ASSERT_FALSE(cidr_is_everyone(&net));
	CU_ASSERT_TRUE(cidr_parse("0.0.0.0/0", &net));
	CU_ASSERT_TRUE(cidr_is_everyone(&net));
	CU_ASSERT_TRUE(cidr_parse("::/0", &net));
	CU_ASSERT_TRUE(cidr_is_everyone(&net));
}

static void
host_names_are_no_addresses(void)
{
	static const char *const names[] = { "a", "db.test", "db.test.",
		"a-b.c_d", "1.a", "xn--d-ega.test", "3com", "1.2.3.4.a" };
	static const char *const others[] = { "", ".", "a..b", ".a", "a..",
		"-a", "a-", "a b", "a:1", "127.0.0.1", "127.1", "1", "a.1",
		"0x7f000001", "a.0x1", "a/b", "d\xc3\xa9.test", "*.test" };
	char label[128];
	size_t i;

	for (i = 0; i < COUNT_OF(names); i++)
		CU_ASSERT_TRUE(host_is_name(names[i]));
	for (i = 0; i < COUNT_OF(others); i++)
		CU_ASSERT_FALSE(host_is_name(others[i]));
	(void)snprintf(label, sizeof(label), "%.*s.test", 63,
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	CU_ASSERT_TRUE(host_is_name(label));
	(void)snprintf(label, sizeof(label), "%.*s.test", 64,
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	CU_ASSERT_FALSE(host_is_name(label));
}

static void
modes_have_the_words_of_others(void)
{
	static const struct {
		const char *word;
		enum ssl_mode mode;
	} rows[] = {
		{ "none", SSL_MODE_NONE },
		{ "disable", SSL_MODE_NONE },
		{ "DISABLED", SSL_MODE_NONE },
		{ "require", SSL_MODE_REQUIRE },
		{ "REQUIRED", SSL_MODE_REQUIRE },
		{ "verify-ca", SSL_MODE_VERIFY_CA },
		{ "VERIFY_CA", SSL_MODE_VERIFY_CA },
		{ "verify-full", SSL_MODE_VERIFY_FULL },
		{ "verify-identity", SSL_MODE_VERIFY_FULL },
		{ "VERIFY_IDENTITY", SSL_MODE_VERIFY_FULL },
	};
	enum ssl_mode mode;
	const char *why;
	size_t i;

	for (i = 0; i < COUNT_OF(rows); i++) {
		CU_ASSERT_TRUE(ssl_mode_parse(rows[i].word, &mode, &why));
		CU_ASSERT_EQUAL(mode, rows[i].mode);
	}
	for (i = SSL_MODE_NONE; i <= SSL_MODE_VERIFY_FULL; i++) {
		CU_ASSERT_TRUE(ssl_mode_parse(ssl_mode_name((enum ssl_mode)i),
		    &mode, &why));
		CU_ASSERT_EQUAL(mode, (enum ssl_mode)i);
	}
}

static void
modes_that_fall_back_are_refused_with_reason(void)
{
	enum ssl_mode mode;
	const char *why;

	CU_ASSERT_FALSE(ssl_mode_parse("prefer", &mode, &why));
	CU_ASSERT_PTR_NOT_NULL(why);
	CU_ASSERT_FALSE(ssl_mode_parse("PREFERRED", &mode, &why));
	CU_ASSERT_PTR_NOT_NULL(why);
	CU_ASSERT_FALSE(ssl_mode_parse("allow", &mode, &why));
	CU_ASSERT_PTR_NOT_NULL(why);
	CU_ASSERT_FALSE(ssl_mode_parse("verify", &mode, &why));
	CU_ASSERT_PTR_NULL(why);
	CU_ASSERT_FALSE(ssl_mode_parse("", &mode, &why));
	CU_ASSERT_PTR_NULL(why);
}

static void
policy_follows_mode_and_engine(void)
{
	static const struct neg_ops asked = { .server_start =
						  NEG_START_EITHER };
	static const struct neg_ops first = { .server_start = NEG_START_FIRST };
	struct endpoint e = { .ops = &asked,
		.mode = SSL_MODE_NONE,
		.client_rule = CLIENT_TLS_REQUIRE };

	CU_ASSERT_EQUAL(endpoint_policy(&e).server, SERVER_TLS_NEVER);
	CU_ASSERT_EQUAL(endpoint_policy(&e).client, CLIENT_TLS_REQUIRE);
	e.mode = SSL_MODE_REQUIRE;
	CU_ASSERT_EQUAL(endpoint_policy(&e).server, SERVER_TLS_REQUIRED);
	e.mode = SSL_MODE_VERIFY_FULL;
	CU_ASSERT_EQUAL(endpoint_policy(&e).server, SERVER_TLS_REQUIRED);
	e.tls.direct = true;
	CU_ASSERT_EQUAL(endpoint_policy(&e).server, SERVER_TLS_FIRST);
	e.tls.direct = false;
	e.ops = &first;
	CU_ASSERT_EQUAL(endpoint_policy(&e).server, SERVER_TLS_FIRST);
	e.mode = SSL_MODE_NONE;
	CU_ASSERT_EQUAL(endpoint_policy(&e).server, SERVER_TLS_NEVER);
}

static void
servers_go_by_one_name_or_by_their_host(void)
{
	static char sql[] = "x.database.windows.net", here[] = "10.0.0.5",
		    other[] = "y.test";
	char *names[] = { sql, other };
	struct server s = { .host = here };

	CU_ASSERT_STRING_EQUAL(server_called(&s), here);
	s.target = (struct target){ .names = names, .nnames = 1 };
	CU_ASSERT_STRING_EQUAL(server_called(&s), sql);
	s.target.nnames = 2; /* which of them is meant? */
	CU_ASSERT_STRING_EQUAL(server_called(&s), here);
	s = (struct server){ .host = NULL };
	CU_ASSERT_PTR_NULL(server_called(&s));
}

/* A listener on all addresses has none of other machines. */
static void
own_listeners_are_known(void)
{
	static const struct {
		const char *listen, *from, *to; /* from: NULL, not known */
		bool there;
	} ways[] = {
		{ "10.0.0.1:1521", "10.0.0.9:4", "10.0.0.1:1521", true },
		{ "10.0.0.1:1521", NULL, "10.0.0.1:1521", true },
		{ "10.0.0.1:1521", "10.0.0.9:4", "10.0.0.1:1522", false },
		{ "10.0.0.1:1521", "10.0.0.9:4", "10.0.0.2:1521", false },
		{ "0.0.0.0:1521", "10.0.0.1:4", "10.0.0.1:1521", true },
		{ "0.0.0.0:1521", "10.0.0.1:4", "10.0.0.2:1521", false },
		{ "0.0.0.0:1521", NULL, "10.0.0.2:1521", false },
		{ "0.0.0.0:1521", "127.0.0.1:4", "127.0.0.5:1521", true },
		{ "0.0.0.0:1521", NULL, "127.0.0.5:1521", true },
		{ "0.0.0.0:1521", NULL, "[::ffff:127.0.0.1]:1521", true },
		{ "0.0.0.0:1521", NULL, "[::1]:1521", false },
		{ "[::]:1521", "10.0.0.1:4", "10.0.0.1:1521", false },
		{ "[::]:1521", NULL, "127.0.0.1:1521", false },
		{ "[::]:1521", NULL, "[::1]:1521", true },
		{ "[::]:1521", "[fd00::1]:4", "[fd00::1]:1521", true },
		{ "[::]:1521", "[fd00::1]:4", "[fd00::2]:1521", false },
		{ "10.0.0.1:1521", "[::1]:4", "[::ffff:10.0.0.1]:1521", true },
		{ "unix:/run/x", "10.0.0.1:4", "10.0.0.1:1521", false },
		{ "unix:/run/x", NULL, "unix:/run/x", true },
		{ "unix:/run/x", NULL, "unix:/run/y", false },
		{ "0.0.0.0:1521", NULL, "unix:/run/y", false },
	};
	struct address listen, from, to;
	struct endpoint e = { .listens = &listen, .nlistens = 1 };
	size_t i;

	for (i = 0; i < COUNT_OF(ways); i++) {
		listen = parsed(ways[i].listen);
		from = (struct address){ .len = 0 };
		if (ways[i].from != NULL)
			from = parsed(ways[i].from);
		to = parsed(ways[i].to);
		CU_ASSERT_EQUAL(endpoint_listens_at(&e, &from, &to),
		    ways[i].there);
	}
}

static CU_TestInfo tests[] = {
	{ "addresses_are_written_as_they_are_read",
	    addresses_are_written_as_they_are_read },
	{ "loose_addresses_are_refused", loose_addresses_are_refused },
	{ "unix_path_fits_or_is_refused", unix_path_fits_or_is_refused },
	{ "loopback_is_this_machine_only", loopback_is_this_machine_only },
	{ "listeners_in_each_others_way_overlap",
	    listeners_in_each_others_way_overlap },
	{ "networks_have_their_members", networks_have_their_members },
	{ "loose_networks_are_refused", loose_networks_are_refused },
	{ "networks_are_written_as_they_are_read",
	    networks_are_written_as_they_are_read },
	{ "host_names_are_no_addresses", host_names_are_no_addresses },
	{ "modes_have_the_words_of_others", modes_have_the_words_of_others },
	{ "modes_that_fall_back_are_refused_with_reason",
	    modes_that_fall_back_are_refused_with_reason },
	{ "policy_follows_mode_and_engine", policy_follows_mode_and_engine },
	{ "own_listeners_are_known", own_listeners_are_known },
	{ "servers_go_by_one_name_or_by_their_host",
	    servers_go_by_one_name_or_by_their_host },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ .pName = "endpoint", .pTests = tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	return unit_run(suites);
}
