#include "table/encoder_task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FEW_VALUES     20 /* an integer target with at most this many may be classes */
#define ROWS_PER_VALUE 5  /* when each has this many rows in the mean */

const char *encoder_task_name(enum encoder_task task)
{
    static const char *const names[ENCODER_TASK_COUNT] = {"regression", "binary",
                                                          "multiclass"};
    return names[task];
}

/* First place in values [n] that is not below `value`. */
static size_t place_of(const double *values, size_t n, double value)
{
    size_t low = 0;
    while (n > 0) {
        size_t half = n / 2;
        if (values[low + half] < value) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

size_t encoder_task_values(const struct table_column *column, size_t n_rows, size_t max,
                           double *values)
{
    size_t n = 0;
    for (size_t row = 0; row < n_rows && n <= max; row++) {
        double value = column->values[row];
        if (isnan(value))
            continue;
        value += 0.0; /* −0 is 0 */
        size_t place = place_of(values, n, value);
        if (place < n && values[place] == value)
            continue;
        memmove(values + place + 1, values + place, (n - place) * sizeof *values);
        values[place] = value;
        n++;
    }
    return n;
}

static int fail(const char *slug, const char *what, const char *target, struct err *err)
{
    char quoted[CELLS_QUOTE_SIZE];
    return err_set_at(err, ERR_INVALID, slug, "/target", "the target %s %s",
                      cells_quote(quoted, target, strlen(target)), what);
}

static bool is_number(const char *text)
{
    double number;
    return cells_number(text, strlen(text), &number);
}

/* Names a cell, or only a level when the table is a schema without rows. */
static int fail_text(const struct table *table, const struct table_column *column,
                     struct err *err)
{
    size_t level = 0;
    size_t row = 0;
    char target[CELLS_QUOTE_SIZE];
    char cell[CELLS_QUOTE_SIZE];
    while (level + 1 < column->n_levels && is_number(column->levels[level]))
        level++;
    while (column->codes && row < table->n_rows && column->codes[row] != level)
        row++;
    const char *text = column->levels[level];
    cells_quote(target, column->name, strlen(column->name));
    cells_quote(cell, text, strlen(text));
    if (!column->codes || row == table->n_rows)
        return err_set_at(
            err, ERR_INVALID, "text_target", "/target",
            "a regression needs numbers, and the target %s has the value %s", target,
            cell);
    return err_set_at(err, ERR_INVALID, "text_target", "/target",
                      "a regression needs numbers, and the target %s is %s in row %zu",
                      target, cell, row + 1);
}

/* Different values of the target, counted up to one over what may be classes. */
static size_t count_values(const struct table *table, const struct table_column *column)
{
    double values[ENCODER_CLASSES_MAX + 1];
    if (column->kind == TABLE_CATEGORICAL)
        return column->n_levels;
    return encoder_task_values(column, table->n_rows, ENCODER_CLASSES_MAX, values);
}

static enum encoder_task decide(const struct table *table,
                                const struct table_column *column, size_t n_values)
{
    size_t n_present = table->n_rows - (size_t)column->n_missing;
    enum encoder_task classes = n_values == 2 ? ENCODER_BINARY : ENCODER_MULTICLASS;
    switch (column->kind) {
    case TABLE_NUMERIC:
        return ENCODER_REGRESSION;
    case TABLE_INTEGER:
        return n_values == 2 ||
                       (n_values <= FEW_VALUES && n_present / n_values >= ROWS_PER_VALUE)
                   ? classes
                   : ENCODER_REGRESSION;
    case TABLE_CATEGORICAL:
    case TABLE_KIND_COUNT:
        break;
    }
    return classes;
}

static int check_classes(const struct table_column *column, enum encoder_task task,
                         size_t n_values, struct err *err)
{
    char quoted[CELLS_QUOTE_SIZE];
    const char *target = cells_quote(quoted, column->name, strlen(column->name));
    bool is_capped = n_values > ENCODER_CLASSES_MAX && column->kind != TABLE_CATEGORICAL;
    if (task == ENCODER_BINARY && n_values != 2)
        return err_set_at(err, ERR_INVALID, "not_binary", "/target",
                          "a binary task needs two classes, and the target %s has %s%zu",
                          target, is_capped ? "over " : "", n_values - is_capped);
    if (n_values > ENCODER_CLASSES_MAX)
        return err_set_at(err, ERR_INVALID, "too_many_classes", "/target",
                          "the target %s has %s%zu classes, and at most %d are allowed",
                          target, is_capped ? "over " : "", n_values - is_capped,
                          ENCODER_CLASSES_MAX);
    return 0;
}

int encoder_task_of(const struct table *table, const char *target, int asked,
                    enum encoder_task *task, struct err *err)
{
    size_t index = table_find(table, target);
    if (index == SIZE_MAX)
        return table_unknown(table, target, "unknown_target", "/target", err);
    const struct table_column *column = &table->columns[index];
    if (column->n_missing >= table->n_rows)
        return fail("missing_target", "has no value in any row", target, err);
    if (asked == ENCODER_REGRESSION && column->kind == TABLE_CATEGORICAL)
        return fail_text(table, column, err);
    if (column->kind != TABLE_CATEGORICAL && !column->values)
        return err_set(err, ERR_INTERNAL, "no_values", "the table was not loaded");
    size_t n_values = count_values(table, column);
    if (n_values < 2)
        return fail("one_class", "has one value only", target, err);
    enum encoder_task decided =
        asked < 0 ? decide(table, column, n_values) : (enum encoder_task)asked;
    if (decided != ENCODER_REGRESSION &&
        check_classes(column, decided, n_values, err) < 0)
        return -1;
    *task = decided;
    return 0;
}
