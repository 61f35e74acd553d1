/*
 * weights: a net as safetensors (u64 little-endian header length, JSON header, float32
 * bytes). Tensors, named as torch would, the layers from 0:
 *
 *     layers.N.weight [fan_in, fan_out]     layers.N.bias [fan_out]
 *     layers.N.norm.weight [fan_out]        gains of a normalised layer
 *     layers.N.norm.running_mean, layers.N.norm.running_var [fan_out]   under batch_norm
 *     feature_scale [fan_in of layer 0]     where the net has feature scales
 *     periodic [inputs, parameters of one]  where it embeds inputs: w, b, V, v of each
 *
 * and in __metadata__ texts: "format": "mlpd", "activation" (of the hidden layers, if there
 * are any), "output_activation", "loss"; "normalization" and "parametrization" ("standard",
 * "ntk") where they are not "none" and "standard"; those figures of the loss (loss_options:
 * "delta", "over", "under", "q", "label_smoothing") that it uses and that are not the
 * defaults; "periodic_inputs" (indices, "0,2,5"), "periodic_frequencies" and "periodic_width"
 * of embeddings (core/periodic.h). Reading distrusts every byte; it takes the tensors in any
 * order, and other keys in __metadata__.
 */
#ifndef CORE_WEIGHTS_H
#define CORE_WEIGHTS_H

#include <stddef.h>

#include "base/buf.h"
#include "core/mlp.h"

/* Appends the net to out. The same net gives the same bytes. Check with buf_check. */
void weights_encode(const struct mlp *mlp, struct buf *out);

/* Makes a net (to be released with mlp_clear) from such bytes. ERR_CORRUPT names what is
 * wrong: truncated, overlapping or wrongly shaped tensors, one that is missing, repeated or
 * does not belong to such a net, unknown activation, a dtype that is not F32, non-finite
 * numbers, a negative variance. *mlp is written only on success. */
int weights_decode(const void *bytes, size_t len, struct mlp *mlp, struct err *err);

#endif
