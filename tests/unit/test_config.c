/* Flags and environment, and the small parts of the API layer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/json.h"
#include "api/problem.h"
#include "api/writer.h"
#include "config.h"

static int read_config(struct config *config, struct err *err, char *one, char *two)
{
    char *arguments[] = {one, two};
    *err = (struct err){0};
    return config_read(config, one ? two ? 2 : 1 : 0, arguments, err);
}

static void defaults_listen_on_loopback(void **state)
{
    (void)state;
    struct config config;
    struct err err;
    assert_int_equal(read_config(&config, &err, NULL, NULL), 0);
    assert_string_equal(config.host, "127.0.0.1");
    assert_int_equal(config.port, 8080);
    assert_true(config.workers >= 1);
    assert_true(config.threads >= 1);
    assert_false(config.insecure);
}

static void a_flag_wins_over_the_environment(void **state)
{
    (void)state;
    struct config config;
    struct err err;
    setenv("MLPD_MAX_UPLOAD_BYTES", "1000", 1);
    assert_int_equal(read_config(&config, &err, NULL, NULL), 0);
    assert_int_equal(config.max_upload_bytes, 1000);
    assert_int_equal(read_config(&config, &err, "--max-upload-bytes=2000", NULL), 0);
    assert_int_equal(config.max_upload_bytes, 2000);
    setenv("MLPD_MAX_UPLOAD_BYTES", "lots", 1);
    assert_int_equal(read_config(&config, &err, NULL, NULL), -1);
    assert_non_null(strstr(err.message, "lots"));
    unsetenv("MLPD_MAX_UPLOAD_BYTES");
}

static void bad_options_name_option_and_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        char *one, *two;
        const char *needle;
    } rows[] = {
        {"--workers", "0", "from 1 to 256"},
        {"--workers", "1.5", "whole number"},
        {"--threads", "0", "from 1 to 256"},
        {"--workers", NULL, "needs a value"},
        {"--wokers", "2", "did you mean --workers?"},
        {"workers", "2", "unknown option"},
        {"--log-level", "loud", "error, warn, info or debug"},
        {"--log-format", "xml", "text or json"},
        {"--listen", "localhost:80", "ADDRESS:PORT"},
        {"--listen", "127.0.0.1", "ADDRESS:PORT"},
        {"--listen", "127.0.0.1:65536", "ADDRESS:PORT"},
        {"--listen", "127.0.0.1:-1", "ADDRESS:PORT"},
        {"--db", "", "not a text"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct config config;
        struct err err;
        assert_int_equal(read_config(&config, &err, rows[i].one, rows[i].two), -1);
        if (!strstr(err.message, rows[i].needle))
            fail_msg("%s: \"%s\" lacks \"%s\"", rows[i].one, err.message, rows[i].needle);
    }
}

static void listening_beyond_loopback_needs_insecure(void **state)
{
    (void)state;
    static char *const open[] = {"0.0.0.0:80", "192.0.2.1:80", "[::]:80"};
    struct config config;
    struct err err;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(read_config(&config, &err, "--listen", open[i]), -1);
        assert_string_equal(err.slug, "insecure");
        char *arguments[] = {"--insecure", "--listen", open[i]};
        err_clear(&err);
        assert_int_equal(config_read(&config, 3, arguments, &err), 0);
    }
    assert_int_equal(read_config(&config, &err, "--listen", "[::1]:0"), 0);
    assert_string_equal(config.host, "::1");
    assert_int_equal(config.port, 0);
}

static void writer_keeps_commas_and_brackets(void **state)
{
    (void)state;
    struct buf out;
    struct writer writer;
    buf_init(&out, 1000);
    writer_init(&writer, &out);
    writer_object(&writer, NULL);
    writer_array(&writer, "a");
    writer_close(&writer);
    writer_array(&writer, "b");
    writer_whole(&writer, NULL, 1);
    writer_real(&writer, NULL, 0.1);
    writer_real(&writer, NULL, (double)NAN);
    writer_float(&writer, NULL, 0.1F);
    writer_close(&writer);
    writer_object(&writer, "c");
    writer_text(&writer, "d\"", "line\n\x01 \xff");
    writer_flag(&writer, "e", true);
    writer_close(&writer);
    writer_time(&writer, "f", 0);
    writer_time(&writer, "g", 1764000000123);
    writer_close(&writer);
    assert_string_equal(out.bytes,
                        "{\"a\":[],\"b\":[1,0.1,null,0.1],\"c\":{\"d\\\"\":"
                        "\"line\\n\\u0001 \xEF\xBF\xBD\",\"e\":true},\"f\":null,"
                        "\"g\":\"2025-11-24T16:00:00.123Z\"}");
    buf_clear(&out);
}

static void what_is_wrong_with_us_is_told_without_details(void **state)
{
    (void)state;
    static const enum err_code ours[] = {ERR_IO, ERR_CORRUPT, ERR_INTERNAL};
    for (size_t i = 0; i < 3; i++) {
        struct request request = {.id = "r1"};
        struct response response;
        struct err err = {0};
        response_init(&response, 10000);
        err_set_at(&err, ours[i], "leak", "/secret", "cannot open /var/lib/secret");
        problem_render(&request, &err, &response);
        assert_int_equal(response.status, 500);
        assert_null(strstr(response.body.bytes, "secret"));
        assert_null(strstr(response.body.bytes, "leak"));
        assert_non_null(strstr(response.body.bytes, "\"request_id\":\"r1\""));
        response_clear(&response);
    }
}

static void a_member_is_found_with_its_exact_span(void **state)
{
    (void)state;
    static const char body[] =
        "{\"x\": {\"data\": 1}, \"data\" : [1, {\"a\": \"]}\"}] , \"y\":2}";
    const char *value = NULL;
    size_t len = 0;
    struct err err = {0};
    assert_int_equal(json_find_member(body, strlen(body), "data", &value, &len, &err), 0);
    assert_non_null(value);
    assert_true(len >= 16);
    assert_memory_equal(value + (len - 16), "[1, {\"a\": \"]}\"}]", 16);
    assert_int_equal(json_find_member(body, strlen(body), "none", &value, &len, &err), 0);
    assert_null(value);
    assert_int_equal(json_find_member("{\"data\": [1,", 12, "data", &value, &len, &err),
                     -1);
    assert_int_equal(err.code, ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_listen_on_loopback),
        cmocka_unit_test(a_flag_wins_over_the_environment),
        cmocka_unit_test(bad_options_name_option_and_what_is_allowed),
        cmocka_unit_test(listening_beyond_loopback_needs_insecure),
        cmocka_unit_test(writer_keeps_commas_and_brackets),
        cmocka_unit_test(what_is_wrong_with_us_is_told_without_details),
        cmocka_unit_test(a_member_is_found_with_its_exact_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
