/* dial.c - reaching a server: names, addresses, and the next one */
#include "proxy/dial.h"

#include <sys/socket.h>

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <event2/util.h>

#include "proxy/health.h"
#include "proxy/resolve.h"
#include "proxy/times.h"

#define ATTEMPT_SECONDS 5.0 /* that one address may take */
/* A unix server whose queue is full says so at once, and has room again when
 * it has accepted somebody. */
#define PAUSE_SECONDS 0.02
#define MSEC_PER_SEC  1000.0
#define NONE          SIZE_MAX

struct dialer {
	struct event_base *base;
	const struct config *config;
	struct resolver *resolver;
	struct outgoing *outgoing; /* NULL: nobody asks */
	double attempt_seconds;
	size_t dials;
};

enum dial_state {
	DIAL_STARTING = 0, /* nothing happens until the loop comes round */
	DIAL_RESOLVING,
	DIAL_CONNECTING,
	DIAL_PAUSING, /* a unix server's queue is full */
	DIAL_OVER,    /* in its callback */
};

enum attempt {
	ATTEMPT_PENDING = 0,
	ATTEMPT_CONNECTED,
	ATTEMPT_FAILED,
};

struct dial {
	struct dialer *dialer;
	const struct endpoint *endpoint;
	struct server_health *health; /* NULL: this dial is no evidence, as
	                               * it does not try every address */
	struct dial_choice choice;
	dial_cb cb;
	void *arg;

	enum dial_state state;
	double since;          /* when that began */
	struct event event;    /* what it waits for, but for a resolution */
	struct event deadline; /* of everything */
	double ends;           /* when that is; 0: never */

	struct resolution *resolution;
	struct answer *answer;      /* holds `list`, unless that is fixed */
	const struct address *list; /* of the server being tried */
	size_t n;
	size_t next;         /* of the list, to be tried */
	double attempt_ends; /* when the one being tried has had its time */
	int fd;              /* being connected; -1: none */
	struct outgoing_entry *outgoing; /* that socket's; NULL: none */

	size_t server; /* being tried; NONE before the first */
	bool blamed;   /* the server, not this machine, has failed */
	size_t passed; /* DIAL_NTH: addresses of the servers before */

	size_t attempts;
	size_t timeouts; /* of these attempts */
	size_t text_len;
	size_t server_text; /* where what is said of this server begins */
	struct dial_result result;

	size_t norder;
	size_t order[]; /* the servers still to be tried; NONE: was */
};

/* What became of each server and address, in words. */

static void text_add(struct dial *dial, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
text_add(struct dial *dial, const char *fmt, ...)
{
	static const char more[] = "...";
	size_t size = sizeof(dial->result.text), room = size - dial->text_len;
	char *text = dial->result.text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text + dial->text_len, room, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n < room) {
		dial->text_len += (size_t)n;
		return;
	}
	dial->text_len = size - 1;
	memcpy(text + size - sizeof(more), more, sizeof(more));
}

static void
text_begin_server(struct dial *dial, const char *what)
{
	if (dial->text_len > 0)
		text_add(dial, "; ");
	dial->server_text = dial->text_len;
	text_add(dial, "cannot %s %s:", what, dial->result.server->text);
}

/* Which address, if the server's own text does not say it already. */
static void
text_add_address(struct dial *dial)
{
	char text[ADDRESS_TEXT_MAX], *port;

	if (dial->result.server->fixed.len != 0)
		return;
	(void)address_format(&dial->result.address, text, sizeof(text));
	if ((port = strrchr(text, ':')) != NULL)
		*port = '\0';
	text_add(dial, " %s", text);
}

static void
text_add_error(struct dial *dial, int error)
{
	const char *text = strerrordesc_np(error);

	if (error == ETIMEDOUT)
		text = "timed out";
	if (text == NULL)
		text = "unknown error";
	/* It continues a sentence. */
	text_add(dial, " %c%s", text[0] | ('a' ^ 'A'), text + 1);
}

/* How it goes on. */

static void
set_timer(struct event *event, double seconds)
{
	struct timeval tv = times_interval(seconds);

	event_add(event, &tv);
}

