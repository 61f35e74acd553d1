#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/decimal.h"
#include "base/endian.h"
#include "base/err.h"
#include "base/id.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/spell.h"
#include "base/utf8.h"

/* --- decimal */

struct good {
    const char *text;
    double value;
};

static const struct good good_numbers[] = {
    {"0", 0},
    {"-0", -0.0},
    {"+1", 1},
    {"1.", 1},
    {".5", 0.5},
    {"-.5e1", -5},
    {"1e2", 100},
    {"1E+2", 100},
    {"1e-2", 0.01},
    {"0.1", 0.1},
    {"00012", 12},
    {"123456789012345678", 123456789012345678.0},
    {"9007199254740993", 9007199254740992.0},
    {"1.7976931348623157e308", 1.7976931348623157e308},
    {"5e-324", 5e-324},
    {"1e-400", 0},
    {"0e999999", 0},
    {"0.00000000000000000000000000000000000000000000000001", 1e-50},
    {"2.2250738585072011e-308", 2.2250738585072011e-308},
    {"6."
     "02214076000000000000000000000000000000000000000000000000000000000000000000000000000"
     "00"
     "000000000000000000000000000000000000000000000000000000000000000000000000000000e23",
     6.02214076e23},
};

static const char *const bad_numbers[] = {
    "",    " ",     "1 ",    " 1",     "+",   "-",    ".",   "e5",   "1e",
    "1e+", "1e1.5", "0x10",  "inf",    "nan", "NaN",  "1,5", "1_0",  "--1",
    "+-1", "1.2.3", "1e400", "-1e309", "1f",  "1e5 ", "١",   "1e--1"};

static void decimal_reads_numbers_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_numbers / sizeof *good_numbers; i++) {
        double value = 7;
        if (!decimal_parse(good_numbers[i].text, strlen(good_numbers[i].text), &value) ||
            memcmp(&value, &good_numbers[i].value, sizeof value) != 0)
            fail_msg("%s is read as %.17g", good_numbers[i].text, value);
    }
    for (size_t i = 0; i < sizeof bad_numbers / sizeof *bad_numbers; i++) {
        double value = 7;
        if (decimal_parse(bad_numbers[i], strlen(bad_numbers[i]), &value) || value != 7)
            fail_msg("'%s' is accepted", bad_numbers[i]);
    }
    double value = 7;
    assert_false(decimal_parse("1\0", 2, &value));
    assert_true(decimal_parse("12345", 2, &value));
    assert_true(value == 12);
}

static void printed_doubles_read_back_equal(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        uint64_t bits = rng_bits(1, RNG_TEST, 1, i);
        double value;
        double back = 0;
        char text[DECIMAL_TEXT_SIZE];
        memcpy(&value, &bits, sizeof value);
        if (i % 4 == 0)
            value = (double)(bits >> 40) / 1000; /* what people's tables hold */
        if (i % 4 == 1)
            value = (double)(bits >> 11) * 0x1p-53; /* a probability */
        if (!isfinite(value))
            continue;
        size_t len = decimal_print(value, text);
        assert_int_equal(len, strlen(text));
        if (!decimal_parse(text, len, &back) || memcmp(&back, &value, sizeof value) != 0)
            fail_msg("%.17g is printed as %s", value, text);
        float single = (float)value;
        if (!isfinite(single))
            continue;
        len = decimal_print_float(single, text);
        if (!decimal_parse(text, len, &back) || (float)back != single)
            fail_msg("%.9g is printed as %s", (double)single, text);
    }
}

