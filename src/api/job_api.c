#include "api/job_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "api/page.h"
#include "api/render.h"
#include "api/service.h"
#include "api/warm_start_json.h"
#include "base/mem.h"
#include "base/spell.h"
#include "domain/jobs.h"

/* Fields of a job besides the parameters. */
static const char *const job_fields[] = {"dataset",  "data",          "target",
                                         "features", "exclude",       "model",
                                         "task",     "sample_weight", "warm_start"};
#define N_JOB_FIELDS (sizeof job_fields / sizeof *job_fields)

/* --- reading a request --------------------------------------------------------------- */

static int read_size(const json_t *item, size_t i, const struct parameters_field *field,
                     struct parameters *parameters, struct err *err)
{
    char pointer[80];
    snprintf(pointer, sizeof pointer, "/%s/%zu", field->name, i);
    if (!json_is_integer(item))
        return json_wrong_type(pointer, "a whole number", item, err);
    return parameters_add_size(parameters, field, json_integer_value(item), err);
}

static int read_sizes(const json_t *value, const struct parameters_field *field,
                      struct parameters *parameters, struct err *err)
{
    char pointer[80];
    snprintf(pointer, sizeof pointer, "/%s", field->name);
    if (!json_is_array(value))
        return json_wrong_type(pointer, "a list of whole numbers", value, err);
    parameters->n_hidden = 0;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (read_size(json_array_get(value, i), i, field, parameters, err) < 0)
            return -1;
    return 0;
}

static int read_shares(const json_t *value, const struct parameters_field *field,
                       struct parameters *parameters, struct err *err)
{
    char pointer[80];
    snprintf(pointer, sizeof pointer, "/%s", field->name);
    if (json_is_number(value))
        return parameters_set_share(parameters, field, json_number_value(value), err);
    if (!json_is_array(value))
        return json_wrong_type(pointer, "a number or a list of numbers", value, err);
    parameters_begin_shares(parameters, field);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        snprintf(pointer, sizeof pointer, "/%s/%zu", field->name, i);
        if (!json_is_number(item))
            return json_wrong_type(pointer, "a number", item, err);
        if (parameters_add_share(parameters, field, json_number_value(item), err) < 0)
            return -1;
    }
    return 0;
}

static int read_parameter(const json_t *value, const struct parameters_field *field,
                          struct parameters *parameters, struct err *err)
{
    char pointer[80];
    snprintf(pointer, sizeof pointer, "/%s", field->name);
    if (json_is_string(value) &&
        (field->kind == PARAMETERS_CHOICE || field->may_be_auto)) {
        const char *text = json_string_value(value);
        if (field->kind == PARAMETERS_CHOICE || strcmp(text, "auto") == 0)
            return parameters_set_choice(parameters, field, text, err);
    }
    switch (field->kind) {
    case PARAMETERS_REAL:
        if (!json_is_number(value))
            return json_wrong_type(pointer, "a number", value, err);
        return parameters_set_real(parameters, field, json_number_value(value), err);
    case PARAMETERS_WHOLE:
        if (!json_is_integer(value))
            return json_wrong_type(pointer, "a whole number", value, err);
        return parameters_set_whole(parameters, field, json_integer_value(value), err);
    case PARAMETERS_FLAG:
        if (!json_is_boolean(value))
            return json_wrong_type(pointer, "true or false", value, err);
        parameters_set_flag(parameters, field, json_boolean_value(value));
        return 0;
    case PARAMETERS_CHOICE:
        return json_wrong_type(pointer, "a text", value, err);
    case PARAMETERS_SIZES:
        return read_sizes(value, field, parameters, err);
    case PARAMETERS_SHARES:
        return read_shares(value, field, parameters, err);
    }
    return -1;
}

static int unknown_field(const char *name, struct err *err)
{
    const char *known[N_JOB_FIELDS + 64];
    size_t n = 0;
    for (size_t i = 0; i < N_JOB_FIELDS; i++)
        known[n++] = job_fields[i];
    for (size_t i = 0; i < parameters_n_fields; i++)
        known[n++] = parameters_fields[i].name;
    return json_unknown_field(name, known, n, err);
}

static bool is_job_field(const char *name)
{
    for (size_t i = 0; i < N_JOB_FIELDS; i++)
        if (strcmp(job_fields[i], name) == 0)
            return true;
    return false;
}

