/* test_nan_kernels.c - values and gradients at NaN, infinities and zero, on every instruction set and the ref backend.
 * Expected values were computed with PyTorch 2. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/tensor/tensor.h"
#include "glia/glia.h"
#include "isa.h"

#define INF INFINITY
enum { MOST = 12, REPEATS = 37 };

/* ---- running ---------------------------------------------------------------------------------- */

/* Inputs and outputs repeat n numbers; outputs that are one per row repeat one. */
typedef struct values {
    int n, outputs;
    const float *in[2];
    const double *out[3];
    bool of_rows[3];
} values;

static void compare(const glia_session *s, const values *v, const char *what) {
    for (int k = 0; k < v->outputs; k++) {
        glia_array a = glia_session_output(s, k);
        double is[MOST * REPEATS];
        const int64_t n = glia_shape_count(a.shape);
        assert_true(n <= MOST * REPEATS);
        glia_to_double(a.dtype, a.data, is, n);
        for (int64_t i = 0; i < n; i++) {
            const double should = v->out[k][v->of_rows[k] ? 0 : i % v->n];
            const bool same = isnan(should) ? isnan(is[i]) : is[i] == should || fabs(is[i] - should) < 1e-6;
            if (!same)
                fail_msg("%s: output %d, element %lld is %g, should be %g", what, k, (long long)i, is[i], should);
        }
    }
}

/* Runs the graph on one backend with the inputs "a" and "b". */
static void run_on(const char *backend, const char *isa, bool fuses, glia_graph *g, const glia_tensor *outputs,
                   const values *v, const char *name) {
    char what[100];
    glia_error error = { 0 };
    if (isa) setenv("GLIA_ISA", isa, 1);
    glia_backend *b = glia_backend_open(backend, 1, &error);
    unsetenv("GLIA_ISA");
    if (!b) return; /* not supported by this machine */
    glia_store *store = glia_store_create(g, 1, &error);
    glia_program *p = glia_compile(
        g, b, (glia_compile_opts){ .outputs = outputs, .n_outputs = v->outputs, .batch = 1, .no_fusion = !fuses },
        &error);
    if (!p) fail_msg("%s: %s", name, error.message);
    glia_session *s = glia_session_create(p, store, &error);
    if (!s) fail_msg("%s: %s", name, error.message);
    for (int i = 0; i < 2; i++) {
        glia_array a;
        float *to = glia_session_input(s, i ? "b" : "a", &a, NULL);
        for (int64_t k = 0; to && k < glia_shape_count(a.shape); k++) to[k] = v->in[i][k % v->n];
    }
    if (glia_session_run(s, &error) != GLIA_OK) fail_msg("%s: %s", name, error.message);
    snprintf(what, sizeof what, "%s, %s%s%s", name, backend, isa ? " " : "", isa ? isa : "");
    compare(s, v, what);
    glia_session_free(s);
    glia_program_free(p);
    glia_store_free(store);
    glia_backend_close(b);
}

static void run_everywhere(glia_graph *g, const glia_tensor *outputs, const values *v, const char *name) {
    static const char *const isas[] = { "generic", "v2", "v3", "v4", "neon" };
    glia_error error = { 0 };
    if (glia_graph_check(g, &error) != GLIA_OK) fail_msg("%s: %s", name, error.message);
    run_on("ref", NULL, true, g, outputs, v, name);
    for (int i = 0; i < 5; i++) {
        if (!isa_is_wanted(isas[i])) continue;
        for (int fuses = 0; fuses < 2; fuses++) run_on("cpu", isas[i], fuses, g, outputs, v, name);
    }
}

/* ---- elementwise ------------------------------------------------------------------------------ */

static glia_tensor leaky_relu(glia_tensor x) { return glia_leaky_relu(x, 0.25); }
static glia_tensor elu(glia_tensor x) { return glia_elu(x, 1); }

static void unary_functions(void **state) {
    (void)state;
    static const float x[] = { NAN, 0, -0.0f, 1, -1, INF, -INF };
    const double e = exp(-1), scale = 1.0507009873554805, alpha = 1.6732632423543772;
    const struct {
        const char *name;
        glia_tensor (*f)(glia_tensor x);
        double y[7], dx[7];
    } cases[] = {
        { "relu", glia_relu, { NAN, 0, 0, 1, 0, INF, 0 }, { 1, 0, 0, 1, 0, 1, 0 } },
        { "abs", glia_abs, { NAN, 0, 0, 1, 1, INF, INF }, { 0, 0, 0, 1, -1, 1, -1 } },
        { "leaky_relu", leaky_relu, { NAN, 0, 0, 1, -0.25, INF, -INF }, { 0.25, 0.25, 0.25, 1, 0.25, 1, 0.25 } },
        { "elu", elu, { NAN, 0, 0, 1, e - 1, INF, -1 }, { 1, 1, 1, 1, e, 1, 0 } },
        { "selu",
          glia_selu,
          { NAN, 0, 0, scale, scale * alpha * (e - 1), INF, -scale * alpha },
          { scale, scale * alpha, scale * alpha, scale, scale * alpha * e, scale, 0 } },
    };
    for (int i = 0; i < GLIA_COUNT(cases); i++) {
        glia_graph *g = glia_graph_create();
        glia_tensor a = glia_input(g, "a", GLIA_F32, GLIA_SHAPE(7 * REPEATS)), y[2] = { cases[i].f(a) };
        glia_grad(y[0], &a, 1, &y[1]);
        run_everywhere(g, y, &(values){ .n = 7, .outputs = 2, .in = { x }, .out = { cases[i].y, cases[i].dx } },
                       cases[i].name);
        glia_graph_free(g);
    }
}

