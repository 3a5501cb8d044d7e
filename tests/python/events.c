/* events.c - writes an event file with an event of every kind; check_events.py reads it with TensorBoard's reader.
 *
 *     events FOLDER
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "glia/glia.h"

/* 3 x 2 pixels: the colours of pixel i are 40 i, 40 i + 10, 40 i + 20. */
static const unsigned char picture[] = {
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48, 0x44, 0x52, 0x00,
    0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x02, 0x08, 0x02, 0x00, 0x00, 0x00, 0x12, 0x16, 0xF1, 0x4D, 0x00,
    0x00, 0x00, 0x1C, 0x49, 0x44, 0x41, 0x54, 0x78, 0xDA, 0x63, 0x60, 0xE0, 0x12, 0xD1, 0x30, 0xB2, 0x09,
    0x88, 0x4A, 0x61, 0xA8, 0x68, 0xEA, 0x59, 0xB0, 0x6A, 0xCB, 0x89, 0x4B, 0x77, 0x00, 0x32, 0x3C, 0x07,
    0xBD, 0xA0, 0xA2, 0x89, 0x9C, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
};

static glia_model *small_model(glia_error *error) {
    glia_model *model = glia_model_create("small", error);
    glia_tensor x = glia_model_input(model, "image", GLIA_F32, GLIA_SHAPE(1, 8, 8));
    glia_conv_opts conv = { .filters = 4, .kernel = 3, .activation = GLIA_RELU };
    x = glia_conv2d(x, "features/conv", conv);
    x = glia_batch_norm(x, "features/norm", (glia_norm_opts){ 0 });
    x = glia_dense(glia_flatten(x), "fc", (glia_dense_opts){ .units = 3, .activation = GLIA_SOFTMAX });
    glia_model_output(model, "y", x);
    return model;
}

int main(int argc, char **argv) {
    glia_error error = { 0 };
    glia_events *e = argc == 2 ? glia_events_open(argv[1], &error) : NULL;
    glia_model *model = small_model(&error);
    bool ok = e && glia_events_graph(e, glia_model_graph(model), &error) == GLIA_OK;
    const glia_hparam asked[] = { { "optimizer", "adam", 0 }, { "lr", NULL, 0.125 } };
    ok = ok && glia_events_hparams(e, asked, 2, &error) == GLIA_OK;
    for (int step = 0; ok && step < 1000; step++) {
        ok = glia_events_scalar(e, "loss/train", step, 1.0 / (1 + step), &error) == GLIA_OK;
    }
    ok = ok && glia_events_scalar(e, "loss/validation", INT64_C(5000000000), NAN, &error) == GLIA_OK;
    float values[1001];
    for (int i = 0; i < 1000; i++) values[i] = (float)i / 8;
    values[1000] = NAN;
    ok = ok && glia_events_histogram(e, "fc/kernel", 7, values, 1001, &error) == GLIA_OK;
    ok = ok && glia_events_histogram(e, "fc/bias", 7, values, 1, &error) == GLIA_OK;
    ok = ok && glia_events_image(e, "mistakes/1", 3, picture, sizeof picture, &error) == GLIA_OK;
    ok = ok && glia_events_text(e, "settings", 0, "a *text* with \xC3\xA9", &error) == GLIA_OK;
    ok = ok && glia_events_close(e, &error) == GLIA_OK;
    glia_model_free(model);
    if (!ok) fprintf(stderr, "events: %s\n", error.message);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
