/*
 * seeds - a fuzz target without a fuzzer
 *
 *	seeds_TARGET FILE           runs every seed
 *	seeds_TARGET -o DIR FILE    writes them to a folder, for libFuzzer
 *
 * Each line of FILE is one input in hexadecimal; spaces do not count, and #
 * begins a comment.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seed {
	uint8_t *bytes;
	size_t len;
};

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at == NULL ? -1 : (int)(at - digits);
}

/* Half of the line's length is enough for what it says. */
static int
seed_read(struct seed *s, const char *line)
{
	*s = (struct seed){ .bytes = malloc(strlen(line) / 2 + 1) };
	if (s->bytes == NULL)
		return -1;
	while (*line != '\0' && *line != '#') {
		int high = hex_digit(*line), low;

		if (isspace((unsigned char)*line)) {
			line++;
			continue;
		}
		low = high < 0 ? -1 : hex_digit(line[1]);
		if (low < 0)
			return -1;
		s->bytes[s->len++] = (uint8_t)(high << 4 | low);
		line += 2;
	}
	return 0;
}

static int
seed_write(const struct seed *s, const char *folder, unsigned number)
{
	char path[4096];
	FILE *f;
	int result = 0;

	snprintf(path, sizeof(path), "%s/seed-%04u", folder, number);
	if ((f = fopen(path, "wb")) == NULL)
		return -1;
	if (fwrite(s->bytes, 1, s->len, f) != s->len)
		result = -1;
	if (fclose(f) != 0)
		result = -1;
	return result;
}

/* The sanitizers see the end of an input only if its memory ends there. */
static int
seed_run(const struct seed *s)
{
	uint8_t *exact = malloc(s->len);

	if (exact == NULL)
		return -1;
	memcpy(exact, s->bytes, s->len);
	(void)LLVMFuzzerTestOneInput(exact, s->len);
	free(exact);
	return 0;
}

static int
seed_line(const char *line, const char *folder, unsigned *count)
{
	struct seed s;
	int result = seed_read(&s, line);

	if (result == 0 && s.len > 0) {
		++*count;
		result = folder != NULL ? seed_write(&s, folder, *count)
					: seed_run(&s);
	}
	free(s.bytes);
	return result;
}

static int
seeds_play(const char *path, const char *folder)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	unsigned count = 0, number = 0;
	int result = 0;

	if (f == NULL) {
		perror(path);
		return -1;
	}
	while (result == 0 && getline(&line, &room, f) != -1) {
		number++;
		result = seed_line(line, folder, &count);
	}
	free(line);
	fclose(f);
	if (result != 0)
		fprintf(stderr, "%s:%u: cannot be used\n", path, number);
	else
		printf("%s: %u seeds\n", path, count);
	return count > 0 ? result : -1;
}

int
main(int argc, char **argv)
{
	const char *folder = NULL;

	if (argc == 4 && strcmp(argv[1], "-o") == 0)
		folder = argv[2];
	else if (argc != 2) {
		fprintf(stderr, "usage: %s [-o DIR] FILE\n", argv[0]);
		return EXIT_FAILURE;
	}
	return seeds_play(argv[argc - 1], folder) == 0 ? EXIT_SUCCESS
						       : EXIT_FAILURE;
}
