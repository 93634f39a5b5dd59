/* worker_pool.c - all workers, what they share, start and end */
#include <sys/resource.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/members.h"
#include "proxy/secrets.h"
#include "proxy/ticket_keys.h"
#include "proxy/worker_private.h"

/* A session needs two, and some are left for pipes between plain legs. */
#define DESCRIPTORS_PER_SESSION 3
#define DESCRIPTORS_PER_WORKER  16
#define DESCRIPTORS_RESERVED    64
/* As many as the default ever is, whatever the descriptor limit. */
#define SESSIONS_DEFAULT_MAX 1000000u
#define SESSIONS_MIN         16u
#define CANCELS_MAX          65536u

/* What descriptors are left for sessions, after our own and those of clients
 * that are being turned away. */
static unsigned
sessions_by_descriptors(const struct config *c)
{
	struct rlimit limit;
	rlim_t own, n;
	size_t i;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return SESSIONS_MIN;
	own = DESCRIPTORS_RESERVED + PROXY_REFUSALS_MAX +
	    (rlim_t)c->threads * DESCRIPTORS_PER_WORKER;
	for (i = 0; i < c->nendpoints; i++)
		own += (rlim_t)c->threads * c->endpoints[i]->nlistens;
	if (limit.rlim_cur <= own)
		return SESSIONS_MIN;
	n = (limit.rlim_cur - own) / DESCRIPTORS_PER_SESSION;
	if (n > SESSIONS_DEFAULT_MAX)
		return SESSIONS_DEFAULT_MAX;
	return n < SESSIONS_MIN ? SESSIONS_MIN : (unsigned)n;
}

static unsigned
choose_max_sessions(const struct config *c)
{
	unsigned possible = sessions_by_descriptors(c);

	if (c->max_sessions == 0)
		return possible;
	if (c->max_sessions > possible)
		log_event(LEVEL_WARN, "limit.descriptors", NULL,
		    "max_sessions is %u, but the limit of open files is "
		    "enough for about %u; raise it",
		    c->max_sessions, possible);
	return c->max_sessions;
}

static int
make_secrets(struct proxy *p, struct err *err)
{
	const struct config *c = p->config;

	p->secrets = secrets_new((const struct endpoint *const *)c->endpoints,
	    c->nendpoints, err);
	if (p->secrets == NULL)
		return -1;
	p->services = secrets_services(p->secrets);
	return 0;
}

/* An endpoint that asks for what this kernel has not is refused at once, or
 * served without, as it says. */
static int
need_ktls(const struct proxy *p, const struct endpoint *e, struct err *err)
{
	if (p->ktls.suites != 0 || !endpoint_may_ktls(e, NULL))
		return 0;
	if (e->tls.ktls == KTLS_ON)
		return err_set(err,
		    "endpoint %s: tls.ktls: is \"on\", but %s; set it to "
		    "\"auto\", or mend that",
		    e->name, p->ktls.why);
	log_event(LEVEL_NOTICE, "ktls.unavailable", e,
	    "TLS stays in the program: %s", p->ktls.why);
	return 0;
}

static int
make_ktls(struct proxy *p, struct err *err)
{
	const struct config *c = p->config;
	bool wanted = false;
	size_t i;

	for (i = 0; i < c->nendpoints; i++)
		wanted = wanted || endpoint_may_ktls(c->endpoints[i], NULL);
	if (!wanted)
		return 0;
	ktls_probe(&p->ktls);
	for (i = 0; i < c->nendpoints; i++) {
		if (need_ktls(p, c->endpoints[i], err) == -1)
			return -1;
	}
	return 0;
}

static int
make_members(struct proxy *p, struct err *err)
{
	const struct config *c = p->config;
	size_t i;

	p->members = calloc(c->nendpoints + 1, sizeof(struct members *));
	if (p->members == NULL)
		return err_set(err, "proxy: out of memory");
	for (i = 0; i < c->nendpoints; i++) {
		if (!endpoint_pairs(c->endpoints[i]))
			continue;
		p->members[i] = members_new(c->endpoints[i]);
		if (p->members[i] == NULL)
			return err_set(err, "proxy: out of memory");
	}
	return 0;
}

