/* Augmentation: pipelines as text, what transformations do with given parameters and how these are drawn, and the
 * loader that runs them: the same bits whoever prepares a batch, from any batch on. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/augment/augment.h"
#include "glia/glia.h"

static glia_error error;

#define ASSERT_SAYS(part)                                                                                              \
    do {                                                                                                               \
        if (!strstr(error.message, part)) fail_msg("\"%s\" does not say \"%s\"", error.message, part);                 \
    } while (0)

#define ASSERT_NEAR(a, b, most)                                                                                        \
    do {                                                                                                               \
        double near_a = (double)(a), near_b = (double)(b);                                                             \
        if (!(fabs(near_a - near_b) <= (most))) fail_msg("%s is %g, not %g", #a, near_a, near_b);                      \
    } while (0)

static glia_augment *need(const char *text) {
    glia_augment *augment = glia_augment_parse(text, &error);
    if (!augment) fail_msg("\"%s\": %s", text, error.message);
    return augment;
}

/* ---- text --------------------------------------------------------------------------------- */

static void test_text(void **state) {
    (void)state;
    static const char *const same[] = { "",
                                        "flip",
                                        "crop(pad=2, edge=reflect, p=0.25) flip vflip(p=0.125)",
                                        "crop(fill=-0.1) crop(pad=1, edge=wrap) crop(edge=edge)",
                                        "rotate(degrees=30) scale(by=0.5..1.5) translate(y=-1) shear(y=3)",
                                        "resized_crop(scale=0.2..1) elastic(sigma=3) jitter(brightness=0.2, hue=0.1)",
                                        "grayscale(p=1) blur(sigma=0.1..1) erase(noise=1) noise(sigma=0.1) normalize" };
    for (int i = 0; i < GLIA_COUNT(same); i++) {
        glia_augment *augment = need(same[i]);
        char *text = glia_augment_print(augment);
        assert_string_equal(text, same[i]);
        free(text);
        glia_augment_free(augment);
    }
    glia_augment *augment = need("\n crop( 4 ,edge = constant )\tflip(0.5) crop()");
    char *text = glia_augment_print(augment);
    assert_string_equal(text, "crop flip crop");
    free(text);
    glia_augment_free(augment);

    augment = glia_augment_create(&error);
    glia_augment_crop(augment, (glia_augment_crop_opts){ .pad = 3, .edge = GLIA_EDGE_REPEAT });
    glia_augment_flip(augment, (glia_augment_flip_opts){ 0 });
    text = glia_augment_print(augment);
    assert_string_equal(text, "crop(pad=3, edge=edge) flip");
    free(text);
    glia_augment_free(augment);
    glia_augment_free(NULL);
}

static void test_text_refusals(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "flop", "did you mean flip" },
        { "crop(pad=4) Flip", "character 13" },
        { "crop(pad=4", "not closed" },
        { "crop(pad=x)", "\"x\"" },
        { "crop(pad=1.5)", "whole" },
        { "crop(size=3)", "no size" },
        { "crop(1,pad=2)", "again" },
        { "crop(pad=0)", "cannot be 0" },
        { "flip(0.5, 1)", "too many" },
        { "flip(p=2)", "0 to 1" },
        { "flip(p=nan)", "number" },
        { "crop(pad=-1)", "-1" },
        { "crop(edge=round)", "reflect" },
        { "crop(pad=)", "\"\"" },
        { "flip,flip", "blank" },
        { "crop(pad=4,)", "constant" },
        { "crop(pad=99999999999)", "whole" },
        { "scale(by=2)", "LOW..HIGH" },
        { "scale(by=2..1)", "begins" },
        { "scale(1..2..3)", "LOW..HIGH" },
        { "scale(0..1)", "0.01" },
        { "normalize(1/2/3/4/5/6/7/8/9)", "A/B/C" },
        { "normalize(stddev=0)", "1e-09" },
        { "jitter(hue=0.6)", "0.5" },
    };
    for (int i = 0; i < GLIA_COUNT(cases); i++) {
        assert_null(glia_augment_parse(cases[i].text, NULL));
        assert_null(glia_augment_parse(cases[i].text, &error));
        ASSERT_SAYS(cases[i].says);
    }
    glia_augment *augment = glia_augment_create(&error);
    glia_augment_flip(augment, (glia_augment_flip_opts){ .p = 3 });
    glia_augment_crop(augment, (glia_augment_crop_opts){ .pad = -3 });
    assert_int_equal(glia_augment_check(augment, GLIA_SCALAR, &error), GLIA_E_ARGUMENT); /* the first mistake */
    ASSERT_SAYS("flip");
    glia_augment_free(augment);
    augment = need("flip");
    assert_int_equal(glia_augment_check(augment, GLIA_SCALAR, &error), GLIA_OK);
    assert_int_equal(glia_augment_check(augment, GLIA_SHAPE(1, 4, 4), &error), GLIA_OK);
    assert_int_equal(glia_augment_check(augment, GLIA_SHAPE(16), &error), GLIA_E_SHAPE);
    ASSERT_SAYS("(16)");
    glia_augment_free(augment);
}

