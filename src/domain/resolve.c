#include "domain/resolve.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "domain/datasets.h"
#include "domain/trainer.h"
#include "domain/warm_start.h"

/* Below this many rows a validation part says nothing, and takes what there is to learn. */
#define RESOLVE_VALIDATION_ROWS 30

/* True when the field was in the request. */
static bool is_given(const struct jobs_request *request, const char *field)
{
    const struct parameters_field *found = parameters_find(field);
    return found && (request->given >> (found - parameters_fields) & 1);
}

/* --- columns ------------------------------------------------------------------------- */

static int check_columns(const struct table *table, const char *list,
                         const char *const *names, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (table_find(table, names[i]) != SIZE_MAX)
            continue;
        char pointer[64];
        snprintf(pointer, sizeof pointer, "/%s/%zu", list, i);
        return table_unknown(table, names[i], "unknown_column", pointer, err);
    }
    return 0;
}

static bool is_listed(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool is_chosen(const struct jobs_request *request, const char *target,
                      const char *name)
{
    return strcmp(name, target) != 0 &&
           !(request->sample_weight && strcmp(name, request->sample_weight) == 0) &&
           (!request->features ||
            is_listed(name, request->features, request->n_features)) &&
           !is_listed(name, request->exclude, request->n_exclude);
}

/* Writes the chosen columns into the job, in the table's order; none chosen explicitly means
 * all, and stays unsaid. */
static int choose_features(const struct jobs_request *request, const struct table *table,
                           struct job *job, struct err *err)
{
    if (check_columns(table, "features", request->features, request->n_features, err) <
            0 ||
        check_columns(table, "exclude", request->exclude, request->n_exclude, err) < 0)
        return -1;
    if (!request->features && request->n_exclude == 0 && !request->sample_weight)
        return 0;
    if (request->features &&
        is_listed(job->target, request->features, request->n_features))
        return err_set_at(err, ERR_INVALID, "target_is_feature", "/features",
                          "the target '%.100s' cannot be a feature too", job->target);
    job->features = mem_new(table->n_columns, sizeof *job->features, err);
    if (!job->features)
        return -1;
    for (size_t i = 0; i < table->n_columns; i++) {
        const char *name = table->columns[i].name;
        if (!is_chosen(request, job->target, name))
            continue;
        if (!(job->features[job->n_features] = mem_text(name, strlen(name), err)))
            return -1;
        job->n_features++;
    }
    if (job->n_features == 0)
        return err_set_at(err, ERR_INVALID, "no_features", "/exclude",
                          "no column is left to learn from");
    return 0;
}

/* --- weights of rows ------------------------------------------------------------------ */

static int check_weights(const struct table *table, const struct table_column *weights,
                         const struct table_column *target, struct err *err)
{
    bool has_any = false;
    for (size_t row = 0; row < table->n_rows; row++) {
        if (!table_has(target, row))
            continue;
        if (isnan(weights->values[row]))
            return err_set_at(err, ERR_INVALID, "bad_weight", "/sample_weight",
                              "row %zu has no weight in column '%.100s'", row + 1,
                              weights->name);
        if (weights->values[row] < 0)
            return err_set_at(
                err, ERR_INVALID, "bad_weight", "/sample_weight",
                "row %zu has the weight %g in column '%.100s'; a weight is a "
                "number from 0 on",
                row + 1, weights->values[row], weights->name);
        has_any = has_any || weights->values[row] > 0;
    }
    if (!has_any)
        return err_set_at(err, ERR_INVALID, "bad_weight", "/sample_weight",
                          "all weights in column '%.100s' are 0", weights->name);
    return 0;
}

/* The column is there (datasets_load_target). */
static int choose_weights(const struct jobs_request *request, const struct table *table,
                          struct job *job, struct err *err)
{
    const char *name = request->sample_weight;
    if (!name)
        return 0;
    const struct table_column *weights = &table->columns[table_find(table, name)];
    if (strcmp(name, job->target) == 0)
        return err_set_at(err, ERR_INVALID, "contradiction", "/sample_weight",
                          "the target '%.100s' cannot be the weight too", name);
    if (request->features && is_listed(name, request->features, request->n_features))
        return err_set_at(err, ERR_INVALID, "contradiction", "/sample_weight",
                          "column '%.100s' is a feature: it cannot be the weight too",
                          name);
    if (weights->kind == TABLE_CATEGORICAL)
        return err_set_at(err, ERR_INVALID, "bad_weight", "/sample_weight",
                          "column '%.100s' holds texts; a weight is a number from 0 on",
                          name);
    if (check_weights(table, weights, &table->columns[table_find(table, job->target)],
                      err) < 0)
        return -1;
    job->sample_weight = mem_text(name, strlen(name), err);
    return job->sample_weight ? 0 : -1;
}

/* --- the net ------------------------------------------------------------------------- */

/* What the preset decides by what else is asked for. */
static void resolve_preset(const struct jobs_request *request, enum encoder_task task,
                           struct parameters *parameters)
{
    if (parameters->preset != PARAMETERS_PRESET_REALMLP)
        return;
    if (task == ENCODER_REGRESSION && !is_given(request, "activation"))
        parameters->activation = ACT_MISH;
    if (task == ENCODER_REGRESSION && !is_given(request, "learning_rate"))
        parameters->learning_rate = 0.07;
    if (parameters->n_hidden == 0 && !is_given(request, "dropout"))
        parameters->dropout[0] = 0;
}

/* Under ntk the layers see to their widths themselves: their weights are N(0, 1). */
static void resolve_init(const struct jobs_request *request,
                         struct parameters *parameters)
{
    if (parameters->init != PARAMETERS_AUTO)
        return;
    if (parameters->parametrization == PARAMETERS_PARAMETRIZATION_NTK) {
        parameters->init = MLP_NORMAL;
        if (!is_given(request, "init_std"))
            parameters->init_std = 1;
        return;
    }
    parameters->init =
        (int)mlp_init_for(parameters->n_hidden ? (enum act)parameters->activation
                                               : (enum act)parameters->output_activation);
}

/* What was asked for and would be ignored. */
static int check_unused(const struct jobs_request *request,
                        const struct parameters *parameters, struct err *err)
{
    const struct {
        const char *field;
        bool is_unused;
        const char *reason;
    } rows[] = {
        {"scale_rate_factor", !parameters->feature_scale,
         "there are no feature scales unless feature_scale is true"},
        {"gain_rate_factor", parameters->normalization == MLP_NORMALIZATION_NONE,
         "only a net with a normalization has gains"},
        {"embedding_rate_factor", !parameters->periodic_embeddings,
         "there are no embeddings unless periodic_embeddings is true"},
        {"periodic_frequencies", !parameters->periodic_embeddings,
         "there are no embeddings unless periodic_embeddings is true"},
        {"periodic_width", !parameters->periodic_embeddings,
         "there are no embeddings unless periodic_embeddings is true"},
        {"periodic_scale", !parameters->periodic_embeddings,
         "there are no embeddings unless periodic_embeddings is true"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char pointer[80];
        if (!rows[i].is_unused || !is_given(request, rows[i].field))
            continue;
        snprintf(pointer, sizeof pointer, "/%s", rows[i].field);
        return err_set_at(err, ERR_INVALID, "wrong_parameter", pointer,
                          "%s has nothing to act on: %s", rows[i].field, rows[i].reason);
    }
    return 0;
}

static int check_embedded(const struct jobs_request *request, const struct table *table,
                          const struct job *job, struct err *err)
{
    if (!job->parameters.periodic_embeddings)
        return 0;
    for (size_t i = 0; i < table->n_columns; i++)
        if (table->columns[i].kind != TABLE_CATEGORICAL &&
            is_chosen(request, job->target, table->columns[i].name))
            return 0;
    return err_set_at(
        err, ERR_INVALID, "wrong_parameter", "/periodic_embeddings",
        "periodic_embeddings has nothing to act on: no feature is a number");
}

/* --- loss and output ----------------------------------------------------------------- */

static enum loss default_loss(enum encoder_task task)
{
    switch (task) {
    case ENCODER_BINARY:
        return LOSS_BINARY_CROSS_ENTROPY;
    case ENCODER_MULTICLASS:
        return LOSS_CROSS_ENTROPY;
    case ENCODER_REGRESSION:
    case ENCODER_TASK_COUNT:
        break;
    }
    return LOSS_SQUARED_ERROR;
}

static enum act default_output(enum encoder_task task, enum loss loss)
{
    switch (loss) {
    case LOSS_BINARY_CROSS_ENTROPY:
        return ACT_LOGISTIC;
    case LOSS_CROSS_ENTROPY:
        return ACT_SOFTMAX;
    case LOSS_SQUARED_ERROR:
    case LOSS_ABSOLUTE_ERROR:
    case LOSS_HUBER:
    case LOSS_ASYMMETRIC_SQUARED:
    case LOSS_QUANTILE:
    case LOSS_POISSON:
    case LOSS_COUNT:
        break;
    }
    return task == ENCODER_REGRESSION ? ACT_IDENTITY : ACT_LOGISTIC;
}

static bool may_learn(enum loss loss, enum encoder_task task)
{
    switch (loss) {
    case LOSS_SQUARED_ERROR:
        return true;
    case LOSS_BINARY_CROSS_ENTROPY:
        return task == ENCODER_BINARY;
    case LOSS_CROSS_ENTROPY:
        return task != ENCODER_REGRESSION;
    case LOSS_ABSOLUTE_ERROR:
    case LOSS_HUBER:
    case LOSS_ASYMMETRIC_SQUARED:
    case LOSS_QUANTILE:
    case LOSS_POISSON:
    case LOSS_COUNT:
        break;
    }
    return task == ENCODER_REGRESSION;
}

/* What would be ignored is refused instead. */
static int check_options(const struct parameters *parameters, enum encoder_task task,
                         struct err *err)
{
    if (parameters->label_smoothing > 0 && !loss_has_classes((enum loss)parameters->loss))
        return err_set_at(
            err, ERR_INVALID, "wrong_parameter", "/label_smoothing",
            "label_smoothing is for cross_entropy and binary_cross_entropy, "
            "not for %s",
            loss_name((enum loss)parameters->loss));
    if (parameters->class_weight != PARAMETERS_CLASS_WEIGHT_NONE &&
        task == ENCODER_REGRESSION)
        return err_set_at(err, ERR_INVALID, "wrong_parameter", "/class_weight",
                          "a regression has no classes to weigh");
    return mlp_check_trainable(parameters->n_hidden ? (enum act)parameters->activation
                                                    : ACT_IDENTITY,
                               (enum act)parameters->output_activation, err);
}

static int resolve_loss(struct parameters *parameters, enum encoder_task task,
                        size_t n_classes, struct err *err)
{
    if (parameters->loss == PARAMETERS_AUTO)
        parameters->loss = (int)default_loss(task);
    enum loss loss = (enum loss)parameters->loss;
    if (!may_learn(loss, task))
        return err_set_at(err, ERR_INVALID, "wrong_loss", "/loss",
                          "%s does not fit a %s target: leave it out for %s",
                          loss_name(loss), encoder_task_name(task),
                          loss_name(default_loss(task)));
    if (parameters->output_activation == PARAMETERS_AUTO)
        parameters->output_activation = (int)default_output(task, loss);
    enum act output = (enum act)parameters->output_activation;
    size_t n_outputs = trainer_n_outputs(task, loss, n_classes);
    if (!loss_may_follow(loss, output, n_outputs))
        return err_set_at(
            err, ERR_INVALID, "wrong_output_activation", "/output_activation",
            "output_activation %s does not go with loss %s: leave it out for %s",
            act_name(output), loss_name(loss), act_name(default_output(task, loss)));
    return check_options(parameters, task, err);
}

/* A regression's target has numbers. */
static int check_target(const struct parameters *parameters, const struct table *table,
                        const char *target, struct err *err)
{
    const struct table_column *column = &table->columns[table_find(table, target)];
    if (parameters->loss != LOSS_POISSON)
        return 0;
    for (size_t row = 0; row < table->n_rows; row++)
        if (column->values[row] < 0)
            return err_set_at(
                err, ERR_INVALID, "negative_target", "/loss",
                "row %zu has the target %g; poisson takes numbers from 0 on", row + 1,
                column->values[row]);
    return 0;
}

/* --- rows ---------------------------------------------------------------------------- */

static int resolve_parts(const struct jobs_request *request,
                         struct parameters *parameters, size_t n_rows, struct err *err)
{
    bool is_asked =
        is_given(request, "early_stopping") || is_given(request, "validation_fraction");
    if (!is_asked && n_rows < RESOLVE_VALIDATION_ROWS) {
        parameters->early_stopping = false;
        parameters->validation_fraction = 0;
    }
    if (parameters->early_stopping && parameters->validation_fraction == 0) {
        if (is_given(request, "validation_fraction"))
            return err_set_at(err, ERR_INVALID, "out_of_range", "/validation_fraction",
                              "early_stopping needs a validation_fraction above 0");
        parameters->validation_fraction = 0.1; /* scikit-learn's */
    }
    if (parameters->validation_fraction + parameters->test_fraction > 0.95)
        return err_set_at(
            err, ERR_INVALID, "out_of_range", "/test_fraction",
            "validation_fraction and test_fraction leave less than a twentieth "
            "of the rows to learn from");
    double n_train = (double)n_rows *
                     (1 - parameters->validation_fraction - parameters->test_fraction);
    if (parameters->normalization == MLP_BATCH_NORM && n_train < 2)
        return err_set_at(err, ERR_INVALID, "too_few_rows", "/normalization",
                          "batch_norm needs at least 2 rows to learn from");
    if (parameters->early_stopping && n_rows < 3)
        return err_set_at(err, ERR_INVALID, "too_few_rows", "/early_stopping",
                          "early_stopping needs at least 3 rows with a target, not %zu",
                          n_rows);
    return 0;
}

static size_t count_labelled(const struct table *table, const char *target)
{
    const struct table_column *column = &table->columns[table_find(table, target)];
    return table->n_rows - (size_t)column->n_missing;
}

static size_t count_classes(const struct table *table, const char *target,
                            enum encoder_task task)
{
    const struct table_column *column = &table->columns[table_find(table, target)];
    if (task == ENCODER_REGRESSION)
        return 0;
    if (task == ENCODER_BINARY)
        return 2;
    /* Of numbers we only need to know here that there are several. */
    return column->kind == TABLE_CATEGORICAL ? column->n_levels : 3;
}

/* A lower bound, before the encoded width is known: it refuses the absurd at once. */
static int check_size(const struct parameters *parameters, size_t n_inputs,
                      struct err *err)
{
    size_t hidden[PARAMETERS_HIDDEN_MAX];
    size_t n_weights = 0;
    struct mlp_spec spec;
    parameters_to_spec(parameters, n_inputs, 1, hidden, &spec);
    spec.output_activation = ACT_IDENTITY;
    spec.loss = LOSS_SQUARED_ERROR;
    if (mlp_count(&spec, &n_weights, err) < 0)
        return -1;
    if (n_weights > TRAINER_WEIGHTS_MAX)
        return err_set_at(err, ERR_INVALID, "too_large", "/hidden_layer_sizes",
                          "the net would have over %zu weights; at most %d are allowed",
                          n_weights, TRAINER_WEIGHTS_MAX);
    return 0;
}

/* --- all together -------------------------------------------------------------------- */

static int name_model(const struct jobs_request *request, const struct dataset *dataset,
                      struct job *job, struct err *err)
{
    const char *own = job->warm_start.version ? job->warm_start.model : dataset->name;
    const char *name = request->model ? request->model : own;
    if (!id_is_name(name))
        return err_set_at(
            err, ERR_INVALID, "bad_name", "/model",
            "a name has 1 to 128 letters, digits, '.', '_' or '-', and starts "
            "with a letter or digit");
    memcpy(job->model, name, strlen(name) + 1);
    return 0;
}

/* Loads the version to go on from, if one is asked for; its target is the job's. */
static int open_source(struct db *db, const struct jobs_request *request, struct job *job,
                       struct warm_start *source, struct err *err)
{
    struct err why = {0};
    job->warm_start = request->warm_start;
    if (!request->warm_start.model[0] ||
        warm_start_open(db, &job->warm_start, source, &why) == 0)
        return 0;
    if (why.code != ERR_NOT_FOUND) {
        *err = why;
        return -1;
    }
    if (strcmp(why.slug, "no_such_model") == 0)
        return err_set_at(err, ERR_INVALID, "unknown_model", "/warm_start",
                          "there is no model '%.128s' to go on from",
                          request->warm_start.model);
    return err_set_at(err, ERR_INVALID, "unknown_version", "/warm_start",
                      "model '%.128s' has no version %llu to go on from",
                      request->warm_start.model,
                      (unsigned long long)request->warm_start.version);
}

static int choose_task(const struct jobs_request *request,
                       const struct warm_start *source, const struct table *table,
                       struct job *job, struct err *err)
{
    if (source->version.version)
        return warm_start_task(source, request, job, err);
    return encoder_task_of(table, job->target, request->task, &job->task, err);
}

/* The columns it learns from. */
static int choose_columns(const struct jobs_request *request,
                          const struct warm_start *source, const struct table *table,
                          struct job *job, struct err *err)
{
    if (source->version.version)
        return warm_start_settle(source, request, table, job, err);
    return choose_features(request, table, job, err);
}

static int resolve_with(struct db *db, const struct jobs_request *request,
                        const struct warm_start *source, struct job *job, struct err *err)
{
    struct dataset dataset = {0};
    int result = -1;

    if (datasets_load_target(db, job->dataset_id, job->target, request->sample_weight,
                             &dataset, err) < 0) {
        if (err->code == ERR_NOT_FOUND) {
            err_clear(err);
            err_set_at(err, ERR_INVALID, "unknown_dataset", "/dataset",
                       "there is no dataset '%.60s'", job->dataset_id);
        }
        return -1;
    }
    struct table *table = &dataset.table;
    if (name_model(request, &dataset, job, err) < 0 ||
        choose_task(request, source, table, job, err) < 0)
        goto out;
    resolve_preset(request, job->task, &job->parameters);
    if (choose_weights(request, table, job, err) < 0 ||
        choose_columns(request, source, table, job, err) < 0 ||
        check_unused(request, &job->parameters, err) < 0 ||
        check_embedded(request, table, job, err) < 0 ||
        parameters_check(&job->parameters, err) < 0 ||
        resolve_loss(&job->parameters, job->task,
                     source->version.version
                         ? source->encoder.target.n_classes
                         : count_classes(table, job->target, job->task),
                     err) < 0 ||
        check_target(&job->parameters, table, job->target, err) < 0 ||
        resolve_parts(request, &job->parameters, count_labelled(table, job->target),
                      err) < 0)
        goto out;
    resolve_init(request, &job->parameters);
    size_t n_inputs = job->features ? job->n_features : table->n_columns - 1;
    if (n_inputs == 0) {
        err_set_at(err, ERR_INVALID, "no_features", "/target",
                   "the target is the only column: there is nothing to learn from");
        goto out;
    }
    result = check_size(&job->parameters, n_inputs, err);
out:
    dataset_clear(&dataset);
    return result;
}

int resolve_request(struct db *db, const struct jobs_request *request, struct job *job,
                    struct err *err)
{
    struct job made = {.parameters = request->parameters,
                       .created_at_ms = clock_now_ms()};
    struct dataset inline_rows = {0};
    struct warm_start source = {0};
    int result = -1;

    id_new(made.id, "job");
    if (open_source(db, request, &made, &source, err) < 0 ||
        (request->data && datasets_create_xy(db, request->data, request->data_len,
                                             &inline_rows, err) < 0)) {
        warm_start_clear(&source);
        return -1;
    }
    const char *learnt = request->data ? NULL : source.encoder.target.name;
    const char *target = request->target ? request->target : learnt ? learnt : "y";
    const char *dataset_id = request->data ? inline_rows.id : request->dataset_id;
    snprintf(made.dataset_id, sizeof made.dataset_id, "%s", dataset_id);
    if ((made.target = mem_text(target, strlen(target), err)))
        result = resolve_with(db, request, &source, &made, err);
    if (result == 0) {
        *job = made;
    } else {
        struct err ignored = {0};
        if (request->data)
            datasets_delete(db, inline_rows.id, &ignored);
        job_clear(&made);
    }
    dataset_clear(&inline_rows);
    warm_start_clear(&source);
    return result;
}

void resolve_failure(const struct err *why, struct job_error *error)
{
    static const struct {
        enum err_code code;
        const char *slug; /* NULL: the error's own */
        const char *hint;
    } rows[] = {
        {ERR_DIVERGED, "diverged",
         "lower learning_rate, or set standardize to true if it is off"},
        {ERR_NO_MEMORY, "out_of_memory",
         "use a smaller net, fewer columns or fewer rows"},
        {ERR_TOO_LARGE, "too_large",
         "use a smaller net, or exclude columns with many levels"},
        {ERR_STORAGE_FULL, "storage_full",
         "make room on the disk and submit the job again"},
        {ERR_NOT_FOUND, "dataset_gone", "upload the dataset again"},
        {ERR_CORRUPT, "corrupt", "upload the dataset again"},
        {ERR_CONFLICT, NULL, "train without warm_start, or from another version"},
        {ERR_INVALID, NULL, "look at the target and the feature columns of the dataset"},
    };
    *error = (struct job_error){0};
    snprintf(error->message, sizeof error->message, "%s", why->message);
    snprintf(error->code, sizeof error->code, "%s", "internal");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].code != why->code)
            continue;
        snprintf(error->code, sizeof error->code, "%s",
                 rows[i].slug ? rows[i].slug : why->slug);
        snprintf(error->hint, sizeof error->hint, "%s", rows[i].hint);
    }
}
