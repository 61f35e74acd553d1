#include "contract.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/openapi.h"
#include "api/routes.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static json_t *document;

static void release(void)
{
    json_decref(document);
}

static void load(void)
{
    document =
        json_loadb(openapi_document, openapi_document_len, JSON_REJECT_DUPLICATES, NULL);
    if (!document)
        abort();
    atexit(release);
}

const json_t *contract_document(void)
{
    pthread_once(&once, load);
    return document;
}

/* --- schemas: the keywords that the document uses ----------------------------------- */

struct check {
    char *why;
    size_t size;
};

static bool fits(const json_t *schema, const json_t *value, const char *at,
                 const struct check *check);

static bool refuse(const struct check *check, const char *at, const char *what)
{
    snprintf(check->why, check->size, "%.300s: %.150s", at[0] ? at : "/", what);
    return false;
}

static const json_t *resolve(const json_t *node)
{
    const char *ref;
    while ((ref = json_string_value(json_object_get(node, "$ref"))) != NULL) {
        char key[80];
        node = contract_document();
        for (ref++; node && *ref == '/';) {
            size_t len = strcspn(++ref, "/");
            snprintf(key, sizeof key, "%.*s", (int)len, ref);
            node = json_object_get(node, key);
            ref += len;
        }
    }
    return node;
}

static bool is_type(const char *type, const json_t *value)
{
    if (strcmp(type, "integer") == 0)
        return json_is_integer(value);
    if (strcmp(type, "number") == 0)
        return json_is_number(value);
    if (strcmp(type, "string") == 0)
        return json_is_string(value);
    if (strcmp(type, "boolean") == 0)
        return json_is_boolean(value);
    if (strcmp(type, "array") == 0)
        return json_is_array(value);
    if (strcmp(type, "object") == 0)
        return json_is_object(value);
    return strcmp(type, "null") == 0 && json_is_null(value);
}

static bool fits_type(const json_t *schema, const json_t *value)
{
    const json_t *type = json_object_get(schema, "type");
    if (!type || json_is_string(type))
        return !type || is_type(json_string_value(type), value);
    for (size_t i = 0; i < json_array_size(type); i++)
        if (is_type(json_string_value(json_array_get(type, i)), value))
            return true;
    return false;
}

static bool fits_values(const json_t *schema, const json_t *value)
{
    const json_t *constant = json_object_get(schema, "const");
    const json_t *list = json_object_get(schema, "enum");
    bool is_listed = list == NULL;
    for (size_t i = 0; i < json_array_size(list); i++)
        is_listed = is_listed || json_equal(json_array_get(list, i), value);
    return is_listed && (!constant || json_equal(constant, value));
}

static bool fits_range(const json_t *schema, const json_t *value)
{
    const json_t *least = json_object_get(schema, "minimum");
    const json_t *above = json_object_get(schema, "exclusiveMinimum");
    const json_t *most = json_object_get(schema, "maximum");
    double number = json_number_value(value);
    return !json_is_number(value) || ((!least || number >= json_number_value(least)) &&
                                      (!above || number > json_number_value(above)) &&
                                      (!most || number <= json_number_value(most)));
}

/* anyOf and oneOf: how many of the list fit. */
static size_t count_fitting(const json_t *list, const json_t *value, const char *at,
                            const struct check *check)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        n += fits(json_array_get(list, i), value, at, check);
    return n;
}

static bool fits_members(const json_t *schema, const json_t *value, const char *at,
                         const struct check *check)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *others = json_object_get(schema, "additionalProperties");
    const json_t *required = json_object_get(schema, "required");
    const char *name;
    json_t *member;
    char where[400];
    for (size_t i = 0; i < json_array_size(required); i++) {
        name = json_string_value(json_array_get(required, i));
        if (!json_object_get(value, name))
            return refuse(check, at, name);
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        const json_t *known = json_object_get(properties, name);
        snprintf(where, sizeof where, "%.300s/%.80s", at, name);
        if (!known && properties && !json_is_object(others))
            return refuse(check, where, "the document does not know it");
        if (!known)
            known = others;
        if (known && !fits(known, member, where, check))
            return false;
    }
    return true;
}

