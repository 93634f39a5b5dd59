#include "proxy/commands/facts.h"

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
