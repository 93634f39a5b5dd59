/*
 * facts.h - a certificate as an object of a JSON document, and in lines
 */
#ifndef PROXY_COMMANDS_FACTS_H
#define PROXY_COMMANDS_FACTS_H

#include <openssl/x509.h>

#include "conf/certfile.h"
#include "conf/json.h"

void facts_json(struct json *j, const char *key, const struct cert_facts *f);
void facts_json_cert(struct json *j, const char *key, X509 *cert);

/* To standard output; `number` is its place among several. */
void facts_print(int number, X509 *cert);
void facts_print_digest(const uint8_t sha256[CERT_DIGEST_LEN]);

#endif /* PROXY_COMMANDS_FACTS_H */
