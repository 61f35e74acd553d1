#include "table/encoder_match.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/mem.h"

/* --- looking up ---------------------------------------------------------------------- */

/* Index among sorted texts [n], or SIZE_MAX. */
static size_t find_text(char *const *texts, size_t n, const char *text)
{
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(text, texts[middle]);
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return SIZE_MAX;
}

static size_t find_value(const struct encoder_target *target, double value)
{
    size_t low = 0;
    size_t high = target->n_classes;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (target->class_values[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low < target->n_classes && target->class_values[low] == value ? low : SIZE_MAX;
}

/* Index of a class as the table's text or number tells it, or SIZE_MAX. */
static size_t class_of_text(const struct encoder_target *target, const char *text)
{
    double value = 0;
    if (!target->is_numeric)
        return find_text(target->classes, target->n_classes, text);
    return cells_number(text, strlen(text), &value) ? find_value(target, value)
                                                    : SIZE_MAX;
}

static size_t class_of_value(const struct encoder_target *target, double value)
{
    char text[DECIMAL_TEXT_SIZE];
    if (target->is_numeric)
        return find_value(target, value);
    decimal_print(value, text);
    return find_text(target->classes, target->n_classes, text);
}

/* --- checking ------------------------------------------------------------------------ */

static int check_column(const struct encoder_column *column, const struct table *table,
                        struct err *err)
{
    char name[CELLS_QUOTE_SIZE];
    char level[CELLS_QUOTE_SIZE];
    size_t index = table_find(table, column->name);
    cells_quote(name, column->name, strlen(column->name));
    if (index == SIZE_MAX)
        return err_set_at(err, ERR_INVALID, "missing_column", "/dataset",
                          "the dataset has no column %s, which the model learnt from",
                          name);
    const struct table_column *found = &table->columns[index];
    if (column->kind == TABLE_CATEGORICAL || found->kind != TABLE_CATEGORICAL)
        return 0;
    const char *text = "";
    double ignored;
    for (size_t i = 0; i < found->n_levels; i++)
        if (!cells_number(found->levels[i], strlen(found->levels[i]), &ignored))
            text = found->levels[i];
    return err_set_at(err, ERR_INVALID, "text_column", "/dataset",
                      "column %s holds the text %s, and the model learnt numbers from it",
                      name, cells_quote(level, text, strlen(text)));
}

static int unknown_class(const struct encoder_target *target, const char *text,
                         struct err *err)
{
    int status = -1;
    char quoted[CELLS_QUOTE_SIZE];
    struct buf known;
    buf_init(&known, 1024); /* more than a message holds; the rest may be cut */
    for (size_t i = 0; i < target->n_classes; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", target->classes[i]);
    if (known.out_of_memory)
        status = err_no_memory(err);
    else
        status = err_set_at(err, ERR_INVALID, "unknown_class", "/target",
                            "the target has the class %s, and the model knows only %s",
                            cells_quote(quoted, text, strlen(text)), known.bytes);
    buf_clear(&known);
    return status;
}

static int check_classes(const struct encoder_target *target,
                         const struct table_column *column, size_t n_rows,
                         struct err *err)
{
    for (size_t i = 0; column->kind == TABLE_CATEGORICAL && i < column->n_levels; i++)
        if (class_of_text(target, column->levels[i]) == SIZE_MAX)
            return unknown_class(target, column->levels[i], err);
    for (size_t row = 0; column->kind != TABLE_CATEGORICAL && row < n_rows; row++) {
        char text[DECIMAL_TEXT_SIZE];
        double value = column->values[row];
        if (isnan(value) || class_of_value(target, value) != SIZE_MAX)
            continue;
        decimal_print(value, text);
        return unknown_class(target, text, err);
    }
    return 0;
}

static int check_target(const struct encoder_target *target, const struct table *table,
                        struct err *err)
{
    char name[CELLS_QUOTE_SIZE];
    size_t index = table_find(table, target->name);
    cells_quote(name, target->name, strlen(target->name));
    if (index == SIZE_MAX)
        return table_unknown(table, target->name, "unknown_target", "/target", err);
    const struct table_column *column = &table->columns[index];
    if (column->n_missing >= table->n_rows)
        return err_set_at(err, ERR_INVALID, "missing_target", "/target",
                          "the target %s has no value in any row", name);
    if (target->task != ENCODER_REGRESSION)
        return check_classes(target, column, table->n_rows, err);
    if (column->kind == TABLE_CATEGORICAL)
        return err_set_at(err, ERR_INVALID, "text_target", "/target",
                          "the model predicts numbers, and the target %s holds texts",
                          name);
    return 0;
}

int encoder_match_check(const struct encoder *encoder, const struct table *table,
                        struct err *err)
{
    for (size_t i = 0; i < encoder->n_columns; i++)
        if (encoder->columns[i].is_used &&
            check_column(&encoder->columns[i], table, err) < 0)
            return -1;
    return check_target(&encoder->target, table, err);
}

/* --- rewriting ----------------------------------------------------------------------- */

/* Gives the column other levels [n] and codes, which it owns from then on. */
static void replace(struct table_column *column, char **levels, size_t n, uint32_t *codes)
{
    for (size_t i = 0; i < column->n_levels; i++)
        free(column->levels[i]);
    free(column->levels);
    free(column->counts);
    free(column->values);
    free(column->codes);
    column->kind = TABLE_CATEGORICAL;
    column->levels = levels;
    column->n_levels = n;
    column->counts = NULL;
    column->values = NULL;
    column->codes = codes;
}

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; texts && i < n; i++)
        free(texts[i]);
    free(texts);
}

/* Makes a categorical column of one with numbers: its levels are the given texts [n], what is
 * none of them is missing. */
static int to_texts(struct table_column *column, size_t n_rows, char *const *texts,
                    size_t n, struct err *err)
{
    uint32_t *codes = mem_new(n_rows, sizeof *codes, err);
    char **levels = mem_new(n, sizeof *levels, err);
    if (!codes || !levels)
        goto failed;
    for (size_t i = 0; i < n; i++)
        if (!(levels[i] = mem_text(texts[i], strlen(texts[i]), err)))
            goto failed;
    for (size_t row = 0; row < n_rows; row++) {
        char text[DECIMAL_TEXT_SIZE];
        codes[row] = TABLE_MISSING;
        if (isnan(column->values[row]))
            continue;
        decimal_print(column->values[row], text);
        size_t level = find_text(texts, n, text);
        if (level != SIZE_MAX)
            codes[row] = (uint32_t)level;
    }
    replace(column, levels, n, codes);
    return 0;
failed:
    free(codes);
    free_texts(levels, n);
    return -1;
}

/* Makes the class texts the levels of a categorical target: its codes are classes then. */
static int recode(struct table_column *column, size_t n_rows,
                  const struct encoder_target *target, struct err *err)
{
    uint32_t *codes = mem_new(n_rows, sizeof *codes, err);
    char **levels = mem_new(target->n_classes, sizeof *levels, err);
    if (!codes || !levels)
        goto failed;
    for (size_t i = 0; i < target->n_classes; i++)
        if (!(levels[i] = mem_text(target->classes[i], strlen(target->classes[i]), err)))
            goto failed;
    for (size_t row = 0; row < n_rows; row++) {
        uint32_t code = column->codes[row];
        codes[row] = code == TABLE_MISSING
                         ? TABLE_MISSING
                         : (uint32_t)class_of_text(target, column->levels[code]);
    }
    replace(column, levels, target->n_classes, codes);
    return 0;
failed:
    free(codes);
    free_texts(levels, target->n_classes);
    return -1;
}

/* Makes numbers of a categorical target whose levels are the texts of numeric classes. */
static int to_numbers(struct table_column *column, size_t n_rows, struct err *err)
{
    double *values = mem_new(n_rows, sizeof *values, err);
    if (!values)
        return -1;
    for (size_t row = 0; row < n_rows; row++) {
        uint32_t code = column->codes[row];
        values[row] = (double)NAN;
        if (code != TABLE_MISSING)
            cells_number(column->levels[code], strlen(column->levels[code]),
                         &values[row]);
    }
    replace(column, NULL, 0, NULL);
    column->kind = TABLE_NUMERIC;
    column->values = values;
    return 0;
}

static int apply_target(const struct encoder_target *target, struct table *table,
                        struct err *err)
{
    struct table_column *column = &table->columns[table_find(table, target->name)];
    bool has_texts = column->kind == TABLE_CATEGORICAL;
    if (target->task == ENCODER_REGRESSION)
        return 0;
    if (target->is_numeric)
        return has_texts ? to_numbers(column, table->n_rows, err) : 0;
    if (has_texts)
        return recode(column, table->n_rows, target, err);
    return to_texts(column, table->n_rows, target->classes, target->n_classes, err);
}

static void warn_unseen(const struct encoder_column *column,
                        const struct table_column *found, struct warnings *warnings)
{
    size_t n = 0;
    const char *last = "";
    char quoted[CELLS_QUOTE_SIZE];
    for (size_t i = 0; i < found->n_levels; i++) {
        if (find_text(column->levels, column->n_levels, found->levels[i]) != SIZE_MAX)
            continue;
        last = found->levels[i];
        n++;
    }
    if (n > 0)
        warnings_add(warnings, "unseen_category", column->name, 0,
                     "the model does not know %zu of its texts, such as %s", n,
                     cells_quote(quoted, last, strlen(last)));
}

int encoder_match_apply(const struct encoder *encoder, struct table *table,
                        struct warnings *warnings, struct err *err)
{
    if (encoder_match_check(encoder, table, err) < 0)
        return -1;
    for (size_t i = 0; i < encoder->n_columns; i++) {
        const struct encoder_column *column = &encoder->columns[i];
        if (!column->is_used || column->kind != TABLE_CATEGORICAL)
            continue;
        struct table_column *found = &table->columns[table_find(table, column->name)];
        if (found->kind == TABLE_CATEGORICAL)
            warn_unseen(column, found, warnings);
        else if (to_texts(found, table->n_rows, column->levels, column->n_levels, err) <
                 0)
            return -1;
    }
    return apply_target(&encoder->target, table, err);
}
