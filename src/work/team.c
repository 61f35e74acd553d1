#include "work/team.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "work/thread.h"

#define N_SLOTS          64 /* runs that helpers can see, one bit each */
#define PAUSES_PER_CLOCK 32 /* looks between two readings of the clock */
#define CACHE_LINE       64
#define N_SHARES         8 /* parts that the indices of a run are cut into, at most */

/* A run of indices that one thread begins with, so that it gets the same ones in equal runs
 * that follow each other, and finds in its cache what it worked on before. Whoever is done
 * with its own goes on with another's. */
struct share {
    atomic_size_t next; /* first index that nobody took */
    size_t end;
    char apart[CACHE_LINE - 2 * sizeof(size_t)];
};

/*
 * A run. Slots live as long as the team, so a helper that comes late touches memory that is
 * there; whether it may read more than n_inside, it asks in this order:
 *   helper: n_inside + 1, then: is the slot open?
 *   owner:  closes the slot, then waits for n_inside to be 0.
 * All atomic operations are sequentially consistent, so either the helper sees that the slot
 * is closed, or the owner sees that there is a helper and waits for it. All indices are taken
 * when the owner closes, and whoever took one is inside until it is done.
 */
struct slot {
    void (*task)(void *arg, size_t i); /* the owner writes these, and only while the */
    void *arg;                         /* slot is closed and n_inside was seen 0 */
    size_t n_shares;
    struct share shares[N_SHARES];
    atomic_size_t n_inside; /* helpers that look at this slot */
    atomic_bool is_awaited; /* the owner sleeps until n_inside is 0 */
    char apart[CACHE_LINE];
};

struct helper {
    struct team *team;
    size_t number;
    pthread_t thread;
};

struct team {
    _Atomic uint64_t open; /* bit i: slot i has indices to take, as far as is known */
    char apart_1[CACHE_LINE];
    _Atomic uint64_t owned; /* bit i: slot i is some caller's */
    atomic_size_t n_busy;   /* callers, and helpers with a task */
    atomic_size_t n_awake; /* helpers that look for a task, or will when they run again */
    char apart_2[CACHE_LINE];
    atomic_size_t n_asleep; /* helpers that need a wake; written under the lock */
    atomic_bool is_stopping;
    struct slot slots[N_SLOTS];
    pthread_mutex_t lock; /* guards n_wakes and both conditions */
    pthread_cond_t wake;  /* n_wakes > 0 or is_stopping */
    pthread_cond_t left;  /* an awaited slot has nobody inside */
    size_t n_wakes;       /* helpers that were woken and do not know it yet */
    int niceness;
    size_t n_threads;
    size_t n_helpers; /* started */
    struct helper helpers[];
};

/* Of the calling thread. */
static _Thread_local bool is_in_task;
static _Thread_local const struct team *entered;

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void run_alone(void (*task)(void *arg, size_t i), void *arg, size_t n_tasks)
{
    for (size_t i = 0; i < n_tasks; i++)
        task(arg, i);
}

/* --- waking -------------------------------------------------------------------------- */

/* Is there something for a helper to do, and a core to do it on? */
static bool may_help(struct team *team)
{
    return atomic_load(&team->open) != 0 && atomic_load(&team->n_busy) < team->n_threads;
}

/*
 * Wakes a sleeper if it could help and nobody is on the way. Whoever makes may_help true
 * calls this afterwards; a helper first counts as asleep and then asks may_help a last time:
 * one of the two sees the other. A woken helper wakes the next.
 */
static void invite(struct team *team)
{
    if (atomic_load(&team->n_asleep) == 0 || atomic_load(&team->n_awake) != 0 ||
        !may_help(team))
        return;
    pthread_mutex_lock(&team->lock);
    if (atomic_load(&team->n_asleep) != 0) {
        atomic_fetch_sub(&team->n_asleep, 1);
        atomic_fetch_add(&team->n_awake, 1);
        team->n_wakes++;
        pthread_cond_signal(&team->wake);
    }
    pthread_mutex_unlock(&team->lock);
}

static void sleep_until_invited(struct team *team)
{
    pthread_mutex_lock(&team->lock);
    atomic_fetch_sub(&team->n_awake, 1);
    atomic_fetch_add(&team->n_asleep, 1);
    if (may_help(team) || atomic_load(&team->is_stopping)) {
        atomic_fetch_sub(&team->n_asleep, 1);
        atomic_fetch_add(&team->n_awake, 1);
    } else {
        while (team->n_wakes == 0 && !atomic_load(&team->is_stopping))
            pthread_cond_wait(&team->wake, &team->lock);
        if (team->n_wakes != 0)
            team->n_wakes--;
    }
    pthread_mutex_unlock(&team->lock);
}

/* --- indices ------------------------------------------------------------------------- */