/* What only a bridge needs, and may do. */
static int
make_outgoing(struct proxy *p, struct err *err)
{
	const struct config *c = p->config;
	bool transparent = false;
	size_t i;

	for (i = 0; i < c->nendpoints; i++) {
		if (dial_check_source(c->endpoints[i], err) == -1)
			return -1;
		if (c->endpoints[i]->transparent != TRANSPARENT_OFF)
			transparent = true;
	}
	if (!transparent)
		return 0;
	p->outgoing = outgoing_new(p->max_sessions);
	return p->outgoing != NULL ? 0 : err_set(err, "proxy: out of memory");
}

static int
make_tickets(struct proxy *p, struct err *err)
{
	const struct config *c = p->config;
	size_t i;

	p->tickets = calloc(c->nendpoints + 1, sizeof(struct ticket_keys *));
	if (p->tickets == NULL)
		return err_set(err, "proxy: out of memory");
	for (i = 0; i < c->nendpoints; i++) {
		if (c->endpoints[i]->client_rule == CLIENT_TLS_OFF)
			continue;
		if ((p->tickets[i] = ticket_keys_new()) == NULL)
			return err_set(err, "proxy: out of memory");
	}
	return 0;
}

static int
make_shared(struct proxy *p, struct err *err)
{
	const struct config *c = p->config;
	size_t i;

	p->max_sessions = choose_max_sessions(c);
	p->limits = limits_new(c, p->max_sessions);
	p->cancels = cancels_new(
	    p->max_sessions < CANCELS_MAX ? p->max_sessions : CANCELS_MAX);
	p->health = calloc(c->nendpoints + 1, sizeof(struct server_health *));
	if (p->limits == NULL || p->cancels == NULL || p->health == NULL)
		return err_set(err, "proxy: out of memory");
	for (i = 0; i < c->nendpoints; i++) {
		p->health[i] = server_health_new(c->endpoints[i]);
		if (p->health[i] == NULL)
			return err_set(err, "proxy: out of memory");
	}
	if (make_members(p, err) == -1 || make_ktls(p, err) == -1 ||
	    make_tickets(p, err) == -1 || make_outgoing(p, err) == -1)
		return -1;
	return make_secrets(p, err);
}

/* A worker in the making: there may be thousands of contexts, so each is made
 * by a thread of its own that ends with that. */
struct making {
	struct proxy *proxy;
	struct worker *made;
	struct err err;
	pthread_t thread;
	bool threaded;
};

static void *
make_worker(void *arg)
{
	struct making *m = arg;

	m->made = worker_new(m->proxy, &m->err);
	return NULL;
}

static void
make_workers(struct making *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		list[i].threaded = i + 1 < n &&
		    pthread_create(&list[i].thread, NULL, make_worker,
			&list[i]) == 0;
		if (!list[i].threaded)
			(void)make_worker(&list[i]);
	}
	for (i = 0; i < n; i++) {
		if (list[i].threaded)
			(void)pthread_join(list[i].thread, NULL);
	}
}

/* All that were made are kept, for proxy_free(); the first error is told. */
static int
take_workers(struct proxy *p, const struct making *list, struct err *err)
{
	int result = 0;
	size_t i;

	for (i = 0; i < p->config->threads; i++) {
		if (list[i].made != NULL)
			p->workers[p->nworkers++] = list[i].made;
		else if (result == 0)
			result = err_set(err, "%s", list[i].err.text);
	}
	return result;
}

static int
make_pool(struct proxy *p, struct err *err)
{
	size_t i, n = p->config->threads;
	struct making *list;
	int result;

	p->workers = calloc(n, sizeof(struct worker *));
	list = calloc(n, sizeof(*list));
	if (p->workers == NULL || list == NULL) {
		free(list);
		return err_set(err, "proxy: out of memory");
	}
	for (i = 0; i < n; i++)
		list[i].proxy = p;
	make_workers(list, n);
	result = take_workers(p, list, err);
	free(list);
	return result;
}

static int
listen_at(struct proxy *p, const struct endpoint *e, size_t listen,
    struct err *err)
{
	struct listener_set *s;
	size_t i;

	if ((s = listener_set_new(e, listen, p->nworkers, err)) == NULL)
		return -1;
	p->sets[p->nsets++] = s;
	for (i = 0; i < listener_set_sockets(s); i++) {
		if (worker_listen(p->workers[i], s, err) == -1)
			return -1;
	}
	return 0;
}

