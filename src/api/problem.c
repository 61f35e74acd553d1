#include "api/problem.h"

#include <stdio.h>

#include "api/writer.h"

static const struct {
    enum err_code code;
    unsigned status;
    const char *title;
} problems[] = {
    {ERR_MALFORMED, 400, "Bad Request"},
    {ERR_FORBIDDEN, 403, "Forbidden"},
    {ERR_NOT_FOUND, 404, "Not Found"},
    {ERR_METHOD, 405, "Method Not Allowed"},
    {ERR_NOT_ACCEPTABLE, 406, "Not Acceptable"},
    {ERR_CONFLICT, 409, "Conflict"},
    {ERR_CANCELLED, 409, "Conflict"},
    {ERR_TOO_LARGE, 413, "Content Too Large"},
    {ERR_UNSUPPORTED, 415, "Unsupported Media Type"},
    {ERR_EXPECTATION, 417, "Expectation Failed"},
    {ERR_INVALID, 422, "Unprocessable Content"},
    {ERR_DIVERGED, 422, "Unprocessable Content"},
    {ERR_BUSY, 503, "Service Unavailable"},
    {ERR_NO_MEMORY, 503, "Service Unavailable"},
    {ERR_STORAGE_FULL, 507, "Insufficient Storage"},
    /* the rest is ours: 500 */
    {ERR_INTERNAL, 500, "Internal Server Error"},
};

#define N_PROBLEMS (sizeof problems / sizeof *problems)

static size_t find(enum err_code code)
{
    for (size_t i = 0; i < N_PROBLEMS; i++)
        if (problems[i].code == code)
            return i;
    return N_PROBLEMS - 1;
}

static void render_field(struct writer *writer, const struct err *err)
{
    writer_array(writer, "errors");
    writer_object(writer, NULL);
    writer_text(writer, "pointer", err->pointer);
    writer_text(writer, "code", err->slug);
    writer_text(writer, "detail", err->message);
    writer_close(writer);
    writer_close(writer);
}

void problem_render(const struct request *request, const struct err *err,
                    struct response *response)
{
    size_t row = find(err->code);
    bool is_ours = problems[row].status == 500;
    const char *code = is_ours ? "internal" : err->slug;
    char type[80];
    struct writer writer;

    response_reset(response);
    response->status = problems[row].status;
    response->content_type = "application/problem+json";
    if (response->status == 503)
        response_header(response, "Retry-After", "1");
    snprintf(type, sizeof type, "urn:mlpd:error:%s", code);
    writer_init(&writer, &response->body);
    writer_object(&writer, NULL);
    writer_text(&writer, "type", type);
    writer_text(&writer, "title", problems[row].title);
    writer_whole(&writer, "status", problems[row].status);
    writer_text(&writer, "detail",
                is_ours
                    ? "the server failed; its log has the details under this request id"
                    : err->message);
    writer_text(&writer, "code", code);
    writer_text(&writer, "request_id", request->id);
    if (!is_ours && err->pointer[0])
        render_field(&writer, err);
    writer_close(&writer);
    buf_putc(&response->body, '\n');
}
