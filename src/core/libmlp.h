/*
 * libmlp: multilayer perceptrons for programs in C and C++: classifiers, regressors and
 * multilabel classifiers with the names and defaults of scikit-learn's MLPClassifier and
 * MLPRegressor. This header and libmlp.a are all there is to it; link with -lmlp and what
 * `pkg-config --static --libs libmlp` adds.
 *
 *     struct libmlp_options options;
 *     struct libmlp_error error;
 *     struct libmlp *mlp = NULL;
 *     libmlp_options_init(&options, LIBMLP_CLASSIFIER);
 *     if (libmlp_new(&options, &mlp, &error) < 0 || libmlp_fit(mlp, &rows, &error) < 0)
 *         fprintf(stderr, "%s: %s\n", error.field, error.message);
 *     libmlp_free(mlp);
 *
 * Arrays are row-major float, one row after the other, and borrowed for the call; indices in
 * messages count from 0, as in C. Inputs are taken as they are: scale them to about ±1.
 *
 * Functions that return int give 0, or -1 with *error written (NULL is allowed). Outputs are
 * written, and a net is changed, only on success. Nothing aborts, prints, or keeps global
 * state that could be seen.
 *
 * Threads: functions that take `const struct libmlp *` may run at the same time on one net;
 * the others need it for themselves. Different nets have nothing in common. The same
 * options and rows give the same weights, bit for bit, at any number of threads.
 */
#ifndef LIBMLP_H
#define LIBMLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LIBMLP_AUTO (-1)

struct libmlp_error {
    char field[64];    /* option or argument at fault, "hidden_layer_sizes[1]"; or "" */
    char message[256]; /* a sentence without a full stop */
};

enum libmlp_task {
    LIBMLP_CLASSIFIER = 1, /* y is one class per row: 0 … n_classes-1 */
    LIBMLP_REGRESSOR,      /* y is one or several numbers per row */
    LIBMLP_MULTILABEL      /* y is 0 or 1 for each of several labels per row */
};

/* What is known after an epoch. */
struct libmlp_epoch {
    size_t epoch;           /* from 1, counted on by warm_start and partial_fit */
    double train_loss;      /* penalties included, as the batches were seen */
    double validation_loss; /* NaN without early_stopping */
    bool is_best;           /* of this call so far */
};

/* How to use more than one thread, without the library making any. */
struct libmlp_parallel {
    void *ctx; /* borrowed; passed to run */
    /* Calls task(arg, i) once for each i in [0, n_tasks), on any threads, in any order, and
     * returns when all are done and what they wrote can be seen. */
    void (*run)(void *ctx, void (*task)(void *arg, size_t i), void *arg, size_t n_tasks);
};

/* All options; libmlp_options_init first, then change what you like. Figures that the solver
 * or loss does not use are not looked at. Borrowed until libmlp_new returns. */
struct libmlp_options {
    enum libmlp_task task;
    /* the net */
    const size_t *hidden_layer_sizes; /* [n_hidden]; n_hidden 0: a perceptron */
    size_t n_hidden;                  /* one layer of 100 */
    /* "relu"; identity logistic tanh relu leaky_relu elu selu gelu silu mish softplus */
    const char *activation;
    const char *output_activation; /* "auto" follows the loss; these and softmax */
    const char *normalization;     /* "none"; batch_norm layer_norm, of hidden layers */
    /* "glorot_uniform"; glorot_normal he_uniform he_normal lecun_normal normal; auto: what suits
     * the activation, or N(0, 1) under ntk */
    const char *init;
    double init_std;             /* 0.1; of init normal */
    double bias_init_std;        /* 0; of the biases */
    bool zero_init_output;       /* false; the last layer starts at 0 */
    const char *parametrization; /* "standard"; ntk: products times 1/√fan_in */
    bool feature_scale;          /* false; a learnt factor for each input */
    /* NULL; [n_periodic], rising: inputs that get learnt periodic embeddings */
    const size_t *periodic_inputs;
    size_t n_periodic;            /* 0 */
    int64_t periodic_frequencies; /* 16; waves of an embedded input */
    int64_t periodic_width;       /* 4; columns that they become */
    double frequency_scale;       /* 0.1; standard deviation of the first frequencies */
    int64_t n_classes; /* LIBMLP_AUTO: 1 + the largest in the first y; classifier */
    /* the loss; "auto": cross_entropy, binary_cross_entropy for two classes and for labels,
     * squared_error for a regressor. A regressor also takes absolute_error huber
     * asymmetric_squared quantile poisson; the others squared_error too */
    const char *loss;
    double delta;             /* 1; huber: error from which it is linear */
    double over, under;       /* 1, 1; asymmetric_squared: weights of too high, too low */
    double q;                 /* 0.5; quantile */
    double label_smoothing;   /* 0; share of a class target spread over all classes */
    const char *class_weight; /* "none"; balanced; classifier */
    /* the steps */
    const char *solver;   /* "adam"; gd sgd rmsprop adam adamw lbfgs */
    double learning_rate; /* 0.001 (scikit-learn's learning_rate_init) */
    /* "constant"; invscaling adaptive cosine one_cycle coslog4 */
    const char *schedule;
    double power_t;       /* 0.5; invscaling */
    double warmup;        /* 0; epochs of linear warm-up */
    double momentum;      /* 0.9; sgd */
    bool nesterov;        /* true; sgd */
    double beta_1;        /* 0.9; adam, adamw */
    double beta_2;        /* 0.999; adam, adamw */
    double epsilon;       /* 1e-8; adam, adamw, rmsprop */
    double rho;           /* 0.9; rmsprop */
    double weight_decay;  /* 0.01; adamw */
    double gradient_clip; /* 0: off; longest gradient */
    /* 1; learning rates of biases, gains of normalisation, feature scales and embeddings, as
     * multiples of learning_rate */
    double bias_rate_factor, gain_rate_factor, scale_rate_factor, embedding_rate_factor;
    /* what holds the weights back */
    double alpha;                /* 0.0001; L2 */
    double l1;                   /* 0 */
    double max_norm;             /* 0: off; longest vector of weights into a neuron */
    double dropout;              /* 0; share of the outputs of every hidden layer */
    const double *layer_dropout; /* NULL; [n_hidden]: one for each layer instead */
    /* "constant"; flat_cosine, of dropout and weight_decay */
    const char *regularization_schedule;
    /* the loop */
    int64_t batch_size;       /* LIBMLP_AUTO: min(200, n_rows) */
    int64_t max_iter;         /* 200; epochs */
    double tol;               /* 0.0001 */
    int64_t n_iter_no_change; /* 10 */
    bool early_stopping;      /* false; watch a part of the rows, keep the best weights */
    double validation_fraction; /* 0.1; of early_stopping, stratified by class */
    bool shuffle;               /* true */
    bool skip_short_batch;      /* false; of an epoch, when half as long as the others */
    bool warm_start;            /* false; fit goes on from the weights there are */
    uint64_t seed;              /* 0 */
    /* hooks */
    const struct libmlp_parallel *parallel; /* NULL: the caller's thread only */
    /* NULL; after every epoch: false stops the fit, which then returns -1 */
    bool (*on_epoch)(void *ctx, const struct libmlp_epoch *epoch);
    void *ctx; /* NULL; borrowed; passed to on_epoch */
};

