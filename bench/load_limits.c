/*
 * load_limits.c - what cannot be had for less from the OpenSSL that this is
 * linked with: AES of whole records, and a client's handshakes in memory, which
 * cost what libssl itself takes and no system call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "bench/load.h"

#define RECORD     16384
#define RECORDS    64 /* between two looks at the clock */
#define IV_LEN     12
#define TAG_LEN    16
#define KEY_LEN    32
#define GIGABYTE   1e9
#define MICRO      1e6
#define NANO       1e9
#define HANDSHAKES 20u /* between two looks at the clock */
#define FLIGHTS    10u /* more than a handshake has */

struct pair {
	SSL_CTX *client, *server;
	SSL_SESSION *session; /* to be offered */
	double took;          /* by the client */
};

static double
own_seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / NANO;
}

/* --- AES */

static const EVP_CIPHER *
cipher_of(const char *suite)
{
	if (strstr(suite, "AES_128") != NULL)
		return EVP_aes_128_gcm();
	if (strstr(suite, "CHACHA20") != NULL)
		return EVP_chacha20_poly1305();
	return EVP_aes_256_gcm();
}

static bool
seal_record(EVP_CIPHER_CTX *c, const uint8_t *in, uint8_t *out)
{
	static const uint8_t iv[IV_LEN], head[5];
	uint8_t tag[TAG_LEN];
	int n;

	return EVP_EncryptInit_ex(c, NULL, NULL, NULL, iv) == 1 &&
	    EVP_EncryptUpdate(c, NULL, &n, head, sizeof(head)) == 1 &&
	    EVP_EncryptUpdate(c, out, &n, in, RECORD) == 1 &&
	    EVP_EncryptFinal_ex(c, out + n, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) == 1;
}

/* Seconds of processor for a gigabyte; 0: it cannot be done. */
static double
aes(const struct options *o)
{
	static uint8_t in[RECORD], out[RECORD];
	static const uint8_t key[KEY_LEN];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	double began = own_seconds(), now = began, done = 0;
	bool ok = c != NULL &&
	    EVP_EncryptInit_ex(c, cipher_of(o->suite), NULL, key, NULL) == 1;
	int i;

	while (ok && now < began + o->seconds) {
		for (i = 0; ok && i < RECORDS; i++)
			ok = seal_record(c, in, out);
		done += (double)RECORDS * RECORD;
		now = own_seconds();
	}
	EVP_CIPHER_CTX_free(c);
	return ok ? (now - began) / done * GIGABYTE : 0;
}

/* --- handshakes */

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct pair *p = SSL_get_app_data(ssl);

	SSL_SESSION_free(p->session);
	p->session = session;
	return 1;
}

static bool
pair_begin(struct pair *p, const struct options *o)
{
	*p = (struct pair){ .client = SSL_CTX_new(TLS_client_method()),
		.server = SSL_CTX_new(TLS_server_method()) };
	if (p->client == NULL || p->server == NULL ||
	    SSL_CTX_load_verify_file(p->client, o->ca) != 1 ||
	    SSL_CTX_set_min_proto_version(p->server, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(p->server, o->suite) != 1 ||
	    SSL_CTX_use_certificate_chain_file(p->server, o->cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(p->server, o->key, SSL_FILETYPE_PEM) !=
		1)
		return false;
	SSL_CTX_set_verify(p->client, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_session_cache_mode(p->client,
	    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(p->client, keep_session);
	return true;
}

static void
pair_end(struct pair *p)
{
	SSL_SESSION_free(p->session);
	SSL_CTX_free(p->client);
	SSL_CTX_free(p->server);
}

/* The client's steps are timed, with the making and freeing of its object. */
static bool
client_turn(struct pair *p, SSL *client)
{
	double began = own_seconds();
	uint8_t nothing;
	size_t n;

	(void)SSL_do_handshake(client);
	(void)SSL_read_ex(client, &nothing, sizeof(nothing), &n);
	p->took += own_seconds() - began;
	return SSL_is_init_finished(client) == 1;
}

static bool
shake(struct pair *p, SSL *client, SSL *server)
{
	unsigned i;

	for (i = 0; i < FLIGHTS; i++) {
		if (client_turn(p, client) && SSL_do_handshake(server) == 1)
			return client_turn(p, client);
		(void)SSL_do_handshake(server);
	}
	return false;
}

static SSL *
client_new(struct pair *p, bool resume)
{
	char name[] = "db.test";
	double began = own_seconds();
	SSL *client = SSL_new(p->client);

	if (client != NULL) {
		SSL_set_connect_state(client);
		(void)SSL_set_app_data(client, p);
		(void)SSL_set1_host(client, name);
		(void)SSL_set_tlsext_host_name(client, name);
		if (resume && p->session != NULL)
			(void)SSL_set_session(client, p->session);
	}
	p->took += own_seconds() - began;
	return client;
}

static bool
handshake(struct pair *p, bool resume)
{
	SSL *client = client_new(p, resume), *server = SSL_new(p->server);
	BIO *one = NULL, *other = NULL;
	bool ok = false;
	double began;

	if (client != NULL && server != NULL &&
	    BIO_new_bio_pair(&one, 0, &other, 0) == 1) {
		SSL_set_bio(client, one, one);
		SSL_set_bio(server, other, other);
		SSL_set_accept_state(server);
		ok = shake(p, client, server) &&
		    (SSL_session_reused(client) == 1) == resume;
	}
	began = own_seconds();
	if (client != NULL)
		SSL_set_shutdown(client,
		    SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client);
	p->took += own_seconds() - began;
	SSL_free(server);
	return ok;
}

/* Microseconds of a client's handshake; 0: it cannot be done. */
static double
handshakes(const struct options *o, bool resume)
{
	struct pair p;
	double began = own_seconds();
	unsigned i, done = 0;
	bool ok = pair_begin(&p, o) && handshake(&p, false);

	p.took = 0;
	while (ok && own_seconds() < began + o->seconds) {
		for (i = 0; ok && i < HANDSHAKES; i++, done++)
			ok = handshake(&p, resume);
	}
	pair_end(&p);
	return ok ? p.took / done * MICRO : 0;
}

bool
run_limits(const struct options *o)
{
	double gb = aes(o), full = handshakes(o, false),
	       resumed = handshakes(o, true);

	printf("aes=%.4f full=%.1f resumed=%.1f\n", gb, full, resumed);
	return gb > 0 && full > 0 && resumed > 0;
}
