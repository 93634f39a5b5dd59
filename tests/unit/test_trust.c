/*
 * The verdict matrix: every certificate of tests/certs.sh, against every ssl
 * mode that verifies and both profiles.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "conf/certfile.h"
#include "conf/trust.h"
#include "tests/unit/unit.h"

#define PATH_MAX_LEN 512
#define FILES_MAX    4
#define THREADS      4
#define ROUNDS       50
#define AFTER_ALL    2500000000 /* 2049: all is over */

/* The words of the table. */
#define GOOD    REASON_NONE
#define STRANGE REASON_UNTRUSTED
#define NAME    REASON_NAME_MISMATCH
#define LATE    REASON_EXPIRED
#define EARLY   REASON_NOT_YET_VALID
#define WEAK    REASON_WEAK
#define USAGE   REASON_WRONG_USAGE
#define REVOKED REASON_REVOKED
#define NOCRL   REASON_CRL_EXPIRED

struct row {
	const char *sent; /* NAME.crt, or with a dot: the whole file name */
	const char *asked;
	const char *ca;  /* files with blanks between */
	const char *crl; /* "": none */
	/* What is said in verify-ca and verify-full. */
	enum reason plain[2];
	enum reason webpki[2];
};

static const struct row matrix[] = {
	/* Right. */
	{ "good", "db.test", "ca.crt", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "good", "db.test", "ca.der", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "good", "db.test", "bundle.pem", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "good", "DB.Test", "ca.crt", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "good", "db.test.", "ca.crt", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "upper", "db.test", "ca.crt", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "many", "db.test", "ca.crt", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "ed25519", "db.test", "ca.crt", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "p384", "db.test", "ca.crt", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "rsa", "db.test", "ca.crt", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "rsapss", "db.test", "ca.crt", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "proxy", "::1", "ca.crt", "", { GOOD, GOOD }, { GOOD, GOOD } },

	/* Names. */
	{ "other", "db.test", "ca.crt", "", { GOOD, NAME }, { GOOD, NAME } },
	{ "cn", "db.test", "ca.crt", "", { GOOD, GOOD }, { NAME, NAME } },
	{ "cn-san-wrong", "db.test", "ca.crt", "", { GOOD, NAME },
	    { GOOD, NAME } },
	{ "cn-ip-san", "db.test", "ca.crt", "", { GOOD, GOOD },
	    { GOOD, NAME } },
	{ "wildcard", "db.test", "ca.crt", "", { GOOD, GOOD }, { GOOD, NAME } },
	{ "wildcard", "a.db.test", "ca.crt", "", { GOOD, NAME },
	    { GOOD, NAME } },
	{ "wildcard-deep", "db.test", "ca.crt", "", { GOOD, NAME },
	    { GOOD, NAME } },
	{ "wildcard-deep", "a.db.test", "ca.crt", "", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "wildcard-deep", "b.a.db.test", "ca.crt", "", { GOOD, NAME },
	    { GOOD, NAME } },
	{ "wildcard-partial", "db.test", "ca.crt", "", { GOOD, NAME },
	    { GOOD, NAME } },
	{ "wildcard-bare", "localhost", "ca.crt", "", { GOOD, NAME },
	    { GOOD, NAME } },
	{ "dot", "db.test", "ca.crt", "", { GOOD, NAME }, { GOOD, NAME } },
	{ "noname", "db.test", "ca.crt", "", { GOOD, NAME }, { NAME, NAME } },
	{ "nul", "db.test", "ca.crt", "", { GOOD, NAME }, { GOOD, NAME } },
	{ "nul-cn", "db.test", "ca.crt", "", { GOOD, NAME }, { NAME, NAME } },
	{ "ip", "127.0.0.1", "ca.crt", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "ip", "0:0:0:0:0:0:0:1", "ca.crt", "", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "ip", "127.0.0.2", "ca.crt", "", { GOOD, NAME }, { GOOD, NAME } },
	{ "ip", "db.test", "ca.crt", "", { GOOD, NAME }, { GOOD, NAME } },
	{ "ip-cn", "127.0.0.1", "ca.crt", "", { GOOD, GOOD }, { NAME, NAME } },
	{ "ip-cn-dns", "127.0.0.1", "ca.crt", "", { GOOD, NAME },
	    { GOOD, NAME } },
	{ "ip-cn-dns", "db.test", "ca.crt", "", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "ip-dns", "127.0.0.1", "ca.crt", "", { GOOD, NAME }, { GOOD, NAME } },

	/* Chains. */
	{ "selfsigned", "db.test", "ca.crt", "", { STRANGE, STRANGE },
	    { STRANGE, STRANGE } },
	{ "selfsigned", "db.test", "selfsigned.crt", "", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "selfsigned", "db.test", "selfsigned.crt", "crl.pem", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "unknown", "db.test", "ca.crt", "", { STRANGE, STRANGE },
	    { STRANGE, STRANGE } },
	{ "unknown", "db.test", "ca.crt ca2.crt", "", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "impostor", "db.test", "ca.crt", "", { STRANGE, STRANGE },
	    { STRANGE, STRANGE } },
	{ "inter-leaf", "db.test", "ca.crt", "", { STRANGE, STRANGE },
	    { STRANGE, STRANGE } },
	{ "inter-leaf.chain.pem", "db.test", "ca.crt", "", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "inter-leaf", "db.test", "ca.crt inter.crt", "", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "inter-leaf", "db.test", "inter.crt", "", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "inter-leaf.chain.pem", "db.test", "inter.crt", "", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "good", "db.test", "inter.crt", "", { STRANGE, STRANGE },
	    { STRANGE, STRANGE } },
	{ "notca.chain.pem", "db.test", "ca.crt", "", { USAGE, USAGE },
	    { USAGE, USAGE } },
	{ "deep-leaf.chain.pem", "db.test", "ca.crt", "", { USAGE, USAGE },
	    { USAGE, USAGE } },
	{ "nc-good.chain.pem", "x.allowed.test", "ca.crt", "", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "nc-san.chain.pem", "db.test", "ca.crt", "", { STRANGE, STRANGE },
	    { STRANGE, STRANGE } },
	{ "nc-cn.chain.pem", "db.test", "ca.crt", "", { STRANGE, STRANGE },
	    { STRANGE, STRANGE } },
	{ "nc-ip-cn.chain.pem", "127.0.0.1", "ca.crt", "", { STRANGE, STRANGE },
	    { STRANGE, STRANGE } },
	{ "ncip-cn.chain.pem", "127.0.0.1", "ca.crt", "", { GOOD, NAME },
	    { NAME, NAME } },
	{ "nc-san", "db.test", "nc.crt", "", { STRANGE, STRANGE },
	    { STRANGE, STRANGE } },
	{ "nc-san", "db.test", "nc.crt ca.crt", "", { STRANGE, STRANGE },
	    { STRANGE, STRANGE } },

	/* Dates, keys, uses. */
	{ "expired", "db.test", "ca.crt", "", { LATE, LATE }, { LATE, LATE } },
	{ "notyet", "db.test", "ca.crt", "", { EARLY, EARLY },
	    { EARLY, EARLY } },
	{ "old-leaf", "db.test", "old.crt", "", { GOOD, GOOD },
	    { LATE, LATE } },
	{ "oldinter-leaf.chain.pem", "db.test", "ca.crt", "", { LATE, LATE },
	    { LATE, LATE } },
	{ "oldinter-leaf", "db.test", "ca.crt oldinter.crt", "", { LATE, LATE },
	    { LATE, LATE } },
	{ "oldinter-leaf", "db.test", "oldinter.crt", "", { GOOD, GOOD },
	    { LATE, LATE } },
	{ "eku", "db.test", "ca.crt", "", { USAGE, USAGE }, { USAGE, USAGE } },
	{ "noeku", "db.test", "ca.crt", "", { GOOD, GOOD }, { USAGE, USAGE } },
	{ "critical", "db.test", "ca.crt", "", { USAGE, USAGE },
	    { USAGE, USAGE } },
	{ "weak", "db.test", "ca.crt", "", { WEAK, WEAK }, { WEAK, WEAK } },
	{ "sha1", "db.test", "ca.crt", "", { WEAK, WEAK }, { WEAK, WEAK } },
	{ "curve", "db.test", "ca.crt", "", { GOOD, GOOD }, { WEAK, WEAK } },
	{ "v1", "db.test", "ca.crt", "", { GOOD, GOOD }, { NAME, NAME } },
	{ "plain-leaf", "db.test", "plain.crt", "", { GOOD, GOOD },
	    { USAGE, USAGE } },

	/* Revocation. */
	{ "good", "db.test", "ca.crt", "crl-ca.pem", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "good", "db.test", "ca.crt", "crl-ca.der", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "revoked", "db.test", "ca.crt", "", { GOOD, GOOD }, { GOOD, GOOD } },
	{ "revoked", "db.test", "ca.crt", "crl.pem", { REVOKED, REVOKED },
	    { REVOKED, REVOKED } },
	{ "good", "db.test", "ca.crt", "crl-expired.pem", { NOCRL, NOCRL },
	    { NOCRL, NOCRL } },
	{ "good", "db.test", "ca.crt", "crl-fake.pem", { NOCRL, NOCRL },
	    { NOCRL, NOCRL } },
	{ "good", "db.test", "ca.crt", "crl-inter.pem", { NOCRL, NOCRL },
	    { NOCRL, NOCRL } },
	{ "inter-leaf.chain.pem", "db.test", "ca.crt", "crl-ca.pem",
	    { NOCRL, NOCRL }, { NOCRL, NOCRL } },
	{ "inter-leaf.chain.pem", "db.test", "ca.crt", "crl-inter.pem",
	    { NOCRL, NOCRL }, { NOCRL, NOCRL } },
	{ "inter-leaf.chain.pem", "db.test", "ca.crt", "crl.pem",
	    { GOOD, GOOD }, { GOOD, GOOD } },
	/* An anchor in the middle is none while a root is at hand. */
	{ "inter-leaf", "db.test", "ca.crt inter.crt", "crl-inter.pem",
	    { NOCRL, NOCRL }, { NOCRL, NOCRL } },
	{ "inter-leaf", "db.test", "inter.crt", "crl-inter.pem", { GOOD, GOOD },
	    { GOOD, GOOD } },
	{ "inter2-leaf.chain.pem", "db.test", "ca.crt", "crl.pem",
	    { REVOKED, REVOKED }, { REVOKED, REVOKED } },
	{ "inter2-leaf", "db.test", "ca.crt inter2.crt", "crl.pem",
	    { REVOKED, REVOKED }, { REVOKED, REVOKED } },
	{ "inter2-leaf", "db.test", "inter2.crt", "crl.pem",
	    { REVOKED, REVOKED }, { REVOKED, REVOKED } },
};
#define ROWS (sizeof(matrix) / sizeof(matrix[0]))

