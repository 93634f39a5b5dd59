/*
 * canary.c - does a word go over the wire, and in which ports' traffic?
 *
 *	canary INTERFACE WORD NAME:FIRST-LAST...
 *
 * Captures the TCP traffic of the given ranges of ports until SIGTERM or
 * SIGINT, then prints for each range
 *
 *	NAME segments=N bytes=N found=N
 *
 * (found as it is, and in UTF-16, which is how TDS has its texts) and
 * "dropped=N": with packets dropped, not having found the word says
 * nothing.  A word cut in two by a segment's end is found as well, as long as
 * the segments come in order, which on a loopback nearly all do.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#define WORD_MAX      64
#define RANGES_MAX    16
#define FLOWS         65536 /* the hash of a flow's two ports chooses one */
#define SNAP_LEN      262144
#define RING_SIZE     (128 * 1024 * 1024)
#define HAND_OVER_MS  50 /* the kernel keeps packets back that long */
#define LAST_ROUNDS   20
#define ETHERNET_HEAD 14
#define ETHERNET_TYPE 12
#define TYPE_IPV4     0x0800
#define TYPE_IPV6     0x86dd

struct range {
	char name[32];
	unsigned first;
	unsigned last;
	uint64_t segments;
	uint64_t bytes;
	uint64_t found;
};

/* The end of what a flow has carried: where a word may have begun. */
struct flow {
	uint16_t from;
	uint16_t to;
	uint8_t tail[2 * WORD_MAX];
	size_t len;
};

struct word {
	uint8_t bytes[2 * WORD_MAX];
	size_t len;
};

/* As it is, and in UTF-16, which is the longer. */
enum {
	WORD_BYTES = 0,
	WORD_UTF16,
	WORDS
};

struct watch {
	struct word words[WORDS];
	struct range ranges[RANGES_MAX];
	size_t nranges;
	struct flow *flows;
};

static volatile sig_atomic_t stopping;

static void
on_signal(int number)
{
	(void)number;
	stopping = 1;
}

static uint16_t
be16(const uint8_t *p)
{
	return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

/* The flow of these two ports; an earlier one in its place is forgotten. */
static struct flow *
flow_of(struct watch *w, uint16_t from, uint16_t to)
{
	struct flow *f;

	f = &w->flows[(from * 31u + to) % FLOWS];
	if (f->from != from || f->to != to) {
		memset(f, 0, sizeof(*f));
		f->from = from;
		f->to = to;
	}
	return f;
}

static uint64_t
count_word(const struct word *word, const uint8_t *bytes, size_t len)
{
	const uint8_t *p = bytes, *end = bytes + len;
	uint64_t n = 0;

	while ((p = memmem(p, (size_t)(end - p), word->bytes, word->len))) {
		p += word->len;
		n++;
	}
	return n;
}

/* A word that began in the segments before and ends in this one. */
static uint64_t
count_across(const struct word *word, const struct flow *f,
    const uint8_t *bytes, size_t len)
{
	const size_t part = word->len - 1;
	uint8_t seam[4 * WORD_MAX];
	size_t head, tail;

	head = len < part ? len : part;
	tail = f->len < part ? f->len : part;
	memcpy(seam, f->tail + f->len - tail, tail);
	memcpy(seam + tail, bytes, head);
	return count_word(word, seam, tail + head);
}

static uint64_t
count_words(const struct watch *w, const struct flow *f, const uint8_t *bytes,
    size_t len)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < WORDS; i++) {
		n += count_word(&w->words[i], bytes, len);
		n += count_across(&w->words[i], f, bytes, len);
	}
	return n;
}

static void
keep_tail(const struct watch *w, struct flow *f, const uint8_t *bytes,
    size_t len)
{
	size_t keep = w->words[WORD_UTF16].len - 1, old;

	if (len >= keep) {
		memcpy(f->tail, bytes + len - keep, keep);
		f->len = keep;
		return;
	}
	old = f->len < keep - len ? f->len : keep - len;
	memmove(f->tail, f->tail + f->len - old, old);
	memcpy(f->tail + old, bytes, len);
	f->len = old + len;
}

static void
watch_segment(struct watch *w, uint16_t from, uint16_t to, const uint8_t *bytes,
    size_t len)
{
	struct flow *f = flow_of(w, from, to);
	uint64_t found;
	struct range *r;
	size_t i;

	found = count_words(w, f, bytes, len);
	keep_tail(w, f, bytes, len);
	for (i = 0; i < w->nranges; i++) {
		r = &w->ranges[i];
		if ((from < r->first || from > r->last) &&
		    (to < r->first || to > r->last))
			continue;
		r->segments++;
		r->bytes += len;
		r->found += found;
	}
}

static void
watch_tcp(struct watch *w, const uint8_t *p, size_t len)
{
	size_t head;

	if (len < sizeof(struct tcphdr))
		return;
	head = (size_t)(p[12] >> 4) * 4;
	if (head >= len)
		return;
	watch_segment(w, be16(p), be16(p + 2), p + head, len - head);
}

