#include "table/cells.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "base/decimal.h"
#include "base/mem.h"

/* Below this, looking at every name is as fast as an index. */
#define CELLS_INDEXED_FROM 16

#define HUGE_PAGE ((size_t)2 << 20)

void cells_init(struct cells *cells, size_t max_bytes)
{
    *cells = (struct cells){0};
    buf_init(&cells->arena, max_bytes < UINT32_MAX ? max_bytes : UINT32_MAX);
}

void cells_clear(struct cells *cells)
{
    for (size_t i = 0; i < cells->n_columns; i++)
        free(cells->names[i]);
    free(cells->names);
    free(cells->ends);
    text_map_clear(&cells->index);
    buf_clear(&cells->arena);
    cells_init(cells, cells->arena.limit);
}

/* Asks for huge pages: the first touch of a page costs more than reading its text does. */
static void ask_for_huge_pages(void *bytes, size_t len)
{
    uintptr_t start = ((uintptr_t)bytes + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    uintptr_t end = ((uintptr_t)bytes + len) & ~(uintptr_t)(HUGE_PAGE - 1);
    if (start < end)
        (void)madvise((char *)bytes + (start - (uintptr_t)bytes), end - start,
                      MADV_HUGEPAGE);
}

void cells_reserve(struct cells *cells, size_t n_bytes, size_t n_cells)
{
    size_t left = cells->arena.limit - cells->arena.len;
    if (buf_reserve(&cells->arena, n_bytes < left ? n_bytes : left))
        ask_for_huge_pages(cells->arena.bytes, cells->arena.capacity);
    cells->arena.out_of_memory = false; /* it was only a wish */
    if (n_cells < SIZE_MAX - cells->n_ends &&
        mem_grow(&cells->ends, &cells->ends_capacity, cells->n_ends + n_cells,
                 sizeof *cells->ends, NULL) == 0)
        ask_for_huge_pages(cells->ends, cells->ends_capacity * sizeof *cells->ends);
}

static size_t find(const struct cells *cells, const char *name, size_t len)
{
    if (cells->n_columns >= CELLS_INDEXED_FROM) {
        uint32_t column = text_map_find(&cells->index, name, len);
        return column == TEXT_MAP_NONE ? SIZE_MAX : column;
    }
    for (size_t i = 0; i < cells->n_columns; i++)
        if (strncmp(cells->names[i], name, len) == 0 && cells->names[i][len] == '\0')
            return i;
    return SIZE_MAX;
}

size_t cells_find(const struct cells *cells, const char *name)
{
    return find(cells, name, strlen(name));
}

static int check_name(const struct cells *cells, const char *name, size_t len,
                      struct err *err)
{
    char quoted[CELLS_QUOTE_SIZE];
    if (len == 0)
        return err_set(err, ERR_INVALID, "empty_name", "a column name is empty");
    if (len > CELLS_NAME_MAX)
        return err_set(err, ERR_INVALID, "name_too_long",
                       "the column name %s is longer than %d bytes",
                       cells_quote(quoted, name, len), CELLS_NAME_MAX);
    if (memchr(name, '\0', len))
        return err_set(err, ERR_INVALID, "bad_name", "a column name holds a NUL byte");
    if (cells->n_columns == CELLS_COLUMNS_MAX)
        return err_set(err, ERR_INVALID, "too_many_columns", "more than %d columns",
                       CELLS_COLUMNS_MAX);
    size_t same = find(cells, name, len);
    if (same != SIZE_MAX)
        return err_set(err, ERR_INVALID, "duplicate_name",
                       "the column name %s is also that of column %zu",
                       cells_quote(quoted, name, len), same + 1);
    return 0;
}

/* Catches the index up with the names once it is worth having. */
static int index_names(struct cells *cells, struct err *err)
{
    if (cells->n_columns < CELLS_INDEXED_FROM)
        return 0;
    if (cells->index.n == 0)
        text_map_init(&cells->index);
    for (size_t i = cells->index.n; i < cells->n_columns; i++) {
        uint32_t code;
        if (text_map_add(&cells->index, cells->names[i], strlen(cells->names[i]), &code,
                         err) < 0)
            return -1;
    }
    return 0;
}

int cells_add_column(struct cells *cells, const char *name, size_t len, struct err *err)
{
    if (check_name(cells, name, len, err) < 0 ||
        mem_grow(&cells->names, &cells->names_capacity, cells->n_columns + 1,
                 sizeof *cells->names, err) < 0)
        return -1;
    char *copy = mem_text(name, len, err);
    if (!copy)
        return -1;
    cells->names[cells->n_columns++] = copy;
    if (index_names(cells, err) < 0) {
        /* The index borrows names: an entry for this one must not outlive it. */
        text_map_clear(&cells->index);
        cells->n_columns--;
        free(copy);
        return -1;
    }
    return 0;
}

/* Room for a text in the arena. Doubles it: each time it moves, all its pages are touched
 * anew, and that costs more than reading the text did. */
static bool reserve(struct buf *arena, size_t len)
{
    size_t left = arena->limit - arena->len;
    if (len > left || len < arena->capacity - arena->len)
        return buf_reserve(arena, len);
    return buf_reserve(arena, arena->len < left - len ? arena->len + len : len);
}

int cells_add(struct cells *cells, const char *text, size_t len, struct err *err)
{
    if (len > CELLS_CELL_MAX)
        return err_set(err, ERR_TOO_LARGE, "cell_too_large", "a cell of over %u bytes",
                       CELLS_CELL_MAX);
    if (cells->n_ends == cells->ends_capacity &&
        mem_grow(&cells->ends, &cells->ends_capacity, cells->n_ends + 1,
                 sizeof *cells->ends, err) < 0)
        return -1;
    if (len) {
        if (!reserve(&cells->arena, len))
            return cells->arena.out_of_memory
                       ? err_no_memory(err)
                       : err_set(err, ERR_TOO_LARGE, "table_too_large",
                                 "the cells take more than the %zu bytes allowed",
                                 cells->arena.limit);
        memcpy(cells->arena.bytes + cells->arena.len, text, len);
        cells->arena.len += len;
    }
    cells->ends[cells->n_ends++] = (uint32_t)cells->arena.len;
    return 0;
}

void cells_end_row(struct cells *cells)
{
    cells->n_rows++;
}

const char *cells_get(const struct cells *cells, size_t row, size_t column, size_t *len)
{
    size_t at = row * cells->n_columns + column;
    size_t start = at ? cells->ends[at - 1] : 0;
    *len = cells->ends[at] - start;
    return *len ? cells->arena.bytes + start : "";
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Narrows a text to what is left without the spaces around it. */
static void trim(const char **text, size_t *len)
{
    while (*len && is_space(**text)) {
        (*text)++;
        (*len)--;
    }
    while (*len && is_space((*text)[*len - 1]))
        (*len)--;
}

bool cells_is_missing(const char *text, size_t len)
{
    static const char *const words[] = {"?", "na", "n/a", "nan", "null", "none"};
    trim(&text, &len);
    if (len == 0)
        return true;
    for (size_t i = 0; len <= 4 && i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == len && strncasecmp(words[i], text, len) == 0)
            return true;
    return false;
}

bool cells_number(const char *text, size_t len, double *value)
{
    double number;
    if (!decimal_parse(text, len, &number)) {
        size_t untrimmed = len;
        trim(&text, &len);
        if (len == untrimmed || !decimal_parse(text, len, &number))
            return false;
    }
    if (!isfinite((float)number))
        return false;
    *value = number;
    return true;
}

/* Cuts a text to at most `max` bytes without splitting a UTF-8 sequence. */
static size_t cut(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    while (max && ((unsigned char)text[max] & 0xC0) == 0x80)
        max--;
    return max;
}

const char *cells_quote(char out[static CELLS_QUOTE_SIZE], const char *text, size_t len)
{
    size_t shown = cut(text, len, CELLS_QUOTE_SIZE - 8);
    snprintf(out, CELLS_QUOTE_SIZE, "'%.*s%s'", (int)shown, text,
             shown < len ? "\xE2\x80\xA6" : "");
    return out;
}

const char *cells_pointer(char out[static CELLS_POINTER_SIZE], const char *prefix,
                          size_t index, const char *name)
{
    int head = index == SIZE_MAX
                   ? snprintf(out, CELLS_POINTER_SIZE, "%s", prefix)
                   : snprintf(out, CELLS_POINTER_SIZE, "%s/%zu", prefix, index);
    size_t at = (size_t)head;
    if (!name || at + 2 >= CELLS_POINTER_SIZE)
        return out;
    out[at++] = '/';
    size_t len = cut(name, strlen(name), (CELLS_POINTER_SIZE - 1 - at) / 2);
    for (size_t i = 0; i < len; i++) {
        bool is_escaped = name[i] == '~' || name[i] == '/';
        if (is_escaped)
            out[at++] = '~';
        out[at++] = is_escaped ? (name[i] == '~' ? '0' : '1') : name[i];
    }
    out[at] = '\0';
    return out;
}
