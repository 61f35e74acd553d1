/*
 * json_rows: reads rows out of JSON text into cells with our own scanner: no tree is built.
 * Strings, numbers, true and false become the text of a cell, null and "" an empty one; an
 * array or object as a cell is an error. Errors: ERR_MALFORMED invalid_json; ERR_INVALID
 * with a pointer ("/rows/3/age"): not_a_row, ragged_row, missing_column (a record lacks a
 * name that the first one has), unknown_column (it has one more), not_a_value, no_rows.
 */
#ifndef TABLE_JSON_ROWS_H
#define TABLE_JSON_ROWS_H

#include <stddef.h>

#include "table/cells.h"

/*
 * Reads the body of a prediction, one of
 *   {"rows": [{"a": 1, …}, …]}            by name
 *   {"columns": ["a", …], "data": [[1, …], …]}
 *   {"instances": [[1, …], …]}            positional: names [n_names] give the columns;
 *                                         objects in instances are read by name
 * `cells` is initialised and empty. Other members are an error that names them
 * (unknown_field, with the nearest known one).
 */
int json_rows_read(const char *bytes, size_t len, const char *const *names,
                   size_t n_names, struct cells *cells, struct err *err);

/*
 * Reads {"X": [[1, 2], …], "y": [0, …]} into columns x0, x1, …, y. Rows of X must be of one
 * length, y as long as X. `pointer` ("/data") is put before the pointers of errors.
 */
int json_rows_read_xy(const char *bytes, size_t len, const char *pointer,
                      struct cells *cells, struct err *err);

#endif