/*
 * Setting up a judgement
 */

static void
path_of(const char *name, char path[PATH_MAX_LEN])
{
	(void)snprintf(path, PATH_MAX_LEN, "%s/%s%s", CERTS_DIR, name,
	    strchr(name, '.') == NULL ? ".crt" : "");
}

static STACK_OF(X509) *
chain_of(const char *name)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	char path[PATH_MAX_LEN];
	struct err err;

	path_of(name, path);
	if (certfile_read_certs(path, chain, &err) == -1) {
		(void)fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return chain;
}

static void
add_files(struct anchors *a, const char *names,
    int (*add)(struct anchors *, const char *, struct err *))
{
	char list[PATH_MAX_LEN], path[PATH_MAX_LEN];
	char *name, *rest = list;
	struct err err;

	(void)snprintf(list, sizeof(list), "%s", names);
	while ((name = strsep(&rest, " ")) != NULL) {
		if (*name == '\0')
			continue;
		path_of(name, path);
		if (add(a, path, &err) == -1) {
			(void)fprintf(stderr, "%s\n", err.text);
			abort();
		}
	}
}

static struct trust
trust_of(const char *ca, const char *crl)
{
	struct trust t = { .mode = SSL_MODE_VERIFY_FULL,
		.allow_cn = true,
		.seclevel = 2 };

	t.anchors = anchors_new();
	add_files(t.anchors, ca, anchors_add_file);
	add_files(t.anchors, crl, anchors_add_crl);
	return t;
}

