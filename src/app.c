#include "app.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "api/routes.h"
#include "api/service.h"
#include "base/id.h"
#include "core/gemm.h"
#include "domain/datasets.h"
#include "domain/jobs.h"
#include "http/server.h"
#include "store/db.h"
#include "store/migrate.h"
#include "work/pool.h"
#include "work/team.h"

#define DRAIN_TICK_NS    5000000
#define DRAIN_WARN_TICKS 2000
/* Workers give way to serving. */
#define WORKER_NICENESS 10

struct app {
    const struct config *config;
    struct db *db;
    struct predictor *predictor;
    struct team *team;
    struct jobs *jobs;
    struct pool *workers;
    struct pool *_Atomic controls; /* requests may come in before it is there */
    struct server *server;
    struct service service;
};

static void wake_workers(void *ctx)
{
    struct app *app = ctx;
    pool_wake(app->workers);
}

static void wake_controls(void *ctx)
{
    struct app *app = ctx;
    pool_wake(atomic_load(&app->controls));
}

static void report_job(void *ctx, const struct job *job, const char *detail)
{
    (void)ctx;
    log_line(LOG_INFO, "job", job->id, "%s", detail);
}

/* --- up ------------------------------------------------------------------------------ */

static int start_store(struct app *app, struct err *err)
{
    /* One reader for every thread that may read, so that none waits. */
    size_t n_readers =
        app->config->http_threads + app->config->control_threads + app->config->workers;
    struct db_options options = {app->config->db, n_readers < 16 ? n_readers : 16};
    int applied = 0;
    size_t n_swept = 0;
    if (db_open(&options, &app->db, err) < 0 ||
        migrate_run(app->db, migrate_embedded, &applied, err) < 0 ||
        datasets_sweep(app->db, &n_swept, err) < 0)
        return -1;
    log_line(LOG_INFO, "store", "",
             "%s: %d migrations applied, %zu interrupted uploads removed",
             app->config->db, applied, n_swept);
    return 0;
}

static int start_jobs(struct app *app, struct err *err)
{
    if (team_start(app->config->threads, WORKER_NICENESS, &app->team, err) < 0)
        return -1;
    struct jobs_options options = {.db = app->db,
                                   .predictor = app->predictor,
                                   .team = app->team,
                                   .ctx = app,
                                   .wake = wake_workers,
                                   .report = report_job};
    struct job_recovered recovered = {0};
    if (jobs_open(&options, &app->jobs, err) < 0 ||
        jobs_recover(app->jobs, &recovered, err) < 0)
        return -1;
    if (recovered.n_requeued || recovered.n_cancelled || recovered.n_poison)
        log_line(
            LOG_WARN, "job", "",
            "after an unclean stop: %zu jobs queued again, %zu cancelled, %zu given up",
            recovered.n_requeued, recovered.n_cancelled, recovered.n_poison);
    struct pool_task task = {app->jobs, jobs_take, jobs_run};
    return pool_start(&task, app->config->workers, WORKER_NICENESS, "worker",
                      &app->workers, err);
}

static int start_server(struct app *app, struct err *err)
{
    const struct config *config = app->config;
    struct server_options options = {
        .host = config->host,
        .port = config->port,
        .n_threads = config->http_threads,
        .max_connections = config->max_connections,
        .max_waiting = 256,
        .max_buffered_bytes = config->max_buffered_bytes,
        .max_response_bytes = (size_t)256 << 20,
        .idle_timeout_s = 60,
    };
    app->service.db = app->db;
    app->service.jobs = app->jobs;
    app->service.predictor = app->predictor;
    app->service.ctx = app;
    app->service.wake = wake_controls;
    routes_set_upload_limit(config->max_upload_bytes);
    struct server_app application = routes_app(&app->service);
    if (server_start(&options, &application, &app->server, err) < 0)
        return -1;
    struct pool_task task = {app->server, server_take, server_run};
    struct pool *controls = NULL;
    if (pool_start(&task, config->control_threads, 0, "control", &controls, err) < 0)
        return -1;
    atomic_store(&app->controls, controls);
    pool_wake(controls); /* for a request that waited already */
    return 0;
}

static int start(struct app *app, struct err *err)
{
    if (id_start(err) < 0 || gemm_start(err) < 0 || start_store(app, err) < 0 ||
        predictor_open(app->db, app->config->cached_models, &app->predictor, err) < 0 ||
        start_jobs(app, err) < 0 || start_server(app, err) < 0)
        return -1;
    log_line(LOG_INFO, "app", "", "mlpd %s; kernel %s; %zu workers, %zu threads",
             MLPD_VERSION, gemm_kernel(), app->config->workers, app->config->threads);
    atomic_store(&app->service.is_ready, true);
    bool is_six = strchr(app->config->host, ':') != NULL;
    log_line(LOG_INFO, "app", "", "listening on http://%s%s%s:%u", is_six ? "[" : "",
             app->config->host, is_six ? "]" : "", server_port(app->server));
    return 0;
}

/* --- down ---------------------------------------------------------------------------- */

static void drain(struct app *app)
{
    const struct timespec pause = {.tv_nsec = DRAIN_TICK_NS};
    atomic_store(&app->service.is_ready, false);
    if (app->jobs)
        jobs_stop(app->jobs);
    if (!app->server)
        return;
    server_drain(app->server);
    /* A handler always ends; a supervisor that has no patience kills us, which is safe. */
    for (int i = 1; !server_is_idle(app->server); i++) {
        nanosleep(&pause, NULL);
        if (i == DRAIN_WARN_TICKS)
            log_line(LOG_WARN, "app", "", "still waiting for requests to end");
    }
}

static int stop(struct app *app, struct err *err)
{
    drain(app);
    pool_stop(atomic_load(&app->controls));
    server_stop(app->server);
    pool_stop(app->workers);
    jobs_close(app->jobs);
    team_stop(app->team);
    predictor_close(app->predictor);
    return db_close(app->db, err);
}

int app_run(const struct config *config, struct err *err)
{
    struct app app = {.config = config};
    sigset_t signals;
    int received = 0;

    /* Threads inherit the mask, so the signals wait for sigwait below. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    int result = start(&app, err);
    if (result == 0) {
        sigwait(&signals, &received);
        log_line(LOG_INFO, "app", "", "stopping: %s",
                 received == SIGTERM ? "SIGTERM" : "SIGINT");
    }
    struct err late = {0};
    if (stop(&app, &late) < 0 && result == 0) {
        *err = late;
        result = -1;
    }
    return result;
}
