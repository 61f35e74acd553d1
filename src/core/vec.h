/*
 * vec: elementary functions on arrays of float32, each within 4 ulp of the exact value over
 * the whole range of float32, denormals and infinities included; NaN in gives NaN out. The
 * loops are free of branches, so that the compiler vectorises them; an element's result does
 * not depend on its place or on its neighbours. Thread-safe.
 *
 * All work in place on x [n]. Reduction after Cody and Waite, Software Manual for the
 * Elementary Functions, 1980; errors measured in tests/unit/test_vec.c.
 */
#ifndef CORE_VEC_H
#define CORE_VEC_H

#include <stddef.h>

/*
 * Before a function whose loops are worth it: it is compiled for several generations of
 * processors, and the loader picks. All give the same bits, because nothing is contracted or
 * reordered. Sanitizers cannot see into the picking, so they do without.
 */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) &&                    \
    !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&                             \
    !defined(__SANITIZE_THREAD__)
#    define VEC_CLONES                                                                   \
        __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#    define VEC_CLONES
#endif

void vec_exp(float *x, size_t n);      /* e^x */
void vec_expm1(float *x, size_t n);    /* e^x − 1, exact to the last bits near 0 */
void vec_log1p(float *x, size_t n);    /* log(1 + x); −inf at −1, NaN below */
void vec_tanh(float *x, size_t n);     /* tanh x */
void vec_erf(float *x, size_t n);      /* 2/√π ∫₀ˣ e^−t² dt */
void vec_logistic(float *x, size_t n); /* 1/(1 + e^−x) */

#endif
