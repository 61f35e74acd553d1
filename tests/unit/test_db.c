#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

/* --- helpers ------------------------------------------------------------------------- */

static const char make_item[] =
    "CREATE TABLE item (n INTEGER PRIMARY KEY, text TEXT, real REAL, bytes BLOB,"
    " CHECK (n < 1000000)) STRICT";
static const char insert_item[] = "INSERT INTO item (n, text) VALUES ($1, 'x')";
static const char count_items[] = "SELECT count(*) FROM item";

static int set_up_items(void **state)
{
    if (fixture_folder(state) != 0)
        return -1;
    struct fixture *fixture = *state;
    if (fixture_open(fixture) != 0)
        return -1;
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    if (db_script(tx, make_item, &fixture->err) != 0)
        return -1;
    return fixture_end(fixture, tx, 0);
}

static int put(struct db_tx *tx, int64_t n, struct err *err)
{
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, insert_item, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, n);
    return db_run(stmt, err);
}

static int64_t count(struct fixture *fixture)
{
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    int64_t n = fixture_number(tx, count_items);
    fixture_commit(fixture, tx);
    return n;
}

/* --- opening ------------------------------------------------------------------------- */

struct expected {
    const char *sql;
    const char *value;
};

static void check_pragmas(struct fixture *fixture, enum db_mode mode,
                          const struct expected *expected, size_t n)
{
    struct db_tx *tx = fixture_begin(fixture, mode);
    for (size_t i = 0; i < n; i++) {
        struct db_stmt *stmt = NULL;
        assert_int_equal(db_prepare(tx, expected[i].sql, &stmt, &fixture->err), 0);
        assert_int_equal(db_step(stmt, &fixture->err), 1);
        if (strcmp(db_column_text(stmt, 0), expected[i].value) != 0)
            fail_msg("%s gives %s, not %s", expected[i].sql, db_column_text(stmt, 0),
                     expected[i].value);
    }
    fixture_rollback(fixture, tx);
}

static void pragmas_are_what_they_should_be(void **state)
{
    static const struct expected both[] = {
        {"PRAGMA page_size", "8192"},    {"PRAGMA auto_vacuum", "2"},
        {"PRAGMA journal_mode", "wal"},  {"PRAGMA application_id", "1835823204"},
        {"PRAGMA foreign_keys", "1"},    {"PRAGMA trusted_schema", "0"},
        {"PRAGMA cell_size_check", "1"}, {"PRAGMA temp_store", "2"},
        {"PRAGMA secure_delete", "2"},   {"PRAGMA mmap_size", "0"},
    };
    static const struct expected writer[] = {
        {"PRAGMA synchronous", "2"},
        {"PRAGMA journal_size_limit", "67108864"},
        {"PRAGMA query_only", "0"},
    };
    static const struct expected reader[] = {
        {"PRAGMA wal_autocheckpoint", "0"},
        {"PRAGMA query_only", "1"},
    };
    struct fixture *fixture = *state;
    assert_int_equal(fixture_open(fixture), 0);
    for (int again = 0; again < 2; again++) {
        check_pragmas(fixture, DB_WRITE, both, sizeof both / sizeof *both);
        check_pragmas(fixture, DB_READ, both, sizeof both / sizeof *both);
        check_pragmas(fixture, DB_WRITE, writer, sizeof writer / sizeof *writer);
        check_pragmas(fixture, DB_READ, reader, sizeof reader / sizeof *reader);
        fixture_close(fixture);
        assert_int_equal(fixture_open(fixture), 0);
    }
}

