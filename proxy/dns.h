/*
 * dns.h - the two messages of DNS that finding a server's addresses takes
 *
 * Pure: a question is written, an answer is read, nothing else happens.  Why
 * we have our own: libevent's evdns takes its TTL from the address records
 * alone, so that a CNAME which is moved in a failover (Aurora's live for five
 * seconds) would be followed only when the old instance's address expires;
 * it cannot fall back to TCP when an answer is cut; and it asks nameservers
 * that were down for google.com.
 *
 * What an answer says is believed only where it belongs to the question: the
 * addresses of the name that was asked for, or of the name its CNAMEs lead to.
 */
#ifndef PROXY_DNS_H
#define PROXY_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes.h"

/* RFC 1035, section 3.1: labels, each after its length, and an empty one. */
#define DNS_NAME_MAX 255
struct dns_name {
	uint8_t labels[DNS_NAME_MAX]; /* in lower case */
	size_t len;
};

/* False if these are no labels of a name.  `suffix` NULL: host is the whole
 * name; else it is put behind host. */
bool dns_name_set(struct dns_name *name, const char *host, const char *suffix)
    __attribute__((warn_unused_result));

enum dns_type {
	DNS_A = 1,
	DNS_AAAA = 28
};

#define DNS_HEAD_LEN     12
#define DNS_TAIL_LEN     4 /* type and class */
#define DNS_QUESTION_MAX (DNS_HEAD_LEN + DNS_NAME_MAX + DNS_TAIL_LEN)
void dns_question_write(struct wr *w, uint16_t id, const struct dns_name *name,
    enum dns_type type);

enum dns_status {
	DNS_FOUND = 0,
	DNS_NO_DATA,   /* the name exists, but has no address of that type */
	DNS_NO_NAME,   /* NXDOMAIN */
	DNS_TRUNCATED, /* to be asked for over TCP */
	DNS_FAILED,    /* the nameserver could not or would not say */
	DNS_BROKEN,    /* the answer is no answer */
	DNS_NOT_OURS,  /* an answer, but to no question of ours */
	DNS_TIMED_OUT, /* these two never come from a message: see query.h */
	DNS_UNREACHABLE,
};

#define DNS_ADDRESSES_MAX 64
struct dns_answer {
	enum dns_status status;
	enum dns_type type;
	uint32_t ttl; /* seconds, the least of all records that led there */
	size_t n;
	uint8_t addresses[DNS_ADDRESSES_MAX][16]; /* IPv4 in the first four */
};

/* Always fills `a`. */
void dns_answer_read(struct dns_answer *a, struct rd message, uint16_t id,
    const struct dns_name *name, enum dns_type type);

#endif /* PROXY_DNS_H */
