#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/gemm.h"

#define SIDE 130 /* longest side of any matrix here */

static const char *const kernels[] = {"avx512", "avx2", "blas"};
static const size_t sizes[] = {1, 2, 3, 5, 7, 8, 9, 16, 17, 33, 48, 49, 65, 100, 130};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static float a[SIDE * SIDE];
static float b[SIDE * SIDE];
static float bias[SIDE];
static float c[SIDE * SIDE + 1];
static float other[SIDE * SIDE + 1];
static _Alignas(64) float packed[2 * SIDE * SIDE];
static _Alignas(64) float packed_in_parts[2 * SIDE * SIDE];

static void fill(float *values, size_t n, uint64_t stream)
{
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(rng_uniform(1, RNG_TEST, stream, i) - 0.5);
}

static struct gemm_view view_of(const float *values, size_t rows, size_t columns,
                                bool is_transposed)
{
    return is_transposed ? (struct gemm_view){values, 1, rows}
                         : (struct gemm_view){values, columns, 1};
}

static double at(const struct gemm_view *view, size_t i, size_t j)
{
    return (double)view->values[i * view->row_stride + j * view->column_stride];
}

static void multiply(const struct gemm_view *left, const struct gemm_view *right,
                     size_t m, size_t n, size_t k, float *out)
{
    const struct gemm_part all = {0, k, 0, n, false};
    gemm_pack(packed, k, n, right, 1.0F, &all);
    for (size_t i = 0; i <= m * n; i++)
        out[i] = NAN;
    gemm_run(left, m, packed, k, n, bias, out, n);
}

static void assert_product(const struct gemm_view *left, const struct gemm_view *right,
                           size_t m, size_t n, size_t k)
{
    for (size_t i = 0; i < m * n; i++) {
        double sum = (double)bias[i % n];
        for (size_t s = 0; s < k; s++)
            sum += at(left, i / n, s) * at(right, s, i % n);
        if (!(fabs((double)c[i] - sum) < 1e-5))
            fail_msg("%s %zu x %zu over %zu at %zu: %g, wanted %g", gemm_kernel(), m, n,
                     k, i, (double)c[i], sum);
    }
    assert_true(isnan(c[m * n]));
}

static void products_match_a_plain_loop(void **state)
{
    (void)state;
    for (size_t kernel = 0; kernel < 3; kernel++) {
        if (!gemm_use(kernels[kernel]))
            continue;
        for (size_t i = 0; i < N_SIZES * N_SIZES * N_SIZES; i += 7) {
            size_t m = sizes[i % N_SIZES];
            size_t k = sizes[i / N_SIZES % N_SIZES];
            size_t n = sizes[i / N_SIZES / N_SIZES];
            struct gemm_view left = view_of(a, m, k, i & 1);
            struct gemm_view right = view_of(b, k, n, i & 2);
            multiply(&left, &right, m, n, k, c);
            assert_product(&left, &right, m, n, k);
        }
    }
}

/* The promise that models are equal on different processors. */
static void our_kernels_give_the_same_bits(void **state)
{
    (void)state;
    if (!gemm_use("avx512") || !gemm_use("avx2"))
        skip();
    for (size_t i = 0; i < N_SIZES * N_SIZES * N_SIZES; i += 11) {
        size_t m = sizes[i % N_SIZES];
        size_t k = sizes[i / N_SIZES % N_SIZES];
        size_t n = sizes[i / N_SIZES / N_SIZES];
        struct gemm_view left = view_of(a, m, k, i & 1);
        struct gemm_view right = view_of(b, k, n, i & 2);
        gemm_use("avx2");
        multiply(&left, &right, m, n, k, c);
        gemm_use("avx512");
        multiply(&left, &right, m, n, k, other);
        assert_memory_equal(c, other, m * n * sizeof *c);
    }
}

/* An element is one chain of fused multiply-adds that starts at the bias. */
static void element_is_one_chain_from_its_bias(void **state)
{
    (void)state;
    struct gemm_view left = view_of(a, 3, 100, false);
    struct gemm_view right = view_of(b, 100, 50, false);
    if (!gemm_use("avx2"))
        skip();
    multiply(&left, &right, 3, 50, 100, c);
    for (size_t i = 0; i < 150; i++) {
        float sum = bias[i % 50];
        for (size_t s = 0; s < 100; s++)
            sum = fmaf(a[i / 50 * 100 + s], b[s * 50 + i % 50], sum);
        assert_true(c[i] == sum);
    }
}

static void one_row_and_cut_rows_give_the_same_bits(void **state)
{
    (void)state;
    for (size_t kernel = 0; kernel < 2; kernel++) {
        if (!gemm_use(kernels[kernel]))
            continue;
        for (size_t n = 1; n <= SIDE; n += 3) {
            struct gemm_view left = view_of(a, 21, 77, false);
            struct gemm_view right = view_of(b, 77, n, false);
            multiply(&left, &right, 21, n, 77, c);
            for (size_t i = 0; i < 21; i++) {
                float row[SIDE + 1];
                row[n] = NAN;
                gemm_row(a + i * 77, b, 77, n, bias, row);
                assert_memory_equal(row, c + i * n, n * sizeof *row);
                assert_true(isnan(row[n]));
            }
            struct gemm_view rest = view_of(a + 5 * 77, 16, 77, false);
            gemm_run(&rest, 16, packed, 77, n, bias, other, n);
            assert_memory_equal(other, c + 5 * n, 16 * n * sizeof *c);
        }
    }
}

