/* Nodes and edges beside the batch: arithmetic of dimensions, inference, text, gradients, functions of three sizes. */
#include <math.h>
#include <stdio.h>

#include "run_graph.h"

#include "core/graph/graph.h"

#define N   GLIA_BATCH
#define V   GLIA_NODES
#define E   GLIA_EDGES
#define ALL GLIA_SCALAR

/* ---- dimensions ----------------------------------------------------------------------------- */

static void dimensions_multiply_and_divide(void **state) {
    (void)state;
    static const int64_t sizes[] = { N, V, E };
    for (int i = 0; i < 3; i++) {
        const int64_t s = sizes[i], other = sizes[(i + 1) % 3];
        assert_true(glia_dim_times(s, 3) == GLIA_TIMES(3, s) && glia_dim_times(3, s) == GLIA_TIMES(3, s));
        assert_true(glia_dim_times(GLIA_TIMES(3, s), 4) == GLIA_TIMES(12, s));
        assert_true(glia_dim_over(GLIA_TIMES(12, s), 4) == GLIA_TIMES(3, s));
        assert_true(glia_dim_over(GLIA_TIMES(12, s), GLIA_TIMES(4, s)) == 3);
        assert_true(glia_dim_over(GLIA_TIMES(12, s), 5) == GLIA_DIM_NONE);
        assert_true(glia_dim_over(6, GLIA_TIMES(2, s)) == GLIA_DIM_NONE);
        assert_true(glia_dim_plus(s, GLIA_TIMES(2, s)) == GLIA_TIMES(3, s));
        assert_true(glia_dim_minus(GLIA_TIMES(3, s), GLIA_TIMES(3, s)) == 0);
        assert_true(glia_dim_minus(s, GLIA_TIMES(2, s)) == GLIA_DIM_NONE);
        assert_true(glia_dim_plus(s, 1) == GLIA_PLUS_ONE(s) && glia_dim_minus(GLIA_PLUS_ONE(s), 1) == s);
        assert_true(glia_dim_minus(GLIA_PLUS_ONE(s), s) == 1);
        assert_true(glia_dim_times(GLIA_PLUS_ONE(s), 2) == GLIA_DIM_NONE);
        assert_true(glia_dim_times(GLIA_PLUS_ONE(s), 1) == GLIA_PLUS_ONE(s));
        assert_true(glia_dim_times(s, other) == GLIA_DIM_NONE && glia_dim_times(s, s) == GLIA_DIM_NONE);
        assert_true(glia_dim_plus(s, other) == GLIA_DIM_NONE && glia_dim_minus(s, other) == GLIA_DIM_NONE);
        assert_true(glia_dim_plus(s, 2) == GLIA_DIM_NONE && glia_dim_over(s, other) == GLIA_DIM_NONE);
        assert_true(glia_dim_times(s, (int64_t)1 << 48) < 0 && glia_dim_times(s, (int64_t)1 << 49) == GLIA_DIM_NONE);
    }
    const glia_sizes at = { { 2, 5, 7 } };
    assert_int_equal(glia_dim_at(GLIA_TIMES(3, N), &at), 6);
    assert_int_equal(glia_dim_at(GLIA_TIMES(3, V), &at), 15);
    assert_int_equal(glia_dim_at(GLIA_PLUS_ONE(E), &at), 8);
    assert_int_equal(glia_dim_solve(GLIA_TIMES(3, V), 15), 5);
    assert_int_equal(glia_dim_solve(GLIA_TIMES(3, V), 16), 0);
    assert_int_equal(glia_dim_solve(GLIA_PLUS_ONE(E), 8), 7);
    assert_int_equal(glia_dim_solve(GLIA_PLUS_ONE(E), 1), 0);
}