/* ---- pixels that move --------------------------------------------------------------------- */

static const glia_frame small = { .channels = 2, .height = 3, .width = 4, .count = 24 };

static void count_up(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = (float)i + 1;
}

/* By the definition, from a padded copy. */
static void test_move(void **state) {
    (void)state;
    float in[24], out[24];
    count_up(in, 24);
    static const int rows[4][7] = {
        { -1, -1, 0, 1, 2, -1, -1 }, { 0, 0, 0, 1, 2, 2, 2 }, { 2, 1, 0, 1, 2, 1, 0 }, { 1, 2, 0, 1, 2, 0, 1 }
    };
    static const int columns[4][8] = { { -1, -1, 0, 1, 2, 3, -1, -1 },
                                       { 0, 0, 0, 1, 2, 3, 3, 3 },
                                       { 2, 1, 0, 1, 2, 3, 2, 1 },
                                       { 2, 3, 0, 1, 2, 3, 0, 1 } };
    for (int edge = 0; edge < 4; edge++)
        for (int top = -2; top <= 2; top++)
            for (int left = -2; left <= 2; left++) {
                glia_augment_shift_pixels(in, out, small, top, left, (glia_edge)edge, -9);
                for (int c = 0; c < 2; c++)
                    for (int y = 0; y < 3; y++)
                        for (int x = 0; x < 4; x++) {
                            int row = rows[edge][y + top + 2], column = columns[edge][x + left + 2];
                            float want = row < 0 || column < 0 ? -9 : in[c * 12 + row * 4 + column];
                            assert_true(out[c * 12 + y * 4 + x] == want);
                        }
            }
    glia_augment_shift_pixels(in, out, small, 0, -100, GLIA_EDGE_REPEAT, 0); /* far beyond */
    for (int i = 0; i < 24; i++) assert_true(out[i] == in[i / 4 * 4]);
    glia_augment_shift_pixels(in, out, small, 100, 0, GLIA_EDGE_CONSTANT, 3);
    for (int i = 0; i < 24; i++) assert_true(out[i] == 3);
}

static void test_flips(void **state) {
    (void)state;
    float x[24];
    count_up(x, 24);
    glia_augment_mirror(x, small);
    for (int i = 0; i < 24; i++) assert_true(x[i] == (float)(i / 4 * 4 + 3 - i % 4 + 1));
    count_up(x, 24);
    glia_augment_overturn(x, small);
    for (int i = 0; i < 24; i++) assert_true(x[i] == (float)(i / 12 * 12 + (2 - i / 4 % 3) * 4 + i % 4 + 1));
}

/* ---- results of torchvision and SciPy ------------------------------------------------------- */

static void made(float *x, size_t n, uint32_t start) {
    for (size_t i = 0; i < n; i++) x[i] = (float)((double)((start + (uint32_t)i) * 2654435761u) / 4294967296.0);
}

static float deg(double degrees) { return (float)(degrees * 3.14159265358979323846 / 180); }

