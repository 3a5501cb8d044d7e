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

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

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
    ASSERT_NEAR(value_of(&a, "modes_divergence_real"), 0, 1e-3);
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
    assert_true(value_of(&a, "classifier_score_real") > 1.5 && value_of(&a, "right_class_real") > 0.5);
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
    assert_refused(model, points, NULL, "are (2), and the model draws (1, 28, 28)");
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

/* ---- in training ---------------------------------------------------------------------------------- */

enum { EPOCHS = 3, SAMPLES = 60, JUDGED = 30 };
static const char *const curves[] = { "fid", "kid", "precision", "recall", "classifier_score" };
typedef struct told {
    double values[EPOCHS][COUNT(curves)];
    int64_t stop; /* after so many steps; 0: never */
} told;

static glia_status tell(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    told *out = context;
    for (int i = 0; i < COUNT(curves); i++) out->values[p->epoch - 1][i] = glia_progress_value(p, curves[i]);
    return GLIA_OK;
}

static glia_status stop(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    return p->done == ((told *)context)->stop ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_model *model_of(const char *method) {
    if (strcmp(method, "gan") == 0) return picture_model();
    glia_model *model = glia_model_create("pictures", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    glia_tensor t = glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR);
    glia_tensor step = glia_reshape(glia_mul_scalar(glia_cast(t, GLIA_F32), 0.1), GLIA_SHAPE(GLIA_BATCH, 1, 1, 1));
    glia_model_output(model, "noise",
                      glia_conv2d(glia_add(x, step), "out", (glia_conv_opts){ .filters = 1, .kernel = 1 }));
    return model;
}

/* A classifier that has not learned: its features are as good as others to compare bits. */
static void save_features(void) {
    glia_model *model = glia_model_create("features", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    glia_model_output(model, "logits", glia_feature_net(x, 10));
    assert_int_equal(glia_model_init(model, 1, NULL), GLIA_OK);
    assert_int_equal(glia_model_save(model, "features.safetensors", &error), GLIA_OK);
    glia_model_free(model);
}

static const char *settings_of(const char *method) {
    return strcmp(method, "gan") == 0 ? "features=features.safetensors judged=30"
                                      : "features=features.safetensors judged=30 timesteps=20 sampling_steps=3";
}

/* Trains with averages, which are what is judged, and a checkpoint after every 4 steps. */
static glia_status train(glia_model *model, const char *method, const glia_dataset *data, int threads, told *out) {
    static const char path[] = "judged.checkpoint";
    const glia_callback list[] = {
        glia_swap_ema_weights(true),
        glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 4 }),
        { .epoch_end = tell, .context = out },
        { .step_end = stop, .context = out, .after_others = true },
    };
    const glia_fit_opts how = { .epochs = EPOCHS,
                                .batch = 10,
                                .optimizer = { .kind = GLIA_ADAM, .lr = 1e-3, .ema = 0.9 },
                                .callbacks = list,
                                .n_callbacks = COUNT(list),
                                .seed = 7,
                                .threads = threads };
    return glia_train(model, data, method, settings_of(method), how, &error);
}

static void assert_judged_alike(const char *method) {
    told whole = { 0 }, parts = { .stop = 9 };
    glia_dataset *data = glia_data_strokes(SAMPLES, 5, NULL);
    glia_model *model = model_of(method);
    if (train(model, method, data, 1, &whole) != GLIA_OK) fail_msg("%s", error.message);
    glia_assessment a;
    const glia_assess_opts how = { .data = data, .count = JUDGED, .seed = 7, .threads = 2 };
    if (glia_assess(model, how, &a, &error) != GLIA_OK) fail_msg("%s", error.message);
    for (int i = 0; i < COUNT(curves); i++) assert_true(whole.values[EPOCHS - 1][i] == value_of(&a, curves[i]));
    glia_model_free(model);
    model = model_of(method);
    assert_int_equal(train(model, method, data, 3, &parts), GLIA_E_INTERRUPTED);
    glia_model_free(model);
    model = model_of(method);
    parts.stop = 0;
    if (train(model, method, data, 2, &parts) != GLIA_OK) fail_msg("%s", error.message);
    assert_memory_equal(whole.values, parts.values, sizeof whole.values);
    assert_true(whole.values[0][0] != whole.values[1][0] && whole.values[1][0] != whole.values[2][0]);
    glia_model_free(model);
    glia_data_free(data);
}

