#include "http/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/guard.h"

#define CLIENT_ID_MAX 36

/* Where collected header fields or arguments go. */
struct collector {
    struct request_field *fields; /* [REQUEST_FIELDS_MAX] */
    size_t n;                     /* one more than the room when there were too many */
    bool looks_closely;           /* the library hides things */
    bool is_altered;              /* a field is not what was sent */
};

struct exchange *exchange_new(const char *target, size_t max_response_bytes)
{
    struct exchange *exchange = mem_new(1, sizeof *exchange, NULL);
    if (!exchange)
        return NULL;
    atomic_init(&exchange->stage, EXCHANGE_STARTED);
    response_init(&exchange->response, max_response_bytes);
    buf_init(&exchange->body, 0);
    exchange->request.body = "";
    if (!target)
        target = "";
    exchange->target_end = target + strlen(target);
    guard_check_target(target, &exchange->err);
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    buf_clear(&exchange->body);
    response_clear(&exchange->response);
    free(exchange);
}

/*
 * libmicrohttpd 0.9.75 hides three things from its caller: a folded line (glued to the *name*
 * of the field before it, so that "Content-Leng: 5" and " th" become "Content-Length: 5"), a
 * NUL (which ends the value) and a line that ends in a bare LF. It keeps the lines where they
 * were received, with NULs for the colon and the line's end; so what is not laid out as
 * name NUL spaces value NUL NUL was not sent as "name: value CR LF". Later versions refuse
 * all three themselves. tests/unit/test_server.c sends each to the library in use.
 */
static bool is_as_sent(const char *name, const char *value)
{
    const char *at = name + strlen(name) + 1;
    if ((uintptr_t)value < (uintptr_t)at)
        return false;
    size_t gap = (size_t)((uintptr_t)value - (uintptr_t)at);
    return strspn(at, " \t") >= gap && value[strlen(value) + 1] == '\0';
}

/* The same for "method target version": a NUL in the target would part it from the version. */
static bool is_request_line_as_sent(const struct exchange *exchange, const char *version)
{
    return version == exchange->target_end + 1 && version[strlen(version) + 1] == '\0';
}

/* And for the end of the last field: CR LF CR LF. Three bytes on is still within the memory
 * of the connection, whose end holds the library's own list of fields. */
static bool is_end_as_sent(const struct request_field *last)
{
    const char *end = last->value + strlen(last->value);
    return end[1] == '\0' && end[2] == '\0' && end[3] == '\0';
}

static bool hides_things(void)
{
    return strncmp(MHD_get_version(), "0.9.75", 6) == 0;
}

static enum MHD_Result collect(void *cls, enum MHD_ValueKind kind, const char *name,
                               size_t name_len, const char *value, size_t value_len)
{
    struct collector *collector = cls;
    (void)kind;
    if (collector->n == REQUEST_FIELDS_MAX) {
        collector->n++;
        return MHD_NO;
    }
    struct request_field *field = &collector->fields[collector->n++];
    field->name = name ? name : "";
    field->value = value ? value : "";
    collector->is_altered |=
        strlen(field->name) != name_len || strlen(field->value) != value_len;
    if (collector->looks_closely)
        collector->is_altered |= !is_as_sent(field->name, field->value);
    return MHD_YES;
}

static int read_headers(struct exchange *exchange, struct MHD_Connection *connection,
                        const char *version)
{
    struct request *request = &exchange->request;
    struct collector headers = {.fields = request->headers,
                                .looks_closely = hides_things()};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, collect, &headers);
    request->n_headers = headers.n < REQUEST_FIELDS_MAX ? headers.n : REQUEST_FIELDS_MAX;
    if (headers.looks_closely) {
        headers.is_altered |= !is_request_line_as_sent(exchange, version);
        if (headers.n > 0 && headers.n == request->n_headers && !headers.is_altered)
            headers.is_altered =
                !is_end_as_sent(&request->headers[request->n_headers - 1]);
    }
    if (headers.is_altered)
        return err_set(&exchange->err, ERR_MALFORMED, "bad_framing",
                       "a line is folded, has a NUL, or does not end in CR LF");
    return guard_check(request->method, version, request->headers, headers.n,
                       &exchange->err);
}

static int read_arguments(struct exchange *exchange, struct MHD_Connection *connection)
{
    struct request *request = &exchange->request;
    struct collector arguments = {.fields = request->arguments};
    MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, collect, &arguments);
    if (arguments.n > REQUEST_FIELDS_MAX)
        return err_set(&exchange->err, ERR_MALFORMED, "too_many_arguments",
                       "more than %d query arguments", REQUEST_FIELDS_MAX);
    request->n_arguments = arguments.n;
    return 0;
}

/* Digits only, which the guard has seen to; beyond size_t it is simply the most. */
static size_t parse_length(const char *text)
{
    size_t value = 0;
    for (; *text; text++) {
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (size_t)(*text - '0'), &value))
            return SIZE_MAX;
    }
    return value;
}

static void read_body_size(struct exchange *exchange)
{
    const char *length = request_header(&exchange->request, "Content-Length");
    exchange->content_length = length ? parse_length(length) : 0;
    exchange->has_body = exchange->content_length > 0 ||
                         request_header(&exchange->request, "Transfer-Encoding");
}

static bool is_client_id(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_."
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t len = strspn(text, allowed);
    return len >= 1 && len <= CLIENT_ID_MAX && text[len] == '\0';
}

/*
 * Random bits from the system for every request would cost a system call; a random prefix
 * and a counter are as unique. The odd factor permutes the 2^40 numbers, so that neighbours
 * do not look alike.
 */
static void name_request(struct request *request, const char *prefix, uint64_t number)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    const char *own = request_header(request, "X-Request-Id");
    if (own && is_client_id(own)) {
        memcpy(request->id, own, strlen(own) + 1);
        return;
    }
    uint64_t bits = number * UINT64_C(0x9E3779B97F4A7C15);
    char *out = request->id;
    memcpy(out, prefix, EXCHANGE_PREFIX_LEN);
    out += EXCHANGE_PREFIX_LEN;
    for (int shift = 0; shift < 40; shift += 5)
        *out++ = alphabet[(bits >> shift) & 31];
    *out = '\0';
}

int exchange_read(struct exchange *exchange, struct MHD_Connection *connection,
                  const char *version, const char *prefix, uint64_t number)
{
    int rc = read_headers(exchange, connection, version);
    if (rc == 0)
        rc = read_arguments(exchange, connection);
    name_request(&exchange->request, prefix, number);
    if (exchange->err.code != ERR_NONE)
        rc = -1; /* the target's fault */
    /* Where this request ends is not to be trusted: nothing may follow it. */
    exchange->closes = exchange->err.code == ERR_MALFORMED;
    if (!exchange->closes)
        read_body_size(exchange);
    return rc;
}
