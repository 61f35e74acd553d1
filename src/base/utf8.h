/* utf8: well-formed UTF-8 (RFC 3629), checked sequence by sequence. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

/* Length (1 to 4) of the well-formed sequence at the start of `text`, of which `left` >= 1
 * bytes exist; 0 when there is none. */
size_t utf8_len(const char *text, size_t left);

#endif