static void random_digits_read_as_by_strtod(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        uint64_t bits = rng_bits(2, RNG_TEST, 2, i);
        char text[64];
        int whole = (int)(bits % 12);
        int len = snprintf(text, sizeof text, "%s", bits & 64 ? "-" : "");
        for (int k = 0; k < whole + 1; k++)
            text[len++] = (char)('0' + rng_bits(3, RNG_TEST, i, (uint64_t)k) % 10);
        if (bits & 128) {
            text[len++] = '.';
            for (int k = 0; k < (int)(bits >> 8 & 15); k++)
                text[len++] = (char)('0' + rng_bits(4, RNG_TEST, i, (uint64_t)k) % 10);
        }
        text[len] = '\0';
        if (bits & 4096)
            len += snprintf(text + len, sizeof text - (size_t)len, "e%d",
                            (int)(bits >> 16 & 63) - 32);
        double value = 0;
        double expected = strtod(text, NULL);
        if (!decimal_parse(text, (size_t)len, &value) || value != expected)
            fail_msg("%s is read as %.17g", text, value);
    }
}

static void numbers_are_printed_short(void **state)
{
    (void)state;
    static const struct good cases[] = {{"0.1", 0.1},
                                        {"3750", 3750},
                                        {"1e+300", 1e300},
                                        {"-2.5", -2.5},
                                        {"null", NAN},
                                        {"null", INFINITY},
                                        {"-0", -0.0},
                                        {"0", 0},
                                        {"0.3", 0.3},
                                        {"1e-05", 1e-5},
                                        {"123456789", 123456789}};
    char text[DECIMAL_TEXT_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        decimal_print(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
    decimal_print_float(0.1F, text);
    assert_string_equal(text, "0.1");
    static const struct {
        float value;
        const char *text;
    } floats[] = {{0.5F, "0.5"},
                  {-2.5F, "-2.5"},
                  {0.001F, "0.001"},
                  {1e-5F, "1e-05"},
                  {123456.789F, "123456.79"},
                  {1.0F / 3, "0.33333334"},
                  {999999.9F, "999999.9"},
                  {1e8F, "100000000"},
                  {3e9F, "3e+09"},
                  {-0.03125F, "-0.03125"}};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        decimal_print_float(floats[i].value, text);
        assert_string_equal(text, floats[i].text);
    }
    decimal_print_float(16777216.0F, text);
    assert_string_equal(text, "16777216");
    decimal_print_float((float)NAN, text);
    assert_string_equal(text, "null");
}

/* --- json_scan */

static int scan_all(const char *text, size_t len, struct err *err)
{
    struct json_scan scan;
    struct json_token token;
    char *copy = malloc(len ? len : 1); /* the sanitizer sees a look past its end */
    memcpy(copy, text, len);
    json_scan_init(&scan, copy, len);
    int status;
    do
        status = json_scan_next(&scan, &token, err);
    while (status == 0 && token.kind != JSON_SCAN_END);
    free(copy);
    return status;
}

static const char *const valid_documents[] = {"0",
                                              "-0",
                                              "1.5e-3",
                                              " [ ] ",
                                              "{}",
                                              "[1,2,3]",
                                              "{\"a\":1,\"b\":[true,false,null]}",
                                              "\"\"",
                                              "\"a\\n\\u00e9\\\"\"",
                                              "[[[[]]]]",
                                              "\n{\t\"a\"\r:\n\"\xC3\xA9\" }\n",
                                              "null",
                                              "1E9",
                                              "[-1]",
                                              "[{},{}]",
                                              "\"\\/\"",
                                              "{\"\":{}}"};

static const char *const invalid_documents[] = {"",
                                                " ",
                                                "[",
                                                "]",
                                                "{",
                                                "}",
                                                "[1,]",
                                                "[,1]",
                                                "[1 2]",
                                                "{\"a\"}",
                                                "{\"a\":}",
                                                "{a:1}",
                                                "{\"a\":1,}",
                                                "{\"a\" 1}",
                                                "{\"a\":1 \"b\":2}",
                                                "01",
                                                "+1",
                                                "1.",
                                                ".5",
                                                "1e",
                                                "--1",
                                                "-",
                                                "0x10",
                                                "nul",
                                                "True",
                                                "NaN",
                                                "Infinity",
                                                "\"",
                                                "\"\\x\"",
                                                "\"\\u12g4\"",
                                                "\"a\nb\"",
                                                "\"\xFF\"",
                                                "\"\xC3\"",
                                                "\"\xED\xA0\x80\"",
                                                "1 2",
                                                "[] []",
                                                "[1]]",
                                                "[}",
                                                "{]",
                                                "// c\n1",
                                                "'a'",
                                                "\"\\",
                                                "\"\\u12",
                                                "[1",
                                                "{\"a\":[1}",
                                                "\xEF\xBB\xBF"
                                                "1",
                                                "{1:2}",
                                                "truex"};

static void json_is_read_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof valid_documents / sizeof *valid_documents; i++) {
        struct err err = {0};
        if (scan_all(valid_documents[i], strlen(valid_documents[i]), &err) < 0)
            fail_msg("%s: %s", valid_documents[i], err.message);
    }
    for (size_t i = 0; i < sizeof invalid_documents / sizeof *invalid_documents; i++) {
        struct err err = {0};
        if (scan_all(invalid_documents[i], strlen(invalid_documents[i]), &err) == 0)
            fail_msg("%s is accepted", invalid_documents[i]);
        assert_int_equal(err.code, ERR_MALFORMED);
        assert_string_equal(err.slug, "invalid_json");
    }
    struct err err = {0};
    assert_int_equal(scan_all("\"a\0b\"", 5, &err), -1);
}

