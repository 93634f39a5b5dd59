/*
 * micro.c - a client and a database at once, in step with each other
 *
 *	micro CERTIFICATE KEY
 *
 * Prints the port that its database listens on.  Then it is told, a line at a
 * time, what to do through the proxy, and answers each with a line when it has
 * been done: "ok", or why not.
 *
 *	open PORT KIND N      N connections, which stay; KIND is
 *	                        tls       TLS from the server leg's first byte
 *	                        postgres  PostgreSQL, with TLS
 *	                        plain     PostgreSQL, without
 *	sessions PORT KIND N  N, one after the other: opened, one trip, closed
 *	trips N SIZE          N on each connection, all of them in flight
 *	to-server N           N megabytes on each, all at once
 *	to-client N SIZE      the same, in records of SIZE bytes
 *	close                 what is open
 *
 * It is one thread, so it never runs ahead of what it waits for: what the proxy
 * must do for each line is the same however busy the machine is.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "bench/sockets.h"

#define PAIRS_MAX  1024
#define TRIP_MAX   16384
#define RECORD_MAX 16384
#define CHUNK      (1024 * 1024)
#define MEGABYTE   (1024u * 1024)
#define LINE_LEN   128
#define DECIMAL    10

/* PostgreSQL's first words: what the proxy asks, and what the client says. */
#define SSL_REQUEST_LEN 8u
static const uint8_t startup[] = "\0\0\0\x14\0\3\0\0user\0micro\0";
/* AuthenticationOk, ReadyForQuery. */
static const uint8_t welcome[] = { 'R', 0, 0, 0, 8, 0, 0, 0, 0, 'Z', 0, 0, 0, 5,
	'I' };

struct kind {
	const char *name;
	bool speaks; /* the client's startup message comes first */
	bool asked;  /* the server is asked for TLS */
	bool tls;
};
static const struct kind kinds[] = {
	{ .name = "tls", .tls = true },
	{ .name = "postgres", .speaks = true, .asked = true, .tls = true },
	{ .name = "plain", .speaks = true },
};

/* Both ends of one session, and what they have yet to do in a bulk. */
struct pair {
	int client;
	int server;
	SSL *ssl; /* the server's; NULL: it has none */
	uint8_t *sealed;
	const uint8_t *out;
	size_t out_left;
	size_t in_left;
	uint8_t last; /* of the bytes that go: the next one's value */
	uint8_t next; /* ... and of those that come */
};

struct micro {
	SSL_CTX *context;
	int listener;
	struct pair pairs[PAIRS_MAX];
	struct pollfd polls[2 * PAIRS_MAX];
	size_t n;
	uint8_t chunk[CHUNK + UINT8_MAX]; /* from any value of a byte on */
	uint8_t said[CHUNK];
};

/* Both ends */

static void
pair_close(struct pair *p)
{
	SSL_free(p->ssl);
	free(p->sealed);
	if (p->client != -1)
		(void)close(p->client);
	if (p->server != -1)
		(void)close(p->server);
	*p = (struct pair){ .client = -1, .server = -1 };
}

static bool
recv_all(int fd, uint8_t *said, size_t len)
{
	return recv(fd, said, len, MSG_WAITALL) == (ssize_t)len;
}

static bool
server_hears(const struct pair *p, uint8_t *said, size_t len)
{
	size_t n;

	if (p->ssl == NULL)
		return recv_all(p->server, said, len);
	for (; len > 0; said += n, len -= n) {
		if (SSL_read_ex(p->ssl, said, len, &n) != 1)
			return false;
	}
	return true;
}

static bool
server_says(const struct pair *p, const uint8_t *bytes, size_t len)
{
	size_t n;

	if (p->ssl == NULL)
		return send_all(p->server, bytes, len);
	return SSL_write_ex(p->ssl, bytes, len, &n) == 1;
}

static bool
pair_connect(struct pair *p, unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int on = 1;

	p->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->client == -1 ||
	    connect(p->client, (const struct sockaddr *)&a, sizeof(a)) == -1)
		return false;
	(void)setsockopt(p->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return true;
}

