/* id: opaque identifiers, 128 random bits in lower-case base32 behind a prefix. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define ID_SIZE 40 /* bytes for any id with its NUL */

/* Readies the system's random source and the digests. Call once before any thread starts.
 * ERR_INTERNAL when there is none. */
int id_start(struct err *err);

/* Writes prefix + "_" + 26 letters and digits ("ds_k3v…"). The prefix has 1 to 8 letters.
 * Thread-safe; randomness is the system's, so ids cannot be guessed. */
void id_new(char out[static ID_SIZE], const char *prefix);

/* True for a name a user may give: [A-Za-z0-9][A-Za-z0-9._-]{0,127}. */
bool id_is_name(const char *text);

#endif