/* The preset comes first, whatever the order of the members: the others change its values. */
static int read_preset(const json_t *root, struct parameters *parameters, struct err *err)
{
    const struct parameters_field *field = parameters_find("preset");
    const json_t *preset = json_object_get(root, "preset");
    struct parameters chosen = {0};
    if (preset && read_parameter(preset, field, &chosen, err) < 0)
        return -1;
    parameters_init(parameters, (enum parameters_preset)chosen.preset);
    return 0;
}

static int read_parameters(json_t *root, struct jobs_request *request, struct err *err)
{
    const char *name;
    json_t *value;
    if (read_preset(root, &request->parameters, err) < 0)
        return -1;
    json_object_foreach(root, name, value)
    {
        const struct parameters_field *field = parameters_find(name);
        if (!field && !is_job_field(name))
            return unknown_field(name, err);
        if (!field)
            continue;
        if (read_parameter(value, field, &request->parameters, err) < 0)
            return -1;
        request->given |= 1ULL << (field - parameters_fields);
    }
    return 0;
}

static int read_task(const json_t *root, int *task, struct err *err)
{
    const char *text;
    *task = -1;
    if (json_get_text(root, "task", &text, err) < 0)
        return -1;
    if (!text || strcmp(text, "auto") == 0)
        return 0;
    for (int i = 0; i < ENCODER_TASK_COUNT; i++) {
        if (strcmp(text, encoder_task_name((enum encoder_task)i)) == 0) {
            *task = i;
            return 0;
        }
    }
    return err_set_at(err, ERR_INVALID, "not_allowed", "/task",
                      "task may be auto, regression, binary or multiclass, not '%.60s'",
                      text);
}

static int check_source(const struct jobs_request *request, struct err *err)
{
    if (!request->dataset_id && !request->data)
        return err_set_at(err, ERR_INVALID, "missing_field", "/dataset",
                          "a job needs a dataset (the id of an upload) or data "
                          "({\"X\": [[…]], \"y\": […]})");
    if (request->dataset_id && request->data)
        return err_set_at(err, ERR_INVALID, "contradiction", "/data",
                          "a job takes a dataset or data, not both");
    if (!request->target && !request->data && !request->warm_start.model[0])
        return err_set_at(err, ERR_INVALID, "missing_field", "/target",
                          "a job needs a target: the column to predict");
    return 0;
}

/* The texts borrow from root; the two lists are the caller's. */
static int read_request(json_t *root, struct jobs_request *request,
                        const char ***features, const char ***exclude, struct err *err)
{
    if (read_parameters(root, request, err) < 0 ||
        json_get_text(root, "dataset", &request->dataset_id, err) < 0 ||
        json_get_text(root, "target", &request->target, err) < 0 ||
        json_get_text(root, "model", &request->model, err) < 0 ||
        json_get_text(root, "sample_weight", &request->sample_weight, err) < 0 ||
        warm_start_json_read(root, &request->warm_start, err) < 0 ||
        read_task(root, &request->task, err) < 0 ||
        json_get_texts(root, "features", features, &request->n_features, err) < 0 ||
        json_get_texts(root, "exclude", exclude, &request->n_exclude, err) < 0)
        return -1;
    request->features = *features;
    request->exclude = *exclude;
    return check_source(request, err);
}

/* The body without the rows of "data": those are for our own scanner, not for a JSON tree. */
static int take_out_data(const struct request *request, struct buf *rest,
                         const char **data, size_t *data_len, struct err *err)
{
    if (json_find_member(request->body, request->body_len, "data", data, data_len, err) <
        0)
        return -1;
    size_t before = *data ? (size_t)(*data - request->body) : request->body_len;
    buf_put(rest, request->body, before);
    if (*data) {
        buf_text(rest, "null");
        buf_put(rest, *data + *data_len, request->body_len - before - *data_len);
    }
    return buf_check(rest, err);
}

static int submit(struct service *service, const struct request *request, struct job *job,
                  struct err *err)
{
    struct jobs_request asked = {0};
    const char **features = NULL;
    const char **exclude = NULL;
    json_t *root = NULL;
    struct buf rest;
    int result = -1;

    buf_init(&rest, request->body_len + 16);
    if (take_out_data(request, &rest, &asked.data, &asked.data_len, err) < 0 ||
        json_read(request, rest.bytes ? rest.bytes : "", rest.len, &root, err) < 0 ||
        read_request(root, &asked, &features, &exclude, err) < 0)
        goto out;
    result = jobs_submit(service->jobs, &asked, job, err);
out:
    free(features);
    free(exclude);
    json_decref(root);
    buf_clear(&rest);
    return result;
}

/* --- handlers ------------------------------------------------------------------------ */

