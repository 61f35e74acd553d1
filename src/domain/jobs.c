#include "domain/jobs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "domain/resolve.h"
#include "domain/trainer.h"
#include "store/finding_store.h"
#include "store/job_store.h"
#include "store/model_store.h"

/* A job that a worker of this process has. */
struct running {
    struct job job;       /* owned */
    atomic_int stop;      /* enum job_stop, seen by the trainer between mini-batches */
    struct running *next; /* in the list below */
};

struct jobs {
    struct jobs_options options;
    atomic_bool is_stopping;
    pthread_mutex_t lock;    /* guards the list */
    struct running *running; /* items are owned by jobs_take / jobs_run */
};

int jobs_open(const struct jobs_options *options, struct jobs **jobs, struct err *err)
{
    struct jobs *made = mem_new(1, sizeof *made, err);
    if (!made)
        return -1;
    made->options = *options;
    pthread_mutex_init(&made->lock, NULL);
    *jobs = made;
    return 0;
}

void jobs_close(struct jobs *jobs)
{
    if (!jobs)
        return;
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

static void report(struct jobs *jobs, const struct job *job, const char *detail)
{
    if (jobs->options.report)
        jobs->options.report(jobs->options.ctx, job, detail);
}

int jobs_recover(struct jobs *jobs, struct job_recovered *result, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(jobs->options.db, DB_WRITE, &tx, err) < 0)
        return -1;
    return db_end(tx, job_store_recover(tx, clock_now_ms(), result, err), err);
}

/* --- submitting and looking ---------------------------------------------------------- */

int jobs_submit(struct jobs *jobs, const struct jobs_request *request, struct job *job,
                struct err *err)
{
    struct job made = {0};
    struct db_tx *tx = NULL;

    int result = resolve_request(jobs->options.db, request, &made, err);
    if (result == 0)
        result = db_begin(jobs->options.db, DB_WRITE, &tx, err);
    if (result == 0)
        result = db_end(tx, job_store_insert(tx, &made, err), err);
    if (result == 0)
        result = jobs_get(jobs, made.id, job, err);
    job_clear(&made);
    if (result == 0)
        jobs->options.wake(jobs->options.ctx);
    return result;
}

int jobs_get(struct jobs *jobs, const char *id, struct job *job, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(jobs->options.db, DB_READ, &tx, err) < 0)
        return -1;
    return db_end(tx, job_store_get(tx, id, job, err), err);
}

int jobs_list(struct jobs *jobs, int state, int64_t before, size_t limit,
              struct job **items, size_t *n, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(jobs->options.db, DB_READ, &tx, err) < 0)
        return -1;
    return db_end(tx, job_store_list(tx, state, before, limit, items, n, err), err);
}

int jobs_history(struct jobs *jobs, const char *id, uint64_t after, size_t limit,
                 struct job_epoch **epochs, size_t *n, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(jobs->options.db, DB_READ, &tx, err) < 0)
        return -1;
    return db_end(tx, job_store_list_epochs(tx, id, after, limit, epochs, n, err), err);
}

/* --- cancelling ---------------------------------------------------------------------- */

static int cancel_stored(struct db_tx *tx, const char *id, struct err *err)
{
    struct job job = {0};
    if (job_store_get(tx, id, &job, err) < 0)
        return -1;
    enum job_state state = job.state;
    job_clear(&job);
    switch (state) {
    case JOB_QUEUED:
        return job_store_move(tx, id, JOB_CANCELLED, "cancelled by request",
                              clock_now_ms(), err);
    case JOB_RUNNING:
        return job_store_move(tx, id, JOB_CANCELLING, "cancelled by request",
                              clock_now_ms(), err);
    case JOB_CANCELLING:
    case JOB_CANCELLED:
        return 0;
    case JOB_SUCCEEDED:
    case JOB_FAILED:
    case JOB_STATE_COUNT:
        break;
    }
    return err_set(err, ERR_CONFLICT, "too_late", "the job has %s already",
                   job_state_name(state));
}

