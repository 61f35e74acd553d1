/* A fit that is saved and continued, and fits of several nets: the same bytes as without. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/fit.h"
#include "core/gemm.h"
#include "core/pass.h"

#define ROWS   90
#define INPUTS 6
#define NETS   3

static float x[ROWS * INPUTS];
static float classes[ROWS];
static float weights[ROWS];

/* A kind of fit: what its net and options have beside the plain ones. */
struct kind {
    const char *name;
    enum solver solver;
    enum mlp_normalization normalization;
    bool
        is_strong; /* NTK, scales, embeddings, dropout, decay that fades, weights, early stopping */
    enum schedule schedule;
    size_t batch_size;
};

static const struct kind kinds[] = {
    {"adam", SOLVER_ADAM, MLP_NORMALIZATION_NONE, false, SCHEDULE_CONSTANT, 16},
    {"adaptive sgd", SOLVER_SGD, MLP_LAYER_NORM, false, SCHEDULE_ADAPTIVE, 16},
    {"gd", SOLVER_GD, MLP_NORMALIZATION_NONE, false, SCHEDULE_INVSCALING, 0},
    {"rmsprop", SOLVER_RMSPROP, MLP_BATCH_NORM, true, SCHEDULE_COSINE, 7},
    {"adamw", SOLVER_ADAMW, MLP_BATCH_NORM, true, SCHEDULE_COSLOG4, 16},
    {"lbfgs", SOLVER_LBFGS, MLP_LAYER_NORM, false, SCHEDULE_CONSTANT, 0},
};

#define N_KINDS (sizeof kinds / sizeof *kinds)

static size_t hidden[] = {11, 50};

static struct mlp make_net(const struct kind *kind, uint64_t seed)
{
    static const size_t inputs[] = {1, 4, 5};
    const struct mlp_spec spec = {
        .n_inputs = INPUTS,
        .hidden_layer_sizes = hidden,
        .n_hidden = 2,
        .n_outputs = 3,
        .activation = ACT_MISH,
        .output_activation = ACT_SOFTMAX,
        .loss = LOSS_CROSS_ENTROPY,
        .loss_options = loss_defaults(),
        .normalization = kind->normalization,
        .ntk_parametrization = kind->is_strong,
        .feature_scale = kind->is_strong,
        .periodic = {.n = kind->is_strong ? 3 : 0,
                     .inputs = inputs,
                     .n_frequencies = 8,
                     .width = 3},
    };
    struct mlp mlp;
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    mlp_init_weights(&mlp, MLP_HE_NORMAL, 0.0, seed);
    mlp_init_embeddings(&mlp, 0.5, seed);
    return mlp;
}

static struct fit_options options_of(const struct kind *kind, size_t max_iter)
{
    struct fit_options options = {
        .optim = {.solver = kind->solver,
                  .learning_rate = 0.02,
                  .momentum = 0.9,
                  .beta_1 = 0.9,
                  .beta_2 = 0.95,
                  .epsilon = 1e-8,
                  .rho = 0.9},
        .schedule = {.schedule = kind->schedule, .power_t = 0.5},
        .alpha = 1e-3,
        .batch_size = kind->batch_size,
        .max_iter = max_iter,
        .tol = 1e-2,
        .n_iter_no_change = 2,
        .shuffle = true,
        .diagnose = true,
        .seed = 5,
    };
    if (kind->solver != SOLVER_SGD)
        options.n_iter_no_change = 1000;
    if (kind->is_strong) {
        options.optim.weight_decay = 0.02;
        options.dropout[0] = options.dropout[1] = 0.2;
        options.early_stopping = true;
        options.regularization_schedule = SCHEDULE_SHARE_FLAT_COSINE;
        options.rate_factor[MLP_SCALES] = 6.0;
        options.rate_factor[MLP_BIASES] = 0.1;
        options.rate_factor[MLP_EMBEDDINGS] = 0.5;
        options.gradient_clip = 1.0;
    }
    return options;
}

static const struct fit_rows train = {x, classes, 60, NULL};
static const struct fit_rows weighted = {x, classes, 60, weights};
static const struct fit_rows validation = {x + 60 * INPUTS, classes + 60, 30, NULL};

static const struct fit_rows *rows_of(const struct kind *kind)
{
    return kind->is_strong ? &weighted : &train;
}

