#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "table/csv.h"

static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *len = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*len + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *len, file), *len);
    fclose(file);
    return bytes;
}

/* Reads in pieces of `step` bytes; step 0: random pieces of the given seed. Each piece is a
 * copy of its own size, so that the sanitizer sees a look past its end. */
static int read_in_pieces(const char *bytes, size_t len, size_t step, uint64_t seed,
                          struct cells *cells, struct err *err)
{
    struct csv_reader reader;
    int status = 0;
    csv_reader_init(&reader, cells, ',');
    for (size_t at = 0, i = 0; status == 0 && at < len; i++) {
        size_t n = step ? step : 1 + (size_t)(rng_uniform(seed, RNG_TEST, 0, i) * 9);
        n = n < len - at ? n : len - at;
        char *piece = malloc(n);
        memcpy(piece, bytes + at, n);
        status = csv_reader_feed(&reader, piece, n, err);
        free(piece);
        at += n;
    }
    if (status == 0)
        status = csv_reader_finish(&reader, err);
    csv_reader_clear(&reader);
    return status;
}

static void assert_same_cells(const struct cells *a, const struct cells *b)
{
    assert_int_equal(a->n_columns, b->n_columns);
    assert_int_equal(a->n_rows, b->n_rows);
    assert_int_equal(a->arena.len, b->arena.len);
    for (size_t i = 0; i < a->n_columns; i++)
        assert_string_equal(a->names[i], b->names[i]);
    if (a->n_rows)
        assert_memory_equal(a->ends, b->ends, a->n_rows * a->n_columns * sizeof *a->ends);
    if (a->arena.len)
        assert_memory_equal(a->arena.bytes, b->arena.bytes, a->arena.len);
}

static void assert_cuts_do_not_matter(const char *bytes, size_t len, size_t n_random)
{
    struct cells whole;
    struct err whole_err = {0};
    cells_init(&whole, SIZE_MAX);
    int status = csv_read(bytes, len, ',', &whole, &whole_err);
    for (size_t i = 0; i <= n_random + 1; i++) {
        struct cells cut;
        struct err err = {0};
        cells_init(&cut, SIZE_MAX);
        int again = read_in_pieces(bytes, len, i < 2 ? i + 1 : 0, i, &cut, &err);
        assert_int_equal(again, status);
        assert_int_equal(err.code, whole_err.code);
        assert_string_equal(err.slug, whole_err.slug);
        assert_string_equal(err.message, whole_err.message);
        if (status == 0)
            assert_same_cells(&whole, &cut);
        cells_clear(&cut);
    }
    cells_clear(&whole);
}

static void cuts_do_not_change_real_tables(void **state)
{
    (void)state;
    static const char *const names[] = {"penguins", "diabetes", "iris", "wine", "digits"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        size_t len;
        snprintf(path, sizeof path, "tests/data/%s.csv", names[i]);
        char *bytes = read_file(path, &len);
        assert_cuts_do_not_matter(bytes, len, 3);
        free(bytes);
    }
}

static const char *const nasty[] = {"",
                                    "\n",
                                    "\r\n",
                                    "\r",
                                    "a",
                                    "a\n",
                                    "a\n1",
                                    "a\n1\n",
                                    "a\r\n1\r\n",
                                    "a\n1\r",
                                    "a,b\n1,2\r",
                                    "a,b\n1,\n",
                                    "a,b\n,\n",
                                    "a,b\n1,\r\n",
                                    "\"a\"\n1",
                                    "\"a\",b\n\"1\",\"2\"",
                                    "\"a\"\"b\",c\n\"\"\"\",\"\"\n",
                                    "a\n\"x\ny\"\n",
                                    "a\n\"x\r\ny\"\r\n",
                                    "a\n\"\"\n",
                                    "\xEF\xBB\xBF"
                                    "a\n1",
                                    "\xEF\xBB\xBF"
                                    "\"a\"\n1",
                                    "\xEF\xBB"
                                    "a\n1",
                                    "\xEF\xBB",
                                    "\xEF",
                                    "\xEF\xBB\xBF",
                                    "\xEF\xBB\xBF\n\na\n1",
                                    "a\n\n1\n\n\n",
                                    "a\n\n\n",
                                    "a,b\n\n1,2\n\n",
                                    "\n\na,b\n1,2",
                                    "a\n1\r2\n",
                                    "a\n\r2\n",
                                    "a\n\r\r\n",
                                    "a\n1\"2\n",
                                    "a\n\"1\"2\n",
                                    "a\n\"1\" \n",
                                    "a\n\"1\"\r2\n",
                                    "a\n\"1",
                                    "a\n\"1\n\n2",
                                    "a,b\n1\n",
                                    "a,b\n1,2,3\n",
                                    "a,a\n1,2\n",
                                    "a,,c\n1,2,3\n",
                                    "a\n\xC3\xA9\n",
                                    "a\n\xC3\n",
                                    "a\n\"\xC3\"\"\xA9\"\n",
                                    "\xC3\xA9,b\n1,2\n",
                                    "a\n\"x\ny\xFF\"\n",
                                    "a\n\xED\xA0\x80\n",
                                    "a, b\n 1 , 2 \n",
                                    "a\n\"1\"\r",
                                    "a,b\r\n\"\",\"\"\r\n",
                                    "\"\n",
                                    "a\n\"\"\"\"\"\"\n",
                                    ",\n",
                                    "a\n'1'\n"};

