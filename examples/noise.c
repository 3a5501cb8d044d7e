/* noise.c - what lost and moved spikes do to a spiking net, beside its twin that does not spike.
 *
 *     noise [--quick] [--plot FILE.svg]
 *
 * Digits are coded in spikes of 25 steps, by rate (a spike with probability x in each step) or by latency (one spike a
 * pixel, the earlier the brighter). A net of 784-1000-10 spiking units, as in the model snn-mlp, sees the spikes; its
 * twin, 784-1000-10 units of which the hidden ones are relus, sees the values that the code's decoder reads from the
 * same spikes. Both learn for as many epochs, without noise. Then spikes of the test digits are lost at random, or
 * moved by normal deviates of some steps (to the first or last step at most; spikes that meet add up).
 */
#include <glia/glia.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 25, PIXELS = 784, HIDDEN = 1000, CLASSES = 10, BATCH = 250, LOSSES = 6, JITTERS = 4, CURVES = 4 };

static const double losses[LOSSES] = { 0, 0.1, 0.25, 0.5, 0.75, 0.9 }, jitters[JITTERS] = { 1, 2, 4, 8 };

static void check(bool ok, const glia_error *error) {
    if (ok) return;
    fprintf(stderr, "noise: %s\n", error->message);
    exit(1);
}

/* ---- nets ----------------------------------------------------------------------------------------- */

/* What the decoder of a code reads from spikes (N, T, pixels). */
static glia_tensor decoded(glia_tensor spikes, glia_code_kind code) {
    if (code != GLIA_CODE_LATENCY) return glia_mean(spikes, GLIA_SHAPE(1), false);
    double values[STEPS];
    for (int t = 0; t < STEPS; t++) values[t] = 1 - t / (STEPS - 1.0);
    glia_tensor value = glia_constant(glia_tensor_graph(spikes), GLIA_F32, GLIA_SHAPE(1, STEPS, 1), values);
    return glia_sum(glia_mul(spikes, glia_broadcast(value, glia_tensor_shape(spikes))), GLIA_SHAPE(1), false);
}

typedef struct net {
    glia_model *model;
    glia_backend *backend;
    glia_function *of_spikes; /* spikes (N, T, pixels) -> logits */
} net;

static net train(glia_code_kind code, bool spiking, const glia_dataset *data, int epochs) {
    glia_error error = { 0 };
    net n = { .model = glia_model_create("noise", &error) };
    check(n.model, &error);
    glia_graph *g = glia_model_graph(n.model);
    glia_tensor x = glia_flatten(glia_model_input(n.model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28))), logits;
    glia_tensor spikes = (code == GLIA_CODE_LATENCY ? glia_spikes_by_latency : glia_spikes_by_rate)(x, STEPS);
    const glia_dense_opts hidden = { .units = HIDDEN, .activation = GLIA_RELU }, output = { .units = CLASSES };
    if (spiking) {
        const glia_spiking_opts cells = { .beta = 0.9 }, silent = { .beta = 0.9, .silent = true };
        glia_tensor fired = glia_spiking_dense(spikes, "hidden", (glia_dense_opts){ .units = HIDDEN }, cells);
        logits = glia_mean(glia_spiking_dense(fired, "output", output, silent), GLIA_SHAPE(1), false);
    } else {
        logits = glia_dense(glia_dense(decoded(spikes, code), "hidden", hidden), "output", output);
    }
    glia_model_output(n.model, "logits", logits);
    const glia_fit_opts how = { .epochs = epochs, .batch = 128, .optimizer = { .kind = GLIA_ADAM, .lr = 1e-3 } };
    check(glia_fit(n.model, data, how, &error) == GLIA_OK, &error);
    glia_tensor given = glia_input(g, "spikes", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, STEPS, PIXELS)), noisy;
    glia_substitute(&logits, 1, &spikes, &given, 1, &noisy);
    n.backend = glia_backend_open("cpu", 0, &error);
    check(n.backend, &error);
    const glia_function_opts opts = { .outputs = &noisy, .n_outputs = 1, .mode = GLIA_INFER };
    n.of_spikes = glia_function_create(g, n.backend, glia_model_store(n.model), opts, &error);
    check(n.of_spikes, &error);
    return n;
}

