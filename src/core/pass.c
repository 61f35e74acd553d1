#include "core/pass.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/gemm.h"
#include "core/norm.h"

#define FEW_ROWS   8  /* up to so many, packing the weights costs more than it saves */
#define BLOCK_ROWS 64 /* of a task, at most */
#define TASK_WORK  ((size_t)262144) /* multiply-adds that are worth a task of their own */

/* What one layer needs; all in the pass's memory. Rows are the pass's, [max_rows x fan_out]. */
struct room {
    float *a;      /* outputs */
    float *y;      /* inputs of the activation, where its slope needs them; else NULL */
    float *packed; /* c W in panels; NULL when few rows are all that comes */
    /* training only */
    float *back;         /* c Wᵀ in panels; first layer: only below feature scales */
    float *slope;        /* ∂loss/∂y */
    float *delta;        /* ∂loss/∂z: `slope` itself unless the layer is normalised */
    float *packed_delta; /* delta in panels */
    float *normal;       /* x̂; normalised layers */
    float *deviation;  /* 1/√(σ² + ε): batch_norm [fan_out], layer_norm [max_rows] */
    float *statistics; /* batch_norm: mean and variance of these rows, [2 x fan_out] */
    float *sums; /* batch_norm: Σ ∂loss/∂y and Σ ∂loss/∂y · x̂, [2 x fan_out] */
};

/* Rows go through a run of layers at a stretch. batch_norm cuts the net there: its statistics
 * need all rows. */
struct segment {
    size_t first, end; /* layers */
};

enum phase_kind { PHASE_ROWS, PHASE_STATISTICS, PHASE_SUMS };

struct phase {
    enum phase_kind kind;
    size_t
        segment; /* rows: this one; else: the one that ends with the batch_norm layer */
    bool is_forward;  /* rows: do they go up … */
    bool is_backward; /* … and come down? */
};

#define PHASES_MAX ((size_t)4 * MLP_LAYERS_MAX)

struct pass {
    const struct mlp *mlp;           /* borrowed */
    const struct parallel *parallel; /* borrowed; NULL: none */
    struct dropout *dropout;         /* borrowed; NULL: none */
    size_t max_rows;
    bool may_train;
    size_t n_inputs;
    size_t n_targets;
    bool is_small;          /* too small to be worth more than one thread */
    bool is_shared;         /* several cores write and read the memory */
    bool needs_input_slope; /* something is learnt below the first layer */
    struct room rooms[MLP_LAYERS_MAX];
    struct segment segments[MLP_LAYERS_MAX];
    size_t n_segments;
    struct phase phases[PHASES_MAX];
    size_t n_phases;
    struct pass_band *bands; /* owned [n_bands] */
    size_t n_bands;
    /* in memory: what rows become on the way to the first layer, where they become it */
    float *x;           /* gathered [max_rows x n_inputs]; training only */
    float *spread;      /* embedded [max_rows x fan_in] */
    float *scaled;      /* times s [max_rows x fan_in] */
    float *input_slope; /* ∂loss/∂(what the first layer sees) [max_rows x fan_in] */
    float *t;           /* gathered targets */
    float *weights;     /* gathered weights */
    double *losses;     /* owned [blocks]: sum over the rows of each block */
    float *memory;      /* owned */
    /* the pass that runs */
    struct pass_rows rows;
    bool is_training;
    size_t n_blocks;
    size_t n_rows; /* of a block, but for the last ones, which may have one less */
    double total_weight;
    const float *raw;      /* [n x n_inputs]: rows as they are … */
    const float *unscaled; /* [n x fan_in]: … embedded … */
    const float *in;       /* [n x fan_in]: … and as the first layer sees them */
    const float *targets;
    const float *row_weights;
};

/* --- shape ------------------------------------------------------------------------------ */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

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
    return GEMM_BAND * (TASK_WORK / (work + 1) + 1);
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
    made->is_small = max_rows * (mlp->n_parameters / 64 + 1) < TASK_WORK / 64 * 2;
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

/* --- one block of rows, up -------------------------------------------------------------- */

/* Rows [first, end) of the pass. */
struct block {
    size_t first, end;
};

/* Blocks differ in length by at most one row. */
static struct block block_of(const struct pass *pass, size_t i)
{
    size_t n = pass->rows.n;
    return (struct block){n * i / pass->n_blocks, n * (i + 1) / pass->n_blocks};
}

static float *row_of(const struct pass *pass, size_t l, float *values, size_t row)
{
    return values + row * pass->mlp->layers[l].fan_out;
}

static const float *input_of(const struct pass *pass, size_t l)
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
    const float *in = input_of(pass, l) + block.first * layer->fan_in;
    float *out = row_of(pass, l, pass->rooms[l].a, block.first);
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
    float *z = row_of(pass, l, room->a, block.first);
    float *normal = room->normal ? row_of(pass, l, room->normal, block.first) : NULL;
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
    float *a = row_of(pass, l, room->a, block.first);
    size_t n = block.end - block.first;
    if (layer->normalization)
        normalise(pass, l, block);
    if (room->y && pass->is_training)
        memcpy(row_of(pass, l, room->y, block.first), a, n * layer->fan_out * sizeof *a);
    act_apply(layer->activation, a, n, layer->fan_out);
    if (pass->dropout && pass->is_training)
        dropout_forward(pass->dropout, l, block.first, a, n);
}

