#include "api/dataset_api.h"

#include <stdlib.h>
#include <math.h>
#include <string.h>

#include "api/page.h"
#include "api/render.h"
#include "api/service.h"
#include "domain/datasets.h"

#define ROWS_LIMIT_DEFAULT 20
#define ROWS_LIMIT_MAX     10000

static int find_delimiter(const struct request *request, char *delimiter, struct err *err)
{
    if (!request_header(request, "Content-Type") || request_has_type(request, "text/csv"))
        *delimiter = ',';
    else if (request_has_type(request, "text/tab-separated-values"))
        *delimiter = '\t';
    else
        return err_set(err, ERR_UNSUPPORTED, "unsupported_media_type",
                       "a dataset is uploaded as Content-Type: text/csv or "
                       "text/tab-separated-values (curl: -H 'Content-Type: text/csv' "
                       "--data-binary @file.csv)");
    return 0;
}

int dataset_api_create(void *service, const struct request *request,
                       struct response *response, struct err *err)
{
    struct service *our = service;
    struct dataset dataset = {0};
    struct writer writer;
    char delimiter = 0;

    if (find_delimiter(request, &delimiter, err) < 0 ||
        datasets_create(our->db, request_argument(request, "name"), delimiter,
                        request->body, request->body_len, &dataset, err) < 0)
        return -1;
    response->status = 201;
    response_header(response, "Location", "/v1/datasets/%s", dataset.id);
    writer_init(&writer, &response->body);
    render_dataset(&writer, NULL, &dataset);
    dataset_clear(&dataset);
    return buf_check(&response->body, err);
}

int dataset_api_list(void *service, const struct request *request,
                     struct response *response, struct err *err)
{
    struct service *our = service;
    struct dataset *items = NULL;
    size_t n = 0;
    struct page page;
    struct writer writer;

    if (page_read(request, &page, err) < 0 ||
        datasets_list(our->db, page.after, page.limit, &items, &n, err) < 0)
        return -1;
    writer_init(&writer, &response->body);
    page_open(&writer);
    for (size_t i = 0; i < n; i++)
        render_dataset(&writer, NULL, &items[i]);
    page_close(&writer, &page, n, n ? items[n - 1].seq : 0);
    for (size_t i = 0; i < n; i++)
        dataset_clear(&items[i]);
    free(items);
    return buf_check(&response->body, err);
}

int dataset_api_get(void *service, const struct request *request,
                    struct response *response, struct err *err)
{
    struct service *our = service;
    struct dataset dataset = {0};
    struct writer writer;

    if (datasets_get(our->db, request_param(request, "id"), &dataset, err) < 0)
        return -1;
    writer_init(&writer, &response->body);
    render_dataset(&writer, NULL, &dataset);
    dataset_clear(&dataset);
    return buf_check(&response->body, err);
}

static void render_cell(struct writer *writer, const struct table_column *column,
                        size_t row)
{
    if (column->kind != TABLE_CATEGORICAL)
        writer_real(writer, NULL, column->values[row]); /* NaN, missing, prints null */
    else if (column->codes[row] == TABLE_MISSING)
        writer_null(writer, NULL);
    else
        writer_text(writer, NULL, column->levels[column->codes[row]]);
}

static void render_rows(struct writer *writer, const struct table *table)
{
    writer_array(writer, "columns");
    for (size_t i = 0; i < table->n_columns; i++)
        writer_text(writer, NULL, table->columns[i].name);
    writer_close(writer);
    writer_array(writer, "data");
    for (size_t row = 0; row < table->n_rows; row++) {
        writer_array(writer, NULL);
        for (size_t i = 0; i < table->n_columns; i++)
            render_cell(writer, &table->columns[i], row);
        writer_close(writer);
    }
    writer_close(writer);
}

int dataset_api_rows(void *service, const struct request *request,
                     struct response *response, struct err *err)
{
    struct service *our = service;
    struct dataset dataset = {0};
    struct writer writer;
    size_t offset = 0;
    size_t limit = ROWS_LIMIT_DEFAULT;
    size_t n_rows = 0;

    if (request_number(request, "offset", 0, INT64_MAX, &offset, err) < 0 ||
        request_number(request, "limit", 1, ROWS_LIMIT_MAX, &limit, err) < 0 ||
        datasets_load(our->db, request_param(request, "id"), offset, limit, &dataset,
                      &n_rows, err) < 0)
        return -1;
    writer_init(&writer, &response->body);
    writer_object(&writer, NULL);
    writer_text(&writer, "dataset", dataset.id);
    writer_whole(&writer, "rows", n_rows);
    writer_whole(&writer, "offset", offset);
    render_rows(&writer, &dataset.table);
    writer_close(&writer);
    dataset_clear(&dataset);
    return buf_check(&response->body, err);
}

int dataset_api_delete(void *service, const struct request *request,
                       struct response *response, struct err *err)
{
    struct service *our = service;
    response->status = 204;
    return datasets_delete(our->db, request_param(request, "id"), err);
}
