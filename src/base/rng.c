#include "base/rng.h"

#include <math.h>

__extension__ typedef unsigned __int128 wide; /* 64 x 64 bits */

static void philox_round(uint32_t counter[4], const uint32_t key[2])
{
    uint64_t left = (uint64_t)0xD2511F53U * counter[0];
    uint64_t right = (uint64_t)0xCD9E8D57U * counter[2];
    uint32_t next[4] = {(uint32_t)(right >> 32) ^ counter[1] ^ key[0], (uint32_t)right,
                        (uint32_t)(left >> 32) ^ counter[3] ^ key[1], (uint32_t)left};
    for (int i = 0; i < 4; i++)
        counter[i] = next[i];
}

uint64_t rng_bits(uint64_t seed, enum rng_stream stream, uint64_t epoch, uint64_t index)
{
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)epoch,
                           (uint32_t)stream << 24 ^ (uint32_t)(epoch >> 32)};
    for (int round = 0; round < 10; round++) {
        philox_round(counter, key);
        key[0] += 0x9E3779B9U;
        key[1] += 0xBB67AE85U;
    }
    return (uint64_t)counter[0] | (uint64_t)counter[1] << 32;
}

#define LANES 8 /* counters at a time, for vector units */

static void philox_round_of_lanes(uint32_t counter[4][LANES], const uint32_t key[2])
{
#pragma omp simd
    for (size_t i = 0; i < LANES; i++) {
        uint64_t left = (uint64_t)0xD2511F53U * counter[0][i];
        uint64_t right = (uint64_t)0xCD9E8D57U * counter[2][i];
        counter[0][i] = (uint32_t)(right >> 32) ^ counter[1][i] ^ key[0];
        counter[1][i] = (uint32_t)right;
        counter[2][i] = (uint32_t)(left >> 32) ^ counter[3][i] ^ key[1];
        counter[3][i] = (uint32_t)left;
    }
}

/* As rng_bits, of LANES indices. */
static void fill_lanes(uint64_t seed, enum rng_stream stream, uint64_t epoch,
                       uint64_t index, uint64_t out[LANES])
{
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t counter[4][LANES];
    for (size_t i = 0; i < LANES; i++) {
        counter[0][i] = (uint32_t)(index + i);
        counter[1][i] = (uint32_t)((index + i) >> 32);
        counter[2][i] = (uint32_t)epoch;
        counter[3][i] = (uint32_t)stream << 24 ^ (uint32_t)(epoch >> 32);
    }
    for (int round = 0; round < 10; round++) {
        philox_round_of_lanes(counter, key);
        key[0] += 0x9E3779B9U;
        key[1] += 0xBB67AE85U;
    }
    for (size_t i = 0; i < LANES; i++)
        out[i] = (uint64_t)counter[0][i] | (uint64_t)counter[1][i] << 32;
}

void rng_fill(uint64_t seed, enum rng_stream stream, uint64_t epoch, uint64_t index,
              uint64_t *out, size_t n)
{
    size_t at = 0;
    for (; n - at >= LANES; at += LANES)
        fill_lanes(seed, stream, epoch, index + at, out + at);
    for (; at < n; at++)
        out[at] = rng_bits(seed, stream, epoch, index + at);
}

double rng_uniform(uint64_t seed, enum rng_stream stream, uint64_t epoch, uint64_t index)
{
    return (double)(rng_bits(seed, stream, epoch, index) >> 11) * 0x1p-53;
}

double rng_normal(uint64_t seed, enum rng_stream stream, uint64_t epoch, uint64_t index)
{
    const double two_pi = 6.283185307179586476925;
    double radius = 1.0 - rng_uniform(seed, stream, epoch, 2 * index); /* in (0, 1] */
    double angle = rng_uniform(seed, stream, epoch, 2 * index + 1);
    return sqrt(-2.0 * log(radius)) * cos(two_pi * angle);
}

void rng_shuffle(uint64_t seed, enum rng_stream stream, uint64_t epoch, size_t *items,
                 size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)((wide)rng_bits(seed, stream, epoch, i) * i >> 64);
        size_t item = items[i - 1];
        items[i - 1] = items[j];
        items[j] = item;
    }
}
