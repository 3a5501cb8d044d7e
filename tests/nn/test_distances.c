/* test_distances.c - distances between sets of samples: against NumPy, closed forms, and mistakes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "glia/glia.h"

static glia_error error;

enum { ROWS = 60, SIZE = 7 };

/* As in tools/golden/samples.py. */
static void fill(float *rows, uint32_t seed) {
    uint32_t x = seed;
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < SIZE; k++) {
            x = 1664525 * x + 1013904223;
            rows[i * SIZE + k] = (float)(x >> 16) / 8192 - 4 + (float)(k % 3) * (float)(seed % 5) / 4;
        }
        rows[i * SIZE + 1] += rows[i * SIZE] / 2;
    }
}

static double golden(const char *name) {
    FILE *file = fopen(GLIA_GOLDEN_DIR "/samples.txt", "r");
    assert_non_null(file);
    char found[32];
    double value;
    while (fscanf(file, "%31s %lf", found, &value) == 2) {
        if (strcmp(found, name) != 0) continue;
        fclose(file);
        return value;
    }
    fail_msg("samples.txt lacks %s", name);
    return NAN;
}

static float first[ROWS * SIZE], second[ROWS * SIZE];
static const glia_features a = { first, ROWS, SIZE }, b = { second, ROWS, SIZE };

static int prepare(void **state) {
    (void)state;
    fill(first, 1);
    fill(second, 3);
    return 0;
}

static void distances_equal_numpys(void **state) {
    (void)state;
    double is, precision, recall;
    assert_int_equal(glia_frechet_distance(a, b, &is, &error), GLIA_OK);
    ASSERT_NEAR(is, golden("frechet"), 1e-8);
    assert_int_equal(glia_kernel_distance(a, b, (glia_kernel_distance_opts){ 0 }, &is, NULL, &error), GLIA_OK);
    ASSERT_NEAR(is, golden("kernel"), 1e-8);
    assert_int_equal(glia_precision_recall(a, b, 1, &precision, &recall, &error), GLIA_OK);
    ASSERT_NEAR(precision, golden("precision1"), 1e-12);
    ASSERT_NEAR(recall, golden("recall1"), 1e-12);
    assert_int_equal(glia_precision_recall(a, b, 0, &precision, &recall, &error), GLIA_OK);
    ASSERT_NEAR(precision, golden("precision3"), 1e-12);
    ASSERT_NEAR(recall, golden("recall3"), 1e-12);
    float shares[ROWS * SIZE];
    for (int i = 0; i < ROWS; i++) {
        double sum = 0;
        for (int k = 0; k < SIZE; k++) sum += exp((double)first[i * SIZE + k]);
        for (int k = 0; k < SIZE; k++) shares[i * SIZE + k] = (float)(exp((double)first[i * SIZE + k]) / sum);
    }
    ASSERT_NEAR(glia_classifier_score(shares, ROWS, SIZE), golden("score"), 1e-6);
}

static void a_set_is_not_far_from_itself(void **state) {
    (void)state;
    double is, back, precision, recall;
    assert_int_equal(glia_frechet_distance(a, a, &is, &error), GLIA_OK);
    ASSERT_NEAR(is, 0, 1e-9);
    assert_int_equal(glia_precision_recall(a, a, 3, &precision, &recall, &error), GLIA_OK);
    ASSERT_NEAR(precision + recall, 2, 0);
    assert_int_equal(glia_frechet_distance(a, b, &is, &error), GLIA_OK);
    assert_int_equal(glia_frechet_distance(b, a, &back, &error), GLIA_OK);
    ASSERT_NEAR(is, back, 1e-9);
}

/* Points (+-s, 0), (0, +-s) have the mean 0 and the covariance s^2 2/3 I: the distance of those of s and t, moved by c,
 * is c^2 + 2 (s - t)^2 2/3. A moved degenerate set has only the first term. */
