#include <string.h>

#include "base/endian.h"
#include "core/fit_state.h"

/* Magic, what the fit is, where it is; then arrays as they lie in memory, for a checkpoint is
 * read by the machine, or at least the kind of machine, that wrote it. The number shows which
 * end of it comes first. */
static const char magic[8] = "mlpdfit1";
static const uint32_t byte_order = 0x01020304;

/* --- what the fit is: equal bytes, or it is another one --------------------------------- */

static void put_options(const struct fit_options *o, struct buf *out)
{
    const double reals[] = {
        o->optim.learning_rate,
        o->optim.momentum,
        o->optim.beta_1,
        o->optim.beta_2,
        o->optim.epsilon,
        o->optim.rho,
        o->optim.weight_decay,
        o->schedule.power_t,
        o->schedule.warmup,
        o->alpha,
        o->l1,
        o->gradient_clip,
        o->max_norm,
        o->tol,
    };
    const uint64_t wholes[] = {
        o->optim.solver,
        o->optim.nesterov,
        o->schedule.schedule,
        o->batch_size,
        o->max_iter,
        o->n_iter_no_change,
        o->early_stopping,
        o->shuffle,
        o->skip_short_batch,
        o->diagnose,
        o->regularization_schedule,
    };
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        endian_put_f64(out, reals[i]);
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++)
        endian_put_u64(out, wholes[i]);
    for (size_t i = 0; i < MLP_GROUP_COUNT; i++)
        endian_put_f64(out, o->rate_factor[i]);
}

static void put_member(const struct fit_options *o, const struct member *member,
                       struct buf *out)
{
    const struct mlp *mlp = member->mlp;
    endian_put_u64(out, member->seed);
    endian_put_u64(out, member->train->n_rows);
    endian_put_u64(out, member->validation ? member->validation->n_rows : 0);
    endian_put_u64(out, mlp->loss);
    endian_put_u64(out, mlp->n_parameters);
    for (size_t l = 0; l < mlp->n_layers; l++) {
        endian_put_u64(out, mlp->layers[l].fan_in);
        endian_put_u64(out, mlp->layers[l].fan_out);
        endian_put_u64(out, mlp->layers[l].activation);
        endian_put_u64(out, mlp->layers[l].normalization);
        endian_put_f64(out, (double)mlp->layers[l].factor);
        endian_put_f64(out, l + 1 < mlp->n_layers ? o->dropout[l] : 0.0);
    }
}

static void put_identity(const struct fit *fit, struct buf *out)
{
    buf_put(out, magic, sizeof magic);
    buf_put(out, &byte_order, sizeof byte_order);
    put_options(fit->options, out);
    endian_put_u64(out, fit->n_members);
    for (size_t m = 0; m < fit->n_members; m++)
        put_member(fit->options, &fit->members[m], out);
}

/* --- arrays ----------------------------------------------------------------------------- */

/* One walk over all that a fit is, in either direction. */
struct walk {
    struct buf *out;            /* saving; else NULL */
    struct endian_reader *from; /* restoring */
};

static void walk_bytes(const struct walk *walk, void *bytes, size_t len)
{
    if (len == 0)
        return;
    if (walk->out) {
        buf_put(walk->out, bytes, len);
        return;
    }
    const void *stored = endian_get_bytes(walk->from, len);
    if (stored)
        memcpy(bytes, stored, len);
}

static void walk_floats(const struct walk *walk, float *values, size_t n)
{
    if (values)
        walk_bytes(walk, values, n * sizeof *values);
}

static void walk_member(const struct walk *walk, const struct fit *fit,
                        struct member *member)
{
    struct mlp *mlp = member->mlp;
    walk_floats(walk, mlp->parameters, mlp->n_parameters);
    walk_floats(walk, mlp->statistics, mlp->n_statistics);
    walk_floats(walk, member->best, mlp->n_parameters + mlp->n_statistics);
    if (fit->is_lbfgs)
        return;
    walk_bytes(walk, &member->optim.step, sizeof member->optim.step);
    walk_floats(walk, member->optim.first, mlp->n_parameters);
    walk_floats(walk, member->optim.second, mlp->n_parameters);
}

static void walk_lbfgs(const struct walk *walk, struct lbfgs *lbfgs)
{
    const size_t n_vectors = 5 + 2 * LBFGS_HISTORY;
    walk_bytes(walk, &lbfgs->f, sizeof lbfgs->f);
    walk_bytes(walk, &lbfgs->state, sizeof lbfgs->state);
    walk_bytes(walk, &lbfgs->n_evaluations, sizeof lbfgs->n_evaluations);
    walk_bytes(walk, &lbfgs->n_pairs, sizeof lbfgs->n_pairs);
    walk_bytes(walk, lbfgs->inverse, sizeof lbfgs->inverse);
    walk_bytes(walk, lbfgs->memory, lbfgs->n * n_vectors * sizeof *lbfgs->memory);
}

static void walk_fit(const struct walk *walk, struct fit *fit)
{
    walk_bytes(walk, &fit->epoch, sizeof fit->epoch);
    walk_bytes(walk, &fit->n_drops, sizeof fit->n_drops);
    walk_bytes(walk, &fit->best_loss, sizeof fit->best_loss);
    walk_bytes(walk, &fit->n_no_change, sizeof fit->n_no_change);
    walk_bytes(walk, &fit->result, sizeof fit->result);
    for (size_t m = 0; m < fit->n_members; m++)
        walk_member(walk, fit, &fit->members[m]);
    if (fit->is_lbfgs)
        walk_lbfgs(walk, &fit->lbfgs);
}

void fit_save(const struct fit *fit, struct buf *out)
{
    struct fit copy = *fit; /* saving only reads, but the walk may also write */
    const struct walk walk = {.out = out};
    put_identity(fit, out);
    walk_fit(&walk, &copy);
    if (fit->doctor)
        doctor_save(fit->doctor, out);
}

static int mismatch(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "checkpoint_mismatch",
                   "the checkpoint is damaged, or one of another training");
}

/* Numbers that are used as indices or conditions must be ones that a fit can have. */
static bool is_sound(const struct fit *fit)
{
    const struct fit_options *o = fit->options;
    return fit->epoch >= 1 && fit->epoch <= o->max_iter &&
           fit->result.n_iter == fit->epoch && fit->result.best_epoch <= fit->epoch &&
           fit->n_no_change <= fit->epoch && fit->n_drops <= fit->epoch &&
           (unsigned)fit->lbfgs.state <= LBFGS_NOT_FINITE;
}

int fit_checkpoint_restore(struct fit *fit, const void *bytes, size_t len,
                           struct err *err)
{
    struct buf identity;
    struct endian_reader reader;
    const struct walk walk = {.from = &reader};
    int rc = -1;
    buf_init(&identity, SIZE_MAX / 4);
    put_identity(fit, &identity);
    if (buf_check(&identity, err) < 0)
        goto out;
    endian_reader_init(&reader, bytes, len);
    const void *stored = endian_get_bytes(&reader, identity.len);
    if (!stored || memcmp(stored, identity.bytes, identity.len) != 0) {
        mismatch(err);
        goto out;
    }
    walk_fit(&walk, fit);
    if (fit->doctor && !reader.failed && doctor_load(fit->doctor, &reader, err) < 0)
        goto out;
    if (reader.failed || endian_left(&reader) > 0 || !is_sound(fit)) {
        mismatch(err);
        goto out;
    }
    rc = 0;
out:
    buf_clear(&identity);
    return rc;
}