static void cuts_do_not_change_nasty_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof nasty / sizeof *nasty; i++)
        assert_cuts_do_not_matter(nasty[i], strlen(nasty[i]), 10);
    assert_cuts_do_not_matter("a\n1\0002\n", 6, 10);
    assert_cuts_do_not_matter("a\n\"1\0002\"\n", 8, 10);
}

static void cuts_do_not_change_random_texts(void **state)
{
    (void)state;
    static const char alphabet[] = "a1,,\"\"\n\n\r\xC3\xA9 \xEF\xBB\xBF";
    for (uint64_t seed = 0; seed < 3000; seed++) {
        char text[40] = "a,b\n";
        size_t len = seed % 2 ? 4 : seed % 4 ? 0 : 2;
        if (len == 2)
            text[1] = '\n';
        size_t n = len + (size_t)(rng_uniform(seed, RNG_TEST, 1, 0) * 30);
        for (; len < n; len++)
            text[len] = alphabet[(size_t)(rng_uniform(seed, RNG_TEST, 2, len) *
                                          (double)(sizeof alphabet - 1))];
        assert_cuts_do_not_matter(text, len, 2);
    }
}

static void assert_cell(const struct cells *cells, size_t row, size_t column,
                        const char *expected)
{
    size_t len;
    const char *text = cells_get(cells, row, column, &len);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(text, expected, len);
}

