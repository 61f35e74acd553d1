/* Made-up trainings, healthy but for one figure: what is found, when, and what is not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/doctor.h"
#include "core/fit.h"
#include "entity/parameters.h"

#define N_LAYERS 3
#define N_EPOCHS 60

/* A net of 4-6-5-3, its doctor, and the epoch that he is shown. */
struct patient {
    struct mlp mlp;
    struct doctor doctor;
    struct doctor_layer layers[N_LAYERS];
    struct doctor_epoch epoch;
};

static void admit_as(struct patient *patient, enum act activation, bool early_stopping)
{
    static const size_t sizes[] = {6, 5};
    const struct mlp_spec spec = {
        .n_inputs = 4,
        .hidden_layer_sizes = sizes,
        .n_hidden = 2,
        .n_outputs = 3,
        .activation = activation,
        .output_activation = ACT_SOFTMAX,
        .loss = LOSS_CROSS_ENTROPY,
    };
    struct err err = {0};
    *patient = (struct patient){0};
    assert_int_equal(mlp_new(&spec, &patient->mlp, &err), 0);
    mlp_init_weights(&patient->mlp, MLP_GLOROT_UNIFORM, 0, 1);
    assert_int_equal(doctor_init(&patient->doctor, &patient->mlp, early_stopping, &err),
                     0);
}

static void admit(struct patient *patient)
{
    admit_as(patient, ACT_RELU, false);
}

static void discharge(struct patient *patient)
{
    doctor_clear(&patient->doctor);
    mlp_clear(&patient->mlp);
}

/* The epoch of a net in good health. */
static void set_healthy(struct patient *patient, size_t e)
{
    for (size_t l = 0; l < N_LAYERS; l++)
        patient->layers[l] = (struct doctor_layer){
            .gradient_norm = 0.1,
            .weight_norm = 2.0,
            .update_norm = 0.002,
            .dead_share = 0.1,
            .saturated_share = 0.1,
        };
    patient->epoch = (struct doctor_epoch){
        .epoch = e,
        .step = 10 * e,
        .train_loss = 1.0 / (1.0 + 0.1 * (double)e),
        .first_batch_loss = 1.1,
        .validation_loss = 0.1 + 1.0 / (1.0 + 0.1 * (double)e),
        .learning_rate = 0.001,
        .layers = patient->layers,
    };
}

/* --- one figure at a time ---------------------------------------------------------------- */

static void set_dead(struct patient *patient, size_t e, double value)
{
    (void)e;
    patient->layers[1].dead_share = value;
}

static void set_saturated(struct patient *patient, size_t e, double value)
{
    (void)e;
    patient->layers[1].saturated_share = value;
}

/* W of the first layer is 4 x 6, of the last 5 x 3. */
static void set_decay(struct patient *patient, size_t e, double value)
{
    (void)e;
    patient->layers[0].gradient_norm =
        value * sqrt(24.0) * patient->layers[2].gradient_norm / sqrt(15.0);
}

static void set_gradient(struct patient *patient, size_t e, double value)
{
    (void)e;
    for (size_t l = 0; l < N_LAYERS; l++)
        patient->layers[l].gradient_norm = value * patient->layers[l].weight_norm;
}

static void set_step(struct patient *patient, size_t e, double value)
{
    (void)e;
    patient->layers[0].update_norm = value * patient->layers[0].weight_norm;
}

/* The loss falls by little, each epoch. */
static void set_vain_step(struct patient *patient, size_t e, double value)
{
    patient->epoch.train_loss = 1.1 - 0.0001 * (double)e;
    for (size_t l = 0; l < N_LAYERS; l++)
        patient->layers[l].update_norm = value * patient->layers[l].weight_norm;
}

/* The best validation loss is that of epoch 20. */
static void set_rise(struct patient *patient, size_t e, double value)
{
    patient->epoch.validation_loss =
        e <= 20 ? 1.0 - 0.02 * (double)e : 0.6 * (1.0 + value);
}

static void set_plateau(struct patient *patient, size_t e, double value)
{
    double last = 1.0 + value; /* epoch of that many after the first */
    patient->epoch.train_loss = (double)e <= last ? 1.05 : 0.5 / (double)e;
}

static void set_swing(struct patient *patient, size_t e, double value)
{
    patient->epoch.train_loss = 0.5 + (e % 2 ? 0.25 : -0.25) * value;
}

