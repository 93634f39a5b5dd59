#include "protocols/reason.h"

#include <assert.h>
#include <stddef.h>

#define TEMPORARY REASON_CLASS_TEMPORARY
#define LIMIT     REASON_CLASS_LIMIT
#define PERMANENT REASON_CLASS_PERMANENT

/* Temporary among the refusals is what CONTRACT.md lists as such: whatever
 * else is wrong will be as wrong at the next attempt. */
static const struct {
	const char *name;
	enum reason_class class;
	bool refuses;
} reasons[REASON_COUNT] = {
	[REASON_NONE] = { "none", PERMANENT, false },

	[REASON_CLIENT_CLOSED] = { "client_closed", TEMPORARY, false },
	[REASON_SERVER_CLOSED] = { "server_closed", TEMPORARY, false },
	[REASON_CLIENT_RESET] = { "client_reset", TEMPORARY, false },
	[REASON_SERVER_RESET] = { "server_reset", TEMPORARY, false },
	[REASON_CLIENT_TRUNCATED] = { "client_truncated", TEMPORARY, false },
	[REASON_SERVER_TRUNCATED] = { "server_truncated", TEMPORARY, false },
	[REASON_KEEPALIVE] = { "keepalive", TEMPORARY, false },
	[REASON_IDLE] = { "idle", TEMPORARY, false },
	[REASON_DRAIN] = { "drain", TEMPORARY, false },
	[REASON_KILLED] = { "killed", TEMPORARY, false },
	[REASON_TLS_ERROR] = { "tls_error", TEMPORARY, false },

	[REASON_NOT_ALLOWED] = { "not_allowed", PERMANENT, true },
	[REASON_LIMIT] = { "limit", LIMIT, true },
	[REASON_OVERLOAD] = { "overload", TEMPORARY, true },
	[REASON_DRAINING] = { "draining", TEMPORARY, true },
	[REASON_NO_ENDPOINT] = { "no_endpoint", PERMANENT, true },
	[REASON_LOOP] = { "loop", PERMANENT, true },
	[REASON_RESOLVE] = { "resolve", TEMPORARY, true },
	[REASON_CONNECT] = { "connect", TEMPORARY, true },
	[REASON_TIMEOUT] = { "timeout", TEMPORARY, true },
	[REASON_TLS_REFUSED] = { "tls_refused", PERMANENT, true },
	[REASON_DOWNGRADE] = { "downgrade", PERMANENT, true },
	[REASON_PROTOCOL] = { "protocol", PERMANENT, true },
	[REASON_HANDSHAKE] = { "handshake", PERMANENT, true },
	[REASON_CLIENT_TLS] = { "client_tls", PERMANENT, true },
	[REASON_CLIENT_CERTIFICATE] = { "client_certificate", PERMANENT, true },
	[REASON_UNTRUSTED] = { "untrusted", PERMANENT, true },
	[REASON_NAME_MISMATCH] = { "name_mismatch", PERMANENT, true },
	[REASON_EXPIRED] = { "expired", PERMANENT, true },
	[REASON_NOT_YET_VALID] = { "not_yet_valid", PERMANENT, true },
	[REASON_WEAK] = { "weak", PERMANENT, true },
	[REASON_WRONG_USAGE] = { "wrong_usage", PERMANENT, true },
	[REASON_REVOKED] = { "revoked", PERMANENT, true },
	[REASON_CRL_EXPIRED] = { "crl_expired", PERMANENT, true },
	[REASON_PIN_MISMATCH] = { "pin_mismatch", PERMANENT, true },
	[REASON_IDENTITY] = { "identity", PERMANENT, true },
	[REASON_REDIRECT] = { "redirect", PERMANENT, true },
	[REASON_AUTH] = { "auth", PERMANENT, true },

	[REASON_INTERNAL] = { "internal", PERMANENT, true },
};

const char *
reason_name(enum reason reason)
{
	assert((size_t)reason < REASON_COUNT);
	return reasons[reason].name;
}

enum reason_class
reason_class(enum reason reason)
{
	assert((size_t)reason < REASON_COUNT);
	return reasons[reason].class;
}

bool
reason_is_refusal(enum reason reason)
{
	assert((size_t)reason < REASON_COUNT);
	return reasons[reason].refuses;
}
