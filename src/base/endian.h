/*
 * endian: little-endian numbers in stored bytes. Writers append to a buf; the reader is
 * sticky like it: a read past the end gives 0 and sets `failed`, checked once at the end,
 * so that a decoder of untrusted bytes is a list of plain calls.
 */
#ifndef BASE_ENDIAN_H
#define BASE_ENDIAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

void endian_put_u8(struct buf *buf, uint8_t value);
void endian_put_u32(struct buf *buf, uint32_t value);
void endian_put_u64(struct buf *buf, uint64_t value);
void endian_put_f64(struct buf *buf, double value); /* IEEE 754 bits, NaN kept */
void endian_put_text(struct buf *buf, const char *text,
                     size_t len); /* u32 length, bytes */

struct endian_reader {
    const unsigned char *at;  /* borrowed; next byte */
    const unsigned char *end; /* one past the last */
    bool failed;              /* something was read past the end */
};

void endian_reader_init(struct endian_reader *reader, const void *bytes, size_t len);
size_t endian_left(const struct endian_reader *reader);
uint8_t endian_get_u8(struct endian_reader *reader);
uint32_t endian_get_u32(struct endian_reader *reader);
uint64_t endian_get_u64(struct endian_reader *reader);
double endian_get_f64(struct endian_reader *reader);

/* Borrows `len` bytes from the input; NULL and `failed` when they are not there. */
const void *endian_get_bytes(struct endian_reader *reader, size_t len);

/* Borrows the text that endian_put_text wrote; not NUL-terminated. NULL when cut off. */
const char *endian_get_text(struct endian_reader *reader, size_t *len);

#endif
