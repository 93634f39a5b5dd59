/* Which names match, in certificates made on the spot: none is signed, because
 * the chain is no business of names.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>
#include <openssl/x509v3.h>

#include "conf/certfile.h"
#include "conf/trust.h"
#include "tests/unit/unit.h"

#define RDNS_MAX 6

static X509 *
cert_new(const char *cn, const char *san)
{
	X509 *cert = X509_new();
	X509_EXTENSION *ext;

	if (cn != NULL)
		(void)X509_NAME_add_entry_by_NID(X509_get_subject_name(cert),
		    NID_commonName, MBSTRING_UTF8, (const unsigned char *)cn,
		    -1, -1, 0);
	if (san != NULL) {
		ext =
		    X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
		CU_ASSERT_PTR_NOT_NULL_FATAL(ext);
		(void)X509_add_ext(cert, ext, -1);
		X509_EXTENSION_free(ext);
	}
	return cert;
}

static void
sans_add(GENERAL_NAMES *sans, const void *bytes, int len)
{
	GENERAL_NAME *san = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	(void)ASN1_STRING_set(text, bytes, len);
	GENERAL_NAME_set0_value(san, GEN_DNS, text);
	(void)sk_GENERAL_NAME_push(sans, san);
}

/* An extension with dNSNames of any bytes at all: `first`, unless it is NULL,
 * and these. */
static void
cert_add_raw_dns(X509 *cert, const char *first, const void *bytes, int len)
{
	GENERAL_NAMES *sans = GENERAL_NAMES_new();

	if (first != NULL)
		sans_add(sans, first, (int)strlen(first));
	sans_add(sans, bytes, len);
	(void)X509_add1_ext_i2d(cert, NID_subject_alt_name, sans, 0,
	    X509V3_ADD_APPEND);
	GENERAL_NAMES_free(sans);
}

static enum name_source
find(X509 *cert, const char *asked, const struct name_rules *rules,
    char *matched, size_t size)
{
	char name[256];
	char *names[] = { name };
	const struct target target = { .names = names, .nnames = 1 };

	(void)snprintf(name, sizeof(name), "%s", asked);
	return trust_name_find(cert, &target, rules, matched, size);
}

/*
 * Host names and addresses
 */

#define NO   NAME_FROM_NOTHING
#define SAN  NAME_FROM_SAN
#define CN   NAME_FROM_CN
#define CNIP NAME_FROM_CN_ADDRESS

