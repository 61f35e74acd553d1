/* openapi: the OpenAPI 3.1 document of the routes, embedded from openapi.json at build time. */
#ifndef API_OPENAPI_H
#define API_OPENAPI_H

#include <stddef.h>

extern const char openapi_document[];
extern const size_t openapi_document_len; /* without the NUL behind it */

#endif
