#include <stdio.h>
#include <string.h>

#include "proxy/log.h"
#include "proxy/session_private.h"
#include "proxy/times.h"

/* Before the version of a client's TLS that has ended with its log-in. */
#define LOGIN_ONLY    "login-only "
#define LOGIN_TLS_MAX 16 /* "TLSv1.2" */

static void
log_who(struct log_line *l, const struct session *s)
{
	struct address client = session_address(s->client);
	struct address server = session_address(s->address);

	log_uint(l, "session", s->id);
	if (!s->astray)
		log_endpoint(l, s->endpoint);
	log_address(l, "client", &client);
	if (s->front != NULL)
		log_address(l, "via", &s->front->via);
	if (server.len > 0)
		log_address(l, "server", &server);
}

/* One of the session's own says what the client asked for. */
static bool
may_log_sni(const struct session *s)
{
	return s->neg->n.sni == NULL || s->worker->proxy->config->log.identity;
}

static void
log_server_leg(struct log_line *l, const struct session *s)
{
	const struct tls *tls = s->leg[LEG_SERVER].tls;
	const struct cert_verdict *v;

	log_text(l, "mode", ssl_mode_name(s->endpoint->mode));
	if (tls == NULL) {
		log_text(l, "tls", "none");
		log_text(l, "verified", verified_name(VERIFIED_NONE));
		return;
	}
	v = tls_verdict(tls);
	log_text(l, "tls", tls_version(tls));
	log_text(l, "cipher", tls_cipher(tls));
	log_text(l, "group", tls_group(tls));
	log_text(l, "resumed", tls_resumed(tls) ? "yes" : "no");
	log_text(l, "verified", verified_name(v->verified));
	if (v->name[0] != '\0')
		log_peer(l, "name", v->name, strlen(v->name));
	if (v->verified >= VERIFIED_CA)
		log_hex(l, "anchor", v->anchor, sizeof(v->anchor));
	log_hex(l, "leaf", v->leaf, sizeof(v->leaf));
	if (tls_sni(tls)[0] != '\0' && may_log_sni(s))
		log_text(l, "sni", tls_sni(tls));
}

/* What follows the log-in is as clear as on any leg in clear. */
static void
log_login_only(struct log_line *l, const struct negotiation *neg)
{
	char words[sizeof(LOGIN_ONLY) + LOGIN_TLS_MAX];

	(void)snprintf(words, sizeof(words), LOGIN_ONLY "%s", neg->login_tls);
	log_text(l, "client_leg", words);
	log_text(l, "client_cipher", neg->login_cipher);
}

static void
log_client_leg(struct log_line *l, const struct session *s)
{
	const struct tls *tls = s->leg[LEG_CLIENT].tls;

	if (s->front != NULL && s->front->tls[0] != '\0')
		log_peer(l, "via_tls", s->front->tls, strlen(s->front->tls));
	if (s->neg->login_tls != NULL) {
		log_login_only(l, s->neg);
		return;
	}
	if (tls == NULL) {
		log_text(l, "client_leg", "cleartext");
		return;
	}
	log_text(l, "client_leg", tls_version(tls));
	log_text(l, "client_cipher", tls_cipher(tls));
}

static void
log_name(struct log_line *l, const char *key, const char *name)
{
	if (name[0] != '\0')
		log_peer(l, key, name, strlen(name));
}

void
session_log_open(struct session *s, const struct neg_names *names)
{
	struct log_line l;

	if (!log_open(&l, LEVEL_INFO, "session.open"))
		return;
	log_who(&l, s);
	log_text(&l, "engine", s->endpoint->ops->name);
	log_server_leg(&l, s);
	log_client_leg(&l, s);
	if (s->worker->proxy->config->log.identity) {
		log_name(&l, "user", names->user);
		log_name(&l, "database", names->database);
		log_name(&l, "program", names->program);
	}
	log_close(&l);
}

static enum log_level
end_level(const struct session *s)
{
	if (reason_is_refusal(s->reason))
		return LEVEL_NOTICE;
	/* Health checks connect and leave all day long. */
	return s->heard || s->opened ? LEVEL_INFO : LEVEL_DEBUG;
}

/* On which legs the kernel had the records; NULL: on neither. */
static const char *
ktls_legs(const struct session *s)
{
	bool client = leg_in_kernel(&s->leg[LEG_CLIENT]);
	bool server = leg_in_kernel(&s->leg[LEG_SERVER]);

	if (client && server)
		return "both";
	if (client)
		return "client";
	return server ? "server" : NULL;
}

void
session_log_end(const struct session *s, const char *detail)
{
	/* What was opened is closed, whatever for. */
	bool refused = !s->opened && reason_is_refusal(s->reason);
	struct log_line l;

	if (!log_open(&l, end_level(s),
		refused ? "session.refused" : "session.close"))
		return;
	log_who(&l, s);
	log_text(&l, "reason", reason_name(s->reason));
	if (detail != NULL)
		log_text(&l, "detail", detail);
	log_seconds(&l, "seconds", times_now() - s->started);
	if (!refused) {
		log_uint(&l, "bytes_to_server",
		    s->bytes[LEG_SERVER] + s->relay.flow[LEG_CLIENT].bytes);
		log_uint(&l, "bytes_to_client",
		    s->bytes[LEG_CLIENT] + s->relay.flow[LEG_SERVER].bytes);
		log_text(&l, "ktls", ktls_legs(s));
	}
	log_close(&l);
}
