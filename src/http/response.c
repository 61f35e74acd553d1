#include "http/response.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void response_init(struct response *response, size_t max_bytes)
{
    response->status = 200;
    response->content_type = "application/json";
    buf_init(&response->body, max_bytes);
    response->fixed = NULL;
    response->fixed_len = 0;
    response->n_headers = 0;
}

void response_clear(struct response *response)
{
    size_t max_bytes = response->body.limit;
    buf_clear(&response->body);
    response_init(response, max_bytes);
}

void response_reset(struct response *response)
{
    response_clear(response);
}

void response_header(struct response *response, const char *name, const char *fmt, ...)
{
    assert(response->n_headers < RESPONSE_HEADERS_MAX);
    if (response->n_headers == RESPONSE_HEADERS_MAX)
        return;
    struct response_header *header = &response->headers[response->n_headers++];
    header->name = name;
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(header->value, sizeof header->value, fmt, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof header->value);
    if (len < 0)
        header->value[0] = '\0';
    for (char *c = header->value; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    }
}