static const struct figure {
    enum doctor_ailment ailment;
    double over;  /* the least that is ill … */
    double under; /* … and the most that is not, as good as */
    size_t epoch; /* that it is found in */
    size_t layer;
    void (*set)(struct patient *patient, size_t e, double value);
} figures[] = {
    {DOCTOR_DEAD_RELUS, 0.4, 0.399, 3, 1, set_dead},
    {DOCTOR_SATURATED, 0.6, 0.599, 5, 1, set_saturated},
    {DOCTOR_VANISHING_GRADIENT, 0.999e-3, 1.001e-3, 5, SIZE_MAX, set_decay},
    {DOCTOR_EXPLODING_GRADIENT, 10.001, 9.99, 3, SIZE_MAX, set_gradient},
    {DOCTOR_STEPS_TOO_LARGE, 0.3001, 0.2999, 3, 0, set_step},
    {DOCTOR_STEPS_TOO_SMALL, 0.999e-4, 1.001e-4, 14, SIZE_MAX, set_vain_step},
    {DOCTOR_OVERFITTING, 0.1001, 0.0999, 30, SIZE_MAX, set_rise},
    {DOCTOR_PLATEAU, 30, 29, 31, SIZE_MAX, set_plateau},
    {DOCTOR_OSCILLATING, 0.2001, 0.1999, 13, SIZE_MAX, set_swing},
};
#define N_FIGURES (sizeof figures / sizeof *figures)

/* Shows him N_EPOCHS epochs with one figure at that value; how many findings. */
static size_t observe(struct patient *patient, const struct figure *figure, double value)
{
    size_t n = 0;
    for (size_t e = 1; e <= N_EPOCHS; e++) {
        set_healthy(patient, e);
        figure->set(patient, e, value);
        n += doctor_examine(&patient->doctor, &patient->epoch);
    }
    assert_int_equal(n, patient->doctor.n_findings);
    return n;
}

static void healthy_net_has_no_findings(void **state)
{
    (void)state;
    struct patient patient;
    admit(&patient);
    for (size_t e = 1; e <= 1000; e++) {
        set_healthy(&patient, e);
        assert_int_equal(doctor_examine(&patient.doctor, &patient.epoch), 0);
    }
    discharge(&patient);
}

static void ailment_is_found_once_when_its_figure_holds_over_the_threshold(void **state)
{
    (void)state;
    assert_int_equal(N_FIGURES, DOCTOR_AILMENT_COUNT);
    for (size_t i = 0; i < N_FIGURES; i++) {
        struct patient patient;
        admit(&patient);
        size_t n = observe(&patient, &figures[i], figures[i].over);
        const struct doctor_finding *finding = &patient.doctor.findings[0];
        if (n != 1 || finding->ailment != figures[i].ailment ||
            finding->epoch != figures[i].epoch || finding->layer != figures[i].layer)
            fail_msg("%s: %zu findings, first %s in epoch %zu, layer %zu",
                     doctor_ailment_name(figures[i].ailment), n,
                     doctor_ailment_name(finding->ailment), finding->epoch,
                     finding->layer);
        assert_true(fabs(finding->value - figures[i].over) <= 0.02 * figures[i].over);
        assert_true(strlen(finding->message) > 20 && strlen(finding->remedy) > 20);
        assert_true(strlen(finding->message) < sizeof finding->message - 20);
        assert_true(strlen(finding->remedy) < sizeof finding->remedy - 1);
        discharge(&patient);
    }
}

static void figure_under_the_threshold_is_no_finding(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FIGURES; i++) {
        struct patient patient;
        admit(&patient);
        if (observe(&patient, &figures[i], figures[i].under) != 0)
            fail_msg("%s: %s", doctor_ailment_name(figures[i].ailment),
                     patient.doctor.findings[0].message);
        discharge(&patient);
    }
}

/* A good epoch in between begins the count anew. */
static void figure_that_does_not_hold_is_no_finding(void **state)
{
    (void)state;
    static const size_t of_looks[] = {0, 1, 2, 3, 4};
    for (size_t i = 0; i < sizeof of_looks / sizeof *of_looks; i++) {
        const struct figure *figure = &figures[of_looks[i]];
        struct patient patient;
        admit(&patient);
        for (size_t e = 1; e <= N_EPOCHS; e++) {
            set_healthy(&patient, e);
            if (e % figure->epoch != 0)
                figure->set(&patient, e, figure->over);
            assert_int_equal(doctor_examine(&patient.doctor, &patient.epoch), 0);
        }
        discharge(&patient);
    }
}

