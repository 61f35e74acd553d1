#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "core/mat.h"

#define SIDE 40

static float a[SIDE * SIDE];
static float b[SIDE * SIDE];
static float c[SIDE * SIDE + 1];

static void fill(float *values, uint64_t seed)
{
    for (size_t i = 0; i < SIDE * SIDE; i++)
        values[i] = (float)(2.0 * rng_uniform(seed, RNG_TEST, 0, i) - 1.0);
}

static void fill_result(void)
{
    for (size_t i = 0; i <= SIDE * SIDE; i++)
        c[i] = NAN;
}

/* Compares c [rows x columns] with Σ_s left(i, s) right(s, j), given by strides. */
static void assert_product(size_t rows, size_t columns, size_t summed, size_t left_i,
                           size_t left_s, size_t right_s, size_t right_j)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            double sum = 0.0;
            for (size_t s = 0; s < summed; s++)
                sum += (double)a[i * left_i + s * left_s] *
                       (double)b[s * right_s + j * right_j];
            assert_true(fabs((double)c[i * columns + j] - sum) < 1e-5);
        }
    }
    assert_true(isnan(c[rows * columns]));
}

static const size_t sizes[] = {1, 2, 5, 8, 17, 33, 40};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static void products_match_a_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SIZES * N_SIZES * N_SIZES; i++) {
        size_t m = sizes[i % N_SIZES];
        size_t k = sizes[i / N_SIZES % N_SIZES];
        size_t n = sizes[i / N_SIZES / N_SIZES];
        fill_result();
        mat_mul(a, b, c, m, k, n);
        assert_product(m, n, k, k, 1, n, 1);
        fill_result();
        mat_mul_at(a, b, c, m, k, n);
        assert_product(k, n, m, 1, k, n, 1);
        fill_result();
        mat_mul_bt(a, b, c, m, n, k);
        assert_product(m, k, n, n, 1, 1, n);
    }
}

static void sum_over_nothing_is_zero(void **state)
{
    (void)state;
    fill_result();
    mat_mul(a, b, c, 3, 0, 4);
    for (size_t i = 0; i < 12; i++)
        assert_true(c[i] == 0.0F);
    assert_true(isnan(c[12]));
    fill_result();
    mat_mul_at(a, b, c, 0, 3, 4);
    for (size_t i = 0; i < 12; i++)
        assert_true(c[i] == 0.0F);
    assert_true(isnan(c[12]));
    fill_result();
    mat_mul_bt(a, b, c, 3, 0, 4);
    for (size_t i = 0; i < 12; i++)
        assert_true(c[i] == 0.0F);
    assert_true(isnan(c[12]));
}

static void empty_result_is_left_alone(void **state)
{
    (void)state;
    fill_result();
    mat_mul(a, b, c, 0, 3, 4);
    mat_mul(a, b, c, 3, 4, 0);
    mat_mul_at(a, b, c, 3, 0, 4);
    mat_mul_at(a, b, c, 3, 4, 0);
    mat_mul_bt(a, b, c, 0, 3, 4);
    mat_mul_bt(a, b, c, 3, 4, 0);
    assert_true(isnan(c[0]));
}

static void nan_comes_through(void **state)
{
    (void)state;
    float left[2] = {NAN, 1.0F};
    float right[2] = {0.0F, 1.0F};
    mat_mul(left, right, c, 1, 2, 1);
    assert_true(isnan(c[0]));
}

static void library_has_a_name_and_a_kernel(void **state)
{
    (void)state;
    assert_non_null(strstr(mat_config(), "OpenBLAS"));
    assert_true(strlen(mat_kernel()) > 0);
    struct err err = {0};
    assert_int_equal(mat_start(&err), 0); /* again is harmless */
}

static int start(void **state)
{
    (void)state;
    fill(a, 1);
    fill(b, 2);
    struct err err = {0};
    return mat_start(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match_a_plain_loop),
        cmocka_unit_test(sum_over_nothing_is_zero),
        cmocka_unit_test(empty_result_is_left_alone),
        cmocka_unit_test(nan_comes_through),
        cmocka_unit_test(library_has_a_name_and_a_kernel),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
