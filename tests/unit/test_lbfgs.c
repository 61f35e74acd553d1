#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "core/lbfgs.h"

/* Under ASan a refused allocation is to be NULL, as it is without. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

struct count {
    size_t n_calls;
    size_t fail_at; /* 0: never */
    size_t n;
};

static int count(struct count *count, struct err *err)
{
    if (++count->n_calls == count->fail_at)
        return err_set(err, ERR_CANCELLED, "cancelled", "enough");
    return 0;
}

/* Rosenbrock 1960: 100 (x₁ − x₀²)² + (1 − x₀)², its minimum 0 at (1, 1) */
static int rosenbrock(void *ctx, const double *x, double *f, double *g, struct err *err)
{
    double a = 1.0 - x[0];
    double b = x[1] - x[0] * x[0];
    *f = a * a + 100.0 * b * b;
    g[0] = -2.0 * a - 400.0 * x[0] * b;
    g[1] = 200.0 * b;
    return count(ctx, err);
}

/* ½ Σ c_i (x_i − i)², c from 1 to 100 */
static int quadratic(void *ctx, const double *x, double *f, double *g, struct err *err)
{
    struct count *of = ctx;
    *f = 0.0;
    for (size_t i = 0; i < of->n; i++) {
        double c = 1.0 + 99.0 * (double)i / (double)of->n;
        double away = x[i] - (double)i;
        *f += 0.5 * c * away * away;
        g[i] = c * away;
    }
    return count(of, err);
}

/* x − log x, not defined up to 0; the minimum 1 at 1 */
static int barrier(void *ctx, const double *x, double *f, double *g, struct err *err)
{
    *f = x[0] > 0.0 ? x[0] - log(x[0]) : (double)NAN;
    g[0] = x[0] > 0.0 ? 1.0 - 1.0 / x[0] : (double)NAN;
    return count(ctx, err);
}

/* −x: no minimum */
static int slope(void *ctx, const double *x, double *f, double *g, struct err *err)
{
    *f = -x[0];
    g[0] = -1.0;
    return count(ctx, err);
}

/* Iterations until the state changes; the value falls in each. */
static size_t minimize(struct lbfgs *lbfgs, const struct lbfgs_problem *problem)
{
    struct err err = {0};
    double before = (double)INFINITY;
    size_t n = 0;
    while (lbfgs->state == LBFGS_GOING && n < 1000) {
        assert_int_equal(lbfgs_iterate(lbfgs, problem, &err), 0);
        if (lbfgs->state == LBFGS_GOING)
            assert_true(lbfgs->f < before);
        before = lbfgs->f;
        n++;
    }
    return n;
}

static void start_at(struct lbfgs *lbfgs, size_t n, double tolerance)
{
    struct err err = {0};
    assert_int_equal(lbfgs_init(lbfgs, n, tolerance, &err), 0);
}

static void minimum_of_rosenbrock_is_found(void **state)
{
    (void)state;
    static const double starts[][2] = {{-1.2, 1.0}, {0, 0}, {5, -3}, {-1.9, 2}};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct count of = {0};
        struct lbfgs lbfgs = {0};
        start_at(&lbfgs, 2, 1e-8);
        memcpy(lbfgs.x, starts[i], sizeof starts[i]);
        size_t n = minimize(&lbfgs, &(struct lbfgs_problem){&of, rosenbrock});
        assert_int_equal(lbfgs.state, LBFGS_CONVERGED);
        assert_true(fabs(lbfgs.x[0] - 1.0) < 1e-7 && fabs(lbfgs.x[1] - 1.0) < 1e-7);
        assert_true(n < 70 && of.n_calls < 100);
        assert_int_equal(of.n_calls, lbfgs.n_evaluations);
        lbfgs_clear(&lbfgs);
        lbfgs_clear(&lbfgs);
    }
}

static void minimum_of_a_quadratic_is_found_soon(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 5, 50};
    static const size_t most[] = {6, 12, 25, 100};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct count of = {.n = sizes[i]};
        struct lbfgs lbfgs = {0};
        start_at(&lbfgs, sizes[i], 1e-8);
        for (size_t j = 0; j < sizes[i]; j++)
            lbfgs.x[j] = 10.0 * rng_normal(1, RNG_TEST, 0, j);
        size_t n = minimize(&lbfgs, &(struct lbfgs_problem){&of, quadratic});
        assert_int_equal(lbfgs.state, LBFGS_CONVERGED);
        if (n > most[i])
            fail_msg("%zu numbers took %zu iterations", sizes[i], n);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_true(fabs(lbfgs.x[j] - (double)j) < 1e-7);
        lbfgs_clear(&lbfgs);
    }
}

