/*
 * table: typed columns. A column is numeric (double, NaN = missing), integer (the same, all
 * values whole) or categorical (codes into sorted levels). Without values (NULL) a table is
 * a schema with its profile. One owner; read-only once built, then shared freely.
 */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "table/cells.h"
#include "table/warnings.h"

#define TABLE_MISSING UINT32_MAX /* code of a missing category */

enum table_kind { TABLE_NUMERIC, TABLE_INTEGER, TABLE_CATEGORICAL, TABLE_KIND_COUNT };

const char *table_kind_name(enum table_kind kind);

struct table_column {
    char *name; /* owned */
    enum table_kind kind;
    uint64_t n_missing;
    double min, max, mean, std; /* of the values present (population std); NaN: none */
    size_t n_levels;            /* categorical */
    char **levels;              /* owned [n_levels], sorted bytewise, unique */
    uint64_t *counts;           /* owned [n_levels]: rows per level */
    double *values;             /* owned [n_rows] or NULL; numeric, integer */
    uint32_t *codes;            /* owned [n_rows] or NULL; categorical */
};

struct table {
    size_t n_rows;
    size_t n_columns;
    struct table_column *columns; /* owned [n_columns] */
};

void table_clear(struct table *table);

/*
 * Types the cells: a column is numeric when every cell present is a number that is finite
 * as a float32 too (integer when all are whole and below 2^53), else categorical. Fills
 * values or codes and the profile. Warnings: all_missing (kept, numeric), constant,
 * almost_numeric (categorical because of a few words: names one with its row).
 */
int table_infer(const struct cells *cells, struct table *table, struct warnings *warnings,
                struct err *err);

/* Index of the column of that name, or SIZE_MAX. */
size_t table_find(const struct table *table, const char *name);

/* True when the column, which has values, has one in that row. */
bool table_has(const struct table_column *column, size_t row);

/* Allocates values or codes [n_rows], to be filled, for a column that has none. */
int table_alloc_column(struct table_column *column, size_t n_rows, struct err *err);

/* Records that there is no such column: ERR_INVALID with this slug and pointer, and the
 * nearest name when one is near. Returns -1. */
int table_unknown(const struct table *table, const char *column, const char *slug,
                  const char *pointer, struct err *err);

#endif
