/*
 * tls_take.c - our own record layer takes a connection over from OpenSSL's
 *
 * What it needs is the traffic secret of each direction, which OpenSSL tells
 * its key log, and the number of the next record, which is counted from the
 * moment that the secret came: the first record of a key has number 0.  It is
 * done between two records, with nothing begun in either direction.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "protocols/bytes.h"
#include "proxy/tls_private.h"

/* The key log's format: a label, the client's random, the secret. */
#define LABEL_CLIENT "CLIENT_TRAFFIC_SECRET_0 "
#define LABEL_SERVER "SERVER_TRAFFIC_SECRET_0 "
#define RANDOM_TEXT  64

/* What a record has besides its content: its type, and a tag. */
#define RECORD_SEAL (1 + 16)

struct tls_secrets {
	struct records_key receive;
	struct records_key send;
	bool receive_known;
	bool send_known;
	bool spoilt;    /* there are keys that we do not know */
	size_t content; /* of the record that was begun, if it is not padded */
	/* Of handshake messages that came and have not been read whole.  Where
	 * padding makes it look so, nothing is taken over. */
	long messages;
};

/* A TLS that may end, begin anew, or be carried in messages, is no stream of
 * records to the end. */
static bool
tls_may_take(const struct tls *t)
{
	return !t->how->may_stop && t->how->wrap == NULL &&
	    !t->context->endpoint->ops->renegotiates;
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c | 0x20);

	return at == NULL ? -1 : (int)(at - digits);
}

