#include "store_fixture.h"

#include "store/dataset_store.h"
#include "table/csv.h"
#include "table/table_codec.h"

/* --- helpers ------------------------------------------------------------------------- */

static const char csv[] = "age,city\n31,Bonn\n,Graz\n45,Bonn\n";

static void make(struct dataset *dataset, const char *id)
{
    struct err err = {0};
    struct cells cells;
    cells_init(&cells, sizeof csv);
    *dataset = (struct dataset){.n_bytes = sizeof csv - 1, .created_at_ms = 1234};
    snprintf(dataset->id, sizeof dataset->id, "%s", id);
    snprintf(dataset->name, sizeof dataset->name, "people");
    digest_hex(csv, sizeof csv - 1, dataset->sha256);
    assert_int_equal(csv_read(csv, sizeof csv - 1, ',', &cells, &err), 0);
    assert_int_equal(table_infer(&cells, &dataset->table, &dataset->warnings, &err), 0);
    warnings_add(&dataset->warnings, "odd", "city", 3, "a sentence");
    cells_clear(&cells);
}

static void put_chunks(struct db_tx *tx, const struct dataset *dataset)
{
    struct err err = {0};
    struct buf chunk;
    buf_init(&chunk, SIZE_MAX);
    for (size_t i = 0; i < dataset->table.n_columns; i++) {
        buf_reset(&chunk);
        table_codec_encode_chunk(&dataset->table.columns[i], 0, dataset->table.n_rows,
                                 &chunk);
        assert_int_equal(
            dataset_store_put_chunk(tx, dataset->id, i, 0, chunk.bytes, chunk.len, &err),
            0);
    }
    buf_clear(&chunk);
}

static void store(struct fixture *fixture, const char *id, bool is_ready)
{
    struct dataset dataset;
    make(&dataset, id);
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(dataset_store_insert(tx, &dataset, &fixture->err), 0);
    put_chunks(tx, &dataset);
    if (is_ready)
        assert_int_equal(dataset_store_set_ready(tx, id, &fixture->err), 0);
    fixture_commit(fixture, tx);
    dataset_clear(&dataset);
}

static enum err_code get_code(struct fixture *fixture, const char *id)
{
    struct dataset dataset = {0};
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    int result = dataset_store_get(tx, id, &dataset, &fixture->err);
    fixture_rollback(fixture, tx);
    assert_int_equal(result, fixture->err.code == ERR_NONE ? 0 : -1);
    dataset_clear(&dataset);
    return fixture->err.code;
}

static enum err_code get_chunk_code(struct fixture *fixture, const char *id,
                                    size_t column, size_t chunk)
{
    struct buf out;
    buf_init(&out, SIZE_MAX);
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    int result = dataset_store_get_chunk(tx, id, column, chunk, &out, &fixture->err);
    fixture_rollback(fixture, tx);
    assert_int_equal(result, fixture->err.code == ERR_NONE ? 0 : -1);
    buf_clear(&out);
    return fixture->err.code;
}

static int64_t number(struct fixture *fixture, const char *sql)
{
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    int64_t n = fixture_number(tx, sql);
    fixture_rollback(fixture, tx);
    return n;
}

/* --- tests --------------------------------------------------------------------------- */

static void dataset_comes_back_as_stored(void **state)
{
    struct fixture *fixture = *state;
    struct dataset made;
    struct dataset read = {0};
    make(&made, "ds_a");
    store(fixture, "ds_a", true);
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), 0);
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(dataset_store_get(tx, "ds_a", &read, &fixture->err), 0);
    fixture_rollback(fixture, tx);
    assert_string_equal(read.id, "ds_a");
    assert_string_equal(read.name, "people");
    assert_string_equal(read.sha256, made.sha256);
    assert_int_equal(read.n_bytes, made.n_bytes);
    assert_int_equal(read.created_at_ms, 1234);
    assert_true(read.seq > 0);
    assert_int_equal(read.table.n_rows, 3);
    assert_int_equal(read.table.n_columns, 2);
    assert_int_equal(read.warnings.n, made.warnings.n);
    assert_string_equal(read.warnings.items[read.warnings.n - 1].detail, "a sentence");
    const struct table_column *age = &read.table.columns[0];
    assert_string_equal(age->name, "age");
    assert_int_equal(age->kind, TABLE_INTEGER);
    assert_int_equal(age->n_missing, 1);
    assert_true(age->min == 31 && age->max == 45 && age->mean == 38 && age->std == 7);
    const struct table_column *city = &read.table.columns[1];
    assert_int_equal(city->kind, TABLE_CATEGORICAL);
    assert_int_equal(city->n_levels, 2);
    assert_string_equal(city->levels[0], "Bonn");
    assert_int_equal(city->counts[0], 2);
    assert_true(isnan(city->min));
    assert_null(age->values);
    dataset_clear(&read);
    dataset_clear(&made);
}

