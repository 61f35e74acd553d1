/*
 * vec_inline: the same functions for one number, to be inlined into loops that do more than
 * one of them. Contracts: core/vec.h. No branches: a comparison picks one of two values.
 */
#ifndef CORE_VEC_INLINE_H
#define CORE_VEC_INLINE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t vec_inline_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float vec_inline_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The sign of `of` on the magnitude x >= 0. */
static inline float vec_inline_sign(float x, float of)
{
    return vec_inline_float(vec_inline_bits(x) | (vec_inline_bits(of) & 0x80000000U));
}

/* x = n ln 2 + r with |r| <= ln 2 / 2. Adding 1.5 · 2^23 rounds to whole numbers. ln 2 comes
 * in two parts, the first of so few bits that n times it is exact. */
static inline float vec_inline_reduce(float x, int32_t *n)
{
    const float round = 12582912.0F;
    float shifted = x * 1.44269504F + round;
    float whole = shifted - round;
    *n = (int32_t)(vec_inline_bits(shifted) - vec_inline_bits(round));
    return (x - whole * 0.693359375F) - whole * -2.12194440e-4F;
}

/* e^r − 1 − r for |r| <= ln 2 / 2; coefficients of S. Moshier's Cephes, expf. */
static inline float vec_inline_exp_tail(float r)
{
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    return p * (r * r);
}

/* 2^n for −126 <= n <= 127. */
static inline float vec_inline_power(int32_t n)
{
    return vec_inline_float((uint32_t)(n + 127) << 23);
}

/* In two factors, because 2^n alone may be too large or too small for a float. */
static inline float vec_inline_exp(float x)
{
    int32_t n;
    float within = x > 89.0F ? 89.0F : x;
    within = within < -104.0F ? -104.0F : within;
    float r = vec_inline_reduce(within, &n);
    float p = 1.0F + (r + vec_inline_exp_tail(r));
    int32_t half = n >> 1;
    return p * vec_inline_power(half) * vec_inline_power(n - half);
}

/* 2^n (e^r − 1) + 2^n − 1, computed as twice the half of it: 2^128 is not a float. */
static inline float vec_inline_expm1(float x)
{
    int32_t n;
    float within = x > 89.0F ? 89.0F : x;
    within = within < -25.0F ? -25.0F : within;
    float r = vec_inline_reduce(within, &n);
    float within_one = r + vec_inline_exp_tail(r);
    float half = vec_inline_power(n - 1);
    return n == 0 ? within_one : 2.0F * (half * within_one + (half - 0.5F));
}

/* (e^2|x| − 1) / (e^2|x| + 1): nothing cancels near 0. From 10 on it is 1. */
static inline float vec_inline_tanh(float x)
{
    float size = fabsf(x);
    float within = size > 10.0F ? 10.0F : size;
    float e = vec_inline_expm1(2.0F * within);
    return vec_inline_sign(e / (e + 2.0F), x);
}

/* e^−|x| never overflows, and keeps small results exact in relative terms. */
static inline float vec_inline_logistic(float x)
{
    float e = vec_inline_exp(-fabsf(x));
    return (x < 0.0F ? e : 1.0F) / (1.0F + e);
}

/*
 * log(1 + x) = k ln 2 + log(1 + f) + c, with 1 + f in [√½, √2] and c what rounding 1 + x
 * lost. Scheme and coefficients of FreeBSD's s_log1pf.c (Sun Microsystems).
 */
static inline float vec_inline_log1p(float x)
{
    float u = 1.0F + x;
    uint32_t moved = vec_inline_bits(u) + (0x3F800000U - 0x3F3504F3U);
    int32_t k = (int32_t)(moved >> 23) - 127;
    float lost = k >= 2 ? 1.0F - (u - x) : x - (u - 1.0F);
    float c = k < 25 ? lost / u : 0.0F;
    float f = vec_inline_float((moved & 0x007FFFFFU) + 0x3F3504F3U) - 1.0F;
    f = k == 0 ? x : f;
    c = k == 0 ? 0.0F : c;
    float s = f / (2.0F + f);
    float z = s * s;
    float w = z * z;
    float r = z * (0.66666662693F + w * 0.28498786688F) +
              w * (0.40000972152F + w * 0.24279078841F);
    float half = 0.5F * f * f;
    float whole = (float)k;
    float y = s * (half + r) + (whole * 9.0580006145e-6F + c) - half + f +
              whole * 6.9313812256e-1F;
    y = fabsf(x) < 2.9802322e-8F ? x : y; /* 2^−25 */
    y = x > -1.0F ? y : x == -1.0F ? -INFINITY : NAN;
    return x <= 3.4028235e38F ? y : x;
}

/* A polynomial near 0; 1 − e^P(|x|) beyond. Coefficients by N. Juffa. */
static inline float vec_inline_erf(float x)
{
    float t = fabsf(x);
    float s = t * t;
    float p = -5.96761703e-4F;
    p = p * s + 4.99119423e-3F;
    p = p * s - 2.67681349e-2F;
    p = p * s + 1.12819925e-1F;
    p = p * s - 3.76125336e-1F;
    p = p * s + 1.28379166e-1F;
    float near_zero = p * t + t;
    float v = t > 4.5F ? 4.5F : t; /* erf is 1 from 4 on */
    float q = -1.72853470e-5F;
    q = q * v + 3.83197126e-4F;
    q = q * v - 3.88396438e-3F;
    q = q * v + 2.42546219e-2F;
    q = q * v - 1.06777877e-1F;
    q = q * v - 6.34846687e-1F;
    q = q * v - 1.28717512e-1F;
    q = q * v - v;
    float far = 1.0F - vec_inline_exp(q);
    return vec_inline_sign(t > 0.927734375F ? far : near_zero, x);
}

/* x − its nearest whole number, in [−½, ½]: what is left of x whole turns. NaN stays; from
 * 2^22 on, where float32 has no room for more than a half, it is 0. */
static inline float vec_inline_turn(float x)
{
    const float round = 12582912.0F;
    float whole = (x + round) - round;
    float rest = x - whole;
    return fabsf(x) < 4194304.0F ? rest : 0.0F * x;
}

/* sin 2πs for |s| <= ¼; a least-squares fit of its relative error, which is below 1e-7. */
static inline float vec_inline_sin_quarter(float s)
{
    float u = s * s;
    float p = -1.438122180e+1F;
    p = p * u + 4.200777015e+1F;
    p = p * u - 7.670416873e+1F;
    p = p * u + 8.160522365e+1F;
    p = p * u - 4.134170210e+1F;
    p = p * u + 6.283185307e+0F;
    return p * s;
}

/* cos 2πr and sin 2πr for |r| <= ½. */
static inline float vec_inline_cos_turn(float r)
{
    return vec_inline_sin_quarter(0.25F - fabsf(r));
}

static inline float vec_inline_sin_turn(float r)
{
    float half = r > 0.0F ? 0.5F : -0.5F;
    return vec_inline_sin_quarter(fabsf(r) > 0.25F ? half - r : r);
}

#endif
