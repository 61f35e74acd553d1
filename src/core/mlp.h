/*
 * mlp: a multilayer perceptron: dense layers, each a = f(x W + b), from n_inputs columns to
 * n_outputs. All arrays are row-major float32. Weights and biases of all layers lie in one
 * flat vector, so that a gradient has the same layout and an optimiser is one loop.
 *
 * A trained mlp is not written to any more, so any number of threads may read it; what one
 * caller needs besides is an mlp_workspace of its own.
 */
#ifndef CORE_MLP_H
#define CORE_MLP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/act.h"
#include "core/dropout.h"
#include "core/loss.h"

#define MLP_LAYERS_MAX 64      /* dense layers, output included */
#define MLP_WIDTH_MAX  1000000 /* columns in, out, or of a hidden layer */

enum mlp_init {
    MLP_GLOROT_UNIFORM, /* U(±√(6/(fan_in + fan_out))) (Glorot and Bengio 2010) */
    MLP_GLOROT_NORMAL,  /* N(0, 2/(fan_in + fan_out)) */
    MLP_HE_UNIFORM,     /* U(±√(6/fan_in)) (He et al. 2015) */
    MLP_HE_NORMAL,      /* N(0, 2/fan_in) */
    MLP_LECUN_NORMAL,   /* N(0, 1/fan_in) */
    MLP_NORMAL,         /* N(0, init_std²) */
    MLP_INIT_COUNT
};

const char *mlp_init_name(enum mlp_init init);

/* What a net looks like. */
struct mlp_spec {
    size_t n_inputs;
    const size_t *hidden_layer_sizes; /* borrowed [n_hidden]; none: a perceptron */
    size_t n_hidden;
    size_t n_outputs;
    enum act activation;        /* of every hidden layer */
    enum act output_activation; /* with loss: see loss_may_follow */
    enum loss loss;
    struct loss_options loss_options; /* figures that this loss needs */
};

struct mlp_layer {
    size_t fan_in;
    size_t fan_out;
    enum act activation;
    size_t weights_at; /* index into parameters: W [fan_in x fan_out] */
    size_t biases_at;  /* index into parameters: b [fan_out] */
};

struct mlp {
    size_t n_layers; /* n_hidden + 1 */
    struct mlp_layer layers[MLP_LAYERS_MAX];
    enum loss loss;
    struct loss_options loss_options;
    size_t n_parameters;
    float *parameters; /* owned [n_parameters] */
};

/* What one forward or backward pass writes. */
struct mlp_workspace {
    size_t max_rows;                    /* rows that fit */
    float *activations[MLP_LAYERS_MAX]; /* [max_rows x fan_out] of each, in `memory` */
    float *inputs[MLP_LAYERS_MAX]; /* [max_rows x fan_out]: z of the hidden layers whose
                                      slope needs it (act_needs_z), else NULL; in `memory`;
                                      training only */
    float *deltas[2];              /* [max_rows x widest], in `memory`; training only */
    float *memory;                 /* owned */
    /* borrowed; NULL after init. Any pass drops outputs of the hidden layers through it. */
    struct dropout *dropout;
};

/* Number of weights and biases of such a net; -1 with ERR_INVALID (the field named by
 * pointer, e.g. "/hidden_layer_sizes/1") when a size is 0, too large, the loss and output
 * activation do not go together, or a figure of the loss is out of range. */
int mlp_count(const struct mlp_spec *spec, size_t *n_parameters, struct err *err);

/* Allocates the net with all parameters zero; errors as mlp_count or ERR_NO_MEMORY. */
int mlp_new(const struct mlp_spec *spec, struct mlp *mlp, struct err *err);

/* Releases what mlp_new took; a zeroed mlp is fine. */
void mlp_clear(struct mlp *mlp);

/* ERR_INVALID "not_trainable" at "/activation" or "/output_activation" when a layer's slope
 * is zero everywhere (act_is_trainable): such a net predicts, but learns nothing. */
int mlp_check_trainable(enum act activation, enum act output_activation, struct err *err);

/* Fills the weights from (seed, stream RNG_INIT of base/rng) and zeroes the biases. */
void mlp_init_weights(struct mlp *mlp, enum mlp_init init, double init_std,
                      uint64_t seed);

size_t mlp_n_inputs(const struct mlp *mlp);
size_t mlp_n_outputs(const struct mlp *mlp);

/* Room for passes over up to max_rows rows; `training` adds what mlp_gradient needs. */
int mlp_workspace_init(struct mlp_workspace *ws, const struct mlp *mlp, size_t max_rows,
                       int training, struct err *err);
void mlp_workspace_clear(struct mlp_workspace *ws);

/* Outputs [n x n_outputs], in the loss's terms (loss_apply_link), for x [n x n_inputs],
 * n <= max_rows: borrowed from ws, valid until its next use. */
const float *mlp_forward(const struct mlp *mlp, struct mlp_workspace *ws, const float *x,
                         size_t n);

/*
 * Mean loss over the n rows of x with targets t (layout: core/loss.h), and its gradient
 * [n_parameters], overwritten, by backpropagation (Rumelhart, Hinton and Williams 1986).
 * The L2 term is not in it. With gradient NULL only the loss is computed.
 */
double mlp_gradient(const struct mlp *mlp, struct mlp_workspace *ws, const float *x,
                    const float *t, size_t n, float *gradient);

/* The same with weights [n] >= 0 of the rows (NULL: all 1): the mean is Σ weight · loss /
 * Σ weight. Weights that are all 0 give loss and gradient 0. */
double mlp_gradient_weighted(const struct mlp *mlp, struct mlp_workspace *ws,
                             const float *x, const float *t, const float *weights,
                             size_t n, float *gradient);

#endif
