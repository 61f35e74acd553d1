/*
 * periodic: learnt periodic embeddings of numeric inputs (Gorishniy, Rubachev and Babenko,
 * NeurIPS 2022; this form, "PBLD", after Holzmüller et al., NeurIPS 2024). An embedded input x
 * stays as it is and adds `width` columns
 *
 *   e = cos(2π w x + b) V + v      w, b [m], V [m x width], v [width]
 *
 * with w, b, V, v of its own. Row-major float32. Thread-safe: there is no state.
 */
#ifndef CORE_PERIODIC_H
#define CORE_PERIODIC_H

#include <stddef.h>
#include <stdint.h>

#define PERIODIC_FREQUENCIES_MAX 256
#define PERIODIC_WIDTH_MAX       64

struct periodic {
    size_t n_inputs;      /* columns of x */
    size_t n;             /* inputs that are embedded; 0: none */
    const size_t *inputs; /* borrowed [n], rising: which */
    size_t n_frequencies; /* m, 1 to PERIODIC_FREQUENCIES_MAX */
    size_t width;         /* 1 to PERIODIC_WIDTH_MAX */
};

/* Columns after embedding: the n_inputs, then `width` of each embedded input in turn. */
size_t periodic_n_columns(const struct periodic *periodic);

/* Parameters of one embedded input, which lie together: w, b, V, v. */
size_t periodic_n_parameters(const struct periodic *periodic);

/* Fills parameters [n · periodic_n_parameters]: w ~ N(0, frequency_scale²), b ~ U(−π, π),
 * V and v ~ U(±1/√m); from (seed, RNG_INIT). */
void periodic_init(const struct periodic *periodic, double frequency_scale, uint64_t seed,
                   float *parameters);

/* out [n_rows x periodic_n_columns] from x [n_rows x n_inputs]. */
void periodic_forward(const struct periodic *periodic, const float *parameters,
                      const float *x, size_t n_rows, float *out);

/* What comes down to all rows of a batch. */
struct periodic_slopes {
    const float *x;     /* [n_rows x n_inputs] */
    const float *slope; /* ∂loss/∂(columns ∘ scales) [n_rows x periodic_n_columns] */
    const float *scales; /* [periodic_n_columns]; NULL: all 1 */
    size_t n_rows;
};

/* The gradient [periodic_n_parameters] of embedded input i's parameters (which start at
 * `parameters`), overwritten; summed in float64. */
void periodic_gradient(const struct periodic *periodic, size_t i, const float *parameters,
                       const struct periodic_slopes *slopes, float *gradient);

#endif
