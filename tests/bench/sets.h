/*
 * sets: the tables that the benches train on. Anything that goes wrong ends the program with
 * a sentence on stderr: nobody is served by a bench that goes on.
 */
#ifndef BENCH_SETS_H
#define BENCH_SETS_H

#include <stddef.h>

#include "base/err.h"
#include "core/act.h"
#include "core/loss.h"

struct set {
    const char *name;
    size_t n_rows;
    size_t n_inputs;
    size_t n_outputs;
    enum loss loss;
    enum act output;
    float *x; /* owned [n_rows x n_inputs] */
    float *t; /* owned [n_rows] */
};

/* Prints "WHAT: the error's message" and exits; err may be NULL. */
_Noreturn void sets_die(const char *what, const struct err *err);

/* Zeroed, owned by the caller. */
float *sets_new_floats(size_t n);

/* n_rows made-up rows of 784 numbers in [0, 1] in ten classes; says nothing about accuracy. */
struct set sets_made_up(size_t n_rows);

/* DIR/PART-images-idx3-ubyte and DIR/PART-labels-idx1-ubyte, as MNIST comes (LeCun et al.
 * 1998), pixels divided by 255; part is "train" or "t10k" and has to have n_rows rows. */
struct set sets_mnist(const char *dir, const char *part, size_t n_rows);

/* A CSV file of numbers whose last column is the target; every column becomes z-scores. */
struct set sets_regression(const char *path);

/* Writes NAME.x and NAME.t of the first n_rows rows (at most all) into the folder, float32. */
void sets_write(const struct set *set, const char *dir, size_t n_rows);

void sets_clear(struct set *set);

#endif
