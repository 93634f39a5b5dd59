/* Files of every shape that tests/certs.sh makes, and some made here. */
#include <sys/stat.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/CUnit.h>
#include <openssl/pem.h>

#include "conf/certfile.h"
#include "tests/unit/unit.h"

#define PATH_LEN 512
#define TOO_LONG ((off_t)16 * 1024 * 1024 + 1)

static char scratch[] = "/tmp/dbtls-certfile-XXXXXX";

static const char *
in_certs(const char *name, char path[PATH_LEN])
{
	(void)snprintf(path, PATH_LEN, "%s/%s", CERTS_DIR, name);
	return path;
}

static const char *
in_scratch(const char *name, char path[PATH_LEN])
{
	(void)snprintf(path, PATH_LEN, "%s/%s", scratch, name);
	return path;
}

static void
write_file(const char *path, const void *bytes, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CU_ASSERT_NOT_EQUAL_FATAL(fd, -1);
	CU_ASSERT_EQUAL(write(fd, bytes, len), (ssize_t)len);
	CU_ASSERT_EQUAL(fchmod(fd, mode), 0);
	(void)close(fd);
}

static size_t
read_file(const char *path, char *bytes, size_t size)
{
	ssize_t n;
	int fd = open(path, O_RDONLY);

	CU_ASSERT_NOT_EQUAL_FATAL(fd, -1);
	n = read(fd, bytes, size);
	CU_ASSERT_TRUE_FATAL(n >= 0 && (size_t)n < size);
	(void)close(fd);
	return (size_t)n;
}

/* How many certificates a file has; -1 with `err` if it is refused. */
static int
count_certs(const char *path, struct err *err)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	int n = -1;

	err->text[0] = '\0';
	if (certfile_read_certs(path, certs, err) == 0)
		n = sk_X509_num(certs);
	sk_X509_pop_free(certs, X509_free);
	return n;
}

static int
count_crls(const char *path, struct err *err)
{
	STACK_OF(X509_CRL) *crls = sk_X509_CRL_new_null();
	int n = -1;

	err->text[0] = '\0';
	if (certfile_read_crls(path, crls, err) == 0)
		n = sk_X509_CRL_num(crls);
	sk_X509_CRL_pop_free(crls, X509_CRL_free);
	return n;
}

static bool
says(const struct err *err, const char *what)
{
	if (strstr(err->text, what) != NULL)
		return true;
	(void)printf("\"%s\" does not say \"%s\"\n", err->text, what);
	return false;
}

/*
 * Certificates and CRLs
 */

static void
every_shape_is_read(void)
{
	static const struct {
		const char *name;
		int certs;
	} rows[] = {
		{ "ca.crt", 1 },
		{ "ca.der", 1 },
		{ "bundle.pem", 3 }, /* text, CRLF, a duplicate, any order */
		{ "inter-leaf.chain.pem", 2 },
	};
	char path[PATH_LEN];
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(count_certs(in_certs(rows[i].name, path), &err),
		    rows[i].certs);
		CU_ASSERT_STRING_EQUAL(err.text, "");
	}
	CU_ASSERT_EQUAL(count_crls(in_certs("crl.pem", path), &err), 3);
	CU_ASSERT_EQUAL(count_crls(in_certs("crl-ca.der", path), &err), 1);
}

static void
duplicates_of_other_files_are_left_out(void)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	char path[PATH_LEN];
	struct err err;

	CU_ASSERT_EQUAL(
	    certfile_read_certs(in_certs("ca.crt", path), certs, &err), 0);
	CU_ASSERT_EQUAL(
	    certfile_read_certs(in_certs("ca.der", path), certs, &err), 0);
	CU_ASSERT_EQUAL(
	    certfile_read_certs(in_certs("bundle.pem", path), certs, &err), 0);
	CU_ASSERT_EQUAL(sk_X509_num(certs), 3);
	sk_X509_pop_free(certs, X509_free);
}

