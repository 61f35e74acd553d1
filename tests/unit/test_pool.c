#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "work/pool.h"

#define N_ITEMS  20000
#define N_ROUNDS 10000

/* A store of work: the numbers below n_offered that nobody has taken. */
struct store {
    atomic_size_t n_offered;
    atomic_size_t n_taken;
    atomic_size_t n_run;
    atomic_size_t n_takes;    /* calls of take */
    atomic_int failures_left; /* takes that fail */
    atomic_uchar ran[N_ITEMS];
    atomic_int gate; /* 0: run blocks until it is 1 */
    atomic_int nice_seen;
};

static struct store store;
static const struct timespec moment = {.tv_nsec = 200000};

static int take(void *ctx, void **item)
{
    struct store *s = ctx;
    atomic_fetch_add(&s->n_takes, 1);
    if (atomic_load(&s->failures_left) > 0) {
        atomic_fetch_sub(&s->failures_left, 1);
        return -1;
    }
    size_t next = atomic_load(&s->n_taken);
    do {
        if (next >= atomic_load(&s->n_offered))
            return 0;
    } while (!atomic_compare_exchange_weak(&s->n_taken, &next, next + 1));
    *item = (void *)(uintptr_t)(next + 1);
    return 1;
}

static void run(void *ctx, void *item)
{
    struct store *s = ctx;
    while (atomic_load(&s->gate) == 0)
        nanosleep(&moment, NULL);
    atomic_fetch_add(&s->ran[((uintptr_t)item - 1) % N_ITEMS], 1);
    errno = 0;
    atomic_store(&s->nice_seen, getpriority(PRIO_PROCESS, (id_t)gettid()));
    atomic_fetch_add(&s->n_run, 1);
}

static const struct pool_task task = {.ctx = &store, .take = take, .run = run};

static int reset(void **state)
{
    (void)state;
    memset(&store, 0, sizeof store);
    atomic_store(&store.gate, 1);
    return 0;
}

/* Waits up to ten seconds for the n-th item to be run. */
static bool has_run(size_t n)
{
    int64_t until = clock_monotonic_ns() + INT64_C(10000000000);
    while (atomic_load(&store.n_run) < n && clock_monotonic_ns() < until)
        nanosleep(&moment, NULL);
    return atomic_load(&store.n_run) >= n;
}

static struct pool *start(size_t n_threads, int niceness)
{
    struct pool *pool = NULL;
    struct err err = {0};
    assert_int_equal(pool_start(&task, n_threads, niceness, "test", &pool, &err), 0);
    assert_non_null(pool);
    return pool;
}

static void every_item_runs_once(void **state)
{
    (void)state;
    struct pool *pool = start(4, 0);
    for (size_t i = 0; i < N_ITEMS; i++) {
        atomic_fetch_add(&store.n_offered, 1);
        pool_wake(pool);
    }
    assert_true(has_run(N_ITEMS));
    pool_stop(pool);
    assert_int_equal(store.n_run, N_ITEMS);
    for (size_t i = 0; i < N_ITEMS; i++)
        assert_int_equal(store.ran[i], 1);
}

static void items_that_were_there_before_need_no_wake(void **state)
{
    (void)state;
    store.n_offered = 100;
    struct pool *pool = start(2, 0);
    assert_true(has_run(100));
    pool_stop(pool);
}

/* The next item comes the moment the last one is done, when the thread is between a take
 * that finds nothing and its sleep. A lost wake would hang the round. */
static void no_wake_is_lost(void **state)
{
    (void)state;
    struct pool *pool = start(2, 0);
    int64_t until = clock_monotonic_ns() + INT64_C(60000000000);
    for (size_t round = 1; round <= N_ROUNDS; round++) {
        atomic_fetch_add(&store.n_offered, 1);
        pool_wake(pool);
        while (atomic_load(&store.n_run) < round)
            if (clock_monotonic_ns() > until)
                fail_msg("round %zu hangs", round);
    }
    pool_stop(pool);
}

static void idle_pool_does_not_look(void **state)
{
    (void)state;
    struct pool *pool = start(3, 0);
    const struct timespec while_ = {.tv_nsec = 50000000};
    nanosleep(&while_, NULL);
    size_t before = store.n_takes;
    nanosleep(&while_, NULL);
    assert_int_equal(store.n_takes, before);
    assert_in_range(before, 1, 3);
    pool_stop(pool);
}

