#include "core/doctor.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* With no activity in n rows a neuron is active in less than 3/n of all rows, at 95 %
 * confidence (the rule of three, Hanley and Lippman-Hand 1983): here in less than 1 %. */
#define SILENT_ROWS 300

/* A tanh over .98 and a logistic output under .01 or over .99 have a slope below a
 * twenty-fifth of the steepest. */
#define SATURATED_TANH     0.98F
#define SATURATED_LOGISTIC 0.01F

/* Looks are at most so many steps apart. */
#define LOOK_STEPS 32

/* A loss that has not fallen by this share of itself has not fallen: a plateau. */
#define PLATEAU_FALL 1e-3

/* Nothing is learnt while the loss has not fallen by this share of what it was before the
 * first step. */
#define LEARNT_FALL 0.1

/* Below this share of what it was before the first step, a loss may well be noisy. */
#define SMALL_LOSS 0.1

/* Weights of a lower root mean square are no measure for a step: it is measured as if they
 * were of this. */
#define SMALL_WEIGHT 0.05

/* A gradient shorter than this share of the weights has nothing to say. */
#define FLAT_GRADIENT 1e-3

/* --- figures: NaN where there is none ------------------------------------------------- */

static double net_norm(const struct doctor *doctor, const struct doctor_epoch *epoch,
                       size_t member)
{
    double sum = 0.0;
    for (size_t l = 0; l < doctor->n_layers; l++) {
        double norm = *(const double *)((const char *)&epoch->layers[l] + member);
        sum += norm * norm;
    }
    return sqrt(sum);
}

#define NET_NORM(member) net_norm(doctor, epoch, offsetof(struct doctor_layer, member))

static double ratio(double a, double b)
{
    return b > 0.0 ? a / b : (double)NAN;
}

static double dead_share(const struct doctor *doctor, const struct doctor_epoch *epoch,
                         size_t l)
{
    (void)doctor;
    return epoch->layers[l].dead_share;
}

static double saturated_share(const struct doctor *doctor,
                              const struct doctor_epoch *epoch, size_t l)
{
    (void)doctor;
    return epoch->layers[l].saturated_share;
}

/* Root mean square of a layer's weights, or of what has a norm like theirs. */
static double mean_size(const struct doctor *doctor, size_t l, double norm_of_layer)
{
    return norm_of_layer / sqrt((double)doctor->n_weights[l]);
}

/* Of root mean squares, so that the layers' sizes do not matter. An output layer that began
 * as 0 lets nothing through until it has grown; that passes. */
static double gradient_decay(const struct doctor *doctor,
                             const struct doctor_epoch *epoch, size_t l)
{
    (void)l;
    size_t last = doctor->n_layers - 1;
    if (last < 2)
        return (double)NAN;
    const struct doctor_layer *head = &epoch->layers[0];
    const struct doctor_layer *tail = &epoch->layers[last];
    if (mean_size(doctor, last, tail->weight_norm) <
        0.1 * mean_size(doctor, 0, head->weight_norm))
        return (double)NAN;
    return ratio(mean_size(doctor, 0, head->gradient_norm),
                 mean_size(doctor, last, tail->gradient_norm));
}

static double gradient_length(const struct doctor *doctor,
                              const struct doctor_epoch *epoch, size_t l)
{
    (void)l;
    return ratio(NET_NORM(gradient_norm), NET_NORM(weight_norm));
}

static double step_length(const struct doctor *doctor, const struct doctor_epoch *epoch,
                          size_t l)
{
    double least = SMALL_WEIGHT * sqrt((double)doctor->n_weights[l]);
    if (doctor->is_from_zero[l]) /* its first steps are all that it is */
        return (double)NAN;
    return ratio(epoch->layers[l].update_norm, fmax(epoch->layers[l].weight_norm, least));
}

/* Loss of the epoch that was `ago` epochs before the last one. */
static double loss_ago(const struct doctor *doctor, size_t ago)
{
    return doctor->train_losses[(doctor->n_epochs - ago) % DOCTOR_WINDOW];
}

