#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/rng.h"
#include "core/optim.h"

/* Under ASan a refused allocation is to be NULL, as it is without. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

#define N     37
#define STEPS 25

/* One step of the plain oracle, in double, as the papers (and scikit-learn) write it. */
static void plain_step(const struct optim_options *o, double t, const float *g, double *w,
                       double *first, double *second)
{
    for (size_t i = 0; i < N; i++) {
        double grad = (double)g[i];
        switch (o->solver) {
        case SOLVER_GD:
            w[i] -= o->learning_rate * grad;
            break;
        case SOLVER_SGD:
            first[i] = o->momentum * first[i] - o->learning_rate * grad;
            w[i] +=
                o->nesterov ? o->momentum * first[i] - o->learning_rate * grad : first[i];
            break;
        case SOLVER_ADAM:
            first[i] = o->beta_1 * first[i] + (1.0 - o->beta_1) * grad;
            second[i] = o->beta_2 * second[i] + (1.0 - o->beta_2) * grad * grad;
            w[i] -= o->learning_rate * sqrt(1.0 - pow(o->beta_2, t)) /
                    (1.0 - pow(o->beta_1, t)) * first[i] / (sqrt(second[i]) + o->epsilon);
            break;
        case SOLVER_RMSPROP:
            second[i] = o->rho * second[i] + (1.0 - o->rho) * grad * grad;
            w[i] -= o->learning_rate * grad / (sqrt(second[i]) + o->epsilon);
            break;
        case SOLVER_ADAMW: {
            double before = w[i];
            first[i] = o->beta_1 * first[i] + (1.0 - o->beta_1) * grad;
            second[i] = o->beta_2 * second[i] + (1.0 - o->beta_2) * grad * grad;
            w[i] -= o->learning_rate * sqrt(1.0 - pow(o->beta_2, t)) /
                    (1.0 - pow(o->beta_1, t)) * first[i] / (sqrt(second[i]) + o->epsilon);
            w[i] -= o->learning_rate * o->weight_decay * before;
            break;
        }
        case SOLVER_LBFGS:
        case SOLVER_COUNT:
            break;
        }
    }
}

static void assert_follows_oracle(const struct optim_options *options)
{
    struct optim optim = {0};
    struct err err = {0};
    float w[N];
    double plain[N];
    double first[N] = {0};
    double second[N] = {0};
    for (size_t i = 0; i < N; i++) {
        w[i] = (float)rng_normal(1, RNG_TEST, 0, i);
        plain[i] = (double)w[i];
    }
    assert_int_equal(optim_init(&optim, options, N, &err), 0);
    for (size_t step = 1; step <= STEPS; step++) {
        float g[N];
        for (size_t i = 0; i < N; i++)
            g[i] = (float)(rng_normal(1, RNG_TEST, step, i) *
                           pow(10.0, (double)(i % 7) - 4));
        g[0] = 0.0F;
        optim_step(&optim, w, g);
        plain_step(options, (double)step, g, plain, first, second);
        for (size_t i = 0; i < N; i++)
            if (!(fabs((double)w[i] - plain[i]) < 1e-6 + 1e-5 * fabs(plain[i])))
                fail_msg("%s, step %zu, weight %zu: %.9g, wanted %.9g",
                         optim_name(options->solver), step, i, (double)w[i], plain[i]);
    }
    optim_clear(&optim);
    optim_clear(&optim);
}

static const struct optim_options adam = {.solver = SOLVER_ADAM,
                                          .learning_rate = 0.01,
                                          .beta_1 = 0.9,
                                          .beta_2 = 0.999,
                                          .epsilon = 1e-8};

static void gd_follows_its_formula(void **state)
{
    (void)state;
    assert_follows_oracle(
        &(struct optim_options){.solver = SOLVER_GD, .learning_rate = 0.1});
}

static void sgd_follows_its_formula(void **state)
{
    (void)state;
    struct optim_options options = {.solver = SOLVER_SGD, .learning_rate = 0.05};
    assert_follows_oracle(&options);
    options.momentum = 0.9;
    assert_follows_oracle(&options);
}

static void nesterov_follows_its_formula(void **state)
{
    (void)state;
    assert_follows_oracle(&(struct optim_options){
        .solver = SOLVER_SGD, .learning_rate = 0.05, .momentum = 0.9, .nesterov = true});
}

static void adam_follows_its_formula(void **state)
{
    (void)state;
    assert_follows_oracle(&adam);
    struct optim_options other = adam;
    other.beta_1 = 0.0;
    other.beta_2 = 0.5;
    other.epsilon = 0.1;
    assert_follows_oracle(&other);
}

