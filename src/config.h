/*
 * config: how the server is to run: a flag wins over the environment, that over the default.
 * The only place that reads the environment.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

struct config {
    const char *db;         /* path of the database file */
    const char *listen;     /* "ADDRESS:PORT" as given */
    char host[64];          /* numeric address of it, without brackets */
    unsigned port;          /* 0: any */
    size_t workers;         /* jobs trained at a time */
    size_t threads;         /* of one training */
    size_t http_threads;    /* event threads */
    size_t control_threads; /* for requests that may block */
    size_t max_connections;
    size_t max_upload_bytes;   /* of one table */
    size_t max_buffered_bytes; /* request bodies in memory over all connections */
    size_t cached_models;      /* ready to predict in memory */
    bool insecure;             /* may listen beyond loopback without keys */
    bool log_json;
    enum log_level log_level;
};

/*
 * Reads `argc` arguments ("--db", "x.db", or "--db=x.db") and MLPD_* variables into *config.
 * Texts are borrowed from them. ERR_INVALID names the option, its value and what is allowed;
 * listening beyond loopback without --insecure is refused too.
 */
int config_read(struct config *config, int argc, char **argv, struct err *err);

/* A table of the options for people: flag, variable, default, meaning. */
void config_help(struct buf *out);

#endif