static void json_errors_name_line_and_column(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(scan_all("[1,\n 2,\n  x]", 12, &err), -1);
    assert_non_null(strstr(err.message, "line 3, column 3"));
}

static void json_tokens_come_in_order(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\": [1.5, \"x\\ty\"], \"b\": {\"c\": null}, \"d\": true}";
    static const enum json_scan_kind kinds[] = {
        JSON_SCAN_OBJECT_BEGIN, JSON_SCAN_KEY,    JSON_SCAN_ARRAY_BEGIN,
        JSON_SCAN_NUMBER,       JSON_SCAN_STRING, JSON_SCAN_ARRAY_END,
        JSON_SCAN_KEY};
    struct json_scan scan;
    struct json_token token;
    struct err err = {0};
    json_scan_init(&scan, text, sizeof text - 1);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_int_equal(json_scan_next(&scan, &token, &err), 0);
        assert_int_equal(token.kind, kinds[i]);
        if (token.kind == JSON_SCAN_NUMBER)
            assert_true(json_token_is(&token, "1.5"));
        assert_int_equal(token.escaped, token.kind == JSON_SCAN_STRING);
    }
    assert_true(json_token_is(&token, "b"));
    assert_int_equal(json_scan_skip(&scan, &err), 0);
    assert_int_equal(json_scan_next(&scan, &token, &err), 0);
    assert_true(json_token_is(&token, "d"));
    assert_int_equal(json_scan_next(&scan, &token, &err), 0);
    assert_int_equal(json_scan_skip_rest(&scan, &token, &err), 0);
    assert_int_equal(json_scan_next(&scan, &token, &err), 0);
    assert_int_equal(token.kind, JSON_SCAN_OBJECT_END);
    assert_int_equal(json_scan_next(&scan, &token, &err), 0);
    assert_int_equal(token.kind, JSON_SCAN_END);
    assert_int_equal(json_scan_next(&scan, &token, &err), 0);
    assert_int_equal(token.kind, JSON_SCAN_END);
}

struct escape {
    const char *text;
    const char *value; /* NULL: an error */
};

static const struct escape escapes[] = {
    {"\"plain\"", "plain"},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
    {"\"\\u0041\\u00e9\\u20AC\"", "A\xC3\xA9\xE2\x82\xAC"},
    {"\"\\ud83d\\ude00!\"", "\xF0\x9F\x98\x80!"},
    {"\"\\ud83d\"", NULL},
    {"\"\\ude00\"", NULL},
    {"\"\\ud83d\\u0041\"", NULL},
    {"\"\\ud83dx\"", NULL},
    {"\"\\u0000\"", NULL},
};

