/*
 * estimator: what a struct libmlp is, and the checks that the functions of libmlp.h begin and
 * end with. Private to libmlp.c, libmlp_fit.c and libmlp_predict.c.
 */
#ifndef CORE_ESTIMATOR_H
#define CORE_ESTIMATOR_H

#include "base/err.h"
#include "core/libmlp.h"
#include "core/mlp.h"
#include "core/optim.h"
#include "core/settings.h"

struct history {
    struct libmlp_epoch *epochs; /* owned [capacity] */
    size_t n;
    size_t capacity;
};

struct libmlp {
    struct settings settings;
    struct mlp net; /* no layers: not fitted */
    size_t n;       /* classes, labels or columns of y */
    struct history history;
    struct optim optim; /* what partial_fit's solver knows; n is 0: nothing yet */
    size_t n_passes;    /* of partial_fit: each shuffles anew */
};

/* What a public function returns: rc, after err, if that is -1, has been told to the caller
 * (NULL is allowed). */
int estimator_finish(int rc, const struct err *err, struct libmlp_error *error);

/* ERR_INVALID at the field when the argument is NULL. */
int estimator_check_given(const void *argument, const char *field, struct err *err);

/* ERR_INVALID when mlp is NULL, or has not been fitted or loaded. */
int estimator_check_fitted(const struct libmlp *mlp, struct err *err);
bool estimator_is_fitted(const struct libmlp *mlp);

/* ERR_INVALID when a fitted net has another number of inputs. */
int estimator_check_width(const struct libmlp *mlp, size_t n_inputs, struct err *err);

#endif