static void binary_functions(void **state) {
    (void)state;
    static const float a[] = { NAN, 1, NAN, 0, 2, 1 }, b[] = { 1, NAN, NAN, 0, 1, 2 };
    static const float base[] = { 0, 0, 0, 0, -1, -2, NAN, 2, NAN, -2, INF };
    static const float exponent[] = { 0, 1, 2, -1, 2, 0.5f, 0, NAN, 2, 0, 0 };
    static const struct {
        const char *name;
        glia_tensor (*f)(glia_tensor a, glia_tensor b);
        int n;
        const float *a, *b;
        double y[11], da[11], db[11];
    } cases[] = {
        { "maximum",
          glia_maximum,
          6,
          a,
          b,
          { NAN, NAN, NAN, 0, 2, 2 },
          { 1, 1, 1, 0.5, 1, 0 },
          { 1, 1, 1, 0.5, 0, 1 } },
        { "minimum",
          glia_minimum,
          6,
          a,
          b,
          { NAN, NAN, NAN, 0, 1, 1 },
          { 1, 1, 1, 0.5, 0, 1 },
          { 1, 1, 1, 0.5, 1, 0 } },
        { "pow",
          glia_pow,
          11,
          base,
          exponent,
          { 1, 0, 0, INF, 1, NAN, 1, NAN, NAN, 1, 1 },
          { 0, 1, 0, -INF, -2, NAN, 0, NAN, NAN, 0, 0 },
          { 0, 0, 0, -INF, NAN, NAN, NAN, NAN, NAN, NAN, INF } },
    };
    for (int i = 0; i < GLIA_COUNT(cases); i++) {
        glia_graph *g = glia_graph_create();
        glia_shape shape = GLIA_SHAPE(cases[i].n * REPEATS);
        glia_tensor in[] = { glia_input(g, "a", GLIA_F32, shape), glia_input(g, "b", GLIA_F32, shape) };
        glia_tensor y[3] = { cases[i].f(in[0], in[1]) };
        glia_grad(y[0], in, 2, y + 1);
        run_everywhere(g, y,
                       &(values){ .n = cases[i].n,
                                  .outputs = 3,
                                  .in = { cases[i].a, cases[i].b },
                                  .out = { cases[i].y, cases[i].da, cases[i].db } },
                       cases[i].name);
        glia_graph_free(g);
    }
}

/* ---- over axes -------------------------------------------------------------------------------- */

/* Maximum of four, its index and its gradient: rows of four, and columns of four. */
static void largest_of_four(void **state) {
    (void)state;
    static const struct {
        float x[4];
        double most, place, dx[4];
    } cases[] = {
        { { 1, NAN, 2, NAN }, NAN, 1, { 0, 0.5, 0, 0.5 } },
        { { 1, 2, 2, 0 }, 2, 1, { 0, 0.5, 0.5, 0 } },
        { { NAN, 1, 2, 3 }, NAN, 0, { 1, 0, 0, 0 } },
        { { INF, 1, INF, NAN }, NAN, 3, { 0, 0, 0, 1 } },
        { { -INF, -INF, 1, 0 }, 1, 2, { 0, 0, 1, 0 } },
        { { INF, 0, INF, -INF }, INF, 0, { 0.5, 0, 0.5, 0 } },
        { { -INF, -INF, -INF, -INF }, -INF, 0, { 0.25, 0.25, 0.25, 0.25 } },
    };
    for (int i = 0; i < GLIA_COUNT(cases); i++) {
        for (int columns = 0; columns < 2; columns++) {
            glia_graph *g = glia_graph_create();
            glia_tensor a = glia_input(g, "a", GLIA_F32, GLIA_SHAPE(REPEATS, 4));
            glia_tensor x = columns ? glia_permute(a, GLIA_SHAPE(1, 0)) : a;
            const int axis = columns ? 0 : 1;
            glia_tensor y[3] = { glia_max(x, GLIA_SHAPE(axis), false) };
            glia_grad(y[0], &a, 1, &y[1]);
            y[2] = glia_argmax(x, axis);
            run_everywhere(g, y,
                           &(values){ 4,
                                      3,
                                      { cases[i].x, NULL },
                                      { &cases[i].most, cases[i].dx, &cases[i].place },
                                      { true, false, true } },
                           columns ? "max of columns" : "max of rows");
            glia_graph_free(g);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_functions),
        cmocka_unit_test(binary_functions),
        cmocka_unit_test(largest_of_four),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
