/* messages.c - what nodes get from their neighbours: sums, means, maxima, repeated; without parameters. */
#include "core/ops/ops.h"
#include "glia/graphs.h"

#include <stdlib.h>

glia_edges glia_edges_input(glia_graph *g, bool weighted) {
    glia_edges e = { .sources = glia_input(g, "edges/sources", GLIA_I32, GLIA_SHAPE(GLIA_EDGES)),
                     .offsets = glia_input(g, "edges/offsets", GLIA_I32, GLIA_SHAPE(GLIA_PLUS_ONE(GLIA_NODES))) };
    if (weighted) e.weights = glia_input(g, "edges/weights", GLIA_F32, GLIA_SHAPE(GLIA_EDGES));
    return e;
}

glia_edges glia_edges_constant(glia_graph *g, const glia_graph_data *data, glia_edge_norm norm) {
    if (!g) return (glia_edges){ 0 };
    glia_edges e = { g->bad, g->bad, g->bad };
    const int64_t nodes = glia_graph_data_nodes(data), edges = glia_graph_data_edges(data);
    if (!data || edges < 1) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_edges_constant: needs data with edges");
        return e;
    }
    glia_error error = { 0 };
    double *values = malloc((size_t)GLIA_MAX(edges, nodes + 1) * sizeof *values);
    float *weights = malloc((size_t)edges * sizeof *weights);
    if (!values || !weights) {
        glia_graph_fail_nomem(g);
    } else if (glia_graph_data_weights(data, norm, weights, &error) != GLIA_OK) {
        glia_graph_fail(g, error.status, "%s", error.message);
    } else {
        for (int64_t i = 0; i < edges; i++) values[i] = glia_graph_data_sources(data)[i];
        e.sources = glia_constant(g, GLIA_I32, GLIA_SHAPE(edges), values);
        for (int64_t i = 0; i <= nodes; i++) values[i] = glia_graph_data_offsets(data)[i];
        e.offsets = glia_constant(g, GLIA_I32, GLIA_SHAPE(nodes + 1), values);
        for (int64_t i = 0; i < edges; i++) values[i] = (double)weights[i];
        e.weights = glia_constant(g, GLIA_F32, GLIA_SHAPE(edges), values);
    }
    free(values);
    free(weights);
    return e;
}

/* Ones (E) of x's dtype. */
static glia_tensor ones_of(glia_tensor x, glia_edges e) {
    if (glia_is_bad(x) || glia_is_bad(e.sources)) return glia_is_bad(x) ? x : e.sources;
    return glia_broadcast(glia_scalar(x->graph, x->dtype, 1), e.sources->shape);
}

static glia_tensor weights_of(glia_tensor x, glia_edges e) { return e.weights ? e.weights : ones_of(x, e); }

glia_edges glia_edge_dropout(glia_edges e, double rate) {
    if (glia_is_bad(e.sources)) return e;
    glia_tensor ones = glia_broadcast(glia_scalar(e.sources->graph, GLIA_F32, 1), e.sources->shape);
    glia_tensor dropped = glia_dropout(ones, rate); /* 0 or more than 0 */
    glia_tensor kept = glia_cast(glia_greater(dropped, glia_like(dropped, 0)), GLIA_F32);
    e.weights = e.weights ? glia_mul(e.weights, kept) : kept;
    return e;
}

glia_tensor glia_propagate(glia_tensor x, glia_edges e) {
    return glia_csr_matmul(weights_of(x, e), e.sources, e.offsets, x);
}

glia_tensor glia_propagate_heads(glia_tensor x, glia_edges e, glia_tensor weights) {
    if (glia_is_bad(x) || glia_is_bad(weights) || glia_is_bad(e.sources)) return glia_is_bad(x) ? x : weights;
    if (x->shape.rank != 2 || weights->shape.rank != 2 || x->shape.dim[1] % weights->shape.dim[1] != 0)
        return glia_graph_fail(x->graph, GLIA_E_SHAPE, "glia_propagate_heads: x must be (V, heads units)");
    const int64_t heads = weights->shape.dim[1], width = x->shape.dim[1];
    x = glia_reshape(x, GLIA_SHAPE(x->shape.dim[0], heads, width / heads));
    glia_tensor y = glia_csr_matmul(weights, e.sources, e.offsets, x);
    return glia_is_bad(y) ? y : glia_reshape(y, GLIA_SHAPE(y->shape.dim[0], width));
}

glia_tensor glia_propagate_mean(glia_tensor x, glia_edges e) {
    glia_tensor ones = ones_of(x, e);
    if (glia_is_bad(ones)) return ones;
    glia_tensor degree = glia_segment_sum(ones, e.offsets);
    if (glia_is_bad(degree)) return degree;
    glia_tensor factor = glia_div(ones, glia_segment_spread(degree, e.offsets, e.sources->shape.dim[0]));
    return glia_csr_matmul(factor, e.sources, e.offsets, x);
}

glia_tensor glia_propagate_max(glia_tensor x, glia_edges e) {
    return glia_segment_max(glia_gather(x, e.sources, 0), e.offsets);
}

glia_tensor glia_smooth(glia_tensor x, glia_edges e, int steps) {
    for (int i = 0; i < steps; i++) x = glia_propagate(x, e);
    return x;
}

glia_tensor glia_appnp(glia_tensor x, glia_edges e, int steps, double alpha) {
    glia_tensor z = x, start = glia_mul_scalar(x, alpha);
    for (int i = 0; i < steps; i++) z = glia_add(glia_mul_scalar(glia_propagate(z, e), 1 - alpha), start);
    return z;
}

glia_tensor glia_lightgcn(glia_tensor x, glia_edges e, int layers) {
    glia_tensor sum = x;
    for (int i = 0; i < layers; i++) {
        x = glia_propagate(x, e);
        sum = glia_add(sum, x);
    }
    return glia_mul_scalar(sum, 1.0 / (layers + 1));
}

glia_tensor glia_jumping_knowledge(const glia_tensor *xs, int n, glia_jump jump) {
    if (!xs || n < 1) return NULL;
    if (jump == GLIA_JUMP_CONCAT) return glia_concat(xs, n, 1);
    glia_tensor y = xs[0];
    for (int i = 1; i < n; i++) y = glia_maximum(y, xs[i]);
    return y;
}
