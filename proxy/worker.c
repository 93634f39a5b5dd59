#include "proxy/worker.h"

#include <sys/eventfd.h>

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/relay.h"
#include "proxy/session.h"
#include "proxy/times.h"
#include "proxy/worker_private.h"

#define THREAD_NAME_MAX 16 /* of the kernel, with its NUL */
#define USEC_PER_SEC    1e6
#define TIDY_SECONDS    600 /* what is over is wiped so much later at most */

/*
 * The mailbox: the only way in for other threads.
 */

/* An eventfd is full after 2^64 - 2 rings, so this does not fail. */
static void
bell_ring(const struct worker_private *private)
{
	uint64_t one = 1;

	(void)!write(private->bell, &one, sizeof(one));
}

void
worker_order(struct worker *w, enum worker_order order)
{
	struct worker_private *private = w->private;

	(void)pthread_mutex_lock(&private->lock);
	private->orders |= (unsigned)order;
	(void)pthread_mutex_unlock(&private->lock);
	bell_ring(private);
}

static void
post(struct worker *w, struct posted *p)
{
	struct worker_private *private = w->private;
	bool first;

	(void)pthread_mutex_lock(&private->lock);
	first = STAILQ_EMPTY(&private->arrivals);
	STAILQ_INSERT_TAIL(&private->arrivals, p, link);
	(void)pthread_mutex_unlock(&private->lock);
	if (first)
		bell_ring(private);
}

/* It was counted when it was admitted and adopted. */
static void
turn_away(struct worker *w, const struct arrival *a)
{
	(void)close(a->fd);
	if (a->admitted == REASON_NONE)
		limits_turn_back(w->proxy->limits, a->endpoint, &a->client);
	worker_released(w);
}

void
worker_adopt(struct worker *w, const struct arrival *a)
{
	struct posted *p;

	(void)atomic_fetch_add(&w->load, 1);
	(void)atomic_fetch_add(&w->proxy->sessions, 1);
	if (atomic_load(&w->private->self) == (unsigned long)pthread_self()) {
		session_new(w, a);
		return;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL) {
		turn_away(w, a);
		return;
	}
	p->arrival = *a;
	post(w, p);
}

struct worker *
worker_least_loaded(struct worker *w)
{
	const struct proxy *p = w->proxy;
	struct worker *best = w;
	unsigned load, least = atomic_load(&w->load);
	size_t i;

	for (i = 0; i < p->nworkers; i++) {
		load = atomic_load(&p->workers[i]->load);
		if (load < least) {
			least = load;
			best = p->workers[i];
		}
	}
	return best;
}

static void
drain(struct worker *w)
{
	struct worker_private *private = w->private;
	size_t i;

	for (i = 0; i < private->nlisteners; i++)
		listener_stop(private->listeners[i]);
	session_drain_all(w);
	(void)atomic_fetch_sub(&w->proxy->undrained, 1);
}

static void
obey(struct worker *w, unsigned orders)
{
	if (orders & WORKER_DRAIN)
		drain(w);
	if (orders & WORKER_STOP)
		session_end_all(w, REASON_DRAIN, "the proxy was told to stop");
	if (orders & WORKER_QUIT)
		(void)event_base_loopbreak(w->base);
}

static void
on_mail(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct posted_list arrivals = STAILQ_HEAD_INITIALIZER(arrivals);
	struct posted *p;
	unsigned orders;
	uint64_t rings;

	(void)what;
	(void)!read(fd, &rings, sizeof(rings));
	(void)pthread_mutex_lock(&w->private->lock);
	STAILQ_CONCAT(&arrivals, &w->private->arrivals);
	orders = w->private->orders;
	w->private->orders = 0;
	(void)pthread_mutex_unlock(&w->private->lock);
	while ((p = STAILQ_FIRST(&arrivals)) != NULL) {
		STAILQ_REMOVE_HEAD(&arrivals, link);
		session_new(w, &p->arrival);
		free(p);
	}
	obey(w, orders);
}

static void
on_tidy(evutil_socket_t fd, short what, void *arg)
{
	const struct worker *w = arg;
	size_t i;

	(void)fd;
	(void)what;
	for (i = 0; i < w->proxy->config->nendpoints; i++)
		tls_context_tidy(w->contexts[LEG_CLIENT][i]);
}

/* 0: this thread is to do it now; else how many seconds it had better wait. */
static long long
trim_later(struct proxy *p)
{
	long long last = atomic_load(&p->trimmed);
	long long now = (long long)times_now();

	if (last != 0 && now < last + WORKER_TRIM_EVERY)
		return last + WORKER_TRIM_EVERY - now;
	return atomic_compare_exchange_strong(&p->trimmed, &last, now)
	    ? 0
	    : WORKER_TRIM_EVERY;
}