static void
mark_at_the_start_and_no_newline_at_the_end(void)
{
	char bytes[4096] = "\xef\xbb\xbf", path[PATH_LEN];
	struct err err;
	size_t n;

	n = 3 +
	    read_file(in_certs("ca.crt", path), bytes + 3, sizeof(bytes) - 3);
	while (bytes[n - 1] == '\n')
		n--;
	write_file(in_scratch("mark.pem", path), bytes, n, 0644);
	CU_ASSERT_EQUAL(count_certs(path, &err), 1);
}

static void
several_in_der_are_all_read(void)
{
	char bytes[8192], path[PATH_LEN];
	struct err err;
	size_t n;

	n = read_file(in_certs("ca.der", path), bytes, sizeof(bytes));
	n +=
	    read_file(in_certs("good.der", path), bytes + n, sizeof(bytes) - n);
	write_file(in_scratch("two.der", path), bytes, n, 0644);
	CU_ASSERT_EQUAL(count_certs(path, &err), 2);
	write_file(in_scratch("cut.der", path), bytes, n - 1, 0644);
	CU_ASSERT_EQUAL(count_certs(path, &err), -1);
	CU_ASSERT_TRUE(says(&err, "cut.der: block 2"));
}

static void
trusted_certificates_are_certificates(void)
{
	char from[PATH_LEN], path[PATH_LEN];
	FILE *f = fopen(in_certs("ca.crt", from), "r");
	X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
	struct err err;

	(void)fclose(f);
	(void)X509_alias_set1(cert, (const unsigned char *)"ca", 2);
	f = fopen(in_scratch("trusted.pem", path), "w");
	CU_ASSERT_EQUAL(PEM_write_X509_AUX(f, cert), 1);
	(void)fclose(f);
	X509_free(cert);
	CU_ASSERT_EQUAL(count_certs(path, &err), 1);
}

static void
what_is_spoilt_is_named(void)
{
	static const struct {
		const char *name;
		const char *text;
	} rows[] = {
		{ "cut.pem", "cut.pem: block 2 (line 11) has no end" },
		{ "garbled.pem", "garbled.pem: block 2 (line 11) is not" },
		{ "indented.pem", "indented.pem: block 1 (line 1) is not" },
		{ "empty.pem", "empty.pem: there is no certificate" },
		{ "withkey.pem",
		    "withkey.pem: block 2 (line 11) is a private"
		    " key" },
		{ "good.password", "there is no certificate" },
		{ "crl.pem", "crl.pem: block 1 (line 1) is a CRL" },
		{ "nosuch.pem", "nosuch.pem: No such file" },
		{ ".", "Is a directory" },
		{ "good.key.der", "block 1 (byte 0) is not a readable" },
	};
	char path[PATH_LEN];
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(count_certs(in_certs(rows[i].name, path), &err),
		    -1);
		CU_ASSERT_TRUE(says(&err, rows[i].text));
	}
	CU_ASSERT_EQUAL(count_crls(in_certs("ca.crt", path), &err), -1);
	CU_ASSERT_TRUE(says(&err, "there is no CRL"));
	CU_ASSERT_EQUAL(count_crls(in_certs("withkey.pem", path), &err), -1);
}

/* An anchor that is passed over in silence is missing when it is needed. */
static void
block_within_a_block_is_cut(void)
{
	static const char end[] = "-----END CERTIFICATE-----";
	char bytes[8192], path[PATH_LEN];
	struct err err;
	char *at;
	size_t n;

	n = read_file(in_certs("ca.crt", path), bytes, sizeof(bytes));
	bytes[n] = '\0';
	at = strstr(bytes, end);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	n = (size_t)(at - bytes);
	n += read_file(in_certs("ca2.crt", path), at, sizeof(bytes) - n);
	write_file(in_scratch("within.pem", path), bytes, n, 0644);
	CU_ASSERT_EQUAL(count_certs(path, &err), -1);
	CU_ASSERT_TRUE(says(&err, "block 1 (line 1) has no end"));
}

