#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "proxy/log.h"
#include "tests/unit/unit.h"

#define BUF_MAX      (256 * 1024)
#define THREADS      4
#define THREAD_LINES 500
#define SYSLOG_PATH  "/dev/log"

static char folder[] = "/tmp/test_log.XXXXXX";
static char log_path[64];
static char moved_path[64];

static struct config
config_of(enum log_format format, const char *to)
{
	struct config c = { 0 };

	c.log.level = LEVEL_INFO;
	c.log.format = format;
	c.log.to = (char *)(uintptr_t)to;
	return c;
}

/* An empty log, in a file. */
static void
start(enum log_format format)
{
	struct config c = config_of(format, log_path);
	struct err err;

	(void)unlink(log_path);
	CU_ASSERT_EQUAL_FATAL(log_setup(&c, &err), 0);
	log_generation(7);
}

static size_t
read_file(const char *path, char buf[BUF_MAX])
{
	ssize_t n = -1;
	int fd;

	if ((fd = open(path, O_RDONLY)) != -1) {
		n = read(fd, buf, BUF_MAX - 1);
		(void)close(fd);
	}
	buf[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* What the log holds, with every digit of a time as 0. */
static const char *
written(void)
{
	static const char text[] = "time=0000-00-00T00:00:00.000000Z";
	static const char json[] = "\"time\":\"0000-00-00T00:00:00.000000Z\"";
	static char buf[BUF_MAX];
	char *at;
	size_t i;

	(void)read_file(log_path, buf);
	for (at = buf; (at = strstr(at, "time")) != NULL; at++) {
		const char *shape = at[4] == '=' ? text : json + 1;

		for (i = 0; shape[i] != '\0'; i++) {
			if (shape[i] == '0' && isdigit((unsigned char)at[i]))
				at[i] = '0';
		}
	}
	return buf;
}

#define TEXT_HEAD \
	"time=0000-00-00T00:00:00.000000Z event=e level=info generation=7"
#define JSON_HEAD                                                    \
	"{\"time\":\"0000-00-00T00:00:00.000000Z\",\"event\":\"e\"," \
	"\"level\":\"info\",\"generation\":7"

static void
line_begins_with_time_event_level_generation(void)
{
	struct log_line l;

	start(LOG_TEXT);
	CU_ASSERT_TRUE_FATAL(log_open(&l, LEVEL_INFO, "e"));
	log_close(&l);
	CU_ASSERT_STRING_EQUAL(written(), TEXT_HEAD "\n");

	start(LOG_JSON);
	CU_ASSERT_TRUE_FATAL(log_open(&l, LEVEL_INFO, "e"));
	log_close(&l);
	CU_ASSERT_STRING_EQUAL(written(), JSON_HEAD "}\n");
}

static void
write_fields(struct log_line *l)
{
	static const uint8_t digest[] = { 0x00, 0xab, 0xff };

	log_text(l, "reason", "name_mismatch");
	log_text(l, "detail", "it is for \"a.test\"");
	log_text(l, "nothing", NULL);
	log_text(l, "empty", "");
	log_peer(l, "user", "al ice", 6);
	log_uint(l, "bytes", UINT64_MAX);
	log_seconds(l, "seconds", 1.5);
	log_seconds(l, "never", (double)NAN);
	log_hex(l, "leaf", digest, sizeof(digest));
	log_hex(l, "none", digest, 0);
}

static void
both_formats_have_the_same_keys(void)
{
	struct log_line l;

	start(LOG_TEXT);
	CU_ASSERT_TRUE_FATAL(log_open(&l, LEVEL_INFO, "e"));
	write_fields(&l);
	log_close(&l);
	CU_ASSERT_STRING_EQUAL(written(),
	    TEXT_HEAD
	    " reason=name_mismatch detail=\"it is for \\\"a.test\\\"\""
	    " empty=\"\" user=\"al ice\" bytes=18446744073709551615"
	    " seconds=1.500000 never=0.000000 leaf=00abff none=\"\"\n");

	start(LOG_JSON);
	CU_ASSERT_TRUE_FATAL(log_open(&l, LEVEL_INFO, "e"));
	write_fields(&l);
	log_close(&l);
	CU_ASSERT_STRING_EQUAL(written(),
	    JSON_HEAD
	    ",\"reason\":\"name_mismatch\",\"detail\":\"it is for "
	    "\\\"a.test\\\"\",\"empty\":\"\",\"user\":\"al ice\","
	    "\"bytes\":18446744073709551615,\"seconds\":1.500000,"
	    "\"never\":0.000000,\"leaf\":\"00abff\",\"none\":\"\"}\n");
}

/* One value, by log_peer() and by log_text() in both formats. */
static const struct {
	const char *value;
	const char *peer; /* as text; always quoted */
	const char *text;
	const char *json;
} values[] = {
	{ "app", "\"app\"", "app", "\"app\"" },
	{ "127.0.0.1:5432", "\"127.0.0.1:5432\"", "127.0.0.1:5432",
	    "\"127.0.0.1:5432\"" },
	{ "a=b", "\"a=b\"", "\"a=b\"", "\"a=b\"" },
	{ "C:\\x", "\"C:\\\\x\"", "\"C:\\\\x\"", "\"C:\\\\x\"" },
	{ "x\nevent=stop", "\"x\\x0aevent=stop\"", "\"x\\x0aevent=stop\"",
	    "\"x\\u000aevent=stop\"" },
	{ "\x1b[2J\x7f\t", "\"\\x1b[2J\\x7f\\x09\"", "\"\\x1b[2J\\x7f\\x09\"",
	    "\"\\u001b[2J\\u007f\\u0009\"" },
	{ "\xc3\xa9", "\"\\xc3\\xa9\"", "\"\\xc3\\xa9\"", "\"\\u00e9\"" },
	/* U+202E turns the direction of what follows round. */
	{ "\xe2\x80\xae", "\"\\xe2\\x80\\xae\"", "\"\\xe2\\x80\\xae\"",
	    "\"\\u202e\"" },
	{ "\xf0\x9f\x98\x80", "\"\\xf0\\x9f\\x98\\x80\"",
	    "\"\\xf0\\x9f\\x98\\x80\"", "\"\\ud83d\\ude00\"" },
	/* A byte alone, an overlong slash, a surrogate, a cut sequence. */
	{ "\xff", "\"\\xff\"", "\"\\xff\"", "\"\\ufffd\"" },
	{ "\xc0\xaf", "\"\\xc0\\xaf\"", "\"\\xc0\\xaf\"",
	    "\"\\ufffd\\ufffd\"" },
	{ "\xed\xa0\x80", "\"\\xed\\xa0\\x80\"", "\"\\xed\\xa0\\x80\"",
	    "\"\\ufffd\\ufffd\\ufffd\"" },
	{ "a\xe2\x82", "\"a\\xe2\\x82\"", "\"a\\xe2\\x82\"",
	    "\"a\\ufffd\\ufffd\"" },
};

static void
hostile_bytes_are_escaped(void)
{
	char expected[1024];
	struct log_line l;
	size_t i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const char *v = values[i].value;

		start(LOG_TEXT);
		CU_ASSERT_TRUE_FATAL(log_open(&l, LEVEL_INFO, "e"));
		log_peer(&l, "p", v, strlen(v));
		log_text(&l, "t", v);
		log_close(&l);
		(void)snprintf(expected, sizeof(expected), "%s p=%s t=%s\n",
		    TEXT_HEAD, values[i].peer, values[i].text);
		CU_ASSERT_STRING_EQUAL(written(), expected);

		start(LOG_JSON);
		CU_ASSERT_TRUE_FATAL(log_open(&l, LEVEL_INFO, "e"));
		log_peer(&l, "p", v, strlen(v));
		log_text(&l, "t", v);
		log_close(&l);
		(void)snprintf(expected, sizeof(expected),
		    "%s,\"p\":%s,\"t\":%s}\n", JSON_HEAD, values[i].json,
		    values[i].json);
		CU_ASSERT_STRING_EQUAL(written(), expected);
	}
}

static void
peer_may_send_a_nul(void)
{
	struct log_line l;

	start(LOG_TEXT);
	CU_ASSERT_TRUE_FATAL(log_open(&l, LEVEL_INFO, "e"));
	log_peer(&l, "p", "a\0b", 3);
	log_close(&l);
	CU_ASSERT_STRING_EQUAL(written(), TEXT_HEAD " p=\"a\\x00b\"\n");
}

static void
peer_value_is_cut_at_its_maximum(void)
{
	char value[LOG_PEER_MAX + 2], expected[1024];
	struct log_line l;

	memset(value, 'x', sizeof(value));
	start(LOG_TEXT);
	CU_ASSERT_TRUE_FATAL(log_open(&l, LEVEL_INFO, "e"));
	log_peer(&l, "p", value, sizeof(value));
	log_close(&l);
	(void)snprintf(expected, sizeof(expected), "%s p=\"%.*s\"\n", TEXT_HEAD,
	    LOG_PEER_MAX, value);
	CU_ASSERT_STRING_EQUAL(written(), expected);
}

/* A field that does not fit is left out whole; a later one that does is kept,
 * and the line says so and is complete. */
static void
long_line_is_cut_at_a_field(enum log_format format, const char *expected)
{
	static char big[LOG_LINE_MAX];
	struct log_line l;

	memset(big, '\n', sizeof(big) - 1);
	start(format);
	CU_ASSERT_TRUE_FATAL(log_open(&l, LEVEL_INFO, "e"));
	log_text(&l, "big", big);
	log_text(&l, "reason", "timeout");
	log_close(&l);
	CU_ASSERT_STRING_EQUAL(written(), expected);
}

static void
long_line_is_cut_at_a_field_boundary(void)
{
	long_line_is_cut_at_a_field(LOG_TEXT,
	    TEXT_HEAD " reason=timeout cut=true\n");
	long_line_is_cut_at_a_field(LOG_JSON,
	    JSON_HEAD ",\"reason\":\"timeout\",\"cut\":true}\n");
}

/* Fields of every length up to the edge: never too long, always closed. */
static void
full_line_is_never_too_long(void)
{
	static char value[LOG_LINE_MAX];
	static char buf[BUF_MAX];
	struct log_line l;
	size_t i, n;

	for (i = LOG_LINE_MAX - 160; i < LOG_LINE_MAX; i++) {
		memset(value, 'x', i);
		value[i] = '\0';
		start(LOG_JSON);
		CU_ASSERT_TRUE_FATAL(log_open(&l, LEVEL_INFO, "e"));
		log_text(&l, "value", value);
		log_text(&l, "one", "more");
		log_close(&l);
		n = read_file(log_path, buf);
		CU_ASSERT_TRUE_FATAL(n > 3 && n <= LOG_LINE_MAX);
		CU_ASSERT_EQUAL(buf[n - 2], '}');
		CU_ASSERT_TRUE(buf[n - 3] == '"' ||
		    strcmp(buf + n - 13, ",\"cut\":true}\n") == 0);
	}
}

static void
endpoint_brings_its_labels(void)
{
	char name[] = "orders", team[] = "team", value[] = "a b";
	char odd[] = "x=\"y";
	struct endpoint e = { .name = name, .nlabels = 2 };
	struct log_line l;

	e.labels = calloc(2, sizeof(*e.labels));
	CU_ASSERT_PTR_NOT_NULL_FATAL(e.labels);
	e.labels[0].name = team;
	e.labels[0].value = value;
	e.labels[1].name = odd;
	e.labels[1].value = value;
	start(LOG_TEXT);
	CU_ASSERT_TRUE_FATAL(log_open(&l, LEVEL_INFO, "e"));
	log_endpoint(&l, &e);
	log_close(&l);
	CU_ASSERT_STRING_EQUAL(written(),
	    TEXT_HEAD " endpoint=orders label.team=\"a b\" "
		      "label.x__y=\"a b\"\n");
	free(e.labels);
}

static void
event_takes_one_text(void)
{
	start(LOG_TEXT);
	log_event(LEVEL_INFO, "e", NULL, "%d of %s", 2, "us");
	CU_ASSERT_STRING_EQUAL(written(), TEXT_HEAD " detail=\"2 of us\"\n");
}

static void
level_that_is_off_writes_nothing(void)
{
	struct log_line l;

	start(LOG_TEXT);
	CU_ASSERT_FALSE(log_open(&l, LEVEL_DEBUG, "e"));
	log_event(LEVEL_DEBUG, "e", NULL, "no");
	CU_ASSERT_STRING_EQUAL(written(), "");
}

/*
 * Where it goes.
 */

static void
file_is_for_owner_and_group(void)
{
	mode_t before = umask(077);
	struct stat st;

	start(LOG_TEXT);
	CU_ASSERT_EQUAL_FATAL(stat(log_path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0640);
	(void)umask(before);
}

static void
file_that_cannot_be_opened_is_an_error(void)
{
	struct config c = config_of(LOG_TEXT, folder);
	struct err err = { "" };

	start(LOG_TEXT);
	CU_ASSERT_EQUAL(log_setup(&c, &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, folder));
	log_event(LEVEL_INFO, "e", NULL, "still");
	CU_ASSERT_STRING_EQUAL(written(), TEXT_HEAD " detail=still\n");
}

static void
reopening_follows_a_rotation(void)
{
	static char buf[BUF_MAX];

	start(LOG_TEXT);
	log_event(LEVEL_INFO, "e", NULL, "old");
	CU_ASSERT_EQUAL_FATAL(rename(log_path, moved_path), 0);
	log_reopen();
	log_event(LEVEL_INFO, "e", NULL, "new");
	CU_ASSERT_PTR_NOT_NULL(strstr(written(), "detail=new\n"));
	CU_ASSERT_PTR_NULL(strstr(written(), "detail=old\n"));
	(void)read_file(moved_path, buf);
	CU_ASSERT_PTR_NULL(strstr(buf, "detail=new\n"));
	(void)unlink(moved_path);
}

static void
reopening_that_fails_keeps_the_old_file(void)
{
	static char buf[BUF_MAX];

	start(LOG_TEXT);
	CU_ASSERT_EQUAL_FATAL(rename(log_path, moved_path), 0);
	CU_ASSERT_EQUAL_FATAL(mkdir(log_path, 0700), 0);
	log_reopen();
	log_event(LEVEL_INFO, "e", NULL, "kept");
	(void)read_file(moved_path, buf);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "event=log.failed level=err"));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "detail=kept\n"));
	CU_ASSERT_EQUAL(rmdir(log_path), 0);
	(void)unlink(moved_path);
}