/* Through the layers of segment s, but for the batch_norm that its last one may wait for. */
static void go_up(struct pass *pass, size_t s, struct block block)
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
static double take_loss(struct pass *pass, struct block block)
{
    const struct mlp *mlp = pass->mlp;
    size_t l = mlp->n_layers - 1;
    size_t k = mlp->layers[l].fan_out;
    size_t n = block.end - block.first;
    const struct loss_rows rows = {
        pass->targets + block.first * pass->n_targets,
        pass->row_weights ? pass->row_weights + block.first : NULL, n, k};
    float *z = row_of(pass, l, pass->rooms[l].a, block.first);
    float *delta =
        pass->is_training ? row_of(pass, l, pass->rooms[l].slope, block.first) : NULL;
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
        .slope = row_of(pass, l, room->slope, block.first),
        .normal = row_of(pass, l, room->normal, block.first),
        .n = block.end - block.first,
    };
    float *delta = row_of(pass, l, room->delta, block.first);
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
    const struct gemm_view view = {row_of(pass, l, pass->rooms[l].delta, block.first),
                                   layer->fan_out, 1};
    float *slope = row_of(pass, l - 1, room->slope, block.first);
    float *a = row_of(pass, l - 1, room->a, block.first);
    gemm_run(&view, n, pass->rooms[l].back, layer->fan_out, layer->fan_in, NULL, slope,
             layer->fan_in);
    if (pass->dropout)
        dropout_backward(pass->dropout, l - 1, block.first, slope, n);
    act_backward(below->activation, a,
                 room->y ? row_of(pass, l - 1, room->y, block.first) : NULL, slope, n,
                 below->fan_out);
    if (below->normalization == MLP_LAYER_NORM)
        denormalise(pass, l - 1, block);
}

static void go_down(struct pass *pass, size_t s, struct block block)
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
        const struct gemm_view view = {row_of(pass, 0, pass->rooms[0].delta, block.first),
                                       layer->fan_out, 1};
        gemm_run(&view, n, pass->rooms[0].back, layer->fan_out, layer->fan_in, NULL,
                 pass->input_slope + block.first * layer->fan_in, layer->fan_in);
    }
}

/* --- phases ----------------------------------------------------------------------------- */

static size_t count_weights(const struct pass *pass)
{
    return pass->mlp->n_parameters;
}

/* Blocks of up to BLOCK_ROWS rows, fours of them so that two or four threads share them
 * evenly, unless there is too little to do. */
static size_t count_blocks(const struct pass *pass, size_t n)
{
    size_t blocks = (n + BLOCK_ROWS - 1) / BLOCK_ROWS;
    size_t worth = n * (count_weights(pass) / 64 + 1) / (TASK_WORK / 64) + 1;
    blocks = blocks > 1 || worth >= 4 ? (blocks + 3) / 4 * 4 : blocks;
    blocks = smaller(blocks, worth);
    return smaller(blocks, n);
}

static double sum_of(const struct pass_rows *rows)
{
    double sum = 0.0;
    for (size_t i = 0; rows->weights && i < rows->n; i++)
        sum += (double)rows->weights[rows->order ? rows->order[i] : i];
    return rows->weights ? sum : (double)rows->n;
}

static void begin(struct pass *pass, const struct pass_rows *rows, bool is_training)
{
    assert(rows->n <= pass->max_rows);
    assert(!is_training || pass->may_train);
    pass->rows = *rows;
    pass->is_training = is_training;
    pass->n_blocks = count_blocks(pass, rows->n);
    pass->total_weight = sum_of(rows);
    pass->raw = rows->order ? pass->x : rows->x;
    pass->unscaled = pass->spread ? pass->spread : pass->raw;
    pass->in = pass->scaled ? pass->scaled : pass->unscaled;
    pass->targets = rows->order ? pass->t : rows->t;
    pass->row_weights = rows->order && rows->weights ? pass->weights : rows->weights;
}

void pass_begin(struct pass *pass, const struct pass_rows *rows)
{
    begin(pass, rows, true);
}

size_t pass_n_phases(const struct pass *pass)
{
    return pass->n_phases;
}

/* The layer whose batch_norm a phase is about. */
static size_t layer_of(const struct pass *pass, const struct phase *phase)
{
    return pass->segments[phase->segment].end - 1;
}

static size_t columns_tasks(size_t k)
{
    return (k + NORM_COLUMNS - 1) / NORM_COLUMNS;
}

size_t pass_n_tasks(const struct pass *pass, size_t i)
{
    const struct phase *phase = &pass->phases[i];
    if (phase->kind == PHASE_ROWS)
        return pass->n_blocks;
    return columns_tasks(pass->mlp->layers[layer_of(pass, phase)].fan_out);
}