static void json_escapes_are_resolved(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        struct json_scan scan;
        struct json_token token;
        struct err err = {0};
        struct buf out;
        buf_init(&out, 100);
        json_scan_init(&scan, escapes[i].text, strlen(escapes[i].text));
        assert_int_equal(json_scan_next(&scan, &token, &err), 0);
        int status = json_scan_unescape(&token, &out, &err);
        assert_int_equal(status, escapes[i].value ? 0 : -1);
        if (escapes[i].value)
            assert_string_equal(out.bytes, escapes[i].value);
        buf_clear(&out);
    }
}

static void json_depth_is_limited(void **state)
{
    (void)state;
    char text[2 * JSON_SCAN_DEPTH + 2];
    for (size_t depth = JSON_SCAN_DEPTH; depth <= JSON_SCAN_DEPTH + 1; depth++) {
        struct err err = {0};
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(scan_all(text, 2 * depth, &err),
                         depth <= JSON_SCAN_DEPTH ? 0 : -1);
    }
}

/* --- buf */

static void buf_stops_at_its_limit_and_says_so_once(void **state)
{
    (void)state;
    struct buf buf;
    struct err err = {0};
    buf_init(&buf, 5);
    buf_text(&buf, "abc");
    buf_printf(&buf, "%d", 45);
    assert_string_equal(buf.bytes, "abc45");
    assert_int_equal(buf_check(&buf, &err), 0);
    buf_putc(&buf, '!');
    buf_reset(&buf);
    buf_text(&buf, "123456");
    assert_int_equal(buf.len, 0);
    buf_text(&buf, "a"); /* sticky: even what would fit */
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf_check(&buf, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    buf_clear(&buf);
    err_clear(&err);
    buf_text(&buf, "12345");
    assert_int_equal(buf_check(&buf, &err), 0);
    size_t len;
    char *taken = buf_take(&buf, &len);
    assert_int_equal(len, 5);
    assert_string_equal(taken, "12345");
    free(taken);
    taken = buf_take(&buf, &len);
    assert_int_equal(len, 0);
    assert_string_equal(taken, "");
    free(taken);
}

static void buf_refuses_sizes_that_overflow(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, SIZE_MAX);
    buf_putc(&buf, 'a');
    assert_false(buf_reserve(&buf, SIZE_MAX));
    assert_true(buf.over_limit);
    buf_clear(&buf);
}

static void json_strings_are_always_valid(void **state)
{
    (void)state;
    static const struct escape cases[] = {
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\r\t\x01\x7F", "\"\\n\\r\\t\\u0001\\u007f\""},
        {"\xC3\xA9\xF0\x9F\x98\x80", "\"\xC3\xA9\xF0\x9F\x98\x80\""},
        {"a\xFF\xC3", "\"a\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"", "\"\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf buf;
        struct err err = {0};
        buf_init(&buf, 1000);
        buf_json_string(&buf, cases[i].text, strlen(cases[i].text));
        assert_string_equal(buf.bytes, cases[i].value);
        assert_int_equal(scan_all(buf.bytes, buf.len, &err), 0);
        buf_clear(&buf);
    }
    struct buf buf;
    buf_init(&buf, 100);
    buf_json_string(&buf, "a\0b", 3);
    assert_string_equal(buf.bytes, "\"a\\u0000b\"");
    buf_clear(&buf);
}

/* --- the rest */

static void ids_are_new_and_well_formed(void **state)
{
    (void)state;
    char a[ID_SIZE];
    char b[ID_SIZE];
    id_new(a, "ds");
    id_new(b, "ds");
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 2 + 1 + 26);
    assert_memory_equal(a, "ds_", 3);
    assert_int_equal(strspn(a + 3, "abcdefghijklmnopqrstuvwxyz234567"), 26);
    id_new(a, "eightlet");
    assert_int_equal(strlen(a), 8 + 1 + 26);
}

