#include "core/vec.h"

#include "core/vec_inline.h"

void vec_exp(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_inline_exp(x[i]);
}

void vec_expm1(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_inline_expm1(x[i]);
}

void vec_log1p(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_inline_log1p(x[i]);
}

void vec_tanh(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_inline_tanh(x[i]);
}

void vec_erf(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_inline_erf(x[i]);
}

void vec_logistic(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_inline_logistic(x[i]);
}
