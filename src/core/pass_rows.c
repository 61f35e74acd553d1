#include <string.h>

#include "core/gemm.h"
#include "core/pass_state.h"

/* --- up -------------------------------------------------------------- */

float *pass_row(const struct pass *pass, size_t l, float *values, size_t row)
{
    return values + row * pass->mlp->layers[l].fan_out;
}

const float *pass_input(const struct pass *pass, size_t l)
{
    if (l == 0)
        return pass->in;
    const float *passed =
        pass->dropout && pass->is_training ? dropout_passed(pass->dropout, l - 1) : NULL;
    return passed ? passed : pass->rooms[l - 1].a;
}

static void copy_rows(float *restrict to, const float *restrict from, const size_t *order,
                      struct block block, size_t k)
{
    for (size_t i = block.first; i < block.end; i++)
        memcpy(to + i * k, from + order[i] * k, k * sizeof *to);
}

/* The same for rows that other cores will read too. They are scattered over a table: ask for
 * each some rows before its turn. */
static void share_rows(float *to, const float *from, const size_t *order,
                       struct block block, size_t k)
{
    const size_t ahead = 4;
    for (size_t i = block.first; i < block.end; i++) {
        const float *next = from + order[smaller(i + ahead, block.end - 1)] * k;
        for (size_t j = 0; j < k; j += 16)
            __builtin_prefetch(next + j);
        gemm_stream(to + i * k, from + order[i] * k, k);
    }
}

static void scale_rows(float *restrict to, const float *restrict from,
                       const float *restrict scales, struct block block, size_t k)
{
    for (size_t i = block.first; i < block.end; i++)
#pragma omp simd
        for (size_t j = 0; j < k; j++)
            to[i * k + j] = from[i * k + j] * scales[j];
}

/* Brings the block's rows to where pass_begin said that they would be. */
static void gather(struct pass *pass, struct block block)
{
    const struct pass_rows *rows = &pass->rows;
    const struct mlp *mlp = pass->mlp;
    size_t fan_in = mlp->layers[0].fan_in;
    if (rows->order) {
        if (pass->is_shared && pass->n_inputs % 16 == 0)
            share_rows(pass->x, rows->x, rows->order, block, pass->n_inputs);
        else
            copy_rows(pass->x, rows->x, rows->order, block, pass->n_inputs);
        copy_rows(pass->t, rows->t, rows->order, block, pass->n_targets);
        if (rows->weights)
            copy_rows(pass->weights, rows->weights, rows->order, block, 1);
    }
    if (mlp->periodic.n > 0)
        periodic_forward(&mlp->periodic, mlp->parameters + mlp->periodic_at,
                         pass->raw + block.first * pass->n_inputs,
                         block.end - block.first, pass->spread + block.first * fan_in);
    if (mlp->has_scales)
        scale_rows(pass->scaled, pass->unscaled, mlp->parameters, block, fan_in);
}

static void multiply(struct pass *pass, size_t l, struct block block)
{
    const struct mlp_layer *layer = &pass->mlp->layers[l];
    const float *w = pass->mlp->parameters + layer->weights_at;
    const float *bias =
        layer->normalization ? NULL : pass->mlp->parameters + layer->biases_at;
    const float *in = pass_input(pass, l) + block.first * layer->fan_in;
    float *out = pass_row(pass, l, pass->rooms[l].a, block.first);
    size_t n = block.end - block.first;
    if (pass->rooms[l].packed) {
        const struct gemm_view view = {in, layer->fan_in, 1};
        gemm_run(&view, n, pass->rooms[l].packed, layer->fan_in, layer->fan_out, bias,
                 out, layer->fan_out);
        return;
    }
    for (size_t i = 0; i < n; i++)
        gemm_row(in + i * layer->fan_in, w, layer->fan_in, layer->fan_out, bias,
                 out + i * layer->fan_out);
}

/* z becomes y = g x̂ + b. */
static void normalise(struct pass *pass, size_t l, struct block block)
{
    const struct mlp_layer *layer = &pass->mlp->layers[l];
    struct room *room = &pass->rooms[l];
    const struct norm norm = {
        .k = layer->fan_out,
        .gain = pass->mlp->parameters + layer->gains_at,
        .bias = pass->mlp->parameters + layer->biases_at,
    };
    size_t n = block.end - block.first;
    float *z = pass_row(pass, l, room->a, block.first);
    float *normal = room->normal ? pass_row(pass, l, room->normal, block.first) : NULL;
    if (layer->normalization == MLP_LAYER_NORM)
        norm_layer(&norm, z, n, normal,
                   room->deviation ? room->deviation + block.first : NULL);
    else
        norm_batch(&norm,
                   pass->is_training ? room->statistics
                                     : pass->mlp->statistics + layer->statistics_at,
                   z, n, pass->is_training ? normal : NULL);
}

/* From z on: normalisation, activation, dropout. */
static void finish(struct pass *pass, size_t l, struct block block)
{
    const struct mlp_layer *layer = &pass->mlp->layers[l];
    struct room *room = &pass->rooms[l];
    float *a = pass_row(pass, l, room->a, block.first);
    size_t n = block.end - block.first;
    if (layer->normalization)
        normalise(pass, l, block);
    if (room->y && pass->is_training)
        memcpy(pass_row(pass, l, room->y, block.first), a,
               n * layer->fan_out * sizeof *a);
    act_apply(layer->activation, a, n, layer->fan_out);
    if (pass->dropout && pass->is_training)
        dropout_forward(pass->dropout, l, block.first, a, n);
}

