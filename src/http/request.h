/*
 * request: one HTTP request as handlers see it. Everything is borrowed and valid until the
 * handler returns. Header names compare without case.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define REQUEST_FIELDS_MAX 64 /* headers; query arguments */
#define REQUEST_PARAMS_MAX 4  /* {placeholders} of a route */
#define REQUEST_ID_SIZE    40

struct request_field {
    const char *name;
    const char *value; /* never NULL; "" when absent */
};

struct route;

struct request {
    /* X-Request-Id of the answer: the client's own when it is 1 to 36 letters, digits, '-',
     * '_' or '.', else a new one. */
    char id[REQUEST_ID_SIZE];
    const char *method; /* "GET" */
    const char *path;   /* percent-decoded, without the query */
    size_t n_headers;
    struct request_field headers[REQUEST_FIELDS_MAX];
    size_t n_arguments;
    struct request_field arguments[REQUEST_FIELDS_MAX];
    size_t n_params;
    struct request_field params[REQUEST_PARAMS_MAX]; /* filled by router_match */
    char param_text[512];                            /* where their values lie */
    const struct route *route;                       /* filled by router_match */
    const char *body; /* [body_len], never NULL, with a NUL behind it */
    size_t body_len;
};

/* Value of a header, or NULL. */
const char *request_header(const struct request *request, const char *name);

/* Value of a query argument, or NULL. */
const char *request_argument(const struct request *request, const char *name);

/* Value of a {placeholder} of the route, or NULL. */
const char *request_param(const struct request *request, const char *name);

/* True when Content-Type is `type` ("text/csv"), whatever its parameters. */
bool request_has_type(const struct request *request, const char *type);

/* Reads a whole-number argument into *value (left alone when absent). ERR_INVALID naming
 * the argument when it is not a number from `least` to `most`. */
int request_number(const struct request *request, const char *name, size_t least,
                   size_t most, size_t *value, struct err *err);

#endif
