/* layers.c - layers of graph nets. A layer is parameters on nodes (dense products), and messages along edges. */
#include "nn/layers/layers.h"

#include "glia/graphs.h"

/* "NAME/part" */
static const char *part_of(const glia_layer *layer, const char *part) {
    const char *full = glia_arena_printf(&layer->graph->arena, "%s/%s", layer->name, part);
    if (!full) glia_graph_fail_nomem(layer->graph);
    return full ? full : part;
}

static bool is_sparse(const glia_node_opts *o) { return o->sparse.values != NULL; }

/* What stands for x in checks and messages. */
static glia_tensor subject(glia_tensor x, const glia_node_opts *o) { return x || !is_sparse(o) ? x : o->sparse.values; }

/* Features of nodes; sets *features to F. */
static bool check_nodes(glia_layer *l, const glia_node_opts *o, int units, int64_t *features) {
    if (units < 1 || (!is_sparse(o) && (l->x->shape.rank != 2 || l->x->shape.dim[1] < 1)) ||
        (is_sparse(o) && o->features < 1)) {
        glia_layer_fail(l, "x must be (V, F) with a fixed F, or a sparse matrix with `features`; units 1 or more");
        return false;
    }
    *features = is_sparse(o) ? o->features : l->x->shape.dim[1];
    return true;
}

/* x kernel^T, with the parameter "NAME/what". */
static glia_tensor project(glia_layer *l, const glia_node_opts *o, const char *what, int units, int64_t features) {
    const glia_init_kind glorot = GLIA_INIT_GLOROT_UNIFORM;
    if (!is_sparse(o)) {
        glia_tensor kernel = glia_layer_parameter(l, what, GLIA_SHAPE(units, features), o->kernel_init, glorot, 0);
        return glia_matmul_transposed(l->x, false, kernel, true);
    }
    glia_tensor kernel = glia_layer_parameter(l, what, GLIA_SHAPE(features, units), o->kernel_init, glorot, 0);
    return glia_csr_matmul(o->sparse.values, o->sparse.columns, o->sparse.offsets, kernel);
}

static glia_tensor add_bias(glia_layer *l, glia_tensor y, bool none, int units, const char *what) {
    if (none) return y;
    return glia_layer_add_bias(
        y, glia_layer_parameter(l, what, GLIA_SHAPE(units), (glia_init){ 0 }, GLIA_INIT_ZEROS, 0), 1);
}

glia_tensor glia_node_dense(glia_tensor x, const char *name, glia_node_opts o) {
    glia_layer l;
    int64_t features;
    if (!glia_layer_begin(&l, "node_dense", name, subject(x, &o))) return glia_layer_bad(subject(x, &o));
    if (!check_nodes(&l, &o, o.units, &features)) return glia_layer_bad(l.x);
    return glia_layer_end(&l, add_bias(&l, project(&l, &o, "kernel", o.units, features), o.no_bias, o.units, "bias"));
}

glia_tensor glia_gcn(glia_tensor x, glia_edges e, const char *name, glia_node_opts o) {
    glia_layer l;
    int64_t features;
    if (!glia_layer_begin(&l, "gcn", name, subject(x, &o))) return glia_layer_bad(subject(x, &o));
    if (!check_nodes(&l, &o, o.units, &features)) return glia_layer_bad(l.x);
    glia_tensor y = glia_propagate(project(&l, &o, "kernel", o.units, features), e);
    return glia_layer_end(&l, add_bias(&l, y, o.no_bias, o.units, "bias"));
}

/* ---- attention ----------------------------------------------------------------------------------- */

/* h (V, H, U) . the parameter "NAME/what" (H, U) -> (V, H) */
static glia_tensor scores(glia_layer *l, glia_tensor h, const char *what, int heads, int units) {
    glia_tensor a =
        glia_layer_parameter(l, what, GLIA_SHAPE(heads, units), (glia_init){ 0 }, GLIA_INIT_GLOROT_UNIFORM, 0);
    return glia_sum(glia_mul(h, glia_reshape(a, GLIA_SHAPE(1, heads, units))), GLIA_SHAPE(2), false);
}

static glia_tensor split_heads(glia_tensor h, int heads, int units) {
    return glia_is_bad(h) ? h : glia_reshape(h, GLIA_SHAPE(h->shape.dim[0], heads, units));
}