static void each_layer_is_found_for_itself(void **state)
{
    (void)state;
    struct patient patient;
    admit(&patient);
    for (size_t e = 1; e <= N_EPOCHS; e++) {
        set_healthy(&patient, e);
        patient.layers[0].dead_share = 0.9;
        patient.layers[1].dead_share = e > 10 ? 0.5 : 0.0;
        doctor_examine(&patient.doctor, &patient.epoch);
    }
    assert_int_equal(patient.doctor.n_findings, 2);
    assert_int_equal(patient.doctor.findings[0].layer, 0);
    assert_int_equal(patient.doctor.findings[1].layer, 1);
    assert_int_equal(patient.doctor.findings[1].epoch, 13);
    assert_non_null(strstr(patient.doctor.findings[0].message, "hidden layer 1: 90 %"));
    discharge(&patient);
}

/* --- what is not told -------------------------------------------------------------------- */

static void figures_that_are_not_numbers_are_no_findings(void **state)
{
    (void)state;
    struct patient patient;
    const double nan = (double)NAN;
    admit(&patient);
    for (size_t e = 1; e <= N_EPOCHS; e++) {
        set_healthy(&patient, e);
        for (size_t l = 0; l < N_LAYERS; l++)
            patient.layers[l] = (struct doctor_layer){nan, nan, nan, nan, nan};
        patient.epoch.train_loss = patient.epoch.validation_loss = nan;
        patient.epoch.first_batch_loss = patient.epoch.learning_rate = nan;
        assert_int_equal(doctor_examine(&patient.doctor, &patient.epoch), 0);
    }
    discharge(&patient);
}

static void epochs_without_a_look_leave_the_counts_alone(void **state)
{
    (void)state;
    struct patient patient;
    admit(&patient);
    for (size_t e = 1; e <= 5; e++) {
        set_healthy(&patient, e);
        set_dead(&patient, e, 0.5);
        if (e % 2 == 0)
            patient.epoch.layers = NULL;
        assert_int_equal(doctor_examine(&patient.doctor, &patient.epoch), e == 5);
    }
    discharge(&patient);
}

/* Dead neurons explain why nothing is learnt. */
static void consequence_of_a_finding_is_not_told(void **state)
{
    (void)state;
    struct patient patient;
    admit(&patient);
    for (size_t e = 1; e <= N_EPOCHS; e++) {
        set_healthy(&patient, e);
        set_plateau(&patient, e, 100);
        set_dead(&patient, e, 1.0);
        doctor_examine(&patient.doctor, &patient.epoch);
    }
    assert_int_equal(patient.doctor.n_findings, 1);
    assert_int_equal(patient.doctor.findings[0].ailment, DOCTOR_DEAD_RELUS);
    discharge(&patient);
}

static void overfitting_is_no_finding_when_the_best_weights_are_restored(void **state)
{
    (void)state;
    struct patient patient;
    admit_as(&patient, ACT_RELU, true);
    assert_int_equal(observe(&patient, &figures[DOCTOR_OVERFITTING], 3.0), 0);
    discharge(&patient);
}

/* … or the training loss is no lower either: that is noise. */
static void rise_without_training_progress_is_no_overfitting(void **state)
{
    (void)state;
    struct patient patient;
    admit(&patient);
    for (size_t e = 1; e <= N_EPOCHS; e++) {
        set_healthy(&patient, e);
        set_rise(&patient, e, 0.5);
        if (e > 20)
            patient.epoch.train_loss = 0.4;
        assert_int_equal(doctor_examine(&patient.doctor, &patient.epoch), 0);
    }
    discharge(&patient);
}

/* Half of the best is little beside what validation had won before. */
static void rise_of_a_loss_that_has_fallen_far_is_no_overfitting(void **state)
{
    (void)state;
    struct patient patient;
    admit(&patient);
    for (size_t e = 1; e <= N_EPOCHS; e++) {
        set_healthy(&patient, e);
        patient.epoch.validation_loss = e <= 20 ? 2.0 / (double)e : 0.15;
        assert_int_equal(doctor_examine(&patient.doctor, &patient.epoch), 0);
    }
    discharge(&patient);
}