static void
watch_packet(u_char *arg, const struct pcap_pkthdr *h, const u_char *p)
{
	struct watch *w = (struct watch *)(void *)arg;
	size_t len = h->caplen, head, total;

	if (len < ETHERNET_HEAD + sizeof(struct ip))
		return;
	p += ETHERNET_HEAD;
	len -= ETHERNET_HEAD;
	switch (be16(p + ETHERNET_TYPE - ETHERNET_HEAD)) {
	case TYPE_IPV4:
		head = (size_t)(p[0] & 0x0f) * 4;
		total = be16(p + 2);
		/* The kernel leaves 0 where a segment was to be cut later. */
		if (total > head && total < len)
			len = total;
		break;
	case TYPE_IPV6:
		head = sizeof(struct ip6_hdr);
		break;
	default:
		return;
	}
	if (len > head)
		watch_tcp(w, p + head, len - head);
}

static bool
range_parse(const char *text, struct range *r)
{
	memset(r, 0, sizeof(*r));
	return sscanf(text, "%31[^:]:%u-%u", r->name, &r->first, &r->last) ==
	    3 &&
	    r->first <= r->last && r->last <= UINT16_MAX;
}

static bool
words_make(struct watch *w, const char *text)
{
	struct word *plain = &w->words[WORD_BYTES];
	struct word *wide = &w->words[WORD_UTF16];
	size_t len = strlen(text), i;

	if (len < 2 || len > WORD_MAX)
		return false;
	plain->len = len;
	memcpy(plain->bytes, text, len);
	wide->len = 2 * len;
	for (i = 0; i < len; i++)
		wide->bytes[2 * i] = (uint8_t)text[i];
	return true;
}

static bool
watch_parse(struct watch *w, int argc, char **argv)
{
	int i;

	if (argc < 4 || argc > 3 + RANGES_MAX)
		return false;
	if (!words_make(w, argv[2]))
		return false;
	for (i = 3; i < argc; i++)
		if (!range_parse(argv[i], &w->ranges[w->nranges++]))
			return false;
	w->flows = calloc(FLOWS, sizeof(*w->flows));
	return w->flows != NULL;
}

static int
set_filter(pcap_t *pcap, const struct watch *w)
{
	struct bpf_program program;
	char text[RANGES_MAX * 40] = "tcp and (";
	size_t i, at = strlen(text);
	int rc;

	for (i = 0; i < w->nranges; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
		    "%sportrange %u-%u", i > 0 ? " or " : "",
		    w->ranges[i].first, w->ranges[i].last);
	(void)snprintf(text + at, sizeof(text) - at, ")");
	if (pcap_compile(pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN) != 0)
		return -1;
	rc = pcap_setfilter(pcap, &program);
	pcap_freecode(&program);
	return rc;
}

static pcap_t *
capture_open(const char *interface, const struct watch *w)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *pcap;

	if ((pcap = pcap_create(interface, why)) == NULL) {
		fprintf(stderr, "canary: %s\n", why);
		return NULL;
	}
	(void)pcap_set_snaplen(pcap, SNAP_LEN);
	(void)pcap_set_buffer_size(pcap, RING_SIZE);
	(void)pcap_set_timeout(pcap, HAND_OVER_MS);
	if (pcap_activate(pcap) < 0 || pcap_datalink(pcap) != DLT_EN10MB ||
	    set_filter(pcap, w) != 0 || pcap_setnonblock(pcap, 1, why) != 0) {
		fprintf(stderr, "canary: %s: %s\n", interface,
		    pcap_geterr(pcap));
		pcap_close(pcap);
		return NULL;
	}
	return pcap;
}

/* Until a signal, and then what had been captured by that time. */
static int
capture(pcap_t *pcap, struct watch *w)
{
	struct pollfd fd = { .fd = pcap_get_selectable_fd(pcap),
		.events = POLLIN };
	int n, rounds = 0;
	bool idle;

	do {
		n = poll(&fd, 1, 4 * HAND_OVER_MS);
		if (n == -1 && errno != EINTR)
			return -1;
		idle = n == 0;
		while ((n = pcap_dispatch(pcap, -1, watch_packet,
			    (u_char *)w)) > 0)
			continue;
		if (n < 0)
			return -1;
		rounds += stopping;
	} while (!stopping || (!idle && rounds < LAST_ROUNDS));
	return 0;
}

static void
report(pcap_t *pcap, const struct watch *w)
{
	struct pcap_stat stat = { 0 };
	const struct range *r;

	for (r = w->ranges; r < w->ranges + w->nranges; r++)
		printf("%s segments=%llu bytes=%llu found=%llu\n", r->name,
		    (unsigned long long)r->segments,
		    (unsigned long long)r->bytes, (unsigned long long)r->found);
	if (pcap_stats(pcap, &stat) != 0)
		stat.ps_drop = UINT32_MAX;
	printf("dropped=%u\n", stat.ps_drop);
}

int
main(int argc, char **argv)
{
	struct watch w = { 0 };
	struct sigaction act = { .sa_handler = on_signal };
	pcap_t *pcap;
	int rc;

	if (!watch_parse(&w, argc, argv)) {
		fprintf(stderr,
		    "usage: canary INTERFACE WORD NAME:FIRST-LAST...\n");
		return 2;
	}
	(void)sigaction(SIGTERM, &act, NULL);
	(void)sigaction(SIGINT, &act, NULL);
	if ((pcap = capture_open(argv[1], &w)) == NULL)
		return 1;
	printf("capturing\n");
	(void)fflush(stdout);
	rc = capture(pcap, &w);
	report(pcap, &w);
	pcap_close(pcap);
	free(w.flows);
	return rc == 0 ? 0 : 1;
}
