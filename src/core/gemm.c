#include "core/gemm.h"

#include <assert.h>
#include <cblas.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#    include <immintrin.h>
#endif

#include "base/mem.h"
#include "core/vec.h"

#define ROUND 16 /* floats that the width of a packed panel is a multiple of */

/* What a panel's product is made of: c [m x width] = a [m x k] · b [k x width] + bias. */
struct panel {
    const float *b;
    size_t ldb; /* floats from one row of b to the next */
    size_t k;
    size_t width;
    const float *bias; /* [width]; NULL: 0 */
    float *c;
    size_t ldc;
};

typedef void panel_function(const struct gemm_view *a, size_t m,
                            const struct panel *panel);
/* The same for one row x [k], with b as it is. */
typedef void row_function(const float *x, const struct panel *panel);

struct kernel {
    const char *name;
    size_t panel; /* columns of a full panel: divides GEMM_BAND */
    panel_function *run_panel;
    row_function *run_row;
};

#if defined(__x86_64__)

#    define KERNEL(name)             avx512_##name
#    define KERNEL_TARGET            __attribute__((target("avx512f")))
#    define KERNEL_ROWS              8
#    define KERNEL_VECTORS           3
#    define VECTOR                   __m512
#    define WIDTH                    16
#    define MASK                     __mmask16
#    define MASK_OF(n)               ((__mmask16)(0xffffU >> (16 - (n))))
#    define ZERO()                   _mm512_setzero_ps()
#    define SPLAT(x)                 _mm512_set1_ps(x)
#    define LOAD(p)                  _mm512_loadu_ps(p)
#    define LOAD_MASKED(p, mask)     _mm512_maskz_loadu_ps(mask, p)
#    define STORE_MASKED(p, mask, v) _mm512_mask_storeu_ps(p, mask, v)
#    define FMADD(a, b, c)           _mm512_fmadd_ps(a, b, c)
#    include "core/gemm_kernel.inc"

/* The first n of eight lanes: a window into eight on and eight off. */
__attribute__((target("avx2"))) static inline __m256i avx2_mask(size_t n)
{
    static const int lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(lanes + 8 - n));
}

#    define KERNEL(name)             avx2_##name
#    define KERNEL_TARGET            __attribute__((target("avx2,fma")))
#    define KERNEL_ROWS              6
#    define KERNEL_VECTORS           2
#    define VECTOR                   __m256
#    define WIDTH                    8
#    define MASK                     __m256i
#    define MASK_OF(n)               avx2_mask(n)
#    define ZERO()                   _mm256_setzero_ps()
#    define SPLAT(x)                 _mm256_set1_ps(x)
#    define LOAD(p)                  _mm256_loadu_ps(p)
#    define LOAD_MASKED(p, mask)     _mm256_maskload_ps(p, mask)
#    define STORE_MASKED(p, mask, v) _mm256_maskstore_ps(p, mask, v)
#    define FMADD(a, b, c)           _mm256_fmadd_ps(a, b, c)
#    include "core/gemm_kernel.inc"

#endif

/* --- BLAS, where we have no kernel ------------------------------------------------------ */

static blasint blas_size(size_t size)
{
    assert(size <= INT_MAX);
    return (blasint)size;
}

static void blas_panel(const struct gemm_view *a, size_t m, const struct panel *panel)
{
    bool is_transposed = a->column_stride != 1;
    size_t k = panel->k;
    size_t width = panel->width;
    /* BLAS wants a leading dimension of a whole row, even when there is but one. */
    size_t lda = is_transposed ? a->column_stride : a->row_stride;
    size_t least = is_transposed ? m : k;
    for (size_t i = 0; i < m; i++) {
        if (panel->bias)
            memcpy(panel->c + i * panel->ldc, panel->bias, width * sizeof(float));
        else
            memset(panel->c + i * panel->ldc, 0, width * sizeof(float));
    }
    if (m == 0 || k == 0)
        return;
    cblas_sgemm(CblasRowMajor, is_transposed ? CblasTrans : CblasNoTrans, CblasNoTrans,
                blas_size(m), blas_size(width), blas_size(k), 1.0F, a->values,
                blas_size(lda < least ? least : lda), panel->b, blas_size(panel->ldb),
                1.0F, panel->c, blas_size(panel->ldc));
}