static void names_are_of_the_allowed_form(void **state)
{
    (void)state;
    char longest[130];
    memset(longest, 'a', sizeof longest);
    longest[128] = '\0';
    assert_true(id_is_name("a") && id_is_name("Model-1.2_x") && id_is_name("9"));
    assert_true(id_is_name(longest));
    longest[128] = 'a';
    longest[129] = '\0';
    assert_false(id_is_name(longest));
    assert_false(id_is_name("") || id_is_name(".a") || id_is_name("-a") ||
                 id_is_name("a b") || id_is_name("a/b") || id_is_name("\xC3\xA9"));
}

static void spell_finds_slips_and_nothing_far(void **state)
{
    (void)state;
    static const char *const words[] = {"adam", "sgd", "lbfgs", "learning_rate", "rows"};
    assert_string_equal(spell_nearest("adma", words, 5), "adam");
    assert_string_equal(spell_nearest("learningrate", words, 5), "learning_rate");
    assert_string_equal(spell_nearest("row", words, 5), "rows");
    assert_string_equal(spell_nearest("sgd", words, 5), "sgd");
    assert_null(spell_nearest("momentum", words, 5));
    assert_null(spell_nearest("x", words, 5));
    assert_null(spell_nearest("adam", words, 0));
    char longest[300];
    memset(longest, 'a', sizeof longest);
    longest[299] = '\0';
    assert_null(spell_nearest(longest, words, 5));
    static const char *const longs[] = {"a"};
    assert_null(spell_nearest(longest, longs, 1));
    const char *only = longest;
    assert_null(spell_nearest("aaaa", &only, 1));
}

static void endian_round_trips_and_fails_on_short_reads(void **state)
{
    (void)state;
    struct buf buf;
    struct endian_reader reader;
    size_t len;
    buf_init(&buf, 1000);
    endian_put_u8(&buf, 0xAB);
    endian_put_u32(&buf, 0x01020304);
    endian_put_u64(&buf, 0x0102030405060708);
    endian_put_f64(&buf, -0.1);
    endian_put_text(&buf, "text", 4);
    assert_int_equal(buf.bytes[1], 4); /* little end first */
    for (size_t cut = 0; cut <= buf.len; cut++) {
        char *copy = malloc(cut ? cut : 1);
        memcpy(copy, buf.bytes, cut);
        endian_reader_init(&reader, copy, cut);
        uint8_t u8 = endian_get_u8(&reader);
        uint32_t u32 = endian_get_u32(&reader);
        uint64_t u64 = endian_get_u64(&reader);
        double f64 = endian_get_f64(&reader);
        const char *text = endian_get_text(&reader, &len);
        assert_int_equal(reader.failed, cut < buf.len);
        if (cut == buf.len) {
            assert_int_equal(u8, 0xAB);
            assert_int_equal(u32, 0x01020304);
            assert_true(u64 == 0x0102030405060708 && f64 == -0.1);
            assert_int_equal(len, 4);
            assert_memory_equal(text, "text", 4);
        } else {
            assert_null(text);
            assert_int_equal(len, 0);
            assert_int_equal(endian_get_u8(&reader), 0); /* sticky */
        }
        free(copy);
    }
    endian_reader_init(&reader, NULL, 0);
    assert_int_equal(endian_left(&reader), 0);
    assert_int_equal(endian_get_u32(&reader), 0);
    assert_true(reader.failed);
    buf_clear(&buf);
}

