#include "api/model_api.h"

#include <stdlib.h>
#include <string.h>

#include "api/page.h"
#include "api/render.h"
#include "api/service.h"
#include "base/decimal.h"
#include "domain/models.h"

int model_api_version(const struct request *request, uint64_t *version, struct err *err)
{
    const char *text = request_param(request, "version");
    double number = 0;
    *version = 0;
    if (!text)
        return 0;
    if (strspn(text, "0123456789") != strlen(text) ||
        !decimal_parse(text, strlen(text), &number) || number < 1 || number > 1e15)
        return err_set(err, ERR_NOT_FOUND, "no_such_version",
                       "'%.40s' is no version: versions are numbers from 1", text);
    *version = (uint64_t)number;
    return 0;
}

int model_api_list(void *service, const struct request *request,
                   struct response *response, struct err *err)
{
    struct service *our = service;
    struct model *items = NULL;
    size_t n = 0;
    struct page page;
    struct writer writer;

    if (page_read(request, &page, err) < 0 ||
        models_list(our->db, page.after, page.limit, &items, &n, err) < 0)
        return -1;
    writer_init(&writer, &response->body);
    page_open(&writer);
    for (size_t i = 0; i < n; i++)
        render_model(&writer, NULL, &items[i]);
    page_close(&writer, &page, n, n ? items[n - 1].seq : 0);
    for (size_t i = 0; i < n; i++)
        model_clear(&items[i]);
    free(items);
    return buf_check(&response->body, err);
}

int model_api_get(void *service, const struct request *request, struct response *response,
                  struct err *err)
{
    struct service *our = service;
    struct model model = {0};
    struct writer writer;

    if (models_get(our->db, request_param(request, "name"), &model, err) < 0)
        return -1;
    writer_init(&writer, &response->body);
    render_model(&writer, NULL, &model);
    model_clear(&model);
    return buf_check(&response->body, err);
}

int model_api_get_version(void *service, const struct request *request,
                          struct response *response, struct err *err)
{
    struct service *our = service;
    struct model_version version = {0};
    struct encoder encoder = {0};
    struct writer writer;
    uint64_t number = 0;

    if (model_api_version(request, &number, err) < 0 ||
        models_get_version(our->db, request_param(request, "name"), number, &version,
                           &encoder, err) < 0)
        return -1;
    writer_init(&writer, &response->body);
    render_version(&writer, &version, &encoder);
    model_version_clear(&version);
    encoder_clear(&encoder);
    return buf_check(&response->body, err);
}

int model_api_delete(void *service, const struct request *request,
                     struct response *response, struct err *err)
{
    struct service *our = service;
    response->status = 204;
    return models_delete(our->db, our->predictor, request_param(request, "name"), 0, err);
}

int model_api_delete_version(void *service, const struct request *request,
                             struct response *response, struct err *err)
{
    struct service *our = service;
    uint64_t number = 0;
    if (model_api_version(request, &number, err) < 0)
        return -1;
    response->status = 204;
    return models_delete(our->db, our->predictor, request_param(request, "name"), number,
                         err);
}
