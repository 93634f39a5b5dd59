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

/* With the configured server; freed as the redirect that it begins with. */
struct followed {
	struct redirect redirect;
	struct server of;
	char host[HOST_MAX];
};

/* Of a network it is the one place in it where the session went first: its
 * other addresses are no reason to go there. */
static bool
set_configured(struct followed *f, const struct session *s)
{
	const struct address address = session_address(s->address);
	char text[ADDRESS_TEXT_MAX];
	struct err err;

	f->of = s->endpoint->servers[s->server];
	if (!f->of.is_network)
		return true;
	(void)address_format(&address, text, sizeof(text));
	if (address_split(text, f->host, &f->of.port, &err) == -1)
		return false;
	f->of.is_network = false;
	f->of.host = f->host;
	f->of.fixed = address;
	return true;
}

/* NULL if memory is short. */
static struct redirect *
followed_new(const struct session *s)
{
	struct followed *f;

	if ((f = calloc(1, sizeof(*f))) == NULL || !set_configured(f, s)) {
		free(f);
		return NULL;
	}
	f->redirect.of = &f->of;
	return &f->redirect;
}

bool
session_follow(struct session *s)
{
	const struct neg_ops *ops = s->endpoint->ops;
	const struct neg_route *route = &s->neg->n.route;

	if (++s->redirects > NEG_REDIRECTS_MAX) {
		session_refuse(s, REASON_REDIRECT, LEG_SERVER,
		    "the database server redirects, and redirects again",
		    "its listeners may point to each other", NULL);
		return false;
	}
	if (s->redirect == NULL && (s->redirect = followed_new(s)) == NULL) {
		session_refuse(s, REASON_INTERNAL, LEG_SERVER,
		    "the proxy is out of memory", NULL, NULL);
		return false;
	}
	redirect_judge(s->redirect, s->redirect->of,
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
