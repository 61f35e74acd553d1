/* dataset: an uploaded table as the service knows it. One owner. */
#ifndef ENTITY_DATASET_H
#define ENTITY_DATASET_H

#include <stdint.h>

#include "base/digest.h"
#include "base/id.h"
#include "table/table.h"
#include "table/warnings.h"

#define DATASET_NAME_SIZE 129

struct dataset {
    char id[ID_SIZE];
    char name[DATASET_NAME_SIZE];
    struct table table;           /* schema and profile; values only when loaded */
    uint64_t n_bytes;             /* of the upload */
    char sha256[DIGEST_HEX_SIZE]; /* of the upload */
    int64_t created_at_ms;
    struct warnings warnings; /* what the reader noticed */
    int64_t seq;              /* its place in lists; set by the store */
};

/* Releases what it owns; zeroed is fine. */
void dataset_clear(struct dataset *dataset);

#endif
