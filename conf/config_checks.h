/*
 * config_checks.h - is this one string what its setting takes?
 *
 * Checks of the table of settings: 0, or -1 with "WHY; REMEDY".  The parsers
 * beside them succeed on whatever their check let pass.
 */
#ifndef CONF_CONFIG_CHECKS_H
#define CONF_CONFIG_CHECKS_H

#include <stdint.h>

#include "conf/address.h"
#include "conf/err.h"

int check_name(const char *text, struct err *err);
int check_engine(const char *text, struct err *err);
int check_listen(const char *text, struct err *err);
int check_server(const char *text, struct err *err);
int check_mode(const char *text, struct err *err);
int check_server_name(const char *text, struct err *err);
int check_server_dn(const char *text, struct err *err);
int check_sni(const char *text, struct err *err);
int check_pin(const char *text, struct err *err);
int check_cidr(const char *text, struct err *err);
int check_proxy_accept(const char *text, struct err *err);
int check_user(const char *text, struct err *err);
int check_source(const char *text, struct err *err);
int check_log_to(const char *text, struct err *err);
int check_client_ca(const char *text, struct err *err);
int check_wallet_host(const char *text, struct err *err);
int check_wallet_user(const char *text, struct err *err);

/* "sha256//BASE64". */
int pin_parse(const char *text, uint8_t digest[32], struct err *err);

#define SOURCE_CLIENT "client" /* in the place of an address */

/* "10.0.0.0/16:5432", "[2001:db8::/32]:5432", or without a port: *port then
 * stays as it is. */
bool network_is_meant(const char *text); /* else it is no network at all */
int network_parse(const char *text, struct cidr *network, uint16_t *port,
    struct err *err);

/* "HOST:PORT", "HOST" or "unix:/path".  host[0] is NUL for a socket, `fixed`
 * has len 0 for a name; *port stays as it is if the text has none. */
int server_parse(const char *text, char host[HOST_MAX], uint16_t *port,
    struct address *fixed, struct err *err);

#endif /* CONF_CONFIG_CHECKS_H */
