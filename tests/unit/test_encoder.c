#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table/csv.h"
#include "table/encoder_codec.h"

#define ROWS_MAX 512

static size_t all_rows[ROWS_MAX];
static struct table penguins;
static struct table diabetes;

static void infer(const char *text, size_t len, struct table *table)
{
    struct cells cells;
    struct err err = {0};
    cells_init(&cells, SIZE_MAX);
    if (csv_read(text, len, ',', &cells, &err) < 0 ||
        table_infer(&cells, table, NULL, &err) < 0)
        fail_msg("%s", err.message);
    cells_clear(&cells);
}

static void infer_file(const char *path, struct table *table)
{
    char bytes[65536];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    infer(bytes, len, table);
}

static int load(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_MAX; i++)
        all_rows[i] = i;
    infer_file("tests/data/penguins.csv", &penguins);
    infer_file("tests/data/diabetes.csv", &diabetes);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    table_clear(&penguins);
    table_clear(&diabetes);
    return 0;
}

static struct encoder_options options_for(const char *target)
{
    return (struct encoder_options){
        .target = target, .task = -1, .standardize = true, .range = ENCODER_STANDARD};
}

static void fit_with(struct encoder *encoder, const struct table *table,
                     const struct encoder_options *options, struct warnings *warnings)
{
    struct err err = {0};
    if (encoder_fit(encoder, table, options, all_rows, table->n_rows, warnings, &err) < 0)
        fail_msg("%s", err.message);
}

static void fit(struct encoder *encoder, const struct table *table, const char *target,
                struct warnings *warnings)
{
    struct encoder_options options = options_for(target);
    fit_with(encoder, table, &options, warnings);
}

static void fit_text(struct encoder *encoder, const char *text, const char *target,
                     struct warnings *warnings)
{
    struct table table;
    infer(text, strlen(text), &table);
    fit(encoder, &table, target, warnings);
    table_clear(&table);
}

static bool has_warning(const struct warnings *warnings, const char *code,
                        const char *column)
{
    for (size_t i = 0; i < warnings->n; i++)
        if (strcmp(warnings->items[i].code, code) == 0 &&
            strcmp(warnings->items[i].column, column) == 0)
            return true;
    return false;
}

static void assert_near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-6 * (1 + fabs(b))))
        fail_msg("%.9g is not %.9g", a, b);
}

/* Applies to CSV text; x is owned. */
static int apply(const struct encoder *encoder, const char *text, float **x,
                 struct warnings *warnings, struct err *err)
{
    struct cells cells;
    cells_init(&cells, SIZE_MAX);
    assert_int_equal(csv_read(text, strlen(text), ',', &cells, err), 0);
    *x = malloc(cells.n_rows * encoder->n_features * sizeof **x);
    int status = encoder_apply(encoder, &cells, *x, warnings, err);
    cells_clear(&cells);
    return status;
}

