#include "harness.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A training of seconds, not of milliseconds, and not of minutes. */
#define SOME_SECONDS                                                                     \
    "'max_iter': 2000, 'n_iter_no_change': 1000000, 'early_stopping': false, "           \
    "'validation_fraction': 0"

/* The states and causes of a job as one text: "queued submitted, running claimed". */
static void print_transitions(const json_t *job, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count_at(job, "/transitions") && len < size; i++) {
        const json_t *item = json_array_get(find_at(job, "/transitions"), i);
        len += (size_t)snprintf(out + len, size - len, "%s%s: %s", i ? ", " : "",
                                text_at(item, "/state"), text_at(item, "/cause"));
    }
}

/* The first value of a query's first row, as text. */
static void check_value(sqlite3 *db, const char *sql, const char *expected)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    const char *value = (const char *)sqlite3_column_text(stmt, 0);
    if (!value || strcmp(value, expected) != 0)
        fail_msg("%s: %s, not %s", sql, value ? value : "NULL", expected);
    sqlite3_finalize(stmt);
}

/* The file is whole, and nothing half-made is left in it. The server must be down. */
static void check_database(const struct harness *harness)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2(harness->db, &db, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    check_value(db, "PRAGMA integrity_check", "ok");
    check_value(db, "SELECT count(*) FROM pragma_foreign_key_check", "0");
    check_value(db, "SELECT count(*) FROM dataset WHERE state <> 'ready'", "0");
    check_value(db, "SELECT count(*) FROM job WHERE state IN ('running', 'cancelling')",
                "0");
    sqlite3_close(db);
}

static void cancel_and_wait(struct client *client, const char *id)
{
    char path[128];
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    expect_status(client_post(client, path, "{}"), 202);
    wait_job(client, id, "cancelled");
}

/* --- killed in training ------------------------------------------------------------- */

#define ROWS                                                                             \
    "{'instances': [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6, 2.5], [5.5, 2.3, 4, 1.3]]}"

static void what_was_acknowledged_survives_a_kill(void **state)
{
    struct harness harness;
    struct client client;
    char causes[400];
    (void)state;
    harness_open(&harness, NULL);
    client_open(&client, &harness);
    const char *iris = upload(&client, "iris");
    const char *penguins = upload(&client, "penguins");
    const char *done = submit(&client, "{'dataset': '%s', 'target': 'species'}", iris);
    wait_job(&client, done, "succeeded");
    const struct answer *job = client_get(&client, "/v1/jobs/%s", done);
    const struct answer *table = client_get(&client, "/v1/datasets/%s", iris);
    const struct answer *rows =
        client_get(&client, "/v1/datasets/%s/rows?limit=200", iris);
    const struct answer *version = client_get(&client, "/v1/models/iris/versions/1");
    const struct answer *said = client_post(&client, "/v1/models/iris/predict", ROWS);
    expect_status(said, 200);
    const char *cut = submit(
        &client, "{'dataset': '%s', 'target': 'species', " SOME_SECONDS "}", penguins);
    wait_running(&client, cut);
    harness_kill(&harness);
    harness_start(&harness);

    assert_true(json_equal(client_get(&client, "/v1/jobs/%s", done)->json, job->json));
    assert_true(
        json_equal(client_get(&client, "/v1/datasets/%s", iris)->json, table->json));
    assert_true(json_equal(
        client_get(&client, "/v1/datasets/%s/rows?limit=200", iris)->json, rows->json));
    assert_true(json_equal(client_get(&client, "/v1/models/iris/versions/1")->json,
                           version->json));
    assert_true(json_equal(client_post(&client, "/v1/models/iris/predict", ROWS)->json,
                           said->json));
    const json_t *again = wait_job(&client, cut, "succeeded");
    assert_true(number_at(again, "/attempts") == 2);
    assert_true(number_at(again, "/epoch") == 2000);
    print_transitions(again, causes, sizeof causes);
    assert_string_equal(causes,
                        "queued: submitted, running: claimed, queued: process restarted,"
                        " running: claimed, succeeded: trained");
    const struct answer *model = client_get(&client, "/v1/models/penguins");
    expect_status(model, 200);
    assert_int_equal(count_at(model->json, "/versions"), 1);
    client_close(&client);
    harness_stop(&harness);
    check_database(&harness);
    harness_close(&harness);
}

