/*
 * world.h - the proxy itself, in this process, and what it leaves behind
 *
 * A world is a configuration text, a struct proxy that runs it on threads of
 * its own, its log, and the number of descriptors there were before.
 */
#ifndef TESTS_LOOP_WORLD_H
#define TESTS_LOOP_WORLD_H

#include "conf/config.h"
#include "proxy/worker.h"
#include "tests/loop/actor.h"
#include "tests/loop/fake.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define ENDPOINTS_MAX 250

struct world {
	char dir[64];
	char log[96];
	char *text; /* of the configuration, so far */
	size_t text_len;
	const struct config *config;
	struct proxy *proxy;
	unsigned descriptors; /* once everything listens */
	unsigned nendpoints;
	/* Instead of its engine's own; NULL: those. */
	const struct neg_ops *ops[ENDPOINTS_MAX];
	int error_fd;
};

void world_init(struct world *w);
/* An endpoint at a loopback address of its own before `fake`; `settings` is
 * the rest of its group.  Its number is for world_connect(). */
unsigned world_add(struct world *w, const char *name, const struct fake *fake,
    const char *settings);
/* The same of any engine, to any servers: "\"127.0.0.1:1\"", or a list. */
unsigned world_add_server(struct world *w, const char *engine, const char *name,
    const char *servers, const char *settings);
/* The same with as many listen addresses as there are servers. */
unsigned world_add_listens(struct world *w, const char *name, unsigned nlistens,
    const char *servers, const char *settings);
/* Prints what is wrong and exits if there is anything. */
void world_start(struct world *w);
/* The same in two: who connects in between is accepted afterwards. */
void world_listen(struct world *w);
void world_accept(struct world *w);
void world_fini(struct world *w); /* stops everything */

int world_connect(const struct world *w, unsigned endpoint);
/* By another of its listen addresses than the first. */
int world_connect_by(const struct world *w, unsigned endpoint, unsigned listen);
/* What that address is called; of static memory. */
const char *world_listen_text(unsigned endpoint, unsigned listen);
/* No session is left, nor a descriptor of one. */
bool world_settles(struct world *w);

/* Waits until a line of the log has all of `words` (NULL-terminated, and the
 * spaces around them count); false if none comes. */
bool world_logged(const struct world *w, const char *const *words);
unsigned world_count_logged(const struct world *w, const char *const *words);
void world_print_log(const struct world *w, const char *word);

/* How many have come to it, also of those whose turn has not come: we join the
 * queue ourselves.  It has one thread. */
unsigned world_visitors(struct fake *f);

/* Polls until it is true; false after PATIENCE_SECONDS. */
bool wait_until(bool (*is)(const void *), const void *arg);
/* Until whoever counts there has sent something and then, for a while, could
 * not send any more; how much it was. */
size_t wait_for_standstill(atomic_size_t *sent);
/* Without the ends of pipes: workers keep those, a few. */
unsigned descriptors_now(void);
unsigned pipes_now(void);
double seconds_now(void);

#endif /* TESTS_LOOP_WORLD_H */
