#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "core/pass.h"
#include "core/weights.h"

static const size_t hidden_sizes[2] = {4, 2};

static struct mlp make_net(size_t n_hidden)
{
    struct mlp_spec spec = {.n_inputs = 3,
                            .hidden_layer_sizes = hidden_sizes,
                            .n_hidden = n_hidden,
                            .n_outputs = 2,
                            .activation = ACT_TANH,
                            .output_activation = ACT_SOFTMAX,
                            .loss = LOSS_CROSS_ENTROPY};
    struct mlp mlp = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    mlp_init_weights(&mlp, MLP_HE_NORMAL, 0.0, 5);
    for (size_t l = 0; l < mlp.n_layers; l++)
        mlp.parameters[mlp.layers[l].biases_at] = (float)l - 0.25F;
    return mlp;
}

/* A net with all that a net can have, no two numbers of it the same. */
static struct mlp make_full(enum mlp_normalization normalization, bool ntk, bool scale,
                            size_t n_hidden)
{
    struct mlp_spec spec = {.n_inputs = 3,
                            .hidden_layer_sizes = hidden_sizes,
                            .n_hidden = n_hidden,
                            .n_outputs = 2,
                            .activation = ACT_SELU,
                            .output_activation = ACT_SOFTMAX,
                            .loss = LOSS_CROSS_ENTROPY,
                            .loss_options = loss_defaults(),
                            .normalization = normalization,
                            .ntk_parametrization = ntk,
                            .feature_scale = scale};
    struct mlp mlp = {0};
    struct err err = {0};
    spec.loss_options.label_smoothing = 0.1;
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    for (size_t i = 0; i < mlp.n_parameters; i++)
        mlp.parameters[i] = 0.5F - 0.0625F * (float)i;
    for (size_t i = 0; i < mlp.n_statistics; i++)
        mlp.statistics[i] = 0.25F + (float)i;
    return mlp;
}

static struct mlp make_embedded(bool scale)
{
    static const size_t inputs[2] = {0, 2};
    struct mlp_spec spec = {
        .n_inputs = 3,
        .hidden_layer_sizes = hidden_sizes,
        .n_hidden = 1,
        .n_outputs = 2,
        .activation = ACT_MISH,
        .output_activation = ACT_SOFTMAX,
        .loss = LOSS_CROSS_ENTROPY,
        .loss_options = loss_defaults(),
        .normalization = MLP_LAYER_NORM,
        .ntk_parametrization = true,
        .feature_scale = scale,
        .periodic = {.n = 2, .inputs = inputs, .n_frequencies = 2, .width = 3}};
    struct mlp mlp = {0};
    struct err err = {0};
    spec.loss_options.label_smoothing = 0.1;
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    for (size_t i = 0; i < mlp.n_parameters; i++)
        mlp.parameters[i] = 0.5F - 0.0625F * (float)i;
    return mlp;
}

static void check_same(const struct mlp *one, const struct mlp *two)
{
    assert_int_equal(one->n_layers, two->n_layers);
    assert_int_equal(one->loss, two->loss);
    assert_int_equal(one->has_scales, two->has_scales);
    assert_int_equal(one->periodic.n_inputs, two->periodic.n_inputs);
    assert_int_equal(one->periodic.n, two->periodic.n);
    assert_int_equal(one->periodic_at, two->periodic_at);
    for (size_t i = 0; i < one->periodic.n; i++)
        assert_int_equal(one->periodic.inputs[i], two->periodic.inputs[i]);
    for (size_t l = 0; l < one->n_layers; l++) {
        const struct mlp_layer *a = &one->layers[l];
        const struct mlp_layer *b = &two->layers[l];
        assert_int_equal(a->fan_in, b->fan_in);
        assert_int_equal(a->fan_out, b->fan_out);
        assert_int_equal(a->activation, b->activation);
        assert_int_equal(a->normalization, b->normalization);
        assert_true(a->factor == b->factor);
        assert_int_equal(a->weights_at, b->weights_at);
    }
    assert_int_equal(one->n_parameters, two->n_parameters);
    assert_int_equal(one->n_statistics, two->n_statistics);
    assert_memory_equal(one->parameters, two->parameters,
                        one->n_parameters * sizeof(float));
    if (one->n_statistics)
        assert_memory_equal(one->statistics, two->statistics,
                            one->n_statistics * sizeof(float));
}

static struct buf encode(const struct mlp *mlp)
{
    struct buf out;
    struct err err = {0};
    buf_init(&out, 1 << 20);
    weights_encode(mlp, &out);
    assert_int_equal(buf_check(&out, &err), 0);
    return out;
}

static void net_comes_back_as_it_was(void **state)
{
    (void)state;
    for (size_t n_hidden = 0; n_hidden <= 2; n_hidden++) {
        struct mlp mlp = make_net(n_hidden);
        struct buf bytes = encode(&mlp);
        struct mlp back = {0};
        struct err err = {0};
        assert_int_equal(weights_decode(bytes.bytes, bytes.len, &back, &err), 0);
        check_same(&back, &mlp);
        assert_int_equal((unsigned char)bytes.bytes[0] % 8, 0); /* header, padded */
        struct buf again = encode(&back);
        assert_int_equal(again.len, bytes.len);
        assert_memory_equal(again.bytes, bytes.bytes, bytes.len);
        buf_clear(&again);
        buf_clear(&bytes);
        mlp_clear(&back);
        mlp_clear(&mlp);
    }
}

