/* cyclegan_nets.c - generator and critic of CycleGAN (Zhu et al. 2017, section 7.2), and CyCADA's semantic loss. */
#include "glia/cyclegan.h"
#include "glia/losses.h"
#include "nn/layers/layers.h"

enum { HALVINGS_MOST = 6, BLOCKS_MOST = 32 };

static const char *part_of(glia_tensor x, const char *name, const char *part, int number, const char *after) {
    const char *full = number ? glia_arena_printf(&x->graph->arena, "%s/%s%d%s", name, part, number, after)
                              : glia_arena_printf(&x->graph->arena, "%s/%s", name, part);
    if (!full) glia_graph_fail_nomem(x->graph);
    return full ? full : part;
}

/* Fills in defaults and checks x; false: an error is recorded. */
static bool resolve(glia_layer *layer, glia_tensor x, glia_cyclegan_opts *o) {
    if (!o->filters) o->filters = 32;
    if (!o->halvings) o->halvings = 2;
    if (!o->blocks) o->blocks = 3;
    if (o->filters < 1 || o->filters > 1 << 12 || o->halvings < 1 || o->halvings > HALVINGS_MOST || o->blocks < 1 ||
        o->blocks > BLOCKS_MOST) {
        glia_layer_fail(layer, "%d filters, %d halvings, %d blocks are not possible", o->filters, o->halvings,
                        o->blocks);
        return false;
    }
    const int64_t by = (int64_t)1 << o->halvings;
    if (x->shape.rank == 4 && x->shape.dim[1] > 0 && x->shape.dim[2] >= 2 * by && x->shape.dim[3] >= 2 * by &&
        x->shape.dim[2] % by == 0 && x->shape.dim[3] % by == 0)
        return true;
    glia_layer_fail(layer, "x must be (N, C, H, W), H and W divisible by %lld", (long long)by);
    return false;
}

static glia_tensor conv(glia_tensor x, const char *name, int filters, int kernel, int stride) {
    if (glia_is_bad(x)) return x;
    return glia_conv2d(x, name,
                       (glia_conv_opts){ .filters = filters,
                                         .kernel = kernel,
                                         .stride = stride,
                                         .pad = (kernel - 1) / 2,
                                         .kernel_init = { .kind = GLIA_INIT_NORMAL, .stddev = 0.02 } });
}

/* Instance norm without parameters. */
static glia_tensor normed(glia_tensor x) {
    const glia_norm_opts bare = { .no_scale = true, .no_shift = true };
    return glia_is_bad(x) ? x : glia_instance_norm(x, "norm", bare);
}

static glia_tensor norm_relu(glia_tensor x) { return glia_is_bad(x) ? x : glia_relu(normed(x)); }

static glia_tensor block(glia_tensor x, const char *name, int number, int filters) {
    glia_tensor y = norm_relu(conv(x, part_of(x, name, "block", number, "a"), filters, 3, 1));
    y = conv(y, part_of(x, name, "block", number, "b"), filters, 3, 1);
    return glia_is_bad(y) ? y : glia_add(x, normed(y));
}

glia_tensor glia_cyclegan_generator(glia_tensor x, const char *name, glia_cyclegan_opts o) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "cyclegan_generator", name, x)) return glia_layer_bad(x);
    if (!resolve(&layer, x, &o)) return glia_layer_bad(x);
    const int channels = (int)x->shape.dim[1];
    int filters = o.filters;
    glia_tensor y = norm_relu(conv(x, part_of(x, name, "in", 0, ""), filters, 7, 1));
    for (int i = 1; i <= o.halvings; i++) y = norm_relu(conv(y, part_of(x, name, "down", i, ""), filters *= 2, 3, 2));
    for (int i = 1; i <= o.blocks && !glia_is_bad(y); i++) y = block(y, name, i, filters);
    for (int i = 1; i <= o.halvings && !glia_is_bad(y); i++)
        y = norm_relu(conv(glia_upsample_nearest(y, 2), part_of(x, name, "up", i, ""), filters /= 2, 3, 1));
    y = conv(y, part_of(x, name, "out", 0, ""), channels, 7, 1);
    return glia_layer_end(&layer, glia_is_bad(y) ? y : glia_tanh(y));
}

glia_tensor glia_cyclegan_critic(glia_tensor x, const char *name, glia_cyclegan_opts o) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "cyclegan_critic", name, x)) return glia_layer_bad(x);
    if (!resolve(&layer, x, &o)) return glia_layer_bad(x);
    glia_tensor y = x;
    for (int i = 1; i <= o.halvings && !glia_is_bad(y); i++) {
        y = conv(y, part_of(x, name, "down", i, ""), o.filters << (i - 1), 4, 2);
        if (i > 1) y = normed(y);
        if (!glia_is_bad(y)) y = glia_leaky_relu(y, 0.2);
    }
    return glia_layer_end(&layer, conv(y, part_of(x, name, "score", 0, ""), 1, 3, 1));
}

/* ---- losses --------------------------------------------------------------------------------------- */

glia_tensor glia_semantic_consistency(glia_tensor before, glia_tensor after) {
    if (glia_is_bad(before) || glia_is_bad(after)) return glia_is_bad(before) ? before : after;
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (before->shape.rank != 2 || !glia_shape_equal(before->shape, after->shape))
        return glia_graph_fail(after->graph, GLIA_E_SHAPE, "semantic_consistency: %s and %s must be one shape (N, K)",
                               glia_shape_format(before->shape, a), glia_shape_format(after->shape, b));
    return glia_cross_entropy(after, glia_argmax(before, 1), 0);
}
