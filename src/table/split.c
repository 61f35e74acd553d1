#include "table/split.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

void split_clear(struct split *split)
{
    free(split->rows);
    *split = (struct split){0};
}

const size_t *split_validation(const struct split *split)
{
    return split->rows + split->n_train;
}

const size_t *split_test(const struct split *split)
{
    return split->rows + split->n_train + split->n_validation;
}

/* One class: its members and how they are divided. */
struct group {
    size_t first; /* of its members in the grouped order */
    size_t n;
    size_t n_test;
    size_t n_validation; /* the rest trains */
};

/* How many more members the group can give away and still train on one. */
static size_t spare(const struct group *group)
{
    size_t taken = group->n_test + group->n_validation;
    return group->n > taken + 1 ? group->n - taken - 1 : 0;
}

/* A group's claim to one row more, for the method of the largest remainder. */
struct claim {
    double remainder;
    size_t group;
};

static int compare_claims(const void *left, const void *right)
{
    const struct claim *a = left;
    const struct claim *b = right;
    if (a->remainder != b->remainder)
        return a->remainder < b->remainder ? 1 : -1;
    return (a->group > b->group) - (a->group < b->group);
}

/* Which count of a group a part is. */
static size_t *count_of(struct group *group, bool is_test)
{
    return is_test ? &group->n_test : &group->n_validation;
}

/* Divides `wanted` rows of a part over the groups: floors of the exact shares first, then
 * one each by the largest remainder, as long as a group can spare one. */
static void share_out(struct group *groups, struct claim *claims, size_t n_groups,
                      double fraction, size_t wanted, bool is_test)
{
    for (size_t i = 0; i < n_groups; i++) {
        double exact = fraction * (double)groups[i].n;
        size_t whole = (size_t)exact;
        size_t may = spare(&groups[i]);
        size_t given = whole < may ? whole : may;
        given = given < wanted ? given : wanted;
        *count_of(&groups[i], is_test) = given;
        wanted -= given;
        claims[i] = (struct claim){exact - floor(exact), i};
    }
    qsort(claims, n_groups, sizeof *claims, compare_claims);
    for (bool is_any = true; wanted && is_any;) {
        is_any = false;
        for (size_t i = 0; wanted && i < n_groups; i++) {
            struct group *group = &groups[claims[i].group];
            if (spare(group) == 0)
                continue;
            *count_of(group, is_test) += 1;
            wanted--;
            is_any = true;
        }
    }
}

/* Rows of a part of n: rounded, at least one when a fraction asks for it and n > 2. */
static size_t part_size(double fraction, size_t n, size_t may)
{
    size_t wanted = (size_t)floor(fraction * (double)n + 0.5);
    if (wanted == 0 && fraction > 0 && n > 2)
        wanted = 1;
    return wanted < may ? wanted : may;
}

static int compare_rows(const void *left, const void *right)
{
    size_t a = *(const size_t *)left;
    size_t b = *(const size_t *)right;
    return (a > b) - (a < b);
}

/* Sorts the row indices into groups by class; returns how many have one. */
static size_t group_rows(const size_t *rows, const uint32_t *classes, size_t n,
                         struct group *groups, size_t n_groups, size_t *grouped)
{
    for (size_t i = 0; i < n; i++)
        if (!classes || classes[i] < n_groups)
            groups[classes ? classes[i] : 0].n++;
    size_t first = 0;
    for (size_t i = 0; i < n_groups; i++) {
        groups[i].first = first;
        first += groups[i].n;
        groups[i].n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (classes && classes[i] >= n_groups)
            continue;
        struct group *group = &groups[classes ? classes[i] : 0];
        grouped[group->first + group->n++] = rows[i];
    }
    return first;
}

static void deal(struct split *split, const struct group *groups, size_t n_groups,
                 const size_t *grouped)
{
    for (size_t i = 0; i < n_groups; i++) {
        split->n_test += groups[i].n_test;
        split->n_validation += groups[i].n_validation;
        split->n_train += groups[i].n - groups[i].n_test - groups[i].n_validation;
    }
    size_t *train = split->rows;
    size_t *validation = train + split->n_train;
    size_t *test = validation + split->n_validation;
    for (size_t i = 0; i < n_groups; i++) {
        const size_t *member = grouped + groups[i].first;
        for (size_t k = 0; k < groups[i].n; k++) {
            size_t **part = k < groups[i].n_test                            ? &test
                            : k < groups[i].n_test + groups[i].n_validation ? &validation
                                                                            : &train;
            *(*part)++ = member[k];
        }
    }
    qsort(split->rows, split->n_train, sizeof *split->rows, compare_rows);
    qsort(split->rows + split->n_train, split->n_validation, sizeof *split->rows,
          compare_rows);
    qsort(split->rows + split->n_train + split->n_validation, split->n_test,
          sizeof *split->rows, compare_rows);
}

static int check_fractions(double validation, double test, struct err *err)
{
    if (!(validation >= 0 && validation < 1 && test >= 0 && test < 1 &&
          validation + test < 1))
        return err_set(
            err, ERR_INVALID, "bad_fraction",
            "the fractions of validation and test rows must be at least 0, and "
            "their sum below 1");
    return 0;
}

/* NOLINTNEXTLINE(readability-function-size): one parameter over, each a thing of its own */
int split_rows(struct split *split, const size_t *rows, const uint32_t *classes, size_t n,
               size_t n_classes, double validation_fraction, double test_fraction,
               uint64_t seed, struct err *err)
{
    int status = -1;
    size_t n_groups = classes ? n_classes : 1;
    if (check_fractions(validation_fraction, test_fraction, err) < 0)
        return -1;
    struct split made = {0};
    struct group *groups = mem_new(n_groups, sizeof *groups, err);
    struct claim *claims = mem_new(n_groups, sizeof *claims, err);
    size_t *grouped = mem_new(n, sizeof *grouped, err);
    made.rows = mem_new(n, sizeof *made.rows, err);
    if (!groups || !claims || !grouped || !made.rows)
        goto out;
    size_t n_known = group_rows(rows, classes, n, groups, n_groups, grouped);
    if (n_known == 0) {
        err_set(err, ERR_INVALID, "no_rows", "there are no rows to train on");
        goto out;
    }
    for (size_t i = 0; i < n_groups; i++)
        if (groups[i].n) /* an epoch per class: each has its own permutation */
            rng_shuffle(seed, RNG_SPLIT, i, grouped + groups[i].first, groups[i].n);
    size_t n_test = part_size(test_fraction, n_known,
                              n_known - 1 - (validation_fraction > 0 && n_known > 2));
    size_t n_validation = part_size(validation_fraction, n_known, n_known - 1 - n_test);
    share_out(groups, claims, n_groups, test_fraction, n_test, true);
    share_out(groups, claims, n_groups, validation_fraction, n_validation, false);
    deal(&made, groups, n_groups, grouped);
    *split = made;
    made.rows = NULL;
    status = 0;
out:
    free(groups);
    free(claims);
    free(grouped);
    free(made.rows);
    return status;
}