/* Judges a file for one name; releases the anchors. */
static bool
judge(struct trust *t, const char *sent, struct target *target, time_t at,
    struct cert_verdict *v)
{
	STACK_OF(X509) *chain = chain_of(sent);
	X509_STORE *store = NULL;
	struct err err;
	bool held;

	if (t->anchors != NULL)
		store = anchors_store(t->anchors, &err);
	held = trust_judge(t, store, chain, target, at, v);
	X509_STORE_free(store);
	sk_X509_pop_free(chain, X509_free);
	anchors_release(t->anchors);
	t->anchors = NULL;
	return held;
}

static bool
judge_simply(const char *sent, const char *ca, const char *asked,
    struct cert_verdict *v)
{
	char *names[] = { (char *)(uintptr_t)asked };
	struct target target = { .names = names, .nnames = 1 };
	struct trust t = trust_of(ca, "");

	return judge(&t, sent, &target, 0, v);
}

static bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

/* What holds of every verdict, whatever it says. */
static bool
is_sound(const struct cert_verdict *v)
{
	if (!is_printable(v->text) || !is_printable(v->hint) ||
	    !is_printable(v->name) || !is_printable(v->warning))
		return false;
	if (v->accepted)
		return v->reason == REASON_NONE && v->text[0] == '\0' &&
		    v->x509_error == X509_V_OK &&
		    v->legacy == (v->warning[0] != '\0');
	return v->reason != REASON_NONE && v->text[0] != '\0' &&
	    v->x509_error != X509_V_OK && v->verified == VERIFIED_NONE;
}