static void check_full(const struct mlp *mlp)
{
    const float x[6] = {0.5F, -1.0F, 2.0F, 0.0F, 3.0F, -0.25F};
    struct mlp back = {0};
    struct pass *passes[2] = {NULL, NULL};
    struct err err = {0};
    struct buf bytes = encode(mlp);
    if (weights_decode(bytes.bytes, bytes.len, &back, &err) < 0)
        fail_msg("%s", err.message);
    check_same(&back, mlp);
    assert_true(back.loss_options.label_smoothing == 0.1);
    struct buf again = encode(&back);
    assert_int_equal(again.len, bytes.len);
    assert_memory_equal(again.bytes, bytes.bytes, bytes.len);
    assert_int_equal(pass_new(mlp, 2, false, &passes[0], &err), 0);
    assert_int_equal(pass_new(&back, 2, false, &passes[1], &err), 0);
    const float *said = pass_forward(passes[0], x, 2);
    assert_memory_equal(pass_forward(passes[1], x, 2), said, 4 * sizeof *said);
    pass_free(passes[0]);
    pass_free(passes[1]);
    buf_clear(&again);
    buf_clear(&bytes);
    mlp_clear(&back);
}

static void normalisation_scales_and_factors_come_back(void **state)
{
    (void)state;
    for (int normalization = 0; normalization < MLP_NORMALIZATION_COUNT;
         normalization++) {
        for (int i = 0; i < 12; i++) {
            size_t n_hidden = (size_t)i / 4;
            if (normalization != MLP_NORMALIZATION_NONE && n_hidden == 0)
                continue;
            struct mlp mlp =
                make_full((enum mlp_normalization)normalization, i & 1, i & 2, n_hidden);
            check_full(&mlp);
            mlp_clear(&mlp);
        }
    }
}

static void embeddings_come_back(void **state)
{
    (void)state;
    for (int scale = 0; scale < 2; scale++) {
        struct mlp mlp = make_embedded(scale);
        check_full(&mlp);
        mlp_clear(&mlp);
    }
}

/* Where there is one input, c is 1: the nets are the same. */
static void ntk_of_one_input_is_standard(void **state)
{
    (void)state;
    struct mlp_spec spec = {.n_inputs = 1, .n_outputs = 1, .ntk_parametrization = true};
    struct mlp mlp = {0};
    struct mlp back = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    struct buf bytes = encode(&mlp);
    assert_int_equal(weights_decode(bytes.bytes, bytes.len, &back, &err), 0);
    check_same(&back, &mlp);
    buf_clear(&bytes);
    mlp_clear(&back);
    mlp_clear(&mlp);
}

static void figures_of_the_loss_come_back(void **state)
{
    (void)state;
    const struct loss_options usual = loss_defaults();
    const struct loss_options unusual = {1.35, 2.0, 0.1 + 0.2, 0.9, 0.25};
    for (enum loss loss = 0; loss < LOSS_CROSS_ENTROPY; loss++) {
        struct mlp_spec spec = {.n_inputs = 1,
                                .n_outputs = 1,
                                .output_activation = loss == LOSS_BINARY_CROSS_ENTROPY
                                                         ? ACT_LOGISTIC
                                                         : ACT_IDENTITY,
                                .loss = loss,
                                .loss_options = unusual};
        struct mlp mlp = {0};
        struct mlp back = {0};
        struct err err = {0};
        assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
        struct buf bytes = encode(&mlp);
        assert_int_equal(weights_decode(bytes.bytes, bytes.len, &back, &err), 0);
        const struct loss_options *o = &back.loss_options;
        bool is_asymmetric = loss == LOSS_ASYMMETRIC_SQUARED;
        bool is_smoothed = loss == LOSS_BINARY_CROSS_ENTROPY;
        /* what a loss does not use is not kept */
        assert_true(o->delta == (loss == LOSS_HUBER ? unusual.delta : usual.delta));
        assert_true(o->over == (is_asymmetric ? unusual.over : usual.over));
        assert_true(o->under == (is_asymmetric ? unusual.under : usual.under));
        assert_true(o->q == (loss == LOSS_QUANTILE ? unusual.q : usual.q));
        assert_true(o->label_smoothing ==
                    (is_smoothed ? unusual.label_smoothing : usual.label_smoothing));
        buf_clear(&bytes);
        mlp_clear(&back);
        mlp_clear(&mlp);
    }
}

static void every_function_comes_back(void **state)
{
    (void)state;
    for (enum loss loss = 0; loss < LOSS_COUNT; loss++) {
        for (enum act act = ACT_IDENTITY; act < ACT_SOFTMAX; act++) {
            struct mlp_spec spec = {.n_inputs = 3,
                                    .hidden_layer_sizes = hidden_sizes,
                                    .n_hidden = 1,
                                    .n_outputs = 2,
                                    .activation = act,
                                    .output_activation = act,
                                    .loss = loss,
                                    .loss_options = loss_defaults()};
            struct mlp mlp = {0};
            struct mlp back = {0};
            struct err err = {0};
            if (!loss_may_follow(loss, act, 2))
                continue;
            assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
            struct buf bytes = encode(&mlp);
            assert_int_equal(weights_decode(bytes.bytes, bytes.len, &back, &err), 0);
            assert_int_equal(back.loss, loss);
            assert_int_equal(back.layers[0].activation, act);
            assert_int_equal(back.layers[1].activation, act);
            assert_true(back.loss_options.q == 0.5 && back.loss_options.delta == 1.0);
            buf_clear(&bytes);
            mlp_clear(&back);
            mlp_clear(&mlp);
        }
    }
}

