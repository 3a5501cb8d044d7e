/* test_graph_layers.c - layers of graph nets against PyTorch Geometric; permuted nodes and batches give the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "asserts.h"
#include "glia/graphs.h"
#include "golden_net.h"

enum { NODES = 7, FEATURES = 5, UNITS = 4, HEADS = 3, LOOPS = 18, EDGES = 11 };

/* Inputs of the golden files, which have fixed sizes. */
static glia_edges edges_of(glia_graph *g, int64_t n, bool weighted) {
    glia_edges e = { .sources = glia_input(g, "edges/sources", GLIA_I32, GLIA_SHAPE(n)),
                     .offsets = glia_input(g, "edges/offsets", GLIA_I32, GLIA_SHAPE(NODES + 1)) };
    if (weighted) e.weights = glia_input(g, "edges/weights", GLIA_F32, GLIA_SHAPE(n));
    return e;
}
static glia_tensor nodes_of(glia_graph *g) { return glia_input(g, "x", GLIA_F32, GLIA_SHAPE(NODES, FEATURES)); }
static glia_tensor starts_of(glia_graph *g) { return glia_input(g, "starts", GLIA_I32, GLIA_SHAPE(3)); }

static const glia_node_opts units = { .units = UNITS };

static glia_tensor gcn(glia_graph *g) { return glia_gcn(nodes_of(g), edges_of(g, LOOPS, true), "g", units); }
static glia_tensor gat(glia_graph *g) {
    return glia_gat(nodes_of(g), edges_of(g, LOOPS, false), "g", (glia_gat_opts){ .node = units, .heads = HEADS });
}
static glia_tensor gat_mean(glia_graph *g) {
    return glia_gat(nodes_of(g), edges_of(g, LOOPS, false), "g",
                    (glia_gat_opts){ .node = units, .heads = HEADS, .average = true });
}
static glia_tensor gatv2(glia_graph *g) {
    return glia_gat(nodes_of(g), edges_of(g, LOOPS, false), "g",
                    (glia_gat_opts){ .node = units, .heads = HEADS, .v2 = true });
}
static glia_tensor sage_mean(glia_graph *g) {
    return glia_sage(nodes_of(g), edges_of(g, EDGES, false), "g", (glia_sage_opts){ .node = units });
}
static glia_tensor sage_norm(glia_graph *g) {
    return glia_sage(nodes_of(g), edges_of(g, EDGES, false), "g", (glia_sage_opts){ .node = units, .normalize = true });
}
static glia_tensor sage_pool(glia_graph *g) {
    return glia_sage(nodes_of(g), edges_of(g, EDGES, false), "g", (glia_sage_opts){ .node = units, .pool = true });
}
static glia_tensor gin(glia_graph *g) {
    glia_tensor h = glia_gin_sum(nodes_of(g), edges_of(g, EDGES, false), "g", true);
    h = glia_dense(h, "g1", (glia_dense_opts){ .units = UNITS, .activation = GLIA_RELU });
    return glia_dense(h, "g2", (glia_dense_opts){ .units = UNITS });
}
static glia_tensor edge_conv(glia_graph *g) {
    glia_tensor a = glia_input(g, "edges/x", GLIA_F32, GLIA_SHAPE(EDGES, 2));
    glia_tensor theta = glia_dense(a, "theta", (glia_dense_opts){ .units = FEATURES * UNITS });
    return glia_edge_conv(nodes_of(g), edges_of(g, EDGES, false), theta, "g", UNITS);
}
static glia_tensor rgcn(glia_graph *g) {
    glia_tensor types = glia_input(g, "edges/types", GLIA_I32, GLIA_SHAPE(EDGES));
    return glia_rgcn(nodes_of(g), edges_of(g, EDGES, false), types, 3, "g", UNITS);
}
static glia_tensor sgc(glia_graph *g) {
    return glia_node_dense(glia_smooth(nodes_of(g), edges_of(g, LOOPS, true), 2), "g", units);
}
static glia_tensor appnp(glia_graph *g) { return glia_appnp(nodes_of(g), edges_of(g, LOOPS, true), 3, 0.1); }
static glia_tensor lightgcn(glia_graph *g) { return glia_lightgcn(nodes_of(g), edges_of(g, EDGES, true), 2); }
static glia_tensor graph_norm(glia_graph *g) { return glia_graph_norm(nodes_of(g), starts_of(g), "g"); }
static glia_tensor read_sum(glia_graph *g) { return glia_read_out(nodes_of(g), starts_of(g), GLIA_READ_SUM, NULL); }
static glia_tensor read_mean(glia_graph *g) { return glia_read_out(nodes_of(g), starts_of(g), GLIA_READ_MEAN, NULL); }
static glia_tensor read_max(glia_graph *g) { return glia_read_out(nodes_of(g), starts_of(g), GLIA_READ_MAX, NULL); }
static glia_tensor read_attention(glia_graph *g) {
    return glia_read_out(nodes_of(g), starts_of(g), GLIA_READ_ATTENTION, "g");
}
static glia_tensor set2set(glia_graph *g) { return glia_set2set(nodes_of(g), starts_of(g), 3, "g"); }

