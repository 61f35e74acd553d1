#include "store_fixture.h"

#include "store/checkpoint_store.h"
#include "store/job_store.h"

/* --- helpers ------------------------------------------------------------------------- */

static void submit(struct fixture *fixture, const char *id)
{
    char target[] = "price";
    struct job job = {.target = target, .task = ENCODER_REGRESSION, .created_at_ms = 100};
    snprintf(job.id, sizeof job.id, "%s", id);
    snprintf(job.model, sizeof job.model, "houses");
    snprintf(job.dataset_id, sizeof job.dataset_id, "ds_a");
    parameters_init(&job.parameters, PARAMETERS_PRESET_AUTO);
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_insert(tx, &job, &fixture->err), 0);
    fixture_commit(fixture, tx);
}

static void claim(struct fixture *fixture, struct job *job)
{
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_claim(tx, 200, job, &fixture->err), 1);
    fixture_commit(fixture, tx);
}

static void claim_next(struct fixture *fixture)
{
    struct job job = {0};
    claim(fixture, &job);
    job_clear(&job);
}

/* Writes one in chunks of up to four bytes, the last `n_left` of them left out. */
static int64_t write_chunks(struct fixture *fixture, const char *id, uint64_t epoch,
                            const char *text, size_t n_left)
{
    struct checkpoint checkpoint = {epoch, (char *)text, strlen(text)};
    size_t n_chunks = (checkpoint.len + 3) / 4;
    int64_t seq = 0;
    for (size_t i = 0; i + n_left < n_chunks; i++) {
        size_t len = checkpoint.len - 4 * i < 4 ? checkpoint.len - 4 * i : 4;
        struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
        if (i == 0)
            assert_int_equal(
                checkpoint_store_begin(tx, id, &checkpoint, 300, &seq, &fixture->err), 0);
        assert_int_equal(
            checkpoint_store_put_chunk(tx, seq, i, text + 4 * i, len, &fixture->err), 0);
        fixture_commit(fixture, tx);
    }
    return seq;
}

static void set_ready(struct fixture *fixture, int64_t seq)
{
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(checkpoint_store_set_ready(tx, seq, &fixture->err), 0);
    fixture_commit(fixture, tx);
}

static void save(struct fixture *fixture, const char *id, uint64_t epoch,
                 const char *text)
{
    set_ready(fixture, write_chunks(fixture, id, epoch, text, 0));
}

static int get(struct fixture *fixture, const char *id, struct checkpoint *checkpoint)
{
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    int found = checkpoint_store_get(tx, id, checkpoint, &fixture->err);
    fixture_rollback(fixture, tx);
    return found;
}

static void check(struct fixture *fixture, const char *id, uint64_t epoch,
                  const char *text)
{
    struct checkpoint checkpoint = {0};
    assert_int_equal(get(fixture, id, &checkpoint), 1);
    assert_int_equal(checkpoint.epoch, epoch);
    assert_int_equal(checkpoint.len, strlen(text));
    assert_memory_equal(checkpoint.bytes, text, checkpoint.len);
    free(checkpoint.bytes);
}

static void check_none(struct fixture *fixture, const char *id)
{
    struct checkpoint checkpoint = {0};
    assert_int_equal(get(fixture, id, &checkpoint), 0);
    assert_null(checkpoint.bytes);
}

static int64_t number(struct fixture *fixture, const char *sql)
{
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    int64_t n = fixture_number(tx, sql);
    fixture_rollback(fixture, tx);
    return n;
}

static int64_t count_chunks(struct fixture *fixture)
{
    return number(fixture, "SELECT count(*) FROM job_checkpoint_chunk");
}

/* The process dies and starts again. */
static struct job_recovered recover(struct fixture *fixture)
{
    struct job_recovered result = {0};
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_recover(tx, 400, &result, &fixture->err), 0);
    fixture_commit(fixture, tx);
    return result;
}

static void add_epochs(struct fixture *fixture, const char *id, uint64_t first,
                       uint64_t last)
{
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    for (uint64_t epoch = first; epoch <= last; epoch++) {
        struct job_epoch item = {epoch, 1.0 / (double)epoch, 2.0 / (double)epoch, 300};
        struct job_progress progress = {.epoch = epoch, .train_loss = item.train_loss};
        assert_int_equal(job_store_add_epochs(tx, id, &item, 1, &fixture->err), 0);
        assert_int_equal(job_store_set_progress(tx, id, &progress, &fixture->err), 0);
    }
    fixture_commit(fixture, tx);
}

/* --- writing and reading ------------------------------------------------------------- */