static void
on_trim(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct timeval later = { .tv_sec = (time_t)trim_later(w->proxy) };

	(void)fd;
	(void)what;
	if (later.tv_sec != 0 && event_add(w->trim, &later) == 0)
		return;
	w->handshakes = 0;
	if (later.tv_sec == 0)
		(void)malloc_trim(0);
}

static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	session_reap(arg);
}

/*
 * Making one.
 */

static struct event_base *
base_new(void)
{
	struct event_config *how;
	struct event_base *base = NULL;

	if ((how = event_config_new()) == NULL)
		return NULL;
	/* No lock: the mailbox is the only thing that others touch.  No list of
	 * changes to be told to epoll later: by then a descriptor may be closed
	 * and its number another thread's. */
	if (event_config_set_flag(how,
		EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(how);
	event_config_free(how);
	return base;
}

static struct worker_private *
private_new(void)
{
	struct worker_private *private;

	if ((private = calloc(1, sizeof(*private))) == NULL)
		return NULL;
	STAILQ_INIT(&private->arrivals);
	atomic_init(&private->self, 0);
	private->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (private->bell == -1) {
		free(private);
		return NULL;
	}
	if (pthread_mutex_init(&private->lock, NULL) != 0) {
		(void)close(private->bell);
		free(private);
		return NULL;
	}
	return private;
}

static void
private_free(struct worker_private *private)
{
	size_t i;

	if (private == NULL)
		return;
	for (i = 0; i < private->nlisteners; i++)
		listener_free(private->listeners[i]);
	free(private->listeners);
	if (private->mail != NULL)
		event_free(private->mail);
	if (private->tidy != NULL)
		event_free(private->tidy);
	(void)close(private->bell);
	(void)pthread_mutex_destroy(&private->lock);
	free(private);
}

static int
make_loop(struct worker *w)
{
	if ((w->private = private_new()) == NULL ||
	    (w->base = base_new()) == NULL)
		return -1;
	w->private->mail = event_new(w->base, w->private->bell,
	    EV_READ | EV_PERSIST, on_mail, w);
	w->private->tidy = event_new(w->base, -1, EV_PERSIST, on_tidy, w);
	w->reap = event_new(w->base, -1, 0, on_reap, w);
	w->trim = event_new(w->base, -1, 0, on_trim, w);
	w->buffers = relay_buffers_new();
	w->stores = tls_stores_new();
	if (w->private->mail == NULL || w->private->tidy == NULL ||
	    w->reap == NULL || w->trim == NULL || w->buffers == NULL ||
	    w->stores == NULL)
		return -1;
	return event_add(w->private->mail, NULL);
}

static bool
leg_has_tls(const struct endpoint *e, enum leg_id leg)
{
	if (leg == LEG_CLIENT)
		return e->client_rule != CLIENT_TLS_OFF;
	return e->mode != SSL_MODE_NONE;
}

static int
make_contexts(struct worker *w, enum leg_id leg, struct err *err)
{
	const struct config *c = w->proxy->config;
	struct tls_context **contexts;
	size_t i;

	contexts = calloc(c->nendpoints + 1, sizeof(struct tls_context *));
	if ((w->contexts[leg] = contexts) == NULL)
		return err_set(err, "worker: out of memory");
	for (i = 0; i < c->nendpoints; i++) {
		if (!leg_has_tls(c->endpoints[i], leg))
			continue;
		contexts[i] =
		    tls_context_new(c->endpoints[i], leg, w->stores, err);
		if (contexts[i] == NULL)
			return -1;
		if (leg == LEG_CLIENT &&
		    !tls_context_tickets(contexts[i], w->proxy->tickets[i]))
			return err_set(err,
			    "endpoint %s: OpenSSL cannot seal session tickets",
			    c->endpoints[i]->name);
		if (endpoint_may_ktls(c->endpoints[i], NULL))
			tls_context_kernel(contexts[i], w->proxy->ktls.suites);
	}
	return 0;
}

/* Only where there is something: a loop with a timer looks at the clock in each
 * of its rounds. */
static int
tidy_tickets(struct worker *w, struct err *err)
{
	static const struct timeval tidy = { .tv_sec = TIDY_SECONDS };
	const struct config *c = w->proxy->config;
	size_t i;

	for (i = 0; i < c->nendpoints; i++) {
		if (w->contexts[LEG_CLIENT][i] == NULL)
			continue;
		if (event_add(w->private->tidy, &tidy) == -1)
			return err_set(err, "worker: out of memory");
		return 0;
	}
	return 0;
}

struct worker *
worker_new(struct proxy *p, struct err *err)
{
	struct worker *w;

	if ((w = calloc(1, sizeof(*w))) == NULL) {
		(void)err_set(err, "worker: out of memory");
		return NULL;
	}
	w->proxy = p;
	atomic_init(&w->load, 0);
	TAILQ_INIT(&w->sessions);
	TAILQ_INIT(&w->ended);
	if (make_loop(w) == -1) {
		(void)err_set_errno(err, "worker: cannot make an event loop");
		goto fail;
	}
	if ((w->dialer = dialer_new(w->base, p->config, err)) == NULL ||
	    make_contexts(w, LEG_CLIENT, err) == -1 ||
	    tidy_tickets(w, err) == -1 ||
	    make_contexts(w, LEG_SERVER, err) == -1)
		goto fail;
	dialer_share(w->dialer, p->outgoing);
	return w;
fail:
	worker_free(w);
	return NULL;
}

int
worker_listen(struct worker *w, struct listener_set *s, struct err *err)
{
	struct worker_private *private = w->private;
	struct listener **listeners;

	listeners = realloc(private->listeners,
	    (private->nlisteners + 1) * sizeof(struct listener *));
	if (listeners == NULL)
		return err_set(err, "worker: out of memory");
	private->listeners = listeners;
	listeners[private->nlisteners] = listener_new(w, s, err);
	if (listeners[private->nlisteners] == NULL)
		return -1;
	private->nlisteners++;
	return 0;
}

static void
free_contexts(struct worker *w, enum leg_id leg)
{
	size_t i;

	if (w->contexts[leg] == NULL)
		return;
	for (i = 0; i < w->proxy->config->nendpoints; i++)
		tls_context_free(w->contexts[leg][i]);
	free(w->contexts[leg]);
}

/* Connections that came after the loop had ended. */
static void
free_arrivals(struct worker *w)
{
	struct posted *p;

	while (w->private != NULL &&
	    (p = STAILQ_FIRST(&w->private->arrivals)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->private->arrivals, link);
		turn_away(w, &p->arrival);
		free(p);
	}
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	free_arrivals(w);
	session_end_all(w, REASON_DRAIN, "the proxy was told to stop");
	session_reap(w);
	private_free(w->private); /* whose listeners ask for names */
	if (w->dialer != NULL)
		dialer_free(w->dialer);
	free_contexts(w, LEG_CLIENT);
	free_contexts(w, LEG_SERVER);
	tls_stores_free(w->stores);
	relay_buffers_free(w->buffers);
	if (w->trim != NULL)
		event_free(w->trim);
	if (w->reap != NULL)
		event_free(w->reap);
	if (w->base != NULL)
		event_base_free(w->base);
	free(w);
}

/*
 * Its thread.
 */

/* Does any of its sessions want it to look for more before it sleeps? */
static bool
ever_polls(const struct config *c)
{
	size_t i;

	for (i = 0; i < c->nendpoints; i++) {
		if (c->endpoints[i]->busy_poll_us > 0)
			return true;
	}
	return false;
}

/* The same loop, but asleep only when nothing has come for the time that the
 * last that did come asks for.  Looking without sleeping is all that changes:
 * orders, timers and those that are accepted are found as soon. */
static int
loop_polling(struct worker *w)
{
	struct leg_buffers *b = relay_leg_buffers(w->buffers);
	double now, until = 0;
	int how = EVLOOP_ONCE;

	while (event_base_loop(w->base, how | EVLOOP_NO_EXIT_ON_EMPTY) != -1) {
		if (event_base_got_break(w->base))
			return 0;
		now = times_now();
		if (b->busy_poll_us > 0 &&
		    now + b->busy_poll_us / USEC_PER_SEC > until)
			until = now + b->busy_poll_us / USEC_PER_SEC;
		b->busy_poll_us = 0;
		how = now < until ? EVLOOP_NONBLOCK : EVLOOP_ONCE;
	}
	return -1;
}

static int
loop(struct worker *w)
{
	if (ever_polls(w->proxy->config))
		return loop_polling(w);
	return event_base_loop(w->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;

	atomic_store(&w->private->self, (unsigned long)pthread_self());
	if (loop(w) == -1)
		log_event(LEVEL_ERR, "worker.failed", NULL,
		    "the event loop has failed: %s", strerror(errno));
	return NULL;
}

/* Signals are the main thread's. */
int
worker_start(struct worker *w, size_t number, struct err *err)
{
	char name[THREAD_NAME_MAX];
	sigset_t all, before;
	int error;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&w->private->thread, NULL, worker_main, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0) {
		errno = error;
		return err_set_errno(err,
		    "worker: cannot start a thread; lower `threads`, or "
		    "raise the limit of processes");
	}
	w->private->running = true;
	(void)snprintf(name, sizeof(name), "worker %zu", number);
	(void)pthread_setname_np(w->private->thread, name);
	return 0;
}

void
worker_join(struct worker *w)
{
	if (!w->private->running)
		return;
	(void)pthread_join(w->private->thread, NULL);
	w->private->running = false;
	atomic_store(&w->private->self, 0);
}
