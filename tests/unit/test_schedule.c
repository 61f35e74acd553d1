/* The learning rate of a step, against tables worked out by hand or by scikit-learn's code. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "core/schedule.h"

/* 10 epochs of 4 steps over 100 rows, η = 0.5. */
static struct schedule_place place_at(size_t step, size_t n_drops)
{
    return (struct schedule_place){.step = step,
                                   .steps_per_epoch = 4,
                                   .n_rows = 100,
                                   .max_iter = 10,
                                   .n_drops = n_drops};
}

static double rate_at(const struct schedule_options *options, size_t step, size_t n_drops)
{
    struct schedule_place place = place_at(step, n_drops);
    return schedule_rate(options, 0.5, &place);
}

struct row {
    size_t step;
    double rate;
};

static void assert_table(const struct schedule_options *options, const struct row *rows,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double rate = rate_at(options, rows[i].step, 0);
        if (!(fabs(rate - rows[i].rate) <= 1e-12))
            fail_msg("%s, step %zu: %.15g, wanted %.15g",
                     schedule_name(options->schedule), rows[i].step, rate, rows[i].rate);
    }
}

#define TABLE(options, ...)                                                              \
    assert_table(options, (const struct row[]){__VA_ARGS__},                             \
                 sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

static void constant_is_the_rate_itself(void **state)
{
    (void)state;
    const struct schedule_options options = {.schedule = SCHEDULE_CONSTANT};
    TABLE(&options, {0, 0.5}, {3, 0.5}, {39, 0.5}, {1000, 0.5});
}

/* _stochastic_optimizers.py: after each epoch, with t_ = rows seen,
 * learning_rate = learning_rate_init / (t_ + 1) ** power_t */
static void invscaling_falls_by_rows_seen_once_an_epoch(void **state)
{
    (void)state;
    struct schedule_options options = {.schedule = SCHEDULE_INVSCALING, .power_t = 0.5};
    TABLE(&options, {0, 0.5}, {3, 0.5}, {4, 0.5 / sqrt(101.0)}, {7, 0.5 / sqrt(101.0)},
          {8, 0.5 / sqrt(201.0)}, {39, 0.5 / sqrt(901.0)});
    options.power_t = 0.0;
    TABLE(&options, {0, 0.5}, {39, 0.5});
    options.power_t = 1.0;
    TABLE(&options, {4, 0.5 / 101.0});
}

static void adaptive_divides_by_five_until_a_millionth(void **state)
{
    (void)state;
    const struct schedule_options options = {.schedule = SCHEDULE_ADAPTIVE};
    const struct schedule_options other = {.schedule = SCHEDULE_COSINE};
    double rate = 0.5;
    for (size_t n_drops = 0; n_drops < 12; n_drops++, rate /= 5.0) {
        assert_true(fabs(rate_at(&options, 17, n_drops) - rate) <= 1e-12 * rate);
        assert_int_equal(schedule_is_spent(&options, 0.5, n_drops), rate <= 1e-6);
        assert_true(schedule_is_spent(&other, 0.5, n_drops));
    }
    assert_false(schedule_is_spent(&options, 0.5, 8)); /* 0.5 / 5^8 = 1.28e-6 */
    assert_true(schedule_is_spent(&options, 0.5, 9));
}

static void cosine_falls_to_zero(void **state)
{
    (void)state;
    const struct schedule_options options = {.schedule = SCHEDULE_COSINE};
    TABLE(&options, {0, 0.5}, {10, 0.5 * (0.5 + sqrt(2.0) / 4.0)}, {20, 0.25},
          {30, 0.5 * (0.5 - sqrt(2.0) / 4.0)}, {40, 0.0}, {99, 0.0});
    assert_true(rate_at(&options, 39, 0) > 0.0);
}

static void one_cycle_rises_and_falls(void **state)
{
    (void)state;
    const struct schedule_options options = {.schedule = SCHEDULE_ONE_CYCLE};
    /* 101 steps, so that 0.3 of the way from the first to the last is step 30 */
    const struct row rows[] = {{0, 0.02},   {15, 0.26},
                               {30, 0.5},   {65, 0.5 * (1e-4 + (1.0 - 1e-4) * 0.5)},
                               {100, 5e-5}, {200, 5e-5}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct schedule_place place = {
            .step = rows[i].step, .steps_per_epoch = 1, .n_rows = 9, .max_iter = 101};
        assert_true(fabs(schedule_rate(&options, 0.5, &place) - rows[i].rate) < 1e-12);
    }
    /* of very short runs */
    for (size_t max_iter = 1; max_iter < 5; max_iter++) {
        for (size_t step = 0; step < max_iter; step++) {
            struct schedule_place place = {
                .step = step, .steps_per_epoch = 1, .n_rows = 9, .max_iter = max_iter};
            double rate = schedule_rate(&options, 0.5, &place);
            assert_true(rate > 0.0 && rate <= 0.5);
        }
    }
}

static void warmup_rises_to_any_schedule(void **state)
{
    (void)state;
    struct schedule_options options = {.warmup = 2.0}; /* 8 steps */
    TABLE(&options, {0, 0.0625}, {1, 0.125}, {6, 0.4375}, {7, 0.5}, {8, 0.5}, {39, 0.5});
    options.warmup = 0.5; /* 2 steps */
    TABLE(&options, {0, 0.25}, {1, 0.5}, {2, 0.5});
    for (enum schedule schedule = 0; schedule < SCHEDULE_COUNT; schedule++) {
        struct schedule_options with = {schedule, 0.5, 1.5};
        struct schedule_options without = {schedule, 0.5, 0.0};
        for (size_t step = 0; step < 40; step++) {
            double share = fmin(1.0, (double)(step + 1) / 6.0);
            double wanted = share * rate_at(&without, step, 0);
            assert_true(fabs(rate_at(&with, step, 0) - wanted) < 1e-12);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_is_the_rate_itself),
        cmocka_unit_test(invscaling_falls_by_rows_seen_once_an_epoch),
        cmocka_unit_test(adaptive_divides_by_five_until_a_millionth),
        cmocka_unit_test(cosine_falls_to_zero),
        cmocka_unit_test(one_cycle_rises_and_falls),
        cmocka_unit_test(warmup_rises_to_any_schedule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
