/* reply: a filled response as libmicrohttpd sends it, with the headers that are the server's. */
#ifndef HTTP_REPLY_H
#define HTTP_REPLY_H

#include <microhttpd.h>
#include <stdbool.h>

#include "http/response.h"

/*
 * Makes the reply of `response`, whose body is handed over without a copy and is empty
 * afterwards. `closes` says that the connection ends with it. The caller owns the result
 * (MHD_destroy_response). NULL when memory is out.
 */
struct MHD_Response *reply_new(struct response *response, const char *request_id,
                               bool closes);

#endif
