/*
 * shadow: a net in training once more, in float64 and the plainest loops: forward, loss,
 * penalties and textbook backpropagation. It takes a net's shape and figures and shares no
 * code with mlp, pass, act, loss, periodic, penalty or the kernels, so that a mistake of theirs
 * cannot hide itself here; core/gradcheck holds them against it. Slow; one thread at a time.
 */
#ifndef CORE_SHADOW_H
#define CORE_SHADOW_H

#include <stddef.h>

#include "base/err.h"
#include "core/dropout.h"
#include "core/mlp.h"

/*
 * What training makes small, of given rows and in the terms of core/loss and core/penalty:
 *
 *     L = Σ weight · loss / Σ weight + ½ l2 ΣW² + l1 Σ|W|
 *
 * batch_norm takes its statistics from these rows, which all count the same there. All
 * borrowed.
 */
struct shadow_objective {
    const struct mlp *mlp;
    const float *x;       /* [n x n_inputs] */
    const float *t;       /* [n x n_targets] (core/loss.h) */
    const float *weights; /* [n], >= 0, not all 0; NULL: all 1 */
    size_t n;
    double l2;
    double l1;
    struct dropout
        *dropout; /* for at least n rows; NULL: nothing is dropped. The shadow drops
                                what its masks say, whoever drew them */
};

struct shadow;

/* Its parameters are the net's, as they are now. *shadow is owned by the caller; the
 * objective is borrowed as long. ERR_NO_MEMORY. Targets and weights are not checked. */
int shadow_new(const struct shadow_objective *objective, struct shadow **shadow,
               struct err *err);
void shadow_free(struct shadow *shadow); /* NULL is allowed */

/* [n_parameters], laid out as the net's; borrowed, and the caller may change them. */
double *shadow_parameters(struct shadow *shadow);

/* L of the parameters as they are. */
double shadow_loss(struct shadow *shadow);

/* L, and its gradient [n_parameters] by backpropagation (Rumelhart, Hinton and Williams 1986;
 * through a normalisation: Ioffe and Szegedy 2015). At a kink it is the slope on the left of
 * an activation, and 0 of a loss or of |W|, as in the product. */
double shadow_gradient(struct shadow *shadow, double *gradient);

/* On which side of each kink the last pass was: of the activations and loss of each row, where
 * L has a step in its first or second derivative, and of each weight under l1. Passes with
 * the same sides lie on one smooth piece of L. Borrowed [*n] until the next pass. */
const unsigned char *shadow_sides(const struct shadow *shadow, size_t *n);

#endif
