#include "table/encoder.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define FEW_COLUMNS 64 /* whose mapping to a request fits on the stack */

void encoder_clear(struct encoder *encoder)
{
    for (size_t i = 0; encoder->columns && i < encoder->n_columns; i++) {
        struct encoder_column *column = &encoder->columns[i];
        free(column->name);
        for (size_t k = 0; column->levels && k < column->n_levels; k++)
            free(column->levels[k]);
        free(column->levels);
    }
    free(encoder->columns);
    free(encoder->target.name);
    for (size_t i = 0; encoder->target.classes && i < encoder->target.n_classes; i++)
        free(encoder->target.classes[i]);
    free(encoder->target.classes);
    free(encoder->target.class_values);
    *encoder = (struct encoder){0};
}

/* Order of a text without NUL at its end against a level. */
static int compare_level(const char *text, size_t len, const char *level)
{
    int order = strncmp(text, level, len);
    return order ? order : -(level[len] != '\0');
}

/* Index of the level, or SIZE_MAX. */
static size_t find_level(const struct encoder_column *column, const char *text,
                         size_t len)
{
    size_t low = 0;
    size_t high = column->n_levels;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_level(text, len, column->levels[middle]);
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return SIZE_MAX;
}

/* A number as a feature; far outliers of a narrow column stay finite. */
static float scaled(double value, double shift, double scale)
{
    double at = (value - shift) / scale;
    at = at > (double)FLT_MAX ? (double)FLT_MAX : at;
    return (float)(at < (double)-FLT_MAX ? (double)-FLT_MAX : at);
}

static void put_number(const struct encoder_column *column, double value, float *x)
{
    bool is_missing = isnan(value);
    x[column->first] =
        scaled(is_missing ? column->median : value, column->shift, column->scale);
    if (column->has_indicator)
        x[column->first + 1] = is_missing ? 1 : 0;
}

/* level SIZE_MAX: missing or unseen. The features are zero before. */
static void put_level(const struct encoder_column *column, size_t level, float *x)
{
    if (level != SIZE_MAX)
        x[column->first + level] = 1;
    else if (column->has_indicator)
        x[column->first + column->n_levels] = 1;
}

/* Level of a table's code; `map` (may be NULL) holds them all. */
static size_t level_of(const struct encoder_column *column,
                       const struct table_column *source, const size_t *map,
                       uint32_t code)
{
    if (code == TABLE_MISSING)
        return SIZE_MAX;
    if (map)
        return map[code];
    return find_level(column, source->levels[code], strlen(source->levels[code]));
}

static void transform_levels(const struct encoder *encoder,
                             const struct encoder_column *column,
                             const struct table_column *source, const size_t *rows,
                             size_t n_rows, float *x)
{
    /* Without memory for the map, each row searches; the result is the same. */
    size_t *map = mem_new(source->n_levels, sizeof *map, NULL);
    for (size_t code = 0; map && code < source->n_levels; code++)
        map[code] =
            find_level(column, source->levels[code], strlen(source->levels[code]));
    for (size_t i = 0; i < n_rows; i++)
        put_level(column, level_of(column, source, map, source->codes[rows[i]]),
                  x + i * encoder->n_features);
    free(map);
}

/* The table's column of that name, first tried where it would be without gaps. */
static const struct table_column *source_of(const struct table *table, const char *name,
                                            size_t *guess)
{
    size_t index = *guess;
    if (index >= table->n_columns || strcmp(table->columns[index].name, name) != 0)
        index = table_find(table, name);
    if (index == SIZE_MAX)
        return NULL;
    *guess = index + 1;
    return &table->columns[index];
}

void encoder_transform(const struct encoder *encoder, const struct table *table,
                       const size_t *rows, size_t n_rows, float *x)
{
    size_t guess = 0;
    memset(x, 0, n_rows * encoder->n_features * sizeof *x);
    for (size_t i = 0; i < encoder->n_columns; i++) {
        const struct encoder_column *column = &encoder->columns[i];
        const struct table_column *source = source_of(table, column->name, &guess);
        if (!column->is_used || !source)
            continue;
        if (column->kind == TABLE_CATEGORICAL) {
            transform_levels(encoder, column, source, rows, n_rows, x);
            continue;
        }
        for (size_t k = 0; k < n_rows; k++)
            put_number(column, source->values[rows[k]], x + k * encoder->n_features);
    }
}