static void checkpoint_comes_back_whole(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, "job_a");
    submit(fixture, "job_b");
    check_none(fixture, "job_a");
    check_none(fixture, "job_none");
    save(fixture, "job_a", 7, "one and twenty bytes.");
    save(fixture, "job_b", 3, "b");
    check(fixture, "job_a", 7, "one and twenty bytes.");
    check(fixture, "job_b", 3, "b");
    assert_int_equal(count_chunks(fixture), 7);
}

static void next_one_takes_the_place_at_once(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, "job_a");
    save(fixture, "job_a", 7, "seven");
    int64_t seq = write_chunks(fixture, "job_a", 8, "eight and more", 0);
    check(fixture, "job_a", 7, "seven");
    set_ready(fixture, seq);
    check(fixture, "job_a", 8, "eight and more");
    assert_int_equal(count_chunks(fixture), 4);
    assert_int_equal(number(fixture, "SELECT count(*) FROM job_checkpoint"), 1);
}

static void half_written_one_is_invisible_and_replaced(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, "job_a");
    save(fixture, "job_a", 7, "seven");
    write_chunks(fixture, "job_a", 8, "eight and more", 2);
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), 0);
    check(fixture, "job_a", 7, "seven");
    save(fixture, "job_a", 9, "nine");
    check(fixture, "job_a", 9, "nine");
    assert_int_equal(count_chunks(fixture), 1);
}

static void job_that_is_not_there_has_no_checkpoint(void **state)
{
    struct fixture *fixture = *state;
    struct checkpoint checkpoint = {1, (char[]){"x"}, 1};
    int64_t seq = 0;
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(
        checkpoint_store_begin(tx, "job_x", &checkpoint, 300, &seq, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_NOT_FOUND);
    fixture_rollback(fixture, tx);
}

static void damaged_checkpoint_is_corrupt(void **state)
{
    static const char *const damages[] = {
        "UPDATE job_checkpoint_chunk SET bytes = CAST('EV' AS BLOB) WHERE chunk = 0",
        "UPDATE job_checkpoint_chunk SET bytes = CAST('Seve' AS BLOB) WHERE chunk = 0",
        "DELETE FROM job_checkpoint_chunk WHERE chunk = 1",
        "DELETE FROM job_checkpoint_chunk WHERE chunk = 0",
        "UPDATE job_checkpoint SET n_bytes = 4",
        "UPDATE job_checkpoint SET n_bytes = 6",
    };
    struct fixture *fixture = *state;
    submit(fixture, "job_a");
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct checkpoint checkpoint = {0};
        save(fixture, "job_a", 7, "seven");
        fixture_close(fixture);
        fixture_raw(fixture, damages[i]);
        assert_int_equal(fixture_open(fixture), 0);
        if (get(fixture, "job_a", &checkpoint) != -1 || fixture->err.code != ERR_CORRUPT)
            fail_msg("%s: %s", damages[i], fixture->err.message);
        assert_null(checkpoint.bytes);
    }
}

/* --- the job it belongs to ----------------------------------------------------------- */

static void claimed_job_goes_on_from_its_checkpoint(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a");
    claim(fixture, &job);
    assert_int_equal(job.resumed_from_epoch, 0);
    assert_int_equal(job.checkpoint_epoch, 0);
    job_clear(&job);
    add_epochs(fixture, "job_a", 1, 4);
    save(fixture, "job_a", 4, "four");
    add_epochs(fixture, "job_a", 5, 6);
    recover(fixture);
    claim(fixture, &job);
    assert_int_equal(job.resumed_from_epoch, 4);
    assert_int_equal(job.checkpoint_epoch, 4);
    assert_int_equal(job.progress.epoch, 4);
    assert_true(job.progress.train_loss == 1.0 / 4 &&
                job.progress.validation_loss == 2.0 / 4);
    job_clear(&job);
    assert_int_equal(number(fixture, "SELECT count(*) FROM job_epoch"), 4);
    assert_int_equal(number(fixture, "SELECT max(epoch) FROM job_epoch"), 4);
}

static void job_without_checkpoint_starts_over(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a");
    claim_next(fixture);
    add_epochs(fixture, "job_a", 1, 4);
    recover(fixture);
    claim(fixture, &job);
    assert_int_equal(job.resumed_from_epoch, 0);
    assert_int_equal(job.progress.epoch, 0);
    assert_true(isnan(job.progress.train_loss));
    job_clear(&job);
    assert_int_equal(number(fixture, "SELECT count(*) FROM job_epoch"), 0);
}