/* There and back once, or to and fro on a way that leads down. */
static void loss_that_gets_somewhere_does_not_oscillate(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct patient patient;
        double loss = 1.0;
        admit(&patient);
        for (size_t e = 1; e <= 13; e++) {
            set_healthy(&patient, e);
            if (how == 0)
                loss = 0.2 + 0.2 * fabs((double)e - 7.0);
            else
                loss *= e % 2 ? 1.1 : 0.6;
            patient.epoch.train_loss = loss;
            assert_int_equal(doctor_examine(&patient.doctor, &patient.epoch), 0);
        }
        discharge(&patient);
    }
}

/* What only rests on losses needs no look. */
static void overfitting_is_found_without_a_look(void **state)
{
    (void)state;
    struct patient patient;
    admit(&patient);
    for (size_t e = 1; e <= N_EPOCHS; e++) {
        set_healthy(&patient, e);
        set_rise(&patient, e, 0.2);
        patient.epoch.layers = NULL;
        doctor_examine(&patient.doctor, &patient.epoch);
    }
    assert_int_equal(patient.doctor.n_findings, 1);
    discharge(&patient);
}

/* A schedule that ends, a loss that has fallen before, ground without slope, a loss that does
 * fall, noise. */
static void short_steps_are_right_at_the_end(void **state)
{
    (void)state;
    for (int how = 0; how < 5; how++) {
        struct patient patient;
        admit(&patient);
        for (size_t e = 1; e <= 30; e++) {
            set_healthy(&patient, e);
            set_vain_step(&patient, e, 1e-6);
            if (how == 0 && e == 1)
                patient.epoch.learning_rate = 0.1;
            if (how == 1)
                patient.epoch.first_batch_loss = 2.0;
            if (how == 2)
                set_gradient(&patient, e, 1e-4);
            if (how == 3)
                patient.epoch.train_loss = 1.1 - 0.0012 * (double)e;
            if (how == 4)
                patient.epoch.train_loss += e % 2 ? 1e-3 : 0;
            assert_int_equal(doctor_examine(&patient.doctor, &patient.epoch), 0);
        }
        discharge(&patient);
    }
}

static void noise_of_dropout_and_of_a_small_loss_is_no_oscillation(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct patient patient;
        admit(&patient);
        for (size_t e = 1; e <= N_EPOCHS; e++) {
            set_healthy(&patient, e);
            set_swing(&patient, e, 1.0);
            if (how == 0)
                patient.epoch.has_dropout = true;
            else
                patient.epoch.train_loss /= 20.0;
            assert_int_equal(doctor_examine(&patient.doctor, &patient.epoch), 0);
        }
        discharge(&patient);
    }
}

/* The weights of an output layer that began as 0 are no measure for its first steps, nor are
 * weights that have shrunk to 0. */
static void steps_of_weights_near_zero_are_not_too_large(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct patient patient;
        admit(&patient);
        if (how == 0) {
            struct err err = {0};
            doctor_clear(&patient.doctor);
            mlp_zero_output(&patient.mlp);
            assert_int_equal(doctor_init(&patient.doctor, &patient.mlp, false, &err), 0);
        }
        for (size_t e = 1; e <= N_EPOCHS; e++) {
            set_healthy(&patient, e);
            patient.layers[2].update_norm = (how == 0 ? 0.1 : 0.001) * sqrt(15.0);
            patient.layers[2].weight_norm = patient.layers[2].update_norm;
            assert_int_equal(doctor_examine(&patient.doctor, &patient.epoch), 0);
        }
        discharge(&patient);
    }
}

static void net_with_one_hidden_layer_has_no_vanishing_gradient(void **state)
{
    (void)state;
    static const size_t size = 6;
    const struct mlp_spec spec = {.n_inputs = 4,
                                  .hidden_layer_sizes = &size,
                                  .n_hidden = 1,
                                  .n_outputs = 2,
                                  .activation = ACT_RELU,
                                  .output_activation = ACT_SOFTMAX,
                                  .loss = LOSS_CROSS_ENTROPY};
    struct patient patient = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &patient.mlp, &err), 0);
    assert_int_equal(doctor_init(&patient.doctor, &patient.mlp, false, &err), 0);
    for (size_t e = 1; e <= N_EPOCHS; e++) {
        set_healthy(&patient, e);
        patient.layers[0].gradient_norm = 1e-9;
        assert_int_equal(doctor_examine(&patient.doctor, &patient.epoch), 0);
    }
    discharge(&patient);
}

