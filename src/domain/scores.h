/* scores: a net's metrics on encoded rows, and its outputs as probabilities. */
#ifndef DOMAIN_SCORES_H
#define DOMAIN_SCORES_H

#include "core/mlp.h"
#include "entity/metrics.h"
#include "table/encoder.h"

#define SCORES_BATCH 512 /* rows of one forward pass */

struct scores_rows {
    const float *x; /* borrowed [n_rows x n_features] */
    const float *t; /* borrowed [n_rows x n_targets], as in training */
    size_t n_rows;
    size_t n_targets;
};

/*
 * What the net says for n rows of x. A regression writes values [n] in the target's own
 * units; classes write probabilities [n x n_classes] that add up to 1: a single sigmoid p
 * gives 1 − p and p; outputs of squared_error are cut to [0, 1] and divided by their sum (all
 * equal when it is 0). The other array may be NULL. ERR_NO_MEMORY.
 */
int scores_forward(const struct encoder *encoder, const struct mlp *mlp, const float *x,
                   size_t n, double *values, float *probabilities, struct err *err);

/* Metrics on the rows; *scores is owned by the caller (metrics_clear). n_rows >= 1. */
int scores_of(const struct encoder *encoder, const struct mlp *mlp,
              const struct scores_rows *rows, struct metrics_scores *scores,
              struct err *err);

#endif
