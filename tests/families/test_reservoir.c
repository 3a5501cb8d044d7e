/* test_reservoir.c - reservoirs forget, remember and classify; the read-out solves its normal equations, and the method
 * "readout" gives the same result at any number of threads and after a resume. */
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
#include "glia/glia.h"

static glia_error error;

enum { STEPS = 1200, UNITS = 60, FROM = 100 };
static float input[STEPS], states[STEPS * UNITS], target[STEPS], w[UNITS + 1];

static glia_reservoir *make(bool spiking, double radius) {
    glia_reservoir *r = glia_reservoir_create(
        (glia_reservoir_opts){ .inputs = 1, .units = UNITS, .spiking = spiking, .radius = radius, .seed = 2 }, &error);
    assert_non_null(r);
    return r;
}

static void random_input(void) {
    glia_rng rng = { .seed = 9 };
    for (int t = 0; t < STEPS; t++) input[t] = (float)(glia_rng_uniform(&rng) - 0.5);
}

/* The squared correlation of the read-out with the input `delay` steps ago, after training on the first half. */
static double memory_of(int delay) {
    const int half = STEPS / 2;
    for (int t = 0; t < STEPS; t++) target[t] = t >= delay ? input[t - delay] : 0;
    assert_int_equal(glia_ridge_fit(states + FROM * UNITS, target + FROM, half - FROM, UNITS, 1, 1e-6, w, &error),
                     GLIA_OK);
    double xy = 0, xx = 0, yy = 0;
    for (int t = half; t < STEPS; t++) {
        double y = (double)w[UNITS];
        for (int i = 0; i < UNITS; i++) y += (double)(w[i] * states[t * UNITS + i]);
        xy += y * (double)target[t], xx += y * y, yy += (double)(target[t] * target[t]);
    }
    return xy * xy / (xx * yy);
}

/* Jaeger 2001, "Short term memory in echo state networks". */
static void echo_states_remember_recent_inputs(void **state) {
    (void)state;
    random_input();
    glia_reservoir *r = make(false, 0.9);
    assert_int_equal(glia_reservoir_run(r, input, STEPS, states, NULL, &error), GLIA_OK);
    glia_reservoir_free(r);
    assert_true(memory_of(1) > 0.98 && memory_of(5) > 0.8);
    assert_true(memory_of(5) > memory_of(40) && memory_of(150) < 0.1);
}

/* The echo state property: below a radius of 1 the first input is forgotten. */
static void the_beginning_is_forgotten(void **state) {
    (void)state;
    static float other[STEPS * UNITS];
    random_input();
    glia_reservoir *r = make(false, 0.8);
    assert_int_equal(glia_reservoir_run(r, input, STEPS, states, NULL, &error), GLIA_OK);
    input[0] += 1;
    assert_int_equal(glia_reservoir_run(r, input, STEPS, other, NULL, &error), GLIA_OK);
    glia_reservoir_free(r);
    double first = 0, late = 0;
    for (int i = 0; i < UNITS; i++) {
        first = fmax(first, fabs((double)(states[i] - other[i])));
        late = fmax(late, fabs((double)(states[150 * UNITS + i] - other[150 * UNITS + i])));
    }
    assert_true(first > 0.1 && late < 1e-5);
}

static void a_liquid_spikes_and_decays(void **state) {
    (void)state;
    glia_reservoir *r = make(true, 1);
    int64_t spikes = 0, silent = 0;
    for (int t = 0; t < STEPS; t++) input[t] = t < 200 ? 0.5f : 0;
    assert_int_equal(glia_reservoir_run(r, input, STEPS, states, &spikes, &error), GLIA_OK);
    assert_true(spikes > 100);
    for (int i = 0; i < UNITS; i++) silent += states[(STEPS - 1) * UNITS + i] < 1e-3f;
    assert_int_equal(silent, UNITS);
    memset(input, 0, sizeof input);
    assert_int_equal(glia_reservoir_run(r, input, STEPS, states, &spikes, &error), GLIA_OK);
    assert_int_equal(spikes, 0);
    glia_reservoir_free(r);
}

