/* Elementary functions of the core against libm in double, over all exponents. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/vec.h"

#define BLOCK 4096

static double exact_logistic(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static const struct {
    const char *name;
    void (*ours)(float *x, size_t n);
    double (*exact)(double x);
} functions[] = {
    {"exp", vec_exp, exp},       {"expm1", vec_expm1, expm1},
    {"log1p", vec_log1p, log1p}, {"tanh", vec_tanh, tanh},
    {"erf", vec_erf, erf},       {"logistic", vec_logistic, exact_logistic},
};
#define N_FUNCTIONS (sizeof functions / sizeof *functions)

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Distance in units of the float32 spacing at the exact value. */
static double ulps(float got, double exact)
{
    if (isnan(exact))
        return isnan(got) ? 0.0 : (double)INFINITY;
    if ((double)(float)exact == (double)got)
        return 0.0;
    if (!isfinite(got) || !isfinite((float)exact)) {
        /* One above the largest float is as good as infinite. */
        double limit = (double)FLT_MAX * (1.0 - 4.0 / 16777216.0);
        return fabs((double)got) >= limit && fabs(exact) >= limit ? 1.0
                                                                  : (double)INFINITY;
    }
    int exponent;
    frexp(exact, &exponent);
    double spacing = ldexp(1.0, exponent > -125 ? exponent - 24 : -149);
    return fabs((double)got - exact) / spacing;
}

static double worst_of(size_t f, uint32_t first, uint32_t step, uint64_t n, float *where)
{
    double worst = 0.0;
    for (uint64_t done = 0; done < n; done += BLOCK) {
        float in[BLOCK];
        float out[BLOCK];
        for (size_t i = 0; i < BLOCK; i++)
            in[i] = from_bits(first + (uint32_t)(done + i) * step);
        memcpy(out, in, sizeof out);
        functions[f].ours(out, BLOCK);
        for (size_t i = 0; i < BLOCK; i++) {
            double error = ulps(out[i], functions[f].exact((double)in[i]));
            if (error > worst) {
                worst = error;
                *where = in[i];
            }
        }
    }
    return worst;
}

/* An odd step through all bit patterns meets every exponent, NaN and infinities too. */
static void every_function_is_within_4_ulp_of_double_everywhere(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_FUNCTIONS; f++) {
        float where = 0.0F;
        double worst = worst_of(f, 0, 2017, (1ULL << 32) / 2017, &where);
        print_message("vec_%s: %.2f ulp at %.9g\n", functions[f].name, worst,
                      (double)where);
        if (!(worst <= 4.0))
            fail_msg("vec_%s is %.2f ulp off at %.9g", functions[f].name, worst,
                     (double)where);
    }
}

/* The exponents between 2^-8 and 2^8, where nets live, more densely. */
static void every_function_is_within_4_ulp_where_nets_live(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_FUNCTIONS; f++) {
        for (uint32_t sign = 0; sign < 2; sign++) {
            float where = 0.0F;
            double worst =
                worst_of(f, sign << 31 | 119U << 23, 131, (16U << 23) / 131, &where);
            if (!(worst <= 4.0))
                fail_msg("vec_%s is %.2f ulp off at %.9g", functions[f].name, worst,
                         (double)where);
        }
    }
}

static void ends_of_the_range_are_exact(void **state)
{
    (void)state;
    static const float ends[] = {0.0F,     -0.0F,       INFINITY,     -INFINITY,
                                 NAN,      -NAN,        FLT_MAX,      -FLT_MAX,
                                 FLT_MIN,  -FLT_MIN,    1e-45F,       -1e-45F,
                                 -1.0F,    1.0F,        88.7228394F,  88.7228470F,
                                 -103.97F, -103.97208F, -0.99999994F, -87.3365479F};
    for (size_t f = 0; f < N_FUNCTIONS; f++) {
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            float x = ends[i];
            functions[f].ours(&x, 1);
            double error = ulps(x, functions[f].exact((double)ends[i]));
            if (!(error <= 4.0))
                fail_msg("vec_%s(%.9g) = %.9g is %g ulp off", functions[f].name,
                         (double)ends[i], (double)x, error);
        }
    }
}

/* The main loop and the rest of a vector must not differ. */
static void result_does_not_depend_on_the_place(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_FUNCTIONS; f++) {
        float all[67];
        for (size_t i = 0; i < 67; i++)
            all[i] = (float)i * 0.31F - 9.7F;
        for (size_t i = 0; i < 67; i++) {
            float block[67];
            float one = all[i];
            memcpy(block, all, sizeof block);
            functions[f].ours(block, 67);
            functions[f].ours(&one, 1);
            assert_memory_equal(&one, &block[i], sizeof one);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_is_within_4_ulp_of_double_everywhere),
        cmocka_unit_test(every_function_is_within_4_ulp_where_nets_live),
        cmocka_unit_test(ends_of_the_range_are_exact),
        cmocka_unit_test(result_does_not_depend_on_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