/* Standard error becomes `fd` and the log goes there; the old one is back
 * after stderr_restore(). */
static int
stderr_replace(int fd)
{
	struct config c = config_of(LOG_TEXT, "stderr");
	int saved = dup(STDERR_FILENO);
	struct err err;

	CU_ASSERT_TRUE_FATAL(saved != -1);
	CU_ASSERT_EQUAL_FATAL(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	CU_ASSERT_EQUAL_FATAL(log_setup(&c, &err), 0);
	return saved;
}

static void
stderr_restore(int saved)
{
	CU_ASSERT_EQUAL(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved);
	start(LOG_TEXT);
}

static void
line_is_one_write(void)
{
	char buf[LOG_LINE_MAX + 1];
	int pair[2], saved;
	ssize_t n;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	saved = stderr_replace(pair[1]);
	log_event(LEVEL_INFO, "e", NULL, "one");
	log_event(LEVEL_INFO, "e", NULL, "two");
	n = recv(pair[0], buf, sizeof(buf) - 1, MSG_DONTWAIT);
	CU_ASSERT_TRUE_FATAL(n > 0);
	buf[n] = '\0';
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "detail=one\n"));
	CU_ASSERT_PTR_NULL(strstr(buf, "detail=two"));
	stderr_restore(saved);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

