/*
 * wallet_access.h - what opens the wallets that an endpoint names
 *
 * Shows no OpenSSL.
 */
#ifndef CONF_WALLET_ACCESS_H
#define CONF_WALLET_ACCESS_H

/* Each may be NULL. */
struct wallet_access {
	const char *password_file; /* its first line; of PEM keys too */
	const char *host;          /* where an auto_login_local was made */
	const char *user;          /* and by whom */
};

#endif /* CONF_WALLET_ACCESS_H */
