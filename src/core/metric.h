/*
 * metric: how good predictions are, accumulated in double. Definitions are those of
 * scikit-learn's function of the same name. Thread-safe.
 */
#ifndef CORE_METRIC_H
#define CORE_METRIC_H

#include <stddef.h>
#include <stdint.h>

/* Scores of a regression. */
struct metric_regression {
    double r2; /* 1 − Σ(t − y)² / Σ(t − mean t)²; NaN when the targets are all equal */
    double rmse; /* √(Σ(t − y)²/n) */
    double mae;  /* Σ|t − y|/n */
};

/* Scores of a classification. */
struct metric_classes {
    double accuracy;
    double balanced_accuracy; /* mean recall over classes that occur */
    double f1_macro;          /* mean F1 over classes that occur or were predicted */
    double log_loss; /* −mean log p of the true class, p clipped to [1e-15, 1] */
};

/* y, t [n]; n >= 1. */
struct metric_regression metric_regression(const double *y, const double *t, size_t n);

/*
 * probabilities [n x k], classes t [n] in 0 … k-1, n >= 1, k >= 2. The prediction is the
 * first class of largest probability. confusion [k x k] (overwritten) counts true class
 * (row) against predicted class (column).
 */
struct metric_classes metric_classes(const float *probabilities, const uint32_t *t,
                                     size_t n, size_t k, uint64_t *confusion);

/* Index of the largest of k values, the first of equals. */
size_t metric_argmax(const float *values, size_t k);

#endif
