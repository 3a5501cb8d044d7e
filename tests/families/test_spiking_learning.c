/* test_spiking_learning.c - networks by events and their plasticity against sums over all pairs of spikes; the network
 * of Diehl and Cook against a program of dense steps; the method "stdp". */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "asserts.h"
#include "base/base.h"
#include "families/spiking/competition.h"
#include "glia/glia.h"

static glia_error error;

/* ---- plasticity ----------------------------------------------------------------------------------- */

enum { SPIKES = 40 };

/* Two cells that are made to fire at random times; the weight of the synapse between them. */
static double weight_after(const glia_stdp *p, double w0, double delay, const double *pre, const double *post,
                           double reward) {
    glia_spike_net *net = glia_spike_net_create(2, (glia_spike_cell){ .threshold = 1e9 }, &error);
    glia_spike_event events[2 * SPIKES];
    int a = 0, b = 0;
    assert_int_equal(glia_spike_net_connect(net, 0, 1, w0, delay, p, &error), GLIA_OK);
    for (int i = 0; i < 2 * SPIKES; i++) {
        const bool first = b == SPIKES || (a < SPIKES && pre[a] < post[b]);
        events[i] = first ? (glia_spike_event){ pre[a++], 0 } : (glia_spike_event){ post[b++], 1 };
    }
    int64_t n = 0;
    if (glia_spike_net_run(net, events, 2 * SPIKES, 2000, NULL, 0, &n, &error)) fail_msg("%s", error.message);
    assert_int_equal(n, 2 * SPIKES);
    if (p->tau_eligibility > 0) assert_int_equal(glia_spike_net_reward(net, reward, &error), GLIA_OK);
    double w = 0;
    assert_int_equal(glia_spike_net_weights(net, &w, 1), 1);
    glia_spike_net_free(net);
    return w;
}

static void spike_trains(double *pre, double *post) {
    glia_rng rng = { .seed = 4 };
    double t = 0, u = 0;
    for (int i = 0; i < SPIKES; i++) {
        pre[i] = t += 5 + 40 * glia_rng_uniform(&rng);
        post[i] = u += 5 + 40 * glia_rng_uniform(&rng);
    }
}

/* The sum, or with nearest the last term, of exp(-(t - s) / tau) over spikes s before t. */
static double trace(const double *spikes, double delay, double t, double tau, bool nearest) {
    double sum = 0;
    for (int i = 0; i < SPIKES && spikes[i] + delay < t; i++)
        sum = (nearest ? 0 : sum) + exp(-(t - spikes[i] - delay) / tau);
    return sum;
}

static double by_pairs(const glia_stdp *p, double delay, const double *pre, const double *post, double decay) {
    double change = 0;
    const bool triplet = p->rule == GLIA_STDP_TRIPLET;
    for (int i = 0; i < SPIKES; i++) {
        const double t = post[i], u = pre[i] + delay, fade = decay > 0 ? exp(-(2000 - t) / decay) : 1;
        change += fade * trace(pre, delay, t, 20, p->nearest) *
                  (0.01 + triplet * 0.0062 * trace(post, 0, t, 125, p->nearest));
        const double fade2 = decay > 0 ? exp(-(2000 - u) / decay) : 1;
        change -= fade2 * trace(post, 0, u, 20, p->nearest) *
                  (0.0105 + triplet * 0.00023 * trace(pre, delay, u, 101, p->nearest));
    }
    return change;
}

static void rules_are_sums_over_pairs_of_spikes(void **state) {
    (void)state;
    double pre[SPIKES], post[SPIKES];
    spike_trains(pre, post);
    for (int triplet = 0; triplet < 2; triplet++) {
        for (int nearest = 0; nearest < 2; nearest++) {
            for (double delay = 0; delay < 4; delay += 3.3) {
                const glia_stdp p = {
                    .rule = triplet ? GLIA_STDP_TRIPLET : GLIA_STDP_PAIR, .nearest = nearest, .least = -100, .most = 100
                };
                const double wanted = 0.4 + by_pairs(&p, delay, pre, post, 0);
                ASSERT_NEAR(weight_after(&p, 0.4, delay, pre, post, 0), wanted, 1e-12);
            }
        }
    }
    const glia_stdp reward = { .rule = GLIA_STDP_PAIR, .tau_eligibility = 500, .least = -100, .most = 100 };
    ASSERT_NEAR(weight_after(&reward, 0.4, 0, pre, post, -3), 0.4 - 3 * by_pairs(&reward, 0, pre, post, 500), 1e-12);
}

