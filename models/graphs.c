/* graphs.c - nets on graphs: classes of nodes for the method "nodes", answers for whole graphs for "graphs". */
#include <stdio.h>

#include "builders.h"

static glia_tensor dropped(glia_tensor x, glia_node_opts *o, double rate) {
    if (!x) o->sparse.values = glia_dropout(o->sparse.values, rate);
    return x ? glia_dropout(x, rate) : NULL;
}

static void answer(glia_model *model, glia_tensor y) { glia_model_output(model, "answer", y); }

/* Kipf and Welling 2017. */
static void build_gcn(glia_model *model, glia_graph_sizes s, int hidden) {
    glia_tensor x;
    glia_node_opts o = glia_model_nodes(model, s, hidden, &x);
    glia_edges e = glia_model_edges(model, GLIA_EDGES_SYMMETRIC, true);
    o.no_bias = true; /* as in the authors' code */
    x = dropped(x, &o, 0.5);
    glia_tensor h = glia_dropout(glia_relu(glia_gcn(x, e, "conv1", o)), 0.5);
    answer(model, glia_gcn(h, e, "conv2", (glia_node_opts){ .units = s.outputs, .no_bias = true }));
}

void glia_build_gcn(glia_model *model, glia_graph_sizes s) { build_gcn(model, s, 16); }
void glia_build_gcn_64(glia_model *model, glia_graph_sizes s) { build_gcn(model, s, 64); }

/* Veličković et al. 2018: 8 heads of 8, then one for each class. */
static void build_gat(glia_model *model, glia_graph_sizes s, bool v2) {
    glia_tensor x;
    glia_node_opts o = glia_model_nodes(model, s, 8, &x);
    glia_edges e = glia_model_edges(model, GLIA_EDGES_PLAIN, true);
    x = dropped(x, &o, 0.6);
    const glia_gat_opts first = { .node = o, .heads = 8, .dropout = 0.6, .v2 = v2 };
    const glia_gat_opts last = {
        .node = { .units = s.outputs }, .heads = 1, .average = true, .dropout = 0.6, .v2 = v2
    };
    glia_tensor h = glia_dropout(glia_elu(glia_gat(x, e, "conv1", first), 1), 0.6);
    answer(model, glia_gat(h, e, "conv2", last));
}
void glia_build_gat(glia_model *model, glia_graph_sizes s) { build_gat(model, s, false); }
void glia_build_gatv2(glia_model *model, glia_graph_sizes s) { build_gat(model, s, true); }

/* Hamilton et al. 2017: means of neighbours, 64 hidden units. */
void glia_build_sage(glia_model *model, glia_graph_sizes s) {
    glia_tensor x;
    s.sparse = false;
    glia_sage_opts o = { .node = glia_model_nodes(model, s, 64, &x) };
    glia_edges e = glia_model_edges(model, GLIA_EDGES_PLAIN, false);
    glia_tensor h = glia_relu(glia_sage(glia_dropout(x, 0.5), e, "conv1", o));
    o.node.units = s.outputs;
    answer(model, glia_sage(glia_dropout(h, 0.5), e, "conv2", o));
}

/* Wu et al. 2019: a linear layer on features smoothed twice, which is the same as smoothing its results. */
void glia_build_sgc(glia_model *model, glia_graph_sizes s) {
    glia_tensor x;
    glia_node_opts o = glia_model_nodes(model, s, s.outputs, &x);
    glia_edges e = glia_model_edges(model, GLIA_EDGES_SYMMETRIC, true);
    o.no_bias = true;
    answer(model, glia_smooth(glia_node_dense(x, "dense", o), e, 2));
}

static glia_tensor two_layers(glia_tensor x, glia_node_opts o, int outputs) {
    x = dropped(x, &o, 0.5);
    glia_tensor h = glia_dropout(glia_relu(glia_node_dense(x, "dense1", o)), 0.5);
    return glia_dense(h, "dense2", (glia_dense_opts){ .units = outputs });
}

