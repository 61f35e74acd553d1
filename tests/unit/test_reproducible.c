/* The same seed gives the same bytes: on any number of threads, alone or beside others. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/rng.h"
#include "core/fit.h"
#include "core/gemm.h"
#include "core/weights.h"
#include "work/team.h"

#define N_MEMBERS    3
#define THREADS_MOST 4

/* --- what is trained -------------------------------------------------------------------- */

/* Rows of a table of noise, with classes that can be learnt from it. */
struct rows {
    float *x;
    float *t;
    float *weights;
};

struct training {
    const char *name;
    size_t n_inputs;
    size_t hidden[2]; /* 0: none */
    size_t n_outputs;
    size_t n_rows, n_validation;
    enum solver solver;
    size_t batch_size, max_iter;
    enum mlp_normalization normalization;
    double dropout;
    double gradient_clip, max_norm, l1;
    bool is_weighted;
    bool is_realmlp; /* NTK, feature scales, fading regularisation, the doctor */
};

static const struct training trainings[] = {
    {.name = "wide, adam with dropout",
     .n_inputs = 784,
     .hidden = {96, 40},
     .n_outputs = 10,
     .n_rows = 380,
     .n_validation = 90,
     .solver = SOLVER_ADAM,
     .batch_size = 200,
     .max_iter = 2,
     .dropout = 0.2},
    {.name = "wide, sgd, clipped",
     .n_inputs = 784,
     .hidden = {70},
     .n_outputs = 10,
     .n_rows = 330,
     .solver = SOLVER_SGD,
     .batch_size = 128,
     .max_iter = 2,
     .gradient_clip = 0.5,
     .max_norm = 2,
     .l1 = 1e-4,
     .is_weighted = true},
    {.name = "wide, lbfgs",
     .n_inputs = 784,
     .hidden = {32},
     .n_outputs = 10,
     .n_rows = 400,
     .solver = SOLVER_LBFGS,
     .max_iter = 3},
    {.name = "wide, batch_norm",
     .n_inputs = 784,
     .hidden = {96, 40},
     .n_outputs = 10,
     .n_rows = 390,
     .n_validation = 100,
     .solver = SOLVER_ADAM,
     .batch_size = 200,
     .max_iter = 2,
     .normalization = MLP_BATCH_NORM},
    {.name = "wide, layer_norm, all rows at once",
     .n_inputs = 300,
     .hidden = {160},
     .n_outputs = 3,
     .n_rows = 500,
     .solver = SOLVER_GD,
     .max_iter = 2,
     .normalization = MLP_LAYER_NORM},
    {.name = "wide, realmlp",
     .n_inputs = 200,
     .hidden = {128, 128},
     .n_outputs = 5,
     .n_rows = 500,
     .n_validation = 100,
     .solver = SOLVER_ADAMW,
     .batch_size = 256,
     .max_iter = 2,
     .dropout = 0.15,
     .is_realmlp = true},
    {.name = "small, adam with dropout",
     .n_inputs = 10,
     .hidden = {16},
     .n_outputs = 3,
     .n_rows = 300,
     .n_validation = 45,
     .solver = SOLVER_ADAM,
     .batch_size = 32,
     .max_iter = 3,
     .dropout = 0.3},
    {.name = "small, sgd",
     .n_inputs = 7,
     .hidden = {100},
     .n_outputs = 2,
     .n_rows = 211,
     .solver = SOLVER_SGD,
     .batch_size = 50,
     .max_iter = 3,
     .is_weighted = true},
    {.name = "small, lbfgs",
     .n_inputs = 4,
     .hidden = {10},
     .n_outputs = 3,
     .n_rows = 150,
     .solver = SOLVER_LBFGS,
     .max_iter = 10},
    {.name = "small, batch_norm",
     .n_inputs = 10,
     .hidden = {24, 12},
     .n_outputs = 3,
     .n_rows = 257,
     .solver = SOLVER_RMSPROP,
     .batch_size = 64,
     .max_iter = 3,
     .normalization = MLP_BATCH_NORM},
};

#define N_TRAININGS (sizeof trainings / sizeof *trainings)

/* Of each training and member: to train on, and behind them to validate on. */
static struct rows all_rows[N_TRAININGS][N_MEMBERS];

static void make_rows(void)
{
    for (size_t k = 0; k < N_TRAININGS; k++) {
        const struct training *training = &trainings[k];
        size_t n = training->n_rows + training->n_validation;
        size_t width = training->n_inputs;
        for (size_t seed = 0; seed < N_MEMBERS; seed++) {
            struct rows *rows = &all_rows[k][seed];
            *rows = (struct rows){calloc(n * width, sizeof(float)),
                                  calloc(n, sizeof(float)), calloc(n, sizeof(float))};
            for (size_t i = 0; i < n; i++) {
                size_t class = rng_bits(seed, RNG_TEST, 1, i) % training->n_outputs;
                rows->t[i] = (float)class;
                rows->weights[i] = (float)(1 + i % 3);
                for (size_t j = 0; j < width; j++)
                    rows->x[i * width + j] =
                        (float)rng_uniform(seed, RNG_TEST, 2, i * width + j) * 3 +
                        (j % training->n_outputs == class ? 0.3F : 0);
            }
        }
    }
}

