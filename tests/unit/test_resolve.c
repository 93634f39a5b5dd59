/* The resolver against a nameserver of the test, with a clock of the test. */
#include "proxy/resolve.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "proxy/nsfiles.h"
#include "tests/unit/fake_dns.h"
#include "tests/unit/unit.h"

#define PATIENT  20 /* seconds; nothing here takes one */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What the tests change, and what they look at. */
struct world {
	struct event_base *base;
	struct fake_dns *dns;
	struct config config;
	struct resolver_settings settings;
	struct resolver *resolver;
	char dir[64], hosts[96], conf[96];
	double now;
};

/* One who asks. */
struct asker {
	struct world *world;
	unsigned called;
	struct answer *answer;
	struct resolution *resolution;
	struct asker *cancels; /* another, from within its own callback */
};

static double
world_clock(void *arg)
{
	const struct world *w = arg;

	return w->now;
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (f == NULL || fputs(text, f) == EOF || fclose(f) == EOF)
		abort();
}

static void
world_init(struct world *w)
{
	struct err err;

	memset(w, 0, sizeof(*w));
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/test_resolve.XXXXXX");
	if (mkdtemp(w->dir) == NULL)
		abort();
	(void)snprintf(w->hosts, sizeof(w->hosts), "%s/hosts", w->dir);
	(void)snprintf(w->conf, sizeof(w->conf), "%s/resolv.conf", w->dir);
	w->base = event_base_new();
	w->dns = fake_dns_new(w->base);
	w->now = 1000;
	w->config.dns.min_ttl = 1;
	w->config.dns.max_ttl = 30;
	w->config.dns.negative_ttl = 1;
	w->config.dns.timeout = 5;
	w->config.dns.attempts = 3;
	w->settings.hosts = w->hosts;
	w->settings.resolv_conf = w->conf;
	w->settings.nameserver = fake_dns_address(w->dns);
	w->settings.clock = world_clock;
	w->settings.clock_arg = w;
	w->resolver = resolver_new(w->base, &w->config, &w->settings, &err);
	if (w->resolver == NULL)
		abort();
}

static void
world_fini(struct world *w)
{
	resolver_free(w->resolver);
	fake_dns_free(w->dns);
	event_base_free(w->base);
	(void)unlink(w->hosts);
	(void)unlink(w->conf);
	(void)rmdir(w->dir);
}

/* With other settings than at first. */
static void
world_again(struct world *w)
{
	struct err err;

	resolver_free(w->resolver);
	w->resolver = resolver_new(w->base, &w->config, &w->settings, &err);
	if (w->resolver == NULL)
		abort();
}

static void
on_answer(struct answer *a, void *arg)
{
	struct asker *k = arg;

	k->called++;
	k->resolution = NULL;
	answer_release(k->answer);
	k->answer = answer_retain(a);
	if (k->cancels != NULL) {
		resolve_cancel(k->cancels->resolution);
		k->cancels->resolution = NULL;
	}
}

static void
ask(struct world *w, struct asker *k, const char *host)
{
	unsigned called = k->called;

	k->world = w;
	k->resolution = resolve_start(w->resolver, host, on_answer, k);
	CU_ASSERT_PTR_NOT_NULL_FATAL(k->resolution);
	CU_ASSERT_EQUAL(k->called, called);
}

static void
lost_patience(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	fprintf(stderr, "nothing happened for %d seconds\n", PATIENT);
	abort();
}

/* Runs the loop until that many were called. */
static void
await(struct world *w, const unsigned *count, unsigned n)
{
	struct timeval tv = { PATIENT, 0 };
	struct event *guard = event_new(w->base, -1, 0, lost_patience, NULL);

	event_add(guard, &tv);
	while (*count < n)
		event_base_loop(w->base, EVLOOP_ONCE);
	event_free(guard);
}

static const char *
nth(const struct answer *a, size_t i)
{
	static char text[INET6_ADDRSTRLEN];
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	if (i >= a->n)
		return "none";
	memcpy(&v6, &a->list[i].sa, sizeof(v6));
	memcpy(&v4, &a->list[i].sa, sizeof(v4));
	if (a->list[i].sa.ss_family == AF_INET)
		return inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
	return inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
}

