/*
 * ktls_peer.c - both ends of sessions through dbtls, for tests of kernel TLS
 *
 *	ktls_peer -c plain|tls -s plain|tls -p PORT -l PORT -k PEM
 *	    [-u SUITE] [-v 1.2] [-n LEGS] [-m MEGABYTES] [-r] [-a]
 *
 * Plays the client (of dbtls's listener, -p) and the server (at -l, with the
 * certificate and key in PEM) and does in session after session what TLS can
 * do: small messages, bulk with every byte compared, key updates, tickets,
 * peers that do not read, ends in order and out of it, records that are wrong.
 * -n: on so many of dbtls's legs the kernel must have the records, as
 * /proc/net/tls_stat counts them.  -r: dbtls is set to take a new key after a
 * few records, and must be seen to.  -a: both ends are PostgreSQL's, so TLS
 * is asked for, and there is a log-in before all that.  One line for each
 * promise, "ok" or "bad" first.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define SECONDS     20
#define PIECE       (48 * 1024 + 7)
#define TRIPS       100
#define UPDATE_EACH 9 /* pieces */
#define BLOCKED_MS  300
#define EARLY       300000 /* that much waits in sockets */
#define FIRST_READ  16384  /* of a session, by dbtls */
/* The last is not said before there is more to be said. */
#define ANSWERS 3

/* One end: the client's or the server's. */
struct end {
	const char *name;
	int fd;
	SSL *ssl;         /* NULL: plain */
	unsigned updates; /* key updates that have come */
	int alert;        /* the last that has come; -1: none */
	uint32_t in, out; /* where the two streams are */
	bool updating;    /* asks for keys, and takes new ones, in bulk */
	bool good;
	size_t bulk;
};

static struct {
	bool client_tls, server_tls;
	uint16_t proxy, port;
	const char *pem;
	const char *suite;
	int version;
	long legs;
	size_t bulk;
	bool rekeys;
	bool asks;    /* for TLS, as PostgreSQL does */
	size_t early; /* bytes of the client's, behind its handshake */
	SSL_CTX *client, *server;
	int listening;
	bool bad;
} peer = { .legs = -1, .version = TLS1_3_VERSION, .bulk = 4 << 20 };

static void say(bool good, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
say(bool good, const char *fmt, ...)
{
	va_list ap;

	(void)printf("%s %s client, %s server: ", good ? "ok " : "bad",
	    peer.client_tls ? "TLS" : "plain",
	    peer.server_tls ? "TLS" : "plain");
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)putchar('\n');
	(void)fflush(stdout);
	peer.bad = peer.bad || !good;
}

static void
give_up(const char *what)
{
	say(false, "%s: %s", what, strerror(errno));
	ERR_print_errors_fp(stderr);
	exit(1);
}

/*
 * Ends.
 */

/* The bytes of a stream: any place of it tells its value. */
static uint8_t
stream_byte(uint32_t at)
{
	return (uint8_t)(at * 2654435761u >> 24);
}

static void
on_message(int sent, int version, int type, const void *bytes, size_t len,
    SSL *ssl, void *arg)
{
	struct end *e = arg;
	const uint8_t *b = bytes;

	(void)version;
	(void)ssl;
	if (sent != 0)
		return;
	if (type == SSL3_RT_HANDSHAKE && len > 0 && b[0] == SSL3_MT_KEY_UPDATE)
		e->updates++;
	if (type == SSL3_RT_ALERT && len == 2)
		e->alert = b[1];
}

static int
tcp_socket(void)
{
	const struct timeval limit = { .tv_sec = SECONDS };
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd == -1)
		give_up("socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static struct sockaddr_in
loopback(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons(port) };

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return at;
}

static void
end_secure(struct end *e, SSL_CTX *ctx)
{
	e->ssl = SSL_new(ctx);
	if (e->ssl == NULL || SSL_set_fd(e->ssl, e->fd) != 1)
		give_up("SSL_new");
	SSL_set_msg_callback(e->ssl, on_message);
	SSL_set_msg_callback_arg(e->ssl, e);
}

static bool put(struct end *e, size_t len);
static bool put_bytes(struct end *e, const uint8_t *bytes, size_t len);
static bool get_bytes(struct end *e, const uint8_t *bytes, size_t len);

/*
 * PostgreSQL, as far as dbtls follows it.
 */

