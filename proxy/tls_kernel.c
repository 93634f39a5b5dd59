/* tls_kernel.c - what is left of a connection whose records the kernel does */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "proxy/tls_private.h"

void
tls_context_kernel(struct tls_context *c, unsigned suites)
{
	c->kernel_suites = suites;
	tls_take_install(c);
}

bool
tls_kernel_wanted(const struct tls *t)
{
	struct records_kernel_key key;
	bool wanted;

	if (t->taken == NULL || t->context->kernel_suites == 0)
		return false;
	wanted = records_kernel_key(t->taken, true, &key) &&
	    (t->context->kernel_suites & TLS_KERNEL(key.suite)) != 0;
	explicit_bzero(&key, sizeof(key));
	return wanted;
}

size_t
tls_lacks(const struct tls *t)
{
	return t->taken == NULL ? 0 : records_lacks(t->taken);
}

bool
tls_kernel_key(const struct tls *t, bool sending,
    struct records_kernel_key *key)
{
	return records_kernel_key(t->taken, sending, key);
}

void
tls_kernel(struct tls *t)
{
	assert(tls_rests(t) && !t->close_wanted);
	records_kernel(t->taken);
}

enum tls_result
tls_kernel_control(struct tls *t, uint8_t type, const uint8_t *bytes,
    size_t len, struct records_orders *orders)
{
	enum records_result r;
	const uint8_t *ticket;
	size_t ticket_len;

	memset(orders, 0, sizeof(*orders));
	if (t->state == TLS_STATE_FAILED)
		return TLS_FAILED;
	r = records_control(t->taken, type, bytes, len, orders);
	/* More of the record may stand behind one. */
	while (r == RECORDS_TICKET) {
		ticket = records_ticket(t->taken, &ticket_len);
		tls_take_ticket(t, ticket, ticket_len);
		r = records_control(t->taken, type, NULL, 0, orders);
	}
	switch (r) {
	case RECORDS_ENDED:
		return TLS_ENDED;
	case RECORDS_FAILED:
		return tls_fail_records(t);
	case RECORDS_MORE:
	case RECORDS_FULL:
	case RECORDS_TICKET:
		break;
	}
	return TLS_DONE;
}

enum tls_result
tls_kernel_sealed(struct tls *t, uint64_t records,
    struct records_orders *orders)
{
	memset(orders, 0, sizeof(*orders));
	if (t->state == TLS_STATE_FAILED)
		return TLS_FAILED;
	if (records_kernel_sealed(t->taken, records, orders) == RECORDS_FAILED)
		return tls_fail_records(t);
	return TLS_DONE;
}

static void
tls_order_alert(struct records_orders *orders, uint8_t level, uint8_t alert)
{
	orders->type = SSL3_RT_ALERT;
	orders->bytes[0] = level;
	orders->bytes[1] = alert;
	orders->len = 2;
}

void
tls_kernel_close(struct tls *t, struct records_orders *orders)
{
	memset(orders, 0, sizeof(*orders));
	if (t->state == TLS_STATE_FAILED || t->close_wanted)
		return;
	t->close_wanted = true;
	tls_order_alert(orders, SSL3_AL_WARNING, SSL3_AD_CLOSE_NOTIFY);
}

static enum tls_result
tls_fail_kernel(struct tls *t, int error)
{
	switch (error) {
	case EBADMSG:
		return tls_fail(t, REASON_TLS_ERROR,
		    "a TLS record could not be opened by the kernel: it was "
		    "changed on its way, or sealed with another key",
		    NULL);
	case EMSGSIZE:
		return tls_fail(t, REASON_TLS_ERROR,
		    "a TLS record came that is longer than one may be", NULL);
	case EINVAL:
		return tls_fail(t, REASON_TLS_ERROR,
		    "what came is no record of TLS 1.3", NULL);
	}
	return tls_fail(t, REASON_INTERNAL,
	    "the kernel could not go on with TLS", "set tls.ktls = \"off\"");
}

/* What the peer is told of that. */
static uint8_t
tls_kernel_alert(int error)
{
	switch (error) {
	case EBADMSG:
		return SSL3_AD_BAD_RECORD_MAC;
	case EMSGSIZE:
		return TLS1_AD_RECORD_OVERFLOW;
	case EINVAL:
		return TLS1_AD_DECODE_ERROR;
	}
	return TLS1_AD_INTERNAL_ERROR;
}

enum tls_result
tls_kernel_failed(struct tls *t, int error, struct records_orders *orders)
{
	memset(orders, 0, sizeof(*orders));
	if (t->state != TLS_STATE_FAILED && !t->close_wanted)
		tls_order_alert(orders, SSL3_AL_FATAL, tls_kernel_alert(error));
	return tls_fail_kernel(t, error);
}
