/*
 * Keys that passwords are sealed under, with the openssl program as a second
 * opinion.
 */
#include <sys/stat.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>
#include <openssl/err.h>

#include "conf/certfile.h"
#include "conf/rsakey.h"
#include "tests/unit/unit.h"

#define PATH_LEN   128
#define KEY_BYTES  (RSAKEY_BITS_MIN / 8)
#define OAEP_BYTES 42 /* of SHA-1: what the padding takes of a key's size */
#define ROOM       1024
#define OAEP       "-pkeyopt rsa_padding_mode:oaep "

static char scratch[] = "/tmp/dbtls-rsakey-XXXXXX";

static const char password[] = "p\xc3\xa4ssword \xe2\x9c\x93";

static int sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* In the folder of scratch; its exit status. */
static int
sh(const char *fmt, ...)
{
	char words[1024], line[1200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	(void)snprintf(line, sizeof(line),
	    "cd %s && umask 077 && { %s; } 2>/dev/null", scratch, words);
	return system(line);
}

static const char *
in_scratch(const char *name, char path[PATH_LEN])
{
	(void)snprintf(path, PATH_LEN, "%s/%s", scratch, name);
	return path;
}

static void
save(const char *name, const void *bytes, size_t len)
{
	char path[PATH_LEN];
	FILE *f = fopen(in_scratch(name, path), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(bytes, 1, len, f), len);
	CU_ASSERT_EQUAL(fclose(f), 0);
}

static struct rd
load(const char *name, uint8_t bytes[ROOM])
{
	char path[PATH_LEN];
	FILE *f = fopen(in_scratch(name, path), "r");
	struct rd r = { .at = bytes };

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	r.left = fread(bytes, 1, ROOM, f);
	(void)fclose(f);
	return r;
}

static struct rd
text_rd(const char *text)
{
	return (struct rd){ .at = (const uint8_t *)text, .left = strlen(text) };
}

static struct wr
wr_on(uint8_t *bytes, size_t room)
{
	return (struct wr){ .base = bytes, .cap = room };
}

static struct rsakey *
key_load(const char *name, struct err *err)
{
	char path[PATH_LEN];

	err->text[0] = '\0';
	return rsakey_load(in_scratch(name, path), err);
}

static struct rsakey *
key_good(const char *name)
{
	struct err err;
	struct rsakey *k = key_load(name, &err);

	if (k == NULL)
		(void)fprintf(stderr, "\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	return k;
}

/* Not opened, nothing said, and nothing left behind. */
static void
expect_shut(const struct rsakey *k, struct rd sealed)
{
	uint8_t bytes[ROOM] = { 0 };
	struct wr plain = wr_on(bytes, sizeof(bytes));
	static const uint8_t nothing[ROOM];

	CU_ASSERT_FALSE(rsakey_open(k, sealed, &plain));
	CU_ASSERT_EQUAL(plain.len, 0);
	CU_ASSERT_FALSE(plain.full);
	CU_ASSERT_EQUAL(memcmp(bytes, nothing, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
}

static void
what_is_sealed_is_opened(void)
{
	struct err err;
	struct rsakey *k = rsakey_make(&err);
	uint8_t sealed[ROOM], plain[ROOM];
	struct wr to = wr_on(sealed, sizeof(sealed));
	struct wr back = wr_on(plain, sizeof(plain));

	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	CU_ASSERT_PTR_NULL(rsakey_path(k));
	CU_ASSERT_TRUE(rsakey_seal(rsakey_public(k), text_rd(password), &to));
	CU_ASSERT_EQUAL(to.len, KEY_BYTES);
	/* Behind what is there already. */
	wr_u8(&back, 'x');
	CU_ASSERT_TRUE(rsakey_open(k, wr_written(&to), &back));
	CU_ASSERT_EQUAL(back.len, 1 + strlen(password));
	CU_ASSERT_EQUAL(plain[0], 'x');
	CU_ASSERT_EQUAL(memcmp(plain + 1, password, strlen(password)), 0);
	rsakey_release(rsakey_retain(k));
	rsakey_release(k);
}

static void
openssl_opens_what_we_seal(void)
{
	struct rsakey *k = key_good("key.pem");
	uint8_t sealed[ROOM];
	struct wr to = wr_on(sealed, sizeof(sealed));

	CU_ASSERT_TRUE(rsakey_seal(rsakey_public(k), text_rd(password), &to));
	save("ours.bin", sealed, to.len);
	save("password", password, strlen(password));
	CU_ASSERT_EQUAL(sh("openssl pkeyutl -decrypt -inkey key.pem " OAEP
			   "-pkeyopt rsa_oaep_md:sha1 -in ours.bin | "
			   "cmp - password"),
	    0);
	rsakey_release(k);
}

static void
we_open_what_openssl_seals(void)
{
	struct rsakey *k = key_good("key.pem");
	uint8_t sealed[ROOM], plain[ROOM];
	struct wr back = wr_on(plain, sizeof(plain));

	save("password", password, strlen(password));
	CU_ASSERT_EQUAL(
	    sh("openssl pkeyutl -encrypt -pubin -inkey pub.pem " OAEP
	       "-pkeyopt rsa_oaep_md:sha1 -in password "
	       "-out theirs.bin"),
	    0);
	CU_ASSERT_TRUE(rsakey_open(k, load("theirs.bin", sealed), &back));
	CU_ASSERT_TRUE(rd_equals_string(wr_written(&back), password));
	rsakey_release(k);
}

static void
the_fingerprint_is_of_the_spki(void)
{
	struct rsakey *k = key_good("key.pem");
	uint8_t digest[ROOM], own[RSAKEY_DIGEST_LEN];

	CU_ASSERT_EQUAL(sh("openssl pkey -in key.pem -pubout -outform DER | "
			   "openssl dgst -sha256 -binary >spki.sha256"),
	    0);
	CU_ASSERT_TRUE(rd_equals(load("spki.sha256", digest), rsakey_sha256(k),
	    RSAKEY_DIGEST_LEN));
	CU_ASSERT_TRUE(rsakey_public_sha256(rsakey_public(k), own));
	CU_ASSERT_EQUAL(memcmp(own, rsakey_sha256(k), sizeof(own)), 0);
	CU_ASSERT_FALSE(rsakey_public_sha256(text_rd("nothing"), own));
	rsakey_release(k);
}

static void
another_padding_is_shut(void)
{
	static const char *const paddings[] = {
		"-pkeyopt rsa_padding_mode:pkcs1",
		OAEP "-pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256",
		OAEP "-pkeyopt rsa_oaep_md:sha1 -pkeyopt rsa_mgf1_md:sha256",
		OAEP "-pkeyopt rsa_oaep_md:sha1 -pkeyopt rsa_oaep_label:6d79",
	};
	struct rsakey *k = key_good("key.pem");
	uint8_t sealed[ROOM];
	size_t i;

	save("password", password, strlen(password));
	for (i = 0; i < sizeof(paddings) / sizeof(paddings[0]); i++) {
		CU_ASSERT_EQUAL(
		    sh("openssl pkeyutl -encrypt -pubin -inkey pub.pem %s "
		       "-in password -out other.bin",
			paddings[i]),
		    0);
		expect_shut(k, load("other.bin", sealed));
	}
	rsakey_release(k);
}

static void
what_was_changed_is_shut(void)
{
	struct rsakey *k = key_good("key.pem");
	uint8_t sealed[ROOM];
	struct wr to = wr_on(sealed, sizeof(sealed));
	struct rd r;

	CU_ASSERT_TRUE(rsakey_seal(rsakey_public(k), text_rd(password), &to));
	r = wr_written(&to);
	sealed[KEY_BYTES / 2] ^= 1;
	expect_shut(k, r);
	sealed[KEY_BYTES / 2] ^= 1;
	r.left = KEY_BYTES - 1;
	expect_shut(k, r);
	r.left = KEY_BYTES + 1;
	expect_shut(k, r);
	r.left = 0;
	expect_shut(k, r);
	memset(sealed, 0, sizeof(sealed));
	r.left = KEY_BYTES;
	expect_shut(k, r);
	memset(sealed, UINT8_MAX, sizeof(sealed)); /* above the modulus */
	expect_shut(k, r);
	rsakey_release(k);
}

static void
another_key_is_shut(void)
{
	struct rsakey *k = key_good("key.pem"), *other = key_good("other.pem");
	uint8_t sealed[ROOM];
	struct wr to = wr_on(sealed, sizeof(sealed));

	CU_ASSERT_TRUE(rsakey_seal(rsakey_public(k), text_rd(password), &to));
	expect_shut(other, wr_written(&to));
	rsakey_release(k);
	rsakey_release(other);
}

static void
lengths_are_kept(void)
{
	struct rsakey *k = key_good("key.pem");
	uint8_t sealed[ROOM], plain[ROOM] = { 0 };
	struct wr to = wr_on(sealed, sizeof(sealed));
	struct wr back = wr_on(plain, KEY_BYTES - OAEP_BYTES);
	struct rd longest = { .at = plain, .left = KEY_BYTES - OAEP_BYTES };

	CU_ASSERT_TRUE(rsakey_seal(rsakey_public(k), longest, &to));
	CU_ASSERT_TRUE(rsakey_open(k, wr_written(&to), &back));
	CU_ASSERT_EQUAL(back.len, KEY_BYTES - OAEP_BYTES);
	/* No room for it: not a part of it, either. */
	back = wr_on(plain, KEY_BYTES - OAEP_BYTES - 1);
	CU_ASSERT_FALSE(rsakey_open(k, wr_written(&to), &back));
	CU_ASSERT_EQUAL(back.len, 0);
	back = wr_on(plain, KEY_BYTES - OAEP_BYTES);
	wr_u8(&back, 0);
	CU_ASSERT_FALSE(rsakey_open(k, wr_written(&to), &back));
	CU_ASSERT_EQUAL(back.len, 1);
	to = wr_on(sealed, sizeof(sealed));
	longest.left++;
	CU_ASSERT_FALSE(rsakey_seal(rsakey_public(k), longest, &to));
	CU_ASSERT_EQUAL(to.len, 0);
	to = wr_on(sealed, KEY_BYTES - 1);
	CU_ASSERT_FALSE(rsakey_seal(rsakey_public(k), text_rd(password), &to));
	CU_ASSERT_EQUAL(to.len, 0);
	CU_ASSERT_FALSE(to.full);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	rsakey_release(k);
}

static void
nothing_is_sealed_under_nonsense(void)
{
	static const char *const pems[] = {
		"",
		"-----BEGIN PUBLIC KEY-----",
		"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"\x01\x02\x03",
	};
	uint8_t pem[ROOM * 2], sealed[ROOM];
	struct wr to = wr_on(sealed, sizeof(sealed));
	size_t i;

	for (i = 0; i < sizeof(pems) / sizeof(pems[0]); i++)
		CU_ASSERT_FALSE(
		    rsakey_seal(text_rd(pems[i]), text_rd(password), &to));
	CU_ASSERT_FALSE(
	    rsakey_seal(load("ec.pub", pem), text_rd(password), &to));
	CU_ASSERT_FALSE(
	    rsakey_seal(load("small.pub", pem), text_rd(password), &to));
	CU_ASSERT_EQUAL(to.len, 0);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
}

static void
private_keys_of_all_forms_load(void)
{
	static const char *const forms[] = { "key.pem", "pkcs1.pem", "key.der",
		"pkcs1.der", "crlf.pem", "big.pem" };
	size_t i;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct rsakey *k = key_good(forms[i]);
		char path[PATH_LEN];

		CU_ASSERT_STRING_EQUAL(rsakey_path(k),
		    in_scratch(forms[i], path));
		rsakey_release(k);
	}
}

static void
bad_private_keys_are_refused(void)
{
	static const struct {
		const char *name;
		const char *says;
	} rows[] = {
		{ "nowhere.pem", "No such file" },
		{ "open.pem", "its mode 0644 lets others at it; chmod 0600" },
		{ "group.pem", "its mode 0640 lets others at it" },
		{ "link.pem", "its mode 0644 lets others at it" },
		{ "ec.pem", "is no RSA key of 2048 to 8192 bits" },
		{ "pss.pem", "is no RSA key of 2048 to 8192 bits" },
		{ "small.pem", "is no RSA key of 2048 to 8192 bits" },
		{ "locked.pem", "is encrypted" },
		{ "pub.pem", "there is no private key in it" },
		{ "empty.pem", "there is no private key in it" },
		{ "damaged.der", "does not open what was sealed under it" },
	};
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_PTR_NULL(key_load(rows[i].name, &err));
		if (strstr(err.text, rows[i].says) == NULL)
			(void)fprintf(stderr, "\n%s: %s\n", rows[i].name,
			    err.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, rows[i].says));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, rows[i].name));
		CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	}
}

