#include "tests/loop/actor.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#define CHUNK 16384

void
bytes_add(struct bytes *b, const void *more, size_t len)
{
	if (b->len + len > b->cap) {
		b->cap = (b->len + len) * 2;
		b->at = realloc(b->at, b->cap);
		assert(b->at != NULL);
	}
	if (len > 0)
		memcpy(b->at + b->len, more, len);
	b->len += len;
}

void
bytes_free(struct bytes *b)
{
	free(b->at);
	*b = (struct bytes){ .at = NULL };
}

bool
bytes_have(const struct bytes *b, const char *text, size_t len)
{
	return b->len >= len && memmem(b->at, b->len, text, len) != NULL;
}

static enum ending
ending_of_errno(void)
{
	switch (errno) {
	case EAGAIN:
		return ENDING_HUNG;
	case ECONNRESET:
	case EPIPE:
		return ENDING_RESET;
	}
	return ENDING_FAILED;
}

static void
end_by_ssl(struct actor *a, int result)
{
	int error = SSL_get_error(a->ssl, result);

	if (error == SSL_ERROR_ZERO_RETURN)
		a->ending = ENDING_BYE;
	else if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		a->ending = ENDING_HUNG;
	else if (error == SSL_ERROR_SSL &&
	    ERR_GET_REASON(ERR_peek_error()) ==
		SSL_R_UNEXPECTED_EOF_WHILE_READING)
		a->ending = ENDING_FIN;
	else if (error == SSL_ERROR_SYSCALL)
		a->ending = ending_of_errno();
	else
		a->ending = ENDING_FAILED;
	ERR_clear_error();
}

size_t
actor_receive(struct actor *a, void *bytes, size_t max)
{
	struct bytes *kept = a->ssl != NULL ? &a->sealed : &a->clear;
	ssize_t n;

	ERR_clear_error();
	if (a->ssl != NULL)
		n = SSL_read(a->ssl, bytes, (int)max);
	else
		n = recv(a->fd, bytes, max, 0);
	if (n > 0) {
		bytes_add(kept, bytes, (size_t)n);
		return (size_t)n;
	}
	if (a->ssl != NULL)
		end_by_ssl(a, (int)n);
	else
		a->ending = n == 0 ? ENDING_FIN : ending_of_errno();
	return 0;
}

bool
actor_send(struct actor *a, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	size_t part;
	ssize_t n;

	while (len > 0) {
		part = len < CHUNK ? len : CHUNK;
		ERR_clear_error();
		if (a->ssl != NULL)
			n = SSL_write(a->ssl, at, (int)part);
		else
			n = send(a->fd, at, part, MSG_NOSIGNAL);
		if (n <= 0 && a->ssl != NULL)
			end_by_ssl(a, (int)n);
		else if (n <= 0)
			a->ending = ending_of_errno();
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
		if (a->sent != NULL)
			(void)atomic_fetch_add(a->sent, (size_t)n);
	}
	return true;
}

static bool
receive_exactly(struct actor *a, uint8_t *bytes, size_t len)
{
	size_t n, got = 0;

	while (got < len) {
		if ((n = actor_receive(a, bytes + got, len - got)) == 0)
			return false;
		got += n;
	}
	return true;
}

static bool
receive_count(struct actor *a, size_t len)
{
	uint8_t bytes[CHUNK];

	assert(len <= sizeof(bytes));
	return receive_exactly(a, bytes, len);
}

/* Forgotten, so that what is kept begins with a message. */
static bool
receive_answer(struct actor *a, char wanted)
{
	struct bytes *kept = a->ssl != NULL ? &a->sealed : &a->clear;
	uint8_t got;

	if (!receive_exactly(a, &got, 1))
		return false;
	kept->len--;
	return got == (uint8_t)wanted;
}

static bool
receive_message(struct actor *a)
{
	uint8_t bytes[CHUNK];
	size_t len;

	if (!receive_exactly(a, bytes, 4))
		return false;
	len = (size_t)bytes[2] << 8 | bytes[3];
	return len >= 4 && len <= sizeof(bytes) &&
	    receive_exactly(a, bytes, len - 4);
}

