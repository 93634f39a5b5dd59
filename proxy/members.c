#include "proxy/members.h"

#include <assert.h>
#include <stdlib.h>

struct members {
	struct neg_members lent;
	struct neg_member *list;
	char (*listens)[ADDRESS_TEXT_MAX];
};

static void
set_member(struct members *m, const struct endpoint *e, size_t i)
{
	m->list[i] = (struct neg_member){
		.host = e->servers[i].host,
		.called = server_called(&e->servers[i]),
		.port = e->servers[i].port,
		.listen = address_format(&e->listens[i], m->listens[i],
		    sizeof(m->listens[i])),
	};
}

struct members *
members_new(const struct endpoint *e)
{
	struct members *m;
	size_t i, n = e->nservers;

	assert(e->nlistens == n); /* the configuration has seen to that */
	if ((m = calloc(1, sizeof(*m))) == NULL ||
	    (m->list = calloc(n, sizeof(*m->list))) == NULL ||
	    (m->listens = calloc(n, sizeof(*m->listens))) == NULL)
		goto fail;
	for (i = 0; i < n; i++)
		set_member(m, e, i);
	m->lent = (struct neg_members){ .list = m->list, .n = n };
	return m;
fail:
	members_free(m);
	return NULL;
}

void
members_free(struct members *m)
{
	if (m == NULL)
		return;
	free(m->list);
	free(m->listens);
	free(m);
}

const struct neg_members *
members_lend(const struct members *m)
{
	return m == NULL ? NULL : &m->lent;
}
