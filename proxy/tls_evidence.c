#include "proxy/tls_private.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "conf/certfile.h"

void
tls_context_keep_chain(struct tls_context *c)
{
	c->keep_chain = true;
}

char *
tls_chain_pem(const struct tls *t)
{
	char *data, *pem = NULL;
	BIO *bio;
	long len;
	int i;

	if (t->chain == NULL || (bio = BIO_new(BIO_s_mem())) == NULL)
		return NULL;
	for (i = 0; i < sk_X509_num(t->chain); i++)
		if (PEM_write_bio_X509(bio, sk_X509_value(t->chain, i)) != 1)
			goto out;
	if ((len = BIO_get_mem_data(bio, &data)) > 0)
		pem = strndup(data, (size_t)len);
out:
	BIO_free(bio);
	ERR_clear_error();
	return pem;
}

void
tls_chain_each(const struct tls *t,
    void (*tell)(const struct cert_facts *f, void *arg), void *arg)
{
	struct cert_facts f;
	int i;

	for (i = 0; i < sk_X509_num(t->chain); i++) {
		cert_facts(sk_X509_value(t->chain, i), &f);
		tell(&f, arg);
	}
	ERR_clear_error();
}

bool
tls_anchor(const struct tls *t, const struct cert_verdict *v,
    struct cert_facts *f)
{
	const struct trust *trust = t->context->trust;
	X509 *cert;
	int i;

	if (trust == NULL || trust->anchors == NULL)
		return false;
	for (i = 0; i < sk_X509_num(trust->anchors->certs); i++) {
		cert = sk_X509_value(trust->anchors->certs, i);
		cert_facts(cert, f);
		if (memcmp(f->sha256, v->anchor, sizeof(v->anchor)) == 0)
			return true;
	}
	return false;
}

bool
tls_judge_at(const struct tls *t, time_t at, struct cert_verdict *v)
{
	if (t->chain == NULL || t->server == NULL)
		return false;
	(void)trust_judge(t->context->trust, t->context->store, t->chain,
	    &t->server->target, at, v);
	return true;
}

bool
tls_name_fits(const struct tls *t, char *text, size_t size)
{
	const struct trust *trust = t->context->trust;
	bool strict = trust->profile == X509_PROFILE_WEBPKI;
	const struct name_rules rules = { .allow_cn =
					      trust->allow_cn && !strict,
		.strict = strict };
	bool fits;

	text[0] = '\0';
	if (t->chain == NULL || t->server == NULL)
		return false;
	fits = trust_name_find(sk_X509_value(t->chain, 0), &t->server->target,
		   &rules, text, size) != NAME_FROM_NOTHING;
	ERR_clear_error();
	return fits;
}