static void chunk_comes_back_as_stored(void **state)
{
    struct fixture *fixture = *state;
    struct dataset made;
    struct buf expected;
    struct buf out;
    make(&made, "ds_a");
    store(fixture, "ds_a", true);
    buf_init(&expected, SIZE_MAX);
    buf_init(&out, SIZE_MAX);
    table_codec_encode_chunk(&made.table.columns[1], 0, 3, &expected);
    buf_text(&out, "from before");
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(dataset_store_get_chunk(tx, "ds_a", 1, 0, &out, &fixture->err), 0);
    fixture_rollback(fixture, tx);
    assert_int_equal(out.len, expected.len);
    assert_memory_equal(out.bytes, expected.bytes, out.len);
    buf_clear(&out);
    buf_clear(&expected);
    dataset_clear(&made);
}

static void half_uploaded_dataset_is_invisible(void **state)
{
    struct fixture *fixture = *state;
    struct dataset *items = NULL;
    size_t n = 9;
    store(fixture, "ds_half", false);
    assert_int_equal(get_code(fixture, "ds_half"), ERR_NOT_FOUND);
    assert_string_equal(fixture->err.slug, "no_such_dataset");
    assert_int_equal(get_chunk_code(fixture, "ds_half", 0, 0), ERR_NOT_FOUND);
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(dataset_store_list(tx, 0, 10, &items, &n, &fixture->err), 0);
    fixture_rollback(fixture, tx);
    assert_int_equal(n, 0);
    free(items);
}

static void ready_dataset_takes_no_more_chunks(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, "ds_a", true);
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(dataset_store_put_chunk(tx, "ds_a", 0, 1, "x", 1, &fixture->err),
                     -1);
    assert_int_equal(fixture->err.code, ERR_NOT_FOUND);
    fixture->err = (struct err){0};
    assert_int_equal(dataset_store_set_ready(tx, "ds_a", &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_NOT_FOUND);
    fixture_rollback(fixture, tx);
}

static void chunk_of_no_column_or_twice_is_refused(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, "ds_a", false);
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(dataset_store_put_chunk(tx, "ds_a", 2, 0, "x", 1, &fixture->err),
                     -1);
    assert_int_equal(fixture->err.code, ERR_CONFLICT);
    fixture->err = (struct err){0};
    assert_int_equal(dataset_store_put_chunk(tx, "ds_a", 0, 0, "x", 1, &fixture->err),
                     -1);
    assert_int_equal(fixture->err.code, ERR_CONFLICT);
    fixture_rollback(fixture, tx);
}

static void pages_go_from_newest_to_oldest_without_gaps(void **state)
{
    struct fixture *fixture = *state;
    char id[16];
    for (int i = 0; i < 7; i++) {
        snprintf(id, sizeof id, "ds_%d", i);
        store(fixture, id, i != 3);
    }
    int64_t before = 0;
    char seen[64] = "";
    for (;;) {
        struct dataset *items = NULL;
        size_t n = 0;
        struct db_tx *tx = fixture_begin(fixture, DB_READ);
        assert_int_equal(dataset_store_list(tx, before, 4, &items, &n, &fixture->err), 0);
        fixture_rollback(fixture, tx);
        for (size_t i = 0; i < n; i++) {
            strncat(seen, items[i].id + 3, sizeof seen - strlen(seen) - 1);
            before = items[i].seq;
            assert_int_equal(items[i].table.n_columns, 2);
            dataset_clear(&items[i]);
        }
        free(items);
        if (n == 0)
            break;
        strncat(seen, "|", sizeof seen - strlen(seen) - 1);
    }
    assert_string_equal(seen, "6542|10|");
}

