/* resolve.c - from a name to its addresses, without waiting */
#include "proxy/resolve.h"

#include <sys/queue.h>

#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/event_struct.h>

#include "proxy/dns.h"
#include "proxy/hash.h"
#include "proxy/nsfiles.h"
#include "proxy/query.h"
#include "proxy/times.h"

#define HOSTS_PATH       "/etc/hosts"
#define RESOLV_CONF_PATH "/etc/resolv.conf"
#define ADDRESSES_MAX    DNS_ADDRESSES_MAX /* of one name, both families */

/* When one family has answered, the other is given this long: nameservers that
 * leave AAAA unanswered must not make every session wait for their timeout. */
static const struct timeval OTHER_FAMILY_GRACE = { 0, 300000 };

enum family {
	FAMILY_IPV6 = 0,
	FAMILY_IPV4
};
#define FAMILY_COUNT 2

struct name;

/* One who waits: for a name, or, with its answer, for the loop. */
struct resolution {
	TAILQ_ENTRY(resolution) entry;
	struct resolution_list *list; /* where it is */
	struct answer *answer;        /* NULL while the name is asked for */
	resolve_cb cb;
	void *arg;
};
TAILQ_HEAD(resolution_list, resolution);

/* A name being asked for, in each of the domains that are searched, until one
 * of them has it. */
struct lookup {
	struct name *name;
	struct resolv_conf conf; /* as it was at the beginning */
	size_t candidate;        /* which spelling of the name is asked for */
	size_t first_server;
	struct query *queries[FAMILY_COUNT]; /* NULL: has answered */
	struct dns_answer answers[FAMILY_COUNT];
	enum dns_status verdict; /* the best that can be said of all so far */
	struct event grace;      /* ends the waiting for the other family */
};

/* A name in the cache. */
struct name {
	struct resolver *resolver;
	TAILQ_ENTRY(name) used;
	LIST_ENTRY(name) chain;
	struct file_stamp hosts_stamp; /* when `hosts` was looked for */
	bool hosts_known;
	struct answer *hosts;  /* NULL: the file does not have it */
	struct answer *answer; /* of the nameservers; NULL: none yet */
	struct lookup *lookup; /* NULL: nothing is being asked */
	struct resolution_list waiters;
	char host[];
};
TAILQ_HEAD(name_list, name);
LIST_HEAD(name_chain, name);

struct resolver {
	struct event_base *base;
	struct {
		double min_ttl, max_ttl, negative_ttl, timeout;
		unsigned attempts;
	} dns;
	char *hosts_path;
	char *conf_path;
	bool fixed_nameserver;
	struct address nameserver;
	double (*clock)(void *arg);
	void *clock_arg;

	struct file_stamp conf_stamp;
	bool conf_known;
	struct resolv_conf conf;
	size_t first_server; /* the one that answered last */

	uint64_t seed;
	size_t n;
	size_t max;
	struct name_list used; /* the one used last at the end */
	size_t nbuckets;       /* a power of two */
	struct name_chain *buckets;

	struct answer *no_memory; /* for when there is none to make another */
	struct answer *no_hosts;  /* ... or the hosts file cannot be read */
	struct resolution_list ready; /* for whom there is an answer */
	struct event wake;            /* activated to deliver those */
};

/* Answers. */

static struct answer *
answer_new(size_t n)
{
	struct answer *a;

	a = calloc(1, sizeof(*a) + n * sizeof(a->list[0]));
	if (a == NULL)
		return NULL;
	a->references = 1;
	a->n = n;
	return a;
}

struct answer *
answer_retain(struct answer *a)
{
	a->references++;
	return a;
}

void
answer_release(struct answer *a)
{
	if (a != NULL && --a->references == 0)
		free(a);
}

/* `why` is a literal. */
static struct answer *
answer_of_failure(const char *why)
{
	struct answer *a;

	if ((a = answer_new(0)) != NULL)
		a->why = why;
	return a;
}