/* Index of a value among the ascending class values, which hold it. */
static size_t class_of(const struct encoder_target *target, double value)
{
    size_t low = 0;
    size_t high = target->n_classes;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (target->class_values[middle] <= value)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void encoder_transform_target(const struct encoder *encoder, const struct table *table,
                              const size_t *rows, size_t n_rows, float *t)
{
    const struct encoder_target *target = &encoder->target;
    size_t index = table_find(table, target->name);
    for (size_t i = 0; index != SIZE_MAX && i < n_rows; i++) {
        const struct table_column *source = &table->columns[index];
        if (target->task == ENCODER_REGRESSION)
            t[i] = scaled(source->values[rows[i]], target->shift, target->scale);
        else if (target->is_numeric)
            t[i] = (float)class_of(target, source->values[rows[i]]);
        else
            t[i] = (float)source->codes[rows[i]];
    }
}

double encoder_target_value(const struct encoder *encoder, float output)
{
    return (double)output * encoder->target.scale + encoder->target.shift;
}

/* Where a request's cells hold the encoder's columns. */
struct mapping {
    size_t few[FEW_COLUMNS];
    size_t *columns; /* [n_columns]: column of the cells, SIZE_MAX: not there */
    size_t n_matched;
};

static int fail_missing(const struct encoder *encoder, const struct mapping *mapping,
                        struct err *err)
{
    int status = -1;
    size_t n = 0;
    struct buf names;
    buf_init(&names, 1024); /* more than a message holds; the rest may be cut */
    for (size_t i = 0; i < encoder->n_columns; i++)
        if (encoder->columns[i].is_used && mapping->columns[i] == SIZE_MAX)
            buf_printf(&names, "%s'%s'", n++ ? ", " : "", encoder->columns[i].name);
    if (names.out_of_memory)
        status = err_no_memory(err);
    else
        status = err_set(err, ERR_INVALID, "missing_column", "%s missing: %s",
                         n == 1 ? "a column is" : "columns are", names.bytes);
    buf_clear(&names);
    return status;
}

/* Warns of columns that the model does not know. */
static void warn_extra(const struct encoder *encoder, const struct cells *cells,
                       const struct mapping *mapping, struct warnings *warnings)
{
    if (!warnings || mapping->n_matched == cells->n_columns)
        return;
    bool *is_known = mem_new(cells->n_columns, sizeof *is_known, NULL);
    if (!is_known)
        return;
    for (size_t i = 0; i < encoder->n_columns; i++)
        if (mapping->columns[i] != SIZE_MAX)
            is_known[mapping->columns[i]] = true;
    for (size_t i = 0; i < cells->n_columns; i++)
        if (!is_known[i])
            warnings_add(warnings, "extra_column", cells->names[i], 0, "ignored: %s",
                         strcmp(cells->names[i], encoder->target.name) == 0
                             ? "it is the target"
                             : "the model does not use it");
    free(is_known);
}

static int map_columns(const struct encoder *encoder, const struct cells *cells,
                       struct mapping *mapping, struct warnings *warnings,
                       struct err *err)
{
    bool is_missing = false;
    for (size_t i = 0; i < encoder->n_columns; i++) {
        const char *name = encoder->columns[i].name;
        bool is_in_place = i < cells->n_columns && strcmp(cells->names[i], name) == 0;
        mapping->columns[i] = is_in_place ? i : cells_find(cells, name);
        if (mapping->columns[i] != SIZE_MAX)
            mapping->n_matched++;
        else if (encoder->columns[i].is_used)
            is_missing = true;
    }
    if (is_missing)
        return fail_missing(encoder, mapping, err);
    warn_extra(encoder, cells, mapping, warnings);
    return 0;
}

static int fail_number(const struct encoder_column *column, size_t row, const char *text,
                       size_t len, struct err *err)
{
    char pointer[CELLS_POINTER_SIZE];
    char name[CELLS_QUOTE_SIZE];
    char cell[CELLS_QUOTE_SIZE];
    return err_set_at(err, ERR_INVALID, "not_a_number",
                      cells_pointer(pointer, "/rows", row, column->name),
                      "row %zu, column %s: %s is not a number that the model can read",
                      row + 1, cells_quote(name, column->name, strlen(column->name)),
                      cells_quote(cell, text, len));
}

static void warn_unseen(const struct encoder_column *column, size_t row, const char *text,
                        size_t len, struct warnings *warnings)
{
    char quoted[CELLS_QUOTE_SIZE];
    warnings_add(warnings, "unseen_category", column->name, row + 1,
                 "row %zu: %s was not in the training rows; read as %s", row + 1,
                 cells_quote(quoted, text, len),
                 column->has_indicator ? "missing" : "none of the known ones");
}

static int apply_cell(const struct encoder_column *column, size_t row, const char *text,
                      size_t len, float *x, struct warnings *warnings, struct err *err)
{
    if (column->kind == TABLE_CATEGORICAL) {
        size_t level = find_level(column, text, len);
        if (level == SIZE_MAX && !cells_is_missing(text, len))
            warn_unseen(column, row, text, len, warnings);
        put_level(column, level, x);
        return 0;
    }
    double value = (double)NAN;
    if (!cells_number(text, len, &value) && !cells_is_missing(text, len))
        return fail_number(column, row, text, len, err);
    put_number(column, value, x);
    return 0;
}

static int apply_rows(const struct encoder *encoder, const struct cells *cells,
                      const struct mapping *mapping, float *x, struct warnings *warnings,
                      struct err *err)
{
    memset(x, 0, cells->n_rows * encoder->n_features * sizeof *x);
    for (size_t row = 0; row < cells->n_rows; row++) {
        for (size_t i = 0; i < encoder->n_columns; i++) {
            if (!encoder->columns[i].is_used)
                continue;
            size_t len;
            const char *text = cells_get(cells, row, mapping->columns[i], &len);
            if (apply_cell(&encoder->columns[i], row, text, len, x, warnings, err) < 0)
                return -1;
        }
        x += encoder->n_features;
    }
    return 0;
}

int encoder_apply(const struct encoder *encoder, const struct cells *cells, float *x,
                  struct warnings *warnings, struct err *err)
{
    struct mapping mapping;
    mapping.n_matched = 0;
    mapping.columns = mapping.few;
    if (encoder->n_columns > FEW_COLUMNS)
        mapping.columns = mem_new(encoder->n_columns, sizeof *mapping.columns, err);
    if (!mapping.columns)
        return -1;
    int status = map_columns(encoder, cells, &mapping, warnings, err);
    if (status == 0)
        status = apply_rows(encoder, cells, &mapping, x, warnings, err);
    if (mapping.columns != mapping.few)
        free(mapping.columns);
    return status;
}
