/*
 * The same rows in the same order from the same weights: what scikit-learn and torch make
 * of them in float64 (tests/golden, one test a case) is what fit_run makes of them in
 * float32.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fit.h"
#include "core/pass.h"

/*
 * float32 rounds at 6e-8, and a hundred steps add up to 1e-6 (measured: README.md of
 * tests/golden). A wrong formula changes more: of those that were tried the least was twice
 * the ε of a normalisation, 1e-5 to 3e-4 of the loss in seven cases.
 */
#define LOSS_TOLERANCE 1e-5 /* of the loss */
/* Of the largest weight or output, or of 1. Single weights differ more than their loss:
 * adam's first steps are as long for a gradient of 1e-6 as for one of 1. */
#define WEIGHT_TOLERANCE 5e-5
/* Near the minimum the loss is flat: float32 sees no more descent while weights are still
 * off by the root of its rounding. */
#define MINIMUM_TOLERANCE 1e-3

#define TABLES_MAX 16
#define CASES_MAX  160
#define LAYERS_MAX 8
#define EPOCHS_MAX 100

struct table {
    char name[32];
    size_t n_rows;
    size_t n_inputs;
    size_t n_targets;
    float *x;
    float *t;
};

struct numbers {
    size_t n;
    double *values;
};

struct golden {
    char name[96];
    const struct table *table;
    struct mlp_spec spec;
    struct fit_options options;
    size_t hidden_layer_sizes[LAYERS_MAX];
    struct numbers layers;
    struct numbers initial;
    struct numbers losses;
    struct numbers final;
    struct numbers outputs;     /* of the first rows */
    struct numbers row_weights; /* none: all 1 */
};

static struct table tables[TABLES_MAX];
static size_t n_tables;
static struct golden cases[CASES_MAX];
static size_t n_cases;

/* --- reading ---------------------------------------------------------------------------- */

static double read_number(FILE *file)
{
    double value = 0.0;
    assert_int_equal(fscanf(file, "%lf", &value), 1);
    return value;
}

static size_t read_count(FILE *file)
{
    double value = read_number(file);
    assert_true(value >= 0.0 && value < 1e6);
    return (size_t)value;
}

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n + 1, size);
    assert_non_null(memory);
    return memory;
}

static FILE *open_vectors(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "tests/golden/%s", name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("cannot open %s", path);
    return file;
}

static void read_tables(void)
{
    FILE *file = open_vectors("tables.txt");
    struct table table = {0};
    while (fscanf(file, " table %31s", table.name) == 1) {
        table.n_rows = read_count(file);
        table.n_inputs = read_count(file);
        table.n_targets = read_count(file);
        table.x = allocate(table.n_rows * table.n_inputs, sizeof *table.x);
        table.t = allocate(table.n_rows * table.n_targets, sizeof *table.t);
        for (size_t i = 0; i < table.n_rows; i++) {
            for (size_t j = 0; j < table.n_inputs; j++)
                table.x[i * table.n_inputs + j] = (float)read_number(file);
            for (size_t j = 0; j < table.n_targets; j++)
                table.t[i * table.n_targets + j] = (float)read_number(file);
        }
        assert_true(n_tables < TABLES_MAX);
        tables[n_tables++] = table;
    }
    assert_true(feof(file));
    fclose(file);
}

static const struct table *find_table(const char *name)
{
    for (size_t i = 0; i < n_tables; i++)
        if (strcmp(tables[i].name, name) == 0)
            return &tables[i];
    fail_msg("no table %s", name);
    return NULL;
}