/*
 * IPv6 and IPv4 in turn, beginning with the family of the first, and within
 * each in the order given (RFC 8305, section 4): a family that does not work
 * here costs one attempt, not all of its addresses.
 */
static struct answer *
answer_of_list(const struct address *list, size_t n)
{
	sa_family_t family;
	struct answer *a;
	size_t i, at[2], side;

	if ((a = answer_new(n)) == NULL || n == 0)
		return a;
	family = list[0].sa.ss_family;
	at[0] = at[1] = 0;
	for (i = 0, side = 0; i < n; side = !side) {
		while (at[side] < n &&
		    (list[at[side]].sa.ss_family == family) == (side != 0))
			at[side]++;
		if (at[side] < n)
			a->list[i++] = list[at[side]++];
	}
	return a;
}

/* Those who wait. */

static void
resolution_free(struct resolution *w)
{
	answer_release(w->answer);
	free(w);
}

static void
resolution_queue(struct resolution *w, struct resolution_list *list)
{
	w->list = list;
	TAILQ_INSERT_TAIL(list, w, entry);
}

void
resolve_cancel(struct resolution *w)
{
	if (w == NULL)
		return;
	TAILQ_REMOVE(w->list, w, entry);
	resolution_free(w);
}

/* Takes nothing; the waiter keeps the answer until the loop comes round. */
static void
resolution_ready(struct resolver *r, struct resolution *w, struct answer *a)
{
	w->answer = answer_retain(a);
	resolution_queue(w, &r->ready);
	event_active(&r->wake, 0, 0);
}

static void
resolver_wake(evutil_socket_t fd, short what, void *arg)
{
	struct resolver *r = arg;
	struct resolution *w;

	(void)fd;
	(void)what;
	while ((w = TAILQ_FIRST(&r->ready)) != NULL) {
		TAILQ_REMOVE(&r->ready, w, entry);
		w->cb(w->answer, w->arg);
		resolution_free(w);
	}
}

/* Looking up. */

static void
lookup_free(struct lookup *l)
{
	size_t i;

	if (l == NULL)
		return;
	for (i = 0; i < FAMILY_COUNT; i++)
		query_cancel(l->queries[i]);
	event_del(&l->grace);
	free(l);
}

static double
clamp(double v, double low, double high)
{
	if (v > high)
		v = high;
	return v < low ? low : v;
}

/* The lookup is over: everybody who waits is told.  Takes `a`, which may be
 * NULL for want of memory. */
static void
lookup_finish(struct lookup *l, struct answer *a, double ttl)
{
	struct name *name = l->name;
	struct resolver *r = name->resolver;
	struct resolution *w;

	name->lookup = NULL;
	lookup_free(l);
	if (a == NULL)
		a = answer_retain(r->no_memory);
	a->expires = resolver_now(r) + ttl;
	answer_release(name->answer);
	name->answer = a;
	while ((w = TAILQ_FIRST(&name->waiters)) != NULL) {
		TAILQ_REMOVE(&name->waiters, w, entry);
		resolution_ready(r, w, a);
	}
}

static void
lookup_fail(struct lookup *l, const char *why)
{
	lookup_finish(l, answer_of_failure(why),
	    l->name->resolver->dns.negative_ttl);
}

static const char *
verdict_text(enum dns_status verdict)
{
	switch (verdict) {
	case DNS_NO_DATA:
		return "the name has no address";
	case DNS_NO_NAME:
		return "no such name (NXDOMAIN)";
	case DNS_TIMED_OUT:
		return "the nameserver did not answer in time";
	case DNS_UNREACHABLE:
		return "the nameserver cannot be reached";
	case DNS_FAILED:
		return "the nameserver failed (SERVFAIL or REFUSED)";
	case DNS_FOUND:
	case DNS_TRUNCATED:
	case DNS_BROKEN:
	case DNS_NOT_OURS:
		break;
	}
	return "the nameserver's answer is broken";
}

