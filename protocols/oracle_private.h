/*
 * oracle_private.h - what the parts of engine `oracle` share
 *
 * oracle.c brings a session to where the client's CONNECT is known,
 * oracle_server.c from there to the relay, and oracle_refuse.c to its end;
 * oracle_hello.c has what `dbtls test` says in a client's place, and
 * oracle_words.c what a server meant.
 */
#ifndef PROTOCOLS_ORACLE_PRIVATE_H
#define PROTOCOLS_ORACLE_PRIVATE_H

#include "protocols/negotiator.h"
#include "protocols/tns.h"

/* Not only a packet, but room to say CONNECT twice before any of it has left:
 * a server that asks for it again does not wait for that. */
#define ORACLE_WINDOW (2 * TNS_CONNECT_MAX)
_Static_assert(ORACLE_WINDOW >= TNS_PACKET_MAX, "a packet fits");
#define ORACLE_ADDRESS_MAX 4096u /* of a REDIRECT, in bytes */

struct oracle_options {
	struct neg_hosts redirect_allow;
	bool sni;
};

enum oracle_at {
	AT_CONNECT = 0, /* the client's first packet, or its TLS */
	AT_CLIENT_TLS,
	AT_CONNECT_DATA, /* what did not fit into it */
	AT_GARBLED,      /* it makes no sense to us, nor would we to it */
	AT_CONNECTING,
	AT_SERVER_TLS,
	AT_ANSWER,
	AT_REDIRECT_DATA, /* what did not fit into REDIRECT */
	AT_TOLD,          /* the client has been told why not */
};

struct oracle {
	enum oracle_at at;
	bool refusing; /* the client is only to be told why not */
	unsigned redirects;
	unsigned resends; /* of the server that is connected to */
	size_t said;      /* since it was, or its TLS began, in bytes */
	size_t said_once; /* by one CONNECT */
	size_t missing;   /* what DATA packets have still to bring, in bytes */

	/* CONNECT. */
	uint8_t head[TNS_CONNECT_HEAD_MAX];
	size_t head_len;
	uint8_t data[TNS_CONNECT_DATA_MAX];
	size_t data_len;
	bool in_packet;

	/* REDIRECT: its address, and if it has data for CONNECT too, both
	 * together where the old data were. */
	uint8_t address[ORACLE_ADDRESS_MAX];
	size_t address_len;
	bool both;
	char host[NEG_HOST_MAX];

	char sni[TNS_SNI_MAX + 1];
};

struct rd oracle_data(const struct oracle *s);
struct rd oracle_head(const struct oracle *s);
bool oracle_append(uint8_t *to, size_t cap, size_t *len, struct rd bytes);

/* Overwrites what is kept of CONNECT's data behind its first bytes. */
void oracle_forget(struct oracle *s, size_t keep);

/* One DATA packet of something that is s->missing bytes short; its payload is
 * appended.  Bad if it is another packet, or has nothing or too much. */
enum tns_arrival oracle_collect(struct negotiator *n, enum leg_id from,
    uint8_t *to, size_t cap, size_t *len);

/* From AT_CONNECTING to AT_REDIRECT_DATA. */
struct verdict oracle_step_connecting(struct negotiator *n);
struct verdict oracle_step_server_tls(struct negotiator *n);
struct verdict oracle_step_answer(struct negotiator *n);
struct verdict oracle_step_redirect_data(struct negotiator *n);

/* Before CONNECT is known whole; also while refusing. */
struct verdict oracle_step_connect(struct negotiator *n);
struct verdict oracle_step_connect_data(struct negotiator *n);
struct verdict oracle_step_client_tls(struct negotiator *n);

/* CONNECT is known, and the client is only to be told. */
struct verdict oracle_tell(struct negotiator *n);
struct verdict oracle_refuse(struct negotiator *n);

/* For `dbtls test`. */
#define ORACLE_PING_LEN 117u
extern const uint8_t oracle_ping[ORACLE_PING_LEN + 1]; /* and a NUL */
const char *oracle_ask(const struct neg_ask *a, struct wr *hello);
extern const struct neg_words oracle_words;

#endif /* PROTOCOLS_ORACLE_PRIVATE_H */
