/* test_memories.c - associative memories, self-organising maps and components by local rules. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "base/base.h"
#include "glia/glia.h"

static glia_error error;

enum { N = 300, MOST = 90 };
static float weights[N * N], patterns[MOST * N], state_now[N];

static void random_patterns(int p) {
    glia_rng rng = { .seed = 7 };
    for (int i = 0; i < p * N; i++) patterns[i] = glia_rng_u32(&rng) & 1 ? 1.0f : -1.0f;
}

/* The mean overlap of p stored patterns with what is recalled from them. */
static double overlap(int p) {
    random_patterns(p);
    memset(weights, 0, sizeof weights);
    assert_int_equal(glia_hopfield_store(weights, N, patterns, p, &error), GLIA_OK);
    double sum = 0;
    for (int k = 0; k < p; k++) {
        memcpy(state_now, patterns + k * N, sizeof state_now);
        assert_true(glia_hopfield_recall(weights, N, (glia_hopfield_opts){ .seed = (uint64_t)k }, state_now, &error) >
                    0);
        for (int i = 0; i < N; i++) sum += (double)(state_now[i] * patterns[k * N + i]) / N;
    }
    return sum / p;
}

/* Amit, Gutfreund and Sompolinsky 1985: below 0.138 N the overlap is above 0.967, above it breaks down. */
static void recall_breaks_down_above_the_capacity(void **state) {
    (void)state;
    assert_true(overlap(N / 20) > 0.999);
    assert_true(overlap(N * 11 / 100) > 0.96);
    assert_true(overlap(N * 28 / 100) < 0.6);
}

static void recall_lowers_the_energy_and_mends_patterns(void **state) {
    (void)state;
    random_patterns(15);
    memset(weights, 0, sizeof weights);
    assert_int_equal(glia_hopfield_store(weights, N, patterns, 15, &error), GLIA_OK);
    for (int i = 0; i < N; i++) {
        assert_true(weights[i * N + i] == 0);
        for (int j = 0; j < i; j++) assert_true(weights[i * N + j] == weights[j * N + i]);
    }
    memcpy(state_now, patterns, sizeof state_now);
    for (int i = 0; i < N; i += 5) state_now[i] = -state_now[i]; /* a fifth is wrong */
    double before = glia_hopfield_energy(weights, N, state_now);
    for (int sweep = 0; sweep < 4; sweep++) {
        glia_hopfield_recall(weights, N, (glia_hopfield_opts){ .sweeps = 1, .seed = (uint64_t)sweep }, state_now,
                             &error);
        const double after = glia_hopfield_energy(weights, N, state_now);
        assert_true(after <= before + 1e-9);
        before = after;
    }
    assert_memory_equal(state_now, patterns, sizeof state_now);
    state_now[3] = 0.5f;
    assert_int_equal(glia_hopfield_recall(weights, N, (glia_hopfield_opts){ 0 }, state_now, &error), -1);
    ASSERT_SAYS("value 3 is 0.5; it must be -1 or 1");
}