static void
dial_enter(struct dial *dial, enum dial_state state)
{
	double now = times_now();

	switch (dial->state) {
	case DIAL_RESOLVING:
		dial->result.resolve_seconds += now - dial->since;
		break;
	case DIAL_CONNECTING:
	case DIAL_PAUSING:
		dial->result.connect_seconds += now - dial->since;
		break;
	case DIAL_STARTING:
	case DIAL_OVER:
		break;
	}
	event_del(&dial->event);
	dial->state = state;
	dial->since = now;
}

static void
dial_close(struct dial *dial)
{
	outgoing_remove(dial->outgoing);
	dial->outgoing = NULL;
	if (dial->fd == -1)
		return;
	event_del(&dial->event);
	(void)close(dial->fd);
	dial->fd = -1;
}

static void
dial_free(struct dial *dial)
{
	dial_close(dial);
	event_del(&dial->event);
	event_del(&dial->deadline);
	resolve_cancel(dial->resolution);
	answer_release(dial->answer);
	dial->dialer->dials--;
	free(dial);
}

void
dial_cancel(struct dial *dial)
{
	if (dial != NULL && dial->state != DIAL_OVER)
		dial_free(dial);
}

static void
dial_finish(struct dial *dial)
{
	dial_enter(dial, DIAL_OVER);
	event_del(&dial->deadline);
	dial->cb(&dial->result, dial->arg);
	dial_free(dial);
}

static void
dial_succeed(struct dial *dial)
{
	server_health_reached(dial->health, dial->server);
	dial->result.fd = dial->fd;
	dial->fd = -1;
	dial->result.outgoing = dial->outgoing;
	dial->outgoing = NULL;
	dial->result.reason = REASON_NONE;
	dial_finish(dial);
}

static void
dial_fail(struct dial *dial, enum reason reason)
{
	dial->result.fd = -1;
	dial->result.reason = reason;
	dial_finish(dial);
}

static enum reason
dial_reason(const struct dial *dial)
{
	if (dial->attempts == 0)
		return REASON_RESOLVE;
	return dial->timeouts == dial->attempts ? REASON_TIMEOUT
						: REASON_CONNECT;
}

/* One address. */

/* Does an error say something about this machine instead of the server? */
static bool
error_is_ours(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL: /* no port is left, or there is no IPv6 */
	case EAGAIN:
	case EAFNOSUPPORT:
	case EACCES:
	case EPERM:
		return true;
	}
	return false;
}

/* `why` NULL: the words for the error. */
static enum attempt
attempt_failed(struct dial *dial, int error, const char *why)
{
	dial_close(dial);
	if (dial->next > 1 && dial->choice.where != DIAL_NTH)
		text_add(dial, ",");
	text_add_address(dial);
	if (why != NULL)
		text_add(dial, " %s", why);
	else
		text_add_error(dial, error);
	dial->attempts++;
	if (error == ETIMEDOUT)
		dial->timeouts++;
	if (!error_is_ours(error))
		dial->blamed = true;
	return ATTEMPT_FAILED;
}

/* Would a connection that came to this endpoint dial again, and so on until no
 * descriptor is left?  Its own, and where a server has sent us on, all that
 * follow. */
static bool
goes_round(const struct dial *dial, const struct endpoint *e)
{
	return e == dial->endpoint ||
	    (dial->choice.where == DIAL_REDIRECT && e->ops->redirects != NULL);
}

static bool
comes_back(const struct dial *dial, const struct address *ours)
{
	const struct config *c = dial->dialer->config;
	size_t i;

	for (i = 0; i < c->nendpoints; i++) {
		if (goes_round(dial, c->endpoints[i]) &&
		    endpoint_listens_at(c->endpoints[i], ours,
			&dial->result.address))
			return true;
	}
	return false;
}

/*
 * A TCP socket that connects to a port of this machine which the kernel has
 * just given to it is connected with itself, if nobody listens there: what we
 * say would come back as if a server had said it.
 */
static enum attempt
attempt_connected(struct dial *dial)
{
	struct address ours = { .len = sizeof(ours.sa) };

	if (getsockname(dial->fd, (struct sockaddr *)&ours.sa, &ours.len) == -1)
		return attempt_failed(dial, errno, NULL);
	if (comes_back(dial, &ours))
		return attempt_failed(dial, ECONNREFUSED,
		    "is a listener of this proxy itself");
	if (address_equal(&ours, &dial->result.address))
		return attempt_failed(dial, ECONNREFUSED,
		    "connection refused (it came back to itself)");
	return ATTEMPT_CONNECTED;
}

