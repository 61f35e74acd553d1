#include "harness.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

/* A training whose end depends on every step before: mini-batches in a new order each epoch,
 * moments, dropout and the best weights on a validation part. */
#define TRAINING                                                                         \
    "'n_iter_no_change': 1000000, 'hidden_layer_sizes': [96, 48], 'dropout': 0.1,"       \
    " 'batch_size': 16, 'seed': 5"
#define ROWS       376 /* of diabetes, without the validation part */
#define SECONDS    4
#define EPOCHS_MAX 2000

/* So many that it takes some seconds here, in this build. */
static int n_epochs;

static const char *submit_training(struct client *client, const char *model, int max_iter)
{
    return submit(client,
                  "{'dataset': '%s', 'target': 'progression', 'model': '%s',"
                  " 'max_iter': %d, " TRAINING "}",
                  upload(client, "diabetes"), model, max_iter);
}

static const json_t *job_of(struct client *client, const char *id)
{
    const struct answer *answer = client_get(client, "/v1/jobs/%s", id);
    expect_status(answer, 200);
    return answer->json;
}

static double epoch_or_0(const json_t *job, const char *pointer)
{
    return json_is_null(find_at(job, pointer)) ? 0 : number_at(job, pointer);
}

/* Polls until the job runs and its checkpoint lies behind `epoch`; that epoch. */
static double wait_checkpoint(struct client *client, const char *id, double epoch)
{
    double until = now_s() + HARNESS_PATIENCE_S;
    double saved = 0;
    while (now_s() < until) {
        const json_t *job = job_of(client, id);
        saved = epoch_or_0(job, "/checkpoint_epoch");
        if (strcmp(text_at(job, "/state"), "running") == 0 && saved > epoch)
            return saved;
        if (strcmp(text_at(job, "/state"), "succeeded") == 0)
            fail_msg("it ended before it was saved after epoch %.0f", epoch);
        pause_ms(5);
    }
    fail_msg("no checkpoint after epoch %.0f, the last one was of %.0f", epoch, saved);
    return 0;
}

/* Polls until the job runs; the epoch it went on from. */
static double wait_resumed(struct client *client, const char *id)
{
    double until = now_s() + HARNESS_PATIENCE_S;
    while (now_s() < until) {
        const json_t *job = job_of(client, id);
        if (strcmp(text_at(job, "/state"), "queued") != 0)
            return epoch_or_0(job, "/resumed_from_epoch");
        pause_ms(2);
    }
    fail_msg("%s was not started again", id);
    return 0;
}

/* What the job made: the digest of its weights. */
static void read_digest(struct client *client, const char *id, char digest[65])
{
    const json_t *job = wait_job(client, id, "succeeded");
    const struct answer *version =
        client_get(client, "/v1/models/%s/versions/%.0f", text_at(job, "/model"),
                   number_at(job, "/model_version"));
    expect_status(version, 200);
    snprintf(digest, 65, "%s", text_at(version->json, "/weights_sha256"));
    assert_true(number_at(job, "/epoch") == n_epochs);
    assert_true(json_is_null(find_at(job, "/checkpoint_epoch")));
}

/* Losses of all epochs, which must be there once each and in order. */
static void read_history(struct client *client, const char *id,
                         double losses[EPOCHS_MAX][2])
{
    size_t n = 0;
    for (size_t after = 0; after < (size_t)n_epochs; after += 200) {
        char from[40] = "";
        if (after > 0)
            snprintf(from, sizeof from, "&after=%zu", after);
        const struct answer *page =
            client_get(client, "/v1/jobs/%s/events?limit=200%s", id, from);
        expect_status(page, 200);
        for (size_t i = 0; i < count_at(page->json, "/items"); i++, n++) {
            const json_t *item = json_array_get(find_at(page->json, "/items"), i);
            assert_true(n < (size_t)n_epochs);
            assert_true(number_at(item, "/epoch") == (double)(n + 1));
            losses[n][0] = number_at(item, "/train_loss");
            losses[n][1] = number_at(item, "/validation_loss");
        }
    }
    assert_int_equal(n, n_epochs);
}

/* What the training makes when nothing interrupts it. */
static char whole_digest[65];
static double whole[EPOCHS_MAX][2];