static void cancel_asked_for_before_a_kill_holds(void **state)
{
    struct harness harness;
    struct client client;
    char path[128];
    static const char *const arguments[] = {"--workers", "1", NULL};
    (void)state;
    harness_open(&harness, arguments);
    client_open(&client, &harness);
    const char *iris = upload(&client, "iris");
    const char *running =
        submit(&client, "{'dataset': '%s', 'target': 'species', " ENDLESS "}", iris);
    const char *queued = submit(&client, "{'dataset': '%s', 'target': 'species'}", iris);
    wait_running(&client, running);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", running);
    expect_status(client_post(&client, path, "{}"), 202);
    harness_kill(&harness);
    harness_start(&harness);
    wait_job(&client, running, "cancelled");
    wait_job(&client, queued, "succeeded");
    client_close(&client);
    harness_close(&harness);
}

/* Polls until the job is running for that time. */
static void wait_attempt(struct client *client, const char *id, int attempt)
{
    double until = now_s() + HARNESS_PATIENCE_S;
    while (now_s() < until) {
        const struct answer *job = client_get(client, "/v1/jobs/%s", id);
        expect_status(job, 200);
        if (strcmp(text_at(job->json, "/state"), "running") == 0) {
            assert_true(number_at(job->json, "/attempts") == attempt);
            return;
        }
        pause_ms(2);
    }
    fail_msg("attempt %d of %s has not begun", attempt, id);
}

static void job_that_takes_its_server_along_is_given_up(void **state)
{
    struct harness harness;
    struct client client;
    (void)state;
    harness_open(&harness, NULL);
    client_open(&client, &harness);
    /* No epoch of it ends, so it leaves no checkpoint: it gets nowhere. */
    const char *id = submit(&client,
                            "{'dataset': '%s', 'target': 'digit', 'batch_size': 1,"
                            " 'hidden_layer_sizes': [2048, 2048], " ENDLESS "}",
                            upload(&client, "digits"));
    for (int attempt = 1; attempt <= 3; attempt++) {
        wait_attempt(&client, id, attempt);
        harness_kill(&harness);
        harness_start(&harness);
    }
    const json_t *job = wait_job(&client, id, "failed");
    assert_string_equal(text_at(job, "/error/code"), "poison");
    assert_true(number_at(job, "/attempts") == 3);
    client_close(&client);
    harness_close(&harness);
}

/* --- killed amid uploads ------------------------------------------------------------ */

#define UPLOADS_MAX 4000
#define UPLOAD_ROWS 300

struct uploader {
    const struct harness *server;
    atomic_int n_acknowledged;
    char ids[UPLOADS_MAX][40];
};

/* A table whose values say which it is. */
static char *make_table(int number)
{
    size_t size = 64 + UPLOAD_ROWS * 48;
    char *text = malloc(size);
    int len = snprintf(text, size, "number,row,name\n");
    for (int i = 0; i < UPLOAD_ROWS; i++)
        len += snprintf(text + len, size - (size_t)len, "%d,%d,row-%d-%d\n", number, i,
                        number, i);
    return text;
}

/* Uploads until the server is gone. */
static void *upload_on(void *arg)
{
    struct uploader *uploader = arg;
    struct client client;
    client_open(&client, uploader->server);
    for (;;) {
        int n = atomic_load(&uploader->n_acknowledged);
        if (n == UPLOADS_MAX)
            break;
        char *table = make_table(n);
        const struct answer *made = client_post_csv(&client, "/v1/datasets", table);
        free(table);
        if (made->status != 201)
            break;
        snprintf(uploader->ids[n], sizeof uploader->ids[n], "%s",
                 json_string_value(json_object_get(made->json, "id")));
        atomic_store(&uploader->n_acknowledged, n + 1);
        client_forget(&client);
    }
    client_close(&client);
    return NULL;
}