/* The next spelling of the name: as it is, or with one of the domains that are
 * searched.  False if there are no more. */
static bool
lookup_spell(struct lookup *l, struct dns_name *name)
{
	const char *host = l->name->host, *at;
	size_t searched = l->conf.nsearch, as_is, i;
	unsigned dots = 0;

	for (at = host; *at != '\0'; at++)
		dots += *at == '.';
	if (host[0] == '\0' || at[-1] == '.')
		searched = 0;
	as_is = dots >= l->conf.ndots ? 0 : searched;
	for (; l->candidate <= searched; l->candidate++) {
		i = l->candidate;
		if (dns_name_set(name, host,
			i == as_is ? NULL : l->conf.search[i - (i > as_is)])) {
			l->candidate++;
			return true;
		}
	}
	return false;
}

static void lookup_answered(const struct dns_answer *a, size_t server,
    void *arg);

static void
lookup_ask(struct lookup *l)
{
	static const enum dns_type types[FAMILY_COUNT] = {
		[FAMILY_IPV6] = DNS_AAAA,
		[FAMILY_IPV4] = DNS_A,
	};
	struct resolver *r = l->name->resolver;
	struct query_plan plan = {
		.servers = &l->conf.servers,
		.first = l->first_server,
		.timeout = r->dns.timeout,
		.attempts = r->dns.attempts,
	};
	struct dns_name name;
	size_t i;

	if (!lookup_spell(l, &name)) {
		lookup_fail(l, verdict_text(l->verdict));
		return;
	}
	for (i = 0; i < FAMILY_COUNT; i++) {
		l->queries[i] = query_start(r->base, &plan, &name, types[i],
		    lookup_answered, l);
		if (l->queries[i] == NULL) {
			lookup_fail(l, r->no_memory->why);
			return;
		}
	}
}

static void
address_set(struct address *a, enum family family, const uint8_t bytes[16])
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };

	memset(a, 0, sizeof(*a));
	if (family == FAMILY_IPV6) {
		memcpy(&v6.sin6_addr, bytes, sizeof(v6.sin6_addr));
		memcpy(&a->sa, &v6, sizeof(v6));
		a->len = sizeof(v6);
		return;
	}
	memcpy(&v4.sin_addr, bytes, sizeof(v4.sin_addr));
	memcpy(&a->sa, &v4, sizeof(v4));
	a->len = sizeof(v4);
}

static void
lookup_succeed(struct lookup *l)
{
	struct address list[FAMILY_COUNT * ADDRESSES_MAX];
	struct resolver *r = l->name->resolver;
	const struct dns_answer *a;
	double ttl = r->dns.max_ttl;
	size_t family, i, n = 0;

	for (family = 0; family < FAMILY_COUNT; family++) {
		a = &l->answers[family];
		for (i = 0; i < a->n; i++)
			address_set(&list[n++], (enum family)family,
			    a->addresses[i]);
		if (a->n > 0 && a->ttl < ttl)
			ttl = a->ttl;
	}
	lookup_finish(l, answer_of_list(list, n),
	    clamp(ttl, r->dns.min_ttl, r->dns.max_ttl));
}

/* Both families have answered, or one has and the other had its time. */
static void
lookup_conclude(struct lookup *l)
{
	enum dns_status status;
	size_t i;

	if (l->answers[FAMILY_IPV6].n + l->answers[FAMILY_IPV4].n > 0) {
		lookup_succeed(l);
		return;
	}
	for (i = 0; i < FAMILY_COUNT; i++) {
		status = l->answers[i].status;
		/* Another domain's answer in its place would be a guess. */
		if (status == DNS_TIMED_OUT || status == DNS_UNREACHABLE) {
			lookup_fail(l, verdict_text(status));
			return;
		}
		if (status == DNS_FAILED || status == DNS_BROKEN)
			l->verdict = status;
		else if (status == DNS_NO_DATA && l->verdict == DNS_NO_NAME)
			l->verdict = status;
	}
	lookup_ask(l);
}