static bool
bind_address(int fd, const struct address *a)
{
	return bind(fd, (const struct sockaddr *)&a->sa, a->len) == 0;
}

/* False, with errno: EAFNOSUPPORT if it is of another family. */
static bool
bind_source(int fd, const struct address *source, const struct address *to)
{
	int on = 1;

	if (source->sa.ss_family != to->sa.ss_family) {
		errno = EAFNOSUPPORT;
		return false;
	}
	/* The port is chosen at connect(), when the other end is known: there
	 * are then as many as each server address has. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
	    sizeof(on));
	return bind_address(fd, source);
}

void
dial_tune_socket(int fd, const struct endpoint *e)
{
	unsigned on = 1, ms = (unsigned)(e->user_timeout * MSEC_PER_SEC);

	/* On a unix socket none of this applies, and failing is right. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (ms > 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms,
		    sizeof(ms));
	if (e->keepalive.idle == 0)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &e->keepalive.idle,
	    sizeof(e->keepalive.idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &e->keepalive.interval,
	    sizeof(e->keepalive.interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &e->keepalive.count,
	    sizeof(e->keepalive.count));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static void
address_set_port(struct address *a, uint16_t port)
{
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	if (a->sa.ss_family == AF_INET6) {
		memcpy(&v6, &a->sa, sizeof(v6));
		v6.sin6_port = htons(port);
		memcpy(&a->sa, &v6, sizeof(v6));
		return;
	}
	memcpy(&v4, &a->sa, sizeof(v4));
	v4.sin_port = htons(port);
	memcpy(&a->sa, &v4, sizeof(v4));
}

bool
dial_allow_foreign(int fd, int family)
{
	int on = 1;

	if (family == AF_INET6)
		return setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on,
			   sizeof(on)) == 0;
	return setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)) == 0;
}

int
dial_check_source(const struct endpoint *e, struct err *err)
{
	int fd, result = 0;

	if (!e->source_client)
		return 0;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || !dial_allow_foreign(fd, AF_INET))
		result = err_set(err,
		    "%s: source = \"client\": %s; it needs CAP_NET_ADMIN or "
		    "CAP_NET_RAW",
		    e->name, strerror(errno));
	if (fd != -1)
		(void)close(fd);
	return result;
}

/*
 * To the client's own address, and its port if that is free: the one thing of
 * the two that no other client has.  But on a transparent endpoint a connection
 * from there to where the client was going is, to the kernel, the client's: it
 * would be rewritten as that was, or the two tracked as one, whose packets a
 * firewall then drops as invalid.
 */
static bool
bind_client(const struct dial *dial)
{
	const struct address *to = &dial->result.address;
	struct address from = dial->choice.client;

	if (!dial_allow_foreign(dial->fd, to->sa.ss_family))
		return false;
	if (from.sa.ss_family == to->sa.ss_family &&
	    dial->endpoint->transparent == TRANSPARENT_OFF &&
	    bind_address(dial->fd, &from))
		return true;
	address_set_port(&from, 0);
	return bind_source(dial->fd, &from, to);
}

/* True too where there is nothing to be bound to. */
static bool
bind_dial(const struct dial *dial)
{
	const struct endpoint *e = dial->endpoint;

	if (dial->result.address.sa.ss_family == AF_UNIX)
		return true;
	if (e->source_client && dial->choice.client.len != 0)
		return bind_client(dial);
	return e->source.len == 0 ||
	    bind_source(dial->fd, &e->source, &dial->result.address);
}

/* As connect(); whoever asks meanwhile waits, and then knows of it. */
static int
connect_entered(struct dial *dial)
{
	const struct address *to = &dial->result.address;
	struct outgoing *o = dial->dialer->outgoing;
	struct address from = { .len = sizeof(from.sa) };
	int result, error;
	bool bound;

	if (o == NULL || to->sa.ss_family == AF_UNIX)
		return connect(dial->fd, (const struct sockaddr *)&to->sa,
		    to->len);
	outgoing_begin(o);
	result = connect(dial->fd, (const struct sockaddr *)&to->sa, to->len);
	error = errno;
	bound =
	    getsockname(dial->fd, (struct sockaddr *)&from.sa, &from.len) == 0;
	dial->outgoing = outgoing_end(o, bound ? &from : NULL, to,
	    dial->endpoint->source_client);
	errno = error;
	if (dial->outgoing != NULL)
		return result;
	errno = ENOMEM;
	return -1;
}

static double
seconds_left(const struct dial *dial)
{
	return dial->attempt_ends - times_now();
}

static void dial_connect_event(evutil_socket_t fd, short what, void *arg);
static void dial_pause_event(evutil_socket_t fd, short what, void *arg);

static enum attempt
attempt_wait(struct dial *dial, enum dial_state state)
{
	double seconds = seconds_left(dial);

	dial_enter(dial, state);
	if (state == DIAL_PAUSING) {
		dial_close(dial);
		if (seconds <= 0)
			return attempt_failed(dial, ETIMEDOUT, NULL);
		event_assign(&dial->event, dial->dialer->base, -1, 0,
		    dial_pause_event, dial);
		set_timer(&dial->event, PAUSE_SECONDS);
		return ATTEMPT_PENDING;
	}
	event_assign(&dial->event, dial->dialer->base, dial->fd, EV_WRITE,
	    dial_connect_event, dial);
	/* Where that is one moment, it is the deadline's: there is no time for
	 * another address after it. */
	if (dial->ends != 0 && dial->attempt_ends >= dial->ends)
		event_add(&dial->event, NULL);
	else
		set_timer(&dial->event, seconds);
	return ATTEMPT_PENDING;
}

/* Tries dial->result.address. */
static enum attempt
attempt_begin(struct dial *dial)
{
	const struct address *a = &dial->result.address;

	dial->fd = socket(a->sa.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (dial->fd == -1)
		return attempt_failed(dial, errno, NULL);
	if (!bind_dial(dial))
		return attempt_failed(dial, errno,
		    errno == EAFNOSUPPORT
			? "is not of the family of the source address"
			: NULL);
	dial_tune_socket(dial->fd, dial->endpoint);
	if (connect_entered(dial) == 0)
		return attempt_connected(dial);
	if (errno == EINPROGRESS || errno == EINTR)
		return attempt_wait(dial, DIAL_CONNECTING);
	if (errno == EAGAIN && a->sa.ss_family == AF_UNIX)
		return attempt_wait(dial, DIAL_PAUSING);
	return attempt_failed(dial, errno, NULL);
}

/* One server. */

/* Goes on with the next of its addresses; ATTEMPT_FAILED: there are no more. */
static enum attempt
try_addresses(struct dial *dial)
{
	enum attempt attempt;

	while (dial->next < dial->n) {
		dial->result.address = dial->list[dial->next++];
		if (dial->answer != NULL)
			address_set_port(&dial->result.address,
			    dial->result.server->port);
		dial->attempt_ends =
		    times_now() + dial->dialer->attempt_seconds;
		if (dial->ends != 0 && dial->ends < dial->attempt_ends)
			dial->attempt_ends = dial->ends;
		if ((attempt = attempt_begin(dial)) != ATTEMPT_FAILED)
			return attempt;
	}
	return ATTEMPT_FAILED;
}

static void
server_over(struct dial *dial)
{
	if (dial->server != NONE && dial->blamed)
		server_health_failed(dial->health, dial->server,
		    resolver_now(dial->dialer->resolver),
		    dial->result.text + dial->server_text);
	answer_release(dial->answer);
	dial->answer = NULL;
	dial->list = NULL;
	dial->n = 0;
	dial->next = 0;
	dial->blamed = false;
}

/* Of all the addresses of all servers, the one that was chosen. */
static void
choose_nth(struct dial *dial)
{
	size_t nth = dial->choice.nth - dial->passed;

	if (nth >= dial->n) {
		dial->passed += dial->n;
		dial->next = dial->n;
		return;
	}
	dial->next = nth;
	dial->n = nth + 1;
	dial->norder = 0; /* there is nothing to be tried after it */
	dial->result.exhausted = false;
}

static void
server_has(struct dial *dial, const struct address *list, size_t n)
{
	dial->list = list;
	dial->n = n;
	dial->next = 0;
	if (dial->choice.where == DIAL_NTH)
		choose_nth(dial);
	if (dial->next < dial->n)
		text_begin_server(dial, "connect to");
}

/* Which server is next: one that is not known to be down, or else any; NONE if
 * all have been tried. */
static size_t
choose_server(struct dial *dial)
{
	double now = resolver_now(dial->dialer->resolver);
	size_t i, chosen = NONE, server;

	for (i = 0; i < dial->norder; i++) {
		if (dial->order[i] == NONE)
			continue;
		if (server_health_may_try(dial->health, dial->order[i], now)) {
			chosen = i;
			break;
		}
		if (chosen == NONE)
			chosen = i;
	}
	if (chosen == NONE)
		return NONE;
	server = dial->order[chosen];
	dial->order[chosen] = NONE;
	return server;
}

static void dial_resolved(struct answer *a, void *arg);

/* Its addresses are being asked for, as the state then says. */
static void
resolve(struct dial *dial, const char *host)
{
	dial->resolution =
	    resolve_start(dial->dialer->resolver, host, dial_resolved, dial);
	if (dial->resolution != NULL) {
		dial_enter(dial, DIAL_RESOLVING);
		return;
	}
	text_begin_server(dial, "resolve");
	text_add(dial, " out of memory");
}

/* Is it to be shown first that an address is one of the configured server's? */
static bool
must_be_proven(const struct dial *dial)
{
	return dial->choice.where == DIAL_REDIRECT &&
	    dial->choice.redirect->way == REDIRECT_IF_RESOLVED;
}

static void
begin_redirect(struct dial *dial)
{
	const struct redirect *r = dial->choice.redirect;

	assert(r->way != REDIRECT_REFUSED);
	dial->result.server = must_be_proven(dial) ? r->of : &r->server;
	if (must_be_proven(dial))
		resolve(dial, r->of->host);
	else if (r->server.fixed.len != 0)
		server_has(dial, &r->server.fixed, 1);
	else
		resolve(dial, r->server.host);
}

/* False if there is none.  Its addresses are known then, or being asked for:
 * the state says. */
static bool
next_server(struct dial *dial)
{
	const struct server *server;

	if ((dial->server = choose_server(dial)) == NONE)
		return false;
	server = &dial->endpoint->servers[dial->server];
	dial->result.server = server;
	if (dial->choice.where == DIAL_EXACT)
		server_has(dial, &dial->choice.address, 1);
	else if (dial->choice.where == DIAL_REDIRECT)
		begin_redirect(dial);
	else if (server->fixed.len != 0)
		server_has(dial, &server->fixed, 1);
	else
		resolve(dial, server->host);
	return true;
}

static void
dial_run(struct dial *dial)
{
	for (;;) {
		switch (try_addresses(dial)) {
		case ATTEMPT_PENDING:
			return;
		case ATTEMPT_CONNECTED:
			dial_succeed(dial);
			return;
		case ATTEMPT_FAILED:
			break;
		}
		server_over(dial);
		if (!next_server(dial)) {
			dial_fail(dial, dial_reason(dial));
			return;
		}
		if (dial->state == DIAL_RESOLVING)
			return;
	}
}

/* What the loop says. */

/* The addresses are the configured server's: is the one we are sent to among
 * them?  A name that has none proves nothing. */
static void
redirect_resolved(struct dial *dial, const struct answer *a)
{
	const struct redirect *r = dial->choice.redirect;

	dial->result.server = &r->server;
	if (redirect_is_among(r, a->list, a->n)) {
		server_has(dial, &r->server.fixed, 1);
		dial_run(dial);
		return;
	}
	text_add(dial, "%s is no address of %s", r->text, r->of->text);
	if (a->n == 0)
		text_add(dial, ": %s", a->why);
	dial_fail(dial, REASON_REDIRECT);
}

static void
dial_resolved(struct answer *a, void *arg)
{
	struct dial *dial = arg;

	dial->resolution = NULL;
	dial_enter(dial, DIAL_STARTING);
	if (must_be_proven(dial)) {
		redirect_resolved(dial, a);
		return;
	}
	if (a->n > 0) {
		dial->answer = answer_retain(a);
		server_has(dial, a->list, a->n);
	} else {
		text_begin_server(dial, "resolve");
		text_add(dial, " %s", a->why);
		dial->blamed = true;
	}
	dial_run(dial);
}

static void
dial_connect_event(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;
	socklen_t len = sizeof(int);
	int error = 0;

	if ((what & EV_WRITE) == 0)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error == 0 && attempt_connected(dial) == ATTEMPT_CONNECTED) {
		dial_succeed(dial);
		return;
	}
	if (error != 0)
		(void)attempt_failed(dial, error, NULL);
	dial_run(dial);
}

static void
dial_pause_event(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;

	(void)fd;
	(void)what;
	switch (attempt_begin(dial)) {
	case ATTEMPT_PENDING:
		return;
	case ATTEMPT_CONNECTED:
		dial_succeed(dial);
		return;
	case ATTEMPT_FAILED:
		dial_run(dial);
		return;
	}
}

static void
dial_start_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	dial_run(arg);
}

