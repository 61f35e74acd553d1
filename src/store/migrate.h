/*
 * migrate: brings a database to this program's schema. The migrations are the files
 * migrations/sqlite/NNNN_noun.sql, embedded in the binary, each applied in a transaction of
 * its own together with the version number.
 */
#ifndef STORE_MIGRATE_H
#define STORE_MIGRATE_H

#include "store/db.h"

struct migration {
    int version;      /* NNNN, from 1, without gaps */
    const char *name; /* "0001_dataset" */
    const char *sql;
};

/* What this binary carries; ends with version 0. Generated at build time. */
extern const struct migration migrate_embedded[];

/* Applies what is missing; *applied counts (may be NULL). ERR_CONFLICT "newer_database" when
 * the database is of a later version than the last migration: it is left untouched. */
int migrate_run(struct db *db, const struct migration *migrations, int *applied,
                struct err *err);

#endif
