#include "store_fixture.h"

#include "store/model_store.h"

/* --- helpers ------------------------------------------------------------------------- */

/* Its bytes are literals: not to be cleared. */
static struct model_version make(const char *name)
{
    static char encoder[] = "encoder\0bytes";
    static char weights[] = "weights\0bytes";
    static int n_made;
    struct model_version version = {.task = ENCODER_BINARY,
                                    .n_weights = 12,
                                    .warm_start = {"homes", 3, "5a"},
                                    .created_at_ms = 500,
                                    .encoder = encoder,
                                    .encoder_len = sizeof encoder,
                                    .weights = weights,
                                    .weights_len = sizeof weights};
    snprintf(version.id, sizeof version.id, "mv_%d", ++n_made);
    snprintf(version.model, sizeof version.model, "%s", name);
    snprintf(version.job_id, sizeof version.job_id, "job_a");
    snprintf(version.dataset_id, sizeof version.dataset_id, "ds_a");
    snprintf(version.libraries, sizeof version.libraries, "OpenBLAS");
    digest_hex("rows", 4, version.dataset_sha256);
    digest_hex(weights, sizeof weights, version.weights_sha256);
    parameters_init(&version.parameters, PARAMETERS_PRESET_LECTURE);
    version.parameters.seed = 9;
    version.metrics.parts[METRICS_TRAIN].n_rows = 8;
    version.metrics.parts[METRICS_TRAIN].regression.mae = 0.5;
    return version;
}

static uint64_t publish(struct fixture *fixture, const char *name)
{
    struct model_version version = make(name);
    uint64_t number = 0;
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(model_store_insert(tx, &version, &number, &fixture->err), 0);
    fixture_commit(fixture, tx);
    return number;
}

/* The number that is found, or 0 with fixture->err. */
static uint64_t find(struct fixture *fixture, const char *name, uint64_t number)
{
    struct model_version version = {0};
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    int result = model_store_get_version(tx, name, number, &version, &fixture->err);
    fixture_rollback(fixture, tx);
    uint64_t found = version.version;
    model_version_clear(&version);
    assert_int_equal(result, found ? 0 : -1);
    return found;
}

static int delete_version(struct fixture *fixture, const char *name, uint64_t number)
{
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    int result = model_store_delete_version(tx, name, number, &fixture->err);
    return fixture_end(fixture, tx, result);
}

/* --- tests --------------------------------------------------------------------------- */

static void version_comes_back_as_published(void **state)
{
    struct fixture *fixture = *state;
    struct model_version made = make("houses");
    struct model_version read = {0};
    assert_int_equal(publish(fixture, "houses"), 1);
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), 0);
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(model_store_get_version(tx, "houses", 1, &read, &fixture->err), 0);
    fixture_rollback(fixture, tx);
    assert_string_equal(read.model, "houses");
    assert_int_equal(read.version, 1);
    assert_int_equal(strncmp(read.id, "mv_", 3), 0);
    assert_string_equal(read.job_id, "job_a");
    assert_string_equal(read.dataset_id, "ds_a");
    assert_string_equal(read.dataset_sha256, made.dataset_sha256);
    assert_string_equal(read.weights_sha256, made.weights_sha256);
    assert_string_equal(read.libraries, "OpenBLAS");
    assert_int_equal(read.task, ENCODER_BINARY);
    assert_int_equal(read.n_weights, 12);
    assert_string_equal(read.warm_start.model, "homes");
    assert_int_equal(read.warm_start.version, 3);
    assert_string_equal(read.warm_start.weights_sha256, "5a");
    assert_int_equal(read.created_at_ms, 500);
    assert_int_equal(read.parameters.preset, PARAMETERS_PRESET_LECTURE);
    assert_int_equal(read.parameters.seed, 9);
    assert_true(read.metrics.parts[METRICS_TRAIN].regression.mae == 0.5);
    assert_int_equal(read.encoder_len, made.encoder_len);
    assert_memory_equal(read.encoder, made.encoder, made.encoder_len);
    assert_int_equal(read.weights_len, made.weights_len);
    assert_memory_equal(read.weights, made.weights, made.weights_len);
    model_version_clear(&read);
}

static void versions_count_up_and_zero_is_the_newest(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(publish(fixture, "a"), 1);
    assert_int_equal(publish(fixture, "a"), 2);
    assert_int_equal(publish(fixture, "b"), 1);
    assert_int_equal(publish(fixture, "a"), 3);
    assert_int_equal(find(fixture, "a", 0), 3);
    assert_int_equal(find(fixture, "a", 2), 2);
    assert_int_equal(find(fixture, "b", 0), 1);
}

static void unknown_names_and_versions_are_told_apart(void **state)
{
    struct fixture *fixture = *state;
    publish(fixture, "a");
    assert_int_equal(find(fixture, "b", 0), 0);
    assert_int_equal(fixture->err.code, ERR_NOT_FOUND);
    assert_string_equal(fixture->err.slug, "no_such_model");
    assert_int_equal(find(fixture, "a", 2), 0);
    assert_int_equal(fixture->err.code, ERR_NOT_FOUND);
    assert_string_equal(fixture->err.slug, "no_such_version");
    assert_int_equal(find(fixture, "a", UINT64_MAX), 0);
    assert_string_equal(fixture->err.slug, "no_such_version");
    assert_int_equal(delete_version(fixture, "a", 2), -1);
    assert_string_equal(fixture->err.slug, "no_such_version");
    assert_int_equal(delete_version(fixture, "b", 1), -1);
    assert_string_equal(fixture->err.slug, "no_such_model");
}

