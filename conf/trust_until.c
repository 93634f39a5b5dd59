#include "conf/trust.h"

/* One that cannot be read is at hand. */
static time_t
time_of(const ASN1_TIME *t, time_t now)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return now + 1;
	return timegm(&tm);
}

/* A list may say nothing of when the next one comes. */
static void
take(time_t *until, const ASN1_TIME *t, time_t now)
{
	time_t at;

	if (t == NULL)
		return;
	at = time_of(t, now);
	if (at > now && (*until == 0 || at < *until))
		*until = at;
}

time_t
trust_until(const STACK_OF(X509) *chain, const STACK_OF(X509_CRL) *crls,
    time_t now)
{
	time_t until = 0;
	int i;

	for (i = 0; i < sk_X509_num(chain); i++) {
		take(&until, X509_get0_notBefore(sk_X509_value(chain, i)), now);
		take(&until, X509_get0_notAfter(sk_X509_value(chain, i)), now);
	}
	for (i = 0; i < sk_X509_CRL_num(crls); i++) {
		take(&until,
		    X509_CRL_get0_lastUpdate(sk_X509_CRL_value(crls, i)), now);
		take(&until,
		    X509_CRL_get0_nextUpdate(sk_X509_CRL_value(crls, i)), now);
	}
	return until;
}
