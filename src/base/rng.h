/*
 * rng: counter-based random numbers (Philox4x32-10; Salmon, Moraes, Dror and Shaw, SC 2011).
 * A number is a pure function of (seed, stream, epoch, index), so neither thread count, nor
 * order of use, nor a resume changes a result. Thread-safe: there is no state. Not for
 * secrets.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* Independent uses of one seed. Values are part of the saved format: never renumber. */
enum rng_stream {
    RNG_INIT = 1,
    RNG_SHUFFLE = 2,
    RNG_SPLIT = 3,
    RNG_DROPOUT = 4,
    RNG_TEST = 15
};

/* 64 random bits. */
uint64_t rng_bits(uint64_t seed, enum rng_stream stream, uint64_t epoch, uint64_t index);

/* out [n] = rng_bits of index, index + 1 …, in less time. */
void rng_fill(uint64_t seed, enum rng_stream stream, uint64_t epoch, uint64_t index,
              uint64_t *out, size_t n);

/* Uniform in [0, 1) with 53 bits. */
double rng_uniform(uint64_t seed, enum rng_stream stream, uint64_t epoch, uint64_t index);

/* Standard normal (Box and Muller 1958); one index gives one number. */
double rng_normal(uint64_t seed, enum rng_stream stream, uint64_t epoch, uint64_t index);

/* Permutes items [n] in place (Fisher and Yates; Durstenfeld 1964). Each draw is a multiply
 * and shift of 64 bits, whose bias is below n/2^64. */
void rng_shuffle(uint64_t seed, enum rng_stream stream, uint64_t epoch, size_t *items,
                 size_t n);

#endif