static void
der_behind_a_certificate_is_spoilt(void)
{
	char bytes[8192], path[PATH_LEN];
	struct err err;
	FILE *f;
	size_t n;

	n = read_file(in_certs("ca.der", path), bytes, sizeof(bytes));
	bytes[n] = '\0';
	f = fopen(in_scratch("behind.pem", path), "w");
	CU_ASSERT_TRUE(PEM_write(f, PEM_STRING_X509, "",
			   (const unsigned char *)bytes, (long)n + 1) > 0);
	(void)fclose(f);
	CU_ASSERT_EQUAL(count_certs(path, &err), -1);
	CU_ASSERT_TRUE(says(&err, "block 1 (line 1) is not a readable"));
}

static void
huge_files_are_refused(void)
{
	char path[PATH_LEN];
	struct err err;

	write_file(in_scratch("huge.pem", path), "", 0, 0600);
	CU_ASSERT_EQUAL(truncate(path, TOO_LONG), 0);
	CU_ASSERT_EQUAL(count_certs(path, &err), -1);
	CU_ASSERT_TRUE(says(&err, "larger than 16 MiB"));
	CU_ASSERT_EQUAL(count_certs("/dev/zero", &err), -1);
	CU_ASSERT_TRUE(says(&err, "larger than 16 MiB"));
	CU_ASSERT_EQUAL(count_certs("/dev/null", &err), -1);
}

/* It is not waited for somebody who may never come; but who writes is read. */
static void
pipes_are_read_if_somebody_writes(void)
{
	char path[PATH_LEN], pem[8192];
	struct err err;
	size_t n;
	int fds[2];

	CU_ASSERT_EQUAL_FATAL(mkfifo(in_scratch("pipe.pem", path), 0600), 0);
	CU_ASSERT_EQUAL(count_certs(path, &err), -1);
	CU_ASSERT_TRUE(says(&err, "pipe.pem"));

	n = read_file(in_certs("good.crt", path), pem, sizeof(pem));
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	CU_ASSERT_EQUAL(write(fds[1], pem, n), (ssize_t)n);
	(void)close(fds[1]);
	(void)snprintf(path, PATH_LEN, "/dev/fd/%d", fds[0]);
	CU_ASSERT_EQUAL(count_certs(path, &err), 1);
	(void)close(fds[0]);
}

/*
 * Keys
 */

static struct keypair *
load(const char *cert, const char *key, const char *password, struct err *err)
{
	char cert_path[PATH_LEN], key_path[PATH_LEN], password_path[PATH_LEN];
	struct wallet_access access = { .password_file = NULL };

	err->text[0] = '\0';
	if (password != NULL)
		access.password_file = in_certs(password, password_path);
	return keypair_load(in_certs(cert, cert_path),
	    key == NULL ? NULL : in_certs(key, key_path), &access, err);
}

static void
keys_of_every_shape_are_read(void)
{
	static const struct {
		const char *cert, *key, *password;
	} rows[] = {
		{ "good.crt", "good.key", NULL },
		{ "good.der", "good.key.der", NULL },
		{ "good.crt", "good.key", "good.password" },
		{ "good.crt", "good.enc.key", "good.password" },
		{ "good.crt", "good.enc.old.key", "good.password" },
		{ "good.crt", "good.enc.key.der", "good.password" },
		{ "rsa.crt", "rsa.key", NULL },
		{ "rsapss.crt", "rsapss.key", NULL },
		{ "ed25519.crt", "ed25519.key", NULL },
	};
	struct keypair *k;
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		k = load(rows[i].cert, rows[i].key, rows[i].password, &err);
		CU_ASSERT_STRING_EQUAL(err.text, "");
		CU_ASSERT_PTR_NOT_NULL_FATAL(k);
		CU_ASSERT_EQUAL(X509_check_private_key(k->leaf, k->key), 1);
		CU_ASSERT_EQUAL(sk_X509_num(k->chain), 0);
		keypair_release(k);
	}
}

