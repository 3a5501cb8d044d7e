/* test_perceptron.c - logic functions of McCulloch-Pitts units, and what the perceptron can and cannot learn. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "glia/glia.h"

static void gates_are_exact(void **state) {
    (void)state;
    for (int bits = 0; bits < 8; bits++) {
        const bool in[] = { bits & 1, bits & 2, bits & 4 };
        assert_int_equal(glia_mp_fires(glia_mp_and(2), in), in[0] && in[1]);
        assert_int_equal(glia_mp_fires(glia_mp_or(2), in), in[0] || in[1]);
        assert_int_equal(glia_mp_fires(glia_mp_and(3), in), bits == 7);
        assert_int_equal(glia_mp_fires(glia_mp_or(3), in), bits != 0);
        assert_int_equal(glia_mp_fires(glia_mp_not(), in), !in[0]);
    }
}

/* One active inhibitory synapse turns the unit off, regardless of excitation. */
static void inhibition_is_absolute(void **state) {
    (void)state;
    const int synapses[] = { 5, 5, -1 };
    const glia_mp_unit unit = { .inputs = 3, .threshold = 1, .synapses = synapses };
    assert_true(glia_mp_fires(unit, (const bool[]){ true, true, false }));
    assert_false(glia_mp_fires(unit, (const bool[]){ true, true, true }));
}

/* Several synapses from one input add up: majority of three votes, the first counted twice. */
static void synapses_are_summed(void **state) {
    (void)state;
    const int synapses[] = { 2, 1, 1 };
    const glia_mp_unit unit = { .inputs = 3, .threshold = 3, .synapses = synapses };
    for (int bits = 0; bits < 8; bits++) {
        const bool in[] = { bits & 1, bits & 2, bits & 4 };
        assert_int_equal(glia_mp_fires(unit, in), 2 * in[0] + in[1] + in[2] >= 3);
    }
}

/* As in the 1943 paper: two layers compute functions that one unit cannot. */
static void a_net_of_units_computes_xor(void **state) {
    (void)state;
    const int first_only[] = { 1, -1 }, second_only[] = { -1, 1 };
    for (int bits = 0; bits < 4; bits++) {
        const bool in[] = { bits & 1, bits & 2 };
        const bool between[] = {
            glia_mp_fires((glia_mp_unit){ .inputs = 2, .threshold = 1, .synapses = first_only }, in),
            glia_mp_fires((glia_mp_unit){ .inputs = 2, .threshold = 1, .synapses = second_only }, in),
        };
        assert_int_equal(glia_mp_fires(glia_mp_or(2), between), in[0] != in[1]);
    }
}

static const double corners[] = { 0, 0, 0, 1, 1, 0, 1, 1 };

static void learns_and_or(void **state) {
    (void)state;
    const int targets[2][4] = { { -1, -1, -1, 1 }, { -1, 1, 1, 1 } };
    for (int k = 0; k < 2; k++) {
        double weights[2] = { 0 };
        glia_perceptron unit = { .inputs = 2, .weights = weights };
        glia_perceptron_result result;
        assert_int_equal(
            glia_perceptron_train(&unit, corners, targets[k], 4, (glia_perceptron_opts){ 0 }, &result, NULL), GLIA_OK);
        assert_true(result.converged);
        for (int i = 0; i < 4; i++) assert_int_equal(glia_perceptron_predict(&unit, corners + 2 * i), targets[k][i]);
    }
}

/* Samples with a known margin, in several dimensions: the number of mistakes is within Novikoff's bound. */
static void converges_within_novikoffs_bound(void **state) {
    (void)state;
    enum { N = 200, MOST = 20 };
    static double x[N * MOST];
    static int labels[N];
    for (int inputs = 2; inputs <= MOST; inputs += 6) {
        glia_rng rng = { .seed = 7, .stream = (uint64_t)inputs };
        double truth[MOST], weights[MOST] = { 0 };
        for (int j = 0; j < inputs; j++) truth[j] = glia_rng_normal(&rng);
        const glia_perceptron separator = { .inputs = inputs, .weights = truth, .bias = 0.3 };
        for (int i = 0; i < N;) {
            double *sample = x + i * inputs;
            for (int j = 0; j < inputs; j++) sample[j] = 2 * glia_rng_uniform(&rng) - 1;
            double score = glia_perceptron_score(&separator, sample);
            if (fabs(score) > 0.2) labels[i++] = score > 0 ? 1 : -1;
        }
        double bound;
        assert_int_equal(glia_perceptron_bound(&separator, x, labels, N, &bound, NULL), GLIA_OK);

        glia_perceptron unit = { .inputs = inputs, .weights = weights };
        glia_perceptron_result result;
        glia_perceptron_opts opts = { .epochs = 1 + (int64_t)bound };
        assert_int_equal(glia_perceptron_train(&unit, x, labels, N, opts, &result, NULL), GLIA_OK);
        assert_true(result.converged);
        assert_true(result.mistakes > 0);
        assert_true((double)result.mistakes <= bound);
        for (int i = 0; i < N; i++) assert_int_equal(glia_perceptron_predict(&unit, x + i * inputs), labels[i]);
    }
}

