/* Where a server may send a session on to. */
#include <stdio.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "conf/redirect.h"
#include "tests/unit/unit.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PORT     1521

static char own_name[] = "scan.example.com", own_sni[] = "scan.example.com";
static char *own_names[] = { own_name };
static uint8_t pins[1][32] = { { 1 } };
static char dn[] = "CN=orders";

/* A configured server of that host. */
static struct server
configured(const char *host)
{
	static char copy[HOST_MAX];
	struct server s = {
		.text = own_name,
		.host = copy,
		.port = PORT,
		.target = { .names = own_names,
		    .nnames = 1,
		    .pins = pins,
		    .npins = 1,
		    .server_dn = dn },
		.sni = own_sni,
	};

	(void)snprintf(copy, sizeof(copy), "%s", host);
	(void)address_parse_ip(host, PORT, &s.fixed);
	return s;
}

static struct rd
words(const char *text)
{
	return (struct rd){ .at = (const uint8_t *)text, .left = strlen(text) };
}

static enum redirect_way
judge(struct redirect *r, const struct server *of, const char *listed,
    const char *host)
{
	char one[HOST_MAX], *list[] = { one };
	const struct neg_hosts hosts = { .list = list, .n = listed != NULL };

	(void)snprintf(one, sizeof(one), "%s", listed != NULL ? listed : "");
	redirect_judge(r, of, &hosts, words(host), PORT);
	return r->way;
}

struct row {
	const char *own;    /* the configured host */
	const char *listed; /* NULL: nothing */
	const char *host;   /* that we are sent to */
	enum redirect_way way;
};