/* Rows with their targets. */
struct libmlp_rows {
    const float *x; /* [n_rows x n_inputs], finite */
    size_t n_rows;
    size_t n_inputs;
    const float *y;             /* [n_rows x n_targets], see libmlp_task */
    size_t n_targets;           /* 1 for a classifier */
    const float *sample_weight; /* [n_rows], from 0 on; NULL: all 1 */
};

struct libmlp;

/* "0.1.0"; constant. */
const char *libmlp_version(void);

/* Writes the defaults. */
void libmlp_options_init(struct libmlp_options *options, enum libmlp_task task);

/* An untrained net in *mlp, owned by the caller. The options are checked here, but for what
 * depends on the rows. */
int libmlp_new(const struct libmlp_options *options, struct libmlp **mlp,
               struct libmlp_error *error);

void libmlp_free(struct libmlp *mlp); /* NULL is allowed */

/* Trains: from new weights, or, with warm_start, from those of the last fit or load, whose
 * shape the rows must then have. Training that meets a number that is not finite fails. */
int libmlp_fit(struct libmlp *mlp, const struct libmlp_rows *rows,
               struct libmlp_error *error);

/* One pass over these rows, from the weights there are (new ones the first time: set
 * n_classes unless these rows have all classes); what the solver knows, it keeps from call to
 * call. Not with lbfgs, early_stopping or a
 * schedule: there is no end to count towards. */
int libmlp_partial_fit(struct libmlp *mlp, const struct libmlp_rows *rows,
                       struct libmlp_error *error);

/* y [n_rows x n_targets]: classes, numbers, or 0/1 labels, for x [n_rows x n_inputs]. */
int libmlp_predict(const struct libmlp *mlp, const float *x, size_t n_rows,
                   size_t n_inputs, float *y, struct libmlp_error *error);

/* p [n_rows x n_classes]: probabilities of the classes or labels; not for a regressor. */
int libmlp_predict_proba(const struct libmlp *mlp, const float *x, size_t n_rows,
                         size_t n_inputs, float *p, struct libmlp_error *error);

/* scikit-learn's score: share of rows that are right (of a multilabel: in all labels); of a
 * regressor R², the mean over its outputs. Weighted by sample_weight. */
int libmlp_score(const struct libmlp *mlp, const struct libmlp_rows *rows, double *score,
                 struct libmlp_error *error);

/* The epochs so far: borrowed [*n] until mlp is next changed. NULL when there are none. */
const struct libmlp_epoch *libmlp_history(const struct libmlp *mlp, size_t *n);

/* 0 before the first fit or load. */
size_t libmlp_n_parameters(const struct libmlp *mlp);
size_t libmlp_n_inputs(const struct libmlp *mlp);
size_t libmlp_n_targets(const struct libmlp *mlp); /* columns of y */
size_t libmlp_n_classes(const struct libmlp *mlp); /* columns of p; 0 of a regressor */

/* The net as safetensors bytes in *bytes [*len]: free() them. The same net gives the same
 * bytes. */
int libmlp_save(const struct libmlp *mlp, void **bytes, size_t *len,
                struct libmlp_error *error);

/* Replaces the net by one from such bytes, which are distrusted: its shape, activations and
 * loss are theirs, all else stays as the options say. The loss must suit the task. */
int libmlp_load(struct libmlp *mlp, const void *bytes, size_t len,
                struct libmlp_error *error);

/* Is backpropagation right, for these rows and the weights there are (or new ones)? Writes
 * the largest relative error of the loss's gradient, held against central differences in
 * double: up to some 1e-4 is float's rounding. An error when the gradient of a layer is 0, or
 * when kinks of an activation leave too little to compare: fewer rows may help. Takes
 * 6 n_parameters passes: for small nets and few rows. */
int libmlp_check_gradient(const struct libmlp *mlp, const struct libmlp_rows *rows,
                          double *largest_error, struct libmlp_error *error);

#ifdef __cplusplus
}
#endif

#endif
