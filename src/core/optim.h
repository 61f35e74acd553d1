/*
 * optim: one step down the gradient, in one pass over the flat parameter vector.
 * State belongs to one fit; not shared between threads.
 */
#ifndef CORE_OPTIM_H
#define CORE_OPTIM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum solver {
    SOLVER_GD, /* plain full-batch gradient descent: w ← w − η g */
    SOLVER_SGD, /* mini-batches; v ← μ v − η g; w ← w + v, or Nesterov: w ← w + μ v − η g */
    SOLVER_ADAM, /* Kingma and Ba 2015, bias-corrected step as scikit-learn's */
    /* Tieleman and Hinton 2012, ε as torch: v ← ρ v + (1 − ρ) g²; w ← w − η g / (√v + ε) */
    SOLVER_RMSPROP,
    /* Loshchilov and Hutter 2019: adam's step, and w ← w − η λ w besides it, so that the
     * decay is not divided by √v; biases do not decay */
    SOLVER_ADAMW,
    SOLVER_LBFGS, /* full-batch quasi-Newton: core/lbfgs.h, not a step of this file */
    SOLVER_COUNT
};

const char *optim_name(enum solver solver);

struct optim_options {
    enum solver solver;
    double learning_rate; /* η > 0; a schedule may write it between steps */
    double momentum;      /* μ in [0, 1), sgd */
    bool nesterov;        /* sgd */
    double beta_1;        /* [0, 1), adam and adamw */
    double beta_2;        /* [0, 1), adam and adamw */
    double epsilon;       /* > 0, adam, adamw and rmsprop */
    double rho;           /* ρ in [0, 1), rmsprop */
    double weight_decay;  /* λ >= 0, adamw */
};

struct optim {
    struct optim_options options;
    size_t n;      /* parameters */
    size_t step;   /* steps taken */
    float *first;  /* owned [n]: velocity or first moment; NULL for gd and rmsprop */
    float *second; /* owned [n]: second moment; adam, adamw and rmsprop */
};

/* Any solver but lbfgs. */
int optim_init(struct optim *optim, const struct optim_options *options, size_t n,
               struct err *err);
void optim_clear(struct optim *optim);

/* parameters [n] -= step(gradient [n]); all of them decay. */
void optim_step(struct optim *optim, float *parameters, const float *gradient);

/* The same in parts, of which some do not decay: begin counts the step, then part moves the
 * n parameters from index `at` on. Both arrays are whole ones, [optim->n]. */
void optim_begin(struct optim *optim);
void optim_part(struct optim *optim, float *parameters, const float *gradient, size_t at,
                size_t n, bool decays);

#endif
