#include "store_fixture.h"

#include "store/finding_store.h"
#include "store/job_store.h"
#include "store/model_store.h"

/* --- helpers ------------------------------------------------------------------------- */

static void submit(struct fixture *fixture, const char *id)
{
    char target[] = "price";
    struct job job = {.target = target, .task = ENCODER_MULTICLASS, .created_at_ms = 100};
    snprintf(job.id, sizeof job.id, "%s", id);
    snprintf(job.model, sizeof job.model, "houses");
    snprintf(job.dataset_id, sizeof job.dataset_id, "ds_a");
    parameters_init(&job.parameters, PARAMETERS_PRESET_AUTO);
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_insert(tx, &job, &fixture->err), 0);
    fixture_commit(fixture, tx);
}

static struct doctor_finding finding_of(enum doctor_ailment ailment, size_t epoch,
                                        size_t layer, double value)
{
    struct doctor_finding finding = {.ailment = ailment,
                                     .epoch = epoch,
                                     .layer = layer,
                                     .value = value,
                                     .threshold = 0.4,
                                     .message = "it is ill",
                                     .remedy = "rest"};
    return finding;
}

static void add(struct fixture *fixture, const char *id, struct doctor_finding finding)
{
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_add_findings(tx, id, &finding, 1, &fixture->err), 0);
    fixture_commit(fixture, tx);
}

static void get(struct fixture *fixture, const char *id, struct job *job)
{
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(job_store_get(tx, id, job, &fixture->err), 0);
    fixture_rollback(fixture, tx);
}

static size_t count_of(struct fixture *fixture, const char *id)
{
    struct job job = {0};
    get(fixture, id, &job);
    size_t n = job.n_findings;
    job_clear(&job);
    return n;
}

/* The version that job_a made, with its findings. */
static void publish(struct fixture *fixture, struct model_version *version)
{
    static char bytes[] = "bytes";
    struct model_version made = {.task = ENCODER_BINARY,
                                 .n_weights = 12,
                                 .encoder = bytes,
                                 .encoder_len = sizeof bytes,
                                 .weights = bytes,
                                 .weights_len = sizeof bytes};
    uint64_t number = 0;
    snprintf(made.id, sizeof made.id, "mv_a");
    snprintf(made.model, sizeof made.model, "houses");
    snprintf(made.job_id, sizeof made.job_id, "job_a");
    digest_hex("rows", 4, made.dataset_sha256);
    digest_hex(bytes, sizeof bytes, made.weights_sha256);
    parameters_init(&made.parameters, PARAMETERS_PRESET_AUTO);
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(model_store_insert(tx, &made, &number, &fixture->err), 0);
    assert_int_equal(finding_store_copy(tx, "job_a", "mv_a", &fixture->err), 0);
    assert_int_equal(
        model_store_get_version(tx, "houses", number, version, &fixture->err), 0);
    fixture_commit(fixture, tx);
}

/* --- claims -------------------------------------------------------------------------- */

static void findings_come_back_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a");
    submit(fixture, "job_b");
    assert_int_equal(count_of(fixture, "job_a"), 0);
    add(fixture, "job_a", finding_of(DOCTOR_PLATEAU, 31, SIZE_MAX, 30));
    add(fixture, "job_a", finding_of(DOCTOR_DEAD_RELUS, 40, 0, (double)INFINITY));
    get(fixture, "job_a", &job);
    assert_int_equal(job.n_findings, 2);
    assert_int_equal(job.findings[0].ailment, DOCTOR_PLATEAU);
    assert_int_equal(job.findings[0].epoch, 31);
    assert_int_equal(job.findings[0].layer, SIZE_MAX);
    assert_true(job.findings[0].value == 30 && job.findings[0].threshold == 0.4);
    assert_string_equal(job.findings[0].message, "it is ill");
    assert_string_equal(job.findings[0].remedy, "rest");
    assert_int_equal(job.findings[1].ailment, DOCTOR_DEAD_RELUS);
    assert_int_equal(job.findings[1].layer, 0);
    assert_true(isnan(job.findings[1].value));
    job_clear(&job);
    assert_int_equal(count_of(fixture, "job_b"), 0);
}

