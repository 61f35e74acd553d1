/* metrics: the scores of a model on its parts of a table. One owner. */
#ifndef ENTITY_METRICS_H
#define ENTITY_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/metric.h"

enum metrics_part { METRICS_TRAIN, METRICS_VALIDATION, METRICS_TEST, METRICS_PART_COUNT };

const char *metrics_part_name(enum metrics_part part);

struct metrics_scores {
    uint64_t n_rows;    /* 0: the part has no rows, nothing else is set */
    uint64_t n_classes; /* 0: regression */
    struct metric_regression regression;
    struct metric_classes classes;
    uint64_t *confusion; /* owned [n_classes x n_classes], or NULL */
};

struct metrics {
    struct metrics_scores parts[METRICS_PART_COUNT];
};

void metrics_clear(struct metrics *metrics);

/* Stored form; an empty input decodes to no scores. Decoding distrusts: ERR_CORRUPT. */
void metrics_encode(const struct metrics *metrics, struct buf *out);
int metrics_decode(const void *bytes, size_t len, struct metrics *metrics,
                   struct err *err);

#endif