static void free_net(net n) {
    glia_function_free(n.of_spikes);
    glia_backend_close(n.backend);
    glia_model_free(n.model);
}

static int64_t right_of(const net *n, float *spikes, const int32_t *labels, int64_t count) {
    glia_error error = { 0 };
    const glia_array given = { .name = "spikes", .shape = GLIA_SHAPE(count, STEPS, PIXELS), .data = spikes };
    glia_array logits;
    check(glia_function_call(n->of_spikes, &given, 1, &logits, &error) == GLIA_OK, &error);
    int64_t right = 0;
    for (int64_t i = 0; i < count; i++) {
        const float *y = (const float *)logits.data + i * CLASSES;
        int best = 0;
        for (int c = 1; c < CLASSES; c++) best = y[c] > y[best] ? c : best;
        right += best == labels[i];
    }
    return right;
}

/* ---- noise ---------------------------------------------------------------------------------------- */

static double uniform(uint64_t *state) { /* xorshift64* (Vigna 2016) */
    *state ^= *state >> 12, *state ^= *state << 25, *state ^= *state >> 27;
    return (double)(*state * 2685821657736338717u >> 11) / 9007199254740992.0;
}

static double normal(uint64_t *state) {
    const double radius = sqrt(-2 * log(1 - uniform(state)));
    return radius * cos(6.283185307179586 * uniform(state));
}

/* The spikes of a digit, coded (pixels, T), as (T, pixels) with what is lost and moved. */
static void disturb(const int8_t *coded, double loss, double jitter, float *spikes, uint64_t *random) {
    memset(spikes, 0, sizeof *spikes * STEPS * PIXELS);
    for (int i = 0; i < PIXELS * STEPS; i++) {
        if (!coded[i] || (loss > 0 && uniform(random) < loss)) continue;
        const double at = i % STEPS + (jitter > 0 ? round(jitter * normal(random)) : 0);
        spikes[(int)fmin(fmax(at, 0), STEPS - 1) * PIXELS + i / STEPS] += 1;
    }
}

/* Accuracy of both nets, in percent, on the same spikes. */
static void measure(const net nets[2], glia_code_kind kind, const glia_dataset *data, double loss, double jitter,
                    double accuracy[2]) {
    static float spikes[BATCH * STEPS * PIXELS];
    static int8_t coded[PIXELS * STEPS];
    const int64_t n = glia_data_count(data);
    uint64_t random = 20240229;
    accuracy[0] = accuracy[1] = 0;
    for (int64_t from = 0; from < n; from += BATCH) {
        const int64_t count = n - from < BATCH ? n - from : BATCH;
        int32_t labels[BATCH];
        for (int64_t i = 0; i < count; i++) {
            float pixels[PIXELS];
            double x[PIXELS];
            glia_error error = { 0 };
            const glia_code code = { .kind = kind, .steps = STEPS, .seed = (uint64_t)(from + i) };
            check(glia_data_get(data, from + i, pixels, &labels[i], &error) == GLIA_OK, &error);
            for (int k = 0; k < PIXELS; k++) x[k] = (double)pixels[k];
            check(glia_encode(&code, x, PIXELS, coded, &error) == GLIA_OK, &error);
            disturb(coded, loss, jitter, spikes + i * STEPS * PIXELS, &random);
        }
        for (int k = 0; k < 2; k++)
            accuracy[k] += 100.0 * (double)right_of(&nets[k], spikes, labels, count) / (double)n;
    }
}

/* ---- drawing -------------------------------------------------------------------------------------- */

