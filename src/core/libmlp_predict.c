#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/estimator.h"
#include "core/examples.h"
#include "core/metric.h"
#include "core/pass.h"

#define PREDICT_ROWS 1024 /* that go through the net at a time */

/* --- predicting ------------------------------------------------------------------------- */

/* Into [0, 1]; NaN stays. */
static float to_share(float output)
{
    return output < 0.0F ? 0.0F : output > 1.0F ? 1.0F : output;
}

/* outputs [n x n_outputs] of the net become y [n x n_targets]. */
static void to_targets(const struct libmlp *mlp, const float *outputs, size_t n,
                       float *out)
{
    size_t k = mlp_n_outputs(&mlp->net);
    switch (mlp->settings.task) {
    case LIBMLP_CLASSIFIER:
        for (size_t i = 0; i < n; i++)
            out[i] = k == 1 ? (float)(outputs[i] > 0.5F)
                            : (float)metric_argmax(outputs + i * k, k);
        break;
    case LIBMLP_MULTILABEL:
        for (size_t i = 0; i < n * k; i++)
            out[i] = (float)(outputs[i] > 0.5F);
        break;
    case LIBMLP_REGRESSOR:
        memcpy(out, outputs, n * k * sizeof *out);
        break;
    }
}

/* They become p [n x n_classes]. Softmax outputs are shares already; those of squared_error are made ones. */
static void to_probabilities(const struct libmlp *mlp, const float *outputs, size_t n,
                             float *out)
{
    size_t k = mlp_n_outputs(&mlp->net);
    bool is_classifier = mlp->settings.task == LIBMLP_CLASSIFIER;
    for (size_t i = 0; is_classifier && k == 1 && i < n; i++) {
        out[2 * i + 1] = to_share(outputs[i]);
        out[2 * i] = 1.0F - out[2 * i + 1];
    }
    if (is_classifier && k == 1)
        return;
    for (size_t i = 0; i < n * k; i++)
        out[i] = to_share(outputs[i]);
    for (size_t i = 0; is_classifier && i < n; i++, out += k) {
        double sum = 0.0;
        for (size_t j = 0; j < k; j++)
            sum += (double)out[j];
        for (size_t j = 0; j < k; j++)
            out[j] = sum == 0.0 ? 1.0F / (float)k : (float)((double)out[j] / sum);
    }
}

static int check_outputs(const float *outputs, size_t first, size_t n, size_t k,
                         struct err *err)
{
    for (size_t i = 0; i < n * k; i++)
        if (!isfinite(outputs[i]))
            return err_set_at(err, ERR_INVALID, "not_finite", "/x",
                              "the net's output for x[%zu] is %g: inputs or weights are "
                              "too large",
                              first + i / k, (double)outputs[i]);
    return 0;
}

/* What is wanted of the outputs, and where. */
struct wish {
    void (*convert)(const struct libmlp *mlp, const float *outputs, size_t n, float *out);
    float *out; /* [n_rows x n_columns] */
    size_t n_columns;
};

static int forward(const struct libmlp *mlp, const float *x, size_t n_rows,
                   const struct wish *wish, struct err *err)
{
    const struct parallel *parallel = &mlp->settings.parallel;
    size_t n_inputs = mlp_n_inputs(&mlp->net);
    struct pass *pass = NULL;
    int rc = -1;
    size_t room = n_rows < PREDICT_ROWS ? n_rows : PREDICT_ROWS;
    if (pass_new(&mlp->net, room, false, &pass, err) < 0)
        return -1;
    pass_set_parallel(pass, parallel->run ? parallel : NULL);
    for (size_t first = 0; first < n_rows; first += room) {
        size_t n = n_rows - first < room ? n_rows - first : room;
        const float *outputs = pass_forward(pass, x + first * n_inputs, n);
        if (check_outputs(outputs, first, n, mlp_n_outputs(&mlp->net), err) < 0)
            goto out;
        wish->convert(mlp, outputs, n, wish->out + first * wish->n_columns);
    }
    rc = 0;
out:
    pass_free(pass);
    return rc;
}

static int check_x(const struct libmlp *mlp, const float *x, size_t n_rows,
                   size_t n_inputs, struct err *err)
{
    if (estimator_check_fitted(mlp, err) < 0 ||
        estimator_check_width(mlp, n_inputs, err) < 0)
        return -1;
    return examples_check_x(x, n_rows, n_inputs, err);
}

