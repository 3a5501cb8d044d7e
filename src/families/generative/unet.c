/* unet.c - the UNet of diffusion models (Ho et al. 2020, appendix B; Ronneberger et al. 2015).
 *
 *     in - [blocks, halve] - ... - blocks - middle - blocks+1 - ... - [double, blocks+1] - norm, silu, out
 *            |                       |                  |               |
 *            +-- what each gives is kept, and concatenated here, last first --+
 *
 * A residual block is   x + conv(dropout(silu(norm(conv(silu(norm(x))) + dense(silu(time))))))   with a convolution of
 * 1 x 1 in place of x where the channels change. Attention treats the pixels as a sequence; with a context each
 * attention is followed by one to its rows.
 */
#include <stdio.h>

#include "core/tensor/tensor.h"
#include "glia/generative.h"
#include "glia/transformers.h"
#include "nn/layers/layers.h"

enum { BLOCKS_MOST = 16, SKIPS = 1 + GLIA_UNET_LEVELS * (BLOCKS_MOST + 1) };

typedef struct unet {
    glia_graph *graph;
    const char *name;
    glia_unet_opts opts; /* resolved */
    int levels;
    glia_tensor time; /* (N, 4 channels), after silu */
    glia_tensor skips[SKIPS];
    int n_skips;
} unet;

/* "NAME/PART" where PART is a format with two numbers. */
static const char *place(const unet *u, const char *part, int level, int block) {
    char name[64];
    snprintf(name, sizeof name, part, level, block);
    const char *full = glia_arena_printf(&u->graph->arena, "%s/%s", u->name, name);
    if (!full) glia_graph_fail_nomem(u->graph);
    return full ? full : "unet";
}

static const char *inside(const unet *u, const char *block, const char *part) {
    const char *full = glia_arena_printf(&u->graph->arena, "%s/%s", block, part);
    if (!full) glia_graph_fail_nomem(u->graph);
    return full ? full : "unet";
}

/* ---- parts ---------------------------------------------------------------------------------- */

static glia_tensor conv3(glia_tensor x, const char *name, int filters, int stride, bool zero) {
    glia_conv_opts how = { .filters = filters, .kernel = 3, .stride = stride, .pad = 1 };
    if (zero) how.kernel_init.kind = GLIA_INIT_ZEROS;
    return glia_conv2d(x, name, how);
}

static glia_tensor norm(const unet *u, glia_tensor x, const char *name) {
    if (glia_is_bad(x)) return x;
    int groups = u->opts.groups ? u->opts.groups : 32;
    while (!u->opts.groups && groups > 1 && (x->shape.dim[1] % groups || x->shape.dim[1] / groups < 4)) groups--;
    return glia_group_norm(x, name, groups, (glia_norm_opts){ 0 });
}

static glia_tensor residual(const unet *u, glia_tensor x, const char *name, int channels) {
    glia_tensor y =
        conv3(glia_silu(norm(u, x, inside(u, name, "norm1"))), inside(u, name, "conv1"), channels, 1, false);
    if (glia_is_bad(y)) return y;
    glia_tensor shift = glia_dense(u->time, inside(u, name, "time"), (glia_dense_opts){ .units = channels });
    y = glia_add(y, glia_reshape(shift, GLIA_SHAPE(y->shape.dim[0], channels, 1, 1)));
    y = glia_dropout(glia_silu(norm(u, y, inside(u, name, "norm2"))), u->opts.dropout);
    y = conv3(y, inside(u, name, "conv2"), channels, 1, true);
    if (x->shape.dim[1] != channels) {
        x = glia_conv2d(x, inside(u, name, "skip"), (glia_conv_opts){ .filters = channels, .kernel = 1 });
    }
    return glia_add(x, y);
}

/* Of the pixels to one another, or to the memory's rows. */
static glia_tensor attend_to(const unet *u, glia_tensor x, glia_tensor memory, const char *name) {
    if (glia_is_bad(x)) return x;
    const glia_shape s = x->shape;
    const int64_t pixels = s.dim[2] * s.dim[3];
    glia_tensor y = norm(u, x, inside(u, name, "norm"));
    y = glia_transpose(glia_reshape(y, GLIA_SHAPE(s.dim[0], s.dim[1], pixels)));
    y = glia_multihead(y, memory, name,
                       (glia_multihead_opts){ .heads = u->opts.heads, .out_init = { .kind = GLIA_INIT_ZEROS } });
    return glia_add(x, glia_reshape(glia_transpose(y), s));
}

