/* Wallets of every kind, and each way in which one can be wrong. */
#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/CUnit.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "conf/certfile.h"
#include "conf/certfile_contents.h"
#include "conf/wallet.h"
#include "tests/unit/unit.h"
#include "tests/unit/wallets.h"

#define TRIPLE_DES NID_pbe_WithSHA1And3_Key_TripleDES_CBC
#define RC2_40     NID_pbe_WithSHA1And40BitRC2_CBC
#define PATH_LEN   128
#define PASSWORD   "correct horse"
#define BOMB       2000000000

static char scratch[] = "/tmp/dbtls-wallet-XXXXXX";

/* A root, and a leaf by it with its key. */
static struct {
	EVP_PKEY *ca_key, *key;
	X509 *ca, *cert;
} own;

static struct secret
text_secret(const char *s)
{
	return (struct secret){ .at = (const uint8_t *)s, .len = strlen(s) };
}

static struct wallet_words
words_of(const char *password)
{
	return (struct wallet_words){ .password = password,
		.password_len = password == NULL ? 0 : strlen(password),
		.password_file = password == NULL ? NULL : "pw" };
}

static bool
says(const struct err *err, const char *what)
{
	if (strstr(err->text, what) != NULL)
		return true;
	(void)printf("\"%s\" does not say \"%s\"\n", err->text, what);
	return false;
}

static struct piece
both_certs(void)
{
	return JOIN(bag_cert(own.ca), bag_cert(own.cert));
}

/* A wallet as orapki makes them: certificates, a key, a log-in. */
static struct piece
whole(int nid, int rounds, struct secret password)
{
	return pfx(
	    JOIN(safe_sealed(JOIN(both_certs(), bag_other()), nid, rounds,
		     password),
		safe_plain(bag_shrouded(own.key, nid, rounds, password))),
	    rounds, password);
}

static struct piece
with_head(struct head *h)
{
	struct piece head = head_make(h);

	return JOIN(head, whole(TRIPLE_DES, 1, head_secret(h)));
}

static int
read_piece(struct wallet *w, struct piece p, const struct wallet_words *words,
    struct err *err)
{
	/* Of just that size, for AddressSanitizer. */
	uint8_t *copy = malloc(p.len + (p.len == 0));
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, p.at, p.len);
	err->text[0] = '\0';
	rc = wallet_read(w, "w.sso", copy, p.len, words, err);
	free(copy);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	return rc;
}

static void
check_whole(const struct wallet *w)
{
	CU_ASSERT_EQUAL_FATAL(sk_X509_num(w->certs), 2);
	CU_ASSERT_EQUAL(X509_cmp(sk_X509_value(w->certs, 0), own.ca), 0);
	CU_ASSERT_EQUAL(X509_cmp(sk_X509_value(w->certs, 1), own.cert), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w->key);
	CU_ASSERT_EQUAL(EVP_PKEY_eq(w->key, own.key), 1);
	CU_ASSERT_EQUAL(w->passed_over, 1);
}

/* What refuses it says so; nothing is left to be freed. */
static void
refused(struct piece p, const struct wallet_words *words, const char *why)
{
	struct wallet w;
	struct err err;
	int rc = read_piece(&w, p, words, &err);

	CU_ASSERT_EQUAL(rc, -1);
	if (rc == 0)
		wallet_fini(&w);
	else
		CU_ASSERT_TRUE(says(&err, "w.sso: ") && says(&err, why));
}

static void
seal_head(struct head *h)
{
	size_t i;

	for (i = 0; i < sizeof(h->hidden); i++)
		h->hidden[i] = (uint8_t)(i * 7 + 1);
}

/*
 * Kinds
 */

