/* models: what people do with trained models besides predicting. Thread-safe; may block. */
#ifndef DOMAIN_MODELS_H
#define DOMAIN_MODELS_H

#include "domain/predictor.h"
#include "entity/model.h"

struct db;

/* Lists names with their versions, newest first (see datasets_list for the paging). */
int models_list(struct db *db, int64_t before, size_t limit, struct model **items,
                size_t *n, struct err *err);

/* Describes a name. ERR_NOT_FOUND "no_such_model". */
int models_get(struct db *db, const char *name, struct model *model, struct err *err);

/* Describes one version (0: the newest) with its encoder, decoded into *encoder; both are
 * owned by the caller. */
int models_get_version(struct db *db, const char *name, uint64_t number,
                       struct model_version *version, struct encoder *encoder,
                       struct err *err);

/* Removes a name with all versions (number 0) or one version, in the cache too; requests in
 * flight finish. */
int models_delete(struct db *db, struct predictor *predictor, const char *name,
                  uint64_t number, struct err *err);

#endif
