#include "proxy/tls_records_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "protocols/bytes.h"

/* RFC 8446, 5.2 */
#define RECORD_VERSION 0x0303
#define RECORD_TYPE    1 /* behind the content, sealed with it */
#define SEALED_MIN     (RECORD_TYPE + RECORDS_TAG)

/* As many records in a row with nothing in them, as OpenSSL. */
#define EMPTY_MAX 32

_Static_assert(KEY_UPDATE_LEN + ALERT_LEN + 2 * RECORDS_OVERHEAD <=
	RECORDS_ANSWER_MAX,
    "an answer fits");

/*
 * Making and ending
 */

static void
records_take_key(struct records_direction *d, const struct records_key *key)
{
	memcpy(d->secret, key->secret, sizeof(d->secret));
	d->sequence = d->records = key->sequence;
}

struct records *
records_new(const struct records_kit *kit, const struct records_setup *setup)
{
	struct records *r;

	assert(records_knows(setup->suite) && setup->rekey > 1);
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->kit = kit;
	r->suite = records_suite_find(setup->suite);
	r->client = setup->client;
	r->rekey = setup->rekey;
	r->failure.alert_received = r->failure.alert_sent = ALERT_NONE;
	queue_init(&r->partial, RECORDS_HEAD + RECORDS_SEALED_MAX);
	queue_init(&r->message,
	    sizeof(uint32_t) + RECORDS_TICKET_MAX + RECORDS_PLAIN_MAX);
	records_take_key(&r->receive, &setup->receive);
	records_take_key(&r->send, &setup->send);
	if (records_arm(r, &r->receive, false) &&
	    records_arm(r, &r->send, true))
		return r;
	records_free(r);
	return NULL;
}

void
records_free(struct records *r)
{
	if (r == NULL)
		return;
	records_disarm(&r->receive);
	records_disarm(&r->send);
	queue_fini(&r->partial);
	queue_fini(&r->message);
	OPENSSL_cleanse(r, sizeof(*r));
	free(r);
}

bool
records_rest(const struct records *r)
{
	return !r->failed && !r->ended && r->partial.len == 0 &&
	    r->message.len == 0;
}

struct records_failure
records_failure(const struct records *r)
{
	return r->failure;
}

enum records_result
records_fail(struct records *r, int alert, const char *text)
{
	if (!r->failed) {
		r->failed = true;
		r->failure.text = text;
		r->failure.alert_sent = alert;
	}
	return RECORDS_FAILED;
}

enum records_result
records_fail_internal(struct records *r)
{
	return records_fail(r, ALERT_INTERNAL_ERROR, NULL);
}

/*
 * One record: RFC 8446, 5.2 and 5.3
 */

/* The cipher's nonce: the record's number, mixed into the IV.  False: it has
 * no more numbers, or OpenSSL failed. */
static bool
records_begin(struct records_direction *d, const uint8_t *head)
{
	uint8_t nonce[RECORDS_IV];
	size_t i;
	int n;

	if (d->sequence == UINT64_MAX)
		return false;
	memcpy(nonce, d->iv, sizeof(nonce));
	for (i = 0; i < sizeof(d->sequence); i++)
		nonce[RECORDS_IV - 1 - i] ^= (uint8_t)(d->sequence >> 8 * i);
	d->sequence++;
	d->records++;
	return EVP_CipherInit_ex2(d->cipher, NULL, NULL, nonce, -1, NULL) ==
	    1 &&
	    EVP_CipherUpdate(d->cipher, NULL, &n, head, RECORDS_HEAD) == 1;
}

/* `len` is without the tag, which comes behind it. */
static bool
records_decrypt(struct records *r, const uint8_t *record, size_t len,
    uint8_t *plain)
{
	EVP_CIPHER_CTX *ctx = r->receive.cipher;
	union {
		const uint8_t *in;
		void *out; /* OpenSSL reads it only */
	} tag = { .in = record + RECORDS_HEAD + len };
	int n;

	return records_begin(&r->receive, record) &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RECORDS_TAG,
		tag.out) == 1 &&
	    EVP_CipherUpdate(ctx, plain, &n, record + RECORDS_HEAD, (int)len) ==
	    1 &&
	    EVP_CipherFinal_ex(ctx, plain + len, &n) == 1;
}

