#include "http/server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "http/exchange.h"
#include "http/listener.h"
#include "http/reply.h"

#define RESERVE_MAX   (1U << 20)  /* bytes allocated at once on a client's word */
#define DISCARD_MAX   (64U << 20) /* bytes of a refused body read before the line is cut */
#define LINGER_MS     2000        /* for answers still being sent when the server stops */
#define THREADS_LEAST 2U          /* libmicrohttpd's pool needs two */

struct server {
    struct server_app app; /* its ctx is borrowed */
    size_t max_waiting;
    size_t max_buffered_bytes;
    size_t max_response_bytes;
    unsigned port;
    char id_prefix[EXCHANGE_PREFIX_LEN + 1];
    struct MHD_Daemon *daemon; /* owned */
    atomic_uint_fast64_t n_requests;
    atomic_size_t n_buffered; /* bytes of bodies in memory */
    atomic_size_t n_blocking; /* not 0 while any waits for, or is on, a control thread */
    atomic_size_t n_owed; /* requests whose body is in and whose answer is not yet sent */
    atomic_bool draining; /* set under lock, so that none starts to wait afterwards */
    pthread_mutex_t lock; /* guards the list: first, last, n_waiting */
    struct exchange *first;
    struct exchange *last;
    size_t n_waiting; /* in the list, or about to be */
};

/* --- answers ------------------------------------------------------------------------- */

/* The answer is under way from here until MHD says that the request is over. */
static void owe(struct server *server, struct exchange *exchange)
{
    if (!exchange->is_owed)
        atomic_fetch_add(&server->n_owed, 1);
    exchange->is_owed = true;
}

static void release_body(struct server *server, struct exchange *exchange)
{
    exchange->request.body = "";
    exchange->request.body_len = 0;
    buf_clear(&exchange->body);
    atomic_fetch_sub(&server->n_buffered, exchange->n_buffered);
    exchange->n_buffered = 0;
}

/* Makes the answer of exchange->err. */
static void refuse(struct server *server, struct exchange *exchange)
{
    release_body(server, exchange);
    response_reset(&exchange->response);
    server->app.refuse(server->app.ctx, &exchange->request, &exchange->err,
                       &exchange->response);
}

/* Lets the application answer; an answer that did not fit becomes an error. */
static void dispatch(struct server *server, struct exchange *exchange)
{
    server->app.dispatch(server->app.ctx, &exchange->request, &exchange->response);
    const struct buf *body = &exchange->response.body;
    if (body->out_of_memory)
        err_no_memory(&exchange->err);
    else if (body->over_limit)
        err_set(&exchange->err, ERR_INTERNAL, "answer_too_large",
                "the answer is larger than the %zu bytes allowed", body->limit);
    if (exchange->err.code != ERR_NONE)
        refuse(server, exchange);
    release_body(server, exchange);
}

/* Hands the answer to libmicrohttpd. MHD_NO, which cuts the connection, when memory is out. */
static enum MHD_Result send_answer(struct server *server, struct exchange *exchange,
                                   struct MHD_Connection *connection)
{
    owe(server, exchange);
    bool closes = exchange->closes || atomic_load(&server->draining);
    struct MHD_Response *reply =
        reply_new(&exchange->response, exchange->request.id, closes);
    if (!reply)
        return MHD_NO;
    enum MHD_Result rc = MHD_queue_response(connection, exchange->response.status, reply);
    MHD_destroy_response(reply);
    return rc;
}

/* --- waiting for a control thread ---------------------------------------------------- */

/* Books a place in the list, and counts it twice: until it is given back, and until the call
 * of wake is over, which must not reach an application that saw the server idle. */
static int reserve(struct server *server, struct err *err)
{
    int rc = 0;
    pthread_mutex_lock(&server->lock);
    if (atomic_load(&server->draining)) {
        rc = err_set(err, ERR_BUSY, "draining", "the server is shutting down");
    } else if (server->n_waiting >= server->max_waiting) {
        rc = err_set(err, ERR_BUSY, "busy", "%zu requests are waiting already",
                     server->n_waiting);
    } else {
        server->n_waiting++;
        atomic_fetch_add(&server->n_blocking, 2);
    }
    pthread_mutex_unlock(&server->lock);
    return rc;
}