static bool has_learnt(const struct doctor *doctor, double loss)
{
    return !(loss > doctor->first_loss - LEARNT_FALL * fabs(doctor->first_loss));
}

/* Short steps are a fault only where the loss is still about what it was at the beginning, on
 * a smooth way, and there is a gradient to follow: neither at the end of training, nor of a
 * schedule, nor in noise, nor on flat ground. */
static double vain_step_length(const struct doctor *doctor,
                               const struct doctor_epoch *epoch, size_t l)
{
    double now = loss_ago(doctor, 0);
    if (doctor->n_epochs < DOCTOR_WINDOW || has_learnt(doctor, now) ||
        epoch->learning_rate < 0.5 * doctor->highest_rate ||
        loss_ago(doctor, DOCTOR_WINDOW - 1) - now > 0.01 * fabs(now) ||
        !(gradient_length(doctor, epoch, l) >= FLAT_GRADIENT))
        return (double)NAN;
    for (size_t ago = 0; ago + 1 < DOCTOR_WINDOW; ago++)
        if (loss_ago(doctor, ago) - loss_ago(doctor, ago + 1) > 1e-4 * fabs(now))
            return (double)NAN;
    return ratio(NET_NORM(update_norm), NET_NORM(weight_norm));
}

/* Prechelt's generalisation loss, where there is training progress and the rise is more than
 * noise beside what validation had won. */
static double validation_rise(const struct doctor *doctor,
                              const struct doctor_epoch *epoch, size_t l)
{
    (void)l;
    double rise = epoch->validation_loss - doctor->best_validation_loss;
    if (doctor->early_stopping || !(epoch->train_loss < doctor->train_loss_at_best) ||
        rise < 0.05 * (doctor->first_validation_loss - doctor->best_validation_loss))
        return (double)NAN;
    return ratio(rise, fabs(doctor->best_validation_loss));
}

static double epochs_without_fall(const struct doctor *doctor,
                                  const struct doctor_epoch *epoch, size_t l)
{
    (void)l;
    if (has_learnt(doctor, doctor->mark)) /* then it may be all there is to learn */
        return (double)NAN;
    return (double)(epoch->epoch - doctor->mark_epoch);
}

/* Mean change from epoch to epoch as a share of the mean loss, where it is to and fro; not
 * where dropout makes the noise, nor where the loss is small. */
static double loss_swing(const struct doctor *doctor, const struct doctor_epoch *epoch,
                         size_t l)
{
    (void)l;
    double sum = loss_ago(doctor, 0);
    double way = 0.0;
    double before = 0.0;
    size_t n_turns = 0;
    if (doctor->n_epochs < DOCTOR_WINDOW || epoch->has_dropout)
        return (double)NAN;
    for (size_t ago = 0; ago + 1 < DOCTOR_WINDOW; ago++) {
        double change = loss_ago(doctor, ago) - loss_ago(doctor, ago + 1);
        n_turns += change * before < 0.0;
        before = change;
        way += fabs(change);
        sum += loss_ago(doctor, ago + 1);
    }
    double gone = fabs(loss_ago(doctor, 0) - loss_ago(doctor, DOCTOR_WINDOW - 1));
    double mean = fabs(sum) / DOCTOR_WINDOW;
    if (n_turns < DOCTOR_WINDOW / 2 || gone > 0.5 * way ||
        mean < SMALL_LOSS * fabs(doctor->first_loss))
        return (double)NAN;
    return ratio(way / (DOCTOR_WINDOW - 1), mean);
}

/* --- the table ------------------------------------------------------------------------ */

#define BIT(ailment) (1U << (ailment))

struct ailment {
    const char *name;
    double (*figure)(const struct doctor *doctor, const struct doctor_epoch *epoch,
                     size_t l);
    bool is_of_layer; /* else of the whole net */
    bool needs_look;
    bool is_below; /* what is at the threshold or below is ill; else at it or above */
    double threshold;
    uint32_t holds;    /* looks or epochs in a row */
    unsigned causes;   /* ailments that explain it: not told when one of them is found */
    double scale;      /* of the figure in the message: … */
    const char *ahead; /* … "ahead FIGURE behind" */
    const char *behind;
    const char *remedy;
};

