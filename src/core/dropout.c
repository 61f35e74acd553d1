#include "core/dropout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

/* Sixteen random bits decide about an output: four of them come from one draw. */
#define PARTS       65536
#define PER_DRAW    4
#define BLOCK_DRAWS 64
#define BLOCK       256 /* outputs: the product of both */

int dropout_init(struct dropout *dropout, const double *rates, const size_t *widths,
                 size_t n_layers, size_t max_rows, uint64_t seed, struct err *err)
{
    struct dropout made = {.n_layers = n_layers, .seed = seed};
    size_t columns = 0;
    for (size_t l = 0; l < n_layers; l++)
        columns += widths[l];
    if (max_rows > 0 && columns > SIZE_MAX / 2 / max_rows)
        return err_no_memory(err);
    made.layers = mem_new(n_layers, sizeof *made.layers, err);
    if (!made.layers)
        return -1;
    made.memory = mem_new(2 * max_rows * columns, sizeof *made.memory, err);
    if (!made.memory) {
        free(made.layers);
        return -1;
    }
    float *at = made.memory;
    for (size_t l = 0; l < n_layers; l++) {
        size_t count = max_rows * widths[l];
        made.layers[l] =
            (struct dropout_layer){.width = widths[l], .mask = at, .passed = at + count};
        at += 2 * count;
    }
    dropout_fade(&made, rates, 1.0);
    *dropout = made;
    return 0;
}

void dropout_fade(struct dropout *dropout, const double *rates, double share)
{
    for (size_t l = 0; l < dropout->n_layers; l++) {
        double parts = fmin(round(share * rates[l] * PARTS), PARTS - 1);
        dropout->layers[l].threshold = (uint32_t)parts;
        dropout->layers[l].keep = (float)(PARTS - parts) / (float)PARTS;
    }
}

void dropout_clear(struct dropout *dropout)
{
    free(dropout->memory);
    free(dropout->layers);
    *dropout = (struct dropout){0};
}

/* factors [PER_DRAW x n] of the draws from index `first` on. */
static void draw_block(const struct dropout *dropout, size_t layer, uint64_t first,
                       float *restrict factors, size_t n)
{
    const struct dropout_layer *of = &dropout->layers[layer];
    const uint32_t threshold = of->threshold;
    const float factor = 1.0F / of->keep;
    /* Layers are below 64 and steps below 2^48: the two do not meet in one number. */
    const uint64_t epoch = (uint64_t)layer << 48 ^ dropout->step;
    uint64_t bits[BLOCK_DRAWS];
    uint16_t parts[BLOCK];
    rng_fill(dropout->seed, RNG_DROPOUT, epoch, first, bits, n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < PER_DRAW; k++)
            parts[i * PER_DRAW + k] = (uint16_t)(bits[i] >> 16 * k);
#pragma omp simd
    for (size_t i = 0; i < n * PER_DRAW; i++)
        factors[i] = parts[i] >= threshold ? factor : 0.0F;
}

/* The mask of n rows of the pass from `row` on. */
static void draw_mask(const struct dropout *dropout, size_t layer, size_t row,
                      size_t n_rows)
{
    float factors[BLOCK];
    size_t width = dropout->layers[layer].width;
    float *mask = dropout->layers[layer].mask + row * width;
    uint64_t first = ((uint64_t)dropout->first_row + row) * width;
    size_t n = n_rows * width;
    for (size_t at = 0; at < n;) {
        size_t skip = (first + at) % PER_DRAW;
        size_t want = n - at + skip;
        size_t n_draws = want < BLOCK ? (want + PER_DRAW - 1) / PER_DRAW : BLOCK_DRAWS;
        size_t taken = n_draws * PER_DRAW - skip;
        taken = taken < n - at ? taken : n - at;
        draw_block(dropout, layer, (first + at) / PER_DRAW, factors, n_draws);
        memcpy(mask + at, factors + skip, taken * sizeof *mask);
        at += taken;
    }
}

void dropout_forward(struct dropout *dropout, size_t layer, size_t first, const float *a,
                     size_t n)
{
    const struct dropout_layer *of = &dropout->layers[layer];
    if (of->threshold == 0)
        return;
    size_t count = n * of->width;
    draw_mask(dropout, layer, first, n);
    const float *restrict mask = of->mask + first * of->width;
    const float *restrict in = a;
    float *restrict out = of->passed + first * of->width;
#pragma omp simd
    for (size_t i = 0; i < count; i++)
        out[i] = in[i] * mask[i];
}

const float *dropout_passed(const struct dropout *dropout, size_t layer)
{
    const struct dropout_layer *of = &dropout->layers[layer];
    return of->threshold > 0 ? of->passed : NULL;
}

void dropout_backward(const struct dropout *dropout, size_t layer, size_t first,
                      float *delta, size_t n)
{
    const struct dropout_layer *of = &dropout->layers[layer];
    if (of->threshold == 0)
        return;
    size_t count = n * of->width;
    const float *restrict mask = of->mask + first * of->width;
    float *restrict d = delta;
#pragma omp simd
    for (size_t i = 0; i < count; i++)
        d[i] *= mask[i];
}