/* Reads the name of one value of an enum. */
#define READ_ENUM(file, type, name_of, count, out)                                       \
    do {                                                                                 \
        char word[32] = "";                                                              \
        enum type value = (enum type)0;                                                  \
        assert_int_equal(fscanf(file, "%31s", word), 1);                                 \
        while (value < (count) && strcmp(name_of(value), word) != 0)                     \
            value++;                                                                     \
        if (value == (count))                                                            \
            fail_msg("unknown %s: %s", #type, word);                                     \
        *(out) = value;                                                                  \
    } while (0)

static bool read_name(FILE *file, const char *key, struct golden *golden)
{
    struct mlp_spec *spec = &golden->spec;
    struct fit_options *options = &golden->options;
    char name[32] = "";
    if (strcmp(key, "table") == 0) {
        assert_int_equal(fscanf(file, "%31s", name), 1);
        golden->table = find_table(name);
    } else if (strcmp(key, "activation") == 0) {
        READ_ENUM(file, act, act_name, ACT_COUNT, &spec->activation);
    } else if (strcmp(key, "output") == 0) {
        READ_ENUM(file, act, act_name, ACT_COUNT, &spec->output_activation);
    } else if (strcmp(key, "loss") == 0) {
        READ_ENUM(file, loss, loss_name, LOSS_COUNT, &spec->loss);
    } else if (strcmp(key, "normalization") == 0) {
        READ_ENUM(file, mlp_normalization, mlp_normalization_name,
                  MLP_NORMALIZATION_COUNT, &spec->normalization);
    } else if (strcmp(key, "solver") == 0) {
        READ_ENUM(file, solver, optim_name, SOLVER_COUNT, &options->optim.solver);
    } else if (strcmp(key, "schedule") == 0) {
        READ_ENUM(file, schedule, schedule_name, SCHEDULE_COUNT,
                  &options->schedule.schedule);
    } else if (strcmp(key, "regularization_schedule") == 0) {
        READ_ENUM(file, schedule_share, schedule_share_name, SCHEDULE_SHARE_COUNT,
                  &options->regularization_schedule);
    } else {
        return false;
    }
    return true;
}

#define OPTION(member)      offsetof(struct golden, options.member)
#define LOSS_OPTION(member) offsetof(struct golden, spec.loss_options.member)

static bool read_option(FILE *file, const char *key, struct golden *golden)
{
    static const struct {
        const char *key;
        size_t at; /* of a double */
    } options[] = {
        {"learning_rate", OPTION(optim.learning_rate)},
        {"momentum", OPTION(optim.momentum)},
        {"beta_1", OPTION(optim.beta_1)},
        {"beta_2", OPTION(optim.beta_2)},
        {"epsilon", OPTION(optim.epsilon)},
        {"rho", OPTION(optim.rho)},
        {"weight_decay", OPTION(optim.weight_decay)},
        {"power_t", OPTION(schedule.power_t)},
        {"warmup", OPTION(schedule.warmup)},
        {"alpha", OPTION(alpha)},
        {"l1", OPTION(l1)},
        {"gradient_clip", OPTION(gradient_clip)},
        {"max_norm", OPTION(max_norm)},
        {"rate_weights", OPTION(rate_factor[MLP_WEIGHTS])},
        {"rate_biases", OPTION(rate_factor[MLP_BIASES])},
        {"rate_gains", OPTION(rate_factor[MLP_GAINS])},
        {"rate_scales", OPTION(rate_factor[MLP_SCALES])},
        {"tol", OPTION(tol)},
        {"delta", LOSS_OPTION(delta)},
        {"over", LOSS_OPTION(over)},
        {"under", LOSS_OPTION(under)},
        {"q", LOSS_OPTION(q)},
        {"label_smoothing", LOSS_OPTION(label_smoothing)},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(options[i].key, key) != 0)
            continue;
        double value = read_number(file);
        memcpy((char *)golden + options[i].at, &value, sizeof value);
        return true;
    }
    return false;
}

static bool read_size(FILE *file, const char *key, struct golden *golden)
{
    struct fit_options *options = &golden->options;
    if (strcmp(key, "nesterov") == 0)
        options->optim.nesterov = read_count(file) == 1;
    else if (strcmp(key, "ntk_parametrization") == 0)
        golden->spec.ntk_parametrization = read_count(file) == 1;
    else if (strcmp(key, "feature_scale") == 0)
        golden->spec.feature_scale = read_count(file) == 1;
    else if (strcmp(key, "batch_size") == 0)
        options->batch_size = read_count(file);
    else if (strcmp(key, "max_iter") == 0)
        options->max_iter = read_count(file);
    else if (strcmp(key, "n_iter_no_change") == 0)
        options->n_iter_no_change = read_count(file);
    else
        return false;
    return true;
}