static const struct ailment ailments[] = {
    /* CS231n: "as much as 40 % of your network can be dead" with too high a rate. */
    [DOCTOR_DEAD_RELUS] =
        {.name = "dead_relus",
         .figure = dead_share,
         .is_of_layer = true,
         .needs_look = true,
         .threshold = 0.4,
         .holds = 3,
         .scale = 100,
         .ahead = "",
         .behind = " % of its neurons are dead: 0 for all rows, so they do not learn",
         .remedy = "lower learning_rate or set gradient_clip 1; activation leaky_relu; "
                   "init he_normal; normalization batch_norm; standardize true"},
    /* Glorot and Bengio 2010, section 3: layers that saturate stop learning. */
    [DOCTOR_SATURATED] =
        {.name = "saturated",
         .figure = saturated_share,
         .is_of_layer = true,
         .needs_look = true,
         .threshold = 0.6,
         .holds = 5,
         .scale = 100,
         .ahead = "",
         .behind = " % of its outputs are saturated, where the slope is almost 0",
         .remedy = "standardize true; init glorot_uniform or a smaller init_std; lower "
                   "learning_rate; normalization batch_norm; activation relu"},
    /* Glorot and Bengio 2010, section 4; Pascanu, Mikolov and Bengio 2013. */
    [DOCTOR_VANISHING_GRADIENT] =
        {.name = "vanishing_gradient",
         .figure = gradient_decay,
         .needs_look = true,
         .is_below = true,
         .threshold = 1e-3,
         .holds = 5,
         .causes = BIT(DOCTOR_DEAD_RELUS) | BIT(DOCTOR_SATURATED),
         .scale = 1,
         .ahead =
             "the gradient vanishes on its way back: a weight's in the first layer is ",
         .behind = " of one's in the last",
         .remedy = "activation relu with init he_normal, or tanh with glorot_uniform; "
                   "normalization batch_norm; fewer entries in hidden_layer_sizes"},
    [DOCTOR_EXPLODING_GRADIENT] =
        {.name = "exploding_gradient",
         .figure = gradient_length,
         .needs_look = true,
         .threshold = 10,
         .holds = 3,
         .scale = 1,
         .ahead = "the gradient explodes: it is ",
         .behind = " times as long as the weights",
         .remedy = "gradient_clip 1; standardize true; init glorot_uniform or he_normal; "
                   "normalization batch_norm"},
    /* Karpathy (CS231n): a step should change the weights by about 1e-3 of them. The first
     * steps of adam on a small table are 1e-1 long and do no harm. */
    [DOCTOR_STEPS_TOO_LARGE] =
        {.name = "steps_too_large",
         .figure = step_length,
         .is_of_layer = true,
         .needs_look = true,
         .threshold = 0.3,
         .holds = 3,
         .scale = 100,
         .ahead = "a step changes its weights by ",
         .behind = " %; about 0.1 % is usual",
         .remedy = "lower learning_rate, by ten at first; gradient_clip 1; warmup"},
    [DOCTOR_STEPS_TOO_SMALL] =
        {.name = "steps_too_small",
         .figure = vain_step_length,
         .needs_look = true,
         .is_below = true,
         .threshold = 1e-4,
         .holds = 3,
         .causes = BIT(DOCTOR_DEAD_RELUS) | BIT(DOCTOR_SATURATED) |
                   BIT(DOCTOR_VANISHING_GRADIENT),
         .scale = 100,
         .ahead = "the loss hardly falls: a step changes the weights by ",
         .behind = " %; about 0.1 % is usual",
         .remedy =
             "raise learning_rate, by ten at first; solver adam; a smaller batch_size"},
    /* Prechelt 1998, "Early Stopping - But When?": generalisation loss (GL) while the
     * training loss falls. */
    [DOCTOR_OVERFITTING] =
        {.name = "overfitting",
         .figure = validation_rise,
         .threshold = 0.1,
         .holds = 10,
         .scale = 100,
         .ahead = "the validation loss is ",
         .behind = " % above its best, while the training loss falls",
         .remedy = "early_stopping true; a larger alpha; dropout 0.2; smaller "
                   "hidden_layer_sizes; more rows"},
    [DOCTOR_PLATEAU] =
        {.name = "plateau",
         .figure = epochs_without_fall,
         .threshold = 30,
         .holds = 1,
         .causes = BIT(DOCTOR_DEAD_RELUS) | BIT(DOCTOR_SATURATED) |
                   BIT(DOCTOR_VANISHING_GRADIENT) | BIT(DOCTOR_EXPLODING_GRADIENT) |
                   BIT(DOCTOR_STEPS_TOO_LARGE) | BIT(DOCTOR_STEPS_TOO_SMALL) |
                   BIT(DOCTOR_OSCILLATING),
         .scale = 1,
         .ahead = "nothing is learnt: the training loss has not fallen by 0.1 % for ",
         .behind = " epochs",
         .remedy = "another learning_rate; solver adam; another init; larger "
                   "hidden_layer_sizes; features that tell more about the target"},
    [DOCTOR_OSCILLATING] =
        {.name = "oscillating",
         .figure = loss_swing,
         .threshold = 0.2,
         .holds = 2,
         .causes = BIT(DOCTOR_STEPS_TOO_LARGE),
         .scale = 100,
         .ahead = "the training loss goes up and down, by ",
         .behind = " % of it from epoch to epoch",
         .remedy = "lower learning_rate; schedule adaptive or cosine; a larger "
                   "batch_size; gradient_clip 1"},
};

