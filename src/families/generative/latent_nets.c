/* latent_nets.c - the autoencoder and the text encoder of latent diffusion (Rombach et al. 2022).
 *
 *     encoder   [conv 4x4 / 2, silu] x halvings - block - mean, logvar
 *     decoder   scale - conv - block - [transposed conv 4x4 / 2, silu] x halvings - conv
 *     block     x + conv(silu(conv(silu(x))))
 */
#include "glia/latent.h"
#include "glia/transformers.h"
#include "nn/layers/layers.h"

enum { HALVINGS_MOST = 6 };

static const char *part_of(glia_tensor x, const char *name, const char *part, int number) {
    const char *full = number ? glia_arena_printf(&x->graph->arena, "%s/%s%d", name, part, number)
                              : glia_arena_printf(&x->graph->arena, "%s/%s", name, part);
    if (!full) glia_graph_fail_nomem(x->graph);
    return full ? full : part;
}

/* Fills in defaults and checks the picture x; false: an error is recorded. */
static bool resolve(glia_layer *layer, glia_tensor x, glia_latent_opts *o, int64_t by) {
    if (!o->channels) o->channels = 4;
    if (!o->filters) o->filters = 32;
    if (!o->halvings) o->halvings = 2;
    if (o->channels < 1 || o->channels > 1 << 10 || o->filters < 1 || o->filters > 1 << 10 || o->halvings < 1 ||
        o->halvings > HALVINGS_MOST) {
        glia_layer_fail(layer, "%d channels, %d filters, %d halvings are not possible", o->channels, o->filters,
                        o->halvings);
        return false;
    }
    if (!by) by = (int64_t)1 << o->halvings;
    if (x->shape.rank == 4 && x->shape.dim[1] > 0 && x->shape.dim[2] > 0 && x->shape.dim[3] > 0 &&
        x->shape.dim[2] % by == 0 && x->shape.dim[3] % by == 0)
        return true;
    glia_layer_fail(layer, "x must be (N, C, H, W), H and W divisible by %lld", (long long)by);
    return false;
}

static glia_tensor conv(glia_tensor x, const char *name, int filters, int kernel, glia_activation activation) {
    return glia_conv2d(
        x, name,
        (glia_conv_opts){ .filters = filters, .kernel = kernel, .padding = GLIA_SAME, .activation = activation });
}

static glia_tensor block(glia_tensor x, const char *name, int filters) {
    if (glia_is_bad(x)) return x;
    glia_tensor y = conv(glia_silu(x), part_of(x, name, "block", 1), filters, 3, GLIA_SILU);
    return glia_add(x, conv(y, part_of(x, name, "block", 2), filters, 3, GLIA_LINEAR));
}

static const glia_conv_opts half = { .kernel = 4, .stride = 2, .pad = 1, .activation = GLIA_SILU };

glia_vae_code glia_latent_encoder(glia_tensor x, const char *name, glia_latent_opts o) {
    const glia_vae_code bad = { glia_layer_bad(x), glia_layer_bad(x) };
    glia_layer layer;
    if (!glia_layer_begin(&layer, "latent_encoder", name, x) || !resolve(&layer, x, &o, 0)) return bad;
    glia_tensor h = x;
    glia_conv_opts how = half;
    for (int i = 0; i < o.halvings; i++) {
        how.filters = o.filters << i;
        h = glia_conv2d(h, part_of(x, name, "down", i + 1), how);
    }
    h = block(h, name, how.filters);
    const glia_vae_code code = { conv(h, part_of(x, name, "mean", 0), o.channels, 1, GLIA_LINEAR),
                                 glia_clip(conv(h, part_of(x, name, "logvar", 0), o.channels, 1, GLIA_LINEAR), -30,
                                           20) };
    glia_layer_end(&layer, code.mean);
    return code;
}

glia_tensor glia_latent_decoder(glia_tensor z, const char *name, int picture_channels, glia_latent_opts o) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "latent_decoder", name, z) || !resolve(&layer, z, &o, 1)) return glia_layer_bad(z);
    if (picture_channels < 1 || picture_channels > 1 << 10)
        return glia_layer_fail(&layer, "pictures of %d channels are not possible", picture_channels);
    const int widest = o.filters << (o.halvings - 1);
    glia_tensor h = glia_mul(z, glia_layer_state(&layer, "scale", GLIA_SHAPE(1), 1));
    h = block(conv(h, part_of(z, name, "in", 0), widest, 3, GLIA_LINEAR), name, widest);
    glia_conv_opts how = half;
    for (int i = 0; i < o.halvings; i++) {
        how.filters = widest >> (i + 1 < o.halvings ? i + 1 : i);
        h = glia_conv2d_transposed(h, part_of(z, name, "up", i + 1), how);
    }
    return glia_layer_end(&layer, conv(h, part_of(z, name, "out", 0), picture_channels, 3, GLIA_LINEAR));
}

/* ---- words -------------------------------------------------------------------------------------- */

glia_tensor glia_caption_encoder(glia_tensor words, const char *name, glia_caption_opts o) {
    if (glia_is_bad(words)) return words;
    if (!o.units) o.units = 64;
    if (!o.layers) o.layers = 1;
    if (!o.heads) o.heads = 4;
    const glia_shape s = words->shape;
    glia_tensor x = glia_embedding(words, part_of(words, name, "word", 0),
                                   (glia_embedding_opts){ .vocabulary = o.vocabulary, .units = o.units });
    glia_layer layer;
    if (!glia_layer_begin(&layer, "caption_encoder", name, x)) return glia_layer_bad(x);
    if (s.rank != 2 || s.dim[1] < 1 || s.dim[1] > 1 << 12 || o.layers < 0)
        return glia_layer_fail(&layer, "words must be (N, L), and %d layers be possible", o.layers);
    glia_tensor places = glia_iota(x->graph, GLIA_I32, GLIA_SHAPE(s.dim[1]), 0);
    x = glia_add(x, glia_embedding(places, part_of(x, name, "place", 0),
                                   (glia_embedding_opts){ .vocabulary = (int)s.dim[1], .units = o.units }));
    const glia_transformer_opts how = { .layers = o.layers, .heads = o.heads, .activation = GLIA_GELU };
    return glia_layer_end(&layer, glia_encoder_stack(x, name, how));
}