/*
 * The tests
 */

static void
expect(const struct row *row, struct trust *t, enum reason want)
{
	char *names[] = { (char *)(uintptr_t)row->asked };
	struct target target = { .names = names, .nnames = 1 };
	struct cert_verdict v;
	bool right;

	(void)judge(t, row->sent, &target, 0, &v);
	right = v.reason == want && is_sound(&v);
	CU_ASSERT_TRUE(right);
	if (!right)
		(void)printf("%s as %s, ca %s, crl \"%s\", %s%s: %s, not %s:"
			     " %s\n",
		    row->sent, row->asked, row->ca, row->crl,
		    ssl_mode_name(t->mode),
		    t->profile == X509_PROFILE_WEBPKI ? " webpki" : "",
		    reason_name(v.reason), reason_name(want), v.text);
}

static void
every_certificate_has_its_verdict(void)
{
	static const enum ssl_mode modes[] = { SSL_MODE_VERIFY_CA,
		SSL_MODE_VERIFY_FULL };
	const struct row *row;
	struct trust t;
	size_t m;

	for (row = matrix; row < matrix + ROWS; row++) {
		for (m = 0; m < 2; m++) {
			t = trust_of(row->ca, row->crl);
			t.mode = modes[m];
			expect(row, &t, row->plain[m]);
			t = trust_of(row->ca, row->crl);
			t.mode = modes[m];
			t.profile = X509_PROFILE_WEBPKI;
			expect(row, &t, row->webpki[m]);
		}
	}
}

static void
require_checks_nothing(void)
{
	const struct row *row;
	struct trust t = { .mode = SSL_MODE_REQUIRE, .seclevel = 2 };

	for (row = matrix; row < matrix + ROWS; row++)
		expect(row, &t, REASON_NONE);
}

static void
pin_is_all_that_require_checks(void)
{
	struct trust t = { .mode = SSL_MODE_REQUIRE, .seclevel = 2 };
	STACK_OF(X509) *chain = chain_of("expired");
	uint8_t pins[2][32] = { { 0 } };
	struct target target = { .pins = pins, .npins = 2 };
	char pin[CERT_PIN_MAX];
	struct cert_verdict v;

	(void)cert_spki_digest(sk_X509_value(chain, 0), pins[1]);
	cert_pin_text(sk_X509_value(chain, 0), pin);
	sk_X509_pop_free(chain, X509_free);
	CU_ASSERT_TRUE(judge(&t, "expired", &target, 0, &v));
	CU_ASSERT_EQUAL(v.verified, VERIFIED_PIN);

	pins[1][31] ^= 1;
	CU_ASSERT_FALSE(judge(&t, "expired", &target, 0, &v));
	CU_ASSERT_EQUAL(v.reason, REASON_PIN_MISMATCH);
	CU_ASSERT_TRUE(is_sound(&v));
	CU_ASSERT_PTR_NOT_NULL(strstr(v.hint, pin));
}

