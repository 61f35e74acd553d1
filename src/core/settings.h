/*
 * settings: the options of libmlp.h in the core's own terms: names looked up, ranges checked.
 * Owns one array; nothing is borrowed but the hooks' contexts.
 */
#ifndef CORE_SETTINGS_H
#define CORE_SETTINGS_H

#include "base/err.h"
#include "core/fit.h"
#include "core/libmlp.h"
#include "core/mlp.h"

#define SETTINGS_AUTO (-1) /* choice: follows task and classes */

struct settings {
    enum libmlp_task task;
    size_t n_classes; /* 0: as many as the first rows have */
    /* the net */
    size_t hidden_layer_sizes[MLP_LAYERS_MAX - 1];
    size_t n_hidden;
    int activation;        /* enum act */
    int output_activation; /* enum act or SETTINGS_AUTO */
    int normalization;     /* enum mlp_normalization */
    int init;              /* enum mlp_init or SETTINGS_AUTO */
    double init_std;
    double bias_init_std;
    bool zero_init_output;
    bool ntk_parametrization;
    bool feature_scale;
    size_t *periodic_inputs; /* owned [n_periodic]; NULL: none */
    size_t n_periodic;
    size_t periodic_frequencies;
    size_t periodic_width;
    double frequency_scale;
    int loss; /* enum loss or SETTINGS_AUTO */
    struct loss_options loss_options;
    bool is_balanced; /* class_weight */
    /* the training */
    struct fit_options fit;
    double validation_fraction;
    bool warm_start;
    struct parallel parallel; /* run is NULL: none */
    bool (*on_epoch)(void *ctx, const struct libmlp_epoch *epoch);
    void *ctx;
};

/* To be released with settings_clear. ERR_INVALID at the option that is unknown, out of range or contradicts another; a name that
 * is unknown is answered with those that are known. */
int settings_read(const struct libmlp_options *options, struct settings *settings,
                  struct err *err);

void settings_clear(struct settings *settings);

/* May a net for this task learn with this loss? */
bool settings_loss_suits(enum libmlp_task task, enum loss loss);

/* The net for so many inputs and n classes of a classifier, labels or columns of y; spec
 * borrows from settings. ERR_INVALID when loss and classes do not go together. */
int settings_to_spec(const struct settings *settings, size_t n_inputs, size_t n,
                     struct mlp_spec *spec, struct err *err);

#endif
