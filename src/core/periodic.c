#include "core/periodic.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "core/vec.h"
#include "core/vec_inline.h"

#define INIT_EPOCH 1048576 /* of stream RNG_INIT: far from the layers' */

static const double pi = 3.14159265358979323846;

size_t periodic_n_columns(const struct periodic *periodic)
{
    return periodic->n_inputs + periodic->n * periodic->width;
}

size_t periodic_n_parameters(const struct periodic *periodic)
{
    size_t m = periodic->n_frequencies;
    return 2 * m + (m + 1) * periodic->width;
}

void periodic_init(const struct periodic *periodic, double frequency_scale, uint64_t seed,
                   float *parameters)
{
    size_t m = periodic->n_frequencies;
    size_t n_each = periodic_n_parameters(periodic);
    double bound = 1.0 / sqrt((double)m);
    for (size_t i = 0; i < periodic->n * n_each; i++) {
        size_t part = i % n_each;
        double unit = 2.0 * rng_uniform(seed, RNG_INIT, INIT_EPOCH, i) - 1.0;
        if (part < m)
            parameters[i] =
                (float)(frequency_scale * rng_normal(seed, RNG_INIT, INIT_EPOCH + 1, i));
        else
            parameters[i] = (float)((part < 2 * m ? pi : bound) * unit);
    }
}

/* cos and sin of 2π (w x + turns), of m frequencies each. */
VEC_CLONES static void waves(const float *restrict w, const float *restrict b, float x,
                             float *restrict cosines, float *restrict sines, size_t m)
{
    const float turn = 0.15915494F; /* 1/2π */
#pragma omp simd
    for (size_t k = 0; k < m; k++) {
        float r = vec_inline_turn(w[k] * x + b[k] * turn);
        cosines[k] = vec_inline_cos_turn(r);
        sines[k] = vec_inline_sin_turn(r);
    }
}

void periodic_forward(const struct periodic *periodic, const float *parameters,
                      const float *x, size_t n_rows, float *out)
{
    size_t m = periodic->n_frequencies;
    size_t width = periodic->width;
    size_t n_each = periodic_n_parameters(periodic);
    float cosines[PERIODIC_FREQUENCIES_MAX];
    float sines[PERIODIC_FREQUENCIES_MAX];
    for (size_t row = 0; row < n_rows; row++, x += periodic->n_inputs) {
        memcpy(out, x, periodic->n_inputs * sizeof *out);
        out += periodic->n_inputs;
        for (size_t i = 0; i < periodic->n; i++, out += width) {
            const float *w = parameters + i * n_each;
            const float *map = w + 2 * m;
            waves(w, w + m, x[periodic->inputs[i]], cosines, sines, m);
            memcpy(out, map + m * width, width * sizeof *out);
            for (size_t k = 0; k < m; k++)
                for (size_t j = 0; j < width; j++)
                    out[j] += cosines[k] * map[k * width + j];
        }
    }
}

/* Sums of one embedded input's slopes. */
struct sums {
    double frequency[PERIODIC_FREQUENCIES_MAX];
    double phase[PERIODIC_FREQUENCIES_MAX];
    double map[PERIODIC_FREQUENCIES_MAX * PERIODIC_WIDTH_MAX];
    double shift[PERIODIC_WIDTH_MAX];
};

/* Adds one row's share. slope [width]: ∂loss/∂e. */
static void add_row(const struct periodic *periodic, const float *parameters, float x,
                    const float *slope, struct sums *sums)
{
    size_t m = periodic->n_frequencies;
    size_t width = periodic->width;
    const float *map = parameters + 2 * m;
    float cosines[PERIODIC_FREQUENCIES_MAX];
    float sines[PERIODIC_FREQUENCIES_MAX];
    waves(parameters, parameters + m, x, cosines, sines, m);
    for (size_t j = 0; j < width; j++)
        sums->shift[j] += (double)slope[j];
    for (size_t k = 0; k < m; k++) {
        float below = 0.0F; /* ∂loss/∂cos */
        for (size_t j = 0; j < width; j++) {
            below += slope[j] * map[k * width + j];
            sums->map[k * width + j] += (double)(cosines[k] * slope[j]);
        }
        double angle = -(double)sines[k] * (double)below;
        sums->phase[k] += angle;
        sums->frequency[k] += angle * 2.0 * pi * (double)x;
    }
}

void periodic_gradient(const struct periodic *periodic, size_t i, const float *parameters,
                       const struct periodic_slopes *slopes, float *gradient)
{
    size_t m = periodic->n_frequencies;
    size_t width = periodic->width;
    size_t n_columns = periodic_n_columns(periodic);
    size_t column = periodic->n_inputs + i * width;
    struct sums sums;
    memset(&sums, 0, sizeof sums);
    for (size_t row = 0; row < slopes->n_rows; row++) {
        float slope[PERIODIC_WIDTH_MAX];
        for (size_t j = 0; j < width; j++)
            slope[j] = slopes->slope[row * n_columns + column + j] *
                       (slopes->scales ? slopes->scales[column + j] : 1.0F);
        add_row(periodic, parameters,
                slopes->x[row * periodic->n_inputs + periodic->inputs[i]], slope, &sums);
    }
    for (size_t k = 0; k < m; k++) {
        gradient[k] = (float)sums.frequency[k];
        gradient[m + k] = (float)sums.phase[k];
    }
    for (size_t k = 0; k < m * width; k++)
        gradient[2 * m + k] = (float)sums.map[k];
    for (size_t j = 0; j < width; j++)
        gradient[2 * m + m * width + j] = (float)sums.shift[j];
}
