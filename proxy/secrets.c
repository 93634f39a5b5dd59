#include "proxy/secrets.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "conf/rsakey.h"

/* `neg` comes first: its address is that of the whole. */
struct service {
	struct neg_services neg;
	struct rsakey *key; /* NULL: none is needed */
};

struct secrets {
	struct service *list; /* by endpoint index */
	const struct neg_services **services;
	size_t n;
};

static bool
rsa_open(const struct neg_services *neg, struct rd sealed, struct wr *plain)
{
	const struct service *s = (const void *)neg;

	return s->key != NULL && rsakey_open(s->key, sealed, plain);
}

static bool
rsa_seal(const struct neg_services *neg, struct rd pem, struct rd plain,
    struct wr *sealed)
{
	(void)neg;
	return rsakey_seal(pem, plain, sealed);
}

static bool
sha256(const struct neg_services *neg, const struct rd *parts, size_t nparts,
    uint8_t digest[NEG_DIGEST_LEN])
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool good = c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1;
	size_t i;

	(void)neg;
	for (i = 0; good && i < nparts; i++)
		good = EVP_DigestUpdate(c, parts[i].at, parts[i].left) == 1;
	good = good && EVP_DigestFinal_ex(c, digest, NULL) == 1;
	EVP_MD_CTX_free(c);
	ERR_clear_error();
	return good;
}

/* Does the engine have such a setting?  *key is then what the endpoint has
 * configured, or NULL. */
static bool
uses_key(const struct endpoint *e, struct rsakey **key)
{
	const struct neg_option *o = e->ops->options;

	for (; o != NULL && o->name != NULL; o++) {
		if (o->kind != NEG_OPTION_RSA_PRIVATE)
			continue;
		memcpy(key, (const char *)e->options + o->offset,
		    sizeof(struct rsakey *));
		return true;
	}
	return false;
}

/* The configured key, or the made one, which is made when it is first needed.
 * -1 with `err`. */
static int
service_init(struct service *s, const struct endpoint *e, struct rsakey **made,
    struct err *err)
{
	struct rsakey *key = NULL;

	s->neg = (struct neg_services){
		.rsa_open = rsa_open,
		.rsa_seal = rsa_seal,
		.sha256 = sha256,
	};
	if (!uses_key(e, &key))
		return 0;
	if (key == NULL) {
		if (*made == NULL && (*made = rsakey_make(err)) == NULL)
			return -1;
		key = *made;
	}
	s->key = rsakey_retain(key);
	s->neg.rsa_public = rsakey_public(key);
	return 0;
}

struct secrets *
secrets_new(const struct endpoint *const *list, size_t n, struct err *err)
{
	struct secrets *s = calloc(1, sizeof(*s));
	struct rsakey *made = NULL;
	size_t i;

	(void)err_set(err, "secrets: out of memory");
	if (s == NULL ||
	    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		goto fail;
	s->list = calloc(n + 1, sizeof(*s->list));
	s->services = calloc(n + 1, sizeof(const struct neg_services *));
	if (s->list == NULL || s->services == NULL)
		goto fail;
	for (; s->n < n; s->n++) {
		i = s->n;
		s->services[i] = &s->list[i].neg;
		if (service_init(&s->list[i], list[i], &made, err) == -1)
			goto fail;
	}
	rsakey_release(made);
	return s;
fail:
	rsakey_release(made);
	secrets_free(s);
	return NULL;
}

void
secrets_free(struct secrets *s)
{
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < s->n; i++)
		rsakey_release(s->list[i].key);
	free(s->list);
	free(s->services);
	free(s);
}

const struct neg_services *const *
secrets_services(const struct secrets *s)
{
	return s->services;
}

const uint8_t *
secrets_rsa_sha256(const struct secrets *s, size_t endpoint)
{
	const struct rsakey *key = s->list[endpoint].key;

	return key == NULL ? NULL : rsakey_sha256(key);
}
