#include "api/routes.h"

#include <string.h>
#include <strings.h>

#include "api/dataset_api.h"
#include "api/job_api.h"
#include "api/model_api.h"
#include "api/ops_api.h"
#include "api/predict_api.h"
#include "api/problem.h"
#include "api/service.h"
#include "base/clock.h"
#include "base/log.h"

#define KIB 1024UL
#define MIB (1024UL * KIB)

#define UPLOAD_LIMIT  (256 * MIB) /* unless configured */
#define JOB_LIMIT     (16 * MIB)  /* rows in the request */
#define PREDICT_LIMIT (64 * MIB)
/* A prediction of this many bytes takes well under a millisecond. */
#define PREDICT_INLINE (64 * KIB)

static const struct route routes[] = {
    {"GET", "/healthz", ops_api_healthz, 0, ROUTE_ALWAYS_INLINE, "the process is alive"},
    {"GET", "/readyz", ops_api_readyz, 0, ROUTE_ALWAYS_INLINE,
     "the service takes requests"},
    {"GET", "/version", ops_api_version, 0, ROUTE_ALWAYS_INLINE,
     "version of the program"},
    {"GET", "/openapi.json", ops_api_openapi, 0, ROUTE_ALWAYS_INLINE,
     "this API as OpenAPI"},
    {"POST", "/v1/datasets", dataset_api_create, UPLOAD_LIMIT, 0, "upload a table"},
    {"GET", "/v1/datasets", dataset_api_list, 0, 0, "list datasets"},
    {"GET", "/v1/datasets/{id}", dataset_api_get, 0, 0, "describe a dataset"},
    {"DELETE", "/v1/datasets/{id}", dataset_api_delete, 0, 0, "delete a dataset"},
    {"GET", "/v1/datasets/{id}/rows", dataset_api_rows, 0, 0, "rows of a dataset"},
    {"POST", "/v1/jobs", job_api_create, JOB_LIMIT, 0, "launch a training job"},
    {"GET", "/v1/jobs", job_api_list, 0, 0, "list jobs"},
    {"GET", "/v1/jobs/{id}", job_api_get, 0, 0, "describe a job"},
    {"GET", "/v1/jobs/{id}/events", job_api_events, 0, 0,
     "history of a job, epoch by epoch"},
    {"POST", "/v1/jobs/{id}/cancel", job_api_cancel, 64 * KIB, 0, "cancel a job"},
    {"GET", "/v1/models", model_api_list, 0, 0, "list models"},
    {"GET", "/v1/models/{name}", model_api_get, 0, 0, "describe a model"},
    {"DELETE", "/v1/models/{name}", model_api_delete, 0, 0, "delete a model"},
    {"GET", "/v1/models/{name}/versions/{version}", model_api_get_version, 0, 0,
     "describe a version"},
    {"DELETE", "/v1/models/{name}/versions/{version}", model_api_delete_version, 0, 0,
     "delete a version"},
    {"POST", "/v1/models/{name}/predict", predict_api_create, PREDICT_LIMIT,
     PREDICT_INLINE, "predict with the newest version"},
    {"POST", "/v1/models/{name}/versions/{version}/predict", predict_api_create,
     PREDICT_LIMIT, PREDICT_INLINE, "predict with one version"},
};

#define N_ROUTES (sizeof routes / sizeof *routes)

static size_t upload_limit = UPLOAD_LIMIT; /* set before threads start */

const struct route *routes_table(size_t *n)
{
    *n = N_ROUTES;
    return routes;
}

void routes_set_upload_limit(size_t bytes)
{
    upload_limit = bytes;
}

static int check_encoding(const struct request *request, struct err *err)
{
    const char *encoding = request_header(request, "Content-Encoding");
    if (!encoding || strcasecmp(encoding, "identity") == 0)
        return 0;
    return err_set(err, ERR_UNSUPPORTED, "unknown_content_encoding",
                   "bodies are read as they are, without Content-Encoding");
}

static int admit(void *ctx, struct request *request, size_t *body_limit,
                 size_t *inline_up_to, struct err *err)
{
    char allow[64];
    (void)ctx;
    if (router_match(routes, N_ROUTES, request, allow, sizeof allow, err) < 0 ||
        check_encoding(request, err) < 0)
        return -1;
    const struct route *route = request->route;
    *body_limit = route->handle == dataset_api_create ? upload_limit : route->body_limit;
    *inline_up_to = route->inline_up_to;
    return 0;
}

/* What reads and succeeds is not worth a line a request; what changes or fails is. */
static void log_request(const struct request *request, unsigned status,
                        int64_t started_ns)
{
    bool is_quiet = status < 400 && request->route &&
                    (strcmp(request->method, "GET") == 0 ||
                     request->route->handle == predict_api_create);
    enum log_level level = status >= 500 ? LOG_ERROR : is_quiet ? LOG_DEBUG : LOG_INFO;
    if (log_has(level))
        log_line(level, "http", request->id, "%s %s %u %zu bytes in, %.1f ms",
                 request->method, request->path, status, request->body_len,
                 (double)(clock_monotonic_ns() - started_ns) * 1e-6);
}

static void refuse(void *ctx, const struct request *request, const struct err *err,
                   struct response *response)
{
    (void)ctx;
    problem_render(request, err, response);
    if (err->code == ERR_METHOD) {
        char allow[64] = "";
        struct err again = {0};
        struct request copy = *request;
        router_match(routes, N_ROUTES, &copy, allow, sizeof allow, &again);
        response_header(response, "Allow", "%s", allow);
    }
    if (response->status >= 500)
        log_line(LOG_ERROR, "http", request->id, "%s: %s", err->slug, err->message);
}

static void dispatch(void *ctx, struct request *request, struct response *response)
{
    struct err err = {0};
    int64_t started_ns = clock_monotonic_ns();
    if (request->route->handle(ctx, request, response, &err) < 0)
        refuse(ctx, request, &err, response);
    log_request(request, response->status, started_ns);
}

static void wake(void *ctx)
{
    struct service *service = ctx;
    service->wake(service->ctx);
}

struct server_app routes_app(struct service *service)
{
    return (struct server_app){service, admit, dispatch, refuse, wake};
}