static void first_error_wins(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_set_at(&err, ERR_INVALID, "first", "/a", "one %d", 1), -1);
    assert_int_equal(err_set(&err, ERR_IO, "second", "two"), -1);
    assert_int_equal(err_no_memory(&err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.slug, "first");
    assert_string_equal(err.pointer, "/a");
    assert_string_equal(err.message, "one 1");
    assert_int_equal(err_set(NULL, ERR_IO, "nobody", "listens"), -1);
    err_clear(&err);
    assert_int_equal(err_set(&err, ERR_IO, "second", "two"), -1);
    assert_string_equal(err.pointer, "");
}

static void cut_messages_end_between_characters(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        struct err err = {0};
        char text[1000] = "abc";
        size_t len = shift;
        while (len + 4 < sizeof text) {
            memcpy(text + len, "\xE2\x82\xAC", 4);
            len += 3;
        }
        err_set(&err, ERR_INVALID, "long", "%s", text);
        len = strlen(err.message);
        assert_true(len > 390);
        for (size_t i = 0; i < len;) {
            size_t step = utf8_len(err.message + i, len - i);
            assert_true(step > 0);
            i += step;
        }
    }
}

static void memory_sizes_are_checked(void **state)
{
    (void)state;
    struct err err = {0};
    int *array = NULL;
    size_t capacity = 0;
    assert_null(mem_new(SIZE_MAX / 2, 8, &err));
    assert_int_equal(err.code, ERR_NO_MEMORY);
    err_clear(&err);
    assert_int_equal(mem_grow(&array, &capacity, SIZE_MAX / 4, sizeof *array, &err), -1);
    assert_true(array == NULL && capacity == 0);
    err_clear(&err);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(mem_grow(&array, &capacity, i + 1, sizeof *array, &err), 0);
        array[i] = (int)i;
    }
    assert_int_equal(array[999], 999);
    assert_true(capacity < 2000);
    free(array);
    void *nothing = mem_new(0, 8, &err);
    assert_non_null(nothing);
    free(nothing);
}

static void random_numbers_are_a_function_of_their_place(void **state)
{
    (void)state;
    /* Philox4x32-10, known answers of Random123 (kat_vectors): zero key and counter. Our
     * counter carries the stream in its last word, so stream 0 is cast for this test. */
    assert_true(rng_bits(0, (enum rng_stream)0, 0, 0) == 0xE169C58D6627E8D5U);
    double sum = 0;
    double squares = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        double u = rng_uniform(5, RNG_TEST, 0, i);
        double z = rng_normal(5, RNG_TEST, 1, i);
        assert_true(u >= 0 && u < 1);
        sum += u;
        squares += z * z;
    }
    assert_true(fabs(sum / 100000 - 0.5) < 0.005);
    assert_true(fabs(squares / 100000 - 1) < 0.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimal_reads_numbers_and_nothing_else),
        cmocka_unit_test(printed_doubles_read_back_equal),
        cmocka_unit_test(random_digits_read_as_by_strtod),
        cmocka_unit_test(numbers_are_printed_short),
        cmocka_unit_test(json_is_read_strictly),
        cmocka_unit_test(json_errors_name_line_and_column),
        cmocka_unit_test(json_tokens_come_in_order),
        cmocka_unit_test(json_escapes_are_resolved),
        cmocka_unit_test(json_depth_is_limited),
        cmocka_unit_test(buf_stops_at_its_limit_and_says_so_once),
        cmocka_unit_test(buf_refuses_sizes_that_overflow),
        cmocka_unit_test(json_strings_are_always_valid),
        cmocka_unit_test(ids_are_new_and_well_formed),
        cmocka_unit_test(names_are_of_the_allowed_form),
        cmocka_unit_test(spell_finds_slips_and_nothing_far),
        cmocka_unit_test(endian_round_trips_and_fails_on_short_reads),
        cmocka_unit_test(first_error_wins),
        cmocka_unit_test(cut_messages_end_between_characters),
        cmocka_unit_test(memory_sizes_are_checked),
        cmocka_unit_test(random_numbers_are_a_function_of_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
