/* roundtrip.c - the C part of roundtrip.py, which exchanges model files with Python's safetensors.
 *
 *     roundtrip write FILE     saves a small model whose values are (10 p + i) / 8 for element i of parameter p
 *     roundtrip read FILE      loads the weights of a file written by Python, which must be the negatives of those
 */
#include <stdio.h>
#include <string.h>

#include "glia/glia.h"

static const char *const names[] = { "conv/kernel", "conv/bias",    "norm/scale",
                                     "norm/shift",  "dense/kernel", "dense/bias" };
enum { PARAMETERS = sizeof names / sizeof names[0] };

static glia_model *make_model(glia_error *error) {
    glia_model *model = glia_model_create("roundtrip", error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2, 5, 5));
    x = glia_conv2d(x, "conv", (glia_conv_opts){ .filters = 3, .kernel = 3, .activation = GLIA_RELU });
    x = glia_batch_norm(x, "norm", (glia_norm_opts){ 0 });
    glia_model_output(model, "y", glia_dense(glia_flatten(x), "dense", (glia_dense_opts){ .units = 4 }));
    return glia_model_init(model, 1, error) == GLIA_OK ? model : NULL;
}

/* Sets every parameter to sign * (10 p + i) / 8, or (compare) counts the elements that differ from it. */
static int walk(glia_model *model, float sign, bool compare) {
    int wrong = 0;
    for (int p = 0; p < PARAMETERS; p++) {
        glia_array array;
        if (!glia_store_find(glia_model_store(model), names[p], &array)) return -1;
        float *values = array.data;
        for (int64_t i = 0; i < glia_shape_count(array.shape); i++) {
            float value = sign * (float)(10 * p + i) / 8;
            if (!compare) values[i] = value;
            else wrong += values[i] != value;
        }
    }
    return wrong;
}

int main(int argc, char **argv) {
    if (argc != 3 || (strcmp(argv[1], "write") != 0 && strcmp(argv[1], "read") != 0)) {
        fprintf(stderr, "usage: roundtrip write|read FILE\n");
        return 2;
    }
    glia_error error = { 0 };
    glia_model *model = make_model(&error);
    int loaded = 0, wrong = 0;
    if (model && strcmp(argv[1], "write") == 0) {
        if (walk(model, 1, false) == 0) glia_model_save(model, argv[2], &error);
    } else if (model && glia_model_load_weights(model, argv[2], &loaded, &error) == GLIA_OK) {
        wrong = walk(model, -1, true);
        if (wrong || loaded != PARAMETERS) fprintf(stderr, "roundtrip: %d loaded, %d elements differ\n", loaded, wrong);
    }
    if (error.status != GLIA_OK) fprintf(stderr, "roundtrip: %s\n", error.message);
    bool good = model && error.status == GLIA_OK && wrong == 0 && (argv[1][0] == 'w' || loaded == PARAMETERS);
    glia_model_free(model);
    return good ? 0 : 1;
}
