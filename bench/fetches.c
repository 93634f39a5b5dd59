/*
 * fetches.c - what a read costs more through dbtls than without
 *
 *	fetches CERTIFICATE KEY CA NAME FETCHES MICROSECONDS...
 *
 * Both ends in one process: a server of Oracle Net with TLS, which takes so
 * many microseconds over each answer of 10 KB (a hundred rows), and two
 * clients of it that ask in turns: one by TLS, as a driver would, and one in
 * clear through a proxy.  The server's port of 127.0.0.1 is printed, the
 * proxy's is read from standard input.  For each of the times it prints
 *
 *	MICROSECONDS DIRECT THROUGH
 *
 * where the last two are medians of a whole round trip, in microseconds.
 */
#include <sys/prctl.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "bench/sockets.h"

#define QUESTION_LEN  128u
#define ANSWER_LEN    ((size_t)10 * 1024)
#define TURN          50u /* fetches of one client before the other's turn */
#define FETCHES_MAX   1000000u
#define MICRO         1000000L
#define NANO_IN_MICRO 1000L

#define HEAD_LEN    74u
#define DATA        "(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=fetches)))"
#define CONNECT_LEN (HEAD_LEN + sizeof(DATA) - 1)
#define ACCEPT_LEN  32u

enum type {
	CONNECT = 1,
	ACCEPT = 2,
};

static atomic_long think; /* microseconds */

/* One end of a connection: in clear if it has no TLS. */
struct end {
	int fd;
	SSL *ssl;
};

