#include "harness.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contract.h"

#define LISTENING "listening on "
#define LOG_TAIL  6000 /* bytes shown when something fails */

double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void pause_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* --- the server's stderr ------------------------------------------------------------ */

struct server_log {
    pthread_t thread; /* reads until the server is gone */
    bool is_reading;  /* the thread is to be joined */
    int fd;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t more;
    char *text; /* owned, NUL-terminated, of all runs */
    size_t len;
    size_t run_start; /* where the present run begins */
    bool is_over;
};

/* The log of the server started last, for failure messages. */
static struct server_log *last_log;

static void *read_log(void *arg)
{
    struct server_log *log = arg;
    char piece[4096];
    ssize_t got;
    while ((got = read(log->fd, piece, sizeof piece)) > 0 ||
           (got < 0 && errno == EINTR)) {
        if (got < 0)
            continue;
        pthread_mutex_lock(&log->lock);
        log->text = must(realloc(log->text, log->len + (size_t)got + 1));
        memcpy(log->text + log->len, piece, (size_t)got);
        log->len += (size_t)got;
        log->text[log->len] = '\0';
        pthread_cond_broadcast(&log->more);
        pthread_mutex_unlock(&log->lock);
    }
    pthread_mutex_lock(&log->lock);
    log->is_over = true;
    pthread_cond_broadcast(&log->more);
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

static struct server_log *log_new(void)
{
    struct server_log *log = must(calloc(1, sizeof *log));
    log->text = must(calloc(1, 1));
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->more, NULL);
    return log;
}

static void log_start(struct server_log *log, int fd)
{
    log->fd = fd;
    log->is_over = false;
    log->run_start = log->len;
    assert_int_equal(pthread_create(&log->thread, NULL, read_log, log), 0);
    log->is_reading = true;
}

static void log_finish(struct server_log *log)
{
    if (!log->is_reading)
        return;
    pthread_join(log->thread, NULL);
    close(log->fd);
    log->is_reading = false;
}

static void log_free(struct server_log *log)
{
    log_finish(log);
    if (last_log == log)
        last_log = NULL;
    pthread_cond_destroy(&log->more);
    pthread_mutex_destroy(&log->lock);
    free(log->text);
    free(log);
}

void harness_print_log(void)
{
    struct server_log *log = last_log;
    if (!log)
        return;
    pthread_mutex_lock(&log->lock);
    size_t from = log->len > LOG_TAIL ? log->len - LOG_TAIL : 0;
    fprintf(stderr, "--- server log ---\n%s\n------------------\n", log->text + from);
    pthread_mutex_unlock(&log->lock);
}

/* Waits for the line with the address; false when the server died or took too long. */
static bool log_wait_url(struct server_log *log, char *url, size_t size)
{
    struct timespec until;
    const char *found = NULL;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HARNESS_PATIENCE_S;
    pthread_mutex_lock(&log->lock);
    for (;;) {
        found = strstr(log->text + log->run_start, LISTENING);
        if (found && strchr(found, '\n'))
            break;
        found = NULL;
        if (log->is_over || rc != 0)
            break;
        rc = pthread_cond_timedwait(&log->more, &log->lock, &until);
    }
    if (found) {
        found += strlen(LISTENING);
        snprintf(url, size, "%.*s", (int)strcspn(found, "\n"), found);
    }
    pthread_mutex_unlock(&log->lock);
    return found != NULL;
}

/* --- the child ---------------------------------------------------------------------- */

/* What a failed test leaves behind: ended and removed at exit. */
static struct remains {
    char dir[64];
    pid_t pid; /* 0: not running */
    struct remains *next;
} * all_remains;

