#include "api/warm_start_json.h"

#include <string.h>

#include "api/json.h"
#include "base/decimal.h"

#define VERSION_MAX 1e15

static int set_model(struct model_reference *reference, const char *name, size_t len,
                     const char *pointer, struct err *err)
{
    struct model_reference named = {0};
    if (len < sizeof named.model)
        memcpy(named.model, name, len);
    if (!id_is_name(named.model))
        return err_set_at(err, ERR_INVALID, "bad_name", pointer,
                          "'%.60s' is no model's name", name);
    *reference = named;
    return 0;
}

static int set_version(struct model_reference *reference, double version,
                       const char *pointer, struct err *err)
{
    if (!(version >= 1 && version <= VERSION_MAX))
        return err_set_at(err, ERR_INVALID, "out_of_range", pointer,
                          "a version is a whole number from 1");
    reference->version = (uint64_t)version;
    return 0;
}

static int read_text(const char *text, struct model_reference *reference, struct err *err)
{
    static const char versions[] = "/versions/";
    double number = 0;
    const char *slash = strstr(text, versions);
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    if (set_model(reference, text, len, "/warm_start", err) < 0)
        return -1;
    if (!slash)
        return 0;
    const char *digits = slash + sizeof versions - 1;
    if (!*digits || strspn(digits, "0123456789") != strlen(digits) ||
        !decimal_parse(digits, strlen(digits), &number))
        number = 0;
    return set_version(reference, number, "/warm_start", err);
}

static int read_object(json_t *object, struct model_reference *reference, struct err *err)
{
    const char *name;
    json_t *value;
    const json_t *model = json_object_get(object, "model");
    const json_t *version = json_object_get(object, "version");
    json_object_foreach(object, name, value)
    {
        if (strcmp(name, "model") != 0 && strcmp(name, "version") != 0)
            return err_set_at(err, ERR_INVALID, "unknown_field", "/warm_start",
                              "warm_start has a model and a version, and no '%.60s'",
                              name);
    }
    if (!model)
        return err_set_at(err, ERR_INVALID, "missing_field", "/warm_start/model",
                          "warm_start needs a model: the name to go on from");
    if (!json_is_string(model))
        return json_wrong_type("/warm_start/model", "a text", model, err);
    if (version && !json_is_integer(version))
        return json_wrong_type("/warm_start/version", "a whole number", version, err);
    if (set_model(reference, json_string_value(model), json_string_length(model),
                  "/warm_start/model", err) < 0)
        return -1;
    return version ? set_version(reference, (double)json_integer_value(version),
                                 "/warm_start/version", err)
                   : 0;
}

int warm_start_json_read(const json_t *root, struct model_reference *reference,
                         struct err *err)
{
    json_t *value = json_object_get(root, "warm_start");
    *reference = (struct model_reference){0};
    if (!value)
        return 0;
    if (json_is_string(value))
        return read_text(json_string_value(value), reference, err);
    if (json_is_object(value))
        return read_object(value, reference, err);
    return json_wrong_type("/warm_start", "a model's name or an object", value, err);
}
