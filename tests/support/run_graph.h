/* run_graph.h - compiles and runs a graph on the ref backend, with inputs and outputs as doubles. */
#ifndef GLIA_TESTS_RUN_GRAPH_H
#define GLIA_TESTS_RUN_GRAPH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/tensor/tensor.h"
#include "glia/glia.h"

typedef struct runner {
    glia_backend *backend;
    glia_store *store;
    glia_program *program;
    glia_session *session;
} runner;

/* Compiles the outputs (and, when training, all updates). The store is initialised from `seed`. */
static inline runner runner_open(glia_graph *g, const glia_tensor *outputs, int n, glia_mode mode, int64_t batch,
                                 uint64_t seed) {
    glia_error error = { 0 };
    runner r = { .backend = glia_backend_open("ref", 1, &error) };
    if (!r.backend) fail_msg("%s", error.message);
    r.store = glia_store_create(g, seed, &error);
    if (!r.store) fail_msg("%s", error.message);
    r.program = glia_compile(
        g, r.backend, (glia_compile_opts){ .outputs = outputs, .n_outputs = n, .mode = mode, .batch = batch }, &error);
    if (!r.program) fail_msg("%s", error.message);
    r.session = glia_session_create(r.program, r.store, &error);
    if (!r.session) fail_msg("%s", error.message);
    return r;
}

static inline void runner_close(runner *r) {
    glia_session_free(r->session);
    glia_program_free(r->program);
    glia_store_free(r->store);
    glia_backend_close(r->backend);
}

static inline void runner_set(runner *r, const char *input, const double *values) {
    glia_array a;
    void *data = glia_session_input(r->session, input, &a, NULL);
    if (!data) fail_msg("there is no input %s", input);
    glia_from_double(a.dtype, values, data, glia_shape_count(a.shape));
}

static inline void runner_run(runner *r) {
    glia_error error = { 0 };
    if (glia_session_run(r->session, &error) != GLIA_OK) fail_msg("%s", error.message);
}

/* Copies output `index` to `values`; returns the number of elements. */
static inline int64_t runner_get(const runner *r, int index, double *values) {
    glia_array a = glia_session_output(r->session, index);
    glia_to_double(a.dtype, a.data, values, glia_shape_count(a.shape));
    return glia_shape_count(a.shape);
}

/* Copies a parameter or state to `values`; returns the number of elements. */
static inline int64_t runner_leaf(const runner *r, const char *name, double *values) {
    glia_array a;
    if (!glia_store_find(r->store, name, &a)) fail_msg("there is no leaf %s", name);
    glia_to_double(a.dtype, a.data, values, glia_shape_count(a.shape));
    return glia_shape_count(a.shape);
}

#endif
