/* spell: the known word nearest to a mistyped one, for error messages. */
#ifndef BASE_SPELL_H
#define BASE_SPELL_H

#include <stddef.h>

/*
 * The one of `n` words with the least edit distance (Levenshtein 1966, neighbouring letters
 * swapped count one) to `word`, borrowed from `words`; NULL when none is near enough to be a
 * plausible slip (more than a third of the letters, at least two). Ties: the first.
 */
const char *spell_nearest(const char *word, const char *const *words, size_t n);

#endif
