/* service: what every handler is given: the domain's objects. Borrowed, set up by app. */
#ifndef API_SERVICE_H
#define API_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>

struct db;
struct jobs;
struct predictor;

struct service {
    struct db *db;
    struct jobs *jobs;
    struct predictor *predictor;
    atomic_bool is_ready;    /* false before everything is up, and while draining */
    void *ctx;               /* for wake */
    void (*wake)(void *ctx); /* a request waits for a control thread */
};

#endif