static int answer(struct response *response, struct job *job, struct err *err)
{
    struct writer writer;
    writer_init(&writer, &response->body);
    render_job(&writer, NULL, job);
    job_clear(job);
    return buf_check(&response->body, err);
}

int job_api_create(void *service, const struct request *request,
                   struct response *response, struct err *err)
{
    struct job job = {0};
    if (json_check_type(request, err) < 0 || submit(service, request, &job, err) < 0)
        return -1;
    response->status = 202;
    response_header(response, "Location", "/v1/jobs/%s", job.id);
    return answer(response, &job, err);
}

static int read_state(const struct request *request, int *state, struct err *err)
{
    const char *name = request_argument(request, "state");
    *state = -1;
    if (!name)
        return 0;
    *state = job_state_find(name);
    if (*state >= 0)
        return 0;
    return err_set(err, ERR_INVALID, "not_allowed",
                   "state may be queued, running, cancelling, succeeded, failed or "
                   "cancelled, not '%.40s'",
                   name);
}

int job_api_list(void *service, const struct request *request, struct response *response,
                 struct err *err)
{
    struct service *our = service;
    struct job *items = NULL;
    size_t n = 0;
    int state;
    struct page page;
    struct writer writer;

    if (page_read(request, &page, err) < 0 || read_state(request, &state, err) < 0 ||
        jobs_list(our->jobs, state, page.after, page.limit, &items, &n, err) < 0)
        return -1;
    writer_init(&writer, &response->body);
    page_open(&writer);
    for (size_t i = 0; i < n; i++)
        render_job(&writer, NULL, &items[i]);
    page_close(&writer, &page, n, n ? items[n - 1].seq : 0);
    for (size_t i = 0; i < n; i++)
        job_clear(&items[i]);
    free(items);
    return buf_check(&response->body, err);
}

int job_api_get(void *service, const struct request *request, struct response *response,
                struct err *err)
{
    struct service *our = service;
    struct job job = {0};
    if (jobs_get(our->jobs, request_param(request, "id"), &job, err) < 0)
        return -1;
    return answer(response, &job, err);
}

static void render_event(struct writer *writer, const struct job_epoch *epoch)
{
    writer_object(writer, NULL);
    writer_text(writer, "type", "epoch");
    writer_whole(writer, "epoch", epoch->epoch);
    writer_real(writer, "train_loss", epoch->train_loss);
    writer_real(writer, "validation_loss", epoch->validation_loss);
    writer_time(writer, "at", epoch->at_ms);
    writer_close(writer);
}

/* What was found from epoch `first` to `last`; *at is the next of the job's findings. */
static void render_found(struct writer *writer, const struct job *job, uint64_t first,
                         const struct job_epoch *last, size_t *at)
{
    for (; *at < job->n_findings && job->findings[*at].epoch <= last->epoch; ++*at) {
        if (job->findings[*at].epoch < first)
            continue;
        writer_object(writer, NULL);
        writer_text(writer, "type", "finding");
        render_finding(writer, &job->findings[*at]);
        writer_time(writer, "at", last->at_ms);
        writer_close(writer);
    }
}

/* The history, oldest first: unlike the lists of things, it is read forwards. */
int job_api_events(void *service, const struct request *request,
                   struct response *response, struct err *err)
{
    struct service *our = service;
    struct job job = {0};
    struct job_epoch *epochs = NULL;
    size_t n = 0;
    size_t found = 0;
    struct page page;
    struct writer writer;

    /* The job last: what was found in these epochs is written with them. */
    if (page_read(request, &page, err) < 0 ||
        jobs_history(our->jobs, request_param(request, "id"), (uint64_t)page.after,
                     page.limit, &epochs, &n, err) < 0)
        return -1;
    if (jobs_get(our->jobs, request_param(request, "id"), &job, err) < 0) {
        free(epochs);
        return -1;
    }
    writer_init(&writer, &response->body);
    page_open(&writer);
    for (size_t i = 0; i < n; i++) {
        render_event(&writer, &epochs[i]);
        render_found(&writer, &job, epochs[0].epoch, &epochs[i], &found);
    }
    page_close(&writer, &page, n, n ? (int64_t)epochs[n - 1].epoch : 0);
    job_clear(&job);
    free(epochs);
    return buf_check(&response->body, err);
}

int job_api_cancel(void *service, const struct request *request,
                   struct response *response, struct err *err)
{
    struct service *our = service;
    struct job job = {0};
    if (jobs_cancel(our->jobs, request_param(request, "id"), &job, err) < 0)
        return -1;
    response->status = 202;
    return answer(response, &job, err);
}
