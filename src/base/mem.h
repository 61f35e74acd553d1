/*
 * mem: heap memory with overflow checks and an error object. Thread-safe as malloc is.
 * Everything from here is released with free().
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#include "base/err.h"

/*
 * Zeroed array of `count` elements of `size` bytes, owned by the caller. A count of 0
 * gives a valid pointer to nothing. NULL with err set when count × size overflows or
 * memory is out.
 */
void *mem_new(size_t count, size_t size, struct err *err);

/* The same, starting at a multiple of 64 bytes: a cache line, and any vector's alignment. */
void *mem_new_aligned(size_t count, size_t size, struct err *err);

/*
 * Grows `*array` (NULL or from mem_new/mem_grow) so that it holds at least `need` elements
 * of `size` bytes; `*capacity` counts elements and grows by at least a half, so appending
 * is linear. New elements are not initialised. Returns 0, or -1 with err set and both
 * unchanged. `array` is the address of a pointer to any object type.
 */
int mem_grow(void *array, size_t *capacity, size_t need, size_t size, struct err *err);

/* Copy of `len` bytes of text with a NUL behind it, owned by the caller; NULL on failure. */
char *mem_text(const char *text, size_t len, struct err *err);

#endif