/* Through the layers of segment s, but for the batch_norm that its last one may wait for. */
void pass_rows_up(struct pass *pass, size_t s, struct block block)
{
    const struct segment *segment = &pass->segments[s];
    if (s == 0)
        gather(pass, block);
    else
        finish(pass, segment->first - 1, block);
    for (size_t l = segment->first; l < segment->end; l++) {
        multiply(pass, l, block);
        if (l + 1 < segment->end)
            finish(pass, l, block);
    }
}

/* --- … and down ------------------------------------------------------------------------- */

/* Loss of the block's rows, and the slope of their mean's share at the output layer. */
double pass_rows_loss(struct pass *pass, struct block block)
{
    const struct mlp *mlp = pass->mlp;
    size_t l = mlp->n_layers - 1;
    size_t k = mlp->layers[l].fan_out;
    size_t n = block.end - block.first;
    const struct loss_rows rows = {
        pass->targets + block.first * pass->n_targets,
        pass->row_weights ? pass->row_weights + block.first : NULL, n, k};
    float *z = pass_row(pass, l, pass->rooms[l].a, block.first);
    float *delta =
        pass->is_training ? pass_row(pass, l, pass->rooms[l].slope, block.first) : NULL;
    double loss = loss_forward(mlp->loss, &mlp->loss_options, mlp->layers[l].activation,
                               z, &rows, delta);
    double total = pass->total_weight;
    const float share = total > 0.0 ? (float)(1.0 / total) : 0.0F;
    for (size_t i = 0; delta && i < n * k; i++)
        delta[i] *= share;
    return loss;
}

/* From ∂loss/∂y to ∂loss/∂z. */
static void denormalise(struct pass *pass, size_t l, struct block block)
{
    const struct mlp_layer *layer = &pass->mlp->layers[l];
    struct room *room = &pass->rooms[l];
    const struct norm norm = {
        .k = layer->fan_out,
        .gain = pass->mlp->parameters + layer->gains_at,
    };
    const struct norm_slopes slopes = {
        .slope = pass_row(pass, l, room->slope, block.first),
        .normal = pass_row(pass, l, room->normal, block.first),
        .n = block.end - block.first,
    };
    float *delta = pass_row(pass, l, room->delta, block.first);
    if (layer->normalization == MLP_LAYER_NORM)
        norm_layer_back(&norm, &slopes, room->deviation + block.first, delta);
    else
        norm_batch_back(&norm, &slopes, room->deviation, room->sums, pass->rows.n, delta);
}

static void pack_delta(struct pass *pass, size_t l, struct block block)
{
    size_t k = pass->mlp->layers[l].fan_out;
    const struct gemm_view view = {pass->rooms[l].delta, k, 1};
    const struct gemm_part part = {block.first, block.end, 0, k, pass->is_shared};
    gemm_pack(pass->rooms[l].packed_delta, pass->rows.n, k, &view, 1.0F, &part);
}

/* From ∂loss/∂z of layer l to ∂loss/∂y of the layer below. */
static void step_down(struct pass *pass, size_t l, struct block block)
{
    const struct mlp_layer *layer = &pass->mlp->layers[l];
    const struct mlp_layer *below = &pass->mlp->layers[l - 1];
    struct room *room = &pass->rooms[l - 1];
    size_t n = block.end - block.first;
    const struct gemm_view view = {pass_row(pass, l, pass->rooms[l].delta, block.first),
                                   layer->fan_out, 1};
    float *slope = pass_row(pass, l - 1, room->slope, block.first);
    float *a = pass_row(pass, l - 1, room->a, block.first);
    gemm_run(&view, n, pass->rooms[l].back, layer->fan_out, layer->fan_in, NULL, slope,
             layer->fan_in);
    if (pass->dropout)
        dropout_backward(pass->dropout, l - 1, block.first, slope, n);
    act_backward(below->activation, a,
                 room->y ? pass_row(pass, l - 1, room->y, block.first) : NULL, slope, n,
                 below->fan_out);
    if (below->normalization == MLP_LAYER_NORM)
        denormalise(pass, l - 1, block);
}

void pass_rows_down(struct pass *pass, size_t s, struct block block)
{
    const struct segment *segment = &pass->segments[s];
    size_t n = block.end - block.first;
    if (s + 1 < pass->n_segments)
        denormalise(pass, segment->end - 1, block);
    for (size_t l = segment->end; l-- > segment->first;) {
        pack_delta(pass, l, block);
        if (l > 0)
            step_down(pass, l, block);
    }
    if (s == 0 && pass->needs_input_slope) {
        const struct mlp_layer *layer = &pass->mlp->layers[0];
        const struct gemm_view view = {
            pass_row(pass, 0, pass->rooms[0].delta, block.first), layer->fan_out, 1};
        gemm_run(&view, n, pass->rooms[0].back, layer->fan_out, layer->fan_in, NULL,
                 pass->input_slope + block.first * layer->fan_in, layer->fan_in);
    }
}