static void
lookup_answered(const struct dns_answer *a, size_t server, void *arg)
{
	struct lookup *l = arg;
	enum family mine, other;

	mine = a->type == DNS_A ? FAMILY_IPV4 : FAMILY_IPV6;
	other = mine == FAMILY_IPV4 ? FAMILY_IPV6 : FAMILY_IPV4;
	l->queries[mine] = NULL;
	l->answers[mine] = *a;
	if (a->status != DNS_TIMED_OUT && a->status != DNS_UNREACHABLE)
		l->name->resolver->first_server = server;
	if (l->queries[other] == NULL)
		lookup_conclude(l);
	else if (a->status == DNS_FOUND)
		event_add(&l->grace, &OTHER_FAMILY_GRACE);
}

static void
lookup_grace_over(evutil_socket_t fd, short what, void *arg)
{
	struct lookup *l = arg;
	size_t i;

	(void)fd;
	(void)what;
	for (i = 0; i < FAMILY_COUNT; i++) {
		if (l->queries[i] == NULL)
			continue;
		query_cancel(l->queries[i]);
		l->queries[i] = NULL;
		memset(&l->answers[i], 0, sizeof(l->answers[i]));
		l->answers[i].status = DNS_TIMED_OUT;
	}
	lookup_conclude(l);
}

/* Whoever waits has been put on the list already.  False without memory. */
static bool
lookup_start(struct name *name)
{
	struct resolver *r = name->resolver;
	struct lookup *l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return false;
	l->name = name;
	l->conf = r->conf;
	l->verdict = DNS_NO_NAME;
	l->first_server = r->first_server;
	if (r->conf.rotate)
		r->first_server++;
	event_assign(&l->grace, r->base, -1, 0, lookup_grace_over, l);
	name->lookup = l;
	lookup_ask(l);
	return true;
}

/* The cache. */

static void
name_free(struct name *name)
{
	struct resolver *r = name->resolver;

	assert(TAILQ_EMPTY(&name->waiters));
	TAILQ_REMOVE(&r->used, name, used);
	LIST_REMOVE(name, chain);
	r->n--;
	lookup_free(name->lookup);
	answer_release(name->hosts);
	answer_release(name->answer);
	free(name);
}

/* Makes room for one.  Names that are being asked for stay; there are never
 * more of them than sessions. */
static void
names_evict(struct resolver *r)
{
	struct name *name, *next;

	for (name = TAILQ_FIRST(&r->used); name != NULL && r->n >= r->max;
	     name = next) {
		next = TAILQ_NEXT(name, used);
		if (name->lookup == NULL)
			name_free(name);
	}
}

static struct name_chain *
chain_of(struct resolver *r, const char *host)
{
	return &r->buckets[hash_bytes(r->seed, host, strlen(host)) &
	    (r->nbuckets - 1)];
}

static struct name *
name_find(struct resolver *r, const char *host)
{
	struct name *name;

	LIST_FOREACH(name, chain_of(r, host), chain) {
		if (strcmp(name->host, host) == 0) {
			TAILQ_REMOVE(&r->used, name, used);
			TAILQ_INSERT_TAIL(&r->used, name, used);
			return name;
		}
	}
	return NULL;
}

static struct name *
name_new(struct resolver *r, const char *host)
{
	size_t len = strlen(host);
	struct name *name;

	names_evict(r);
	if ((name = calloc(1, sizeof(*name) + len + 1)) == NULL)
		return NULL;
	memcpy(name->host, host, len);
	name->resolver = r;
	TAILQ_INIT(&name->waiters);
	TAILQ_INSERT_TAIL(&r->used, name, used);
	LIST_INSERT_HEAD(chain_of(r, host), name, chain);
	r->n++;
	return name;
}