/* Two thresholds tell whether x lies between 0 and 1: the textbook's indicator. */
static void net_of_steps_predicts(void **state)
{
    (void)state;
    const size_t two = 2;
    struct mlp_spec spec = {.n_inputs = 1,
                            .hidden_layer_sizes = &two,
                            .n_hidden = 1,
                            .n_outputs = 1,
                            .activation = ACT_STEP,
                            .output_activation = ACT_STEP,
                            .loss = LOSS_SQUARED_ERROR};
    static const float net[] = {1.0F, 1.0F, 0.0F, -1.0F, 1.0F, -1.0F, -0.5F};
    const float x[4] = {-0.5F, 0.5F, 1.5F, 0.0F};
    struct mlp mlp = {0};
    struct mlp back = {0};
    struct pass *pass = NULL;
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    assert_int_equal(mlp.n_parameters, 7);
    memcpy(mlp.parameters, net, sizeof net);
    struct buf bytes = encode(&mlp);
    assert_int_equal(weights_decode(bytes.bytes, bytes.len, &back, &err), 0);
    assert_int_equal(pass_new(&back, 4, false, &pass, &err), 0);
    const float *y = pass_forward(pass, x, 4);
    assert_true(y[0] == 0.0F && y[1] == 1.0F && y[2] == 0.0F && y[3] == 0.0F);
    pass_free(pass);
    buf_clear(&bytes);
    mlp_clear(&back);
    mlp_clear(&mlp);
}

static void log_link_of_poisson_survives(void **state)
{
    (void)state;
    struct mlp_spec spec = {.n_inputs = 1, .n_outputs = 1, .loss = LOSS_POISSON};
    const float x = 2.0F;
    struct mlp mlp = {0};
    struct mlp back = {0};
    struct pass *pass = NULL;
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    mlp.parameters[0] = 0.75F;
    struct buf bytes = encode(&mlp);
    assert_int_equal(weights_decode(bytes.bytes, bytes.len, &back, &err), 0);
    assert_int_equal(pass_new(&back, 1, false, &pass, &err), 0);
    assert_true(fabs((double)pass_forward(pass, &x, 1)[0] - exp(1.5)) < 1e-6);
    pass_free(pass);
    buf_clear(&bytes);
    mlp_clear(&back);
    mlp_clear(&mlp);
}

static void large_net_comes_back_as_it_was(void **state)
{
    (void)state;
    const size_t width = 777; /* more floats than one block of the writer, and a rest */
    struct mlp_spec spec = {.n_inputs = 11,
                            .hidden_layer_sizes = &width,
                            .n_hidden = 1,
                            .n_outputs = 1,
                            .activation = ACT_RELU,
                            .output_activation = ACT_LOGISTIC,
                            .loss = LOSS_BINARY_CROSS_ENTROPY};
    struct mlp mlp = {0};
    struct mlp back = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    mlp_init_weights(&mlp, MLP_GLOROT_NORMAL, 0.0, 1);
    struct buf bytes = encode(&mlp);
    assert_int_equal(weights_decode(bytes.bytes, bytes.len, &back, &err), 0);
    assert_memory_equal(back.parameters, mlp.parameters,
                        mlp.n_parameters * sizeof(float));
    buf_clear(&bytes);
    mlp_clear(&back);
    mlp_clear(&mlp);
}

static void header_is_as_safetensors_wants_it(void **state)
{
    (void)state;
    struct mlp mlp = make_net(0);
    struct buf bytes = encode(&mlp);
    struct endian_reader reader;
    endian_reader_init(&reader, bytes.bytes, bytes.len);
    size_t len = (size_t)endian_get_u64(&reader);
    static const char wanted[] =
        "{\"__metadata__\":{\"format\":\"mlpd\",\"output_activation\":\"softmax\","
        "\"loss\":\"cross_entropy\"},\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[3,"
        "2],"
        "\"data_offsets\":[0,24]},\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],"
        "\"data_offsets\":[24,32]}}";
    assert_int_equal(len % 8, 0);
    assert_in_range(len, sizeof wanted - 1, sizeof wanted - 1 + 7);
    assert_memory_equal(bytes.bytes + 8, wanted, sizeof wanted - 1);
    for (size_t i = sizeof wanted - 1; i < len; i++)
        assert_int_equal(bytes.bytes[8 + i], ' ');
    assert_int_equal(bytes.len, 8 + len + 32);
    buf_clear(&bytes);
    mlp_clear(&mlp);
}

static void header_names_the_parts_as_torch_does(void **state)
{
    (void)state;
    const size_t two = 2;
    struct mlp_spec spec = {.n_inputs = 4,
                            .hidden_layer_sizes = &two,
                            .n_hidden = 1,
                            .n_outputs = 1,
                            .activation = ACT_RELU,
                            .loss = LOSS_QUANTILE,
                            .loss_options = {.q = 0.9},
                            .normalization = MLP_BATCH_NORM,
                            .ntk_parametrization = true,
                            .feature_scale = true};
    struct mlp mlp = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    struct buf bytes = encode(&mlp);
    static const char wanted[] =
        "{\"__metadata__\":{\"format\":\"mlpd\",\"activation\":\"relu\","
        "\"output_activation\":\"identity\",\"loss\":\"quantile\",\"q\":\"0.9\","
        "\"normalization\":\"batch_norm\",\"parametrization\":\"ntk\"},"
        "\"feature_scale\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
        "\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[4,2],"
        "\"data_offsets\":[16,48]},"
        "\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[48,56]},"
        "\"layers.0.norm.weight\":{\"dtype\":\"F32\",\"shape\":[2],"
        "\"data_offsets\":[56,64]},"
        "\"layers.0.norm.running_mean\":{\"dtype\":\"F32\",\"shape\":[2],"
        "\"data_offsets\":[76,84]},"
        "\"layers.0.norm.running_var\":{\"dtype\":\"F32\",\"shape\":[2],"
        "\"data_offsets\":[84,92]},"
        "\"layers.1.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],"
        "\"data_offsets\":[64,72]},"
        "\"layers.1.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[72,76]}}";
    assert_memory_equal(bytes.bytes + 8, wanted, sizeof wanted - 1);
    buf_clear(&bytes);
    mlp_clear(&mlp);
}

