#include "proxy/tls_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>

/* As much of the spill as there is room for. */
void
tls_spill_drain(struct tls *t)
{
	struct tls_io *io = t->io;
	struct queue *q = &t->spill;
	size_t n = io->out_cap - io->out_len;

	if (n > q->len)
		n = q->len;
	if (n == 0)
		return;
	memcpy(io->out + io->out_len, queue_data(q), n);
	io->out_len += n;
	queue_consume(q, n);
}

void
tls_io_begin(struct tls *t, struct tls_io *io)
{
	assert(t->io == NULL && io->out_len <= io->out_cap);
	t->io = io;
	tls_spill_drain(t);
}

void
tls_io_end(struct tls *t)
{
	t->io = NULL;
}

static int
tls_bio_read(BIO *bio, char *to, size_t size, size_t *done)
{
	struct tls *t = BIO_get_data(bio);
	struct tls_io *io = t->io;
	size_t n = size < io->in_len ? size : io->in_len;

	BIO_clear_retry_flags(bio);
	*done = n;
	/* It has failed by what came before. */
	if (t->state == TLS_STATE_FAILED)
		return 0;
	if (n == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	if (!t->heard) {
		t->heard = true;
		t->first_byte = io->in[0];
	}
	memcpy(to, io->in, n);
	io->in += n;
	io->in_len -= n;
	return 1;
}

static int
tls_bio_write(BIO *bio, const char *from, size_t len, size_t *done)
{
	struct tls *t = BIO_get_data(bio);
	struct tls_io *io = t->io;

	BIO_clear_retry_flags(bio);
	/* Its keys are ours: two records of one number must never be sent. */
	if (t->taken != NULL) {
		*done = len;
		return 1;
	}
	*done = 0;
	/* What waits already goes first, so nothing overtakes it. */
	if (t->spill.len > 0 || len > io->out_cap - io->out_len) {
		if (!queue_append(&t->spill, (const uint8_t *)from, len))
			return 0;
		tls_spill_drain(t);
	} else {
		memcpy(io->out + io->out_len, from, len);
		io->out_len += len;
	}
	*done = len;
	return 1;
}

static long
tls_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	/* Everything is flushed always; of the rest we know nothing. */
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *
tls_bio_method_new(void)
{
	BIO_METHOD *m;

	/* The type serves only to find a BIO in a chain, which nobody does:
	 * an index of our own would be taken from the few there are. */
	m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "dbtls memory");
	if (m == NULL)
		return NULL;
	if (BIO_meth_set_read_ex(m, tls_bio_read) != 1 ||
	    BIO_meth_set_write_ex(m, tls_bio_write) != 1 ||
	    BIO_meth_set_ctrl(m, tls_bio_ctrl) != 1) {
		BIO_meth_free(m);
		return NULL;
	}
	return m;
}

BIO *
tls_bio_new(struct tls *t)
{
	BIO *bio = BIO_new(t->context->method);

	if (bio == NULL)
		return NULL;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	return bio;
}
