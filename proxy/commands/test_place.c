#include "proxy/commands/test_place.h"

/* All of them networks: nothing says which address of them. */
static int
check_places(const struct endpoint *e, struct err *err)
{
	size_t i;

	for (i = 0; i < e->nservers; i++) {
		if (!e->servers[i].is_network)
			return 0;
	}
	return err_set(err,
	    "%s: server %s is a network, and which of its addresses is meant "
	    "only a client says; name one with --to ADDRESS",
	    e->name, e->servers[0].text);
}

static unsigned
prefix(const struct server *s)
{
	struct cidr one;

	return s->is_network || !cidr_of_address(&s->fixed, &one)
	    ? s->network.bits
	    : one.bits;
}

/* The longest prefix that has it; NULL: none. */
static const struct server *
find_server(const struct endpoint *e, const char *host, uint16_t port,
    struct address *to)
{
	const struct server *found = NULL;
	size_t i;

	for (i = 0; i < e->nservers; i++) {
		const struct server *s = &e->servers[i];
		struct address a;

		if (address_parse_ip(host, port != 0 ? port : s->port, &a) &&
		    server_has_address(s, &a) &&
		    (found == NULL || prefix(s) > prefix(found))) {
			found = s;
			*to = a;
		}
	}
	return found;
}

int
place_choose(struct place *p, const struct endpoint *e, const char *to,
    struct err *err)
{
	const struct server *s;
	struct address at;
	struct err why;
	uint16_t port = 0;

	if (to == NULL)
		return check_places(e, err);
	if (e->transparent == TRANSPARENT_OFF)
		return err_set(err,
		    "--to: %s is not transparent, and goes to its own servers; "
		    "leave it out",
		    e->name);
	if (address_split(to, p->host, &port, &why) == -1)
		return err_set(err, "--to: %s", why.text);
	if ((s = find_server(e, p->host, port, &at)) == NULL)
		return err_set(err,
		    "--to: \"%s\" is no address that %s has by address or "
		    "network; `dbtls check` lists them",
		    to, e->name);
	p->server = *s;
	p->server.is_network = false;
	p->server.fixed = at;
	p->server.host = p->host;
	p->server.text = p->text;
	(void)address_format(&at, p->text, sizeof(p->text));
	p->chosen = true;
	return 0;
}
