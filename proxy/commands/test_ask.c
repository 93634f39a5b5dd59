#include "proxy/commands/test_probe.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#define MACHINE_MAX 65 /* HOST_NAME_MAX, and a NUL */
#define UNKNOWN     "unknown"

/* An engine without services, told of the option that was given. */
static int
fail_engine(const struct endpoint *e, const char *option, struct err *err)
{
	return err_set(err,
	    "%s: %s is an endpoint of engine %s, whose clients ask for no "
	    "service before they log in; leave it out (it is for engine "
	    "oracle)",
	    option, e->name, e->ops->name);
}

int
probe_ask(struct probe *p, const struct probe_service *wanted,
    const struct endpoint *e, size_t server, struct err *err)
{
	const struct server *s = &e->servers[server];
	const struct passwd *who = getpwuid(geteuid());
	const char *option = wanted->service != NULL ? "--service" : "--sid";
	char machine[MACHINE_MAX] = UNKNOWN;
	struct wr hello = { .base = p->hello, .cap = sizeof(p->hello) };
	const char *problem;
	struct neg_ask ask = {
		.service = wanted->service,
		.sid = wanted->sid,
		.host = s->host,
		.port = s->port,
		.tls = e->mode != SSL_MODE_NONE,
		.machine = machine,
		.user = who != NULL ? who->pw_name : UNKNOWN,
	};

	if (e->ops->ask == NULL)
		return fail_engine(e, option, err);
	if (gethostname(machine, sizeof(machine)) == -1)
		(void)memcpy(machine, UNKNOWN, sizeof(UNKNOWN));
	machine[sizeof(machine) - 1] = '\0';
	if ((problem = e->ops->ask(&ask, &hello)) != NULL)
		return err_set(err, "%s: the name %s", option, problem);
	p->hello_len = hello.len;
	return 0;
}