static void penguins_are_encoded_as_computed_by_hand(void **state)
{
    (void)state;
    /* mean, population std and median of each column: Python's statistics module */
    static const struct {
        const char *name;
        enum table_kind kind;
        size_t first, width;
        double shift, scale, median;
    } expected[] = {
        {"island", TABLE_CATEGORICAL, 0, 3, 0, 1, 0},
        {"bill_length_mm", TABLE_NUMERIC, 3, 2, 43.9219298245614, 5.4515960231618195,
         44.45},
        {"bill_depth_mm", TABLE_NUMERIC, 5, 2, 17.151169590643274, 1.9719039187562526,
         17.3},
        {"flipper_length_mm", TABLE_INTEGER, 7, 2, 200.91520467836258, 14.041140568589102,
         197},
        {"body_mass_g", TABLE_INTEGER, 9, 2, 4201.754385964912, 800.781229238452, 4050},
        {"sex", TABLE_CATEGORICAL, 11, 3, 0, 1, 0},
        {"year", TABLE_INTEGER, 14, 1, 2008.0290697674418, 0.8171655889620334, 2008},
    };
    struct encoder encoder;
    float x[5 * 15];
    float t[344];
    fit(&encoder, &penguins, "species", NULL);
    assert_int_equal(encoder.n_columns, 7);
    assert_int_equal(encoder.n_features, 15);
    for (size_t i = 0; i < 7; i++) {
        const struct encoder_column *column = &encoder.columns[i];
        assert_string_equal(column->name, expected[i].name);
        assert_int_equal(column->kind, expected[i].kind);
        assert_int_equal(column->first, expected[i].first);
        assert_int_equal(column->width, expected[i].width);
        assert_near(column->shift, expected[i].shift);
        assert_near(column->scale, expected[i].scale);
        assert_near(column->median, expected[i].median);
    }
    encoder_transform(&encoder, &penguins, all_rows, 5, x);
    /* row 1: Torgersen, 39.1, 18.7, 181, 3750, male, 2007; row 4 lacks all but the year */
    static const double rows[2][15] = {
        {0, 0, 1, (39.1 - 43.9219298245614) / 5.4515960231618195, 0,
         (18.7 - 17.151169590643274) / 1.9719039187562526, 0,
         (181 - 200.91520467836258) / 14.041140568589102, 0,
         (3750 - 4201.754385964912) / 800.781229238452, 0, 0, 1, 0,
         (2007 - 2008.0290697674418) / 0.8171655889620334},
        {0, 0, 1, (44.45 - 43.9219298245614) / 5.4515960231618195, 1,
         (17.3 - 17.151169590643274) / 1.9719039187562526, 1,
         (197 - 200.91520467836258) / 14.041140568589102, 1,
         (4050 - 4201.754385964912) / 800.781229238452, 1, 0, 0, 1,
         (2007 - 2008.0290697674418) / 0.8171655889620334}};
    for (size_t k = 0; k < 15; k++) {
        assert_near((double)x[k], rows[0][k]);
        assert_near((double)x[3 * 15 + k], rows[1][k]);
    }
    assert_int_equal(encoder.target.task, ENCODER_MULTICLASS);
    assert_int_equal(encoder.target.n_classes, 3);
    assert_string_equal(encoder.target.classes[2], "Gentoo");
    assert_false(encoder.target.is_numeric);
    encoder_transform_target(&encoder, &penguins, all_rows, 344, t);
    size_t counts[3] = {0};
    for (size_t i = 0; i < 344; i++)
        counts[(size_t)t[i]]++;
    assert_int_equal(counts[0], 152);
    assert_int_equal(counts[1], 68);
    assert_int_equal(counts[2], 124);
    encoder_clear(&encoder);
}

static void training_rows_alone_are_learnt_from(void **state)
{
    (void)state;
    struct encoder encoder;
    struct table table;
    struct err err = {0};
    static const char text[] = "n,c,y\n1,a,0\n3,b,1\n5,a,0\n1000,z,1\n,q,1\n";
    static const size_t rows[] = {2, 0, 1};
    float x[5 * 3];
    infer(text, strlen(text), &table);
    struct encoder_options options = options_for("y");
    assert_int_equal(encoder_fit(&encoder, &table, &options, rows, 3, NULL, &err), 0);
    assert_int_equal(encoder.n_features, 3);
    assert_near(encoder.columns[0].shift, 3);
    assert_near(encoder.columns[0].scale, sqrt(8.0 / 3));
    assert_near(encoder.columns[0].median, 3);
    assert_int_equal(encoder.columns[1].n_levels, 2);
    encoder_transform(&encoder, &table, all_rows, 5, x);
    assert_near((double)x[3 * 3], 997 / sqrt(8.0 / 3));
    assert_true(x[3 * 3 + 1] == 0 && x[3 * 3 + 2] == 0); /* z: all zeros */
    assert_true(x[4 * 3] == 0); /* missing: the median, which is the mean here */
    encoder_clear(&encoder);
    table_clear(&table);
}

static void median_of_an_even_count_is_halfway(void **state)
{
    (void)state;
    struct encoder encoder;
    fit_text(&encoder, "n,y\n9,0\n1,1\n4,0\n2,1\n,1\n", "y", NULL);
    assert_near(encoder.columns[0].median, 3);
    encoder_clear(&encoder);
}

