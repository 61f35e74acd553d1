#include "core/mat.h"

#include <assert.h>
#include <cblas.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The library builds its text anew in a shared buffer at each call, so threads get a copy. */
static char config[256];
static char kernel[64];

static blasint blas_size(size_t size)
{
    assert(size <= INT_MAX);
    return (blasint)size;
}

/* True when c is settled without BLAS: empty, or sums over nothing. BLAS also wants leading
 * dimensions of at least 1. */
static bool is_trivial(float *c, size_t rows, size_t columns, size_t summed)
{
    if (rows == 0 || columns == 0)
        return true;
    if (summed > 0)
        return false;
    memset(c, 0, rows * columns * sizeof *c);
    return true;
}

void mat_mul(const float *a, const float *b, float *c, size_t m, size_t k, size_t n)
{
    if (is_trivial(c, m, n, k))
        return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(m), blas_size(n),
                blas_size(k), 1.0F, a, blas_size(k), b, blas_size(n), 0.0F, c,
                blas_size(n));
}

void mat_mul_at(const float *a, const float *b, float *c, size_t m, size_t k, size_t n)
{
    if (is_trivial(c, k, n, m))
        return;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(k), blas_size(n),
                blas_size(m), 1.0F, a, blas_size(k), b, blas_size(n), 0.0F, c,
                blas_size(n));
}

void mat_mul_bt(const float *a, const float *b, float *c, size_t m, size_t n, size_t k)
{
    if (is_trivial(c, m, k, n))
        return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(m), blas_size(k),
                blas_size(n), 1.0F, a, blas_size(n), b, blas_size(n), 0.0F, c,
                blas_size(k));
}

const char *mat_config(void)
{
    return config;
}

const char *mat_kernel(void)
{
    return kernel;
}

/* --- start-up check --------------------------------------------------------------------- */

#define CHECK_SIDE 131 /* longest side that the check uses */

/* How each product walks its operands: element (i, s) of the left one, (s, j) of the right
 * one, where s is summed over. */
struct product {
    const char *name;
    void (*run)(const float *a, const float *b, float *c, size_t rows, size_t columns,
                size_t summed);
    bool is_left_transposed;
    bool is_right_transposed;
};

static void run_mul(const float *a, const float *b, float *c, size_t rows, size_t columns,
                    size_t summed)
{
    mat_mul(a, b, c, rows, summed, columns);
}

static void run_mul_at(const float *a, const float *b, float *c, size_t rows,
                       size_t columns, size_t summed)
{
    mat_mul_at(a, b, c, summed, rows, columns);
}

static void run_mul_bt(const float *a, const float *b, float *c, size_t rows,
                       size_t columns, size_t summed)
{
    mat_mul_bt(a, b, c, rows, summed, columns);
}

static const struct product products[] = {{"a b", run_mul, false, false},
                                          {"at b", run_mul_at, true, false},
                                          {"a bt", run_mul_bt, false, true}};

/* Small integers: every sum is exact in float32, in any order, so == is the right test. */
static void fill_integers(float *values, size_t n, unsigned state)
{
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525U + 1013904223U;
        values[i] = (float)((int)(state >> 16) % 17 - 8);
    }
}

static float plain_sum(const struct product *p, const float *a, const float *b,
                       const size_t shape[3], const size_t at[2])
{
    float sum = 0.0F;
    for (size_t s = 0; s < shape[2]; s++) {
        size_t left = p->is_left_transposed ? s * shape[0] + at[0] : at[0] * shape[2] + s;
        size_t right =
            p->is_right_transposed ? at[1] * shape[2] + s : s * shape[1] + at[1];
        sum += a[left] * b[right];
    }
    return sum;
}

/* shape: rows, columns, summed. The cell behind the result must stay untouched. */
static bool product_is_right(const struct product *p, const float *a, const float *b,
                             float *c, const size_t shape[3])
{
    size_t n = shape[0] * shape[1];
    for (size_t i = 0; i <= n; i++)
        c[i] = NAN;
    p->run(a, b, c, shape[0], shape[1], shape[2]);
    for (size_t i = 0; i < n; i++) {
        size_t at[2] = {i / shape[1], i % shape[1]};
        if (!(c[i] == plain_sum(p, a, b, shape, at)))
            return false;
    }
    return isnan(c[n]);
}

static int check_shape(const float *a, const float *b, float *c, const size_t shape[3],
                       struct err *err)
{
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (!product_is_right(&products[i], a, b, c, shape))
            return err_set(err, ERR_INTERNAL, "blas_wrong",
                           "the BLAS library (%s) computes %s wrongly for %zu x %zu over "
                           "%zu; install libopenblas0-pthread",
                           config, products[i].name, shape[0], shape[1], shape[2]);
    return 0;
}

static int check_products(struct err *err)
{
    static const size_t rows[] = {1, 2, 7, 32};
    static const size_t columns[] = {1, 3, 10, 65};
    static const size_t summed[] = {0, 1, 5, 64};
    static const size_t large[][3] = {
        {70, 33, 97}, {64, 64, 64}, {200, 10, 100}, {1, CHECK_SIDE, 128}};
    const size_t cells = (size_t)CHECK_SIDE * 200;
    int rc = -1;
    float *a = mem_new(cells, sizeof *a, err);
    float *b = mem_new(cells, sizeof *b, err);
    float *c = mem_new(cells, sizeof *c, err);
    if (!a || !b || !c)
        goto out;
    fill_integers(a, cells, 1);
    fill_integers(b, cells, 2);

    for (size_t i = 0; i < 64; i++) {
        size_t shape[3] = {rows[i / 16], columns[i / 4 % 4], summed[i % 4]};
        if (check_shape(a, b, c, shape, err) < 0)
            goto out;
    }
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        if (check_shape(a, b, c, large[i], err) < 0)
            goto out;
    rc = 0;
out:
    free(c);
    free(b);
    free(a);
    return rc;
}

int mat_start(struct err *err)
{
    openblas_set_num_threads(1);
    snprintf(config, sizeof config, "%s", openblas_get_config());
    snprintf(kernel, sizeof kernel, "%s", openblas_get_corename());
    if (openblas_get_parallel() == OPENBLAS_SEQUENTIAL)
        return err_set(
            err, ERR_INTERNAL, "blas_serial",
            "the BLAS library (%s) is built without threads and unsafe to call "
            "from several; install libopenblas0-pthread",
            config);
    return check_products(err);
}
