#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_WORKERS    2
#define SOAK_SECONDS 3

/* A client thread. It must not use what fails a test: that is the main thread's to do. */
struct worker {
    const struct harness *server;
    int number;
    double until;
    int n_rounds;
    char trouble[1200]; /* the first unexpected answer, or "" */
};

static bool is_as_expected(struct worker *worker, const struct answer *answer,
                           long status)
{
    if (answer->status == status)
        return true;
    snprintf(worker->trouble, sizeof worker->trouble,
             "%s %.200s: expected %ld, got %ld %s: %.600s", answer->method, answer->path,
             status, answer->status, answer->failure, answer->body);
    return false;
}

static const char *text_of(const struct answer *answer, const char *name)
{
    const char *text = json_string_value(json_object_get(answer->json, name));
    return text ? text : "";
}

static bool wait_success(struct worker *worker, struct client *client, const char *id)
{
    double until = now_s() + HARNESS_PATIENCE_S;
    for (;;) {
        const struct answer *job = client_get(client, "/v1/jobs/%s", id);
        if (!is_as_expected(worker, job, 200))
            return false;
        if (strcmp(text_of(job, "state"), "succeeded") == 0)
            return true;
        if ((strcmp(text_of(job, "state"), "queued") != 0 &&
             strcmp(text_of(job, "state"), "running") != 0) ||
            now_s() > until) {
            is_as_expected(worker, job, -1);
            return false;
        }
        pause_ms(3);
    }
}

/* Upload, train, look, predict, delete. */
static bool run_round(struct worker *worker, struct client *client)
{
    char path[128];
    char model[32];
    snprintf(model, sizeof model, "soak-%d", worker->number);
    const struct answer *table = client_upload(client, "tests/data/iris.csv", model);
    if (!is_as_expected(worker, table, 201))
        return false;
    const struct answer *job = client_post(
        client, "/v1/jobs", "{'dataset': '%s', 'target': 'species', 'max_iter': 10}",
        text_of(table, "id"));
    if (!is_as_expected(worker, job, 202) ||
        !wait_success(worker, client, text_of(job, "id")) ||
        !is_as_expected(worker, client_get(client, "/v1/models?limit=200"), 200) ||
        !is_as_expected(worker, client_get(client, "/v1/datasets?limit=200"), 200) ||
        !is_as_expected(worker, client_get(client, "/v1/jobs?limit=20"), 200))
        return false;
    snprintf(path, sizeof path, "/v1/models/%s/predict", model);
    for (int i = 0; i < 20; i++)
        if (!is_as_expected(
                worker,
                client_post(client, path, "{'instances': [[5.1, 3.5, 1.4, 0.2]]}"), 200))
            return false;
    /* Every other round keeps the model, so that versions add up. */
    if (worker->n_rounds % 2 &&
        !is_as_expected(worker, client_delete(client, "/v1/models/%s", model), 204))
        return false;
    return is_as_expected(
        worker, client_delete(client, "/v1/datasets/%s", text_of(table, "id")), 204);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct client client;
    client_open(&client, worker->server);
    do {
        if (!run_round(worker, &client))
            break;
        worker->n_rounds++;
        client_forget(&client);
    } while (now_s() < worker->until);
    client_close(&client);
    return NULL;
}

static double soak_seconds(void)
{
    const char *text = getenv("MLPD_SOAK_SECONDS");
    return text ? (double)strtoul(text, NULL, 10) : SOAK_SECONDS;
}

static void clients_in_parallel_get_only_what_they_expect(void **state)
{
    struct worker workers[N_WORKERS] = {0};
    pthread_t threads[N_WORKERS];
    double until = now_s() + soak_seconds();
    for (int i = 0; i < N_WORKERS; i++) {
        workers[i] = (struct worker){.server = *state, .number = i, .until = until};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < N_WORKERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < N_WORKERS; i++) {
        print_message("worker %d: %d rounds\n", i, workers[i].n_rounds);
        if (workers[i].trouble[0]) {
            harness_print_log();
            fail_msg("%s", workers[i].trouble);
        }
        assert_true(workers[i].n_rounds >= 1);
    }
}

/* --- one model, deleted and trained again while it is asked ------------------------- */

struct asker {
    const struct harness *server;
    atomic_bool stop;
    int n_answers;
    int n_absent;
    char trouble[1200];
};

static void *ask(void *arg)
{
    struct asker *asker = arg;
    struct client client;
    client_open(&client, asker->server);
    while (!atomic_load(&asker->stop)) {
        const struct answer *said = client_post(&client, "/v1/models/contested/predict",
                                                "{'instances': [[5.1, 3.5, 1.4, 0.2]]}");
        asker->n_answers += said->status == 200;
        asker->n_absent += said->status == 404;
        if (said->status != 200 && said->status != 404) {
            snprintf(asker->trouble, sizeof asker->trouble, "%ld %s %.800s", said->status,
                     said->failure, said->body);
            break;
        }
        client_forget(&client);
    }
    client_close(&client);
    return NULL;
}

