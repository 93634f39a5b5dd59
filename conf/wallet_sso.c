/* wallet_sso.c - what stands before the PKCS#12 of an auto-login wallet */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "conf/wallet.h"
#include "protocols/bytes.h"

#define MAGIC     "\xa1\xf8\x4e"
#define MAGIC_LEN 3
#define VERSION   6u
#define FIXED     12 /* bytes before what the header counts */

enum seal {
	SEAL_AES = 0x06,
	SEAL_DES = 0x35,
	SEAL_NONE = 0x05,
};

#define AES_BLOCK   16
#define AES_SEALED  (1 + 2 * AES_BLOCK)
#define DES_KEY     8
#define DES_SECRET  24 /* 16 bytes, and a block of padding */
#define DES_SEALED  (1 + 2 * (DES_KEY + DES_SECRET))
#define HOST_MAX    255
#define LOCAL_WORDS (2 * (HOST_MAX + 1))
#define FOLD_TOP    0x7f

/* The same in every wallet. */
static const uint8_t aes_iv[AES_BLOCK] = { 0xc0, 0x34, 0xd8, 0x31, 0x1c, 0x02,
	0xce, 0xf8, 0x51, 0xf0, 0x14, 0x4b, 0x81, 0xed, 0x4b, 0xf2 };

bool
wallet_head_recognise(const uint8_t *bytes, size_t len)
{
	return len >= MAGIC_LEN && memcmp(bytes, MAGIC, MAGIC_LEN) == 0;
}

/* One message, to the last byte; no padding unless it is asked for. */
static bool
cipher_run(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *iv,
    bool encrypt, bool padded, struct rd in, uint8_t *out, size_t want)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t bytes[DES_SECRET + EVP_MAX_BLOCK_LENGTH];
	int some = 0, rest = 0;
	bool ok;

	ok = ctx != NULL && in.left <= DES_SECRET &&
	    EVP_CipherInit_ex(ctx, cipher, NULL, key, iv, encrypt) == 1 &&
	    EVP_CIPHER_CTX_set_padding(ctx, padded) == 1 &&
	    EVP_CipherUpdate(ctx, bytes, &some, in.at, (int)in.left) == 1 &&
	    EVP_CipherFinal_ex(ctx, bytes + some, &rest) == 1 &&
	    (size_t)some + (size_t)rest == want;
	if (ok)
		memcpy(out, bytes, want);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static bool
open_aes(struct rd sealed, uint8_t secret[WALLET_PASSWORD_LEN])
{
	struct rd key = rd_take(&sealed, AES_BLOCK);

	return cipher_run(EVP_aes_128_cbc(), key.at, aes_iv, false, false,
	    sealed, secret, WALLET_PASSWORD_LEN);
}