/* Saves after one epoch, and remembers the epochs that it saw. */
struct record {
    size_t save_after; /* 0: never */
    struct buf saved;
    size_t n_epochs;
    double losses[64]; /* of epoch e at e */
    size_t n_findings;
};

static bool on_epoch(void *ctx, const struct fit_progress *progress)
{
    struct record *record = ctx;
    assert_true(progress->epoch < 64);
    record->n_epochs++;
    record->losses[progress->epoch] = progress->train_loss;
    record->n_findings += progress->n_findings;
    if (progress->epoch != record->save_after)
        return true;
    fit_save(progress->fit, &record->saved);
    return false; /* as a process that ends */
}

static void assert_same_net(const struct mlp *a, const struct mlp *b)
{
    assert_memory_equal(a->parameters, b->parameters,
                        a->n_parameters * sizeof *a->parameters);
    if (a->n_statistics > 0)
        assert_memory_equal(a->statistics, b->statistics,
                            a->n_statistics * sizeof *a->statistics);
}

static void continued_fit_ends_as_one_that_was_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KINDS; i++) {
        const struct kind *kind = &kinds[i];
        struct mlp whole = make_net(kind, 1);
        struct record once = {0};
        struct fit_options options = options_of(kind, 20);
        struct fit_hooks hooks = {.ctx = &once, .on_epoch = on_epoch};
        struct fit_result result = {0};
        struct err err = {0};
        assert_int_equal(
            fit_run(&whole, &options, rows_of(kind), &validation, &hooks, &result, &err),
            0);
        struct record twice = {0};
        hooks.ctx = &twice;
        size_t stops[] = {1, 4, 5, 9};
        struct mlp part = {0};
        for (size_t stop = 0; stop < 5; stop++) {
            struct buf before = twice.saved;
            mlp_clear(&part); /* a new process starts from first weights again */
            part = make_net(kind, 1);
            buf_init(&twice.saved, SIZE_MAX / 4);
            twice.save_after = stop < 4 ? stops[stop] : 0;
            hooks.resume = stop > 0 ? before.bytes : NULL;
            hooks.resume_len = before.len;
            struct fit_result end = {0};
            int rc =
                fit_run(&part, &options, rows_of(kind), &validation, &hooks, &end, &err);
            if (stop < 4)
                assert_int_equal(err.code, ERR_CANCELLED);
            else
                assert_int_equal(rc, 0);
            err = (struct err){0};
            buf_clear(&before);
            if (stop == 4) {
                assert_int_equal(end.best_epoch, result.best_epoch);
                assert_int_equal(end.n_iter, result.n_iter);
                assert_int_equal(end.stop, result.stop);
                assert_true(end.train_loss == result.train_loss);
            }
        }
        assert_same_net(&whole, &part);
        assert_int_equal(twice.n_epochs, once.n_epochs);
        assert_int_equal(twice.n_findings, once.n_findings);
        assert_memory_equal(twice.losses, once.losses, sizeof once.losses);
        buf_clear(&twice.saved);
        mlp_clear(&part);
        mlp_clear(&whole);
    }
}

static struct buf save_one(const struct kind *kind)
{
    struct mlp mlp = make_net(kind, 1);
    struct record record = {.save_after = 3};
    struct fit_options options = options_of(kind, 20);
    struct fit_hooks hooks = {.ctx = &record, .on_epoch = on_epoch};
    struct fit_result result = {0};
    struct err err = {0};
    buf_init(&record.saved, SIZE_MAX / 4);
    fit_run(&mlp, &options, rows_of(kind), &validation, &hooks, &result, &err);
    assert_int_equal(err.code, ERR_CANCELLED);
    mlp_clear(&mlp);
    return record.saved;
}

static enum err_code resume(const struct kind *kind, const struct fit_options *options,
                            const void *bytes, size_t len)
{
    struct mlp mlp = make_net(kind, 1);
    struct fit_hooks hooks = {.resume = bytes, .resume_len = len};
    struct fit_result result = {0};
    struct err err = {0};
    int rc = fit_run(&mlp, options, rows_of(kind), &validation, &hooks, &result, &err);
    assert_int_equal(rc, err.code == ERR_NONE ? 0 : -1);
    mlp_clear(&mlp);
    return err.code;
}

