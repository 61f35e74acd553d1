/*
 * parameters: the hyper-parameters of a job, and the one table that describes them. The
 * table is walked to read them from a request, to check them, to store them, to print them
 * and to document them, so a new one is a field and a row. Plain values; copy freely.
 */
#ifndef ENTITY_PARAMETERS_H
#define ENTITY_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/fit.h"
#include "core/mlp.h"

#define PARAMETERS_AUTO       (-1) /* choice: decided when the job is submitted */
#define PARAMETERS_HIDDEN_MAX (MLP_LAYERS_MAX - 1)

/* Named sets of defaults, for what a request leaves out. */
enum parameters_preset {
    PARAMETERS_PRESET_AUTO,    /* one net with validation, early stopping, best weights */
    PARAMETERS_PRESET_SKLEARN, /* MLPClassifier / MLPRegressor defaults */
    PARAMETERS_PRESET_LECTURE, /* the textbook: sigmoid, N(0, 0.1²), full-batch descent */
    PARAMETERS_PRESET_REALMLP, /* one strong net after Holzmüller et al., NeurIPS 2024 */
    PARAMETERS_PRESET_COUNT
};

/* Whether classes weigh in the loss by their rows, or all the same. */
enum parameters_class_weight {
    PARAMETERS_CLASS_WEIGHT_NONE,
    PARAMETERS_CLASS_WEIGHT_BALANCED,
    PARAMETERS_CLASS_WEIGHT_COUNT
};

enum parameters_parametrization {
    PARAMETERS_PARAMETRIZATION_STANDARD,
    PARAMETERS_PARAMETRIZATION_NTK,
    PARAMETERS_PARAMETRIZATION_COUNT
};

struct parameters {
    int preset; /* enum parameters_preset */
    /* the net */
    uint64_t hidden_layer_sizes[PARAMETERS_HIDDEN_MAX];
    size_t n_hidden;
    int activation;        /* enum act */
    int output_activation; /* enum act, or PARAMETERS_AUTO until resolved */
    int loss;              /* enum loss, or PARAMETERS_AUTO until resolved */
    int normalization;     /* enum mlp_normalization */
    int parametrization;   /* enum parameters_parametrization */
    bool feature_scale;
    bool periodic_embeddings; /* of numeric columns */
    uint64_t periodic_frequencies;
    uint64_t periodic_width;
    double periodic_scale; /* standard deviation of the first frequencies */
    int init;              /* enum mlp_init, or PARAMETERS_AUTO until resolved */
    double init_std;       /* of init "normal" */
    double bias_init_std;
    bool zero_init_output;
    /* the loss (struct loss_options) */
    double delta;
    double over;
    double under;
    double q;
    double label_smoothing;
    int class_weight; /* enum parameters_class_weight */
    /* the steps */
    int solver; /* enum solver */
    double learning_rate;
    int schedule; /* enum schedule */
    double power_t;
    double warmup; /* epochs */
    double momentum;
    bool nesterov;
    double beta_1;
    double beta_2;
    double epsilon;
    double rho;
    double weight_decay;
    double gradient_clip;    /* 0: off */
    double bias_rate_factor; /* learning rates of groups, as multiples of learning_rate */
    double gain_rate_factor;
    double scale_rate_factor;
    double embedding_rate_factor;
    /* what holds the weights back */
    double alpha;
    double l1;
    double max_norm; /* 0: off */
    /* One for each hidden layer when n_dropout is not 0; else the first is that of all. */
    double dropout[PARAMETERS_HIDDEN_MAX];
    size_t n_dropout;
    int regularization_schedule; /* enum schedule_share, of dropout and weight_decay */
    /* the loop */
    uint64_t batch_size; /* 0: min(200, rows) */
    uint64_t max_iter;
    double tol;
    uint64_t n_iter_no_change;
    bool early_stopping;
    bool shuffle;
    bool skip_short_batch;
    uint64_t seed;
    /* the data */
    double validation_fraction;
    double test_fraction; /* rows neither trained on nor looked at until the end */
    bool standardize;
};

