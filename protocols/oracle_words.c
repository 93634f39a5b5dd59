/*
 * What a server's answer to CONNECT means: for people, not for a session.
 */
#include "protocols/oracle_private.h"

#define DIGITS_MIN 5 /* ORA-00604, TNS-12514 */
#define DIGITS_MAX 10
#define NO_ERROR   0u /* what a ping is answered with */

/* Of Oracle's own list of messages, in other words. */
static const struct {
	uint32_t number;
	const char *means;
} meanings[] = {
	{ 12500, "the listener cannot start a server process" },
	{ 12502, "the listener has lost its server process" },
	{ 12504, "the listener wants to be told a service" },
	{ 12505, "the listener knows no such SID" },
	{ 12508, "the listener does not answer a ping, and is there" },
	{ 12514, "the listener knows no such service" },
	{ 12516, "no handler of that service speaks this protocol" },
	{ 12518, "the listener cannot hand the session over" },
	{ 12519, "no handler of that service has room" },
	{ 12520, "no handler of that service has room" },
	{ 12521, "the listener knows no such instance" },
	{ 12526, "the instance takes administrators only" },
	{ 12527, "the instance takes no sessions for now" },
	{ 12528, "the instance takes no sessions for now" },
	{ 12529, "the listener's rules let this client not in" },
	{ 12537, "the connection was closed" },
	{ 12541, "there is no listener" },
	{ 12547, "the listener has lost contact" },
	{ 12560, "the protocol adapter has failed" },
	{ 28860, "TLS has failed" },
};

static const char *
meaning(uint32_t number)
{
	size_t i;

	for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (meanings[i].number == number)
			return meanings[i].means;
	}
	return "see Oracle's list of error messages";
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
tell_refuse(struct rd packet, struct wr *words)
{
	uint32_t number;

	if (!tns_read_refuse(packet, &number)) {
		wr_string(words, "REFUSE, without a number of an error");
		return;
	}
	if (number == NO_ERROR) {
		wr_string(words, "the listener is there");
		return;
	}
	wr_string(words, "REFUSE, TNS-");
	write_number(words, number);
	wr_string(words, ": ");
	wr_string(words, meaning(number));
}

void
oracle_words(struct rd answer, struct wr *words)
{
	struct tns_packet p;

	(void)tns_look(answer, &p);
	if (p.head_seen && p.type == TNS_REFUSE)
		tell_refuse(p.all, words);
	else if (p.head_seen && p.type == TNS_ACCEPT)
		wr_string(words, "ACCEPT, the server takes the session");
	else
		wr_string(words, "it answers");
}
