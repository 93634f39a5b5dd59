/*
 * facts.h - a certificate as one object of a JSON document
 */
#ifndef PROXY_COMMANDS_FACTS_H
#define PROXY_COMMANDS_FACTS_H

#include <openssl/x509.h>

#include "conf/certfile.h"
#include "conf/json.h"

void facts_json(struct json *j, const char *key, const struct cert_facts *f);
void facts_json_cert(struct json *j, const char *key, X509 *cert);

#endif /* PROXY_COMMANDS_FACTS_H */