static const uint8_t ssl_request[] = { 0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f };
static const uint8_t ssl_answer[] = { 'S' };
static const uint8_t startup[] = { 0, 0, 0, 16, 0, 3, 0, 0, 'u', 's', 'e', 'r',
	'\0', 'a', '\0', '\0' };
/* AuthenticationOk, ReadyForQuery */
static const uint8_t welcome[] = { 'R', 0, 0, 0, 8, 0, 0, 0, 0, 'Z', 0, 0, 0, 5,
	'I' };

static bool
client_asks(struct end *e)
{
	return put_bytes(e, ssl_request, sizeof(ssl_request)) &&
	    get_bytes(e, ssl_answer, sizeof(ssl_answer));
}

static bool
server_answers(struct end *e)
{
	return get_bytes(e, ssl_request, sizeof(ssl_request)) &&
	    put_bytes(e, ssl_answer, sizeof(ssl_answer));
}

/*
 * Sessions begin.
 */

static void *
client_shake(void *arg)
{
	struct end *e = arg;
	size_t n, left;

	if (peer.asks && peer.client_tls && !client_asks(e))
		give_up("the client's SSLRequest");
	if (peer.client_tls)
		end_secure(e, peer.client);
	if (e->ssl != NULL && SSL_connect(e->ssl) != 1)
		give_up("the client's handshake");
	if (peer.asks)
		e->good = put_bytes(e, startup, sizeof(startup));
	for (left = peer.early; left > 0 && e->good; left -= n) {
		n = left < PIECE ? left : PIECE;
		e->good = put(e, n);
	}
	if (peer.asks && !get_bytes(e, welcome, sizeof(welcome)))
		give_up("the client's log-in");
	return NULL;
}

static void
server_shake(struct end *e)
{
	if (peer.asks && peer.server_tls && !server_answers(e))
		give_up("the server's SSLRequest");
	if (peer.server_tls) {
		end_secure(e, peer.server);
		if (SSL_accept(e->ssl) != 1)
			give_up("the server's handshake");
	}
	if (peer.asks &&
	    (!get_bytes(e, startup, sizeof(startup)) ||
		!put_bytes(e, welcome, sizeof(welcome))))
		give_up("the server's log-in");
}

static void
open_session(struct end *c, struct end *s)
{
	struct sockaddr_in at = loopback(peer.proxy);
	const struct timeval limit = { .tv_sec = SECONDS };
	pthread_t thread;

	*c = (struct end){ .name = "client", .alert = -1, .good = true };
	*s = (struct end){ .name = "server", .alert = -1, .good = true };
	c->fd = tcp_socket();
	if (connect(c->fd, (struct sockaddr *)&at, sizeof(at)) == -1)
		give_up("connect");
	if (pthread_create(&thread, NULL, client_shake, c) != 0)
		give_up("thread");
	if ((s->fd = accept(peer.listening, NULL, NULL)) == -1)
		give_up("accept");
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	server_shake(s);
	(void)pthread_join(thread, NULL);
}

static void
end_free(struct end *e)
{
	SSL_free(e->ssl);
	if (e->fd != -1)
		(void)close(e->fd);
	e->ssl = NULL;
	e->fd = -1;
}

static void
close_session(struct end *c, struct end *s)
{
	end_free(c);
	end_free(s);
}

/* How many were sent; 0 if none could be. */
static size_t
end_write(struct end *e, const uint8_t *bytes, size_t len)
{
	size_t done = 0;
	ssize_t n;

	if (e->ssl != NULL)
		return SSL_write_ex(e->ssl, bytes, len, &done) == 1 ? done : 0;
	n = send(e->fd, bytes, len, MSG_NOSIGNAL);
	return n > 0 ? (size_t)n : 0;
}

enum how {
	HOW_DATA = 0,
	HOW_ENDED,     /* in order */
	HOW_TRUNCATED, /* a reset, or no close_notify, or an alert */
};

static enum how
end_read(struct end *e, uint8_t *bytes, size_t cap, size_t *len)
{
	ssize_t n;

	*len = 0;
	if (e->ssl == NULL) {
		n = recv(e->fd, bytes, cap, 0);
		*len = n > 0 ? (size_t)n : 0;
		return n > 0 ? HOW_DATA : n == 0 ? HOW_ENDED : HOW_TRUNCATED;
	}
	ERR_clear_error();
	if (SSL_read_ex(e->ssl, bytes, cap, len) == 1)
		return HOW_DATA;
	return SSL_get_error(e->ssl, 0) == SSL_ERROR_ZERO_RETURN
	    ? HOW_ENDED
	    : HOW_TRUNCATED;
}