static glia_tensor attend(const unet *u, glia_tensor x, const char *name) {
    x = attend_to(u, x, NULL, name);
    return u->opts.context ? attend_to(u, x, u->opts.context, inside(u, name, "context")) : x;
}

/* ---- the way down and up -------------------------------------------------------------------- */

static bool attends(const unet *u, glia_tensor x) {
    for (int i = 0; i < GLIA_UNET_LEVELS && u->opts.attention[i] > 0; i++) {
        if (!glia_is_bad(x) && x->shape.dim[2] == u->opts.attention[i]) return true;
    }
    return false;
}

/* A residual block and, where the level has it, attention. */
static glia_tensor block(const unet *u, glia_tensor x, const char *part, int level, int number) {
    const char *name = place(u, part, level, number);
    x = residual(u, x, name, u->opts.channels * u->opts.multipliers[level]);
    return attends(u, x) ? attend(u, x, inside(u, name, "attention")) : x;
}

static glia_tensor keep(unet *u, glia_tensor x) { return u->skips[u->n_skips++] = x; }

static glia_tensor down(unet *u, glia_tensor x) {
    x = keep(u, conv3(x, place(u, "in", 0, 0), u->opts.channels, 1, false));
    for (int level = 0; level < u->levels; level++) {
        for (int i = 0; i < u->opts.blocks; i++) x = keep(u, block(u, x, "down%d_%d", level, i));
        if (level + 1 == u->levels || glia_is_bad(x)) continue;
        x = keep(u, conv3(x, place(u, "halve%d", level, 0), (int)x->shape.dim[1], 2, false));
    }
    return x;
}

static glia_tensor up(unet *u, glia_tensor x) {
    for (int level = u->levels - 1; level >= 0; level--) {
        for (int i = 0; i <= u->opts.blocks && !glia_is_bad(x); i++) {
            const glia_tensor both[] = { x, u->skips[--u->n_skips] };
            x = block(u, glia_concat(both, 2, 1), "up%d_%d", level, i);
        }
        if (level == 0 || glia_is_bad(x)) continue;
        x = conv3(glia_upsample_nearest(x, 2), place(u, "double%d", level, 0), (int)x->shape.dim[1], 1, false);
    }
    return x;
}

static glia_tensor middle(const unet *u, glia_tensor x) {
    const int channels = u->opts.channels * u->opts.multipliers[u->levels - 1];
    x = residual(u, x, place(u, "middle0", 0, 0), channels);
    if (u->opts.attention[0] != GLIA_NONE) x = attend(u, x, place(u, "middle_attention", 0, 0));
    return residual(u, x, place(u, "middle1", 0, 0), channels);
}

/* ---- options -------------------------------------------------------------------------------- */

/* Sinusoids of t and the condition, as each block gets them. */
static glia_tensor time_of(const unet *u, glia_tensor t, glia_dtype dtype) {
    const int units = 4 * u->opts.channels;
    glia_tensor y = glia_cast(glia_sinusoidal(t, u->opts.channels), dtype);
    y = glia_dense(y, place(u, "time1", 0, 0), (glia_dense_opts){ .units = units, .activation = GLIA_SILU });
    y = glia_dense(y, place(u, "time2", 0, 0), (glia_dense_opts){ .units = units });
    if (u->opts.condition) {
        y = glia_add(y,
                     glia_dense(u->opts.condition, place(u, "condition", 0, 0), (glia_dense_opts){ .units = units }));
    }
    return glia_silu(y);
}

