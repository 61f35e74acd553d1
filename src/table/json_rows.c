#include "table/json_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/mem.h"
#include "base/spell.h"

struct rows {
    struct json_scan scan;
    struct cells *cells;      /* borrowed */
    const char *prefix;       /* borrowed; pointer of the array that holds the rows */
    size_t row;               /* being read, from 0 */
    bool by_name;             /* rows are objects */
    struct buf text;          /* owned: a string with its escapes resolved */
    struct json_token *found; /* owned: values of the current record by column */
    size_t capacity;          /* of found */
};

static void rows_init(struct rows *rows, const char *bytes, size_t len,
                      struct cells *cells)
{
    *rows = (struct rows){.cells = cells};
    json_scan_init(&rows->scan, bytes, len);
    buf_init(&rows->text, SIZE_MAX);
}

static void rows_clear(struct rows *rows)
{
    buf_clear(&rows->text);
    free(rows->found);
}

static bool is_container(const struct json_token *token)
{
    return token->kind == JSON_SCAN_OBJECT_BEGIN || token->kind == JSON_SCAN_ARRAY_BEGIN;
}

/* An error at the current row, message behind "row N: ". */
static int fail_row(const struct rows *rows, const char *slug, const char *what,
                    struct err *err)
{
    char pointer[CELLS_POINTER_SIZE];
    cells_pointer(pointer, rows->prefix, rows->row, NULL);
    return err_set_at(err, ERR_INVALID, slug, pointer, "row %zu: %s", rows->row + 1,
                      what);
}

/* An error at a value of the current row, message behind "row N, column …: ". */
static int fail_value(const struct rows *rows, enum err_code code, const char *slug,
                      size_t column, const char *what, struct err *err)
{
    char pointer[CELLS_POINTER_SIZE];
    char index[24];
    char quoted[CELLS_QUOTE_SIZE];
    const char *name = rows->cells->names[column];
    snprintf(index, sizeof index, "%zu", column);
    cells_pointer(pointer, rows->prefix, rows->row, rows->by_name ? name : index);
    return err_set_at(err, code, slug, pointer, "row %zu, column %s: %s", rows->row + 1,
                      cells_quote(quoted, name, strlen(name)), what);
}

/* The value of a key or string, escapes resolved; borrowed until the next call. */
static int get_text(struct rows *rows, const struct json_token *token, const char **text,
                    size_t *len, struct err *err)
{
    *text = token->text;
    *len = token->len;
    if (!token->escaped)
        return 0;
    buf_reset(&rows->text);
    if (json_scan_unescape(token, &rows->text, err) < 0)
        return -1;
    *text = rows->text.bytes;
    *len = rows->text.len;
    return 0;
}

static int add_value(struct rows *rows, const struct json_token *token, size_t column,
                     struct err *err)
{
    const char *text = token->text;
    size_t len = token->len;
    if (is_container(token))
        return fail_value(rows, ERR_INVALID, "not_a_value", column,
                          "a number, a text, true, false or null is needed here", err);
    if (token->kind == JSON_SCAN_NULL)
        len = 0;
    if (token->kind == JSON_SCAN_STRING && get_text(rows, token, &text, &len, err) < 0)
        return -1;
    /* No err at first: an empty one costs more than the cell. */
    if (cells_add(rows->cells, text, len, NULL) == 0)
        return 0;
    struct err inner = {0};
    if (cells_add(rows->cells, text, len, &inner) < 0)
        return fail_value(rows, inner.code, inner.slug, column, inner.message, err);
    return 0;
}

static int add_column(struct rows *rows, const char *pointer, const char *name,
                      size_t len, struct err *err)
{
    struct err inner = {0};
    if (cells_add_column(rows->cells, name, len, &inner) < 0)
        return err_set_at(err, inner.code, inner.slug, pointer, "%s", inner.message);
    return 0;
}

/* Adds the values of an array whose '[' is read, up to its ']', as cells of the row. */
static int add_values(struct rows *rows, size_t n_columns, struct err *err)
{
    struct json_token token;
    size_t n = 0;
    for (;; n++) {
        if (json_scan_next(&rows->scan, &token, err) < 0)
            return -1;
        if (token.kind == JSON_SCAN_ARRAY_END)
            break;
        if (n < n_columns ? add_value(rows, &token, n, err)
                          : json_scan_skip_rest(&rows->scan, &token, err))
            return -1;
    }
    if (n == n_columns)
        return 0;
    char what[80];
    snprintf(what, sizeof what, "expected %zu values, found %zu", n_columns, n);
    return fail_row(rows, "ragged_row", what, err);
}

