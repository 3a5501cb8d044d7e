/* Values from files by name: of torch.save() (tools/golden/torch_files.py), of safetensors and of Keras
 * (tools/golden/keras_files.py); what is missing, unexpected or misshapen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "asserts.h"
#include "data/formats/formats.h"
#include "glia/glia.h"
#include "models/models.h"

static glia_error error;

static const char *golden(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/torch/%s", GLIA_GOLDEN_DIR, name);
    return path;
}

/* The layers of layers.pth, with as many classes. */
static glia_model *make(int filters, int classes, bool more) {
    glia_model *model = glia_model_create("layers", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2, 3, 3));
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = filters, .kernel = 3 });
    x = glia_batch_norm(x, "bn1", (glia_norm_opts){ 0 });
    if (more) x = glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 3, .kernel = 1 });
    glia_model_output(model, "y", glia_dense(glia_flatten(x), "fc", (glia_dense_opts){ .units = classes }));
    assert_int_equal(glia_model_init(model, 1, &error), GLIA_OK);
    return model;
}

static const float *values(glia_model *model, const char *name) {
    glia_array a;
    assert_true(glia_store_find(glia_model_store(model), name, &a));
    return a.data;
}

static void test_names_of_torch(void **state) {
    (void)state;
    float first[6];
    static const char *const files[] = { "layers.pth", "layers.safetensors", "wrapped.th" };
    for (int i = 0; i < 3; i++) {
        glia_model *model = make(3, 2, false);
        int loaded;
        if (glia_model_load_weights(model, golden(files[i]), &loaded, &error) != GLIA_OK)
            fail_msg("%s", error.message);
        assert_int_equal(loaded, 8);
        assert_true(values(model, "bn1/running_mean")[1] == 2 && values(model, "bn1/running_var")[2] == 6);
        assert_true(values(model, "bn1/scale")[0] == 1 && values(model, "bn1/shift")[0] == 0);
        if (i == 0) memcpy(first, values(model, "fc/kernel"), sizeof first);
        assert_memory_equal(first, values(model, "fc/kernel"), sizeof first);
        glia_weights_report report;
        const glia_weights_opts strict = { .strict = true }; /* counters of batches do not count */
        assert_int_equal(glia_model_import_weights(model, golden(files[i]), strict, &report, &error), GLIA_OK);
        assert_true(report.loaded == 8 && !report.missing && !report.unexpected && !report.misshapen && !report.list);
        glia_model_free(model);
    }
}

static void test_all_that_differs_is_listed(void **state) {
    (void)state;
    glia_weights_report report;
    glia_model *model = make(3, 2, true);
    assert_int_equal(glia_model_import_weights(model, golden("layers.pth"), (glia_weights_opts){ 0 }, &report, &error),
                     GLIA_E_NOT_FOUND);
    ASSERT_SAYS("layers.pth: 2 missing, 0 unexpected, 0 of another shape: missing in the file: 'conv2/kernel';missing "
                "in the file: 'conv2/bias'");
    assert_true(report.missing == 2 && report.loaded == 0);
    assert_string_equal(report.list, "missing in the file: 'conv2/kernel'\nmissing in the file: 'conv2/bias'\n");
    free(report.list);
    const glia_weights_opts partial = { .partial = true };
    assert_int_equal(glia_model_import_weights(model, golden("layers.pth"), partial, &report, &error), GLIA_OK);
    assert_true(report.missing == 2 && report.loaded == 8 && report.list);
    free(report.list);
    glia_model_free(model);

    model = make(4, 5, false);
    const float before = values(model, "conv1/kernel")[0];
    assert_int_equal(glia_model_import_weights(model, golden("layers.pth"), partial, &report, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("tensor 'conv1.weight' f32(3, 2, 3, 3) does not match 'conv1/kernel' f32(4, 2, 3, 3)");
    assert_true(report.misshapen == 8 && values(model, "conv1/kernel")[0] == before);
    free(report.list);
    glia_model_free(model);

    model = glia_model_create("part", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2, 3, 3));
    glia_model_output(model, "y", glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 3, .kernel = 3 }));
    assert_int_equal(glia_model_import_weights(model, golden("layers.pth"), (glia_weights_opts){ .strict = true },
                                               &report, &error),
                     GLIA_E_NOT_FOUND);
    ASSERT_SAYS("0 missing, 6 unexpected, 0 of another shape: unexpected in the file: 'bn1.weight'");
    free(report.list);
    glia_model_free(model);
}