/* Fills in defaults; false: an error is recorded. */
static bool resolve(unet *u, glia_layer *layer, glia_tensor x) {
    glia_unet_opts *o = &u->opts;
    static const int usual[] = { 1, 2, 2 };
    if (!o->channels) o->channels = 64;
    if (!o->blocks) o->blocks = 2;
    if (!o->heads) o->heads = 1;
    if (!o->out_channels) o->out_channels = (int)x->shape.dim[1];
    for (int i = 0; i < 3 && (i || !o->multipliers[0]); i++) o->multipliers[i] = usual[i];
    while (u->levels < GLIA_UNET_LEVELS && o->multipliers[u->levels]) u->levels++;
    if (o->channels < 2 || o->channels > 1 << 16 || o->blocks < 1 || o->blocks > BLOCKS_MOST || o->out_channels < 1 ||
        o->heads < 1 || o->groups < 0) {
        glia_layer_fail(layer, "%d channels, %d blocks, %d heads, %d groups, %d channels out are not possible",
                        o->channels, o->blocks, o->heads, o->groups, o->out_channels);
        return false;
    }
    for (int i = 0; i < u->levels; i++) {
        if (o->multipliers[i] <= 0 || o->multipliers[i] >= 1024) {
            glia_layer_fail(layer, "multiplier %d is %d", i, o->multipliers[i]);
            return false;
        }
        if (o->groups == o->channels * o->multipliers[i]) {
            glia_layer_fail(layer, "%d groups of one channel each: their norm would remove the time", o->groups);
            return false;
        }
    }
    const int64_t by = (int64_t)1 << (u->levels - 1);
    if (x->shape.dim[2] % by || x->shape.dim[3] % by) {
        glia_layer_fail(layer, "%d levels need H and W divisible by %lld", u->levels, (long long)by);
        return false;
    }
    return true;
}

/* The default height, or whether each that is given is some level's. */
static bool resolve_attention(unet *u, glia_layer *layer, int64_t height) {
    glia_unet_opts *o = &u->opts;
    for (int i = 0; !o->attention[0] && i < u->levels; i++) {
        if (height >> i <= 16) o->attention[0] = (int)(height >> i);
    }
    if (o->attention[0] == GLIA_NONE && o->context) {
        glia_layer_fail(layer, "a context goes in by attention, and there is none");
        return false;
    }
    if (o->attention[0] == GLIA_NONE) return true;
    for (int i = 0; i < GLIA_UNET_LEVELS && o->attention[i]; i++) {
        bool found = false;
        for (int k = 0; k < u->levels; k++) found |= o->attention[i] == height >> k;
        if (found) continue;
        glia_layer_fail(layer, "no level has the height %d for attention", o->attention[i]);
        return false;
    }
    return true;
}

glia_tensor glia_unet(glia_tensor x, glia_tensor t, const char *name, glia_unet_opts o) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "unet", name, x)) return glia_layer_bad(x);
    if (glia_is_bad(t) || (o.condition && glia_is_bad(o.condition)) || (o.context && glia_is_bad(o.context)))
        return glia_layer_end(&layer, glia_layer_bad(x));
    if (x->shape.rank != 4 || x->shape.dim[1] < 1 || x->shape.dim[1] > INT16_MAX || x->shape.dim[2] < 1 ||
        x->shape.dim[3] < 1) {
        return glia_layer_fail(&layer, "x must be (N, C, H, W)");
    }
    if (t->shape.rank != 1 || t->shape.dim[0] != x->shape.dim[0]) return glia_layer_fail(&layer, "t must be (N)");
    if (o.condition && (o.condition->shape.rank != 2 || o.condition->shape.dim[0] != x->shape.dim[0])) {
        return glia_layer_fail(&layer, "condition must be (N, E)");
    }
    if (o.context && (o.context->shape.rank != 3 || o.context->shape.dim[0] != x->shape.dim[0])) {
        return glia_layer_fail(&layer, "context must be (N, L, E)");
    }
    unet u = { .graph = x->graph, .name = name, .opts = o };
    if (!resolve(&u, &layer, x) || !resolve_attention(&u, &layer, x->shape.dim[2])) return glia_layer_bad(x);
    u.time = time_of(&u, t, x->dtype);
    glia_tensor y = up(&u, middle(&u, down(&u, x)));
    y = glia_silu(norm(&u, y, place(&u, "norm", 0, 0)));
    return glia_layer_end(&layer, conv3(y, place(&u, "out", 0, 0), u.opts.out_channels, 1, true));
}
