#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/router.h"

#define N_ROUTES (sizeof routes / sizeof routes[0])

static const struct route routes[] = {
    {.method = "GET", .pattern = "/", .summary = "root"},
    {.method = "GET", .pattern = "/v1/datasets", .summary = "list"},
    {.method = "POST", .pattern = "/v1/datasets", .summary = "upload"},
    {.method = "GET", .pattern = "/v1/datasets/latest", .summary = "latest"},
    {.method = "GET", .pattern = "/v1/datasets/{id}", .summary = "one"},
    {.method = "DELETE", .pattern = "/v1/datasets/{id}", .summary = "remove"},
    {.method = "GET", .pattern = "/v1/datasets/{id}/rows", .summary = "rows"},
    {.method = "POST",
     .pattern = "/v1/models/{name}/versions/{version}/predict",
     .summary = "predict"},
    {.method = "POST", .pattern = "/v1/models/{name}:predict", .summary = "tensorflow"},
    {.method = "GET", .pattern = "/v2", .summary = "v2"},
    {.method = "GET", .pattern = "/v2/", .summary = "v2/"},
    {.method = "GET", .pattern = "/deep/{a}/{b}/{c}/{d}/{e}", .summary = "too deep"},
};

static char allow[64];

static int match(struct request *request, const char *method, const char *path,
                 struct err *err)
{
    *request = (struct request){.method = method, .path = path};
    *err = (struct err){0};
    return router_match(routes, N_ROUTES, request, allow, sizeof allow, err);
}

static void expect(const char *method, const char *path, const char *summary)
{
    struct request request;
    struct err err;
    if (match(&request, method, path, &err))
        fail_msg("%s %s: %s", method, path, err.message);
    assert_string_equal(request.route->summary, summary);
}

static void expect_nothing(const char *path)
{
    struct request request;
    struct err err;
    if (match(&request, "GET", path, &err) != -1 || err.code != ERR_NOT_FOUND)
        fail_msg("%s was found", path);
    assert_string_equal(err.slug, "no_such_route");
    assert_null(request.route);
    assert_int_equal(request.n_params, 0);
    assert_string_equal(allow, "");
}

static void paths_and_methods_find_their_route(void **state)
{
    (void)state;
    expect("GET", "/", "root");
    expect("GET", "/v1/datasets", "list");
    expect("POST", "/v1/datasets", "upload");
    expect("GET", "/v1/datasets/ds_1", "one");
    expect("DELETE", "/v1/datasets/ds_1", "remove");
    expect("GET", "/v1/datasets/ds_1/rows", "rows");
    expect("GET", "/v2", "v2");
    expect("GET", "/v2/", "v2/");
}

static void earlier_route_wins(void **state)
{
    (void)state;
    expect("GET", "/v1/datasets/latest", "latest");
    expect("DELETE", "/v1/datasets/latest", "remove");
}

static void head_finds_get(void **state)
{
    (void)state;
    expect("HEAD", "/v1/datasets/ds_1", "one");
}

static void placeholders_become_params(void **state)
{
    (void)state;
    struct request request;
    struct err err;
    assert_int_equal(match(&request, "POST", "/v1/models/p e/versions/3/predict", &err),
                     0);
    assert_int_equal(request.n_params, 2);
    assert_string_equal(request_param(&request, "name"), "p e");
    assert_string_equal(request_param(&request, "version"), "3");
    assert_null(request_param(&request, "nam"));
}

static void placeholder_stops_before_the_rest_of_its_segment(void **state)
{
    (void)state;
    struct request request;
    struct err err;
    assert_int_equal(match(&request, "POST", "/v1/models/a:b:predict", &err), 0);
    assert_string_equal(request.route->summary, "tensorflow");
    assert_string_equal(request_param(&request, "name"), "a:b");
    expect_nothing("/v1/models/:predict");
    expect_nothing("/v1/models/a:predictx");
    expect_nothing("/v1/models/a");
}

static void other_paths_are_not_found(void **state)
{
    (void)state;
    expect_nothing("");
    expect_nothing("/v1");
    expect_nothing("/v1/datasets/");
    expect_nothing("/v1/datasets//rows");
    expect_nothing("/v1//datasets");
    expect_nothing("//v1/datasets");
    expect_nothing("/v1/datasets/ds_1/");
    expect_nothing("/v1/datasets/ds_1/rows/");
    expect_nothing("/v1/datasets/ds_1/rowsx");
    expect_nothing("/v1/datasetsx");
    expect_nothing("/V1/datasets");
    expect_nothing("/v2//");
}

static void wrong_method_lists_the_right_ones(void **state)
{
    (void)state;
    struct request request;
    struct err err;
    assert_int_equal(match(&request, "PUT", "/v1/datasets", &err), -1);
    assert_int_equal(err.code, ERR_METHOD);
    assert_string_equal(err.slug, "method_not_allowed");
    assert_string_equal(allow, "GET, POST");
    assert_int_equal(match(&request, "post", "/v1/datasets/latest", &err), -1);
    assert_string_equal(allow, "GET, DELETE");
    assert_int_equal(match(&request, "HEAD", "/v1/models/m:predict", &err), -1);
    assert_string_equal(allow, "POST");
    assert_null(request.route);
}

