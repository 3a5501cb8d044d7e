/* norm.c - normalisation and dropout layers: parameters and states for the operations in core/ops/norm.c and
 * core/ops/dropout.c. */
#include "glia/transformers.h"
#include "nn/layers/layers.h"

/* "NAME/scale" or "NAME/shift" (n); if `constant`, the constant `neutral` (n), which has no effect. */
static glia_tensor affine(glia_layer *layer, const char *what, int64_t n, bool constant, double neutral) {
    glia_init init = { .kind = GLIA_INIT_CONSTANT, .value = neutral };
    if (!constant) return glia_layer_parameter(layer, what, GLIA_SHAPE(n), init, GLIA_INIT_CONSTANT, 0);
    return glia_broadcast(glia_scalar(layer->graph, layer->x->dtype, neutral), GLIA_SHAPE(n));
}

glia_tensor glia_batch_norm(glia_tensor x, const char *name, glia_norm_opts opts) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "batch_norm", name, x)) return glia_layer_bad(x);
    if (x->shape.rank < 2 || x->shape.dim[1] < 1) return glia_layer_fail(&layer, "x must be (N, C, ...)");
    int64_t channels = x->shape.dim[1];
    glia_tensor in[5] = { x, affine(&layer, "scale", channels, opts.no_scale, 1),
                          affine(&layer, "shift", channels, opts.no_shift, 0),
                          glia_layer_state(&layer, "running_mean", GLIA_SHAPE(channels), 0),
                          glia_layer_state(&layer, "running_var", GLIA_SHAPE(channels), 1) };
    glia_batch_norm_attrs attrs = { glia_option(opts.epsilon, 1e-5), glia_option(opts.momentum, 0.1) };
    return glia_layer_end(&layer, glia_batch_norm_of(in, attrs));
}

glia_tensor glia_layer_norm(glia_tensor x, const char *name, glia_norm_opts opts) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "layer_norm", name, x)) return glia_layer_bad(x);
    int last = x->shape.rank - 1;
    if (last < 0 || x->shape.dim[last] < 1) return glia_layer_fail(&layer, "x must be (..., F) with a fixed F");
    glia_tensor scale = affine(&layer, "scale", x->shape.dim[last], opts.no_scale, 1);
    glia_tensor shift = affine(&layer, "shift", x->shape.dim[last], opts.no_shift, 0);
    return glia_layer_end(&layer, glia_layer_norm_of(x, scale, shift, glia_option(opts.epsilon, 1e-5)));
}

/* a and b (N, C, 1, ...), so that x a + b has mean 0 and variance 1 in each group of channels. The moments of groups
 * are composed of those of their channels (Chan et al. 1979), which are sums over pixels in any memory layout. */
static void normalize_groups(glia_tensor x, int groups, double epsilon, glia_tensor *a, glia_tensor *b) {
    const glia_shape s = x->shape, grouped = GLIA_SHAPE(s.dim[0], groups, s.dim[1] / groups);
    glia_shape vector = { .rank = s.rank, .dim = { s.dim[0], s.dim[1] } }, places = { 0 };
    for (int i = 2; i < s.rank; i++) vector.dim[i] = 1, places.dim[places.rank++] = i;
    glia_tensor level = glia_reshape(places.rank ? glia_mean(x, places, true) : x, grouped);
    glia_tensor mean = glia_mean(level, GLIA_SHAPE(2), true), square = glia_square(glia_sub(level, mean));
    if (places.rank) square = glia_add(square, glia_reshape(glia_variance(x, places, true), grouped));
    glia_tensor r = glia_rsqrt(glia_add_scalar(glia_mean(square, GLIA_SHAPE(2), true), epsilon));
    *a = glia_reshape(glia_broadcast(r, grouped), vector);
    *b = glia_reshape(glia_broadcast(glia_neg(glia_mul(mean, r)), grouped), vector);
}

