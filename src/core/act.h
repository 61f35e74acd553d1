/*
 * act: activation functions, one table row each. Free functions on row-major float32
 * arrays; NaN in gives NaN out. Thread-safe.
 */
#ifndef CORE_ACT_H
#define CORE_ACT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum act {
    ACT_IDENTITY,   /* a = z */
    ACT_LOGISTIC,   /* a = 1 / (1 + e^-z) */
    ACT_TANH,       /* a = tanh z */
    ACT_RELU,       /* a = max(0, z) */
    ACT_LEAKY_RELU, /* a = z, below 0: 0.01 z (Maas et al. 2013) */
    ACT_ELU,        /* a = z, below 0: e^z − 1 (Clevert et al. 2016, α = 1) */
    ACT_SELU, /* a = λ z, below 0: λ α (e^z − 1) (Klambauer et al. 2017's λ and α) */
    ACT_GELU, /* a = z Φ(z), Φ the normal distribution (Hendrycks and Gimpel 2016) */
    ACT_SILU, /* a = z / (1 + e^-z) (Elfwing et al. 2018) */
    ACT_MISH, /* a = z tanh(log(1 + e^z)) (Misra 2020) */
    ACT_SOFTPLUS, /* a = log(1 + e^z) */
    ACT_STEP,     /* a = [z > 0]: the threshold neuron; cannot be trained */
    ACT_SOFTMAX,  /* a_j = e^(z_j) / Σ e^(z_i), over a row; output layer only */
    ACT_COUNT
};

/* scikit-learn's name ("logistic") or, where it has none, torch's; a constant. */
const char *act_name(enum act act);

/* False for the step, whose slope is zero wherever it has one. */
bool act_is_trainable(enum act act);

/* True when the slope is not a function of a alone, so that z must be kept for it. */
bool act_needs_z(enum act act);

/* z [n x k] becomes a in place; softmax subtracts the row's maximum first. */
void act_apply(enum act act, float *z, size_t n, size_t k);

/*
 * delta [n x k] *= f'(z), from the activation's own output a [n x k] and, only where
 * act_needs_z, its input z [n x k] (else it may be NULL). At a kink: the slope on the left.
 * Not for ACT_SOFTMAX, whose derivative is taken together with cross-entropy.
 */
void act_backward(enum act act, const float *a, const float *z, float *delta, size_t n,
                  size_t k);

#endif
