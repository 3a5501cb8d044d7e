/* test_precision.c - bf16 products: operands rounded, sums in f32, everything else unchanged.
 *
 * The reference rounds the operands first and multiplies in double. A net trained with bf16 products must follow the
 * one trained in f32 as far as eight bits allow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/program/program.h"
#include "glia/glia.h"
#include "op_samples.h"

static bool is_product(const glia_op *op) {
    return op == &glia_op_matmul || op == &glia_op_conv || op == &glia_op_conv_input_grad ||
           op == &glia_op_conv_kernel_grad;
}

/* Runs the sample on the backend. */
static float *run(const char *backend, const glia_op *op, const glia_sample *s, double *const *x, int threads,
                  glia_precision precision) {
    glia_error error = { 0 };
    sample_graph g = sample_build(op, s, false);
    glia_backend *b = glia_backend_open(backend, threads, &error);
    if (!b) fail_msg("%s", error.message);
    glia_program *p =
        glia_compile(g.g, b, (glia_compile_opts){ .outputs = &g.y, .n_outputs = 1, .precision = precision }, &error);
    glia_store *store = p ? glia_store_create(g.g, 0, &error) : NULL;
    glia_session *session = store ? glia_session_create(p, store, &error) : NULL;
    if (!session) fail_msg("%s", error.message);
    for (int i = 0; i < s->n; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        float *to = glia_session_input(session, name, NULL, NULL);
        for (int64_t k = 0; k < glia_shape_count(s->in[i].shape); k++) to[k] = (float)x[i][k];
    }
    if (glia_session_run(session, &error) != GLIA_OK) fail_msg("%s", error.message);
    size_t bytes = (size_t)glia_shape_count(g.y->shape) * sizeof(float);
    float *y = malloc(bytes);
    memcpy(y, glia_session_output(session, 0).data, bytes);
    glia_session_free(session);
    glia_store_free(store);
    glia_program_free(p);
    glia_backend_close(b);
    glia_graph_free(g.g);
    return y;
}

/* Every sample of a product: the definition, and each backend, against f32 products of rounded operands. */
static void only_operands_are_rounded(void **state) {
    (void)state;
    int differ = 0;
    for (int i = 0; i < glia_op_count(); i++) {
        const glia_op *op = glia_op_at(i);
        if (!is_product(op)) continue;
        for (const glia_sample *s = glia_op_samples(i); s->name; s++) {
            sample_case c = sample_open(op, s);
            double *rounded[GLIA_SAMPLE_INPUTS] = { 0 };
            for (int k = 0; k < s->n; k++) {
                int64_t n = glia_shape_count(s->in[k].shape);
                rounded[k] = malloc((size_t)n * sizeof(double));
                for (int64_t e = 0; e < n; e++) rounded[k][e] = glia_round_to(GLIA_BF16, c.x[k][e]);
            }
            float *should = run("ref", op, s, rounded, 1, GLIA_PRECISION_F32);
            float *exact = run("ref", op, s, c.x, 1, GLIA_PRECISION_F32);
            float *ref = run("ref", op, s, c.x, 1, GLIA_PRECISION_BF16);
            float *cpu = run("cpu", op, s, c.x, 1, GLIA_PRECISION_BF16);
            float *two = run("cpu", op, s, c.x, 2, GLIA_PRECISION_BF16);
            sample_graph g = sample_build(op, s, false);
            int64_t n = glia_shape_count(g.y->shape);
            for (int64_t e = 0; e < n; e++) {
                if (ref[e] != should[e]) fail_msg("ref: %s, sample %s, element %lld", op->name, s->name, (long long)e);
                if (fabsf(cpu[e] - should[e]) > 1e-5f * (1 + fabsf(should[e])))
                    fail_msg("cpu: %s, sample %s, element %lld: %g, should be %g", op->name, s->name, (long long)e,
                             (double)cpu[e], (double)should[e]);
                differ += should[e] != exact[e];
            }
            assert_memory_equal(cpu, two, (size_t)n * sizeof *cpu);
            glia_graph_free(g.g);
            free(should);
            free(exact);
            free(ref);
            free(cpu);
            free(two);
            for (int k = 0; k < s->n; k++) free(rounded[k]);
            sample_close(&c);
        }
    }
    assert_true(differ > 100); /* rounding has an effect */
}

/* Two classes, a small convolutional net: both precisions learn, with close but different losses. */
static void training_follows_f32(void **state) {
    (void)state;
    enum { N = 64, STEPS = 40 };
    float loss[2][STEPS];
    for (int p = 0; p < 2; p++) {
        glia_error error = { 0 };
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2, 6, 6));
        glia_tensor labels = glia_input(g, "labels", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
        glia_tensor y = glia_conv2d(x, "conv", (glia_conv_opts){ .filters = 8, .kernel = 3, .activation = GLIA_RELU });
        y = glia_dense(glia_flatten(y), "dense", (glia_dense_opts){ .units = 2 });
        glia_tensor cost = glia_cross_entropy(y, labels, 0);
        glia_minimize(cost, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.05, .momentum = 0.9 }, NULL, NULL);
        glia_backend *b = glia_backend_open("cpu", 1, &error);
        glia_compile_opts opts = { .outputs = &cost,
                                   .n_outputs = 1,
                                   .mode = GLIA_TRAIN,
                                   .batch = N,
                                   .precision = p ? GLIA_PRECISION_BF16 : GLIA_PRECISION_F32 };
        glia_program *program = glia_compile(g, b, opts, &error);
        glia_store *store = glia_store_create(g, 7, &error);
        glia_session *session = program && store ? glia_session_create(program, store, &error) : NULL;
        if (!session) fail_msg("%s", error.message);
        float *in = glia_session_input(session, "x", NULL, NULL);
        int32_t *classes = glia_session_input(session, "labels", NULL, NULL);
        glia_rng rng = { .seed = 3 };
        for (int i = 0; i < N; i++) {
            classes[i] = i % 2;
            for (int k = 0; k < 72; k++) in[i * 72 + k] = (float)(glia_rng_normal(&rng) + (k % 7 == 0) * (i % 2));
        }
        for (int s = 0; s < STEPS; s++) {
            if (glia_session_run(session, &error) != GLIA_OK) fail_msg("%s", error.message);
            loss[p][s] = *(const float *)glia_session_output(session, 0).data;
        }
        glia_session_free(session);
        glia_store_free(store);
        glia_program_free(program);
        glia_backend_close(b);
        glia_graph_free(g);
    }
    assert_true(loss[1][STEPS - 1] < 0.5f * loss[1][0]);
    assert_true(loss[0][0] != loss[1][0]);
    for (int s = 0; s < STEPS; s++) assert_true(fabsf(loss[0][s] - loss[1][s]) < 0.02f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_operands_are_rounded),
        cmocka_unit_test(training_follows_f32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
