/* model: a name, and its immutable versions. One owner. */
#ifndef ENTITY_MODEL_H
#define ENTITY_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/id.h"
#include "core/doctor.h"
#include "entity/dataset.h"
#include "entity/metrics.h"
#include "entity/parameters.h"
#include "table/encoder.h"

/* One version of a model, named by somebody who needs it. */
struct model_reference {
    char model[DATASET_NAME_SIZE]; /* "": none */
    uint64_t version;
    char weights_sha256[DIGEST_HEX_SIZE]; /* tells it from a later one of that number */
};

struct model_version {
    char id[ID_SIZE];
    char model[DATASET_NAME_SIZE];
    uint64_t version; /* from 1; not used again while the name exists */
    char job_id[ID_SIZE];
    char dataset_id[ID_SIZE];
    char dataset_sha256[DIGEST_HEX_SIZE];
    enum encoder_task task;
    struct parameters parameters; /* resolved */
    struct metrics metrics;
    struct model_reference warm_start; /* whose training went on in it */
    uint64_t n_weights;
    char weights_sha256[DIGEST_HEX_SIZE];
    char libraries[128]; /* BLAS build and kernel it was trained with */
    int64_t created_at_ms;
    char *encoder; /* owned bytes (table/encoder_codec.h); NULL unless loaded */
    size_t encoder_len;
    char *weights; /* owned bytes (core/weights.h); NULL unless loaded */
    size_t weights_len;
    struct doctor_finding
        *findings; /* owned: of the training that made it; NULL: none, or
                                        not loaded */
    size_t n_findings;
};

void model_version_clear(struct model_version *version);

/* A name with its versions, newest first. */
struct model {
    char name[DATASET_NAME_SIZE];
    uint64_t latest;
    size_t n_versions;
    struct model_version *versions; /* owned [n_versions], without encoder and weights */
    int64_t seq;                    /* its place in lists */
};

void model_clear(struct model *model);

#endif
