/*
 * dropout: while a net trains, each output of a hidden layer is 0 with the layer's rate p and
 * otherwise divided by 1 − p (Srivastava et al. 2014, inverted), so that nothing is to be
 * done at inference. Whether an output is dropped is a pure function of (seed, layer, step,
 * row of the batch, neuron): neither threads nor the size of a piece change it.
 */
#ifndef CORE_DROPOUT_H
#define CORE_DROPOUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct dropout_layer {
    uint32_t
        threshold; /* of 65536: the rate is threshold / 65536; 0: nothing is dropped */
    float keep;    /* 1 − rate */
    size_t width;
    float *mask;   /* [max_rows x width], in `memory`: 0 where dropped, else 1 / keep */
    float *passed; /* [max_rows x width], in `memory`: what is left of the outputs */
};

struct dropout {
    size_t n_layers;              /* hidden ones */
    struct dropout_layer *layers; /* owned [n_layers] */
    float *memory;                /* owned */
    uint64_t seed;
    /* Which rows the next pass sees; the caller sets both. */
    uint64_t step;
    size_t first_row; /* of the batch: the pass's first */
};

/* For passes of up to max_rows rows; widths [n_layers], rates [n_layers] in [0, 1). A rate is
 * rounded to a multiple of 1/65536, below 1. */
int dropout_init(struct dropout *dropout, const double *rates, const size_t *widths,
                 size_t n_layers, size_t max_rows, uint64_t seed, struct err *err);
void dropout_clear(struct dropout *dropout);

/* Changes the rates [n_layers] of the passes to come to share · rates, share in [0, 1]. */
void dropout_fade(struct dropout *dropout, const double *rates, double share);

/* Writes what is left of the outputs a [n x width] of hidden layer `layer`, rows
 * [first, first + n) of the pass, to their place in `passed`, and keeps the mask. Threads may
 * do different rows at once. With a rate of 0 nothing is written. */
void dropout_forward(struct dropout *dropout, size_t layer, size_t first, const float *a,
                     size_t n);

/* What the next layer sees, [max_rows x width]; NULL with a rate of 0: the outputs. */
const float *dropout_passed(const struct dropout *dropout, size_t layer);

/* The way back through the same mask: delta [n x width], of those rows. */
void dropout_backward(const struct dropout *dropout, size_t layer, size_t first,
                      float *delta, size_t n);

#endif
