#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

void buf_init(struct buf *buf, size_t limit)
{
    *buf = (struct buf){.limit = limit < SIZE_MAX / 4 ? limit : SIZE_MAX / 4};
}

void buf_clear(struct buf *buf)
{
    free(buf->bytes);
    buf_init(buf, buf->limit);
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->out_of_memory = false;
    buf->over_limit = false;
}

bool buf_reserve(struct buf *buf, size_t more)
{
    if (buf->out_of_memory || buf->over_limit)
        return false;
    if (more > buf->limit - buf->len) {
        buf->over_limit = true;
        return false;
    }
    size_t need = buf->len + more + 1;
    if (need <= buf->capacity)
        return true;
    size_t wanted = buf->capacity + buf->capacity / 2;
    if (wanted < need)
        wanted = need;
    if (wanted < 64)
        wanted = 64;
    char *grown = realloc(buf->bytes, wanted);
    if (!grown) {
        buf->out_of_memory = true;
        return false;
    }
    buf->bytes = grown;
    buf->capacity = wanted;
    return true;
}

void buf_put(struct buf *buf, const void *bytes, size_t len)
{
    if (!buf_reserve(buf, len))
        return;
    if (len)
        memcpy(buf->bytes + buf->len, bytes, len);
    buf->len += len;
    buf->bytes[buf->len] = '\0';
}

void buf_putc(struct buf *buf, char c)
{
    buf_put(buf, &c, 1);
}

void buf_text(struct buf *buf, const char *text)
{
    buf_put(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len >= 0 && buf_reserve(buf, (size_t)len)) {
        vsnprintf(buf->bytes + buf->len, (size_t)len + 1, fmt, again);
        buf->len += (size_t)len;
    }
    va_end(again);
}

static void buf_json_control(struct buf *buf, unsigned char c)
{
    switch (c) {
    case '\n':
        buf_text(buf, "\\n");
        break;
    case '\r':
        buf_text(buf, "\\r");
        break;
    case '\t':
        buf_text(buf, "\\t");
        break;
    default:
        buf_printf(buf, "\\u%04x", c);
    }
}

void buf_json_string(struct buf *buf, const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    buf_putc(buf, '"');
    for (size_t i = 0; i < len;) {
        size_t plain = i;
        while (plain < len && s[plain] >= 0x20 && s[plain] < 0x7F && s[plain] != '"' &&
               s[plain] != '\\')
            plain++;
        buf_put(buf, text + i, plain - i);
        i = plain;
        if (i == len)
            break;
        size_t sequence = utf8_len(text + i, len - i);
        if (s[i] == '"' || s[i] == '\\') {
            buf_putc(buf, '\\');
            buf_putc(buf, text[i]);
        } else if (s[i] < 0x20 || s[i] == 0x7F) {
            buf_json_control(buf, s[i]);
        } else if (sequence) {
            buf_put(buf, text + i, sequence);
        } else {
            buf_text(buf, "\xEF\xBF\xBD");
            sequence = 1;
        }
        i += sequence;
    }
    buf_putc(buf, '"');
}

int buf_check(const struct buf *buf, struct err *err)
{
    if (buf->out_of_memory)
        return err_no_memory(err);
    if (buf->over_limit)
        return err_set(err, ERR_TOO_LARGE, "too_large", "more than the %zu bytes allowed",
                       buf->limit);
    return 0;
}

char *buf_take(struct buf *buf, size_t *len)
{
    char *bytes = buf->bytes ? buf->bytes : calloc(1, 1);
    *len = bytes ? buf->len : 0;
    buf_init(buf, buf->limit);
    return bytes;
}
