#include "core/examples.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

/* --- checks ----------------------------------------------------------------------------- */

/* "y[3]", or "x[3][1]" of a matrix that has several columns. */
static const char *place_of(char place[64], const char *array, size_t i, size_t n_columns)
{
    if (n_columns == 1)
        snprintf(place, 64, "%s[%zu]", array, i);
    else
        snprintf(place, 64, "%s[%zu][%zu]", array, i / n_columns, i % n_columns);
    return place;
}

/* An array [n x k] that is there, not empty, and no longer than memory. */
static int check_shape(const char *field, const void *array, size_t n, size_t k,
                       struct err *err)
{
    if (n == 0)
        return err_set_at(err, ERR_INVALID, "no_rows", "/n_rows",
                          "n_rows is 0: there must be at least one row");
    if (k == 0 || k > MLP_WIDTH_MAX)
        return err_set_at(err, ERR_INVALID, "out_of_range",
                          field[1] == 'x' ? "/n_inputs" : "/n_targets",
                          "%s must have 1 to %d columns, not %zu", field + 1,
                          MLP_WIDTH_MAX, k);
    if (!array)
        return err_set_at(err, ERR_INVALID, "missing", field, "%s is NULL", field + 1);
    if (n > PTRDIFF_MAX / sizeof(float) / k)
        return err_set_at(err, ERR_INVALID, "out_of_range", "/n_rows",
                          "%zu rows of %zu columns are more than memory has addresses", n,
                          k);
    return 0;
}

static int check_finite(const char *field, const float *values, size_t n, size_t k,
                        struct err *err)
{
    char place[64];
    for (size_t i = 0; i < n * k; i++)
        if (!isfinite(values[i]))
            return err_set_at(err, ERR_INVALID, "not_finite", field,
                              "%s is %g; it must be a finite number",
                              place_of(place, field + 1, i, k), (double)values[i]);
    return 0;
}

int examples_check_x(const float *x, size_t n_rows, size_t n_inputs, struct err *err)
{
    if (check_shape("/x", x, n_rows, n_inputs, err) < 0)
        return -1;
    return check_finite("/x", x, n_rows, n_inputs, err);
}

static int check_weights(const struct libmlp_rows *rows, struct err *err)
{
    bool has_any = !rows->sample_weight;
    for (size_t i = 0; rows->sample_weight && i < rows->n_rows; i++) {
        float weight = rows->sample_weight[i];
        if (!(weight >= 0.0F && isfinite(weight)))
            return err_set_at(err, ERR_INVALID, "bad_weight", "/sample_weight",
                              "sample_weight[%zu] is %g; it must be a number from 0 on",
                              i, (double)weight);
        has_any = has_any || weight > 0.0F;
    }
    return has_any ? 0
                   : err_set_at(err, ERR_INVALID, "bad_weight", "/sample_weight",
                                "sample_weight is 0 in all rows");
}

static int check_classes(const struct libmlp_rows *rows, size_t *n, struct err *err)
{
    size_t most = *n ? *n : MLP_WIDTH_MAX;
    float largest = 0.0F;
    for (size_t i = 0; i < rows->n_rows; i++) {
        float y = rows->y[i];
        if (!(y >= 0.0F && y < (float)most && truncf(y) == y))
            return err_set_at(err, ERR_INVALID, "bad_target", "/y",
                              "y[%zu] is %g; a class is a whole number from 0 to %zu", i,
                              (double)y, most - 1);
        largest = y > largest ? y : largest;
    }
    if (*n == 0 && largest == 0.0F)
        return err_set_at(err, ERR_INVALID, "one_class", "/y",
                          "y holds class 0 only; set n_classes if there are more");
    if (*n == 0)
        *n = (size_t)largest + 1;
    return 0;
}

static int check_labels(const struct libmlp_rows *rows, struct err *err)
{
    char place[64];
    for (size_t i = 0; i < rows->n_rows * rows->n_targets; i++)
        if (rows->y[i] != 0.0F && rows->y[i] != 1.0F)
            return err_set_at(
                err, ERR_INVALID, "bad_target", "/y", "%s is %g; a label is 0 or 1",
                place_of(place, "y", i, rows->n_targets), (double)rows->y[i]);
    return 0;
}

/* Before a number is read: what is wider than the net is likely not there. */
static int check_columns(enum libmlp_task task, const struct libmlp_rows *rows, size_t n,
                         struct err *err)
{
    size_t wanted = task == LIBMLP_CLASSIFIER ? 1 : n;
    if (check_shape("/x", rows->x, rows->n_rows, rows->n_inputs, err) < 0 ||
        check_shape("/y", rows->y, rows->n_rows, rows->n_targets, err) < 0)
        return -1;
    if (wanted == 0 || rows->n_targets == wanted)
        return 0;
    return err_set_at(err, ERR_INVALID, "wrong_width", "/n_targets",
                      "n_targets is %zu, but this %s has %zu", rows->n_targets,
                      task == LIBMLP_CLASSIFIER ? "classifier" : "net", wanted);
}

