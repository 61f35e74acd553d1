#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "table/csv.h"
#include "table/encoder_match.h"

#define ROWS_MAX 16

static const size_t all_rows[ROWS_MAX] = {0, 1, 2,  3,  4,  5,  6,  7,
                                          8, 9, 10, 11, 12, 13, 14, 15};

/* What the encoders here were fitted on. */
static const char flats[] = "size,floor,town,id,kind\n"
                            "10,1,Bern,1,flat\n"
                            "20,2,Rome,1,loft\n"
                            "40,3,,1,flat\n"
                            "80,4,Oslo,1,room\n";

static void infer(const char *text, struct table *table)
{
    struct cells cells;
    struct err err = {0};
    cells_init(&cells, SIZE_MAX);
    if (csv_read(text, strlen(text), ',', &cells, &err) < 0 ||
        table_infer(&cells, table, NULL, &err) < 0)
        fail_msg("%s", err.message);
    cells_clear(&cells);
}

static void fit(struct encoder *encoder, const char *text, const char *target, int task)
{
    struct table table;
    struct err err = {0};
    struct encoder_options options = {
        .target = target, .task = task, .standardize = true, .range = ENCODER_STANDARD};
    infer(text, &table);
    if (encoder_fit(encoder, &table, &options, all_rows, table.n_rows, NULL, &err) < 0)
        fail_msg("%s", err.message);
    table_clear(&table);
}

/* Reads the rows of a text as the encoder's: x [n x n_features], t [n]. */
static void encode(const struct encoder *encoder, const char *text, float *x, float *t,
                   struct warnings *warnings)
{
    struct table table;
    struct err err = {0};
    infer(text, &table);
    if (encoder_match_apply(encoder, &table, warnings, &err) < 0)
        fail_msg("%s", err.message);
    encoder_transform(encoder, &table, all_rows, table.n_rows, x);
    encoder_transform_target(encoder, &table, all_rows, table.n_rows, t);
    table_clear(&table);
}

/* --- what fits ----------------------------------------------------------------------- */

static void own_table_is_encoded_as_ever(void **state)
{
    struct encoder encoder;
    struct table table;
    float x[2][ROWS_MAX * 8];
    float t[2][ROWS_MAX];
    (void)state;
    fit(&encoder, flats, "kind", -1);
    assert_true(encoder.n_features <= 8);
    infer(flats, &table);
    encoder_transform(&encoder, &table, all_rows, 4, x[0]);
    encoder_transform_target(&encoder, &table, all_rows, 4, t[0]);
    table_clear(&table);
    encode(&encoder, flats, x[1], t[1], NULL);
    assert_memory_equal(x[0], x[1], 4 * encoder.n_features * sizeof(float));
    assert_memory_equal(t[0], t[1], 4 * sizeof(float));
    encoder_clear(&encoder);
}

static void columns_in_another_order_and_more_of_them_fit(void **state)
{
    struct encoder encoder;
    float x[2][ROWS_MAX * 8];
    float t[2][ROWS_MAX];
    (void)state;
    fit(&encoder, flats, "kind", -1);
    encode(&encoder, flats, x[0], t[0], NULL);
    /* id is constant and unused: it need not be there. */
    encode(&encoder, "kind,more,town,floor,size\nflat,x,Bern,1,10\nloft,y,Rome,2,20\n",
           x[1], t[1], NULL);
    assert_memory_equal(x[0], x[1], 2 * encoder.n_features * sizeof(float));
    assert_memory_equal(t[0], t[1], 2 * sizeof(float));
    encoder_clear(&encoder);
}

static void classes_are_the_encoders_whatever_the_table_has(void **state)
{
    struct encoder encoder;
    float x[ROWS_MAX * 8];
    float t[ROWS_MAX];
    (void)state;
    fit(&encoder, flats, "kind", -1);
    /* One class only; by the table's own count it would be class 0. */
    encode(&encoder, "size,floor,town,kind\n1,1,Bern,room\n2,1,Oslo,room\n", x, t, NULL);
    assert_true(t[0] == 2 && t[1] == 2);
    encode(&encoder, "size,floor,town,kind\n1,1,Bern,room\n2,1,Oslo,loft\n", x, t, NULL);
    assert_true(t[0] == 2 && t[1] == 1);
    encoder_clear(&encoder);
}

static void numeric_classes_are_found_by_value(void **state)
{
    static const char digits[] = "a,digit\n1,0\n2,3\n3,7\n4,7\n";
    struct encoder encoder;
    float x[ROWS_MAX * 2];
    float t[ROWS_MAX];
    (void)state;
    fit(&encoder, digits, "digit", ENCODER_MULTICLASS);
    encode(&encoder, "a,digit\n1,7\n2,3.0\n", x, t, NULL);
    assert_true(t[0] == 2 && t[1] == 1);
    encoder_clear(&encoder);
}

static void texts_that_happen_to_be_numbers_are_texts(void **state)
{
    static const char codes[] = "code,grade\nA1,1\n12,x\n13,1\nA1,x\n";
    struct encoder encoder;
    float x[ROWS_MAX * 4];
    float t[ROWS_MAX];
    struct warnings warnings = {0};
    (void)state;
    fit(&encoder, codes, "grade", -1);
    /* Levels 12, 13, A1; classes 1, x. Both columns are whole numbers here. */
    encode(&encoder, "code,grade\n13,1\n12,1\n,1\n99,1\n", x, t, &warnings);
    static const float expected[4][3] = {{0, 1, 0}, {1, 0, 0}, {0, 0, 0}, {0, 0, 0}};
    assert_int_equal(encoder.n_features, 3);
    assert_memory_equal(x, expected, sizeof expected);
    for (size_t i = 0; i < 4; i++)
        assert_true(t[i] == 0);
    warnings_clear(&warnings);
    encoder_clear(&encoder);
}