static void assert_reads(const char *text, char delimiter, size_t n_rows,
                         const char *first, const char *last)
{
    struct cells cells;
    struct err err = {0};
    cells_init(&cells, SIZE_MAX);
    if (csv_read(text, strlen(text), delimiter, &cells, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    assert_int_equal(cells.n_rows, n_rows);
    assert_cell(&cells, 0, 0, first);
    assert_cell(&cells, n_rows - 1, cells.n_columns - 1, last);
    cells_clear(&cells);
}

static void dialect_is_rfc_4180(void **state)
{
    (void)state;
    assert_reads("a,b\n1,2\n3,4\n", ',', 2, "1", "4");
    assert_reads("a,b\r\n1,2\r\n3,4", ',', 2, "1", "4");
    assert_reads("a\tb\n1,5\t\"2\t\"\n", '\t', 1, "1,5", "2\t");
    assert_reads("a,b\n\"x \"\"y\"\"\",\"p\nq\"\n", ',', 1, "x \"y\"", "p\nq");
    assert_reads("\xEF\xBB\xBF"
                 "a,b\n1,2\n",
                 ',', 1, "1", "2");
    assert_reads("a,b\n , x \n", ',', 1, " ", " x ");
    assert_reads("a,b\n\n1,2\n\n\n3,4\n\n", ',', 2, "1", "4");
    assert_reads("a\n1\r2\n", ',', 1, "1\r2", "1\r2");
    assert_reads("a,b\n,\n", ',', 1, "", "");
}

static void blank_line_of_one_column_is_a_missing_cell(void **state)
{
    (void)state;
    assert_reads("a\n1\n\n2\n", ',', 3, "1", "2");
    assert_reads("a\n\n2\n", ',', 2, "", "2");
    assert_reads("a\n1\n\n", ',', 1, "1", "1");
    assert_reads("a\n1\n\n\n", ',', 2, "1", "");
    assert_reads("a\n1\n\"\"\n", ',', 2, "1", "");
}

struct fault {
    const char *text;
    size_t len; /* 0: strlen */
    const char *slug;
    const char *message;
};

static const struct fault faults[] = {
    {"", 0, "empty_table", "no header"},
    {"\n\n", 0, "empty_table", "no header"},
    {"a,b\n", 0, "no_rows", "line 1"},
    {"a\n\n", 0, "no_rows", "no rows"},
    {"a,b,c,d,e\n1,2,3,4,5\n\n1,2,3,4\n", 0, "ragged_row",
     "line 4: expected 5 fields, found 4"},
    {"a,b\n\"1\n\n\",2\n1,2,3,4\n", 0, "ragged_row",
     "line 5: expected 2 fields, found 4"},
    {"a,b\n1,2\n3,\"4\n5,6\n", 0, "unterminated_quote", "line 3, column 2"},
    {"a,b\n1,2\n3,4\"5\n", 0, "stray_quote", "line 3, column 2: a quote inside"},
    {"a,b\n\"1\" ,2\n", 0, "stray_quote", "line 2, column 1: text behind"},
    {"a,b\n\"1\"\r,2\n", 0, "stray_quote", "line 2, column 1: text behind"},
    {"a,b\n1,2\n3,\0", 11, "nul_byte", "line 3, column 2"},
    {"a,b\n1,\"x\n\0\"", 11, "nul_byte", "line 3, column 2"},
    {"a,b\n1,\"x\"\0", 10, "nul_byte", "line 2, column 2"},
    {"a,b\n1,2\n3,\xFF\n", 0, "invalid_utf8", "line 3, column 2"},
    {"a,b\n1,\"x\n\n\xC3\"\n", 0, "invalid_utf8", "line 4, column 2"},
    {"\xC3,b\n1,2\n", 0, "invalid_utf8", "line 1, column 1"},
    {"a,,c\n1,2,3\n", 0, "bad_header", "line 1, column 2: a column name is empty"},
    {"\na,b,a\n1,2,3\n", 0, "bad_header", "line 2, column 3: the column name 'a'"},
};

static void faults_are_named_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const struct fault *fault = &faults[i];
        struct cells cells;
        struct err err = {0};
        cells_init(&cells, SIZE_MAX);
        size_t len = fault->len ? fault->len : strlen(fault->text);
        assert_int_equal(csv_read(fault->text, len, ',', &cells, &err), -1);
        assert_int_equal(err.code, ERR_MALFORMED);
        assert_string_equal(err.slug, fault->slug);
        if (!strstr(err.message, fault->message))
            fail_msg("'%s' does not say '%s'", err.message, fault->message);
        cells_clear(&cells);
    }
}

static void overlong_cell_is_too_large_however_it_is_cut(void **state)
{
    (void)state;
    for (int quoted = 0; quoted < 2; quoted++) {
        size_t len = 2U << 20;
        char *text = malloc(len + 32);
        int head = snprintf(text, 32, "a,b\n1,2\n3,%s", quoted ? "\"" : "");
        memset(text + head, 'x', len);
        snprintf(text + head + len, 4, "%s", quoted ? "\"\n" : "\n");
        len = strlen(text);
        for (size_t step = 1; step <= 1U << 22; step <<= 11) {
            struct cells cells;
            struct err err = {0};
            cells_init(&cells, SIZE_MAX);
            assert_int_equal(read_in_pieces(text, len, step, 0, &cells, &err), -1);
            assert_int_equal(err.code, ERR_TOO_LARGE);
            assert_string_equal(err.slug, "cell_too_large");
            assert_non_null(strstr(err.message, "line 3, column 2: "));
            cells_clear(&cells);
        }
        free(text);
    }
}

static void longest_cell_is_read(void **state)
{
    (void)state;
    char *text = malloc(CELLS_CELL_MAX + 8);
    memcpy(text, "a\n", 2);
    memset(text + 2, 'x', CELLS_CELL_MAX);
    text[2 + CELLS_CELL_MAX] = '\n';
    for (size_t step = 1; step <= 1U << 22; step <<= 11) {
        struct cells cells;
        struct err err = {0};
        cells_init(&cells, SIZE_MAX);
        assert_int_equal(read_in_pieces(text, CELLS_CELL_MAX + 3, step, 0, &cells, &err),
                         0);
        assert_int_equal(cells.arena.len, CELLS_CELL_MAX);
        cells_clear(&cells);
    }
    free(text);
}