const char *doctor_ailment_name(enum doctor_ailment ailment)
{
    return ailments[ailment].name;
}

int doctor_ailment_find(const char *name)
{
    for (int i = 0; i < DOCTOR_AILMENT_COUNT; i++)
        if (strcmp(ailments[i].name, name) == 0)
            return i;
    return -1;
}

/* --- a doctor's life ------------------------------------------------------------------ */

static double norm(const float *v, size_t n)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    return sqrt(sum);
}

int doctor_init(struct doctor *doctor, const struct mlp *mlp, bool early_stopping,
                struct err *err)
{
    size_t n_memory = 0;
    *doctor = (struct doctor){.n_layers = mlp->n_layers,
                              .early_stopping = early_stopping,
                              .best_validation_loss = (double)INFINITY,
                              .mark = (double)INFINITY};
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        doctor->n_weights[l] = layer->fan_in * layer->fan_out;
        doctor->n_neurons[l] = layer->fan_out;
        doctor->activations[l] = layer->activation;
        if (l + 1 < mlp->n_layers && layer->activation == ACT_RELU)
            n_memory += layer->fan_out;
    }
    for (size_t l = 0; l < mlp->n_layers; l++)
        doctor->is_from_zero[l] = norm(mlp->parameters + mlp->layers[l].weights_at,
                                       doctor->n_weights[l]) == 0.0;
    uint32_t *at = mem_new(n_memory, sizeof *at, err);
    if (!at)
        return -1;
    doctor->memory = at;
    doctor->n_memory = n_memory;
    for (size_t l = 0; l + 1 < mlp->n_layers; l++) {
        if (doctor->activations[l] != ACT_RELU)
            continue;
        doctor->silent_rows[l] = at;
        at += doctor->n_neurons[l];
    }
    return 0;
}

void doctor_clear(struct doctor *doctor)
{
    free(doctor->memory);
    *doctor = (struct doctor){0};
}

bool doctor_is_due(const struct doctor *doctor, size_t step)
{
    return step >= doctor->next_look;
}

/* --- looking -------------------------------------------------------------------------- */

static double distance(const float *a, const float *b, size_t n)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        double d = (double)(a[i] - b[i]);
        sum += d * d;
    }
    return sqrt(sum);
}

