/*
 * Our side of the training bench: a coprocess that answers one line on stdout per line on
 * stdin, as peer.py does, so that run.sh can give both their turns.
 *
 *   usage: fit DIR TABLE
 *     Writes the arrays both sides train on into DIR: NAME.x [n_rows x n_inputs] and
 *     NAME.t [n_rows], float32, for "digits" (10,000 made-up rows of 784 numbers in ten
 *     classes) and "diabetes" (the file TABLE, every column standardised).
 *
 *   fit NAME SIZES BATCH EPOCHS   → SAMPLES_PER_SECOND GFLOPS, for example
 *                                   "fit digits 256,128 200 4"
 *   peak                          → GFLOPS of one thread in a 1024 x 1024 x 1024 sgemm
 *   blas                          → the BLAS build and the kernel it picked
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/fit.h"
#include "core/gemm.h"
#include "table/cells.h"
#include "table/csv.h"

#define SEED          1
#define DIGITS_ROWS   10000
#define DIGITS_INPUTS 784
#define CLASSES       10
#define PEAK_SIDE     1024
#define FIT_NS        400000000 /* a turn repeats its fit until this much time is over */
#define PEAK_NS       150000000

struct data {
    const char *name;
    size_t n_rows;
    size_t n_inputs;
    size_t n_outputs;
    enum loss loss;
    enum act output;
    float *x; /* owned [n_rows x n_inputs] */
    float *t; /* owned [n_rows] */
};

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "bench fit: %s: %s\n", what, err ? err->message : "failed");
    exit(1);
}

static float *new_floats(size_t n)
{
    struct err err = {0};
    float *floats = mem_new(n, sizeof *floats, &err);
    if (!floats)
        die("memory", &err);
    return floats;
}

/* --- data ------------------------------------------------------------------------------- */

/* Each class has a prototype that its rows lean to a little, and a tenth of the labels is
 * wrong, so that the loss stays away from 0 and the gradients from denormals. */
static struct data make_digits(void)
{
    struct data data = {"digits",
                        DIGITS_ROWS,
                        DIGITS_INPUTS,
                        CLASSES,
                        LOSS_CROSS_ENTROPY,
                        ACT_SOFTMAX,
                        new_floats((size_t)DIGITS_ROWS * DIGITS_INPUTS),
                        new_floats(DIGITS_ROWS)};
    for (size_t i = 0; i < data.n_rows; i++) {
        uint64_t bits = rng_bits(SEED, RNG_TEST, 0, i);
        size_t class = bits % CLASSES;
        bool is_wrong = (bits >> 32) % 10 == 0;
        for (size_t j = 0; j < data.n_inputs; j++) {
            double prototype = rng_uniform(SEED, RNG_TEST, 1 + class, j);
            double noise = rng_uniform(SEED, RNG_TEST, 100 + i, j);
            data.x[i * data.n_inputs + j] = (float)(0.1 * prototype + 0.9 * noise);
        }
        data.t[i] = (float)(is_wrong ? (bits >> 16) % CLASSES : class);
    }
    return data;
}

static void read_file(const char *path, struct buf *buf)
{
    char chunk[4096];
    size_t n;
    FILE *file = fopen(path, "rb");
    if (!file)
        die(path, NULL);
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
        buf_put(buf, chunk, n);
    fclose(file);
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
            die("a cell is not a number", NULL);
        if (i < cells->n_rows) {
            sum += value;
            squares += value * value;
        } else {
            double mean = sum / n;
            out[row * stride] = (float)((value - mean) / sqrt(squares / n - mean * mean));
        }
    }
}

static struct data read_diabetes(const char *path)
{
    struct err err = {0};
    struct cells cells;
    struct buf buf;
    buf_init(&buf, 1 << 24);
    read_file(path, &buf);
    cells_init(&cells, 1 << 24);
    if (csv_read(buf.bytes, buf.len, ',', &cells, &err) < 0)
        die(path, &err);
    if (cells.n_rows == 0)
        die("the table is empty", NULL);

    size_t k = cells.n_columns - 1;
    struct data data = {"diabetes",
                        cells.n_rows,
                        k,
                        1,
                        LOSS_SQUARED_ERROR,
                        ACT_IDENTITY,
                        new_floats(cells.n_rows * k),
                        new_floats(cells.n_rows)};
    for (size_t j = 0; j < k; j++)
        standardise(&cells, j, data.x + j, k);
    standardise(&cells, k, data.t, 1);
    cells_clear(&cells);
    buf_clear(&buf);
    return data;
}

static void write_floats(const char *dir, const char *name, const char *suffix,
                         const float *floats, size_t n)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.%s", dir, name, suffix);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(floats, sizeof *floats, n, file) != n || fclose(file) != 0)
        die(path, NULL);
}

/* --- work ------------------------------------------------------------------------------- */

struct task {
    const struct data *data;
    size_t sizes[MLP_LAYERS_MAX];
    size_t n_hidden;
    struct fit_options options;
};

