#include "table/warnings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define WARNINGS_DETAIL_SIZE 512

static void clear_one(struct warning *warning)
{
    free(warning->column);
    free(warning->detail);
    *warning = (struct warning){0};
}

void warnings_clear(struct warnings *warnings)
{
    for (size_t i = 0; i < warnings->n; i++)
        clear_one(&warnings->items[i]);
    free(warnings->items);
    *warnings = (struct warnings){0};
}

/* Length of a text without a UTF-8 sequence that was cut off at its end. */
static size_t whole_len(const char *text, size_t len)
{
    size_t at = len;
    while (at > 0 && ((unsigned char)text[at - 1] & 0xC0) == 0x80)
        at--;
    if (at > 0 && utf8_len(text + at - 1, len - at + 1) == 0)
        return at - 1;
    return len;
}

/* Takes a copy of one; false when memory is out. */
static bool keep(struct warnings *warnings, const char *code, const char *column,
                 size_t line, const char *detail)
{
    struct warning made = {.line = line};
    snprintf(made.code, sizeof made.code, "%s", code);
    made.detail = mem_text(detail, whole_len(detail, strlen(detail)), NULL);
    if (column)
        made.column = mem_text(column, strlen(column), NULL);
    if (!made.detail || (column && !made.column) ||
        mem_grow(&warnings->items, &warnings->capacity, warnings->n + 1,
                 sizeof *warnings->items, NULL) < 0) {
        clear_one(&made);
        return false;
    }
    warnings->items[warnings->n++] = made;
    return true;
}

void warnings_add(struct warnings *warnings, const char *code, const char *column,
                  size_t line, const char *fmt, ...)
{
    if (!warnings)
        return;
    if (warnings->n >= WARNINGS_MAX) {
        warnings->n_dropped++;
        return;
    }
    char detail[WARNINGS_DETAIL_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    if (!keep(warnings, code, column, line, detail))
        warnings->n_dropped++;
}

void warnings_encode(const struct warnings *warnings, struct buf *out)
{
    endian_put_u32(out, (uint32_t)warnings->n);
    endian_put_u64(out, warnings->n_dropped);
    for (size_t i = 0; i < warnings->n; i++) {
        const struct warning *item = &warnings->items[i];
        endian_put_text(out, item->code, strlen(item->code));
        endian_put_u8(out, item->column != NULL);
        if (item->column)
            endian_put_text(out, item->column, strlen(item->column));
        endian_put_u64(out, item->line);
        endian_put_text(out, item->detail, strlen(item->detail));
    }
}

static int corrupt(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "corrupt_warnings",
                   "the stored warnings do not decode");
}

/* A text of at most `max` bytes without NUL as an owned string; NULL with err set. */
static char *get_string(struct endian_reader *reader, size_t max, struct err *err)
{
    size_t len;
    const char *text = endian_get_text(reader, &len);
    if (!text || len > max || memchr(text, '\0', len)) {
        corrupt(err);
        return NULL;
    }
    return mem_text(text, len, err);
}

static int get_one(struct endian_reader *reader, struct warning *warning, struct err *err)
{
    char *code = get_string(reader, sizeof warning->code - 1, err);
    if (!code)
        return -1;
    snprintf(warning->code, sizeof warning->code, "%s", code);
    free(code);
    uint8_t has_column = endian_get_u8(reader);
    if (has_column > 1)
        return corrupt(err);
    if (has_column) {
        warning->column = get_string(reader, SIZE_MAX, err);
        if (!warning->column)
            return -1;
    }
    warning->line = endian_get_u64(reader);
    warning->detail = get_string(reader, WARNINGS_DETAIL_SIZE, err);
    return warning->detail ? 0 : -1;
}

int warnings_decode(struct endian_reader *reader, struct warnings *warnings,
                    struct err *err)
{
    struct warnings made = {0};
    size_t n = endian_get_u32(reader);
    made.n_dropped = endian_get_u64(reader);
    if (reader->failed || n > WARNINGS_MAX)
        return corrupt(err);
    made.items = mem_new(n, sizeof *made.items, err);
    if (!made.items)
        return -1;
    made.capacity = n;
    for (; made.n < n; made.n++) {
        if (get_one(reader, &made.items[made.n], err) < 0) {
            made.n++; /* the half-built one too */
            warnings_clear(&made);
            return -1;
        }
    }
    *warnings = made;
    return 0;
}
