/*
 * pass_state: what core/pass.c, pass_plan.c, pass_rows.c and pass_band.c share: the room of a
 * pass and how it is cut into tasks. Private to them.
 */
#ifndef CORE_PASS_STATE_H
#define CORE_PASS_STATE_H

#include "core/norm.h"
#include "core/pass.h"

/* Multiply-adds that are worth a task of their own. */
#define PASS_TASK_WORK ((size_t)262144)

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
    /* normalised layers only */
    float *normal;     /* x̂ */
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
    size_t segment;   /* rows: this one; else: the one whose last layer has batch_norm */
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
    double total_weight;
    const float *raw;      /* [n x n_inputs]: rows as they are … */
    const float *unscaled; /* [n x fan_in]: … embedded … */
    const float *in;       /* [n x fan_in]: … and as the first layer sees them */
    const float *targets;
    const float *row_weights;
};

/* Rows [first, end) of the pass. */
struct block {
    size_t first, end;
};

static inline size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Where row `row` of values [… x fan_out of layer l] begins. */
float *pass_row(const struct pass *pass, size_t l, float *values, size_t row);

/* What layer l sees, [n x fan_in]. */
const float *pass_input(const struct pass *pass, size_t l);

/* A block's rows through the layers of segment s, but for the batch_norm that its last one
 * may wait for; then, at the end, their loss (and its slopes, in training); and down again. */
void pass_rows_up(struct pass *pass, size_t s, struct block block);
double pass_rows_loss(struct pass *pass, struct block block);
void pass_rows_down(struct pass *pass, size_t s, struct block block);

#endif
