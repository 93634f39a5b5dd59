/* tls_direct.c - a connection whose records are our own (tls_records.h) */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/tls_private.h"

/* Behind what waits already; false: too much does. */
static bool
direct_spill(struct tls *t, const uint8_t *sealed, size_t len)
{
	bool kept = queue_append(&t->spill, sealed, len);

	tls_spill_drain(t);
	return kept;
}

static enum tls_result
direct_too_much(struct tls *t)
{
	return tls_fail(t, REASON_TLS_ERROR,
	    "the peer asks for more answers than it takes", NULL);
}

/*
 * Reading
 */

/* Records into `plain`, from where `len` is; an answer goes where it can. */
static enum records_result
direct_open(struct tls *t, uint8_t *plain, size_t cap, size_t *len)
{
	uint8_t answer[RECORDS_ANSWER_MAX];
	struct records_io io = { .in = t->io->in,
		.in_len = t->io->in_len,
		.plain = plain,
		.plain_len = *len,
		.plain_cap = cap,
		.out = answer,
		.out_cap = sizeof(answer) };
	enum records_result result = records_open(t->taken, &io);

	t->io->in = io.in;
	t->io->in_len = io.in_len;
	*len = io.plain_len;
	if (!direct_spill(t, answer, io.out_len) && result != RECORDS_FAILED)
		(void)direct_too_much(t);
	return result;
}

/* Room for less than a record: it waits here. */
static enum records_result
direct_open_aside(struct tls *t)
{
	uint8_t *aside = malloc(RECORDS_SEALED_MAX);
	enum records_result result = RECORDS_FULL;
	size_t len = 0;

	if (aside == NULL) {
		(void)tls_fail(t, REASON_INTERNAL, "out of memory", NULL);
		return RECORDS_FAILED;
	}
	result = direct_open(t, aside, RECORDS_SEALED_MAX, &len);
	if (!queue_append(&t->unread, aside, len))
		(void)tls_fail(t, REASON_INTERNAL, "out of memory", NULL);
	explicit_bzero(aside, len);
	free(aside);
	return result;
}

static void
direct_take_unread(struct tls *t, uint8_t *plain, size_t cap, size_t *len)
{
	size_t n = cap - *len;

	if (n > t->unread.len)
		n = t->unread.len;
	if (n == 0)
		return;
	memcpy(plain + *len, queue_data(&t->unread), n);
	queue_consume(&t->unread, n);
	*len += n;
}

static void
direct_ticket(struct tls *t)
{
	size_t len;
	const uint8_t *ticket = records_ticket(t->taken, &len);

	tls_take_ticket(t, ticket, len);
}

static enum records_result
direct_step(struct tls *t, uint8_t *plain, size_t cap, size_t *len)
{
	enum records_result result = direct_open(t, plain, cap, len);

	if (result == RECORDS_FULL)
		result = direct_open_aside(t);
	if (result == RECORDS_TICKET)
		direct_ticket(t);
	direct_take_unread(t, plain, cap, len);
	if (*len > 0 && !t->received) {
		tls_resume_saw_data(t);
		t->received = true;
		tls_take_spare(t);
	}
	return result;
}

enum tls_result
tls_direct_read(struct tls *t, uint8_t *plain, size_t cap, size_t *len)
{
	enum records_result result = RECORDS_FULL;

	direct_take_unread(t, plain, cap, len);
	while (*len < cap && t->state != TLS_STATE_FAILED) {
		result = direct_step(t, plain, cap, len);
		/* The rest, and what came of it, another time. */
		if (*len == cap &&
		    (t->unread.len > 0 || result != RECORDS_FAILED))
			break;
		switch (result) {
		case RECORDS_MORE:
			return TLS_MORE;
		case RECORDS_ENDED:
			return TLS_ENDED;
		case RECORDS_FAILED:
			return tls_fail_records(t);
		case RECORDS_FULL:
		case RECORDS_TICKET:
			break;
		}
	}
	return t->state == TLS_STATE_FAILED ? TLS_FAILED : TLS_DONE;
}

/*
 * Writing
 */

/* What has to wait behind what waits. */
static enum tls_result
direct_write_aside(struct tls *t, const uint8_t *plain, size_t len)
{
	struct records_io io = { .out_cap = TLS_SEALED_MAX(len) };
	enum tls_result result = TLS_DONE;

	if ((io.out = malloc(io.out_cap)) == NULL)
		return tls_fail(t, REASON_INTERNAL, "out of memory", NULL);
	if (!records_seal(t->taken, &io, plain, len))
		result =
		    tls_fail(t, REASON_INTERNAL, "OpenSSL cannot seal", NULL);
	else if (!direct_spill(t, io.out, io.out_len))
		result = direct_too_much(t);
	free(io.out);
	return result;
}

enum tls_result
tls_direct_write(struct tls *t, const uint8_t *plain, size_t len)
{
	struct tls_io *call = t->io;
	struct records_io io = { .out = call->out,
		.out_len = call->out_len,
		.out_cap = call->out_cap };

	if (t->spill.len > 0 ||
	    call->out_cap - call->out_len < TLS_SEALED_MAX(len))
		return direct_write_aside(t, plain, len);
	if (!records_seal(t->taken, &io, plain, len))
		return tls_fail(t, REASON_INTERNAL, "OpenSSL cannot seal",
		    NULL);
	call->out_len = io.out_len;
	return TLS_DONE;
}

void
tls_direct_close(struct tls *t)
{
	uint8_t end[RECORDS_ANSWER_MAX];
	struct records_io io = { .out = end, .out_cap = sizeof(end) };

	/* An end that cannot be said is seen as none. */
	if (records_close(t->taken, &io))
		(void)direct_spill(t, end, io.out_len);
}
