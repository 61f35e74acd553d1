/*
 * Our side of bench-core: a coprocess that answers one line on stdout per line on stdin, as
 * peer.py does, so that core.sh can give both their turns.
 *
 *   usage: fit DIR TABLE [MNIST]
 *     Writes the arrays both sides train on into DIR: NAME.x [n_rows x n_inputs] and
 *     NAME.t [n_rows], float32, for "digits" (the first rows of MNIST, whose four files are
 *     in the folder MNIST; made-up ones without it) and "diabetes" (the file TABLE).
 *
 *   fit THREADS NAME SIZES BATCH EPOCHS   → SAMPLES_PER_SECOND GFLOPS of the products, for
 *                                           example "fit 2 digits 256,128 200 4"
 *   accuracy THREADS SIZES BATCH EPOCHS RATE DROPOUT SEED
 *                                         → SHARE SECONDS: of MNIST's test rows that are
 *                                           classified correctly, after training on all others
 *   blas THREADS | gemm THREADS           → GFLOPS of so many threads together, each busy
 *                                           with products of 1024 x 1024 x 1024 of its own,
 *                                           by BLAS or by core/gemm.h
 *   versions                              → core/gemm.h's kernel, the BLAS build and its one
 */
#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/sets.h"
#include "core/fit.h"
#include "core/gemm.h"
#include "core/metric.h"
#include "core/pass.h"
#include "work/team.h"

#define SEED 1
#define SPEED_ROWS                                                                       \
    20000 /* far more than fit into a cache, few enough for several turns */
#define MNIST_TRAIN 60000
#define MNIST_TEST  10000
#define PEAK_SIDE   1024
#define FIT_NS      400000000 /* a turn repeats its fit until this much time is over */
#define PEAK_NS     150000000
#define THREADS_MAX 64

struct task {
    const struct set *set;
    size_t n_rows; /* of the set's, the first */
    size_t n_threads;
    size_t sizes[MLP_LAYERS_MAX];
    size_t n_hidden;
    struct fit_options options;
};

/* --- training --------------------------------------------------------------------------- */

static void new_net(const struct task *task, struct mlp *mlp)
{
    struct err err = {0};
    struct mlp_spec spec = {.n_inputs = task->set->n_inputs,
                            .hidden_layer_sizes = task->sizes,
                            .n_hidden = task->n_hidden,
                            .n_outputs = task->set->n_outputs,
                            .activation = ACT_RELU,
                            .output_activation = task->set->output,
                            .loss = task->set->loss,
                            .loss_options = loss_defaults()};
    if (mlp_new(&spec, mlp, &err) < 0)
        sets_die("net", &err);
    mlp_init_weights(mlp, MLP_GLOROT_UNIFORM, 0.0, task->options.seed);
}

static void train(const struct task *task, struct mlp *mlp)
{
    struct fit_rows rows = {task->set->x, task->set->t, task->n_rows, NULL};
    struct fit_result result = {0};
    struct err err = {0};
    struct team *team = NULL;
    if (task->n_threads > 1 && team_start(task->n_threads, 0, &team, &err) < 0)
        sets_die("team", &err);
    struct parallel parallel = {.ctx = team, .run = team_run};
    struct fit_hooks hooks = {.parallel = team ? &parallel : NULL};
    team_enter(team);
    if (fit_run(mlp, &task->options, &rows, NULL, &hooks, &result, &err) < 0)
        sets_die("fit", &err);
    team_leave(team);
    if (result.n_iter != task->options.max_iter)
        sets_die("the fit stopped early", NULL);
    team_stop(team);
}

/* Products only: forward, the weights' gradient, and the inputs' except in the first layer. */
static double flops_per_sample(const struct task *task)
{
    double flops = 0.0;
    double fan_in = (double)task->set->n_inputs;
    for (size_t l = 0; l <= task->n_hidden; l++) {
        size_t width = l < task->n_hidden ? task->sizes[l] : task->set->n_outputs;
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
        struct mlp mlp = {0};
        new_net(task, &mlp);
        train(task, &mlp);
        mlp_clear(&mlp);
        n_fits++;
        spent = clock_monotonic_ns() - start;
    }
    double samples = (double)(n_fits * task->options.max_iter * task->n_rows);
    printf("%.0f %.2f\n", samples / (double)spent * 1e9,
           samples * flops_per_sample(task) / (double)spent);
}

