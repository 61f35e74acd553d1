#include "store_fixture.h"

#include "store/job_store.h"

/* --- helpers ------------------------------------------------------------------------- */

static void submit(struct fixture *fixture, const char *id, const char *dataset_id)
{
    char target[] = "price";
    char weight[] = "size";
    char *features[] = {(char[]){"age"}, (char[]){"city"}};
    struct job job = {.target = target,
                      .features = features,
                      .n_features = 2,
                      .sample_weight = strcmp(id, "job_a") == 0 ? weight : NULL,
                      .task = ENCODER_MULTICLASS,
                      .created_at_ms = 100};
    snprintf(job.id, sizeof job.id, "%s", id);
    snprintf(job.model, sizeof job.model, "houses");
    snprintf(job.dataset_id, sizeof job.dataset_id, "%s", dataset_id);
    parameters_init(&job.parameters, PARAMETERS_PRESET_AUTO);
    job.parameters.seed = 77;
    if (strcmp(id, "job_a") == 0)
        job.warm_start = (struct model_reference){"homes", 4, "5a"};
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_insert(tx, &job, &fixture->err), 0);
    fixture_commit(fixture, tx);
}

static void get(struct fixture *fixture, const char *id, struct job *job)
{
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(job_store_get(tx, id, job, &fixture->err), 0);
    fixture_rollback(fixture, tx);
}

static enum job_state state_of(struct fixture *fixture, const char *id)
{
    struct job job = {0};
    get(fixture, id, &job);
    enum job_state state = job.state;
    job_clear(&job);
    return state;
}

static int claim(struct fixture *fixture, int64_t now_ms, struct job *job)
{
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    int result = job_store_claim(tx, now_ms, job, &fixture->err);
    return fixture_end(fixture, tx, result);
}

/* Claims the oldest, whose id this must be. */
static void claim_id(struct fixture *fixture, const char *id)
{
    struct job job = {0};
    assert_int_equal(claim(fixture, 200, &job), 1);
    assert_string_equal(job.id, id);
    job_clear(&job);
}

static int move(struct fixture *fixture, const char *id, enum job_state to)
{
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    int result = job_store_move(tx, id, to, "test", 300, &fixture->err);
    return fixture_end(fixture, tx, result);
}

static int fail_job(struct fixture *fixture, const char *id)
{
    struct job_error error = {.code = "diverged", .message = "it did", .hint = "do less"};
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    return fixture_end(fixture, tx, job_store_fail(tx, id, &error, 300, &fixture->err));
}

static int succeed(struct fixture *fixture, const char *id)
{
    struct metrics metrics = {0};
    struct warnings warnings = {0};
    metrics.parts[METRICS_TEST].n_rows = 5;
    metrics.parts[METRICS_TEST].regression.r2 = 0.75;
    warnings_add(&warnings, "id_like", "zip", 0, "dropped");
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    int result = job_store_succeed(tx, id, 4, &metrics, &warnings, 300, &fixture->err);
    warnings_clear(&warnings);
    return fixture_end(fixture, tx, result);
}

static int64_t number(struct fixture *fixture, const char *sql)
{
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    int64_t n = fixture_number(tx, sql);
    fixture_rollback(fixture, tx);
    return n;
}

/* --- reading ------------------------------------------------------------------------- */

static void job_comes_back_as_submitted(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a", "ds_a");
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), 0);
    get(fixture, "job_a", &job);
    assert_string_equal(job.id, "job_a");
    assert_string_equal(job.model, "houses");
    assert_string_equal(job.dataset_id, "ds_a");
    assert_string_equal(job.target, "price");
    assert_int_equal(job.n_features, 2);
    assert_string_equal(job.features[1], "city");
    assert_string_equal(job.sample_weight, "size");
    assert_string_equal(job.warm_start.model, "homes");
    assert_int_equal(job.warm_start.version, 4);
    assert_string_equal(job.warm_start.weights_sha256, "5a");
    assert_int_equal(job.task, ENCODER_MULTICLASS);
    assert_int_equal(job.parameters.seed, 77);
    assert_int_equal(job.state, JOB_QUEUED);
    assert_int_equal(job.attempts, 0);
    assert_true(isnan(job.progress.train_loss) && isnan(job.progress.eta_seconds));
    assert_int_equal(job.created_at_ms, 100);
    assert_int_equal(job.started_at_ms, 0);
    assert_int_equal(job.finished_at_ms, 0);
    assert_int_equal(job.n_transitions, 1);
    assert_int_equal(job.transitions[0].state, JOB_QUEUED);
    assert_string_equal(job.transitions[0].cause, "submitted");
    job_clear(&job);
    submit(fixture, "job_b", "ds_a");
    get(fixture, "job_b", &job);
    assert_null(job.sample_weight);
    assert_string_equal(job.warm_start.model, "");
    assert_int_equal(job.warm_start.version, 0);
    job_clear(&job);
}

