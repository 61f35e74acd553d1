#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "work/team.h"

#define N_MOST       200
#define N_ROUNDS     10000
#define N_CALLERS    4
#define PATIENCE_NS  INT64_C(20000000000)
#define LONG_ENOUGH  200000 /* ns: helpers are asleep after it */
#define THREADS_MOST 4

/* A run under test. What tasks write is not atomic on purpose: the sanitizer is to see that
 * one thread at a time has it. */
struct run {
    size_t n_tasks;
    size_t n_calls[N_MOST];
    uint64_t sums[N_MOST];
    struct team *team; /* for nested runs */
};

static void count(void *arg, size_t i)
{
    struct run *run = arg;
    run->n_calls[i]++;
    run->sums[i] = run->sums[i] * 3 + i + 1;
}

static struct team *start(size_t n_threads, int niceness)
{
    struct team *team = NULL;
    struct err err = {0};
    assert_int_equal(team_start(n_threads, niceness, &team, &err), 0);
    assert_non_null(team);
    return team;
}

static void sleep_ns(long ns)
{
    const struct timespec pause = {.tv_nsec = ns};
    nanosleep(&pause, NULL);
}

/* True if each index below n_tasks was called n times, and no other. */
static bool was_called(const struct run *run, size_t n)
{
    uint64_t sum[N_MOST] = {0};
    for (size_t i = 0; i < N_MOST; i++) {
        for (size_t k = 0; k < n; k++)
            sum[i] = sum[i] * 3 + i + 1;
        size_t expected = i < run->n_tasks ? n : 0;
        if (run->n_calls[i] != expected || run->sums[i] != (expected ? sum[i] : 0))
            return false;
    }
    return true;
}

/* --- each index once -------------------------------------------------------------------- */

static void every_index_is_called_once(void **state)
{
    (void)state;
    for (size_t n_threads = 1; n_threads <= THREADS_MOST; n_threads++) {
        struct team *team = start(n_threads, 0);
        for (size_t n = 0; n <= N_MOST; n++) {
            struct run run = {.n_tasks = n};
            team_run(team, count, &run, n);
            assert_true(was_called(&run, 1));
        }
        team_stop(team);
    }
}

static void quick_runs_one_after_the_other_lose_nothing(void **state)
{
    (void)state;
    for (size_t n_threads = 1; n_threads <= THREADS_MOST; n_threads++) {
        struct team *team = start(n_threads, 0);
        size_t n_total[N_MOST] = {0};
        for (size_t round = 0; round < N_ROUNDS; round++) {
            struct run run = {.n_tasks = 2 + round % 19};
            team_run(team, count, &run, run.n_tasks);
            for (size_t i = 0; i < run.n_tasks; i++)
                n_total[i] += run.n_calls[i] == 1 && run.sums[i] == i + 1;
        }
        assert_int_equal(n_total[0], N_ROUNDS);
        assert_int_equal(n_total[1], N_ROUNDS);
        assert_int_equal(n_total[2], N_ROUNDS - (N_ROUNDS + 18) / 19);
        team_stop(team);
    }
}

/* What the last run wrote is what the next one reads, on whatever threads. */
static void runs_see_what_runs_before_them_wrote(void **state)
{
    (void)state;
    struct team *team = start(3, 0);
    struct run run = {.n_tasks = 16};
    for (size_t round = 0; round < N_ROUNDS; round++)
        team_run(team, count, &run, run.n_tasks);
    assert_true(was_called(&run, N_ROUNDS));
    team_stop(team);
}

/* --- helpers help ----------------------------------------------------------------------- */

struct meeting {
    atomic_size_t n_there;
    size_t n_expected;
    int64_t until;
    atomic_size_t n_late;
    atomic_int nice_seen;
    atomic_bool has_signals;
    pthread_t caller;
};

