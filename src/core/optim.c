#include "core/optim.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/vec.h"

/* What one call moves: pointers to its first element each. */
struct part {
    const struct optim_options *options;
    double rate;  /* the learning rate of these parameters */
    double decay; /* what of a weight is lost beside the step */
    double correction;
    size_t n;
    float *w;
    const float *g;
    float *first;
    float *second;
};

/* w ← w − η g */
VEC_CLONES static void gd_step(const struct part *part)
{
    const float rate = (float)part->rate;
    const size_t n = part->n;
    float *restrict w = part->w;
    const float *restrict g = part->g;
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        w[i] -= rate * g[i];
}

/* v ← μ v − η g; w ← w + v */
VEC_CLONES static void momentum_step(const struct part *part)
{
    const float rate = (float)part->rate;
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
VEC_CLONES static void nesterov_step(const struct part *part)
{
    const float rate = (float)part->rate;
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
VEC_CLONES static void rmsprop_step(const struct part *part)
{
    const struct optim_options *o = part->options;
    const float rate = (float)part->rate;
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
VEC_CLONES static void adam_step(const struct part *part)
{
    const struct optim_options *o = part->options;
    const float rate = (float)(part->rate * part->correction);
    const float decay = (float)part->decay;
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
    [SOLVER_ADAMW] = {"adamw", adam_step, true, true},
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
    const struct optim_options *o = &optim->options;
    optim->step++;
    if (solvers[o->solver].has_first && solvers[o->solver].has_second)
        optim->correction = sqrt(1.0 - pow(o->beta_2, (double)optim->step)) /
                            (1.0 - pow(o->beta_1, (double)optim->step));
}

void optim_part(const struct optim *optim, float *parameters, const float *gradient,
                const struct optim_part *of)
{
    const struct optim_options *o = &optim->options;
    double rate = o->learning_rate * of->rate_factor;
    bool decays = o->solver == SOLVER_ADAMW;
    const struct part part = {
        .options = o,
        .rate = rate,
        .decay = decays ? rate * o->weight_decay * of->decay_factor : 0.0,
        .correction = optim->correction,
        .n = of->n,
        .w = parameters + of->at,
        .g = gradient + of->at,
        .first = optim->first ? optim->first + of->at : NULL,
        .second = optim->second ? optim->second + of->at : NULL,
    };
    assert(solvers[o->solver].step && of->at <= optim->n && of->n <= optim->n - of->at);
    solvers[o->solver].step(&part);
}

void optim_step(struct optim *optim, float *parameters, const float *gradient)
{
    const struct optim_part all = {0, optim->n, 1.0, 1.0};
    optim_begin(optim);
    optim_part(optim, parameters, gradient, &all);
}
