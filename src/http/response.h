/*
 * response: what a handler answers with. The handler fills it; the server sends it and owns
 * the transport headers (Date, Content-Length, X-Request-Id, security headers).
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stddef.h>

#include "base/buf.h"

#define RESPONSE_HEADERS_MAX 8

struct response_header {
    const char *name; /* constant */
    char value[256];
};

struct response {
    unsigned status;          /* 200 unless changed */
    const char *content_type; /* constant; "application/json" unless changed */
    struct buf body;          /* owned; sent as is */
    const char *fixed;        /* constant bytes sent instead of body when not NULL */
    size_t fixed_len;
    size_t n_headers;
    struct response_header headers[RESPONSE_HEADERS_MAX];
};

/* An empty 200 whose body may grow to max_bytes. */
void response_init(struct response *response, size_t max_bytes);
void response_clear(struct response *response);

/* Forgets body and headers, keeps the ceiling: for an error after a half-written answer. */
void response_reset(struct response *response);

/* Adds a header; the value is a printf format. Control characters in it become '?'. Over
 * RESPONSE_HEADERS_MAX, or a value cut short, is a defect of ours (asserted). */
void response_header(struct response *response, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
