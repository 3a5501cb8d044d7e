/* lstm.c - the usual introductory recurrent net, in C:
 *
 *     model = Sequential()
 *     model.add(LSTM(128, input_shape=(sequence_length, num_features), return_sequences=True))
 *     model.add(LSTM(128, return_sequences=False))
 *     model.add(Dense(num_classes, activation='softmax'))
 *     model.compile(optimizer='adam', loss='categorical_crossentropy', metrics=['accuracy'])
 *     model.fit(x_train, y_train, epochs=10, batch_size=64, validation_data=(x_test, y_test))
 *
 *     lstm [--quick] [--epochs N]
 *
 * The sequences are images of digits, 28 rows of 28 numbers, read from top to bottom: MNIST, or digits drawn by the
 * library. --quick: fewer units, drawn digits. Exit status 1 if the accuracy is too low.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static glia_model *build(int units, glia_error *error) {
    glia_model *model = glia_model_create("lstm", error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    x = glia_reshape(x, GLIA_SHAPE(GLIA_BATCH, 28, 28));
    x = glia_lstm(x, "lstm1", (glia_recurrent_opts){ .units = units, .forget_bias = 1 });
    x = glia_lstm(x, "lstm2", (glia_recurrent_opts){ .units = units, .forget_bias = 1, .last_only = true });
    x = glia_dense(x, "classes", (glia_dense_opts){ .units = 10, .activation = GLIA_SOFTMAX });
    glia_model_output(model, "probabilities", x);
    return model;
}

static glia_status tell(const glia_progress *p, void *context, glia_error *error) {
    (void)context, (void)error;
    printf("Epoch %lld/%lld  loss %.4f  accuracy %.4f  val_accuracy %.4f\n", (long long)p->epoch, (long long)p->epochs,
           p->train.loss, p->train.accuracy, p->validation.accuracy);
    fflush(stdout);
    return GLIA_OK;
}

int main(int argc, char **argv) {
    bool quick = false;
    int64_t epochs = 10;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) quick = true, epochs = 3;
        if (strcmp(argv[i], "--epochs") == 0 && i + 1 < argc) epochs = atoll(argv[i + 1]);
    }
    glia_error error = { 0 };
    const char *data = quick ? "strokes?n=3000" : glia_data_available("mnist", NULL) ? "mnist" : "strokes";
    glia_dataset *train = glia_data_open(data, "train", NULL, &error);
    glia_dataset *test = train ? glia_data_open(data, "test", NULL, &error) : NULL;
    glia_model *model = test ? build(quick ? 48 : 128, &error) : NULL;
    const glia_callback told = { .name = "tell", .epoch_end = tell };
    const glia_fit_opts how = { .epochs = epochs,
                                .batch = quick ? 32 : 64,
                                .optimizer = { .kind = GLIA_ADAM, .lr = quick ? 0.004 : 0.001 },
                                .validation = test,
                                .callbacks = &told,
                                .n_callbacks = 1,
                                .seed = 1 };
    glia_scores scores = { 0 };
    glia_status status = model ? glia_fit(model, train, how, &error) : GLIA_E_NOMEM;
    if (status == GLIA_OK) status = glia_evaluate(model, test, (glia_evaluate_opts){ 0 }, &scores, &error);
    if (status != GLIA_OK)
        fprintf(stderr, "lstm: %s\n", error.message);
    else
        printf("test accuracy on %lld images: %.2f %%\n", (long long)scores.samples, 100 * scores.accuracy);
    glia_model_free(model);
    glia_data_free(test);
    glia_data_free(train);
    return status != GLIA_OK || scores.accuracy < 0.8;
}
