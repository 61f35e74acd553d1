/*
 * schedule: the learning rate of a step, as a pure function of where training is, so that a
 * fit that is continued takes the same steps as one that was not interrupted.
 */
#ifndef CORE_SCHEDULE_H
#define CORE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>

/* With η the learning rate, s the step (from 0) and S all steps of a run of max_iter
 * epochs. */
enum schedule {
    SCHEDULE_CONSTANT, /* η */
    /* scikit-learn's: η / (t + 1)^power_t, t = rows seen up to the end of the last epoch */
    SCHEDULE_INVSCALING,
    /* scikit-learn's: η / 5^d; d counts how often the watched loss had not improved by tol
     * for n_iter_no_change epochs. The loop counts; schedule_is_spent ends it. */
    SCHEDULE_ADAPTIVE,
    SCHEDULE_COSINE, /* η (1 + cos(π s / S)) / 2 (Loshchilov and Hutter 2017) */
    /* Smith 2018: in a straight line from η/25 to η over the first 30 % of S, then along a
     * cosine to η/10,000 in the last step */
    SCHEDULE_ONE_CYCLE,
    /* Holzmüller et al. 2024: η (1 − cos(2π log₂(1 + 15 s/S))) / 2: four cycles, each twice as
     * long as the one before */
    SCHEDULE_COSLOG4,
    SCHEDULE_COUNT
};

/* How dropout and decay fade over a run. */
enum schedule_share {
    SCHEDULE_SHARE_CONSTANT,    /* 1 */
    SCHEDULE_SHARE_FLAT_COSINE, /* 1 for t = s/S < ½, then ½ (1 + cos(π (2t − 1))) */
    SCHEDULE_SHARE_COUNT
};

/* "constant", "flat_cosine" */
const char *schedule_share_name(enum schedule_share share);

const char *schedule_name(enum schedule schedule);

struct schedule_options {
    enum schedule schedule;
    double power_t; /* >= 0, invscaling */
    /* Epochs (>= 0, part ones too) in whose W steps the rate of any schedule is multiplied
     * by (s + 1) / W. */
    double warmup;
};

/* Where training is. */
struct schedule_place {
    size_t step;            /* steps taken in all epochs */
    size_t steps_per_epoch; /* >= 1 */
    size_t n_rows;          /* of an epoch */
    size_t max_iter;        /* epochs, >= 1 */
    size_t n_drops;         /* adaptive's d */
};

/* Learning rate of the next step. */
double schedule_rate(const struct schedule_options *options, double learning_rate,
                     const struct schedule_place *place);

/* What regularisation is multiplied by in the next step, in [0, 1]. */
double schedule_share(enum schedule_share share, const struct schedule_place *place);

/* True when the loop is to stop for want of progress: always, but for adaptive only once its
 * rate is 1e-6 or less; until then the loop adds a drop and goes on. */
bool schedule_is_spent(const struct schedule_options *options, double learning_rate,
                       size_t n_drops);

#endif
