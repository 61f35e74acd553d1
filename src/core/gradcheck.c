#include "core/gradcheck.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/pass.h"
#include "core/penalty.h"

#define STEP  3e-4 /* h of a weight up to 1 */
#define NOISE 1e-6 /* of L: slopes under which the rounding of L is seen */

/* --- the objective ---------------------------------------------------------------------- */

static int check_numbers(const float *numbers, size_t n, size_t columns, const char *slug,
                         struct err *err)
{
    for (size_t i = 0; i < n * columns; i++)
        if (!isfinite(numbers[i]))
            return err_set(err, ERR_INVALID, slug,
                           "row %zu has a number that is not finite", i / columns + 1);
    return 0;
}

static int check_classes(const struct shadow_objective *o, struct err *err)
{
    size_t k = mlp_n_outputs(o->mlp);
    if (o->mlp->loss != LOSS_CROSS_ENTROPY)
        return 0;
    for (size_t i = 0; i < o->n; i++)
        if (!(o->t[i] >= 0.0F && o->t[i] < (float)k && o->t[i] == floorf(o->t[i])))
            return err_set(err, ERR_INVALID, "bad_target",
                           "row %zu must have a class of 0 to %zu, not %g", i + 1, k - 1,
                           (double)o->t[i]);
    return 0;
}

static int check_weights(const struct shadow_objective *o, struct err *err)
{
    double total = 0.0;
    if (!o->weights)
        return 0;
    for (size_t i = 0; i < o->n; i++) {
        if (o->weights[i] < 0.0F)
            return err_set(err, ERR_INVALID, "bad_weight",
                           "row %zu has a weight below 0: %g", i + 1,
                           (double)o->weights[i]);
        total += (double)o->weights[i];
    }
    return total > 0.0
               ? 0
               : err_set(err, ERR_INVALID, "bad_weight", "all rows have weight 0");
}

static int check_objective(const struct shadow_objective *o, struct err *err)
{
    size_t n_targets = loss_n_targets(o->mlp->loss, mlp_n_outputs(o->mlp));
    if (o->n == 0)
        return err_set(err, ERR_INVALID, "no_rows", "there are no rows to check on");
    if (check_numbers(o->x, o->n, mlp_n_inputs(o->mlp), "bad_row", err) < 0 ||
        check_numbers(o->t, o->n, n_targets, "bad_target", err) < 0 ||
        (o->weights && check_numbers(o->weights, o->n, 1, "bad_weight", err) < 0))
        return -1;
    if (check_classes(o, err) < 0)
        return -1;
    return check_weights(o, err);
}

/* --- differences ------------------------------------------------------------------------ */

struct slopes {
    const float *product; /* borrowed [n_parameters] */
    double *shadow;       /* owned [n_parameters] */
    double *differences;  /* owned [n_parameters]; NaN where left out */
    double noise;         /* the smallest slope that can be told from 0 */
};

/* ĝ of parameter p; NaN when another side than `sides` is seen on the way. */
static double difference(struct shadow *shadow, size_t p, const unsigned char *sides)
{
    static const double steps[6] = {-3.0, -2.0, -1.0, 1.0, 2.0, 3.0};
    static const double factors[6] = {-1.0, 9.0, -45.0, 45.0, -9.0, 1.0};
    double *parameter = shadow_parameters(shadow) + p;
    double w = *parameter;
    double h = STEP * fmax(1.0, fabs(w));
    double sum = 0.0;
    for (size_t i = 0; i < 6 && !isnan(sum); i++) {
        size_t n = 0;
        *parameter = w + steps[i] * h;
        sum += factors[i] * shadow_loss(shadow);
        const unsigned char *seen = shadow_sides(shadow, &n);
        if (memcmp(seen, sides, n) != 0)
            sum = (double)NAN;
    }
    *parameter = w;
    return sum / (60.0 * h);
}

