#include "table/csv.h"

#include <string.h>

#include "base/utf8.h"

enum state {
    BOM,         /* before the first byte, perhaps within a byte order mark */
    START,       /* before the first byte of a field */
    UNQUOTED,    /* within an unquoted field */
    UNQUOTED_CR, /* behind a CR of one: the line ends if LF follows */
    QUOTED,      /* within quotes */
    QUOTE_END,   /* behind a quote within quotes: doubled, or the closing one */
    QUOTE_CR,    /* behind a CR behind a closing quote */
    FAILED,
};

/* Bits of csv_reader.stops: the byte ends a run of plain bytes outside or inside quotes. */
enum { STOP_UNQUOTED = 1, STOP_QUOTED = 2 };

#define LARGE (1U << 20) /* bytes from which counting the fields first pays */

static const char byte_order_mark[] = "\xEF\xBB\xBF";

void csv_reader_init(struct csv_reader *reader, struct cells *cells, char delimiter)
{
    *reader = (struct csv_reader){.cells = cells,
                                  .delimiter = delimiter,
                                  .state = BOM,
                                  .line = 1,
                                  .row_line = 1,
                                  .field_line = 1};
    /* Room for a whole cell and what a CR or a doubled quote adds before it is checked. */
    buf_init(&reader->field, CELLS_CELL_MAX + 16);
    reader->stops['\0'] = STOP_UNQUOTED | STOP_QUOTED;
    reader->stops['"'] = STOP_UNQUOTED | STOP_QUOTED;
    reader->stops['\n'] = STOP_UNQUOTED;
    reader->stops['\r'] = STOP_UNQUOTED;
    reader->stops[(unsigned char)delimiter] = STOP_UNQUOTED;
}

void csv_reader_clear(struct csv_reader *reader)
{
    buf_clear(&reader->field);
}

static int fail(struct csv_reader *reader, enum err_code code, const char *slug,
                size_t line, const char *what, struct err *err)
{
    return err_set(err, code, slug, "line %zu, column %zu: %s", line,
                   reader->n_fields + 1, what);
}

static int fail_large(struct csv_reader *reader, struct err *err)
{
    return err_set(err, ERR_TOO_LARGE, "cell_too_large",
                   "line %zu, column %zu: a cell of over %u bytes%s", reader->field_line,
                   reader->n_fields + 1, CELLS_CELL_MAX,
                   reader->state == QUOTED ? "; is its quote closed?" : "");
}

/* Appends to the part of the field that survives the end of a piece. */
static int keep(struct csv_reader *reader, const char *text, size_t len, struct err *err)
{
    buf_put(&reader->field, text, len);
    return buf_check(&reader->field, err);
}

static int check_utf8(struct csv_reader *reader, const char *text, size_t len,
                      struct err *err)
{
    size_t line = reader->field_line;
    for (size_t i = 0; i < len;) {
        size_t step = utf8_len(text + i, len - i);
        if (step == 0)
            return fail(reader, ERR_MALFORMED, "invalid_utf8", line,
                        "a byte that is not UTF-8", err);
        line += text[i] == '\n';
        i += step;
    }
    return 0;
}

/* Adds a name, or a cell that did not go in, to say with its place why it cannot be. */
static int add_slowly(struct csv_reader *reader, const char *text, size_t len,
                      struct err *err)
{
    struct err inner = {0};
    bool is_name = !reader->has_header;
    int status = is_name ? cells_add_column(reader->cells, text, len, &inner)
                         : cells_add(reader->cells, text, len, &inner);
    if (status == 0)
        return 0;
    if (inner.code == ERR_NO_MEMORY)
        return err_no_memory(err);
    return fail(reader, is_name ? ERR_MALFORMED : inner.code,
                is_name ? "bad_header" : inner.slug, reader->field_line, inner.message,
                err);
}

static int add_to_cells(struct csv_reader *reader, const char *text, size_t len,
                        struct err *err)
{
    if (!reader->has_header)
        return add_slowly(reader, text, len, err);
    /* Surplus fields are only counted: the row's end reports them. No err at first: an
     * empty one costs more than the cell. */
    if (reader->n_fields >= reader->cells->n_columns ||
        cells_add(reader->cells, text, len, NULL) == 0)
        return 0;
    return add_slowly(reader, text, len, err);
}

/* A blank line of a one-column table turned out not to be the last. */
static int flush_blank(struct csv_reader *reader, struct err *err)
{
    reader->has_blank = false;
    if (cells_add(reader->cells, "", 0, err) < 0)
        return -1;
    cells_end_row(reader->cells);
    return 0;
}

static int end_field(struct csv_reader *reader, const char *text, size_t len,
                     struct err *err)
{
    if (reader->has_blank && flush_blank(reader, err) < 0)
        return -1;
    if ((reader->seen & 0x80) && check_utf8(reader, text, len, err) < 0)
        return -1;
    if (add_to_cells(reader, text, len, err) < 0)
        return -1;
    reader->field.len = 0;
    reader->seen = 0;
    reader->n_fields++;
    reader->field_line = reader->line;
    reader->state = START;
    return 0;
}