static void second_process_is_refused_and_told_the_pid(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_open(fixture), 0);
    char pid[40];
    snprintf(pid, sizeof pid, "in use by process %ld", (long)getpid());
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct db_options options = {.path = fixture->path, .n_readers = 1};
        struct db *db = NULL;
        struct err err = {0};
        int refused = db_open(&options, &db, &err) == -1 && err.code == ERR_CONFLICT &&
                      strcmp(err.slug, "database_in_use") == 0 &&
                      strstr(err.message, pid) && strstr(err.message, fixture->path);
        _exit(refused ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void second_open_in_this_process_is_refused_too(void **state)
{
    struct fixture *fixture = *state;
    struct db *other = NULL;
    assert_int_equal(fixture_open(fixture), 0);
    struct db_options options = {.path = fixture->path, .n_readers = 1};
    assert_int_equal(db_open(&options, &other, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_CONFLICT);
    /* and after a close it is free */
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), 0);
}

static void another_programs_database_is_refused_and_untouched(void **state)
{
    struct fixture *fixture = *state;
    fixture_raw(fixture, "PRAGMA journal_mode=WAL; PRAGMA application_id=77;"
                         "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
    assert_int_equal(fixture_open(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_CORRUPT);
    assert_string_equal(fixture->err.slug, "not_our_database");
    fixture_raw(fixture, "SELECT 1 / (count(*) = 1) FROM theirs");
}

static void any_other_file_is_refused(void **state)
{
    struct fixture *fixture = *state;
    FILE *file = fopen(fixture->path, "w");
    for (int i = 0; i < 3000; i++)
        fputs("not a database\n", file);
    fclose(file);
    assert_int_equal(fixture_open(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_CORRUPT);
    assert_string_equal(fixture->err.slug, "not_our_database");
}

static void folder_that_is_missing_is_an_io_error(void **state)
{
    struct fixture *fixture = *state;
    char path[96];
    struct db *db = NULL;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/none/x.db", fixture->folder);
    struct db_options options = {.path = path, .n_readers = 1};
    assert_int_equal(db_open(&options, &db, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.message, path));
    assert_null(db);

    options.path = fixture->folder; /* a folder where a file belongs */
    err = (struct err){0};
    assert_int_equal(db_open(&options, &db, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    snprintf(path, sizeof path, "%s.lock", fixture->folder);
    unlink(path);
    options.path = "";
    err = (struct err){0};
    assert_int_equal(db_open(&options, &db, &err), -1);
    assert_int_equal(err.code, ERR_IO);
}

static void names_that_sqlite_would_read_as_uris_are_files(void **state)
{
    struct fixture *fixture = *state;
    char cwd[512];
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_int_equal(chdir(fixture->folder), 0);
    struct db *db = NULL;
    struct db_options options = {.path = ":memory:", .n_readers = 1};
    assert_int_equal(db_open(&options, &db, &fixture->err), 0);
    assert_int_equal(access(":memory:", F_OK), 0);
    assert_int_equal(db_close(db, &fixture->err), 0);
    options.path = "file:x?mode=memory";
    assert_int_equal(db_open(&options, &db, &fixture->err), 0);
    assert_int_equal(access("file:x?mode=memory", F_OK), 0);
    assert_int_equal(db_close(db, &fixture->err), 0);
    unlink(":memory:");
    unlink(":memory:.lock");
    unlink("file:x?mode=memory");
    unlink("file:x?mode=memory.lock");
    assert_int_equal(chdir(cwd), 0);
}

static void close_leaves_one_file_and_its_lock(void **state)
{
    struct fixture *fixture = *state;
    char wal[128];
    snprintf(wal, sizeof wal, "%s-wal", fixture->path);
    assert_int_equal(access(wal, F_OK), 0);
    fixture_close(fixture);
    assert_int_not_equal(access(wal, F_OK), 0);
    assert_int_equal(access(fixture->path, F_OK), 0);
}

/* --- statements ---------------------------------------------------------------------- */

static void values_come_back_as_they_went_in(void **state)
{
    struct fixture *fixture = *state;
    struct db_stmt *stmt = NULL;
    size_t len = 9;
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(
        db_prepare(tx, "SELECT $1, $2, $3, $4, $5, $6, $7", &stmt, &fixture->err), 0);
    db_bind_int(stmt, 1, INT64_MIN);
    db_bind_real(stmt, 2, 0.1);
    db_bind_real(stmt, 3, (double)NAN);
    db_bind_text(stmt, 4, "gr\xC3\xBC\xC3\x9F");
    db_bind_blob(stmt, 5, "a\0b", 3);
    db_bind_blob(stmt, 6, NULL, 0);
    db_bind_text(stmt, 7, NULL);
    assert_int_equal(db_step(stmt, &fixture->err), 1);
    assert_true(db_column_int(stmt, 0) == INT64_MIN);
    assert_true(db_column_real(stmt, 1) == 0.1);
    assert_true(db_column_is_null(stmt, 2) && isnan(db_column_real(stmt, 2)));
    assert_string_equal(db_column_text(stmt, 3), "gr\xC3\xBC\xC3\x9F");
    assert_memory_equal(db_column_blob(stmt, 4, &len), "a\0b", 3);
    assert_int_equal(len, 3);
    assert_false(db_column_is_null(stmt, 5));
    assert_non_null(db_column_blob(stmt, 5, &len));
    assert_int_equal(len, 0);
    assert_true(db_column_is_null(stmt, 6));
    assert_string_equal(db_column_text(stmt, 6), "");
    assert_int_equal(db_step(stmt, &fixture->err), 0);
    fixture_rollback(fixture, tx);
}

/* SQLite itself numbers $2 before $1 here. */
static void placeholders_count_by_number_not_by_appearance(void **state)
{
    struct fixture *fixture = *state;
    struct db_stmt *stmt = NULL;
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(db_prepare(tx, "SELECT $2, $1, $2, $10", &stmt, &fixture->err), 0);
    db_bind_int(stmt, 1, 11);
    db_bind_int(stmt, 2, 22);
    db_bind_int(stmt, 10, 100);
    assert_int_equal(db_step(stmt, &fixture->err), 1);
    assert_int_equal(db_column_int(stmt, 0), 22);
    assert_int_equal(db_column_int(stmt, 1), 11);
    assert_int_equal(db_column_int(stmt, 2), 22);
    assert_int_equal(db_column_int(stmt, 3), 100);
    fixture_rollback(fixture, tx);
}

static void preparing_again_forgets_bindings(void **state)
{
    static const char sql[] = "SELECT $1";
    struct fixture *fixture = *state;
    struct db_stmt *stmt = NULL;
    struct db_stmt *again = NULL;
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(db_prepare(tx, sql, &stmt, &fixture->err), 0);
    db_bind_int(stmt, 1, 5);
    assert_int_equal(db_step(stmt, &fixture->err), 1);
    assert_int_equal(db_prepare(tx, sql, &again, &fixture->err), 0);
    assert_ptr_equal(stmt, again);
    assert_int_equal(db_step(again, &fixture->err), 1);
    assert_true(db_column_is_null(again, 0));
    fixture_rollback(fixture, tx);
}

static void failed_bind_shows_in_step_once(void **state)
{
    static const char sql[] = "SELECT $1";
    struct fixture *fixture = *state;
    struct db_stmt *stmt = NULL;
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(db_prepare(tx, sql, &stmt, &fixture->err), 0);
    db_bind_int(stmt, 9, 5);
    db_bind_int(stmt, 1, 5);
    assert_int_equal(db_step(stmt, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_INTERNAL);
    fixture->err = (struct err){0};
    assert_int_equal(db_prepare(tx, sql, &stmt, &fixture->err), 0);
    db_bind_int(stmt, 1, 5);
    assert_int_equal(db_step(stmt, &fixture->err), 1);
    fixture_rollback(fixture, tx);
}

static void cache_grows_and_keeps_every_statement(void **state)
{
    enum { N = 300 };
    static char texts[N][24];
    struct fixture *fixture = *state;
    struct db_stmt *stmts[N];
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    for (int i = 0; i < N; i++) {
        snprintf(texts[i], sizeof texts[i], "SELECT %d", i);
        assert_int_equal(db_prepare(tx, texts[i], &stmts[i], &fixture->err), 0);
    }
    for (int i = 0; i < N; i++) {
        struct db_stmt *again = NULL;
        assert_int_equal(db_prepare(tx, texts[i], &again, &fixture->err), 0);
        assert_ptr_equal(again, stmts[i]);
        assert_int_equal(db_step(again, &fixture->err), 1);
        assert_int_equal(db_column_int(again, 0), i);
    }
    fixture_rollback(fixture, tx);
}

static void bad_sql_is_our_fault_and_not_shown(void **state)
{
    struct fixture *fixture = *state;
    struct db_stmt *stmt = NULL;
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(db_prepare(tx, "SELEC secret", &stmt, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_INTERNAL);
    assert_null(strstr(fixture->err.message, "secret"));
    fixture->err = (struct err){0};
    assert_int_equal(db_prepare(tx, "-- nothing", &stmt, &fixture->err), -1);
    fixture->err = (struct err){0};
    assert_int_equal(db_prepare(tx, "SELECT \"no_such\"", &stmt, &fixture->err), -1);
    fixture_rollback(fixture, tx);
}

static void broken_constraint_is_a_conflict(void **state)
{
    struct fixture *fixture = *state;
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(put(tx, 1, &fixture->err), 0);
    assert_int_equal(put(tx, 1, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_CONFLICT);
    assert_string_equal(fixture->err.slug, "constraint");
    assert_null(strstr(fixture->err.message, "item"));
    fixture_rollback(fixture, tx);
}

static void readers_cannot_write(void **state)
{
    struct fixture *fixture = *state;
    struct db_tx *tx = fixture_begin(fixture, DB_READ);
    assert_int_equal(put(tx, 1, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_IO);
    fixture_rollback(fixture, tx);
    assert_int_equal(count(fixture), 0);
}

/* --- transactions -------------------------------------------------------------------- */

static void rollback_undoes_and_commit_keeps(void **state)
{
    struct fixture *fixture = *state;
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(put(tx, 1, &fixture->err), 0);
    assert_int_equal(db_changes(tx), 1);
    fixture_rollback(fixture, tx);
    assert_int_equal(count(fixture), 0);
    tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(put(tx, 1, &fixture->err), 0);
    assert_int_equal(fixture_end(fixture, tx, 0), 0);
    tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(put(tx, 2, &fixture->err), 0);
    assert_int_equal(fixture_end(fixture, tx, -1), -1);
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), 0);
    assert_int_equal(count(fixture), 1);
    db_rollback(NULL);
}

static void reader_keeps_its_snapshot_until_it_ends(void **state)
{
    struct fixture *fixture = *state;
    struct db_tx *reader = fixture_begin(fixture, DB_READ);
    assert_int_equal(fixture_number(reader, count_items), 0);
    struct db_tx *writer = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(put(writer, 1, &fixture->err), 0);
    fixture_commit(fixture, writer);
    assert_int_equal(fixture_number(reader, count_items), 0);
    fixture_commit(fixture, reader);
    assert_int_equal(count(fixture), 1);
}

/* As on a full disk: SQLite rolls the transaction back by itself in the middle. */
static void full_database_stores_nothing_and_recovers(void **state)
{
    struct fixture *fixture = *state;
    struct db_stmt *stmt = NULL;
    static char big[100000];
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(put(tx, 1, &fixture->err), 0);
    fixture_number(tx, "PRAGMA max_page_count = 10");
    assert_int_equal(db_prepare(tx, "INSERT INTO item (n, bytes) VALUES (2, $1)", &stmt,
                                &fixture->err),
                     0);
    db_bind_blob(stmt, 1, big, sizeof big);
    assert_int_equal(db_run(stmt, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_STORAGE_FULL);
    assert_string_equal(fixture->err.slug, "storage_full");
    struct err second = {0};
    if (put(tx, 3, &second) ==
        0) { /* only the statement was undone: the caller decides */
        fixture_rollback(fixture, tx);
    } else { /* the transaction is gone, and stays gone */
        assert_int_equal(second.code, ERR_STORAGE_FULL);
        second = (struct err){0};
        fixture_ends(fixture, tx);
        assert_int_equal(db_commit(tx, &second), -1);
        assert_int_equal(second.code, ERR_STORAGE_FULL);
    }
    assert_int_equal(count(fixture), 0);
    tx = fixture_begin(fixture, DB_WRITE);
    fixture_number(tx, "PRAGMA max_page_count = 100000");
    assert_int_equal(put(tx, 4, &fixture->err), 0);
    fixture_commit(fixture, tx);
    assert_int_equal(count(fixture), 1);
}

static void transaction_that_ends_early_cannot_be_written_to(void **state)
{
    struct fixture *fixture = *state;
    struct db_tx *tx = fixture_begin(fixture, DB_WRITE);
    assert_int_equal(put(tx, 1, &fixture->err), 0);
    assert_int_equal(db_script(tx, "ROLLBACK", &fixture->err), -1);
    struct err err = {0};
    assert_int_equal(put(tx, 2, &err), -1);
    err = (struct err){0};
    fixture_ends(fixture, tx);
    assert_int_equal(db_commit(tx, &err), -1);
    assert_int_equal(count(fixture), 0);
}

/* --- threads ------------------------------------------------------------------------- */

struct crowd {
    struct fixture *fixture;
    _Atomic int n_written;
    _Atomic bool is_done;
    _Atomic int n_wrong;
};

/* Every snapshot holds whole transactions of ten, and never fewer than were committed. */
static void *read_on(void *arg)
{
    struct crowd *crowd = arg;
    while (!atomic_load(&crowd->is_done)) {
        struct err err = {0};
        struct db_tx *tx = NULL;
        struct db_stmt *stmt = NULL;
        int before = atomic_load(&crowd->n_written);
        if (db_begin(crowd->fixture->db, DB_READ, &tx, &err) != 0 ||
            db_prepare(tx, count_items, &stmt, &err) != 0 || db_step(stmt, &err) != 1 ||
            db_column_int(stmt, 0) % 10 != 0 || db_column_int(stmt, 0) < before)
            atomic_fetch_add(&crowd->n_wrong, 1);
        db_rollback(tx);
    }
    return NULL;
}

static void *write_on(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < 30; i++) {
        struct err err = {0};
        struct db_tx *tx = NULL;
        if (db_begin(crowd->fixture->db, DB_WRITE, &tx, &err) != 0)
            return NULL;
        int64_t first = fixture_number(tx, "SELECT coalesce(max(n), 0) + 1 FROM item");
        for (int64_t n = first; n < first + 10; n++)
            if (put(tx, n, &err) != 0)
                atomic_fetch_add(&crowd->n_wrong, 1);
        if (db_commit(tx, &err) != 0)
            atomic_fetch_add(&crowd->n_wrong, 1);
        atomic_fetch_add(&crowd->n_written, 10);
    }
    return NULL;
}

static void readers_see_whole_transactions_while_writers_commit(void **state)
{
    enum { N_READERS = 4, N_WRITERS = 2 };
    struct fixture *fixture = *state;
    struct crowd crowd = {.fixture = fixture};
    pthread_t readers[N_READERS];
    pthread_t writers[N_WRITERS];
    for (int i = 0; i < N_READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &crowd), 0);
    for (int i = 0; i < N_WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_on, &crowd), 0);
    for (int i = 0; i < N_WRITERS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&crowd.is_done, true);
    for (int i = 0; i < N_READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(crowd.n_wrong, 0);
    assert_int_equal(count(fixture), 600);
}

/* --- death --------------------------------------------------------------------------- */

/* Commits numbers from `first` on, and writes each to the pipe once it is acknowledged. */
static void commit_until_killed(struct fixture *fixture, int64_t first, int out)
{
    if (fixture_open(fixture) != 0)
        _exit(2);
    for (int64_t n = first;; n++) {
        struct err err = {0};
        struct db_tx *tx = NULL;
        if (db_begin(fixture->db, DB_WRITE, &tx, &err) != 0 || put(tx, n, &err) != 0 ||
            db_commit(tx, &err) != 0 || write(out, &n, sizeof n) != sizeof n)
            _exit(3);
    }
}

/* The last number that was acknowledged before the child was killed, or first - 1. */
static int64_t run_and_kill(struct fixture *fixture, int64_t first, unsigned round)
{
    int ends[2];
    int64_t last = first - 1;
    int64_t n = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        commit_until_killed(fixture, first, ends[1]);
    }
    close(ends[1]);
    /* The first acknowledgement, then a while that differs by round and run. */
    if (read(ends[0], &n, sizeof n) == sizeof n)
        last = n;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct timespec pause = {.tv_nsec = 1000000L * (now.tv_nsec % 37 + 7 * (long)round)};
    nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    while (read(ends[0], &n, sizeof n) == sizeof n)
        last = n;
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return last;
}

static void acknowledged_commits_survive_kill(void **state)
{
    struct fixture *fixture = *state;
    int64_t next = 1;
    fixture_close(fixture);
    for (unsigned round = 0; round < 5; round++) {
        int64_t last = run_and_kill(fixture, next, round);
        assert_true(last >= next);
        assert_int_equal(fixture_open(fixture), 0);
        struct db_tx *tx = fixture_begin(fixture, DB_READ);
        int64_t highest = fixture_number(tx, "SELECT coalesce(max(n), 0) FROM item");
        /* All up to the highest are there, and one more at most than was acknowledged. */
        assert_int_equal(fixture_number(tx, count_items), highest);
        assert_true(highest >= last && highest <= last + 1);
        fixture_rollback(fixture, tx);
        fixture_close(fixture);
        next = highest + 1;
    }
}

int main(void)
{
#define IN_FOLDER(test)                                                                  \
    cmocka_unit_test_setup_teardown(test, fixture_folder, fixture_tear_down)
#define WITH_ITEMS(test)                                                                 \
    cmocka_unit_test_setup_teardown(test, set_up_items, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(pragmas_are_what_they_should_be),
        IN_FOLDER(second_process_is_refused_and_told_the_pid),
        IN_FOLDER(second_open_in_this_process_is_refused_too),
        IN_FOLDER(another_programs_database_is_refused_and_untouched),
        IN_FOLDER(any_other_file_is_refused),
        IN_FOLDER(folder_that_is_missing_is_an_io_error),
        IN_FOLDER(names_that_sqlite_would_read_as_uris_are_files),
        WITH_ITEMS(close_leaves_one_file_and_its_lock),
        WITH_ITEMS(values_come_back_as_they_went_in),
        WITH_ITEMS(placeholders_count_by_number_not_by_appearance),
        WITH_ITEMS(preparing_again_forgets_bindings),
        WITH_ITEMS(failed_bind_shows_in_step_once),
        WITH_ITEMS(cache_grows_and_keeps_every_statement),
        WITH_ITEMS(bad_sql_is_our_fault_and_not_shown),
        WITH_ITEMS(broken_constraint_is_a_conflict),
        WITH_ITEMS(readers_cannot_write),
        WITH_ITEMS(rollback_undoes_and_commit_keeps),
        WITH_ITEMS(reader_keeps_its_snapshot_until_it_ends),
        WITH_ITEMS(full_database_stores_nothing_and_recovers),
        WITH_ITEMS(transaction_that_ends_early_cannot_be_written_to),
        WITH_ITEMS(readers_see_whole_transactions_while_writers_commit),
        WITH_ITEMS(acknowledged_commits_survive_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