/* Counts on for each neuron, and tells the share of those silent for long. */
static double count_silent(uint32_t *restrict silent, const float *restrict a, size_t n,
                           size_t k)
{
    size_t n_dead = 0;
    for (size_t i = 0; i < n; i++) {
        const float *restrict row = a + i * k;
#pragma omp simd
        for (size_t j = 0; j < k; j++) {
            uint32_t more = silent[j] < SILENT_ROWS ? silent[j] + 1 : SILENT_ROWS;
            silent[j] = row[j] == 0.0F ? more : 0; /* NaN: alive */
        }
    }
    for (size_t j = 0; j < k; j++)
        n_dead += silent[j] == SILENT_ROWS;
    return (double)n_dead / (double)k;
}

static double outside_share(const struct doctor_trace *trace, size_t k, float low,
                            float high)
{
    size_t n = trace->n_rows * k;
    size_t n_outside = 0;
#pragma omp simd reduction(+ : n_outside)
    for (size_t i = 0; i < n; i++)
        n_outside += trace->outputs[i] < low || trace->outputs[i] > high;
    return (double)n_outside / (double)n;
}

void doctor_look(struct doctor *doctor, size_t l, const struct doctor_trace *trace,
                 struct doctor_layer *layer)
{
    size_t n = doctor->n_weights[l];
    size_t k = doctor->n_neurons[l];
    const float *before = trace->before ? trace->before : trace->after;
    struct doctor_layer seen = {
        .gradient_norm = norm(trace->gradient, n),
        .weight_norm = norm(before, n),
        .update_norm = trace->before ? distance(trace->after, before, n) : (double)NAN,
        .dead_share = (double)NAN,
        .saturated_share = (double)NAN,
    };
    assert(trace->n_rows > 0);
    if (doctor->silent_rows[l])
        seen.dead_share =
            count_silent(doctor->silent_rows[l], trace->outputs, trace->n_rows, k);
    /* Outputs of the last layer saturate because the net is sure. */
    if (l + 1 < doctor->n_layers && doctor->activations[l] == ACT_TANH)
        seen.saturated_share = outside_share(trace, k, -SATURATED_TANH, SATURATED_TANH);
    if (l + 1 < doctor->n_layers && doctor->activations[l] == ACT_LOGISTIC)
        seen.saturated_share =
            outside_share(trace, k, SATURATED_LOGISTIC, 1.0F - SATURATED_LOGISTIC);
    *layer = seen;
}

/* --- judging -------------------------------------------------------------------------- */

static void remember(struct doctor *doctor, const struct doctor_epoch *epoch)
{
    double loss = epoch->train_loss;
    if (doctor->n_epochs == 0) {
        doctor->first_loss =
            isfinite(epoch->first_batch_loss) ? epoch->first_batch_loss : loss;
        doctor->first_validation_loss = epoch->validation_loss;
    }
    doctor->n_epochs++;
    doctor->train_losses[doctor->n_epochs % DOCTOR_WINDOW] = loss;
    if (epoch->validation_loss < doctor->best_validation_loss) {
        doctor->best_validation_loss = epoch->validation_loss;
        doctor->train_loss_at_best = loss;
    }
    if (!isfinite(doctor->mark) ||
        loss <= doctor->mark - PLATEAU_FALL * fabs(doctor->mark)) {
        doctor->mark = loss;
        doctor->mark_epoch = epoch->epoch;
    }
    if (epoch->learning_rate > doctor->highest_rate)
        doctor->highest_rate = epoch->learning_rate;
}

/* Is it a consequence of something that is found already? */
static bool is_explained(const struct doctor *doctor, const struct ailment *ailment)
{
    for (size_t i = 0; i < doctor->n_findings; i++)
        if (ailment->causes & BIT(doctor->findings[i].ailment))
            return true;
    return false;
}

static void name_layer(const struct doctor *doctor, const struct ailment *ailment,
                       size_t l, char out[40])
{
    out[0] = '\0';
    if (ailment->is_of_layer && l + 1 < doctor->n_layers)
        snprintf(out, 40, "hidden layer %zu: ", l + 1);
    else if (ailment->is_of_layer)
        snprintf(out, 40, "output layer: ");
}