/* Ends when all expected tasks run at once, each then on a thread of its own. */
static void meet(void *arg, size_t i)
{
    (void)i;
    struct meeting *meeting = arg;
    atomic_fetch_add(&meeting->n_there, 1);
    while (atomic_load(&meeting->n_there) < meeting->n_expected) {
        if (clock_monotonic_ns() > meeting->until) {
            atomic_fetch_add(&meeting->n_late, 1);
            return;
        }
        sleep_ns(10000);
    }
    if (!pthread_equal(pthread_self(), meeting->caller)) {
        sigset_t blocked;
        pthread_sigmask(SIG_SETMASK, NULL, &blocked);
        atomic_store(&meeting->has_signals, !sigismember(&blocked, SIGTERM));
        atomic_store(&meeting->nice_seen, getpriority(PRIO_PROCESS, (id_t)gettid()));
    }
}

static struct meeting new_meeting(size_t n)
{
    return (struct meeting){.n_expected = n,
                            .until = clock_monotonic_ns() + PATIENCE_NS,
                            .caller = pthread_self()};
}

static void all_threads_work_at_once(void **state)
{
    (void)state;
    for (size_t n_threads = 1; n_threads <= THREADS_MOST; n_threads++) {
        struct team *team = start(n_threads, 0);
        struct meeting meeting = new_meeting(n_threads);
        team_run(team, meet, &meeting, n_threads);
        assert_int_equal(meeting.n_late, 0);
        team_stop(team);
    }
}

static void helpers_that_sleep_wake_up(void **state)
{
    (void)state;
    struct team *team = start(THREADS_MOST, 0);
    for (int i = 0; i < 100; i++) {
        sleep_ns(LONG_ENOUGH);
        struct meeting meeting = new_meeting(THREADS_MOST);
        team_run(team, meet, &meeting, THREADS_MOST);
        assert_int_equal(meeting.n_late, 0);
    }
    team_stop(team);
}

/* The pause sweeps over the moment at which a helper goes to sleep. */
static void no_wake_is_lost(void **state)
{
    (void)state;
    struct team *team = start(2, 0);
    for (int64_t ns = TEAM_SPIN_NS / 2; ns < 3 * TEAM_SPIN_NS; ns += 200) {
        int64_t until = clock_monotonic_ns() + ns;
        while (clock_monotonic_ns() < until)
            continue;
        struct meeting meeting = new_meeting(2);
        team_run(team, meet, &meeting, 2);
        assert_int_equal(meeting.n_late, 0);
    }
    team_stop(team);
}

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void idle_team_costs_nothing(void **state)
{
    (void)state;
    struct team *team = start(THREADS_MOST, 0);
    sleep_ns(20000000);
    int64_t before = cpu_ns();
    sleep_ns(200000000);
    assert_in_range(cpu_ns() - before, 0, 20000000);
    team_stop(team);
}

static void helpers_are_as_nice_as_asked_and_take_no_signals(void **state)
{
    (void)state;
    int own = getpriority(PRIO_PROCESS, 0);
    struct team *team = start(2, 5);
    struct meeting meeting = new_meeting(2);
    team_run(team, meet, &meeting, 2);
    assert_int_equal(meeting.nice_seen, own + 5 > 19 ? 19 : own + 5);
    assert_false(meeting.has_signals);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), own);
    team_stop(team);
}

/* --- several callers -------------------------------------------------------------------- */

struct caller {
    struct team *team;
    size_t n_tasks;
    size_t n_rounds;
    bool enters;
    size_t n_right;
};

static void *call(void *arg)
{
    struct caller *caller = arg;
    if (caller->enters)
        team_enter(caller->team);
    for (size_t round = 0; round < caller->n_rounds; round++) {
        struct run run = {.n_tasks = caller->n_tasks};
        for (size_t k = 0; k < 2; k++)
            team_run(caller->team, count, &run, caller->n_tasks);
        caller->n_right += was_called(&run, 2);
    }
    if (caller->enters)
        team_leave(caller->team);
    return NULL;
}