static void
every_kind_opens_itself(void)
{
	static const struct {
		struct head head;
		enum wallet_kind kind;
		const char *seal;
	} rows[] = {
		{ { .kind = '6' }, WALLET_SSO, "AES-128" },
		{ { .kind = '7' }, WALLET_SSO, "AES-128" },
		{ { .kind = '6', .des = true }, WALLET_SSO, "DES" },
		{ { .kind = '8', .host = "ora1", .user = "oracle" },
		    WALLET_SSO_LOCAL, "AES-128" },
		{ { .kind = '8',
		      .des = true,
		      .host = "ora1",
		      .user = "oracle" },
		    WALLET_SSO_LOCAL, "DES" },
	};
	const struct wallet_words there = { .host = "ora1.example.com",
		.user = "oracle" };
	struct wallet w;
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct head h = rows[i].head;

		seal_head(&h);
		CU_ASSERT_EQUAL_FATAL(
		    read_piece(&w, with_head(&h), &there, &err), 0);
		CU_ASSERT_EQUAL(w.kind, rows[i].kind);
		CU_ASSERT_STRING_EQUAL(w.seal, rows[i].seal);
		check_whole(&w);
		wallet_fini(&w);
	}
}

static void
password_opens_every_cipher(void)
{
	static const struct {
		int nid;
		const char *ciphers;
	} rows[] = {
		{ TRIPLE_DES, "pbeWithSHA1And3-KeyTripleDES-CBC" },
		{ NID_aes_256_cbc, "aes-256-cbc" },
		{ RC2_40, "pbeWithSHA1And40BitRC2-CBC" },
	};
	const struct wallet_words words = words_of(PASSWORD);
	struct wallet w;
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(
		    read_piece(&w,
			whole(rows[i].nid, 10, text_secret(PASSWORD)), &words,
			&err),
		    0);
		CU_ASSERT_EQUAL(w.kind, WALLET_P12);
		CU_ASSERT_STRING_EQUAL(w.ciphers, rows[i].ciphers);
		check_whole(&w);
		wallet_fini(&w);
	}
}

/* Nor may it be found anywhere else in the program. */
static void
old_cipher_without_its_provider_is_told(void)
{
	const struct wallet_words words = words_of(PASSWORD), none = { 0 };
	struct piece old = whole(RC2_40, 1, text_secret(PASSWORD));
	struct head des = { .kind = '6', .des = true };
	struct wallet w;
	struct err err;

	CU_ASSERT_EQUAL(setenv("OPENSSL_MODULES", "/nonexistent", 1), 0);
	refused(old, &words, "RC2-CBC, which OpenSSL has only in its legacy");
	refused(pfx(safe_plain(bag_shrouded(own.key, TRIPLE_DES, 1,
			text_secret("other"))),
		    1, text_secret(PASSWORD)),
	    &words, "is damaged");
	/* Single DES is made of triple DES. */
	seal_head(&des);
	CU_ASSERT_EQUAL_FATAL(read_piece(&w, with_head(&des), &none, &err), 0);
	check_whole(&w);
	wallet_fini(&w);
	CU_ASSERT_EQUAL(unsetenv("OPENSSL_MODULES"), 0);
	CU_ASSERT_EQUAL_FATAL(read_piece(&w, old, &words, &err), 0);
	wallet_fini(&w);
	CU_ASSERT_PTR_NULL(EVP_CIPHER_fetch(NULL, "RC2-40-CBC", NULL));
	ERR_clear_error();
}

static void
password_that_is_wrong_or_missing_is_told(void)
{
	struct piece p = whole(TRIPLE_DES, 1, text_secret(PASSWORD));
	const struct wallet_words none = words_of(NULL), wrong = words_of("x");
	const struct wallet_words empty = words_of("");
	const struct secret nothing = { .at = NULL, .len = 0 };
	struct wallet w;
	struct err err;

	refused(p, &none, "needs a password; name a file");
	refused(p, &wrong, "does not open with the password in pw");
	CU_ASSERT_EQUAL(
	    read_piece(&w, whole(TRIPLE_DES, 1, text_secret("")), &empty, &err),
	    0);
	wallet_fini(&w);
	/* Not the same, but neither has a password. */
	CU_ASSERT_EQUAL_FATAL(
	    read_piece(&w, whole(TRIPLE_DES, 1, nothing), &none, &err), 0);
	check_whole(&w);
	wallet_fini(&w);
}