static void
dial_deadline_event(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;

	(void)fd;
	(void)what;
	if (dial->state == DIAL_RESOLVING) {
		text_begin_server(dial, "resolve");
		text_add(dial, " the nameserver did not answer in time");
		dial->blamed = true;
	} else if (dial->state != DIAL_STARTING) {
		(void)attempt_failed(dial, ETIMEDOUT, NULL);
	}
	if (dial->text_len == 0)
		text_add(dial, "no time was left to connect");
	server_over(dial);
	dial_fail(dial, REASON_TIMEOUT);
}

/* Beginning. */

static void
shuffle(size_t *list, size_t n)
{
	size_t i, j, swap;
	uint32_t random;

	for (i = n; i > 1; i--) {
		evutil_secure_rng_get_bytes(&random, sizeof(random));
		j = random % i;
		swap = list[i - 1];
		list[i - 1] = list[j];
		list[j] = swap;
	}
}

static void
set_order(struct dial *dial)
{
	const struct endpoint *e = dial->endpoint;
	size_t i;

	if (dial->choice.where == DIAL_EXACT ||
	    dial->choice.where == DIAL_SERVER ||
	    dial->choice.where == DIAL_REDIRECT) {
		assert(dial->choice.server < e->nservers);
		dial->order[0] = dial->choice.server;
		dial->norder = 1;
		return;
	}
	for (i = 0; i < e->nservers; i++)
		dial->order[i] = i;
	dial->norder = e->nservers;
	if (dial->choice.where == DIAL_ANY &&
	    e->server_order == SERVER_ORDER_RANDOM)
		shuffle(dial->order, dial->norder);
}

