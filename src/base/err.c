#include "base/err.h"

#include <stdio.h>
#include <string.h>

static void err_fill(struct err *err, enum err_code code, const char *slug,
                     const char *pointer, const char *fmt, va_list args)
{
    err->code = code;
    snprintf(err->slug, sizeof err->slug, "%s", slug);
    snprintf(err->pointer, sizeof err->pointer, "%s", pointer);
    vsnprintf(err->message, sizeof err->message, fmt, args);
    /* The cut may have split a UTF-8 sequence: drop its head, or the sentence is not text. */
    size_t len = strlen(err->message);
    if (len == sizeof err->message - 1) {
        while (len > 0 && ((unsigned char)err->message[len - 1] & 0xC0) == 0x80)
            len--;
        if (len > 0 && (unsigned char)err->message[len - 1] >= 0xC0)
            len--;
        err->message[len] = '\0';
    }
}

int err_set(struct err *err, enum err_code code, const char *slug, const char *fmt, ...)
{
    if (!err || err->code != ERR_NONE)
        return -1;
    va_list args;
    va_start(args, fmt);
    err_fill(err, code, slug, "", fmt, args);
    va_end(args);
    return -1;
}

int err_set_at(struct err *err, enum err_code code, const char *slug, const char *pointer,
               const char *fmt, ...)
{
    if (!err || err->code != ERR_NONE)
        return -1;
    va_list args;
    va_start(args, fmt);
    err_fill(err, code, slug, pointer, fmt, args);
    va_end(args);
    return -1;
}

int err_no_memory(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "out_of_memory", "the server is out of memory");
}

void err_clear(struct err *err)
{
    *err = (struct err){0};
}
