#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "table/json_rows.h"

static const char *const names[] = {"age", "sex"};

/* The cells as "name,name|cell,cell|…", so that a test is one line. */
static char *print_cells(const struct cells *cells)
{
    struct buf out;
    size_t len;
    buf_init(&out, SIZE_MAX);
    for (size_t i = 0; i < cells->n_columns; i++)
        buf_printf(&out, "%s%s", i ? "," : "", cells->names[i]);
    for (size_t row = 0; row < cells->n_rows; row++)
        for (size_t i = 0; i < cells->n_columns; i++) {
            const char *text = cells_get(cells, row, i, &len);
            buf_printf(&out, "%s%.*s", i ? "," : "|", (int)len, text);
        }
    return buf_take(&out, &len);
}

/* A copy of its own size, so that the sanitizer sees a look past the end. */
static int read_copy(const char *text, size_t len, struct cells *cells, struct err *err)
{
    char *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    int status = json_rows_read(copy, len, names, 2, cells, err);
    free(copy);
    return status;
}

static void assert_reads(const char *text, const char *expected)
{
    struct cells cells;
    struct err err = {0};
    cells_init(&cells, SIZE_MAX);
    if (read_copy(text, strlen(text), &cells, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    char *printed = print_cells(&cells);
    assert_string_equal(printed, expected);
    free(printed);
    cells_clear(&cells);
}

static void every_form_is_read(void **state)
{
    (void)state;
    assert_reads("{\"rows\": [{\"a\": 1, \"b\": \"x\"}, {\"a\": 2.5e3, \"b\": \"y\"}]}",
                 "a,b|1,x|2.5e3,y");
    assert_reads("{\"columns\": [\"a\", \"b\"], \"data\": [[1, 2], [3, 4]]}",
                 "a,b|1,2|3,4");
    assert_reads("{\"data\": [[1, 2], [3, 4]], \"columns\": [\"a\", \"b\"]}",
                 "a,b|1,2|3,4");
    assert_reads("{\"instances\": [[1, \"m\"], [2, \"f\"]]}", "age,sex|1,m|2,f");
    assert_reads("{\"instances\": [{\"sex\": \"m\", \"age\": 3}]}", "sex,age|m,3");
}

static void records_are_matched_by_name_in_any_order(void **state)
{
    (void)state;
    assert_reads("{\"rows\": [{\"a\":1,\"b\":2,\"c\":3},{\"c\":6,\"a\":4,\"b\":5},"
                 "{\"b\":8,\"c\":9,\"a\":7}]}",
                 "a,b,c|1,2,3|4,5,6|7,8,9");
    assert_reads("{\"rows\": [{\"\\u0061\":1,\"b\":2},{\"b\":4,\"\\u0061\":3}]}",
                 "a,b|1,2|3,4");
}

static void plain_values_become_text(void **state)
{
    (void)state;
    assert_reads(
        "{\"instances\": [[true, false], [null, \"\"], [-0.5E-3, \"a\\n\\u00e9\"]]}",
        "age,sex|true,false|,|-0.5E-3,a\n\xC3\xA9");
}

struct fault {
    const char *text;
    enum err_code code;
    const char *slug;
    const char *pointer;
    const char *message;
};

static const struct fault faults[] = {
    {"", ERR_MALFORMED, "invalid_json", "", "line 1"},
    {"{\"rows\": [{\"a\": 1}]} x", ERR_MALFORMED, "invalid_json", "", "behind"},
    {"{\"rows\": [{\"a\": 1}]", ERR_MALFORMED, "invalid_json", "", ""},
    {"{\"rows\": [{\"a\": 01}]}", ERR_MALFORMED, "invalid_json", "", "column"},
    {"[[1, 2]]", ERR_INVALID, "not_an_object", "", ""},
    {"{}", ERR_INVALID, "no_rows", "", "rows, instances"},
    {"{\"rows\": []}", ERR_INVALID, "no_rows", "/rows", ""},
    {"{\"instances\": []}", ERR_INVALID, "no_rows", "/instances", ""},
    {"{\"row\": []}", ERR_INVALID, "unknown_field", "/row",
     "'row'; did you mean 'rows'?"},
    {"{\"x/y\": []}", ERR_INVALID, "unknown_field", "/x~1y", "'x/y'"},
    {"{\"rows\": 1}", ERR_INVALID, "not_an_array", "/rows", ""},
    {"{\"rows\": [[1]]}", ERR_INVALID, "not_a_row", "/rows/0", "row 1"},
    {"{\"rows\": [{\"a\":1}, 2]}", ERR_INVALID, "not_a_row", "/rows/1", "row 2"},
    {"{\"rows\": [{}]}", ERR_INVALID, "not_a_row", "/rows/0", "no columns"},
    {"{\"rows\": [{\"a\":1,\"age\":2},{\"a\":1}]}", ERR_INVALID, "missing_column",
     "/rows/1/age", "row 2, column 'age'"},
    {"{\"rows\": [{\"a\":1},{\"a\":1,\"b\":2}]}", ERR_INVALID, "unknown_column",
     "/rows/1/b", "row 2 has the column 'b'"},
    {"{\"rows\": [{\"a\":1},{\"a\":1,\"a\":2}]}", ERR_INVALID, "duplicate_column",
     "/rows/1/a", "twice"},
    {"{\"rows\": [{\"a\":1,\"a\":2}]}", ERR_INVALID, "duplicate_column", "/rows/0/a", ""},
    {"{\"rows\": [{\"\":1}]}", ERR_INVALID, "empty_name", "/rows/0/", ""},
    {"{\"rows\": [{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":[1]}]}", ERR_INVALID,
     "not_a_value", "/rows/3/a", "row 4, column 'a'"},
    {"{\"rows\": [{\"a\":{}}]}", ERR_INVALID, "not_a_value", "/rows/0/a", ""},
    {"{\"instances\": [[1,2],[3,4],[5,[6]]]}", ERR_INVALID, "not_a_value",
     "/instances/2/1", "row 3, column 'sex'"},
    {"{\"instances\": [[1,2],[3]]}", ERR_INVALID, "ragged_row", "/instances/1",
     "row 2: expected 2 values, found 1"},
    {"{\"instances\": [[1,2,[3],4]]}", ERR_INVALID, "ragged_row", "/instances/0",
     "expected 2 values, found 4"},
    {"{\"instances\": [[1,2],{\"age\":1}]}", ERR_INVALID, "not_a_row", "/instances/1",
     "some"},
    {"{\"instances\": [7]}", ERR_INVALID, "not_a_row", "/instances/0", ""},
    {"{\"columns\": [\"a\"]}", ERR_INVALID, "missing_field", "/data", ""},
    {"{\"data\": [[1]]}", ERR_INVALID, "missing_field", "/columns", ""},
    {"{\"columns\": [\"a\", 2], \"data\": []}", ERR_INVALID, "not_a_name", "/columns/1",
     ""},
    {"{\"columns\": [\"a\", \"a\"], \"data\": []}", ERR_INVALID, "duplicate_name",
     "/columns/1", "'a'"},
    {"{\"columns\": [], \"data\": []}", ERR_INVALID, "no_columns", "/columns", ""},
    {"{\"columns\": [\"a\"], \"data\": [[1, 2]]}", ERR_INVALID, "ragged_row", "/data/0",
     ""},
    {"{\"columns\": [\"a\"], \"data\": [{\"a\": 2}]}", ERR_INVALID, "not_a_row",
     "/data/0", "must be an array"},
    {"{\"rows\": [{\"a\":1}], \"rows\": []}", ERR_INVALID, "several_forms", "/rows", ""},
    {"{\"rows\": [{\"a\":1}], \"data\": []}", ERR_INVALID, "several_forms", "/data", ""},
    {"{\"columns\": [\"a\"], \"instances\": []}", ERR_INVALID, "several_forms",
     "/instances", ""},
    {"{\"instances\": [[\"\\ud800\", 1]]}", ERR_MALFORMED, "invalid_json", "",
     "surrogate"},
};

