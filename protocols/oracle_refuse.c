#include "protocols/oracle_private.h"

/*
 * Refusing: a number and nothing else, as drivers trip over the signs of a
 * text.  They print it, and none decides by it whether to try again; those who
 * read it can tell what is worth another try from what is not.
 */

#define TNS_NO_LISTENER 12541u
#define TNS_TIMEOUT     12170u
#define TNS_NO_HANDLER  12520u /* none left that could take the session */
#define TNS_CERTIFICATE 29024u
#define TNS_TLS_FAILED  28860u

static bool
is_of_certificate(enum reason reason)
{
	return reason >= REASON_UNTRUSTED && reason <= REASON_PIN_MISMATCH;
}

static uint32_t
choose_number(enum reason reason)
{
	switch (reason_class(reason)) {
	case REASON_CLASS_TEMPORARY:
		return reason == REASON_TIMEOUT ? TNS_TIMEOUT : TNS_NO_LISTENER;
	case REASON_CLASS_LIMIT:
		return TNS_NO_HANDLER;
	case REASON_CLASS_PERMANENT:
		break;
	}
	return is_of_certificate(reason) ? TNS_CERTIFICATE : TNS_TLS_FAILED;
}

struct verdict
oracle_tell(struct negotiator *n)
{
	struct oracle *s = n->state;

	tns_write_refuse(&n->out[LEG_CLIENT], choose_number(n->error.reason));
	oracle_forget(s, 0);
	s->at = AT_TOLD;
	return neg_refused();
}

/* An error is an answer: it waits for the question, in TLS or not, and for all
 * of it, as a socket that is closed with something unread takes back what was
 * sent.  A client that has run out of time has had its chance. */
static struct verdict
refuse_before_connect(struct negotiator *n, bool begins)
{
	const struct oracle *s = n->state;

	if (begins && n->error.reason == REASON_TIMEOUT)
		return neg_refused();
	return s->at == AT_CONNECT ? oracle_step_connect(n)
				   : oracle_step_connect_data(n);
}

/* If TLS has failed, nothing that we could say would be understood. */
static struct verdict
refuse_client_tls(struct negotiator *n)
{
	return n->leg[LEG_CLIENT].tls_up ? oracle_step_client_tls(n)
					 : neg_refused();
}

struct verdict
oracle_refuse(struct negotiator *n)
{
	struct oracle *s = n->state;
	const bool begins = !s->refusing;

	s->refusing = true;
	switch (s->at) {
	case AT_CONNECT:
	case AT_CONNECT_DATA:
		return refuse_before_connect(n, begins);
	case AT_CLIENT_TLS:
		return refuse_client_tls(n);
	case AT_CONNECTING:
	case AT_SERVER_TLS:
	case AT_ANSWER:
	case AT_REDIRECT_DATA:
		return oracle_tell(n);
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return neg_refused();
}
