/* predict_api: predictions over HTTP. Handlers of http/router.h; service is a struct
 * service. */
#ifndef API_PREDICT_API_H
#define API_PREDICT_API_H

#include "http/request.h"
#include "http/response.h"

int predict_api_create(void *service, const struct request *request,
                       struct response *response, struct err *err);

#endif
