#include "proxy/ktls.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The C library's <netinet/tcp.h> lacks what TCP_INFO has had since Linux 4.1,
 * and the kernel's cannot stand beside it. */
#include <linux/tcp.h>

#include "proxy/tls.h"

/* What one record costs beyond its content: head, type and tag. */
#define KTLS_OVERHEAD RECORDS_OVERHEAD

#define SEQUENCE_LEN 8
#define SALT_LEN     4 /* of the 12 bytes of an IV; ChaCha20 has none */

/* A key as the kernel wants it, and how long that is. */
union ktls_info {
	struct tls_crypto_info head;
	struct tls12_crypto_info_aes_gcm_128 aes_128;
	struct tls12_crypto_info_aes_gcm_256 aes_256;
	struct tls12_crypto_info_chacha20_poly1305 chacha20;
};

static const struct ktls_suite {
	uint16_t suite;
	uint16_t cipher;
	size_t info_len;
	size_t key_len;
	const char *name;
} ktls_suites[] = {
	{ RECORDS_AES_128_GCM_SHA256, TLS_CIPHER_AES_GCM_128,
	    sizeof(struct tls12_crypto_info_aes_gcm_128),
	    TLS_CIPHER_AES_GCM_128_KEY_SIZE, "AES-128-GCM" },
	{ RECORDS_AES_256_GCM_SHA384, TLS_CIPHER_AES_GCM_256,
	    sizeof(struct tls12_crypto_info_aes_gcm_256),
	    TLS_CIPHER_AES_GCM_256_KEY_SIZE, "AES-256-GCM" },
	{ RECORDS_CHACHA20_POLY1305_SHA256, TLS_CIPHER_CHACHA20_POLY1305,
	    sizeof(struct tls12_crypto_info_chacha20_poly1305),
	    TLS_CIPHER_CHACHA20_POLY1305_KEY_SIZE, "ChaCha20-Poly1305" },
};
#define SUITES (sizeof(ktls_suites) / sizeof(ktls_suites[0]))

static const struct ktls_suite *
ktls_suite(uint16_t suite)
{
	size_t i;

	for (i = 0; i < SUITES; i++) {
		if (ktls_suites[i].suite == suite)
			return &ktls_suites[i];
	}
	return NULL;
}

const char *
ktls_suites_text(unsigned suites, char text[KTLS_SUITES_MAX])
{
	size_t i, len = 0;

	text[0] = '\0';
	for (i = 0; i < SUITES; i++) {
		if ((suites & TLS_KERNEL(ktls_suites[i].suite)) == 0)
			continue;
		(void)snprintf(text + len, KTLS_SUITES_MAX - len, "%s%s",
		    len == 0 ? "" : ", ", ktls_suites[i].name);
		len = strlen(text);
	}
	return text;
}

/*
 * Keys.
 */

static void
ktls_put_sequence(uint8_t *to, uint64_t sequence)
{
	size_t i;

	for (i = 0; i < SEQUENCE_LEN; i++)
		to[i] = (uint8_t)(sequence >> 8 * (SEQUENCE_LEN - 1 - i));
}

static uint64_t
ktls_get_sequence(const uint8_t *from)
{
	uint64_t sequence = 0;
	size_t i;

	for (i = 0; i < SEQUENCE_LEN; i++)
		sequence = sequence << 8 | from[i];
	return sequence;
}

static uint8_t *
ktls_sequence_of(union ktls_info *info, uint16_t suite)
{
	switch (suite) {
	case RECORDS_AES_128_GCM_SHA256:
		return info->aes_128.rec_seq;
	case RECORDS_AES_256_GCM_SHA384:
		return info->aes_256.rec_seq;
	}
	return info->chacha20.rec_seq;
}

/* The kernel has the first bytes of an IV, its salt, in another place. */
static void
ktls_fill(union ktls_info *info, const struct records_kernel_key *key)
{
	switch (key->suite) {
	case RECORDS_AES_128_GCM_SHA256:
		memcpy(info->aes_128.key, key->key, sizeof(info->aes_128.key));
		memcpy(info->aes_128.salt, key->iv, SALT_LEN);
		memcpy(info->aes_128.iv, key->iv + SALT_LEN,
		    sizeof(info->aes_128.iv));
		return;
	case RECORDS_AES_256_GCM_SHA384:
		memcpy(info->aes_256.key, key->key, sizeof(info->aes_256.key));
		memcpy(info->aes_256.salt, key->iv, SALT_LEN);
		memcpy(info->aes_256.iv, key->iv + SALT_LEN,
		    sizeof(info->aes_256.iv));
		return;
	}
	memcpy(info->chacha20.key, key->key, sizeof(info->chacha20.key));
	memcpy(info->chacha20.iv, key->iv, sizeof(info->chacha20.iv));
}