/* Column of a key; new names are columns in the first record and errors in later ones.
 * `guess` is where the key would be if the records were written alike. */
static int find_column(struct rows *rows, const struct json_token *key, size_t guess,
                       size_t *column, struct err *err)
{
    struct cells *cells = rows->cells;
    if (guess < cells->n_columns && !key->escaped &&
        strncmp(cells->names[guess], key->text, key->len) == 0 &&
        cells->names[guess][key->len] == '\0') {
        *column = guess;
        return 0;
    }
    if (!key->escaped) {
        buf_reset(&rows->text);
        buf_put(&rows->text, key->text, key->len);
        if (buf_check(&rows->text, err) < 0)
            return -1;
    }
    const char *name;
    size_t len;
    if (get_text(rows, key, &name, &len, err) < 0)
        return -1;
    /* There with a NUL behind it, escaped or not. */
    name = rows->text.bytes ? rows->text.bytes : "";
    *column = cells_find(cells, name);
    if (*column != SIZE_MAX)
        return 0;
    char pointer[CELLS_POINTER_SIZE];
    cells_pointer(pointer, rows->prefix, rows->row, len <= CELLS_NAME_MAX ? name : NULL);
    char quoted[CELLS_QUOTE_SIZE];
    if (rows->row > 0)
        return err_set_at(err, ERR_INVALID, "unknown_column", pointer,
                          "row %zu has the column %s, which the first row lacks",
                          rows->row + 1, cells_quote(quoted, name, len));
    *column = cells->n_columns;
    return add_column(rows, pointer, name, len, err);
}

/* Reads one member into rows->found. */
static int read_member(struct rows *rows, const struct json_token *key, size_t guess,
                       size_t *column, struct err *err)
{
    struct json_token value;
    size_t known = rows->cells->n_columns;
    if (find_column(rows, key, guess, column, err) < 0 ||
        mem_grow(&rows->found, &rows->capacity, *column + 1, sizeof *rows->found, err) <
            0 ||
        json_scan_next(&rows->scan, &value, err) < 0)
        return -1;
    if (is_container(&value))
        return add_value(rows, &value, *column, err);
    if (*column < known && rows->found[*column].kind != JSON_SCAN_END)
        return fail_value(rows, ERR_INVALID, "duplicate_column", *column,
                          "the row has it twice", err);
    rows->found[*column] = value;
    return 0;
}

/* Moves the record's values into the cells, in the order of the columns. */
static int add_found(struct rows *rows, struct err *err)
{
    for (size_t i = 0; i < rows->cells->n_columns; i++) {
        if (rows->found[i].kind == JSON_SCAN_END)
            return fail_value(rows, ERR_INVALID, "missing_column", i,
                              "the first row has it, this one lacks it", err);
        if (add_value(rows, &rows->found[i], i, err) < 0)
            return -1;
        rows->found[i].kind = JSON_SCAN_END;
    }
    return 0;
}

static int read_record(struct rows *rows, struct err *err)
{
    size_t guess = 0;
    for (;;) {
        struct json_token key;
        if (json_scan_next(&rows->scan, &key, err) < 0)
            return -1;
        if (key.kind == JSON_SCAN_OBJECT_END)
            break;
        size_t column;
        if (read_member(rows, &key, guess, &column, err) < 0)
            return -1;
        guess = column + 1;
    }
    if (rows->cells->n_columns == 0)
        return fail_row(rows, "not_a_row", "it has no columns", err);
    return add_found(rows, err);
}

/* Opens the array that is the value of a member; `pointer` names it. */
static int open_array(struct rows *rows, const char *pointer, struct err *err)
{
    struct json_token token;
    if (json_scan_next(&rows->scan, &token, err) < 0)
        return -1;
    if (token.kind != JSON_SCAN_ARRAY_BEGIN)
        return err_set_at(err, ERR_INVALID, "not_an_array", pointer,
                          "%s must be an array", *pointer ? pointer + 1 : "the body");
    return 0;
}

/* The names a positional row is given its columns by; NULL: rows must be objects. */
struct positions {
    const char *const *names; /* borrowed [n] */
    size_t n;
    bool may_be_array;
    bool may_be_object;
};