/* Streamed or not, by rows or by columns: with full panels, part ones and odd ends. */
static void assert_parts(const struct gemm_view *right, size_t k, size_t n,
                         bool is_shared)
{
    const struct gemm_part all = {0, k, 0, n, false};
    memset(packed, 255, sizeof packed);
    memset(packed_in_parts, 255, sizeof packed_in_parts);
    gemm_pack(packed, k, n, right, 2.0F, &all);
    for (size_t row = 0; row < k; row += 30)
        for (size_t j = 0; j < n; j += GEMM_BAND) {
            const struct gemm_part part = {row, row + 30 < k ? row + 30 : k, j,
                                           j + GEMM_BAND < n ? j + GEMM_BAND : n,
                                           is_shared};
            gemm_pack(packed_in_parts, k, n, right, 2.0F, &part);
        }
    gemm_fence();
    assert_memory_equal(packed, packed_in_parts, gemm_packed_len(k, n) * sizeof *packed);
}

static void parts_pack_as_the_whole_does(void **state)
{
    (void)state;
    for (size_t kernel = 0; kernel < 3; kernel++) {
        if (!gemm_use(kernels[kernel]))
            continue;
        for (size_t i = 0; i < 4 * N_SIZES; i++) {
            size_t n = sizes[i / 4];
            struct gemm_view right = view_of(b, 103, n, i & 1);
            assert_parts(&right, 103, n, i & 2);
        }
    }
}

static void column_sums_match_double(void **state)
{
    (void)state;
    for (size_t kernel = 0; kernel < 3; kernel++) {
        if (!gemm_use(kernels[kernel]))
            continue;
        for (size_t i = 0; i < N_SIZES; i++) {
            size_t n = sizes[i];
            const struct gemm_part all = {0, 77, 0, n, true};
            struct gemm_view right = view_of(b, 77, n, false);
            float sums[SIDE + 1];
            sums[n] = NAN;
            gemm_pack(packed, 77, n, &right, 1.0F, &all);
            gemm_fence();
            gemm_sum_packed(packed, 77, n, sums);
            for (size_t j = 0; j < n; j++) {
                double sum = 0.0;
                for (size_t s = 0; s < 77; s++)
                    sum += (double)b[s * n + j];
                assert_true(sums[j] == (float)sum);
            }
            assert_true(isnan(sums[n]));
        }
    }
}

static void factor_multiplies_the_right_side(void **state)
{
    (void)state;
    struct gemm_view left = view_of(a, 4, 10, false);
    struct gemm_view right = view_of(b, 10, 20, false);
    const struct gemm_part all = {0, 10, 0, 20, false};
    struct err err = {0};
    assert_int_equal(gemm_start(&err), 0);
    gemm_pack(packed, 10, 20, &right, 0.5F, &all);
    gemm_run(&left, 4, packed, 10, 20, NULL, c, 20);
    gemm_pack(packed, 10, 20, &right, 1.0F, &all);
    gemm_run(&left, 4, packed, 10, 20, NULL, other, 20);
    for (size_t i = 0; i < 80; i++)
        assert_true(fabsf(c[i] - 0.5F * other[i]) < 1e-6F);
}

static void sum_over_nothing_is_the_bias(void **state)
{
    (void)state;
    for (size_t kernel = 0; kernel < 3; kernel++) {
        if (!gemm_use(kernels[kernel]))
            continue;
        struct gemm_view left = view_of(a, 3, 1, false);
        gemm_run(&left, 3, packed, 0, 4, bias, c, 4);
        for (size_t i = 0; i < 12; i++)
            assert_true(c[i] == bias[i % 4]);
    }
}

static void nan_comes_through(void **state)
{
    (void)state;
    float left[2] = {NAN, 1.0F};
    float right[2] = {0.0F, 1.0F};
    const struct gemm_part all = {0, 2, 0, 1, false};
    for (size_t kernel = 0; kernel < 3; kernel++) {
        if (!gemm_use(kernels[kernel]))
            continue;
        struct gemm_view x = view_of(left, 1, 2, false);
        struct gemm_view y = view_of(right, 2, 1, false);
        gemm_pack(packed, 2, 1, &y, 1.0F, &all);
        gemm_run(&x, 1, packed, 2, 1, NULL, c, 1);
        assert_true(isnan(c[0]));
        gemm_row(left, right, 2, 1, NULL, c);
        assert_true(isnan(c[0]));
    }
}

static void unknown_kernel_is_refused(void **state)
{
    (void)state;
    assert_false(gemm_use("mmx"));
    assert_true(gemm_use("blas"));
    assert_memory_equal(gemm_kernel(), "blas ", 5);
    struct err err = {0};
    assert_int_equal(gemm_start(&err), 0); /* again is harmless */
}

static int start(void **state)
{
    (void)state;
    fill(a, SIDE * SIDE, 1);
    fill(b, SIDE * SIDE, 2);
    fill(bias, SIDE, 3);
    struct err err = {0};
    return gemm_start(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match_a_plain_loop),
        cmocka_unit_test(our_kernels_give_the_same_bits),
        cmocka_unit_test(element_is_one_chain_from_its_bias),
        cmocka_unit_test(one_row_and_cut_rows_give_the_same_bits),
        cmocka_unit_test(parts_pack_as_the_whole_does),
        cmocka_unit_test(column_sums_match_double),
        cmocka_unit_test(factor_multiplies_the_right_side),
        cmocka_unit_test(sum_over_nothing_is_the_bias),
        cmocka_unit_test(nan_comes_through),
        cmocka_unit_test(unknown_kernel_is_refused),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