static int free_rows(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_TRAININGS; k++) {
        for (size_t seed = 0; seed < N_MEMBERS; seed++) {
            free(all_rows[k][seed].x);
            free(all_rows[k][seed].t);
            free(all_rows[k][seed].weights);
        }
    }
    return 0;
}

static struct mlp make_net(const struct training *training, uint64_t seed)
{
    const struct mlp_spec spec = {
        .n_inputs = training->n_inputs,
        .hidden_layer_sizes = training->hidden,
        .n_hidden = training->hidden[1] ? 2 : 1,
        .n_outputs = training->n_outputs,
        .activation = training->is_realmlp ? ACT_SELU : ACT_RELU,
        .output_activation = ACT_SOFTMAX,
        .loss = LOSS_CROSS_ENTROPY,
        .normalization = training->normalization,
        .ntk_parametrization = training->is_realmlp,
        .feature_scale = training->is_realmlp,
    };
    struct mlp mlp = {0};
    struct err err = {0};
    if (mlp_new(&spec, &mlp, &err) == 0)
        mlp_init_weights(&mlp, training->is_realmlp ? MLP_NORMAL : MLP_GLOROT_UNIFORM,
                         1.0, seed);
    return mlp;
}

static struct fit_options options_of(const struct training *training)
{
    struct fit_options options = {
        .optim = {.solver = training->solver,
                  .learning_rate = 0.01,
                  .momentum = 0.9,
                  .nesterov = true,
                  .beta_1 = 0.9,
                  .beta_2 = 0.999,
                  .epsilon = 1e-8,
                  .rho = 0.9,
                  .weight_decay = 0.01},
        .alpha = 1e-4,
        .l1 = training->l1,
        .gradient_clip = training->gradient_clip,
        .max_norm = training->max_norm,
        .batch_size = training->batch_size,
        .max_iter = training->max_iter,
        .n_iter_no_change = training->max_iter,
        .early_stopping = training->n_validation > 0,
        .shuffle = true,
        .seed = 7,
    };
    for (size_t i = 0; i < 2; i++)
        options.dropout[i] = training->hidden[i] ? training->dropout : 0;
    if (training->is_realmlp) {
        options.rate_factor[MLP_SCALES] = 6;
        options.rate_factor[MLP_BIASES] = 0.1;
        options.schedule.schedule = SCHEDULE_COSLOG4;
        options.regularization_schedule = SCHEDULE_SHARE_FLAT_COSINE;
        options.diagnose = true;
    }
    return options;
}

/* --- training, and what came of it ------------------------------------------------------ */

/* A team that is lent to the core, and how often it had something to share. */
struct lent {
    struct team *team;
    atomic_size_t n_runs;
};

static void count_run(void *ctx, void (*task)(void *arg, size_t i), void *arg,
                      size_t n_tasks)
{
    struct lent *lent = ctx;
    atomic_fetch_add(&lent->n_runs, n_tasks > 1);
    team_run(lent->team, task, arg, n_tasks);
}

static bool add_net(struct digest *digest, const struct mlp *mlp)
{
    struct buf weights;
    struct err err = {0};
    buf_init(&weights, SIZE_MAX);
    weights_encode(mlp, &weights);
    bool is_encoded = buf_check(&weights, &err) == 0;
    if (is_encoded)
        digest_add(digest, weights.bytes, weights.len);
    if (mlp->statistics)
        digest_add(digest, mlp->statistics, mlp->n_statistics * sizeof(float));
    buf_clear(&weights);
    return is_encoded;
}

static struct fit_member make_member(size_t k, size_t i, struct mlp *net)
{
    const struct training *training = &trainings[k];
    const struct rows *rows = &all_rows[k][i];
    *net = make_net(training, i);
    return (struct fit_member){
        .mlp = net,
        .train = {rows->x, rows->t, training->n_rows,
                  training->is_weighted ? rows->weights : NULL},
        .validation = {rows->x + training->n_rows * training->n_inputs,
                       rows->t + training->n_rows, training->n_validation, NULL},
        .seed = 7 + i};
}

/* Trains n nets, whose seeds differ, and gives the digest of them and of their losses. Runs
 * on any thread, so it does not fail the test: the text is what went wrong, then. */
