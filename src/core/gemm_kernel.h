/*
 * gemm_kernel: the kernel of core/gemm.c, written once for every vector width. The includer
 * defines
 *
 *   KERNEL(name)       the function names of this width
 *   KERNEL_TARGET      attribute that allows its instructions
 *   KERNEL_ROWS        rows of a tile, at most 8
 *   KERNEL_VECTORS     vectors of a tile's row
 *   VECTOR, WIDTH      type of a vector, and how many floats it holds
 *   MASK, MASK_OF(n)   selects the first n floats of a vector
 *   ZERO() SPLAT(x) LOAD(p) LOAD_MASKED(p, mask) STORE_MASKED(p, mask, v) FMADD(a, b, c)
 *
 * The accumulators of a tile stay in registers: rows and vectors are constants wherever it is
 * inlined, so that its loops unroll completely.
 */

/* c [rows x vectors · WIDTH] = a · b + bias; of its last vector only the floats in `last`. */
KERNEL_TARGET static inline __attribute__((always_inline)) void
KERNEL(tile)(const size_t rows, const size_t vectors, const bool is_packed,
             const struct gemm_view *a, const float *b, size_t ldb, size_t k,
             const float *bias, float *c, size_t ldc, MASK last)
{
    VECTOR sum[KERNEL_ROWS][KERNEL_VECTORS];
    const MASK all = MASK_OF(WIDTH);
#pragma GCC unroll 8
    for (size_t j = 0; j < vectors; j++) {
        const MASK mask = j + 1 < vectors ? all : last;
        const VECTOR first = bias ? LOAD_MASKED(bias + j * WIDTH, mask) : ZERO();
#pragma GCC unroll 8
        for (size_t i = 0; i < rows; i++)
            sum[i][j] = first;
    }
    const float *in = a->values;
    const size_t row_stride = a->row_stride;
    const size_t step = a->column_stride;
    for (size_t s = 0; s < k; s++, in += step, b += ldb) {
        VECTOR right[KERNEL_VECTORS];
#pragma GCC unroll 8
        for (size_t j = 0; j < vectors; j++)
            right[j] = is_packed || j + 1 < vectors ? LOAD(b + j * WIDTH)
                                                    : LOAD_MASKED(b + j * WIDTH, last);
#pragma GCC unroll 8
        for (size_t i = 0; i < rows; i++) {
            const VECTOR left = SPLAT(in[i * row_stride]);
#pragma GCC unroll 8
            for (size_t j = 0; j < vectors; j++)
                sum[i][j] = FMADD(left, right[j], sum[i][j]);
        }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (size_t j = 0; j < vectors; j++)
            STORE_MASKED(c + i * ldc + j * WIDTH, j + 1 < vectors ? all : last,
                         sum[i][j]);
}

/* Panels of each possible number of vectors, rows in groups of KERNEL_ROWS and the rest. */
#define KERNEL_REST(rows, vectors)                                                       \
    case rows:                                                                           \
        KERNEL(tile)(rows, vectors, true, &left, b, ldb, k, bias, c, ldc, last);         \
        break;

#define KERNEL_PANEL(vectors)                                                            \
    KERNEL_TARGET static void KERNEL(panel_##vectors)(                                   \
        const struct gemm_view *a, size_t m, const float *b, size_t ldb, size_t k,       \
        size_t width, const float *bias, float *c, size_t ldc)                           \
    {                                                                                    \
        const MASK last = MASK_OF(width - (vectors - 1) * WIDTH);                        \
        struct gemm_view left = *a;                                                      \
        for (; m >= KERNEL_ROWS; m -= KERNEL_ROWS) {                                     \
            KERNEL(tile)                                                                 \
            (KERNEL_ROWS, vectors, true, &left, b, ldb, k, bias, c, ldc, last);          \
            left.values += KERNEL_ROWS * left.row_stride;                                \
            c += KERNEL_ROWS * ldc;                                                      \
        }                                                                                \
        switch (m) {                                                                     \
            KERNEL_REST(1, vectors)                                                      \
            KERNEL_REST(2, vectors)                                                      \
            KERNEL_REST(3, vectors)                                                      \
            KERNEL_REST(4, vectors)                                                      \
            KERNEL_REST(5, vectors)                                                      \
            KERNEL_RESTS_ABOVE_5(vectors)                                                \
        }                                                                                \
    }

#if KERNEL_ROWS == 8
#    define KERNEL_RESTS_ABOVE_5(vectors) KERNEL_REST(6, vectors) KERNEL_REST(7, vectors)
#else
#    define KERNEL_RESTS_ABOVE_5(vectors)
#endif

KERNEL_PANEL(1)
KERNEL_PANEL(2)
#if KERNEL_VECTORS == 3
KERNEL_PANEL(3)
#endif

KERNEL_TARGET static void KERNEL(panel)(const struct gemm_view *a, size_t m,
                                        const float *b, size_t ldb, size_t k,
                                        size_t width, const float *bias, float *c,
                                        size_t ldc)
{
    switch ((width - 1) / WIDTH) {
    case 0:
        KERNEL(panel_1)(a, m, b, ldb, k, width, bias, c, ldc);
        break;
    case 1:
        KERNEL(panel_2)(a, m, b, ldb, k, width, bias, c, ldc);
        break;
#if KERNEL_VECTORS == 3
    case 2:
        KERNEL(panel_3)(a, m, b, ldb, k, width, bias, c, ldc);
        break;
#endif
    }
}

/* Eight vectors of accumulators at a time: one row has no other reuse to offer. */
KERNEL_TARGET static void KERNEL(row)(const float *x, const float *b, size_t k, size_t n,
                                      const float *bias, float *y)
{
    const struct gemm_view a = {x, 0, 1};
    size_t at = 0;
    for (; n - at > KERNEL_VECTORS * WIDTH; at += KERNEL_VECTORS * WIDTH)
        KERNEL(tile)
    (1, KERNEL_VECTORS, true, &a, b + at, n, k, bias ? bias + at : NULL, y + at, n,
     MASK_OF(WIDTH));
    for (; at < n; at += WIDTH)
        KERNEL(tile)
    (1, 1, false, &a, b + at, n, k, bias ? bias + at : NULL, y + at, n,
     MASK_OF(n - at < WIDTH ? n - at : WIDTH));
}

#undef KERNEL_REST
#undef KERNEL_RESTS_ABOVE_5
#undef KERNEL_PANEL
#undef KERNEL
#undef KERNEL_TARGET
#undef KERNEL_ROWS
#undef KERNEL_VECTORS
#undef VECTOR
#undef WIDTH
#undef MASK
#undef MASK_OF
#undef ZERO
#undef SPLAT
#undef LOAD
#undef LOAD_MASKED
#undef STORE_MASKED
#undef FMADD