static void
local_wallet_is_of_one_user_on_one_host(void)
{
	static const struct wallet_words others[] = {
		{ .host = "ora2", .user = "oracle" },
		{ .host = "ora1", .user = "root" },
		{ .host = "ORA1", .user = "oracle" },
		{ .host = "nowhere", .user = NULL },
	};
	struct head h = { .kind = '8', .host = "ora1", .user = "oracle" };
	char name[300];
	struct wallet_words words = { .host = "ora1", .user = name };
	struct piece p;
	size_t i;

	seal_head(&h);
	p = with_head(&h);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		refused(p, &others[i],
		    "was made on another host or by another user");
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	words.host = name;
	words.user = name;
	refused(p, &words, "names so long");
}

static void
local_wallet_of_here_needs_no_words(void)
{
	const struct wallet_words none = { .host = NULL };
	struct wallet_words words = { .host = NULL };
	char here[256] = "";
	struct head h = { .kind = '8', .host = here, .user = "oracle" };
	struct wallet w;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(gethostname(here, sizeof(here) - 1), 0);
	here[strcspn(here, ".")] = '\0';
	seal_head(&h);
	words.user = "oracle";
	CU_ASSERT_EQUAL_FATAL(read_piece(&w, with_head(&h), &words, &err), 0);
	wallet_fini(&w);
	refused(with_head(&h), &none, "made on another host");
}

/* Of one byte in 128 two readers make different things. */
static void
both_ways_to_fold_are_tried(void)
{
	const struct wallet_words words = { .host = "ora1", .user = "oracle" };
	unsigned i, both = 0;

	for (i = 0; i < 60; i++) {
		struct head a = { .kind = '8',
			.host = "ora1",
			.user = "oracle",
			.hidden = { (uint8_t)i } };
		struct head b = a;
		struct wallet w;
		struct err err;

		b.top_is_128 = true;
		CU_ASSERT_EQUAL_FATAL(
		    read_piece(&w, with_head(&a), &words, &err), 0);
		wallet_fini(&w);
		CU_ASSERT_EQUAL_FATAL(
		    read_piece(&w, with_head(&b), &words, &err), 0);
		wallet_fini(&w);
		both += memcmp(a.password, b.password, sizeof(a.password)) != 0;
		pieces_free();
	}
	CU_ASSERT_TRUE(both > 0);
}

/*
 * What is spoilt
 */

static void
cut_anywhere_is_refused(void)
{
	static const struct head heads[] = { { .kind = '6' },
		{ .kind = '6', .des = true },
		{ .kind = '8', .host = "a", .user = "b" } };
	const struct wallet_words words = { .host = "a", .user = "b" };
	const struct wallet_words password = words_of(PASSWORD);
	struct piece p = whole(TRIPLE_DES, 1, text_secret(PASSWORD));
	size_t i, n;

	for (i = 0; i <= sizeof(heads) / sizeof(heads[0]); i++) {
		const struct wallet_words *with = &password;

		if (i > 0) {
			struct head h = heads[i - 1];

			p = with_head(&h);
			with = &words;
		}
		for (n = 0; n < p.len; n++)
			refused((struct piece){ .at = p.at, .len = n }, with,
			    "copy it again");
		refused(JOIN(p, piece("", 1)), with, "bytes behind its end");
		pieces_free();
		p = whole(TRIPLE_DES, 1, text_secret(PASSWORD));
	}
}

static void
header_that_lies_is_refused(void)
{
	static const struct {
		size_t at;
		uint8_t bytes[4];
		size_t n;
		const char *why;
	} rows[] = {
		{ 3, { '5' }, 1, "its kind is none" },
		{ 3, { '9' }, 1, "its kind is none" },
		{ 4, { 0, 0, 0, 5 }, 4, "version is 5" },
		{ 4, { 0, 0, 0, 7 }, 4, "version is none" },
		{ 4, { 6, 0, 0, 0 }, 4, "version is none" },
		{ 8, { 0, 0, 0, 0 }, 4, "is shorter" },
		{ 8, { 0, 0, 0, 1 }, 4, "cannot be read" },
		{ 8, { 0, 0, 0, 32 }, 4, "cannot be read" },
		{ 8, { 0, 0, 0, 34 }, 4, "cannot be read" },
		{ 8, { 0, 0, 0, 65 }, 4, "cannot be read" },
		{ 8, { 0, 1, 0, 0 }, 4, "is shorter" },
		{ 8, { 0xff, 0xff, 0xff, 0xff }, 4, "is shorter" },
		{ 12, { 0x05 }, 1, "it has no password" },
		{ 12, { 0x35 }, 1, "cannot be read" },
		{ 12, { 0x00 }, 1, "cannot be read" },
		{ 13, { 0x00 }, 1, "is damaged" },
		{ 44, { 0x00 }, 1, "is damaged" },
	};
	const struct wallet_words none = { .host = NULL };
	struct head h = { .kind = '6' };
	struct piece p;
	uint8_t *bytes;
	size_t i;

	seal_head(&h);
	p = with_head(&h);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bytes = malloc(p.len);
		CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
		memcpy(bytes, p.at, p.len);
		memcpy(bytes + rows[i].at, rows[i].bytes, rows[i].n);
		refused((struct piece){ .at = bytes, .len = p.len }, &none,
		    rows[i].why);
		free(bytes);
	}
}