static void
public_keys_are_normalised(void)
{
	static const char *const forms[] = { "pub.pem", "pkcs1.pub",
		"around.pub", "crlf.pub" };
	struct rsakey *k = key_good("key.pem");
	struct rd want = rsakey_public(k);
	char path[PATH_LEN], *pem;
	struct err err;
	size_t i, len = 0;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		pem =
		    rsakey_read_public(in_scratch(forms[i], path), &len, &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pem);
		CU_ASSERT_TRUE(rd_equals(want, pem, len));
		free(pem);
	}
	rsakey_release(k);
}

static void
bad_public_keys_are_refused(void)
{
	static const struct {
		const char *name;
		const char *says;
	} rows[] = {
		{ "nowhere.pub", "No such file" },
		{ "key.pem", "there is a private key in it" },
		{ "both.pub", "there is a private key in it" },
		{ "two.pub", "there is more than one public key in it" },
		{ "ec.pub", "is no RSA key of 2048 to 8192 bits" },
		{ "small.pub", "is no RSA key of 2048 to 8192 bits" },
		{ "cert.pem", "there is no public key in it" },
		{ "empty.pem", "there is no public key in it" },
		{ "damaged.pub", "cannot be read" },
		{ "huge.pub", "larger than 1 MiB" },
	};
	char path[PATH_LEN];
	struct err err;
	size_t i, len = 0;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_PTR_NULL(rsakey_read_public(
		    in_scratch(rows[i].name, path), &len, &err));
		if (strstr(err.text, rows[i].says) == NULL)
			(void)fprintf(stderr, "\n%s: %s\n", rows[i].name,
			    err.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, rows[i].says));
		CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	}
}

