#include "harness.h"

#include <stdio.h>
#include <string.h>

/* What the lecture shows: what one neuron can learn, and what it cannot. */

struct gate {
    const char *name;
    int n_inputs;
    int outputs[4]; /* of 00, 01, 10, 11; of 0, 1 */
};

static const struct gate gate_and = {"AND", 2, {0, 0, 0, 1}};
static const struct gate gate_or = {"OR", 2, {0, 1, 1, 1}};
static const struct gate gate_not = {"NOT", 1, {1, 0}};
static const struct gate gate_xor = {"XOR", 2, {0, 1, 1, 0}};

static const char *inputs_of(const struct gate *gate)
{
    return gate->n_inputs == 2 ? "[0, 0], [0, 1], [1, 0], [1, 1]" : "[0], [1]";
}

/* Trains on the gate with more members of the job; the share it gets right. */
static double learn(struct client *client, const struct gate *gate, const char *more)
{
    int n = 1 << gate->n_inputs;
    int n_right = 0;
    char outputs[32];
    char path[64];
    int len = 0;
    for (int i = 0; i < n; i++)
        len += snprintf(outputs + len, sizeof outputs - (size_t)len, "%s%d",
                        i ? ", " : "", gate->outputs[i]);
    const char *id = submit(client, "{'data': {'X': [%s], 'y': [%s]}, 'model': '%s', %s}",
                            inputs_of(gate), outputs, gate->name, more);
    const json_t *job = wait_job(client, id, "succeeded");
    assert_string_equal(text_at(job, "/target"), "y");
    snprintf(path, sizeof path, "/v1/models/%s/predict", gate->name);
    const struct answer *said =
        client_post(client, path, "{'instances': [%s]}", inputs_of(gate));
    expect_status(said, 200);
    for (int i = 0; i < n; i++) {
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/predictions/%d", i);
        n_right += number_at(said->json, pointer) == gate->outputs[i];
    }
    return (double)n_right / n;
}

#define NEURON   "'hidden_layer_sizes': [], 'learning_rate': 0.1, 'max_iter': 2000"
#define TEXTBOOK "'preset': 'lecture', 'learning_rate': 5, 'max_iter': 20000"

static void one_neuron_learns_and(void **state)
{
    struct client client;
    client_open(&client, *state);
    assert_true(learn(&client, &gate_and, NEURON) == 1);
    client_close(&client);
}

static void one_neuron_learns_or(void **state)
{
    struct client client;
    client_open(&client, *state);
    assert_true(learn(&client, &gate_or, NEURON) == 1);
    client_close(&client);
}

static void one_neuron_learns_not(void **state)
{
    struct client client;
    client_open(&client, *state);
    assert_true(learn(&client, &gate_not, NEURON) == 1);
    client_close(&client);
}

static void one_neuron_cannot_learn_xor(void **state)
{
    struct client client;
    client_open(&client, *state);
    for (int seed = 0; seed < 5; seed++) {
        char more[160];
        snprintf(more, sizeof more, NEURON ", 'seed': %d", seed);
        assert_true(learn(&client, &gate_xor, more) <= 0.75);
    }
    client_close(&client);
}

static void one_hidden_layer_learns_xor(void **state)
{
    struct client client;
    client_open(&client, *state);
    assert_true(learn(&client, &gate_xor,
                      "'hidden_layer_sizes': [8], 'activation': 'tanh',"
                      " 'learning_rate': 0.05, 'max_iter': 2000") == 1);
    client_close(&client);
}

static void textbook_neuron_learns_and_but_not_xor(void **state)
{
    struct client client;
    client_open(&client, *state);
    assert_true(learn(&client, &gate_and, TEXTBOOK ", 'hidden_layer_sizes': []") == 1);
    assert_true(learn(&client, &gate_xor, TEXTBOOK ", 'hidden_layer_sizes': []") <= 0.75);
    client_close(&client);
}

static void textbook_net_learns_xor(void **state)
{
    struct client client;
    client_open(&client, *state);
    assert_true(learn(&client, &gate_xor, TEXTBOOK ", 'hidden_layer_sizes': [8]") == 1);
    client_close(&client);
}

static void the_three_names_of_the_lecture_are_understood(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id =
        submit(&client, "{'data': {'X': [[0, 0], [0, 1], [1, 0], [1, 1]],"
                        " 'y': [0, 1, 1, 0]}, 'model': 'names', 'preset': 'lecture',"
                        " 'hidden_layer_sizes': [100], 'learning_rate': 0.001,"
                        " 'max_iter': 10}");
    const json_t *job = wait_job(&client, id, "succeeded");
    assert_int_equal(count_at(job, "/parameters/hidden_layer_sizes"), 1);
    assert_true(number_at(job, "/parameters/hidden_layer_sizes/0") == 100);
    assert_true(number_at(job, "/parameters/learning_rate") == 0.001);
    assert_true(number_at(job, "/parameters/max_iter") == 10);
    assert_true(number_at(job, "/epoch") == 10);
    /* 2·100 + 100 weights and biases of the hidden layer, 100 + 1 of the output. */
    const struct answer *version = client_get(&client, "/v1/models/names/versions/1");
    expect_status(version, 200);
    assert_true(number_at(version->json, "/n_weights") == 401);
    client_close(&client);
}

static void rows_in_the_request_become_a_dataset(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = submit(&client, "{'data': {'X': [[1, 'a'], [2, 'b'], [3, null]],"
                                     " 'y': [1.5, 2.5, 3.5]}, 'max_iter': 2}");
    const json_t *job = wait_job(&client, id, "succeeded");
    assert_string_equal(text_at(job, "/task"), "regression");
    const struct answer *rows =
        client_get(&client, "/v1/datasets/%s/rows", text_at(job, "/dataset"));
    expect_status(rows, 200);
    assert_string_equal(text_at(rows->json, "/columns/0"), "x0");
    assert_string_equal(text_at(rows->json, "/columns/1"), "x1");
    assert_string_equal(text_at(rows->json, "/columns/2"), "y");
    assert_string_equal(text_at(rows->json, "/data/1/1"), "b");
    assert_true(json_is_null(find_at(rows->json, "/data/2/1")));
    assert_true(number_at(rows->json, "/data/2/2") == 3.5);
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_neuron_learns_and),
        cmocka_unit_test(one_neuron_learns_or),
        cmocka_unit_test(one_neuron_learns_not),
        cmocka_unit_test(one_neuron_cannot_learn_xor),
        cmocka_unit_test(one_hidden_layer_learns_xor),
        cmocka_unit_test(textbook_neuron_learns_and_but_not_xor),
        cmocka_unit_test(textbook_net_learns_xor),
        cmocka_unit_test(the_three_names_of_the_lecture_are_understood),
        cmocka_unit_test(rows_in_the_request_become_a_dataset),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