static void
hexadecimal_of_a_des_header_is_checked(void)
{
	const struct wallet_words none = { .host = NULL };
	struct head h = { .kind = '6', .des = true };
	struct piece p, copy;
	uint8_t *bytes;
	size_t at;

	seal_head(&h);
	p = with_head(&h);
	for (at = 13; at < 77; at += 9) {
		copy = piece(p.at, p.len);
		bytes = malloc(p.len);
		CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
		memcpy(bytes, copy.at, p.len);
		bytes[at] = 'g';
		refused((struct piece){ .at = bytes, .len = p.len }, &none,
		    "cannot be read");
		free(bytes);
	}
}

/* Right check sums around what no wallet has. */
static void
contents_that_are_wrong_are_refused(void)
{
	const struct wallet_words words = words_of(PASSWORD);
	const struct secret s = text_secret(PASSWORD);
	struct piece key = bag_shrouded(own.key, TRIPLE_DES, 1, s);
	struct piece encrypted = der_oid("1.2.840.113549.1.7.6");
	struct piece deep = bag_cert(own.ca);
	unsigned i;

	refused(pfx(safe_plain(JOIN(key, key)), 1, s), &words,
	    "holds two private keys");
	refused(pfx(safe_plain(JOIN(key, bag_key(own.ca_key))), 1, s), &words,
	    "holds two private keys");
	/* CVE-2024-0727, and its like in code of ours. */
	refused(pfx(der(0x30, der_oid("1.2.840.113549.1.7.1")), 1, s), &words,
	    "is damaged");
	refused(pfx(der(0x30, encrypted), 1, s), &words, "is damaged");
	refused(pfx(SEQUENCE(der_oid("1.2.840.113549.1.7.3")), 1, s), &words,
	    "sealed for a public key");
	refused(pfx(safe_sealed(bag_cert(own.ca), TRIPLE_DES, 1,
			text_secret("another")),
		    1, s),
	    &words, "is damaged: a part");
	for (i = 0; i < 6; i++)
		deep = bag_of_bags(deep);
	refused(pfx(safe_plain(deep), 1, s), &words, "bags in bags");
	for (i = 0; i < 60; i++)
		deep = bag_of_bags(deep);
	refused(pfx(safe_plain(deep), 1, s), &words, "is damaged");
}

static void
bags_in_bags_are_read(void)
{
	const struct wallet_words words = words_of(PASSWORD);
	struct piece bags =
	    bag_of_bags(bag_of_bags(JOIN(both_certs(), bag_key(own.key))));
	struct wallet w;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(read_piece(&w,
				  pfx(safe_plain(JOIN(bags, bag_other())), 1,
				      text_secret(PASSWORD)),
				  &words, &err),
	    0);
	check_whole(&w);
	wallet_fini(&w);
}

/* Billions of rounds, in each place that can ask for them: told at once. */
static void
work_is_bounded(void)
{
	static const int nids[] = { TRIPLE_DES, NID_aes_256_cbc };
	const struct wallet_words words = words_of(PASSWORD);
	const struct secret s = text_secret(PASSWORD);
	struct piece many = bag_cert(own.ca);
	size_t i;

	refused(pfx(safe_plain(many), BOMB, s), &words, "more rounds");
	refused(pfx(safe_plain(many), -1, s), &words, "more rounds");
	for (i = 0; i < sizeof(nids) / sizeof(nids[0]); i++) {
		refused(pfx(safe_sealed(many, nids[i], BOMB, s), 1, s), &words,
		    "more rounds");
		refused(pfx(safe_plain(bag_shrouded(own.key, nids[i], BOMB, s)),
			    1, s),
		    &words, "more rounds");
	}
	for (i = 0; i < 13; i++)
		many = JOIN(many, many);
	refused(pfx(safe_plain(many), 1, s), &words, "more than any wallet");
}