static bool
hex_read(struct rd *r, uint8_t *out, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		int high = OPENSSL_hexchar2int(rd_u8(r));
		int low = OPENSSL_hexchar2int(rd_u8(r));

		if (r->cut || high == -1 || low == -1)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* OpenSSL has single DES in its legacy provider only; three times the same key
 * is the same, and always there. */
static bool
open_des(struct rd sealed, uint8_t secret[WALLET_PASSWORD_LEN])
{
	static const uint8_t iv[DES_KEY];
	uint8_t key[3 * DES_KEY], bytes[DES_SECRET];
	bool ok;

	ok = hex_read(&sealed, key, DES_KEY) &&
	    hex_read(&sealed, bytes, DES_SECRET);
	if (ok) {
		memcpy(key + DES_KEY, key, DES_KEY);
		memcpy(key + 2 * DES_KEY, key, DES_KEY);
		ok = cipher_run(EVP_des_ede3_cbc(), key, iv, false, true,
		    (struct rd){ .at = bytes, .left = sizeof(bytes) }, secret,
		    WALLET_PASSWORD_LEN);
	}
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return ok;
}

static bool
host_here(char host[HOST_MAX + 1])
{
	host[HOST_MAX] = '\0';
	return gethostname(host, HOST_MAX) == 0;
}

static const char *
user_here(void)
{
	const struct passwd *who = getpwuid(geteuid());

	return who == NULL ? NULL : who->pw_name;
}

/* Each byte of the MAC is folded into 1 .. 127.  Of FOLD_TOP go-ora makes 1,
 * ssoDecrypt FOLD_TOP + 1; of all others both make the same. */
static void
fold(struct wallet_head *h, const uint8_t *mac)
{
	size_t i;

	for (i = 0; i < WALLET_PASSWORD_LEN; i++) {
		uint8_t low = mac[i] & FOLD_TOP;

		h->password[i] = low == FOLD_TOP ? 1 : (uint8_t)(low + 1);
		h->other_password[i] = (uint8_t)(low + 1);
	}
}

/* HMAC-SHA1, keyed with where and by whom the wallet was made, of what the
 * header hides.  Of the host only its first label counts. */
static int
make_local(struct wallet_head *h, const char *path,
    const struct wallet_words *words, struct err *err)
{
	const char *user = words->user != NULL ? words->user : user_here();
	char here[HOST_MAX + 1], who[LOCAL_WORDS];
	const char *host = words->host != NULL ? words->host : here;
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	int len;

	if (words->host == NULL && !host_here(here))
		return err_set_errno(err, "%s: the name of this host", path);
	if (user == NULL)
		return err_set(err,
		    "%s: opens only for the user who made it, and who we are "
		    "cannot be told; set wallet_user",
		    path);
	len = snprintf(who, sizeof(who), "%.*s%s", (int)strcspn(host, "."),
	    host, user);
	if (len < 0 || (size_t)len >= sizeof(who))
		return err_set(err,
		    "%s: no wallet was made by a user, on a host, with names "
		    "so long; look at wallet_host and wallet_user",
		    path);
	if (HMAC(EVP_sha1(), who, len, h->password, WALLET_PASSWORD_LEN, mac,
		&n) == NULL ||
	    n < WALLET_PASSWORD_LEN)
		return err_set(err, "%s: out of memory", path);
	fold(h, mac);
	OPENSSL_cleanse(mac, sizeof(mac));
	return 0;
}

static int
bad_head(const char *path, const char *what, struct err *err)
{
	return err_set(err, "%s: begins as an auto-login wallet, but %s", path,
	    what);
}

static int
read_fixed(struct wallet_head *h, struct rd *r, size_t *counted,
    const char *path, struct err *err)
{
	uint8_t kind;
	uint32_t version, n;

	rd_skip(r, MAGIC_LEN);
	kind = rd_u8(r);
	version = rd_be32(r);
	n = rd_be32(r);
	if (r->cut)
		return bad_head(path, "is cut in its header; copy it again",
		    err);
	if (version == VERSION - 1)
		return bad_head(path,
		    "its version is 5, of Oracle 10g, which nobody has "
		    "described; make it anew with a newer orapki",
		    err);
	if (version != VERSION)
		return bad_head(path, "its version is none that is known", err);
	if (kind != '6' && kind != '7' && kind != '8')
		return bad_head(path, "its kind is none that is known", err);
	h->kind = kind == '8' ? WALLET_SSO_LOCAL : WALLET_SSO;
	*counted = n;
	return 0;
}

int
wallet_head_read(struct wallet_head *h, const char *path, const uint8_t *bytes,
    size_t len, const struct wallet_words *words, struct err *err)
{
	struct rd r = { .at = bytes, .left = len }, sealed;
	size_t counted = 0;
	bool ok = false;
	uint8_t seal;

	*h = (struct wallet_head){ .seal = "" };
	if (read_fixed(h, &r, &counted, path, err) == -1)
		return -1;
	sealed = rd_take(&r, counted);
	h->length = FIXED + counted;
	seal = rd_u8(&sealed);
	if (r.cut || sealed.cut)
		return bad_head(path,
		    "is shorter than its header says; copy it again", err);
	if (seal == SEAL_AES && counted == AES_SEALED) {
		h->seal = "AES-128";
		ok = open_aes(sealed, h->password);
	} else if (seal == SEAL_DES && counted == DES_SEALED) {
		h->seal = "DES";
		ok = open_des(sealed, h->password);
	} else if (seal == SEAL_NONE) {
		return bad_head(path,
		    "it has no password, a kind that nobody has described; "
		    "make it anew with a newer orapki",
		    err);
	}
	if (!ok)
		return bad_head(path,
		    "the password in its header cannot be read; copy it again",
		    err);
	return h->kind == WALLET_SSO_LOCAL ? make_local(h, path, words, err)
					   : 0;
}

/* 1 .. 127, as Oracle's are: they are the same in every encoding. */
static bool
make_password(uint8_t password[WALLET_PASSWORD_LEN])
{
	size_t i;

	if (RAND_priv_bytes(password, WALLET_PASSWORD_LEN) != 1)
		return false;
	for (i = 0; i < WALLET_PASSWORD_LEN; i++) {
		while ((password[i] & 0x7f) == 0) {
			if (RAND_priv_bytes(&password[i], 1) != 1)
				return false;
		}
		password[i] &= 0x7f;
	}
	return true;
}

int
wallet_head_make(struct wallet_head *h, uint8_t head[WALLET_HEAD_LEN],
    struct err *err)
{
	struct wr w = { .base = head, .cap = WALLET_HEAD_LEN };
	uint8_t key[AES_BLOCK], block[AES_BLOCK];

	*h = (struct wallet_head){ .kind = WALLET_SSO,
		.seal = "AES-128",
		.length = WALLET_HEAD_LEN };
	if (!make_password(h->password) ||
	    RAND_priv_bytes(key, sizeof(key)) != 1 ||
	    !cipher_run(EVP_aes_128_cbc(), key, aes_iv, true, false,
		(struct rd){ .at = h->password, .left = WALLET_PASSWORD_LEN },
		block, sizeof(block)))
		return err_set(err, "no random bytes for a wallet's password");
	wr_string(&w, MAGIC);
	wr_u8(&w, '6');
	wr_be32(&w, VERSION);
	wr_be32(&w, AES_SEALED);
	wr_u8(&w, SEAL_AES);
	wr_bytes(&w, key, sizeof(key));
	wr_bytes(&w, block, sizeof(block));
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(block, sizeof(block));
	return 0;
}