/* Arithmetic on the constants themselves gives no dimension, in place of another one. */
static void plain_products_of_sizes_are_refused(void **state) {
    (void)state;
    for (int64_t k = 2; k < 1000; k++) {
        assert_false(glia_dim_valid((int64_t)((uint64_t)V * (uint64_t)k)));
        assert_false(glia_dim_valid((int64_t)((uint64_t)E * (uint64_t)k)));
    }
    assert_false(glia_dim_valid((int64_t)((uint64_t)V + (uint64_t)E)));
    assert_false(glia_dim_valid(INT64_MIN) || glia_dim_valid(0));
    assert_true(glia_dim_valid(V) && glia_dim_valid(E) && glia_dim_valid(-7));
    glia_graph *g = glia_graph_create();
    glia_error error;
    glia_input(g, "x", GLIA_F32, GLIA_SHAPE((int64_t)((uint64_t)V * 2u), 3));
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_SHAPE);

    assert_non_null(strstr(error.message, "dimension 0 of 'x'"));
    glia_graph_free(g);
}

static void shapes_print_letters(void **state) {
    (void)state;
    char text[GLIA_SHAPE_TEXT];
    assert_string_equal(glia_shape_format(GLIA_SHAPE(V, 3, N), text), "(V, 3, N)");
    assert_string_equal(glia_shape_format(GLIA_SHAPE(GLIA_TIMES(12, E)), text), "(12E)");
    assert_string_equal(glia_shape_format(GLIA_SHAPE(GLIA_PLUS_ONE(V), GLIA_PLUS_ONE(N)), text), "(V+1, N+1)");
    assert_true(glia_shape_count(GLIA_SHAPE(2, V, 3)) == GLIA_TIMES(6, V));
    assert_true(glia_shape_count(GLIA_SHAPE(V, N)) == INT64_MIN);
}

/* ---- a net of two layers of message passing, with sums over each graph ----------------------- */

typedef struct net {
    glia_graph *graph;
    glia_tensor x, weight, columns, offsets, graphs, targets, logits, loss;
} net;

/* GCN (Kipf and Welling 2017) with edge weights, normed, with dropout; a softmax over the edges of each node; mean over
 * the nodes of each graph; labels for each graph. */
static net net_of(glia_dtype dtype, double rate) {
    net n = { .graph = glia_graph_create() };
    glia_graph *g = n.graph;
    n.x = glia_input(g, "x", dtype, GLIA_SHAPE(V, 3));
    n.weight = glia_input(g, "weight", dtype, GLIA_SHAPE(E));
    n.columns = glia_input(g, "columns", GLIA_I32, GLIA_SHAPE(E));
    n.offsets = glia_input(g, "offsets", GLIA_I32, GLIA_SHAPE(GLIA_PLUS_ONE(V)));
    n.graphs = glia_input(g, "graphs", GLIA_I32, GLIA_SHAPE(GLIA_PLUS_ONE(N)));
    n.targets = glia_input(g, "target", GLIA_I32, GLIA_SHAPE(N));
    glia_tensor h = glia_dense(n.x, "first", (glia_dense_opts){ .units = 4, .activation = GLIA_TANH });
    h = glia_layer_norm(glia_csr_matmul(n.weight, n.columns, n.offsets, h), "norm", (glia_norm_opts){ 0 });
    if (rate > 0) h = glia_dropout(h, rate);
    glia_tensor scores = glia_csr_dot(h, h, n.columns, n.offsets);
    glia_tensor shares = glia_segment_softmax(glia_reshape(scores, GLIA_SHAPE(E, 1)), n.offsets);
    glia_tensor sources = glia_gather(h, n.columns, 0);
    glia_tensor message = glia_segment_sum(glia_mul(shares, sources), n.offsets);
    glia_tensor both = glia_concat((glia_tensor[]){ h, message }, 2, 1);
    both = glia_concat((glia_tensor[]){ both, glia_segment_max(sources, n.offsets) }, 2, 1);
    n.logits = glia_dense(glia_segment_mean(both, n.graphs), "last", (glia_dense_opts){ .units = 2 });
    n.loss = glia_cross_entropy(n.logits, n.targets, 0);
    return n;
}

static bool has_shape(glia_tensor x, glia_shape shape) { return glia_shape_equal(glia_tensor_shape(x), shape); }

