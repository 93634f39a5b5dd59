/*
 * test_probe.h - one server, reached and examined as a session would
 *
 * A probe walks the same road as a session: it resolves, connects, lets the
 * engine's negotiator ask for TLS, and has the certificate judged within the
 * handshake.  It stops before the first byte that would belong to a login.
 * Where the engine's servers may ask for another handshake, or send their
 * clients on, it asks what a client would, and goes along as a session does, to
 * where the server has accepted; the certificate that is told of is then the
 * last one.
 * Each step keeps what was seen and, where it failed, what to do about it;
 * what is about the certificate is told in full even if it was refused.
 *
 *	probe_ask()    test_ask.c: which service is asked for, if one is
 *	probe_run()    test_probe.c: how far it gets
 *	probe_judge()  test_judge.c: what the certificate says
 *	probe_print()  test_print.c: as lines, or as JSON
 */
#ifndef PROXY_COMMANDS_TEST_PROBE_H
#define PROXY_COMMANDS_TEST_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/certfile.h"
#include "conf/config.h"
#include "conf/err.h"
#include "conf/json.h"
#include "protocols/negotiator.h"
#include "proxy/tls.h"

enum probe_step {
	PROBE_RESOLVE = 0,
	PROBE_CONNECT,
	PROBE_NEGOTIATE,
	PROBE_HANDSHAKE,
	/* Of engines whose servers want to be asked more than once. */
	PROBE_AGAIN,    /* the same server wants TLS anew */
	PROBE_REDIRECT, /* another server is to be asked */
	PROBE_ANSWER,
	PROBE_IDENTITY,
	PROBE_CHAIN,
	PROBE_PIN,
	PROBE_NAMES,
	PROBE_EXPIRY,
};
#define PROBE_STEPS (PROBE_EXPIRY + 1)

enum probe_status {
	PROBE_SKIPPED = 0, /* not come so far, or of no interest here */
	PROBE_OK,
	PROBE_FAILED,
	PROBE_UNCHECKED, /* seen, and by the ssl mode of no consequence */
};

struct probe_result {
	enum probe_status status;
	bool timed;
	double seconds;
	char text[1024];
	char remedy[VERDICT_TEXT_MAX]; /* "": none to give */
};

#define PROBE_CERTS_MAX 16

struct probe {
	uint8_t hello[NEG_HELLO_MAX];
	size_t hello_len; /* 0: what the engine says of its own */

	const struct endpoint *endpoint;
	const struct server *server;
	const struct target *target; /* while it runs: of whom it is with */
	enum reason reason; /* of the first failure; REASON_NONE: all is well */
	struct probe_result steps[PROBE_STEPS];
	char warning[VERDICT_TEXT_MAX];

	char address[ADDRESS_TEXT_MAX]; /* "": not connected */
	bool secured;                   /* a handshake came to an end: */
	char version[16];
	char cipher[64];
	char group[32];
	char alpn[64];
	struct cert_facts certs[PROBE_CERTS_MAX]; /* as they were sent */
	size_t ncerts;
	size_t ncerts_left_out;
	char *pem; /* the same; NULL: none */
};

/* A service, by its name or its SID: the other is NULL. */
struct probe_service {
	const char *service;
	const char *sid;
};
/* Before probe_run(): what is said of the place is that of the server.  -1 with
 * `err` if there can be no such service, or none at all of this engine. */
int probe_ask(struct probe *p, const struct probe_service *wanted,
    const struct endpoint *e, size_t server, struct err *err)
    __attribute__((warn_unused_result));

/* Never fails but to report; the loop is its own. */
void probe_run(struct probe *p, const struct config *c,
    const struct endpoint *e, size_t server);
void probe_fini(struct probe *p);

/* Fills in what follows a handshake that came as far as the certificate. */
void probe_judge(struct probe *p, const struct tls *t);

void probe_print(const struct probe *p);
void probe_print_json(const struct probe *p, struct json *j);

/* For the two that find things out. */
void probe_set(struct probe *p, enum probe_step step, enum probe_status status,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void probe_fail(struct probe *p, enum probe_step step, enum reason reason,
    const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

#endif /* PROXY_COMMANDS_TEST_PROBE_H */