static bool
start_tls(struct actor *a)
{
	unsigned char offer[64];
	int result;

	ERR_clear_error();
	SSL_free(a->ssl);
	a->ssl = SSL_new(a->ctx);
	assert(a->ssl != NULL && SSL_set_fd(a->ssl, a->fd) == 1);
	if (a->alpn != NULL) {
		offer[0] = (unsigned char)strlen(a->alpn);
		memcpy(offer + 1, a->alpn, offer[0]);
		SSL_set_alpn_protos(a->ssl, offer, offer[0] + 1u);
	}
	result = a->server ? SSL_accept(a->ssl) : SSL_connect(a->ssl);
	if (result != 1)
		end_by_ssl(a, result);
	return result == 1;
}

static bool
say_bye(struct actor *a)
{
	if (a->ssl != NULL)
		(void)SSL_shutdown(a->ssl);
	return shutdown(a->fd, SHUT_WR) == 0;
}

static bool
reset(struct actor *a)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(a->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return false;
}

static bool
dribble(struct actor *a, const char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (!actor_send(a, bytes + i, 1))
			return false;
	}
	return true;
}

static bool
drain(struct actor *a, bool echo)
{
	uint8_t bytes[CHUNK];
	size_t n;

	while ((n = actor_receive(a, bytes, sizeof(bytes))) > 0) {
		if (echo && !actor_send(a, bytes, n))
			return false;
	}
	return a->ending == ENDING_FIN || a->ending == ENDING_BYE;
}

static bool
do_step(struct actor *a, const struct step *s)
{
	uint8_t something[CHUNK];

	switch (s->act) {
	case DO_END:
		return false;
	case DO_SEND:
		return actor_send(a, s->bytes, s->len);
	case DO_DRIBBLE:
		return dribble(a, s->bytes, s->len);
	case DO_RECEIVE:
		return receive_count(a, s->len);
	case DO_LISTEN:
		return actor_receive(a, something, sizeof(something)) > 0;
	case DO_ANSWER:
		return receive_answer(a, s->bytes[0]);
	case DO_MESSAGE:
		return receive_message(a);
	case DO_TLS:
		return start_tls(a);
	case DO_BYE:
		return say_bye(a);
	case DO_FIN:
		return shutdown(a->fd, SHUT_WR) == 0;
	case DO_RESET:
		return reset(a);
	case DO_DRAIN:
		return drain(a, false);
	case DO_ECHO:
		return drain(a, true);
	case DO_CALL:
		return s->call(a);
	}
	return false;
}

void
actor_play(struct actor *a, const struct step *steps)
{
	struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	int on = 1;

	(void)setsockopt(a->fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
	    sizeof(patience));
	(void)setsockopt(a->fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
	    sizeof(patience));
	(void)setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	while (do_step(a, &steps[a->done]))
		a->done++;
	SSL_free(a->ssl);
	a->ssl = NULL;
	(void)close(a->fd);
	a->fd = -1;
}

void
actor_fini(struct actor *a)
{
	bytes_free(&a->clear);
	bytes_free(&a->sealed);
}

static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	(void)ssl;
	(void)arg;
	/* The first that is offered. */
	if (in_len < 1u || in_len < 1u + in[0])
		return SSL_TLSEXT_ERR_NOACK;
	*out = in + 1;
	*len = in[0];
	return SSL_TLSEXT_ERR_OK;
}

static void
use_certificate(SSL_CTX *ctx, const char *name)
{
	char chain[512], key[512];

	(void)snprintf(chain, sizeof(chain), "%s/%s.chain.pem", CERTS_DIR,
	    name);
	(void)snprintf(key, sizeof(key), "%s/%s.key", CERTS_DIR, name);
	if (SSL_CTX_use_certificate_chain_file(ctx, chain) == 1 &&
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1)
		return;
	fprintf(stderr, "no certificate %s in %s\n", name, CERTS_DIR);
	exit(1);
}

SSL_CTX *
server_context(const char *name)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	assert(ctx != NULL);
	SSL_CTX_set_security_level(ctx, 0);
	use_certificate(ctx, name);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	return ctx;
}

SSL_CTX *
client_context(const char *name)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert(ctx != NULL);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	if (name != NULL)
		use_certificate(ctx, name);
	return ctx;
}
