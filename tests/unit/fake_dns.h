/*
 * fake_dns.h - a nameserver of a few names, that misbehaves as it is told
 *
 * On a loopback port, UDP and TCP, on the loop of the test itself: nothing
 * happens but while the loop runs.
 */
#ifndef TESTS_UNIT_FAKE_DNS_H
#define TESTS_UNIT_FAKE_DNS_H

#include <event2/event.h>

#include "conf/endpoint.h"

enum fake_type {
	FAKE_A = 1,
	FAKE_CNAME = 5,
	FAKE_AAAA = 28
};
struct fake_record {
	const char *name;
	enum fake_type type;
	const char *value; /* an address, or a name */
	uint32_t ttl;
};

/* What it does to a question of one type. */
enum fake_manner {
	FAKE_ANSWERS = 0,
	FAKE_SILENT,
	FAKE_FAILS,     /* SERVFAIL */
	FAKE_TRUNCATES, /* over UDP */
	FAKE_BABBLES,   /* wrong ids, wrong questions and garbage come first */
	FAKE_CUTS,      /* the last byte is missing */
};

struct fake_dns;
struct fake_dns *fake_dns_new(struct event_base *base);
void fake_dns_free(struct fake_dns *f);
const struct address *fake_dns_address(const struct fake_dns *f);

/* The list is the caller's and may change at any time. */
void fake_dns_set(struct fake_dns *f, const struct fake_record *list, size_t n);
void fake_dns_behave(struct fake_dns *f, enum fake_type type,
    enum fake_manner manner);
unsigned fake_dns_asked(const struct fake_dns *f); /* over UDP */
unsigned fake_dns_asked_tcp(const struct fake_dns *f);
const char *fake_dns_last(const struct fake_dns *f); /* name asked for */

#endif /* TESTS_UNIT_FAKE_DNS_H */