static bool read_array(FILE *file, const char *key, struct golden *golden)
{
    const struct {
        const char *key;
        struct numbers *numbers;
    } arrays[] = {
        {"layers", &golden->layers},   {"initial", &golden->initial},
        {"losses", &golden->losses},   {"final", &golden->final},
        {"outputs", &golden->outputs}, {"row_weights", &golden->row_weights},
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        if (strcmp(arrays[i].key, key) != 0)
            continue;
        struct numbers *numbers = arrays[i].numbers;
        numbers->n = read_count(file);
        numbers->values = allocate(numbers->n, sizeof *numbers->values);
        for (size_t j = 0; j < numbers->n; j++)
            numbers->values[j] = read_number(file);
        return true;
    }
    return false;
}

/* What is not in the vectors but follows from them. */
static void complete(struct golden *golden)
{
    struct mlp_spec *spec = &golden->spec;
    size_t n = golden->layers.n;
    assert_true(golden->table && n >= 2 && n <= LAYERS_MAX);
    assert_in_range(golden->losses.n, 1, EPOCHS_MAX);
    spec->n_inputs = (size_t)golden->layers.values[0];
    spec->n_outputs = (size_t)golden->layers.values[n - 1];
    spec->n_hidden = n - 2;
    spec->hidden_layer_sizes = golden->hidden_layer_sizes;
    for (size_t i = 0; i < spec->n_hidden; i++)
        golden->hidden_layer_sizes[i] = (size_t)golden->layers.values[i + 1];
    assert_int_equal(spec->n_inputs, golden->table->n_inputs);
    assert_int_equal(loss_n_targets(spec->loss, spec->n_outputs),
                     golden->table->n_targets);
}

static void read_case(FILE *file, const char *peer, const char *name)
{
    assert_true(n_cases < CASES_MAX);
    struct golden *golden = &cases[n_cases++];
    char key[32] = "";
    snprintf(golden->name, sizeof golden->name, "equals_%s_%s", peer, name);
    golden->spec.loss_options = loss_defaults();
    while (fscanf(file, "%31s", key) == 1 && strcmp(key, "end") != 0) {
        if (!read_name(file, key, golden) && !read_option(file, key, golden) &&
            !read_size(file, key, golden) && !read_array(file, key, golden))
            fail_msg("%s: unknown line %s", golden->name, key);
    }
    complete(golden);
}

static void read_cases(const char *file_name, const char *peer)
{
    FILE *file = open_vectors(file_name);
    char name[64] = "";
    while (fscanf(file, " case %63s", name) == 1)
        read_case(file, peer, name);
    assert_true(feof(file));
    fclose(file);
}

static void free_vectors(void)
{
    for (size_t i = 0; i < n_tables; i++) {
        free(tables[i].x);
        free(tables[i].t);
    }
    for (size_t i = 0; i < n_cases; i++) {
        free(cases[i].layers.values);
        free(cases[i].initial.values);
        free(cases[i].losses.values);
        free(cases[i].final.values);
        free(cases[i].outputs.values);
        free(cases[i].row_weights.values);
    }
}

/* --- comparing -------------------------------------------------------------------------- */

static struct {
    double error;
    const char *name;
} worst_loss, worst_weight, worst_output;

#define NOTE_WORST(worst, new_error, case_name)                                          \
    do {                                                                                 \
        if ((new_error) > (worst).error) {                                               \
            (worst).error = (new_error);                                                 \
            (worst).name = (case_name);                                                  \
        }                                                                                \
    } while (0)

static bool is_lbfgs(const struct golden *golden)
{
    return golden->options.optim.solver == SOLVER_LBFGS;
}