/* Weights (E, H) of the neighbours, and in *from what is averaged (V, H, U). */
static glia_tensor attend(glia_layer *l, glia_edges e, const glia_gat_opts *o, int heads, int64_t features,
                          glia_tensor *from) {
    const int units = o->node.units;
    const int64_t edges = glia_is_bad(e.sources) ? 0 : e.sources->shape.dim[0];
    const double slope = glia_option(o->slope, 0.2);
    glia_tensor s;
    if (o->v2) {
        glia_tensor source = project(l, &o->node, "kernel_from", heads * units, features);
        glia_tensor target = project(l, &o->node, "kernel_to", heads * units, features);
        source = add_bias(l, source, o->node.no_bias, heads * units, "bias_from");
        target = add_bias(l, target, o->node.no_bias, heads * units, "bias_to");
        glia_tensor sum = glia_add(glia_gather(source, e.sources, 0), glia_segment_spread(target, e.offsets, edges));
        s = scores(l, split_heads(glia_leaky_relu(sum, slope), heads, units), "attention", heads, units);
        *from = source;
    } else {
        *from = project(l, &o->node, "kernel", heads * units, features);
        glia_tensor h = split_heads(*from, heads, units);
        glia_tensor of_source = scores(l, h, "from", heads, units), of_target = scores(l, h, "to", heads, units);
        s = glia_leaky_relu(
            glia_add(glia_gather(of_source, e.sources, 0), glia_segment_spread(of_target, e.offsets, edges)), slope);
    }
    s = glia_segment_softmax(s, e.offsets);
    return o->dropout > 0 && o->dropout != GLIA_ZERO ? glia_dropout(s, o->dropout) : s;
}

glia_tensor glia_gat(glia_tensor x, glia_edges e, const char *name, glia_gat_opts o) {
    glia_layer l;
    int64_t features;
    const int heads = o.heads ? o.heads : 1;
    if (!glia_layer_begin(&l, "gat", name, subject(x, &o.node))) return glia_layer_bad(subject(x, &o.node));
    if (heads < 1 || heads > 1 << 16) return glia_layer_fail(&l, "%d heads", heads);
    if (!check_nodes(&l, &o.node, o.node.units, &features)) return glia_layer_bad(l.x);
    const int units = o.node.units;
    glia_tensor from, weights = attend(&l, e, &o, heads, features, &from);
    if (glia_is_bad(weights) || glia_is_bad(from)) return glia_layer_end(&l, glia_layer_bad(l.x));
    glia_tensor y = glia_propagate_heads(from, e, weights);
    if (o.average) y = glia_mean(split_heads(y, heads, units), GLIA_SHAPE(1), false);
    return glia_layer_end(&l, add_bias(&l, y, o.node.no_bias, o.average ? units : heads * units, "bias"));
}

/* ---- others --------------------------------------------------------------------------------------- */

glia_tensor glia_sage(glia_tensor x, glia_edges e, const char *name, glia_sage_opts o) {
    glia_layer l;
    int64_t features;
    if (!glia_layer_begin(&l, "sage", name, x)) return glia_layer_bad(x);
    if (is_sparse(&o.node)) return glia_layer_fail(&l, "features must be dense");
    if (!check_nodes(&l, &o.node, o.node.units, &features)) return glia_layer_bad(l.x);
    glia_tensor of_neighbours;
    if (o.pool) {
        const glia_dense_opts how = { .units = (int)features, .activation = GLIA_RELU };
        of_neighbours = glia_propagate_max(glia_dense(x, part_of(&l, "pool"), how), e);
    } else {
        of_neighbours = glia_propagate_mean(x, e);
    }
    glia_layer neighbours = l;
    neighbours.x = of_neighbours;
    if (glia_is_bad(of_neighbours)) return glia_layer_end(&l, of_neighbours);
    glia_tensor y = glia_add(project(&l, &o.node, "kernel_self", o.node.units, features),
                             project(&neighbours, &o.node, "kernel", o.node.units, features));
    y = add_bias(&l, y, o.node.no_bias, o.node.units, "bias");
    if (o.normalize) {
        glia_tensor length = glia_sqrt(glia_sum(glia_square(y), GLIA_SHAPE(1), true));
        y = glia_div(y, glia_maximum(length, glia_like(length, 1e-12)));
    }
    return glia_layer_end(&l, y);
}

