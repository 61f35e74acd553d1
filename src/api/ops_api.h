/* ops_api: health, version and the API's own document. Handlers of http/router.h. */
#ifndef API_OPS_API_H
#define API_OPS_API_H

#include "http/request.h"
#include "http/response.h"

int ops_api_healthz(void *service, const struct request *request,
                    struct response *response, struct err *err);
int ops_api_readyz(void *service, const struct request *request,
                   struct response *response, struct err *err);
int ops_api_version(void *service, const struct request *request,
                    struct response *response, struct err *err);
int ops_api_openapi(void *service, const struct request *request,
                    struct response *response, struct err *err);

#endif
