/*
 * What contexts cost, what they say of themselves, and that nothing outside the
 * configuration weakens them.
 */
#include "proxy/tls.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <CUnit/Basic.h>
#include <openssl/err.h>

#include "proxy/tls_private.h"
#include "tests/unit/tls_world.h"

/* Of this process, whatever else the machine does. */
static double
cpu_seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A sanitizer's own weight would be measured. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEASURED false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEASURED false
#endif
#endif
#ifndef MEASURED
#define MEASURED true
#endif
#define ENDPOINTS 200
#define THREADS   16
#define BUNDLE    150

/* As a configuration of that size is loaded: the bundle is parsed once, each
 * thread has a store of it, each endpoint and thread a context. */
static void
contexts_are_cheap(void)
{
	static struct tls_context *contexts[THREADS][ENDPOINTS];
	struct tls_stores *stores[THREADS];
	struct endpoint *e = world_full();
	size_t i, j, before = mallinfo2().uordblks, used;
	struct keypair *k;
	struct err err;
	double start;

	for (i = 0; i < BUNDLE; i++) {
		k = world_issue(
		    &(struct wish){ .cn = "One of many", .ca = true });
		CU_ASSERT(X509_up_ref(k->leaf) == 1 &&
		    sk_X509_push(e->trust->anchors->certs, k->leaf) > 0);
		keypair_release(k);
	}
	start = cpu_seconds();
	for (i = 0; i < THREADS; i++) {
		stores[i] = tls_stores_new();
		CU_ASSERT_PTR_NOT_NULL_FATAL(stores[i]);
		for (j = 0; j < ENDPOINTS; j++) {
			contexts[i][j] =
			    tls_context_new(e, LEG_SERVER, stores[i], &err);
			CU_ASSERT_PTR_NOT_NULL_FATAL(contexts[i][j]);
		}
	}
	start = cpu_seconds() - start;
	used = mallinfo2().uordblks - before;
	printf("\n    %u contexts: %.2f s, %zu MiB ", ENDPOINTS * THREADS,
	    start, used >> 20);
	CU_ASSERT(!MEASURED || (start < 2 && used < (size_t)256 << 20));
	for (i = 0; i < THREADS; i++) {
		for (j = 0; j < ENDPOINTS; j++)
			tls_context_free(contexts[i][j]);
		tls_stores_free(stores[i]);
	}
	world_endpoint_free(e);
}

static void
context_errors_name_the_setting(void)
{
	struct tls_stores *stores = tls_stores_new();
	struct endpoint *e = world_full();
	char nonsense[] = "NONSENSE";
	struct err err;

	e->tls.ciphers = nonsense;
	CU_ASSERT_PTR_NULL(tls_context_new(e, LEG_SERVER, stores, &err));
	CU_ASSERT_STRING_EQUAL(err.text,
	    "endpoint test: tls.ciphers: no cipher match");
	e->tls.ciphers = NULL;
	e->tls.groups = nonsense;
	CU_ASSERT_PTR_NULL(tls_context_new(e, LEG_SERVER, stores, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "tls.groups"));
	e->tls.groups = NULL;
	e->identity = world.weak;
	CU_ASSERT_PTR_NULL(tls_context_new(e, LEG_SERVER, stores, &err));
	CU_ASSERT_STRING_EQUAL(err.text,
	    "endpoint test: identity.cert: ee key too small");
	e->identity = NULL;
	tls_stores_free(stores);
	world_endpoint_free(e);
}

