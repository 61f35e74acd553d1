#include "core/lbfgs.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SEARCH_EVALUATIONS 25 /* of one line search, at most */

static const double sufficient_decrease = 1e-4; /* c₁ */
static const double flat_enough = 0.9;          /* c₂ */

/* --- vectors ---------------------------------------------------------------------------- */

static double dot(const double *restrict a, const double *restrict b, size_t n)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void add_scaled(double *restrict a, const double *restrict b, double c, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        a[i] += c * b[i];
}

static void scale(double *a, double c, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        a[i] *= c;
}

/* max |a_i|; NaN when any is. */
static double largest(const double *a, size_t n)
{
    double most = 0.0;
    for (size_t i = 0; i < n; i++) {
        double size = fabs(a[i]);
        if (!(size <= most))
            most = size;
        if (isnan(most))
            break;
    }
    return most;
}

/* --- memory ----------------------------------------------------------------------------- */

int lbfgs_init(struct lbfgs *lbfgs, size_t n, double tolerance, struct err *err)
{
    const size_t n_vectors = 5 + 2 * LBFGS_HISTORY;
    struct lbfgs made = {.n = n, .tolerance = tolerance};
    if (n > SIZE_MAX / n_vectors)
        return err_no_memory(err);
    made.memory = mem_new(n * n_vectors, sizeof *made.memory, err);
    if (!made.memory)
        return -1;
    double **fixed[] = {&made.x, &made.gradient, &made.direction, &made.next_x,
                        &made.next_gradient};
    double *at = made.memory;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++, at += n)
        *fixed[i] = at;
    for (size_t i = 0; i < LBFGS_HISTORY; i++, at += 2 * n) {
        made.steps[i] = at;
        made.changes[i] = at + n;
    }
    *lbfgs = made;
    return 0;
}

void lbfgs_clear(struct lbfgs *lbfgs)
{
    free(lbfgs->memory);
    *lbfgs = (struct lbfgs){0};
}

/* --- direction -------------------------------------------------------------------------- */

/* d = −H g by the two-loop recursion (algorithm 7.4), H₀ = sᵀy / yᵀy of the newest pair. */
static void find_direction(struct lbfgs *l)
{
    double alpha[LBFGS_HISTORY];
    size_t n = l->n;
    size_t oldest = l->n_pairs > LBFGS_HISTORY ? l->n_pairs - LBFGS_HISTORY : 0;
    double *d = l->direction;
    for (size_t i = 0; i < n; i++)
        d[i] = -l->gradient[i];
    for (size_t k = l->n_pairs; k-- > oldest;) {
        size_t at = k % LBFGS_HISTORY;
        alpha[at] = l->inverse[at] * dot(l->steps[at], d, n);
        add_scaled(d, l->changes[at], -alpha[at], n);
    }
    if (l->n_pairs > 0) {
        size_t at = (l->n_pairs - 1) % LBFGS_HISTORY;
        scale(d, 1.0 / (l->inverse[at] * dot(l->changes[at], l->changes[at], n)), n);
    }
    for (size_t k = oldest; k < l->n_pairs; k++) {
        size_t at = k % LBFGS_HISTORY;
        double beta = l->inverse[at] * dot(l->changes[at], d, n);
        add_scaled(d, l->steps[at], alpha[at] - beta, n);
    }
}

/* Notes s and y between the old point and the accepted one, unless the curvature between
 * them is not positive, which the Wolfe conditions exclude but for rounding. */
static void note_pair(struct lbfgs *l)
{
    double curvature = 0.0;
    double squares = 0.0;
#pragma omp simd reduction(+ : curvature, squares)
    for (size_t i = 0; i < l->n; i++) {
        double y = l->next_gradient[i] - l->gradient[i];
        curvature += (l->next_x[i] - l->x[i]) * y;
        squares += y * y;
    }
    if (!(curvature > DBL_EPSILON * squares))
        return;
    size_t at = l->n_pairs++ % LBFGS_HISTORY;
    l->inverse[at] = 1.0 / curvature;
    for (size_t i = 0; i < l->n; i++) {
        l->steps[at][i] = l->next_x[i] - l->x[i];
        l->changes[at][i] = l->next_gradient[i] - l->gradient[i];
    }
}

/* --- line search ------------------------------------------------------------------------ */

/* φ(a) = f(x + a d) */
struct trial {
    double a;
    double f;
    double slope; /* φ'(a) */
};

struct search {
    struct lbfgs *lbfgs;
    const struct lbfgs_problem *problem;
    struct trial start;
    struct trial last; /* the newest: next_x and next_gradient are its */
    size_t n_left;     /* evaluations */
};

static int try_at(struct search *s, double a, struct err *err)
{
    struct lbfgs *l = s->lbfgs;
    struct trial *trial = &s->last;
    for (size_t i = 0; i < l->n; i++)
        l->next_x[i] = l->x[i] + a * l->direction[i];
    *trial = (struct trial){.a = a};
    s->n_left--;
    l->n_evaluations++;
    if (s->problem->evaluate(s->problem->ctx, l->next_x, &trial->f, l->next_gradient,
                             err) < 0)
        return -1;
    trial->slope = dot(l->next_gradient, l->direction, l->n);
    if (!isfinite(trial->f) || !isfinite(trial->slope))
        trial->f = (double)INFINITY;
    return 0;
}

