/* The server with a toy application, on a free port, spoken to through raw sockets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/router.h"
#include "http/server.h"
#include "work/pool.h"

#define MIB          ((size_t)1 << 20)
#define BIG_LEN      (8 * MIB) /* more than the kernel buffers */
#define N_CLIENTS    6
#define N_PER_CLIENT 50

/* --- the toy application ------------------------------------------------------------- */

static struct {
    struct server *server;
    struct pool *_Atomic pool;
    atomic_int gate;      /* 0: GET /wait blocks */
    atomic_bool stopping; /* nobody will open the gate */
    atomic_int n_in_wait; /* handlers of /wait that have begun */
} toy;

static const struct timespec moment = {.tv_nsec = 1000000};

static int get_hello(void *service, const struct request *request,
                     struct response *response, struct err *err)
{
    (void)service, (void)request, (void)err;
    response->fixed = "{\"hello\":1}";
    response->fixed_len = strlen(response->fixed);
    return 0;
}

static int get_empty(void *service, const struct request *request,
                     struct response *response, struct err *err)
{
    (void)service, (void)request, (void)err;
    response->status = 204;
    return 0;
}

static int get_big(void *service, const struct request *request,
                   struct response *response, struct err *err)
{
    (void)service, (void)request, (void)err;
    static const char block[10000];
    for (int i = 0; i < 1000; i++)
        buf_put(&response->body, block, sizeof block);
    return 0;
}

static int get_wait(void *service, const struct request *request,
                    struct response *response, struct err *err)
{
    (void)service, (void)request, (void)err;
    atomic_fetch_add(&toy.n_in_wait, 1);
    while (atomic_load(&toy.gate) == 0)
        nanosleep(&moment, NULL);
    static const char block[1024];
    for (size_t i = 0; i < BIG_LEN / sizeof block; i++)
        buf_put(&response->body, block, sizeof block);
    return 0;
}

/* What the request was: method, path, argument "a", id, thread, body. */
static int echo(void *service, const struct request *request, struct response *response,
                struct err *err)
{
    (void)service, (void)err;
    char thread[16] = "";
    pthread_getname_np(pthread_self(), thread, sizeof thread);
    const char *argument = request_argument(request, "a");
    response->content_type = "text/plain";
    response_header(response, "X-Echo", "%s",
                    request_header(request, "x-echo") ? request_header(request, "x-echo")
                                                      : "none");
    buf_printf(&response->body, "%s %s a=%s id=%s thread=%s body=", request->method,
               request->path, argument ? argument : "(none)", request->id,
               strcmp(thread, "toy") == 0 ? "control" : "event");
    buf_put(&response->body, request->body, request->body_len);
    return 0;
}

static const struct route routes[] = {
    {"GET", "/hello", get_hello, 0, ROUTE_ALWAYS_INLINE, ""},
    {"GET", "/empty", get_empty, 0, ROUTE_ALWAYS_INLINE, ""},
    {"GET", "/big", get_big, 0, 0, ""},
    {"GET", "/wait", get_wait, 0, 0, ""},
    {"GET", "/echo", echo, 0, ROUTE_ALWAYS_INLINE, ""},
    {"GET", "/blocking", echo, 0, 0, ""},
    {"POST", "/echo", echo, 1000, ROUTE_ALWAYS_INLINE, ""},
    {"POST", "/mixed", echo, MIB, 100, ""},
    {"POST", "/large", echo, 8 * MIB, ROUTE_ALWAYS_INLINE, ""},
};

static int admit(void *ctx, struct request *request, size_t *body_limit,
                 size_t *inline_up_to, struct err *err)
{
    (void)ctx;
    char allow[64];
    if (router_match(routes, sizeof routes / sizeof routes[0], request, allow,
                     sizeof allow, err))
        return -1;
    *body_limit = request->route->body_limit;
    *inline_up_to = request->route->inline_up_to;
    return 0;
}

static void refuse(void *ctx, const struct request *request, const struct err *err,
                   struct response *response)
{
    (void)ctx;
    response->status = err->code == ERR_MALFORMED     ? 400
                       : err->code == ERR_NOT_FOUND   ? 404
                       : err->code == ERR_METHOD      ? 405
                       : err->code == ERR_TOO_LARGE   ? 413
                       : err->code == ERR_UNSUPPORTED ? 415
                       : err->code == ERR_EXPECTATION ? 417
                       : err->code == ERR_BUSY        ? 503
                                                      : 500;
    buf_printf(&response->body, "error %s: %s; %s", err->slug, err->message, request->id);
}

static void dispatch(void *ctx, struct request *request, struct response *response)
{
    struct err err = {0};
    if (request->route->handle(ctx, request, response, &err))
        refuse(ctx, request, &err, response);
}

static void wake(void *ctx)
{
    (void)ctx;
    pool_wake(atomic_load(&toy.pool));
}

