/*
 * app: the composition root: database, domain, workers and server, up in order and down in
 * reverse.
 */
#ifndef APP_H
#define APP_H

#include "base/err.h"
#include "config.h"

/*
 * Runs the service until SIGTERM or SIGINT; blocks. Prints "listening on http://…" to the log
 * once requests are taken. Returns 0 after a clean stop, -1 with err set when something could
 * not start or could not be closed. Installs signal handling: call it from main, with no other
 * thread running.
 */
int app_run(const struct config *config, struct err *err);

#endif