static void full_buffer_is_reported(void **state)
{
    (void)state;
    struct mlp mlp = make_net(1);
    struct err err = {0};
    struct buf out;
    buf_init(&out, 100);
    weights_encode(&mlp, &out);
    assert_int_equal(buf_check(&out, &err), -1);
    buf_clear(&out);
    mlp_clear(&mlp);
}

/* The copy has the exact size, so that a read behind it is seen by ASan. */
static int decode_copy(const char *bytes, size_t len, struct mlp *mlp, struct err *err)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    int rc = weights_decode(copy, len, mlp, err);
    free(copy);
    return rc;
}

static void check_truncations(struct mlp *mlp)
{
    struct buf bytes = encode(mlp);
    for (size_t len = 0; len < bytes.len; len++) {
        struct mlp back = {.n_layers = 77};
        struct err err = {0};
        assert_int_equal(decode_copy(bytes.bytes, len, &back, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_int_equal(back.n_layers, 77);
    }
    buf_putc(&bytes, '\0');
    struct mlp back = {0};
    struct err err = {0};
    assert_int_equal(decode_copy(bytes.bytes, bytes.len, &back, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    buf_clear(&bytes);
    mlp_clear(mlp);
}

static void every_truncation_is_corrupt(void **state)
{
    (void)state;
    struct mlp plain = make_net(1);
    struct mlp full = make_full(MLP_BATCH_NORM, true, true, 2);
    struct mlp embedded = make_embedded(true);
    check_truncations(&embedded);
    check_truncations(&plain);
    check_truncations(&full);
}

static void changed_byte_never_crashes(void **state)
{
    (void)state;
    struct mlp mlp = make_net(2);
    struct buf bytes = encode(&mlp);
    size_t n_refused = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        char kept = bytes.bytes[i];
        for (unsigned value = 0; value < 256; value++) {
            struct mlp back = {0};
            struct err err = {0};
            bytes.bytes[i] = (char)value;
            if (decode_copy(bytes.bytes, bytes.len, &back, &err) < 0) {
                assert_int_equal(err.code, ERR_CORRUPT);
                n_refused++;
            }
            mlp_clear(&back);
        }
        bytes.bytes[i] = kept;
    }
    assert_true(n_refused > 100000);
    buf_clear(&bytes);
    mlp_clear(&mlp);
}

/* A net that was read from changed bytes is one that can be written, read and run. */
static void check_valid(const struct mlp *mlp)
{
    static const float x[16] = {1.0F, -1.0F};
    struct mlp back = {0};
    struct pass *pass = NULL;
    struct err err = {0};
    struct buf bytes = encode(mlp);
    assert_int_equal(weights_decode(bytes.bytes, bytes.len, &back, &err), 0);
    check_same(&back, mlp);
    assert_true(mlp_n_inputs(mlp) <= 16);
    assert_int_equal(pass_new(&back, 1, false, &pass, &err), 0);
    assert_non_null(pass_forward(pass, x, 1));
    pass_free(pass);
    buf_clear(&bytes);
    mlp_clear(&back);
}

static void check_flips(struct mlp *mlp)
{
    size_t n_refused = 0;
    size_t n_read = 0;
    struct buf bytes = encode(mlp);
    for (size_t i = 0; i < 8 * bytes.len; i++) {
        struct mlp back = {0};
        struct err err = {0};
        bytes.bytes[i / 8] = (char)(bytes.bytes[i / 8] ^ 1 << i % 8);
        if (decode_copy(bytes.bytes, bytes.len, &back, &err) < 0) {
            assert_int_equal(err.code, ERR_CORRUPT);
            n_refused++;
        } else {
            check_valid(&back);
            n_read++;
        }
        mlp_clear(&back);
        bytes.bytes[i / 8] = (char)(bytes.bytes[i / 8] ^ 1 << i % 8);
    }
    assert_true(n_refused > 5000 && n_read > 1000);
    buf_clear(&bytes);
    mlp_clear(mlp);
}

static void flipped_bit_of_a_full_net_gives_an_error_or_a_net(void **state)
{
    (void)state;
    struct mlp full = make_full(MLP_BATCH_NORM, true, true, 2);
    struct mlp embedded = make_embedded(true);
    check_flips(&full);
    check_flips(&embedded);
}

/* --- headers that lie -------------------------------------------------------------------- */

#define META                                                                             \
    "\"__metadata__\":{\"format\":\"mlpd\",\"activation\":\"relu\","                     \
    "\"output_activation\":\"identity\",\"loss\":\"squared_error\"}"
#define W0                                                                               \
    "\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}"
#define B0 "\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}"

/* Decodes such a header with 12 bytes of data behind it. */
static int decode_header(const char *header, float last, struct mlp *mlp, struct err *err)
{
    struct buf bytes;
    const float values[3] = {1.5F, -2.0F, last};
    buf_init(&bytes, 1 << 22);
    endian_put_u64(&bytes, strlen(header));
    buf_text(&bytes, header);
    buf_put(&bytes, values, sizeof values);
    int rc = decode_copy(bytes.bytes, bytes.len, mlp, err);
    buf_clear(&bytes);
    return rc;
}

static void header_of_another_writer_is_read(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{" META "," W0 "," B0 "}",
        "{" B0 "," W0 "," META "}",
        "{ " META " ,\n" W0 "," B0 "}   ",
        /* The bias first in the data, members in another order, a key of theirs. */
        "{\"layers.0.weight\":{\"data_offsets\":[4,12],\"shape\":[2,1],\"dtype\":\"F32\"}"
        ","
        "\"layers.0.bias\":{\"data_offsets\":[0,4],\"dtype\":\"F32\",\"shape\":[1]},"
        "\"__metadata__\":{\"author\":\"me\",\"loss\":\"squared_error\","
        "\"output_activation\":\"identity\",\"format\":\"mlpd\"}}",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct mlp mlp = {0};
        struct err err = {0};
        if (decode_header(headers[i], 3.0F, &mlp, &err) < 0)
            fail_msg("header %zu: %s", i, err.message);
        assert_true(mlp.parameters[0] == (i == 3 ? -2.0F : 1.5F));
        assert_true(mlp.parameters[2] == (i == 3 ? 1.5F : 3.0F));
        mlp_clear(&mlp);
    }
}

static void header_that_lies_is_corrupt(void **state)
{
    (void)state;
#define W(shape, offsets)                                                                \
    "\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":" shape                            \
    ",\"data_offsets\":" offsets "}"
#define B(shape, offsets)                                                                \
    "\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets \
    "}"
#define M(text) "\"__metadata__\":{" text "}"
    static const char *const headers[] = {
        "",
        "[]",
        " {" META "," W0 "," B0 "}",
        "{}",
        "{" META "}",
        "{" W0 "," B0 "}",
        "{" META "," W0 "}",
        "{" META "," B0 "}",
        "{" META "," W0 "," B0,
        "{" META "," W0 "," B0 "}}",
        "{" META "," W0 "," B0 "}{}",
        "{" META "," META "," W0 "," B0 "}",
        "{" META "," W0 "," W0 "," B0 "}",
        "{" META "," W0 "," B0 ",\"layers.2.bias\":{\"dtype\":\"F32\",\"shape\":[1],"
        "\"data_offsets\":[12,16]}}",
        "{" META "," W0 "," B0 ",\"extra\":{\"dtype\":\"F32\",\"shape\":[0],"
        "\"data_offsets\":[12,12]}}",
        "{" META "," W0 ",\"layers.00.bias\":{\"dtype\":\"F32\",\"shape\":[1],"
        "\"data_offsets\":[8,12]}}",
        "{" META "," W0 ",\"layers.64.bias\":{\"dtype\":\"F32\",\"shape\":[1],"
        "\"data_offsets\":[8,12]}}",
        "{" META "," W0 ",\"layers.\":1}",
        "{" META "," W0 ",\"layers.0\":1}",
        "{" META "," W0 ",\"layers.0.\":1}",
        "{" META "," W("[2,1]", "[0,12]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[2,1]", "[0,8]") "," B("[1]", "[4,8]") "}",
        "{" META "," W("[2,1]", "[0,8]") "," B("[1]", "[12,16]") "}",
        "{" META "," W("[2,1]", "[8,0]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[2,1]", "[4,12]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[2,1]", "[4,8]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[1,1]", "[0,8]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[3,1]", "[0,12]") "," B("[1]", "[12,16]") "}",
        "{" META "," W("[3,1]", "[0,12]") "," B("[1]", "[12,12]") "}",
        "{" META "," W("[1,1]", "[0,4]") "," B("[1]", "[4,8]") "}",
        "{" META "," W("[2]", "[0,8]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[2,1,1]", "[0,8]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[]", "[0,8]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[2,1]", "[0]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[2,1]", "[0,8,9]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[2,1]", "[-0,8]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[2,1]", "[0,8.0]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[2,1]", "[0,\"8\"]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[2,1]", "null") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[2,0]", "[0,0]") "," B("[0]", "[0,0]") "}",
        "{" META "," W("[1000000,1000000]", "[0,8]") "," B("[1000000]", "[8,12]") "}",
        "{" META
        "," W("[4294967296,4294967296]", "[0,8]") "," B("[4294967296]", "[8,12]") "}",
        "{" META "," W("[18446744073709551617,1]", "[0,8]") "," B("[1]", "[8,12]") "}",
        "{" META "," W("[2,1]", "[0,18446744073709551624]") "," B("[1]", "[8,12]") "}",
        "{" META ",\"layers.0.weight\":{\"dtype\":\"F64\",\"shape\":[1,1],"
        "\"data_offsets\":[0,8]}," B0 "}",
        "{" META
        ",\"layers.0.weight\":{\"dtype\":7,\"shape\":[2,1],\"data_offsets\":[0,8]}," B0
        "}",
        "{" META ",\"layers.0.weight\":{\"shape\":[2,1],\"data_offsets\":[0,8]}," B0 "}",
        "{" META ",\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"x\":1,"
        "\"data_offsets\":[0,8]}," B0 "}",
        "{" META ",\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[],\"shape\":[2,1],"
        "\"data_offsets\":[0,8]}," B0 "}",
        "{" META ",\"layers.0.weight\":[]," B0 "}",
        "{\"__metadata__\":7," W0 "," B0 "}",
        "{" M("\"output_activation\":\"identity\",\"loss\":\"squared_error\"") "," W0
                                                                               "," B0 "}",
        "{" M("\"format\":\"pt\",\"output_activation\":\"identity\",\"loss\":"
              "\"squared_error\"") "," W0 "," B0 "}",
        "{" M("\"format\":\"mlpd\",\"loss\":\"squared_error\"") "," W0 "," B0 "}",
        "{" M("\"format\":\"mlpd\",\"output_activation\":\"identity\"") "," W0 "," B0 "}",
        "{" M("\"format\":\"mlpd\",\"output_activation\":\"swish\",\"loss\":"
              "\"squared_error\"") "," W0 "," B0 "}",
        "{" M("\"format\":\"mlpd\",\"output_activation\":\"identity\",\"loss\":"
              "\"hinge\"") "," W0 "," B0 "}",
        "{" M("\"format\":\"mlpd\",\"output_activation\":\"identity\",\"loss\":"
              "\"cross_entropy\"") "," W0 "," B0 "}",
        "{" M("\"format\":\"mlpd\",\"output_activation\":\"identity\",\"loss\":"
              "\"squared_error\",\"x\":1") "," W0 "," B0 "}",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct mlp mlp = {0};
        struct err err = {0};
        if (decode_header(headers[i], 3.0F, &mlp, &err) == 0)
            fail_msg("header %zu was accepted: %s", i, headers[i]);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_null(mlp.parameters);
    }
}

