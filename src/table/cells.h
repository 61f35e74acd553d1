/*
 * cells: a rectangle of text as it came in, with column names: what every reader writes and
 * what schema inference and the encoder read. All text lies in one arena. An empty cell is a
 * missing one. One owner; readers may share it once it is complete.
 */
#ifndef TABLE_CELLS_H
#define TABLE_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "table/text_map.h"

#define CELLS_CELL_MAX    (1U << 20) /* bytes of one cell */
#define CELLS_COLUMNS_MAX 20000
#define CELLS_NAME_MAX    256 /* bytes of a column name */

struct cells {
    size_t n_columns;
    char **names; /* owned [n_columns], unique, not empty */
    size_t n_rows;
    struct buf arena; /* owned: the text of all cells, one behind the other */
    uint32_t *ends;   /* owned [n_rows * n_columns]: where each cell ends in the arena */
    size_t n_ends;    /* cells so far, those of an unfinished row included */
    size_t names_capacity;
    size_t ends_capacity;
    struct text_map index; /* name → column; filled only once there are many columns */
};

/* An empty rectangle whose text may take max_bytes, 4 GiB at most. */
void cells_init(struct cells *cells, size_t max_bytes);
void cells_clear(struct cells *cells);

/* Makes room for so much text and so many cells at once, which saves moving them as they
 * grow. A hint: what cannot be had is left to cells_add. */
void cells_reserve(struct cells *cells, size_t n_bytes, size_t n_cells);

/* Adds a column; before the first row. ERR_INVALID for an empty, overlong or duplicate
 * name, or too many columns. */
int cells_add_column(struct cells *cells, const char *name, size_t len, struct err *err);

/* Adds the next cell of the current row. ERR_TOO_LARGE "cell_too_large" over
 * CELLS_CELL_MAX, "table_too_large" over the arena's ceiling. The caller adds line and column
 * to messages. */
int cells_add(struct cells *cells, const char *text, size_t len, struct err *err);

/* Ends the row; it must have n_columns cells. */
void cells_end_row(struct cells *cells);

/* Borrows a cell's text, not NUL-terminated. */
const char *cells_get(const struct cells *cells, size_t row, size_t column, size_t *len);

/* Index of the column of that name, or SIZE_MAX. */
size_t cells_find(const struct cells *cells, const char *name);

/* True for what stands for "no value": empty, NA, N/A, NaN, null, None, ? (any case;
 * spaces around it are ignored). */
bool cells_is_missing(const char *text, size_t len);

/* Reads a cell as a number, spaces around it ignored: a decimal that is finite as a float32
 * too. False otherwise, and *value untouched. */
bool cells_number(const char *text, size_t len, double *value);

#define CELLS_QUOTE_SIZE   64
#define CELLS_POINTER_SIZE 160 /* as in struct err */

/* Writes a text for a message, in single quotes and shortened; returns out. */
const char *cells_quote(char out[static CELLS_QUOTE_SIZE], const char *text, size_t len);

/* Writes the JSON pointer prefix/index/name (RFC 6901, shortened when too long); returns out.
 * A NULL name is left out, SIZE_MAX as index too. */
const char *cells_pointer(char out[static CELLS_POINTER_SIZE], const char *prefix,
                          size_t index, const char *name);

#endif
