#include "core/pass.h"

#include <assert.h>

#include "core/gemm.h"
#include "core/pass_state.h"

#define BLOCK_ROWS 64 /* of a task, at most */

/* Blocks differ in length by at most one row. */
static struct block block_of(const struct pass *pass, size_t i)
{
    size_t n = pass->rows.n;
    return (struct block){n * i / pass->n_blocks, n * (i + 1) / pass->n_blocks};
}

/* --- phases ----------------------------------------------------------------------------- */

/* Blocks of up to BLOCK_ROWS rows, fours of them so that two or four threads share them
 * evenly, unless there is too little to do. */
static size_t count_blocks(const struct pass *pass, size_t n)
{
    size_t blocks = (n + BLOCK_ROWS - 1) / BLOCK_ROWS;
    size_t worth = n * (pass->mlp->n_parameters / 64 + 1) / (PASS_TASK_WORK / 64) + 1;
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
        pass_rows_up(pass, phase->segment, block);
    if (phase->is_forward && phase->is_backward)
        pass->losses[task] = pass_rows_loss(pass, block);
    if (phase->is_backward)
        pass_rows_down(pass, phase->segment, block);
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
        pass_rows_up(pass, s, block);
    if (pass->targets) {
        pass->losses[i] = pass_rows_loss(pass, block);
        return;
    }
    float *z = pass_row(pass, l, pass->rooms[l].a, block.first);
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