static void layers_are_those_of_pytorch_geometric(void **state) {
    (void)state;
    static const struct {
        const char *name;
        glia_tensor (*build)(glia_graph *g);
    } cases[] = { { "gcn", gcn },
                  { "gat", gat },
                  { "gat_mean", gat_mean },
                  { "gatv2", gatv2 },
                  { "sage_mean", sage_mean },
                  { "sage_norm", sage_norm },
                  { "sage_pool", sage_pool },
                  { "gin", gin },
                  { "edge_conv", edge_conv },
                  { "rgcn", rgcn },
                  { "sgc", sgc },
                  { "appnp", appnp },
                  { "lightgcn", lightgcn },
                  { "graph_norm", graph_norm },
                  { "read_sum", read_sum },
                  { "read_mean", read_mean },
                  { "read_max", read_max },
                  { "read_attention", read_attention },
                  { "set2set", set2set } };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/graphs/%s.safetensors", GLIA_GOLDEN_DIR, cases[i].name);
        golden_check(path, cases[i].build, "ref", 1e-5);
        golden_check(path, cases[i].build, "cpu", 1e-5);
    }
}

/* ---- identities --------------------------------------------------------------------------------------- */

/* A net of all kinds of layers on any number of nodes and graphs. */
static glia_tensor build_all(glia_graph *g, glia_tensor *of_graphs) {
    glia_edges e = glia_edges_input(g, true);
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_NODES, FEATURES));
    glia_tensor starts = glia_input(g, "starts", GLIA_I32, GLIA_SHAPE(GLIA_PLUS_ONE(GLIA_BATCH)));
    glia_tensor a = glia_relu(glia_gcn(x, e, "gcn", units));
    glia_tensor b = glia_elu(glia_gat(a, e, "gat", (glia_gat_opts){ .node = units, .heads = 2 }), 1);
    glia_tensor c = glia_sage(b, e, "sage", (glia_sage_opts){ .node = units, .pool = true });
    glia_tensor d = glia_graph_norm(glia_gin_sum(c, e, "gin", true), starts, "norm");
    glia_tensor all[] = { a, c, d };
    glia_tensor y = glia_jumping_knowledge(all, 3, GLIA_JUMP_CONCAT);
    *of_graphs = glia_read_out(y, starts, GLIA_READ_ATTENTION, "read");
    return y;
}

typedef struct net {
    glia_graph *g;
    glia_backend *backend;
    glia_store *store;
    glia_function *f;
} net;

static net open_net(int threads) {
    glia_error error;
    net n = { .g = glia_graph_create() };
    glia_tensor out[2];
    out[0] = build_all(n.g, &out[1]);
    n.backend = glia_backend_open("cpu", threads, &error);
    n.store = glia_store_create(n.g, 5, &error);
    if (!n.store) fail_msg("%s", error.message);
    n.f = glia_function_create(n.g, n.backend, n.store, (glia_function_opts){ .outputs = out, .n_outputs = 2 }, &error);
    if (!n.f) fail_msg("%s", error.message);
    return n;
}

static void close_net(net *n) {
    glia_function_free(n->f);
    glia_store_free(n->store);
    glia_backend_close(n->backend);
    glia_graph_free(n->g);
}