static void ailment_of_a_layer_is_kept_once(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a");
    add(fixture, "job_a", finding_of(DOCTOR_DEAD_RELUS, 3, 0, 0.5));
    add(fixture, "job_a", finding_of(DOCTOR_DEAD_RELUS, 4, 1, 0.6));
    add(fixture, "job_a", finding_of(DOCTOR_DEAD_RELUS, 5, 0, 0.7));
    get(fixture, "job_a", &job);
    assert_int_equal(job.n_findings, 2);
    assert_true(job.findings[0].value == 0.5);
    job_clear(&job);
}

static void later_findings_are_forgotten(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, "job_a");
    add(fixture, "job_a", finding_of(DOCTOR_DEAD_RELUS, 3, 0, 0.5));
    add(fixture, "job_a", finding_of(DOCTOR_PLATEAU, 40, SIZE_MAX, 30));
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(finding_store_forget(tx, 1, 3, &fixture->err), 0);
    fixture_commit(fixture, tx);
    assert_int_equal(count_of(fixture, "job_a"), 1);
}

static void job_that_starts_over_has_none(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a");
    add(fixture, "job_a", finding_of(DOCTOR_DEAD_RELUS, 3, 0, 0.5));
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_claim(tx, 200, &job, &fixture->err), 1);
    fixture_commit(fixture, tx);
    assert_int_equal(job.n_findings, 0);
    job_clear(&job);
    assert_int_equal(count_of(fixture, "job_a"), 0);
}

static void version_keeps_its_findings_without_the_job(void **state)
{
    struct fixture *fixture = *state;
    struct model_version version = {0};
    submit(fixture, "job_b");
    submit(fixture, "job_a");
    add(fixture, "job_a", finding_of(DOCTOR_OVERFITTING, 9, SIZE_MAX, 0.2));
    add(fixture, "job_b", finding_of(DOCTOR_PLATEAU, 31, SIZE_MAX, 30));
    publish(fixture, &version);
    assert_int_equal(version.n_findings, 1);
    model_version_clear(&version);
    fixture_close(fixture);
    fixture_raw(fixture, "PRAGMA foreign_keys = ON; DELETE FROM job");
    assert_int_equal(fixture_open(fixture), 0);
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(fixture_number(tx, "SELECT count(*) FROM job_finding"), 0);
    assert_int_equal(model_store_get_version(tx, "houses", 0, &version, &fixture->err),
                     0);
    assert_int_equal(version.n_findings, 1);
    assert_int_equal(version.findings[0].ailment, DOCTOR_OVERFITTING);
    model_version_clear(&version);
    fixture_rollback(fixture, tx);
    tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(model_store_delete(tx, "houses", &fixture->err), 0);
    assert_int_equal(fixture_number(tx, "SELECT count(*) FROM version_finding"), 0);
    fixture_commit(fixture, tx);
}

static void unknown_job_is_not_found(void **state)
{
    struct fixture *fixture = *state;
    struct doctor_finding finding = finding_of(DOCTOR_PLATEAU, 31, SIZE_MAX, 30);
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(job_store_add_findings(tx, "job_x", &finding, 1, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_NOT_FOUND);
    fixture_rollback(fixture, tx);
}

static void unknown_ailment_is_corrupt(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {0};
    submit(fixture, "job_a");
    add(fixture, "job_a", finding_of(DOCTOR_DEAD_RELUS, 3, 0, 0.5));
    fixture_close(fixture);
    fixture_raw(fixture, "UPDATE job_finding SET ailment = 'flu'");
    assert_int_equal(fixture_open(fixture), 0);
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(job_store_get(tx, "job_a", &job, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_CORRUPT);
    fixture_rollback(fixture, tx);
}

#define IN_DATABASE(test)                                                                \
    cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DATABASE(findings_come_back_in_order),
        IN_DATABASE(ailment_of_a_layer_is_kept_once),
        IN_DATABASE(later_findings_are_forgotten),
        IN_DATABASE(job_that_starts_over_has_none),
        IN_DATABASE(version_keeps_its_findings_without_the_job),
        IN_DATABASE(unknown_job_is_not_found),
        IN_DATABASE(unknown_ailment_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
