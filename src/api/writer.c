#include "api/writer.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/decimal.h"

void writer_init(struct writer *writer, struct buf *out)
{
    *writer = (struct writer){.out = out};
}

static void begin(struct writer *writer, const char *key)
{
    if (writer->needs_comma)
        buf_putc(writer->out, ',');
    writer->needs_comma = true;
    if (key) {
        buf_json_string(writer->out, key, strlen(key));
        buf_putc(writer->out, ':');
    }
}

static void open_bracket(struct writer *writer, const char *key, char opener, char closer)
{
    assert(writer->depth < WRITER_DEPTH);
    begin(writer, key);
    buf_putc(writer->out, opener);
    writer->closers[writer->depth++] = closer;
    writer->needs_comma = false;
}

void writer_object(struct writer *writer, const char *key)
{
    open_bracket(writer, key, '{', '}');
}

void writer_array(struct writer *writer, const char *key)
{
    open_bracket(writer, key, '[', ']');
}

void writer_close(struct writer *writer)
{
    assert(writer->depth > 0);
    buf_putc(writer->out, writer->closers[--writer->depth]);
    writer->needs_comma = true;
}

void writer_text_len(struct writer *writer, const char *key, const char *text, size_t len)
{
    begin(writer, key);
    buf_json_string(writer->out, text, len);
}

void writer_text(struct writer *writer, const char *key, const char *text)
{
    writer_text_len(writer, key, text, strlen(text));
}

void writer_real(struct writer *writer, const char *key, double value)
{
    char text[DECIMAL_TEXT_SIZE];
    size_t len = decimal_print(value, text);
    begin(writer, key);
    buf_put(writer->out, text, len);
}

void writer_float(struct writer *writer, const char *key, float value)
{
    char text[DECIMAL_TEXT_SIZE];
    size_t len = decimal_print_float(value, text);
    begin(writer, key);
    buf_put(writer->out, text, len);
}

void writer_whole(struct writer *writer, const char *key, uint64_t value)
{
    begin(writer, key);
    buf_printf(writer->out, "%llu", (unsigned long long)value);
}

void writer_flag(struct writer *writer, const char *key, bool value)
{
    begin(writer, key);
    buf_text(writer->out, value ? "true" : "false");
}

void writer_null(struct writer *writer, const char *key)
{
    begin(writer, key);
    buf_text(writer->out, "null");
}

void writer_time(struct writer *writer, const char *key, int64_t at_ms)
{
    char text[CLOCK_TEXT_SIZE];
    if (at_ms == 0) {
        writer_null(writer, key);
        return;
    }
    clock_print(at_ms, text);
    writer_text(writer, key, text);
}
