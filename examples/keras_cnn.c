/* keras_cnn.c - the convnet of many Keras tutorials, line by line in C.
 *
 *     model.add(Conv2D(32, (3, 3), activation='relu', input_shape=(28, 28, 1)))     # ... 64, 64, dense 64, dense 10
 *     model.compile(optimizer='adam', loss='sparse_categorical_crossentropy', metrics=['accuracy'])
 *     model.fit(x_train, y_train, epochs=10, batch_size=64, validation_data=(x_test, y_test))
 *
 * Uses MNIST if it is found (see `glia data`), else drawn digits. --quick: one epoch on 2,000 samples.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const glia_error *error) {
    fprintf(stderr, "keras_cnn: %s\n", error->message);
    exit(1);
}

static glia_status report(const glia_progress *p, void *context, glia_error *error) {
    (void)context, (void)error;
    printf("epoch %2d/%d  %5.1f s  loss %.4f  accuracy %.4f  val_loss %.4f  val_accuracy %.4f\n", (int)p->epoch,
           (int)p->epochs, p->train.seconds, p->train.loss, p->train.accuracy, p->validation.loss,
           p->validation.accuracy);
    return GLIA_OK;
}

int main(int argc, char **argv) {
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    glia_error error;
    const char *name = quick ? "strokes?n=2000" : glia_data_available("mnist", NULL) ? "mnist" : "strokes";
    glia_dataset *train = glia_data_open(name, "train", NULL, &error);
    if (!train) die(&error);
    glia_dataset *test = glia_data_open(name, "test", NULL, &error);
    if (!test) die(&error);

    glia_model *model = glia_model_create("keras-cnn", &error);
    if (!model) die(&error);
    glia_tensor x = glia_model_input(model, "image", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 32, .kernel = 3, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 64, .kernel = 3, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv3", (glia_conv_opts){ .filters = 64, .kernel = 3, .activation = GLIA_RELU });
    x = glia_flatten(x);
    x = glia_dense(x, "dense1", (glia_dense_opts){ .units = 64, .activation = GLIA_RELU });
    x = glia_dense(x, "dense2", (glia_dense_opts){ .units = 10 }); /* logits: the softmax is in the loss */
    glia_model_output(model, "logits", x);

    printf("keras-cnn on %s, %lld parameters\n", name, (long long)glia_model_parameter_count(model, false));
    glia_callback watch = { .epoch_end = report };
    glia_fit_opts opts = { .epochs = quick ? 1 : 10,
                           .batch = 64,
                           .loss = GLIA_CROSS_ENTROPY,
                           .optimizer = { .kind = GLIA_ADAM },
                           .validation = test,
                           .callbacks = &watch,
                           .n_callbacks = 1 };
    if (glia_fit(model, train, opts, &error) != GLIA_OK) die(&error);

    glia_model_free(model);
    glia_data_free(train);
    glia_data_free(test);
    return 0;
}
