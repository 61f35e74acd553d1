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
    size_t n;          /* parameters */
    size_t step;       /* steps taken */
    double correction; /* of adam's bias in this step: √(1 − β₂^t) / (1 − β₁^t) */
    float *first;      /* owned [n]: velocity or first moment; NULL for gd and rmsprop */
    float *second;     /* owned [n]: second moment; adam, adamw and rmsprop */
};

/* Any solver but lbfgs. */
int optim_init(struct optim *optim, const struct optim_options *options, size_t n,
               struct err *err);
void optim_clear(struct optim *optim);

/* parameters [n] -= step(gradient [n]); all of them decay. */
void optim_step(struct optim *optim, float *parameters, const float *gradient);

/* A run of parameters that are treated alike. */
struct optim_part {
    size_t at; /* index of the first */
    size_t n;
    double rate_factor;  /* the learning rate times this is theirs */
    double decay_factor; /* and weight_decay times this; 0: they do not decay */
};

/* The same in parts: begin counts the step, then part moves the parameters `of` each. Both
 * arrays are whole ones, [optim->n]. Threads may move different parts at once. */
void optim_begin(struct optim *optim);
void optim_part(const struct optim *optim, float *parameters, const float *gradient,
                const struct optim_part *of);

#endif