static const struct row rows[] = {
	/* Its own name and domain. */
	{ "scan.example.com", NULL, "scan.example.com", REDIRECT_OWN },
	{ "scan.example.com", NULL, "SCAN.Example.COM.", REDIRECT_OWN },
	{ "scan.example.com.", NULL, "scan.example.com", REDIRECT_OWN },
	{ "scan.example.com", NULL, "n1.example.com", REDIRECT_DOMAIN },
	{ "scan.example.com.", NULL, "N1.EXAMPLE.com", REDIRECT_DOMAIN },
	{ "scan.example.com", NULL, "n1.example.com.", REDIRECT_DOMAIN },
	{ "scan.example.com", NULL, "n1-vip_2.example.com", REDIRECT_DOMAIN },
	{ "db", NULL, "db", REDIRECT_OWN },
	/* ... and what only looks so. */
	{ "scan.example.com", NULL, "example.com", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "evil-example.com", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "n1.evil-example.com", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "n1.example.com.evil.test",
	    REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "a.n1.example.com", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "n1.example.org", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "n1", REDIRECT_REFUSED },
	/* A domain without a dot is everybody's. */
	{ "example.com", NULL, "evil.com", REDIRECT_REFUSED },
	{ "example.com.", NULL, "evil.com.", REDIRECT_REFUSED },
	{ "db", NULL, "other", REDIRECT_REFUSED },
	{ "db.", NULL, "other.", REDIRECT_REFUSED },
	/* An address has no domain, and is none's host. */
	{ "10.0.0.5", NULL, "9.0.0.5", REDIRECT_REFUSED },
	{ "a.0.0.5.test", NULL, "10.0.0.5", REDIRECT_IF_RESOLVED },
	{ "10.0.0.5", NULL, "10.0.0.5", REDIRECT_OWN },
	{ "10.0.0.5", NULL, "::ffff:10.0.0.5", REDIRECT_OWN },
	{ "10.0.0.5", NULL, "::ffff:a00:5", REDIRECT_OWN },
	{ "::ffff:10.0.0.5", NULL, "10.0.0.5", REDIRECT_OWN },
	{ "2001:db8::1", NULL, "2001:DB8:0::1", REDIRECT_OWN },
	{ "2001:db8::1", NULL, "[2001:db8::1]", REDIRECT_OWN },
	{ "2001:db8::1", NULL, "2001:db8::2", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "10.0.0.5", REDIRECT_IF_RESOLVED },
	{ "scan.example.com", NULL, "0.0.0.0", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "::", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "::ffff:0.0.0.0", REDIRECT_REFUSED },
	{ "0.0.0.0", NULL, "0.0.0.0", REDIRECT_REFUSED },
	/* No host at all. */
	{ "scan.example.com", NULL, "", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, ".", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, ".example.com", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "n1..example.com", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "n1.example.com..", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "*.example.com", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "n 1.example.com", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "n\x31\x01.example.com", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "n/../.example.com", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "[n1.example.com]", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "[10.0.0.5]", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "[", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "10.1", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "0x0a000005", REDIRECT_REFUSED },
	{ "scan.example.com", NULL, "fe80::1%eth0", REDIRECT_REFUSED },
	{ "scan.example.com", "*.example.com", "10.0.0.5.example.com.7",
	    REDIRECT_REFUSED },
	/* By a list. */
	{ "db", "other", "OTHER", REDIRECT_LISTED_NAME },
	{ "db", "other.", "other", REDIRECT_LISTED_NAME },
	{ "db", "other", "other.test", REDIRECT_REFUSED },
	{ "db", "*.b.test", "a.b.test", REDIRECT_LISTED_NAME },
	{ "db", "*.B.test.", "A.b.TEST", REDIRECT_LISTED_NAME },
	{ "db", "*.b.test", "a.a.b.test.", REDIRECT_LISTED_NAME },
	{ "db", "*.b.test", "b.test", REDIRECT_REFUSED },
	{ "db", "*.b.test", "ab.test", REDIRECT_REFUSED },
	{ "db", "*.b.test", "a.ab.test", REDIRECT_REFUSED },
	{ "db", "*.b.test", "a.b.test.evil.test", REDIRECT_REFUSED },
	{ "db", "10.1.0.0/16", "10.1.2.3", REDIRECT_LISTED_ADDRESS },
	{ "db", "10.1.0.0/16", "::ffff:10.1.2.3", REDIRECT_LISTED_ADDRESS },
	{ "db", "10.1.0.0/16", "10.2.2.3", REDIRECT_IF_RESOLVED },
	{ "10.9.9.9", "10.1.0.0/16", "10.2.2.3", REDIRECT_REFUSED },
	{ "10.9.9.9", "10.1.2.3", "10.1.2.3", REDIRECT_LISTED_ADDRESS },
	{ "10.9.9.9", "10.1.2.3", "10.1.2.4", REDIRECT_REFUSED },
	{ "10.9.9.9", "2001:db8::/32", "2001:db8:1::1",
	    REDIRECT_LISTED_ADDRESS },
	{ "10.9.9.9", "10.1.2.3", "n.10.1.2.3", REDIRECT_REFUSED },
	{ "10.9.9.9", "0.0.0.0/1", "0.0.0.0", REDIRECT_REFUSED },
};

static void
each_place_is_judged(void)
{
	struct redirect r;
	struct server of;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		of = configured(rows[i].own);
		if (judge(&r, &of, rows[i].listed, rows[i].host) == rows[i].way)
			continue;
		(void)fprintf(stderr, "\n%s, %s -> %s: %s\n", rows[i].own,
		    rows[i].listed != NULL ? rows[i].listed : "nothing",
		    rows[i].host, redirect_words(r.way));
		CU_FAIL("judged otherwise");
	}
}