static void rmsprop_follows_its_formula(void **state)
{
    (void)state;
    struct optim_options options = {
        .solver = SOLVER_RMSPROP, .learning_rate = 0.01, .rho = 0.9, .epsilon = 1e-8};
    assert_follows_oracle(&options);
    options.rho = 0.0;
    options.epsilon = 0.1;
    assert_follows_oracle(&options);
}

static void adamw_follows_its_formula(void **state)
{
    (void)state;
    struct optim_options options = adam;
    options.solver = SOLVER_ADAMW;
    options.weight_decay = 0.5;
    assert_follows_oracle(&options);
}

/* In two parts, the second of which does not decay. */
static void parts_are_one_step_and_decay_where_told(void **state)
{
    (void)state;
    struct optim_options options = adam;
    options.solver = SOLVER_ADAMW;
    options.weight_decay = 2.0;
    struct optim parts = {0};
    struct optim whole = {0};
    struct optim plain = {0};
    struct err err = {0};
    float a[9];
    float b[9];
    float c[9];
    float g[9];
    for (size_t i = 0; i < 9; i++) {
        a[i] = b[i] = c[i] = (float)i - 4.0F;
        g[i] = (float)(i % 3) - 1.0F;
    }
    assert_int_equal(optim_init(&parts, &options, 9, &err), 0);
    assert_int_equal(optim_init(&whole, &options, 9, &err), 0);
    assert_int_equal(optim_init(&plain, &adam, 9, &err), 0);
    const struct optim_part decaying = {0, 5, 1.0, 1.0};
    const struct optim_part others = {5, 4, 1.0, 0.0};
    for (size_t step = 0; step < 3; step++) {
        optim_begin(&parts);
        optim_part(&parts, a, g, &decaying);
        optim_part(&parts, a, g, &others);
        optim_step(&whole, b, g);
        optim_step(&plain, c, g);
    }
    for (size_t i = 0; i < 9; i++)
        assert_true(fabsf(a[i] - (i < 5 ? b[i] : c[i])) <= 1e-6F);
    assert_true(fabsf(b[8] - c[8]) > 0.1F);
    optim_clear(&parts);
    optim_clear(&whole);
    optim_clear(&plain);
}

static void first_adam_step_is_the_learning_rate(void **state)
{
    (void)state;
    struct optim optim = {0};
    struct err err = {0};
    float w[2] = {0.0F, 0.0F};
    const float g[2] = {3.0F, -0.001F};
    assert_int_equal(optim_init(&optim, &adam, 2, &err), 0);
    optim_step(&optim, w, g);
    assert_true(fabs((double)w[0] + 0.01) < 1e-6);
    assert_true(fabs((double)w[1] - 0.01) < 1e-5);
    optim_clear(&optim);
}

static void weight_without_gradient_stays(void **state)
{
    (void)state;
    struct optim_options tiny = adam;
    tiny.epsilon = 1e-60; /* 0 as a float */
    struct optim optim = {0};
    struct err err = {0};
    float w = 2.0F;
    const float g = 0.0F;
    assert_int_equal(optim_init(&optim, &tiny, 1, &err), 0);
    optim_step(&optim, &w, &g);
    assert_true(w == 2.0F);
    optim_clear(&optim);
}

static void nan_gradient_is_not_hidden(void **state)
{
    (void)state;
    for (enum solver solver = SOLVER_GD; solver < SOLVER_LBFGS; solver++) {
        struct optim_options options = adam;
        struct optim optim = {0};
        struct err err = {0};
        float w[9] = {0};
        float g[9] = {0};
        g[6] = NAN;
        options.solver = solver;
        assert_int_equal(optim_init(&optim, &options, 9, &err), 0);
        optim_step(&optim, w, g);
        assert_true(isnan(w[6]));
        assert_true(w[5] == 0.0F);
        optim_clear(&optim);
    }
}

static void out_of_memory_is_an_error(void **state)
{
    (void)state;
    struct optim optim = {0};
    struct err err = {0};
    assert_int_equal(optim_init(&optim, &adam, SIZE_MAX / 2, &err), -1);
    assert_int_equal(err.code, ERR_NO_MEMORY);
    assert_null(optim.first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gd_follows_its_formula),
        cmocka_unit_test(sgd_follows_its_formula),
        cmocka_unit_test(nesterov_follows_its_formula),
        cmocka_unit_test(adam_follows_its_formula),
        cmocka_unit_test(rmsprop_follows_its_formula),
        cmocka_unit_test(adamw_follows_its_formula),
        cmocka_unit_test(parts_are_one_step_and_decay_where_told),
        cmocka_unit_test(first_adam_step_is_the_learning_rate),
        cmocka_unit_test(weight_without_gradient_stays),
        cmocka_unit_test(nan_gradient_is_not_hidden),
        cmocka_unit_test(out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