/* x as the case of this name changes it. */
static void change(const char *name, const double *p, glia_frame frame, float *x) {
    float out[1024], extra[2048 + 1024];
    const float v = (float)p[0];
    if (!strcmp(name, "affine")) {
        const glia_edge none = GLIA_EDGE_CONSTANT;
        const double pi = 3.14159265358979323846;
        glia_motion m = glia_motion_shear(tan(p[4] * pi / 180), tan(p[5] * pi / 180), none, 0);
        m = glia_motion_join(m, glia_motion_rotate(p[0] * pi / 180, none, 0));
        m = glia_motion_join(m, glia_motion_scale(p[3], none, 0));
        m = glia_motion_join(m, glia_motion_translate(p[1], p[2], none, 0));
        glia_augment_move(x, out, frame, &m);
    } else if (!strcmp(name, "edge")) {
        glia_motion m = glia_motion_rotate(deg(35), (glia_edge)p[0], 0.375);
        m.m[2] = -1.25, m.m[5] = 2.5;
        glia_augment_move(x, out, frame, &m);
    } else if (!strcmp(name, "resize")) {
        glia_augment_resize(x, out, frame, (int)p[0], (int)p[1], (int)p[2], (int)p[3]);
    } else if (!strcmp(name, "warp")) {
        float drawn[GLIA_WARP_POINTS];
        double speed[GLIA_WARP_POINTS];
        made(drawn, (size_t)p[0], 500);
        for (int i = 0; i < (int)p[0]; i++) speed[i] = 1 + p[1] * (2 * (double)drawn[i] - 1);
        glia_augment_warp(x, out, frame, speed, (int)p[0]);
    } else if (!strcmp(name, "slice")) {
        glia_augment_slice_window(x, out, frame, (int)p[0], (int)p[1]);
    } else if (!strcmp(name, "elastic")) {
        const size_t plane = (size_t)frame.height * (size_t)frame.width;
        float *field = calloc(2 * plane, sizeof *field);
        assert_non_null(field);
        made(field, 2 * plane, 1000);
        for (size_t i = 0; i < 2 * plane; i++) field[i] = (float)(p[0] * (2 * (double)field[i] - 1));
        glia_augment_gauss(field, 2, frame.height, frame.width, p[1], (int)(4 * p[1] + 0.5), GLIA_EDGE_CONSTANT, extra);
        glia_augment_displace(x, out, frame, field, field + plane, GLIA_EDGE_CONSTANT, 0);
        free(field);
    } else {
        if (!strcmp(name, "brightness"))
            glia_augment_brightness(x, frame, v);
        else if (!strcmp(name, "contrast"))
            glia_augment_contrast(x, frame, v);
        else if (!strcmp(name, "saturation"))
            glia_augment_saturation(x, frame, v);
        else if (!strcmp(name, "hue"))
            glia_augment_hue(x, frame, v);
        else if (!strcmp(name, "grey"))
            glia_augment_grey(x, frame);
        else if (!strcmp(name, "blur"))
            glia_augment_gauss(x, frame.channels, frame.height, frame.width, p[0], (int)ceil(3 * p[0]),
                               GLIA_EDGE_REFLECT, extra);
        else
            fail_msg("no case %s", name);
        return;
    }
    memcpy(x, out, frame.count * sizeof *x);
}

static void test_golden(void **state) {
    (void)state;
    FILE *file = fopen(GLIA_GOLDEN_DIR "/augment.txt", "r");
    assert_non_null(file);
    static char line[1 << 16];
    int cases = 0;
    while (fgets(line, sizeof line, file)) {
        char name[32];
        glia_frame frame;
        int used = 0;
        assert_int_equal(sscanf(line, "%31s %d %d %d%n", name, &frame.channels, &frame.height, &frame.width, &used), 4);
        double p[8] = { 0 };
        char *at = line + used;
        for (int k = 0; k < 8; k++) p[k] = strtod(at, &at);
        frame.count = (size_t)frame.channels * (size_t)frame.height * (size_t)frame.width;
        assert_true(frame.count <= 1024);
        float x[1024];
        made(x, frame.count, 0);
        change(name, p, frame, x);
        assert_non_null(fgets(line, sizeof line, file));
        at = line;
        for (size_t i = 0; i < frame.count; i++) {
            double want = strtod(at, &at);
            if (!(fabs((double)x[i] - want) <= 2e-5)) {
                fail_msg("%s, parameter %g: value %zu is %g, not %g", name, p[0], i, (double)x[i], want);
            }
        }
        cases++;
    }
    fclose(file);
    assert_in_range(cases, 30, 1000);
}

/* Neighbours are one motion, drawn from the streams of their places, flips between them included. */
static void test_joined(void **state) {
    (void)state;
    glia_augment *augment = need("rotate(20) flip(p=1) shear(5, edge=constant) noise(1e-9) translate(0.3) vflip(p=1)");
    const glia_frame frame = { 1, 9, 8, 72 };
    float x[72], y[72], out[72];
    made(x, 72, 0);
    memcpy(y, x, sizeof x);
    assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(1, 9, 8), 3, 2, 17, x, &error), GLIA_OK);
    const uint64_t key = glia_augment_key(3, 2);
    glia_motion whole[2] = { { .m = { 1, 0, 0, 0, 1, 0 } }, { .m = { 1, 0, 0, 0, 1, 0 } } };
    for (int i = 0; i < augment->n; i++) {
        glia_motion next = { .m = { 1, 0, 0, 0, 1, 0 } };
        glia_rng rng = glia_augment_rng(key, 17, i);
        if (augment->steps[i].kind->move) {
            augment->steps[i].kind->move(augment->steps[i].opts, frame, &rng, &next);
            whole[i > 3] = glia_motion_join(whole[i > 3], next);
        }
    }
    assert_true(fabs(whole[0].m[1]) > 1e-3 && whole[0].m[0] < 0);
    glia_augment_move(y, out, frame, &whole[0]);
    glia_augment_move(out, y, frame, &whole[1]);
    for (int i = 0; i < 72; i++) ASSERT_NEAR(x[i], y[i], 1e-6);
    glia_augment_free(augment);

    augment = need("scale(0.5..0.5, fill=1) scale(0.5..0.5)"); /* other fills: not joined, so there is a ring of 1 */
    for (int i = 0; i < 72; i++) x[i] = 0.5f;
    assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(1, 9, 8), 3, 2, 17, x, &error), GLIA_OK);
    float most = 0;
    for (int i = 0; i < 72; i++) most = fmaxf(most, x[i]);
    assert_true(x[0] == 0 && most == 1);
    glia_augment_free(augment);
    augment = need("flip(p=1) vflip(p=1)"); /* without sampling */
    made(x, 72, 0);
    memcpy(y, x, sizeof x);
    assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(1, 9, 8), 3, 2, 17, x, &error), GLIA_OK);
    for (int i = 0; i < 72; i++) assert_true(x[i] == y[71 - i]);
    glia_augment_free(augment);
}

