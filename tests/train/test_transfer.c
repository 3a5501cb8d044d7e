/* Transfer: cutting and joining, blocks, rates by depth, batch norms with fixed statistics, features and probes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "asserts.h"
#include "models/models.h"

static glia_error error;

static void check(glia_status status) {
    if (status != GLIA_OK) fail_msg("%s", error.message);
}

static glia_model *make(const char *name, glia_shape sample, int outputs) {
    glia_model *model = glia_recipe_build(glia_recipe_find(name), sample, outputs, &error);
    if (!model) fail_msg("%s", error.message);
    check(glia_model_init(model, 3, &error));
    return model;
}

static const float *values(glia_model *model, const char *name) {
    glia_array a;
    assert_true(glia_store_find(glia_model_store(model), name, &a));
    return a.data;
}

/* The head that the model had, put on the cut model again, gives the same outputs. */
static void test_cut_and_join(void **state) {
    (void)state;
    glia_model *model = make("lenet5", GLIA_SHAPE(1, 28, 28), 10);
    glia_model *part = glia_model_cut(model, "f6", &error);
    if (!part) fail_msg("%s", error.message);
    assert_int_equal(glia_model_parameter_count(part, false), 61706 - 850);
    float x[2 * 784], want[20], got[20], features[2 * 84];
    for (int i = 0; i < 2 * 784; i++) x[i] = (float)(i % 7) / 7;
    check(glia_predict(model, x, 2, want, NULL, &error));
    check(glia_predict(part, x, 2, features, NULL, &error));
    for (int i = 0; i < 168; i++) assert_true(features[i] >= 0);
    glia_tensor y = glia_dense(glia_model_output_at(part, 0, NULL), "logits", (glia_dense_opts){ .units = 10 });
    glia_model_head(part, "logits", y);
    check(glia_store_add(glia_model_store(part), glia_model_graph(part), 0, &error));
    memcpy((float *)(uintptr_t)values(part, "logits/kernel"), values(model, "logits/kernel"), 840 * sizeof(float));
    memcpy((float *)(uintptr_t)values(part, "logits/bias"), values(model, "logits/bias"), 10 * sizeof(float));
    check(glia_predict(part, x, 2, got, NULL, &error));
    for (int i = 0; i < 20; i++) ASSERT_NEAR(got[i], want[i], 1e-5);
    assert_null(glia_model_cut(model, "f7", &error));
    ASSERT_SAYS("no layer is called 'f7'; did you mean 'f6'?");
    glia_model_free(part);
    glia_model_free(model);
}

