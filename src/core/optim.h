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
    SOLVER_COUNT
};

const char *optim_name(enum solver solver);

struct optim_options {
    enum solver solver;
    double learning_rate; /* η > 0 */
    double momentum;      /* μ in [0, 1), sgd */
    bool nesterov;        /* sgd */
    double beta_1;        /* [0, 1), adam */
    double beta_2;        /* [0, 1), adam */
    double epsilon;       /* > 0, adam */
};

struct optim {
    struct optim_options options;
    size_t n;      /* parameters */
    size_t step;   /* steps taken */
    float *first;  /* owned [n]: velocity or first moment; NULL for gd */
    float *second; /* owned [n]: second moment, adam only */
};

int optim_init(struct optim *optim, const struct optim_options *options, size_t n,
               struct err *err);
void optim_clear(struct optim *optim);

/* parameters [n] -= step(gradient [n]). */
void optim_step(struct optim *optim, float *parameters, const float *gradient);

#endif