/* ---- draws -------------------------------------------------------------------------------- */

/* All places of a crop come equally often, whatever stands before it in the pipeline; p is the share that it says. */
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
        for (int k = 0; k < 9; k++) assert_in_range(counts[k], 2000 - 210, 2000 + 210); /* 5 deviations of 42 */
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

/* What a motion's parameters are, from its matrix, over many samples: mean, deviation, and the ends of their range. */
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

/* U(low, high), within what DRAWS tell. */
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
    glia_augment *augment = need("rotate(40) scale(0.5..2) translate(0.5, 0.25) shear(30, 20) translate(0.5, -1)");
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

/* A part's area and ratio are of their ranges, and it lies anywhere in the frame. */
static void test_part_draws(void **state) {
    (void)state;
    const glia_frame frame = { 3, 600, 600, 1080000 };
    const double scale[2] = { 0.1, 0.4 }, ratio[2] = { 0.5, 2 };
    static double share[DRAWS], aspect[DRAWS], place[DRAWS];
    for (int i = 0; i < DRAWS; i++) {
        glia_rng rng = { .seed = 1, .stream = (uint64_t)i };
        glia_part part = { 0 };
        assert_true(glia_augment_draw_part(frame, scale, ratio, &rng, &part));
        assert_true(part.top >= 0 && part.left >= 0 && part.top + part.height <= 600 && part.left + part.width <= 600);
        share[i] = part.width * part.height / 360000.0;
        aspect[i] = log((double)part.width / part.height);
        place[i] = part.left / (600.0 - part.width);
    }
    spread s = spread_of(share, DRAWS); /* ends are moved a little by whole pixels */
    ASSERT_NEAR(s.mean, 0.25, 0.01);
    ASSERT_NEAR(s.least, 0.1, 0.003);
    ASSERT_NEAR(s.most, 0.4, 0.003);
    s = spread_of(aspect, DRAWS);
    ASSERT_NEAR(s.mean, 0, 0.04);
    ASSERT_NEAR(s.deviation, 2 * log(2) / sqrt(12), 0.02);
    assert_uniform(place, 0, 1);
    glia_rng rng = { .seed = 1 };
    glia_part part;
    assert_false(glia_augment_draw_part((glia_frame){ 1, 1, 100, 100 }, (double[]){ 0.9, 1 }, ratio, &rng, &part));
    glia_augment *augment = need("resized_crop(0.9..1, 0.5..2)"); /* falls back to the middle */
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
        turn[i] = (double)(red[1] - red[2]) / 6; /* red turns to yellow or to magenta, in a line */
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
    ASSERT_NEAR(s.mean, 1, 0.016); /* 5 deviations */
    ASSERT_NEAR(s.deviation, 0.2, 0.012);
    glia_augment_free(noise);
}

/* The field of an elastic distortion has the deviation that sums of uniform numbers have. */
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

/* A rectangle, erased in every channel, as often and as large as its options say. */
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
        assert_true(x[0] == (by[i] >= 0 ? 0 : -(float)by[i])); /* the first value again */
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

    /* A warp keeps the order of what happens, and its end; so strong a one, too. */
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

static void test_normalize(void **state) {
    (void)state;
    float x[6] = { 0, 1, 2, 3, 4, 5 };
    glia_augment *augment = need("normalize(1/2/3, stddev=0.5/1/2)");
    assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(3, 1, 2), 0, 0, 0, x, &error), GLIA_OK);
    const float want[] = { -2, 0, 0, 1, 0.5f, 1 };
    assert_memory_equal(x, want, sizeof want);
    assert_int_equal(glia_augment_check(augment, GLIA_SHAPE(2, 1, 2), &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("3 means");
    char *text = glia_augment_print(augment);
    assert_string_equal(text, "normalize(mean=1/2/3, stddev=0.5/1/2)");
    free(text);
    glia_augment_free(augment);
    augment = need("normalize");
    assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(2), 0, 0, 0, x, &error), GLIA_OK);
    assert_true(x[0] == -5 && x[1] == -1);
    glia_augment_free(augment);
}