int libmlp_predict(const struct libmlp *mlp, const float *x, size_t n_rows,
                   size_t n_inputs, float *y, struct libmlp_error *error)
{
    struct err err = {0};
    const struct wish wish = {to_targets, y, libmlp_n_targets(mlp)};
    int rc = -1;
    if (check_x(mlp, x, n_rows, n_inputs, &err) == 0 &&
        estimator_check_given(y, "/y", &err) == 0)
        rc = forward(mlp, x, n_rows, &wish, &err);
    return estimator_finish(rc, &err, error);
}

int libmlp_predict_proba(const struct libmlp *mlp, const float *x, size_t n_rows,
                         size_t n_inputs, float *p, struct libmlp_error *error)
{
    struct err err = {0};
    const struct wish wish = {to_probabilities, p, libmlp_n_classes(mlp)};
    int rc = -1;
    if (check_x(mlp, x, n_rows, n_inputs, &err) < 0 ||
        estimator_check_given(p, "/p", &err) < 0)
        return estimator_finish(-1, &err, error);
    if (mlp->settings.task == LIBMLP_REGRESSOR)
        err_set_at(&err, ERR_INVALID, "wrong_task", "/task",
                   "a regressor has no probabilities");
    else
        rc = forward(mlp, x, n_rows, &wish, &err);
    return estimator_finish(rc, &err, error);
}

/* --- score ------------------------------------------------------------------------------ */

static double weight_of(const struct libmlp_rows *rows, size_t i)
{
    return rows->sample_weight ? (double)rows->sample_weight[i] : 1.0;
}

/* Share of the rows whose k targets are all as predicted. */
static double accuracy(const struct libmlp_rows *rows, const float *predicted)
{
    size_t k = rows->n_targets;
    double right = 0.0;
    double all = 0.0;
    for (size_t i = 0; i < rows->n_rows; i++) {
        bool is_right = true;
        for (size_t j = 0; j < k; j++)
            is_right = is_right && predicted[i * k + j] == rows->y[i * k + j];
        right += is_right ? weight_of(rows, i) : 0.0;
        all += weight_of(rows, i);
    }
    return right / all;
}

/* 1 − Σ(t − y)² / Σ(t − mean t)² of column j; of a constant, scikit-learn's 1 or 0. */
static double r2_of(const struct libmlp_rows *rows, const float *predicted, size_t j)
{
    size_t k = rows->n_targets;
    double sum = 0.0;
    double all = 0.0;
    double missed = 0.0;
    double spread = 0.0;
    for (size_t i = 0; i < rows->n_rows; i++) {
        sum += weight_of(rows, i) * (double)rows->y[i * k + j];
        all += weight_of(rows, i);
    }
    for (size_t i = 0; i < rows->n_rows; i++) {
        double t = (double)rows->y[i * k + j];
        double miss = t - (double)predicted[i * k + j];
        missed += weight_of(rows, i) * miss * miss;
        spread += weight_of(rows, i) * (t - sum / all) * (t - sum / all);
    }
    if (spread == 0.0)
        return missed == 0.0 ? 1.0 : 0.0;
    return 1.0 - missed / spread;
}

static double score_of(const struct libmlp *mlp, const struct libmlp_rows *rows,
                       const float *predicted)
{
    if (mlp->settings.task != LIBMLP_REGRESSOR)
        return accuracy(rows, predicted);
    double sum = 0.0;
    for (size_t j = 0; j < rows->n_targets; j++)
        sum += r2_of(rows, predicted, j);
    return sum / (double)rows->n_targets;
}

int libmlp_score(const struct libmlp *mlp, const struct libmlp_rows *rows, double *score,
                 struct libmlp_error *error)
{
    struct err err = {0};
    float *predicted = NULL;
    int rc = -1;
    if (estimator_check_fitted(mlp, &err) < 0 ||
        estimator_check_given(rows, "/rows", &err) < 0 ||
        estimator_check_given(score, "/score", &err) < 0 ||
        estimator_check_width(mlp, rows->n_inputs, &err) < 0)
        goto out;
    size_t n = mlp->n;
    if (examples_check(mlp->settings.task, rows, &n, &err) < 0 ||
        !(predicted = mem_new(rows->n_rows * rows->n_targets, sizeof *predicted, &err)))
        goto out;
    const struct wish wish = {to_targets, predicted, rows->n_targets};
    rc = forward(mlp, rows->x, rows->n_rows, &wish, &err);
    if (rc == 0)
        *score = score_of(mlp, rows, predicted);
out:
    free(predicted);
    return estimator_finish(rc, &err, error);
}
