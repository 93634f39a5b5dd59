#include "proxy/commands/facts.h"

#include <stdio.h>

void
facts_json(struct json *j, const char *key, const struct cert_facts *f)
{
	json_object(j, key);
	json_string(j, "subject", f->subject);
	json_string(j, "issuer", f->issuer);
	json_string(j, "not_before", f->not_before);
	json_string(j, "not_after", f->not_after);
	json_string(j, "names", f->names);
	json_string(j, "key", f->key);
	json_string(j, "pin", f->pin);
	json_hex(j, "sha256", f->sha256, sizeof(f->sha256));
	json_end_object(j);
}

void
facts_json_cert(struct json *j, const char *key, X509 *cert)
{
	struct cert_facts f;

	cert_facts(cert, &f);
	facts_json(j, key, &f);
}

void
facts_print_digest(const uint8_t sha256[CERT_DIGEST_LEN])
{
	size_t i;

	(void)printf("  sha256:  ");
	for (i = 0; i < CERT_DIGEST_LEN; i++)
		(void)printf("%02x", sha256[i]);
	(void)printf("\n");
}

void
facts_print(int number, X509 *cert)
{
	struct cert_facts f;

	cert_facts(cert, &f);
	(void)printf("certificate %d: %s\n", number, f.subject);
	(void)printf("  issuer:  %s\n", f.issuer);
	(void)printf("  valid:   %s to %s\n", f.not_before, f.not_after);
	if (f.names[0] != '\0')
		(void)printf("  names:   %s\n", f.names);
	(void)printf("  key:     %s\n", f.key);
	(void)printf("  pin:     %s\n", f.pin);
	facts_print_digest(f.sha256);
}