static void
pin_counts_beside_the_chain(void)
{
	char *names[] = { (char[]){ "db.test" } };
	uint8_t pins[1][32];
	struct target target = { .names = names,
		.nnames = 1,
		.pins = pins,
		.npins = 1 };
	STACK_OF(X509) *chain = chain_of("good");
	struct trust t = trust_of("ca.crt", "");
	struct cert_verdict v;

	(void)cert_spki_digest(sk_X509_value(chain, 0), pins[0]);
	sk_X509_pop_free(chain, X509_free);
	CU_ASSERT_TRUE(judge(&t, "good", &target, 0, &v));
	CU_ASSERT_EQUAL(v.verified, VERIFIED_FULL);

	t = trust_of("ca.crt", "");
	CU_ASSERT_FALSE(judge(&t, "upper", &target, 0, &v));
	CU_ASSERT_EQUAL(v.reason, REASON_PIN_MISMATCH);

	/* The right key does not make up for a wrong chain. */
	t = trust_of("ca2.crt", "");
	CU_ASSERT_FALSE(judge(&t, "good", &target, 0, &v));
	CU_ASSERT_EQUAL(v.reason, REASON_UNTRUSTED);
}

static void
anchor_and_name_are_told(void)
{
	static const uint8_t none[32];
	struct cert_verdict v;
	uint8_t digest[32];
	STACK_OF(X509) *chain;

	CU_ASSERT_TRUE(judge_simply("good", "ca2.crt ca.crt", "db.test", &v));
	CU_ASSERT_STRING_EQUAL(v.name, "db.test");
	CU_ASSERT_EQUAL(v.verified, VERIFIED_FULL);
	CU_ASSERT_FALSE(v.legacy);
	chain = chain_of("ca");
	(void)cert_fingerprint(sk_X509_value(chain, 0), digest);
	sk_X509_pop_free(chain, X509_free);
	CU_ASSERT_EQUAL(memcmp(v.anchor, digest, 32), 0);
	chain = chain_of("good");
	(void)cert_fingerprint(sk_X509_value(chain, 0), digest);
	sk_X509_pop_free(chain, X509_free);
	CU_ASSERT_EQUAL(memcmp(v.leaf, digest, 32), 0);

	CU_ASSERT_FALSE(judge_simply("unknown", "ca.crt", "db.test", &v));
	CU_ASSERT_EQUAL(memcmp(v.anchor, none, 32), 0);
}

static void
missing_ca_is_named(void)
{
	struct cert_verdict v;

	CU_ASSERT_FALSE(judge_simply("unknown", "ca.crt", "db.test", &v));
	CU_ASSERT_PTR_NOT_NULL(strstr(v.text, "CN=ca2,O=dbtls test"));
	CU_ASSERT_PTR_NOT_NULL(strstr(v.hint, "CN=ca2,O=dbtls test"));
	CU_ASSERT_FALSE(judge_simply("inter-leaf", "ca.crt", "db.test", &v));
	CU_ASSERT_PTR_NOT_NULL(strstr(v.hint, "CN=inter,O=dbtls test"));
}

static void
expiry_is_dated(void)
{
	struct cert_verdict v;

	CU_ASSERT_FALSE(judge_simply("expired", "ca.crt", "db.test", &v));
	CU_ASSERT_STRING_EQUAL(v.text,
	    "server certificate has expired at 2021-01-01T00:00:00Z");
	CU_ASSERT_FALSE(judge_simply("notyet", "ca.crt", "db.test", &v));
	CU_ASSERT_STRING_EQUAL(v.text,
	    "server certificate is not valid yet,"
	    " but from 2044-01-01T00:00:00Z");
}

