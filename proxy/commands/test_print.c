#include "proxy/commands/test_probe.h"

#include <stdint.h>
#include <stdio.h>

#include "proxy/commands/facts.h"

#define MSEC_PER_SEC 1e3
#define USEC_PER_SEC 1e6
/* Where the text of a step begins. */
#define INDENT "                  "

static const char *const step_names[PROBE_STEPS] = {
	[PROBE_RESOLVE] = "resolve",
	[PROBE_CONNECT] = "connect",
	[PROBE_NEGOTIATE] = "negotiate",
	[PROBE_HANDSHAKE] = "handshake",
	[PROBE_AGAIN] = "again",
	[PROBE_REDIRECT] = "redirect",
	[PROBE_ANSWER] = "answer",
	[PROBE_IDENTITY] = "identity",
	[PROBE_CHAIN] = "chain",
	[PROBE_PIN] = "pin",
	[PROBE_NAMES] = "names",
	[PROBE_EXPIRY] = "expiry",
};

static const char *
status_word(enum probe_status status)
{
	switch (status) {
	case PROBE_SKIPPED:
		return "skipped";
	case PROBE_OK:
		return "ok";
	case PROBE_FAILED:
		return "FAIL";
	case PROBE_UNCHECKED:
		return "-";
	}
	return "";
}

static void
print_fact(const char *label, const char *text)
{
	(void)printf(INDENT "    %-7s %s\n", label, text);
}

static void
print_cert(size_t i, const struct cert_facts *f)
{
	char digest[2 * CERT_DIGEST_LEN + 1];
	size_t k;

	for (k = 0; k < CERT_DIGEST_LEN; k++)
		(void)snprintf(digest + 2 * k, sizeof(digest) - 2 * k, "%02x",
		    f->sha256[k]);
	(void)printf(INDENT "[%zu] %s\n", i, f->subject);
	print_fact("issuer", f->issuer);
	(void)printf(INDENT "    valid   %s to %s\n", f->not_before,
	    f->not_after);
	if (f->names[0] != '\0')
		print_fact("names", f->names);
	print_fact("key", f->key);
	print_fact("pin", f->pin);
	print_fact("sha256", digest);
}

static void
print_line(const char *name, const char *word, const char *text)
{
	(void)printf("  %-10s %-4s %s\n", name, word, text);
}

static void
print_step(const struct probe *p, enum probe_step step)
{
	const struct probe_result *s = &p->steps[step];
	size_t i;

	if (s->status == PROBE_SKIPPED)
		return;
	(void)printf("  %-10s %-4s %s", step_names[step],
	    status_word(s->status), s->text);
	if (s->timed)
		(void)printf(" (%.2f ms)", s->seconds * MSEC_PER_SEC);
	(void)printf("\n");
	if (s->remedy[0] != '\0')
		(void)printf(INDENT "remedy: %s\n", s->remedy);
	if (step != PROBE_CHAIN)
		return;
	for (i = 0; i < p->ncerts; i++)
		print_cert(i, &p->certs[i]);
	if (p->ncerts_left_out > 0)
		(void)printf(INDENT "and %zu more\n", p->ncerts_left_out);
}

void
probe_print(const struct probe *p)
{
	const struct endpoint *e = p->endpoint;
	size_t i;

	(void)printf("%s: %s %s, ssl_mode %s\n", e->name, e->ops->name,
	    p->server->text, ssl_mode_name(e->mode));
	for (i = 0; i < PROBE_STEPS; i++)
		print_step(p, (enum probe_step)i);
	if (p->warning[0] != '\0')
		print_line("warning", "", p->warning);
	if (e->transparent != TRANSPARENT_OFF)
		print_line("bridge", "-",
		    "not tried: whether the rules of the kernel bring clients");
	if (p->reason == REASON_NONE)
		print_line("login", "-",
		    "not tried: user, password and database are untested");
	else
		print_line("refused", "", reason_name(p->reason));
}

/* To microseconds: more is noise. */
static double
rounded(double seconds)
{
	return (double)(int64_t)(seconds * USEC_PER_SEC + 0.5) / USEC_PER_SEC;
}

static void
json_step(struct json *j, const struct probe *p, enum probe_step step)
{
	const struct probe_result *s = &p->steps[step];

	if (s->status == PROBE_SKIPPED)
		return;
	json_object(j, NULL);
	json_string(j, "step", step_names[step]);
	json_string(j, "status",
	    s->status == PROBE_OK           ? "ok"
		: s->status == PROBE_FAILED ? "failed"
					    : "unchecked");
	json_string(j, "text", s->text);
	if (s->remedy[0] != '\0')
		json_string(j, "remedy", s->remedy);
	if (s->timed)
		json_number(j, "seconds", rounded(s->seconds));
	json_end_object(j);
}

static void
json_tls(struct json *j, const struct probe *p)
{
	if (p->version[0] == '\0') {
		json_null(j, "tls");
		return;
	}
	json_object(j, "tls");
	json_bool(j, "secured", p->secured);
	json_string(j, "version", p->version);
	json_string(j, "cipher", p->cipher);
	json_string(j, "group", p->group);
	json_string(j, "alpn", p->alpn);
	json_end_object(j);
}

void
probe_print_json(const struct probe *p, struct json *j)
{
	size_t i;

	json_object(j, NULL);
	json_string(j, "server", p->server->text);
	json_bool(j, "ok", p->reason == REASON_NONE);
	if (p->reason == REASON_NONE)
		json_null(j, "reason");
	else
		json_string(j, "reason", reason_name(p->reason));
	json_array(j, "steps");
	for (i = 0; i < PROBE_STEPS; i++)
		json_step(j, p, (enum probe_step)i);
	json_end_array(j);
	json_tls(j, p);
	json_array(j, "chain");
	for (i = 0; i < p->ncerts; i++)
		facts_json(j, NULL, &p->certs[i]);
	json_end_array(j);
	if (p->warning[0] != '\0')
		json_string(j, "warning", p->warning);
	json_end_object(j);
}
