/* golden_net.h - compares a net with one of another program, from a file as tools/golden/generative.py writes it: the
 * same parameters by name, the same outputs for the same inputs, the same gradients of sum(y dy) in all parameters and
 * inputs. */
#ifndef GLIA_TESTS_GOLDEN_NET_H
#define GLIA_TESTS_GOLDEN_NET_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/graph/graph.h"
#include "data/formats/formats.h"
#include "glia/glia.h"

enum { GOLDEN_MOST = 256 };

typedef struct golden_net {
    const char *path, *name;
    glia_safetensors file;
    glia_graph *graph;
    glia_store *store;
    glia_session *session;
    glia_tensor out[GOLDEN_MOST]; /* y, then gradients */
    const char *of[GOLDEN_MOST];  /* what they are called in the file */
    int n;
} golden_net;

static inline const glia_safetensor *golden_tensor(const golden_net *n, const char *group, const char *name) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", group, name);
    const glia_safetensor *t = glia_safetensors_find(&n->file, full);
    if (!t) fail_msg("%s lacks %s", n->path, full);
    return t;
}

/* Copies the file's parameters into the store; both must have the same ones. */
static inline void golden_take(golden_net *n) {
    int there = 0;
    for (int i = 0; i < n->file.n; i++) there += !strncmp(n->file.tensors[i].name, "state.", 6);
    for (int i = 0; i < glia_store_count(n->store); i++) {
        glia_array a = glia_store_at(n->store, i);
        if (!a.parameter) continue;
        const glia_safetensor *t = golden_tensor(n, "state.", a.name);
        if (!glia_shape_equal(t->shape, a.shape)) fail_msg("%s: %s has another shape", n->path, a.name);
        memcpy(a.data, t->data, t->bytes);
        there--;
    }
    assert_int_equal(there, 0);
}

static inline glia_tensor golden_input(const glia_graph *g, const char *name) {
    for (int i = 0; i < g->n_nodes; i++) {
        if (glia_is_input(g->nodes[i]) && !strcmp(glia_leaf_of(g->nodes[i])->name, name)) return g->nodes[i];
    }
    fail_msg("there is no input %s", name);
    return NULL;
}

static inline void golden_gradients(golden_net *n, glia_tensor y) {
    glia_tensor xs[GOLDEN_MOST], dy = glia_input(n->graph, "dy", GLIA_F32, glia_tensor_shape(y));
    n->out[0] = y;
    n->of[0] = "y";
    n->n = 1;
    for (int i = 0; i < n->file.n; i++) {
        const char *name = n->file.tensors[i].name;
        if (strncmp(name, "grad.", 5) != 0) continue;
        assert_true(n->n < GOLDEN_MOST);
        const bool input = !strncmp(name, "grad.in.", 8);
        if (input) xs[n->n - 1] = golden_input(n->graph, name + 8);
        if (!input) assert_int_equal(glia_parameters(n->graph, name + 5, &xs[n->n - 1], 1), 1);
        n->of[n->n++] = name;
    }
    glia_vjp(y, dy, xs, n->n - 1, n->out + 1);
}

static inline void golden_feed(golden_net *n) {
    for (int i = 0; i < n->file.n; i++) {
        const glia_safetensor *t = &n->file.tensors[i];
        const char *name = !strncmp(t->name, "in.", 3) ? t->name + 3 : !strcmp(t->name, "dy") ? "dy" : NULL;
        void *to = name ? glia_session_input(n->session, name, NULL, NULL) : NULL;
        if (to) memcpy(to, t->data, t->bytes);
    }
}

static inline void golden_compare(const golden_net *n, double tolerance) {
    for (int k = 0; k < n->n; k++) {
        const glia_safetensor *t = golden_tensor(n, "", n->of[k]);
        glia_array a = glia_session_output(n->session, k);
        assert_true(glia_shape_equal(a.shape, t->shape));
        double worst = 0, scale = 1e-3;
        for (int64_t i = 0; i < glia_shape_count(a.shape); i++) {
            float theirs;
            memcpy(&theirs, (const char *)t->data + (size_t)i * sizeof theirs, sizeof theirs);
            worst = fmax(worst, fabs((double)((const float *)a.data)[i] - (double)theirs));
            scale = fmax(scale, fabs((double)theirs));
        }
        if (!(worst <= tolerance * scale)) {
            fail_msg("%s on %s: %s differs by %g of %g", n->path, n->name, n->of[k], worst, scale);
        }
    }
}

/* `build` makes the net in a graph whose inputs have the shapes of the file's; `tolerance` is relative to the largest
 * value. */
static inline void golden_check(const char *path, glia_tensor (*build)(glia_graph *g), const char *backend_name,
                                double tolerance) {
    glia_error error = { 0 };
    golden_net n = { .path = path, .name = backend_name, .graph = glia_graph_create() };
    glia_file bytes;
    if (glia_file_open(&bytes, path, &error)) fail_msg("%s", error.message);
    if (glia_safetensors_parse(bytes.bytes, bytes.length, &n.file, &error)) fail_msg("%s", error.message);
    glia_tensor y = build(n.graph);
    if (glia_graph_check(n.graph, &error)) fail_msg("%s: %s", path, error.message);
    golden_gradients(&n, y);
    glia_backend *backend = glia_backend_open(backend_name, 2, &error);
    n.store = glia_store_create(n.graph, 1, &error);
    glia_compile_opts opts = { .outputs = n.out, .n_outputs = n.n, .mode = GLIA_TRAIN };
    glia_program *program = glia_compile(n.graph, backend, opts, &error);
    if (!program) fail_msg("%s: %s", path, error.message);
    golden_take(&n);
    n.session = glia_session_create(program, n.store, &error);
    assert_non_null(n.session);
    golden_feed(&n);
    if (glia_session_run(n.session, &error)) fail_msg("%s: %s", path, error.message);
    golden_compare(&n, tolerance);
    glia_session_free(n.session);
    glia_program_free(program);
    glia_store_free(n.store);
    glia_backend_close(backend);
    glia_graph_free(n.graph);
    glia_safetensors_free(&n.file);
    glia_file_close(&bytes);
}

#endif
