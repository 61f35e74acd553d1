#include "work/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "work/thread.h"

#define RETRY_S 1 /* pause after a failed take */

struct pool {
    struct pool_task task;
    int niceness;
    char name[16];          /* the kernel's limit, with the NUL */
    pthread_mutex_t lock;   /* guards n_wakes and stopping */
    pthread_cond_t changed; /* on the monotonic clock */
    size_t n_wakes;         /* wakes that no thread has followed yet, at most n_threads */
    bool stopping;
    size_t n_threads; /* started */
    size_t n_wanted;
    pthread_t threads[];
};

static bool is_stopping(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool stopping = pool->stopping;
    pthread_mutex_unlock(&pool->lock);
    return stopping;
}

/* Sleeps until there is a wake to follow, the pool stops or, after a failed take, the pause
 * is over. */
static void rest(struct pool *pool, bool failed)
{
    struct timespec until = {0};
    if (failed) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += RETRY_S;
    }
    int rc = 0;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping && pool->n_wakes == 0 && rc == 0) {
        if (failed)
            rc = pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
        else
            rc = pthread_cond_wait(&pool->changed, &pool->lock);
    }
    if (pool->n_wakes > 0)
        pool->n_wakes--;
    pthread_mutex_unlock(&pool->lock);
}

static void *work(void *arg)
{
    struct pool *pool = arg;
    thread_settle(pool->name, pool->niceness);
    while (!is_stopping(pool)) {
        void *item = NULL;
        int taken = pool->task.take(pool->task.ctx, &item);
        if (taken == 1)
            pool->task.run(pool->task.ctx, item);
        else
            rest(pool, taken < 0);
    }
    return NULL;
}

static int start_threads(struct pool *pool)
{
    int rc = 0;
    while (rc == 0 && pool->n_threads < pool->n_wanted) {
        rc = thread_start(&pool->threads[pool->n_threads], work, pool);
        if (rc == 0)
            pool->n_threads++;
    }
    return rc;
}

static int init_locks(struct pool *pool)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr))
        return -1;
    int rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(&pool->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (rc == 0 && pthread_mutex_init(&pool->lock, NULL)) {
        pthread_cond_destroy(&pool->changed);
        rc = -1;
    }
    return rc == 0 ? 0 : -1;
}

int pool_start(const struct pool_task *task, size_t n_threads, int niceness,
               const char *name, struct pool **pool, struct err *err)
{
    if (n_threads > (SIZE_MAX - sizeof(struct pool)) / sizeof(pthread_t))
        return err_no_memory(err);
    struct pool *made = mem_new(1, sizeof *made + n_threads * sizeof(pthread_t), err);
    if (!made)
        return -1;
    made->task = *task;
    made->niceness = niceness;
    made->n_wanted = n_threads;
    snprintf(made->name, sizeof made->name, "%s", name);
    if (init_locks(made)) {
        free(made);
        return err_set(err, ERR_INTERNAL, "no_threads", "cannot make locks for %s", name);
    }
    int rc = start_threads(made);
    if (rc) {
        err_set(err, ERR_INTERNAL, "no_threads",
                "cannot start thread %zu of %zu for %s: %s", made->n_threads + 1,
                n_threads, name, strerror(rc));
        pool_stop(made);
        return -1;
    }
    *pool = made;
    return 0;
}

/* Once every thread has a wake to follow, one more would only make them look twice: whoever
 * follows the last one looks after this call. */
void pool_wake(struct pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    if (pool->n_wakes < pool->n_wanted)
        pool->n_wakes++;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_signal(&pool->changed);
}

void pool_stop(struct pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
