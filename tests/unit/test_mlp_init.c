/* First biases, and the init that suits an activation. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "core/mlp.h"

static struct mlp make_net(void)
{
    static const size_t width = 10000;
    struct mlp_spec spec = {.n_inputs = 1,
                            .hidden_layer_sizes = &width,
                            .n_hidden = 1,
                            .n_outputs = 3,
                            .activation = ACT_RELU};
    struct mlp mlp = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    mlp_init_weights(&mlp, MLP_NORMAL, 1.0, 7);
    return mlp;
}

static const float *biases_of(const struct mlp *mlp, size_t layer)
{
    return mlp->parameters + mlp->layers[layer].biases_at;
}

static void biases_are_normal_with_that_deviation(void **state)
{
    (void)state;
    struct mlp mlp = make_net();
    const float *biases = biases_of(&mlp, 0);
    double sum = 0.0;
    double squares = 0.0;
    mlp_init_biases(&mlp, 0.5, 7);
    for (size_t i = 0; i < 10000; i++) {
        sum += (double)biases[i];
        squares += (double)biases[i] * (double)biases[i];
    }
    assert_true(fabs(sum / 10000) < 0.02); /* 4 standard errors */
    assert_true(fabs(sqrt(squares / 10000) - 0.5) < 0.015);
    for (size_t i = 0; i < 3; i++)
        assert_true(biases_of(&mlp, 1)[i] != 0.0F);
    mlp_clear(&mlp);
}

static void biases_follow_the_seed_and_are_not_the_weights(void **state)
{
    (void)state;
    struct mlp one = make_net();
    struct mlp two = make_net();
    const float *weights = one.parameters + one.layers[0].weights_at;
    const size_t size = 10000 * sizeof *weights;
    mlp_init_biases(&one, 1.0, 7);
    mlp_init_biases(&two, 1.0, 7);
    assert_memory_equal(biases_of(&one, 0), biases_of(&two, 0), size);
    double product = 0.0;
    for (size_t i = 0; i < 10000; i++)
        product += (double)biases_of(&one, 0)[i] * (double)weights[i];
    assert_true(fabs(product / 10000) < 0.05); /* uncorrelated, 5 standard errors */
    mlp_init_biases(&two, 1.0, 8);
    assert_int_not_equal(memcmp(biases_of(&one, 0), biases_of(&two, 0), size), 0);
    /* the weights are not touched */
    assert_memory_equal(weights, two.parameters + two.layers[0].weights_at, size);
    mlp_clear(&one);
    mlp_clear(&two);
}

static void deviation_of_zero_is_biases_of_zero(void **state)
{
    (void)state;
    struct mlp mlp = make_net();
    mlp_init_biases(&mlp, 1.0, 7);
    mlp_init_biases(&mlp, 0.0, 7);
    for (size_t i = 0; i < 10000; i++)
        assert_true(biases_of(&mlp, 0)[i] == 0.0F);
    mlp_clear(&mlp);
}

static void every_activation_has_the_init_of_its_paper(void **state)
{
    (void)state;
    static const enum mlp_init expected[ACT_COUNT] = {
        [ACT_IDENTITY] = MLP_GLOROT_UNIFORM, [ACT_LOGISTIC] = MLP_GLOROT_UNIFORM,
        [ACT_TANH] = MLP_GLOROT_UNIFORM,     [ACT_RELU] = MLP_HE_NORMAL,
        [ACT_LEAKY_RELU] = MLP_HE_NORMAL,    [ACT_ELU] = MLP_HE_NORMAL,
        [ACT_SELU] = MLP_LECUN_NORMAL,       [ACT_GELU] = MLP_HE_NORMAL,
        [ACT_SILU] = MLP_HE_NORMAL,          [ACT_MISH] = MLP_HE_NORMAL,
        [ACT_SOFTPLUS] = MLP_HE_NORMAL,      [ACT_STEP] = MLP_GLOROT_UNIFORM,
        [ACT_SOFTMAX] = MLP_GLOROT_UNIFORM,
    };
    for (int act = 0; act < ACT_COUNT; act++)
        assert_int_equal(mlp_init_for((enum act)act), expected[act]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(biases_are_normal_with_that_deviation),
        cmocka_unit_test(biases_follow_the_seed_and_are_not_the_weights),
        cmocka_unit_test(deviation_of_zero_is_biases_of_zero),
        cmocka_unit_test(every_activation_has_the_init_of_its_paper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
