/*
 * check.h - what `dbtls check` has found, and the two ways to say it
 */
#ifndef PROXY_COMMANDS_CHECK_H
#define PROXY_COMMANDS_CHECK_H

#include <stdbool.h>
#include <stdio.h>

#include "conf/certfile.h"
#include "conf/config.h"
#include "conf/config_dms.h"
#include "conf/trust.h"
#include "proxy/ktls.h"
#include "proxy/privileges.h"
#include "proxy/tls.h"

/* An endpoint, and what OpenSSL makes of its settings. */
struct checked {
	const struct endpoint *e;
	bool tls[LEG_COUNT]; /* there is TLS on that leg, as follows */
	struct tls_effective effective[LEG_COUNT];
	bool legacy;
	const struct ktls_support *ktls; /* NULL: it asks for none */
};

/* The words that both have. */
const char *check_client_verify(const struct endpoint *e);
const char *check_server_leg(const struct endpoint *e);

/* A pin as it is written in a configuration. */
#define CHECK_PIN_MAX 64
void check_pin_text(const uint8_t digest[CERT_DIGEST_LEN],
    char text[CHECK_PIN_MAX]);

/* Which capabilities are kept by whoever is not root. */
const char *check_capabilities(const struct privileges_plan *plan);

void check_print(FILE *to, const struct config *c,
    const struct privileges_plan *plan, const struct checked *list,
    const struct problems *p);

/* `c` is NULL if the configuration is refused. */
void check_print_json(FILE *to, const char *file, const struct config *c,
    const struct privileges_plan *plan, const struct checked *list,
    const struct problems *p);

#endif /* PROXY_COMMANDS_CHECK_H */