static void restarted_job_forgets_checkpoint_and_history(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a");
    claim_next(fixture);
    add_epochs(fixture, "job_a", 1, 4);
    save(fixture, "job_a", 4, "four");
    recover(fixture);
    claim_next(fixture);
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_restart(tx, "job_a", &fixture->err), 0);
    fixture_commit(fixture, tx);
    check_none(fixture, "job_a");
    tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(job_store_get(tx, "job_a", &job, &fixture->err), 0);
    fixture_rollback(fixture, tx);
    assert_int_equal(job.state, JOB_RUNNING);
    assert_int_equal(job.resumed_from_epoch, 0);
    assert_int_equal(job.checkpoint_epoch, 0);
    assert_int_equal(job.progress.epoch, 0);
    job_clear(&job);
    assert_int_equal(number(fixture, "SELECT count(*) FROM job_epoch"), 0);
}

static int succeed(struct db_tx *tx, const char *id, struct err *err)
{
    struct metrics metrics = {0};
    struct warnings warnings = {0};
    return job_store_succeed(tx, id, 1, &metrics, &warnings, 500, err);
}

static int fail_job(struct db_tx *tx, const char *id, struct err *err)
{
    struct job_error error = {.code = "diverged", .message = "it did", .hint = "do less"};
    return job_store_fail(tx, id, &error, 500, err);
}

static int cancel(struct db_tx *tx, const char *id, struct err *err)
{
    if (job_store_move(tx, id, JOB_CANCELLING, "test", 500, err) != 0)
        return -1;
    return job_store_move(tx, id, JOB_CANCELLED, "test", 500, err);
}

static void checkpoint_goes_with_every_end_of_its_job(void **state)
{
    static int (*const ends[])(struct db_tx *, const char *,
                               struct err *) = {succeed, fail_job, cancel};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char id[16];
        snprintf(id, sizeof id, "job_%zu", i);
        submit(fixture, id);
        claim_next(fixture);
        save(fixture, id, 1, "ready");
        write_chunks(fixture, id, 2, "half written", 1);
        struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
        assert_int_equal(ends[i](tx, id, &fixture->err), 0);
        fixture_commit(fixture, tx);
        check_none(fixture, id);
        assert_int_equal(count_chunks(fixture), 0);
        assert_int_equal(number(fixture, "SELECT count(*) FROM job_checkpoint"), 0);
    }
}

static void checkpoint_stays_when_its_job_is_queued_again(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a");
    claim_next(fixture);
    save(fixture, "job_a", 3, "three");
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_move(tx, "job_a", JOB_QUEUED, "stop", 300, &fixture->err),
                     0);
    fixture_commit(fixture, tx);
    check(fixture, "job_a", 3, "three");
    claim(fixture, &job);
    assert_int_equal(job.attempts, 1); /* the stop took its attempt back */
    assert_int_equal(job.resumed_from_epoch, 3);
    job_clear(&job);
}

/* --- jobs that die with their process ------------------------------------------------ */

static void only_attempts_that_got_nowhere_count_towards_poison(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, "job_a");
    for (uint64_t attempt = 1; attempt <= 5; attempt++) {
        claim_next(fixture);
        save(fixture, "job_a", attempt, "further");
        assert_int_equal(recover(fixture).n_requeued, 1);
    }
    /* The fifth attempt wrote the last one; two more without one are too many. */
    claim_next(fixture);
    assert_int_equal(recover(fixture).n_requeued, 1);
    claim_next(fixture);
    assert_int_equal(recover(fixture).n_poison, 1);
    check_none(fixture, "job_a");
}

static void half_written_checkpoint_does_not_count_as_getting_further(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, "job_a");
    for (int attempt = 1; attempt <= 3; attempt++) {
        claim_next(fixture);
        write_chunks(fixture, "job_a", 1, "half written", 1);
        struct job_recovered recovered = recover(fixture);
        assert_int_equal(recovered.n_requeued, attempt < 3);
        assert_int_equal(recovered.n_poison, attempt == 3);
    }
}

int main(void)
{
#define TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(checkpoint_comes_back_whole),
        TEST(next_one_takes_the_place_at_once),
        TEST(half_written_one_is_invisible_and_replaced),
        TEST(job_that_is_not_there_has_no_checkpoint),
        TEST(damaged_checkpoint_is_corrupt),
        TEST(claimed_job_goes_on_from_its_checkpoint),
        TEST(job_without_checkpoint_starts_over),
        TEST(restarted_job_forgets_checkpoint_and_history),
        TEST(checkpoint_goes_with_every_end_of_its_job),
        TEST(checkpoint_stays_when_its_job_is_queued_again),
        TEST(only_attempts_that_got_nowhere_count_towards_poison),
        TEST(half_written_checkpoint_does_not_count_as_getting_further),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