static const struct server_app app = {
    .admit = admit, .dispatch = dispatch, .refuse = refuse, .wake = wake};

static void start_server(size_t max_waiting, unsigned idle_timeout_s)
{
    const struct server_options options = {
        .host = "127.0.0.1",
        .n_threads = 2,
        .max_connections = 1000,
        .max_waiting = max_waiting,
        .max_buffered_bytes = 9 * MIB,
        .max_response_bytes = 9 * MIB,
        .idle_timeout_s = idle_timeout_s,
    };
    struct err err = {0};
    atomic_store(&toy.gate, 0);
    atomic_store(&toy.stopping, false);
    atomic_store(&toy.n_in_wait, 0);
    if (server_start(&options, &app, &toy.server, &err))
        fail_msg("%s", err.message);
    assert_in_range(server_port(toy.server), 1, 65535);
}

static void start_pool(size_t n_threads)
{
    const struct pool_task task = {
        .ctx = toy.server, .take = server_take, .run = server_run};
    struct pool *pool = NULL;
    struct err err = {0};
    assert_int_equal(pool_start(&task, n_threads, 0, "toy", &pool, &err), 0);
    atomic_store(&toy.pool, pool);
}

static void stop_pool(void)
{
    pool_stop(atomic_exchange(&toy.pool, NULL));
}

static int start_all(void **state)
{
    (void)state;
    start_server(1000, 30);
    start_pool(3);
    return 0;
}

static int stop_all(void **state)
{
    (void)state;
    atomic_store(&toy.gate, 1);
    server_drain(toy.server);
    while (!server_is_idle(toy.server) && atomic_load(&toy.pool))
        nanosleep(&moment, NULL);
    stop_pool();
    server_stop(toy.server);
    toy.server = NULL;
    return 0;
}

/* --- the client ---------------------------------------------------------------------- */

struct answer {
    int status; /* 0: the connection ended first */
    bool closes;
    bool is_whole; /* as many bytes as Content-Length said */
    size_t len;
    char head[4096];
    char *body; /* owned, with a NUL behind */
};

