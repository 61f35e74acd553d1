/*
 * formula: activations, losses and embeddings as the textbook writes them, one number or row
 * at a time in float64, for core/shadow. What each is: core/act.h, core/loss.h and
 * core/periodic.h, whose code is not used here. Thread-safe: there is no state.
 */
#ifndef CORE_FORMULA_H
#define CORE_FORMULA_H

#include <stdbool.h>
#include <stddef.h>

#include "core/act.h"
#include "core/loss.h"
#include "core/periodic.h"

/* f(z); of softmax, which is one of a whole row, z. */
double formula_act(enum act act, double z);

/* f'(z); at a kink the slope on the left. */
double formula_act_slope(enum act act, double z);

/* True when the first or second derivative has a step at 0. */
bool formula_act_has_kink(enum act act);

/* True for losses of the pre-activation z, whose output activation is part of them. */
bool formula_loss_is_of_logits(enum loss loss);

/* Loss of one output y and its target, or of one z; not cross_entropy. */
double formula_loss(enum loss loss, const struct loss_options *options, double y,
                    double t);

/* Its derivative by y; 0 at a kink. */
double formula_loss_slope(enum loss loss, const struct loss_options *options, double y,
                          double t);

/* How many points where its first or second derivative has a step are below y. */
unsigned char formula_loss_side(enum loss loss, const struct loss_options *options,
                                double y, double t);

/* −Σ target_j log p_j of a row z [k], p = softmax(z), target 1 − smoothing at the class and
 * smoothing / k everywhere besides. */
double formula_cross_entropy(const double *z, size_t class, size_t k, double smoothing);

/* slopes [k] = p − target: its derivative by z. */
void formula_cross_entropy_slopes(const double *z, size_t class, size_t k,
                                  double smoothing, double *slopes);

/* Columns e [width] of one embedded input x; its parameters (periodic.h) start at w. */
void formula_embed(const struct periodic *periodic, const double *w, double x,
                   double *columns);

/* Adds to the gradient of those parameters, given delta [width] = ∂L/∂e. */
void formula_embed_back(const struct periodic *periodic, const double *w, double x,
                        const double *delta, double *gradient);

/* −1, 0 or 1. */
double formula_sign(double x);

#endif