/* OpenSSL computes the public half of these as it reads them; with numbers of
 * 16000 bytes that takes longer than anybody waits. */
static struct piece
key_to_be_computed(const char *kind, size_t size)
{
	uint8_t *bytes = malloc(size);
	struct piece n, parameters;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	memset(bytes, 0x77, size);
	n = der(0x02, piece(bytes, size));
	free(bytes);
	parameters = SEQUENCE(n, n, n);
	return SEQUENCE(der_number(0), SEQUENCE(der_oid(kind), parameters),
	    der(0x04, n));
}

static void
keys_that_take_hours_are_not_tried(void)
{
	static const char *const kinds[] = { "1.2.840.10040.4.1",
		"1.2.840.113549.1.3.1", "1.2.840.10046.2.1" };
	const struct wallet_words words = words_of(PASSWORD);
	struct piece bag;
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		bag = SEQUENCE(der_oid("1.2.840.113549.1.12.10.1.1"),
		    der(0xa0, key_to_be_computed(kinds[i], 16000)));
		refused(pfx(safe_plain(bag), 1, text_secret(PASSWORD)), &words,
		    "of a kind that cannot be used");
	}
}

/* The same length, so that only its own bytes change. */
static struct piece
replaced(struct piece p, const char *from, const char *to, size_t n)
{
	uint8_t *at = malloc(p.len), *found;
	struct piece made;

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	memcpy(at, p.at, p.len);
	found = memmem(at, p.len, from, n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	memcpy(found, to, n);
	made = piece(at, p.len);
	free(at);
	return made;
}

static void
check_sum_that_is_not_known_is_told(void)
{
	const struct wallet_words words = words_of(PASSWORD);
	const struct secret s = text_secret(PASSWORD);

	refused(replaced(pfx(safe_plain(both_certs()), 1, s),
		    "\x06\x05\x2b\x0e\x03\x02\x1a",
		    "\x06\x05\x2b\x0e\x03\x02\x7a", 7),
	    &words, "its check sum is made by 1.3.14.3.2.122");
}

/* ASN.1 has an error of the number that "unsupported" has elsewhere. */
static void
what_is_no_der_is_not_called_unsupported(void)
{
	const struct wallet_words words = words_of(PASSWORD);
	const struct secret s = text_secret(PASSWORD);
	struct piece flat = der(0xa0, piece("\x10\x00", 2));

	refused(pfx(safe_sealed(SEQUENCE(der_oid("1.2.42"), flat), TRIPLE_DES,
			1, s),
		    1, s),
	    &words, "is damaged: a part");
}

/*
 * As files
 */

static const char *
save(const char *name, struct piece p, mode_t mode, char path[PATH_LEN])
{
	int fd;

	(void)snprintf(path, PATH_LEN, "%s/%s", scratch, name);
	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	CU_ASSERT_NOT_EQUAL_FATAL(fd, -1);
	CU_ASSERT_EQUAL(write(fd, p.at, p.len), (ssize_t)p.len);
	CU_ASSERT_EQUAL(fchmod(fd, mode), 0);
	(void)close(fd);
	return path;
}

/* How many anchors a path gives; -1 with `err`. */
static int
anchors_of(const char *path, struct err *err)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	int n = -1;

	err->text[0] = '\0';
	if (certfile_read_anchors(path, NULL, certs, err) == 0)
		n = sk_X509_num(certs);
	if (n == 1)
		CU_ASSERT_EQUAL(X509_cmp(sk_X509_value(certs, 0), own.ca), 0);
	sk_X509_pop_free(certs, X509_free);
	return n;
}

static struct piece
auto_login(struct piece bags)
{
	struct head h = { .kind = '6' };
	struct piece head;

	seal_head(&h);
	head = head_make(&h);
	return JOIN(head, pfx(safe_plain(bags), 1, head_secret(&h)));
}