static void unknown_job_is_not_found(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_get(tx, "job_x", &job, &fixture->err), -1);
    assert_string_equal(fixture->err.slug, "no_such_job");
    fixture->err = (struct err){0};
    assert_int_equal(job_store_move(tx, "job_x", JOB_CANCELLED, "", 1, &fixture->err),
                     -1);
    assert_int_equal(fixture->err.code, ERR_NOT_FOUND);
    fixture_rollback(fixture, tx);
}

static void list_pages(struct fixture *fixture, int state, char *seen, size_t size)
{
    int64_t before = 0;
    size_t n = 1;
    seen[0] = '\0';
    while (n) {
        struct job *items = NULL;
        struct db_tx *tx = fixture_begin(fixture, DB_READ);
        assert_int_equal(job_store_list(tx, state, before, 3, &items, &n, &fixture->err),
                         0);
        fixture_rollback(fixture, tx);
        for (size_t i = 0; i < n; i++) {
            snprintf(seen + strlen(seen), size - strlen(seen), "%s", items[i].id + 4);
            before = items[i].seq;
            assert_true(items[i].n_transitions >= 1);
            job_clear(&items[i]);
        }
        snprintf(seen + strlen(seen), size - strlen(seen), "|");
        free(items);
    }
}

static void pages_go_from_newest_to_oldest_and_by_state(void **state)
{
    struct fixture *fixture = *state;
    char seen[64];
    char id[16];
    for (int i = 0; i < 7; i++) {
        snprintf(id, sizeof id, "job_%d", i);
        submit(fixture, id, "ds_a");
    }
    claim_id(fixture, "job_0");
    claim_id(fixture, "job_1");
    list_pages(fixture, -1, seen, sizeof seen);
    assert_string_equal(seen, "654|321|0||");
    list_pages(fixture, JOB_QUEUED, seen, sizeof seen);
    assert_string_equal(seen, "654|32||");
    list_pages(fixture, JOB_RUNNING, seen, sizeof seen);
    assert_string_equal(seen, "10||");
    list_pages(fixture, JOB_FAILED, seen, sizeof seen);
    assert_string_equal(seen, "|");
}

/* --- the queue ----------------------------------------------------------------------- */

static void oldest_queued_job_is_claimed_first(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    assert_int_equal(claim(fixture, 200, &job), 0);
    submit(fixture, "job_a", "ds_a");
    submit(fixture, "job_b", "ds_a");
    assert_int_equal(claim(fixture, 200, &job), 1);
    assert_string_equal(job.id, "job_a");
    assert_int_equal(job.state, JOB_RUNNING);
    assert_int_equal(job.attempts, 1);
    assert_int_equal(job.started_at_ms, 200);
    assert_int_equal(job.n_transitions, 2);
    assert_int_equal(job.transitions[1].state, JOB_RUNNING);
    assert_string_equal(job.transitions[1].cause, "claimed");
    job_clear(&job);
    /* one that goes back is before younger ones, and starts over */
    struct job_progress progress = {.epoch = 5, .train_loss = 0.5, .eta_seconds = 9};
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_set_progress(tx, "job_a", &progress, &fixture->err), 0);
    fixture_commit(fixture, tx);
    assert_int_equal(move(fixture, "job_a", JOB_QUEUED), 0);
    get(fixture, "job_a", &job);
    assert_int_equal(job.started_at_ms, 0);
    job_clear(&job);
    assert_int_equal(claim(fixture, 400, &job), 1);
    assert_string_equal(job.id, "job_a");
    assert_int_equal(job.attempts, 1);
    assert_int_equal(job.progress.epoch, 0);
    assert_true(isnan(job.progress.train_loss));
    job_clear(&job);
    claim_id(fixture, "job_b");
    assert_int_equal(claim(fixture, 200, &job), 0);
}