static void graph_nets_infer_all_sizes(void **state) {
    (void)state;
    net n = net_of(GLIA_F32, 0.5);
    glia_error error = { 0 };
    glia_tensor parameters[8], gradients[8];
    const int count = glia_parameters(n.graph, NULL, parameters, 8);
    glia_grad(n.loss, parameters, count, gradients);
    if (glia_graph_check(n.graph, &error) != GLIA_OK) fail_msg("%s", error.message);
    assert_true(has_shape(n.logits, GLIA_SHAPE(N, 2)) && has_shape(n.loss, GLIA_SCALAR));
    for (int i = 0; i < count; i++) assert_true(has_shape(gradients[i], glia_tensor_shape(parameters[i])));
    glia_graph_free(n.graph);
}

static void operations_keep_nodes_and_edges(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_error error = { 0 };
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(V, 6)), e = glia_input(g, "e", GLIA_F32, GLIA_SHAPE(E, 6));
    glia_tensor at = glia_input(g, "at", GLIA_I32, GLIA_SHAPE(E));
    assert_true(has_shape(glia_gather(x, at, 0), GLIA_SHAPE(E, 6)));
    assert_true(has_shape(glia_scatter_add(e, at, 0, V), GLIA_SHAPE(V, 6)));
    assert_true(has_shape(glia_flatten(glia_reshape(x, GLIA_SHAPE(V, 2, 3))), GLIA_SHAPE(V, 6)));
    assert_true(has_shape(glia_reshape(x, GLIA_SHAPE(0, 2)), GLIA_SHAPE(GLIA_TIMES(3, V), 2)));
    assert_true(has_shape(glia_reshape(x, GLIA_SHAPE(GLIA_TIMES(2, V), 0)), GLIA_SHAPE(GLIA_TIMES(2, V), 3)));
    assert_true(has_shape(glia_concat((glia_tensor[]){ x, x }, 2, 0), GLIA_SHAPE(GLIA_TIMES(2, V), 6)));
    assert_true(has_shape(glia_sum(x, GLIA_SHAPE(0), false), GLIA_SHAPE(6)));
    assert_true(has_shape(glia_mean(x, GLIA_SHAPE(1), true), GLIA_SHAPE(V, 1)));
    assert_true(has_shape(glia_softmax(x, 0), GLIA_SHAPE(V, 6)));
    assert_true(has_shape(glia_batch_norm(x, "bn", (glia_norm_opts){ 0 }), GLIA_SHAPE(V, 6)));
    assert_true(has_shape(glia_matmul_transposed(x, false, x, true), GLIA_SHAPE(V, V)));
    assert_true(
        has_shape(glia_embedding(at, "table", (glia_embedding_opts){ .vocabulary = 9, .units = 5 }), GLIA_SHAPE(E, 5)));
    glia_tensor offsets = glia_input(g, "offsets", GLIA_I32, GLIA_SHAPE(GLIA_PLUS_ONE(V)));
    assert_true(has_shape(glia_slice(offsets, GLIA_SHAPE(0), GLIA_SHAPE(V), ALL), GLIA_SHAPE(V)));
    assert_true(has_shape(glia_cast(offsets, GLIA_F32), GLIA_SHAPE(GLIA_PLUS_ONE(V))));
    assert_true(
        has_shape(glia_csr_matmul_transposed(
                      glia_slice(glia_reshape(e, GLIA_SHAPE(0)), GLIA_SHAPE(0), GLIA_SHAPE(E), ALL), at, offsets, x, N),
                  GLIA_SHAPE(N, 6)));
    if (glia_graph_check(g, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_graph_free(g);
}

static void expect_error(glia_graph *g, const char *words) {
    glia_error error = { 0 };
    assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
    if (!strstr(error.message, words)) fail_msg("'%s' does not say '%s'", error.message, words);
    glia_graph_free(g);
}

static void mixed_sizes_are_refused(void **state) {
    (void)state;
    for (int k = 0; k < 7; k++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(V, 4)),
                    y = glia_input(g, "y", GLIA_F32, GLIA_SHAPE(E, 4));
        glia_tensor each = glia_input(g, "each", GLIA_F32, GLIA_SHAPE(N, V)), pair[2] = { x, y };
        glia_tensor wrong = glia_input(g, "wrong", GLIA_I32, GLIA_SHAPE(V));
        switch (k) {
        case 0: glia_add(x, y), expect_error(g, "(V, 4) and (E, 4)"); break;
        case 1: glia_concat(pair, 2, 0), expect_error(g, "cannot be added"); break;
        case 2: glia_reshape(each, GLIA_SHAPE(0)), expect_error(g, "(N, V) are no multiple of one size"); break;
        case 3: glia_reshape(x, GLIA_SHAPE(GLIA_TIMES(4, E))), expect_error(g, "another number of elements"); break;
        case 4: glia_segment_sum(y, wrong), expect_error(g, "GLIA_PLUS_ONE(GLIA_NODES)"); break;
        case 5:
            glia_slice(x, GLIA_SHAPE(0, 0), GLIA_SHAPE(E, 4), ALL), expect_error(g, "[0 : E : 1] is not in axis 0");
            break;
        default: glia_flatten(glia_reshape(x, GLIA_SHAPE(N, 0))), expect_error(g, "in place of the 0"); break;
        }
    }
}