/* Reads what a pipe holds. */
static size_t
drain(int fd, char buf[BUF_MAX])
{
	size_t len = 0;
	ssize_t n;

	CU_ASSERT_EQUAL_FATAL(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fd, buf + len, BUF_MAX - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	return len;
}

/* The alarm ends a test that waits; nothing else would. */
static void
reader_that_stops_does_not_stop_us(void)
{
	static char buf[BUF_MAX];
	int ends[2], saved, i;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	saved = stderr_replace(ends[1]);
	(void)alarm(20);
	for (i = 0; i < 2000; i++)
		log_event(LEVEL_INFO, "e", NULL, "line %d", i);
	(void)alarm(0);
	CU_ASSERT_FALSE(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
	(void)drain(ends[0], buf);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "detail=\"line 0\"\n"));
	CU_ASSERT_PTR_NULL(strstr(buf, "detail=\"line 1999\"\n"));
	CU_ASSERT_EQUAL(buf[strlen(buf) - 1], '\n');

	log_event(LEVEL_INFO, "e", NULL, "again");
	(void)drain(ends[0], buf);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "event=log.lost level=warn"));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "detail=again\n"));
	stderr_restore(saved);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void
reader_that_is_gone_does_not_end_us(void)
{
	int ends[2], saved;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	saved = stderr_replace(ends[1]);
	(void)close(ends[0]);
	log_event(LEVEL_INFO, "e", NULL, "nobody");
	log_event(LEVEL_INFO, "e", NULL, "nobody");
	stderr_restore(saved);
	(void)close(ends[1]);
}

