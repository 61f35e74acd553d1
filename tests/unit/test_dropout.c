#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "core/gemm.h"
#include "core/pass.h"
#include "core/mlp.h"

/* Under ASan a refused allocation is to be NULL, as it is without. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

#define ROWS  200
#define WIDTH 37

static void start_layers(struct dropout *dropout, const double *rates, size_t n_layers,
                         uint64_t seed)
{
    const size_t widths[2] = {WIDTH, WIDTH};
    struct err err = {0};
    assert_int_equal(dropout_init(dropout, rates, widths, n_layers, ROWS, seed, &err), 0);
}

static void fill_ones(float *a)
{
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        a[i] = 1.0F;
}

static void share_dropped_is_the_rate_and_the_mean_stays(void **state)
{
    (void)state;
    static const double rates[] = {0.1, 0.5, 0.9, 0.25};
    float a[ROWS * WIDTH];
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct dropout dropout;
        double sum = 0.0;
        double n_dropped = 0.0;
        start_layers(&dropout, &rates[i], 1, 1);
        for (uint64_t step = 0; step < 20; step++) {
            dropout.step = step;
            fill_ones(a);
            dropout_forward(&dropout, 0, 0, a, ROWS);
            memcpy(a, dropout_passed(&dropout, 0), sizeof a);
            for (size_t k = 0; k < ROWS * WIDTH; k++) {
                sum += (double)a[k];
                n_dropped += a[k] == 0.0F;
                assert_true(a[k] == 0.0F ||
                            fabs((double)a[k] * (1.0 - rates[i]) - 1.0) < 1e-4);
            }
        }
        double n = 20.0 * ROWS * WIDTH;
        double deviation = sqrt(rates[i] * (1.0 - rates[i]) / n);
        assert_true(fabs(n_dropped / n - rates[i]) < 4.0 * deviation + 1e-5);
        assert_true(fabs(sum / n - 1.0) < 4.0 * deviation / (1.0 - rates[i]) + 1e-4);
        dropout_clear(&dropout);
    }
}

static void draw(uint64_t seed, size_t layer, uint64_t step, float *a)
{
    static const double rates[2] = {0.5, 0.5};
    struct dropout dropout;
    start_layers(&dropout, rates, 2, seed);
    dropout.step = step;
    fill_ones(a);
    dropout_forward(&dropout, layer, 0, a, ROWS);
    memcpy(a, dropout_passed(&dropout, layer), ROWS * WIDTH * sizeof *a);
    dropout_clear(&dropout);
}

static void masks_hang_on_seed_layer_and_step_alone(void **state)
{
    (void)state;
    float first[ROWS * WIDTH];
    float other[ROWS * WIDTH];
    draw(1, 0, 5, first);
    draw(1, 0, 5, other);
    assert_memory_equal(first, other, sizeof first);
    static const uint64_t changes[][3] = {{2, 0, 5}, {1, 1, 5}, {1, 0, 6}};
    for (size_t i = 0; i < 3; i++) {
        draw(changes[i][0], (size_t)changes[i][1], changes[i][2], other);
        size_t n_same = 0;
        for (size_t k = 0; k < ROWS * WIDTH; k++)
            n_same += first[k] == other[k];
        assert_true(n_same > ROWS * WIDTH * 45 / 100);
        assert_true(n_same < ROWS * WIDTH * 55 / 100);
    }
}

/* However the rows of a batch are cut into pieces. */
static void pieces_of_a_batch_have_the_masks_of_the_whole(void **state)
{
    (void)state;
    static const double rate = 0.3;
    float whole[ROWS * WIDTH];
    float pieces[ROWS * WIDTH];
    float ones[ROWS * WIDTH];
    struct dropout dropout;
    start_layers(&dropout, &rate, 1, 9);
    dropout.step = 3;
    fill_ones(ones);
    dropout_forward(&dropout, 0, 0, ones, ROWS);
    memcpy(whole, dropout_passed(&dropout, 0), sizeof whole);
    for (size_t first = 0, n = 1; first < ROWS; first += n, n += 2) {
        n = first + n > ROWS ? ROWS - first : n;
        /* rows of one pass, or a piece of the batch each */
        dropout.first_row = first % 2 ? first : 0;
        size_t row = first - dropout.first_row;
        dropout_forward(&dropout, 0, row, ones, n);
        memcpy(pieces + first * WIDTH, dropout_passed(&dropout, 0) + row * WIDTH,
               n * WIDTH * sizeof *pieces);
    }
    assert_memory_equal(whole, pieces, sizeof whole);
    dropout_clear(&dropout);
}

static void rate_of_zero_changes_nothing(void **state)
{
    (void)state;
    static const double rates[2] = {0.0, 0.5};
    float a[ROWS * WIDTH];
    float delta[ROWS * WIDTH];
    float ones[ROWS * WIDTH];
    struct dropout dropout;
    start_layers(&dropout, rates, 2, 1);
    fill_ones(a);
    fill_ones(delta);
    fill_ones(ones);
    dropout_forward(&dropout, 0, 0, a, ROWS);
    dropout_backward(&dropout, 0, 0, delta, ROWS);
    assert_null(dropout_passed(&dropout, 0));
    assert_memory_equal(a, ones, sizeof a);
    assert_memory_equal(delta, ones, sizeof a);
    dropout_clear(&dropout);
    dropout_clear(&dropout);
}

/* --- the gradient of a net with a fixed mask ---------------------------------------------- */

#define N     6
#define IN    3
#define H     5
#define DEPTH 2 /* hidden layers of H */

