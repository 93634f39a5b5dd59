#include "conf/config_checks.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/config_settings.h"
#include "conf/endpoint.h"
#include "conf/trust.h"
#include "conf/words.h"

#define NAME_LEN_MAX 64
#define USER_LEN_MAX 32
#define USER_LETTERS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
#define PIN_PREFIX  "sha256//"
#define PIN_BASE64  44 /* of 32 bytes: 43 characters and one '=' */
#define DIGEST_LEN  32
#define BASE64_BITS 6

int
check_name(const char *text, struct err *err)
{
	const char *at;

	if (strlen(text) > NAME_LEN_MAX)
		return err_set(err, "has %zu characters; at most %d are taken",
		    strlen(text), NAME_LEN_MAX);
	for (at = text; *at != '\0'; at++) {
		if (!isalnum((unsigned char)*at) && strchr("-_.", *at) == NULL)
			return err_set(err,
			    "\"%s\" has other than letters, digits, '-', '_' "
			    "and '.'; it is written to every line of the log",
			    text);
	}
	return 0;
}

#define ENGINES_MAX 64

int
check_engine(const char *text, struct err *err)
{
	const char *names[ENGINES_MAX + 1] = { NULL }, *near;
	const struct neg_ops *ops;
	char known[512];
	size_t i;

	if (protocol_find(text) != NULL)
		return 0;
	for (i = 0; i < ENGINES_MAX && (ops = protocol_nth(i)) != NULL; i++)
		names[i] = ops->name;
	near = word_suggest(text, names);
	choices_list(names, known, sizeof(known));
	if (near != NULL)
		return err_set(err, "\"%s\" is no engine; did you mean \"%s\"?",
		    text, near);
	return err_set(err, "\"%s\" is no engine; it must be %s", text, known);
}

int
check_listen(const char *text, struct err *err)
{
	struct address a;

	if (address_parse(text, &a, err) == -1)
		return -1;
	/* An IPv6 listener is for IPv6 only. */
	if (address_is_mapped(&a))
		return err_set(err,
		    "\"%s\" is an IPv4 address in the dress "
		    "of IPv6; write it as \"127.0.0.1:PORT\"",
		    text);
	return 0;
}

int
server_parse(const char *text, char host[HOST_MAX], uint16_t *port,
    struct address *fixed, struct err *err)
{
	*fixed = (struct address){ .len = 0 };
	host[0] = '\0';
	if (strncmp(text, "unix:", strlen("unix:")) == 0)
		return address_parse(text, fixed, err);
	/* "::1" is an address, and has several colons. */
	if (address_parse_ip(text, *port, fixed)) {
		(void)snprintf(host, HOST_MAX, "%s", text);
		return 0;
	}
	if (address_split(text, host, port, err) == -1)
		return -1;
	if (address_parse_ip(host, *port, fixed) || host_is_name(host))
		return 0;
	return err_set(err,
	    "\"%s\" is neither an IP address nor a host name; a name has "
	    "letters, digits, '-' and '_' between its dots (others in their "
	    "xn-- form)",
	    host);
}

bool
network_is_meant(const char *text)
{
	return strncmp(text, "unix:", strlen("unix:")) != 0 &&
	    strchr(text, '/') != NULL;
}

/* "did you mean" the network that it lies in? */
static int
check_prefix(const char *text, const struct cidr *given, struct err *err)
{
	struct cidr c = *given;
	char fixed[CIDR_TEXT_MAX];
	unsigned bit;

	if (cidr_is_exact(&c))
		return 0;
	for (bit = c.bits; bit < sizeof(c.bytes) * 8; bit++)
		c.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return err_set(err,
	    "\"%s\" has bits beyond its prefix; did you mean "
	    "\"%s\"?",
	    text, cidr_format(&c, fixed, sizeof(fixed)));
}

int
network_parse(const char *text, struct cidr *network, uint16_t *port,
    struct err *err)
{
	char host[HOST_MAX];

