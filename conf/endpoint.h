/*
 * endpoint.h - one configured database, as the rest of the program sees it
 *
 * Everything here is made once, by config_load(), and never changes again;
 * threads share it without a lock.  Durations are seconds, 0 meaning never.
 * This header shows no OpenSSL: what certificates are needed for is behind
 * opaque pointers (trust.h, certfile.h).
 */
#ifndef CONF_ENDPOINT_H
#define CONF_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/address.h"
#include "protocols/negotiator.h"

struct keypair; /* certfile.h: a certificate, its chain and its key */
struct trust;   /* trust.h: what a peer's certificate must satisfy */

/* The order matters: each demands more than the one before. */
enum ssl_mode {
	SSL_MODE_NONE = 0,
	SSL_MODE_REQUIRE,
	SSL_MODE_VERIFY_CA,
	SSL_MODE_VERIFY_FULL,
};

const char *ssl_mode_name(enum ssl_mode mode);
/* False if it is no mode; `why` is then a sentence for the words that name a
 * mode which falls back, and NULL for those that name nothing. */
bool ssl_mode_parse(const char *word, enum ssl_mode *mode, const char **why);

/* What one server's certificate must say besides its chain. */
struct target {
	char **names; /* host names and addresses; any may match */
	size_t nnames;
	char *server_dn;     /* NULL: names count; else it replaces them */
	uint8_t (*pins)[32]; /* SHA-256 of the SPKI; any may match */
	size_t npins;
};

/* One place where the database is. */
struct server {
	char *text; /* as written in the file */
	char *host; /* a name or an address; NULL for a unix socket and for a
	             * network */
	uint16_t port;
	struct address fixed; /* len 0: the name has to be resolved */
	/* Of a transparent endpoint: any of these addresses, whichever the
	 * client was going to. */
	bool is_network;
	struct cidr network;
	struct target target;
	char *sni; /* NULL: none, the host is no name */
};

/* The one name that it goes by, where it is dialled by another; or else its
 * host.  NULL for a unix socket and a network. */
const char *server_called(const struct server *s);

/* How connections come to its listeners that were going elsewhere: by a rule
 * that rewrites where to (SO_ORIGINAL_DST says where that was), or by one that
 * leaves them as they are (the socket's own address says it). */
enum transparent {
	TRANSPARENT_OFF = 0,
	TRANSPARENT_REDIRECT,
	TRANSPARENT_TPROXY,
};

enum server_order {
	SERVER_ORDER_FIRST = 0,
	SERVER_ORDER_RANDOM
};
enum accept_mode {
	ACCEPT_BALANCE = 0,
	ACCEPT_REUSEPORT
};
enum ktls_mode {
	KTLS_OFF = 0,
	KTLS_AUTO,
	KTLS_ON, /* a kernel that cannot is an error */
};
enum records_mode {
	RECORDS_OPENSSL = 0,
	RECORDS_DIRECT, /* our own, where they can be: proxy/tls_records.h */
};
enum proxy_send {
	PROXY_SEND_OFF = 0,
	PROXY_SEND_V2
};
enum client_verify {
	CLIENT_VERIFY_NONE = 0,
	CLIENT_VERIFY_OPTIONAL,
	CLIENT_VERIFY_REQUIRE,
};

/* TLS versions as OpenSSL counts them (0x0303 is 1.2); 0: no bound. */
struct tls_settings {
	int min;
	int max;
	char *ciphers;      /* TLS 1.2 and below; NULL: OpenSSL's */
	char *ciphersuites; /* TLS 1.3 */
	char *groups;
	int seclevel;
	bool resume; /* server leg: sessions may be resumed */
	/* Of both legs, as the next: may the kernel do the records? */
	enum ktls_mode ktls;
	enum records_mode records; /* of both legs, where the server's is */
	bool direct; /* server leg: TLS before any message of the protocol */
};

struct endpoint {
	/* Where it was written, for messages. */
	char *file;
	unsigned line;
	size_t index; /* among the endpoints of its configuration */

	char *name;
	const struct neg_ops *ops;
	void *options; /* as ops->options describes; NULL if none */

	struct address *listens;
	size_t nlistens;
	/* Not OFF: its servers say which destinations are its own, and a
	 * session goes to the one that its client was going to.  Endpoints
	 * that are so in the same way may share a listen address. */
	enum transparent transparent;
	enum accept_mode accept;
	unsigned busy_poll_us; /* 0: its threads sleep at once */
	struct cidr_list allow;
	struct cidr_list deny;
	unsigned max_sessions;            /* 0: no limit of its own */
	unsigned max_sessions_per_client; /* by address; 0: none */
	unsigned max_session_rate;        /* new ones a second; 0: none */
	/* Whose connections begin with a PROXY header; empty: nobody's do. */
	struct cidr_list proxy_accept;
	enum proxy_send proxy_send;

	struct server *servers;
	size_t nservers;
	enum server_order server_order;
	double retry_after;
	struct address source; /* len 0: the kernel chooses */
	bool source_client;    /* the client's own address, instead */

	enum ssl_mode mode;
	struct trust *trust;      /* NULL for mode none */
	struct keypair *identity; /* NULL: no certificate is shown */
	struct tls_settings tls;

	enum neg_client_rule client_rule;
	struct keypair *client_keypair; /* NULL: client_rule is off */
	struct trust *client_trust;     /* NULL: client_verify is none */
	enum client_verify client_verify;
	struct tls_settings client_tls;
	unsigned rekey_records; /* sealed with one key; 0: the default */

	struct {
		double connect;
		double first_byte;
		double handshake;
		double idle;
		double drain;
	} timeouts;
	struct {
		unsigned idle; /* 0: the kernel's keepalive is off */
		unsigned interval;
		unsigned count;
	} keepalive;
	double user_timeout;

	struct {
		char *name;
		char *value;
	} * labels; /* written to every line of the log about this endpoint */
	size_t nlabels;
	bool cleartext_server; /* the user has said that this may be */
	bool mode_policy_dms;
};

/* "cleartext", "cleartext or TLS" or "TLS": what its clients may use. */
const char *endpoint_client_leg(const struct endpoint *e);

/* Does each listen address stand for the server of the same place, as its
 * engine's settings are?  There are then as many. */
bool endpoint_pairs(const struct endpoint *e);

/* Is a connection from there to there one to a listener of this endpoint?  Of
 * an address that is not known yet (length 0) only what is so anyhow. */
bool endpoint_listens_at(const struct endpoint *e, const struct address *from,
    const struct address *to);

/* May records of its sessions be the kernel's at all, with this engine and
 * these legs?  If not, `why` (unless NULL) goes on from "because". */
bool endpoint_may_ktls(const struct endpoint *e, const char **why);

/* Can nobody but this machine reach its listeners?  What is transparent is
 * reached by whoever the rules of the kernel bring. */
bool endpoint_is_local(const struct endpoint *e);

/* Is this the destination of that server, as far as addresses alone can say?
 * Never of one that is known by a name. */
bool server_has_address(const struct server *s, const struct address *to);

/* The policy that follows, for its negotiators. */
struct neg_policy endpoint_policy(const struct endpoint *e);

#endif /* CONF_ENDPOINT_H */