static void
anchors_are_all_but_its_own(void)
{
	struct piece key = bag_key(own.key), cert = bag_cert(own.cert);
	struct piece ca = bag_cert(own.ca), nothing = piece("", 0);
	char path[PATH_LEN];
	X509 *twin;
	struct err err;

	(void)save("a.sso", auto_login(JOIN(key, cert, ca, ca)), 0600, path);
	CU_ASSERT_EQUAL(anchors_of(path, &err), 1);
	/* Renewed with the same key: nobody else may be believed for it. */
	twin = cert_new("client", own.key, NULL, NULL);
	(void)save("a.sso", auto_login(JOIN(key, cert, bag_cert(twin), ca)),
	    0600, path);
	CU_ASSERT_EQUAL(anchors_of(path, &err), 1);
	(void)save("a.sso", auto_login(JOIN(key, cert, bag_cert(twin))), 0600,
	    path);
	CU_ASSERT_EQUAL(anchors_of(path, &err), -1);
	CU_ASSERT_TRUE(says(&err, "no certificate but that of its own key"));
	X509_free(twin);
	(void)save("a.sso", auto_login(JOIN(cert, ca)), 0644, path);
	CU_ASSERT_EQUAL(anchors_of(path, &err), 2);
	(void)save("a.sso", auto_login(JOIN(key, ca)), 0600, path);
	CU_ASSERT_EQUAL(anchors_of(path, &err), 1);
	(void)save("a.sso", auto_login(JOIN(key, cert)), 0600, path);
	CU_ASSERT_EQUAL(anchors_of(path, &err), -1);
	CU_ASSERT_TRUE(says(&err, "no certificate but that of its own key"));
	(void)save("a.sso", auto_login(nothing), 0600, path);
	CU_ASSERT_EQUAL(anchors_of(path, &err), -1);
	CU_ASSERT_TRUE(says(&err, "a wallet without a certificate"));
	(void)save("a.sso", auto_login(JOIN(key, ca)), 0640, path);
	CU_ASSERT_EQUAL(anchors_of(path, &err), -1);
	CU_ASSERT_TRUE(says(&err, "a.sso: holds a secret, but its mode 0640"));
}

static X509_ALGOR *
pbe2_of(int rounds)
{
	return PKCS5_pbe2_set(EVP_aes_256_cbc(), rounds, NULL, 8);
}

/* A key in PEM, sealed with `rounds` (of many it is only said), by scrypt where
 * they are 0. */
static struct piece
pem_key(EVP_PKEY *key, int rounds)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	X509_ALGOR *how = rounds == 0 ? PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(),
					    NULL, 8, NULL, 16384, 8, 1)
				      : pbe2_of(1);
	X509_SIG *sealed =
	    PKCS8_set0_pbe(PASSWORD, (int)strlen(PASSWORD), info, how);
	BIO *to = BIO_new(BIO_s_mem());
	X509_ALGOR *said = pbe2_of(rounds);
	struct piece p;
	char *at;
	long n;

	if (rounds > 1) {
		X509_SIG_getm(sealed, &how, NULL);
		CU_ASSERT_EQUAL(X509_ALGOR_copy(how, said), 1);
	}
	X509_ALGOR_free(said);
	CU_ASSERT_EQUAL_FATAL(PEM_write_bio_PKCS8(to, sealed), 1);
	n = BIO_get_mem_data(to, &at);
	p = piece(at, (size_t)n);
	BIO_free(to);
	X509_SIG_free(sealed);
	PKCS8_PRIV_KEY_INFO_free(info);
	return p;
}

