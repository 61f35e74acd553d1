/*
 * buf: a growing run of bytes with a ceiling, for bodies, printing and encoding.
 *
 * Appending never fails visibly: the first failure (memory, or over the ceiling) is
 * remembered, later appends do nothing, and buf_check reports it once at the end. So a
 * printer is a list of plain calls. One owner, no locking.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf {
    char *bytes; /* owned; NULL while empty; always has a NUL behind len once not NULL */
    size_t len;  /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t limit;    /* ceiling of len */
    bool out_of_memory;
    bool over_limit;
};

/* Starts an empty buffer that may hold at most `limit` bytes (SIZE_MAX / 4 at most). */
void buf_init(struct buf *buf, size_t limit);

/* Releases the bytes; the buffer is empty again with the same ceiling. */
void buf_clear(struct buf *buf);

/* Forgets the content, keeps the memory. */
void buf_reset(struct buf *buf);

/* Makes room for `more` bytes behind len, so that the caller may write there. */
bool buf_reserve(struct buf *buf, size_t more);

void buf_put(struct buf *buf, const void *bytes, size_t len);
void buf_putc(struct buf *buf, char c);
void buf_text(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends `len` bytes of UTF-8 text as a JSON string with its quotes; invalid bytes become
 * U+FFFD, so that the output is always valid JSON. */
void buf_json_string(struct buf *buf, const char *text, size_t len);

/* 0 when every append so far succeeded; -1 with err set (ERR_TOO_LARGE or ERR_NO_MEMORY). */
int buf_check(const struct buf *buf, struct err *err);

/* Gives the bytes to the caller (free()), with their length in *len; the buffer is empty.
 * An empty buffer gives an allocated "" or NULL when memory is out. */
char *buf_take(struct buf *buf, size_t *len);

#endif