static void column_without_values_is_all_missing(void **state)
{
    struct encoder encoder;
    float x[ROWS_MAX * 8];
    float t[ROWS_MAX];
    (void)state;
    fit(&encoder, flats, "kind", -1);
    encode(&encoder, "size,floor,town,kind\n,1,,flat\n,1,,loft\n", x, t, NULL);
    const struct encoder_column *town = &encoder.columns[2];
    assert_string_equal(town->name, "town");
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < town->width; k++)
            assert_true(x[i * encoder.n_features + town->first + k] ==
                        (k == town->n_levels));
    encoder_clear(&encoder);
}

static void unseen_texts_are_warned_of(void **state)
{
    struct encoder encoder;
    float x[ROWS_MAX * 8];
    float t[ROWS_MAX];
    struct warnings warnings = {0};
    (void)state;
    fit(&encoder, flats, "kind", -1);
    encode(&encoder, "size,floor,town,kind\n1,1,Kyiv,flat\n2,1,Rome,loft\n", x, t,
           &warnings);
    assert_int_equal(warnings.n, 1);
    assert_string_equal(warnings.items[0].code, "unseen_category");
    assert_string_equal(warnings.items[0].column, "town");
    assert_non_null(strstr(warnings.items[0].detail, "Kyiv"));
    warnings_clear(&warnings);
    encoder_clear(&encoder);
}

static void regression_target_is_scaled_as_it_was(void **state)
{
    struct encoder encoder;
    float x[ROWS_MAX * 8];
    float t[ROWS_MAX];
    (void)state;
    fit(&encoder, flats, "size", ENCODER_REGRESSION);
    encode(&encoder, "floor,town,kind,size\n1,Bern,flat,37.5\n1,Bern,flat,1000\n", x, t,
           NULL);
    assert_float_equal(t[0], 0, 1e-6); /* the mean of 10, 20, 40, 80 */
    assert_true(t[1] > 10);
    encoder_clear(&encoder);
}

/* --- what does not ------------------------------------------------------------------- */

static void table_that_does_not_fit_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *fitted;
        const char *target;
        int task;
        const char *text;
        const char *slug;
        const char *pointer;
        const char *names; /* in the message */
    } cases[] = {
        {flats, "kind", -1, "size,town,kind\n1,Bern,flat\n", "missing_column", "/dataset",
         "'floor'"},
        {flats, "kind", -1, "size,floor,town,kind\n1,low,Bern,flat\n1,2,Bern,flat\n",
         "text_column", "/dataset", "'low'"},
        {flats, "kind", -1, "size,floor,town\n1,1,Bern\n", "unknown_target", "/target",
         "'kind'"},
        {flats, "kind", -1, "size,floor,town,kind\n1,1,Bern,tent\n1,1,Bern,flat\n",
         "unknown_class", "/target", "'tent', and the model knows only flat, loft, room"},
        {flats, "kind", -1, "size,floor,town,kind\n1,1,Bern,5\n1,1,Bern,6\n",
         "unknown_class", "/target", "'5'"},
        {flats, "kind", -1, "size,floor,town,kind\n1,1,Bern,\n", "missing_target",
         "/target", "'kind'"},
        {flats, "size", ENCODER_REGRESSION,
         "floor,town,kind,size\n1,Bern,flat,big\n1,Bern,flat,2\n", "text_target",
         "/target", "'size'"},
        {"a,digit\n1,0\n2,3\n3,7\n", "digit", ENCODER_MULTICLASS, "a,digit\n1,4\n2,3\n",
         "unknown_class", "/target", "'4', and the model knows only 0, 3, 7"},
        {"a,digit\n1,0\n2,3\n3,7\n", "digit", ENCODER_MULTICLASS, "a,digit\n1,x\n2,3\n",
         "unknown_class", "/target", "'x'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct encoder encoder;
        struct table table;
        struct err err = {0};
        fit(&encoder, cases[i].fitted, cases[i].target, cases[i].task);
        infer(cases[i].text, &table);
        if (encoder_match_check(&encoder, &table, &err) == 0)
            fail_msg("case %zu is accepted", i);
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.slug, cases[i].slug);
        assert_string_equal(err.pointer, cases[i].pointer);
        if (!strstr(err.message, cases[i].names))
            fail_msg("case %zu: %s", i, err.message);
        err_clear(&err);
        assert_int_equal(encoder_match_apply(&encoder, &table, NULL, &err), -1);
        table_clear(&table);
        encoder_clear(&encoder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_table_is_encoded_as_ever),
        cmocka_unit_test(columns_in_another_order_and_more_of_them_fit),
        cmocka_unit_test(classes_are_the_encoders_whatever_the_table_has),
        cmocka_unit_test(numeric_classes_are_found_by_value),
        cmocka_unit_test(texts_that_happen_to_be_numbers_are_texts),
        cmocka_unit_test(column_without_values_is_all_missing),
        cmocka_unit_test(unseen_texts_are_warned_of),
        cmocka_unit_test(regression_target_is_scaled_as_it_was),
        cmocka_unit_test(table_that_does_not_fit_is_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