static bool
ktls_set_key(int fd, int direction, const struct records_kernel_key *key)
{
	const struct ktls_suite *suite = ktls_suite(key->suite);
	union ktls_info info;
	bool set;

	if (suite == NULL || key->key_len != suite->key_len) {
		errno = EINVAL;
		return false;
	}
	memset(&info, 0, sizeof(info));
	info.head.version = TLS_1_3_VERSION;
	info.head.cipher_type = suite->cipher;
	ktls_fill(&info, key);
	ktls_put_sequence(ktls_sequence_of(&info, key->suite), key->sequence);
	set = setsockopt(fd, SOL_TLS, direction, &info,
		  (socklen_t)suite->info_len) == 0;
	explicit_bzero(&info, sizeof(info));
	return set;
}

/* Bytes that TCP was given to send, acknowledged or not.  An acknowledgement
 * between the two questions would spoil the sum. */
static bool
ktls_tcp_given(int fd, uint64_t *bytes)
{
	struct tcp_info before = { .tcpi_state = 0 }, after = before;
	socklen_t len = sizeof(after);
	unsigned tries;
	int queued = 0;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &after, &len) == -1 ||
	    len < offsetof(struct tcp_info, tcpi_bytes_received))
		return false;
	for (tries = 0; tries < 16; tries++) {
		before = after;
		len = sizeof(after);
		if (ioctl(fd, SIOCOUTQ, &queued) == -1 ||
		    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &after, &len) == -1)
			return false;
		if (before.tcpi_bytes_acked != after.tcpi_bytes_acked)
			continue;
		*bytes = (uint64_t)after.tcpi_bytes_acked + (uint64_t)queued;
		return true;
	}
	return false;
}

/* The number that the next record will have. */
static bool
ktls_next_number(const struct ktls *k, uint64_t *number)
{
	const struct ktls_suite *suite = k->suite;
	socklen_t len = (socklen_t)suite->info_len;
	union ktls_info info;
	bool said;

	memset(&info, 0, sizeof(info));
	said = getsockopt(k->fd, SOL_TLS, TLS_TX, &info, &len) == 0;
	*number = ktls_get_sequence(ktls_sequence_of(&info, suite->suite));
	explicit_bzero(&info, sizeof(info));
	return said && len == suite->info_len;
}

/* It may have been told already, by an attempt that went no further. */
static bool
ktls_attach(int fd)
{
	static const char ulp[] = "tls";

	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, ulp, sizeof(ulp) - 1) ==
	    0 ||
	    errno == EEXIST;
}

enum ktls_result
ktls_arm(struct ktls *k, int fd, const struct records_kernel_key *receive,
    const struct records_kernel_key *send)
{
	*k = (struct ktls){ .fd = fd,
		.suite = ktls_suite(send->suite),
		.first = send->sequence };
	if (k->suite == NULL || !ktls_tcp_given(fd, &k->tcp_before) ||
	    !ktls_attach(fd) || !ktls_set_key(fd, TLS_TX, send))
		return KTLS_UNCHANGED;
	return ktls_set_key(fd, TLS_RX, receive) ? KTLS_DONE : KTLS_BROKEN;
}

bool
ktls_receive_key(const struct ktls *k, const struct records_kernel_key *key)
{
	return ktls_set_key(k->fd, TLS_RX, key);
}

bool
ktls_send_key(struct ktls *k, const struct records_kernel_key *key)
{
	uint64_t sealed;

	if (!ktls_sealed(k, &sealed) || !ktls_set_key(k->fd, TLS_TX, key))
		return false;
	k->sealed += sealed;
	k->first = key->sequence;
	return true;
}

bool
ktls_sealed(const struct ktls *k, uint64_t *records)
{
	uint64_t next;

	if (!ktls_next_number(k, &next) || next < k->first)
		return false;
	*records = next - k->first;
	return true;
}

