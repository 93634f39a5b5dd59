#include "conf/filebytes.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define MIB        ((size_t)1024 * 1024)
#define FIRST_ROOM ((size_t)64 * 1024) /* where the size is not known */
#define OTHERS_MAY (S_IRWXG | S_IRWXO)

void
filebytes_fini(struct filebytes *f)
{
	OPENSSL_clear_free(f->bytes, f->room);
	f->bytes = NULL;
}

static bool
grow(struct filebytes *f, size_t room)
{
	uint8_t *bytes;

	bytes = OPENSSL_clear_realloc(f->bytes, f->room, room);
	if (bytes == NULL)
		return false;
	f->bytes = bytes;
	f->room = room;
	return true;
}

static int
fill(struct filebytes *f, int fd, unsigned mib, struct err *err)
{
	ssize_t n;

	for (;;) {
		if (f->len > mib * MIB)
			return err_set(err,
			    "%s: larger than %u MiB, as no file of this kind"
			    " is",
			    f->path, mib);
		if (f->len == f->room && !grow(f, f->room * 2))
			return err_set(err, "%s: out of memory", f->path);
		n = read(fd, f->bytes + f->len, f->room - f->len);
		if (n == 0)
			return 0;
		if (n > 0)
			f->len += (size_t)n;
		else if (errno != EINTR)
			return err_set_errno(err, "%s", f->path);
	}
}

/* Asked of the descriptor, so that nobody can change the file in between. */
int
filebytes_check_secret(const struct filebytes *f, struct err *err)
{
	if ((f->mode & OTHERS_MAY) == 0)
		return 0;
	return err_set(err,
	    "%s: holds a secret, but its mode 0%03o lets others"
	    " at it; chmod 0600",
	    f->path, f->mode);
}

static int
read_all(struct filebytes *f, int fd, bool secret, unsigned mib,
    struct err *err)
{
	struct stat st;
	bool known;

	if (fstat(fd, &st) == -1)
		return err_set_errno(err, "%s", f->path);
	f->mode = (unsigned)(st.st_mode & (S_IRWXU | OTHERS_MAY));
	if (secret && filebytes_check_secret(f, err) == -1)
		return -1;
	known = st.st_size > 0 && (uintmax_t)st.st_size <= mib * MIB;
	if (!grow(f, known ? (size_t)st.st_size + 1 : FIRST_ROOM))
		return err_set(err, "%s: out of memory", f->path);
	return fill(f, fd, mib, err);
}

/* A named pipe that nobody writes to would be waited for, for ever; one that
 * somebody does is read as any other file. */
static int
open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd != -1)
		(void)fcntl(fd, F_SETFL, O_RDONLY);
	return fd;
}

int
filebytes_read(struct filebytes *f, const char *path, bool secret, unsigned mib,
    struct err *err)
{
	int fd, rc;

	*f = (struct filebytes){ .path = path };
	/* Before anything that would have OpenSSL read openssl.cnf. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return err_set(err, "%s: OpenSSL could not be started", path);
	fd = open_file(path);
	if (fd == -1)
		return err_set_errno(err, "%s", path);
	rc = read_all(f, fd, secret, mib, err);
	(void)close(fd);
	if (rc == -1)
		filebytes_fini(f);
	return rc;
}