/* Written at io->out + io->out_len, straight from `plain`. */
static bool
records_seal_one(struct records *r, struct records_io *io, uint8_t type,
    const uint8_t *plain, size_t len)
{
	EVP_CIPHER_CTX *ctx = r->send.cipher;
	uint8_t *out = io->out + io->out_len;
	struct wr head = { .base = out, .cap = RECORDS_HEAD };
	int n;

	assert(len <= RECORDS_PLAIN_MAX && !r->kernel);
	if (io->out_cap - io->out_len < len + RECORDS_OVERHEAD)
		return false;
	wr_u8(&head, RECORD_APPLICATION_DATA);
	wr_be16(&head, RECORD_VERSION);
	wr_be16(&head, (uint16_t)(len + RECORD_TYPE + RECORDS_TAG));
	out += RECORDS_HEAD;
	if (!records_begin(&r->send, head.base) ||
	    (len > 0 && EVP_CipherUpdate(ctx, out, &n, plain, (int)len) != 1) ||
	    EVP_CipherUpdate(ctx, out + len, &n, &type, RECORD_TYPE) != 1 ||
	    EVP_CipherFinal_ex(ctx, out + len + RECORD_TYPE, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RECORDS_TAG,
		out + len + RECORD_TYPE) != 1)
		return false;
	io->out_len += len + RECORDS_OVERHEAD;
	return true;
}

/*
 * What we say of our own
 */

static bool
records_seal_update(struct records *r, struct records_io *io)
{
	uint8_t message[KEY_UPDATE_LEN];

	records_update_message(r, message);
	return records_seal_one(r, io, RECORD_HANDSHAKE, message,
		   sizeof(message)) &&
	    records_update(r, true);
}

/* One answer to all that a call has brought; and a question, where the peer has
 * sealed enough with one key, once until it is answered: RECORDS_GRACE says
 * why.  After our close_notify there is none. */
static enum records_result
records_answer(struct records *r, struct records_io *io,
    enum records_result result)
{
	if (r->receive.records >= r->rekey && !r->asked)
		r->ask_due = true;
	if ((!r->answer_due && !r->ask_due) || r->closed)
		return result;
	return records_seal_update(r, io) ? result : records_fail_internal(r);
}

static bool
records_seal_alert(struct records *r, struct records_io *io, uint8_t what)
{
	uint8_t alert[ALERT_LEN];

	records_alert_bytes(what, alert);
	return records_seal_one(r, io, RECORD_ALERT, alert, sizeof(alert));
}

/* The last that is sent. */
static void
records_complain(struct records *r, struct records_io *io)
{
	int alert = r->failure.alert_sent;

	if (alert == ALERT_NONE || r->closed)
		return;
	(void)records_seal_alert(r, io, (uint8_t)alert);
	r->closed = true;
}

bool
records_close(struct records *r, struct records_io *io)
{
	if (r->closed)
		return true;
	r->closed = true;
	return records_seal_alert(r, io, ALERT_CLOSE_NOTIFY);
}

/* The last record of a key says that it is.  Not while the peer owes us its
 * next one, if that comes in time. */
static bool
records_key_is_worn(const struct records *r)
{
	uint64_t records = r->send.records + 1;

	if (r->asked)
		records -= records / RECORDS_GRACE;
	return records >= r->rekey;
}

bool
records_seal(struct records *r, struct records_io *io, const uint8_t *plain,
    size_t len)
{
	size_t n;

	assert(!r->closed);
	for (; len > 0; plain += n, len -= n) {
		n = len < RECORDS_PLAIN_MAX ? len : RECORDS_PLAIN_MAX;
		if (records_key_is_worn(r) && !records_seal_update(r, io))
			return false;
		if (!records_seal_one(r, io, RECORD_APPLICATION_DATA, plain, n))
			return false;
	}
	return true;
}

bool
records_seal_message(struct records *r, struct records_io *io,
    const uint8_t *message, size_t len)
{
	size_t n;

	for (; len > 0; message += n, len -= n) {
		n = len < RECORDS_PLAIN_MAX ? len : RECORDS_PLAIN_MAX;
		if (!records_seal_one(r, io, RECORD_HANDSHAKE, message, n))
			return false;
	}
	return true;
}

/*
 * What the peer says
 */

/* How long the record is, with its head; 0: it is none. */
static size_t
records_total(struct records *r, const uint8_t *head)
{
	struct rd rd = { .at = head, .left = RECORDS_HEAD };
	uint8_t type = rd_u8(&rd);
	uint16_t version = rd_be16(&rd), len = rd_be16(&rd);

	if (type >= RECORD_CHANGE_CIPHER_SPEC && type <= RECORD_HANDSHAKE)
		(void)records_fail(r, ALERT_UNEXPECTED_MESSAGE,
		    "sent a TLS record in clear after its handshake");
	else if (type != RECORD_APPLICATION_DATA || version != RECORD_VERSION)
		(void)records_fail(r, ALERT_UNEXPECTED_MESSAGE,
		    "sent something that is no TLS record");
	else if (len > RECORDS_SEALED_MAX)
		(void)records_fail(r, ALERT_RECORD_OVERFLOW,
		    "sent a TLS record that is too long");
	else if (len < SEALED_MIN)
		(void)records_fail(r, ALERT_BAD_RECORD_MAC,
		    "sent a TLS record that is too short");
	return r->failed ? 0 : (size_t)RECORDS_HEAD + len;
}

