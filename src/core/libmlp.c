#include "core/libmlp.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "core/estimator.h"
#include "core/gemm.h"
#include "core/weights.h"

/* --- options ---------------------------------------------------------------------------- */

const char *libmlp_version(void)
{
    return MLPD_VERSION;
}

void libmlp_options_init(struct libmlp_options *options, enum libmlp_task task)
{
    static const size_t one_layer[] = {100};
    *options = (struct libmlp_options){
        .task = task,
        .hidden_layer_sizes = one_layer,
        .n_hidden = 1,
        .activation = "relu",
        .output_activation = "auto",
        .normalization = "none",
        .init = "glorot_uniform",
        .init_std = 0.1,
        .parametrization = "standard",
        .periodic_frequencies = 16,
        .periodic_width = 4,
        .frequency_scale = 0.1,
        .n_classes = LIBMLP_AUTO,
        .loss = "auto",
        .delta = 1,
        .over = 1,
        .under = 1,
        .q = 0.5,
        .class_weight = "none",
        .solver = "adam",
        .learning_rate = 0.001,
        .schedule = "constant",
        .power_t = 0.5,
        .momentum = 0.9,
        .nesterov = true,
        .beta_1 = 0.9,
        .beta_2 = 0.999,
        .epsilon = 1e-8,
        .rho = 0.9,
        .weight_decay = 0.01,
        .bias_rate_factor = 1,
        .gain_rate_factor = 1,
        .scale_rate_factor = 1,
        .embedding_rate_factor = 1,
        .alpha = 1e-4,
        .regularization_schedule = "constant",
        .batch_size = LIBMLP_AUTO,
        .max_iter = 200,
        .tol = 1e-4,
        .n_iter_no_change = 10,
        .validation_fraction = 0.1,
        .shuffle = true,
    };
}

/* The core's check of its own arithmetic, once in a process. */
static int start(struct err *err)
{
    enum { NOT_YET, UNDER_WAY, FINE };
    static atomic_int state = NOT_YET;
    int seen = NOT_YET;
    while (!atomic_compare_exchange_weak(&state, &seen, UNDER_WAY)) {
        if (seen == FINE)
            return 0;
        seen = NOT_YET;
    }
    int rc = gemm_start(err);
    atomic_store(&state, rc < 0 ? NOT_YET : FINE);
    return rc;
}

static int new_mlp(const struct libmlp_options *options, struct libmlp **mlp,
                   struct err *err)
{
    if (estimator_check_given(options, "/options", err) < 0 ||
        estimator_check_given(mlp, "/mlp", err) < 0 || start(err) < 0)
        return -1;
    struct libmlp *made = mem_new(1, sizeof *made, err);
    if (!made)
        return -1;
    if (settings_read(options, &made->settings, err) < 0) {
        free(made);
        return -1;
    }
    *mlp = made;
    return 0;
}

int libmlp_new(const struct libmlp_options *options, struct libmlp **mlp,
               struct libmlp_error *error)
{
    struct err err = {0};
    return estimator_finish(new_mlp(options, mlp, &err), &err, error);
}

void libmlp_free(struct libmlp *mlp)
{
    if (!mlp)
        return;
    mlp_clear(&mlp->net);
    settings_clear(&mlp->settings);
    optim_clear(&mlp->optim);
    free(mlp->history.epochs);
    free(mlp);
}

/* --- what is known of it ---------------------------------------------------------------- */

size_t libmlp_n_parameters(const struct libmlp *mlp)
{
    return mlp ? mlp->net.n_parameters : 0;
}

size_t libmlp_n_inputs(const struct libmlp *mlp)
{
    return mlp && estimator_is_fitted(mlp) ? mlp_n_inputs(&mlp->net) : 0;
}

size_t libmlp_n_targets(const struct libmlp *mlp)
{
    if (!mlp || !estimator_is_fitted(mlp))
        return 0;
    return mlp->settings.task == LIBMLP_CLASSIFIER ? 1 : mlp->n;
}

size_t libmlp_n_classes(const struct libmlp *mlp)
{
    return mlp && estimator_is_fitted(mlp) && mlp->settings.task != LIBMLP_REGRESSOR
               ? mlp->n
               : 0;
}

const struct libmlp_epoch *libmlp_history(const struct libmlp *mlp, size_t *n)
{
    size_t n_epochs = mlp ? mlp->history.n : 0;
    if (n)
        *n = n_epochs;
    return n_epochs ? mlp->history.epochs : NULL;
}

/* --- bytes ------------------------------------------------------------------------------ */

int libmlp_save(const struct libmlp *mlp, void **bytes, size_t *len,
                struct libmlp_error *error)
{
    struct err err = {0};
    struct buf buf;
    int rc = -1;
    buf_init(&buf, SIZE_MAX / 4);
    if (estimator_check_fitted(mlp, &err) < 0 ||
        estimator_check_given(bytes, "/bytes", &err) < 0 ||
        estimator_check_given(len, "/len", &err) < 0)
        goto out;
    weights_encode(&mlp->net, &buf);
    if (buf_check(&buf, &err) < 0)
        goto out;
    *bytes = buf_take(&buf, len);
    rc = 0;
out:
    buf_clear(&buf);
    return estimator_finish(rc, &err, error);
}

/* Does a net that was read suit the options? Writes its classes, labels or columns. */
static int check_loaded(const struct settings *settings, const struct mlp *net, size_t *n,
                        struct err *err)
{
    bool is_classifier = settings->task == LIBMLP_CLASSIFIER;
    size_t k = mlp_n_outputs(net);
    if (!settings_loss_suits(settings->task, net->loss) ||
        (is_classifier && net->loss == LOSS_BINARY_CROSS_ENTROPY && k != 1))
        return err_set_at(err, ERR_INVALID, "wrong_loss", "/bytes",
                          "the weights are of a net with loss %s and %zu outputs, "
                          "which is for another task",
                          loss_name(net->loss), k);
    *n = is_classifier && k == 1 ? 2 : k;
    if (settings->n_classes && settings->n_classes != *n)
        return err_set_at(err, ERR_INVALID, "wrong_width", "/bytes",
                          "the weights know %zu classes, but n_classes is %zu", *n,
                          settings->n_classes);
    return loss_check(net->loss, &settings->loss_options, err);
}

static int load(struct libmlp *mlp, const void *bytes, size_t len, struct err *err)
{
    struct mlp net = {0};
    size_t n = 0;
    if (estimator_check_given(mlp, "/mlp", err) < 0 ||
        estimator_check_given(bytes, "/bytes", err) < 0)
        return -1;
    if (weights_decode(bytes, len, &net, err) < 0) {
        if (err->pointer[0] == '\0')
            snprintf(err->pointer, sizeof err->pointer, "/bytes");
        return -1;
    }
    if (check_loaded(&mlp->settings, &net, &n, err) < 0) {
        mlp_clear(&net);
        return -1;
    }
    net.loss_options = mlp->settings.loss_options; /* only training needs them */
    mlp_clear(&mlp->net);
    optim_clear(&mlp->optim);
    mlp->net = net;
    mlp->n = n;
    mlp->history.n = 0;
    return 0;
}

int libmlp_load(struct libmlp *mlp, const void *bytes, size_t len,
                struct libmlp_error *error)
{
    struct err err = {0};
    return estimator_finish(load(mlp, bytes, len, &err), &err, error);
}
