/* Augmentation: distributions of the drawn parameters. */
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
#include "data/augment/augment.h"
#include "glia/glia.h"

static glia_error error;

static glia_augment *need(const char *text) {
    glia_augment *augment = glia_augment_parse(text, &error);
    if (!augment) fail_msg("\"%s\": %s", text, error.message);
    return augment;
}

/* Crop positions are uniform, regardless of earlier transformations; p is the probability. */
static void test_crop_draws(void **state) {
    (void)state;
    enum { ROUNDS = 18000 };
    static const char *const texts[] = { "crop(pad=1)", "flip crop(pad=1) flip" };
    for (int t = 0; t < 2; t++) {
        glia_augment *augment = need(texts[t]);
        int counts[9] = { 0 };
        for (int i = 0; i < ROUNDS; i++) {
            float x[25] = { 0 };
            x[12] = 1;
            assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(1, 5, 5), 1, i / 100, i % 100, x, &error), GLIA_OK);
            for (int k = 0; k < 25; k++)
                if (x[k] != 0) counts[(k / 5 - 1) * 3 + k % 5 - 1]++;
        }
        for (int k = 0; k < 9; k++) assert_in_range(counts[k], 2000 - 210, 2000 + 210); /* 5 std devs of 42 */
        glia_augment_free(augment);
    }
    glia_augment *augment = need("flip(0.25)");
    int flipped = 0;
    for (int i = 0; i < 10000; i++) {
        float x[2] = { 0, 1 };
        assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(1, 1, 2), 5, 0, i, x, &error), GLIA_OK);
        flipped += x[0] == 1;
    }
    assert_in_range(flipped, 2500 - 220, 2500 + 220);
    glia_augment_free(augment);
}

/* Mean, standard deviation, minimum and maximum of a parameter over many samples. */
typedef struct spread {
    double mean, deviation, least, most;
} spread;

static spread spread_of(const double *values, int n) {
    spread s = { .least = values[0], .most = values[0] };
    for (int i = 0; i < n; i++) s.mean += values[i] / n;
    for (int i = 0; i < n; i++) s.deviation += (values[i] - s.mean) * (values[i] - s.mean) / n;
    s.deviation = sqrt(s.deviation);
    for (int i = 0; i < n; i++) s.least = fmin(s.least, values[i]), s.most = fmax(s.most, values[i]);
    return s;
}

enum { DRAWS = 4000 };

/* Checks for U(low, high), to the accuracy that DRAWS samples allow. */
static void assert_uniform(const double *values, double low, double high) {
    spread s = spread_of(values, DRAWS);
    const double range = high - low;
    assert_true(s.least >= low - 1e-5 * range && s.most <= high + 1e-5 * range);
    assert_true(s.least < low + 0.01 * range && s.most > high - 0.01 * range);
    ASSERT_NEAR(s.mean, (low + high) / 2, 0.025 * range);
    ASSERT_NEAR(s.deviation, range / sqrt(12), 0.015 * range);
}

static void test_motion_draws(void **state) {
    (void)state;
    static double a[DRAWS], b[DRAWS], c[DRAWS], d[DRAWS], e[DRAWS];
    glia_augment *augment = need("rotate(40) scale(0.5..2) translate(0.5, 0.25) shear(30, 20) translate(0.5, 0)");
    const glia_frame frame = { 1, 4000, 2000, 8000000 };
    for (int i = 0; i < DRAWS; i++) {
        glia_motion m[5];
        for (int k = 0; k < 5; k++) {
            glia_rng rng = glia_augment_rng(glia_augment_key(7, 0), i, k);
            augment->steps[k].kind->move(augment->steps[k].opts, frame, &rng, &m[k]);
        }
        a[i] = atan2(m[0].m[1], m[0].m[0]) * 180 / 3.14159265358979;
        b[i] = 1 / m[1].m[0];
        c[i] = m[2].m[2];
        d[i] = m[2].m[5];
        e[i] = atan(m[3].m[1]) * 180 / 3.14159265358979;
        ASSERT_NEAR(m[0].m[0] * m[0].m[4] - m[0].m[1] * m[0].m[3], 1, 1e-12);
        ASSERT_NEAR(m[3].m[0] * m[3].m[4] - m[3].m[1] * m[3].m[3], 1, 1e-12);
        assert_true(m[4].m[5] == 0 && c[i] == rint(c[i]));
    }
    assert_uniform(a, -40, 40);
    assert_uniform(b, 0.5, 2);
    assert_uniform(c, -1000, 1000);
    assert_uniform(d, -1000, 1000);
    assert_uniform(e, -30, 30);
    glia_augment_free(augment);
}