struct dial *
dial_start(struct dialer *d, const struct endpoint *e, struct server_health *h,
    const struct dial_choice *choice, dial_cb cb, void *arg)
{
	struct dial *dial;

	dial = calloc(1, sizeof(*dial) + e->nservers * sizeof(dial->order[0]));
	if (dial == NULL)
		return NULL;
	dial->dialer = d;
	dial->endpoint = e;
	dial->choice = *choice;
	dial->health = choice->where == DIAL_ANY || choice->where == DIAL_SERVER
	    ? h
	    : NULL;
	dial->cb = cb;
	dial->arg = arg;
	dial->fd = -1;
	dial->server = NONE;
	dial->result.exhausted = choice->where == DIAL_NTH;
	set_order(dial);
	event_assign(&dial->deadline, d->base, -1, 0, dial_deadline_event,
	    dial);
	event_assign(&dial->event, d->base, -1, 0, dial_start_event, dial);
	if (e->timeouts.connect > 0) {
		dial->ends = times_now() + e->timeouts.connect;
		set_timer(&dial->deadline, e->timeouts.connect);
	}
	set_timer(&dial->event, 0);
	d->dials++;
	return dial;
}

void
dialer_share(struct dialer *d, struct outgoing *o)
{
	d->outgoing = o;
}

struct resolver *
dialer_resolver(struct dialer *d)
{
	return d->resolver;
}

struct dialer *
dialer_new_with(struct event_base *base, const struct config *c,
    const struct dialer_settings *settings, struct err *err)
{
	struct dialer *d;

	if ((d = calloc(1, sizeof(*d))) == NULL) {
		err_set(err, "dialer: out of memory");
		return NULL;
	}
	d->base = base;
	d->config = c;
	d->attempt_seconds = settings->attempt_seconds > 0
	    ? settings->attempt_seconds
	    : ATTEMPT_SECONDS;
	d->resolver = resolver_new(base, c, settings->names, err);
	if (d->resolver == NULL) {
		free(d);
		return NULL;
	}
	return d;
}

struct dialer *
dialer_new(struct event_base *base, const struct config *c, struct err *err)
{
	static const struct dialer_settings usual;

	return dialer_new_with(base, c, &usual, err);
}

void
dialer_free(struct dialer *d)
{
	if (d == NULL)
		return;
	assert(d->dials == 0);
	resolver_free(d->resolver);
	free(d);
}
