#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/endian.h"
#include "base/rng.h"
#include "table/csv.h"
#include "table/table_codec.h"

static void assert_near(double a, double b, double tolerance)
{
    assert_true(fabs(a - b) <= tolerance);
}

static void infer(const char *text, size_t len, struct table *table,
                  struct warnings *warnings)
{
    struct cells cells;
    struct err err = {0};
    cells_init(&cells, SIZE_MAX);
    if (csv_read(text, len, ',', &cells, &err) < 0 ||
        table_infer(&cells, table, warnings, &err) < 0)
        fail_msg("%s", err.message);
    cells_clear(&cells);
}

static void infer_file(const char *name, struct table *table, struct warnings *warnings)
{
    char path[64];
    char bytes[65536];
    snprintf(path, sizeof path, "tests/data/%s.csv", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    infer(bytes, len, table, warnings);
}

static const struct table_column *column_of(const struct table *table, const char *name)
{
    size_t index = table_find(table, name);
    assert_true(index != SIZE_MAX);
    return &table->columns[index];
}

static bool has_warning(const struct warnings *warnings, const char *code,
                        const char *column, const char *words)
{
    for (size_t i = 0; i < warnings->n; i++)
        if (strcmp(warnings->items[i].code, code) == 0 &&
            strcmp(warnings->items[i].column, column) == 0 &&
            strstr(warnings->items[i].detail, words))
            return true;
    return false;
}

static void penguins_are_typed_and_profiled(void **state)
{
    (void)state;
    struct table table;
    struct warnings warnings = {0};
    infer_file("penguins", &table, &warnings);
    assert_int_equal(table.n_rows, 344);
    assert_int_equal(table.n_columns, 8);
    uint64_t n_missing = 0;
    for (size_t i = 0; i < table.n_columns; i++)
        n_missing += table.columns[i].n_missing;
    assert_int_equal(n_missing, 19);
    assert_int_equal(warnings.n, 0);

    const struct table_column *species = column_of(&table, "species");
    assert_int_equal(species->kind, TABLE_CATEGORICAL);
    assert_int_equal(species->n_levels, 3);
    static const char *const levels[] = {"Adelie", "Chinstrap", "Gentoo"};
    static const uint64_t counts[] = {152, 68, 124};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(species->levels[i], levels[i]);
        assert_int_equal(species->counts[i], counts[i]);
    }
    assert_true(isnan(species->mean));

    const struct table_column *bill = column_of(&table, "bill_length_mm");
    assert_int_equal(bill->kind, TABLE_NUMERIC);
    assert_int_equal(bill->n_missing, 2);
    assert_true(bill->min == 32.1 && bill->max == 59.6);
    assert_near(bill->mean, 43.9219298245614, 1e-12);
    assert_near(bill->std, 5.4515960231618195, 1e-12);
    assert_true(bill->values[0] == 39.1 && isnan(bill->values[3]));

    const struct table_column *mass = column_of(&table, "body_mass_g");
    assert_int_equal(mass->kind, TABLE_INTEGER);
    assert_near(mass->std, 800.781229238452, 1e-9);
    const struct table_column *sex = column_of(&table, "sex");
    assert_int_equal(sex->n_missing, 11);
    assert_int_equal(sex->counts[0], 165);
    assert_int_equal(sex->codes[3], TABLE_MISSING);
    assert_int_equal(sex->codes[0], 1);
    assert_int_equal(column_of(&table, "year")->kind, TABLE_INTEGER);
    table_clear(&table);
    warnings_clear(&warnings);
}

static void diabetes_is_all_numbers(void **state)
{
    (void)state;
    struct table table;
    struct warnings warnings = {0};
    infer_file("diabetes", &table, &warnings);
    assert_int_equal(table.n_rows, 442);
    assert_int_equal(table.n_columns, 11);
    for (size_t i = 0; i < table.n_columns; i++) {
        assert_int_not_equal(table.columns[i].kind, TABLE_CATEGORICAL);
        assert_int_equal(table.columns[i].n_missing, 0);
    }
    assert_int_equal(column_of(&table, "sex")->kind, TABLE_INTEGER);
    assert_int_equal(column_of(&table, "bmi")->kind, TABLE_NUMERIC);
    assert_near(column_of(&table, "progression")->mean, 152.13348416289594, 1e-10);
    assert_near(column_of(&table, "progression")->std, 77.00574586945044, 1e-10);
    struct err unknown = {0};
    assert_int_equal(
        table_unknown(&table, "progresion", "unknown_column", "/x", &unknown), -1);
    assert_non_null(strstr(unknown.message, "did you mean 'progression'?"));
    err_clear(&unknown);
    table_unknown(&table, "nothing alike", "unknown_column", "/x", &unknown);
    assert_null(strstr(unknown.message, "did you mean"));
    table_clear(&table);
    warnings_clear(&warnings);
}