/* A part's area and aspect ratio cover their ranges; its position is uniform in the frame. */
static void test_part_draws(void **state) {
    (void)state;
    const glia_frame frame = { 3, 600, 600, 1080000 };
    const double scale[2] = { 0.1, 0.4 }, ratio[2] = { 0.5, 2 };
    static double share[DRAWS], aspect[DRAWS], place[DRAWS];
    for (int i = 0; i < DRAWS; i++) {
        glia_rng rng = { .seed = 1, .stream = (uint64_t)i };
        glia_rectangle part = { 0 };
        assert_true(glia_augment_draw_part(frame, scale, ratio, &rng, &part));
        assert_true(part.top >= 0 && part.left >= 0 && part.top + part.height <= 600 && part.left + part.width <= 600);
        share[i] = part.width * part.height / 360000.0;
        aspect[i] = log((double)part.width / part.height);
        place[i] = part.left / (600.0 - part.width);
    }
    spread s = spread_of(share, DRAWS); /* rounding to whole pixels shifts the ends slightly */
    ASSERT_NEAR(s.mean, 0.25, 0.01);
    ASSERT_NEAR(s.least, 0.1, 0.003);
    ASSERT_NEAR(s.most, 0.4, 0.003);
    s = spread_of(aspect, DRAWS);
    ASSERT_NEAR(s.mean, 0, 0.04);
    ASSERT_NEAR(s.deviation, 2 * log(2) / sqrt(12), 0.02);
    assert_uniform(place, 0, 1);
    glia_rng rng = { .seed = 1 };
    glia_rectangle part;
    assert_false(glia_augment_draw_part((glia_frame){ 1, 1, 100, 100 }, (double[]){ 0.9, 1 }, ratio, &rng, &part));
    glia_augment *augment = need("resized_crop(0.9..1, 0.5..2)"); /* falls back to a centre crop */
    float x[100];
    for (int i = 0; i < 100; i++) x[i] = (float)i;
    assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(1, 1, 100), 1, 0, 0, x, &error), GLIA_OK);
    assert_true(x[0] == 49 && x[99] == 50); /* 2 wide, from 49 */
    glia_augment_free(augment);
}

static void test_value_draws(void **state) {
    (void)state;
    static double factor[DRAWS], turn[DRAWS];
    glia_augment *bright = need("jitter(brightness=0.4)"), *hue = need("jitter(hue=0.1)");
    for (int i = 0; i < DRAWS; i++) {
        float x[3] = { 0.5f, 0.5f, 0.5f }, red[3] = { 1, 0, 0 };
        assert_int_equal(glia_augment_apply(bright, GLIA_SHAPE(3, 1, 1), 2, 0, i, x, &error), GLIA_OK);
        assert_int_equal(glia_augment_apply(hue, GLIA_SHAPE(3, 1, 1), 2, 0, i, red, &error), GLIA_OK);
        factor[i] = (double)x[0] / 0.5;
        turn[i] = (double)(red[1] - red[2]) / 6; /* red changes linearly to yellow or magenta */
    }
    assert_uniform(factor, 0.6, 1.4);
    assert_uniform(turn, -0.1, 0.1);
    glia_augment_free(bright);
    glia_augment_free(hue);

    glia_augment *noise = need("noise(0.2)");
    static float x[DRAWS];
    for (int i = 0; i < DRAWS; i++) x[i] = 1;
    assert_int_equal(glia_augment_apply(noise, GLIA_SHAPE(DRAWS), 2, 0, 0, x, &error), GLIA_OK);
    for (int i = 0; i < DRAWS; i++) factor[i] = (double)x[i];
    spread s = spread_of(factor, DRAWS);
    ASSERT_NEAR(s.mean, 1, 0.016); /* 5 std devs */
    ASSERT_NEAR(s.deviation, 0.2, 0.012);
    glia_augment_free(noise);
}

