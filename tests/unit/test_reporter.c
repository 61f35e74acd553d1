#include "store_fixture.h"

#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "domain/checkpoints.h"
#include "domain/reporter.h"
#include "store/job_store.h"

enum { N_ROWS = 12, MAX_ITER = 40 };

/* A job that runs, and a net to train for it. */
struct bench {
    struct fixture *fixture; /* borrowed */
    struct job job;
    atomic_int stop;
    struct reporter reporter;
    struct mlp mlp;
    struct fit_options options;
    struct fit_rows rows;
    float x[N_ROWS];
    float t[N_ROWS];
};

static void add_job(struct fixture *fixture, struct job *job)
{
    char target[] = "price";
    struct job made = {.target = target, .created_at_ms = 100, .id = "job_a"};
    snprintf(made.model, sizeof made.model, "houses");
    snprintf(made.dataset_id, sizeof made.dataset_id, "ds_a");
    parameters_init(&made.parameters, PARAMETERS_PRESET_SKLEARN);
    made.parameters.max_iter = MAX_ITER;
    made.parameters.loss = LOSS_SQUARED_ERROR;
    made.parameters.output_activation = ACT_IDENTITY;
    made.parameters.n_iter_no_change = MAX_ITER;
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_insert(tx, &made, &fixture->err), 0);
    assert_int_equal(job_store_claim(tx, 200, job, &fixture->err), 1);
    fixture_commit(fixture, tx);
}

static struct bench *bench_open(struct fixture *fixture)
{
    static const size_t hidden[] = {3};
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    bench->fixture = fixture;
    add_job(fixture, &bench->job);
    for (size_t i = 0; i < N_ROWS; i++) {
        bench->x[i] = (float)i / N_ROWS;
        bench->t[i] = bench->x[i] * bench->x[i];
    }
    bench->rows = (struct fit_rows){.x = bench->x, .t = bench->t, .n_rows = N_ROWS};
    struct mlp_spec spec = {.n_inputs = 1,
                            .hidden_layer_sizes = hidden,
                            .n_hidden = 1,
                            .n_outputs = 1,
                            .activation = ACT_TANH,
                            .output_activation = ACT_IDENTITY,
                            .loss = LOSS_SQUARED_ERROR};
    assert_int_equal(mlp_new(&spec, &bench->mlp, &fixture->err), 0);
    mlp_init_weights(&bench->mlp, MLP_GLOROT_UNIFORM, 0, 1);
    parameters_to_fit(&bench->job.parameters, &bench->options);
    bench->options.batch_size = 5;
    reporter_init(&bench->reporter, fixture->db, &bench->job, &bench->stop, N_ROWS);
    return bench;
}

static void bench_close(struct bench *bench)
{
    mlp_clear(&bench->mlp);
    job_clear(&bench->job);
    free(bench);
}

static int train(struct bench *bench, const struct fit_hooks *hooks, struct err *err)
{
    struct fit_result result;
    int status =
        fit_run(&bench->mlp, &bench->options, &bench->rows, NULL, hooks, &result, err);
    return status == 0 ? reporter_finish(&bench->reporter, err) : status;
}

static uint64_t saved_epoch(struct bench *bench)
{
    struct checkpoint checkpoint = {0};
    struct err err = {0};
    int found = checkpoints_load(bench->fixture->db, "job_a", &checkpoint, &err);
    assert_true(found >= 0);
    free(checkpoint.bytes);
    return found ? checkpoint.epoch : 0;
}

static int64_t number(struct bench *bench, const char *sql)
{
    struct db_tx *tx = fixture_begin(bench->fixture, DB_READ);
    int64_t n = fixture_number(tx, sql);
    fixture_rollback(bench->fixture, tx);
    return n;
}

/* --- stopping ------------------------------------------------------------------------ */

