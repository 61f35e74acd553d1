/*
 * writer: JSON text into a buf, member by member, with commas and brackets kept right. Numbers
 * are printed in their shortest form; what is not finite becomes null, never a number.
 * A key of NULL is for elements of an array and for the root. One owner.
 */
#ifndef API_WRITER_H
#define API_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define WRITER_DEPTH 16

struct writer {
    struct buf *out;            /* borrowed */
    size_t depth;               /* open brackets */
    char closers[WRITER_DEPTH]; /* '}' or ']' of each */
    bool needs_comma;
};

void writer_init(struct writer *writer, struct buf *out);

void writer_object(struct writer *writer, const char *key);
void writer_array(struct writer *writer, const char *key);
void writer_close(struct writer *writer); /* the innermost bracket */

void writer_text(struct writer *writer, const char *key, const char *text);
void writer_text_len(struct writer *writer, const char *key, const char *text,
                     size_t len);
void writer_real(struct writer *writer, const char *key, double value);
void writer_float(struct writer *writer, const char *key, float value);
void writer_whole(struct writer *writer, const char *key, uint64_t value);
void writer_flag(struct writer *writer, const char *key, bool value);
void writer_null(struct writer *writer, const char *key);
void writer_time(struct writer *writer, const char *key, int64_t at_ms); /* 0: null */

#endif
