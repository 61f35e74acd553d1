/*
 * router: finds the route of a method and path in a constant table. Thread-safe.
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http/request.h"
#include "http/response.h"

#define ROUTE_ALWAYS_INLINE SIZE_MAX

struct route {
    const char *method; /* "POST" */
    /* "/v1/datasets/{id}/rows"; {name} matches one non-empty segment, or its beginning when
     * the pattern goes on in that segment: "/v1/models/{name}:predict". */
    const char *pattern;
    /* Answers: 0 with the response filled, or -1 with err set; never both. */
    int (*handle)(void *service, const struct request *request, struct response *response,
                  struct err *err);
    size_t body_limit; /* ceiling of the body in bytes; 0: takes none */
    /* Bodies up to this many bytes are handled on the event thread, which must not block;
     * larger ones, and 0 for all, on a control thread. ROUTE_ALWAYS_INLINE: never blocks. */
    size_t inline_up_to;
    const char *summary; /* one line for people */
};

/*
 * Finds the first route for request->method and request->path among `n`, and fills
 * request->route and params. HEAD finds GET routes. ERR_NOT_FOUND "no_such_route", or ERR_METHOD
 * "method_not_allowed" with the allowed methods listed in `allow` ("GET, POST").
 */
int router_match(const struct route *routes, size_t n, struct request *request,
                 char *allow, size_t allow_size, struct err *err);

#endif