static void test_new_head(void **state) {
    (void)state;
    glia_model *model = make(3, 5, false);
    glia_weights_report report;
    const float before = values(model, "fc/kernel")[4];
    const glia_weights_opts opts = { .new_head = true };
    assert_int_equal(glia_model_import_weights(model, golden("layers.pth"), opts, &report, &error), GLIA_OK);
    assert_true(report.loaded == 6 && report.reset == 2);
    assert_true(values(model, "fc/kernel")[4] == before && values(model, "bn1/running_mean")[1] == 2);
    const glia_weights_opts part = { .pattern = "bn1/*" };
    assert_int_equal(glia_model_import_weights(model, golden("layers.pth"), part, &report, &error), GLIA_OK);
    assert_int_equal(report.loaded, 4);
    glia_model_free(model);
}

/* timm's name of a value of a vision transformer. */
static void spell_timm(const char *name, char out[128]) {
    static const struct {
        const char *ours, *theirs;
    } parts[] = { { "class_token", "cls_token" },
                  { "encoder/pos_embedding", "pos_embed" },
                  { "conv_proj/", "patch_embed.proj." },
                  { "encoder/ln/", "norm." },
                  { "heads/head/", "head." } },
      inner[] = { { "ln_1/", "norm1." },
                  { "ln_2/", "norm2." },
                  { "self_attention/qkv/", "attn.qkv." },
                  { "self_attention/out/", "attn.proj." },
                  { "mlp/0/", "mlp.fc1." },
                  { "mlp/3/", "mlp.fc2." } };
    int layer, used = 0, length = 0;
    const char *rest = name, *kind;
    if (sscanf(name, "encoder/layers/encoder_layer_%d/%n", &layer, &used) == 1 && used) {
        length = snprintf(out, 128, "blocks.%d.", layer);
        for (int i = 0; i < 6; i++) {
            const size_t n = strlen(inner[i].ours);
            if (strncmp(name + used, inner[i].ours, n) != 0) continue;
            length += snprintf(out + length, 128 - (size_t)length, "%s", inner[i].theirs);
            rest = name + used + n;
        }
    }
    for (int i = 0; i < 5 && !used; i++) {
        const size_t n = strlen(parts[i].ours);
        if (strncmp(name, parts[i].ours, n) != 0) continue;
        length = snprintf(out, 128, "%s", parts[i].theirs);
        rest = name + n;
    }
    kind = strcmp(rest, "kernel") == 0 || strcmp(rest, "scale") == 0 ? "weight"
           : strcmp(rest, "shift") == 0                              ? "bias"
                                                                     : rest;
    snprintf(out + length, 128 - (size_t)length, "%s", kind);
}

static void test_names_of_timm(void **state) {
    (void)state;
    enum { MOST = 128 };
    const glia_recipe *recipe = glia_recipe_find("vit-cifar");
    glia_model *from = glia_recipe_build(recipe, GLIA_SHAPE(3, 16, 16), 4, &error);
    glia_model *to = glia_recipe_build(recipe, GLIA_SHAPE(3, 16, 16), 4, &error);
    assert_int_equal(glia_model_init(from, 1, &error), GLIA_OK);
    assert_int_equal(glia_model_init(to, 2, &error), GLIA_OK);
    glia_array arrays[MOST];
    static char names[MOST][128];
    glia_store *store = glia_model_store(from);
    const int n = glia_store_count(store);
    assert_true(n < MOST);
    for (int i = 0; i < n; i++) {
        arrays[i] = glia_store_at(store, i);
        spell_timm(arrays[i].name, names[i]);
        arrays[i].name = names[i];
    }
    assert_int_equal(glia_safetensors_write("timm.safetensors", arrays, n, NULL, 0, &error), GLIA_OK);
    const glia_weights_opts opts = { .family = "timm", .strict = true };
    if (glia_model_import_weights(to, "timm.safetensors", opts, NULL, &error) != GLIA_OK) fail_msg("%s", error.message);
    for (int i = 0; i < n; i++) {
        const glia_array a = glia_store_at(store, i);
        assert_memory_equal(values(to, a.name), a.data, (size_t)glia_shape_count(a.shape) * sizeof(float));
    }
    remove("timm.safetensors");
    glia_model_free(from);
    glia_model_free(to);
}