static bool
pair_accept(struct micro *m, struct pair *p, const struct kind *k)
{
	const int on = 1;

	if ((p->server = accept(m->listener, NULL, NULL)) == -1)
		return false;
	(void)setsockopt(p->server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (k->asked &&
	    (!recv_all(p->server, m->said, SSL_REQUEST_LEN) ||
		!send_all(p->server, (const uint8_t *)"S", 1)))
		return false;
	if (!k->tls)
		return true;
	return (p->ssl = SSL_new(m->context)) != NULL &&
	    SSL_set_fd(p->ssl, p->server) == 1 && SSL_accept(p->ssl) == 1;
}

static bool
pair_open(struct micro *m, struct pair *p, const struct kind *k, unsigned port)
{
	*p = (struct pair){ .client = -1, .server = -1 };
	if (!pair_connect(p, port))
		return false;
	if (k->speaks && !send_all(p->client, startup, sizeof(startup)))
		return false;
	if (!pair_accept(m, p, k))
		return false;
	return !k->speaks ||
	    (server_hears(p, m->said, sizeof(startup)) &&
		server_says(p, welcome, sizeof(welcome)) &&
		recv_all(p->client, m->said, sizeof(welcome)));
}

/* Round trips */

static bool
trip(struct micro *m, size_t size)
{
	size_t i;

	for (i = 0; i < m->n; i++) {
		if (!send_all(m->pairs[i].client, m->chunk, size))
			return false;
	}
	for (i = 0; i < m->n; i++) {
		if (!server_hears(&m->pairs[i], m->said, size) ||
		    !server_says(&m->pairs[i], m->said, size))
			return false;
	}
	for (i = 0; i < m->n; i++) {
		if (!recv_all(m->pairs[i].client, m->said, size) ||
		    memcmp(m->said, m->chunk, size) != 0)
			return false;
	}
	return true;
}

static bool
trips(struct micro *m, size_t n, size_t size)
{
	if (size == 0 || size > TRIP_MAX)
		return false;
	for (; n > 0; n--) {
		if (!trip(m, size))
			return false;
	}
	return true;
}

/* Bulk.  What is sent counts up by one, over and over, and is so however it
 * was cut. */

static bool
check_bytes(const struct micro *m, struct pair *p, size_t n)
{
	if (n > p->in_left || memcmp(m->said, m->chunk + p->next, n) != 0)
		return false;
	p->next = (uint8_t)(p->next + n);
	p->in_left -= n;
	return true;
}

/* As much of what is to be sent as there is room for: what comes next is then
 * large as well. */
static bool
bulk_send(const struct micro *m, struct pair *p, int fd)
{
	ssize_t n;

	while (p->out_left > 0) {
		const uint8_t *from =
		    p->out != NULL ? p->out : m->chunk + p->last;
		size_t len = p->out_left;

		if (p->out == NULL && len > CHUNK)
			len = CHUNK;
		n = send(fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1)
			return errno == EAGAIN;
		p->out_left -= (size_t)n;
		p->last = (uint8_t)(p->last + n);
		if (p->out != NULL)
			p->out += n;
	}
	return true;
}

static bool
bulk_hear(struct micro *m, struct pair *p, int fd, SSL *ssl)
{
	size_t done = 0;
	ssize_t n;

	if (ssl == NULL) {
		n = recv(fd, m->said, CHUNK, MSG_DONTWAIT);
		if (n == -1)
			return errno == EAGAIN;
		return n > 0 && check_bytes(m, p, (size_t)n);
	}
	while (p->in_left > 0 &&
	    SSL_read_ex(ssl, m->said, RECORD_MAX, &done) == 1) {
		if (!check_bytes(m, p, done))
			return false;
	}
	return p->in_left == 0 || SSL_want_read(ssl);
}

static bool
set_blocking(const struct pair *p, bool on)
{
	int flags = on ? 0 : O_NONBLOCK;

	return fcntl(p->client, F_SETFL, flags) == 0 &&
	    fcntl(p->server, F_SETFL, flags) == 0;
}

/* What is still to be waited for. */
static size_t
bulk_interest(struct micro *m, bool to_server)
{
	size_t i, n = 0;

	for (i = 0; i < m->n; i++) {
		const struct pair *p = &m->pairs[i];
		struct pollfd *from = &m->polls[2 * i], *to = from + 1;

		*from = (struct pollfd){ .events = POLLOUT };
		*to = (struct pollfd){ .events = POLLIN };
		from->fd = to_server ? p->client : p->server;
		to->fd = to_server ? p->server : p->client;
		if (p->out_left == 0)
			from->fd = -1;
		if (p->in_left == 0)
			to->fd = -1;
		n += p->in_left;
	}
	return n;
}

static bool
bulk_turn(struct micro *m, bool to_server)
{
	size_t i;

	if (poll(m->polls, 2 * m->n, -1) == -1)
		return false;
	for (i = 0; i < m->n; i++) {
		struct pair *p = &m->pairs[i];
		const struct pollfd *from = &m->polls[2 * i], *to = from + 1;

		if (from->revents != 0 && !bulk_send(m, p, from->fd))
			return false;
		if (to->revents != 0 &&
		    !bulk_hear(m, p, to->fd, to_server ? p->ssl : NULL))
			return false;
	}
	return true;
}

static bool
bulk(struct micro *m, bool to_server)
{
	bool ok = true;
	size_t i;

	for (i = 0; ok && i < m->n; i++)
		ok = set_blocking(&m->pairs[i], false);
	while (ok && bulk_interest(m, to_server) > 0)
		ok = bulk_turn(m, to_server);
	for (i = 0; ok && i < m->n; i++) {
		ok = set_blocking(&m->pairs[i], true);
		free(m->pairs[i].sealed);
		m->pairs[i].sealed = NULL;
		m->pairs[i].out = NULL;
	}
	return ok;
}

static bool
to_server(struct micro *m, size_t megabytes)
{
	size_t i;

	for (i = 0; i < m->n; i++) {
		m->pairs[i].out_left = megabytes * MEGABYTE;
		m->pairs[i].in_left = megabytes * MEGABYTE;
		m->pairs[i].last = m->pairs[i].next = 0;
	}
	return bulk(m, true);
}

/* All of it, as the records that will be sent. */
static bool
seal(struct micro *m, struct pair *p, size_t bytes, size_t size)
{
	BIO *memory = BIO_new(BIO_s_mem()), *socket = SSL_get_wbio(p->ssl);
	size_t at, n;
	char *sealed;
	long len;
	bool ok = memory != NULL && BIO_up_ref(socket) == 1;

	if (!ok)
		return false;
	SSL_set0_wbio(p->ssl, memory);
	for (at = 0; ok && at < bytes; at += size)
		ok = SSL_write_ex(p->ssl, m->chunk + at % CHUNK, size, &n) == 1;
	len = BIO_get_mem_data(memory, &sealed);
	if (ok && (p->sealed = malloc((size_t)len)) != NULL) {
		memcpy(p->sealed, sealed, (size_t)len);
		p->out = p->sealed;
		p->out_left = (size_t)len;
	}
	SSL_set0_wbio(p->ssl, socket);
	return ok && p->sealed != NULL;
}

static bool
to_client(struct micro *m, size_t megabytes, size_t size)
{
	size_t i;

	if (size == 0 || size > RECORD_MAX || CHUNK % size != 0)
		return false;
	for (i = 0; i < m->n; i++) {
		struct pair *p = &m->pairs[i];

		p->out_left = p->in_left = megabytes * MEGABYTE;
		p->last = p->next = 0;
		if (p->ssl != NULL && !seal(m, p, p->in_left, size))
			return false;
	}
	return bulk(m, false);
}

/* Lines */

static const struct kind *
find_kind(const char *name)
{
	size_t i;

	for (i = 0; name != NULL && i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(name, kinds[i].name) == 0)
			return &kinds[i];
	}
	return NULL;
}