/* A stream socket may take half a line: the next begins on its own. */
static void
torn_line_is_ended(void)
{
	static char buf[BUF_MAX];
	int pair[2], saved, i, small = 4096;
	size_t len = 0, lines = 0;
	char *line, *rest;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	saved = stderr_replace(pair[1]);
	for (i = 0; i < 500; i++)
		log_event(LEVEL_INFO, "e", NULL, "%0900d", i);
	len = drain(pair[0], buf);
	CU_ASSERT_TRUE(len > 0);
	log_event(LEVEL_INFO, "e", NULL, "again");
	(void)drain(pair[0], buf + len);
	for (rest = buf; (line = strsep(&rest, "\n")) != NULL; lines++) {
		if (*line != '\0')
			CU_ASSERT_EQUAL(strncmp(line, "time=", 5), 0);
	}
	CU_ASSERT_TRUE(lines > 3);
	stderr_restore(saved);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void *
write_lines(void *arg)
{
	static const char value[] = "the quick brown fox";
	struct log_line l;
	int i;

	(void)arg;
	for (i = 0; i < THREAD_LINES; i++) {
		if (!log_open(&l, LEVEL_INFO, "e"))
			continue;
		log_peer(&l, "value", value, sizeof(value) - 1);
		log_close(&l);
	}
	return NULL;
}

static void
threads_do_not_mix_lines(void)
{
	static const char end[] = " value=\"the quick brown fox\"";
	static char buf[BUF_MAX * 2];
	pthread_t thread[THREADS];
	size_t i, lines = 0;
	char *line, *rest;

	start(LOG_TEXT);
	for (i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(
		    pthread_create(&thread[i], NULL, write_lines, NULL), 0);
	for (i = 0; i < 20; i++)
		log_reopen();
	for (i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL(pthread_join(thread[i], NULL), 0);
	(void)read_file(log_path, buf);
	for (rest = buf; (line = strsep(&rest, "\n")) != NULL && *line != '\0';)
		lines += strstr(line, "event=e ") != NULL &&
		    strcmp(line + strlen(line) - strlen(end), end) == 0;
	CU_ASSERT_EQUAL(lines, THREADS * THREAD_LINES);
}

/* Only where no syslogd is, and we may stand in for it. */
static void
syslog_has_priorities(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct config c = config_of(LOG_TEXT, "syslog");
	char buf[LOG_LINE_MAX + 256];
	struct err err;
	ssize_t n;
	int fd;

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", SYSLOG_PATH);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_TRUE_FATAL(fd != -1);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1) {
		(void)printf("syslog: not tested: %s: %s\n", SYSLOG_PATH,
		    strerror(errno));
		(void)close(fd);
		return;
	}
	CU_ASSERT_EQUAL(log_setup(&c, &err), 0);
	log_event(LEVEL_WARN, "e", NULL, "hello");
	n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	CU_ASSERT_TRUE(n > 0);
	buf[n > 0 ? n : 0] = '\0';
	/* daemon is 3, warning is 4 */
	CU_ASSERT_EQUAL(strncmp(buf, "<28>", 4), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, " dbtls["));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "level=warn generation=7 "));
	CU_ASSERT_PTR_NULL(strchr(buf, '\n'));

	/* It is restarted: a new socket under the same name. */
	(void)close(fd);
	(void)unlink(SYSLOG_PATH);
	log_event(LEVEL_ERR, "e", NULL, "nobody listens");
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	log_event(LEVEL_ERR, "e", NULL, "back");
	n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	buf[n > 0 ? n : 0] = '\0';
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "event=log.lost"));
	n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	buf[n > 0 ? n : 0] = '\0';
	CU_ASSERT_EQUAL(strncmp(buf, "<27>", 4), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "detail=back"));
	(void)close(fd);
	(void)unlink(SYSLOG_PATH);
	start(LOG_TEXT);
}

