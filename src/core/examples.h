/*
 * examples: rows that came in through libmlp.h, distrusted and then made ready to learn from:
 * split, with targets as the loss wants them and weights of rows and classes as one. Indices
 * in messages count from 0. No state; one caller at a time per struct.
 */
#ifndef CORE_EXAMPLES_H
#define CORE_EXAMPLES_H

#include "base/err.h"
#include "core/fit.h"
#include "core/libmlp.h"
#include "core/settings.h"

struct examples {
    struct fit_rows train;
    struct fit_rows validation; /* n_rows 0: none */
    float *x;       /* owned: rows in order of their parts; NULL: the caller's are used */
    float *t;       /* owned, in that order */
    float *weights; /* owned, in that order; NULL: all 1 */
};

/* ERR_INVALID when x is NULL, empty, larger than memory, or has a number that is not finite. */
int examples_check_x(const float *x, size_t n_rows, size_t n_inputs, struct err *err);

/*
 * Checks x, y and weights for a task and writes to *n how many classes, labels or columns of
 * y a net needs for them. When *n is not 0, y must fit that number instead. ERR_INVALID names
 * the array, and the element where there is one.
 */
int examples_check(enum libmlp_task task, const struct libmlp_rows *rows, size_t *n,
                   struct err *err);

/* Rows (checked, with n classes) for this net; `splits` sets a validation part aside. To be
 * released with examples_clear. */
int examples_prepare(struct examples *examples, const struct libmlp_rows *rows, size_t n,
                     const struct mlp *mlp, const struct settings *settings, bool splits,
                     struct err *err);
void examples_clear(struct examples *examples);

#endif
