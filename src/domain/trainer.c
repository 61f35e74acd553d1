#include "domain/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/gemm.h"
#include "core/weights.h"
#include "domain/checkpoints.h"
#include "domain/datasets.h"
#include "domain/reporter.h"
#include "domain/scores.h"
#include "domain/warm_start.h"
#include "table/encoder_codec.h"
#include "table/encoder_match.h"
#include "table/split.h"
#include "work/team.h"

/* A training under way; everything is owned, but the team. */
struct training {
    struct team *team; /* borrowed; NULL: nobody */
    struct dataset dataset;
    struct split split;
    struct encoder encoder;
    struct mlp mlp;
    struct warm_start source; /* version that it goes on from; version 0: none */
    struct mlp source_mlp;    /* its weights */
    size_t n_outputs;
    size_t n_targets;
    float *x[METRICS_PART_COUNT];       /* [n_rows x n_features] */
    float *t[METRICS_PART_COUNT];       /* [n_rows x n_targets] */
    float *weights[METRICS_PART_COUNT]; /* [n_rows]; NULL: all 1 */
    double *class_weights;              /* [n_classes]; NULL: all 1 */
    size_t n_rows[METRICS_PART_COUNT];
    char dataset_sha256[DIGEST_HEX_SIZE];
    size_t *labelled; /* rows that have a target */
    size_t n_labelled;
};

static void training_clear(struct training *training)
{
    dataset_clear(&training->dataset);
    split_clear(&training->split);
    encoder_clear(&training->encoder);
    mlp_clear(&training->mlp);
    warm_start_clear(&training->source);
    mlp_clear(&training->source_mlp);
    for (int part = 0; part < METRICS_PART_COUNT; part++) {
        free(training->x[part]);
        free(training->t[part]);
        free(training->weights[part]);
    }
    free(training->class_weights);
    free(training->labelled);
}

size_t trainer_n_outputs(enum encoder_task task, enum loss loss, size_t n_classes)
{
    bool is_single = task == ENCODER_REGRESSION || loss == LOSS_BINARY_CROSS_ENTROPY ||
                     (task == ENCODER_BINARY && loss == LOSS_SQUARED_ERROR);
    return is_single ? 1 : n_classes;
}

/* --- preparing ----------------------------------------------------------------------- */

static int bad_data(struct err *err, const char *slug, const char *message)
{
    return err_set(err, ERR_INVALID, slug, "%s", message);
}

static int find_labelled(struct training *training, const char *target, struct err *err)
{
    const struct table *table = &training->dataset.table;
    size_t column = table_find(table, target);
    if (column == SIZE_MAX)
        return bad_data(err, "bad_data", "the dataset lost its target column");
    training->labelled = mem_new(table->n_rows, sizeof *training->labelled, err);
    if (!training->labelled)
        return -1;
    for (size_t row = 0; row < table->n_rows; row++)
        if (table_has(&table->columns[column], row))
            training->labelled[training->n_labelled++] = row;
    return 0;
}

static int split_training(struct training *training, const struct job *job,
                          struct err *err)
{
    const struct table *table = &training->dataset.table;
    size_t n = training->n_labelled;
    bool is_stratified = job->task != ENCODER_REGRESSION;
    size_t n_classes = 0;
    uint32_t *classes = is_stratified ? mem_new(n, sizeof *classes, err) : NULL;
    int result = -1;

    if (is_stratified &&
        (!classes || encoder_classes(table, job->target, job->task, training->labelled, n,
                                     classes, &n_classes, err) < 0))
        goto out;
    result = split_rows(&training->split, training->labelled, classes, n, n_classes,
                        job->parameters.validation_fraction,
                        job->parameters.test_fraction, job->parameters.seed, err);
out:
    free(classes);
    return result;
}