/* A batch-normed net of one neuron in each layer: s, W, b, g, W, b, mean, variance. */
#define T(name, shape, offsets)                                                          \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define NORMED_META                                                                      \
    "\"__metadata__\":{\"format\":\"mlpd\",\"activation\":\"relu\","                     \
    "\"output_activation\":\"identity\",\"loss\":\"quantile\",\"q\":\"0.9\","            \
    "\"normalization\":\"batch_norm\",\"parametrization\":\"ntk\"}"
#define NORMED_SCALE    T("feature_scale", "[1]", "[0,4]")
#define NORMED_WEIGHT   T("layers.0.weight", "[1,1]", "[4,8]")
#define NORMED_BIAS     T("layers.0.bias", "[1]", "[8,12]")
#define NORMED_GAIN     T("layers.0.norm.weight", "[1]", "[12,16]")
#define NORMED_MEAN     T("layers.0.norm.running_mean", "[1]", "[24,28]")
#define NORMED_VARIANCE T("layers.0.norm.running_var", "[1]", "[28,32]")
#define NORMED_OUTPUT                                                                    \
    T("layers.1.weight", "[1,1]", "[16,20]") "," T("layers.1.bias", "[1]", "[20,24]")
static const char normed[] =
    "{" NORMED_META "," NORMED_SCALE "," NORMED_WEIGHT "," NORMED_BIAS "," NORMED_GAIN
    "," NORMED_MEAN "," NORMED_VARIANCE "," NORMED_OUTPUT "}";