static void delete_takes_columns_and_chunks_along(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, "ds_a", true);
    store(fixture, "ds_b", true);
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(dataset_store_delete(tx, "ds_a", &fixture->err), 0);
    assert_int_equal(dataset_store_delete(tx, "ds_a", &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_NOT_FOUND);
    fixture_commit(fixture, tx);
    assert_int_equal(number(fixture, "SELECT count(*) FROM dataset_column"), 2);
    assert_int_equal(number(fixture, "SELECT count(*) FROM dataset_chunk"), 2);
    assert_int_equal(get_code(fixture, "ds_a"), ERR_NOT_FOUND);
    assert_int_equal(get_code(fixture, "ds_b"), ERR_NONE);
}

static void places_in_lists_are_never_used_again(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, "ds_a", true);
    int64_t first = number(fixture, "SELECT max(seq) FROM dataset");
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(dataset_store_delete(tx, "ds_a", &fixture->err), 0);
    fixture_commit(fixture, tx);
    store(fixture, "ds_b", true);
    assert_true(number(fixture, "SELECT max(seq) FROM dataset") > first);
}

static void sweep_removes_half_uploads_only(void **state)
{
    struct fixture *fixture = *state;
    size_t n = 0;
    store(fixture, "ds_a", true);
    store(fixture, "ds_half", false);
    store(fixture, "ds_half2", false);
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(dataset_store_sweep(tx, &n, &fixture->err), 0);
    fixture_commit(fixture, tx);
    assert_int_equal(n, 2);
    assert_int_equal(number(fixture, "SELECT count(*) FROM dataset"), 1);
    assert_int_equal(number(fixture, "SELECT count(*) FROM dataset_chunk"), 2);
    assert_int_equal(get_code(fixture, "ds_a"), ERR_NONE);
}

/* --- damage -------------------------------------------------------------------------- */

static void damage(struct fixture *fixture, const char *sql)
{
    fixture_close(fixture);
    fixture_raw(fixture, sql);
    assert_int_equal(fixture_open(fixture), 0);
}

static void damaged_chunk_is_corrupt(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, "ds_a", true);
    damage(fixture,
           "UPDATE dataset_chunk SET bytes = CAST(substr(bytes, 1, length(bytes) - 1)"
           " || x'ff' AS BLOB) WHERE column_index = 1");
    assert_int_equal(get_chunk_code(fixture, "ds_a", 0, 0), ERR_NONE);
    assert_int_equal(get_chunk_code(fixture, "ds_a", 1, 0), ERR_CORRUPT);
}

static void missing_chunk_is_corrupt(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, "ds_a", true);
    damage(fixture, "DELETE FROM dataset_chunk WHERE column_index = 1");
    assert_int_equal(get_chunk_code(fixture, "ds_a", 1, 0), ERR_CORRUPT);
}

static void damaged_schema_is_corrupt(void **state)
{
    static const char *const damages[] = {
        "DELETE FROM dataset_column WHERE column_index = 1",
        "UPDATE dataset SET n_columns = 1",
        "UPDATE dataset_column SET levels = x'00ff'",
        "UPDATE dataset SET warnings = x'01'",
        "PRAGMA ignore_check_constraints = 1; UPDATE dataset_column SET kind = 'shape'",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        store(fixture, "ds_a", true);
        damage(fixture, damages[i]);
        assert_int_equal(get_code(fixture, "ds_a"), ERR_CORRUPT);
        struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
        assert_int_equal(dataset_store_delete(tx, "ds_a", &fixture->err), 0);
        fixture_commit(fixture, tx);
    }
}

int main(void)
{
#define TEST(test)                                                                       \
    cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(dataset_comes_back_as_stored),
        TEST(chunk_comes_back_as_stored),
        TEST(half_uploaded_dataset_is_invisible),
        TEST(ready_dataset_takes_no_more_chunks),
        TEST(chunk_of_no_column_or_twice_is_refused),
        TEST(pages_go_from_newest_to_oldest_without_gaps),
        TEST(delete_takes_columns_and_chunks_along),
        TEST(places_in_lists_are_never_used_again),
        TEST(sweep_removes_half_uploads_only),
        TEST(damaged_chunk_is_corrupt),
        TEST(missing_chunk_is_corrupt),
        TEST(damaged_schema_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
