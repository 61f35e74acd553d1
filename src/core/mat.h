/*
 * mat: dense products on row-major float32 arrays through BLAS, and its start-up check.
 * Each call runs on the calling thread only. Thread-safe after mat_start.
 */
#ifndef CORE_MAT_H
#define CORE_MAT_H

#include <stddef.h>

#include "base/err.h"

/*
 * Call once before any thread starts: pins BLAS to one thread per call, refuses a BLAS that
 * was built without thread support (its concurrent sgemm is wrong now and then), and checks
 * sgemm against a plain loop over many shapes (1, odd, k = 0, all transposes used here).
 * ERR_INTERNAL when any of that fails.
 */
int mat_start(struct err *err);

/* Name of the BLAS build and of the kernel it picked, for logs and model records.
 * Borrowed constants. Bit-identical results are promised for one kernel. */
const char *mat_config(void);
const char *mat_kernel(void);

/* c [m x n] = a [m x k] · b [k x n] */
void mat_mul(const float *a, const float *b, float *c, size_t m, size_t k, size_t n);

/* c [k x n] = aᵀ · b with a [m x k], b [m x n] */
void mat_mul_at(const float *a, const float *b, float *c, size_t m, size_t k, size_t n);

/* c [m x k] = a · bᵀ with a [m x n], b [k x n] */
void mat_mul_bt(const float *a, const float *b, float *c, size_t m, size_t n, size_t k);

#endif