/* An uploaded ewallet.pem, and any key, must not take longer either. */
static void
rounds_of_a_key_in_pem_are_bounded(void)
{
	char path[PATH_LEN], password[PATH_LEN];
	EVP_PKEY *key;
	struct err err;

	(void)save("pw", piece(PASSWORD "\n", 14), 0600, password);
	(void)save("a.sso", pem_key(own.key, 1), 0600, path);
	key = certfile_read_key(path, password, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	CU_ASSERT_EQUAL(EVP_PKEY_eq(key, own.key), 1);
	EVP_PKEY_free(key);
	(void)save("a.sso", pem_key(own.key, 0), 0600, path);
	key = certfile_read_key(path, password, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	EVP_PKEY_free(key);
	(void)save("a.sso", pem_key(own.key, BOMB), 0600, path);
	CU_ASSERT_PTR_NULL(certfile_read_key(path, password, &err));
	CU_ASSERT_TRUE(says(&err, "more rounds than any is"));
	(void)save("a.sso", key_to_be_computed("1.2.840.10040.4.1", 16000),
	    0600, path);
	CU_ASSERT_PTR_NULL(certfile_read_key(path, NULL, &err));
	CU_ASSERT_TRUE(says(&err, "that TLS has no use for"));
}

static void
identity_is_what_fits_the_key(void)
{
	struct piece key = bag_key(own.key), cert = bag_cert(own.cert);
	struct piece ca = bag_cert(own.ca);
	struct keypair *k;
	char path[PATH_LEN];
	struct err err;

	(void)save("a.sso", auto_login(JOIN(ca, cert, key)), 0600, path);
	k = keypair_load(path, NULL, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	CU_ASSERT_EQUAL(X509_cmp(k->leaf, own.cert), 0);
	CU_ASSERT_EQUAL_FATAL(sk_X509_num(k->chain), 1);
	CU_ASSERT_EQUAL(X509_cmp(sk_X509_value(k->chain, 0), own.ca), 0);
	keypair_release(k);
	CU_ASSERT_PTR_NULL(keypair_load(path, path, NULL, &err));
	CU_ASSERT_TRUE(says(&err, "has its key inside"));
	(void)save("a.sso", auto_login(JOIN(ca, cert)), 0600, path);
	CU_ASSERT_PTR_NULL(keypair_load(path, NULL, NULL, &err));
	CU_ASSERT_TRUE(says(&err, "has no private key in it"));
	(void)save("a.sso", auto_login(JOIN(ca, key)), 0600, path);
	CU_ASSERT_PTR_NULL(keypair_load(path, NULL, NULL, &err));
	CU_ASSERT_TRUE(says(&err, "no certificate that belongs to it"));
	(void)save("a.sso", auto_login(JOIN(ca, cert, key)), 0604, path);
	CU_ASSERT_PTR_NULL(keypair_load(path, NULL, NULL, &err));
	CU_ASSERT_TRUE(says(&err, "a.sso: holds a secret"));
}

static void
folder_means_the_wallet_in_it(void)
{
	struct piece ca = bag_cert(own.ca), cert = bag_cert(own.cert);
	struct wallet_access access = { .password_file = NULL };
	struct contents c;
	char path[PATH_LEN], password[PATH_LEN];
	struct err err;

	CU_ASSERT_EQUAL(anchors_of(scratch, &err), -1);
	CU_ASSERT_TRUE(says(&err, "a folder without a wallet"));
	(void)save("ewallet.pem", piece("x", 1), 0600, path);
	CU_ASSERT_EQUAL(contents_read(&c, scratch, &access, &err), -1);
	CU_ASSERT_TRUE(says(&err, "/ewallet.pem: there is nothing in it"));
	(void)save("ewallet.p12", pfx(safe_plain(ca), 1, text_secret(PASSWORD)),
	    0600, path);
	CU_ASSERT_EQUAL(contents_read(&c, scratch, &access, &err), -1);
	CU_ASSERT_TRUE(says(&err, "/ewallet.p12: needs a password"));
	access.password_file =
	    save("pw", piece(PASSWORD "\nmore\n", 19), 0600, password);
	CU_ASSERT_EQUAL_FATAL(contents_read(&c, scratch, &access, &err), 0);
	CU_ASSERT_EQUAL(c.wallet_kind, WALLET_P12);
	CU_ASSERT_EQUAL(sk_X509_num(c.certs), 1);
	contents_fini(&c);
	/* One that should be there is not made up for by another. */
	(void)snprintf(path, sizeof(path), "%s/cwallet.sso", scratch);
	CU_ASSERT_EQUAL(symlink("/nonexistent/cwallet.sso", path), 0);
	CU_ASSERT_EQUAL(contents_read(&c, scratch, &access, &err), -1);
	CU_ASSERT_TRUE(says(&err, "/cwallet.sso: No such file"));
	(void)save("cwallet.sso", auto_login(JOIN(ca, cert)), 0600, path);
	CU_ASSERT_EQUAL_FATAL(contents_read(&c, scratch, &access, &err), 0);
	CU_ASSERT_EQUAL(c.wallet_kind, WALLET_SSO);
	CU_ASSERT_STRING_EQUAL(c.path, path);
	contents_fini(&c);
}

/* What we write is read by a reader of our own, and by tests/real/wallets.sh
 * with OpenSSL's. */
static void
what_is_made_is_read(void)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	const struct wallet_words none = { .host = NULL };
	struct wallet w;
	struct err err;
	uint8_t *bytes;
	size_t len = 0;

	CU_ASSERT_TRUE(sk_X509_push(certs, own.ca) > 0);
	CU_ASSERT_TRUE(sk_X509_push(certs, own.cert) > 0);
	bytes = wallet_make(certs, own.key, &len, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	CU_ASSERT_EQUAL_FATAL(read_piece(&w, piece(bytes, len), &none, &err),
	    0);
	w.passed_over++;
	check_whole(&w);
	wallet_fini(&w);
	OPENSSL_clear_free(bytes, len);
	sk_X509_free(certs);
}

static CU_TestInfo tests[] = {
	{ "every_kind_opens_itself", every_kind_opens_itself },
	{ "password_opens_every_cipher", password_opens_every_cipher },
	{ "old_cipher_without_its_provider_is_told",
	    old_cipher_without_its_provider_is_told },
	{ "password_that_is_wrong_or_missing_is_told",
	    password_that_is_wrong_or_missing_is_told },
	{ "local_wallet_is_of_one_user_on_one_host",
	    local_wallet_is_of_one_user_on_one_host },
	{ "local_wallet_of_here_needs_no_words",
	    local_wallet_of_here_needs_no_words },
	{ "both_ways_to_fold_are_tried", both_ways_to_fold_are_tried },
	{ "cut_anywhere_is_refused", cut_anywhere_is_refused },
	{ "header_that_lies_is_refused", header_that_lies_is_refused },
	{ "hexadecimal_of_a_des_header_is_checked",
	    hexadecimal_of_a_des_header_is_checked },
	{ "contents_that_are_wrong_are_refused",
	    contents_that_are_wrong_are_refused },
	{ "bags_in_bags_are_read", bags_in_bags_are_read },
	{ "work_is_bounded", work_is_bounded },
	{ "keys_that_take_hours_are_not_tried",
	    keys_that_take_hours_are_not_tried },
	{ "check_sum_that_is_not_known_is_told",
	    check_sum_that_is_not_known_is_told },
	{ "what_is_no_der_is_not_called_unsupported",
	    what_is_no_der_is_not_called_unsupported },
	{ "rounds_of_a_key_in_pem_are_bounded",
	    rounds_of_a_key_in_pem_are_bounded },
	{ "anchors_are_all_but_its_own", anchors_are_all_but_its_own },
	{ "identity_is_what_fits_the_key", identity_is_what_fits_the_key },
	{ "folder_means_the_wallet_in_it", folder_means_the_wallet_in_it },
	{ "what_is_made_is_read", what_is_made_is_read },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "wallet", NULL, NULL, NULL, pieces_free, tests },
	CU_SUITE_INFO_NULL,
};

static void
own_make(void)
{
	own.ca_key = key_new();
	own.key = key_new();
	own.ca = cert_new("ca", own.ca_key, NULL, NULL);
	own.cert = cert_new("client", own.key, own.ca, own.ca_key);
}

static void
own_free(void)
{
	X509_free(own.ca);
	X509_free(own.cert);
	EVP_PKEY_free(own.ca_key);
	EVP_PKEY_free(own.key);
}

static void
scratch_remove(void)
{
	static const char *const names[] = { "a.sso", "pw", "ewallet.pem",
		"ewallet.p12", "cwallet.sso" };
	char path[PATH_LEN];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", scratch, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(scratch);
}

int
main(void)
{
	int status;

	if (mkdtemp(scratch) == NULL)
		return 1;
	own_make();
	status = unit_run(suites);
	own_free();
	scratch_remove();
	return status;
}