/* Statistics or sums of some columns of a batch_norm layer. */
static void run_columns(struct pass *pass, const struct phase *phase, size_t task)
{
    size_t l = layer_of(pass, phase);
    const struct room *room = &pass->rooms[l];
    size_t k = pass->mlp->layers[l].fan_out;
    size_t first = task * NORM_COLUMNS;
    size_t width = smaller(NORM_COLUMNS, k - first);
    const struct norm_columns columns = {k, first, width, pass->rows.n};
    if (phase->kind == PHASE_STATISTICS) {
        norm_statistics(&columns, room->a, room->statistics, room->deviation);
        return;
    }
    norm_sum(&columns, room->slope, NULL, room->sums + first);
    norm_sum(&columns, room->slope, room->normal, room->sums + k + first);
}

void pass_task(struct pass *pass, size_t i, size_t task)
{
    const struct phase *phase = &pass->phases[i];
    if (phase->kind != PHASE_ROWS) {
        run_columns(pass, phase, task);
        return;
    }
    struct block block = block_of(pass, task);
    if (phase->is_forward)
        go_up(pass, phase->segment, block);
    if (phase->is_forward && phase->is_backward)
        pass->losses[task] = take_loss(pass, block);
    if (phase->is_backward)
        go_down(pass, phase->segment, block);
    if (pass->is_shared)
        gemm_fence();
}

double pass_total_weight(const struct pass *pass)
{
    return pass->total_weight;
}

double pass_mean_loss(const struct pass *pass)
{
    double sum = 0.0;
    for (size_t i = 0; i < pass->n_blocks; i++)
        sum += pass->losses[i];
    return pass->total_weight > 0.0 ? sum / pass->total_weight : 0.0;
}

/* --- bands ------------------------------------------------------------------------------ */

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
    const struct gemm_view in = {input_of(pass, band->layer) + band->row, 1,
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

/* --- whole passes ----------------------------------------------------------------------- */

/* What the tasks of a whole pass are told. */
struct work {
    struct pass *pass;
    size_t phase;
    float *gradient;
};

static void run_task(void *arg, size_t i)
{
    const struct work *work = arg;
    pass_task(work->pass, work->phase, i);
}

static void run_band(void *arg, size_t i)
{
    const struct work *work = arg;
    pass_band_gradient(work->pass, i, work->gradient);
}

static void run_pack(void *arg, size_t i)
{
    const struct work *work = arg;
    pass_pack_band(work->pass, i);
}

/* Inference: a block goes through all segments at a stretch. */
static void run_up(void *arg, size_t i)
{
    const struct work *work = arg;
    struct pass *pass = work->pass;
    const struct mlp *mlp = pass->mlp;
    struct block block = block_of(pass, i);
    size_t l = mlp->n_layers - 1;
    for (size_t s = 0; s < pass->n_segments; s++)
        go_up(pass, s, block);
    if (pass->targets) {
        pass->losses[i] = take_loss(pass, block);
        return;
    }
    float *z = row_of(pass, l, pass->rooms[l].a, block.first);
    size_t n = block.end - block.first;
    act_apply(mlp->layers[l].activation, z, n, mlp->layers[l].fan_out);
    loss_apply_link(mlp->loss, z, n * mlp->layers[l].fan_out);
}

static void pack_all(struct pass *pass)
{
    struct work work = {.pass = pass};
    parallel_run(pass->parallel, run_pack, &work, pass->n_bands);
}

static void run_inference(struct pass *pass, const struct pass_rows *rows)
{
    struct work work = {.pass = pass};
    begin(pass, rows, false);
    parallel_run(pass->parallel, run_up, &work, pass->n_blocks);
}

const float *pass_forward(struct pass *pass, const float *x, size_t n)
{
    const struct pass_rows rows = {.x = x, .n = n};
    pack_all(pass);
    run_inference(pass, &rows);
    return pass->rooms[pass->mlp->n_layers - 1].a;
}

double pass_gradient(struct pass *pass, const float *x, const float *t,
                     const float *weights, size_t n, float *gradient)
{
    const struct pass_rows rows = {.x = x, .t = t, .weights = weights, .n = n};
    struct work work = {.pass = pass, .gradient = gradient};
    pack_all(pass);
    begin(pass, &rows, true);
    for (work.phase = 0; work.phase < pass->n_phases; work.phase++)
        parallel_run(pass->parallel, run_task, &work, pass_n_tasks(pass, work.phase));
    parallel_run(pass->parallel, run_band, &work, pass->n_bands);
    return pass_mean_loss(pass);
}

double pass_packed_loss(struct pass *pass, const struct pass_rows *rows)
{
    run_inference(pass, rows);
    return pass_mean_loss(pass);
}

double pass_loss(struct pass *pass, const float *x, const float *t, const float *weights,
                 size_t n)
{
    const struct pass_rows rows = {.x = x, .t = t, .weights = weights, .n = n};
    pack_all(pass);
    return pass_packed_loss(pass, &rows);
}