/* Far more patterns than units: 90 of 16, where a classical net would keep two. */
static void modern_memories_keep_more_patterns_than_units(void **state) {
    (void)state;
    enum { UNITS = 16 };
    random_patterns(MOST * UNITS / N + 1);
    for (int k = 0; k < MOST; k++) {
        float x[UNITS], *wanted = patterns + k * UNITS;
        memcpy(x, wanted, sizeof x);
        x[k % UNITS] *= -0.2f;
        double before = glia_modern_hopfield_energy(patterns, MOST, UNITS, 4, x);
        for (int s = 0; s < 3; s++) {
            assert_int_equal(glia_modern_hopfield_recall(patterns, MOST, UNITS, 4, 1, x, &error), GLIA_OK);
            const double after = glia_modern_hopfield_energy(patterns, MOST, UNITS, 4, x);
            assert_true(after <= before + 1e-6 && after >= -1e-6);
            before = after;
        }
        for (int i = 0; i < UNITS; i++) ASSERT_NEAR(x[i], wanted[i], 0.51); /* one neighbour may be as near */
    }
    assert_int_equal(glia_modern_hopfield_recall(patterns, 3, UNITS, -1, 1, state_now, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("beta -1");
}

/* ---- maps ------------------------------------------------------------------------------------------- */

static void maps_are_those_of_minisom(void **state) {
    (void)state;
    float x[60 * 3], w[20 * 3];
    for (int i = 0; i < 60; i++) {
        for (int k = 0; k < 3; k++) x[i * 3 + k] = (float)sin(1 + 0.7 * i + 1.3 * k * i);
    }
    for (int u = 0; u < 20; u++) {
        for (int k = 0; k < 3; k++) w[u * 3 + k] = (float)cos(u + 2 * k);
    }
    glia_som som = { 5, 4, 3, w };
    const glia_som_opts opts = { .sigma = 1.5, .iterations = 300 };
    for (int t = 0; t < 300; t++) assert_int_equal(glia_som_step(&som, x + t % 60 * 3, t, opts, &error), GLIA_OK);
    FILE *file = fopen(GLIA_GOLDEN_DIR "/som.txt", "r");
    assert_non_null(file);
    double quantization, topographic, wanted;
    assert_int_equal(fscanf(file, " errors %lf %lf", &quantization, &topographic), 2);
    ASSERT_NEAR(glia_som_quantization_error(&som, x, 60), quantization, 1e-5);
    ASSERT_NEAR(glia_som_topographic_error(&som, x, 60), topographic, 1e-12);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(fscanf(file, "%lf", &wanted), 1);
        ASSERT_NEAR(w[i], wanted, 1e-5);
    }
    fclose(file);
    assert_int_equal(glia_som_step(&som, x, 0, (glia_som_opts){ .sigma = -1, .iterations = 1 }, &error),
                     GLIA_E_ARGUMENT);
    ASSERT_SAYS("sigma -1");
    assert_true(isnan(glia_som_topographic_error(NULL, x, 1)));
}

/* ---- components ------------------------------------------------------------------------------------- */

/* Data with independent coordinates of deviations 3, 2, 1, 0.5, turned by a rotation: its rows are the components. */
static void sanger_finds_the_components_in_order(void **state) {
    (void)state;
    enum { F = 4, SAMPLES = 30000 };
    const double deviation[F] = { 3, 2, 1, 0.5 };
    double axes[F][F] = {
        { 0.5, 0.5, 0.5, 0.5 }, { 0.5, 0.5, -0.5, -0.5 }, { 0.5, -0.5, 0.5, -0.5 }, { 0.5, -0.5, -0.5, 0.5 }
    };
    double sanger[2][F], oja[F];
    glia_rng rng = { .seed = 2 };
    for (int k = 0; k < F; k++) sanger[0][k] = 0.1 * k, sanger[1][k] = 0.3 - 0.1 * k, oja[k] = 0.2 - 0.1 * k;
    for (int i = 0; i < SAMPLES; i++) {
        double x[F] = { 0 };
        for (int c = 0; c < F; c++) {
            const double z = deviation[c] * glia_rng_normal(&rng);
            for (int k = 0; k < F; k++) x[k] += z * axes[c][k];
        }
        const double rate = 0.02 / (1 + i / 500.0);
        assert_int_equal(glia_hebbian_step(GLIA_SANGER, sanger[0], 2, F, x, rate, &error), GLIA_OK);
        assert_int_equal(glia_hebbian_step(GLIA_OJA, oja, 1, F, x, rate, &error), GLIA_OK);
    }
    for (int u = 0; u < 3; u++) {
        const double *w = u < 2 ? sanger[u] : oja, *axis = axes[u < 2 ? u : 0];
        double length = 0, along = 0;
        for (int k = 0; k < F; k++) length += w[k] * w[k], along += w[k] * axis[k];
        ASSERT_NEAR(length, 1, 0.02);
        ASSERT_NEAR(fabs(along), 1, 0.01);
    }
    double w = 0.5;
    const double x = 2;
    assert_int_equal(glia_hebbian_step(GLIA_HEBB, &w, 1, 1, &x, 0.1, &error), GLIA_OK);
    ASSERT_NEAR(w, 0.5 + 0.1 * 1 * 2, 1e-15);
}

/* ---- methods ---------------------------------------------------------------------------------------- */

static void methods_learn(void **state) {
    (void)state;
    glia_dataset *data = glia_data_strokes(8, 1, NULL);
    glia_model *map = glia_model_create("map", NULL), *memory = glia_model_create("memory", NULL);
    glia_tensor x = glia_flatten(glia_model_input(map, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28)));
    glia_tensor w = glia_parameter(glia_model_graph(map), "map/weights", GLIA_F32, GLIA_SHAPE(3, 3, 784),
                                   (glia_init){ .kind = GLIA_INIT_UNIFORM, .low = 0, .high = 1 });
    glia_model_output(map, "y", glia_matmul_transposed(x, false, glia_reshape(w, GLIA_SHAPE(9, 784)), true));
    x = glia_flatten(glia_model_input(memory, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28)));
    w = glia_parameter(glia_model_graph(memory), "memory/weights", GLIA_F32, GLIA_SHAPE(784, 784),
                       (glia_init){ .kind = GLIA_INIT_ZEROS });
    glia_model_output(memory, "y", glia_matmul(x, w));
    const glia_fit_opts o = { .batch = 4, .epochs = 20, .seed = 1 }, once = { .batch = 4 };
    if (glia_train(map, data, "som", "sigma=1", o, &error)) fail_msg("%s", error.message);
    if (glia_train(memory, data, "hopfield", "noise=0.05", once, &error)) fail_msg("%s", error.message);
    glia_array values;
    assert_true(glia_store_find(glia_model_store(map), "map/weights", &values));
    glia_som som = { 3, 3, 784, values.data };
    float samples[8 * 784];
    for (int i = 0; i < 8; i++) assert_int_equal(glia_data_get(data, i, samples + i * 784, NULL, &error), GLIA_OK);
    assert_true(glia_som_quantization_error(&som, samples, 8) < 6); /* random weights: 14 */
    assert_int_equal(glia_train(memory, data, "som", NULL, once, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("a parameter 'map/weights'");
    const glia_fit_opts momentum = { .optimizer = { .momentum = 0.9 } }, rate = { .optimizer = { .lr = 0.1 } };
    assert_int_equal(glia_train(map, data, "som", NULL, momentum, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("the method som learns by sgd with a learning rate alone");
    assert_int_equal(glia_train(map, data, "som", NULL, rate, &error), GLIA_OK);
    assert_int_equal(glia_train(memory, data, "hopfield", NULL, rate, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("the method hopfield does not use an optimiser");
    assert_int_equal(glia_train(memory, data, "hopfield", NULL, o, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("stores each sample once: 1 epoch, not 20");
    glia_model_free(map);
    glia_model_free(memory);
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recall_breaks_down_above_the_capacity),
        cmocka_unit_test(recall_lowers_the_energy_and_mends_patterns),
        cmocka_unit_test(modern_memories_keep_more_patterns_than_units),
        cmocka_unit_test(maps_are_those_of_minisom),
        cmocka_unit_test(sanger_finds_the_components_in_order),
        cmocka_unit_test(methods_learn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