static void model_is_deleted_and_made_again_while_it_predicts(void **state)
{
    struct asker asker = {.server = *state};
    struct client client;
    pthread_t thread;
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    assert_int_equal(pthread_create(&thread, NULL, ask, &asker), 0);
    double until = now_s() + soak_seconds() / 2;
    do {
        const char *id = submit(&client,
                                "{'dataset': '%s', 'target': 'species', 'max_iter': 5,"
                                " 'model': 'contested'}",
                                dataset);
        wait_job(&client, id, "succeeded");
        /* What is trained is there for the next request, whatever was cached. */
        expect_status(client_post(&client, "/v1/models/contested/predict",
                                  "{'instances': [[5.1, 3.5, 1.4, 0.2]]}"),
                      200);
        expect_status(client_delete(&client, "/v1/models/contested"), 204);
        expect_problem(client_post(&client, "/v1/models/contested/predict",
                                   "{'instances': [[5.1, 3.5, 1.4, 0.2]]}"),
                       404, "no_such_model");
    } while (now_s() < until);
    atomic_store(&asker.stop, true);
    pthread_join(thread, NULL);
    if (asker.trouble[0])
        fail_msg("%s", asker.trouble);
    assert_true(asker.n_answers + asker.n_absent > 0);
    client_close(&client);
}

/* --- jobs at once ------------------------------------------------------------------- */

static const char *submit_digits(struct client *client, const char *dataset)
{
    return submit(client,
                  "{'dataset': '%s', 'target': 'digit', 'model': 'twin', 'seed': 5,"
                  " 'hidden_layer_sizes': [128, 64], 'dropout': 0.1, 'batch_size': 128,"
                  " 'max_iter': 30, 'n_iter_no_change': 30}",
                  dataset);
}

static void weights_of(struct client *client, const json_t *job, char sum[65])
{
    const struct answer *version = client_get(client, "/v1/models/twin/versions/%.0f",
                                              number_at(job, "/model_version"));
    expect_status(version, 200);
    snprintf(sum, 65, "%s", text_at(version->json, "/weights_sha256"));
    assert_int_equal(strlen(sum), 64);
}

/* One job alone on one thread. */
static void train_alone(char sum[65])
{
    static const char *const arguments[] = {"--workers", "1", "--threads", "1", NULL};
    struct harness harness;
    struct client client;
    harness_open(&harness, arguments);
    client_open(&client, &harness);
    const char *id = submit_digits(&client, upload(&client, "digits"));
    weights_of(&client, wait_job(&client, id, "succeeded"), sum);
    client_close(&client);
    harness_close(&harness);
}

/* RFC 3339 in UTC compares as text. */
static bool were_at_once(const json_t *a, const json_t *b)
{
    return strcmp(text_at(a, "/started_at"), text_at(b, "/finished_at")) < 0 &&
           strcmp(text_at(b, "/started_at"), text_at(a, "/finished_at")) < 0;
}

static void jobs_beside_each_other_give_the_weights_of_one_alone(void **state)
{
    static const char *const arguments[] = {"--workers", "2", "--threads", "3", NULL};
    struct harness harness;
    struct client client;
    char alone[65];
    char one[65];
    char two[65];
    (void)state;
    train_alone(alone);
    harness_open(&harness, arguments);
    client_open(&client, &harness);
    const char *dataset = upload(&client, "digits");
    const char *first = submit_digits(&client, dataset);
    const char *second = submit_digits(&client, dataset);
    const json_t *first_job = wait_job(&client, first, "succeeded");
    const json_t *second_job = wait_job(&client, second, "succeeded");
    assert_true(were_at_once(first_job, second_job));
    weights_of(&client, first_job, one);
    weights_of(&client, second_job, two);
    assert_string_equal(one, alone);
    assert_string_equal(two, alone);
    client_close(&client);
    harness_close(&harness);
}

static void server_stops_cleanly_afterwards(void **state)
{
    struct harness *harness = *state;
    struct client client;
    client_open(&client, harness);
    const struct answer *running = client_get(&client, "/v1/jobs?state=running");
    expect_status(running, 200);
    assert_int_equal(count_at(running->json, "/items"), 0);
    assert_true(harness_stop(harness) < 10);
    harness_start(harness);
    expect_status(client_get(&client, "/v1/jobs"), 200);
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_in_parallel_get_only_what_they_expect),
        cmocka_unit_test(model_is_deleted_and_made_again_while_it_predicts),
        cmocka_unit_test(jobs_beside_each_other_give_the_weights_of_one_alone),
        cmocka_unit_test(server_stops_cleanly_afterwards),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
