/*
 * bridge.h - what the kernel has to do for transparent endpoints, in words
 *
 * Nothing here changes the machine: rules are printed, as a script that a
 * person can read and a shell can run.  Every word of it that comes from a
 * configuration has passed that configuration's own checks, which let through
 * no character that means anything to nft or to a shell.
 */
#ifndef PROXY_COMMANDS_BRIDGE_H
#define PROXY_COMMANDS_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/config.h"
#include "conf/err.h"
#include "proxy/commands/options.h"

#define BRIDGE_TABLE "dbtls_bridge" /* of nftables, and all in it is ours */
/* An address that a name no longer has is forgotten, as the proxy does. */
#define BRIDGE_NAME_SECONDS 300

struct bridge_options {
	uint32_t mark;  /* of packets to be delivered here */
	uint32_t table; /* of routes, and the place of the rule for it */
	struct words interfaces; /* none: all */
	struct words pass;       /* CIDRs that are let pass by */
	const char *local;       /* dbtls's user; NULL: nobody here is caught */
};

/* Endpoints that share a listen address, and so the sets of a rule. */
#define BRIDGE_GROUP_NAME_MAX 32
struct bridge_group {
	const struct address *listen;
	enum transparent how;
	bool v4;
	char name[BRIDGE_GROUP_NAME_MAX]; /* "4_15432" */
};

struct bridge {
	const struct config *config;
	const struct bridge_options *options;
	struct bridge_group *groups;
	size_t ngroups;
	bool marks[2]; /* is anything of IPv6, of IPv4 marked? */
};

/* -1 with `err` if the configuration has nothing for a bridge, or something
 * that no rule can bring. */
int bridge_init(struct bridge *b, const struct config *c,
    const struct bridge_options *o, struct err *err)
    __attribute__((warn_unused_result));
void bridge_fini(struct bridge *b);

/* Every server of an endpoint that listens there, in the order of the file. */
typedef void (*bridge_server_cb)(const struct bridge_group *g,
    const struct endpoint *e, const struct server *s, void *arg);
void bridge_each_server(const struct bridge *b, const struct bridge_group *g,
    bridge_server_cb cb, void *arg);
/* Is it one that has to be resolved? */
bool bridge_is_name(const struct server *s);
const char *bridge_network_format(const struct cidr *c, char *text,
    size_t size);

void bridge_print_up(const struct bridge *b, FILE *to);
void bridge_print_down(const struct bridge_options *o, FILE *to);

/* Resolves every name, and prints what brings the answers into their sets.
 * -1 with `err` if it cannot begin; *missing is how many had no answer, each
 * of which is told on standard error. */
int bridge_print_names(const struct bridge *b, FILE *to, size_t *missing,
    struct err *err) __attribute__((warn_unused_result));

#endif /* PROXY_COMMANDS_BRIDGE_H */