/* The interval that the output activation reaches. */
static enum encoder_range target_range(const struct parameters *parameters)
{
    if (parameters->loss == LOSS_POISSON)
        return ENCODER_AS_IS; /* a count is a count */
    switch ((enum act)parameters->output_activation) {
    case ACT_LOGISTIC:
    case ACT_RELU:
    case ACT_LEAKY_RELU:
    case ACT_ELU:
    case ACT_SELU:
    case ACT_GELU:
    case ACT_SILU:
    case ACT_MISH:
    case ACT_SOFTPLUS:
    case ACT_STEP:
        return ENCODER_UNIT;
    case ACT_TANH:
        return ENCODER_SYMMETRIC;
    case ACT_IDENTITY:
    case ACT_SOFTMAX:
    case ACT_COUNT:
        break;
    }
    return parameters->standardize ? ENCODER_STANDARD : ENCODER_AS_IS;
}

/* The version may have been deleted, or even made anew, since the job was submitted. */
static int open_source(struct training *training, struct db *db, const struct job *job,
                       struct warnings *warnings, struct err *err)
{
    struct model_reference reference = job->warm_start;
    struct err why = {0};
    if (!reference.version)
        return 0;
    if (warm_start_open(db, &reference, &training->source, &why) == 0)
        return encoder_match_apply(&training->source.encoder, &training->dataset.table,
                                   warnings, err);
    if (why.code != ERR_NOT_FOUND) {
        *err = why;
        return -1;
    }
    return err_set(err, ERR_CONFLICT, "warm_start_gone",
                   "version %llu of model %.100s, which training was to go on from, was "
                   "deleted",
                   (unsigned long long)reference.version, reference.model);
}

static int fit_encoder(struct training *training, const struct job *job,
                       struct warnings *warnings, struct err *err)
{
    if (job->warm_start.version) {
        training->encoder = training->source.encoder; /* moved */
        training->source.encoder = (struct encoder){0};
        return 0;
    }
    const struct table *table = &training->dataset.table;
    bool *is_feature = NULL;
    int result = -1;

    if (job->features) {
        is_feature = mem_new(table->n_columns, sizeof *is_feature, err);
        if (!is_feature)
            return -1;
        for (size_t i = 0; i < job->n_features; i++) {
            size_t column = table_find(table, job->features[i]);
            if (column != SIZE_MAX)
                is_feature[column] = true;
        }
    }
    struct encoder_options options = {
        .target = job->target,
        .is_feature = is_feature,
        .task = (int)job->task,
        .standardize = job->parameters.standardize,
        .range = target_range(&job->parameters),
    };
    result = encoder_fit(&training->encoder, table, &options, training->split.rows,
                         training->split.n_train, warnings, err);
    free(is_feature);
    return result;
}

/* Class codes [n] become 0/1 rows [n x k], for losses that compare every output. */
static int spread_classes(float **t, size_t n, size_t k, struct err *err)
{
    float *spread = mem_new(n * k, sizeof *spread, err);
    if (!spread)
        return -1;
    for (size_t i = 0; i < n; i++)
        spread[i * k + (size_t)(*t)[i]] = 1;
    free(*t);
    *t = spread;
    return 0;
}

/* What classes weigh follows from the training rows, which come first. */
static int weigh_classes(struct training *training, enum metrics_part part, size_t n,
                         struct err *err)
{
    size_t n_classes = training->encoder.target.n_classes;
    float *weights = training->weights[part];
    const float *t = training->t[part];
    if (part == METRICS_TRAIN) {
        training->class_weights = mem_new(n_classes, sizeof(double), err);
        if (!training->class_weights)
            return -1;
        loss_balance(t, n, n_classes, training->class_weights);
    }
    for (size_t i = 0; i < n; i++)
        weights[i] *= (float)training->class_weights[(size_t)t[i]];
    return 0;
}

/* Weights of a part's rows, whose targets are encoded but not spread yet. */
static int weigh_part(struct training *training, const struct job *job,
                      enum metrics_part part, const size_t *rows, size_t n,
                      struct err *err)
{
    const struct table *table = &training->dataset.table;
    bool is_balanced = job->parameters.class_weight == PARAMETERS_CLASS_WEIGHT_BALANCED;
    if (!job->sample_weight && !is_balanced)
        return 0;
    float *weights = mem_new(n, sizeof *weights, err);
    if (!weights)
        return -1;
    training->weights[part] = weights;
    size_t column = job->sample_weight ? table_find(table, job->sample_weight) : SIZE_MAX;
    if (job->sample_weight && column == SIZE_MAX)
        return bad_data(err, "bad_data", "the dataset lost its column of weights");
    for (size_t i = 0; i < n; i++)
        weights[i] =
            job->sample_weight ? (float)table->columns[column].values[rows[i]] : 1;
    return is_balanced ? weigh_classes(training, part, n, err) : 0;
}