/* ---- the loader --------------------------------------------------------------------------- */

enum { N = 3001 };

/* N samples of (3, 6, 5) bytes with some structure; class i mod 7 mod 3. */
static glia_dataset *make_images(void) {
    enum { PIXELS = 90 };
    uint8_t *x = malloc(N * PIXELS);
    int32_t *y = malloc(N * sizeof *y);
    assert_true(x && y);
    for (int i = 0; i < N * PIXELS; i++) x[i] = (uint8_t)((uint32_t)i * 2654435761u >> 24);
    for (int i = 0; i < N; i++) y[i] = i % 7 % 3;
    glia_dataset *data = glia_data_arrays(
        (glia_arrays){
            .n = N, .x = x, .x_dtype = GLIA_U8, .x_shape = GLIA_SHAPE(3, 6, 5), .y = y, .y_dtype = GLIA_I32 },
        &error);
    if (!data) fail_msg("%s", error.message);
    free(x);
    free(y);
    return data;
}

/* Hashes of the batches of an epoch, from one on; returns how many. */
static int64_t read_batches(glia_loader *loader, int64_t epoch, int64_t from, uint64_t *hashes) {
    const glia_shape y_shape = glia_loader_y_shape(loader);
    const size_t y_bytes = (size_t)glia_shape_count(y_shape) * glia_dtype_size(glia_loader_y_dtype(loader));
    glia_batch b;
    int64_t n = 0;
    assert_int_equal(glia_loader_start_at(loader, epoch, from, &error), GLIA_OK);
    for (; glia_loader_next(loader, &b); n++) {
        hashes[n] = glia_hash_bytes(b.x, (size_t)b.n * 90 * sizeof(float), 1);
        hashes[n] = glia_hash_bytes(b.y, (size_t)b.n * y_bytes, hashes[n]);
        hashes[n] = glia_hash_bytes(b.indices, (size_t)b.n * sizeof *b.indices, hashes[n]);
    }
    assert_int_equal(glia_loader_check(loader, &error), GLIA_OK);
    return n;
}

/* Everything that the loader can do in one epoch, with different workers, and begun in its middle. */
static void same_batches(const char *text, glia_loader_opts opts) {
    static const int workers[] = { -1, 1, 2, 4 };
    static uint64_t first[2][N], again[N];
    glia_dataset *data = make_images();
    const double mean[] = { 0.5, 0.4, 0.3 }, stddev[] = { 0.2, 0.3, 0.4 };
    assert_int_equal(glia_data_normalize(data, mean, stddev, 3, &error), GLIA_OK);
    glia_augment *augment = need(text);
    opts.augment = augment;
    int64_t batches = 0;
    for (int w = 0; w < GLIA_COUNT(workers); w++) {
        opts.workers = workers[w];
        glia_loader *loader = glia_loader_create(data, opts, &error);
        if (!loader) fail_msg("%s", error.message);
        for (int epoch = 0; epoch < 2; epoch++) {
            int64_t n = read_batches(loader, epoch, 0, w ? again : first[epoch]);
            if (w == 0) batches = n;
            assert_int_equal(n, batches);
            assert_int_equal(n, glia_loader_batches(loader));
            if (w) assert_memory_equal(again, first[epoch], (size_t)n * sizeof *again);
        }
        for (int64_t from = 0; from <= batches; from += from < 5 ? 1 : batches / 7 + 1) {
            assert_int_equal(read_batches(loader, 1, from, again), batches - from);
            if (from < batches) assert_memory_equal(again, first[1] + from, (size_t)(batches - from) * sizeof *again);
        }
        assert_int_equal(read_batches(loader, 1, batches, again), 0);
        assert_int_equal(glia_loader_start_at(loader, 0, batches + 1, &error), GLIA_E_ARGUMENT);
        glia_loader_free(loader);
    }
    for (int64_t i = 0; i < batches; i++) assert_true(first[0][i] != first[1][i]);
    glia_augment_free(augment);
    glia_data_free(data);
}

static void test_loader_workers(void **state) {
    (void)state;
    static double weights[N];
    for (int i = 0; i < N; i++) weights[i] = i % 5;
    same_batches("crop(pad=2, edge=reflect) flip vflip(0.1)", (glia_loader_opts){ .batch = 3, .shuffle = true });
    same_batches("rotate shear elastic(alpha=4, sigma=1) jitter(0.2, 0.2, 0.2, 0.1) resized_crop blur erase noise",
                 (glia_loader_opts){ .batch = 60, .shuffle = true });
    same_batches("crop flip", (glia_loader_opts){ .batch = 100, .stratified = true, .drop_last = true });
    same_batches("crop mixup(p=0.5) flip cutmix(p=0.4)", (glia_loader_opts){ .batch = 9, .shuffle = true });
    same_batches("crop flip mixup", (glia_loader_opts){ .batch = 8, .weights = weights, .seed = 3 });
}