static void
chain_is_put_in_order(void)
{
	struct keypair *k;
	struct err err;
	char name[64];

	/* Another CA, the CA in the middle, the key, the leaf: in one file. */
	k = load("good.pem", NULL, NULL, &err);
	CU_ASSERT_STRING_EQUAL(err.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	cert_name_text(X509_get_subject_name(k->leaf), name, sizeof(name));
	CU_ASSERT_STRING_EQUAL(name, "CN=inter-leaf");
	CU_ASSERT_EQUAL_FATAL(sk_X509_num(k->chain), 1);
	cert_name_text(X509_get_subject_name(sk_X509_value(k->chain, 0)), name,
	    sizeof(name));
	CU_ASSERT_STRING_EQUAL(name, "CN=inter,O=dbtls test");

	CU_ASSERT_PTR_EQUAL(keypair_retain(k), k);
	keypair_release(k);
	CU_ASSERT_EQUAL(sk_X509_num(k->chain), 1);
	keypair_release(k);
	keypair_release(NULL);
}

static void
each_fault_of_a_key_has_its_sentence(void)
{
	static const struct {
		const char *cert, *key, *password, *text;
	} rows[] = {
		{ "good.crt", "other.key", NULL,
		    "other.key: the private key does not belong to" },
		{ "good.crt", "good.enc.key", NULL,
		    "good.enc.key: the private key is encrypted; give its"
		    " password in password_file" },
		{ "good.crt", "good.enc.old.key", NULL, "is encrypted" },
		{ "good.crt", "good.enc.key.der", NULL, "is encrypted" },
		{ "good.crt", "good.enc.key", "wrong.password",
		    "wrong.password does not open" },
		{ "good.crt", "good.enc.old.key", "wrong.password",
		    "wrong.password does not open" },
		{ "good.crt", "good.enc.key.der", "wrong.password",
		    "wrong.password does not open" },
		{ "good.crt", "good.enc.key", "empty.pem", "is empty" },
		{ "good.crt", "good.enc.key", "nosuch", "nosuch: No such" },
		{ "good.crt", "empty.pem", NULL, "no private key" },
		{ "good.crt", "cut.pem", NULL, "no private key" },
		{ "good.crt", NULL, NULL, "good.crt: holds a secret" },
		{ "good.crt", "good.crt", NULL, "mode 0644" },
		{ "nosuch.crt", "good.key", NULL, "nosuch.crt: No such" },
		{ "good.crt", "nosuch.key", NULL, "nosuch.key: No such" },
		{ "good.key", "good.key", NULL, "no certificate" },
	};
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_PTR_NULL(
		    load(rows[i].cert, rows[i].key, rows[i].password, &err));
		CU_ASSERT_TRUE(says(&err, rows[i].text));
		CU_ASSERT_PTR_NULL(strstr(err.text, "battery"));
	}
}

static void
spoilt_key_is_not_taken_for_a_wrong_password(void)
{
	char cert[PATH_LEN], path[PATH_LEN], bytes[4096];
	struct err err;
	size_t n;

	n = read_file(in_certs("good.key", path), bytes, sizeof(bytes));
	bytes[60] = bytes[60] == 'A' ? 'B' : 'A';
	bytes[61] = '!';
	write_file(in_scratch("spoilt.key", path), bytes, n, 0600);
	CU_ASSERT_PTR_NULL(
	    keypair_load(in_certs("good.crt", cert), path, NULL, &err));
	CU_ASSERT_TRUE(says(&err, "cannot be read"));
}

