#include "http/reply.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The body as a reply: a constant one stays where it is, an own one is given away. */
static struct MHD_Response *wrap_body(struct response *response)
{
    size_t len = response->fixed_len;
    if (response->fixed) {
        /* The library takes a pointer to non-const, and only reads. */
        void *constant = NULL;
        memcpy(&constant, &response->fixed, sizeof constant);
        return MHD_create_response_from_buffer(len, constant, MHD_RESPMEM_PERSISTENT);
    }
    char *bytes = buf_take(&response->body, &len);
    if (!bytes)
        return NULL;
    struct MHD_Response *reply =
        MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
    if (!reply)
        free(bytes);
    return reply;
}

/* The library refuses empty values: such a header is left out. */
static bool add(struct MHD_Response *reply, const char *name, const char *value)
{
    return value[0] == '\0' || MHD_add_response_header(reply, name, value) == MHD_YES;
}

static bool has_own(const struct response *response, const char *name)
{
    for (size_t i = 0; i < response->n_headers; i++) {
        if (strcasecmp(response->headers[i].name, name) == 0)
            return true;
    }
    return false;
}

struct MHD_Response *reply_new(struct response *response, const char *request_id,
                               bool closes)
{
    bool has_body = response->fixed ? response->fixed_len > 0 : response->body.len > 0;
    struct MHD_Response *reply = wrap_body(response);
    if (!reply)
        return NULL;
    bool ok = add(reply, "X-Request-Id", request_id) &&
              add(reply, "X-Content-Type-Options", "nosniff");
    if (!has_own(response, "Cache-Control"))
        ok = ok && add(reply, "Cache-Control", "no-store");
    if (has_body)
        ok = ok && add(reply, "Content-Type", response->content_type);
    if (closes)
        ok = ok && add(reply, "Connection", "close");
    for (size_t i = 0; i < response->n_headers; i++)
        ok = ok && add(reply, response->headers[i].name, response->headers[i].value);
    if (!ok) {
        MHD_destroy_response(reply);
        return NULL;
    }
    return reply;
}
