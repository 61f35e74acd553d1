#include "core/schedule.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* Share of the run that is behind, in [0, 1]. */
static double share_done(const struct schedule_place *place)
{
    double n_steps = (double)place->steps_per_epoch * (double)place->max_iter;
    return fmin((double)place->step / n_steps, 1.0);
}

static double constant(const struct schedule_options *options,
                       const struct schedule_place *place)
{
    (void)options;
    (void)place;
    return 1.0;
}

static double invscaling(const struct schedule_options *options,
                         const struct schedule_place *place)
{
    size_t n_epochs = place->step / place->steps_per_epoch;
    double t = (double)n_epochs * (double)place->n_rows;
    return pow(t + 1.0, -options->power_t);
}

static double adaptive(const struct schedule_options *options,
                       const struct schedule_place *place)
{
    (void)options;
    return pow(5.0, -(double)place->n_drops);
}

static double cosine(const struct schedule_options *options,
                     const struct schedule_place *place)
{
    (void)options;
    return 0.5 * (1.0 + cos(pi * share_done(place)));
}

static double one_cycle(const struct schedule_options *options,
                        const struct schedule_place *place)
{
    const double start = 1.0 / 25.0;
    const double end = 1e-4;
    double last = (double)place->steps_per_epoch * (double)place->max_iter - 1.0;
    double peak = 0.3 * last; /* counted so that the last step has the last rate */
    double step = fmin((double)place->step, last);
    (void)options;
    if (step <= peak)
        return peak > 0.0 ? start + (1.0 - start) * step / peak : 1.0;
    return end + (1.0 - end) * 0.5 * (1.0 + cos(pi * (step - peak) / (last - peak)));
}

static double coslog4(const struct schedule_options *options,
                      const struct schedule_place *place)
{
    (void)options;
    return 0.5 * (1.0 - cos(2.0 * pi * log2(1.0 + 15.0 * share_done(place))));
}

static const struct {
    const char *name;
    double (*factor)(const struct schedule_options *options,
                     const struct schedule_place *place);
} schedules[SCHEDULE_COUNT] = {
    [SCHEDULE_CONSTANT] = {"constant", constant},
    [SCHEDULE_INVSCALING] = {"invscaling", invscaling},
    [SCHEDULE_ADAPTIVE] = {"adaptive", adaptive},
    [SCHEDULE_COSINE] = {"cosine", cosine},
    [SCHEDULE_ONE_CYCLE] = {"one_cycle", one_cycle},
    [SCHEDULE_COSLOG4] = {"coslog4", coslog4},
};

const char *schedule_name(enum schedule schedule)
{
    return schedules[schedule].name;
}

double schedule_rate(const struct schedule_options *options, double learning_rate,
                     const struct schedule_place *place)
{
    double warmup = options->warmup * (double)place->steps_per_epoch;
    double done = (double)place->step + 1.0;
    double factor = schedules[options->schedule].factor(options, place);
    return learning_rate * factor * (done < warmup ? done / warmup : 1.0);
}

const char *schedule_share_name(enum schedule_share share)
{
    static const char *const names[SCHEDULE_SHARE_COUNT] = {"constant", "flat_cosine"};
    return names[share];
}

double schedule_share(enum schedule_share share, const struct schedule_place *place)
{
    double done = share_done(place);
    if (share == SCHEDULE_SHARE_CONSTANT || done < 0.5)
        return 1.0;
    return 0.5 * (1.0 + cos(pi * (2.0 * done - 1.0)));
}

bool schedule_is_spent(const struct schedule_options *options, double learning_rate,
                       size_t n_drops)
{
    return options->schedule != SCHEDULE_ADAPTIVE ||
           learning_rate * pow(5.0, -(double)n_drops) <= 1e-6;
}
