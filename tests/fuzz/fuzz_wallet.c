/*
 * Any file as a wallet: it is refused with a reason, or what comes of it is
 * whole; in either case nothing is left behind, and it does not take long.
 *
 * Random bytes never get past a check sum, so an input says what to spoil and
 * where: in a file as it is, or in its contents before they are sealed.
 *
 *	u8  layer: 0 the rest is a file
 *		   1 the rest is the safes, to be put under a check sum
 *		   2 the rest is the bags of one safe, the same
 *		   3 the rest spoils a good file
 *		   4 ... the safes of one, before its check sum is made
 *		   5 ... the bags, before they are put into a safe
 *	u8  of the good ones, which
 *	then, to spoil: u16 where, u8 xor; and a last odd byte cuts
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/objects.h>

#include "conf/wallet.h"
#include "tests/unit/wallets.h"

/* Not assert(): a fuzzer without its checks would be worse than none. */
#define MUST(condition)                                                \
	do {                                                           \
		if (!(condition)) {                                    \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, \
			    __LINE__, #condition);                     \
			abort();                                       \
		}                                                      \
	} while (0)

#define TRIPLE_DES NID_pbe_WithSHA1And3_Key_TripleDES_CBC
#define PASSWORD   "x"
#define HEADER     2
#define SPOIL      3 /* bytes that say it */

enum layer {
	LAYER_FILE = 0,
	LAYER_SAFES,
	LAYER_BAGS,
	LAYER_SPOILT_FILE,
	LAYER_SPOILT_SAFES,
	LAYER_SPOILT_BAGS,
	LAYERS,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct secret password = { .at = (const uint8_t *)PASSWORD,
	.len = sizeof(PASSWORD) - 1 };

/* Made once: what is slow, or has to be the same. */
static struct {
	EVP_PKEY *key;
	X509 *cert;
} own;

static void
own_make(void)
{
	if (own.cert != NULL)
		return;
	own.key = key_new();
	own.cert = cert_new("own", own.key, NULL, NULL);
}

static struct piece
spoil(struct piece p, const uint8_t *how, size_t len)
{
	uint8_t *at = malloc(p.len);
	struct piece spoilt;

	MUST(at != NULL && p.len > 0);
	memcpy(at, p.at, p.len);
	for (; len >= SPOIL; how += SPOIL, len -= SPOIL)
		at[(size_t)(how[0] << 8 | how[1]) % p.len] ^= how[2];
	spoilt = piece(at, len == 0 ? p.len : how[0] % p.len);
	free(at);
	return spoilt;
}

static struct piece
good_bags(uint8_t which)
{
	struct piece bags = JOIN(bag_cert(own.cert), bag_key(own.key));

	return which % 2 == 0 ? bags : JOIN(bag_of_bags(bags), bag_other());
}

static struct piece
good_safes(uint8_t which, struct secret under)
{
	struct piece bags = good_bags(which);

	if (which % 4 < 2)
		return safe_plain(bags);
	return JOIN(safe_sealed(bag_cert(own.cert),
			which % 8 < 4 ? TRIPLE_DES : NID_aes_256_cbc, 1, under),
	    safe_plain(bag_shrouded(own.key, TRIPLE_DES, 1, under)));
}

static struct piece
good_file(uint8_t which)
{
	struct head h = { .kind = which % 3 == 0 ? '8' : '6',
		.des = which % 2 == 0,
		.host = "h",
		.user = "u",
		.hidden = { 1, 2, 3 } };
	struct piece head;

	if (which >= 128)
		return pfx(good_safes(which, password), 1, password);
	head = head_make(&h);
	return JOIN(head,
	    pfx(good_safes(which, head_secret(&h)), 1, head_secret(&h)));
}

static struct piece
make(const uint8_t *data, size_t size)
{
	enum layer layer = (enum layer)(data[0] % LAYERS);
	const uint8_t *rest = data + HEADER;
	size_t len = size - HEADER;

	switch (layer) {
	case LAYER_FILE:
		return piece(rest, len);
	case LAYER_SAFES:
		return pfx(piece(rest, len), 1, password);
	case LAYER_BAGS:
		return pfx(safe_plain(piece(rest, len)), 1, password);
	case LAYER_SPOILT_FILE:
		return spoil(good_file(data[1]), rest, len);
	case LAYER_SPOILT_SAFES:
		return pfx(spoil(good_safes(data[1], password), rest, len), 1,
		    password);
	case LAYER_SPOILT_BAGS:
		return pfx(safe_plain(spoil(good_bags(data[1]), rest, len)), 1,
		    password);
	case LAYERS:
		break;
	}
	abort();
}

/* Whoever gets one relies on this. */
static void
check_whole(const struct wallet *w)
{
	int i;

	MUST(w->certs != NULL && w->seal != NULL);
	MUST(memchr(w->ciphers, '\0', sizeof(w->ciphers)) != NULL);
	for (i = 0; i < sk_X509_num(w->certs); i++)
		MUST(sk_X509_value(w->certs, i) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wallet_words words = { .password = PASSWORD,
		.password_len = sizeof(PASSWORD) - 1,
		.password_file = "pw",
		.host = "h",
		.user = "u" };
	struct err err = { .text = "" };
	struct piece file;
	struct wallet w;

	if (size < HEADER)
		return 0;
	own_make();
	file = make(data, size);
	ERR_clear_error();
	(void)wallet_recognise(file.at, file.len);
	if (wallet_read(&w, "file", file.at, file.len, &words, &err) == 0) {
		check_whole(&w);
		wallet_fini(&w);
	} else {
		MUST(strncmp(err.text, "file: ", strlen("file: ")) == 0);
		/* What is not spoilt opens, or nothing is tested here. */
		MUST(size > HEADER || data[0] % LAYERS < LAYER_SPOILT_FILE);
	}
	MUST(ERR_peek_error() == 0);
	pieces_free();
	return 0;
}
