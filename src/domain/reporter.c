#include "domain/reporter.h"

#include <math.h>

#include "base/clock.h"
#include "store/job_store.h"

#define REPORTER_FLUSH_NS 200000000

void reporter_init(struct reporter *reporter, struct db *db, const struct job *job,
                   const atomic_bool *stop, size_t rows_per_epoch)
{
    int64_t now_ns = clock_monotonic_ns();
    *reporter = (struct reporter){.db = db,
                                  .job = job,
                                  .stop = stop,
                                  .rows_per_epoch = rows_per_epoch,
                                  .started_ns = now_ns,
                                  .flushed_ns = now_ns};
}

static int reporter_write(struct reporter *reporter, struct db_tx *tx, struct err *err)
{
    if (job_store_set_progress(tx, reporter->job->id, &reporter->progress, err) < 0)
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
    reporter->flushed_ns = clock_monotonic_ns();
    return 0;
}

static bool reporter_on_batch(void *ctx)
{
    const struct reporter *reporter = ctx;
    return !atomic_load_explicit(reporter->stop, memory_order_relaxed);
}

static bool reporter_on_epoch(void *ctx, const struct fit_progress *now)
{
    struct reporter *reporter = ctx;
    int64_t now_ns = clock_monotonic_ns();
    double seconds = (double)(now_ns - reporter->started_ns) * 1e-9;
    double left = (double)(reporter->job->parameters.max_iter - now->epoch);

    reporter->progress = (struct job_progress){
        .epoch = now->epoch,
        .train_loss = now->train_loss,
        .validation_loss = now->validation_loss,
        .samples_per_second =
            (double)now->epoch * (double)reporter->rows_per_epoch / fmax(seconds, 1e-9),
        .eta_seconds = seconds / (double)now->epoch * left,
    };
    reporter->epochs[reporter->n_epochs++] = (struct job_epoch){
        now->epoch, now->train_loss, now->validation_loss, clock_now_ms()};
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