/* Writes (V, 12) and (graphs, 12). */
static void answer(net *n, const glia_graph_data *d, float *of_nodes, float *of_graphs) {
    glia_error error;
    glia_array x, out[2];
    float *weights = malloc((size_t)glia_graph_data_edges(d) * sizeof *weights);
    assert_int_equal(glia_graph_data_weights(d, GLIA_EDGES_SYMMETRIC, weights, &error), GLIA_OK);
    assert_true(glia_graph_data_find(d, GLIA_OF_NODES, "x", &x));
    const int64_t nodes = glia_graph_data_nodes(d), edges = glia_graph_data_edges(d);
    const glia_array in[] = {
        x,
        { .name = "edges/sources",
          .dtype = GLIA_I32,
          .shape = GLIA_SHAPE(edges),
          .data = (void *)(uintptr_t)glia_graph_data_sources(d) },
        { .name = "edges/offsets",
          .dtype = GLIA_I32,
          .shape = GLIA_SHAPE(nodes + 1),
          .data = (void *)(uintptr_t)glia_graph_data_offsets(d) },
        { .name = "edges/weights", .shape = GLIA_SHAPE(edges), .data = weights },
        { .name = "starts",
          .dtype = GLIA_I32,
          .shape = GLIA_SHAPE(glia_graph_data_graphs(d) + 1),
          .data = (void *)(uintptr_t)glia_graph_data_starts(d) },
    };
    if (glia_function_call(n->f, in, 5, out, &error) != GLIA_OK) fail_msg("%s", error.message);
    memcpy(of_nodes, out[0].data, (size_t)glia_shape_count(out[0].shape) * sizeof *of_nodes);
    memcpy(of_graphs, out[1].data, (size_t)glia_shape_count(out[1].shape) * sizeof *of_graphs);
    free(weights);
}

enum { ALL = 3 * UNITS };

/* Three molecules with random features and loops. */
static glia_graph_data *some_graphs(void) {
    glia_error error;
    const char *const texts[] = { "CC(C)Oc1ccccc1", "CCO", "C1CC1N" };
    glia_graph_data *bare = glia_graph_data_smiles(texts, 3, &error);
    glia_graph_data *d = glia_graph_data_add_loops(bare, &error);
    glia_graph_data_free(bare);
    glia_array old;
    assert_true(glia_graph_data_find(d, GLIA_OF_NODES, "x", &old));
    /* another object, whose x has FEATURES numbers */
    const int64_t nodes = glia_graph_data_nodes(d), edges = glia_graph_data_edges(d);
    int32_t *to = malloc((size_t)edges * sizeof *to);
    int64_t counts[3];
    for (int64_t v = 0; v < nodes; v++)
        for (int32_t e = glia_graph_data_offsets(d)[v]; e < glia_graph_data_offsets(d)[v + 1]; e++) to[e] = (int32_t)v;
    for (int i = 0; i < 3; i++) counts[i] = glia_graph_data_starts(d)[i + 1] - glia_graph_data_starts(d)[i];
    glia_graph_data *out = glia_graph_data_create("some",
                                                  (glia_graph_edges){ .nodes = nodes,
                                                                      .edges = edges,
                                                                      .from = glia_graph_data_sources(d),
                                                                      .to = to,
                                                                      .node_counts = counts,
                                                                      .graphs = 3 },
                                                  &error);
    float x[64 * FEATURES];
    glia_rng rng = { .seed = 3 };
    for (int64_t i = 0; i < nodes * FEATURES; i++) x[i] = (float)glia_rng_normal(&rng);
    assert_int_equal(glia_graph_data_add(out, GLIA_OF_NODES, "x", GLIA_F32, GLIA_SHAPE(FEATURES), x, &error), GLIA_OK);
    free(to);
    glia_graph_data_free(d);
    return out;
}

static void a_batch_gives_what_its_graphs_give(void **state) {
    (void)state;
    net n = open_net(1);
    glia_graph_data *d = some_graphs();
    float nodes[64 * ALL], graphs[3 * ALL], node[64 * ALL], graph[ALL];
    answer(&n, d, nodes, graphs);
    for (int64_t i = 0; i < 3; i++) {
        glia_graph_data *one = glia_graph_data_select(d, &i, 1, NULL);
        answer(&n, one, node, graph);
        const int64_t first = glia_graph_data_starts(d)[i];
        for (int64_t k = 0; k < glia_graph_data_nodes(one) * ALL; k++)
            ASSERT_NEAR(node[k], nodes[first * ALL + k], 1e-5);
        for (int k = 0; k < ALL; k++) ASSERT_NEAR(graph[k], graphs[i * ALL + k], 1e-5);
        glia_graph_data_free(one);
    }
    glia_graph_data_free(d);
    close_net(&n);
}