static void
wrong_name_lists_the_right_ones(void)
{
	struct cert_verdict v;

	CU_ASSERT_FALSE(judge_simply("many", "ca.crt", "x.test", &v));
	CU_ASSERT_STRING_EQUAL(v.text,
	    "server certificate is for a.test,"
	    " b.test, db.test, *.c.test, not x.test");
	CU_ASSERT_PTR_NOT_NULL(strstr(v.hint, "server_name = \"a.test\""));
	CU_ASSERT_FALSE(judge_simply("noname", "ca.crt", "db.test", &v));
	CU_ASSERT_PTR_NOT_NULL(strstr(v.text, "no name at all"));
	CU_ASSERT_FALSE(judge_simply("nul", "ca.crt", "db.test", &v));
	CU_ASSERT_PTR_NOT_NULL(strstr(v.text, "db.test\\x00.evil.test"));
	CU_ASSERT_PTR_NULL(strstr(v.hint, "server_name = "));
	/* It would still not match. */
	CU_ASSERT_FALSE(judge_simply("dot", "ca.crt", "db.test", &v));
	CU_ASSERT_PTR_NULL(strstr(v.hint, "server_name = "));
	CU_ASSERT_FALSE(judge_simply("wildcard", "ca.crt", "a.b.test", &v));
	CU_ASSERT_PTR_NULL(strstr(v.hint, "server_name = "));
}

static void
long_names_leave_whole_sentences(void)
{
	char a[300], *names[] = { a, a, a };
	struct target target = { .names = names, .nnames = 3 };
	struct trust t = trust_of("ca.crt", "");
	struct cert_verdict v;

	memset(a, '\n', sizeof(a) - 1);
	a[sizeof(a) - 1] = '\0';
	CU_ASSERT_FALSE(judge(&t, "many", &target, 0, &v));
	CU_ASSERT_TRUE(is_sound(&v));
	CU_ASSERT_STRING_EQUAL(v.text + strlen(v.text) - 4, "\\x0a");
	t = trust_of("ca.crt", "");
	target.server_dn = a;
	CU_ASSERT_FALSE(judge(&t, "dn", &target, 0, &v));
	CU_ASSERT_TRUE(is_sound(&v));
}

