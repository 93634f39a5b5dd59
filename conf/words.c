#include "conf/words.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define PREFIX_MIN 4

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool
same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* How many letters must be left out, put in, changed or swapped with their
 * neighbour to make one word of the other (optimal string alignment). */
static size_t
word_distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], la = strlen(a), lb = strlen(b), i, j;
	size_t *now = rows[1], *last = rows[0], *before = rows[2], *spare;

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (j = 0; j <= lb; j++)
		last[j] = before[j] = j;
	for (i = 1; i <= la; i++) {
		now[0] = i;
		for (j = 1; j <= lb; j++) {
			bool same = same_letter(a[i - 1], b[j - 1]);

			now[j] = least(last[j - 1] + (same ? 0 : 1),
			    least(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
			    same_letter(a[i - 2], b[j - 1]))
				now[j] = least(now[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[lb];
}

/* Somebody who stops in the middle of a word means that word. */
static bool
begins(const char *word, const char *known)
{
	size_t len = strlen(word);

	return len >= PREFIX_MIN && strncmp(word, known, len) == 0;
}

/* A third of it may be wrong, and one letter of the shortest. */
bool
word_is_near(const char *word, const char *known, size_t *best)
{
	size_t distance = begins(word, known) ? 1 : word_distance(word, known);

	if (distance > 1 && distance > strlen(word) / 3)
		return false;
	/* "min" is not "max", nor "on" "off". */
	if (distance * 2 > strlen(word) || distance >= *best)
		return false;
	*best = distance;
	return true;
}

const char *
word_suggest(const char *word, const char *const *choices)
{
	const char *found = NULL;
	size_t best = WORD_MAX;

	for (; *choices != NULL; choices++) {
		if (word_is_near(word, *choices, &best))
			found = *choices;
	}
	return found;
}
