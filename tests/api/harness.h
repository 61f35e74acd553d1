/*
 * harness: the real server as a child process, and a client for it. A failed expectation
 * prints the answer and the end of the server's log. The server runs on a database of its
 * own in a temporary directory and on a port of its choice.
 */
#ifndef TESTS_API_HARNESS_H
#define TESTS_API_HARNESS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#define HARNESS_PATIENCE_S 60 /* sanitizer builds are slow */

/* --- the server --------------------------------------------------------------------- */

struct harness {
    char dir[64];
    char db[96];
    const char *const *arguments; /* borrowed: more of `mlpd serve`, NULL at the end */
    pid_t pid;                    /* 0: not running */
    char url[64];
    struct server_log *log; /* owned: what it wrote to stderr */
};

/* Makes a directory and starts the server there; the test fails if it does not start. */
void harness_open(struct harness *harness, const char *const *arguments);

/* Starts the server, again on the same directory. */
void harness_start(struct harness *harness);

/* SIGTERM; the exit code must be 0, which a sanitizer's finding changes. Returns how many
 * seconds it took. */
double harness_stop(struct harness *harness);

/* SIGKILL. */
void harness_kill(struct harness *harness);

/* Stops what runs and removes the directory. */
void harness_close(struct harness *harness);

/* Runs `mlpd ARGUMENTS` to its end: exit code, and what it wrote to stderr (owned by the
 * caller) in *text. */
int harness_run(const char *const *arguments, char **text);

/* Prints the end of the server's log. */
void harness_print_log(void);

/* For cmocka_run_group_tests: one server with default options in *state. */
int harness_setup(void **state);
int harness_teardown(void **state);

/* --- the client --------------------------------------------------------------------- */

/* What came back. Owned by the client, until client_forget or client_close. */
struct answer {
    long status; /* 0: no answer (connection refused, cut) */
    char *headers;
    char *body;
    size_t body_len;
    json_t *json; /* NULL when the body is not JSON */
    json_t *sent; /* the JSON that was sent, NULL when it was none */
    char method[16];
    char path[512];
    char begin[200];  /* of the body that was sent, for messages */
    char failure[96]; /* why there is no answer */
    struct answer *next;
};

/* One connection, for one thread. */
struct client {
    const struct harness *server; /* borrowed */
    void *curl;                   /* owned */
    struct answer *answers;       /* owned */
};

void client_open(struct client *client, const struct harness *server);
void client_forget(struct client *client);
void client_close(struct client *client);

struct call {
    const char *method; /* NULL: GET, or POST when there is a body */
    const char *path;
    const char *type; /* Content-Type, or NULL */
    const char *body; /* [len]; NULL: none */
    size_t len;
    const char *headers[4]; /* "Name: value" */
};

/* Sends and waits. Never NULL, never fails the test. */
const struct answer *client_call(struct client *client, const struct call *call);

const struct answer *client_get(struct client *client, const char *path, ...)
    __attribute__((format(printf, 2, 3)));
const struct answer *client_delete(struct client *client, const char *path, ...)
    __attribute__((format(printf, 2, 3)));

/* Posts JSON, printed from fmt, in which ' stands for ". */
const struct answer *client_post(struct client *client, const char *path, const char *fmt,
                                 ...) __attribute__((format(printf, 3, 4)));
const struct answer *client_post_csv(struct client *client, const char *path,
                                     const char *text);

/* Posts the file under that dataset name. */
const struct answer *client_upload(struct client *client, const char *file,
                                   const char *name);

/* Value of a header, copied to out; "" when absent. */
const char *answer_header(const struct answer *answer, const char *name, char out[256]);

/* --- looking into answers ----------------------------------------------------------- */

/* The value at a pointer ("/errors/0/code"), or NULL. */
json_t *find_at(const json_t *json, const char *pointer);

/* These fail the test when the value is absent or of another type. */
const char *text_at(const json_t *json, const char *pointer);
double number_at(const json_t *json, const char *pointer);
size_t count_at(const json_t *json, const char *pointer); /* of an array */

/* True when some warning of the answer has that code. */
bool has_warning(const json_t *json, const char *code);

/* --- expectations: fail the test with the whole answer ---------------------------------
 * Both also hold the answer against the OpenAPI document (contract.h). */

void expect_status(const struct answer *answer, long status);

/* A well-formed problem of that status and code, in all parts, X-Request-Id included. */
void expect_problem(const struct answer *answer, long status, const char *code);

/* --- journeys ----------------------------------------------------------------------- */

/* Uploads tests/data/NAME.csv; the dataset's id (owned by the client). */
const char *upload(struct client *client, const char *name);

/* Submits a job, ' for "; its id (owned by the client). */
const char *submit(struct client *client, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Polls until the job is in a final state, which must be `state`; the job. */
const json_t *wait_job(struct client *client, const char *id, const char *state);

/* Polls until the job runs and has finished an epoch; the job. */
const json_t *wait_running(struct client *client, const char *id);

/* Seconds on a clock that never jumps. */
double now_s(void);

/* A short pause between two looks. */
void pause_ms(long ms);

/* Members of a job that trains for hours unless it is told to stop. */
#define ENDLESS                                                                          \
    "'max_iter': 1000000, 'n_iter_no_change': 1000000, 'early_stopping': false, "        \
    "'validation_fraction': 0"

#endif
