#include "harness.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/routes.h"
#include "contract.h"
#include "entity/parameters.h"

/* --- health ------------------------------------------------------------------------- */

static void server_says_that_it_is_well(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *health = client_get(&client, "/healthz");
    expect_status(health, 200);
    assert_string_equal(text_at(health->json, "/status"), "ok");
    const struct answer *ready = client_get(&client, "/readyz");
    expect_status(ready, 200);
    assert_string_equal(text_at(ready->json, "/status"), "ready");
    const struct answer *version = client_get(&client, "/version");
    expect_status(version, 200);
    assert_string_equal(text_at(version->json, "/version"), MLPD_VERSION);
    assert_true(strlen(text_at(version->json, "/kernel")) > 3);
    client_close(&client);
}

static void healthcheck_tells_by_its_exit_code(void **state)
{
    const struct harness *harness = *state;
    const char *alive[] = {"healthcheck", "--listen", harness->url + strlen("http://"),
                           NULL};
    const char *dead[] = {"healthcheck", "--listen", "127.0.0.1:1", NULL};
    char *text = NULL;
    assert_int_equal(harness_run(alive, &text), 0);
    free(text);
    assert_int_equal(harness_run(dead, &text), 1);
    assert_non_null(strstr(text, "no healthy server"));
    free(text);
}

static void wrong_options_are_told(void **state)
{
    static const struct {
        const char *arguments[6];
        const char *said;
    } cases[] = {
        {{"serve", "--worker", "2"}, "--workers"},
        {{"serve", "--workers", "0"}, "from 1 to 256"},
        {{"serve", "--workers"}, "needs a value"},
        {{"serve", "--listen", "0.0.0.0:0"}, "--insecure"},
        {{"serve", "--listen", "localhost"}, "ADDRESS:PORT"},
        {{"serve", "--log-format", "xml"}, "text or json"},
        {{"serf"}, "unknown command"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        assert_int_equal(harness_run(cases[i].arguments, &text), 2);
        if (!strstr(text, cases[i].said))
            fail_msg("\"%s\" does not say \"%s\"", text, cases[i].said);
        free(text);
    }
}

static void port_in_use_is_told(void **state)
{
    const struct harness *harness = *state;
    char db[128];
    snprintf(db, sizeof db, "%s/other.db", harness->dir);
    const char *arguments[] = {
        "serve", "--db", db, "--listen", harness->url + strlen("http://"), NULL};
    char *text = NULL;
    assert_int_equal(harness_run(arguments, &text), 1);
    assert_non_null(strstr(text, harness->url + strlen("http://")));
    free(text);
}

/* --- headers ------------------------------------------------------------------------ */

static void request_id_is_given_back(void **state)
{
    struct client client;
    char id[256];
    char other[256];
    client_open(&client, *state);
    const struct answer *own =
        client_call(&client, &(struct call){.path = "/healthz",
                                            .headers = {"X-Request-Id: my-id_1.2"}});
    expect_status(own, 200);
    assert_string_equal(answer_header(own, "X-Request-Id", id), "my-id_1.2");
    const struct answer *error = client_call(
        &client, &(struct call){.path = "/nothing", .headers = {"X-Request-Id: mine"}});
    expect_problem(error, 404, "no_such_route");
    assert_string_equal(text_at(error->json, "/request_id"), "mine");
    answer_header(client_get(&client, "/v1/jobs"), "X-Request-Id", id);
    answer_header(client_get(&client, "/v1/jobs"), "X-Request-Id", other);
    assert_true(id[0] && other[0]);
    assert_string_not_equal(id, other);
    client_close(&client);
}

static void unfit_request_id_is_replaced(void **state)
{
    static const char *const headers[] = {"X-Request-Id: a b", "X-Request-Id: <script>",
                                          "X-Request-Id: "
                                          "0123456789012345678901234567890123456789"};
    struct client client;
    char id[256];
    client_open(&client, *state);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        const struct answer *said = client_call(
            &client, &(struct call){.path = "/healthz", .headers = {headers[i]}});
        expect_status(said, 200);
        answer_header(said, "X-Request-Id", id);
        assert_true(id[0]);
        assert_null(strstr(headers[i], id));
    }
    client_close(&client);
}

static void head_is_get_without_the_body(void **state)
{
    static const char *const paths[] = {"/healthz", "/openapi.json", "/v1/jobs",
                                        "/nothing", "/v1/models/nope"};
    struct client client;
    char length[256];
    char expected[32];
    client_open(&client, *state);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct answer *get = client_get(&client, "%s", paths[i]);
        const struct answer *head =
            client_call(&client, &(struct call){.method = "HEAD", .path = paths[i]});
        assert_int_equal(head->status, get->status);
        assert_int_equal(head->body_len, 0);
        snprintf(expected, sizeof expected, "%zu", get->body_len);
        assert_string_equal(answer_header(head, "Content-Length", length), expected);
    }
    client_close(&client);
}

