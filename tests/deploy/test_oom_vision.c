/* Fails each allocation in turn: weights of others. */
#include "oom.h"

/* Loads the values of a file into layers that it fits. */
static glia_status load_weights(glia_error *error) {
    glia_model *model = glia_model_create("layers", error);
    if (!model) return error->status;
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2, 3, 3));
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 3, .kernel = 3 });
    x = glia_batch_norm(x, "bn1", (glia_norm_opts){ 0 });
    glia_model_output(model, "y", glia_dense(glia_flatten(x), "fc", (glia_dense_opts){ .units = 3 }));
    static const char *const files[] = { "wrapped.th", "layers.pth", "layers.safetensors" };
    glia_status status = GLIA_OK;
    for (int i = 0; i < 3 && status == GLIA_OK; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/torch/%s", GLIA_GOLDEN_DIR, files[i]);
        glia_weights_report report;
        const glia_weights_opts opts = { .new_head = true };
        status = glia_model_import_weights(model, path, opts, &report, error);
        free(report.list);
    }
    glia_model_free(model);
    return status;
}

/* The same from a .npz of Keras. */
static glia_status load_keras(glia_error *error) {
    glia_model *model = glia_model_create("net", error);
    if (!model) return error->status;
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(5));
    glia_model_output(model, "y", glia_dense(x, "f2", (glia_dense_opts){ .units = 4 }));
    const glia_weights_opts opts = { .prefix = "sequential/" };
    const glia_status status =
        glia_model_import_weights(model, GLIA_GOLDEN_DIR "/keras/named.npz", opts, NULL, error);
    glia_model_free(model);
    return status;
}

static void test_load_keras(void **state) {
    (void)state;
    every_allocation(load_keras, "load weights of Keras");
}

static void test_load_weights(void **state) {
    (void)state;
    every_allocation(load_weights, "load weights");
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_load_weights), cmocka_unit_test(test_load_keras) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
