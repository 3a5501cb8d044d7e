/* forty_lines.c - a convolution net that reads digits: everything from data to a saved model. */
#include <glia/glia.h>
#include <stdio.h>

static glia_status watch(const glia_progress *p, void *context, glia_error *error) {
    (void)context, (void)error;
    printf("epoch %d: loss %.4f, %.2f %% of the validation right\n", (int)p->epoch, p->train.loss,
           100 * p->validation.accuracy);
    return GLIA_OK; /* GLIA_E_INTERRUPTED would stop here */
}

int main(void) {
    glia_error error = { 0 };
    glia_dataset *train = glia_data_open("strokes", "train", NULL, &error); /* or "mnist" */
    glia_dataset *test = glia_data_open("strokes", "test", NULL, &error);
    glia_model *model = glia_model_create("digits", &error);

    glia_tensor x = glia_model_input(model, "image", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 16, .kernel = 3, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 32, .kernel = 3, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_dense(glia_flatten(x), "logits", (glia_dense_opts){ .units = 10 });
    glia_model_output(model, "logits", x);

    glia_fit_opts how = { .epochs = 3, .batch = 64, .optimizer = { .kind = GLIA_ADAM }, .validation = test };
    how.callbacks = &(glia_callback){ .epoch_end = watch };
    how.n_callbacks = 1;
    glia_status status = error.status;
    if (status == GLIA_OK) status = glia_fit(model, train, how, &error);
    if (status == GLIA_OK) status = glia_model_save(model, "digits.safetensors", &error);

    printf("%s\n", status == GLIA_OK ? "saved as digits.safetensors" : error.message);
    glia_model_free(model);
    glia_data_free(train);
    glia_data_free(test);
    return status != GLIA_OK;
}