/* What counts is the file that a link leads to. */
static void
secrets_that_others_may_read_are_refused(void)
{
	static const mode_t bad[] = { 0640, 0604, 0644, 0620, 0602, 0610,
		0666 };
	char cert[PATH_LEN], key[PATH_LEN], link[PATH_LEN], bytes[4096];
	struct keypair *k;
	struct err err;
	size_t n, i;

	n = read_file(in_certs("good.key", key), bytes, sizeof(bytes));
	(void)in_certs("good.crt", cert);
	(void)in_scratch("mode.key", key);
	write_file(key, bytes, n, 0600);
	CU_ASSERT_EQUAL(symlink(key, in_scratch("link.key", link)), 0);
	k = keypair_load(cert, link, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL(k);
	keypair_release(k);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(chmod(key, bad[i]), 0);
		CU_ASSERT_PTR_NULL(keypair_load(cert, key, NULL, &err));
		CU_ASSERT_TRUE(says(&err, "chmod 0600"));
		CU_ASSERT_PTR_NULL(keypair_load(cert, link, NULL, &err));
	}
	CU_ASSERT_EQUAL(chmod(key, 0400), 0);
	k = keypair_load(cert, key, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL(k);
	keypair_release(k);
}

static void
password_is_the_first_line(void)
{
	static const struct {
		const char *text;
		mode_t mode;
		const char *error; /* NULL: it opens the key */
	} rows[] = {
		{ "correct horse", 0600, NULL },
		{ "correct horse\n", 0600, NULL },
		{ "correct horse\r\n", 0600, NULL },
		{ "correct horse\nand more\n", 0400, NULL },
		{ "correct horse\n", 0640, "lets others at it" },
		{ "correct horse\n", 0604, "lets others at it" },
		{ "correct horse \n", 0600, "does not open" },
		{ "\ncorrect horse\n", 0600, "is empty" },
	};
	char cert[PATH_LEN], key[PATH_LEN], password[PATH_LEN], big[4000];
	struct wallet_access access = { .password_file = NULL };
	struct keypair *k;
	struct err err;
	size_t i;

	(void)in_certs("good.crt", cert);
	(void)in_certs("good.enc.key", key);
	access.password_file = in_scratch("password", password);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)unlink(password);
		write_file(password, rows[i].text, strlen(rows[i].text),
		    rows[i].mode);
		k = keypair_load(cert, key, &access, &err);
		CU_ASSERT_EQUAL(k != NULL, rows[i].error == NULL);
		if (rows[i].error != NULL)
			CU_ASSERT_TRUE(says(&err, rows[i].error));
		keypair_release(k);
	}
	memset(big, 'x', sizeof(big));
	write_file(password, big, sizeof(big), 0600);
	CU_ASSERT_PTR_NULL(keypair_load(cert, key, &access, &err));
	CU_ASSERT_TRUE(says(&err, "longer than a password"));
}

/*
 * Facts
 */

static void
facts_are_what_openssl_says(void)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	struct cert_facts f;
	char path[PATH_LEN];
	struct err err;

	CU_ASSERT_EQUAL(
	    certfile_read_certs(in_certs("dn.crt", path), certs, &err), 0);
	CU_ASSERT_EQUAL(
	    certfile_read_certs(in_certs("rsa.crt", path), certs, &err), 0);
	cert_facts(sk_X509_value(certs, 0), &f);
	CU_ASSERT_STRING_EQUAL(f.subject,
	    "CN=Orders,OU=b+OU=a,O=Example\\, Inc.,C=DE");
	CU_ASSERT_STRING_EQUAL(f.issuer, "CN=ca,O=dbtls test");
	CU_ASSERT_STRING_EQUAL(f.names, "db.test");
	CU_ASSERT_STRING_EQUAL(f.key, "EC prime256v1");
	cert_facts(sk_X509_value(certs, 1), &f);
	CU_ASSERT_STRING_EQUAL(f.key, "RSA 2048");
	CU_ASSERT_STRING_EQUAL(f.not_before, "2020-01-01T00:00:00Z");
	CU_ASSERT_STRING_EQUAL(f.not_after, "2045-01-01T00:00:00Z");
	CU_ASSERT_EQUAL(strlen(f.pin), CERT_PIN_MAX - 1);
	sk_X509_pop_free(certs, X509_free);
}

