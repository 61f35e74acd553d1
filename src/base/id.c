#include "base/id.h"

#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ID_DIGITS 26 /* ceil(128 / 5) */

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

int id_start(struct err *err)
{
    if (sodium_init() < 0)
        return err_set(err, ERR_INTERNAL, "no_random", "the system has no random source");
    return 0;
}

void id_new(char out[static ID_SIZE], const char *prefix)
{
    unsigned char random[16];
    randombytes_buf(random, sizeof random);
    int at = snprintf(out, ID_SIZE - ID_DIGITS, "%s_", prefix);
    char *digit = out + at;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t taken = 0;
    for (size_t i = 0; i < ID_DIGITS; i++) {
        if (n_bits < 5) {
            bits = (bits << 8) | (taken < sizeof random ? random[taken] : 0U);
            taken++;
            n_bits += 8;
        }
        n_bits -= 5;
        *digit++ = alphabet[(bits >> n_bits) & 31];
    }
    *digit = '\0';
}

bool id_is_name(const char *text)
{
    static const char first[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static const char rest[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(text);
    return len >= 1 && len <= 128 && strspn(text, first) >= 1 &&
           strspn(text, rest) == len;
}