bool
ktls_flushed(const struct ktls *k)
{
	uint64_t sealed, given;

	return ktls_sealed(k, &sealed) && ktls_tcp_given(k->fd, &given) &&
	    given - k->tcp_before >=
	    k->plain + (k->sealed + sealed) * KTLS_OVERHEAD;
}

/*
 * Records.
 */

ssize_t
ktls_send(struct ktls *k, const uint8_t *bytes, size_t len)
{
	ssize_t n = send(k->fd, bytes, len, MSG_NOSIGNAL);

	if (n > 0)
		k->plain += (uint64_t)n;
	return n;
}

/* Room for one message about a record's type. */
union ktls_control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(uint8_t))];
};

int
ktls_send_record(struct ktls *k, uint8_t type, const uint8_t *bytes, size_t len)
{
	union ktls_control control;
	uint8_t copy[64];
	struct iovec part = { .iov_base = copy, .iov_len = len };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n;

	assert(len > 0 && len <= sizeof(copy));
	memcpy(copy, bytes, len);
	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_TLS;
	control.head.cmsg_type = TLS_SET_RECORD_TYPE;
	control.head.cmsg_len = CMSG_LEN(sizeof(type));
	memcpy(CMSG_DATA(&control.head), &type, sizeof(type));
	do
		n = sendmsg(k->fd, &message, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return -1;
	k->plain += (uint64_t)n;
	if ((size_t)n == len)
		return 0;
	errno = EIO; /* it is a record by then, and half of a message */
	return -1;
}

static uint8_t
ktls_type(struct msghdr *message)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(message);
	uint8_t type;

	if (c == NULL || c->cmsg_level != SOL_TLS ||
	    c->cmsg_type != TLS_GET_RECORD_TYPE ||
	    c->cmsg_len < CMSG_LEN(sizeof(type)))
		return KTLS_EOF;
	memcpy(&type, CMSG_DATA(c), sizeof(type));
	return type;
}

ssize_t
ktls_receive(const struct ktls *k, uint8_t *bytes, size_t cap, uint8_t *type)
{
	union ktls_control control;
	struct iovec part = { .iov_base = bytes, .iov_len = cap };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n;

	do
		n = recvmsg(k->fd, &message, 0);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return -1;
	*type = ktls_type(&message);
	/* A type we were not told of is none that data could have: data
	 * without one would be taken for the stream's. */
	if (n > 0 && *type == KTLS_EOF) {
		errno = EIO;
		return -1;
	}
	return n;
}

void
ktls_forgive(const struct ktls *k)
{
	socklen_t len = sizeof(int);
	int error;

	(void)getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

/*
 * The probe: two sockets of loopback say to each other what a session would.
 */

/* Nobody else reads what these seal. */
#define PROBE_SECONDS 2
static const uint8_t probe_key_update[] = { 24, 0, 0, 1, 0 };
static const uint8_t probe_data[] = "a record under the second key";
#define PROBE_HANDSHAKE 22

static int
probe_socket(void)
{
	const struct timeval limit = { .tv_sec = PROBE_SECONDS };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return fd;
}

static bool
probe_accept(int listening, int pair[2])
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct sockaddr_in ours = { 0 }, theirs = { 0 };
	socklen_t len = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listening, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    listen(listening, 1) == -1 ||
	    getsockname(listening, (struct sockaddr *)&at, &len) == -1 ||
	    connect(pair[0], (struct sockaddr *)&at, sizeof(at)) == -1)
		return false;
	len = sizeof(ours);
	if (getsockname(pair[0], (struct sockaddr *)&ours, &len) == -1)
		return false;
	len = sizeof(theirs);
	pair[1] =
	    accept4(listening, (struct sockaddr *)&theirs, &len, SOCK_CLOEXEC);
	/* Somebody else may have been quicker. */
	return pair[1] != -1 && ours.sin_port == theirs.sin_port;
}

static void
probe_close(const int pair[2])
{
	if (pair[0] != -1)
		(void)close(pair[0]);
	if (pair[1] != -1)
		(void)close(pair[1]);
}

