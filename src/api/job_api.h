/* job_api: /v1/jobs. Handlers of http/router.h; service is a struct service. */
#ifndef API_JOB_API_H
#define API_JOB_API_H

#include "http/request.h"
#include "http/response.h"

int job_api_create(void *service, const struct request *request,
                   struct response *response, struct err *err);
int job_api_list(void *service, const struct request *request, struct response *response,
                 struct err *err);
int job_api_get(void *service, const struct request *request, struct response *response,
                struct err *err);
int job_api_events(void *service, const struct request *request,
                   struct response *response, struct err *err);
int job_api_cancel(void *service, const struct request *request,
                   struct response *response, struct err *err);

#endif