/* Gasteiger et al. 2019: a perceptron whose answers spread in 10 steps. */
void glia_build_appnp(glia_model *model, glia_graph_sizes s) {
    glia_tensor x;
    const glia_node_opts o = glia_model_nodes(model, s, 64, &x);
    glia_edges e = glia_model_edges(model, GLIA_EDGES_SYMMETRIC, true);
    answer(model, glia_appnp(two_layers(x, o, s.outputs), e, 10, 0.1));
}

/* The baseline without edges. */
void glia_build_node_mlp(glia_model *model, glia_graph_sizes s) {
    glia_tensor x;
    const glia_node_opts o = glia_model_nodes(model, s, 16, &x);
    answer(model, two_layers(x, o, s.outputs));
}

/* ---- whole graphs ----------------------------------------------------------------------------------- */

enum { WIDTH = 64, LAYERS = 4 };

static const char *numbered(char *name, size_t room, const char *what, int i) {
    snprintf(name, room, "%s%d", what, i);
    return name;
}

static glia_tensor perceptron(glia_tensor x, const char *what, int i, int units) {
    char a[32], b[32];
    x = glia_dense(x, numbered(a, sizeof a, what, 2 * i - 1),
                   (glia_dense_opts){ .units = units, .activation = GLIA_RELU });
    return glia_dense(x, numbered(b, sizeof b, what, 2 * i), (glia_dense_opts){ .units = units });
}

/* Xu et al. 2019, with the norms of Cai et al. 2021; the sums of all layers are read out. */
void glia_build_gin(glia_model *model, glia_graph_sizes s) {
    glia_tensor x, sums[LAYERS + 1];
    char a[32];
    s.sparse = false;
    glia_model_nodes(model, s, WIDTH, &x);
    glia_edges e = glia_model_edges(model, GLIA_EDGES_PLAIN, false);
    glia_tensor starts = glia_model_starts(model);
    sums[0] = glia_segment_sum(x, starts);
    for (int i = 1; i <= LAYERS; i++) {
        x = perceptron(glia_gin_sum(x, e, numbered(a, sizeof a, "gin", i), true), "dense", i, WIDTH);
        x = glia_relu(glia_graph_norm(x, starts, numbered(a, sizeof a, "norm", i)));
        sums[i] = glia_segment_sum(x, starts);
    }
    glia_tensor y = glia_dense(glia_concat(sums, LAYERS + 1, 1), "read1",
                               (glia_dense_opts){ .units = WIDTH, .activation = GLIA_RELU });
    answer(model, glia_dense(glia_dropout(y, 0.5), "read2", (glia_dense_opts){ .units = s.outputs }));
}

/* The baseline without edges, Errica et al. 2020: features are summed after a layer. */
void glia_build_graph_mlp(glia_model *model, glia_graph_sizes s) {
    glia_tensor x;
    s.sparse = false;
    glia_model_nodes(model, s, WIDTH, &x);
    x = glia_dense(x, "dense1", (glia_dense_opts){ .units = WIDTH, .activation = GLIA_RELU });
    x = glia_segment_sum(x, glia_model_starts(model));
    x = glia_dense(x, "dense2", (glia_dense_opts){ .units = WIDTH, .activation = GLIA_RELU });
    answer(model, glia_dense(glia_dropout(x, 0.5), "dense3", (glia_dense_opts){ .units = s.outputs }));
}

/* A gated unit, Cho et al. 2014: the new state of each node from its state and its message. */
static glia_tensor gated(glia_tensor h, glia_tensor message, int units) {
    glia_tensor both[] = { message, h };
    const glia_dense_opts gate = { .units = units, .activation = GLIA_SIGMOID };
    glia_tensor in = glia_concat(both, 2, 1), update = glia_dense(in, "update", gate);
    both[1] = glia_mul(glia_dense(in, "reset", gate), h);
    glia_tensor new =
        glia_dense(glia_concat(both, 2, 1), "candidate", (glia_dense_opts){ .units = units, .activation = GLIA_TANH });
    return glia_add(new, glia_mul(update, glia_sub(h, new)));
}