/* The displacement field of an elastic distortion has the standard deviation of the smoothed uniform numbers. */
static void test_elastic_draws(void **state) {
    (void)state;
    enum { SIZE = 64 };
    static float x[SIZE * SIZE];
    const double alpha = 20, sigma = 3;
    double sum = 0, squares = 0, expected = 0, moved = 0;
    for (int k = -12; k <= 12; k++) sum += exp(-0.5 * k * k / (sigma * sigma));
    for (int k = -12; k <= 12; k++) squares += pow(exp(-0.5 * k * k / (sigma * sigma)) / sum, 2);
    expected = alpha / sqrt(3) * squares;
    glia_augment *augment = need("elastic(alpha=20, sigma=3)");
    int64_t n = 0;
    for (int i = 0; i < 60; i++) {
        for (int k = 0; k < SIZE * SIZE; k++) x[k] = (float)(k % SIZE);
        assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(1, SIZE, SIZE), 2, 0, i, x, &error), GLIA_OK);
        for (int y = 16; y < SIZE - 16; y++)
            for (int k = 16; k < SIZE - 16; k++, n++) moved += pow((double)x[y * SIZE + k] - (double)k, 2);
    }
    ASSERT_NEAR(sqrt(moved / (double)n), expected, 0.08 * expected);
    glia_augment_free(augment);
}

/* Erases a rectangle in all channels, with the probability and size in the options. */
static void test_erase(void **state) {
    (void)state;
    enum { SIZE = 50, COUNT = 2 * SIZE * SIZE };
    static float x[COUNT];
    glia_augment *augment = need("erase(p=0.75, scale=0.1..0.3, ratio=0.5..2, value=-1)");
    double area = 0;
    int hit = 0;
    for (int i = 0; i < 2000; i++) {
        for (int k = 0; k < COUNT; k++) x[k] = 1;
        assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(2, SIZE, SIZE), 2, 0, i, x, &error), GLIA_OK);
        int rows = 0, columns = 0, cells = 0;
        for (int r = 0; r < SIZE; r++) {
            bool row = false, column = false;
            for (int k = 0; k < SIZE; k++) {
                assert_true(x[r * SIZE + k] == x[SIZE * SIZE + r * SIZE + k]);
                row = row || x[r * SIZE + k] == -1;
                column = column || x[k * SIZE + r] == -1;
                cells += x[r * SIZE + k] == -1;
            }
            rows += row;
            columns += column;
        }
        assert_int_equal(cells, rows * columns);
        hit += cells > 0;
        area += cells;
    }
    assert_in_range(hit, 1500 - 100, 1500 + 100);
    ASSERT_NEAR(area / hit / (SIZE * SIZE), 0.2, 0.01);
    glia_augment_free(augment);

    augment = need("erase(p=1, scale=0.99..1, ratio=1..1, noise=1)");
    for (int k = 0; k < COUNT; k++) x[k] = 7;
    assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(2, SIZE, SIZE), 2, 0, 0, x, &error), GLIA_OK);
    double mean = 0;
    for (int k = 0; k < COUNT; k++) {
        assert_true(x[k] >= 0 && x[k] < 1);
        mean += (double)x[k] / (double)COUNT;
    }
    ASSERT_NEAR(mean, 0.5, 0.03);
    glia_augment_free(augment);
}