static void text_over_the_ceiling_is_too_large(void **state)
{
    (void)state;
    struct cells cells;
    struct err err = {0};
    cells_init(&cells, 4);
    assert_int_equal(csv_read("a,b\n12,34\n5,6\n", 14, ',', &cells, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_string_equal(err.slug, "table_too_large");
    assert_non_null(strstr(err.message, "line 3, column 1"));
    cells_clear(&cells);
}

static void nothing_is_read_behind_an_error(void **state)
{
    (void)state;
    struct cells cells;
    struct csv_reader reader;
    struct err err = {0};
    cells_init(&cells, SIZE_MAX);
    csv_reader_init(&reader, &cells, ',');
    assert_int_equal(csv_reader_feed(&reader, "a,b\n1\n", 6, &err), -1);
    err_clear(&err);
    assert_int_equal(csv_reader_feed(&reader, "1,2\n", 4, &err), -1);
    err_clear(&err);
    assert_int_equal(csv_reader_finish(&reader, &err), -1);
    assert_int_equal(cells.n_rows, 0);
    csv_reader_clear(&reader);
    cells_clear(&cells);
}

static void thousands_of_columns_are_found_by_name(void **state)
{
    (void)state;
    struct cells cells;
    struct err err = {0};
    char name[16];
    cells_init(&cells, SIZE_MAX);
    for (size_t i = 0; i < CELLS_COLUMNS_MAX; i++) {
        int len = snprintf(name, sizeof name, "p%zu", i);
        assert_int_equal(cells_add_column(&cells, name, (size_t)len, &err), 0);
    }
    assert_int_equal(cells_find(&cells, "p19999"), 19999);
    assert_int_equal(cells_find(&cells, "p7"), 7);
    assert_true(cells_find(&cells, "p20000") == SIZE_MAX);
    assert_int_equal(cells_add_column(&cells, "one more", 8, &err), -1);
    assert_string_equal(err.slug, "too_many_columns");
    cells_clear(&cells);
}

static void missing_tokens_are_known(void **state)
{
    (void)state;
    static const char *const missing[] = {"",    " ",    "NA",   "na",   "N/A", "n/a",
                                          "NaN", "null", "None", "NULL", "?",   " NA "};
    static const char *const present[] = {"0",     "N A", "nay", "-",
                                          "Nones", "??",  "N/",  "."};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        assert_true(cells_is_missing(missing[i], strlen(missing[i])));
    for (size_t i = 0; i < sizeof present / sizeof *present; i++)
        assert_false(cells_is_missing(present[i], strlen(present[i])));
}

static void pointers_and_quotes_are_escaped_and_shortened(void **state)
{
    (void)state;
    char pointer[CELLS_POINTER_SIZE];
    char quoted[CELLS_QUOTE_SIZE];
    char longest[300];
    memset(longest, '/', sizeof longest);
    longest[299] = '\0';
    assert_string_equal(cells_pointer(pointer, "/rows", 2, "a/b~c"), "/rows/2/a~1b~0c");
    assert_string_equal(cells_pointer(pointer, "", SIZE_MAX, "x"), "/x");
    assert_true(strlen(cells_pointer(pointer, "/rows", 2, longest)) < CELLS_POINTER_SIZE);
    assert_string_equal(cells_quote(quoted, "ab", 2), "'ab'");
    memset(longest, 0xC3, 1);
    for (size_t i = 0; i < 298; i += 2)
        memcpy(longest + i, "\xC3\xA9", 2);
    assert_int_equal(strlen(cells_quote(quoted, longest, 298)), 56 + 2 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_do_not_change_real_tables),
        cmocka_unit_test(cuts_do_not_change_nasty_texts),
        cmocka_unit_test(cuts_do_not_change_random_texts),
        cmocka_unit_test(dialect_is_rfc_4180),
        cmocka_unit_test(blank_line_of_one_column_is_a_missing_cell),
        cmocka_unit_test(faults_are_named_with_their_place),
        cmocka_unit_test(overlong_cell_is_too_large_however_it_is_cut),
        cmocka_unit_test(longest_cell_is_read),
        cmocka_unit_test(text_over_the_ceiling_is_too_large),
        cmocka_unit_test(nothing_is_read_behind_an_error),
        cmocka_unit_test(thousands_of_columns_are_found_by_name),
        cmocka_unit_test(missing_tokens_are_known),
        cmocka_unit_test(pointers_and_quotes_are_escaped_and_shortened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