/* The strong Wolfe conditions (3.7): enough descent for the length, and a slope flat enough.
 * `low` is the best point before this one. */
static bool is_too_far(const struct search *s, const struct trial *low)
{
    double line = s->start.f + sufficient_decrease * s->last.a * s->start.slope;
    return !(s->last.f <= line) || (low->a > 0.0 && s->last.f >= low->f);
}

static bool is_flat(const struct search *s)
{
    return fabs(s->last.slope) <= -flat_enough * s->start.slope;
}

/* Minimum of the cubic through both ends' values and slopes (3.59), kept away from them. */
static double interpolate(const struct trial *low, const struct trial *high)
{
    double width = high->a - low->a;
    double middle = low->a + 0.5 * width;
    if (!isfinite(high->f))
        return middle;
    double d1 = low->slope + high->slope - 3.0 * (low->f - high->f) / (low->a - high->a);
    double under = d1 * d1 - low->slope * high->slope;
    if (!(under >= 0.0))
        return middle;
    double d2 = copysign(sqrt(under), width);
    double back = (high->slope + d2 - d1) / (high->slope - low->slope + 2.0 * d2);
    if (!isfinite(back))
        return middle;
    return low->a + width * fmin(fmax(1.0 - back, 0.1), 0.9);
}

/* The evaluations are used up: a point that is lower than the start will do. */
static int accept_low(struct search *s, const struct trial *low, bool *found,
                      struct err *err)
{
    *found = low->a > 0.0 && low->f < s->start.f;
    if (!*found || low->a == s->last.a)
        return 0;
    return try_at(s, low->a, err);
}

/* Algorithm 3.6: a point that fulfils both conditions lies between low and high. */
static int zoom(struct search *s, struct trial low, struct trial high, bool *found,
                struct err *err)
{
    while (s->n_left > 0) {
        if (try_at(s, interpolate(&low, &high), err) < 0)
            return -1;
        if (is_too_far(s, &low)) {
            high = s->last;
            continue;
        }
        if (is_flat(s)) {
            *found = true;
            return 0;
        }
        if (s->last.slope * (high.a - low.a) >= 0.0)
            high = low;
        low = s->last;
    }
    return accept_low(s, &low, found, err);
}

/* Algorithm 3.5: steps from a on until a minimum is enclosed. When *found, the accepted
 * point is s->last. */
static int search_line(struct search *s, double a, bool *found, struct err *err)
{
    struct trial low = s->start;
    *found = false;
    while (s->n_left > 0) {
        if (try_at(s, a, err) < 0)
            return -1;
        if (is_too_far(s, &low))
            return zoom(s, low, s->last, found, err);
        if (is_flat(s)) {
            *found = true;
            return 0;
        }
        if (s->last.slope >= 0.0)
            return zoom(s, s->last, low, found, err);
        low = s->last;
        a *= 2.0;
    }
    return accept_low(s, &low, found, err);
}

/* --- iteration -------------------------------------------------------------------------- */

static int start(struct lbfgs *l, const struct lbfgs_problem *problem, struct err *err)
{
    l->n_evaluations = 1;
    if (problem->evaluate(problem->ctx, l->x, &l->f, l->gradient, err) < 0)
        return -1;
    double most = largest(l->gradient, l->n);
    if (!isfinite(l->f) || !isfinite(most))
        l->state = LBFGS_NOT_FINITE;
    else if (most <= l->tolerance)
        l->state = LBFGS_CONVERGED;
    return 0;
}

/* Looks for a lower point along the direction, and goes there when it is found. */
static int go(struct lbfgs *l, const struct lbfgs_problem *problem, bool *found,
              struct err *err)
{
    struct search search = {.lbfgs = l, .problem = problem, .n_left = SEARCH_EVALUATIONS};
    search.start =
        (struct trial){.f = l->f, .slope = dot(l->gradient, l->direction, l->n)};
    *found = false;
    if (!(search.start.slope < 0.0))
        return 0;
    /* Without curvature the gradient says nothing about the length: be careful then. */
    double norm = sqrt(dot(l->gradient, l->gradient, l->n));
    double first = l->n_pairs > 0 ? 1.0 : fmin(1.0, 1.0 / norm);
    if (search_line(&search, first, found, err) < 0)
        return -1;
    if (*found) {
        note_pair(l);
        memcpy(l->x, l->next_x, l->n * sizeof *l->x);
        memcpy(l->gradient, l->next_gradient, l->n * sizeof *l->gradient);
        l->f = search.last.f;
    }
    return 0;
}

int lbfgs_iterate(struct lbfgs *lbfgs, const struct lbfgs_problem *problem,
                  struct err *err)
{
    bool found = false;
    if (lbfgs->n_evaluations == 0 && start(lbfgs, problem, err) < 0)
        return -1;
    if (lbfgs->state != LBFGS_GOING)
        return 0;
    find_direction(lbfgs);
    if (go(lbfgs, problem, &found, err) < 0)
        return -1;
    if (!found && lbfgs->n_pairs > 0) {
        lbfgs->n_pairs = 0; /* once more, straight down */
        find_direction(lbfgs);
        if (go(lbfgs, problem, &found, err) < 0)
            return -1;
    }
    if (!found)
        lbfgs->state = LBFGS_STUCK;
    else if (largest(lbfgs->gradient, lbfgs->n) <= lbfgs->tolerance)
        lbfgs->state = LBFGS_CONVERGED;
    return 0;
}