static const struct {
	const char *cn;
	const char *san;
	const char *asked;
	enum name_source want; /* with the CN allowed, not strict */
} hosts[] = {
	{ NULL, "DNS:db.test", "db.test", SAN },
	{ NULL, "DNS:db.test", "DB.tESt", SAN },
	{ NULL, "DNS:DB.TEST", "db.test", SAN },
	{ NULL, "DNS:db.test", "db.test.", SAN },
	{ NULL, "DNS:db.test", "db.test..", NO },
	{ NULL, "DNS:db.test.", "db.test", NO },
	{ NULL, "DNS:db.test", "db.tes", NO },
	{ NULL, "DNS:db.test", "db.test.evil", NO },
	{ NULL, "DNS:db.test", "xdb.test", NO },
	{ NULL, "DNS:db.test", "x.db.test", NO },
	{ NULL, "DNS:db.test", "", NO },
	{ NULL, "DNS:db.test", ".", NO },
	{ NULL, "DNS:a.test,DNS:db.test", "db.test", SAN },
	{ NULL, "email:db@db.test,URI:http://db.test/", "db.test", NO },
	{ NULL, "DNS:localhost", "localhost", SAN },
	{ NULL, "DNS:xn--bcher-kva.test", "xn--bcher-kva.test", SAN },
	{ NULL, "DNS:xn--bcher-kva.test", "XN--BCHER-KVA.test", SAN },
	{ NULL, "DNS:db_1.test", "db_1.test", SAN },

	/* A wildcard is the whole left-most label, and stands for one. */
	{ NULL, "DNS:*.db.test", "a.db.test", SAN },
	{ NULL, "DNS:*.db.test", "A.DB.TEST", SAN },
	{ NULL, "DNS:*.db.test", "a.db.test.", SAN },
	{ NULL, "DNS:*.DB.test", "xn--a.db.test", SAN },
	{ NULL, "DNS:*.db.test", "db.test", NO },
	{ NULL, "DNS:*.db.test", ".db.test", NO },
	{ NULL, "DNS:*.db.test", "b.a.db.test", NO },
	{ NULL, "DNS:*.db.test", "a.xdb.test", NO },
	{ NULL, "DNS:*.db.test", "*.db.test", NO },
	{ NULL, "DNS:*.test", "db.test", SAN },
	{ NULL, "DNS:*", "localhost", NO },
	{ NULL, "DNS:*", "db.test", NO },
	{ NULL, "DNS:*.", "localhost.", NO },
	{ NULL, "DNS:*.", "a.", NO },
	{ NULL, "DNS:*.", "a..", NO },
	{ NULL, "DNS:*.*.test", "a.b.test", NO },
	{ NULL, "DNS:db.*", "db.test", NO },
	{ NULL, "DNS:db.*.test", "db.a.test", NO },
	{ NULL, "DNS:d*.test", "db.test", NO },
	{ NULL, "DNS:*b.test", "db.test", NO },
	{ NULL, "DNS:**.test", "db.test", NO },
	{ NULL, "DNS:*db.test", "xdb.test", NO },
	{ NULL, "DNS:xn--*.test", "xn--a.test", NO },

	/* Addresses are compared as bytes, and never to a dNSName. */
	{ NULL, "IP:10.0.0.1", "10.0.0.1", SAN },
	{ NULL, "IP:10.0.0.1", "10.0.0.2", NO },
	{ NULL, "IP:10.0.0.1", "10.0.0.1.", NO },
	{ NULL, "IP:::1", "::1", SAN },
	{ NULL, "IP:::1", "0:0::0:1", SAN },
	{ NULL, "IP:2001:db8::a", "2001:DB8::A", SAN },
	{ NULL, "IP:10.0.0.1", "::ffff:10.0.0.1", NO },
	{ NULL, "IP:::ffff:10.0.0.1", "10.0.0.1", NO },
	{ NULL, "DNS:10.0.0.1", "10.0.0.1", NO },
	{ NULL, "DNS:*.0.0.1", "10.0.0.1", NO },
	{ NULL, "IP:10.0.0.1", "db.test", NO },

	/* The CN, where there is no SAN of the kind. */
	{ "db.test", NULL, "db.test", CN },
	{ "DB.test", NULL, "db.TEST.", CN },
	{ "*.test", NULL, "db.test", CN },
	{ "*.test", NULL, "a.db.test", NO },
	{ "db.test", NULL, "other.test", NO },
	{ "db.test", "DNS:other.test", "db.test", NO },
	{ "db.test", "IP:10.0.0.1", "db.test", CN },
	{ "db.test", "email:a@b.test", "db.test", CN },
	{ "db.test x", NULL, "db.test", NO },
	{ " db.test", NULL, "db.test", NO },
	{ "10.0.0.1", NULL, "10.0.0.1", CNIP },
	{ "::1", NULL, "0:0:0:0:0:0:0:1", CNIP },
	{ "10.0.0.1", "IP:10.0.0.2", "10.0.0.1", NO },
	{ "10.0.0.1", "DNS:db.test", "10.0.0.1", NO },
	{ "10.0.0.1", "email:a@b.test", "10.0.0.1", NO },
	{ "*.0.0.1", NULL, "10.0.0.1", NO },
	{ NULL, NULL, "db.test", NO },
	{ NULL, NULL, "10.0.0.1", NO },
};

static void
names_match_as_written_down(void)
{
	static const struct name_rules rules = { .allow_cn = true };
	enum name_source got;
	char matched[256];
	X509 *cert;
	size_t i;

	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		cert = cert_new(hosts[i].cn, hosts[i].san);
		got = find(cert, hosts[i].asked, &rules, matched,
		    sizeof(matched));
		CU_ASSERT_EQUAL(got, hosts[i].want);
		if (got != hosts[i].want)
			(void)printf("row %zu: CN %s, %s, asked %s: %d\n", i,
			    hosts[i].cn, hosts[i].san, hosts[i].asked,
			    (int)got);
		X509_free(cert);
	}
}

static void
cn_counts_only_if_allowed(void)
{
	static const struct name_rules rules = { .allow_cn = false };
	enum name_source got;
	char matched[256];
	X509 *cert;
	size_t i;

	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		cert = cert_new(hosts[i].cn, hosts[i].san);
		got = find(cert, hosts[i].asked, &rules, matched,
		    sizeof(matched));
		CU_ASSERT_EQUAL(got, hosts[i].want == SAN ? SAN : NO);
		X509_free(cert);
	}
}

