#include "core/vec.h"

#include "core/vec_inline.h"

VEC_CLONES void vec_exp(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_inline_exp(x[i]);
}

VEC_CLONES void vec_expm1(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_inline_expm1(x[i]);
}

VEC_CLONES void vec_log1p(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_inline_log1p(x[i]);
}

VEC_CLONES void vec_tanh(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_inline_tanh(x[i]);
}

VEC_CLONES void vec_erf(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_inline_erf(x[i]);
}

VEC_CLONES void vec_logistic(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_inline_logistic(x[i]);
}
