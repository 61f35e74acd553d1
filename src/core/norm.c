#include "core/norm.h"

#include <math.h>

#include "core/mlp.h"

static float inverse_deviation(double variance)
{
    return (float)(1.0 / sqrt(variance + MLP_NORM_EPSILON));
}

/* --- rows ------------------------------------------------------------------------------- */

static double mean_of(const float *restrict z, size_t k)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < k; j++)
        sum += (double)z[j];
    return sum / (double)k;
}

static double variance_of(const float *restrict z, double mean, size_t k)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < k; j++) {
        double miss = (double)z[j] - mean;
        sum += miss * miss;
    }
    return sum / (double)k;
}

void norm_layer(const struct norm *norm, float *z, size_t n, float *normal,
                float *deviation)
{
    const float *restrict gain = norm->gain;
    const float *restrict bias = norm->bias;
    size_t k = norm->k;
    for (size_t i = 0; i < n; i++) {
        float *restrict row = z + i * k;
        double mean = mean_of(row, k);
        float inverse = inverse_deviation(variance_of(row, mean, k));
        float shift = (float)mean;
        for (size_t j = 0; j < k; j++) {
            float x = (row[j] - shift) * inverse;
            if (normal)
                normal[i * k + j] = x;
            row[j] = gain[j] * x + bias[j];
        }
        if (deviation)
            deviation[i] = inverse;
    }
}

void norm_layer_back(const struct norm *norm, const struct norm_slopes *slopes,
                     const float *deviation, float *delta)
{
    const float *restrict gain = norm->gain;
    size_t k = norm->k;
    for (size_t i = 0; i < slopes->n; i++) {
        const float *restrict slope = slopes->slope + i * k;
        const float *restrict normal = slopes->normal + i * k;
        float *restrict out = delta + i * k;
        double sum = 0.0;
        double moment = 0.0;
#pragma omp simd reduction(+ : sum, moment)
        for (size_t j = 0; j < k; j++) {
            double u = (double)gain[j] * (double)slope[j];
            sum += u;
            moment += u * (double)normal[j];
        }
        float mean = (float)(sum / (double)k);
        float tilt = (float)(moment / (double)k);
        float inverse = deviation[i];
#pragma omp simd
        for (size_t j = 0; j < k; j++)
            out[j] = (gain[j] * slope[j] - mean - normal[j] * tilt) * inverse;
    }
}

/* --- columns ---------------------------------------------------------------------------- */

void norm_batch(const struct norm *norm, const float *statistics, float *z, size_t n,
                float *normal)
{
    size_t k = norm->k;
    for (size_t first = 0; first < k; first += NORM_COLUMNS) {
        size_t width = k - first < NORM_COLUMNS ? k - first : NORM_COLUMNS;
        const float *restrict mean = statistics + first;
        const float *restrict gain = norm->gain + first;
        const float *restrict bias = norm->bias + first;
        float inverse[NORM_COLUMNS];
        for (size_t j = 0; j < width; j++)
            inverse[j] = inverse_deviation((double)statistics[k + first + j]);
        for (size_t i = 0; i < n; i++) {
            float *restrict row = z + i * k + first;
            for (size_t j = 0; j < width; j++) {
                float x = (row[j] - mean[j]) * inverse[j];
                if (normal)
                    normal[i * k + first + j] = x;
                row[j] = gain[j] * x + bias[j];
            }
        }
    }
}

void norm_batch_back(const struct norm *norm, const struct norm_slopes *slopes,
                     const float *deviation, const float *sums, size_t n_all,
                     float *delta)
{
    const float *restrict gain = norm->gain;
    size_t k = norm->k;
    const float share = 1.0F / (float)n_all;
    for (size_t i = 0; i < slopes->n; i++) {
        const float *restrict slope = slopes->slope + i * k;
        const float *restrict normal = slopes->normal + i * k;
        float *restrict out = delta + i * k;
#pragma omp simd
        for (size_t j = 0; j < k; j++)
            out[j] = gain[j] * deviation[j] *
                     (slope[j] - share * sums[j] - normal[j] * (share * sums[k + j]));
    }
}

void norm_statistics(const struct norm_columns *columns, const float *z,
                     float *statistics, float *deviation)
{
    size_t width = columns->width;
    double mean[NORM_COLUMNS] = {0};
    double variance[NORM_COLUMNS] = {0};
    for (size_t i = 0; i < columns->n; i++) {
        const float *row = z + i * columns->k + columns->first;
#pragma omp simd
        for (size_t j = 0; j < width; j++)
            mean[j] += (double)row[j];
    }
    for (size_t j = 0; j < width; j++)
        mean[j] /= (double)columns->n;
    for (size_t i = 0; i < columns->n; i++) {
        const float *row = z + i * columns->k + columns->first;
#pragma omp simd
        for (size_t j = 0; j < width; j++) {
            double miss = (double)row[j] - mean[j];
            variance[j] += miss * miss;
        }
    }
    for (size_t j = 0; j < width; j++) {
        size_t at = columns->first + j;
        variance[j] /= (double)columns->n;
        statistics[at] = (float)mean[j];
        statistics[columns->k + at] = (float)variance[j];
        deviation[at] = inverse_deviation(variance[j]);
    }
}

void norm_sum(const struct norm_columns *columns, const float *a, const float *b,
              float *sums)
{
    size_t width = columns->width;
    double sum[NORM_COLUMNS] = {0};
    for (size_t i = 0; i < columns->n; i++) {
        size_t at = i * columns->k + columns->first;
        const float *restrict left = a + at;
        const float *restrict right = b ? b + at : NULL;
        if (right) {
#pragma omp simd
            for (size_t j = 0; j < width; j++)
                sum[j] += (double)left[j] * (double)right[j];
        } else {
#pragma omp simd
            for (size_t j = 0; j < width; j++)
                sum[j] += (double)left[j];
        }
    }
    for (size_t j = 0; j < width; j++)
        sums[j] = (float)sum[j];
}