/* Asks, waits, and compares; `wanted` is "addr addr", or why there is none. */
static void
check(struct world *w, const char *host, const char *wanted)
{
	struct asker k = { 0 };
	char got[1024] = "";
	size_t i, len = 0;

	ask(w, &k, host);
	await(w, &k.called, 1);
	for (i = 0; i < k.answer->n && len < sizeof(got); i++)
		len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%s",
		    i > 0 ? " " : "", nth(k.answer, i));
	if (k.answer->n == 0)
		(void)snprintf(got, sizeof(got), "%s", k.answer->why);
	CU_ASSERT_STRING_EQUAL(got, wanted);
	if (strcmp(got, wanted) != 0)
		fprintf(stderr, "%s: %s, not %s\n", host, got, wanted);
	answer_release(k.answer);
}

static void
numeric_host_is_never_asked(void)
{
	struct world w;

	world_init(&w);
	check(&w, "192.0.2.7", "192.0.2.7");
	check(&w, "2001:db8::1", "2001:db8::1");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 0);
	world_fini(&w);
}

static void
localhost_is_loopback_whatever_others_say(void)
{
	static const struct fake_record zone[] = {
		{ "localhost", FAKE_A, "192.0.2.1", 9 },
	};
	struct world w;

	world_init(&w);
	write_file(w.hosts, "192.0.2.2 localhost db.localhost\n");
	fake_dns_set(w.dns, zone, COUNT(zone));
	check(&w, "localhost", "::1 127.0.0.1");
	check(&w, "LocalHost.", "::1 127.0.0.1");
	check(&w, "db.localhost", "::1 127.0.0.1");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 0);
	check(&w, "notlocalhost", "no such name (NXDOMAIN)");
	world_fini(&w);
}

static void
families_take_turns(void)
{
	static const struct fake_record zone[] = {
		{ "db.test", FAKE_A, "192.0.2.1", 9 },
		{ "db.test", FAKE_A, "192.0.2.2", 9 },
		{ "db.test", FAKE_AAAA, "2001:db8::1", 9 },
		{ "db.test", FAKE_A, "192.0.2.3", 9 },
		{ "db.test", FAKE_AAAA, "2001:db8::2", 9 },
	};
	struct world w;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	check(&w, "db.test",
	    "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 192.0.2.3");
	world_fini(&w);
}

static void
answer_is_kept_for_its_ttl(void)
{
	struct fake_record zone[] = { { "db.test", FAKE_A, "192.0.2.1", 5 } };
	struct world w;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	check(&w, "db.test", "192.0.2.1");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 2);
	zone[0].value = "192.0.2.2";
	w.now += 4.9;
	check(&w, "db.test", "192.0.2.1");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 2);
	w.now += 0.2;
	check(&w, "db.test", "192.0.2.2");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 4);
	world_fini(&w);
}

static void
ttl_stays_within_bounds(void)
{
	struct fake_record zone[] = {
		{ "short.test", FAKE_A, "192.0.2.1", 0 },
		{ "long.test", FAKE_A, "192.0.2.1", 86400 },
		{ "wrong.test", FAKE_A, "192.0.2.1", 0xffffffff },
	};
	struct world w;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	check(&w, "short.test", "192.0.2.1");
	check(&w, "wrong.test", "192.0.2.1");
	check(&w, "long.test", "192.0.2.1");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 6);
	w.now += 0.9;
	check(&w, "short.test", "192.0.2.1");
	check(&w, "wrong.test", "192.0.2.1");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 6);
	w.now += 0.2;
	check(&w, "short.test", "192.0.2.1");
	check(&w, "wrong.test", "192.0.2.1");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 10);
	w.now += 28.8;
	check(&w, "long.test", "192.0.2.1");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 10);
	w.now += 0.2;
	check(&w, "long.test", "192.0.2.1");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 12);
	world_fini(&w);
}

