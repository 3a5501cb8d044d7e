/* peer_kann.c - mlp-512 with kann (github.com/attractivechaos/kann) and OpenBLAS. A worker of bench.py, which compiles
 * it together with kann's sources if it finds them.
 *
 *     peer_kann FOLDER BATCH BATCHES THREADS       THREADS > 1: kann's threads; 1: OpenBLAS's (OPENBLAS_NUM_THREADS)
 *
 * Protocol, weights and data are those of worker.c. kann has no Adam: the first steps, whose losses are compared, apply
 * the Adam of this file to kann's gradients; the timed steps use kann's RMSprop, which moves less memory.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kann.h"
#include "worker.h"

enum { INPUTS = 784, HIDDEN = 512, CLASSES = 10, LAYERS = 3, FIRST_STEPS = 5 };

typedef struct net {
    kann_t *kann;
    int size; /* parameters */
    float *mean, *square;
    float *x, *truth; /* all batches; the truth one-hot */
    int batch, batches;
    long steps;
} net;

static void fail(const char *what) {
    fprintf(stderr, "peer_kann: %s\n", what);
    exit(1);
}

static void *read_file(const char *folder, const char *name, size_t bytes) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    void *values = malloc(bytes);
    if (!file || !values || fread(values, 1, bytes, file) != bytes) fail(path);
    fclose(file);
    return values;
}

static kann_t *build(const char *folder) {
    static const int sizes[LAYERS + 1] = { INPUTS, HIDDEN, HIDDEN, CLASSES };
    kad_node_t *leaves[2 * LAYERS], *t = kann_layer_input(INPUTS);
    size_t count = 0;
    for (int i = 0; i < LAYERS; i++) {
        kad_node_t *w = leaves[2 * i] = kann_new_weight(sizes[i + 1], sizes[i]);
        kad_node_t *b = leaves[2 * i + 1] = kann_new_bias(sizes[i + 1]);
        t = kad_add(kad_cmul(t, w), b);
        if (i < LAYERS - 1) t = kad_relu(t);
        count += (size_t)(kad_len(w) + kad_len(b));
    }
    kad_node_t *truth = kad_feed(2, 1, CLASSES);
    t = kad_softmax(t);
    t->ext_flag |= KANN_F_OUT;
    truth->ext_flag |= KANN_F_TRUTH;
    kann_t *kann = kann_new(kad_ce_multi(t, truth), 0);
    float *weights = read_file(folder, "weights.bin", count * sizeof *weights), *from = weights;
    for (int i = 0; i < 2 * LAYERS; i++) {
        memcpy(leaves[i]->x, from, (size_t)kad_len(leaves[i]) * sizeof *from);
        from += kad_len(leaves[i]);
    }
    free(weights);
    return kann;
}

static void read_data(net *n, const char *folder) {
    int samples = n->batch * n->batches;
    n->x = read_file(folder, "x.bin", (size_t)samples * INPUTS * sizeof *n->x);
    int *labels = read_file(folder, "labels.bin", (size_t)samples * sizeof *labels);
    n->truth = calloc((size_t)samples * CLASSES, sizeof *n->truth);
    if (!n->truth) fail("out of memory");
    for (int i = 0; i < samples; i++) n->truth[i * CLASSES + labels[i]] = 1;
    free(labels);
}

/* Computes the loss of the next batch; the gradients are in kann's buffer. */
static float next(net *n) {
    size_t b = (size_t)(n->steps++ % n->batches);
    float *x = n->x + b * (size_t)n->batch * INPUTS, *truth = n->truth + b * (size_t)n->batch * CLASSES;
    kann_feed_bind(n->kann, KANN_F_IN, 0, &x);
    kann_feed_bind(n->kann, KANN_F_TRUTH, 0, &truth);
    return kann_cost(n->kann, 0, 1);
}

static void adam(net *n, int step) {
    double rate = 0.001 * sqrt(1 - pow(0.999, step)) / (1 - pow(0.9, step));
    double epsilon = 1e-8 * sqrt(1 - pow(0.999, step));
    for (int i = 0; i < n->size; i++) {
        double g = (double)n->kann->g[i];
        n->mean[i] = (float)(0.9 * (double)n->mean[i] + 0.1 * g);
        n->square[i] = (float)(0.999 * (double)n->square[i] + 0.001 * g * g);
        n->kann->x[i] -= (float)(rate * (double)n->mean[i] / (sqrt((double)n->square[i]) + epsilon));
    }
}

static void step(net *n) {
    next(n);
    kann_RMSprop(n->size, 0.0001f, 0, 0.9f, n->kann->g, n->kann->x, n->square);
}

static void run_block(net *n, double seconds) {
    for (double start = now(); now() < start + seconds / 10;) step(n);
    long before = n->steps;
    double start = now(), end;
    do step(n);
    while ((end = now()) < start + seconds);
    printf("{\"runs\": %ld, \"seconds\": %.6f}\n", n->steps - before, end - start);
}

int main(int argc, char **argv) {
    if (argc != 5) fail("usage: peer_kann FOLDER BATCH BATCHES THREADS");
    net n = { .batch = atoi(argv[2]), .batches = atoi(argv[3]) };
    int threads = atoi(argv[4]);
    n.kann = build(argv[1]);
    n.size = kann_size_var(n.kann);
    n.mean = calloc((size_t)n.size, sizeof *n.mean);
    n.square = calloc((size_t)n.size, sizeof *n.square);
    if (!n.mean || !n.square) fail("out of memory");
    read_data(&n, argv[1]);
    kann_set_batch_size(n.kann, n.batch);
    kann_mt(n.kann, threads, n.batch);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("{\"description\": \"kann %s, %s\", \"values\": [", KANN_VERSION,
           threads > 1 ? "its own threads" : "OpenBLAS's threads");
    for (int i = 1; i <= FIRST_STEPS; i++) {
        printf("%s%.7g", i > 1 ? ", " : "", (double)next(&n));
        adam(&n, i);
    }
    printf("]}\n");
    char line[64];
    double seconds;
    while (fgets(line, sizeof line, stdin) && sscanf(line, "run %lf", &seconds) == 1) run_block(&n, seconds);
    printf("{\"peak_kib\": %ld}\n", peak_kib());
    return 0;
}