static int end_row(struct csv_reader *reader, struct err *err)
{
    if (!reader->has_header)
        reader->has_header = true;
    else if (reader->n_fields == reader->cells->n_columns)
        cells_end_row(reader->cells);
    else
        return err_set(err, ERR_MALFORMED, "ragged_row",
                       "line %zu: expected %zu fields, found %zu", reader->row_line,
                       reader->cells->n_columns, reader->n_fields);
    return 0;
}

/* Ends the line with the given text as its last field. */
static int end_line(struct csv_reader *reader, const char *text, size_t len,
                    bool is_quoted, struct err *err)
{
    if (reader->n_fields == 0 && len == 0 && !is_quoted) {
        if (reader->has_blank && flush_blank(reader, err) < 0)
            return -1;
        reader->has_blank = reader->has_header && reader->cells->n_columns == 1;
    } else if (end_field(reader, text, len, err) < 0 || end_row(reader, err) < 0) {
        return -1;
    }
    reader->n_fields = 0;
    reader->line++;
    reader->row_line = reader->line;
    reader->field_line = reader->line;
    reader->state = START;
    return 0;
}

/* Ends the line with what is kept of the field. */
static int end_kept_line(struct csv_reader *reader, bool is_quoted, struct err *err)
{
    return end_line(reader, reader->field.bytes, reader->field.len, is_quoted, err);
}

/* What follows a run of plain bytes [from, stop) outside quotes. */
static int end_run(struct csv_reader *reader, const char *from, const char **at,
                   const char *end, struct err *err)
{
    const char *stop = *at;
    char c = *stop;
    *at = stop + 1;
    if (c == '\0')
        return fail(reader, ERR_MALFORMED, "nul_byte", reader->line, "a NUL byte", err);
    if (c == '"') {
        if (stop > from || reader->field.len)
            return fail(reader, ERR_MALFORMED, "stray_quote", reader->line,
                        "a quote inside an unquoted field", err);
        reader->state = QUOTED;
        return 0;
    }
    size_t len = (size_t)(stop - from);
    bool is_cut = c == '\r' && (stop + 1 == end || stop[1] != '\n');
    if (is_cut || reader->field.len) {
        if (keep(reader, from, len, err) < 0)
            return -1;
        from = reader->field.bytes;
        len = reader->field.len;
    }
    if (is_cut) {
        reader->state = UNQUOTED_CR;
        return 0;
    }
    if (c == reader->delimiter)
        return end_field(reader, from, len, err);
    *at += c == '\r';
    return end_line(reader, from, len, false, err);
}

static int feed_unquoted(struct csv_reader *reader, const char **at, const char *end,
                         struct err *err)
{
    const char *from = *at;
    const char *stop = from;
    unsigned char seen = reader->seen;
    while (stop < end && !(reader->stops[(unsigned char)*stop] & STOP_UNQUOTED))
        seen |= (unsigned char)*stop++;
    reader->seen = seen;
    size_t len = (size_t)(stop - from);
    if (reader->field.len + len > CELLS_CELL_MAX)
        return fail_large(reader, err);
    *at = stop;
    if (stop < end)
        return end_run(reader, from, at, end, err);
    reader->state = UNQUOTED;
    return keep(reader, from, len, err);
}

static int feed_quoted(struct csv_reader *reader, const char **at, const char *end,
                       struct err *err)
{
    const char *from = *at;
    const char *stop = from;
    unsigned char seen = reader->seen;
    size_t n_lines = 0;
    while (stop < end && !(reader->stops[(unsigned char)*stop] & STOP_QUOTED)) {
        seen |= (unsigned char)*stop;
        n_lines += *stop++ == '\n';
    }
    reader->seen = seen;
    size_t len = (size_t)(stop - from);
    if (reader->field.len + len > CELLS_CELL_MAX)
        return fail_large(reader, err);
    reader->line += n_lines;
    *at = stop;
    if (stop == end)
        return keep(reader, from, len, err);
    if (*stop == '\0')
        return fail(reader, ERR_MALFORMED, "nul_byte", reader->line, "a NUL byte", err);
    *at = stop + 1;
    /* The usual case is spared the copy: all of the field is here, and what ends it. */
    bool is_whole = reader->field.len == 0 && stop + 1 < end;
    if (is_whole && (stop[1] == reader->delimiter || stop[1] == '\n')) {
        *at = stop + 2;
        return stop[1] == '\n' ? end_line(reader, from, len, true, err)
                               : end_field(reader, from, len, err);
    }
    reader->state = QUOTE_END;
    return keep(reader, from, len, err);
}