static void allow_list_is_never_cut_within_a_word(void **state)
{
    (void)state;
    char small[8];
    struct request request = {.method = "PUT", .path = "/v1/datasets/x"};
    struct err err = {0};
    assert_int_equal(router_match(routes, N_ROUTES, &request, small, sizeof small, &err),
                     -1);
    assert_string_equal(small, "GET");
}

static void params_beyond_their_room_are_not_found(void **state)
{
    (void)state;
    char path[1024] = "/v1/datasets/";
    size_t start = strlen(path);
    memset(path + start, 'x', 508);
    struct request request;
    struct err err;
    assert_int_equal(match(&request, "GET", path, &err), 0);
    assert_int_equal(strlen(request_param(&request, "id")), 508);
    path[start + 508] = 'x';
    expect_nothing(path);
    expect_nothing("/deep/1/2/3/4/5");
}

static struct request a_request(void)
{
    return (struct request){
        .n_headers = 2,
        .headers = {{"Content-Type", "text/CSV; charset=utf-8"}, {"X-A", "1"}},
        .n_arguments = 7,
        .arguments = {{"limit", "20"},
                      {"limit", "30"},
                      {"flag", ""},
                      {"neg", "-1"},
                      {"hex", "0x1"},
                      {"huge", "99999999999999999999999"},
                      {"space", " 1"}},
    };
}

static void header_names_ignore_case_and_arguments_do_not(void **state)
{
    (void)state;
    struct request request = a_request();
    assert_string_equal(request_header(&request, "x-a"), "1");
    assert_null(request_header(&request, "x-b"));
    assert_string_equal(request_argument(&request, "limit"), "20");
    assert_string_equal(request_argument(&request, "flag"), "");
    assert_null(request_argument(&request, "Limit"));
}

static void content_type_is_compared_without_parameters(void **state)
{
    (void)state;
    struct request request = a_request();
    assert_true(request_has_type(&request, "text/csv"));
    assert_false(request_has_type(&request, "text/c"));
    assert_false(request_has_type(&request, "text/csvx"));
    request.n_headers = 0;
    assert_false(request_has_type(&request, "text/csv"));
}

static void numeric_arguments_are_checked(void **state)
{
    (void)state;
    struct request request = a_request();
    size_t value = 7;
    struct err err = {0};
    assert_int_equal(request_number(&request, "absent", 1, 9, &value, &err), 0);
    assert_int_equal(value, 7);
    assert_int_equal(request_number(&request, "limit", 20, 20, &value, &err), 0);
    assert_int_equal(value, 20);
    static const char *const wrong[] = {"flag", "neg", "hex", "huge", "space"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        err_clear(&err);
        assert_int_equal(request_number(&request, wrong[i], 0, SIZE_MAX, &value, &err),
                         -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.message, wrong[i]));
    }
    err_clear(&err);
    assert_int_equal(request_number(&request, "limit", 1, 19, &value, &err), -1);
    err_clear(&err);
    assert_int_equal(request_number(&request, "limit", 21, 99, &value, &err), -1);
    assert_int_equal(value, 20);
}

static void response_headers_cannot_be_split(void **state)
{
    (void)state;
    struct response response;
    response_init(&response, 100);
    assert_int_equal(response.status, 200);
    response_header(&response, "Location", "/v1/%s", "a\r\nSet-Cookie: b\x7f");
    assert_string_equal(response.headers[0].value, "/v1/a??Set-Cookie: b?");
    buf_text(&response.body, "half an ans");
    response.status = 201;
    response_reset(&response);
    assert_int_equal(response.n_headers, 0);
    assert_int_equal(response.status, 200);
    assert_int_equal(response.body.len, 0);
    assert_int_equal(response.body.limit, 100);
    response_clear(&response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_and_methods_find_their_route),
        cmocka_unit_test(earlier_route_wins),
        cmocka_unit_test(head_finds_get),
        cmocka_unit_test(placeholders_become_params),
        cmocka_unit_test(placeholder_stops_before_the_rest_of_its_segment),
        cmocka_unit_test(other_paths_are_not_found),
        cmocka_unit_test(wrong_method_lists_the_right_ones),
        cmocka_unit_test(allow_list_is_never_cut_within_a_word),
        cmocka_unit_test(params_beyond_their_room_are_not_found),
        cmocka_unit_test(header_names_ignore_case_and_arguments_do_not),
        cmocka_unit_test(content_type_is_compared_without_parameters),
        cmocka_unit_test(numeric_arguments_are_checked),
        cmocka_unit_test(response_headers_cannot_be_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
