#include "base/json_scan.h"

#include <string.h>

#include "base/utf8.h"

void json_scan_init(struct json_scan *scan, const char *bytes, size_t len)
{
    *scan = (struct json_scan){.begin = bytes, .at = bytes, .end = bytes + len};
}

static int scan_fail(const struct json_scan *scan, const char *what, struct err *err)
{
    size_t line = 1;
    size_t column = 1;
    for (const char *c = scan->begin; c < scan->at; c++) {
        column++;
        if (*c == '\n') {
            line++;
            column = 1;
        }
    }
    err_set(err, ERR_MALFORMED, "invalid_json",
            "the body is not valid JSON: line %zu, column %zu: %s", line, column, what);
    return -1;
}

static void skip_space(struct json_scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n' ||
                                    *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

static bool is_digit(const struct json_scan *scan)
{
    return scan->at < scan->end && (unsigned)(*scan->at - '0') < 10;
}

static bool take_digits(struct json_scan *scan)
{
    if (!is_digit(scan))
        return false;
    while (is_digit(scan))
        scan->at++;
    return true;
}

static int scan_number(struct json_scan *scan, struct json_token *token, struct err *err)
{
    const char *start = scan->at;
    if (*scan->at == '-')
        scan->at++;
    bool ok = true;
    if (scan->at < scan->end && *scan->at == '0')
        scan->at++;
    else
        ok = take_digits(scan);
    if (ok && scan->at < scan->end && *scan->at == '.') {
        scan->at++;
        ok = take_digits(scan);
    }
    if (ok && scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
        scan->at++;
        if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
            scan->at++;
        ok = take_digits(scan);
    }
    if (!ok || is_digit(scan))
        return scan_fail(scan, "a malformed number", err);
    *token =
        (struct json_token){JSON_SCAN_NUMBER, start, (size_t)(scan->at - start), false};
    return 0;
}

static bool skip_escape(struct json_scan *scan)
{
    scan->at++;
    if (scan->at == scan->end || !strchr("\"\\/bfnrtu", *scan->at) || *scan->at == '\0')
        return false;
    bool is_unicode = *scan->at++ == 'u';
    for (int i = 0; is_unicode && i < 4; i++, scan->at++)
        if (scan->at == scan->end || *scan->at == '\0' ||
            !strchr("0123456789abcdefABCDEF", *scan->at))
            return false;
    return true;
}

static int scan_string(struct json_scan *scan, struct json_token *token, struct err *err)
{
    const char *start = ++scan->at;
    bool escaped = false;
    while (scan->at < scan->end && *scan->at != '"') {
        unsigned char c = (unsigned char)*scan->at;
        if (c < 0x20)
            return scan_fail(scan, "a control character in a string", err);
        if (c == '\\') {
            escaped = true;
            if (!skip_escape(scan))
                return scan_fail(scan, "an unknown escape in a string", err);
        } else if (c < 0x80) {
            scan->at++;
        } else {
            size_t len = utf8_len(scan->at, (size_t)(scan->end - scan->at));
            if (len == 0)
                return scan_fail(scan, "a string that is not UTF-8", err);
            scan->at += len;
        }
    }
    if (scan->at == scan->end)
        return scan_fail(scan, "a string without its closing quote", err);
    *token =
        (struct json_token){JSON_SCAN_STRING, start, (size_t)(scan->at - start), escaped};
    scan->at++;
    return 0;
}

static int scan_literal(struct json_scan *scan, struct json_token *token, struct err *err)
{
    static const struct {
        const char *text;
        enum json_scan_kind kind;
    } literals[] = {
        {"true", JSON_SCAN_TRUE}, {"false", JSON_SCAN_FALSE}, {"null", JSON_SCAN_NULL}};
    for (size_t i = 0; i < sizeof literals / sizeof *literals; i++) {
        size_t len = strlen(literals[i].text);
        if ((size_t)(scan->end - scan->at) >= len &&
            memcmp(scan->at, literals[i].text, len) == 0) {
            *token = (struct json_token){literals[i].kind, scan->at, len, false};
            scan->at += len;
            return 0;
        }
    }
    return scan_fail(scan, "expected a value", err);
}

static int scan_open(struct json_scan *scan, struct json_token *token, struct err *err)
{
    if (scan->depth == JSON_SCAN_DEPTH)
        return scan_fail(scan, "nested too deeply", err);
    bool is_object = *scan->at == '{';
    *token = (struct json_token){
        is_object ? JSON_SCAN_OBJECT_BEGIN : JSON_SCAN_ARRAY_BEGIN, scan->at, 1, false};
    scan->in_object[scan->depth++] = is_object;
    scan->is_first = true;
    scan->at++;
    return 0;
}

static void scan_close(struct json_scan *scan, struct json_token *token)
{
    scan->depth--;
    *token = (struct json_token){scan->in_object[scan->depth] ? JSON_SCAN_OBJECT_END
                                                              : JSON_SCAN_ARRAY_END,
                                 scan->at, 1, false};
    scan->at++;
    scan->is_first = false;
    scan->is_done = scan->depth == 0;
}

static int scan_value(struct json_scan *scan, struct json_token *token, struct err *err)
{
    char c = *scan->at;
    scan->has_key = false;
    scan->is_first = false;
    if (c == '{' || c == '[')
        return scan_open(scan, token, err);
    if (scan->depth == 0)
        scan->is_done = true;
    if (c == '"')
        return scan_string(scan, token, err);
    if (c == '-' || (unsigned)(c - '0') < 10)
        return scan_number(scan, token, err);
    return scan_literal(scan, token, err);
}

static int scan_key(struct json_scan *scan, struct json_token *token, struct err *err)
{
    if (*scan->at != '"')
        return scan_fail(scan, "expected a member name in quotes", err);
    if (scan_string(scan, token, err) < 0)
        return -1;
    token->kind = JSON_SCAN_KEY;
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != ':')
        return scan_fail(scan, "expected ':'", err);
    scan->at++;
    scan->has_key = true;
    return 0;
}