static int feed_quote_end(struct csv_reader *reader, char c, struct err *err)
{
    if (c == '"') {
        reader->state = QUOTED;
        return keep(reader, "\"", 1, err);
    }
    if (c == reader->delimiter)
        return end_field(reader, reader->field.bytes, reader->field.len, err);
    if (c == '\n')
        return end_kept_line(reader, true, err);
    if (c == '\0')
        return fail(reader, ERR_MALFORMED, "nul_byte", reader->line, "a NUL byte", err);
    if (c != '\r')
        return fail(reader, ERR_MALFORMED, "stray_quote", reader->line,
                    "text behind a closing quote", err);
    reader->state = QUOTE_CR;
    return 0;
}

/* A CR was met; without an LF it is text outside quotes, and an error behind them. */
static int feed_cr(struct csv_reader *reader, const char **at, struct err *err)
{
    bool is_quoted = reader->state == QUOTE_CR;
    if (**at == '\n') {
        (*at)++;
        return end_kept_line(reader, is_quoted, err);
    }
    if (is_quoted)
        return fail(reader, ERR_MALFORMED, "stray_quote", reader->line,
                    "text behind a closing quote", err);
    reader->state = UNQUOTED;
    return keep(reader, "\r", 1, err);
}

/* Not a byte order mark after all: its bytes were the start of the first field. */
static int keep_bom(struct csv_reader *reader, struct err *err)
{
    reader->state = reader->n_bom ? UNQUOTED : START;
    reader->seen = reader->n_bom ? 0x80 : 0;
    return keep(reader, byte_order_mark, reader->n_bom, err);
}

static int feed_bom(struct csv_reader *reader, const char **at, struct err *err)
{
    if (**at != byte_order_mark[reader->n_bom])
        return keep_bom(reader, err);
    (*at)++;
    if (++reader->n_bom == sizeof byte_order_mark - 1)
        reader->state = START;
    return 0;
}

static int feed_some(struct csv_reader *reader, const char **at, const char *end,
                     struct err *err)
{
    switch ((enum state)reader->state) {
    case BOM:
        return feed_bom(reader, at, err);
    case START:
    case UNQUOTED:
        return feed_unquoted(reader, at, end, err);
    case UNQUOTED_CR:
    case QUOTE_CR:
        return feed_cr(reader, at, err);
    case QUOTED:
        return feed_quoted(reader, at, end, err);
    case QUOTE_END:
        return feed_quote_end(reader, *(*at)++, err);
    case FAILED:
        break;
    }
    return err_set(err, ERR_MALFORMED, "failed", "the table was refused already");
}

int csv_reader_feed(struct csv_reader *reader, const char *bytes, size_t len,
                    struct err *err)
{
    const char *at = bytes;
    const char *end = len ? bytes + len : bytes;
    while (at < end) {
        if (feed_some(reader, &at, end, err) < 0) {
            reader->state = FAILED;
            return -1;
        }
    }
    return 0;
}

/* The input is over: completes the line it ended in. */
static int end_input(struct csv_reader *reader, struct err *err)
{
    if (reader->state == BOM && keep_bom(reader, err) < 0)
        return -1;
    switch ((enum state)reader->state) {
    case BOM:
        break;
    case START:
        return reader->n_fields ? end_line(reader, "", 0, false, err) : 0;
    case UNQUOTED:
    case UNQUOTED_CR:
        return end_kept_line(reader, false, err);
    case QUOTE_END:
    case QUOTE_CR:
        return end_kept_line(reader, true, err);
    case QUOTED:
        return fail(reader, ERR_MALFORMED, "unterminated_quote", reader->field_line,
                    "the quote that opens here is never closed", err);
    case FAILED:
        return err_set(err, ERR_MALFORMED, "failed", "the table was refused already");
    }
    return 0;
}

int csv_reader_finish(struct csv_reader *reader, struct err *err)
{
    int status = end_input(reader, err);
    if (status == 0 && !reader->has_header)
        status =
            err_set(err, ERR_MALFORMED, "empty_table", "the table is empty: no header");
    if (status == 0 && reader->cells->n_rows == 0)
        status = err_set(err, ERR_MALFORMED, "no_rows",
                         "the table has a header and no rows behind line %zu",
                         reader->line > 1 ? reader->line - 1 : reader->line);
    reader->state = FAILED;
    return status;
}

/* Fields of a text, counting delimiters within quotes too. */
static size_t count_fields(const char *bytes, size_t len, char delimiter)
{
    size_t n = 1;
    for (size_t i = 0; i < len; i++)
        n += (size_t)(bytes[i] == delimiter) + (size_t)(bytes[i] == '\n');
    return n;
}

int csv_read(const char *bytes, size_t len, char delimiter, struct cells *cells,
             struct err *err)
{
    struct csv_reader reader;
    csv_reader_init(&reader, cells, delimiter);
    if (len >= LARGE)
        cells_reserve(cells, len, count_fields(bytes, len, delimiter));
    int status = csv_reader_feed(&reader, bytes, len, err);
    if (status == 0)
        status = csv_reader_finish(&reader, err);
    csv_reader_clear(&reader);
    return status;
}