static void
a_certificates_key_is_known(void)
{
	struct rsakey *k = key_good("key.pem"), *other = key_good("other.pem");
	char cert[PATH_LEN], key[PATH_LEN];
	struct keypair *pair;
	struct err err;

	pair = keypair_load(in_scratch("cert.pem", cert),
	    in_scratch("pkcs1.pem", key), NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pair);
	CU_ASSERT_TRUE(rsakey_is_of(k, pair));
	CU_ASSERT_FALSE(rsakey_is_of(other, pair));
	keypair_release(pair);
	pair = keypair_load(in_scratch("ec.crt", cert),
	    in_scratch("ec.pem", key), NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pair);
	CU_ASSERT_FALSE(rsakey_is_of(k, pair));
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	keypair_release(pair);
	rsakey_release(k);
	rsakey_release(other);
}

/* In the private exponent, and in what saves having to use it. */
static int
damage_key(void)
{
	return sh("cp pkcs1.der damaged.der && "
		  "printf dbtls | dd of=damaged.der bs=1 seek=400 "
		  "conv=notrunc && "
		  "printf dbtls | dd of=damaged.der bs=1 conv=notrunc "
		  "seek=$(($(stat -c %%s damaged.der) - 8))");
}

static int
make_keys(void)
{
	if (mkdtemp(scratch) == NULL ||
	    sh("openssl genrsa -out key.pem 2048 && "
	       "openssl genrsa -out other.pem 2048 && "
	       "openssl genrsa -out small.pem 1024 && "
	       "openssl genrsa -out big.pem 4096 && "
	       "openssl rsa -in key.pem -traditional -out pkcs1.pem && "
	       "openssl pkey -in key.pem -outform DER -out key.der && "
	       "openssl rsa -in key.pem -traditional -outform DER "
	       "-out pkcs1.der && "
	       "sed 's/$/\\r/' key.pem >crlf.pem && "
	       "openssl pkey -in key.pem -aes128 -passout pass:x "
	       "-out locked.pem && "
	       "openssl genpkey -algorithm EC -pkeyopt "
	       "ec_paramgen_curve:P-256 -out ec.pem && "
	       "openssl genpkey -algorithm RSA-PSS -pkeyopt "
	       "rsa_keygen_bits:2048 -out pss.pem") != 0 ||
	    damage_key() != 0 ||
	    sh("cp key.pem open.pem && chmod 0644 open.pem && "
	       "cp key.pem group.pem && chmod 0640 group.pem && "
	       "ln -s open.pem link.pem && : >empty.pem && "
	       "openssl req -x509 -key key.pem -subj /CN=a -out cert.pem && "
	       "openssl req -x509 -key ec.pem -subj /CN=a -out ec.crt") != 0)
		return -1;
	return sh("openssl pkey -in key.pem -pubout -out pub.pem && "
		  "openssl rsa -in key.pem -RSAPublicKey_out "
		  "-out pkcs1.pub && "
		  "openssl pkey -in ec.pem -pubout -out ec.pub && "
		  "openssl pkey -in small.pem -pubout -out small.pub && "
		  "{ echo before; cat pub.pem; echo after; } >around.pub && "
		  "sed 's/$/\\r/' pub.pem >crlf.pub && "
		  "cat pub.pem key.pem >both.pub && "
		  "cat pub.pem pkcs1.pub >two.pub && "
		  "sed '2s/^..../AAAA/' pub.pem >damaged.pub && "
		  "{ head -c 1048576 /dev/zero; cat pub.pem; } >huge.pub") == 0
	    ? 0
	    : -1;
}

