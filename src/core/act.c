#include "core/act.h"

#include <assert.h>
#include <math.h>

#include "core/vec.h"
#include "core/vec_inline.h"

#define LEAKY_SLOPE 0.01F
#define SELU_LAMBDA 1.0507009873554805F
#define SELU_ALPHA  1.6732632423543772F

/* --- functions of one number: a from z -------------------------------------------------- */

/* The comparison is false for NaN, which therefore stays. */
static inline float relu(float z)
{
    return z < 0.0F ? 0.0F : z;
}

static inline float leaky_relu(float z)
{
    return z < 0.0F ? LEAKY_SLOPE * z : z;
}

static inline float elu(float z)
{
    return z > 0.0F ? z : vec_inline_expm1(z);
}

static inline float selu(float z)
{
    return SELU_LAMBDA * (z > 0.0F ? z : SELU_ALPHA * vec_inline_expm1(z));
}

/* Φ(z), to half an ulp of 1. */
static inline float normal_share(float z)
{
    return 0.5F + 0.5F * vec_inline_erf(z * 0.70710678F);
}

static inline float gelu(float z)
{
    return z * normal_share(z);
}

static inline float silu(float z)
{
    return z * vec_inline_logistic(z);
}

/* e^z, cut where mish is z already, before its square overflows. */
static inline float mish_exp(float z)
{
    return vec_inline_exp(z > 20.0F ? 20.0F : z);
}

/* With e = e^z: tanh(log(1 + e)) = w / (w + 2), w = (1 + e)² − 1 = e (e + 2). */
static inline float mish(float z)
{
    float e = mish_exp(z);
    float w = e * (e + 2.0F);
    return z * (w / (w + 2.0F));
}

/* max(z, 0) + log(1 + e^−|z|): large z do not overflow. */
static inline float softplus(float z)
{
    return relu(z) + vec_inline_log1p(vec_inline_exp(-fabsf(z)));
}

static inline float step(float z)
{
    return z > 0.0F ? 1.0F : z <= 0.0F ? 0.0F : z;
}

/* --- slopes: from a, or from a and z ---------------------------------------------------- */

static inline float logistic_slope(float a)
{
    return a * (1.0F - a);
}

/* (1 − a)(1 + a) instead of 1 − a²: no cancellation when |a| is near 1. */
static inline float tanh_slope(float a)
{
    return (1.0F - a) * (1.0F + a);
}

/* 1 where a > 0 and otherwise a itself: 0, or NaN, which must not be lost. */
static inline float relu_slope(float a)
{
    return a > 0.0F ? 1.0F : a;
}

static inline float leaky_relu_slope(float a)
{
    return a > 0.0F ? 1.0F : a <= 0.0F ? LEAKY_SLOPE : a;
}

/* e^z = a + 1 on the left. */
static inline float elu_slope(float a)
{
    return a > 0.0F ? 1.0F : a + 1.0F;
}

static inline float selu_slope(float a)
{
    return a > 0.0F ? SELU_LAMBDA : a + SELU_LAMBDA * SELU_ALPHA;
}

/* Φ(z) + z φ(z), φ(z) = e^(−z²/2) / √(2π). */
static inline float gelu_slope(float a, float z)
{
    (void)a;
    float density = 0.39894228F * vec_inline_exp(-0.5F * z * z);
    return normal_share(z) + z * density;
}

/* σ(z) (1 + z (1 − σ(z))) = σ(z) + a (1 − σ(z)). */
static inline float silu_slope(float a, float z)
{
    float share = vec_inline_logistic(z);
    return share + a * (1.0F - share);
}

/* T + z (1 − T²) σ(z) with T = w / (w + 2): 1 − T² = 4 (1 + e)² / (w + 2)². */
static inline float mish_slope(float a, float z)
{
    (void)a;
    float e = mish_exp(z);
    float w = e * (e + 2.0F);
    float below = 1.0F / (w + 2.0F);
    float rest = z * 4.0F * e * (1.0F + e) * below * below;
    return w * below + (z > 20.0F ? 0.0F : rest);
}

/* σ(z) = 1 − e^−a. */
static inline float softplus_slope(float a)
{
    return -vec_inline_expm1(-a);
}

/* --- loops over arrays ------------------------------------------------------------------ */

#define APPLY(name)                                                                      \
    VEC_CLONES static void name##_apply(float *z, size_t n, size_t k)                    \
    {                                                                                    \
        size_t count = n * k;                                                            \
        _Pragma("omp simd") for (size_t i = 0; i < count; i++) z[i] = name(z[i]);        \
    }

