/* train.c - Glia's side of the training benchmark: one worker process, through the public API alone.
 *
 *     bench_train WORKLOAD [THREADS]            driven by bench.py; THREADS 0: all cores
 *
 * Prints a line of JSON with the losses of its first steps, which bench.py compares with its peers' (same initial weights,
 * same data), then trains for so long as each "run SECONDS" line on standard input says and prints what it did. At the end
 * of input it prints its peak resident memory.
 *
 * Weights and data come from one splitmix64 stream, as tools/golden/train_keras_cnn.py describes it: the parameters first, in
 * the order of the layers; then for each of BATCHES batches its images u and, after them, its labels floor(10 u). The
 * batches are used in turn. Every step copies its batch into the session, as a loader would.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "glia/glia.h"

enum { BATCHES = 8, CLASSES = 10, FIRST_LOSSES = 5 };

/* ---- workloads ---------------------------------------------------------------------------- */

static glia_tensor keras_cnn(glia_tensor x) {
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 32, .kernel = 3, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 64, .kernel = 3, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv3", (glia_conv_opts){ .filters = 64, .kernel = 3, .activation = GLIA_RELU });
    x = glia_dense(glia_flatten(x), "dense1", (glia_dense_opts){ .units = 64, .activation = GLIA_RELU });
    return glia_dense(x, "dense2", (glia_dense_opts){ .units = CLASSES });
}

static glia_tensor lenet(glia_tensor x) {
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 6, .kernel = 5, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 16, .kernel = 5, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_dense(glia_flatten(x), "dense1", (glia_dense_opts){ .units = 120, .activation = GLIA_RELU });
    x = glia_dense(x, "dense2", (glia_dense_opts){ .units = 84, .activation = GLIA_RELU });
    return glia_dense(x, "dense3", (glia_dense_opts){ .units = CLASSES });
}

static glia_tensor mlp(glia_tensor x) {
    x = glia_dense(x, "dense1", (glia_dense_opts){ .units = 512, .activation = GLIA_RELU });
    x = glia_dense(x, "dense2", (glia_dense_opts){ .units = 512, .activation = GLIA_RELU });
    return glia_dense(x, "dense3", (glia_dense_opts){ .units = CLASSES });
}

typedef struct workload {
    const char *name;
    glia_tensor (*build)(glia_tensor x);
    glia_shape input; /* of a batch */
    const char *layers[5];
    glia_optimizer optimizer;
} workload;

static const glia_optimizer adam = { .kind = GLIA_ADAM, .lr = 1e-3 };
static const glia_optimizer momentum = { .kind = GLIA_SGD, .lr = 1e-3, .momentum = 0.9 };

/* The workload of this name; name NULL: there is none. */
static workload find_workload(const char *name) {
    const workload all[] = {
        { "keras-cnn", keras_cnn, GLIA_SHAPE(64, 1, 28, 28), { "conv1", "conv2", "conv3", "dense1", "dense2" }, adam },
        { "lenet-b4", lenet, GLIA_SHAPE(4, 3, 32, 32), { "conv1", "conv2", "dense1", "dense2", "dense3" }, momentum },
        { "lenet-b128", lenet, GLIA_SHAPE(128, 3, 32, 32), { "conv1", "conv2", "dense1", "dense2", "dense3" }, momentum },
        { "mlp", mlp, GLIA_SHAPE(128, 784), { "dense1", "dense2", "dense3" }, adam },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(name, all[i].name) == 0) return all[i];
    return (workload){ 0 };
}

/* ---- the recipe --------------------------------------------------------------------------- */

static double uniform(uint64_t *state) { /* splitmix64, 24 bits: [0, 1) */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z = z ^ (z >> 31);
    return (double)(z >> 40) / 16777216.0;
}

/* Kernels a (2u - 1) with Glorot's a, biases 0.1 (2u - 1). */
static void draw_parameters(glia_store *store, const workload *w, uint64_t *rng) {
    static const char *const parts[] = { "kernel", "bias" };
    for (int i = 0; i < 5 && w->layers[i]; i++) {
        for (int j = 0; j < 2; j++) {
            char name[32];
            glia_array array;
            snprintf(name, sizeof name, "%s/%s", w->layers[i], parts[j]);
            if (!glia_store_find(store, name, &array)) {
                fprintf(stderr, "bench_train: no parameter %s\n", name);
                exit(1);
            }
            double a = 0.1;
            if (j == 0) {
                double window = array.shape.rank == 4 ? (double)(array.shape.dim[2] * array.shape.dim[3]) : 1;
                a = sqrt(6 / (window * (double)(array.shape.dim[0] + array.shape.dim[1])));
            }
            float *values = array.data;
            for (int64_t k = 0; k < glia_shape_count(array.shape); k++) values[k] = (float)(a * (2 * uniform(rng) - 1));
        }
    }
}