static void number_of_a_deleted_version_is_not_used_again(void **state)
{
    struct fixture *fixture = *state;
    publish(fixture, "a");
    publish(fixture, "a");
    assert_int_equal(delete_version(fixture, "a", 2), 0);
    assert_int_equal(find(fixture, "a", 0), 1);
    assert_int_equal(publish(fixture, "a"), 3);
}

static void name_goes_with_its_last_version(void **state)
{
    struct fixture *fixture = *state;
    publish(fixture, "a");
    publish(fixture, "a");
    assert_int_equal(delete_version(fixture, "a", 1), 0);
    assert_int_equal(find(fixture, "a", 0), 2);
    assert_int_equal(delete_version(fixture, "a", 2), 0);
    assert_int_equal(find(fixture, "a", 0), 0);
    assert_string_equal(fixture->err.slug, "no_such_model");
}

static void deleting_a_name_takes_all_versions(void **state)
{
    struct fixture *fixture = *state;
    publish(fixture, "a");
    publish(fixture, "a");
    publish(fixture, "b");
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(model_store_delete(tx, "a", &fixture->err), 0);
    assert_int_equal(fixture_number(tx, "SELECT count(*) FROM model_version"), 1);
    assert_int_equal(model_store_delete(tx, "a", &fixture->err), -1);
    assert_string_equal(fixture->err.slug, "no_such_model");
    fixture_commit(fixture, tx);
}

static void model_lists_its_versions_newest_first_without_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct model model = {0};
    for (int i = 0; i < 12; i++)
        publish(fixture, "a");
    assert_int_equal(delete_version(fixture, "a", 12), 0);
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(model_store_get(tx, "a", &model, &fixture->err), 0);
    assert_string_equal(model.name, "a");
    assert_int_equal(model.latest, 11);
    assert_int_equal(model.n_versions, 11);
    for (size_t i = 0; i < model.n_versions; i++) {
        assert_int_equal(model.versions[i].version, 11 - i);
        assert_null(model.versions[i].weights);
        assert_null(model.versions[i].encoder);
        assert_string_equal(model.versions[i].model, "a");
    }
    model_clear(&model);
    assert_int_equal(model_store_get(tx, "b", &model, &fixture->err), -1);
    assert_string_equal(fixture->err.slug, "no_such_model");
    fixture_rollback(fixture, tx);
}

static void pages_go_from_newest_to_oldest(void **state)
{
    struct fixture *fixture = *state;
    char name[2] = "a";
    char seen[32] = "";
    int64_t before = 0;
    size_t n = 1;
    for (; name[0] <= 'e'; name[0]++)
        publish(fixture, name);
    publish(fixture, "a");
    while (n) {
        struct model *items = NULL;
        struct db_tx *tx = fixture_begin(fixture, DB_READ);
        assert_int_equal(model_store_list(tx, before, 2, &items, &n, &fixture->err), 0);
        fixture_rollback(fixture, tx);
        for (size_t i = 0; i < n; i++) {
            snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%c%d",
                     items[i].name[0], (int)items[i].n_versions);
            before = items[i].seq;
            model_clear(&items[i]);
        }
        free(items);
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "|");
    }
    assert_string_equal(seen, "e1d1|c1b1|a2||");
}

static void wrong_digest_is_refused_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct model_version version = make("a");
    uint64_t number = 77;
    version.weights_sha256[0] ^= 1;
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(model_store_insert(tx, &version, &number, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_CORRUPT);
    assert_int_equal(number, 77);
    fixture_rollback(fixture, tx);
}

static void damaged_version_is_corrupt(void **state)
{
    static const char *const damages[] = {
        "UPDATE model_version SET weights = x'00' WHERE version = 1",
        "UPDATE model_version SET encoder = x'00' WHERE version = 1",
        "UPDATE model_version SET metrics = x'ff' WHERE version = 1",
        "UPDATE model_version SET parameters = CAST('nonsense' AS BLOB) WHERE version = "
        "1",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        publish(fixture, "a");
        publish(fixture, "a");
        fixture_close(fixture);
        fixture_raw(fixture, damages[i]);
        assert_int_equal(fixture_open(fixture), 0);
        if (find(fixture, "a", 1) != 0)
            fail_msg("read after: %s", damages[i]);
        assert_int_equal(fixture->err.code, ERR_CORRUPT);
        assert_int_equal(find(fixture, "a", 2), 2);
        struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
        assert_int_equal(model_store_delete(tx, "a", &fixture->err), 0);
        fixture_commit(fixture, tx);
    }
}

int main(void)
{
#define TEST(test)                                                                       \
    cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(version_comes_back_as_published),
        TEST(versions_count_up_and_zero_is_the_newest),
        TEST(unknown_names_and_versions_are_told_apart),
        TEST(number_of_a_deleted_version_is_not_used_again),
        TEST(name_goes_with_its_last_version),
        TEST(deleting_a_name_takes_all_versions),
        TEST(model_lists_its_versions_newest_first_without_bytes),
        TEST(pages_go_from_newest_to_oldest),
        TEST(wrong_digest_is_refused_at_once),
        TEST(damaged_version_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
