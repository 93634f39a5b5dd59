/*
 * The digits of real log-ins to MariaDB 11.8.6, to a server with TLS and to
 * one without; it had these users, with these hashes in mysql.global_priv, and
 * is no more.
 */
#include "protocols/mysql_proof.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>
#include <openssl/sha.h>

#define NATIVE  "*72B37E3F4D899EDC98A9363172669E192CE424D5"
#define ED25519 "24FjORYwAV6wiJLDpFI0doShISjOdPNUg1WR7eRAgqA"
#define PARSEC                         \
	"P0:+CUy7mXdG480MuooBcb2OLAQ:" \
	"OfeM3MUYpTOQwbD5wjbmGhjeQwSvCiHwTioPqPAjEVw"
#define OTHER "*AB266EBB129FB9DFD5FC16207EBB74A073C8A0D4"

#define HASHES "app " NATIVE "\ned " ED25519 "\nparsec " PARSEC "\n"

/* The server's certificate. */
#define LEAF "26196fbf7c982129460188602a4785a2c91dabd07f1ffe396d94d0d837ec81c0"
#define OURS 0x5a /* thirty-two times: nobody's */

struct vector {
	const char *user, *plugin, *scramble;
	const char *told; /* by the server */
	const char *ours; /* computed by other means than ours */
};

static const struct vector with_tls[] = {
	{ "app", "mysql_native_password",
	    "2c35626d7e54682d445044456d752556605f3e57",
	    "A8F242AF562A3A3AB30D78C406ACE081"
	    "86FDFE17608B1CA7F9FA48CE52C3B583",
	    "79811E3DF5B78E2147F90855910774F5"
	    "96498F148C40426B0C8D380CE00A122E" },
	{ "ed", "client_ed25519", "65685c7248513d7d222c5548487226623d493775",
	    "5DE9994D52E05DF6BD27898394AEBB09"
	    "A0E2957A416C765A2FA501C21A02A470",
	    "BA782D99C9DD8BB3B944E2D57618599D"
	    "3C3C333330D437FE5517FADAD651AE60" },
	{ "parsec", "parsec", "294a783e6c256f25644a28272c45555b4a424d39",
	    "9223A2D73FC9D757E687B69A92F33DF2"
	    "D770A14FAA99BD54C68238F0649049B7",
	    "66442ED6A0B491F4057D6D6731EA1AD4"
	    "72A4669A2CDC30C5F2945D0AE6A98E31" },
};

static const struct vector without_tls[] = {
	{ "app", "mysql_native_password",
	    "7d703b70464d2e3d2850396b304d7275756a366b",
	    "2B1769940263CAF23CADD833E46FFE10"
	    "F4E8CC9DBC9F54A20B32F64304DF9E2B",
	    "0782A7DBD6C67CCCBFC088E729DC47EF"
	    "12EC49479D9088771B54DFB8B581815A" },
	{ "ed", "client_ed25519", "692d413e546c43492579557d383d666c694d2775",
	    "0D5D41CC969092F6DBFBACEF277B32B7"
	    "64F8AAE19E06399D66BE21CCFD1F3456",
	    "FBE66BF072D55421E842ED934EC92A67"
	    "CF6CE612F07AFF90BBD9B14E9657C124" },
	{ "parsec", "parsec", "2b5d71433a3a516a42492a33606b783b59302259",
	    "76448D3D1DE8B2AEE95774590040F878"
	    "91AE78ABACC176A3EA12A51D9675F1E1",
	    "13017E1AE1CA0138DEBB0926D3CBEEB0"
	    "215FC68FF678927EE981CA2E374E4234" },
};

/* To a server that has TLS by a client that did not ask for it: the digits
 * are those of LEAF, as if it had. */
static const struct vector tls_unused = { "parsec", "parsec",
	"4a69513d7b74573748486f757e3a432325305e6b",
	"BE8C968DCA0F4EC20FD801EDA94E22DF"
	"E19E74F01EADE5E97CB277E8BFDB5F49",
	"7D6FB4355DE971AA34D5D0BCED2CD10D"
	"A9F082D4B56C085C022F835BAC3F5063" };