static CU_TestInfo tests[] = {
	{ "line_begins_with_time_event_level_generation",
	    line_begins_with_time_event_level_generation },
	{ "both_formats_have_the_same_keys", both_formats_have_the_same_keys },
	{ "hostile_bytes_are_escaped", hostile_bytes_are_escaped },
	{ "peer_may_send_a_nul", peer_may_send_a_nul },
	{ "peer_value_is_cut_at_its_maximum",
	    peer_value_is_cut_at_its_maximum },
	{ "long_line_is_cut_at_a_field_boundary",
	    long_line_is_cut_at_a_field_boundary },
	{ "full_line_is_never_too_long", full_line_is_never_too_long },
	{ "endpoint_brings_its_labels", endpoint_brings_its_labels },
	{ "event_takes_one_text", event_takes_one_text },
	{ "level_that_is_off_writes_nothing",
	    level_that_is_off_writes_nothing },
	{ "file_is_for_owner_and_group", file_is_for_owner_and_group },
	{ "file_that_cannot_be_opened_is_an_error",
	    file_that_cannot_be_opened_is_an_error },
	{ "reopening_follows_a_rotation", reopening_follows_a_rotation },
	{ "reopening_that_fails_keeps_the_old_file",
	    reopening_that_fails_keeps_the_old_file },
	{ "line_is_one_write", line_is_one_write },
	{ "reader_that_stops_does_not_stop_us",
	    reader_that_stops_does_not_stop_us },
	{ "reader_that_is_gone_does_not_end_us",
	    reader_that_is_gone_does_not_end_us },
	{ "torn_line_is_ended", torn_line_is_ended },
	{ "threads_do_not_mix_lines", threads_do_not_mix_lines },
	{ "syslog_has_priorities", syslog_has_priorities },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "log", NULL, NULL, NULL, NULL, tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	int status;

	(void)signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	(void)snprintf(log_path, sizeof(log_path), "%s/log", folder);
	(void)snprintf(moved_path, sizeof(moved_path), "%s/log.1", folder);
	status = unit_run(suites);
	(void)unlink(log_path);
	(void)rmdir(folder);
	return status;
}