/* Connected, or -1 with errno. */
static int
probe_open(int pair[2])
{
	int listening = probe_socket(), error;
	bool open;

	pair[0] = probe_socket();
	pair[1] = -1;
	open =
	    listening != -1 && pair[0] != -1 && probe_accept(listening, pair);
	error = errno;
	if (listening != -1)
		(void)close(listening);
	if (open)
		return 0;
	probe_close(pair);
	errno = error;
	return -1;
}

static struct records_kernel_key
probe_key(const struct ktls_suite *suite, uint8_t filler)
{
	struct records_kernel_key key = { .suite = suite->suite,
		.key_len = suite->key_len };

	memset(key.key, filler, suite->key_len);
	memset(key.iv, filler, sizeof(key.iv));
	return key;
}

enum probe_result {
	PROBE_WORKS = 0,
	PROBE_NO_TLS,    /* the kernel does not know TLS at all */
	PROBE_NO_SUITE,  /* ... not this suite */
	PROBE_NO_UPDATE, /* a key cannot be followed by another */
	PROBE_WRONG,     /* what came is not what was sent */
};

static bool
probe_comes(const struct ktls *k, uint8_t type, const uint8_t *bytes,
    size_t len)
{
	uint8_t room[sizeof(probe_data)], came;

	return ktls_receive(k, room, sizeof(room), &came) == (ssize_t)len &&
	    came == type && memcmp(room, bytes, len) == 0;
}

static enum probe_result
probe_update(struct ktls *from, struct ktls *to, const struct ktls_suite *suite)
{
	struct records_kernel_key next = probe_key(suite, 2);
	uint64_t sealed;

	if (ktls_send_record(from, PROBE_HANDSHAKE, probe_key_update,
		sizeof(probe_key_update)) == -1 ||
	    !probe_comes(to, PROBE_HANDSHAKE, probe_key_update,
		sizeof(probe_key_update)))
		return PROBE_WRONG;
	if (!ktls_send_key(from, &next) || !ktls_receive_key(to, &next))
		return PROBE_NO_UPDATE;
	if (ktls_send(from, probe_data, sizeof(probe_data)) !=
		(ssize_t)sizeof(probe_data) ||
	    !probe_comes(to, KTLS_DATA, probe_data, sizeof(probe_data)) ||
	    !ktls_sealed(from, &sealed) || sealed != 1 || !ktls_flushed(from))
		return PROBE_WRONG;
	return PROBE_WORKS;
}

static enum probe_result
probe_pair(const int pair[2], const struct ktls_suite *suite)
{
	struct records_kernel_key key = probe_key(suite, 1);
	struct ktls side[2];
	enum probe_result r;
	size_t i;

	for (i = 0; i < 2; i++) {
		if (!ktls_attach(pair[i]))
			return PROBE_NO_TLS;
		if (ktls_arm(&side[i], pair[i], &key, &key) != KTLS_DONE)
			return PROBE_NO_SUITE;
	}
	r = probe_update(&side[0], &side[1], suite);
	return r == PROBE_WORKS ? probe_update(&side[1], &side[0], suite) : r;
}

static const char *
probe_words(enum probe_result r)
{
	switch (r) {
	case PROBE_WORKS:
		return "";
	case PROBE_NO_TLS:
		return "this kernel has no TLS, or its module is not loaded "
		       "(modprobe tls)";
	case PROBE_NO_SUITE:
		return "this kernel has none of the cipher suites";
	case PROBE_NO_UPDATE:
		return "this kernel cannot change the key of a connection "
		       "(Linux 6.14 and newer can)";
	case PROBE_WRONG:
		break;
	}
	return "this kernel's TLS has failed a trial";
}

void
ktls_probe(struct ktls_support *s)
{
	enum probe_result r, worst = PROBE_WORKS;
	int pair[2];
	size_t i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < SUITES; i++) {
		if (probe_open(pair) == -1) {
			s->suites = 0;
			(void)snprintf(s->why, sizeof(s->why),
			    "it cannot be tried, without a connection over "
			    "loopback: %s",
			    strerror(errno));
			return;
		}
		r = probe_pair(pair, &ktls_suites[i]);
		probe_close(pair);
		if (r == PROBE_WORKS)
			s->suites |= TLS_KERNEL(ktls_suites[i].suite);
		else if (worst == PROBE_WORKS || r != PROBE_NO_SUITE)
			worst = r;
	}
	if (s->suites == 0)
		(void)snprintf(s->why, sizeof(s->why), "%s",
		    probe_words(worst));
}
