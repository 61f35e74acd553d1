/*
 * loss: what training makes small, as a mean over rows, accumulated in double.
 * Targets t are [n x n_targets]: n_targets is n_outputs, except for cross_entropy, where it
 * is 1 and t holds the class index 0 … n_outputs-1 as a float. Thread-safe.
 */
#ifndef CORE_LOSS_H
#define CORE_LOSS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/act.h"

enum loss {
    LOSS_SQUARED_ERROR, /* ½ Σ_j (y_j − t_j)² (scikit-learn's ½) */
    LOSS_BINARY_CROSS_ENTROPY, /* −t log p − (1 − t) log(1 − p), p = logistic(z), one output */
    LOSS_CROSS_ENTROPY, /* −log p_t, p = softmax(z) */
    LOSS_COUNT
};

const char *loss_name(enum loss loss);

/* Columns of the target array for this many outputs. */
size_t loss_n_targets(enum loss loss, size_t n_outputs);

/* True when the pair is defined: binary_cross_entropy needs logistic and one output,
 * cross_entropy softmax and at least two, squared_error any elementwise activation. */
bool loss_may_follow(enum loss loss, enum act output, size_t n_outputs);

/*
 * From the output layer's pre-activations z [n x k], which become the activations in place:
 * returns Σ over rows of the loss (not yet divided by n), and writes delta [n x k] =
 * ∂(loss of the row)/∂z unless delta is NULL. The two cross-entropies are computed from z
 * (log-sum-exp; softplus), so that |z| = 1e4 is exact, and give delta = p − t.
 */
double loss_forward(enum loss loss, enum act output, float *z, const float *t,
                    float *delta, size_t n, size_t k);

#endif