/* A thousand wakes for busy threads are not a thousand looks afterwards. */
static void wakes_of_busy_threads_do_not_pile_up(void **state)
{
    (void)state;
    store.n_offered = 2;
    store.gate = 0;
    struct pool *pool = start(2, 0);
    for (int i = 0; i < 1000; i++)
        pool_wake(pool);
    store.gate = 1;
    assert_true(has_run(2));
    const struct timespec while_ = {.tv_nsec = 50000000};
    nanosleep(&while_, NULL);
    assert_in_range(store.n_takes, 4, 12);
    pool_stop(pool);
}

/* The gate opens only once stop has been asked for a while. */
static void *open_later(void *arg)
{
    (void)arg;
    const struct timespec while_ = {.tv_nsec = 100000000};
    nanosleep(&while_, NULL);
    atomic_store(&store.gate, 1);
    return NULL;
}

static void stop_waits_for_the_running_item_and_starts_no_more(void **state)
{
    (void)state;
    store.n_offered = 1000;
    store.gate = 0;
    struct pool *pool = start(2, 0);
    while (store.n_taken < 2)
        nanosleep(&moment, NULL);
    pthread_t opener;
    assert_int_equal(pthread_create(&opener, NULL, open_later, NULL), 0);
    pool_stop(pool);
    pthread_join(opener, NULL);
    assert_int_equal(store.n_run, 2);
    assert_int_equal(store.n_taken, 2);
}

static void failed_take_is_tried_again_a_second_later(void **state)
{
    (void)state;
    store.n_offered = 1;
    store.failures_left = 1;
    int64_t from = clock_monotonic_ns();
    struct pool *pool = start(1, 0);
    assert_true(has_run(1));
    int64_t took_ms = (clock_monotonic_ns() - from) / 1000000;
    pool_stop(pool);
    assert_in_range(took_ms, 900, 5000);
}

static void stop_does_not_wait_for_the_retry(void **state)
{
    (void)state;
    store.failures_left = 1000;
    struct pool *pool = start(2, 0);
    while (store.n_takes < 2)
        nanosleep(&moment, NULL);
    int64_t from = clock_monotonic_ns();
    pool_stop(pool);
    assert_in_range((clock_monotonic_ns() - from) / 1000000, 0, 800);
}

static void threads_are_as_nice_as_asked(void **state)
{
    (void)state;
    int own = getpriority(PRIO_PROCESS, 0);
    store.n_offered = 1;
    struct pool *pool = start(1, 5);
    assert_true(has_run(1));
    pool_stop(pool);
    assert_int_equal(store.nice_seen, own + 5 > 19 ? 19 : own + 5);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), own);
}

static void no_pool_can_be_woken_and_stopped(void **state)
{
    (void)state;
    pool_wake(NULL);
    pool_stop(NULL);
}

static void absurd_thread_count_is_an_error(void **state)
{
    (void)state;
    struct pool *pool = NULL;
    struct err err = {0};
    assert_int_equal(pool_start(&task, SIZE_MAX / 4, 0, "test", &pool, &err), -1);
    assert_int_equal(err.code, ERR_NO_MEMORY);
    assert_null(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_item_runs_once, reset),
        cmocka_unit_test_setup(items_that_were_there_before_need_no_wake, reset),
        cmocka_unit_test_setup(no_wake_is_lost, reset),
        cmocka_unit_test_setup(idle_pool_does_not_look, reset),
        cmocka_unit_test_setup(wakes_of_busy_threads_do_not_pile_up, reset),
        cmocka_unit_test_setup(stop_waits_for_the_running_item_and_starts_no_more, reset),
        cmocka_unit_test_setup(failed_take_is_tried_again_a_second_later, reset),
        cmocka_unit_test_setup(stop_does_not_wait_for_the_retry, reset),
        cmocka_unit_test_setup(threads_are_as_nice_as_asked, reset),
        cmocka_unit_test_setup(no_pool_can_be_woken_and_stopped, reset),
        cmocka_unit_test_setup(absurd_thread_count_is_an_error, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