/* Sizes that must be fixed are not, in layers that multiply them. */
static void layers_name_sizes_that_must_be_fixed(void **state) {
    (void)state;
    for (int k = 0; k < 7; k++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(N, 4, V, 3)),
                    y = glia_permute(x, GLIA_SHAPE(0, 1, 3, 2));
        glia_tensor kernel = glia_input(g, "k", GLIA_F32, GLIA_SHAPE(4, V, 3, 3));
        switch (k) {
        case 0: glia_dense(y, "d", (glia_dense_opts){ .units = 2 }), expect_error(g, "fixed F"); break;
        case 1:
            glia_conv2d(x, "c", (glia_conv_opts){ .filters = 2, .kernel = 3 }), expect_error(g, "size cannot be V");
            break;
        case 2: glia_conv_transposed(x, kernel, (glia_conv_window){ 0 }, ALL), expect_error(g, "conv"); break;
        case 3: glia_max_pool(x, (glia_pool_opts){ 0 }), expect_error(g, "size cannot be V"); break;
        case 4: glia_group_norm(x, "n", 2, (glia_norm_opts){ 0 }), expect_error(g, "sizes but N fixed"); break;
        case 5: glia_layer_norm(y, "n", (glia_norm_opts){ 0 }), expect_error(g, "fixed F"); break;
        default: glia_upsample_nearest(x, 2), expect_error(g, "conv"); break;
        }
    }
}

/* ---- text ------------------------------------------------------------------------------------ */

static void texts_keep_all_sizes(void **state) {
    (void)state;
    net n = net_of(GLIA_F32, 0.5);
    glia_tensor parameters[8], gradients[8];
    glia_grad(n.loss, parameters, glia_parameters(n.graph, NULL, parameters, 8), gradients);
    glia_reshape(n.x, GLIA_SHAPE(GLIA_TIMES(3, V)));
    glia_text once = { 0 }, twice = { 0 };
    glia_error error = { 0 };
    glia_graph_print(n.graph, &once);
    assert_non_null(strstr(once.bytes, "shape=(V+1)} : i32(V+1)"));
    assert_non_null(strstr(once.bytes, "shape=(3V)} : f32(3V)"));
    assert_non_null(strstr(once.bytes, "i32(N+1)"));
    glia_graph *again = glia_graph_parse(once.bytes, once.length, &error);
    if (!again) fail_msg("%s", error.message);
    glia_graph_print(again, &twice);
    assert_string_equal(once.bytes, twice.bytes);
    free(once.bytes), free(twice.bytes);
    glia_graph_free(again);
    glia_graph_free(n.graph);
}

