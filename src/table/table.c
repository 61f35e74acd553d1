#include "table/table.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/spell.h"
#include "table/text_map.h"

/* Columns whose cells are parsed together, row by row: the text of a row lies in one place,
 * so a column at a time would miss the cache at every cell of a wide table. */
#define BLOCK_COLUMNS 32

/* A categorical column is almost numeric when its words are this few. */
#define FEW_WORDS      3
#define FEW_WORDS_RATE 10 /* or one in so many cells */

static const double whole_limit = 9007199254740992.0; /* 2^53 */

const char *table_kind_name(enum table_kind kind)
{
    static const char *const names[TABLE_KIND_COUNT] = {"numeric", "integer",
                                                        "categorical"};
    return names[kind];
}

static void clear_column(struct table_column *column)
{
    free(column->name);
    for (size_t i = 0; column->levels && i < column->n_levels; i++)
        free(column->levels[i]);
    free(column->levels);
    free(column->counts);
    free(column->values);
    free(column->codes);
    *column = (struct table_column){0};
}

void table_clear(struct table *table)
{
    for (size_t i = 0; table->columns && i < table->n_columns; i++)
        clear_column(&table->columns[i]);
    free(table->columns);
    *table = (struct table){0};
}

/* What parsing a column as numbers found. */
struct attempt {
    bool is_done; /* too many words to be worth looking further */
    size_t n_numbers;
    size_t n_missing;
    size_t n_words;
    size_t word_row; /* of the first word */
    bool is_whole;
};

static void try_cell(struct attempt *attempt, const char *text, size_t len, size_t row,
                     size_t n_rows, double *value)
{
    double number;
    if (cells_number(text, len, &number)) {
        *value = number;
        attempt->n_numbers++;
        if (number != trunc(number) || fabs(number) >= whole_limit)
            attempt->is_whole = false;
    } else if (cells_is_missing(text, len)) {
        *value = (double)NAN;
        attempt->n_missing++;
    } else {
        if (attempt->n_words++ == 0)
            attempt->word_row = row;
        attempt->is_done =
            attempt->n_words > FEW_WORDS && attempt->n_words > n_rows / FEW_WORDS_RATE;
    }
}

static void parse_block(const struct cells *cells, struct table *table, size_t first,
                        size_t n, struct attempt attempts[static BLOCK_COLUMNS])
{
    for (size_t i = 0; i < n; i++)
        attempts[i] = (struct attempt){.is_whole = true};
    const char *bytes = cells->arena.bytes ? cells->arena.bytes : "";
    for (size_t row = 0; row < cells->n_rows; row++) {
        size_t at = row * cells->n_columns + first;
        size_t start = at ? cells->ends[at - 1] : 0;
        for (size_t i = 0; i < n; i++) {
            size_t end = cells->ends[at + i];
            if (!attempts[i].is_done)
                try_cell(&attempts[i], bytes + start, end - start, row, cells->n_rows,
                         &table->columns[first + i].values[row]);
            start = end;
        }
    }
}

/* Profile of a numeric column: two passes, so that the variance does not cancel. */
static void profile(struct table_column *column, size_t n_rows)
{
    double sum = 0;
    size_t n = 0;
    column->min = (double)INFINITY;
    column->max = (double)-INFINITY;
    for (size_t i = 0; i < n_rows; i++) {
        double value = column->values[i];
        if (isnan(value))
            continue;
        sum += value;
        column->min = value < column->min ? value : column->min;
        column->max = value > column->max ? value : column->max;
        n++;
    }
    if (n == 0) {
        column->min = column->max = column->mean = column->std = (double)NAN;
        return;
    }
    column->mean = sum / (double)n;
    double squares = 0;
    for (size_t i = 0; i < n_rows; i++) {
        double away = column->values[i] - column->mean;
        if (!isnan(away))
            squares += away * away;
    }
    column->std = column->min == column->max ? 0 : sqrt(squares / (double)n);
}

/* A level while levels are sorted: its text and the code it had by first appearance. */
struct level {
    const char *text;
    size_t len;
    uint32_t code;
};