static glia_tensor norm_of_groups(glia_tensor x, const char *kind, const char *name, int groups, glia_norm_opts opts) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, kind, name, x)) return glia_layer_bad(x);
    const glia_shape s = x->shape;
    bool fixed = s.rank > 1;
    for (int i = 1; i < s.rank; i++) fixed = fixed && s.dim[i] >= 1;
    if (!fixed) return glia_layer_fail(&layer, "x must be (N, C, ...) with all sizes but N fixed");
    if (!groups) groups = (int)s.dim[1];
    if (groups < 0 || s.dim[1] % groups) {
        return glia_layer_fail(&layer, "%lld channels are not %d equal groups", (long long)s.dim[1], groups);
    }
    glia_tensor a, b;
    normalize_groups(x, groups, glia_option(opts.epsilon, 1e-5), &a, &b);
    glia_shape each = { .rank = s.rank - 1, .dim = { s.dim[1], 1, 1, 1, 1, 1, 1 } };
    if (!opts.no_scale) {
        glia_tensor scale = glia_reshape(affine(&layer, "scale", s.dim[1], false, 1), each);
        a = glia_mul(a, scale), b = glia_mul(b, scale);
    }
    if (!opts.no_shift) b = glia_add(b, glia_reshape(affine(&layer, "shift", s.dim[1], false, 0), each));
    return glia_layer_end(&layer, glia_add(glia_mul(x, a), b));
}

glia_tensor glia_group_norm(glia_tensor x, const char *name, int groups, glia_norm_opts opts) {
    if (!glia_is_bad(x) && groups < 1) {
        return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "group_norm: %d groups", groups);
    }
    return norm_of_groups(x, "group_norm", name, groups, opts);
}

glia_tensor glia_instance_norm(glia_tensor x, const char *name, glia_norm_opts opts) {
    return norm_of_groups(x, "instance_norm", name, 0, opts);
}

glia_tensor glia_rms_norm(glia_tensor x, const char *name, glia_norm_opts opts) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "rms_norm", name, x)) return glia_layer_bad(x);
    int last = x->shape.rank - 1;
    if (last < 0 || x->shape.dim[last] < 1) return glia_layer_fail(&layer, "x must be (..., F) with a fixed F");
    glia_tensor square = glia_mean(glia_square(x), GLIA_SHAPE(last), true);
    glia_tensor y = glia_mul(x, glia_rsqrt(glia_add_scalar(square, glia_option(opts.epsilon, 1e-5))));
    return glia_layer_end(&layer, glia_mul(y, affine(&layer, "scale", x->shape.dim[last], opts.no_scale, 1)));
}

/* The operation with its own random stream; `name` is for messages. */
static glia_tensor dropped(glia_tensor x, const glia_op *op, const char *name, double rate, int axes) {
    if (glia_is_bad(x)) return x;
    glia_graph *g = x->graph;
    rate = glia_option(rate, 0);
    if (!(rate >= 0 && rate < 1)) {
        return glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: the rate must be in [0, 1), not %g", name, rate);
    }
    if (x->shape.rank < axes + (axes > 0)) {
        char text[GLIA_SHAPE_TEXT];
        return glia_graph_fail(g, GLIA_E_SHAPE, "%s of %s: x must be %s", name, glia_shape_format(x->shape, text),
                               axes == 1 ? "(N, ...)" : "(N, C, ...) with something after the channels");
    }
    if (rate == 0) return x;
    g = glia_graph_for_random(g);
    x = glia_graph_capture(g, x);
    if (!x || glia_is_bad(x)) return g->bad;
    glia_tensor rng = glia_random_state(g);
    return glia_node2(op, x, rng, &(glia_dropout_attrs){ .rate = rate, .stream = g->n_streams, .axes = axes });
}

glia_tensor glia_dropout(glia_tensor x, double rate) { return dropped(x, &glia_op_dropout, "dropout", rate, 0); }

glia_tensor glia_spatial_dropout(glia_tensor x, double rate) {
    return dropped(x, &glia_op_dropout, "spatial_dropout", rate, 2);
}

glia_tensor glia_drop_path(glia_tensor x, double rate) { return dropped(x, &glia_op_dropout, "drop_path", rate, 1); }

glia_tensor glia_alpha_dropout(glia_tensor x, double rate) {
    return dropped(x, &glia_op_alpha_dropout, "alpha_dropout", rate, 0);
}