static bool
put_bytes(struct end *e, const uint8_t *bytes, size_t len)
{
	size_t n, done = 0;

	while (done < len) {
		if ((n = end_write(e, bytes + done, len - done)) == 0)
			return false;
		done += n;
	}
	return true;
}

/* These must come, and what is behind them is left. */
static bool
get_bytes(struct end *e, const uint8_t *bytes, size_t len)
{
	uint8_t got[PIECE];
	size_t n, done;

	for (done = 0; done < len; done += n) {
		if (end_read(e, got, len - done, &n) != HOW_DATA ||
		    memcmp(got, bytes + done, n) != 0)
			return false;
	}
	return true;
}

/* The next so many bytes of the stream. */
static bool
put(struct end *e, size_t len)
{
	uint8_t bytes[PIECE];
	size_t i;

	for (i = 0; i < len && i < sizeof(bytes); i++)
		bytes[i] = stream_byte(e->out + (uint32_t)i);
	if (!put_bytes(e, bytes, len))
		return false;
	e->out += (uint32_t)len;
	return true;
}

/* They must come, and be those that were sent. */
static bool
get(struct end *e, size_t len)
{
	uint8_t bytes[PIECE];
	size_t i, n;

	for (; len > 0; len -= n) {
		if (end_read(e, bytes, len < PIECE ? len : PIECE, &n) !=
		    HOW_DATA)
			return false;
		for (i = 0; i < n; i++, e->in++) {
			if (bytes[i] != stream_byte(e->in))
				return false;
		}
	}
	return true;
}

static bool
update(struct end *e, int asks)
{
	return e->ssl == NULL || SSL_version(e->ssl) != TLS1_3_VERSION ||
	    SSL_key_update(e->ssl, asks) == 1;
}

/* One each way. */
static bool
trip(struct end *c, struct end *s, size_t len)
{
	return put(c, len) && get(s, len) && put(s, len) && get(c, len);
}

/*
 * What the kernel says.
 */

static long
tls_stat(const char *name)
{
	char line[128], word[64];
	long value, found = -1;
	FILE *f = fopen("/proc/net/tls_stat", "re");

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%63s %ld", word, &value) == 2 &&
		    strcmp(word, name) == 0)
			found = value;
	}
	(void)fclose(f);
	return found;
}

static bool
stat_becomes(const char *name, long want)
{
	unsigned tries;

	for (tries = 0; tries < SECONDS * 100; tries++) {
		if (tls_stat(name) == want)
			return true;
		(void)poll(NULL, 0, 10);
	}
	return false;
}

/*
 * Sessions.
 */

static void
small_messages(void)
{
	struct end c, s;
	unsigned i;
	bool good = true;

	open_session(&c, &s);
	for (i = 0; i < TRIPS && good; i++)
		good = trip(&c, &s, 1 + i * 37 % 3000);
	say(good, "%u small messages each way", i);
	if (peer.legs >= 0) {
		good = stat_becomes("TlsCurrTxSw", peer.legs) &&
		    stat_becomes("TlsCurrRxSw", peer.legs);
		say(good, "the kernel has the records of %ld legs (%ld, %ld)",
		    peer.legs, tls_stat("TlsCurrTxSw"),
		    tls_stat("TlsCurrRxSw"));
	}
	close_session(&c, &s);
	good = stat_becomes("TlsCurrTxSw", 0) && stat_becomes("TlsCurrRxSw", 0);
	if (peer.legs >= 0)
		say(good, "and of none once the session has ended");
}

static void *bulk_write(void *arg);

/* Before the session is relayed: what waits, half a record too, is not lost
 * when the kernel takes over behind it. */