static void blas_row(const float *x, const struct panel *panel)
{
    const struct gemm_view a = {x, panel->k, 1};
    blas_panel(&a, 1, panel);
}

/* --- which ------------------------------------------------------------------------------ */

static const struct kernel kernels[] = {
#if defined(__x86_64__)
    {"avx512", 48, avx512_panel, avx512_row},
    {"avx2", 16, avx2_panel, avx2_row},
#endif
    {"blas", 48, blas_panel, blas_row},
};

#define N_KERNELS (sizeof kernels / sizeof *kernels)

static const struct kernel *kernel = &kernels[N_KERNELS - 1];
/* BLAS builds its text anew in a shared buffer at each call, so threads get a copy. */
static char kernel_name[64] = "blas";

static bool processor_has(const char *name)
{
#if defined(__x86_64__)
    if (strcmp(name, "avx512") == 0)
        return __builtin_cpu_supports("avx512f");
    if (strcmp(name, "avx2") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return strcmp(name, "blas") == 0;
}

bool gemm_use(const char *name)
{
    for (size_t i = 0; i < N_KERNELS; i++) {
        if (strcmp(kernels[i].name, name) != 0 || !processor_has(name))
            continue;
        kernel = &kernels[i];
        if (kernel->run_panel == blas_panel)
            snprintf(kernel_name, sizeof kernel_name, "blas %s", openblas_get_corename());
        else
            snprintf(kernel_name, sizeof kernel_name, "%s", kernel->name);
        return true;
    }
    return false;
}

const char *gemm_kernel(void)
{
    return kernel_name;
}

/* --- packing ---------------------------------------------------------------------------- */

static size_t round_up(size_t n)
{
    return (n + ROUND - 1) / ROUND * ROUND;
}

size_t gemm_packed_len(size_t k, size_t n)
{
    return k * round_up(n);
}

/* Width of the panel that starts at `column`, as it is packed. */
static size_t panel_width(size_t column, size_t n)
{
    return n - column < kernel->panel ? round_up(n - column) : kernel->panel;
}

/* Four floats each, to 16-byte places. */
#if defined(__x86_64__)
static inline void put_four(float *to, __m128 four, bool is_shared)
{
    if (is_shared)
        _mm_stream_ps(to, four);
    else
        _mm_store_ps(to, four);
}

static inline void copy_row(float *restrict to, const float *restrict from, size_t n,
                            float factor, bool is_shared)
{
    const __m128 factors = _mm_set1_ps(factor);
    size_t j = 0;
    for (; j + 4 <= n; j += 4)
        put_four(to + j, _mm_mul_ps(factors, _mm_loadu_ps(from + j)), is_shared);
    for (; j < n; j++)
        to[j] = factor * from[j];
}

/* Rows [s, s + 4) of the panel from 4 · n_fours of the view's columns. */
static inline void turn_four_rows(float *panel, size_t width, const float *from,
                                  size_t stride, size_t n_fours, __m128 factors,
                                  bool is_shared)
{
    for (size_t j = 0; j < 4 * n_fours; j += 4) {
        __m128 a = _mm_mul_ps(factors, _mm_loadu_ps(from + j * stride));
        __m128 b = _mm_mul_ps(factors, _mm_loadu_ps(from + (j + 1) * stride));
        __m128 c = _mm_mul_ps(factors, _mm_loadu_ps(from + (j + 2) * stride));
        __m128 d = _mm_mul_ps(factors, _mm_loadu_ps(from + (j + 3) * stride));
        _MM_TRANSPOSE4_PS(a, b, c, d);
        put_four(panel + j, a, is_shared);
        put_four(panel + width + j, b, is_shared);
        put_four(panel + 2 * width + j, c, is_shared);
        put_four(panel + 3 * width + j, d, is_shared);
    }
}
#else
static inline void copy_row(float *restrict to, const float *restrict from, size_t n,
                            float factor, bool is_shared)
{
    (void)is_shared;
    for (size_t j = 0; j < n; j++)
        to[j] = factor * from[j];
}
#endif

static void pack_rows(float *panel, size_t width, const struct gemm_view *b, float factor,
                      const struct gemm_part *part)
{
    size_t n = part->column_end - part->column;
    bool is_shared = part->is_shared && n == width; /* a line is streamed whole, or not */
    for (size_t s = part->row; s < part->row_end; s++) {
        float *to = panel + s * width;
        copy_row(to, b->values + s * b->row_stride + part->column, n, factor, is_shared);
#pragma GCC unroll 1
        for (size_t j = n; j < width; j++)
            to[j] = 0.0F;
    }
}

/* The view's columns lie contiguously. */
static void pack_columns(float *panel, size_t width, const struct gemm_view *b,
                         float factor, const struct gemm_part *part)
{
    size_t n = part->column_end - part->column;
    size_t stride = b->column_stride;
    const float *from = b->values + part->column * stride;
    bool is_shared = part->is_shared && n == width;
    size_t s = part->row;
    size_t turned = 0; /* columns that are done up to row s */
#if defined(__x86_64__)
    const __m128 factors = _mm_set1_ps(factor);
    turned = n / 4 * 4;
    for (; s + 4 <= part->row_end; s += 4)
        turn_four_rows(panel + s * width, width, from + s, stride, n / 4, factors,
                       is_shared);
#endif
    for (size_t row = part->row; row < part->row_end; row++)
        for (size_t j = row < s ? turned : 0; j < width; j++)
            panel[row * width + j] = j < n ? factor * from[j * stride + row] : 0.0F;
}

void gemm_stream(float *to, const float *from, size_t n)
{
    copy_row(to, from, n, 1.0F, true);
}

void gemm_fence(void)
{
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

void gemm_pack(float *packed, size_t k, size_t n, const struct gemm_view *b, float factor,
               const struct gemm_part *part)
{
    assert(part->column % GEMM_BAND == 0 && part->column_end <= n && part->row_end <= k);
    for (size_t j = part->column; j < part->column_end; j += kernel->panel) {
        size_t end =
            j + kernel->panel < part->column_end ? j + kernel->panel : part->column_end;
        const struct gemm_part panel = {part->row, part->row_end, j, end,
                                        part->is_shared};
        (b->column_stride == 1 ? pack_rows : pack_columns)(
            packed + j * k, panel_width(j, n), b, factor, &panel);
    }
}

/* Of the first `width` columns of a panel. */
VEC_CLONES static void sum_panel(const float *restrict panel, size_t packed_width,
                                 size_t k, size_t width, float *restrict sums)
{
    double sum[GEMM_BAND] = {0};
    for (size_t s = 0; s < k; s++) {
        const float *row = panel + s * packed_width;
#pragma omp simd
        for (size_t j = 0; j < packed_width; j++)
            sum[j] += (double)row[j];
    }
    for (size_t j = 0; j < width; j++)
        sums[j] = (float)sum[j];
}

void gemm_sum_packed(const float *packed, size_t k, size_t n, float *sums)
{
    for (size_t j = 0; j < n; j += kernel->panel)
        sum_panel(packed + j * k, panel_width(j, n), k,
                  n - j < kernel->panel ? n - j : kernel->panel, sums + j);
}

/* --- products --------------------------------------------------------------------------- */

void gemm_run(const struct gemm_view *a, size_t m, const float *packed, size_t k,
              size_t n, const float *bias, float *c, size_t ldc)
{
    for (size_t j = 0; j < n; j += kernel->panel) {
        const struct panel panel = {
            .b = packed + j * k,
            .ldb = panel_width(j, n),
            .k = k,
            .width = n - j < kernel->panel ? n - j : kernel->panel,
            .bias = bias ? bias + j : NULL,
            .c = c + j,
            .ldc = ldc,
        };
        kernel->run_panel(a, m, &panel);
    }
}

void gemm_row(const float *x, const float *b, size_t k, size_t n, const float *bias,
              float *y)
{
    const struct panel panel = {b, n, k, n, bias, y, n};
    kernel->run_row(x, &panel);
}

/* --- start-up check --------------------------------------------------------------------- */

#define CHECK_SIDE 200 /* longest side that the check uses */

/* Small integers: every sum is exact in float32, in any order, so == is the right test. */
static void fill_integers(float *values, size_t n, unsigned state)
{
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525U + 1013904223U;
        values[i] = (float)((int)(state >> 16) % 17 - 8);
    }
}

static float at(const struct gemm_view *view, size_t i, size_t j)
{
    return view->values[i * view->row_stride + j * view->column_stride];
}

struct check {
    const float *left;
    const float *right;
    const float *bias;
    float *packed;
    float *c;
};

/* shape: rows, columns, summed. Cells behind the result must stay untouched. */
static bool product_is_right(const struct check *check, const size_t shape[3],
                             bool left_transposed, bool right_transposed)
{
    size_t m = shape[0];
    size_t n = shape[1];
    size_t k = shape[2];
    const struct gemm_view a = left_transposed ? (struct gemm_view){check->left, 1, m}
                                               : (struct gemm_view){check->left, k, 1};
    const struct gemm_view b = right_transposed ? (struct gemm_view){check->right, 1, k}
                                                : (struct gemm_view){check->right, n, 1};
    const struct gemm_part all = {0, k, 0, n, false};
    for (size_t i = 0; i <= m * n; i++)
        check->c[i] = NAN;
    gemm_pack(check->packed, k, n, &b, 1.0F, &all);
    gemm_run(&a, m, check->packed, k, n, check->bias, check->c, n);
    if (m == 1 && !right_transposed)
        gemm_row(check->left, check->right, k, n, check->bias, check->c);
    for (size_t i = 0; i < m * n; i++) {
        float sum = check->bias[i % n];
        for (size_t s = 0; s < k; s++)
            sum += at(&a, i / n, s) * at(&b, s, i % n);
        if (!(check->c[i] == sum))
            return false;
    }
    return isnan(check->c[m * n]);
}

static int check_shapes(const struct check *check, struct err *err)
{
    static const size_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 31};
    static const size_t columns[] = {1, 8, 15, 17, 33, 48, 65, 100};
    static const size_t summed[] = {0, 1, 5, 64};
    /* Every shape, and of the four ways that its sides may lie each in turn: a start has no
     * time for all of them, the tests have. */
    for (size_t i = 0; i < sizeof rows / sizeof *rows * 32; i++) {
        const size_t shape[3] = {rows[i / 32], columns[i / 4 % 8], summed[i % 4]};
        size_t turn = i + i / 4 + i / 32;
        if (!product_is_right(check, shape, turn & 1, turn & 2))
            return err_set(err, ERR_INTERNAL, "product_wrong",
                           "the matrix kernel %s is wrong for %zu x %zu over %zu",
                           kernel_name, shape[0], shape[1], shape[2]);
    }
    return 0;
}

static int check_kernel(struct err *err)
{
    const size_t cells = (size_t)CHECK_SIDE * CHECK_SIDE;
    int rc = -1;
    float *memory = mem_new_aligned(5 * cells, sizeof *memory, err);
    if (!memory)
        return -1;
    const struct check check = {memory, memory + cells, memory + 2 * cells,
                                memory + 3 * cells, memory + 4 * cells};
    fill_integers(memory, 3 * cells, 1);
    rc = check_shapes(&check, err);
    free(memory);
    return rc;
}

int gemm_start(struct err *err)
{
    openblas_set_num_threads(1);
    for (size_t i = 0; i < N_KERNELS; i++)
        if (gemm_use(kernels[i].name))
            break;
    if (kernel->run_panel == blas_panel && openblas_get_parallel() == OPENBLAS_SEQUENTIAL)
        return err_set(
            err, ERR_INTERNAL, "blas_serial",
            "the BLAS library (%s) is built without threads and unsafe to call "
            "from several; install libopenblas0-pthread",
            openblas_get_config());
    return check_kernel(err);
}