static void push(struct server *server, struct exchange *exchange)
{
    exchange->next = NULL;
    pthread_mutex_lock(&server->lock);
    if (server->last)
        server->last->next = exchange;
    else
        server->first = exchange;
    server->last = exchange;
    pthread_mutex_unlock(&server->lock);
}

static struct exchange *pop(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    struct exchange *exchange = server->first;
    if (exchange) {
        server->first = exchange->next;
        if (!server->first)
            server->last = NULL;
        server->n_waiting--;
    }
    pthread_mutex_unlock(&server->lock);
    return exchange;
}

/* The suspension comes before the push: a control thread may resume at once. From the push
 * on the exchange is not ours. */
static enum MHD_Result wait_for_control(struct server *server, struct exchange *exchange,
                                        struct MHD_Connection *connection)
{
    if (reserve(server, &exchange->err)) {
        refuse(server, exchange);
        return send_answer(server, exchange, connection);
    }
    exchange->connection = connection;
    atomic_store(&exchange->stage, EXCHANGE_WAITING);
    MHD_suspend_connection(connection);
    push(server, exchange);
    server->app.wake(server->app.ctx);
    atomic_fetch_sub(&server->n_blocking, 1);
    return MHD_YES;
}

/* Gives the exchange back to its event thread; what follows may free it. */
static void give_back(struct server *server, struct exchange *exchange)
{
    struct MHD_Connection *connection = exchange->connection;
    atomic_store(&exchange->stage, EXCHANGE_ANSWERED);
    MHD_resume_connection(connection);
    atomic_fetch_sub(&server->n_blocking, 1);
}

int server_take(void *server, void **item)
{
    struct exchange *exchange = pop(server);
    if (!exchange)
        return 0;
    *item = exchange;
    return 1;
}

void server_run(void *server, void *item)
{
    dispatch(server, item);
    give_back(server, item);
}

/* --- what libmicrohttpd calls, on its event threads ---------------------------------- */

static int check_declared_length(struct server *server, struct exchange *exchange)
{
    if (exchange->content_length > exchange->body_limit)
        return err_set(&exchange->err, ERR_TOO_LARGE, "body_too_large",
                       "the body is larger than the %zu bytes allowed here",
                       exchange->body_limit);
    size_t used = atomic_load(&server->n_buffered);
    if (exchange->content_length > 0 &&
        (used > server->max_buffered_bytes ||
         exchange->content_length > server->max_buffered_bytes - used))
        return err_set(&exchange->err, ERR_BUSY, "busy",
                       "too many request bodies are in memory");
    return 0;
}

/*
 * A refusal in the first call ends the connection and leaves what the client still sends
 * unread, so that the closing may overtake the answer on its way. That is right when the
 * framing is in doubt, when the client waits for a word before it sends (100-continue), and
 * for a body too long to throw away; otherwise the body is read first, and the connection
 * stays.
 */
static bool answers_at_once(const struct exchange *exchange)
{
    return exchange->closes || exchange->content_length > DISCARD_MAX ||
           (exchange->has_body && request_header(&exchange->request, "Expect"));
}

static enum MHD_Result on_headers(struct server *server, struct exchange *exchange,
                                  struct MHD_Connection *connection, const char *version)
{
    uint64_t number = atomic_fetch_add(&server->n_requests, 1) + 1;
    int rc = exchange_read(exchange, connection, version, server->id_prefix, number);
    if (rc == 0)
        rc = server->app.admit(server->app.ctx, &exchange->request, &exchange->body_limit,
                               &exchange->inline_up_to, &exchange->err);
    if (rc == 0)
        rc = check_declared_length(server, exchange);
    if (rc == 0) {
        buf_init(&exchange->body, exchange->body_limit);
        atomic_store(&exchange->stage, EXCHANGE_RECEIVING);
        return MHD_YES;
    }
    atomic_store(&exchange->stage, EXCHANGE_REFUSED);
    refuse(server, exchange);
    if (!answers_at_once(exchange))
        return MHD_YES;
    exchange->closes = true;
    return send_answer(server, exchange, connection);
}