static bool
sha256(const struct neg_services *s, const struct rd *parts, size_t nparts,
    uint8_t digest[NEG_DIGEST_LEN])
{
	uint8_t all[256];
	size_t len = 0, i;

	(void)s;
	for (i = 0; i < nparts; i++) {
		memcpy(all + len, parts[i].at, parts[i].left);
		len += parts[i].left;
	}
	return SHA256(all, len, digest) != NULL;
}

static bool
no_sha256(const struct neg_services *s, const struct rd *parts, size_t nparts,
    uint8_t digest[NEG_DIGEST_LEN])
{
	(void)s;
	(void)parts;
	(void)nparts;
	(void)digest;
	return false;
}

static const struct neg_services services = { .sha256 = sha256 };
static const struct neg_services broken = { .sha256 = no_sha256 };

static struct rd
text(const char *s)
{
	return (struct rd){ .at = (const uint8_t *)s, .left = strlen(s) };
}

static void
from_hex(const char *hex, uint8_t *bytes)
{
	for (; *hex != '\0'; hex += 2) {
		const char digits[] = { hex[0], hex[1], '\0' };

		*bytes++ = (uint8_t)strtoul(digits, NULL, 16);
	}
}

/* What becomes of what the server told.  The file is read where it ends to the
 * byte, so that a sanitizer sees a step too far. */
static bool
rewrite(const struct neg_services *s, const struct vector *v, const char *file,
    const char *leaf, char digits[MYSQL_PROOF_DIGITS])
{
	uint8_t scramble[MYSQL_PROOF_SCRAMBLE_LEN], server[NEG_DIGEST_LEN];
	uint8_t ours[NEG_DIGEST_LEN], *exact = malloc(strlen(file) + 1);
	struct mysql_proof_of of = {
		.file = { .at = exact, .left = strlen(file) },
		.user = text(v->user),
		.plugin = text(v->plugin),
		.scramble = scramble,
		.server_leaf = leaf != NULL ? server : NULL,
		.our_leaf = ours,
	};
	bool done;

	CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
	memcpy(exact, file, strlen(file));
	from_hex(v->scramble, scramble);
	if (leaf != NULL)
		from_hex(leaf, server);
	memset(ours, OURS, sizeof(ours));
	done = mysql_proof_rewrite(s, &of, (uint8_t *)digits);
	free(exact);
	return done;
}

static bool
becomes_ours(const struct vector *v, const char *file, const char *leaf)
{
	char digits[MYSQL_PROOF_DIGITS];

	memcpy(digits, v->told, sizeof(digits));
	return rewrite(&services, v, file, leaf, digits) &&
	    memcmp(digits, v->ours, sizeof(digits)) == 0;
}

static bool
stays(const struct vector *v, const char *file, const char *leaf)
{
	char digits[MYSQL_PROOF_DIGITS];

	memcpy(digits, v->told, sizeof(digits));
	return !rewrite(&services, v, file, leaf, digits) &&
	    memcmp(digits, v->told, sizeof(digits)) == 0;
}

/*
 * The proof.
 */

static void
each_kind_is_proved_and_made_ours(void)
{
	size_t i;

	for (i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(becomes_ours(&with_tls[i], HASHES, LEAF));
		CU_ASSERT_TRUE(becomes_ours(&without_tls[i], HASHES, NULL));
	}
}

static void
another_certificate_proves_nothing(void)
{
	size_t i;

	for (i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(stays(&with_tls[i], HASHES, with_tls[i].told));
		CU_ASSERT_TRUE(stays(&without_tls[i], HASHES, LEAF));
	}
}

static void
another_hash_proves_nothing(void)
{
	CU_ASSERT_TRUE(stays(&with_tls[0], "app " OTHER "\n", LEAF));
	CU_ASSERT_TRUE(stays(&with_tls[0], "App " NATIVE "\n", LEAF));
	CU_ASSERT_TRUE(stays(&with_tls[0], "ap " NATIVE "\n", LEAF));
	CU_ASSERT_TRUE(stays(&with_tls[0], "", LEAF));
}