static void stop_soon_saves_the_epoch_under_way(void **state)
{
    struct bench *bench = bench_open(*state);
    struct err err = {0};
    struct fit_hooks hooks = reporter_hooks(&bench->reporter);
    atomic_store(&bench->stop, JOB_STOP_SOON);
    assert_int_equal(train(bench, &hooks, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_equal(saved_epoch(bench), 1);
    assert_int_equal(number(bench, "SELECT count(*) FROM job_epoch"), 1);
    assert_int_equal(number(bench, "SELECT epoch FROM job"), 1);
    bench_close(bench);
}

static void what_was_saved_goes_on_to_the_same_end(void **state)
{
    struct bench *bench = bench_open(*state);
    struct checkpoint checkpoint = {0};
    struct err err = {0};
    struct fit_hooks hooks = reporter_hooks(&bench->reporter);
    float *whole = calloc(bench->mlp.n_parameters, sizeof *whole);
    assert_non_null(whole);
    assert_int_equal(train(bench, &hooks, &err), 0);
    memcpy(whole, bench->mlp.parameters, bench->mlp.n_parameters * sizeof *whole);

    for (uint64_t epoch = 1; epoch < MAX_ITER; epoch++) {
        reporter_init(&bench->reporter, bench->fixture->db, &bench->job, &bench->stop,
                      N_ROWS);
        mlp_init_weights(&bench->mlp, MLP_GLOROT_UNIFORM, 0, 1);
        atomic_store(&bench->stop, JOB_STOP_SOON);
        assert_int_equal(train(bench, &hooks, &err), -1);
        err_clear(&err);
        free(checkpoint.bytes);
        assert_int_equal(checkpoints_load(bench->fixture->db, "job_a", &checkpoint, &err),
                         1);
        assert_int_equal(checkpoint.epoch, epoch);
        hooks.resume = checkpoint.bytes;
        hooks.resume_len = checkpoint.len;
    }
    atomic_store(&bench->stop, JOB_GO_ON);
    assert_int_equal(train(bench, &hooks, &err), 0);
    assert_memory_equal(whole, bench->mlp.parameters,
                        bench->mlp.n_parameters * sizeof *whole);
    assert_int_equal(number(bench, "SELECT count(*) FROM job_epoch"), MAX_ITER);
    free(checkpoint.bytes);
    free(whole);
    bench_close(bench);
}

static void stop_soon_lets_the_last_epoch_end_the_training(void **state)
{
    struct bench *bench = bench_open(*state);
    struct err err = {0};
    struct fit_hooks hooks = reporter_hooks(&bench->reporter);
    atomic_store(&bench->stop, JOB_STOP_SOON);
    bench->job.parameters.max_iter = 1;
    bench->options.max_iter = 1;
    assert_int_equal(train(bench, &hooks, &err), 0);
    assert_int_equal(number(bench, "SELECT count(*) FROM job_epoch"), 1);
    bench_close(bench);
}

static void stop_now_saves_nothing(void **state)
{
    struct bench *bench = bench_open(*state);
    struct err err = {0};
    struct fit_hooks hooks = reporter_hooks(&bench->reporter);
    atomic_store(&bench->stop, JOB_STOP_NOW);
    assert_int_equal(train(bench, &hooks, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_equal(saved_epoch(bench), 0);
    bench_close(bench);
}

static void an_epoch_is_waited_for_with_patience_but_not_for_ever(void **state)
{
    struct bench *bench = bench_open(*state);
    struct fit_hooks hooks = reporter_hooks(&bench->reporter);
    assert_true(hooks.on_batch(hooks.ctx));
    atomic_store(&bench->stop, JOB_STOP_SOON);
    assert_true(hooks.on_batch(hooks.ctx));
    /* Seen nine seconds ago. */
    bench->reporter.stop_seen_ns -= 9000000000;
    assert_false(hooks.on_batch(hooks.ctx));
    bench_close(bench);
}

/* --- while it trains ----------------------------------------------------------------- */

/* Hooks around the reporter's, of a training whose epochs take a while. */
struct slow {
    struct bench *bench;
    struct fit_hooks inner;
    uint64_t last;
    size_t n_saves;
};

static bool slow_on_epoch(void *ctx, const struct fit_progress *now)
{
    struct slow *slow = ctx;
    const struct timespec pause = {.tv_nsec = 25000000};
    nanosleep(&pause, NULL);
    bool goes_on = slow->inner.on_epoch(slow->inner.ctx, now);
    uint64_t saved = saved_epoch(slow->bench);
    if (saved == slow->last)
        return goes_on;
    slow->last = saved;
    slow->n_saves++;
    assert_int_equal(saved, now->epoch);
    /* All that the checkpoint stands for is in the history. */
    assert_int_equal(number(slow->bench, "SELECT count(*) FROM job_epoch"), saved);
    return goes_on;
}

static void long_training_is_saved_now_and_then(void **state)
{
    struct bench *bench = bench_open(*state);
    struct err err = {0};
    struct slow slow = {.bench = bench, .inner = reporter_hooks(&bench->reporter)};
    struct fit_hooks hooks = {.ctx = &slow, .on_epoch = slow_on_epoch};
    assert_int_equal(train(bench, &hooks, &err), 0);
    /* 40 epochs of 25 ms and more, at least 200 ms between two checkpoints. */
    assert_in_range(slow.n_saves, 1, 8);
    bench_close(bench);
}

static void saving_takes_a_small_share_of_the_time(void **state)
{
    struct bench *bench = bench_open(*state);
    struct err err = {0};
    struct slow slow = {.bench = bench, .inner = reporter_hooks(&bench->reporter)};
    struct fit_hooks hooks = {.ctx = &slow, .on_epoch = slow_on_epoch};
    bench->reporter.save_ns = 1000000000; /* the last one took a second */
    assert_int_equal(train(bench, &hooks, &err), 0);
    assert_int_equal(slow.n_saves, 0);
    bench_close(bench);
}

static void rates_are_those_of_this_run(void **state)
{
    struct bench *bench = bench_open(*state);
    struct fit_hooks hooks = reporter_hooks(&bench->reporter);
    struct fit_progress now = {.epoch = 31};
    bench->reporter.started_ns -= 100000000; /* a tenth of a second ago */
    bench->reporter.saved_ns = bench->reporter.flushed_ns = clock_monotonic_ns();
    assert_true(hooks.on_epoch(hooks.ctx, &now));
    const struct job_progress *progress = &bench->reporter.progress;
    assert_int_equal(progress->epoch, 31);
    assert_true(progress->samples_per_second <= 10 * N_ROWS);
    assert_true(progress->eta_seconds >= 0.1 * (MAX_ITER - 31));
    bench_close(bench);
}

static void
checkpoint_that_cannot_be_stored_ends_the_training_with_the_reason(void **state)
{
    struct bench *bench = bench_open(*state);
    struct err err = {0};
    struct fit_hooks hooks = reporter_hooks(&bench->reporter);
    struct db_tx *tx = fixture_begin(bench->fixture, DB_WRITE);
    assert_int_equal(db_script(tx, "DROP TABLE job_checkpoint_chunk", &err), 0);
    fixture_commit(bench->fixture, tx);
    bench->reporter.saved_ns -= 10000000000;
    assert_int_equal(train(bench, &hooks, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_not_equal(bench->reporter.err.code, ERR_NONE);
    assert_int_equal(saved_epoch(bench), 0);
    bench_close(bench);
}

/* --- large ones ---------------------------------------------------------------------- */

static void large_checkpoint_is_cut_and_put_together_again(void **state)
{
    static const size_t sizes[] = {1, CHECKPOINT_STORE_CHUNK, CHECKPOINT_STORE_CHUNK + 1,
                                   2 * CHECKPOINT_STORE_CHUNK + 77};
    struct bench *bench = bench_open(*state);
    struct db *db = bench->fixture->db;
    struct err err = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct checkpoint read = {0};
        struct checkpoint made = {i + 1, malloc(sizes[i]), sizes[i]};
        assert_non_null(made.bytes);
        for (size_t k = 0; k < sizes[i]; k++)
            made.bytes[k] = (char)(k * 31 + (k >> 13));
        assert_int_equal(checkpoints_save(db, "job_a", &made, &err), 0);
        assert_int_equal(checkpoints_load(db, "job_a", &read, &err), 1);
        assert_int_equal(read.epoch, i + 1);
        assert_int_equal(read.len, sizes[i]);
        assert_memory_equal(read.bytes, made.bytes, sizes[i]);
        free(read.bytes);
        free(made.bytes);
    }
    assert_int_equal(number(bench, "SELECT count(*) FROM job_checkpoint_chunk"), 3);
    assert_int_equal(checkpoints_drop(db, "job_a", &err), 0);
    assert_int_equal(saved_epoch(bench), 0);
    assert_int_equal(number(bench, "SELECT count(*) FROM job_checkpoint_chunk"), 0);
    bench_close(bench);
}

int main(void)
{
#define TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(stop_soon_saves_the_epoch_under_way),
        TEST(what_was_saved_goes_on_to_the_same_end),
        TEST(stop_soon_lets_the_last_epoch_end_the_training),
        TEST(stop_now_saves_nothing),
        TEST(an_epoch_is_waited_for_with_patience_but_not_for_ever),
        TEST(long_training_is_saved_now_and_then),
        TEST(saving_takes_a_small_share_of_the_time),
        TEST(rates_are_those_of_this_run),
        TEST(checkpoint_that_cannot_be_stored_ends_the_training_with_the_reason),
        TEST(large_checkpoint_is_cut_and_put_together_again),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