static void cut_or_foreign_checkpoints_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KINDS; i++) {
        struct buf saved = save_one(&kinds[i]);
        struct fit_options options = options_of(&kinds[i], 20);
        for (size_t len = 0; len < saved.len; len += 1 + saved.len / 97)
            assert_int_equal(resume(&kinds[i], &options, saved.bytes, len), ERR_CORRUPT);
        char *longer = calloc(saved.len + 1, 1);
        memcpy(longer, saved.bytes, saved.len);
        assert_int_equal(resume(&kinds[i], &options, longer, saved.len + 1), ERR_CORRUPT);
        free(longer);
        options.seed++; /* another shuffle: another fit */
        assert_int_equal(resume(&kinds[i], &options, saved.bytes, saved.len),
                         ERR_CORRUPT);
        options = options_of(&kinds[i], 21);
        assert_int_equal(resume(&kinds[i], &options, saved.bytes, saved.len),
                         ERR_CORRUPT);
        size_t other = (i + 1) % N_KINDS;
        options = options_of(&kinds[other], 20);
        assert_int_equal(resume(&kinds[other], &options, saved.bytes, saved.len),
                         ERR_CORRUPT);
        buf_clear(&saved);
    }
}

/* Whatever the bytes are, reading them ends with an error or with a fit. */
static void damaged_checkpoint_harms_nobody(void **state)
{
    (void)state;
    const struct kind *kind = &kinds[4];
    struct buf saved = save_one(kind);
    struct fit_options options = options_of(kind, 4);
    struct fit_options same = options_of(kind, 20);
    for (size_t i = 0; i < 300; i++) {
        size_t at = rng_bits(1, RNG_TEST, 50, i) % (i < 200 ? 1200 : saved.len);
        if (at >= saved.len)
            continue;
        saved.bytes[at] = (char)~saved.bytes[at];
        resume(kind, i % 2 ? &options : &same, saved.bytes, saved.len);
        saved.bytes[at] = (char)~saved.bytes[at];
    }
    buf_clear(&saved);
}

/* Runs tasks from the last to the first: as good an order as any. */
static void run_backwards(void *ctx, void (*task)(void *arg, size_t i), void *arg,
                          size_t n_tasks)
{
    size_t *n_runs = ctx;
    ++*n_runs;
    for (size_t i = n_tasks; i-- > 0;)
        task(arg, i);
}

static void order_of_tasks_changes_nothing(void **state)
{
    (void)state;
    hidden[0] = hidden[1] = 150; /* enough work to be handed out */
    for (size_t i = 0; i < N_KINDS; i++) {
        struct mlp forwards = make_net(&kinds[i], 1);
        struct mlp backwards = make_net(&kinds[i], 1);
        struct fit_options options = options_of(&kinds[i], 6);
        size_t n_runs = 0;
        const struct parallel parallel = {&n_runs, run_backwards};
        const struct fit_hooks hooks = {.parallel = &parallel};
        struct fit_result result = {0};
        struct err err = {0};
        assert_int_equal(fit_run(&forwards, &options, rows_of(&kinds[i]), &validation,
                                 NULL, &result, &err),
                         0);
        assert_int_equal(fit_run(&backwards, &options, rows_of(&kinds[i]), &validation,
                                 &hooks, &result, &err),
                         0);
        assert_same_net(&forwards, &backwards);
        assert_true(n_runs > 0);
        mlp_clear(&forwards);
        mlp_clear(&backwards);
    }
    hidden[0] = 11;
    hidden[1] = 50;
}

/* Nets side by side are the nets one by one. Rows differ in number, not in batches. */
static void nets_in_lockstep_learn_as_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < N_KINDS; i++) { /* not lbfgs */
        struct fit_options options = options_of(&kinds[i], 8);
        struct mlp together[NETS];
        struct mlp alone[NETS];
        struct fit_member members[NETS];
        struct fit_result result = {0};
        struct err err = {0};
        options.early_stopping = false; /* its best epoch is one of all nets */
        options.n_iter_no_change = 1000;
        for (size_t m = 0; m < NETS; m++) {
            together[m] = make_net(&kinds[i], m);
            alone[m] = make_net(&kinds[i], m);
            members[m] = (struct fit_member){
                .mlp = &together[m],
                .train = {x + m * INPUTS, classes + m, 60 + m, NULL},
                .seed = 100 + m,
            };
        }
        assert_int_equal(fit_run_members(members, NETS, &options, NULL, &result, &err),
                         0);
        for (size_t m = 0; m < NETS; m++) {
            options.seed = 100 + m;
            assert_int_equal(fit_run(&alone[m], &options, &members[m].train, NULL, NULL,
                                     &result, &err),
                             0);
            assert_same_net(&together[m], &alone[m]);
            mlp_clear(&together[m]);
            mlp_clear(&alone[m]);
        }
    }
}