int examples_check(enum libmlp_task task, const struct libmlp_rows *rows, size_t *n,
                   struct err *err)
{
    if (check_columns(task, rows, *n, err) < 0 ||
        check_finite("/x", rows->x, rows->n_rows, rows->n_inputs, err) < 0 ||
        check_finite("/y", rows->y, rows->n_rows, rows->n_targets, err) < 0 ||
        check_weights(rows, err) < 0)
        return -1;
    if (task == LIBMLP_CLASSIFIER)
        return check_classes(rows, n, err);
    *n = rows->n_targets;
    return task == LIBMLP_MULTILABEL ? check_labels(rows, err) : 0;
}

static int check_counts(const struct libmlp_rows *rows, struct err *err)
{
    char place[64];
    for (size_t i = 0; i < rows->n_rows * rows->n_targets; i++)
        if (rows->y[i] < 0.0F)
            return err_set_at(err, ERR_INVALID, "bad_target", "/y",
                              "%s is %g; loss poisson takes numbers from 0 on",
                              place_of(place, "y", i, rows->n_targets),
                              (double)rows->y[i]);
    return 0;
}

/* --- split ------------------------------------------------------------------------------ */

/* Groups shuffled rows [n] by class (NULL: one group of all). Writes where each of the k
 * groups starts to first [k + 1]. */
static void group_rows(const float *classes, const size_t *shuffled, size_t n, size_t k,
                       size_t *first, size_t *grouped)
{
    for (size_t i = 0; i < n; i++)
        first[classes ? (size_t)classes[i] + 1 : 1]++;
    for (size_t c = 1; c <= k; c++)
        first[c] += first[c - 1];
    for (size_t i = 0; i < n; i++) {
        size_t c = classes ? (size_t)classes[shuffled[i]] : 0;
        grouped[first[c]++] = shuffled[i];
    }
    /* Each start has moved to its group's end: the next one's start. */
    memmove(first + 1, first, k * sizeof *first);
    first[0] = 0;
}

/*
 * Systematic sampling: of all rows, group by group, every m/n_validation-th one validates, so
 * that each class gives its share, to one row, and the total is exact. The first row of a
 * group always trains.
 */
static void mark_validation(const size_t *first, size_t k, const size_t *grouped,
                            size_t m, size_t n_validation, bool *validates)
{
    size_t sum = m / 2; /* as rounding: half a row is one */
    for (size_t c = 0; c < k; c++) {
        for (size_t i = first[c] + 1; i < first[c + 1]; i++) {
            sum += n_validation;
            validates[grouped[i]] = sum >= m;
            sum -= sum >= m ? m : 0;
        }
    }
}

/* How many of n rows may validate: each of the k groups keeps one. */
static size_t count_spare(const size_t *first, size_t k, size_t n)
{
    for (size_t c = 0; c < k; c++)
        n -= first[c + 1] > first[c];
    return n;
}

/* order [n]: rows that train, then rows that validate; ascending in each. */
static int split_rows(const float *classes, size_t n, size_t k,
                      const struct settings *settings, size_t *order,
                      size_t *n_validation, struct err *err)
{
    int rc = -1;
    size_t *first = mem_new(k + 1, sizeof *first, err);
    size_t *grouped = mem_new(n, sizeof *grouped, err);
    bool *validates = mem_new(n, sizeof *validates, err);
    if (!first || !grouped || !validates)
        goto out;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    rng_shuffle(settings->fit.seed, RNG_SPLIT, 0, order, n);
    group_rows(classes, order, n, k, first, grouped);
    size_t spare = count_spare(first, k, n);
    size_t wanted = (size_t)floor(settings->validation_fraction * (double)n + 0.5);
    wanted = wanted == 0 ? 1 : wanted < spare ? wanted : spare;
    if (spare == 0) {
        err_set_at(err, ERR_INVALID, "too_few_rows", "/early_stopping",
                   "early_stopping needs more than the %zu rows there are: one of each "
                   "class trains",
                   n);
        goto out;
    }
    mark_validation(first, k, grouped, spare, wanted, validates);
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        if (!validates[i])
            order[at++] = i;
    *n_validation = n - at;
    for (size_t i = 0; i < n; i++)
        if (validates[i])
            order[at++] = i;
    rc = 0;
out:
    free(validates);
    free(grouped);
    free(first);
    return rc;
}

/* --- as the net wants them -------------------------------------------------------------- */