static void columns_without_information_are_left_out(void **state)
{
    (void)state;
    struct encoder encoder;
    struct warnings warnings = {0};
    struct buf text;
    buf_init(&text, SIZE_MAX);
    buf_text(&text, "id,same,word,flag,mark,empty,x,y\n");
    for (int i = 0; i < 60; i++)
        buf_printf(&text, "id%d,7,w,%s,%s,,%d,%d\n", i % 40, i % 2 ? "1" : "",
                   i % 2 ? "m" : "", i, i % 2);
    fit_text(&encoder, text.bytes, "y", &warnings);
    static const bool is_used[] = {false, false, false, true, true, false, true};
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(encoder.columns[i].is_used, is_used[i]);
        assert_int_equal(encoder.columns[i].width > 0, is_used[i]);
    }
    assert_int_equal(encoder.n_features, 2 + 2 + 1);
    assert_true(has_warning(&warnings, "id_like", "id"));
    assert_true(has_warning(&warnings, "constant", "same"));
    assert_true(has_warning(&warnings, "constant", "word"));
    assert_true(has_warning(&warnings, "constant", "empty"));
    assert_int_equal(warnings.n, 4);
    warnings_clear(&warnings);
    encoder_clear(&encoder);
    buf_clear(&text);
}

static void features_can_be_chosen(void **state)
{
    (void)state;
    struct encoder encoder;
    bool is_feature[8] = {[0] = true, [1] = true, [7] = true};
    struct encoder_options options = options_for("species");
    options.is_feature = is_feature;
    options.standardize = false;
    float x[4];
    fit_with(&encoder, &penguins, &options, NULL);
    assert_int_equal(encoder.n_columns, 2); /* the target is no feature of itself */
    assert_int_equal(encoder.n_features, 4);
    encoder_transform(&encoder, &penguins, all_rows, 1, x);
    assert_true(x[3] == 2007.0F); /* standardize false: as it is */
    encoder_clear(&encoder);
}

static void requests_encode_as_training_rows_do(void **state)
{
    (void)state;
    struct encoder encoder;
    struct err err = {0};
    struct warnings warnings = {0};
    float trained[5 * 15];
    float *x;
    fit(&encoder, &penguins, "species", NULL);
    encoder_transform(&encoder, &penguins, all_rows, 5, trained);
    /* rows 1 and 4, columns in another order, an unknown one, spaces around a number */
    assert_int_equal(apply(&encoder,
                           "year,extra,sex,body_mass_g,bill_depth_mm,flipper_length_mm,"
                           "bill_length_mm,island,species\n"
                           "2007,1,male, 3750 ,18.7,181,39.1,Torgersen,Adelie\n"
                           "2007,1,NA,,null,?,nan,Torgersen,Adelie\n",
                           &x, &warnings, &err),
                     0);
    assert_memory_equal(x, trained, 15 * sizeof *x);
    assert_memory_equal(x + 15, trained + 3 * 15, 15 * sizeof *x);
    assert_int_equal(warnings.n, 2);
    assert_true(has_warning(&warnings, "extra_column", "extra"));
    assert_true(has_warning(&warnings, "extra_column", "species"));
    warnings_clear(&warnings);
    free(x);
    encoder_clear(&encoder);
}

static void unseen_levels_are_warned_of(void **state)
{
    (void)state;
    struct encoder encoder;
    struct err err = {0};
    struct warnings warnings = {0};
    float *x;
    fit_text(&encoder, "a,b,y\nu,p,0\nv,,1\nw,q,0\n", "y", NULL);
    assert_int_equal(encoder.n_features, 6);
    assert_int_equal(apply(&encoder, "a,b\nu,p\nnew,q\nv,other\n", &x, &warnings, &err),
                     0);
    static const float expected[] = {1, 0, 0, 1, 0, 0, 0, 0, 0,
                                     0, 1, 0, 0, 1, 0, 0, 0, 1};
    assert_memory_equal(x, expected, sizeof expected);
    assert_int_equal(warnings.n, 2);
    assert_string_equal(warnings.items[0].code, "unseen_category");
    assert_string_equal(warnings.items[0].column, "a");
    assert_int_equal(warnings.items[0].line, 2);
    assert_non_null(strstr(warnings.items[0].detail, "'new'"));
    assert_int_equal(warnings.items[1].line, 3);
    warnings_clear(&warnings);
    free(x);
    encoder_clear(&encoder);
}