static int encode_part(struct training *training, const struct job *job,
                       enum metrics_part part, const size_t *rows, size_t n,
                       struct err *err)
{
    const struct table *table = &training->dataset.table;
    size_t width = training->encoder.n_features;
    if (width && n > TRAINER_NUMBERS_MAX / width)
        return err_set(
            err, ERR_TOO_LARGE, "too_large",
            "%zu rows of %zu encoded columns are more than the %d numbers allowed", n,
            width, TRAINER_NUMBERS_MAX);
    training->n_rows[part] = n;
    training->x[part] = mem_new(n * width, sizeof **training->x, err);
    training->t[part] = mem_new(n, sizeof **training->t, err);
    if (!training->x[part] || !training->t[part])
        return -1;
    encoder_transform(&training->encoder, table, rows, n, training->x[part]);
    encoder_transform_target(&training->encoder, table, rows, n, training->t[part]);
    if (weigh_part(training, job, part, rows, n, err) < 0)
        return -1;
    return training->n_targets > 1
               ? spread_classes(&training->t[part], n, training->n_targets, err)
               : 0;
}

static int encode_parts(struct training *training, const struct job *job, struct err *err)
{
    const struct split *split = &training->split;
    if (encode_part(training, job, METRICS_TRAIN, split->rows, split->n_train, err) < 0 ||
        encode_part(training, job, METRICS_VALIDATION, split_validation(split),
                    split->n_validation, err) < 0)
        return -1;
    return encode_part(training, job, METRICS_TEST, split_test(split), split->n_test,
                       err);
}

static void init_net(struct mlp *mlp, const struct parameters *parameters)
{
    mlp_init_weights(mlp, (enum mlp_init)parameters->init, parameters->init_std,
                     parameters->seed);
    if (parameters->bias_init_std > 0)
        mlp_init_biases(mlp, parameters->bias_init_std, parameters->seed);
    if (parameters->zero_init_output)
        mlp_zero_output(mlp);
    mlp_init_embeddings(mlp, parameters->periodic_scale, parameters->seed);
}

static void first_weights(struct training *training, const struct job *job)
{
    struct mlp *mlp = &training->mlp;
    const struct mlp *source = &training->source_mlp;
    if (!job->warm_start.version) {
        init_net(mlp, &job->parameters);
        return;
    }
    memcpy(mlp->parameters, source->parameters,
           mlp->n_parameters * sizeof *mlp->parameters);
    if (mlp->n_statistics)
        memcpy(mlp->statistics, source->statistics,
               mlp->n_statistics * sizeof *mlp->statistics);
}

/* Numeric features, which are rising; indicators of missing cells are none. *inputs is owned
 * by the caller. */
static int choose_embedded(const struct encoder *encoder, struct periodic *periodic,
                           size_t **inputs, struct err *err)
{
    *inputs = mem_new(encoder->n_columns, sizeof **inputs, err);
    if (!*inputs)
        return -1;
    for (size_t i = 0; i < encoder->n_columns; i++)
        if (encoder->columns[i].is_used && encoder->columns[i].kind != TABLE_CATEGORICAL)
            (*inputs)[periodic->n++] = encoder->columns[i].first;
    periodic->inputs = *inputs;
    return 0;
}

