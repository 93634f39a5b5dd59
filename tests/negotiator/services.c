#include <openssl/evp.h>

#include <string.h>

#include "tests/negotiator/play.h"

#define BEGINS "-----BEGIN PUBLIC KEY-----\n"

static const char our_key[] = PLAY_KEY("ours");

/* A name: what stands in the second line. */
static struct rd
key_name(struct rd pem)
{
	struct rd name = { .cut = true };
	size_t len = 0;

	if (!rd_equals_string(rd_take(&pem, strlen(BEGINS)), BEGINS))
		return name;
	while (len < pem.left && pem.at[len] != '\n')
		len++;
	name = rd_take(&pem, len);
	name.cut = pem.left == 0; /* the line has no end */
	return name;
}

static bool
toy_seal(const struct neg_services *s, struct rd pem, struct rd plain,
    struct wr *sealed)
{
	struct rd name = key_name(pem);

	(void)s;
	if (name.cut || plain.left > PLAY_SEALED_MAX)
		return false;
	wr_u8(sealed, '<');
	wr_bytes(sealed, name.at, name.left);
	wr_u8(sealed, '>');
	wr_bytes(sealed, plain.at, plain.left);
	return !sealed->full;
}

static bool
toy_open(const struct neg_services *s, struct rd sealed, struct wr *plain)
{
	static const char mark[] = "<ours>";

	(void)s;
	if (!rd_equals_string(rd_take(&sealed, strlen(mark)), mark) ||
	    sealed.left > PLAY_SEALED_MAX)
		return false;
	wr_bytes(plain, sealed.at, sealed.left);
	return !plain->full;
}

static bool
real_sha256(const struct neg_services *s, const struct rd *parts, size_t nparts,
    uint8_t digest[NEG_DIGEST_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) > 0;
	size_t i;

	(void)s;
	for (i = 0; ok && i < nparts; i++)
		ok = EVP_DigestUpdate(ctx, parts[i].at, parts[i].left) > 0;
	ok = ok && EVP_DigestFinal_ex(ctx, digest, NULL) > 0;
	EVP_MD_CTX_free(ctx);
	return ok;
}

const struct neg_services play_services = {
	.rsa_public = { (const uint8_t *)our_key, sizeof(our_key) - 1, false },
	.rsa_open = toy_open,
	.rsa_seal = toy_seal,
	.sha256 = real_sha256,
};
