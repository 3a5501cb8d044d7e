/* test_reservoir.c - reservoirs forget, remember and classify; the read-out solves its normal equations. */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_states_remember_recent_inputs),
        cmocka_unit_test(the_beginning_is_forgotten),
        cmocka_unit_test(a_liquid_spikes_and_decays),
        cmocka_unit_test(the_read_out_minimises_its_loss),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
