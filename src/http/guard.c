#include "http/guard.h"

#include <string.h>
#include <strings.h>

#define TARGET_MAX 8192

/* What matters for framing, counted over all fields. */
struct census {
    size_t n_hosts;
    size_t n_lengths;
    size_t n_transfer_encodings;
    size_t n_content_encodings;
    bool has_body;
};

static int bad_framing(struct err *err, const char *reason)
{
    return err_set(err, ERR_MALFORMED, "bad_framing", "%s", reason);
}

/* RFC 9110, 5.6.2. */
static bool is_token(const char *text)
{
    static const char allowed[] = "!#$%&'*+-.^_`|~0123456789"
                                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return text[0] != '\0' && text[strspn(text, allowed)] == '\0';
}

static bool has_control(const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < 0x20 && c != '\t') || c == 0x7F)
            return true;
    }
    return false;
}

static bool is_name(const char *name, const char *known)
{
    return strcasecmp(name, known) == 0;
}

static bool merely_starts_with(const char *name, const char *known)
{
    size_t len = strlen(known);
    return strncasecmp(name, known, len) == 0 && name[len] != '\0';
}

static int check_length(const char *value, struct census *census, struct err *err)
{
    if (value[0] == '\0' || value[strspn(value, "0123456789")] != '\0')
        return bad_framing(err, "Content-Length is not a whole number");
    census->n_lengths++;
    census->has_body |= value[strspn(value, "0")] != '\0';
    return 0;
}

static int check_transfer_encoding(const char *version, const char *value,
                                   struct census *census, struct err *err)
{
    if (strcmp(version, "HTTP/1.0") == 0)
        return bad_framing(err, "HTTP/1.0 has no Transfer-Encoding");
    if (strcasecmp(value, "chunked") != 0)
        return bad_framing(err, "the only Transfer-Encoding read here is chunked");
    census->n_transfer_encodings++;
    census->has_body = true;
    return 0;
}

static int check_content_encoding(const char *value, struct census *census,
                                  struct err *err)
{
    static const char *const known[] = {"identity", "gzip", "zstd"};
    bool is_known = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        is_known |= strcasecmp(value, known[i]) == 0;
    if (!is_known || census->n_content_encodings++ > 0)
        return err_set(err, ERR_UNSUPPORTED, "unknown_content_encoding",
                       "Content-Encoding must be one of gzip, zstd and identity");
    return 0;
}

static int check_field(const char *version, const struct request_field *field,
                       struct census *census, struct err *err)
{
    const char *name = field->name;
    const char *value = field->value;
    if (!is_token(name))
        return bad_framing(err,
                           "a header name has a character that is not allowed there");
    if (has_control(value))
        return bad_framing(err, "a header value has a control character");
    if (merely_starts_with(name, "Content-Length") ||
        merely_starts_with(name, "Transfer-Encoding"))
        return bad_framing(err, "a header name resembles Content-Length or "
                                "Transfer-Encoding");
    if (is_name(name, "Content-Length"))
        return check_length(value, census, err);
    if (is_name(name, "Transfer-Encoding"))
        return check_transfer_encoding(version, value, census, err);
    if (is_name(name, "Host"))
        census->n_hosts++;
    return 0;
}

static int check_census(const char *method, const char *version,
                        const struct census *census, struct err *err)
{
    if (census->n_lengths + census->n_transfer_encodings > 1)
        return bad_framing(err, "more than one Content-Length or Transfer-Encoding");
    bool is_1_1 = strcmp(version, "HTTP/1.1") == 0;
    if (census->n_hosts > 1 || (is_1_1 && census->n_hosts == 0))
        return bad_framing(err, "exactly one Host is needed");
    if (census->has_body && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
                             strcmp(method, "DELETE") == 0))
        return bad_framing(err, "GET, HEAD and DELETE take no body");
    return 0;
}

/* Looked at only once the framing is sound, so that a smuggled request is always called one. */
static int check_meaning(const struct request_field *field, struct census *census,
                         struct err *err)
{
    if (is_name(field->name, "Content-Encoding"))
        return check_content_encoding(field->value, census, err);
    if (is_name(field->name, "Expect") && strcasecmp(field->value, "100-continue") != 0)
        return err_set(err, ERR_EXPECTATION, "unknown_expectation",
                       "the only expectation met here is 100-continue");
    return 0;
}

int guard_check(const char *method, const char *version,
                const struct request_field *fields, size_t n, struct err *err)
{
    if (n > REQUEST_FIELDS_MAX)
        return err_set(err, ERR_MALFORMED, "bad_framing", "more than %d header fields",
                       REQUEST_FIELDS_MAX);
    if (!is_token(method))
        return bad_framing(err, "the method is not a word");
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return bad_framing(err, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    struct census census = {0};
    for (size_t i = 0; i < n; i++) {
        if (check_field(version, &fields[i], &census, err))
            return -1;
    }
    if (check_census(method, version, &census, err))
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (check_meaning(&fields[i], &census, err))
            return -1;
    }
    return 0;
}

/* A slash that was encoded in a query is data; in a path it would split a segment. */
int guard_check_target(const char *target, struct err *err)
{
    if (target[0] != '/')
        return err_set(err, ERR_MALFORMED, "bad_target",
                       "the target must start with '/'");
    bool in_path = true;
    size_t len = 0;
    for (; target[len]; len++) {
        const char *at = target + len;
        unsigned char c = (unsigned char)*at;
        if (len == TARGET_MAX)
            return err_set(err, ERR_MALFORMED, "bad_target",
                           "the target is longer than %d bytes", TARGET_MAX);
        if (c <= 0x20 || c == 0x7F)
            return err_set(err, ERR_MALFORMED, "bad_target",
                           "the target has a space or a control character");
        if (c == '?')
            in_path = false;
        if (strncmp(at, "%00", 3) == 0 || (in_path && strncasecmp(at, "%2f", 3) == 0))
            return err_set(err, ERR_MALFORMED, "bad_target",
                           "the target has an encoded %s",
                           at[1] == '0' ? "NUL" : "slash");
    }
    return 0;
}