struct kind_case {
    const char *cells; /* lines */
    enum table_kind kind;
    uint64_t n_missing;
};

static const struct kind_case kind_cases[] = {
    {"1\n2\n3\n", TABLE_INTEGER, 0},
    {"1.0\n-2e3\n+.0\n", TABLE_INTEGER, 0},
    {"1\n2.5\n", TABLE_NUMERIC, 0},
    {" 1\n2 \n\t3\t\n", TABLE_INTEGER, 0},
    {"1\nNA\nnan\n?\nnull\n", TABLE_INTEGER, 4},
    {"9007199254740991\n-9007199254740991\n", TABLE_INTEGER, 0},
    {"9007199254740992\n1\n", TABLE_NUMERIC, 0},
    {"3.4e38\n1\n", TABLE_NUMERIC, 0},
    {"1e39\n1\n2\n", TABLE_CATEGORICAL, 0},
    {"\"1,5\"\n1\n2\n", TABLE_CATEGORICAL, 0},
    {"0x10\n1\n", TABLE_CATEGORICAL, 0},
    {"inf\n1\n", TABLE_CATEGORICAL, 0},
    {"1e400\n1\n", TABLE_CATEGORICAL, 0},
    {"1 2\n1\n", TABLE_CATEGORICAL, 0},
    {"NA\n?\nNA\n", TABLE_NUMERIC, 3},
    {"true\nfalse\n", TABLE_CATEGORICAL, 0},
};

static void kinds_follow_the_cells(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kind_cases / sizeof *kind_cases; i++) {
        char text[128];
        struct table table;
        int len = snprintf(text, sizeof text, "a\n%s", kind_cases[i].cells);
        infer(text, (size_t)len, &table, NULL);
        if (table.columns[0].kind != kind_cases[i].kind ||
            table.columns[0].n_missing != kind_cases[i].n_missing)
            fail_msg("%s: %s, %d missing", text, table_kind_name(table.columns[0].kind),
                     (int)table.columns[0].n_missing);
        table_clear(&table);
    }
}