/* An output layer that began as 0 lets no gradient through until it has grown. */
static void gradient_behind_small_output_weights_does_not_vanish(void **state)
{
    (void)state;
    struct patient patient;
    admit(&patient);
    for (size_t e = 1; e <= N_EPOCHS; e++) {
        set_healthy(&patient, e);
        set_decay(&patient, e, 1e-6);
        patient.layers[2].weight_norm =
            0.09 * patient.layers[0].weight_norm * sqrt(15.0 / 24.0);
        assert_int_equal(doctor_examine(&patient.doctor, &patient.epoch), 0);
    }
    discharge(&patient);
}

static void findings_beyond_the_room_are_dropped(void **state)
{
    (void)state;
    size_t sizes[MLP_LAYERS_MAX - 1];
    const struct mlp_spec spec = {.n_inputs = 1,
                                  .hidden_layer_sizes = sizes,
                                  .n_hidden = MLP_LAYERS_MAX - 1,
                                  .n_outputs = 1,
                                  .activation = ACT_RELU,
                                  .output_activation = ACT_IDENTITY,
                                  .loss = LOSS_SQUARED_ERROR};
    struct patient patient = {0};
    struct doctor_layer layers[MLP_LAYERS_MAX];
    struct err err = {0};
    for (size_t l = 0; l < MLP_LAYERS_MAX; l++) {
        sizes[l < MLP_LAYERS_MAX - 1 ? l : 0] = 1;
        layers[l] = (struct doctor_layer){1, 1, 1, 1, 1};
    }
    assert_int_equal(mlp_new(&spec, &patient.mlp, &err), 0);
    assert_int_equal(doctor_init(&patient.doctor, &patient.mlp, false, &err), 0);
    for (size_t e = 1; e <= N_EPOCHS; e++) {
        set_healthy(&patient, e);
        patient.epoch.layers = layers;
        doctor_examine(&patient.doctor, &patient.epoch);
    }
    assert_int_equal(patient.doctor.n_findings, DOCTOR_FINDINGS_MAX);
    discharge(&patient);
}

/* --- looking ----------------------------------------------------------------------------- */

static void norms_are_those_of_the_arrays(void **state)
{
    (void)state;
    struct patient patient;
    float gradient[24];
    float before[24];
    float after[24];
    float outputs[6] = {0};
    double sums[3] = {0};
    admit(&patient);
    for (size_t i = 0; i < 24; i++) {
        gradient[i] = (float)i - 7.0F;
        before[i] = 0.5F * (float)i;
        after[i] = before[i] + 0.25F * (float)(i % 3);
        sums[0] += (double)(gradient[i] * gradient[i]);
        sums[1] += (double)(before[i] * before[i]);
        sums[2] += (double)((after[i] - before[i]) * (after[i] - before[i]));
    }
    struct doctor_trace trace = {gradient, before, after, outputs, 1};
    struct doctor_layer *seen = &patient.layers[0];
    doctor_look(&patient.doctor, 0, &trace, seen);
    assert_true(fabs(seen->gradient_norm - sqrt(sums[0])) < 1e-9);
    assert_true(fabs(seen->weight_norm - sqrt(sums[1])) < 1e-9);
    assert_true(fabs(seen->update_norm - sqrt(sums[2])) < 1e-9);
    assert_true(isnan(seen->saturated_share));
    trace.before = NULL;
    doctor_look(&patient.doctor, 0, &trace, seen);
    assert_true(isnan(seen->update_norm));
    assert_true(seen->weight_norm > 0);
    discharge(&patient);
}

/* Share of dead neurons of layer 0 after so many batches of n rows: neuron 0 is never active,
 * neuron 1 in the first batch only, the others in every row. */
static double dead_after(size_t n_batches, size_t n)
{
    struct patient patient;
    float weights[24] = {0};
    float *outputs = calloc(n * 6, sizeof *outputs);
    admit(&patient);
    for (size_t batch = 0; batch < n_batches; batch++) {
        for (size_t i = 0; i < n * 6; i++)
            outputs[i] = i % 6 == 0 || (i % 6 == 1 && batch > 0) ? 0.0F : 1.0F;
        const struct doctor_trace trace = {weights, weights, weights, outputs, n};
        doctor_look(&patient.doctor, 0, &trace, &patient.layers[0]);
    }
    double share = patient.layers[0].dead_share;
    free(outputs);
    discharge(&patient);
    return share;
}