/* Endpoints that are transparent share a listener. */
static bool
is_listened_at(const struct proxy *p, const struct address *at)
{
	size_t i;

	for (i = 0; i < p->nsets; i++) {
		if (address_equal(listener_set_address(p->sets[i]), at))
			return true;
	}
	return false;
}

static int
make_listeners(struct proxy *p, struct err *err)
{
	const struct config *c = p->config;
	size_t i, j, n = 0;

	for (i = 0; i < c->nendpoints; i++)
		n += c->endpoints[i]->nlistens;
	p->sets = calloc(n + 1, sizeof(struct listener_set *));
	if (p->sets == NULL)
		return err_set(err, "proxy: out of memory");
	for (i = 0; i < c->nendpoints; i++) {
		const struct endpoint *e = c->endpoints[i];

		for (j = 0; j < e->nlistens; j++) {
			if (e->transparent != TRANSPARENT_OFF &&
			    is_listened_at(p, &e->listens[j]))
				continue;
			if (listen_at(p, e, j, err) == -1)
				return -1;
		}
	}
	return 0;
}

/* Listening comes last: whoever connects is not kept waiting. */
struct proxy *
proxy_new(const struct config *c, struct err *err)
{
	struct proxy *p;

	if ((p = calloc(1, sizeof(*p))) == NULL) {
		(void)err_set(err, "proxy: out of memory");
		return NULL;
	}
	p->config = config_retain(c);
	atomic_init(&p->next_session, 1);
	atomic_init(&p->trimmed, 0);
	atomic_init(&p->sessions, 0);
	atomic_init(&p->draining, false);
	atomic_init(&p->undrained, 0);
	if (make_shared(p, err) == 0 && make_pool(p, err) == 0 &&
	    make_listeners(p, err) == 0)
		return p;
	proxy_free(p);
	return NULL;
}

int
proxy_start(struct proxy *p, struct err *err)
{
	size_t i;

	for (i = 0; i < p->nworkers; i++) {
		if (worker_start(p->workers[i], i, err) == -1)
			return -1;
	}
	return 0;
}

static void
order_all(struct proxy *p, enum worker_order order)
{
	size_t i;

	for (i = 0; i < p->nworkers; i++)
		worker_order(p->workers[i], order);
}

void
proxy_drain(struct proxy *p)
{
	if (atomic_load(&p->draining))
		return;
	atomic_store(&p->undrained, (unsigned)p->nworkers);
	atomic_store(&p->draining, true);
	order_all(p, WORKER_DRAIN);
}

void
proxy_stop(struct proxy *p)
{
	proxy_drain(p);
	order_all(p, WORKER_STOP);
}

/* A connection counts before its worker has it, and the workers hand on what
 * they find in their queues before they count as drained. */
bool
proxy_idle(const struct proxy *p)
{
	return atomic_load(&p->undrained) == 0 &&
	    atomic_load(&p->sessions) == 0;
}

static void
free_shared(struct proxy *p)
{
	size_t i;

	for (i = 0; p->health != NULL && i < p->config->nendpoints; i++) {
		if (p->health[i] != NULL)
			server_health_free(p->health[i]);
	}
	free(p->health);
	for (i = 0; p->members != NULL && i < p->config->nendpoints; i++)
		members_free(p->members[i]);
	free(p->members);
	for (i = 0; p->tickets != NULL && i < p->config->nendpoints; i++)
		ticket_keys_free(p->tickets[i]);
	free(p->tickets);
	if (p->limits != NULL)
		limits_free(p->limits);
	if (p->cancels != NULL)
		cancels_free(p->cancels);
	outgoing_free(p->outgoing);
	secrets_free(p->secrets);
	config_release(p->config);
}

void
proxy_free(struct proxy *p)
{
	size_t i;

	if (p == NULL)
		return;
	order_all(p, WORKER_QUIT);
	for (i = 0; i < p->nworkers; i++)
		worker_join(p->workers[i]);
	for (i = 0; i < p->nworkers; i++)
		worker_free(p->workers[i]);
	free(p->workers);
	for (i = 0; i < p->nsets; i++)
		listener_set_free(p->sets[i]);
	free(p->sets);
	free_shared(p);
	free(p);
}
