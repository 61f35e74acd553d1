/*
 * guard: refuses requests whose framing another server could read differently (request
 * smuggling), or that this service has no use for. Pure checks on header fields.
 */
#ifndef HTTP_GUARD_H
#define HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "http/request.h"

/*
 * Checks the n header fields (in order, duplicates kept) of a request. version is "HTTP/1.1"
 * or "HTTP/1.0". 0, or -1 with the reason: ERR_MALFORMED "bad_framing" (close the
 * connection), ERR_UNSUPPORTED "unknown_content_encoding", ERR_EXPECTATION
 * "unknown_expectation". The rules: names are tokens; no control characters in values; at
 * most one Content-Length (digits only) or one Transfer-Encoding (exactly "chunked", not on
 * 1.0), never both; no name that merely starts with either; exactly one Host on 1.1; no body
 * on GET, HEAD or DELETE; at most REQUEST_FIELDS_MAX fields.
 */
int guard_check(const char *method, const char *version,
                const struct request_field *fields, size_t n, struct err *err);

/* Checks a raw request target: not over 8 KiB, starts with '/', no spaces or control bytes,
 * no encoded NUL (%00) and, before the query, no encoded slash (%2f), which would change its
 * meaning once decoded. ERR_MALFORMED "bad_target". */
int guard_check_target(const char *target, struct err *err);

#endif