static void
speaks_at_once(bool client)
{
	struct end c, s;
	struct end *first = client ? &c : &s;
	struct end *second = client ? &s : &c;
	pthread_t thread = 0;
	bool good;

	peer.early = client ? EARLY : 0;
	open_session(&c, &s);
	peer.early = 0;
	first->bulk = EARLY;
	if (!client && pthread_create(&thread, NULL, bulk_write, first) != 0)
		give_up("thread");
	good = get(second, EARLY) && first->good;
	if (!client)
		(void)pthread_join(thread, NULL);
	good = trip(&c, &s, 1000) && good;
	say(good, "the %s speaks at once", first->name);
	if (peer.legs >= 0)
		say(stat_becomes("TlsCurrTxSw", peer.legs),
		    "and the kernel has the records after that");
	close_session(&c, &s);
}

static void
key_updates(void)
{
	static const int asks[] = { SSL_KEY_UPDATE_NOT_REQUESTED,
		SSL_KEY_UPDATE_REQUESTED };
	struct end c, s;
	bool good = true;
	unsigned i;

	open_session(&c, &s);
	good = trip(&c, &s, 100);
	for (i = 0; i < 8 && good; i++)
		good = update(&c, asks[i % 2]) && update(&s, asks[i / 2 % 2]) &&
		    trip(&c, &s, 1000 + i);
	say(good, "new keys from both peers, asked for and not");
	if (peer.server_tls && peer.version == TLS1_3_VERSION)
		say(s.updates >= ANSWERS, "the server is answered (%u)",
		    s.updates);
	if (peer.client_tls && peer.version == TLS1_3_VERSION)
		say(c.updates >= ANSWERS, "the client is answered (%u)",
		    c.updates);
	/* Two at once, and the answer to either is one. */
	good = update(&s, SSL_KEY_UPDATE_REQUESTED) && put(&s, 10) &&
	    update(&s, SSL_KEY_UPDATE_REQUESTED) && put(&s, 10) &&
	    get(&c, 20) && trip(&c, &s, 20);
	say(good, "two in a row");
	close_session(&c, &s);
}

static void
tickets(void)
{
	struct end c, s;
	bool good = true;
	unsigned i;

	if (!peer.server_tls || peer.version != TLS1_3_VERSION)
		return;
	open_session(&c, &s);
	for (i = 0; i < 4 && good; i++)
		good = SSL_new_session_ticket(s.ssl) == 1 && trip(&c, &s, 500);
	say(good, "tickets in the midst of it");
	close_session(&c, &s);
}

static void *
bulk_write(void *arg)
{
	struct end *e = arg;
	size_t left = e->bulk, n;
	unsigned pieces = 0;

	for (; left > 0 && e->good; left -= n) {
		n = left < PIECE ? left : PIECE;
		if (e->updating && ++pieces % UPDATE_EACH == 0)
			e->good = update(e, SSL_KEY_UPDATE_NOT_REQUESTED);
		e->good = e->good && put(e, n);
	}
	return NULL;
}

/* One direction at a time, because one SSL is not for two threads. */
static bool
bulk_one(struct end *from, struct end *to, size_t len)
{
	pthread_t thread;
	bool good;

	from->bulk = len;
	if (pthread_create(&thread, NULL, bulk_write, from) != 0)
		give_up("thread");
	good = get(to, len);
	if (!good)
		(void)shutdown(from->fd, SHUT_RDWR);
	(void)pthread_join(thread, NULL);
	return good && from->good;
}

static void
bulk(void)
{
	struct end c, s;

	open_session(&c, &s);
	c.updating = s.updating = true;
	say(bulk_one(&c, &s, peer.bulk), "%zu bytes to the server", peer.bulk);
	say(bulk_one(&s, &c, peer.bulk), "%zu bytes to the client", peer.bulk);
	if (peer.rekeys && peer.version == TLS1_3_VERSION) {
		if (peer.server_tls)
			say(s.updates > 0,
			    "dbtls takes new keys by itself, "
			    "toward the server (%u)",
			    s.updates);
		if (peer.client_tls)
			say(c.updates > 0,
			    "dbtls takes new keys by itself, "
			    "toward the client (%u)",
			    c.updates);
	}
	say(trip(&c, &s, 77), "and small messages after it");
	close_session(&c, &s);
}

/* Many bytes for one that does not read, until no more are taken for a while;
 * then it reads, and asks for a key besides. */