static void neuron_is_dead_after_300_silent_rows(void **state)
{
    (void)state;
    assert_true(dead_after(299, 1) == 0.0);
    assert_true(dead_after(300, 1) == 1.0 / 6);
    assert_true(dead_after(301, 1) == 2.0 / 6);
    assert_true(dead_after(1, 300) == 1.0 / 6);
    assert_true(dead_after(2, 300) == 2.0 / 6);
}

static void saturation_is_of_hidden_sigmoids_only(void **state)
{
    (void)state;
    static const struct {
        enum act act;
        float outputs[6];
        double share; /* NaN: none is told */
    } cases[] = {
        {ACT_TANH, {0.985F, -0.985F, 0.97F, -0.97F, 0.0F, 1.0F}, 0.5},
        {ACT_LOGISTIC, {0.005F, 0.995F, 0.02F, 0.98F, 0.5F, 0.0F}, 0.5},
        {ACT_RELU, {0.0F, 1.0F, 5.0F, 0.0F, 0.0F, 1.0F}, (double)NAN},
    };
    float weights[24] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct patient patient;
        const struct doctor_trace trace = {weights, weights, weights, cases[i].outputs,
                                           1};
        admit_as(&patient, cases[i].act, false);
        doctor_look(&patient.doctor, 0, &trace, &patient.layers[0]);
        double share = patient.layers[0].saturated_share;
        assert_true(isnan(cases[i].share) ? isnan(share) : share == cases[i].share);
        assert_true(isnan(patient.layers[0].dead_share) == (cases[i].act != ACT_RELU));
        patient.doctor.activations[2] = cases[i].act;
        doctor_look(&patient.doctor, 2, &trace, &patient.layers[2]);
        assert_true(isnan(patient.layers[2].saturated_share));
        assert_true(isnan(patient.layers[2].dead_share));
        discharge(&patient);
    }
}

/* Dense at first, then every 32 steps: with one step an epoch. */
static void looks_become_rarer(void **state)
{
    (void)state;
    struct patient patient;
    size_t n = 0;
    admit(&patient);
    for (size_t e = 1; e <= 1000; e++) {
        set_healthy(&patient, e);
        patient.epoch.step = e;
        bool is_due = doctor_is_due(&patient.doctor, e - 1);
        assert_true(is_due || e > 4);
        if (!is_due)
            patient.epoch.layers = NULL;
        n += is_due;
        doctor_examine(&patient.doctor, &patient.epoch);
    }
    assert_in_range(n, 35, 50);
    discharge(&patient);
}

/* --- saved and loaded -------------------------------------------------------------------- */

static void examine_all(struct patient *patient, size_t from, size_t to)
{
    float weights[24] = {0};
    float outputs[6] = {0};
    const struct doctor_trace trace = {weights, weights, weights, outputs, 1};
    for (size_t e = from; e <= to; e++) {
        set_healthy(patient, e);
        set_rise(patient, e, 0.5);
        set_saturated(patient, e, e < 20 ? 0.7 : 0.1);
        for (size_t i = 0; i < 20; i++)
            doctor_look(&patient->doctor, 0, &trace, &patient->layers[0]);
        patient->layers[0].weight_norm = 1.0;
        doctor_examine(&patient->doctor, &patient->epoch);
    }
}

static void loaded_doctor_goes_on_as_the_saved_one(void **state)
{
    (void)state;
    struct patient whole;
    struct buf last;
    admit(&whole);
    examine_all(&whole, 1, N_EPOCHS);
    assert_int_equal(whole.doctor.n_findings, 3); /* saturated, dead, overfitting */
    buf_init(&last, SIZE_MAX);
    doctor_save(&whole.doctor, &last);
    for (size_t cut = 0; cut <= N_EPOCHS; cut += 3) {
        struct patient first;
        struct patient second;
        struct buf saved;
        struct buf end;
        struct endian_reader reader;
        struct err err = {0};
        admit(&first);
        admit(&second);
        buf_init(&saved, SIZE_MAX);
        buf_init(&end, SIZE_MAX);
        examine_all(&first, 1, cut);
        doctor_save(&first.doctor, &saved);
        endian_reader_init(&reader, saved.bytes, saved.len);
        assert_int_equal(doctor_load(&second.doctor, &reader, &err), 0);
        assert_int_equal(endian_left(&reader), 0);
        examine_all(&second, cut + 1, N_EPOCHS);
        doctor_save(&second.doctor, &end);
        assert_int_equal(end.len, last.len);
        assert_memory_equal(end.bytes, last.bytes, end.len);
        buf_clear(&saved);
        buf_clear(&end);
        discharge(&first);
        discharge(&second);
    }
    buf_clear(&last);
    discharge(&whole);
}

