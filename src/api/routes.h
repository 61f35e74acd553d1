/*
 * routes: the table of all routes, and the dispatcher: the callbacks of struct server_app
 * (http/server.h) with a struct service as ctx. It alone logs requests and turns errors into
 * answers.
 */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "http/router.h"
#include "http/server.h"

struct service;

/* The table [*n], a constant: tests hold it against the OpenAPI document. */
const struct route *routes_table(size_t *n);

/* The application for server_start. `service` outlives the server. */
struct server_app routes_app(struct service *service);

/* Ceiling of an uploaded table; set before the server starts. */
void routes_set_upload_limit(size_t bytes);

#endif
