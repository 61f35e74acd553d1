/*
 * encoder: from named columns to the numbers a net reads, and from its outputs back to the
 * target's own terms. Fitted on training rows only, saved with the model, immutable then and
 * shared between threads.
 *
 * Features, in the order of the table's columns:
 *   numeric, integer  (x − mean)/std over the training rows, missing → median; a 0/1 column
 *                     behind it when training rows had any missing. Constant → dropped.
 *                     With standardize false: x as it is.
 *   categorical       one 0/1 column per level seen in training, and one for missing or
 *                     unseen when training rows had any missing; without it an unknown
 *                     level encodes as all zeros. One level → dropped. A column in which
 *                     over half of the rows are different (and over 20) is dropped with
 *                     the warning id_like.
 * Target:
 *   regression        (y − shift)/scale: to mean 0, std 1 for an identity output, to [0, 1]
 *                     for logistic, to [−1, 1] for tanh, untouched with standardize false
 *   classes           codes 0 … n_classes−1 of the levels seen, sorted (numbers by value)
 */
#ifndef TABLE_ENCODER_H
#define TABLE_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "table/table.h"
#include "table/warnings.h"

#define ENCODER_FEATURES_MAX 100000 /* columns of the encoded matrix */
#define ENCODER_CLASSES_MAX  1000

enum encoder_task {
    ENCODER_REGRESSION,
    ENCODER_BINARY,
    ENCODER_MULTICLASS,
    ENCODER_TASK_COUNT
};

const char *encoder_task_name(enum encoder_task task);

/* Interval that the scaled regression target should fall into. */
enum encoder_range { ENCODER_STANDARD, ENCODER_UNIT, ENCODER_SYMMETRIC, ENCODER_AS_IS };

struct encoder_column {
    char *name; /* owned */
    enum table_kind kind;
    bool is_used; /* false: constant, id-like: width 0, but known to predict requests */
    bool
        has_indicator; /* numeric: a missing column; categorical: a missing/unknown slot */
    size_t first;      /* its first feature */
    size_t width;      /* how many it has */
    double shift, scale; /* numeric: (x − shift)/scale */
    double median;       /* numeric: stands in for missing */
    size_t n_levels;
    char **levels; /* owned [n_levels], sorted bytewise */
};

struct encoder_target {
    char *name; /* owned */
    enum encoder_task task;
    double shift, scale; /* regression */
    size_t n_classes;
    char **classes;       /* owned [n_classes]: labels as text */
    bool is_numeric;      /* labels are numbers: printed without quotes */
    double *class_values; /* owned [n_classes] when is_numeric */
};

struct encoder {
    size_t n_columns;
    struct encoder_column *columns; /* owned; the inputs, without the target */
    size_t n_features;              /* columns of the encoded matrix */
    struct encoder_target target;
};

struct encoder_options {
    const char *target;     /* column name */
    const bool *is_feature; /* borrowed [table->n_columns]; NULL: all but the target */
    int task;               /* enum encoder_task, or -1: decide (below) */
    bool standardize;
    enum encoder_range range; /* of a regression target */
};

/*
 * What the target column asks for when the task is not given: categorical → binary or
 * multiclass by its levels; integer with two values → binary; integer with at most 20
 * values, each on at least 5 rows in the mean → multiclass; else regression.
 * ERR_INVALID at "/target": unknown_target (nearest name suggested), one_class (one value
 * only), too_many_classes, text_target (regression asked of text; names a cell),
 * missing_target (no row has it), binary asked of more than two classes.
 */
int encoder_task_of(const struct table *table, const char *target, int asked,
                    enum encoder_task *task, struct err *err);

/*
 * Learns from rows [n_rows] (indices into the table) only. Errors as encoder_task_of, and
 * no_features, too_wide (over ENCODER_FEATURES_MAX). Warnings: id_like, constant.
 */
int encoder_fit(struct encoder *encoder, const struct table *table,
                const struct encoder_options *options, const size_t *rows, size_t n_rows,
                struct warnings *warnings, struct err *err);
void encoder_clear(struct encoder *encoder);

/*
 * Class index of each given row, into classes [n_rows], and how many classes the target has:
 * what encoder_transform_target would say, before there is an encoder, to stratify the rows
 * it is fitted on. task is not a regression; rows must have the target.
 */
int encoder_classes(const struct table *table, const char *target, enum encoder_task task,
                    const size_t *rows, size_t n_rows, uint32_t *classes,
                    size_t *n_classes, struct err *err);

/* x [n_rows x n_features] from rows of the table the encoder was fitted on. */
void encoder_transform(const struct encoder *encoder, const struct table *table,
                       const size_t *rows, size_t n_rows, float *x);

/* t [n_rows]: scaled target or class index. Rows must have the target. A class that was not
 * in the training rows cannot occur: classes are taken from all rows of the table. */
void encoder_transform_target(const struct encoder *encoder, const struct table *table,
                              const size_t *rows, size_t n_rows, float *t);

/*
 * x [n_rows x n_features] from a request's cells, matched by name in any order.
 * ERR_INVALID: missing_column (all missing names in the message), not_a_number (row and
 * column named, pointer "/rows/2/age"). Warnings: extra_column, unseen_category (with row).
 */
int encoder_apply(const struct encoder *encoder, const struct cells *cells, float *x,
                  struct warnings *warnings, struct err *err);

/* The target's own units for a net's regression output. */
double encoder_target_value(const struct encoder *encoder, float output);

#endif