static void callers_at_once_get_each_their_own(void **state)
{
    (void)state;
    for (size_t n_threads = 1; n_threads <= THREADS_MOST + 2; n_threads++) {
        struct team *team = start(n_threads, 0);
        struct caller callers[N_CALLERS];
        pthread_t threads[N_CALLERS];
        for (size_t i = 0; i < N_CALLERS; i++) {
            callers[i] = (struct caller){team, 3 + 11 * i, N_ROUNDS / 10, i % 2, 0};
            assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
        }
        for (size_t i = 0; i < N_CALLERS; i++)
            pthread_join(threads[i], NULL);
        for (size_t i = 0; i < N_CALLERS; i++)
            assert_int_equal(callers[i].n_right, N_ROUNDS / 10);
        team_stop(team);
    }
}

/* More callers than the team can keep in sight, all within a run. */
#define N_CROWD 80
static void *crowd(void *arg)
{
    struct meeting *meeting = ((void **)arg)[1];
    team_run(((void **)arg)[0], meet, meeting, 2);
    return NULL;
}

static void a_crowd_of_callers_is_served(void **state)
{
    (void)state;
    struct team *team = start(2, 0);
    /* The first task of each caller ends when there are as many as callers. */
    struct meeting meeting = new_meeting(N_CROWD);
    void *both[2] = {team, &meeting};
    pthread_t threads[N_CROWD];
    for (size_t i = 0; i < N_CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd, both), 0);
    for (size_t i = 0; i < N_CROWD; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(meeting.n_late, 0);
    assert_int_equal(meeting.n_there, 2 * N_CROWD);
    team_stop(team);
}

/* Writes down whether a thread other than the first caller ran a task. */
struct witness {
    pthread_t caller;
    atomic_size_t n_helped;
};

static void look_who(void *arg, size_t i)
{
    struct witness *witness = arg;
    (void)i;
    if (!pthread_equal(pthread_self(), witness->caller))
        atomic_fetch_add(&witness->n_helped, 1);
    sleep_ns(100000);
}

static void *occupy(void *arg)
{
    void **both = arg;
    atomic_int *step = both[1];
    team_enter(both[0]);
    atomic_store(step, 1);
    while (atomic_load(step) != 2)
        sleep_ns(10000);
    team_leave(both[0]);
    return NULL;
}

static void helpers_keep_off_while_callers_have_the_cores(void **state)
{
    (void)state;
    struct team *team = start(2, 0);
    atomic_int step = 0;
    void *both[2] = {team, &step};
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, occupy, both), 0);
    while (atomic_load(&step) != 1)
        sleep_ns(10000);
    struct witness witness = {.caller = pthread_self()};
    team_run(team, look_who, &witness, 100);
    assert_int_equal(witness.n_helped, 0);
    atomic_store(&step, 2);
    pthread_join(other, NULL);
    struct meeting meeting = new_meeting(2);
    team_run(team, meet, &meeting, 2);
    assert_int_equal(meeting.n_late, 0);
    team_stop(team);
}

/* A helper that works for one caller leaves when a second one comes; and comes back in the
 * middle of a run when that one is gone. */
struct stages {
    struct team *team;
    pthread_t caller;
    atomic_int step;
    atomic_size_t n_helped[3]; /* tasks by a helper before, while, and after */
    int64_t until;
};

static void work_in_stages(void *arg, size_t i)
{
    struct stages *stages = arg;
    (void)i;
    int step = atomic_load(&stages->step);
    if (!pthread_equal(pthread_self(), stages->caller))
        atomic_fetch_add(&stages->n_helped[step], 1);
    sleep_ns(50000);
}

static void wait_for_help(struct stages *stages, int step)
{
    atomic_store(&stages->step, step);
    while (atomic_load(&stages->n_helped[step]) < 3 &&
           clock_monotonic_ns() < stages->until)
        sleep_ns(10000);
}

static void *come_and_go(void *arg)
{
    struct stages *stages = arg;
    wait_for_help(stages, 0);
    team_enter(stages->team);
    sleep_ns(5000000); /* the task under way ends */
    atomic_store(&stages->step, 1);
    sleep_ns(20000000);
    atomic_store(&stages->step, 2);
    team_leave(stages->team);
    wait_for_help(stages, 2);
    return NULL;
}

