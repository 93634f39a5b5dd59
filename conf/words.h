/*
 * words.h - what a wrong word was perhaps meant to be
 */
#ifndef CONF_WORDS_H
#define CONF_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define WORD_MAX 32 /* longer ones are like nothing we know */

/* The nearest of some words, which NULL ends; NULL if none is near. */
const char *word_suggest(const char *word, const char *const *choices);

/* Nearer than *best, which begins as WORD_MAX and becomes its distance? */
bool word_is_near(const char *word, const char *known, size_t *best);

#endif /* CONF_WORDS_H */
