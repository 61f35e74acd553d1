#include "api/predict_api.h"

#include <math.h>
#include <stdlib.h>

#include "api/model_api.h"
#include "api/render.h"
#include "api/service.h"
#include "base/mem.h"
#include "core/metric.h"
#include "domain/predictor.h"
#include "table/csv.h"
#include "table/json_rows.h"

static int read_json(const struct request *request, const struct encoder *encoder,
                     struct cells *cells, struct err *err)
{
    const char **names = mem_new(encoder->n_columns, sizeof *names, err);
    if (!names)
        return -1;
    for (size_t i = 0; i < encoder->n_columns; i++)
        names[i] = encoder->columns[i].name;
    int result = json_rows_read(request->body, request->body_len, names,
                                encoder->n_columns, cells, err);
    free(names);
    return result;
}

static int read_cells(const struct request *request, const struct encoder *encoder,
                      struct cells *cells, struct err *err)
{
    if (request_has_type(request, "application/json"))
        return read_json(request, encoder, cells, err);
    if (request_has_type(request, "text/csv"))
        return csv_read(request->body, request->body_len, ',', cells, err);
    if (request_has_type(request, "text/tab-separated-values"))
        return csv_read(request->body, request->body_len, '\t', cells, err);
    return err_set(err, ERR_UNSUPPORTED, "unsupported_media_type",
                   "predictions take Content-Type: application/json, text/csv or "
                   "text/tab-separated-values");
}

static void render_values(struct writer *writer, const struct prediction *prediction,
                          struct warnings *warnings)
{
    writer_array(writer, "predictions");
    for (size_t i = 0; i < prediction->n_rows; i++) {
        float value = (float)prediction->values[i];
        if (!isfinite(value))
            warnings_add(warnings, "not_finite", NULL, i + 1,
                         "the model's output is not a finite number");
        writer_float(writer, NULL, value);
    }
    writer_close(writer);
}

static void render_labels(struct writer *writer, const struct encoder_target *target,
                          const struct prediction *prediction)
{
    size_t k = prediction->n_classes;
    writer_array(writer, "predictions");
    for (size_t i = 0; i < prediction->n_rows; i++)
        render_class(writer, target, metric_argmax(prediction->probabilities + i * k, k));
    writer_close(writer);
    writer_array(writer, "probabilities");
    for (size_t i = 0; i < prediction->n_rows; i++) {
        writer_array(writer, NULL);
        for (size_t j = 0; j < k; j++)
            writer_float(writer, NULL, prediction->probabilities[i * k + j]);
        writer_close(writer);
    }
    writer_close(writer);
    render_classes(writer, target);
}

static void render_prediction(struct buf *out, const struct predictor_model *model,
                              const struct prediction *prediction,
                              struct warnings *warnings)
{
    struct writer writer;
    writer_init(&writer, out);
    writer_object(&writer, NULL);
    writer_text(&writer, "model", model->name);
    writer_whole(&writer, "version", model->version);
    if (prediction->n_classes)
        render_labels(&writer, &model->encoder.target, prediction);
    else
        render_values(&writer, prediction, warnings);
    render_warnings(&writer, warnings);
    writer_close(&writer);
}

static int predict(const struct request *request, const struct predictor_model *model,
                   struct response *response, struct err *err)
{
    struct cells cells;
    struct prediction prediction = {0};
    struct warnings warnings = {0};

    cells_init(&cells, request->body_len);
    int result = read_cells(request, &model->encoder, &cells, err);
    if (result == 0)
        result = predictor_predict(model, &cells, &prediction, &warnings, err);
    if (result == 0) {
        render_prediction(&response->body, model, &prediction, &warnings);
        result = buf_check(&response->body, err);
    }
    cells_clear(&cells);
    prediction_clear(&prediction);
    warnings_clear(&warnings);
    return result;
}

int predict_api_create(void *service, const struct request *request,
                       struct response *response, struct err *err)
{
    struct service *our = service;
    struct predictor_model *model = NULL;
    uint64_t version = 0;

    if (model_api_version(request, &version, err) < 0 ||
        predictor_get(our->predictor, request_param(request, "name"), version, &model,
                      err) < 0)
        return -1;
    int result = predict(request, model, response, err);
    predictor_put(our->predictor, model);
    return result;
}