static void claim_and_lists_use_their_indexes(void **state)
{
    static const struct {
        const char *sql;
        const char *index;
        size_t n_steps; /* a second one sorts */
    } plans[] = {
        {"EXPLAIN QUERY PLAN SELECT seq FROM job WHERE state = 'queued' ORDER BY seq "
         "LIMIT 1",
         "job_by_state_in_order", 1},
        {"EXPLAIN QUERY PLAN SELECT seq, state, attempts FROM job"
         " WHERE state IN ('running', 'cancelling') ORDER BY seq",
         "job_by_state_in_order", 2},
        {"EXPLAIN QUERY PLAN SELECT 1 FROM job WHERE dataset_id = $1"
         " AND state IN ('queued', 'running', 'cancelling') LIMIT 1",
         "job_unfinished_by_dataset", 1},
        {"EXPLAIN QUERY PLAN SELECT * FROM job WHERE state = $3 AND seq < $1"
         " ORDER BY seq DESC LIMIT $2",
         "job_by_state_in_order", 1},
    };
    struct fixture *fixture = *state;
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct db_stmt *stmt = NULL;
        assert_int_equal(db_prepare(tx, plans[i].sql, &stmt, &fixture->err), 0);
        assert_int_equal(db_step(stmt, &fixture->err), 1);
        if (!strstr(db_column_text(stmt, 3), plans[i].index))
            fail_msg("%s: %s", plans[i].sql, db_column_text(stmt, 3));
        size_t n_steps = 1;
        while (db_step(stmt, &fixture->err) == 1)
            n_steps++;
        assert_int_equal(n_steps, plans[i].n_steps);
    }
    fixture_rollback(fixture, tx);
}

enum { N_JOBS = 40, N_CLAIMERS = 4 };

struct claimer {
    struct fixture *fixture;
    size_t n;
    char ids[N_JOBS][ID_SIZE];
    bool failed;
};

static void *claim_all(void *arg)
{
    struct claimer *claimer = arg;
    for (;;) {
        struct err err = {0};
        struct job job = {0};
        struct db_tx *tx = NULL;
        if (db_begin(claimer->fixture->db, DB_WRITE, &tx, &err) != 0)
            break;
        int got = db_end(tx, job_store_claim(tx, 200, &job, &err), &err);
        if (got == 0)
            return NULL;
        if (got < 0 || claimer->n == N_JOBS)
            break;
        memcpy(claimer->ids[claimer->n++], job.id, sizeof job.id);
        job_clear(&job);
    }
    claimer->failed = true;
    return NULL;
}

static void threads_claim_each_job_once(void **state)
{
    static struct claimer claimers[N_CLAIMERS];
    struct fixture *fixture = *state;
    pthread_t threads[N_CLAIMERS];
    int times[N_JOBS] = {0};
    char id[16];
    for (int i = 0; i < N_JOBS; i++) {
        snprintf(id, sizeof id, "job_%d", i);
        submit(fixture, id, "ds_a");
    }
    for (int i = 0; i < N_CLAIMERS; i++) {
        claimers[i] = (struct claimer){.fixture = fixture};
        assert_int_equal(pthread_create(&threads[i], NULL, claim_all, &claimers[i]), 0);
    }
    for (int i = 0; i < N_CLAIMERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(claimers[i].failed);
        for (size_t j = 0; j < claimers[i].n; j++)
            times[strtol(claimers[i].ids[j] + 4, NULL, 10)]++;
    }
    for (int i = 0; i < N_JOBS; i++)
        assert_int_equal(times[i], 1);
    assert_int_equal(number(fixture, "SELECT count(*) FROM job_transition"), 2 * N_JOBS);
}

/* --- changes of state ---------------------------------------------------------------- */

