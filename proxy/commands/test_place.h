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
	struct server server; /* as if it had been configured so */
	char text[ADDRESS_TEXT_MAX];
	char host[HOST_MAX];
};

/* Leaves `e`, a copy that is the caller's, with the one server that `to` is an
 * address of; `to` NULL: with those that it has.  -1 with `err` where there is
 * none to be tested.  `p` must outlive it. */
int place_choose(struct place *p, struct endpoint *e, const char *to,
    struct err *err) __attribute__((warn_unused_result));

#endif /* PROXY_COMMANDS_TEST_PLACE_H */
