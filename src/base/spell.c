#include "base/spell.h"

#include <string.h>

#define SPELL_LONGEST 63

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment over three rows of the dynamic programme. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t rows[3][SPELL_LONGEST + 1];
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3];
        const size_t *last = rows[(i + 2) % 3];
        const size_t *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(least(last[j], now[j - 1]) + 1, change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *spell_nearest(const char *word, const char *const *words, size_t n)
{
    size_t len = strlen(word);
    const char *nearest = NULL;
    size_t best = (len / 3 > 2 ? len / 3 : 2) + 1;
    for (size_t i = 0; len <= SPELL_LONGEST && i < n; i++) {
        size_t other = strlen(words[i]);
        if (other > SPELL_LONGEST)
            continue;
        size_t steps = distance(word, len, words[i], other);
        if (steps < best && steps < other) {
            best = steps;
            nearest = words[i];
        }
    }
    return nearest;
}
