#include "proxy/log.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "conf/utf8.h"

#define LOG_DETAIL_MAX  1024
#define LOG_NUMBER_MAX  64
#define LOG_FILE_MODE   0640
#define SYSLOG_PATH     "/dev/log"
#define SYSLOG_HEAD_MAX 128

/* What log_close() may add to a line, room for which is always kept. */
static const char text_cut[] = " cut=true";
static const char json_cut[] = ",\"cut\":true";
#define LOG_TAIL_MAX (sizeof(json_cut) + sizeof("}\n"))
#define LOG_ROOM     (LOG_LINE_MAX - LOG_TAIL_MAX)

/* A pipe takes a line whole or not at all. */
_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "a line must fit into a pipe");

enum sink_kind {
	SINK_STDERR = 0, /* until log_setup(): descriptor 2 as it is */
	SINK_FD,         /* a descriptor of ours; it does not block */
	SINK_SOCKET,     /* descriptor 2, a socket, as under systemd */
	SINK_SYSLOG,
};

struct sink {
	enum sink_kind kind;
	int fd;     /* -1: syslog is not connected */
	char *path; /* NULL: no file, nothing to reopen */
	bool torn;  /* the last line was written in part */
	uint64_t lost;
};

static struct {
	pthread_mutex_t lock; /* of the sink */
	struct sink sink;
	atomic_int level;
	atomic_bool json;
	atomic_uint generation;
} logger = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.sink = { .kind = SINK_STDERR, .fd = STDERR_FILENO },
	.level = LEVEL_INFO,
};

static const char *
level_name(enum log_level level)
{
	switch (level) {
	case LEVEL_DEBUG:
		return "debug";
	case LEVEL_INFO:
		return "info";
	case LEVEL_NOTICE:
		return "notice";
	case LEVEL_WARN:
		return "warn";
	case LEVEL_ERR:
		return "err";
	}
	return "err";
}

static int
level_priority(enum log_level level)
{
	switch (level) {
	case LEVEL_DEBUG:
		return LOG_DEBUG;
	case LEVEL_INFO:
		return LOG_INFO;
	case LEVEL_NOTICE:
		return LOG_NOTICE;
	case LEVEL_WARN:
		return LOG_WARNING;
	case LEVEL_ERR:
		return LOG_ERR;
	}
	return LOG_ERR;
}

/*
 * Composing a line.
 */

static void
put(struct log_line *l, const char *bytes, size_t n)
{
	if (l->over || n > LOG_ROOM - l->len) {
		l->over = true;
		return;
	}
	memcpy(l->text + l->len, bytes, n);
	l->len += n;
}

static void
put_string(struct log_line *l, const char *s)
{
	put(l, s, strlen(s));
}

static void __attribute__((format(printf, 2, 3)))
put_format(struct log_line *l, const char *fmt, ...)
{
	char text[LOG_NUMBER_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(text))
		put(l, text, (size_t)n);
}

static bool
is_key_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

/* Keys are ours, but for the names of labels. */
static void
put_key(struct log_line *l, const char *key)
{
	for (; *key != '\0'; key++)
		put(l, is_key_byte(*key) ? key : "_", 1);
}

static void
field_begin(struct log_line *l, const char *prefix, const char *key)
{
	l->field = l->len;
	l->over = false;
	if (l->json)
		put_string(l, l->len == 1 ? "\"" : ",\"");
	else if (l->len > 0)
		put_string(l, " ");
	put_key(l, prefix);
	put_key(l, key);
	put_string(l, l->json ? "\":" : "=");
}

static void
field_end(struct log_line *l)
{
	if (!l->over)
		return;
	l->len = l->field;
	l->cut = true;
}

static bool
is_printable(uint8_t b)
{
	return b >= 0x20 && b < 0x7f;
}

/* Does this value stand in text without quotes? */
static bool
is_bare(const uint8_t *value, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!is_printable(value[i]) ||
		    memchr(" \"\\=", value[i], 4) != NULL)
			return false;
	return len > 0;
}

static void
put_text_value(struct log_line *l, const uint8_t *value, size_t len)
{
	size_t i;

	put_string(l, "\"");
	for (i = 0; i < len; i++) {
		if (!is_printable(value[i])) {
			put_format(l, "\\x%02x", (unsigned)value[i]);
			continue;
		}
		if (value[i] == '"' || value[i] == '\\')
			put_string(l, "\\");
		put(l, (const char *)&value[i], 1);
	}
	put_string(l, "\"");
}

#define UTF8_REPLACEMENT 0xfffdu
#define UTF16_PLANE      0x10000u /* what follows needs two surrogates */
#define UTF16_HIGH       0xd800u
#define UTF16_LOW        0xdc00u
#define UTF16_LOW_BITS   0x3ffu