static void best_epoch_is_that_of_all_nets_together(void **state)
{
    (void)state;
    const struct kind *kind = &kinds[4];
    struct fit_options options = options_of(kind, 30);
    struct mlp nets[NETS];
    struct fit_member members[NETS];
    struct record record = {0};
    struct fit_hooks hooks = {.ctx = &record, .on_epoch = on_epoch};
    struct fit_result result = {0};
    struct err err = {0};
    for (size_t m = 0; m < NETS; m++) {
        nets[m] = make_net(kind, m);
        members[m] = (struct fit_member){
            .mlp = &nets[m], .train = train, .validation = validation, .seed = m};
    }
    assert_int_equal(fit_run_members(members, NETS, &options, &hooks, &result, &err), 0);
    assert_int_equal(record.n_epochs, 30);
    assert_true(result.best_epoch >= 1 && result.best_epoch <= 30);
    /* the nets are those of the best epoch: their mean validation loss is the result's */
    double sum = 0.0;
    for (size_t m = 0; m < NETS; m++) {
        struct pass *pass = NULL;
        assert_int_equal(pass_new(&nets[m], 30, false, &pass, &err), 0);
        sum += pass_loss(pass, validation.x, validation.t, NULL, 30);
        pass_free(pass);
        mlp_clear(&nets[m]);
    }
    assert_true(fabs(sum / NETS - result.validation_loss) < 1e-6);
}

static struct fit_member member_of(struct mlp *mlp, struct fit_rows rows)
{
    return (struct fit_member){.mlp = mlp, .train = rows, .seed = 1};
}

static void uneven_nets_are_refused(void **state)
{
    (void)state;
    struct fit_options options = options_of(&kinds[0], 3);
    struct mlp a = make_net(&kinds[0], 1);
    struct mlp b = make_net(&kinds[1], 1);
    struct mlp c = make_net(&kinds[0], 2);
    struct fit_result result = {0};
    struct err err = {0};
    struct fit_member shapes[] = {member_of(&a, train), member_of(&b, train)};
    assert_int_equal(fit_run_members(shapes, 2, &options, NULL, &result, &err), -1);
    assert_string_equal(err.slug, "uneven_members");
    const struct fit_rows few = {x, classes, 40, NULL};
    struct fit_member steps[] = {member_of(&a, train), member_of(&c, few)};
    err = (struct err){0};
    assert_int_equal(fit_run_members(steps, 2, &options, NULL, &result, &err), -1);
    assert_string_equal(err.slug, "uneven_members");
    struct fit_member halves[] = {member_of(&a, train), member_of(&c, train)};
    halves[0].validation = validation;
    err = (struct err){0};
    assert_int_equal(fit_run_members(halves, 2, &options, NULL, &result, &err), -1);
    assert_string_equal(err.slug, "uneven_members");
    err = (struct err){0};
    assert_int_equal(fit_run_members(halves, 0, &options, NULL, &result, &err), -1);
    options = options_of(&kinds[N_KINDS - 1], 3);
    err = (struct err){0};
    struct fit_member two[] = {member_of(&a, train), member_of(&c, train)};
    assert_int_equal(fit_run_members(two, 2, &options, NULL, &result, &err), -1);
    assert_string_equal(err.pointer, "/solver");
    mlp_clear(&a);
    mlp_clear(&b);
    mlp_clear(&c);
}