static double accuracy(const struct mlp *mlp, const struct set *test)
{
    struct err err = {0};
    struct pass *pass = NULL;
    size_t n_right = 0;
    if (pass_new(mlp, test->n_rows, false, &pass, &err) < 0)
        sets_die("pass", &err);
    const float *p = pass_forward(pass, test->x, test->n_rows);
    for (size_t i = 0; i < test->n_rows; i++)
        n_right +=
            metric_argmax(p + i * test->n_outputs, test->n_outputs) == (size_t)test->t[i];
    pass_free(pass);
    return (double)n_right / (double)test->n_rows;
}

static void answer_accuracy(const struct task *task, const struct set *test)
{
    struct mlp mlp = {0};
    int64_t start = clock_monotonic_ns();
    new_net(task, &mlp);
    train(task, &mlp);
    double seconds = (double)(clock_monotonic_ns() - start) / 1e9;
    printf("%.4f %.1f\n", accuracy(&mlp, test), seconds);
    mlp_clear(&mlp);
}

/* --- peak ------------------------------------------------------------------------------- */

struct peak {
    const float *a; /* borrowed [2 x PEAK_SIDE x PEAK_SIDE]; any numbers will do */
    bool is_blas;
    pthread_barrier_t *barrier;
    double gflops;
};

/* c = a b, by gemm with the packing of b into `packed`, as BLAS packs too. */
static void multiply(bool is_blas, const float *a, float *packed, float *c)
{
    const size_t n = PEAK_SIDE;
    const float *b = a + n * n;
    if (is_blas) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0F, a, n, b, n,
                    0.0F, c, n);
        return;
    }
    const struct gemm_part all = {0, n, 0, n, false};
    gemm_pack(packed, n, n, &(struct gemm_view){b, n, 1}, 1.0F, &all);
    gemm_run(&(struct gemm_view){a, n, 1}, n, packed, n, n, NULL, c, n);
}

static void *find_peak(void *arg)
{
    const size_t n = PEAK_SIDE;
    struct peak *peak = arg;
    float *packed = sets_new_floats(gemm_packed_len(n, n));
    float *c = sets_new_floats(n * n);
    size_t n_products = 0;
    int64_t spent = 0;
    multiply(peak->is_blas, peak->a, packed, c); /* warms up */
    pthread_barrier_wait(peak->barrier);
    int64_t start = clock_monotonic_ns();
    while (spent < PEAK_NS) {
        multiply(peak->is_blas, peak->a, packed, c);
        n_products++;
        spent = clock_monotonic_ns() - start;
    }
    peak->gflops = 2.0 * (double)(n * n * n) * (double)n_products / (double)spent;
    free(c);
    free(packed);
    return NULL;
}

static void answer_peak(const struct set *set, bool is_blas, size_t n_threads)
{
    pthread_t threads[THREADS_MAX];
    struct peak peaks[THREADS_MAX];
    pthread_barrier_t barrier;
    double gflops = 0.0;
    if (n_threads < 1 || n_threads > THREADS_MAX ||
        pthread_barrier_init(&barrier, NULL, (unsigned)n_threads) != 0)
        sets_die("peak", NULL);
    for (size_t i = 0; i < n_threads; i++) {
        peaks[i] = (struct peak){.a = set->x, .is_blas = is_blas, .barrier = &barrier};
        if (pthread_create(&threads[i], NULL, find_peak, &peaks[i]) != 0)
            sets_die("thread", NULL);
    }
    for (size_t i = 0; i < n_threads; i++) {
        pthread_join(threads[i], NULL);
        gflops += peaks[i].gflops;
    }
    pthread_barrier_destroy(&barrier);
    printf("%.2f\n", gflops);
}

/* --- lines ------------------------------------------------------------------------------ */