/* The server stops; a job that is cancelled already ends at once. */
static void ask_to_stop(struct running *item)
{
    int expected = JOB_GO_ON;
    atomic_compare_exchange_strong(&item->stop, &expected, JOB_STOP_SOON);
}

static void tell_to_stop(struct jobs *jobs, const char *id)
{
    pthread_mutex_lock(&jobs->lock);
    for (struct running *item = jobs->running; item; item = item->next)
        if (strcmp(item->job.id, id) == 0)
            atomic_store(&item->stop, JOB_STOP_NOW);
    pthread_mutex_unlock(&jobs->lock);
}

int jobs_cancel(struct jobs *jobs, const char *id, struct job *job, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(jobs->options.db, DB_WRITE, &tx, err) < 0 ||
        db_end(tx, cancel_stored(tx, id, err), err) < 0)
        return -1;
    tell_to_stop(jobs, id);
    return jobs_get(jobs, id, job, err);
}

/* --- working ------------------------------------------------------------------------- */

static int claim(struct jobs *jobs, struct job *job, struct err *err)
{
    struct db_tx *tx = NULL;
    struct db *db = jobs->options.db;
    if (db_begin(db, DB_WRITE, &tx, err) < 0)
        return -1;
    int claimed = job_store_claim(tx, clock_now_ms(), job, err);
    return db_end(tx, claimed < 0 ? -1 : 0, err) < 0 ? -1 : claimed;
}

static void enlist(struct jobs *jobs, struct running *item)
{
    pthread_mutex_lock(&jobs->lock);
    item->next = jobs->running;
    jobs->running = item;
    pthread_mutex_unlock(&jobs->lock);
    /* jobs_stop may have gone through the list before this item was in it. */
    if (atomic_load(&jobs->is_stopping))
        ask_to_stop(item);
}

static void delist(struct jobs *jobs, struct running *item)
{
    pthread_mutex_lock(&jobs->lock);
    struct running **link = &jobs->running;
    while (*link != item)
        link = &(*link)->next;
    *link = item->next;
    pthread_mutex_unlock(&jobs->lock);
}

int jobs_take(void *ctx, void **item)
{
    struct jobs *jobs = ctx;
    struct err err = {0};
    if (atomic_load(&jobs->is_stopping))
        return 0;
    struct running *taken = mem_new(1, sizeof *taken, &err);
    if (!taken)
        return -1;
    int claimed = claim(jobs, &taken->job, &err);
    if (claimed <= 0) {
        job_clear(&taken->job);
        free(taken);
        return claimed;
    }
    enlist(jobs, taken);
    *item = taken;
    return 1;
}

/* Cancelled between the claim and its place in the list: nobody could tell the trainer. */
static void look_again(struct jobs *jobs, struct running *item)
{
    struct job now = {0};
    struct err ignored = {0};
    if (jobs_get(jobs, item->job.id, &now, &ignored) == 0 && now.state == JOB_CANCELLING)
        atomic_store(&item->stop, JOB_STOP_NOW);
    job_clear(&now);
}

/* Model version and success of the job, in one transaction. */
static int publish_version(struct jobs *jobs, const struct job *job,
                           const struct model_version *version,
                           const struct warnings *warnings, uint64_t *number,
                           struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(jobs->options.db, DB_WRITE, &tx, err) < 0)
        return -1;
    int result = model_store_insert(tx, version, number, err);
    if (result == 0)
        result = finding_store_copy(tx, job->id, version->id, err);
    if (result == 0)
        result = job_store_succeed(tx, job->id, *number, &version->metrics, warnings,
                                   clock_now_ms(), err);
    return db_end(tx, result, err);
}

static int publish(struct jobs *jobs, const struct job *job,
                   const struct model_version *version, const struct warnings *warnings,
                   uint64_t *number, struct err *err)
{
    predictor_hold(jobs->options.predictor, job->model);
    int result = publish_version(jobs, job, version, warnings, number, err);
    predictor_release(jobs->options.predictor, job->model);
    return result;
}

