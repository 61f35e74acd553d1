/*
 * server: sockets to requests and back, on libmicrohttpd. Event threads parse and answer what
 * never blocks; what may block waits in the server's list with its connection suspended until
 * a control thread takes it (server_take / server_run fit a pool). The server knows nothing
 * of routes or JSON: it asks its struct server_app.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "http/request.h"
#include "http/response.h"

/* The application behind the server. All callbacks may run on several threads at once. */
struct server_app {
    void *ctx; /* borrowed; passed to all */
    /* Headers are in: finds the route and tells the body's ceiling and up to which size it is
     * handled inline (http/router.h). -1 with err set refuses before the body is read. */
    int (*admit)(void *ctx, struct request *request, size_t *body_limit,
                 size_t *inline_up_to, struct err *err);
    /* The body is in: answers. Never fails: errors are answers too. */
    void (*dispatch)(void *ctx, struct request *request, struct response *response);
    /* Turns an error into an answer. */
    void (*refuse)(void *ctx, const struct request *request, const struct err *err,
                   struct response *response);
    /* A request waits for a control thread. */
    void (*wake)(void *ctx);
};

struct server_options {
    const char *host; /* numeric address to bind: "127.0.0.1", "::1", "0.0.0.0" */
    unsigned port;    /* 0: any free one */
    size_t n_threads; /* event threads, >= 2 */
    size_t max_connections;
    size_t max_waiting; /* requests that may wait for control threads; beyond: 503 */
    size_t max_buffered_bytes; /* bodies in memory over all connections; beyond: 503 */
    size_t max_response_bytes; /* ceiling of one answer */
    unsigned idle_timeout_s;   /* a silent connection is closed after this */
};

struct server;

/* Binds and starts. ERR_IO when the address cannot be bound (names it and the reason). The
 * process must ignore SIGPIPE: a client may leave while it is being answered. */
int server_start(const struct server_options *options, const struct server_app *app,
                 struct server **server, struct err *err);

/* The port in use (the chosen one when 0 was asked). */
unsigned server_port(const struct server *server);

/* For a pool (work/pool.h): the next request that may block, and its handling. */
int server_take(void *server, void **item);
void server_run(void *server, void *item);

/* From now on answers say Connection: close, and requests that may block are refused with
 * 503 "draining"; those already waiting are still served by the control threads. */
void server_drain(struct server *server);

/* True when no request waits for, or is on, a control thread, and no call of wake is under way.
 * After server_drain it stays so: the pool can go. */
bool server_is_idle(const struct server *server);

/* Stops the event threads, closes all connections and frees. Call server_drain first, wait
 * for server_is_idle, and stop the control threads before: what still waits then is refused.
 * Answers on their way get up to two seconds to leave. NULL is allowed. */
void server_stop(struct server *server);

#endif