/* results[curve][level]: rate spiking, rate twin, latency spiking, latency twin; the losses, then the jitters. */
static void plot(const char *path, double results[CURVES][LOSSES + JITTERS]) {
    static const char *const names[CURVES] = { "rate, spiking", "rate, twin", "latency, spiking", "latency, twin" };
    static const char *const colours[CURVES] = { "#c33", "#e99", "#33c", "#99e" };
    FILE *f = fopen(path, "w");
    if (!f) exit((fprintf(stderr, "noise: cannot write %s\n", path), 1));
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 820 300\" font-family=\"sans-serif\" "
               "font-size=\"13\">\n<rect width=\"820\" height=\"300\" fill=\"#fff\"/>\n");
    for (int panel = 0; panel < 2; panel++) {
        const int left = 50 + 340 * panel, first = panel ? LOSSES : 0, n = panel ? JITTERS : LOSSES;
        const double *levels = panel ? jitters : losses, most = panel ? 8 : 1;
        for (int y = 0; y <= 100; y += 25)
            fprintf(f,
                    "<path d=\"M%d %dh300\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%d\" text-anchor=\"end\">"
                    "%d</text>\n",
                    left, 250 - 2 * y, left - 6, 254 - 2 * y, y);
        for (int i = 0; i < n; i++)
            fprintf(f, "<text x=\"%.0f\" y=\"268\" text-anchor=\"middle\">%g</text>\n", left + 300 * levels[i] / most,
                    levels[i]);
        fprintf(f,
                "<text transform=\"translate(%d 150) rotate(-90)\" text-anchor=\"middle\">test accuracy, %%</text>\n",
                left - 36);
        fprintf(f, "<text x=\"%d\" y=\"290\" text-anchor=\"middle\">%s</text>\n", left + 150,
                panel ? "deviation of a spike's time, steps" : "part of the spikes lost");
        for (int c = 0; c < CURVES; c++) {
            fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colours[c]);
            if (panel) fprintf(f, "%d,%.1f ", left, 250 - 2 * results[c][0]); /* nothing moved */
            for (int i = 0; i < n; i++)
                fprintf(f, "%.1f,%.1f ", left + 300 * levels[i] / most, 250 - 2 * results[c][first + i]);
            fprintf(f, "\"/>\n");
        }
    }
    for (int c = 0; c < CURVES; c++)
        fprintf(f, "<text x=\"705\" y=\"%d\" fill=\"%s\">%s</text>\n", 70 + 20 * c, colours[c], names[c]);
    fprintf(f, "</svg>\n");
    fclose(f);
}

/* ---- main ----------------------------------------------------------------------------------------- */

int main(int argc, char **argv) {
    bool quick = false;
    const char *picture = NULL;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--quick"))
            quick = true;
        else if (!strcmp(argv[i], "--plot") && i + 1 < argc)
            picture = argv[++i];
        else
            return fprintf(stderr, "usage: noise [--quick] [--plot FILE.svg]\n"), 2;
    }
    const bool mnist = !quick && glia_data_available("mnist", NULL);
    if (!mnist && !quick) return printf("noise needs mnist in $GLIA_DATA; --quick: drawn digits\n"), 1;
    glia_error error = { 0 };
    glia_dataset *data = glia_data_open(mnist ? "mnist" : "strokes?n=500", "train", NULL, &error);
    glia_dataset *test = glia_data_open(mnist ? "mnist" : "strokes?n=500", "test", NULL, &error);
    check(data && test, &error);
    double results[CURVES][LOSSES + JITTERS];
    printf("code      noise            spiking    twin\n");
    for (int k = 0; k < 2; k++) {
        const glia_code_kind kind = k ? GLIA_CODE_LATENCY : GLIA_CODE_BERNOULLI;
        const net nets[2] = { train(kind, true, data, mnist ? 3 : 1), train(kind, false, data, mnist ? 3 : 1) };
        for (int i = 0; i < LOSSES + JITTERS; i++) {
            const bool moves = i >= LOSSES;
            const double level = moves ? jitters[i - LOSSES] : losses[i];
            double accuracy[2];
            measure(nets, kind, test, moves ? 0 : level, moves ? level : 0, accuracy);
            char noise[32];
            snprintf(noise, sizeof noise, moves ? "moved by %.0f steps" : "%.0f %% lost", moves ? level : 100 * level);
            printf("%-8s  %-16s  %6.2f  %6.2f\n", k ? "latency" : "rate", noise, accuracy[0], accuracy[1]);
            for (int c = 0; c < 2; c++) results[2 * k + c][i] = accuracy[c];
        }
        for (int c = 0; c < 2; c++) free_net(nets[c]);
    }
    if (picture) plot(picture, results);
    glia_data_free(data), glia_data_free(test);
    return 0;
}
