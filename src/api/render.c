#include "api/render.h"

#include <math.h>

void render_warnings(struct writer *writer, const struct warnings *warnings)
{
    writer_array(writer, "warnings");
    for (size_t i = 0; i < warnings->n; i++) {
        const struct warning *warning = &warnings->items[i];
        writer_object(writer, NULL);
        writer_text(writer, "code", warning->code);
        if (warning->column)
            writer_text(writer, "column", warning->column);
        if (warning->line)
            writer_whole(writer, "line", warning->line);
        writer_text(writer, "detail", warning->detail);
        writer_close(writer);
    }
    if (warnings->n_dropped) {
        writer_object(writer, NULL);
        writer_text(writer, "code", "more_warnings");
        writer_text(writer, "detail", "there were more warnings than are shown");
        writer_close(writer);
    }
    writer_close(writer);
}

void render_finding(struct writer *writer, const struct doctor_finding *finding)
{
    writer_text(writer, "code", doctor_ailment_name(finding->ailment));
    writer_whole(writer, "epoch", finding->epoch);
    if (finding->layer == SIZE_MAX)
        writer_null(writer, "layer");
    else
        writer_whole(writer, "layer", finding->layer + 1);
    writer_real(writer, "value", finding->value);
    writer_real(writer, "threshold", finding->threshold);
    writer_text(writer, "message", finding->message);
    writer_text(writer, "remedy", finding->remedy);
}

void render_findings(struct writer *writer, const struct doctor_finding *findings,
                     size_t n)
{
    writer_array(writer, "findings");
    for (size_t i = 0; i < n; i++) {
        writer_object(writer, NULL);
        render_finding(writer, &findings[i]);
        writer_close(writer);
    }
    writer_close(writer);
}

static void render_column(struct writer *writer, const struct table_column *column)
{
    writer_object(writer, NULL);
    writer_text(writer, "name", column->name);
    writer_text(writer, "kind", table_kind_name(column->kind));
    writer_whole(writer, "missing", column->n_missing);
    if (column->kind == TABLE_CATEGORICAL) {
        writer_array(writer, "categories");
        for (size_t i = 0; i < column->n_levels; i++) {
            writer_object(writer, NULL);
            writer_text(writer, "value", column->levels[i]);
            writer_whole(writer, "count", column->counts[i]);
            writer_close(writer);
        }
        writer_close(writer);
    } else {
        writer_real(writer, "min", column->min);
        writer_real(writer, "max", column->max);
        writer_real(writer, "mean", column->mean);
        writer_real(writer, "std", column->std);
    }
    writer_close(writer);
}

void render_dataset(struct writer *writer, const char *key, const struct dataset *dataset)
{
    writer_object(writer, key);
    writer_text(writer, "id", dataset->id);
    writer_text(writer, "name", dataset->name);
    writer_text(writer, "state", "ready");
    writer_whole(writer, "rows", dataset->table.n_rows);
    writer_array(writer, "columns");
    for (size_t i = 0; i < dataset->table.n_columns; i++)
        render_column(writer, &dataset->table.columns[i]);
    writer_close(writer);
    writer_whole(writer, "bytes", dataset->n_bytes);
    writer_text(writer, "sha256", dataset->sha256);
    writer_time(writer, "created_at", dataset->created_at_ms);
    render_warnings(writer, &dataset->warnings);
    writer_close(writer);
}

static void render_shares(struct writer *writer, const struct parameters *parameters,
                          const struct parameters_field *field)
{
    if (parameters->n_dropout == 0) {
        writer_real(writer, field->name, parameters->dropout[0]);
        return;
    }
    writer_array(writer, field->name);
    for (size_t i = 0; i < parameters->n_dropout; i++)
        writer_real(writer, NULL, parameters->dropout[i]);
    writer_close(writer);
}

static void render_parameter(struct writer *writer, const struct parameters *parameters,
                             const struct parameters_field *field)
{
    switch (field->kind) {
    case PARAMETERS_REAL:
        writer_real(writer, field->name, parameters_real(parameters, field));
        break;
    case PARAMETERS_WHOLE:
        if (field->may_be_auto && parameters_whole(parameters, field) == 0)
            writer_text(writer, field->name, "auto");
        else
            writer_whole(writer, field->name, parameters_whole(parameters, field));
        break;
    case PARAMETERS_FLAG:
        writer_flag(writer, field->name, parameters_flag(parameters, field));
        break;
    case PARAMETERS_CHOICE:
        writer_text(writer, field->name, parameters_choice(parameters, field));
        break;
    case PARAMETERS_SIZES:
        writer_array(writer, field->name);
        for (size_t i = 0; i < parameters->n_hidden; i++)
            writer_whole(writer, NULL, parameters->hidden_layer_sizes[i]);
        writer_close(writer);
        break;
    case PARAMETERS_SHARES:
        render_shares(writer, parameters, field);
        break;
    }
}