/* Largest difference, as a share of the largest number or of 1. */
static double largest_difference(const float *ours, const struct numbers *theirs)
{
    double difference = 0.0;
    double size = 1.0;
    for (size_t i = 0; i < theirs->n; i++) {
        assert_true(isfinite(ours[i]));
        difference = fmax(difference, fabs((double)ours[i] - theirs->values[i]));
        size = fmax(size, fabs(theirs->values[i]));
    }
    return difference / size;
}

static void compare_losses(const struct golden *golden, const double *ours)
{
    for (size_t i = 0; i < golden->losses.n; i++) {
        double theirs = golden->losses.values[i];
        double error = fabs(ours[i] - theirs) / fabs(theirs);
        NOTE_WORST(worst_loss, error, golden->name);
        if (!(error <= LOSS_TOLERANCE))
            fail_msg("loss of epoch %zu is %.9g, not %.9g (relative error %.2g)", i + 1,
                     ours[i], theirs, error);
    }
}

static size_t exchange_part(float *own, float *values, size_t n, bool to_net)
{
    memcpy(to_net ? own : values, to_net ? values : own, n * sizeof *own);
    return n;
}

/* Copies between the vectors' order (scales; of each layer W, b, g) and the net's own. */
static void exchange(struct mlp *mlp, float *values, bool to_net)
{
    if (mlp->has_scales)
        values += exchange_part(mlp->parameters, values, mlp_n_inputs(mlp), to_net);
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        bool has_gains = layer->normalization != MLP_NORMALIZATION_NONE;
        const struct {
            size_t at;
            size_t n;
        } parts[3] = {{layer->weights_at, layer->fan_in * layer->fan_out},
                      {layer->biases_at, layer->fan_out},
                      {layer->gains_at, has_gains ? layer->fan_out : 0}};
        for (size_t p = 0; p < 3; p++)
            values +=
                exchange_part(mlp->parameters + parts[p].at, values, parts[p].n, to_net);
    }
}

static void set_initial(struct mlp *mlp, const struct numbers *initial)
{
    float *values = allocate(initial->n, sizeof *values);
    assert_int_equal(initial->n, mlp->n_parameters);
    for (size_t i = 0; i < initial->n; i++)
        values[i] = (float)initial->values[i];
    mlp_init_weights(mlp, MLP_GLOROT_UNIFORM, 0.0, 0); /* running statistics too */
    exchange(mlp, values, true);
    free(values);
}

static void compare_weights(const struct golden *golden, struct mlp *mlp)
{
    float *values = allocate(mlp->n_parameters, sizeof *values);
    assert_int_equal(golden->final.n, mlp->n_parameters);
    exchange(mlp, values, false);
    double error = largest_difference(values, &golden->final);
    free(values);
    NOTE_WORST(worst_weight, error, golden->name);
    if (!(error <= WEIGHT_TOLERANCE))
        fail_msg("weights differ by %.2g", error);
}

static void compare_outputs(const struct golden *golden, const struct mlp *mlp)
{
    size_t n_rows = golden->outputs.n / golden->spec.n_outputs;
    struct pass *pass = NULL;
    struct err err = {0};
    assert_in_range(n_rows, 1, golden->table->n_rows);
    assert_int_equal(pass_new(mlp, n_rows, false, &pass, &err), 0);
    double error = largest_difference(pass_forward(pass, golden->table->x, n_rows),
                                      &golden->outputs);
    pass_free(pass);
    double tolerance = is_lbfgs(golden) ? MINIMUM_TOLERANCE : WEIGHT_TOLERANCE;
    NOTE_WORST(worst_output, error, golden->name);
    if (!(error <= tolerance))
        fail_msg("outputs differ by %.2g", error);
}

static bool record_loss(void *ctx, const struct fit_progress *progress)
{
    double *losses = ctx;
    if (progress->epoch <= EPOCHS_MAX)
        losses[progress->epoch - 1] = progress->train_loss;
    return true;
}

