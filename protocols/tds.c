/*
 * tds.c - engine `sqlserver`
 *
 *	client              here                         server
 *	 PRELOGIN       ->  held; connect
 *	                    the same, byte 01 ours    ->
 *	                                              <- its answer
 *	                    TLS, in packets           <->
 *	                <-  its answer, byte 01 ours
 *	 TLS, in packets <->
 *	 LOGIN7         ->  the server's name, if told ->
 *	                <-                            <- tokens, read
 *	                    relay, packet by packet
 *
 * Version 8 ("strict") begins with TLS on either leg, says the same inside it,
 * and means nothing by byte 01; the two legs need not agree.  A client of 7.x
 * may also want TLS for the first packet of its LOGIN7 only, and very old ones
 * begin with that message.
 *
 * The server is dialled before the client is answered, because the answer is
 * the server's own: drivers choose their version, multiplexing and log-in by
 * what is in it.  Log-in is followed to its end, because the server may then
 * send the client elsewhere, past us.
 *
 * Numbers and names are those of MS-TDS.
 */
#include "protocols/tds_prelogin.h"
#include "protocols/tds_private.h"
#include "protocols/tds_reply.h"

struct verdict
tds_protocol_error(struct negotiator *n, enum leg_id leg, const char *text)
{
	return neg_end(n, REASON_PROTOCOL, leg, text, NULL);
}

struct verdict
tds_garbled(struct negotiator *n, const char *text)
{
	struct tds *tds = n->state;

	tds->at = AT_GARBLED;
	return tds_protocol_error(n, LEG_CLIENT, text);
}

struct verdict
tds_connect(struct negotiator *n)
{
	struct tds *tds = n->state;

	tds->at = AT_CONNECTING;
	return neg_connect();
}

/* Its end may have been further on before it was moved or rewritten. */
void
tds_wipe_body(struct tds *tds)
{
	neg_wipe(tds->body, tds->body_len + TDS_LOGIN_GROWS);
	tds->body_len = 0;
}

static struct verdict
tds_step(struct negotiator *n)
{
	const struct tds *tds = n->state;

	switch (tds->at) {
	case AT_OPENING:
		return tds_step_opening(n);
	case AT_INSISTED:
		return tds_step_insisted(n);
	case AT_STRICT_TLS:
		return tds_step_strict_tls(n);
	case AT_CONNECTING:
		return tds_step_connected(n);
	case AT_SERVER_STRICT:
		return tds_step_server_strict(n);
	case AT_ASKED:
		return tds_step_asked(n);
	case AT_SERVER_TLS:
		return tds_step_server_tls(n);
	case AT_ANSWERED:
		return tds_step_answered(n);
	case AT_CLIENT_TLS:
		return tds_step_client_tls(n);
	case AT_LOGIN:
	case AT_LOGIN_UNASKED:
		return tds_step_login(n);
	case AT_LOGIN_SEALED:
		return tds_step_login_sealed(n);
	case AT_LOGIN_UNSEALED:
		return tds_step_login_unsealed(n);
	case AT_REPLY:
		return tds_step_reply(n);
	case AT_REPLIED:
		return tds_step_replied(n);
	case AT_RELAYED:
		return tds_step_relayed(n);
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return neg_past_end(n);
}

/*
 * Refusing.
 */

struct verdict
tds_tell(struct negotiator *n)
{
	struct tds *tds = n->state;

	tds_wipe_body(tds);
	tds_write_error(&n->out[LEG_CLIENT], tds->version, &n->error);
	tds->at = AT_TOLD;
	return neg_refused();
}

/* A client listens for an error only after its LOGIN7, and wants it in TLS if
 * that was agreed on: so it is heard to there, with an answer of ours where the
 * server gave none.  One that has run out of time has had its chance. */
static struct verdict
refuse_client(struct negotiator *n, bool begins)
{
	if (begins && n->error.reason == REASON_TIMEOUT)
		return neg_refused();
	return tds_step(n);
}

/* If TLS has failed, nothing that we could say would be understood. */
static struct verdict
refuse_client_tls(struct negotiator *n)
{
	return n->leg[LEG_CLIENT].tls_up ? tds_step(n) : neg_refused();
}

static struct verdict
tds_refuse(struct negotiator *n)
{
	struct tds *tds = n->state;
	const bool begins = !tds->refusing;

	tds->refusing = true;
	if (tds->login_heard && tds->at != AT_TOLD)
		return tds_tell(n);
	switch (tds->at) {
	case AT_OPENING:
	case AT_INSISTED:
	case AT_ANSWERED:
	case AT_LOGIN:
	case AT_LOGIN_UNASKED:
	case AT_LOGIN_SEALED:
	case AT_LOGIN_UNSEALED:
		return refuse_client(n, begins);
	case AT_STRICT_TLS:
	case AT_CLIENT_TLS:
		return refuse_client_tls(n);
	case AT_CONNECTING:
	case AT_SERVER_STRICT:
	case AT_ASKED:
	case AT_SERVER_TLS:
		return tds_answer_alone(n);
	case AT_GARBLED:
	case AT_REPLY:
	case AT_REPLIED:
	case AT_RELAYED:
	case AT_TOLD:
		break;
	}
	return neg_refused();
}

static const char *
tds_where(const struct negotiator *n)
{
	const struct tds *tds = n->state;

	switch (tds->at) {
	case AT_OPENING:
		return "awaiting the client's PRELOGIN";
	case AT_STRICT_TLS:
	case AT_CLIENT_TLS:
		return "securing the client's leg";
	case AT_CONNECTING:
		return "connecting to the server";
	case AT_ASKED:
		return "awaiting the server's answer to PRELOGIN";
	case AT_SERVER_STRICT:
	case AT_SERVER_TLS:
		return "securing the server's leg";
	case AT_INSISTED:
	case AT_ANSWERED:
		return "awaiting the client's TLS";
	case AT_LOGIN:
	case AT_LOGIN_UNASKED:
	case AT_LOGIN_SEALED:
	case AT_LOGIN_UNSEALED:
		return "awaiting the client's LOGIN7";
	case AT_REPLY:
		return "awaiting the server during log-in";
	case AT_REPLIED:
		return "awaiting the client during log-in";
	case AT_RELAYED:
		return "awaiting the client after log-in";
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return "refusing the client";
}

static const char *const sqlserver_aliases[] = { "mssql", "azuredb",
	"babelfish", NULL };

static const char *const rewrite_choices[] = { "auto", "off", "on", NULL };

static const struct neg_option sqlserver_options[] = {
	{ .name = "rewrite_server_name",
	    .kind = NEG_OPTION_CHOICE,
	    .offset = offsetof(struct tds_options, rewrite_server_name),
	    .choices = rewrite_choices,
	    .help = "whether a client's log-in names the host of the server "
		    "instead of the proxy's: auto does for hosts of "
		    "database.windows.net, which are told apart by it" },
	{ .name = NULL },
};

const struct neg_ops neg_sqlserver = {
	.name = "sqlserver",
	.aliases = sqlserver_aliases,
	.default_port = 1433,
	.window = TDS_WINDOW,
	.state_size = sizeof(struct tds),
	.options = sqlserver_options,
	.options_size = sizeof(struct tds_options),
	.server_start = NEG_START_EITHER,
	.client_first = true,
	.client_chooses = true,
	.asked_is_1_2 = true,
	.no_close_notify = true,
	.hello = { .at = tds_own_prelogin, .left = sizeof(tds_own_prelogin) },
	.step = tds_step,
	.refuse = tds_refuse,
	.preamble = tds_preamble,
	.where = tds_where,
};