static void render_parameters(struct writer *writer, const struct parameters *parameters)
{
    writer_object(writer, "parameters");
    for (size_t i = 0; i < parameters_n_fields; i++)
        render_parameter(writer, parameters, &parameters_fields[i]);
    writer_close(writer);
}

static void render_confusion(struct writer *writer, const struct metrics_scores *scores)
{
    writer_array(writer, "confusion_matrix");
    for (uint64_t i = 0; i < scores->n_classes; i++) {
        writer_array(writer, NULL);
        for (uint64_t j = 0; j < scores->n_classes; j++)
            writer_whole(writer, NULL, scores->confusion[i * scores->n_classes + j]);
        writer_close(writer);
    }
    writer_close(writer);
}

static void render_scores(struct writer *writer, const char *key,
                          const struct metrics_scores *scores)
{
    writer_object(writer, key);
    writer_whole(writer, "rows", scores->n_rows);
    if (scores->n_classes) {
        writer_real(writer, "accuracy", scores->classes.accuracy);
        writer_real(writer, "balanced_accuracy", scores->classes.balanced_accuracy);
        writer_real(writer, "f1_macro", scores->classes.f1_macro);
        writer_real(writer, "log_loss", scores->classes.log_loss);
        render_confusion(writer, scores);
    } else {
        writer_real(writer, "r2", scores->regression.r2);
        writer_real(writer, "rmse", scores->regression.rmse);
        writer_real(writer, "mae", scores->regression.mae);
    }
    writer_close(writer);
}

static void render_metrics(struct writer *writer, const struct metrics *metrics)
{
    writer_object(writer, "metrics");
    for (int part = 0; part < METRICS_PART_COUNT; part++)
        if (metrics->parts[part].n_rows)
            render_scores(writer, metrics_part_name((enum metrics_part)part),
                          &metrics->parts[part]);
    writer_close(writer);
}

static void render_transitions(struct writer *writer, const struct job *job)
{
    writer_array(writer, "transitions");
    for (size_t i = 0; i < job->n_transitions; i++) {
        writer_object(writer, NULL);
        writer_text(writer, "state", job_state_name(job->transitions[i].state));
        writer_time(writer, "at", job->transitions[i].at_ms);
        writer_text(writer, "cause", job->transitions[i].cause);
        writer_close(writer);
    }
    writer_close(writer);
}

static void render_progress(struct writer *writer, const struct job *job)
{
    double share = (double)job->progress.epoch / (double)job->parameters.max_iter;
    writer_real(writer, "progress", job->state == JOB_SUCCEEDED ? 1 : share);
    writer_whole(writer, "epoch", job->progress.epoch);
    writer_whole(writer, "max_iter", job->parameters.max_iter);
    writer_real(writer, "train_loss", job->progress.train_loss);
    writer_real(writer, "validation_loss", job->progress.validation_loss);
    writer_real(writer, "samples_per_second", job->progress.samples_per_second);
    writer_real(writer, "eta_seconds", job->progress.eta_seconds);
}

static void render_features(struct writer *writer, const struct job *job)
{
    if (!job->features) {
        writer_null(writer, "features");
        return;
    }
    writer_array(writer, "features");
    for (size_t i = 0; i < job->n_features; i++)
        writer_text(writer, NULL, job->features[i]);
    writer_close(writer);
}

static void render_job_error(struct writer *writer, const struct job_error *error)
{
    writer_object(writer, "error");
    writer_text(writer, "code", error->code);
    writer_text(writer, "message", error->message);
    writer_text(writer, "hint", error->hint);
    writer_close(writer);
}

/* null when the epoch is none. */
static void render_epoch(struct writer *writer, const char *key, uint64_t epoch)
{
    if (epoch)
        writer_whole(writer, key, epoch);
    else
        writer_null(writer, key);
}

static void render_reference(struct writer *writer, const char *key,
                             const struct model_reference *reference)
{
    if (!reference->model[0]) {
        writer_null(writer, key);
        return;
    }
    writer_object(writer, key);
    writer_text(writer, "model", reference->model);
    writer_whole(writer, "version", reference->version);
    writer_text(writer, "weights_sha256", reference->weights_sha256);
    writer_close(writer);
}