/* Every accepted step fulfils (3.7) of Nocedal and Wright. */
static void steps_fulfil_the_strong_wolfe_conditions(void **state)
{
    (void)state;
    struct count of = {0};
    const struct lbfgs_problem problem = {&of, rosenbrock};
    struct lbfgs lbfgs = {0};
    struct err err = {0};
    double x[2] = {-1.2, 1.0};
    double f;
    double g[2];
    start_at(&lbfgs, 2, 1e-8);
    memcpy(lbfgs.x, x, sizeof x);
    size_t n_steps = 0;
    for (; lbfgs.state == LBFGS_GOING; n_steps++) {
        assert_int_equal(rosenbrock(&of, x, &f, g, &err), 0);
        assert_int_equal(lbfgs_iterate(&lbfgs, &problem, &err), 0);
        double along = 0.0;
        double after = 0.0;
        for (size_t i = 0; i < 2; i++) {
            along += g[i] * (lbfgs.x[i] - x[i]);
            after += lbfgs.gradient[i] * (lbfgs.x[i] - x[i]);
        }
        assert_true(along < 0.0);
        assert_true(lbfgs.f <= f + 1e-4 * along + 1e-15);
        assert_true(fabs(after) <= 0.9 * fabs(along) + 1e-15);
        memcpy(x, lbfgs.x, sizeof x);
    }
    assert_true(n_steps > 10);
    lbfgs_clear(&lbfgs);
}

static void point_that_is_not_finite_is_too_far(void **state)
{
    (void)state;
    struct count of = {0};
    struct lbfgs lbfgs = {0};
    start_at(&lbfgs, 1, 1e-9);
    lbfgs.x[0] = 50.0;
    minimize(&lbfgs, &(struct lbfgs_problem){&of, barrier});
    assert_int_equal(lbfgs.state, LBFGS_CONVERGED);
    assert_true(fabs(lbfgs.x[0] - 1.0) < 1e-8);
    lbfgs_clear(&lbfgs);

    start_at(&lbfgs, 1, 1e-9);
    lbfgs.x[0] = -1.0; /* from the start */
    assert_int_equal(minimize(&lbfgs, &(struct lbfgs_problem){&of, barrier}), 1);
    assert_int_equal(lbfgs.state, LBFGS_NOT_FINITE);
    lbfgs_clear(&lbfgs);
}

static void minimum_at_the_start_needs_no_step(void **state)
{
    (void)state;
    struct count of = {.n = 1};
    struct lbfgs lbfgs = {0};
    start_at(&lbfgs, 1, 1e-9);
    assert_int_equal(minimize(&lbfgs, &(struct lbfgs_problem){&of, quadratic}), 1);
    assert_int_equal(lbfgs.state, LBFGS_CONVERGED);
    assert_int_equal(of.n_calls, 1);
    lbfgs_clear(&lbfgs);
}

static void function_without_a_minimum_ends(void **state)
{
    (void)state;
    struct count of = {0};
    struct lbfgs lbfgs = {0};
    start_at(&lbfgs, 1, 1e-9);
    size_t n = minimize(&lbfgs, &(struct lbfgs_problem){&of, slope});
    assert_true(lbfgs.state == LBFGS_STUCK || n == 1000);
    assert_true(lbfgs.x[0] > 1e6);
    lbfgs_clear(&lbfgs);
}

static void error_of_the_callback_ends_it(void **state)
{
    (void)state;
    for (size_t at = 1; at < 20; at++) {
        struct count of = {.fail_at = at};
        const struct lbfgs_problem problem = {&of, rosenbrock};
        struct lbfgs lbfgs = {0};
        struct err err = {0};
        start_at(&lbfgs, 2, 1e-9);
        int rc = 0;
        for (size_t i = 0; i < 100 && rc == 0; i++)
            rc = lbfgs_iterate(&lbfgs, &problem, &err);
        assert_int_equal(rc, -1);
        assert_int_equal(err.code, ERR_CANCELLED);
        assert_int_equal(of.n_calls, at);
        lbfgs_clear(&lbfgs);
    }
}

static void out_of_memory_is_an_error(void **state)
{
    (void)state;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 25, SIZE_MAX / 400};
    for (size_t i = 0; i < 3; i++) {
        struct lbfgs lbfgs = {0};
        struct err err = {0};
        assert_int_equal(lbfgs_init(&lbfgs, sizes[i], 1e-5, &err), -1);
        assert_int_equal(err.code, ERR_NO_MEMORY);
        assert_null(lbfgs.memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minimum_of_rosenbrock_is_found),
        cmocka_unit_test(minimum_of_a_quadratic_is_found_soon),
        cmocka_unit_test(steps_fulfil_the_strong_wolfe_conditions),
        cmocka_unit_test(point_that_is_not_finite_is_too_far),
        cmocka_unit_test(minimum_at_the_start_needs_no_step),
        cmocka_unit_test(function_without_a_minimum_ends),
        cmocka_unit_test(error_of_the_callback_ends_it),
        cmocka_unit_test(out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
