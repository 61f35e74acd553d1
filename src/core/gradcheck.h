/*
 * gradcheck: is the gradient that training follows right? In two steps: the backpropagation
 * of the float64 shadow (core/shadow) against differences of its loss, which needs no
 * backpropagation; then a float32 gradient against that of the shadow. For any activation,
 * loss, normalisation and penalty. A check takes 6 · n_parameters passes of plain loops, so
 * it is for small nets and few rows. Thread-safe: there is no state.
 */
#ifndef CORE_GRADCHECK_H
#define CORE_GRADCHECK_H

#include <stddef.h>

#include "base/err.h"
#include "core/mlp.h"
#include "core/shadow.h"

/*
 * The most that may be wrong, relative to the slope, and the share of the layer's largest slope
 * below which slopes are held to the absolute error of one of that size. A float32 slope is a
 * sum whose terms may cancel, so its rounding is that of the largest; a normalisation
 * magnifies it by |z| / √(σ² + ε). Of the 5,452 nets of the tests one is off by over 2e-4; of
 * as many others the worst was off by 1.1e-3, where layer_norm met a row with σ = 0.03.
 * Mistakes are larger: a term left out is wrong by per cents.
 */
#define GRADCHECK_SHADOW_TOLERANCE  1e-6
#define GRADCHECK_SHADOW_FLOOR      1e-3
#define GRADCHECK_PRODUCT_TOLERANCE 2e-3
#define GRADCHECK_PRODUCT_FLOOR     1e-2

/* The parameters of one kind in one layer. */
struct gradcheck_group {
    size_t n_parameters; /* 0: the net has none of these */
    size_t n_left_out;   /* of them: see gradcheck_gradient */
    double norm;         /* ‖g‖₂ of the shadow's gradient */
    /* max |g − ĝ| / max(|ĝ|, floor · the layer's largest |ĝ|, 1e-6 L); a NaN stays: */
    double shadow_error;  /* g of the shadow, ĝ the difference */
    double product_error; /* g in float32, ĝ of the shadow */
};

struct gradcheck {
    size_t n_layers;
    /* Feature scales and embeddings stand in layer 0, but each are a layer of their own to the
     * floor. */
    struct gradcheck_group groups[MLP_LAYERS_MAX][MLP_GROUP_COUNT];
};

/*
 * Measures how wrong gradient [n_parameters] of this objective is. ĝ is a central difference
 * of sixth order (Fornberg 1988): with d_i = L(w + i h) − L(w − i h),
 *
 *     ĝ = (45 d_1 − 9 d_2 + d_3) / 60 h,  h = 3e-4 max(1, |w|).
 *
 * It is wrong by about h⁶ L⁽⁷⁾, little for inputs of about unit size, and by the rounding of
 * L, some 1e-13 L, which is why no slope below 1e-6 L is told from 0. Parameters for which a
 * kink (shadow_sides) lies between w − 3h and w + 3h are left out of both steps: the
 * difference is not the derivative there, and float32 may see a row that is next to a kink on
 * its other side.
 *
 * ERR_INVALID "zero_gradient" when no slope of a layer (W, b and g together; s; the embeddings) is larger
 * than that, in the differences or in either gradient, "too_many_kinks" when over half of a
 * group is left out: such a check proves nothing. "no_rows"; "bad_row", "bad_target" or
 * "bad_weight" for what is not finite, a class that the net does not have, a weight below 0,
 * weights that are all 0. Or ERR_NO_MEMORY.
 */
int gradcheck_gradient(const struct shadow_objective *objective, const float *gradient,
                       struct gradcheck *result, struct err *err);

/* The same for the gradient that training would use: pass_gradient and penalty_add. Draws the
 * masks of the objective's dropout. Errors as above, or of pass_new. */
int gradcheck_run(const struct shadow_objective *objective, struct gradcheck *result,
                  struct err *err);

/* ERR_INVALID "wrong_gradient", naming the worst group, unless all errors are within the two
 * tolerances. */
int gradcheck_verdict(const struct gradcheck *result, struct err *err);

#endif
