#include "core/penalty.h"

#include <math.h>
#include <stdbool.h>

/* g += c w; returns Σ w². */
static double add_l2(float *restrict g, const float *restrict w, float c, size_t n)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        sum += (double)w[i] * (double)w[i];
        g[i] += c * w[i];
    }
    return sum;
}

/* g += c sign(w); returns Σ |w|. */
static double add_l1(float *restrict g, const float *restrict w, float c, size_t n)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        sum += (double)fabsf(w[i]);
        g[i] += w[i] == 0.0F ? 0.0F : copysignf(c, w[i]);
    }
    return sum;
}

double penalty_add(const struct mlp *mlp, double l2, double l1, float *gradient)
{
    double squares = 0.0;
    double sizes = 0.0;
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        const float *w = mlp->parameters + layer->weights_at;
        float *g = gradient + layer->weights_at;
        size_t n = layer->fan_in * layer->fan_out;
        if (l2 > 0.0)
            squares += add_l2(g, w, (float)l2, n);
        if (l1 > 0.0)
            sizes += add_l1(g, w, (float)l1, n);
    }
    return 0.5 * l2 * squares + l1 * sizes;
}

double penalty_clip(float *gradient, size_t n, double most)
{
    float *restrict g = gradient;
    double squares = 0.0;
#pragma omp simd reduction(+ : squares)
    for (size_t i = 0; i < n; i++)
        squares += (double)g[i] * (double)g[i];
    double norm = sqrt(squares);
    if (!(norm > most) || !isfinite(norm))
        return norm;
    const float factor = (float)(most / norm);
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        g[i] *= factor;
    return norm;
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