static void deal(struct slot *slot, size_t n_threads, size_t n_tasks)
{
    size_t n = n_threads < N_SHARES ? n_threads : N_SHARES;
    slot->n_shares = n < n_tasks ? n : n_tasks;
    for (size_t i = 0; i < slot->n_shares; i++) {
        slot->shares[i].end = n_tasks / slot->n_shares * (i + 1);
        atomic_store(&slot->shares[i].next, n_tasks / slot->n_shares * i);
    }
    slot->shares[slot->n_shares - 1].end = n_tasks;
}

/* An index that nobody took, from the thread's own share as long as there are any; SIZE_MAX:
 * none is left. */
static size_t take_index(struct slot *slot, size_t own)
{
    for (size_t i = 0; i < slot->n_shares; i++) {
        struct share *share = &slot->shares[(own + i) % slot->n_shares];
        if (atomic_load(&share->next) >= share->end)
            continue;
        size_t index = atomic_fetch_add(&share->next, 1);
        if (index < share->end)
            return index;
    }
    return SIZE_MAX;
}

/* --- helpers ------------------------------------------------------------------------- */

/* One core more in use, unless all are. */
static bool take_core(struct team *team)
{
    size_t n = atomic_load(&team->n_busy);
    while (n < team->n_threads)
        if (atomic_compare_exchange_weak(&team->n_busy, &n, n + 1))
            return true;
    return false;
}

/* Does tasks of a slot until none is left or callers need the core; returns how many. */
static size_t do_tasks(struct team *team, struct slot *slot, uint64_t bit, size_t own)
{
    size_t n_done = 0;
    while (atomic_load(&team->n_busy) <= team->n_threads) {
        size_t i = take_index(slot, own);
        if (i == SIZE_MAX) {
            /* Still inside: the slot cannot have been opened again. */
            atomic_fetch_and(&team->open, ~bit);
            break;
        }
        if (n_done++ == 0)
            invite(team);
        slot->task(slot->arg, i);
    }
    return n_done;
}

static size_t help_slot(struct team *team, size_t number, size_t own)
{
    struct slot *slot = &team->slots[number];
    uint64_t bit = UINT64_C(1) << number;
    size_t n_done = 0;
    atomic_fetch_add(&slot->n_inside, 1);
    if (atomic_load(&team->open) & bit)
        n_done = do_tasks(team, slot, bit, own);
    if (atomic_fetch_sub(&slot->n_inside, 1) == 1 && atomic_load(&slot->is_awaited)) {
        pthread_mutex_lock(&team->lock);
        pthread_cond_broadcast(&team->left);
        pthread_mutex_unlock(&team->lock);
    }
    return n_done;
}

/* Helps every open run once, each helper beginning with another; true if it did a task. */
static bool help(struct team *team, size_t number)
{
    size_t n_done = 0;
    if (!take_core(team))
        return false;
    atomic_fetch_sub(&team->n_awake, 1);
    uint64_t open = atomic_load(&team->open);
    for (size_t i = 0; i < N_SLOTS && open; i++) {
        size_t slot = (number + i) % N_SLOTS;
        if (open >> slot & 1)
            n_done += help_slot(team, slot, number + 1);
        open &= ~(UINT64_C(1) << slot);
    }
    atomic_fetch_add(&team->n_awake, 1);
    atomic_fetch_sub(&team->n_busy, 1);
    return n_done > 0;
}

/* Looks for work until it has found none for TEAM_SPIN_NS, or it cannot be its turn. */
static void look(struct team *team, size_t number)
{
    int64_t until = clock_monotonic_ns() + TEAM_SPIN_NS;
    for (unsigned n = 1; !atomic_load(&team->is_stopping); n++) {
        if (may_help(team) && help(team, number))
            until = clock_monotonic_ns() + TEAM_SPIN_NS;
        if (atomic_load(&team->n_busy) >= team->n_threads ||
            (n % PAUSES_PER_CLOCK == 0 && clock_monotonic_ns() > until))
            return;
        pause_briefly();
    }
}

static void *be_helper(void *arg)
{
    struct helper *helper = arg;
    struct team *team = helper->team;
    thread_settle("team", team->niceness);
    is_in_task = true;
    while (!atomic_load(&team->is_stopping)) {
        look(team, helper->number);
        sleep_until_invited(team);
    }
    return NULL;
}

/* --- callers ------------------------------------------------------------------------- */

/* A slot for the caller, or N_SLOTS when all are owned. */
static size_t take_slot(struct team *team)
{
    uint64_t owned = atomic_load(&team->owned);
    for (size_t i = 0; i < N_SLOTS;) {
        uint64_t bit = UINT64_C(1) << i;
        if (owned & bit)
            i++;
        else if (atomic_compare_exchange_weak(&team->owned, &owned, owned | bit))
            return i;
    }
    return N_SLOTS;
}

