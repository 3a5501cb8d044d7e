/* test_parity.c - trains nets of models.def and compares their losses with PyTorch's.
 *
 * tools/golden/train_models.py trains the same nets from the same draws (draws.h) in double precision and writes
 * tests/golden/MODEL_losses.txt. This covers convolution and pooling with their gradients, batch norm with its running
 * statistics, dense layers, cross-entropy, Adam and momentum, the passes and the planner. An error in any of them
 * changes the losses by far more than the tolerance. Rounding changes them by about 1e-6, in deep nets by up to a few
 * 1e-4: among hundreds of thousands of ReLUs, one may be so close to 0 that rounding decides whether its gradient
 * passes.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "draws.h"
#include "glia/glia.h"
#include "models/models.h"

enum { MOST_STEPS = 50 };

typedef struct parity_case {
    const char *model;
    glia_shape sample;
    int64_t batch;
    int steps;
    double allowed; /* tolerance for a loss */
    glia_optimizer optimizer;
} parity_case;

/* The same table as in tools/golden/train_models.py. */
static const parity_case keras_cnn = { .model = "keras-cnn",
                                       .sample = { 3, { 1, 28, 28 } },
                                       .batch = 16,
                                       .steps = 50,
                                       .allowed = 1e-4,
                                       .optimizer = { .kind = GLIA_ADAM, .lr = 1e-3, .epsilon = 1e-8 } };
static const parity_case resnet20 = { .model = "resnet20",
                                      .sample = { 3, { 3, 32, 32 } },
                                      .batch = 16,
                                      .steps = 6,
                                      .allowed = 1e-3,
                                      .optimizer = { .kind = GLIA_SGD, .lr = 1e-4, .momentum = 0.9 } };
static const parity_case resnet18 = { .model = "resnet18",
                                      .sample = { 3, { 3, 64, 64 } },
                                      .batch = 8,
                                      .steps = 3,
                                      .allowed = 2e-3,
                                      .optimizer = { .kind = GLIA_SGD, .lr = 1e-4, .momentum = 0.9 } };

/* ---- training ----------------------------------------------------------------------------- */

typedef struct how {
    const char *backend;
    int threads, steps;
    bool no_fusion;
} how;

static void check(glia_status status, const glia_error *error) {
    if (status != GLIA_OK) fail_msg("%s", error->message);
}

static glia_session *start(glia_model *model, glia_backend *backend, glia_compile_opts opts, glia_program **program) {
    glia_error error = { 0 };
    *program = glia_compile(glia_model_graph(model), backend, opts, &error);
    if (!*program) fail_msg("%s", error.message);
    glia_session *session = glia_session_create(*program, glia_model_store(model), &error);
    if (!session) fail_msg("%s", error.message);
    return session;
}

static double run(glia_session *session) {
    glia_error error = { 0 };
    check(glia_session_run(session, &error), &error);
    return *(const float *)glia_session_output(session, 0).data;
}

/* Stores each step's loss in `losses`, then the last batch's loss in inference mode. */
static void train(const parity_case *c, how h, double *losses) {
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open(h.backend, h.threads, &error);
    assert_non_null(backend);
    glia_model *model = glia_recipe_build(glia_recipe_find(c->model), c->sample, DRAWN_CLASSES, &error);
    if (!model) fail_msg("%s", error.message);
    glia_graph *graph = glia_model_graph(model);
    glia_tensor labels = glia_input(graph, "labels", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor loss = glia_cross_entropy(glia_model_output_at(model, 0, NULL), labels, 0);
    uint64_t state = 1;
    check(glia_model_init(model, 0, &error), &error);
    draw_parameters(glia_model_store(model), &state);
    glia_minimize(loss, c->optimizer, NULL, NULL);
    check(glia_store_add(glia_model_store(model), graph, 0, &error), &error);

    glia_program *programs[2];
    glia_compile_opts opts = { .outputs = &loss, .n_outputs = 1, .batch = c->batch, .no_fusion = h.no_fusion };
    glia_session *inference = start(model, backend, opts, &programs[0]);
    opts.mode = GLIA_TRAIN;
    glia_session *session = start(model, backend, opts, &programs[1]);

    int64_t sample = glia_shape_count(c->sample);
    double *patterns = malloc(sizeof *patterns * (size_t)(DRAWN_CLASSES * sample));
    assert_non_null(patterns);
    draw_patterns(c->sample, patterns, &state);
    float *x = glia_session_input(session, "x", NULL, NULL);
    int32_t *y = glia_session_input(session, "labels", NULL, NULL);
    for (int step = 0; step < h.steps; step++) {
        draw_batch(c->sample, c->batch, patterns, x, y, &state);
        memcpy(glia_session_input(inference, "x", NULL, NULL), x, sizeof *x * (size_t)(c->batch * sample));
        memcpy(glia_session_input(inference, "labels", NULL, NULL), y, sizeof *y * (size_t)c->batch);
        losses[step] = run(session);
    }
    losses[h.steps] = run(inference);
    free(patterns);
    glia_session_free(session);
    glia_session_free(inference);
    glia_program_free(programs[0]);
    glia_program_free(programs[1]);
    glia_model_free(model);
    glia_backend_close(backend);
}

/* ---- comparison --------------------------------------------------------------------------- */

/* Reads PyTorch's training losses and its inference loss; returns its number of parameters. */
static int64_t read_golden(const parity_case *c, double *golden) {
    char path[512], line[256];
    snprintf(path, sizeof path, GLIA_GOLDEN_DIR "/%s_losses.txt", c->model);
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("%s is missing", path);
    int n = 0;
    long long parameters = 0;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            sscanf(line, "# %lld parameters", &parameters);
        else if (n <= c->steps)
            golden[n++] = strtod(line, NULL);
    }
    fclose(file);
    assert_int_equal(n, c->steps + 1);
    return parameters;
}

