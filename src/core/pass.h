/*
 * pass: rows through a net, and the gradient back. A pass owns the room it needs for up to
 * max_rows rows; one caller uses it at a time, its tasks may run on several threads. Results
 * do not depend on how many: rows are cut into blocks and weights into bands by shape alone,
 * and each number is summed by one thread in one order.
 */
#ifndef CORE_PASS_H
#define CORE_PASS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "core/dropout.h"
#include "core/mlp.h"
#include "core/parallel.h"

struct pass;

/* Room for passes of `mlp` (borrowed; its weights may change between passes, its shape and
 * place may not) over up to max_rows rows; `training` adds what pass_gradient needs.
 * *pass is owned by the caller. */
int pass_new(const struct mlp *mlp, size_t max_rows, bool training, struct pass **pass,
             struct err *err);
void pass_free(struct pass *pass); /* NULL is allowed */

/* Borrowed until replaced: threads to run on (NULL, the default: the caller's alone). A pass
 * that is too small to gain by them does without. */
void pass_set_parallel(struct pass *pass, const struct parallel *parallel);

/* Borrowed until replaced: outputs of hidden layers are dropped through it in gradients (NULL,
 * the default: none are). */
void pass_set_dropout(struct pass *pass, struct dropout *dropout);

/* Outputs [n x n_outputs], in the loss's terms (loss_apply_link), for x [n x n_inputs],
 * n <= max_rows: borrowed from the pass, valid until its next use. Inference: running
 * statistics, no dropout. */
const float *pass_forward(struct pass *pass, const float *x, size_t n);

/*
 * Mean loss over the n rows of x with targets t (layout: core/loss.h), and its gradient
 * [n_parameters], overwritten, by backpropagation (Rumelhart, Hinton and Williams 1986), both
 * in training: statistics of these rows, dropout if set. weights [n] >= 0 of the rows (NULL:
 * all 1): the mean is Σ weight · loss / Σ weight; weights that are all 0 give loss and
 * gradient 0. Penalties are not in it.
 */
double pass_gradient(struct pass *pass, const float *x, const float *t,
                     const float *weights, size_t n, float *gradient);

/* The same loss at inference, without a gradient. */
double pass_loss(struct pass *pass, const float *x, const float *t, const float *weights,
                 size_t n);

/* --- its parts, for core/fit, which runs the parts of several passes together ------------ */

/* Rows to work on, borrowed until the last part has run. */
struct pass_rows {
    const float *x;       /* [… x n_inputs] */
    const float *t;       /* [… x n_targets] */
    const float *weights; /* […]; NULL: all 1 */
    const size_t *order;  /* [n]: which of those rows; NULL: the first n */
    size_t n;             /* >= 1, <= max_rows */
};

/* Begins a gradient of these rows. Then run every task of phase 0, every one of phase 1 …
 * (their number is the same for equal shapes and n), then every band. The weights must have
 * been packed since they changed. */
void pass_begin(struct pass *pass, const struct pass_rows *rows);
size_t pass_n_phases(const struct pass *pass);
size_t pass_n_tasks(const struct pass *pass, size_t i);
void pass_task(struct pass *pass, size_t i, size_t task);

/* After the phases: as pass_gradient's result, and the total weight of the rows. */
double pass_mean_loss(const struct pass *pass);
double pass_total_weight(const struct pass *pass);

/* True when tasks are so small that handing them to other threads would cost more. */
bool pass_is_small(const struct pass *pass);

/* A band is a run of parameters of one kind whose gradient one task computes. */
struct pass_band {
    enum mlp_group group;
    size_t layer;        /* of scales and embeddings: 0 */
    size_t at;           /* index into parameters */
    size_t n;            /* parameters */
    size_t row, row_end; /* of W, for weights; of embeddings: which */
};

size_t pass_n_bands(const struct pass *pass);
const struct pass_band *pass_band(const struct pass *pass, size_t band);

/* Writes gradient[at …] of band i. */
void pass_band_gradient(struct pass *pass, size_t i, float *gradient);

/* Packs the weights of band i for later passes. */
void pass_pack_band(struct pass *pass, size_t i);

/* As pass_loss, when the weights are packed already. */
double pass_packed_loss(struct pass *pass, const struct pass_rows *rows);

/* Moves the running statistics of `mlp`, the pass's own net, a tenth of the way to those of
 * the last gradient's rows (torch's momentum 0.1, unbiased variance). */
void pass_track_statistics(const struct pass *pass, struct mlp *mlp);

/* Outputs [n x fan_out] of a layer in the last gradient, before any were dropped: borrowed. */
const float *pass_outputs(const struct pass *pass, size_t layer);

#endif
