/*
 * csv: reads RFC 4180 text into cells: a header line, then rows; quoted fields with doubled
 * quotes and newlines; LF or CRLF; a UTF-8 byte order mark is skipped. A state machine fed by
 * pieces of any size: where they are cut does not change the result. One caller at a time.
 *
 * Errors name line and column (line from 1, column = field from 1) and are final:
 * ERR_MALFORMED empty_table (no header), no_rows (header only), ragged_row ("line 12:
 * expected 5 fields, found 4"), unterminated_quote (with the line it opened on),
 * stray_quote (text behind a closing quote, or a quote inside an unquoted field), nul_byte,
 * invalid_utf8, bad_header (empty or duplicate name); ERR_TOO_LARGE cell_too_large.
 * Blank lines are skipped, except in a table of one column, where one is a missing cell
 * unless it is the last line. Spaces around an unquoted field are part of it.
 */
#ifndef TABLE_CSV_H
#define TABLE_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "table/cells.h"

struct csv_reader {
    struct cells *cells; /* borrowed; filled as rows complete */
    char delimiter;      /* ',' or '\t' */
    int state;           /* of the machine in csv.c */
    struct buf field;    /* owned: what earlier pieces held of the field being read */
    size_t n_bom;        /* bytes of a byte order mark seen so far */
    size_t line;         /* current line, from 1 */
    size_t row_line;     /* line on which the current row began */
    size_t field_line;   /* line on which the current field, or its quote, began */
    size_t n_fields;     /* complete fields of the current row */
    bool has_header;     /* the header is complete */
    bool has_blank;      /* a blank line of a one-column table awaits a line behind it */
    unsigned char seen;  /* OR of the field's bytes: 0x80 set means it is not ASCII */
    unsigned char stops[256]; /* per byte: ends a run of plain bytes? (see csv.c) */
};

/* Starts reading into `cells` (initialised and empty). */
void csv_reader_init(struct csv_reader *reader, struct cells *cells, char delimiter);
void csv_reader_clear(struct csv_reader *reader);

int csv_reader_feed(struct csv_reader *reader, const char *bytes, size_t len,
                    struct err *err);
int csv_reader_finish(struct csv_reader *reader, struct err *err);

/* All of it at once. */
int csv_read(const char *bytes, size_t len, char delimiter, struct cells *cells,
             struct err *err);

#endif