static bool
open_pairs(struct micro *m, unsigned port, const struct kind *k, size_t n)
{
	for (; n > 0; n--) {
		if (m->n == PAIRS_MAX ||
		    !pair_open(m, &m->pairs[m->n++], k, port))
			return false;
	}
	return true;
}

static bool
close_pairs(struct micro *m)
{
	while (m->n > 0)
		pair_close(&m->pairs[--m->n]);
	return true;
}

/* The client leaves first, and the server sees it. */
static bool
one_session(struct micro *m, unsigned port, const struct kind *k)
{
	uint8_t end;
	bool ok;

	if (m->n > 0 || !open_pairs(m, port, k, 1) || !trips(m, 1, 1))
		return false;
	ok = shutdown(m->pairs[0].client, SHUT_WR) == 0 &&
	    !server_hears(&m->pairs[0], &end, 1);
	(void)shutdown(m->pairs[0].server, SHUT_WR);
	ok = ok && !recv_all(m->pairs[0].client, &end, 1);
	return close_pairs(m) && ok;
}

static size_t
number(const char *word)
{
	return word == NULL ? 0 : (size_t)strtoul(word, NULL, DECIMAL);
}

static bool
sessions(struct micro *m, unsigned port, const struct kind *k, size_t n)
{
	bool ok = k != NULL;

	for (; ok && n > 0; n--)
		ok = one_session(m, port, k);
	return ok;
}

