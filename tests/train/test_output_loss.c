/* test_output_loss.c - an output of the model as the loss of a fit (GLIA_LOSS_OUTPUT). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "glia/glia.h"

enum { SAMPLES = 130, FEATURES = 4 };

/* y = 2 x0 - x1 + 1/2, or labels 0 and 1. */
static glia_dataset *dataset(bool labels) {
    float x[SAMPLES * FEATURES], value[SAMPLES];
    int32_t label[SAMPLES];
    uint32_t seed = 1;
    for (int i = 0; i < SAMPLES * FEATURES; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 8388608 - 1;
    }
    for (int i = 0; i < SAMPLES; i++) {
        value[i] = 2 * x[i * FEATURES] - x[i * FEATURES + 1] + 0.5f;
        label[i] = i % 2;
    }
    const glia_arrays arrays = { .n = SAMPLES,
                                 .x = x,
                                 .x_shape = GLIA_SHAPE(FEATURES),
                                 .y = labels ? (const void *)label : value,
                                 .y_dtype = labels ? GLIA_I32 : GLIA_F32 };
    glia_dataset *data = glia_data_arrays(arrays, NULL);
    assert_non_null(data);
    return data;
}

static glia_model *linear(void) {
    glia_model *model = glia_model_create("linear", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(FEATURES));
    glia_model_output(model, "y", glia_dense(x, "fc", (glia_dense_opts){ .units = 1 }));
    return model;
}

/* A model of outputs "y" and "loss" = mean (y - target)^2; without a target mean y^2. */
static glia_model *with_own_loss(bool targets, bool whole) {
    glia_model *model = glia_model_create("own", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(FEATURES));
    glia_tensor y = glia_dense(x, "fc", (glia_dense_opts){ .units = 1 });
    glia_tensor flat = glia_reshape(y, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor miss = targets ? glia_sub(flat, glia_model_input(model, "target", GLIA_F32, GLIA_SCALAR)) : flat;
    glia_model_output(model, "y", y);
    glia_tensor squares = glia_square(miss);
    glia_model_output(model, "loss", whole ? glia_mean(squares, GLIA_SCALAR, false) : squares);
    return model;
}

static const glia_fit_opts how = {
    .epochs = 3, .batch = 16, .loss = GLIA_LOSS_OUTPUT, .optimizer = { .kind = GLIA_ADAM, .lr = 0.01 }, .seed = 2
};

static void fit(glia_model *model, const glia_dataset *data, glia_fit_opts opts) {
    glia_error error;
    if (glia_fit(model, data, opts, &error) != GLIA_OK) fail_msg("%s", error.message);
}

static glia_scores evaluate(glia_model *model, const glia_dataset *data, glia_loss loss) {
    glia_scores scores;
    glia_error error;
    if (glia_evaluate(model, data, (glia_evaluate_opts){ .loss = loss }, &scores, &error) != GLIA_OK)
        fail_msg("%s", error.message);
    return scores;
}

static void squares_of_ones_own_are_the_mean_squared_error(void **state) {
    (void)state;
    glia_dataset *data = dataset(false);
    glia_model *usual = linear(), *own = with_own_loss(true, true);
    glia_fit_opts opts = how;
    opts.validation = data;
    fit(own, data, opts);
    opts.loss = GLIA_MSE;
    fit(usual, data, opts);
    glia_array a, b;
    assert_true(glia_store_find(glia_model_store(usual), "fc/kernel", &a));
    assert_true(glia_store_find(glia_model_store(own), "fc/kernel", &b));
    for (int i = 0; i < FEATURES; i++) assert_true(fabsf(((float *)a.data)[i] - ((float *)b.data)[i]) < 1e-5f);
    const glia_scores wanted = evaluate(usual, data, GLIA_MSE), scores = evaluate(own, data, GLIA_LOSS_OUTPUT);
    assert_true(fabs(wanted.loss - scores.loss) < 1e-4 * wanted.loss);
    assert_true(isnan(scores.accuracy));
    glia_model_free(own);
    glia_model_free(usual);
    glia_data_free(data);
}

static void a_loss_needs_no_targets(void **state) {
    (void)state;
    glia_dataset *data = dataset(true);
    glia_model *own = with_own_loss(false, true);
    const double before = evaluate(own, data, GLIA_LOSS_OUTPUT).loss;
    glia_fit_opts opts = how;
    opts.epochs = 60;
    fit(own, data, opts);
    assert_true(evaluate(own, data, GLIA_LOSS_OUTPUT).loss < 0.02 * before);
    glia_model_free(own);
    glia_data_free(data);
}

static void expect(glia_model *model, const glia_dataset *data, glia_fit_opts opts, glia_status status,
                   const char *part) {
    glia_error error;
    assert_int_equal(glia_fit(model, data, opts, &error), status);
    if (!strstr(error.message, part)) fail_msg("\"%s\" is not in \"%s\"", part, error.message);
    glia_model_free(model);
}

static void mistakes_are_named(void **state) {
    (void)state;
    glia_dataset *data = dataset(false), *labels = dataset(true);
    expect(with_own_loss(true, false), data, how, GLIA_E_ARGUMENT, "'loss' is not one floating-point number");
    expect(linear(), data, how, GLIA_E_ARGUMENT, "the model has no output 'loss'");
    expect(with_own_loss(true, true), labels, how, GLIA_E_SHAPE, "the model's input 'target' is f32(N), and the data");
    glia_fit_opts opts = how;
    opts.label_smoothing = 0.1;
    expect(with_own_loss(true, true), data, opts, GLIA_E_ARGUMENT, "label smoothing");
    glia_data_free(data);
    glia_data_free(labels);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(squares_of_ones_own_are_the_mean_squared_error),
        cmocka_unit_test(a_loss_needs_no_targets),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