/* A curve is what glia_assess() says of the model at the end of the epoch, with any number of threads and after a
 * resumed training. */
static void epochs_are_judged_like_models(void **state) {
    (void)state;
    save_features();
    assert_judged_alike("gan");
    assert_judged_alike("ddpm");
}

/* Black and white pictures in turn: real ones in the place of the drawn ones must not be all of one kind. */
static void real_sets_are_alike_in_data_whose_kinds_take_turns(void **state) {
    (void)state;
    enum { N = 80 };
    static float pixels[N][784];
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 784; k++) pixels[i][k] = (float)(i % 2) * (float)(k + i) / (784 + N);
    save_features();
    glia_model *model = picture_model();
    glia_dataset *data =
        glia_data_arrays((glia_arrays){ .n = N, .x = pixels, .x_shape = GLIA_SHAPE(1, 28, 28), .borrow = true }, NULL);
    glia_assessment a;
    const glia_assess_opts how = { .data = data, .settings = "features=features.safetensors", .threads = 1 };
    if (glia_assess(model, how, &a, &error) != GLIA_OK) fail_msg("%s", error.message);
    assert_true(value_of(&a, "precision_floor") > 0.8 && value_of(&a, "recall_floor") > 0.8);
    glia_data_free(data);
    glia_model_free(model);
}

static glia_status tell_modes(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    ((double *)context)[0] = glia_progress_value(p, "modes_covered");
    ((double *)context)[1] = glia_progress_value(p, "good_share");
    return GLIA_OK;
}

/* A generator that has not learned yet gives points near 0, one of the modes. */
static void points_are_judged_by_modes_in_training(void **state) {
    (void)state;
    double values[2] = { NAN, NAN };
    const glia_callback watch = { .epoch_end = tell_modes, .context = values };
    const glia_fit_opts how = { .batch = 100,
                                .max_steps = 1,
                                .optimizer = { .kind = GLIA_SGD, .lr = 1e-9 },
                                .callbacks = &watch,
                                .n_callbacks = 1 };
    glia_dataset *data = two_modes(true);
    glia_model *model = glia_model_create("points", NULL);
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    const glia_gan_dense_opts opts = { .units = 4,
                                       .layers = 1,
                                       .kernel_init = { .kind = GLIA_INIT_NORMAL, .stddev = 0.01 } };
    glia_model_output(model, "sample", glia_gan_dense_generator(z, "generator", GLIA_SHAPE(2), opts));
    glia_model_output(model, "score", glia_gan_dense_critic(x, "critic", opts));
    if (glia_train(model, data, "gan", "judged=1000", how, &error) != GLIA_OK) fail_msg("%s", error.message);
    ASSERT_NEAR(values[0], 1, 0);
    ASSERT_NEAR(values[1], 1, 0);
    glia_model_free(model);
    glia_data_free(data);
}

static void impossible_numbers_of_judged_samples_are_errors(void **state) {
    (void)state;
    glia_dataset *data = glia_data_strokes(20, 5, NULL);
    for (int i = 0; i < 2; i++) {
        glia_model *model = picture_model();
        const glia_fit_opts how = { .batch = 10, .threads = 1 };
        assert_int_equal(glia_train(model, data, "gan", i ? "judged=21" : "judged=3", how, &error), GLIA_E_ARGUMENT);
        ASSERT_SAYS(i ? "judged=21: samples are compared with as many real ones, at least 4, and 'strokes"
                      : "judged=3");
        glia_model_free(model);
    }
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_are_those_of_the_datas_classes),
        cmocka_unit_test(pictures_have_floors),
        cmocka_unit_test(classifiers_are_checked),
        cmocka_unit_test(epochs_are_judged_like_models),
        cmocka_unit_test(real_sets_are_alike_in_data_whose_kinds_take_turns),
        cmocka_unit_test(points_are_judged_by_modes_in_training),
        cmocka_unit_test(impossible_numbers_of_judged_samples_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
