#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "http/guard.h"

#define FIELDS 4

struct vector {
    const char *what;
    const char *method;
    const char *version;
    struct request_field fields[FIELDS]; /* up to the first without a name */
    enum err_code code;
};

#define HOST                                                                             \
    {                                                                                    \
        "Host", "a"                                                                      \
    }
#define GET11(...)                                                                       \
    "GET", "HTTP/1.1",                                                                   \
    {                                                                                    \
        HOST, __VA_ARGS__                                                                \
    }
#define POST11(...)                                                                      \
    "POST", "HTTP/1.1",                                                                  \
    {                                                                                    \
        HOST, __VA_ARGS__                                                                \
    }
#define BAD ERR_MALFORMED

static const struct vector vectors[] = {
    /* sound ones */
    {"plain get", GET11({"Accept", "*/*"}), ERR_NONE},
    {"get with an empty body", GET11({"Content-Length", "0"}), ERR_NONE},
    {"get with a very empty body", GET11({"Content-Length", "000"}), ERR_NONE},
    {"post with a length", POST11({"Content-Length", "5"}), ERR_NONE},
    {"post with a long length", POST11({"Content-Length", "99999999999999999999"}),
     ERR_NONE},
    {"post in chunks", POST11({"Transfer-Encoding", "chunked"}), ERR_NONE},
    {"post in chunks, other case", POST11({"transfer-encoding", "Chunked"}), ERR_NONE},
    {"1.0 without host", "GET", "HTTP/1.0", {{"Accept", "*/*"}}, ERR_NONE},
    {"1.0 with a length", "POST", "HTTP/1.0", {{"Content-Length", "5"}}, ERR_NONE},
    {"empty value", GET11({"X-Empty", ""}), ERR_NONE},
    {"tab in a value", GET11({"X-Tab", "a\tb"}), ERR_NONE},
    {"high bytes in a value", GET11({"X-High", "caf\xC3\xA9"}), ERR_NONE},
    {"every token character", GET11({"!#$%&'*+-.^_`|~0aZ", "x"}), ERR_NONE},
    {"gzip", POST11({"Content-Encoding", "gzip"}, {"Content-Length", "5"}), ERR_NONE},
    {"zstd", POST11({"Content-Encoding", "ZSTD"}, {"Content-Length", "5"}), ERR_NONE},
    {"identity", POST11({"Content-Encoding", "identity"}), ERR_NONE},
    {"continue", POST11({"Expect", "100-Continue"}, {"Content-Length", "5"}), ERR_NONE},
    {"shorter than content-length", GET11({"Content-Lengt", "5"}), ERR_NONE},
    /* framing that two servers could read differently */
    {"two equal lengths", POST11({"Content-Length", "5"}, {"Content-Length", "5"}), BAD},
    {"two lengths", POST11({"Content-Length", "5"}, {"content-length", "6"}), BAD},
    {"length and chunks",
     POST11({"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}), BAD},
    {"chunks and length",
     POST11({"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}), BAD},
    {"zero length and chunks",
     POST11({"Transfer-Encoding", "chunked"}, {"Content-Length", "0"}), BAD},
    {"chunks twice",
     POST11({"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}), BAD},
    {"list of lengths", POST11({"Content-Length", "5, 5"}), BAD},
    {"signed length", POST11({"Content-Length", "+5"}), BAD},
    {"negative length", POST11({"Content-Length", "-5"}), BAD},
    {"hex length", POST11({"Content-Length", "0x5"}), BAD},
    {"empty length", POST11({"Content-Length", ""}), BAD},
    {"fractional length", POST11({"Content-Length", "5.0"}), BAD},
    {"length with a space behind", POST11({"Content-Length", "5 "}), BAD},
    {"unknown coding", POST11({"Transfer-Encoding", "xchunked"}), BAD},
    {"gzip, chunked", POST11({"Transfer-Encoding", "gzip, chunked"}), BAD},
    {"identity coding", POST11({"Transfer-Encoding", "identity"}), BAD},
    {"empty coding", POST11({"Transfer-Encoding", ""}), BAD},
    {"chunked with a vertical tab",
     POST11({"Transfer-Encoding", "\x0b"
                                  "chunked"}),
     BAD},
    {"quoted chunked", POST11({"Transfer-Encoding", "\"chunked\""}), BAD},
    {"chunks on 1.0", "POST", "HTTP/1.0", {{"Transfer-Encoding", "chunked"}}, BAD},
    {"space before the colon", POST11({"Content-Length ", "5"}), BAD},
    {"length and more", POST11({"Content-Length-X", "5"}), BAD},
    {"coding and more", POST11({"Transfer-Encoding_", "chunked"}), BAD},
    {"folded name", POST11({"X-Fold: a Content-Length", "5"}), BAD},
    {"tab in a name", POST11({"Content\tLength", "5"}), BAD},
    {"high byte in a name", POST11({"Cont\xC3\xA9nt", "5"}), BAD},
    {"paren in a name", POST11({"X(1)", "5"}), BAD},
    {"carriage return in a value", GET11({"X-A", "b\rContent-Length: 5"}), BAD},
    {"escape in a value", GET11({"X-A", "\x1b[2J"}), BAD},
    {"delete in a value", GET11({"X-A", "\x7f"}), BAD},
    {"no host", "GET", "HTTP/1.1", {{"Accept", "*/*"}}, BAD},
    {"two hosts", GET11({"host", "b"}), BAD},
    {"two hosts on 1.0", "GET", "HTTP/1.0", {HOST, {"Host", "b"}}, BAD},
    {"get with a body", GET11({"Content-Length", "1"}), BAD},
    {"get with chunks", GET11({"Transfer-Encoding", "chunked"}), BAD},
    {"head with a body", "HEAD", "HTTP/1.1", {HOST, {"Content-Length", "1"}}, BAD},
    {"delete with a body", "DELETE", "HTTP/1.1", {HOST, {"Content-Length", "01"}}, BAD},
    {"version 0.9", "GET", "", {HOST}, BAD},
    {"version 1.2", "GET", "HTTP/1.2", {HOST}, BAD},
    {"version 2", "PRI", "HTTP/2.0", {HOST}, BAD},
    {"lower-case version", "GET", "http/1.1", {HOST}, BAD},
    {"method with a tab", "GE\tT", "HTTP/1.1", {HOST}, BAD},
    {"no method", "", "HTTP/1.1", {HOST}, BAD},
    /* sound, but of no use here */
    {"brotli", POST11({"Content-Encoding", "br"}), ERR_UNSUPPORTED},
    {"two encodings", POST11({"Content-Encoding", "gzip, gzip"}), ERR_UNSUPPORTED},
    {"two encoding fields",
     POST11({"Content-Encoding", "gzip"}, {"Content-Encoding", "gzip"}), ERR_UNSUPPORTED},
    {"expectation", POST11({"Expect", "200-ok"}), ERR_EXPECTATION},
    {"continue and more", POST11({"Expect", "100-continue, x"}), ERR_EXPECTATION},
    {"smuggling before expectation",
     POST11({"Expect", "x"}, {"Content-Length", "1"}, {"Content-Length", "2"}), BAD},
};

static const char *slug_of(enum err_code code)
{
    return code == ERR_MALFORMED     ? "bad_framing"
           : code == ERR_UNSUPPORTED ? "unknown_content_encoding"
           : code == ERR_EXPECTATION ? "unknown_expectation"
                                     : "";
}

static void every_vector_is_judged_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const struct vector *v = &vectors[i];
        size_t n = 0;
        while (n < FIELDS && v->fields[n].name && v->fields[n].name[0])
            n++;
        struct err err = {0};
        int rc = guard_check(v->method, v->version, v->fields, n, &err);
        if (err.code != v->code || rc != (v->code ? -1 : 0) ||
            strcmp(err.slug, slug_of(v->code)) != 0)
            fail_msg("%s: %d %s (%s)", v->what, (int)err.code, err.slug, err.message);
    }
}

static void nameless_header_is_refused(void **state)
{
    (void)state;
    const struct request_field fields[] = {HOST, {"", "x"}};
    struct err err = {0};
    assert_int_equal(guard_check("GET", "HTTP/1.1", fields, 2, &err), -1);
    assert_int_equal(err.code, ERR_MALFORMED);
}

static void header_count_has_a_limit(void **state)
{
    (void)state;
    struct request_field fields[REQUEST_FIELDS_MAX + 1];
    for (size_t i = 0; i <= REQUEST_FIELDS_MAX; i++)
        fields[i] = (struct request_field){"X", "y"};
    fields[0] = (struct request_field)HOST;
    struct err err = {0};
    assert_int_equal(guard_check("GET", "HTTP/1.1", fields, REQUEST_FIELDS_MAX, &err), 0);
    assert_int_equal(guard_check("GET", "HTTP/1.1", fields, REQUEST_FIELDS_MAX + 1, &err),
                     -1);
    assert_string_equal(err.slug, "bad_framing");
}

static void targets_are_judged_right(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        int rc;
    } targets[] = {
        {"/", 0},
        {"/v1/datasets?name=a%2Fb&x=1", 0},
        {"/caf%C3%A9", 0},
        {"/caf\xC3\xA9", 0},
        {"/%2500", 0},
        {"/100%", 0},
        {"/a?b?%2f", 0},
        {"", -1},
        {"*", -1},
        {"v1", -1},
        {"http://a/v1", -1},
        {"?a", -1},
        {"/a%00", -1},
        {"/a?b=%00", -1},
        {"/a%2fb", -1},
        {"/a%2Fb?c", -1},
        {"/a b", -1},
        {"/a\tb", -1},
        {"/a\x7f", -1},
        {"/a\rb", -1},
        {"/?\x01", -1},
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct err err = {0};
        if (guard_check_target(targets[i].target, &err) != targets[i].rc)
            fail_msg("%s: %s", targets[i].target, err.message);
        assert_int_equal(err.code, targets[i].rc ? ERR_MALFORMED : ERR_NONE);
    }
}

static void target_length_has_a_limit(void **state)
{
    (void)state;
    static char target[8194];
    memset(target, 'a', 8192);
    target[0] = '/';
    struct err err = {0};
    assert_int_equal(guard_check_target(target, &err), 0);
    target[8192] = 'a';
    assert_int_equal(guard_check_target(target, &err), -1);
    assert_string_equal(err.slug, "bad_target");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_is_judged_right),
        cmocka_unit_test(nameless_header_is_refused),
        cmocka_unit_test(header_count_has_a_limit),
        cmocka_unit_test(targets_are_judged_right),
        cmocka_unit_test(target_length_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
