/*
 * loss: what training makes small, as a weighted mean over rows, accumulated in double.
 * Targets t are [n x n_targets]: n_targets is n_outputs, except for cross_entropy, where it
 * is 1 and t holds the class index 0 … n_outputs-1 as a float. Thread-safe.
 */
#ifndef CORE_LOSS_H
#define CORE_LOSS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/act.h"

/* Those of several outputs are sums over the outputs; y is an output, t its target. */
enum loss {
    LOSS_SQUARED_ERROR,  /* ½ (y − t)² (scikit-learn's ½) */
    LOSS_ABSOLUTE_ERROR, /* |y − t| */
    LOSS_HUBER, /* ½ (y − t)² up to |y − t| = delta, then linear (Huber 1964) */
    LOSS_ASYMMETRIC_SQUARED, /* (t − y)², times `over` where y > t, else `under` */
    LOSS_QUANTILE, /* q (t − y) where t > y, else (1 − q)(y − t) (Koenker, Bassett 1978) */
    LOSS_POISSON, /* e^z − t z: z is the log of the rate e^z, which is the output */
    LOSS_BINARY_CROSS_ENTROPY, /* −t log p − (1 − t) log(1 − p), p = logistic(z) */
    LOSS_CROSS_ENTROPY,        /* −log p_t, p = softmax(z) */
    LOSS_COUNT
};

/* The figures of losses that have one; others ignore them. */
struct loss_options {
    double delta;           /* huber, > 0: where it becomes linear */
    double over;            /* asymmetric_squared, > 0: weight of an output too high */
    double under;           /* asymmetric_squared, > 0: weight of one too low */
    double q;               /* quantile, in (0, 1) */
    double label_smoothing; /* the cross-entropies, in [0, 0.5]: this share of the target
                               is spread over all classes (Szegedy et al. 2016) */
};

/* delta 1, over 1, under 1, q 0.5, no smoothing. */
struct loss_options loss_defaults(void);

const char *loss_name(enum loss loss);

/* What is wrong with the options of this loss: ERR_INVALID "out_of_range" at "/delta" … */
int loss_check(enum loss loss, const struct loss_options *options, struct err *err);

/* Columns of the target array for this many outputs. */
size_t loss_n_targets(enum loss loss, size_t n_outputs);

/* True when the pair is defined: binary_cross_entropy needs logistic (several
 * outputs: a sigmoid for each label), cross_entropy softmax and at least two, poisson identity, the others any elementwise
 * activation. */
bool loss_may_follow(enum loss loss, enum act output, size_t n_outputs);

/* True when label_smoothing does something. */
bool loss_has_classes(enum loss loss);

/* From activations y [n] to outputs: e^y for poisson, else y. In place. */
void loss_apply_link(enum loss loss, float *y, size_t n);

/* What the loss is taken on. Borrowed. */
struct loss_rows {
    const float *t;       /* [n x n_targets] */
    const float *weights; /* [n], >= 0; NULL: all 1 */
    size_t n;
    size_t k; /* outputs */
};

/*
 * From the output layer's pre-activations z [n x k], which become the outputs in place:
 * returns Σ over rows of weight · loss (not yet divided by Σ weights), and writes
 * delta [n x k] = ∂(weight · loss of the row)/∂z unless delta is NULL. At a kink it is 0. The
 * cross-entropies and poisson are computed from z (log-sum-exp; softplus), so that |z| = 1e4
 * is exact, and give delta = p − t.
 */
double loss_forward(enum loss loss, const struct loss_options *options, enum act output,
                    float *z, const struct loss_rows *rows, float *delta);

/* Weights [n_classes] under which all classes weigh the same in rows of these classes [n]:
 * n / (classes that occur · rows of the class), scikit-learn's "balanced"; 1 for a class
 * that does not occur. */
void loss_balance(const float *classes, size_t n, size_t n_classes, double *weights);

#endif
