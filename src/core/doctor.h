/*
 * doctor: looks at a net while it learns and names what is wrong: findings, each with the
 * figures it rests on and a remedy. It only reads: no output of training depends on it, and
 * its findings depend on nothing else, so the same fit has the same ones. State belongs to
 * one fit, which does with it, once an epoch:
 *
 *   if doctor_is_due: keep a copy of the weights, take the last batch's step, then
 *       doctor_look at each layer; else take the step as always
 *   doctor_examine
 *
 * Looks are rarer than epochs when those are of few steps, so that they cost less than a
 * hundredth of them. A figure must be over its threshold in several looks (or epochs, for
 * those of the losses) in a row to become a finding.
 */
#ifndef CORE_DOCTOR_H
#define CORE_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/endian.h"
#include "base/err.h"
#include "core/mlp.h"

/* The table in doctor.c has thresholds, how long they must be crossed, and sources. */
enum doctor_ailment {
    DOCTOR_DEAD_RELUS, /* share of a layer's neurons that are 0 for all rows */
    DOCTOR_SATURATED,  /* share of tanh or logistic outputs with almost no slope */
    DOCTOR_VANISHING_GRADIENT, /* the first layer's gradient beside the last one's */
    DOCTOR_EXPLODING_GRADIENT, /* the gradient's length beside that of the weights */
    DOCTOR_STEPS_TOO_LARGE,    /* share of a layer's weights that a step changes */
    DOCTOR_STEPS_TOO_SMALL,    /* the same of the net, while the loss falls by next to
                                  nothing in every epoch */
    DOCTOR_OVERFITTING,        /* rise of the validation loss over its best, while the
                                  training loss falls; not when the best is restored */
    DOCTOR_PLATEAU,            /* epochs without a fall of the training loss, before the
                                  net has learnt anything */
    DOCTOR_OSCILLATING,        /* the training loss's change from epoch to epoch, up and
                                  down */
    DOCTOR_AILMENT_COUNT
};

/* "dead_relus" … */
const char *doctor_ailment_name(enum doctor_ailment ailment);

/* The ailment of that name, or -1. */
int doctor_ailment_find(const char *name);

struct doctor_finding {
    enum doctor_ailment ailment;
    size_t epoch;      /* that it was found in, from 1 */
    size_t layer;      /* from 0; SIZE_MAX: the whole net */
    double value;      /* the figure it rests on … */
    double threshold;  /* … and the one that it crossed */
    char message[200]; /* one sentence for a person, with the figure */
    char remedy[200];  /* what to change, in names of hyper-parameters */
};

/* What the last batch of an epoch leaves of one layer's step. All borrowed, float32. */
struct doctor_trace {
    const float *gradient; /* ∂loss/∂W [fan_in x fan_out], as the step used it */
    const float *before;   /* W before the step, same shape; NULL: not known, or lbfgs,
                              whose steps are as long as its line search likes */
    const float *after;    /* W now, same shape */
    const float *outputs;  /* a [n_rows x fan_out], before any were dropped */
    size_t n_rows;         /* >= 1: the batch's, or of a part of it */
};

/* The figures of one layer. NaN: not known. */
struct doctor_layer {
    double gradient_norm;   /* ‖∂loss/∂W‖₂ */
    double weight_norm;     /* ‖W‖₂ before the step */
    double update_norm;     /* ‖ΔW‖₂ of the step */
    double dead_share;      /* of neurons; hidden relu layers only */
    double saturated_share; /* of outputs; hidden tanh and logistic layers only */
};

struct doctor_epoch {
    size_t epoch; /* from 1 */
    size_t step;  /* steps taken in all epochs */
    double train_loss;
    double first_batch_loss; /* the epoch's; of the net as it began in epoch 1 */
    double validation_loss;  /* NaN: none */
    double learning_rate;    /* of the last step; lbfgs: 1 */
    bool has_dropout;        /* its noise is in the training losses */
    /* Borrowed [n_layers of the net], output layer last; NULL: no look was due. */
    const struct doctor_layer *layers;
};

#define DOCTOR_FINDINGS_MAX 64 /* later ones are not told */
#define DOCTOR_WINDOW       12 /* epochs whose losses are remembered */

struct doctor {
    size_t n_findings;
    /* Each ailment of a layer once. */
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
    /* private: the net's shape … */
    size_t n_layers;
    size_t n_weights[MLP_LAYERS_MAX]; /* of W */
    size_t n_neurons[MLP_LAYERS_MAX];
    enum act activations[MLP_LAYERS_MAX];
    bool is_from_zero[MLP_LAYERS_MAX]; /* W began as all 0 */
    bool early_stopping;
    /* … and what it remembers */
    size_t next_look; /* step */
    /* For each neuron of hidden relu layers: rows seen in a row for which it was 0, in
     * `memory`; NULL for other layers. */
    uint32_t *silent_rows[MLP_LAYERS_MAX];
    uint32_t *memory; /* owned [n_memory] */
    size_t n_memory;
    /* In a row over the threshold; the last column is that of the whole net. */
    uint32_t n_crossed[DOCTOR_AILMENT_COUNT][MLP_LAYERS_MAX + 1];
    bool is_found[DOCTOR_AILMENT_COUNT][MLP_LAYERS_MAX + 1];
    size_t n_epochs;
    double train_losses[DOCTOR_WINDOW]; /* of epoch e at e % DOCTOR_WINDOW */
    double first_loss;                  /* of the net as it began */
    double first_validation_loss;
    double best_validation_loss;
    double train_loss_at_best;
    double highest_rate;
    double mark;       /* training loss when it last fell for good … */
    size_t mark_epoch; /* … and when that was */
};

/* For a fit of nets of this shape that is about to begin with these weights;
 * early_stopping: the validation loss is watched and the best weights are restored. */
int doctor_init(struct doctor *doctor, const struct mlp *mlp, bool early_stopping,
                struct err *err);

/* Releases what doctor_init took; a zeroed doctor is fine. */
void doctor_clear(struct doctor *doctor);

/* Is the last batch of this epoch to be looked at? `step`: steps taken before it, in all
 * epochs. */
bool doctor_is_due(const struct doctor *doctor, size_t step);

/* Takes the figures of layer l from what the step left; one pass over each array. */
void doctor_look(struct doctor *doctor, size_t l, const struct doctor_trace *trace,
                 struct doctor_layer *layer);

/* Judges one epoch; returns how many findings are new: the last ones of doctor->findings. */
size_t doctor_examine(struct doctor *doctor, const struct doctor_epoch *epoch);

/* All that it remembers, so that a fit that is continued has the findings of one that was
 * not interrupted. Loading is into a doctor of the same shape from doctor_init; ERR_CORRUPT
 * when the bytes are not those of one, and then the doctor is only good for doctor_clear. */
void doctor_save(const struct doctor *doctor, struct buf *out);
int doctor_load(struct doctor *doctor, struct endian_reader *reader, struct err *err);

#endif
