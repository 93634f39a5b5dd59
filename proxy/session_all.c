/* What befalls all sessions of a worker. */
#include "proxy/session.h"

#include "proxy/session_private.h"

/* Each may leave the list while it is dealt with; no other does. */

void
session_drain_all(struct worker *w)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&w->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		session_drain(s);
	}
}

void
session_end_all(struct worker *w, enum reason reason, const char *text)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&w->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		session_end(s, reason, text);
	}
}
