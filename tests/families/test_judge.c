/* test_judge.c - figures of models that draw samples: modes of points, distances of pictures and their floors. */
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

static double value_of(const glia_assessment *a, const char *name) {
    for (int i = 0; i < a->n; i++)
        if (strcmp(a->values[i].name, name) == 0) return a->values[i].value;
    fail_msg("there is no value %s", name);
    return NAN;
}

/* ---- points --------------------------------------------------------------------------------------- */

enum { POINTS = 4000 };

/* Noise as samples: N(0, 1) in the plane. */
static glia_model *noise_model(void) {
    glia_model *model = glia_model_create("noise", NULL);
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_model_output(model, "sample", glia_mul_scalar(z, 1));
    glia_model_output(model, "score", glia_sum(x, GLIA_SHAPE(1), false));
    assert_int_equal(glia_model_set(model, "method", "gan", NULL), GLIA_OK);
    return model;
}

/* Two modes at 0 and (5, 0), of deviation 1/2: a square around each. */
static glia_dataset *two_modes(bool labelled) {
    static float x[POINTS][2];
    static int32_t y[POINTS];
    for (int i = 0; i < POINTS; i++) {
        y[i] = i / 2 % 2;
        x[i][0] = (i / 4 % 2 ? 0.5f : -0.5f) + (float)(5 * y[i]);
        x[i][1] = i / 8 % 2 ? 0.5f : -0.5f;
    }
    const glia_arrays arrays = { .n = POINTS,
                                 .x = x,
                                 .x_shape = GLIA_SHAPE(2),
                                 .y = labelled ? y : NULL,
                                 .y_dtype = GLIA_I32,
                                 .classes = labelled ? 2 : 0 };
    return glia_data_arrays(arrays, NULL);
}

/* A point of N(0, 1) is within 1.5 of the origin with probability 1 - exp(-1.5^2 / 2), and beyond 3.5 on the right it
 * may be within 1.5 of (5, 0): with 2,000 points perhaps never. */
static void modes_are_those_of_the_datas_classes(void **state) {
    (void)state;
    glia_model *model = noise_model();
    glia_dataset *data = two_modes(true), *bare = two_modes(false);
    glia_assessment a;
    const glia_assess_opts how = { .data = data, .threads = 1 };
    if (glia_assess(model, how, &a, &error) != GLIA_OK) fail_msg("%s", error.message);
    ASSERT_NEAR(value_of(&a, "modes"), 2, 0);
    ASSERT_NEAR(value_of(&a, "good_share"), 1 - exp(-1.125), 0.04);
    ASSERT_NEAR(value_of(&a, "good_share_real"), 1, 0);
    ASSERT_NEAR(value_of(&a, "modes_divergence_real"), 0, 1e-9);
    ASSERT_NEAR(value_of(&a, "samples"), POINTS / 2, 0);
    assert_non_null(strstr(a.note, "three standard deviations (0.5 each)"));
    assert_int_equal(glia_assess(model, (glia_assess_opts){ .data = bare, .threads = 1 }, &a, &error),
                     GLIA_E_UNSUPPORTED);
    ASSERT_SAYS("has none");
    const glia_assess_opts many = { .data = data, .count = POINTS, .threads = 1 };
    assert_int_equal(glia_assess(model, many, &a, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("twice as many real ones");
    glia_model_free(model);
    glia_data_free(data);
    glia_data_free(bare);
}

/* ---- pictures ------------------------------------------------------------------------------------- */

static glia_model *picture_model(void) {
    glia_model *model = glia_model_create("pictures", NULL);
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(8));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    const glia_gan_dense_opts small = { .units = 8, .layers = 1 };
    glia_model_output(model, "sample", glia_gan_dense_generator(z, "generator", GLIA_SHAPE(1, 28, 28), small));
    glia_model_output(model, "score", glia_gan_dense_critic(x, "critic", small));
    assert_int_equal(glia_model_set(model, "method", "gan", NULL), GLIA_OK);
    return model;
}

static void pictures_have_floors(void **state) {
    (void)state;
    glia_model *model = picture_model();
    glia_dataset *data = glia_data_strokes(200, 5, NULL);
    glia_assessment a, b;
    if (glia_assess(model, (glia_assess_opts){ .data = data, .threads = 1 }, &a, &error) != GLIA_OK)
        fail_msg("%s", error.message);
    assert_true(value_of(&a, "fid") > 2 * value_of(&a, "fid_floor"));
    assert_true(value_of(&a, "kid") > value_of(&a, "kid_floor"));
    assert_true(value_of(&a, "precision") < value_of(&a, "precision_floor"));
    assert_true(value_of(&a, "recall") < value_of(&a, "recall_floor"));
    assert_true(value_of(&a, "classifier_score_real") > 2 && value_of(&a, "right_class_real") > 0.5);
    assert_non_null(strstr(a.note, "hash"));
    assert_int_equal(glia_assess(model, (glia_assess_opts){ .data = data, .threads = 3 }, &b, &error), GLIA_OK);
    assert_string_equal(a.note, b.note);
    for (int i = 0; i < a.n; i++) assert_true(a.values[i].value == b.values[i].value);
    glia_data_free(data);
    glia_model_free(model);
}

static void assert_refused(glia_model *model, const glia_dataset *data, const char *settings, const char *part) {
    glia_assessment a;
    const glia_assess_opts how = { .data = data, .settings = settings, .threads = 1 };
    assert_int_not_equal(glia_assess(model, how, &a, &error), GLIA_OK);
    ASSERT_SAYS(part);
}

static void classifiers_are_checked(void **state) {
    (void)state;
    static const float pixels[8 * 784];
    glia_model *model = picture_model(), *plain = glia_model_create("plain", NULL);
    const glia_arrays arrays = { .n = 8, .x = pixels, .x_shape = GLIA_SHAPE(1, 28, 28) };
    glia_dataset *bare = glia_data_arrays(arrays, NULL), *points = two_modes(true);
    assert_refused(model, bare, NULL, "name a model by features=RUN");
    assert_refused(model, bare, "features=nowhere.safetensors", "nowhere.safetensors");
    assert_refused(model, points, NULL, "are not those that the model draws");
    glia_tensor x = glia_model_input(plain, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    glia_model_output(plain, "logits", glia_dense(glia_flatten(x), "out", (glia_dense_opts){ .units = 3 }));
    assert_int_equal(glia_model_init(plain, 1, NULL), GLIA_OK);
    assert_int_equal(glia_model_save(plain, "plain.safetensors", &error), GLIA_OK);
    assert_refused(model, bare, "features=plain.safetensors", "a layer \"features\" (N, F)");
    glia_data_free(bare);
    glia_data_free(points);
    glia_model_free(model);
    glia_model_free(plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_are_those_of_the_datas_classes),
        cmocka_unit_test(pictures_have_floors),
        cmocka_unit_test(classifiers_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
