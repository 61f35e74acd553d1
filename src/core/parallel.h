/*
 * parallel: how the core uses more than one thread without making any: whoever calls it may
 * lend it a way to run tasks. What a task computes and in which order it sums never depends
 * on who runs it or on how many threads there are, so neither do results.
 */
#ifndef CORE_PARALLEL_H
#define CORE_PARALLEL_H

#include <stddef.h>

struct parallel {
    void *ctx; /* borrowed; passed to run */
    /* Calls task(arg, i) once for each i in [0, n_tasks), on any threads, the caller's among
     * them, in any order; returns when all are done. What tasks wrote is then visible to the
     * caller. */
    void (*run)(void *ctx, void (*task)(void *arg, size_t i), void *arg, size_t n_tasks);
};

/* Runs through `parallel`, or one after the other on this thread when that is NULL or there
 * is but one task. */
void parallel_run(const struct parallel *parallel, void (*task)(void *arg, size_t i),
                  void *arg, size_t n_tasks);

#endif