static void faults_point_at_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const struct fault *fault = &faults[i];
        struct cells cells;
        struct err err = {0};
        cells_init(&cells, SIZE_MAX);
        if (read_copy(fault->text, strlen(fault->text), &cells, &err) == 0)
            fail_msg("%s was accepted", fault->text);
        if (err.code != fault->code || strcmp(err.slug, fault->slug) != 0 ||
            strcmp(err.pointer, fault->pointer) != 0 ||
            !strstr(err.message, fault->message))
            fail_msg("%s: %d %s at %s: %s", fault->text, err.code, err.slug, err.pointer,
                     err.message);
        cells_clear(&cells);
    }
}

static void cut_off_bodies_are_malformed(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"rows\": [{\"a\": 1, \"b\": \"x\\u00e9\"}, {\"b\": \"y\", \"a\": true}]}",
        "{\"data\": [[1, 2], [3, 4]], \"columns\": [\"a\", \"b\"]}",
        "{\"instances\": [[1, null], [2, \"f\"]]}"};
    for (size_t i = 0; i < 3; i++)
        for (size_t len = 0; len < strlen(bodies[i]); len++) {
            struct cells cells;
            struct err err = {0};
            cells_init(&cells, SIZE_MAX);
            assert_int_equal(read_copy(bodies[i], len, &cells, &err), -1);
            assert_int_equal(err.code, ERR_MALFORMED);
            cells_clear(&cells);
        }
}