static void
blocked_one(struct end *from, struct end *to)
{
	int buffer = 64 * 1024;
	struct pollfd p = { .fd = from->fd, .events = POLLOUT };
	size_t sent = 0;
	bool good = true;

	(void)setsockopt(to->fd, SOL_SOCKET, SO_RCVBUF, &buffer,
	    sizeof(buffer));
	while (
	    good && sent < (size_t)64 << 20 && poll(&p, 1, BLOCKED_MS) == 1) {
		good = put(from, 4096);
		sent += 4096;
	}
	good = good && update(to, SSL_KEY_UPDATE_REQUESTED) && put(to, 9);
	good = good && get(to, sent) && get(from, 9) && trip(from, to, 50);
	say(good, "the %s does not read, and then does (%zu bytes)", to->name,
	    sent);
}

static void
blocked(void)
{
	struct end c, s;

	open_session(&c, &s);
	(void)trip(&c, &s, 10);
	blocked_one(&c, &s);
	close_session(&c, &s);
	open_session(&c, &s);
	(void)trip(&c, &s, 10);
	blocked_one(&s, &c);
	close_session(&c, &s);
}

/*
 * Ends.
 */

static void
end_close(struct end *e)
{
	if (e->ssl != NULL)
		(void)SSL_shutdown(e->ssl);
	(void)shutdown(e->fd, SHUT_WR);
}

static bool
ends(struct end *e, enum how how)
{
	uint8_t byte;
	size_t n;

	return end_read(e, &byte, 1, &n) == how;
}

/* The first says good-bye behind a lot of bytes, the second goes on, and says
 * it later. */
static void
ends_in_order(bool client_first)
{
	struct end c, s;
	struct end *first = client_first ? &c : &s;
	struct end *second = client_first ? &s : &c;
	pthread_t thread;
	bool good;

	open_session(&c, &s);
	good = trip(&c, &s, 10);
	first->bulk = peer.bulk / 4;
	if (pthread_create(&thread, NULL, bulk_write, first) != 0)
		give_up("thread");
	good = get(second, first->bulk) && good;
	(void)pthread_join(thread, NULL);
	end_close(first);
	good = ends(second, HOW_ENDED) && good;
	say(good, "the %s ends in order", first->name);
	/* OpenSSL reads on after it has said good-bye. */
	good = put(second, 3000) && get(first, 3000);
	end_close(second);
	good = ends(first, HOW_ENDED) && good;
	say(good, "the %s goes on, and ends in order after it", second->name);
	close_session(&c, &s);
}

/* All at once, behind a peer that reads late: what was said last must not be
 * lost, nor the good-bye overtaken by the FIN. */
static void
ends_behind_much(bool client_first)
{
	struct end c, s;
	struct end *first = client_first ? &c : &s;
	struct end *second = client_first ? &s : &c;
	pthread_t thread;
	bool good;

	open_session(&c, &s);
	good = trip(&c, &s, 10);
	first->bulk = peer.bulk / 2;
	if (pthread_create(&thread, NULL, bulk_write, first) != 0)
		give_up("thread");
	(void)poll(NULL, 0, BLOCKED_MS);
	/* The other says good-bye first, so that all ends with the last. */
	end_close(second);
	good = get(second, first->bulk - 1) && good;
	(void)pthread_join(thread, NULL);
	end_close(first);
	good = get(second, 1) && ends(second, HOW_ENDED) && good;
	good = ends(first, HOW_ENDED) && good;
	say(good, "the %s ends in order behind much", first->name);
	close_session(&c, &s);
}

/* With the last of its data the client fills what dbtls reads at once, but for
 * one byte: that is no reason to take half of its good-bye for something else.
 */
static void
ends_where_room_is_short(void)
{
	static const int on = 1;
	struct end c, s;
	bool good;

	open_session(&c, &s);
	if (peer.legs >= 0)
		(void)stat_becomes("TlsCurrRxSw", peer.legs);
	(void)setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
	good = put(&c, FIRST_READ - 1);
	end_close(&c);
	good = get(&s, FIRST_READ - 1) && ends(&s, HOW_ENDED) && good;
	end_close(&s);
	good = ends(&c, HOW_ENDED) && good;
	say(good, "the client ends one byte before dbtls has read enough");
	close_session(&c, &s);
}

