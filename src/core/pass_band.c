#include <string.h>

#include "core/gemm.h"
#include "core/pass_state.h"

size_t pass_n_bands(const struct pass *pass)
{
    return pass->n_bands;
}

const struct pass_band *pass_band(const struct pass *pass, size_t band)
{
    return &pass->bands[band];
}

static void weights_gradient(const struct pass *pass, const struct pass_band *band,
                             float *gradient)
{
    const struct mlp_layer *layer = &pass->mlp->layers[band->layer];
    const struct gemm_view in = {pass_input(pass, band->layer) + band->row, 1,
                                 layer->fan_in};
    gemm_run(&in, band->row_end - band->row, pass->rooms[band->layer].packed_delta,
             pass->rows.n, layer->fan_out, NULL, gradient, layer->fan_out);
    for (size_t i = 0; layer->factor != 1.0F && i < band->n; i++)
        gradient[i] *= layer->factor;
}

/* Column sums of a [n x k], times b where there is one, in runs that stay on the stack. */
static void sum_columns(const struct pass *pass, const float *a, const float *b, size_t k,
                        float *sums)
{
    for (size_t first = 0; first < k; first += NORM_COLUMNS) {
        const struct norm_columns columns = {k, first, smaller(NORM_COLUMNS, k - first),
                                             pass->rows.n};
        norm_sum(&columns, a, b, sums + first);
    }
}

static void embedding_gradient(const struct pass *pass, const struct pass_band *band,
                               float *gradient)
{
    const struct mlp *mlp = pass->mlp;
    const struct periodic_slopes slopes = {
        .x = pass->raw,
        .slope = pass->input_slope,
        .scales = mlp->has_scales ? mlp->parameters : NULL,
        .n_rows = pass->rows.n,
    };
    periodic_gradient(&mlp->periodic, band->row, mlp->parameters + band->at, &slopes,
                      gradient);
}

void pass_band_gradient(struct pass *pass, size_t i, float *gradient)
{
    const struct pass_band *band = &pass->bands[i];
    const struct room *room = &pass->rooms[band->layer];
    float *out = gradient + band->at;
    bool has_sums = room->sums != NULL;
    switch (band->group) {
    case MLP_WEIGHTS:
        weights_gradient(pass, band, out);
        break;
    case MLP_BIASES:
        if (has_sums)
            memcpy(out, room->sums, band->n * sizeof *out);
        else if (room->normal)
            sum_columns(pass, room->slope, NULL, band->n, out);
        else
            gemm_sum_packed(room->packed_delta, pass->rows.n, band->n, out);
        break;
    case MLP_GAINS:
        if (has_sums)
            memcpy(out, room->sums + band->n, band->n * sizeof *out);
        else
            sum_columns(pass, room->slope, room->normal, band->n, out);
        break;
    case MLP_SCALES:
        sum_columns(pass, pass->input_slope, pass->unscaled, band->n, out);
        break;
    case MLP_EMBEDDINGS:
        embedding_gradient(pass, band, out);
        break;
    case MLP_GROUP_COUNT:
        break;
    }
}

void pass_pack_band(struct pass *pass, size_t i)
{
    const struct pass_band *band = &pass->bands[i];
    const struct mlp_layer *layer = &pass->mlp->layers[band->layer];
    const struct room *room = &pass->rooms[band->layer];
    const float *w = pass->mlp->parameters + layer->weights_at;
    if (band->group != MLP_WEIGHTS)
        return;
    if (room->packed) {
        const struct gemm_view view = {w, layer->fan_out, 1};
        const struct gemm_part part = {band->row, band->row_end, 0, layer->fan_out,
                                       pass->is_shared};
        gemm_pack(room->packed, layer->fan_in, layer->fan_out, &view, layer->factor,
                  &part);
    }
    if (room->back) {
        const struct gemm_view view = {w, 1, layer->fan_out};
        const struct gemm_part part = {0, layer->fan_out, band->row, band->row_end,
                                       pass->is_shared};
        gemm_pack(room->back, layer->fan_out, layer->fan_in, &view, layer->factor, &part);
    }
    if (pass->is_shared)
        gemm_fence();
}

void pass_track_statistics(const struct pass *pass, struct mlp *mlp)
{
    const float momentum = 0.1F;
    float n = (float)pass->rows.n;
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        if (layer->normalization != MLP_BATCH_NORM)
            continue;
        const float *now = pass->rooms[l].statistics;
        float *mean = mlp->statistics + layer->statistics_at;
        float *variance = mean + layer->fan_out;
        float unbiased = pass->rows.n > 1 ? n / (n - 1.0F) : 1.0F;
        for (size_t j = 0; j < layer->fan_out; j++) {
            mean[j] += momentum * (now[j] - mean[j]);
            variance[j] += momentum * (unbiased * now[layer->fan_out + j] - variance[j]);
        }
    }
}

const float *pass_outputs(const struct pass *pass, size_t layer)
{
    return pass->rooms[layer].a;
}
