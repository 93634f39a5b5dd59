/* load.c - ten thousand sessions, and nothing of them left */
#include "tests/loop/suites.h"

#include <sys/socket.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#include "tests/loop/scenario.h"

#define CLIENTS    4
#define SESSIONS   (SANITIZED ? 2000u : 10000u) /* sanitizers take their time */
#define WARM_UP    500u
#define SERVERS    8
#define PAGES_MORE 1024 /* that a process may grow by: 4 MiB */

static const struct step server_steps[] = { MESSAGE, SEND("S"), TLS, MESSAGE,
	SEND(WELCOME), DRAIN, BYE, { .act = DO_END } };
static const struct step client_steps[] = { SEND(STARTUP),
	RECEIVE(sizeof(WELCOME) - 1), SEND(TERMINATE), FIN, DRAIN,
	{ .act = DO_END } };
#define CLIENT_STEPS (sizeof(client_steps) / sizeof(client_steps[0]) - 1)

struct crowd {
	const struct world *world;
	unsigned endpoint;
	unsigned sessions;
	unsigned failures;
};

static void *
come_and_go(void *arg)
{
	struct crowd *crowd = arg;
	unsigned i;

	for (i = 0; i < crowd->sessions; i++) {
		struct actor a = { .fd = world_connect(crowd->world,
				       crowd->endpoint) };

		actor_play(&a, client_steps);
		if (a.done != CLIENT_STEPS || a.ending != ENDING_FIN)
			crowd->failures++;
		actor_fini(&a);
	}
	return NULL;
}

static unsigned
crowd_of(const struct world *w, unsigned endpoint, unsigned sessions)
{
	struct crowd crowds[CLIENTS];
	pthread_t threads[CLIENTS];
	unsigned i, failures = 0;

	for (i = 0; i < CLIENTS; i++) {
		crowds[i] =
		    (struct crowd){ w, endpoint, sessions / CLIENTS, 0 };
		if (pthread_create(&threads[i], NULL, come_and_go,
			&crowds[i]) != 0)
			abort();
	}
	for (i = 0; i < CLIENTS; i++) {
		(void)pthread_join(threads[i], NULL);
		failures += crowds[i].failures;
	}
	return failures;
}

/* Resident, of this process: the second number. */
static long
pages_now(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	char line[256], *end;
	long resident;

	if (f == NULL || fgets(line, sizeof(line), f) == NULL)
		abort();
	(void)fclose(f);
	(void)strtol(line, &end, 10);
	resident = strtol(end, NULL, 10);
	return resident;
}

void
load_leaves_nothing(void)
{
	const char *closed[] = { "event=session.close ",
		" reason=client_closed", NULL };
	struct fake fake;
	unsigned endpoint;
	struct world w;
	long before;

	world_init(&w);
	fake_init(&fake, server_steps, server_context("good"));
	fake.keep = false;
	fake_start(&fake, SERVERS);
	endpoint = world_add(&w, "load", &fake, MODE_FULL);
	world_start(&w);
	CU_ASSERT_EQUAL(crowd_of(&w, endpoint, WARM_UP), 0);
	CU_ASSERT_TRUE(world_settles(&w));
	before = pages_now();
	CU_ASSERT_EQUAL(crowd_of(&w, endpoint, SESSIONS), 0);
	CU_ASSERT_TRUE(world_settles(&w));
	/* Sanitizers keep what was freed. */
	if (!SANITIZED)
		CU_ASSERT_TRUE(pages_now() - before < PAGES_MORE);
	CU_ASSERT_EQUAL(world_count_logged(&w, closed), WARM_UP + SESSIONS);
	world_fini(&w);
	fake_fini(&fake);
}
