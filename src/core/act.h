/*
 * act: activation functions, one table row each. Free functions on row-major float32
 * arrays; NaN in gives NaN out. Thread-safe.
 */
#ifndef CORE_ACT_H
#define CORE_ACT_H

#include <stddef.h>

#include "base/err.h"

enum act {
    ACT_IDENTITY, /* a = z */
    ACT_LOGISTIC, /* a = 1 / (1 + e^-z) */
    ACT_TANH,     /* a = tanh z */
    ACT_RELU,     /* a = max(0, z) */
    ACT_SOFTMAX,  /* a_j = e^(z_j) / Σ e^(z_i), over a row; output layer only */
    ACT_COUNT
};

/* scikit-learn's name ("logistic"), a constant. */
const char *act_name(enum act act);

/* z [n x k] becomes a in place; softmax subtracts the row's maximum first. */
void act_apply(enum act act, float *z, size_t n, size_t k);

/* delta [n x k] *= f'(z), with f' expressed in the activation's own output a [n x k].
 * Not for ACT_SOFTMAX, whose derivative is taken together with cross-entropy. */
void act_backward(enum act act, const float *a, float *delta, size_t n, size_t k);

#endif
