#include "domain/scores.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/pass.h"

static void to_values(const struct encoder *encoder, const float *outputs, size_t n,
                      double *values)
{
    for (size_t i = 0; i < n; i++)
        values[i] = encoder_target_value(encoder, outputs[i]);
}

/* One output: the probability of the second class. NaN stays NaN. */
static void to_pairs(const float *outputs, size_t n, float *probabilities)
{
    for (size_t i = 0; i < n; i++) {
        float p = outputs[i] < 0 ? 0 : outputs[i] > 1 ? 1 : outputs[i];
        probabilities[2 * i] = 1 - p;
        probabilities[2 * i + 1] = p;
    }
}

static void to_shares(const float *outputs, size_t n, size_t k, float *probabilities)
{
    for (size_t i = 0; i < n; i++, outputs += k, probabilities += k) {
        double sum = 0;
        for (size_t j = 0; j < k; j++) {
            probabilities[j] = outputs[j] < 0 ? 0 : outputs[j] > 1 ? 1 : outputs[j];
            sum += (double)probabilities[j];
        }
        for (size_t j = 0; j < k; j++)
            probabilities[j] =
                sum == 0 ? 1 / (float)k : (float)((double)probabilities[j] / sum);
    }
}

int scores_forward(const struct encoder *encoder, const struct mlp *mlp, const float *x,
                   size_t n, double *values, float *probabilities, struct err *err)
{
    struct pass *pass = NULL;
    size_t n_inputs = mlp_n_inputs(mlp);
    size_t n_outputs = mlp_n_outputs(mlp);
    size_t k = encoder->target.n_classes;

    if (pass_new(mlp, n < SCORES_BATCH ? n : SCORES_BATCH, false, &pass, err) < 0)
        return -1;
    for (size_t done = 0; done < n; done += SCORES_BATCH) {
        size_t m = n - done < SCORES_BATCH ? n - done : SCORES_BATCH;
        const float *outputs = pass_forward(pass, x + done * n_inputs, m);
        if (encoder->target.task == ENCODER_REGRESSION)
            to_values(encoder, outputs, m, values + done);
        else if (n_outputs == 1)
            to_pairs(outputs, m, probabilities + done * 2);
        else
            to_shares(outputs, m, k, probabilities + done * k);
    }
    pass_free(pass);
    return 0;
}

static int score_values(const struct encoder *encoder, const struct mlp *mlp,
                        const struct scores_rows *rows, struct metrics_scores *scores,
                        struct err *err)
{
    double *values = mem_new(rows->n_rows, sizeof *values, err);
    double *truth = mem_new(rows->n_rows, sizeof *truth, err);
    int result = values && truth ? scores_forward(encoder, mlp, rows->x, rows->n_rows,
                                                  values, NULL, err)
                                 : -1;
    if (result == 0) {
        for (size_t i = 0; i < rows->n_rows; i++)
            truth[i] = encoder_target_value(encoder, rows->t[i]);
        scores->regression = metric_regression(values, truth, rows->n_rows);
        scores->n_rows = rows->n_rows;
    }
    free(values);
    free(truth);
    return result;
}

static uint32_t true_class(const struct scores_rows *rows, size_t row)
{
    const float *t = rows->t + row * rows->n_targets;
    return (uint32_t)(rows->n_targets == 1 ? (size_t)t[0]
                                           : metric_argmax(t, rows->n_targets));
}

static int score_classes(const struct encoder *encoder, const struct mlp *mlp,
                         const struct scores_rows *rows, struct metrics_scores *scores,
                         struct err *err)
{
    size_t k = encoder->target.n_classes;
    float *probabilities = mem_new(rows->n_rows * k, sizeof *probabilities, err);
    uint32_t *truth = mem_new(rows->n_rows, sizeof *truth, err);
    uint64_t *confusion = mem_new(k * k, sizeof *confusion, err);
    int result = probabilities && truth && confusion
                     ? scores_forward(encoder, mlp, rows->x, rows->n_rows, NULL,
                                      probabilities, err)
                     : -1;
    if (result == 0) {
        for (size_t i = 0; i < rows->n_rows; i++)
            truth[i] = true_class(rows, i);
        scores->classes =
            metric_classes(probabilities, truth, rows->n_rows, k, confusion);
        scores->confusion = confusion;
        scores->n_classes = k;
        scores->n_rows = rows->n_rows;
        confusion = NULL;
    }
    free(probabilities);
    free(truth);
    free(confusion);
    return result;
}

int scores_of(const struct encoder *encoder, const struct mlp *mlp,
              const struct scores_rows *rows, struct metrics_scores *scores,
              struct err *err)
{
    return encoder->target.task == ENCODER_REGRESSION
               ? score_values(encoder, mlp, rows, scores, err)
               : score_classes(encoder, mlp, rows, scores, err);
}
