#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/load.h"

#define EVENTS    256
#define IN_FLIGHT 16u       /* connections that are being opened */
#define PATIENCE  100       /* milliseconds of one turn while they are */
#define NAME      "db.test" /* in the certificate, both ways */
#define DEAD_MAX  64u       /* of whom memory is kept a while */

static struct sockaddr_in
loopback(unsigned port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

bool
load_fail(struct load *l, const char *why)
{
	if (l->why[0] == '\0')
		(void)snprintf(l->why, sizeof(l->why), "%s", why);
	return false;
}

/* --- TLS ---------------------------------------------------------------- */

/* A ticket that is handed out, or none: each handshake is then a full one. */
static void
context_tickets(SSL_CTX *c, bool resume)
{
	static const unsigned char id[] = "load";

	(void)SSL_CTX_set_session_id_context(c, id, sizeof(id) - 1);
	if (resume)
		return;
	(void)SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(c, 0);
}

static SSL_CTX *
context_new(const struct options *o)
{
	bool server = o->tls == TLS_BACK;
	SSL_CTX *c =
	    SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	if (c == NULL)
		return NULL;
	(void)SSL_CTX_set_mode(c,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(c, o->suite) != 1)
		goto fail;
	if (server) {
		context_tickets(c, o->resume);
		if (SSL_CTX_use_certificate_chain_file(c, o->cert) != 1 ||
		    SSL_CTX_use_PrivateKey_file(c, o->key, SSL_FILETYPE_PEM) !=
			1)
			goto fail;
	} else {
		SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
		if (SSL_CTX_load_verify_file(c, o->ca) != 1)
			goto fail;
	}
	return c;
fail:
	SSL_CTX_free(c);
	return NULL;
}

static bool
end_secures(struct load *l, struct end *e)
{
	char name[] = NAME;

	if (l->o->tls != (e->front ? TLS_FRONT : TLS_BACK))
		return true;
	e->ssl = SSL_new(l->context);
	if (e->ssl == NULL || SSL_set_fd(e->ssl, e->fd) != 1)
		return load_fail(l, "no memory");
	if (!e->front) {
		SSL_set_accept_state(e->ssl);
		return true;
	}
	SSL_set_connect_state(e->ssl);
	return (SSL_set1_host(e->ssl, name) == 1 &&
		   SSL_set_tlsext_host_name(e->ssl, name) == 1) ||
	    load_fail(l, "no memory");
}

/* --- one end ------------------------------------------------------------- */

static ssize_t
of_ssl(const struct end *e, int rc, size_t n)
{
	if (rc == 1)
		return (ssize_t)n;
	switch (SSL_get_error(e->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	default:
		return -1;
	}
}

static ssize_t
of_socket(ssize_t n)
{
	if (n > 0)
		return n;
	return n == -1 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

ssize_t
end_read(struct end *e, void *to, size_t len)
{
	size_t n = 0;
	int rc;

	if (e->ssl == NULL)
		return of_socket(recv(e->fd, to, len, 0));
	rc = SSL_read_ex(e->ssl, to, len, &n);
	return of_ssl(e, rc, n);
}

ssize_t
end_write(struct end *e, const void *from, size_t len)
{
	size_t n = 0;
	int rc;

	if (e->ssl == NULL)
		return of_socket(send(e->fd, from, len, MSG_NOSIGNAL));
	rc = SSL_write_ex(e->ssl, from, len, &n);
	return of_ssl(e, rc, n);
}

static bool
end_new(struct load *l, int fd, bool front)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct end *e = calloc(1, sizeof(*e));
	const int on = 1;

	if (e == NULL) {
		(void)close(fd);
		return load_fail(l, "no memory");
	}
	*e = (struct end){ .fd = fd, .front = front, .next = l->ends };
	e->number = front ? l->fronts++ : l->backs++;
	l->live_fronts += front;
	l->ends = e;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!end_secures(l, e))
		return false;
	/* A client that has TLS is the one to begin. */
	event.events |= e->ssl != NULL && front ? EPOLLOUT : 0u;
	event.data.ptr = e;
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		return load_fail(l, "epoll_ctl");
	if (e->ssl != NULL)
		return true;
	e->secured = true;
	l->secured += !front;
	return l->mode->secured(l, e);
}

bool
load_want(struct load *l, struct end *e, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = e };

	if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, e->fd, &event) != 0)
		return load_fail(l, "epoll_ctl");
	return true;
}