static void
put_json_point(struct log_line *l, uint32_t point)
{
	char c = (char)point;

	if (point == '"' || point == '\\') {
		put_string(l, "\\");
		put(l, &c, 1);
	} else if (point < 0x80 && is_printable((uint8_t)point)) {
		put(l, &c, 1);
	} else if (point < UTF16_PLANE) {
		put_format(l, "\\u%04x", (unsigned)point);
	} else {
		point -= UTF16_PLANE;
		put_format(l, "\\u%04x\\u%04x", UTF16_HIGH + (point >> 10),
		    UTF16_LOW + (point & UTF16_LOW_BITS));
	}
}

static void
put_json_value(struct log_line *l, const uint8_t *value, size_t len)
{
	uint32_t point;
	size_t i;

	put_string(l, "\"");
	for (i = 0; i < len;) {
		i += utf8_next(value + i, len - i, &point);
		put_json_point(l,
		    point == UTF8_INVALID ? UTF8_REPLACEMENT : point);
	}
	put_string(l, "\"");
}

enum quoting {
	QUOTE_IF_NEEDED = 0,
	QUOTE_ALWAYS
};

static void
put_value(struct log_line *l, const void *value, size_t len, enum quoting how)
{
	if (l->json)
		put_json_value(l, value, len);
	else if (how == QUOTE_IF_NEEDED && is_bare(value, len))
		put(l, value, len);
	else
		put_text_value(l, value, len);
}

void
log_text(struct log_line *l, const char *key, const char *value)
{
	if (value == NULL)
		return;
	field_begin(l, "", key);
	put_value(l, value, strlen(value), QUOTE_IF_NEEDED);
	field_end(l);
}

void
log_peer(struct log_line *l, const char *key, const void *value, size_t len)
{
	if (value == NULL)
		return;
	field_begin(l, "", key);
	put_value(l, value, len < LOG_PEER_MAX ? len : LOG_PEER_MAX,
	    QUOTE_ALWAYS);
	field_end(l);
}

void
log_uint(struct log_line *l, const char *key, uint64_t value)
{
	field_begin(l, "", key);
	put_format(l, "%llu", (unsigned long long)value);
	field_end(l);
}

void
log_seconds(struct log_line *l, const char *key, double seconds)
{
	field_begin(l, "", key);
	put_format(l, "%.6f", isfinite(seconds) ? seconds : 0.0);
	field_end(l);
}

void
log_hex(struct log_line *l, const char *key, const uint8_t *bytes, size_t n)
{
	size_t i;

	field_begin(l, "", key);
	put_string(l, l->json || n == 0 ? "\"" : "");
	for (i = 0; i < n; i++)
		put_format(l, "%02x", (unsigned)bytes[i]);
	put_string(l, l->json || n == 0 ? "\"" : "");
	field_end(l);
}

void
log_address(struct log_line *l, const char *key, const struct address *a)
{
	char text[ADDRESS_TEXT_MAX];

	log_text(l, key, address_format(a, text, sizeof(text)));
}

void
log_endpoint(struct log_line *l, const struct endpoint *e)
{
	size_t i;

	log_text(l, "endpoint", e->name);
	for (i = 0; i < e->nlabels; i++) {
		const char *value = e->labels[i].value;

		field_begin(l, "label.", e->labels[i].name);
		put_value(l, value, strlen(value), QUOTE_IF_NEEDED);
		field_end(l);
	}
}

static void
log_now(struct log_line *l)
{
	char text[sizeof("2000-01-01T00:00:00.000000Z") + LOG_NUMBER_MAX];
	struct timespec now = { 0 };
	struct tm tm = { 0 };
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + n, sizeof(text) - n, ".%06ldZ",
	    now.tv_nsec / 1000);
	log_text(l, "time", text);
}

static void
line_begin(struct log_line *l, enum log_level level, const char *event)
{
	l->len = 0;
	l->level = level;
	l->over = l->cut = false;
	l->json = atomic_load_explicit(&logger.json, memory_order_relaxed);
	if (l->json)
		put_string(l, "{");
	log_now(l);
	log_text(l, "event", event);
	log_text(l, "level", level_name(level));
	log_uint(l, "generation",
	    atomic_load_explicit(&logger.generation, memory_order_relaxed));
}

/* The tail has its room beyond LOG_ROOM. */
static void
line_end(struct log_line *l)
{
	const char *cut = l->json ? json_cut : text_cut;
	int n;

	n = snprintf(l->text + l->len, sizeof(l->text) - l->len, "%s%s\n",
	    l->cut ? cut : "", l->json ? "}" : "");
	assert(n > 0 && (size_t)n < sizeof(l->text) - l->len);
	l->len += (size_t)n;
}