static void
each_digit_counts(void)
{
	char digits[MYSQL_PROOF_DIGITS];
	size_t i;

	for (i = 0; i < sizeof(digits); i++) {
		memcpy(digits, with_tls[0].told, sizeof(digits));
		digits[i] = digits[i] == '0' ? '1' : '0';
		CU_ASSERT_FALSE(
		    rewrite(&services, &with_tls[0], HASHES, LEAF, digits));
		digits[i] = 'g';
		CU_ASSERT_FALSE(
		    rewrite(&services, &with_tls[0], HASHES, NULL, digits));
		CU_ASSERT_EQUAL(digits[i], 'g');
	}
}

static void
of_several_hashes_the_proven_one_counts(void)
{
	CU_ASSERT_TRUE(becomes_ours(&with_tls[0],
	    "app " OTHER "\napp " ED25519 "\napp " NATIVE, LEAF));
	/* Whatever the plugin was: the digits say it. */
	CU_ASSERT_TRUE(becomes_ours(&without_tls[0],
	    "app " OTHER "\napp " ED25519 "\napp " NATIVE, NULL));
}

/* A server with TLS speaks of its certificate even where none was shown. */
static void
unseen_certificates_leave_it_to_the_plugin(void)
{
	const struct vector *v = &tls_unused;

	CU_ASSERT_TRUE(becomes_ours(v, HASHES, NULL));
	CU_ASSERT_TRUE(becomes_ours(v,
	    "parsec " NATIVE "\nparsec " PARSEC "\nparsec " PARSEC, NULL));
	CU_ASSERT_TRUE(stays(v, "parsec " NATIVE, NULL));
	CU_ASSERT_TRUE(becomes_ours(v, HASHES, LEAF));
	CU_ASSERT_TRUE(stays(v, HASHES, v->told));
}

static void
without_sha256_all_stays(void)
{
	char digits[MYSQL_PROOF_DIGITS];

	memcpy(digits, tls_unused.told, sizeof(digits));
	CU_ASSERT_FALSE(rewrite(&broken, &tls_unused, HASHES, NULL, digits));
	CU_ASSERT_EQUAL(memcmp(digits, tls_unused.told, sizeof(digits)), 0);
}

/*
 * The file.
 */

static const char *
fault(const char *file, unsigned *line)
{
	return mysql_proof_check(text(file), line);
}

static void
a_file_may_be_written_in_many_ways(void)
{
	static const char *const good[] = {
		HASHES,
		"app " NATIVE,
		"# hashes\r\n\r\n\t app \t" NATIVE "\t \r\n",
		"\"app\" " NATIVE "\n\n  # more\n",
		"app *72b37e3f4d899edc98a9363172669e192ce424d5",
		"x " OTHER "\n\n\napp\t" NATIVE "\n",
	};
	unsigned line;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_PTR_NULL(fault(good[i], &line));
		CU_ASSERT_TRUE(becomes_ours(&with_tls[0], good[i], LEAF));
	}
}

static void
quotes_hold_any_name(void)
{
	static const char *const names[] = { "a b", "", "#app", " ", "it's",
		"\xc3\xa4" };
	struct vector v = with_tls[0];
	char file[100];
	unsigned line;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		v.user = names[i];
		(void)snprintf(file, sizeof(file), "\"%s\" " NATIVE, names[i]);
		CU_ASSERT_PTR_NULL(fault(file, &line));
		CU_ASSERT_TRUE(becomes_ours(&v, file, LEAF));
	}
}