static void
legacy_is_a_warning(void)
{
	struct cert_verdict v;

	CU_ASSERT_TRUE(judge_simply("v1", "ca.crt", "db.test", &v));
	CU_ASSERT_PTR_NOT_NULL(strstr(v.warning, "version 1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(v.warning, "only in the CN"));
	CU_ASSERT_TRUE(judge_simply("cn", "ca.crt", "db.test", &v));
	CU_ASSERT_PTR_NOT_NULL(strstr(v.warning, "only in the CN"));
	CU_ASSERT_TRUE(judge_simply("plain-leaf", "plain.crt", "db.test", &v));
	CU_ASSERT_PTR_NOT_NULL(strstr(v.warning, "no keyUsage"));
	CU_ASSERT_TRUE(judge_simply("old-leaf", "old.crt", "db.test", &v));
	CU_ASSERT_PTR_NOT_NULL(strstr(v.warning, "anchor has expired"));
}

static void
no_cn_means_none(void)
{
	char *names[] = { (char[]){ "db.test" } };
	struct target target = { .names = names, .nnames = 1 };
	struct trust t = trust_of("ca.crt", "");
	struct cert_verdict v;

	t.allow_cn = false;
	CU_ASSERT_FALSE(judge(&t, "cn", &target, 0, &v));
	CU_ASSERT_EQUAL(v.reason, REASON_NAME_MISMATCH);
	CU_ASSERT_PTR_NOT_NULL(strstr(v.hint, "CN does not count"));
}

static void
expired_crl_may_warn_and_still_revokes(void)
{
	char *names[] = { (char[]){ "db.test" } };
	struct target target = { .names = names, .nnames = 1 };
	struct trust t = trust_of("ca.crt", "crl-expired.pem");
	struct cert_verdict v;

	t.crl_expired_warns = true;
	CU_ASSERT_TRUE(judge(&t, "good", &target, 0, &v));
	CU_ASSERT_PTR_NOT_NULL(strstr(v.warning, "CRL"));
	t.anchors = trust_of("ca.crt", "crl-expired.pem").anchors;
	CU_ASSERT_FALSE(judge(&t, "revoked", &target, 0, &v));
	CU_ASSERT_EQUAL(v.reason, REASON_REVOKED);
	/* One that is missing altogether is no expired one. */
	t.anchors = trust_of("ca.crt", "crl-nc.pem").anchors;
	CU_ASSERT_FALSE(judge(&t, "good", &target, 0, &v));
	CU_ASSERT_EQUAL(v.reason, REASON_CRL_EXPIRED);
}

static void
time_is_the_one_asked_about(void)
{
	char *names[] = { (char[]){ "db.test" } };
	struct target target = { .names = names, .nnames = 1 };
	struct trust t = trust_of("ca.crt", "");
	struct cert_verdict v;

	CU_ASSERT_FALSE(judge(&t, "good", &target, AFTER_ALL, &v));
	CU_ASSERT_EQUAL(v.reason, REASON_EXPIRED);
	t = trust_of("ca.crt", "");
	CU_ASSERT_TRUE(judge(&t, "expired", &target, 1590000000, &v));
	/* Of an anchor only; what a server shows must be in date. */
	t = trust_of("selfsigned.crt", "");
	CU_ASSERT_FALSE(judge(&t, "selfsigned", &target, AFTER_ALL, &v));
	CU_ASSERT_EQUAL(v.reason, REASON_EXPIRED);
}

static void
lower_level_admits_weak_keys_but_not_webpki(void)
{
	char *names[] = { (char[]){ "db.test" } };
	struct target target = { .names = names, .nnames = 1 };
	struct trust t = trust_of("ca.crt", "");
	struct cert_verdict v;

	t.seclevel = 0;
	CU_ASSERT_TRUE(judge(&t, "weak", &target, 0, &v));
	t = trust_of("ca.crt", "");
	t.seclevel = 0;
	t.profile = X509_PROFILE_WEBPKI;
	CU_ASSERT_FALSE(judge(&t, "weak", &target, 0, &v));
	CU_ASSERT_EQUAL(v.reason, REASON_WEAK);
}

static void
clients_are_judged_as_clients(void)
{
	static const struct {
		const char *sent;
		enum reason want;
	} rows[] = {
		{ "client", REASON_NONE },
		{ "good", REASON_WRONG_USAGE },
		{ "eku", REASON_NONE },
		{ "client-bad", REASON_UNTRUSTED },
	};
	struct cert_verdict v;
	struct trust t;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		t = trust_of("clients.crt ca.crt", "");
		t.client = true;
		(void)judge(&t, rows[i].sent, NULL, 0, &v);
		CU_ASSERT_EQUAL(v.reason, rows[i].want);
		CU_ASSERT_TRUE(is_sound(&v));
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(v.text, "client certificate"));
}

static void
nothing_sent_is_refused(void)
{
	STACK_OF(X509) *empty = sk_X509_new_null();
	struct trust t = { .mode = SSL_MODE_REQUIRE };
	struct cert_verdict v;

	CU_ASSERT_FALSE(trust_judge(&t, NULL, empty, NULL, 0, &v));
	CU_ASSERT_TRUE(is_sound(&v));
	CU_ASSERT_FALSE(trust_judge(&t, NULL, NULL, NULL, 0, &v));
	sk_X509_free(empty);
}

static void
no_anchors_no_names_fail_closed(void)
{
	struct target nobody = { .names = NULL };
	struct trust t = trust_of("ca.crt", "");
	struct cert_verdict v;

	CU_ASSERT_FALSE(judge(&t, "good", &nobody, 0, &v));
	CU_ASSERT_EQUAL(v.reason, REASON_NAME_MISMATCH);
	/* `t` has no anchors any more. */
	CU_ASSERT_FALSE(judge(&t, "good", &nobody, 0, &v));
	CU_ASSERT_EQUAL(v.reason, REASON_UNTRUSTED);
	CU_ASSERT_TRUE(is_sound(&v));
}

static void
every_error_of_openssl_has_words(void)
{
	const struct x509_words *words;
	int e;

	for (e = X509_V_ERR_UNSPECIFIED; e <= X509_V_ERR_EC_KEY_EXPLICIT_PARAMS;
	     e++) {
		words = x509_words(e);
		CU_ASSERT_EQUAL(words->error, e);
		CU_ASSERT_TRUE(reason_is_refusal(words->reason));
		CU_ASSERT_TRUE(words->sentence[0] != '\0');
	}
	CU_ASSERT_TRUE(reason_is_refusal(x509_words(100000)->reason));
}

/* Whoever may set the environment does not choose whom we trust. */
static void
environment_changes_nothing(void)
{
	char path[PATH_MAX_LEN];
	struct anchors *a = anchors_new(), *b = anchors_new();
	struct err err;
	int without;

	path_of("ca", path);
	without = anchors_add_file(a, "system", &err);
	CU_ASSERT_EQUAL(setenv("SSL_CERT_FILE", path, 1), 0);
	CU_ASSERT_EQUAL(setenv("SSL_CERT_DIR", CERTS_DIR, 1), 0);
	CU_ASSERT_EQUAL(anchors_add_file(b, "system", &err), without);
	CU_ASSERT_EQUAL(sk_X509_num(a->certs), sk_X509_num(b->certs));
	CU_ASSERT_EQUAL(unsetenv("SSL_CERT_FILE"), 0);
	CU_ASSERT_EQUAL(unsetenv("SSL_CERT_DIR"), 0);
	anchors_release(a);
	anchors_release(b);
}

/* Threads share the certificates, and each has a store. */
static void *
judge_often(void *arg)
{
	static char name[] = "db.test";
	const struct trust *t = arg;
	char *names[] = { name };
	struct target target = { .names = names, .nnames = 1 };
	STACK_OF(X509) *good = chain_of("inter-leaf.chain.pem");
	STACK_OF(X509) *bad = chain_of("revoked");
	struct cert_verdict v;
	struct err err;
	X509_STORE *store = anchors_store(t->anchors, &err);
	intptr_t wrong = 0;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		wrong += !trust_judge(t, store, good, &target, 0, &v);
		wrong += trust_judge(t, store, bad, &target, 0, &v);
		wrong += v.reason != REASON_REVOKED;
	}
	X509_STORE_free(store);
	sk_X509_pop_free(good, X509_free);
	sk_X509_pop_free(bad, X509_free);
	return (void *)wrong;
}

