#include "table/encoder_codec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/endian.h"
#include "base/mem.h"
#include "table/text_map.h"

#define ENCODER_MAGIC   0x4E454C4DU /* "MLEN" */
#define ENCODER_VERSION 1

/* Fewest bytes that a stored column takes: name, three bytes, three numbers, level count. */
#define COLUMN_BYTES (4 + 1 + 3 + 24 + 4)

static void put_string(struct buf *out, const char *text)
{
    endian_put_text(out, text, strlen(text));
}

static void encode_column(const struct encoder_column *column, struct buf *out)
{
    put_string(out, column->name);
    endian_put_u8(out, (uint8_t)column->kind);
    endian_put_u8(out, column->is_used);
    endian_put_u8(out, column->has_indicator);
    endian_put_f64(out, column->shift);
    endian_put_f64(out, column->scale);
    endian_put_f64(out, column->median);
    endian_put_u32(out, (uint32_t)column->n_levels);
    for (size_t i = 0; i < column->n_levels; i++)
        put_string(out, column->levels[i]);
}

/* Labels that are numbers are stored as numbers: their text follows from them. */
static void encode_target(const struct encoder_target *target, struct buf *out)
{
    put_string(out, target->name);
    endian_put_u8(out, (uint8_t)target->task);
    endian_put_f64(out, target->shift);
    endian_put_f64(out, target->scale);
    endian_put_u8(out, target->is_numeric);
    endian_put_u32(out, (uint32_t)target->n_classes);
    for (size_t i = 0; i < target->n_classes; i++) {
        if (target->is_numeric)
            endian_put_f64(out, target->class_values[i]);
        else
            put_string(out, target->classes[i]);
    }
}

void encoder_codec_encode(const struct encoder *encoder, struct buf *out)
{
    endian_put_u32(out, ENCODER_MAGIC);
    endian_put_u32(out, ENCODER_VERSION);
    endian_put_u32(out, (uint32_t)encoder->n_columns);
    for (size_t i = 0; i < encoder->n_columns; i++)
        encode_column(&encoder->columns[i], out);
    encode_target(&encoder->target, out);
}

static int corrupt(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "corrupt_encoder",
                   "the stored encoder does not decode");
}

/* A text of 1 to max bytes without NUL as an owned string; NULL with err set. */
static char *get_string(struct endian_reader *reader, size_t max, struct err *err)
{
    size_t len;
    const char *text = endian_get_text(reader, &len);
    if (!text || len == 0 || len > max || memchr(text, '\0', len)) {
        corrupt(err);
        return NULL;
    }
    return mem_text(text, len, err);
}

/* Strings that ascend bytewise; *n counts those read, also on failure. */
static int get_sorted(struct endian_reader *reader, size_t n, char ***strings,
                      size_t *n_read, struct err *err)
{
    if (n > endian_left(reader) / 5)
        return corrupt(err);
    *strings = mem_new(n, sizeof **strings, err);
    if (!*strings)
        return -1;
    for (size_t i = 0; i < n; i++) {
        (*strings)[i] = get_string(reader, CELLS_CELL_MAX, err);
        if (!(*strings)[i])
            return -1;
        *n_read = i + 1;
        if (i > 0 && strcmp((*strings)[i - 1], (*strings)[i]) >= 0)
            return corrupt(err);
    }
    return 0;
}

static bool is_scale(double shift, double scale)
{
    return isfinite(shift) && isfinite(scale) && scale > 0;
}

/* The width that follows from the rest, or 0 when the rest does not fit together. */
static size_t width_of(const struct encoder_column *column, size_t n_levels)
{
    bool is_categorical = column->kind == TABLE_CATEGORICAL;
    if (!column->is_used || (is_categorical ? n_levels == 0 : n_levels != 0))
        return 0;
    return (is_categorical ? n_levels : 1) + column->has_indicator;
}

static int decode_column(struct endian_reader *reader, struct encoder_column *column,
                         struct err *err)
{
    column->name = get_string(reader, CELLS_NAME_MAX, err);
    if (!column->name)
        return -1;
    uint8_t kind = endian_get_u8(reader);
    uint8_t is_used = endian_get_u8(reader);
    uint8_t has_indicator = endian_get_u8(reader);
    column->shift = endian_get_f64(reader);
    column->scale = endian_get_f64(reader);
    column->median = endian_get_f64(reader);
    size_t n_levels = endian_get_u32(reader);
    if (reader->failed || kind >= TABLE_KIND_COUNT || is_used > 1 ||
        has_indicator > is_used || !is_scale(column->shift, column->scale) ||
        !isfinite(column->median))
        return corrupt(err);
    column->kind = (enum table_kind)kind;
    column->is_used = is_used;
    column->has_indicator = has_indicator;
    column->width = width_of(column, n_levels);
    if (is_used ? column->width == 0 : n_levels > 0)
        return corrupt(err);
    return n_levels
               ? get_sorted(reader, n_levels, &column->levels, &column->n_levels, err)
               : 0;
}

