/* problem: the one place where an error becomes an HTTP answer (RFC 9457). */
#ifndef API_PROBLEM_H
#define API_PROBLEM_H

#include "base/err.h"
#include "http/request.h"
#include "http/response.h"

/* Replaces whatever is in `response` by application/problem+json for err. What is wrong with
 * ourselves (ERR_IO, ERR_CORRUPT, ERR_INTERNAL) is told without details. */
void problem_render(const struct request *request, const struct err *err,
                    struct response *response);

#endif
