/* optim_problem.h - the small problem that tests optimisers; documented in tools/golden/optimizers.py. */
#ifndef OPTIM_PROBLEM_H
#define OPTIM_PROBLEM_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/graph/graph.h"
#include "glia/glia.h"

enum { N = 5, IN = 4, OUT = 3, STEPS = 20, W_COUNT = OUT * IN, COUNT = W_COUNT + OUT };

typedef struct problem {
    glia_graph *graph;
    glia_tensor w, b, loss;
    glia_backend *backend;
    glia_store *store;
    glia_program *program;
    glia_session *session;
} problem;

static double w_at(int i) { return sin(1 + i) / 2; }
static double b_at(int i) { return cos(i) / 4; }
static double x_at(int i) { return sin(0.7 * i); }
static double y_at(int i) { return cos(1.3 * i); }

static inline glia_tensor constant(glia_graph *g, glia_dtype dtype, int rows, int columns, double (*f)(int)) {
    double values[32];
    for (int i = 0; i < rows * columns; i++) values[i] = f(i);
    return glia_constant(g, dtype, GLIA_SHAPE(rows, columns), values);
}

static inline problem build(glia_dtype dtype) {
    glia_graph *g = glia_graph_create();
    problem p = { .graph = g };
    p.w = glia_parameter(g, "w", dtype, GLIA_SHAPE(OUT, IN), (glia_init){ 0 });
    p.b = glia_parameter(g, "b", dtype, GLIA_SHAPE(OUT), (glia_init){ 0 });
    glia_tensor x = constant(g, dtype, N, IN, x_at), y = constant(g, dtype, N, OUT, y_at);
    glia_tensor z = glia_tanh(glia_add(glia_matmul_transposed(x, false, p.w, true), p.b));
    glia_tensor fit = glia_mean(glia_square(glia_sub(z, y)), GLIA_SCALAR, false);
    glia_tensor size = glia_mean(glia_square(p.w), GLIA_SCALAR, false);
    p.loss = glia_add(fit, glia_mul_scalar(glia_square(size), 0.125));
    return p;
}

static inline void put(glia_store *store, const char *name, double (*f)(int)) {
    glia_array a;
    assert_true(glia_store_find(store, name, &a));
    for (int i = 0; i < glia_shape_count(a.shape); i++) {
        double value = f(i);
        glia_from_double(a.dtype, &value, (char *)a.data + (size_t)i * glia_dtype_size(a.dtype), 1);
    }
}

static inline double get(const glia_store *store, const char *name, int i) {
    glia_array a;
    double value = NAN;
    if (!glia_store_find(store, name, &a)) fail_msg("no tensor '%s'", name);
    glia_to_double(a.dtype, (char *)a.data + (size_t)i * glia_dtype_size(a.dtype), &value, 1);
    return value;
}

static inline void start(problem *p, const char *backend) {
    glia_error error = { 0 };
    p->backend = glia_backend_open(backend, 1, &error);
    if (!p->backend) fail_msg("%s", error.message);
    p->store = glia_store_create(p->graph, 1, &error);
    if (!p->store) fail_msg("%s", error.message);
    glia_compile_opts opts = { .outputs = &p->loss, .n_outputs = 1, .mode = GLIA_TRAIN };
    p->program = glia_compile(p->graph, p->backend, opts, &error);
    if (!p->program) fail_msg("%s", error.message);
    p->session = glia_session_create(p->program, p->store, &error);
    if (!p->session) fail_msg("%s", error.message);
    put(p->store, "w", w_at);
    put(p->store, "b", b_at);
}

static inline void run(problem *p, int steps) {
    for (int i = 0; i < steps; i++) assert_int_equal(glia_session_run(p->session, NULL), GLIA_OK);
}

static inline void finish(problem *p) {
    glia_session_free(p->session);
    glia_program_free(p->program);
    glia_store_free(p->store);
    glia_backend_close(p->backend);
    glia_graph_free(p->graph);
}

#endif