/*
 * Writing it.  All of this runs under the lock.
 */

/* A datagram of its own rather than syslog(3), which would wait for a syslogd
 * that has stopped reading. */
static int
syslog_connect(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd;

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", SYSLOG_PATH);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static ssize_t
syslog_send(int fd, const struct log_line *l)
{
	char head[SYSLOG_HEAD_MAX], when[32];
	time_t now = time(NULL);
	struct tm tm = { 0 };
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	int n;

	(void)localtime_r(&now, &tm);
	(void)strftime(when, sizeof(when), "%b %e %T", &tm);
	n = snprintf(head, sizeof(head),
	    "<%d>%s dbtls[%ld]: ", LOG_DAEMON | level_priority(l->level), when,
	    (long)getpid());
	iov[0] = (struct iovec){ head, (size_t)n };
	/* A datagram needs no newline, and sendmsg() changes nothing. */
	iov[1] = (struct iovec){ (char *)(uintptr_t)l->text, l->len - 1 };
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == -1 ? -1 : (ssize_t)l->len;
}

/* Once more on a new socket: syslogd may have been restarted. */
static ssize_t
syslog_write(struct sink *s, const struct log_line *l)
{
	ssize_t n = -1;

	if (s->fd != -1)
		n = syslog_send(s->fd, l);
	if (n != -1 || (s->fd != -1 && errno == EAGAIN))
		return n;
	if (s->fd != -1)
		(void)close(s->fd);
	s->fd = syslog_connect();
	return s->fd == -1 ? -1 : syslog_send(s->fd, l);
}

static ssize_t
write_if_room(int fd, const struct log_line *l)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (poll(&p, 1, 0) == 1)
		return write(fd, l->text, l->len);
	errno = EAGAIN;
	return -1;
}

