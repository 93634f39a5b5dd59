/* What negotiators borrow: whose key an endpoint has, and that it works. */
#include <stddef.h>
#include <string.h>

#include <CUnit/CUnit.h>
#include <openssl/err.h>

#include "conf/rsakey.h"
#include "proxy/secrets.h"
#include "tests/unit/unit.h"

#define ROOM 1024

struct options {
	int other;
	struct rsakey *key;
};

static const char *const words[] = { "one", NULL };
static const struct neg_option options[] = {
	{ .name = "other", .kind = NEG_OPTION_CHOICE, .choices = words },
	{ .name = "key",
	    .kind = NEG_OPTION_RSA_PRIVATE,
	    .offset = offsetof(struct options, key) },
	{ .name = NULL },
};
static const struct neg_ops with_key = { .name = "with",
	.options = options,
	.options_size = sizeof(struct options) };
static const struct neg_ops without = { .name = "without" };

static struct rd
text_rd(const char *text)
{
	return (struct rd){ .at = (const uint8_t *)text, .left = strlen(text) };
}

static bool
same_key(const struct neg_services *a, const struct neg_services *b)
{
	return a->rsa_public.left > 0 &&
	    rd_equals(a->rsa_public, b->rsa_public.at, b->rsa_public.left);
}

static void
nobody_needs_a_key(void)
{
	struct endpoint e = { .ops = &without };
	const struct endpoint *const list[] = { &e };
	uint8_t room[ROOM];
	struct wr to = { .base = room, .cap = sizeof(room) };
	const struct neg_services *s;
	struct secrets *secrets;
	struct err err;

	secrets = secrets_new(list, 1, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(secrets);
	s = secrets_services(secrets)[0];
	CU_ASSERT_EQUAL(s->rsa_public.left, 0);
	CU_ASSERT_PTR_NULL(secrets_rsa_sha256(secrets, 0));
	CU_ASSERT_FALSE(s->rsa_open(s, text_rd("x"), &to));
	CU_ASSERT_EQUAL(to.len, 0);
	secrets_free(secrets);
	secrets = secrets_new(NULL, 0, &err);
	CU_ASSERT_PTR_NOT_NULL(secrets);
	secrets_free(secrets);
	secrets_free(NULL);
}

/* Made once for all that have none of their own. */
static void
keys_are_configured_or_made(void)
{
	struct err err;
	struct rsakey *own = rsakey_make(&err);
	struct options configured = { .key = own }, none = { .key = NULL };
	struct endpoint e[] = {
		{ .ops = &with_key, .options = &none },
		{ .ops = &without },
		{ .ops = &with_key, .options = &configured },
		{ .ops = &with_key, .options = &none },
	};
	const struct endpoint *const list[] = { &e[0], &e[1], &e[2], &e[3] };
	const struct neg_services *const *s;
	struct secrets *secrets = secrets_new(list, 4, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(secrets);
	s = secrets_services(secrets);
	CU_ASSERT_TRUE(same_key(s[0], s[3]));
	CU_ASSERT_FALSE(same_key(s[0], s[2]));
	CU_ASSERT_TRUE(rd_equals(s[2]->rsa_public, rsakey_public(own).at,
	    rsakey_public(own).left));
	CU_ASSERT_EQUAL(s[1]->rsa_public.left, 0);
	CU_ASSERT_EQUAL(memcmp(secrets_rsa_sha256(secrets, 2),
			    rsakey_sha256(own), RSAKEY_DIGEST_LEN),
	    0);
	CU_ASSERT_PTR_EQUAL(secrets_rsa_sha256(secrets, 0),
	    secrets_rsa_sha256(secrets, 3));
	/* The configuration may go first. */
	rsakey_release(own);
	CU_ASSERT_TRUE(s[2]->rsa_public.at[0] == '-');
	secrets_free(secrets);
}

static void
services_open_and_seal(void)
{
	struct options none = { .key = NULL };
	struct endpoint e = { .ops = &with_key, .options = &none };
	const struct endpoint *const list[] = { &e, &e };
	uint8_t sealed[ROOM], plain[ROOM];
	struct wr to = { .base = sealed, .cap = sizeof(sealed) };
	struct wr back = { .base = plain, .cap = sizeof(plain) };
	const struct neg_services *s;
	struct secrets *secrets;
	struct err err;

	secrets = secrets_new(list, 2, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(secrets);
	s = secrets_services(secrets)[1];
	CU_ASSERT_TRUE(s->rsa_seal(s, s->rsa_public, text_rd("secret"), &to));
	CU_ASSERT_TRUE(to.len > 0 && to.len <= NEG_RSA_MAX);
	CU_ASSERT_TRUE(s->rsa_open(s, wr_written(&to), &back));
	CU_ASSERT_TRUE(rd_equals_string(wr_written(&back), "secret"));
	sealed[0] ^= 1;
	back.len = 0;
	CU_ASSERT_FALSE(s->rsa_open(s, wr_written(&to), &back));
	CU_ASSERT_EQUAL(back.len, 0);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	secrets_free(secrets);
}

/* FIPS 180-2: "abc"; and of nothing. */
static void
parts_are_hashed_as_one(void)
{
	static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf };
	static const uint8_t empty[] = { 0xe3, 0xb0, 0xc4, 0x42 };
	struct endpoint e = { .ops = &without };
	const struct endpoint *const list[] = { &e };
	struct rd parts[] = { text_rd("a"), text_rd(""), text_rd("bc") };
	uint8_t digest[NEG_DIGEST_LEN];
	const struct neg_services *s;
	struct secrets *secrets;
	struct err err;

	secrets = secrets_new(list, 1, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(secrets);
	s = secrets_services(secrets)[0];
	CU_ASSERT_TRUE(s->sha256(s, parts, 3, digest));
	CU_ASSERT_EQUAL(memcmp(digest, abc, sizeof(abc)), 0);
	CU_ASSERT_TRUE(s->sha256(s, parts, 0, digest));
	CU_ASSERT_EQUAL(memcmp(digest, empty, sizeof(empty)), 0);
	secrets_free(secrets);
}

static CU_TestInfo tests[] = {
	{ "nobody_needs_a_key", nobody_needs_a_key },
	{ "keys_are_configured_or_made", keys_are_configured_or_made },
	{ "services_open_and_seal", services_open_and_seal },
	{ "parts_are_hashed_as_one", parts_are_hashed_as_one },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ .pName = "secrets", .pTests = tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	return unit_run(suites);
}
