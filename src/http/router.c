#include "http/router.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Keeps a copy of `len` bytes as text behind `used` bytes of param_text; NULL when full. */
static const char *keep(struct request *request, size_t *used, const char *text,
                        size_t len)
{
    if (len >= sizeof request->param_text - *used)
        return NULL;
    char *copy = request->param_text + *used;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *used += len + 1;
    return copy;
}

/*
 * Matches the placeholder at *pattern with the segment at *path, up to what the pattern
 * demands behind it in the same segment ("{name}:predict"), and moves both behind that.
 */
static bool match_placeholder(struct request *request, size_t *used, const char **pattern,
                              const char **path)
{
    const char *name = *pattern + 1;
    const char *close = strchr(name, '}');
    if (!close || request->n_params == REQUEST_PARAMS_MAX)
        return false;
    const char *suffix = close + 1;
    size_t suffix_len = strcspn(suffix, "/");
    size_t segment_len = strcspn(*path, "/");
    if (segment_len <= suffix_len)
        return false;
    size_t value_len = segment_len - suffix_len;
    if (memcmp(*path + value_len, suffix, suffix_len) != 0)
        return false;
    struct request_field *param = &request->params[request->n_params];
    param->name = keep(request, used, name, (size_t)(close - name));
    param->value = param->name ? keep(request, used, *path, value_len) : NULL;
    if (!param->value)
        return false;
    request->n_params++;
    *pattern = suffix + suffix_len;
    *path += segment_len;
    return true;
}

static bool match_path(const char *pattern, struct request *request)
{
    const char *path = request->path;
    size_t used = 0;
    request->n_params = 0;
    while (*pattern) {
        if (*pattern == '{') {
            if (!match_placeholder(request, &used, &pattern, &path))
                return false;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

/* Adds a method to the list unless it is there or does not fit. */
static void add_method(const char *method, char *allow, size_t allow_size)
{
    size_t len = strlen(method);
    for (const char *at = allow; *at; at += strspn(at, ", ")) {
        size_t word = strcspn(at, ",");
        if (word == len && strncmp(at, method, len) == 0)
            return;
        at += word;
    }
    size_t used = strlen(allow);
    if (used + len + 3 <= allow_size)
        snprintf(allow + used, allow_size - used, "%s%s", used ? ", " : "", method);
}

int router_match(const struct route *routes, size_t n, struct request *request,
                 char *allow, size_t allow_size, struct err *err)
{
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
    if (allow_size)
        allow[0] = '\0';
    bool is_path = false;
    for (size_t i = 0; i < n; i++) {
        if (!match_path(routes[i].pattern, request))
            continue;
        if (strcmp(routes[i].method, method) == 0) {
            request->route = &routes[i];
            return 0;
        }
        is_path = true;
        if (allow_size)
            add_method(routes[i].method, allow, allow_size);
    }
    request->n_params = 0;
    if (is_path)
        return err_set(err, ERR_METHOD, "method_not_allowed",
                       "this path takes %s, not %s", allow_size ? allow : "other methods",
                       request->method);
    return err_set(err, ERR_NOT_FOUND, "no_such_route", "there is nothing at %s",
                   request->path);
}