static void missing_columns_are_all_named(void **state)
{
    (void)state;
    struct encoder encoder;
    struct err err = {0};
    float *x;
    fit(&encoder, &penguins, "species", NULL);
    assert_int_equal(apply(&encoder, "island,year,sex,bill_depth_mm\nDream,2007,male,1\n",
                           &x, NULL, &err),
                     -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.slug, "missing_column");
    assert_non_null(
        strstr(err.message, "'bill_length_mm', 'flipper_length_mm', 'body_mass_g'"));
    free(x);
    encoder_clear(&encoder);
}

static void columns_left_out_may_be_missing_or_there(void **state)
{
    (void)state;
    struct encoder encoder;
    struct err err = {0};
    struct warnings warnings = {0};
    float *x;
    fit_text(&encoder, "k,n,y\n7,1,0\n7,2,1\n", "y", NULL);
    assert_int_equal(apply(&encoder, "n\n1\n", &x, &warnings, &err), 0);
    free(x);
    assert_int_equal(apply(&encoder, "n,k\n1,words\n", &x, &warnings, &err), 0);
    free(x);
    assert_int_equal(warnings.n, 0);
    encoder_clear(&encoder);
}

static void words_for_numbers_are_refused_with_their_place(void **state)
{
    (void)state;
    static const char *const words[] = {"old", "1e39", "0x10", "inf", "\"1,5\"", "1e400"};
    struct encoder encoder;
    fit_text(&encoder, "age,y\n1,0\n2,1\n3,0\n", "y", NULL);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char text[64];
        float *x;
        struct err err = {0};
        snprintf(text, sizeof text, "age\n1\n2\n%s\n", words[i]);
        assert_int_equal(apply(&encoder, text, &x, NULL, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.slug, "not_a_number");
        assert_string_equal(err.pointer, "/rows/2/age");
        assert_non_null(strstr(err.message, "row 3, column 'age'"));
        free(x);
    }
    encoder_clear(&encoder);
}

static void far_outliers_stay_finite(void **state)
{
    (void)state;
    struct encoder encoder;
    struct err err = {0};
    float *x;
    fit_text(&encoder, "n,y\n0,0\n1e-30,1\n", "y", NULL);
    assert_int_equal(apply(&encoder, "n\n3e38\n-3e38\n", &x, NULL, &err), 0);
    assert_true(isfinite(x[0]) && x[0] > 0 && isfinite(x[1]) && x[1] < 0);
    free(x);
    encoder_clear(&encoder);
}

static void wide_requests_are_matched(void **state)
{
    (void)state;
    struct encoder encoder;
    struct err err = {0};
    struct buf text;
    float *x;
    buf_init(&text, SIZE_MAX);
    for (int row = -1; row < 3; row++) {
        for (int i = 0; i < 200; i++)
            buf_printf(&text, row < 0 ? "c%d," : "%d,", row < 0 ? i : i + row * row);
        buf_text(&text, row < 0 ? "y\n" : row ? "0\n" : "1\n");
    }
    fit_text(&encoder, text.bytes, "y", NULL);
    buf_reset(&text);
    for (int row = 0; row < 2; row++)
        for (int i = 199; i >= 0; i--)
            buf_printf(&text, row ? "%d%s" : "c%d%s", i, i ? "," : "\n");
    assert_int_equal(apply(&encoder, text.bytes, &x, NULL, &err), 0);
    for (size_t i = 0; i < 200; i++)
        assert_near((double)x[i], -(5.0 / 3) / sqrt(26.0 / 9));
    free(x);
    buf_clear(&text);
    encoder_clear(&encoder);
}