void render_job(struct writer *writer, const char *key, const struct job *job)
{
    writer_object(writer, key);
    writer_text(writer, "id", job->id);
    writer_text(writer, "state", job_state_name(job->state));
    writer_text(writer, "model", job->model);
    writer_text(writer, "dataset", job->dataset_id);
    writer_text(writer, "target", job->target);
    render_features(writer, job);
    if (job->sample_weight)
        writer_text(writer, "sample_weight", job->sample_weight);
    else
        writer_null(writer, "sample_weight");
    render_reference(writer, "warm_start", &job->warm_start);
    writer_text(writer, "task", encoder_task_name(job->task));
    render_progress(writer, job);
    render_metrics(writer, &job->metrics);
    render_parameters(writer, &job->parameters);
    writer_whole(writer, "seed", job->parameters.seed);
    writer_whole(writer, "attempts", job->attempts);
    render_epoch(writer, "resumed_from_epoch", job->resumed_from_epoch);
    render_epoch(writer, "checkpoint_epoch", job->checkpoint_epoch);
    writer_time(writer, "created_at", job->created_at_ms);
    writer_time(writer, "started_at", job->started_at_ms);
    writer_time(writer, "finished_at", job->finished_at_ms);
    if (job->model_version)
        writer_whole(writer, "model_version", job->model_version);
    if (job->error.code[0])
        render_job_error(writer, &job->error);
    render_transitions(writer, job);
    render_findings(writer, job->findings, job->n_findings);
    render_warnings(writer, &job->warnings);
    writer_close(writer);
}

void render_model(struct writer *writer, const char *key, const struct model *model)
{
    writer_object(writer, key);
    writer_text(writer, "name", model->name);
    writer_whole(writer, "latest", model->latest);
    writer_array(writer, "versions");
    for (size_t i = 0; i < model->n_versions; i++) {
        const struct model_version *version = &model->versions[i];
        writer_object(writer, NULL);
        writer_whole(writer, "version", version->version);
        writer_time(writer, "created_at", version->created_at_ms);
        writer_text(writer, "task", encoder_task_name(version->task));
        render_metrics(writer, &version->metrics);
        writer_close(writer);
    }
    writer_close(writer);
    writer_close(writer);
}

void render_class(struct writer *writer, const struct encoder_target *target, size_t i)
{
    if (target->is_numeric)
        writer_real(writer, NULL, target->class_values[i]);
    else
        writer_text(writer, NULL, target->classes[i]);
}

void render_classes(struct writer *writer, const struct encoder_target *target)
{
    writer_array(writer, "classes");
    for (size_t i = 0; i < target->n_classes; i++)
        render_class(writer, target, i);
    writer_close(writer);
}

static void render_input(struct writer *writer, const struct encoder_column *column)
{
    writer_object(writer, NULL);
    writer_text(writer, "name", column->name);
    writer_text(writer, "kind", table_kind_name(column->kind));
    writer_flag(writer, "used", column->is_used);
    if (column->kind == TABLE_CATEGORICAL) {
        writer_array(writer, "categories");
        for (size_t i = 0; i < column->n_levels; i++)
            writer_text(writer, NULL, column->levels[i]);
        writer_close(writer);
    }
    writer_close(writer);
}

void render_version(struct writer *writer, const struct model_version *version,
                    const struct encoder *encoder)
{
    const struct encoder_target *target = &encoder->target;
    writer_object(writer, NULL);
    writer_text(writer, "model", version->model);
    writer_whole(writer, "version", version->version);
    writer_text(writer, "job", version->job_id);
    render_reference(writer, "warm_start", &version->warm_start);
    writer_text(writer, "task", encoder_task_name(version->task));
    writer_array(writer, "inputs");
    for (size_t i = 0; i < encoder->n_columns; i++)
        render_input(writer, &encoder->columns[i]);
    writer_close(writer);
    writer_array(writer, "outputs");
    writer_object(writer, NULL);
    writer_text(writer, "name", target->name);
    writer_text(writer, "kind",
                target->n_classes && !target->is_numeric ? "categorical" : "numeric");
    writer_close(writer);
    writer_close(writer);
    if (target->n_classes)
        render_classes(writer, target);
    render_parameters(writer, &version->parameters);
    render_metrics(writer, &version->metrics);
    render_findings(writer, version->findings, version->n_findings);
    writer_whole(writer, "n_weights", version->n_weights);
    writer_text(writer, "weights_sha256", version->weights_sha256);
    writer_text(writer, "dataset", version->dataset_id);
    writer_text(writer, "dataset_sha256", version->dataset_sha256);
    writer_whole(writer, "seed", version->parameters.seed);
    writer_text(writer, "libraries", version->libraries);
    writer_time(writer, "created_at", version->created_at_ms);
    writer_close(writer);
}