enum parameters_kind {
    PARAMETERS_REAL,   /* double in [least, most]; open_below: least itself excluded */
    PARAMETERS_WHOLE,  /* uint64_t in [least, most] */
    PARAMETERS_FLAG,   /* bool */
    PARAMETERS_CHOICE, /* int: index of a name, or PARAMETERS_AUTO where may_be_auto */
    PARAMETERS_SIZES,  /* hidden_layer_sizes: list of whole numbers in [least, most] */
    PARAMETERS_SHARES  /* dropout: a number in [least, most], or a list of them */
};

struct parameters_field {
    const char *name;
    enum parameters_kind kind;
    size_t offset; /* in struct parameters */
    double least, most;
    bool open_below;
    bool may_be_auto;             /* "auto" is accepted */
    const char *(*choice)(int i); /* CHOICE: name of value i */
    int n_choices;
    const char *meaning; /* one line */
};

extern const struct parameters_field parameters_fields[];
extern const size_t parameters_n_fields;

/* The field of that name, or NULL. */
const struct parameters_field *parameters_find(const char *name);

const char *parameters_preset_name(int preset);

/* The defaults of a preset. */
void parameters_init(struct parameters *parameters, enum parameters_preset preset);

/* Set one field; -1 with ERR_INVALID at "/name" (out_of_range, not_allowed) that says what
 * is allowed. The kind must fit the field (asserted). */
int parameters_set_real(struct parameters *parameters,
                        const struct parameters_field *field, double value,
                        struct err *err);
int parameters_set_whole(struct parameters *parameters,
                         const struct parameters_field *field, int64_t value,
                         struct err *err);
void parameters_set_flag(struct parameters *parameters,
                         const struct parameters_field *field, bool value);
int parameters_set_choice(struct parameters *parameters,
                          const struct parameters_field *field, const char *name,
                          struct err *err);
int parameters_add_size(struct parameters *parameters,
                        const struct parameters_field *field, int64_t size,
                        struct err *err);

/* One share for all layers, or one more entry of the list; `begin` empties it. A list without
 * entries is a share of 0 for all. */
int parameters_set_share(struct parameters *parameters,
                         const struct parameters_field *field, double share,
                         struct err *err);
void parameters_begin_shares(struct parameters *parameters,
                             const struct parameters_field *field);
int parameters_add_share(struct parameters *parameters,
                         const struct parameters_field *field, double share,
                         struct err *err);

/* Read one field of the fitting kind. */
double parameters_real(const struct parameters *parameters,
                       const struct parameters_field *field);
uint64_t parameters_whole(const struct parameters *parameters,
                          const struct parameters_field *field);
bool parameters_flag(const struct parameters *parameters,
                     const struct parameters_field *field);
const char *parameters_choice(const struct parameters *parameters,
                              const struct parameters_field *field); /* "auto" for -1 */

/* Sets one field to what `from` has; *was_same (may be NULL) tells whether it had that. */
int parameters_take_field(struct parameters *parameters, const struct parameters *from,
                          const struct parameters_field *field, bool *was_same,
                          struct err *err);

/* Stored form: one "name=value" line per field, so that old rows stay readable when fields
 * are added (what is absent gets the preset's default). Decoding distrusts: ERR_CORRUPT. */
void parameters_encode(const struct parameters *parameters, struct buf *out);
int parameters_decode(const char *text, size_t len, struct parameters *parameters,
                      struct err *err);

/* What the core needs of them, for a net of this shape; the sizes are written to
 * hidden [PARAMETERS_HIDDEN_MAX], which spec borrows. Which inputs are embedded is for the
 * caller to say: none are. */
void parameters_to_spec(const struct parameters *parameters, size_t n_inputs,
                        size_t n_outputs, size_t *hidden, struct mlp_spec *spec);
void parameters_to_fit(const struct parameters *parameters, struct fit_options *options);

/* Can such a job be trained? ERR_INVALID at the field that does not go with another, among
 * them what fit_check_options refuses. */
int parameters_check(const struct parameters *parameters, struct err *err);

#endif