static void illegal_moves_are_conflicts_that_name_the_state(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, "job_a", "ds_a");
    assert_int_equal(move(fixture, "job_a", JOB_CANCELLING), -1);
    assert_int_equal(fixture->err.code, ERR_CONFLICT);
    assert_string_equal(fixture->err.slug, "wrong_state");
    assert_non_null(strstr(fixture->err.message, "queued"));
    assert_int_equal(succeed(fixture, "job_a"), -1);
    assert_string_equal(fixture->err.slug, "wrong_state");
    assert_int_equal(fail_job(fixture, "job_a"), -1);
    assert_string_equal(fixture->err.slug, "wrong_state");
    assert_int_equal(move(fixture, "job_a", JOB_CANCELLED), 0);
    for (int to = 0; to < JOB_STATE_COUNT; to++) {
        assert_int_equal(move(fixture, "job_a", (enum job_state)to), -1);
        assert_string_equal(fixture->err.slug, "wrong_state");
    }
    assert_int_equal(number(fixture, "SELECT count(*) FROM job_transition"), 2);
}

static void cancelling_job_ends_cancelled_or_failed_but_not_succeeded(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a", "ds_a");
    claim_id(fixture, "job_a");
    assert_int_equal(move(fixture, "job_a", JOB_CANCELLING), 0);
    assert_int_equal(succeed(fixture, "job_a"), -1);
    assert_int_equal(fixture->err.code, ERR_CONFLICT);
    assert_int_equal(move(fixture, "job_a", JOB_CANCELLED), 0);
    get(fixture, "job_a", &job);
    assert_int_equal(job.finished_at_ms, 300);
    assert_int_equal(job.n_transitions, 4);
    job_clear(&job);
    submit(fixture, "job_b", "ds_a");
    claim_id(fixture, "job_b");
    assert_int_equal(move(fixture, "job_b", JOB_CANCELLING), 0);
    assert_int_equal(fail_job(fixture, "job_b"), 0);
}

static void success_stores_scores_warnings_and_version(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a", "ds_a");
    claim_id(fixture, "job_a");
    assert_int_equal(succeed(fixture, "job_a"), 0);
    get(fixture, "job_a", &job);
    assert_int_equal(job.state, JOB_SUCCEEDED);
    assert_int_equal(job.model_version, 4);
    assert_int_equal(job.finished_at_ms, 300);
    assert_int_equal(job.metrics.parts[METRICS_TEST].n_rows, 5);
    assert_true(job.metrics.parts[METRICS_TEST].regression.r2 == 0.75);
    assert_int_equal(job.warnings.n, 1);
    assert_string_equal(job.warnings.items[0].column, "zip");
    assert_string_equal(job.error.code, "");
    job_clear(&job);
}

static void failure_stores_its_reason(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a", "ds_a");
    claim_id(fixture, "job_a");
    assert_int_equal(fail_job(fixture, "job_a"), 0);
    get(fixture, "job_a", &job);
    assert_int_equal(job.state, JOB_FAILED);
    assert_string_equal(job.error.code, "diverged");
    assert_string_equal(job.error.message, "it did");
    assert_string_equal(job.error.hint, "do less");
    assert_string_equal(job.transitions[2].cause, "diverged");
    job_clear(&job);
}

static void transitions_beyond_the_ceiling_show_the_newest(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a", "ds_a");
    for (int i = 0; i < 40; i++) {
        claim_id(fixture, "job_a");
        assert_int_equal(move(fixture, "job_a", JOB_QUEUED), 0);
    }
    claim_id(fixture, "job_a");
    assert_int_equal(move(fixture, "job_a", JOB_CANCELLING), 0);
    get(fixture, "job_a", &job);
    assert_int_equal(job.n_transitions, JOB_TRANSITIONS_MAX);
    assert_int_equal(job.transitions[0].state, JOB_RUNNING);
    assert_int_equal(job.transitions[JOB_TRANSITIONS_MAX - 1].state, JOB_CANCELLING);
    job_clear(&job);
}

/* --- progress ------------------------------------------------------------------------ */

