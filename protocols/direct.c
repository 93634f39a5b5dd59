/*
 * direct.c - engine `tls`: any protocol that starts with TLS at once
 *
 * There is nothing to negotiate.  A client that must use TLS does so from its
 * first byte, the server is connected to and sent a ClientHello, and the legs
 * are joined.  No message is read, so no message can be misread; and none can
 * be composed, so a client that is refused sees its connection close.
 *
 * Where the others keep a state, this one has none: what is still to be done
 * can be told from what has been done.
 */
#include "protocols/negotiator.h"

static const struct neg_tls direct_tls = { .alpn_rule = NEG_ALPN_NONE };

/* No message has to be seen whole; but a client that leaves while the server
 * is being dialled is only noticed as long as there is room to read. */
#define WINDOW 4096

/* The client first: until it has proved that it may, nobody is dialled for
 * it.  CLIENT_TLS_ALLOW cannot be kept here, as a client that waits for the
 * server to speak looks just like one that is about to; conf/ refuses it where
 * client_chooses is false. */
static struct verdict
direct_step(struct negotiator *n)
{
	if (!neg_rule_met(n, LEG_CLIENT))
		return neg_start_tls(LEG_CLIENT, &direct_tls);
	if (!n->connected)
		return neg_connect();
	if (!neg_rule_met(n, LEG_SERVER))
		return neg_start_tls(LEG_SERVER, &direct_tls);
	return neg_relay();
}

static struct verdict
direct_refuse(struct negotiator *n)
{
	(void)n; /* whatever it speaks, we do not */
	return neg_refused();
}

static const char *
direct_where(const struct negotiator *n)
{
	if (!neg_rule_met(n, LEG_CLIENT))
		return "securing the client's leg";
	if (!n->connected)
		return "connecting to the server";
	if (!neg_rule_met(n, LEG_SERVER))
		return "securing the server's leg";
	return "relaying";
}

const struct neg_ops neg_direct = {
	.name = "tls",
	.window = WINDOW,
	.server_start = NEG_START_FIRST,
	.step = direct_step,
	.refuse = direct_refuse,
	.where = direct_where,
};