/* Charges the budget, then keeps the bytes. */
static int keep(struct server *server, struct exchange *exchange, const char *bytes,
                size_t len)
{
    struct buf *body = &exchange->body;
    if (len > body->limit - body->len)
        return err_set(&exchange->err, ERR_TOO_LARGE, "body_too_large",
                       "the body is larger than the %zu bytes allowed here",
                       exchange->body_limit);
    exchange->n_buffered += len;
    if (atomic_fetch_add(&server->n_buffered, len) + len > server->max_buffered_bytes)
        return err_set(&exchange->err, ERR_BUSY, "busy",
                       "too many request bodies are in memory");
    if (body->len == 0 && exchange->content_length <= RESERVE_MAX)
        buf_reserve(body, exchange->content_length);
    buf_put(body, bytes, len);
    return buf_check(body, &exchange->err);
}

/* Every chunk is consumed whole: the library hangs on leftovers. */
static enum MHD_Result on_chunk(struct server *server, struct exchange *exchange,
                                const char *bytes, size_t *len)
{
    size_t n = *len;
    *len = 0;
    if (exchange->stage == EXCHANGE_RECEIVING) {
        if (keep(server, exchange, bytes, n) == 0)
            return MHD_YES;
        atomic_store(&exchange->stage, EXCHANGE_REFUSED);
        refuse(server, exchange);
    }
    exchange->n_discarded += n;
    return exchange->n_discarded > DISCARD_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_body(struct server *server, struct exchange *exchange,
                               struct MHD_Connection *connection)
{
    const struct buf *body = &exchange->body;
    owe(server, exchange);
    exchange->request.body = body->len ? body->bytes : "";
    exchange->request.body_len = body->len;
    /* 0 is for control threads always, even without a body. */
    if (exchange->inline_up_to == 0 || body->len > exchange->inline_up_to)
        return wait_for_control(server, exchange, connection);
    dispatch(server, exchange);
    return send_answer(server, exchange, connection);
}

static enum MHD_Result on_call(void *cls, struct MHD_Connection *connection,
                               const char *url, const char *method, const char *version,
                               const char *upload, size_t *upload_len, void **con_cls)
{
    struct server *server = cls;
    struct exchange *exchange = *con_cls;
    if (!exchange)
        return MHD_NO; /* no memory for it */
    switch (atomic_load(&exchange->stage)) {
    case EXCHANGE_STARTED:
        exchange->request.method = method;
        exchange->request.path = url;
        return on_headers(server, exchange, connection, version);
    case EXCHANGE_RECEIVING:
        if (*upload_len)
            return on_chunk(server, exchange, upload, upload_len);
        return on_body(server, exchange, connection);
    case EXCHANGE_REFUSED:
        if (*upload_len)
            return on_chunk(server, exchange, upload, upload_len);
        return send_answer(server, exchange, connection);
    case EXCHANGE_ANSWERED:
        return send_answer(server, exchange, connection);
    case EXCHANGE_WAITING:
        break; /* suspended connections are not called */
    }
    return MHD_NO;
}

static void *on_request_line(void *cls, const char *target,
                             struct MHD_Connection *connection)
{
    const struct server *server = cls;
    (void)connection;
    return exchange_new(target, server->max_response_bytes);
}

static void on_over(void *cls, struct MHD_Connection *connection, void **con_cls,
                    enum MHD_RequestTerminationCode reason)
{
    struct server *server = cls;
    struct exchange *exchange = *con_cls;
    (void)connection;
    (void)reason;
    *con_cls = NULL;
    if (!exchange)
        return;
    release_body(server, exchange);
    if (exchange->is_owed)
        atomic_fetch_sub(&server->n_owed, 1);
    exchange_free(exchange);
}

/* --- start and stop ------------------------------------------------------------------ */

/* Without MHD_USE_ERROR_LOG the library keeps its messages to itself. */
static struct MHD_Daemon *start_daemon(struct server *server,
                                       const struct server_options *options, int fd)
{
    unsigned n_threads =
        options->n_threads > THREADS_LEAST ? (unsigned)options->n_threads : THREADS_LEAST;
    unsigned n_connections = options->max_connections < n_threads
                                 ? n_threads
                                 : (unsigned)options->max_connections;
    /* clang-format off */
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_call, server,
        MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_THREAD_POOL_SIZE, n_threads,
        MHD_OPTION_CONNECTION_LIMIT, n_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, options->idle_timeout_s,
#if MHD_VERSION >= 0x01000000
        MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1,
#else
        MHD_OPTION_STRICT_FOR_CLIENT, -1,
#endif
        MHD_OPTION_URI_LOG_CALLBACK, on_request_line, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_over, server,
        MHD_OPTION_END);
    /* clang-format on */
}