glia_tensor glia_gin_sum(glia_tensor x, glia_edges e, const char *name, bool learns) {
    glia_layer l;
    if (!glia_layer_begin(&l, "gin_sum", name, x)) return glia_layer_bad(x);
    glia_tensor own = x;
    if (learns) {
        glia_tensor eps = glia_layer_parameter(&l, "eps", GLIA_SCALAR, (glia_init){ 0 }, GLIA_INIT_ZEROS, 0);
        own = glia_mul(x, glia_add_scalar(eps, 1));
    }
    return glia_layer_end(&l, glia_add(own, glia_propagate(x, e)));
}

glia_tensor glia_edge_conv(glia_tensor x, glia_edges e, glia_tensor theta, const char *name, int units) {
    glia_layer l;
    int64_t features;
    const glia_node_opts o = { .units = units };
    if (!glia_layer_begin(&l, "edge_conv", name, x)) return glia_layer_bad(x);
    if (!check_nodes(&l, &o, units, &features)) return glia_layer_bad(x);
    if (glia_is_bad(theta) || glia_is_bad(e.sources)) return glia_layer_end(&l, glia_layer_bad(x));
    if (theta->shape.rank != 2 || theta->shape.dim[1] != features * units)
        return glia_layer_fail(&l, "theta must be (E, %lld)", (long long)features * units);
    const int64_t edges = e.sources->shape.dim[0];
    glia_tensor from = glia_reshape(glia_gather(x, e.sources, 0), GLIA_SHAPE(edges, features, 1));
    glia_tensor sent =
        glia_sum(glia_mul(glia_reshape(theta, GLIA_SHAPE(edges, features, units)), from), GLIA_SHAPE(1), false);
    if (e.weights) sent = glia_mul(sent, glia_reshape(e.weights, GLIA_SHAPE(edges, 1)));
    glia_tensor y = glia_add(project(&l, &o, "kernel_self", units, features), glia_segment_sum(sent, e.offsets));
    return glia_layer_end(&l, add_bias(&l, y, false, units, "bias"));
}

glia_tensor glia_rgcn(glia_tensor x, glia_edges e, glia_tensor types, int relations, const char *name, int units) {
    glia_layer l;
    int64_t features;
    const glia_node_opts o = { .units = units };
    const glia_init_kind glorot = GLIA_INIT_GLOROT_UNIFORM;
    if (!glia_layer_begin(&l, "rgcn", name, x)) return glia_layer_bad(x);
    if (!check_nodes(&l, &o, units, &features)) return glia_layer_bad(x);
    if (relations < 1) return glia_layer_fail(&l, "%d relations", relations);
    if (glia_is_bad(types) || glia_is_bad(e.sources)) return glia_layer_end(&l, glia_layer_bad(x));
    glia_tensor kernel =
        glia_layer_parameter(&l, "kernel", GLIA_SHAPE(relations, features, units), (glia_init){ 0 }, glorot, 0);
    glia_tensor own = glia_layer_parameter(&l, "kernel_self", GLIA_SHAPE(features, units), (glia_init){ 0 }, glorot, 0);
    glia_tensor y = glia_matmul(x, own);
    const int64_t edges = e.sources->shape.dim[0];
    for (int r = 0; r < relations; r++) {
        glia_tensor is = glia_cast(glia_equal(types, glia_scalar(l.graph, types->dtype, r)), x->dtype);
        glia_tensor count = glia_segment_sum(is, e.offsets);
        count = glia_segment_spread(glia_maximum(count, glia_like(count, 1)), e.offsets, edges);
        glia_tensor mean = glia_csr_matmul(glia_div(is, count), e.sources, e.offsets, x);
        glia_tensor part = glia_slice(kernel, GLIA_SHAPE(r, 0, 0), GLIA_SHAPE(r + 1, features, units), GLIA_SCALAR);
        y = glia_add(y, glia_matmul(mean, glia_reshape(part, GLIA_SHAPE(features, units))));
    }
    return glia_layer_end(&l, add_bias(&l, y, false, units, "bias"));
}

/* ---- whole graphs --------------------------------------------------------------------------------- */

