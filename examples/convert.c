/* convert.c - a trained net with relu as a spiking net (Diehl et al. 2015, Rueckauer et al. 2017): the same weights, a
 * threshold for each layer, and rates of spikes in the place of activations.
 *
 *     convert [MODEL.safetensors [SAMPLES]]     of `glia train lenet5 --normalize none`; without: a small net of digits
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLASSES = 10 };

/* Two convolutions and two dense layers, trained for two epochs on drawn digits. */
static glia_model *train_small(const glia_dataset *data, glia_error *error) {
    glia_model *model = glia_model_create("small", error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    x = glia_conv2d(x, "c1", (glia_conv_opts){ .filters = 6, .kernel = 5, .activation = GLIA_RELU });
    x = glia_flatten(glia_max_pool2d(x, (glia_pool_opts){ .size = 2 }));
    x = glia_dense(x, "d1", (glia_dense_opts){ .units = 32, .activation = GLIA_RELU });
    glia_model_output(model, "logits", glia_dense(x, "d2", (glia_dense_opts){ .units = CLASSES }));
    const glia_fit_opts how = { .epochs = 2, .batch = 32, .optimizer = { .kind = GLIA_ADAM, .lr = 2e-3 } };
    return glia_fit(model, data, how, error) == GLIA_OK ? model : (glia_model_free(model), NULL);
}

static double accuracy(const float *logits, const int32_t *labels, int64_t n) {
    int64_t right = 0;
    for (int64_t i = 0; i < n; i++) {
        int best = 0;
        for (int c = 1; c < CLASSES; c++) best = logits[i * CLASSES + c] > logits[i * CLASSES + best] ? c : best;
        right += best == labels[i];
    }
    return 100 * (double)right / (double)n;
}

int main(int argc, char **argv) {
    const bool given = argc > 1 && argv[1][0] != '-';
    glia_error error = { 0 };
    glia_dataset *train = glia_data_open(given ? "mnist" : "strokes?n=1000", "train", NULL, &error);
    glia_dataset *test = glia_data_open(given ? "mnist" : "strokes?n=1000", "test", NULL, &error);
    glia_model *model = given ? glia_model_load(argv[1], &error) : train ? train_small(train, &error) : NULL;
    glia_converted *spiking =
        test && model ? glia_convert_to_spiking(model, train, (glia_convert_opts){ 0 }, &error) : NULL;
    if (!spiking) return fprintf(stderr, "convert: %s\n", error.message), 1;
    int64_t n = argc > 2 ? atoll(argv[2]) : glia_data_count(test), spikes = 0;
    n = n < glia_data_count(test) ? n : glia_data_count(test);
    float *x = malloc((size_t)n * 784 * sizeof *x), *y = malloc((size_t)n * CLASSES * sizeof *y);
    int32_t *labels = malloc((size_t)n * sizeof *labels);
    if (!x || !y || !labels) return 1;
    for (int64_t i = 0; i < n; i++) {
        if (glia_data_get(test, i, x + i * 784, labels + i, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    }
    if (glia_predict(model, x, n, y, NULL, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    printf("ordinary net: %.2f %% of %lld test digits right\n", accuracy(y, labels, n), (long long)n);
    for (int64_t steps = 8; steps <= (given ? 64 : 32); steps *= 2) {
        if (glia_converted_run(spiking, x, n, steps, y, &spikes, &error))
            return fprintf(stderr, "%s\n", error.message), 1;
        printf("T = %3lld: %.2f %%, %.0f spikes a digit\n", (long long)steps, accuracy(y, labels, n),
               (double)spikes / (double)n);
    }
    free(x), free(y), free(labels);
    glia_converted_free(spiking), glia_model_free(model), glia_data_free(train), glia_data_free(test);
    return 0;
}