static void test_blocks(void **state) {
    (void)state;
    glia_model *model = make("resnet20", GLIA_SHAPE(3, 32, 32), 10);
    glia_block blocks[32];
    assert_int_equal(glia_model_blocks(model, blocks, 32), 11);
    assert_string_equal(blocks[0].name, "conv1");
    assert_int_equal(blocks[0].parameters, 3 * 16 * 9 + 32); /* with bn1 */
    assert_string_equal(blocks[1].name, "layer1/0");
    assert_string_equal(blocks[10].name, "linear");
    check(glia_model_freeze_blocks(model, 2, &error));
    assert_int_equal(glia_model_parameter_count(model, true), blocks[9].parameters + blocks[10].parameters);
    assert_int_equal(glia_model_freeze_blocks(model, 11, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("the model has 11, so 1 to 10 can be left");
    glia_parameter_group *groups;
    int n;
    check(glia_model_depth_rates(model, 0.5, &groups, &n, &error));
    assert_int_equal(n, 11);
    assert_true(groups[10].lr_scale == 1 && groups[9].lr_scale == 0.5 && groups[0].lr_scale == pow(0.5, 10));
    assert_string_equal(groups[0].pattern, "conv1/kernel,bn1/scale,bn1/shift");
    free(groups);
    assert_int_equal(glia_model_depth_rates(model, 0, &groups, &n, &error), GLIA_E_ARGUMENT);
    glia_model_free(model);
    model = make("vit-cifar", GLIA_SHAPE(3, 32, 32), 10);
    const int count = glia_model_blocks(model, blocks, 32);
    assert_string_equal(blocks[count - 2].name, "encoder/layers/encoder_layer_5");
    glia_model_free(model);
}

/* In training, norms with fixed statistics compute what inference does, and nothing moves the statistics. */
static void test_fixed_norms(void **state) {
    (void)state;
    glia_model *model = make("resnet20", GLIA_SHAPE(3, 32, 32), 10);
    static float x[8 * 3072];
    float before[80], after[80], mean[16];
    int32_t y[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    for (int i = 0; i < 8 * 3072; i++) x[i] = (float)(i % 11) / 11 - 0.5f;
    check(glia_predict(model, x, 8, before, NULL, &error));
    assert_int_equal(glia_model_fix_norms(model, "bn9*", &error), GLIA_E_NOT_FOUND);
    ASSERT_SAYS("no batch norm that matches bn9*");
    check(glia_model_fix_norms(model, NULL, &error));
    check(glia_predict(model, x, 8, after, NULL, &error));
    for (int i = 0; i < 80; i++) ASSERT_NEAR(after[i], before[i], 1e-4);
    memcpy(mean, values(model, "bn1/running_mean"), sizeof mean);
    const float scale = values(model, "bn1/scale")[0];
    glia_dataset *data = glia_data_arrays(
        (glia_arrays){ .n = 8, .x = x, .x_shape = GLIA_SHAPE(3, 32, 32), .y = y, .y_dtype = GLIA_I32, .classes = 10 },
        &error);
    check(glia_fit(model, data, (glia_fit_opts){ .batch = 8, .optimizer = { .lr = 0.1 } }, &error));
    assert_memory_equal(mean, values(model, "bn1/running_mean"), sizeof mean);
    assert_true(values(model, "bn1/scale")[0] != scale);
    glia_data_free(data);
    glia_model_free(model);
}

static void test_features(void **state) {
    (void)state;
    glia_model *model = make("lenet5", GLIA_SHAPE(1, 28, 28), 10);
    glia_dataset *data = glia_data_strokes(300, 1, &error);
    float *x;
    int64_t size;
    check(glia_model_features(model, "c5", data, &x, &size, NULL, &error));
    assert_int_equal(size, 120);
    float one[784], want[120];
    check(glia_data_get(data, 299, one, NULL, &error));
    glia_model *part = glia_model_cut(model, "c5", &error);
    check(glia_predict(part, one, 1, want, NULL, &error));
    for (int i = 0; i < 120; i++) ASSERT_NEAR(x[299 * 120 + i], want[i], 1e-5);
    free(x);
    assert_int_equal(glia_model_features(model, "c9", data, &x, &size, NULL, &error), GLIA_E_NOT_FOUND);
    glia_data_free(data);
    glia_model_free(part);
    glia_model_free(model);
}

static void test_probes(void **state) {
    (void)state;
    enum { N = 120, M = 30 };
    float x[(N + M) * 2];
    int32_t labels[N + M], predicted[M];
    for (int i = 0; i < N + M; i++) { /* three rays that a line separates, each with its own scale */
        const int c = labels[i] = i % 3;
        const double r = 1 + (i * 37 % 50) / 50.0, turn = 2.0944 * c + 0.4 * ((i * 13 % 20) / 20.0 - 0.5);
        x[2 * i] = (float)(r * cos(turn)), x[2 * i + 1] = (float)(100 * r * sin(turn));
    }
    glia_probe_data d = { .x = x, .labels = labels, .n = N, .size = 2, .classes = 3, .others = x + 2 * N, .m = M };
    check(glia_probe_linear(&d, predicted, &error));
    for (int i = 0; i < M; i++) assert_int_equal(predicted[i], labels[N + i]);
    const float points[] = { 0, 1, 3, 7 }, asked[] = { 0.4f, 2.1f, 6 };
    const int32_t kinds[] = { 0, 0, 1, 1 };
    d = (glia_probe_data){ .x = points, .labels = kinds, .n = 4, .size = 1, .classes = 2, .others = asked, .m = 3 };
    check(glia_probe_nearest(&d, 2, predicted, &error));
    assert_true(predicted[0] == 0 && predicted[1] == 1 && predicted[2] == 1); /* a tie: the nearest decides */
    check(glia_probe_nearest(&d, 4, predicted, &error));
    assert_true(predicted[0] == 0 && predicted[2] == 1);
    d.classes = 1;
    assert_int_equal(glia_probe_nearest(&d, 1, predicted, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("label 1 of sample 2 is not below 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_and_join), cmocka_unit_test(test_blocks), cmocka_unit_test(test_fixed_norms),
        cmocka_unit_test(test_features),     cmocka_unit_test(test_probes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