static enum records_result
records_data(struct records *r, struct records_io *io, size_t len)
{
	if (r->message.len > 0)
		return records_fail(r, ALERT_UNEXPECTED_MESSAGE,
		    "sent data in the midst of a TLS message");
	if (len > 0) {
		r->empty = r->warned = r->updated = 0;
		io->plain_len += len;
		return RECORDS_MORE;
	}
	if (++r->empty > EMPTY_MAX)
		return records_fail(r, ALERT_UNEXPECTED_MESSAGE,
		    "sent too many TLS records with nothing in them");
	return RECORDS_MORE;
}

/* Content, its type, and zeroes: RFC 8446, 5.4. */
static enum records_result
records_opened(struct records *r, struct records_io *io, size_t len)
{
	const uint8_t *plain = io->plain + io->plain_len;
	uint8_t type;

	if (len > RECORDS_PLAIN_MAX + RECORD_TYPE)
		return records_fail(r, ALERT_RECORD_OVERFLOW,
		    "sent a TLS record that is too long");
	while (len > 0 && plain[len - 1] == 0)
		len--;
	if (len == 0)
		return records_fail(r, ALERT_UNEXPECTED_MESSAGE,
		    "sent a TLS record of padding alone");
	type = plain[--len];
	if (type == RECORD_APPLICATION_DATA)
		return records_data(r, io, len);
	r->empty = 0;
	return records_inner(r, type, plain, len);
}

/* Of a whole record what was sealed in it, as far as it is data. */
static enum records_result
records_open_one(struct records *r, struct records_io *io,
    const uint8_t *record, size_t total)
{
	size_t len = total - RECORDS_HEAD - RECORDS_TAG, had = io->plain_len;
	uint8_t *plain = io->plain + had;
	enum records_result result;

	if (io->plain_cap - had < len)
		return RECORDS_FULL;
	if (records_decrypt(r, record, len, plain))
		result = records_opened(r, io, len);
	else
		result = records_fail(r, ALERT_BAD_RECORD_MAC,
		    "sent a record that was damaged or forged on its way");
	/* Nobody else sees what was forged, or is for us alone. */
	if (io->plain_len == had)
		OPENSSL_cleanse(plain, len);
	return result;
}

/* Until `partial` has so many bytes; false: the input has not, or memory is
 * short. */
static bool
records_fill(struct records *r, struct records_io *io, size_t want)
{
	size_t n = want - r->partial.len;

	if (r->partial.len >= want)
		return true;
	if (n > io->in_len)
		n = io->in_len;
	if (!queue_append(&r->partial, io->in, n)) {
		(void)records_fail_internal(r);
		return false;
	}
	io->in += n;
	io->in_len -= n;
	return r->partial.len == want;
}

/* The next record, in place if it has come at once.  NULL: it has not come, or
 * cannot be one. */
static const uint8_t *
records_next(struct records *r, struct records_io *io, size_t *total)
{
	bool kept = r->partial.len > 0 || io->in_len < RECORDS_HEAD;

	if (kept && !records_fill(r, io, RECORDS_HEAD))
		return NULL;
	*total = records_total(r, kept ? queue_data(&r->partial) : io->in);
	if (*total == 0)
		return NULL;
	if (!kept && io->in_len >= *total)
		return io->in;
	return records_fill(r, io, *total) ? queue_data(&r->partial) : NULL;
}

static void
records_consume(struct records *r, struct records_io *io, size_t total)
{
	if (r->partial.len > 0) {
		queue_consume(&r->partial, total);
		return;
	}
	io->in += total;
	io->in_len -= total;
}

static enum records_result
records_open_all(struct records *r, struct records_io *io)
{
	enum records_result result = records_go_on(r);
	const uint8_t *record;
	size_t total;

	while (result == RECORDS_MORE) {
		if ((record = records_next(r, io, &total)) == NULL)
			return r->failed ? RECORDS_FAILED : RECORDS_MORE;
		result = records_open_one(r, io, record, total);
		if (result != RECORDS_FULL)
			records_consume(r, io, total);
	}
	return result;
}

enum records_result
records_open(struct records *r, struct records_io *io)
{
	enum records_result result;

	assert(!r->kernel);
	if (r->failed)
		return RECORDS_FAILED;
	result = records_open_all(r, io);
	if (result != RECORDS_FAILED)
		result = records_answer(r, io, result);
	if (result == RECORDS_FAILED)
		records_complain(r, io);
	return result;
}

size_t
records_lacks(const struct records *r)
{
	struct rd head = { .at = queue_data(&r->partial),
		.left = r->partial.len };

	if (r->partial.len == 0)
		return 0;
	if (r->partial.len < RECORDS_HEAD)
		return RECORDS_HEAD - r->partial.len;
	rd_skip(&head, RECORDS_HEAD - sizeof(uint16_t));
	return RECORDS_HEAD + rd_be16(&head) - r->partial.len;
}
