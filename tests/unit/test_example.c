/* libmlp.a as `make install` ships it: what the example that was linked against it prints,
 * and which names it shows. Run from the top of the tree. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static char build[400]; /* of this binary: build/MODE */

/* What a command prints, from a folder of the build; the exit code must be 0. */
static void run(const char *before, const char *path, const char *after, char *text,
                size_t size)
{
    char command[600];
    snprintf(command, sizeof command, "%s '%s/%s' %s", before, build, path, after);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t len = fread(text, 1, size - 1, pipe);
    text[len] = '\0';
    assert_int_equal(pclose(pipe), 0);
}

static void program_that_has_only_the_library_learns_iris(void **state)
{
    (void)state;
    char text[200];
    double accuracy = 0;
    run("", "tests/example/iris", "tests/data/iris.csv", text, sizeof text);
    const char *at = strstr(text, "accuracy ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "accuracy %lf", &accuracy), 1);
    assert_true(accuracy >= 0.93 && accuracy <= 1);
}

static void library_shows_no_names_but_its_header_s(void **state)
{
    (void)state;
    static char text[20000];
    size_t n = 0;
    static char header[40000];
    run("cat", "installed/include/libmlp.h", "", header, sizeof header);
    run("nm -g --defined-only", "installed/lib/libmlp.a", "", text, sizeof text);
    for (const char *at = text; (at = strstr(at, " T ")); at++) {
        char name[200];
        char declared[201];
        assert_int_equal(sscanf(at, " T %199s", name), 1);
        snprintf(declared, sizeof declared, "%s(", name);
        if (strncmp(name, "libmlp_", 7) != 0 || !strstr(header, declared))
            fail_msg("%s can be seen", name);
        n++;
    }
    assert_true(n > 10);
    for (const char *kind = "DBRCGSVW"; *kind; kind++) /* data, or weak */
        assert_null(strstr(text, (char[]){' ', *kind, ' ', '\0'}));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program_that_has_only_the_library_learns_iris),
        cmocka_unit_test(library_shows_no_names_but_its_header_s),
    };
    const char *end = argc > 0 ? strstr(argv[0], "tests/unit/") : NULL;
    snprintf(build, sizeof build, "%.*s.", end ? (int)(end - argv[0]) : 0, argv[0]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