static int
remove_keys(void)
{
	return sh("rm -r %s", scratch);
}

static CU_TestInfo tests[] = {
	{ "what_is_sealed_is_opened", what_is_sealed_is_opened },
	{ "openssl_opens_what_we_seal", openssl_opens_what_we_seal },
	{ "we_open_what_openssl_seals", we_open_what_openssl_seals },
	{ "the_fingerprint_is_of_the_spki", the_fingerprint_is_of_the_spki },
	{ "another_padding_is_shut", another_padding_is_shut },
	{ "what_was_changed_is_shut", what_was_changed_is_shut },
	{ "another_key_is_shut", another_key_is_shut },
	{ "lengths_are_kept", lengths_are_kept },
	{ "nothing_is_sealed_under_nonsense",
	    nothing_is_sealed_under_nonsense },
	{ "private_keys_of_all_forms_load", private_keys_of_all_forms_load },
	{ "bad_private_keys_are_refused", bad_private_keys_are_refused },
	{ "public_keys_are_normalised", public_keys_are_normalised },
	{ "bad_public_keys_are_refused", bad_public_keys_are_refused },
	{ "a_certificates_key_is_known", a_certificates_key_is_known },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ .pName = "rsakey",
	    .pInitFunc = make_keys,
	    .pCleanupFunc = remove_keys,
	    .pTests = tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	return unit_run(suites);
}