/* Signals are for the main thread: the event threads inherit a full mask. */
static int start_threads(struct server *server, const struct server_options *options,
                         int fd, struct err *err)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    server->daemon = start_daemon(server, options, fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    /* The descriptor is the library's, which closes it even when it cannot start. */
    if (!server->daemon)
        return err_set(err, ERR_INTERNAL, "no_server", "cannot start the event threads");
    return 0;
}

static void name_process(struct server *server)
{
    char id[ID_SIZE];
    id_new(id, "r");
    memcpy(server->id_prefix, id + 2, EXCHANGE_PREFIX_LEN);
    server->id_prefix[EXCHANGE_PREFIX_LEN] = '\0';
}

int server_start(const struct server_options *options, const struct server_app *app,
                 struct server **server, struct err *err)
{
    struct server *made = mem_new(1, sizeof *made, err);
    if (!made)
        return -1;
    made->app = *app;
    made->max_waiting = options->max_waiting;
    made->max_buffered_bytes = options->max_buffered_bytes;
    made->max_response_bytes = options->max_response_bytes;
    name_process(made);
    int fd = -1;
    if (pthread_mutex_init(&made->lock, NULL)) {
        free(made);
        return err_set(err, ERR_INTERNAL, "no_server", "cannot make a lock");
    }
    if (listener_open(options->host, options->port, &fd, &made->port, err) ||
        start_threads(made, options, fd, err)) {
        pthread_mutex_destroy(&made->lock);
        free(made);
        return -1;
    }
    *server = made;
    return 0;
}

unsigned server_port(const struct server *server)
{
    return server->port;
}

void server_drain(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    atomic_store(&server->draining, true);
    pthread_mutex_unlock(&server->lock);
}

bool server_is_idle(const struct server *server)
{
    return atomic_load(&server->n_blocking) == 0;
}

/* No control thread takes any more what still waits: it is refused. */
static void refuse_waiting(struct server *server)
{
    struct exchange *exchange = NULL;
    while ((exchange = pop(server)) != NULL) {
        err_set(&exchange->err, ERR_BUSY, "draining", "the server is shutting down");
        refuse(server, exchange);
        give_back(server, exchange);
    }
}

/* The library aborts the process over a suspended connection, so there must be none. */
void server_stop(struct server *server)
{
    if (!server)
        return;
    const struct timespec moment = {.tv_nsec = 1000000};
    server_drain(server);
    while (!server_is_idle(server)) {
        refuse_waiting(server);
        nanosleep(&moment, NULL);
    }
    int64_t until_ns = clock_monotonic_ns() + LINGER_MS * INT64_C(1000000);
    while (atomic_load(&server->n_owed) > 0 && clock_monotonic_ns() < until_ns)
        nanosleep(&moment, NULL);
    MHD_stop_daemon(server->daemon);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
