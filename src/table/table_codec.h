/*
 * table_codec: columns as stored bytes. A chunk holds up to TABLE_CODEC_CHUNK_ROWS rows of
 * one column: magic, version, kind, rows, missing bitmap, then float32 (when exact) or
 * float64 values or codes of 1, 2 or 4 bytes, little-endian. The caller guards
 * chunks by digest. Levels with their counts are a blob of their own. Reading
 * distrusts every byte (ERR_CORRUPT).
 */
#ifndef TABLE_TABLE_CODEC_H
#define TABLE_TABLE_CODEC_H

#include <stddef.h>

#include "base/buf.h"
#include "table/table.h"

#define TABLE_CODEC_CHUNK_ROWS 131072 /* 1 MiB of float64 */

/* Appends rows [first, first + n) of a column that has values. */
void table_codec_encode_chunk(const struct table_column *column, size_t first, size_t n,
                              struct buf *out);

/* Writes a chunk's rows into the column's values or codes at `first`; the chunk must hold
 * exactly n rows of the column's kind, codes below n_levels. */
int table_codec_decode_chunk(const void *bytes, size_t len, struct table_column *column,
                             size_t first, size_t n, struct err *err);

/* Levels and counts of a categorical column; an empty list for others. */
void table_codec_encode_levels(const struct table_column *column, struct buf *out);
int table_codec_decode_levels(const void *bytes, size_t len, struct table_column *column,
                              struct err *err);

#endif
