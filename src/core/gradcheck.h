/*
 * gradcheck: is backpropagation right? Central differences in float64 over a float64 shadow
 * of the net, against mlp_gradient_weighted.
 */
#ifndef CORE_GRADCHECK_H
#define CORE_GRADCHECK_H

#include "core/mlp.h"

struct gradcheck {
    /* Per layer: max |g − ĝ| / max(|g| + |ĝ|, floor). Parameters for which a kink of an
     * activation or of the loss is crossed between w − h and w + h are left out: the
     * difference is not the derivative there. */
    double largest_error[MLP_LAYERS_MAX];
    double gradient_norm[MLP_LAYERS_MAX]; /* per layer: ‖ĝ‖₂ of the central differences */
};

/*
 * Compares on the n rows of x, t, weights (as for mlp_gradient_weighted). The step is
 * h = 1e-6 · max(1, |w|) in float64; floor is 1e-3 of the layer's largest |ĝ|. ERR_INVALID "zero_gradient" when
 * either gradient of a layer is zero everywhere: such a check proves nothing.
 */
int gradcheck_run(const struct mlp *mlp, const float *x, const float *t,
                  const float *weights, size_t n, struct gradcheck *result,
                  struct err *err);

#endif