static ssize_t
write_once(struct sink *s, const struct log_line *l)
{
	switch (s->kind) {
	case SINK_STDERR:
		return write_if_room(s->fd, l);
	case SINK_FD:
		return write(s->fd, l->text, l->len);
	case SINK_SOCKET:
		return send(s->fd, l->text, l->len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	case SINK_SYSLOG:
		return syslog_write(s, l);
	}
	return -1;
}

static bool
sink_write(struct sink *s, const struct log_line *l)
{
	ssize_t n;

	do
		n = write_once(s, l);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return false;
	s->torn = (size_t)n < l->len;
	return true;
}

/* Ends a line that a full disk or a full socket has cut in its middle, so that
 * the next is not taken for its rest. */
static bool
sink_mend(struct sink *s)
{
	static const struct log_line newline = { .text = "\n", .len = 1 };

	return !s->torn || sink_write(s, &newline);
}

static void
sink_report_lost(struct sink *s)
{
	struct log_line l;

	line_begin(&l, LEVEL_WARN, "log.lost");
	log_uint(&l, "lines", s->lost);
	line_end(&l);
	if (sink_write(s, &l))
		s->lost = 0;
}

static void
sink_emit(struct sink *s, const struct log_line *l)
{
	if (s->lost > 0 && sink_mend(s))
		sink_report_lost(s);
	if (!sink_mend(s) || !sink_write(s, l) || s->torn)
		s->lost++;
}

bool
log_open(struct log_line *l, enum log_level level, const char *event)
{
	if ((int)level <
	    atomic_load_explicit(&logger.level, memory_order_relaxed))
		return false;
	line_begin(l, level, event);
	return true;
}

void
log_close(struct log_line *l)
{
	line_end(l);
	(void)pthread_mutex_lock(&logger.lock);
	sink_emit(&logger.sink, l);
	(void)pthread_mutex_unlock(&logger.lock);
}

void
log_event(enum log_level level, const char *event, const struct endpoint *e,
    const char *fmt, ...)
{
	char detail[LOG_DETAIL_MAX];
	struct log_line l;
	va_list ap;

	if (!log_open(&l, level, event))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	if (e != NULL)
		log_endpoint(&l, e);
	log_text(&l, "detail", detail);
	log_close(&l);
}

void
log_generation(unsigned generation)
{
	atomic_store_explicit(&logger.generation, generation,
	    memory_order_relaxed);
}

/*
 * Where it goes.
 */

/* The folder may be the user's that root is about to become: whoever may write
 * there must not choose what else root writes to, and gives away. */
static bool
leads_astray(const char *path, int fd)
{
	struct stat name, file;

	if (geteuid() != 0)
		return false;
	if (lstat(path, &name) == -1 || fstat(fd, &file) == -1)
		return true;
	if (S_ISLNK(name.st_mode))
		return name.st_uid != 0;
	return name.st_dev != file.st_dev || name.st_ino != file.st_ino ||
	    (S_ISREG(file.st_mode) && file.st_nlink > 1);
}

static int
not_astray(const char *path, int fd)
{
	if (fd == -1 || !leads_astray(path, fd))
		return fd;
	(void)close(fd);
	errno = ELOOP;
	return -1;
}

/* umask does not apply to the mode of a file that we make: fchmod(). */
static int
open_file(const char *path)
{
	const int flags =
	    O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, flags);

	if (fd != -1 || errno != ENOENT)
		return not_astray(path, fd);
	fd = open(path, flags | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
	if (fd == -1)
		return errno == EEXIST ? not_astray(path, open(path, flags))
				       : -1;
	(void)fchmod(fd, LOG_FILE_MODE);
	return fd;
}

/*
 * Descriptor 2 is shared with whoever started us, so its flags are not ours to
 * change: a pipe or a terminal is opened anew, without blocking.  A regular
 * file is not, as that would start at its beginning.
 */
static int
sink_stderr(struct sink *s)
{
	struct stat st;

	s->fd = STDERR_FILENO;
	s->kind = SINK_STDERR;
	if (fstat(STDERR_FILENO, &st) == -1 || S_ISREG(st.st_mode))
		return 0;
	if (S_ISSOCK(st.st_mode)) {
		s->kind = SINK_SOCKET;
		return 0;
	}
	s->fd = open("/proc/self/fd/2",
	    O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (s->fd == -1)
		s->fd = STDERR_FILENO;
	else
		s->kind = SINK_FD;
	return 0;
}

static int
sink_file(struct sink *s, const char *path, struct err *err)
{
	s->kind = SINK_FD;
	if ((s->path = strdup(path)) == NULL)
		return err_set_errno(err, "log.to %s", path);
	if ((s->fd = open_file(path)) == -1) {
		(void)err_set_errno(err, "log.to %s: cannot open", path);
		free(s->path);
		return -1;
	}
	return 0;
}

static int
sink_open(struct sink *s, const char *to, struct err *err)
{
	if (strcmp(to, "stderr") == 0)
		return sink_stderr(s);
	if (strcmp(to, "syslog") != 0)
		return sink_file(s, to, err);
	s->kind = SINK_SYSLOG;
	if ((s->fd = syslog_connect()) != -1)
		return 0;
	return err_set_errno(err, "log.to syslog: cannot reach " SYSLOG_PATH);
}

static void
sink_replace(struct sink *with)
{
	struct sink old;

	(void)pthread_mutex_lock(&logger.lock);
	old = logger.sink;
	logger.sink = *with;
	(void)pthread_mutex_unlock(&logger.lock);
	free(old.path);
	if (old.fd > STDERR_FILENO)
		(void)close(old.fd);
}

int
log_setup(const struct config *c, struct err *err)
{
	struct sink s = { .fd = -1 };

	if (sink_open(&s, c->log.to, err) == -1)
		return -1;
	atomic_store(&logger.level, (int)c->log.level);
	atomic_store(&logger.json, c->log.format == LOG_JSON);
	sink_replace(&s);
	return 0;
}

void
log_give(uid_t uid)
{
	const struct sink *sink = &logger.sink;
	struct stat st;

	if (sink->path == NULL || fstat(sink->fd, &st) == -1 ||
	    !S_ISREG(st.st_mode) || st.st_uid != 0)
		return;
	if (fchown(sink->fd, uid, (gid_t)-1) == -1)
		log_event(LEVEL_WARN, "log.failed", NULL,
		    "cannot give %s to the user that will have to reopen it: "
		    "%s",
		    sink->path, strerror(errno));
}

/* The path belongs to the thread that calls log_setup() and this. */
void
log_reopen(void)
{
	const char *path = logger.sink.path;
	int fd, old;

	if (path == NULL)
		return;
	if ((fd = open_file(path)) == -1) {
		log_event(LEVEL_ERR, "log.failed", NULL,
		    "cannot reopen %s: %s; the file that was open is kept",
		    path, strerror(errno));
		return;
	}
	(void)pthread_mutex_lock(&logger.lock);
	old = logger.sink.fd;
	logger.sink.fd = fd;
	logger.sink.torn = false;
	(void)pthread_mutex_unlock(&logger.lock);
	(void)close(old);
	log_event(LEVEL_INFO, "log.reopened", NULL, "%s", path);
}