/* Its memory goes when the turn is over: the turn may yet hold an event. */
void
load_close(struct load *l, struct end *e)
{
	if (e->dead)
		return;
	e->dead = true;
	l->dead++;
	l->live_fronts -= e->front;
	if (e->ssl != NULL) {
		/* Unless one is told, the session counts as broken off. */
		SSL_set_shutdown(e->ssl,
		    SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(e->ssl);
		e->ssl = NULL;
	}
	(void)close(e->fd);
}

static void
bury(struct load *l)
{
	struct end **at = &l->ends, *e;

	while ((e = *at) != NULL) {
		if (!e->dead) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		free(e->sealed);
		free(e);
	}
	l->dead = 0;
}

/* --- the loop ------------------------------------------------------------ */

bool
load_open(struct load *l)
{
	struct sockaddr_in a = loopback(l->o->port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* On loopback this does not wait for the one who accepts. */
	if (fd == -1 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		if (fd != -1)
			(void)close(fd);
		return load_fail(l, "the proxy does not listen");
	}
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return end_new(l, fd, true);
}

static bool
take_all(struct load *l)
{
	int fd;

	while ((fd = accept4(l->listener, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		if (!end_new(l, fd, false))
			return false;
	}
	return true;
}

static bool
go_on_securing(struct load *l, struct end *e)
{
	int rc = SSL_do_handshake(e->ssl);

	if (rc != 1 && of_ssl(e, rc, 0) == 0)
		return load_want(l, e,
		    SSL_want_write(e->ssl) ? EPOLLIN | EPOLLOUT : EPOLLIN);
	if (rc != 1)
		return load_fail(l, "no handshake with the proxy");
	e->secured = true;
	l->secured += !e->front;
	l->resumed += SSL_session_reused(e->ssl) == 1;
	return load_want(l, e, EPOLLIN) && l->mode->secured(l, e);
}

bool
load_turn(struct load *l, int milliseconds)
{
	struct epoll_event events[EVENTS];
	int i, n = epoll_wait(l->epoll, events, EVENTS, milliseconds);
	bool ok = true;

	for (i = 0; ok && i < n; i++) {
		struct end *e = events[i].data.ptr;

		if (e == NULL)
			ok = take_all(l);
		else if (e->dead)
			continue;
		else if (!e->secured)
			ok = go_on_securing(l, e);
		else
			ok = l->mode->ready(l, e, events[i].events);
	}
	if (l->dead > DEAD_MAX)
		bury(l);
	return ok;
}

bool
load_open_all(struct load *l, size_t n)
{
	while (l->secured < n) {
		while (l->fronts < n && l->fronts < l->secured + IN_FLIGHT) {
			if (!load_open(l))
				return false;
		}
		if (!load_turn(l, PATIENCE))
			return false;
	}
	return true;
}

static bool
listen_on(struct load *l, unsigned port)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct sockaddr_in a = loopback(port);
	const int on = 1;

	l->listener =
	    socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->listener == -1)
		return false;
	(void)setsockopt(l->listener, SOL_SOCKET, SO_REUSEADDR, &on,
	    sizeof(on));
	return bind(l->listener, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	    listen(l->listener, SOMAXCONN) == 0 &&
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->listener, &event) == 0;
}

bool
load_begin(struct load *l, const struct options *o, const struct mode *mode)
{
	*l = (struct load){ .o = o, .mode = mode, .listener = -1 };
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll == -1 || !listen_on(l, o->listen))
		return load_fail(l, "our port cannot be had");
	if (o->tls == TLS_NONE)
		return true;
	l->context = context_new(o);
	return l->context != NULL || load_fail(l, "the certificate is no good");
}

void
load_end(struct load *l)
{
	struct end *e;

	if (l->why[0] != '\0')
		(void)fprintf(stderr, "load: %s\n", l->why);
	for (e = l->ends; e != NULL; e = e->next)
		load_close(l, e);
	bury(l);
	SSL_CTX_free(l->context);
	if (l->listener != -1)
		(void)close(l->listener);
	if (l->epoll != -1)
		(void)close(l->epoll);
}

void
load_print(const struct usage *from, const struct usage *to)
{
	printf(" seconds=%.6f cpu=%.6f others=%.3f\n", to->at - from->at,
	    to->measured - from->measured, usage_others(from, to));
}