static int check_unique_names(const struct encoder *encoder, struct err *err)
{
    int status = 0;
    struct text_map names;
    text_map_init(&names);
    for (size_t i = 0; status == 0 && i < encoder->n_columns; i++) {
        uint32_t code;
        const char *name = encoder->columns[i].name;
        status = text_map_add(&names, name, strlen(name), &code, err);
        if (status == 0 && code != i)
            status = corrupt(err);
    }
    if (status == 0 && text_map_find(&names, encoder->target.name,
                                     strlen(encoder->target.name)) != TEXT_MAP_NONE)
        status = corrupt(err);
    text_map_clear(&names);
    return status;
}

static int decode_columns(struct endian_reader *reader, struct encoder *encoder,
                          struct err *err)
{
    size_t n = endian_get_u32(reader);
    if (n > endian_left(reader) / COLUMN_BYTES || n > CELLS_COLUMNS_MAX)
        return corrupt(err);
    encoder->columns = mem_new(n, sizeof *encoder->columns, err);
    if (!encoder->columns)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct encoder_column *column = &encoder->columns[i];
        encoder->n_columns = i + 1; /* a half-built one is cleared too */
        if (decode_column(reader, column, err) < 0)
            return -1;
        column->first = encoder->n_features;
        encoder->n_features += column->width;
        if (encoder->n_features > ENCODER_FEATURES_MAX)
            return corrupt(err);
    }
    return encoder->n_features ? 0 : corrupt(err);
}

static int decode_numbers(struct endian_reader *reader, size_t n,
                          struct encoder_target *target, struct err *err)
{
    target->class_values = mem_new(n, sizeof *target->class_values, err);
    target->classes = mem_new(n, sizeof *target->classes, err);
    if (!target->class_values || !target->classes)
        return -1;
    for (size_t i = 0; i < n; i++) {
        char text[DECIMAL_TEXT_SIZE];
        double value = endian_get_f64(reader);
        if (reader->failed || !isfinite(value) ||
            (i > 0 && !(value > target->class_values[i - 1])))
            return corrupt(err);
        target->class_values[i] = value;
        target->classes[i] = mem_text(text, decimal_print(value, text), err);
        if (!target->classes[i])
            return -1;
        target->n_classes = i + 1;
    }
    return 0;
}

static bool is_class_count(enum encoder_task task, size_t n)
{
    switch (task) {
    case ENCODER_REGRESSION:
        return n == 0;
    case ENCODER_BINARY:
        return n == 2;
    case ENCODER_MULTICLASS:
        return n >= 2 && n <= ENCODER_CLASSES_MAX;
    case ENCODER_TASK_COUNT:
        break;
    }
    return false;
}

static int decode_target(struct endian_reader *reader, struct encoder_target *target,
                         struct err *err)
{
    target->name = get_string(reader, CELLS_NAME_MAX, err);
    if (!target->name)
        return -1;
    uint8_t task = endian_get_u8(reader);
    target->shift = endian_get_f64(reader);
    target->scale = endian_get_f64(reader);
    uint8_t is_numeric = endian_get_u8(reader);
    size_t n = endian_get_u32(reader);
    if (reader->failed || task >= ENCODER_TASK_COUNT || is_numeric > 1 ||
        !is_scale(target->shift, target->scale) ||
        !is_class_count((enum encoder_task)task, n) ||
        (is_numeric && task == ENCODER_REGRESSION))
        return corrupt(err);
    target->task = (enum encoder_task)task;
    target->is_numeric = is_numeric;
    if (is_numeric)
        return decode_numbers(reader, n, target, err);
    return n ? get_sorted(reader, n, &target->classes, &target->n_classes, err) : 0;
}

int encoder_codec_decode(const void *bytes, size_t len, struct encoder *encoder,
                         struct err *err)
{
    int status = -1;
    struct encoder made = {0};
    struct endian_reader reader;
    endian_reader_init(&reader, bytes, len);
    uint32_t magic = endian_get_u32(&reader);
    uint32_t version = endian_get_u32(&reader);
    if (reader.failed || magic != ENCODER_MAGIC || version != ENCODER_VERSION)
        return corrupt(err);
    if (decode_columns(&reader, &made, err) < 0 ||
        decode_target(&reader, &made.target, err) < 0 ||
        check_unique_names(&made, err) < 0)
        goto out;
    if (reader.failed || endian_left(&reader) > 0) {
        corrupt(err);
        goto out;
    }
    *encoder = made;
    made = (struct encoder){0};
    status = 0;
out:
    encoder_clear(&made);
    return status;
}
