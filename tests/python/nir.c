/* nir.c - spiking nets as NIR files, with inputs and what the nets answer; check_nir.py reads and simulates them.
 *
 *     nir FOLDER        writes NAME.nir, NAME.x and NAME.y (f32) for each net
 */
#include <stdio.h>
#include <stdlib.h>

#include "glia/glia.h"

enum { SAMPLES = 5, STEPS = 30, MOST = 1000 };

static glia_error error;

static void check(bool ok) {
    if (ok) return;
    fprintf(stderr, "nir: %s\n", error.message);
    exit(1);
}

static void save(const char *folder, const char *name, const void *bytes, int64_t n) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, sizeof(float), (size_t)n, file) != (size_t)n || fclose(file)) exit(1);
}

/* `steps`: the input has a step axis. */
static void write_net(const char *folder, const char *name, bool steps, glia_spiking_opts hidden,
                      glia_spiking_opts output, bool bias) {
    static float x[SAMPLES * STEPS * MOST], y[SAMPLES * MOST];
    const glia_shape sample = steps ? GLIA_SHAPE(STEPS, 12) : GLIA_SHAPE(2, 2, 3);
    glia_model *model = glia_model_create(name, &error);
    glia_tensor in = glia_model_input(model, "x", GLIA_F32, sample);
    const glia_dense_opts first = { .units = 8, .no_bias = !bias }, last = { .units = 3, .no_bias = !bias };
    hidden.steps = steps ? 0 : STEPS;
    glia_tensor h = glia_spiking_dense(steps ? in : glia_flatten(in), "first/dense", first, hidden);
    h = glia_spiking_dense(h, "last", last, output);
    h = output.silent ? glia_mean(h, GLIA_SHAPE(1), false) : glia_sum(h, GLIA_SHAPE(1), false);
    glia_model_output(model, "y", h);
    check(glia_model_init(model, 3, &error) == GLIA_OK);
    const int64_t size = glia_shape_count(sample);
    for (int64_t i = 0; i < SAMPLES * size; i++) x[i] = steps ? (float)(i * 7 % 5 < 2) : (float)(i * 37 % 100) / 60;
    check(glia_predict(model, x, SAMPLES, y, NULL, &error) == GLIA_OK);
    char file[64], path[1024];
    snprintf(path, sizeof path, "%s/%s.nir", folder, name);
    check(glia_model_export_nir(model, path, 1e-3, &error) == GLIA_OK);
    snprintf(file, sizeof file, "%s.x", name);
    save(folder, file, x, SAMPLES * size);
    snprintf(file, sizeof file, "%s.y", name);
    save(folder, file, y, SAMPLES * 3);
    glia_model_free(model);
}

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: nir FOLDER\n"), 2;
    const glia_spiking_opts plain = { 0 }, silent = { .silent = true };
    write_net(argv[1], "subtract", false, plain, silent, true);
    write_net(argv[1], "zero", true, (glia_spiking_opts){ .beta = 0.8, .to_zero = true, .threshold = 0.7 },
              (glia_spiking_opts){ .beta = 0.95, .threshold = 0.5 }, false);
    write_net(argv[1], "synapses", false, (glia_spiking_opts){ .alpha = 0.6 },
              (glia_spiking_opts){ .alpha = 0.7, .silent = true }, true);
    write_net(argv[1], "integrate", true, (glia_spiking_opts){ .beta = 1 }, (glia_spiking_opts){ .beta = 1 }, true);
    return 0;
}
