/*
 * weights: a net as safetensors (u64 little-endian header length, JSON header, float32
 * bytes): tensors layers.N.weight [fan_in, fan_out] and layers.N.bias [fan_out], and in
 * __metadata__ "format": "mlpd", "activation" (of the hidden layers, if there are any),
 * "output_activation" and "loss". The figures of a loss (loss_options), which only training
 * needs, are not kept: a net that is read has loss_defaults. Reading distrusts every byte; it
 * takes the tensors in any order, and other keys in __metadata__.
 */
#ifndef CORE_WEIGHTS_H
#define CORE_WEIGHTS_H

#include <stddef.h>

#include "base/buf.h"
#include "core/mlp.h"

/* Appends the net to out. The same net gives the same bytes. Check with buf_check. */
void weights_encode(const struct mlp *mlp, struct buf *out);

/* Makes a net (to be released with mlp_clear) from such bytes. ERR_CORRUPT names what is
 * wrong: truncated, overlapping or wrongly shaped tensors, unknown activation, a dtype that
 * is not F32, non-finite weights. *mlp is written only on success. */
int weights_decode(const void *bytes, size_t len, struct mlp *mlp, struct err *err);

#endif