static void
strict_wildcards_have_two_labels_behind(void)
{
	static const struct name_rules rules = { .strict = true };
	X509 *one = cert_new(NULL, "DNS:*.test");
	X509 *two = cert_new(NULL, "DNS:*.db.test");
	char matched[256];

	CU_ASSERT_EQUAL(find(one, "db.test", &rules, matched, sizeof(matched)),
	    NO);
	CU_ASSERT_EQUAL(
	    find(two, "a.db.test", &rules, matched, sizeof(matched)), SAN);
	CU_ASSERT_STRING_EQUAL(matched, "*.db.test");
	X509_free(one);
	X509_free(two);
}

static void
any_of_several_names_will_do(void)
{
	char a[] = "a.test", b[] = "b.test", c[] = "c.test";
	char *names[] = { a, b, c };
	struct target target = { .names = names, .nnames = 3 };
	X509 *cert = cert_new(NULL, "DNS:b.test");
	char matched[256];

	CU_ASSERT_TRUE(
	    trust_name_matches(cert, &target, false, matched, sizeof(matched)));
	CU_ASSERT_STRING_EQUAL(matched, "b.test");
	target.nnames = 1;
	CU_ASSERT_FALSE(
	    trust_name_matches(cert, &target, false, matched, sizeof(matched)));
	target.nnames = 0;
	CU_ASSERT_FALSE(
	    trust_name_matches(cert, &target, false, matched, sizeof(matched)));
	X509_free(cert);
}

static void
one_nul_spoils_all_names(void)
{
	static const struct name_rules rules = { .allow_cn = true };
	static const char bad[] = "db.test\0.evil.test";
	X509 *cert = cert_new("db.test", NULL);
	char matched[256];

	cert_add_raw_dns(cert, NULL, bad, sizeof(bad) - 1);
	CU_ASSERT_EQUAL(find(cert, "db.test", &rules, matched, sizeof(matched)),
	    NO);
	CU_ASSERT_STRING_EQUAL(matched, "db.test\\x00.evil.test");
	X509_free(cert);
	cert = cert_new("db.test", NULL);
	cert_add_raw_dns(cert, "db.test", bad, sizeof(bad) - 1);
	CU_ASSERT_EQUAL(find(cert, "db.test", &rules, matched, sizeof(matched)),
	    NO);
	X509_free(cert);
}

/* A SAN that cannot be read might have held names: the CN does not step in. */
static void
unreadable_san_is_no_missing_one(void)
{
	static const struct name_rules rules = { .allow_cn = true };
	ASN1_OCTET_STRING *junk = ASN1_OCTET_STRING_new();
	X509 *cert = cert_new("db.test", NULL);
	X509_EXTENSION *ext;
	char matched[256];

	(void)ASN1_OCTET_STRING_set(junk, (const unsigned char *)"\x30\x05x",
	    3);
	ext = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, junk);
	(void)X509_add_ext(cert, ext, -1);
	CU_ASSERT_EQUAL(find(cert, "db.test", &rules, matched, sizeof(matched)),
	    NO);
	X509_free(cert);
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(junk);

	/* Twice the extension: neither is believed. */
	cert = cert_new("db.test", "email:a@b.test");
	cert_add_raw_dns(cert, NULL, "db.test", 7);
	CU_ASSERT_EQUAL(find(cert, "db.test", &rules, matched, sizeof(matched)),
	    NO);
	X509_free(cert);
}

static void
first_of_several_cns_counts(void)
{
	static const struct name_rules rules = { .allow_cn = true };
	X509 *cert = cert_new("a.test", NULL);
	char matched[256];

	(void)X509_NAME_add_entry_by_NID(X509_get_subject_name(cert),
	    NID_commonName, MBSTRING_UTF8, (const unsigned char *)"b.test", -1,
	    -1, 0);
	CU_ASSERT_EQUAL(find(cert, "a.test", &rules, matched, sizeof(matched)),
	    CN);
	CU_ASSERT_EQUAL(find(cert, "b.test", &rules, matched, sizeof(matched)),
	    NO);
	X509_free(cert);
}