static void add_finding(struct doctor *doctor, const struct doctor_epoch *epoch,
                        enum doctor_ailment which, size_t l, double value)
{
    const struct ailment *ailment = &ailments[which];
    char where[40];
    if (doctor->n_findings == DOCTOR_FINDINGS_MAX)
        return;
    struct doctor_finding *finding = &doctor->findings[doctor->n_findings++];
    *finding = (struct doctor_finding){.ailment = which,
                                       .epoch = epoch->epoch,
                                       .layer = ailment->is_of_layer ? l : SIZE_MAX,
                                       .value = value,
                                       .threshold = ailment->threshold};
    name_layer(doctor, ailment, l, where);
    snprintf(finding->message, sizeof finding->message, "%s%s%.3g%s", where,
             ailment->ahead, value * ailment->scale, ailment->behind);
    snprintf(finding->remedy, sizeof finding->remedy, "%s", ailment->remedy);
}

/* One ailment of one layer (or, at n_layers, of the net). */
static void judge(struct doctor *doctor, const struct doctor_epoch *epoch,
                  enum doctor_ailment which, size_t l)
{
    const struct ailment *ailment = &ailments[which];
    size_t place = ailment->is_of_layer ? l : MLP_LAYERS_MAX;
    uint32_t *n_crossed = &doctor->n_crossed[which][place];
    if (doctor->is_found[which][place])
        return;
    double value = ailment->figure(doctor, epoch, l);
    bool is_over = ailment->is_below ? value <= ailment->threshold
                                     : value >= ailment->threshold; /* NaN: not */
    *n_crossed = is_over ? *n_crossed + 1 : 0;
    if (*n_crossed < ailment->holds || is_explained(doctor, ailment))
        return;
    doctor->is_found[which][place] = true;
    add_finding(doctor, epoch, which, l, value);
}

size_t doctor_examine(struct doctor *doctor, const struct doctor_epoch *epoch)
{
    size_t n_before = doctor->n_findings;
    remember(doctor, epoch);
    for (int which = 0; which < DOCTOR_AILMENT_COUNT; which++) {
        const struct ailment *ailment = &ailments[which];
        size_t n = ailment->is_of_layer ? doctor->n_layers : 1;
        if (ailment->needs_look && !epoch->layers)
            continue;
        for (size_t l = 0; l < n; l++)
            judge(doctor, epoch, (enum doctor_ailment)which, l);
    }
    if (epoch->layers) {
        size_t pause = epoch->step / 4;
        doctor->next_look = epoch->step + (pause < LOOK_STEPS ? pause : LOOK_STEPS);
    }
    return doctor->n_findings - n_before;
}

/* --- saved and loaded ----------------------------------------------------------------- */

static void save_finding(const struct doctor_finding *finding, struct buf *out)
{
    endian_put_u8(out, (uint8_t)finding->ailment);
    endian_put_u64(out, finding->epoch);
    endian_put_u64(out, finding->layer);
    endian_put_f64(out, finding->value);
    endian_put_f64(out, finding->threshold);
    endian_put_text(out, finding->message, strlen(finding->message));
    endian_put_text(out, finding->remedy, strlen(finding->remedy));
}

static void load_text(struct endian_reader *reader, char *out, size_t size)
{
    size_t len = 0;
    const char *text = endian_get_text(reader, &len);
    if (!text || len >= size) {
        reader->failed = true;
        return;
    }
    memcpy(out, text, len);
    out[len] = '\0';
}

static void load_finding(struct endian_reader *reader, size_t n_layers,
                         struct doctor_finding *finding)
{
    uint8_t ailment = endian_get_u8(reader);
    finding->epoch = (size_t)endian_get_u64(reader);
    finding->layer = (size_t)endian_get_u64(reader);
    finding->value = endian_get_f64(reader);
    finding->threshold = endian_get_f64(reader);
    load_text(reader, finding->message, sizeof finding->message);
    load_text(reader, finding->remedy, sizeof finding->remedy);
    if (ailment >= DOCTOR_AILMENT_COUNT ||
        (finding->layer >= n_layers && finding->layer != SIZE_MAX))
        reader->failed = true;
    else
        finding->ailment = (enum doctor_ailment)ailment;
}

