#include "bench/sets.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "table/cells.h"
#include "table/csv.h"

#define SEED          1
#define DIGITS_INPUTS 784
#define CLASSES       10
#define FILE_MAX      ((size_t)1 << 26)
#define IMAGES_AT     16 /* bytes of header before the pixels */
#define LABELS_AT     8  /* and before the labels */

_Noreturn void sets_die(const char *what, const struct err *err)
{
    fprintf(stderr, "bench: %s: %s\n", what, err ? err->message : "failed");
    exit(1);
}

float *sets_new_floats(size_t n)
{
    struct err err = {0};
    float *floats = mem_new(n, sizeof *floats, &err);
    if (!floats)
        sets_die("memory", &err);
    return floats;
}

static struct set new_digits(size_t n_rows)
{
    return (struct set){"digits",
                        n_rows,
                        DIGITS_INPUTS,
                        CLASSES,
                        LOSS_CROSS_ENTROPY,
                        ACT_SOFTMAX,
                        sets_new_floats(n_rows * DIGITS_INPUTS),
                        sets_new_floats(n_rows)};
}

/* Each class has a prototype that its rows lean to a little, and a tenth of the labels is
 * wrong, so that the loss stays away from 0 and the gradients from denormals. */
struct set sets_made_up(size_t n_rows)
{
    struct set set = new_digits(n_rows);
    for (size_t i = 0; i < set.n_rows; i++) {
        uint64_t bits = rng_bits(SEED, RNG_TEST, 0, i);
        size_t class = bits % CLASSES;
        bool is_wrong = (bits >> 32) % 10 == 0;
        for (size_t j = 0; j < set.n_inputs; j++) {
            double prototype = rng_uniform(SEED, RNG_TEST, 1 + class, j);
            double noise = rng_uniform(SEED, RNG_TEST, 100 + i, j);
            set.x[i * set.n_inputs + j] = (float)(0.1 * prototype + 0.9 * noise);
        }
        set.t[i] = (float)(is_wrong ? (bits >> 16) % CLASSES : class);
    }
    return set;
}

/* buf is not initialised yet; the caller clears it. */
static void read_file(const char *path, struct buf *buf)
{
    char chunk[1 << 14];
    size_t n;
    FILE *file = fopen(path, "rb");
    if (!file)
        sets_die(path, NULL);
    buf_init(buf, FILE_MAX);
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
        buf_put(buf, chunk, n);
    fclose(file);
}

/* An IDX file of n_rows x 28 x 28 or n_rows bytes, its header checked against `sizes` (all
 * big-endian: magic, then the length of each dimension). */
static void read_idx(const char *dir, const char *part, const char *suffix,
                     const uint32_t *sizes, size_t n_sizes, size_t len, struct buf *buf)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s-%s", dir, part, suffix);
    read_file(path, buf);
    const unsigned char *bytes = (const unsigned char *)buf->bytes;
    if (buf->len != 4 * n_sizes + len)
        sets_die(path, NULL);
    for (size_t i = 0; i < n_sizes; i++) {
        const unsigned char *at = bytes + 4 * i;
        uint32_t size = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
                        (uint32_t)at[2] << 8 | (uint32_t)at[3];
        if (size != sizes[i])
            sets_die(path, NULL);
    }
}

struct set sets_mnist(const char *dir, const char *part, size_t n_rows)
{
    const uint32_t images[] = {0x803, (uint32_t)n_rows, 28, 28};
    const uint32_t labels[] = {0x801, (uint32_t)n_rows};
    struct set set = new_digits(n_rows);
    struct buf x;
    struct buf t;
    read_idx(dir, part, "images-idx3-ubyte", images, 4, n_rows * DIGITS_INPUTS, &x);
    read_idx(dir, part, "labels-idx1-ubyte", labels, 2, n_rows, &t);
    for (size_t i = 0; i < n_rows * DIGITS_INPUTS; i++)
        set.x[i] = (float)(unsigned char)x.bytes[IMAGES_AT + i] / 255.0F;
    for (size_t i = 0; i < n_rows; i++) {
        unsigned char class = (unsigned char)t.bytes[LABELS_AT + i];
        if (class >= CLASSES)
            sets_die("a label is not a digit", NULL);
        set.t[i] = (float)class;
    }
    buf_clear(&t);
    buf_clear(&x);
    return set;
}

/* Column `column` as z-scores into every `stride`-th place of out. */
static void standardise(const struct cells *cells, size_t column, float *out,
                        size_t stride)
{
    double sum = 0.0;
    double squares = 0.0;
    double n = (double)cells->n_rows;
    for (size_t i = 0; i < 2 * cells->n_rows; i++) {
        size_t row = i % cells->n_rows;
        double value = 0.0;
        size_t len;
        const char *text = cells_get(cells, row, column, &len);
        if (!cells_number(text, len, &value))
            sets_die("a cell is not a number", NULL);
        if (i < cells->n_rows) {
            sum += value;
            squares += value * value;
        } else {
            double mean = sum / n;
            out[row * stride] = (float)((value - mean) / sqrt(squares / n - mean * mean));
        }
    }
}

struct set sets_regression(const char *path)
{
    struct err err = {0};
    struct cells cells;
    struct buf buf;
    read_file(path, &buf);
    cells_init(&cells, FILE_MAX);
    if (csv_read(buf.bytes, buf.len, ',', &cells, &err) < 0)
        sets_die(path, &err);
    if (cells.n_rows == 0)
        sets_die("the table is empty", NULL);

    size_t k = cells.n_columns - 1;
    struct set set = {"diabetes",
                      cells.n_rows,
                      k,
                      1,
                      LOSS_SQUARED_ERROR,
                      ACT_IDENTITY,
                      sets_new_floats(cells.n_rows * k),
                      sets_new_floats(cells.n_rows)};
    for (size_t j = 0; j < k; j++)
        standardise(&cells, j, set.x + j, k);
    standardise(&cells, k, set.t, 1);
    cells_clear(&cells);
    buf_clear(&buf);
    return set;
}

static void write_floats(const char *dir, const char *name, const char *suffix,
                         const float *floats, size_t n)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.%s", dir, name, suffix);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(floats, sizeof *floats, n, file) != n || fclose(file) != 0)
        sets_die(path, NULL);
}

void sets_write(const struct set *set, const char *dir, size_t n_rows)
{
    size_t n = n_rows < set->n_rows ? n_rows : set->n_rows;
    write_floats(dir, set->name, "x", set->x, n * set->n_inputs);
    write_floats(dir, set->name, "t", set->t, n);
}

void sets_clear(struct set *set)
{
    free(set->x);
    free(set->t);
    *set = (struct set){0};
}