static void
carried_names_are_listed_escaped_and_cut(void)
{
	char text[64], san[1024] = "DNS:a0.test";
	size_t used, i;
	X509 *cert = cert_new("db.test", NULL);

	cert_add_raw_dns(cert, NULL, "a\n\"\\\x80", 5);
	cert_names_text(cert, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "a\\x0a\"\\x5c\\x80");
	X509_free(cert);

	for (i = 1; i < 40; i++) {
		used = strlen(san);
		(void)snprintf(san + used, sizeof(san) - used, ",DNS:a%zu.test",
		    i);
	}
	cert = cert_new("db.test", san);
	cert_names_text(cert, text, sizeof(text));
	CU_ASSERT_TRUE(strlen(text) < sizeof(text));
	CU_ASSERT_STRING_EQUAL(text + strlen(text) - 5, ", ...");
	CU_ASSERT_EQUAL(strncmp(text, "a0.test, a1.test", 16), 0);
	X509_free(cert);

	cert = cert_new("db.test", "IP:10.0.0.1");
	cert_names_text(cert, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "10.0.0.1, CN=db.test");
	X509_free(cert);
}

/*
 * Distinguished names
 */

static const struct {
	const char *subject[RDNS_MAX]; /* "+" before it: of the RDN before */
	const char *want;
	bool match;
} dns[] = {
	/* Order-free, and all of it. */
	{ { "C=DE", "O=Example", "CN=db" }, "C=DE,O=Example,CN=db", true },
	{ { "C=DE", "O=Example", "CN=db" }, "CN=db,O=Example,C=DE", true },
	{ { "C=DE", "O=Example", "CN=db" }, "cn = DB , o=example, c=de", true },
	{ { "C=DE", "O=Example", "CN=db" }, "CN=db,O=Example", false },
	{ { "C=DE", "O=Example", "CN=db" }, "CN=db,O=Example,C=DE,L=x", false },
	{ { "C=DE", "O=Example", "CN=db" }, "CN=db,O=Other,C=DE", false },
	{ { "O=a", "O=b" }, "O=b,O=a", true },
	{ { "O=a", "O=b" }, "O=a,O=a", false },
	{ { "O=a", "O=a" }, "O=a,O=b", false },
	{ { "O=a" }, "O=a,O=a", false },

	/* The CN alone, exactly. */
	{ { "C=DE", "O=Example", "CN=db" }, "CN=db", true },
	{ { "C=DE", "O=Example", "CN=db" }, "CN=d", false },
	{ { "C=DE", "O=Example", "CN=db" }, "CN=*", false },
	{ { "C=DE", "CN=*.test" }, "CN=db.test", false },
	{ { "CN=a", "CN=b" }, "CN=a", false },
	{ { "CN=a", "CN=b" }, "CN=a,CN=b", true },
	{ { "O=db" }, "CN=db", false },
	{ { "C=DE", "O=Example" }, "O=Example", false },
	{ { NULL }, "CN=db", false },

	/* Several values in one RDN are not several RDNs. */
	{ { "OU=a", "+OU=b", "CN=db" }, "CN=db,OU=a+OU=b", true },
	{ { "OU=a", "+OU=b", "CN=db" }, "CN=db,OU=b+OU=a", true },
	{ { "OU=a", "+OU=b", "CN=db" }, "CN=db,OU=a,OU=b", false },
	{ { "OU=a", "OU=b", "CN=db" }, "CN=db,OU=a+OU=b", false },
	{ { "OU=a", "+CN=db" }, "CN=db", false },
	{ { "OU=a", "+CN=db", "C=DE" }, "CN=db+OU=a", false },
	{ { "OU=a", "+CN=db", "C=DE" }, "C=DE,CN=db+OU=a", true },

	/* How it may be written. */
	{ { "O=Example, Inc.", "CN=db" }, "CN=db,O=Example\\, Inc.", true },
	{ { "O=Example, Inc.", "CN=db" }, "CN=db,O=\"Example, Inc.\"", true },
	{ { "O=Example, Inc.", "CN=db" }, "CN=db,O=Example\\2c Inc.", true },
	{ { "O=a+b", "CN=db" }, "CN=db,O=a\\+b", true },
	{ { "O=M\xc3\xbcller", "CN=db" }, "CN=db,O=M\\c3\\bcller", true },
	{ { "O=M\xc3\xbcller", "CN=db" }, "CN=db,O=M\xc3\xbcller", true },
	{ { "ST=x", "CN=db" }, "CN=db,S=x", true },
	{ { "emailAddress=a@b.test", "CN=db" }, "CN=db,E=a@b.test", true },
	{ { "DC=test", "CN=db" }, "CN=db,DC=test", true },
	{ { "O=x", "CN=db" }, "2.5.4.3=db,OID.2.5.4.10=x", true },
};