/* Decodes that header, with the first `from` replaced by `to`, and 8 floats behind it. */
static int decode_changed(const char *from, const char *to, const float values[8],
                          struct mlp *mlp, struct err *err)
{
    struct buf header;
    struct buf bytes;
    const char *at = strstr(normed, from);
    assert_non_null(at);
    buf_init(&header, 1 << 16);
    buf_init(&bytes, 1 << 16);
    buf_put(&header, normed, (size_t)(at - normed));
    buf_text(&header, to);
    buf_text(&header, at + strlen(from));
    endian_put_u64(&bytes, header.len);
    buf_put(&bytes, header.bytes, header.len);
    buf_put(&bytes, values, 8 * sizeof *values);
    int rc = decode_copy(bytes.bytes, bytes.len, mlp, err);
    buf_clear(&bytes);
    buf_clear(&header);
    return rc;
}

static void error_names_the_tensor_or_key(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *words; /* NULL: fine */
    } rows[] = {
        {"}", "}", NULL},
        {"\"ntk\"", "\"standard\"", NULL},
        {"\"q\":\"0.9\",", "", NULL},
        {"," NORMED_GAIN, "", "layers.0.norm.weight is missing"},
        {"," NORMED_MEAN, "", "layers.0.norm.running_mean is missing"},
        {"," NORMED_VARIANCE, "", "layers.0.norm.running_var is missing"},
        {"layers.0.norm.weight", "layers.1.norm.weight",
         "layers.0.norm.weight is missing"},
        {"layers.0.norm.running_var", "layers.0.norm.running_mean",
         "layers.0.norm.running_mean is repeated"},
        {"layers.0.norm.running_var", "layers.0.norm.num_batches_tracked",
         "layers.0.norm.num_batches_tracked is not the name of a tensor"},
        {"layers.0.norm.running_var", "\xc3\xa9", "?? is not the name of a tensor"},
        {"feature_scale", "feature_scales", "feature_scales is not the name"},
        {"\"feature_scale\"", NORMED_SCALE ",\"feature_scale\"",
         "feature_scale is repeated"},
        {"\"batch_norm\"", "\"layer_norm\"",
         "layers.0.norm.running_mean is not part of such a net"},
        {"\"batch_norm\"", "\"none\"", "layers.0.norm.weight is not part"},
        {"\"normalization\":\"batch_norm\",", "", "layers.0.norm.weight is not part"},
        {"\"batch_norm\"", "\"group_norm\"", "normalization has an unknown value"},
        {"\"batch_norm\"", "\"none\",\"normalization\":\"batch_norm\"",
         "normalization is repeated"},
        {"\"ntk\"", "\"mup\"", "parametrization has an unknown value"},
        {"\"ntk\"", "\"ntk\",\"parametrization\":\"ntk\"", "parametrization is repeated"},
        {"\"ntk\"", "true", "parametrization in __metadata__ is not a string"},
        {"\"0.9\"", "\"much\"", "q is not a number"},
        {"\"0.9\"", "\"nan\"", "q is not a number"},
        {"\"0.9\"", "\"1\"", "q must be above 0 and below 1"},
        {"\"0.9\"", "\"0.9\",\"q\":\"0.9\"", "q is repeated"},
        {"\"0.9\"", "0.9", "q in __metadata__ is not a string"},
        {NORMED_SCALE, T("feature_scale", "[2]", "[0,8]"), "the shape of feature_scale"},
        {NORMED_SCALE, T("feature_scale", "[1,1]", "[0,4]"),
         "the shape of feature_scale"},
        {NORMED_GAIN, T("layers.0.norm.weight", "[2]", "[12,20]"),
         "the shape of layers.0.norm.weight"},
        {NORMED_VARIANCE, T("layers.0.norm.running_var", "[1,1]", "[28,32]"),
         "the shape of layers.0.norm.running_var"},
        {"[28,32]", "[24,28]", "tensors overlap"},
        {"[28,32]", "[32,36]", "tensors overlap, leave gaps"},
        {"\"activation\":\"relu\",", "", "__metadata__ lacks activation"},
    };
    const float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mlp mlp = {0};
        struct err err = {0};
        int rc = decode_changed(rows[i].from, rows[i].to, values, &mlp, &err);
        if (rc != (rows[i].words ? -1 : 0) ||
            (rows[i].words && !strstr(err.message, rows[i].words)))
            fail_msg("row %zu: '%s', not '%s'", i, err.message,
                     rows[i].words ? rows[i].words : "");
        assert_int_equal(err.code, rows[i].words ? ERR_CORRUPT : ERR_NONE);
        mlp_clear(&mlp);
    }
}