static void follow(const parity_case *c, how h) {
    double golden[MOST_STEPS + 1], losses[MOST_STEPS + 1];
    read_golden(c, golden);
    train(c, h, losses);
    for (int step = 0; step < h.steps; step++) {
        if (!(fabs(losses[step] - golden[step]) <= c->allowed))
            fail_msg("%s, step %d: loss %.7f, PyTorch has %.7f", c->model, step + 1, losses[step], golden[step]);
    }
    if (h.steps == c->steps && !(fabs(losses[h.steps] - golden[h.steps]) <= c->allowed))
        fail_msg("%s, inference: loss %.7f, PyTorch has %.7f", c->model, losses[h.steps], golden[h.steps]);
}

static void test_cpu_follows_pytorch(void **state) {
    (void)state;
    follow(&keras_cnn, (how){ "cpu", 2, keras_cnn.steps, false });
}

static void test_without_fusion(void **state) {
    (void)state;
    follow(&keras_cnn, (how){ "cpu", 1, keras_cnn.steps, true });
}

/* The ref backend computes in double but stores f32 between operations; it is slow, so only a few steps are run. */
static void test_ref_follows_pytorch(void **state) {
    (void)state;
    follow(&keras_cnn, (how){ "ref", 1, 3, false });
}

static void test_same_bits_with_any_number_of_threads(void **state) {
    (void)state;
    double one[MOST_STEPS + 1], three[MOST_STEPS + 1];
    train(&keras_cnn, (how){ "cpu", 1, keras_cnn.steps, false }, one);
    train(&keras_cnn, (how){ "cpu", 3, keras_cnn.steps, false }, three);
    assert_memory_equal(one, three, sizeof one);
}

static void test_resnet20(void **state) {
    (void)state;
    follow(&resnet20, (how){ "cpu", 2, resnet20.steps, false });
}

static void test_resnet18(void **state) {
    (void)state;
    follow(&resnet18, (how){ "cpu", 2, resnet18.steps, false });
}

/* ---- sizes -------------------------------------------------------------------------------- */

static int64_t parameters_of(const char *name, glia_shape sample, int outputs) {
    glia_error error;
    glia_model *model = glia_recipe_build(glia_recipe_find(name), sample, outputs, &error);
    if (!model) fail_msg("%s", error.message);
    int64_t count = glia_model_parameter_count(model, false);
    glia_model_free(model);
    return count;
}

/* Parameter counts equal those of the PyTorch nets, and published ones: He et al. 2016, table 6, gives 0.27 million for
 * ResNet-20, and torchvision 11,689,512 for ResNet-18 with a thousand classes. */
static void test_parameter_counts(void **state) {
    (void)state;
    const parity_case *const all[] = { &keras_cnn, &resnet20, &resnet18 };
    double golden[MOST_STEPS + 1];
    for (int i = 0; i < 3; i++)
        assert_int_equal(parameters_of(all[i]->model, all[i]->sample, DRAWN_CLASSES), read_golden(all[i], golden));
    assert_int_equal(parameters_of("resnet20", GLIA_SHAPE(3, 32, 32), 10), 269722);
    assert_int_equal(parameters_of("resnet18", GLIA_SHAPE(3, 224, 224), 1000), 11689512);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_follows_pytorch),
        cmocka_unit_test(test_without_fusion),
        cmocka_unit_test(test_ref_follows_pytorch),
        cmocka_unit_test(test_same_bits_with_any_number_of_threads),
        cmocka_unit_test(test_resnet20),
        cmocka_unit_test(test_resnet18),
        cmocka_unit_test(test_parameter_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
