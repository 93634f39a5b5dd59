/*
 * toy.h - a protocol that wakes, as small as it can be
 *
 * A message is its length in two bytes, itself included, a byte that says what
 * it is, and the rest.  The server speaks first:
 *
 *	server  HELLO
 *	client  ASK_TLS, and TLS; or not
 *	client  LOGIN, and from here on it is a relay
 *	client  WAKE    comes to the server as WOKEN; the server's next Y, or N,
 *	                is the answer: Y comes to the client as y, at N it is
 *	                refused
 *	client  NUDGE   comes to the server as NUDGED, and that was all
 *
 * A server's TLS comes before all that.  One of toy_that_moves may say besides,
 * in the place of its HELLO:
 *
 *	server  AGAIN   TLS begins anew on the same socket, with the SNI TOY_SNI
 *	server  MOVE    a port in two bytes and a host: all begins anew, there
 *
 * Of toy_of_members each listen address stands for a server:
 *
 *	server  MEMBERS comes to the client as TOLD, with what was in it, and
 *	                then which of them it has come to, and of how many
 *	server  WHERE   comes to the client as HERE, with its listen address
 *	                and the port and the host of its server
 */
#ifndef TESTS_LOOP_TOY_H
#define TESTS_LOOP_TOY_H

#include <stdatomic.h>

#include "protocols/negotiator.h"

#define TOY_HELLO   "\0\6Hhoy"
#define TOY_ASK_TLS "\0\3T"
#define TOY_LOGIN   "\0\11Lcanary"
#define TOY_QUERY   "\0\5Qab"
#define TOY_WAKE    "\0\6Wxyz"
#define TOY_WOKEN   "\0\6wxyz"
#define TOY_NUDGE   "\0\4N1"
#define TOY_NUDGED  "\0\4n1"
#define TOY_AGAIN   "\0\3A"
#define TOY_MOVE    'M'
#define TOY_IN      "\0\3O" /* a server's answer to LOGIN, and a message */
#define TOY_MEMBERS "\0\4M1"
#define TOY_TOLD    "\0\6m101" /* the first of one */
#define TOY_WHERE   "\0\3P"
#define TOY_HERE    "p"
/* Before a message with the reason. */
#define TOY_REFUSAL "E"

extern const struct neg_ops toy;
/* Its peers end TLS without close_notify. */
extern const struct neg_ops toy_without_goodbye;
/* Dials once the client has stayed a while, or an hour. */
extern const struct neg_ops toy_that_waits;
extern const struct neg_ops toy_that_waits_long;
#define TOY_WAITS_MS 50
/* Its servers may send clients on to `localhost`, and to 127.0.0.3. */
extern const struct neg_ops toy_that_moves;
#define TOY_SNI "again.test"
/* Its units are taken, and its listen addresses stand for servers. */
extern const struct neg_ops toy_of_members;
/* How often such a dial was asked for. */
extern atomic_uint toy_dials;

#endif /* TESTS_LOOP_TOY_H */