/* A batch has what glia_augment_apply() makes of the raw samples, normalised by the set and by the view of it. */
static void test_loader_values(void **state) {
    (void)state;
    glia_dataset *data = make_images(), *part = glia_data_range(data, 10, 60, &error);
    const double mean[] = { 0.5, 0.4, 0.3 }, stddev[] = { 0.25, 0.5, 2 };
    assert_int_equal(glia_data_normalize(data, mean, stddev, 3, &error), GLIA_OK);
    assert_int_equal(glia_data_normalize(part, (double[]){ 1 }, (double[]){ 0.5 }, 1, &error), GLIA_OK);
    glia_augment *augment = need("crop(pad=1, fill=0.75) flip");
    glia_loader *loader = glia_loader_create(
        part, (glia_loader_opts){ .batch = 7, .shuffle = true, .seed = 9, .augment = augment }, &error);
    assert_non_null(loader);
    assert_int_equal(glia_loader_start(loader, 4, &error), GLIA_OK);
    glia_batch b;
    while (glia_loader_next(loader, &b)) {
        for (int64_t i = 0; i < b.n; i++) {
            float x[90];
            assert_int_equal(data->kind->read(data, b.indices[i] + 10, x, NULL, true, &error), GLIA_OK);
            assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(3, 6, 5), 9, 4, b.indices[i], x, &error), GLIA_OK);
            for (int k = 0; k < 90; k++) {
                double want = ((x[k] - mean[k / 30]) / stddev[k / 30] - 1) / 0.5;
                ASSERT_NEAR(b.x[i * 90 + k], want, 1e-5);
            }
        }
    }
    glia_loader_free(loader);
    glia_augment_free(augment);
    augment = need("crop");
    glia_augment_flip(augment, (glia_augment_flip_opts){ .p = 7 });
    assert_null(glia_loader_create(part, (glia_loader_opts){ .augment = augment }, &error)); /* the mistake comes out */
    ASSERT_SAYS("flip");
    glia_augment_free(augment);
    glia_data_free(part);
    glia_data_free(data);
}

/* n images of (2, 6, 5): all pixels of image i are (i + 1) / 128; class i mod 4. */
static glia_dataset *make_flat(int n) {
    float *x = malloc((size_t)n * 60 * sizeof *x);
    int32_t *y = malloc((size_t)n * sizeof *y);
    assert_true(x && y);
    for (int i = 0; i < n * 60; i++) x[i] = (float)(i / 60 + 1) / 128;
    for (int i = 0; i < n; i++) y[i] = i % 4;
    glia_arrays arrays = { .n = n, .x = x, .x_shape = GLIA_SHAPE(2, 6, 5), .y = y, .y_dtype = GLIA_I32 };
    glia_dataset *data = glia_data_arrays(arrays, &error);
    if (!data) fail_msg("%s", error.message);
    free(x);
    free(y);
    return data;
}

static glia_loader *mixing_loader(const glia_dataset *data, const glia_augment *augment) {
    glia_loader *loader = glia_loader_create(
        data, (glia_loader_opts){ .batch = 16, .shuffle = true, .seed = 4, .augment = augment }, &error);
    if (!loader) fail_msg("%s", error.message);
    assert_int_equal(glia_loader_y_dtype(loader), GLIA_F32);
    assert_true(glia_shape_equal(glia_loader_y_shape(loader), GLIA_SHAPE(4)));
    return loader;
}

/* What Beta(alpha, alpha) says of the shares: they are around 1/2, with variance 1 / (4 (2 alpha + 1)). */
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
        int below = 0; /* a quarter: for alpha = 1 the quarter of them, for 0.2 0.41406 (SciPy's betainc) */
        for (int i = 0; i < DRAWS; i++) below += drawn[i] < 0.25;
        if (alphas[a] == 1) assert_in_range(below, 1000 - 140, 1000 + 140);
        if (alphas[a] == 0.2) ASSERT_NEAR(below / (double)DRAWS, 0.41406, 0.04);
    }
}

