#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/mem.h"
#include "base/rng.h"
#include "table/encoder.h"
#include "table/encoder_task.h"

#define ID_LIKE_FROM 20 /* levels that a column may have whatever the number of rows */

/* What a fit works on. */
struct fitting {
    const struct table *table; /* borrowed */
    const size_t *rows;        /* borrowed [n_rows]; training rows */
    size_t n_rows;
    bool standardize;
    struct warnings *warnings; /* borrowed; may be NULL */
    double *present; /* owned [n_rows]: values of a column that are not missing */
};

static size_t collect(const struct fitting *fitting, const struct table_column *column)
{
    size_t n = 0;
    for (size_t i = 0; i < fitting->n_rows; i++) {
        double value = column->values[fitting->rows[i]];
        if (!isnan(value))
            fitting->present[n++] = value;
    }
    return n;
}

static double mean_of(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

/* Population standard deviation, in a second pass so that it does not cancel. */
static double std_of(const double *values, size_t n, double mean)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    return sqrt(squares / (double)n);
}

static void swap(double *values, size_t a, size_t b)
{
    double value = values[a];
    values[a] = values[b];
    values[b] = value;
}

/* The k-th smallest of values [n] (Hoare's FIND 1961, pivots at random so that no order of
 * rows is slow); reorders them so that values [0, k] are the smallest. */
static double find_kth(double *values, size_t n, size_t k)
{
    size_t low = 0;
    size_t high = n;
    while (high - low > 1) {
        size_t at =
            low + (size_t)(rng_uniform(n, RNG_SHUFFLE, low, high) * (double)(high - low));
        double pivot = values[at];
        size_t less = low;
        size_t more = high;
        for (size_t i = low; i < more;) { /* [low, less) < pivot, [more, high) > pivot */
            if (values[i] < pivot)
                swap(values, i++, less++);
            else if (values[i] > pivot)
                swap(values, i, --more);
            else
                i++;
        }
        if (k < less)
            high = less;
        else if (k >= more)
            low = more;
        else
            break;
    }
    return values[k];
}

static double median_of(double *values, size_t n)
{
    double upper = find_kth(values, n, n / 2);
    if (n % 2)
        return upper;
    double lower = values[0];
    for (size_t i = 1; i < n / 2; i++)
        lower = values[i] > lower ? values[i] : lower;
    return lower + (upper - lower) / 2;
}

static void warn_constant(const struct fitting *fitting, const char *name, bool is_empty)
{
    warnings_add(fitting->warnings, "constant", name, 0, "left out: %s",
                 is_empty ? "it has no values in the training rows"
                          : "it has the same value in every training row");
}

static void range_of(const double *values, size_t n, double *min, double *max)
{
    *min = *max = values[0];
    for (size_t i = 1; i < n; i++) {
        *min = values[i] < *min ? values[i] : *min;
        *max = values[i] > *max ? values[i] : *max;
    }
}

static void fit_numeric(const struct fitting *fitting, const struct table_column *source,
                        struct encoder_column *column)
{
    double min = 0;
    double max = 0;
    size_t n = collect(fitting, source);
    bool has_missing = n < fitting->n_rows;
    column->scale = 1;
    if (n > 0)
        range_of(fitting->present, n, &min, &max);
    /* One value and some missing still say something: which rows are missing. */
    if (n == 0 || (min == max && !has_missing)) {
        warn_constant(fitting, column->name, n == 0);
        return;
    }
    column->is_used = true;
    column->has_indicator = has_missing;
    column->width = has_missing ? 2 : 1;
    column->median = median_of(fitting->present, n);
    if (!fitting->standardize)
        return;
    column->shift = min == max ? min : mean_of(fitting->present, n);
    double std = min == max ? 0 : std_of(fitting->present, n, column->shift);
    if (std > 0)
        column->scale = std;
}

/* Counts the levels that training rows have; *n_present rows have one. */
static size_t count_levels(const struct fitting *fitting,
                           const struct table_column *source, bool *is_seen,
                           size_t *n_present)
{
    size_t n_levels = 0;
    *n_present = 0;
    for (size_t i = 0; i < fitting->n_rows; i++) {
        uint32_t code = source->codes[fitting->rows[i]];
        if (code == TABLE_MISSING)
            continue;
        *n_present += 1;
        n_levels += !is_seen[code];
        is_seen[code] = true;
    }
    return n_levels;
}