	if (cidr_parse(text, network))
		return check_prefix(text, network, err);
	if (address_split(text, host, port, err) == -1)
		return -1;
	if (!cidr_parse(host, network))
		return err_set(err,
		    "\"%s\" is no network; write \"10.1.0.0/16:PORT\" or "
		    "\"[2001:db8::/32]:PORT\"",
		    host);
	return check_prefix(host, network, err);
}

static int
check_network(const char *text, uint16_t *port, struct err *err)
{
	struct cidr network;

	if (network_parse(text, &network, port, err) == -1)
		return -1;
	if (cidr_is_everyone(&network))
		return err_set(err,
		    "\"%s\" is every address there is; name the networks that "
		    "the databases are in",
		    text);
	return 0;
}

int
check_server(const char *text, struct err *err)
{
	struct address fixed;
	char host[HOST_MAX];
	uint16_t port = 1;

	if ((network_is_meant(text)
		    ? check_network(text, &port, err)
		    : server_parse(text, host, &port, &fixed, err)) == -1)
		return -1;
	if (port == 0)
		return err_set(err, "\"%s\" has port 0, where nobody listens",
		    text);
	return 0;
}

int
check_mode(const char *text, struct err *err)
{
	static const char *const words[] = { "none", "require", "verify-ca",
		"verify-full", NULL };
	enum ssl_mode mode;
	const char *why, *near;

	if (ssl_mode_parse(text, &mode, &why))
		return 0;
	if (why != NULL)
		return err_set(err, "\"%s\" is refused: %s", text, why);
	near = word_suggest(text, words);
	if (near != NULL)
		return err_set(err,
		    "\"%s\" is no ssl mode; did you mean "
		    "\"%s\"?",
		    text, near);
	return err_set(err,
	    "\"%s\" is no ssl mode; it must be \"none\", "
	    "\"require\", \"verify-ca\" or \"verify-full\"",
	    text);
}

int
check_server_name(const char *text, struct err *err)
{
	struct address a;

	if (strchr(text, '*') != NULL)
		return err_set(err,
		    "\"%s\" has a wildcard, which is the "
		    "certificate's to have; write the server's own name",
		    text);
	if (host_is_name(text) || address_parse_ip(text, 0, &a))
		return 0;
	return err_set(err,
	    "\"%s\" is neither a host name nor an IP address; "
	    "write it without a port",
	    text);
}

int
check_server_dn(const char *text, struct err *err)
{
	if (trust_dn_valid(text))
		return 0;
	return err_set(err,
	    "\"%s\" is no distinguished name; write the whole "
	    "subject, as \"CN=db,O=Example,C=DE\", or \"CN=db\" alone",
	    text);
}

int
check_sni(const char *text, struct err *err)
{
	if (host_is_name(text))
		return 0;
	return err_set(err,
	    "\"%s\" is no host name; SNI carries nothing else "
	    "(RFC 6066), and no port",
	    text);
}

static int
base64_value(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	const char *at = c == '\0' ? NULL : strchr(alphabet, c);

	return at == NULL ? -1 : (int)(at - alphabet);
}

/* 43 characters of 6 bits hold 32 bytes and two bits that must be zero. */
static bool
decode_digest(const char *text, uint8_t digest[DIGEST_LEN])
{
	unsigned bits = 0, have = 0;
	size_t i, n = 0;
	int value;

	if (strlen(text) != PIN_BASE64 || text[PIN_BASE64 - 1] != '=')
		return false;
	for (i = 0; i < PIN_BASE64 - 1; i++) {
		if ((value = base64_value(text[i])) == -1)
			return false;
		bits = (bits << BASE64_BITS | (unsigned)value) & UINT16_MAX;
		have += BASE64_BITS;
		if (have < 8)
			continue;
		have -= 8;
		digest[n++] = (uint8_t)(bits >> have);
	}
	return n == DIGEST_LEN && (bits & ((1u << have) - 1)) == 0;
}