#define LINE(shape) "glia graph 2\n%0 = input() {name=\"x\", shape=" shape "} : f32" shape "\n"
static const struct {
    const char *text, *says;
} hostile[] = {
    { LINE("(W)"), "a whole number is expected" },
    { LINE("(0V)"), "a size of no batches" },
    { LINE("(-2E)"), "a size of no batches" },
    { LINE("(V+2)"), "only 1 can be added" },
    { LINE("(V+)"), "a whole number is expected" },
    { LINE("(V+1+1)"), "',' is expected" },
    { LINE("(VE)"), "',' is expected" },
    { LINE("(281474976710657V)"), "too large" },
    { LINE("(9223372036854775807E)"), "too large" },
    { LINE("(-8975863087361916929)"), "a negative size" },
    { LINE("(281474976710656V, 2)"), "empty or too large" },
    { LINE("(V, 3)") "%1 = reshape(%0) {shape=(3E)} : f32(3E)\n", "another number of elements" },
    { LINE("(N, V)") "%1 = reshape(%0) {shape=(2V)} : f32(2V)\n", "no multiple of one size" },
    { LINE("(V)") "%1 = slice(%0) {start=(E), stop=(V), step=[1]} : f32(V)\n", "is not in axis 0" },
    { LINE("(V)") "%1 = pad(%0) {before=(E), after=(0), between=[0]} : f32(V)\n", "cannot take E before" },
};

static void hostile_sizes_are_rejected(void **state) {
    (void)state;
    for (int i = 0; i < GLIA_COUNT(hostile); i++) {
        glia_error error = { 0 };
        glia_graph *g = glia_graph_parse(hostile[i].text, strlen(hostile[i].text), &error);
        if (g) fail_msg("accepted: %s", hostile[i].text);
        if (!strstr(error.message, hostile[i].says)) fail_msg("'%s' should say '%s'", error.message, hostile[i].says);
    }
}

/* ---- running ---------------------------------------------------------------------------------- */

enum { MOST = 64 };

typedef struct batch {
    int64_t n, v, e;
    float x[MOST * 3], weight[MOST];
    double dx[MOST * 3], dweight[MOST];
    int32_t columns[MOST], offsets[MOST + 1], graphs[MOST + 1], target[MOST];
} batch;

static batch batch_of(int64_t n, int64_t v, int64_t e) {
    batch b = { .n = n, .v = v, .e = e };
    for (int i = 0; i < v * 3; i++) b.x[i] = (float)(b.dx[i] = (double)(float)sin(1.3 * i));
    for (int i = 0; i < e; i++)
        b.weight[i] = (float)(b.dweight[i] = (double)(float)cos(0.7 * i)), b.columns[i] = (int32_t)(i * 5 % v);
    for (int i = 0; i <= v; i++) b.offsets[i] = (int32_t)(i * e / v);
    for (int i = 0; i <= n; i++) b.graphs[i] = (int32_t)(i * v / n);
    for (int i = 0; i < n; i++) b.target[i] = i % 2;
    return b;
}

static void arrays_of(batch *b, bool wide, glia_array *in) {
    const glia_dtype dtype = wide ? GLIA_F64 : GLIA_F32;
    in[0] = (glia_array){ "x", dtype, GLIA_SHAPE(b->v, 3), wide ? (void *)b->dx : b->x, false };
    in[1] = (glia_array){ "weight", dtype, GLIA_SHAPE(b->e), wide ? (void *)b->dweight : b->weight, false };
    in[2] = (glia_array){ "columns", GLIA_I32, GLIA_SHAPE(b->e), b->columns, false };
    in[3] = (glia_array){ "offsets", GLIA_I32, GLIA_SHAPE(b->v + 1), b->offsets, false };
    in[4] = (glia_array){ "graphs", GLIA_I32, GLIA_SHAPE(b->n + 1), b->graphs, false };
    in[5] = (glia_array){ "target", GLIA_I32, GLIA_SHAPE(b->n), b->target, false };
}

/* The first output of a function of these arrays, with or without labels. */
static double call_of(glia_function *f, batch *b, bool wide, int n, glia_array *outputs) {
    glia_array in[6];
    glia_error error = { 0 };
    arrays_of(b, wide, in);
    if (glia_function_call(f, in, n, outputs, &error) != GLIA_OK) fail_msg("%s", error.message);
    return wide ? *(double *)outputs[0].data : *(float *)outputs[0].data;
}

