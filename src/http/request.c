#include "http/request.h"

#include <string.h>
#include <strings.h>

const char *request_header(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    }
    return NULL;
}

static const char *find(const struct request_field *fields, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return fields[i].value;
    }
    return NULL;
}

const char *request_argument(const struct request *request, const char *name)
{
    return find(request->arguments, request->n_arguments, name);
}

const char *request_param(const struct request *request, const char *name)
{
    return find(request->params, request->n_params, name);
}

bool request_has_type(const struct request *request, const char *type)
{
    const char *value = request_header(request, "Content-Type");
    if (!value)
        return false;
    size_t len = strcspn(value, "; \t");
    return len == strlen(type) && strncasecmp(value, type, len) == 0;
}

/* False for anything but digits, and for a number beyond size_t. */
static bool read_number(const char *text, size_t *value)
{
    size_t read = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        if (__builtin_mul_overflow(read, 10U, &read) ||
            __builtin_add_overflow(read, (size_t)(*text - '0'), &read))
            return false;
    }
    *value = read;
    return true;
}

int request_number(const struct request *request, const char *name, size_t least,
                   size_t most, size_t *value, struct err *err)
{
    const char *text = request_argument(request, name);
    if (!text)
        return 0;
    size_t read = 0;
    if (!read_number(text, &read) || read < least || read > most)
        return err_set(err, ERR_INVALID, "bad_argument",
                       "argument '%s' must be a whole number from %zu to %zu", name,
                       least, most);
    *value = read;
    return 0;
}
