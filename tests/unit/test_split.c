#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "table/split.h"

#define ROWS_MAX 1000

static size_t all_rows[ROWS_MAX];

static int number_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_MAX; i++)
        all_rows[i] = i;
    return 0;
}

static void split_all(struct split *split, const uint32_t *classes, size_t n,
                      size_t n_classes, double validation, double test, uint64_t seed)
{
    struct err err = {0};
    if (split_rows(split, all_rows, classes, n, n_classes, validation, test, seed, &err) <
        0)
        fail_msg("%s", err.message);
}

/* Disjoint, complete, and ascending in each part. */
static void assert_partition(const struct split *split, size_t n)
{
    unsigned char seen[ROWS_MAX] = {0};
    size_t ends[] = {split->n_train, split->n_train + split->n_validation, n};
    assert_int_equal(split->n_train + split->n_validation + split->n_test, n);
    for (size_t i = 0; i < n; i++) {
        assert_true(split->rows[i] < n);
        assert_int_equal(seen[split->rows[i]]++, 0);
        if (i > 0 && i != ends[0] && i != ends[1])
            assert_true(split->rows[i - 1] < split->rows[i]);
    }
}

static void parts_are_disjoint_and_complete(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 60; n++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct split split;
            double validation = (double)(seed % 5) * 0.1;
            double test = (double)(seed % 4) * 0.15;
            split_all(&split, NULL, n, 0, validation, test, seed);
            assert_partition(&split, n);
            assert_true(split.n_train >= 1);
            if (n > 2) {
                assert_int_equal(split.n_validation > 0, validation > 0);
                assert_int_equal(split.n_test > 0, test > 0);
            }
            split_clear(&split);
        }
}

static void sizes_follow_the_fractions(void **state)
{
    (void)state;
    struct split split;
    split_all(&split, NULL, 1000, 0, 0.15, 0.2, 1);
    assert_int_equal(split.n_test, 200);
    assert_int_equal(split.n_validation, 150);
    assert_ptr_equal(split_validation(&split), split.rows + 650);
    assert_ptr_equal(split_test(&split), split.rows + 800);
    split_clear(&split);
}

static void classes_are_divided_alike(void **state)
{
    (void)state;
    static const size_t sizes[] = {500, 300, 150, 49, 1};
    uint32_t classes[ROWS_MAX];
    size_t n = 0;
    for (uint32_t c = 0; c < 5; c++)
        for (size_t k = 0; k < sizes[c]; k++)
            classes[(n++ * 377) % ROWS_MAX] = c; /* 377 and 1000 are coprime */
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct split split;
        split_all(&split, classes, n, 5, 0.1, 0.2, seed);
        assert_partition(&split, n);
        assert_int_equal(split.n_test, 200);
        assert_int_equal(split.n_validation, 100);
        double counts[2][5] = {{0}};
        for (size_t i = 0; i < split.n_validation; i++)
            counts[0][classes[split_validation(&split)[i]]]++;
        for (size_t i = 0; i < split.n_test; i++)
            counts[1][classes[split_test(&split)[i]]]++;
        for (size_t c = 0; c < 5; c++) {
            assert_true(fabs(counts[0][c] - 0.1 * (double)sizes[c]) < 1);
            assert_true(fabs(counts[1][c] - 0.2 * (double)sizes[c]) < 1);
        }
        assert_true(counts[0][4] + counts[1][4] == 0); /* the single row trains */
        split_clear(&split);
    }
}

static void every_class_keeps_a_training_row(void **state)
{
    (void)state;
    static const uint32_t classes[] = {0, 0, 1, 1, 2, 2, 3, 3, 4};
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct split split;
        unsigned trained = 0;
        split_all(&split, classes, 9, 5, 0.45, 0.45, seed);
        assert_partition(&split, 9);
        for (size_t i = 0; i < split.n_train; i++)
            trained |= 1U << classes[split.rows[i]];
        assert_int_equal(trained, 31);
        split_clear(&split);
    }
}

static void rows_without_a_class_are_in_no_part(void **state)
{
    (void)state;
    uint32_t classes[100];
    struct split split;
    for (uint32_t i = 0; i < 100; i++)
        classes[i] = i % 10 == 3 ? UINT32_MAX : i % 2;
    split_all(&split, classes, 100, 2, 0.2, 0.2, 5);
    assert_int_equal(split.n_train + split.n_validation + split.n_test, 90);
    for (size_t i = 0; i < 90; i++)
        assert_int_not_equal(split.rows[i] % 10, 3);
    split_clear(&split);
}

static void seed_alone_decides(void **state)
{
    (void)state;
    struct split a;
    struct split b;
    struct split c;
    split_all(&a, NULL, 500, 0, 0.2, 0.2, 42);
    split_all(&b, NULL, 500, 0, 0.2, 0.2, 42);
    split_all(&c, NULL, 500, 0, 0.2, 0.2, 43);
    assert_memory_equal(a.rows, b.rows, 500 * sizeof *a.rows);
    assert_memory_not_equal(a.rows, c.rows, 500 * sizeof *a.rows);
    split_clear(&a);
    split_clear(&b);
    split_clear(&c);
}

static void given_rows_are_divided_not_their_places(void **state)
{
    (void)state;
    static const size_t rows[] = {9, 7, 5, 3, 100};
    struct split split;
    struct err err = {0};
    size_t sum = 0;
    assert_int_equal(split_rows(&split, rows, NULL, 5, 0, 0.2, 0.2, 1, &err), 0);
    for (size_t i = 0; i < 5; i++)
        sum += split.rows[i];
    assert_int_equal(sum, 124);
    assert_true(split.rows[0] < split.rows[1] && split.rows[1] < split.rows[2]);
    split_clear(&split);
}

static void bad_fractions_and_no_rows_are_refused(void **state)
{
    (void)state;
    static const double bad[][2] = {
        {-0.1, 0}, {0, 1}, {0.5, 0.5}, {NAN, 0}, {0, INFINITY}};
    struct split split;
    for (size_t i = 0; i < 5; i++) {
        struct err err = {0};
        assert_int_equal(
            split_rows(&split, all_rows, NULL, 9, 0, bad[i][0], bad[i][1], 1, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
    }
    struct err err = {0};
    assert_int_equal(split_rows(&split, all_rows, NULL, 0, 0, 0.1, 0, 1, &err), -1);
    assert_string_equal(err.slug, "no_rows");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_disjoint_and_complete),
        cmocka_unit_test(sizes_follow_the_fractions),
        cmocka_unit_test(classes_are_divided_alike),
        cmocka_unit_test(every_class_keeps_a_training_row),
        cmocka_unit_test(rows_without_a_class_are_in_no_part),
        cmocka_unit_test(seed_alone_decides),
        cmocka_unit_test(given_rows_are_divided_not_their_places),
        cmocka_unit_test(bad_fractions_and_no_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, number_rows, NULL);
}
