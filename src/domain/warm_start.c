#include "domain/warm_start.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "core/weights.h"
#include "domain/models.h"
#include "table/encoder_match.h"

/* Parameters that the source decides, because its weights mean nothing under others. */
static const char *const decided[] = {
    "hidden_layer_sizes",   "activation",      "output_activation", "loss",
    "normalization",        "parametrization", "feature_scale",     "periodic_embeddings",
    "periodic_frequencies", "periodic_width",  "standardize",
};
/* Parameters that follow the source unless they are given. */
static const char *const suggested[] = {"delta", "over", "under", "q", "label_smoothing"};

#define COUNT(array) (sizeof(array) / sizeof *(array))

int warm_start_open(struct db *db, struct model_reference *reference,
                    struct warm_start *source, struct err *err)
{
    struct warm_start opened = {0};
    if (models_get_version(db, reference->model, reference->version, &opened.version,
                           &opened.encoder, err) < 0)
        return -1;
    const struct model_version *version = &opened.version;
    if (reference->weights_sha256[0] &&
        strcmp(reference->weights_sha256, version->weights_sha256) != 0) {
        warm_start_clear(&opened);
        return err_set(err, ERR_NOT_FOUND, "no_such_version",
                       "version %llu is another one by now",
                       (unsigned long long)reference->version);
    }
    reference->version = version->version;
    memcpy(reference->weights_sha256, version->weights_sha256, DIGEST_HEX_SIZE);
    *source = opened;
    return 0;
}

void warm_start_clear(struct warm_start *source)
{
    model_version_clear(&source->version);
    encoder_clear(&source->encoder);
}

/* --- deciding ------------------------------------------------------------------------ */

static int conflict(struct err *err, const char *pointer, const char *message)
{
    return err_set_at(err, ERR_INVALID, "warm_start_conflict", pointer,
                      "%s: leave it out, or train without warm_start", message);
}

int warm_start_task(const struct warm_start *source, const struct jobs_request *request,
                    struct job *job, struct err *err)
{
    char message[400];
    const char *target = source->encoder.target.name;
    if (strcmp(job->target, target) != 0) {
        snprintf(message, sizeof message, "version %llu of %.100s predicts '%.100s'",
                 (unsigned long long)source->version.version, source->version.model,
                 target);
        return conflict(err, "/target", message);
    }
    if (request->task >= 0 && request->task != (int)source->version.task) {
        snprintf(message, sizeof message, "version %llu of %.100s is for a %s task",
                 (unsigned long long)source->version.version, source->version.model,
                 encoder_task_name(source->version.task));
        return conflict(err, "/task", message);
    }
    job->task = source->version.task;
    return 0;
}

static const struct encoder_column *input_of(const struct encoder *encoder,
                                             const char *name)
{
    for (size_t i = 0; i < encoder->n_columns; i++)
        if (strcmp(encoder->columns[i].name, name) == 0)
            return &encoder->columns[i];
    return NULL;
}

