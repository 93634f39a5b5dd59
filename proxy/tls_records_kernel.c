/*
 * What is left to be done here once the kernel seals and opens.
 */
#include "proxy/tls_records_private.h"

#include <assert.h>
#include <string.h>

_Static_assert(sizeof(((struct records_orders *)0)->bytes) >= KEY_UPDATE_LEN,
    "all that we ever say");

void
records_kernel(struct records *r)
{
	assert(records_rest(r) && !r->closed);
	r->kernel = true;
	records_disarm(&r->receive);
	records_disarm(&r->send);
}

static enum records_result
order_update(struct records *r, struct records_orders *orders)
{
	orders->type = RECORD_HANDSHAKE;
	orders->len = KEY_UPDATE_LEN;
	records_update_message(r, orders->bytes);
	orders->new_send_key = true;
	return records_update(r, true) ? RECORDS_MORE
				       : records_fail_internal(r);
}

static void
order_alert(struct records *r, struct records_orders *orders)
{
	int alert = r->failure.alert_sent;

	orders->new_receive_key = orders->new_send_key = false;
	orders->type = 0;
	if (alert == ALERT_NONE)
		return;
	orders->type = RECORD_ALERT;
	orders->len = ALERT_LEN;
	records_alert_bytes((uint8_t)alert, orders->bytes);
}

enum records_result
records_control(struct records *r, uint8_t type, const uint8_t *bytes,
    size_t len, struct records_orders *orders)
{
	enum records_result result;
	unsigned updated = r->updated;

	assert(r->kernel);
	memset(orders, 0, sizeof(*orders));
	if (r->failed)
		return RECORDS_FAILED;
	result = records_go_on(r);
	if (result == RECORDS_MORE && len > 0)
		result = records_inner(r, type, bytes, len);
	orders->new_receive_key = r->updated != updated;
	if (result != RECORDS_FAILED && r->answer_due &&
	    order_update(r, orders) == RECORDS_FAILED)
		result = RECORDS_FAILED;
	if (result == RECORDS_FAILED)
		order_alert(r, orders);
	return result;
}

enum records_result
records_kernel_sealed(struct records *r, uint64_t records,
    struct records_orders *orders)
{
	assert(r->kernel);
	memset(orders, 0, sizeof(*orders));
	if (r->failed)
		return RECORDS_FAILED;
	r->send.records += records;
	if (r->send.records + 1 < r->rekey)
		return RECORDS_MORE;
	return order_update(r, orders);
}
