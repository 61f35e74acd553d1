/* dataset_api: /v1/datasets. Handlers of http/router.h; service is a struct service. */
#ifndef API_DATASET_API_H
#define API_DATASET_API_H

#include "http/request.h"
#include "http/response.h"

int dataset_api_create(void *service, const struct request *request,
                       struct response *response, struct err *err);
int dataset_api_list(void *service, const struct request *request,
                     struct response *response, struct err *err);
int dataset_api_get(void *service, const struct request *request,
                    struct response *response, struct err *err);
int dataset_api_rows(void *service, const struct request *request,
                     struct response *response, struct err *err);
int dataset_api_delete(void *service, const struct request *request,
                       struct response *response, struct err *err);

#endif
