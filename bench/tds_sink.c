/*
 * tds_sink.c - a SQL Server that swallows what it is sent
 *
 *	tds_sink CERTIFICATE KEY
 *
 * Listens on a port of 127.0.0.1 that it prints, and serves one connection
 * after the other until it is stopped: TLS at once (TDS 8.0), an answer to
 * PRELOGIN, one to LOGIN7, and then everything up to the client's end.  It
 * answers that with a line,
 *
 *	bytes=N records=N whole=N
 *
 * of which `whole` counts the records that held one TDS packet each, no more
 * and no less.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "bench/sockets.h"

#define HEAD       8u
#define RECORD_MAX 16384
#define REPLY      0x04u
#define EOM        0x01u
#define TEXT_MAX   128

static const char alpn[] = "\x07tds/8.0";

/* VERSION 16.0, ENCRYPTION "not supported": it is there already. */
static const uint8_t prelogin_reply[] = { REPLY, EOM, 0, 26, 0, 0, 1, 0, 0, 0,
	11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0x10, 0, 0, 0, 2 };

/* LOGINACK of 7.4, by a server of no name, and DONE. */
#define LOGIN_REPLY_LEN 34u
static const uint8_t login_reply[LOGIN_REPLY_LEN] = { REPLY, EOM, 0,
	LOGIN_REPLY_LEN, 0, 0, 1, 0, 0xad, 10, 0, 1, 0x74, 0, 0, 4, 0, 16, 0,
	0x10, 0, 0xfd };

struct counts {
	size_t bytes;
	size_t records;
	size_t whole;
};

static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
    const unsigned char *in, unsigned inlen, void *arg)
{
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, len, (const unsigned char *)alpn,
		sizeof(alpn) - 1, in, inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static bool
answer(SSL *ssl, const uint8_t *reply, size_t len)
{
	uint8_t said[RECORD_MAX];
	size_t n;

	return SSL_read_ex(ssl, said, sizeof(said), &n) == 1 &&
	    SSL_write_ex(ssl, reply, len, &n) == 1;
}

/* One read is one record, or what of it there was no room for. */
static void
swallow(SSL *ssl, struct counts *c)
{
	static uint8_t said[RECORD_MAX];
	size_t n;

	while (SSL_read_ex(ssl, said, sizeof(said), &n) == 1) {
		c->bytes += n;
		c->records++;
		if (n >= HEAD && ((size_t)said[2] << 8 | said[3]) == n)
			c->whole++;
	}
}

static bool
serve(SSL *ssl)
{
	struct counts c = { .bytes = 0 };
	char line[TEXT_MAX];
	size_t n;

	if (SSL_accept(ssl) != 1 ||
	    !answer(ssl, prelogin_reply, sizeof(prelogin_reply)) ||
	    !answer(ssl, login_reply, sizeof(login_reply)))
		return false;
	swallow(ssl, &c);
	(void)snprintf(line, sizeof(line), "bytes=%zu records=%zu whole=%zu",
	    c.bytes, c.records, c.whole);
	return SSL_write_ex(ssl, line, strlen(line), &n) == 1 &&
	    SSL_shutdown(ssl) >= 0;
}

static void
serve_all(SSL_CTX *context, int listener)
{
	const int on = 1;
	SSL *ssl;
	int fd;

	while ((fd = accept(listener, NULL, NULL)) != -1) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if ((ssl = SSL_new(context)) != NULL &&
		    SSL_set_fd(ssl, fd) == 1 && !serve(ssl))
			(void)fputs("tds_sink: a session was cut short\n",
			    stderr);
		SSL_free(ssl);
		(void)close(fd);
	}
}

int
main(int argc, char **argv)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	int listener;

	if (argc != 3 || context == NULL ||
	    SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) !=
		1) {
		(void)fputs("usage: tds_sink CERTIFICATE KEY\n", stderr);
		SSL_CTX_free(context);
		return 2;
	}
	SSL_CTX_set_alpn_select_cb(context, choose_alpn, NULL);
	if ((listener = listen_anywhere()) != -1)
		serve_all(context, listener);
	SSL_CTX_free(context);
	return 1;
}