/* Pixels tell with whom an image was mixed; its target must say the same. */
static void test_mixup(void **state) {
    (void)state;
    enum { COUNT = 100 };
    glia_dataset *data = make_flat(COUNT);
    assert_int_equal(glia_data_normalize(data, (double[]){ 0.5 }, (double[]){ 0.25 }, 1, &error), GLIA_OK);
    glia_augment *augment = need("flip mixup(alpha=1, p=0.5)");
    glia_loader *loader = mixing_loader(data, augment);
    const uint64_t key = glia_augment_key(4, 0);
    int mixed = 0, partners[COUNT] = { 0 };
    glia_batch b;
    assert_int_equal(glia_loader_start(loader, 0, &error), GLIA_OK);
    while (glia_loader_next(loader, &b)) {
        for (int64_t i = 0; i < b.n; i++) {
            glia_mix mix;
            const bool is = glia_augment_draw_mix(augment, GLIA_SHAPE(2, 6, 5), key, b.indices[i], COUNT, &mix);
            double own = (double)(b.indices[i] + 1) / 128, want[4] = { 0 };
            if (is) own = mix.share * own + (1 - mix.share) * ((double)mix.partner + 1) / 128;
            want[b.indices[i] % 4] += is ? mix.share : 1;
            if (is) want[mix.partner % 4] += 1 - mix.share;
            for (int k = 0; k < 60; k++) ASSERT_NEAR(b.x[i * 60 + k], (own - 0.5) / 0.25, 1e-5);
            for (int c = 0; c < 4; c++) ASSERT_NEAR(((const float *)b.y)[i * 4 + c], want[c], 1e-6);
            mixed += is;
            if (is) partners[mix.partner]++;
        }
    }
    assert_in_range(mixed, 50 - 25, 50 + 25);
    int most = 0;
    for (int i = 0; i < COUNT; i++) most = GLIA_MAX(most, partners[i]);
    assert_in_range(most, 1, 6); /* all over the data */
    glia_loader_free(loader);
    glia_augment_free(augment);
    glia_data_free(data);
}

static void test_cutmix(void **state) {
    (void)state;
    enum { COUNT = 100 };
    glia_dataset *data = make_flat(COUNT);
    glia_augment *augment = need("cutmix");
    glia_loader *loader = mixing_loader(data, augment);
    double kept = 0;
    glia_batch b;
    for (int epoch = 0; epoch < 40; epoch++) {
        assert_int_equal(glia_loader_start(loader, epoch, &error), GLIA_OK);
        while (glia_loader_next(loader, &b)) {
            for (int64_t i = 0; i < b.n; i++) {
                const float *x = b.x + i * 60, *y = (const float *)b.y + i * 4, own = (float)(b.indices[i] + 1) / 128;
                int mine = 0, top = 6, left = 5, bottom = -1, right = -1;
                float other = own;
                for (int k = 0; k < 30; k++) {
                    assert_true(x[k] == x[k + 30]); /* the same part in both channels */
                    mine += x[k] == own;
                    if (x[k] == own) continue;
                    assert_true(other == own || other == x[k]);
                    other = x[k];
                    top = GLIA_MIN(top, k / 5), bottom = GLIA_MAX(bottom, k / 5);
                    left = GLIA_MIN(left, k % 5), right = GLIA_MAX(right, k % 5);
                }
                if (mine < 30) assert_int_equal(30 - mine, (bottom - top + 1) * (right - left + 1)); /* a rectangle */
                const double share = mine / 30.0;
                const int partner = (int)lrintf(other * 128) - 1;
                float want[4] = { 0 };
                want[b.indices[i] % 4] += (float)share;
                want[partner % 4] += (float)(1 - share);
                for (int c = 0; c < 4; c++) ASSERT_NEAR(y[c], want[c], 1e-6);
                kept += share / (40 * COUNT);
            }
        }
    }
    assert_true(kept > 0.6 && kept < 0.9); /* half and more: the part is cut off at edges */
    glia_loader_free(loader);
    glia_augment_free(augment);

    /* Of both, a sample gets one; each in its share. */
    augment = need("mixup(alpha=100, p=0.25) cutmix(p=0.5)");
    int counts[3] = { 0 };
    for (int i = 0; i < 4000; i++) {
        glia_mix mix = { .pasted = false };
        bool is = glia_augment_draw_mix(augment, GLIA_SHAPE(2, 6, 5), 99, i, 10, &mix);
        counts[!is ? 0 : mix.pasted ? 2 : 1]++;
    }
    for (int k = 0; k < 3; k++)
        assert_in_range(counts[k], 4000 * (k == 2 ? 0.5 : 0.25) - 160, 4000 * (k == 2 ? 0.5 : 0.25) + 160);
    glia_augment_free(augment);
    glia_data_free(data);

    float x[4] = { 0 }, y[2] = { 0 };
    data = glia_data_arrays((glia_arrays){ .n = 2, .x = x, .x_shape = GLIA_SHAPE(2), .y = y, .y_dtype = GLIA_F32 },
                            &error);
    augment = need("mixup");
    assert_null(glia_loader_create(data, (glia_loader_opts){ .augment = augment }, &error));
    ASSERT_SAYS("needs classes");
    glia_augment_free(augment);
    glia_data_free(data);
}