static double call(glia_function *f, batch *b, bool wide, glia_array *outputs) {
    return call_of(f, b, wide, 6, outputs);
}

/* The gradient in the weights of edges, in the features of nodes and in a parameter, against differences, of one graph
 * at several sizes. */
static void gradients_are_right_at_all_sizes(void **state) {
    (void)state;
    static const int64_t sizes[][3] = { { 1, 3, 4 }, { 2, 5, 9 }, { 3, 7, 7 } };
    glia_error error = { 0 };
    net n = net_of(GLIA_F64, 0);
    glia_tensor kernel, xs[3] = { n.x, n.weight, NULL }, outputs[4] = { n.loss };
    assert_int_equal(glia_parameters(n.graph, "first/kernel", &kernel, 1), 1);
    xs[2] = kernel;
    glia_grad(n.loss, xs, 3, outputs + 1);
    glia_backend *backend = glia_backend_open("ref", 1, &error);
    glia_store *store = glia_store_create(n.graph, 3, &error);
    glia_function *f = glia_function_create(n.graph, backend, store,
                                            (glia_function_opts){ .outputs = outputs, .n_outputs = 4 }, &error);
    if (!f) fail_msg("%s", error.message);
    glia_array w;
    assert_true(glia_store_find(store, "first/kernel", &w));
    for (int k = 0; k < GLIA_COUNT(sizes); k++) {
        batch b = batch_of(sizes[k][0], sizes[k][1], sizes[k][2]);
        glia_array out[4];
        double want[3][MOST * 3];
        call(f, &b, true, out);
        double *at[3] = { b.dx, b.dweight, w.data };
        assert_true(glia_shape_equal(out[1].shape, GLIA_SHAPE(b.v, 3)) &&
                    glia_shape_equal(out[2].shape, GLIA_SHAPE(b.e)));
        for (int i = 0; i < 3; i++)
            memcpy(want[i], out[i + 1].data, (size_t)glia_shape_count(out[i + 1].shape) * sizeof(double));
        const int64_t counts[3] = { b.v * 3, b.e, 12 };
        for (int i = 0; i < 3; i++) {
            for (int64_t j = 0; j < counts[i]; j++) {
                const double before = at[i][j], h = 1e-5;
                at[i][j] = before + h;
                const double above = call(f, &b, true, out);
                at[i][j] = before - h;
                const double slope = (above - call(f, &b, true, out)) / (2 * h);
                at[i][j] = before;
                if (fabs(slope - want[i][j]) > 1e-6 + 1e-5 * fabs(slope))
                    fail_msg("size %d, input %d, element %d: %g, not %g", k, i, (int)j, want[i][j], slope);
            }
        }
    }
    glia_function_free(f);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(n.graph);
}

/* Both backends agree at more triples of sizes than are kept, in any order, and a training step changes parameters. */
static void functions_run_at_changing_sizes(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {
        { 1, 3, 4 }, { 2, 3, 4 }, { 2, 5, 4 }, { 2, 5, 9 }, { 4, 9, 30 }, { 3, 30, 64 }
    };
    double losses[2][24];
    for (int k = 0; k < 2; k++) {
        glia_error error = { 0 };
        net n = net_of(GLIA_F32, 0);
        glia_minimize(n.loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.05 }, NULL, NULL);
        glia_backend *backend = glia_backend_open(k ? "cpu" : "ref", 2, &error);
        glia_store *store = glia_store_create(n.graph, 3, &error);
        const glia_tensor outputs[] = { n.loss, n.logits };
        glia_function *f = glia_function_create(
            n.graph, backend, store, (glia_function_opts){ .outputs = outputs, .n_outputs = 2, .mode = GLIA_TRAIN },
            &error);
        if (!f) fail_msg("%s", error.message);
        for (int step = 0; step < 24; step++) {
            const int64_t *s = sizes[step * 5 % GLIA_COUNT(sizes)];
            batch b = batch_of(s[0], s[1], s[2]);
            glia_array out[2];
            losses[k][step] = call(f, &b, false, out);
            assert_true(glia_shape_equal(out[1].shape, GLIA_SHAPE(s[0], 2)));
        }
        assert_true(fabs(losses[k][18] - losses[k][0]) > 1e-3); /* the same batch after 18 steps */
        glia_function_free(f);
        glia_store_free(store);
        glia_backend_close(backend);
        glia_graph_free(n.graph);
    }
    for (int i = 0; i < 24; i++) assert_true(fabs(losses[0][i] - losses[1][i]) < 1e-4 * fabs(losses[0][i]) + 1e-5);
}