static void train(size_t k, size_t n, struct lent *lent, char out[static DIGEST_HEX_SIZE])
{
    const struct fit_options options = options_of(&trainings[k]);
    const struct parallel parallel = {lent, count_run};
    const struct fit_hooks hooks = {.parallel = lent->team ? &parallel : NULL};
    struct mlp nets[N_MEMBERS];
    struct fit_member members[N_MEMBERS];
    struct fit_result result = {0};
    struct err err = {0};
    struct digest digest;
    unsigned char sum[DIGEST_SIZE];

    for (size_t i = 0; i < n; i++)
        members[i] = make_member(k, i, &nets[i]);
    int status = n > 1 ? fit_run_members(members, n, &options, &hooks, &result, &err)
                       : fit_run(nets, &options, &members->train,
                                 members->validation.n_rows ? &members->validation : NULL,
                                 &hooks, &result, &err);
    digest_init(&digest);
    digest_add(&digest, &result.train_loss, sizeof result.train_loss);
    digest_add(&digest, &result.n_iter, sizeof result.n_iter);
    if (members->validation.n_rows)
        digest_add(&digest, &result.validation_loss, sizeof result.validation_loss);
    for (size_t i = 0; i < n; i++) {
        if (status == 0 && !add_net(&digest, &nets[i]))
            status = -1;
        mlp_clear(&nets[i]);
    }
    digest_finish(&digest, sum);
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
    if (status < 0)
        snprintf(out, DIGEST_HEX_SIZE, "failed: %.50s", err.message);
}

static char sha256_alone[N_TRAININGS][DIGEST_HEX_SIZE]; /* without a team */

static int train_alone(void **state)
{
    struct err err = {0};
    (void)state;
    if (gemm_start(&err) < 0)
        return -1;
    make_rows();
    for (size_t k = 0; k < N_TRAININGS; k++)
        train(k, 1, &(struct lent){0}, sha256_alone[k]);
    return 0;
}

static struct team *start(size_t n_threads)
{
    struct team *team = NULL;
    struct err err = {0};
    assert_int_equal(team_start(n_threads, 0, &team, &err), 0);
    return team;
}

static void expect_same(size_t k, const char *alone, const char *shared, size_t n_threads)
{
    if (strncmp(alone, "failed", 6) == 0 || strcmp(alone, shared) != 0)
        fail_msg("%s: %s without a team, %s with %zu threads", trainings[k].name, alone,
                 shared, n_threads);
}

/* --- claims ----------------------------------------------------------------------------- */

static void threads_do_not_change_a_net(void **state)
{
    (void)state;
    char shared[DIGEST_HEX_SIZE];
    for (size_t k = 0; k < N_TRAININGS; k++) {
        struct lent lent = {0};
        for (size_t n_threads = 1; n_threads <= THREADS_MOST; n_threads++) {
            lent.team = start(n_threads);
            train(k, 1, &lent, shared);
            team_stop(lent.team);
            expect_same(k, sha256_alone[k], shared, n_threads);
        }
        /* Or the claim would be an empty one. */
        if (strncmp(trainings[k].name, "wide", 4) == 0 && lent.n_runs == 0)
            fail_msg("%s: nothing was shared", trainings[k].name);
    }
}

static void threads_do_not_change_nets_in_lockstep(void **state)
{
    (void)state;
    char alone[DIGEST_HEX_SIZE];
    char shared[DIGEST_HEX_SIZE];
    for (size_t k = 0; k < N_TRAININGS; k++) {
        if (trainings[k].solver == SOLVER_LBFGS)
            continue;
        struct lent lent = {0};
        train(k, N_MEMBERS, &lent, alone);
        lent.team = start(THREADS_MOST);
        train(k, N_MEMBERS, &lent, shared);
        team_stop(lent.team);
        expect_same(k, alone, shared, THREADS_MOST);
    }
}

struct trainer {
    size_t training;
    struct lent *lent;
    char sha256[DIGEST_HEX_SIZE];
};

static void *train_beside(void *arg)
{
    struct trainer *trainer = arg;
    team_enter(trainer->lent->team);
    train(trainer->training, 1, trainer->lent, trainer->sha256);
    team_leave(trainer->lent->team);
    return NULL;
}

/* Two at a time on one team, the same net (on up to two threads) or different ones. */
static void trainings_beside_each_other_do_not_change_a_net(void **state)
{
    (void)state;
    for (size_t n_threads = 1; n_threads <= THREADS_MOST; n_threads++) {
        struct lent lent = {.team = start(n_threads)};
        for (size_t k = n_threads % 2; k < N_TRAININGS; k += 2) {
            size_t other = n_threads <= 2 ? k : (k + 1) % N_TRAININGS;
            struct trainer trainers[2] = {{k, &lent, ""}, {other, &lent, ""}};
            pthread_t thread;
            assert_int_equal(pthread_create(&thread, NULL, train_beside, trainers), 0);
            train_beside(trainers + 1);
            pthread_join(thread, NULL);
            expect_same(k, sha256_alone[k], trainers[0].sha256, n_threads);
            expect_same(other, sha256_alone[other], trainers[1].sha256, n_threads);
        }
        team_stop(lent.team);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_change_a_net),
        cmocka_unit_test(threads_do_not_change_nets_in_lockstep),
        cmocka_unit_test(trainings_beside_each_other_do_not_change_a_net),
    };
    return cmocka_run_group_tests(tests, train_alone, free_rows);
}