static void levels_are_sorted_bytewise_and_kept_as_they_are(void **state)
{
    (void)state;
    struct table table;
    static const char text[] = "a\nb\nB\nab\na\n b\n\xC3\xA9\nb\n";
    static const char *const sorted[] = {" b", "B", "a", "ab", "b", "\xC3\xA9"};
    infer(text, sizeof text - 1, &table, NULL);
    const struct table_column *column = &table.columns[0];
    assert_int_equal(column->n_levels, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(column->levels[i], sorted[i]);
    assert_int_equal(column->codes[0], 4);
    assert_int_equal(column->counts[4], 2);
    table_clear(&table);
}

static void oddities_are_warned_of(void **state)
{
    (void)state;
    struct table table;
    struct warnings warnings = {0};
    static const char text[] = "empty,same,text,nearly,words,gap\n"
                               ",1,x,1,a,1\n,1,x,2,b,\n,1.0,x,1e39,3,1\n";
    infer(text, sizeof text - 1, &table, &warnings);
    assert_true(has_warning(&warnings, "all_missing", "empty", "no values"));
    assert_true(has_warning(&warnings, "constant", "same", "same value"));
    assert_true(has_warning(&warnings, "constant", "text", "same value"));
    assert_true(has_warning(&warnings, "almost_numeric", "nearly", "'1e39' in row 3"));
    assert_int_equal(warnings.n, 4);
    assert_int_equal(warnings.items[3].line, 3);
    table_clear(&table);
    warnings_clear(&warnings);
}

static void million_levels_are_not_quadratic(void **state)
{
    (void)state;
    struct cells cells;
    struct table table;
    struct err err = {0};
    char text[24];
    cells_init(&cells, SIZE_MAX);
    assert_int_equal(cells_add_column(&cells, "id", 2, &err), 0);
    for (unsigned i = 0; i < 1000000; i++) {
        int len = snprintf(text, sizeof text, "id%u", i * 2654435761U);
        assert_int_equal(cells_add(&cells, text, (size_t)len, &err), 0);
        cells_end_row(&cells);
    }
    int64_t began = clock_monotonic_ns();
    assert_int_equal(table_infer(&cells, &table, NULL, &err), 0);
    assert_true(clock_monotonic_ns() - began < 60000000000); /* quadratic: an hour */
    assert_int_equal(table.columns[0].n_levels, 1000000);
    for (size_t row = 0; row < 1000000; row += 999) {
        size_t len;
        const char *cell = cells_get(&cells, row, 0, &len);
        const char *level = table.columns[0].levels[table.columns[0].codes[row]];
        assert_int_equal(strlen(level), len);
        assert_memory_equal(level, cell, len);
    }
    table_clear(&table);
    cells_clear(&cells);
}

/* A schema of the same kinds and levels, with room for the values. */
static void copy_schema(const struct table *from, struct table *to)
{
    struct err err = {0};
    *to = (struct table){.n_rows = from->n_rows, .n_columns = from->n_columns};
    to->columns = calloc(from->n_columns, sizeof *to->columns);
    for (size_t i = 0; i < from->n_columns; i++) {
        struct buf levels;
        buf_init(&levels, SIZE_MAX);
        to->columns[i].kind = from->columns[i].kind;
        table_codec_encode_levels(&from->columns[i], &levels);
        assert_int_equal(
            table_codec_decode_levels(levels.bytes, levels.len, &to->columns[i], &err),
            0);
        buf_clear(&levels);
    }
    for (size_t i = 0; i < to->n_columns; i++)
        assert_int_equal(table_alloc_column(&to->columns[i], to->n_rows, &err), 0);
}

static void assert_same_column(const struct table_column *a, const struct table_column *b,
                               size_t n_rows)
{
    assert_int_equal(a->n_levels, b->n_levels);
    for (size_t i = 0; i < a->n_levels; i++) {
        assert_string_equal(a->levels[i], b->levels[i]);
        assert_int_equal(a->counts[i], b->counts[i]);
    }
    for (size_t i = 0; i < n_rows; i++) {
        if (a->kind == TABLE_CATEGORICAL)
            assert_int_equal(a->codes[i], b->codes[i]);
        else
            assert_true(a->values[i] == b->values[i] ||
                        (isnan(a->values[i]) && isnan(b->values[i])));
    }
}

static void chunks_round_trip(void **state)
{
    (void)state;
    static const char *const names[] = {"penguins", "diabetes", "wine"};
    for (size_t k = 0; k < 3; k++) {
        struct table table;
        struct table copy;
        struct err err = {0};
        infer_file(names[k], &table, NULL);
        copy_schema(&table, &copy);
        for (size_t i = 0; i < table.n_columns; i++) {
            for (size_t first = 0; first < table.n_rows; first += 100) {
                struct buf chunk;
                size_t n = table.n_rows - first < 100 ? table.n_rows - first : 100;
                buf_init(&chunk, SIZE_MAX);
                table_codec_encode_chunk(&table.columns[i], first, n, &chunk);
                assert_int_equal(table_codec_decode_chunk(chunk.bytes, chunk.len,
                                                          &copy.columns[i], first, n,
                                                          &err),
                                 0);
                buf_clear(&chunk);
            }
            assert_same_column(&table.columns[i], &copy.columns[i], table.n_rows);
        }
        table_clear(&table);
        table_clear(&copy);
    }
}

static void exact_floats_take_four_bytes(void **state)
{
    (void)state;
    double halves[8] = {0.5, -0.0, NAN, 3, 1e30F, 2.5, 7, 8};
    double tenths[8] = {0.1, 1, 2, 3, 4, 5, 6, 7};
    struct table_column column = {.kind = TABLE_NUMERIC, .values = halves};
    struct buf out;
    buf_init(&out, SIZE_MAX);
    table_codec_encode_chunk(&column, 0, 8, &out);
    assert_int_equal(out.len, 11 + 1 + 8 * 4);
    buf_reset(&out);
    column.values = tenths;
    table_codec_encode_chunk(&column, 0, 8, &out);
    assert_int_equal(out.len, 11 + 1 + 8 * 8);
    buf_clear(&out);
}

static void many_levels_take_wider_codes(void **state)
{
    (void)state;
    static const size_t n_levels[] = {256, 257, 65536, 65537};
    static const size_t sizes[] = {1, 2, 2, 4};
    for (size_t i = 0; i < 4; i++) {
        uint32_t codes[3] = {(uint32_t)n_levels[i] - 1, TABLE_MISSING, 0};
        uint32_t back[3] = {7, 7, 7};
        struct err err = {0};
        struct buf out;
        struct table_column column = {
            .kind = TABLE_CATEGORICAL, .codes = codes, .n_levels = n_levels[i]};
        buf_init(&out, SIZE_MAX);
        table_codec_encode_chunk(&column, 0, 3, &out);
        assert_int_equal(out.len, 11 + 1 + 3 * sizes[i]);
        column.codes = back;
        assert_int_equal(
            table_codec_decode_chunk(out.bytes, out.len, &column, 0, 3, &err), 0);
        assert_memory_equal(codes, back, sizeof codes);
        column.n_levels--; /* the first code is beyond the levels now */
        assert_int_equal(
            table_codec_decode_chunk(out.bytes, out.len, &column, 0, 3, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        buf_clear(&out);
    }
}

typedef int decoder(const void *bytes, size_t len, struct err *err);

/* Every truncation must be ERR_CORRUPT; every flipped bit must decode or be ERR_CORRUPT. */
static void assert_distrusted(const struct buf *stored, decoder *decode)
{
    for (size_t len = 0; len < stored->len; len++) {
        struct err err = {0};
        char *copy = malloc(len ? len : 1);
        memcpy(copy, stored->bytes, len);
        assert_int_equal(decode(copy, len, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        free(copy);
    }
    char *copy = malloc(stored->len + 1);
    for (size_t i = 0; i < stored->len * 8; i++) {
        struct err err = {0};
        memcpy(copy, stored->bytes, stored->len);
        copy[i / 8] = (char)(copy[i / 8] ^ (1 << i % 8));
        if (decode(copy, stored->len, &err) < 0)
            assert_int_equal(err.code, ERR_CORRUPT);
    }
    struct err err = {0};
    memcpy(copy, stored->bytes, stored->len);
    copy[stored->len] = 0;
    assert_int_equal(decode(copy, stored->len + 1, &err), -1);
    free(copy);
}

static int decode_numbers(const void *bytes, size_t len, struct err *err)
{
    double values[20];
    struct table_column column = {.kind = TABLE_NUMERIC, .values = values};
    return table_codec_decode_chunk(bytes, len, &column, 0, 20, err);
}

static int decode_codes(const void *bytes, size_t len, struct err *err)
{
    uint32_t codes[20];
    struct table_column column = {
        .kind = TABLE_CATEGORICAL, .codes = codes, .n_levels = 5};
    int status = table_codec_decode_chunk(bytes, len, &column, 0, 20, err);
    for (size_t i = 0; status == 0 && i < 20; i++)
        assert_true(codes[i] < 5 || codes[i] == TABLE_MISSING);
    return status;
}

static int decode_levels(const void *bytes, size_t len, struct err *err)
{
    struct table table = {.n_columns = 1, .columns = calloc(1, sizeof *table.columns)};
    table.columns[0].kind = TABLE_CATEGORICAL;
    int status = table_codec_decode_levels(bytes, len, &table.columns[0], err);
    for (size_t i = 1; i < table.columns[0].n_levels; i++)
        assert_true(strcmp(table.columns[0].levels[i - 1], table.columns[0].levels[i]) <
                    0);
    table_clear(&table);
    return status;
}

static int decode_warnings(const void *bytes, size_t len, struct err *err)
{
    struct warnings warnings = {0};
    struct endian_reader reader;
    endian_reader_init(&reader, bytes, len);
    int status = warnings_decode(&reader, &warnings, err);
    if (status == 0 && endian_left(&reader) > 0)
        status = err_set(err, ERR_CORRUPT, "rest", "bytes behind the warnings");
    warnings_clear(&warnings);
    return status;
}

static void damaged_chunks_are_refused(void **state)
{
    (void)state;
    double values[20];
    uint32_t codes[20];
    struct buf out;
    buf_init(&out, SIZE_MAX);
    for (size_t i = 0; i < 20; i++) {
        values[i] = i % 7 ? (double)i * 0.1 : NAN;
        codes[i] = i % 7 ? (uint32_t)i % 5 : TABLE_MISSING;
    }
    struct table_column numbers = {.kind = TABLE_NUMERIC, .values = values};
    table_codec_encode_chunk(&numbers, 0, 20, &out);
    assert_distrusted(&out, decode_numbers);
    buf_reset(&out);
    struct table_column classes = {
        .kind = TABLE_CATEGORICAL, .codes = codes, .n_levels = 5};
    table_codec_encode_chunk(&classes, 0, 20, &out);
    assert_distrusted(&out, decode_codes);
    buf_clear(&out);
}

static void damaged_levels_are_refused(void **state)
{
    (void)state;
    char *levels[] = {(char[]){"a"}, (char[]){"ab"}, (char[]){"b"}};
    uint64_t counts[] = {3, 2, 1};
    struct buf out;
    buf_init(&out, SIZE_MAX);
    struct table_column column = {
        .kind = TABLE_CATEGORICAL, .n_levels = 3, .levels = levels, .counts = counts};
    table_codec_encode_levels(&column, &out);
    assert_distrusted(&out, decode_levels);
    buf_clear(&out);
}

static void infinite_and_fractional_integers_are_corrupt(void **state)
{
    (void)state;
    static const double bad[] = {INFINITY, 1e39, 0.5};
    for (size_t i = 0; i < 3; i++) {
        double values[1] = {bad[i]};
        struct err err = {0};
        struct buf out;
        struct table_column column = {.kind = TABLE_INTEGER, .values = values};
        buf_init(&out, SIZE_MAX);
        table_codec_encode_chunk(&column, 0, 1, &out);
        assert_int_equal(
            table_codec_decode_chunk(out.bytes, out.len, &column, 0, 1, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        buf_clear(&out);
    }
}

static void warnings_round_trip_and_stop_at_the_limit(void **state)
{
    (void)state;
    struct warnings warnings = {0};
    struct warnings back = {0};
    struct endian_reader reader;
    struct err err = {0};
    struct buf out;
    for (size_t i = 0; i < WARNINGS_MAX + 7; i++)
        warnings_add(&warnings, "code", i % 2 ? "column" : NULL, i, "detail %zu", i);
    warnings_add(NULL, "nobody", NULL, 0, "listens");
    assert_int_equal(warnings.n, WARNINGS_MAX);
    assert_int_equal(warnings.n_dropped, 7);
    buf_init(&out, SIZE_MAX);
    warnings_encode(&warnings, &out);
    endian_reader_init(&reader, out.bytes, out.len);
    assert_int_equal(warnings_decode(&reader, &back, &err), 0);
    assert_int_equal(endian_left(&reader), 0);
    assert_int_equal(back.n, WARNINGS_MAX);
    assert_int_equal(back.n_dropped, 7);
    assert_string_equal(back.items[99].detail, "detail 99");
    assert_string_equal(back.items[99].column, "column");
    assert_null(back.items[98].column);
    assert_int_equal(back.items[98].line, 98);
    warnings_clear(&warnings);
    warnings_clear(&back);
    warnings_add(&warnings, "a", "b", 1, "c");
    warnings_add(&warnings, "d", NULL, 2, "e");
    buf_reset(&out);
    warnings_encode(&warnings, &out);
    assert_distrusted(&out, decode_warnings);
    warnings_clear(&warnings);
    buf_clear(&out);
}

static void long_detail_is_cut_between_characters(void **state)
{
    (void)state;
    struct warnings warnings = {0};
    char text[1200];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xC3\xA9", 3);
    warnings_add(&warnings, "x", NULL, 0, "%s", text);
    assert_int_equal(strlen(warnings.items[0].detail), 510);
    warnings_clear(&warnings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(penguins_are_typed_and_profiled),
        cmocka_unit_test(diabetes_is_all_numbers),
        cmocka_unit_test(kinds_follow_the_cells),
        cmocka_unit_test(levels_are_sorted_bytewise_and_kept_as_they_are),
        cmocka_unit_test(oddities_are_warned_of),
        cmocka_unit_test(million_levels_are_not_quadratic),
        cmocka_unit_test(chunks_round_trip),
        cmocka_unit_test(exact_floats_take_four_bytes),
        cmocka_unit_test(many_levels_take_wider_codes),
        cmocka_unit_test(damaged_chunks_are_refused),
        cmocka_unit_test(damaged_levels_are_refused),
        cmocka_unit_test(infinite_and_fractional_integers_are_corrupt),
        cmocka_unit_test(warnings_round_trip_and_stop_at_the_limit),
        cmocka_unit_test(long_detail_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