static int train_whole(void **state)
{
    struct harness harness;
    struct client client;
    (void)state;
    harness_open(&harness, NULL);
    client_open(&client, &harness);
    const json_t *brief =
        wait_job(&client, submit_training(&client, "brief", 20), "succeeded");
    n_epochs = (int)(SECONDS * number_at(brief, "/samples_per_second") / ROWS);
    n_epochs = n_epochs < 50 ? 50 : n_epochs > EPOCHS_MAX ? EPOCHS_MAX : n_epochs;
    const char *id = submit_training(&client, "whole", n_epochs);
    read_digest(&client, id, whole_digest);
    read_history(&client, id, whole);
    assert_true(json_is_null(find_at(job_of(&client, id), "/resumed_from_epoch")));
    client_close(&client);
    harness_close(&harness);
    return 0;
}

/* It has come to the same end, by the same way. */
static void check_same(struct client *client, const char *id)
{
    static double losses[EPOCHS_MAX][2];
    char digest[65];
    read_digest(client, id, digest);
    assert_string_equal(digest, whole_digest);
    read_history(client, id, losses);
    assert_memory_equal(losses, whole, sizeof whole);
}

/* Trains with `interrupt` after each of three checkpoints. */
static void check_interrupted(void (*interrupt)(struct harness *), double attempts)
{
    struct harness harness;
    struct client client;
    double from = 0;

    harness_open(&harness, NULL);
    client_open(&client, &harness);
    const char *id = submit_training(&client, "cut", n_epochs);
    for (int i = 0; i < 3; i++) {
        double saved = wait_checkpoint(&client, id, from);
        interrupt(&harness);
        harness_start(&harness);
        from = wait_resumed(&client, id);
        assert_true(from >= saved);
    }
    check_same(&client, id);
    const json_t *job = job_of(&client, id);
    assert_true(number_at(job, "/resumed_from_epoch") == from);
    assert_true(number_at(job, "/attempts") == attempts);
    assert_int_equal(count_at(job, "/warnings"), 0);
    client_close(&client);
    harness_close(&harness);
}

static void job_killed_three_times_ends_as_if_it_had_not_been(void **state)
{
    (void)state;
    check_interrupted(harness_kill, 4);
}

static void terminate(struct harness *harness)
{
    assert_true(harness_stop(harness) < 25);
}

static void job_stopped_three_times_ends_as_if_it_had_not_been(void **state)
{
    (void)state;
    check_interrupted(terminate, 1);
}

/* A table of so many rows that an epoch of single ones takes long. */
static const char *upload_long(struct client *client)
{
    enum { LONG_ROWS = 30000 };
    char *text = malloc(16 + LONG_ROWS * 24);
    assert_non_null(text);
    size_t len = (size_t)snprintf(text, 16, "a,b,c\n");
    for (int i = 0; i < LONG_ROWS; i++)
        len += (size_t)snprintf(text + len, 24, "%d,%d,%d\n", i % 7, i % 11, i);
    const struct answer *made = client_post_csv(client, "/v1/datasets", text);
    free(text);
    expect_status(made, 201);
    return text_at(made->json, "/id");
}

/* The 25 s that a stop may take are a promise. */
static void stopping_does_not_wait_for_a_long_epoch(void **state)
{
    struct harness harness;
    struct client client;
    (void)state;
    harness_open(&harness, NULL);
    client_open(&client, &harness);
    const char *id = submit(&client,
                            "{'dataset': '%s', 'target': 'c', 'batch_size': 1,"
                            " 'hidden_layer_sizes': [1024, 1024], " ENDLESS "}",
                            upload_long(&client));
    wait_resumed(&client, id);
    assert_true(harness_stop(&harness) < 25);
    harness_start(&harness);
    assert_true(wait_resumed(&client, id) == 0);
    assert_true(number_at(job_of(&client, id), "/attempts") == 1);
    harness_kill(&harness);
    client_close(&client);
    harness_close(&harness);
}

/* --- checkpoints that are no good ---------------------------------------------------- */

/* All zeros, which its digest does not allow. */
static void damage(sqlite3 *db)
{
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE job_checkpoint_chunk"
                                  " SET bytes = zeroblob(length(bytes))",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
}

/* Without its last byte, but with a digest that says it is whole: only the trainer can see
 * it, when it has read the rest. */
