/* test_dropout.c - dropout's variants: elements dropped together, mean and variance, in double; and the same on the
 * CPU backend.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "run_graph.h"

enum { N = 40, C = 25, S = 16, COUNT = N * C * S };

typedef glia_tensor (*variant)(glia_tensor x, double rate);

/* Computes y and the gradient of sum(w y) in x for x (N, C, 4, 4), with the given values. */
static void run_variant(variant f, double rate, glia_mode mode, const char *backend, glia_dtype dtype, const double *x,
                        double *y, double *dx) {
    glia_graph *g = glia_graph_create();
    glia_tensor in = glia_input(g, "x", dtype, GLIA_SHAPE(GLIA_BATCH, C, 4, 4)), out[2];
    out[0] = f(in, rate);
    glia_grad(out[0], &in, 1, &out[1]);
    runner r = { .backend = glia_backend_open(backend, 1, NULL), .store = glia_store_create(g, 7, NULL) };
    glia_compile_opts opts = { .outputs = out, .n_outputs = 2, .mode = mode, .batch = N };
    r.program = glia_compile(g, r.backend, opts, NULL);
    assert_non_null(r.program);
    r.session = glia_session_create(r.program, r.store, NULL);
    runner_set(&r, "x", x);
    runner_run(&r);
    runner_get(&r, 0, y);
    runner_get(&r, 1, dx);
    runner_close(&r);
    glia_graph_free(g);
}

/* Allocates values, results and gradients, COUNT of each. */
static double *buffers(double (*f)(int)) {
    double *x = malloc(3 * COUNT * sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < COUNT; i++) x[i] = f(i);
    return x;
}

static double wave(int i) { return 2 + sin(i); }

/* Each block of `together` elements is all 0 or x / (1 - rate); its gradient is 0 or 1 / (1 - rate). */
static void check_blocks(variant f, double rate, int together) {
    double *x = buffers(wave), *y = x + COUNT, *dx = y + COUNT;
    run_variant(f, rate, GLIA_TRAIN, "ref", GLIA_F64, x, y, dx);
    int kept = 0, blocks = COUNT / together, changes = 0;
    for (int b = 0; b < blocks; b++) {
        const bool keeps = y[b * together] != 0;
        kept += keeps;
        changes += b > 0 && keeps != (y[(b - 1) * together] != 0);
        for (int i = b * together; i < (b + 1) * together; i++) {
            assert_true(fabs(y[i] - (keeps ? x[i] / (1 - rate) : 0)) < 1e-12);
            assert_true(fabs(dx[i] - (keeps ? 1 / (1 - rate) : 0)) < 1e-12);
        }
    }
    const double p = 1 - rate, change = 2 * p * rate;
    assert_true(fabs(kept - p * blocks) < 5 * sqrt(p * rate * blocks));
    assert_true(fabs(changes - change * blocks) < 5 * sqrt(2 * change * blocks)); /* neighbours are independent */
    run_variant(f, rate, GLIA_INFER, "ref", GLIA_F64, x, y, dx);
    for (int i = 0; i < COUNT; i++) assert_true(y[i] == x[i] && dx[i] == 1);
    free(x);
}

static void test_elements_dropped_together(void **state) {
    (void)state;
    check_blocks(glia_dropout, 0.3, 1);
    check_blocks(glia_spatial_dropout, 0.3, S);
    check_blocks(glia_drop_path, 0.4, C * S);
}

/* N(0, 1) by the Box-Muller transform of a counter. */
static double normal(int i) {
    glia_rng rng = { .seed = 5, .stream = (uint64_t)i };
    return glia_rng_normal(&rng);
}

static void moments(const double *v, double *mean, double *variance) {
    *mean = *variance = 0;
    for (int i = 0; i < COUNT; i++) *mean += v[i] / COUNT;
    for (int i = 0; i < COUNT; i++) *variance += (v[i] - *mean) * (v[i] - *mean) / COUNT;
}

/* Mean 0 and variance 1 are kept. Both standard errors are below sqrt(kurtosis / COUNT) = 0.02 for these rates. */
static void test_alpha_keeps_moments(void **state) {
    (void)state;
    for (double rate = 0.1; rate < 0.6; rate += 0.2) {
        double *x = buffers(normal), *y = x + COUNT, *dx = y + COUNT, before[2], after[2];
        run_variant(glia_alpha_dropout, rate, GLIA_TRAIN, "ref", GLIA_F64, x, y, dx);
        moments(x, &before[0], &before[1]);
        moments(y, &after[0], &after[1]);
        assert_true(fabs(after[0]) < 0.05 && fabs(after[1] - 1) < 0.05 && fabs(before[1] - 1) < 0.05);
        int dropped = 0;
        const double limit = -1.6732632423543772 * 1.0507009873554805,
                     a = 1 / sqrt((1 - rate) * (1 + limit * limit * rate));
        for (int i = 0; i < COUNT; i++) {
            const bool gone = dx[i] == 0;
            dropped += gone;
            assert_true(fabs(y[i] - (a * (gone ? limit : x[i]) - a * rate * limit)) < 1e-12);
            assert_true(gone || fabs(dx[i] - a) < 1e-12);
        }
        assert_true(fabs(dropped - rate * COUNT) < 5 * sqrt(rate * (1 - rate) * COUNT));
        run_variant(glia_alpha_dropout, rate, GLIA_INFER, "ref", GLIA_F64, x, y, dx);
        for (int i = 0; i < COUNT; i++) assert_true(y[i] == x[i] && dx[i] == 1);
        free(x);
    }
}

static void test_backends_agree(void **state) {
    (void)state;
    const variant variants[] = { glia_dropout, glia_spatial_dropout, glia_drop_path, glia_alpha_dropout };
    for (int k = 0; k < GLIA_COUNT(variants); k++) {
        double *x = buffers(wave), *other = buffers(wave);
        run_variant(variants[k], 0.4, GLIA_TRAIN, "ref", GLIA_F32, x, x + COUNT, x + 2 * COUNT);
        run_variant(variants[k], 0.4, GLIA_TRAIN, "cpu", GLIA_F32, other, other + COUNT, other + 2 * COUNT);
        for (int i = 0; i < 3 * COUNT; i++) assert_true(fabs(x[i] - other[i]) < 1e-5);
        free(x);
        free(other);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements_dropped_together),
        cmocka_unit_test(test_alpha_keeps_moments),
        cmocka_unit_test(test_backends_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