/* Columns of n_crossed and is_found that are in use: those of layers and the net's. */
static size_t place_at(const struct doctor *doctor, size_t i)
{
    return i < doctor->n_layers ? i : MLP_LAYERS_MAX;
}

static void save_counts(const struct doctor *doctor, struct buf *out)
{
    for (size_t which = 0; which < DOCTOR_AILMENT_COUNT; which++) {
        for (size_t i = 0; i <= doctor->n_layers; i++) {
            size_t place = place_at(doctor, i);
            endian_put_u32(out, doctor->n_crossed[which][place]);
            endian_put_u8(out, doctor->is_found[which][place]);
        }
    }
    for (size_t l = 0; l < doctor->n_layers; l++)
        endian_put_u8(out, doctor->is_from_zero[l]);
    for (size_t i = 0; i < doctor->n_memory; i++)
        endian_put_u32(out, doctor->memory[i]);
}

static void load_counts(struct doctor *doctor, struct endian_reader *reader)
{
    for (size_t which = 0; which < DOCTOR_AILMENT_COUNT; which++) {
        for (size_t i = 0; i <= doctor->n_layers; i++) {
            size_t place = place_at(doctor, i);
            doctor->n_crossed[which][place] = endian_get_u32(reader);
            doctor->is_found[which][place] = endian_get_u8(reader);
        }
    }
    for (size_t l = 0; l < doctor->n_layers; l++)
        doctor->is_from_zero[l] = endian_get_u8(reader);
    for (size_t i = 0; i < doctor->n_memory; i++)
        doctor->memory[i] = endian_get_u32(reader);
}

void doctor_save(const struct doctor *doctor, struct buf *out)
{
    endian_put_u32(out, (uint32_t)doctor->n_layers);
    endian_put_u64(out, doctor->n_memory);
    endian_put_u64(out, doctor->next_look);
    endian_put_u64(out, doctor->n_epochs);
    for (size_t i = 0; i < DOCTOR_WINDOW; i++)
        endian_put_f64(out, doctor->train_losses[i]);
    endian_put_f64(out, doctor->first_loss);
    endian_put_f64(out, doctor->first_validation_loss);
    endian_put_f64(out, doctor->best_validation_loss);
    endian_put_f64(out, doctor->train_loss_at_best);
    endian_put_f64(out, doctor->highest_rate);
    endian_put_f64(out, doctor->mark);
    endian_put_u64(out, doctor->mark_epoch);
    save_counts(doctor, out);
    endian_put_u32(out, (uint32_t)doctor->n_findings);
    for (size_t i = 0; i < doctor->n_findings; i++)
        save_finding(&doctor->findings[i], out);
}

int doctor_load(struct doctor *doctor, struct endian_reader *reader, struct err *err)
{
    if (endian_get_u32(reader) != doctor->n_layers ||
        endian_get_u64(reader) != doctor->n_memory)
        reader->failed = true;
    doctor->next_look = (size_t)endian_get_u64(reader);
    doctor->n_epochs = (size_t)endian_get_u64(reader);
    for (size_t i = 0; i < DOCTOR_WINDOW; i++)
        doctor->train_losses[i] = endian_get_f64(reader);
    doctor->first_loss = endian_get_f64(reader);
    doctor->first_validation_loss = endian_get_f64(reader);
    doctor->best_validation_loss = endian_get_f64(reader);
    doctor->train_loss_at_best = endian_get_f64(reader);
    doctor->highest_rate = endian_get_f64(reader);
    doctor->mark = endian_get_f64(reader);
    doctor->mark_epoch = (size_t)endian_get_u64(reader);
    load_counts(doctor, reader);
    size_t n_findings = endian_get_u32(reader);
    doctor->n_findings = 0;
    for (size_t i = 0; i < n_findings && !reader->failed; i++) {
        if (i == DOCTOR_FINDINGS_MAX)
            reader->failed = true;
        else
            load_finding(reader, doctor->n_layers,
                         &doctor->findings[doctor->n_findings++]);
    }
    if (reader->failed)
        return err_set(err, ERR_CORRUPT, "corrupt",
                       "the doctor's stored state is damaged");
    return 0;
}