/* What is in it of a peer's can be printed, or is not there. */
static void
what_is_no_host_is_not_repeated(void)
{
	char longest[NEG_HOST_MAX + 1];
	const struct server of = configured("scan.example.com");
	struct redirect r;
	struct rd nul = { .at = (const uint8_t *)"n1.example.com\0.evil.test",
		.left = 25 };

	CU_ASSERT_EQUAL(judge(&r, &of, NULL, "a\nb.example.com"),
	    REDIRECT_REFUSED);
	CU_ASSERT_STRING_EQUAL(r.text, "");
	redirect_judge(&r, &of, NULL, nul, PORT);
	CU_ASSERT_EQUAL(r.way, REDIRECT_REFUSED);
	CU_ASSERT_STRING_EQUAL(r.text, "");
	redirect_judge(&r, &of, NULL, words("n1.example.com"), 0);
	CU_ASSERT_EQUAL(r.way, REDIRECT_REFUSED);
	memset(longest, 'a', sizeof(longest));
	longest[NEG_HOST_MAX] = '\0';
	CU_ASSERT_EQUAL(judge(&r, &of, NULL, longest), REDIRECT_REFUSED);
	CU_ASSERT_STRING_EQUAL(r.text, "");
	CU_ASSERT_EQUAL(judge(&r, &of, NULL, "n1.evil.test"), REDIRECT_REFUSED);
	CU_ASSERT_STRING_EQUAL(r.text, "n1.evil.test:1521");
	CU_ASSERT_EQUAL(judge(&r, &of, NULL, "2001:db8::9"),
	    REDIRECT_IF_RESOLVED);
	CU_ASSERT_STRING_EQUAL(r.text, "[2001:db8::9]:1521");
}

/* By its name it is the redirect's, and else the configured one. */
static void
the_name_to_verify_is_that_it_was_allowed_for(void)
{
	struct server of = configured("scan.example.com");
	struct redirect r;
	const struct target *t = &r.server.target;

	(void)judge(&r, &of, NULL, "N1.example.com.");
	CU_ASSERT_EQUAL_FATAL(t->nnames, 1);
	CU_ASSERT_STRING_EQUAL(t->names[0], "N1.example.com");
	CU_ASSERT_STRING_EQUAL(r.server.sni, "N1.example.com");
	CU_ASSERT_STRING_EQUAL(r.server.host, "N1.example.com.");
	(void)judge(&r, &of, "n1.test", "n1.test");
	CU_ASSERT_STRING_EQUAL(t->names[0], "n1.test");
	CU_ASSERT_STRING_EQUAL(r.server.sni, "n1.test");

	(void)judge(&r, &of, NULL, "scan.EXAMPLE.com");
	CU_ASSERT_PTR_EQUAL(t->names, own_names);
	CU_ASSERT_PTR_EQUAL(r.server.sni, own_sni);
	(void)judge(&r, &of, "10.1.2.3", "10.1.2.3");
	CU_ASSERT_EQUAL(r.way, REDIRECT_LISTED_ADDRESS);
	CU_ASSERT_PTR_EQUAL(t->names, own_names);
	(void)judge(&r, &of, NULL, "10.1.2.3");
	CU_ASSERT_EQUAL(r.way, REDIRECT_IF_RESOLVED);
	CU_ASSERT_PTR_EQUAL(t->names, own_names);
	CU_ASSERT_EQUAL(t->nnames, 1);
}

/* Pins and the subject hold whoever is asked in the end. */
static void
all_else_that_is_demanded_stays(void)
{
	static const char *const hosts[] = { "scan.example.com",
		"n1.example.com", "n1.test", "10.1.2.3", "10.9.9.9" };
	const struct server of = configured("scan.example.com");
	struct redirect r;
	size_t i;

	for (i = 0; i < COUNT(hosts); i++) {
		CU_ASSERT_NOT_EQUAL(
		    judge(&r, &of, i == 2 ? "n1.test" : "10.1.2.3", hosts[i]),
		    REDIRECT_REFUSED);
		CU_ASSERT_PTR_EQUAL(r.server.target.server_dn, dn);
		CU_ASSERT_PTR_EQUAL(r.server.target.pins, pins);
		CU_ASSERT_EQUAL(r.server.target.npins, 1);
		CU_ASSERT_EQUAL(r.server.port, PORT);
	}
}