/* Decodes what encode gives, with the first `from` of its header replaced by `to`. */
static int decode_edited(const struct mlp *mlp, const char *from, const char *to,
                         struct mlp *back, struct err *err)
{
    struct buf whole = encode(mlp);
    struct buf header;
    struct buf bytes;
    struct endian_reader reader;
    endian_reader_init(&reader, whole.bytes, whole.len);
    size_t len = (size_t)endian_get_u64(&reader);
    char *json = calloc(1, len + 1);
    assert_non_null(json);
    memcpy(json, whole.bytes + 8, len);
    const char *at = strstr(json, from);
    assert_non_null(at);
    buf_init(&header, 1 << 16);
    buf_init(&bytes, 1 << 16);
    buf_put(&header, json, (size_t)(at - json));
    buf_text(&header, to);
    buf_text(&header, at + strlen(from));
    endian_put_u64(&bytes, header.len);
    buf_put(&bytes, header.bytes, header.len);
    buf_put(&bytes, whole.bytes + 8 + len, whole.len - 8 - len);
    int rc = decode_copy(bytes.bytes, bytes.len, back, err);
    free(json);
    buf_clear(&bytes);
    buf_clear(&header);
    buf_clear(&whole);
    return rc;
}

static void embeddings_that_do_not_fit_are_corrupt(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *words; /* NULL: fine */
    } rows[] = {
        {"\"0,2\"", "\"0,1\"", NULL},
        {"\"0,2\"", "\"0,3\"", "below 3"},
        {"\"0,2\"", "\"2,0\"", "must rise"},
        {"\"0,2\"", "\"1,1\"", "must rise"},
        {"\"0,2\"", "\"0\"", "the shape of periodic"},
        {"\"0,2\"", "\"0,1,2\"", "the shape of periodic"},
        {"\"0,2\"", "\"\"", "not a list"},
        {"\"0,2\"", "\"0,2,\"", "not a list"},
        {"\"0,2\"", "\",\"", "not a list"},
        {"\"0,2\"", "\"0,-2\"", "not a list"},
        {"\"0,2\"", "\"0,9999999999999999999\"", "not a list"},
        {"\"0,2\"", "\"0,2\",\"periodic_inputs\":\"0,2\"", "is repeated"},
        {"\"periodic_frequencies\":\"2\"", "\"periodic_frequencies\":\"3\"",
         "the shape of periodic"},
        {"\"periodic_frequencies\":\"2\"", "\"periodic_frequencies\":\"0\"",
         "not a number from 1 on"},
        {"\"periodic_frequencies\":\"2\"", "\"periodic_frequencies\":\"257\"",
         "too large"},
        {"\"periodic_width\":\"3\"", "\"periodic_width\":\"999999999999999\"",
         "too large"},
        {"\"periodic_width\":\"3\"", "\"periodic_width\":\"3\",\"periodic_width\":\"3\"",
         "is repeated"},
        {"\"periodic_width\"", "\"periodic_w\"", "lack their inputs"},
        {"\"periodic_inputs\"", "\"periodic_in\"", "lack their inputs"},
        {"\"periodic\":{", "\"periodical\":{", "periodical is not the name"},
        {"[2,13]", "[26]", "the shape of periodic"},
        {"[2,13]", "[13,2]", "the shape of periodic"},
    };
    struct mlp mlp = make_embedded(true);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mlp back = {0};
        struct err err = {0};
        int rc = decode_edited(&mlp, rows[i].from, rows[i].to, &back, &err);
        if (rc != (rows[i].words ? -1 : 0) ||
            (rows[i].words && !strstr(err.message, rows[i].words)))
            fail_msg("row %zu: '%s', not '%s'", i, err.message,
                     rows[i].words ? rows[i].words : "");
        assert_int_equal(err.code, rows[i].words ? ERR_CORRUPT : ERR_NONE);
        mlp_clear(&back);
    }
    mlp_clear(&mlp);
}