static int settle_stopped(struct db_tx *tx, const struct job *job, struct err *err)
{
    struct job now = {0};
    if (job_store_get(tx, job->id, &now, err) < 0)
        return -1;
    bool is_cancelling = now.state == JOB_CANCELLING;
    job_clear(&now);
    if (is_cancelling)
        return job_store_move(tx, job->id, JOB_CANCELLED, "stopped between mini-batches",
                              clock_now_ms(), err);
    return job_store_move(tx, job->id, JOB_QUEUED, "the server stops", clock_now_ms(),
                          err);
}

/* Training ended without a model: cancelled, back to the queue, or failed with a reason. */
static int settle(struct jobs *jobs, const struct job *job, const struct err *why,
                  struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(jobs->options.db, DB_WRITE, &tx, err) < 0)
        return -1;
    if (why->code == ERR_CANCELLED)
        return db_end(tx, settle_stopped(tx, job, err), err);
    struct job_error error;
    resolve_failure(why, &error);
    return db_end(tx, job_store_fail(tx, job->id, &error, clock_now_ms(), err), err);
}

/* Records how the job ended, as soon as the database takes it: a full disk must not leave a
 * job that runs for ever. Gives up when the server stops; the next start finds it running. */
static int settle_somehow(struct jobs *jobs, const struct job *job, const struct err *why,
                          struct err *err)
{
    const struct timespec pause = {.tv_sec = 1};
    while (settle(jobs, job, why, err) < 0) {
        if (atomic_load(&jobs->is_stopping) || err->code == ERR_CONFLICT)
            return -1;
        nanosleep(&pause, NULL);
        err_clear(err);
    }
    return 0;
}

static void conclude(struct jobs *jobs, struct running *item, int trained,
                     const struct model_version *version, const struct warnings *warnings,
                     struct err *why)
{
    struct err err = {0};
    uint64_t number = 0;
    char detail[sizeof why->message + 40];

    if (trained == 0 && publish(jobs, &item->job, version, warnings, &number, why) == 0) {
        snprintf(detail, sizeof detail, "succeeded: version %llu of %.100s",
                 (unsigned long long)number, item->job.model);
        report(jobs, &item->job, detail);
        return;
    }
    /* A cancel that came in after the last mini-batch wins over the finished net. */
    if (trained == 0 && why->code == ERR_CONFLICT)
        *why = (struct err){.code = ERR_CANCELLED};
    if (settle_somehow(jobs, &item->job, why, &err) == 0)
        snprintf(detail, sizeof detail, "%s: %s",
                 why->code == ERR_CANCELLED ? "stopped" : "failed", why->message);
    else
        snprintf(detail, sizeof detail, "its end could not be recorded: %s", err.message);
    report(jobs, &item->job, detail);
}

static void report_start(struct jobs *jobs, const struct job *job)
{
    char detail[80] = "running";
    if (job->resumed_from_epoch)
        snprintf(detail, sizeof detail, "running: goes on after epoch %llu",
                 (unsigned long long)job->resumed_from_epoch);
    report(jobs, job, detail);
}

void jobs_run(void *ctx, void *item)
{
    struct jobs *jobs = ctx;
    struct running *running = item;
    struct model_version version = {0};
    struct warnings warnings = {0};
    struct err why = {0};

    report_start(jobs, &running->job);
    look_again(jobs, running);
    const struct trainer trainer = {jobs->options.db, jobs->options.team};
    int trained =
        trainer_run(&trainer, &running->job, &running->stop, &version, &warnings, &why);
    conclude(jobs, running, trained, &version, &warnings, &why);
    delist(jobs, running);
    model_version_clear(&version);
    warnings_clear(&warnings);
    job_clear(&running->job);
    free(running);
}

void jobs_stop(struct jobs *jobs)
{
    atomic_store(&jobs->is_stopping, true);
    pthread_mutex_lock(&jobs->lock);
    for (struct running *item = jobs->running; item; item = item->next)
        ask_to_stop(item);
    pthread_mutex_unlock(&jobs->lock);
}