static int find_slopes(const struct shadow_objective *o, struct slopes *slopes,
                       struct err *err)
{
    struct shadow *shadow = NULL;
    unsigned char *sides = NULL;
    size_t n_sides = 0;
    int rc = -1;
    slopes->shadow = mem_new(o->mlp->n_parameters, sizeof(double), err);
    slopes->differences = mem_new(o->mlp->n_parameters, sizeof(double), err);
    if (!slopes->shadow || !slopes->differences || shadow_new(o, &shadow, err) < 0)
        goto out;
    slopes->noise = NOISE * fabs(shadow_gradient(shadow, slopes->shadow));
    const unsigned char *seen = shadow_sides(shadow, &n_sides);
    sides = mem_new(n_sides, 1, err);
    if (!sides)
        goto out;
    memcpy(sides, seen, n_sides);
    for (size_t p = 0; p < o->mlp->n_parameters; p++)
        slopes->differences[p] = difference(shadow, p, sides);
    rc = 0;
out:
    free(sides);
    shadow_free(shadow);
    return rc;
}

/* --- comparison ------------------------------------------------------------------------- */

struct range {
    size_t at; /* first parameter */
    size_t n;
};

static struct range range_of(const struct mlp *mlp, size_t l, enum mlp_group group)
{
    const struct mlp_layer *layer = &mlp->layers[l];
    bool is_normalized = layer->normalization != MLP_NORMALIZATION_NONE;
    switch (group) {
    case MLP_WEIGHTS:
        return (struct range){layer->weights_at, layer->fan_in * layer->fan_out};
    case MLP_BIASES:
        return (struct range){layer->biases_at, layer->fan_out};
    case MLP_GAINS:
        return (struct range){layer->gains_at, is_normalized ? layer->fan_out : 0};
    case MLP_SCALES:
        return (struct range){0, l == 0 && mlp->has_scales ? layer->fan_in : 0};
    case MLP_EMBEDDINGS:
        return (struct range){mlp->periodic_at,
                              l == 0 ? mlp->layers[0].weights_at - mlp->periodic_at : 0};
    case MLP_GROUP_COUNT:
        break;
    }
    return (struct range){0, 0};
}

/* The largest slopes of some parameters that are not left out. */
struct largest {
    double product;
    double shadow;
    double difference;
};

static void find_largest(const struct slopes *slopes, struct range range,
                         struct largest *largest)
{
    for (size_t p = range.at; p < range.at + range.n; p++) {
        if (isnan(slopes->differences[p]))
            continue;
        largest->product = fmax(largest->product, fabs((double)slopes->product[p]));
        largest->shadow = fmax(largest->shadow, fabs(slopes->shadow[p]));
        largest->difference = fmax(largest->difference, fabs(slopes->differences[p]));
    }
}

/* The larger of both; a NaN stays: nothing is greater. */
static double worse(double worst, double error)
{
    return isnan(error) || error > worst ? error : worst;
}

static double relative_error(double g, double reference, double floor)
{
    return fabs(g - reference) / fmax(fabs(reference), floor);
}

static void compare_group(const struct slopes *slopes, struct range range, double largest,
                          struct gradcheck_group *group)
{
    double shadow_floor = fmax(GRADCHECK_SHADOW_FLOOR * largest, slopes->noise);
    double product_floor = fmax(GRADCHECK_PRODUCT_FLOOR * largest, slopes->noise);
    group->n_parameters = range.n;
    for (size_t p = range.at; p < range.at + range.n; p++) {
        double shadow = slopes->shadow[p];
        double product = (double)slopes->product[p];
        group->norm += shadow * shadow;
        if (isnan(slopes->differences[p])) {
            group->n_left_out++;
            continue;
        }
        group->shadow_error =
            worse(group->shadow_error,
                  relative_error(shadow, slopes->differences[p], shadow_floor));
        group->product_error =
            worse(group->product_error, relative_error(product, shadow, product_floor));
    }
    group->norm = sqrt(group->norm);
}

static const char *group_name(enum mlp_group group)
{
    static const char *const names[MLP_GROUP_COUNT] = {
        [MLP_WEIGHTS] = "weights",       [MLP_BIASES] = "biases",
        [MLP_GAINS] = "gains",           [MLP_SCALES] = "feature scales",
        [MLP_EMBEDDINGS] = "embeddings",
    };
    return names[group];
}

