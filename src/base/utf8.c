#include "base/utf8.h"

#include <stdbool.h>

static size_t promised_len(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2)
        return 0;
    if (lead < 0xE0)
        return 2;
    if (lead < 0xF0)
        return 3;
    return lead < 0xF5 ? 4 : 0;
}

size_t utf8_len(const char *text, size_t left)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t len = promised_len(s[0]);
    if (len == 0 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    bool is_overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    bool is_surrogate = s[0] == 0xED && s[1] > 0x9F;
    bool is_beyond = s[0] == 0xF4 && s[1] > 0x8F;
    return is_overlong || is_surrogate || is_beyond ? 0 : len;
}
