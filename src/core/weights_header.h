/*
 * weights_header: the JSON header of core/weights.h: which tensors lie where, and what
 * __metadata__ says of the net. For core/weights.c only. Thread-safe: there is no state.
 */
#ifndef CORE_WEIGHTS_HEADER_H
#define CORE_WEIGHTS_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "core/mlp.h"

/* Bytes of JSON that are read; 64 layers under batch_norm are under 40 KiB, the indices of
 * 100,000 embedded inputs under 700 KiB. */
#define WEIGHTS_HEADER_MAX 1048576

/* Tensors of a layer. */
enum weights_header_part {
    WEIGHTS_HEADER_WEIGHT,   /* layers.N.weight [fan_in, fan_out] */
    WEIGHTS_HEADER_BIAS,     /* layers.N.bias [fan_out] */
    WEIGHTS_HEADER_GAIN,     /* layers.N.norm.weight [fan_out], normalised layers */
    WEIGHTS_HEADER_MEAN,     /* layers.N.norm.running_mean [fan_out], batch_norm */
    WEIGHTS_HEADER_VARIANCE, /* layers.N.norm.running_var [fan_out], batch_norm */
    WEIGHTS_HEADER_PART_COUNT
};

#define WEIGHTS_HEADER_N_OPTIONS 5 /* figures in struct loss_options */

struct weights_header_tensor {
    bool is_present;
    size_t n_dims; /* 1 or 2 */
    size_t dims[2];
    size_t offsets[2]; /* bytes, first and one past the last, within the data */
};

struct weights_header {
    struct weights_header_tensor scale;    /* feature_scale [fan_in of the first layer] */
    struct weights_header_tensor periodic; /* [inputs, periodic_n_parameters] */
    struct weights_header_tensor tensors[MLP_LAYERS_MAX][WEIGHTS_HEADER_PART_COUNT];
    bool has_metadata;
    int format;                       /* 0: "mlpd"; here and below −1: not given */
    int activation;                   /* enum act */
    int output_activation;            /* enum act */
    int loss;                         /* enum loss */
    int normalization;                /* enum mlp_normalization */
    int parametrization;              /* 0: "standard", 1: "ntk" */
    struct loss_options loss_options; /* what is not given has its default */
    bool has_option[WEIGHTS_HEADER_N_OPTIONS];
    size_t periodic_frequencies; /* here and below 0: not given */
    size_t periodic_width;
    const char
        *periodic_inputs; /* borrowed from the JSON [len]: "0,2,5"; NULL: not given */
    size_t periodic_inputs_len;
};

/* True when such a layer has the part. */
bool weights_header_has(const struct mlp_layer *layer, enum weights_header_part part);

/* Number of floats before the part in the data: parameters in their order, then running
 * statistics in theirs. */
size_t weights_header_at(const struct mlp *mlp, size_t layer,
                         enum weights_header_part part);

/* "weight", "norm.running_var" … */
const char *weights_header_part_name(enum weights_header_part part);

/* Reads a number of digits only, few enough not to overflow. */
bool weights_header_size(const char *text, size_t len, size_t *value);

/* Appends the header of the net. */
void weights_header_write(const struct mlp *mlp, struct buf *out);

/* Reads a header as it stands: every tensor has a name, dtype and form that there are, and
 * nothing is said twice; whether shapes and offsets fit is for the caller to see. ERR_CORRUPT
 * names what is wrong; *header is then unspecified. */
int weights_header_read(const char *json, size_t len, struct weights_header *header,
                        struct err *err);

/* ERR_CORRUPT "corrupt_weights". */
int weights_header_corrupt(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