static void
effective_says_what_openssl_has(void)
{
	struct tls_stores *stores = tls_stores_new();
	struct endpoint *e = world_full();
	struct tls_effective eff;
	struct tls_context *c;
	struct err err;

	c = tls_context_new(e, LEG_SERVER, stores, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	tls_context_effective(c, &eff);
	CU_ASSERT_STRING_EQUAL(eff.versions, "TLSv1.2 TLSv1.3");
	CU_ASSERT_EQUAL(eff.seclevel, 2);
	CU_ASSERT_FALSE(eff.legacy);
	CU_ASSERT_EQUAL(strncmp(eff.ciphers, "TLS_AES_128_GCM_SHA256:", 23), 0);
	CU_ASSERT_PTR_NULL(strstr(eff.ciphers + 1, "TLS_AES_128_GCM_SHA256"));
	CU_ASSERT_PTR_NOT_NULL(strstr(eff.groups, "X25519"));
	tls_context_free(c);

	/* what is less is called legacy */
	e->tls.seclevel = 1;
	c = tls_context_new(e, LEG_SERVER, stores, &err);
	tls_context_effective(c, &eff);
	CU_ASSERT_STRING_EQUAL(eff.versions, "TLSv1.2 TLSv1.3");
	CU_ASSERT(eff.legacy && eff.seclevel == 1);
	tls_context_free(c);

	e->tls.min = TLS1_VERSION;
	e->tls.seclevel = 0;
	e->tls.max = TLS1_2_VERSION;
	c = tls_context_new(e, LEG_SERVER, stores, &err);
	tls_context_effective(c, &eff);
	CU_ASSERT_STRING_EQUAL(eff.versions, "TLSv1 TLSv1.1 TLSv1.2");
	CU_ASSERT(eff.legacy && eff.seclevel == 0);
	tls_context_free(c);
	tls_stores_free(stores);
	world_endpoint_free(e);
}

/*
 * openssl.cnf: this program again, as a child that has a hostile one.
 */

static const char hostile[] =
    "openssl_conf = init\n[init]\nssl_conf = ssl\n"
    "[ssl]\nsystem_default = weak\n[weak]\n"
    "MinProtocol = TLSv1\nMaxProtocol = TLSv1.2\n"
    "CipherString = ALL:aNULL:@SECLEVEL=0\n"
    "Ciphersuites = TLS_AES_128_CCM_8_SHA256\n"
    "Groups = secp224r1\nSignatureAlgorithms = RSA+SHA1:ECDSA+SHA256\n"
    "Options = UnsafeLegacyRenegotiation,-ServerPreference\n";

/* All that a context shows of itself, and what it offers to a server. */
static void
child_describe(void)
{
	struct endpoint *e = world_full();
	struct tls_effective eff;
	int i, n, sign, hash, both;
	struct wire w;

	wire_open(&w, e, LEG_SERVER, NULL, world_peer(true, world.good[0]));
	wire_shake(&w);
	tls_context_effective(w.context, &eff);
	printf("%d %s level %d %s %s\n", w.result, eff.versions, eff.seclevel,
	    eff.ciphers, eff.groups);
	printf("%s %s %s\n", tls_version(w.tls), tls_cipher(w.tls),
	    tls_group(w.tls));
	n = SSL_get_sigalgs(w.peer, 0, NULL, NULL, NULL, NULL, NULL);
	for (i = 0; i < n; i++) {
		(void)SSL_get_sigalgs(w.peer, i, &sign, &hash, &both, NULL,
		    NULL);
		printf("%d/%d/%d ", sign, hash, both);
	}
	printf("options %llx\n",
	    (unsigned long long)SSL_CTX_get_options(w.context->ssl));
	wire_close(&w);
	world_endpoint_free(e);
}

/* Says first whether OpenSSL itself was led astray. */
static int
child_main(bool init)
{
	struct err err;
	SSL_CTX *raw;

	if (init && tls_init(&err) == -1)
		return 1;
	raw = SSL_CTX_new(TLS_client_method());
	printf("level %d, keys %s\n", SSL_CTX_get_security_level(raw),
	    getenv("SSLKEYLOGFILE") == NULL ? "kept" : "logged");
	SSL_CTX_free(raw);
	(void)world_set_up();
	child_describe();
	(void)world_tear_down();
	return 0;
}

static void
child_run(const char *conf, const char *how, char *said, size_t size)
{
	char command[512];
	size_t n;
	FILE *f;

	(void)snprintf(command, sizeof(command),
	    "OPENSSL_CONF=%s SSLKEYLOGFILE=/dev/null /proc/%d/exe %s", conf,
	    (int)getpid(), how);
	f = popen(command, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	n = fread(said, 1, size - 1, f);
	said[n] = '\0';
	CU_ASSERT_EQUAL(pclose(f), 0);
}

static void
openssl_cnf_weakens_nothing(void)
{
	static char clean[8192], led[8192], kept[8192];
	char conf[] = "/tmp/dbtls-test-XXXXXX";
	int fd = mkstemp(conf);

	CU_ASSERT_NOT_EQUAL_FATAL(fd, -1);
	CU_ASSERT_EQUAL(write(fd, hostile, sizeof(hostile) - 1),
	    (ssize_t)sizeof(hostile) - 1);
	(void)close(fd);
	child_run("/dev/null", "--child-plain", clean, sizeof(clean));
	child_run(conf, "--child-plain", led, sizeof(led));
	child_run(conf, "--child-init", kept, sizeof(kept));
	(void)unlink(conf);

	/* the file does work: OpenSSL alone falls for it, unless we begin */
	CU_ASSERT_EQUAL(strncmp(led, "level 0, keys logged", 20), 0);
	CU_ASSERT_NOT_EQUAL(strncmp(kept, "level 0", 7), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(kept, "keys kept"));
	/* and our contexts are the same with it and without */
	CU_ASSERT_PTR_NOT_NULL(strstr(clean, "\n0 TLSv1.2 TLSv1.3 level 2 "));
	CU_ASSERT_STRING_EQUAL(strchr(clean, '\n'), strchr(led, '\n'));
	CU_ASSERT_STRING_EQUAL(strchr(clean, '\n'), strchr(kept, '\n'));
}

static CU_TestInfo tests[] = {
	TEST(contexts_are_cheap),
	TEST(context_errors_name_the_setting),
	TEST(effective_says_what_openssl_has),
	TEST(openssl_cnf_weakens_nothing),
	CU_TEST_INFO_NULL,
};

int
main(int argc, char **argv)
{
	if (argc == 2 && strncmp(argv[1], "--child-", 8) == 0)
		return child_main(strcmp(argv[1], "--child-init") == 0);
	return world_main("tls_context", tests);
}
