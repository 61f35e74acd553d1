/*
 * split: which rows train, which validate, which are held out. Seeded (counter-based, no
 * state), stratified when classes are given: each class is divided in the same proportions,
 * and a class with one row stays in training. Rows without a target are in no part.
 */
#ifndef TABLE_SPLIT_H
#define TABLE_SPLIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct split {
    size_t *rows; /* owned: train, then validation, then test rows; ascending in each */
    size_t n_train;
    size_t n_validation;
    size_t n_test;
};

/*
 * Divides the n given row indices. classes [n] (NULL: not stratified) are class indices
 * below n_classes. Fractions are of n, in [0, 1), their sum below 1; a part with a fraction
 * over 0 gets at least one row when n > 2 allows it, and training always at least one.
 */
int split_rows(struct split *split, const size_t *rows, const uint32_t *classes, size_t n,
               size_t n_classes, double validation_fraction, double test_fraction,
               uint64_t seed, struct err *err);
void split_clear(struct split *split);

const size_t *split_validation(const struct split *split); /* borrowed */
const size_t *split_test(const struct split *split);       /* borrowed */

#endif
