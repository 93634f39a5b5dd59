#include "conf/config_settings.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "conf/config.h"
#include "conf/config_checks.h"
#include "conf/endpoint.h"

#define DAY              86400.0
#define YEAR             (365 * DAY)
#define TCP_TIME_MAX     32767     /* MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL */
#define TCP_PROBES_MAX   127       /* MAX_TCP_KEEPCNT */
#define USER_TIMEOUT_MAX 2147483.0 /* an int of milliseconds */
#define SESSIONS_MAX     16777216
#define RATE_MAX         1000000
#define THREADS_MAX      1024
#define SECLEVEL_MAX     5
/* RFC 8446, 5.5: AES-GCM is good for 2^24.5 records of one key. */
#define REKEY_MIN     100
#define REKEY_MAX     16777216
#define BUSY_POLL_MAX 1000 /* microseconds */

static const char *const level_words[] = { "debug", "info", "notice", "warn",
	"err", NULL };
static const char *const format_words[] = { "text", "json", NULL };
static const char *const client_words[] = { "off", "allow", "require", NULL };
static const char *const version_words[] = { "1.0", "1.1", "1.2", "1.3", NULL };
static const char *const order_words[] = { "first", "random", NULL };
static const char *const accept_words[] = { "balance", "reuseport", NULL };
static const char *const ktls_words[] = { "off", "auto", "on", NULL };
static const char *const records_words[] = { "openssl", "direct", NULL };
static const char *const transparent_words[] = { "off", "redirect", "tproxy",
	NULL };
static const char *const verify_words[] = { "none", "optional", "require",
	NULL };
static const char *const profile_words[] = { "default", "webpki", NULL };
static const char *const crl_words[] = { "refuse", "warn", NULL };
static const char *const proxy_words[] = { "off", "v2", NULL };
static const char *const policy_words[] = { "none", "dms", NULL };

#define IN_CONFIG(member) \
	.stored = true, .offset = offsetof(struct config, member)
#define IN_ENDPOINT(member) \
	.stored = true, .offset = offsetof(struct endpoint, member)

