#include "table/table_codec.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/mem.h"

#define CHUNK_MAGIC  0x4B434C4DU /* "MLCK" */
#define LEVELS_MAGIC 0x564C4C4DU /* "MLLV" */
#define VERSION      1

/* How a value is stored; the number is its size, but for float32 which has a bit more. */
enum format { CODE_1 = 1, CODE_2 = 2, CODE_4 = 4, FLOAT_64 = 8, FLOAT_32 = 16 + 4 };

static size_t format_size(enum format format)
{
    return format & 15;
}

static bool is_missing(const struct table_column *column, size_t row)
{
    return column->kind == TABLE_CATEGORICAL ? column->codes[row] == TABLE_MISSING
                                             : isnan(column->values[row]);
}

static enum format choose_format(const struct table_column *column, size_t first,
                                 size_t n)
{
    if (column->kind == TABLE_CATEGORICAL)
        return column->n_levels <= 1U << 8    ? CODE_1
               : column->n_levels <= 1U << 16 ? CODE_2
                                              : CODE_4;
    for (size_t i = first; i < first + n; i++) {
        double value = column->values[i];
        if (!isnan(value) && (double)(float)value != value)
            return FLOAT_64;
    }
    return FLOAT_32;
}

/* The bits that stand for a value that is present. */
static uint64_t to_bits(const struct table_column *column, size_t row, enum format format)
{
    if (column->kind == TABLE_CATEGORICAL)
        return column->codes[row];
    if (format == FLOAT_64) {
        uint64_t bits;
        memcpy(&bits, &column->values[row], sizeof bits);
        return bits;
    }
    float value = (float)column->values[row];
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double from_bits(uint64_t bits, enum format format)
{
    if (format == FLOAT_64) {
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    uint32_t half = (uint32_t)bits;
    float value;
    memcpy(&value, &half, sizeof value);
    return (double)value;
}

void table_codec_encode_chunk(const struct table_column *column, size_t first, size_t n,
                              struct buf *out)
{
    enum format format = choose_format(column, first, n);
    size_t size = format_size(format);
    endian_put_u32(out, CHUNK_MAGIC);
    endian_put_u8(out, VERSION);
    endian_put_u8(out, (uint8_t)column->kind);
    endian_put_u8(out, (uint8_t)format);
    endian_put_u32(out, (uint32_t)n);
    size_t n_bitmap = (n + 7) / 8;
    if (!buf_reserve(out, n_bitmap + n * size))
        return;
    unsigned char *bitmap = (unsigned char *)out->bytes + out->len;
    unsigned char *at = bitmap + n_bitmap;
    memset(bitmap, 0, n_bitmap);
    for (size_t i = 0; i < n; i++) {
        bool missing = is_missing(column, first + i);
        uint64_t bits = missing ? 0 : to_bits(column, first + i, format);
        if (missing)
            bitmap[i / 8] |= (unsigned char)(1U << (i % 8));
        for (size_t byte = 0; byte < size; byte++)
            *at++ = (unsigned char)(bits >> (8 * byte));
    }
    out->len += n_bitmap + n * size;
    out->bytes[out->len] = '\0';
}

static int corrupt(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "corrupt_table", "a stored column does not decode");
}

/* A chunk whose sizes were checked. */
struct chunk {
    enum format format;
    const unsigned char *bitmap; /* borrowed */
    const unsigned char *values; /* borrowed */
};

static bool chunk_is_missing(const struct chunk *chunk, size_t i)
{
    return (chunk->bitmap[i / 8] >> (i % 8)) & 1;
}

static uint64_t chunk_bits(const struct chunk *chunk, size_t i)
{
    size_t size = format_size(chunk->format);
    const unsigned char *at = chunk->values + i * size;
    uint64_t bits = 0;
    for (size_t byte = 0; byte < size; byte++)
        bits |= (uint64_t)at[byte] << (8 * byte);
    return bits;
}

static bool fits_kind(uint8_t format, enum table_kind kind)
{
    return kind == TABLE_CATEGORICAL
               ? format == CODE_1 || format == CODE_2 || format == CODE_4
               : format == FLOAT_32 || format == FLOAT_64;
}

static bool open_chunk(const void *bytes, size_t len, const struct table_column *column,
                       size_t n, struct chunk *chunk)
{
    struct endian_reader reader;
    endian_reader_init(&reader, bytes, len);
    uint32_t magic = endian_get_u32(&reader);
    uint8_t version = endian_get_u8(&reader);
    uint8_t kind = endian_get_u8(&reader);
    uint8_t format = endian_get_u8(&reader);
    uint32_t n_rows = endian_get_u32(&reader);
    if (reader.failed || magic != CHUNK_MAGIC || version != VERSION ||
        kind != (uint8_t)column->kind || !fits_kind(format, column->kind) || n_rows != n)
        return false;
    chunk->format = (enum format)format;
    chunk->bitmap = endian_get_bytes(&reader, (n + 7) / 8);
    chunk->values = endian_get_bytes(&reader, n * format_size(chunk->format));
    if (!chunk->bitmap || !chunk->values || endian_left(&reader) > 0)
        return false;
    return n % 8 == 0 || chunk->bitmap[n / 8] >> (n % 8) == 0;
}

static bool is_acceptable(const struct table_column *column, uint64_t bits,
                          enum format format)
{
    if (column->kind == TABLE_CATEGORICAL)
        return bits < column->n_levels;
    double value = from_bits(bits, format);
    return isfinite((float)value) && (column->kind != TABLE_INTEGER ||
                                      (value == trunc(value) && fabs(value) < 0x1p53));
}

int table_codec_decode_chunk(const void *bytes, size_t len, struct table_column *column,
                             size_t first, size_t n, struct err *err)
{
    struct chunk chunk = {0};
    if (!open_chunk(bytes, len, column, n, &chunk))
        return corrupt(err);
    for (size_t i = 0; i < n; i++)
        if (!chunk_is_missing(&chunk, i) &&
            !is_acceptable(column, chunk_bits(&chunk, i), chunk.format))
            return corrupt(err);
    for (size_t i = 0; i < n; i++) {
        bool missing = chunk_is_missing(&chunk, i);
        uint64_t bits = chunk_bits(&chunk, i);
        if (column->kind == TABLE_CATEGORICAL)
            column->codes[first + i] = missing ? TABLE_MISSING : (uint32_t)bits;
        else
            column->values[first + i] =
                missing ? (double)NAN : from_bits(bits, chunk.format);
    }
    return 0;
}

void table_codec_encode_levels(const struct table_column *column, struct buf *out)
{
    size_t n = column->kind == TABLE_CATEGORICAL ? column->n_levels : 0;
    endian_put_u32(out, LEVELS_MAGIC);
    endian_put_u8(out, VERSION);
    endian_put_u32(out, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        endian_put_u64(out, column->counts[i]);
        endian_put_text(out, column->levels[i], strlen(column->levels[i]));
    }
}

/* Reads the next level, which must sort behind the one before. */
static int get_level(struct endian_reader *reader, struct table_column *made,
                     struct err *err)
{
    size_t i = made->n_levels;
    made->counts[i] = endian_get_u64(reader);
    size_t len;
    const char *text = endian_get_text(reader, &len);
    if (!text || len == 0 || len > CELLS_CELL_MAX || memchr(text, '\0', len))
        return corrupt(err);
    made->levels[i] = mem_text(text, len, err);
    if (!made->levels[i])
        return -1;
    made->n_levels++;
    if (i > 0 && strcmp(made->levels[i - 1], made->levels[i]) >= 0)
        return corrupt(err);
    return 0;
}

int table_codec_decode_levels(const void *bytes, size_t len, struct table_column *column,
                              struct err *err)
{
    int status = -1;
    struct table_column made = {0};
    struct endian_reader reader;
    endian_reader_init(&reader, bytes, len);
    uint32_t magic = endian_get_u32(&reader);
    uint8_t version = endian_get_u8(&reader);
    size_t n = endian_get_u32(&reader);
    if (reader.failed || magic != LEVELS_MAGIC || version != VERSION ||
        n > endian_left(&reader) / 12 || (n && column->kind != TABLE_CATEGORICAL))
        return corrupt(err);
    made.levels = mem_new(n, sizeof *made.levels, err);
    made.counts = mem_new(n, sizeof *made.counts, err);
    if (!made.levels || !made.counts)
        goto out;
    for (size_t i = 0; i < n; i++)
        if (get_level(&reader, &made, err) < 0)
            goto out;
    if (endian_left(&reader) > 0) {
        corrupt(err);
        goto out;
    }
    column->n_levels = made.n_levels;
    column->levels = made.levels;
    column->counts = made.counts;
    made = (struct table_column){0};
    status = 0;
out:
    for (size_t i = 0; i < made.n_levels; i++)
        free(made.levels[i]);
    free(made.levels);
    free(made.counts);
    return status;
}