/* Groups span[0] to span[1] of layer l, which share a floor. */
static int compare_groups(const struct mlp *mlp, const struct slopes *slopes, size_t l,
                          const enum mlp_group span[2], struct gradcheck *result,
                          struct err *err)
{
    struct largest largest = {0};
    size_t n = 0;
    for (enum mlp_group group = span[0]; group <= span[1]; group++) {
        struct range range = range_of(mlp, l, group);
        find_largest(slopes, range, &largest);
        n += range.n;
    }
    for (enum mlp_group group = span[0]; group <= span[1]; group++) {
        struct gradcheck_group *of = &result->groups[l][group];
        compare_group(slopes, range_of(mlp, l, group), largest.difference, of);
        if (of->n_left_out > of->n_parameters / 2)
            return err_set(err, ERR_INVALID, "too_many_kinks",
                           "%zu of %zu %s of layer %zu cross a kink, so the check proves "
                           "nothing: take fewer rows",
                           of->n_left_out, of->n_parameters, group_name(group), l);
    }
    double smallest = fmin(fmin(largest.product, largest.shadow), largest.difference);
    if (n > 0 && smallest <= slopes->noise)
        return err_set(
            err, ERR_INVALID, "zero_gradient",
            "the %s of layer %zu have no gradient, so the check proves nothing",
            span[0] == MLP_SCALES ? "feature scales" : "parameters", l);
    return 0;
}

int gradcheck_gradient(const struct shadow_objective *objective, const float *gradient,
                       struct gradcheck *result, struct err *err)
{
    static const enum mlp_group spans[][2] = {{MLP_WEIGHTS, MLP_GAINS},
                                              {MLP_SCALES, MLP_SCALES},
                                              {MLP_EMBEDDINGS, MLP_EMBEDDINGS}};
    const size_t n_spans = sizeof spans / sizeof *spans;
    const struct mlp *mlp = objective->mlp;
    struct slopes slopes = {.product = gradient};
    struct gradcheck made = {.n_layers = mlp->n_layers};
    int rc = -1;
    if (check_objective(objective, err) < 0 || find_slopes(objective, &slopes, err) < 0)
        goto out;
    for (size_t i = 0; i < mlp->n_layers * n_spans; i++)
        if (compare_groups(mlp, &slopes, i / n_spans, spans[i % n_spans], &made, err) < 0)
            goto out;
    *result = made;
    rc = 0;
out:
    free(slopes.differences);
    free(slopes.shadow);
    return rc;
}

int gradcheck_run(const struct shadow_objective *objective, struct gradcheck *result,
                  struct err *err)
{
    const struct shadow_objective *o = objective;
    struct pass *pass = NULL;
    float *gradient = NULL;
    int rc = -1;
    if (check_objective(o, err) < 0 || pass_new(o->mlp, o->n, true, &pass, err) < 0)
        goto out;
    gradient = mem_new(o->mlp->n_parameters, sizeof *gradient, err);
    if (!gradient)
        goto out;
    pass_set_dropout(pass, o->dropout);
    pass_gradient(pass, o->x, o->t, o->weights, o->n, gradient);
    penalty_add(o->mlp, o->l2, o->l1, gradient);
    rc = gradcheck_gradient(o, gradient, result, err);
out:
    free(gradient);
    pass_free(pass);
    return rc;
}

/* --- verdict ---------------------------------------------------------------------------- */

int gradcheck_verdict(const struct gradcheck *result, struct err *err)
{
    double worst = 0.0; /* as a multiple of what is allowed */
    size_t layer = 0;
    enum mlp_group group = MLP_WEIGHTS;
    for (size_t i = 0; i < result->n_layers * MLP_GROUP_COUNT; i++) {
        const struct gradcheck_group *of =
            &result->groups[i / MLP_GROUP_COUNT][i % MLP_GROUP_COUNT];
        double ratio = worse(of->shadow_error / GRADCHECK_SHADOW_TOLERANCE,
                             of->product_error / GRADCHECK_PRODUCT_TOLERANCE);
        if (ratio <= worst || isnan(worst))
            continue;
        worst = ratio;
        layer = i / MLP_GROUP_COUNT;
        group = (enum mlp_group)(i % MLP_GROUP_COUNT);
    }
    if (worst <= 1.0)
        return 0;
    const struct gradcheck_group *of = &result->groups[layer][group];
    return err_set(
        err, ERR_INVALID, "wrong_gradient",
        "%s of layer %zu: the gradient is off by %.2g (float32; at most %.2g) and "
        "%.2g (float64; at most %.2g)",
        group_name(group), layer, of->product_error, GRADCHECK_PRODUCT_TOLERANCE,
        of->shadow_error, GRADCHECK_SHADOW_TOLERANCE);
}
