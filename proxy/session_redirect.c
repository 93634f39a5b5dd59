/*
 * Servers that send their clients on, where the proxy follows in their place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/session_private.h"

#define DETAIL_MAX (REDIRECT_REMEDY_MAX + HOST_MAX + DIAL_TEXT_MAX + 64)

void
session_refuse_redirect(struct session *s, const char *why)
{
	const struct redirect *r = s->redirect;
	char hint[REDIRECT_REMEDY_MAX], detail[DETAIL_MAX];

	redirect_remedy(r, s->endpoint->ops, hint);
	(void)snprintf(detail, sizeof(detail),
	    "the database server redirects to %s, and %s; %s", r->text, why,
	    hint);
	session_refuse(s, REASON_REDIRECT, LEG_SERVER,
	    "the database server redirects to where it may not be followed",
	    hint, detail);
}

bool
session_follow(struct session *s)
{
	const struct neg_ops *ops = s->endpoint->ops;
	const struct neg_route *route = &s->neg->n.route;

	if (++s->redirects > REDIRECTS_MAX) {
		session_refuse(s, REASON_REDIRECT, LEG_SERVER,
		    "the database server redirects, and redirects again",
		    "its listeners may point to each other", NULL);
		return false;
	}
	if (s->redirect == NULL &&
	    (s->redirect = malloc(sizeof(*s->redirect))) == NULL) {
		session_refuse(s, REASON_INTERNAL, LEG_SERVER,
		    "the proxy is out of memory", NULL, NULL);
		return false;
	}
	redirect_judge(s->redirect, &s->endpoint->servers[s->server],
	    ops->redirects(s->neg->n.options), route->redirect_host,
	    route->redirect_port);
	if (s->redirect->way != REDIRECT_REFUSED)
		return true;
	if (s->redirect->text[0] != '\0')
		session_refuse_redirect(s, redirect_words(REDIRECT_REFUSED));
	else
		session_refuse(s, REASON_REDIRECT, LEG_SERVER,
		    "the database server redirects to what is no host", NULL,
		    NULL);
	return false;
}