static void cut_short(sqlite3 *db)
{
    unsigned char sum[DIGEST_SIZE];
    struct digest digest;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE job_checkpoint SET n_bytes = n_bytes - 1;"
                                  "UPDATE job_checkpoint_chunk"
                                  " SET bytes = substr(bytes, 1, length(bytes) - 1)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_prepare_v2(db, "SELECT bytes FROM job_checkpoint_chunk", -1, &stmt, NULL);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    digest_init(&digest);
    digest_add(&digest, sqlite3_column_blob(stmt, 0),
               (size_t)sqlite3_column_bytes(stmt, 0));
    digest_finish(&digest, sum);
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    sqlite3_finalize(stmt);
    sqlite3_prepare_v2(db, "UPDATE job_checkpoint SET sha256 = ?", -1, &stmt, NULL);
    sqlite3_bind_blob(stmt, 1, sum, sizeof sum, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_changes(db), 1);
}

/* Stops a job, spoils its checkpoint and starts again: it must end as one that never had
 * any, and say so. */
static void check_spoilt(void (*spoil)(sqlite3 *db))
{
    sqlite3 *db = NULL;
    struct harness harness;
    struct client client;

    harness_open(&harness, NULL);
    client_open(&client, &harness);
    const char *id = submit_training(&client, "cut", n_epochs);
    wait_checkpoint(&client, id, 0);
    harness_stop(&harness);
    assert_int_equal(sqlite3_open_v2(harness.db, &db, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    spoil(db);
    sqlite3_close(db);
    harness_start(&harness);
    check_same(&client, id);
    const json_t *job = job_of(&client, id);
    assert_true(json_is_null(find_at(job, "/resumed_from_epoch")));
    assert_true(has_warning(job, "checkpoint_dropped"));
    client_close(&client);
    harness_close(&harness);
}

static void damaged_checkpoint_is_dropped_and_the_job_starts_anew(void **state)
{
    (void)state;
    check_spoilt(damage);
}

static void checkpoint_that_does_not_fit_is_dropped_and_the_job_starts_anew(void **state)
{
    (void)state;
    check_spoilt(cut_short);
}

/* --- ends ---------------------------------------------------------------------------- */

static void cancelled_job_leaves_no_checkpoint(void **state)
{
    struct harness harness;
    struct client client;
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    char path[128];
    (void)state;
    harness_open(&harness, NULL);
    client_open(&client, &harness);
    const char *id =
        submit(&client, "{'dataset': '%s', 'target': 'species', " ENDLESS "}",
               upload(&client, "iris"));
    wait_checkpoint(&client, id, 0);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    expect_status(client_post(&client, path, "{}"), 202);
    const json_t *job = wait_job(&client, id, "cancelled");
    assert_true(json_is_null(find_at(job, "/checkpoint_epoch")));
    client_close(&client);
    harness_stop(&harness);
    assert_int_equal(sqlite3_open(harness.db, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT (SELECT count(*) FROM job_checkpoint)"
                                        " + (SELECT count(*) FROM job_checkpoint_chunk)",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0), 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    harness_close(&harness);
}

/* Crashes that get further are no reason to give a job up; those that do not are
 * (test_restart). */
static void job_that_gets_further_each_time_is_not_given_up(void **state)
{
    struct harness harness;
    struct client client;
    char path[128];
    double from = 0;
    (void)state;
    harness_open(&harness, NULL);
    client_open(&client, &harness);
    const char *id =
        submit(&client, "{'dataset': '%s', 'target': 'species', " ENDLESS "}",
               upload(&client, "iris"));
    for (int i = 0; i < 5; i++) {
        wait_checkpoint(&client, id, from);
        harness_kill(&harness);
        harness_start(&harness);
        double resumed = wait_resumed(&client, id);
        assert_true(resumed > from);
        from = resumed;
    }
    assert_true(number_at(wait_running(&client, id), "/attempts") == 6);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    expect_status(client_post(&client, path, "{}"), 202);
    wait_job(&client, id, "cancelled");
    client_close(&client);
    harness_close(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(job_killed_three_times_ends_as_if_it_had_not_been),
        cmocka_unit_test(job_stopped_three_times_ends_as_if_it_had_not_been),
        cmocka_unit_test(stopping_does_not_wait_for_a_long_epoch),
        cmocka_unit_test(damaged_checkpoint_is_dropped_and_the_job_starts_anew),
        cmocka_unit_test(checkpoint_that_does_not_fit_is_dropped_and_the_job_starts_anew),
        cmocka_unit_test(cancelled_job_leaves_no_checkpoint),
        cmocka_unit_test(job_that_gets_further_each_time_is_not_given_up),
    };
    return cmocka_run_group_tests(tests, train_whole, NULL);
}
