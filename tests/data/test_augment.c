/* Augmentation: pipelines as text, and the transformations with given parameters. */
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

/* ---- text --------------------------------------------------------------------------------- */

static void test_text(void **state) {
    (void)state;
    static const char *const same[] = { "",
                                        "flip",
                                        "crop(pad=2, edge=reflect, p=0.25) flip vflip(p=0.125)",
                                        "crop(fill=-0.1) crop(pad=1, edge=wrap) crop(edge=edge)",
                                        "rotate(degrees=30) scale(by=0.5..1.5) translate(y=0) shear(y=3)",
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
        { "crop(pad=4", "is missing after crop(" },
        { "crop(pad=x)", "\"x\"" },
        { "crop(pad=1.5)", "an integer" },
        { "crop(size=3)", "no option size" },
        { "crop(1,pad=2)", "again" },
        { "mixup(alpha=0)", "0.001" },
        { "flip(0.5, 1)", "too many" },
        { "flip(p=2)", "0 to 1" },
        { "flip(p=nan)", "number" },
        { "crop(pad=-1)", "-1" },
        { "crop(edge=round)", "reflect" },
        { "crop(pad=)", "\"\"" },
        { "flip,flip", "space" },
        { "crop(pad=4,)", "constant" },
        { "crop(pad=99999999999)", "an integer" },
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
    assert_int_equal(glia_augment_check(augment, GLIA_SCALAR, &error), GLIA_E_ARGUMENT); /* the first error */
    ASSERT_SAYS("flip");
    glia_augment_free(augment);
    augment = need("flip");
    assert_int_equal(glia_augment_check(augment, GLIA_SCALAR, &error), GLIA_OK);
    assert_int_equal(glia_augment_check(augment, GLIA_SHAPE(1, 4, 4), &error), GLIA_OK);
    assert_int_equal(glia_augment_check(augment, GLIA_SHAPE(16), &error), GLIA_E_SHAPE);
    ASSERT_SAYS("(16)");
    glia_augment_free(augment);
}

/* ---- geometric transforms ----------------------------------------------------------------- */

static const glia_frame small = { .channels = 2, .height = 3, .width = 4, .count = 24 };

static void count_up(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = (float)i + 1;
}

/* Compares with the definition, computed from a padded copy. */
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
    glia_augment_shift_pixels(in, out, small, 0, -100, GLIA_EDGE_REPEAT, 0); /* far outside */
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

/* ---- against torchvision and SciPy -------------------------------------------------------- */

static void made(float *x, size_t n, uint32_t start) {
    for (size_t i = 0; i < n; i++) x[i] = (float)((double)((start + (uint32_t)i) * 2654435761u) / 4294967296.0);
}

static float deg(double degrees) { return (float)(degrees * 3.14159265358979323846 / 180); }

/* Applies the named case to x. */
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

/* ---- composed transforms ------------------------------------------------------------------ */

/* Adjacent geometric transforms, including flips, are composed into one motion; each is drawn from the random stream of
 * its position. */
static void test_composed_transforms(void **state) {
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

    augment = need("scale(0.5..0.5, fill=1) scale(0.5..0.5)"); /* different fills are not composed: a ring of 1 */
    for (int i = 0; i < 72; i++) x[i] = 0.5f;
    assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(1, 9, 8), 3, 2, 17, x, &error), GLIA_OK);
    float most = 0;
    for (int i = 0; i < 72; i++) most = fmaxf(most, x[i]);
    assert_true(x[0] == 0 && most == 1);
    glia_augment_free(augment);
    augment = need("flip(p=1) vflip(p=1)"); /* no resampling */
    made(x, 72, 0);
    memcpy(y, x, sizeof x);
    assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(1, 9, 8), 3, 2, 17, x, &error), GLIA_OK);
    for (int i = 0; i < 72; i++) assert_true(x[i] == y[71 - i]);
    glia_augment_free(augment);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_refusals),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_composed_transforms),
        cmocka_unit_test(test_normalize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