/* Aurora: the cluster's name is an alias that moves, of names that stay. */
static void
failover_is_followed_within_the_aliases_ttl(void)
{
	struct fake_record zone[] = {
		{ "cluster.test", FAKE_CNAME, "writer.test", 5 },
		{ "writer.test", FAKE_CNAME, "one.test", 20 },
		{ "one.test", FAKE_A, "192.0.2.1", 300 },
		{ "two.test", FAKE_A, "192.0.2.2", 300 },
	};
	struct world w;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	check(&w, "cluster.test", "192.0.2.1");
	zone[0].value = "two.test";
	check(&w, "cluster.test", "192.0.2.1");
	w.now += 5;
	check(&w, "cluster.test", "192.0.2.2");
	world_fini(&w);
}

static void
failures_are_kept_for_negative_ttl(void)
{
	struct fake_record zone[] = {
		{ "other.test", FAKE_A, "192.0.2.1", 5 },
		{ "text.test", FAKE_CNAME, "nowhere.test", 5 },
	};
	struct world w;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	check(&w, "db.test", "no such name (NXDOMAIN)");
	check(&w, "text.test", "the name has no address");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 4);
	w.now += 0.9;
	zone[0].name = "db.test";
	check(&w, "db.test", "no such name (NXDOMAIN)");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 4);
	w.now += 0.2;
	check(&w, "db.test", "192.0.2.1");
	world_fini(&w);
}

static void
bad_family_does_not_spoil_the_good_one(void)
{
	static const enum fake_manner manners[] = {
		FAKE_SILENT,
		FAKE_FAILS,
		FAKE_CUTS,
	};
	static const struct fake_record zone[] = {
		{ "db.test", FAKE_A, "192.0.2.1", 9 },
		{ "db.test", FAKE_AAAA, "2001:db8::1", 9 },
	};
	struct world w;
	size_t i;

	for (i = 0; i < COUNT(manners); i++) {
		world_init(&w);
		w.config.dns.timeout = 3 * PATIENT;
		world_again(&w);
		fake_dns_set(w.dns, zone, COUNT(zone));
		fake_dns_behave(w.dns, FAKE_AAAA, manners[i]);
		check(&w, "db.test", "192.0.2.1");
		fake_dns_behave(w.dns, FAKE_AAAA, FAKE_ANSWERS);
		fake_dns_behave(w.dns, FAKE_A, manners[i]);
		w.now += 10;
		check(&w, "db.test", "2001:db8::1");
		world_fini(&w);
	}
}

static void
silence_is_asked_again_and_then_told(void)
{
	struct world w;

	world_init(&w);
	w.config.dns.timeout = 0.05;
	world_again(&w);
	fake_dns_behave(w.dns, FAKE_A, FAKE_SILENT);
	fake_dns_behave(w.dns, FAKE_AAAA, FAKE_SILENT);
	check(&w, "db.test", "the nameserver did not answer in time");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 6);
	world_fini(&w);
}

static void
nameserver_that_fails_or_is_not_there_is_told(void)
{
	struct address nobody;
	struct world w;

	world_init(&w);
	fake_dns_behave(w.dns, FAKE_A, FAKE_FAILS);
	fake_dns_behave(w.dns, FAKE_AAAA, FAKE_FAILS);
	check(&w, "db.test", "the nameserver failed (SERVFAIL or REFUSED)");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 6);
	CU_ASSERT_TRUE_FATAL(numeric_address("127.0.0.1", 1, &nobody));
	w.settings.nameserver = &nobody;
	world_again(&w);
	check(&w, "db.test", "the nameserver cannot be reached");
	world_fini(&w);
}

static void
truncated_answer_is_fetched_over_tcp(void)
{
	struct fake_record zone[70];
	char values[70][32];
	struct asker k = { 0 };
	struct world w;
	size_t i;

	world_init(&w);
	for (i = 0; i < COUNT(zone); i++) {
		(void)snprintf(values[i], sizeof(values[i]), "192.0.2.%zu", i);
		zone[i] =
		    (struct fake_record){ "db.test", FAKE_A, values[i], 9 };
	}
	fake_dns_set(w.dns, zone, COUNT(zone));
	fake_dns_behave(w.dns, FAKE_A, FAKE_TRUNCATES);
	ask(&w, &k, "db.test");
	await(&w, &k.called, 1);
	CU_ASSERT_EQUAL(k.answer->n, 64);
	CU_ASSERT_STRING_EQUAL(nth(k.answer, 63), "192.0.2.63");
	CU_ASSERT_EQUAL(fake_dns_asked_tcp(w.dns), 1);
	answer_release(k.answer);
	write_file(w.conf, "options use-vc\n");
	fake_dns_behave(w.dns, FAKE_A, FAKE_ANSWERS);
	check(&w, "nobody.test", "no such name (NXDOMAIN)");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 2);
	CU_ASSERT_EQUAL(fake_dns_asked_tcp(w.dns), 3);
	world_fini(&w);
}

