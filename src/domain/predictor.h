/*
 * predictor: models ready to predict, cached in memory. A loaded model is immutable and
 * reference-counted: a request that holds one is not disturbed by its deletion. Thread-safe;
 * no lock is held while computing or loading, and a warm prediction touches no database.
 */
#ifndef DOMAIN_PREDICTOR_H
#define DOMAIN_PREDICTOR_H

#include <stdint.h>

#include "core/mlp.h"
#include "entity/dataset.h"
#include "table/cells.h"
#include "table/encoder.h"
#include "table/warnings.h"

struct db;

/* One loaded version. Users read it; only the cache writes its own fields. */
struct predictor_model {
    char name[DATASET_NAME_SIZE];
    uint64_t version;
    struct encoder encoder;
    struct mlp mlp; /* folded (mlp_fold) */
    /* the cache's own, under its lock */
    unsigned n_users; /* the cache itself counts as one */
    uint64_t last_use;
    bool is_latest; /* found when no version is asked for */
};

struct predictor;

/* A cache of at most max_models; db is borrowed. */
int predictor_open(struct db *db, size_t max_models, struct predictor **predictor,
                   struct err *err);
void predictor_close(
    struct predictor *predictor); /* no model may be in use; NULL allowed */

/* The model of that name and version (0: the newest), loaded if need be; give it back with
 * predictor_put. ERR_NOT_FOUND, ERR_CORRUPT. */
int predictor_get(struct predictor *predictor, const char *name, uint64_t version,
                  struct predictor_model **model, struct err *err);
void predictor_put(struct predictor *predictor, struct predictor_model *model);

/* Around the transaction that adds or removes a version of that name: from hold to release
 * nothing of it is found in the cache, so that whoever sees the transaction's result finds the
 * version that it made newest. */
void predictor_hold(struct predictor *predictor, const char *name);
void predictor_release(struct predictor *predictor, const char *name);

/* What a model says about rows. */
struct prediction {
    size_t n_rows;
    size_t n_classes;     /* 0: regression */
    double *values;       /* owned [n_rows]; regression */
    float *probabilities; /* owned [n_rows x n_classes]; classes */
};

/* Predicts each row of cells (table/encoder.h, encoder_apply, for errors and warnings). */
int predictor_predict(const struct predictor_model *model, const struct cells *cells,
                      struct prediction *prediction, struct warnings *warnings,
                      struct err *err);
void prediction_clear(struct prediction *prediction);

#endif