static int compare_levels(const void *left, const void *right)
{
    const struct level *a = left;
    const struct level *b = right;
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Replaces codes by first appearance with codes by bytewise order, and counts. */
static int sort_levels(struct table_column *column, const struct text_map *map,
                       size_t n_rows, struct err *err)
{
    int status = -1;
    struct level *levels = mem_new(map->n, sizeof *levels, err);
    uint32_t *rank = mem_new(map->n, sizeof *rank, err);
    column->levels = mem_new(map->n, sizeof *column->levels, err);
    column->counts = mem_new(map->n, sizeof *column->counts, err);
    if (!levels || !rank || !column->levels || !column->counts)
        goto out;
    for (size_t i = 0; i < map->n; i++)
        levels[i] =
            (struct level){map->entries[i].text, map->entries[i].len, (uint32_t)i};
    qsort(levels, map->n, sizeof *levels, compare_levels);
    for (size_t i = 0; i < map->n; i++) {
        column->levels[i] = mem_text(levels[i].text, levels[i].len, err);
        if (!column->levels[i])
            goto out;
        column->n_levels = i + 1;
        rank[levels[i].code] = (uint32_t)i;
    }
    for (size_t i = 0; i < n_rows; i++) {
        if (column->codes[i] == TABLE_MISSING)
            continue;
        column->codes[i] = rank[column->codes[i]];
        column->counts[column->codes[i]]++;
    }
    status = 0;
out:
    free(levels);
    free(rank);
    return status;
}

static int code_column(const struct cells *cells, size_t index,
                       struct table_column *column, struct err *err)
{
    int status = -1;
    struct text_map map;
    text_map_init(&map);
    column->kind = TABLE_CATEGORICAL;
    column->min = column->max = column->mean = column->std = (double)NAN;
    column->n_missing = 0;
    free(column->values);
    column->values = NULL;
    column->codes = mem_new(cells->n_rows, sizeof *column->codes, err);
    if (!column->codes)
        goto out;
    for (size_t row = 0; row < cells->n_rows; row++) {
        size_t len;
        const char *text = cells_get(cells, row, index, &len);
        if (cells_is_missing(text, len)) {
            column->codes[row] = TABLE_MISSING;
            column->n_missing++;
        } else if (text_map_add(&map, text, len, &column->codes[row], err) < 0) {
            goto out;
        }
    }
    status = sort_levels(column, &map, cells->n_rows, err);
out:
    text_map_clear(&map);
    return status;
}

static void warn_almost_numeric(const struct cells *cells, size_t index,
                                const struct attempt *attempt, struct warnings *warnings)
{
    if (attempt->is_done || attempt->n_numbers <= attempt->n_words)
        return;
    char quoted[CELLS_QUOTE_SIZE];
    size_t len;
    const char *text = cells_get(cells, attempt->word_row, index, &len);
    warnings_add(
        warnings, "almost_numeric", cells->names[index], attempt->word_row + 1,
        "read as categories, because %zu of %zu values are not numbers; the first "
        "is %s in row %zu",
        attempt->n_words, attempt->n_words + attempt->n_numbers,
        cells_quote(quoted, text, len), attempt->word_row + 1);
}

static int finish_column(const struct cells *cells, size_t index,
                         const struct attempt *attempt, struct table_column *column,
                         struct warnings *warnings, struct err *err)
{
    if (attempt->n_words) {
        if (code_column(cells, index, column, err) < 0)
            return -1;
        warn_almost_numeric(cells, index, attempt, warnings);
    } else {
        column->n_missing = attempt->n_missing;
        column->kind =
            attempt->is_whole && attempt->n_numbers ? TABLE_INTEGER : TABLE_NUMERIC;
        profile(column, cells->n_rows);
    }
    size_t n_present = cells->n_rows - (size_t)column->n_missing;
    if (n_present == 0)
        warnings_add(warnings, "all_missing", column->name, 0,
                     "the column has no values");
    else if (n_present > 1 && column->n_missing == 0 &&
             (column->n_levels == 1 || column->min == column->max))
        warnings_add(warnings, "constant", column->name, 0,
                     "every row has the same value");
    return 0;
}

static int infer_block(const struct cells *cells, struct table *table, size_t first,
                       size_t n, struct warnings *warnings, struct err *err)
{
    struct attempt attempts[BLOCK_COLUMNS];
    for (size_t i = first; i < first + n; i++) {
        struct table_column *column = &table->columns[i];
        column->name = mem_text(cells->names[i], strlen(cells->names[i]), err);
        column->values = mem_new(cells->n_rows, sizeof *column->values, err);
        if (!column->name || !column->values)
            return -1;
    }
    parse_block(cells, table, first, n, attempts);
    for (size_t i = 0; i < n; i++)
        if (finish_column(cells, first + i, &attempts[i], &table->columns[first + i],
                          warnings, err) < 0)
            return -1;
    return 0;
}

int table_infer(const struct cells *cells, struct table *table, struct warnings *warnings,
                struct err *err)
{
    struct table made = {.n_rows = cells->n_rows};
    if (cells->n_rows >= TABLE_MISSING)
        return err_set(err, ERR_TOO_LARGE, "table_too_large", "too many rows");
    made.columns = mem_new(cells->n_columns, sizeof *made.columns, err);
    if (!made.columns)
        return -1;
    made.n_columns = cells->n_columns;
    for (size_t first = 0; first < cells->n_columns; first += BLOCK_COLUMNS) {
        size_t left = cells->n_columns - first;
        size_t n = left < BLOCK_COLUMNS ? left : BLOCK_COLUMNS;
        if (infer_block(cells, &made, first, n, warnings, err) < 0) {
            table_clear(&made);
            return -1;
        }
    }
    *table = made;
    return 0;
}

size_t table_find(const struct table *table, const char *name)
{
    for (size_t i = 0; i < table->n_columns; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

bool table_has(const struct table_column *column, size_t row)
{
    return column->kind == TABLE_CATEGORICAL ? column->codes[row] != TABLE_MISSING
                                             : !isnan(column->values[row]);
}

int table_alloc_column(struct table_column *column, size_t n_rows, struct err *err)
{
    if (column->kind == TABLE_CATEGORICAL) {
        column->codes = mem_new(n_rows, sizeof *column->codes, err);
        return column->codes ? 0 : -1;
    }
    column->values = mem_new(n_rows, sizeof *column->values, err);
    return column->values ? 0 : -1;
}

static const char *nearest_name(const struct table *table, const char *name)
{
    const char **names = mem_new(table->n_columns, sizeof *names, NULL);
    if (!names)
        return NULL;
    for (size_t i = 0; i < table->n_columns; i++)
        names[i] = table->columns[i].name;
    const char *nearest = spell_nearest(name, names, table->n_columns);
    free(names);
    return nearest;
}

int table_unknown(const struct table *table, const char *column, const char *slug,
                  const char *pointer, struct err *err)
{
    char quoted[CELLS_QUOTE_SIZE];
    char other[CELLS_QUOTE_SIZE];
    const char *nearest = nearest_name(table, column);
    return err_set_at(
        err, ERR_INVALID, slug, pointer, "there is no column %s%s%s%s",
        cells_quote(quoted, column, strlen(column)), nearest ? "; did you mean " : "",
        nearest ? cells_quote(other, nearest, strlen(nearest)) : "", nearest ? "?" : "");
}