static void
only_the_answer_to_our_question_counts(void)
{
	static const struct fake_record zone[] = {
		{ "db.test", FAKE_A, "192.0.2.1", 9 },
	};
	struct world w;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	fake_dns_behave(w.dns, FAKE_A, FAKE_BABBLES);
	fake_dns_behave(w.dns, FAKE_AAAA, FAKE_BABBLES);
	check(&w, "db.test", "192.0.2.1");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 2);
	world_fini(&w);
}

static void
many_who_wait_ask_once(void)
{
	static const struct fake_record zone[] = {
		{ "db.test", FAKE_A, "192.0.2.1", 9 },
	};
	struct asker k[5] = { 0 };
	struct world w;
	size_t i;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	for (i = 0; i < COUNT(k); i++)
		ask(&w, &k[i], "db.test");
	resolve_cancel(k[1].resolution);
	await(&w, &k[4].called, 1);
	for (i = 0; i < COUNT(k); i++) {
		CU_ASSERT_EQUAL(k[i].called, i != 1);
		answer_release(k[i].answer);
	}
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 2);
	world_fini(&w);
}

static void
cancel_from_another_callback(void)
{
	static const struct fake_record zone[] = {
		{ "db.test", FAKE_A, "192.0.2.1", 9 },
	};
	struct asker k[3] = { 0 };
	struct world w;
	size_t i;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	k[0].cancels = &k[1];
	for (i = 0; i < COUNT(k); i++)
		ask(&w, &k[i], "db.test");
	await(&w, &k[2].called, 1);
	CU_ASSERT_EQUAL(k[0].called, 1);
	CU_ASSERT_EQUAL(k[1].called, 0);
	for (i = 0; i < COUNT(k); i++)
		answer_release(k[i].answer);
	world_fini(&w);
}

/* Nobody waits any more: the lookup goes on for those to come, and ends with
 * the resolver, at every point on its way. */
static void
cancel_and_free_while_it_is_asked(void)
{
	struct asker k = { 0 };
	struct world w;
	int steps, i, events;

	for (steps = 0; steps < 4; steps++) {
		world_init(&w);
		events =
		    event_base_get_num_events(w.base, EVENT_BASE_COUNT_ADDED);
		fake_dns_behave(w.dns, FAKE_A, FAKE_TRUNCATES);
		ask(&w, &k, "db.test");
		for (i = 0; i < steps; i++)
			event_base_loop(w.base, EVLOOP_ONCE);
		resolve_cancel(k.resolution);
		resolver_free(w.resolver);
		w.resolver = NULL;
		CU_ASSERT_EQUAL(
		    event_base_get_num_events(w.base, EVENT_BASE_COUNT_ADDED),
		    events);
		world_fini(&w);
	}
	CU_ASSERT_EQUAL(k.called, 0);
}

static void
hosts_file_comes_first_and_is_followed(void)
{
	static const struct fake_record zone[] = {
		{ "db.test", FAKE_A, "192.0.2.1", 9 },
	};
	struct world w;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	check(&w, "db.test", "192.0.2.1");
	write_file(w.hosts,
	    "# 192.0.2.9 db.test\n"
	    "192.0.2.8 x.test # db.test\n"
	    "192.0.2.2\tx.test DB.test\n"
	    "nonsense db.test\n"
	    "192.0.2.3 db.test\n"
	    "2001:db8::2 db.test");
	check(&w, "db.test", "192.0.2.2 2001:db8::2 192.0.2.3");
	check(&w, "db.test.", "192.0.2.2 2001:db8::2 192.0.2.3");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 2);
	write_file(w.hosts, "192.0.2.4 db.test\n");
	check(&w, "db.test", "192.0.2.4");
	(void)unlink(w.hosts);
	check(&w, "db.test", "192.0.2.1");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 2);
	world_fini(&w);
}

