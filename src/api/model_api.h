/* model_api: /v1/models. Handlers of http/router.h; service is a struct service. */
#ifndef API_MODEL_API_H
#define API_MODEL_API_H

#include <stdint.h>

#include "http/request.h"
#include "http/response.h"

int model_api_list(void *service, const struct request *request,
                   struct response *response, struct err *err);
int model_api_get(void *service, const struct request *request, struct response *response,
                  struct err *err);
int model_api_get_version(void *service, const struct request *request,
                          struct response *response, struct err *err);
int model_api_delete(void *service, const struct request *request,
                     struct response *response, struct err *err);
int model_api_delete_version(void *service, const struct request *request,
                             struct response *response, struct err *err);

/* The {version} of a route, 0 when the route has none. ERR_NOT_FOUND when it is no number. */
int model_api_version(const struct request *request, uint64_t *version, struct err *err);

#endif
