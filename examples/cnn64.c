/* cnn64.c - a convnet for 64x64 colour images with 6.9 million parameters.
 *
 *     model.add(Conv2D(32, (3, 3), activation='relu', input_shape=(64, 64, 3)))
 *     model.add(MaxPooling2D((2, 2)))
 *     model.add(Conv2D(64, (3, 3), activation='relu'))
 *     model.add(Flatten())
 *     model.add(Dense(128, activation='relu'))
 *     model.add(Dense(num_classes, activation='softmax'))
 *     model.fit(X_train, y_train, epochs=10)          # 100 random pictures
 *
 * Here the images are coloured noise, slightly redder, greener or bluer by class, so that there is something to learn.
 * --quick: one epoch.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 100, SIDE = 64, CLASSES = 3 };

static glia_status report(const glia_progress *p, void *context, glia_error *error) {
    (void)context, (void)error;
    printf("epoch %2d/%d  %5.2f s  loss %.4f  accuracy %.4f\n", (int)p->epoch, (int)p->epochs, p->train.seconds,
           p->train.loss, p->train.accuracy);
    return GLIA_OK;
}

int main(int argc, char **argv) {
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    static uint8_t pictures[SAMPLES][3][SIDE * SIDE]; /* channels first; bytes are scaled to [0, 1] */
    static int32_t labels[SAMPLES];
    srand(1);
    for (int i = 0; i < SAMPLES; i++) {
        labels[i] = rand() % CLASSES;
        for (int c = 0; c < 3; c++)
            for (int k = 0; k < SIDE * SIDE; k++)
                pictures[i][c][k] = (uint8_t)(rand() % 200 + (c == labels[i] ? 20 : 0));
    }

    glia_error error = { 0 };
    glia_dataset *data = glia_data_arrays((glia_arrays){ .n = SAMPLES,
                                                         .x = pictures,
                                                         .x_dtype = GLIA_U8,
                                                         .borrow = true,
                                                         .x_shape = GLIA_SHAPE(3, SIDE, SIDE),
                                                         .y = labels,
                                                         .y_dtype = GLIA_I32,
                                                         .classes = CLASSES },
                                          &error);
    glia_model *model = glia_model_create("cnn64", &error);
    glia_tensor x = glia_model_input(model, "image", GLIA_F32, GLIA_SHAPE(3, SIDE, SIDE));
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 32, .kernel = 3, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 64, .kernel = 3, .activation = GLIA_RELU });
    x = glia_dense(glia_flatten(x), "dense1", (glia_dense_opts){ .units = 128, .activation = GLIA_RELU });
    x = glia_dense(x, "dense2", (glia_dense_opts){ .units = CLASSES });
    glia_model_output(model, "logits", x);

    glia_callback watch = { .epoch_end = report };
    glia_fit_opts opts = {
        .epochs = quick ? 1 : 10, .optimizer = { .kind = GLIA_ADAM }, .callbacks = &watch, .n_callbacks = 1
    };
    glia_status status = data ? glia_fit(model, data, opts, &error) : error.status;
    if (status != GLIA_OK) fprintf(stderr, "cnn64: %s\n", error.message);
    glia_model_free(model);
    glia_data_free(data);
    return status != GLIA_OK;
}
