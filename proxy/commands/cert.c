#include "proxy/commands/cert.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/words.h"
#include "proxy/commands/commands.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "show", cert_show },
	{ "export", cert_export },
	{ "wallet", cert_wallet },
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

/* What is not there at all was asked for wrongly. */
static bool
is_there(const char *path, struct err *err)
{
	if (access(path, R_OK) == 0)
		return true;
	(void)err_set_errno(err, "%s", path);
	return false;
}

int
cert_open(struct contents *c, const char *path,
    const struct wallet_access *access, struct err *err)
{
	if (!is_there(path, err) ||
	    (access->password_file != NULL &&
		!is_there(access->password_file, err)))
		return EXIT_USAGE;
	return contents_read(c, path, access, err) == 0 ? EXIT_YES
							: EXIT_REFUSED;
}

static int
there_already(const char *path, struct err *err)
{
	return err_set(err,
	    "%s: is there already; name another file, or add --force", path);
}

int
cert_check_free(const char *path, bool force, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) == -1)
		return 0;
	if (!force)
		return there_already(path, err);
	if (S_ISREG(st.st_mode))
		return 0;
	return err_set(err,
	    "%s: is no plain file, and none that is to be replaced; name "
	    "another",
	    path);
}

static int
write_all(int fd, const char *bytes, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, bytes, len);
		if (n == -1 && errno != EINTR)
			return -1;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* A name that is there is never followed: link() makes a new one or fails,
 * rename() puts the file in its place. */
static int
give_name(const char *temporary, const char *path, bool force)
{
	return force ? rename(temporary, path) : link(temporary, path);
}

int
cert_save(const char *path, const void *bytes, size_t len, mode_t mode,
    bool force, struct err *err)
{
	char *temporary;
	int fd, rc = -1;

	if (asprintf(&temporary, "%s.XXXXXX", path) == -1)
		return err_set(err, "%s: out of memory", path);
	/* Its mode is 0600 until all is in it. */
	if ((fd = mkostemp(temporary, O_CLOEXEC)) == -1) {
		(void)err_set_errno(err, "%s", path);
		free(temporary);
		return -1;
	}
	if (write_all(fd, bytes, len) == -1 || fchmod(fd, mode) == -1 ||
	    fsync(fd) == -1)
		(void)err_set_errno(err, "%s", path);
	else if (give_name(temporary, path, force) == 0)
		rc = 0;
	else if (errno == EEXIST)
		(void)there_already(path, err);
	else
		(void)err_set_errno(err, "%s", path);
	(void)close(fd);
	/* After rename() there is none of that name. */
	(void)unlink(temporary);
	free(temporary);
	return rc;
}

static int
fail_unknown(const char *word)
{
	const char *names[VERBS + 1] = { NULL }, *near;
	size_t i;

	for (i = 0; i < VERBS; i++)
		names[i] = verbs[i].name;
	near = word_suggest(word, names);
	(void)fprintf(stderr,
	    "dbtls: cert %s: there is no such thing to do; %s%s\n", word,
	    near == NULL ? "see `dbtls help cert`" : "did you mean cert ",
	    near == NULL ? "" : near);
	return EXIT_USAGE;
}

static int
cert_run(int argc, char **argv)
{
	size_t i;

	if (argc < 2) {
		(void)fprintf(stderr,
		    "dbtls: cert: what is to be done? show, export or wallet; "
		    "see `dbtls help cert`\n");
		return EXIT_USAGE;
	}
	for (i = 0; i < VERBS; i++) {
		if (strcmp(argv[1], verbs[i].name) != 0)
			continue;
		argv[1] = argv[0];
		return verbs[i].run(argc - 1, argv + 1);
	}
	return fail_unknown(argv[1]);
}

const struct command command_cert = {
	.name = "cert",
	.run = cert_run,
	.usage = "cert show FILE [--password-file F] [--wallet-host H]"
		 " [--wallet-user U] [--json]\n"
		 "cert export FILE [--out F] [--key-out F] [--force]"
		 " [--password-file F]\n"
		 "    [--wallet-host H] [--wallet-user U]\n"
		 "cert wallet [--ca F]... [--cert F [--key F]]"
		 " --out FILE|FOLDER [--force]\n"
		 "    [--password-file F] [--wallet-host H] [--wallet-user U]",
	.summary = "what is in a certificate file or wallet; PEM out of it; "
		   "a new wallet",
	.details =
	    "FILE is PEM, DER, PKCS#12, an Oracle wallet (cwallet.sso,"
	    " ewallet.p12) or the\n"
	    "folder of one.\n"
	    "\n"
	    "show prints what is in it, and of a private key only its kind and"
	    " which\n"
	    "certificate it belongs to.  export writes the certificates as"
	    " PEM, that of the\n"
	    "key first.  wallet makes an auto-login wallet, which needs no"
	    " password: whoever\n"
	    "can read it has what is in it.\n"
	    "\n"
	    "  --password-file F  its first line opens FILE, or the key\n"
	    "  --wallet-host H    where an auto_login_local wallet was made;"
	    " default: here\n"
	    "  --wallet-user U    and by whom; default: whoever asks\n"
	    "  --out F            of export: default is standard output; of"
	    " wallet: a file, or\n"
	    "                     a folder, where it is called cwallet.sso\n"
	    "  --key-out F        also write the private key, unencrypted, to"
	    " a file of mode\n"
	    "                     0600\n"
	    "  --ca F             certificates to be trusted, of any file that"
	    " show reads\n"
	    "  --cert F           one's own certificate with its chain, or a"
	    " wallet with both\n"
	    "                     and the key\n"
	    "  --key F            its key; default: in the same file\n"
	    "  --force            replace a file that is there\n"
	    "  --json             one JSON document in place of text\n"
	    "\n"
	    "Exit status: 0 done; 1 FILE does not open, or is not fit for it,"
	    " or a file would\n"
	    "be overwritten; 2 wrong usage, or no such file.\n",
};