static int copy_levels(const struct table_column *source, const bool *is_seen, size_t n,
                       struct encoder_column *column, struct err *err)
{
    column->levels = mem_new(n, sizeof *column->levels, err);
    if (!column->levels)
        return -1;
    for (size_t code = 0; code < source->n_levels; code++) {
        if (!is_seen[code])
            continue;
        const char *level = source->levels[code];
        column->levels[column->n_levels] = mem_text(level, strlen(level), err);
        if (!column->levels[column->n_levels])
            return -1;
        column->n_levels++;
    }
    return 0;
}

static int fit_categorical(const struct fitting *fitting,
                           const struct table_column *source,
                           struct encoder_column *column, struct err *err)
{
    int status = 0;
    size_t n_present;
    column->scale = 1;
    bool *is_seen = mem_new(source->n_levels, sizeof *is_seen, err);
    if (!is_seen)
        return -1;
    size_t n_levels = count_levels(fitting, source, is_seen, &n_present);
    bool has_missing = n_present < fitting->n_rows;
    if (n_levels == 0 || (n_levels == 1 && !has_missing)) {
        warn_constant(fitting, column->name, n_levels == 0);
    } else if (n_levels > ID_LIKE_FROM && n_levels > fitting->n_rows / 2) {
        warnings_add(fitting->warnings, "id_like", column->name, 0,
                     "left out: it has %zu different texts in %zu training rows",
                     n_levels, fitting->n_rows);
    } else {
        column->is_used = true;
        column->has_indicator = has_missing;
        column->width = n_levels + has_missing;
        status = copy_levels(source, is_seen, n_levels, column, err);
    }
    free(is_seen);
    return status;
}

static int fit_column(const struct fitting *fitting, const struct table_column *source,
                      struct encoder *encoder, struct err *err)
{
    struct encoder_column *column = &encoder->columns[encoder->n_columns];
    column->name = mem_text(source->name, strlen(source->name), err);
    if (!column->name)
        return -1;
    encoder->n_columns++;
    column->kind = source->kind;
    if (source->kind != TABLE_CATEGORICAL)
        fit_numeric(fitting, source, column);
    else if (fit_categorical(fitting, source, column, err) < 0)
        return -1;
    column->first = encoder->n_features;
    encoder->n_features += column->width;
    if (encoder->n_features > ENCODER_FEATURES_MAX)
        return err_set(
            err, ERR_INVALID, "too_wide",
            "the columns up to '%s' need %zu inputs when encoded, and at most %d "
            "are allowed",
            column->name, encoder->n_features, ENCODER_FEATURES_MAX);
    return 0;
}

static int fit_columns(const struct fitting *fitting,
                       const struct encoder_options *options, size_t target,
                       struct encoder *encoder, struct err *err)
{
    const struct table *table = fitting->table;
    encoder->columns = mem_new(table->n_columns, sizeof *encoder->columns, err);
    if (!encoder->columns)
        return -1;
    for (size_t i = 0; i < table->n_columns; i++) {
        if (i == target || (options->is_feature && !options->is_feature[i]))
            continue;
        if (fit_column(fitting, &table->columns[i], encoder, err) < 0)
            return -1;
    }
    if (encoder->n_features == 0)
        return err_set(
            err, ERR_INVALID, "no_features",
            "no column is left to learn from: each is the target, constant, or "
            "different in most rows");
    return 0;
}

static void fit_scaling(const struct fitting *fitting, const struct table_column *source,
                        enum encoder_range range, struct encoder_target *target)
{
    double min;
    double max;
    size_t n = collect(fitting, source);
    target->scale = 1;
    if (n == 0 || !fitting->standardize)
        return;
    range_of(fitting->present, n, &min, &max);
    double width = max - min;
    switch (range) {
    case ENCODER_STANDARD:
        target->shift = width > 0 ? mean_of(fitting->present, n) : min;
        width = width > 0 ? std_of(fitting->present, n, target->shift) : 0;
        break;
    case ENCODER_UNIT:
        target->shift = min;
        break;
    case ENCODER_SYMMETRIC:
        target->shift = min + width / 2;
        width /= 2;
        break;
    case ENCODER_AS_IS:
        return;
    }
    if (width > 0)
        target->scale = width;
}