int json_scan_next(struct json_scan *scan, struct json_token *token, struct err *err)
{
    skip_space(scan);
    if (scan->is_done) {
        if (scan->at < scan->end)
            return scan_fail(scan, "text behind the document", err);
        *token = (struct json_token){.kind = JSON_SCAN_END};
        return 0;
    }
    if (scan->at == scan->end)
        return scan_fail(scan, "the document ends early", err);
    if (scan->depth == 0 || scan->has_key)
        return scan_value(scan, token, err);

    bool in_object = scan->in_object[scan->depth - 1];
    if (*scan->at == (in_object ? '}' : ']')) {
        scan_close(scan, token);
        return 0;
    }
    if (!scan->is_first) {
        if (*scan->at != ',')
            return scan_fail(
                scan, in_object ? "expected ',' or '}'" : "expected ',' or ']'", err);
        scan->at++;
        skip_space(scan);
        if (scan->at == scan->end)
            return scan_fail(scan, "the document ends early", err);
    }
    return in_object ? scan_key(scan, token, err) : scan_value(scan, token, err);
}

int json_scan_skip_rest(struct json_scan *scan, const struct json_token *first,
                        struct err *err)
{
    if (first->kind != JSON_SCAN_OBJECT_BEGIN && first->kind != JSON_SCAN_ARRAY_BEGIN)
        return 0;
    unsigned outside = scan->depth - 1;
    struct json_token token;
    while (scan->depth > outside)
        if (json_scan_next(scan, &token, err) < 0)
            return -1;
    return 0;
}

int json_scan_skip(struct json_scan *scan, struct err *err)
{
    struct json_token token;
    if (json_scan_next(scan, &token, err) < 0)
        return -1;
    return json_scan_skip_rest(scan, &token, err);
}

bool json_token_is(const struct json_token *token, const char *text)
{
    return token->len == strlen(text) && memcmp(token->text, text, token->len) == 0;
}

static unsigned hex4(const char *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned c = (unsigned char)at[i];
        value = value * 16 + (c <= '9' ? c - '0' : (c | 32U) - 'a' + 10);
    }
    return value;
}

static void put_utf8(struct buf *out, unsigned code)
{
    if (code < 0x80) {
        buf_putc(out, (char)code);
    } else if (code < 0x800) {
        buf_putc(out, (char)(0xC0 | (code >> 6)));
        buf_putc(out, (char)(0x80 | (code & 63)));
    } else if (code < 0x10000) {
        buf_putc(out, (char)(0xE0 | (code >> 12)));
        buf_putc(out, (char)(0x80 | ((code >> 6) & 63)));
        buf_putc(out, (char)(0x80 | (code & 63)));
    } else {
        buf_putc(out, (char)(0xF0 | (code >> 18)));
        buf_putc(out, (char)(0x80 | ((code >> 12) & 63)));
        buf_putc(out, (char)(0x80 | ((code >> 6) & 63)));
        buf_putc(out, (char)(0x80 | (code & 63)));
    }
}

/* Resolves the \u escape whose digits start at `at`; returns how many bytes it took. */
static size_t unescape_unicode(const char *at, const char *end, struct buf *out)
{
    unsigned code = hex4(at);
    size_t taken = 4;
    if (code >= 0xD800 && code < 0xDC00 && end - at >= 10 && at[4] == '\\' &&
        at[5] == 'u') {
        unsigned low = hex4(at + 6);
        if (low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            taken = 10;
        }
    }
    if (code == 0 || (code >= 0xD800 && code < 0xE000))
        return 0;
    put_utf8(out, code);
    return taken;
}

int json_scan_unescape(const struct json_token *token, struct buf *out, struct err *err)
{
    static const char letters[] = "bfnrt";
    static const char values[] = "\b\f\n\r\t";
    const char *end = token->text + token->len;
    for (const char *at = token->text; at < end;) {
        const char *plain = memchr(at, '\\', (size_t)(end - at));
        buf_put(out, at, (size_t)((plain ? plain : end) - at));
        if (!plain)
            break;
        at = plain + 1;
        const char *letter = strchr(letters, *at);
        if (*at == 'u') {
            size_t taken = unescape_unicode(at + 1, end, out);
            if (taken == 0)
                return err_set(err, ERR_MALFORMED, "invalid_json",
                               "a string holds \\u0000 or half of a surrogate pair");
            at += 1 + taken;
        } else {
            buf_putc(out, letter ? values[letter - letters] : *at);
            at++;
        }
    }
    return buf_check(out, err);
}