/* Most helpers have but the end of a task before them: look for a while, then sleep. */
static void wait_for_helpers(struct team *team, struct slot *slot)
{
    int64_t until = 0;
    for (unsigned n = 1; atomic_load(&slot->n_inside) != 0; n++) {
        pause_briefly();
        if (n % PAUSES_PER_CLOCK != 0)
            continue;
        int64_t now = clock_monotonic_ns();
        if (until == 0)
            until = now + TEAM_SPIN_NS;
        if (now <= until)
            continue;
        pthread_mutex_lock(&team->lock);
        atomic_store(&slot->is_awaited, true);
        while (atomic_load(&slot->n_inside) != 0)
            pthread_cond_wait(&team->left, &team->lock);
        atomic_store(&slot->is_awaited, false);
        pthread_mutex_unlock(&team->lock);
    }
}

static void run_slot(struct team *team, size_t number, void (*task)(void *arg, size_t i),
                     void *arg, size_t n_tasks)
{
    struct slot *slot = &team->slots[number];
    uint64_t bit = UINT64_C(1) << number;
    size_t i = 0;
    slot->task = task;
    slot->arg = arg;
    deal(slot, team->n_threads, n_tasks);
    atomic_fetch_or(&team->open, bit);
    invite(team);
    is_in_task = true;
    while ((i = take_index(slot, 0)) != SIZE_MAX)
        task(arg, i);
    is_in_task = false;
    atomic_fetch_and(&team->open, ~bit);
    wait_for_helpers(team, slot);
    atomic_fetch_and(&team->owned, ~bit);
}

void team_run(void *team, void (*task)(void *arg, size_t i), void *arg, size_t n_tasks)
{
    struct team *self = team;
    if (n_tasks < 2 || self->n_helpers == 0 || is_in_task) {
        run_alone(task, arg, n_tasks);
        return;
    }
    bool is_counted = entered == self;
    if (!is_counted)
        atomic_fetch_add(&self->n_busy, 1);
    size_t slot = take_slot(self);
    if (slot < N_SLOTS)
        run_slot(self, slot, task, arg, n_tasks);
    else
        run_alone(task, arg, n_tasks);
    if (!is_counted) {
        atomic_fetch_sub(&self->n_busy, 1);
        invite(self);
    }
}

void team_enter(struct team *team)
{
    if (!team)
        return;
    entered = team;
    atomic_fetch_add(&team->n_busy, 1);
}

void team_leave(struct team *team)
{
    if (!team)
        return;
    entered = NULL;
    atomic_fetch_sub(&team->n_busy, 1);
    invite(team);
}

/* --- up and down --------------------------------------------------------------------- */

static int init_locks(struct team *team)
{
    if (pthread_mutex_init(&team->lock, NULL))
        return -1;
    if (pthread_cond_init(&team->wake, NULL) == 0) {
        if (pthread_cond_init(&team->left, NULL) == 0)
            return 0;
        pthread_cond_destroy(&team->wake);
    }
    pthread_mutex_destroy(&team->lock);
    return -1;
}

static int start_helpers(struct team *team)
{
    for (size_t i = 0; i + 1 < team->n_threads; i++) {
        struct helper *helper = &team->helpers[i];
        *helper = (struct helper){.team = team, .number = i};
        atomic_fetch_add(&team->n_awake, 1);
        int rc = thread_start(&helper->thread, be_helper, helper);
        if (rc)
            return rc;
        team->n_helpers++;
    }
    return 0;
}

int team_start(size_t n_threads, int niceness, struct team **team, struct err *err)
{
    if (n_threads > (SIZE_MAX - sizeof **team) / sizeof(struct helper))
        return err_no_memory(err);
    struct team *made = mem_new(1, sizeof *made + n_threads * sizeof(struct helper), err);
    if (!made)
        return -1;
    made->niceness = niceness;
    made->n_threads = n_threads;
    if (init_locks(made) < 0) {
        free(made);
        return err_set(err, ERR_INTERNAL, "no_threads", "cannot make locks for the team");
    }
    int rc = start_helpers(made);
    if (rc) {
        err_set(err, ERR_INTERNAL, "no_threads",
                "cannot start thread %zu of %zu for the team: %s", made->n_helpers + 2,
                n_threads, strerror(rc));
        team_stop(made);
        return -1;
    }
    *team = made;
    return 0;
}

void team_stop(struct team *team)
{
    if (!team)
        return;
    pthread_mutex_lock(&team->lock);
    atomic_store(&team->is_stopping, true);
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->lock);
    for (size_t i = 0; i < team->n_helpers; i++)
        pthread_join(team->helpers[i].thread, NULL);
    pthread_cond_destroy(&team->left);
    pthread_cond_destroy(&team->wake);
    pthread_mutex_destroy(&team->lock);
    free(team);
}