/* clang-format off */
static const struct setting settings[SETTING_NONE] = {
	[SETTING_THREADS] = {
		.scope = SCOPE_TOP, .name = "threads", .type = TYPE_COUNT,
		.max = THREADS_MAX, IN_CONFIG(threads), .fallback = "0",
		.help = "event loops; 0: as many as affinity and cgroup quota "
			"allow",
	},
	[SETTING_INCLUDE] = {
		.scope = SCOPE_TOP, .name = "include", .type = TYPE_LIST,
		.help = "files with endpoints of their own; wildcards, "
			"relative to this file",
	},
	[SETTING_LOG_LEVEL] = {
		.scope = SCOPE_TOP, .name = "log.level", .type = TYPE_CHOICE,
		.choices = level_words, IN_CONFIG(log.level),
		.fallback = "info",
		.help = "the least that is written",
	},
	[SETTING_LOG_FORMAT] = {
		.scope = SCOPE_TOP, .name = "log.format", .type = TYPE_CHOICE,
		.choices = format_words, IN_CONFIG(log.format),
		.fallback = "text",
		.help = "key=value, or one JSON object a line",
	},
	[SETTING_LOG_TO] = {
		.scope = SCOPE_TOP, .name = "log.to", .type = TYPE_TEXT,
		.check = check_log_to, .fallback = "stderr",
		.help = "\"stderr\", \"syslog\" or a file (mode 0640, SIGUSR1 "
			"reopens it)",
	},
	[SETTING_LOG_IDENTITY] = {
		.scope = SCOPE_TOP, .name = "log.identity", .type = TYPE_BOOL,
		IN_CONFIG(log.identity), .fallback = "true",
		.help = "log user, database and program, where a client says "
			"them in clear",
	},
	[SETTING_DNS_MIN_TTL] = {
		.scope = SCOPE_TOP, .name = "dns.min_ttl",
		.type = TYPE_SECONDS, .max = DAY, IN_CONFIG(dns.min_ttl),
		.fallback = "1",
		.help = "an answer is kept for its TTL, but at least this long",
	},
	[SETTING_DNS_MAX_TTL] = {
		.scope = SCOPE_TOP, .name = "dns.max_ttl",
		.type = TYPE_SECONDS, .max = DAY, IN_CONFIG(dns.max_ttl),
		.fallback = "30",
		.help = "and at most this long",
	},
	[SETTING_DNS_NEGATIVE_TTL] = {
		.scope = SCOPE_TOP, .name = "dns.negative_ttl",
		.type = TYPE_SECONDS, .max = DAY, IN_CONFIG(dns.negative_ttl),
		.fallback = "1",
		.help = "how long a name that does not exist is not asked for "
			"again",
	},
	[SETTING_DNS_TIMEOUT] = {
		.scope = SCOPE_TOP, .name = "dns.timeout",
		.type = TYPE_SECONDS, .min = 0.05, .max = 60,
		IN_CONFIG(dns.timeout), .fallback = "2",
		.help = "how long a resolver may take to answer one query",
	},
	[SETTING_DNS_ATTEMPTS] = {
		.scope = SCOPE_TOP, .name = "dns.attempts", .type = TYPE_COUNT,
		.min = 1, .max = 10, IN_CONFIG(dns.attempts), .fallback = "3",
		.help = "how many queries are sent before a name counts as "
			"unresolved",
	},
	[SETTING_TOP_MAX_SESSIONS] = {
		.scope = SCOPE_TOP, .name = "max_sessions", .type = TYPE_COUNT,
		.max = SESSIONS_MAX, IN_CONFIG(max_sessions), .fallback = "0",
		.help = "of all endpoints; 0: as many as the descriptor limit "
			"allows",
	},
	[SETTING_USER] = {
		.scope = SCOPE_TOP, .name = "user", .type = TYPE_TEXT,
		.check = check_user, IN_CONFIG(user),
		.help = "who to become, once started by root and listening",
	},
	[SETTING_POLICY_MIN_MODE] = {
		.scope = SCOPE_TOP, .name = "policy.min_mode",
		.type = TYPE_TEXT, .check = check_mode, .fallback = "none",
		.help = "no endpoint may have a weaker ssl_mode",
	},
	[SETTING_POLICY_CLIENT_TLS] = {
		.scope = SCOPE_TOP, .name = "policy.client_tls",
		.type = TYPE_CHOICE, .choices = client_words,
		.fallback = "off",
		.help = "no endpoint may have a weaker client_tls.mode",
	},
	[SETTING_POLICY_MIN_TLS] = {
		.scope = SCOPE_TOP, .name = "policy.min_tls",
		.type = TYPE_CHOICE, .choices = version_words,
		.fallback = "1.0",
		.help = "no endpoint may have a lower tls.min or "
			"client_tls.min",
	},
	[SETTING_ENDPOINTS] = {
		.scope = SCOPE_TOP, .name = "endpoints",
		.type = TYPE_ENDPOINTS,
		.help = "the databases",
	},
	[SETTING_NAME] = {
		.scope = SCOPE_ENDPOINT, .name = "name", .type = TYPE_TEXT,
		.required = true, .check = check_name, IN_ENDPOINT(name),
		.help = "what it is called in the log; used once",
	},
	[SETTING_ENGINE] = {
		.scope = SCOPE_ENDPOINT, .name = "engine", .type = TYPE_TEXT,
		.required = true, .check = check_engine,
		.help = "what the server speaks",
	},
	[SETTING_LISTEN] = {
		.scope = SCOPE_ENDPOINT, .name = "listen", .type = TYPE_LIST,
		.required = true, .check = check_listen,
		.help = "where clients connect to: \"127.0.0.1:5432\", "
			"\"[::1]:5432\" (IPv6 only), \"unix:/path\"",
	},
	[SETTING_SERVER] = {
		.scope = SCOPE_ENDPOINT, .name = "server",
		.type = TYPE_SERVERS, .required = true, .check = check_server,
		.help = "where the database is: \"HOST:PORT\", or a list of "
			"these and of groups; networks too if transparent",
	},
	[SETTING_SERVER_ORDER] = {
		.scope = SCOPE_ENDPOINT, .name = "server_order",
		.type = TYPE_CHOICE, .choices = order_words,
		IN_ENDPOINT(server_order), .fallback = "first",
		.help = "which of several servers is tried first",
	},
	[SETTING_RETRY_AFTER] = {
		.scope = SCOPE_ENDPOINT, .name = "retry_after",
		.type = TYPE_SECONDS, .max = DAY, IN_ENDPOINT(retry_after),
		.fallback = "5",
		.help = "how long a server that could not be reached is "
			"passed over",
	},
	[SETTING_SSL_MODE] = {
		.scope = SCOPE_ENDPOINT, .name = "ssl_mode", .type = TYPE_TEXT,
		.check = check_mode, .fallback = "verify-full",
		.help = "what is demanded of the server: none, require, "
			"verify-ca or verify-full",
	},
	[SETTING_CA] = {
		.scope = SCOPE_ENDPOINT, .name = "ca", .type = TYPE_LIST,
		.help = "files of trust anchors, wallets, or \"system\"; "
			"needed by verify-ca and verify-full",
	},
	[SETTING_CRL] = {
		.scope = SCOPE_ENDPOINT, .name = "crl", .type = TYPE_LIST,
		.help = "files of revocation lists; every CA of the chain "
			"then needs one",
	},
	[SETTING_CRL_EXPIRED] = {
		.scope = SCOPE_ENDPOINT, .name = "crl_expired",
		.type = TYPE_CHOICE, .choices = crl_words,
		.fallback = "refuse",
		.help = "what a list past its nextUpdate does",
	},
	[SETTING_SERVER_NAME] = {
		.scope = SCOPE_ENDPOINT, .name = "server_name",
		.type = TYPE_LIST, .check = check_server_name,
		.help = "what the certificate must say; default: the host "
			"that is dialled",
	},
	[SETTING_SERVER_DN] = {
		.scope = SCOPE_ENDPOINT, .name = "server_dn",
		.type = TYPE_TEXT, .check = check_server_dn,
		.help = "its whole subject, or \"CN=x\" alone, in place of "
			"the name",
	},
	[SETTING_ALLOW_CN] = {
		.scope = SCOPE_ENDPOINT, .name = "allow_cn", .type = TYPE_BOOL,
		.fallback = "true",
		.help = "the CN counts where the certificate has no name of "
			"that kind",
	},
	[SETTING_PIN] = {
		.scope = SCOPE_ENDPOINT, .name = "pin", .type = TYPE_LIST,
		.check = check_pin,
		.help = "\"sha256//BASE64\" of the server's public key; any "
			"of several",
	},
	[SETTING_SNI] = {
		.scope = SCOPE_ENDPOINT, .name = "sni", .type = TYPE_TEXT,
		.check = check_sni,
		.help = "the name that is asked for; default: the first host "
			"name expected",
	},
	[SETTING_X509_PROFILE] = {
		.scope = SCOPE_ENDPOINT, .name = "x509_profile",
		.type = TYPE_CHOICE, .choices = profile_words,
		.fallback = "default",
		.help = "webpki: no CN, SAN and EKU needed, nothing old",
	},
	[SETTING_CLEARTEXT_SERVER] = {
		.scope = SCOPE_ENDPOINT, .name = "cleartext_server",
		.type = TYPE_BOOL, IN_ENDPOINT(cleartext_server),
		.fallback = "false",
		.help = "clients may use TLS although the server, elsewhere, "
			"has none",
	},
	[SETTING_CLIENT_TLS_MODE] = {
		.scope = SCOPE_ENDPOINT, .name = "client_tls.mode",
		.type = TYPE_CHOICE, .choices = client_words,
		IN_ENDPOINT(client_rule), .fallback = "off",
		.help = "whether clients may, or must, use TLS",
	},
	[SETTING_CLIENT_TLS_CERT] = {
		.scope = SCOPE_ENDPOINT, .name = "client_tls.cert",
		.type = TYPE_TEXT,
		.help = "the certificate that clients are shown, with its "
			"chain",
	},
	[SETTING_CLIENT_TLS_KEY] = {
		.scope = SCOPE_ENDPOINT, .name = "client_tls.key",
		.type = TYPE_TEXT,
		.help = "its key; default: in the same file",
	},
	[SETTING_CLIENT_TLS_CA] = {
		.scope = SCOPE_ENDPOINT, .name = "client_tls.ca",
		.type = TYPE_LIST, .check = check_client_ca,
		.help = "what clients' certificates are judged by",
	},
	[SETTING_CLIENT_TLS_VERIFY] = {
		.scope = SCOPE_ENDPOINT, .name = "client_tls.verify",
		.type = TYPE_CHOICE, .choices = verify_words,
		IN_ENDPOINT(client_verify), .fallback = "none",
		.help = "whether clients may, or must, show a certificate",
	},
	[SETTING_CLIENT_TLS_MIN] = {
		.scope = SCOPE_ENDPOINT, .name = "client_tls.min",
		.type = TYPE_CHOICE, .choices = version_words,
		.fallback = "1.2",
		.help = "lowest TLS version; below 1.2 the leg is at security "
			"level 0",
	},
	[SETTING_CLIENT_TLS_MAX] = {
		.scope = SCOPE_ENDPOINT, .name = "client_tls.max",
		.type = TYPE_CHOICE, .choices = version_words,
		.fallback = "1.3",
		.help = "highest TLS version",
	},
	[SETTING_CLIENT_TLS_CIPHERS] = {
		.scope = SCOPE_ENDPOINT, .name = "client_tls.ciphers",
		.type = TYPE_TEXT, IN_ENDPOINT(client_tls.ciphers),
		.help = "ciphers of TLS 1.2 and below; default: OpenSSL's",
	},
	[SETTING_ALLOW] = {
		.scope = SCOPE_ENDPOINT, .name = "allow", .type = TYPE_LIST,
		.check = check_cidr,
		.help = "networks that may connect; all others may then not",
	},
	[SETTING_DENY] = {
		.scope = SCOPE_ENDPOINT, .name = "deny", .type = TYPE_LIST,
		.check = check_cidr,
		.help = "networks that may not; wins over allow",
	},
	[SETTING_IDENTITY_CERT] = {
		.scope = SCOPE_ENDPOINT, .name = "identity.cert",
		.type = TYPE_TEXT,
		.help = "the client certificate that the server is shown, or "
			"a wallet",
	},
	[SETTING_IDENTITY_KEY] = {
		.scope = SCOPE_ENDPOINT, .name = "identity.key",
		.type = TYPE_TEXT,
		.help = "its key; default: in the same file",
	},
	[SETTING_IDENTITY_PASSWORD_FILE] = {
		.scope = SCOPE_ENDPOINT, .name = "identity.password_file",
		.type = TYPE_TEXT,
		.help = "a file with the key's, or the wallet's, password",
	},
	[SETTING_WALLET_PASSWORD_FILE] = {
		.scope = SCOPE_ENDPOINT, .name = "wallet_password_file",
		.type = TYPE_TEXT,
		.help = "a file with the password of the wallets that are "
			"named here",
	},
	[SETTING_WALLET_HOST] = {
		.scope = SCOPE_ENDPOINT, .name = "wallet_host",
		.type = TYPE_TEXT, .check = check_wallet_host,
		.help = "where an auto_login_local wallet was made; default: "
			"this host",
	},
	[SETTING_WALLET_USER] = {
		.scope = SCOPE_ENDPOINT, .name = "wallet_user",
		.type = TYPE_TEXT, .check = check_wallet_user,
		.help = "and by which user; default: the one that dbtls runs "
			"as",
	},
	[SETTING_TLS_MIN] = {
		.scope = SCOPE_ENDPOINT, .name = "tls.min",
		.type = TYPE_CHOICE, .choices = version_words,
		.fallback = "1.2",
		.help = "lowest TLS version; below 1.2 needs seclevel = 0",
	},
	[SETTING_TLS_MAX] = {
		.scope = SCOPE_ENDPOINT, .name = "tls.max",
		.type = TYPE_CHOICE, .choices = version_words,
		.fallback = "1.3",
		.help = "highest TLS version",
	},
	[SETTING_TLS_CIPHERS] = {
		.scope = SCOPE_ENDPOINT, .name = "tls.ciphers",
		.type = TYPE_TEXT, IN_ENDPOINT(tls.ciphers),
		.help = "ciphers of TLS 1.2 and below; default: OpenSSL's",
	},
	[SETTING_TLS_CIPHERSUITES] = {
		.scope = SCOPE_ENDPOINT, .name = "tls.ciphersuites",
		.type = TYPE_TEXT, IN_ENDPOINT(tls.ciphersuites),
		.help = "cipher suites of TLS 1.3; default: OpenSSL's",
	},
	[SETTING_TLS_GROUPS] = {
		.scope = SCOPE_ENDPOINT, .name = "tls.groups",
		.type = TYPE_TEXT, IN_ENDPOINT(tls.groups),
		.help = "groups for the key exchange; default: OpenSSL's",
	},
	[SETTING_TLS_SECLEVEL] = {
		.scope = SCOPE_ENDPOINT, .name = "tls.seclevel",
		.type = TYPE_COUNT, .max = SECLEVEL_MAX,
		IN_ENDPOINT(tls.seclevel), .fallback = "2",
		.help = "OpenSSL's security level of the server leg",
	},
	[SETTING_TLS_DIRECT] = {
		.scope = SCOPE_ENDPOINT, .name = "tls.direct",
		.type = TYPE_BOOL, IN_ENDPOINT(tls.direct),
		.fallback = "false",
		.help = "TLS before any message of the protocol, where it has "
			"that",
	},
	[SETTING_TLS_RECORDS] = {
		.scope = SCOPE_ENDPOINT, .name = "tls.records",
		.type = TYPE_CHOICE, .choices = records_words,
		IN_ENDPOINT(tls.records), .fallback = "openssl",
		.help = "who seals and opens the records of TLS 1.3, of both "
			"legs; direct: we, with less work and memory",
	},
	[SETTING_TLS_RESUME] = {
		.scope = SCOPE_ENDPOINT, .name = "tls.resume",
		.type = TYPE_BOOL, IN_ENDPOINT(tls.resume),
		.fallback = "true",
		.help = "resume the server's sessions, while the certificate "
			"behind them is good",
	},
	[SETTING_TLS_KTLS] = {
		.scope = SCOPE_ENDPOINT, .name = "tls.ktls",
		.type = TYPE_CHOICE, .choices = ktls_words,
		IN_ENDPOINT(tls.ktls), .fallback = "off",
		.help = "let the kernel seal and open the records of TLS 1.3, "
			"of both legs; auto: where it can",
	},
	[SETTING_TIMEOUTS_CONNECT] = {
		.scope = SCOPE_ENDPOINT, .name = "timeouts.connect",
		.type = TYPE_SECONDS, .max = YEAR,
		IN_ENDPOINT(timeouts.connect), .fallback = "10",
		.help = "to resolve and connect, over all addresses; 0: never",
	},
	[SETTING_TIMEOUTS_FIRST_BYTE] = {
		.scope = SCOPE_ENDPOINT, .name = "timeouts.first_byte",
		.type = TYPE_SECONDS, .max = YEAR,
		IN_ENDPOINT(timeouts.first_byte), .fallback = "60",
		.help = "for a new client to say something, where clients "
			"speak first",
	},
	[SETTING_TIMEOUTS_HANDSHAKE] = {
		.scope = SCOPE_ENDPOINT, .name = "timeouts.handshake",
		.type = TYPE_SECONDS, .max = YEAR,
		IN_ENDPOINT(timeouts.handshake), .fallback = "30",
		.help = "from a client's first byte until the legs are joined",
	},
	[SETTING_TIMEOUTS_IDLE] = {
		.scope = SCOPE_ENDPOINT, .name = "timeouts.idle",
		.type = TYPE_SECONDS, .max = YEAR, IN_ENDPOINT(timeouts.idle),
		.fallback = "0",
		.help = "without a byte in either direction",
	},
	[SETTING_TIMEOUTS_DRAIN] = {
		.scope = SCOPE_ENDPOINT, .name = "timeouts.drain",
		.type = TYPE_SECONDS, .max = YEAR, IN_ENDPOINT(timeouts.drain),
		.fallback = "30",
		.help = "for sessions to end by themselves after SIGTERM",
	},
	[SETTING_KEEPALIVE_IDLE] = {
		.scope = SCOPE_ENDPOINT, .name = "keepalive.idle",
		.type = TYPE_COUNT, .max = TCP_TIME_MAX,
		IN_ENDPOINT(keepalive.idle), .fallback = "60",
		.help = "seconds of silence before the kernel asks; 0: it "
			"never does",
	},
	[SETTING_KEEPALIVE_INTERVAL] = {
		.scope = SCOPE_ENDPOINT, .name = "keepalive.interval",
		.type = TYPE_COUNT, .min = 1, .max = TCP_TIME_MAX,
		IN_ENDPOINT(keepalive.interval), .fallback = "10",
		.help = "seconds between its questions",
	},
	[SETTING_KEEPALIVE_COUNT] = {
		.scope = SCOPE_ENDPOINT, .name = "keepalive.count",
		.type = TYPE_COUNT, .min = 1, .max = TCP_PROBES_MAX,
		IN_ENDPOINT(keepalive.count), .fallback = "6",
		.help = "how many stay unanswered before a peer counts as gone",
	},
	[SETTING_USER_TIMEOUT] = {
		.scope = SCOPE_ENDPOINT, .name = "user_timeout",
		.type = TYPE_SECONDS, .max = USER_TIMEOUT_MAX,
		IN_ENDPOINT(user_timeout), .fallback = "0",
		.help = "cut a peer that takes no data for so long, as a "
			"paused reader does; 0: never",
	},
	[SETTING_SOURCE] = {
		.scope = SCOPE_ENDPOINT, .name = "source", .type = TYPE_TEXT,
		.check = check_source,
		.help = "the local address that the server is dialled from, "
			"or \"client\": the client's own",
	},
	[SETTING_TRANSPARENT] = {
		.scope = SCOPE_ENDPOINT, .name = "transparent",
		.type = TYPE_CHOICE, .choices = transparent_words,
		IN_ENDPOINT(transparent), .fallback = "off",
		.help = "the kernel brings connections that were going to the "
			"server: by REDIRECT, or by TPROXY",
	},
	[SETTING_ACCEPT] = {
		.scope = SCOPE_ENDPOINT, .name = "accept", .type = TYPE_CHOICE,
		.choices = accept_words, IN_ENDPOINT(accept),
		.fallback = "balance",
		.help = "who gets a new client: the least busy thread, or "
			"whom the kernel picks",
	},
	[SETTING_BUSY_POLL_US] = {
		.scope = SCOPE_ENDPOINT, .name = "busy_poll_us",
		.type = TYPE_COUNT, .max = BUSY_POLL_MAX,
		IN_ENDPOINT(busy_poll_us), .fallback = "0",
		.help = "microseconds that a thread looks for more before it "
			"sleeps; 0: none",
	},
	[SETTING_REKEY_RECORDS] = {
		.scope = SCOPE_ENDPOINT, .name = "rekey_records",
		.type = TYPE_COUNT, .min = REKEY_MIN, .max = REKEY_MAX,
		IN_ENDPOINT(rekey_records), .fallback = "8388608",
		.help = "how many records one key of TLS 1.3 seals, of both "
			"legs and each direction",
	},
	[SETTING_LABELS] = {
		.scope = SCOPE_ENDPOINT, .name = "labels", .type = TYPE_LABELS,
		.help = "names and values of your own, written to the log "
			"with the endpoint",
	},
	[SETTING_MODE_POLICY] = {
		.scope = SCOPE_ENDPOINT, .name = "mode_policy",
		.type = TYPE_CHOICE, .choices = policy_words,
		.fallback = "none",
		.help = "dms: only the modes that AWS DMS has for this engine",
	},
	[SETTING_MAX_SESSIONS] = {
		.scope = SCOPE_ENDPOINT, .name = "max_sessions",
		.type = TYPE_COUNT, .max = SESSIONS_MAX,
		IN_ENDPOINT(max_sessions), .fallback = "0",
		.help = "of this endpoint; 0: no limit of its own",
	},
	[SETTING_MAX_SESSIONS_PER_CLIENT] = {
		.scope = SCOPE_ENDPOINT, .name = "max_sessions_per_client",
		.type = TYPE_COUNT, .max = SESSIONS_MAX,
		IN_ENDPOINT(max_sessions_per_client), .fallback = "0",
		.help = "from one address; 0: no limit",
	},
	[SETTING_MAX_SESSION_RATE] = {
		.scope = SCOPE_ENDPOINT, .name = "max_session_rate",
		.type = TYPE_COUNT, .max = RATE_MAX,
		IN_ENDPOINT(max_session_rate), .fallback = "0",
		.help = "new sessions a second, and as many at once; 0: no "
			"limit",
	},
	[SETTING_PROXY_ACCEPT] = {
		.scope = SCOPE_ENDPOINT, .name = "proxy_protocol.accept",
		.type = TYPE_LIST, .check = check_proxy_accept,
		.help = "the load balancers, who alone may connect, and must "
			"say for whom",
	},
	[SETTING_PROXY_SEND] = {
		.scope = SCOPE_ENDPOINT, .name = "proxy_protocol.send",
		.type = TYPE_CHOICE, .choices = proxy_words,
		IN_ENDPOINT(proxy_send), .fallback = "off",
		.help = "v2: tell the server whom each connection is for",
	},
	[SETTING_SERVER_ADDRESS] = {
		.scope = SCOPE_SERVER, .name = "address", .type = TYPE_TEXT,
		.required = true, .check = check_server,
		.help = "\"HOST:PORT\"",
	},
	[SETTING_SERVER_OWN_NAME] = {
		.scope = SCOPE_SERVER, .name = "server_name",
		.type = TYPE_LIST, .check = check_server_name,
		.help = "as the endpoint's, for this server",
	},
	[SETTING_SERVER_OWN_DN] = {
		.scope = SCOPE_SERVER, .name = "server_dn", .type = TYPE_TEXT,
		.check = check_server_dn,
		.help = "as the endpoint's, for this server",
	},
	[SETTING_SERVER_OWN_PIN] = {
		.scope = SCOPE_SERVER, .name = "pin", .type = TYPE_LIST,
		.check = check_pin,
		.help = "as the endpoint's, for this server",
	},
};
/* clang-format on */

const struct setting *
setting_get(enum setting_id id)
{
	assert(id < SETTING_NONE);
	return &settings[id];
}

enum setting_id
setting_find(enum setting_scope scope, const char *path)
{
	size_t i;

	for (i = 0; i < SETTING_NONE; i++) {
		if (settings[i].scope == scope &&
		    strcmp(settings[i].name, path) == 0)
			break;
	}
	return (enum setting_id)i;
}

/* Does `name` stand in the group, and not in a group within it?  Then the word
 * is what comes after "group.". */
static const char *
word_in_group(const char *name, const char *group)
{
	size_t len = strlen(group);

	if (len == 0)
		return name;
	if (strncmp(name, group, len) != 0 || name[len] != '.')
		return NULL;
	return name + len + 1;
}

bool
setting_is_group(enum setting_scope scope, const char *path)
{
	size_t i;

	for (i = 0; i < SETTING_NONE; i++) {
		if (settings[i].scope == scope &&
		    strchr(settings[i].name, '.') != NULL &&
		    word_in_group(settings[i].name, path) != NULL)
			return true;
	}
	return false;
}