static void answers_are_not_cached_nor_sniffed(void **state)
{
    struct client client;
    char value[256];
    client_open(&client, *state);
    const struct answer *said = client_get(&client, "/v1/jobs");
    assert_string_equal(answer_header(said, "Cache-Control", value), "no-store");
    assert_string_equal(answer_header(said, "X-Content-Type-Options", value), "nosniff");
    assert_string_equal(answer_header(said, "Content-Type", value), "application/json");
    client_close(&client);
}

/* --- the document ------------------------------------------------------------------- */

static void document_is_served(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *served = client_get(&client, "/openapi.json");
    expect_status(served, 200);
    assert_true(json_equal(served->json, contract_document()));
    assert_string_equal(text_at(served->json, "/openapi"), "3.1.0");
    assert_string_equal(text_at(served->json, "/info/version"), MLPD_VERSION);
    client_close(&client);
}

static bool is_method(const char *key)
{
    return strcmp(key, "parameters") != 0;
}

static void document_has_every_route_and_no_other(void **state)
{
    size_t n;
    size_t n_documented = 0;
    const struct route *routes = routes_table(&n);
    const json_t *paths = json_object_get(contract_document(), "paths");
    const char *key;
    json_t *item;
    json_t *operation;
    (void)state;
    for (size_t i = 0; i < n; i++) {
        char method[16] = "";
        for (size_t k = 0; routes[i].method[k]; k++)
            method[k] = (char)tolower((unsigned char)routes[i].method[k]);
        if (!json_object_get(json_object_get(paths, routes[i].pattern), method))
            fail_msg("the document lacks %s %s", routes[i].method, routes[i].pattern);
    }
    json_object_foreach((json_t *)(uintptr_t)paths, key, item)
    {
        const char *method;
        json_object_foreach(item, method, operation) n_documented += is_method(method);
    }
    assert_int_equal(n_documented, n);
}

/* The property of a parameter in what a job request may say. */
static const json_t *property_of(const struct parameters_field *field)
{
    const json_t *properties =
        find_at(contract_document(), "/components/schemas/JobRequest/properties");
    const json_t *property = json_object_get(properties, field->name);
    if (!property)
        fail_msg("the document lacks the parameter %s", field->name);
    assert_true(strlen(text_at(property, "/description")) > 0);
    return property;
}

static bool lists(const json_t *values, const char *name)
{
    for (size_t i = 0; i < json_array_size(values); i++)
        if (strcmp(json_string_value(json_array_get(values, i)), name) == 0)
            return true;
    return false;
}

static void check_range(const struct parameters_field *field, const json_t *property)
{
    if (field->kind == PARAMETERS_SIZES)
        property = find_at(property, "/items");
    if (find_at(property, "/oneOf"))
        property = find_at(property, "/oneOf/0");
    assert_true(number_at(property, field->open_below ? "/exclusiveMinimum"
                                                      : "/minimum") == field->least);
    assert_null(find_at(property, field->open_below ? "/minimum" : "/exclusiveMinimum"));
    assert_true(number_at(property, "/maximum") == field->most);
    assert_string_equal(text_at(property, "/type"),
                        field->kind == PARAMETERS_WHOLE || field->kind == PARAMETERS_SIZES
                            ? "integer"
                            : "number");
}

static void document_has_every_parameter_with_its_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < parameters_n_fields; i++) {
        const struct parameters_field *field = &parameters_fields[i];
        const json_t *property = property_of(field);
        switch (field->kind) {
        case PARAMETERS_REAL:
        case PARAMETERS_WHOLE:
        case PARAMETERS_SIZES:
        case PARAMETERS_SHARES:
            check_range(field, property);
            break;
        case PARAMETERS_FLAG:
            assert_string_equal(text_at(property, "/type"), "boolean");
            break;
        case PARAMETERS_CHOICE:
            assert_int_equal(count_at(property, "/enum"),
                             field->n_choices + field->may_be_auto);
            assert_int_equal(lists(find_at(property, "/enum"), "auto"),
                             field->may_be_auto || strcmp(field->name, "preset") == 0);
            for (int k = 0; k < field->n_choices; k++)
                assert_true(lists(find_at(property, "/enum"), field->choice(k)));
            break;
        }
    }
}

