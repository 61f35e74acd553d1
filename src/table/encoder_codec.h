/* encoder_codec: an encoder as stored bytes: magic, version, little-endian fields. Reading
 * distrusts every byte: ERR_CORRUPT, and *encoder is written only on success. */
#ifndef TABLE_ENCODER_CODEC_H
#define TABLE_ENCODER_CODEC_H

#include "base/buf.h"
#include "table/encoder.h"

void encoder_codec_encode(const struct encoder *encoder, struct buf *out);
int encoder_codec_decode(const void *bytes, size_t len, struct encoder *encoder,
                         struct err *err);

#endif