/* Looks into the hosts file if it is another one than last time.  False if it
 * cannot be read now: nameservers are not to be asked in its place. */
static bool
name_refresh_hosts(struct name *name)
{
	struct resolver *r = name->resolver;
	struct file_stamp stamp = file_stamp_now(r->hosts_path);
	struct address list[ADDRESSES_MAX];
	struct answer *a = NULL;
	char host[HOST_TEXT_MAX];
	size_t len, n;

	if (name->hosts_known && file_stamp_equals(&stamp, &name->hosts_stamp))
		return true;
	(void)snprintf(host, sizeof(host), "%s", name->host);
	len = strlen(host);
	if (len > 0 && host[len - 1] == '.')
		host[len - 1] = '\0';
	if (hosts_read(r->hosts_path, host, list, ADDRESSES_MAX, &n) == -1 ||
	    (n > 0 && (a = answer_of_list(list, n)) == NULL))
		return false;
	name->hosts_known = true;
	name->hosts_stamp = stamp;
	answer_release(name->hosts);
	name->hosts = a;
	return true;
}

static struct answer *
name_known(struct name *name)
{
	if (name->hosts != NULL)
		return name->hosts;
	if (name->answer != NULL &&
	    resolver_now(name->resolver) < name->answer->expires)
		return name->answer;
	return NULL;
}

/* The resolver. */

static double
monotonic_now(void *arg)
{
	(void)arg;
	return times_now();
}

double
resolver_now(const struct resolver *r)
{
	return r->clock(r->clock_arg);
}

size_t
resolver_names(const struct resolver *r)
{
	return r->n;
}

/* What other nameservers said does not count for these. */
static void
resolver_refresh_conf(struct resolver *r)
{
	struct file_stamp stamp = file_stamp_now(r->conf_path);
	struct resolv_conf conf;
	struct name *name;
	bool read;

	if (r->conf_known && file_stamp_equals(&stamp, &r->conf_stamp))
		return;
	read = resolv_conf_read(&conf, r->conf_path) == 0;
	/* Then the last one goes on, and it is tried again next time. */
	if (!read && r->conf_known)
		return;
	r->conf_known = read;
	r->conf_stamp = stamp;
	r->conf = conf;
	if (r->fixed_nameserver) {
		r->conf.servers.list[0] = r->nameserver;
		r->conf.servers.n = 1;
	}
	r->first_server = 0;
	TAILQ_FOREACH(name, &r->used, used) {
		answer_release(name->answer);
		name->answer = NULL;
	}
}

static int
resolver_init(struct resolver *r, const struct resolver_settings *s)
{
	r->hosts_path = strdup(s->hosts != NULL ? s->hosts : HOSTS_PATH);
	r->conf_path =
	    strdup(s->resolv_conf != NULL ? s->resolv_conf : RESOLV_CONF_PATH);
	if (s->nameserver != NULL) {
		r->fixed_nameserver = true;
		r->nameserver = *s->nameserver;
	}
	r->clock = s->clock != NULL ? s->clock : monotonic_now;
	r->clock_arg = s->clock_arg;
	r->max = s->names_max != 0 ? s->names_max : RESOLVE_NAMES_MAX;
	r->seed = hash_seed();
	r->nbuckets = hash_buckets(r->max);
	r->buckets = calloc(r->nbuckets, sizeof(*r->buckets));
	r->no_memory = answer_of_failure("out of memory");
	r->no_hosts = answer_of_failure(
	    "the hosts file cannot be read now: descriptors or memory ran out");
	return r->hosts_path == NULL || r->conf_path == NULL ||
		r->buckets == NULL || r->no_memory == NULL ||
		r->no_hosts == NULL
	    ? -1
	    : 0;
}