static void overlong_cell_is_pointed_at(void **state)
{
    (void)state;
    static const char head[] = "{\"rows\":[{\"a\":\"";
    size_t len = sizeof head - 1 + CELLS_CELL_MAX + 1;
    char *text = malloc(len + 8);
    memcpy(text, head, sizeof head - 1);
    memset(text + sizeof head - 1, 'x', CELLS_CELL_MAX + 1);
    memcpy(text + len, "\"}]}", 4);
    struct cells cells;
    struct err err = {0};
    cells_init(&cells, SIZE_MAX);
    assert_int_equal(read_copy(text, len + 4, &cells, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_string_equal(err.pointer, "/rows/0/a");
    cells_clear(&cells);
    free(text);
}

static void assert_reads_xy(const char *text, const char *expected)
{
    struct cells cells;
    struct err err = {0};
    cells_init(&cells, SIZE_MAX);
    if (json_rows_read_xy(text, strlen(text), "/data", &cells, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    char *printed = print_cells(&cells);
    assert_string_equal(printed, expected);
    free(printed);
    cells_clear(&cells);
}

static void x_and_y_become_columns(void **state)
{
    (void)state;
    assert_reads_xy("{\"X\": [[1, 2], [3, 4]], \"y\": [0, 1]}", "x0,x1,y|1,2,0|3,4,1");
    assert_reads_xy("{\"y\": [\"a\", null], \"X\": [[1], [null]]}", "x0,y|1,a|,");
}

static const struct fault xy_faults[] = {
    {"{\"X\": [[1]]}", ERR_INVALID, "missing_field", "/data/y", "y is needed"},
    {"{\"y\": [1]}", ERR_INVALID, "missing_field", "/data/X", ""},
    {"{\"X\": [[1]], \"y\": [1], \"z\": 2}", ERR_INVALID, "unknown_field", "/data/z", ""},
    {"{\"X\": [[1]], \"y\": [1], \"X\": []}", ERR_INVALID, "duplicate_field", "/data/X",
     ""},
    {"{\"X\": 3, \"y\": [1]}", ERR_INVALID, "not_an_array", "/data/X", ""},
    {"{\"X\": [[1]], \"y\": 1}", ERR_INVALID, "not_an_array", "/data/y", ""},
    {"{\"X\": [[1],[2],[3]], \"y\": [1]}", ERR_INVALID, "length_mismatch", "/data/y",
     "X has 3 rows, y has 1"},
    {"{\"X\": [[1]], \"y\": [1,[2],3]}", ERR_INVALID, "length_mismatch", "/data/y",
     "X has 1 rows, y has 3"},
    {"{\"X\": [[1,2],[3]], \"y\": [1,2]}", ERR_INVALID, "ragged_row", "/data/X/1",
     "row 2: expected 2 values, found 1"},
    {"{\"X\": [[1,2],[3,{}]], \"y\": [1,2]}", ERR_INVALID, "not_a_value", "/data/X/1/1",
     ""},
    {"{\"X\": [1,2], \"y\": [1,2]}", ERR_INVALID, "not_a_row", "/data/X/0", ""},
    {"{\"X\": [[]], \"y\": [1]}", ERR_INVALID, "not_a_row", "/data/X/0", "no values"},
    {"{\"X\": [[1],[2]], \"y\": [1,[2]]}", ERR_INVALID, "not_a_value", "/data/y/1", ""},
    {"{\"X\": [], \"y\": []}", ERR_INVALID, "no_rows", "/data/X", ""},
    {"[]", ERR_INVALID, "not_an_object", "/data", ""},
    {"{\"X\": [[1]], \"y\": [1]", ERR_MALFORMED, "invalid_json", "", ""},
};

static void faults_of_x_and_y_point_at_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof xy_faults / sizeof *xy_faults; i++) {
        const struct fault *fault = &xy_faults[i];
        struct cells cells;
        struct err err = {0};
        cells_init(&cells, SIZE_MAX);
        int status =
            json_rows_read_xy(fault->text, strlen(fault->text), "/data", &cells, &err);
        if (status == 0 || err.code != fault->code ||
            strcmp(err.slug, fault->slug) != 0 ||
            strcmp(err.pointer, fault->pointer) != 0 ||
            !strstr(err.message, fault->message))
            fail_msg("%s: %d %s at %s: %s", fault->text, err.code, err.slug, err.pointer,
                     err.message);
        cells_clear(&cells);
    }
}

static void thousand_columns_in_reverse_are_matched(void **state)
{
    (void)state;
    struct buf text;
    struct cells cells;
    struct err err = {0};
    buf_init(&text, SIZE_MAX);
    buf_text(&text, "{\"rows\":[{");
    for (int i = 0; i < 1000; i++)
        buf_printf(&text, "%s\"c%d\":%d", i ? "," : "", i, i);
    buf_text(&text, "},{");
    for (int i = 999; i >= 0; i--)
        buf_printf(&text, "\"c%d\":%d%s", i, i, i ? "," : "");
    buf_text(&text, "}]}");
    cells_init(&cells, SIZE_MAX);
    assert_int_equal(json_rows_read(text.bytes, text.len, NULL, 0, &cells, &err), 0);
    for (size_t i = 0; i < 1000; i++) {
        size_t a;
        size_t b;
        const char *first = cells_get(&cells, 0, i, &a);
        const char *second = cells_get(&cells, 1, i, &b);
        assert_int_equal(a, b);
        assert_memory_equal(first, second, a);
    }
    buf_clear(&text);
    cells_clear(&cells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(records_are_matched_by_name_in_any_order),
        cmocka_unit_test(plain_values_become_text),
        cmocka_unit_test(faults_point_at_their_place),
        cmocka_unit_test(cut_off_bodies_are_malformed),
        cmocka_unit_test(overlong_cell_is_pointed_at),
        cmocka_unit_test(x_and_y_become_columns),
        cmocka_unit_test(faults_of_x_and_y_point_at_their_place),
        cmocka_unit_test(thousand_columns_in_reverse_are_matched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
