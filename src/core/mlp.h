/*
 * mlp: a multilayer perceptron: dense layers, each a = f(c x W + b), from n_inputs columns to
 * n_outputs. All arrays are row-major float32. Everything that is learnt lies in one flat
 * vector, so that a gradient has the same layout and an optimiser is one loop.
 *
 * A hidden layer that is normalised is a = f(g x̂ + b) with x̂ = (z − μ) / √(σ² + ε), z = c x W:
 * batch_norm takes mean and variance of a neuron over the rows of the batch (Ioffe and
 * Szegedy 2015; at inference, running averages of them), layer_norm those of a row over the
 * layer's neurons (Ba, Kiros and Hinton 2016). Its bias comes after the normalisation, where
 * one before it would have been cancelled or could be learnt by it.
 *
 * c is 1, or 1/√fan_in in NTK parametrisation (Jacot, Gabriel and Hongler 2018), under which
 * one learning rate fits layers of all widths. With periodic embeddings (core/periodic.h)
 * inputs add columns of their own to what the first layer sees; with feature scales it sees
 * those columns times s, s learnt (Holzmüller, Grinsztajn and Steinwart, NeurIPS 2024).
 *
 * A trained mlp is not written to any more, so any number of threads may read it; passes
 * over rows are core/pass.h.
 */
#ifndef CORE_MLP_H
#define CORE_MLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/act.h"
#include "core/loss.h"
#include "core/periodic.h"

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

/* What suits hidden layers of this activation: he_normal for relu and those that look like it
 * (He et al. 2015), lecun_normal for selu (Klambauer et al. 2017), glorot_uniform for the
 * rest (Glorot and Bengio 2010; scikit-learn has 2 for 6 with logistic). */
enum mlp_init mlp_init_for(enum act activation);

enum mlp_normalization {
    MLP_NORMALIZATION_NONE,
    MLP_BATCH_NORM,
    MLP_LAYER_NORM,
    MLP_NORMALIZATION_COUNT
};

#define MLP_NORM_EPSILON 1e-5 /* ε */

/* "none", "batch_norm", "layer_norm" */
const char *mlp_normalization_name(enum mlp_normalization normalization);

/* What a net looks like. */
struct mlp_spec {
    size_t n_inputs;
    const size_t *hidden_layer_sizes; /* borrowed [n_hidden]; none: a perceptron */
    size_t n_hidden;
    size_t n_outputs;
    enum act activation;        /* of every hidden layer */
    enum act output_activation; /* with loss: see loss_may_follow */
    enum loss loss;
    struct loss_options loss_options;     /* figures that this loss needs */
    enum mlp_normalization normalization; /* of every hidden layer */
    bool ntk_parametrization;             /* of every layer */
    bool feature_scale;                   /* a learnt scale of every input */
    /* Periodic embeddings of these inputs (core/periodic.h); `inputs` is borrowed. n_inputs is
     * the one above. */
    struct periodic periodic;
};

struct mlp_layer {
    size_t fan_in;
    size_t fan_out;
    enum act activation;
    enum mlp_normalization normalization;
    float factor;      /* c */
    size_t weights_at; /* index into parameters: W [fan_in x fan_out] */
    size_t biases_at;  /* index into parameters: b [fan_out] */
    size_t gains_at;   /* index into parameters: g [fan_out]; normalised layers only */
    size_t
        statistics_at; /* index into statistics: running mean [fan_out], running variance
                             [fan_out]; batch_norm only */
};

struct mlp {
    size_t n_layers; /* n_hidden + 1 */
    struct mlp_layer layers[MLP_LAYERS_MAX];
    enum loss loss;
    struct loss_options loss_options;
    struct periodic periodic; /* `inputs` is owned; n 0: no embeddings */
    size_t periodic_at;       /* index into parameters: those of the embeddings */
    bool has_scales;          /* parameters [0, fan_in of the first layer) are s */
    size_t n_parameters;
    float
        *parameters; /* owned [n_parameters]: s, embeddings, then W, b, g of each layer */
    size_t n_statistics;
    float *statistics; /* owned [n_statistics]; NULL without batch_norm */
};

/* What a parameter is: learning rates, decay and penalties differ by it. */
enum mlp_group {
    MLP_WEIGHTS,
    MLP_BIASES,
    MLP_GAINS,
    MLP_SCALES,
    MLP_EMBEDDINGS,
    MLP_GROUP_COUNT
};

/* Number of weights and biases of such a net; -1 with ERR_INVALID (the field named by
 * pointer, e.g. "/hidden_layer_sizes/1") when a size is 0, too large, the loss and output
 * activation do not go together, or a figure of the loss is out of range. */
int mlp_count(const struct mlp_spec *spec, size_t *n_parameters, struct err *err);

/* Allocates the net with all parameters zero; errors as mlp_count or ERR_NO_MEMORY. */
int mlp_new(const struct mlp_spec *spec, struct mlp *mlp, struct err *err);

/* The same net once more, owned by the caller as from mlp_new. */
int mlp_copy(const struct mlp *mlp, struct mlp *copy, struct err *err);

/* Releases what mlp_new took; a zeroed mlp is fine. */
void mlp_clear(struct mlp *mlp);

/* ERR_INVALID "not_trainable" at "/activation" or "/output_activation" when a layer's slope
 * is zero everywhere (act_is_trainable): such a net predicts, but learns nothing. */
int mlp_check_trainable(enum act activation, enum act output_activation, struct err *err);

/* Fills the weights from (seed, stream RNG_INIT of base/rng); biases are 0, gains and scales 1,
 * running means 0 and variances 1. */
void mlp_init_weights(struct mlp *mlp, enum mlp_init init, double init_std,
                      uint64_t seed);

/* Fills the parameters of the embeddings (periodic_init), if there are any. */
void mlp_init_embeddings(struct mlp *mlp, double frequency_scale, uint64_t seed);

/* Draws the biases of all layers from N(0, std²), std >= 0, by (seed, stream RNG_INIT):
 * other numbers than the weights have. */
void mlp_init_biases(struct mlp *mlp, double std, uint64_t seed);

/* Sets the output layer's weights and biases to 0, so that training starts at the same
 * prediction for every row. */
void mlp_zero_output(struct mlp *mlp);

size_t mlp_n_inputs(const struct mlp *mlp); /* columns of x, before embedding */
size_t mlp_n_outputs(const struct mlp *mlp);

/* The net that predicts the same and has no feature scales, NTK factors or batch_norm: they
 * are multiplied into weights and biases (layer_norm and embeddings stay, they depend on the
 * row). Owned by the caller, as from mlp_new. */
int mlp_fold(const struct mlp *mlp, struct mlp *folded, struct err *err);

#endif