static void the_read_out_minimises_its_loss(void **state) {
    (void)state;
    enum { N = 40, F = 5, O = 2 };
    float x[N * F], y[N * O], fitted[O * (F + 1)];
    glia_rng rng = { .seed = 4 };
    for (int i = 0; i < N * F; i++) x[i] = (float)glia_rng_normal(&rng);
    for (int i = 0; i < N * O; i++) y[i] = (float)glia_rng_normal(&rng);
    assert_int_equal(glia_ridge_fit(x, y, N, F, O, 0.7, fitted, &error), GLIA_OK);
    for (int o = 0; o < O; o++) {
        for (int i = 0; i <= F; i++) { /* the gradient is zero */
            double sum = i < F ? 0.7 * (double)fitted[o * (F + 1) + i] : 0;
            for (int s = 0; s < N; s++) {
                double e = (double)fitted[o * (F + 1) + F] - (double)y[s * O + o];
                for (int k = 0; k < F; k++) e += (double)(fitted[o * (F + 1) + k] * x[s * F + k]);
                sum += e * (i < F ? (double)x[s * F + i] : 1);
            }
            ASSERT_NEAR(sum, 0, 1e-4);
        }
    }
}

static void mistakes_are_named(void **state) {
    (void)state;
    assert_null(glia_reservoir_create((glia_reservoir_opts){ .inputs = 1, .units = 3, .density = 2 }, &error));
    ASSERT_SAYS("density 2");
    const float x[4] = { 1, 1, 2, 2 }, y[2] = { 0, 1 };
    float out[3];
    assert_int_equal(glia_ridge_fit(x, y, 2, 2, 1, 0, out, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("a larger ridge helps");
}

/* ---- the method ----------------------------------------------------------------------------------- */

enum { SAMPLES = 60, WIDE = 4, READ = 24, CLASSES = 3 };
static float samples[SAMPLES * WIDE];
static int32_t labels[SAMPLES];
static const char path[] = "readout.checkpoint";

/* Classes are thirds of a circle of which the states are random functions. */
static glia_dataset *circle(void) {
    glia_rng rng = { .seed = 12 };
    for (int i = 0; i < SAMPLES; i++) {
        const double at = glia_rng_uniform(&rng);
        labels[i] = (int32_t)(at * CLASSES);
        for (int k = 0; k < WIDE; k++) samples[i * WIDE + k] = (float)sin(6.283185 * (at + 0.13 * k));
    }
    return glia_data_arrays((glia_arrays){ .n = SAMPLES,
                                           .x = samples,
                                           .x_shape = GLIA_SHAPE(WIDE),
                                           .y = labels,
                                           .y_dtype = GLIA_I32,
                                           .classes = CLASSES },
                            &error);
}

static glia_model *random_net(void) {
    glia_model *model = glia_model_create("random", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(WIDE));
    const glia_init wide = { .kind = GLIA_INIT_NORMAL, .stddev = 1 };
    glia_tensor h = glia_tanh(glia_dense(x, "random", (glia_dense_opts){ .units = READ, .kernel_init = wide }));
    glia_model_output(model, "logits", glia_dense(h, "readout", (glia_dense_opts){ .units = CLASSES }));
    glia_model_output(model, "states", h);
    return model;
}

static glia_status stop_here(const glia_progress *p, void *context, glia_error *e) {
    (void)p, (void)e;
    return --*(int64_t *)context == 0 ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_status train(glia_model *model, const glia_dataset *data, int threads, int64_t stop) {
    glia_callback c[2];
    int n = 0;
    if (stop >= 0) c[n++] = glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 2 });
    if (stop > 0) c[n++] = (glia_callback){ .step_end = stop_here, .context = &stop, .after_others = true };
    const glia_fit_opts o = {
        .batch = 8, .epochs = 2, .seed = 5, .threads = threads, .validation = data, .callbacks = c, .n_callbacks = n
    };
    return glia_train(model, data, "readout", "ridge=0.01", o, &error);
}

static void assert_same_readout(glia_model *a, glia_model *b) {
    glia_array x, y;
    assert_true(glia_store_find(glia_model_store(a), "readout/kernel", &x));
    assert_true(glia_store_find(glia_model_store(b), "readout/kernel", &y));
    assert_memory_equal(x.data, y.data, CLASSES * READ * sizeof(float));
}

static void the_method_repeats_and_resumes(void **state) {
    (void)state;
    glia_dataset *data = circle();
    glia_model *one = random_net(), *three = random_net();
    if (train(one, data, 1, -1)) fail_msg("%s", error.message);
    assert_int_equal(train(three, data, 3, -1), GLIA_OK);
    assert_same_readout(one, three);
    for (int64_t stop = 3; stop < 14; stop += 4) {
        unlink(path);
        glia_model *model = random_net();
        assert_int_equal(train(model, data, 1, stop), GLIA_E_INTERRUPTED);
        glia_model_free(model);
        model = random_net();
        if (train(model, data, 1, 0)) fail_msg("%s", error.message);
        assert_same_readout(one, model);
        glia_model_free(model);
    }
    glia_assessment a;
    if (glia_assess(one, (glia_assess_opts){ .data = data, .threads = 1 }, &a, &error)) fail_msg("%s", error.message);
    assert_true(a.n == 1 && a.values[0].value > 0.9);
    unlink(path);
    glia_model_free(one);
    glia_model_free(three);
    glia_data_free(data);
}

/* What it learns is the ridge regression of all samples, each seen twice. */
static void the_method_is_a_ridge_regression(void **state) {
    (void)state;
    glia_dataset *data = circle();
    glia_model *model = random_net();
    if (train(model, data, 1, -1)) fail_msg("%s", error.message);
    static float h[SAMPLES * READ], y[SAMPLES * CLASSES], fitted[CLASSES * (READ + 1)];
    glia_array random, kernel;
    assert_true(glia_store_find(glia_model_store(model), "random/kernel", &random));
    assert_true(glia_store_find(glia_model_store(model), "readout/kernel", &kernel));
    memset(y, 0, sizeof y);
    for (int s = 0; s < SAMPLES; s++) {
        y[s * CLASSES + labels[s]] = 1;
        for (int u = 0; u < READ; u++) {
            double sum = 0;
            for (int k = 0; k < WIDE; k++)
                sum += (double)(((float *)random.data)[u * WIDE + k] * samples[s * WIDE + k]);
            h[s * READ + u] = (float)tanh(sum);
        }
    }
    assert_int_equal(glia_ridge_fit(h, y, SAMPLES, READ, CLASSES, 0.005, fitted, &error), GLIA_OK);
    for (int c = 0; c < CLASSES; c++) {
        for (int u = 0; u < READ; u++)
            ASSERT_NEAR(((float *)kernel.data)[c * READ + u], fitted[c * (READ + 1) + u], 2e-3);
    }
    glia_model_free(model);
    glia_data_free(data);
}

static void wrong_models_are_refused(void **state) {
    (void)state;
    glia_dataset *data = circle();
    glia_model *model = glia_model_create("other", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(WIDE));
    glia_model_output(model, "y", glia_dense(x, "d", (glia_dense_opts){ .units = 1 }));
    assert_int_equal(train(model, data, 1, -1), GLIA_E_ARGUMENT);
    ASSERT_SAYS("an output 'states' (N, features)");
    glia_model_free(model);
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_states_remember_recent_inputs),
        cmocka_unit_test(the_beginning_is_forgotten),
        cmocka_unit_test(a_liquid_spikes_and_decays),
        cmocka_unit_test(the_read_out_minimises_its_loss),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(the_method_repeats_and_resumes),
        cmocka_unit_test(the_method_is_a_ridge_regression),
        cmocka_unit_test(wrong_models_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
