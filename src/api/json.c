#include "api/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/mem.h"
#include "base/spell.h"

int json_check_type(const struct request *request, struct err *err)
{
    if (request_has_type(request, "application/json"))
        return 0;
    return err_set(err, ERR_UNSUPPORTED, "unsupported_media_type",
                   "this route takes Content-Type: application/json");
}

/* Our own scanner goes first: it limits depth without recursion and names line and column. */
static int check_syntax(const char *body, size_t len, struct err *err)
{
    struct json_scan scan;
    struct json_token token;
    json_scan_init(&scan, body, len);
    do {
        if (json_scan_next(&scan, &token, err) < 0)
            return -1;
    } while (token.kind != JSON_SCAN_END);
    return 0;
}

int json_read(const struct request *request, const char *body, size_t len, json_t **root,
              struct err *err)
{
    json_error_t error;
    if (json_check_type(request, err) < 0)
        return -1;
    if (len == 0)
        return err_set(err, ERR_MALFORMED, "empty_body", "the body is empty");
    if (check_syntax(body, len, err) < 0)
        return -1;
    json_t *value =
        json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value)
        return err_set(err, ERR_MALFORMED, "invalid_json",
                       "the body is not valid JSON: line %d, column %d: %s", error.line,
                       error.column, error.text);
    if (!json_is_object(value)) {
        json_decref(value);
        return err_set(err, ERR_INVALID, "wrong_type", "the body must be a JSON object");
    }
    *root = value;
    return 0;
}

int json_find_member(const char *body, size_t body_len, const char *name,
                     const char **value, size_t *len, struct err *err)
{
    struct json_scan scan;
    struct json_token token;
    *value = NULL;
    *len = 0;
    json_scan_init(&scan, body, body_len);
    if (body_len == 0)
        return 0;
    if (json_scan_next(&scan, &token, err) < 0)
        return -1;
    if (token.kind != JSON_SCAN_OBJECT_BEGIN)
        return 0;
    for (;;) {
        if (json_scan_next(&scan, &token, err) < 0)
            return -1;
        if (token.kind == JSON_SCAN_OBJECT_END)
            return 0;
        bool is_it = json_token_is(&token, name);
        const char *start = scan.at;
        if (json_scan_skip(&scan, err) < 0)
            return -1;
        if (is_it) {
            *value = start;
            *len = (size_t)(scan.at - start);
            return 0;
        }
    }
}

int json_unknown_field(const char *name, const char *const *known, size_t n,
                       struct err *err)
{
    char pointer[160];
    const char *nearest = spell_nearest(name, known, n);
    snprintf(pointer, sizeof pointer, "/%.100s", name);
    return err_set_at(err, ERR_INVALID, "unknown_field", pointer,
                      "there is no field '%.100s'%s%s%s", name,
                      nearest ? "; did you mean '" : "", nearest ? nearest : "",
                      nearest ? "'?" : "");
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",    [JSON_STRING] = "a text",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };
    return value ? names[json_typeof(value)] : "nothing";
}

int json_wrong_type(const char *pointer, const char *expected, const json_t *found,
                    struct err *err)
{
    return err_set_at(err, ERR_INVALID, "wrong_type", pointer, "%.60s must be %s, not %s",
                      pointer + 1, expected, type_name(found));
}

int json_get_text(const json_t *root, const char *name, const char **text,
                  struct err *err)
{
    char pointer[80];
    const json_t *value = json_object_get(root, name);
    *text = NULL;
    if (!value)
        return 0;
    snprintf(pointer, sizeof pointer, "/%s", name);
    if (!json_is_string(value))
        return json_wrong_type(pointer, "a text", value, err);
    *text = json_string_value(value);
    return 0;
}

int json_get_texts(const json_t *root, const char *name, const char ***texts, size_t *n,
                   struct err *err)
{
    char pointer[80];
    const json_t *list = json_object_get(root, name);
    *texts = NULL;
    *n = 0;
    if (!list)
        return 0;
    snprintf(pointer, sizeof pointer, "/%s", name);
    if (!json_is_array(list))
        return json_wrong_type(pointer, "a list of texts", list, err);
    size_t count = json_array_size(list);
    const char **read = mem_new(count, sizeof *read, err);
    if (!read)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item)) {
            free(read);
            snprintf(pointer, sizeof pointer, "/%s/%zu", name, i);
            return json_wrong_type(pointer, "a text", item, err);
        }
        read[i] = json_string_value(item);
    }
    *texts = read;
    *n = count;
    return 0;
}