static void one_pair_gives_the_window_of_song_and_abbott(void **state) {
    (void)state;
    for (double by = -60; by <= 60; by += 7) { /* post - pre */
        glia_spike_net *net = glia_spike_net_create(2, (glia_spike_cell){ .threshold = 1e9 }, &error);
        const glia_stdp p = { .rule = GLIA_STDP_PAIR, .power = 1, .most = 2 };
        assert_int_equal(glia_spike_net_connect(net, 0, 1, 0.5, 0, &p, &error), GLIA_OK);
        const glia_spike_event pre = { 100, 0 }, post = { 100 + by, 1 };
        const glia_spike_event events[2] = { by > 0 ? pre : post, by > 0 ? post : pre };
        assert_int_equal(glia_spike_net_run(net, events, 2, 300, NULL, 0, NULL, &error), GLIA_OK);
        double w;
        glia_spike_net_weights(net, &w, 1);
        /* growth has 3/4 of the range left, decrease 1/4 */
        ASSERT_NEAR(w - 0.5, by > 0 ? 0.75 * 0.01 * exp(-by / 20) : -0.25 * 0.0105 * exp(by / 20), 1e-15);
        glia_spike_net_free(net);
    }
}

/* ---- networks by events --------------------------------------------------------------------------- */

static void a_chain_fires_with_its_delays_and_decays_exactly(void **state) {
    (void)state;
    const glia_spike_cell cell = { .tau = 10, .refractory = 2, .theta_plus = 0.5, .tau_theta = 100 };
    glia_spike_net *net = glia_spike_net_create(4, cell, &error);
    assert_int_equal(glia_spike_net_connect(net, 0, 1, 0.6, 1.5, NULL, &error), GLIA_OK);
    assert_int_equal(glia_spike_net_connect(net, 1, 2, 1.0, 2.5, NULL, &error), GLIA_OK);
    assert_int_equal(glia_spike_net_connect(net, 2, 3, 0.9, 0, NULL, &error), GLIA_OK);
    /* two arrivals 4 ms apart: 0.6 e^-0.4 + 0.6 = 1.002; 6 ms apart they would be 0.93 */
    const glia_spike_event events[] = { { 1, 0 }, { 5, 0 }, { 30, 0 }, { 36, 0 } };
    glia_spike_event spikes[8];
    int64_t n = 0;
    assert_int_equal(glia_spike_net_run(net, events, 4, 60, spikes, 8, &n, &error), GLIA_OK);
    assert_int_equal(n, 6);
    assert_true(spikes[2].cell == 1 && spikes[2].time == 6.5);
    assert_true(spikes[3].cell == 2 && spikes[3].time == 9);
    const glia_spike_work work = glia_spike_net_work(net);
    assert_int_equal(work.spikes, 6);
    assert_int_equal(work.deliveries, 4 + 1 + 1);
    /* a spike raised the threshold to 1 + 0.5 e^-t/100; now two arrivals at once do not suffice */
    const glia_spike_event more[] = { { 68.5, 0 }, { 68.5, 0 } };
    assert_int_equal(glia_spike_net_run(net, more, 2, 200, spikes, 8, &n, &error), GLIA_OK);
    assert_int_equal(n, 2);
    glia_spike_net_free(net);
}

static glia_status run_one(glia_spike_net *net, double time, int64_t cell, double until) {
    const glia_spike_event e = { time, cell };
    return glia_spike_net_run(net, &e, 1, until, NULL, 0, NULL, &error);
}

