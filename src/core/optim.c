#include "core/optim.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

/* w ← w − η g */
static void gd_step(struct optim *optim, float *restrict w, const float *restrict g)
{
    const float rate = (float)optim->options.learning_rate;
    const size_t n = optim->n;
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        w[i] -= rate * g[i];
}

/* v ← μ v − η g; w ← w + v */
static void momentum_step(struct optim *optim, float *restrict w, const float *restrict g)
{
    const float rate = (float)optim->options.learning_rate;
    const float momentum = (float)optim->options.momentum;
    const size_t n = optim->n;
    float *restrict v = optim->first;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        v[i] = momentum * v[i] - rate * g[i];
        w[i] += v[i];
    }
}

/* v ← μ v − η g; w ← w + μ v − η g */
static void nesterov_step(struct optim *optim, float *restrict w, const float *restrict g)
{
    const float rate = (float)optim->options.learning_rate;
    const float momentum = (float)optim->options.momentum;
    const size_t n = optim->n;
    float *restrict v = optim->first;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        v[i] = momentum * v[i] - rate * g[i];
        w[i] += momentum * v[i] - rate * g[i];
    }
}

static void sgd_step(struct optim *optim, float *restrict w, const float *restrict g)
{
    if (optim->options.nesterov)
        nesterov_step(optim, w, g);
    else
        momentum_step(optim, w, g);
}

/* m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂) g²; w ← w − η_t m / (√v + ε),
 * η_t = η √(1 − β₂^t) / (1 − β₁^t) */
static void adam_step(struct optim *optim, float *restrict w, const float *restrict g)
{
    const struct optim_options *o = &optim->options;
    const double t = (double)optim->step;
    const float rate = (float)(o->learning_rate * sqrt(1.0 - pow(o->beta_2, t)) /
                               (1.0 - pow(o->beta_1, t)));
    const float keep_1 = (float)o->beta_1;
    const float keep_2 = (float)o->beta_2;
    const float take_1 = (float)(1.0 - o->beta_1);
    const float take_2 = (float)(1.0 - o->beta_2);
    /* An ε that rounds to 0 would make 0/0 of a weight that has no gradient. */
    const float epsilon = fmaxf((float)o->epsilon, FLT_MIN);
    const size_t n = optim->n;
    float *restrict m = optim->first;
    float *restrict v = optim->second;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        m[i] = keep_1 * m[i] + take_1 * g[i];
        v[i] = keep_2 * v[i] + take_2 * (g[i] * g[i]);
        w[i] -= rate * m[i] / (sqrtf(v[i]) + epsilon);
    }
}

static const struct {
    const char *name;
    void (*step)(struct optim *optim, float *restrict w, const float *restrict g);
    bool has_first;
    bool has_second;
} solvers[SOLVER_COUNT] = {
    [SOLVER_GD] = {"gd", gd_step, false, false},
    [SOLVER_SGD] = {"sgd", sgd_step, true, false},
    [SOLVER_ADAM] = {"adam", adam_step, true, true},
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

void optim_step(struct optim *optim, float *parameters, const float *gradient)
{
    optim->step++;
    solvers[optim->options.solver].step(optim, parameters, gradient);
}
