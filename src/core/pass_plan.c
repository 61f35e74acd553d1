#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/gemm.h"
#include "core/pass_state.h"

#define FEW_ROWS 8 /* up to so many, packing the weights costs more than it saves */

/* --- shape ------------------------------------------------------------------------------ */

static void cut_segments(struct pass *pass)
{
    const struct mlp *mlp = pass->mlp;
    size_t first = 0;
    for (size_t l = 0; l < mlp->n_layers; l++) {
        if (mlp->layers[l].normalization != MLP_BATCH_NORM && l + 1 < mlp->n_layers)
            continue;
        pass->segments[pass->n_segments++] = (struct segment){first, l + 1};
        first = l + 1;
    }
}

static void add_phase(struct pass *pass, struct phase phase)
{
    assert(pass->n_phases < PHASES_MAX);
    pass->phases[pass->n_phases++] = phase;
}

/* Up through all segments and down again; in the last one rows turn round without a stop. */
static void plan_phases(struct pass *pass)
{
    size_t last = pass->n_segments - 1;
    for (size_t s = 0; s < last; s++) {
        add_phase(pass, (struct phase){PHASE_ROWS, s, true, false});
        add_phase(pass, (struct phase){PHASE_STATISTICS, s, false, false});
    }
    add_phase(pass, (struct phase){PHASE_ROWS, last, true, true});
    for (size_t s = last; s-- > 0;) {
        add_phase(pass, (struct phase){PHASE_SUMS, s, false, false});
        add_phase(pass, (struct phase){PHASE_ROWS, s, false, true});
    }
}

/* Rows of W that are worth a task. */
static size_t band_rows(const struct pass *pass, const struct mlp_layer *layer)
{
    size_t work = GEMM_BAND * layer->fan_out * smaller(pass->max_rows, 512);
    return GEMM_BAND * (PASS_TASK_WORK / (work + 1) + 1);
}

/* The bands of a layer into `bands` (NULL: only counts them): biases and gains first, for
 * they are quick to begin with and would be late at the end. */
static size_t cut_bands(const struct pass *pass, size_t l, struct pass_band *bands)
{
    const struct mlp_layer *layer = &pass->mlp->layers[l];
    size_t rows = band_rows(pass, layer);
    size_t n = layer->normalization ? 2 : 1;
    if (bands) {
        bands[0] =
            (struct pass_band){MLP_BIASES, l, layer->biases_at, layer->fan_out, 0, 0};
        if (layer->normalization)
            bands[1] =
                (struct pass_band){MLP_GAINS, l, layer->gains_at, layer->fan_out, 0, 0};
    }
    for (size_t i = 0; i < layer->fan_in; i += rows, n++) {
        size_t end = smaller(i + rows, layer->fan_in);
        if (bands)
            bands[n] = (struct pass_band){MLP_WEIGHTS,
                                          l,
                                          layer->weights_at + i * layer->fan_out,
                                          (end - i) * layer->fan_out,
                                          i,
                                          end};
    }
    return n;
}

static int plan_bands(struct pass *pass, struct err *err)
{
    const struct mlp *mlp = pass->mlp;
    size_t n = mlp->has_scales + mlp->periodic.n;
    for (size_t l = 0; l < mlp->n_layers; l++)
        n += cut_bands(pass, l, NULL);
    pass->bands = mem_new(n, sizeof *pass->bands, err);
    if (!pass->bands)
        return -1;
    if (mlp->has_scales)
        pass->bands[pass->n_bands++] =
            (struct pass_band){MLP_SCALES, 0, 0, mlp->layers[0].fan_in, 0, 0};
    size_t each = periodic_n_parameters(&mlp->periodic);
    for (size_t i = 0; i < mlp->periodic.n; i++)
        pass->bands[pass->n_bands++] = (struct pass_band){
            MLP_EMBEDDINGS, 0, mlp->periodic_at + i * each, each, i, i + 1};
    for (size_t l = 0; l < mlp->n_layers; l++)
        pass->n_bands += cut_bands(pass, l, pass->bands + pass->n_bands);
    return 0;
}

/* --- memory ----------------------------------------------------------------------------- */

/* Hands out places in one block, or only measures it while its start is NULL. Each place
 * starts a cache line. */
struct arena {
    float *start;
    size_t used; /* floats */
    bool is_too_large;
};

static float *take(struct arena *arena, size_t rows, size_t columns)
{
    float *place = arena->start ? arena->start + arena->used : NULL;
    if (columns > 0 && rows > (SIZE_MAX / 8 - arena->used) / columns)
        arena->is_too_large = true;
    else
        arena->used += (rows * columns + 15) / 16 * 16;
    return place;
}