/* scikit-learn's defaults; tol 0 and this patience: no side stops early. */
static struct fit_options plain_options(size_t batch_size, size_t n_epochs)
{
    return (struct fit_options){.optim = {.solver = SOLVER_ADAM,
                                          .learning_rate = 0.001,
                                          .beta_1 = 0.9,
                                          .beta_2 = 0.999,
                                          .epsilon = 1e-8},
                                .alpha = 0.0001,
                                .batch_size = batch_size,
                                .max_iter = n_epochs,
                                .n_iter_no_change = n_epochs,
                                .shuffle = true,
                                .seed = SEED};
}

static void read_sizes(const char *at, struct task *task)
{
    while (*at && task->n_hidden < MLP_LAYERS_MAX - 1) {
        char *end;
        task->sizes[task->n_hidden++] = strtoul(at, &end, 10);
        if (end == at)
            sets_die("cannot read the sizes", NULL);
        at = end + (*end == ',');
    }
}

static void read_fit(const char *line, const struct set sets[2], struct task *task)
{
    char name[32];
    char sizes[128];
    size_t n_threads;
    size_t batch_size;
    size_t n_epochs;
    if (sscanf(line, "fit %zu %31s %127s %zu %zu", &n_threads, name, sizes, &batch_size,
               &n_epochs) != 5)
        sets_die("cannot read the task", NULL);
    *task = (struct task){.set = strcmp(name, sets[0].name) == 0 ? &sets[0] : &sets[1],
                          .n_threads = n_threads,
                          .options = plain_options(batch_size, n_epochs)};
    task->n_rows = task->set->n_rows < SPEED_ROWS ? task->set->n_rows : SPEED_ROWS;
    read_sizes(sizes, task);
}

static void read_accuracy(const char *line, const struct set *train, struct task *task)
{
    char sizes[128];
    size_t n_threads;
    size_t batch_size;
    size_t n_epochs;
    size_t seed;
    double rate;
    double dropout;
    if (sscanf(line, "accuracy %zu %127s %zu %zu %lf %lf %zu", &n_threads, sizes,
               &batch_size, &n_epochs, &rate, &dropout, &seed) != 7)
        sets_die("cannot read the task", NULL);
    *task = (struct task){.set = train,
                          .n_rows = train->n_rows,
                          .n_threads = n_threads,
                          .options = plain_options(batch_size, n_epochs)};
    read_sizes(sizes, task);
    task->options.optim.learning_rate = rate;
    task->options.schedule.schedule = SCHEDULE_ONE_CYCLE;
    for (size_t l = 0; l < task->n_hidden; l++)
        task->options.dropout[l] = dropout;
    task->options.seed = seed;
}

/* sets: digits, diabetes, and the digits to test with. */
static void answer(const char *line, const struct set sets[3])
{
    struct task task;
    size_t n_threads;
    if (strncmp(line, "fit ", 4) == 0) {
        read_fit(line, sets, &task);
        answer_fit(&task);
    } else if (strncmp(line, "accuracy ", 9) == 0) {
        read_accuracy(line, &sets[0], &task);
        answer_accuracy(&task, &sets[2]);
    } else if (sscanf(line, "blas %zu", &n_threads) == 1) {
        answer_peak(&sets[0], true, n_threads);
    } else if (sscanf(line, "gemm %zu", &n_threads) == 1) {
        answer_peak(&sets[0], false, n_threads);
    } else {
        printf("kernel %s; %s, kernel %s\n", gemm_kernel(), openblas_get_config(),
               openblas_get_corename());
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct set sets[3] = {0};
    char line[256];
    if (argc != 3 && argc != 4)
        sets_die("usage: fit DIR TABLE [MNIST]", NULL);
    if (gemm_start(&err) < 0)
        sets_die("gemm", &err);
    sets[0] =
        argc == 4 ? sets_mnist(argv[3], "train", MNIST_TRAIN) : sets_made_up(SPEED_ROWS);
    sets[1] = sets_regression(argv[2]);
    if (argc == 4)
        sets[2] = sets_mnist(argv[3], "t10k", MNIST_TEST);
    for (size_t i = 0; i < 2; i++)
        sets_write(&sets[i], argv[1], SPEED_ROWS);
    while (fgets(line, sizeof line, stdin))
        answer(line, sets);
    for (size_t i = 0; i < 3; i++)
        sets_clear(&sets[i]);
    return 0;
}