static int make_net(struct training *training, const struct job *job, struct err *err)
{
    size_t hidden[PARAMETERS_HIDDEN_MAX];
    size_t *embedded = NULL;
    size_t n_parameters = 0;
    int result = -1;
    struct mlp_spec spec;
    parameters_to_spec(&job->parameters, training->encoder.n_features,
                       training->n_outputs, hidden, &spec);
    if ((job->parameters.periodic_embeddings &&
         choose_embedded(&training->encoder, &spec.periodic, &embedded, err) < 0) ||
        mlp_count(&spec, &n_parameters, err) < 0)
        goto out;
    if (n_parameters > TRAINER_WEIGHTS_MAX) {
        err_set(err, ERR_TOO_LARGE, "too_large",
                "the net would have %zu weights; at most %d are allowed", n_parameters,
                TRAINER_WEIGHTS_MAX);
        goto out;
    }
    result = mlp_new(&spec, &training->mlp, err);
    if (result == 0 && job->warm_start.version)
        result =
            warm_start_net(&training->source, &training->mlp, &training->source_mlp, err);
    if (result == 0)
        first_weights(training, job);
out:
    free(embedded);
    return result;
}

static int prepare(struct training *training, struct db *db, const struct job *job,
                   struct warnings *warnings, struct err *err)
{
    if (datasets_load(db, job->dataset_id, 0, SIZE_MAX, &training->dataset, NULL, err) <
            0 ||
        open_source(training, db, job, warnings, err) < 0 ||
        find_labelled(training, job->target, err) < 0 ||
        split_training(training, job, err) < 0 ||
        fit_encoder(training, job, warnings, err) < 0)
        return -1;
    training->n_outputs = trainer_n_outputs(job->task, (enum loss)job->parameters.loss,
                                            training->encoder.target.n_classes);
    training->n_targets =
        loss_n_targets((enum loss)job->parameters.loss, training->n_outputs);
    if (encode_parts(training, job, err) < 0)
        return -1;
    memcpy(training->dataset_sha256, training->dataset.sha256, DIGEST_HEX_SIZE);
    dataset_clear(&training->dataset); /* the encoded parts are all that is needed now */
    return make_net(training, job, err);
}

/* --- training and packing ------------------------------------------------------------ */

/* One run of the trainer, from a checkpoint or, with NULL, from the first weights. Helpers
 * take part as long as there are idle cores; the model is the same without. */
static int fit_from(struct training *training, struct reporter *reporter,
                    const struct checkpoint *from, struct err *err)
{
    struct fit_options options;
    struct fit_result result;
    struct fit_rows parts[METRICS_PART_COUNT];
    for (int part = 0; part < METRICS_PART_COUNT; part++)
        parts[part] = (struct fit_rows){training->x[part], training->t[part],
                                        training->n_rows[part], training->weights[part]};
    struct team *team = training->team;
    const struct parallel parallel = {team, team_run};
    struct fit_hooks hooks = reporter_hooks(reporter);
    hooks.parallel = team ? &parallel : NULL;
    if (from) {
        hooks.resume = from->bytes;
        hooks.resume_len = from->len;
    }

    parameters_to_fit(&reporter->job->parameters, &options);
    team_enter(team);
    options.diagnose = true;
    int status =
        fit_run(&training->mlp, &options, &parts[METRICS_TRAIN],
                training->n_rows[METRICS_VALIDATION] ? &parts[METRICS_VALIDATION] : NULL,
                &hooks, &result, err);
    team_leave(team);
    /* A hook that could not write is the real reason of the stop. */
    if (status < 0 && reporter->err.code != ERR_NONE)
        *err = reporter->err;
    /* What was seen of a fit that failed says why; not to have it is no failure of its own. */
    struct err ignored = {0};
    int reported = reporter_finish(reporter, status < 0 ? &ignored : err);
    return status < 0 ? -1 : reported;
}

static int fit_checkpoint(struct training *training, struct reporter *reporter,
                          struct err *err)
{
    struct checkpoint from = {0};
    int found = checkpoints_load(reporter->db, reporter->job->id, &from, err);
    if (found <= 0)
        return found < 0 ? -1 : err_set(err, ERR_CORRUPT, "corrupt", "it is gone");
    int result = fit_from(training, reporter, &from, err);
    free(from.bytes);
    return result;
}