static void place_normalised(struct pass *pass, const struct mlp_layer *layer,
                             struct room *room, struct arena *arena)
{
    size_t rows = pass->max_rows;
    bool is_batch = layer->normalization == MLP_BATCH_NORM;
    room->normal = take(arena, rows, layer->fan_out);
    room->deviation = take(arena, 1, is_batch ? layer->fan_out : rows);
    if (is_batch) {
        room->statistics = take(arena, 2, layer->fan_out);
        room->sums = take(arena, 2, layer->fan_out);
    }
    room->delta = take(arena, rows, layer->fan_out);
}

static void place_layer(struct pass *pass, size_t l, struct arena *arena)
{
    const struct mlp_layer *layer = &pass->mlp->layers[l];
    struct room *room = &pass->rooms[l];
    size_t rows = pass->max_rows;
    bool is_last = l + 1 == pass->mlp->n_layers;
    room->a = take(arena, rows, layer->fan_out);
    if (pass->may_train || rows > FEW_ROWS || layer->factor != 1.0F)
        room->packed = take(arena, 1, gemm_packed_len(layer->fan_in, layer->fan_out));
    if (!pass->may_train)
        return;
    if (!is_last && act_needs_z(layer->activation))
        room->y = take(arena, rows, layer->fan_out);
    if (l > 0 || pass->needs_input_slope)
        room->back = take(arena, 1, gemm_packed_len(layer->fan_out, layer->fan_in));
    room->slope = take(arena, rows, layer->fan_out);
    room->delta = room->slope;
    room->packed_delta = take(arena, 1, gemm_packed_len(rows, layer->fan_out));
    if (layer->normalization)
        place_normalised(pass, layer, room, arena);
}

static void place_all(struct pass *pass, struct arena *arena)
{
    const struct mlp *mlp = pass->mlp;
    size_t rows = pass->max_rows;
    size_t fan_in = mlp->layers[0].fan_in;
    for (size_t l = 0; l < mlp->n_layers; l++)
        place_layer(pass, l, arena);
    if (mlp->periodic.n > 0)
        pass->spread = take(arena, rows, fan_in);
    if (mlp->has_scales)
        pass->scaled = take(arena, rows, fan_in);
    if (!pass->may_train)
        return;
    pass->x = take(arena, rows, pass->n_inputs);
    pass->t = take(arena, rows, pass->n_targets);
    pass->weights = take(arena, rows, 1);
    if (pass->needs_input_slope)
        pass->input_slope = take(arena, rows, fan_in);
}

static int allocate(struct pass *pass, struct err *err)
{
    struct arena arena = {0};
    place_all(pass, &arena);
    if (arena.is_too_large)
        return err_no_memory(err);
    pass->memory = mem_new_aligned(arena.used, sizeof *pass->memory, err);
    pass->losses = mem_new(pass->max_rows, sizeof *pass->losses, err);
    if (!pass->memory || !pass->losses)
        return -1;
    arena = (struct arena){.start = pass->memory};
    place_all(pass, &arena);
    return 0;
}

int pass_new(const struct mlp *mlp, size_t max_rows, bool training, struct pass **pass,
             struct err *err)
{
    if (max_rows > INT_MAX) /* what BLAS can count */
        return err_set(err, ERR_TOO_LARGE, "too_many_rows", "at most %d rows at once",
                       INT_MAX);
    struct pass *made = mem_new(1, sizeof *made, err);
    if (!made)
        return -1;
    made->mlp = mlp;
    made->max_rows = max_rows;
    made->may_train = training;
    made->n_inputs = mlp_n_inputs(mlp);
    made->n_targets = loss_n_targets(mlp->loss, mlp_n_outputs(mlp));
    made->needs_input_slope = mlp->has_scales || mlp->periodic.n > 0;
    made->is_small = max_rows * (mlp->n_parameters / 64 + 1) < PASS_TASK_WORK / 64 * 2;
    cut_segments(made);
    plan_phases(made);
    if (plan_bands(made, err) < 0 || allocate(made, err) < 0) {
        pass_free(made);
        return -1;
    }
    *pass = made;
    return 0;
}

void pass_free(struct pass *pass)
{
    if (!pass)
        return;
    free(pass->memory);
    free(pass->losses);
    free(pass->bands);
    free(pass);
}

void pass_set_parallel(struct pass *pass, const struct parallel *parallel)
{
    pass->parallel = pass->is_small ? NULL : parallel;
    pass->is_shared = pass->parallel != NULL;
}

bool pass_is_small(const struct pass *pass)
{
    return pass->is_small;
}

void pass_set_dropout(struct pass *pass, struct dropout *dropout)
{
    pass->dropout = dropout;
}
