#include "core/metric.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

struct metric_regression metric_regression(const double *y, const double *t, size_t n)
{
    double mean = 0.0;
    bool is_constant = true; /* asked of the values: a rounded mean may differ from all */
    for (size_t i = 0; i < n; i++) {
        mean += t[i] / (double)n;
        is_constant = is_constant && t[i] == t[0];
    }
    double residual = 0.0;
    double spread = 0.0;
    double absolute = 0.0;
    for (size_t i = 0; i < n; i++) {
        double miss = t[i] - y[i];
        residual += miss * miss;
        spread += (t[i] - mean) * (t[i] - mean);
        absolute += fabs(miss);
    }
    return (struct metric_regression){
        .r2 = is_constant ? (double)NAN : 1.0 - residual / spread,
        .rmse = sqrt(residual / (double)n),
        .mae = absolute / (double)n,
    };
}

size_t metric_argmax(const float *values, size_t k)
{
    size_t best = 0;
    for (size_t j = 1; j < k; j++)
        if (values[j] > values[best])
            best = j;
    return best;
}

/* −log p with p clipped to [1e-15, 1]; NaN stays. */
static double surprise(float probability)
{
    double p = (double)probability;
    if (p < 1e-15)
        p = 1e-15;
    if (p > 1.0)
        p = 1.0;
    return -log(p);
}

/* Fills the scores that follow from the counts alone. */
static void score_confusion(const uint64_t *confusion, size_t k,
                            struct metric_classes *out)
{
    uint64_t right = 0;
    uint64_t rows = 0;
    double recalls = 0.0;
    double f1s = 0.0;
    size_t n_occurring = 0;
    size_t n_seen = 0;
    for (size_t c = 0; c < k; c++) {
        uint64_t hits = confusion[c * k + c];
        uint64_t occurs = 0;
        uint64_t predicted = 0;
        for (size_t j = 0; j < k; j++) {
            occurs += confusion[c * k + j];
            predicted += confusion[j * k + c];
        }
        right += hits;
        rows += occurs;
        if (occurs) {
            recalls += (double)hits / (double)occurs;
            n_occurring++;
        }
        if (occurs + predicted) { /* F1 = 2 TP / (2 TP + FP + FN) */
            f1s += 2.0 * (double)hits / (double)(occurs + predicted);
            n_seen++;
        }
    }
    out->accuracy = (double)right / (double)rows;
    out->balanced_accuracy = recalls / (double)n_occurring;
    out->f1_macro = f1s / (double)n_seen;
}

struct metric_classes metric_classes(const float *probabilities, const uint32_t *t,
                                     size_t n, size_t k, uint64_t *confusion)
{
    struct metric_classes scores = {0};
    double sum = 0.0;
    memset(confusion, 0, k * k * sizeof *confusion);
    for (size_t i = 0; i < n; i++) {
        assert(t[i] < k);
        confusion[t[i] * k + metric_argmax(probabilities + i * k, k)]++;
        sum += surprise(probabilities[i * k + t[i]]);
    }
    score_confusion(confusion, k, &scores);
    scores.log_loss = sum / (double)n;
    return scores;
}