/* From the job's checkpoint, if there is one that fits. */
static int fit(struct training *training, struct reporter *reporter,
               struct warnings *warnings, struct err *err)
{
    const struct job *job = reporter->job;
    struct err why = {0};
    if (job->checkpoint_epoch == 0)
        return fit_from(training, reporter, NULL, err);
    if (fit_checkpoint(training, reporter, &why) == 0)
        return 0;
    if (why.code != ERR_CORRUPT) {
        *err = why;
        return -1;
    }
    log_line(LOG_WARN, "job", job->id, "starts anew: its checkpoint of epoch %llu: %s",
             (unsigned long long)job->checkpoint_epoch, why.message);
    warnings_add(warnings, "checkpoint_dropped", NULL, 0,
                 "training started anew: the checkpoint of epoch %llu does not fit",
                 (unsigned long long)job->checkpoint_epoch);
    if (checkpoints_drop(reporter->db, job->id, err) < 0)
        return -1;
    reporter_init(reporter, reporter->db, job, reporter->stop, reporter->rows_per_epoch);
    first_weights(training, job);
    return fit_from(training, reporter, NULL, err);
}

static int pack(const struct training *training, const struct job *job,
                struct model_version *version, struct err *err)
{
    struct buf encoder;
    struct buf weights;
    int result = -1;

    buf_init(&encoder, SIZE_MAX);
    buf_init(&weights, SIZE_MAX);
    encoder_codec_encode(&training->encoder, &encoder);
    weights_encode(&training->mlp, &weights);
    if (buf_check(&encoder, err) < 0 || buf_check(&weights, err) < 0)
        goto out;
    id_new(version->id, "mv");
    memcpy(version->model, job->model, sizeof version->model);
    memcpy(version->job_id, job->id, sizeof version->job_id);
    memcpy(version->dataset_id, job->dataset_id, sizeof version->dataset_id);
    memcpy(version->dataset_sha256, training->dataset_sha256, DIGEST_HEX_SIZE);
    version->task = job->task;
    version->parameters = job->parameters;
    version->warm_start = job->warm_start;
    version->n_weights = training->mlp.n_parameters;
    digest_hex(weights.bytes, weights.len, version->weights_sha256);
    snprintf(version->libraries, sizeof version->libraries, "mlpd %s; kernel %s",
             MLPD_VERSION, gemm_kernel());
    version->created_at_ms = clock_now_ms();
    version->encoder = buf_take(&encoder, &version->encoder_len);
    version->weights = buf_take(&weights, &version->weights_len);
    result = version->encoder && version->weights ? 0 : err_no_memory(err);
out:
    buf_clear(&encoder);
    buf_clear(&weights);
    return result;
}

/* Of the net as it will predict. */
static int score(const struct training *training, struct metrics *metrics,
                 struct err *err)
{
    struct mlp folded = {0};
    int result = mlp_fold(&training->mlp, &folded, err);
    for (int part = 0; result == 0 && part < METRICS_PART_COUNT; part++) {
        const struct scores_rows rows = {training->x[part], training->t[part],
                                         training->n_rows[part], training->n_targets};
        if (rows.n_rows)
            result =
                scores_of(&training->encoder, &folded, &rows, &metrics->parts[part], err);
    }
    mlp_clear(&folded);
    return result;
}

int trainer_run(const struct trainer *trainer, const struct job *job,
                const atomic_int *stop, struct model_version *version,
                struct warnings *warnings, struct err *err)
{
    struct training training = {0};
    struct model_version made = {0};
    int result = -1;
    struct reporter *reporter = mem_new(1, sizeof *reporter, err);
    if (!reporter)
        return -1;

    if (prepare(&training, trainer->db, job, warnings, err) < 0)
        goto out;
    training.team = trainer->team;
    reporter_init(reporter, trainer->db, job, stop, training.n_rows[METRICS_TRAIN]);
    if (fit(&training, reporter, warnings, err) < 0 ||
        score(&training, &made.metrics, err) < 0 || pack(&training, job, &made, err) < 0)
        goto out;
    *version = made;
    made = (struct model_version){0};
    result = 0;
out:
    free(reporter);
    training_clear(&training);
    model_version_clear(&made);
    return result;
}