static void
threads_share_anchors(void)
{
	struct trust t = trust_of("bundle.pem", "crl.pem");
	pthread_t threads[THREADS];
	void *wrong;
	size_t i;

	for (i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(
		    pthread_create(&threads[i], NULL, judge_often, &t), 0);
	for (i = 0; i < THREADS; i++) {
		CU_ASSERT_EQUAL(pthread_join(threads[i], &wrong), 0);
		CU_ASSERT_PTR_NULL(wrong);
	}
	anchors_release(t.anchors);
}

static CU_TestInfo tests[] = {
	{ "every_certificate_has_its_verdict",
	    every_certificate_has_its_verdict },
	{ "require_checks_nothing", require_checks_nothing },
	{ "pin_is_all_that_require_checks", pin_is_all_that_require_checks },
	{ "pin_counts_beside_the_chain", pin_counts_beside_the_chain },
	{ "anchor_and_name_are_told", anchor_and_name_are_told },
	{ "missing_ca_is_named", missing_ca_is_named },
	{ "expiry_is_dated", expiry_is_dated },
	{ "wrong_name_lists_the_right_ones", wrong_name_lists_the_right_ones },
	{ "long_names_leave_whole_sentences",
	    long_names_leave_whole_sentences },
	{ "legacy_is_a_warning", legacy_is_a_warning },
	{ "no_cn_means_none", no_cn_means_none },
	{ "expired_crl_may_warn_and_still_revokes",
	    expired_crl_may_warn_and_still_revokes },
	{ "time_is_the_one_asked_about", time_is_the_one_asked_about },
	{ "lower_level_admits_weak_keys_but_not_webpki",
	    lower_level_admits_weak_keys_but_not_webpki },
	{ "clients_are_judged_as_clients", clients_are_judged_as_clients },
	{ "nothing_sent_is_refused", nothing_sent_is_refused },
	{ "no_anchors_no_names_fail_closed", no_anchors_no_names_fail_closed },
	{ "every_error_of_openssl_has_words",
	    every_error_of_openssl_has_words },
	{ "environment_changes_nothing", environment_changes_nothing },
	{ "threads_share_anchors", threads_share_anchors },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "trust", NULL, NULL, NULL, NULL, tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	return unit_run(suites);
}