static bool is_listed(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* A list may only say what is so: the columns are the encoder's. */
static int check_lists(const struct encoder *encoder, const struct jobs_request *request,
                       struct err *err)
{
    char pointer[64];
    char message[400];
    for (size_t i = 0; i < request->n_features; i++) {
        if (input_of(encoder, request->features[i]))
            continue;
        snprintf(pointer, sizeof pointer, "/features/%zu", i);
        snprintf(message, sizeof message, "the model did not learn from column '%.100s'",
                 request->features[i]);
        return conflict(err, pointer, message);
    }
    for (size_t i = 0; i < encoder->n_columns; i++) {
        const struct encoder_column *column = &encoder->columns[i];
        bool is_out = is_listed(column->name, request->exclude, request->n_exclude) ||
                      (request->features &&
                       !is_listed(column->name, request->features, request->n_features));
        bool is_weight =
            request->sample_weight && strcmp(column->name, request->sample_weight) == 0;
        if (column->is_used && is_weight)
            return conflict(err, "/sample_weight", "the model learnt from this column");
        if (!column->is_used || !is_out)
            continue;
        snprintf(message, sizeof message, "the model needs column '%.100s'",
                 column->name);
        return conflict(err, request->features ? "/features" : "/exclude", message);
    }
    return 0;
}

/* Rows in the request are no upload. */
static int check_table(const struct encoder *encoder, const struct jobs_request *request,
                       const struct table *table, struct err *err)
{
    if (encoder_match_check(encoder, table, err) == 0)
        return 0;
    if (request->data && strcmp(err->pointer, "/dataset") == 0)
        snprintf(err->pointer, sizeof err->pointer, "/data");
    return -1;
}

/* Writes the columns that the model uses into the job, in its order. */
static int settle_features(const struct encoder *encoder, struct job *job,
                           struct err *err)
{
    job->features = mem_new(encoder->n_columns, sizeof *job->features, err);
    if (!job->features)
        return -1;
    for (size_t i = 0; i < encoder->n_columns; i++) {
        const char *name = encoder->columns[i].name;
        if (!encoder->columns[i].is_used)
            continue;
        if (!(job->features[job->n_features] = mem_text(name, strlen(name), err)))
            return -1;
        job->n_features++;
    }
    return 0;
}

static bool is_given(const struct jobs_request *request,
                     const struct parameters_field *field)
{
    return request->given >> (field - parameters_fields) & 1;
}

static bool is_auto(const struct parameters *parameters,
                    const struct parameters_field *field)
{
    return field->kind == PARAMETERS_CHOICE &&
           strcmp(parameters_choice(parameters, field), "auto") == 0;
}

static int settle_parameters(const struct warm_start *source,
                             const struct jobs_request *request,
                             struct parameters *parameters, struct err *err)
{
    const struct parameters *own = &source->version.parameters;
    for (size_t i = 0; i < COUNT(decided); i++) {
        char pointer[80];
        char message[400];
        const struct parameters_field *field = parameters_find(decided[i]);
        assert(field);
        bool may_differ = !is_given(request, field) || is_auto(parameters, field);
        bool is_same = false;
        if (parameters_take_field(parameters, own, field, &is_same, err) < 0)
            return -1;
        if (!is_same && !may_differ) {
            snprintf(pointer, sizeof pointer, "/%s", field->name);
            snprintf(message, sizeof message,
                     "version %llu of %.100s was trained with another %s",
                     (unsigned long long)source->version.version, source->version.model,
                     field->name);
            return conflict(err, pointer, message);
        }
    }
    for (size_t i = 0; i < COUNT(suggested); i++) {
        const struct parameters_field *field = parameters_find(suggested[i]);
        assert(field);
        if (!is_given(request, field) &&
            parameters_take_field(parameters, own, field, NULL, err) < 0)
            return -1;
    }
    return 0;
}

int warm_start_settle(const struct warm_start *source, const struct jobs_request *request,
                      const struct table *table, struct job *job, struct err *err)
{
    const struct encoder *encoder = &source->encoder;
    if (check_lists(encoder, request, err) < 0 ||
        check_table(encoder, request, table, err) < 0 ||
        settle_features(encoder, job, err) < 0)
        return -1;
    return settle_parameters(source, request, &job->parameters, err);
}

/* --- weights ------------------------------------------------------------------------- */

static bool is_like(const struct mlp *a, const struct mlp *b)
{
    if (a->n_layers != b->n_layers || a->n_parameters != b->n_parameters ||
        a->n_statistics != b->n_statistics || a->has_scales != b->has_scales ||
        a->periodic.n != b->periodic.n)
        return false;
    for (size_t i = 0; i < a->n_layers; i++)
        if (a->layers[i].fan_in != b->layers[i].fan_in ||
            a->layers[i].fan_out != b->layers[i].fan_out)
            return false;
    return true;
}

int warm_start_net(const struct warm_start *source, const struct mlp *like,
                   struct mlp *net, struct err *err)
{
    struct mlp read = {0};
    if (weights_decode(source->version.weights, source->version.weights_len, &read, err) <
        0)
        return -1;
    if (!is_like(&read, like)) {
        mlp_clear(&read);
        return err_set(err, ERR_CONFLICT, "warm_start_conflict",
                       "the weights of version %llu of %.100s are for another net",
                       (unsigned long long)source->version.version,
                       source->version.model);
    }
    *net = read;
    return 0;
}