static void wrong_sizes_are_named(void **state) {
    (void)state;
    glia_error error = { 0 };
    net n = net_of(GLIA_F32, 0);
    glia_backend *backend = glia_backend_open("ref", 1, &error);
    glia_store *store = glia_store_create(n.graph, 3, &error);
    glia_function *f = glia_function_create(n.graph, backend, store,
                                            (glia_function_opts){ .outputs = &n.loss, .n_outputs = 1 }, &error);
    static const struct {
        int input;
        int64_t size;
        const char *says;
    } wrong[] = {
        { 2, 8, "'columns' (E) has 8 edges, the inputs before it 9" },
        { 3, 5, "'offsets' (V+1) has 4 nodes, the inputs before it 5" },
        { 5, 3, "'target' (N) has 3 samples, the inputs before it 2" },
        { 4, 1, "'graphs' is i32(N+1) and cannot take i32(1)" },
    };
    batch b = batch_of(2, 5, 9);
    glia_array in[6], out;
    for (int i = 0; i < GLIA_COUNT(wrong); i++) {
        arrays_of(&b, false, in);
        in[wrong[i].input].shape.dim[0] = wrong[i].size;
        assert_int_equal(glia_function_call(f, in, 6, &out, &error), GLIA_E_SHAPE);
        if (!strstr(error.message, wrong[i].says)) fail_msg("'%s' does not say '%s'", error.message, wrong[i].says);
    }
    glia_compile_opts opts = { .outputs = &n.loss, .n_outputs = 1, .nodes = -1 };
    assert_null(glia_compile(n.graph, backend, opts, &error));
    assert_non_null(strstr(error.message, "nodes"));
    glia_function_free(f);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(n.graph);
}

/* Edges behind the last offset, and nodes and graphs without edges, change nothing: a batch padded to larger sizes. */
static void padding_adds_nothing(void **state) {
    (void)state;
    glia_error error = { 0 };
    net n = net_of(GLIA_F32, 0);
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_store *store = glia_store_create(n.graph, 3, &error);
    glia_function *f = glia_function_create(n.graph, backend, store,
                                            (glia_function_opts){ .outputs = &n.logits, .n_outputs = 1 }, &error);
    batch b = batch_of(2, 5, 9);
    glia_array out;
    float first[4];
    call_of(f, &b, false, 5, &out);
    memcpy(first, out.data, sizeof first);
    batch padded = batch_of(3, 8, 16);
    memcpy(padded.offsets, b.offsets, sizeof b.offsets);
    memcpy(padded.columns, b.columns, sizeof b.columns);
    for (int i = 6; i <= 8; i++) padded.offsets[i] = 9;
    memcpy(padded.graphs, b.graphs, sizeof b.graphs);
    padded.graphs[3] = 8;
    call_of(f, &padded, false, 5, &out);
    for (int i = 0; i < 4; i++) assert_true(fabsf(((float *)out.data)[i] - first[i]) < 1e-6f);
    glia_function_free(f);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(n.graph);
}

