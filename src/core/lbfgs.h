/*
 * lbfgs: the limited-memory quasi-Newton method (Nocedal and Wright, Numerical Optimization,
 * 2006: algorithm 7.4, the two-loop recursion; 3.5 and 3.6, a line search for the strong
 * Wolfe conditions with c₁ = 1e-4, c₂ = 0.9). It minimises any smooth function of n numbers,
 * in float64, one iteration a call. Deterministic; state belongs to one caller.
 */
#ifndef CORE_LBFGS_H
#define CORE_LBFGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define LBFGS_HISTORY 10

/* What is made small. */
struct lbfgs_problem {
    void *ctx;
    /* Writes f(x) and its gradient [n]. -1 ends the search with that error; a value or slope
     * that is not finite does not: the point counts as too far. */
    int (*evaluate)(void *ctx, const double *x, double *f, double *gradient,
                    struct err *err);
};

enum lbfgs_state {
    LBFGS_GOING,
    LBFGS_CONVERGED, /* no component of the gradient is over the tolerance */
    LBFGS_STUCK,     /* no lower point can be found: rounding hides the descent */
    LBFGS_NOT_FINITE /* f or its gradient is not finite at the first point */
};

struct lbfgs {
    size_t n;
    double tolerance; /* of max |g_i| */
    double *x;        /* [n], in `memory`: the lowest point so far */
    double *gradient; /* [n], in `memory`: there */
    double f;         /* there */
    enum lbfgs_state state;
    size_t n_evaluations;
    /* the last min(n_pairs, LBFGS_HISTORY) steps, the newest at n_pairs − 1 */
    size_t n_pairs;
    double *steps[LBFGS_HISTORY];   /* [n], in `memory`: s = x⁺ − x */
    double *changes[LBFGS_HISTORY]; /* [n], in `memory`: y = g⁺ − g */
    double inverse[LBFGS_HISTORY];  /* 1 / yᵀs */
    double *direction;              /* [n], in `memory` */
    double *next_x;                 /* [n], in `memory`: the point that is tried */
    double *next_gradient;          /* [n], in `memory` */
    double *memory;                 /* owned */
};

/* Starts at lbfgs->x, all zeros: write to it before the first iteration. */
int lbfgs_init(struct lbfgs *lbfgs, size_t n, double tolerance, struct err *err);
void lbfgs_clear(struct lbfgs *lbfgs);

/* One iteration: moves x to a point with a lower f, or sets the state that ends the search
 * (also when the new point has converged). The first call evaluates x before. -1 only when
 * evaluate gives it. */
int lbfgs_iterate(struct lbfgs *lbfgs, const struct lbfgs_problem *problem,
                  struct err *err);

#endif
