/*
 * config_settings.h - the one table of all there is to be set
 *
 * Reading, type errors, ranges, suggestions and the documentation all come
 * from here.  A setting is known by its scope and its path within it, as in
 * "tls.min"; what stands before the last dot is a group.  Settings of an
 * engine's own group come from its struct neg_option instead.
 */
#ifndef CONF_CONFIG_SETTINGS_H
#define CONF_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/err.h"

enum setting_scope {
	SCOPE_TOP = 0,  /* the main file; of the included ones only endpoints */
	SCOPE_ENDPOINT, /* a group of `endpoints` */
	SCOPE_SERVER,   /* a group of an endpoint's `server` */
};

enum setting_type {
	TYPE_BOOL = 0,
	TYPE_COUNT,     /* a whole number, never negative */
	TYPE_SECONDS,   /* a fraction will do */
	TYPE_CHOICE,    /* one of some words */
	TYPE_TEXT,      /* a string */
	TYPE_LIST,      /* a string, or several */
	TYPE_ENDPOINTS, /* a list of groups */
	TYPE_SERVERS,   /* a string, or a list of strings and groups */
	TYPE_LABELS,    /* a group of strings, of any names */
};

enum setting_id {
	SETTING_THREADS = 0,
	SETTING_INCLUDE,
	SETTING_LOG_LEVEL,
	SETTING_LOG_FORMAT,
	SETTING_LOG_TO,
	SETTING_LOG_IDENTITY,
	SETTING_DNS_MIN_TTL,
	SETTING_DNS_MAX_TTL,
	SETTING_DNS_NEGATIVE_TTL,
	SETTING_DNS_TIMEOUT,
	SETTING_DNS_ATTEMPTS,
	SETTING_TOP_MAX_SESSIONS,
	SETTING_USER,
	SETTING_POLICY_MIN_MODE,
	SETTING_POLICY_CLIENT_TLS,
	SETTING_POLICY_MIN_TLS,
	SETTING_ENDPOINTS,

	SETTING_NAME,
	SETTING_ENGINE,
	SETTING_LISTEN,
	SETTING_SERVER,
	SETTING_SERVER_ORDER,
	SETTING_RETRY_AFTER,
	SETTING_SSL_MODE,
	SETTING_CA,
	SETTING_CRL,
	SETTING_CRL_EXPIRED,
	SETTING_SERVER_NAME,
	SETTING_SERVER_DN,
	SETTING_ALLOW_CN,
	SETTING_PIN,
	SETTING_SNI,
	SETTING_X509_PROFILE,
	SETTING_CLEARTEXT_SERVER,
	SETTING_CLIENT_TLS_MODE,
	SETTING_CLIENT_TLS_CERT,
	SETTING_CLIENT_TLS_KEY,
	SETTING_CLIENT_TLS_CA,
	SETTING_CLIENT_TLS_VERIFY,
	SETTING_CLIENT_TLS_MIN,
	SETTING_CLIENT_TLS_MAX,
	SETTING_CLIENT_TLS_CIPHERS,
	SETTING_ALLOW,
	SETTING_DENY,
	SETTING_IDENTITY_CERT,
	SETTING_IDENTITY_KEY,
	SETTING_IDENTITY_PASSWORD_FILE,
	SETTING_WALLET_PASSWORD_FILE,
	SETTING_WALLET_HOST,
	SETTING_WALLET_USER,
	SETTING_TLS_MIN,
	SETTING_TLS_MAX,
	SETTING_TLS_CIPHERS,
	SETTING_TLS_CIPHERSUITES,
	SETTING_TLS_GROUPS,
	SETTING_TLS_SECLEVEL,
	SETTING_TLS_DIRECT,
	SETTING_TLS_RECORDS,
	SETTING_TLS_RESUME,
	SETTING_TLS_KTLS,
	SETTING_TIMEOUTS_CONNECT,
	SETTING_TIMEOUTS_FIRST_BYTE,
	SETTING_TIMEOUTS_HANDSHAKE,
	SETTING_TIMEOUTS_IDLE,
	SETTING_TIMEOUTS_DRAIN,
	SETTING_KEEPALIVE_IDLE,
	SETTING_KEEPALIVE_INTERVAL,
	SETTING_KEEPALIVE_COUNT,
	SETTING_USER_TIMEOUT,
	SETTING_SOURCE,
	SETTING_TRANSPARENT,
	SETTING_ACCEPT,
	SETTING_BUSY_POLL_US,
	SETTING_REKEY_RECORDS,
	SETTING_LABELS,
	SETTING_MODE_POLICY,
	SETTING_MAX_SESSIONS,
	SETTING_MAX_SESSIONS_PER_CLIENT,
	SETTING_MAX_SESSION_RATE,
	SETTING_PROXY_ACCEPT,
	SETTING_PROXY_SEND,

	SETTING_SERVER_ADDRESS,
	SETTING_SERVER_OWN_NAME,
	SETTING_SERVER_OWN_DN,
	SETTING_SERVER_OWN_PIN,

	SETTING_NONE, /* how many there are, and none of them */
};

/* The words of the two settings that appear more than once. */
enum mode_policy {
	MODE_POLICY_NONE = 0,
	MODE_POLICY_DMS
};

struct setting {
	enum setting_scope scope;
	enum setting_type type;
	const char *name; /* its path within the scope */
	bool required;

	double min, max;            /* TYPE_COUNT and TYPE_SECONDS */
	const char *const *choices; /* TYPE_CHOICE; NULL-terminated */
	/* Each string is given to it; -1 with "WHY; REMEDY". */
	int (*check)(const char *text, struct err *err);

	bool stored;   /* as it is, by setting_store(): */
	size_t offset; /* in struct config, or struct endpoint */

	const char
	    *fallback; /* the default as it would be written; NULL: none */
	const char *help;
};

const struct setting *setting_get(enum setting_id id);
/* SETTING_NONE if there is none of that path. */
enum setting_id setting_find(enum setting_scope scope, const char *path);
bool setting_is_group(enum setting_scope scope, const char *path);

/* What a wrong word was perhaps meant to be: composes "; did you mean ...?" or
 * where the word does belong; "" if nothing is near. */
void setting_suggest(enum setting_scope scope, const char *group,
    const char *word, const char *engine, char *text, size_t size);

/* "a whole number from 0 to 1024": what the setting takes. */
void setting_expects(const struct setting *s, char *text, size_t size);

/* The index of `word` among the choices, -1 if it is none of them. */
int choice_find(const char *const *choices, const char *word);
/* "\"a\", \"b\" or \"c\"". */
void choices_list(const char *const *choices, char *text, size_t size);

#endif /* CONF_CONFIG_SETTINGS_H */