/* Written within one tick of the clock, it has another length. */
static void
hosts_file_of_the_same_time_is_another(void)
{
	static const struct timespec times[2] = { { 9, 9 }, { 9, 9 } };
	struct world w;

	world_init(&w);
	write_file(w.hosts, "192.0.2.2 db.test\n");
	CU_ASSERT_EQUAL(utimensat(AT_FDCWD, w.hosts, times, 0), 0);
	check(&w, "db.test", "192.0.2.2");
	write_file(w.hosts, "192.0.2.22 db.test\n");
	CU_ASSERT_EQUAL(utimensat(AT_FDCWD, w.hosts, times, 0), 0);
	check(&w, "db.test", "192.0.2.22");
	world_fini(&w);
}

static void
search_list_is_followed(void)
{
	static const struct fake_record zone[] = {
		{ "db.two.test", FAKE_A, "192.0.2.1", 9 },
		{ "a.b", FAKE_A, "192.0.2.2", 9 },
		{ "a.b.one.test", FAKE_A, "192.0.2.3", 9 },
	};
	struct world w;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	write_file(w.conf, "search one.test two.test\n");
	check(&w, "db", "192.0.2.1");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 4);
	check(&w, "a.b", "192.0.2.2");
	check(&w, "db.", "no such name (NXDOMAIN)");
	check(&w, "dc", "no such name (NXDOMAIN)");
	CU_ASSERT_STRING_EQUAL(fake_dns_last(w.dns), "dc");
	/* Changed: what was known is asked for anew. */
	write_file(w.conf, "search one.test two.test\noptions ndots:2\n");
	check(&w, "a.b", "192.0.2.3");
	world_fini(&w);
}

/* A failing domain is passed over; a silent one might have had the name. */
static void
search_does_not_guess_past_silence(void)
{
	static const struct fake_record zone[] = {
		{ "db.two.test", FAKE_A, "192.0.2.1", 9 },
	};
	struct world w;

	world_init(&w);
	w.config.dns.timeout = 0.05;
	world_again(&w);
	write_file(w.conf, "search one.test two.test\n");
	fake_dns_set(w.dns, zone, COUNT(zone));
	fake_dns_behave(w.dns, FAKE_AAAA, FAKE_SILENT);
	check(&w, "db", "the nameserver did not answer in time");
	CU_ASSERT_STRING_EQUAL(fake_dns_last(w.dns), "db.one.test");
	world_fini(&w);
}

static void
resolv_conf_is_read_as_it_is_written(void)
{
	struct resolv_conf rc;
	char text[ADDRESS_TEXT_MAX];
	struct world w;

	world_init(&w);
	write_file(w.conf,
	    "# comment\n; comment\n\nnameserver\nnameserver 192.0.2.1 # x\n"
	    "nameserver 2001:db8::1\nnameserver nonsense\n"
	    "domain old.test\nsearch\tone.test . two.test\n"
	    "options rotate ndots:99 timeout:1 edns0\n"
	    "nameserver 192.0.2.2\nnameserver 192.0.2.3\n");
	CU_ASSERT_EQUAL(resolv_conf_read(&rc, w.conf), 0);
	CU_ASSERT_EQUAL(rc.servers.n, 3);
	CU_ASSERT_STRING_EQUAL(
	    address_format(&rc.servers.list[1], text, sizeof(text)),
	    "[2001:db8::1]:53");
	CU_ASSERT_STRING_EQUAL(
	    address_format(&rc.servers.list[2], text, sizeof(text)),
	    "192.0.2.2:53");
	CU_ASSERT_EQUAL(rc.nsearch, 2);
	CU_ASSERT_STRING_EQUAL(rc.search[1], "two.test");
	CU_ASSERT_EQUAL(rc.ndots, 15);
	CU_ASSERT_TRUE(rc.rotate);
	(void)unlink(w.conf);
	CU_ASSERT_EQUAL(resolv_conf_read(&rc, w.conf), 0);
	CU_ASSERT_EQUAL(rc.servers.n, 1);
	CU_ASSERT_STRING_EQUAL(
	    address_format(&rc.servers.list[0], text, sizeof(text)),
	    "127.0.0.1:53");
	CU_ASSERT_EQUAL(rc.ndots, 1);
	world_fini(&w);
}