static bool fits_items(const json_t *schema, const json_t *value, const char *at,
                       const struct check *check)
{
    const json_t *items = json_object_get(schema, "items");
    const json_t *least = json_object_get(schema, "minItems");
    char where[400];
    if (least && json_array_size(value) < (size_t)json_integer_value(least))
        return refuse(check, at, "too few items");
    for (size_t i = 0; items && i < json_array_size(value); i++) {
        snprintf(where, sizeof where, "%.300s/%zu", at, i);
        if (!fits(items, json_array_get(value, i), where, check))
            return false;
    }
    return true;
}

static bool fits(const json_t *schema, const json_t *value, const char *at,
                 const struct check *check)
{
    schema = resolve(schema);
    const json_t *any = json_object_get(schema, "anyOf");
    const json_t *one = json_object_get(schema, "oneOf");
    if (!fits_type(schema, value))
        return refuse(check, at, "not the type in the document");
    if (!fits_values(schema, value))
        return refuse(check, at, "not one of the values in the document");
    if (!fits_range(schema, value))
        return refuse(check, at, "outside the range in the document");
    if (any && count_fitting(any, value, at, check) == 0)
        return false;
    if (one && count_fitting(one, value, at, check) != 1)
        return refuse(check, at, "not exactly one of the forms in the document");
    if (json_is_object(value))
        return fits_members(schema, value, at, check);
    return !json_is_array(value) || fits_items(schema, value, at, check);
}

/* --- operations --------------------------------------------------------------------- */

static const json_t *find_operation(const char *method, const char *path)
{
    struct request request = {.method = method};
    struct err err = {0};
    char allow[64];
    char bare[512];
    char lower[16] = "";
    size_t n;
    const struct route *routes = routes_table(&n);
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(path, "?"), path);
    request.path = bare;
    if (router_match(routes, n, &request, allow, sizeof allow, &err) < 0)
        return NULL;
    for (size_t i = 0; request.route->method[i] && i < sizeof lower - 1; i++)
        lower[i] = (char)tolower((unsigned char)request.route->method[i]);
    const json_t *item = json_object_get(json_object_get(contract_document(), "paths"),
                                         request.route->pattern);
    return json_object_get(item, lower);
}

static bool fits_answer(const json_t *response, const struct contract_case *one,
                        const struct check *check)
{
    const json_t *content = json_object_get(response, "content");
    const json_t *media = json_object_get(content, one->type);
    if (!content && !one->type[0])
        return true;
    if (!media)
        return refuse(check, one->path, "a Content-Type that the document does not know");
    return !one->answer || fits(json_object_get(media, "schema"), one->answer, "", check);
}

/* What is accepted must be what the document allows. */
static bool fits_request(const json_t *operation, const struct contract_case *one,
                         const struct check *check)
{
    const json_t *content =
        json_object_get(json_object_get(operation, "requestBody"), "content");
    const json_t *media = json_object_get(content, "application/json");
    if (!one->request || !media || one->status >= 300)
        return true;
    return fits(json_object_get(media, "schema"), one->request, "request", check);
}

bool contract_fits(const struct contract_case *one, char *why, size_t size)
{
    const struct check check = {why, size};
    char status[16];
    const json_t *operation = find_operation(one->method, one->path);
    if (!operation)
        return true;
    snprintf(status, sizeof status, "%ld", one->status);
    const json_t *responses = json_object_get(operation, "responses");
    const json_t *response = resolve(json_object_get(responses, status));
    if (!response)
        return refuse(&check, one->path, "a status that the document does not list");
    return fits_answer(response, one, &check) && fits_request(operation, one, &check);
}