static void helpers_leave_for_a_caller_and_come_back(void **state)
{
    (void)state;
    struct stages stages = {.team = start(2, 0),
                            .caller = pthread_self(),
                            .until = clock_monotonic_ns() + PATIENCE_NS};
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, come_and_go, &stages), 0);
    team_run(stages.team, work_in_stages, &stages, 4000);
    pthread_join(other, NULL);
    assert_true(stages.n_helped[0] >= 3);
    assert_in_range(stages.n_helped[1], 0, 1);
    assert_true(stages.n_helped[2] >= 3);
    team_stop(stages.team);
}

/* --- nesting, starting, stopping -------------------------------------------------------- */

struct nest {
    struct team *team;
    struct run inner[2];
    size_t n_elsewhere[2];
};

struct nested {
    struct run *run;
    pthread_t thread;
    size_t *n_elsewhere;
};

static void count_here(void *arg, size_t i)
{
    struct nested *nested = arg;
    *nested->n_elsewhere += !pthread_equal(pthread_self(), nested->thread);
    count(nested->run, i);
    sleep_ns(1000);
}

static void run_inner(void *arg, size_t i)
{
    struct nest *nest = arg;
    struct nested nested = {&nest->inner[i], pthread_self(), &nest->n_elsewhere[i]};
    nest->inner[i].n_tasks = N_MOST;
    team_run(nest->team, count_here, &nested, N_MOST);
}

/* Two tasks on six threads: there are helpers that could interfere. */
static void a_run_within_a_task_stays_on_its_thread(void **state)
{
    (void)state;
    struct nest nest = {.team = start(6, 0)};
    team_run(nest.team, run_inner, &nest, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(was_called(&nest.inner[i], 1));
        assert_int_equal(nest.n_elsewhere[i], 0);
    }
    /* The caller is free to use the team again. */
    struct meeting meeting = new_meeting(3);
    team_run(nest.team, meet, &meeting, 3);
    assert_int_equal(meeting.n_late, 0);
    team_stop(nest.team);
}

static void teams_start_and_stop_at_any_moment(void **state)
{
    (void)state;
    for (size_t i = 0; i < 300; i++) {
        struct team *team = start(1 + i % THREADS_MOST, 0);
        struct run run = {.n_tasks = i % 9};
        team_run(team, count, &run, run.n_tasks);
        if (i % 3 == 1)
            sleep_ns(LONG_ENOUGH);
        team_stop(team);
        assert_true(was_called(&run, 1));
    }
}

static void idle_teams_stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        struct team *team = start(THREADS_MOST, 0);
        sleep_ns((long)i * 2000);
        team_stop(team);
    }
}

static void no_team_can_be_entered_left_and_stopped(void **state)
{
    (void)state;
    team_enter(NULL);
    team_leave(NULL);
    team_stop(NULL);
}

static void absurd_thread_count_is_an_error(void **state)
{
    (void)state;
    struct team *team = NULL;
    struct err err = {0};
    assert_int_equal(team_start(SIZE_MAX / 4, 0, &team, &err), -1);
    assert_int_equal(err.code, ERR_NO_MEMORY);
    assert_null(team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_is_called_once),
        cmocka_unit_test(quick_runs_one_after_the_other_lose_nothing),
        cmocka_unit_test(runs_see_what_runs_before_them_wrote),
        cmocka_unit_test(all_threads_work_at_once),
        cmocka_unit_test(helpers_that_sleep_wake_up),
        cmocka_unit_test(no_wake_is_lost),
        cmocka_unit_test(idle_team_costs_nothing),
        cmocka_unit_test(helpers_are_as_nice_as_asked_and_take_no_signals),
        cmocka_unit_test(callers_at_once_get_each_their_own),
        cmocka_unit_test(a_crowd_of_callers_is_served),
        cmocka_unit_test(helpers_keep_off_while_callers_have_the_cores),
        cmocka_unit_test(helpers_leave_for_a_caller_and_come_back),
        cmocka_unit_test(a_run_within_a_task_stays_on_its_thread),
        cmocka_unit_test(teams_start_and_stop_at_any_moment),
        cmocka_unit_test(idle_teams_stop),
        cmocka_unit_test(no_team_can_be_entered_left_and_stopped),
        cmocka_unit_test(absurd_thread_count_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