/* By hand: points 1 and -1 on a line, separated by w = 1, b = 0. R^2 = 2, margin 1. */
static void bound_is_as_computed_by_hand(void **state) {
    (void)state;
    double w = 1, bound = 0;
    const glia_perceptron unit = { .inputs = 1, .weights = &w };
    assert_int_equal(glia_perceptron_bound(&unit, (const double[]){ 1, -1 }, (const int[]){ 1, -1 }, 2, &bound, NULL),
                     GLIA_OK);
    assert_true(bound == 2);
}

/* The weights are integers, so they can be compared exactly. An epoch depends only on its initial weights: once those
 * recur, the sequence is periodic, and no epoch of the cycle was without mistakes. */
static void xor_never_converges(void **state) {
    (void)state;
    enum { EPOCHS = 64 };
    const int labels[] = { -1, 1, 1, -1 };
    double weights[2] = { 0 }, seen[EPOCHS][3];
    glia_perceptron unit = { .inputs = 2, .weights = weights };
    int circle = 0;
    for (int epoch = 0; epoch < EPOCHS && !circle; epoch++) {
        int64_t mistakes = 0;
        glia_perceptron_result result;
        glia_perceptron_opts opts = { .epochs = 1, .mistakes = &mistakes };
        memcpy(seen[epoch], (double[]){ weights[0], weights[1], unit.bias }, sizeof seen[epoch]);
        assert_int_equal(glia_perceptron_train(&unit, corners, labels, 4, opts, &result, NULL), GLIA_OK);
        assert_false(result.converged);
        assert_int_equal(mistakes, result.mistakes);
        assert_true(mistakes > 0);
        for (int before = 0; before <= epoch; before++)
            if (seen[before][0] == weights[0] && seen[before][1] == weights[1] && seen[before][2] == unit.bias)
                circle = epoch + 1 - before;
    }
    assert_true(circle > 0);
}

static void rejects_invalid_arguments(void **state) {
    (void)state;
    double weights[2] = { 0 }, bound;
    glia_perceptron unit = { .inputs = 2, .weights = weights };
    glia_error error;
    const int zero_one[] = { 0, 1, 1, 0 }, labels[] = { -1, 1, 1, -1 };
    assert_int_equal(glia_perceptron_train(&unit, corners, zero_one, 4, (glia_perceptron_opts){ 0 }, NULL, &error),
                     GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "sample 0 is 0"));
    assert_int_equal(glia_perceptron_train(&unit, corners, labels, 0, (glia_perceptron_opts){ 0 }, NULL, NULL),
                     GLIA_E_ARGUMENT);
    assert_int_equal(
        glia_perceptron_train(&unit, corners, labels, 4, (glia_perceptron_opts){ .rate = NAN }, NULL, NULL),
        GLIA_E_ARGUMENT);
    assert_int_equal(glia_perceptron_bound(&unit, corners, labels, 4, &bound, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "wrong side"));
    assert_true(weights[0] == 0 && weights[1] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gates_are_exact),
        cmocka_unit_test(inhibition_is_absolute),
        cmocka_unit_test(synapses_are_summed),
        cmocka_unit_test(a_net_of_units_computes_xor),
        cmocka_unit_test(learns_and_or),
        cmocka_unit_test(converges_within_novikoffs_bound),
        cmocka_unit_test(bound_is_as_computed_by_hand),
        cmocka_unit_test(xor_never_converges),
        cmocka_unit_test(rejects_invalid_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