static void regression_target_is_scaled_for_each_range(void **state)
{
    (void)state;
    static const struct {
        enum encoder_range range;
        bool standardize;
        double shift, scale;
    } cases[] = {
        {ENCODER_STANDARD, true, 152.13348416289594, 77.00574586945044},
        {ENCODER_UNIT, true, 25, 321},
        {ENCODER_SYMMETRIC, true, 185.5, 160.5},
        {ENCODER_AS_IS, true, 0, 1},
        {ENCODER_STANDARD, false, 0, 1},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct encoder encoder;
        struct encoder_options options = options_for("progression");
        float t[442];
        options.range = cases[k].range;
        options.standardize = cases[k].standardize;
        fit_with(&encoder, &diabetes, &options, NULL);
        assert_int_equal(encoder.target.task, ENCODER_REGRESSION);
        assert_near(encoder.target.shift, cases[k].shift);
        assert_near(encoder.target.scale, cases[k].scale);
        encoder_transform_target(&encoder, &diabetes, all_rows, 442, t);
        assert_near((double)t[0], (151 - cases[k].shift) / cases[k].scale);
        assert_near(encoder_target_value(&encoder, t[0]), 151);
        assert_near(encoder_target_value(&encoder, t[1]), 75);
        encoder_clear(&encoder);
    }
}

struct task_case {
    const char *cells; /* lines of the target */
    int asked;
    int task; /* or -1 */
    const char *slug;
    const char *message;
};

static const struct task_case task_cases[] = {
    {"a\nb\na\n", -1, ENCODER_BINARY, "", ""},
    {"a\nb\nc\n", -1, ENCODER_MULTICLASS, "", ""},
    {"3\n7\n3\n", -1, ENCODER_BINARY, "", ""},
    {"1\n2\n3\n1\n2\n3\n1\n2\n3\n1\n2\n3\n1\n2\n3\n", -1, ENCODER_MULTICLASS, "", ""},
    {"1\n2\n3\n1\n2\n3\n1\n2\n3\n1\n2\n3\n1\n2\n", -1, ENCODER_REGRESSION, "", ""},
    {"0.5\n1.5\n0.5\n", -1, ENCODER_REGRESSION, "", ""},
    {"0.5\n1.5\n0.5\n", ENCODER_BINARY, ENCODER_BINARY, "", ""},
    {"a\nb\n", ENCODER_MULTICLASS, ENCODER_MULTICLASS, "", ""},
    {"1\n2\n", ENCODER_REGRESSION, ENCODER_REGRESSION, "", ""},
    {"a\nb\nc\n", ENCODER_BINARY, -1, "not_binary", "has 3"},
    {"1\n2\n3\n4\n", ENCODER_BINARY, -1, "not_binary", "has 4"},
    {"a\na\n", -1, -1, "one_class", "one value only"},
    {"a\nNA\n", ENCODER_BINARY, -1, "one_class", "one value only"},
    {"2\n2\n", ENCODER_REGRESSION, -1, "one_class", "one value only"},
    {"2.5\n2.5\n", -1, -1, "one_class", "one value only"},
    {"NA\nNA\n", -1, -1, "missing_target", "no value"},
    {"1\nold\n2\n", ENCODER_REGRESSION, -1, "text_target", "'old' in row 2"},
};

static void task_follows_the_target(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof task_cases / sizeof *task_cases; i++) {
        const struct task_case *at = &task_cases[i];
        struct table table;
        struct err err = {0};
        enum encoder_task task = ENCODER_TASK_COUNT;
        char text[128];
        int len = snprintf(text, sizeof text, "y\n%s", at->cells);
        infer(text, (size_t)len, &table);
        int status = encoder_task_of(&table, "y", at->asked, &task, &err);
        if (status != (at->task < 0 ? -1 : 0) || (status == 0 && (int)task != at->task) ||
            strcmp(err.slug, at->slug) != 0 || !strstr(err.message, at->message) ||
            (status < 0 && strcmp(err.pointer, "/target") != 0))
            fail_msg("%zu: %d, %d, %s: %s", i, status, (int)task, err.slug, err.message);
        table_clear(&table);
    }
}

