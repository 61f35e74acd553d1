/*
 * json_scan: a pull tokeniser for JSON (RFC 8259) over bytes in memory. It allocates
 * nothing and copies nothing: it serves where a document tree would cost too much (rows of
 * numbers) or where no JSON library belongs (a weights header). Strict: no trailing commas,
 * comments, or bytes behind the document; UTF-8 is checked in strings. One caller at a time.
 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define JSON_SCAN_DEPTH 64 /* deepest nesting that is read */

enum json_scan_kind {
    JSON_SCAN_END, /* the document ended and nothing follows */
    JSON_SCAN_OBJECT_BEGIN,
    JSON_SCAN_OBJECT_END,
    JSON_SCAN_ARRAY_BEGIN,
    JSON_SCAN_ARRAY_END,
    JSON_SCAN_KEY, /* a member's name; its value is the next token */
    JSON_SCAN_STRING,
    JSON_SCAN_NUMBER,
    JSON_SCAN_TRUE,
    JSON_SCAN_FALSE,
    JSON_SCAN_NULL,
};

struct json_token {
    enum json_scan_kind kind;
    const char *text; /* borrowed: key or string without its quotes, or the literal */
    size_t len;
    bool escaped; /* the string holds backslashes: json_scan_unescape gives its value */
};

struct json_scan {
    const char *begin; /* borrowed input */
    const char *at;
    const char *end;
    unsigned depth;                  /* open containers */
    bool in_object[JSON_SCAN_DEPTH]; /* kind of each open container */
    bool is_first;                   /* nothing seen yet in the innermost container */
    bool has_key;                    /* a key was given, its value must follow */
    bool is_done;                    /* the one value of the document was read */
};

void json_scan_init(struct json_scan *scan, const char *bytes, size_t len);

/* The next token. 0, or -1 with err set (ERR_MALFORMED, "invalid_json", line and column). */
int json_scan_next(struct json_scan *scan, struct json_token *token, struct err *err);

/* Skips the value that follows (after a key, or the next array element). */
int json_scan_skip(struct json_scan *scan, struct err *err);

/* Skips what is left of a value whose first token is given: nothing for a plain one. */
int json_scan_skip_rest(struct json_scan *scan, const struct json_token *first,
                        struct err *err);

/* True when the token's value equals `text` (escapes are compared raw). */
bool json_token_is(const struct json_token *token, const char *text);

/* Appends the value of a key or string token, escapes resolved to UTF-8, to out. A lone
 * surrogate or \u0000 is an error (ERR_MALFORMED). */
int json_scan_unescape(const struct json_token *token, struct buf *out, struct err *err);

#endif