/* Leaves no descriptor to open another file with; returns the limit before. */
static struct rlimit
use_up_descriptors(void)
{
	struct rlimit limit, none;
	int next = dup(STDIN_FILENO);

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit){ (rlim_t)next, limit.rlim_max };
	(void)close(next);
	(void)setrlimit(RLIMIT_NOFILE, &none);
	return limit;
}

/* What was read while there were no descriptors must not count afterwards. */
static void
files_that_cannot_be_opened_now_are_read_later(void)
{
	static const struct fake_record zone[] = {
		{ "db.one.test", FAKE_A, "192.0.2.1", 30 },
	};
	struct rlimit limit;
	struct world w;

	world_init(&w);
	write_file(w.hosts, "192.0.2.2 here.test\n");
	write_file(w.conf, "search one.test\n");
	fake_dns_set(w.dns, zone, COUNT(zone));
	limit = use_up_descriptors();
	check(&w, "here.test",
	    "the hosts file cannot be read now: descriptors or memory ran out");
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 0);
	check(&w, "here.test", "192.0.2.2");
	check(&w, "db", "192.0.2.1");
	world_fini(&w);
}

static void
names_not_used_for_longest_are_forgotten(void)
{
	static const struct fake_record zone[] = {
		{ "a.test", FAKE_A, "192.0.2.1", 30 },
	};
	char host[32];
	struct world w;
	int i;

	world_init(&w);
	w.settings.names_max = 4;
	world_again(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	for (i = 0; i < 50; i++) {
		(void)snprintf(host, sizeof(host), "n%d.test", i);
		check(&w, host, "no such name (NXDOMAIN)");
		check(&w, "a.test", "192.0.2.1");
		CU_ASSERT_TRUE(resolver_names(w.resolver) <= 4);
	}
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 102);
	check(&w, "n0.test", "no such name (NXDOMAIN)");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 104);
	world_fini(&w);
}

static void
what_is_no_name_is_not_asked(void)
{
	char label[80], host[400];
	struct world w;

	world_init(&w);
	memset(label, 'a', sizeof(label));
	label[64] = '\0';
	check(&w, label, "no such name (NXDOMAIN)");
	check(&w, "a..b", "no such name (NXDOMAIN)");
	check(&w, ".", "no such name (NXDOMAIN)");
	memset(host, 'a', sizeof(host));
	host[300] = '\0';
	check(&w, host, "the name is too long");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 0);
	world_fini(&w);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
#define TEST(name) { #name, name }
		TEST(numeric_host_is_never_asked),
		TEST(localhost_is_loopback_whatever_others_say),
		TEST(families_take_turns),
		TEST(answer_is_kept_for_its_ttl),
		TEST(ttl_stays_within_bounds),
		TEST(failover_is_followed_within_the_aliases_ttl),
		TEST(failures_are_kept_for_negative_ttl),
		TEST(bad_family_does_not_spoil_the_good_one),
		TEST(silence_is_asked_again_and_then_told),
		TEST(nameserver_that_fails_or_is_not_there_is_told),
		TEST(truncated_answer_is_fetched_over_tcp),
		TEST(only_the_answer_to_our_question_counts),
		TEST(many_who_wait_ask_once),
		TEST(cancel_from_another_callback),
		TEST(cancel_and_free_while_it_is_asked),
		TEST(hosts_file_comes_first_and_is_followed),
		TEST(hosts_file_of_the_same_time_is_another),
		TEST(search_list_is_followed),
		TEST(search_does_not_guess_past_silence),
		TEST(resolv_conf_is_read_as_it_is_written),
		TEST(files_that_cannot_be_opened_now_are_read_later),
		TEST(names_not_used_for_longest_are_forgotten),
		TEST(what_is_no_name_is_not_asked),
#undef TEST
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "resolve", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
