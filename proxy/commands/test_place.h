/*
 * test_place.h - which of a transparent endpoint's places `dbtls test` goes to
 *
 * A session goes where its client was going.  A test has no client: it is told
 * where, or goes to what can be one place only.
 */
#ifndef PROXY_COMMANDS_TEST_PLACE_H
#define PROXY_COMMANDS_TEST_PLACE_H

#include "conf/endpoint.h"
#include "conf/err.h"

struct place {
	bool chosen;          /* else the endpoint's own servers are meant */
	struct server server; /* as if it had been configured so */
	char text[ADDRESS_TEXT_MAX];
	char host[HOST_MAX];
};

/* The one server that `to` is an address of; none if that is NULL.  -1 with
 * `err` where there is nothing to be tested.  What is chosen points to `p`. */
int place_choose(struct place *p, const struct endpoint *e, const char *to,
    struct err *err) __attribute__((warn_unused_result));

#endif /* PROXY_COMMANDS_TEST_PLACE_H */