static int remove_entry(const char *path, const struct stat *status, int kind,
                        struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static void remove_remains(void)
{
    for (struct remains *it = all_remains; it; it = it->next) {
        if (it->pid) {
            kill(it->pid, SIGKILL);
            waitpid(it->pid, NULL, 0);
        }
        nftw(it->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    while (all_remains) {
        struct remains *next = all_remains->next;
        free(all_remains);
        all_remains = next;
    }
}

static void add_remains(const char *dir)
{
    static bool is_registered;
    struct remains *made = must(calloc(1, sizeof *made));
    snprintf(made->dir, sizeof made->dir, "%s", dir);
    made->next = all_remains;
    all_remains = made;
    if (!is_registered)
        atexit(remove_remains);
    is_registered = true;
}

static struct remains *find_remains(const char *dir)
{
    struct remains *it = all_remains;
    while (it && strcmp(it->dir, dir) != 0)
        it = it->next;
    return it;
}

static void drop_remains(const char *dir)
{
    struct remains **link = &all_remains;
    while (*link && strcmp((*link)->dir, dir) != 0)
        link = &(*link)->next;
    struct remains *found = *link;
    if (!found)
        return;
    *link = found->next;
    free(found);
}

static void set_pid(struct harness *harness, pid_t pid)
{
    struct remains *it = find_remains(harness->dir);
    harness->pid = pid;
    if (it)
        it->pid = pid;
}

static const char *binary(void)
{
    const char *path = getenv("MLPD_BINARY");
    return path ? path : "build/release/mlpd";
}

/* Starts the binary with its stderr in a pipe. It dies with this process. */
static pid_t spawn(char *const *argv, int *err_fd)
{
    int ends[2];
    const char *path = binary();
    pid_t parent = getpid();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || dup2(ends[1], STDERR_FILENO) < 0)
            _exit(126);
        execv(path, argv);
        _exit(127);
    }
    close(ends[1]);
    assert_true(pid > 0);
    *err_fd = ends[0];
    return pid;
}

/* The wait status, or -1 when the child is not gone in time. */
static int reap(pid_t pid)
{
    int status = 0;
    double until = now_s() + HARNESS_PATIENCE_S;
    while (waitpid(pid, &status, WNOHANG) != pid) {
        if (now_s() > until)
            return -1;
        pause_ms(2);
    }
    return status;
}

void harness_start(struct harness *harness)
{
    char *argv[24] = {(char *)binary(), "serve",    "--db",
                      harness->db,      "--listen", "127.0.0.1:0"};
    int n = 6;
    int fd;
    for (int i = 0; harness->arguments && harness->arguments[i]; i++)
        argv[n++] = (char *)harness->arguments[i];
    set_pid(harness, spawn(argv, &fd));
    last_log = harness->log;
    log_start(harness->log, fd);
    if (log_wait_url(harness->log, harness->url, sizeof harness->url))
        return;
    harness_print_log();
    harness_kill(harness);
    fail_msg("%s did not start", binary());
}

void harness_open(struct harness *harness, const char *const *arguments)
{
    const char *base = getenv("TMPDIR");
    *harness = (struct harness){.arguments = arguments, .log = log_new()};
    if (!base || strlen(base) > 30)
        base = "/tmp";
    snprintf(harness->dir, sizeof harness->dir, "%s/mlpd-test-XXXXXX", base);
    assert_non_null(mkdtemp(harness->dir));
    add_remains(harness->dir);
    snprintf(harness->db, sizeof harness->db, "%s/mlpd.db", harness->dir);
    harness_start(harness);
}

double harness_stop(struct harness *harness)
{
    double before = now_s();
    kill(harness->pid, SIGTERM);
    int status = reap(harness->pid);
    if (status == -1) {
        harness_print_log();
        harness_kill(harness);
        fail_msg("the server does not stop");
    }
    set_pid(harness, 0);
    log_finish(harness->log);
    if (status != 0) {
        harness_print_log();
        fail_msg("the server ended with status %#x, not with exit code 0", status);
    }
    return now_s() - before;
}

void harness_kill(struct harness *harness)
{
    kill(harness->pid, SIGKILL);
    reap(harness->pid);
    set_pid(harness, 0);
    log_finish(harness->log);
}

void harness_close(struct harness *harness)
{
    if (harness->pid)
        harness_stop(harness);
    nftw(harness->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    drop_remains(harness->dir);
    log_free(harness->log);
    *harness = (struct harness){0};
}

int harness_run(const char *const *arguments, char **text)
{
    char *argv[24] = {(char *)binary()};
    struct server_log *log = log_new();
    int fd;
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = (char *)arguments[i];
    pid_t pid = spawn(argv, &fd);
    log_start(log, fd);
    int status = reap(pid);
    if (status == -1) {
        kill(pid, SIGKILL);
        status = reap(pid);
    }
    log_finish(log);
    *text = log->text;
    log->text = NULL;
    log_free(log);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int harness_setup(void **state)
{
    struct harness *harness = must(calloc(1, sizeof *harness));
    harness_open(harness, NULL);
    *state = harness;
    return 0;
}

int harness_teardown(void **state)
{
    struct harness *harness = *state;
    harness_close(harness);
    free(harness);
    return 0;
}

/* --- the client --------------------------------------------------------------------- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    atexit(curl_global_cleanup);
}

void client_open(struct client *client, const struct harness *server)
{
    pthread_once(&curl_once, start_curl);
    *client = (struct client){.server = server, .curl = must(curl_easy_init())};
}

void client_forget(struct client *client)
{
    while (client->answers) {
        struct answer *answer = client->answers;
        client->answers = answer->next;
        json_decref(answer->json);
        json_decref(answer->sent);
        free(answer->headers);
        free(answer->body);
        free(answer);
    }
}

void client_close(struct client *client)
{
    client_forget(client);
    curl_easy_cleanup(client->curl);
    *client = (struct client){0};
}

static void append(char **text, size_t *len, const char *piece, size_t n)
{
    *text = must(realloc(*text, *len + n + 1));
    memcpy(*text + *len, piece, n);
    *len += n;
    (*text)[*len] = '\0';
}

static size_t take_body(char *piece, size_t size, size_t n, void *ctx)
{
    struct answer *answer = ctx;
    append(&answer->body, &answer->body_len, piece, size * n);
    return size * n;
}

static size_t take_header(char *piece, size_t size, size_t n, void *ctx)
{
    struct answer *answer = ctx;
    size_t len = strlen(answer->headers);
    /* Those of "100 Continue" are not the answer's. */
    if (size * n > 5 && memcmp(piece, "HTTP/", 5) == 0)
        len = 0;
    append(&answer->headers, &len, piece, size * n);
    return size * n;
}

static const char *method_of(const struct call *call)
{
    if (call->method)
        return call->method;
    return call->body ? "POST" : "GET";
}

static void set_method(CURL *curl, const struct call *call)
{
    const char *method = method_of(call);
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (call->body || strcmp(method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body ? call->body : "");
    }
    if (strcmp(method, "HEAD") != 0)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

static struct curl_slist *make_headers(const struct call *call)
{
    char type[128];
    snprintf(type, sizeof type, "Content-Type:%s%s", call->type ? " " : "",
             call->type ? call->type : "");
    struct curl_slist *list = curl_slist_append(NULL, type);
    for (size_t i = 0; i < sizeof call->headers / sizeof *call->headers; i++)
        if (call->headers[i])
            list = curl_slist_append(list, call->headers[i]);
    return must(list);
}

const struct answer *client_call(struct client *client, const struct call *call)
{
    CURL *curl = client->curl;
    struct answer *answer = must(calloc(1, sizeof *answer));
    struct curl_slist *headers = make_headers(call);
    char url[1024];

    answer->headers = must(calloc(1, 1));
    answer->body = must(calloc(1, 1));
    answer->next = client->answers;
    client->answers = answer;
    snprintf(answer->method, sizeof answer->method, "%s", method_of(call));
    snprintf(answer->path, sizeof answer->path, "%s", call->path);
    snprintf(url, sizeof url, "%s%s", client->server->url, call->path);
    curl_easy_reset(curl); /* keeps the connection */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)HARNESS_PATIENCE_S);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
    set_method(curl, call);
    CURLcode rc = curl_easy_perform(curl);
    if (rc == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    else
        snprintf(answer->failure, sizeof answer->failure, "%s", curl_easy_strerror(rc));
    curl_slist_free_all(headers);
    if (call->body) {
        answer->sent = json_loadb(call->body, call->len, 0, NULL);
        snprintf(answer->begin, sizeof answer->begin, "%.*s",
                 (int)(call->len < 200 ? call->len : 199), call->body);
    }
    answer->json =
        json_loadb(answer->body, answer->body_len, JSON_REJECT_DUPLICATES, NULL);
    return answer;
}

static const struct answer *call_path(struct client *client, const char *method,
                                      const char *fmt, va_list args)
{
    char path[512];
    vsnprintf(path, sizeof path, fmt, args);
    return client_call(client, &(struct call){.method = method, .path = path});
}

const struct answer *client_get(struct client *client, const char *path, ...)
{
    va_list args;
    va_start(args, path);
    const struct answer *answer = call_path(client, "GET", path, args);
    va_end(args);
    return answer;
}

const struct answer *client_delete(struct client *client, const char *path, ...)
{
    va_list args;
    va_start(args, path);
    const struct answer *answer = call_path(client, "DELETE", path, args);
    va_end(args);
    return answer;
}

static const struct answer *post_json(struct client *client, const char *path,
                                      const char *fmt, va_list args)
{
    char *body = NULL;
    int len = vasprintf(&body, fmt, args);
    if (len < 0)
        abort();
    for (char *at = body; (at = strchr(at, '\'')) != NULL;)
        *at = '"';
    const struct answer *answer = client_call(
        client,
        &(struct call){
            .path = path, .type = "application/json", .body = body, .len = (size_t)len});
    free(body);
    return answer;
}

const struct answer *client_post(struct client *client, const char *path, const char *fmt,
                                 ...)
{
    va_list args;
    va_start(args, fmt);
    const struct answer *answer = post_json(client, path, fmt, args);
    va_end(args);
    return answer;
}

const struct answer *client_post_csv(struct client *client, const char *path,
                                     const char *text)
{
    return client_call(
        client, &(struct call){
                    .path = path, .type = "text/csv", .body = text, .len = strlen(text)});
}

static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    char piece[65536];
    size_t n;
    *len = 0;
    if (!file)
        fail_msg("cannot open %s", path);
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        append(&bytes, len, piece, n);
    fclose(file);
    return bytes;
}

const struct answer *client_upload(struct client *client, const char *file,
                                   const char *name)
{
    char path[256];
    size_t len;
    char *bytes = read_file(file, &len);
    snprintf(path, sizeof path, "/v1/datasets?name=%s", name);
    const struct answer *answer = client_call(
        client,
        &(struct call){.path = path, .type = "text/csv", .body = bytes, .len = len});
    free(bytes);
    return answer;
}

const char *answer_header(const struct answer *answer, const char *name, char out[256])
{
    size_t len = strlen(name);
    out[0] = '\0';
    for (const char *at = answer->headers; at && *at;) {
        if (strncasecmp(at, name, len) == 0 && at[len] == ':') {
            at += len + 1;
            at += strspn(at, " ");
            snprintf(out, 256, "%.*s", (int)strcspn(at, "\r\n"), at);
            break;
        }
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    return out;
}

/* --- looking into answers ----------------------------------------------------------- */

json_t *find_at(const json_t *json, const char *pointer)
{
    char key[128];
    while (json && *pointer == '/') {
        size_t len = strcspn(++pointer, "/");
        snprintf(key, sizeof key, "%.*s", (int)len, pointer);
        json = json_is_array(json) ? json_array_get(json, strtoul(key, NULL, 10))
                                   : json_object_get(json, key);
        pointer += len;
    }
    return (json_t *)(uintptr_t)json;
}

static json_t *must_find(const json_t *json, const char *pointer, bool is_right,
                         const char *type)
{
    json_t *found = find_at(json, pointer);
    if (found && is_right)
        return found;
    char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    fprintf(stderr, "there is no %s at %s of %s\n", type, pointer,
            text ? text : "nothing");
    free(text);
    harness_print_log();
    fail();
    return NULL;
}

const char *text_at(const json_t *json, const char *pointer)
{
    return json_string_value(
        must_find(json, pointer, json_is_string(find_at(json, pointer)), "text"));
}

double number_at(const json_t *json, const char *pointer)
{
    return json_number_value(
        must_find(json, pointer, json_is_number(find_at(json, pointer)), "number"));
}

size_t count_at(const json_t *json, const char *pointer)
{
    return json_array_size(
        must_find(json, pointer, json_is_array(find_at(json, pointer)), "array"));
}

bool has_warning(const json_t *json, const char *code)
{
    for (size_t i = 0; i < count_at(json, "/warnings"); i++) {
        const json_t *warning = json_array_get(find_at(json, "/warnings"), i);
        if (strcmp(text_at(warning, "/code"), code) == 0)
            return true;
    }
    return false;
}

/* --- expectations ------------------------------------------------------------------- */

static void complain(const struct answer *answer, const char *expected)
{
    fprintf(stderr, "%s %s %s: expected %s, got %ld %s\n%s%.4000s\n", answer->method,
            answer->path, answer->begin, expected, answer->status, answer->failure,
            answer->headers, answer->body);
    harness_print_log();
    fail();
}

static void expect_contract(const struct answer *answer)
{
    char type[256];
    char why[600];
    struct contract_case one = {.method = answer->method,
                                .path = answer->path,
                                .status = answer->status,
                                .type = answer_header(answer, "Content-Type", type),
                                .answer = answer->json,
                                .request = answer->sent};
    if (!contract_fits(&one, why, sizeof why)) {
        fprintf(stderr, "not as in the OpenAPI document: %s\n", why);
        complain(answer, "an answer as documented");
    }
}

void expect_status(const struct answer *answer, long status)
{
    char expected[32];
    snprintf(expected, sizeof expected, "status %ld", status);
    if (answer->status != status)
        complain(answer, expected);
    expect_contract(answer);
}

static bool is_text(const json_t *json, const char *name, const char *value)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text && *text && (!value || strcmp(text, value) == 0);
}

void expect_problem(const struct answer *answer, long status, const char *code)
{
    const json_t *json = answer->json;
    char header[256];
    char type[160];
    char expected[200];
    snprintf(expected, sizeof expected, "problem %ld %s", status, code);
    snprintf(type, sizeof type, "urn:mlpd:error:%s", code);
    if (answer->status != status || !json)
        complain(answer, expected);
    if (!is_text(json, "code", code) || !is_text(json, "type", type) ||
        !is_text(json, "title", NULL) || !is_text(json, "detail", NULL) ||
        json_integer_value(json_object_get(json, "status")) != status)
        complain(answer, expected);
    if (strcmp(answer_header(answer, "Content-Type", header),
               "application/problem+json") != 0)
        complain(answer, "application/problem+json");
    answer_header(answer, "X-Request-Id", header);
    if (!header[0] || !is_text(json, "request_id", header))
        complain(answer, "request_id as in X-Request-Id");
    expect_contract(answer);
}

/* --- journeys ----------------------------------------------------------------------- */

const char *upload(struct client *client, const char *name)
{
    char file[128];
    snprintf(file, sizeof file, "tests/data/%s.csv", name);
    const struct answer *answer = client_upload(client, file, name);
    expect_status(answer, 201);
    return text_at(answer->json, "/id");
}

const char *submit(struct client *client, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const struct answer *answer = post_json(client, "/v1/jobs", fmt, args);
    va_end(args);
    expect_status(answer, 202);
    return text_at(answer->json, "/id");
}

static bool is_final(const char *state)
{
    return strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0 ||
           strcmp(state, "cancelled") == 0;
}

static bool has_begun(const json_t *job)
{
    return strcmp(text_at(job, "/state"), "running") == 0 && number_at(job, "/epoch") > 0;
}

/* Looks at the job until it is in a final state, or (is_begun) runs. */
static const struct answer *poll_job(struct client *client, const char *id, bool is_begun)
{
    double until = now_s() + HARNESS_PATIENCE_S;
    for (;;) {
        const struct answer *answer = client_get(client, "/v1/jobs/%s", id);
        expect_status(answer, 200);
        if (is_final(text_at(answer->json, "/state")) ||
            (is_begun && has_begun(answer->json)))
            return answer;
        if (now_s() > until)
            complain(answer, "the job to go on");
        pause_ms(5);
    }
}

const json_t *wait_job(struct client *client, const char *id, const char *state)
{
    const struct answer *answer = poll_job(client, id, false);
    if (strcmp(text_at(answer->json, "/state"), state) != 0)
        complain(answer, state);
    return answer->json;
}

const json_t *wait_running(struct client *client, const char *id)
{
    const struct answer *answer = poll_job(client, id, true);
    if (!has_begun(answer->json))
        complain(answer, "a running job");
    return answer->json;
}