/* Gilmer et al. 2017: messages through matrices made from the bonds, gated into the state of each node; set2set reads
 * it out. Layers of one name share their weights. */
void glia_build_mpnn(glia_model *model, glia_graph_sizes s) {
    enum { STATE = 32, STEPS = 4 };
    glia_tensor x;
    glia_model_nodes(model, s, STATE, &x);
    glia_edges e = glia_model_edges(model, GLIA_EDGES_PLAIN, false);
    glia_tensor starts = glia_model_starts(model);
    glia_tensor h = glia_dense(x, "state", (glia_dense_opts){ .units = STATE, .activation = GLIA_RELU });
    glia_tensor bonds =
        glia_input(glia_model_graph(model), "edges/x", GLIA_F32, GLIA_SHAPE(GLIA_EDGES, s.edge_features));
    bonds = glia_dense(bonds, "bonds1", (glia_dense_opts){ .units = STATE, .activation = GLIA_RELU });
    glia_tensor theta = glia_dense(bonds, "bonds2", (glia_dense_opts){ .units = STATE * STATE });
    for (int i = 0; i < STEPS; i++) {
        glia_tensor message = glia_edge_conv(h, e, theta, "message", STATE);
        h = gated(h, glia_relu(message), STATE);
    }
    glia_tensor both[] = { h, x };
    h = glia_dense(glia_concat(both, 2, 1), "last", (glia_dense_opts){ .units = 2 * STATE, .activation = GLIA_RELU });
    glia_tensor reads[] = { glia_set2set(h, starts, 3, "set2set"), glia_segment_sum(h, starts) };
    glia_tensor y =
        glia_dense(glia_concat(reads, 2, 1), "read1", (glia_dense_opts){ .units = 2 * STATE, .activation = GLIA_RELU });
    answer(model, glia_model_scale(model, glia_dense(y, "read2", (glia_dense_opts){ .units = s.outputs })));
}

/* ---- vectors of nodes --------------------------------------------------------------------------------- */

/* Kipf and Welling 2016: two layers of graph convolutions, 32 hidden units, 16 numbers a node. */
static void build_gae(glia_model *model, glia_graph_sizes s, bool variational) {
    glia_tensor x;
    glia_node_opts o = glia_model_nodes(model, s, 32, &x);
    const glia_node_opts last = { .units = 16, .no_bias = true };
    glia_edges e = glia_model_edges(model, GLIA_EDGES_SYMMETRIC, true);
    o.no_bias = true; /* as in the authors' code */
    glia_tensor h = glia_relu(glia_gcn(x, e, "conv1", o));
    glia_model_output(model, "vector", glia_gcn(h, e, "mean", last));
    if (variational) glia_model_output(model, "log_deviation", glia_gcn(h, e, "deviation", last));
}
void glia_build_gae(glia_model *model, glia_graph_sizes s) { build_gae(model, s, false); }
void glia_build_vgae(glia_model *model, glia_graph_sizes s) { build_gae(model, s, true); }

/* He et al. 2020; with no layers it is a factorisation of the matrix of users and items. */
static void build_factors(glia_model *model, glia_graph_sizes s, int layers) {
    const glia_init init = { .kind = GLIA_INIT_NORMAL, .stddev = 0.02 };
    glia_tensor table = glia_parameter(glia_model_graph(model), "table", GLIA_F32, GLIA_SHAPE(s.nodes, 64), init);
    glia_tensor x = glia_gather(table, glia_iota(glia_model_graph(model), GLIA_I32, GLIA_SHAPE(GLIA_NODES), 0), 0);
    if (layers) x = glia_lightgcn(x, glia_model_edges(model, GLIA_EDGES_SYMMETRIC, false), layers);
    glia_model_output(model, "vector", x);
}
void glia_build_lightgcn(glia_model *model, glia_graph_sizes s) { build_factors(model, s, 3); }
void glia_build_bpr(glia_model *model, glia_graph_sizes s) { build_factors(model, s, 0); }