int
pin_parse(const char *text, uint8_t digest[DIGEST_LEN], struct err *err)
{
	if (strncmp(text, PIN_PREFIX, strlen(PIN_PREFIX)) == 0 &&
	    decode_digest(text + strlen(PIN_PREFIX), digest))
		return 0;
	return err_set(err,
	    "\"%s\" is no pin; write \"" PIN_PREFIX "\" and "
	    "the SHA-256 of the public key (SubjectPublicKeyInfo) in base64, "
	    "44 characters that end in '='",
	    text);
}

int
check_pin(const char *text, struct err *err)
{
	uint8_t digest[DIGEST_LEN];

	return pin_parse(text, digest, err);
}

int
check_cidr(const char *text, struct err *err)
{
	struct cidr c;

	if (!cidr_parse(text, &c))
		return err_set(err,
		    "\"%s\" is no network; write "
		    "\"10.1.0.0/16\", \"2001:db8::/32\" or an address alone",
		    text);
	return check_prefix(text, &c, err);
}

/* Whoever may say for whom he speaks could be anybody's spokesman. */
int
check_proxy_accept(const char *text, struct err *err)
{
	struct cidr c;

	if (check_cidr(text, err) == -1)
		return -1;
	if (!cidr_parse(text, &c) || !cidr_is_everyone(&c))
		return 0;
	return err_set(err,
	    "\"%s\" would let everyone say that they are anyone; write the "
	    "addresses of your load balancers",
	    text);
}

/* As useradd(8) takes them, and no number. */
static bool
is_user_name(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= USER_LEN_MAX &&
	    (isalpha((unsigned char)text[0]) || text[0] == '_') &&
	    strspn(text, USER_LETTERS) == len;
}

int
check_user(const char *text, struct err *err)
{
	if (!is_user_name(text))
		return err_set(err,
		    "\"%s\" is no user's name; write one that /etc/passwd has, "
		    "as \"dbtls\"",
		    text);
	if (strcmp(text, "root") != 0)
		return 0;
	return err_set(err,
	    "is who the proxy is to be no longer; make a user for it, as "
	    "`useradd --system dbtls` does");
}

int
check_source(const char *text, struct err *err)
{
	struct address a;

	if (strcmp(text, SOURCE_CLIENT) == 0 || address_parse_ip(text, 0, &a))
		return 0;
	return err_set(err,
	    "\"%s\" is no IP address of this machine; write "
	    "it without a port, as \"10.0.0.5\", or \"client\" for the "
	    "client's own",
	    text);
}

int
check_log_to(const char *text, struct err *err)
{
	if (strcmp(text, "stderr") == 0 || strcmp(text, "syslog") == 0 ||
	    strchr(text, '/') != NULL)
		return 0;
	return err_set(err,
	    "\"%s\" is neither \"stderr\" nor \"syslog\"; "
	    "write a file with its folder, as \"/var/log/dbtls.log\"",
	    text);
}

int
check_client_ca(const char *text, struct err *err)
{
	if (strcmp(text, "system") != 0)
		return 0;
	return err_set(err,
	    "\"system\" would let in whoever has bought a "
	    "certificate from anyone; name the CA that your clients' "
	    "certificates come from");
}

int
check_wallet_host(const char *text, struct err *err)
{
	if (host_is_name(text))
		return 0;
	return err_set(err,
	    "\"%s\" is no host name; write what `hostname` says where the "
	    "wallet was made",
	    text);
}

/* As an operating system has them; Windows knows blanks. */
int
check_wallet_user(const char *text, struct err *err)
{
	const char *at;

	for (at = text; *at != '\0' && isprint((unsigned char)*at); at++)
		;
	if (*at == '\0' && at != text && at - text <= NAME_LEN_MAX)
		return 0;
	return err_set(err,
	    "is no user's name; write the name of who made the wallet, at "
	    "most %d characters of ASCII",
	    NAME_LEN_MAX);
}
