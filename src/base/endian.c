#include "base/endian.h"

#include <string.h>

static void put_le(struct buf *buf, uint64_t value, size_t len)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    buf_put(buf, bytes, len);
}

void endian_put_u8(struct buf *buf, uint8_t value)
{
    put_le(buf, value, 1);
}

void endian_put_u32(struct buf *buf, uint32_t value)
{
    put_le(buf, value, 4);
}

void endian_put_u64(struct buf *buf, uint64_t value)
{
    put_le(buf, value, 8);
}

void endian_put_f64(struct buf *buf, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_le(buf, bits, 8);
}

void endian_put_text(struct buf *buf, const char *text, size_t len)
{
    if (len > UINT32_MAX) {
        buf->over_limit = true;
        return;
    }
    endian_put_u32(buf, (uint32_t)len);
    buf_put(buf, text, len);
}

void endian_reader_init(struct endian_reader *reader, const void *bytes, size_t len)
{
    const unsigned char *start = bytes;
    *reader = (struct endian_reader){.at = start, .end = start ? start + len : start};
}

size_t endian_left(const struct endian_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

const void *endian_get_bytes(struct endian_reader *reader, size_t len)
{
    if (reader->failed || len > endian_left(reader)) {
        reader->failed = true;
        return NULL;
    }
    const unsigned char *bytes = reader->at;
    if (len)
        reader->at += len;
    return bytes;
}

static uint64_t get_le(struct endian_reader *reader, size_t len)
{
    const unsigned char *bytes = endian_get_bytes(reader, len);
    uint64_t value = 0;
    for (size_t i = 0; bytes && i < len; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint8_t endian_get_u8(struct endian_reader *reader)
{
    return (uint8_t)get_le(reader, 1);
}

uint32_t endian_get_u32(struct endian_reader *reader)
{
    return (uint32_t)get_le(reader, 4);
}

uint64_t endian_get_u64(struct endian_reader *reader)
{
    return get_le(reader, 8);
}

double endian_get_f64(struct endian_reader *reader)
{
    uint64_t bits = get_le(reader, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

const char *endian_get_text(struct endian_reader *reader, size_t *len)
{
    *len = endian_get_u32(reader);
    const char *text = endian_get_bytes(reader, *len);
    if (!text)
        *len = 0;
    return text;
}