static void check_default(const struct parameters_field *field,
                          const struct parameters *parameters, const json_t *value)
{
    switch (field->kind) {
    case PARAMETERS_REAL:
        assert_true(json_number_value(value) == parameters_real(parameters, field));
        break;
    case PARAMETERS_WHOLE:
        if (field->may_be_auto && parameters_whole(parameters, field) == 0)
            assert_string_equal(json_string_value(value), "auto");
        else
            assert_true((uint64_t)json_integer_value(value) ==
                        parameters_whole(parameters, field));
        break;
    case PARAMETERS_FLAG:
        assert_int_equal(json_boolean_value(value), parameters_flag(parameters, field));
        break;
    case PARAMETERS_CHOICE:
        assert_string_equal(json_string_value(value),
                            parameters_choice(parameters, field));
        break;
    case PARAMETERS_SIZES:
        assert_int_equal(json_array_size(value), parameters->n_hidden);
        break;
    case PARAMETERS_SHARES:
        assert_int_equal(parameters->n_dropout, 0);
        assert_true(json_number_value(value) == parameters->dropout[0]);
        break;
    }
}

static void document_has_the_default_of_every_parameter(void **state)
{
    struct parameters parameters;
    (void)state;
    parameters_init(&parameters, PARAMETERS_PRESET_AUTO);
    for (size_t i = 0; i < parameters_n_fields; i++) {
        const struct parameters_field *field = &parameters_fields[i];
        const json_t *value = json_object_get(property_of(field), "default");
        assert_non_null(value);
        check_default(field, &parameters, value);
    }
    assert_true(number_at(contract_document(),
                          "/components/schemas/JobRequest/properties/hidden_layer_sizes"
                          "/maxItems") == PARAMETERS_HIDDEN_MAX);
    assert_true(number_at(contract_document(),
                          "/components/schemas/JobRequest/properties/dropout"
                          "/oneOf/1/maxItems") == PARAMETERS_HIDDEN_MAX);
}

/* The field's value as it would stand in a request. */
static void print_value(const struct parameters *parameters,
                        const struct parameters_field *field, char out[64])
{
    switch (field->kind) {
    case PARAMETERS_REAL:
        snprintf(out, 64, "%g", parameters_real(parameters, field));
        break;
    case PARAMETERS_WHOLE:
        snprintf(out, 64, "%llu",
                 (unsigned long long)parameters_whole(parameters, field));
        break;
    case PARAMETERS_FLAG:
        snprintf(out, 64, "%s", parameters_flag(parameters, field) ? "true" : "false");
        break;
    case PARAMETERS_CHOICE:
        snprintf(out, 64, "\"%s\"", parameters_choice(parameters, field));
        break;
    case PARAMETERS_SIZES:
        snprintf(out, 64, "%zu layers", parameters->n_hidden);
        break;
    case PARAMETERS_SHARES:
        snprintf(out, 64, "%g", parameters->dropout[0]);
        break;
    }
}

static void check_preset(enum parameters_preset preset)
{
    struct parameters usual;
    struct parameters changed;
    parameters_init(&usual, PARAMETERS_PRESET_AUTO);
    parameters_init(&changed, preset);
    for (size_t i = 1; i < parameters_n_fields; i++) {
        const struct parameters_field *field = &parameters_fields[i];
        char before[64];
        char value[64];
        char expected[128];
        print_value(&usual, field, before);
        print_value(&changed, field, value);
        snprintf(expected, sizeof expected, "%s %s", parameters_preset_name((int)preset),
                 value);
        if (strcmp(before, value) != 0 &&
            !strstr(text_at(property_of(field), "/description"), expected))
            fail_msg("the description of %s does not say \"%s\"", field->name, expected);
    }
}

/* The descriptions say so: "sklearn 200, lecture 10". */
static void document_tells_what_presets_change(void **state)
{
    (void)state;
    check_preset(PARAMETERS_PRESET_SKLEARN);
    check_preset(PARAMETERS_PRESET_LECTURE);
    check_preset(PARAMETERS_PRESET_REALMLP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_says_that_it_is_well),
        cmocka_unit_test(healthcheck_tells_by_its_exit_code),
        cmocka_unit_test(wrong_options_are_told),
        cmocka_unit_test(port_in_use_is_told),
        cmocka_unit_test(request_id_is_given_back),
        cmocka_unit_test(unfit_request_id_is_replaced),
        cmocka_unit_test(head_is_get_without_the_body),
        cmocka_unit_test(answers_are_not_cached_nor_sniffed),
        cmocka_unit_test(document_is_served),
        cmocka_unit_test(document_has_every_route_and_no_other),
        cmocka_unit_test(document_has_every_parameter_with_its_range),
        cmocka_unit_test(document_has_the_default_of_every_parameter),
        cmocka_unit_test(document_tells_what_presets_change),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