static bool
obey(struct micro *m, char *line)
{
	enum {
		WORD,
		FIRST,
		SECOND,
		THIRD,
		WORDS
	};
	const char *w[WORDS];
	char *rest = line;
	size_t i;

	for (i = 0; i < WORDS; i++)
		w[i] = strtok_r(rest, " \n", &rest);
	if (w[WORD] == NULL)
		return false;
	if (strcmp(w[WORD], "open") == 0 && find_kind(w[SECOND]) != NULL)
		return open_pairs(m, (unsigned)number(w[FIRST]),
		    find_kind(w[SECOND]), number(w[THIRD]));
	if (strcmp(w[WORD], "sessions") == 0)
		return sessions(m, (unsigned)number(w[FIRST]),
		    find_kind(w[SECOND]), number(w[THIRD]));
	if (strcmp(w[WORD], "trips") == 0)
		return trips(m, number(w[FIRST]), number(w[SECOND]));
	if (strcmp(w[WORD], "to-server") == 0)
		return to_server(m, number(w[FIRST]));
	if (strcmp(w[WORD], "to-client") == 0)
		return to_client(m, number(w[FIRST]), number(w[SECOND]));
	return strcmp(w[WORD], "close") == 0 && close_pairs(m);
}

static void
serve(struct micro *m)
{
	char line[LINE_LEN];
	size_t i;

	/* OpenSSL writes to sockets without MSG_NOSIGNAL. */
	(void)signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof(m->chunk); i++)
		m->chunk[i] = (uint8_t)i;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (obey(m, line))
			puts("ok");
		else
			puts("it was cut short, or is none of mine");
		(void)fflush(stdout);
	}
	(void)close_pairs(m);
}

static SSL_CTX *
make_context(const char *certificate, const char *key)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	if (c != NULL &&
	    SSL_CTX_use_certificate_chain_file(c, certificate) == 1 &&
	    SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) == 1 &&
	    SSL_CTX_set_num_tickets(c, 0) == 1)
		return c;
	SSL_CTX_free(c);
	return NULL;
}

int
main(int argc, char **argv)
{
	struct micro *m = calloc(1, sizeof(*m));
	bool ok = argc == 3 && m != NULL &&
	    (m->context = make_context(argv[1], argv[2])) != NULL;

	if (!ok)
		(void)fputs("usage: micro CERTIFICATE KEY\n", stderr);
	else if ((m->listener = listen_anywhere()) != -1)
		serve(m);
	if (m != NULL)
		SSL_CTX_free(m->context);
	free(m);
	return ok ? 0 : 2;
}