static void permuted_nodes_give_permuted_answers(void **state) {
    (void)state;
    net n = open_net(1);
    glia_graph_data *d = some_graphs(), *one = glia_graph_data_select(d, (int64_t[]){ 0 }, 1, NULL);
    float before[16 * ALL], after[16 * ALL], graph[2][ALL];
    const int32_t order[] = { 3, 9, 1, 0, 7, 5, 2, 8, 6, 4 };
    glia_graph_data *other = glia_graph_data_induce(one, order, 10, NULL);
    assert_int_equal(glia_graph_data_nodes(one), 10);
    assert_int_equal(glia_graph_data_edges(one), glia_graph_data_edges(other));
    answer(&n, one, before, graph[0]);
    answer(&n, other, after, graph[1]);
    for (int i = 0; i < 10; i++)
        for (int k = 0; k < ALL; k++) ASSERT_NEAR(after[i * ALL + k], before[order[i] * ALL + k], 1e-5);
    for (int k = 0; k < ALL; k++) ASSERT_NEAR(graph[0][k], graph[1][k], 1e-5);
    glia_graph_data_free(other);
    glia_graph_data_free(one);
    glia_graph_data_free(d);
    close_net(&n);
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    glia_graph_data *d = some_graphs();
    float nodes[2][64 * ALL] = { { 0 } }, graphs[2][3 * ALL];
    const int threads[] = { 1, 2, 3, 8 };
    for (int i = 0; i < 4; i++) {
        net n = open_net(threads[i]);
        answer(&n, d, nodes[i > 0], graphs[i > 0]);
        assert_memory_equal(nodes[0], nodes[i > 0], sizeof nodes[0]);
        assert_memory_equal(graphs[0], graphs[i > 0], sizeof graphs[0]);
        close_net(&n);
    }
    glia_graph_data_free(d);
}

static void edges_are_dropped_in_training_only(void **state) {
    (void)state;
    glia_error error;
    glia_graph_data *d = some_graphs();
    const int64_t edges = glia_graph_data_edges(d);
    glia_graph *g = glia_graph_create();
    glia_edges e = glia_edge_dropout(glia_edges_constant(g, d, GLIA_EDGES_PLAIN), 0.5);
    glia_tensor y = glia_mul_scalar(e.weights, 2);
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_store *store = glia_store_create(g, 1, &error);
    for (int training = 0; training < 2; training++) {
        const glia_function_opts opts = { .outputs = &y, .n_outputs = 1, .mode = training ? GLIA_TRAIN : GLIA_INFER };
        glia_function *f = glia_function_create(g, backend, store, opts, &error);
        glia_array out;
        if (!f || glia_function_call(f, NULL, 0, &out, &error)) fail_msg("%s", error.message);
        int64_t kept = 0;
        for (int64_t i = 0; i < edges; i++) {
            const float w = ((float *)out.data)[i];
            assert_true(w == 0 || w == 2);
            kept += w > 0;
        }
        if (training)
            assert_in_range(kept, edges / 5, edges * 4 / 5);
        else
            assert_int_equal(kept, edges);
        glia_function_free(f);
    }
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
    glia_graph_data_free(d);
}

static void assert_graph_says(glia_graph *g, const char *part) {
    glia_error error;
    assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
    if (!strstr(error.message, part)) fail_msg("\"%s\" does not have \"%s\"", error.message, part);
    glia_graph_free(g);
}

static void mistakes_are_named(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_gcn(nodes_of(g), edges_of(g, EDGES, false), "conv1", (glia_node_opts){ 0 });
    assert_graph_says(g, "conv1: gcn of (7, 5): x must be (V, F)");
    g = glia_graph_create();
    glia_gat(nodes_of(g), edges_of(g, EDGES, false), "a", (glia_gat_opts){ .node = units, .heads = -1 });
    assert_graph_says(g, "-1 heads");
    g = glia_graph_create();
    glia_tensor x = nodes_of(g);
    glia_edge_conv(x, edges_of(g, EDGES, false), x, "e", UNITS);
    assert_graph_says(g, "theta must be (E, 20)");
    g = glia_graph_create();
    x = nodes_of(g);
    glia_rgcn(x, edges_of(g, EDGES, false), x, 0, "r", UNITS);
    assert_graph_says(g, "0 relations");
    g = glia_graph_create();
    glia_set2set(nodes_of(g), starts_of(g), 0, "s");
    assert_graph_says(g, "0 steps");
    g = glia_graph_create();
    glia_edges_constant(g, NULL, GLIA_EDGES_PLAIN);
    assert_graph_says(g, "needs data with edges");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_those_of_pytorch_geometric),
        cmocka_unit_test(a_batch_gives_what_its_graphs_give),
        cmocka_unit_test(permuted_nodes_give_permuted_answers),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(edges_are_dropped_in_training_only),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
