#include "core/optim.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

/* What one call moves: pointers to its first element each. */
struct part {
    const struct optim_options *options;
    size_t step; /* from 1 */
    size_t n;
    float *w;
    const float *g;
    float *first;
    float *second;
    bool decays;
};

/* w ← w − η g */
static void gd_step(const struct part *part)
{
    const float rate = (float)part->options->learning_rate;
    const size_t n = part->n;
    float *restrict w = part->w;
    const float *restrict g = part->g;
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        w[i] -= rate * g[i];
}

/* v ← μ v − η g; w ← w + v */
static void momentum_step(const struct part *part)
{
    const float rate = (float)part->options->learning_rate;
    const float momentum = (float)part->options->momentum;
    const size_t n = part->n;
    float *restrict w = part->w;
    const float *restrict g = part->g;
    float *restrict v = part->first;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        v[i] = momentum * v[i] - rate * g[i];
        w[i] += v[i];
    }
}

/* v ← μ v − η g; w ← w + μ v − η g */
static void nesterov_step(const struct part *part)
{
    const float rate = (float)part->options->learning_rate;
    const float momentum = (float)part->options->momentum;
    const size_t n = part->n;
    float *restrict w = part->w;
    const float *restrict g = part->g;
    float *restrict v = part->first;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        v[i] = momentum * v[i] - rate * g[i];
        w[i] += momentum * v[i] - rate * g[i];
    }
}

static void sgd_step(const struct part *part)
{
    if (part->options->nesterov)
        nesterov_step(part);
    else
        momentum_step(part);
}

/* An ε that rounds to 0 would make 0/0 of a weight that has no gradient. */
static float safe_epsilon(const struct optim_options *o)
{
    return fmaxf((float)o->epsilon, FLT_MIN);
}

/* v ← ρ v + (1 − ρ) g²; w ← w − η g / (√v + ε) */
static void rmsprop_step(const struct part *part)
{
    const struct optim_options *o = part->options;
    const float rate = (float)o->learning_rate;
    const float keep = (float)o->rho;
    const float take = (float)(1.0 - o->rho);
    const float epsilon = safe_epsilon(o);
    const size_t n = part->n;
    float *restrict w = part->w;
    const float *restrict g = part->g;
    float *restrict v = part->second;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        v[i] = keep * v[i] + take * (g[i] * g[i]);
        w[i] -= rate * g[i] / (sqrtf(v[i]) + epsilon);
    }
}

/* w ← (1 − d) w − η_t m / (√v + ε) with m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g²,
 * η_t = η √(1 − β₂^t) / (1 − β₁^t); d is 0 or adamw's η λ */
static void decayed_adam_step(const struct part *part, float decay)
{
    const struct optim_options *o = part->options;
    const double t = (double)part->step;
    const float rate = (float)(o->learning_rate * sqrt(1.0 - pow(o->beta_2, t)) /
                               (1.0 - pow(o->beta_1, t)));
    const float keep_1 = (float)o->beta_1;
    const float keep_2 = (float)o->beta_2;
    const float take_1 = (float)(1.0 - o->beta_1);
    const float take_2 = (float)(1.0 - o->beta_2);
    const float epsilon = safe_epsilon(o);
    const size_t n = part->n;
    float *restrict w = part->w;
    const float *restrict g = part->g;
    float *restrict m = part->first;
    float *restrict v = part->second;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        m[i] = keep_1 * m[i] + take_1 * g[i];
        v[i] = keep_2 * v[i] + take_2 * (g[i] * g[i]);
        w[i] -= decay * w[i] + rate * m[i] / (sqrtf(v[i]) + epsilon);
    }
}

static void adam_step(const struct part *part)
{
    decayed_adam_step(part, 0.0F);
}

static void adamw_step(const struct part *part)
{
    const struct optim_options *o = part->options;
    decayed_adam_step(part,
                      part->decays ? (float)(o->learning_rate * o->weight_decay) : 0.0F);
}

static const struct {
    const char *name;
    void (*step)(const struct part *part); /* NULL: not by steps of this file */
    bool has_first;
    bool has_second;
} solvers[SOLVER_COUNT] = {
    [SOLVER_GD] = {"gd", gd_step, false, false},
    [SOLVER_SGD] = {"sgd", sgd_step, true, false},
    [SOLVER_ADAM] = {"adam", adam_step, true, true},
    [SOLVER_RMSPROP] = {"rmsprop", rmsprop_step, false, true},
    [SOLVER_ADAMW] = {"adamw", adamw_step, true, true},
    [SOLVER_LBFGS] = {"lbfgs", NULL, false, false},
};

const char *optim_name(enum solver solver)
{
    return solvers[solver].name;
}

int optim_init(struct optim *optim, const struct optim_options *options, size_t n,
               struct err *err)
{
    struct optim made = {.options = *options, .n = n};
    if (solvers[options->solver].has_first) {
        made.first = mem_new(n, sizeof *made.first, err);
        if (!made.first)
            goto fail;
    }
    if (solvers[options->solver].has_second) {
        made.second = mem_new(n, sizeof *made.second, err);
        if (!made.second)
            goto fail;
    }
    *optim = made;
    return 0;
fail:
    optim_clear(&made);
    return -1;
}

void optim_clear(struct optim *optim)
{
    free(optim->first);
    free(optim->second);
    *optim = (struct optim){0};
}

void optim_begin(struct optim *optim)
{
    optim->step++;
}

void optim_part(struct optim *optim, float *parameters, const float *gradient, size_t at,
                size_t n, bool decays)
{
    float *w = parameters + at;
    const struct part part = {
        .options = &optim->options,
        .step = optim->step,
        .n = n,
        .w = w,
        .g = gradient + at,
        .first = optim->first ? optim->first + at : NULL,
        .second = optim->second ? optim->second + at : NULL,
        .decays = decays,
    };
    assert(solvers[optim->options.solver].step && at <= optim->n && n <= optim->n - at);
    solvers[optim->options.solver].step(&part);
}

void optim_step(struct optim *optim, float *parameters, const float *gradient)
{
    optim_begin(optim);
    optim_part(optim, parameters, gradient, 0, optim->n, true);
}