glia_tensor glia_graph_norm(glia_tensor x, glia_tensor starts, const char *name) {
    glia_layer l;
    if (!glia_layer_begin(&l, "graph_norm", name, x)) return glia_layer_bad(x);
    if (x->shape.rank != 2 || x->shape.dim[1] < 1) return glia_layer_fail(&l, "x must be (V, F) with a fixed F");
    const int64_t nodes = x->shape.dim[0];
    const glia_shape shape = GLIA_SHAPE(x->shape.dim[1]);
    glia_tensor scale = glia_layer_parameter(&l, "scale", shape, (glia_init){ 0 }, GLIA_INIT_CONSTANT, 0);
    glia_tensor shift = glia_layer_parameter(&l, "shift", shape, (glia_init){ 0 }, GLIA_INIT_ZEROS, 0);
    glia_tensor share = glia_layer_parameter(&l, "mean_scale", shape, (glia_init){ 0 }, GLIA_INIT_CONSTANT, 0);
    glia_tensor mean = glia_segment_spread(glia_segment_mean(x, starts), starts, nodes);
    glia_tensor centred = glia_sub(x, glia_mul(mean, share));
    glia_tensor variance = glia_segment_spread(glia_segment_mean(glia_square(centred), starts), starts, nodes);
    glia_tensor y = glia_mul(glia_mul(centred, glia_rsqrt(glia_add_scalar(variance, 1e-5))), scale);
    return glia_layer_end(&l, glia_add(y, shift));
}

glia_tensor glia_read_out(glia_tensor x, glia_tensor starts, glia_read_out_kind kind, const char *name) {
    if (kind == GLIA_READ_SUM) return glia_segment_sum(x, starts);
    if (kind == GLIA_READ_MEAN) return glia_segment_mean(x, starts);
    if (kind == GLIA_READ_MAX) return glia_segment_max(x, starts);
    glia_layer l;
    if (!glia_layer_begin(&l, "read_out", name, x)) return glia_layer_bad(x);
    glia_tensor gate = glia_dense(x, part_of(&l, "gate"), (glia_dense_opts){ .units = 1 });
    return glia_layer_end(&l, glia_segment_sum(glia_mul(glia_segment_softmax(gate, starts), x), starts));
}

/* x (N, columns) -> columns [first, last). */
static glia_tensor columns_of(glia_tensor x, int64_t first, int64_t last) {
    if (glia_is_bad(x)) return x;
    return glia_slice(x, GLIA_SHAPE(0, first), GLIA_SHAPE(x->shape.dim[0], last), GLIA_SHAPE(1, 1));
}

glia_tensor glia_set2set(glia_tensor x, glia_tensor starts, int steps, const char *name) {
    glia_layer l;
    if (!glia_layer_begin(&l, "set2set", name, x)) return glia_layer_bad(x);
    if (x->shape.rank != 2 || x->shape.dim[1] < 1) return glia_layer_fail(&l, "x must be (V, F) with a fixed F");
    if (steps < 1) return glia_layer_fail(&l, "%d steps", steps);
    const int64_t nodes = x->shape.dim[0], f = x->shape.dim[1];
    const glia_init_kind glorot = GLIA_INIT_GLOROT_UNIFORM;
    glia_tensor kernel = glia_layer_parameter(&l, "kernel", GLIA_SHAPE(4 * f, 2 * f), (glia_init){ 0 }, glorot, 0);
    glia_tensor again = glia_layer_parameter(&l, "recurrent", GLIA_SHAPE(4 * f, f), (glia_init){ 0 }, glorot, 0);
    glia_tensor bias = glia_layer_parameter(&l, "bias", GLIA_SHAPE(4 * f), (glia_init){ 0 }, GLIA_INIT_ZEROS, 0);
    glia_tensor sums = glia_segment_sum(x, starts), both[2] = { glia_like(sums, 0), glia_like(sums, 0) };
    glia_tensor seen = glia_concat(both, 2, 1), q = both[0], cell = both[0];
    for (int i = 0; i < steps; i++) {
        glia_tensor gates =
            glia_add(glia_matmul_transposed(seen, false, kernel, true), glia_matmul_transposed(q, false, again, true));
        gates = glia_layer_add_bias(gates, bias, 1);
        glia_tensor in = glia_sigmoid(columns_of(gates, 0, f)), keep = glia_sigmoid(columns_of(gates, f, 2 * f));
        glia_tensor new = glia_tanh(columns_of(gates, 2 * f, 3 * f)), out = columns_of(gates, 3 * f, 4 * f);
        cell = glia_add(glia_mul(keep, cell), glia_mul(in, new));
        q = glia_mul(glia_sigmoid(out), glia_tanh(cell));
        glia_tensor score = glia_sum(glia_mul(x, glia_segment_spread(q, starts, nodes)), GLIA_SHAPE(1), true);
        both[0] = q;
        both[1] = glia_segment_sum(glia_mul(glia_segment_softmax(score, starts), x), starts);
        seen = glia_concat(both, 2, 1);
    }
    return glia_layer_end(&l, seen);
}
