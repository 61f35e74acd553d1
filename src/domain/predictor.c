#include "domain/predictor.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/weights.h"
#include "domain/scores.h"
#include "store/model_store.h"
#include "table/encoder_codec.h"

struct predictor {
    struct db *db; /* borrowed */
    size_t max_models;
    pthread_mutex_t lock; /* guards everything below, and the counters in the models */
    size_t n_models;
    struct predictor_model **models; /* owned [max_models] */
    uint64_t clock;                  /* for last_use */
    uint64_t
        generation; /* counts what was forgotten: a load that began before must not be
                            cached after it */
    size_t n_holds; /* nothing is cached meanwhile */
};

int predictor_open(struct db *db, size_t max_models, struct predictor **predictor,
                   struct err *err)
{
    struct predictor *made = mem_new(1, sizeof *made, err);
    if (!made)
        return -1;
    made->models = mem_new(max_models, sizeof(struct predictor_model *), err);
    if (!made->models) {
        free(made);
        return -1;
    }
    made->db = db;
    made->max_models = max_models;
    pthread_mutex_init(&made->lock, NULL);
    *predictor = made;
    return 0;
}

static void model_free(struct predictor_model *model)
{
    encoder_clear(&model->encoder);
    mlp_clear(&model->mlp);
    free(model);
}

/* Both under the lock: the last user frees, after unlocking. */
static struct predictor_model *release(struct predictor_model *model)
{
    return --model->n_users == 0 ? model : NULL;
}

static struct predictor_model *drop(struct predictor *predictor, size_t i)
{
    struct predictor_model *model = predictor->models[i];
    predictor->models[i] = predictor->models[--predictor->n_models];
    return release(model);
}

void predictor_close(struct predictor *predictor)
{
    if (!predictor)
        return;
    for (size_t i = 0; i < predictor->n_models; i++)
        model_free(predictor->models[i]);
    free(predictor->models);
    pthread_mutex_destroy(&predictor->lock);
    free(predictor);
}

/* The stored net has all that training could go on from; what predicts is folded. */
static int decode_net(const struct model_version *stored, struct mlp *mlp,
                      struct err *err)
{
    struct mlp trained = {0};
    if (weights_decode(stored->weights, stored->weights_len, &trained, err) < 0)
        return -1;
    int result = mlp_fold(&trained, mlp, err);
    mlp_clear(&trained);
    return result;
}

/* Decodes what the store gave. The codecs trust nothing, and the two parts must fit. */
static int decode(const struct model_version *stored, struct predictor_model *model,
                  struct err *err)
{
    if (encoder_codec_decode(stored->encoder, stored->encoder_len, &model->encoder, err) <
            0 ||
        decode_net(stored, &model->mlp, err) < 0)
        return -1;
    size_t n_outputs = mlp_n_outputs(&model->mlp);
    size_t k = model->encoder.target.n_classes;
    if (mlp_n_inputs(&model->mlp) != model->encoder.n_features ||
        (n_outputs != 1 && n_outputs != k) || (k == 0 && n_outputs != 1) ||
        (n_outputs == 1 && k > 2))
        return err_set(err, ERR_CORRUPT, "corrupt",
                       "the stored encoder and weights do not fit together");
    memcpy(model->name, stored->model, sizeof model->name);
    model->version = stored->version;
    return 0;
}

static struct predictor_model *load(struct predictor *predictor, const char *name,
                                    uint64_t version, struct err *err)
{
    struct model_version stored = {0};
    struct db_tx *tx = NULL;
    if (db_begin(predictor->db, DB_READ, &tx, err) < 0)
        return NULL;
    int result = model_store_get_version(tx, name, version, &stored, err);
    db_rollback(tx);

    struct predictor_model *model = NULL;
    if (result == 0 && (model = mem_new(1, sizeof *model, err)) &&
        decode(&stored, model, err) < 0) {
        model_free(model);
        model = NULL;
    }
    model_version_clear(&stored);
    return model;
}

static size_t find(const struct predictor *predictor, const char *name, uint64_t version)
{
    for (size_t i = 0; i < predictor->n_models; i++) {
        const struct predictor_model *model = predictor->models[i];
        if ((version ? model->version == version : model->is_latest) &&
            strcmp(model->name, name) == 0)
            return i;
    }
    return SIZE_MAX;
}