static void answer_free(struct answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

static int client_open(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server_port(toy.server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* False when the server closed meanwhile. */
static bool client_send(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool client_text(int fd, const char *text)
{
    return client_send(fd, text, strlen(text));
}

static size_t header_number(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);
    return at ? (size_t)strtoull(at + strlen(name), NULL, 10) : 0;
}

/* Reads one answer; has_no_body for HEAD. Never fails a test: threads call it. */
static struct answer client_answer(int fd, bool has_no_body)
{
    struct answer answer = {0};
    size_t n = 0;
    while (n < sizeof answer.head - 1 && !strstr(answer.head, "\r\n\r\n")) {
        if (recv(fd, answer.head + n, 1, 0) != 1)
            return answer;
        answer.head[++n] = '\0';
    }
    answer.status = atoi(answer.head + strlen("HTTP/1.1 "));
    answer.closes = strcasestr(answer.head, "\r\nConnection: close\r\n") != NULL;
    size_t expected = has_no_body ? 0 : header_number(answer.head, "\r\nContent-Length:");
    answer.body = calloc(1, expected + 1);
    while (answer.len < expected) {
        ssize_t got = recv(fd, answer.body + answer.len, expected - answer.len, 0);
        if (got <= 0)
            break;
        answer.len += (size_t)got;
    }
    answer.is_whole = answer.len == expected;
    return answer;
}

/* True when nothing comes before the end of the connection. */
static bool client_is_closed(int fd)
{
    char byte;
    return recv(fd, &byte, 1, 0) <= 0;
}

/* True when the connection ends, and nothing that could be a second answer came before:
 * the library's own 400 may repeat its head. */
static bool client_gets_nothing_more(int fd)
{
    char text[4096] = "";
    size_t len = 0;
    ssize_t got = 0;
    while (len < sizeof text - 1 &&
           (got = recv(fd, text + len, sizeof text - 1 - len, 0)) > 0)
        len += (size_t)got;
    return got <= 0 && !strstr(text, " 200 OK") && !strstr(text, "hello");
}

static struct answer ask(int fd, const char *request)
{
    client_text(fd, request);
    return client_answer(fd, strncmp(request, "HEAD", 4) == 0);
}

#define GET(path)        "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, rest) "POST " path " HTTP/1.1\r\nHost: a\r\n" rest

static void expect(int fd, const char *request, int status, const char *in_body)
{
    struct answer answer = ask(fd, request);
    if (answer.status != status || !answer.is_whole || !strstr(answer.body, in_body))
        fail_msg("%.60s: %d %s", request, answer.status, answer.body);
    answer_free(&answer);
}

/* --- tests --------------------------------------------------------------------------- */

static void connection_is_kept_over_many_gets(void **state)
{
    (void)state;
    int fd = client_open();
    for (int i = 0; i < 20; i++)
        expect(fd, GET("/hello"), 200, "{\"hello\":1}");
    close(fd);
}

static void refusals_without_a_body_keep_the_connection(void **state)
{
    (void)state;
    int fd = client_open();
    expect(fd, GET("/nothing"), 404, "no_such_route");
    expect(fd, "PUT /hello HTTP/1.1\r\nHost: a\r\n\r\n", 405, "this path takes GET");
    expect(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417, "unknown_exp");
    expect(fd, POST("/none", "Content-Length: 0\r\n\r\n"), 404, "no_such_route");
    expect(fd, GET("/hello"), 200, "hello");
    close(fd);
}

static void refusal_reads_a_body_and_keeps_the_connection(void **state)
{
    (void)state;
    int fd = client_open();
    expect(fd, POST("/none", "Content-Length: 5\r\n\r\nhello"), 404, "no_such_route");
    expect(fd, GET("/hello"), 200, "hello");
    close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    int fd = client_open();
    assert_true(
        client_text(fd, GET("/blocking?a=1") GET("/echo?a=2") GET("/blocking?a=3")));
    for (int i = 1; i <= 3; i++) {
        char wanted[16];
        snprintf(wanted, sizeof wanted, " a=%d ", i);
        struct answer answer = client_answer(fd, false);
        assert_int_equal(answer.status, 200);
        assert_non_null(strstr(answer.body, wanted));
        answer_free(&answer);
    }
    close(fd);
}

static void answer_carries_the_servers_headers(void **state)
{
    (void)state;
    int fd = client_open();
    struct answer answer = ask(fd, GET("/hello"));
    assert_non_null(strstr(answer.head, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(answer.head, "\r\nCache-Control: no-store\r\n"));
    assert_non_null(strstr(answer.head, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(answer.head, "\r\nX-Request-Id: "));
    assert_non_null(strstr(answer.head, "\r\nContent-Length: 11\r\n"));
    assert_false(answer.closes);
    answer_free(&answer);
    answer = ask(fd, "GET /echo HTTP/1.1\r\nHost: a\r\nX-ECHO: yes\r\n\r\n");
    assert_non_null(strstr(answer.head, "\r\nX-Echo: yes\r\n"));
    assert_non_null(strstr(answer.head, "\r\nContent-Type: text/plain\r\n"));
    answer_free(&answer);
    close(fd);
}

static void empty_answer_has_no_content_type(void **state)
{
    (void)state;
    int fd = client_open();
    struct answer answer = ask(fd, GET("/empty"));
    assert_int_equal(answer.status, 204);
    assert_null(strcasestr(answer.head, "\r\nContent-Type"));
    answer_free(&answer);
    expect(fd, GET("/hello"), 200, "hello");
    close(fd);
}

static void head_is_get_without_the_body(void **state)
{
    (void)state;
    int fd = client_open();
    struct answer answer = ask(fd, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(answer.status, 200);
    assert_int_equal(header_number(answer.head, "\r\nContent-Length:"), 11);
    answer_free(&answer);
    expect(fd, GET("/hello"), 200, "hello");
    close(fd);
}

static void good_request_id_is_kept_and_a_bad_one_replaced(void **state)
{
    (void)state;
    int fd = client_open();
    struct answer answer = ask(fd, "GET /echo HTTP/1.1\r\nHost: a\r\nX-Request-Id: "
                                   "Aa0-_.456789012345678901234567890123\r\n\r\n");
    assert_non_null(strstr(answer.head,
                           "\r\nX-Request-Id: Aa0-_.456789012345678901234567890123\r\n"));
    assert_non_null(strstr(answer.body, "id=Aa0-_.456789012345678901234567890123 "));
    answer_free(&answer);
    static const char *const bad[] = {"", "a b", "a\"b", "caf\xC3\xA9",
                                      "1234567890123456789012345678901234567"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "GET /echo HTTP/1.1\r\nHost: a\r\nX-Request-Id: %s\r\n\r\n", bad[i]);
        answer = ask(fd, request);
        const char *id = strstr(answer.body, "id=");
        assert_non_null(id);
        assert_int_equal(strcspn(id + 3, " "), 16);
        assert_int_equal(strspn(id + 3, "abcdefghijklmnopqrstuvwxyz234567"), 16);
        answer_free(&answer);
    }
    close(fd);
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static void request_ids_are_unique(void **state)
{
    (void)state;
    static char ids[500][16];
    int fd = client_open();
    for (size_t i = 0; i < 500; i++) {
        struct answer answer = ask(fd, GET("/hello"));
        const char *id = strstr(answer.head, "X-Request-Id: ");
        assert_non_null(id);
        memcpy(ids[i], id + strlen("X-Request-Id: "), 16);
        answer_free(&answer);
    }
    qsort(ids, 500, 16, compare_ids);
    for (size_t i = 1; i < 500; i++)
        assert_memory_not_equal(ids[i - 1], ids[i], 16);
    close(fd);
}

static void path_and_arguments_are_decoded(void **state)
{
    (void)state;
    int fd = client_open();
    expect(fd, GET("/%65cho?a=x%2Fy+z&b"), 200, "GET /echo a=x/y z ");
    expect(fd, GET("/echo?a"), 200, "a= ");
    expect(fd, GET("/echo"), 200, "a=(none)");
    close(fd);
}

static void size_decides_which_thread_answers(void **state)
{
    (void)state;
    int fd = client_open();
    expect(fd, GET("/echo"), 200, "thread=event");
    expect(fd, GET("/blocking"), 200, "thread=control");
    expect(fd, POST("/mixed", "Content-Length: 3\r\n\r\nabc"), 200, "event body=abc");
    expect(fd, POST("/mixed", "Content-Length: 0\r\n\r\n"), 200, "event body=");
    char request[512] = POST("/mixed", "Content-Length: 100\r\n\r\n");
    size_t head = strlen(request);
    memset(request + head, 'x', 100);
    expect(fd, request, 200, "event body=xxxx");
    memcpy(request, POST("/mixed", "Content-Length: 101\r\n\r\n"), head);
    memset(request + head, 'y', 101);
    expect(fd, request, 200, "control body=yyyy");
    close(fd);
}

static void chunked_body_arrives_whole(void **state)
{
    (void)state;
    int fd = client_open();
    expect(fd,
           POST("/echo", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n"
                         "0\r\nTrailer: t\r\n\r\n"),
           200, "body=abcdefg");
    expect(fd, GET("/hello"), 200, "hello");
    close(fd);
}

static void large_body_arrives_whole(void **state)
{
    (void)state;
    size_t len = 8 * MIB;
    char *body = malloc(len);
    assert_non_null(body);
    for (size_t i = 0; i < len; i++)
        body[i] = (char)('a' + i % 26);
    int fd = client_open();
    for (int i = 0; i < 3; i++) {
        client_text(fd, POST("/large", "Content-Length: 8388608\r\n\r\n"));
        assert_true(client_send(fd, body, len));
        struct answer answer = client_answer(fd, false);
        assert_int_equal(answer.status, 200);
        const char *start = strstr(answer.body, "body=");
        assert_non_null(start);
        assert_int_equal(answer.len - (size_t)(start + 5 - answer.body), len);
        assert_memory_equal(start + 5, body, len);
        answer_free(&answer);
    }
    close(fd);
    free(body);
}

/* A client in the middle of sending would lose an answer that is followed by a reset. */
static void declared_length_over_the_limit_is_413_once_sent(void **state)
{
    (void)state;
    char *body = calloc(1, BIG_LEN);
    assert_non_null(body);
    int fd = client_open();
    for (int i = 0; i < 3; i++) {
        client_text(fd, POST("/echo", "Content-Length: 8388608\r\n\r\n"));
        assert_true(client_send(fd, body, BIG_LEN));
        struct answer answer = client_answer(fd, false);
        assert_int_equal(answer.status, 413);
        assert_non_null(strstr(answer.body, "body_too_large"));
        assert_non_null(strstr(answer.body, "1000 bytes"));
        assert_false(answer.closes);
        answer_free(&answer);
    }
    close(fd);
    free(body);
}

/* Not a byte of the body is sent: the answer comes before it. */
static void client_that_waits_or_promises_too_much_is_refused_at_once(void **state)
{
    (void)state;
    static const char *const heads[] = {
        POST("/echo", "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n"),
        POST("/none", "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"),
        POST("/echo", "Content-Length: 999999999999\r\n\r\n"),
    };
    static const unsigned statuses[] = {413, 404, 413};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        int fd = client_open();
        struct answer answer = ask(fd, heads[i]);
        assert_int_equal(answer.status, statuses[i]);
        assert_true(answer.closes);
        assert_true(client_is_closed(fd));
        answer_free(&answer);
        close(fd);
    }
}

/* Sends `n` chunks of 1000 bytes and the end. */
static bool send_chunks(int fd, const char *path, size_t n)
{
    char text[1100];
    snprintf(text, sizeof text,
             "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", path);
    bool ok = client_text(fd, text);
    memcpy(text, "3E8\r\n", 5);
    memset(text + 5, 'z', 1000);
    memcpy(text + 1005, "\r\n", 3);
    for (size_t i = 0; ok && i < n; i++)
        ok = client_text(fd, text);
    return ok && client_text(fd, "0\r\n\r\n");
}

static void chunks_over_the_limit_are_413_at_the_end(void **state)
{
    (void)state;
    int fd = client_open();
    assert_true(send_chunks(fd, "/echo", 1));
    struct answer answer = client_answer(fd, false);
    assert_int_equal(answer.status, 200);
    answer_free(&answer);
    assert_true(send_chunks(fd, "/echo", 2000));
    answer = client_answer(fd, false);
    assert_int_equal(answer.status, 413);
    assert_non_null(strstr(answer.body, "1000 bytes"));
    answer_free(&answer);
    expect(fd, GET("/hello"), 200, "hello");
    close(fd);
}

static void endless_chunks_are_cut_off(void **state)
{
    (void)state;
    int fd = client_open();
    assert_false(send_chunks(fd, "/echo", 200000));
    close(fd);
}

static void bodies_over_the_budget_are_503(void **state)
{
    (void)state;
    char *block = calloc(1, MIB);
    assert_non_null(block);
    /* One client has 7 MiB in memory and does not go on ... */
    int holder = client_open();
    client_text(holder, POST("/large", "Content-Length: 8388608\r\n\r\n"));
    for (int i = 0; i < 7; i++)
        assert_true(client_send(holder, block, MIB));
    /* ... so that soon there is no room for a second one. */
    struct answer answer = {0};
    for (int i = 0; i < 500; i++) {
        int fd = client_open();
        answer = ask(fd, POST("/large", "Expect: 100-continue\r\n"
                                        "Content-Length: 2200000\r\n\r\n"));
        close(fd);
        if (answer.status == 503)
            break;
        answer_free(&answer);
        nanosleep(&moment, NULL);
    }
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.body, "error busy"));
    answer_free(&answer);
    /* Nor for one that does not tell its size. */
    int fd = client_open();
    assert_true(send_chunks(fd, "/large", 4000));
    answer = client_answer(fd, false);
    assert_int_equal(answer.status, 503);
    answer_free(&answer);
    /* The first one is served when it goes on, and its room is free again. */
    assert_true(client_send(holder, block, MIB));
    answer = client_answer(holder, false);
    assert_int_equal(answer.status, 200);
    answer_free(&answer);
    assert_true(send_chunks(fd, "/large", 8000));
    answer = client_answer(fd, false);
    assert_int_equal(answer.status, 200);
    answer_free(&answer);
    close(fd);
    close(holder);
    free(block);
}

static void ambiguous_framing_is_400_and_closed(void **state)
{
    (void)state;
    static const char smuggled[] = GET("/hello");
    static const char *const heads[] = {
        POST("/echo", "Content-Length: 0\r\nContent-Length: 38\r\n\r\n"),
        POST("/echo", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        POST("/echo", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
        POST("/echo", "Transfer-Encoding: xchunked\r\n\r\n"),
        POST("/echo", "Transfer-Encoding: gzip, chunked\r\n\r\n"),
        POST("/echo", "Transfer-Encoding: identity\r\n\r\n"),
        POST("/echo", "Content-Length : 0\r\n\r\n"),
        POST("/echo", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        POST("/echo", "Content-Length: +0\r\n\r\n"),
        POST("/echo", "Content-Length: 0,0\r\n\r\n"),
        POST("/echo", "Content-Length:\r\n\r\n"),
        POST("/echo", "X-A: b\r\n Content-Length: 38\r\n\r\n"),
        POST("/echo", "X-A: b\r\n\tContent-Length: 38\r\n\r\n"),
        POST("/echo", "Host: b\r\n\r\n"),
        POST("/echo", "Content-Length-X: 5\r\n\r\n"),
        POST("/echo", "no colon here\r\n\r\n"),
        "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /hello HTTP/1.1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
        "GET /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nX-A: \x01\r\n\r\n",
        "GET /hello%00 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /hello?a=%00 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /hello x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "GE(T /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /hello HTTP/1.2\r\nHost: a\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        int fd = client_open();
        client_text(fd, heads[i]);
        client_text(fd, smuggled);
        struct answer answer = client_answer(fd, false);
        if (answer.status != 400 && answer.status != 505)
            fail_msg("vector %zu: %d %s", i, answer.status, answer.body);
        if (!client_gets_nothing_more(fd))
            fail_msg("vector %zu: the connection stays open", i);
        answer_free(&answer);
        close(fd);
    }
}

/* What the library does not show to its caller (http/exchange.c). */
static void hidden_framing_is_400_and_closed(void **state)
{
    (void)state;
#define HIDDEN(text)                                                                     \
    {                                                                                    \
        text, sizeof(text) - 1                                                           \
    }
    static const struct {
        const char *bytes;
        size_t len;
    } heads[] = {
        HIDDEN(POST("/large", "Content-Leng: 38\r\n th\r\n\r\n")),
        HIDDEN(POST("/large", "Transfer-Encod: chunked\r\n\ting\r\n\r\n0\r\n\r\n")),
        HIDDEN(POST("/large", "Content-Length: 3\r\n 8\r\n\r\n")),
        HIDDEN(POST("/large", "X: a\r\n bcdefghijk\r\n\r\n")),
        HIDDEN(POST("/large", "X: a\r\n \r\n\r\n")),
        HIDDEN(POST("/large", "X:\r\n a\r\n\r\n")),
        HIDDEN(POST("/large", "X: a\r\n b\r\n c\r\n\r\n")),
        HIDDEN(POST("/large", "X: a\0b\r\n\r\n")),
        HIDDEN(POST("/large", "Content-Length: 0\0"
                              "38\r\n\r\n")),
        HIDDEN(POST("/large", "X\0Y: a\r\n\r\n")),
        HIDDEN("GET /echo\0x HTTP/1.1\r\nHost: a\r\n\r\n"),
        HIDDEN("GET /echo HTTP/1.1\nHost: a\r\n\r\n"),
        HIDDEN("GET /echo HTTP/1.1\r\nHost: a\n\r\n"),
        HIDDEN("GET /echo HTTP/1.1\r\nHost: a\r\n\n"),
        HIDDEN("GET /echo HTTP/1.1\r\nHost: a\n\n"),
        HIDDEN(POST("/large", "X: a\nContent-Length: 0\r\n\r\n")),
        HIDDEN(POST("/large", "Content-Length: 0\nX: a\r\n\r\n")),
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        int fd = client_open();
        /* In one piece, so that what follows is there to be looked at. */
        char text[512];
        memcpy(text, heads[i].bytes, heads[i].len);
        memcpy(text + heads[i].len, GET("/hello"), strlen(GET("/hello")));
        client_send(fd, text, heads[i].len + strlen(GET("/hello")));
        struct answer answer = client_answer(fd, false);
        if (answer.status != 400)
            fail_msg("vector %zu: %d %s", i, answer.status, answer.body);
        if (!client_gets_nothing_more(fd))
            fail_msg("vector %zu: the connection stays open", i);
        answer_free(&answer);
        close(fd);
    }
}

/* However a head arrives, it is not taken for an altered one. */
static void sound_heads_pass_however_they_arrive(void **state)
{
    (void)state;
    char request[8192] = "GET /echo?a=1 HTTP/1.1\r\nHost:a\r\nX-Spaces: \t  b  \r\n"
                         "X-Empty:\r\nX-Blank:  \r\nCookie: c=d; e=f\r\nX-Long: ";
    size_t len = strlen(request);
    memset(request + len, 'x', 5000);
    len += 5000;
    len += (size_t)snprintf(request + len, sizeof request - len, "\r\nX-Last: 1\r\n\r\n");
    for (size_t step = 1; step < 6000; step = step * 3 + 1) {
        int fd = client_open();
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        for (size_t at = 0; at < len; at += step)
            client_send(fd, request + at, at + step < len ? step : len - at);
        expect(fd, GET("/echo?a=2"), 200, " a=1 ");
        struct answer answer = client_answer(fd, false);
        assert_int_equal(answer.status, 200);
        answer_free(&answer);
        close(fd);
    }
}

static void too_many_headers_or_arguments_are_400(void **state)
{
    (void)state;
    char request[4096] = "GET /hello HTTP/1.1\r\nHost: a\r\n";
    for (int i = 0; i < 64; i++)
        strncat(request, "X-A: b\r\n", sizeof request - strlen(request) - 1);
    strncat(request, "\r\n", sizeof request - strlen(request) - 1);
    int fd = client_open();
    expect(fd, request, 400, "more than 64 header fields");
    close(fd);
    snprintf(request, sizeof request, "GET /hello?");
    for (int i = 0; i < 65; i++)
        strncat(request, "a=b&", sizeof request - strlen(request) - 1);
    strncat(request, " HTTP/1.1\r\nHost: a\r\n\r\n",
            sizeof request - strlen(request) - 1);
    fd = client_open();
    expect(fd, request, 400, "more than 64 query arguments");
    close(fd);
}

static void oversized_answer_becomes_an_error(void **state)
{
    (void)state;
    int fd = client_open();
    expect(fd, GET("/big"), 500, "answer_too_large");
    expect(fd, GET("/hello"), 200, "hello");
    close(fd);
}

static void continue_is_asked_for_only_when_wanted(void **state)
{
    (void)state;
    int fd = client_open();
    struct answer answer =
        ask(fd, POST("/echo", "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
    assert_int_equal(answer.status, 100);
    answer_free(&answer);
    expect(fd, "hi", 200, "body=hi");
    close(fd);
}

static void clients_may_leave_at_any_moment(void **state)
{
    (void)state;
    static const char *const starts[] = {
        "",
        "GET /he",
        "GET /hello HTTP/1.1\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\n",
        GET("/hello"),
        GET("/blocking"),
        GET("/big"),
        POST("/echo", "Content-Length: 10\r\n\r\n"),
        POST("/echo", "Content-Length: 10\r\n\r\nabc"),
        POST("/echo", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
        POST("/none", "Content-Length: 10\r\n\r\nab"),
        POST("/mixed", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
    };
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
            int fd = client_open();
            client_text(fd, starts[i]);
            close(fd);
        }
    }
    int fd = client_open();
    expect(fd, GET("/blocking"), 200, "control");
    close(fd);
}

/* One client: opens many connections, asks on all, then reads all; twice. */
static void *crowd_client(void *arg)
{
    atomic_int *n_good = arg;
    static const char *const requests[] = {
        GET("/hello"),
        GET("/blocking?a=7"),
        POST("/mixed", "Content-Length: 3\r\n\r\nabc"),
        POST("/mixed", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        GET("/nothing"),
    };
    int fds[N_PER_CLIENT];
    for (int i = 0; i < N_PER_CLIENT; i++)
        fds[i] = client_open();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N_PER_CLIENT; i++)
            client_text(fds[i], requests[i % 5]);
        for (int i = 0; i < N_PER_CLIENT; i++) {
            struct answer answer = client_answer(fds[i], false);
            if (answer.status == (i % 5 == 4 ? 404 : 200) && answer.is_whole)
                atomic_fetch_add(n_good, 1);
            answer_free(&answer);
        }
    }
    for (int i = 0; i < N_PER_CLIENT; i++)
        close(fds[i]);
    return NULL;
}

static void three_hundred_parallel_requests_are_answered(void **state)
{
    (void)state;
    pthread_t threads[N_CLIENTS];
    atomic_int n_good = 0;
    for (int i = 0; i < N_CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_client, &n_good), 0);
    for (int i = 0; i < N_CLIENTS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(n_good, 2 * N_CLIENTS * N_PER_CLIENT);
}

/* Waits up to ten seconds. */
static bool waits_are(int n)
{
    for (int i = 0; i < 10000 && atomic_load(&toy.n_in_wait) < n; i++)
        nanosleep(&moment, NULL);
    return atomic_load(&toy.n_in_wait) == n;
}

static void full_waiting_list_is_503(void **state)
{
    (void)state;
    start_server(2, 30);
    start_pool(1);
    int fds[4];
    fds[0] = client_open();
    client_text(fds[0], GET("/wait"));
    assert_true(waits_are(1)); /* on the only control thread: out of the list */
    /* Of three more, whichever comes last finds the two places taken. */
    int n_refused = 0;
    for (int i = 1; i < 4; i++) {
        fds[i] = client_open();
        client_text(fds[i], GET("/wait"));
    }
    const struct timeval short_patience = {.tv_usec = 300000};
    struct answer answers[4] = {0};
    for (int i = 1; i < 4; i++) {
        setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &short_patience,
                   sizeof short_patience);
        answers[i] = client_answer(fds[i], false);
        if (answers[i].status == 503 && strstr(answers[i].body, "error busy"))
            n_refused++;
    }
    assert_int_equal(n_refused, 1);
    assert_false(server_is_idle(toy.server));
    /* What does not block is served all the while. */
    int fd = client_open();
    expect(fd, GET("/hello"), 200, "hello");
    close(fd);
    atomic_store(&toy.gate, 1);
    const struct timeval patience = {.tv_sec = 20};
    for (int i = 0; i < 4; i++) {
        setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (answers[i].status != 503) {
            struct answer answer = client_answer(fds[i], false);
            assert_int_equal(answer.status, 200);
            answer_free(&answer);
        }
        answer_free(&answers[i]);
        close(fds[i]);
    }
    stop_all(NULL);
}

/* Begins to read only when the server may already be stopping. */
static void *waiting_client(void *arg)
{
    struct answer *answer = arg;
    int fd = client_open();
    client_text(fd, GET("/wait"));
    while (atomic_load(&toy.gate) == 0 && !atomic_load(&toy.stopping))
        nanosleep(&moment, NULL);
    const struct timespec while_ = {.tv_nsec = 300000000};
    nanosleep(&while_, NULL);
    *answer = client_answer(fd, false);
    answer->is_whole &= client_is_closed(fd);
    close(fd);
    return NULL;
}

static void drain_truncates_no_answer(void **state)
{
    (void)state;
    start_server(100, 30);
    start_pool(4);
    pthread_t threads[8];
    struct answer answers[8] = {0};
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, waiting_client, &answers[i]),
                         0);
    assert_true(waits_are(4)); /* four run, up to four wait */
    const struct timespec while_ = {.tv_nsec = 200000000};
    nanosleep(&while_, NULL);
    int kept = client_open();
    expect(kept, GET("/hello"), 200, "hello");
    server_drain(toy.server);
    assert_false(server_is_idle(toy.server));
    int fd = client_open();
    struct answer answer = ask(fd, GET("/blocking"));
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.body, "error draining"));
    assert_true(answer.closes);
    answer_free(&answer);
    close(fd);
    answer = ask(kept, GET("/hello"));
    assert_int_equal(answer.status, 200);
    assert_true(answer.closes);
    assert_true(client_is_closed(kept));
    answer_free(&answer);
    close(kept);
    atomic_store(&toy.gate, 1);
    while (!server_is_idle(toy.server))
        nanosleep(&moment, NULL);
    stop_all(NULL);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(answers[i].status, 200);
        assert_true(answers[i].closes);
        assert_int_equal(answers[i].len, BIG_LEN);
        assert_true(answers[i].is_whole);
        answer_free(&answers[i]);
    }
}

/* The library would abort the process over a connection that is still suspended. */
static void stop_refuses_what_still_waits(void **state)
{
    (void)state;
    start_server(100, 30); /* and no pool */
    pthread_t threads[4];
    struct answer answers[4] = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, waiting_client, &answers[i]),
                         0);
    while (server_is_idle(toy.server))
        nanosleep(&moment, NULL);
    const struct timespec while_ = {.tv_nsec = 200000000};
    nanosleep(&while_, NULL);
    atomic_store(&toy.stopping, true);
    server_stop(toy.server);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(answers[i].status, 503);
        assert_non_null(strstr(answers[i].body, "error draining"));
        assert_true(answers[i].is_whole);
        answer_free(&answers[i]);
    }
    toy.server = NULL;
}

