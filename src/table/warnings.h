/*
 * warnings: what was noticed about a table but did not stop it. At most WARNINGS_MAX are
 * kept; the rest are counted. Running out of memory drops a warning, never the work.
 */
#ifndef TABLE_WARNINGS_H
#define TABLE_WARNINGS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/endian.h"

#define WARNINGS_MAX 100

struct warning {
    char code[40]; /* lower_snake_case: "unseen_category" */
    char *column;  /* owned; NULL when it is about no column */
    size_t line;   /* line of the file or row of the request, from 1; 0: none */
    char *detail;  /* owned; a sentence */
};

struct warnings {
    size_t n;              /* kept */
    size_t n_dropped;      /* noticed beyond WARNINGS_MAX */
    struct warning *items; /* owned [n] */
    size_t capacity;
};

void warnings_clear(struct warnings *warnings);

/* Adds one; column may be NULL. warnings may be NULL: nobody wants to know. */
void warnings_add(struct warnings *warnings, const char *code, const char *column,
                  size_t line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Stored form. Decoding appends to an empty list; sets reader->failed when cut off. */
void warnings_encode(const struct warnings *warnings, struct buf *out);
int warnings_decode(struct endian_reader *reader, struct warnings *warnings,
                    struct err *err);

#endif
