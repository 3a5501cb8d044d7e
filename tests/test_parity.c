/* test_parity.c - trains the Keras CNN for 50 steps beside PyTorch and follows its losses.
 *
 * tools/golden/train_keras_cnn.py documents the recipe that both sides follow (splitmix64 draws, the network, Adam) and
 * wrote tests/golden/keras_cnn_losses.txt in double precision. Every piece of the library takes part: convolution and
 * pooling with their gradients, dense layers, cross-entropy, Adam, the passes and the planner. A slip in any of them moves
 * the losses by far more than the 1e-4 allowed; rounding alone moves them by 1e-6.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "glia/glia.h"

enum { STEPS = 50, BATCH = 16, SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, COARSE = 7, CELL = SIDE / COARSE };

/* ---- the recipe's random numbers, parameters and images ----------------------------------- */

static double uniform(uint64_t *state) { /* splitmix64, 24 bits: [0, 1) */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z = z ^ (z >> 31);
    return (double)(z >> 40) / 16777216.0;
}

static void draw_parameter(glia_store *store, const char *name, uint64_t *rng) {
    glia_array array;
    assert_true(glia_store_find(store, name, &array));
    assert_int_equal(array.dtype, GLIA_F32);
    double a = 0.1;
    if (array.shape.rank > 1) {
        double window = array.shape.rank == 4 ? (double)(array.shape.dim[2] * array.shape.dim[3]) : 1;
        a = sqrt(6 / (window * (double)(array.shape.dim[0] + array.shape.dim[1])));
    }
    float *values = array.data;
    for (int64_t i = 0; i < glia_shape_count(array.shape); i++) values[i] = (float)(a * (2 * uniform(rng) - 1));
}

static void draw_parameters(glia_store *store, uint64_t *rng) {
    static const char *const layers[] = { "conv1", "conv2", "conv3", "dense1", "dense2" };
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s/kernel", layers[i]);
        draw_parameter(store, name, rng);
        snprintf(name, sizeof name, "%s/bias", layers[i]);
        draw_parameter(store, name, rng);
    }
}

static void draw_batch(double pattern[CLASSES][COARSE][COARSE], uint64_t *rng, float *x, int32_t *labels) {
    for (int i = 0; i < BATCH; i++) {
        labels[i] = (int32_t)(10 * uniform(rng));
        for (int p = 0; p < PIXELS; p++) {
            double cell = pattern[labels[i]][p / SIDE / CELL][p % SIDE / CELL];
            x[i * PIXELS + p] = (float)((cell + uniform(rng)) / 2);
        }
    }
}

/* ---- the network -------------------------------------------------------------------------- */

static glia_tensor keras_cnn(glia_tensor x) {
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 32, .kernel = 3, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 64, .kernel = 3, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv3", (glia_conv_opts){ .filters = 64, .kernel = 3, .activation = GLIA_RELU });
    x = glia_dense(glia_flatten(x), "dense1", (glia_dense_opts){ .units = 64, .activation = GLIA_RELU });
    return glia_dense(x, "dense2", (glia_dense_opts){ .units = CLASSES });
}

/* Trains on the backend for `steps` steps and keeps each step's loss. */
static void train(const char *backend_name, int threads, bool no_fusion, int steps, double *losses) {
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open(backend_name, threads, &error);
    assert_non_null(backend);
    glia_graph *graph = glia_graph_create();
    glia_tensor x = glia_input(graph, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, SIDE, SIDE));
    glia_tensor labels = glia_input(graph, "labels", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor loss = glia_cross_entropy(keras_cnn(x), labels, 0);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 1e-3, .epsilon = 1e-8 }, NULL, NULL);
    glia_compile_opts opts = {
        .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = BATCH, .no_fusion = no_fusion
    };
    glia_program *program = glia_compile(graph, backend, opts, &error);
    if (!program) fail_msg("%s", error.message);
    glia_store *store = glia_store_create(graph, 0, &error);
    assert_non_null(store);
    glia_session *session = glia_session_create(program, store, &error);
    if (!session) fail_msg("%s", error.message);

    uint64_t rng = 1;
    draw_parameters(store, &rng);
    double pattern[CLASSES][COARSE][COARSE];
    for (int i = 0; i < CLASSES * COARSE * COARSE; i++) pattern[i / 49][i / 7 % 7][i % 7] = uniform(&rng);
    for (int step = 0; step < steps; step++) {
        draw_batch(pattern, &rng, glia_session_input(session, "x", NULL), glia_session_input(session, "labels", NULL));
        glia_status status = glia_session_run(session, &error);
        if (status != GLIA_OK) fail_msg("%s", error.message);
        losses[step] = *(const float *)glia_session_output(session, 0).data;
    }
    glia_session_free(session);
    glia_store_free(store);
    glia_program_free(program);
    glia_graph_free(graph);
    glia_backend_close(backend);
}

/* ---- the tests ---------------------------------------------------------------------------- */

static double golden[STEPS];

static int read_golden(void **state) {
    (void)state;
    FILE *file = fopen(GLIA_GOLDEN_DIR "/keras_cnn_losses.txt", "r");
    if (!file) return -1;
    char line[256];
    int n = 0;
    while (n < STEPS && fgets(line, sizeof line, file))
        if (line[0] != '#') golden[n++] = strtod(line, NULL);
    fclose(file);
    return n == STEPS ? 0 : -1;
}

static void follow(const double *losses, int steps) {
    for (int step = 0; step < steps; step++)
        if (!(fabs(losses[step] - golden[step]) <= 1e-4))
            fail_msg("step %d: loss %.7f, PyTorch has %.7f", step + 1, losses[step], golden[step]);
}

static void test_cpu_follows_pytorch(void **state) {
    (void)state;
    double losses[STEPS];
    train("cpu", 2, false, STEPS, losses);
    follow(losses, STEPS);
}

static void test_without_fusion(void **state) {
    (void)state;
    double losses[STEPS];
    train("cpu", 1, true, STEPS, losses);
    follow(losses, STEPS);
}

/* The definition computes in double, but keeps f32 between operations; it is slow, so a few steps must do. */
static void test_ref_follows_pytorch(void **state) {
    (void)state;
    double losses[STEPS];
    train("ref", 1, false, 3, losses);
    follow(losses, 3);
}

static void test_same_bits_with_any_number_of_threads(void **state) {
    (void)state;
    double one[STEPS], three[STEPS];
    train("cpu", 1, false, STEPS, one);
    train("cpu", 3, false, STEPS, three);
    assert_memory_equal(one, three, sizeof one);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_follows_pytorch),
        cmocka_unit_test(test_without_fusion),
        cmocka_unit_test(test_ref_follows_pytorch),
        cmocka_unit_test(test_same_bits_with_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, read_golden, NULL);
}
