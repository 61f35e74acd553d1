/*
 * team: threads that help whoever has work in pieces. A caller's tasks are done by the
 * caller itself and by helpers that have nothing to do; how many there are decides how long
 * that takes and nothing else. One team serves all callers of the process.
 *
 * A run of tiny tasks costs about a microsecond while helpers are awake. They stay so for
 * TEAM_SPIN_NS behind their last task, looking all the time, and sleep then. They keep off
 * as long as there are as many callers as threads.
 */
#ifndef WORK_TEAM_H
#define WORK_TEAM_H

#include <stddef.h>

#include "base/err.h"

#define TEAM_SPIN_NS 50000 /* the longest that a thread waits without sleeping */

struct team;

/*
 * Makes a team of n_threads >= 1 (the number of cores, naturally): n_threads - 1 helpers, as
 * a caller works too, with `niceness` added to their scheduling priority. On success *team is
 * owned by the caller. ERR_INTERNAL "no_threads" when threads cannot be made.
 */
int team_start(size_t n_threads, int niceness, struct team **team, struct err *err);

/* Ends the helpers and frees. Nobody may be in another function of the team. NULL is
 * allowed. */
void team_stop(struct team *team);

/*
 * Calls task(arg, i) once for each i in [0, n_tasks), on the calling thread and on helpers,
 * in any order; returns when all are done. What tasks wrote is then visible to the caller.
 * `team` is a struct team *: the function fits struct parallel's `run`. Any thread, any
 * number at once; from within a task (of several) it runs on that task's thread alone.
 */
void team_run(void *team, void (*task)(void *arg, size_t i), void *arg, size_t n_tasks);

/*
 * Says that the calling thread needs a core from now until team_leave, between its runs too:
 * without that a helper would take its place whenever it does something else for a moment.
 * Optional; not nested. NULL is allowed.
 */
void team_enter(struct team *team);
void team_leave(struct team *team);

#endif