/* lbfgs takes other steps than theirs, to the same minimum: only the last loss counts. */
static void compare_run(const struct golden *golden, const struct fit_result *result,
                        const double *losses)
{
    if (is_lbfgs(golden)) {
        assert_int_equal(result->stop, FIT_CONVERGED);
        compare_losses(golden, &result->train_loss);
        return;
    }
    bool is_whole = golden->losses.n == golden->options.max_iter;
    assert_int_equal(result->stop, is_whole ? FIT_MAX_ITER : FIT_NO_CHANGE);
    assert_int_equal(result->n_iter, golden->losses.n);
    compare_losses(golden, losses);
}

/* Of the rows; NULL without any. */
static float *new_weights(const struct golden *golden)
{
    const struct numbers *numbers = &golden->row_weights;
    if (numbers->n == 0)
        return NULL;
    assert_int_equal(numbers->n, golden->table->n_rows);
    float *weights = allocate(numbers->n, sizeof *weights);
    for (size_t i = 0; i < numbers->n; i++)
        weights[i] = (float)numbers->values[i];
    return weights;
}

static void equals_peer(void **state)
{
    const struct golden *golden = *state;
    const struct table *table = golden->table;
    float *weights = new_weights(golden);
    const struct fit_rows rows = {table->x, table->t, table->n_rows, weights};
    double losses[EPOCHS_MAX] = {0};
    const struct fit_hooks hooks = {.ctx = losses, .on_epoch = record_loss};
    struct fit_result result = {0};
    struct mlp mlp = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(&golden->spec, &mlp, &err), 0);
    set_initial(&mlp, &golden->initial);
    if (fit_run(&mlp, &golden->options, &rows, NULL, &hooks, &result, &err) < 0)
        fail_msg("fit_run: %s", err.message);
    compare_run(golden, &result, losses);
    if (!is_lbfgs(golden)) /* other weights may be the same function */
        compare_weights(golden, &mlp);
    compare_outputs(golden, &mlp);
    mlp_clear(&mlp);
    free(weights);
}

/* --- what is covered -------------------------------------------------------------------- */

static void every_solver_loss_activation_and_normalization_is_compared(void **state)
{
    (void)state;
    bool solvers[SOLVER_COUNT] = {0};
    bool losses[LOSS_COUNT] = {0};
    bool acts[ACT_COUNT] = {[ACT_STEP] = true}; /* cannot be trained */
    bool normalizations[MLP_NORMALIZATION_COUNT] = {0};
    for (size_t i = 0; i < n_cases; i++) {
        solvers[cases[i].options.optim.solver] = true;
        losses[cases[i].spec.loss] = true;
        acts[cases[i].spec.activation] = true;
        acts[cases[i].spec.output_activation] = true;
        normalizations[cases[i].spec.normalization] = true;
    }
    for (size_t i = 0; i < SOLVER_COUNT; i++)
        assert_true(solvers[i]);
    for (size_t i = 0; i < LOSS_COUNT; i++)
        assert_true(losses[i]);
    for (size_t i = 0; i < ACT_COUNT; i++)
        assert_true(acts[i]);
    for (size_t i = 0; i < MLP_NORMALIZATION_COUNT; i++)
        assert_true(normalizations[i]);
}

int main(void)
{
    static struct CMUnitTest tests[CASES_MAX + 1] = {
        cmocka_unit_test(every_solver_loss_activation_and_normalization_is_compared),
    };
    read_tables();
    read_cases("scikit-learn.txt", "scikit_learn");
    read_cases("torch.txt", "torch");
    for (size_t i = 0; i < n_cases; i++)
        tests[i + 1] = (struct CMUnitTest){
            .name = cases[i].name,
            .test_func = equals_peer,
            .initial_state = &cases[i],
        };
    int n_failed =
        cmocka_run_group_tests(tests, NULL, NULL); /* skips those without name */
    print_message("largest error of a loss %.2g (%s), of weights %.2g (%s), of outputs "
                  "%.2g (%s)\n",
                  worst_loss.error, worst_loss.name, worst_weight.error,
                  worst_weight.name, worst_output.error, worst_output.name);
    free_vectors();
    return n_failed;
}