/* Samples come as often as their weights say; those of weight 0 never. */
static void test_weighted(void **state) {
    (void)state;
    glia_dataset *data = make_images();
    double weights[N] = { 0 };
    weights[3] = 1, weights[100] = 2, weights[N - 2] = 5;
    glia_loader *loader = glia_loader_create(data, (glia_loader_opts){ .weights = weights, .batch = 11 }, &error);
    assert_non_null(loader);
    memset(weights, 0, sizeof weights); /* the loader has its own */
    int64_t counts[3] = { 0 };
    for (int epoch = 0; epoch < 4; epoch++) {
        glia_batch b;
        assert_int_equal(glia_loader_start(loader, epoch, &error), GLIA_OK);
        while (glia_loader_next(loader, &b)) {
            for (int64_t i = 0; i < b.n; i++) {
                assert_true(b.indices[i] == 3 || b.indices[i] == 100 || b.indices[i] == N - 2);
                counts[b.indices[i] == 3 ? 0 : b.indices[i] == 100 ? 1 : 2]++;
            }
        }
    }
    for (int k = 0; k < 3; k++) {
        double p = (double[]){ 0.125, 0.25, 0.625 }[k], deviation = sqrt(4 * N * p * (1 - p));
        assert_true(fabs((double)counts[k] - 4 * N * p) < 5 * deviation);
    }
    glia_loader_free(loader);

    assert_null(glia_loader_create(data, (glia_loader_opts){ .weights = weights }, &error));
    ASSERT_SAYS("sum");
    weights[5] = -1;
    assert_null(glia_loader_create(data, (glia_loader_opts){ .weights = weights }, &error));
    ASSERT_SAYS("sample 5");
    weights[5] = NAN;
    assert_null(glia_loader_create(data, (glia_loader_opts){ .weights = weights }, NULL));
    weights[5] = 1;
    assert_null(glia_loader_create(data, (glia_loader_opts){ .weights = weights, .stratified = true }, &error));
    glia_data_free(data);
}

/* Every sample once, and every batch with the classes' shares. */
static void test_stratified(void **state) {
    (void)state;
    glia_dataset *data = make_images();
    int totals[3] = { 0 };
    for (int i = 0; i < N; i++) totals[i % 7 % 3]++;
    static const int64_t sizes[] = { 1, 7, 50, 64, N };
    for (int s = 0; s < GLIA_COUNT(sizes); s++) {
        glia_loader *loader =
            glia_loader_create(data, (glia_loader_opts){ .batch = sizes[s], .stratified = true, .seed = 5 }, &error);
        assert_non_null(loader);
        uint64_t first[2] = { 0 };
        for (int epoch = 0; epoch < 2; epoch++) {
            bool seen[N] = { 0 };
            glia_batch b;
            assert_int_equal(glia_loader_start(loader, epoch, &error), GLIA_OK);
            while (glia_loader_next(loader, &b)) {
                int counts[3] = { 0 };
                for (int64_t i = 0; i < b.n; i++) {
                    assert_false(seen[b.indices[i]]);
                    seen[b.indices[i]] = true;
                    counts[((const int32_t *)b.y)[i]]++;
                    assert_int_equal(((const int32_t *)b.y)[i], b.indices[i] % 7 % 3);
                    first[epoch] = first[epoch] * 31 + (uint64_t)b.indices[i];
                }
                for (int c = 0; c < 3; c++) /* cut into pieces, each end rounds */
                    assert_true(fabs(counts[c] - (double)b.n * totals[c] / N) < 2);
            }
            for (int i = 0; i < N; i++) assert_true(seen[i]);
        }
        assert_true(first[0] != first[1]);
        glia_loader_free(loader);
    }
    glia_data_free(data);
    float x[4] = { 0 }, y[2] = { 0 };
    data = glia_data_arrays((glia_arrays){ .n = 2, .x = x, .x_shape = GLIA_SHAPE(2), .y = y, .y_dtype = GLIA_F32 },
                            &error);
    assert_null(glia_loader_create(data, (glia_loader_opts){ .stratified = true }, &error));
    ASSERT_SAYS("no classes");
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),          cmocka_unit_test(test_text_refusals),
        cmocka_unit_test(test_move),          cmocka_unit_test(test_flips),
        cmocka_unit_test(test_crop_draws),    cmocka_unit_test(test_loader_workers),
        cmocka_unit_test(test_loader_values), cmocka_unit_test(test_weighted),
        cmocka_unit_test(test_stratified),    cmocka_unit_test(test_golden),
        cmocka_unit_test(test_joined),        cmocka_unit_test(test_motion_draws),
        cmocka_unit_test(test_part_draws),    cmocka_unit_test(test_value_draws),
        cmocka_unit_test(test_elastic_draws), cmocka_unit_test(test_erase),
        cmocka_unit_test(test_series_draws),  cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_beta),          cmocka_unit_test(test_mixup),
        cmocka_unit_test(test_cutmix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