/* Folding is exact up to rounding, for every part that is folded. */
static void folded_net_predicts_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KINDS; i++) {
        struct mlp mlp = make_net(&kinds[i], 1);
        struct fit_options options = options_of(&kinds[i], 6);
        struct mlp folded = {0};
        struct pass *a = NULL;
        struct pass *b = NULL;
        struct fit_result result = {0};
        struct err err = {0};
        assert_int_equal(
            fit_run(&mlp, &options, rows_of(&kinds[i]), &validation, NULL, &result, &err),
            0);
        assert_int_equal(mlp_fold(&mlp, &folded, &err), 0);
        assert_false(folded.has_scales);
        assert_int_equal(folded.n_statistics, 0);
        assert_true(folded.layers[0].factor == 1.0F);
        assert_int_equal(pass_new(&mlp, ROWS, false, &a, &err), 0);
        assert_int_equal(pass_new(&folded, ROWS, false, &b, &err), 0);
        const float *p = pass_forward(a, x, ROWS);
        const float *q = pass_forward(b, x, ROWS);
        for (size_t k = 0; k < ROWS * 3; k++)
            assert_true(fabsf(p[k] - q[k]) < 2e-6F);
        pass_free(a);
        pass_free(b);
        mlp_clear(&folded);
        mlp_clear(&mlp);
    }
}

/* A row's prediction does not hang on the rows beside it, nor on the room of the pass. */
static void row_alone_is_predicted_as_among_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KINDS; i++) {
        struct mlp net = make_net(&kinds[i], 1);
        struct mlp folded = {0};
        struct pass *many = NULL;
        struct pass *one = NULL;
        struct err err = {0};
        assert_int_equal(mlp_fold(&net, &folded, &err), 0);
        assert_int_equal(pass_new(&folded, ROWS, true, &many, &err), 0);
        assert_int_equal(pass_new(&folded, 1, false, &one, &err), 0);
        const float *all = pass_forward(many, x, ROWS);
        for (size_t row = 0; row < ROWS; row++)
            assert_memory_equal(all + row * 3, pass_forward(one, x + row * INPUTS, 1),
                                3 * sizeof *all);
        pass_free(many);
        pass_free(one);
        mlp_clear(&folded);
        mlp_clear(&net);
    }
}

static void short_batches_are_left_out_when_asked(void **state)
{
    (void)state;
    struct fit_options options = options_of(&kinds[0], 1);
    struct mlp with = make_net(&kinds[0], 1);
    struct mlp without = make_net(&kinds[0], 1);
    struct mlp shorter = make_net(&kinds[0], 1);
    struct fit_rows first = {x, classes, 32, NULL};
    struct fit_rows more = {x, classes, 40, NULL};
    struct fit_result result = {0};
    struct err err = {0};
    options.shuffle = false;
    assert_int_equal(fit_run(&with, &options, &more, NULL, NULL, &result, &err), 0);
    options.skip_short_batch = true; /* 16 + 16 + 8: the 8 are half */
    assert_int_equal(fit_run(&without, &options, &more, NULL, NULL, &result, &err), 0);
    assert_int_equal(fit_run(&shorter, &options, &first, NULL, NULL, &result, &err), 0);
    assert_same_net(&without, &shorter);
    assert_memory_not_equal(with.parameters, without.parameters,
                            with.n_parameters * sizeof(float));
    mlp_clear(&with);
    mlp_clear(&without);
    mlp_clear(&shorter);
}

static int start(void **state)
{
    (void)state;
    struct err err = {0};
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        x[i] = (float)rng_normal(1, RNG_TEST, 1, i);
    for (size_t i = 0; i < ROWS; i++) {
        float score = x[i * INPUTS] + x[i * INPUTS + 1] * x[i * INPUTS + 2];
        classes[i] = score > 0.5F ? 2.0F : score > -0.5F ? 1.0F : 0.0F;
        weights[i] = (float)rng_uniform(1, RNG_TEST, 2, i);
    }
    return gemm_start(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(continued_fit_ends_as_one_that_was_not),
        cmocka_unit_test(cut_or_foreign_checkpoints_are_refused),
        cmocka_unit_test(damaged_checkpoint_harms_nobody),
        cmocka_unit_test(order_of_tasks_changes_nothing),
        cmocka_unit_test(nets_in_lockstep_learn_as_alone),
        cmocka_unit_test(best_epoch_is_that_of_all_nets_together),
        cmocka_unit_test(uneven_nets_are_refused),
        cmocka_unit_test(folded_net_predicts_the_same),
        cmocka_unit_test(row_alone_is_predicted_as_among_others),
        cmocka_unit_test(short_batches_are_left_out_when_asked),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
