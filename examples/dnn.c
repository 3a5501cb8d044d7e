/* dnn.c - a small net for tabular data: ten columns, three classes, 64 and 32 hidden units.
 *
 *     model.add(Dense(64, activation='relu', input_shape=(10,)))
 *     model.add(Dense(32, activation='relu'))
 *     model.add(Dense(3, activation='softmax'))
 *     model.compile(optimizer='adam', loss='categorical_crossentropy', metrics=['accuracy'])
 *     model.fit(X_train, y_train, epochs=10)
 *
 * The 100 samples and their classes are random, so the net can only memorise them. --quick: two epochs.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 100, INPUTS = 10, CLASSES = 3 };

static glia_status report(const glia_progress *p, void *context, glia_error *error) {
    (void)context, (void)error;
    printf("epoch %2d/%d  loss %.4f  accuracy %.4f\n", (int)p->epoch, (int)p->epochs, p->train.loss, p->train.accuracy);
    return GLIA_OK;
}

int main(int argc, char **argv) {
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    static float x_train[SAMPLES][INPUTS];
    static int32_t y_train[SAMPLES];
    srand(1);
    for (int i = 0; i < SAMPLES; i++) {
        for (int j = 0; j < INPUTS; j++) x_train[i][j] = (float)rand() / (float)RAND_MAX;
        y_train[i] = rand() % CLASSES;
    }

    glia_error error = { 0 };
    glia_dataset *data = glia_data_arrays((glia_arrays){ .n = SAMPLES,
                                                         .x = x_train,
                                                         .x_shape = GLIA_SHAPE(INPUTS),
                                                         .y = y_train,
                                                         .y_dtype = GLIA_I32,
                                                         .classes = CLASSES },
                                          &error);
    glia_model *model = glia_model_create("dnn", &error);
    glia_tensor x = glia_model_input(model, "row", GLIA_F32, GLIA_SHAPE(INPUTS));
    x = glia_dense(x, "dense1", (glia_dense_opts){ .units = 64, .activation = GLIA_RELU });
    x = glia_dense(x, "dense2", (glia_dense_opts){ .units = 32, .activation = GLIA_RELU });
    x = glia_dense(x, "dense3", (glia_dense_opts){ .units = CLASSES });
    glia_model_output(model, "logits", x);

    glia_callback watch = { .epoch_end = report };
    glia_fit_opts opts = {
        .epochs = quick ? 2 : 10, .optimizer = { .kind = GLIA_ADAM }, .callbacks = &watch, .n_callbacks = 1
    };
    glia_status status = data ? glia_fit(model, data, opts, &error) : error.status;
    if (status != GLIA_OK) fprintf(stderr, "dnn: %s\n", error.message);
    glia_model_free(model);
    glia_data_free(data);
    return status != GLIA_OK;
}
