#include "entity/metrics.h"

#include <stdlib.h>

#include "base/endian.h"
#include "base/mem.h"

#define METRICS_VERSION     1
#define METRICS_CLASSES_MAX 4096

const char *metrics_part_name(enum metrics_part part)
{
    static const char *const names[] = {[METRICS_TRAIN] = "train",
                                        [METRICS_VALIDATION] = "validation",
                                        [METRICS_TEST] = "test"};
    return names[part];
}

void metrics_clear(struct metrics *metrics)
{
    for (int i = 0; i < METRICS_PART_COUNT; i++)
        free(metrics->parts[i].confusion);
    *metrics = (struct metrics){0};
}

static void encode_scores(const struct metrics_scores *scores, struct buf *out)
{
    endian_put_u64(out, scores->n_rows);
    if (scores->n_rows == 0)
        return;
    endian_put_u64(out, scores->n_classes);
    if (scores->n_classes == 0) {
        endian_put_f64(out, scores->regression.r2);
        endian_put_f64(out, scores->regression.rmse);
        endian_put_f64(out, scores->regression.mae);
        return;
    }
    endian_put_f64(out, scores->classes.accuracy);
    endian_put_f64(out, scores->classes.balanced_accuracy);
    endian_put_f64(out, scores->classes.f1_macro);
    endian_put_f64(out, scores->classes.log_loss);
    for (uint64_t i = 0; i < scores->n_classes * scores->n_classes; i++)
        endian_put_u64(out, scores->confusion[i]);
}

void metrics_encode(const struct metrics *metrics, struct buf *out)
{
    endian_put_u8(out, METRICS_VERSION);
    for (int i = 0; i < METRICS_PART_COUNT; i++)
        encode_scores(&metrics->parts[i], out);
}

static int corrupt(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "corrupt", "stored metrics are damaged");
}

static int decode_scores(struct endian_reader *reader, struct metrics_scores *scores,
                         struct err *err)
{
    scores->n_rows = endian_get_u64(reader);
    if (scores->n_rows == 0)
        return 0;
    uint64_t n_classes = endian_get_u64(reader);
    if (n_classes > METRICS_CLASSES_MAX)
        return corrupt(err);
    if (n_classes == 0) {
        scores->regression.r2 = endian_get_f64(reader);
        scores->regression.rmse = endian_get_f64(reader);
        scores->regression.mae = endian_get_f64(reader);
        return 0;
    }
    scores->classes.accuracy = endian_get_f64(reader);
    scores->classes.balanced_accuracy = endian_get_f64(reader);
    scores->classes.f1_macro = endian_get_f64(reader);
    scores->classes.log_loss = endian_get_f64(reader);
    size_t n = (size_t)(n_classes * n_classes);
    if (endian_left(reader) / 8 < n)
        return corrupt(err);
    scores->confusion = mem_new(n, sizeof *scores->confusion, err);
    if (!scores->confusion)
        return -1;
    scores->n_classes = n_classes;
    for (size_t i = 0; i < n; i++)
        scores->confusion[i] = endian_get_u64(reader);
    return 0;
}

int metrics_decode(const void *bytes, size_t len, struct metrics *metrics,
                   struct err *err)
{
    struct metrics decoded = {0};
    struct endian_reader reader;
    int result = 0;

    endian_reader_init(&reader, bytes, len);
    if (len && endian_get_u8(&reader) != METRICS_VERSION)
        return corrupt(err);
    for (int i = 0; len && result == 0 && i < METRICS_PART_COUNT; i++)
        result = decode_scores(&reader, &decoded.parts[i], err);
    if (result == 0 && (reader.failed || endian_left(&reader)))
        result = corrupt(err);
    if (result == 0)
        *metrics = decoded;
    else
        metrics_clear(&decoded);
    return result;
}
