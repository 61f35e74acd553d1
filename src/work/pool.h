/*
 * pool: threads around a take/run pair. The pool has no queue of its own: where work waits
 * is the business of `take` (a table, a list). A thread takes one item, runs it, and sleeps
 * when there is none until pool_wake.
 */
#ifndef WORK_POOL_H
#define WORK_POOL_H

#include <stddef.h>

#include "base/err.h"

struct pool_task {
    void *ctx; /* borrowed; passed to both */
    /* Gives the next item in *item; 1: taken, 0: nothing to do, -1: failed (the pool tries
     * again a second later). Called by any pool thread, several at once. */
    int (*take)(void *ctx, void **item);
    /* Does the item and disposes of it. */
    void (*run)(void *ctx, void *item);
};

struct pool;

/*
 * Starts n_threads >= 1 threads, with `niceness` added to their scheduling priority (Linux:
 * per thread; 0 leaves it) and `name` (at most 15 letters) for debuggers. On success *pool is
 * owned by the caller. ERR_INTERNAL when threads cannot be made.
 */
int pool_start(const struct pool_task *task, size_t n_threads, int niceness,
               const char *name, struct pool **pool, struct err *err);

/* Says that there may be work: each call lets one sleeping thread look, and no wake is lost
 * between a take that found nothing and the sleep. Any thread, but none may be in
 * it when pool_stop is called. NULL is allowed. */
void pool_wake(struct pool *pool);

/* Lets items that run finish, starts no more, joins the threads and frees. NULL is allowed. */
void pool_stop(struct pool *pool);

#endif
