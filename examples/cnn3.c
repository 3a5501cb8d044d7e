/* cnn3.c - three convolutions of 32, 64 and 128 filters, each followed by pooling: a function that builds a model.
 *
 *     def create_cnn_model(input_shape, num_classes): ...
 *     def train_cnn_model(model, train_data, train_labels, epochs, batch_size): ...
 *
 * An image side of 28 shrinks to 26, 13, 11, 5, 3 and 1. --quick: 1,000 drawn digits and one epoch.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <string.h>

static glia_tensor conv_and_pool(glia_tensor x, const char *name, int filters) {
    x = glia_conv2d(x, name, (glia_conv_opts){ .filters = filters, .kernel = 3, .activation = GLIA_RELU });
    return glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
}

static glia_model *create_cnn_model(glia_shape input_shape, int num_classes, glia_error *error) {
    glia_model *model = glia_model_create("cnn3", error);
    glia_tensor x = glia_model_input(model, "image", GLIA_F32, input_shape);
    x = conv_and_pool(x, "conv1", 32);
    x = conv_and_pool(x, "conv2", 64);
    x = conv_and_pool(x, "conv3", 128);
    x = glia_dense(glia_flatten(x), "dense1", (glia_dense_opts){ .units = 128, .activation = GLIA_RELU });
    glia_model_output(model, "logits", glia_dense(x, "dense2", (glia_dense_opts){ .units = num_classes }));
    return model;
}

static glia_status report(const glia_progress *p, void *context, glia_error *error) {
    (void)context, (void)error;
    printf("epoch %d/%d  loss %.4f  accuracy %.4f\n", (int)p->epoch, (int)p->epochs, p->train.loss, p->train.accuracy);
    return GLIA_OK;
}

static glia_status train_cnn_model(glia_model *model, const glia_dataset *data, int epochs, int batch_size,
                                   glia_error *error) {
    glia_callback watch = { .epoch_end = report };
    glia_fit_opts opts = {
        .epochs = epochs, .batch = batch_size, .optimizer = { .kind = GLIA_ADAM }, .callbacks = &watch, .n_callbacks = 1
    };
    return glia_fit(model, data, opts, error);
}

int main(int argc, char **argv) {
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    glia_error error = { 0 };
    glia_dataset *data = glia_data_strokes(quick ? 1000 : 10000, 1, &error);
    glia_dataset *held_out = glia_data_strokes(1000, 2, &error);
    glia_model *model = create_cnn_model(GLIA_SHAPE(1, 28, 28), 10, &error);

    glia_scores scores = { 0 };
    glia_status status = data && held_out ? train_cnn_model(model, data, quick ? 1 : 3, 64, &error) : error.status;
    if (status == GLIA_OK) status = glia_evaluate(model, held_out, (glia_evaluate_opts){ 0 }, &scores, &error);
    if (status == GLIA_OK)
        printf("test accuracy %.4f\n", scores.accuracy);
    else
        fprintf(stderr, "cnn3: %s\n", error.message);
    glia_model_free(model);
    glia_data_free(data);
    glia_data_free(held_out);
    return status != GLIA_OK;
}
