/*
 * fuzz_negotiator - no bytes break a negotiator, no slicing changes it, and
 * no policy is passed
 *
 * An input is a play (tests/negotiator/play.h):
 *
 *	protocol and failing verdict, rules and unix sockets, settings and
 *	certificates, slice
 *
 * one byte each, and then what is said:
 *
 *	00-3f  the client says the next 1-64 bytes; 40-7f the server does
 *	80 81  client, server: as many bytes as the next two bytes say
 *	82     the session refuses, for the reason in the next byte
 *	83     a delivery is played again
 *
 * It is played whole and in slices, and must go the same way, but that it is
 * not said which of two peers is at fault where both are: that is who was heard
 * first.  What play.c calls a broken promise ends the run.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/negotiator/play.h"

#define CHUNK_MASK 0x3fu
#define LEG_BIT    0x40u
#define SLICE_MAX  16u

enum op {
	OP_LONG_CLIENT = 0x80,
	OP_LONG_SERVER,
	OP_REFUSE,
	OP_REPLAY,
	OP_END,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A place in this list is part of what the seeds say: new ones come last. */
static const struct neg_ops *
choose_protocol(uint8_t choice)
{
	static const struct neg_ops *const protocols[] = {
		&neg_postgres,
		&neg_redshift,
		&neg_direct,
		&neg_mysql,
		&neg_mariadb,
		&neg_mysqlx,
		&neg_sqlserver,
		&neg_sybase,
		&neg_mongodb,
		&neg_oracle,
	};

	return protocols[choice % (sizeof(protocols) / sizeof(protocols[0]))];
}

/* Only what a configuration could say. */
static struct neg_policy
choose_policy(const struct neg_ops *ops, uint8_t choice)
{
	static const enum neg_client_rule client[] = { CLIENT_TLS_OFF,
		CLIENT_TLS_REQUIRE, CLIENT_TLS_ALLOW, CLIENT_TLS_REQUIRE };
	static const enum neg_server_rule asked[] = { SERVER_TLS_NEVER,
		SERVER_TLS_REQUIRED };
	static const enum neg_server_rule either[] = { SERVER_TLS_NEVER,
		SERVER_TLS_REQUIRED, SERVER_TLS_FIRST, SERVER_TLS_REQUIRED };
	static const enum neg_server_rule first[] = { SERVER_TLS_NEVER,
		SERVER_TLS_FIRST };
	struct neg_policy policy = {
		.client = client[choice % (ops->client_chooses ? 4 : 2)],
	};

	switch (ops->server_start) {
	case NEG_START_ASKED:
		policy.server = asked[(choice >> 2) % 2];
		break;
	case NEG_START_EITHER:
		policy.server = either[(choice >> 2) % 4];
		break;
	case NEG_START_FIRST:
		policy.server = first[(choice >> 2) % 2];
		break;
	}
	return policy;
}

/* What the second and third byte say besides. */
#define RULE_LOCAL_CLIENT 0x10u
#define RULE_LOCAL_SERVER 0x20u
#define RULE_PUBLIC_KEY   0x40u
#define RULE_YES          0x80u
#define REST_SECRETS      0x40u
#define REST_NO_SERVICES  0x80u

static char path[] = "a file";
static uint8_t public_key[] = PLAY_KEY("pinned");
static uint8_t hashes[] = "native *03B7CC47DB0A365DA4F7B304327152EAD6102FB4";

static void
choose_file(void *at, uint8_t *bytes, size_t len)
{
	const struct neg_file file = {
		.path = path,
		.bytes = bytes,
		.len = len - 1,
	};

	memcpy(at, &file, sizeof(file));
}

static void
choose_option(const struct neg_option *o, union play_options *options,
    uint8_t rules, uint8_t rest)
{
	uint8_t *at = options->bytes + o->offset;
	int choice = rest % 3;
	bool yes = (rules & RULE_YES) != 0;
	unsigned count = rest % 3;

	switch (o->kind) {
	case NEG_OPTION_CHOICE:
		memcpy(at, &choice, sizeof(choice));
		return;
	case NEG_OPTION_BOOL:
		memcpy(at, &yes, sizeof(yes));
		return;
	case NEG_OPTION_COUNT:
		memcpy(at, &count, sizeof(count));
		return;
	case NEG_OPTION_SECRETS:
		if (rest & REST_SECRETS)
			choose_file(at, hashes, sizeof(hashes));
		return;
	case NEG_OPTION_RSA_PUBLIC:
		if (rules & RULE_PUBLIC_KEY)
			choose_file(at, public_key, sizeof(public_key));
		return;
	case NEG_OPTION_HOSTS: /* the session's, not a negotiator's */
	case NEG_OPTION_RSA_PRIVATE:
		return;
	}
}