static bool
say(const struct end *e, const uint8_t *bytes, size_t len)
{
	size_t n;

	if (e->ssl != NULL)
		return SSL_write_ex(e->ssl, bytes, len, &n) == 1;
	return send(e->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool
hear(const struct end *e, uint8_t *bytes, size_t len)
{
	size_t n;
	ssize_t got;

	for (; len > 0; bytes += n, len -= n) {
		n = 0;
		if (e->ssl != NULL) {
			if (SSL_read_ex(e->ssl, bytes, len, &n) != 1)
				return false;
		} else {
			got = recv(e->fd, bytes, len, 0);
			if (got <= 0)
				return false;
			n = (size_t)got;
		}
	}
	return true;
}

static void
put_be16(uint8_t *at, size_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* Version 319, which takes 300, in packets of 8 KB. */
static void
write_connect(uint8_t packet[CONNECT_LEN])
{
	memset(packet, 0, CONNECT_LEN);
	put_be16(packet, CONNECT_LEN);
	packet[4] = CONNECT;
	put_be16(packet + 8, 319);
	put_be16(packet + 10, 300);
	put_be16(packet + 14, 8192);
	put_be16(packet + 24, CONNECT_LEN - HEAD_LEN);
	put_be16(packet + 26, HEAD_LEN);
	memcpy(packet + HEAD_LEN, DATA, CONNECT_LEN - HEAD_LEN);
}

static void
write_accept(uint8_t packet[ACCEPT_LEN])
{
	memset(packet, 0, ACCEPT_LEN);
	put_be16(packet, ACCEPT_LEN);
	packet[4] = ACCEPT;
	put_be16(packet + 8, 312);
	put_be16(packet + 12, 8192);
}

/*
 * The server.
 */

static void
wait_a_while(long microseconds)
{
	struct timespec t = { .tv_sec = microseconds / MICRO,
		.tv_nsec = microseconds % MICRO * NANO_IN_MICRO };

	if (microseconds > 0)
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static void *
serve(void *arg)
{
	static const uint8_t answer[ANSWER_LEN];
	uint8_t said[CONNECT_LEN + QUESTION_LEN], accept_packet[ACCEPT_LEN];
	SSL *ssl = arg;
	struct end e = { .fd = SSL_get_fd(ssl), .ssl = ssl };

	/* A thread's sleep is late by so many nanoseconds. */
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	write_accept(accept_packet);
	if (SSL_accept(ssl) == 1 && hear(&e, said, CONNECT_LEN) &&
	    say(&e, accept_packet, sizeof(accept_packet))) {
		while (hear(&e, said, QUESTION_LEN)) {
			wait_a_while(atomic_load(&think));
			if (!say(&e, answer, sizeof(answer)))
				break;
		}
	}
	SSL_free(ssl);
	(void)close(e.fd);
	return NULL;
}

struct server {
	SSL_CTX *context;
	int listener;
};

static void
without_delay(int fd)
{
	const int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void *
serve_all(void *arg)
{
	const struct server *s = arg;
	pthread_t thread;
	SSL *ssl;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) != -1) {
		without_delay(fd);
		ssl = SSL_new(s->context);
		if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 ||
		    pthread_create(&thread, NULL, serve, ssl) != 0)
			abort();
		(void)pthread_detach(thread);
	}
	return NULL;
}

static bool
server_start(struct server *s, char **argv)
{
	pthread_t thread;

	s->context = SSL_CTX_new(TLS_server_method());
	if (s->context == NULL ||
	    SSL_CTX_use_certificate_chain_file(s->context, argv[0]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(s->context, argv[1],
		SSL_FILETYPE_PEM) != 1 ||
	    (s->listener = listen_anywhere()) == -1 ||
	    pthread_create(&thread, NULL, serve_all, s) != 0)
		return false;
	(void)pthread_detach(thread);
	return true;
}

static unsigned
server_port(const struct server *s)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	if (getsockname(s->listener, (struct sockaddr *)&a, &len) == -1)
		return 0;
	return ntohs(a.sin_port);
}

/*
 * The clients.
 */

static bool
open_end(struct end *e, unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	*e = (struct end){ .fd =
			       socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	if (e->fd == -1 ||
	    connect(e->fd, (const struct sockaddr *)&a, sizeof(a)) == -1)
		return false;
	without_delay(e->fd);
	return true;
}

static bool
secure_end(struct end *e, SSL_CTX *context, const char *name)
{
	e->ssl = SSL_new(context);
	return e->ssl != NULL && SSL_set_fd(e->ssl, e->fd) == 1 &&
	    SSL_set1_host(e->ssl, name) == 1 && SSL_connect(e->ssl) == 1;
}

static bool
log_in(const struct end *e)
{
	uint8_t connect_packet[CONNECT_LEN], accept_packet[ACCEPT_LEN];

	write_connect(connect_packet);
	return say(e, connect_packet, sizeof(connect_packet)) &&
	    hear(e, accept_packet, sizeof(accept_packet)) &&
	    accept_packet[4] == ACCEPT;
}

static double
microseconds_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * MICRO + (double)t.tv_nsec / NANO_IN_MICRO;
}

static bool
fetch(const struct end *e, double *took)
{
	static const uint8_t question[QUESTION_LEN];
	static uint8_t rows[ANSWER_LEN];
	double began = microseconds_now();
	bool ok =
	    say(e, question, sizeof(question)) && hear(e, rows, sizeof(rows));

	*took = microseconds_now() - began;
	return ok;
}

static int
by_size(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double
median(double *list, size_t n)
{
	qsort(list, n, sizeof(*list), by_size);
	return n % 2 == 1 ? list[n / 2] : (list[n / 2 - 1] + list[n / 2]) / 2;
}

static bool
take_turn(const struct end *e, double *times, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!fetch(e, &times[i]))
			return false;
	}
	return true;
}

static bool
measure(const struct end ends[2], size_t fetches, double *times[2])
{
	size_t done, n;

	for (done = 0; done < fetches; done += n) {
		n = fetches - done < TURN ? fetches - done : TURN;
		if (!take_turn(&ends[0], times[0] + done, n) ||
		    !take_turn(&ends[1], times[1] + done, n))
			return false;
	}
	return true;
}

static bool
measure_all(const struct end ends[2], size_t fetches, char **thinks)
{
	double *times[2] = { calloc(fetches, sizeof(double)),
		calloc(fetches, sizeof(double)) };
	bool ok = times[0] != NULL && times[1] != NULL;

	for (; ok && *thinks != NULL; thinks++) {
		atomic_store(&think, strtol(*thinks, NULL, 10));
		ok = measure(ends, fetches, times);
		if (ok)
			printf("%s %.1f %.1f\n", *thinks,
			    median(times[0], fetches),
			    median(times[1], fetches));
	}
	free(times[0]);
	free(times[1]);
	return ok;
}

static bool
clients_run(const struct server *s, char **argv)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	size_t fetches = strtoul(argv[2], NULL, 10);
	struct end ends[2] = { { .fd = -1 }, { .fd = -1 } };
	unsigned proxy = 0;
	char line[16];
	bool ok;

	if (fgets(line, sizeof(line), stdin) != NULL)
		proxy = (unsigned)strtoul(line, NULL, 10);
	ok = context != NULL && fetches > 0 && fetches <= FETCHES_MAX &&
	    SSL_CTX_load_verify_file(context, argv[0]) == 1;
	if (ok)
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	ok = ok && open_end(&ends[0], server_port(s)) &&
	    secure_end(&ends[0], context, argv[1]) &&
	    open_end(&ends[1], proxy) && log_in(&ends[0]) && log_in(&ends[1]) &&
	    measure_all(ends, fetches, argv + 3);
	SSL_free(ends[0].ssl);
	SSL_CTX_free(context);
	return ok;
}

int
main(int argc, char **argv)
{
	struct server s;

	if (argc < 7) {
		(void)fputs("usage: fetches CERTIFICATE KEY CA NAME FETCHES "
			    "MICROSECONDS...\n",
		    stderr);
		return 2;
	}
	if (!server_start(&s, argv + 1) || !clients_run(&s, argv + 3)) {
		(void)fputs("fetches: something does not answer\n", stderr);
		return 1;
	}
	return 0;
}