/* False: it is not of a length that any suite has. */
static bool
parse_secret(const char *hex, uint8_t secret[RECORDS_SECRET_MAX])
{
	size_t i, len = strlen(hex) / 2;
	int high, low;

	if (len > RECORDS_SECRET_MAX || hex[2 * len] != '\0')
		return false;
	for (i = 0; i < len; i++) {
		high = hex_digit(hex[2 * i]);
		low = hex_digit(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		secret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static void
take_secret(struct tls *t, bool client, const char *rest)
{
	struct tls_secrets *s = t->secrets;
	bool ours = client == (t->context->leg == LEG_SERVER);
	struct records_key *key;

	if (s == NULL && (s = t->secrets = calloc(1, sizeof(*s))) == NULL)
		return;
	key = ours ? &s->send : &s->receive;
	if (strnlen(rest, RANDOM_TEXT + 1) <= RANDOM_TEXT ||
	    rest[RANDOM_TEXT] != ' ' ||
	    !parse_secret(rest + RANDOM_TEXT + 1, key->secret)) {
		s->spoilt = true;
		return;
	}
	key->sequence = 0;
	if (ours)
		s->send_known = true;
	else
		s->receive_known = true;
}

/* OpenSSL wipes the line. */
static void
on_secret(const SSL *ssl, const char *line)
{
	struct tls *t = SSL_get_app_data(ssl);
	size_t len = sizeof(LABEL_CLIENT) - 1;

	_Static_assert(sizeof(LABEL_CLIENT) == sizeof(LABEL_SERVER), "alike");
	if (t == NULL || !tls_may_take(t))
		return;
	if (strncmp(line, LABEL_CLIENT, len) == 0)
		take_secret(t, true, line + len);
	else if (strncmp(line, LABEL_SERVER, len) == 0)
		take_secret(t, false, line + len);
}

void
tls_take_install(struct tls_context *c)
{
	bool wanted = c->direct || c->kernel_suites != 0;

	SSL_CTX_set_keylog_callback(c->ssl, wanted ? on_secret : NULL);
}

/* Before its record was read to the end, or after it was written. */
static void
watch_head(struct tls_secrets *s, bool sent, const uint8_t *head, size_t len)
{
	struct rd r = { .at = head, .left = len };
	size_t sealed;

	rd_skip(&r, RECORDS_HEAD - sizeof(uint16_t));
	sealed = rd_be16(&r);
	if (sent) {
		s->send.sequence += s->send_known;
		return;
	}
	s->receive.sequence += s->receive_known;
	s->content = sealed > RECORD_SEAL ? sealed - RECORD_SEAL : 0;
}

static void
watch_message(struct tls_secrets *s, bool sent, uint8_t type, size_t len)
{
	if (type == SSL3_MT_KEY_UPDATE)
		s->spoilt = true;
	if (!sent && s->receive_known)
		s->messages -= (long)len;
}

void
tls_take_watch(struct tls *t, bool sent, int type, const uint8_t *bytes,
    size_t len)
{
	struct tls_secrets *s = t->secrets;

	if (len == 0)
		return;
	switch (type) {
	case SSL3_RT_HEADER:
		watch_head(s, sent, bytes, len);
		return;
	case SSL3_RT_INNER_CONTENT_TYPE:
		if (!sent && s->receive_known && bytes[0] == SSL3_RT_HANDSHAKE)
			s->messages += (long)s->content;
		return;
	case SSL3_RT_HANDSHAKE:
		watch_message(s, sent, bytes[0], len);
		return;
	}
}

void
tls_take_forget(struct tls *t)
{
	if (t->secrets == NULL)
		return;
	OPENSSL_cleanse(t->secrets, sizeof(*t->secrets));
	free(t->secrets);
	t->secrets = NULL;
	if (t->ssl != NULL && t->state != TLS_STATE_HANDSHAKE)
		SSL_set_msg_callback(t->ssl, NULL);
}

static uint16_t
tls_suite(const struct tls *t)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(t->ssl);

	return cipher == NULL ? 0 : SSL_CIPHER_get_protocol_id(cipher);
}

/* Will it ever be? */
static bool
tls_can_take(const struct tls *t)
{
	const struct tls_secrets *s = t->secrets;
	uint16_t suite = tls_suite(t);

	return !s->spoilt && s->receive_known && s->send_known &&
	    SSL_version(t->ssl) == TLS1_3_VERSION && records_knows(suite) &&
	    (t->context->direct ||
		(t->for_kernel &&
		    (t->context->kernel_suites & TLS_KERNEL(suite)) != 0));
}

/* Nothing has begun that OpenSSL alone could end. */
static bool
tls_can_take_now(const struct tls *t)
{
	return t->state == TLS_STATE_SECURED && !t->close_wanted &&
	    tls_rests(t) && t->secrets->messages == 0 &&
	    SSL_get_shutdown(t->ssl) == 0 &&
	    SSL_get_key_update_type(t->ssl) == SSL_KEY_UPDATE_NONE;
}

static struct records *
new_records(const struct tls *t)
{
	struct records_setup setup = { .suite = tls_suite(t),
		.client = t->context->leg == LEG_SERVER,
		.receive = t->secrets->receive,
		.send = t->secrets->send,
		.rekey = t->context->rekey_records };
	struct records *r = records_new(t->context->kit, &setup);

	OPENSSL_cleanse(&setup, sizeof(setup));
	return r;
}

/* It seals as the server would, from where the SSL object has come to.  What
 * it seals never leaves this process. */
static struct records *
new_teller(const struct tls *t)
{
	struct records_setup setup = { .suite = tls_suite(t),
		.send = t->secrets->receive,
		.rekey = UINT64_MAX };
	struct records *r = records_new(t->context->kit, &setup);

	OPENSSL_cleanse(&setup, sizeof(setup));
	return r;
}

void
tls_take_release(struct tls *t)
{
	tls_resume_spare(t);
	tls_resume_wait_over(t);
	SSL_free(t->ssl);
	t->ssl = NULL;
	records_free(t->teller);
	t->teller = NULL;
	free(t->told);
	t->told = NULL;
}

bool
tls_take(struct tls *t)
{
	if (!t->settled || t->secrets == NULL)
		return false;
	if (!tls_can_take(t)) {
		tls_take_forget(t);
		return false;
	}
	if (!tls_can_take_now(t))
		return false;
	t->version = tls_version(t);
	t->cipher = tls_cipher(t);
	t->group = tls_group(t);
	if ((t->taken = new_records(t)) == NULL) {
		ERR_clear_error();
		tls_take_forget(t);
		return false;
	}
	if (tls_resume_wait(t))
		t->teller = new_teller(t);
	tls_take_forget(t);
	if (t->teller == NULL)
		tls_take_release(t);
	return true;
}

void
tls_settle(struct tls *t, bool kernel)
{
	if (t->settled || t->state != TLS_STATE_SECURED)
		return;
	t->settled = true;
	t->for_kernel = kernel;
	(void)tls_take(t);
}

void
tls_take_spare(struct tls *t)
{
	if (t->taken != NULL && t->ssl != NULL && !tls_resume_wants(t))
		tls_take_release(t);
}

/* As if the server had sent this record, and none since it was taken over. */
static void
tell_ticket(struct tls *t, struct records_io *sealed)
{
	struct tls_io io = { .in = sealed->out, .in_len = sealed->out_len };
	struct tls_io *call = t->io;
	uint8_t nothing;
	size_t n;
	int r;

	t->io = &io;
	ERR_clear_error();
	r = SSL_read_ex(t->ssl, &nothing, sizeof(nothing), &n);
	/* One that it does not like is no reason to end the connection. */
	if (r == 1 || SSL_get_error(t->ssl, r) != SSL_ERROR_WANT_READ)
		tls_take_release(t);
	ERR_clear_error();
	t->io = call;
}

void
tls_take_ticket(struct tls *t, const uint8_t *message, size_t len)
{
	struct records_io io = { .out_cap = TLS_SEALED_MAX(len) };

	tls_resume_saw_ticket(t);
	tls_take_spare(t);
	if (t->ssl == NULL || (io.out = malloc(io.out_cap)) == NULL)
		return;
	if (records_seal_message(t->teller, &io, message, len))
		tell_ticket(t, &io);
	free(io.out);
	tls_take_spare(t);
}