static void
text_is_escaped_and_never_half(void)
{
	char text[8];

	CU_ASSERT_EQUAL(cert_text_escape("a\nb", 3, text, sizeof(text)), 6);
	CU_ASSERT_STRING_EQUAL(text, "a\\x0ab");
	CU_ASSERT_EQUAL(cert_text_escape("\n\n", 2, text, sizeof(text)), 4);
	CU_ASSERT_STRING_EQUAL(text, "\\x0a");
	CU_ASSERT_EQUAL(cert_text_escape("\x7f\x1f~ ", 4, text, 1), 0);
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_EQUAL(cert_text_escape("abcdefgh", 8, text, sizeof(text)), 7);
	CU_ASSERT_STRING_EQUAL(text, "abcdefg");
}

static void
names_are_cut_at_their_room(void)
{
	X509_NAME *name = X509_NAME_new();
	char text[8], big[600];

	memset(big, 'x', sizeof(big));
	(void)X509_NAME_add_entry_by_NID(name, NID_organizationName,
	    MBSTRING_ASC, (const unsigned char *)"a\nb\x80", 4, -1, 0);
	cert_name_text(name, big, sizeof(big));
	CU_ASSERT_STRING_EQUAL(big, "O=a\\0Ab\\C2\\80");
	cert_name_text(name, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "O=a\\0Ab");
	X509_NAME_free(name);
	cert_name_text(NULL, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "");
}

static CU_TestInfo tests[] = {
	{ "every_shape_is_read", every_shape_is_read },
	{ "duplicates_of_other_files_are_left_out",
	    duplicates_of_other_files_are_left_out },
	{ "mark_at_the_start_and_no_newline_at_the_end",
	    mark_at_the_start_and_no_newline_at_the_end },
	{ "several_in_der_are_all_read", several_in_der_are_all_read },
	{ "trusted_certificates_are_certificates",
	    trusted_certificates_are_certificates },
	{ "what_is_spoilt_is_named", what_is_spoilt_is_named },
	{ "block_within_a_block_is_cut", block_within_a_block_is_cut },
	{ "der_behind_a_certificate_is_spoilt",
	    der_behind_a_certificate_is_spoilt },
	{ "huge_files_are_refused", huge_files_are_refused },
	{ "pipes_are_read_if_somebody_writes",
	    pipes_are_read_if_somebody_writes },
	{ "keys_of_every_shape_are_read", keys_of_every_shape_are_read },
	{ "chain_is_put_in_order", chain_is_put_in_order },
	{ "each_fault_of_a_key_has_its_sentence",
	    each_fault_of_a_key_has_its_sentence },
	{ "spoilt_key_is_not_taken_for_a_wrong_password",
	    spoilt_key_is_not_taken_for_a_wrong_password },
	{ "secrets_that_others_may_read_are_refused",
	    secrets_that_others_may_read_are_refused },
	{ "password_is_the_first_line", password_is_the_first_line },
	{ "facts_are_what_openssl_says", facts_are_what_openssl_says },
	{ "text_is_escaped_and_never_half", text_is_escaped_and_never_half },
	{ "names_are_cut_at_their_room", names_are_cut_at_their_room },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "certfile", NULL, NULL, NULL, NULL, tests },
	CU_SUITE_INFO_NULL,
};

static void
scratch_remove(void)
{
	static const char *const names[] = { "mark.pem", "two.der", "cut.der",
		"trusted.pem", "within.pem", "behind.pem", "huge.pem",
		"pipe.pem", "spoilt.key", "mode.key", "link.key", "password" };
	char path[PATH_LEN];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(in_scratch(names[i], path));
	(void)rmdir(scratch);
}

int
main(void)
{
	int status;

	if (mkdtemp(scratch) == NULL)
		return 1;
	status = unit_run(suites);
	scratch_remove();
	return status;
}