/* The net of tools/golden/keras_files.py. */
static glia_model *make_keras(int units) {
    glia_model *model = glia_model_create("net", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2, 8, 6));
    x = glia_conv2d(x, "c1", (glia_conv_opts){ .filters = 3, .kernels = { 3, 2 } });
    x = glia_relu(glia_batch_norm(x, "bn", (glia_norm_opts){ 0 }));
    x = glia_conv2d(x, "d1", (glia_conv_opts){ .filters = 3, .kernel = 3, .groups = 3, .pad = 1 });
    x = glia_dropout(glia_flatten(x), 0.5);
    x = glia_dense(x, "f1", (glia_dense_opts){ .units = 5, .activation = GLIA_TANH });
    glia_model_output(model, "y", glia_dense(x, "f2", (glia_dense_opts){ .units = units }));
    assert_int_equal(glia_model_init(model, 1, &error), GLIA_OK);
    return model;
}

static void test_files_of_keras(void **state) {
    (void)state;
    glia_tensor_file answer;
    if (glia_tensors_open(GLIA_GOLDEN_DIR "/keras/answer.npz", &answer, &error) != GLIA_OK)
        fail_msg("%s", error.message);
    float x[3 * 2 * 8 * 6], y[12], wanted[12];
    const float *theirs = glia_safetensors_find(&answer.tensors, "x")->data; /* (3, 8, 6, 2) */
    for (int i = 0; i < 3 * 96; i++) x[i / 96 * 96 + i % 2 * 48 + i % 96 / 2] = theirs[i];
    memcpy(wanted, glia_safetensors_find(&answer.tensors, "y")->data, sizeof wanted);
    glia_tensors_close(&answer);
    static const char *const files[] = { "named.npz", "keras2.npz", "order.npz" };
    for (int f = 0; f < 3; f++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/keras/%s", GLIA_GOLDEN_DIR, files[f]);
        glia_model *model = make_keras(4);
        glia_weights_report report;
        const glia_weights_opts opts = { .family = f == 2 ? NULL : "keras",
                                         .strict = true,
                                         .prefix = f == 0 ? "sequential/" : NULL };
        if (glia_model_import_weights(model, path, opts, &report, &error) != GLIA_OK) fail_msg("%s", error.message);
        assert_int_equal(report.loaded, 12);
        assert_int_equal(glia_predict(model, x, 3, y, NULL, &error), GLIA_OK);
        for (int i = 0; i < 12; i++) ASSERT_NEAR(y[i], wanted[i], 1e-5);
        glia_model_free(model);
    }
    glia_model *model = make_keras(3);
    const glia_weights_opts opts = { .family = "keras", .prefix = "sequential/" };
    assert_int_equal(glia_model_import_weights(model, GLIA_GOLDEN_DIR "/keras/named.npz", opts, NULL, &error),
                     GLIA_E_SHAPE);
    ASSERT_SAYS("tensor 'sequential/f2/kernel' f32(5, 4) does not match 'f2/kernel' f32(3, 5)");
    const glia_weights_opts partial = { .family = "keras", .prefix = "sequential/", .new_head = true };
    assert_int_equal(glia_model_import_weights(model, GLIA_GOLDEN_DIR "/keras/named.npz", partial, NULL, &error),
                     GLIA_OK);
    glia_model_free(model);
}

static void test_mistakes(void **state) {
    (void)state;
    glia_model *model = make(3, 2, false);
    assert_int_equal(glia_model_load_weights(model, golden("code.pt"), NULL, &error), GLIA_E_UNSUPPORTED);
    ASSERT_SAYS("code.pt: offset ");
    ASSERT_SAYS("system' is no part of a file of tensors, and nothing is executed");
    assert_int_equal(glia_model_load_weights(model, golden("none.pt"), NULL, &error), GLIA_E_NOT_FOUND);
    const glia_weights_opts unknown = { .family = "tim" };
    assert_int_equal(glia_model_import_weights(model, golden("layers.pth"), unknown, NULL, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("did you mean timm?");
    const glia_weights_opts nothing = { .pattern = "bn2*" };
    assert_int_equal(glia_model_import_weights(model, golden("layers.pth"), nothing, NULL, &error), GLIA_E_NOT_FOUND);
    ASSERT_SAYS("bn2*");
    const glia_weights_opts other = { .prefix = "backbone." };
    assert_int_equal(glia_model_import_weights(model, golden("layers.pth"), other, NULL, &error), GLIA_E_NOT_FOUND);
    ASSERT_SAYS("the file has no tensor of the model");
    glia_model_free(model);
    assert_null(glia_model_load(golden("layers.pth"), &error));
    ASSERT_SAYS("only its weights can be loaded");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_torch),
        cmocka_unit_test(test_all_that_differs_is_listed),
        cmocka_unit_test(test_new_head),
        cmocka_unit_test(test_names_of_timm),
        cmocka_unit_test(test_files_of_keras),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