static size_t row_at(const size_t *order, size_t i)
{
    return order ? order[i] : i;
}

static int gather_x(struct examples *examples, const struct libmlp_rows *rows,
                    const size_t *order, struct err *err)
{
    size_t k = rows->n_inputs;
    if (!order)
        return 0;
    examples->x = mem_new(rows->n_rows * k, sizeof *examples->x, err);
    if (!examples->x)
        return -1;
    for (size_t i = 0; i < rows->n_rows; i++)
        memcpy(examples->x + i * k, rows->x + order[i] * k, k * sizeof *examples->x);
    return 0;
}

/* Classes become 0/1 rows for a loss that compares every output. */
static int gather_t(struct examples *examples, const struct libmlp_rows *rows,
                    const size_t *order, size_t n_targets, struct err *err)
{
    bool spreads = n_targets != rows->n_targets;
    if (rows->n_rows > PTRDIFF_MAX / sizeof(float) / n_targets)
        return err_no_memory(err);
    examples->t = mem_new(rows->n_rows * n_targets, sizeof *examples->t, err);
    if (!examples->t)
        return -1;
    for (size_t i = 0; i < rows->n_rows; i++) {
        const float *y = rows->y + row_at(order, i) * rows->n_targets;
        float *t = examples->t + i * n_targets;
        if (spreads)
            t[(size_t)*y] = 1.0F;
        else
            memcpy(t, y, n_targets * sizeof *t);
    }
    return 0;
}

/* Weights of rows times weights of classes, which follow from the rows that train. */
static int gather_weights(struct examples *examples, const struct libmlp_rows *rows,
                          const size_t *order, size_t n_classes, size_t n_train,
                          struct err *err)
{
    float *classes = mem_new(n_train, sizeof *classes, err);
    double *balance = mem_new(n_classes, sizeof *balance, err);
    examples->weights = mem_new(rows->n_rows, sizeof *examples->weights, err);
    if (!classes || !balance || !examples->weights) {
        free(classes);
        free(balance);
        return -1;
    }
    for (size_t i = 0; n_classes && i < n_train; i++)
        classes[i] = rows->y[row_at(order, i)];
    if (n_classes)
        loss_balance(classes, n_train, n_classes, balance);
    for (size_t i = 0; i < rows->n_rows; i++) {
        size_t row = row_at(order, i);
        double weight = rows->sample_weight ? (double)rows->sample_weight[row] : 1.0;
        if (n_classes)
            weight *= balance[(size_t)rows->y[row]];
        examples->weights[i] = (float)weight;
    }
    free(classes);
    free(balance);
    return 0;
}

static void point_at_parts(struct examples *examples, const struct libmlp_rows *rows,
                           size_t n_targets, size_t n_train)
{
    const float *x = examples->x ? examples->x : rows->x;
    const float *weights = examples->weights;
    examples->train = (struct fit_rows){x, examples->t, n_train, weights};
    examples->validation =
        (struct fit_rows){x + n_train * rows->n_inputs, examples->t + n_train * n_targets,
                          rows->n_rows - n_train, weights ? weights + n_train : NULL};
}

int examples_prepare(struct examples *examples, const struct libmlp_rows *rows, size_t n,
                     const struct mlp *mlp, const struct settings *settings, bool splits,
                     struct err *err)
{
    struct examples made = {0};
    bool is_classifier = settings->task == LIBMLP_CLASSIFIER;
    size_t n_targets = loss_n_targets(mlp->loss, mlp_n_outputs(mlp));
    size_t n_validation = 0;
    size_t *order = NULL;
    int rc = -1;
    if (mlp->loss == LOSS_POISSON && check_counts(rows, err) < 0)
        return -1;
    if (splits) {
        order = mem_new(rows->n_rows, sizeof *order, err);
        if (!order ||
            split_rows(is_classifier ? rows->y : NULL, rows->n_rows,
                       is_classifier ? n : 1, settings, order, &n_validation, err) < 0)
            goto out;
    }
    if (gather_x(&made, rows, order, err) < 0 ||
        gather_t(&made, rows, order, n_targets, err) < 0)
        goto out;
    if ((rows->sample_weight || settings->is_balanced) &&
        gather_weights(&made, rows, order, settings->is_balanced ? n : 0,
                       rows->n_rows - n_validation, err) < 0)
        goto out;
    point_at_parts(&made, rows, n_targets, rows->n_rows - n_validation);
    *examples = made;
    made = (struct examples){0};
    rc = 0;
out:
    examples_clear(&made);
    free(order);
    return rc;
}

void examples_clear(struct examples *examples)
{
    free(examples->weights);
    free(examples->t);
    free(examples->x);
    *examples = (struct examples){0};
}