static void
an_address_is_looked_for_whatever_its_port(void)
{
	const struct server of = configured("scan.example.com");
	struct address list[2];
	struct redirect r;

	CU_ASSERT_TRUE_FATAL(address_parse_ip("10.0.0.4", 1, &list[0]));
	CU_ASSERT_TRUE_FATAL(address_parse_ip("::ffff:10.0.0.5", 2, &list[1]));
	(void)judge(&r, &of, NULL, "10.0.0.5");
	CU_ASSERT_TRUE(redirect_is_among(&r, list, 2));
	CU_ASSERT_FALSE(redirect_is_among(&r, list, 1));
	CU_ASSERT_FALSE(redirect_is_among(&r, list, 0));
}

static void
a_socket_has_only_what_is_listed(void)
{
	struct server of = configured("x");
	struct redirect r;

	of.host = NULL;
	of.fixed.len = sizeof(struct sockaddr_storage);
	of.fixed.sa.ss_family = AF_UNIX;
	CU_ASSERT_EQUAL(judge(&r, &of, NULL, "10.0.0.5"), REDIRECT_REFUSED);
	CU_ASSERT_EQUAL(judge(&r, &of, NULL, "n1.example.com"),
	    REDIRECT_REFUSED);
	CU_ASSERT_EQUAL(judge(&r, &of, "n1.example.com", "n1.example.com"),
	    REDIRECT_LISTED_NAME);
}

static void
entries_of_lists_are_checked(void)
{
	static const char *const good[] = { "n1", "n1.example.com",
		"N1.example.com.", "*.example.com", "*.a.b.test.", "10.1.2.3",
		"10.1.0.0/16", "2001:db8::/32", "::1", "my_host.test" };
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
		{ "*", "is no host" },
		{ "*.com", "everybody's hosts" },
		{ "*.com.", "everybody's hosts" },
		{ "*.*.test", "is no domain" },
		{ "*.", "is no domain" },
		{ "*.10.1.2.3", "is no domain" },
		{ "n*.example.com", "is no host" },
		{ "n1:1521", "without a port" },
		{ "[::1]", "is no host" },
		{ "0.0.0.0/0", "every address" },
		{ "::/0", "every address" },
		{ "::ffff:0:0/96", "every address" },
		{ "10.1.2.0/16", "beyond its prefix" },
		{ "10.1.2.3/33", "is no host" },
		{ "10.1", "is no host" },
		{ ".example.com", "is no host" },
	};
	struct err err;
	size_t i;

	for (i = 0; i < COUNT(good); i++)
		CU_ASSERT_EQUAL(redirect_check(good[i], &err), 0);
	for (i = 0; i < COUNT(bad); i++) {
		err.text[0] = '\0';
		CU_ASSERT_EQUAL(redirect_check(bad[i].text, &err), -1);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, bad[i].says));
		if (strstr(err.text, bad[i].says) == NULL)
			(void)fprintf(stderr, "\n%s: %s\n", bad[i].text,
			    err.text);
	}
}

static CU_TestInfo tests[] = {
	{ "each_place_is_judged", each_place_is_judged },
	{ "what_is_no_host_is_not_repeated", what_is_no_host_is_not_repeated },
	{ "the_name_to_verify_is_that_it_was_allowed_for",
	    the_name_to_verify_is_that_it_was_allowed_for },
	{ "all_else_that_is_demanded_stays", all_else_that_is_demanded_stays },
	{ "an_address_is_looked_for_whatever_its_port",
	    an_address_is_looked_for_whatever_its_port },
	{ "a_socket_has_only_what_is_listed",
	    a_socket_has_only_what_is_listed },
	{ "entries_of_lists_are_checked", entries_of_lists_are_checked },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ .pName = "redirect", .pTests = tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	return unit_run(suites);
}
