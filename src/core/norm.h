/*
 * norm: the arithmetic of normalised layers, on blocks of rows or of columns, row-major float32.
 * With x̂ = (z − μ) / √(σ² + ε), y = g x̂ + b; ε is MLP_NORM_EPSILON. Sums are taken in double.
 * Thread-safe: there is no state.
 */
#ifndef CORE_NORM_H
#define CORE_NORM_H

#include <stddef.h>

/* Columns that a function of some columns takes at once, at most. */
#define NORM_COLUMNS 64

struct norm {
    size_t k;          /* neurons */
    const float *gain; /* g [k] */
    const float *bias; /* b [k]; not for the way back */
};

/* Layer normalisation of n rows z [n x k], which become y; x̂ goes to normal [n x k] and each
 * row's 1/√(σ² + ε) to deviation [n] (both NULL: not wanted). */
void norm_layer(const struct norm *norm, float *z, size_t n, float *normal,
                float *deviation);

/* Batch normalisation of n rows z [n x k], which become y, with the means [k] and variances
 * [k] in statistics; x̂ goes to normal [n x k] unless NULL. */
void norm_batch(const struct norm *norm, const float *statistics, float *z, size_t n,
                float *normal);

/* What comes down to a block of n rows. */
struct norm_slopes {
    const float *slope;  /* ∂loss/∂y [n x k] */
    const float *normal; /* x̂ [n x k] */
    size_t n;
};

/* delta [n x k] = ∂loss/∂z. With u = g ∘ slope, of a row:
 * (u − mean(u) − x̂ mean(u x̂)) / √(σ² + ε). */
void norm_layer_back(const struct norm *norm, const struct norm_slopes *slopes,
                     const float *deviation, float *delta);

/* The same for batch_norm, where the means are over all n_all rows of the batch: sums holds
 * Σ slope [k] and Σ slope x̂ [k], deviation 1/√(σ² + ε) [k] (Ioffe and Szegedy 2015). */
void norm_batch_back(const struct norm *norm, const struct norm_slopes *slopes,
                     const float *deviation, const float *sums, size_t n_all,
                     float *delta);

/* Columns [first, first + width) of matrices [n x k]; width <= NORM_COLUMNS. */
struct norm_columns {
    size_t k;
    size_t first;
    size_t width;
    size_t n;
};

/* Their means and variances (biased) over the rows of z go to their places in statistics
 * [2 x k], 1/√(σ² + ε) to theirs in deviation [k]. */
void norm_statistics(const struct norm_columns *columns, const float *z,
                     float *statistics, float *deviation);

/* sums [width]: of the columns of a, or of a ∘ b unless b is NULL. */
void norm_sum(const struct norm_columns *columns, const float *a, const float *b,
              float *sums);

#endif
