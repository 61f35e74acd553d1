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
        assert_int_equal(back.n_layers, mlp.n_layers);
        assert_int_equal(back.loss, mlp.loss);
        assert_memory_equal(back.layers, mlp.layers, sizeof mlp.layers);
        assert_int_equal(back.n_parameters, mlp.n_parameters);
        assert_memory_equal(back.parameters, mlp.parameters,
                            mlp.n_parameters * sizeof(float));
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
    struct pass *ws = NULL;
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    assert_int_equal(mlp.n_parameters, 7);
    memcpy(mlp.parameters, net, sizeof net);
    struct buf bytes = encode(&mlp);
    assert_int_equal(weights_decode(bytes.bytes, bytes.len, &back, &err), 0);
    assert_int_equal(pass_new(&back, 4, 0, &ws, &err), 0);
    const float *y = pass_forward(ws, x, 4);
    assert_true(y[0] == 0.0F && y[1] == 1.0F && y[2] == 0.0F && y[3] == 0.0F);
    pass_free(ws);
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
    struct pass *ws = NULL;
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    mlp.parameters[0] = 0.75F;
    struct buf bytes = encode(&mlp);
    assert_int_equal(weights_decode(bytes.bytes, bytes.len, &back, &err), 0);
    assert_int_equal(pass_new(&back, 1, 0, &ws, &err), 0);
    assert_true(fabs((double)pass_forward(ws, &x, 1)[0] - exp(1.5)) < 1e-6);
    pass_free(ws);
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

static void every_truncation_is_corrupt(void **state)
{
    (void)state;
    struct mlp mlp = make_net(1);
    struct buf bytes = encode(&mlp);
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
    mlp_clear(&mlp);
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
        cmocka_unit_test(every_function_comes_back),
        cmocka_unit_test(net_of_steps_predicts),
        cmocka_unit_test(log_link_of_poisson_survives),
        cmocka_unit_test(large_net_comes_back_as_it_was),
        cmocka_unit_test(header_is_as_safetensors_wants_it),
        cmocka_unit_test(full_buffer_is_reported),
        cmocka_unit_test(every_truncation_is_corrupt),
        cmocka_unit_test(changed_byte_never_crashes),
        cmocka_unit_test(header_of_another_writer_is_read),
        cmocka_unit_test(header_that_lies_is_corrupt),
        cmocka_unit_test(weight_that_is_not_finite_is_corrupt),
        cmocka_unit_test(header_over_the_ceiling_is_corrupt),
        cmocka_unit_test(hostile_header_lengths_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