static void progress_is_written_only_while_it_runs(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    struct job_progress progress = {.epoch = 3,
                                    .train_loss = 0.25,
                                    .validation_loss = (double)NAN,
                                    .samples_per_second = 1e6,
                                    .eta_seconds = 12.5};
    submit(fixture, "job_a", "ds_a");
    submit(fixture, "job_b", "ds_a");
    claim_id(fixture, "job_a");
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_set_progress(tx, "job_a", &progress, &fixture->err), 0);
    assert_int_equal(job_store_set_progress(tx, "job_b", &progress, &fixture->err), 0);
    fixture_commit(fixture, tx);
    get(fixture, "job_a", &job);
    assert_int_equal(job.progress.epoch, 3);
    assert_true(job.progress.train_loss == 0.25 && isnan(job.progress.validation_loss));
    assert_true(job.progress.samples_per_second == 1e6 &&
                job.progress.eta_seconds == 12.5);
    job_clear(&job);
    get(fixture, "job_b", &job);
    assert_int_equal(job.progress.epoch, 0);
    job_clear(&job);
}

static void epochs_are_replaced_and_cleared(void **state)
{
    static const char sum[] = "SELECT CAST(sum(train_loss) AS INTEGER) FROM job_epoch";
    struct fixture *fixture = *state;
    struct job_epoch epochs[] = {{1, 10, (double)NAN, 1}, {2, 5, 6, 2}};
    struct job_epoch again[] = {{2, 7, 6, 2}, {3, 100, 6, 2}};
    submit(fixture, "job_a", "ds_a");
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_add_epochs(tx, "job_a", epochs, 2, &fixture->err), 0);
    assert_int_equal(fixture_number(tx, sum), 15);
    assert_int_equal(job_store_add_epochs(tx, "job_a", again, 2, &fixture->err), 0);
    assert_int_equal(fixture_number(tx, sum), 117);
    struct job_epoch *history = NULL;
    size_t n = 0;
    assert_int_equal(
        job_store_list_epochs(tx, "job_a", 0, 2, &history, &n, &fixture->err), 0);
    assert_int_equal(n, 2);
    assert_int_equal(history[0].epoch, 1);
    assert_true(isnan(history[0].validation_loss));
    assert_true(history[1].train_loss == 7);
    free(history);
    assert_int_equal(
        job_store_list_epochs(tx, "job_a", 2, 10, &history, &n, &fixture->err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(history[0].epoch, 3);
    free(history);
    assert_int_equal(
        job_store_list_epochs(tx, "job_x", 0, 2, &history, &n, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_NOT_FOUND);
    fixture->err = (struct err){0};
    assert_int_equal(job_store_add_epochs(tx, "job_x", again, 2, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_NOT_FOUND);
    fixture->err = (struct err){0};
    assert_int_equal(fixture_number(tx, "SELECT count(*) FROM job_epoch"), 3);
    fixture_commit(fixture, tx);
    /* a job that is claimed starts over */
    claim_id(fixture, "job_a");
    tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(fixture_number(tx, "SELECT count(*) FROM job_epoch"), 0);
    fixture_commit(fixture, tx);
}

/* --- recovery ------------------------------------------------------------------------ */

static void recovery_requeues_cancels_and_gives_up(void **state)
{
    struct fixture *fixture = *state;
    struct job_recovered result;
    struct job job = {0};
    submit(fixture, "job_poison", "ds_a");
    for (int i = 1; i < JOB_ATTEMPTS_MAX; i++) {
        claim_id(fixture, "job_poison");
        struct db_tx *died = fixture_begin(fixture, DB_WRITE);
        assert_int_equal(job_store_recover(died, 400, &result, &fixture->err), 0);
        fixture_commit(fixture, died);
        assert_int_equal(result.n_requeued, 1);
    }
    claim_id(fixture, "job_poison");
    submit(fixture, "job_run", "ds_a");
    claim_id(fixture, "job_run");
    submit(fixture, "job_cancel", "ds_a");
    claim_id(fixture, "job_cancel");
    assert_int_equal(move(fixture, "job_cancel", JOB_CANCELLING), 0);
    submit(fixture, "job_queued", "ds_a");
    submit(fixture, "job_done", "ds_a");
    assert_int_equal(move(fixture, "job_done", JOB_CANCELLED), 0);

    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_recover(tx, 500, &result, &fixture->err), 0);
    fixture_commit(fixture, tx);
    assert_int_equal(result.n_requeued, 1);
    assert_int_equal(result.n_cancelled, 1);
    assert_int_equal(result.n_poison, 1);
    assert_int_equal(state_of(fixture, "job_run"), JOB_QUEUED);
    assert_int_equal(state_of(fixture, "job_cancel"), JOB_CANCELLED);
    assert_int_equal(state_of(fixture, "job_queued"), JOB_QUEUED);
    assert_int_equal(state_of(fixture, "job_done"), JOB_CANCELLED);
    get(fixture, "job_poison", &job);
    assert_int_equal(job.state, JOB_FAILED);
    assert_string_equal(job.error.code, "poison");
    assert_string_not_equal(job.error.hint, "");
    assert_int_equal(job.finished_at_ms, 500);
    assert_string_equal(job.transitions[job.n_transitions - 1].cause,
                        "process restarted");
    job_clear(&job);
    claim_id(fixture, "job_run");

    /* nothing is left to recover but that one */
    tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_recover(tx, 600, &result, &fixture->err), 0);
    fixture_commit(fixture, tx);
    assert_int_equal(result.n_requeued, 1);
    assert_int_equal(result.n_cancelled + result.n_poison, 0);
}

static void an_orderly_return_to_the_queue_is_no_attempt(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a", "ds_a");
    for (int i = 0; i < 2 * JOB_ATTEMPTS_MAX; i++) {
        claim_id(fixture, "job_a");
        assert_int_equal(move(fixture, "job_a", JOB_QUEUED), 0);
    }
    get(fixture, "job_a", &job);
    assert_int_equal(job.attempts, 0);
    job_clear(&job);
}

static void dataset_is_in_use_until_its_jobs_end(void **state)
{
    struct fixture *fixture = *state;
    struct err *err = &fixture->err;
    submit(fixture, "job_a", "ds_a");
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(job_store_uses_dataset(tx, "ds_a", err), 1);
    assert_int_equal(job_store_uses_dataset(tx, "ds_b", err), 0);
    fixture_rollback(fixture, tx);
    claim_id(fixture, "job_a");
    assert_int_equal(fail_job(fixture, "job_a"), 0);
    tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(job_store_uses_dataset(tx, "ds_a", err), 0);
    fixture_rollback(fixture, tx);
}

static void damaged_job_is_corrupt(void **state)
{
    static const char *const damages[] = {
        "UPDATE job SET features = x'01ff'",
        "UPDATE job SET parameters = CAST('nonsense' AS BLOB)",
        "UPDATE job SET warnings = x''",
        "UPDATE job SET metrics = x'ff'",
        "PRAGMA ignore_check_constraints = 1; UPDATE job SET state = 'asleep'",
        "PRAGMA ignore_check_constraints = 1; UPDATE job SET task = 'guess'",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct job job = {0};
        submit(fixture, "job_a", "ds_a");
        fixture_close(fixture);
        fixture_raw(fixture, damages[i]);
        assert_int_equal(fixture_open(fixture), 0);
        struct db_tx *tx = fixture_begin(fixture, DB_READ);
        if (job_store_get(tx, "job_a", &job, &fixture->err) != -1)
            fail_msg("read after: %s", damages[i]);
        assert_int_equal(fixture->err.code, ERR_CORRUPT);
        fixture_rollback(fixture, tx);
        fixture_close(fixture);
        fixture_raw(fixture, "PRAGMA foreign_keys = 1; DELETE FROM job");
        assert_int_equal(fixture_open(fixture), 0);
    }
}

int main(void)
{
#define TEST(test)                                                                       \
    cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(job_comes_back_as_submitted),
        TEST(unknown_job_is_not_found),
        TEST(pages_go_from_newest_to_oldest_and_by_state),
        TEST(oldest_queued_job_is_claimed_first),
        TEST(claim_and_lists_use_their_indexes),
        TEST(threads_claim_each_job_once),
        TEST(illegal_moves_are_conflicts_that_name_the_state),
        TEST(cancelling_job_ends_cancelled_or_failed_but_not_succeeded),
        TEST(success_stores_scores_warnings_and_version),
        TEST(failure_stores_its_reason),
        TEST(transitions_beyond_the_ceiling_show_the_newest),
        TEST(progress_is_written_only_while_it_runs),
        TEST(epochs_are_replaced_and_cleared),
        TEST(recovery_requeues_cancels_and_gives_up),
        TEST(an_orderly_return_to_the_queue_is_no_attempt),
        TEST(dataset_is_in_use_until_its_jobs_end),
        TEST(damaged_job_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