static void unknown_target_suggests_the_nearest(void **state)
{
    (void)state;
    struct err err = {0};
    enum encoder_task task;
    assert_int_equal(encoder_task_of(&penguins, "specie", -1, &task, &err), -1);
    assert_string_equal(err.slug, "unknown_target");
    assert_string_equal(err.pointer, "/target");
    assert_non_null(strstr(err.message, "did you mean 'species'?"));
}

static void too_many_classes_are_refused(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, SIZE_MAX);
    buf_text(&text, "w,n\n");
    for (int i = 0; i < 1001; i++)
        buf_printf(&text, "w%d,%d\n", i, i);
    for (int k = 0; k < 2; k++) {
        struct table table;
        struct err err = {0};
        enum encoder_task task;
        infer(text.bytes, text.len, &table);
        assert_int_equal(
            encoder_task_of(&table, k ? "n" : "w", ENCODER_MULTICLASS, &task, &err), -1);
        assert_string_equal(err.slug, "too_many_classes");
        table_clear(&table);
    }
    buf_clear(&text);
}

static void number_classes_are_ordered_by_value(void **state)
{
    (void)state;
    struct encoder encoder;
    struct table table;
    struct encoder_options options = options_for("y");
    float t[6];
    static const char text[] = "x,y\n1,10\n2,9\n3,-2.5\n4,10\n5,9\n6,-0.0\n";
    options.task = ENCODER_MULTICLASS;
    infer(text, strlen(text), &table);
    fit_with(&encoder, &table, &options, NULL);
    assert_int_equal(encoder.target.n_classes, 4);
    assert_true(encoder.target.is_numeric);
    static const char *const labels[] = {"-2.5", "0", "9", "10"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(encoder.target.classes[i], labels[i]);
    encoder_transform_target(&encoder, &table, all_rows, 6, t);
    static const float expected[] = {3, 2, 0, 3, 2, 1};
    assert_memory_equal(t, expected, sizeof expected);
    encoder_clear(&encoder);
    table_clear(&table);
}

static void nothing_to_learn_from_is_an_error(void **state)
{
    (void)state;
    struct encoder encoder;
    struct table table;
    struct err err = {0};
    struct encoder_options options = options_for("y");
    static const char text[] = "x,y\n1,0\n1,1\n";
    infer(text, strlen(text), &table);
    assert_int_equal(encoder_fit(&encoder, &table, &options, all_rows, 2, NULL, &err),
                     -1);
    assert_string_equal(err.slug, "no_features");
    table_clear(&table);
}

static void too_many_features_are_an_error(void **state)
{
    (void)state;
    struct encoder encoder;
    struct table table;
    struct err err = {0};
    struct encoder_options options = options_for("y");
    struct buf text;
    size_t rows[1000];
    buf_init(&text, SIZE_MAX);
    for (int row = -1; row < 1000; row++) {
        for (int i = 0; i < 210; i++)
            buf_printf(&text, row < 0 ? "c%d," : "v%d,", row < 0 ? i : row % 490);
        buf_text(&text, row < 0 ? "y\n" : row % 2 ? "0\n" : "1\n");
        if (row >= 0)
            rows[row] = (size_t)row;
    }
    infer(text.bytes, text.len, &table);
    assert_int_equal(encoder_fit(&encoder, &table, &options, rows, 1000, NULL, &err), -1);
    assert_string_equal(err.slug, "too_wide");
    buf_clear(&text);
    table_clear(&table);
}

static void assert_same_encoder(const struct encoder *a, const struct encoder *b)
{
    struct buf first;
    struct buf second;
    buf_init(&first, SIZE_MAX);
    buf_init(&second, SIZE_MAX);
    encoder_codec_encode(a, &first);
    encoder_codec_encode(b, &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.bytes, second.bytes, first.len);
    assert_int_equal(a->n_features, b->n_features);
    for (size_t i = 0; i < a->n_columns; i++) {
        assert_int_equal(a->columns[i].first, b->columns[i].first);
        assert_int_equal(a->columns[i].width, b->columns[i].width);
    }
    for (size_t i = 0; i < a->target.n_classes; i++)
        assert_string_equal(a->target.classes[i], b->target.classes[i]);
    buf_clear(&first);
    buf_clear(&second);
}

static void encoders_round_trip(void **state)
{
    (void)state;
    static const char *const targets[] = {"species", "sex", "body_mass_g", "year"};
    for (size_t i = 0; i < 4; i++) {
        struct encoder encoder;
        struct encoder back;
        struct err err = {0};
        struct buf stored;
        buf_init(&stored, SIZE_MAX);
        fit(&encoder, &penguins, targets[i], NULL);
        encoder_codec_encode(&encoder, &stored);
        assert_int_equal(encoder_codec_decode(stored.bytes, stored.len, &back, &err), 0);
        assert_same_encoder(&encoder, &back);
        float *x = malloc(2 * 344 * encoder.n_features * sizeof *x);
        encoder_transform(&encoder, &penguins, all_rows, 344, x);
        encoder_transform(&back, &penguins, all_rows, 344, x + 344 * encoder.n_features);
        assert_memory_equal(x, x + 344 * encoder.n_features,
                            344 * encoder.n_features * sizeof *x);
        free(x);
        buf_clear(&stored);
        encoder_clear(&encoder);
        encoder_clear(&back);
    }
}

static int decode_copy(const char *bytes, size_t len, struct err *err)
{
    struct encoder encoder = {0};
    char *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    int status = encoder_codec_decode(copy, len, &encoder, err);
    free(copy);
    encoder_clear(&encoder);
    return status;
}

static void damaged_encoders_are_refused(void **state)
{
    (void)state;
    static const char *const targets[] = {"species", "body_mass_g", "year"};
    for (size_t i = 0; i < 3; i++) {
        struct encoder encoder;
        struct buf stored;
        buf_init(&stored, SIZE_MAX);
        fit(&encoder, &penguins, targets[i], NULL);
        encoder_codec_encode(&encoder, &stored);
        for (size_t len = 0; len < stored.len; len++) {
            struct err err = {0};
            assert_int_equal(decode_copy(stored.bytes, len, &err), -1);
            assert_int_equal(err.code, ERR_CORRUPT);
        }
        size_t n_refused = 0;
        for (size_t at = 0; at < stored.len * 8; at++) {
            struct err err = {0};
            char *byte = &stored.bytes[at / 8];
            *byte = (char)(*byte ^ (1 << at % 8));
            if (decode_copy(stored.bytes, stored.len, &err) < 0) {
                assert_int_equal(err.code, ERR_CORRUPT);
                n_refused++;
            }
            *byte = (char)(*byte ^ (1 << at % 8));
        }
        assert_true(n_refused > 300);
        struct err err = {0};
        buf_putc(&stored, 0);
        assert_int_equal(decode_copy(stored.bytes, stored.len, &err), -1);
        buf_clear(&stored);
        encoder_clear(&encoder);
    }
}

enum flaw {
    NO_FLAW,
    SCALE_ZERO,
    SHIFT_NAN,
    MEDIAN_INFINITE,
    LEVELS_UNSORTED,
    LEVELS_EQUAL,
    NAMES_EQUAL,
    NAME_OF_TARGET,
    UNUSED_WITH_INDICATOR,
    UNUSED_WITH_LEVELS,
    NUMBER_WITH_LEVELS,
    NOTHING_USED,
    CLASSES_UNSORTED,
    THREE_BINARY,
    REGRESSION_WITH_CLASSES,
    TARGET_SCALE_NEGATIVE,
    FLAW_COUNT
};

static void spoil(struct encoder *encoder, enum flaw flaw)
{
    struct encoder_column *number = &encoder->columns[0];
    struct encoder_column *text = &encoder->columns[1];
    struct encoder_target *target = &encoder->target;
    number->scale = flaw == SCALE_ZERO ? 0 : 1;
    number->shift = flaw == SHIFT_NAN ? NAN : 0;
    number->median = flaw == MEDIAN_INFINITE ? INFINITY : 0;
    number->n_levels = flaw == NUMBER_WITH_LEVELS ? 1 : 0;
    number->levels = flaw == NUMBER_WITH_LEVELS ? text->levels : NULL;
    if (flaw == LEVELS_UNSORTED)
        text->levels[0][0] = 'z';
    if (flaw == LEVELS_EQUAL)
        text->levels[0][0] = 'b';
    if (flaw == NAMES_EQUAL)
        text->name[0] = 'n';
    if (flaw == NAME_OF_TARGET)
        text->name[0] = 'y';
    text->is_used = flaw != UNUSED_WITH_INDICATOR && flaw != UNUSED_WITH_LEVELS;
    text->has_indicator = flaw == UNUSED_WITH_INDICATOR;
    if (flaw == UNUSED_WITH_INDICATOR)
        text->n_levels = 0;
    if (flaw == NOTHING_USED) {
        number->is_used = text->is_used = false;
        text->n_levels = 0;
    }
    if (flaw == CLASSES_UNSORTED)
        target->classes[0][0] = 'z';
    if (flaw == THREE_BINARY)
        target->n_classes = 3;
    if (flaw == REGRESSION_WITH_CLASSES)
        target->task = ENCODER_REGRESSION;
    target->scale = flaw == TARGET_SCALE_NEGATIVE ? -1 : 1;
}

static void inconsistent_encoders_are_refused(void **state)
{
    (void)state;
    for (int flaw = NO_FLAW; flaw < FLAW_COUNT; flaw++) {
        char a[] = "a";
        char b[] = "b";
        char p[] = "p";
        char q[] = "q";
        char r[] = "r";
        char names[3][2] = {"n", "c", "y"};
        char *levels[] = {a, b};
        char *classes[] = {p, q, r};
        struct encoder_column columns[] = {{.name = names[0], .is_used = true},
                                           {.name = names[1],
                                            .kind = TABLE_CATEGORICAL,
                                            .scale = 1,
                                            .n_levels = 2,
                                            .levels = levels}};
        struct encoder encoder = {.n_columns = 2, .columns = columns};
        encoder.target = (struct encoder_target){
            .name = names[2], .task = ENCODER_BINARY, .n_classes = 2, .classes = classes};
        spoil(&encoder, (enum flaw)flaw);
        struct buf stored;
        struct err err = {0};
        buf_init(&stored, SIZE_MAX);
        encoder_codec_encode(&encoder, &stored);
        int status = decode_copy(stored.bytes, stored.len, &err);
        if (status != (flaw == NO_FLAW ? 0 : -1) ||
            (status < 0 && err.code != ERR_CORRUPT))
            fail_msg("flaw %d: %d %s", flaw, status, err.message);
        buf_clear(&stored);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(penguins_are_encoded_as_computed_by_hand),
        cmocka_unit_test(training_rows_alone_are_learnt_from),
        cmocka_unit_test(median_of_an_even_count_is_halfway),
        cmocka_unit_test(columns_without_information_are_left_out),
        cmocka_unit_test(features_can_be_chosen),
        cmocka_unit_test(requests_encode_as_training_rows_do),
        cmocka_unit_test(unseen_levels_are_warned_of),
        cmocka_unit_test(missing_columns_are_all_named),
        cmocka_unit_test(columns_left_out_may_be_missing_or_there),
        cmocka_unit_test(words_for_numbers_are_refused_with_their_place),
        cmocka_unit_test(far_outliers_stay_finite),
        cmocka_unit_test(wide_requests_are_matched),
        cmocka_unit_test(regression_target_is_scaled_for_each_range),
        cmocka_unit_test(task_follows_the_target),
        cmocka_unit_test(unknown_target_suggests_the_nearest),
        cmocka_unit_test(too_many_classes_are_refused),
        cmocka_unit_test(number_classes_are_ordered_by_value),
        cmocka_unit_test(nothing_to_learn_from_is_an_error),
        cmocka_unit_test(too_many_features_are_an_error),
        cmocka_unit_test(encoders_round_trip),
        cmocka_unit_test(damaged_encoders_are_refused),
        cmocka_unit_test(inconsistent_encoders_are_refused),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