static void check_table(struct client *client, const char *id, int number)
{
    char name[40];
    const struct answer *rows = client_get(client, "/v1/datasets/%s/rows?limit=1000", id);
    expect_status(rows, 200);
    assert_int_equal(count_at(rows->json, "/data"), UPLOAD_ROWS);
    for (int i = 0; i < UPLOAD_ROWS; i++) {
        const json_t *row = json_array_get(find_at(rows->json, "/data"), (size_t)i);
        if (number >= 0)
            assert_true(number_at(row, "/0") == number);
        assert_true(number_at(row, "/1") == i);
        snprintf(name, sizeof name, "row-%.0f-%d", number_at(row, "/0"), i);
        assert_string_equal(text_at(row, "/2"), name);
    }
}

/* Every dataset in the list can be read in full; how many there are. */
static int check_list(struct client *client)
{
    char after[64] = "";
    int n = 0;
    for (;;) {
        const struct answer *list = client_get(client, "/v1/datasets?limit=200%s", after);
        expect_status(list, 200);
        for (size_t i = 0; i < count_at(list->json, "/items"); i++, n++)
            check_table(client,
                        text_at(json_array_get(find_at(list->json, "/items"), i), "/id"),
                        -1);
        if (json_is_null(find_at(list->json, "/next")))
            return n;
        snprintf(after, sizeof after, "&after=%s", text_at(list->json, "/next"));
        client_forget(client);
    }
}

static void no_acknowledged_upload_is_lost_and_no_half_one_kept(void **state)
{
    enum { ROUNDS = 3, UPLOADS = 15 };
    struct harness harness;
    struct client client;
    struct uploader *uploader = calloc(1, sizeof *uploader);
    int unanswered = 0;
    (void)state;
    assert_non_null(uploader);
    harness_open(&harness, NULL);
    client_open(&client, &harness);
    uploader->server = &harness;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        int before = atomic_load(&uploader->n_acknowledged);
        double until = now_s() + HARNESS_PATIENCE_S;
        assert_int_equal(pthread_create(&thread, NULL, upload_on, uploader), 0);
        while (atomic_load(&uploader->n_acknowledged) < before + UPLOADS &&
               now_s() < until)
            pause_ms(1);
        harness_kill(&harness);
        pthread_join(thread, NULL);
        harness_start(&harness);
        int n = atomic_load(&uploader->n_acknowledged);
        assert_true(n >= before + UPLOADS);
        for (int i = 0; i < n; i++)
            check_table(&client, uploader->ids[i], i);
        /* The one under way may be stored without having been answered. */
        int listed = check_list(&client);
        assert_in_range(listed - n, unanswered, unanswered + 1);
        unanswered = listed - n;
    }
    client_close(&client);
    harness_stop(&harness);
    check_database(&harness);
    harness_close(&harness);
    free(uploader);
}

/* --- killed in one large upload ----------------------------------------------------- */

struct large {
    const struct harness *server;
    long status;
};

/* About 24 MB of values, which is stored in several transactions. */
static void *upload_large(void *arg)
{
    enum { LARGE_ROWS = 300000 };
    struct large *large = arg;
    struct client client;
    static const char row[] = "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1.1\n";
    size_t len = 0;
    char *text = malloc(64 + LARGE_ROWS * sizeof row);
    if (!text)
        return NULL;
    len += (size_t)snprintf(text, 64, "a,b,c,d,e,f,g,h,i,j\n");
    for (size_t i = 0; i < LARGE_ROWS; i++, len += sizeof row - 1)
        memcpy(text + len, row, sizeof row - 1);
    client_open(&client, large->server);
    large->status = client_call(&client, &(struct call){.path = "/v1/datasets",
                                                        .type = "text/csv",
                                                        .body = text,
                                                        .len = len})
                        ->status;
    client_close(&client);
    free(text);
    return NULL;
}

static size_t file_size(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (size_t)status.st_size : 0;
}

static void half_of_a_large_upload_is_removed(void **state)
{
    struct harness harness;
    struct client client;
    struct large large = {0};
    pthread_t thread;
    char log_path[128];
    (void)state;
    harness_open(&harness, NULL);
    client_open(&client, &harness);
    large.server = &harness;
    upload(&client, "iris");
    snprintf(log_path, sizeof log_path, "%s-wal", harness.db);
    assert_int_equal(pthread_create(&thread, NULL, upload_large, &large), 0);
    double until = now_s() + HARNESS_PATIENCE_S;
    /* A first transaction is in, the last one is not. */
    while (file_size(log_path) < 9000000 && now_s() < until)
        pause_ms(1);
    harness_kill(&harness);
    pthread_join(thread, NULL);
    harness_start(&harness);
    const struct answer *list = client_get(&client, "/v1/datasets");
    expect_status(list, 200);
    assert_int_equal(count_at(list->json, "/items"), large.status == 201 ? 2 : 1);
    client_close(&client);
    harness_stop(&harness);
    check_database(&harness);
    harness_close(&harness);
}