#define BACKWARD(name)                                                                   \
    VEC_CLONES static void name##_backward(const float *restrict a,                      \
                                           const float *restrict z,                      \
                                           float *restrict delta, size_t count)          \
    {                                                                                    \
        (void)z;                                                                         \
        _Pragma("omp simd") for (size_t i = 0; i < count; i++) delta[i] *=               \
            name##_slope(a[i]);                                                          \
    }

#define BACKWARD_Z(name)                                                                 \
    VEC_CLONES static void name##_backward(const float *restrict a,                      \
                                           const float *restrict z,                      \
                                           float *restrict delta, size_t count)          \
    {                                                                                    \
        _Pragma("omp simd") for (size_t i = 0; i < count; i++) delta[i] *=               \
            name##_slope(a[i], z[i]);                                                    \
    }

APPLY(relu)
APPLY(leaky_relu)
APPLY(elu)
APPLY(selu)
APPLY(gelu)
APPLY(silu)
APPLY(mish)
APPLY(softplus)
APPLY(step)
BACKWARD(logistic)
BACKWARD(tanh)
BACKWARD(relu)
BACKWARD(leaky_relu)
BACKWARD(elu)
BACKWARD(selu)
BACKWARD_Z(gelu)
BACKWARD_Z(silu)
BACKWARD_Z(mish)
BACKWARD(softplus)

static void logistic_apply(float *z, size_t n, size_t k)
{
    vec_logistic(z, n * k);
}

static void tanh_apply(float *z, size_t n, size_t k)
{
    vec_tanh(z, n * k);
}

/* Zero, and NaN where there was one. */
static void step_backward(const float *restrict a, const float *restrict z,
                          float *restrict delta, size_t count)
{
    (void)z;
    for (size_t i = 0; i < count; i++)
        delta[i] *= 0.0F * a[i];
}

static void subtract_largest(float *z, size_t k)
{
    float largest = z[0];
    for (size_t j = 1; j < k; j++)
        largest = z[j] > largest ? z[j] : largest;
#pragma omp simd
    for (size_t j = 0; j < k; j++)
        z[j] -= largest;
}

static void divide_by_sum(float *z, size_t k)
{
    double sum = 0.0;
    for (size_t j = 0; j < k; j++)
        sum += (double)z[j];
    float scale = (float)(1.0 / sum);
#pragma omp simd
    for (size_t j = 0; j < k; j++)
        z[j] *= scale;
}

/* The exponentials of all rows at once: rows are often short. */
static void softmax_apply(float *z, size_t n, size_t k)
{
    for (size_t i = 0; k > 0 && i < n; i++)
        subtract_largest(z + i * k, k);
    vec_exp(z, n * k);
    for (size_t i = 0; k > 0 && i < n; i++)
        divide_by_sum(z + i * k, k);
}

/* NULL: nothing to do. */
static const struct {
    const char *name;
    void (*apply)(float *z, size_t n, size_t k);
    void (*backward)(const float *restrict a, const float *restrict z,
                     float *restrict delta, size_t count);
    bool needs_z;
} acts[ACT_COUNT] = {
    [ACT_IDENTITY] = {"identity", NULL, NULL, false},
    [ACT_LOGISTIC] = {"logistic", logistic_apply, logistic_backward, false},
    [ACT_TANH] = {"tanh", tanh_apply, tanh_backward, false},
    [ACT_RELU] = {"relu", relu_apply, relu_backward, false},
    [ACT_LEAKY_RELU] = {"leaky_relu", leaky_relu_apply, leaky_relu_backward, false},
    [ACT_ELU] = {"elu", elu_apply, elu_backward, false},
    [ACT_SELU] = {"selu", selu_apply, selu_backward, false},
    [ACT_GELU] = {"gelu", gelu_apply, gelu_backward, true},
    [ACT_SILU] = {"silu", silu_apply, silu_backward, true},
    [ACT_MISH] = {"mish", mish_apply, mish_backward, true},
    [ACT_SOFTPLUS] = {"softplus", softplus_apply, softplus_backward, false},
    [ACT_STEP] = {"step", step_apply, step_backward, false},
    [ACT_SOFTMAX] = {"softmax", softmax_apply, NULL, false},
};

const char *act_name(enum act act)
{
    return acts[act].name;
}

bool act_is_trainable(enum act act)
{
    return act != ACT_STEP;
}

bool act_needs_z(enum act act)
{
    return acts[act].needs_z;
}

void act_apply(enum act act, float *z, size_t n, size_t k)
{
    if (acts[act].apply)
        acts[act].apply(z, n, k);
}

void act_backward(enum act act, const float *a, const float *z, float *delta, size_t n,
                  size_t k)
{
    assert(act != ACT_SOFTMAX);
    if (acts[act].backward)
        acts[act].backward(a, z, delta, n * k);
}