static void number_that_cannot_be_is_corrupt_by_its_tensor(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        float value;
        const char *words;
    } rows[] = {
        {0, NAN, "feature_scale has"},
        {1, INFINITY, "layers.0.weight has"},
        {2, NAN, "layers.0.bias has"},
        {3, -INFINITY, "layers.0.norm.weight has"},
        {4, NAN, "layers.1.weight has"},
        {5, NAN, "layers.1.bias has"},
        {6, NAN, "layers.0.norm.running_mean has"},
        {7, NAN, "layers.0.norm.running_var has"},
        {7, INFINITY, "layers.0.norm.running_var has"},
        {7, -1e-30F, "is negative"},
        {6, -8.0F, NULL},
        {7, 0.0F, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
        struct mlp mlp = {0};
        struct err err = {0};
        values[rows[i].at] = rows[i].value;
        int rc = decode_changed("}", "}", values, &mlp, &err);
        assert_int_equal(rc, rows[i].words ? -1 : 0);
        if (rows[i].words && !strstr(err.message, rows[i].words))
            fail_msg("row %zu: %s", i, err.message);
        mlp_clear(&mlp);
    }
}

static void normalization_without_a_hidden_layer_is_corrupt(void **state)
{
    (void)state;
    struct mlp mlp = {0};
    struct err err = {0};
    assert_int_equal(
        decode_header("{\"__metadata__\":{\"format\":\"mlpd\",\"output_activation\":"
                      "\"identity\",\"loss\":\"squared_error\",\"normalization\":"
                      "\"layer_norm\"}," W0 "," B0 "}",
                      3.0F, &mlp, &err),
        -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

static void weight_that_is_not_finite_is_corrupt(void **state)
{
    (void)state;
    const float bad[3] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        struct mlp mlp = {0};
        struct err err = {0};
        assert_int_equal(decode_header("{" META "," W0 "," B0 "}", bad[i], &mlp, &err),
                         -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void header_over_the_ceiling_is_corrupt(void **state)
{
    (void)state;
    static const char header[] = "{" META "," W0 "," B0 "}";
    const size_t sizes[2] = {1 << 20, (1 << 20) + 8};
    char *padded = malloc(sizes[1] + 1);
    assert_non_null(padded);
    for (size_t i = 0; i < 2; i++) {
        struct mlp mlp = {0};
        struct err err = {0};
        memset(padded, ' ', sizes[i]);
        memcpy(padded, header, sizeof header - 1);
        padded[sizes[i]] = '\0';
        assert_int_equal(decode_header(padded, 3.0F, &mlp, &err), i == 0 ? 0 : -1);
        assert_int_equal(err.code, i == 0 ? ERR_NONE : ERR_CORRUPT);
        mlp_clear(&mlp);
    }
    free(padded);
}

static void hostile_header_lengths_are_corrupt(void **state)
{
    (void)state;
    const uint64_t lengths[5] = {UINT64_MAX, UINT64_MAX - 7, 1ULL << 63, 1ULL << 32,
                                 2000000};
    const size_t size = 3000000;
    char *zeros = calloc(size, 1);
    assert_non_null(zeros);
    memset(zeros, '[', size);
    for (size_t i = 0; i < 5; i++) {
        struct mlp mlp = {0};
        struct err err = {0};
        memcpy(zeros, &lengths[i], sizeof lengths[i]);
        assert_int_equal(weights_decode(zeros, size, &mlp, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
    struct mlp mlp = {0};
    struct err err = {0};
    assert_int_equal(weights_decode(NULL, 0, &mlp, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(net_comes_back_as_it_was),
        cmocka_unit_test(normalisation_scales_and_factors_come_back),
        cmocka_unit_test(embeddings_come_back),
        cmocka_unit_test(ntk_of_one_input_is_standard),
        cmocka_unit_test(figures_of_the_loss_come_back),
        cmocka_unit_test(every_function_comes_back),
        cmocka_unit_test(net_of_steps_predicts),
        cmocka_unit_test(log_link_of_poisson_survives),
        cmocka_unit_test(large_net_comes_back_as_it_was),
        cmocka_unit_test(header_is_as_safetensors_wants_it),
        cmocka_unit_test(header_names_the_parts_as_torch_does),
        cmocka_unit_test(full_buffer_is_reported),
        cmocka_unit_test(every_truncation_is_corrupt),
        cmocka_unit_test(changed_byte_never_crashes),
        cmocka_unit_test(flipped_bit_of_a_full_net_gives_an_error_or_a_net),
        cmocka_unit_test(header_of_another_writer_is_read),
        cmocka_unit_test(header_that_lies_is_corrupt),
        cmocka_unit_test(error_names_the_tensor_or_key),
        cmocka_unit_test(embeddings_that_do_not_fit_are_corrupt),
        cmocka_unit_test(number_that_cannot_be_is_corrupt_by_its_tensor),
        cmocka_unit_test(normalization_without_a_hidden_layer_is_corrupt),
        cmocka_unit_test(weight_that_is_not_finite_is_corrupt),
        cmocka_unit_test(header_over_the_ceiling_is_corrupt),
        cmocka_unit_test(hostile_header_lengths_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