static X509 *
cert_with_subject(const char *const *rdns)
{
	X509 *cert = X509_new();
	char type[32];
	const char *value;
	bool joined;
	int i;

	for (i = 0; i < RDNS_MAX && rdns[i] != NULL; i++) {
		joined = rdns[i][0] == '+';
		value = strchr(rdns[i], '=') + 1;
		(void)snprintf(type, sizeof(type), "%.*s",
		    (int)(value - rdns[i]) - 1 - joined, rdns[i] + joined);
		CU_ASSERT_EQUAL(
		    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert),
			type, MBSTRING_UTF8, (const unsigned char *)value, -1,
			-1, joined ? -1 : 0),
		    1);
	}
	return cert;
}

static void
subjects_match_as_sets(void)
{
	static const struct name_rules rules = { .allow_cn = true };
	struct target target = { .names = NULL };
	char matched[256], want[256];
	bool match;
	X509 *cert;
	size_t i;

	for (i = 0; i < sizeof(dns) / sizeof(dns[0]); i++) {
		cert = cert_with_subject(dns[i].subject);
		(void)snprintf(want, sizeof(want), "%s", dns[i].want);
		target.server_dn = want;
		match = trust_name_find(cert, &target, &rules, matched,
			    sizeof(matched)) == NAME_FROM_DN;
		CU_ASSERT_EQUAL(match, dns[i].match);
		if (match != dns[i].match)
			(void)printf("row %zu: %s against %s\n", i, want,
			    matched);
		CU_ASSERT_TRUE(trust_dn_valid(want));
		X509_free(cert);
	}
}

/* What cannot be read matches nothing, and the host name does not step in. */
static void
spoilt_subjects_match_nothing(void)
{
	static const char *const spoilt[] = { "", "CN", "CN=", "=db", "CN=db,",
		"CN=db,,O=x", ",CN=db", "CN=db+", "CN=\"db", "CN=db\\",
		"nosuchtype=db", "CN=\"db\"x", "/CN=db", "CN db" };
	char name[] = "db", want[64], matched[256];
	char *names[] = { name };
	struct target target = { .names = names, .nnames = 1 };
	X509 *cert = cert_new("db", "DNS:db");
	size_t i;

	for (i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
		(void)snprintf(want, sizeof(want), "%s", spoilt[i]);
		target.server_dn = want;
		CU_ASSERT_FALSE(trust_dn_valid(want));
		CU_ASSERT_FALSE(trust_name_matches(cert, &target, true, matched,
		    sizeof(matched)));
		if (trust_dn_valid(want))
			(void)printf("\"%s\" is taken for a subject\n", want);
	}
	X509_free(cert);
}

static void
long_subjects_stay_in_bounds(void)
{
	char want[4096], matched[64];
	struct target target = { .server_dn = want };
	X509 *cert = cert_new("db", NULL);
	size_t i, used;

	memset(want, 'a', sizeof(want) - 1);
	want[sizeof(want) - 1] = '\0';
	memcpy(want, "CN=", 3);
	CU_ASSERT_FALSE(trust_dn_valid(want));
	want[1] = 'a';
	want[2] = 'a';
	want[100] = '=';
	CU_ASSERT_FALSE(
	    trust_name_matches(cert, &target, true, matched, sizeof(matched)));
	want[0] = '\0';
	for (i = 0; i < 64; i++) {
		used = strlen(want);
		(void)snprintf(want + used, sizeof(want) - used, "%sO=a",
		    i > 0 ? "," : "");
	}
	CU_ASSERT_FALSE(trust_dn_valid(want));
	X509_free(cert);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		{ "names_match_as_written_down", names_match_as_written_down },
		{ "cn_counts_only_if_allowed", cn_counts_only_if_allowed },
		{ "strict_wildcards_have_two_labels_behind",
		    strict_wildcards_have_two_labels_behind },
		{ "any_of_several_names_will_do",
		    any_of_several_names_will_do },
		{ "one_nul_spoils_all_names", one_nul_spoils_all_names },
		{ "unreadable_san_is_no_missing_one",
		    unreadable_san_is_no_missing_one },
		{ "first_of_several_cns_counts", first_of_several_cns_counts },
		{ "carried_names_are_listed_escaped_and_cut",
		    carried_names_are_listed_escaped_and_cut },
		{ "subjects_match_as_sets", subjects_match_as_sets },
		{ "spoilt_subjects_match_nothing",
		    spoilt_subjects_match_nothing },
		{ "long_subjects_stay_in_bounds",
		    long_subjects_stay_in_bounds },
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "names", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