static void
truncated(bool by_client)
{
	struct end c, s;
	struct end *cuts = by_client ? &c : &s;
	struct end *sees = by_client ? &s : &c;
	bool good;

	if (!(by_client ? peer.client_tls : peer.server_tls))
		return;
	open_session(&c, &s);
	good = trip(&c, &s, 10) && put(cuts, 5000) && get(sees, 5000);
	(void)shutdown(cuts->fd, SHUT_WR); /* and no close_notify */
	good = ends(sees, HOW_TRUNCATED) && good;
	say(good, "the %s stops without close_notify: not taken for an end",
	    cuts->name);
	close_session(&c, &s);
}

/* Bytes that no key has sealed. */
static void
wrong_record(bool by_client)
{
	static const uint8_t record[] = { 23, 3, 3, 0, 32, 1, 2, 3, 4, 5, 6, 7,
		8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
		24, 25, 26, 27, 28, 29, 30, 31, 32 };
	struct end c, s;
	struct end *cheats = by_client ? &c : &s;
	struct end *sees = by_client ? &s : &c;
	bool good;

	if (!(by_client ? peer.client_tls : peer.server_tls))
		return;
	open_session(&c, &s);
	good = trip(&c, &s, 10);
	good = send(cheats->fd, record, sizeof(record), MSG_NOSIGNAL) ==
		(ssize_t)sizeof(record) &&
	    good;
	good = ends(sees, HOW_TRUNCATED) && good;
	say(good, "a record of the %s's that is wrong ends it", cheats->name);
	(void)ends(cheats, HOW_TRUNCATED);
	say(cheats->alert == SSL_AD_BAD_RECORD_MAC,
	    "and the %s is told so (alert %d)", cheats->name, cheats->alert);
	close_session(&c, &s);
}

/*
 * All of it.
 */

static SSL_CTX *
context(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL ||
	    SSL_CTX_set_min_proto_version(ctx, peer.version) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, peer.version) != 1 ||
	    (peer.suite != NULL &&
		SSL_CTX_set_ciphersuites(ctx, peer.suite) != 1))
		give_up("context");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	return ctx;
}

static void
listen_at(uint16_t port)
{
	struct sockaddr_in at = loopback(port);

	peer.listening = tcp_socket();
	if (bind(peer.listening, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    listen(peer.listening, 8) == -1)
		give_up("listen");
}

static long
number(const char *word)
{
	char *end;
	long n = strtol(word, &end, 10);

	if (*word == '\0' || *end != '\0' || n < 0 || n > UINT16_MAX)
		exit(2);
	return n;
}

static void
options(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "c:s:p:l:k:u:v:n:m:ra")) != -1) {
		switch (o) {
		case 'c':
			peer.client_tls = strcmp(optarg, "tls") == 0;
			break;
		case 's':
			peer.server_tls = strcmp(optarg, "tls") == 0;
			break;
		case 'p':
			peer.proxy = (uint16_t)number(optarg);
			break;
		case 'l':
			peer.port = (uint16_t)number(optarg);
			break;
		case 'k':
			peer.pem = optarg;
			break;
		case 'u':
			peer.suite = optarg;
			break;
		case 'v':
			peer.version = TLS1_2_VERSION;
			break;
		case 'n':
			peer.legs = number(optarg);
			break;
		case 'm':
			peer.bulk = (size_t)number(optarg) << 20;
			break;
		case 'r':
			peer.rekeys = true;
			break;
		case 'a':
			peer.asks = true;
			break;
		default:
			exit(2);
		}
	}
}

int
main(int argc, char **argv)
{
	options(argc, argv);
	(void)signal(SIGPIPE, SIG_IGN);
	peer.client = context(TLS_client_method());
	peer.server = context(TLS_server_method());
	if (SSL_CTX_use_certificate_chain_file(peer.server, peer.pem) != 1 ||
	    SSL_CTX_use_PrivateKey_file(peer.server, peer.pem,
		SSL_FILETYPE_PEM) != 1)
		give_up("certificate");
	listen_at(peer.port);
	small_messages();
	speaks_at_once(true);
	speaks_at_once(false);
	key_updates();
	tickets();
	bulk();
	blocked();
	ends_in_order(true);
	ends_in_order(false);
	ends_behind_much(true);
	ends_behind_much(false);
	ends_where_room_is_short();
	truncated(true);
	truncated(false);
	wrong_record(true);
	wrong_record(false);
	(void)close(peer.listening);
	SSL_CTX_free(peer.client);
	SSL_CTX_free(peer.server);
	return peer.bad ? 1 : 0;
}