/* --- asked to stop ------------------------------------------------------------------ */

static void stopping_sends_a_running_job_back_to_the_queue(void **state)
{
    struct harness harness;
    struct client client;
    char causes[400];
    (void)state;
    harness_open(&harness, NULL);
    client_open(&client, &harness);
    const char *id =
        submit(&client, "{'dataset': '%s', 'target': 'species', " ENDLESS "}",
               upload(&client, "iris"));
    wait_running(&client, id);
    assert_true(harness_stop(&harness) < 10);
    harness_start(&harness);
    const json_t *job = wait_running(&client, id);
    print_transitions(job, causes, sizeof causes);
    assert_string_equal(causes,
                        "queued: submitted, running: claimed, queued: the server stops,"
                        " running: claimed");
    cancel_and_wait(&client, id);
    client_close(&client);
    harness_close(&harness);
}

static void queued_jobs_run_after_a_restart(void **state)
{
    struct harness harness;
    struct client client;
    static const char *const arguments[] = {"--workers", "1", NULL};
    (void)state;
    harness_open(&harness, arguments);
    client_open(&client, &harness);
    const char *iris = upload(&client, "iris");
    const char *first =
        submit(&client, "{'dataset': '%s', 'target': 'species', " ENDLESS "}", iris);
    const char *second = submit(&client, "{'dataset': '%s', 'target': 'species'}", iris);
    wait_running(&client, first);
    harness_stop(&harness);
    harness_start(&harness);
    cancel_and_wait(&client, first);
    wait_job(&client, second, "succeeded");
    client_close(&client);
    harness_close(&harness);
}

/* --- two at once -------------------------------------------------------------------- */

static void second_server_on_a_database_refuses_to_start(void **state)
{
    struct harness harness;
    struct client client;
    char *text = NULL;
    (void)state;
    harness_open(&harness, NULL);
    client_open(&client, &harness);
    const char *arguments[] = {"serve",    "--db",        harness.db,
                               "--listen", "127.0.0.1:0", NULL};
    assert_int_equal(harness_run(arguments, &text), 1);
    if (!strstr(text, "in use by process"))
        fail_msg("it says \"%s\"", text);
    free(text);
    expect_status(client_get(&client, "/readyz"), 200);
    upload(&client, "iris");
    client_close(&client);
    harness_close(&harness);
}

static void what_is_no_database_is_left_alone(void **state)
{
    struct harness harness;
    char path[128];
    char *text = NULL;
    char read[64] = "";
    (void)state;
    harness_open(&harness, NULL);
    snprintf(path, sizeof path, "%s/letter.txt", harness.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("Dear database, this is a letter and not one of you.", file);
    fclose(file);
    const char *arguments[] = {"serve", "--db", path, "--listen", "127.0.0.1:0", NULL};
    assert_int_equal(harness_run(arguments, &text), 1);
    assert_true(strlen(text) > 0);
    free(text);
    file = fopen(path, "r");
    assert_non_null(fgets(read, sizeof read, file));
    fclose(file);
    assert_string_equal(read, "Dear database, this is a letter and not one of you.");
    harness_close(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_survives_a_kill),
        cmocka_unit_test(cancel_asked_for_before_a_kill_holds),
        cmocka_unit_test(job_that_takes_its_server_along_is_given_up),
        cmocka_unit_test(no_acknowledged_upload_is_lost_and_no_half_one_kept),
        cmocka_unit_test(half_of_a_large_upload_is_removed),
        cmocka_unit_test(stopping_sends_a_running_job_back_to_the_queue),
        cmocka_unit_test(queued_jobs_run_after_a_restart),
        cmocka_unit_test(second_server_on_a_database_refuses_to_start),
        cmocka_unit_test(what_is_no_database_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
