/*
 * Servers that send their clients on, where the proxy follows in their place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/session_private.h"

/* A server that is sent to sends on itself, at most so often. */
#define REDIRECTS_MAX 3

#define SETTING_MAX 64
#define HINT_MAX    (HOST_MAX + 2 * SETTING_MAX)
#define DETAIL_MAX  (HINT_MAX + HOST_MAX + DIAL_TEXT_MAX + SETTING_MAX)

/* The setting that allows places: "oracle.redirect_allow". */
static void
setting_name(const struct endpoint *e, char *text, size_t size)
{
	const struct neg_option *o = e->ops->options;

	while (o != NULL && o->name != NULL && o->kind != NEG_OPTION_HOSTS)
		o++;
	(void)snprintf(text, size, "%s.%s", protocol_group(e->ops),
	    o == NULL || o->name == NULL ? "?" : o->name);
}

void
session_refuse_redirect(struct session *s, const char *why)
{
	const struct redirect *r = s->redirect;
	char setting[SETTING_MAX], hint[HINT_MAX], detail[DETAIL_MAX];

	setting_name(s->endpoint, setting, sizeof(setting));
	(void)snprintf(hint, sizeof(hint),
	    "if that server is to be believed, set %s = [ \"%s\" ]", setting,
	    r->host);
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
		session_refuse_redirect(s,
		    "that is no host of its domain, and not listed");
	else
		session_refuse(s, REASON_REDIRECT, LEG_SERVER,
		    "the database server redirects to what is no host", NULL,
		    NULL);
	return false;
}
