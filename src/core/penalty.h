/*
 * penalty: what keeps weights and steps small: L2 and L1 beside the loss, the clipping of a
 * gradient, the longest allowed weights of a neuron. Biases are free of all but clipping.
 * Thread-safe: there is no state.
 */
#ifndef CORE_PENALTY_H
#define CORE_PENALTY_H

#include "core/mlp.h"

/* Adds the gradient of ½ l2 ΣW² + l1 Σ|W| (slope 0 at 0) to gradient [n_parameters], and
 * returns the value. */
double penalty_add(const struct mlp *mlp, double l2, double l1, float *gradient);

/* The same for n weights w and their gradient. */
double penalty_add_part(const float *w, float *gradient, size_t n, double l2, double l1);

/* Σ gradient², of n. */
double penalty_squares(const float *gradient, size_t n);

/* What a gradient of this 2-norm is multiplied by so that it is no longer than `most` (Pascanu
 * et al. 2013): at most 1. */
double penalty_clip_factor(double norm, double most);

/* Scales down each column of each W (the weights into one neuron) whose 2-norm is over
 * `most` (Srebro and Shraibman 2005; Srivastava et al. 2014). */
void penalty_max_norm(struct mlp *mlp, double most);

#endif
