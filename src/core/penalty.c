#include "core/penalty.h"

#include <math.h>
#include <stdbool.h>

#include "core/vec.h"

/* Sums run in this many lanes, whatever the width of a vector, so that all processors add in
 * the same order. */
#define LANES 16

static double sum_lanes(const double *lanes)
{
    double sum = 0.0;
    for (size_t j = 0; j < LANES; j++)
        sum += lanes[j];
    return sum;
}

/* Σ w². */
VEC_CLONES static double sum_squares(const float *restrict w, size_t n)
{
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
#pragma omp simd
        for (size_t j = 0; j < LANES; j++)
            lanes[j] += (double)w[i + j] * (double)w[i + j];
    for (; i < n; i++)
        lanes[i % LANES] += (double)w[i] * (double)w[i];
    return sum_lanes(lanes);
}

/* Σ |w|. */
VEC_CLONES static double sum_sizes(const float *restrict w, size_t n)
{
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
#pragma omp simd
        for (size_t j = 0; j < LANES; j++)
            lanes[j] += (double)fabsf(w[i + j]);
    for (; i < n; i++)
        lanes[i % LANES] += (double)fabsf(w[i]);
    return sum_lanes(lanes);
}

/* g += c w. */
VEC_CLONES static void add_l2(float *restrict g, const float *restrict w, float c,
                              size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        g[i] += c * w[i];
}

/* g += c sign(w). */
VEC_CLONES static void add_l1(float *restrict g, const float *restrict w, float c,
                              size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        g[i] += w[i] == 0.0F ? 0.0F : copysignf(c, w[i]);
}

double penalty_add_part(const float *w, float *gradient, size_t n, double l2, double l1)
{
    double value = 0.0;
    if (l2 > 0.0) {
        value += 0.5 * l2 * sum_squares(w, n);
        add_l2(gradient, w, (float)l2, n);
    }
    if (l1 > 0.0) {
        value += l1 * sum_sizes(w, n);
        add_l1(gradient, w, (float)l1, n);
    }
    return value;
}

double penalty_add(const struct mlp *mlp, double l2, double l1, float *gradient)
{
    double value = 0.0;
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        value += penalty_add_part(mlp->parameters + layer->weights_at,
                                  gradient + layer->weights_at,
                                  layer->fan_in * layer->fan_out, l2, l1);
    }
    return value;
}

double penalty_squares(const float *gradient, size_t n)
{
    return sum_squares(gradient, n);
}

double penalty_clip_factor(double norm, double most)
{
    return norm > most ? most / norm : 1.0;
}

#define BLOCK 64 /* columns at a time: their sums stay on the stack */

/* The columns first … first + width − 1 of w [fan_in x fan_out]. */
static void bound_columns(float *w, const struct mlp_layer *layer, size_t first,
                          size_t width, double most)
{
    double squares[BLOCK] = {0};
    float factor[BLOCK];
    unsigned n_over = 0;
    for (size_t i = 0; i < layer->fan_in; i++) {
        const float *row = w + i * layer->fan_out + first;
#pragma omp simd
        for (size_t j = 0; j < width; j++)
            squares[j] += (double)row[j] * (double)row[j];
    }
    for (size_t j = 0; j < width; j++) {
        bool is_over = squares[j] > most * most;
        factor[j] = is_over ? (float)(most / sqrt(squares[j])) : 1.0F;
        n_over += is_over;
    }
    for (size_t i = 0; n_over > 0 && i < layer->fan_in; i++) {
        float *row = w + i * layer->fan_out + first;
#pragma omp simd
        for (size_t j = 0; j < width; j++)
            row[j] *= factor[j];
    }
}

void penalty_max_norm(struct mlp *mlp, double most)
{
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        float *w = mlp->parameters + layer->weights_at;
        for (size_t first = 0; first < layer->fan_out; first += BLOCK) {
            size_t left = layer->fan_out - first;
            bound_columns(w, layer, first, left < BLOCK ? left : BLOCK, most);
        }
    }
}
