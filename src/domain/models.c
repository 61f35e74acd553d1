#include "domain/models.h"

#include "store/model_store.h"
#include "table/encoder_codec.h"

int models_list(struct db *db, int64_t before, size_t limit, struct model **items,
                size_t *n, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_READ, &tx, err) < 0)
        return -1;
    return db_end(tx, model_store_list(tx, before, limit, items, n, err), err);
}

int models_get(struct db *db, const char *name, struct model *model, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_READ, &tx, err) < 0)
        return -1;
    return db_end(tx, model_store_get(tx, name, model, err), err);
}

int models_get_version(struct db *db, const char *name, uint64_t number,
                       struct model_version *version, struct encoder *encoder,
                       struct err *err)
{
    struct model_version found = {0};
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_READ, &tx, err) < 0)
        return -1;
    int result = model_store_get_version(tx, name, number, &found, err);
    db_rollback(tx);
    if (result == 0)
        result = encoder_codec_decode(found.encoder, found.encoder_len, encoder, err);
    if (result == 0)
        *version = found;
    else
        model_version_clear(&found);
    return result;
}

static int delete_stored(struct db *db, const char *name, uint64_t number,
                         struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_WRITE, &tx, err) < 0)
        return -1;
    int result = number ? model_store_delete_version(tx, name, number, err)
                        : model_store_delete(tx, name, err);
    return db_end(tx, result, err);
}

int models_delete(struct db *db, struct predictor *predictor, const char *name,
                  uint64_t number, struct err *err)
{
    predictor_hold(predictor, name);
    int result = delete_stored(db, name, number, err);
    predictor_release(predictor, name);
    return result;
}
