#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/rng.h"

#define DRAWS 200000

/* Philox4x32-10 of Random123's kat_vectors; a counter's words are index, epoch, stream. */
static void bits_match_the_known_answers(void **state)
{
    (void)state;
    const enum rng_stream none = (enum rng_stream)0;
    assert_true(rng_bits(0, none, 0, 0) == 0xE169C58D6627E8D5U);
    assert_true(rng_bits(UINT64_MAX, none, UINT64_MAX, UINT64_MAX) ==
                0x41C83B0E408F276DU);
    assert_true(rng_bits(0x299F31D0A4093822U, none, 0x0370734413198A2EU,
                         0x85A308D3243F6A88U) == 0x94FDCCEBD16CFE09U);
}

static void filling_gives_the_same_bits(void **state)
{
    (void)state;
    static const uint64_t starts[] = {0, 5, 4294967293U, UINT64_MAX - 3};
    for (size_t i = 0; i < 4; i++) {
        for (size_t n = 0; n <= 20; n++) {
            uint64_t out[21];
            out[n] = 77;
            rng_fill(3, RNG_TEST, 1ULL << 53 | 9, starts[i], out, n);
            for (size_t k = 0; k < n; k++)
                assert_true(out[k] ==
                            rng_bits(3, RNG_TEST, 1ULL << 53 | 9, starts[i] + k));
            assert_true(out[n] == 77);
        }
    }
}

static void every_coordinate_matters(void **state)
{
    (void)state;
    uint64_t base = rng_bits(1, RNG_TEST, 1, 1);
    assert_true(rng_bits(1, RNG_TEST, 1, 1) == base);
    assert_true(rng_bits(2, RNG_TEST, 1, 1) != base);
    assert_true(rng_bits(1, RNG_INIT, 1, 1) != base);
    assert_true(rng_bits(1, RNG_TEST, 2, 1) != base);
    assert_true(rng_bits(1, RNG_TEST, 1, 2) != base);
    assert_true(rng_bits(1 + (1ULL << 32), RNG_TEST, 1, 1) != base);
    assert_true(rng_bits(1, RNG_TEST, 1 + (1ULL << 32), 1) != base);
    assert_true(rng_bits(1, RNG_TEST, 1, 1 + (1ULL << 32)) != base);
}

static void uniform_has_its_moments(void **state)
{
    (void)state;
    double sum = 0.0;
    double squares = 0.0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        double u = rng_uniform(7, RNG_TEST, 0, i);
        assert_true(u >= 0.0 && u < 1.0);
        sum += u;
        squares += u * u;
    }
    double mean = sum / DRAWS;
    assert_true(fabs(mean - 0.5) < 0.003);
    assert_true(fabs(squares / DRAWS - mean * mean - 1.0 / 12.0) < 0.001);
}

static void normal_has_its_moments(void **state)
{
    (void)state;
    double sum = 0.0;
    double squares = 0.0;
    double fourths = 0.0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        double z = rng_normal(7, RNG_TEST, 0, i);
        assert_true(isfinite(z));
        sum += z;
        squares += z * z;
        fourths += z * z * z * z;
    }
    assert_true(fabs(sum / DRAWS) < 0.01);
    assert_true(fabs(squares / DRAWS - 1.0) < 0.02);
    assert_true(fabs(fourths / DRAWS - 3.0) < 0.15);
}

static void shuffle_is_a_permutation(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 100; n++) {
        size_t items[100];
        bool is_seen[100] = {false};
        for (size_t i = 0; i < n; i++)
            items[i] = i;
        rng_shuffle(3, RNG_SHUFFLE, n, items, n);
        for (size_t i = 0; i < n; i++) {
            assert_true(items[i] < n);
            assert_false(is_seen[items[i]]);
            is_seen[items[i]] = true;
        }
    }
}

static void shuffle_follows_seed_and_epoch(void **state)
{
    (void)state;
    size_t orders[4][50];
    const uint64_t seeds[4] = {3, 3, 4, 3};
    const uint64_t epochs[4] = {1, 1, 1, 2};
    for (size_t o = 0; o < 4; o++) {
        for (size_t i = 0; i < 50; i++)
            orders[o][i] = i;
        rng_shuffle(seeds[o], RNG_SHUFFLE, epochs[o], orders[o], 50);
    }
    assert_memory_equal(orders[0], orders[1], sizeof orders[0]);
    assert_memory_not_equal(orders[0], orders[2], sizeof orders[0]);
    assert_memory_not_equal(orders[0], orders[3], sizeof orders[0]);
}

/* All 24 orders of 4 items, each near 1/24 of the time. */
static void shuffle_is_fair(void **state)
{
    (void)state;
    size_t counts[256] = {0};
    for (uint64_t epoch = 0; epoch < 24000; epoch++) {
        size_t items[4] = {0, 1, 2, 3};
        rng_shuffle(9, RNG_TEST, epoch, items, 4);
        counts[items[0] * 64 + items[1] * 16 + items[2] * 4 + items[3]]++;
    }
    size_t n_orders = 0;
    for (size_t i = 0; i < 256; i++) {
        n_orders += counts[i] > 0;
        assert_true(counts[i] == 0 || (counts[i] > 840 && counts[i] < 1160));
    }
    assert_int_equal(n_orders, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_match_the_known_answers),
        cmocka_unit_test(filling_gives_the_same_bits),
        cmocka_unit_test(every_coordinate_matters),
        cmocka_unit_test(uniform_has_its_moments),
        cmocka_unit_test(normal_has_its_moments),
        cmocka_unit_test(shuffle_is_a_permutation),
        cmocka_unit_test(shuffle_follows_seed_and_epoch),
        cmocka_unit_test(shuffle_is_fair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
