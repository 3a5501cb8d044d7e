/* pool.c - shared by max and average pooling: attributes, shapes, window positions. */
#include "core/ops/pool.h"

const glia_field glia_pool_fields[] = {
    GLIA_FIELD(INTS, glia_pool_attrs, window),        GLIA_FIELD(INTS, glia_pool_attrs, stride),
    GLIA_FIELD(INTS, glia_pool_attrs, pad),           GLIA_FIELD(INTS, glia_pool_attrs, pad_after),
    GLIA_FIELD(BOOL, glia_pool_attrs, count_padding), GLIA_FIELD(SHAPE, glia_pool_attrs, size),
    GLIA_FIELD(BOOL, glia_pool_attrs, channels_last), GLIA_FIELDS_END,
};

static bool pool_shape_first(glia_node *n, const glia_shape *x, glia_shape *y) {
    const glia_pool_attrs *a = n->attrs;
    int axes = x->rank - 2;
    if (axes < 1 || axes > GLIA_SPATIAL_AXES) {
        return glia_node_fail(n, a->channels_last ? "x must be (N, W, C), (N, H, W, C) or (N, D, H, W, C)"
                                                  : "x must be (N, C, W), (N, C, H, W) or (N, C, D, H, W)");
    }
    if (a->window.rank != axes) return glia_node_fail(n, "the window has %d axes, x has %d", a->window.rank, axes);
    *y = (glia_shape){ .rank = x->rank, .dim = { x->dim[0], x->dim[1] } };
    glia_window window = { "window", axes, x->dim + 2, a->window.dim, &a->stride, NULL, &a->pad, &a->pad_after };
    if (!glia_window_places(n, &window, y->dim + 2)) return false;
    for (int i = 0; i < axes; i++) {
        if (a->pad.dim[i] >= a->window.dim[i] || a->pad_after.dim[i] >= a->window.dim[i]) {
            return glia_node_fail(n, "padding must be smaller than the window, %lld", (long long)a->window.dim[i]);
        }
    }
    return true;
}

bool glia_pool_infer_shape(glia_node *n, const glia_shape *x, glia_shape *y) {
    bool last = ((const glia_pool_attrs *)n->attrs)->channels_last;
    glia_shape first = glia_channels_first(*x, last);
    if (!pool_shape_first(n, &first, y)) return false;
    *y = glia_channels_last(*y, last);
    return true;
}

bool glia_pool_dtype(glia_node *n) {
    n->dtype = n->in[0]->dtype;
    if (n->dtype != GLIA_F32 && n->dtype != GLIA_F64) return glia_node_fail(n, "needs f32 or f64");
    if (n->n_in > 1 && n->in[1]->dtype != n->dtype) return glia_node_fail(n, "both must have the same dtype");
    return true;
}

glia_pool_range glia_pool_range_of(const glia_pool_attrs *a, glia_shape x, glia_shape y) {
    x = glia_channels_first(x, a->channels_last);
    y = glia_channels_first(y, a->channels_last);
    glia_pool_range r = { .planes = x.dim[0] * x.dim[1], .channels = x.dim[1], .channels_last = a->channels_last };
    int axes = x.rank - 2;
    glia_spatial_three(x.dim + 2, axes, 1, r.size);
    glia_spatial_three(y.dim + 2, axes, 1, r.out);
    glia_spatial_three(a->window.dim, axes, 1, r.taps);
    glia_spatial_three(a->stride.dim, axes, 1, r.stride);
    glia_spatial_three(a->pad.dim, axes, 0, r.pad);
    return r;
}

void glia_pool_bounds(const glia_pool_range *r, int64_t place, int64_t from[GLIA_SPATIAL_AXES],
                      int64_t to[GLIA_SPATIAL_AXES]) {
    int64_t o[3] = { place / (r->out[1] * r->out[2]), place / r->out[2] % r->out[1], place % r->out[2] };
    for (int i = 0; i < GLIA_SPATIAL_AXES; i++) {
        int64_t start = o[i] * r->stride[i] - r->pad[i], end = start + r->taps[i];
        from[i] = GLIA_MAX(start, 0);
        to[i] = GLIA_MIN(end, r->size[i]);
    }
}

bool glia_pool_resolve(const char *what, glia_tensor x, const glia_pool_opts *o, glia_pool_attrs *a) {
    if (glia_is_bad(x)) return true; /* creating the node propagates the error */
    bool pads = o->pad != 0;
    for (int i = 0; i < 3; i++) pads = pads || o->pads[i] || o->pads_after[i];
    if (pads && o->padding == GLIA_SAME) {
        glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "%s: \"same\" padding is computed; pads cannot be given as well",
                        what);
        return false;
    }
    int axes = GLIA_MIN(GLIA_MAX(x->shape.rank - 2, 0), GLIA_SPATIAL_AXES);
    a->window.rank = a->stride.rank = a->pad.rank = a->pad_after.rank = axes;
    a->count_padding = o->count_padding;
    for (int i = 0; i < axes; i++) {
        a->window.dim[i] = o->sizes[i] ? o->sizes[i] : o->size ? o->size : 2;
        a->stride.dim[i] = o->strides[i] ? o->strides[i] : o->stride ? o->stride : a->window.dim[i];
        a->pad.dim[i] = o->pads[i] ? o->pads[i] : o->pad;
        a->pad_after.dim[i] = o->pads_after[i] ? o->pads_after[i] : o->pad;
        if (o->padding == GLIA_SAME) {
            glia_window_same(x->shape.dim[i + 2], a->window.dim[i], a->stride.dim[i], 1, &a->pad.dim[i],
                             &a->pad_after.dim[i]);
        }
    }
    return true;
}