/* Recurrent layers and loops over the steps of each node. */
static void sequences_may_belong_to_nodes(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        glia_graph *g = glia_graph_create();
        glia_error error = { 0 };
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(V, 4, 3)), y;
        if (k == 0) {
            y = glia_gru(x, "gru", (glia_recurrent_opts){ .units = 5, .last_only = true });
        } else {
            glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ 0 });
            glia_tensor step = glia_loop_input(loop, x), h = glia_loop_state_zeros(loop, GLIA_SHAPE(5));
            glia_loop_next(loop, h,
                           glia_tanh(glia_add(glia_dense(step, "in", (glia_dense_opts){ .units = 5 }),
                                              glia_dense(h, "h", (glia_dense_opts){ .units = 5 }))));
            glia_loop_end(loop, NULL, 0, NULL);
            y = glia_loop_last(loop, h);
        }
        if (glia_graph_check(g, &error) != GLIA_OK) fail_msg("%s", error.message);
        assert_true(has_shape(y, GLIA_SHAPE(V, 5)));
        glia_tensor loss = glia_mean(glia_square(y), ALL, false), outputs[2] = { loss };
        glia_minimize(loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.5 }, NULL, NULL);
        glia_grad(loss, &x, 1, &outputs[1]);
        if (glia_graph_check(g, &error) != GLIA_OK) fail_msg("%s", error.message);
        glia_backend *backend = glia_backend_open("cpu", 1, &error);
        glia_store *store = glia_store_create(g, 1, &error);
        glia_function *f = glia_function_create(
            g, backend, store, (glia_function_opts){ .outputs = outputs, .n_outputs = 2, .mode = GLIA_TRAIN }, &error);
        float data[72], before = 0;
        for (int i = 0; i < 72; i++) data[i] = (float)sin(i);
        for (int step = 0; step < 12; step++) {
            const int64_t nodes = 1 + step % 6;
            glia_array in = { "x", GLIA_F32, GLIA_SHAPE(nodes, 4, 3), data, false }, out[2];
            if (glia_function_call(f, &in, 1, out, &error) != GLIA_OK) fail_msg("%s", error.message);
            assert_true(glia_shape_equal(out[1].shape, in.shape));
            if (step == 5) before = *(float *)out[0].data;
            if (step == 11) assert_true(*(float *)out[0].data < before);
        }
        glia_function_free(f);
        glia_store_free(store);
        glia_backend_close(backend);
        glia_graph_free(g);
    }
}

static void models_of_graphs_have_a_summary(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_model *model = glia_model_create("graphs", &error);
    glia_graph *g = glia_model_graph(model);
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(V, 3)),
                columns = glia_input(g, "columns", GLIA_I32, GLIA_SHAPE(E));
    glia_tensor offsets = glia_input(g, "offsets", GLIA_I32, GLIA_SHAPE(GLIA_PLUS_ONE(V)));
    glia_tensor h = glia_dense(x, "hidden", (glia_dense_opts){ .units = 4, .activation = GLIA_RELU });
    h = glia_segment_mean(glia_gather(h, columns, 0), offsets);
    glia_model_output(model, "classes", glia_dense(h, "classes", (glia_dense_opts){ .units = 3 }));
    assert_int_equal(glia_model_save(model, "graphs.safetensors", &error), GLIA_OK);
    glia_model_free(model);
    model = glia_model_load("graphs.safetensors", &error);
    if (!model) fail_msg("%s", error.message);
    char *text = glia_model_summary(model, 10, &error);
    if (!text) fail_msg("%s", error.message);
    if (!strstr(text, "(V, 4)") || !strstr(text, "(E)")) fail_msg("%s", text);
    if (!strstr(text, "in batches of 10, 10 nodes, 10 edges") || strstr(text, "not possible")) fail_msg("%s", text);
    free(text);
    glia_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dimensions_multiply_and_divide),
        cmocka_unit_test(plain_products_of_sizes_are_refused),
        cmocka_unit_test(shapes_print_letters),
        cmocka_unit_test(graph_nets_infer_all_sizes),
        cmocka_unit_test(operations_keep_nodes_and_edges),
        cmocka_unit_test(mixed_sizes_are_refused),
        cmocka_unit_test(layers_name_sizes_that_must_be_fixed),
        cmocka_unit_test(texts_keep_all_sizes),
        cmocka_unit_test(hostile_sizes_are_rejected),
        cmocka_unit_test(gradients_are_right_at_all_sizes),
        cmocka_unit_test(functions_run_at_changing_sizes),
        cmocka_unit_test(wrong_sizes_are_named),
        cmocka_unit_test(padding_adds_nothing),
        cmocka_unit_test(sequences_may_belong_to_nodes),
        cmocka_unit_test(models_of_graphs_have_a_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
