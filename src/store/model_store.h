/*
 * model_store: every line of SQL about models and their versions. Functions run inside the
 * caller's transaction.
 */
#ifndef STORE_MODEL_STORE_H
#define STORE_MODEL_STORE_H

#include "entity/model.h"
#include "store/db.h"

/* Adds a version under version->model (made when new) and gives its number: one more than
 * the highest that ever was under this name while the name existed. */
int model_store_insert(struct db_tx *tx, const struct model_version *version,
                       uint64_t *number, struct err *err);

/* Reads one version (0: the newest) with encoder and weights after checking their digests
 * (ERR_CORRUPT), and with findings. ERR_NOT_FOUND "no_such_model" or "no_such_version". */
int model_store_get_version(struct db_tx *tx, const char *name, uint64_t number,
                            struct model_version *version, struct err *err);

/* Reads a name with all its versions, newest first, without encoder and weights. */
int model_store_get(struct db_tx *tx, const char *name, struct model *model,
                    struct err *err);

/* Up to `limit` names, newest first, with seq below `before` (0: from the newest). */
int model_store_list(struct db_tx *tx, int64_t before, size_t limit, struct model **items,
                     size_t *n, struct err *err);

/* Removes a name with all versions, or one version (the name goes with its last one).
 * ERR_NOT_FOUND as above. */
int model_store_delete(struct db_tx *tx, const char *name, struct err *err);
int model_store_delete_version(struct db_tx *tx, const char *name, uint64_t number,
                               struct err *err);

#endif