/* ---- training ----------------------------------------------------------------------------- */

typedef struct trainer {
    glia_session *session;
    float *x, *x_input;
    int32_t *labels, *labels_input;
    int64_t batch, sample; /* samples in a batch, floats in a sample */
    int64_t steps;         /* done so far */
} trainer;

static void check(glia_status status, const glia_error *error) {
    if (status == GLIA_OK) return;
    fprintf(stderr, "bench_train: %s\n", error->message);
    exit(1);
}

/* Builds, compiles, draws weights and data. What it makes lives as long as the process. */
static trainer make_trainer(const workload *w, int threads) {
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open("cpu", threads, &error);
    check(error.status, &error);
    glia_graph *graph = glia_graph_create();
    glia_shape shape = w->input;
    shape.dim[0] = GLIA_BATCH;
    glia_tensor x = glia_input(graph, "x", GLIA_F32, shape);
    glia_tensor labels = glia_input(graph, "labels", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor loss = glia_cross_entropy(w->build(x), labels, 0);
    glia_minimize(loss, w->optimizer, NULL, NULL);
    glia_compile_opts opts = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = w->input.dim[0] };
    glia_program *program = glia_compile(graph, backend, opts, &error);
    check(error.status, &error);
    glia_store *store = glia_store_create(graph, 0, &error);
    check(error.status, &error);
    trainer t = { .session = glia_session_create(program, store, &error), .batch = w->input.dim[0] };
    check(error.status, &error);
    t.sample = glia_shape_count(w->input) / t.batch;
    t.x_input = glia_session_input(t.session, "x", NULL);
    t.labels_input = glia_session_input(t.session, "labels", NULL);
    t.x = malloc(sizeof *t.x * (size_t)(BATCHES * t.batch * t.sample));
    t.labels = malloc(sizeof *t.labels * (size_t)(BATCHES * t.batch));
    if (!t.x_input || !t.labels_input || !t.x || !t.labels) exit(1);

    uint64_t rng = 1;
    draw_parameters(store, w, &rng);
    for (int b = 0; b < BATCHES; b++) {
        for (int64_t i = 0; i < t.batch * t.sample; i++) t.x[b * t.batch * t.sample + i] = (float)uniform(&rng);
        for (int64_t i = 0; i < t.batch; i++) t.labels[b * t.batch + i] = (int32_t)(CLASSES * uniform(&rng));
    }
    printf("{\"description\": \"Glia %s, %s\"", glia_version(), glia_backend_describe(backend));
    return t;
}

/* One training step on the next batch; returns its loss. */
static float step(trainer *t) {
    int64_t b = t->steps++ % BATCHES;
    memcpy(t->x_input, t->x + b * t->batch * t->sample, sizeof *t->x * (size_t)(t->batch * t->sample));
    memcpy(t->labels_input, t->labels + b * t->batch, sizeof *t->labels * (size_t)t->batch);
    glia_error error = { 0 };
    check(glia_session_run(t->session, &error), &error);
    return *(const float *)glia_session_output(t->session, 0).data;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Trains for about this long, after a tenth of it to warm up, and says how far it came. */
static void run_block(trainer *t, double seconds) {
    for (double start = now(); now() < start + seconds / 10;) step(t);
    int64_t before = t->steps;
    double start = now(), end;
    do step(t);
    while ((end = now()) < start + seconds);
    printf("{\"samples\": %lld, \"seconds\": %.6f}\n", (long long)((t->steps - before) * t->batch), end - start);
}

int main(int argc, char **argv) {
    workload w = find_workload(argc > 1 ? argv[1] : "");
    if (!w.name) {
        fprintf(stderr, "usage: bench_train keras-cnn|lenet-b4|lenet-b128|mlp [THREADS]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    trainer t = make_trainer(&w, argc > 2 ? atoi(argv[2]) : 0);
    for (int i = 0; i < FIRST_LOSSES; i++) printf("%s%.7g", i ? ", " : ", \"losses\": [", (double)step(&t));
    printf("]}\n");

    char line[64];
    double seconds;
    while (fgets(line, sizeof line, stdin) && sscanf(line, "run %lf", &seconds) == 1) run_block(&t, seconds);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"rss_kib\": %ld}\n", usage.ru_maxrss);
    return 0;
}