static void damaged_state_is_refused(void **state)
{
    (void)state;
    struct patient patient;
    struct buf saved;
    admit(&patient);
    examine_all(&patient, 1, N_EPOCHS);
    buf_init(&saved, SIZE_MAX);
    doctor_save(&patient.doctor, &saved);
    discharge(&patient);
    for (size_t len = 0; len < saved.len; len++) {
        struct endian_reader reader;
        struct err err = {0};
        admit(&patient);
        endian_reader_init(&reader, saved.bytes, len);
        assert_int_equal(doctor_load(&patient.doctor, &reader, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        discharge(&patient);
    }
    /* Any byte may be another one: it may load, but never harm. */
    for (size_t i = 0; i < saved.len; i++) {
        struct endian_reader reader;
        struct err err = {0};
        admit(&patient);
        saved.bytes[i] = (char)~saved.bytes[i];
        endian_reader_init(&reader, saved.bytes, saved.len);
        if (doctor_load(&patient.doctor, &reader, &err) == 0)
            examine_all(&patient, N_EPOCHS + 1, N_EPOCHS + 3);
        saved.bytes[i] = (char)~saved.bytes[i];
        discharge(&patient);
    }
    buf_clear(&saved);
}

static void save(const struct patient *patient, struct buf *saved)
{
    buf_init(saved, SIZE_MAX);
    doctor_save(&patient->doctor, saved);
}

static void more_findings_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    struct patient patient;
    struct buf none;
    struct buf one;
    struct endian_reader reader;
    struct err err = {0};
    admit(&patient);
    save(&patient, &none);
    patient.doctor.n_findings = 1;
    save(&patient, &one);
    struct buf many;
    buf_init(&many, SIZE_MAX);
    buf_put(&many, none.bytes, none.len - 4); /* all but the count */
    endian_put_u32(&many, DOCTOR_FINDINGS_MAX + 1);
    for (size_t i = 0; i <= DOCTOR_FINDINGS_MAX; i++)
        buf_put(&many, one.bytes + none.len, one.len - none.len);
    endian_reader_init(&reader, many.bytes, many.len);
    assert_int_equal(doctor_load(&patient.doctor, &reader, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    buf_clear(&none);
    buf_clear(&one);
    buf_clear(&many);
    discharge(&patient);
}

/* --- in a fit ---------------------------------------------------------------------------- */

#define N_ROWS 60

struct seen {
    size_t n;
    enum doctor_ailment first;
};

static bool note_findings(void *ctx, const struct fit_progress *progress)
{
    struct seen *seen = ctx;
    if (progress->n_findings > 0 && seen->n == 0)
        seen->first = progress->findings[0].ailment;
    seen->n += progress->n_findings;
    return true;
}

/* Trains 4-6-5-3 on two well separated classes; its parameters, owned by the caller. */
static float *train(double learning_rate, bool diagnose, struct seen *seen)
{
    struct patient patient;
    float x[N_ROWS * 4];
    float t[N_ROWS];
    struct err err = {0};
    struct fit_result result;
    const struct fit_hooks hooks = {.ctx = seen, .on_epoch = note_findings};
    const struct fit_options options = {
        .optim = {.solver = SOLVER_ADAM,
                  .learning_rate = learning_rate,
                  .beta_1 = 0.9,
                  .beta_2 = 0.999,
                  .epsilon = 1e-8},
        .batch_size = 16,
        .max_iter = 100,
        .n_iter_no_change = 1000,
        .diagnose = diagnose,
        .shuffle = true,
    };
    for (size_t i = 0; i < N_ROWS; i++) {
        for (size_t j = 0; j < 4; j++)
            x[i * 4 + j] = (float)((i * 7 + j * 3) % 11) / 11.0F - 0.5F;
        t[i] = x[i * 4] > 0.0F;
    }
    admit(&patient);
    *seen = (struct seen){0};
    const struct fit_rows rows = {.x = x, .t = t, .n_rows = N_ROWS};
    if (fit_run(&patient.mlp, &options, &rows, NULL, &hooks, &result, &err) < 0)
        fail_msg("%s", err.message);
    float *parameters = malloc(patient.mlp.n_parameters * sizeof *parameters);
    memcpy(parameters, patient.mlp.parameters,
           patient.mlp.n_parameters * sizeof *parameters);
    discharge(&patient);
    return parameters;
}

static void fit_with_a_sane_rate_is_healthy_and_with_a_huge_one_is_not(void **state)
{
    (void)state;
    struct seen seen;
    free(train(0.01, true, &seen));
    assert_int_equal(seen.n, 0);
    free(train(10.0, true, &seen));
    assert_true(seen.n > 0);
    free(train(10.0, false, &seen));
    assert_int_equal(seen.n, 0);
}

static void looking_changes_no_weight(void **state)
{
    (void)state;
    struct seen seen;
    float *with = train(0.01, true, &seen);
    float *without = train(0.01, false, &seen);
    assert_memory_equal(with, without, (30 + 35 + 18) * sizeof *with);
    free(with);
    free(without);
}

static void every_ailment_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < DOCTOR_AILMENT_COUNT; i++)
        assert_int_equal(doctor_ailment_find(doctor_ailment_name((enum doctor_ailment)i)),
                         i);
    assert_int_equal(doctor_ailment_find("hypochondria"), -1);
}

static bool is_choice(const char *word)
{
    for (size_t i = 0; i < parameters_n_fields; i++)
        for (int c = 0; c < parameters_fields[i].n_choices; c++)
            if (strcmp(parameters_fields[i].choice(c), word) == 0)
                return true;
    return false;
}

/* What a remedy calls by_such_a_word must be a hyper-parameter or a value of one. */
static void remedies_name_what_there_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FIGURES; i++) {
        struct patient patient;
        size_t n_named = 0;
        admit(&patient);
        observe(&patient, &figures[i], figures[i].over);
        char *remedy = patient.doctor.findings[0].remedy;
        for (char *word = remedy; *word;) {
            size_t len = strcspn(word, " ,;");
            char after = word[len];
            word[len] = '\0';
            bool is_field = parameters_find(word) != NULL;
            n_named += is_field;
            if (strchr(word, '_') && !is_field && !is_choice(word))
                fail_msg("%s: there is no %s", doctor_ailment_name(figures[i].ailment),
                         word);
            word += len + (after != '\0');
        }
        assert_true(n_named >= 2);
        discharge(&patient);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_ailment_has_a_name_of_its_own),
        cmocka_unit_test(healthy_net_has_no_findings),
        cmocka_unit_test(ailment_is_found_once_when_its_figure_holds_over_the_threshold),
        cmocka_unit_test(remedies_name_what_there_is),
        cmocka_unit_test(figure_under_the_threshold_is_no_finding),
        cmocka_unit_test(figure_that_does_not_hold_is_no_finding),
        cmocka_unit_test(each_layer_is_found_for_itself),
        cmocka_unit_test(figures_that_are_not_numbers_are_no_findings),
        cmocka_unit_test(epochs_without_a_look_leave_the_counts_alone),
        cmocka_unit_test(consequence_of_a_finding_is_not_told),
        cmocka_unit_test(overfitting_is_no_finding_when_the_best_weights_are_restored),
        cmocka_unit_test(rise_without_training_progress_is_no_overfitting),
        cmocka_unit_test(short_steps_are_right_at_the_end),
        cmocka_unit_test(noise_of_dropout_and_of_a_small_loss_is_no_oscillation),
        cmocka_unit_test(steps_of_weights_near_zero_are_not_too_large),
        cmocka_unit_test(net_with_one_hidden_layer_has_no_vanishing_gradient),
        cmocka_unit_test(rise_of_a_loss_that_has_fallen_far_is_no_overfitting),
        cmocka_unit_test(loss_that_gets_somewhere_does_not_oscillate),
        cmocka_unit_test(overfitting_is_found_without_a_look),
        cmocka_unit_test(gradient_behind_small_output_weights_does_not_vanish),
        cmocka_unit_test(findings_beyond_the_room_are_dropped),
        cmocka_unit_test(norms_are_those_of_the_arrays),
        cmocka_unit_test(neuron_is_dead_after_300_silent_rows),
        cmocka_unit_test(saturation_is_of_hidden_sigmoids_only),
        cmocka_unit_test(looks_become_rarer),
        cmocka_unit_test(loaded_doctor_goes_on_as_the_saved_one),
        cmocka_unit_test(damaged_state_is_refused),
        cmocka_unit_test(more_findings_than_there_is_room_for_are_refused),
        cmocka_unit_test(fit_with_a_sane_rate_is_healthy_and_with_a_huge_one_is_not),
        cmocka_unit_test(looking_changes_no_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
