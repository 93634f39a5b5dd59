#include "proxy/commands/test_probe.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conf/trust.h"

#define DAY_SECONDS (24 * 60 * 60)

/* What is known about the certificate that was shown. */
struct judged {
	struct probe *p;
	const struct tls *tls;
	const struct cert_verdict *v; /* of the handshake, which counts */
	struct cert_verdict sound;    /* were all certificates in date */
	time_t now;
};

static void
keep_cert(const struct cert_facts *f, void *arg)
{
	struct probe *p = arg;

	if (p->ncerts < PROBE_CERTS_MAX)
		p->certs[p->ncerts++] = *f;
	else
		p->ncerts_left_out++;
}

/* The inverse of cert_time_text(); 0 if it is none. */
static time_t
read_time(const char *text)
{
	struct tm tm = { .tm_mday = 0 };

	if (strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) == NULL)
		return 0;
	return timegm(&tm);
}

static bool
is_about_dates(enum reason reason)
{
	return reason == REASON_EXPIRED || reason == REASON_NOT_YET_VALID;
}

static bool
checks_chain(const struct judged *j)
{
	return j->p->endpoint->mode >= SSL_MODE_VERIFY_CA;
}

/* What a database made for itself when nobody gave it a certificate; NULL: it
 * is none of those.  Anybody can copy these names, so what is said must not
 * talk anyone into trusting. */
static const char *
hint_for_self_made(const struct cert_facts *leaf)
{
	if (strstr(leaf->subject, "CN=MySQL_Server_") != NULL &&
	    strstr(leaf->subject, "_Auto_Generated_Server_Certificate") != NULL)
		return "MySQL made this certificate for itself, and for no "
		       "host: fetch ca.pem from its data directory by a way "
		       "that you trust, and use ssl_mode = \"verify-ca\"; or "
		       "give it a certificate that bears its name";
	if (strcmp(leaf->subject, "CN=MariaDB Server") == 0 &&
	    strcmp(leaf->issuer, leaf->subject) == 0)
		return "MariaDB makes this certificate anew at each start, so "
		       "neither ca nor pin can know it: give the server one "
		       "of its own (ssl_cert, ssl_key)";
	return NULL;
}

static const char *
remedy_for(const struct judged *j, enum probe_step step, const char *usual)
{
	const char *hint = NULL;

	if (step == PROBE_CHAIN || step == PROBE_NAMES)
		hint = hint_for_self_made(&j->p->certs[0]);
	return hint != NULL ? hint : usual;
}

static void
judge_fail(struct judged *j, enum probe_step step, const struct cert_verdict *v)
{
	probe_fail(j->p, step, v->reason, remedy_for(j, step, v->hint), "%s",
	    v->text);
}

/*
 * The chain, as it would be if every certificate were in date: the dates have
 * a step of their own.
 */
static void
judge_chain(struct judged *j)
{
	struct cert_facts anchor;
	const struct cert_verdict *v = &j->sound;

	if (!checks_chain(j)) {
		probe_set(j->p, PROBE_CHAIN, PROBE_UNCHECKED,
		    "not checked (ssl_mode require); %zu shown", j->p->ncerts);
		return;
	}
	if (!v->accepted && v->reason != REASON_NAME_MISMATCH &&
	    v->reason != REASON_PIN_MISMATCH && !is_about_dates(v->reason)) {
		judge_fail(j, PROBE_CHAIN, v);
		return;
	}
	if (tls_anchor(j->tls, v, &anchor))
		probe_set(j->p, PROBE_CHAIN, PROBE_OK,
		    "%zu shown, trusted by \"%s\"", j->p->ncerts,
		    anchor.subject);
	else
		probe_set(j->p, PROBE_CHAIN, PROBE_OK, "%zu shown, trusted",
		    j->p->ncerts);
}

static void
judge_pin(struct judged *j)
{
	const struct target *target = j->p->target;

	if (target->npins == 0)
		return;
	if (j->v->reason == REASON_PIN_MISMATCH)
		judge_fail(j, PROBE_PIN, j->v);
	else if (j->v->accepted)
		probe_set(j->p, PROBE_PIN, PROBE_OK,
		    "the key is one of those pinned");
	else
		probe_set(j->p, PROBE_PIN, PROBE_UNCHECKED,
		    "not come to, as the certificate was refused before");
}

