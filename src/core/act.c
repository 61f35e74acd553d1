#include "core/act.h"

#include <assert.h>
#include <math.h>

/* e^-|z| never overflows, and keeps small probabilities exact in relative terms. */
static void logistic_apply(float *z, size_t n, size_t k)
{
    for (size_t i = 0; i < n * k; i++) {
        float e = expf(-fabsf(z[i]));
        z[i] = (z[i] < 0.0F ? e : 1.0F) / (1.0F + e);
    }
}

static void logistic_backward(const float *restrict a, float *restrict delta,
                              size_t count)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++)
        delta[i] *= a[i] * (1.0F - a[i]);
}

static void tanh_apply(float *z, size_t n, size_t k)
{
    for (size_t i = 0; i < n * k; i++)
        z[i] = tanhf(z[i]);
}

/* (1 − a)(1 + a) instead of 1 − a²: no cancellation when |a| is near 1. */
static void tanh_backward(const float *restrict a, float *restrict delta, size_t count)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++)
        delta[i] *= (1.0F - a[i]) * (1.0F + a[i]);
}

/* The comparison is false for NaN, which therefore stays. */
static void relu_apply(float *z, size_t n, size_t k)
{
    size_t count = n * k;
#pragma omp simd
    for (size_t i = 0; i < count; i++)
        z[i] = z[i] < 0.0F ? 0.0F : z[i];
}

/* The slope is 1 where a > 0 and otherwise a itself: 0, or NaN, which must not be lost. */
static void relu_backward(const float *restrict a, float *restrict delta, size_t count)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++)
        delta[i] *= a[i] > 0.0F ? 1.0F : a[i];
}

static void softmax_row(float *z, size_t k)
{
    float largest = z[0];
    for (size_t j = 1; j < k; j++)
        largest = z[j] > largest ? z[j] : largest;
    double sum = 0.0;
    for (size_t j = 0; j < k; j++) {
        z[j] = expf(z[j] - largest);
        sum += (double)z[j];
    }
    float scale = (float)(1.0 / sum);
    for (size_t j = 0; j < k; j++)
        z[j] *= scale;
}

static void softmax_apply(float *z, size_t n, size_t k)
{
    for (size_t i = 0; k > 0 && i < n; i++)
        softmax_row(z + i * k, k);
}

/* NULL: nothing to do. */
static const struct {
    const char *name;
    void (*apply)(float *z, size_t n, size_t k);
    void (*backward)(const float *restrict a, float *restrict delta, size_t count);
} acts[ACT_COUNT] = {
    [ACT_IDENTITY] = {"identity", NULL, NULL},
    [ACT_LOGISTIC] = {"logistic", logistic_apply, logistic_backward},
    [ACT_TANH] = {"tanh", tanh_apply, tanh_backward},
    [ACT_RELU] = {"relu", relu_apply, relu_backward},
    [ACT_SOFTMAX] = {"softmax", softmax_apply, NULL},
};

const char *act_name(enum act act)
{
    return acts[act].name;
}

void act_apply(enum act act, float *z, size_t n, size_t k)
{
    if (acts[act].apply)
        acts[act].apply(z, n, k);
}

void act_backward(enum act act, const float *a, float *delta, size_t n, size_t k)
{
    assert(act != ACT_SOFTMAX);
    if (acts[act].backward)
        acts[act].backward(a, delta, n * k);
}