static void mistakes_are_named(void **state) {
    (void)state;
    glia_spike_net *net = glia_spike_net_create(2, (glia_spike_cell){ 0 }, &error);
    assert_int_equal(glia_spike_net_connect(net, 0, 1, 1, -2, NULL, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("a delay of -2 ms; it cannot be negative");
    assert_int_equal(glia_spike_net_connect(net, 0, 2, 1, 0, NULL, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("from 0 to 2, of 2 cells");
    const glia_stdp pair = { .rule = GLIA_STDP_PAIR };
    assert_int_equal(glia_spike_net_connect(net, 0, 1, 3, 0, &pair, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("a weight of 3, and the rule's limits are 0 and 1");
    const glia_stdp third = { .rule = GLIA_STDP_PAIR, .a3_plus = 0.1 }, none = { .a_plus = 0.1 };
    assert_int_equal(glia_spike_net_connect(net, 0, 1, 1, 0, &third, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("settings of triplets; the rule is pairs");
    assert_int_equal(glia_spike_net_connect(net, 0, 1, 1, 0, &none, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("settings of plasticity, but no rule");
    assert_int_equal(glia_spike_net_connect(net, 0, 1, 1, 0, NULL, &error), GLIA_OK);
    assert_int_equal(glia_spike_net_connect(net, 1, 0, 1, 0, NULL, &error), GLIA_OK);
    assert_int_equal(run_one(net, 5, 0, 6), GLIA_E_ARGUMENT);
    ASSERT_SAYS("a loop of synapses without delay");
    assert_int_equal(run_one(net, 4, 0, 6), GLIA_E_ARGUMENT);
    ASSERT_SAYS("spike 0 at 4 ms is out of order: it must be in [5, 6]");
    assert_int_equal(run_one(net, 5, 7, 6), GLIA_E_ARGUMENT);
    ASSERT_SAYS("is of cell 7, of 2");
    assert_int_equal(glia_spike_net_connect(net, 0, 1, 1, 0, NULL, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("connect before the first run");
    assert_int_equal(glia_spike_net_reward(net, 1, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("no synapse has an eligibility");
    glia_spike_net_free(net);
    assert_null(glia_spike_net_create(2, (glia_spike_cell){ .tau = -1 }, &error));
    ASSERT_SAYS("tau -1");
}

/* ---- the network of Diehl and Cook ---------------------------------------------------------------- */

static void the_competition_is_that_of_dense_steps(void **state) {
    (void)state;
    enum { INPUTS = 5, CELLS = 4 };
    float weights[INPUTS * CELLS], theta[CELLS] = { 20, 20, 20, 20 };
    const float x[INPUTS] = { 1, 1, 0, 1, 1 };
    int32_t counts[CELLS];
    glia_competition net = { .rules = { .dt = 0.5,
                                        .shown = 120,
                                        .rest = 150,
                                        .rate = 2000,
                                        .intensity = 1,
                                        .rate_pre = 0.002,
                                        .rate_post = 0.05,
                                        .tau_pre = 20,
                                        .tau_post1 = 20,
                                        .tau_post2 = 40,
                                        .norm = 1.6,
                                        .theta_plus = 0.05,
                                        .tau_theta = 1e7,
                                        .excitation = 10.4,
                                        .inhibition = 17 },
                             .inputs = INPUTS,
                             .n = CELLS,
                             .weights = weights,
                             .theta = theta };
    for (int i = 0; i < INPUTS; i++) {
        for (int j = 0; j < CELLS; j++) weights[i * CELLS + j] = (float)(0.05 + 0.3 * ((3 * i + 5 * j) % 7) / 7);
    }
    glia_competition_normalize(&net);
    glia_competition_run *run = glia_competition_run_create(&net);
    assert_non_null(run);
    const glia_competition_told told = glia_competition_show(&net, run, x, 1, 1, true, counts);
    glia_competition_run_free(run);
    assert_int_equal(told.input_spikes, 4 * 240);
    assert_int_equal(told.shown, 1);
    FILE *file = fopen(GLIA_GOLDEN_DIR "/competition.txt", "r");
    assert_non_null(file);
    double value;
    assert_int_equal(fscanf(file, " counts"), 0);
    for (int j = 0; j < CELLS; j++) {
        assert_int_equal(fscanf(file, "%lf", &value), 1);
        assert_int_equal(counts[j], (int)value);
    }
    assert_int_equal(fscanf(file, " theta"), 0);
    for (int j = 0; j < CELLS; j++) {
        assert_int_equal(fscanf(file, "%lf", &value), 1);
        ASSERT_NEAR(theta[j], value, 1e-4);
    }
    assert_int_equal(fscanf(file, " weights"), 0);
    for (int i = 0; i < INPUTS * CELLS; i++) {
        assert_int_equal(fscanf(file, "%lf", &value), 1);
        ASSERT_NEAR(weights[i], value, 1e-5);
    }
    fclose(file);
}

/* ---- the method ----------------------------------------------------------------------------------- */

static const char path[] = "stdp.checkpoint", previous[] = "stdp.checkpoint.previous";
static const char quick[] = "presentation=60 pause=20 rate=200 least_spikes=2 label_samples=0 norm=20";

static glia_model *cells_model(void) {
    glia_model *model = glia_model_create("cells", NULL);
    glia_graph *g = glia_model_graph(model);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    const glia_init uniform = { .kind = GLIA_INIT_UNIFORM, .low = 0.003, .high = 0.303 };
    glia_tensor w = glia_parameter(g, "cells/weights", GLIA_F32, GLIA_SHAPE(784, 12), uniform);
    glia_state(g, "cells/theta", GLIA_F32, GLIA_SHAPE(12), (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = 20 });
    glia_state(g, "cells/response", GLIA_F32, GLIA_SHAPE(12, 10), (glia_init){ .kind = GLIA_INIT_ZEROS });
    glia_model_output(model, "drive", glia_matmul(glia_flatten(x), w));
    return model;
}

static glia_status stop_here(const glia_progress *p, void *context, glia_error *e) {
    (void)p, (void)e;
    return --*(int64_t *)context == 0 ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_status train(glia_model *model, int threads, bool saves, int64_t stop) {
    glia_dataset *data = glia_data_strokes(30, 1, NULL), *held = glia_data_strokes(20, 2, NULL);
    glia_callback c[2];
    int n = 0;
    if (saves) c[n++] = glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 2 });
    if (stop) c[n++] = (glia_callback){ .step_end = stop_here, .context = &stop, .after_others = true };
    const glia_fit_opts o = { .epochs = 2,
                              .batch = 10,
                              .optimizer = { .lr = 1 },
                              .validation = held,
                              .callbacks = c,
                              .n_callbacks = n,
                              .seed = 3,
                              .threads = threads };
    const glia_status status = glia_train(model, data, "stdp", quick, o, &error);
    glia_data_free(data);
    glia_data_free(held);
    return status;
}

static void assert_same_model(glia_model *a, glia_model *b) {
    glia_store *s = glia_model_store(a), *t = glia_model_store(b);
    for (int i = 0; i < glia_store_count(s); i++) {
        glia_array x = glia_store_at(s, i), y;
        assert_true(glia_store_find(t, x.name, &y));
        assert_memory_equal(x.data, y.data, (size_t)glia_shape_count(x.shape) * glia_dtype_size(x.dtype));
    }
}

static void the_method_repeats_and_resumes(void **state) {
    (void)state;
    glia_model *one = cells_model(), *three = cells_model();
    if (train(one, 1, false, 0)) fail_msg("%s", error.message);
    assert_int_equal(train(three, 3, false, 0), GLIA_OK);
    assert_same_model(one, three);
    for (int64_t stop = 1; stop < 6; stop += 2) {
        unlink(path);
        unlink(previous);
        glia_model *model = cells_model();
        assert_int_equal(train(model, 1, true, stop), GLIA_E_INTERRUPTED);
        glia_model_free(model);
        model = cells_model();
        if (train(model, 1, true, 0)) fail_msg("%s", error.message);
        assert_same_model(one, model);
        glia_model_free(model);
    }
    glia_array response;
    assert_true(glia_store_find(glia_model_store(one), "cells/response", &response));
    double sum = 0;
    for (int j = 0; j < 120; j++) sum += (double)((float *)response.data)[j];
    assert_true(sum > 0);
    glia_dataset *data = glia_data_strokes(20, 2, NULL);
    glia_assessment a, b;
    if (glia_assess(one, (glia_assess_opts){ .data = data, .threads = 1 }, &a, &error)) fail_msg("%s", error.message);
    assert_int_equal(glia_assess(one, (glia_assess_opts){ .data = data, .threads = 3 }, &b, &error), GLIA_OK);
    assert_true(a.n == 9 && b.n == 9);
    for (int i = 0; i < a.n; i++) assert_true(a.values[i].value == b.values[i].value);
    glia_data_free(data);
    glia_model_free(one);
    glia_model_free(three);
}

static void wrong_models_and_data_are_refused(void **state) {
    (void)state;
    float values[4] = { 0, 3, 0, 0 };
    glia_dataset *unlabelled = glia_data_arrays((glia_arrays){ .n = 2, .x = values, .x_shape = GLIA_SHAPE(2) }, NULL);
    glia_dataset *strokes = glia_data_strokes(10, 1, NULL);
    glia_model *model = cells_model(), *other = glia_model_create("other", NULL);
    glia_tensor x = glia_model_input(other, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_model_output(other, "y", glia_dense(x, "d", (glia_dense_opts){ .units = 1 }));
    const glia_fit_opts o = { .batch = 2 };
    assert_int_equal(glia_train(model, unlabelled, "stdp", NULL, o, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("needs data with a class for each sample");
    assert_int_equal(glia_train(other, strokes, "stdp", NULL, o, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("needs a model with an input 'x', a parameter 'cells/weights'");
    glia_fit_opts adam = o;
    adam.optimizer.kind = GLIA_ADAM;
    assert_int_equal(glia_train(model, strokes, "stdp", NULL, adam, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("the method stdp learns by sgd with a learning rate alone");
    const double mean = 0.5, deviation = 0.5;
    assert_int_equal(glia_data_normalize(strokes, &mean, &deviation, 1, &error), GLIA_OK);
    assert_int_equal(glia_train(model, strokes, "stdp", NULL, o, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("rates are made of values in [0, 1]");
    glia_model_free(model);
    glia_model_free(other);
    glia_data_free(unlabelled);
    glia_data_free(strokes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_sums_over_pairs_of_spikes),
        cmocka_unit_test(one_pair_gives_the_window_of_song_and_abbott),
        cmocka_unit_test(a_chain_fires_with_its_delays_and_decays_exactly),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(the_competition_is_that_of_dense_steps),
        cmocka_unit_test(the_method_repeats_and_resumes),
        cmocka_unit_test(wrong_models_and_data_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