static void silent_connection_is_closed(void **state)
{
    (void)state;
    start_server(100, 1);
    start_pool(1);
    int fd = client_open();
    int busy = client_open();
    client_text(busy, GET("/wait"));
    int64_t from = clock_monotonic_ns();
    assert_true(client_is_closed(fd));
    assert_in_range((clock_monotonic_ns() - from) / 1000000, 500, 10000);
    close(fd);
    /* A connection that waits for us is not silent. */
    const struct timespec while_ = {.tv_sec = 2};
    nanosleep(&while_, NULL);
    atomic_store(&toy.gate, 1);
    struct answer answer = client_answer(busy, false);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    answer_free(&answer);
    close(busy);
    stop_all(NULL);
}

static void taken_port_is_an_error_that_names_it(void **state)
{
    (void)state;
    struct server *second = NULL;
    struct server_options options = {
        .host = "127.0.0.1", .port = server_port(toy.server), .n_threads = 2};
    struct err err = {0};
    assert_int_equal(server_start(&options, &app, &second, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "127.0.0.1:%u: Address already in use", options.port);
    assert_non_null(strstr(err.message, wanted));
    assert_null(second);
}

static void address_that_is_none_is_an_error(void **state)
{
    (void)state;
    static const char *const hosts[] = {"localhost", "127.0.0.1.5", "", "192.0.2.1",
                                        "::ffff"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct server *server = NULL;
        const struct server_options options = {
            .host = hosts[i], .port = 0, .n_threads = 2, .max_connections = 10};
        struct err err = {0};
        assert_int_equal(server_start(&options, &app, &server, &err), -1);
        assert_int_equal(err.code, ERR_IO);
        assert_non_null(strstr(err.message, hosts[i]));
    }
    server_stop(NULL);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start_all, stop_all)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        WITH_SERVER(connection_is_kept_over_many_gets),
        WITH_SERVER(refusals_without_a_body_keep_the_connection),
        WITH_SERVER(refusal_reads_a_body_and_keeps_the_connection),
        WITH_SERVER(pipelined_requests_are_answered_in_order),
        WITH_SERVER(answer_carries_the_servers_headers),
        WITH_SERVER(empty_answer_has_no_content_type),
        WITH_SERVER(head_is_get_without_the_body),
        WITH_SERVER(good_request_id_is_kept_and_a_bad_one_replaced),
        WITH_SERVER(request_ids_are_unique),
        WITH_SERVER(path_and_arguments_are_decoded),
        WITH_SERVER(size_decides_which_thread_answers),
        WITH_SERVER(chunked_body_arrives_whole),
        WITH_SERVER(large_body_arrives_whole),
        WITH_SERVER(declared_length_over_the_limit_is_413_once_sent),
        WITH_SERVER(client_that_waits_or_promises_too_much_is_refused_at_once),
        WITH_SERVER(chunks_over_the_limit_are_413_at_the_end),
        WITH_SERVER(endless_chunks_are_cut_off),
        WITH_SERVER(bodies_over_the_budget_are_503),
        WITH_SERVER(ambiguous_framing_is_400_and_closed),
        WITH_SERVER(hidden_framing_is_400_and_closed),
        WITH_SERVER(sound_heads_pass_however_they_arrive),
        WITH_SERVER(too_many_headers_or_arguments_are_400),
        WITH_SERVER(oversized_answer_becomes_an_error),
        WITH_SERVER(continue_is_asked_for_only_when_wanted),
        WITH_SERVER(clients_may_leave_at_any_moment),
        WITH_SERVER(three_hundred_parallel_requests_are_answered),
        cmocka_unit_test(full_waiting_list_is_503),
        cmocka_unit_test(drain_truncates_no_answer),
        cmocka_unit_test(stop_refuses_what_still_waits),
        cmocka_unit_test(silent_connection_is_closed),
        WITH_SERVER(taken_port_is_an_error_that_names_it),
        cmocka_unit_test(address_that_is_none_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