static void test_series_draws(void **state) {
    (void)state;
    static double by[DRAWS], factor[DRAWS], begin[DRAWS];
    glia_augment *shift = need("shift(0.2, edge=edge)"), *magnitude = need("magnitude(0.3)"),
                 *slice = need("slice(0.25)");
    for (int i = 0; i < DRAWS; i++) {
        float x[400], y[2] = { 1, 1 };
        for (int t = 0; t < 400; t++) x[t] = (float)t;
        assert_int_equal(glia_augment_apply(shift, GLIA_SHAPE(400), 1, 0, i, x, &error), GLIA_OK);
        by[i] = 200 - (double)x[200];
        assert_true(x[0] == (by[i] >= 0 ? 0 : -(float)by[i])); /* the first value is repeated */
        for (int t = 0; t < 400; t++) x[t] = (float)t;
        assert_int_equal(glia_augment_apply(slice, GLIA_SHAPE(1, 400), 1, 0, i, x, &error), GLIA_OK);
        begin[i] = (double)x[0];
        ASSERT_NEAR(x[399] - x[0], 99, 1e-3);
        assert_int_equal(glia_augment_apply(magnitude, GLIA_SHAPE(2, 1), 1, 0, i, y, &error), GLIA_OK);
        assert_true(y[0] != y[1]);
        factor[i] = (double)y[0];
    }
    assert_uniform(by, -80, 80);
    assert_uniform(begin, 0, 300);
    spread s = spread_of(factor, DRAWS);
    ASSERT_NEAR(s.mean, 1, 0.025);
    ASSERT_NEAR(s.deviation, 0.3, 0.018);
    glia_augment_free(shift);
    glia_augment_free(magnitude);
    glia_augment_free(slice);

    /* A time warp is monotonic and keeps the end point, even when strong. */
    glia_augment *warp = need("time_warp(0.5, knots=6)");
    bool moved = false;
    for (int i = 0; i < 50; i++) {
        float x[100];
        for (int t = 0; t < 100; t++) x[t] = (float)t;
        assert_int_equal(glia_augment_apply(warp, GLIA_SHAPE(100), 1, 0, i, x, &error), GLIA_OK);
        for (int t = 1; t < 100; t++) assert_true(x[t] >= x[t - 1]);
        ASSERT_NEAR(x[99], 99, 1e-3);
        moved = moved || fabsf(x[50] - 50) > 2;
    }
    assert_true(moved);
    assert_int_equal(glia_augment_check(warp, GLIA_SHAPE(1, 5, 5), &error), GLIA_E_SHAPE);
    glia_augment_free(warp);
}

/* Mixing weights are distributed as Beta(alpha, alpha): mean 1/2, variance 1 / (4 (2 alpha + 1)). */
static void test_beta(void **state) {
    (void)state;
    static const double alphas[] = { 0.05, 0.2, 1, 4 };
    static double drawn[DRAWS];
    for (int a = 0; a < GLIA_COUNT(alphas); a++) {
        glia_rng rng = { .seed = 8 };
        for (int i = 0; i < DRAWS; i++) drawn[i] = glia_rng_beta(&rng, alphas[a]);
        spread s = spread_of(drawn, DRAWS);
        const double deviation = sqrt(1 / (4 * (2 * alphas[a] + 1)));
        ASSERT_NEAR(s.mean, 0.5, 5 * deviation / sqrt(DRAWS));
        ASSERT_NEAR(s.deviation, deviation, 0.03 * deviation);
        assert_true(s.least >= 0 && s.most <= 1);
        int below = 0; /* number below 1/4: for alpha = 1 a quarter of them, for 0.2 0.41406 (SciPy's betainc) */
        for (int i = 0; i < DRAWS; i++) below += drawn[i] < 0.25;
        if (alphas[a] == 1) assert_in_range(below, 1000 - 140, 1000 + 140);
        if (alphas[a] == 0.2) ASSERT_NEAR(below / (double)DRAWS, 0.41406, 0.04);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crop_draws),
        cmocka_unit_test(test_motion_draws),
        cmocka_unit_test(test_part_draws),
        cmocka_unit_test(test_value_draws),
        cmocka_unit_test(test_elastic_draws),
        cmocka_unit_test(test_erase),
        cmocka_unit_test(test_series_draws),
        cmocka_unit_test(test_beta),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
