#include "store_fixture.h"

static const struct migration three[] = {
    {1, "0001_a", "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);"},
    {2, "0002_b",
     "-- two statements\nCREATE TABLE b (x INTEGER) STRICT;\n"
     "INSERT INTO b VALUES (2);\n-- the end\n"},
    {3, "0003_c", "CREATE TABLE c (x INTEGER) STRICT"},
    {0, NULL, NULL},
};

static int version_of(struct fixture *fixture)
{
    int version = -1;
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(db_version(tx, &version, &fixture->err), 0);
    fixture_rollback(fixture, tx);
    return version;
}

static int64_t n_tables(struct fixture *fixture)
{
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    int64_t n =
        fixture_number(tx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'");
    fixture_rollback(fixture, tx);
    return n;
}

static void missing_migrations_are_applied_once(void **state)
{
    struct fixture *fixture = *state;
    int applied = -1;
    assert_int_equal(migrate_run(fixture->db, three, &applied, &fixture->err), 0);
    assert_int_equal(applied, 3);
    assert_int_equal(version_of(fixture), 3);
    assert_int_equal(migrate_run(fixture->db, three, &applied, &fixture->err), 0);
    assert_int_equal(applied, 0);
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), 0);
    assert_int_equal(migrate_run(fixture->db, three, &applied, &fixture->err), 0);
    assert_int_equal(applied, 0);
    assert_int_equal(n_tables(fixture), 3);
}

static void older_database_gets_the_rest(void **state)
{
    struct fixture *fixture = *state;
    struct migration one[] = {three[0], {0, NULL, NULL}};
    int applied = -1;
    assert_int_equal(migrate_run(fixture->db, one, NULL, &fixture->err), 0);
    assert_int_equal(migrate_run(fixture->db, three, &applied, &fixture->err), 0);
    assert_int_equal(applied, 2);
}

/* Bytes of the file, to be freed. */
static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *bytes = malloc(1 << 20);
    *len = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void newer_database_is_refused_and_untouched(void **state)
{
    struct fixture *fixture = *state;
    struct migration one[] = {three[0], {0, NULL, NULL}};
    size_t before_len;
    size_t after_len;
    int applied = 7;
    assert_int_equal(migrate_run(fixture->db, three, NULL, &fixture->err), 0);
    fixture_close(fixture);
    char *before = read_file(fixture->path, &before_len);

    assert_int_equal(fixture_open(fixture), 0);
    assert_int_equal(migrate_run(fixture->db, one, &applied, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_CONFLICT);
    assert_string_equal(fixture->err.slug, "newer_database");
    assert_int_equal(applied, 7);
    fixture_close(fixture);
    char *after = read_file(fixture->path, &after_len);
    assert_int_equal(before_len, after_len);
    assert_memory_equal(before, after, before_len);
    free(before);
    free(after);
}

static void failing_migration_leaves_the_one_before(void **state)
{
    struct fixture *fixture = *state;
    struct migration bad[] = {
        three[0],
        {2, "0002_bad",
         "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);"},
        three[2],
        {0, NULL, NULL},
    };
    assert_int_equal(migrate_run(fixture->db, bad, NULL, &fixture->err), -1);
    assert_non_null(strstr(fixture->err.message, "0002_bad"));
    assert_null(strstr(fixture->err.message, "nowhere"));
    assert_int_equal(version_of(fixture), 1);
    assert_int_equal(n_tables(fixture), 1);
    /* and the repaired list goes on from there */
    assert_int_equal(migrate_run(fixture->db, three, NULL, &fixture->err), 0);
    assert_int_equal(version_of(fixture), 3);
}

static void migration_cannot_commit_by_itself(void **state)
{
    struct fixture *fixture = *state;
    struct migration bad[] = {
        {1, "0001_bad",
         "CREATE TABLE a (x INTEGER) STRICT; ROLLBACK; CREATE TABLE b (x);"},
        {0, NULL, NULL},
    };
    assert_int_equal(migrate_run(fixture->db, bad, NULL, &fixture->err), -1);
    assert_int_equal(version_of(fixture), 0);
    assert_int_equal(n_tables(fixture), 0);
}

static void embedded_schema_is_sound_and_strict(void **state)
{
    struct fixture *fixture = *state;
    int applied = 0;
    assert_int_equal(migrate_run(fixture->db, migrate_embedded, &applied, &fixture->err),
                     0);
    assert_true(applied >= 3);
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(fixture_number(tx, "SELECT count(*) FROM pragma_table_list"
                                        " WHERE schema = 'main' AND strict = 0"
                                        " AND name NOT LIKE 'sqlite_%'"),
                     0);
    assert_int_equal(fixture_number(tx, "SELECT count(*) FROM pragma_foreign_key_check"),
                     0);
    struct db_stmt *stmt = NULL;
    assert_int_equal(db_prepare(tx, "PRAGMA integrity_check", &stmt, &fixture->err), 0);
    assert_int_equal(db_step(stmt, &fixture->err), 1);
    assert_string_equal(db_column_text(stmt, 0), "ok");
    fixture_rollback(fixture, tx);
}

static int set_up(void **state)
{
    return fixture_folder(state) == 0 ? fixture_open(*state) : -1;
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(missing_migrations_are_applied_once),
        TEST(older_database_gets_the_rest),
        TEST(newer_database_is_refused_and_untouched),
        TEST(failing_migration_leaves_the_one_before),
        TEST(migration_cannot_commit_by_itself),
        TEST(embedded_schema_is_sound_and_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