static size_t oldest(const struct predictor *predictor)
{
    size_t found = 0;
    for (size_t i = 1; i < predictor->n_models; i++)
        if (predictor->models[i]->last_use < predictor->models[found]->last_use)
            found = i;
    return found;
}

static struct predictor_model *take_cached(struct predictor *predictor, const char *name,
                                           uint64_t version, uint64_t *generation)
{
    struct predictor_model *model = NULL;
    pthread_mutex_lock(&predictor->lock);
    size_t i = find(predictor, name, version);
    if (i != SIZE_MAX) {
        model = predictor->models[i];
        model->n_users++;
        model->last_use = ++predictor->clock;
    }
    *generation = predictor->generation;
    pthread_mutex_unlock(&predictor->lock);
    return model;
}

/* Puts a fresh model into the cache for others, unless its name changed meanwhile. */
static void share(struct predictor *predictor, struct predictor_model *model,
                  bool is_latest, uint64_t generation)
{
    struct predictor_model *unused[2] = {NULL, NULL};
    pthread_mutex_lock(&predictor->lock);
    model->n_users = 1;
    if (predictor->generation == generation && predictor->n_holds == 0) {
        size_t same = find(predictor, model->name, model->version);
        if (same != SIZE_MAX) {
            is_latest = is_latest || predictor->models[same]->is_latest;
            unused[0] = drop(predictor, same);
        }
        if (predictor->n_models == predictor->max_models)
            unused[1] = drop(predictor, oldest(predictor));
        model->is_latest = is_latest;
        model->last_use = ++predictor->clock;
        model->n_users++;
        predictor->models[predictor->n_models++] = model;
    }
    pthread_mutex_unlock(&predictor->lock);
    for (int i = 0; i < 2; i++)
        if (unused[i])
            model_free(unused[i]);
}

int predictor_get(struct predictor *predictor, const char *name, uint64_t version,
                  struct predictor_model **model, struct err *err)
{
    uint64_t generation;
    *model = take_cached(predictor, name, version, &generation);
    if (*model)
        return 0;
    struct predictor_model *loaded = load(predictor, name, version, err);
    if (!loaded)
        return -1;
    share(predictor, loaded, version == 0, generation);
    *model = loaded;
    return 0;
}

void predictor_put(struct predictor *predictor, struct predictor_model *model)
{
    pthread_mutex_lock(&predictor->lock);
    struct predictor_model *unused = release(model);
    pthread_mutex_unlock(&predictor->lock);
    if (unused)
        model_free(unused);
}

/* Under the lock. */
static void forget(struct predictor *predictor, const char *name)
{
    predictor->generation++;
    for (size_t i = predictor->n_models; i-- > 0;) {
        if (strcmp(predictor->models[i]->name, name) != 0)
            continue;
        struct predictor_model *dropped = drop(predictor, i);
        if (dropped)
            model_free(dropped);
    }
}

void predictor_hold(struct predictor *predictor, const char *name)
{
    pthread_mutex_lock(&predictor->lock);
    predictor->n_holds++;
    forget(predictor, name);
    pthread_mutex_unlock(&predictor->lock);
}

void predictor_release(struct predictor *predictor, const char *name)
{
    pthread_mutex_lock(&predictor->lock);
    predictor->n_holds--;
    forget(predictor, name);
    pthread_mutex_unlock(&predictor->lock);
}

int predictor_predict(const struct predictor_model *model, const struct cells *cells,
                      struct prediction *prediction, struct warnings *warnings,
                      struct err *err)
{
    const struct encoder *encoder = &model->encoder;
    size_t n = cells->n_rows;
    struct prediction made = {.n_rows = n, .n_classes = encoder->target.n_classes};
    float *x = mem_new(n * encoder->n_features, sizeof *x, err);
    if (made.n_classes)
        made.probabilities = mem_new(n * made.n_classes, sizeof *made.probabilities, err);
    else
        made.values = mem_new(n, sizeof *made.values, err);
    int result = -1;
    if (x && (made.values || made.probabilities) &&
        encoder_apply(encoder, cells, x, warnings, err) == 0)
        result = scores_forward(encoder, &model->mlp, x, n, made.values,
                                made.probabilities, err);
    free(x);
    if (result == 0)
        *prediction = made;
    else
        prediction_clear(&made);
    return result;
}

void prediction_clear(struct prediction *prediction)
{
    free(prediction->values);
    free(prediction->probabilities);
    *prediction = (struct prediction){0};
}
