#include "domain/reporter.h"

#include <math.h>

#include "base/clock.h"
#include "domain/checkpoints.h"
#include "store/job_store.h"

#define REPORTER_FLUSH_NS 200000000
/* Longest time between checkpoints, save for those that are slow to write. */
#define REPORTER_SAVE_NS 5000000000
/* How long a server that stops waits for an epoch: with the time to save it well within the
 * 25 s that stopping may take. */
#define REPORTER_PATIENCE_NS 5000000000

void reporter_init(struct reporter *reporter, struct db *db, const struct job *job,
                   const atomic_int *stop, size_t rows_per_epoch)
{
    int64_t now_ns = clock_monotonic_ns();
    *reporter = (struct reporter){.db = db,
                                  .job = job,
                                  .stop = stop,
                                  .rows_per_epoch = rows_per_epoch,
                                  .started_ns = now_ns,
                                  .flushed_ns = now_ns,
                                  .saved_ns = now_ns};
}

static int reporter_write(struct reporter *reporter, struct db_tx *tx, struct err *err)
{
    if (job_store_set_progress(tx, reporter->job->id, &reporter->progress, err) < 0)
        return -1;
    if (job_store_add_findings(tx, reporter->job->id, reporter->findings,
                               reporter->n_findings, err) < 0)
        return -1;
    return job_store_add_epochs(tx, reporter->job->id, reporter->epochs,
                                reporter->n_epochs, err);
}

static int reporter_flush(struct reporter *reporter, struct err *err)
{
    struct db_tx *tx = NULL;
    if (reporter->n_epochs == 0)
        return 0;
    if (db_begin(reporter->db, DB_WRITE, &tx, err) < 0)
        return -1;
    if (db_end(tx, reporter_write(reporter, tx, err), err) < 0)
        return -1;
    reporter->n_epochs = 0;
    reporter->n_findings = 0;
    reporter->flushed_ns = clock_monotonic_ns();
    return 0;
}

static enum job_stop stop_of(const struct reporter *reporter)
{
    return (enum job_stop)atomic_load_explicit(reporter->stop, memory_order_relaxed);
}

/* The end of the epoch may still be waited for. */
static bool has_patience(struct reporter *reporter)
{
    int64_t now_ns = clock_monotonic_ns();
    if (!reporter->stop_seen_ns)
        reporter->stop_seen_ns = now_ns;
    return now_ns - reporter->stop_seen_ns < REPORTER_PATIENCE_NS;
}

static bool reporter_on_batch(void *ctx)
{
    struct reporter *reporter = ctx;
    switch (stop_of(reporter)) {
    case JOB_GO_ON:
        return true;
    case JOB_STOP_SOON:
        return has_patience(reporter);
    case JOB_STOP_NOW:
        break;
    }
    return false;
}

/* --- checkpoints --------------------------------------------------------------------- */

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool is_save_due(const struct reporter *reporter, int64_t now_ns)
{
    int64_t pause = (now_ns - reporter->started_ns) / 5;
    if (pause > REPORTER_SAVE_NS)
        pause = REPORTER_SAVE_NS;
    pause = most(pause, most(20 * reporter->save_ns, REPORTER_FLUSH_NS));
    return now_ns - reporter->saved_ns >= pause;
}

static int write_checkpoint(struct reporter *reporter, const struct fit_progress *now,
                            struct err *err)
{
    struct buf state;
    buf_init(&state, SIZE_MAX / 4);
    fit_save(now->fit, &state);
    int result = buf_check(&state, err);
    const struct checkpoint checkpoint = {now->epoch, state.bytes, state.len};
    if (result == 0)
        result = checkpoints_save(reporter->db, reporter->job->id, &checkpoint, err);
    buf_clear(&state);
    return result;
}

/* Without room for it training goes on, and the last checkpoint stays. */
static bool is_bearable(const struct err *err)
{
    return err->code == ERR_STORAGE_FULL || err->code == ERR_NO_MEMORY;
}

/* The history goes first: a checkpoint stands for the epochs up to it. */
static int reporter_save(struct reporter *reporter, const struct fit_progress *now,
                         struct err *err)
{
    struct err why = {0};
    int64_t begun_ns = clock_monotonic_ns();
    if (reporter_flush(reporter, err) < 0)
        return -1;
    int result = write_checkpoint(reporter, now, &why);
    reporter->saved_ns = clock_monotonic_ns();
    reporter->save_ns = reporter->saved_ns - begun_ns;
    if (result < 0 && !is_bearable(&why)) {
        *err = why;
        return -1;
    }
    return 0;
}

/* --- epochs -------------------------------------------------------------------------- */

static void note_progress(struct reporter *reporter, const struct fit_progress *now,
                          int64_t now_ns)
{
    double seconds = (double)(now_ns - reporter->started_ns) * 1e-9;
    double left = (double)(reporter->job->parameters.max_iter - now->epoch);
    if (reporter->first_epoch == 0)
        reporter->first_epoch = now->epoch;
    double done = (double)(now->epoch - reporter->first_epoch + 1);
    reporter->progress = (struct job_progress){
        .epoch = now->epoch,
        .train_loss = now->train_loss,
        .validation_loss = now->validation_loss,
        .samples_per_second =
            done * (double)reporter->rows_per_epoch / fmax(seconds, 1e-9),
        .eta_seconds = seconds / done * left,
    };
}

/* What an epoch's end asks for; false ends the training. */
static bool reporter_on_epoch(void *ctx, const struct fit_progress *now)
{
    struct reporter *reporter = ctx;
    int64_t now_ns = clock_monotonic_ns();
    bool is_stopping = stop_of(reporter) == JOB_STOP_SOON &&
                       now->epoch < reporter->job->parameters.max_iter;

    note_progress(reporter, now, now_ns);
    reporter->epochs[reporter->n_epochs++] = (struct job_epoch){
        now->epoch, now->train_loss, now->validation_loss, clock_now_ms()};
    for (size_t i = 0; i < now->n_findings && reporter->n_findings < DOCTOR_FINDINGS_MAX;
         i++)
        reporter->findings[reporter->n_findings++] = now->findings[i];
    if (is_stopping || is_save_due(reporter, now_ns))
        return reporter_save(reporter, now, &reporter->err) == 0 && !is_stopping;
    if (reporter->n_epochs == REPORTER_EPOCHS_MAX ||
        now_ns - reporter->flushed_ns >= REPORTER_FLUSH_NS)
        return reporter_flush(reporter, &reporter->err) == 0;
    return true;
}

struct fit_hooks reporter_hooks(struct reporter *reporter)
{
    return (struct fit_hooks){
        .ctx = reporter, .on_batch = reporter_on_batch, .on_epoch = reporter_on_epoch};
}

int reporter_finish(struct reporter *reporter, struct err *err)
{
    reporter->progress.eta_seconds = 0;
    return reporter_flush(reporter, err);
}