static void
wanted_names(const struct target *target, char *text, size_t size)
{
	size_t i, len;

	(void)snprintf(text, size, "%s",
	    target->server_dn != NULL ? target->server_dn : "");
	for (i = 0; target->server_dn == NULL && i < target->nnames; i++) {
		len = strlen(text);
		(void)snprintf(text + len, size - len, "%s%s",
		    i == 0 ? "" : " or ", target->names[i]);
	}
}

static void
judge_names(struct judged *j)
{
	char carried[512], wanted[256];
	bool fits = tls_name_fits(j->tls, carried, sizeof(carried));

	wanted_names(j->p->target, wanted, sizeof(wanted));
	if (carried[0] == '\0')
		(void)snprintf(carried, sizeof(carried), "no name at all");
	if (j->p->endpoint->mode < SSL_MODE_VERIFY_FULL)
		probe_set(j->p, PROBE_NAMES, PROBE_UNCHECKED,
		    "not checked (ssl_mode %s); the certificate is for %s",
		    ssl_mode_name(j->p->endpoint->mode), carried);
	else if (j->v->reason == REASON_NAME_MISMATCH)
		judge_fail(j, PROBE_NAMES, j->v);
	else if (fits && strcmp(wanted, carried) == 0)
		probe_set(j->p, PROBE_NAMES, PROBE_OK,
		    "the certificate is for %s", wanted);
	else if (fits)
		probe_set(j->p, PROBE_NAMES, PROBE_OK, "%s is covered by %s",
		    wanted, carried);
	else
		probe_fail(j->p, PROBE_NAMES, REASON_NAME_MISMATCH,
		    remedy_for(j, PROBE_NAMES,
			"set server_name to a name that the certificate "
			"bears, or have it issued with this one"),
		    "the certificate is for %s, not %s", carried, wanted);
}

/* The one that ends first, of those that were shown. */
static const struct cert_facts *
first_to_end(const struct probe *p)
{
	const struct cert_facts *first = &p->certs[0];
	size_t i;

	for (i = 1; i < p->ncerts; i++)
		if (read_time(p->certs[i].not_after) <
		    read_time(first->not_after))
			first = &p->certs[i];
	return first;
}

static void
judge_expiry(struct judged *j)
{
	const struct cert_facts *f = first_to_end(j->p);
	time_t left = read_time(f->not_after) - j->now;
	bool began = read_time(j->p->certs[0].not_before) <= j->now;

	if (is_about_dates(j->v->reason))
		judge_fail(j, PROBE_EXPIRY, j->v);
	else if (left >= 0 && began)
		probe_set(j->p, PROBE_EXPIRY, PROBE_OK,
		    "%lld days left, until %s (\"%s\")",
		    (long long)(left / DAY_SECONDS), f->not_after, f->subject);
	else if (left < 0)
		probe_set(j->p, PROBE_EXPIRY, PROBE_UNCHECKED,
		    "\"%s\" expired %lld days ago, at %s", f->subject,
		    (long long)(-left / DAY_SECONDS), f->not_after);
	else
		probe_set(j->p, PROBE_EXPIRY, PROBE_UNCHECKED,
		    "\"%s\" is not valid before %s", j->p->certs[0].subject,
		    j->p->certs[0].not_before);
}

/* A moment at which the leaf was in date, if it is not now. */
static time_t
sound_moment(const struct judged *j)
{
	const struct cert_facts *leaf = &j->p->certs[0];
	time_t from = read_time(leaf->not_before);
	time_t to = read_time(leaf->not_after);

	if (!is_about_dates(j->v->reason) || from == 0 || to <= from)
		return j->now;
	return from + (to - from) / 2;
}

void
probe_judge(struct probe *p, const struct tls *t)
{
	struct judged j = { .p = p,
		.tls = t,
		.v = tls_verdict(t),
		.now = time(NULL) };

	/* Of several handshakes the last: those before it were all right. */
	p->ncerts = 0;
	p->ncerts_left_out = 0;
	free(p->pem);
	tls_chain_each(t, keep_cert, p);
	p->pem = tls_chain_pem(t);
	if (p->ncerts == 0 || !tls_judge_at(t, sound_moment(&j), &j.sound))
		return;
	(void)snprintf(p->warning, sizeof(p->warning), "%s", j.v->warning);
	judge_chain(&j);
	judge_pin(&j);
	judge_names(&j);
	judge_expiry(&j);
}
