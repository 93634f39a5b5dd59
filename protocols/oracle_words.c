/*
 * What a server's answers to CONNECT mean: for people, not for a session.
 */
#include "protocols/oracle_private.h"

#define DIGITS_MIN 5 /* ORA-00604, TNS-12514 */
#define DIGITS_MAX 10
#define NO_ERROR   0u /* what a ping is answered with */

#define ASK_LISTENER "`lsnrctl services` on its host lists what it knows"
#define ITS_LOG      "the listener's log on its host says why"
#define FOR_NOW      "try again, or ask who runs the database"
#define PROCESSES                                                             \
	"is the database short of processes or sessions (V$RESOURCE_LIMIT), " \
	"or not yet registered?"
/* Numbers that we refuse with ourselves. */
#define IF_DBTLS(otherwise)                                    \
	"where that is a dbtls (or another proxy) its log has" \
	" the cause; " otherwise

/* Of Oracle's own list of messages, in other words. */
struct meaning {
	uint32_t number;
	const char *means;
	const char *remedy; /* NULL: none to give */
};
static const struct meaning meanings[] = {
	{ 12170, "connecting took too long",
	    IF_DBTLS("else a firewall between the listener and its server "
		     "may be silent") },
	{ 12500, "the listener cannot start a server process", ITS_LOG },
	{ 12502, "the listener has lost its server process", ITS_LOG },
	{ 12504, "the listener wants to be told a service",
	    "name one with --service" },
	{ 12505, "the listener knows no such SID",
	    ASK_LISTENER "; is the name that of a service?" },
	{ 12508, "the listener does not answer a ping, and is there", NULL },
	{ 12514, "the listener knows no such service",
	    ASK_LISTENER "; a database that has just started registers within "
			 "a minute" },
	{ 12516, "no handler of that service speaks this protocol", PROCESSES },
	{ 12518, "the listener cannot hand the session over", ITS_LOG },
	{ 12519, "no handler of that service has room", PROCESSES },
	{ 12520, "no handler of that service has room", PROCESSES },
	{ 12521, "the listener knows no such instance", ASK_LISTENER },
	{ 12526, "the instance takes administrators only", FOR_NOW },
	{ 12527, "the instance takes no sessions for now", FOR_NOW },
	{ 12528, "the instance takes no sessions for now", FOR_NOW },
	{ 12529, "the listener's rules let this client not in",
	    "let them have the address that this machine comes from" },
	{ 12537, "the connection was closed", ITS_LOG },
	{ 12541, "there is no listener",
	    IF_DBTLS("else the one that was asked passes on to none that is "
		     "up") },
	{ 12547, "the listener has lost contact", ITS_LOG },
	{ 12560, "the protocol adapter has failed", ITS_LOG },
	{ 12660,
	    "native network encryption: one side requires encryption or "
	    "crypto-checksumming, and the other rejects it",
	    "that is no TLS and not needed within it: set REQUIRED to "
	    "REQUESTED in sqlnet.ora (SQLNET.ENCRYPTION_*, "
	    "SQLNET.CRYPTO_CHECKSUM_*) on the side that has it" },
	{ 28860, "TLS has failed", IF_DBTLS("else " ITS_LOG) },
	{ 29024, "a certificate did not pass validation",
	    IF_DBTLS("else the server wants one of ours that it trusts: "
		     "set identity") },
};

/* A number that is not listed has but the general words. */
static struct meaning
meaning(uint32_t number)
{
	size_t i;

	for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (meanings[i].number == number)
			return meanings[i];
	}
	return (struct meaning){ number, "see Oracle's list of error messages",
		NULL };
}

static void
write_number(struct wr *words, uint32_t number)
{
	uint8_t digits[DIGITS_MAX];
	size_t at = sizeof(digits);

	while (number > 0 || sizeof(digits) - at < DIGITS_MIN) {
		digits[--at] = (uint8_t)('0' + number % 10);
		number /= 10;
	}
	wr_bytes(words, digits + at, sizeof(digits) - at);
}

static void
tell_refuse(struct rd packet, struct neg_told *told)
{
	struct wr *words = &told->words;
	struct meaning m;
	uint32_t number;

	if (!tns_read_refuse(packet, &number)) {
		told->refused = true;
		wr_string(words, "REFUSE, without a number of an error");
		return;
	}
	if (number == NO_ERROR) {
		wr_string(words,
		    "the listener is there; a ping is of no "
		    "service, --service asks for one");
		return;
	}
	m = meaning(number);
	told->refused = true;
	told->remedy = m.remedy;
	wr_string(words, "REFUSE, TNS-");
	write_number(words, number);
	wr_string(words, ": ");
	wr_string(words, m.means);
}

static void
tell_answer(struct rd answer, struct neg_told *told)
{
	struct tns_packet p;

	(void)tns_look(answer, &p);
	if (p.head_seen && p.type == TNS_REFUSE)
		tell_refuse(p.all, told);
	else if (p.head_seen && p.type == TNS_ACCEPT)
		wr_string(&told->words, "ACCEPT, the server takes the session");
	else
		wr_string(&told->words, "it answers");
}

const struct neg_words oracle_words = {
	.again = "RESEND: whoever has the connection now wants CONNECT once "
		 "more, on the same socket and in the same TLS if there is any",
	.anew = "RESEND with flag 8: the listener handed the connection to a "
		"server process, which cannot take over its TLS and wants a "
		"handshake of its own on the same socket, held to all that the "
		"first was and to the same certificate",
	.moved = "REDIRECT: the listener sends its clients on to another place",
	.answer = tell_answer,
};