/* Decides by the first row what rows are, and gives positional ones their columns. */
static int begin_rows(struct rows *rows, const struct json_token *first,
                      const struct positions *positions, struct err *err)
{
    rows->by_name = first->kind == JSON_SCAN_OBJECT_BEGIN;
    if (rows->by_name || !positions->may_be_array)
        return 0;
    if (positions->n + rows->cells->n_columns == 0)
        return fail_row(rows, "not_a_row", "a row must be an object here", err);
    for (size_t i = 0; i < positions->n; i++)
        if (add_column(rows, rows->prefix, positions->names[i],
                       strlen(positions->names[i]), err) < 0)
            return -1;
    return 0;
}

static int check_row(const struct rows *rows, const struct json_token *token,
                     const struct positions *positions, struct err *err)
{
    bool is_object = token->kind == JSON_SCAN_OBJECT_BEGIN;
    if (!is_container(token) || (is_object && !positions->may_be_object) ||
        (!is_object && !positions->may_be_array))
        return fail_row(rows, "not_a_row",
                        !positions->may_be_array ? "a row must be an object"
                        : !positions->may_be_object
                            ? "a row must be an array"
                            : "a row must be an array or an object",
                        err);
    if (is_object != rows->by_name)
        return fail_row(rows, "not_a_row", "some rows are objects and some are arrays",
                        err);
    return 0;
}

/* Reads an array of rows, '[' included. */
static int read_rows(struct rows *rows, const char *prefix,
                     const struct positions *positions, struct err *err)
{
    rows->prefix = prefix;
    if (open_array(rows, prefix, err) < 0)
        return -1;
    for (rows->row = 0;; rows->row++) {
        struct json_token token;
        if (json_scan_next(&rows->scan, &token, err) < 0)
            return -1;
        if (token.kind == JSON_SCAN_ARRAY_END)
            break;
        if (rows->row == 0 && begin_rows(rows, &token, positions, err) < 0)
            return -1;
        if (check_row(rows, &token, positions, err) < 0 ||
            (rows->by_name ? read_record(rows, err)
                           : add_values(rows, rows->cells->n_columns, err)) < 0)
            return -1;
        cells_end_row(rows->cells);
    }
    if (rows->row == 0)
        return err_set_at(err, ERR_INVALID, "no_rows", prefix, "there are no rows");
    return 0;
}

/* Reads ["a", "b", …] as the columns. */
static int read_columns(struct rows *rows, struct err *err)
{
    if (open_array(rows, "/columns", err) < 0)
        return -1;
    for (size_t i = 0;; i++) {
        struct json_token token;
        char pointer[CELLS_POINTER_SIZE];
        const char *name;
        size_t len;
        if (json_scan_next(&rows->scan, &token, err) < 0)
            return -1;
        if (token.kind == JSON_SCAN_ARRAY_END)
            return i ? 0
                     : err_set_at(err, ERR_INVALID, "no_columns", "/columns",
                                  "columns is empty");
        cells_pointer(pointer, "/columns", i, NULL);
        if (token.kind != JSON_SCAN_STRING)
            return err_set_at(err, ERR_INVALID, "not_a_name", pointer,
                              "a column name must be a text");
        if (get_text(rows, &token, &name, &len, err) < 0 ||
            add_column(rows, pointer, name, len, err) < 0)
            return -1;
    }
}

/* Opens the object that is the whole document. */
static int open_document(struct rows *rows, const char *pointer, struct err *err)
{
    struct json_token token;
    if (json_scan_next(&rows->scan, &token, err) < 0)
        return -1;
    if (token.kind != JSON_SCAN_OBJECT_BEGIN)
        return err_set_at(err, ERR_INVALID, "not_an_object", pointer,
                          "the body must be an object");
    return 0;
}

