/*
 * tls_memory.c - what OpenSSL gives back is wiped
 *
 * It wipes its keys itself, but not the SSL object that it kept the secrets of
 * a connection in (OpenSSL 3.0 to 3.5): after the end they would lie about in
 * memory until somebody else is given that.  It is known by its size alone;
 * smaller is what OpenSSL wipes itself where it must, and larger are the
 * buffers of records, which come and go with every message.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "proxy/tls_private.h"

#define WIPED_MIN 4096
#define WIPED_MAX 16384

static void *
memory_new(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return size == 0 ? NULL : malloc(size);
}

/* Of what grows nothing is secret: lists, names, certificates. */
static void *
memory_grow(void *p, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return realloc(p, size);
}

static void
memory_free(void *p, const char *file, int line)
{
	size_t size = p == NULL ? 0 : malloc_usable_size(p);

	(void)file;
	(void)line;
	if (size >= WIPED_MIN && size < WIPED_MAX)
		explicit_bzero(p, size);
	free(p);
}

bool
tls_memory_init(void)
{
	return CRYPTO_set_mem_functions(memory_new, memory_grow, memory_free) ==
	    1;
}
