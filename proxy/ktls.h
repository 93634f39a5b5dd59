/*
 * ktls.h - TLS in the kernel: what its sockets are told, and what they say
 *
 * Linux seals what is sent on such a socket and opens what comes; whoever holds
 * it deals in plaintext, and in the type that each record had.  Both directions
 * or none, TLS 1.3 only, and only on a kernel that can be given the next key
 * later (6.14 and newer): a KeyUpdate must not be the end of a session.
 *
 * The keys are struct tls' affair; here they are bytes that are passed on and
 * wiped.  Nothing here decides anything about a session.
 */
#ifndef PROXY_KTLS_H
#define PROXY_KTLS_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/tls_records.h"

#define KTLS_WHY_MAX 160

/* What this kernel can do, found out by doing it. */
struct ktls_support {
	unsigned suites; /* TLS_KERNEL() of each that works (tls.h) */
	/* That is none: a sentence that goes on from nothing. */
	char why[KTLS_WHY_MAX];
};
/* Takes a few milliseconds, and binds to loopback for as long. */
void ktls_probe(struct ktls_support *s);
/* "AES-128-GCM, ChaCha20-Poly1305" */
#define KTLS_SUITES_MAX 64
const char *ktls_suites_text(unsigned suites, char text[KTLS_SUITES_MAX]);

struct ktls_suite;

/* A socket that has been given to the kernel.  What it has sent is counted. */
struct ktls {
	int fd;
	const struct ktls_suite *suite;
	uint64_t tcp_before; /* bytes that TCP had been given before that */
	uint64_t plain;      /* bytes given to be sealed, of any type */
	uint64_t sealed;     /* records under keys that are no more */
	uint64_t first;      /* the number of the present key's first record */
};

enum ktls_result {
	KTLS_DONE = 0,
	KTLS_UNCHANGED, /* the socket is as it was */
	KTLS_BROKEN,    /* it is of no use any more */
};

/* What is sent from here on is sealed, and what is received opened: nothing
 * may be on its way to the socket, nor read from it and not opened. */
enum ktls_result ktls_arm(struct ktls *k, int fd,
    const struct records_kernel_key *receive,
    const struct records_kernel_key *send) __attribute__((warn_unused_result));
/* The next key of one direction. */
bool ktls_receive_key(const struct ktls *k,
    const struct records_kernel_key *key) __attribute__((warn_unused_result));
bool ktls_send_key(struct ktls *k, const struct records_kernel_key *key)
    __attribute__((warn_unused_result));

/* Application data, as send() has it: how much was taken, or -1. */
ssize_t ktls_send(struct ktls *k, const uint8_t *bytes, size_t len);
/* One record of another type; all of it was taken, or -1 and none. */
int ktls_send_record(struct ktls *k, uint8_t type, const uint8_t *bytes,
    size_t len);

/*
 * As recv() has it, and of what type that was: many records of application
 * data, or one of another type (the rest of which comes next, if it is longer
 * than `cap`).  0 bytes of KTLS_EOF: the peer's FIN.
 */
#define KTLS_EOF  0
#define KTLS_DATA 23
ssize_t ktls_receive(const struct ktls *k, uint8_t *bytes, size_t cap,
    uint8_t *type);

/* After a record that could not be opened the kernel refuses to send, until
 * it has been asked why. */
void ktls_forgive(const struct ktls *k);

/* How many records were sealed with the present key.  False: the kernel does
 * not say. */
bool ktls_sealed(const struct ktls *k, uint64_t *records);

/* Has all that was given to be sealed gone to TCP?  The kernel sends what it
 * has sealed in its own time, and a FIN would overtake it. */
bool ktls_flushed(const struct ktls *k);

#endif /* PROXY_KTLS_H */