/* Those of the transcripts. */
static void
choose_members(struct play_setup *setup)
{
	static const struct play_member members[] = {
		{ "127.0.0.1:27018", "db1.internal", 27017 },
		{ "127.0.0.1:27019", "db2.internal", 27017 },
		{ "127.0.0.1:27020", "db3.internal", 27017 },
	};

	if (setup->ops->pairs == NULL || !setup->ops->pairs(&setup->options))
		return;
	memcpy(setup->members, members, sizeof(members));
	setup->nmembers = sizeof(members) / sizeof(members[0]);
}

static struct play_setup
choose_setup(struct rd *r)
{
	uint8_t who = rd_u8(r), rules = rd_u8(r), rest = rd_u8(r);
	struct play_setup setup = { .ops = choose_protocol(who & 0x3fu) };
	const struct neg_option *o = setup.ops->options;

	setup.fails = (enum play_failure)(who >> 6);
	setup.policy = choose_policy(setup.ops, rules);
	for (; o != NULL && o->name != NULL; o++)
		choose_option(o, &setup.options, rules, rest);
	choose_members(&setup);
	setup.local[LEG_CLIENT] = (rules & RULE_LOCAL_CLIENT) != 0;
	setup.local[LEG_SERVER] = (rules & RULE_LOCAL_SERVER) != 0;
	setup.no_services = (rest & REST_NO_SERVICES) != 0;
	memset(setup.leaf[LEG_CLIENT], (int)(rest >> 2 & 3u), NEG_DIGEST_LEN);
	memset(setup.leaf[LEG_SERVER], (int)(rest >> 4 & 3u), NEG_DIGEST_LEN);
	setup.slice = 1u + rd_u8(r) % SLICE_MAX;
	return setup;
}

static void
say(struct play *p, enum leg_id from, struct rd *r, size_t n)
{
	struct rd bytes = rd_take(r, n < r->left ? n : r->left);

	play_bytes(p, from, bytes.at, bytes.left);
}

static void
refuse(struct play *p, uint8_t reason)
{
	struct neg_error why = {
		.reason = (enum reason)(reason % REASON_COUNT),
		.leg = LEG_SERVER,
		.text = "a reason",
		.hint = reason & 0x80u ? "a remedy" : NULL,
	};

	play_refuse(p, &why);
}

static void
act(struct play *p, struct rd *r)
{
	uint8_t op = rd_u8(r);

	if (op < OP_LONG_CLIENT) {
		say(p, op & LEG_BIT ? LEG_SERVER : LEG_CLIENT, r,
		    (op & CHUNK_MASK) + 1u);
		return;
	}
	switch (op % OP_END) {
	case OP_LONG_CLIENT:
		say(p, LEG_CLIENT, r, rd_be16(r));
		return;
	case OP_LONG_SERVER:
		say(p, LEG_SERVER, r, rd_be16(r));
		return;
	case OP_REFUSE:
		refuse(p, rd_u8(r));
		return;
	case OP_REPLAY:
		play_replay(p);
		return;
	}
}

static bool
ends(const char *name)
{
	return memchr(name, '\0', NEG_NAME_MAX + 1) != NULL;
}

/* What happens; the caller frees it. */
static char *
play_all(const struct play_setup *setup, struct rd r)
{
	char *events = NULL;
	size_t len;
	FILE *log = open_memstream(&events, &len);
	struct play *p = log == NULL ? NULL : play_new(setup, log);
	const struct neg_names *names;

	if (p == NULL)
		abort();
	play_start(p);
	while (r.left > 0 && !r.cut)
		act(p, &r);
	names = play_names(p);
	if (!ends(names->user) || !ends(names->database) ||
	    !ends(names->program))
		abort();
	fclose(log);
	if (play_is_broken(p)) {
		fputs(events, stderr);
		abort();
	}
	play_free(p);
	return events;
}

/* Up to where a peer was found at fault. */
static void
forget_blame(char *events)
{
	static const char blame[] = "end protocol";
	char *at = strstr(events, blame);

	if (at != NULL)
		at[sizeof(blame) - 1] = '\0';
}

static bool
is_same(char *whole, char *sliced)
{
	if (strcmp(whole, sliced) == 0)
		return true;
	forget_blame(whole);
	forget_blame(sliced);
	return strcmp(whole, sliced) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = { .at = data, .left = size };
	struct play_setup setup = choose_setup(&r);
	char *sliced, *whole;

	if (r.cut)
		return 0;
	sliced = play_all(&setup, r);
	setup.slice = 0;
	whole = play_all(&setup, r);
	if (!is_same(whole, sliced)) {
		fprintf(stderr, "whole:\n%s\nsliced:\n%s", whole, sliced);
		abort();
	}
	free(whole);
	free(sliced);
	return 0;
}