/* The next member's place in `known`, or n at the end of the object. */
static int next_member(struct rows *rows, const char *pointer, const char *const *known,
                       size_t n, size_t *member, struct err *err)
{
    struct json_token key;
    const char *text;
    size_t len;
    if (json_scan_next(&rows->scan, &key, err) < 0)
        return -1;
    *member = n;
    if (key.kind == JSON_SCAN_OBJECT_END)
        return json_scan_next(&rows->scan, &key, err); /* nothing may follow */
    if (get_text(rows, &key, &text, &len, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (len == strlen(known[i]) && memcmp(text, known[i], len) == 0)
            *member = i;
    if (*member < n)
        return 0;
    char name[64];
    char at[CELLS_POINTER_SIZE];
    char quoted[CELLS_QUOTE_SIZE];
    cells_quote(quoted, text, len);
    snprintf(name, sizeof name, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
    const char *nearest = spell_nearest(name, known, n);
    return err_set_at(err, ERR_INVALID, "unknown_field",
                      cells_pointer(at, pointer, SIZE_MAX, name),
                      "unknown field %s%s%s%s", quoted, nearest ? "; did you mean '" : "",
                      nearest ? nearest : "", nearest ? "'?" : "");
}

enum member { ROWS, COLUMNS, DATA, INSTANCES, MEMBER_COUNT };

static const char *const member_names[] = {"rows", "columns", "data", "instances"};

/* What was seen of a prediction's body. */
struct body {
    bool has[MEMBER_COUNT];
    struct json_scan data; /* where "data" stands when it came before "columns" */
    bool has_late_data;
};

static int check_form(const struct body *body, enum member member, struct err *err)
{
    char pointer[CELLS_POINTER_SIZE];
    bool is_table = member == COLUMNS || member == DATA;
    bool has_other = body->has[ROWS] || body->has[INSTANCES] ||
                     (!is_table && (body->has[COLUMNS] || body->has[DATA]));
    if (!body->has[member] && !has_other)
        return 0;
    return err_set_at(err, ERR_INVALID, "several_forms",
                      cells_pointer(pointer, "", SIZE_MAX, member_names[member]),
                      "give one of rows, instances, or columns with data, and once");
}

static const struct positions by_column = {.may_be_array = true};

static int read_member_of(struct rows *rows, struct body *body, enum member member,
                          const struct positions *by_order, struct err *err)
{
    static const struct positions objects_only = {.may_be_object = true};
    if (check_form(body, member, err) < 0)
        return -1;
    body->has[member] = true;
    switch (member) {
    case ROWS:
        return read_rows(rows, "/rows", &objects_only, err);
    case INSTANCES:
        return read_rows(rows, "/instances", by_order, err);
    case COLUMNS:
        return read_columns(rows, err);
    case DATA:
        if (body->has[COLUMNS])
            return read_rows(rows, "/data", &by_column, err);
        body->data = rows->scan;
        body->has_late_data = true;
        return json_scan_skip(&rows->scan, err);
    case MEMBER_COUNT:
        break;
    }
    return 0;
}

/* The body is read: what came in the wrong order, and what is lacking. */
static int finish_body(struct rows *rows, const struct body *body, struct err *err)
{
    if (body->has[COLUMNS] != body->has[DATA])
        return err_set_at(err, ERR_INVALID, "missing_field",
                          body->has[COLUMNS] ? "/data" : "/columns", "%s needs %s",
                          body->has[COLUMNS] ? "columns" : "data",
                          body->has[COLUMNS] ? "data" : "columns");
    if (body->has_late_data) {
        rows->scan = body->data;
        return read_rows(rows, "/data", &by_column, err);
    }
    if (rows->cells->n_rows == 0)
        return err_set(err, ERR_INVALID, "no_rows",
                       "the body needs rows, instances, or columns with data");
    return 0;
}

int json_rows_read(const char *bytes, size_t len, const char *const *names,
                   size_t n_names, struct cells *cells, struct err *err)
{
    struct rows rows;
    struct body body = {0};
    struct positions by_order = {names, n_names, true, true};
    rows_init(&rows, bytes, len, cells);
    int status = open_document(&rows, "", err);
    while (status == 0) {
        size_t member;
        status = next_member(&rows, "", member_names, MEMBER_COUNT, &member, err);
        if (status < 0)
            break;
        if (member == MEMBER_COUNT) {
            status = finish_body(&rows, &body, err);
            break;
        }
        status = read_member_of(&rows, &body, (enum member)member, &by_order, err);
    }
    rows_clear(&rows);
    return status;
}

enum { X, Y, XY_COUNT };

/* Finds X and y: where each value starts. */
static int find_xy(struct rows *rows, const char *pointer, struct json_scan at[XY_COUNT],
                   struct err *err)
{
    static const char *const names[] = {"X", "y"};
    bool has[XY_COUNT] = {false, false};
    char where[CELLS_POINTER_SIZE];
    size_t member;
    if (open_document(rows, pointer, err) < 0)
        return -1;
    for (;;) {
        if (next_member(rows, pointer, names, XY_COUNT, &member, err) < 0)
            return -1;
        if (member == XY_COUNT)
            break;
        if (has[member])
            return err_set_at(err, ERR_INVALID, "duplicate_field",
                              cells_pointer(where, pointer, SIZE_MAX, names[member]),
                              "%s is given twice", names[member]);
        has[member] = true;
        at[member] = rows->scan;
        if (json_scan_skip(&rows->scan, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < XY_COUNT; i++)
        if (!has[i])
            return err_set_at(err, ERR_INVALID, "missing_field",
                              cells_pointer(where, pointer, SIZE_MAX, names[i]),
                              "%s is needed", names[i]);
    return 0;
}

/* Columns x0, x1, …, y, as many as the first row of X has; '[' of that row is read. */
static int add_xy_columns(struct rows *x, struct err *err)
{
    struct json_scan ahead = x->scan;
    for (size_t i = 0;; i++) {
        struct json_token token;
        char name[24];
        if (json_scan_next(&ahead, &token, err) < 0 ||
            json_scan_skip_rest(&ahead, &token, err) < 0)
            return -1;
        if (token.kind == JSON_SCAN_ARRAY_END)
            return i ? add_column(x, x->prefix, "y", 1, err)
                     : fail_row(x, "not_a_row", "it has no values", err);
        int len = snprintf(name, sizeof name, "x%zu", i);
        if (add_column(x, x->prefix, name, (size_t)len, err) < 0)
            return -1;
    }
}

/* One value of y, whose pointer is /y/row. */
static int add_y(struct rows *x, const struct json_token *token, const char *y_pointer,
                 struct err *err)
{
    size_t column = x->cells->n_columns - 1;
    char pointer[CELLS_POINTER_SIZE];
    if (add_value(x, token, column, NULL) == 0)
        return 0;
    struct err inner = {0};
    if (add_value(x, token, column, &inner) == 0)
        return 0;
    return err_set_at(err, inner.code, inner.slug,
                      cells_pointer(pointer, y_pointer, x->row, NULL), "%s",
                      inner.message);
}

static int fail_lengths(struct rows *x, struct json_scan *y, const char *y_pointer,
                        bool y_has_more, struct err *err)
{
    size_t n_x = x->row;
    size_t n_y = x->row;
    struct json_scan *longer = y_has_more ? y : &x->scan;
    struct json_token token;
    do { /* the first one of the rest is read already */
        *(y_has_more ? &n_y : &n_x) += 1;
        if (json_scan_next(longer, &token, err) < 0 ||
            json_scan_skip_rest(longer, &token, err) < 0)
            return -1;
    } while (token.kind != JSON_SCAN_ARRAY_END);
    return err_set_at(err, ERR_INVALID, "length_mismatch", y_pointer,
                      "X has %zu rows, y has %zu", n_x, n_y);
}

/* Reads X and y side by side, their '[' read. */
static int read_pairs(struct rows *x, struct json_scan *y, const char *y_pointer,
                      struct err *err)
{
    static const struct positions arrays_only = {.may_be_array = true};
    for (x->row = 0;; x->row++) {
        struct json_token row;
        struct json_token label;
        if (json_scan_next(&x->scan, &row, err) < 0 || json_scan_next(y, &label, err) < 0)
            return -1;
        bool x_ends = row.kind == JSON_SCAN_ARRAY_END;
        bool y_ends = label.kind == JSON_SCAN_ARRAY_END;
        if (x_ends && y_ends)
            break;
        if (x_ends || y_ends) {
            if (json_scan_skip_rest(x_ends ? y : &x->scan, x_ends ? &label : &row, err) <
                0)
                return -1;
            return fail_lengths(x, y, y_pointer, x_ends, err);
        }
        if (check_row(x, &row, &arrays_only, err) < 0 ||
            (x->row == 0 && add_xy_columns(x, err) < 0) ||
            add_values(x, x->cells->n_columns - 1, err) < 0 ||
            add_y(x, &label, y_pointer, err) < 0)
            return -1;
        cells_end_row(x->cells);
    }
    if (x->row == 0)
        return err_set_at(err, ERR_INVALID, "no_rows", x->prefix, "there are no rows");
    return 0;
}

int json_rows_read_xy(const char *bytes, size_t len, const char *pointer,
                      struct cells *cells, struct err *err)
{
    struct rows x;
    struct json_scan at[XY_COUNT];
    char x_pointer[CELLS_POINTER_SIZE];
    char y_pointer[CELLS_POINTER_SIZE];
    rows_init(&x, bytes, len, cells);
    int status = find_xy(&x, pointer, at, err);
    if (status == 0) {
        cells_pointer(x_pointer, pointer, SIZE_MAX, "X");
        cells_pointer(y_pointer, pointer, SIZE_MAX, "y");
        x.prefix = x_pointer;
        x.scan = at[Y];
        status = open_array(&x, y_pointer, err);
        struct json_scan y = x.scan;
        x.scan = at[X];
        if (status == 0)
            status = open_array(&x, x_pointer, err);
        if (status == 0)
            status = read_pairs(&x, &y, y_pointer, err);
    }
    rows_clear(&x);
    return status;
}