/* One fit from fresh weights, as a caller of the core would run it. */
static void fit_once(const struct task *task)
{
    const struct data *data = task->data;
    struct mlp_spec spec = {data->n_inputs, task->sizes,  task->n_hidden, data->n_outputs,
                            ACT_RELU,       data->output, data->loss};
    struct fit_rows rows = {data->x, data->t, data->n_rows, NULL};
    struct fit_result result = {0};
    struct err err = {0};
    struct mlp mlp = {0};
    if (mlp_new(&spec, &mlp, &err) < 0)
        die("net", &err);
    mlp_init_weights(&mlp, MLP_GLOROT_UNIFORM, 0.0, SEED);
    if (fit_run(&mlp, &task->options, &rows, NULL, NULL, &result, &err) < 0)
        die("fit", &err);
    if (result.n_iter != task->options.max_iter)
        die("the fit stopped early", NULL);
    mlp_clear(&mlp);
}

/* Products only: forward, the weights' gradient, and the inputs' except in the first layer. */
static double flops_per_sample(const struct task *task)
{
    double flops = 0.0;
    double fan_in = (double)task->data->n_inputs;
    for (size_t l = 0; l <= task->n_hidden; l++) {
        size_t width = l < task->n_hidden ? task->sizes[l] : task->data->n_outputs;
        flops += (l == 0 ? 4.0 : 6.0) * fan_in * (double)width;
        fan_in = (double)width;
    }
    return flops;
}

static void answer_fit(const struct task *task)
{
    size_t n_fits = 0;
    int64_t start = clock_monotonic_ns();
    int64_t spent = 0;
    while (spent < FIT_NS) {
        fit_once(task);
        n_fits++;
        spent = clock_monotonic_ns() - start;
    }
    double samples = (double)(n_fits * task->options.max_iter * task->data->n_rows);
    printf("%.0f %.2f\n", samples / (double)spent * 1e9,
           samples * flops_per_sample(task) / (double)spent);
}

static void answer_peak(const struct data *data)
{
    /* Any numbers will do; the digits are there. */
    const size_t n = (size_t)PEAK_SIDE * PEAK_SIDE;
    float *c = new_floats(n);
    size_t n_products = 0;
    int64_t start = 0;
    int64_t spent = 0;
    while (spent < PEAK_NS) {
        mat_mul(data->x, data->x + n, c, PEAK_SIDE, PEAK_SIDE, PEAK_SIDE);
        if (start)
            n_products++;
        else
            start = clock_monotonic_ns(); /* the first one only warms up */
        spent = clock_monotonic_ns() - start;
    }
    printf("%.2f\n", 2.0 * (double)n * PEAK_SIDE * (double)n_products / (double)spent);
    free(c);
}

static void read_task(const char *line, const struct data *sets, struct task *task)
{
    char name[32] = "";
    char sizes[128] = "";
    char batch[16] = "";
    char epochs[16] = "";
    char *at = sizes;
    if (sscanf(line, "fit %31s %127s %15s %15s", name, sizes, batch, epochs) != 4)
        die("cannot read the task", NULL);
    *task = (struct task){.data = strcmp(name, sets[0].name) == 0 ? &sets[0] : &sets[1]};
    while (*at && task->n_hidden < MLP_LAYERS_MAX - 1) {
        task->sizes[task->n_hidden++] = strtoul(at, &at, 10);
        at += *at == ',';
    }
    /* scikit-learn's defaults; tol 0 and this patience: no side stops early. */
    task->options = (struct fit_options){.optim = {.solver = SOLVER_ADAM,
                                                   .learning_rate = 0.001,
                                                   .beta_1 = 0.9,
                                                   .beta_2 = 0.999,
                                                   .epsilon = 1e-8},
                                         .alpha = 0.0001,
                                         .batch_size = strtoul(batch, NULL, 10),
                                         .max_iter = strtoul(epochs, NULL, 10),
                                         .n_iter_no_change = strtoul(epochs, NULL, 10),
                                         .shuffle = true,
                                         .seed = SEED};
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct task task;
    char line[256];
    if (argc != 3)
        die("usage: fit DIR TABLE", NULL);
    if (gemm_start(&err) < 0)
        die("blas", &err);
    struct data sets[2] = {make_digits(), read_diabetes(argv[2])};
    for (size_t i = 0; i < 2; i++) {
        write_floats(argv[1], sets[i].name, "x", sets[i].x,
                     sets[i].n_rows * sets[i].n_inputs);
        write_floats(argv[1], sets[i].name, "t", sets[i].t, sets[i].n_rows);
    }
    while (fgets(line, sizeof line, stdin)) {
        if (strncmp(line, "fit ", 4) == 0) {
            read_task(line, sets, &task);
            answer_fit(&task);
        } else if (strcmp(line, "peak\n") == 0) {
            answer_peak(&sets[0]);
        } else {
            printf("%s, kernel %s\n", mat_config(), mat_kernel());
        }
        fflush(stdout);
    }
    for (size_t i = 0; i < 2; i++) {
        free(sets[i].x);
        free(sets[i].t);
    }
    return 0;
}