static void
what_is_wrong_is_told_with_its_line(void)
{
	static const struct {
		const char *file, *words;
		unsigned line;
	} bad[] = {
		{ "", "no user", 1 },
		{ "# nothing\n\n", "no user", 1 },
		{ "\xef\xbb\xbf" HASHES, "byte order mark", 1 },
		{ "app", "no hash", 1 },
		{ HASHES "app \n", "no hash", 4 },
		{ "\"a b " NATIVE "\n", "closing quote", 1 },
		{ "\n\"\n", "closing quote", 2 },
		{ "\"a\"" NATIVE, "no blank", 1 },
		{ "a b " NATIVE, "more than a user and a hash", 1 },
		{ "app " NATIVE " # mine", "more than a user and a hash", 1 },
		{ "app " NATIVE "0", "none of", 1 },
		{ "app *72B37E3F4D899EDC98A9363172669E192CE424D", "none of",
		    1 },
		{ "app *72B37E3F4D899EDC98A9363172669E192CE424DG", "none of",
		    1 },
		{ "app 72B37E3F4D899EDC98A9363172669E192CE424D5", "none of",
		    1 },
		{ "app +72B37E3F4D899EDC98A9363172669E192CE424D5", "none of",
		    1 },
		{ "ed " ED25519 "=", "none of", 1 },
		{ "ed 24FjORYwAV6wiJLDpFI0doShISjOdPNUg1WR7eRAgqB", "none of",
		    1 },
		{ "ed 24FjORYwAV6wiJLDpFI0doShISjOdPNUg1WR7eRAgq", "none of",
		    1 },
		{ "ed 24FjORYwAV6wiJLDpFI0doShISjOdPNUg1WR7eRAg-A", "none of",
		    1 },
		{ "p P4:+CUy7mXdG480MuooBcb2OLAQ:" ED25519, "none of", 1 },
		{ "p Q0:+CUy7mXdG480MuooBcb2OLAQ:" ED25519, "none of", 1 },
		{ "p P0:+CUy7mXdG480MuooBcb2OLA:" ED25519, "none of", 1 },
		{ "p P0:+CUy7mXdG480MuooBcb2OLAQ", "none of", 1 },
		{ "p P0:+CUy7mXdG480MuooBcb2OLAQ " ED25519, "more than", 1 },
		{ "p P0", "none of", 1 },
		{ "p P0:", "none of", 1 },
		{ "root invalid\n", "none of", 1 },
		{ HASHES "\n# x\nroot invalid\n" HASHES, "none of", 6 },
	};
	unsigned line;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = fault(bad[i].file, &line);

		CU_ASSERT_PTR_NOT_NULL_FATAL(why);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, bad[i].words));
		CU_ASSERT_EQUAL(line, bad[i].line);
	}
}

static void
a_nul_is_found(void)
{
	static const char file[] = "a\0b " NATIVE;
	unsigned line;

	CU_ASSERT_PTR_NOT_NULL(
	    mysql_proof_check((struct rd){ .at = (const uint8_t *)file,
				  .left = sizeof(file) - 1 },
		&line));
}

int
main(void)
{
	static CU_TestInfo proof[] = {
		{ "each_kind_is_proved_and_made_ours",
		    each_kind_is_proved_and_made_ours },
		{ "another_certificate_proves_nothing",
		    another_certificate_proves_nothing },
		{ "another_hash_proves_nothing", another_hash_proves_nothing },
		{ "each_digit_counts", each_digit_counts },
		{ "of_several_hashes_the_proven_one_counts",
		    of_several_hashes_the_proven_one_counts },
		{ "unseen_certificates_leave_it_to_the_plugin",
		    unseen_certificates_leave_it_to_the_plugin },
		{ "without_sha256_all_stays", without_sha256_all_stays },
		CU_TEST_INFO_NULL,
	};
	static CU_TestInfo file[] = {
		{ "a_file_may_be_written_in_many_ways",
		    a_file_may_be_written_in_many_ways },
		{ "quotes_hold_any_name", quotes_hold_any_name },
		{ "what_is_wrong_is_told_with_its_line",
		    what_is_wrong_is_told_with_its_line },
		{ "a_nul_is_found", a_nul_is_found },
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "proof", NULL, NULL, NULL, NULL, proof },
		{ "file", NULL, NULL, NULL, NULL, file },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
