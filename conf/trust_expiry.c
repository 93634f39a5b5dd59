#include "conf/trust_expiry.h"

#include <openssl/x509.h>

#include "conf/certfile.h"
#include "conf/trust.h"

struct teller {
	const struct endpoint *endpoint;
	const char *what;
	time_t before;
	void (*tell)(const struct expiry *x, void *arg);
	void *arg;
};

static void
tell_cert(const struct teller *t, const X509 *cert)
{
	struct expiry x = { .endpoint = t->endpoint, .what = t->what };
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return;
	x.at = timegm(&tm);
	if (x.at > t->before)
		return;
	cert_fingerprint(cert, x.sha256);
	cert_name_text(X509_get_subject_name(cert), x.subject,
	    sizeof(x.subject));
	t->tell(&x, t->arg);
}

static void
tell_certs(const struct teller *t, const STACK_OF(X509) *certs)
{
	int i;

	for (i = 0; i < sk_X509_num(certs); i++)
		tell_cert(t, sk_X509_value(certs, i));
}

static const struct anchors *
anchors_of(const struct trust *t)
{
	return t != NULL ? t->anchors : NULL;
}

static bool
uses_anchors(const struct endpoint *e, const struct anchors *a)
{
	return anchors_of(e->trust) == a || anchors_of(e->client_trust) == a;
}

static bool
uses_keypair(const struct endpoint *e, const struct keypair *k)
{
	return e->identity == k || e->client_keypair == k;
}

static void
tell_trust(struct teller *t, const char *what, const struct trust *trust,
    struct endpoint *const *list, size_t before)
{
	const struct anchors *a = anchors_of(trust);
	size_t i;

	if (a == NULL)
		return;
	for (i = 0; i < before; i++) {
		if (uses_anchors(list[i], a))
			return;
	}
	t->what = what;
	tell_certs(t, a->certs);
}

static void
tell_keypair(struct teller *t, const char *what, const struct keypair *k,
    struct endpoint *const *list, size_t before)
{
	size_t i;

	if (k == NULL)
		return;
	for (i = 0; i < before; i++) {
		if (uses_keypair(list[i], k))
			return;
	}
	t->what = what;
	tell_cert(t, k->leaf);
	tell_certs(t, k->chain);
}

void
endpoints_each_expiry(struct endpoint *const *list, size_t n, time_t before,
    void (*tell)(const struct expiry *x, void *arg), void *arg)
{
	struct teller t = { .before = before, .tell = tell, .arg = arg };
	size_t i;

	for (i = 0; i < n; i++) {
		const struct endpoint *e = list[i];

		t.endpoint = e;
		tell_trust(&t, "ca", e->trust, list, i);
		tell_trust(&t, "client_tls.ca", e->client_trust, list, i);
		tell_keypair(&t, "identity", e->identity, list, i);
		tell_keypair(&t, "client_tls", e->client_keypair, list, i);
	}
}