struct resolver *
resolver_new(struct event_base *base, const struct config *c,
    const struct resolver_settings *settings, struct err *err)
{
	static const struct resolver_settings usual;
	struct resolver *r;

	if ((r = calloc(1, sizeof(*r))) == NULL) {
		err_set(err, "name resolution: out of memory");
		return NULL;
	}
	r->base = base;
	r->dns.min_ttl = c->dns.min_ttl;
	r->dns.max_ttl = c->dns.max_ttl;
	r->dns.negative_ttl = c->dns.negative_ttl;
	r->dns.timeout = c->dns.timeout;
	r->dns.attempts = c->dns.attempts;
	TAILQ_INIT(&r->used);
	TAILQ_INIT(&r->ready);
	event_assign(&r->wake, base, -1, 0, resolver_wake, r);
	if (resolver_init(r, settings != NULL ? settings : &usual) == -1) {
		err_set(err, "name resolution: out of memory");
		resolver_free(r);
		return NULL;
	}
	return r;
}

void
resolver_free(struct resolver *r)
{
	struct name *name;

	if (r == NULL)
		return;
	assert(TAILQ_EMPTY(&r->ready));
	/* The analyzer does not see that name_free() takes it off the list. */
	while ((name = TAILQ_FIRST(&r->used)) != NULL)
		name_free(name); /* NOLINT(clang-analyzer-unix.Malloc) */
	event_del(&r->wake);
	answer_release(r->no_memory);
	answer_release(r->no_hosts);
	free(r->buckets);
	free(r->hosts_path);
	free(r->conf_path);
	free(r);
}

/* RFC 6761, section 6.3: it and all below it are loopback, and asking anybody
 * about it would be a mistake. */
static bool
is_localhost(const char *host)
{
	static const char localhost[] = "localhost";
	size_t len = strlen(host), tail = sizeof(localhost) - 1;

	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len < tail || strncasecmp(host + len - tail, localhost, tail) != 0)
		return false;
	return len == tail || host[len - tail - 1] == '.';
}

/* What takes no file and no nameserver to know; NULL with *mine false if it
 * does. */
static struct answer *
answer_without_asking(const char *host, bool *mine)
{
	struct address list[2];

	*mine = true;
	if (is_localhost(host) && numeric_address("::1", 0, &list[0]) &&
	    numeric_address("127.0.0.1", 0, &list[1]))
		return answer_of_list(list, 2);
	if (numeric_address(host, 0, &list[0]))
		return answer_of_list(list, 1);
	if (strlen(host) >= HOST_TEXT_MAX)
		return answer_of_failure("the name is too long");
	*mine = false;
	return NULL;
}

/* Puts the waiter where the answer is or will be.  False without memory. */
static bool
resolve_name(struct resolver *r, const char *host, struct resolution *w)
{
	struct answer *known;
	struct name *name;

	resolver_refresh_conf(r);
	if ((name = name_find(r, host)) == NULL &&
	    (name = name_new(r, host)) == NULL)
		return false;
	if (!name_refresh_hosts(name)) {
		resolution_ready(r, w, r->no_hosts);
		return true;
	}
	if ((known = name_known(name)) != NULL) {
		resolution_ready(r, w, known);
		return true;
	}
	resolution_queue(w, &name->waiters);
	if (name->lookup != NULL || lookup_start(name))
		return true;
	TAILQ_REMOVE(&name->waiters, w, entry);
	return false;
}

struct resolution *
resolve_start(struct resolver *r, const char *host, resolve_cb cb, void *arg)
{
	struct resolution *w;
	struct answer *a;
	bool mine;

	if ((w = calloc(1, sizeof(*w))) == NULL)
		return NULL;
	w->cb = cb;
	w->arg = arg;
	a = answer_without_asking(host, &mine);
	if (mine && a != NULL) {
		resolution_ready(r, w, a);
		answer_release(a);
		return w;
	}
	if (mine || !resolve_name(r, host, w)) {
		free(w);
		return NULL;
	}
	return w;
}