static void frechet_distance_of_known_moments(void **state) {
    (void)state;
    const float s = 2, t = 0.5f, c = 3;
    const float x[4][2] = { { s, 0 }, { -s, 0 }, { 0, s }, { 0, -s } };
    const float y[4][2] = { { t + c, 0 }, { -t + c, 0 }, { c, t }, { c, -t } };
    const float flat[2][2] = { { 1, 1 }, { 1, 1 } }, moved[2][2] = { { 1, 4 }, { 1, 4 } };
    double is;
    assert_int_equal(glia_frechet_distance((glia_features){ x[0], 4, 2 }, (glia_features){ y[0], 4, 2 }, &is, &error),
                     GLIA_OK);
    ASSERT_NEAR(is, 9 + 2 * 2.25 * 2 / 3, 1e-9);
    assert_int_equal(
        glia_frechet_distance((glia_features){ flat[0], 2, 2 }, (glia_features){ moved[0], 2, 2 }, &is, &error),
        GLIA_OK);
    ASSERT_NEAR(is, 9, 1e-9);
}

static void kernel_distance_over_subsets_is_its_mean(void **state) {
    (void)state;
    double whole, is, deviation, again;
    const glia_kernel_distance_opts how = { .subset = 20, .subsets = 400, .seed = 1 };
    assert_int_equal(glia_kernel_distance(a, b, (glia_kernel_distance_opts){ 0 }, &whole, NULL, &error), GLIA_OK);
    assert_int_equal(glia_kernel_distance(a, b, how, &is, &deviation, &error), GLIA_OK);
    ASSERT_NEAR(is, whole, 4 * deviation / 20);
    assert_int_equal(glia_kernel_distance(a, b, how, &again, NULL, &error), GLIA_OK);
    assert_true(is == again);
}

static void scores_have_their_bounds(void **state) {
    (void)state;
    const float sure[3][3] = { { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 } },
                same[2][3] = { { 0.5f, 0.25f, 0.25f }, { 0.5f, 0.25f, 0.25f } };
    ASSERT_NEAR(glia_classifier_score(sure[0], 3, 3), 3, 1e-12);
    ASSERT_NEAR(glia_classifier_score(same[0], 2, 3), 1, 1e-12);
    assert_true(isnan(glia_classifier_score(NULL, 2, 3)));
}

static void modes_are_counted(void **state) {
    (void)state;
    const float modes[3][2] = { { 0, 0 }, { 10, 0 }, { 0, 10 } };
    const float points[5][2] = { { 0.5f, 0 }, { 0, -0.5f }, { 10, 0.25f }, { 5, 5 }, { 0, 12 } };
    glia_mode_count count;
    assert_int_equal(
        glia_count_modes((glia_features){ points[0], 5, 2 }, (glia_features){ modes[0], 3, 2 }, 1, &count, &error),
        GLIA_OK);
    assert_int_equal(count.covered, 2);
    ASSERT_NEAR(count.good, 0.6, 1e-12);
    ASSERT_NEAR(count.divergence, 2.0 / 3 * log(2) + 1.0 / 3 * log(1), 1e-12);
}

static void mistakes_are_named(void **state) {
    (void)state;
    const glia_features none = { NULL, 3, SIZE }, narrow = { first, 4, 3 }, single = { first, 1, SIZE };
    double is;
    assert_int_equal(glia_frechet_distance(a, none, &is, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_frechet_distance(a, narrow, &is, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("(60, 7) and (4, 3)");
    assert_int_equal(glia_frechet_distance(a, single, &is, &error), GLIA_E_SHAPE);
    const glia_kernel_distance_opts big = { .subset = 61 };
    assert_int_equal(glia_kernel_distance(a, b, big, &is, NULL, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_precision_recall(a, single, 3, &is, &is, &error), GLIA_E_SHAPE);
    const float bad[2][1] = { { NAN }, { 1 } };
    assert_int_equal(
        glia_frechet_distance((glia_features){ bad[0], 2, 1 }, (glia_features){ bad[0], 2, 1 }, &is, &error),
        GLIA_E_ARGUMENT);
    ASSERT_SAYS("not finite");
    glia_mode_count count;
    assert_int_equal(glia_count_modes(a, b, 0, &count, &error), GLIA_E_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_equal_numpys),
        cmocka_unit_test(a_set_is_not_far_from_itself),
        cmocka_unit_test(frechet_distance_of_known_moments),
        cmocka_unit_test(kernel_distance_over_subsets_is_its_mean),
        cmocka_unit_test(scores_have_their_bounds),
        cmocka_unit_test(modes_are_counted),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
