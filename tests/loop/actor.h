/*
 * actor.h - one end of a connection, which does what its script says
 *
 * Clients and servers of the loop tests are both actors: a blocking socket,
 * perhaps with OpenSSL on it, and a list of steps.  None of it shares code
 * with the program.  A step that the other side does not let happen ends the
 * script; what an actor got until then is kept, in the clear and in TLS apart.
 */
#ifndef TESTS_LOOP_ACTOR_H
#define TESTS_LOOP_ACTOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

/* Nothing here takes so long; who waits longer has been left hanging. */
#define PATIENCE_SECONDS 20

struct actor;

enum act {
	DO_END = 0, /* closes the socket, without close_notify */
	DO_SEND,
	DO_DRIBBLE, /* sends byte by byte, each in a segment of its own */
	DO_RECEIVE, /* exactly `len` bytes */
	DO_LISTEN,  /* receives something */
	DO_ANSWER,  /* receives one byte that must be *bytes, and forgets it */
	DO_MESSAGE, /* receives a message of length and body, as a startup */
	DO_TLS,     /* once more: anew, without a word about the first */
	DO_BYE,     /* ends our direction: close_notify, FIN */
	DO_FIN,     /* a FIN alone */
	DO_RESET,   /* closes with a reset */
	DO_DRAIN,   /* receives until the other side ends */
	DO_ECHO,    /* the same, and sends it back */
	DO_CALL,
};

struct step {
	enum act act;
	const char *bytes;
	size_t len;
	bool (*call)(struct actor *a); /* false ends the script */
};
#define STEPS_MAX 14

#define SEND(s)                                                    \
	{                                                          \
		.act = DO_SEND, .bytes = (s), .len = sizeof(s) - 1 \
	}
#define DRIBBLE(s)                                                    \
	{                                                             \
		.act = DO_DRIBBLE, .bytes = (s), .len = sizeof(s) - 1 \
	}
#define RECEIVE(n)                            \
	{                                     \
		.act = DO_RECEIVE, .len = (n) \
	}
#define LISTEN                   \
	{                        \
		.act = DO_LISTEN \
	}
#define ANSWER(s)                              \
	{                                      \
		.act = DO_ANSWER, .bytes = (s) \
	}
#define MESSAGE                   \
	{                         \
		.act = DO_MESSAGE \
	}
#define TLS                   \
	{                     \
		.act = DO_TLS \
	}
#define BYE                   \
	{                     \
		.act = DO_BYE \
	}
#define FIN                   \
	{                     \
		.act = DO_FIN \
	}
#define RESET                   \
	{                       \
		.act = DO_RESET \
	}
#define DRAIN                   \
	{                       \
		.act = DO_DRAIN \
	}
#define ECHO                   \
	{                      \
		.act = DO_ECHO \
	}
#define CALL(f)                             \
	{                                   \
		.act = DO_CALL, .call = (f) \
	}

/* How an actor's connection came to its end, as that actor saw it. */
enum ending {
	ENDING_NONE = 0, /* it did not: we left first */
	ENDING_FIN,
	ENDING_BYE, /* close_notify */
	ENDING_RESET,
	ENDING_FAILED, /* TLS went wrong */
	ENDING_HUNG,   /* nothing came for too long */
};

struct bytes {
	uint8_t *at;
	size_t len;
	size_t cap;
};
void bytes_add(struct bytes *b, const void *more, size_t len);
void bytes_free(struct bytes *b);
bool bytes_have(const struct bytes *b, const char *text, size_t len);

struct actor {
	int fd;
	SSL_CTX *ctx; /* NULL: DO_TLS cannot be done */
	bool server;
	const char *alpn; /* a client's offer, NULL: none */
	SSL *ssl;         /* once in TLS */
	struct bytes clear;
	struct bytes sealed;
	enum ending ending;
	size_t done;         /* steps */
	atomic_size_t *sent; /* bytes, for others to watch; NULL: nobody does */
	void *arg;           /* for DO_CALL */
};

/* Takes `fd`; plays `steps` up to DO_END; closes. */
void actor_play(struct actor *a, const struct step *steps);
void actor_fini(struct actor *a);

/* For DO_CALL. */
bool actor_send(struct actor *a, const void *bytes, size_t len);
/* 0: the other side has ended, or worse; see a->ending. */
size_t actor_receive(struct actor *a, void *bytes, size_t max);

/* The certificate `name` of tests/certs.sh. */
SSL_CTX *server_context(const char *name);
/* Believes everything; shows nothing if `name` is NULL. */
SSL_CTX *client_context(const char *name);

#endif /* TESTS_LOOP_ACTOR_H */