/* Labels of a categorical target: its levels, those outside the training rows too. */
static int copy_classes(const struct table_column *source, struct encoder_target *target,
                        struct err *err)
{
    target->classes = mem_new(source->n_levels, sizeof *target->classes, err);
    if (!target->classes)
        return -1;
    for (size_t i = 0; i < source->n_levels; i++) {
        target->classes[i] = mem_text(source->levels[i], strlen(source->levels[i]), err);
        if (!target->classes[i])
            return -1;
        target->n_classes = i + 1;
    }
    return 0;
}

static int number_classes(const struct fitting *fitting,
                          const struct table_column *source,
                          struct encoder_target *target, struct err *err)
{
    target->is_numeric = true;
    target->class_values = mem_new(ENCODER_CLASSES_MAX + 1, sizeof(double), err);
    if (!target->class_values)
        return -1;
    size_t n = encoder_task_values(source, fitting->table->n_rows, ENCODER_CLASSES_MAX,
                                   target->class_values);
    target->classes = mem_new(n, sizeof *target->classes, err);
    if (!target->classes)
        return -1;
    for (size_t i = 0; i < n; i++) {
        char text[DECIMAL_TEXT_SIZE];
        size_t len = decimal_print(target->class_values[i], text);
        target->classes[i] = mem_text(text, len, err);
        if (!target->classes[i])
            return -1;
        target->n_classes = i + 1;
    }
    return 0;
}

static int fit_target(const struct fitting *fitting, const struct table_column *source,
                      const struct encoder_options *options,
                      struct encoder_target *target, struct err *err)
{
    target->scale = 1;
    target->name = mem_text(source->name, strlen(source->name), err);
    if (!target->name)
        return -1;
    if (target->task == ENCODER_REGRESSION) {
        fit_scaling(fitting, source, options->range, target);
        return 0;
    }
    return source->kind == TABLE_CATEGORICAL
               ? copy_classes(source, target, err)
               : number_classes(fitting, source, target, err);
}

int encoder_fit(struct encoder *encoder, const struct table *table,
                const struct encoder_options *options, const size_t *rows, size_t n_rows,
                struct warnings *warnings, struct err *err)
{
    struct encoder made = {0};
    struct fitting fitting = {.table = table,
                              .rows = rows,
                              .n_rows = n_rows,
                              .standardize = options->standardize,
                              .warnings = warnings};
    if (encoder_task_of(table, options->target, options->task, &made.target.task, err) <
        0)
        return -1;
    int status = -1;
    size_t target = table_find(table, options->target);
    fitting.present = mem_new(n_rows, sizeof *fitting.present, err);
    if (!fitting.present ||
        fit_target(&fitting, &table->columns[target], options, &made.target, err) < 0 ||
        fit_columns(&fitting, options, target, &made, err) < 0)
        goto out;
    *encoder = made;
    made = (struct encoder){0};
    status = 0;
out:
    free(fitting.present);
    encoder_clear(&made);
    return status;
}

int encoder_classes(const struct table *table, const char *target, enum encoder_task task,
                    const size_t *rows, size_t n_rows, uint32_t *classes,
                    size_t *n_classes, struct err *err)
{
    assert(task != ENCODER_REGRESSION);
    struct encoder made = {.target = {.task = task}};
    struct fitting fitting = {.table = table, .rows = rows, .n_rows = n_rows};
    struct encoder_options options = {.target = target};
    float *codes = mem_new(n_rows, sizeof *codes, err);
    int status = codes ? fit_target(&fitting, &table->columns[table_find(table, target)],
                                    &options, &made.target, err)
                       : -1;
    if (status == 0) {
        encoder_transform_target(&made, table, rows, n_rows, codes);
        for (size_t i = 0; i < n_rows; i++)
            classes[i] = (uint32_t)codes[i];
        *n_classes = made.target.n_classes;
    }
    free(codes);
    encoder_clear(&made);
    return status;
}
