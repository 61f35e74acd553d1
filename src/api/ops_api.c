#include "api/ops_api.h"

#include <string.h>

#include "api/openapi.h"
#include "api/service.h"
#include "api/writer.h"
#include "core/gemm.h"

static void answer(struct response *response, const char *text)
{
    response->fixed = text;
    response->fixed_len = strlen(text);
}

/* The process answers: nothing else is looked at, so that a busy server is not restarted. */
int ops_api_healthz(void *service, const struct request *request,
                    struct response *response, struct err *err)
{
    (void)service;
    (void)request;
    (void)err;
    answer(response, "{\"status\":\"ok\"}\n");
    return 0;
}

int ops_api_readyz(void *service, const struct request *request,
                   struct response *response, struct err *err)
{
    struct service *our = service;
    (void)request;
    if (!atomic_load(&our->is_ready))
        return err_set(err, ERR_BUSY, "not_ready", "the server is starting or stopping");
    answer(response, "{\"status\":\"ready\"}\n");
    return 0;
}

int ops_api_version(void *service, const struct request *request,
                    struct response *response, struct err *err)
{
    struct writer writer;
    (void)service;
    (void)request;
    writer_init(&writer, &response->body);
    writer_object(&writer, NULL);
    writer_text(&writer, "name", "mlpd");
    writer_text(&writer, "version", MLPD_VERSION);
    writer_text(&writer, "kernel", gemm_kernel());
    writer_close(&writer);
    return buf_check(&response->body, err);
}

int ops_api_openapi(void *service, const struct request *request,
                    struct response *response, struct err *err)
{
    (void)service;
    (void)request;
    (void)err;
    response->fixed = openapi_document;
    response->fixed_len = openapi_document_len;
    return 0;
}