struct oracle {
    const struct mlp *mlp;
    const struct dropout *dropout; /* its masks, as the last pass drew them */
    float x[N * IN];
    float t[N];
    double w[200];
};

static double act(enum act kind, double z)
{
    return kind == ACT_TANH   ? tanh(z)
           : kind == ACT_RELU ? fmax(z, 0.0)
                              : 1 / (1 + exp(-z));
}

/* Loss of the masked net, in double and plain loops. */
static double masked_loss(const struct oracle *o)
{
    double sum = 0.0;
    for (size_t row = 0; row < N; row++) {
        double in[H] = {0};
        double out[H] = {0};
        for (size_t i = 0; i < IN; i++)
            in[i] = (double)o->x[row * IN + i];
        for (size_t l = 0; l <= DEPTH; l++) {
            const struct mlp_layer *layer = &o->mlp->layers[l];
            for (size_t j = 0; j < layer->fan_out; j++) {
                double z = o->w[layer->biases_at + j];
                for (size_t i = 0; i < layer->fan_in; i++)
                    z += in[i] * o->w[layer->weights_at + i * layer->fan_out + j];
                out[j] = z;
                if (l < DEPTH) {
                    const struct dropout_layer *of = &o->dropout->layers[l];
                    out[j] = of->mask[row * H + j] > 0.0F
                                 ? act(layer->activation, z) / (double)of->keep
                                 : 0.0;
                }
            }
            memcpy(in, out, sizeof in);
        }
        sum += 0.5 * pow(in[0] - (double)o->t[row], 2.0);
    }
    return sum / N;
}

static void check_gradient(enum act activation, int zero_biases)
{
    static const size_t sizes[DEPTH] = {H, H};
    static const double rates[DEPTH] = {0.5, 0.25};
    const struct mlp_spec spec = {.n_inputs = IN,
                                  .hidden_layer_sizes = sizes,
                                  .n_hidden = DEPTH,
                                  .n_outputs = 1,
                                  .activation = activation,
                                  .output_activation = ACT_IDENTITY,
                                  .loss = LOSS_SQUARED_ERROR};
    struct mlp mlp = {0};
    struct pass *ws = NULL;
    struct dropout dropout = {0};
    struct err err = {0};
    float gradient[200];
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    mlp_init_weights(&mlp, MLP_HE_NORMAL, 0.0, 4);
    assert_int_equal(pass_new(&mlp, N, 1, &ws, &err), 0);
    assert_int_equal(dropout_init(&dropout, rates, sizes, DEPTH, N, 8, &err), 0);
    struct oracle o = {.mlp = &mlp, .dropout = &dropout};
    for (size_t i = 0; i < N * IN; i++)
        o.x[i] = (float)rng_normal(3, RNG_TEST, 0, i);
    if (zero_biases) /* a row of zeros: outputs of 0 that were not dropped */
        memset(o.x, 0, IN * sizeof *o.x);
    for (size_t i = 0; i < N; i++)
        o.t[i] = (float)rng_normal(3, RNG_TEST, 1, i);
    for (size_t i = 0; i < mlp.n_parameters; i++) {
        if (!zero_biases)
            mlp.parameters[i] += (float)(0.1 * rng_normal(3, RNG_TEST, 2, i));
        o.w[i] = (double)mlp.parameters[i];
    }
    pass_set_dropout(ws, &dropout);
    dropout.step = 12;
    double loss = pass_gradient(ws, o.x, o.t, NULL, N, gradient);
    assert_true(fabs(loss - masked_loss(&o)) < 1e-5 * loss);
    double largest = 0.0;
    for (size_t i = 0; i < mlp.n_parameters; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    assert_true(largest > 1e-2);
    for (size_t i = 0; i < mlp.n_parameters; i++) {
        double w = o.w[i];
        o.w[i] = w + 1e-6;
        double high = masked_loss(&o);
        o.w[i] = w - 1e-6;
        double low = masked_loss(&o);
        o.w[i] = w;
        double wanted = (high - low) / 2e-6;
        if (!(fabs((double)gradient[i] - wanted) <= 1e-5 * largest))
            fail_msg("parameter %zu: %g, wanted %g", i, (double)gradient[i], wanted);
    }
    dropout_clear(&dropout);
    pass_free(ws);
    mlp_clear(&mlp);
}

static void gradient_with_a_mask_is_that_of_the_masked_net(void **state)
{
    (void)state;
    check_gradient(ACT_TANH, 0);
    check_gradient(ACT_RELU, 0);
    check_gradient(ACT_LOGISTIC, 0);
    check_gradient(ACT_TANH, 1);
}

static void out_of_memory_is_an_error(void **state)
{
    (void)state;
    static const double rates[1] = {0.5};
    static const size_t widths[1] = {SIZE_MAX / 4};
    for (size_t max_rows = 2; max_rows < 10; max_rows += 6) {
        struct dropout dropout = {0};
        struct err err = {0};
        assert_int_equal(dropout_init(&dropout, rates, widths, 1, max_rows, 1, &err), -1);
        assert_int_equal(err.code, ERR_NO_MEMORY);
        assert_null(dropout.layers);
    }
}

static int start(void **state)
{
    (void)state;
    struct err err = {0};
    return gemm_start(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(share_dropped_is_the_rate_and_the_mean_stays),
        cmocka_unit_test(masks_hang_on_seed_layer_and_step_alone),
        cmocka_unit_test(pieces_of_a_batch_have_the_masks_of_the_whole),
        cmocka_unit_test(rate_of_zero_changes_nothing),
        cmocka_unit_test(gradient_with_a_mask_is_that_of_the_masked_net),
        cmocka_unit_test(out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
