/*
 * gemm: products of row-major float32 matrices, C = A B + bias, with B packed into panels of
 * columns. Kernels for AVX-512 and AVX2 with FMA are our own and chosen by what the processor
 * has; elsewhere BLAS multiplies the same panels.
 *
 * An element of C is one chain of fused multiply-adds, over the summed index from 0 up, that
 * starts at its bias. So our kernels give the same bits on every processor, wherever C is cut
 * into rows or columns, and for one row as for many.
 *
 * Each call runs on the calling thread. Thread-safe after gemm_start.
 */
#ifndef CORE_GEMM_H
#define CORE_GEMM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Every kernel's panel of columns divides this: what is cut at multiples of it can be packed
 * by several threads. */
#define GEMM_BAND 48

/*
 * Call once before any thread starts: picks the kernel and checks it against a plain loop over
 * many shapes (1, odd, 0 summed). ERR_INTERNAL when it is wrong, or when BLAS is needed and
 * was built without thread support (its concurrent sgemm is wrong now and then).
 */
int gemm_start(struct err *err);

/* "avx512", "avx2" or "blas NAME": for logs and model records. Bit-identical results are
 * promised for one kernel, and among our own. A constant. */
const char *gemm_kernel(void);

/* Takes the kernel of that name ("avx512", "avx2", "blas") from now on, unless this processor
 * has not what it needs: then false. For tests and measurements; not thread-safe. */
bool gemm_use(const char *name);

/* Floats of a packed matrix [k x n]. */
size_t gemm_packed_len(size_t k, size_t n);

/* A view of a matrix: element (i, j) is values[i row_stride + j column_stride]; one of the
 * strides is 1. */
struct gemm_view {
    const float *values;
    size_t row_stride;
    size_t column_stride;
};

/* Part of a matrix [k x n]: rows [row, row_end) of columns [column, column_end); column is a
 * multiple of GEMM_BAND, and column_end is one too, or n. */
struct gemm_part {
    size_t row, row_end;
    size_t column, column_end;
    /* Other cores read it next: write past this one's cache. Taking lines back that another
     * core has read is several times slower than that. */
    bool is_shared;
};

/* Copies n floats past the cache, for other cores to read. `to` starts a cache line. */
void gemm_stream(float *to, const float *from, size_t n);

/* Makes what was streamed or packed for others visible to them, before they are told. */
void gemm_fence(void);

/* Writes factor · that part of b [k x n] (the view is of all of it) into its place in packed,
 * which starts a cache line. */
void gemm_pack(float *packed, size_t k, size_t n, const struct gemm_view *b, float factor,
               const struct gemm_part *part);

/* c [m x n], rows ldc apart, = a [m x k] · b [k x n] + bias [n] (NULL: 0), b from gemm_pack. */
void gemm_run(const struct gemm_view *a, size_t m, const float *packed, size_t k,
              size_t n, const float *bias, float *c, size_t ldc);

/* sums [n] of the columns of packed [k x n], in float64: a batch may have many rows. */
void gemm_sum_packed(const float *packed, size_t k, size_t n, float *sums);

/* y [n] = x [k] · b [k x n] + bias [n], b row-major as it is: for few rows, where packing would
 * cost more than it saves. The same bits as gemm_run. */
void gemm_row(const float *x, const float *b, size_t k, size_t n, const float *bias,
              float *y);

#endif
